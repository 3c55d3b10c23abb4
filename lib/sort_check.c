/* sort_check: see sort_check.h.
 *
 * Workers compare the neighbours within a block, and the blocks' ends are compared in turn; so the disorder that is named is
 * the first one, however the input was cut into blocks. */
#include "lib/sort_check.h"

#include "lib/mem.h"
#include "lib/sort_entry.h"

#include <stdlib.h>

struct check {
    const struct cdp_check_opts *opts;
    struct cdp_buf last; /* the last key so far */
    bool any;            /* there is one */
};

struct worker {
    struct cdp_buf key;
    struct cdp_buf first, last; /* keys of the block's first record and of the one before */
    uint32_t first_index, wrong_index;
    bool any, wrong;
};

static int worker_open(void *tool, void **worker, struct cdp_err *err)
{
    (void)tool;
    *worker = cdp_mem_zalloc(1, sizeof(struct worker), err);
    return *worker ? 0 : -1;
}

static void worker_close(void *tool, void *worker)
{
    struct worker *w = worker;
    (void)tool;
    cdp_buf_free(&w->key);
    cdp_buf_free(&w->first);
    cdp_buf_free(&w->last);
    free(w);
}

/* May `next` follow `last`? */
static bool follows(const struct check *c, const struct cdp_buf *last, const struct cdp_buf *next)
{
    int order = cdp_sort_cmp((const unsigned char *)last->data, last->len, 0,
                             (const unsigned char *)next->data, next->len, 0, 0);
    return order < 0 || (order == 0 && !c->opts->unique);
}

static int begin(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct worker *w = b->worker;
    (void)tool, (void)err;
    w->any = w->wrong = false;
    return 0;
}

static int record(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    const struct check *c = tool;
    struct worker *w = b->worker;
    cdp_buf_clear(&w->key);
    int rc = cdp_keyspec_encode(c->opts->key, r->fields, c->opts->missing, &w->key, err);
    if (rc != 0)
        return rc > 0 || err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
    if (!w->any) {
        cdp_buf_clear(&w->first);
        cdp_buf_add(&w->first, w->key.data, w->key.len);
        w->first_index = r->index;
        w->any = true;
    } else if (!w->wrong && !follows(c, &w->last, &w->key)) {
        w->wrong = true;
        w->wrong_index = r->index;
    }
    struct cdp_buf swap = w->last;
    w->last = w->key;
    w->key = swap;
    return cdp_buf_check(&w->first, err) < 0 ? -1 : CDP_REC_DROP;
}

static int apply(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct check *c = tool;
    const struct worker *w = b->worker;
    if (!w->any)
        return 0;
    bool border = c->any && !follows(c, &c->last, &w->first);
    if (border || w->wrong)
        return cdp_err_set(err, CDP_EXIT_DATA, "%s:%llu: %s", cdp_batch_source(b),
                           (unsigned long long)cdp_batch_line(b, border ? w->first_index : w->wrong_index),
                           c->opts->unique ? "out of order, or a key again" : "out of order");
    cdp_buf_clear(&c->last);
    cdp_buf_add(&c->last, w->last.data, w->last.len);
    c->any = true;
    return cdp_buf_check(&c->last, err);
}

int cdp_check_run(struct cdp_flow *f, const struct cdp_check_opts *opts, struct cdp_err *err)
{
    static const struct cdp_flow_ops ops = {.worker_open = worker_open,
                                            .worker_close = worker_close,
                                            .begin = begin,
                                            .record = record,
                                            .apply = apply};
    struct check c = {.opts = opts};
    int rc = cdp_flow_run(f, &ops, &c, NULL, 0, err);
    cdp_buf_free(&c.last);
    return rc;
}
