/* cdp-scrub: the privacy boundary.  Only what a policy promotes passes, transformed as the policy says.
 *
 * A filter without state between records: each block becomes output on a worker's own thread (lib/scrub) and is handed
 * over whole in its turn.  Memory: the blocks in work and their output. */
#include "lib/flow.h"
#include "lib/mem.h"
#include "lib/scrub.h"

#include <inttypes.h>
#include <stdlib.h>

struct options {
    struct cdp_common common;
    const char *policy;
    struct cdp_opt_list fields; /* tag: enum cdp_scrub_action */
    const char *key_file;
    const char *as_of;
    bool leaks;
};

#define FIELD(option, action, argument, text)                                                                \
    {                                                                                                        \
        .name = option, .type = CDP_OPT_LIST, .offset = offsetof(struct options, fields), .arg = argument,   \
        .tag = action, .help = text                                                                          \
    }

static const struct cdp_opt options_table[] = {
    {.name = "policy",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, policy),
     .arg = "FILE",
     .help = "read the fields from a JSON policy; those of other options come after them"},
    FIELD("keep", CDP_SCRUB_KEEP, "PATH[=NAME][:nested=false]", "pass the value as it is"),
    FIELD("drop", CDP_SCRUB_DROP, "PATH", "document that the value is known and does not pass"),
    FIELD("hash", CDP_SCRUB_SHA256, "PATH[=NAME][:normalize=none|email|google|meta]", "pass its SHA-256"),
    FIELD("hmac", CDP_SCRUB_HMAC, "PATH[=NAME][:normalize=none|email|google|meta]",
          "pass its HMAC-SHA-256 with the key of --key-file"),
    FIELD("domain", CDP_SCRUB_DOMAIN, "PATH[=NAME]", "pass the domain of an e-mail address"),
    FIELD("mask", CDP_SCRUB_MASK, "PATH[=NAME][:first=N,last=N]",
          "pass it with '*' for all other characters"),
    FIELD("redact", CDP_SCRUB_REDACT, "PATH[=NAME][:with=TEXT]",
          "pass a fixed text in its place (default: [redacted])"),
    FIELD("bucket", CDP_SCRUB_BUCKET, "PATH[=NAME]:size=N|unit=hour|day|week|month|year",
          "pass the lower bound of the range that holds a number or a time"),
    FIELD("age", CDP_SCRUB_AGE, "PATH[=NAME]", "pass the age group of a birthday at the --as-of date"),
    FIELD("country", CDP_SCRUB_COUNTRY, "PATH[=NAME]", "pass a country as its ISO 3166 alpha-2 code"),
    FIELD("truncate", CDP_SCRUB_TRUNCATE, "PATH[=NAME]:places=N",
          "pass a coordinate cut after N decimal places"),
    FIELD("zip", CDP_SCRUB_ZIP, "PATH[=NAME]:first=N", "pass the first N characters of a postal code"),
    {.name = "as-of",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, as_of),
     .arg = "DATE",
     .help = "the day at which ages are reckoned (instead of the policy's)"},
    {.name = "key-file",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, key_file),
     .arg = "FILE",
     .help = "the key of --hmac, without the end of its line"},
    {.name = "leaks",
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, leaks),
     .help = "exit 1 if what went out looks like e-mail addresses, phone or card numbers"},
    CDP_OPT_WHERE,
    CDP_OPT_REJECTS,
    CDP_OPT_THREADS,
    CDP_OPT_MAX_RECORD,
    CDP_OPT_OUTPUT,
    CDP_OPT_ALWAYS,
    {0},
};

static const struct cdp_tool tool_spec = {
    .name = "cdp-scrub",
    .summary = "Pass only what a privacy policy promotes.",
    .usage = "[--policy FILE] [--keep PATH[=NAME]]... [FILE]...",
    .opts = options_table,
};

struct scrub {
    struct options opt;
    struct cdp_flow flow;
    struct cdp_scrub *policy;
    struct cdp_scrub_worker total; /* nulls and leaks of all workers */
};

/* ---- in parallel ---- */

static int worker_open(void *tool, void **worker, struct cdp_err *err)
{
    struct scrub *s = tool;
    *worker = cdp_scrub_worker_new(s->policy, err);
    return *worker ? 0 : -1;
}

