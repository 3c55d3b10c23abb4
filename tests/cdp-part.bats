load common

run_tool() { run --separate-stderr "$@"; }

# What a reader would see: the files, without the digest in their names, and their lines.
contents()
{
    (cd "$1" && find . -name '*.gz' | LC_ALL=C sort | while read -r f; do echo "${f%-*}"; zcat "$f"; done)
}

@test "hive paths by time, and records as they came" {
    printf '%s\n' '{"t":"2026-02-05T23:30:00Z","v":1.10}' '{"t":"2026-02-06T00:30:00+01:00", "v":2}' '{"t":"2026-03-01T00:00:00Z"}' >in
    run_tool cdp-part -d ds --time t in
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
    [ "$(contents ds)" = './year=2026/month=02/day=05/part-00000
{"t":"2026-02-05T23:30:00Z","v":1.10}
{"t":"2026-02-06T00:30:00+01:00", "v":2}
./year=2026/month=03/day=01/part-00000
{"t":"2026-03-01T00:00:00Z"}' ]
    run_tool cdp-part -d hours --time t --grain hour --tz Asia/Kathmandu in
    [ -d hours/year=2026/month=02/day=06/hour=05 ]
    run_tool cdp-part -d years --time t --grain year in
    [ "$(find years -name '*.gz')" = years/year=2026/part-00000-56ce179a71311788.ndjson.gz ]
    run_tool cdp-part -d months --time t --grain month in
    [ -d months/year=2026/month=03 ]
}

@test "values as Spark escapes them" {
    printf '%s\n' '{"a":"x/y=z:%"}' '{"a":"\u0041é \u0001"}' '{"a":null}' '{}' '{"a":""}' '{"a":1.0}' '{"a":1}' '{"a":true}' '{"a":".."}' >in
    run_tool cdp-part -d ds --by a in
    [ "$status" -eq 0 ]
    [ "$(cd ds && find . -mindepth 1 -type d | LC_ALL=C sort)" = './a=..
./a=1
./a=A'$'\303\251'' %01
./a=__HIVE_DEFAULT_PARTITION__
./a=true
./a=x%2Fy%3Dz%3A%25' ]
    [ "$(zcat ds/a=__HIVE*/*.gz | wc -l)" -eq 3 ]
    printf '{"a":[1]}\n' >bad
    run_tool cdp-part -d ds2 --by a bad
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-part: bad:1: an array or object cannot name a partition" ]
    [ ! -e ds2/.cdp-part.new ]
}

@test "names and expressions of levels" {
    printf '%s\n' '{"x":{"c":"DE"},"n":7,"t":"2026-02-05T10:00:00Z"}' >in
    run_tool cdp-part -d ds --by .x.c --by 'big=.n > 5' --by 'date=day(.t)' in
    [ "$status" -eq 0 ]
    [ -d ds/c=DE/big=true/date=2026-02-05 ]
}

@test "files end after --records and before --bytes" {
    for i in 1 2 3 4 5; do echo "{\"i\":$i}"; done >in
    run_tool cdp-part -d ds --by 'k=1' --records 2 in
    [ "$status" -eq 0 ]
    [ "$(contents ds)" = './k=1/part-00000
{"i":1}
{"i":2}
./k=1/part-00001
{"i":3}
{"i":4}
./k=1/part-00002
{"i":5}' ]
    cdp-part -d ds2 --by 'k=1' --bytes 17 in
    [ "$(find ds2 -name '*.gz' | wc -l)" -eq 3 ]
    cdp-part -d ds3 --by 'k=1' --bytes 1 in
    [ "$(find ds3 -name '*.gz' | wc -l)" -eq 5 ]
}

@test "a partition that is there is an error, --append adds to it, --replace replaces just the touched" {
    printf '%s\n' '{"k":"a","v":1}' '{"k":"b","v":1}' >in
    cdp-part -d ds --by k in
    contents ds >before
    run_tool cdp-part -d ds --by k in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-part: ds/k=a: the partition is there already: --append or --replace" ]
    contents ds | cmp - before
    echo '{"k":"a","v":2}' >more
    cdp-part -d ds --by k --append more
    [ "$(contents ds)" = './k=a/part-00000
{"k":"a","v":1}
./k=a/part-00001
{"k":"a","v":2}
./k=b/part-00000
{"k":"b","v":1}' ]
    cdp-part -d ds --by k --replace --touched touched more
    [ "$(contents ds)" = './k=a/part-00000
{"k":"a","v":2}
./k=b/part-00000
{"k":"b","v":1}' ]
    [ "$(cat touched)" = "k=a" ]
    [ ! -e ds/.cdp-part.new ]
    [ ! -e ds/.cdp-part.journal ]
    run_tool cdp-part -d ds --by k --replace --append more
    [ "$status" -eq 2 ]
}

@test "the manifest" {
    printf '%s\n' '{"k":"b","t":"2026-02-05T10:00:00Z"}' '{"k":"a","t":"2026-02-05T12:00:00Z"}' '{"k":"a","t":"2026-02-05T09:00:00+01:00"}' >in
    cdp-part -d ds --time t --grain year --by k --manifest man in
    [ "$(jq -c '[.path,.records,.bytes,.min,.max]' man)" = '["year=2026/k=a/part-00000-853fece5a72db4bd.ndjson.gz",2,79,"2026-02-05T08:00:00Z","2026-02-05T12:00:00Z"]
["year=2026/k=b/part-00000-26aeeea118b4e91d.ndjson.gz",1,37,"2026-02-05T10:00:00Z","2026-02-05T10:00:00Z"]' ]
    [ "$(jq .file_bytes man | head -1)" -eq "$(stat -c %s ds/year=2026/k=a/*.gz)" ]
    # as xxhsum -H3 has it
    [ "$(jq -r .xxh3 man)" = '853fece5a72db4bd
26aeeea118b4e91d' ]
}

@test "lists that cannot be written leave the dataset alone" {
    echo '{"k":"a","v":1}' >in
    echo '{"k":"a","v":2}' >new
    cdp-part -d ds --by k in
    for list in --manifest --touched; do
        run_tool cdp-part -d ds --by k --replace "$list" nowhere/list new
        [ "$status" -eq 3 ]
        [ "$stderr" = "cdp-part: nowhere/list: cannot create a file in its directory: No such file or directory" ]
        zcat ds/k=a/*.gz | cmp - in
        [ "$(ls -A ds)" = '.cdp-part.lock
k=a' ]
    done
}

@test "a file's name tells its content, so no reader mixes the old partition with the new one" {
    seq 40 | sed 's/.*/{"k":"a","v":&}/' >in
    sed 's/5/6/' in >new
    cdp-part -d ds --by k --records 10 in
    ls ds/k=a >old
    cdp-part -d ds --by k --records 10 --replace new
    ls ds/k=a >now
    # every ten lines hold a 5, so all pieces differ
    [ "$(sort old now | uniq -d | wc -l)" -eq 0 ]
    cdp-part -d ds --by k --records 10 --append in
    ls ds/k=a >appended
    head -n 4 appended | cmp - now
    [ "$(tail -n 4 appended | cut -c 12-)" = "$(cut -c 12- old)" ]
}

@test "files past number 99999 still follow the others in byte order" {
    printf '{"k":1,"i":%d}\n' 1 2 3 4 5 6 >in
    head -n 1 in >first
    sed -n 2,3p in >second
    sed -n 4p in >third
    tail -n 2 in >last
    cdp-part -d ds --by k first
    mv ds/k=1/part-00000-* ds/k=1/part-99998-0000000000000000.ndjson.gz
    cdp-part -d ds --by k --records 1 --append --manifest man second
    cdp-part -d ds --by k --append third
    [ "$(ls ds/k=1 | cut -d - -f 2 | tr '\n' ' ')" = '99998 99999 a100000 a100001 ' ]
    [ "$(jq -r .path man | cut -d - -f 2 | tr '\n' ' ')" = '99999 a100000 ' ]
    mv ds/k=1/part-a100001-* ds/k=1/part-a999999-0000000000000000.ndjson.gz
    cdp-part -d ds --by k --records 1 --append last
    [ "$(ls ds/k=1 | cut -d - -f 2 | tr '\n' ' ')" = '99998 99999 a100000 a999999 b1000000 b1000001 ' ]
    cdp-cat ds | cmp - in
    # what others wrote is followed, too
    echo '{"k":2,"i":7}' >other
    cdp-part -d ds --by k other
    mv ds/k=2/part-00000-* ds/k=2/part-20260205-x.ndjson.gz
    cdp-part -d ds --by k --append other
    [ "$(ls ds/k=2 | cut -d - -f 2 | tr '\n' ' ')" = '20260205 c20260206 ' ]
}

@test "a partition that holds others is not replaced, and not added to" {
    echo '{"a":1,"b":2}' >in
    cdp-part -d ds --by a --by b in
    contents ds >before
    for mode in --append --replace; do
        run_tool cdp-part -d ds --by a "$mode" in
        [ "$status" -eq 1 ]
        [ "$stderr" = "cdp-part: ds/a=1: is no partition: directories are in it" ]
    done
    contents ds | cmp - before
}

@test "memory: many partitions whose pieces end at the same time" {
    awk 'BEGIN { for (i = 0; i < 160000; i++) printf "{\"p\":%d,\"pad\":\"%0500d\"}\n", i % 300, i }' >in
    cdp-part -d ds --by p -S 1M -T "$TMPDIR" --threads 2 --stats stats in
    [ -n "${SANITIZED:-}" ] || [ "$(jq .peak_memory stats)" -lt 50000000 ]
    [ "$(find ds -name '*.gz' -exec zcat {} + | sort | cksum)" = "$(sort in | cksum)" ]
}

@test "threads and memory do not change a byte; thousands of partitions; several pieces a file" {
    awk 'BEGIN { for (i = 0; i < 120000; i++) printf "{\"p\":%d,\"pad\":\"%s\",\"i\":%d}\n", (i * 7919) % 2003,
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", i * 104729 % 1000003 }' >in
    awk 'BEGIN { for (i = 0; i < 20000; i++) printf "{\"p\":\"big\",\"pad\":\"%s\",\"i\":%d}\n",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", i * 104729 % 1000003 }' >>in
    cdp-part -d a --by p --threads 1 --manifest ma --stats stats in
    balanced stats
    cdp-part -d b --by p --threads 4 --manifest mb in
    cdp-part -d c --by p -S 1M -T "$TMPDIR" --manifest mc in
    (ulimit -n 40 && cdp-part -d d --by p in)
    diff -r a b
    diff -r a c
    diff -r a d
    same ma mb
    same ma mc
    [ "$(find a -name '*.gz' -exec zcat {} + | sort | cksum)" = "$(sort in | cksum)" ]
    gzip -t a/p=big/*.gz
    no_temps
}

@test "--shards: every key in one shard, the same for ever" {
    for i in $(seq 100); do echo "{\"id\":\"u$i\"}"; done >in
    run_tool cdp-part -d ds --shards 4 -k id in
    [ "$status" -eq 0 ]
    [ "$(ls ds)" = 'shard=0
shard=1
shard=2
shard=3' ]
    [ "$(zcat ds/shard=1/*.gz | head -n 3 | tr '\n' ' ')" = "$(cat "$ROOT/tests/golden/cdp-part-shard")" ]
    run_tool cdp-part -d ds --shards 4 in
    [ "$status" -eq 2 ]
}

@test "--shards: a record without its key is unusable" {
    printf '%s\n' '{"id":1}' '{"id":null}' '{"x":1}' '{"id":0}' >in
    run_tool cdp-part -d ds --shards 3 -k id in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-part: in:2: key id is missing or null" ]
    [ -z "$(find ds -name '*.gz')" ]
    run_tool cdp-part -q -d ds --by x --shards 3 -k id --rejects rej --stats stats in
    [ "$status" -eq 0 ]
    [ "$(jq -c .line rej | tr '\n' ' ')" = '2 3 ' ]
    balanced stats
    [ "$(find ds -name '*.gz' -exec zcat {} + | sort)" = '{"id":0}
{"id":1}' ]
}

@test "a killed run leaves the old dataset, and the next run sweeps" {
    echo '{"k":"a","v":1}' >in
    cdp-part -d ds --by k in
    contents ds >before
    mkfifo pipe
    cdp-part -d ds --by k --replace <pipe &
    exec 5>pipe
    yes '{"k":"a","v":2}' | head -n 300000 >&5
    kill -9 $!
    wait $! || true
    exec 5>&-
    contents ds | grep -v '^./.cdp' >after || true
    zcat ds/k=a/*.gz | cmp - in
    cdp-part -d ds --by k --append in
    [ ! -e ds/.cdp-part.new ]
    [ "$(zcat ds/k=a/*.gz | wc -l)" -eq 2 ]
}

@test "a run that a signal ends removes its files, also when the signal comes again while its threads write" {
    echo '{"k":"a","v":1}' >in
    cdp-part -d ds --by k in
    awk 'BEGIN { for (i = 0; i < 400000; i++) printf "{\"k\":%d}\n", i % 50 }' >many
    mkfifo pipe
    for signal in TERM INT HUP; do
        env --default-signal=TERM,INT,HUP cdp-part -d ds --by k --append --records 5 --threads 4 <pipe 2>said 5>&- &
        pid=$!
        exec 5>pipe
        cat many >&5 2>/dev/null &
        for _ in $(seq 1000); do [ "$(find ds/.cdp-part.new -name '*.gz' 2>/dev/null | head -n 500 | wc -l)" -lt 500 ] || break; sleep 0.01; done
        for _ in 1 2 3; do kill -$signal $pid 2>/dev/null || true; done
        status=0
        wait $pid || status=$?
        exec 5>&-
        [ "$status" -eq $((128 + $(kill -l $signal))) ]
        [ ! -s said ]
        [ "$(ls -A ds)" = '.cdp-part.lock
k=a' ]
        zcat ds/k=a/*.gz | cmp - in
    done
}

@test "a run that was killed between two exchanges is completed by the next" {
    printf '%s\n' '{"k":"a","v":1}' '{"k":"b","v":1}' >in
    printf '%s\n' '{"k":"a","v":2}' '{"k":"b","v":2}' >new
    cdp-part -d ds --by k in
    # the state in between: a is exchanged, b is not
    cdp-part -d other --by k new
    mkdir ds/.cdp-part.new
    mv other/k=a ds/.cdp-part.new/k=a
    mv other/k=b ds/.cdp-part.new/k=b
    for k in a b; do echo "$(stat -c %i ds/.cdp-part.new/k=$k) k=$k"; done >journal
    mv ds/k=a hold && mv ds/.cdp-part.new/k=a ds/k=a && mv hold ds/.cdp-part.new/k=a
    mv journal ds/.cdp-part.journal
    echo '{"k":"c","v":3}' >c
    cdp-part -d ds --by k c
    [ "$(zcat ds/k=?/*.gz | tr '\n' ' ')" = '{"k":"a","v":2} {"k":"b","v":2} {"k":"c","v":3} ' ]
    [ ! -e ds/.cdp-part.journal ]
    [ ! -e ds/.cdp-part.new ]
}

@test "two runs on one dataset: the second says so" {
    mkfifo pipe
    cdp-part -d ds --by k <pipe &
    exec 5>pipe
    for _ in $(seq 100); do [ -d ds/.cdp-part.new ] && break; sleep 0.05; done
    run_tool cdp-part -d ds --by k /dev/null
    [ "$status" -eq 3 ]
    [ "$stderr" = "cdp-part: ds: another run is at work on this dataset" ]
    exec 5>&-
    wait $!
}

@test "a bad record writes nothing; with --rejects the rest is written" {
    printf '%s\n' '{"t":"2026-02-05T10:00:00Z"}' '{"t":"yesterday"}' >in
    run_tool cdp-part -d ds --time t in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-part: in:2: no RFC 3339 time at t" ]
    [ -z "$(find ds -name '*.gz')" ]
    run_tool cdp-part -q -d ds --time t --rejects rej --stats stats --max-record 1M in
    [ "$status" -eq 0 ]
    [ "$(wc -l <rej)" -eq 1 ]
    balanced stats
    run_tool cdp-part -q -d ds2 --time t --rejects rej --max-rejects 10% --where 'true' in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-part: 1 of 2 records rejected, more than --max-rejects 10%" ]
    [ -z "$(find ds2 -name '*.gz')" ]
}

@test "a time that UTC or the zone carries out of four-digit years is unusable" {
    printf '%s\n' '{"t":"0000-01-01T00:00:00+14:00"}' '{"t":"9999-12-31T23:59:59-01:00"}' '{"t":"0000-01-01T00:00:00Z"}' '{"t":"9999-12-31T23:00:00Z"}' >in
    run_tool cdp-part -d ds --time t in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-part: in:1: the time at t is outside the years 0000 to 9999" ]
    run_tool cdp-part -q -d ds --time t --rejects rej --stats stats in
    [ "$status" -eq 0 ]
    [ "$(jq -c .line rej | tr '\n' ' ')" = '1 2 ' ]
    balanced stats
    [ "$(cd ds && ls -d year=*/*/*)" = 'year=0000/month=01/day=01
year=9999/month=12/day=31' ]
    run_tool cdp-part -q -d zone --time t --tz Asia/Kathmandu --grain year --rejects rej2 in
    [ "$status" -eq 0 ]
    [ "$(jq -c .line rej2 | tr '\n' ' ')" = '1 2 4 ' ]
    [ "$(ls zone)" = 'year=0000' ]
}

@test "usage" {
    run_tool cdp-part --by k /dev/null
    [ "$status" -eq 2 ]
    [ "$stderr" = "cdp-part: -d DIR is missing" ]
    run_tool cdp-part -d '' --by k /dev/null
    [ "$status" -eq 2 ]
    [ "$stderr" = "cdp-part: -d DIR is missing" ]
    run_tool cdp-part -d ds /dev/null
    [ "$status" -eq 2 ]
    run_tool cdp-part -d ds --by '.a+1' /dev/null
    [ "$status" -eq 2 ]
    run_tool cdp-part -d ds --time t --tz Mars/Olympus /dev/null
    [ "$status" -eq 2 ]
}
