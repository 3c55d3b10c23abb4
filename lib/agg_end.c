/* agg_end: the rows of all groups in the order of their keys.
 *
 * A sample of the keys says where ranges of keys begin; each group goes to its range; the ranges are sorted and written as
 * rows, by all threads, which go out in order (a sample sort; lib/ordered).  What was spilled takes the way of agg_spill.c
 * instead.
 *
 * Memory: 34 bytes a group, when the sets and indexes that only records need are given back; the rows of two ranges a
 * thread. */
#include "lib/agg_impl.h"

#include "lib/mem.h"
#include "lib/ordered.h"

#include <stdlib.h>
#include <string.h>

#define RANGE 4096       /* groups in a range, about */
#define MOST_RANGES 1024 /* then they are larger */
#define SAMPLES 8        /* keys looked at for each range */

/* ---- threads ---- */

struct team {
    struct cdp_agg *a;
    int (*work)(struct team *t, struct cdp_err *err);
    _Atomic size_t next;       /* work that is not taken yet */
    struct gathered *gathered; /* by part */
    size_t skip;               /* bytes that all keys share */
    struct cdp_entry *split;   /* the first group of each range but the first */
    size_t ranges;
    struct cdp_entry *entry;     /* all groups, by range */
    size_t room;                 /* bytes of entry */
    size_t *start;               /* of each range in entry; and the end */
    struct cdp_ordered *ordered; /* the rows, range by range */
    pthread_mutex_t lock;
    atomic_bool failed;
    struct cdp_err err;
};

/* The groups of a part. */
struct gathered {
    struct cdp_entry *entry;
    size_t room;     /* bytes of entry */
    uint16_t *range; /* of each */
    size_t n;
    size_t *count; /* how many of them go to each range; then where they go */
};

static void fail(struct team *t, const struct cdp_err *err)
{
    pthread_mutex_lock(&t->lock);
    if (!atomic_load(&t->failed))
        t->err = *err;
    atomic_store(&t->failed, true);
    pthread_mutex_unlock(&t->lock);
}

static void *member(void *arg)
{
    struct team *t = arg;
    struct cdp_err err;
    if (t->work(t, &err) < 0)
        fail(t, &err);
    return NULL;
}

/* Runs work on all threads; it shares itself out through next. */
static int run(struct team *t, int (*work)(struct team *t, struct cdp_err *err), struct cdp_err *err)
{
    pthread_t thread[64];
    unsigned n = 0;
    t->work = work;
    atomic_store(&t->next, 0);
    while (n + 1 < t->a->opts.threads && n < 64 && pthread_create(&thread[n], NULL, member, t) == 0)
        n++;
    member(t);
    while (n)
        pthread_join(thread[--n], NULL);
    if (atomic_load(&t->failed)) {
        *err = t->err;
        return -1;
    }
    return 0;
}

/* ---- rows from memory ---- */

/* Bytes that all keys of all parts begin with. */
static size_t common_prefix(const struct cdp_agg *a)
{
    const struct cdp_agg_group *first = NULL;
    size_t common = 0;
    for (size_t i = 0; i < a->parts; i++) {
        const struct cdp_agg_part *p = &a->part[i];
        if (!p->last)
            continue;
        const struct cdp_agg_group *g = cdp_agg_at(&p->arena, p->last);
        if (!first) {
            first = g;
            common = p->common;
        }
        const char *x = cdp_agg_key(first), *y = cdp_agg_key(g);
        size_t same = 0;
        while (same < common && same < p->common && x[same] == y[same])
            same++;
        common = same;
    }
    return common;
}

#define AHEAD 8 /* groups between a prefetch and its use */
#define BYTES_AHEAD 1024

/* Lists the groups of each part, with prefixes of their keys. */
static int gather(struct team *t, struct cdp_err *err)
{
    struct cdp_agg *a = t->a;
    for (size_t i; !atomic_load(&t->failed) && (i = atomic_fetch_add(&t->next, 1)) < a->parts;) {
        struct cdp_agg_part *p = &a->part[i];
        struct gathered *to = &t->gathered[i];
        size_t n = p->groups.used;
        cdp_agg_part_close(p);
        to->room = (n + 1) * sizeof *to->entry;
        to->entry = cdp_mem_map(to->room, err);
        to->range = cdp_mem_alloc(n * sizeof *to->range, err);
        if (!to->entry || !to->range)
            return -1;
        const struct cdp_agg_group *g;
        for (uint32_t ref = p->last; ref; ref = g->before) {
            g = cdp_agg_at(&p->arena, ref);
            __builtin_prefetch((const char *)g - BYTES_AHEAD);
            to->entry[to->n++] = (struct cdp_entry){
                .prefix = cdp_entry_prefix((const unsigned char *)cdp_agg_key(g), g->key_len, t->skip),
                .ref = (uint64_t)i << 48 | (uint64_t)(uintptr_t)g->states};
        }
    }
    return 0;
}

