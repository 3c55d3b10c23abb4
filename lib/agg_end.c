/* agg_end: the rows of all groups in the order of their keys, and what is spilled before.
 *
 * In memory: a sample of the keys says where ranges of keys begin; each group goes to its range; the ranges are sorted and
 * written as rows, by all threads, and put out in turn (a sample sort).  Spilled: a part's groups become records of a sorter (lib/sort.h),
 *
 *     group's key · 0000                     its states, as JSON
 *     group's key · item + 1 · class         the class's count, and the least value of it
 *     group's key · item + 1 · hash          an entry of a set: 96 bits
 *
 * which come back in that order: no key is a prefix of another, so the records of a group are neighbours, and so are the
 * equal classes and hashes of different spills.  One pass merges them, in the memory of one group's states.
 *
 * Memory: 34 bytes a group, when the sets and indexes that only records need are given back; a range's rows a thread. */
#include "lib/agg_impl.h"

#include "lib/emit.h"
#include "lib/mem.h"
#include "lib/sort.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGE 4096              /* groups in a range, about */
#define MOST_RANGES 1024        /* then they are larger */
#define SAMPLES 8               /* keys looked at for each range */
#define PREFIX sizeof(uint32_t) /* of a spilled payload: the length of the group's key */
#define HASH_BYTES 12

/* ---- spilling ---- */

static struct cdp_sort *need_sorter(struct cdp_agg *a, struct cdp_err *err)
{
    if (atomic_load(&a->sort))
        return a->sort;
    pthread_mutex_lock(&a->making);
    if (!atomic_load(&a->sort)) {
        struct cdp_sort_opts opts = {.memory = a->opts.memory / 4,
                                     .feeds = a->opts.threads,
                                     .threads = a->opts.threads,
                                     .tmpdir = a->opts.tmpdir};
        atomic_store(&a->sort, cdp_sort_new(&opts, err));
    }
    pthread_mutex_unlock(&a->making);
    return a->sort;
}

struct spill {
    struct cdp_agg *a;
    struct cdp_agg_part *p;
    struct cdp_sort *sort;
    unsigned feed;
    struct cdp_buf key, payload;
};

static void begin_record(struct spill *s, const struct cdp_agg_group *g)
{
    cdp_buf_clear(&s->key);
    cdp_buf_clear(&s->payload);
    cdp_buf_add(&s->key, cdp_agg_key(g), g->key_len);
    cdp_buf_add(&s->payload, &g->key_len, PREFIX);
}

static int add_record(struct spill *s, struct cdp_err *err)
{
    if (cdp_buf_check(&s->key, err) < 0 || cdp_buf_check(&s->payload, err) < 0)
        return -1;
    return cdp_sort_add(s->sort, s->feed, s->key.data, s->key.len, atomic_fetch_add(&s->a->seq, 1),
                        s->payload.data, s->payload.len, err);
}

/* [state, …] */
static int spill_group(struct spill *s, const struct cdp_agg_group *g, struct cdp_err *err)
{
    struct cdp_agg_place at = {.part = s->p};
    begin_record(s, g);
    cdp_buf_add(&s->key, "\0", 2);
    cdp_buf_addc(&s->payload, '[');
    for (size_t i = 0; i < s->a->items; i++) {
        const void *state;
        at.item = &s->a->item[i];
        state = g->states + at.item->offset;
        if (i)
            cdp_buf_addc(&s->payload, ',');
        if (at.item->func->class == CDP_AGG_TALLY)
            cdp_emit_uint(&s->payload, *(const uint64_t *)state);
        else if (at.item->func->class == CDP_AGG_SET)
            cdp_buf_addc(&s->payload, '0'); /* counted again when the sets are merged */
        else if (at.item->func->save(&at, state, &s->payload, err) < 0)
            return -1;
    }
    cdp_buf_addc(&s->payload, ']');
    return add_record(s, err);
}

