/* cdp-order: records in the order of their keys.
 *
 * Sorting is lib/sort, with a feed for each worker; --merge is lib/sort_inputs, --check lib/sort_check and --lateness
 * lib/sort_late.
 *
 * Memory: --memory, then temporary files; --check constant. */
#include "lib/flow.h"
#include "lib/key.h"
#include "lib/mem.h"
#include "lib/sort.h"
#include "lib/sort_check.h"
#include "lib/sort_inputs.h"
#include "lib/sort_late.h"

#include <stdatomic.h>
#include <stdlib.h>

struct options {
    struct cdp_common common;
    struct cdp_opt_list key;
    int missing; /* enum cdp_key_missing */
    bool merge, check, unique;
    const char *lateness, *time, *late;
};

static const struct cdp_opt options_table[] = {
    {.name = "key",
     .letter = 'k',
     .type = CDP_OPT_LIST,
     .offset = offsetof(struct options, key),
     .arg = "KEY[,KEY]...",
     .help = "sort by these paths, each with :time or :num and :desc if need be (default: the whole record)"},
    {.name = "missing",
     .type = CDP_OPT_CHOICE,
     .offset = offsetof(struct options, missing),
     .arg = "reject|null",
     .help = "a record whose key is missing or null is unusable, or sorts as null (default: reject)"},
    {.name = "unique",
     .letter = 'u',
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, unique),
     .help = "of records with equal keys write only the first; with --check, let none be equal"},
    {.name = "merge",
     .letter = 'm',
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, merge),
     .help = "merge inputs that are sorted already"},
    {.name = "check",
     .letter = 'c',
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, check),
     .help = "write nothing; exit 1 naming the first line that is out of order"},
    {.name = "lateness",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, lateness),
     .arg = "DURATION",
     .help = "order a stream that never ends, by the time at -t, in which records come at most this late"},
    {.name = "time",
     .letter = 't',
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, time),
     .arg = "PATH",
     .help = "the time that --lateness goes by"},
    {.name = "late",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, late),
     .arg = "FILE",
     .help = "append records that come later than --lateness allows to FILE and go on"},
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
    .name = "cdp-order",
    .summary = "Sort records by keys.",
    .usage = "[-k KEY[,KEY]...] [--merge | --check | --lateness DURATION -t PATH] [FILE]...",
    .opts = options_table,
};

struct order {
    struct options opt;
    struct cdp_flow flow;
    struct cdp_keyspec key;
    atomic_uint workers;
    struct cdp_sort *sort;
    struct cdp_late_opts lateness;
};

struct worker {
    unsigned feed;
    struct cdp_buf key;
};

static int worker_open(void *tool, void **worker, struct cdp_err *err)
{
    struct order *o = tool;
    struct worker *w = cdp_mem_zalloc_apart(1, sizeof *w, err);
    *worker = w;
    if (!w)
        return -1;
    w->feed = atomic_fetch_add(&o->workers, 1);
    return 0;
}

static void worker_close(void *tool, void *worker)
{
    struct worker *w = worker;
    (void)tool;
    cdp_buf_free(&w->key);
    free(w);
}

/* ---- sorting ---- */

static int sort_record(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    struct order *o = tool;
    struct worker *w = b->worker;
    cdp_buf_clear(&w->key);
    int rc = cdp_keyspec_encode(&o->key, r->fields, (enum cdp_key_missing)o->opt.missing, &w->key, err);
    if (rc != 0)
        return rc > 0 || err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
    uint64_t place = b->block.seq << 32 | r->index; /* in the input */
    return cdp_sort_add(o->sort, w->feed, w->key.data, w->key.len, place, r->line, r->full, err);
}

static int run_sort(struct order *o, struct cdp_err *err)
{
    static const struct cdp_flow_ops ops = {
        .worker_open = worker_open, .worker_close = worker_close, .record = sort_record};
    unsigned threads = cdp_flow_threads(&o->flow);
    struct cdp_sort_opts opts = {.memory = cdp_flow_memory(&o->flow),
                                 .feeds = threads,
                                 .threads = threads,
                                 .tmpdir = o->opt.common.tmpdir,
                                 .unique = o->opt.unique};
    if (!(o->sort = cdp_sort_new(&opts, err)) || cdp_flow_run(&o->flow, &ops, o, NULL, 0, err) < 0 ||
        cdp_sort_finish(o->sort, err) < 0 || cdp_sort_write(o->sort, o->flow.out, err) < 0)
        return -1;
    struct cdp_sort_stats stats = cdp_sort_stats(o->sort);
    o->flow.counts.out += stats.out;
    o->flow.counts.dropped += stats.added - stats.out;
    return 0;
}

