/* flow_reader: one record after the other from one operand (flow.h), for merges, look-ups and small files. */
#include "lib/flow_impl.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

#define READER_BLOCK ((size_t)128 << 10)

struct cdp_reader {
    struct cdp_in *in;
    const struct cdp_plan *plan;
    struct cdp_flow *flow; /* whose options and counts apply, or NULL */
    struct cdp_expr_scratch *scratch;
    struct cdp_block block;
    const char *p, *end;
    struct cdp_val *fields;
    uint64_t line_no;
};

static int reader_idle(void *arg, struct cdp_err *err)
{
    struct cdp_flow *f = arg;
    return f->out ? cdp_out_flush(f->out, err) : 0;
}

static struct cdp_reader *reader_open(const char *name, const struct cdp_plan *plan,
                                      const struct cdp_in_opts *opts, struct cdp_err *err)
{
    struct cdp_reader *rd = cdp_mem_zalloc(1, sizeof *rd + sizeof name, err);
    if (!rd)
        return NULL;
    const char **names = (const char **)(void *)(rd + 1);
    names[0] = name;
    rd->plan = plan;
    rd->in = cdp_in_open(names, 1, opts, err);
    rd->fields = cdp_mem_zalloc(cdp_plan_width(plan) + 1, sizeof *rd->fields, err);
    if (!rd->in || !rd->fields) {
        cdp_reader_close(rd);
        return NULL;
    }
    return rd;
}

struct cdp_reader *cdp_reader_open(const char *name, const struct cdp_plan *plan, size_t max_record,
                                   struct cdp_err *err)
{
    struct cdp_in_opts opts = {.block = READER_BLOCK, .max_record = max_record};
    return reader_open(name, plan, &opts, err);
}

struct cdp_reader *cdp_flow_reader(struct cdp_flow *f, const char *name, struct cdp_err *err)
{
    struct cdp_in_opts opts = {
        .block = READER_BLOCK, .max_record = f->common->max_record, .idle = reader_idle, .idle_arg = f};
    struct cdp_reader *rd =
        cdp_flow_inputs(f, &name, 1, err) == 0 ? reader_open(name, f->plan, &opts, err) : NULL;
    if (!rd)
        return NULL;
    rd->flow = f;
    if (f->priv->where && !(rd->scratch = cdp_expr_scratch_new(err))) {
        cdp_reader_close(rd);
        return NULL;
    }
    return rd;
}

const char *cdp_reader_source(struct cdp_reader *rd)
{
    return cdp_in_source_name(rd->in, rd->block.source);
}

/* A line that did not scan and is not blank.  0 where it went to the rejects. */
static int reader_bad_line(struct cdp_reader *rd, const struct cdp_scan_fault *fault, struct cdp_err *err)
{
    const char *source = cdp_reader_source(rd), *end = memchr(rd->p, '\n', (size_t)(rd->end - rd->p));
    size_t byte = (size_t)(fault->at - rd->p) + 1, n = cdp_flow_line_length(rd->p, (size_t)(end - rd->p) + 1);
    if (!rd->flow)
        return cdp_flow_at_fault(source, rd->line_no, byte, fault->what, err);
    rd->flow->counts.in++;
    return cdp_flow_reject(rd->flow, source, rd->line_no, byte, "json", fault->what, rd->p, n, err);
}

/* Counts a good line and asks --where: 1, 0 where it is left out, -1. */
static int reader_wants(struct cdp_reader *rd, const struct cdp_rec *r, struct cdp_err *err)
{
    struct cdp_flow *f = rd->flow;
    if (!f)
        return 1;
    f->counts.in++;
    if (!rd->scratch)
        return 1;
    cdp_expr_scratch_reset(rd->scratch);
    int yes = cdp_expr_test(f->priv->where, rd->scratch, r->fields, r->line, r->len, err);
    if (yes < 0 && err->exit == CDP_EXIT_DATA) {
        char what[sizeof err->msg];
        memcpy(what, err->msg, sizeof what);
        return cdp_flow_reject(f, cdp_reader_source(rd), rd->line_no, 0, "where", what, r->line, r->len, err);
    }
    f->counts.dropped += yes == 0;
    return yes;
}

/* The next block: 1, 0 at the end, -1. */
static int reader_fill(struct cdp_reader *rd, struct cdp_err *err)
{
    int rc = cdp_in_next(rd->in, &rd->block, err);
    if (rc <= 0)
        return rc;
    rd->p = rd->block.data;
    rd->end = rd->p + rd->block.len;
    if (rd->block.first)
        rd->line_no = 0;
    if (rd->flow)
        rd->flow->counts.bytes_in += rd->block.len;
    return 1;
}

int cdp_reader_next(struct cdp_reader *rd, struct cdp_rec *r, uint64_t *line_no, struct cdp_err *err)
{
    for (;;) {
        int rc = rd->p == rd->end ? reader_fill(rd, err) : 1;
        if (rc <= 0)
            return rc;
        struct cdp_scan_fault fault;
        const char *p = rd->p, *next = cdp_scan_line(rd->plan, p, rd->fields, &fault);
        *line_no = ++rd->line_no;
        if (next) {
            rd->p = next;
            *r = (struct cdp_rec){.line = p, .full = (size_t)(next - p), .fields = rd->fields};
            r->len = cdp_flow_line_length(p, r->full);
            if ((rc = reader_wants(rd, r, err)) != 0)
                return rc;
            continue;
        }
        const char *q = p;
        while (*q == ' ' || *q == '\t' || *q == '\r')
            q++;
        if (*q != '\n' && reader_bad_line(rd, &fault, err) < 0)
            return -1;
        if (*q == '\n' && rd->flow)
            rd->flow->counts.blank++;
        rd->p = (const char *)memchr(q, '\n', (size_t)(rd->end - q)) + 1;
    }
}

void cdp_reader_close(struct cdp_reader *rd)
{
    if (!rd)
        return;
    cdp_in_close(rd->in);
    cdp_block_free(&rd->block);
    cdp_expr_scratch_free(rd->scratch);
    free(rd->fields);
    free(rd);
}
