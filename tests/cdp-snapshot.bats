load common

run_tool() { run --separate-stderr "$@"; }

# What every test of one key uses.
snap=(cdp-snapshot -k id --order 't:time,n' --delete '.op == "delete"')

# Change events of N KEYS: `t` in steps, so that orders tie in it; deletes, partial updates, requests to erase; lines that
# are kept and lines that are read again.
changes()
{
    awk -v n="$1" -v keys="$2" -v seed="${3:-1}" '
        function draw(below) { seed = (seed * 1103515245 + 12345) % 2147483648; return int(seed / 65536) % below }
        BEGIN { for (i = 0; i < n; i++) {
            printf "{\"id\":\"k%d\",\"t\":\"2026-01-%02dT%02d:00:00Z\",\"n\":%d,\"pad\":\"%*s\"", draw(keys), 1 + i * 28 / n, draw(24), i, draw(150), ""
            op = draw(12)
            if (op == 0) printf ",\"op\":\"delete\"}\n"
            else if (op == 1 && draw(3) == 0) printf ",\"op\":\"forget\"}\n"
            else printf ",\"set\":{\"%c\":%d,\"%c\":\"v%d\"},\"unset\":[\"%c\"]}\n", 97 + draw(9), draw(1000), 97 + draw(9), i, 97 + draw(9)
        } }'
}

shuffled() { shuf --random-source=<(yes "$1") "$2"; }

@test "the record with the greatest order is the state of its key, as it came, sorted by key" {
    printf '%s\n' '{"id":2,"t":"2026-02-05T09:00:00+01:00","n":1,"v":1.10}' '{"id":1, "t":"2026-02-05T07:59:59Z","n":9,"v":"\u0041"}' \
        '{"id":2,"t":"2026-02-05T07:59:00Z","n":5}' '{"id":10,"t":"2026-02-05T07:59:00.000000001Z","n":5,"v":12345678901234567890}' \
        '{"n":6,"t":"2026-02-05T07:59:00Z","id":1e1}' >in
    run_tool "${snap[@]}" in
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$output" = '{"id":1, "t":"2026-02-05T07:59:59Z","n":9,"v":"\u0041"}
{"id":2,"t":"2026-02-05T09:00:00+01:00","n":1,"v":1.10}
{"id":10,"t":"2026-02-05T07:59:00.000000001Z","n":5,"v":12345678901234567890}' ]
}

