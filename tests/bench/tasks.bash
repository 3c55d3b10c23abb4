# tasks: what is measured, one formulation after the other.  Sourced by run.
# shellcheck shell=bash disable=SC2016,SC2034
#
#   task ID KIND TITLE    KIND names the input: events, users, gz64 (64 gzip files of events), gz1 (one)
#   is COMMAND            normalises an answer before it is compared (standard input to standard output)
#   by NAME FLAGS <<'…'   a contender and its shell script; $IN is the input, $OUT the output file, $OUTDIR a folder
#   duckdb/chdb NAME FLAGS <<'…'   the same in SQL; ${IN}, ${OUT}, ${OUTDIR} are replaced
#
# Flags, separated by commas, or -:
#   ours     this toolkit
#   slow     runs on a twentieth of the input and is scaled up
#   fixed    works only while every line has the same keys in the same places
#   loose    the answer may differ in ways that are named in the contender's comment; it is not compared
#   need:X   is left out where the command X is missing
#
# Each engine has several formulations: its best one counts.  Explicit columns and raw lines with a text search for the
# keys were both tried; those far behind were taken out again.

RAW="read_csv('\${IN}', columns={'line':'VARCHAR'}, delim=chr(1), quote='', escape='', header=false, auto_detect=false)"
LINES="(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\\x01')"
COUNTRIES='Germany DE,Switzerland CH,Austria AT,France FR,Italy IT,Spain ES,United_Kingdom GB,Netherlands NL,Poland PL,Portugal PT,Sweden SE,Norway NO,Finland FI,Denmark DK,Belgium BE,Ireland IE,Czech_Republic CZ,Greece GR,Turkey TR,United_States US,Canada CA,Japan JP,Brazil BR'
names=$(tr , '\n' <<<"$COUNTRIES" | sed "s/ .*//; s/_/ /g; s/.*/'&'/" | paste -sd,)
codes=$(tr , '\n' <<<"$COUNTRIES" | sed "s/.* //; s/.*/'&'/" | paste -sd,)

# Numbers unquoted and without trailing zeros, no blank after a colon or comma, null members away.
json_alike="sed -E 's/([:,]) /\\1/g; s/\"(-?[0-9]+(\\.[0-9]+)?)\"/\\1/g; s/(\\.[0-9]*[1-9])0+([],}])/\\1\\2/g; s/\\.0+([],}])/\\1/g; s/\"[a-z_0-9]+\":null,?//g; s/,}/}/g'"

# --- T1 ---
task T1 events 'dedup by event_id, the first wins, original lines'
by cdp-dedup ours <<'X'
cdp-dedup -k event_id "$IN" >"$OUT"
X
by 'cdp-dedup, 1 thread' ours,also <<'X'
cdp-dedup --threads 1 -k event_id "$IN" >"$OUT"
X
chdb 'ClickHouse, text search' - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'LineAsString', 'line String')
SELECT line FROM file('${IN}', 'LineAsString', 'line String')
LIMIT 1 BY sipHash128(substring(line, position(line, '"event_id":"') + 12, 36))
SETTINGS max_threads = 1, max_parsing_threads = 2
X
chdb 'ClickHouse, parsing' - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'LineAsString', 'line String')
SELECT line FROM file('${IN}', 'LineAsString', 'line String')
LIMIT 1 BY sipHash128(JSONExtractString(line, 'event_id'))
SETTINGS max_threads = 1, max_parsing_threads = 2
X
# Any copy, not the first.
chdb 'ClickHouse, any copy' loose <<'X'
INSERT INTO FUNCTION file('${OUT}', 'LineAsString', 'line String')
SELECT line FROM file('${IN}', 'LineAsString', 'line String')
LIMIT 1 BY sipHash128(substring(line, position(line, '"event_id":"') + 12, 36))
X
chdb 'ClickHouse, any copy, as UUID at a fixed place' loose,fixed <<'X'
INSERT INTO FUNCTION file('${OUT}', 'LineAsString', 'line String')
SELECT line FROM file('${IN}', 'LineAsString', 'line String')
LIMIT 1 BY toUUID(substring(line, 14, 36))
X
duckdb DuckDB - <<'X'
COPY (SELECT arg_min(line, n) FROM (SELECT line, row_number() OVER () AS n FROM @RAW@)
      GROUP BY substr(line, instr(line, '"event_id":"') + 12, 36)::uuid) TO '${OUT}' @LINES@
X
# Any copy, not the first, and in any order.
duckdb 'DuckDB, any copy' loose <<'X'
SET preserve_insertion_order = false;
COPY (SELECT any_value(line) FROM @RAW@
      GROUP BY md5_number(substr(line, instr(line, '"event_id":"') + 12, 36))) TO '${OUT}' @LINES@
