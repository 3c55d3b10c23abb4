# zsh: a completion for zsh from a tool's table.
function quote(s) {
    gsub(/'/, "'\\''", s); gsub(/\[/, "\\[", s); gsub(/\]/, "\\]", s); gsub(/:/, "\\:", s)
    return s
}
function option(name, letter, arg, type, help,    what, many, h, a) {
    what = ""; h = quote(help); a = quote(arg)
    many = type == "list" ? "*" : ""
    if (type == "choice") { gsub(/\|/, " ", arg); what = ":" "value" ":(" arg ")" }
    else if (type != "flag") what = ":" a ":" (arg ~ /^FILE/ ? "_files" : arg ~ /^DIR/ ? "_files -/" : " ")
    lines = lines "    '" many "--" name (type == "flag" ? "" : "=") "[" h "]" what "' \\\n"
    if (letter != "") lines = lines "    '" many "-" letter (type == "flag" ? "" : "+") "[" h "]" what "' \\\n"
}
function finish() {
    print "#compdef " tool
    print "_arguments -s -S : \\\n" lines "    '--help[say how to use it]' \\\n    '--version[say which version this is]' \\\n    '*:file:_files'"
}
