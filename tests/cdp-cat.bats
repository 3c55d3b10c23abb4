load common

run_cat() { run --separate-stderr cdp-cat "$@"; }

# What the last run said, and how it ended.
said() { [ "$status" -eq "$1" ] && [ "$stderr" = "cdp-cat: $2" ] || { echo "$status: $stderr"; return 1; }; }

# --- lines

@test "lines pass as they are, whatever they hold" {
    printf '{"n":1.10,"e":1E2,"s":"\\u0041"}\n\n  \r\nno json\r\n\x00\xff\xfe\n{"a":12345678901234567890}\n' >in
    cdp-cat in >out
    same in out
    cdp-cat <in >out
    same in out
    cat in | cdp-cat - >out
    same in out
}

@test "a last line without a newline gets one, so files never run together" {
    printf 'a' >f1
    printf 'b\n' >f2
    : >f3
    printf 'c' >f4
    run_cat f1 f2 f3 f4
    [ "$status" -eq 0 ] && [ -z "$stderr" ]
    [ "$output" = $'a\nb\nc' ]
    [ "$(cdp-cat f1 | od -An -c | tr -d ' ')" = 'a\n' ]
    [ -z "$(cdp-cat f3)" ]
}

@test "a byte order mark at the beginning of a file is left out" {
    printf '\xef\xbb\xbf{"a":1}\n' >f1
    printf '\xef\xbb\xbf' >f2
    printf '\xef\xbbx\n' >f3
    printf '{"a":"\xef\xbb\xbf"}\n' >f4
    cdp-cat f1 f2 f1 f3 f4 >out
    printf '{"a":1}\n{"a":1}\n\xef\xbbx\n{"a":"\xef\xbb\xbf"}\n' >want
    same want out
    cdp-cat --next-state s f1 f2 f1 f3 f4 >out
    same want out
    gzip -k f1 && cdp-cat f1.gz f4 >out
    printf '{"a":1}\n{"a":"\xef\xbb\xbf"}\n' >want
    same want out
}

@test "a line longer than any buffer passes" {
    { head -c 70000000 /dev/zero | tr '\0' x && echo && echo end; } >in
    cdp-cat in | cmp - in
    gzip -1 -c in >in.gz
    cdp-cat in.gz in >out
    cat in in | cmp - out
}

# --- names

