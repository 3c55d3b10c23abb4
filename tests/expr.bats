#!/usr/bin/env bats
# Expressions against the jq program: whatever runs natively gives what jq gives, wherever jq is exact.

load common

setup()
{
    common_setup
    need jq
    evaluate=$BUILD/unit/expr_eval
    [ -x "$evaluate" ] || skip 'no expr_eval: make units'
}

# The records of the tables: every type in every place, escapes, repeated keys, blanks.
records()
{
    cat >records <<'END'
{"a":1,"b":2,"s":"abc","t":"b","l":[1,2,3],"o":{"x":1,"y":"z"},"n":null,"f":false,"d":-1.5}
{"a":-7,"b":0,"s":"Abc","t":"","l":[],"o":{},"n":null,"f":true,"d":0.25}
{"a":3,"b":3,"s":"\u0041bc","t":"abc","l":[3,[1],{"x":2}],"o":{"x":null,"z":[1]},"n":1,"f":null,"d":2.5}
{"a":"1","b":" 2 ","s":"a.b","t":"é","l":["a",null,"a"],"o":{"x":{"x":"é"}},"n":"n","f":"f","d":"x"}
{"a":null,"s":"a\nb\n","t":"\ud83d\ude00x","l":[[],[1,2],[1]],"o":{"\u0078":5,"y":"\"q\""},"d":100}
{ "a" : [ 1 , 2 ] , "b" : { "x" : 1 , "x" : 2 } , "s" : "\"\\\/\b" , "t" : "b\u0000c" , "l" : [ 0 ] , "o" : { "a" : 1 , "a" : 2 } , "d" : 7 }
{"a":true,"b":false,"s":"","t":"\u00e9","l":null,"o":null,"d":0}
{}
END
}

# Decimals have no -0.
unsigned='def unsigned: if type == "object" then with_entries(.value |= unsigned) elif type == "array" then map(unsigned)
    elif type == "number" and . == 0 then 0 else . end;'

# Runs the expressions in the file `exprs`, one a line, over `records`, here and in jq; "!error" stands for an error.
agree()
{
    mapfile -t expr < <(grep -v '^ *$' exprs)
    {
        echo "$unsigned ["
        printf '(try ([%s\n][0]) catch "!error"),\n' "${expr[@]}"
        echo 'empty] | unsigned'
    } >program
    jq -c -f program records >want
    "$evaluate" -- "${expr[@]}" <records | jq -c "$unsigned unsigned" >got
    cmp -s want got || {
        printf '%s\n' "${expr[@]}" | jq -R . | jq -cn --slurpfile want want --slurpfile got got --slurpfile record records '
            [inputs] as $e | range($want | length) as $i | range($e | length) as $j
            | select($want[$i][$j] != $got[$i][$j])
            | {expr: $e[$j], record: $record[$i], jq: $want[$i][$j], got: $got[$i][$j]}' | head -n 20
        return 1
    }
}

# The same, and all of them run where they should.
agree_natively()
{
    agree
    run --separate-stderr "$evaluate" -n -- "${expr[@]}"
    [ "$status" = 0 ]
    paste <(printf '%s\n' "$output") exprs | awk '$1 == "libjq" { print; bad = 1 } END { exit bad }'
}

