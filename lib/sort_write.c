/* sort_write: the last merge, on all threads (a part of sort).
 *
 * The order is cut into parts by splits, which are sampled from the slices in memory or taken from the runs' places.  Each
 * thread merges one part after the other from its own cursors into a buffer (lib/ordered).  A part that turns out larger than
 * that is written piecewise in its turn.  Lines in memory are fetched into the cache a batch before they are copied. */
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/ordered.h"
#include "lib/sort_private.h"

#include <stdlib.h>

#define BATCH 32   /* lines fetched ahead */
#define SAMPLES 16 /* a part */
#define MIN_BUFFER ((size_t)64 << 10)
#define MAX_BUFFER ((size_t)64 << 20)

/* Where the order is cut: n splits, n + 1 parts. */
struct splits {
    struct cdp_split *split;
    size_t n, cap;
};

static int add_split(struct splits *list, struct cdp_split split, bool unique, struct cdp_err *err)
{
    struct cdp_split *grown = cdp_mem_grow(list->split, &list->cap, list->n + 1, sizeof split, err);
    if (!grown)
        return -1;
    list->split = grown;
    if (unique)
        split.seq = 0; /* equal keys stay in one part */
    grown[list->n++] = split;
    return 0;
}

/* Samples the slices at regular distances and cuts after every SAMPLES samples. */
static int split_slices(const struct cdp_sort *s, size_t parts, struct splits *list, struct cdp_err *err)
{
    size_t n = 0, got = 0;
    for (size_t i = 0; i < s->slices; i++)
        n += s->slice[i].n;
    size_t step = n / (parts * SAMPLES) + 1;
    struct cdp_entry *sample = cdp_mem_alloc((n / step + 1) * sizeof *sample, err);
    if (!sample)
        return -1;
    size_t at = 0; /* steps run on from slice to slice */
    for (size_t i = 0; i < s->slices; i++) {
        for (; at < s->slice[i].n; at += step)
            sample[got++] = s->slice[i].entry[at];
        at -= s->slice[i].n;
    }
    cdp_entries_sort(sample, got, s->skip, false);
    int rc = 0;
    for (size_t i = SAMPLES; rc == 0 && i < got; i += SAMPLES) {
        struct cdp_sorted r;
        cdp_entry_record(sample[i], &r);
        struct cdp_split split = {.key = r.key, .key_len = r.key_len, .seq = r.seq};
        rc = add_split(list, split, s->opts.unique, err);
    }
    free(sample);
    return rc;
}

struct place {
    const struct cdp_run_point *point;
    uint64_t bytes; /* of the run from this place to the next */
};

static int by_place(const void *a, const void *b)
{
    const struct cdp_run_point *x = ((const struct place *)a)->point, *y = ((const struct place *)b)->point;
    return cdp_sort_cmp(x->key, x->key_len, x->seq, y->key, y->key_len, y->seq, 0);
}

/* Takes the runs' places in order and cuts whenever `part` bytes lie between. */
static int split_runs(const struct cdp_sort *s, uint64_t part, struct splits *list, struct cdp_err *err)
{
    size_t n = 0, got = 0;
    for (size_t i = 0; i < s->runs; i++)
        n += s->run[i]->points;
    struct place *place = cdp_mem_alloc(n * sizeof *place, err);
    if (!place)
        return -1;
    for (size_t i = 0; i < s->runs; i++) {
        const struct cdp_run *run = s->run[i];
        for (size_t j = 0; j < run->points; j++) {
            uint64_t end = j + 1 < run->points ? run->point[j + 1].offset : run->bytes;
            place[got++] = (struct place){&run->point[j], end - run->point[j].offset};
        }
    }
    qsort(place, n, sizeof *place, by_place);
    int rc = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (bytes >= part) {
            const struct cdp_run_point *p = place[i].point;
            struct cdp_split split = {.key = p->key, .key_len = p->key_len, .seq = p->seq};
            rc = add_split(list, split, s->opts.unique, err);
            bytes = 0;
        }
        bytes += place[i].bytes;
    }
    free(place);
    return rc;
}

/* ---- parts ---- */

struct writing {
    struct splits splits;
    struct cdp_out *out;
    struct cdp_ordered *ordered;
    size_t buffer;
};

/* What a thread makes. */
struct part {
    const struct cdp_sort *sort;
    struct writing *w;
    struct cdp_piece *piece;
    uint64_t records; /* of all its pieces */
};

/* In its turn, writes what the part has so far. */
static int part_flush(struct part *p, struct cdp_err *err)
{
    struct cdp_buf *buf = &p->piece->buf;
    if (cdp_ordered_turn(p->w->ordered, p->piece, err) < 0)
        return -1;
    int rc = cdp_out_write(p->w->out, buf->data, buf->len, err);
    cdp_buf_clear(buf);
    return rc;
}