static int spill_class(struct spill *s, const struct cdp_agg_tally *t, struct cdp_err *err)
{
    begin_record(s, cdp_agg_at(&s->p->arena, t->group));
    cdp_buf_add(&s->key, (const char *)t - t->key_len, t->key_len);
    cdp_buf_add(&s->payload, &t->count, sizeof t->count);
    if (t->like.ref)
        cdp_buf_add(&s->payload, cdp_agg_kept_bytes(s->p, &t->like), t->like.len);
    return add_record(s, err);
}

static int spill_hash(struct spill *s, const struct cdp_agg_item *item, struct cdp_agg_hash h,
                      struct cdp_err *err)
{
    begin_record(s, cdp_agg_at(&s->p->arena, h.group));
    cdp_buf_addc(&s->key, (char)((item->index + 1) >> 8));
    cdp_buf_addc(&s->key, (char)(item->index + 1));
    cdp_buf_add(&s->key, &h.hash, sizeof h.hash);
    cdp_buf_add(&s->key, &h.more, sizeof h.more);
    return add_record(s, err);
}

/* A group's hashes that are in its state. */
static int spill_few(struct spill *s, uint32_t group, struct cdp_err *err)
{
    const struct cdp_agg_group *g = cdp_agg_at(&s->p->arena, group);
    for (size_t i = 0; i < s->a->items; i++) {
        const struct cdp_agg_item *item = &s->a->item[i];
        if (item->func->class != CDP_AGG_SET)
            continue;
        const struct cdp_agg_few *few = (const void *)(g->states + item->offset);
        for (size_t k = 0; k < CDP_AGG_FEW && k < few->count; k++)
            if (spill_hash(s, item, (struct cdp_agg_hash){group, few->more[k], few->hash[k]}, err) < 0)
                return -1;
    }
    return 0;
}

static int spill_all(struct spill *s, struct cdp_err *err)
{
    struct cdp_agg_part *p = s->p;
    for (size_t i = 0; i < p->groups.slots; i++) {
        uint32_t ref = p->groups.slot[i].ref;
        if (ref && (spill_group(s, cdp_agg_at(&p->arena, ref), err) < 0 || spill_few(s, ref, err) < 0))
            return -1;
    }
    for (size_t i = 0; i < p->tallies.slots; i++)
        if (p->tallies.slot[i].ref && spill_class(s, cdp_agg_at(&p->arena, p->tallies.slot[i].ref), err) < 0)
            return -1;
    for (size_t i = 0; i < s->a->items; i++) {
        const struct cdp_agg_item *item = &s->a->item[i];
        if (item->func->class != CDP_AGG_SET)
            continue;
        const struct cdp_set *set = &p->set[item->set];
        for (size_t k = 0; set->slot && k < set->slots; k++)
            if ((set->slot[k].hi | set->slot[k].lo) &&
                spill_hash(s, item, cdp_agg_set_entry(set->slot[k]), err) < 0)
                return -1;
    }
    return 0;
}

int cdp_agg_spill(struct cdp_agg *a, struct cdp_agg_part *p, unsigned feed, struct cdp_err *err)
{
    struct spill s = {.a = a, .p = p, .feed = feed};
    int rc = -1;
    if ((s.sort = need_sorter(a, err)))
        rc = spill_all(&s, err);
    cdp_buf_free(&s.key);
    cdp_buf_free(&s.payload);
    cdp_agg_part_clear(a, p);
    return rc;
}

/* ---- threads ---- */

struct team {
    struct cdp_agg *a;
    struct cdp_out *out;
    int (*work)(struct team *t, struct cdp_err *err);
    _Atomic size_t next;       /* work that is not taken yet */
    atomic_uint feeds;         /* of the sorter, in use */
    struct gathered *gathered; /* by part */
    size_t skip;               /* bytes that all keys share */
    struct cdp_entry *split;   /* the first group of each range but the first */
    size_t ranges;
    struct cdp_entry *entry; /* all groups, by range */
    size_t *start;           /* of each range in entry; and the end */
    pthread_mutex_t lock;
    pthread_cond_t turned;
    size_t turn;
    atomic_bool failed;
    struct cdp_err err;
};

