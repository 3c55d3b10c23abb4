load common

scrub() { run --separate-stderr cdp-scrub "$@"; }

# $1 is what --keep and its like make of the line $2; the rest are options.
makes()
{
    local want=$1 line=$2
    shift 2
    printf '%s\n' "$line" >in
    scrub "$@" in
    [ "$status" -eq 0 ] || { echo "status $status: $stderr"; return 1; }
    [ -z "$stderr" ] || { echo "stderr: $stderr"; return 1; }
    [ "$output" = "$want" ] || { printf 'got  %s\nwant %s\n' "$output" "$want"; return 1; }
}

# The line $2 is refused with exit 1 and the message $1; the rest are options.
refuses()
{
    local want=$1 line=$2
    shift 2
    printf '%s\n' "$line" >in
    scrub "$@" in
    [ "$status" -eq 1 ] || { echo "status $status: $output"; return 1; }
    [ -z "$output" ] || { echo "output: $output"; return 1; }
    [ "$stderr" = "cdp-scrub: in:1: $want" ] || { printf 'got  %s\nwant %s\n' "$stderr" "$want"; return 1; }
}

# The command line is refused with exit 2 and the message $1.
usage()
{
    local want=$1
    shift
    scrub "$@" /dev/null
    [ "$status" -eq 2 ] || { echo "status $status: $stderr"; return 1; }
    [ -z "$output" ]
    [ "$stderr" = "cdp-scrub: $want" ] || { printf 'got  %s\nwant cdp-scrub: %s\n' "$stderr" "$want"; return 1; }
}

# The policy $2 is refused with exit 2 and the message $1.
bad_policy()
{
    printf '%s' "$2" >policy.json
    usage "policy.json$1" --policy policy.json
}

sha() { printf %s "$1" | sha256sum | cut -d' ' -f1; }

@test "nothing passes that is not promoted, and fields come in the order of the policy" {
    makes '{"b":2,"a":1}' '{"a":1,"x":{"a":9},"b":2,"c":3}' --keep b --keep a
    makes '{}' '{"x":1}' --keep a
    makes '{}' '[1,2]' --keep a
    makes '{}' '"a"' --keep a
    makes '{"c":"x"}' '{"a":{"b":["w","x"]}}' --keep '.a.b[1]=c'
    makes '{"all":{"a":1}}' '{"a":1}' --keep .=all
}

@test "kept values are the bytes that came" {
    makes '{"n":12345678901234567890.10,"e":1E2,"s":"\u0041\/","o":{"z" : [1, 2],"z":3},"t":true,"u":null}' \
        '{"u":null,"t":true, "o": {"z" : [1, 2],"z":3} ,"s":"\u0041\/","e":1E2,"n":12345678901234567890.10}' \
        --keep n --keep e --keep s --keep o --keep t --keep u
}

@test "nested=false: a value that has become an object does not bring along what is in it" {
    for v in '{"S3CRET":1}' '["S3CRET"]' '{}' '[]'; do
        refuses '.x: an array or an object' "{\"x\":$v}" --keep .x:nested=false
        makes '{"x":null}' "{\"x\":$v}" -q --keep x:nested=false,on_error=null
        makes "{\"x\":$v}" "{\"x\":$v}" --keep x
    done
    for v in '"S3CRET"' 1.0 true null; do
        makes "{\"x\":$v}" "{\"x\":$v}" --keep x:nested=false
    done
    usage "--keep 'x:on_error=null': on_error means nothing with keep unless nested is false" --keep x:on_error=null
    usage "--mask 'x:nested=false': nested means nothing with mask" --mask x:nested=false
}

@test "keys are matched decoded, the last of a repeated key counts" {
    makes '{"email":2}' '{"\u0065mail":1,"em\u0061il":2}' --keep email
    makes '{"a":{"b":2}}' '{"a":{"b":1},"a":{"b":2}}' --keep a
    makes '{"b":2}' '{"a":{"b":1,"b":2}}' --keep .a.b
    makes '{}' '{"a":{"b":1},"a":{"c":2}}' --keep .a.b
    makes '{"odd \"key\"":1}' '{"odd \"key\"":1}' --keep '.["odd \"key\""]'
}

@test "missing is missing, null is null, a digest of nothing is missing" {
    makes '{"k":null,"d":null,"m":null,"r":null,"b":null,"g":null,"c":null,"t":null,"z":null}' '{"x":null}' \
        --keep x=k --hash x=h --domain x=d --mask x=m --redact x=r --bucket x=b:size=10 --age x=g --as-of 2026-01-01 \
        --country x=c --truncate x=t:places=1 --zip x=z:first=2
    makes '{}' '{"y":1}' \
        --keep x=k --hash x=h --domain x=d --mask x=m --redact x=r --bucket x=b:size=10 --age x=g --as-of 2026-01-01 \
        --country x=c --truncate x=t:places=1 --zip x=z:first=2
    makes '{}' '{"x":"","y":" \t "}' --hash x --hash y:normalize=email
}

@test "drop documents a field and passes nothing" {
    makes '{"a":1}' '{"a":1,"b":2}' --keep a --drop b
}

@test "hash: SHA-256 of the decoded text" {
    makes "{\"h\":\"$(sha 'bob')\"}" '{"x":"b\u006fb"}' --hash x=h
    makes "{\"h\":\"$(sha $'a"\\')\"}" '{"x":"a\"\\"}' --hash x=h
    makes "{\"x\":\"$(sha ' Bob ')\"}" '{"x":" Bob "}' --hash x
    makes "{\"h\":\"$(sha true)\"}" '{"x":true}' --hash x=h
    long=$(printf '%0200d' 7)
    makes "{\"h\":\"$(sha "$long")\"}" "{\"x\":\"$long\"}" --hash x=h
    refuses '.x: neither a string nor a number' '{"x":[1]}' --hash .x=h
}

