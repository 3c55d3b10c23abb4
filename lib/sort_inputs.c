/* sort_inputs: see sort_inputs.h.
 *
 * A loser tree over sources; a source is an operand with its reader, or a run in a temporary file that holds what several
 * operands had.  While there are more sources than may be open at a time, the first ones in the queue are merged into a run,
 * which goes to its end: so no more is written to temporary files than must be.  Runs that wait are open files, too: when
 * they are as many, they are merged first.  Equal keys are told apart by the
 * operand's number and the record's, which runs keep, so that the order of merging does not matter. */
#include "lib/sort_inputs.h"

#include "lib/mem.h"
#include "lib/sort_run.h"
#include "lib/sort_tree.h"

#include <stdlib.h>
#include <sys/resource.h>

#define MIN_OPEN 8
#define MAX_OPEN 256
#define SPARE_FILES 32
#define INPUT_COST ((size_t)512 << 10) /* memory of a reader: its block, the begun line, an unpacker */
#define FRAME ((size_t)64 << 10)
#define RECORD_BITS 40 /* of a sequence number; the rest is the operand's */

struct source {
    const char *name; /* of an operand */
    uint64_t operand, records;
    struct cdp_run *run; /* of a run, owned */
    struct cdp_reader *reader;
    struct cdp_run_reader *run_reader;
    struct cdp_buf key, before; /* of an operand's head, and of the record before it */
    bool any;
    struct cdp_sorted head;
};

struct inputs {
    struct cdp_flow *flow;
    const struct cdp_inputs_opts *opts;
    struct source *queue; /* n that wait: operands, then runs */
    size_t n, runs;
    struct cdp_run_policy policy;
    bool any; /* under unique: `last` is the key written last */
    struct cdp_buf last;
};

static void source_close(struct source *s)
{
    cdp_reader_close(s->reader);
    cdp_run_close(s->run_reader);
    cdp_run_free(s->run);
    cdp_buf_free(&s->key);
    cdp_buf_free(&s->before);
    *s = (struct source){0};
}

static int source_open(struct inputs *in, struct source *s, struct cdp_err *err)
{
    if (s->run)
        s->run_reader = cdp_run_open(s->run, NULL, err);
    else
        s->reader = cdp_flow_reader(in->flow, s->name, err);
    return s->run_reader || s->reader ? 0 : -1;
}

static int compare(const struct cdp_buf *a, const struct cdp_buf *b)
{
    return cdp_sort_cmp((const unsigned char *)a->data, a->len, 0, (const unsigned char *)b->data, b->len, 0,
                        0);
}

/* Encodes the record's key.  1, 0 where the record was rejected, -1. */
static int take_key(struct inputs *in, struct source *s, const struct cdp_rec *r, uint64_t line,
                    struct cdp_err *err)
{
    struct cdp_buf swap = s->before;
    s->before = s->key;
    s->key = swap;
    cdp_buf_clear(&s->key);
    int rc = cdp_keyspec_encode(in->opts->key, r->fields, in->opts->missing, &s->key, err);
    if (rc != 0) {
        swap = s->before; /* the one before is still that */
        s->before = s->key;
        s->key = swap;
        if (rc < 0 && err->exit != CDP_EXIT_DATA)
            return -1;
        char what[sizeof err->msg];
        memcpy(what, err->msg, sizeof what);
        return cdp_flow_reject(in->flow, cdp_reader_source(s->reader), line, 0, "record", what, r->line,
                               r->len, err);
    }
    if (s->any && compare(&s->before, &s->key) > 0)
        return cdp_err_set(err, CDP_EXIT_DATA, "%s:%llu: out of order", cdp_reader_source(s->reader),
                           (unsigned long long)line);
    s->any = true;
    return 1;
}

/* The source's next record as its head: 1, 0 at its end. */
static int source_next(struct inputs *in, struct source *s, struct cdp_err *err)
{
    if (s->run_reader)
        return cdp_run_next(s->run_reader, &s->head, err);
    struct cdp_rec r;
    uint64_t line;
    int rc;
    do {
        rc = cdp_reader_next(s->reader, &r, &line, err);
    } while (rc == 1 && (rc = take_key(in, s, &r, line, err)) == 0);
    if (rc <= 0)
        return rc;
    if (r.full > UINT32_MAX || s->key.len > UINT32_MAX)
        return cdp_err_set(err, CDP_EXIT_IO, "a record of %zu bytes is too large to be merged", r.full);
    s->head = (struct cdp_sorted){.key = (const unsigned char *)s->key.data,
                                  .payload = r.line,
                                  .key_len = (uint32_t)s->key.len,
                                  .len = (uint32_t)r.full,
                                  .seq = s->operand << RECORD_BITS | s->records++};
    return 1;
}

/* ---- merging ---- */

