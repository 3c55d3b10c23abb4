#!/usr/bin/env bats
# The committed samples are what the commands in samples/README.md make, byte for byte.

load common

setup_file() {
    cc -std=c11 -D_GNU_SOURCE -O2 -o "$BATS_FILE_TMPDIR/generate" "$BATS_TEST_DIRNAME/../samples/generate.c"
}

setup() {
    common_setup
    cp "$BATS_FILE_TMPDIR/generate" .
}

# The command that the README gives for a file.
documented() {
    awk -F'`' -v name="$1" '$2 == name { for (i = 4; i <= NF; i += 2) if ($i ~ /^.\/generate/) print $i }' "$SAMPLES/README.md"
}

remade() {
    local command
    command=$(documented "$1")
    [ -n "$command" ]
    eval "$command" >made
    cmp made "$SAMPLES/$1"
}

@test "events.ndjson is reproducible" {
    remade events.ndjson
}

@test "late-events.ndjson is reproducible" {
    remade late-events.ndjson
}

@test "users.ndjson is reproducible" {
    remade users.ndjson
}

@test "landing/users/users.tar.gz is reproducible" {
    eval "$(documented landing/users/users.tar.gz)"
    tar --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime=@0 -cf - data |
        gzip -9n >made
    cmp made "$SAMPLES/landing/users/users.tar.gz"
}

@test "landing/events is reproducible" {
    eval "$(documented landing/events/YYYY/MM/DD/HH/part-000.ndjson.gz)"
    find landing/events -name '*.ndjson' -exec gzip -9n {} +
    diff -r landing/events "$SAMPLES/landing/events"
}

@test "the seed, and nothing else, makes the difference" {
    ./generate --kind events --records 3000 --seed 9 >a
    ./generate --kind events --records 3000 --seed 9 >b
    ./generate --kind events --records 3000 --seed 10 >c
    cmp a b
    run ! cmp -s a c
}

@test "--bytes ends with the line that reaches the size" {
    ./generate --kind events --bytes 100K >made
    [ "$(wc -c <made)" -ge 102400 ]
    [ "$(head -n -1 made | wc -c)" -lt 102400 ]
    [ "$(tail -c 1 made | od -An -tx1)" = " 0a" ]
}

@test "every record arrives, also those that are held back" {
    ./generate --kind users --records 500 --late 50 >made
    [ "$(wc -l <made)" -eq 500 ]
}

@test "--shards deals the lines of an hour to that many files" {
    ./generate --kind events --records 100 --days 1 --landing out --shards 3
    [ "$(find out -name 'part-*.ndjson' | wc -l)" -eq 72 ]
    [ "$(find out -type f -exec cat {} + | wc -l)" -eq 100 ]
}

@test "unknown options and kinds are usage errors" {
    run ./generate --kind rows
    [ "$status" -eq 2 ]
    run ./generate --kind events --size 3
    [ "$status" -eq 2 ]
    run ./generate --kind events --records many
    [ "$status" -eq 2 ]
}