/* The groups of a part. */
struct gathered {
    struct cdp_entry *entry;
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
    pthread_cond_broadcast(&t->turned);
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
        if (!p->first)
            continue;
        const struct cdp_agg_group *g = cdp_agg_at(&p->arena, p->first);
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

/* Lists the groups of each part, with eight bytes of their keys. */
static int gather(struct team *t, struct cdp_err *err)
{
    struct cdp_agg *a = t->a;
    for (size_t i; !atomic_load(&t->failed) && (i = atomic_fetch_add(&t->next, 1)) < a->parts;) {
        struct cdp_agg_part *p = &a->part[i];
        struct gathered *to = &t->gathered[i];
        cdp_agg_part_close(p);
        to->entry = cdp_mem_alloc(p->groups.used * sizeof *to->entry, err);
        to->range = cdp_mem_alloc(p->groups.used * sizeof *to->range, err);
        if (!to->entry || !to->range)
            return -1;
        for (size_t k = 0; k < p->groups.slots; k++) {
            if (!p->groups.slot[k].ref)
                continue;
            struct cdp_agg_group *g = cdp_agg_at(&p->arena, p->groups.slot[k].ref);
            to->entry[to->n++].ref = (uint64_t)i << 48 | (uint64_t)(uintptr_t)g->states;
        }
        for (size_t k = 0; k < to->n; k++) {
            if (k + AHEAD < to->n)
                __builtin_prefetch(cdp_entry_payload(to->entry[k + AHEAD]) - sizeof(struct cdp_agg_group) -
                                   16);
            const struct cdp_agg_group *g = cdp_agg_entry_group(to->entry[k]);
            to->entry[k].prefix =
                cdp_entry_prefix((const unsigned char *)cdp_agg_key(g), g->key_len, t->skip);
        }
    }
    return 0;
}

/* Picks the groups that ranges begin with, so that ranges are of about the same size: from an evenly spaced sample. */
static int split_ranges(struct team *t, struct cdp_err *err)
{
    struct cdp_agg *a = t->a;
    size_t groups = 0, n = 0;
    for (size_t i = 0; i < a->parts; i++)
        groups += t->gathered[i].n;
    t->ranges = groups / RANGE + 1 < MOST_RANGES ? groups / RANGE + 1 : MOST_RANGES;
    size_t step = groups / t->ranges / SAMPLES + 1;
    struct cdp_entry *sample = cdp_mem_alloc((groups / step + 1) * sizeof *sample, err);
    t->split = cdp_mem_alloc(t->ranges * sizeof *t->split, err);
    t->start = cdp_mem_zalloc(t->ranges + 1, sizeof *t->start, err);
    t->entry = cdp_mem_alloc(groups * sizeof *t->entry, err);
    if (!sample || !t->split || !t->start || !t->entry) {
        free(sample);
        return -1;
    }
    size_t skipped = 0;
    for (size_t i = 0; i < a->parts; i++)
        for (size_t k = 0; k < t->gathered[i].n; k++)
            if (++skipped == step) {
                sample[n++] = t->gathered[i].entry[k];
                skipped = 0;
            }
    cdp_entries_sort(sample, n, t->skip);
    for (size_t r = 1; r < t->ranges; r++)
        t->split[r - 1] = sample[n * r / t->ranges];
    free(sample);
    return 0;
}

/* How many ranges begin at or before this group's key, without the first one. */
static size_t range_of(const struct team *t, struct cdp_entry e)
{
    const struct cdp_entry *split = t->split;
    size_t n = t->ranges - 1;
    while (n) {
        const struct cdp_entry *mid = split + n / 2;
        bool before =
            mid->prefix < e.prefix || (mid->prefix == e.prefix && cdp_entry_cmp(*mid, e, t->skip) <= 0);
        split = before ? mid + 1 : split;
        n = before ? n - n / 2 - 1 : n / 2;
    }
    return (size_t)(split - t->split);
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
        free(g->entry);
        g->entry = NULL;
    }
    return 0;
}

