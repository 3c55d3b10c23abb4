#!/usr/bin/env bats
# laws: what DESIGN.md promises of every tool, held against every tool.

load common
load tools

setup_file()
{
    # More than a dozen blocks, so that threads and spills have work.
    data events 8M --users 3000 --dups 5 >"$BATS_FILE_TMPDIR/events"
    data users 8M --users 3000 --dups 5 >"$BATS_FILE_TMPDIR/users"
    # More keys than the smallest of tables holds.
    data events 48M --users 150000 --dups 5 >"$BATS_FILE_TMPDIR/many-events"
    data users 64M --users 150000 --dups 5 >"$BATS_FILE_TMPDIR/many-users"
}

input()
{
    echo "$BATS_FILE_TMPDIR/$kind"
}

# --- bytes in, bytes out

passes_lines()
{
    has lines || return 0
    result "$1" "$(input)" out && [ -s out ] &&
        sort -u "$(input)" >known && sort -u out >written && comm -13 known written >strange && [ ! -s strange ]
}

@test "a line that is passed on is passed on as it came" {
    each passes_lines
}

odd_values()
{
    local odd='"odd":{"n":12345678901234567890,"d":1.10,"e":1E2,"s":"\\u0041\\/\\ud83d ü"}'
    case $1 in cdp-agg) args=(--by .user_id 'odd=first(.odd)') ;; esac
    result "$1" "$(input)" out && [ -s out ] && [ "$(grep -v '^==' out | grep -cv "$odd")" = 0 ]
}

@test "values that a tool was not asked to change keep their digits, escapes and key order" {
    each odd_values
}

# --- nothing is lost

counts_add_up()
{
    local lines
    lines=$(wc -l <"$(input)")
    result "$1" "$(input)" out --stats stats && balanced stats && [ "$(stat_of stats in)" = "$lines" ] &&
        [ "$(stat_of stats rejected)" = 0 ] && [ "$(stat_of stats tool)" = "$1" ] || return
    ! has lines || [ "$(stat_of stats out)" = "$(wc -l <out)" ]
}

@test "in = out + dropped + rejected" {
    each counts_add_up
}

rejects_add_up()
{
    has rejects || return 0
    # Every 100th line is spoilt in one of four ways.
    awk 'NR % 400 == 100 { $0 = substr($0, 1, length($0) - 1) } NR % 400 == 200 { $0 = $0 " x" } NR % 400 == 300 { sub(/:/, "") }
        NR % 400 == 0 { $0 = $0 "\377" } { print }' "$(input)" >spoilt
    awk 'NR % 100 != 0' "$(input)" >good
    local lines
    lines=$(wc -l <spoilt)
    result "$1" spoilt out --rejects rejects --stats stats 2>said && balanced stats &&
        [ "$(stat_of stats in)" = "$lines" ] && [ "$(stat_of stats rejected)" = $((lines / 100)) ] &&
        [ "$(wc -l <rejects)" = $((lines / 100)) ] && [ "$(wc -l <said)" = 1 ] || return
    # Each comes with its place and its bytes.
    jq -r '.line' rejects >places && seq 100 100 "$lines" | cmp - places &&
        jq -e 'has("error") and has("rule") and .source == "spoilt" and has("byte") and (has("raw") or has("raw_base64"))' \
            rejects >/dev/null && jq -j 'if has("raw") then "\(.raw)\n" else "" end' rejects >raw &&
        awk 'NR % 100 == 0 && NR % 400 != 0' spoilt | cmp - raw || return
    # What is left is as if they had not been there.
    result "$1" good want && same out want
}

@test "rejected records are counted, placed and kept; the rest is as if they were not there" {
    each rejects_add_up
}

filtered()
{
    [ "$1" != cdp-cat ] || return 0
    case $kind in
    events) grep '"event_type":"purchase"' "$(input)" >some && set -- "$1" '.event_type == "purchase"' ;;
    users) grep '"change_type": "INSERT"' "$(input)" >some && set -- "$1" '.source_metadata.change_type == "INSERT"' ;;
    esac
    result "$1" some want --stats plain && result "$1" "$(input)" got --where "$2" --stats stats && same want got && balanced stats &&
        [ "$(stat_of stats in)" = "$(wc -l <"$(input)")" ] &&
        [ "$(stat_of stats dropped)" = $(($(stat_of plain dropped) + $(wc -l <"$(input)") - $(wc -l <some))) ]
}