/* ---- --check and --merge ---- */

static int run_check(struct order *o, struct cdp_err *err)
{
    struct cdp_check_opts opts = {
        .key = &o->key, .missing = (enum cdp_key_missing)o->opt.missing, .unique = o->opt.unique};
    return cdp_check_run(&o->flow, &opts, err);
}

static int run_merge(struct order *o, struct cdp_err *err)
{
    static const char *standard_input[] = {"-"};
    const struct cdp_common *c = &o->opt.common;
    struct cdp_inputs_opts opts = {
        .key = &o->key, .missing = (enum cdp_key_missing)o->opt.missing, .unique = o->opt.unique};
    return cdp_inputs_merge(&o->flow, &opts, c->operands ? c->operand : standard_input,
                            c->operands ? c->operands : 1, err);
}

/* ---- --lateness ---- */

static int parse_lateness(struct order *o, struct cdp_err *err)
{
    const struct options *opt = &o->opt;
    if (!opt->time)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--lateness needs -t PATH");
    o->lateness = (struct cdp_late_opts){.key = &o->key,
                                         .missing = (enum cdp_key_missing)opt->missing,
                                         .unique = opt->unique,
                                         .time = opt->time};
    if (!cdp_time_parse_duration(opt->lateness, &o->lateness.seconds) || o->lateness.seconds < 0)
        return cdp_err_set(err, CDP_EXIT_USAGE,
                           "--lateness takes a duration such as 90s, 15m, 6h or 3d, not '%s'", opt->lateness);
    o->lateness.slot = cdp_plan_add_text(o->flow.plan, opt->time, err);
    return o->lateness.slot < 0 ? cdp_err_prefix(err, "-t") : 0;
}

static int run_lateness(struct order *o, struct cdp_err *err)
{
    struct cdp_err later;
    if (o->opt.late && !(o->lateness.late = cdp_out_open(o->opt.late, true, err)))
        return -1;
    int rc = cdp_late_run(&o->flow, &o->lateness, err);
    if (o->lateness.late && cdp_out_close(o->lateness.late, rc < 0 ? &later : err) < 0)
        return -1;
    return rc;
}

/* ---- main ---- */

static int parse_keys(struct order *o, struct cdp_err *err)
{
    struct cdp_buf keys = {0};
    for (size_t i = 0; i < o->opt.key.n; i++) {
        if (i)
            cdp_buf_addc(&keys, ',');
        cdp_buf_adds(&keys, o->opt.key.item[i].value);
    }
    if (o->opt.key.n == 0 && !o->opt.lateness)
        cdp_buf_addc(&keys, '.');
    bool none = keys.len == 0 && o->opt.key.n == 0;
    cdp_buf_addc(&keys, '\0');
    int rc = cdp_buf_check(&keys, err);
    if (rc == 0 && !none)
        rc = cdp_keyspec_parse(&o->key, keys.data, o->flow.plan, err);
    cdp_buf_free(&keys);
    return rc;
}

static int setup(struct order *o, struct cdp_err *err)
{
    const struct options *opt = &o->opt;
    if (opt->merge + opt->check + (opt->lateness != NULL) > 1)
        return cdp_err_set(err, CDP_EXIT_USAGE, "only one of --merge, --check and --lateness");
    if (opt->check && opt->common.output)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--check writes nothing, so it takes no -o");
    if (opt->merge && cdp_opt_stdin(&opt->common) > 1)
        return cdp_err_set(err, CDP_EXIT_USAGE, "standard input cannot be merged with itself");
    if (!opt->lateness && (opt->time || opt->late))
        return cdp_err_set(err, CDP_EXIT_USAGE, "-t and --late go with --lateness");
    if (parse_keys(o, err) < 0 || (opt->lateness && parse_lateness(o, err) < 0))
        return -1;
    cdp_flow_side(&o->flow, "--late", opt->late);
    return cdp_flow_open(&o->flow, err);
}

static int run(struct order *o, struct cdp_err *err)
{
    if (o->opt.check)
        return run_check(o, err);
    if (o->opt.merge)
        return run_merge(o, err);
    return o->opt.lateness ? run_lateness(o, err) : run_sort(o, err);
}

int main(int argc, char **argv)
{
    struct order o = {.opt = {.missing = CDP_KEY_MISSING_ERROR}};
    struct cdp_err err;
    int rc = cdp_flow_begin(&o.flow, &tool_spec, argc, argv, &o.opt, &err);
    if (rc > 0 && (rc = setup(&o, &err)) == 0)
        rc = run(&o, &err);
    cdp_sort_free(o.sort);
    cdp_keyspec_free(&o.key);
    return cdp_flow_end(&o.flow, rc, &err);
}
