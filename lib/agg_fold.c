/* agg_fold: functions whose state has a fixed size, or nearly: count, sum, avg, stddev, any, all, min, max, first, last,
 * min_by, max_by.
 *
 * A sum is one 64-bit integer and a scale for as long as that is exact, which it is for nearly all data; what does not fit goes
 * to a cdp_sum beside it.  stddev keeps the exact sums of x and of x² and takes one root at the end:
 * s = √((n · Σx² - (Σx)²) / (n · (n - 1))), the sample's. */
#include "lib/agg_impl.h"

#include "lib/emit.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS 18         /* of avg and stddev */
#define ROOT_DIGITS 80    /* of what stddev takes the root of: far more than could change its last digit */
#define SQUARE_REACH 3000 /* a number to be squared has its digits within 10^±this */

/* ---- count ---- */

static int take_any(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                    const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err)
{
    (void)w, (void)item, (void)r, (void)err;
    arg->kind = cdp_val_none(v) ? CDP_AGG_NONE : CDP_AGG_VALUE;
    return 0;
}

static int count_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                     struct cdp_err *err)
{
    (void)at, (void)arg, (void)err;
    ++*(uint64_t *)state;
    return 0;
}

static int count_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    (void)at, (void)err;
    *(uint64_t *)state += cdp_agg_integer(json);
    return 0;
}

int cdp_agg_count_finish(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                         struct cdp_err *err)
{
    (void)at, (void)err;
    cdp_emit_uint(out, *(const uint64_t *)state);
    return 0;
}

/* ---- sums ---- */

struct sum {
    int64_t acc;  /* in units of 10^exp */
    uint32_t big; /* reference to a pointer to a struct cdp_sum; 0: none */
    int16_t exp;
    bool any;
};

static struct cdp_sum *big_sum(const struct cdp_agg_place *at, const struct sum *s)
{
    return s->big ? *(struct cdp_sum **)cdp_agg_at(&at->part->arena, s->big) : NULL;
}

static struct cdp_sum *need_big_sum(const struct cdp_agg_place *at, struct sum *s, struct cdp_err *err)
{
    if (!s->big) {
        struct cdp_sum *sum = cdp_mem_zalloc(1, sizeof *sum, err);
        struct cdp_sum **box = sum ? cdp_agg_alloc(at->part, sizeof *box, &s->big, err) : NULL;
        if (!box) {
            free(sum);
            return NULL;
        }
        *box = sum;
        at->part->heap += sizeof *sum;
    }
    return big_sum(at, s);
}

static void sum_free(const struct cdp_agg_part *p, struct sum *s)
{
    if (!s->big)
        return;
    struct cdp_sum *sum = *(struct cdp_sum **)cdp_agg_at(&p->arena, s->big);
    cdp_sum_free(sum);
    free(sum);
    s->big = 0;
}

static int add_to_big(const struct cdp_agg_place *at, struct sum *s, const struct cdp_num *n,
                      struct cdp_err *err)
{
    struct cdp_sum *sum = need_big_sum(at, s, err);
    if (!sum)
        return -1;
    size_t before = sum->rest.n;
    if (cdp_sum_add_num(sum, n, err) < 0)
        return -1;
    at->part->heap += (sum->rest.n - before) * sizeof *sum->rest.limb;
    return 0;
}

static const int64_t power[19] = {1,
                                  10,
                                  100,
                                  1000,
                                  10000,
                                  100000,
                                  1000000,
                                  10000000,
                                  100000000,
                                  1000000000,
                                  10000000000,
                                  100000000000,
                                  1000000000000,
                                  10000000000000,
                                  100000000000000,
                                  1000000000000000,
                                  10000000000000000,
                                  100000000000000000,
                                  1000000000000000000};

/* Adds coef × 10^exp to the accumulator; false where that would not be exact. */
static bool add_small(struct sum *s, int64_t coef, int32_t exp)
{
    if (!s->acc) {
        if (exp < INT16_MIN || exp > INT16_MAX)
            return false;
        s->acc = coef;
        s->exp = (int16_t)exp;
        return true;
    }
    int64_t acc = s->acc, by = exp - s->exp;
    if (by > 18 || by < -18)
        return coef == 0;
    if (by >= 0 ? __builtin_mul_overflow(coef, power[by], &coef)
                : __builtin_mul_overflow(acc, power[-by], &acc))
        return false;
    if (__builtin_add_overflow(acc, coef, &acc))
        return false;
    s->acc = acc;
    if (by < 0)
        s->exp = (int16_t)exp;
    return true;
}