@test "hash: a number counts by its value" {
    one=$(sha 1)
    for n in 1 1.0 1e0 10E-1 '"1"'; do
        makes "{\"x\":\"$one\"}" "{\"x\":$n}" --hash x
    done
    makes "{\"x\":\"$(sha 12345678901234567890)\"}" '{"x":12345678901234567890}' --hash x
    makes "{\"x\":\"$(sha 0)\"}" '{"x":-0}' --hash x
    makes "{\"x\":\"$(sha -1)\"}" '{"x":-1}' --hash x
}

@test "hash: normalised e-mail addresses" {
    makes "{\"x\":\"$(sha 'bob.b+news@example.com')\"}" '{"x":" \tBob.B+News@Example.COM\n"}' --hash x:normalize=email
    makes "{\"x\":\"$(sha 'bob.b+news@gmail.com')\"}" '{"x":"Bob.B+News@Gmail.com "}' --hash x:normalize=meta
    makes "{\"x\":\"$(sha 'bobb@gmail.com')\"}" '{"x":"Bob.B+News.x@Gmail.com "}' --hash x:normalize=google
    makes "{\"x\":\"$(sha 'bobb@googlemail.com')\"}" '{"x":"Bob.B@GoogleMail.com"}' --hash x:normalize=google
    makes "{\"x\":\"$(sha 'bob.b+x@mygmail.com')\"}" '{"x":"Bob.B+x@mygmail.com"}' --hash x:normalize=google
    makes "{\"x\":\"$(sha '@gmail.com')\"}" '{"x":"+x@gmail.com"}' --hash x:normalize=google
    makes "{\"x\":\"$(sha 'noaddress')\"}" '{"x":"No address"}' --hash x:normalize=google
    makes "{\"x\":\"$(sha 'bobb@gmail.com')\"}" '{"x":"Bob. B+ x@Gmail\u00a0.\u2003com"}' --hash x:normalize=google
    makes "{\"x\":\"$(sha 'bob b@x.org')\"}" '{"x":" Bob B@x.org"}' --hash x:normalize=meta
    # The examples of their documentation.
    makes "{\"x\":\"$(sha 'cloudysanfrancisco@gmail.com')\"}" '{"x":"cloudy.sanfrancisco+shopping@gmail.com"}' --hash x:normalize=google
    makes "{\"x\":\"$(sha 'user.name+nyc@example.com')\"}" '{"x":"user.name+NYC@Example.com"}' --hash x:normalize=google
    makes "{\"x\":\"$(sha 'janedoe@googlemail.com')\"}" '{"x":"Jane.Doe+Shopping@googlemail.com"}' --hash x:normalize=google
    # White space of all of Unicode goes, letters beyond ASCII stay as they are.
    makes "{\"x\":\"$(sha 'bÖb@x.de')\"}" '{"x":"\u00a0\ufeff\u2003bÖB@X.de\u3000\u0085"}' --hash x:normalize=email
    makes "{\"x\":\"$(sha 'Bob')\"}" '{"x":"Bob"}' --hash x:normalize=none
}

@test "hmac: as openssl makes it, with the key's id" {
    need openssl
    printf 'correct horse battery staple\n' >key
    mac() { printf %s "$1" | openssl dgst -sha256 -hmac 'correct horse battery staple' | sed 's/.*= //'; }
    id=$(sha 'correct horse battery staple')
    makes "{\"h\":\"$(mac 'bob@example.com')\",\"key_id\":\"${id:0:8}\"}" '{"x":"Bob@example.com"}' \
        --hmac x=h:normalize=email --key-file key
    printf 'correct horse battery staple\r\n' >key
    long=$(printf '%0200d' 7)
    makes "{\"h\":\"$(mac "$long")\",\"key_id\":\"${id:0:8}\"}" "{\"x\":\"$long\"}" --hmac x=h --key-file key
    makes "{\"key_id\":\"${id:0:8}\"}" '{"x":null}' --hmac x=h --key-file key
    printf '%s' '{"version":1,"key_id":"2026-Q1","fields":[{"path":".x","as":"h","do":"hmac-sha256"}]}' >policy.json
    makes "{\"h\":\"$(mac a)\",\"key_id\":\"2026-Q1\"}" '{"x":"a"}' --policy policy.json --key-file key
}

@test "hmac: the key" {
    usage 'hmac-sha256 needs --key-file' --hmac x
    # Who gives a key wants it used: a plain digest in its place would be a leak.
    usage '--key-file means nothing without a field that is hmac-sha256' --hash x --key-file /dev/null
    bad_key_id() { printf '{"version":1,%s}' "$1" >policy.json && usage "$2" --policy policy.json --key-file key; }
    printf 'correct horse battery staple' >key
    bad_key_id '"key_id":"","fields":[{"path":".x","do":"hmac-sha256"}]' 'policy.json: key_id: an empty name'
    printf '{"version":1,"key_id":"k","fields":[{"path":".x","do":"sha256"}]}' >policy.json
    usage 'key_id means nothing without a field that is hmac-sha256' --policy policy.json
    printf '{"version":1,"key_id":"a\\u0000\\"b","fields":[{"path":".x","as":"h","do":"hmac-sha256"}]}' >policy.json
    makes '{"key_id":"a\u0000\"b"}' '{}' --policy policy.json --key-file key
    for bytes in '' '\n' '\r\n' 'fifteen bytes..\n' 'fifteen bytes..\r\n'; do
        printf %b "$bytes" >key
        usage 'key: a key needs at least 16 bytes' --hmac x --key-file key
    done
    # Only one end of a line is no part of the key, and all else is, NULs included.
    printf 'sixteen\0bytes ..\n\n' >key
    id=$(printf 'sixteen\0bytes ..\n' | sha256sum | cut -c 1-8)
    makes "{\"key_id\":\"$id\"}" '{}' --hmac x --key-file key
    makes "{\"key_id\":\"$id\"}" '{}' --hmac x --key-file <(cat key)
    mkdir folder
    scrub --hmac x --key-file folder /dev/null
    [ "$status" -eq 3 ]
    [ "$stderr" = 'cdp-scrub: folder: cannot read: Is a directory' ]
    printf 'short' >key
    usage 'key: a key needs at least 16 bytes' --hmac x --key-file key
    head -c 16 /dev/zero >key
    usage "a field is named 'key_id', which hmac-sha256 adds to the output" --hmac x --keep key_id --key-file key
    scrub --hmac x --key-file nowhere /dev/null
    [ "$status" -eq 3 ]
    [[ $stderr = 'cdp-scrub: nowhere: '* ]]
}