static bool head_before(const void *owner, uint32_t a, uint32_t b)
{
    const struct source *s = owner;
    const struct cdp_sorted *x = &s[a].head, *y = &s[b].head;
    return cdp_sort_cmp(x->key, x->key_len, x->seq, y->key, y->key_len, y->seq, 0) < 0;
}

/* Not after a common prefix: inputs that go on without end never tell what all keys share. */
static uint64_t head_prefix(const struct source *s)
{
    return cdp_entry_prefix(s->head.key, s->head.key_len, 0);
}

static int write_out(struct inputs *in, const struct cdp_sorted *r, struct cdp_err *err)
{
    if (in->opts->unique) {
        if (in->any && in->last.len == r->key_len &&
            (r->key_len == 0 || memcmp(in->last.data, r->key, r->key_len) == 0)) {
            in->flow->counts.dropped++;
            return 0;
        }
        in->any = true;
        cdp_buf_clear(&in->last);
        cdp_buf_add(&in->last, r->key, r->key_len);
        if (cdp_buf_check(&in->last, err) < 0)
            return -1;
    }
    in->flow->counts.out++;
    return cdp_out_write(in->flow->out, r->payload, r->len, err);
}

/* Merges k sources into the run, or into the output where that is NULL. */
static int merge(struct inputs *in, struct source *s, uint32_t k, struct cdp_run_writer *run,
                 struct cdp_err *err)
{
    struct cdp_tree tree;
    if (cdp_tree_init(&tree, k, head_before, s, err) < 0)
        return -1;
    int rc = 0;
    for (uint32_t i = 0; i < k && rc >= 0; i++) {
        rc = source_open(in, &s[i], err);
        if (rc == 0)
            rc = source_next(in, &s[i], err);
        tree.done[i] = rc == 0;
        tree.prefix[i] = rc == 1 ? head_prefix(&s[i]) : UINT64_MAX;
    }
    if (rc >= 0)
        cdp_tree_build(&tree);
    uint32_t top;
    while (rc >= 0 && !tree.done[top = cdp_tree_top(&tree)]) {
        rc = run ? cdp_run_add(run, &s[top].head, err) : write_out(in, &s[top].head, err);
        if (rc == 0)
            rc = source_next(in, &s[top], err);
        if (rc == 1) {
            tree.prefix[top] = head_prefix(&s[top]);
            cdp_tree_replay(&tree);
        } else if (rc == 0) {
            cdp_tree_end(&tree);
        }
    }
    cdp_tree_free(&tree);
    for (uint32_t i = 0; i < k; i++)
        source_close(&s[i]);
    return rc < 0 ? -1 : 0;
}

/* Merges k of the queue into a run at its end. */
static int merge_to_run(struct inputs *in, size_t from, size_t k, struct cdp_err *err)
{
    struct source *s = in->queue + from;
    struct cdp_run_writer *w = cdp_run_create(in->flow->common->tmpdir, FRAME, 2, &in->policy, err);
    if (!w)
        return -1;
    for (size_t i = 0; i < k; i++)
        in->runs -= s[i].run != NULL;
    if (merge(in, s, (uint32_t)k, w, err) < 0) {
        cdp_run_abandon(w);
        return -1;
    }
    struct cdp_run *run = cdp_run_finish(w, err);
    if (!run)
        return -1;
    in->n -= k;
    memmove(s, s + k, (in->n - from) * sizeof *s);
    in->queue[in->n++] = (struct source){.run = run};
    in->runs++;
    return 0;
}

static size_t most_open(const struct cdp_flow *f)
{
    size_t most = cdp_flow_memory(f) / INPUT_COST;
    struct rlimit limit; /* as many again are runs that wait */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 2 * most + SPARE_FILES)
        most = limit.rlim_cur > SPARE_FILES ? (limit.rlim_cur - SPARE_FILES) / 2 : 0;
    return most < MIN_OPEN ? MIN_OPEN : most > MAX_OPEN ? MAX_OPEN : most;
}

int cdp_inputs_merge(struct cdp_flow *f, const struct cdp_inputs_opts *opts, const char *const *name,
                     size_t n, struct cdp_err *err)
{
    struct inputs in = {.flow = f, .opts = opts};
    size_t most = most_open(f);
    in.queue = cdp_mem_zalloc(n + 1, sizeof *in.queue, err);
    if (!in.queue)
        return -1;
    for (; in.n < n; in.n++)
        in.queue[in.n] = (struct source){.name = name[in.n], .operand = in.n};
    int rc = 0;
    while (rc == 0 && in.n > most) {
        size_t surplus = in.n - most + 1;
        if (in.runs >= most)
            rc = merge_to_run(&in, in.n - in.runs, most, err);
        else
            rc = merge_to_run(&in, 0, surplus < most ? surplus : most, err);
    }
    if (rc == 0)
        rc = merge(&in, in.queue, (uint32_t)in.n, NULL, err);
    for (size_t i = 0; i < in.n; i++)
        source_close(&in.queue[i]);
    free(in.queue);
    cdp_buf_free(&in.last);
    return rc;
}
