/* flow: see flow.h.  Here: what is done to one block; the threads that do it are in flow_work.c. */
#include "lib/flow.h"

#include "lib/emit.h"
#include "lib/flow_impl.h"
#include "lib/mem.h"
#include "lib/name.h"
#include "lib/utf8.h"

#include <stdlib.h>
#include <string.h>

#define LONG_REJECT ((size_t)1 << 20) /* memory for the line of one is not kept past that */
#define CLAIM ((size_t)32 << 10)      /* smaller output is gathered instead of being placed */

/* ---- a block's lines ---- */

static int add_reject(struct cdp_batch *b, uint32_t line, size_t byte, const char *rule, const char *message,
                      const char *raw, size_t n, struct cdp_err *err)
{
    struct cdp_batch_private *own = b->priv;
    struct cdp_flow_fault *r = cdp_mem_grow(own->reject, &own->reject_cap, own->rejects + 1, sizeof *r, err);
    if (!r)
        return -1;
    own->reject = r;
    r[own->rejects++] = (struct cdp_flow_fault){line, byte, rule, own->messages.len, raw, n};
    cdp_buf_add(&own->messages, message, strlen(message) + 1);
    own->counts.rejected++;
    own->bad = own->run->rejects == NULL;
    return cdp_buf_check(&own->messages, err);
}

/* A line that did not scan: blank, or bad.  Returns where the next one begins. */
static const char *bad_line(struct cdp_batch *b, const char *p, const struct cdp_scan_fault *fault,
                            struct cdp_err *err)
{
    const char *end = b->block.data + b->block.len;
    const char *next = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
    const char *q = p;
    while (*q == ' ' || *q == '\t' || *q == '\r')
        q++;
    if (*q == '\n') {
        b->priv->counts.blank++;
        return next;
    }
    if (add_reject(b, (uint32_t)b->lines, (size_t)(fault->at - p) + 1, "json", fault->what, p,
                   cdp_flow_line_length(p, (size_t)(next - p)), err) < 0)
        return NULL;
    return next;
}

/* For more records, and as many items: one look at the room serves both. */
static __attribute__((noinline)) int make_room(struct cdp_batch *b, struct cdp_err *err)
{
    struct cdp_batch_private *own = b->priv;
    size_t cap = own->line_cap, size = own->run->ops->item_size;
    uint32_t *line_of = cdp_mem_grow(own->line_of, &cap, cap + 1, sizeof *line_of, err);
    if (!line_of)
        return -1;
    own->line_of = line_of;
    if (size) {
        void *item = cdp_mem_grow(b->item, &own->item_cap, cap, size, err);
        if (!item)
            return -1;
        b->item = item;
    }
    own->line_cap = cap;
    return 0;
}

/* A line that scanned: --where, then the tool. */
static int good_line(struct cdp_batch *b, struct cdp_rec *r, struct cdp_err *err)
{
    struct cdp_batch_private *own = b->priv;
    struct cdp_flow_private *run = own->run;
    if (run->where && !run->ops->every) {
        int yes = cdp_expr_test(run->where, own->scratch, r->fields, r->line, r->len, err);
        if (yes < 0)
            goto unusable;
        if (!yes) {
            own->counts.dropped++;
            return 0;
        }
    }
    if (!run->ops->record)
        return 0;
    if (b->records == own->line_cap && make_room(b, err) < 0)
        return -1;
    own->line_of[b->records] = (uint32_t)b->lines;
    r->index = b->records;
    size_t size = run->ops->item_size, bytes = b->bytes.len;
    if (size)
        r->item = (char *)b->item + b->items * size;
    int verdict = run->ops->record(run->tool, b, r, err);
    if (verdict < 0 || cdp_buf_check(&b->bytes, err) < 0)
        return -1;
    b->records++;
    if (verdict == CDP_REC_KEEP) {
        b->items++;
        return 0;
    }
    b->bytes.len = bytes;
    if (verdict == CDP_REC_REJECT)
        return add_reject(b, (uint32_t)b->lines, 0, "record", err->msg, r->line, r->len, err);
    own->counts.dropped++;
    return 0;
unusable:
    if (err->exit != CDP_EXIT_DATA)
        return -1;
    return add_reject(b, (uint32_t)b->lines, 0, "where", err->msg, r->line, r->len, err);
}

