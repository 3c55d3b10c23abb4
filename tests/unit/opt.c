/* Option tables: every way to write an option, sizes and counts, what --help and --spec print, and what is refused. */
#include "lib/opt.h"
#include "tap.h"

#include "files.h"

static struct cdp_err err;

struct options {
    struct cdp_common common;
    const char *key;
    uint64_t size, count;
    int choice;
    bool flag;
    struct cdp_opt_list list, words;
};

static const struct cdp_opt table[] = {
    {.name = "key",
     .letter = 'k',
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, key),
     .arg = "KEY",
     .help = "a \"key\""},
    {.name = "keep",
     .type = CDP_OPT_CHOICE,
     .offset = offsetof(struct options, choice),
     .arg = "first|last|least",
     .help = "which"},
    {.name = "keeper",
     .letter = 'K',
     .type = CDP_OPT_COUNT,
     .offset = offsetof(struct options, count),
     .arg = "N",
     .help = "how many"},
    {.name = "size",
     .letter = 's',
     .type = CDP_OPT_SIZE,
     .offset = offsetof(struct options, size),
     .arg = "SIZE",
     .help = "how large"},
    {.name = "flag",
     .letter = 'f',
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, flag),
     .help = "whether"},
    {.name = "hash",
     .letter = 'h',
     .type = CDP_OPT_LIST,
     .offset = offsetof(struct options, list),
     .arg = "PATH",
     .help = "one",
     .tag = 1},
    {.name = "mask",
     .letter = 'm',
     .type = CDP_OPT_LIST,
     .offset = offsetof(struct options, list),
     .arg = "PATH",
     .help = "other",
     .tag = 2},
    {.name = "output",
     .letter = 'o',
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, common.output),
     .arg = "FILE",
     .help = "where to",
     .shared = true},
    {.name = "quiet",
     .letter = 'q',
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, common.quiet),
     .help = "silence",
     .shared = true},
    {0},
};

static bool has_equals(const char *text)
{
    return strchr(text, '=') != NULL;
}

static const struct cdp_tool plain = {
    .name = "cdp-x", .summary = "Do x.", .usage = "[-k KEY] [FILE]...", .opts = table};
static const struct cdp_tool with_words = {.name = "cdp-x",
                                           .summary = "Do x.",
                                           .usage = "[-k KEY] [NAME=EXPR]...",
                                           .opts = table,
                                           .operand_is = has_equals,
                                           .operand_list_offset = offsetof(struct options, words)};

#define MAX_ARGS 12