static int write_range(struct team *t, size_t range, struct cdp_agg_row *row, struct cdp_err *err)
{
    struct cdp_entry *e = t->entry + t->start[range];
    size_t n = t->start[range + 1] - t->start[range];
    cdp_entries_sort(e, n, t->skip);
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            const char *g = (const char *)cdp_agg_entry_group(e[i + AHEAD]);
            for (int line = -64; line <= 128; line += 64)
                __builtin_prefetch(g + line);
        }
        if (cdp_agg_row_write(row, &t->a->part[e[i].ref >> 48], cdp_agg_entry_group(e[i]), err) < 0)
            return -1;
    }
    return 0;
}

/* Waits for the range's turn and puts its rows out.  On a regular file they are written after the turn. */
static int put_range(struct team *t, size_t range, const struct cdp_buf *rows, struct cdp_err *err)
{
    bool aside = cdp_out_seekable(t->out);
    off_t at = 0;
    pthread_mutex_lock(&t->lock);
    while (t->turn != range && !atomic_load(&t->failed))
        pthread_cond_wait(&t->turned, &t->lock);
    pthread_mutex_unlock(&t->lock);
    if (atomic_load(&t->failed))
        return 0;
    int rc = aside ? cdp_out_claim(t->out, rows->len, &at, err)
                   : cdp_out_write(t->out, rows->data, rows->len, err);
    pthread_mutex_lock(&t->lock);
    t->turn++;
    pthread_cond_broadcast(&t->turned);
    pthread_mutex_unlock(&t->lock);
    struct iovec iov = {rows->data, rows->len};
    return rc == 0 && aside ? cdp_out_put(t->out, at, &iov, 1, err) : rc;
}

static int write_ranges(struct team *t, struct cdp_err *err)
{
    struct cdp_buf rows = {0};
    struct cdp_agg_row row = {.agg = t->a, .out = &rows};
    int rc = 0;
    for (size_t i; rc == 0 && !atomic_load(&t->failed) && (i = atomic_fetch_add(&t->next, 1)) < t->ranges;) {
        cdp_buf_clear(&rows);
        rc = write_range(t, i, &row, err);
        if (rc == 0)
            rc = put_range(t, i, &rows, err);
    }
    cdp_agg_row_free(&row);
    cdp_buf_free(&rows);
    return rc;
}

static int finish_memory(struct cdp_agg *a, struct cdp_out *out, struct cdp_err *err)
{
    struct team t = {.a = a, .out = out, .skip = common_prefix(a)};
    int rc = -1;
    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.turned, NULL);
    t.gathered = cdp_mem_zalloc(a->parts, sizeof *t.gathered, err);
    if (!t.gathered || run(&t, gather, err) < 0 || split_ranges(&t, err) < 0 ||
        run(&t, choose_ranges, err) < 0)
        goto done;
    place_ranges(&t);
    if (run(&t, scatter, err) < 0)
        goto done;
    rc = run(&t, write_ranges, err);
done:
    for (size_t i = 0; t.gathered && i < a->parts; i++) {
        free(t.gathered[i].entry);
        free(t.gathered[i].range);
        free(t.gathered[i].count);
    }
    free(t.gathered);
    free(t.split);
    free(t.start);
    free(t.entry);
    pthread_cond_destroy(&t.turned);
    pthread_mutex_destroy(&t.lock);
    return rc;
}

/* ---- rows from spilled records ---- */

