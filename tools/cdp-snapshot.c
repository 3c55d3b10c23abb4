/* cdp-snapshot: change events → the current state per key, at any instant, or its history.
 *
 * The plain case keeps the greatest record of each key (lib/latest).  Partial updates and history rows need all records of a
 * key in order and go through lib/history.  Both are the same whatever the order of the input.
 * Memory: grows with keys, or records; spills at --memory. */
#include "lib/history.h"
#include "lib/key.h"
#include "lib/latest.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

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
     .help = "report each key erased to FILE, as NDJSON"},
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

struct item {
    const char *line;
    uint32_t len, full;
    uint32_t key, key_len, order, order_len; /* in the worker's keys */
    enum cdp_history_kind kind;
    struct cdp_hash128 hash;
    struct cdp_time time;
    struct cdp_val when, patch, unset;
};

struct worker {
    struct item *item;
    size_t n, cap;
    struct cdp_buf keys;
};

struct tool {
    struct options opt;
    struct cdp_flow flow;
    struct cdp_keyspec key, order;
    struct cdp_expr *delete, *forget;
    int time_slot, patch_slot, unset_slot; /* -1: not asked for */
    bool has_at, has_horizon, in_base;
    struct cdp_time at, newest;
    int64_t horizon;
    struct cdp_latest *latest; /* one of the two */
    struct cdp_history *history;
    struct cdp_sort *forgotten; /* keys of requests */
    uint64_t requests;
};

/* ---- in parallel ---- */

static int worker_open(void *tool, void **worker, struct cdp_err *err)
{
    (void)tool;
    *worker = cdp_mem_zalloc(1, sizeof(struct worker), err);
    return *worker ? 0 : -1;
}