int cdp_flow_scan(struct cdp_batch *b, struct cdp_err *err)
{
    struct cdp_batch_private *own = b->priv;
    struct cdp_flow_private *run = own->run;
    const struct cdp_plan *plan = run->flow->plan;
    b->records = 0;
    b->items = 0;
    cdp_buf_clear(&b->bytes);
    own->rejects = own->iovs = 0;
    own->bad = own->late_rejects = false;
    own->counts = (struct cdp_counts){0};
    cdp_buf_clear(&own->messages);
    cdp_expr_scratch_reset(own->scratch);
    if (run->ops->begin && run->ops->begin(run->tool, b, err) < 0)
        return -1;
    if (run->ops->block)
        return run->ops->block(run->tool, b, err);
    b->lines = 0;
    const char *p = b->block.data, *end = p + b->block.len;
    struct cdp_scan_fault fault;
    struct cdp_rec r = {.fields = own->thread->fields, .scratch = own->scratch};
    while (p < end && !own->bad) {
        b->lines++;
        const char *next = cdp_scan_memo(plan, own->thread->memo, p, own->thread->fields, &fault);
        if (!next) {
            if (!(p = bad_line(b, p, &fault, err)))
                return -1;
            continue;
        }
        r.line = p;
        r.full = (size_t)(next - p);
        r.len = cdp_flow_line_length(p, r.full);
        if (good_line(b, &r, err) < 0)
            return -1;
        p = next;
    }
    own->counts.in = b->lines - own->counts.blank;
    return run->ops->end ? run->ops->end(run->tool, b, err) : 0;
}

/* ---- a block's turn ---- */

static int write_reject(struct cdp_flow_private *run, const char *source, uint64_t line, size_t byte,
                        const char *rule, const char *error, const char *raw, size_t n, struct cdp_err *err)
{
    struct cdp_buf *o = &run->line;
    cdp_buf_clear(o);
    cdp_buf_adds(o, "{\"error\":");
    cdp_name_emit(o, error, strlen(error)); /* may hold a name, or be cut inside a letter */
    cdp_buf_adds(o, ",\"rule\":");
    cdp_emit_cstr(o, rule);
    cdp_buf_adds(o, ",\"source\":");
    cdp_name_emit(o, source, strlen(source));
    cdp_buf_adds(o, ",\"line\":");
    cdp_emit_uint(o, line);
    cdp_buf_adds(o, ",\"byte\":");
    if (byte)
        cdp_emit_uint(o, byte);
    else
        cdp_buf_adds(o, "null");
    if (cdp_utf8_fault(raw, raw + n)) {
        cdp_buf_adds(o, ",\"raw_base64\":");
        cdp_emit_base64(o, raw, n);
    } else {
        cdp_buf_adds(o, ",\"raw\":");
        cdp_emit_string(o, raw, n);
    }
    cdp_buf_adds(o, "}\n");
    if (cdp_buf_check(o, err) < 0)
        return -1;
    int rc = cdp_out_write(run->rejects, o->data, o->len, err);
    if (o->cap > LONG_REJECT)
        cdp_buf_free(o);
    return rc;
}

/* byte 0: the line as a whole. */
int cdp_flow_at_fault(const char *source, uint64_t line, size_t byte, const char *what, struct cdp_err *err)
{
    if (byte)
        return cdp_err_set(err, CDP_EXIT_DATA, "%s:%llu:%zu: %s", source, (unsigned long long)line, byte,
                           what);
    return cdp_err_set(err, CDP_EXIT_DATA, "%s:%llu: %s", source, (unsigned long long)line, what);
}

static int by_line(const void *a, const void *b)
{
    const struct cdp_flow_fault *x = a, *y = b;
    return x->line < y->line ? -1 : x->line > y->line;
}

static int write_rejects(struct cdp_batch *b, struct cdp_err *err)
{
    struct cdp_batch_private *own = b->priv;
    const char *source = cdp_batch_source(b);
    if (own->late_rejects) /* in the order of the input, whoever found them */
        qsort(own->reject, own->rejects, sizeof *own->reject, by_line);
    for (size_t i = 0; i < own->rejects; i++) {
        const struct cdp_flow_fault *r = &own->reject[i];
        const char *message = own->messages.data + r->message;
        uint64_t line = b->first_line + r->line - 1;
        if (own->run->rejects) {
            if (write_reject(own->run, source, line, r->byte, r->rule, message, r->raw, r->raw_len, err) < 0)
                return -1;
        } else {
            return cdp_flow_at_fault(source, line, r->byte, message, err);
        }
    }
    return 0;
}

