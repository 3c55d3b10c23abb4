# tap: what the lint scripts share.  A check is a function or command that prints what is wrong and fails.
# shellcheck shell=bash
cd "${BASH_SOURCE[0]%/*}/../.." || exit 2
BUILD=${BUILD:-$PWD/build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
export LC_ALL=C PATH=$BUILD/bin:$PATH
unset MAKEFLAGS MFLAGS MAKELEVEL
tap_run=0 tap_failed=0

# ok NAME COMMAND...: one test; what the command prints is shown where it fails.
ok()
{
    local name=$1 said
    shift
    tap_run=$((tap_run + 1))
    if said=$("$@" 2>&1); then
        echo "ok $tap_run - $name"
    else
        tap_failed=1
        echo "not ok $tap_run - $name"
        printf '%s\n' "$said" | sed -e 's/^/# /' -e '60q'
    fi
}

# none NAME COMMAND...: the command must print nothing.
none()
{
    ok "$1" empty "${@:2}"
}

empty()
{
    local said
    said=$("$@" 2>&1)
    [ -z "$said" ] || { printf '%s\n' "$said"; return 1; }
}

finish()
{
    echo "1..$tap_run"
    exit $tap_failed
}

# The project's files: those git knows, and new ones that it does not ignore.
files()
{
    git ls-files -co --exclude-standard -- "$@" 2>/dev/null | sort -u | while IFS= read -r f; do [ -e "$f" ] && echo "$f"; done
}