static int sum_add(const struct cdp_agg_place *at, struct sum *s, int64_t coef, int32_t exp,
                   struct cdp_err *err)
{
    s->any = true;
    if (add_small(s, coef, exp))
        return 0;
    struct cdp_num old = {.coef = s->acc, .exp = s->exp}, add = {.coef = coef, .exp = exp};
    s->acc = 0;
    return add_to_big(at, s, &old, err) < 0 || add_to_big(at, s, &add, err) < 0 ? -1 : 0;
}

static int sum_add_num(const struct cdp_agg_place *at, struct sum *s, const struct cdp_num *n,
                       struct cdp_err *err)
{
    if (!n->limb)
        return sum_add(at, s, n->coef, (int32_t)n->exp, err);
    s->any = true;
    return add_to_big(at, s, n, err);
}

static int sum_add_text(const struct cdp_agg_place *at, struct sum *s, const char *p, size_t len,
                        struct cdp_err *err)
{
    int64_t coef;
    int32_t exp;
    if (cdp_num_small(p, len, &coef, &exp))
        return sum_add(at, s, coef, exp, err);
    struct cdp_num n = CDP_NUM_ZERO;
    int rc = cdp_num_parse(&n, p, len, err);
    if (rc == 0)
        rc = sum_add_num(at, s, &n, err);
    cdp_num_free(&n);
    return rc;
}

static int sum_value(const struct cdp_agg_place *at, const struct sum *s, struct cdp_num *out,
                     struct cdp_err *err)
{
    struct cdp_num acc = {.coef = s->acc, .exp = s->exp};
    struct cdp_sum *big = big_sum(at, s), all = {0};
    int rc = cdp_sum_add_num(&all, &acc, err);
    if (rc == 0 && big)
        rc = cdp_sum_merge(&all, big, err);
    if (rc == 0)
        rc = cdp_sum_value(&all, out, err);
    cdp_sum_free(&all);
    return rc;
}

static int sum_save(const struct cdp_agg_place *at, const struct sum *s, struct cdp_buf *out,
                    struct cdp_err *err)
{
    if (!s->any) {
        cdp_buf_adds(out, "null");
        return 0;
    }
    if (!s->big) {
        cdp_num_format(&(struct cdp_num){.coef = s->acc, .exp = s->acc ? s->exp : 0}, out);
        return 0;
    }
    struct cdp_num n = CDP_NUM_ZERO;
    int rc = sum_value(at, s, &n, err);
    if (rc == 0)
        cdp_num_format(&n, out);
    cdp_num_free(&n);
    return rc;
}

static int sum_load(const struct cdp_agg_place *at, struct sum *s, struct cdp_val json, struct cdp_err *err)
{
    return cdp_val_none(json) ? 0 : sum_add_text(at, s, json.p, json.len, err);
}

int cdp_agg_take_number(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                        const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err)
{
    (void)w, (void)r;
    struct cdp_digits d;
    if (cdp_val_none(v))
        return 0;
    if (v.type != CDP_NUMBER)
        return cdp_err_set(err, CDP_EXIT_DATA, "%s: not a number", item->name);
    int64_t reach = item->func->squares ? SQUARE_REACH : CDP_NUM_MAX_EXP;
    if (cdp_num_small(v.p, v.len, &arg->coef, &arg->exp) && arg->exp >= -reach && arg->exp <= reach - 18) {
        arg->kind = CDP_AGG_SMALL;
        return 0;
    }
    if (!cdp_num_split(v.p, v.len, &d) || (d.n && (d.exp < -reach || d.exp + (int64_t)d.count - 1 > reach)))
        return cdp_err_set(err, CDP_EXIT_DATA,
                           "%s: a number with digits beyond 1e±%lld, past exact arithmetic", item->name,
                           (long long)reach);
    arg->kind = CDP_AGG_VALUE;
    arg->p = v.p;
    arg->len = v.len;
    return 0;
}

static int sum_add_arg(const struct cdp_agg_place *at, struct sum *s, const struct cdp_agg_arg *arg,
                       struct cdp_err *err)
{
    if (arg->kind == CDP_AGG_SMALL)
        return sum_add(at, s, arg->coef, arg->exp, err);
    return sum_add_text(at, s, arg->p, arg->len, err);
}