@test "domain of an e-mail address" {
    makes '{"x":"example.com"}' '{"x":" Bob@Example.COM "}' --domain x
    makes '{"x":"b.org"}' '{"x":"\"odd@name\"@b.org"}' --domain x
    makes '{"x":"müller.de"}' '{"x":"j@müller.de"}' --domain x
    makes '{"x":"a😀.c"}' '{"x":"j@a\ud83d\ude00.c"}' --domain x
    makes '{"x":"localhost"}' '{"x":"j@localhost"}' --domain x
    for v in '"bob"' '"@x.com"' '"bob@"' '"bob@."' '"bob@a..b"' '"bob@.b"' '"bob@b."' '"bob@x.com, 555"' '"bob@x.com\u00a0street"' '"bob@x\u3000y"' '"bob@a\"b"' '"bob@a\ud83d.c"' '"bob@\udc00"' 7 '["a@b.c"]'; do
        refuses '.x: not an e-mail address' "{\"x\":$v}" --domain .x
    done
}

@test "mask keeps the first and last characters" {
    makes '{"x":"12******90"}' '{"x":"1234567890"}' --mask x:first=2,last=2
    makes '{"x":"*******890"}' '{"x":1234567890}' --mask x:last=3
    makes '{"x":"****"}' '{"x":"1234"}' --mask x:first=2,last=2
    makes '{"x":"12*45"}' '{"x":"12345"}' --mask x:first=2,last=2
    makes '{"x":"*****"}' '{"x":"12345"}' --mask x
    makes '{"x":""}' '{"x":""}' --mask x:first=2
    makes '{"x":"ä**\""}' '{"x":"\u00e4öü\""}' --mask x:first=1,last=1
    makes '{"x":"\ud83d*"}' '{"x":"\ud83dx"}' --mask x:first=1
    refuses '.x: neither a string nor a number' '{"x":{}}' --mask .x
}

@test "redact passes a fixed text for any value" {
    makes '{"x":"[redacted]"}' '{"x":{"a":1}}' --redact x
    makes '{"x":"a \"b\""}' '{"x":1}' --redact 'x:with=a "b"'
}

@test "bucket of a number is exact at any size" {
    makes '{"x":30}' '{"x":39.999999999999999999999999999999}' --bucket x:size=10
    makes '{"x":40}' '{"x":40}' --bucket x:size=10
    makes '{"x":-10}' '{"x":-0.0001}' --bucket x:size=10
    makes '{"x":12345678901234567890}' '{"x":12345678901234567899}' --bucket x:size=10
    makes '{"x":0.3}' '{"x":0.3}' --bucket x:size=0.1
    makes '{"x":0.2}' '{"x":0.29999999999999999999}' --bucket x:size=0.1
    makes '{"x":9}' '{"x":1e1}' --bucket x:size=3
    refuses '.x: not a number' '{"x":"12"}' --bucket .x:size=10
    printf '{"x":1e6000}\n' >in
    scrub --bucket x:size=3 in
    [ "$status" -eq 1 ]
    [[ $stderr = 'cdp-scrub: in:1: x: '* ]]
}

@test "bucket of a time, in a zone" {
    t='{"x":"2026-02-05T23:23:45.5+01:00"}'
    makes '{"x":"2026-02-05T22:00:00Z"}' "$t" --bucket x:unit=hour
    makes '{"x":"2026-02-05"}' "$t" --bucket x:unit=day
    makes '{"x":"2026-02-02"}' "$t" --bucket x:unit=week
    makes '{"x":"2026-02"}' "$t" --bucket x:unit=month
    makes '{"x":"2026"}' "$t" --bucket x:unit=year
    makes '{"x":"2026-02-06T04:00:00+05:45"}' "$t" --bucket x:unit=hour,tz=Asia/Kathmandu
    makes '{"x":"1880-01-01T00:59:32+00:53"}' '{"x":"1880-01-01T00:30:00Z"}' --bucket x:unit=hour,tz=Europe/Berlin
    refuses 'x: a time outside the years 0000 to 9999' '{"x":"0000-01-01T00:00:00+01:00"}' --bucket x:unit=hour
    refuses '.x: not a time' '{"x":"yesterday"}' --bucket .x:unit=day
    refuses '.x: not a time' '{"x":1770304980}' --bucket .x:unit=day
}

