/* agg_sketch: approx_count_distinct and hll, sketches of the number of distinct values (lib/hll).
 *
 * A state is a pointer to a sketch outside of the arena, made with the first value. */
#include "lib/agg_impl.h"

#include "lib/emit.h"
#include "lib/hll.h"
#include "lib/mem.h"

#include <math.h>
#include <stdlib.h>

/* hll_hash_text of a string's bytes, hll_hash_bigint of an integer, hll_hash_boolean; hll_hash_text of all else as a group
 * key shows it. */
static int take_sketched(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                         const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err)
{
    (void)item, (void)r;
    if (cdp_val_none(v))
        return 0;
    arg->kind = CDP_AGG_VALUE;
    size_t n;
    const char *text;
    struct cdp_num number = CDP_NUM_ZERO;
    int64_t i;
    bool integer;
    switch (v.type) {
    case CDP_STRING:
        text = cdp_val_str(v, &w->tmp, &n);
        arg->hash = cdp_hll_hash(text, n, 0);
        return cdp_buf_check(&w->tmp, err);
    case CDP_FALSE:
    case CDP_TRUE:
        arg->hash = cdp_hll_hash(v.type == CDP_TRUE ? "\1" : "", 1, 0);
        return 0;
    case CDP_NUMBER:
        if (cdp_num_parse(&number, v.p, v.len, err) < 0)
            return -1;
        integer = cdp_num_to_int64(&number, &i);
        cdp_num_free(&number);
        if (integer) {
            arg->hash = cdp_hll_hash_int(i, 0);
            return 0;
        }
        /* fall through */
    default:
        cdp_buf_clear(&w->tmp);
        cdp_buf_clear(&w->tmp2);
        if (cdp_key_value(v, &w->tmp, err) < 0 || cdp_buf_check(&w->tmp, err) < 0)
            return -1;
        cdp_key_decode((const unsigned char *)w->tmp.data, &w->tmp2);
        arg->hash = cdp_hll_hash(w->tmp2.data, w->tmp2.len, 0);
        return cdp_buf_check(&w->tmp2, err);
    }
}

static struct cdp_hll *need_sketch(const struct cdp_agg_place *at, void *state, struct cdp_err *err)
{
    struct cdp_hll **box = state;
    if (!*box) {
        *box = cdp_mem_alloc(sizeof **box, err);
        if (*box) {
            cdp_hll_init(*box, (unsigned)at->item->n, at->item->regwidth);
            at->part->heap += sizeof **box;
        }
    }
    return *box;
}

static int sketch_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                      struct cdp_err *err)
{
    struct cdp_hll *h = need_sketch(at, state, err);
    if (!h)
        return -1;
    size_t before = cdp_hll_bytes(h);
    int rc = cdp_hll_add(h, arg->hash, err);
    at->part->heap += cdp_hll_bytes(h) - before;
    return rc;
}

/* United are sketches of the same parameters only. */
static int sketch_fits(const struct cdp_agg_item *item, struct cdp_val json, struct cdp_err *err)
{
    struct cdp_hll h = {0}, own;
    struct cdp_buf tmp = {0};
    size_t n = 0;
    const char *text = json.type == CDP_STRING ? cdp_val_str(json, &tmp, &n) : "";
    int rc = cdp_buf_check(&tmp, err);
    cdp_hll_init(&own, (unsigned)item->n, item->regwidth);
    if (rc == 0 && cdp_hll_parse(&h, text, n, err) < 0)
        rc = cdp_err_prefix(err, "%s", item->name);
    else if (rc == 0 && (h.log2m != own.log2m || h.regwidth != own.regwidth || h.cutoff != own.cutoff))
        rc = cdp_err_set(err, CDP_EXIT_DATA, "%s: a sketch of other parameters", item->name);
    cdp_hll_free(&h);
    cdp_buf_free(&tmp);
    return rc;
}

static int sketch_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    struct cdp_hll *h = need_sketch(at, state, err), other;
    size_t n;
    if (!h)
        return -1;
    cdp_buf_clear(&at->part->tmp);
    const char *text = cdp_val_str(json, &at->part->tmp, &n);
    if (cdp_agg_part_check(at->part, err) < 0 || cdp_hll_parse(&other, text, n, err) < 0)
        return -1;
    size_t before = cdp_hll_bytes(h);
    int rc = cdp_hll_union(h, &other, err);
    at->part->heap += cdp_hll_bytes(h) - before;
    cdp_hll_free(&other);
    return rc;
}

static int sketch_save(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                       struct cdp_err *err)
{
    struct cdp_hll *const *box = state, empty;
    struct cdp_buf text = {0};
    cdp_hll_init(&empty, (unsigned)at->item->n, at->item->regwidth);
    cdp_hll_format(*box ? *box : &empty, &text);
    cdp_emit_string(out, text.data, text.len);
    int rc = cdp_buf_check(&text, err);
    cdp_buf_free(&text);
    return rc;
}

static int sketch_finish(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                         struct cdp_err *err)
{
    (void)at, (void)err;
    struct cdp_hll *const *box = state;
    cdp_emit_uint(out, *box ? (uint64_t)llround(cdp_hll_cardinality(*box)) : 0);
    return 0;
}

static void sketch_free(const struct cdp_agg_part *p, void *state)
{
    (void)p;
    struct cdp_hll **box = state;
    if (*box)
        cdp_hll_free(*box);
    free(*box);
    *box = NULL;
}

#define SKETCH                                                                                               \
    .state = "hll", .shape = "v", .fits = sketch_fits, .args = CDP_AGG_SKETCH,                               \
    .size = sizeof(struct cdp_hll *), .take = take_sketched, .add = sketch_add, .load = sketch_load,         \
    .save = sketch_save, .free = sketch_free

const struct cdp_agg_func cdp_agg_sketch_funcs[] = {
    {SKETCH, .name = "approx_count_distinct", .finish = sketch_finish},
    {SKETCH, .name = "hll", .finish = sketch_save},
    {0},
};