/* One group of each `step`, at a place among them that follows no pattern which keys might have. */
static size_t sample_groups(const struct team *t, size_t step, struct cdp_entry *sample)
{
    size_t n = 0, at = 0, pick = 0;
    for (size_t i = 0; i < t->a->parts; i++)
        for (size_t k = 0; k < t->gathered[i].n; k++)
            if (at++ == pick) {
                sample[n++] = t->gathered[i].entry[k];
                pick = n * step + (n * UINT64_C(0x9E3779B97F4A7C15) >> 32) % step;
            }
    return n;
}

/* Picks the groups that ranges begin with, so that ranges are of about the same size: from an evenly spaced sample. */
static int split_ranges(struct team *t, struct cdp_err *err)
{
    struct cdp_agg *a = t->a;
    size_t groups = 0;
    for (size_t i = 0; i < a->parts; i++)
        groups += t->gathered[i].n;
    t->ranges = groups / RANGE + 1 < MOST_RANGES ? groups / RANGE + 1 : MOST_RANGES;
    size_t step = groups / t->ranges / SAMPLES + 1;
    struct cdp_entry *sample = cdp_mem_alloc((groups / step + 1) * sizeof *sample, err);
    t->split = cdp_mem_alloc(t->ranges * sizeof *t->split, err);
    t->start = cdp_mem_zalloc(t->ranges + 1, sizeof *t->start, err);
    t->room = (groups + 1) * sizeof *t->entry;
    t->entry = cdp_mem_map_table(t->room, err);
    if (!sample || !t->split || !t->start || !t->entry) {
        free(sample);
        return -1;
    }
    size_t n = sample_groups(t, step, sample);
    cdp_entries_sort(sample, n, t->skip, false);
    for (size_t r = 1; r < t->ranges; r++)
        t->split[r - 1] = sample[n * r / t->ranges];
    free(sample);
    return 0;
}

/* How many of n splits, whose prefixes are not below the group's, begin at or before its key. */
static size_t range_among(const struct team *t, const struct cdp_entry *split, size_t n, struct cdp_entry e)
{
    const struct cdp_entry *first = split;
    while (n) {
        const struct cdp_entry *mid = split + n / 2;
        bool before = mid->prefix == e.prefix && cdp_entry_cmp(*mid, e, t->skip) <= 0;
        split = before ? mid + 1 : split;
        n = before ? n - n / 2 - 1 : n / 2;
    }
    return (size_t)(split - first);
}

/* How many ranges begin at or before this group's key, without the first one.  Prefixes are halved in steps that nobody need
 * foretell, and nearly always tell it. */
static size_t range_of(const struct team *t, struct cdp_entry e)
{
    size_t below = 0, splits = t->ranges - 1;
    if (!splits)
        return 0;
    for (size_t n = splits; n > 1;) {
        size_t half = n / 2;
        below += t->split[below + half - 1].prefix < e.prefix ? half : 0;
        n -= half;
    }
    below += t->split[below].prefix < e.prefix;
    if (below < splits && t->split[below].prefix == e.prefix)
        below += range_among(t, t->split + below, splits - below, e);
    return below;
}

static int choose_ranges(struct team *t, struct cdp_err *err)
{
    for (size_t i; !atomic_load(&t->failed) && (i = atomic_fetch_add(&t->next, 1)) < t->a->parts;) {
        struct gathered *g = &t->gathered[i];
        g->count = cdp_mem_zalloc(t->ranges, sizeof *g->count, err);
        if (!g->count)
            return -1;
        for (size_t k = 0; k < g->n; k++) {
            g->range[k] = (uint16_t)range_of(t, g->entry[k]);
            g->count[g->range[k]]++;
        }
    }
    return 0;
}