# The modes of a tool, the options of one a line.  There are: some, a part of the input; wrapped, envelopes of it; states,
# partial states of agg; base, a snapshot.
modes()
{
    local m
    case $1 in
    cdp-cat) printf '%s\n' '' --envelope '--range 1000+50000' '--next-state s' '--state s --next-state s' '--unwrap wrapped' ;;
    cdp-dedup)
        for m in '' '--keep last' '--keep-min event_timestamp' '--keep-max event_timestamp' '--against some' '--dups dups' \
            '--seen seen' '--seen seen' '-S 64K -T tmp'; do
            echo "-k event_id $m"
        done
        for m in reject pass drop; do echo "-k metadata.amount --missing $m"; done
        echo
        ;;
    cdp-order)
        for m in '' --unique '-S 64K -T tmp' '--lateness 1h -t event_timestamp --late late'; do echo "-k event_timestamp:time,event_id $m"; done
        for m in reject null; do echo "-k metadata.amount:num:desc --missing $m"; done
        printf '%s\n' '-k event_id --merge some' '-k event_id --merge --unique some' ''
        ;;
    cdp-scrub) printf '%s\n' '--keep uuid' '--policy policy' '--hash payload.email=email --age payload.birthday=age --as-of 2026-02-05' ;;
    cdp-agg)
        printf '%s\n' 'n=count()' '--partial n=count()' '--merge --by .user_id n=count() states' '--by .event_type t=sum(.metadata.amount)' \
            '--by .event_type t=median(.event_id)' '-S 64K -T tmp --by .event_id n=count()' '--sorted --by null n=count()'
        ;;
    cdp-snapshot)
        for m in '' '--at 2026-02-05T00:00:00Z' '--patch payload' '--patch payload --unset payload.tags' '--base base --horizon 400000d' '--horizon 1d' \
            '--forget .uuid<"4" --forgotten forgotten' --history '--history --at 2026-02-05T00:00:00Z' \
            '--delete .source_metadata.change_type=="DELETE"' '-S 64K -T tmp' '--history -S 64K -T tmp'; do
            echo "-k payload._id --order source_timestamp:time,uuid $m"
        done
        ;;
    cdp-part)
        for m in '' --append --replace '--replace --records 7 --manifest m --touched t' '--bytes 20K --replace'; do
            echo "-d d --by .event_type $m"
        done
        printf '%s\n' '-d shards --by .event_type --shards 3 -k user_id' '-d hours --time event_timestamp --grain hour' '-d times --time metadata.amount'
        ;;
    esac
}

every_mode_adds_up()
{
    local line mode=() common=() where bad=0 number=0
    head -n 3000 "$(input)" >good
    awk 'NR % 500 == 0 { print "{\"cut" } NR % 500 == 7 { print "7" } NR % 500 == 9 { print "" } { print }' good >spoilt
    head -n 500 good | sort >some
    cdp-cat --envelope some >wrapped
    cdp-agg --partial --by .user_id 'n=count()' good >states
    case $1 in cdp-snapshot) cdp-snapshot -k payload._id --order source_timestamp:time,uuid --horizon 400000d some >base ;; esac
    echo '{"version":1,"fields":[{"path":".uuid"},{"path":".payload.email","as":"e","do":"domain","on_error":"reject"}]}' >policy
    case $kind in users) where='.uuid > "2"' ;; events) where='.event_id > "2"' ;; esac
    while IFS= read -r line; do
        read -ra mode <<<"$line"
        common=(--stats stats.$((++number)) -q)
        ! has rejects || common+=(--rejects "rejects.$number")
        # A mode that names its input reads that.
        case $line in
        --unwrap* | *--merge*) ;;
        *) mode+=(spoilt) && { ! has rejects || common+=(--where "$where"); } ;;
        esac
        "$1" "${mode[@]}" "${common[@]}" >out && balanced stats.$number || { echo "$1 $line: status $?" && bad=1 && continue; }
        ! has rejects || [[ $line == *--merge* ]] || {
            [ "$(stat_of stats.$number rejected)" = "$(wc -l <rejects.$number)" ] && [ "$(wc -l <rejects.$number)" -ge 6 ] &&
                [ "$(stat_of stats.$number in)" -ge 3012 ]
        } || { echo "$1 $line" && cat stats.$number && bad=1; }
    done < <(modes "$1")
    [ $number != 0 ] && return $bad
}

@test "in = out + dropped + rejected, in every mode, with bad records among the good" {
    each every_mode_adds_up
}

@test "--where: as if the others were not there, and they are counted" {
    each filtered
}