static void add_counts(struct cdp_counts *to, const struct cdp_counts *from)
{
    to->in += from->in;
    to->out += from->out;
    to->dropped += from->dropped;
    to->rejected += from->rejected;
    to->blank += from->blank;
}

/* own->at >= 0 afterwards: the output has a claimed place and is written after the turn. */
static int write_block(struct cdp_batch *b, struct cdp_err *err)
{
    struct cdp_batch_private *own = b->priv;
    struct cdp_out *out = b->flow->out;
    size_t bytes = 0;
    for (size_t i = 0; i < own->iovs; i++)
        bytes += own->iov[i].iov_len;
    if (bytes >= CLAIM && cdp_out_seekable(out))
        return cdp_out_claim(out, bytes, &own->at, err);
    return cdp_out_writev(out, own->iov, own->iovs, err);
}

int cdp_flow_apply(struct cdp_batch *b, struct cdp_err *err)
{
    struct cdp_batch_private *own = b->priv;
    struct cdp_flow_private *run = own->run;
    struct cdp_flow *flow = run->flow;
    struct cdp_err later;
    own->at = -1;
    if (b->block.first || b->block.source != run->source) {
        run->source = b->block.source;
        run->line_no = 1;
    }
    b->first_line = run->line_no;
    run->line_no += b->lines;
    flow->counts.bytes_in += b->block.len;
    int rc = run->ops->apply ? run->ops->apply(run->tool, b, err) : 0;
    if (rc < 0 && err->exit != CDP_EXIT_DATA)
        return -1;
    /* Where apply met a record that is at fault, what it had emitted before that goes out. */
    add_counts(&flow->counts, &own->counts);
    if (write_block(b, rc < 0 ? &later : err) < 0)
        return -1;
    return rc < 0 ? -1 : write_rejects(b, err);
}

/* ---- for tools ---- */

int cdp_batch_emit(struct cdp_batch *b, const char *p, size_t n, uint64_t records, struct cdp_err *err)
{
    struct cdp_batch_private *own = b->priv;
    own->counts.out += records;
    if (n == 0)
        return 0;
    if (own->iovs) {
        struct iovec *last = &own->iov[own->iovs - 1];
        if ((char *)last->iov_base + last->iov_len == p) {
            last->iov_len += n;
            return 0;
        }
    }
    struct iovec *iov = cdp_mem_grow(own->iov, &own->iov_cap, own->iovs + 1, sizeof *iov, err);
    if (!iov)
        return -1;
    own->iov = iov;
    iov[own->iovs++] = (struct iovec){(void *)(uintptr_t)p, n};
    return 0;
}

int cdp_batch_reject(struct cdp_batch *b, uint32_t index, const char *rule, const char *error,
                     const char *raw, size_t n, struct cdp_err *err)
{
    struct cdp_batch_private *own = b->priv;
    if (!own->run->rejects)
        return cdp_flow_at_fault(cdp_batch_source(b), cdp_batch_line(b, index), 0, error, err);
    own->late_rejects = true;
    return add_reject(b, own->line_of[index], 0, rule, error, raw, n, err);
}

int cdp_flow_reject(struct cdp_flow *f, const char *source, uint64_t line_no, size_t byte, const char *rule,
                    const char *error, const char *raw, size_t n, struct cdp_err *err)
{
    struct cdp_flow_private *run = f->priv;
    f->counts.rejected++;
    if (run->rejects)
        return write_reject(run, source, line_no, byte, rule, error, raw, n, err);
    return cdp_flow_at_fault(source, line_no, byte, error, err);
}

uint64_t cdp_batch_line(const struct cdp_batch *b, uint32_t index)
{
    return b->first_line + b->priv->line_of[index] - 1;
}

const char *cdp_batch_source(const struct cdp_batch *b)
{
    return cdp_in_source_name(b->priv->run->in, b->block.source);
}

unsigned cdp_flow_threads(const struct cdp_flow *f)
{
    return f->priv->threads;
}

uint64_t cdp_flow_memory(const struct cdp_flow *f)
{
    return f->common->memory ? f->common->memory : cdp_mem_available() / 4;
}