static void worker_close(void *tool, void *worker)
{
    (void)tool;
    struct worker *w = worker;
    free(w->item);
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

static int is_true(const struct cdp_expr *e, const struct cdp_rec *r, struct cdp_err *err)
{
    return e ? cdp_expr_test(e, r->scratch, r->fields, r->line, r->len, err) : 0;
}

static int encode(const struct cdp_keyspec *spec, const struct cdp_rec *r, struct worker *w, uint32_t *at,
                  uint32_t *len, struct cdp_err *err)
{
    *at = (uint32_t)w->keys.len;
    if (cdp_keyspec_encode(spec, r->fields, CDP_KEY_MISSING_ERROR, &w->keys, err) != 0 ||
        cdp_buf_check(&w->keys, err) < 0)
        return -1;
    *len = (uint32_t)w->keys.len - *at;
    return 0;
}

static int spans(const struct tool *t, const struct cdp_rec *r, struct item *it, struct cdp_err *err)
{
    if (t->time_slot >= 0) {
        it->when = r->fields[t->time_slot];
        if (!cdp_time_from_val(it->when, CDP_TIME_RFC3339, &it->time))
            return cdp_err_set(err, CDP_EXIT_DATA, "no RFC 3339 time");
    }
    if (t->history && *r->line != '{')
        return cdp_err_set(err, CDP_EXIT_DATA, "the record is no object");
    if (t->patch_slot >= 0 && it->kind <= CDP_HISTORY_BASE) {
        it->patch = r->fields[t->patch_slot];
        if (it->patch.type != CDP_OBJECT)
            return cdp_err_set(err, CDP_EXIT_DATA, "no object at %s", t->opt.patch);
    }
    if (t->unset_slot >= 0)
        it->unset = r->fields[t->unset_slot];
    if (!cdp_val_none(it->unset) && it->unset.type != CDP_ARRAY)
        return cdp_err_set(err, CDP_EXIT_DATA, "no array at %s", t->opt.unset);
    return 0;
}

/* 0, or -1 and *err. */
static int read_item(const struct tool *t, struct worker *w, const struct cdp_rec *r, struct item *it,
                     struct cdp_err *err)
{
    int gone = is_true(t->delete, r, err), forget = gone < 0 ? -1 : is_true(t->forget, r, err);
    if (forget < 0)
        return -1;
    it->kind = forget       ? CDP_HISTORY_FORGET
               : gone       ? CDP_HISTORY_DELETE
               : t->in_base ? CDP_HISTORY_BASE
                            : CDP_HISTORY_STATE;
    if (encode(&t->key, r, w, &it->key, &it->key_len, err) < 0 ||
        encode(&t->order, r, w, &it->order, &it->order_len, err) < 0)
        return -1;
    it->hash = cdp_hash(w->keys.data + it->key, it->key_len);
    return spans(t, r, it, err);
}

static int record(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    const struct tool *t = tool;
    struct worker *w = b->worker;
    if (w->n == w->cap) {
        struct item *more = cdp_mem_grow(w->item, &w->cap, w->n + 1, sizeof *more, err);
        if (!more)
            return -1;
        w->item = more;
    }
    struct item *it = &w->item[w->n];
    *it = (struct item){.line = r->line, .len = (uint32_t)r->len, .full = (uint32_t)r->full};
    if (read_item(t, w, r, it, err) < 0)
        return err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
    if (t->has_at && cdp_time_cmp(it->time, t->at) > 0) {
        if (!t->in_base)
            return CDP_REC_DROP;
        return cdp_err_set(err, CDP_EXIT_DATA, "%s: a row of the base is newer than --at", t->opt.base);
    }
    w->n++;
    return CDP_REC_KEEP;
}

/* ---- in turn ---- */

static int request(struct tool *t, const struct worker *w, const struct item *it, struct cdp_err *err)
{
    return cdp_sort_add(t->forgotten, 0, w->keys.data + it->key, it->key_len, t->requests++, "", 0, err);
}

static int to_latest(struct tool *t, const struct cdp_batch *b, const struct item *it, struct cdp_err *err)
{
    const struct worker *w = b->worker;
    const struct cdp_latest_item item = {.key = w->keys.data + it->key,
                                         .key_len = it->key_len,
                                         .order = w->keys.data + it->order,
                                         .order_len = it->order_len,
                                         .line = it->line,
                                         .len = it->full,
                                         .gone = it->kind >= CDP_HISTORY_DELETE,
                                         .time = it->time,
                                         .hash = it->hash};
    int rc = cdp_latest_add(t->latest, &item, &b->block, err);
    if (rc > 0)
        t->flow.counts.dropped++;
    return rc;
}

static int to_history(struct tool *t, const struct worker *w, const struct item *it, struct cdp_err *err)
{
    const struct cdp_history_item item = {.key = w->keys.data + it->key,
                                          .key_len = it->key_len,
                                          .order = w->keys.data + it->order,
                                          .order_len = it->order_len,
                                          .kind = it->kind,
                                          .time = it->time,
                                          .line = it->line,
                                          .len = it->len,
                                          .when = it->when,
                                          .patch = it->patch,
                                          .unset = it->unset};
    return cdp_history_add(t->history, &item, err);
}

#define AHEAD 8 /* keys between the prefetch of a slot and its use */

static int apply(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct tool *t = tool;
    const struct worker *w = b->worker;
    for (size_t i = 0; i < w->n; i++) {
        const struct item *it = &w->item[i];
        if (t->latest && i + AHEAD < w->n)
            cdp_latest_prefetch(t->latest, w->item[i + AHEAD].hash);
        if (cdp_time_cmp(it->time, t->newest) > 0)
            t->newest = it->time;
        if (it->kind == CDP_HISTORY_FORGET && t->forgotten && request(t, w, it, err) < 0)
            return -1;
        if ((t->latest ? to_latest(t, b, it, err) : to_history(t, w, it, err)) < 0)
            return -1;
    }
    return 0;
}

/* ---- the report of erased keys ---- */

static int write_forgotten(struct tool *t, struct cdp_err *err)
{
    struct cdp_out *o = cdp_out_open(t->opt.forgotten, false, err);
    struct cdp_buf line = {0};
    struct cdp_sorted r;
    int rc = o ? cdp_sort_finish(t->forgotten, err) : -1;
    while (rc >= 0 && (rc = cdp_sort_next(t->forgotten, &r, err)) == 1) {
        const unsigned char *p = r.key;
        cdp_buf_clear(&line);
        cdp_buf_adds(&line, "{\"key\":[");
        for (size_t i = 0; i < t->key.n; i++) {
            if (i)
                cdp_buf_addc(&line, ',');
            p = cdp_key_decode(p, &line);
        }
        cdp_buf_adds(&line, "]}\n");
        rc = cdp_buf_check(&line, err);
        if (rc == 0)
            rc = cdp_out_write(o, line.data, line.len, err);
    }
    cdp_buf_free(&line);
    if (rc < 0) {
        cdp_out_abort(o);
        return -1;
    }
    return cdp_out_close(o, err);
}

/* ---- main ---- */

static int open_forgotten(struct tool *t, struct cdp_err *err)
{
    const struct cdp_sort_opts opts = {
        .memory = cdp_flow_memory(&t->flow) / 16, .tmpdir = t->opt.common.tmpdir, .unique = true};
    for (size_t i = 0; i < t->key.n; i++)
        if (t->key.part[i].desc)
            return cdp_err_set(err, CDP_EXIT_USAGE, "--forgotten cannot report a :desc key");
    t->forgotten = cdp_sort_new(&opts, err);
    return t->forgotten ? 0 : -1;
}

static int add_slot(struct tool *t, const char *path, const char *option, int *slot, struct cdp_err *err)
{
    *slot = -1;
    if (path && (*slot = cdp_plan_add_text(t->flow.plan, path, err)) < 0)
        return cdp_err_prefix(err, "%s", option);
    return 0;
}

static int add_expr(struct tool *t, const char *text, const char *option, struct cdp_expr **e,
                    struct cdp_err *err)
{
    if (text && !(*e = cdp_expr_new(text, t->flow.plan, NULL, err)))
        return cdp_err_prefix(err, "%s", option);
    return 0;
}

/* The instants that --at, --horizon and --history go by. */
static int set_up_time(struct tool *t, struct cdp_err *err)
{
    const struct options *o = &t->opt;
    if (add_slot(t, o->time, "--time", &t->time_slot, err) < 0)
        return -1;
    bool needed = o->at || o->horizon || o->history;
    for (size_t i = 0; needed && t->time_slot < 0 && i < t->order.n; i++)
        if (t->order.part[i].as == CDP_KEY_TIME)
            t->time_slot = t->order.part[i].slot;
    if (needed && t->time_slot < 0)
        return cdp_err_set(err, CDP_EXIT_USAGE,
                           "--at, --horizon and --history need --time, or a :time in --order");
    t->has_at = o->at != NULL;
    if (o->at && !cdp_time_parse(o->at, strlen(o->at), &t->at))
        return cdp_err_set(err, CDP_EXIT_USAGE, "--at takes an RFC 3339 time, not '%s'", o->at);
    t->has_horizon = o->horizon != NULL;
    if (o->horizon && !cdp_time_parse_duration(o->horizon, &t->horizon))
        return cdp_err_set(err, CDP_EXIT_USAGE, "--horizon takes a duration such as 3d, not '%s'",
                           o->horizon);
    t->newest.sec = INT64_MIN;
    return 0;
}

static int set_up(struct tool *t, struct cdp_err *err)
{
    const struct options *o = &t->opt;
    if (!o->key || !o->order)
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s is missing", o->key ? "--order" : "-k");
    if (o->history && (o->base || o->horizon))
        return cdp_err_set(err, CDP_EXIT_USAGE,
                           "--history needs all records: it goes with neither --base nor --horizon");
    if (o->unset && !o->patch)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--unset needs --patch");
    if (o->forgotten && !o->forget)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--forgotten needs --forget");
    if (cdp_keyspec_parse(&t->key, o->key, t->flow.plan, err) < 0)
        return cdp_err_prefix(err, "-k");
    if (cdp_keyspec_parse(&t->order, o->order, t->flow.plan, err) < 0)
        return cdp_err_prefix(err, "--order");
    if (add_expr(t, o->delete, "--delete", &t->delete, err) < 0 ||
        add_expr(t, o->forget, "--forget", &t->forget, err) < 0 ||
        add_slot(t, o->patch, "--patch", &t->patch_slot, err) < 0 ||
        add_slot(t, o->unset, "--unset", &t->unset_slot, err) < 0 || set_up_time(t, err) < 0 ||
        cdp_flow_open(&t->flow, err) < 0)
        return -1;
    uint64_t memory = cdp_flow_memory(&t->flow);
    unsigned threads = cdp_flow_threads(&t->flow);
    if (o->history || o->patch) {
        const struct cdp_history_opts opts = {
            .sort = {.memory = memory, .threads = threads, .tmpdir = o->common.tmpdir},
            .rows = o->history,
            .patch = o->patch != NULL};
        t->history = cdp_history_new(&opts, err);
    } else {
        const struct cdp_latest_opts opts = {
            .memory = memory, .threads = threads, .tmpdir = o->common.tmpdir};
        t->latest = cdp_latest_new(&opts, err);
    }
    if (!t->history && !t->latest)
        return -1;
    return o->forgotten ? open_forgotten(t, err) : 0;
}

static int run(struct tool *t, struct cdp_err *err)
{
    struct cdp_flow_ops ops = {.worker_open = worker_open,
                               .worker_close = worker_close,
                               .begin = begin,
                               .record = record,
                               .apply = apply};
    if (t->opt.base) {
        ops.every = t->in_base = true;
        if (cdp_flow_run(&t->flow, &ops, t, &t->opt.base, 1, err) < 0)
            return -1;
        if (t->latest)
            cdp_latest_next_input(t->latest);
        ops.every = t->in_base = false;
    }
    if (cdp_flow_run(&t->flow, &ops, t, NULL, 0, err) < 0)
        return -1;
    struct cdp_time since = {t->newest.sec - t->horizon, t->newest.nsec};
    const struct cdp_time *from = t->has_horizon && t->newest.sec != INT64_MIN ? &since : NULL;
    int rc = t->latest ? cdp_latest_write(t->latest, t->flow.out, from, &t->flow.counts, err)
                       : cdp_history_write(t->history, t->flow.out, from, &t->flow.counts, err);
    return rc == 0 && t->forgotten ? write_forgotten(t, err) : rc;
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
    cdp_sort_free(t.forgotten);
    cdp_expr_free(t.delete);
    cdp_expr_free(t.forget);
    cdp_keyspec_free(&t.key);
    cdp_keyspec_free(&t.order);
    return cdp_flow_end(&t.flow, rc, &err);
}
