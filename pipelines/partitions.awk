# "PARTITION PIECE", sorted → rules, and the lists in `days`; see partitions.

# A list is written when it changed, so that its time says when.
function keep(file, list,    old, line, got) {
    while ((got = (getline line <file)) > 0)
        old = old line "\n"
    close(file)
    if (old != list || got < 0) {
        printf "%s", list >file
        if (close(file) != 0)
            exit failed = 3
    }
}

function end_of_day(    date, rule) {
    if (pieces == "")
        return
    date = day
    gsub(/[^0-9]+/, "-", date)
    date = substr(date, 2)
    keep(days "/" date, pieces)
    all = all day "\n"
    names = names " " day
    rule = target "/" day "/" rows
    if (from to != "" && (from == "" || date >= from) && (to == "" || date <= to))
        again = again " " rule
    gsub(/\n/, " ", pieces)
    rule = rule ": " days "/" date " " pieces
    gsub(/=/, "$(EQ)", rule) # make would take the line for an assignment
    print rule
    pieces = ""
}

$1 != day {
    end_of_day()
    day = $1
}
{ pieces = pieces $2 "\n" }
END {
    if (failed)
        exit failed
    end_of_day()
    keep(days "/all", all "")
    print "DAYS :=" names
    gsub(/=/, "$(EQ)", again)
    if (again != "")
        print again ": again"
}
