/* cdp-cat: many files, directories and archives into one stream of lines.
 *
 * Three ways through: lines as they are, unpacked on all threads (lib/concat); blocks of lines, where they are wrapped in
 * envelopes or where a state keeps account of them (flow's blocks); and records, where envelopes are opened.
 *
 * Memory: constant; the names of the inputs. */
#include "lib/arc.h"
#include "lib/concat.h"
#include "lib/datepath.h"
#include "lib/envelope.h"
#include "lib/flow.h"
#include "lib/intake.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

struct options {
    struct cdp_common common;
    bool envelope, unwrap, null;
    const char *since, *until, *state, *next_state, *files_from, *range;
};

static const struct cdp_opt options_table[] = {
    {.name = "envelope",
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, envelope),
     .help = "wrap each line in a record that says where it came from; malformed lines too"},
    {.name = "unwrap",
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, unwrap),
     .help = "the inverse: from each envelope the line as it was"},
    {.name = "since",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, since),
     .arg = "TIME",
     .help = "only files whose path is not before YYYY[-MM[-DD[THH[:MM]]]]"},
    {.name = "until",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, until),
     .arg = "TIME",
     .help = "only files whose path is not after that year, month, day, hour or minute"},
    {.name = "state",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, state),
     .arg = "FILE",
     .help = "read only what is new, changed or grown since the state in FILE"},
    {.name = "next-state",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, next_state),
     .arg = "FILE",
     .help = "write the state after this run to FILE, when all has been written"},
    {.name = "files-from",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, files_from),
     .arg = "FILE",
     .help = "read the files and directories that FILE lists, one a line"},
    {.name = "null",
     .letter = '0',
     .type = CDP_OPT_FLAG,
     .offset = offsetof(struct options, null),
     .help = "names in --files-from end with a zero byte"},
    {.name = "range",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, range),
     .arg = "OFFSET+LENGTH",
     .help = "only the lines that begin in these bytes of the one, plain file"},
    CDP_OPT_THREADS,
    CDP_OPT_MAX_RECORD,
    CDP_OPT_OUTPUT,
    CDP_OPT_ALWAYS,
    {0},
};

static const struct cdp_tool tool_spec = {
    .name = "cdp-cat",
    .summary = "Concatenate files, directories and archives into one stream of lines.",
    .usage = "[--envelope | --unwrap] [--since TIME] [--until TIME] [--state FILE] [--next-state FILE] "
             "[FILE|DIR|-]...",
    .opts = options_table,
};

struct cat {
    struct options opt;
    struct cdp_flow flow;
    struct cdp_inputs inputs;
    struct cdp_intake intake;
    bool keeps_state;
    struct cdp_envelope_opts envelope;
    struct cdp_envelope_slots slots;
    bool unwrapped, pending; /* something was; and it lacks its newline */
};

/* ---- blocks of lines ---- */

static int worker_open(void *tool, void **worker, struct cdp_err *err)
{
    (void)tool;
    *worker = cdp_mem_zalloc_apart(1, sizeof(struct cdp_envelope), err);
    return *worker ? 0 : -1;
}

static void worker_close(void *tool, void *worker)
{
    (void)tool;
    cdp_envelope_free(worker);
    free(worker);
}

static struct cdp_arc *open_input(void *tool, size_t i, struct cdp_err *err)
{
    struct cat *c = tool;
    return c->keeps_state ? cdp_intake_open(&c->intake, i, err) : cdp_arc_open(c->inputs.path[i], err);
}

static bool want(void *tool, size_t i, const char *name, bool plain)
{
    struct cat *c = tool;
    bool wanted = cdp_inputs_within(&c->inputs, name);
    if (c->keeps_state)
        cdp_intake_stream(&c->intake, i, plain, wanted);
    return wanted;
}

static int block(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct cat *c = tool;
    struct cdp_envelope *e = b->worker;
    if (!c->opt.envelope) {
        /* Of a source that is a byte order mark and nothing else there is no line. */
        bool none = b->block.added_newline && b->block.len == 1;
        e->records = none ? 0 : b->lines;
        return cdp_batch_emit(b, b->block.data, none ? 0 : b->block.len, e->records, err);
    }
    uint64_t before = c->keeps_state ? cdp_intake_lines(&c->intake, b->block.operand) : 0;
    if (cdp_envelope_wrap(e, &c->envelope, b, before, err) < 0)
        return -1;
    return cdp_batch_emit(b, e->out.data, e->out.len, e->records, err);
}

static int apply(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)err;
    struct cat *c = tool;
    const struct cdp_envelope *e = b->worker;
    c->flow.counts.in += e->records;
    if (c->keeps_state)
        cdp_intake_block(&c->intake, b);
    return 0;
}

/* ---- unwrapping ---- */

static int begin_unwrapped(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)tool, (void)err;
    cdp_envelope_begin(b->worker);
    return 0;
}

static int unwrap(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    const struct cat *c = tool;
    if (cdp_envelope_unwrap(b->worker, &c->slots, r->fields, err) == 0)
        return CDP_REC_KEEP;
    return err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
}

/* Only the very first line gets its byte order mark back, and only the very last one goes without a newline. */
static int apply_unwrapped(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct cat *c = tool;
    const struct cdp_envelope *e = b->worker;
    if (!e->records)
        return 0;
    if (c->pending && cdp_batch_emit(b, "\n", 1, 0, err) < 0)
        return -1;
    if (e->bom && !c->unwrapped && cdp_batch_emit(b, "\xEF\xBB\xBF", 3, 0, err) < 0)
        return -1;
    c->unwrapped = true;
    c->pending = e->pending;
    return cdp_batch_emit(b, e->out.data ? e->out.data : "", e->out.len, e->records, err);
}

/* ---- main ---- */