struct merging {
    struct cdp_agg *a;
    struct cdp_out *out;
    struct cdp_agg_part part; /* of the one group that is being merged */
    uint32_t group;           /* 0: none yet */
    bool begun;               /* its row */
    struct cdp_agg_row row;
    struct cdp_buf rows;
    struct cdp_buf last; /* key of the class or hash before: the item, the class */
    struct cdp_buf like; /* the least value of that class so far */
    uint64_t count;      /* of that class; 0: there is none */
    struct cdp_buf tmp, tmp2;
};

static struct cdp_agg_group *merged_group(struct merging *m)
{
    return cdp_agg_at(&m->part.arena, m->group);
}

static int begin_row(struct merging *m, struct cdp_err *err)
{
    if (m->begun)
        return 0;
    m->begun = true;
    return cdp_agg_row_begin(&m->row, &m->part, merged_group(m), err);
}

static size_t item_of(const struct cdp_buf *key)
{
    return ((size_t)(unsigned char)key->data[0] << 8 | (unsigned char)key->data[1]) - 1;
}

static struct cdp_val like_value(const struct cdp_buf *like)
{
    return like->len ? cdp_agg_value(like->data, like->len) : (struct cdp_val){0};
}

/* Hands on the class that is complete. */
static int flush_class(struct merging *m, struct cdp_err *err)
{
    if (!m->count)
        return 0;
    uint64_t count = m->count;
    m->count = 0;
    return cdp_agg_row_count(&m->row, item_of(&m->last), like_value(&m->like),
                             m->last.data + CDP_AGG_ITEM_BYTES, count, err);
}

static int end_group(struct merging *m, struct cdp_err *err)
{
    if (!m->group)
        return 0;
    if (begin_row(m, err) < 0 || flush_class(m, err) < 0 || cdp_agg_row_end(&m->row, err) < 0)
        return -1;
    cdp_agg_part_clear(m->a, &m->part);
    m->group = 0;
    m->begun = false;
    cdp_buf_clear(&m->last);
    if (m->rows.len < 1 << 18)
        return 0;
    int rc = cdp_out_write(m->out, m->rows.data, m->rows.len, err);
    cdp_buf_clear(&m->rows);
    return rc;
}

/* The states of one spill of the group. */
static int merge_states(struct merging *m, const char *json, size_t n, struct cdp_err *err)
{
    struct cdp_agg_place at = {.part = &m->part, .group = m->group};
    struct cdp_agg_group *g = merged_group(m);
    cdp_buf_clear(&m->tmp); /* a copy: values are read with some bytes to spare */
    cdp_buf_add(&m->tmp, json, n);
    if (!cdp_buf_reserve(&m->tmp, CDP_PAD))
        return cdp_buf_check(&m->tmp, err);
    struct cdp_iter it = cdp_val_iter(cdp_val_text(m->tmp.data, n));
    for (size_t i = 0; i < m->a->items && cdp_iter_next(&it); i++) {
        at.item = &m->a->item[i];
        void *state = g->states + at.item->offset;
        if (at.item->func->class != CDP_AGG_FOLD)
            *(uint64_t *)state += cdp_agg_integer(it.val);
        else if (at.item->func->load(&at, state, it.val, err) < 0)
            return -1;
    }
    return 0;
}

/* A class or hash of the group: counts up where it is the one before, else begins anew. */
static int merge_value(struct merging *m, const char *key, size_t n, const char *payload, size_t len,
                       struct cdp_err *err)
{
    bool same = m->last.len == n && memcmp(m->last.data, key, n) == 0;
    if (begin_row(m, err) < 0 || (!same && flush_class(m, err) < 0))
        return -1;
    if (!same) {
        cdp_buf_clear(&m->last);
        cdp_buf_add(&m->last, key, n);
        if (cdp_buf_check(&m->last, err) < 0)
            return -1;
    }
    const struct cdp_agg_item *item = &m->a->item[item_of(&m->last)];
    if (item->func->class == CDP_AGG_SET) {
        *(uint64_t *)(void *)(merged_group(m)->states + item->offset) += !same;
        return same ? 0 : cdp_agg_row_upto(&m->row, item->index, err);
    }
    uint64_t count;
    memcpy(&count, payload, sizeof count);
    payload += sizeof count;
    len -= sizeof count;
    struct cdp_val v = len ? cdp_agg_value(payload, len) : (struct cdp_val){0};
    m->count += count;
    if (!same || cdp_agg_prefer(v, like_value(&m->like), key + CDP_AGG_ITEM_BYTES, &m->tmp, &m->tmp2) < 0) {
        cdp_buf_clear(&m->like);
        cdp_buf_add(&m->like, payload, len);
    }
    return cdp_buf_check(&m->like, err) < 0 || cdp_buf_check(&m->tmp, err) < 0 ? -1
                                                                               : cdp_buf_check(&m->tmp2, err);
}

