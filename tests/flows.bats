load common

# The flows of pipelines/, on the samples and on real data.

flow()
{
    local name=$1
    shift
    make --no-print-directory -s -f "$ROOT/pipelines/$name.mk" LANDING="$PWD/landing/$name" LAKE=lake "$@"
}

# A lake's data: names and bytes of all files that are there to be read (not the audit log, locks and notes).
digest()
{
    (cd "$1" && find bronze silver silver_pii gold rejects -type f ! -name '.*' 2>/dev/null | sort | xargs cksum)
}

rows() { zcat "lake/gold/$1.ndjson.gz"; }

setup()
{
    common_setup
    export CDP_RUN_ID=test
    cp -R "$SAMPLES/landing" landing
}

@test "users: the current state agrees with jq" {
    flow users
    tar xzOf landing/users/users.tar.gz | jq -rs 'unique_by(.uuid) | group_by(.payload._id)
        | map(max_by([.source_timestamp, .read_timestamp, .uuid])) | .[]
        | select(.source_metadata.change_type != "DELETE") | .payload._id' >want
    rows users_current | jq -r .user_id >got
    [ "$(wc -l <got)" -gt 100 ]
    same want got
}

@test "users: nothing that identifies a person leaves silver_pii" {
    flow users
    tar xzOf landing/users/users.tar.gz |
        jq -r '.payload | .email, .phone, .lastname, .address.street | strings' | sort -u >secrets
    [ "$(wc -l <secrets)" -gt 300 ]
    find lake/silver lake/gold -name '*.gz' -exec zcat {} + >out
    run grep -cFf secrets out
    [ "$output" = 0 ]
}

@test "users: history has neither overlap nor gap, and its current rows are the current state" {
    flow users
    rows users_history | jq -s 'group_by(.user_id)
        | map(. as $r | range(1; length) | $r[.].valid_from >= $r[. - 1].valid_to) | all' | grep -x true
    rows users_history | jq -c 'select(.is_current) | del(.valid_from, .valid_to, .is_current)' >got
    rows users_current | jq -c . >want
    same want got
}