X
by 'sort -su' fixed <<'X'
sort -S 4G --parallel=2 -s -u -t, -k1,1 "$IN" >"$OUT"
X
by datamash fixed,need:datamash <<'X'
mawk '{ print substr($0, 14, 36) "\t" $0 }' "$IN" | datamash rmdup 1 | cut -f2- >"$OUT"
X
by mawk fixed,need:mawk <<'X'
mawk '!seen[substr($0, 14, 36)]++' "$IN" >"$OUT"
X
by gawk fixed,need:gawk <<'X'
gawk -b '!seen[substr($0, 14, 36)]++' "$IN" >"$OUT"
X
by jq slow,need:jq <<'X'
jq -cs 'unique_by(.event_id)[]' "$IN" >"$OUT"
X
by Miller slow,need:mlr <<'X'
mlr --ijsonl --ojsonl head -n 1 -g event_id "$IN" >"$OUT"
X
is cat

# --- T2 ---
task T2 users 'order by three keys, original lines'
by cdp-order ours <<'X'
cdp-order -k source_timestamp,read_timestamp,uuid "$IN" >"$OUT"
X
by 'cdp-order, 1 thread' ours,also <<'X'
cdp-order --threads 1 -k source_timestamp,read_timestamp,uuid "$IN" >"$OUT"
X
by 'cdp-order -S 256M' ours,also <<'X'
cdp-order -S 256M -T "$OUTDIR" -k source_timestamp,read_timestamp,uuid "$IN" >"$OUT"
X
chdb 'ClickHouse, text search' - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'LineAsString', 'line String')
SELECT line FROM file('${IN}', 'LineAsString', 'line String')
ORDER BY substring(line, position(line, '"source_timestamp": "') + 21, 27),
    substring(line, position(line, '"read_timestamp": "') + 19, 27), substring(line, position(line, '"uuid": "') + 9, 36)
X
chdb 'ClickHouse, parsing' - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'LineAsString', 'line String')
SELECT line FROM file('${IN}', 'LineAsString', 'line String')
ORDER BY JSONExtractString(line, 'source_timestamp'), JSONExtractString(line, 'read_timestamp'), JSONExtractString(line, 'uuid')
X
duckdb 'DuckDB, text search' - <<'X'
SET preserve_insertion_order = false;
COPY (SELECT line FROM @RAW@
      ORDER BY substr(line, instr(line, '"source_timestamp": "') + 21, 27),
          substr(line, instr(line, '"read_timestamp": "') + 19, 27),
          substr(line, instr(line, '"uuid": "') + 9, 36)::uuid) TO '${OUT}' @LINES@
X
by sort fixed <<'X'
sort -S 4G --parallel=2 -s -t'"' -k12,12 -k8,8 -k4,4 "$IN" >"$OUT"
X
by 'sort -S 256M' fixed <<'X'
sort -S 256M --parallel=2 -T "$OUTDIR" -s -t'"' -k12,12 -k8,8 -k4,4 "$IN" >"$OUT"
X
by 'decorate, sort, undecorate' need:mawk <<'X'
mawk '{ match($0, /"source_timestamp": "[^"]*/); s = substr($0, RSTART + 21, RLENGTH - 21)
        match($0, /"read_timestamp": "[^"]*/); r = substr($0, RSTART + 19, RLENGTH - 19)
        match($0, /"uuid": "[^"]*/); print s "\t" r "\t" substr($0, RSTART + 9, RLENGTH - 9) "\t" $0 }' "$IN" |
    sort -S 4G --parallel=2 -s -t$'\t' -k1,1 -k2,2 -k3,3 | cut -f4- >"$OUT"
X
by jq slow,loose,need:jq <<'X'
jq -cs 'sort_by([.source_timestamp, .read_timestamp, .uuid])[]' "$IN" >"$OUT"
X
by Miller slow,loose,need:mlr <<'X'
mlr --ijsonl --ojsonl sort -f source_timestamp -f read_timestamp -f uuid "$IN" >"$OUT"
X
is cat
ordered

# --- T3 ---
task T3 events 'by user and day: count, exact sum, first, last, distinct sessions'
by cdp-agg ours <<'X'
cdp-agg --by .user_id --by 'day=day(.event_timestamp)' 'events=count()' 'amount=sum(.metadata.amount)' \
    'first=min(.event_timestamp)' 'last=max(.event_timestamp)' 'sessions=count_distinct(.session_id)' "$IN" >"$OUT"