threshold()
{
    has rejects || return 0
    { head -n 99 "$(input)" && echo '{"cut' && echo '{"cut'; } >spoilt
    result "$1" spoilt out --rejects r1 --max-rejects 2 2>said || return
    result "$1" spoilt out --rejects r2 --max-rejects 1 2>said
    [ $? = 1 ] && result "$1" spoilt out --rejects r3 --max-rejects 2% 2>said || return
    result "$1" spoilt out --rejects r4 --max-rejects 1% 2>said
    [ $? = 1 ]
}

@test "past --max-rejects the status is 1" {
    each threshold
}

# --- the same answer, however it is run

any_arrival()
{
    local by=cat
    case $arrival in
    all) return 0 ;;
    lines) by='sort' ;;
    esac
    result "$1" "$(input)" one && $by one >want || return
    for seed in 1 2; do
        shuf --random-source=<(yes $seed) "$(input)" >shuffled
        result "$1" shuffled one && $by one >got && same want got || return
    done
}

@test "any order of arrival" {
    each any_arrival
}

any_threads()
{
    has threads || return 0
    result "$1" "$(input)" want --threads 1 || return
    for n in 2 4 7; do
        result "$1" "$(input)" got --threads $n && same want got || return
    done
}

@test "any number of threads" {
    each any_threads
}

any_memory()
{
    has memory || return 0
    local in=$BATS_FILE_TMPDIR/many-$kind
    result "$1" "$in" want || return
    for n in 64K 4M; do
        result "$1" "$in" got -S $n -T tmp && same want got && [ -z "$(ls -A tmp)" ] || return
    done
}

@test "any memory limit" {
    each any_memory
}

any_pieces()
{
    result "$1" "$(input)" want || return
    # As several files, as a pipe, packed.
    split -n l/5 "$(input)" piece.
    if has dataset; then
        "$1" -d d "${args[@]}" piece.* && spread d >got || return
    else
        "$1" "${args[@]}" piece.* >got || return
    fi
    same want got || return
    result "$1" - got < <(cat "$(input)") && same want got || return
    gzip -1 <"$(input)" >packed
    result "$1" packed got && same want got
}

@test "one file, many files, a pipe, packed" {
    each any_pieces
}

any_shards()
{
    local p base=()
    # A late record must meet the delete that it comes after.
    [ "$1" != cdp-snapshot ] || args+=(--horizon 5000d)
    result "$1" "$(input)" want || return
    split -n l/3 "$(input)" shard.
    case $1 in
    cdp-cat | cdp-scrub)
        for p in shard.*; do result "$1" "$p" "out.$p" || return; done
        cat out.shard.* >got
        ;;
    cdp-dedup) # one after the other, with what was seen carried on
        for p in shard.*; do result "$1" "$p" "out.$p" --seen seen || return; done
        cat out.shard.* >got
        ;;
    cdp-order)
        for p in shard.*; do result "$1" "$p" "out.$p" || return; done
        "$1" "${args[@]}" --merge out.shard.* >got || return
        ;;
    cdp-agg)
        for p in shard.*; do result "$1" "$p" "out.$p" --partial || return; done
        "$1" "${args[@]}" --merge out.shard.* >got || return
        ;;
    cdp-snapshot) # each on the one before
        for p in shard.*; do
            result "$1" "$p" next "${base[@]}" && mv next base && base=(--base base) || return
        done
        cp base got
        ;;
    cdp-part)
        for p in shard.*; do "$1" -d d "${args[@]}" --append "$p" || return; done
        spread d | grep -v '^==' | sort >got && grep -v '^==' want | sort >records && mv records want
        ;;
    esac
    same want got
}

@test "any number of shards" {
    each any_shards
}

same_file()
{
    has output || return 0
    result "$1" "$(input)" want && "$1" "${args[@]}" -o got "$(input)" && same want got &&
        "$1" "${args[@]}" -o got.gz "$(input)" && gzip -dc got.gz >got && same want got
}

@test "standard output, -o, and -o packed" {
    each same_file
}

line_ends()
{
    # What cdp-cat passes are bytes, and the names of files that cdp-part makes tell theirs.
    [ "$1" != cdp-cat ] || return 0
    head -n 2000 "$(input)" >plain
    result "$1" plain want || return
    { printf '\357\273\277\n' && sed 's/$/\n  /' plain | head -c -4; } >blank
    result "$1" blank got --stats stats && same want got && [ "$(stat_of stats in)" = 2000 ] || return
    sed 's/$/\r/' plain >crlf
    result "$1" crlf got && tr -d '\r' <got >lf || return
    sed -i '/^== /s/-[0-9a-f]*\.ndjson\.gz$//' want lf && same want lf
}

