/* cdp-snapshot: change events → the current state per key, at any instant, or its history.
 *
 * The plain case keeps the greatest record of each key (lib/latest).  Partial updates and history rows need all records of a
 * key in order and go through lib/history.  Both are the same whatever the order of the input.
 * Memory: grows with keys, or records; spills at --memory. */
#include "lib/forgotten.h"
#include "lib/history.h"
#include "lib/latest.h"
#include "lib/mem.h"

#include <stdlib.h>

struct options {
    struct cdp_common common;
    const char *key, *order, *delete, *time, *at, *horizon, *base, *patch, *unset, *forget, *forgotten;
    bool history;
};

static const struct cdp_opt options_table[] = {
    {.name = "key",
     .letter = 'k',
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, key),
     .arg = "KEY[,KEY]...",
     .help = "what identifies a row"},
    {.name = "order",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, order),
     .arg = "KEY[,KEY]...",
     .help = "what orders the records of a key, whatever order they come in; the greatest is its state"},
    {.name = "delete",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, delete),
     .arg = "EXPR",
     .help = "records for which this is true delete their key"},
    {.name = "time",
     .letter = 't',
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, time),
     .arg = "PATH",
     .help = "when a record happened (default: the first KEY of --order that is a :time)"},
    {.name = "at",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, at),
     .arg = "TIME",
     .help = "the state as of an instant; later records are dropped"},
    {.name = "base",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, base),
     .arg = "FILE",
     .help = "a snapshot to bring up to date"},
    {.name = "horizon",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, horizon),
     .arg = "DURATION",
     .help = "keep deletes in the output for so long after they happened (3d, 12h), for late records to meet "
             "in --base"},
    {.name = "patch",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, patch),
     .arg = "PATH",
     .help = "the object there is laid over the state of the key, member by member"},
    {.name = "unset",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, unset),
     .arg = "PATH",
     .help = "array of names of members that an update takes away"},
    {.name = "forget",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, forget),
     .arg = "EXPR",
     .help = "records for which this is true are requests to erase their key and its history"},
    {.name = "forgotten",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, forgotten),
     .arg = "FILE",
     .help = "report each key that was asked to be erased to FILE, as NDJSON"},
    {.name = "history",
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, history),
     .help = "a row for each state a key had, with valid_from, valid_to and is_current"},
    CDP_OPT_WHERE,
    CDP_OPT_REJECTS,
    CDP_OPT_MEMORY,
    CDP_OPT_THREADS,
    CDP_OPT_MAX_RECORD,
    CDP_OPT_OUTPUT,
    CDP_OPT_ALWAYS,
    {0},
};

static const struct cdp_tool tool_spec = {
    .name = "cdp-snapshot",
    .summary = "Turn change events into the current state of each key.",
    .usage = "-k KEY[,KEY]... --order KEY[,KEY]... [--delete EXPR] [option]... [FILE]...",
    .opts = options_table,
};

struct worker {
    struct cdp_change *change;
    size_t n, cap;
    struct cdp_buf keys;
};

struct tool {
    struct options opt;
    struct cdp_flow flow;
    struct cdp_changes *changes;
    bool in_base;
    struct cdp_time at, newest; /* newest: of all records so far */
    int64_t horizon;
    struct cdp_latest *latest; /* one of the two */
    struct cdp_history *history;
    struct cdp_forgotten *forgotten;
};

/* ---- in parallel ---- */

static int worker_open(void *tool, void **worker, struct cdp_err *err)
{
    (void)tool;
    *worker = cdp_mem_zalloc_apart(1, sizeof(struct worker), err);
    return *worker ? 0 : -1;
}

static void worker_close(void *tool, void *worker)
{
    (void)tool;
    struct worker *w = worker;
    free(w->change);
    cdp_buf_free(&w->keys);
    free(w);
}

static int begin(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)tool, (void)err;
    struct worker *w = b->worker;
    w->n = 0;
    cdp_buf_clear(&w->keys);
    return 0;
}