static int sum_fn_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                      struct cdp_err *err)
{
    return sum_add_arg(at, state, arg, err);
}

static int sum_fn_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    return sum_load(at, state, json, err);
}

static int sum_fn_save(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                       struct cdp_err *err)
{
    return sum_save(at, state, out, err);
}

static void sum_fn_free(const struct cdp_agg_part *p, void *state)
{
    sum_free(p, state);
}

/* ---- avg and stddev ---- */

struct moments {
    uint64_t n;
    struct sum sum;
    struct sum squares; /* of stddev alone: avg's state ends before it */
};

static int avg_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                   struct cdp_err *err)
{
    struct moments *m = state;
    m->n++;
    return sum_add_arg(at, &m->sum, arg, err);
}

static int add_square(const struct cdp_agg_place *at, struct sum *s, const struct cdp_agg_arg *arg,
                      struct cdp_err *err)
{
    int64_t square;
    if (arg->kind == CDP_AGG_SMALL && !__builtin_mul_overflow(arg->coef, arg->coef, &square))
        return sum_add(at, s, square, 2 * arg->exp, err);
    struct cdp_num n = CDP_NUM_ZERO;
    int rc = 0;
    if (arg->kind == CDP_AGG_SMALL)
        n = (struct cdp_num){.coef = arg->coef, .exp = arg->exp};
    else
        rc = cdp_num_parse(&n, arg->p, arg->len, err);
    if (rc == 0)
        rc = cdp_num_mul(&n, &n, &n, err);
    if (rc == 0)
        rc = sum_add_num(at, s, &n, err);
    cdp_num_free(&n);
    return rc;
}

static int stddev_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                      struct cdp_err *err)
{
    struct moments *m = state;
    return avg_add(at, state, arg, err) < 0 ? -1 : add_square(at, &m->squares, arg, err);
}

/* Can n > 0 numbers with digits within 10^±reach add up to this? */
static bool reachable(const struct cdp_num *sum, uint64_t n, int64_t reach)
{
    struct cdp_num most = {.coef = (int64_t)n, .exp = reach + 1};
    struct cdp_num least = {.coef = -(int64_t)n, .exp = reach + 1};
    return sum->exp >= -reach && cdp_num_cmp(sum, &most) < 0 && cdp_num_cmp(sum, &least) > 0;
}

/* n · Σx² ≥ (Σx)² for any numbers, and for one number it is as much. */
static int compare_squares(const struct cdp_num *sum, const struct cdp_num *squares, uint64_t n, bool *fit,
                           struct cdp_err *err)
{
    struct cdp_num a = CDP_NUM_ZERO, b = CDP_NUM_ZERO;
    cdp_num_int(&a, (int64_t)n);
    int rc = cdp_num_mul(&a, &a, squares, err);
    if (rc == 0)
        rc = cdp_num_mul(&b, sum, sum, err);
    if (rc == 0)
        *fit = n == 1 ? cdp_num_cmp(&a, &b) == 0 : cdp_num_cmp(&a, &b) >= 0;
    cdp_num_free(&a);
    cdp_num_free(&b);
    return rc;
}

/* Are there numbers with this count and these sums?  Then there are for the sum of such states, and a result. */
static int moments_fit(const struct cdp_agg_item *item, struct cdp_val json, struct cdp_err *err)
{
    struct cdp_num sum[2] = {CDP_NUM_ZERO, CDP_NUM_ZERO};
    int64_t reach = item->func->squares ? SQUARE_REACH : CDP_NUM_MAX_EXP;
    struct cdp_iter it = cdp_val_iter(json);
    cdp_iter_next(&it);
    uint64_t n = cdp_agg_integer(it.val);
    bool fit = true;
    int rc = 0;
    for (size_t i = 0; rc == 0 && fit && cdp_iter_next(&it); i++) {
        fit = cdp_val_none(it.val) == (n == 0);
        if (!fit || !n)
            continue;
        rc = cdp_num_parse(&sum[i], it.val.p, it.val.len, err);
        fit = rc == 0 && reachable(&sum[i], n, reach);
        reach = 2 * reach + 1; /* of squares */
    }
    if (rc == 0 && fit && n && item->func->squares)
        rc = compare_squares(&sum[0], &sum[1], n, &fit, err);
    if (rc == 0 && !fit)
        rc = cdp_err_set(err, CDP_EXIT_DATA, "%s: no numbers have this count and sum", item->name);
    cdp_num_free(&sum[0]);
    cdp_num_free(&sum[1]);
    return rc;
}