X
by 'cdp-agg, 1 thread' ours,also <<'X'
cdp-agg --threads 1 --by .user_id --by 'day=day(.event_timestamp)' 'events=count()' 'amount=sum(.metadata.amount)' \
    'first=min(.event_timestamp)' 'last=max(.event_timestamp)' 'sessions=count_distinct(.session_id)' "$IN" >"$OUT"
X
chdb ClickHouse - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'JSONEachRow')
SELECT user_id, substring(event_timestamp, 1, 10) AS day, count() AS events, sum(metadata.amount) AS amount,
    min(event_timestamp) AS first, max(event_timestamp) AS last, uniqExact(session_id) AS sessions
FROM file('${IN}', 'JSONEachRow',
    'user_id String, session_id String, event_timestamp String, metadata Tuple(amount Nullable(Decimal(18, 2)))')
GROUP BY user_id, day
X
chdb 'ClickHouse, text search' - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'JSONEachRow')
SELECT user_id, substring(moment, 1, 10) AS day, count() AS events, sum(n) AS amount, min(moment) AS first, max(moment) AS last,
    uniqExact(session) AS sessions
FROM (SELECT substring(line, position(line, '"user_id":"') + 11, 8) AS user_id,
          substring(line, position(line, '"event_timestamp":"') + 19, 24) AS moment,
          toDecimal64OrNull(simpleJSONExtractRaw(line, 'amount'), 2) AS n,
          substring(line, position(line, '"session_id":"') + 14, 16) AS session
      FROM file('${IN}', 'LineAsString', 'line String'))
GROUP BY user_id, day
X
# HyperLogLog instead of exact distinct counts.
chdb 'ClickHouse, approximate' loose <<'X'
INSERT INTO FUNCTION file('${OUT}', 'JSONEachRow')
SELECT user_id, substring(event_timestamp, 1, 10) AS day, count() AS events, sum(metadata.amount) AS amount,
    min(event_timestamp) AS first, max(event_timestamp) AS last, uniq(session_id) AS sessions
FROM file('${IN}', 'JSONEachRow',
    'user_id String, session_id String, event_timestamp String, metadata Tuple(amount Nullable(Decimal(18, 2)))')
GROUP BY user_id, day
X
duckdb DuckDB - <<'X'
SET preserve_insertion_order = false;
COPY (SELECT user_id, event_timestamp[1:10] AS day, count(*) AS events, sum(metadata.amount) AS amount,
          min(event_timestamp) AS first, max(event_timestamp) AS last, count(DISTINCT session_id) AS sessions
      FROM read_json('${IN}', format = 'newline_delimited', columns = {user_id: 'VARCHAR', session_id: 'VARCHAR',
          event_timestamp: 'VARCHAR', metadata: 'STRUCT(amount DECIMAL(18,2))'})
      GROUP BY ALL) TO '${OUT}' (FORMAT json)
X
duckdb 'DuckDB, two steps' - <<'X'
SET preserve_insertion_order = false;
COPY (SELECT user_id, day, sum(n)::BIGINT AS events, sum(amount) AS amount, min(first) AS first, max(last) AS last, count(*) AS sessions
      FROM (SELECT user_id, event_timestamp[1:10] AS day, session_id, count(*) AS n, sum(metadata.amount) AS amount,
                min(event_timestamp) AS first, max(event_timestamp) AS last
            FROM read_json('${IN}', format = 'newline_delimited', columns = {user_id: 'VARCHAR', session_id: 'VARCHAR',
                event_timestamp: 'VARCHAR', metadata: 'STRUCT(amount DECIMAL(18,2))'})
            GROUP BY ALL)
      GROUP BY ALL) TO '${OUT}' (FORMAT json)
X
by 'mawk, sort, datamash' fixed,need:datamash <<'X'
mawk -F'"' '{ a = ""; if (match($0, /"amount":-?[0-9.]+/)) a = substr($0, RSTART + 9, RLENGTH - 9); else a = "N/A"
              print $8 "\t" substr($20, 1, 10) "\t" $20 "\t" a "\t" $12 }' "$IN" |
    sort -S 4G --parallel=2 -t$'\t' -k1,1 -k2,2 -k3,3 |
    datamash -g 1,2 --narm -R 2 count 3 sum 4 first 3 last 3 countunique 5 |
    sed -E 's/^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$/{"user_id":"\1","day":"\2","events":\3,"amount":\4,"first":"\5","last":"\6","sessions":\7}/' >"$OUT"