@test "expr: paths, literals, operators and their precedence are jq's" {
    records
    cat >exprs <<'END'
.
.a
.["a"]
."a"
. "a"
.o.x
.o["x"]
.o . "x"
.o ["x"]
.o["x" + ""]
.l[3 - 2]
.l[1.0]
.l[-1 + 1]
.l | has(1 + 1)
.l[-1]
.l[-3]
.l[-4]
.l[1 - 2]
.l | .[-2]
.l[-1] | length
.l[-1][-1]?
.l[-1].x?
.l[-2]? // "none"
[.l[-1], .l[-3] | . == 1]
(.l // [1, 2])[-2]
[1, [2, 3]][-1][-2]
.nope[-1]
{a: .l[-1], b: [.l[-9]]}
{"a": 1, "b": .o["x"]}
.o?.x?
.l
.nope.nope
null
true
false
0
007
.5
1.
-1
1e3
1.5e-1
""
"a\tb\u00e9\ud83d\ude00\/\"\\"
[]
{}
[1,"a",null,[2],{"a":{"b":[]}}]
{"a":1,b:2,"c d":3}
(.a)
((.a))
1 + 2 * 3
(1 + 2) * 3
10 - 4 - 3
2 * 3 % 4
7 % 4 * 2
16 / 4 / 2
-1 + 2
-(1 + 2) * 3
- 2 * 3 - -4
1 - -1
1-1
3 -2
-.b // 7
1 < 2
"a" < "b" and 1 < 2
1 == 1 and 2 == 2 or false
true or false and false
true or error
false and error
true and null
null or "a"
null // false // 3
false // null
1 // 2 // 3
empty // 1
.nope // "none"
.f // .n // .a
true or false // 3
1, 2 // 3
1 | 2 | . + 1
[1, 2 | . + 1]
[.a, .b | . == 1]
[.a | ., .b?] | length
1 as $x | [$x, 2]
if .a then 1 else 2 end
if .f then "f" elif .n then "n" elif .a == 1 then "a" else [.] end | type
if true then 1 else error end + 1
1 + if .f then 1 else 2 end
if empty then 1 else 2 end
[if empty then 1 else 2 end]
"a" + "b" * 2
.a == .a
.a != .b
[.a < .b, .a <= .b, .a > .b, .a >= .b, .a == .b, .a != .b]
[.s < .t, .s <= .t, .s > .t, .s >= .t, .s == .t]
[.l < .o, .o < .l, .l == .l, .o == .o, .o == {"x":1,"y":"z"}, .l == [1,2,3]]
[.l < [1,2,4], .o < {"x":1}, .o < {"a":0}, {"b":1} < {"a":2}, {"a":1,"b":2} < {"a":1,"c":0}]
[.a == null, .a == 1, .a == "1", .a == true, .a < 2, 2 > .a, .a >= "", "" <= .a, .a != 1.0, 1e0 == .a]
[null < false, false < true, true < 0, 0 < "", "" < [], [] < {}]
[.s == "Abc", "Abc" == .s, .s != "Abc", .s == "a\nb\n", .t == "\u00e9", .t == "é", .t > "b"]
[.d < 2.5, .d <= 2.5, .d == 2.50, .d >= 0.25, 25e-2 < .d, .d > -1500e-3]
END
    agree
}

@test "expr: arithmetic on every pair of types is jq's" {
    records
    for op in + - '*' / % == '<'; do
        for x in .a .s .l .o .n .f 2 '"b"'; do
            for y in .b .t '[1]' '{"x":3,"w":1}' null true 3 '"b"'; do
                # Quotients that do not end, and strings 10^17 long, are other tests' matter.
                [[ $op$x$y != '/.a'* && "$op$x$y" != '/23' ]] && echo "$x $op $y"
            done
        done
    done >exprs
    sed -i '/^[^ ]* . \(true\|null\)$/{/==\|</!p}' exprs
    agree
}

@test "expr: functions of every type are jq's" {
    records
    for x in .a .b .s .t .l .o .n .f .d . '"x"' 12 null '[1,[2]]' '{"k":null}' '(.d * 3)' '.l[0]' '(.s + .t)'; do
        for f in length type not tojson tostring tonumber floor ceil round trunc fabs ascii_downcase ascii_upcase \
            'has("x")' 'has("k")' 'has(0)' 'has(2)' 'startswith("a")' 'endswith("c")' 'ltrimstr("a")' 'rtrimstr("c")' \
            'ltrimstr(1)' 'contains("b")' 'contains("")' 'startswith("")' 'startswith("é")' 'select(. == "abc")' \
            'startswith(.)' 'rtrimstr(.)' 'ltrimstr("abcd")' '-.' '. + 1' '. == .' '[.,.]' '{a:.}' '{(.|tojson):1}' '"\(.)"' \
            '"<\(.)|\(. == 1)>"' 'if . then 1 else 0 end' '. // "alt"' '[.[0:1]?]' 'ascii_downcase | length'; do
            echo "$x | $f"
        done
    done >exprs
    for f in floor length tojson 'startswith("a")' 'not' 'type'; do
        echo "$f"
        echo "[.a,.s|$f]"
        echo "[(.a|$f), (.s|$f)]" # errors included
    done >>exprs
    split -l 150 exprs part.
    for part in part.*; do
        mv "$part" exprs
        agree
    done
}

@test "expr: patterns are Oniguruma's, plain or not" {
    cat >records <<'END'
{"s":"abc"}
{"s":"a.c"}
{"s":"abc\n"}
{"s":"\nabc"}
{"s":"abc\n\n"}
{"s":"xabcx"}
{"s":""}
{"s":"\n"}
{"s":"a+b(c)[d]{e}|^$\\/-"}
{"s":"ABC é😀"}
{"s":"a\u0000b"}
{"s":"\u0061b\u0063"}
{"s":5}
END
    cat >exprs <<'END'
.s | test("abc")
.s | test("^abc")
.s | test("abc$")
.s | test("^abc$")
.s | test("a\\.c")
.s | test("a.c")
.s | test("")
.s | test("^")
.s | test("$")
.s | test("^$")
.s | test("a\\+b\\(c\\)\\[d\\]\\{e\\}\\|\\^\\$\\\\\\/\\-")
.s | test("a^b")
.s | test("a$b")
.s | test("b|x")
.s | test("[ab]c")
.s | test("ABC"; "i")
.s | test("a c"; "x")
.s | test("é😀$")
.s | test("\u0061bc")
.s | test("\\d")
.s | test("a\u0000b")
[.s | test("abc"), test("^a")]
(.s | test("abc")) or (.s | test("\\.")) | not
END
    agree
}

@test "expr: what is left to libjq, whole or behind a pipe, is jq's" {
    records
    cat >exprs <<'END'
.l[]?
[.l[]?]
.l[-1.5]
.l[-0]
.l[1:]
.s[1:2]
.s | .[1:]
.o | keys
.o | to_entries
.l | map(.)
.s | split("b") | .[0]
.s | ascii_downcase | explode | length
[..]
.a as $x | $x
reduce .l[]? as $x (0; . + 1)
def f(x): x, x; [f(.a)]
.o | with_entries(.value |= tostring)
{(.t | tojson): .a}
.a |= 1 | .a
del(.a) | length
try error("x") catch .
.l? // [] | any(. == 3)
.s | @base64
"x\(.a,.b)y"
@json "v=\(.a)"
[.a, .b][1]
[limit(2; .l[]?)]
first(.l[]?)
label $out | .a, break $out
paths
.s, .t
.s | test("b") as $x | $x
END
    agree
}

@test "expr: generated expressions agree with jq" {
    for seed in 1 2 3 4 5 6; do
        "$evaluate" -g $seed 70 >exprs
        "$evaluate" -r $seed 25 >records
        agree
    done
}

@test "expr: the truth of generated expressions is jq's" {
    "$evaluate" -g 99 80 | sed 's/.*/if (&) then true else false end/' >exprs
    "$evaluate" -r 99 25 >records
    agree
    cp got want
    "$evaluate" -g 99 80 >exprs
    mapfile -t expr <exprs
    "$evaluate" -t -- "${expr[@]}" <records | jq -c . >got
    # An expression without output is no truth: null above, false here.
    same <(sed 's/null/false/g' want) got
}

@test "expr: what should be native is" {
    echo '{}' >records
    cat >exprs <<'END'
.a.b["c d"][3].e? == "x"
.a | .b | length
.url | test("^https://a\\.b/")
{id:.a, b, "c":1, "d e", f:.x|tojson, g:-1}
[.a, .b // 1, -.c, [], {}]
if .a == 1 then "x" elif .b then .c else {d} end
"\(.a)-\(.b | tojson)"
(.a | tonumber?) // 0
.amount * 100 % 7 - .b / 2 >= 10 and (.c | not) or .d != null
.a | select(. > 1) | floor
.a | ltrimstr("x") | rtrimstr(.y) | ascii_downcase | startswith("z")
. + {x: (.a + 1)}
.o | has("x")
.a["b" + "c"][1 + 1]
.a[-1].b
(.a // .b)[-2] | .c
.a # a comment
END
    agree_natively
}

@test "expr: where jq rounds, digits stay" {
    run --separate-stderr "$evaluate" '.a' '.a == 9007199254740992' '.b' '.b + .c' '{v:.b}' '.d' '.b | tostring' '. + {n:1}' \
        <<<'{"a":9007199254740993,"b":1.10,"c":2.20,"d":12345678901234567890}'
    [ "$status" = 0 ] && [ -z "$stderr" ]
    [ "$output" = '[9007199254740993,false,1.10,3.3,{"v":1.10},12345678901234567890,"1.10",{"a":9007199254740993,"b":1.10,"c":2.20,"d":12345678901234567890,"n":1}]' ]
    # libjq rounds what it is shown, and no more than that.
    run --separate-stderr "$evaluate" '.a | [.] | .[0:1]' '{a, b:(.s / "")}' <<<'{"a":9007199254740993,"s":"xy"}'
    [ "$status" = 0 ] && [ -z "$stderr" ]
    [ "$output" = '[[9007199254740992],{"a":9007199254740993,"b":["x","y"]}]' ]
}

@test "expr: a path below what is no object is null, where jq fails" {
    run --separate-stderr "$evaluate" '.a.b' '.a.b == null' '.a[0]' '.l.x // "none"' '(.a | tostring) | .b?' <<<'{"a":"s","l":[1]}'
    [ "$status" = 0 ] && [ -z "$stderr" ]
    [ "$output" = '[null,true,null,"none",null]' ]
    run --separate-stderr "$evaluate" -e '.a.b[]' '(.a | tojson).b' <<<'{"a":"s"}'
    [ "$status" = 0 ] && [ -z "$stderr" ]
    [ "$output" = "[\"expression '.a.b[]': cannot index a value of this type\",\"expression '(.a | tojson).b': string cannot be indexed with a string\"]" ]
}

@test "expr: an error never shows a value" {
    secret='{"a":"s3cr3t","l":["s3cr3t"],"o":{"s3cr3t":1}}'
    for e in '.a + 1' '.l - .a' '.a * .l' '-.a' '.a / 2' '.o % 2' '.a | floor' '.a | tonumber' '.l | ascii_downcase' \
        '.l | test("x")' '.l | test("x.y")' '.a | has(0)' '(.a | tostring) | .b' 'day(.a)' 'day(.a)[0:1]' '.l | startswith("x")' \
        '.l[] + 1' '.a[0:1] + 1' '.a | keys' '.a | fromjson' '.a | error' 'error(.o)' '{(.l): 1}' '.a | strptime("%Y")' '.l | implode' \
        '.o | @csv' '(.a | tojson) | .[0]' '.l[.a]' '.a | tojson | error' '.a[.a:]' '.l | join(.o)'; do
        run --separate-stderr "$evaluate" -e -- "$e" <<<"$secret"
        [ "$status" = 0 ] && [ -z "$stderr" ] || { echo "$e: $stderr"; return 1; }
        [[ $output == "[\"expression '"* ]] || { echo "$e: no error: $output"; return 1; }
        [[ $output != *s3cr3t* ]] || { echo "$output"; return 1; }
    done
}
