# tools: a typical run of every tool, for the laws and the faults, which are the same for all.
# shellcheck shell=bash
#
#   present            the tools that are built (or those named in $TOOLS)
#   each FN            calls FN TOOL in a fresh folder for each of them; all must succeed
#   typical TOOL       sets what a typical run is:
#     kind               events or users: what it reads, see data()
#     args               its options
#     arrival            what another order of arrival may change: nothing, lines (their order), all
#     takes              words of what it has: threads memory output rejects stream order dataset lines
#                        (order: it must have read all before it writes; stream: it writes as it reads;
#                        dataset: it writes a folder; lines: what it writes are lines it read)
#   result TOOL IN OUT [ARG]...   a typical run over the file IN into the file OUT; a folder is written out as one file
#   data KIND BYTES    records to standard output, with odd numbers, escapes and unknown fields among them

present()
{
    local t
    for t in ${TOOLS:-cdp-cat cdp-dedup cdp-order cdp-scrub cdp-agg cdp-snapshot cdp-part}; do
        [ ! -x "$BUILD/bin/$t" ] || echo "$t"
    done
}

each()
{
    local t bad=0
    for t in $(present); do
        mkdir -p "$BATS_TEST_TMPDIR/$t" && cd "$BATS_TEST_TMPDIR/$t" || return 1
        mkdir -p tmp && TMPDIR=$PWD/tmp
        typical "$t"
        "$@" "$t" || { echo "^^^ $t: $*"; bad=1; }
        # Left for a look where it failed.
        [ $bad != 0 ] || rm -rf "${BATS_TEST_TMPDIR:?}/$t"
    done
    return $bad
}

# shellcheck disable=SC2034 # they are for the callers
typical()
{
    case $1 in
    cdp-cat) kind=events args=() arrival=lines takes='output stream lines' ;;
    cdp-dedup) kind=events args=(-k event_id) arrival=all takes='threads memory output rejects stream lines' ;;
    cdp-order) kind=events args=(-k "event_timestamp:time,event_id,.") arrival=nothing takes='threads memory output rejects order lines' ;;
    cdp-scrub) kind=users args=(--keep payload._id=id --keep odd --hash payload.email=email_hashed --domain payload.email=email_domain)
        arrival=lines takes='threads output rejects stream' ;;
    cdp-agg) kind=events args=(--by .user_id --by 'date=day(.event_timestamp)' 'total_events=count()' 'total_amount=sum(.metadata.amount)'
        'first_event=min(.event_timestamp)' 'sessions=count_distinct(.session_id)') arrival=nothing takes='threads memory output rejects order' ;;
    cdp-snapshot) kind=users args=(-k payload._id --order "source_timestamp:time,read_timestamp:time,uuid"
        --delete '.source_metadata.change_type == "DELETE"') arrival=nothing takes='threads memory output rejects order' ;;
    cdp-part) kind=events args=(--by 'date=day(.event_timestamp)' --records 2000) arrival=all takes='threads rejects dataset' ;;
    *) return 1 ;;
    esac
}

has()
{
    [[ " $takes " == *" $1 "* ]]
}

result()
{
    local tool=$1 in=$2 out=$3
    shift 3
    if has dataset; then
        rm -rf "$out.d"
        "$tool" -d "$out.d" "${args[@]}" "$@" "$in" || return
        spread "$out.d" >"$out"
    else
        "$tool" "${args[@]}" "$@" "$in" >"$out"
    fi
}

# A dataset as one stream: the names of its files in order, and what is in them.  What is hidden (a lock) is no data.
spread()
{
    (cd "$1" && find . -type f ! -name '.*' | sort | while IFS= read -r f; do
        echo "== $f"
        case $f in *.gz) gzip -dc "$f" ;; *) cat "$f" ;; esac
    done)
}

data()
{
    local kind=$1 bytes=$2
    shift 2
    "$BUILD/generate" --kind "$kind" --bytes "$bytes" --seed 7 "$@" |
        sed 's|^{|{"odd":{"n":12345678901234567890,"d":1.10,"e":1E2,"s":"\\u0041\\/\\ud83d ü"},|'
}