/* wide: CDP_BUF_WIDE bytes of the payload can be read. */
static inline int part_add(struct part *p, const char *payload, size_t len, bool wide, struct cdp_err *err)
{
    struct cdp_buf *buf = &p->piece->buf;
    p->records++;
    if (p->w->buffer - buf->len < len) {
        if (part_flush(p, err) < 0)
            return -1;
        if (p->w->buffer < len)
            return cdp_out_write(p->w->out, payload, len, err);
    }
    if (wide)
        cdp_buf_add_wide(buf, payload, len);
    else
        cdp_buf_add(buf, payload, len);
    return 0;
}

static int gather(struct part *p, struct cdp_merge *m, struct cdp_err *err)
{
    struct cdp_entry batch[BATCH];
    for (;;) {
        size_t n = 0;
        while (n < BATCH && cdp_merge_entry(m, &batch[n])) {
            const char *line = cdp_entry_payload(batch[n]);
            size_t len = batch[n].ref >> 48, ahead = len < 1024 ? len : 1024;
            for (size_t i = 0; i < ahead + 63; i += 64)
                __builtin_prefetch(line + i);
            n++;
        }
        if (n == 0)
            return 0;
        for (size_t i = 0; i < n; i++) {
            size_t len = batch[i].ref >> 48;
            if (len == CDP_ENTRY_LONG)
                len = cdp_entry_head(batch[i]).len;
            if (part_add(p, cdp_entry_payload(batch[i]), len, true, err) < 0)
                return -1;
        }
    }
}

static int copy_runs(struct part *p, struct cdp_merge *m, struct cdp_err *err)
{
    struct cdp_sorted r;
    int rc;
    while ((rc = cdp_merge_next(m, &r, err)) == 1)
        if (part_add(p, r.payload, r.len, false, err) < 0)
            return -1;
    return rc;
}

static int make_part(void *arg, struct cdp_piece *piece, struct cdp_err *err)
{
    struct part *p = arg;
    const struct cdp_sort *s = p->sort;
    const struct splits *splits = &p->w->splits;
    size_t i = piece->number;
    const struct cdp_split *from = i ? &splits->split[i - 1] : NULL;
    const struct cdp_split *to = i < splits->n ? &splits->split[i] : NULL;
    bool unique = s->opts.unique;
    p->piece = piece;
    if (!cdp_buf_reserve(&piece->buf, p->w->buffer + CDP_BUF_WIDE))
        return cdp_buf_check(&piece->buf, err);
    struct cdp_merge *m = s->runs ? cdp_merge_runs(s->run, s->runs, unique, from, to, err)
                                  : cdp_merge_slices(s->slice, s->slices, s->skip, unique, from, to, err);
    if (!m)
        return -1;
    int rc = s->runs ? copy_runs(p, m, err) : gather(p, m, err);
    cdp_merge_free(m);
    return rc;
}

static int write_parts(struct cdp_team *team, struct cdp_err *err)
{
    struct cdp_sort *s = team->sort;
    struct part part = {.sort = s, .w = team->job};
    int rc = cdp_ordered_make(part.w->ordered, make_part, &part, err);
    pthread_mutex_lock(&s->lock);
    s->stats.out += part.records;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* As many threads as readers of all runs, and buffers, have room for. */
static unsigned plan_runs(const struct cdp_sort *s, size_t *buffer)
{
    size_t cost = cdp_run_list_cost(s->run, s->runs), memory = s->opts.memory;
    unsigned threads = (unsigned)cdp_sort_clamp(memory / 2 / cost, 1, s->opts.threads);
    *buffer = cdp_sort_clamp(memory / 8 / threads, MIN_BUFFER, MAX_BUFFER);
    return threads;
}

int cdp_sort_write(struct cdp_sort *s, struct cdp_out *out, struct cdp_err *err)
{
    if (s->runs + s->slices == 0)
        return 0;
    struct writing w = {.out = out, .buffer = s->gather};
    unsigned threads = s->opts.threads;
    int rc = 0;
    if (s->runs) {
        threads = plan_runs(s, &w.buffer);
        if (threads > 1)
            rc = split_runs(s, w.buffer / 3 * 2, &w.splits, err);
    } else if (threads > 1) {
        uint64_t bytes = 0;
        for (unsigned i = 0; i < s->opts.feeds; i++)
            bytes += s->feed[i].used;
        rc = split_slices(s, bytes / (w.buffer / 4 * 3) + 1, &w.splits, err);
    }
    if (rc == 0 && !(w.ordered = cdp_ordered_new(out, threads, w.splits.n + 1, err)))
        rc = -1;
    if (rc == 0)
        rc = cdp_team_run(s, threads, write_parts, &w, err);
    cdp_ordered_free(w.ordered);
    free(w.splits.split);
    return rc;
}