@test "age: the birthday decides, at a date that is given" {
    for case in 1996-02-05:30-39 1996-02-06:20-29 2026-02-05:0-9 2016-02-06:0-9 2016-02-05:10-19 1936-02-06:80-89 \
        1936-02-05:90+ 1890-01-01:90+; do
        makes "{\"x\":\"${case#*:}\"}" "{\"x\":\"${case%:*}\"}" --age x --as-of 2026-02-05
    done
    # The date of a time counts as it is written.
    makes '{"x":"30-39"}' '{"x":"1996-02-05T23:59:59-11:00"}' --age x --as-of 2026-02-05
    # February 29: a year older on March 1, but on February 29 where there is one.
    makes '{"x":"20-29"}' '{"x":"1996-02-29"}' --age x --as-of 2026-02-28
    makes '{"x":"30-39"}' '{"x":"1996-02-29"}' --age x --as-of 2026-03-01
    makes '{"x":"20-29"}' '{"x":"2004-02-29"}' --age x --as-of 2024-02-29
    refuses '.x: a birthday after the --as-of date' '{"x":"2026-02-06"}' --age .x --as-of 2026-02-05
    for v in '"1996-02-30"' '"5.2.1996"' 1996 '"1996-02-05x"' '""'; do
        refuses '.x: not a date' "{\"x\":$v}" --age .x --as-of 2026-02-05
    done
    usage 'age needs a date: give --as-of, or as_of in the policy' --age x
    usage '--as-of: not a date (YYYY-MM-DD)' --age x --as-of today
}

@test "country from names and codes" {
    makes '{"x":"CI"}' '{"x":"C\u00f4te d\u2019Ivoire"}' --country x
    makes '{"x":"KR"}' '{"x":"south korea"}' --country x
    makes '{"x":"DE"}' '{"x":276}' --country x
    makes '{"x":"AF"}' '{"x":"004"}' --country x
    refuses '.x: not a country' '{"x":"Atlantis"}' --country .x
    refuses '.x: not a country' '{"x":["Germany"]}' --country .x
}

@test "truncate cuts towards zero" {
    makes '{"x":13.4}' '{"x":13.49}' --truncate x:places=1
    makes '{"x":-13.4}' '{"x":-13.49}' --truncate x:places=1
    makes '{"x":-45}' '{"x":-45.864413}' --truncate x:places=0
    makes '{"x":0}' '{"x":-0.04}' --truncate x:places=1
    makes '{"x":13.4}' '{"x":13.40001}' --truncate x:places=3
    makes '{"x":1.23}' '{"x":123.4e-2}' --truncate x:places=2
    makes '{"x":0}' '{"x":1e-400}' --truncate x:places=2
    makes '{"x":12345678901234567890.12}' '{"x":12345678901234567890.129}' --truncate x:places=2
    makes '{"x":12345678901234567890.129}' '{"x":12345678901234567890.129}' --truncate x:places=1000
    makes '{"x":"52.5"}' '{"x":" 52.520008 "}' --truncate x:places=1
    makes '{"x":[13.4,"52.5"]}' '{"x":[ 13.404954 , "52.520008" ]}' --truncate x:places=1
    makes '{"x":[]}' '{"x":[]}' --truncate x:places=1
    for v in '"N 52"' '"1 2"' '"0x10"' '""' true '[[1]]' '[null]' '{"lat":1}'; do
        refuses '.x: not a number' "{\"x\":$v}" --truncate .x:places=1
    done
}

@test "zip keeps a prefix" {
    makes '{"x":"803"}' '{"x":"80331"}' --zip x:first=3
    makes '{"x":"803"}' '{"x":80331}' --zip x:first=3
    makes '{"x":"SW1"}' '{"x":" SW1A 1AA"}' --zip x:first=3
    makes '{"x":"12"}' '{"x":"12"}' --zip x:first=3
    refuses '.x: neither a string nor a number' '{"x":{}}' --zip .x:first=3
}