@test "line ends, blank lines, a byte order mark, no newline at the end" {
    each line_ends
}

nothing()
{
    result "$1" /dev/null out --stats stats && [ ! -s out ] && [ "$(stat_of stats in)" = 0 ] && balanced stats
}

@test "empty input is no error" {
    each nothing
}

locale_and_zone()
{
    result "$1" "$(input)" want || return
    (export TZ=Asia/Kathmandu LC_ALL=C.UTF-8 LANG=de_DE.UTF-8 && result "$1" "$(input)" got) && same want got
}

@test "any locale and zone of the machine" {
    each locale_and_zone
}

# --- a target is the old file or the whole new one

killed()
{
    has output || has dataset || return 0
    local pid delay
    result "$1" "$(input)" want || return
    echo old >target
    for delay in 0 .001 .003 .005 .01 .015 .02 .03 .05 .08; do
        if has dataset; then
            "$1" -d target.d "${args[@]}" --replace "$(input)" &
        else
            "$1" "${args[@]}" -o target "$(input)" &
        fi
        pid=$!
        sleep $delay
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
        if has dataset; then
            # A rerun goes on from whatever is there.
            "$1" -d target.d "${args[@]}" --replace "$(input)" || return
            spread target.d >target && same want target || return
        else
            [ "$(head -c 4 target)" = old ] || same want target || return
        fi
        [ "$(find . -name '.*.cdp-*' | wc -l)" -le 1 ] || return
    done
    has dataset || { "$1" "${args[@]}" -o target "$(input)" && same want target; }
}

@test "killed and run again" {
    each killed
}

failed_run()
{
    has output || return 0
    echo old >target
    { cat "$(input)" && echo '{"cut'; } >spoilt
    "$1" "${args[@]}" -o target spoilt 2>said
    case $1 in cdp-cat) [ $? = 0 ] ;; *) [ $? = 1 ] && [ "$(cat target)" = old ] && no_temps ;; esac
}

@test "a failed run leaves the old file" {
    each failed_run
}

# --- memory is bounded

bounded()
{
    # Beside what --memory bounds there are the blocks in flight.
    local peak limit=$((24 << 20))
    ! has memory || { args+=(-S 16M -T tmp) && limit=$((limit + (16 << 20))); }
    ! has threads || args+=(--threads 2)
    if has dataset; then
        "$BUILD/generate" --kind "$kind" --bytes 200M --users 500000 | "$1" -d out "${args[@]}" --stats stats || return
    else
        "$BUILD/generate" --kind "$kind" --bytes 200M --users 500000 | "$1" "${args[@]}" --stats stats >/dev/null || return
    fi
    peak=$(stat_of stats peak_memory)
    [ "$peak" -le $limit ] || { echo "peak of $1: $peak, limit $limit"; return 1; }
}

@test "peak memory keeps to --memory on an input far larger" {
    [ -z "${SANITIZED:-}" ] || skip "a sanitizer takes memory of its own"
    each bounded
}

# --- a bad record is a clear error

bad_record()
{
    [ "$1" != cdp-cat ] || return 0
    local fault
    for fault in '{"secret":"hunter2" 1}' '{"secret":"hunter2"' '{"secret":"hunter2"} x' 'hunter2' '{"secret":"hunter2	"}' '{"secret":hunter2}'; do
        { head -n 1234 "$(input)" && printf '%s\n' "$fault" && tail -n 10 "$(input)"; } >spoilt
        result "$1" spoilt out 2>said
        [ $? = 1 ] && [ "$(wc -l <said)" = 1 ] && grep -qE "^$1: spoilt:1235:[0-9]+: [a-z'].*[^.]$" said &&
            ! grep -q hunter2 said || { cat said; return 1; }
    done
}

@test "a malformed record ends the run, with its place and without its values" {
    each bad_record
}

# --- no run reads what it writes: it would never end

refuses_itself()
{
    local status=0
    head -n 100 "$(input)" >same && cp same before
    if has dataset; then args+=(-d out); fi
    "$1" "${args[@]}" <same >>same 2>said || status=$?
    [ $status = 2 ] && [ "$(cat said)" = "$1: -: is an input and the output" ] && cmp same before || return
    has rejects || return 0
    status=0
    ln same other
    "$1" "${args[@]}" --rejects other before same >out2 2>said || status=$?
    [ $status = 2 ] && [ "$(cat said)" = "$1: same: is an input and the file of --rejects" ] && cmp same before
}

