/* cdp-part: a stream → a partitioned dataset of gzip files of bounded size.
 *
 * Workers evaluate the partition's expressions and build its path; lines are dealt to the partitions in input order; full
 * pieces are packed in parallel again, after the block's turn (lib/part).  Memory: open pieces up to --memory, then a temporary
 * file. */
#include "lib/flow.h"
#include "lib/key.h"
#include "lib/part.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_MEMORY ((uint64_t)64 << 20)
#define MAX_LEVELS 16

enum grain { GRAIN_DAY, GRAIN_HOUR, GRAIN_MONTH, GRAIN_YEAR };

struct options {
    struct cdp_common common;
    const char *dir, *time, *tz, *key, *manifest, *touched;
    struct cdp_opt_list by;
    uint64_t records, bytes, shards;
    int grain;
    bool append, replace;
};

static const struct cdp_opt options_table[] = {
    {.name = "dir",
     .letter = 'd',
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, dir),
     .arg = "DIR",
     .help = "the dataset's directory; made where it is missing"},
    {.name = "by",
     .type = CDP_OPT_LIST,
     .offset = offsetof(struct options, by),
     .arg = "[NAME=]EXPR",
     .help = "a level of the partition's path, NAME=value; repeatable"},
    {.name = "time",
     .letter = 't',
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, time),
     .arg = "PATH",
     .help = "the record's time: levels year=, month=, day= before those of --by, and least and greatest in "
             "the manifest"},
    {.name = "grain",
     .type = CDP_OPT_CHOICE,
     .offset = offsetof(struct options, grain),
     .arg = "day|hour|month|year",
     .help = "the last of the levels that --time makes (default: day)"},
    {.name = "tz",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, tz),
     .arg = "ZONE",
     .help = "time zone of days and hours (default: UTC)"},
    {.name = "shards",
     .type = CDP_OPT_COUNT,
     .offset = offsetof(struct options, shards),
     .arg = "N",
     .help = "a last level shard=0 to shard=N-1, by a stable hash of --key"},
    {.name = "key",
     .letter = 'k',
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, key),
     .arg = "KEY[,KEY]...",
     .help = "what --shards goes by"},
    {.name = "append",
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, append),
     .help = "add files to partitions that are there already"},
    {.name = "replace",
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, replace),
     .help = "replace the partitions that the input touches, and no others"},
    {.name = "records",
     .type = CDP_OPT_COUNT,
     .offset = offsetof(struct options, records),
     .arg = "N",
     .help = "records of a file, at most (default: 20000)"},
    {.name = "bytes",
     .type = CDP_OPT_SIZE,
     .offset = offsetof(struct options, bytes),
     .arg = "SIZE",
     .help = "bytes of a file before packing, at most"},
    {.name = "manifest",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, manifest),
     .arg = "FILE",
     .help = "list the files written, with counts, times and checksums, as NDJSON"},
    {.name = "touched",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, touched),
     .arg = "FILE",
     .help = "list the partitions written to, a line each"},
    CDP_OPT_WHERE,
    CDP_OPT_REJECTS,
    CDP_OPT_MEMORY,
    CDP_OPT_THREADS,
    CDP_OPT_MAX_RECORD,
    CDP_OPT_ALWAYS,
    {0},
};

static const struct cdp_tool tool_spec = {
    .name = "cdp-part",
    .summary = "Write a stream as a partitioned dataset of gzip files.",
    .usage = "-d DIR [--time PATH [--grain G]] [--by [NAME=]EXPR]... [--append | --replace] [FILE]...",
    .opts = options_table,
};

struct level {
    char *name;
    struct cdp_expr *expr;
};

struct item {
    const char *line;
    uint32_t len;
    uint32_t path, path_len; /* in the batch's bytes */
    struct cdp_hash128 hash;
    struct cdp_time time;
};

struct tool {
    struct options opt;
    struct cdp_flow flow;
    struct level level[MAX_LEVELS];
    size_t levels;
    int time_slot; /* -1: no time */
    struct cdp_zone *zone;
    struct cdp_keyspec key;
    struct cdp_part *part;
};

/* ---- in parallel ---- */

/* year=2026/month=02/day=05/hour=16.  An offset or the zone can carry a time out of the years that have four digits, where
 * paths would no longer be in the order of time. */
