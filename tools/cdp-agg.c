/* cdp-agg: groups and aggregates, exactly.
 *
 * Expressions, keys and operands are made on all threads, which then bring them into one table; no state depends on the order of
 * records, so nothing waits for its turn.  With --sorted, groups are applied in input order and leave as they end.
 *
 * Memory: groups and counted values up to --memory, then temporary files; with --sorted, one group. */
#include "lib/agg.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

struct options {
    struct cdp_common common;
    struct cdp_opt_list by, aggregates;
    const char *tz;
    bool partial, merge, sorted;
};

static const struct cdp_opt options_table[] = {
    {.name = "by",
     .letter = 'b',
     .type = CDP_OPT_LIST,
     .offset = offsetof(struct options, by),
     .arg = "[NAME=]EXPR",
     .help = "group by the jq expression; repeatable"},
    {.name = "tz",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, tz),
     .arg = "ZONE",
     .help = "time zone of day(), hour(), week() and month() (default: UTC)"},
    {.name = "sorted",
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, sorted),
     .help = "records come in the order of their group keys: write each group as it ends"},
    {.name = "partial",
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, partial),
     .help = "write mergeable states instead of results"},
    {.name = "merge",
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, merge),
     .help = "read what --partial wrote for the same keys and aggregates"},
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
    .name = "cdp-agg",
    .summary = "Group records and aggregate them exactly.",
    .usage = "[--by [NAME=]EXPR]... [[NAME=]FUNC(...) [where EXPR]]... [FILE]...",
    .opts = options_table,
    .operand_is = cdp_agg_operand,
    .operand_list_offset = offsetof(struct options, aggregates),
};

struct tool {
    struct options opt;
    struct cdp_flow flow;
    struct cdp_agg *agg;
};

struct worker {
    struct cdp_agg_worker *agg;
    struct cdp_buf rows; /* with --sorted: of this block */
};

static void worker_close(void *tool, void *worker)
{
    (void)tool;
    struct worker *w = worker;
    cdp_agg_worker_free(w->agg);
    cdp_buf_free(&w->rows);
    free(w);
}

static int worker_open(void *tool, void **worker, struct cdp_err *err)
{
    struct tool *t = tool;
    struct worker *w = cdp_mem_zalloc_apart(1, sizeof *w, err);
    if (!w)
        return -1;
    w->agg = cdp_agg_worker_new(t->agg, err);
    if (!w->agg) {
        worker_close(tool, w);
        return -1;
    }
    *worker = w;
    return 0;
}

static int begin(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)tool, (void)err;
    struct worker *w = b->worker;
    cdp_buf_clear(&w->rows);
    return 0;
}

static int record(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    (void)tool;
    struct worker *w = b->worker;
    return cdp_agg_record(w->agg, r, err);
}

/* The block's bytes may go. */
static int end(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)tool;
    struct worker *w = b->worker;
    return cdp_agg_flush(w->agg, err) < 0 ? -1 : cdp_batch_emit(b, NULL, 0, b->items, err);
}

static int apply_sorted(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)tool;
    struct worker *w = b->worker;
    uint32_t bad = UINT32_MAX;
    if (cdp_agg_stream(w->agg, &w->rows, &bad, err) < 0) {
        if (bad != UINT32_MAX)
            cdp_err_prefix(err, "%s:%llu", cdp_batch_source(b), (unsigned long long)cdp_batch_line(b, bad));
        return -1;
    }
    return cdp_batch_emit(b, w->rows.data, w->rows.len, b->items, err);
}

static const struct cdp_flow_ops table_ops = {
    .worker_open = worker_open, .worker_close = worker_close, .record = record, .end = end};

static const struct cdp_flow_ops sorted_ops = {.worker_open = worker_open,
                                               .worker_close = worker_close,
                                               .begin = begin,
                                               .record = record,
                                               .apply = apply_sorted};

static int set_up(struct tool *t, struct cdp_zone **zone, struct cdp_err *err)
{
    const struct options *o = &t->opt;
    if (!o->by.n && !o->aggregates.n)
        return cdp_err_set(err, CDP_EXIT_USAGE, "nothing to do: no --by and no aggregate, such as count()");
    if (o->tz && !(*zone = cdp_zone_open(o->tz, err)))
        return -1;
    struct cdp_agg_opts opts = {.partial = o->partial,
                                .merge = o->merge,
                                .sorted = o->sorted,
                                .zone = *zone,
                                .memory = cdp_flow_memory(&t->flow),
                                .tmpdir = o->common.tmpdir,
                                .threads = cdp_flow_threads(&t->flow)};
    t->agg = cdp_agg_new(&opts, t->flow.plan, err);
    if (!t->agg)
        return -1;
    for (size_t i = 0; i < o->by.n; i++)
        if (cdp_agg_by(t->agg, o->by.item[i].value, err) < 0)
            return -1;
    for (size_t i = 0; i < o->aggregates.n; i++)
        if (cdp_agg_add(t->agg, o->aggregates.item[i].value, err) < 0)
            return -1;
    return cdp_agg_start(t->agg, err);
}

int main(int argc, char **argv)
{
    static struct tool t;
    struct cdp_zone *zone = NULL;
    struct cdp_err err;
    int rc = cdp_flow_begin(&t.flow, &tool_spec, argc, argv, &t.opt, &err);
    if (rc > 0) {
        rc = set_up(&t, &zone, &err);
        if (rc == 0)
            rc = cdp_flow_open(&t.flow, &err);
        if (rc == 0)
            rc = cdp_flow_run(&t.flow, t.opt.sorted ? &sorted_ops : &table_ops, &t, NULL, 0, &err);
        if (rc == 0)
            rc = cdp_agg_finish(t.agg, t.flow.out, &err);
        cdp_agg_free(t.agg);
        cdp_zone_free(zone);
    }
    return cdp_flow_end(&t.flow, rc, &err);
}