X
# Sums are binary floating point.
by jq slow,loose,need:jq <<'X'
jq -cs 'group_by([.user_id, .event_timestamp[0:10]])[] | {user_id: .[0].user_id, day: .[0].event_timestamp[0:10], events: length,
    amount: (map(.metadata.amount // 0) | add), first: (map(.event_timestamp) | min), last: (map(.event_timestamp) | max),
    sessions: (map(.session_id) | unique | length)}' "$IN" >"$OUT"
X
by Miller slow,loose,need:mlr <<'X'
mlr --ijsonl --ojsonl put -q '@n[$user_id][substr($event_timestamp, 0, 9)] += 1;
    is_present($metadata["amount"]) && $metadata["amount"] != "" { @a[$user_id][substr($event_timestamp, 0, 9)] += $metadata["amount"] }
    @s[$user_id][substr($event_timestamp, 0, 9)][$session_id] = 1; end { emit (@n, @a), "user_id", "day" }' "$IN" >"$OUT"
X
is "$json_alike | sed 's/,\"amount\":0,/,/'"

# --- T4 ---
task T4 users 'latest state per key, deletes dropped, original lines'
by cdp-snapshot ours <<'X'
cdp-snapshot -k .payload._id --order source_timestamp,read_timestamp,uuid --delete .source_metadata.is_deleted "$IN" >"$OUT"
X
by 'cdp-snapshot, 1 thread' ours,also <<'X'
cdp-snapshot --threads 1 -k .payload._id --order source_timestamp,read_timestamp,uuid --delete .source_metadata.is_deleted "$IN" >"$OUT"
X
chdb 'ClickHouse, argMax' - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'LineAsString', 'line String')
SELECT argMax(line, (substring(line, position(line, '"source_timestamp": "') + 21, 27),
    substring(line, position(line, '"read_timestamp": "') + 19, 27), substring(line, position(line, '"uuid": "') + 9, 36)))
FROM file('${IN}', 'LineAsString', 'line String')
GROUP BY substring(line, position(line, '"_id": "') + 8, 24)
HAVING position(argMax(line, (substring(line, position(line, '"source_timestamp": "') + 21, 27),
    substring(line, position(line, '"read_timestamp": "') + 19, 27), substring(line, position(line, '"uuid": "') + 9, 36))),
    '"is_deleted": true') = 0
X
chdb 'ClickHouse, LIMIT BY' - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'LineAsString', 'line String')
SELECT line FROM (
    SELECT line FROM file('${IN}', 'LineAsString', 'line String')
    ORDER BY substring(line, position(line, '"source_timestamp": "') + 21, 27) DESC,
        substring(line, position(line, '"read_timestamp": "') + 19, 27) DESC, substring(line, position(line, '"uuid": "') + 9, 36) DESC
    LIMIT 1 BY substring(line, position(line, '"_id": "') + 8, 24))
WHERE position(line, '"is_deleted": true') = 0
X
duckdb 'DuckDB, arg_max' - <<'X'
SET preserve_insertion_order = false;
COPY (SELECT line FROM (
          SELECT arg_max(line, substr(line, instr(line, '"source_timestamp": "') + 21, 27)
              || substr(line, instr(line, '"read_timestamp": "') + 19, 27) || substr(line, instr(line, '"uuid": "') + 9, 36)) AS line
          FROM @RAW@ GROUP BY substr(line, instr(line, '"_id": "') + 8, 24))
      WHERE NOT contains(line, '"is_deleted": true')) TO '${OUT}' @LINES@
X
duckdb 'DuckDB, keys first' - <<'X'
SET preserve_insertion_order = false;
CREATE TEMP TABLE t AS SELECT line, hash(substr(line, instr(line, '"_id": "') + 8, 24)) AS id,
    substr(line, instr(line, '"source_timestamp": "') + 21, 27) || substr(line, instr(line, '"read_timestamp": "') + 19, 27)
        || substr(line, instr(line, '"uuid": "') + 9, 36) AS moment FROM @RAW@;
COPY (SELECT line FROM t SEMI JOIN (SELECT arg_max(rowid, moment) AS r FROM t GROUP BY id) ON t.rowid = r
      WHERE NOT contains(line, '"is_deleted": true')) TO '${OUT}' @LINES@
X
by gawk fixed,need:gawk <<'X'
gawk -b '{ match($0, /"_id": "[^"]*/); id = substr($0, RSTART + 8, RLENGTH - 8); at = substr($0, 120, 27) substr($0, 69, 27) substr($0, 11, 36)
           if (at > when[id]) { when[id] = at; last[id] = $0 } }
         END { for (id in last) if (!index(last[id], "\"is_deleted\": true")) print last[id] }' "$IN" >"$OUT"
X
by mawk fixed,need:mawk <<'X'
mawk '{ match($0, /"_id": "[^"]*/); id = substr($0, RSTART + 8, RLENGTH - 8); at = substr($0, 120, 27) substr($0, 69, 27) substr($0, 11, 36)
        if (at > when[id]) { when[id] = at; last[id] = $0 } }
      END { for (id in last) if (!index(last[id], "\"is_deleted\": true")) print last[id] }' "$IN" >"$OUT"
