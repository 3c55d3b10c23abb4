/* sort_live: see sort_live.h.
 *
 * A binary heap of records in memory, each an allocation of its own, and a few sorted runs in temporary files, of which only
 * the front is read.  When the heap exceeds its memory it becomes a run.  A run goes when its last record has been
 * taken; when there are FAN runs, what is left of them becomes one.  So a record is written about log_FAN(held / memory)
 * times, and memory is the limit and FAN frames.
 *
 * Cost: a push is a few comparisons, a pop log2 of the records held; comparisons look at the first seven key bytes, so these
 * should tell most keys apart. */
#include "lib/sort_live.h"

#include "lib/mem.h"
#include "lib/sort_entry.h"
#include "lib/sort_run.h"

#include <stdlib.h>

#define FAN 16
#define FRAME ((size_t)64 << 10)
#define MIN_FRAME ((size_t)4 << 10)
#define OVERHEAD 16 /* of an allocation */

struct front {
    struct cdp_run *run;
    struct cdp_run_reader *reader;
    struct cdp_sorted head;
};

struct cdp_live {
    struct cdp_live_opts opts;
    size_t frame;
    struct cdp_entry *heap; /* the least on top; prefixes from the keys' beginnings */
    size_t n, cap, bytes;
    struct front front[FAN];
    unsigned fronts;
    int taken; /* what cdp_live_next gave out: TAKEN_HEAP, a front, or nothing */
    struct cdp_run_policy policy;
    uint64_t runs;
};

enum { TAKEN_NONE = -2, TAKEN_HEAP = -1 };

struct cdp_live *cdp_live_new(const struct cdp_live_opts *opts, struct cdp_err *err)
{
    struct cdp_live *l = cdp_mem_zalloc(1, sizeof *l, err);
    if (!l)
        return NULL;
    l->opts = *opts;
    l->taken = TAKEN_NONE;
    l->frame = opts->memory / 64 < MIN_FRAME ? MIN_FRAME
               : opts->memory / 64 > FRAME   ? FRAME
                                             : opts->memory / 64;
    return l;
}

/* The allocation of an entry's record begins with its key. */
static void free_record(struct cdp_entry e)
{
    free((void *)(uintptr_t)cdp_entry_key(e, cdp_entry_head(e)));
}

static size_t record_cost(size_t key_len, size_t len)
{
    return CDP_ENTRY_COST + OVERHEAD + key_len + len;
}

static void front_close(struct front *f)
{
    cdp_run_close(f->reader);
    cdp_run_free(f->run);
    *f = (struct front){0};
}

void cdp_live_free(struct cdp_live *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        free_record(l->heap[i]);
    for (unsigned i = 0; i < l->fronts; i++)
        front_close(&l->front[i]);
    free(l->heap);
    free(l);
}

uint64_t cdp_live_runs(const struct cdp_live *l)
{
    return l->runs;
}

/* ---- the heap ---- */

static bool before(struct cdp_entry a, struct cdp_entry b)
{
    return a.prefix != b.prefix ? a.prefix < b.prefix : cdp_entry_cmp(a, b, 0) < 0;
}

static void push(struct cdp_live *l, struct cdp_entry e)
{
    size_t i = l->n++;
    while (i && before(e, l->heap[(i - 1) / 2])) {
        l->heap[i] = l->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    l->heap[i] = e;
}

/* Takes the top off: its place goes down to a leaf along the lesser children, and the last entry from there up. */
static void pop(struct cdp_live *l)
{
    size_t i = 0, n = --l->n;
    struct cdp_entry last = l->heap[n];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(l->heap[child + 1], l->heap[child]))
            child++;
        l->heap[i] = l->heap[child];
    }
    while (i && before(last, l->heap[(i - 1) / 2])) {
        l->heap[i] = l->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    l->heap[i] = last;
}

/* ---- runs ---- */

static int front_open(struct cdp_live *l, struct cdp_run_writer *w, struct cdp_err *err)
{
    struct front *f = &l->front[l->fronts];
    f->run = cdp_run_finish(w, err);
    if (!f->run)
        return -1;
    l->fronts++;
    l->runs++;
    f->reader = cdp_run_open(f->run, NULL, err);
    return f->reader && cdp_run_next(f->reader, &f->head, err) == 1 ? 0 : -1;
}

static int least_front(const struct cdp_live *l)
{
    int least = TAKEN_NONE;
    for (unsigned i = 0; i < l->fronts; i++) {
        const struct cdp_sorted *a = &l->front[i].head, *b = least < 0 ? NULL : &l->front[least].head;
        if (!b || cdp_sort_cmp(a->key, a->key_len, a->seq, b->key, b->key_len, b->seq, 0) < 0)
            least = (int)i;
    }
    return least;
}

