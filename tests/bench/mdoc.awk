# Makes the table of cdp-performance(7) of about.tsv and results.tsv: each task, the tool, the best peer, the ratio.
#     awk -f tests/bench/mdoc.awk build/bench/about.tsv build/bench/results.tsv
BEGIN { FS = "\t" }
FNR == NR { about[$1] = $2; next }
{
    flags = "," $3 ","
    if (flags ~ /,ours,/ && flags !~ /,also,/) {
        task[++tasks] = $1
        tool[$1] = $2
        wall[$1] = $4
        peak[$1] = $9
    } else if (flags !~ /,ours,/ && $11 != "DIFFERS" && $2 !~ /^zcat to/ && (!($1 in best) || $4 < best[$1])) {
        best[$1] = $4
        name[$1] = $2
        best_peak[$1] = $9
    }
}
END {
    print ".Bl -column \"cdp-cat, cdp-dedup, cdp-agg\" \"0.00 s\" \"0000 MiB\" \"ClickHouse\" \"0.00 s\" \"0000 MiB\" \"0.00\""
    print ".It tool Ta wall Ta memory Ta best peer Ta wall Ta memory Ta ratio"
    for (i = 1; i <= tasks; i++) {
        id = task[i]
        if (name[id] ~ /^(ClickHouse|DuckDB)/)
            sub(/,.*/, "", name[id]) # the engine without the formulation
        if (tool[id] ~ /^cdp,/) { # a flow
            tool[id] = about[id]
            sub(/:.*/, "", tool[id])
        }
        printf ".It %s Ta %.2f s Ta %d MiB Ta %s Ta %.2f s Ta %d MiB Ta %.2f\n", tool[id], wall[id], peak[id], name[id],
            best[id], best_peak[id], wall[id] / best[id]
    }
    print ".El"
    print ".Pp"
    gsub(/×/, "\\(mu", about["machine"])
    print "Machine: " about["machine"] "."
    sub(/; $/, "", about["inputs"])
    print "Inputs: " about["inputs"] "."
    print "Versions: " about["versions"] "."
}
