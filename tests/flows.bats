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

# Everything that was made becomes a minute old, in the order of what depends on what.
age()
{
    find landing -exec touch -d '9 minutes ago' {} +
    find lake/bronze -name '*.gz' -exec touch -d '8 minutes ago' {} +
    find lake/state -type f -exec touch -d '7 minutes ago' {} +
    find lake/silver_pii lake/silver -name '*.gz' -exec touch -d '6 minutes ago' {} + 2>/dev/null || true
    find lake/gold/fact_user_activity -name '*.gz' -exec touch -d '5 minutes ago' {} +
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
    digest lake >incremental
    rm -rf lake
    flow events
    digest lake >whole
    same incremental whole
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

# Kills a flow with -9 at an instant, in a session of its own so that every process of it is hit, and runs it again.
killed()
{
    rm -rf lake
    setsid make --no-print-directory -s -j2 -f "$ROOT/pipelines/$1.mk" LANDING="$PWD/landing/$1" LAKE=lake \
        >/dev/null 2>&1 &
    local pid=$!
    sleep "$2"
    kill -9 -- -$pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    flow "$1"
    digest lake >got
    same "want.$1" got
    [ -z "$(find lake -name '.*.cdp-*')" ]
}

@test "killed with -9 at 50 instants and run again: the same bytes" {
    rm -rf landing/events/2026/02/03/{04..23} # fewer files, so that 50 runs end in reasonable time
    for f in users events; do
        rm -rf lake
        begun=$(date +%s%N)
        flow $f -j2
        took=$((($(date +%s%N) - begun) / 1000000))
        digest lake >want.$f
        for i in $(seq 25); do
            killed $f "$(awk -v ms=$took -v i="$i" 'BEGIN { srand(i); printf "%.3f", rand() * ms / 1000 }')"
        done
    done
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
    # another run at work
    flock lake/state/users.lock sleep 60 &
    for _ in $(seq 100); do flock -n lake/state/users.lock true || break; sleep 0.05; done
    run --separate-stderr "$ROOT/pipelines/nightly" users "${args[@]}"
    [ "$status" -eq 75 ]
    kill %1
    run --separate-stderr "$ROOT/pipelines/nightly" nosuch
    [ "$status" -eq 2 ]
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