/* What the words of a command line come to, as one text. */
static const char *parsed(const struct cdp_tool *tool, const char *const *args)
{
    static char text[600];
    char *argv[MAX_ARGS + 2] = {(char *)(uintptr_t) "cdp-x"};
    int argc = 1;
    for (; args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    struct options o = {.choice = -1};
    err = (struct cdp_err){0};
    int rc = cdp_opt_parse(tool, argc, argv, &o, &err);
    size_t n = 0;
    text[0] = '\0';
    if (rc < 0)
        n += (size_t)snprintf(text, sizeof text, "%d: %s", err.exit, err.msg);
#define ADD(...) n += (size_t)snprintf(text + n, sizeof text - n, __VA_ARGS__)
    if (rc == 1) {
        if (o.key)
            ADD("key=%s ", o.key);
        if (o.choice >= 0)
            ADD("keep=%d ", o.choice);
        if (o.count)
            ADD("keeper=%llu ", (unsigned long long)o.count);
        if (o.size)
            ADD("size=%llu ", (unsigned long long)o.size);
        if (o.flag)
            ADD("flag ");
        if (o.common.quiet)
            ADD("quiet ");
        if (o.common.output)
            ADD("output=%s ", o.common.output);
        for (size_t i = 0; i < o.list.n; i++)
            ADD("%d:%s ", o.list.item[i].tag, o.list.item[i].value);
        for (size_t i = 0; i < o.words.n; i++)
            ADD("<%s> ", o.words.item[i].value);
        for (size_t i = 0; i < o.common.operands; i++)
            ADD("[%s] ", o.common.operand[i]);
    }
    cdp_opt_free(tool, &o);
    return text;
}

#define GIVES(want, ...) is(parsed(&plain, (const char *const[]){__VA_ARGS__, NULL}), want, #__VA_ARGS__)

static void ways(void)
{
    is(parsed(&plain, (const char *const[]){NULL}), "", "no words");
    GIVES("key=a [f] ", "--key", "a", "f");
    GIVES("key=a [f] ", "f", "--key=a");
    GIVES("key= ", "--key=");
    GIVES("key==a= ", "--key==a=");
    GIVES("key=--flag ", "--key", "--flag");
    GIVES("key=- ", "-k", "-");
    GIVES("key=a ", "-ka");
    GIVES("key=a ", "-k", "a");
    GIVES("key=b ", "-ka", "--key", "b");
    GIVES("key=a flag quiet ", "-qfka");
    GIVES("key=qf ", "-kqf");
    GIVES("keeper=3 flag quiet ", "-fq", "-K3");
    GIVES("keep=0 ", "--keep", "first");
    GIVES("keep=2 ", "--keep=least");
    GIVES("keeper=18446744073709551615 ", "--keeper", "18446744073709551615");
    GIVES("[-] [a] [-] ", "-", "a", "-");
    GIVES("flag [a] [b] ", "a", "-f", "b");
    GIVES("flag [--key] [-q] [--] ", "-f", "--", "--key", "-q", "--");
    GIVES("[] ", "");
    GIVES("1:a 2:b 1:c ", "--hash", "a", "-mb", "--hash=c");
}

static void prefixes(void)
{
    GIVES("flag ", "--fl");
    GIVES("flag ", "--f");
    GIVES("size=1 ", "--si=1");
    GIVES("keeper=2 ", "--keepe", "2");
    GIVES("keep=1 ", "--keep", "last");
    GIVES("2: ambiguous option --kee", "--kee", "last");
    GIVES("2: ambiguous option --ke", "--ke=x");
    GIVES("2: unknown option --keys", "--keys", "a");
    GIVES("2: unknown option --x", "--x=1");
    GIVES("2: ambiguous option --", "--=1");
}

static void refused(void)
{
    GIVES("2: unknown option -x", "-x");
    GIVES("2: unknown option -x", "-fx");
    GIVES("2: --key needs an argument: KEY", "--key");
    GIVES("2: --key needs an argument: KEY", "-fk");
    GIVES("2: --flag takes no argument", "--flag=yes");
    GIVES("2: --keep takes first|last|least, not 'firs'", "--keep", "firs");
    GIVES("2: --keep takes first|last|least, not ''", "--keep=");
    GIVES("2: --keep takes first|last|least, not 'first|last'", "--keep=first|last");
    GIVES("2: --keeper takes a number from 1, not '0'", "--keeper", "0");
    GIVES("2: --keeper takes a number from 1, not '-1'", "-K-1");
    GIVES("2: --keeper takes a number from 1, not '18446744073709551616'", "-K18446744073709551616");
    GIVES("2: --size takes a size such as 64M, not '0'", "-s0");
    GIVES("2: --size takes a size such as 64M, not '1.5M'", "-s", "1.5M");
}

static void words(void)
{
    is(parsed(&with_words, (const char *const[]){"a=1", "f", "-f", "--", "b=2", "-c=3", NULL}),
       "flag <a=1> <b=2> <-c=3> [f] ", "operands that are no files");
}

static void numbers(void)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t size;
    } sizes[] = {
        {"0", true, 0},
        {"1", true, 1},
        {"64M", true, 64 << 20},
        {"64m", true, 64 << 20},
        {"1k", true, 1024},
        {"2G", true, UINT64_C(2) << 30},
        {"3T", true, UINT64_C(3) << 40},
        {"16777215T", true, UINT64_C(16777215) << 40},
        {"16777216T", false, 0},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18014398509481984K", false, 0},
        {"", false, 0},
        {"M", false, 0},
        {"64 ", false, 0},
        {" 64", false, 0},
        {"+64", false, 0},
        {"-64", false, 0},
        {"64MB", false, 0},
        {"64MM", false, 0},
        {"64X", false, 0},
        {"64\x0b", false, 0},
        {"0x10", false, 0},
        {"1e3", false, 0},
        {"10%", false, 0},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t size = 0;
        bool good = cdp_opt_size(sizes[i].text, &size);
        ok(good == sizes[i].good && (!good || size == sizes[i].size), "the size '%s'", sizes[i].text);
    }
    uint64_t n;
    ok(cdp_opt_count("10", &n) && n == 10 && !cdp_opt_count("10K", &n) && !cdp_opt_count("", &n) &&
           !cdp_opt_count("+1", &n) && !cdp_opt_count("1 ", &n),
       "counts are digits");
}

