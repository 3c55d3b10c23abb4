#!/usr/bin/env bats
# faults: every tool when the world fails it: the status says so, one line of diagnostics says what, nothing is left
# behind.

load ../common
load ../tools

setup_file()
{
    data events 3M --users 2000 --dups 5 >"$BATS_FILE_TMPDIR/events"
    data users 3M --users 2000 --dups 5 >"$BATS_FILE_TMPDIR/users"
    # More keys than the smallest of tables holds.
    data events 48M --users 150000 --dups 5 >"$BATS_FILE_TMPDIR/many-events"
    data users 64M --users 150000 --dups 5 >"$BATS_FILE_TMPDIR/many-users"
}

input()
{
    echo "$BATS_FILE_TMPDIR/$kind"
}

many()
{
    echo "$BATS_FILE_TMPDIR/many-$kind"
}

endless()
{
    "$BUILD/generate" --kind "$kind" --bytes 1000G --users 1000 2>/dev/null
}

# blames TOOL STATUS WANTED [TEXT]: the run failed as it should: with the status, and one line that begins with the tool's
# name (and holds TEXT) in the file `said`; no temporary files are left.
blames()
{
    if [ "$2" != "$3" ] || [ "$(wc -l <said)" != 1 ] || ! grep -q "^$1: .*${4:-}" said || grep -q '\.$' said; then
        echo "status $2, wanted $3 with one line of '$1: …${4:-}'; said:"
        head -5 said
        return 1
    fi
    no_temps && [ -z "$(ls -A tmp)" ]
}

# --- standard output

full_device()
{
    ! has dataset || return 0
    if has stream; then
        endless | "$1" "${args[@]}" >/dev/full 2>said
        blames "$1" "${PIPESTATUS[1]}" 3 'No space left' || return
    fi
    "$1" "${args[@]}" "$(input)" >/dev/full 2>said
    blames "$1" $? 3 'No space left' || return
    # Little enough to be noticed only at the end.
    head -n 3 "$(input)" | "$1" "${args[@]}" >/dev/full 2>said
    blames "$1" "${PIPESTATUS[1]}" 3 'No space left'
}

@test "/dev/full, under endless input too" {
    each full_device
}

closed_stdout()
{
    ! has dataset || return 0
    "$1" "${args[@]}" "$(input)" 2>said >&-
    blames "$1" $? 3 || return
    head -n 3 "$(input)" | "$1" "${args[@]}" 2>said >&-
    blames "$1" "${PIPESTATUS[1]}" 3
}

@test "closed standard output" {
    each closed_stdout
}

closed_pipe()
{
    ! has dataset || return 0
    local status
    if has stream; then
        endless | "$1" "${args[@]}" 2>said | head -n 1 >first
        status=("${PIPESTATUS[@]}")
    else
        "$1" "${args[@]}" "$(many)" 2>said | head -n 1 >first
        status=(0 "${PIPESTATUS[@]}")
    fi
    [ "${status[1]}" = 141 ] && [ ! -s said ] && [ -s first ] && no_temps || { echo "status ${status[1]}"; cat said; return 1; }
}

@test "a reader that goes away: silent SIGPIPE" {
    each closed_pipe
}

ignored_sigpipe()
{
    ! has dataset || return 0
    local status
    if has stream; then
        endless | (trap '' PIPE && exec "$1" "${args[@]}" 2>said) | head -n 1 >first
        status=("${PIPESTATUS[@]}")
    else
        (trap '' PIPE && exec "$1" "${args[@]}" "$(many)" 2>said) | head -n 1 >first
        status=(0 "${PIPESTATUS[@]}")
    fi
    blames "$1" "${status[1]}" 3 'Broken pipe'
}

@test "a reader that goes away while SIGPIPE is ignored" {
    each ignored_sigpipe
}

side_files()
{
    local out=(-o out)
    ! has dataset || out=(-d d --replace)
    "$1" "${args[@]}" "${out[@]}" --stats /dev/full "$(input)" >/dev/null 2>said
    blames "$1" $? 3 'No space left' || return
    has rejects || return 0
    { head -n 10 "$(input)" && echo '{"cut'; } >spoilt
    "$1" "${args[@]}" "${out[@]}" --rejects /dev/full spoilt >/dev/null 2>said
    blames "$1" $? 3 'No space left' || return
    "$1" "${args[@]}" "${out[@]}" --rejects nowhere/rejects spoilt >/dev/null 2>said
    blames "$1" $? 3 nowhere
}

@test "--rejects and --stats that cannot be written" {
    each side_files
}

# --- inputs

long_line()
{
    { head -n 3 "$(input)" && head -c 3000000 /dev/zero | tr '\0' ' ' && tail -n 1 "$(input)"; } >long
    result "$1" long out 2>said || { cat said; return 1; }
    [ "$1" != cdp-cat ] || return 0
    result "$1" long out --max-record 2M 2>said
    blames "$1" $? 1 'long: .*byte'
}

@test "a line longer than --max-record" {
    each long_line
}