@test "on_error=null, and the count of it" {
    printf '%s\n' '{"x":"Germany"}' '{"x":"Atlantis"}' '{"x":"Utopia"}' '{}' >in
    scrub --country .x=c:on_error=null --hash .x=h in
    [ "$status" -eq 0 ]
    [ "$stderr" = "cdp-scrub: '.x': values that could not be used and became null: 2" ]
    [ "$output" = "{\"c\":\"DE\",\"h\":\"$(sha Germany)\"}
{\"c\":null,\"h\":\"$(sha Atlantis)\"}
{\"c\":null,\"h\":\"$(sha Utopia)\"}
{}" ]
    scrub -q --country .x=c:on_error=null in
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    # What was written before the fault was seen is taken back.
    makes '{"x":null,"y":1}' '{"x":[1.25,"?"],"y":1}' -q --truncate x:places=1,on_error=null --keep y
    printf '%s\n' '{"x":"Germany"}' '{"x":"Atlantis"}' >in
    scrub --country .x=c:on_error=reject in
    [ "$status" -eq 1 ]
    [ "$stderr" = 'cdp-scrub: in:2: .x: not a country' ]
}

@test "a record that is rejected leaves no digest behind in its neighbours" {
    for i in 1 2 3 4 5 6 7; do
        printf '{"a":"%s","b":"x%s","c":"%s"}\n' "$i" "$i" "$([ $((i % 2)) = 0 ] && echo nowhere || echo Spain)"
    done >in
    scrub --hash a --hash b --country c --rejects rejects --threads 1 in
    [ "$status" -eq 0 ]
    [ "$stderr" = 'cdp-scrub: 3 of 7 records rejected, see rejects' ]
    for i in 1 3 5 7; do
        printf '{"a":"%s","b":"%s","c":"ES"}\n' "$(sha $i)" "$(sha x$i)"
    done >want
    printf '%s\n' "$output" | cmp - want
    # One digest that waits when the record is taken back, at a place that belongs to the next record's pad then.
    printf '%s\n' '{"pad":"x","a":1,"c":"nowhere"}' '{"pad":"a long text, longer than what was before it","a":2,"c":"Spain"}' \
        '{"pad":"x","a":3,"c":"Spain"}' >in
    scrub -q --keep pad --hash a --country c --rejects rejects --threads 1 in
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$output" = "{\"pad\":\"a long text, longer than what was before it\",\"a\":\"$(sha 2)\",\"c\":\"ES\"}
{\"pad\":\"x\",\"a\":\"$(sha 3)\",\"c\":\"ES\"}" ]
}

@test "a policy file" {
    printf '%s' '{
        "version": 1, "description": "people", "as_of": "2026-02-05",
        "fields": [
            {"path": ".id", "description": "ours"},
            {"path": ".email", "as": "email_hashed", "do": "sha256", "normalize": "google"},
            {"path": ".email", "as": "email_domain", "do": "domain", "on_error": "null"},
            {"path": "phone", "do": "mask", "last": 2, "leaks": false},
            {"path": ".note", "do": "redact", "with": "a,\u0062"},
            {"path": ".income", "do": "bucket", "size": 1e3},
            {"path": ".seen", "do": "bucket", "unit": "day", "tz": "UTC"},
            {"path": ".born", "as": "age", "do": "age"},
            {"path": ".land", "as": "country", "do": "country", "on_error": "reject"},
            {"path": ".at", "do": "truncate", "places": 1},
            {"path": ".zip", "do": "zip", "first": 2},
            {"path": ".ssn", "do": "drop"}
        ]
    }' >policy.json
    makes "{\"id\":1,\"email_hashed\":\"$(sha 'wk@gmail.com')\",\"email_domain\":\"gmail.com\",\"phone\":\"*****67\",\"note\":\"a,b\",\"income\":41000,\"seen\":\"2026-02-04\",\"age\":\"40-49\",\"country\":\"DE\",\"at\":[1.2,3.4],\"zip\":\"80\",\"extra\":5}" \
        '{"ssn":"078-05-1120","id":1,"email":"W.K@gmail.com","phone":1234567,"note":"n","income":41999.99,"seen":"2026-02-05T00:30:00+01:00","born":"1978-09-28","land":"Germany","at":[1.23,3.45],"zip":"80331","extra":5}' \
        --policy policy.json --keep extra
    # --as-of wins over the policy's date.
    makes '{"age":"0-9"}' '{"born":"1978-09-28"}' --policy policy.json --as-of 1980-01-01
}

@test "a policy that is wrong is refused with the place" {
    bad_policy ':2:11: expected a value' '{"version":1,
 "fields":]}'
    bad_policy ':1:13: the line ends inside an object' '{"version":1'
}

@test "a policy's mistakes, one by one" {
    field() { printf '{"version":1,"fields":[{"path":".a"},%s]}' "$1"; }
    bad_policy ': a policy is an object' '[]'
    bad_policy ': no version' '{"fields":[]}'
    bad_policy ': version: this is not version 1' '{"version":2,"fields":[]}'
    bad_policy ': version: this is not version 1' '{"version":"1","fields":[]}'
    bad_policy ': no fields' '{"version":1}'
    bad_policy ': fields: not an array' '{"version":1,"fields":{}}'
    bad_policy ': unknown member "field"' '{"version":1,"field":[],"fields":[]}'
    bad_policy ': member "fields" is given twice' '{"version":1,"fields":[],"fields":[]}'
    bad_policy ': member "\u0066ields" is given twice' '{"version":1,"\u0066ields":[],"fields":[]}'
    bad_policy ': as_of: not a date (YYYY-MM-DD)' '{"version":1,"as_of":"2026-02-30","fields":[]}'
    bad_policy ': key_id: not a string' '{"version":1,"key_id":7,"fields":[]}'
    bad_policy ': fields[1]: not an object' "$(field 7)"
    bad_policy ': fields[1]: no path' "$(field '{}')"
    bad_policy ': fields[1]: path: not a string' "$(field '{"path":7}')"
    bad_policy ': fields[1]: unknown member "foo"' "$(field '{"path":".b","foo":1}')"
    bad_policy ': fields[1]: member "as" is given twice' "$(field '{"path":".b","as":"x","as":"y"}')"
    bad_policy ': fields[1]: do: unknown action "encrypt"' "$(field '{"path":".b","do":"encrypt"}')"
    bad_policy ': fields[1]: do: not a string' "$(field '{"path":".b","do":null}')"
    bad_policy ': fields[1]: as: not a string' "$(field '{"path":".b","as":1}')"
    bad_policy ': fields[1]: an empty name' "$(field '{"path":".b","as":""}')"
    bad_policy ': fields[1]: what is dropped has no name in the output' "$(field '{"path":".b","do":"drop","as":"b"}')"
    bad_policy ': fields[1]: the path ends in no key: give it a name' "$(field '{"path":".b[0]"}')"
    bad_policy ': fields[1]: normalize means nothing with keep' "$(field '{"path":".b","normalize":"google"}')"
    bad_policy ': fields[1]: normalize: expected none|email|google|meta' "$(field '{"path":".b","do":"sha256","normalize":"gmail"}')"
    bad_policy ': fields[1]: normalize: not a string' "$(field '{"path":".b","do":"sha256","normalize":true}')"
    bad_policy ': fields[1]: description: not a string' "$(field '{"path":".b","description":{}}')"
    bad_policy ': description: not a string' '{"version":1,"description":1,"fields":[{"path":".a"}]}'
    bad_policy ': fields[1]: places: not a whole number up to 1000' "$(field '{"path":".b","do":"truncate","places":1001}')"
    bad_policy ': fields[1]: tz: unknown time zone' "$(field '{"path":".b","do":"bucket","unit":"day","tz":"UTC\u0000"}')"
    bad_policy ': fields[1]: first: not a number' "$(field '{"path":".b","do":"mask","first":"2"}')"
    bad_policy ': fields[1]: first: not a whole number up to 1000000' "$(field '{"path":".b","do":"mask","first":-1}')"
    bad_policy ': fields[1]: first: not a whole number up to 1000000' "$(field '{"path":".b","do":"mask","first":99999999999999999999999}')"
    bad_policy ': fields[1]: leaks: not true or false' "$(field '{"path":".b","leaks":0}')"
    bad_policy ': fields[1]: on_error: expected reject|null' "$(field '{"path":".b","do":"age","on_error":"drop"}')"
    bad_policy ': fields[1]: bucket needs either size or unit' "$(field '{"path":".b","do":"bucket"}')"
    bad_policy ': fields[1]: bucket needs either size or unit' "$(field '{"path":".b","do":"bucket","size":1,"unit":"day"}')"
    bad_policy ': fields[1]: tz means nothing without unit' "$(field '{"path":".b","do":"bucket","size":1,"tz":"UTC"}')"
    bad_policy ": fields[1]: tz: unknown time zone 'Mars'" "$(field '{"path":".b","do":"bucket","unit":"day","tz":"Mars"}')"
    bad_policy ': fields[1]: size: not a positive number' "$(field '{"path":".b","do":"bucket","size":0}')"
    bad_policy ': fields[1]: truncate needs places' "$(field '{"path":".b","do":"truncate"}')"
    bad_policy ': fields[1]: zip needs first' "$(field '{"path":".b","do":"zip"}')"
    printf '%s' "$(field '{"path":"b c"}')" >policy.json
    scrub --policy policy.json /dev/null
    [ "$status" -eq 2 ]
    [[ $stderr = 'cdp-scrub: policy.json: fields[1]: path '* ]]
    scrub --policy nowhere.json /dev/null
    [ "$status" -eq 3 ]
}

@test "a policy that contradicts itself is refused" {
    usage "two fields are named 'a' in the output" --keep .a --keep .b=a
    usage "'.a.b' lies inside '.a', which is kept whole" --keep .a --drop .a.b
    usage "'.a.b' lies inside '.a', which is kept whole" --hash .a.b=h --keep .a
    usage "'.a[0]' lies inside '.a', which is kept whole" --keep .a --hash '.a[0]=h'
    usage "'.a' lies inside '.', which is kept whole" --keep .=all --hash .a
    usage "'.a.b' lies inside '.a', which is dropped" --drop .a --keep .a.b
    usage "'.a' is both dropped and promoted" --drop .a --keep .a
    usage "'.a[1]' lies inside '.a', which passes number by number" --drop '.a[1]' --truncate .a:places=1
    usage 'nothing is promoted: give --policy, or --keep and its like'
    usage 'nothing is promoted: give --policy, or --keep and its like' --drop a
    makes '{"b":1,"a":{"b":1}}' '{"a":{"b":1}}' --keep .a.b --keep .a
}

@test "options that are wrong are refused" {
    usage "--keep '': expected a path" --keep ''
    usage "--keep '=x': expected a path" --keep =x
    usage "--keep 'a b': unexpected character after the path" --keep 'a b'
    usage "--keep 'a=': an empty name" --keep a=
    usage $'--keep \'a=\xff\': not UTF-8' --keep $'a=\xff'
    usage $'--redact \'a:with=\xc3\': not UTF-8' --redact $'a:with=\xc3'
    usage "--mask 'a:': expected PARAMETER=VALUE after ':'" --mask a:
    usage "--mask 'a:first': expected PARAMETER=VALUE after ':'" --mask a:first
    usage "--mask 'a:first=1,first=2': first is given twice" --mask a:first=1,first=2
    usage "--mask 'a:foo=1': unknown parameter 'foo'" --mask a:foo=1
    usage "--mask 'a:first=': first: not a whole number up to 1000000" --mask a:first=
    usage "--bucket 'a:size=x': size: not a positive number" --bucket a:size=x
    usage "--drop 'a=b': what is dropped has no name in the output" --drop a=b
    usage "--keep 'a:leaks=no': leaks: expected true or false" --keep a:leaks=no
}

# Every kind of place a secret can be in; none of them is promoted, and all that could be said about it is said.
@test "no secret gets out: not on stdout, not on stderr, not in an error text" {
    s=S3CRET
    printf '%s\n' \
        "{\"id\":1,\"email\":\"$s@$s.com\",\"nested\":{\"deep\":[{\"x\":\"$s\"}]},\"$s\":1}" \
        "{\"id\":2,\"\\u0065mail\":\"\\u0053\\u0033CRET\",\"em\\u0061il\":\"$s\"}" \
        "{\"id\":3,\"id\":4,\"id2\":\"$s\",\"ID\":\"$s\",\"iD\":\"$s\",\"id \":\"$s\",\"\\u0000id\":\"$s\"}" \
        "{\"id\":5,\"payload\":{\"id\":\"$s\"},\"a\":{\"b\":\"$s\"},\"a\":{\"c\":\"$s\"}}" \
        "{\"id\":6,\"born\":\"$s\"}" "{\"id\":7,\"land\":\"$s\"}" "{\"id\":8,\"mail\":\"$s\"}" "{\"id\":9,\"lat\":\"$s\"}" \
        "{\"id\":10,\"seen\":\"$s\"}" "{\"id\":11,\"n\":\"$s\"}" "{\"id\":12,\"h\":{\"$s\":1}}" \
        "{\"id\":13,\"$s\":}" "[\"$s\"]" "\"$s\"" "{\"id\":14,\"phone\":\"$s\"}" >in
    scrub --keep id --hash email --keep .a.d --age born --as-of 2026-01-01 --country land --domain mail \
        --truncate lat:places=1 --bucket seen:unit=day --bucket n:size=10 --hash h --mask phone --rejects rejects \
        --leaks --stats stats in
    [ "$status" -eq 0 ]
    [ "$(printf '%s\n' "$output" | wc -l)" -eq 7 ]
    printf '%s\n%s\n' "$output" "$stderr" >said
    run ! grep -q -e "$s" -e '\\u0053' -e CRET said
    run ! grep -q "$s" stats
    # The reject file holds the records themselves, and says nothing of them elsewhere.
    jq -r 'del(.raw) | tostring' rejects >errors
    [ "$(wc -l <errors)" -eq 8 ]
    run ! grep -q "$s" errors
    # Without --rejects the first bad record ends the run; its message holds no value either.
    for line in 5 6 7 8 9 10 11 12; do
        sed -n "${line}p" in >one
        scrub --keep id --hash email --age born --as-of 2026-01-01 --country land --domain mail --truncate lat:places=1 \
            --bucket seen:unit=day --bucket n:size=10 --hash h one
        [ "$status" -eq 1 ]
        [[ $output$stderr != *"$s"* ]]
    done
}

@test "rejected records, which are raw, do not land in the output" {
    printf '%s\n' '{"a":1,"c":"S3CRET"}' '{"a":2,"c":"Spain"}' >in
    usage "--rejects 'out' is the output" --keep a --country c --rejects out -o out
    [ ! -e out ]
    echo old >out
    ln out other
    usage "--rejects 'other' is the output" --keep a --country c --rejects other -o out
    usage "--stats './out' is the output" --keep a --country c --stats ./out -o out
    [ "$(cat out)" = old ]
    status=0
    cdp-scrub --keep a --country c --rejects ./out in >out 2>said || status=$?
    [ $status -eq 2 ]
    [ ! -s out ]
    [ "$(cat said)" = "cdp-scrub: --rejects './out' is the output" ]
    # A pipe that somebody names on purpose is theirs.
    scrub --keep a --country c --rejects /dev/stdout in
    [ "$status" -eq 0 ]
    [ "$(printf '%s\n' "$output" | wc -l)" -eq 2 ]
}

@test "leaks: what goes out is looked at, values are not shown" {
    printf '%s\n' '{"note":"call +49 30 123456","o":{"a":["bob\u0040example.com",{"eve@example.org":"4111 1111 1111 1111"}]}}' \
        '{"note":"ask ann@example.net or bob@example.com","n":4111111111111111}' >in
    scrub --keep note --keep o=other --keep n --hash note=h --leaks -o out in
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ ! -e out ]
    [ "$stderr" = "cdp-scrub: leak: 'note', e-mail addresses: 1
cdp-scrub: leak: 'note', phone numbers: 1
cdp-scrub: leak: 'other', e-mail addresses: 2
cdp-scrub: leak: 'other', card numbers: 1
cdp-scrub: leak: 'n', card numbers: 1
cdp-scrub: what went out looks like personal data in 6 places" ]
    scrub --keep note --leaks in
    [ "$status" -eq 1 ]
    [ "$(printf '%s\n' "$output" | wc -l)" -eq 2 ]
    # What stays behind is no leak, what is transformed is judged by what it became.
    scrub --hash note=h --mask note=m:last=2 --redact o --zip n:first=4 --leaks in
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    # A field can be excused.
    scrub --keep n:leaks=false --leaks in
    [ "$status" -eq 0 ]
    scrub --keep n:leaks=true --leaks in
    [ "$status" -eq 1 ]
    scrub --mask note:first=100 --mask n:last=3 --leaks in
    [ "$status" -eq 0 ]
}

@test "what is said of values is said of those that went out, not of rejected records" {
    printf '%s\n' '{"note":"ann@example.net","c":"nowhere","d":"nowhere"}' '{"note":"bob@example.com","c":"Spain","d":"nowhere"}' >in
    scrub --keep note --country d:on_error=null --country c --rejects rejects --leaks in
    [ "$status" -eq 1 ]
    [ "$output" = '{"note":"bob@example.com","d":null,"c":"ES"}' ]
    [ "$stderr" = "cdp-scrub: 'd': values that could not be used and became null: 1
cdp-scrub: leak: 'note', e-mail addresses: 1
cdp-scrub: what went out looks like personal data in 1 place" ]
    scrub --keep note --country c --rejects rejects --leaks --where '.c == "nowhere"' in
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ "$stderr" = 'cdp-scrub: 1 of 2 records rejected, see rejects' ]
}

# A copy that finds no memory must end the run, and not become an empty or an unusable value.
@test "too little memory for a value is said, whatever the action" {
    { printf '{"a":"' && head -c 3000000 /dev/zero | sed 's/\x0/\\u0041/g' && printf '","b":1}\n'; } >in
    for action in --hash --mask --zip; do
        parameter=
        [ $action != --zip ] || parameter=:first=1
        cdp-scrub $action "a=x$parameter" --keep b --leaks in >want
        for kib in $(seq 20000 4000 84000); do
            (ulimit -v "$kib" && cdp-scrub --version >/dev/null 2>&1) || continue
            status=0
            (ulimit -v "$kib" && cdp-scrub --threads 1 $action "a=x$parameter" --keep b --leaks in >got 2>said) || status=$?
            if [ $status -eq 0 ]; then
                same want got
            else
                [ $status -eq 3 ]
                grep -q '^cdp-scrub: cannot allocate [0-9]* bytes$' said
            fi
        done
    done
}

@test "leaks: digests, ids, times and coordinates are none" {
    printf '%s\n' '{"u":"550e8400-e29b-41d4-a716-446655440000","t":"2026-02-05T16:23:00.017737Z","e":1770304980123,"c":[-45.864413,38.167421],"i":"192.168.100.200","s":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}' >in
    scrub --keep .=all --leaks in
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
}

@test "records are counted: in = out + dropped + rejected" {
    printf '%s\n' '{"a":1,"c":"Spain"}' '{"a":2,"c":"Spain"}' '{"a":1,"c":"nowhere"}' 'bad' '' '{"a":1,"c":"FR"}' >in
    scrub --keep a --country c --where '.a == 1' --rejects rejects --stats stats in
    [ "$status" -eq 0 ]
    [ "$stderr" = 'cdp-scrub: 2 of 5 records rejected, see rejects' ]
    [ "$output" = '{"a":1,"c":"ES"}
{"a":1,"c":"FR"}' ]
    balanced stats
    [ "$(jq -c '[.in, .out, .dropped, .rejected]' stats)" = '[5,2,1,2]' ]
    [ "$(jq -r '.error' rejects | head -n 1)" = 'c: not a country' ]
    scrub -q --keep a --country c --rejects rejects --max-rejects 1 in
    [ "$status" -eq 1 ]
    [ "$stderr" = 'cdp-scrub: 2 of 5 records rejected, more than --max-rejects 1' ]
}

@test "output to a file, empty input, several inputs, no last newline" {
    printf '{"a":1}' >one
    printf '{"a":2}\r\n{"a":3}' >two
    scrub --keep a --output out one two
    [ "$status" -eq 0 ]
    [ -z "$output$stderr" ]
    printf '%s\n' '{"a":1}' '{"a":2}' '{"a":3}' | cmp - out
    scrub --keep a -o out /dev/null
    [ "$status" -eq 0 ]
    [ -e out ] && [ ! -s out ]
}

# Some 5 MB of records: a dozen blocks.
people()
{
    awk 'BEGIN { for (i = 0; i < 20000; i++)
        printf "{\"id\":%d,\"email\":\"User.%d+x@%s\",\"pad\":\"%0150d\",\"born\":\"%04d-%02d-%02d\",\"land\":\"%s\"}\n", i, i % 977,
            i % 3 ? "gmail.com" : "Example.org", i, 1930 + i % 95, 1 + i % 12, 1 + i % 28, i % 5 ? "United Kingdom" : i % 7 ? "de" : "756" }'
}

@test "the same bytes for any number of threads, and by a plain reference" {
    people >in
    args=(--keep id --hash email:normalize=google --domain email=domain --age born --as-of 2026-02-05 --country land)
    cdp-scrub "${args[@]}" --threads 1 in >one
    cdp-scrub "${args[@]}" --threads 4 in >four
    same one four
    cdp-scrub "${args[@]}" --threads 3 <in >pipe
    same one pipe
    [ "$(wc -l <one)" -eq 20000 ]
    for i in 0 1 2 9999 19998 19999; do
        domain=gmail.com mail="user$((i % 977))@gmail.com"
        [ $((i % 3)) -ne 0 ] || { domain=example.org mail="user.$((i % 977))+x@example.org"; }
        land=GB
        [ $((i % 5)) -ne 0 ] || { land=DE && [ $((i % 7)) -ne 0 ] || land=CH; }
        sed -n "$((i + 1))p" one >line
        [ "$(jq -r .email line)" = "$(sha "$mail")" ]
        [ "$(jq -r '"\(.id) \(.domain) \(.land)"' line)" = "$i $domain $land" ]
    done
}

@test "a very long value, and a line that is too long" {
    { printf '{"a":"' && head -c 9000000 /dev/zero | tr '\0' x && printf '\\u0041"}\n{"a":"b"}\n'; } >in
    cdp-scrub --keep a --hash a=h --mask a=m:last=1 --zip a=z:first=2 in >out
    want=$({ head -c 9000000 /dev/zero | tr '\0' x && printf A; } | sha256sum | cut -d' ' -f1)
    [ "$(head -n 1 out | jq -r .h)" = "$want" ]
    [ "$(head -n 1 out | jq -r '.m[-3:], (.m | length), .z')" = '**A
9000001
xx' ]
    [ "$(tail -n 1 out)" = "{\"a\":\"b\",\"h\":\"$(sha b)\",\"m\":\"*\",\"z\":\"b\"}" ]
    scrub --keep a --max-record 1M in
    [ "$status" -eq 1 ]
    [ -z "$output" ]
}

@test "the sample people" {
    scrub --keep .payload._id=user_id --hash .payload.email=email_hashed:normalize=google --domain .payload.email=email_domain \
        --age .payload.birthday=age_group --as-of 2026-02-05 --country .payload.address.country --zip .payload.address.zipcode=zip:first=2 \
        --truncate .payload.address.latitude=lat:places=1 --mask .payload.phone=phone:last=2 --leaks "$SAMPLES/users.ndjson"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    golden cdp-scrub-users
}

@test "real people: every country is known, Gmail users by country" {
    need_shared users-cdc.tar.gz
    tar -xzOf "$SHARED/users-cdc.tar.gz" --wildcards '*.jsonl' >users
    args=(--keep .payload._id=user_id --hash .payload.email=email_hashed:normalize=google --domain .payload.email=email_domain
        --age .payload.birthday=age_group --as-of 2026-02-05 --country .payload.address.country
        --keep .source_timestamp=at --keep .read_timestamp=read --keep .uuid --keep .source_metadata.change_type=change)
    scrub "${args[@]}" --leaks --stats stats -o rows users
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$(wc -l <rows)" -eq 27998 ]
    balanced stats
    jq -c -s 'sort_by(.at, .read, .uuid) | reduce .[] as $r ({}; if $r.change == "DELETE" then del(.[$r.user_id]) else .[$r.user_id] = $r end)
        | [.[]] | [length, (map(select(.email_domain == "gmail.com")) | length),
            (map(select(.email_domain == "gmail.com")) | group_by(.country) | map([-length, .[0].country]) | sort | .[:4])]' rows >answer
    [ "$(cat answer)" = '[18997,5772,[[-1172,"DE"],[-235,"CH"],[-228,"ES"],[-228,"GB"]]]' ]
    # Phones are all found, and nothing else is taken for one.
    scrub --keep .payload.phone=phone --keep .payload.address=address --keep .source_metadata --keep .sort_keys \
        --keep .payload.website=website --keep .payload.image=image --leaks users
    [ "$status" -eq 1 ]
    [ "$stderr" = "cdp-scrub: leak: 'phone', phone numbers: 23500
cdp-scrub: what went out looks like personal data in 23500 places" ]
}
