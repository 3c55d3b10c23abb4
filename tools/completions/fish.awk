# fish: a completion for fish from a tool's table.
function quote(s) {
    gsub(/\\/, "\\\\", s); gsub(/'/, "\\'", s)
    return "'" s "'"
}
function option(name, letter, arg, type, help,    line) {
    line = "complete -c " tool " -l " name (letter != "" ? " -s " letter : "")
    if (type == "choice") { gsub(/\|/, " ", arg); line = line " -x -a " quote(arg) }
    else if (arg ~ /^FILE/) line = line " -r -F"
    else if (arg ~ /^DIR/) line = line " -x -a '(__fish_complete_directories)'"
    else if (type != "flag") line = line " -x"
    print line " -d " quote(help)
}
function finish() {
    print "complete -c " tool " -l help -d 'say how to use it'"
    print "complete -c " tool " -l version -d 'say which version this is'"
}