@test "a late update never brings back a deleted row, a late delete never removes a newer one" {
    printf '%s\n' '{"id":1,"t":"2026-01-02","n":1,"op":"delete"}' '{"id":1,"t":"2026-01-01","n":1}' '{"id":2,"t":"2026-01-03","n":1}' \
        '{"id":2,"t":"2026-01-02","n":1,"op":"delete"}' '{"id":3,"t":"2026-01-01","n":1}' '{"id":3,"t":"2026-01-02","n":1,"op":"delete"}' \
        '{"id":4,"t":"2026-01-01","n":1,"op":"delete"}' '{"id":4,"t":"2026-01-02","n":1}' >in
    for how in cat tac; do
        run_tool "${snap[@]}" --stats stats <($how in)
        [ "$status" -eq 0 ]
        [ "$output" = '{"id":2,"t":"2026-01-03","n":1}
{"id":4,"t":"2026-01-02","n":1}' ]
        balanced stats
        [ "$(stat_of stats out)" -eq 2 ]
        [ "$(stat_of stats dropped)" -eq 6 ]
    done
}

@test "equal orders: a delete wins over an update, a request to erase over both, else the greater bytes" {
    printf '%s\n' '{"id":1,"o":1,"v":"z"}' '{"id":1,"o":1,"v":"a","op":"delete"}' '{"id":2,"o":1,"v":"a"}' '{"id":2,"o":1.0,"v":"b"}' \
        '{"id":2,"o":1,"v":"b"}' '{"id":2,"o":1,"v":"b"}' '{"id":3,"o":1,"op":"delete","v":"z"}' '{"id":3,"o":1,"op":"forget"}' '{"id":3,"o":1}' >in
    for seed in 1 2 3 4 5; do
        shuffled $seed in >shuffled
        run_tool cdp-snapshot -k id --order o --delete '.op=="delete"' --forget '.op=="forget"' --stats stats shuffled
        [ "$status" -eq 0 ]
        [ "$output" = '{"id":2,"o":1.0,"v":"b"}' ]
        balanced stats
        cat shuffled | cdp-snapshot -k id --order o --delete '.op=="delete"' --forget '.op=="forget"' | same - <(echo "$output")
    done
}

@test "keys and orders of several parts, descending, as instants and as numbers of any size" {
    printf '%s\n' '{"a":"x","b":{"c":1},"o":"9007199254740993"}' '{"a":"x","b":{"c":2},"o":1}' '{"a":"x","b":{"c":1.0},"o":"9007199254740992"}' \
        '{"a":"\u0078","b":{"c":2},"o":1e400}' '{"a":"x","b":{"c":2},"o":123456789012345678901234567890}' >in
    run_tool cdp-snapshot -k a,b.c --order o:num in
    [ "$status" -eq 0 ]
    [ "$output" = '{"a":"x","b":{"c":1},"o":"9007199254740993"}
{"a":"\u0078","b":{"c":2},"o":1e400}' ]
    run_tool cdp-snapshot -k b.c:desc --order o:num:desc in
    [ "$output" = '{"a":"x","b":{"c":2},"o":1}
{"a":"x","b":{"c":1.0},"o":"9007199254740992"}' ]
}

@test "--at: the state as of an instant, that instant included" {
    printf '%s\n' '{"id":1,"t":"2026-01-01T00:00:00Z","n":1}' '{"id":1,"t":"2026-01-02T01:00:00+01:00","n":2}' '{"id":1,"t":"2026-01-03T00:00:00Z","n":3,"op":"delete"}' \
        '{"id":2,"t":"2026-01-03T00:00:00Z","n":4}' >in
    run_tool "${snap[@]}" --at 2026-01-02 --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1,"t":"2026-01-02T01:00:00+01:00","n":2}' ]
    balanced stats
    run_tool "${snap[@]}" --at 2026-01-01T23:59:59.999999999Z in
    [ "$output" = '{"id":1,"t":"2026-01-01T00:00:00Z","n":1}' ]
    run_tool "${snap[@]}" --at 2025-12-31 in
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run_tool "${snap[@]}" --at 2026-01-03T01:00:00+01:00 in
    [ "$output" = '{"id":2,"t":"2026-01-03T00:00:00Z","n":4}' ]
    # by another time than that of the order
    run_tool cdp-snapshot -k id --order n -t t --at 2026-01-01T12:00:00Z in
    [ "$output" = '{"id":1,"t":"2026-01-01T00:00:00Z","n":1}' ]
}

@test "--base brings a snapshot up to date: the same bytes as a rebuild, wherever the stream is cut" {
    changes 4000 300 >in
    "${snap[@]}" --horizon 40d in >want
    for seed in 1 2 3; do
        shuffled $seed in | split -n r/5 - part.
        : >base
        for p in part.*; do
            run_tool "${snap[@]}" --horizon 40d --base base -o base --stats stats "$p"
            [ "$status" -eq 0 ]
            balanced stats
        done
        same want base
        # and again with what is there already
        run_tool "${snap[@]}" --horizon 40d --base base -o base part.a?
        same want base
    done
    # without the deletes
    run_tool "${snap[@]}" want
    same <("${snap[@]}" in) <(echo "$output")
    no_temps
}

@test "--base with a short horizon, where nothing comes later than that" {
    changes 4000 300 >in
    "${snap[@]}" --horizon 2d in >want
    # in order of time, but records swap places within a day
    split -n l/7 in part.
    : >base
    for p in part.*; do
        "${snap[@]}" --horizon 2d --base base "$p" | gzip >next.gz
        mv next.gz base
    done
    same want <(gzip -dc base)
    # a late update beyond the horizon comes back, one within it does not
    last=$(jq -c 'select(.op == "delete")' want | tail -n 1)
    id=$(jq .id <<<"$last")
    run_tool "${snap[@]}" --horizon 2d --base base <(echo "{\"id\":$id,\"t\":\"2026-01-01T00:00:00Z\",\"n\":0}")
    same want <(echo "$output")
}

@test "--horizon counts back from the newest record, or from --at" {
    printf '%s\n' '{"id":1,"t":"2026-01-01T00:00:00Z","n":1,"op":"delete"}' '{"id":2,"t":"2026-01-03T00:00:00Z","n":1,"op":"delete"}' \
        '{"id":3,"t":"2026-01-04T00:00:00Z","n":1}' >in
    run_tool "${snap[@]}" --horizon 1d in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":2,"t":"2026-01-03T00:00:00Z","n":1,"op":"delete"}
{"id":3,"t":"2026-01-04T00:00:00Z","n":1}' ]
    run_tool "${snap[@]}" --horizon 1d --patch . in
    same <(tail -n 2 in) <(echo "$output")
    run_tool "${snap[@]}" --horizon 86399s in
    [ "$output" = '{"id":3,"t":"2026-01-04T00:00:00Z","n":1}' ]
    run_tool "${snap[@]}" --horizon 86399s --patch . in
    [ "$output" = '{"id":3,"t":"2026-01-04T00:00:00Z","n":1}' ]
    run_tool "${snap[@]}" --horizon 72h --at 2026-01-10 in
    [ "$output" = '{"id":3,"t":"2026-01-04T00:00:00Z","n":1}' ]
    run_tool "${snap[@]}" --horizon 99999999999999w --at 2026-01-10 in
    [ "$status" -eq 2 ]
    [ "$stderr" = "cdp-snapshot: --horizon takes a duration such as 3d, not '99999999999999w'" ]
    run_tool "${snap[@]}" --horizon 9223372036854775807 in
    same in <(echo "$output")
    echo '{"id":1,"t":"1900-01-01","n":1,"op":"delete"}' >old
    run_tool "${snap[@]}" --horizon 9223372036854775807 old
    same old <(echo "$output")
    run_tool "${snap[@]}" --horizon 1d </dev/null
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
}

@test "a base: --where is not for it, it may be empty, but not missing, broken or newer than --at" {
    printf '%s\n' '{"id":1,"t":"2026-01-01","n":1,"old":true}' '{"id":2,"t":"2026-01-02","n":1,"old":true}' >base
    printf '%s\n' '{"id":1,"t":"2026-01-02","n":1,"old":true}' '{"id":2,"t":"2026-01-03","n":1}' '{"id":3,"t":"2026-01-01","n":1}' >in
    run_tool "${snap[@]}" --base base --where '.old | not' --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1,"t":"2026-01-01","n":1,"old":true}
{"id":2,"t":"2026-01-03","n":1}
{"id":3,"t":"2026-01-01","n":1}' ]
    [ "$(stat_of stats in)" -eq 5 ]
    balanced stats
    run_tool "${snap[@]}" --base base /dev/null
    same base <(echo "$output")
    run_tool "${snap[@]}" --base /dev/null base
    same base <(echo "$output")
    run_tool "${snap[@]}" --base nosuch in
    [ "$status" -eq 3 ]
    [ -z "$output" ]
    [ "$stderr" = "cdp-snapshot: nosuch: cannot open: No such file or directory" ]
    run_tool "${snap[@]}" --base base --at 2026-01-01 in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-snapshot: base: a row of the base is newer than --at" ]
    echo '{"id":1' >>base
    run_tool "${snap[@]}" --base base in
    [ "$status" -eq 1 ]
    [[ "$stderr" == "cdp-snapshot: base:3:"* ]]
}

@test "--patch lays objects over the state, --unset takes members away" {
    printf '%s\n' '{"id":1,"t":"2026-01-01","n":1,"set":{"a":1.10,"b":[1, 2],"c":"\u0041"}}' \
        '{"id":1,"t":"2026-01-02","n":1,"set":{"\u0062":{"x":null},"d":null},"unset":["a","nosuch"]}' \
        '{"id":1,"t":"2026-01-03","n":1,"set":null,"unset":["d"],"more":"\/"}' \
        '{"id":2,"t":"2026-01-01","n":1,"set":{"a":1}}' '{"id":2,"t":"2026-01-02","n":1,"op":"delete"}' '{"id":2,"t":"2026-01-03","n":1,"set":{"b":2}}' >in
    for how in cat tac; do
        run_tool "${snap[@]}" --patch set --unset unset --stats stats <($how in)
        [ "$status" -eq 0 ]
        [ "$output" = '{"id":1,"t":"2026-01-03","n":1,"set":{"b":{"x":null},"c":"\u0041"},"unset":["d"],"more":"\/"}
{"id":2,"t":"2026-01-03","n":1,"set":{"b":2}}' ]
        balanced stats
    done
    run_tool "${snap[@]}" --patch set --unset unset --at 2026-01-02 in
    [ "$output" = '{"id":1,"t":"2026-01-02","n":1,"set":{"b":{"x":null},"c":"\u0041","d":null},"unset":["a","nosuch"]}' ]
    # the whole record may be the patch
    run_tool "${snap[@]}" --patch . <(printf '%s\n' '{"id":1,"t":"2026-01-01","n":1,"x":{"y":1}}' '{"t":"2026-01-02","id":1,"n":1,"z":0}')
    [ "$output" = '{"id":1,"t":"2026-01-02","n":1,"x":{"y":1},"z":0}' ]
}

@test "a patch that is no object, names that are no array of strings" {
    printf '%s\n' '{"id":1,"t":"2026-01-01","n":1,"set":{"a":1}}' '{"id":1,"t":"2026-01-02","n":1}' '{"id":1,"t":"2026-01-03","n":1,"set":[1]}' \
        '{"id":1,"t":"2026-01-04","n":1,"set":{},"unset":"a"}' '{"id":1,"t":"2026-01-05","n":1,"set":{},"unset":["a",1]}' '[1]' >in
    run_tool "${snap[@]}" --patch set --unset unset in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-snapshot: in:2: no object at set" ]
    run_tool "${snap[@]}" -q --patch set --unset unset --rejects rej --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1,"t":"2026-01-01","n":1,"set":{"a":1}}' ]
    [ "$(jq -r '"\(.line) \(.error)"' rej)" = '2 no object at set
3 no object at set
4 no array of names at unset
5 no array of names at unset
6 the record is no object' ]
    balanced stats
    run_tool "${snap[@]}" -q --patch set --unset unset --rejects rej --max-rejects 4 in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-snapshot: 5 of 6 records rejected, more than --max-rejects 4" ]
}

@test "partial updates with --base: as a rebuild; what is in the base is dropped, what is older is rejected" {
    changes 4000 300 >in
    # by t, then n
    awk -F'"' '{ printf "%s\t%d\t%s\n", $8, substr($11, 2), $0 }' in | sort -t"$(printf '\t')" -k1,1 -k2,2n | cut -f3- >sorted
    jq -cs 'sort_by([.t, .n])[]' in | same - <(jq -c . sorted)
    patch=("${snap[@]}" --forget '.op == "forget"' --patch set --unset unset --horizon 40d)
    "${patch[@]}" in >want
    split -n l/4 sorted part.
    : >base
    for p in part.*; do
        run_tool "${patch[@]}" --base base -o base --stats stats "$p"
        [ "$status" -eq 0 ]
        balanced stats
    done
    same want base
    # the last delivery again
    jq -c 'select(.set)' base | head -n 1 >row
    grep -F "$(jq -r '"\"n\":" + (.n | tostring) + ","' row)" in >again
    run_tool "${patch[@]}" --base base again
    [ "$status" -eq 0 ]
    same want <(echo "$output")
    # one that is older
    jq -c '.t = "2026-01-01T00:00:00Z" | .n = -1 | .set = {secret: "hunter2"}' row >late
    run_tool "${patch[@]}" --base base -o out late
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-snapshot: late:1: older than the base's state of its key: partial updates then take a rebuild from all records" ]
    [ ! -e out ]
    cat again late >both
    run_tool "${patch[@]}" --base base --rejects rej --stats stats both
    [ "$status" -eq 0 ]
    [ "$stderr" = "cdp-snapshot: 1 of $(($(wc -l <base) + 2)) records rejected, see rej" ]
    same want <(echo "$output")
    [ "$(jq -c '[.source,.line,.rule]' rej)" = '["both",2,"record"]' ]
    balanced stats
}

@test "--forget erases a key and its history up to the request, --forgotten reports each key once" {
    printf '%s\n' '{"id":1,"t":"2026-01-01","n":1}' '{"id":1,"t":"2026-01-02","n":1,"op":"forget"}' '{"id":1,"t":"2026-01-03","n":1}' '{"id":1,"t":"2026-01-04","n":1}' \
        '{"id":"\u0062","t":"2026-01-01","n":1}' '{"id":"b","t":"2026-01-05","n":1,"op":"forget"}' '{"id":"b","t":"2026-01-06","n":1,"op":"forget"}' \
        '{"id":3,"t":"2026-01-01","n":1}' '{"id":4,"t":"2026-01-01","n":1,"op":"forget"}' >in
    for seed in 1 2 3; do
        shuffled $seed in >shuffled
        run_tool "${snap[@]}" --forget '.op == "forget"' --forgotten report --stats stats shuffled
        [ "$status" -eq 0 ]
        [ "$output" = '{"id":1,"t":"2026-01-04","n":1}
{"id":3,"t":"2026-01-01","n":1}' ]
        [ "$(cat report)" = '{"key":[1]}
{"key":[4]}
{"key":["b"]}' ]
        balanced stats
        run_tool "${snap[@]}" --forget '.op == "forget"' --history --forgotten report --stats stats shuffled
        [ "$output" = '{"id":1,"t":"2026-01-03","n":1,"valid_from":"2026-01-03","valid_to":"2026-01-04","is_current":false}
{"id":1,"t":"2026-01-04","n":1,"valid_from":"2026-01-04","valid_to":null,"is_current":true}
{"id":3,"t":"2026-01-01","n":1,"valid_from":"2026-01-01","valid_to":null,"is_current":true}' ]
        [ "$(wc -l <report)" -eq 3 ]
        balanced stats
    done
    # a request is honoured in a state as of an earlier instant, too
    run_tool "${snap[@]}" --forget '.op == "forget"' --at 2026-01-01 in
    [ "$output" = '{"id":3,"t":"2026-01-01","n":1}' ]
    # keys of several parts, one of them descending
    run_tool cdp-snapshot -k 'id:desc,n,t:time' --order t --forget '.op == "forget"' --forgotten report in
    [ "$(cat report)" = '{"key":["b",1,"2026-01-05T00:00:00Z"]}
{"key":["b",1,"2026-01-06T00:00:00Z"]}
{"key":[4,1,"2026-01-01T00:00:00Z"]}
{"key":[1,1,"2026-01-02T00:00:00Z"]}' ]
}

@test "requests to erase with --base: kept for the horizon, reported once; a failed run leaves the report alone" {
    printf '%s\n' '{"id":1,"t":"2026-01-01","n":1}' '{"id":1,"t":"2026-01-05","n":1,"op":"forget"}' >first
    printf '%s\n' '{"id":1,"t":"2026-01-02","n":1}' '{"id":2,"t":"2026-01-05","n":1}' >second
    forget=("${snap[@]}" --horizon 10d --forget '.op == "forget"' --forgotten report)
    run_tool "${forget[@]}" -o base first
    [ "$(cat base)" = '{"id":1,"t":"2026-01-05","n":1,"op":"forget"}' ]
    [ "$(cat report)" = '{"key":[1]}' ]
    run_tool "${forget[@]}" --base base second
    [ "$output" = '{"id":1,"t":"2026-01-05","n":1,"op":"forget"}
{"id":2,"t":"2026-01-05","n":1}' ]
    [ ! -s report ]
    run_tool "${forget[@]}" first
    run_tool "${forget[@]}" -o out second <(echo '{')
    [ "$status" -eq 1 ]
    [ "$(cat report)" = '{"key":[1]}' ]
    [ ! -e out ]
    no_temps
    run_tool "${snap[@]}" --forget .f --forgotten nosuch/report first
    [ "$status" -eq 3 ]
    [[ "$stderr" == "cdp-snapshot: nosuch/report: "* ]]
}

@test "--history: a row for each state, from its time to that of the next" {
    printf '%s\n' '{"id":1,"t":"2026-01-01T00:00:00Z","n":1,"v":1.10}' '{"id":1,"t":"2026-01-02T09:00:00+09:00","n":2}' '{"id":1,"t":"2026-01-03T00:00:00Z","n":3,"op":"delete"}' \
        '{"id":1,"t":"2026-01-05T00:00:00Z","n":4}' '{"id":1,"t":"2026-01-05T00:00:00Z","n":5}' ' { "id":2,"t":"2026-01-01T00:00:00Z","n":6 } ' \
        '{"id":3,"t":"2026-01-01T00:00:00Z","n":7,"op":"delete"}' >in
    for seed in 1 2 3; do
        shuffled $seed in >shuffled
        run_tool "${snap[@]}" --history --stats stats shuffled
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        [ "$output" = '{"id":1,"t":"2026-01-01T00:00:00Z","n":1,"v":1.10,"valid_from":"2026-01-01T00:00:00Z","valid_to":"2026-01-02T09:00:00+09:00","is_current":false}
{"id":1,"t":"2026-01-02T09:00:00+09:00","n":2,"valid_from":"2026-01-02T09:00:00+09:00","valid_to":"2026-01-03T00:00:00Z","is_current":false}
{"id":1,"t":"2026-01-05T00:00:00Z","n":5,"valid_from":"2026-01-05T00:00:00Z","valid_to":null,"is_current":true}
 { "id":2,"t":"2026-01-01T00:00:00Z","n":6,"valid_from":"2026-01-01T00:00:00Z","valid_to":null,"is_current":true}' ]
        balanced stats
    done
    # with partial updates each row has the state of its time; as of an instant the last one is current
    printf '%s\n' '{"id":1,"t":"2026-01-01","n":1,"set":{"a":1}}' '{"id":1,"t":"2026-01-02","n":2,"set":{"b":2}}' '{"id":1,"t":"2026-01-03","n":3,"set":{"a":3}}' >in
    run_tool "${snap[@]}" --history --patch set --at 2026-01-02 in
    [ "$output" = '{"id":1,"t":"2026-01-01","n":1,"set":{"a":1},"valid_from":"2026-01-01","valid_to":"2026-01-02","is_current":false}
{"id":1,"t":"2026-01-02","n":2,"set":{"a":1,"b":2},"valid_from":"2026-01-02","valid_to":null,"is_current":true}' ]
}

@test "--history has no overlap and no gap, its current rows are the snapshot, and a rerun gives the same bytes" {
    changes 3000 200 >in
    "${snap[@]}" --history in >history
    for seed in 1 2 3; do
        shuffled $seed in | split -n r/3 - part.
        run_tool "${snap[@]}" --history -o again part.a? part.ab # some of it twice
        [ "$status" -eq 0 ]
        same history again
    done
    [ "$(wc -l <history)" -gt 1000 ]
    jq -se 'group_by(.id) | all(.[]; . as $rows | all(range(1; length); $rows[. - 1].valid_to != null and $rows[. - 1].valid_to <= $rows[.].valid_from))' history >/dev/null
    jq -se 'all(.[]; .valid_to == null or .valid_from < .valid_to) and all(.[]; .is_current == (.valid_to == null))' history >/dev/null
    same <(jq -c 'select(.is_current) | del(.valid_from, .valid_to, .is_current)' history) <("${snap[@]}" in | jq -c .)
    # the rows that hold at an instant are the snapshot as of then
    at=2026-01-14T12:00:00Z
    same <(jq -c --arg at $at 'select(.valid_from <= $at and (.valid_to == null or .valid_to > $at)) | del(.valid_from, .valid_to, .is_current)' history) \
        <("${snap[@]}" --at $at in | jq -c .)
    # a gap is a time in which the key was deleted: as many as there are
    [ "$(jq -s 'group_by(.id) | map(. as $rows | [range(1; length) | select($rows[. - 1].valid_to != $rows[.].valid_from)] | length) | add' history)" -gt 50 ]
}

@test "--history: a time that goes back in the order is refused" {
    printf '%s\n' '{"id":1,"t":"2026-01-02","n":1}' '{"id":1,"t":"2026-01-01","n":2}' '{"id":1,"t":"2026-01-03","n":3}' >in
    run_tool cdp-snapshot -k id --order n -t t --history in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-snapshot: in:2: its time is before that of the record before it in the order" ]
    run_tool cdp-snapshot -k id --order n -t t --history -q --rejects rej --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1,"t":"2026-01-02","n":1,"valid_from":"2026-01-02","valid_to":"2026-01-03","is_current":false}
{"id":1,"t":"2026-01-03","n":3,"valid_from":"2026-01-03","valid_to":null,"is_current":true}' ]
    [ "$(jq -c '[.line,.raw]' rej)" = '[2,"{\"id\":1,\"t\":\"2026-01-01\",\"n\":2}"]' ]
    balanced stats
}

@test "what jq says: shuffled, sharded, on threads, spilled" {
    need jq
    changes 6000 400 >in
    jq -cs 'group_by(.id)[] | max_by([.t, .n]) | select(.op | not)' in >latest
    jq -cs 'group_by(.id)[] | sort_by([.t, .n]) | reduce .[] as $r (null;
        if $r.op then {row: $r} else {row: $r, state: (((.state // {}) + $r.set) | delpaths([$r.unset[] | [.]]))} end) |
        select(.state) | .row + {set: .state}' in | jq -cS . >patched
    jq -cs 'group_by(.id)[] | sort_by([.t, .n]) | (map(.op == "forget") | rindex(true) // -1) as $erased | .[$erased + 1:] as $r |
        range($r | length) | . as $i | select($r[$i].op | not) | ($r[$i + 1] // {}).t as $next | select($r[$i].t != $next) |
        $r[$i] + {valid_from: $r[$i].t, valid_to: $next, is_current: ($next == null)}' in >history
    forget=("${snap[@]}" --forget '.op == "forget"')
    for seed in 1 2 3 4; do
        shuffled $seed in | split -n r/3 - part.
        case $seed in 1) how=(--threads 1) ;; 2) how=(--threads 2 -S 1M -T tmp) ;; 3) how=(--threads 4 -S 64K -T tmp) ;; 4) how=(--memory 100K --tmpdir tmp) ;; esac
        same latest <("${forget[@]}" "${how[@]}" part.a? | jq -c .)
        same latest <(cat part.a? | "${forget[@]}" "${how[@]}" | jq -c .)
        same patched <("${forget[@]}" "${how[@]}" --patch set --unset unset part.a? | jq -cS .)
        same history <("${forget[@]}" "${how[@]}" --history part.a? | jq -c .)
    done
    no_temps
}

@test "spilled runs give the same bytes and the same counts" {
    awk 'BEGIN { for (i = 0; i < 200000; i++) { k = (i * 7919) % 70001; printf "{\"id\":%d,\"t\":\"2026-01-01\",\"n\":%d,\"v\":\"%s\"%s}\n", k, (i * 104729) % 200003,
        substr("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", 1, i % 50), i % 7 ? "" : ",\"op\":\"delete\"" } }' >in
    "${snap[@]}" --stats stats in >want
    [ "$(wc -l <want)" -gt 50000 ]
    for how in "-S 64K --threads 1" "-S 1M --threads 2" "-S 1M --threads 4" "-S 4M --threads 3"; do
        # shellcheck disable=SC2086
        run_tool "${snap[@]}" $how -T tmp --stats stats -o got in
        [ "$status" -eq 0 ]
        same want got
        balanced stats
        # shellcheck disable=SC2086
        "${snap[@]}" $how -T tmp --stats stats <(cat in) | same want -
        balanced stats
        [ "$(jq -s 'map([.in, .out, .dropped]) | unique | length' stats)" -eq 1 ]
    done
    "${snap[@]}" --horizon 1d in >want
    same want <("${snap[@]}" --horizon 1d -S 1M in)
    same want <("${snap[@]}" --horizon 1d -S 1M --base want in)
    "${snap[@]}" --history in >want
    same want <("${snap[@]}" --history -S 1M in)
    no_temps
}

@test "plain files, many, packed, on a pipe, from within standard input: the same rows" {
    changes 3000 2000 >in
    "${snap[@]}" in >want
    split -n l/60 in part.
    gzip -k part.aa part.bz
    same want <("${snap[@]}" part.??)
    same want <("${snap[@]}" part.aa.gz part.a[b-z] part.b[a-y] part.bz.gz part.c?)
    same want <(cat part.c? | "${snap[@]}" part.a? - part.b?)
    # more files than may be kept open
    same want <(ulimit -n 40 && "${snap[@]}" part.??)
    # what the shell has read is not read again
    { printf '%s\n' '{"id":"first","t":"2027-01-01","n":1}' && cat in; } >with-head
    same want <({ read -r _ && "${snap[@]}"; } <with-head)
    same <("${snap[@]}" with-head) <({ cat want && head -n 1 with-head; } | sort -t'"' -k4,4)
    # written to a pipe, a file that is there, or the file that is read
    "${snap[@]}" in | same want -
    echo old >out
    "${snap[@]}" in >out && same want out
    "${snap[@]}" -o in in && same want in
}

@test "line ends: \\r\\n, none at the end of the input, a byte order mark, blank lines" {
    printf '\xef\xbb\xbf{"id":1,"t":"2026-01-01","n":1}\r\n\r\n \n{"id":2,"t":"2026-01-01","n":1}\r\n{"id":0,"t":"2026-01-01","n":1}' >in
    printf '{"id":0,"t":"2026-01-01","n":1}\n{"id":1,"t":"2026-01-01","n":1}\r\n{"id":2,"t":"2026-01-01","n":1}\r\n' >want
    for how in "in" "<(cat in)" "-S 64K in in"; do
        eval "\"\${snap[@]}\" --stats stats -o out $how"
        same want out
        balanced stats
    done
    eval '"${snap[@]}" --history in' | jq -r .id | same - <(printf '0\n1\n2\n')
    run_tool "${snap[@]}" /dev/null
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
    run_tool "${snap[@]}" --history --forget .x --forgotten report /dev/null
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
    [ -e report ]
    [ ! -s report ]
}

@test "the 65,537th key, block boundaries, lines larger than the memory" {
    awk 'BEGIN { for (i = 65536; i >= 0; i--) printf "{\"id\":%d,\"n\":1}\n", i; printf "{\"id\":70000,\"n\":1,\"p\":\"";
        for (i = 0; i < 300000; i++) printf "0123456789"; printf "\"}\n{\"id\":70001,\"n\":1}" }' >in
    { sort -t: -k2,2n <(sed '$s/$/\n/' in); } >want
    for how in "in" "-S 64K in" "--threads 1 <(cat in)" "-S 1M <(cat in)" "-S 1M in in"; do
        eval "cdp-snapshot -k id --order n -o out --stats stats $how"
        same want out
        balanced stats
    done
    run_tool cdp-snapshot -k id --order n --max-record 1M in
    [ "$status" -eq 1 ]
    [[ "$stderr" == "cdp-snapshot: in: the record at byte "*" is longer than 1048576 bytes" ]]
}

@test "an input that changes before its lines are read again" {
    changes 3000 2000 >good
    "${snap[@]}" good >want
    mkfifo pipe
    for change in 'truncate -s 1000 in' 'tr "\n" " " <good | dd of=in conv=notrunc status=none' 'cat good >>in' 'rm in'; do
        cp good in
        "${snap[@]}" -o out in pipe 2>said &
        pid=$!
        exec 7>pipe # opened by both: the file has been read
        eval "$change"
        exec 7>&-
        status=0
        wait $pid || status=$?
        case $change in
        truncate*) want="3 cdp-snapshot: in: became shorter while it was read" ;;
        tr*) want="3 cdp-snapshot: in: changed while it was read" ;;
        *) want="0 " ;;
        esac
        [ "$status $(cat said)" = "$want" ]
        if [ $status -eq 0 ]; then same want out; else [ ! -e out ]; fi
        rm -f in out
    done
    no_temps
}

@test "a run that is killed leaves the old file" {
    changes 3000 2000 >in
    mkfifo pipe
    echo old >out
    "${snap[@]}" -o out in pipe &
    pid=$!
    exec 7>pipe
    kill -9 $pid
    wait $pid || true
    exec 7>&-
    [ "$(cat out)" = old ]
    "${snap[@]}" -o out in
    same out <("${snap[@]}" in)
}

@test "records without key, order or time: the position, or the reject file" {
    printf '%s\n' '{"id":1,"t":"2026-01-01","n":1}' '{"t":"2026-01-01","n":1}' '{"id":null,"t":"2026-01-01","n":1}' '{"id":2,"n":1}' '{"id":3,"t":"yesterday","n":1}' \
        '{"id":4,"t":"2026-01-01","n":null}' '{"id":5' >in
    run_tool "${snap[@]}" in
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ "$stderr" = "cdp-snapshot: in:2: key id is missing or null" ]
    run_tool "${snap[@]}" --rejects rej --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1,"t":"2026-01-01","n":1}' ]
    [ "$stderr" = "cdp-snapshot: 6 of 7 records rejected, see rej" ]
    [ "$(jq -r '"\(.line) \(.error)"' rej | head -n 5)" = '2 key id is missing or null
3 key id is missing or null
4 key t is missing or null
5 key t: not an RFC 3339 time
6 key n is missing or null' ]
    balanced stats
    rm rej
    run_tool cdp-snapshot -k id --order n -t t --at 2026-01-01 -q --rejects rej in
    [ "$status" -eq 0 ]
    [ "$(jq -r '.error' rej | sort | uniq -c | sort -rn | head -n 1 | sed 's/^ *//')" = '2 no RFC 3339 time at t' ] || { cat rej; false; }
}

@test "options that are missing, or do not go together" {
    # shellcheck disable=SC2089 # the quotes are in messages
    for args in "--order t|-k is missing" "-k id|--order is missing" "-k id --order t --history --base x|--history needs all records: it goes with neither --base nor --horizon" \
        "-k id --order t --history --horizon 1d|--history needs all records: it goes with neither --base nor --horizon" "-k id --order t --unset x|--unset needs --patch" \
        "-k id --order t --forgotten x|--forgotten needs --forget" "-k id --order t --time t|--time needs --at, --horizon or --history" \
        "-k id --order t --history|--at, --horizon and --history need --time, or a :time in --order" \
        "-k id --order t:time --at noon|--at takes an RFC 3339 time, not 'noon'" "-k id --order t:time --horizon -1d|--horizon takes a duration such as 3d, not '-1d'" \
        "-k id --order t:tim|--order: key 't:tim': expected PATH[:time|:num][:desc]"; do
        # shellcheck disable=SC2086,SC2090
        run_tool cdp-snapshot ${args%%|*} /dev/null
        [ "$status" -eq 2 ]
        [ "$stderr" = "cdp-snapshot: ${args#*|}" ] || { echo "$stderr"; false; }
    done
    for operands in '' '- /dev/null'; do
        # shellcheck disable=SC2086
        run_tool cdp-snapshot -k id --order t --base - $operands </dev/null
        [ "$status" -eq 2 ]
        [ "$stderr" = "cdp-snapshot: standard input cannot be both the base and the changes" ]
    done
    run_tool cdp-snapshot -k id --order t --base - /dev/null <<<'{"id":1,"t":1}'
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1,"t":1}' ]
    run_tool cdp-snapshot -k id --order t --delete '.op ==' /dev/null
    [ "$status" -eq 2 ]
    [[ "$stderr" == "cdp-snapshot: --delete: expression "* ]]
    run_tool cdp-snapshot -k id --order t --forget '.op ==' /dev/null
    [[ "$stderr" == "cdp-snapshot: --forget: expression "* ]]
    run_tool cdp-snapshot -k id --order t --patch 'a b' /dev/null
    [ "$status" -eq 2 ]
    [[ "$stderr" == "cdp-snapshot: --patch: "* ]]
    [ ! -e x ]
}

@test "real data: users-cdc has 18,997 active users, 5,772 of them on gmail.com, whatever the order of arrival" {
    need_shared users-cdc.tar.gz
    real=(cdp-snapshot -k payload._id --order 'source_timestamp:time,read_timestamp:time,uuid' --delete '.source_metadata.change_type == "DELETE"')
    "${real[@]}" --stats stats -o out "$SHARED/users-cdc.tar.gz"
    [ "$(stat_of stats in)" -eq 27998 ]
    [ "$(stat_of stats out)" -eq 18997 ]
    balanced stats
    [ "$(jq -r '.payload.email | ascii_downcase | select(endswith("@gmail.com"))' out | wc -l)" -eq 5772 ]
    cdp-cat "$SHARED/users-cdc.tar.gz" >all
    for seed in 1 2; do
        # 5 % delivered again, read later, in two files
        shuffled $seed all | head -n 1400 | jq -c '.read_timestamp = "2099-01-01T00:00:00Z"' >again
        shuffled $seed all | split -n r/2 - half.
        same out <("${real[@]}" -S 4M -T tmp half.aa half.ab)
        same <(jq -c .payload out) <("${real[@]}" half.ab again half.aa | jq -c .payload)
        "${real[@]}" --horizon 3650d half.aa >base
        "${real[@]}" --horizon 3650d --base base half.ab | "${real[@]}" | same out -
    done
    "${real[@]}" --history all >history
    [ "$(jq -c 'select(.is_current)' history | wc -l)" -eq 18997 ]
}