X
by jq slow,loose,need:jq <<'X'
jq -cs 'group_by(.payload._id)[] | max_by([.source_timestamp, .read_timestamp, .uuid]) | select(.source_metadata.is_deleted | not)' \
    "$IN" >"$OUT"
X
by Miller slow,loose,need:mlr <<'X'
mlr --ijsonl --ojsonl flatten then sort -f source_timestamp -f read_timestamp -f uuid then tail -n 1 -g payload._id \
    then filter '${source_metadata.is_deleted} != true' then unflatten "$IN" >"$OUT"
X
is cat

# --- T5 ---
# The policy both flows' users step applies: sha256 of the normalised e-mail, its domain, ten-year age group at a fixed
# date, ISO country; nothing else passes but the identifiers.
task T5 users 'scrub: sha256 of the normalised e-mail, domain, age group, country'
by cdp-scrub ours <<'X'
cdp-scrub --policy "$BENCH/scrub-policy.json" "$IN" >"$OUT"
X
by 'cdp-scrub, 1 thread' ours,also <<'X'
cdp-scrub --threads 1 --policy "$BENCH/scrub-policy.json" "$IN" >"$OUT"
X
USER_COLUMNS="uuid: 'VARCHAR', read_timestamp: 'VARCHAR', source_timestamp: 'VARCHAR', source_metadata: 'STRUCT(change_type VARCHAR, is_deleted BOOLEAN)', payload: 'STRUCT(_id VARCHAR, email VARCHAR, birthday VARCHAR, address STRUCT(country VARCHAR))'"
USER_TUPLES='uuid String, read_timestamp String, source_timestamp String, source_metadata Tuple(change_type LowCardinality(String), is_deleted Bool), payload Tuple(_id String, email Nullable(String), birthday Nullable(String), address Tuple(country Nullable(String)))'
DUCK_SCRUB="sha256(lower(trim(payload.email))) AS email_sha256, lower(split_part(trim(payload.email), '@', 2)) AS email_domain,
    ((date_sub('year', payload.birthday::DATE, DATE '2026-01-01') // 10) * 10) || '-' || ((date_sub('year', payload.birthday::DATE, DATE '2026-01-01') // 10) * 10 + 9) AS age_group,
    MAP {$(tr , '\n' <<<"$COUNTRIES" | sed "s/\(.*\) \(.*\)/'\1': '\2'/; s/_/ /g" | paste -sd,)}[payload.address.country] AS country"
CH_SCRUB="lower(hex(SHA256(lower(trim(payload.email))))) AS email_sha256, lower(splitByChar('@', assumeNotNull(payload.email))[2]) AS email_domain,
    intDiv(age('year', toDate32OrNull(payload.birthday), toDate32('2026-01-01')), 10) * 10 AS decade,
    concat(toString(decade), '-', toString(decade + 9)) AS age_group,
    transform(payload.address.country, [$names], [$codes], NULL) AS country"
duckdb DuckDB - <<'X'
SET preserve_insertion_order = false;
COPY (SELECT uuid, read_timestamp, source_timestamp, source_metadata.change_type AS change_type,
          source_metadata.is_deleted AS is_deleted, payload._id AS id, @DUCK_SCRUB@
      FROM read_json('${IN}', format = 'newline_delimited', columns = {@USER_COLUMNS@})) TO '${OUT}' (FORMAT json)
X
chdb ClickHouse - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'JSONEachRow')
SELECT uuid, read_timestamp, source_timestamp, change_type, is_deleted, id, email_sha256, email_domain, age_group, country FROM (
    SELECT uuid, read_timestamp, source_timestamp, source_metadata.change_type AS change_type,
        source_metadata.is_deleted AS is_deleted, payload._id AS id, @CH_SCRUB@
    FROM file('${IN}', 'JSONEachRow', '@USER_TUPLES@'))
X
by 'perl, 2 processes' fixed,need:perl <<'X'
{ split -n l/1/2 "$IN" | perl "$BENCH/scrub.pl" & split -n l/2/2 "$IN" | perl "$BENCH/scrub.pl" >"$OUTDIR/2"; wait; } >"$OUT"
cat "$OUTDIR/2" >>"$OUT"
X
by Miller slow,loose,need:mlr <<'X'
mlr --ijsonl --ojsonl put -q 'map o = {"uuid": $uuid, "source_timestamp": $source_timestamp, "id": $payload["_id"]};
    is_present($payload["email"]) { o["email_sha256"] = sha256(tolower(strip($payload["email"]))) } emit o' "$IN" >"$OUT"
X
is "$json_alike | sed 's/,\"email_domain\":\"\"//'"

# --- T6 ---
task T6 events 'hive-partitioned gzip by day'
by cdp-part ours <<'X'
cdp-part -d "$OUTDIR" --by 'date=day(.event_timestamp)' --records 1000000 "$IN"
X
by 'cdp-part, 1 thread' ours,also <<'X'
cdp-part --threads 1 -d "$OUTDIR" --by 'date=day(.event_timestamp)' --records 1000000 "$IN"
X
chdb ClickHouse - <<'X'
INSERT INTO FUNCTION file('${OUTDIR}/date={_partition_id}/part.ndjson.gz', 'LineAsString', 'line String')
PARTITION BY substring(line, position(line, '"event_timestamp":"') + 19, 10)
SELECT line FROM file('${IN}', 'LineAsString', 'line String')
X
duckdb DuckDB - <<'X'
SET preserve_insertion_order = false;
COPY (SELECT line, substr(line, instr(line, '"event_timestamp":"') + 19, 10) AS date FROM @RAW@)
TO '${OUTDIR}' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01', PARTITION_BY (date), COMPRESSION gzip,
                FILE_EXTENSION 'ndjson.gz', OVERWRITE_OR_IGNORE)
