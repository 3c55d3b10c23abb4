load common

run_tool() { run --separate-stderr "$@"; }

# ALL: every function, over product events.
ALL=('n=count()' 'amounts=count(.metadata.amount)' 'total=sum(.metadata.amount)' 'avg(.metadata.amount)' 'stddev(.metadata.amount)'
    'first=min(.event_timestamp)' 'max(event_timestamp)' 's=count_distinct(.session_id)' 'a=approx_count_distinct(.session_id)'
    'h=hll(.session_id,8)' 'eur=count() where .metadata.currency=="EUR"' 'median(.metadata.amount)' 'q9=quantile(metadata.amount, 0.9)'
    'mode(.metadata.currency)' 'top(.metadata.page,3)' 'histogram(.metadata.amount, 100)' 'hb=histogram(.metadata.amount,[0,100,500])'
    'any(.metadata.amount>400)' 'all(.metadata.amount>0)' 'f=first(.event_id, event_timestamp:time,event_id)'
    'l=last(.event_id, event_timestamp:time,event_id)' 'c=collect(.session_id,3,event_timestamp:time:desc)'
    'cd=collect_distinct(.session_id,3)' 'mb=max_by(.metadata,event_timestamp)')

events()
{
    "$BUILD/generate" --kind events --records "$1" --seed 5 --users "${2:-300}"
}

# --- groups

@test "groups come in the order of their keys, once each whatever their spelling" {
    printf '%s\n' '{"k":"b"}' '{"k":[1]}' '{"k":1e0}' '{"k":null}' '{"k":"a"}' '{"k":1.0}' '{"k":true}' '{}' '{"k":"\u0061"}' \
        '{"k":{"b":1,"a":2}}' '{"k":{"a":2.0,"b":1}}' '{"k":9007199254740993}' '{"k":9007199254740992}' '{"k":"\ud83d"}' >in
    run_tool cdp-agg --by k 'count()' in
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$output" = '{"k":null,"count":2}
{"k":true,"count":1}
{"k":1,"count":2}
{"k":9007199254740992,"count":1}
{"k":9007199254740993,"count":1}
{"k":"a","count":2}
{"k":"b","count":1}
{"k":"\ud83d","count":1}
{"k":[1],"count":1}
{"k":{"a":2,"b":1},"count":2}' ]
}

@test "an item from the end of an array keeps its digits" {
    printf '{"t":%s}\n' '[9007199254740993]' '[1,9007199254740992]' '[]' '"x"' 'null' >in
    run_tool cdp-agg --by 'k=.t[-1]' 'n=count()' in
    [ "$status" -eq 0 ] && [ -z "$stderr" ]
    [ "$output" = '{"k":null,"n":3}
{"k":9007199254740992,"n":1}
{"k":9007199254740993,"n":1}' ]
}

@test "several keys, expressions, names of one's own and given ones" {
    printf '%s\n' '{"u":{"id":2},"x":-7}' '{"u":{"id":1},"x":7}' '{"u":{"id":2},"x":7}' >in
    run_tool cdp-agg -b u.id --by 'positive=.x > 0' --by '.x % 2' 'count()' 'sum(x)' 'odd name? no: s-1=max(.u.id)' in
    [ "$status" -eq 3 ]
    run_tool cdp-agg -b u.id --by 'positive=.x > 0' --by '.x + 1' 'count()' 'sum(x)' 's-1=max(.u.id)' in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1,"positive":true,".x + 1":8,"count":1,"sum_x":7,"s-1":1}
{"id":2,"positive":false,".x + 1":-6,"count":1,"sum_x":-7,"s-1":2}
{"id":2,"positive":true,".x + 1":8,"count":1,"sum_x":7,"s-1":2}' ]
}

@test "without --by there is one row, for no input as well; with it, none" {
    run_tool cdp-agg "${ALL[@]}" /dev/null
    [ "$status" -eq 0 ]
    [ "$output" = '{"n":0,"amounts":0,"total":null,"avg_amount":null,"stddev_amount":null,"first":null,"max_event_timestamp":null,"s":0,"a":0,"h":"\\x11887f","eur":0,"median_amount":null,"q9":null,"mode_currency":null,"top_page":[],"histogram_amount":[],"hb":[{"from":null,"to":0,"count":0},{"from":0,"to":100,"count":0},{"from":100,"to":500,"count":0},{"from":500,"to":null,"count":0}],"any":false,"all":true,"f":null,"l":null,"c":[],"cd":[],"mb":null}' ]
    for mode in --sorted '-S 1K'; do
        # shellcheck disable=SC2086
        cdp-agg $mode "${ALL[@]}" </dev/null | cmp - <(echo "$output")
    done
    run_tool cdp-agg --by k 'count()' /dev/null
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
    run_tool cdp-agg --by k </dev/null
    [ "$status" -eq 0 ]
}