static int moments_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    struct moments *m = state;
    struct cdp_iter it = cdp_val_iter(json);
    cdp_iter_next(&it);
    m->n += cdp_agg_integer(it.val);
    cdp_iter_next(&it);
    if (sum_load(at, &m->sum, it.val, err) < 0)
        return -1;
    return cdp_iter_next(&it) ? sum_load(at, &m->squares, it.val, err) : 0;
}

static int avg_save(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                    struct cdp_err *err)
{
    const struct moments *m = state;
    cdp_buf_addc(out, '[');
    cdp_emit_uint(out, m->n);
    cdp_buf_addc(out, ',');
    int rc = sum_save(at, &m->sum, out, err);
    cdp_buf_addc(out, ']');
    return rc;
}

static int stddev_save(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                       struct cdp_err *err)
{
    const struct moments *m = state;
    if (avg_save(at, state, out, err) < 0 || cdp_buf_check(out, err) < 0)
        return -1;
    out->data[out->len - 1] = ',';
    int rc = sum_save(at, &m->squares, out, err);
    cdp_buf_addc(out, ']');
    return rc;
}

static int avg_finish(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                      struct cdp_err *err)
{
    const struct moments *m = state;
    struct cdp_num sum = CDP_NUM_ZERO, n = CDP_NUM_ZERO;
    int rc = -1;
    if (!m->n) {
        cdp_buf_adds(out, "null");
        return 0;
    }
    cdp_num_int(&n, (int64_t)m->n);
    if (sum_value(at, &m->sum, &sum, err) < 0)
        goto done;
    /* Near the least exponent of arithmetic, the quotient's digits may go beyond it: not so from a place further up. */
    bool low = cdp_num_cmp(&sum, &(struct cdp_num){.coef = 1}) < 0 &&
               cdp_num_cmp(&sum, &(struct cdp_num){.coef = -1}) > 0;
    sum.exp += low ? 3 * DIGITS : 0;
    if (cdp_num_div(&sum, &sum, &n, DIGITS, err) < 0)
        goto done;
    sum.exp -= low ? 3 * DIGITS : 0;
    cdp_num_format(&sum, out);
    rc = 0;
done:
    cdp_num_free(&sum);
    cdp_num_free(&n);
    return rc;
}

static int stddev_finish(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                         struct cdp_err *err)
{
    const struct moments *m = state;
    struct cdp_num a = CDP_NUM_ZERO, b = CDP_NUM_ZERO, n = CDP_NUM_ZERO;
    int rc = -1;
    if (m->n < 2) {
        cdp_buf_adds(out, "null");
        return 0;
    }
    cdp_num_int(&n, (int64_t)m->n);
    if (sum_value(at, &m->squares, &a, err) < 0 || cdp_num_mul(&a, &a, &n, err) < 0 ||
        sum_value(at, &m->sum, &b, err) < 0 || cdp_num_mul(&b, &b, &b, err) < 0 ||
        cdp_num_sub(&a, &a, &b, err) < 0)
        goto done;
    cdp_num_int(&b, (int64_t)m->n - 1);
    if (cdp_num_mul(&b, &b, &n, err) < 0 || cdp_num_div(&a, &a, &b, ROOT_DIGITS, err) < 0 ||
        cdp_num_sqrt(&a, &a, DIGITS, err) < 0)
        goto done;
    cdp_num_format(&a, out);
    rc = 0;
done:
    cdp_num_free(&a);
    cdp_num_free(&b);
    cdp_num_free(&n);
    return rc;
}

static void avg_free(const struct cdp_agg_part *p, void *state)
{
    struct moments *m = state;
    sum_free(p, &m->sum);
}

static void stddev_free(const struct cdp_agg_part *p, void *state)
{
    struct moments *m = state;
    sum_free(p, &m->sum);
    sum_free(p, &m->squares);
}

/* ---- any and all: the state says that one was true, or that one was not ---- */

static int take_truth(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                      const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err)
{
    (void)w, (void)r, (void)err;
    bool truth = v.type > CDP_FALSE;
    arg->kind = truth == item->func->looks_for ? CDP_AGG_VALUE : CDP_AGG_NONE;
    return 0;
}

static int truth_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                     struct cdp_err *err)
{
    (void)at, (void)arg, (void)err;
    *(bool *)state = true;
    return 0;
}

