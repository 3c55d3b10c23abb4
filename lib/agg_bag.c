/* agg_bag: collect and collect_distinct: the n least values of a group, in order.
 *
 * Least by the order that was asked for, then by value.  A bag takes values until it has twice n of them, then sorts and keeps
 * the first n, and from then on refuses what is not less than the last of these: O(log n) a value, whatever their order.
 *
 * Memory: at most 2 · n values a group (and 16 where n is less), each with its order's key. */
#include "lib/agg_impl.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

/* One value: this, the order's key, the value as it came. */
struct piece {
    uint32_t key, len; /* bytes of key and value */
    char bytes[];
};

struct bag {
    struct piece **piece;
    size_t n, cap;
    bool full; /* the first item->n pieces are the least of those before, in order */
};

static struct cdp_val value_of(const struct piece *p)
{
    return cdp_agg_value(p->bytes + p->key, p->len);
}

static int compare(const struct piece *a, const struct piece *b, struct cdp_agg_part *p, bool spelling)
{
    int c = cdp_agg_compare_bytes(a->bytes, a->key, b->bytes, b->key);
    if (!c)
        c = cdp_agg_compare(value_of(a), value_of(b), &p->tmp, &p->tmp2);
    if (!c && spelling)
        c = cdp_agg_compare_bytes(a->bytes + a->key, a->len, b->bytes + b->key, b->len);
    return c;
}

static int by_order(const void *a, const void *b, void *part)
{
    return compare(*(struct piece *const *)a, *(struct piece *const *)b, part, true);
}

static size_t piece_bytes(const struct piece *p)
{
    return sizeof *p + p->key + p->len + sizeof p;
}

static void drop(struct cdp_agg_part *part, struct piece *p)
{
    part->heap -= piece_bytes(p);
    free(p);
}

/* Sorts, and keeps the least. */
static int settle(const struct cdp_agg_item *item, struct cdp_agg_part *part, struct bag *b,
                  struct cdp_err *err)
{
    qsort_r(b->piece, b->n, sizeof *b->piece, by_order, part);
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++) {
        bool again =
            item->func->distinct && kept && compare(b->piece[kept - 1], b->piece[i], part, false) == 0;
        if (again || kept == item->n)
            drop(part, b->piece[i]);
        else
            b->piece[kept++] = b->piece[i];
    }
    b->n = kept;
    b->full = kept == item->n;
    return cdp_agg_part_check(part, err);
}

static struct bag *need_bag(const struct cdp_agg_place *at, void *state, struct cdp_err *err)
{
    struct bag **box = state;
    if (!*box) {
        *box = cdp_mem_zalloc(1, sizeof **box, err);
        at->part->heap += *box ? sizeof **box : 0;
    }
    return *box;
}

static int put(const struct cdp_agg_place *at, void *state, const char *key, size_t n, struct cdp_val v,
               struct cdp_err *err)
{
    struct bag *b = need_bag(at, state, err);
    if (!b)
        return -1;
    size_t room = at->item->n < 8 ? 16 : at->item->n * 2;
    if (b->n >= room && settle(at->item, at->part, b, err) < 0)
        return -1;
    struct piece **more = cdp_mem_grow(b->piece, &b->cap, b->n + 1, sizeof *more, err);
    if (!more)
        return -1;
    b->piece = more;
    struct piece *p = cdp_mem_alloc(sizeof *p + n + v.len, err);
    if (!p)
        return -1;
    p->key = (uint32_t)n;
    p->len = v.len;
    if (n)
        memcpy(p->bytes, key, n);
    memcpy(p->bytes + n, v.p, v.len);
    at->part->heap += piece_bytes(p);
    if (b->full && compare(p, b->piece[at->item->n - 1], at->part, true) >= 0) {
        drop(at->part, p);
        return cdp_agg_part_check(at->part, err);
    }
    b->piece[b->n++] = p;
    return 0;
}

/* Values that are null take no part. */
static int take(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err)
{
    return cdp_val_none(v) ? 0 : cdp_agg_take_ordered(w, item, v, r, arg, err);
}

static int bag_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                   struct cdp_err *err)
{
    return put(at, state, at->bytes + arg->at, arg->n, cdp_agg_arg_val(arg), err);
}

static int bag_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    struct cdp_iter it = cdp_val_iter(json);
    struct cdp_buf key = {0};
    int rc = 0;
    while (rc == 0 && cdp_iter_next(&it)) {
        struct cdp_iter pair = cdp_val_iter(it.val);
        cdp_buf_clear(&key);
        cdp_iter_next(&pair);
        cdp_agg_unhex(pair.val, &key);
        cdp_iter_next(&pair);
        rc = cdp_buf_check(&key, err);
        if (rc == 0)
            rc = put(at, state, key.data, key.len, pair.val, err);
    }
    cdp_buf_free(&key);
    return rc;
}

static int bag_write(const struct cdp_agg_place *at, const void *state, bool keys, struct cdp_buf *out,
                     struct cdp_err *err)
{
    struct bag *b = *(struct bag *const *)state;
    /* Groups of one part are written by several threads at a time, so its buffers are nobody's. */
    struct cdp_agg_part own = {0};
    int rc = b ? settle(at->item, &own, b, err) : 0;
    cdp_buf_free(&own.tmp);
    cdp_buf_free(&own.tmp2);
    if (rc < 0)
        return -1;
    cdp_buf_addc(out, '[');
    for (size_t i = 0; b && i < b->n; i++) {
        const struct piece *p = b->piece[i];
        if (i)
            cdp_buf_addc(out, ',');
        if (keys) {
            cdp_buf_addc(out, '[');
            cdp_agg_hex(p->bytes, p->key, out);
            cdp_buf_addc(out, ',');
        }
        cdp_buf_add(out, p->bytes + p->key, p->len);
        if (keys)
            cdp_buf_addc(out, ']');
    }
    cdp_buf_addc(out, ']');
    return 0;
}

static int bag_save(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                    struct cdp_err *err)
{
    return bag_write(at, state, true, out, err);
}

static int bag_finish(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                      struct cdp_err *err)
{
    return bag_write(at, state, false, out, err);
}

static void bag_free(const struct cdp_agg_part *part, void *state)
{
    (void)part;
    struct bag **box = state;
    for (size_t i = 0; *box && i < (*box)->n; i++)
        free((*box)->piece[i]);
    if (*box)
        free((*box)->piece);
    free(*box);
    *box = NULL;
}

#define BAG                                                                                                  \
    .state = "collect", .shape = "*(xv)", .size = sizeof(struct bag *), .take = take, .add = bag_add,        \
    .load = bag_load, .save = bag_save, .finish = bag_finish, .free = bag_free

const struct cdp_agg_func cdp_agg_bag_funcs[] = {
    {BAG, .name = "collect", .args = CDP_AGG_COUNT_KEYS},
    {BAG, .name = "collect_distinct", .args = CDP_AGG_COUNT, .distinct = true},
    {0}};
