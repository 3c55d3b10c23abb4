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
#include "lib/mem.h"
#include "lib/state.h"

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

/* An input with what a state knows of it. */
struct source {
    struct cdp_state_file file;
    bool tracked;         /* a regular file */
    uint64_t from, lines; /* where this run goes on, and the lines before that place */
};

struct cat {
    struct options opt;
    struct cdp_flow flow;
    struct cdp_inputs inputs;
    struct cdp_state state;
    struct source *source; /* of each input, where a state is asked for */
    const char *run_id;
    struct cdp_envelope_slots slots;
    bool unwrapped, pending; /* something was; and it lacks its newline */
};

/* A thread's: the block's records. */
struct worker {
    struct cdp_envelope envelope; /* of `source`, where begun */
    uint32_t source;
    bool begun;
    struct cdp_buf out;
    uint64_t records;
    bool bom, pending; /* unwrapping: before the first record, behind the last one */
};

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
    cdp_envelope_free(&w->envelope);
    cdp_buf_free(&w->out);
    free(w);
}

static int begin(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)tool, (void)err;
    struct worker *w = b->worker;
    cdp_buf_clear(&w->out);
    w->records = 0;
    w->bom = w->pending = false;
    return 0;
}

/* ---- inputs ---- */

static struct cdp_arc *open_input(void *tool, size_t i, struct cdp_err *err)
{
    struct cat *c = tool;
    struct cdp_arc *a = cdp_arc_open(c->inputs.path[i], err);
    if (!a || !c->source || !c->source[i].tracked)
        return a;
    /* Not beyond the size that the state will tell, however the file grows. */
    if (cdp_arc_window(a, c->source[i].from, c->source[i].file.size, err) == 0)
        return a;
    cdp_arc_close(a);
    return NULL;
}

static bool want(void *tool, size_t i, const char *name, bool plain)
{
    struct cat *c = tool;
    if (c->source)
        c->source[i].file.plain = plain;
    return cdp_inputs_within(&c->inputs, name);
}

/* Notes how far a plain file has been read: up to its last newline. */
static void account(struct cat *c, const struct cdp_batch *b)
{
    struct source *s = c->source ? &c->source[b->block.operand] : NULL;
    if (!s || !s->tracked || !s->file.plain)
        return;
    const char *newline = memrchr(b->block.data, '\n', b->block.len - b->block.added_newline);
    if (newline)
        s->file.read = s->from + b->block.offset + (uint64_t)(newline - b->block.data) + 1;
    s->file.lines += b->lines - b->block.added_newline;
}

/* Compares the inputs with the state and leaves out those that are the same. */
static int compare(struct cat *c, struct cdp_err *err)
{
    struct cdp_inputs *in = &c->inputs;
    size_t all = in->n, n = 0;
    if (c->opt.state && cdp_state_load(&c->state, c->opt.state, err) < 0)
        return -1;
    if (!(c->source = cdp_mem_zalloc(all, sizeof *c->source, err)))
        return -1;
    for (size_t i = 0; i < all; i++) {
        struct source *s = &c->source[n];
        char *path = in->path[i];
        struct stat st;
        int verdict = CDP_STATE_NEW;
        s->tracked = strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
        if (s->tracked && (verdict = cdp_state_judge(&c->state, path, &st, &s->file, err)) < 0)
            return -1;
        if (verdict == CDP_STATE_SAME)
            continue;
        s->from = s->file.read;
        s->lines = s->file.lines;
        in->path[i] = in->path[n];
        in->path[n++] = path;
    }
    for (size_t i = n; i < all; i++)
        free(in->path[i]);
    in->n = n;
    return 0;
}

/* After all has been written. */
static int save_state(struct cat *c, const char *next_state, struct cdp_err *err)
{
    for (size_t i = 0; i < c->inputs.n; i++)
        if (c->source[i].tracked && cdp_state_note(&c->state, &c->source[i].file, err) < 0)
            return -1;
    return cdp_state_save(&c->state, next_state, err);
}

/* ---- blocks of lines ---- */

static int pass(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)tool;
    struct worker *w = b->worker;
    w->records = b->lines;
    return cdp_batch_emit(b, b->block.data, b->block.len, b->lines, err);
}