no_file()
{
    result "$1" nowhere out 2>said
    blames "$1" $? 3 nowhere || return
    # The one after a good one, too.
    if has dataset; then "$1" -d d "${args[@]}" "$(input)" nowhere 2>said; else "$1" "${args[@]}" "$(input)" nowhere >out 2>said; fi
    blames "$1" $? 3 nowhere
}

@test "an input that is not there" {
    each no_file
}

directory()
{
    # cdp-cat reads directories: that is its work.
    [ "$1" != cdp-cat ] || return 0
    mkdir folder && result "$1" folder out 2>said
    blames "$1" $? 3 'folder: .*director' || return
    result "$1" - out <folder 2>said
    blames "$1" $? 3
}

@test "a directory as input" {
    each directory
}

closed_stdin()
{
    result "$1" - out 2>said <&-
    blames "$1" $? 3
}

@test "closed standard input" {
    each closed_stdin
}

truncated()
{
    gzip -1 <"$(input)" >whole.gz
    local size
    size=$(stat -c %s whole.gz)
    for n in 5 $((size / 2)) $((size - 12)) $((size - 4)) $((size - 1)); do
        head -c "$n" whole.gz >cut.gz && result "$1" cut.gz out 2>said
        blames "$1" $? 1 'cut.gz: .*truncated' || return
    done
    { cat whole.gz && echo garbage; } >tail.gz && result "$1" tail.gz out 2>said
    blames "$1" $? 1 'tail.gz: .*garbage' || return
    { head -c $((size / 2)) whole.gz && head -c 100 /dev/zero && tail -c +$((size / 2 + 101)) whole.gz; } >bad.gz
    result "$1" bad.gz out 2>said
    blames "$1" $? 1 'bad.gz:' || return
    # The sum at its end is looked at.
    { head -c $((size - 8)) whole.gz && printf '\1\2\3\4' && tail -c 4 whole.gz; } >sum.gz
    result "$1" sum.gz out 2>said
    blames "$1" $? 1 'sum.gz: '
}

@test "truncated gzip, and gzip with garbage in it or after it" {
    each truncated
}

failing_read()
{
    local n
    for n in 0 1000 600000 2000000; do
        (export FAULT=read:$n LD_PRELOAD=$BUILD/fault/preload_io && result "$1" "$(input)" out 2>said)
        blames "$1" $? 3 'Input/output error' || return
    done
}

@test "a read that fails" {
    each failing_read
}

short_calls()
{
    result "$1" "$(input)" want || return
    local fault
    for fault in short eintr; do
        export FAULT=$fault
        if has dataset; then
            LD_PRELOAD=$BUILD/fault/preload_io "$1" -d d.$fault "${args[@]}" "$(input)" && spread d.$fault >got || return
        else
            LD_PRELOAD=$BUILD/fault/preload_io "$1" "${args[@]}" "$(input)" >got || return
        fi
        same want got || return
        ! has output || { LD_PRELOAD=$BUILD/fault/preload_io "$1" "${args[@]}" -o got <"$(input)" && same want got; } || return
        ! has memory || { LD_PRELOAD=$BUILD/fault/preload_io "$1" "${args[@]}" -S 64K <"$(input)" >got && same want got; } || return
    done
    unset FAULT
}

@test "short reads and writes, and EINTR" {
    each short_calls
}

dribbles()
{
    head -n 400 "$(input)" >some
    result "$1" some want || return
    # Pieces that end anywhere in a line, each on its own.
    result "$1" - got < <(split -b 7777 --filter='cat; sleep .001' some) && same want got
}

@test "a pipe fed in dribbles" {
    each dribbles
}

# Waits until the process is the tool and catches SIGUSR1, which is the last handler that it installs: a busy machine may
# take its time to start it.
at_work()
{
    local caught
    for _ in $(seq 3000); do
        caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$2/status" 2>/dev/null) && [ "$caught" ] || return 0
        ! grep -qx "${1:0:15}" "/proc/$2/comm" || [ $((0x$caught >> 9 & 1)) = 0 ] || return 0
        sleep .01
    done
}

signals()
{
    result "$1" "$(input)" want || return
    local pid i out=(-o got)
    ! has dataset || out=(-d d)
    "$1" "${args[@]}" "${out[@]}" < <(cat "$(input)"; sleep .3) 2>/dev/null &
    pid=$!
    at_work "$1" $pid
    for i in $(seq 150); do
        kill -USR1 $pid 2>/dev/null
        [ $((i % 50)) != 0 ] || { kill -STOP $pid && sleep .02 && kill -CONT $pid; } 2>/dev/null
    done
    wait $pid || return
    ! has dataset || spread d >got
    same want got
}

@test "a storm of SIGUSR1, SIGSTOP and SIGCONT" {
    each signals
}

asked()
{
    local pid out=(-o got)
    ! has dataset || out=(-d d)
    rm -f in && mkfifo in
    "$1" "${args[@]}" "${out[@]}" <in 2>said &
    pid=$!
    exec 7>in
    at_work "$1" $pid
    head -n 1 "$(input)" >&7
    sleep .3 # it has read that
    kill -USR1 $pid
    # Nothing more comes, and it says so all the same.  (The limit is for a tool that waits for ever.)
    for _ in $(seq 3000); do [ ! -s said ] || break; sleep .01; done
    cp said before
    exec 7>&-
    wait $pid && [ -s before ] && grep -qE "^$1: [0-9.]+(B|KiB) [0-9]+:[0-9:]+ \[.*/s\]$" said && [ "$(wc -l <said)" = 1 ]
}