X
by 'mawk, igzip' need:igzip,need:mawk <<'X'
mawk -v dir="$OUTDIR" '{ match($0, /"event_timestamp":"[^"]*/); print | ("igzip -1 -c >" dir "/" substr($0, RSTART + 19, 10) ".gz") }' "$IN"
X
by 'mawk, gzip' need:mawk <<'X'
mawk -v dir="$OUTDIR" '{ match($0, /"event_timestamp":"[^"]*/); print | ("gzip -5 -c >" dir "/" substr($0, RSTART + 19, 10) ".gz") }' "$IN"
X
by 'mawk, then libdeflate' need:libdeflate-gzip,need:mawk <<'X'
mawk -v dir="$OUTDIR" '{ match($0, /"event_timestamp":"[^"]*/); print >(dir "/" substr($0, RSTART + 19, 10)) }' "$IN"
ls "$OUTDIR"/* | xargs -P 2 -n 1 libdeflate-gzip -1
X
by Miller slow,loose,need:mlr <<'X'
cd "$OUTDIR" && mlr --ijsonl --ojsonl put -q 'tee | "gzip -5 >".substr($event_timestamp, 0, 9).".gz", $*' "$IN"
X
is_files 'find "$OUTDIR" -name "*.gz" -exec zcat {} +'

# --- T7 ---
task T7 gz64 '64 gzip files into one stream'
by cdp-cat ours <<'X'
cdp-cat "$IN" >"$OUT"
X
by 'cdp-cat, 1 thread' ours,also <<'X'
cdp-cat --threads 1 "$IN" >"$OUT"
X
by igzip need:igzip <<'X'
for f in "$IN"/*; do igzip -dc "$f"; done >"$OUT"
X
by libdeflate need:libdeflate-gunzip <<'X'
for f in "$IN"/*; do libdeflate-gunzip -c "$f"; done >"$OUT"
X
by 'parallel libdeflate' need:libdeflate-gunzip,need:parallel <<'X'
parallel -k -j 2 libdeflate-gunzip -c ::: "$IN"/* >"$OUT"
X
by bsdcat need:bsdcat <<'X'
for f in "$IN"/*; do bsdcat "$f"; done >"$OUT"
X
by pigz need:pigz <<'X'
pigz -dc "$IN"/* >"$OUT"
X
by zcat - <<'X'
zcat "$IN"/* >"$OUT"
X
duckdb DuckDB loose <<'X'
COPY (SELECT line FROM read_csv('${IN}/*.gz', columns={'line':'VARCHAR'}, delim=chr(1), quote='', escape='', header=false, auto_detect=false)) TO '${OUT}' @LINES@
X
chdb ClickHouse loose <<'X'
INSERT INTO FUNCTION file('${OUT}', 'LineAsString', 'line String') SELECT line FROM file('${IN}/*.gz', 'LineAsString', 'line String')
X
is cat
ordered

# --- T8a ---
# Change events: unique by uuid (first read wins), ordered, scrubbed (silver), and the current state (gold).
task T8a users 'change events: dedup, order, scrub, snapshot'
by 'cdp, four tools' ours <<'X'
cdp-scrub --policy "$BENCH/scrub-policy.json" "$IN" | cdp-order -k source_timestamp,read_timestamp,uuid | cdp-dedup -k uuid \
    >"$OUTDIR/silver.ndjson"
cdp-snapshot -k id --order source_timestamp,read_timestamp,uuid --delete .is_deleted "$OUTDIR/silver.ndjson" >"$OUT"
X
by 'cdp, in one pipeline' ours,also <<'X'
cdp-scrub --policy "$BENCH/scrub-policy.json" "$IN" | cdp-order -k source_timestamp,read_timestamp,uuid | cdp-dedup -k uuid |
    tee "$OUTDIR/silver.ndjson" | cdp-snapshot -k id --order source_timestamp,read_timestamp,uuid --delete .is_deleted >"$OUT"
X
chdb 'ClickHouse' - <<'X'
CREATE TABLE silver ENGINE = Memory AS
SELECT uuid, read_timestamp, source_timestamp, change_type, is_deleted, id, email_sha256, email_domain, age_group, country FROM (
    SELECT uuid, read_timestamp, source_timestamp, source_metadata.change_type AS change_type,
        source_metadata.is_deleted AS is_deleted, payload._id AS id, @CH_SCRUB@
    FROM (SELECT * FROM file('${IN}', 'JSONEachRow', '@USER_TUPLES@') ORDER BY source_timestamp, read_timestamp, uuid LIMIT 1 BY uuid));
INSERT INTO FUNCTION file('${OUTDIR}/silver.ndjson', 'JSONEachRow') SELECT * FROM silver ORDER BY source_timestamp, read_timestamp, uuid;
INSERT INTO FUNCTION file('${OUT}', 'JSONEachRow')
SELECT * FROM (SELECT * FROM silver ORDER BY source_timestamp DESC, read_timestamp DESC, uuid DESC LIMIT 1 BY id) WHERE NOT is_deleted
X
duckdb DuckDB - <<'X'
CREATE TEMP TABLE silver AS
SELECT uuid, read_timestamp, source_timestamp, source_metadata.change_type AS change_type, source_metadata.is_deleted AS is_deleted,
    payload._id AS id, @DUCK_SCRUB@
FROM read_json('${IN}', format = 'newline_delimited', columns = {@USER_COLUMNS@})
QUALIFY row_number() OVER (PARTITION BY uuid ORDER BY source_timestamp, read_timestamp) = 1;
COPY (SELECT * FROM silver ORDER BY source_timestamp, read_timestamp, uuid) TO '${OUTDIR}/silver.ndjson' (FORMAT json);
COPY (SELECT s.* FROM silver s SEMI JOIN (SELECT arg_max(rowid, source_timestamp || read_timestamp || uuid) AS r FROM silver GROUP BY id) m ON s.rowid = r
      WHERE NOT is_deleted) TO '${OUT}' (FORMAT json)
X
by 'sort, perl, mawk' fixed,need:perl,need:mawk <<'X'
sort -S 4G --parallel=2 -s -t'"' -k12,12 -k8,8 -k4,4 "$IN" | mawk '!seen[substr($0, 11, 36)]++' | perl "$BENCH/scrub.pl" |
    tee "$OUTDIR/silver.ndjson" | mawk -F'"' '{ last[$22] = $0 } END { for (id in last) if (!index(last[id], "\"is_deleted\":true")) print last[id] }' >"$OUT"
X
is "$json_alike | sed 's/,\"email_domain\":\"\"//'"

# --- T8b ---
task T8b events 'product events: dedup, daily facts'
by 'cdp, two tools' ours <<'X'
cdp-dedup -k event_id "$IN" |
    cdp-agg --by .user_id --by 'date=day(.event_timestamp)' 'first_event=min(.event_timestamp)' 'last_event=max(.event_timestamp)' \
        'total_events=count()' 'total_amount=sum(.metadata.amount)' >"$OUT"
X
by 'cdp, the fields it takes first' ours,also <<'X'
cdp-scrub --keep event_id --keep user_id --keep event_timestamp --keep .metadata.amount=amount "$IN" | cdp-dedup -k event_id |
    cdp-agg --by .user_id --by 'date=day(.event_timestamp)' 'first_event=min(.event_timestamp)' 'last_event=max(.event_timestamp)' \
        'total_events=count()' 'total_amount=sum(.amount)' >"$OUT"
X
# Which copy is counted does not matter here: they differ in the attempt only.
chdb 'ClickHouse, LIMIT BY' - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'JSONEachRow')
SELECT user_id, substring(event_timestamp, 1, 10) AS date, min(event_timestamp) AS first_event, max(event_timestamp) AS last_event,
    count() AS total_events, sum(metadata.amount) AS total_amount
FROM (SELECT * FROM file('${IN}', 'JSONEachRow',
          'event_id UUID, user_id String, event_timestamp String, metadata Tuple(amount Nullable(Decimal(18, 2)))') LIMIT 1 BY event_id)
GROUP BY user_id, date
X
chdb 'ClickHouse, first copy guaranteed' - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'JSONEachRow')
SELECT user_id, substring(event_timestamp, 1, 10) AS date, min(event_timestamp) AS first_event, max(event_timestamp) AS last_event,
    count() AS total_events, sum(metadata.amount) AS total_amount
FROM (SELECT * FROM file('${IN}', 'JSONEachRow',
          'event_id UUID, user_id String, event_timestamp String, metadata Tuple(amount Nullable(Decimal(18, 2)))') LIMIT 1 BY event_id)
GROUP BY user_id, date
SETTINGS max_threads = 1, max_parsing_threads = 2
X
duckdb DuckDB - <<'X'
SET preserve_insertion_order = false;
COPY (SELECT user_id, event_timestamp[1:10] AS date, min(event_timestamp) AS first_event, max(event_timestamp) AS last_event,
          count(*) AS total_events, sum(amount) AS total_amount
      FROM (SELECT any_value(user_id) AS user_id, any_value(event_timestamp) AS event_timestamp, any_value(metadata.amount) AS amount
            FROM read_json('${IN}', format = 'newline_delimited', columns = {event_id: 'UUID', user_id: 'VARCHAR',
                event_timestamp: 'VARCHAR', metadata: 'STRUCT(amount DECIMAL(18,2))'}) GROUP BY event_id)
      GROUP BY ALL) TO '${OUT}' (FORMAT json)
X
by 'gawk, sort, datamash' fixed,need:gawk,need:datamash <<'X'
gawk -b -F'"' '!seen[$4]++ { if (match($0, /"amount":-?[0-9.]+/)) a = substr($0, RSTART + 9, RLENGTH - 9); else a = "N/A"
                             print $8 "\t" substr($20, 1, 10) "\t" $20 "\t" a }' "$IN" |
    sort -S 4G --parallel=2 -t$'\t' -k1,1 -k2,2 -k3,3 | datamash -g 1,2 --narm -R 2 first 3 last 3 count 3 sum 4 |
    sed -E 's/^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$/{"user_id":"\1","date":"\2","first_event":"\3","last_event":"\4","total_events":\5,"total_amount":\6}/' >"$OUT"
X
by Miller slow,loose,need:mlr <<'X'
mlr --ijsonl --ojsonl head -n 1 -g event_id then put '$date = substr($event_timestamp, 0, 9)' \
    then count -g user_id,date "$IN" >"$OUT"
X
is "$json_alike | sed 's/,\"total_amount\":0}/}/; s/,\"total_amount\":nan}/}/'"

# --- T9 ---
task T9 gz1 'one-liner: zcat | dedup | count by type'
by 'cdp-cat, cdp-dedup, cdp-agg' ours <<'X'
cdp-cat "$IN" | cdp-dedup -k event_id | cdp-agg --by .event_type 'events=count()' >"$OUT"
X
by 'zcat, cdp-dedup, cdp-agg' ours,also <<'X'
zcat "$IN" | cdp-dedup -k event_id | cdp-agg --by .event_type 'events=count()' >"$OUT"
X
# The floor of what starts with zcat.
by 'zcat to /dev/null' loose <<'X'
zcat "$IN" >/dev/null
X
by 'zcat, mawk' fixed,need:mawk <<'X'
zcat "$IN" | mawk -F'"' '!seen[$4]++ { n[$16]++ } END { for (t in n) print "{\"event_type\":\"" t "\",\"events\":" n[t] "}" }' >"$OUT"
X
by 'zcat, jq' slow,need:jq <<'X'
zcat "$IN" | jq -cs 'unique_by(.event_id) | group_by(.event_type)[] | {event_type: .[0].event_type, events: length}' >"$OUT"
X
chdb ClickHouse - <<'X'
INSERT INTO FUNCTION file('${OUT}', 'JSONEachRow')
SELECT event_type, count() AS events FROM (
    SELECT event_type FROM file('${IN}', 'JSONEachRow', 'event_id UUID, event_type LowCardinality(String)', 'gzip') LIMIT 1 BY event_id)
GROUP BY event_type
X
duckdb DuckDB - <<'X'
COPY (SELECT event_type, count(*) AS events FROM (
          SELECT any_value(event_type) AS event_type FROM read_json('${IN}', format = 'newline_delimited', compression = 'gzip',
              columns = {event_id: 'UUID', event_type: 'VARCHAR'}) GROUP BY event_id)
      GROUP BY event_type) TO '${OUT}' (FORMAT json)
X
is "$json_alike"