static int truth_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    (void)err;
    *(bool *)state |= (json.type == CDP_TRUE) == at->item->func->looks_for;
    return 0;
}

static int truth_finish(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                        struct cdp_err *err)
{
    (void)err;
    cdp_buf_adds(out, *(const bool *)state == at->item->func->looks_for ? "true" : "false");
    return 0;
}

/* ---- min and max ---- */

static int take_value(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                      const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err)
{
    (void)item, (void)r;
    if (cdp_val_none(v))
        return 0;
    if (v.type >= CDP_ARRAY) { /* it may hold a number that has no place in the order */
        cdp_buf_clear(&w->tmp);
        if (cdp_key_value(v, &w->tmp, err) < 0)
            return -1;
    }
    cdp_agg_arg_set(arg, v);
    return 0;
}

/* Is v to be kept instead?  sign: -1 for the least value, 1 for the greatest; of equal ones the least bytes. */
static bool better(struct cdp_agg_part *p, struct cdp_val v, struct cdp_val old, int sign)
{
    int c = cdp_agg_compare(v, old, &p->tmp, &p->tmp2);
    return c ? (c < 0) == (sign < 0) : cdp_agg_compare_bytes(v.p, v.len, old.p, old.len) < 0;
}

static int keep_better(const struct cdp_agg_place *at, struct cdp_agg_kept *kept, struct cdp_val v,
                       struct cdp_err *err)
{
    struct cdp_agg_part *p = at->part;
    if (kept->ref && !better(p, v, cdp_agg_kept_val(p, kept, 0), at->item->func->sign))
        return cdp_agg_part_check(p, err);
    return cdp_agg_keep(p, kept, NULL, 0, v, err);
}

static int extreme_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                       struct cdp_err *err)
{
    const struct cdp_agg_kept *kept = state;
    if (kept->ref && arg->type == CDP_STRING &&
        !arg->escaped) { /* nearly always, and then without a detour */
        const char *old = cdp_agg_kept_bytes(at->part, kept);
        if (*old == '"' && !cdp_agg_kept_escaped(at->part, kept)) {
            int c = cdp_agg_compare_bytes(arg->p + 1, arg->len - 2, old + 1, kept->len - 2);
            bool wins = at->item->func->sign < 0 ? c < 0 : c > 0;
            return wins ? cdp_agg_keep(at->part, state, NULL, 0, cdp_agg_arg_val(arg), err) : 0;
        }
    }
    return keep_better(at, state, cdp_agg_arg_val(arg), err);
}

static int extreme_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    return cdp_val_none(json) ? 0 : keep_better(at, state, json, err);
}

static int extreme_finish(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                          struct cdp_err *err)
{
    (void)err;
    const struct cdp_agg_kept *kept = state;
    if (kept->ref)
        cdp_buf_add_wide(out, cdp_agg_kept_bytes(at->part, kept), kept->len);
    else
        cdp_buf_adds(out, "null");
    return 0;
}

/* ---- first and last, min_by and max_by ---- */

struct ordered {
    struct cdp_agg_kept kept; /* the order's key, then the value */
    uint32_t key;             /* bytes of the key */
};

/* Any value takes part, null as well; a record without the order's keys does not. */
int cdp_agg_take_ordered(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                         const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err)
{
    static const char null[] = "null";
    arg->at = (uint32_t)w->bytes.len;
    if (item->order.n) {
        int rc = cdp_keyspec_encode(&item->order, r->fields, CDP_KEY_MISSING_ERROR, &w->bytes, err);
        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
    arg->n = (uint32_t)w->bytes.len - arg->at;
    if (v.type == CDP_MISSING)
        v = cdp_agg_value(null, sizeof null - 1);
    return cdp_val_none(v) ? (cdp_agg_arg_set(arg, v), 0) : take_value(w, item, v, r, arg, err);
}

static int keep_ordered(const struct cdp_agg_place *at, struct ordered *o, const char *key, size_t n,
                        struct cdp_val v, struct cdp_err *err)
{
    struct cdp_agg_part *p = at->part;
    if (o->kept.ref) {
        int sign = at->item->func->sign;
        const char *old = cdp_agg_kept_bytes(p, &o->kept);
        int c = cdp_agg_compare_bytes(key, n, old, o->key);
        if (c ? (c < 0) != (sign < 0) : !better(p, v, cdp_agg_kept_val(p, &o->kept, o->key), sign))
            return cdp_agg_part_check(p, err);
    }
    o->key = (uint32_t)n;
    return cdp_agg_keep(p, &o->kept, key, n, v, err);
}

static int ordered_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                       struct cdp_err *err)
{
    return keep_ordered(at, state, at->bytes + arg->at, arg->n, cdp_agg_arg_val(arg), err);
}

