# Makes the table (markdown) of about.tsv and results.tsv.
BEGIN { FS = "\t" }
FNR == NR { about[$1] = $2; next }
{
    n[$1]++
    if (n[$1] == 1)
        task[++tasks] = $1
    row[$1, n[$1]] = $0
    # The best peer is the fastest that did all of the input and gave the same answer, or any that counts as one.
    ours = ("," $3 ",") ~ /,ours,/
    if (ours && ("," $3 ",") !~ /,also,/) {
        mine[$1] = $4
        mine_peak[$1] = $9
    }
    if (!ours && $11 != "DIFFERS" && $2 !~ /^zcat to/ && (!($1 in best) || $4 < best[$1])) {
        best[$1] = $4
        best_name[$1] = $2
        best_peak[$1] = $9
    }
    if (!ours && $11 == "same" && (!($1 in exact) || $4 < exact[$1])) {
        exact[$1] = $4
        exact_name[$1] = $2
    }
}
function note(flags, scaled, verdict,    s) {
    s = verdict == "same" ? "" : verdict
    if (("," flags ",") ~ /,fixed,/)
        s = s (s == "" ? "" : ", ") "fixed"
    if (scaled == "scaled")
        s = s (s == "" ? "" : ", ") "scaled up"
    return s
}
END {
    print "# Benchmark\n"
    print "- machine: " about["machine"]
    print "- inputs: " about["inputs"] "in the page cache; outputs on tmpfs"
    print "- " about["rounds"] " rounds, the median counts; wall seconds of the whole process or pipeline; load " about["load"]
    print "- revision: " about["revision"]
    print "- versions: " about["versions"]
    print "- fixed: works only while every line has its keys in the same places. Not compared: the answer differs by design"
    print "  (any copy instead of the first, approximate, floating point) or is of a part of the input. Scaled up: time and CPU from a twentieth, of which\n  memory and output are."
    for (t = 1; t <= tasks; t++) {
        id = task[t]
        print "\n## " id ": " about[id] "\n"
        print "| | wall s | spread | MB/s | CPU s | peak MiB | output MB | |"
        print "|---|--:|--:|--:|--:|--:|--:|---|"
        for (i = 1; i <= n[id]; i++) {
            split(row[id, i], f, "\t")
            b = ("," f[3] ",") ~ /,ours,/ ? "**" : ""
            printf "| %s%s%s | %s%.2f | %.2f–%.2f | %.0f | %.2f | %s%.0f | %.0f | %s |\n", b, f[2], b,
                f[12] == "scaled" ? "≈ " : "", f[4], f[5], f[6], f[8], f[7], f[12] == "scaled" ? "> " : "", f[9], f[10] / 1e6,
                note(f[3], f[12], f[11])
        }
        if (id in mine && id in best) {
            printf "\n%.2f × the wall time of the best peer (%s)", mine[id] / best[id], best_name[id]
            if (exact_name[id] != best_name[id] && id in exact)
                printf ", %.2f × that of the best with the same answer (%s)", mine[id] / exact[id], exact_name[id]
            printf "; %.2f × its memory.\n", mine_peak[id] / best_peak[id]
            if (mine[id] > best[id])
                lost = lost "- " id ": " best_name[id] " is faster.\n"
        }
    }
    print "\n## Where we lose\n"
    printf "%s", lost == "" ? "- nowhere in these tasks\n" : lost
}
