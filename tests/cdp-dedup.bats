load common

run_tool() { run --separate-stderr "$@"; }

@test "the first record of a key is kept, as it came, in input order" {
    printf '%s\n' '{"id":2,"v":1.10}' '{"id":1, "v":"\u0041"}' '{"v":3,"id":2}' '{"id":1}' '{"id":3}' >in
    run_tool cdp-dedup -k id in
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$output" = '{"id":2,"v":1.10}
{"id":1, "v":"\u0041"}
{"id":3}' ]
}

@test "keys are values: 1, 1.0 and 1e0 are one, 1 and \"1\" are two, escapes do not matter" {
    printf '%s\n' '{"id":1}' '{"id":1.0}' '{"id":1e0}' '{"id":"1"}' '{"\u0069d":"\u0031"}' '{"id":9007199254740993}' \
        '{"id":9007199254740992}' >in
    run_tool cdp-dedup -k .id in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1}
{"id":"1"}
{"id":9007199254740993}
{"id":9007199254740992}' ]
}

@test "a key inside a nested object or a string is not the key" {
    printf '%s\n' '{"a":{"id":1},"id":2}' '{"a":"\"id\":1","id":3}' '{"id":1}' '{"id":2,"id":1}' >in
    run_tool cdp-dedup -k id in
    [ "$status" -eq 0 ]
    [ "$output" = '{"a":{"id":1},"id":2}
{"a":"\"id\":1","id":3}
{"id":1}' ]
}

@test "several keys, and instants" {
    printf '%s\n' '{"a":1,"t":"2026-02-05T00:00:00Z"}' '{"a":1,"t":"2026-02-05T01:00:00+01:00"}' '{"a":2,"t":"2026-02-05T00:00:00Z"}' >in
    run_tool cdp-dedup -k a,t:time in
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 2 ]
    run_tool cdp-dedup -k a,t in
    [ "${#lines[@]}" -eq 3 ]
}

