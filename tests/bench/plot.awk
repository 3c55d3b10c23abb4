# Makes the plot (SVG) of about.tsv and results.tsv: a bar a contender, length the logarithm of wall seconds.
BEGIN { FS = "\t" }
function esc(s) {
    gsub(/&/, "\\&amp;", s)
    gsub(/</, "\\&lt;", s)
    return s
}
function x(v) { return left + width * (log(v) - lo) / (hi - lo) }
FNR == NR { about[$1] = $2; next }
{
    rows++
    id[rows] = $1; name[rows] = $2; flags[rows] = "," $3 ","; wall[rows] = $4; peak[rows] = $9; scaled[rows] = $12
    if (rows == 1 || $4 < least) least = $4
    if (rows == 1 || $4 > most) most = $4
}
END {
    left = 300; width = 560; step = 16
    lo = log(least) - 0.4; hi = log(most) + 0.1
    for (i = 1; i <= rows; i++)
        heads += id[i] != id[i - 1]
    height = 60 + rows * step + heads * 34 + 30
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n", left + width + 150, height
    printf "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
    printf "<text x=\"10\" y=\"22\" font-size=\"15\">Wall seconds (logarithmic) and peak memory; shorter is better</text>\n"
    printf "<text x=\"10\" y=\"40\" fill=\"#666\">%s</text>\n", esc(about["machine"])
    y = 50
    for (i = 1; i <= rows; i++) {
        if (id[i] != id[i - 1]) {
            y += 34
            printf "<text x=\"10\" y=\"%d\" font-weight=\"bold\">%s: %s</text>\n", y - 6, id[i], esc(about[id[i]])
        }
        ours = flags[i] ~ /,ours,/
        printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\"%s>%s</text>", left - 8, y + 12, ours ? " font-weight=\"bold\"" : "", esc(name[i])
        printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", left, y + 2, x(wall[i]) - left, step - 4, ours ? "#0a7d54" : scaled[i] != "" ? "#d5d5d5" : "#9aa7b4"
        printf "<text x=\"%.1f\" y=\"%d\">%s%.2f s, %s%d MiB</text>\n", x(wall[i]) + 6, y + 12, scaled[i] != "" ? "≈ " : "", wall[i],
            scaled[i] != "" ? "&gt; " : "", peak[i]
        y += step
    }
    print "</svg>"
}