@test "--by alone lists the distinct keys" {
    printf '%s\n' '{"k":2}' '{"k":1}' '{"k":2}' >in
    run_tool cdp-agg --by k in
    [ "$output" = '{"k":1}
{"k":2}' ]
}

@test "all functions on the samples" {
    run_tool cdp-agg --by event_type "${ALL[@]}" "$SAMPLES/events.ndjson"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    golden cdp-agg/all.ndjson
}

@test "what jq says" {
    need jq
    cdp-agg --by event_type 'n=count()' 'amounts=count(.metadata.amount)' 'min=min(.metadata.amount)' 'max=max(.metadata.amount)' \
        'sessions=count_distinct(.session_id)' 'any=any(.metadata.amount > 300)' 'all=all(.metadata.amount)' \
        'first=first(.event_id, event_timestamp, event_id)' 'last=max_by(.event_id, event_timestamp, event_id)' \
        'users=collect_distinct(.user_id, 1000)' 'times=collect(.event_timestamp, 1000)' 'some=collect(.user_id, 2)' \
        'cents=sum(.metadata.amount * 100) where .metadata.amount != null' 'mode=mode(.user_id)' 'top=top(.user_id, 3)' 'bins=histogram(.metadata.amount, 50)' \
        'eur=count() where .metadata.currency == "EUR"' "$SAMPLES/events.ndjson" >got
    jq -cs 'def amounts: map(.metadata.amount | values);
        def ranked: group_by(.user_id) | map({value: .[0].user_id, count: length}) | sort_by(-.count, .value);
        group_by(.event_type)[] | {event_type: .[0].event_type, n: length, amounts: amounts | length, min: amounts | min,
            max: amounts | max, sessions: map(.session_id) | unique | length, any: any(.[]; .metadata.amount > 300),
            all: all(.[]; .metadata.amount), first: min_by([.event_timestamp, .event_id]).event_id,
            last: max_by([.event_timestamp, .event_id]).event_id, users: map(.user_id) | unique,
            times: map(.event_timestamp) | sort, some: map(.user_id) | sort[:2],
            cents: (amounts | if length > 0 then map(. * 100 | round) | add else null end), mode: ranked[0].value, top: ranked[:3],
            bins: (amounts | group_by(. / 50 | floor) | map((.[0] / 50 | floor) as $k | {from: ($k * 50), to: ($k * 50 + 50), count: length})),
            eur: map(select(.metadata.currency == "EUR")) | length}' "$SAMPLES/events.ndjson" >want
    jq -c . got | cmp - want
}

# --- values

@test "min, max, first, mode and what is collected keep their bytes" {
    printf '%s\n' '{"v":1.10,"t":1}' '{"v":1E2,"t":2}' '{"v":"\u0041\/","t":3}' '{"v":12345678901234567890,"t":4}' \
        '{"v":{ "b":1.0,"a":[ ] },"t":5}' '{"v":"\u0041\/","t":6}' >in
    run_tool cdp-agg 'min(v)' 'max(v)' 'first(v,t)' 'last(v,t)' 'mode(v)' 'top(v,2)' 'collect(v,9)' 'median(v) ' in
    [ "$status" -eq 1 ]
    [ "$stderr" = 'cdp-agg: in:3: median_v: not a number' ]
    run_tool cdp-agg 'min(v)' 'max(v)' 'first(v,t)' 'last(v,t)' 'mode(v)' 'top(v,2)' 'collect(v,9)' 'median(v) where .t < 3' in
    [ "$status" -eq 0 ]
    [ "$output" = '{"min_v":1.10,"max_v":{ "b":1.0,"a":[ ] },"first_v":1.10,"last_v":"\u0041\/","mode_v":"\u0041\/","top_v":[{"value":"\u0041\/","count":2},{"value":1.10,"count":1}],"collect_v":[1.10,1E2,12345678901234567890,"\u0041\/","\u0041\/",{ "b":1.0,"a":[ ] }],"median_v":1.10}' ]
}

@test "sums are exact, at any size and in any order" {
    printf '%s\n' '{"x":0.1}' '{"x":0.2}' '{"x":1e400}' '{"x":-9007199254740993}' '{"x":9007199254740992}' '{"x":-1e400}' '{"x":1E-30}' \
        '{"x":99999999999999999999999999}' '{"x":-99999999999999999999999999}' '{"x":null}' >in
    for _ in 1 2 3; do
        run_tool cdp-agg 'sum(x)' 'n=count(x)' in
        [ "$status" -eq 0 ]
        [ "$output" = '{"sum_x":-0.699999999999999999999999999999,"n":9}' ]
        shuf in >other && mv other in
    done
    yes '{"x":0.1,"y":9007199254740993}' | head -n 1000000 >in
    run_tool cdp-agg 'sum(x)' 'sum(y)' 'avg(y)' 'stddev(y)' in
    [ "$output" = '{"sum_x":100000,"sum_y":9007199254740993000000,"avg_y":9007199254740993,"stddev_y":0}' ]
}

@test "averages and deviations are rounded once, half to even, to 18 digits" {
    printf '{"x":%s}\n' 2 4 4 4 5 5 7 9 >in # a variance of 32/7
    run_tool cdp-agg 'avg(x)' 'stddev(x)' 'a=avg(.x / 8) where .x == 5' 's=stddev(x) where .x == 5' 'one=stddev(x) where .x == 2' in
    [ "$output" = '{"avg_x":5,"stddev_x":2.13808993529939508,"a":0.625,"s":0,"one":null}' ]
    printf '{"x":%s}\n' 1 1.00000000000000001 >in
    run_tool cdp-agg 'avg(x)' 'd=avg(.x - 1)' 'stddev(x)' in
    [ "$output" = '{"avg_x":1,"d":0.000000000000000005,"stddev_x":0.00000000000000000707106781186547524}' ]
}

@test "averages of the least and the greatest numbers that are taken" {
    printf '%s\n' '{"k":1,"x":1e-6144}' '{"k":1,"x":0}' '{"k":1,"x":-0}' '{"k":2,"x":9e6144}' '{"k":2,"x":1e-6144}' '{"k":2,"x":1e6144}' >in
    run_tool cdp-agg --by k 'avg(x)' in
    [ "$status" -eq 0 ]
    [ "$output" = '{"k":1,"avg_x":3.33333333333333333E-6145}
{"k":2,"avg_x":3.33333333333333333E+6144}' ]
    run_tool cdp-agg --by k --partial 'avg(x)' in
    printf '%s\n' "${lines[@]}" | cdp-agg --by k --merge 'avg(x)' | cmp - <(cdp-agg --by k 'avg(x)' in)
}

@test "a sum of what is no number is a bad record; text with digits is none" {
    printf '%s\n' '{"x":1}' '{"x":"2"}' >in
    run_tool cdp-agg 'total=sum(x)' in
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ "$stderr" = 'cdp-agg: in:2: total: not a number' ]
    run_tool cdp-agg 'total=sum(x)' 'count()' --rejects bad --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"total":1,"count":1}' ]
    [ "$stderr" = 'cdp-agg: 1 of 2 records rejected, see bad' ]
    [ "$(jq -r '.error, .line, .raw' bad)" = 'total: not a number
2
{"x":"2"}' ]
    balanced stats
    run_tool cdp-agg 'sum(x)' --rejects bad2 --max-rejects 0 in
    [ "$status" -eq 1 ]
}

@test "where leaves records out of one aggregate, --where out of all" {
    printf '%s\n' '{"x":1,"y":1}' '{"x":2,"y":0}' '{"x":"no","y":2}' >in
    run_tool cdp-agg --where '.y < 2' --stats stats 'n=count()' 'ones=count()where(.y==1)' 's=sum(x) where .y > 0' in
    [ "$status" -eq 0 ]
    [ "$output" = '{"n":2,"ones":1,"s":1}' ]
    [ "$(stat_of stats dropped)" = 1 ] && [ "$(stat_of stats out)" = 2 ]
    balanced stats
}

@test "strings and brackets in operands are not their end" {
    printf '%s\n' '{"x":"a),b","y":[1,2]}' '{"x":"where","y":[]}' >in
    run_tool cdp-agg 'n=count() where .x == "a),b"' 'm=max([.x, "(,"])' 'l=sum(.y | length)' 't=max("\(.z // ",)")!")' in
    [ "$status" -eq 0 ]
    [ "$output" = '{"n":1,"m":["where","(,"],"l":2,"t":",)!"}' ]
    # A name that a NUL would cut short is not that of the shorter key.
    printf '%s\n' '{"a\u0000b":1,"a":2}' >in
    run_tool cdp-agg --by a --by '.["a\u0000b"]' in
    [ "$status" -eq 0 ]
    [ "$output" = '{"a":2,".[\"a\\u0000b\"]":1}' ]
}

@test "quantiles are values of the group, within one percent" {
    seq 1 10000 | sed 's/.*/{"x":&,"y":-&.5}/' >in
    run_tool cdp-agg 'a=quantile(x,0)' 'b=quantile(x,0.25)' 'c=median(x)' 'd=quantile(x,0.99)' 'e=quantile(x,1)' 'f=median(y)' in
    [ "$status" -eq 0 ]
    [ "$output" = '{"a":1,"b":2500,"c":5000,"d":9880,"e":10000,"f":-5039.5}' ]
}

@test "sketches are PostgreSQL's" {
    printf '%s\n' '{"v":"a"}' '{"v":1}' '{"v":1.0}' '{"v":true}' '{"v":1.5}' '{"v":null}' >in
    run_tool cdp-agg 'n=approx_count_distinct(v)' 'hll(v)' 'h=hll(v,4,6)' in
    [ "$status" -eq 0 ]
    golden cdp-agg/hll.ndjson
    seq 100000 | sed 's/.*/{"v":&}/' >in
    run_tool cdp-agg 'n=approx_count_distinct(v)' 'm=approx_count_distinct(v,14)' in
    [ "$output" = '{"n":96663,"m":100018}' ]
}

@test "time buckets in UTC and in a zone" {
    printf '%s\n' '{"t":"2026-02-01T23:30:00Z"}' '{"t":"2026-02-02T00:10:00+01:00"}' '{"t":"2026-03-01T00:00:00Z"}' >in
    run_tool cdp-agg --by 'd=day(.t)' 'count()' in
    [ "$output" = '{"d":"2026-02-01","count":2}
{"d":"2026-03-01","count":1}' ]
    run_tool cdp-agg --tz Asia/Kathmandu --by 'd=day(.t)' --by 'h=hour(.t)' 'w=min(week(.t))' 'm=max(month(.t))' in
    [ "$output" = '{"d":"2026-02-02","h":"2026-02-02T04:00:00+05:45","w":"2026-02-02","m":"2026-02"}
{"d":"2026-02-02","h":"2026-02-02T05:00:00+05:45","w":"2026-02-02","m":"2026-02"}
{"d":"2026-03-01","h":"2026-03-01T05:00:00+05:45","w":"2026-02-23","m":"2026-03"}' ]
    # The days of the changes have 23 and 25 hours, and the hour that comes twice is two buckets.
    for day in 28 29 30; do for h in {00..23}; do printf '{"t":"2026-03-%s:00:00Z"}\n' "${day}T$h"; done; done >in
    for day in 24 25 26; do for h in {00..23}; do printf '{"t":"2026-10-%s:00:00Z"}\n' "${day}T$h"; done; done >>in
    run_tool cdp-agg --tz Europe/Berlin --by 'd=day(.t)' 'n=count()' 'h=count_distinct(hour(.t))' in
    [ "$output" = '{"d":"2026-03-28","n":23,"h":23}
{"d":"2026-03-29","n":23,"h":23}
{"d":"2026-03-30","n":24,"h":24}
{"d":"2026-03-31","n":2,"h":2}
{"d":"2026-10-24","n":22,"h":22}
{"d":"2026-10-25","n":25,"h":25}
{"d":"2026-10-26","n":24,"h":24}
{"d":"2026-10-27","n":1,"h":1}' ]
    run_tool cdp-agg --tz Europe/Berlin --where '.t >= "2026-10-25T00" and .t < "2026-10-25T02"' --by 'h=hour(.t)' 'n=count()' in
    [ "$output" = '{"h":"2026-10-25T02:00:00+01:00","n":1}
{"h":"2026-10-25T02:00:00+02:00","n":1}' ]
    run_tool cdp-agg --tz Nowhere/Land 'count()' in
    [ "$status" -eq 2 ]
}

# --- the same answer, however it is run

@test "threads, memory, order and pieces change no byte" {
    events 20000 >in
    for by in '' '--by user_id' '--by user_id --by event_type'; do
        # shellcheck disable=SC2086
        {
            cdp-agg $by "${ALL[@]}" in >want
            for how in '--threads 1' '--threads 4' '-S 1K' '-S 2M -T tmp' '-S 1M --threads 3'; do
                cdp-agg $by "${ALL[@]}" $how in >got && same want got && [ -z "$(ls -A tmp)" ]
            done
            shuf --random-source=in in >other && cdp-agg $by "${ALL[@]}" other >got && same want got
            rm -f piece.* && split -n l/9 in piece.
            for p in piece.*; do cdp-agg $by "${ALL[@]}" --partial "$p"; done | shuf --random-source=in >states
            cdp-agg $by "${ALL[@]}" --merge states >got && same want got
            cdp-agg $by "${ALL[@]}" --merge -S 1K states >got && same want got
            # A state of states is the state of all.
            cdp-agg $by "${ALL[@]}" --partial in >all
            split -n r/3 states some.
            for s in some.*; do cdp-agg $by "${ALL[@]}" --merge --partial "$s"; done | cdp-agg $by "${ALL[@]}" --merge --partial >got
            same all got
            cdp-agg $by "${ALL[@]}" --partial -S 1K in >got && same all got
        }
    done
}

@test "runs of one key, of any length, with bad records at their ends" {
    awk 'BEGIN { srand(3); for (i = 0; i < 3000; i++) {
        k = int(rand() * 50); n = int(rand() * rand() * 60) + 1; plain = rand() < 0.5
        while (n--) { printf "{\"k\":\"%d\",\"b\":%s,\"x\":%d,\"s\":\"%d\"}\n", k, plain ? "1" : "1.0", n, n % 9 }
        if (rand() < 0.5) { k = int(rand() * 50); printf "{\"k\":\"%d\",\"b\":1,\"x\":\"bad\",\"s\":\"bad\"}\n", k; printf "{\"k\":\"%d\",\"b\":1,\"x\":1000,\"s\":\"0\"}\n", k } } }' >in
    jq -cs 'map(select(.x != "bad")) | group_by(.k)[] | {k: .[0].k, b: 1, n: length, x: map(.x) | add, s: map(.s) | unique | length}' in >want
    for how in '--threads 1' '--threads 4' '-S 1K'; do
        # shellcheck disable=SC2086
        rm -f bad
        cdp-agg $how --rejects bad --by k --by b 'n=count()' 'x=sum(x)' 's=count_distinct(s)' in >got
        same want got && [ "$(wc -l <bad)" -eq "$(grep -c bad in)" ]
    done
    cdp-order -k k in >sorted
    cdp-agg --sorted --rejects bad --by k --by b 'n=count()' 'x=sum(x)' 's=count_distinct(s)' sorted >got && same want got
}

@test "--sorted gives the same, a group at a time" {
    events 20000 >in
    cdp-order -k user_id,event_type in >sorted
    cdp-agg --by user_id --by event_type "${ALL[@]}" in >want
    for t in 1 4; do
        cdp-agg --sorted --threads $t --by user_id --by event_type "${ALL[@]}" sorted >got && same want got
    done
    cdp-agg --sorted --partial --by user_id --by event_type "${ALL[@]}" sorted |
        cdp-agg --sorted --merge --by user_id --by event_type "${ALL[@]}" >got && same want got
    cdp-agg --sorted 'count()' in | cmp - <(cdp-agg 'count()' in)
}

@test "--sorted ends where a key comes back, with the line" {
    { seq 1 100000 | sed 's/.*/{"k":&}/' && echo '{"k":99999}' && echo '{"k":100001}'; } >in
    run_tool cdp-agg --sorted --by k 'count()' -o out in
    [ "$status" -eq 1 ]
    [ "$stderr" = 'cdp-agg: in:100001: the group keys are not in order' ]
    [ ! -e out ]
}

@test "two prefixes and many groups below each: ranges of keys that their first bytes do not tell apart" {
    awk 'BEGIN { for (i = 0; i < 50000; i++) { k = (i * 7919) % 50000; printf "{\"k\":\"%s0000000000000000%06d\"}\n", k % 3 ? "a" : "b", k } }' >in
    cdp-agg --by k 'count()' in >out
    jq -r '"{\"k\":\"\(.k)\",\"count\":1}"' in | LC_ALL=C sort | cmp - out
    cdp-agg --threads 1 --by k 'count()' in | cmp - out
}

@test "65,537 and more groups and values; keys that share long prefixes" {
    awk 'BEGIN { for (i = 0; i < 70000; i++) printf "{\"k\":\"a-long-common-prefix-%05d\",\"v\":%d}\n", (i * 7919) % 70000, i % 33000 }' >in
    cdp-agg --by k 'count()' 'max(v)' in >got
    awk '{ split($0, f, /[":,}]+/); print f[3], f[5] }' in | sort | awk '{ printf "{\"k\":\"%s\",\"count\":1,\"max_v\":%s}\n", $1, $2 }' >want
    same want got
    cdp-agg --by k 'count()' 'max(v)' -S 1M in >got && same want got
    run_tool cdp-agg 'count_distinct(k)' 'd=count_distinct(v)' 'top(v,1)' 'mode(k)' in
    [ "$output" = '{"count_distinct_k":70000,"d":33000,"top_v":[{"value":0,"count":3}],"mode_k":"a-long-common-prefix-00000"}' ]
    run_tool cdp-agg 'count_distinct(k)' 'd=count_distinct(v)' 'top(v,1)' 'mode(k)' -S 64K in
    [ "$output" = '{"count_distinct_k":70000,"d":33000,"top_v":[{"value":0,"count":3}],"mode_k":"a-long-common-prefix-00000"}' ]
}

@test "values that have to be encoded to be compared, in many groups at a time" {
    awk 'BEGIN { for (i = 0; i < 60000; i++) printf "{\"k\":%d,\"v\":{\"a\":\"\\u0041%d\",\"b\":[%d]}}\n", i % 20000, (i * 7919) % 999, i % 7 }' >in
    cdp-agg --threads 1 --by k 'c=collect(v,2)' 'd=collect_distinct(.v.a,3)' in >want
    jq -cs 'group_by(.k)[] | {k: .[0].k, c: map(.v) | sort[:2], d: map(.v.a) | unique[:3]}' in | cmp - <(jq -c . want)
    for t in 2 8; do
        cdp-agg --threads $t --by k 'c=collect(v,2)' 'd=collect_distinct(.v.a,3)' in >got && same want got
        cdp-agg --threads $t --by k --partial 'c=collect(v,2)' 'd=collect_distinct(.v.a,3)' in >states
        cdp-agg --threads $t --by k --merge 'c=collect(v,2)' 'd=collect_distinct(.v.a,3)' states >got && same want got
    done
}

@test "a state of many values goes on in further rows" {
    seq 1 200000 | sed 's/.*/{"k":1,"v":"value-&"}/' >in
    cdp-agg --by k --partial 'count()' 'd=count_distinct(v)' 'sum(k)' 'top(v,2)' in >states
    [ "$(wc -l <states)" -gt 5 ]
    [ "$(awk 'length > 1100000' states | wc -l)" = 0 ]
    jq -es 'all(has("k") and has("count") and has("d") and has("sum_k") and has("top_v"))' states
    run_tool cdp-agg --by k --merge 'count()' 'd=count_distinct(v)' 'sum(k)' 'top(v,2)' states
    [ "$status" -eq 0 ]
    [ "$output" = '{"k":1,"count":200000,"d":200000,"sum_k":200000,"top_v":[{"value":"value-1","count":1},{"value":"value-10","count":1}]}' ]
}

@test "--merge takes states of these keys and aggregates only" {
    printf '%s\n' '{"k":1,"n":{"count":2}}' >good
    run_tool cdp-agg --by k --merge 'n=count()' good
    [ "$status" -eq 0 ]
    [ "$output" = '{"k":1,"n":2}' ]
    while IFS= read -r line; do
        printf '%s\n' "$line" >in
        run_tool cdp-agg --by k --merge 'n=count()' in
        [ "$status" -eq 1 ]
        [ -z "$output" ]
        [[ $stderr == 'cdp-agg: in:1: not a partial state'* ]]
    done <<'END'
{"k":1}
{"n":{"count":2}}
{"k":1,"n":2}
{"k":1,"n":{"count":-2}}
{"k":1,"n":{"count":2.5}}
{"k":1,"n":{"count":null}}
{"k":1,"n":{"sum":2}}
{"k":1,"n":{"count":2,"sum":1}}
{"k":1,"n":{}}
[1]
END
    # A state of other arguments, or of values that the function never takes, is a bad record as well.
    while IFS='|' read -r aggregate line said; do
        printf '%s\n' "$line" >in
        run_tool cdp-agg --merge "h=$aggregate" in
        [ "$status" -eq 1 ]
        [ -z "$output" ]
        [ "$stderr" = "cdp-agg: in:1: not a partial state: h$said" ]
        run_tool cdp-agg --merge "h=$aggregate" --rejects bad --stats stats in
        [ "$status" -eq 0 ]
        balanced stats
    done <<'END'
hll(v)|{"h":{"hll":"\\x118c7f"}}|: a sketch of other parameters
hll(v,8,6)|{"h":{"hll":"\\x118b7f"}}|: a sketch of other parameters
hll(v)|{"h":{"hll":"\\x118b"}}|: not a postgresql-hll sketch: schema version is not 1
hll(v)|{"h":{"hll":1}}|: not a postgresql-hll sketch: no \x and pairs of hexadecimal digits
histogram(v,1)|{"h":{"histogram":[[1,1],["x",1]]}}|: not a number
histogram(v,1)|{"h":{"histogram":[[1e100,1]]}}|: a number too far from 0 for bins of this width
median(v)|{"h":{"quantile":[[null,1]]}}|: not a number
quantile(v,1)|{"h":{"quantile":[[1e7000,1]]}}|: a number with digits beyond 1e±6144, past exact arithmetic
top(v,1)|{"h":{"top":[[1e99999999999999999999,1]]}}| is no state of top
mode(v)|{"h":{"top":[[1,0]]}}| is no state of top
sum(v)|{"h":{"sum":1e-6145}}| is no state of sum
sum(v)|{"h":{"sum":1e6177}}| is no state of sum
avg(v)|{"h":{"avg":[2,null]}}|: no numbers have this count and sum
avg(v)|{"h":{"avg":[0,1]}}|: no numbers have this count and sum
avg(v)|{"h":{"avg":[1,1e6145]}}|: no numbers have this count and sum
avg(v)|{"h":{"avg":[3,-3e6145]}}|: no numbers have this count and sum
stddev(v)|{"h":{"stddev":[2,5,1]}}|: no numbers have this count and sum
stddev(v)|{"h":{"stddev":[2,-5,12.49]}}|: no numbers have this count and sum
stddev(v)|{"h":{"stddev":[1,5,26]}}|: no numbers have this count and sum
stddev(v)|{"h":{"stddev":[2,5,null]}}|: no numbers have this count and sum
stddev(v)|{"h":{"stddev":[2,null,5]}}|: no numbers have this count and sum
stddev(v)|{"h":{"stddev":[0,null,0]}}|: no numbers have this count and sum
stddev(v)|{"h":{"stddev":[2,0,1e6143]}}|: no numbers have this count and sum
stddev(v)|{"h":{"stddev":[2,0,2e6002]}}|: no numbers have this count and sum
stddev(v)|{"h":{"stddev":[2,1e-3001,1]}}|: no numbers have this count and sum
count_distinct(v)|{"h":{"count_distinct":[1,[1e99999999999999999999]]}}| is no state of count_distinct
END
}

@test "--merge takes the states of the least and the greatest numbers, and of none" {
    big=$(printf '9%.0s' {1..3001})
    for numbers in '' '5' '0 0' '5 -5' '-7.5 -7.5 -7.5' '0.1 0.2 1e17 123456789012345678901234567890' "$big $big" \
        "-$big" '1e-3000 3e-3000' '1e-3000' "$big 1e-3000"; do
        printf '{"x":%s}\n' ${numbers:-null} >in
        cdp-agg 'avg(x)' 'stddev(x)' in >want
        while IFS= read -r line; do cdp-agg --partial 'avg(x)' 'stddev(x)' <<<"$line"; done <in >states
        cdp-agg --merge 'avg(x)' 'stddev(x)' states | cmp - want
        cdp-agg --merge --partial 'avg(x)' 'stddev(x)' states | cdp-agg --merge 'avg(x)' 'stddev(x)' | cmp - want
    done
    big=$(printf '9%.0s' {1..6145})
    printf '{"x":%s}\n{"x":-%s}\n{"x":1e-6144}\n{"x":%s}\n' "$big" "$big" "$big" >in
    cdp-agg --partial 'sum(x)' 'avg(x)' in >states
    cdp-agg --merge 'sum(x)' 'avg(x)' states | cmp - <(cdp-agg 'sum(x)' 'avg(x)' in)
}

# --- input and output

@test "files, packed files, standard input; output to a file" {
    events 1000 >in && gzip -k in
    cdp-agg --by event_type 'count()' in >want
    cdp-agg --by event_type 'count()' in.gz | cmp - want
    cdp-agg --by event_type 'count()' <in | cmp - want
    cdp-agg --by event_type 'count()' -q -o out - <in && same want out
    head -n 400 in >a && tail -n 600 in >b
    cdp-agg a --by event_type 'count()' b | cmp - want
    printf '%s' '{"x":1}' >unended && printf '\n\n{"x":2}\r\n' >blank
    run_tool cdp-agg 'sum(x)' unended blank
    [ "$output" = '{"sum_x":3}' ]
}

@test "a file's name that looks like a call" {
    echo '{"x":1}' >'sum(x)'
    run_tool cdp-agg 'count()' './sum(x)'
    [ "$status" -eq 0 ]
    [ "$output" = '{"count":1}' ]
    echo '{"x":1}' >'copy(1).ndjson'
    run_tool cdp-agg 'count()' 'copy(1).ndjson'
    [ "$output" = '{"count":1}' ]
}

@test "long lines, long values, long keys" {
    head -c 5000000 /dev/zero | tr '\0' x >long
    { printf '{"k":"' && cat long && printf '","v":"' && cat long && printf 'y"}\n{"k":1,"v":"' && cat long && printf '"}\n'; } >in
    cdp-agg --by '.k | length' 'min(v)' 'max(v)' 'count_distinct(v)' 'top(v,1)' in >want
    [ "$(wc -l <want)" = 2 ]
    cdp-agg 'm=max(v)' in | cmp - <(printf '{"m":"' && cat long && printf 'y"}\n')
    cdp-agg --by k 'collect(v,2)' in >want
    cdp-agg --by k 'collect(v,2)' -S 1K in | cmp - want
    run_tool cdp-agg 'count()' --max-record 1M in
    [ "$status" -eq 1 ]
}

@test "a state that is no record any more is refused where it is read" {
    printf '{"v":%s1%s}' "$(printf '[%.0s' {1..508})" "$(printf ']%.0s' {1..508})" >deep
    printf '{"v":[%s1%s]}' "$(printf '[%.0s' {1..508})" "$(printf ']%.0s' {1..508})" >deeper
    cdp-agg 't=top(v,1)' deep >want
    cdp-agg --partial 't=top(v,1)' deep | cdp-agg --merge 't=top(v,1)' | cmp - want
    cdp-agg --partial 't=top(v,1)' deeper >states
    run_tool cdp-agg --merge 't=top(v,1)' states
    [ "$status" -eq 1 ]
    [ "$stderr" = 'cdp-agg: states:1:523: nested deeper than 512' ]
    awk 'BEGIN { for (i = 0; i < 3000; i++) printf "{\"v\":\"%01000d\"}\n", i }' >in
    cdp-agg --partial 'c=collect(v,3000)' in >states
    run_tool cdp-agg --merge 'c=collect(v,3000)' --max-record 1M states
    [ "$status" -eq 1 ]
    cdp-agg --merge 'c=collect(v,3000)' states | cmp - <(cdp-agg 'c=collect(v,3000)' in)
}

@test "usage" {
    run_tool cdp-agg </dev/null
    [ "$status" -eq 2 ]
    [ "$stderr" = 'cdp-agg: nothing to do: no --by and no aggregate, such as count()' ]
    while IFS='|' read -r operand said; do
        run_tool cdp-agg "$operand" /dev/null
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [ "$stderr" = "cdp-agg: $operand: $said" ]
    done <<'END'
summ(.x)|no such function
sum()|an expression is missing
sum(.x, 2)|too many arguments
sum(.x|not [NAME=]FUNC(…) [where EXPR]
sum(.x) when .y|not [NAME=]FUNC(…) [where EXPR]
top(.x)|an argument is missing
top(.x, 0)|the count is a number from 1 to 1000000
top(.x, 1, 2)|too many arguments
quantile(.x, 1.5)|a quantile is from 0 to 1
quantile(.x, -0.1)|a quantile is from 0 to 1
quantile(.x, half)|expected a number
histogram(.x, 0)|the width is not above 0
histogram(.x, [2, 1])|the bounds are not ascending
histogram(.x, 1e5000)|a number is out of range
hll(.x, 3)|log2m is a number from 4 to 17
hll(.x, 11, 9)|the register width is a number from 1 to 8
min_by(.x)|an argument is missing
count() where|an expression is missing behind where
END
    run_tool cdp-agg 'count()' 'count()' /dev/null
    [ "$status" -eq 2 ]
    [ "$stderr" = 'cdp-agg: two columns are named count (name one with NAME=…)' ]
    run_tool cdp-agg --by 'k=' 'count()' /dev/null
    [ "$status" -eq 2 ]
    [ "$stderr" = 'cdp-agg: k=: an expression is missing' ]
    run_tool cdp-agg --by '' 'count()' /dev/null
    [ "$status" -eq 2 ]
    [ "$stderr" = 'cdp-agg: --by: an expression is missing' ]
    run_tool cdp-agg 'sum(.x +)' /dev/null
    [ "$status" -eq 2 ]
    run_tool cdp-agg 'first(.x, .y|.z)' /dev/null
    [ "$status" -eq 2 ]
}

@test "a full disk" {
    run_tool cdp-agg --by k 'count()' -o /dev/full <(seq 10000 | sed 's/.*/{"k":&}/')
    [ "$status" -eq 3 ]
    run cdp-agg --by k 'count()' -S 1K -T /nonexistent <(seq 100000 | sed 's/.*/{"k":&}/')
    [ "$status" -eq 3 ]
}

# --- real data

@test "online retail" {
    need_shared online-retail.ndjson.gz
    run_tool cdp-agg 'total=sum(.Quantity * .UnitPrice)' 'rows=count()' 'invoices=count_distinct(.InvoiceNo)' \
        'customers=count_distinct(.CustomerID)' 'countries=count_distinct(.Country)' 'codes=count_distinct(.StockCode)' \
        'nobody=count() where .CustomerID == null' 'low=min(.UnitPrice)' 'high=max(.UnitPrice)' "$SHARED/online-retail.ndjson.gz"
    [ "$status" -eq 0 ]
    [ "$output" = '{"total":9747747.934,"rows":541909,"invoices":25900,"customers":4372,"countries":38,"codes":4070,"nobody":135080,"low":-11062.06,"high":38970.0}' ]
}

@test "wikiticker" {
    need_shared wikiticker.ndjson.gz
    in=$SHARED/wikiticker.ndjson.gz
    run_tool cdp-agg 'added=sum(.added)' 'rows=count()' 'nowhere=count() where .countryName == null' 'most=collect(.added, 3, added:desc)' \
        'channels=top(.channel, 3)' "$in"
    [ "$output" = '{"added":9385573,"rows":39244,"nowhere":35445,"most":[199818,102719,94187],"channels":[{"value":"#en.wikipedia","count":11549},{"value":"#vi.wikipedia","count":9747},{"value":"#de.wikipedia","count":2523}]}' ]
    # Its authors count null as a city.
    run_tool cdp-agg --where '.countryName == "United States" or .countryName == "Colombia"' --by countryName 'rows=count()' \
        'added=sum(.added)' 'cities=count_distinct(.cityName // "")' "$in"
    [ "$output" = '{"countryName":"Colombia","rows":69,"added":60398,"cities":8}
{"countryName":"United States","rows":528,"added":44433,"cities":252}' ]
    run_tool cdp-agg --tz Asia/Kathmandu --by 'h=hour(.time)' 'rows=count()' "$in"
    [ "${lines[0]}" = '{"h":"2015-09-12T06:00:00+05:45","rows":556}' ]
    [ "${lines[1]}" = '{"h":"2015-09-12T07:00:00+05:45","rows":1129}' ]
}