/* Steps over a front's head; the run goes with its last record. */
static int front_step(struct cdp_live *l, int i, struct cdp_err *err)
{
    struct front *f = &l->front[i];
    int rc = cdp_run_next(f->reader, &f->head, err);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    front_close(f);
    l->front[i] = l->front[--l->fronts];
    l->front[l->fronts] = (struct front){0};
    return 0;
}

static int merge_fronts(struct cdp_live *l, struct cdp_err *err)
{
    struct cdp_run_writer *w = cdp_run_create(l->opts.tmpdir, l->frame, 2, &l->policy, err);
    if (!w)
        return -1;
    for (int i; (i = least_front(l)) >= 0;) {
        if (cdp_run_add(w, &l->front[i].head, err) < 0 || front_step(l, i, err) < 0) {
            cdp_run_abandon(w);
            return -1;
        }
    }
    return front_open(l, w, err);
}

static int spill(struct cdp_live *l, struct cdp_err *err)
{
    if (l->fronts == FAN && merge_fronts(l, err) < 0)
        return -1;
    struct cdp_run_writer *w = cdp_run_create(l->opts.tmpdir, l->frame, 2, &l->policy, err);
    if (!w)
        return -1;
    cdp_entries_sort(l->heap, l->n, 0, false);
    for (size_t i = 0; i < l->n; i++) { /* sorted, it is a heap still */
        struct cdp_entry_head h = cdp_entry_head(l->heap[i]);
        struct cdp_sorted r = {.key = cdp_entry_key(l->heap[i], h),
                               .payload = cdp_entry_payload(l->heap[i]),
                               .key_len = h.key_len,
                               .len = h.len,
                               .seq = h.seq};
        if (cdp_run_add(w, &r, err) < 0) {
            cdp_run_abandon(w);
            return -1;
        }
    }
    for (size_t i = 0; i < l->n; i++)
        free_record(l->heap[i]);
    l->n = l->bytes = 0;
    return front_open(l, w, err);
}

/* ---- in and out ---- */

/* Drops the record that was given out. */
static int settle(struct cdp_live *l, struct cdp_err *err)
{
    int taken = l->taken;
    l->taken = TAKEN_NONE;
    if (taken == TAKEN_HEAP) {
        struct cdp_entry top = l->heap[0];
        struct cdp_entry_head h = cdp_entry_head(top);
        l->bytes -= record_cost(h.key_len, h.len);
        pop(l);
        free_record(top);
    }
    return taken >= 0 ? front_step(l, taken, err) : 0;
}

int cdp_live_add(struct cdp_live *l, const void *key, size_t key_len, uint64_t seq, const void *payload,
                 size_t len, struct cdp_err *err)
{
    if (settle(l, err) < 0)
        return -1;
    if (key_len > UINT32_MAX || len > UINT32_MAX)
        return cdp_err_set(err, CDP_EXIT_IO, "a record of %zu bytes is too large to be held", key_len + len);
    size_t cost = record_cost(key_len, len);
    if (l->n && l->bytes + cost > l->opts.memory && spill(l, err) < 0)
        return -1;
    struct cdp_entry *heap = cdp_mem_grow(l->heap, &l->cap, l->n + 1, sizeof *heap, err);
    if (!heap)
        return -1;
    l->heap = heap;
    char *at = cdp_mem_alloc(key_len + sizeof(struct cdp_entry_head) + len, err);
    if (!at)
        return -1;
    struct cdp_entry e = cdp_entry_make(at, key, (uint32_t)key_len, seq, payload, (uint32_t)len);
    e.prefix = cdp_entry_prefix(key, key_len, 0);
    l->bytes += cost;
    push(l, e);
    return 0;
}

int cdp_live_next(struct cdp_live *l, const void *bound, size_t bound_len, struct cdp_sorted *r,
                  struct cdp_err *err)
{
    if (settle(l, err) < 0)
        return -1;
    int from = least_front(l);
    if (from >= 0)
        *r = l->front[from].head;
    if (l->n) {
        struct cdp_entry top = l->heap[0];
        struct cdp_entry_head h = cdp_entry_head(top);
        const unsigned char *key = cdp_entry_key(top, h);
        if (from < 0 || cdp_sort_cmp(key, h.key_len, h.seq, r->key, r->key_len, r->seq, 0) < 0) {
            *r = (struct cdp_sorted){key, cdp_entry_payload(top), h.key_len, h.len, h.seq};
            from = TAKEN_HEAP;
        }
    }
    if (from == TAKEN_NONE || (bound && cdp_sort_cmp(r->key, r->key_len, 0, bound, bound_len, 0, 0) >= 0))
        return 0;
    l->taken = from;
    return 1;
}
