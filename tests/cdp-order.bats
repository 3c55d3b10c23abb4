load common

run_tool() { run --separate-stderr "$@"; }

# lines N [SEED]: N records {"i":…,"k":…,"s":…,"t":…} with many equal keys, in an order that is not theirs.
lines()
{
    awk -v n="$1" -v seed="${2:-1}" 'BEGIN {
        x = seed
        for (i = 0; i < n; i++) {
            x = (x * 1103515245 + 12345) % 2147483648; k = int(x / 65536) % 5000 - 100
            x = (x * 1103515245 + 12345) % 2147483648; s = int(x / 65536) % 300
            printf "{\"i\":%d,\"k\":%d,\"s\":\"x%d\",\"t\":\"2026-02-%02dT%02d:00:00Z\"}\n", i, k, s, s % 28 + 1, k % 24 < 0 ? 0 : k % 24
        }
    }'
}

@test "numbers are ordered exactly, at any size, and leave as they came" {
    printf '%s\n' '{"n":1e1000}' '{"n":12345678901234567891}' '{"n": 1.10}' '{"n":12345678901234567890}' '{"n":-0.5}' \
        '{"n":1E-3}' '{"n":1.1,"b":1}' '{"n":-1e400}' >in
    run_tool cdp-order -k n in
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$output" = '{"n":-1e400}
{"n":-0.5}
{"n":1E-3}
{"n": 1.10}
{"n":1.1,"b":1}
{"n":12345678901234567890}
{"n":12345678901234567891}
{"n":1e1000}' ]
}

@test "values of all types come in jq's order" {
    printf '%s\n' '{"v":{"a":1}}' '{"v":[2]}' '{"v":"b"}' '{"v":"\u0061"}' '{"v":2}' '{"v":true}' '{"v":false}' '{"v":null}' \
        '{"v":[1,2]}' '{"v":"é"}' '{"v":{"a":0}}' >in
    run_tool cdp-order -k v --missing null in
    [ "$status" -eq 0 ]
    [ "$output" = "$(jq -cs 'sort_by(.v)[]' in | sed 's/"a"}$/"\\u0061"}/')" ]
    [ "${#lines[@]}" -eq 11 ]
}

@test "several keys: instants with offsets, numbers in strings, descending" {
    printf '%s\n' '{"i":1,"a":{"t":"2026-02-05T01:00:00+01:00"},"n":"10"}' '{"i":2,"a":{"t":"2026-02-05T00:00:00.000Z"},"n":9.0}' \
        '{"i":3,"a":{"t":"2026-02-04T23:59:59.999999999Z"},"n":"1"}' '{"i":4,"a":{"t":"2026-02-05T00:00:00Z"},"n":"1e1"}' >in
    run_tool cdp-order -k .a.t:time,n:num in
    [ "$status" -eq 0 ]
    [ "$(jq .i <<<"$output" | paste -sd' ')" = '3 2 1 4' ]
    run_tool cdp-order -k .a.t:time:desc -k n:num:desc,i:desc in
    [ "$(jq .i <<<"$output" | paste -sd' ')" = '4 1 2 3' ]
}