static int ordered_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    if (cdp_val_none(json))
        return 0;
    struct cdp_buf key = {0};
    struct cdp_iter it = cdp_val_iter(json);
    cdp_iter_next(&it);
    cdp_agg_unhex(it.val, &key);
    cdp_iter_next(&it);
    int rc = cdp_buf_check(&key, err);
    if (rc == 0)
        rc = keep_ordered(at, state, key.len ? key.data : "", key.len, it.val, err);
    cdp_buf_free(&key);
    return rc;
}

static int ordered_save(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                        struct cdp_err *err)
{
    (void)err;
    const struct ordered *o = state;
    if (!o->kept.ref) {
        cdp_buf_adds(out, "null");
        return 0;
    }
    cdp_buf_addc(out, '[');
    cdp_agg_hex(cdp_agg_kept_bytes(at->part, &o->kept), o->key, out);
    cdp_buf_addc(out, ',');
    cdp_emit_val(out, cdp_agg_kept_val(at->part, &o->kept, o->key));
    cdp_buf_addc(out, ']');
    return 0;
}

static int ordered_finish(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                          struct cdp_err *err)
{
    (void)err;
    const struct ordered *o = state;
    if (o->kept.ref)
        cdp_emit_val(out, cdp_agg_kept_val(at->part, &o->kept, o->key));
    else
        cdp_buf_adds(out, "null");
    return 0;
}

#define NUMBERS .take = cdp_agg_take_number
#define TRUTH                                                                                                \
    .shape = "b", .size = sizeof(bool), .take = take_truth, .add = truth_add, .load = truth_load,            \
    .save = truth_finish, .finish = truth_finish
#define EXTREME                                                                                              \
    .shape = "v", .size = sizeof(struct cdp_agg_kept), .take = take_value, .add = extreme_add,               \
    .load = extreme_load, .save = extreme_finish, .finish = extreme_finish
#define ORDERED                                                                                              \
    .shape = "?(xv)", .size = sizeof(struct ordered), .take = cdp_agg_take_ordered, .add = ordered_add,      \
    .load = ordered_load, .save = ordered_save, .finish = ordered_finish

const struct cdp_agg_func cdp_agg_fold_funcs[] = {
    {.name = "count",
     .state = "count",
     .shape = "i",
     .bare = true,
     .size = sizeof(uint64_t),
     .take = take_any,
     .add = count_add,
     .load = count_load,
     .save = cdp_agg_count_finish,
     .finish = cdp_agg_count_finish},
    {NUMBERS, .name = "sum", .state = "sum", .shape = "d", .size = sizeof(struct sum), .add = sum_fn_add,
     .load = sum_fn_load, .save = sum_fn_save, .finish = sum_fn_save, .free = sum_fn_free},
    {NUMBERS, .name = "avg", .state = "avg", .shape = "(id)", .size = offsetof(struct moments, squares),
     .fits = moments_fit, .add = avg_add, .load = moments_load, .save = avg_save, .finish = avg_finish,
     .free = avg_free},
    {NUMBERS, .name = "stddev", .state = "stddev", .shape = "(idd)", .size = sizeof(struct moments),
     .squares = true, .fits = moments_fit, .add = stddev_add, .load = moments_load, .save = stddev_save,
     .finish = stddev_finish, .free = stddev_free},
    {TRUTH, .name = "any", .state = "any", .looks_for = true},
    {TRUTH, .name = "all", .state = "all", .looks_for = false},
    {EXTREME, .name = "min", .state = "min", .sign = -1},
    {EXTREME, .name = "max", .state = "max", .sign = 1},
    {ORDERED, .name = "first", .state = "first", .sign = -1, .args = CDP_AGG_ORDER},
    {ORDERED, .name = "last", .state = "last", .sign = 1, .args = CDP_AGG_ORDER},
    {ORDERED, .name = "min_by", .state = "first", .sign = -1, .args = CDP_AGG_BY},
    {ORDERED, .name = "max_by", .state = "last", .sign = 1, .args = CDP_AGG_BY},
    {0},
};
