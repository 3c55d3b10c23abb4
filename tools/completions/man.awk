# man: the body of a man page's OPTIONS section, in mdoc, from a tool's table.
function escape(s) {
    gsub(/\\/, "\\e", s)
    # A word that mdoc would take for a macro, or a line that begins with a control character.
    if (s ~ /^[.']/) s = "\\&" s
    return s
}
function words(s) { # arguments of a macro: one-letter punctuation and macro names stay text
    s = escape(s); gsub(/"/, "\\(dq", s)
    return "\"" s "\""
}
BEGIN { print ".Bl -tag -width Ds" }
function option(name, letter, arg, type, help,    a, i, n, part) {
    a = ""
    if (type != "flag" && arg != "") a = words(arg)
    if (letter != "") print ".It Fl " letter (a == "" ? "" : " Ar " a) " , Fl Fl " name (a == "" ? "" : " Ns = Ns Ar " a)
    else print ".It Fl Fl " name (a == "" ? "" : " Ns = Ns Ar " a)
    help = escape(help)
    # A sentence in the page, a phrase in the table.
    print toupper(substr(help, 1, 1)) substr(help, 2) "."
}
function finish() {
    print ".It Fl Fl help\nSay how to use it, and end with 0.\n.It Fl Fl version\nSay which version this is, and end with 0.\n.El"
}
