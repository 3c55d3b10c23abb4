#!/usr/bin/env bats
# make: what is missing is found and named, and what is installed is whole.

load common

# A machine without packages: `present` names those that are there, $1 is who we are.
machine()
{
    mkdir bin
    # shellcheck disable=SC2016
    {
        printf '#!/bin/sh\nfor p in %s; do [ "$4" != "$p" ] || { echo installed; exit 0; }; done\nexit 1\n' "$present" >bin/dpkg-query
        printf '#!/bin/sh\necho %s\n' "$1" >bin/id
        printf '#!/bin/sh\necho "apt-get $*" >>log\n' >bin/apt-get
        printf '#!/bin/sh\necho "sudo $*" >>log\n[ "$1" = -v ] || exec "$@"\n' >bin/sudo
    }
    chmod +x bin/*
    for c in sh dirname sed env; do ln -s "$(command -v $c)" bin/; done
}

libraries='gcc libc6-dev libjq-dev libarchive-dev libxxhash-dev libssl-dev zlib1g-dev libisal-dev'

@test "deps: nothing to do where all is there" {
    present="$libraries pkg-config" machine 0
    run --separate-stderr env PATH="$PWD/bin" "$ROOT/tests/deps" build
    [ "$status" = 0 ] && [ -z "$output$stderr" ] && [ ! -e log ]
}

@test "deps: root installs what is missing, and only that" {
    present="${libraries/libjq-dev/}" machine 0
    run --separate-stderr env PATH="$PWD/bin" "$ROOT/tests/deps" build
    [ "$status" = 0 ]
    [ "$stderr" = 'deps: installing pkg-config libjq-dev' ]
    [ "$(cat log)" = 'apt-get update -qq
apt-get install -qq -y --no-install-recommends pkg-config libjq-dev' ]
}

@test "deps: sudo where there is one" {
    present="$libraries" machine 1000
    run --separate-stderr env PATH="$PWD/bin" "$ROOT/tests/deps" build
    [ "$status" = 0 ]
    grep -q '^sudo env DEBIAN_FRONTEND=noninteractive apt-get install .* pkg-config$' log
}

@test "deps: else the line to run" {
    present="$libraries" machine 1000
    rm bin/sudo
    run --separate-stderr env PATH="$PWD/bin" "$ROOT/tests/deps" build
    [ "$status" = 2 ] && [ -z "$output" ] && [ ! -e log ]
    [ "${stderr_lines[1]}" = 'apt-get update && apt-get install -y --no-install-recommends pkg-config' ]
}

@test "deps: a command from elsewhere is good enough" {
    present="$libraries" machine 1000
    ln -s /bin/true bin/pkg-config
    run --separate-stderr env PATH="$PWD/bin" "$ROOT/tests/deps" build
    [ "$status" = 0 ] && [ ! -e log ]
}

@test "make install: programs, pages, completions, pipelines, samples; the demo runs from there" {
    make -s -C "$ROOT" install BUILD="$BUILD" DESTDIR="$PWD/root" prefix=/usr >/dev/null
    for t in "$ROOT"/tools/*.c; do
        t=$(basename "$t" .c)
        [ "$("root/usr/bin/$t" --version)" ]
        [ -s "root/usr/share/man/man1/$t.1" ]
        [ -s "root/usr/share/bash-completion/completions/$t" ]
        [ -s "root/usr/share/zsh/site-functions/_$t" ]
        [ -s "root/usr/share/fish/vendor_completions.d/$t.fish" ]
    done
    [ -s root/usr/share/man/man5/cdp-records.5 ]
    [ -s root/usr/share/man/man7/cdp.7 ]
    PATH=$PWD/root/usr/bin:$PATH root/usr/share/cdp/pipelines/demo lake >shown
    grep -q '^lake/gold/users_current.ndjson.gz: ' shown && [ -s lake/gold/daily_active_users.ndjson.gz ]
}