@test "keys are found under escaped and repeated names, not in nested objects" {
    printf '%s\n' '{"a":{"k":1},"k":3}' '{"k":9,"k":2}' '{"\u006b":1,"s":"\"k\":0"}' >in
    run_tool cdp-order -k k in
    [ "$output" = '{"\u006b":1,"s":"\"k\":0"}
{"k":9,"k":2}
{"a":{"k":1},"k":3}' ]
}

@test "without -k the whole record is the key" {
    printf '%s\n' '[2]' '{"b":1}' '"x"' '3' 'null' '{"a":2}' '[1,5]' >in
    run_tool cdp-order --missing null in
    [ "$status" -eq 0 ]
    [ "$output" = "$(jq -cs 'sort[]' in)" ]
}

@test "equal keys keep the order of the input: 65,537 of them, in memory and spilled, on any number of threads" {
    awk 'BEGIN { for (i = 0; i < 65537; i++) printf "{\"i\":%d,\"k\":\"same\"}\n", i }' >in
    for how in '--threads 1' '--threads 4' '-S 1M --threads 1' '-S 1M --threads 3' '-S 256K --threads 2'; do
        # shellcheck disable=SC2086
        cdp-order -k k $how in >out
        same in out
    done
}

@test "the answer is jq's, however it is run" {
    lines 30000 >in
    jq -cs 'sort_by(.k, .s)[]' in >want
    for how in '--threads 1' '--threads 2' '--threads 7' '-S 1M' '-S 1M --threads 1' '-S 300K --threads 5'; do
        # shellcheck disable=SC2086
        cdp-order -k k,s $how in >out
        same want out
        # shellcheck disable=SC2086
        cdp-order -k k,s $how <in | cat >out
        same want out
    done
    jq -cs '[.[] | .k = -.k] | sort_by(.k)[] | .k = -.k' in >want
    cdp-order -k k:desc -S 1M in >out
    same want out
}

@test "the answer is GNU sort's for strings, spilled many times" {
    awk 'BEGIN { srand(7); for (i = 0; i < 120000; i++) printf "{\"s\":\"%c%c%d\",\"pad\":\"%064d\",\"i\":%d}\n", 97 + int(rand() * 26), 65 + int(rand() * 26), int(rand() * 1000), i, i }' >in
    [ "$(wc -c <in)" -gt 10000000 ]
    LC_ALL=C sort -s -t'"' -k4,4 in >want
    for how in '-S 1M --threads 1' '-S 1M --threads 4' '-S 4M --threads 2' '--threads 2'; do
        # shellcheck disable=SC2086
        run_tool cdp-order -k s $how -T "$PWD/tmp" --stats stats in
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        printf '%s\n' "$output" | same want /dev/stdin
        balanced stats
    done
    no_temps
}

@test "records larger than a block, and than all memory" {
    { for i in 5 3 1; do
        printf '{"k":%d,"pad":"' "$i" && head -c "${i}500000" /dev/zero | tr '\0' "$i" && printf '"}\n'
        for j in 1 2 3; do printf '{"k":%d.%d}\n' "$i" "$j"; done
    done; } >in
    for how in '' '-S 256K' '-S 1M --threads 1' '-S 1M --threads 4'; do
        # shellcheck disable=SC2086
        cdp-order -k k $how in >out
        [ "$(jq -c .k out | paste -sd' ')" = '1 1.1 1.2 1.3 3 3.1 3.2 3.3 5 5.1 5.2 5.3' ]
        [ "$(wc -c <out)" = "$(wc -c <in)" ]
    done
    run_tool cdp-order -k k --max-record 1M in
    [ "$status" -eq 1 ]
    [[ "$stderr" == *'longer than'* ]]
    [ -z "$output" ]
}

@test "a line of 60 MiB" {
    { printf '{"k":2,"pad":"' && head -c 62914560 /dev/zero | tr '\0' x && printf '"}\n{"k":1}\n'; } >in
    cdp-order -k k -S 1M in >out
    [ "$(head -n 1 out)" = '{"k":1}' ]
    [ "$(tail -n +2 out | wc -c)" -eq "$(head -n 1 in | wc -c)" ]
}

@test "line ends, a byte order mark, blank lines, a last line without its end" {
    printf '\357\273\277{"k":3}\r\n\n{"k":2}\n  \n{"k":1}' >in
    cdp-order -k k --stats stats in >out
    printf '{"k":1}\n{"k":2}\n{"k":3}\r\n' >want
    same want out
    [ "$(stat_of stats blank)" = 2 ]
    balanced stats
}

@test "nothing in, nothing out" {
    : >in
    for how in '' --unique --check --merge '--lateness 1h -t t'; do
        # shellcheck disable=SC2086
        run_tool cdp-order -k k $how in
        [ "$status" -eq 0 ]
        [ -z "$output$stderr" ]
    done
}

@test "a missing or null key is unusable: where it stands, or in the reject file; --missing null sorts it first" {
    printf '%s\n' '{"k":2}' '{"k":null}' '{"j":1}' '{"k":1}' >in
    run_tool cdp-order -k k in
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [[ "$stderr" == 'cdp-order: in:2: '* ]]
    [ "${#stderr_lines[@]}" -eq 1 ]
    run_tool cdp-order -k k --rejects bad --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"k":1}
{"k":2}' ]
    [ "$stderr" = 'cdp-order: 2 of 4 records rejected, see bad' ]
    [ "$(jq -c '[.line, .raw]' bad)" = '[2,"{\"k\":null}"]
[3,"{\"j\":1}"]' ]
    balanced stats
    run_tool cdp-order -k k --rejects bad --max-rejects 1 -q in
    [ "$status" -eq 1 ]
    run_tool cdp-order -k k --missing null in
    [ "$status" -eq 0 ]
    [ "$output" = '{"k":null}
{"j":1}
{"k":1}
{"k":2}' ]
}

@test "a malformed record, and a key that is no time, end the run with nothing written" {
    printf '%s\n' '{"t":"2026-02-05T00:00:00Z"}' '{"t":"yesterday"}' '{"t":' >in
    run_tool cdp-order -k t:time in
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [[ "$stderr" == 'cdp-order: in:2: '* ]]
    [[ "$stderr" != *yesterday* ]]
    run_tool cdp-order -k t in
    [ "$status" -eq 1 ]
    [[ "$stderr" == 'cdp-order: in:3:6: '* ]]
    [ -z "$output" ]
}

@test "--where chooses before sorting" {
    lines 1000 >in
    run_tool cdp-order -k k --where '.k < 0' --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = "$(jq -cs 'sort_by(.k)[] | select(.k < 0)' in)" ]
    balanced stats
}

@test "--unique writes the first record of each key" {
    lines 30000 >in
    jq -cs 'unique_by(.k)[]' in >want
    for how in '--threads 1' '--threads 4' '-S 1M' '-S 256K --threads 3'; do
        # shellcheck disable=SC2086
        cdp-order -k k --unique $how --stats stats in >out
        same want out
        balanced stats
        [ "$(stat_of stats out)" = "$(wc -l <want)" ]
    done
    cdp-order -u -k k <in | cmp - want
}

@test "-o writes the file whole or not at all" {
    printf '%s\n' '{"k":2}' '{"k":1}' >in
    echo old >out
    run_tool cdp-order -k k -o out in
    [ "$status" -eq 0 ]
    [ "$(cat out)" = '{"k":1}
{"k":2}' ]
    echo '{' >>in
    run_tool cdp-order -k k --output out in
    [ "$status" -eq 1 ]
    [ "$(cat out)" = '{"k":1}
{"k":2}' ]
    no_temps
}

@test "memory stays within -S" {
    ! grep -q '__[at]san_init' "$BUILD/bin/cdp-order" || skip 'a sanitizer keeps memory of its own'
    lines 600000 >in
    cdp-order -k k,s -S 24M --threads 2 --stats stats in >/dev/null
    # and 16 MiB for the program, its blocks and what malloc keeps
    [ "$(stat_of stats peak_memory)" -lt $(((24 + 16) * 1048576)) ]
}

@test "temporary files go to -T, and a place that is none is an error of status 3" {
    lines 30000 >in
    run_tool cdp-order -k k -S 256K -T "$PWD/nowhere" in
    [ "$status" -eq 3 ]
    [ -z "$output" ]
    [[ "$stderr" == 'cdp-order: '*nowhere* ]]
    TMPDIR=$PWD/nowhere run_tool cdp-order -k k -S 256K --tmpdir "$PWD" in
    [ "$status" -eq 0 ]
    full() { trap '' XFSZ && ulimit -f 100 && cdp-order -k k -S 256K in; }
    run_tool full
    [ "$status" -eq 3 ]
    [ -z "$output" ]
    [ "$stderr" = 'cdp-order: temporary file (see -T): cannot write: File too large' ]
    no_temps
}

@test "usage" {
    for how in '--check --merge' '--merge --lateness 1h -t t' '--lateness 1h' '--lateness soon -t t' '--lateness 1h -t a..b' \
        '-t t' '--late f' '--missing maybe' "-k ''" '-k .a.' '-k a:when'; do
        eval "run_tool cdp-order $how in"
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [ "${#stderr_lines[@]}" -eq 1 ]
    done
    run_tool cdp-order --merge -k k - in - </dev/null
    [ "$status" -eq 2 ]
    [ "$stderr" = 'cdp-order: standard input cannot be merged with itself' ]
    run_tool cdp-order --lateness 1h -t t:time in
    [ "$stderr" = "cdp-order: -t: path 't:time': unexpected character at 2" ]
    run_tool cdp-order -k k nowhere
    [ "$status" -eq 3 ]
    [[ "$stderr" == 'cdp-order: nowhere: '* ]]
}

# ---- --check

@test "--check names the first line that is out of order" {
    printf '%s\n' '{"k":1}' '{"k":2}' '{"k":2}' '' '{"k":1}' '{"k":0}' >in
    run_tool cdp-order --check -k k in
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ "$stderr" = 'cdp-order: in:5: out of order' ]
    run_tool cdp-order --check --unique -k k in
    [ "$status" -eq 1 ]
    [ "$stderr" = 'cdp-order: in:3: out of order, or a key again' ]
    # it is no way to lose a file
    cp in copy
    run_tool cdp-order --check -k k -o in in
    [ "$status" -eq 2 ]
    [ "$stderr" = 'cdp-order: --check writes nothing, so it takes no -o' ]
    same in copy
    head -n 2 in >a
    run_tool cdp-order -c -u -k k --stats stats a
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
    balanced stats
}

@test "--check goes over operands in sequence" {
    printf '%s\n' '{"k":1}' '{"k":3}' >a
    printf '%s\n' '{"k":3}' '{"k":4}' >b
    cdp-order --check -k k a b
    run_tool cdp-order --check -k k b a
    [ "$status" -eq 1 ]
    [ "$stderr" = 'cdp-order: a:1: out of order' ]
    run_tool cdp-order --check -k k a - <b
    [ "$status" -eq 0 ]
}

@test "--check over many blocks and threads, with the disorder at every kind of place" {
    lines 60000 | cdp-order -k k >sorted
    cdp-order --check -k k sorted --threads 4
    for at in 2 12345 31007 60000; do
        awk -v at="$at" 'NR == at { sub(/"k":-?[0-9]+/, "\"k\":-1000") } { print }' sorted >in
        for threads in 1 4; do
            run_tool cdp-order --check -k k --threads "$threads" in
            [ "$status" -eq 1 ]
            [ "$stderr" = "cdp-order: in:$at: out of order" ]
        done
    done
    # each line a disorder: the first one is named
    cdp-order -k k:desc,i:desc sorted >in
    run_tool cdp-order --check -k k,i --threads 4 in
    [ "$stderr" = 'cdp-order: in:2: out of order' ]
}

@test "--check stops at the disorder of a stream that goes on" {
    mkfifo in
    exec 9<>in
    printf '%s\n' '{"k":2}' '{"k":1}' >&9
    run_tool cdp-order --check -k k in
    exec 9>&-
    [ "$status" -eq 1 ]
    [ "$stderr" = 'cdp-order: in:2: out of order' ]
}

# ---- --merge

@test "--merge: equal keys in the order of the inputs" {
    printf '%s\n' '{"k":1,"f":"a"}' '{"k":2,"f":"a"}' '{"k":2,"f":"a2"}' >a
    printf '%s\n' '{"k":0,"f":"b"}' '{"k":2,"f":"b"}' >b
    : >empty
    printf '{"k":2,"f":"c"}\r\n{"k":3,"f":"c"}' >c
    cdp-order --merge -k k --stats stats a b empty c >out
    printf '%s\n' '{"k":0,"f":"b"}' '{"k":1,"f":"a"}' '{"k":2,"f":"a"}' '{"k":2,"f":"a2"}' '{"k":2,"f":"b"}' >want
    printf '{"k":2,"f":"c"}\r\n{"k":3,"f":"c"}\n' >>want
    same want out
    balanced stats
    cdp-order -m -k k --unique --stats stats c b a | jq -c '[.k,.f]' >out
    [ "$(paste -sd' ' out)" = '[0,"b"] [1,"a"] [2,"c"] [3,"c"]' ]
    balanced stats
    cdp-order --merge -k k <a >out
    same a out
}

@test "--merge of 1000 files, with few files open and little memory" {
    mkdir in
    lines 20000 | split -n r/1000 -a 3 - in/x
    for f in in/x???; do cdp-order -k k,i "$f" -o "$f.s"; done
    lines 20000 | jq -cs 'sort_by(.k, .i)[]' >want
    cdp-order --merge -k k,i in/*.s >out
    same want out
    (ulimit -n 64 && cdp-order --merge -k k,i in/*.s) >out
    same want out
    cdp-order --merge -k k,i -S 1M --threads 4 --stats stats in/*.s >out
    same want out
    balanced stats
    # ties by input: the files in the order given, through runs or not
    cat in/*.s | cdp-order -k k >want
    cdp-order --merge -k k -S 1M in/*.s >out
    same want out
    no_temps
}

@test "--merge checks that its inputs are sorted" {
    printf '%s\n' '{"k":1}' '{"k":3}' '{"k":2}' >a
    printf '%s\n' '{"k":1}' '{"k":9}' >b
    run_tool cdp-order --merge -k k a b
    [ "$status" -eq 1 ]
    [ "$stderr" = 'cdp-order: a:3: out of order' ]
}

@test "--merge: bad records, --where, packed inputs" {
    printf '%s\n' '{"k":1}' '{"k":' '' '{"j":2}' '{"k":5,"no":1}' '{"k":7}' >a
    printf '%s\n' '{"k":4}' '{"k":6}' | gzip >b.gz
    run_tool cdp-order --merge -k k a b.gz
    [ "$status" -eq 1 ]
    [[ "$stderr" == 'cdp-order: a:2:6: '* ]]
    run_tool cdp-order --merge -k k --rejects bad --where '.no | not' --stats stats a b.gz
    [ "$status" -eq 0 ]
    [ "$(jq .k <<<"$output" | paste -sd' ')" = '1 4 6 7' ]
    [ "$(jq -c '[.source, .line, .byte]' bad)" = '["a",2,6]
["a",4,null]' ]
    [ "$(stat_of stats dropped)" = 1 ]
    balanced stats
}

@test "--merge of streams writes what it can before it waits" {
    mkfifo a b
    cdp-order --merge -k k a b >out &
    local pid=$!
    exec 8>a
    printf '%s\n' '{"k":1}' '{"k":4}' >&8
    exec 9>b
    printf '%s\n' '{"k":2}' '{"k":3}' >&9
    until [ "$(wc -l <out)" -ge 3 ]; do sleep 0.05; done
    [ "$(jq .k out | paste -sd' ')" = '1 2 3' ]
    exec 8>&- 9>&-
    wait $pid
    [ "$(jq .k out | paste -sd' ')" = '1 2 3 4' ]
}

# ---- --lateness

# stream N: N records that come up to 3,000 seconds late.
stream()
{
    awk -v n="$1" 'BEGIN {
        x = 42
        for (i = 0; i < n; i++) {
            x = (x * 1103515245 + 12345) % 2147483648; late = int(x / 65536) % (i % 10 ? 400 : 3000)
            s = 10000 + i * 2 - late
            printf "{\"i\":%d,\"t\":\"2026-02-05T%02d:%02d:%02dZ\",\"k\":%d}\n", i, int(s / 3600) % 24, int(s / 60) % 60, s % 60, i % 3
        }
    }'
}

# expect SECONDS keep|late: what must become of the file `stream`.
expect()
{
    jq -cn --argjson lateness "$1" --arg what "$2" '
        def sec: .t | fromdateiso8601;
        reduce inputs as $r ({max: null, keep: [], late: []};
            ($r | sec) as $s | if .max != null and $s < .max - $lateness then .late += [$r]
            else .max = ([.max, $s] | max) | .keep += [$r] end)
        | if $what == "late" then .late[] else .keep | sort_by(sec)[] end' stream
}

@test "--lateness: in order, and the late ones apart, whatever the threads, memory and blocks" {
    stream 4000 >stream
    expect 600 keep >want
    expect 600 late >want.late
    [ -s want.late ]
    for how in '--threads 1' '--threads 4' '-S 1K' '-S 100K --threads 3'; do
        rm -f late
        # shellcheck disable=SC2086
        run_tool cdp-order --lateness 10m -t .t --late late $how --stats stats stream
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        printf '%s\n' "$output" | same want /dev/stdin
        same want.late late
        balanced stats
        [ "$(stat_of stats dropped)" = "$(wc -l <want.late)" ]
    done
    # cut into other blocks: small pieces through a pipe
    rm late
    while read -r -N 5000 piece || [ -n "$piece" ]; do printf '%s' "$piece"; done <stream | cdp-order --lateness 10m -t .t --late late >out
    same want out
    same want.late late
    no_temps
}

@test "--lateness: a window far larger than memory" {
    stream 20000 >stream
    cdp-order -k t:time stream >want
    cdp-order --lateness 2d -t t -S 20K --threads 2 stream >out
    same want out
    no_temps
}

@test "--lateness: keys order what is of one instant, after the time" {
    printf '%s\n' '{"t":"2026-02-05T01:00:01Z","k":1}' '{"t":"2026-02-05T02:00:00+01:00","k":1}' '{"t":"2026-02-05T01:00:00.0Z","k":0}' \
        '{"t":"2026-02-05T01:00:01Z","k":1,"again":1}' '{"t":"0001-01-01T00:00:00Z","k":0}' >in
    run_tool cdp-order --lateness 5000w -t t -k k in
    [ "$status" -eq 1 ]
    [[ "$stderr" == 'cdp-order: in:5: later than --lateness allows' ]]
    run_tool cdp-order --lateness 200000w -t t -k k --unique --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"t":"0001-01-01T00:00:00Z","k":0}
{"t":"2026-02-05T01:00:00.0Z","k":0}
{"t":"2026-02-05T02:00:00+01:00","k":1}
{"t":"2026-02-05T01:00:01Z","k":1}' ]
    balanced stats
}

@test "--lateness: what is not late is exact to the nanosecond" {
    printf '%s\n' '{"t":"2026-02-05T01:00:00.000000001Z"}' '{"t":"2026-02-05T00:59:59.000000001Z"}' '{"t":"2026-02-05T00:59:59.000000000Z"}' >in
    run_tool cdp-order --lateness 1s -t t --late late in
    [ "$status" -eq 0 ]
    [ "$output" = '{"t":"2026-02-05T00:59:59.000000001Z"}
{"t":"2026-02-05T01:00:00.000000001Z"}' ]
    [ "$(cat late)" = '{"t":"2026-02-05T00:59:59.000000000Z"}' ]
}

@test "--lateness: late records are rejected where no --late is given, in the order of the input" {
    printf '%s\n' '{"t":"2026-02-05T02:00:00Z"}' '{"t":1' '{"t":"2026-02-05T00:00:00Z"}' '{"t":"noon"}' '{}' '{"t":"2026-02-05T01:30:00Z"}' >in
    run_tool cdp-order --lateness 1h -t t --rejects bad --stats stats in
    [ "$status" -eq 0 ]
    [ "$output" = '{"t":"2026-02-05T01:30:00Z"}
{"t":"2026-02-05T02:00:00Z"}' ]
    [ "$(jq -c '[.line, .rule, .error]' bad)" = "[2,\"json\",$(jq -c 'select(.line == 2).error' bad)]
[3,\"late\",\"later than --lateness allows\"]
[4,\"record\",\"t: not a time\"]
[5,\"record\",\"t: missing\"]" ]
    balanced stats
    sed -i 2d in
    run_tool cdp-order --lateness 1h -t t in
    [ "$status" -eq 1 ]
    [ "$stderr" = 'cdp-order: in:2: later than --lateness allows' ]
}

@test "--lateness: late records are appended" {
    printf '%s\n' '{"t":"2026-02-05T02:00:00Z"}' '{"t":"2026-02-05T00:00:00Z"}' >in
    echo before >late
    cdp-order --lateness 1h -t t --late late in >out
    [ "$(cat late)" = 'before
{"t":"2026-02-05T00:00:00Z"}' ]
}

@test "--lateness: what the watermark has passed is out while the stream goes on" {
    mkfifo in
    cdp-order --lateness 1h -t t --late late in >out &
    local pid=$!
    exec 9>in
    printf '%s\n' '{"t":"2026-02-05T01:00:00Z"}' '{"t":"2026-02-05T00:30:00Z"}' '{"t":"2026-02-05T01:59:00Z"}' >&9
    until [ "$(wc -l <out)" -ge 1 ]; do sleep 0.05; done
    [ "$(cat out)" = '{"t":"2026-02-05T00:30:00Z"}' ]
    echo '{"t":"2026-02-05T00:58:00Z"}' >&9
    until [ -s late ]; do sleep 0.05; done
    echo '{"t":"2026-02-05T03:00:00Z"}' >&9
    until [ "$(wc -l <out)" -ge 3 ]; do sleep 0.05; done
    [ "$(wc -l <out)" = 3 ]
    exec 9>&-
    wait $pid
    cdp-order --check -k t:time out
    [ "$(wc -l <out)" = 4 ]
}

# ---- data that nobody here wrote

@test "change events in any order of arrival" {
    need_shared users-cdc.tar.gz
    tar -xzOf "$SHARED/users-cdc.tar.gz" >in
    key=source_timestamp:time,read_timestamp:time,uuid
    cdp-order -k "$key" in >want
    cdp-order --check -k "$key" want
    [ "$(wc -l <want)" -eq "$(wc -l <in)" ]
    cdp-order -k . in >all && cdp-order -k . want | cmp - all
    for seed in 1 2 3; do
        awk -v seed="$seed" 'BEGIN { srand(seed) } { printf "%.9f\t%s\n", rand(), $0 }' in | sort -n | cut -f2- >shuffled
        cdp-order -k "$key" -S 2M --threads "$seed" shuffled | cmp - want
    done
}