static int bound(const char *option, const char *text, bool last, uint64_t *minute, struct cdp_err *err)
{
    if (text && !cdp_datepath_bound(text, last, minute))
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s takes YYYY[-MM[-DD[THH[:MM]]]], not '%s'", option, text);
    return 0;
}

static int list_inputs(struct cat *c, struct cdp_err *err)
{
    const struct options *o = &c->opt;
    c->inputs.until = UINT64_MAX;
    if (bound("--since", o->since, false, &c->inputs.since, err) < 0 ||
        bound("--until", o->until, true, &c->inputs.until, err) < 0)
        return -1;
    for (size_t i = 0; i < o->common.operands; i++)
        if (cdp_inputs_add(&c->inputs, o->common.operand[i], err) < 0)
            return -1;
    if (o->files_from)
        return cdp_inputs_add_from(&c->inputs, o->files_from, o->null, err);
    return o->common.operands ? 0 : cdp_inputs_add(&c->inputs, "-", err);
}

static int set_up(struct cat *c, struct cdp_err *err)
{
    struct options *o = &c->opt;
    c->keeps_state = o->state || o->next_state;
    if (o->envelope + o->unwrap + (o->range != NULL) > 1)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--envelope, --unwrap and --range exclude each other");
    if (c->keeps_state && (o->unwrap || o->range))
        return cdp_err_set(err, CDP_EXIT_USAGE, "a state cannot be kept with --unwrap or --range");
    if (o->null && !o->files_from)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--null needs --files-from FILE");
    c->envelope.run_id = getenv("CDP_RUN_ID");
    c->envelope.max = cdp_in_max_record(o->common.max_record);
    if (o->unwrap && cdp_envelope_plan(&c->slots, c->flow.plan, err) < 0)
        return -1;
    /* A list is an operand, too: standard input is not missed then. */
    o->common.operands += o->files_from != NULL;
    cdp_flow_side(&c->flow, "--next-state", o->next_state);
    int rc = cdp_flow_open(&c->flow, err);
    o->common.operands -= o->files_from != NULL;
    if (rc < 0 || list_inputs(c, err) < 0)
        return -1;
    return c->keeps_state ? cdp_intake_compare(&c->intake, &c->inputs, o->state, err) : 0;
}

/* "64M+16M"; without a length, all from there on. */
static int parse_range(const char *text, uint64_t *from, uint64_t *to, struct cdp_err *err)
{
    char offset[32];
    const char *plus = strchr(text, '+');
    size_t n = plus ? (size_t)(plus - text) : sizeof offset;
    uint64_t length = UINT64_MAX;
    if (n < sizeof offset) {
        memcpy(offset, text, n);
        offset[n] = '\0';
        if (cdp_opt_size(offset, from) && (plus[1] == '\0' || cdp_opt_size(plus + 1, &length))) {
            *to = length > UINT64_MAX - *from ? UINT64_MAX : *from + length;
            return 0;
        }
    }
    return cdp_err_set(err, CDP_EXIT_USAGE, "--range takes OFFSET+LENGTH, not '%s'", text);
}

/* Lines as they are. */
static int concatenate(struct cat *c, struct cdp_err *err)
{
    struct cdp_progress progress;
    struct cdp_concat_counts counts = {0};
    struct cdp_concat_opts opts = {
        .threads = cdp_flow_threads(&c->flow), .count = c->opt.common.stats != NULL, .progress = &progress};
    uint64_t from = 0, to = 0;
    int rc;
    if (c->opt.range && parse_range(c->opt.range, &from, &to, err) < 0)
        return -1;
    if (c->opt.range && c->inputs.n != 1)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--range takes one file");
    if (c->inputs.n && cdp_flow_inputs(&c->flow, (const char *const *)c->inputs.path, c->inputs.n, err) < 0)
        return -1;
    cdp_progress_begin(&progress, c->opt.common.quiet);
    if (c->opt.range)
        rc = cdp_concat_range(c->inputs.path[0], from, to, &opts, c->flow.out, &counts, err);
    else
        rc = cdp_concat(&c->inputs, &opts, c->flow.out, &counts, err);
    cdp_progress_end(&progress);
    c->flow.counts.in = c->flow.counts.out = counts.lines;
    c->flow.counts.bytes_in = counts.bytes;
    return rc;
}

static int run(struct cat *c, struct cdp_err *err)
{
    struct cdp_flow_ops ops = {
        .worker_open = worker_open, .worker_close = worker_close, .open = open_input, .want = want};
    if (!c->opt.envelope && !c->opt.unwrap && !c->keeps_state)
        return concatenate(c, err);
    if (c->opt.unwrap) {
        ops.begin = begin_unwrapped;
        ops.record = unwrap;
        ops.apply = apply_unwrapped;
    } else {
        ops.block = block;
        ops.apply = apply;
    }
    if (c->inputs.n == 0)
        return 0;
    return cdp_flow_run(&c->flow, &ops, c, (const char *const *)c->inputs.path, c->inputs.n, err);
}

int main(int argc, char **argv)
{
    static struct cat c; /* zeroed */
    struct cdp_err err = {0};
    int rc = cdp_flow_begin(&c.flow, &tool_spec, argc, argv, &c.opt, &err);
    const char *next_state = NULL;
    if (rc == 1) {
        rc = set_up(&c, &err);
        if (rc == 0)
            rc = run(&c, &err);
        next_state = rc == 0 ? c.opt.next_state : NULL;
    }
    int status = cdp_flow_end(&c.flow, rc, &err);
    if (status == 0 && next_state && cdp_intake_save(&c.intake, next_state, &err) < 0) {
        cdp_err_print(&err);
        status = (int)err.exit;
    }
    cdp_intake_free(&c.intake);
    cdp_inputs_free(&c.inputs);
    return status;
}
