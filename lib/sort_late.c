/* sort_late: see sort_late.h.
 *
 * Workers parse times and encode keys; in turn, each record is judged by the watermark as it stands at its place in the
 * input and, if it is not late, added to what is held (sort_live).  At the end of each block what lies before the watermark
 * goes out: nothing that is taken later can come before it. */
#include "lib/sort_late.h"

#include "lib/mem.h"
#include "lib/sort_live.h"
#include "lib/time.h"

#include <stdlib.h>
#include <string.h>

/* Nine bytes that order instants: 39 bits are seconds since about the year -6742, the others nanoseconds; so the seven
 * bytes that sort_live looks at first tell instants apart that are 8 microseconds from each other. */
#define TIME_KEY 9
#define EARLIEST (-(INT64_C(1) << 38))
#define LONGEST (INT64_C(1) << 40) /* seconds; longer than all times there are */

/* A record on its way to its turn. */
struct item {
    const char *line;
    size_t len, full;
    struct cdp_time time;
    size_t key; /* where its key begins in the worker's keys; it ends where the next one begins */
    uint32_t index;
};

struct worker {
    struct cdp_buf keys;
    struct item *item;
    size_t n, cap;
};

struct stream {
    struct cdp_flow *flow;
    const struct cdp_late_opts *opts;
    int64_t seconds;
    struct cdp_live *live;
    struct cdp_time latest; /* of the records so far */
    bool started;           /* there were some */
    struct cdp_buf last;    /* under unique: the key written last */
    bool any;               /* there was one */
};

static void put_time(struct cdp_time t, unsigned char out[TIME_KEY])
{
    uint64_t sec = t.sec < EARLIEST ? 0 : (uint64_t)(t.sec - EARLIEST);
    uint64_t high = sec << 25 | t.nsec >> 5;
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(high >> (56 - 8 * i));
    out[8] = (unsigned char)(t.nsec & 31);
}

/* ---- in parallel ---- */

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
    cdp_buf_free(&w->keys);
    free(w->item);
    free(w);
}

static int begin(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct worker *w = b->worker;
    (void)tool, (void)err;
    w->n = 0;
    cdp_buf_clear(&w->keys);
    return 0;
}

/* Appends the record's keys.  A cdp_verdict or -1. */
static int encode(const struct stream *s, struct worker *w, const struct cdp_rec *r, struct cdp_time *t,
                  struct cdp_err *err)
{
    struct cdp_val v = r->fields[s->opts->slot];
    if (!cdp_time_from_val(v, CDP_TIME_RFC3339, t)) {
        cdp_err_set(err, CDP_EXIT_DATA, "%s: %s", s->opts->time, cdp_val_none(v) ? "missing" : "not a time");
        return CDP_REC_REJECT;
    }
    unsigned char time[TIME_KEY];
    put_time(*t, time);
    cdp_buf_add(&w->keys, time, sizeof time);
    int rc =
        s->opts->key->n ? cdp_keyspec_encode(s->opts->key, r->fields, s->opts->missing, &w->keys, err) : 0;
    if (rc == 0)
        return cdp_buf_check(&w->keys, err) < 0 ? -1 : CDP_REC_KEEP;
    w->keys.len -= sizeof time;
    return rc > 0 || err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
}

static int record(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    struct worker *w = b->worker;
    struct item *item = cdp_mem_grow(w->item, &w->cap, w->n + 1, sizeof *item, err);
    if (!item)
        return -1;
    w->item = item;
    item += w->n;
    *item =
        (struct item){.line = r->line, .len = r->len, .full = r->full, .key = w->keys.len, .index = r->index};
    int rc = encode(tool, w, r, &item->time, err);
    w->n += rc == CDP_REC_KEEP;
    return rc;
}

/* ---- in turn ---- */

static struct cdp_time watermark(const struct stream *s)
{
    return (struct cdp_time){s->latest.sec - s->seconds, s->latest.nsec};
}

static int take_late(struct stream *s, struct cdp_batch *b, const struct item *item, struct cdp_err *err)
{
    if (s->opts->late) {
        s->flow->counts.dropped++;
        return cdp_out_write(s->opts->late, item->line, item->full, err);
    }
    return cdp_batch_reject(b, item->index, "late", "later than --lateness allows", item->line, item->len,
                            err);
}

/* Under unique: was this key written last?  1, 0 and remembers it, -1. */
static int repeats(struct stream *s, const struct cdp_sorted *r, struct cdp_err *err)
{
    if (s->any && s->last.len == r->key_len && memcmp(s->last.data, r->key, r->key_len) == 0)
        return 1;
    s->any = true;
    cdp_buf_clear(&s->last);
    cdp_buf_add(&s->last, r->key, r->key_len);
    return cdp_buf_check(&s->last, err);
}

/* Writes what lies before the bound (NULL: what is left). */
static int let_go(struct stream *s, const unsigned char *bound, struct cdp_err *err)
{
    struct cdp_sorted r;
    int rc;
    while ((rc = cdp_live_next(s->live, bound, TIME_KEY, &r, err)) == 1) {
        int again = s->opts->unique ? repeats(s, &r, err) : 0;
        if (again < 0)
            return -1;
        if (again) {
            s->flow->counts.dropped++;
            continue;
        }
        s->flow->counts.out++;
        if (cdp_out_write(s->flow->out, r.payload, r.len, err) < 0)
            return -1;
    }
    return rc;
}

static int apply(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct stream *s = tool;
    const struct worker *w = b->worker;
    for (size_t i = 0; i < w->n; i++) {
        const struct item *item = &w->item[i];
        size_t end = i + 1 < w->n ? w->item[i + 1].key : w->keys.len;
        if (s->started && cdp_time_cmp(item->time, watermark(s)) < 0) {
            if (take_late(s, b, item, err) < 0)
                return -1;
            continue;
        }
        if (!s->started || cdp_time_cmp(item->time, s->latest) > 0)
            s->latest = item->time;
        s->started = true;
        uint64_t seq = b->block.seq << 32 | item->index;
        if (cdp_live_add(s->live, w->keys.data + item->key, end - item->key, seq, item->line, item->full,
                         err) < 0)
            return -1;
    }
    unsigned char bound[TIME_KEY];
    put_time(watermark(s), bound);
    return let_go(s, bound, err);
}

static int idle(void *tool, struct cdp_err *err)
{
    struct stream *s = tool;
    return s->opts->late ? cdp_out_flush(s->opts->late, err) : 0;
}

int cdp_late_run(struct cdp_flow *f, const struct cdp_late_opts *opts, struct cdp_err *err)
{
    static const struct cdp_flow_ops ops = {.worker_open = worker_open,
                                            .worker_close = worker_close,
                                            .begin = begin,
                                            .record = record,
                                            .apply = apply,
                                            .idle = idle};
    struct cdp_live_opts live = {cdp_flow_memory(f), f->common->tmpdir};
    struct stream s = {.flow = f, .opts = opts, .live = cdp_live_new(&live, err)};
    s.seconds = opts->seconds < LONGEST ? opts->seconds : LONGEST;
    int rc = s.live ? cdp_flow_run(f, &ops, &s, NULL, 0, err) : -1;
    if (rc == 0)
        rc = let_go(&s, NULL, err);
    cdp_live_free(s.live);
    cdp_buf_free(&s.last);
    return rc;
}
