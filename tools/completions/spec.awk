# spec: reads what a tool's --spec prints: one line about the tool, then one a option.  Used with a writer
# (bash.awk, zsh.awk, fish.awk, man.awk) that defines option() and finish().  Values are strings or null.
{
    n = parse($0, field)
    if (NR == 1) {
        tool = field["tool"]; summary = field["summary"]; usage = field["usage"]
        next
    }
    option(field["option"], field["letter"], field["arg"], field["type"], field["help"])
}
END { finish() }

# The members of a flat object, decoded.
function parse(text, to,    k, name, value) {
    for (k in to) delete to[k]
    text = substr(text, 2)
    while (match(text, /^[, ]*"/)) {
        text = substr(text, RLENGTH); name = string(text); text = substr(text, used + 1)
        sub(/^[: ]*/, "", text)
        if (substr(text, 1, 1) == "\"") {
            value = string(text); text = substr(text, used + 1)
        } else {
            match(text, /^[^,}]*/); value = substr(text, 1, RLENGTH); text = substr(text, RLENGTH + 1)
            if (value == "null") value = ""
        }
        to[name] = value
    }
}

# The string that text begins with; its raw length goes to `used`.
function string(text,    out, c, i) {
    out = ""
    for (i = 2; (c = substr(text, i, 1)) != "\""; i++) {
        if (c == "") break
        if (c == "\\") { c = substr(text, ++i, 1); if (c == "n") c = "\n"; if (c == "t") c = "\t" }
        out = out c
    }
    used = i
    return out
}