/* Wraps the line at p; gives the next one. */
static const char *wrap_line(struct cat *c, struct cdp_batch *b, const char *p, struct cdp_envelope_line *at)
{
    struct worker *w = b->worker;
    const char *end = b->block.data + b->block.len, *next = end, *error = "longer than --max-record";
    struct cdp_scan_fault fault = {p, NULL};
    struct cdp_val none;
    bool piece = b->block.inside_end || (p == b->block.data && b->block.inside_start);
    size_t byte = 0;
    at->more = b->block.inside_end;
    if (!piece && (next = cdp_scan_line(c->flow.plan, p, &none, &fault)))
        error = cdp_envelope_refuses(&w->envelope, p, (size_t)(next - p) - 1);
    else if (!at->more)
        next = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
    size_t n = (size_t)(next - p) - !at->more;
    if (fault.what && strspn(p, " \t\r") >= n) {
        error = "blank line";
    } else if (fault.what) {
        error = fault.what;
        byte = (size_t)(fault.at - p) + 1;
    }
    at->no_newline = b->block.added_newline && next == end;
    if (error) {
        w->records += cdp_envelope_bad(&w->envelope, at, error, byte, p, n, &w->out);
    } else {
        cdp_envelope_good(&w->envelope, at, p, n, &w->out);
        w->records++;
    }
    return next;
}

static int wrap(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct cat *c = tool;
    struct worker *w = b->worker;
    uint64_t max = c->opt.common.max_record ? c->opt.common.max_record : CDP_MAX_RECORD;
    if (!w->begun || w->source != b->block.source) {
        if (cdp_envelope_source(&w->envelope, c->run_id, cdp_batch_source(b), max, err) < 0)
            return -1;
        w->source = b->block.source;
        w->begun = true;
    }
    struct cdp_envelope_line at = {.number = b->first_line, .bom = b->block.first && b->block.offset == 3};
    if (c->source)
        at.number += c->source[b->block.operand].lines;
    const char *p = b->block.data, *end = p + b->block.len;
    while (p < end) {
        p = wrap_line(c, b, p, &at);
        at.number++;
        at.bom = false;
    }
    if (cdp_buf_check(&w->out, err) < 0)
        return -1;
    return cdp_batch_emit(b, w->out.data, w->out.len, w->records, err);
}

static int apply(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    (void)err;
    struct cat *c = tool;
    const struct worker *w = b->worker;
    c->flow.counts.in += w->records;
    account(c, b);
    return 0;
}

/* ---- unwrapping ---- */

static int unwrap(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    struct cat *c = tool;
    struct worker *w = b->worker;
    struct cdp_envelope_line at;
    /* Only the stream's own last line may lack its newline. */
    if (w->pending)
        cdp_buf_addc(&w->out, '\n');
    w->pending = false;
    if (cdp_envelope_open(&c->slots, r->fields, &at, &w->out, err) < 0)
        return err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
    if (!at.no_newline && !at.more)
        cdp_buf_addc(&w->out, '\n');
    if (w->records++ == 0)
        w->bom = at.bom;
    w->pending = at.no_newline;
    return cdp_buf_check(&w->out, err) < 0 ? -1 : CDP_REC_KEEP;
}

static int apply_unwrapped(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct cat *c = tool;
    const struct worker *w = b->worker;
    if (!w->records)
        return 0;
    if (c->pending && cdp_batch_emit(b, "\n", 1, 0, err) < 0)
        return -1;
    if (w->bom && !c->unwrapped && cdp_batch_emit(b, "\xEF\xBB\xBF", 3, 0, err) < 0)
        return -1;
    c->unwrapped = true;
    c->pending = w->pending;
    return cdp_batch_emit(b, w->out.data ? w->out.data : "", w->out.len, w->records, err);
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
    bool state = o->state || o->next_state;
    if (o->envelope + o->unwrap + (o->range != NULL) > 1)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--envelope, --unwrap and --range exclude each other");
    if (state && (o->unwrap || o->range))
        return cdp_err_set(err, CDP_EXIT_USAGE, "a state cannot be kept with --unwrap or --range");
    if (o->null && !o->files_from)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--null needs --files-from FILE");
    c->run_id = getenv("CDP_RUN_ID");
    if (o->unwrap && cdp_envelope_plan(&c->slots, c->flow.plan, err) < 0)
        return -1;
    /* A list is an operand, too: standard input is not missed then. */
    o->common.operands += o->files_from != NULL;
    int rc = cdp_flow_open(&c->flow, err);
    o->common.operands -= o->files_from != NULL;
    if (rc < 0 || list_inputs(c, err) < 0)
        return -1;
    return state ? compare(c, err) : 0;
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
    struct cdp_flow_ops ops = {.worker_open = worker_open,
                               .worker_close = worker_close,
                               .begin = begin,
                               .open = open_input,
                               .want = want};
    if (!c->opt.envelope && !c->opt.unwrap && !c->source)
        return concatenate(c, err);
    if (c->opt.unwrap) {
        ops.record = unwrap;
        ops.apply = apply_unwrapped;
    } else {
        ops.block = c->opt.envelope ? wrap : pass;
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
    if (status == 0 && next_state && save_state(&c, next_state, &err) < 0) {
        cdp_err_print(&err);
        status = (int)err.exit;
    }
    cdp_state_free(&c.state);
    cdp_inputs_free(&c.inputs);
    free(c.source);
    return status;
}