/* What an option prints. */
static bool prints(const char *option, const char *want)
{
    fflush(stdout);
    int old = dup(1), fd = open("printed", O_RDWR | O_CREAT | O_TRUNC, 0666);
    dup2(fd, 1);
    struct options o = {0};
    char *argv[] = {(char *)(uintptr_t) "cdp-x", (char *)(uintptr_t) "f", (char *)(uintptr_t)option, NULL};
    int rc = cdp_opt_parse(&plain, 3, argv, &o, &err);
    cdp_opt_free(&plain, &o);
    fflush(stdout);
    dup2(old, 1);
    close(old);
    close(fd);
    return rc == 0 && file_holds("printed", want);
}

static void printed(void)
{
    ok(prints("--version", "cdp-x " CDP_VERSION "\n"), "--version");
    ok(prints("--help", "usage: cdp-x [-k KEY] [FILE]...\n"
                        "Do x.\n"
                        "\n"
                        "  -k, --key KEY                 a \"key\"\n"
                        "      --keep first|last|least   which\n"
                        "  -K, --keeper N                how many\n"
                        "  -s, --size SIZE               how large\n"
                        "  -f, --flag                    whether\n"
                        "  -h, --hash PATH               one\n"
                        "  -m, --mask PATH               other\n"
                        "  -o, --output FILE             where to\n"
                        "  -q, --quiet                   silence\n"
                        "      --help                    print this and end\n"
                        "      --version                 print the version and end\n"
                        "\n"
                        "The manual is cdp-x(1); records, paths and keys are in cdp-records(5).\n"),
       "--help");
    ok(prints(
           "--spec",
           "{\"tool\":\"cdp-x\",\"summary\":\"Do x.\",\"usage\":\"[-k KEY] [FILE]...\"}\n"
           "{\"option\":\"key\",\"letter\":\"k\",\"arg\":\"KEY\",\"type\":\"string\",\"help\":\"a "
           "\\\"key\\\"\"}\n"
           "{\"option\":\"keep\",\"letter\":\"\",\"arg\":\"first|last|least\",\"type\":\"choice\",\"help\":"
           "\"which\"}\n"
           "{\"option\":\"keeper\",\"letter\":\"K\",\"arg\":\"N\",\"type\":\"count\",\"help\":\"how many\"}\n"
           "{\"option\":\"size\",\"letter\":\"s\",\"arg\":\"SIZE\",\"type\":\"size\",\"help\":\"how "
           "large\"}\n"
           "{\"option\":\"flag\",\"letter\":\"f\",\"arg\":\"\",\"type\":\"flag\",\"help\":\"whether\"}\n"
           "{\"option\":\"hash\",\"letter\":\"h\",\"arg\":\"PATH\",\"type\":\"list\",\"help\":\"one\"}\n"
           "{\"option\":\"mask\",\"letter\":\"m\",\"arg\":\"PATH\",\"type\":\"list\",\"help\":\"other\"}\n"
           "{\"option\":\"output\",\"letter\":\"o\",\"arg\":\"FILE\",\"type\":\"string\",\"help\":\"where "
           "to\"}\n"
           "{\"option\":\"quiet\",\"letter\":\"q\",\"arg\":\"\",\"type\":\"flag\",\"help\":\"silence\"}\n"),
       "--spec");
}

int main(void)
{
    files_begin();
    ways();
    prefixes();
    refused();
    words();
    numbers();
    printed();
    files_end();
    return done();
}