static int time_levels(const struct tool *t, struct cdp_time time, struct cdp_buf *path, struct cdp_err *err)
{
    int64_t sec = time.sec + cdp_zone_offset(t->zone, time.sec), year;
    int64_t days = sec >= 0 ? sec / 86400 : -((86399 - sec) / 86400);
    unsigned month, day;
    cdp_time_civil(days, &year, &month, &day);
    if (year < 0 || year > 9999)
        return cdp_err_set(err, CDP_EXIT_DATA, "the time at %s is outside the years 0000 to 9999",
                           t->opt.time);
    cdp_buf_addf(path, "year=%04lld", (long long)year);
    if (t->opt.grain != GRAIN_YEAR)
        cdp_buf_addf(path, "/month=%02u", month);
    if (t->opt.grain == GRAIN_DAY || t->opt.grain == GRAIN_HOUR)
        cdp_buf_addf(path, "/day=%02u", day);
    if (t->opt.grain == GRAIN_HOUR)
        cdp_buf_addf(path, "/hour=%02u", (unsigned)((sec - days * 86400) / 3600));
    return 0;
}

static int path_of(const struct tool *t, struct cdp_buf *path, const struct cdp_rec *r, struct item *item,
                   struct cdp_err *err)
{
    if (t->time_slot >= 0) {
        if (!cdp_time_from_val(r->fields[t->time_slot], CDP_TIME_RFC3339, &item->time))
            return cdp_err_set(err, CDP_EXIT_DATA, "no RFC 3339 time at %s", t->opt.time);
        if (time_levels(t, item->time, path, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < t->levels; i++) {
        struct cdp_val value;
        if (cdp_expr_eval(t->level[i].expr, r->scratch, r->fields, r->line, r->len, &value, err) < 0)
            return -1;
        if (path->len > item->path)
            cdp_buf_addc(path, '/');
        if (cdp_part_name(path, t->level[i].name, value, err) < 0)
            return -1;
    }
    if (t->opt.shards) {
        size_t from = path->len;
        if (cdp_keyspec_encode(&t->key, r->fields, CDP_KEY_MISSING_ERROR, path, err) != 0 ||
            cdp_buf_check(path, err) < 0)
            return -1;
        uint64_t hash = cdp_hash_stable(path->data + from, path->len - from);
        path->len = from;
        cdp_buf_addf(path, "%sshard=%llu", path->len > item->path ? "/" : "",
                     (unsigned long long)(hash % t->opt.shards));
    }
    return cdp_buf_check(path, err);
}

static int record(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    struct item *item = r->item;
    struct cdp_buf *bytes = &b->bytes;
    item->line = r->line;
    item->len = (uint32_t)r->full;
    item->path = (uint32_t)bytes->len;
    if (path_of(tool, bytes, r, item, err) < 0)
        return err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
    item->path_len = (uint32_t)bytes->len - item->path;
    const struct item *last = b->items ? item - 1 : NULL;
    if (last && last->path_len == item->path_len &&
        memcmp(bytes->data + last->path, bytes->data + item->path, item->path_len) == 0) {
        bytes->len = item->path; /* the same partition as before: no second copy, no second hash */
        item->path = last->path;
        item->hash = last->hash;
    } else {
        item->hash = cdp_hash(bytes->data + item->path, item->path_len);
    }
    return CDP_REC_KEEP;
}

/* ---- in turn, and after it ---- */

static int apply(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct tool *t = tool;
    const struct item *it = b->item;
    for (const struct item *end = it + b->items; it < end; it++) {
        if (cdp_part_add(t->part, b->bytes.data + it->path, it->path_len, it->hash, it->line, it->len,
                         t->time_slot >= 0 ? &it->time : NULL, err) < 0)
            return -1;
        t->flow.counts.bytes_out += it->len;
    }
    t->flow.counts.out += b->items;
    return 0;
}

static int after(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)b;
    return cdp_part_work(((struct tool *)tool)->part, err);
}

/* ---- main ---- */

/* "NAME=EXPR" or a path, which names itself. */
static int parse_level(struct tool *t, const char *text, struct cdp_err *err)
{
    if (t->levels == MAX_LEVELS)
        return cdp_err_set(err, CDP_EXIT_USAGE, "more than %d levels of --by", MAX_LEVELS);
    struct level *l = &t->level[t->levels++];
    const struct cdp_expr_opts opts = {.zone = t->zone};
    size_t name = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (name && text[name] == '=' && text[name + 1] != '=') {
        l->name = cdp_mem_strndup(text, name, err);
        l->expr = l->name ? cdp_expr_new(text + name + 1, t->flow.plan, &opts, err) : NULL;
    } else {
        struct cdp_path path;
        if (cdp_path_parse(&path, text, strlen(text), err) < 0)
            return cdp_err_set(err, CDP_EXIT_USAGE, "--by '%s': a path, or NAME=EXPR", text);
        const char *last = cdp_path_name(&path);
        l->name = cdp_mem_strndup(last ? last : "", last ? strlen(last) : 0, err);
        cdp_path_free(&path);
        if (l->name && !*l->name)
            return cdp_err_set(err, CDP_EXIT_USAGE, "--by '%s' has no name: say NAME=%s", text, text);
        struct cdp_buf dotted = {0};
        cdp_buf_addf(&dotted, "%s%s", *text == '.' ? "" : ".", text);
        l->expr =
            cdp_buf_check(&dotted, err) < 0 ? NULL : cdp_expr_new(dotted.data, t->flow.plan, &opts, err);
        cdp_buf_free(&dotted);
    }
    return l->expr ? 0 : cdp_err_prefix(err, "--by");
}

static int set_up(struct tool *t, struct cdp_err *err)
{
    struct options *o = &t->opt;
    t->time_slot = -1;
    if (!o->dir || !*o->dir)
        return cdp_err_set(err, CDP_EXIT_USAGE, "-d DIR is missing");
    if (o->append && o->replace)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--append and --replace exclude each other");
    if (!o->time && o->by.n == 0 && !o->shards)
        return cdp_err_set(err, CDP_EXIT_USAGE, "nothing to partition by: --time, --by or --shards");
    if (!o->shards != !o->key)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--shards and --key go together");
    if (o->tz && !(t->zone = cdp_zone_open(o->tz, err)))
        return -1;
    if (o->time && (t->time_slot = cdp_plan_add_text(t->flow.plan, o->time, err)) < 0)
        return cdp_err_prefix(err, "--time");
    for (size_t i = 0; i < o->by.n; i++)
        if (parse_level(t, o->by.item[i].value, err) < 0)
            return -1;
    if (o->key && cdp_keyspec_parse(&t->key, o->key, t->flow.plan, err) < 0)
        return cdp_err_prefix(err, "-k");
    uint64_t memory = cdp_flow_memory(&t->flow);
    struct cdp_part_opts opts = {
        .dir = o->dir,
        .mode = o->append    ? CDP_PART_APPEND
                : o->replace ? CDP_PART_REPLACE
                             : CDP_PART_NEW,
        .records = o->records ? o->records : 20000,
        .bytes = o->bytes ? o->bytes : UINT64_MAX,
        .memory = !o->common.memory && memory > DEFAULT_MEMORY ? DEFAULT_MEMORY : memory,
        .tmpdir = o->common.tmpdir,
        .manifest = o->manifest,
        .touched = o->touched,
    };
    cdp_flow_side(&t->flow, "--manifest", o->manifest);
    cdp_flow_side(&t->flow, "--touched", o->touched);
    if (cdp_flow_open(&t->flow, err) < 0)
        return -1;
    t->part = cdp_part_open(&opts, err);
    return t->part ? 0 : -1;
}

int main(int argc, char **argv)
{
    static struct tool t; /* zeroed */
    struct cdp_err err = {0};
    const struct cdp_flow_ops ops = {
        .item_size = sizeof(struct item), .record = record, .apply = apply, .after = after};
    int rc = cdp_flow_begin(&t.flow, &tool_spec, argc, argv, &t.opt, &err);
    if (rc == 1) {
        rc = set_up(&t, &err);
        if (rc == 0)
            rc = cdp_flow_run(&t.flow, &ops, &t, NULL, 0, &err);
        if (rc == 0)
            rc = cdp_part_finish(t.part, cdp_flow_threads(&t.flow), &err);
        if (rc == 0)
            rc = cdp_flow_judge(&t.flow, &err);
        if (rc == 0)
            rc = cdp_part_commit(t.part, &err);
    }
    cdp_part_free(t.part);
    cdp_keyspec_free(&t.key);
    for (size_t i = 0; i < t.levels; i++) {
        cdp_expr_free(t.level[i].expr);
        free(t.level[i].name);
    }
    cdp_zone_free(t.zone);
    return cdp_flow_end(&t.flow, rc, &err);
}
