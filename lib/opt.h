/* opt: one table a tool, read by the parser, --help, --spec (NDJSON for the man page, the completions and the checks). */
#ifndef CDP_OPT_H
#define CDP_OPT_H

#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cdp_opt_type {
    CDP_OPT_FLAG,   /* bool */
    CDP_OPT_STRING, /* const char * (points into argv) */
    CDP_OPT_SIZE,   /* uint64_t bytes: 64M, 1G (powers of 1024; K M G T) */
    CDP_OPT_COUNT,  /* uint64_t */
    CDP_OPT_LIST, /* struct cdp_opt_list: repeatable, in command line order; several options may share one list and
                       are told apart by tag */
    CDP_OPT_CHOICE, /* int: index into the '|'-separated words of arg */
};

struct cdp_opt {
    const char *name; /* long name without the dashes; NULL ends the table */
    char letter;      /* or 0 */
    enum cdp_opt_type type;
    size_t offset;    /* of the target in the tool's options struct */
    const char *arg;  /* the argument's name in --help, "FILE" */
    const char *help; /* one line, lower case, no full stop */
    int tag;          /* for CDP_OPT_LIST */
    bool shared; /* the target is in struct cdp_common, which must be the options struct's first member */
};

struct cdp_opt_item {
    const char *value;
    int tag;
};

struct cdp_opt_list {
    struct cdp_opt_item *item;
    size_t n, cap;
};

/* What every tool may take; it must be the first member (`struct cdp_common common;`) of the tool's options struct. */
struct cdp_common {
    const char *rejects;
    const char *max_rejects; /* "N" or "P%" */
    const char *where;
    uint64_t memory; /* 0: a quarter of what is available */
    const char *tmpdir;
    uint64_t threads; /* 0: as many as there are processors */
    const char *stats;
    const char *output;
    uint64_t max_record;
    bool quiet;
    const char **operand; /* file operands, in order */
    size_t operands;
};

/* Rows for the tool's table.  Not each tool takes each. */
#define CDP_OPT_REJECTS                                                                                      \
    {.name = "rejects",                                                                                      \
     .type = CDP_OPT_STRING,                                                                                 \
     .offset = offsetof(struct cdp_common, rejects),                                                         \
     .arg = "FILE",                                                                                          \
     .shared = true,                                                                                         \
     .help = "append unusable records to FILE as NDJSON and go on"},                                         \
    {                                                                                                        \
        .name = "max-rejects", .type = CDP_OPT_STRING, .offset = offsetof(struct cdp_common, max_rejects),   \
        .arg = "N|P%", .shared = true,                                                                       \
        .help = "exit 1 when more than N records, or P percent, were rejected"                               \
    }
#define CDP_OPT_WHERE                                                                                        \
    {                                                                                                        \
        .name = "where", .type = CDP_OPT_STRING, .offset = offsetof(struct cdp_common, where),               \
        .arg = "EXPR", .shared = true,                                                                       \
        .help = "only records for which the jq expression is true; the others are dropped"                   \
    }
#define CDP_OPT_MEMORY                                                                                       \
    {.name = "memory",                                                                                       \
     .letter = 'S',                                                                                          \
     .type = CDP_OPT_SIZE,                                                                                   \
     .offset = offsetof(struct cdp_common, memory),                                                          \
     .arg = "SIZE",                                                                                          \
     .shared = true,                                                                                         \
     .help = "memory to use before spilling to temporary files (default: a quarter of what there is)"},      \
    {                                                                                                        \
        .name = "tmpdir", .letter = 'T', .type = CDP_OPT_STRING,                                             \
        .offset = offsetof(struct cdp_common, tmpdir), .arg = "DIR", .shared = true,                         \
        .help = "directory for temporary files (default: $TMPDIR, else /tmp)"                                \
    }
#define CDP_OPT_THREADS                                                                                      \
    {                                                                                                        \
        .name = "threads", .type = CDP_OPT_COUNT, .offset = offsetof(struct cdp_common, threads),            \
        .arg = "N", .shared = true, .help = "worker threads (default: one a processor)"                      \
    }
#define CDP_OPT_OUTPUT                                                                                       \
    {                                                                                                        \
        .name = "output", .letter = 'o', .type = CDP_OPT_STRING,                                             \
        .offset = offsetof(struct cdp_common, output), .arg = "FILE", .shared = true,                        \
        .help = "write to FILE, which appears whole or not at all; packed where it ends in .gz"              \
    }
#define CDP_OPT_MAX_RECORD                                                                                   \
    {                                                                                                        \
        .name = "max-record", .type = CDP_OPT_SIZE, .offset = offsetof(struct cdp_common, max_record),       \
        .arg = "SIZE", .shared = true, .help = "longest line that is a record (default: 64M)"                \
    }
/* Every tool takes these. */
#define CDP_OPT_ALWAYS                                                                                       \
    {.name = "stats",                                                                                        \
     .type = CDP_OPT_STRING,                                                                                 \
     .offset = offsetof(struct cdp_common, stats),                                                           \
     .arg = "FILE",                                                                                          \
     .shared = true,                                                                                         \
     .help = "append one NDJSON line of counts to FILE"},                                                    \
    {                                                                                                        \
        .name = "quiet", .letter = 'q', .type = CDP_OPT_FLAG, .offset = offsetof(struct cdp_common, quiet),  \
        .shared = true, .help = "no progress and no closing remarks"                                         \
    }

struct cdp_tool {
    const char *name;    /* "cdp-dedup" */
    const char *summary; /* "keep one record per key"; one line */
    const char *usage;   /* "[-k KEY[,KEY]...] [FILE]..." */
    const struct cdp_opt *opts;
    /* An operand for which this says true goes to the list at operand_list_offset instead of the files; or NULL. */
    bool (*operand_is)(const char *text);
    size_t operand_list_offset; /* a struct cdp_opt_list */
};

/* Parses argv into *options (zeroed by the caller; defaults set before).  Long options with '=' or as the next
 * argument, unambiguous prefixes, bundled letters, "--" ends them, options after operands count.  --help, --version and
 * --spec print.  Returns 1 to go on, 0 when all is done (printed), -1 and *err (exit 2). */
int cdp_opt_parse(const struct cdp_tool *tool, int argc, char **argv, void *options, struct cdp_err *err);
void cdp_opt_free(const struct cdp_tool *tool, void *options);

/* How many times the operands read standard input: once where there are none. */
size_t cdp_opt_stdin(const struct cdp_common *common);

/* "64M" → bytes; "10" or "5%" are for the callers' use. */
bool cdp_opt_size(const char *s, uint64_t *bytes);
bool cdp_opt_count(const char *s, uint64_t *n);

#endif
