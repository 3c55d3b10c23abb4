# Paths of pieces, "…/FILE/year=2026/month=02/day=05/part-00000.ndjson.gz", sorted → the rules of common.mk: each partition's
# file depends on its pieces, and DAYS names the partitions in order.
{
    day = $0
    sub(/^.*\/year=/, "year=", day)
    sub(/\/part-[^\/]*$/, "", day)
    seen[day]
    rule = to "/" day "/" rows ": " $0
    gsub(/=/, "$(EQ)", rule) # make would take the line for an assignment
    print rule
}
END {
    printf "DAYS := $(sort"
    for (day in seen)
        printf " %s", day
    print ")"
}