@test "events: facts agree with jq, exactly" {
    flow events
    find landing/events -name '*.gz' | sort | xargs zcat |
        jq -cs 'unique_by(.event_id) | group_by([.user_id, .event_timestamp[:10]])
            | map({user_id: .[0].user_id, date: .[0].event_timestamp[:10],
                first_event: (map(.event_timestamp) | min), last_event: (map(.event_timestamp) | max),
                total_events: length, cents: (map(.metadata.amount // 0 | . * 100 | round) | add)})
            | sort_by([.date, .user_id]) | .[]' >want
    find lake/gold/fact_user_activity -name '*.gz' | sort | xargs zcat |
        jq -c '.cents = ((.total_amount // 0) * 100 | round) | del(.total_amount)' >got
    [ "$(wc -l <got)" -gt 50 ]
    same want got
    [ "$(rows daily_active_users | jq -s 'map(.events) | add')" -eq "$(jq -s 'map(.total_events) | add' got)" ]
    [ "$(rows user_activity | jq -s 'map(.total_events) | add')" -eq "$(jq -s 'map(.total_events) | add' got)" ]
}

# Everything that was made becomes minutes old, in the order of what depends on what.
age()
{
    find lake/state/*/landed -exec touch -d '9 minutes ago' {} +
    find lake/bronze -name '*.gz' -exec touch -d '8 minutes ago' {} +
    find lake/state -type f ! -path '*/landed/*' -exec touch -d '7 minutes ago' {} +
    find lake/silver_pii lake/silver -name '*.gz' -exec touch -d '6 minutes ago' {} + 2>/dev/null || true
    find lake/gold/*/ -name '*.gz' -exec touch -d '5 minutes ago' {} + 2>/dev/null || true
    find lake/gold -maxdepth 1 -name '*.gz' -exec touch -d '4 minutes ago' {} +
    touch -d '1 minute ago' stamp
}

@test "a rerun does nothing; a late file rebuilds the partition it touches and no other" {
    flow events
    age
    flow events
    find lake -type f -name "*.gz" -newer stamp >built
    [ ! -s built ] || { cat built; false; }
    zcat landing/events/2026/02/03/07/part-000.ndjson.gz | grep '"event_timestamp":"2026-02-03' | head -n 1 |
        sed 's/"event_id":"[^"]*"/"event_id":"late"/' | gzip -n >landing/events/2026/02/04/late.ndjson.gz
    flow events
    [ "$(find lake/silver lake/gold/fact_user_activity -name '*.gz' -newer stamp | sort)" = \
'lake/gold/fact_user_activity/year=2026/month=02/day=03/facts.ndjson.gz
lake/silver/events/year=2026/month=02/day=03/events.ndjson.gz' ]
    as_from_scratch
}

# What is in the lake after one change or other is what a lake has that sees nothing but the landing files as they are now.
as_from_scratch()
{
    digest lake >incremental
    rm -rf lake
    flow events
    digest lake >whole
    same incremental whole
}

@test "a changed file rebuilds the partitions it has left, and one that loses all its files is gone" {
    local file=landing/events/2026/02/04/moved.ndjson facts=lake/gold/fact_user_activity/year=2027/month=01/day=01
    zcat landing/events/2026/02/04/05/*.gz | head -n 2 | sed 's/"event_timestamp":"2026-02-0./"event_timestamp":"2027-01-01/' >$file
    flow events
    [ "$(zcat $facts/facts.ndjson.gz | wc -l)" -gt 0 ]
    age
    sed -i 's/2027-01-01/2026-02-04/' $file
    flow events
    [ ! -e $facts ]
    [ "$(find lake/silver -name '*.gz' -newer stamp)" = lake/silver/events/year=2026/month=02/day=04/events.ndjson.gz ]
    as_from_scratch
}

@test "a change is seen whatever the times say: an older file in its place, one read while it grew, a clock set back" {
    local file=landing/events/2026/02/04/grows.ndjson
    zcat landing/events/2026/02/04/05/*.gz | sed 's/"event_id":"/&x/' >all
    head -c 1000 all >$file && touch -d tomorrow $file
    flow events 2>said && [ ! -s said ]
    age
    flow events && [ -z "$(find lake -name '*.gz' -newer stamp)" ]
    cp all $file && touch -d '1 hour ago' $file
    flow events
    [ "$(zcat lake/bronze/events/2026/02/04/grows.ndjson.ndjson.gz | wc -l)" = "$(wc -l <all)" ]
    find lake -exec touch -d 'next year' {} +
    sed 's/"event_id":"/&y/' all >>$file
    flow events 2>said && [ ! -s said ]
    [ -z "$(find lake -name '*.gz' -newermt now)" ]
    as_from_scratch
}

@test "another day to reckon ages at, another policy: silver and gold follow" {
    flow users
    rows users_current >before
    flow users AS_OF=2036-02-05
    rows users_current | cmp -s - before && false
    flow users
    rows users_current | cmp - before
    jq 'del(.fields[] | select(.as == "gender"))' "$ROOT/pipelines/users.policy.json" >policy && touch -d '1 year ago' policy
    flow users POLICY="$PWD/policy"
    [ "$(rows users_current | grep -c gender)" = 0 ]
}

@test "bronze is enough: what has left the landing directory stays, and all else is made from it" {
    flow events
    digest lake >want
    rm -rf lake/state lake/silver lake/gold lake/rejects landing/events/2026/02/03
    flow events
    digest lake >got
    same want got
}

@test "any name of a landing file is a name, to make and to the shell" {
    mkdir odd
    for name in 'a b' ' a ' 'a+20b' "it's" 'p%c' 'c:d' '$e$(touch ran)' '`touch ran`' 'h#i' 's*r[a]' '(e)' 'a;touch ran' 'a&b|c' 'a\b' '~t' \
        -dash 'k=1/x' $'a\nb' $'end\n' $'\377latin' é 'a"b'; do
        mkdir -p "odd/$(dirname -- "./$name")"
        sed "s|\"event_id\":\"|&$((++n))-|" "$SAMPLES/events.ndjson" >"odd/./$name"
    done
    mkdir -p odd/_temporary && cp "$SAMPLES/bad.ndjson" odd/_temporary/x && cp "$SAMPLES/bad.ndjson" odd/.half-written
    flow events LANDING=odd
    [ "$(find lake/bronze -type f | wc -l)" = "$n" ] && [ ! -e ran ]
    find lake/bronze -name '*.gz' -exec cdp-cat --unwrap {} + | sort >got
    find odd ! -name '.*' ! -path '*/_*' -type f -exec cat {} + | sort >want
    same want got
    age
    flow events LANDING=odd
    [ -z "$(find lake -name '*.gz' -newer stamp)" ]
}

@test "no landing files: an empty lake, and standard input is not read; no landing directory, or a lake in it: an error" {
    mkdir none
    for f in users events; do
        flow $f LANDING=none < <(sleep 60)
    done
    for f in users_current users_history user_activity daily_active_users; do
        [ "$(rows $f | wc -c)" = 0 ]
    done
    rm -rf lake
    run --separate-stderr flow users LANDING=nowhere
    [ "$status" = 2 ] && [ "${stderr_lines[0]}" = 'landing: nowhere: no such directory' ]
    run --separate-stderr flow users LANDING=. LAKE=lake
    [ "$status" = 2 ] && [ "${stderr_lines[0]}" = 'landing: lake: the lake is among the landing files' ]
    run --separate-stderr flow users LAKE='a lake'
    [ "$status" = 2 ] && [[ ${stderr_lines[0]} == "landing: the lake's path has something other than "* ]]
    [ ! -e lake ] && [ ! -e a ]
}

# The change events in `all`, shuffled, and a part delivered again with later read times, in three files: the current state
# is that in `current` all the same.
lands_differently()
{
    local seed
    for seed in 1 2 3; do
        rm -rf lake landing/users && mkdir -p landing/users
        awk -v s=$seed 'BEGIN { srand(s) } rand() < 0.05' all |
            sed -E 's/("read_timestamp": ?")2026-/\12027-/' >again
        [ -s again ]
        cat all again | shuf --random-source=<(yes $seed) >shuffled
        split -n l/3 shuffled landing/users/part-
        flow users -j2
        rows users_current >got
        same current got
    done
}

@test "-j2 and one at a time agree; so do the ways the same data lands" {
    flow users
    flow events
    digest lake >want
    rm -rf lake
    flow users -j2
    flow events -j2
    digest lake >got
    same want got
    rows users_current >current
    tar xzOf "$SAMPLES/landing/users/users.tar.gz" >all
    lands_differently
}

@test "a backfill rebuilds a range of days, to the same bytes" {
    flow events
    digest lake >want
    age
    flow events backfill FROM=2026-02-03 TO=2026-02-03
    [ "$(find lake/silver -name '*.gz' -newer stamp)" = lake/silver/events/year=2026/month=02/day=03/events.ndjson.gz ]
    digest lake >got
    same want got
    run flow events backfill
    [ "$status" -eq 2 ]
    run flow events backfill FROM=2026-2-3
    [ "$status" -eq 2 ]
    [ "${lines[0]}" = 'partitions: FROM and TO are days, YYYY-MM-DD' ]
}

@test "malformed landing lines are in bronze and in the rejects, and everything else goes on" {
    cp "$SAMPLES/bad.ndjson" landing/events/bad.ndjson
    flow events
    cdp-cat --unwrap lake/bronze/events/bad.ndjson.ndjson.gz | cmp - landing/events/bad.ndjson
    [ "$(wc -l <lake/rejects/events/bad.ndjson.ndjson)" -gt 3 ]
    [ "$(rows user_activity | wc -l)" -gt 10 ]
}

@test "the audit log balances at every step" {
    flow users
    flow events
    for f in users events; do
        [ "$(jq -c 'select(.in != .out + .dropped + .rejected)' lake/audit/$f.ndjson)" = '' ]
        [ "$(wc -l <lake/audit/$f.ndjson)" -gt 5 ]
    done
}

# Kills a flow with -9 at an instant, in a session of its own so that every process of it is hit, and runs it again, on a copy
# of the lake $3 where there is one.
killed()
{
    rm -rf lake
    [ ! -d "$3" ] || cp -a "$3" lake
    # The pipe ends when the last of them is gone: until then its temporary file is a living process's and is not swept away.
    [ -p gone ] || mkfifo gone
    cat gone >/dev/null &
    local last=$!
    setsid make --no-print-directory -s -j2 -f "$ROOT/pipelines/$1.mk" LANDING="$PWD/landing/$1" LAKE=lake >gone 2>&1 &
    local pid=$!
    sleep "$2"
    ! kill -9 -- -$pid 2>/dev/null || hit=$((hit + 1))
    wait $pid 2>/dev/null || true
    wait $last
    flow "$1"
    digest lake >got
    same "want.$1" got
    [ -z "$(find lake -name '.*.cdp-*')" ]
}

@test "killed with -9 at 50 instants and run again: the same bytes" {
    local base hit=0
    rm -rf landing/events/2026/02/03/{04..23} # fewer files, so that 50 runs end in reasonable time
    tar xzf landing/users/users.tar.gz -C landing/users && rm landing/users/users.tar.gz
    for f in users events; do
        # A lake that has yet to see that one file is new and another has other records, of other days.
        mkdir aside
        late=$(find landing/$f -type f | sort | head -n 1) changed=$(find landing/$f -type f | sort | tail -n 1)
        mv "$late" aside/late && mv "$changed" aside/changed
        sed 's/2026-02-0/2026-03-0/g' "$SAMPLES/$f.ndjson" >"$changed"
        rm -rf lake && flow $f -j2 && rm -rf base.$f && mv lake base.$f
        mv aside/late "$late" && mv aside/changed "$changed" && rmdir aside
        begun=$(date +%s%N)
        flow $f -j2
        took=$((($(date +%s%N) - begun) / 1000000))
        digest lake >want.$f
        for i in $(seq 25); do
            base=base.$f
            [ $((i % 2)) = 0 ] || base=none
            killed $f "$(awk -v ms=$took -v i="$i" 'BEGIN { srand(i); printf "%.3f", rand() * ms / 1000 }')" $base
        done
    done
    # Most were still at work then.
    echo "$hit of 50" && [ $hit -ge 10 ]
}

@test "the status of a step is that of the program that failed, 3 before any other" {
    step=$ROOT/pipelines/step
    run "$step" -- '(exit 1) | cat'
    [ "$status" = 1 ]
    run "$step" -- '(exit 3) | (cat; exit 1)'
    [ "$status" = 3 ]
    run "$step" -- '(exit 1) | (exit 3)'
    [ "$status" = 3 ]
    run "$step" -- 'false; echo never'
    [ "$status" = 1 ] && [ "$output" = '' ]
    run "$step" -- 'mkdir none/below'
    [ "$status" = 3 ]
    CDP_STEP_STATUS=8 run "$step" -- 'exit 1' 8>said
    [ "$(cat said)" = 1 ]
}

@test "nightly: lock, run id, audit, retries after 3, notify" {
    unset CDP_RUN_ID
    printf '#!/bin/sh\necho "$@" >>notified\n' >notify && chmod +x notify
    export CDP_DELAY=0 CDP_RETRIES=2 CDP_NOTIFY=$PWD/notify
    args=(LANDING="$PWD/landing/users" LAKE="$PWD/lake" -s)
    run --separate-stderr env CDP_RUN_ID=night1 "$ROOT/pipelines/nightly" users "${args[@]}"
    [ "$status" -eq 0 ]
    [ "$(jq -r '[.flow,.run_id,.status,.tries]|@csv' lake/audit/runs.ndjson)" = '"users","night1",0,1' ]
    [ "$(jq -r .run_id lake/audit/users.ndjson | sort -u)" = night1 ]
    [ ! -e notified ]
    # a step that ends with 3 is tried again, and told of at the end
    rm -rf lake/gold
    mkdir bin && printf '#!/bin/sh\nexit 3\n' >bin/cdp-snapshot && chmod +x bin/cdp-snapshot
    PATH=$PWD/bin:$PATH run --separate-stderr env CDP_RUN_ID=night2 "$ROOT/pipelines/nightly" users "${args[@]}"
    [ "$status" -eq 3 ]
    [ "$(tail -n 1 lake/audit/runs.ndjson | jq -c '[.status,.tries]')" = '[3,3]' ]
    [ "$(cat notified)" = 'users night2 3' ]
    # what is no use trying again is not
    printf '#!/bin/sh\nexit 1\n' >bin/cdp-snapshot
    PATH=$PWD/bin:$PATH run --separate-stderr env CDP_RUN_ID=night3 "$ROOT/pipelines/nightly" users "${args[@]}"
    [ "$status" -eq 1 ]
    [ "$(tail -n 1 lake/audit/runs.ndjson | jq -c '[.status,.tries]')" = '[1,1]' ]
    [ "$(tail -n 1 notified)" = 'users night3 1' ]
    # a cause that passes is got over
    printf '#!/bin/sh\n[ -e tried ] && exec "%s" "$@"\ntouch tried\nexit 3\n' "$(command -v cdp-snapshot)" >bin/cdp-snapshot
    PATH=$PWD/bin:$PATH run --separate-stderr env CDP_RUN_ID=night4 "$ROOT/pipelines/nightly" users "${args[@]}"
    [ "$status" -eq 0 ]
    [ "$(tail -n 1 lake/audit/runs.ndjson | jq -c '[.status,.tries]')" = '[0,2]' ]
    [ "$(wc -l <notified)" = 2 ]
    # another run at work
    flock lake/state/users.lock sleep 60 &
    for _ in $(seq 100); do flock -n lake/state/users.lock true || break; sleep 0.05; done
    run --separate-stderr "$ROOT/pipelines/nightly" users "${args[@]}"
    [ "$status" -eq 75 ]
    kill %1
    run --separate-stderr "$ROOT/pipelines/nightly" nosuch
    [ "$status" -eq 2 ]
    run --separate-stderr env CDP_RUN_ID='a"b' "$ROOT/pipelines/nightly" users "${args[@]}"
    [ "$status" -eq 2 ]
    run --separate-stderr env CDP_RETRIES=often "$ROOT/pipelines/nightly" users "${args[@]}"
    [ "$status" -eq 2 ]
}

@test "nightly: where only the script is killed, its programs keep the lock until they are done" {
    mkdir bin && printf '#!/bin/sh\ntouch begun\nwhile [ ! -e go ]; do sleep 0.05; done\nexec "%s" "$@"\n' \
        "$(command -v cdp-snapshot)" >bin/cdp-snapshot && chmod +x bin/cdp-snapshot
    args=(LANDING="$PWD/landing/users" -s)
    PATH=$PWD/bin:$PATH LAKE=$PWD/lake "$ROOT/pipelines/nightly" users "${args[@]}" &
    for _ in $(seq 600); do [ ! -e begun ] || break; sleep 0.05; done
    kill -9 $! && wait $! || true
    LAKE=$PWD/lake run --separate-stderr "$ROOT/pipelines/nightly" users "${args[@]}"
    [ "$status" -eq 75 ] && [ "$stderr" = 'nightly: users: another run is at work' ]
    touch go
    flock lake/state/users.lock true # when all of them have ended
    [ "$(rows users_current | wc -l)" -gt 100 ]
}

@test "nightly: two at once, one of them at work" {
    args=(users LANDING="$PWD/landing/users" LAKE="$PWD/lake" -s)
    flow users LAKE=want && digest want >want.users
    for i in 1 2 3; do
        (CDP_RUN_ID=test "$ROOT/pipelines/nightly" "${args[@]}" 2>/dev/null; echo $? >status.$i) &
    done
    wait
    grep -qx 0 status.* && [ -z "$(cat status.* | grep -vx -e 0 -e 75)" ]
    digest lake >got
    same want.users got
}

@test "nightly: a full disk is worth another try, and does no harm" {
    unshare -rm true 2>/dev/null || skip 'no mount for users here'
    flow events && digest lake >want
    export landing=$PWD/landing/events CDP_DELAY=0 CDP_RETRIES=1
    # shellcheck disable=SC2016
    unshare -rm bash -c 'mkdir disk && mount -t tmpfs -o size=100k none disk || exit 99
        for size in 100k 200k 300k 400k 2m; do
            mount -o remount,size=$size disk
            "$ROOT/pipelines/nightly" events LANDING="$landing" LAKE=disk -s -j2 2>>said
            echo $?
        done >statuses
        cp -R disk lake.disk'
    [ "$(sort statuses | uniq -c | awk '{ print $2 "×" $1 }' | tr '\n' ' ')" = '0×1 3×4 ' ] || { cat statuses said; false; }
    digest lake.disk >got
    same want got
}

@test "real data: the published answers" {
    need_shared users-cdc.tar.gz
    rm -rf landing/users && mkdir -p landing/users && cp "$SHARED/users-cdc.tar.gz" landing/users/
    flow users -j2
    [ "$(rows users_current | wc -l)" -eq 18997 ]
    rows users_current | cdp-agg --where '.email_domain == "gmail.com"' --by .country 'n=count()' >by_country
    [ "$(jq -s 'map(.n) | add' by_country)" -eq 5772 ]
    [ "$(jq -sc 'sort_by(-.n, .country) | .[:4] | map([.country, .n])' by_country)" = \
        '[["DE",1172],["CH",235],["ES",228],["GB",228]]' ]
    rows users_current >current
    tar xzOf "$SHARED/users-cdc.tar.gz" --wildcards '*.jsonl' >all
    lands_differently
}