@test "an input that is the output or the file of rejects is refused" {
    each refuses_itself
}

# Each option that names a file to be written, last in a run that is good otherwise.
SIDES=(
    'cdp-cat --next-state'
    'cdp-dedup -k event_id --dups'
    'cdp-dedup -k event_id --seen'
    'cdp-order --lateness 1s -t event_timestamp --late'
    'cdp-snapshot -k user_id --order event_id --forget .user_id==1 --forgotten'
    'cdp-part -d d --by event_type --touched'
    'cdp-part -d d --by event_type --manifest'
)

refused()
{
    local status=0 want=$1
    shift
    rm -rf d
    "$@" >/dev/null 2>said || status=$?
    [ $status = 2 ] && [ "$(cat said)" = "$want" ] || { echo "$*: $status, $(cat said)"; return 1; }
}

@test "no file is for two things" {
    local side option status
    local -a run
    cd "$BATS_TEST_TMPDIR"
    head -n 50 "$BATS_FILE_TMPDIR/events" >in
    for side in "${SIDES[@]}"; do
        read -ra run <<<"$side"
        option=${run[-1]}
        [ -x "$BUILD/bin/${run[0]}" ] || continue
        rm -f side
        [ "${run[0]}" = cdp-part ] || refused "${run[0]}: $option 'side' is the output" "${run[@]}" side -o ./side in
        refused "${run[0]}: --stats 'side' is the file of $option, too" "${run[@]}" ./side --stats side in
        [ ! -e side ]
        status=0
        "${run[@]}" /dev/stdout in >side 2>said || status=$?
        [ $status = 2 ] && [ "$(cat said)" = "${run[0]}: $option '/dev/stdout' is the output" ]
        cp in side
        [ "$option" != --seen ] || continue # which is read first, and neither records nor /dev/null are one
        refused "${run[0]}: side: is an input and the file of $option" "${run[@]}" side side
        cmp in side
        # What is no regular file may be named twice.
        rm -rf d
        "${run[@]}" /dev/null --stats /dev/null in >/dev/null
    done
}

# --- filters stream

live()
{
    has stream || return 0
    local line
    mkfifo in out
    "$1" "${args[@]}" <in >out &
    exec 7>in 8<out
    head -n 1 "$(input)" >&7
    # Nothing more comes: what was read must be written now.  (The limit is for a tool that waits for ever.)
    read -r -t 60 -u 8 line && [ -n "$line" ] || { exec 7>&- 8<&-; wait; return 1; }
    sed -n 2p "$(input)" >&7
    read -r -t 60 -u 8 line && [ -n "$line" ] || { exec 7>&- 8<&-; wait; return 1; }
    exec 7>&- 8<&-
    wait
}

@test "what was read is written as soon as the input pauses" {
    each live
}

# --- references in jq

reference()
{
    local in=$SAMPLES/$kind.ndjson
    result "$1" "$in" out || return
    case $1 in
    cdp-cat) cp "$in" want && cp out got ;;
    cdp-dedup) jq -cn 'foreach inputs as $r ({seen: {}}; if .seen[$r.event_id] then .new = false else .new = true | .seen[$r.event_id] = true end; if .new then $r else empty end)' "$in" >want ;;
    cdp-order) jq -cs 'sort_by(.event_timestamp, .event_id, .)[]' "$in" >want ;;
    cdp-scrub) jq -c '{id: .payload._id} + if .payload | has("email") then {email_domain: (.payload.email | if . then ascii_downcase | sub(".*@"; "") else . end)} else {} end' "$in" >want &&
        jq -c 'del(.email_hashed)' out >got ;;
    cdp-agg) jq -cs 'def cents: . * 100 | round; group_by(.user_id, .event_timestamp[:10])[] | {user_id: .[0].user_id, date: .[0].event_timestamp[:10], total_events: length,
        total_amount: (map(.metadata.amount // empty | cents) | if length > 0 then add / 100 else null end), first_event: (map(.event_timestamp) | min), sessions: (map(.session_id) | unique | length)}' "$in" >want ;;
    cdp-snapshot) jq -cs 'group_by(.payload._id)[] | max_by([.source_timestamp, .read_timestamp, .uuid]) | select(.source_metadata.change_type != "DELETE")' "$in" >want ;;
    cdp-part) return 0 ;;
    esac
    [ -e got ] || jq -c . out >got
    [ -s got ] && same want got
}

@test "what jq says" {
    each reference
}