@test "operands come in their order, what is in a directory in the byte order of the paths" {
    mkdir -p d/a d/b/c d/é
    for f in d/a.txt d/a/2 d/a/10 d/Z d/b/c/x d/b/b d/é/1 d/z; do echo "$f" >"$f"; done
    echo first >z
    run_cat z d z
    [ "$status" -eq 0 ]
    [ "$output" = "first
d/Z
d/a.txt
d/a/10
d/a/2
d/b/b
d/b/c/x
d/z
d/é/1
first" ]
    run_cat d/
    [ "${lines[0]}" = d/Z ]
}

@test "names that begin with a dot or an underscore are not of the data; partitions are" {
    mkdir -p d/.hidden d/_temporary d/_k=1 d/x
    echo no | tee d/.hidden/1 d/_temporary/1 d/.f d/_SUCCESS >/dev/null
    echo yes | tee d/_k=1/1 d/x/1 >/dev/null
    run_cat d
    [ "$output" = $'yes\nyes' ]
    run_cat d/.f
    [ "$output" = no ]
}

@test "symbolic links are followed, a loop of them is an error" {
    mkdir -p real d
    echo linked >real/1
    ln -s ../real d/dir
    ln -s ../real/1 d/file
    run_cat d
    [ "$output" = $'linked\nlinked' ]
    ln -s .. real/up
    ln -s . real/self
    run_cat real
    said 3 'real/self: is a link to a directory above it' || said 3 'real/up/real: is a link to a directory above it'
    [ -z "$output" ]
}

@test "what is missing or cannot be listed is said before anything is read" {
    echo x >in
    run_cat in nowhere
    said 3 'nowhere: cannot open: No such file or directory'
    [ -z "$output" ]
    mkdir d && ln -s nothing d/dangling
    run_cat d
    said 3 'd/dangling: cannot open: No such file or directory'
    mkdir empty
    run_cat empty
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
}

@test "--files-from reads names, one a line or ended by zero bytes" {
    mkdir d
    echo 1 >d/1
    echo 2 >'a name'
    printf '%s\n' 'a name' '' d >list
    run_cat --files-from list
    [ "$output" = $'2\n1' ]
    run_cat --files-from - <list
    [ "$output" = $'2\n1' ]
    run_cat --files-from=list d
    [ "$output" = $'1\n2\n1' ]
    echo 3 >$'new\nline'
    printf '%s\0' $'new\nline' 'a name' >list0
    run_cat -0 --files-from list0
    [ "$output" = $'3\n2' ]
    printf 'd\0' >list0
    run_cat --null --files-from list0
    [ "$output" = 1 ]
    run_cat --files-from list0
    said 2 'list0: a name holds a zero byte: is this a list for --null?'
    : >none
    run_cat --files-from none
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
    run_cat -0 d
    said 2 '--null needs --files-from FILE'
}

@test "an input that is the output is refused" {
    echo x >in
    run bash -c 'cdp-cat in >>in'
    [ "$status" -eq 2 ]
    [ "$output" = 'cdp-cat: in: is an input and the output' ]
    [ "$(cat in)" = x ]
    cdp-cat -o in in in
    [ "$(cat in)" = $'x\nx' ]
    run bash -c 'cdp-cat <in >>in'
    [ "$status" -eq 2 ]
    [ "$output" = 'cdp-cat: -: is an input and the output' ]
    echo y >-
    run bash -c 'cdp-cat - <in >>-'
    [ "$status" -eq 0 ] && [ "$(cat ./-)" = $'y\nx\nx' ]
}

@test "standard input is read once, and left where it was read to" {
    "$BUILD/generate" --kind events --bytes 200K >in
    cdp-cat - - <in >out
    same in out
    cdp-cat - - <in | cmp - in
    { cdp-cat >out && cat >rest; } <in
    same in out
    [ ! -s rest ]
    { head -c 100 >/dev/null && cdp-cat >out; } <in
    tail -c +101 in | cmp - out
}

# --- packed inputs and archives

@test "compressed inputs are recognised by content" {
    cp "$SAMPLES/events.ndjson" want
    local c n=0
    for c in gzip 'zstd -q' xz bzip2 'lz4 -q'; do
        command -v "${c%% *}" >/dev/null || continue
        $c -c <want >packed
        cdp-cat packed >out
        same want out
        cdp-cat <packed >out
        same want out
        cat packed | cdp-cat >out
        same want out
        n=$((n + 1))
    done
    [ $n -ge 1 ]
}

@test "archives: the regular members in their order, themselves unpacked" {
    mkdir -p d/sub
    echo '{"m":1}' >d/1
    printf '{"m":2}' >d/sub/2
    echo '{"m":3}' | gzip >d/3.json
    ln -s 1 d/link
    tar cf a.tar d/sub d/3.json d/link d/1
    gzip -k a.tar
    want=$'{"m":2}\n{"m":3}\n{"m":1}'
    run_cat a.tar
    [ "$output" = "$want" ]
    run_cat a.tar.gz
    [ "$output" = "$want" ]
    run_cat - <a.tar.gz
    [ "$output" = "$want" ]
    mkdir nested && tar cf nested/out.tar a.tar.gz d/1
    run_cat nested
    [ "$output" = "$want"$'\n{"m":1}' ]
    need zip zstd
    zip -q a.zip d/sub/2 d/3.json d/1
    run_cat a.zip
    [ "$output" = "$want" ]
    run bash -c 'cat a.zip | cdp-cat'
    [ "$output" = "$want" ]
    zstd -q <a.tar >a.tar.zst
    run_cat a.tar.zst
    [ "$output" = "$want" ]
}

@test "gzip: all members, zero padding; truncation, garbage and corruption told apart" {
    printf '1\n' | gzip >1.gz
    printf '2\n' | gzip >2.gz
    cat 1.gz 2.gz >both
    run_cat both
    [ "$output" = $'1\n2' ]
    { cat both && head -c 1000 /dev/zero; } >padded
    run_cat padded
    [ "$status" -eq 0 ] && [ "$output" = $'1\n2' ]
    { cat both && echo '{"x":1}'; } >garbage
    run_cat garbage
    said 1 'garbage: trailing garbage after a gzip member'
    [ "$output" = $'1\n2' ]
    head -c 30 both >cut
    run_cat cut
    said 1 'cut: truncated gzip stream'
    [ "$output" = 1 ]
    # The last byte but five is of the checksum.
    { head -c -6 both && printf 'X' && tail -c 5 both; } >corrupt
    run_cat corrupt
    said 1 'corrupt: corrupt gzip data'
}

@test "a cut archive or stream is an error, wherever it is cut" {
    mkdir d
    head -n 20 "$SAMPLES/events.ndjson" >d/1
    tar cf d.tar d
    head -c 10000 d.tar >cut
    run_cat cut
    [ "$status" -eq 1 ] && [[ $stderr == *': truncated tar archive' ]]
    # All members whole, and no end.
    head -c $((512 + 512 + ($(stat -c %s d/1) + 511) / 512 * 512)) d.tar >cut
    run_cat cut
    said 1 'cut: truncated tar archive'
    [ "$output" = "$(cat d/1)" ]
    local c
    for c in 'zstd -q' xz bzip2 'lz4 -q'; do
        command -v "${c%% *}" >/dev/null || continue
        $c -c <d/1 >packed
        head -c -3 packed >cut
        run_cat cut
        said 1 "cut: truncated ${c%% *} data"
    done
}

@test "zstd, xz, bzip2, lz4: all frames, empty ones too; garbage behind the last" {
    "$BUILD/generate" --kind events --bytes 300K >want
    echo '{"x":1}' >garbage
    local c n=0
    for c in 'zstd -q' xz bzip2 'lz4 -q'; do
        command -v "${c%% *}" >/dev/null || continue
        { : | $c -c && head -n 100 want | $c -c && : | $c -c && tail -n +101 want | $c -c && : | $c -c; } >packed
        cdp-cat packed >out
        same want out
        cat packed | cdp-cat >out
        same want out
        cat packed garbage >with
        run bash -c 'cdp-cat with >out'
        [ "$status" -eq 1 ]
        [ "$output" = "cdp-cat: with: trailing garbage after ${c%% *} data" ]
        same want out
        n=$((n + 1))
    done
    [ $n -ge 1 ]
}

@test "what stands before a fault is written, what comes after it is not" {
    head -n 3 "$SAMPLES/events.ndjson" >good
    gzip -c "$SAMPLES/events.ndjson" | head -c 2000 >bad
    for threads in 1 4; do
        cdp-cat --threads $threads good bad good >out 2>err && return 1
        [ "$(cat err)" = 'cdp-cat: bad: truncated gzip stream' ]
        head -n 3 out | cmp - good
        cmp -n "$(($(stat -c %s out) - $(stat -c %s good)))" "$SAMPLES/events.ndjson" <(tail -n +4 out)
    done
    run_cat -o target good bad
    [ "$status" -eq 1 ] && [ ! -e target ]
    no_temps
}

# --- dates

lake()
{
    local p
    for p in "$@"; do
        mkdir -p "${p%/*}"
        echo "$p" >"$p"
    done
}

@test "--since and --until choose by hive partitions" {
    lake l/year=2026/month=01/day=31/hour=23/f l/year=2026/month=2/day=1/hour=00/f l/year=2026/month=02/day=05/f \
        l/year=2026/month=03/f l/year=2025/f l/date=2026-02-03/country=DE/f l/country=DE/f l/readme
    run_cat --since 2026-02-01 --until 2026-02-03 l
    [ "$output" = "l/country=DE/f
l/date=2026-02-03/country=DE/f
l/readme
l/year=2026/month=2/day=1/hour=00/f" ]
    run_cat --since 2026-02-05T12 l
    [ "$output" = "l/country=DE/f
l/readme
l/year=2026/month=02/day=05/f
l/year=2026/month=03/f" ]
    run_cat --until 2026-01 l
    [ "$output" = "l/country=DE/f
l/readme
l/year=2025/f
l/year=2026/month=01/day=31/hour=23/f" ]
}

@test "--since and --until choose by YYYY/MM/DD[/HH[/MM]]" {
    lake 2026/02/05/16/22/f 2026/02/05/16/23/f 2026/02/05/17/00/f 2026/02/06/f 2026/02/06/extra/f 1234/05/06/f
    run_cat --since 2026-02-05T16:23 --until 2026-02-05 2026 1234
    [ "$output" = "2026/02/05/16/23/f
2026/02/05/17/00/f
1234/05/06/f" ]
    run_cat --since '2026-02-05 17' 2026
    [ "$output" = "2026/02/05/17/00/f
2026/02/06/extra/f
2026/02/06/f" ]
    run_cat --until 2026-02-05T16 2026
    [ "$output" = "2026/02/05/16/22/f
2026/02/05/16/23/f" ]
    run_cat --since 2027 2026
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
}

@test "directories that are no date do not take the date from a path" {
    lake 2026/02/05/events/region=eu/f date=2026-02-05/x/kind=a/f
    run_cat --since 2027 2026 date=2026-02-05
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
    run_cat --until 2026-02-05 --since 2026-02-05 2026 date=2026-02-05
    [ "$output" = $'2026/02/05/events/region=eu/f\ndate=2026-02-05/x/kind=a/f' ]
    run_cat --envelope 2026 date=2026-02-05
    [ "$(jq -r .partition <<<"$output")" = $'2026/02/05/region=eu\ndate=2026-02-05/kind=a' ]
}

@test "what lies outside is not opened" {
    mkdir -p l/date=2026-01-01 l/date=2026-01-02
    printf '\x1f\x8b\x08broken' >l/date=2026-01-01/f
    mkfifo l/date=2026-01-01/pipe
    echo good >l/date=2026-01-02/f
    run_cat --since 2026-01-02 l l/date=2026-01-01/pipe
    [ "$status" -eq 0 ] && [ "$output" = good ]
    echo l/date=2026-01-01/pipe >list
    run_cat --since 2026-01-02 --files-from list
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
}

@test "members of archives are chosen by their dates as well" {
    lake data/2026/02/05/f data/2026/02/06/f
    tar cf a.tar data
    run_cat --since 2026-02-06 a.tar
    [ "$output" = data/2026/02/06/f ]
    run_cat --envelope --until 2026-02-05 a.tar
    [ "$(jq -r .source <<<"$output")" = a.tar/data/2026/02/05/f ]
}

@test "an archive whose own path lies outside is not opened for its members; inside, the deepest date counts" {
    lake data/2026/02/05/f data/2026/02/06/f data/f
    mkdir -p l/date=2026-01-01 l/date=2026-02
    tar cf l/date=2026-01-01/a.tar data
    cp l/date=2026-01-01/a.tar l/date=2026-02/b.tar
    run_cat --since 2026-02-06 l
    [ "$status" -eq 0 ] && [ -z "$stderr" ]
    [ "$output" = $'data/2026/02/06/f\ndata/f' ]
    run_cat --until 2026-02-05 l/date=2026-02/b.tar
    [ "$output" = $'data/2026/02/05/f\ndata/f' ]
    # Not opened: it would be an error.
    printf '\x1f\x8b\x08broken' >l/date=2026-01-01/a.tar
    run_cat --envelope --since 2026-02-06 l/date=2026-01-01/a.tar
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
    run_cat --envelope --since 2026-02-06 l
    [ "$(jq -r .source <<<"$output")" = $'l/date=2026-02/b.tar/data/2026/02/06/f\nl/date=2026-02/b.tar/data/f' ]
}

@test "a bound is a date" {
    local t
    for t in 26 2026-13 2026-02-05T24 2026-02-05T12:30:00Z yesterday ''; do
        run_cat --since "$t" /dev/null
        said 2 "--since takes YYYY[-MM[-DD[THH[:MM]]]], not '$t'"
        run_cat --until "$t" /dev/null
        said 2 "--until takes YYYY[-MM[-DD[THH[:MM]]]], not '$t'"
    done
}

# --- envelopes

@test "--envelope says where each line came from, and holds its bytes" {
    mkdir -p l/2026/02/05/16/23/kind=a
    printf '{"a":1.10}\n\n {"b":[1, 2]} \r\n{"a" 1}\nx\xff\n{"last":"\\ud83d"}' >l/2026/02/05/16/23/kind=a/f
    CDP_RUN_ID='run "1"' run_cat --envelope l
    [ "$status" -eq 0 ] && [ -z "$stderr" ]
    head='{"run_id":"run \"1\"","source":"l/2026/02/05/16/23/kind=a/f","partition":"2026/02/05/16/23/kind=a","line":'
    [ "$output" = "$head"'1,"payload":{"a":1.10}}
'"$head"'2,"payload":null,"error":"blank line","raw":""}
'"$head"$'3,"payload": {"b":[1, 2]} \r}
'"$head"$'4,"payload":null,"error":"expected \':\' after a key","byte":6,"raw":"{\\"a\\" 1}"}
'"$head"'5,"payload":null,"error":"expected a value","byte":1,"raw_base64":"eP8="}
'"$head"'6,"newline":false,"payload":{"last":"\ud83d"}}' ]
}

@test "every line of --envelope is a record for the other tools" {
    printf '1\n\x00\n"\xc3\xa9"\n[1,2\n{"a":{"b":"\\""}}\n' >in
    cdp-cat --envelope in >out
    [ "$(jq -c '[.run_id,.source,.partition,.line,.payload]' out)" = '[null,"in",null,1,1]
[null,"in",null,2,null]
[null,"in",null,3,"é"]
[null,"in",null,4,null]
[null,"in",null,5,{"a":{"b":"\""}}]' ]
    echo 1 | cdp-cat --envelope | jq -e '.source == "-"'
}

round_trip()
{
    cdp-cat --envelope "$@" <in >enveloped && cdp-cat --unwrap "$@" <enveloped >out && cmp in out
}

@test "--unwrap gives back every byte" {
    local text
    for text in '' '\n' '\n\n' ' ' 'x' '\r' '\r\n' '{"a":1}' '{"a":1}\r\n\r\n{"b":2}' '\xef\xbb\xbf' '\xef\xbb\xbf\n' '\xef\xbb\xbf{}\n' \
        '\xef\xbb\xbf\xef\xbb\xbf{}' '\x00\n\x00' '\xff\n\xfe\xff' '\xed\xa0\x80\n' '\t{ } \n null \n"\\u0000"\n' '{"payload":1}\n{"raw":"x"}' 'null\nnull'; do
        printf "$text" >in
        round_trip || { echo "$text"; return 1; }
        # At the end of a piece, too.
        local n
        for n in 440 {496..500} 999; do
            printf "$text%0*d$text" "$n" 0 >in
            round_trip --max-record 500 --threads 3 || { echo "$n $text"; return 1; }
        done
    done
    head -c 3000000 /dev/urandom >in
    round_trip
    round_trip --max-record 500
    cp "$SAMPLES/bad.ndjson" in
    round_trip
}

@test "--unwrap of several files: they do not run together" {
    printf '\xef\xbb\xbfa\r\nb' >f1
    printf '\xef\xbb\xbfc' >f2
    cdp-cat --envelope f1 f2 | cdp-cat --unwrap >out
    printf '\xef\xbb\xbfa\r\nb\nc' >want
    same want out
}

@test "a line longer than --max-record is landed in pieces" {
    { printf '{"a":"' && head -c 5000 /dev/zero | tr '\0' x && printf 'é\xff"}\n{"b":1}\n'; } >in
    cdp-cat --envelope --max-record 1K in >out
    [ "$(jq -s '[.[].line] | unique | length' out)" = 2 ]
    [ "$(jq -s 'map(select(.line == 1)) | (.[:-1] | all(.more)) and (last | has("more") | not)' out)" = true ]
    [ "$(jq -r 'select(.line == 1) | .error' out | sort -u)" = 'longer than --max-record' ]
    [ "$(jq -c 'select(.line == 2) | .payload' out)" = '{"b":1}' ]
    cdp-cat --unwrap out | cmp - in
    # However the bytes arrive.
    cdp-cat --envelope --max-record 1K <in >out
    { head -c 1500 in && sleep 0.1 && tail -c +1501 in; } | cdp-cat --envelope --max-record 1K >piped
    same out piped
}

@test "no record of --envelope is more than another tool takes" {
    # Just below and above what fits with its head; all escapes; just deep enough.
    { printf '["%0800d"]\n["%0980d"]\n' 0 0 && head -c 900 /dev/zero && echo; } >in
    round_trip --max-record 1K
    [ "$(awk 'length > 1024' enveloped | wc -l)" = 0 ]
    [ "$(jq -c '[.line, .error]' enveloped | sort -u | head -n 2)" = '[1,null]
[2,"too long for its envelope"]' ]
    { printf '[%.0s' {1..511} && printf ']%.0s' {1..511} && echo && printf '[%.0s' {1..512} && printf ']%.0s' {1..512} && echo; } >in
    round_trip
    cdp-dedup enveloped >out
    same enveloped out
    [ "$(jq -r 'select(.line == 2) | .error' <(tail -n 1 enveloped))" = 'nested too deep for its envelope' ]
}

@test "a --max-record that envelopes do not fit is said before a line is wrapped" {
    head -c 3000 /dev/zero >z
    echo 1 >good
    run_cat --envelope --max-record 499 z
    said 2 'z: its envelopes take a --max-record of 500 bytes or more'
    [ -z "$output" ]
    cdp-cat --envelope --max-record 500 z >out
    [ "$(awk 'length > 500' out | wc -l)" = 0 ]
    cdp-cat --unwrap --max-record 500 out | cmp - z
    # The name, the run id and the partition are part of each, as they are written; what the lines are does not matter.
    CDP_RUN_ID='"n"' run_cat --envelope --max-record 502 good
    said 2 'good: its envelopes take a --max-record of 506 bytes or more'
    CDP_RUN_ID='"n"' run_cat --envelope --max-record 506 good
    [ "$status" -eq 0 ] && [ -z "$stderr" ]
    mkdir k=v && cp z k=v/z
    run_cat --envelope --max-record 500 k=v/z
    said 2 'k=v/z: its envelopes take a --max-record of 505 bytes or more'
    # What stands before it has been written.
    run_cat --envelope --max-record 503 good k=v/z
    said 2 'k=v/z: its envelopes take a --max-record of 505 bytes or more'
    [ "$(jq .payload <<<"$output")" = 1 ]
    [ "$(cdp-cat --envelope --max-record 503 good k=v/z 2>/dev/null | cdp-cat --unwrap --max-record 503)" = 1 ]
    : >empty
    run_cat --envelope --max-record 1 empty
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
}

@test "names that are not UTF-8 are told apart" {
    echo 1 >$'a\xff'
    echo 2 >$'a\xfe'
    run_cat --envelope $'a\xff' $'a\xfe'
    [ "$output" = '{"run_id":null,"source":"a\udcff","partition":null,"line":1,"payload":1}
{"run_id":null,"source":"a\udcfe","partition":null,"line":1,"payload":2}' ]
}

@test "--unwrap takes envelopes only, and says which line is none" {
    { echo '{"payload":1}' && echo '{"a":1}'; } >in
    run_cat --unwrap in
    said 1 'in:2: no envelope: it has no payload and no raw line'
    [ "$output" = 1 ]
    echo '{"payload":null,"raw_base64":"eP="}' >in
    run_cat --unwrap in
    said 1 'in:1: no envelope: its raw_base64 is not base64'
    echo '{"payload":1' >in
    run_cat --unwrap in
    [ "$status" -eq 1 ] && [[ $stderr == 'cdp-cat: in:1:'* ]]
    # As another program may have written it.
    run_cat --unwrap <<<'{ "raw" : "x\ty" , "payload" : null }'
    [ "$output" = $'x\ty' ]
    run_cat --unwrap <<<'{"payload":{"k": [1]},"x":1}'
    [ "$output" = '{"k": [1]}' ]
}

@test "threads and blocks make no difference to an envelope" {
    "$BUILD/generate" --kind events --bytes 3M --seed 3 >in
    cdp-cat --envelope --threads 1 in in >want
    cdp-cat --envelope --threads 4 in in >out
    same want out
    [ "$(wc -l <out)" = $((2 * $(wc -l <in))) ]
    [ "$(tail -n 1 out | jq .line)" = "$(wc -l <in)" ]
    cat in | cdp-cat --envelope --threads 3 | sed 's/"source":"-"/"source":"in"/' >out
    head -n "$(wc -l <in)" want | cmp - out
}

# --- states

@test "a state: only what is new, changed or grown is read" {
    mkdir d
    echo a1 >d/a
    echo b1 >d/b
    run_cat --state s --next-state s.next d
    [ "$output" = $'a1\nb1' ]
    [ ! -e s ] && mv s.next s
    run_cat --state s --next-state s.next d
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
    same s s.next
    echo a2 >>d/a
    echo c1 >d/c
    run_cat --state s --next-state s.next d
    [ "$output" = $'a2\nc1' ]
    # It was not renamed: the same is read again.
    run_cat --state s --next-state s.next d
    [ "$output" = $'a2\nc1' ]
    mv s.next s
    echo other >d/b
    run_cat --state s --next-state s.next d
    [ "$output" = other ]
    mv s.next s
    rm d/c && echo a3 >>d/a
    run_cat --state s --next-state s.next d
    [ "$output" = a3 ]
    [ "$(jq -r '.path // empty' s.next)" = $'d/a\nd/b' ]
}

@test "a file that was replaced by a longer one is read whole" {
    printf 'one\ntwo\n' >f
    cdp-cat --next-state s f >/dev/null
    printf 'uno\ntwo\nthree\n' >f
    run_cat --state s f
    [ "$output" = $'uno\ntwo\nthree' ]
    printf 'one\nTWO\nthree\n' >f
    run_cat --state s f
    [ "$output" = $'one\nTWO\nthree' ]
    printf 'one\ntwo\nthree\n' >f
    run_cat --state s f
    [ "$output" = three ]
    # Large files, of which a fingerprint does not see the middle, but both ends.
    "$BUILD/generate" --kind events --bytes 100K >g
    cdp-cat --next-state s g >/dev/null
    echo '{"more":1}' >>g
    run_cat --state s g
    [ "$output" = '{"more":1}' ]
}

@test "a file that became shorter, or was only touched, is read whole" {
    printf 'one\ntwo\n' >f
    cdp-cat --next-state s f >/dev/null
    echo one >f
    run_cat --state s f
    [ "$output" = one ]
    printf 'one\ntwo\n' >f
    touch -d 2020-01-01 f
    run_cat --state s f
    [ "$output" = $'one\ntwo' ]
}

@test "a last line that had no newline is read again when it goes on" {
    printf 'one\n{"tw' >f
    run_cat --state s --next-state s.next f
    [ "$output" = $'one\n{"tw' ]
    mv s.next s
    run_cat --state s --next-state s.next f
    [ -z "$output" ]
    printf 'o":2}\nthree\n' >>f
    run_cat --envelope --state s --next-state s.next f
    [ "$(jq -c '[.line, .payload, .raw]' <<<"$output" | head -n 1)" = '[2,{"two":2},null]' ]
    [ "$(jq -c '[.line, .raw]' <<<"$output" | tail -n 1)" = '[3,"three"]' ]
}

# next WANT: of f, which may have grown, the next run reads the lines WANT, and the one after it nothing.
next()
{
    run_cat --state s --next-state s f
    [ "$status" -eq 0 ] && [ "$output" = "$1" ] || { echo "$output$stderr"; return 1; }
    run_cat --state s --next-state s f
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
}

@test "a file of which a run read no whole line is noted all the same" {
    # Not one newline from its beginning on, which is a byte order mark.
    printf '\xef\xbb\xbf{"a":' >f
    next '{"a":'
    [ "$(jq -c 'select(.path) | [.size, .read, .lines]' s)" = '[8,0,0]' ]
    printf 1 >>f
    next '{"a":1'
    printf '}\n{"b":' >>f
    next $'{"a":1}\n{"b":'
    # None behind the lines of earlier runs.
    printf 2 >>f
    next '{"b":2'
    [ "$(jq -c 'select(.path) | [.size, .read, .lines]' s)" = '[17,11,1]' ]
    printf '}\n' >>f
    run_cat --envelope --state s --next-state s f
    [ "$(jq -c '[.line, .bom, .payload]' <<<"$output")" = '[2,null,{"b":2}]' ]
    next ''
    # Nothing at all.
    : >f
    next ''
    printf 'x' >>f
    next x
    printf 'y' >f
    touch -d 2020-01-01 f
    next y
}

@test "line numbers go on where the last run ended" {
    printf '1\n2\n' >f
    cdp-cat --envelope --next-state s f >/dev/null
    printf '3\n4\n' >>f
    run_cat --envelope --state s f
    [ "$(jq -c '[.line, .payload]' <<<"$output")" = $'[3,3]\n[4,4]' ]
}

@test "a byte order mark within a file that has grown is its data" {
    printf '\xef\xbb\xbf1\n' >f
    cdp-cat --next-state s f >out
    [ "$(cat out)" = 1 ]
    printf '\xef\xbb\xbf2\n' >>f
    cdp-cat --state s f >out
    printf '\xef\xbb\xbf2\n' >want
    same want out
    cdp-cat f | tail -n 1 | cmp - want
    cdp-cat --envelope --state s f >out
    [ "$(jq -c '[.line, .bom, .payload]' out)" = '[2,null,null]' ]
    cdp-cat --unwrap out | cmp - want
}

# changed BEFORE COMMAND: f has BEFORE lines when a state is written, five when it is read, and COMMAND changes it then.
changed()
{
    seq "$1" >f
    rm -f s && cdp-cat --next-state s f >/dev/null
    seq $(($1 + 1)) 5 >>f
    cdp-cat --state s --next-state s f wait >out &
    exec 7>wait # when it is opened, f has been read
    bash -c "$2"
    exec 7>&-
    wait $!
    seq $(($1 + 1)) 5 >want
    same want out
}

@test "a file that changes while it is read loses no line" {
    mkfifo wait
    local before what
    for before in 0 2; do
        for what in 'seq 11 20 >n && mv n f' 'seq 11 20 >f' 'seq 3 >f' ': >f'; do
            changed $before "$what"
            cdp-cat --state s f >out
            same f out
        done
        changed $before 'seq 6 8 >>f'
        run_cat --state s f
        [ "$output" = $'6\n7\n8' ]
        changed $before 'rm f'
        [ "$(wc -l <s)" -eq 1 ]
    done
}

@test "a begun line that changes while it is read is read again" {
    mkfifo wait
    local before what
    for before in '' '1\n2\n'; do
        for what in 'seq 11 20 >f' 'seq 11 20 >n && mv n f' 'seq 2 >f' ': >f'; do
            printf "$before" >f
            rm -f s && cdp-cat --next-state s f >out
            printf 'begun' >>f
            cdp-cat --state s --next-state s f wait >out &
            exec 7>wait # when it is opened, f has been read
            bash -c "$what"
            exec 7>&-
            wait $!
            [ "$(cat out)" = begun ]
            cdp-cat --state s f >out
            same f out
        done
    done
}

@test "a file that is replaced before it is its turn is read whole" {
    mkfifo wait
    seq 2 >f
    cdp-cat --next-state s f >/dev/null
    seq 3 5 >>f
    cdp-cat --state s --next-state s wait f >out &
    exec 7>wait # when it is opened, f has been compared
    seq 11 20 >f
    exec 7>&-
    wait $!
    same f out
    run_cat --state s f
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
}

@test "an archive of which dates left out members is not done with" {
    lake data/2026/02/05/f data/2026/02/06/f
    tar cf a.tar data
    run_cat --next-state s --since 2026-02-06 a.tar
    [ "$output" = data/2026/02/06/f ]
    run_cat --state s --next-state s a.tar
    [ "$output" = $'data/2026/02/05/f\ndata/2026/02/06/f' ]
    run_cat --state s --since 2026-02-06 a.tar
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
}

@test "packed files and archives are read again when they change" {
    echo 1 | gzip >f.gz
    echo p >p && tar cf t.tar p
    cdp-cat --next-state s f.gz t.tar >/dev/null
    run_cat --state s f.gz t.tar
    [ -z "$output" ]
    echo 2 | gzip >>f.gz
    run_cat --state s f.gz t.tar
    [ "$output" = $'1\n2' ]
}

@test "a state keeps what a run did not look at" {
    mkdir -p d/date=2026-01-01 d/date=2026-01-02
    echo 1 >d/date=2026-01-01/f
    echo 2 >d/date=2026-01-02/f
    cdp-cat --next-state s d >/dev/null
    cdp-cat --state s --next-state s --since 2026-01-02 d >out
    [ ! -s out ]
    run_cat --state s d
    [ "$status" -eq 0 ] && [ -z "$output" ]
}

@test "standard input and pipes are read with a state, and not noted" {
    echo x >f
    run_cat --next-state s - f <<<y
    [ "$output" = $'y\nx' ]
    run_cat --state s - f <<<y
    [ "$output" = y ]
}

@test "a failed run writes no state" {
    echo a >a
    printf '\x1f\x8b\x08' >b
    run_cat --next-state s a b
    said 1 'b: truncated gzip stream'
    [ ! -e s ]
    echo old >s
    run bash -c 'cdp-cat --next-state s a >/dev/full'
    [ "$status" -eq 3 ]
    [ "$(cat s)" = old ]
    no_temps
}

@test "a state is checked when it is read" {
    echo a >a
    echo '{"path":"a"}' >s
    run_cat --state s a
    said 1 's:1: is no record of a cdp-cat state'
    cdp-cat --next-state s a >/dev/null
    sed -i 's/"size":2/"size":"2"/' s
    run_cat --state s a
    said 1 's:2: is no record of a cdp-cat state'
    echo '{' >s
    run_cat --state s a
    [ "$status" -eq 1 ] && [[ $stderr == 'cdp-cat: s:1:'* ]]
}

@test "names in a state may be any bytes" {
    local name=$'n\xff"\\\n\xed\xb2\x80é'
    echo 1 >"$name"
    cdp-cat --next-state s -- "$name" >/dev/null
    run_cat --state s "$name"
    [ "$status" -eq 0 ] && [ -z "$output$stderr" ]
    echo 2 >>"$name"
    run_cat --state s "$name"
    [ "$output" = 2 ]
}

# --- ranges

@test "--range owns the lines that begin in it; any split concatenates to the whole" {
    printf '1\n22\n\n333\r\n4' >in
    cdp-cat in >want
    local size cut
    size=$(stat -c %s in)
    for cut in $(seq 0 "$size"); do
        { cdp-cat --range "0+$cut" in && cdp-cat --range "$cut+$((size - cut))" in; } >out
        same want out
        { cdp-cat --range "0+$cut" in && cdp-cat --range "$cut+" in; } >out
        same want out
    done
    for cut in $(seq 0 $((size - 1))); do cdp-cat --range "$cut+1" in; done >out
    same want out
    run_cat --range 2+1 in
    [ "$output" = 22 ]
    run_cat --range 3+1 in
    [ "$status" -eq 0 ] && [ -z "$output" ]
    run_cat --range 1000+1000 in
    [ "$status" -eq 0 ] && [ -z "$output" ]
}

@test "ranges of a larger file" {
    "$BUILD/generate" --kind events --bytes 3M --seed 5 >in
    { cdp-cat --range 0+1M in && cdp-cat --range 1M+700000 in && cdp-cat --range 1748576+ in; } >out
    same in out
    cdp-cat --range 1M+1M --stats stats in >part
    [ "$(stat_of stats out)" = "$(wc -l <part)" ]
    balanced stats
}

@test "a range within one long line is done at once" {
    truncate -s 1T in || skip "no files of holes here"
    run timeout 60 cdp-cat --range 1000+1000 in
    [ "$status" -eq 0 ] && [ -z "$output" ]
}

@test "a range is of one plain file" {
    echo x >in
    gzip -k in
    run_cat --range 0+1 in in
    said 2 '--range takes one file'
    run_cat --range 0+1 in.gz
    said 2 'in.gz: --range takes a plain file'
    run --separate-stderr bash -c 'echo x | cdp-cat --range 0+1'
    said 2 '-: --range takes a plain file'
    local r
    for r in 1 +1 1- x+1 1+x ''; do
        run_cat --range "$r" in
        said 2 "--range takes OFFSET+LENGTH, not '$r'"
    done
}

# --- many inputs, all threads

@test "files are unpacked on all threads and come out in order" {
    mkdir d
    local i
    for i in {10..40}; do "$BUILD/generate" --kind events --bytes $((i * i))K --seed "$i" >"d/$i"; done
    cat d/* >want
    for i in d/*[02468]; do gzip -1 "$i"; done
    printf 'x' >d/99
    echo x >>want
    for i in 1 2 5; do
        cdp-cat --threads $i d >out
        same want out
        cdp-cat --threads $i d | cmp - want
        echo head >out && cdp-cat --threads $i d >>out
        { echo head && cat want; } | cmp - out
        cdp-cat --threads $i -o out d
        same want out
    done
    cdp-cat --stats stats d >out
    [ "$(stat_of stats in)" = "$(wc -l <want)" ]
    [ "$(stat_of stats bytes_out)" = "$(stat -c %s want)" ]
    balanced stats
}

@test "a file larger than what is gathered ahead" {
    "$BUILD/generate" --kind events --bytes 45M --seed 1 >big
    gzip -1 -c big >big.gz
    echo '{"small":1}' >small
    cdp-cat --threads 2 small big.gz small big.gz >out
    cat small big small big | cmp - out
    cdp-cat --threads 2 small big.gz small big.gz | cmp - out
}

@test "packed input on a pipe is passed on as far as it has come" {
    mkfifo in out
    cdp-cat <in >out &
    exec 7>in 8<out
    # A member is as good as a line: its end is known.
    echo first | gzip >&7
    read -r -t 60 -u 8 line && [ "$line" = first ]
    echo second | gzip >&7
    read -r -t 60 -u 8 line && [ "$line" = second ]
    exec 7>&- 8<&-
    wait
}

@test "inputs that wait do not hold up what is before them" {
    mkfifo wait out
    echo first >f
    gzip -k f
    cdp-cat f.gz wait f.gz >out &
    exec 8<out
    read -r -t 60 -u 8 line && [ "$line" = first ]
    echo second >wait
    read -r -t 60 -u 8 line && [ "$line" = second ]
    read -r -t 60 -u 8 line && [ "$line" = first ]
    exec 8<&-
    wait
}

@test "options that exclude each other" {
    run_cat --envelope --unwrap /dev/null
    said 2 '--envelope, --unwrap and --range exclude each other'
    run_cat --envelope --range 0+1 /dev/null
    said 2 '--envelope, --unwrap and --range exclude each other'
    run_cat --unwrap --state s /dev/null
    said 2 'a state cannot be kept with --unwrap or --range'
    run_cat --range 0+1 --next-state s /dev/null
    said 2 'a state cannot be kept with --unwrap or --range'
}

@test "real data: 27,998 change events in 16 members" {
    need_shared users-cdc.tar.gz
    cdp-cat "$SHARED/users-cdc.tar.gz" >out
    [ "$(wc -l <out)" = 27998 ]
    tar xzf "$SHARED/users-cdc.tar.gz"
    find data -type f | LC_ALL=C sort | xargs cat >want
    cdp-cat data | cmp - want
    tar tzf "$SHARED/users-cdc.tar.gz" | grep -v '/$' | xargs cat | cmp - out
    cdp-cat --envelope data | cdp-cat --unwrap | cmp - want
    cdp-cat --envelope data | jq -r .partition | sort -u | head -n 1 | grep -qxE '[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9]{2}/[0-9]{2}'
}