@test "without -k the whole record is the key, by value" {
    printf '%s\n' '{"a":1,"b":[1,2]}' '{"b":[1,2.0],"a":1e0}' '{"a":1,"b":[2,1]}' >in
    run_tool cdp-dedup in
    [ "$status" -eq 0 ]
    [ "$output" = '{"a":1,"b":[1,2]}
{"a":1,"b":[2,1]}' ]
}

@test "--keep last keeps the last of a key, where it stands" {
    printf '%s\n' '{"id":1,"v":1}' '{"id":2,"v":2}' '{"id":1,"v":3}' '{"id":3,"v":4}' >in
    run_tool cdp-dedup -k id --keep last in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":2,"v":2}
{"id":1,"v":3}
{"id":3,"v":4}' ]
}

@test "--keep-min and --keep-max choose by other keys, equals by their bytes" {
    printf '%s\n' '{"id":1,"t":5,"x":"b"}' '{"id":1,"t":3,"x":"c"}' '{"id":1,"t":3.0,"x":"a"}' '{"id":2,"t":9}' >in
    run_tool cdp-dedup -k id --keep-min t in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1,"t":3,"x":"c"}
{"id":2,"t":9}' ]
    run_tool cdp-dedup -k id --keep-max t in
    [ "$output" = '{"id":1,"t":5,"x":"b"}
{"id":2,"t":9}' ]
    run_tool cdp-dedup -k id --keep-max x in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-dedup: in:4: key x is missing or null" ]
    tac in >rev
    run_tool cdp-dedup -k id --keep-min t rev
    [ "$(sort <<<"$output")" = '{"id":1,"t":3,"x":"c"}
{"id":2,"t":9}' ]
}

@test "ways to choose exclude each other" {
    run_tool cdp-dedup --keep last --keep-min t /dev/null
    [ "$status" -eq 2 ]
    [ "$stderr" = "cdp-dedup: --keep, --keep-min and --keep-max exclude each other" ]
}

@test "--dups holds what was dropped, and in = out + dropped" {
    printf '%s\n' '{"id":1,"v":1}' '{"id":2}' '{"id":1,"v":2}' '{"id":1,"v":3}' >in
    run_tool cdp-dedup -k id --dups dups --stats stats in
    [ "$status" -eq 0 ]
    [ "$(cat dups)" = '{"id":1,"v":2}
{"id":1,"v":3}' ]
    balanced stats
    [ "$(stat_of stats dropped)" -eq 2 ]
    run_tool cdp-dedup -k id --keep last --dups dups --stats stats in
    [ "$(cat dups)" = '{"id":1,"v":1}
{"id":1,"v":2}' ]
    balanced stats
}

@test "--against drops what a dataset holds, and --where is not for it" {
    printf '%s\n' '{"id":1,"old":true}' | gzip >old.gz
    printf '%s\n' '{"id":2,"old":true}' >old2
    printf '%s\n' '{"id":1}' '{"id":2}' '{"id":3}' '{"id":3}' '{"id":4,"old":true}' >in
    run_tool cdp-dedup -k id --against old.gz --against old2 --where '.old|not' --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":3}' ]
    balanced stats
    [ "$(stat_of stats in)" -eq 5 ]
}

@test "--seen carries the keys from run to run" {
    printf '%s\n' '{"id":1}' '{"id":2}' >a
    printf '%s\n' '{"id":2}' '{"id":3}' >b
    run_tool cdp-dedup -k id --seen seen a
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 2 ]
    cp seen first
    run_tool cdp-dedup -k id --seen seen b
    [ "$output" = '{"id":3}' ]
    cat a b | cdp-dedup -k id --seen all >/dev/null
    same seen all
    # the same keys give the same bytes, also by another way of choosing
    cp first again
    cdp-dedup -k id --keep last --seen again b >/dev/null
    same seen again
    run_tool cdp-dedup -k other --seen seen b
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-dedup: seen: made with another key" ]
}

@test "--seen keeps no key of a run whose records did not get out" {
    printf '%s\n' '{"id":1}' >a
    cdp-dedup -k id --seen seen a >/dev/null
    cp seen before
    printf '%s\n' '{"id":2}' x >b
    run_tool cdp-dedup -q -k id --seen seen --rejects rej --max-rejects 0 -o out b
    [ "$status" -eq 1 ]
    same seen before
    [ ! -e out ]
    run_tool cdp-dedup -k id --seen seen b
    [ "$status" -eq 1 ]
    same seen before
    printf '%s\n' '{"id":2}' >c
    run bash -c 'cdp-dedup -k id --seen seen c >/dev/full'
    [ "$status" -eq 3 ]
    same seen before
    cdp-dedup -q -k id --seen seen --rejects rej -o out b
    [ "$(<out)" = '{"id":2}' ]
}

@test "--seen: a place where no file can be is known before the first record, and any name is a file's" {
    printf '%s\n' '{"id":1}' >a
    run_tool cdp-dedup -k id --seen no/such/seen a
    [ "$status" -eq 3 ]
    [ -z "$output" ]
    [ "$stderr" = "cdp-dedup: no/such/seen: cannot create a file in its directory: No such file or directory" ]
    for name in seen.gz -; do
        run_tool cdp-dedup -k id --seen "$name" a
        [ "$output" = '{"id":1}' ]
        run_tool cdp-dedup -k id --seen "$name" a
        [ "$status" -eq 0 ]
        [ -z "$output$stderr" ]
    done
}

@test "bad lines of --against are counted" {
    printf '%s\n' '{"id":1}' x >old
    printf '%s\n' '{"id":1}' '{"id":2}' y >in
    run_tool cdp-dedup -k id --against old --rejects rej --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":2}' ]
    [ "$stderr" = "cdp-dedup: 2 of 4 records rejected, see rej" ]
    [ "$(jq -c '[.in,.out,.dropped,.rejected]' stats)" = '[4,1,1,2]' ]
    [ "$(jq -r .source rej)" = 'old
in' ]
}

@test "a damaged --seen file is refused and left alone" {
    printf '%s\n' '{"id":1}' '{"id":2}' >a
    cdp-dedup -k id --seen seen a >/dev/null
    printf x | dd of=seen bs=1 seek=20 conv=notrunc status=none
    cp seen before
    run_tool cdp-dedup -k id --seen seen a
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-dedup: seen: not a file of --seen, or a damaged one" ]
    same seen before
}

@test "--missing: reject, pass or drop" {
    printf '%s\n' '{"id":1}' '{"x":1}' '{"id":null}' '{"x":1}' '{"id":1}' >in
    run_tool cdp-dedup -k id in
    [ "$status" -eq 1 ]
    [ "$output" = '{"id":1}' ]
    [[ "$stderr" == "cdp-dedup: in:2: "*id* ]]
    run_tool cdp-dedup -k id --missing pass in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1}
{"x":1}
{"id":null}
{"x":1}' ]
    run_tool cdp-dedup -k id --missing drop --stats stats in
    [ "$output" = '{"id":1}' ]
    balanced stats
    run_tool cdp-dedup -k id --rejects rej --stats stats in
    [ "$status" -eq 0 ]
    [ "$stderr" = "cdp-dedup: 3 of 5 records rejected, see rej" ]
    [ "$(jq -c '[.source,.line,.raw]' rej | head -1)" = '["in",2,"{\"x\":1}"]' ]
    balanced stats
    run_tool cdp-dedup -q -k id --rejects rej --max-rejects 2 in
    [ "$status" -eq 1 ]
}

@test "--missing pass: what was kept of one block's records is not there in the next" {
    awk 'BEGIN { for (i = 0; i < 40000; i++) print "{\"x\":1}"; for (i = 0; i < 40000; i++) printf "{\"id\":%d}\n", i % 7 }' >in
    for keep in first last; do
        run_tool cdp-dedup --threads 1 -k id --missing pass --keep $keep --stats stats in
        [ "$status" -eq 0 ]
        [ "${#lines[@]}" -eq 40007 ]
        [ "$(grep -c id <<<"$output")" -eq 7 ]
        balanced stats
    done
    grep -v x in >old
    run_tool cdp-dedup --threads 1 -k id --missing pass --against in old
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "malformed lines: the position, or the reject file" {
    printf '%s\n' '{"id":1}' '{"id" 2}' '' '{"id":3}' >in
    run_tool cdp-dedup -k id in
    [ "$status" -eq 1 ]
    [ "$output" = '{"id":1}' ]
    [ "$stderr" = "cdp-dedup: in:2:7: expected ':' after a key" ]
    printf '{"id":"\xff"}\n' >>in
    run_tool cdp-dedup -k id --rejects rej --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1}
{"id":3}' ]
    [ "$(sed -n 1p rej)" = '{"error":"expected '"':'"' after a key","rule":"json","source":"in","line":2,"byte":7,"raw":"{\"id\" 2}"}' ]
    [ "$(sed -n 2p rej | jq -r .raw_base64 | base64 -d | od -An -tx1)" = "$(printf '{"id":"\xff"}' | od -An -tx1)" ]
    [ "$(stat_of stats blank)" -eq 1 ]
    balanced stats
}

@test "a spilled run gives the same bytes, dups included" {
    awk 'BEGIN { for (i = 0; i < 300000; i++) printf "{\"id\":%d,\"n\":%d}\n", (i * 7919) % 140001, i }' >in
    cdp-dedup -k id --dups dups in >want
    for how in "--threads 1" "--threads 3"; do
        # shellcheck disable=SC2086
        run_tool cdp-dedup -k id -S 1M -T "$TMPDIR" $how --dups dups2 --stats stats -o got in
        [ "$status" -eq 0 ]
        same want got
        same dups dups2
        balanced stats
    done
    cdp-dedup -k id --seen seen in >/dev/null
    cdp-dedup -k id -S 1M --seen seen2 in >/dev/null
    same seen seen2
    [ "$(awk '!s[$0]++' <(sed 's/,.*//' in) | wc -l)" -eq "$(wc -l <want)" ]
    no_temps
}

@test "what --against and --seen hold need not fit in memory" {
    awk 'BEGIN { for (i = 0; i < 90000; i++) printf "{\"id\":%d,\"n\":%d}\n", (i * 7919) % 140001, i }' >old
    awk 'BEGIN { for (i = 0; i < 90000; i++) printf "{\"id\":%d,\"n\":%d}\n", (i * 104729) % 140001, i % 2000 }' >in
    cdp-dedup -k id --seen seen old >/dev/null
    cp seen before
    for keep in "--keep first" "--keep last" "--keep-min n" "--keep-max n"; do
        # shellcheck disable=SC2086
        cdp-dedup -k id $keep --against old --dups dups in >want
        [ "$(wc -l <want)" -gt 30000 ]
        [ "$(cut -d, -f1 old want | sort | uniq -d | wc -l)" -eq 0 ]
        # shellcheck disable=SC2086
        run_tool cdp-dedup -k id $keep --against old -S 1M --dups dups2 --stats stats -o got in
        [ "$status" -eq 0 ]
        same want got
        same dups dups2
        balanced stats
        for memory in 1M 1G; do
            cp before seen
            # shellcheck disable=SC2086
            cdp-dedup -k id $keep --seen seen -S "$memory" in >got
            same want got
            [ "$memory" != 1M ] || cp seen small
        done
        same small seen
    done
    # the keys of --against are remembered as well
    cat old in | cdp-dedup -k id --seen both >/dev/null
    cdp-dedup -k id --against old --seen kept -S 1M in >/dev/null
    same both kept
    same both seen
    no_temps
}

@test "memory stays within --memory, whatever there is to remember" {
    ! grep -q '__[at]san_init' "$BUILD/bin/cdp-dedup" || skip 'a sanitizer keeps memory of its own'
    awk 'BEGIN { for (i = 0; i < 1500000; i++) printf "{\"id\":%d}\n", i }' >old
    awk 'BEGIN { for (i = 0; i < 500000; i++) printf "{\"id\":%d,\"pad\":\"%048d\"}\n", i * 7919 % 400009 + 1400000, i }' >in
    for how in '' '--seen seen' '--keep last --seen seen2'; do
        # shellcheck disable=SC2086
        cdp-dedup -k id $how --against old -S 8M --threads 2 --stats stats in >out
        [ "$(wc -l <out)" -eq 300009 ]
        # and 16 MiB for the program, its blocks and what malloc keeps
        [ "$(stat_of stats peak_memory)" -lt $(((8 + 16) * 1048576)) ]
    done
    same seen seen2
}

@test "--against and the records are not both standard input" {
    for operands in '' '/dev/null -'; do
        # shellcheck disable=SC2086
        run_tool cdp-dedup -k id --against - $operands <<<'{"id":1}'
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [ "$stderr" = 'cdp-dedup: standard input cannot be both --against and the records' ]
    done
    printf '%s\n' '{"id":1}' '{"id":2}' >in
    run_tool cdp-dedup -k id --against - in <<<'{"id":1}'
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":2}' ]
}

@test "--against needs but the key" {
    printf '%s\n' '{"id":2}' >old
    printf '%s\n' '{"id":1,"t":2}' '{"id":1,"t":1}' '{"id":2,"t":0}' >in
    run_tool cdp-dedup -k id --keep-min t --against old in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1,"t":1}' ]
    echo '{"t":1}' >>old
    run_tool cdp-dedup -k id --keep-min t --against old in
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-dedup: old:2: key id is missing or null" ]
    run_tool cdp-dedup -k id --against old --missing drop in
    [ "$status" -eq 0 ]
    [ "$output" = '{"id":1,"t":2}' ]
}

@test "the 65,537th key, block boundaries, a line of 3 MB and no last newline" {
    awk 'BEGIN { for (i = 0; i < 65537; i++) printf "{\"id\":\"k%d\"}\n", i; printf "{\"id\":\"big\",\"p\":\"";
        for (i = 0; i < 300000; i++) printf "0123456789"; printf "\"}\n{\"id\":\"end\"}" }' >in
    cat in in | cdp-dedup -k id --rejects rej -q >out   # the two meet in one bad line
    [ "$(wc -l <out)" -eq 65539 ]
    [ "$(wc -l <rej)" -eq 1 ]
    cdp-dedup -k id in in >out
    same out <(cat in; echo)
    run_tool cdp-dedup -k id --max-record 1M in
    [ "$status" -eq 1 ]
    [[ "$stderr" == "cdp-dedup: in: the record at byte "*" is longer than 1048576 bytes" ]]
}

@test "empty input is no error" {
    run_tool cdp-dedup -k id /dev/null
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
}

@test "a live pipe: a record leaves as soon as the input pauses" {
    mkfifo pipe
    cdp-dedup -k id <pipe >out &
    exec 5>pipe
    echo '{"id":1}' >&5
    for _ in $(seq 100); do [ -s out ] && break; sleep 0.05; done
    [ "$(cat out)" = '{"id":1}' ]
    exec 5>&-
    wait $!
}

@test "real data: online-retail has 5,268 exact duplicates" {
    need_shared online-retail.ndjson.gz
    run_tool cdp-dedup --stats stats -o out "$SHARED/online-retail.ndjson.gz"
    [ "$status" -eq 0 ]
    [ "$(stat_of stats in)" -eq 541909 ]
    [ "$(stat_of stats dropped)" -eq 5268 ]
}
