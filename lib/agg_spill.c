/* agg_spill: groups that go to temporary files, and their rows.
 *
 * A part's groups become records of a sorter (lib/sort.h),
 *
 *     group's key · 0000                     its states, as JSON
 *     group's key · item + 1 · class         the class's count, and the least value of it
 *     group's key · item + 1 · hash          an entry of a set: 96 bits
 *
 * which come back in that order: no key is a prefix of another, so the records of a group are neighbours, and so are the
 * equal classes and hashes of different spills.  One pass merges them, in the memory of one group's states. */
#include "lib/agg_impl.h"

#include "lib/emit.h"
#include "lib/sort.h"

#include <string.h>

#define PREFIX sizeof(uint32_t) /* of a spilled payload: the length of the group's key */
#define ROWS ((size_t)1 << 18)  /* bytes of rows gathered for a write */

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
    const struct cdp_agg_group *g;
    for (uint32_t ref = p->last; ref; ref = g->before) {
        g = cdp_agg_at(&p->arena, ref);
        if (spill_group(s, g, err) < 0 || spill_few(s, ref, err) < 0)
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
    if (m->rows.len < ROWS)
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
    if (!m->group && !(m->group = cdp_agg_group_get(m->a, &m->part, 0, 0, key, n, err)))
        return -1;
    const char *payload = r->payload + PREFIX;
    size_t len = r->len - PREFIX, rest = r->key_len - n;
    if (rest == 2 && !key[n] && !key[n + 1])
        return merge_states(m, payload, len, err);
    return merge_value(m, key + n, rest, payload, len, err);
}

int cdp_agg_finish_spilled(struct cdp_agg *a, struct cdp_out *out, struct cdp_err *err)
{
    struct merging m = {.a = a, .out = out, .row = {.agg = a}};
    struct cdp_sorted r;
    int rc = -1;
    m.row.out = &m.rows;
    if (cdp_agg_part_init(&m.part, a->sets, err) < 0)
        goto done;
    for (size_t i = 0; i < a->parts; i++)
        if (cdp_agg_spill(a, &a->part[i], 0, err) < 0)
            goto done;
    if (cdp_sort_finish(a->sort, err) < 0)
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
    return rc;
}