/* After the run, one worker after the other. */
static void worker_close(void *tool, void *worker)
{
    struct scrub *s = tool;
    struct cdp_scrub_worker *w = worker;
    for (size_t i = 0; i < s->policy->n; i++) {
        s->total.nulls[i] += w->nulls[i];
        for (int kind = 0; kind < CDP_LEAK_KINDS; kind++)
            s->total.leaks[i][kind] += w->leaks[i][kind];
    }
    cdp_scrub_worker_free(w);
}

static int begin(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)tool, (void)err;
    cdp_scrub_clear(b->worker);
    return 0;
}

static int record(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    struct scrub *s = tool;
    int rc = cdp_scrub_record(s->policy, b->worker, r->fields, err);
    return rc == 1 ? CDP_REC_REJECT : rc;
}

/* ---- in turn ---- */

static int apply(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)tool;
    struct cdp_scrub_worker *w = b->worker;
    if (!w->records)
        return 0;
    cdp_scrub_finish(w);
    return cdp_batch_emit(b, w->out.data, w->out.len, w->records, err);
}

/* ---- main ---- */

static int set_up(struct scrub *s, struct cdp_err *err)
{
    struct options *o = &s->opt;
    s->policy = cdp_scrub_new(err);
    if (!s->policy)
        return -1;
    s->policy->watch = o->leaks;
    if (o->policy && cdp_scrub_load(s->policy, o->policy, err) < 0)
        return -1;
    for (size_t i = 0; i < o->fields.n; i++) {
        const struct cdp_opt_item *item = &o->fields.item[i];
        const struct cdp_opt *opt = options_table;
        while (opt->type != CDP_OPT_LIST || opt->tag != item->tag)
            opt++;
        if (cdp_scrub_option(s->policy, (enum cdp_scrub_action)item->tag, opt->name, item->value, err) < 0)
            return -1;
    }
    if (cdp_scrub_ready(s->policy, s->flow.plan, o->key_file, o->as_of, err) < 0)
        return -1;
    s->total.nulls = cdp_mem_zalloc(s->policy->n, sizeof *s->total.nulls, err);
    s->total.leaks = cdp_mem_zalloc(s->policy->n, sizeof *s->total.leaks, err);
    return s->total.nulls && s->total.leaks ? cdp_flow_open(&s->flow, err) : -1;
}

static void report_nulls(const struct scrub *s)
{
    for (size_t i = 0; i < s->policy->n && !s->opt.common.quiet; i++)
        if (s->total.nulls[i])
            cdp_err_warn("'%s': values that could not be used and became null: %" PRIu64,
                         s->policy->field[i].text, s->total.nulls[i]);
}

static int report_leaks(const struct scrub *s, struct cdp_err *err)
{
    static const char *const what[CDP_LEAK_KINDS] = {"e-mail addresses", "phone numbers", "card numbers"};
    uint64_t sum = 0;
    for (size_t i = 0; i < s->policy->n; i++) {
        for (int kind = 0; kind < CDP_LEAK_KINDS; kind++) {
            uint64_t n = s->total.leaks[i][kind];
            sum += n;
            if (n)
                cdp_err_warn("leak: '%s', %s: %" PRIu64, s->policy->field[i].name, what[kind], n);
        }
    }
    if (!sum)
        return 0;
    return cdp_err_set(err, CDP_EXIT_DATA, "what went out looks like personal data in %" PRIu64 " place%s",
                       sum, sum == 1 ? "" : "s");
}

static int run(struct scrub *s, struct cdp_err *err)
{
    static const struct cdp_flow_ops ops = {.worker_open = worker_open,
                                            .worker_close = worker_close,
                                            .begin = begin,
                                            .record = record,
                                            .apply = apply};
    if (cdp_flow_run(&s->flow, &ops, s, NULL, 0, err) < 0)
        return -1;
    report_nulls(s);
    return report_leaks(s, err);
}

int main(int argc, char **argv)
{
    static struct scrub s; /* zeroed */
    struct cdp_err err = {0};
    int rc = cdp_flow_begin(&s.flow, &tool_spec, argc, argv, &s.opt, &err);
    if (rc == 1) {
        rc = set_up(&s, &err);
        if (rc == 0)
            rc = run(&s, &err);
    }
    free(s.total.nulls);
    free(s.total.leaks);
    cdp_scrub_free(s.policy);
    return cdp_flow_end(&s.flow, rc, &err);
}