@test "SIGUSR1 to a tool that waits for input" {
    each asked
}

# --- memory and disk

little_memory()
{
    local kib status
    result "$1" "$(input)" want || return
    for kib in 40000 80000 120000 200000 300000 600000; do
        (ulimit -v $kib && "$1" --version >/dev/null 2>&1) || continue
        rm -rf got
        (ulimit -v $kib && result "$1" "$(input)" got 2>said)
        status=$?
        if [ $status = 0 ]; then
            same want got || return
        else
            blames "$1" $status 3 || { echo "with $kib KiB"; return 1; }
        fi
    done
}

@test "ulimit -v: done right, or a clear end" {
    each little_memory
}

failing_write()
{
    local n
    has output || has dataset || return 0
    for n in 0 1000 300000; do
        rm -rf d && echo old >target
        if has dataset; then
            FAULT=write:$n LD_PRELOAD=$BUILD/fault/preload_io "$1" -d d "${args[@]}" "$(input)" 2>said
        else
            # Something to write even where little comes out.
            FAULT=write:$n LD_PRELOAD=$BUILD/fault/preload_io "$1" "${args[@]}" -o target "$(input)" 2>said
        fi
        local status=$?
        # More room than what is written is no fault.
        if [ $status = 0 ] && [ $n = 300000 ] && { has dataset || [ "$(stat -c %s target)" -le $n ]; }; then continue; fi
        blames "$1" $status 3 'No space left' && [ "$(cat target)" = old ] || return
    done
}

@test "a write that fails: the old file stays" {
    each failing_write
}

failing_spill()
{
    has memory || return 0
    FAULT=write:200000 LD_PRELOAD=$BUILD/fault/preload_io "$1" "${args[@]}" -S 64K -o target "$(many)" 2>said
    blames "$1" $? 3 'No space left' && [ ! -e target ]
}

@test "a spill that fails" {
    each failing_spill
}

full_disk()
{
    has output || has dataset || return 0
    mkdir disk && mount -t tmpfs -o size=200k,mode=777 none disk || return
    local status=0
    if has dataset; then
        "$1" -d disk/d "${args[@]}" "$(input)" 2>said
        blames "$1" $? 3 'No space left' || status=1
    else
        # What is written is more than fits; and where that is little, what is spilled.
        ! has memory || args+=(-S 64K -T disk)
        "$1" "${args[@]}" -o disk/target "$(input)" 2>said
        blames "$1" $? 3 'No space left' && [ ! -e disk/target ] && no_temps disk || status=1
    fi
    umount disk
    return $status
}

@test "a full disk" {
    mkdir probe
    mount -t tmpfs -o size=100k none probe 2>/dev/null || skip "no right to mount"
    umount probe
    each full_disk
}

no_folder()
{
    has output || return 0
    "$1" "${args[@]}" -o nowhere/target "$(input)" 2>said
    blames "$1" $? 3 nowhere || return
    ! has memory || { "$1" "${args[@]}" -S 64K -T nowhere "$(many)" >out 2>said; blames "$1" $? 3 nowhere; }
}

@test "a target or a temporary folder that is not there" {
    each no_folder
}

# --- the end of a run

ended()
{
    has output || has dataset || return 0
    local pid signal status
    for signal in HUP INT TERM; do
        echo old >target
        # An input that does not end keeps it at work.  The tests may have been started with signals ignored, as by nohup.
        if has dataset; then
            (exec env --default-signal=HUP,INT,TERM "$1" -d d "${args[@]}" < <(cat "$(input)"; sleep 2)) 2>said &
        else
            (exec env --default-signal=HUP,INT,TERM "$1" "${args[@]}" -o target < <(cat "$(input)"; sleep 2)) 2>said &
        fi
        pid=$!
        at_work "$1" $pid && sleep .05
        kill -$signal $pid
        wait $pid
        status=$?
        [ $status = $((128 + $(kill -l $signal))) ] && [ ! -s said ] && [ "$(cat target)" = old ] && no_temps && [ ! -e d/.cdp-part.new ] &&
            [ -z "$(ls -A tmp)" ] || { echo "$signal: status $status"; cat said; ls -lA; return 1; }
    done
}

@test "SIGHUP, SIGINT and SIGTERM: ended by the signal, nothing left" {
    each ended
}

killed()
{
    has output || return 0
    local pid
    ! has memory || args+=(-S 64K)
    "$1" "${args[@]}" -o target < <(cat "$(many)"; sleep 2) &
    pid=$!
    at_work "$1" $pid && sleep .1
    kill -9 $pid
    wait $pid
    [ $? = 137 ] && [ ! -e target ] && [ "$(find . -name '.*.cdp-*' | wc -l)" -le 1 ] && [ -z "$(ls -A tmp)" ]
}

@test "kill -9: no target, no spilled data left" {
    each killed
}