static int record(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    const struct tool *t = tool;
    struct worker *w = b->worker;
    struct cdp_change *more = cdp_mem_grow(w->change, &w->cap, w->n + 1, sizeof *more, err);
    if (!more)
        return -1;
    w->change = more;
    int verdict = cdp_changes_read(t->changes, r, t->in_base, &w->keys, &more[w->n], err);
    if (verdict < 0 && t->in_base)
        return cdp_err_prefix(err, "%s", t->opt.base);
    w->n += verdict == CDP_REC_KEEP;
    return verdict;
}

/* ---- in turn ---- */

#define SLOT_AHEAD 16
#define ENTRY_AHEAD 8

static int apply_latest(struct tool *t, const struct worker *w, size_t i, struct cdp_err *err)
{
    if (i + SLOT_AHEAD < w->n)
        cdp_latest_prefetch_slot(t->latest, w->change[i + SLOT_AHEAD].hash);
    if (i + ENTRY_AHEAD < w->n)
        cdp_latest_prefetch_entry(t->latest, w->change[i + ENTRY_AHEAD].hash);
    return cdp_latest_add(t->latest, &w->change[i], w->keys.data, &t->flow.counts, err);
}

static int begin_block(struct tool *t, const struct cdp_batch *b, struct cdp_err *err)
{
    if (t->latest)
        return cdp_latest_block(t->latest, &b->block, cdp_batch_source(b), err);
    return b->block.first ? cdp_history_source(t->history, cdp_batch_source(b), err) : 0;
}

static int apply(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct tool *t = tool;
    const struct worker *w = b->worker;
    int rc = begin_block(t, b, err);
    for (size_t i = 0; rc == 0 && i < w->n; i++) {
        const struct cdp_change *c = &w->change[i];
        if (cdp_time_cmp(c->time, t->newest) > 0)
            t->newest = c->time;
        if (c->kind == CDP_CHANGE_FORGET && t->forgotten && !t->in_base)
            rc = cdp_forgotten_add(t->forgotten, w->keys.data + c->key, c->key_len, err);
        if (rc == 0)
            rc = t->latest ? apply_latest(t, w, i, err)
                           : cdp_history_add(t->history, c, w->keys.data, cdp_batch_line(b, c->index), err);
    }
    return rc;
}

/* ---- main ---- */

static int check(const struct options *o, struct cdp_err *err)
{
    if (!o->key || !o->order)
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s is missing", o->key ? "--order" : "-k");
    if (o->history && (o->base || o->horizon))
        return cdp_err_set(err, CDP_EXIT_USAGE,
                           "--history needs all records: it goes with neither --base nor --horizon");
    if (o->base && strcmp(o->base, "-") == 0 && cdp_opt_stdin(&o->common))
        return cdp_err_set(err, CDP_EXIT_USAGE, "standard input cannot be both the base and the changes");
    if (o->unset && !o->patch)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--unset needs --patch");
    if (o->forgotten && !o->forget)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--forgotten needs --forget");
    if (o->time && !o->at && !o->horizon && !o->history)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--time needs --at, --horizon or --history");
    return 0;
}

static int read_options(struct tool *t, struct cdp_err *err)
{
    const struct options *o = &t->opt;
    if (check(o, err) < 0)
        return -1;
    if (o->at && !cdp_time_parse(o->at, strlen(o->at), &t->at))
        return cdp_err_set(err, CDP_EXIT_USAGE, "--at takes an RFC 3339 time, not '%s'", o->at);
    if (o->horizon && !cdp_time_parse_duration(o->horizon, &t->horizon))
        return cdp_err_set(err, CDP_EXIT_USAGE, "--horizon takes a duration such as 3d, not '%s'",
                           o->horizon);
    const struct cdp_change_opts opts = {.key = o->key,
                                         .order = o->order,
                                         .delete = o->delete,
                                         .forget = o->forget,
                                         .time = o->time,
                                         .patch = o->patch,
                                         .unset = o->unset,
                                         .at = o->at ? &t->at : NULL,
                                         .timed = o->at || o->horizon || o->history,
                                         .fold = o->history || o->patch};
    t->changes = cdp_changes_new(&opts, t->flow.plan, err);
    return t->changes ? 0 : -1;
}