static int merge_record(struct merging *m, const struct cdp_sorted *r, struct cdp_err *err)
{
    const char *key = (const char *)r->key;
    uint32_t n;
    memcpy(&n, r->payload, PREFIX);
    if (m->group) {
        const struct cdp_agg_group *g = merged_group(m);
        if ((g->key_len != n || memcmp(cdp_agg_key(g), key, n) != 0) && end_group(m, err) < 0)
            return -1;
    }
    if (!m->group && !(m->group = cdp_agg_group_get(m->a, &m->part, 0, key, n, err)))
        return -1;
    const char *payload = r->payload + PREFIX;
    size_t len = r->len - PREFIX, rest = r->key_len - n;
    if (rest == 2 && !key[n] && !key[n + 1])
        return merge_states(m, payload, len, err);
    return merge_value(m, key + n, rest, payload, len, err);
}

static int spill_parts(struct team *t, struct cdp_err *err)
{
    struct cdp_agg *a = t->a;
    unsigned feed = atomic_fetch_add(&t->feeds, 1);
    for (size_t i; !atomic_load(&t->failed) && (i = atomic_fetch_add(&t->next, 1)) < a->parts;)
        if (cdp_agg_spill(a, &a->part[i], feed, err) < 0)
            return -1;
    return 0;
}

static int finish_spilled(struct cdp_agg *a, struct cdp_out *out, struct cdp_err *err)
{
    struct team t = {.a = a};
    struct merging m = {.a = a, .out = out, .row = {.agg = a}};
    struct cdp_sorted r;
    int rc = -1;
    m.row.out = &m.rows;
    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.turned, NULL);
    if (cdp_agg_part_init(&m.part, a->sets, err) < 0 || run(&t, spill_parts, err) < 0 ||
        cdp_sort_finish(a->sort, err) < 0)
        goto done;
    while ((rc = cdp_sort_next(a->sort, &r, err)) == 1)
        if ((rc = merge_record(&m, &r, err)) < 0)
            break;
    if (rc == 0)
        rc = end_group(&m, err);
    if (rc == 0)
        rc = cdp_out_write(out, m.rows.data, m.rows.len, err);
done:
    cdp_agg_part_free(a, &m.part);
    cdp_agg_row_free(&m.row);
    cdp_buf_free(&m.rows);
    cdp_buf_free(&m.last);
    cdp_buf_free(&m.like);
    cdp_buf_free(&m.tmp);
    cdp_buf_free(&m.tmp2);
    pthread_cond_destroy(&t.turned);
    pthread_mutex_destroy(&t.lock);
    return rc;
}

/* ---- */

/* Without keys there is one row, though there may have been no record. */
static int need_one_group(struct cdp_agg *a, struct cdp_err *err)
{
    struct cdp_hash128 h = cdp_hash("", 0);
    bool any = a->bys || a->sort || a->current;
    for (size_t i = 0; i < a->parts; i++)
        any |= a->part[i].first != 0;
    if (any)
        return 0;
    uint32_t group = cdp_agg_group_get(a, a->part, h.lo, "", 0, err);
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
    return a->sort ? finish_spilled(a, out, err) : finish_memory(a, out, err);
}
