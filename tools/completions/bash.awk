# bash: a completion for bash from a tool's table.  Options that take a file or a directory complete to one.
function option(name, letter, arg, type, help) {
    words = words " --" name (type == "flag" ? "" : "=")
    if (letter != "") words = words " -" letter
    if (type == "flag") return
    pattern = "--" name (letter != "" ? "|-" letter : "")
    if (type == "choice") { gsub(/\|/, " ", arg); choices = choices "    " pattern ") COMPREPLY=($(compgen -W '" arg "' -- \"$cur\")); return ;;\n" }
    else if (arg ~ /^FILE/) files = files (files == "" ? "" : "|") pattern
    else if (arg ~ /^DIR/) dirs = dirs (dirs == "" ? "" : "|") pattern
    else others = others (others == "" ? "" : "|") pattern
}
function finish(    f) {
    f = tool; gsub(/-/, "_", f)
    print "# bash completion for " tool "\n_" f "()\n{"
    print "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n    COMPREPLY=()"
    # --name=value comes as three words.
    print "    if [ \"$cur\" = = ]; then cur=; elif [ \"$prev\" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi"
    print "    case $prev in"
    if (files != "") print "    " files ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;"
    if (dirs != "") print "    " dirs ") COMPREPLY=($(compgen -d -- \"$cur\")); return ;;"
    printf "%s", choices
    if (others != "") print "    " others ") return ;;"
    print "    --) ;;\n    esac\n    case $cur in"
    print "    -*)\n        COMPREPLY=($(compgen -W '" substr(words, 2) " --help --version' -- \"$cur\"))"
    print "        case ${COMPREPLY[0]-} in *=) compopt -o nospace ;; esac\n        ;;"
    print "    *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n    esac\n}"
    print "complete -o filenames -F _" f " " tool
}