/* For lib/history. */
static int reject(void *flow, const char *source, uint64_t line_no, const char *why, const char *line,
                  size_t len, struct cdp_err *err)
{
    return cdp_flow_reject(flow, source, line_no, 0, "record", why, line, len, err);
}

static int set_up(struct tool *t, struct cdp_err *err)
{
    const struct options *o = &t->opt;
    cdp_flow_side(&t->flow, "--forgotten", o->forgotten);
    if (read_options(t, err) < 0 || cdp_flow_open(&t->flow, err) < 0)
        return -1;
    uint64_t memory = cdp_flow_memory(&t->flow);
    unsigned threads = cdp_flow_threads(&t->flow);
    if (o->forgotten && !(t->forgotten = cdp_forgotten_open(o->forgotten, cdp_changes_key(t->changes),
                                                            memory / 16, o->common.tmpdir, err)))
        return -1;
    if (o->history || o->patch) {
        const struct cdp_history_opts opts = {
            .sort = {.memory = memory, .threads = threads, .tmpdir = o->common.tmpdir},
            .rows = o->history,
            .patch = o->patch != NULL,
            .reject = reject,
            .reject_arg = &t->flow};
        t->history = cdp_history_new(&opts, err);
    } else {
        const struct cdp_latest_opts opts = {
            .memory = memory, .threads = threads, .tmpdir = o->common.tmpdir, .tombstones = o->horizon};
        t->latest = cdp_latest_new(&opts, err);
    }
    return t->history || t->latest ? 0 : -1;
}

/* Since when deletes are kept: --horizon before --at, or before the newest record.  False: none are. */
static bool horizon(const struct tool *t, struct cdp_time *since)
{
    if (!t->opt.horizon)
        return false;
    *since = t->opt.at ? t->at : t->newest;
    if (__builtin_sub_overflow(since->sec, t->horizon, &since->sec))
        since->sec = INT64_MIN;
    return true;
}

static int run(struct tool *t, struct cdp_err *err)
{
    struct cdp_flow_ops ops = {.worker_open = worker_open,
                               .worker_close = worker_close,
                               .begin = begin,
                               .record = record,
                               .apply = apply};
    t->newest.sec = INT64_MIN;
    if (t->opt.base) {
        ops.every = t->in_base = true;
        if (cdp_flow_run(&t->flow, &ops, t, &t->opt.base, 1, err) < 0)
            return -1;
        ops.every = t->in_base = false;
    }
    if (cdp_flow_run(&t->flow, &ops, t, NULL, 0, err) < 0)
        return -1;
    struct cdp_time time;
    const struct cdp_time *since = horizon(t, &time) ? &time : NULL;
    int rc = t->latest ? cdp_latest_write(t->latest, t->flow.out, since, &t->flow.counts, err)
                       : cdp_history_write(t->history, t->flow.out, since, &t->flow.counts, err);
    if (rc == 0 && t->forgotten && (rc = cdp_forgotten_close(t->forgotten, err)) == 0)
        t->forgotten = NULL;
    return rc;
}

int main(int argc, char **argv)
{
    static struct tool t; /* zeroed */
    struct cdp_err err = {0};
    int rc = cdp_flow_begin(&t.flow, &tool_spec, argc, argv, &t.opt, &err);
    if (rc == 1) {
        rc = set_up(&t, &err);
        if (rc == 0)
            rc = run(&t, &err);
    }
    cdp_latest_free(t.latest);
    cdp_history_free(t.history);
    cdp_forgotten_abort(t.forgotten);
    cdp_changes_free(t.changes);
    return cdp_flow_end(&t.flow, rc, &err);
}
