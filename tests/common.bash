# common: what every bats file loads (`load common`, or `load ../common` one folder down).
#
#   $ROOT $SAMPLES $SHARED   the project, its samples, the data that is no part of it
#   golden NAME [FILE]       $output (or FILE) is, byte for byte, tests/golden/NAME; BLESS=1 rewrites that
#   need_shared FILE         skips where ../shared/data/FILE is missing
#   need COMMAND...          skips where a command is missing
#   same A B                 two files are equal, byte for byte
#   stat_of FILE NAME        a member of the last line that --stats appended to FILE
#   balanced FILE            in = out + dropped + rejected there
#   no_temps [DIR]           no temporary file of ours is left in DIR (default: here)
#
# A test starts in a directory of its own, $BATS_TEST_TMPDIR.  A file with a setup of its own calls common_setup in it.
# shellcheck shell=bash
bats_require_minimum_version 1.5.0

ROOT=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
SAMPLES=$ROOT/samples
SHARED=${CDP_SHARED:-$ROOT/../shared/data}
export ROOT BUILD SAMPLES SHARED
export LC_ALL=C TZ=UTC PATH=$BUILD/bin:$PATH
unset CDP_RUN_ID NO_COLOR TMPDIR MAKEFLAGS MFLAGS MAKELEVEL

common_setup()
{
    cd "$BATS_TEST_TMPDIR" || return 1
    # Spilled data is looked for here when a test asks whether anything was left.
    mkdir -p tmp && export TMPDIR=$BATS_TEST_TMPDIR/tmp
}

setup()
{
    common_setup
}

golden()
{
    local want=$ROOT/tests/golden/$1 got=${2:-}
    if [ -z "$got" ]; then
        got=$BATS_TEST_TMPDIR/.golden
        # `run` takes the last newline away unless it was told --keep-empty-lines.
        case ${output:-} in
        '') : >"$got" ;;
        *$'\n') printf '%s' "$output" >"$got" ;;
        *) printf '%s\n' "$output" >"$got" ;;
        esac
    fi
    if [ -n "${BLESS:-}" ]; then
        mkdir -p "${want%/*}" && cp "$got" "$want"
    else
        diff -u "$want" "$got"
    fi
}

same()
{
    cmp "$1" "$2" || { diff <(head -c 100000 "$1") <(head -c 100000 "$2") | head -20; return 1; }
}

need()
{
    local c
    for c; do
        command -v "$c" >/dev/null || skip "$c is not installed"
    done
}

need_shared()
{
    [ -e "$SHARED/$1" ] || skip "no $1 in ../shared/data"
}

stat_of()
{
    tail -n 1 "$1" | jq -r ".$2"
}

balanced()
{
    tail -n 1 "$1" | jq -e '.in == .out + .dropped + .rejected' >/dev/null || { cat "$1"; return 1; }
}

no_temps()
{
    local left
    left=$(find "${1:-.}" -name '.*.cdp-*' -o -path '*/tmp/*' ! -type d)
    [ -z "$left" ] || { echo "left behind: $left"; return 1; }
}