/* Where each range begins, and each part's groups in it. */
static void place_ranges(struct team *t)
{
    size_t at = 0;
    for (size_t r = 0; r < t->ranges; r++) {
        t->start[r] = at;
        for (size_t i = 0; i < t->a->parts; i++) {
            size_t count = t->gathered[i].count[r];
            t->gathered[i].count[r] = at;
            at += count;
        }
    }
    t->start[t->ranges] = at;
}

static int scatter(struct team *t, struct cdp_err *err)
{
    (void)err;
    for (size_t i; (i = atomic_fetch_add(&t->next, 1)) < t->a->parts;) {
        struct gathered *g = &t->gathered[i];
        for (size_t k = 0; k < g->n; k++)
            t->entry[g->count[g->range[k]]++] = g->entry[k];
        cdp_mem_unmap(g->entry, g->room);
        g->entry = NULL;
    }
    return 0;
}

/* What a thread has to make rows with. */
struct row_maker {
    struct team *team;
    struct cdp_agg_row row;
};

static int make_rows(void *arg, struct cdp_piece *rows, struct cdp_err *err)
{
    struct row_maker *w = arg;
    const struct team *t = w->team;
    size_t from = t->start[rows->number], n = t->start[rows->number + 1] - from;
    struct cdp_entry *e = t->entry + from;
    cdp_entries_sort(e, n, t->skip, false);
    w->row.out = &rows->buf;
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            const char *g = (const char *)cdp_agg_entry_group(e[i + AHEAD]);
            for (int line = -64; line <= 128; line += 64)
                __builtin_prefetch(g + line);
        }
        if (cdp_agg_row_write(&w->row, &t->a->part[e[i].ref >> 48], cdp_agg_entry_group(e[i]), err) < 0)
            return -1;
    }
    return 0;
}

static int write_rows(struct team *t, struct cdp_err *err)
{
    struct row_maker w = {t, {.agg = t->a}};
    int rc = cdp_ordered_make(t->ordered, make_rows, &w, err);
    cdp_agg_row_free(&w.row);
    return rc;
}

static int finish_memory(struct cdp_agg *a, struct cdp_out *out, struct cdp_err *err)
{
    struct team t = {.a = a, .skip = common_prefix(a)};
    int rc = -1;
    pthread_mutex_init(&t.lock, NULL);
    t.gathered = cdp_mem_zalloc(a->parts, sizeof *t.gathered, err);
    if (!t.gathered || run(&t, gather, err) < 0 || split_ranges(&t, err) < 0 ||
        run(&t, choose_ranges, err) < 0)
        goto done;
    place_ranges(&t);
    if (run(&t, scatter, err) < 0)
        goto done;
    t.ordered = cdp_ordered_new(out, a->opts.threads, t.ranges, err);
    rc = t.ordered ? run(&t, write_rows, err) : -1;
done:
    cdp_ordered_free(t.ordered);
    for (size_t i = 0; t.gathered && i < a->parts; i++) {
        cdp_mem_unmap(t.gathered[i].entry, t.gathered[i].room);
        free(t.gathered[i].range);
        free(t.gathered[i].count);
    }
    free(t.gathered);
    free(t.split);
    free(t.start);
    cdp_mem_unmap(t.entry, t.room);
    pthread_mutex_destroy(&t.lock);
    return rc;
}

/* Without keys there is one row, though there may have been no record. */
static int need_one_group(struct cdp_agg *a, struct cdp_err *err)
{
    struct cdp_hash128 h = cdp_hash("", 0);
    bool any = a->bys || a->sort || a->current;
    for (size_t i = 0; i < a->parts; i++)
        any |= a->part[i].last != 0;
    if (any)
        return 0;
    uint32_t group = cdp_agg_group_get(a, a->part, 0, h.lo, "", 0, err);
    if (group && a->opts.sorted)
        a->current = group;
    return group ? 0 : -1;
}

int cdp_agg_finish(struct cdp_agg *a, struct cdp_out *out, struct cdp_err *err)
{
    if (need_one_group(a, err) < 0)
        return -1;
    if (a->opts.sorted) {
        struct cdp_buf rows = {0};
        int rc = cdp_agg_end_current(a, &rows, err);
        if (rc == 0)
            rc = cdp_out_write(out, rows.data, rows.len, err);
        cdp_buf_free(&rows);
        return rc;
    }
    return a->sort ? cdp_agg_finish_spilled(a, out, err) : finish_memory(a, out, err);
}
