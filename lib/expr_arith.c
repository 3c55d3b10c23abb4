/* expr_arith: jq's operators + - * / % on raw JSON values.
 *
 * Numbers are computed as exact decimals (lib/num); a quotient has 34 significant digits, half to even, the precision of
 * IEEE 754 decimal128.  What jq does to strings and objects with `*` and to strings with `/` is left to libjq, which then
 * sees those two values only. */
#include "lib/expr_impl.h"

#include <string.h>

#define DIVISION_DIGITS 34

static int compute(struct cdp_expr_run *r, int op, struct cdp_val a, struct cdp_val b, struct cdp_val *out)
{
    struct cdp_num x = CDP_NUM_ZERO, y = CDP_NUM_ZERO;
    int rc = cdp_num_parse(&x, a.p, a.len, r->err);
    if (rc == 0)
        rc = cdp_num_parse(&y, b.p, b.len, r->err);
    if (rc == 0)
        rc = op == '+'   ? cdp_num_add(&x, &x, &y, r->err)
             : op == '-' ? cdp_num_sub(&x, &x, &y, r->err)
             : op == '*' ? cdp_num_mul(&x, &x, &y, r->err)
             : op == '/' ? cdp_num_div(&x, &x, &y, DIVISION_DIGITS, r->err)
                         : cdp_num_mod(&x, &x, &y, r->err);
    rc = rc < 0 ? cdp_expr_num_failed(r) : cdp_expr_from_num(r, &x, out);
    cdp_num_free(&x);
    cdp_num_free(&y);
    return rc;
}

/* Does a number's text stand for 0, or with truncate for something between -1 and 1? */
static int is_zero(struct cdp_expr_run *r, struct cdp_val v, bool truncate, bool *zero)
{
    struct cdp_num x = CDP_NUM_ZERO;
    int rc = cdp_num_parse(&x, v.p, v.len, r->err);
    if (rc == 0 && truncate) {
        struct cdp_num one = {.coef = 1};
        rc = cdp_num_sign(&x) < 0 ? cdp_num_sub(&x, &CDP_NUM_ZERO, &x, r->err) : 0;
        *zero = rc == 0 && cdp_num_cmp(&x, &one) < 0;
    } else {
        *zero = cdp_num_sign(&x) == 0;
    }
    cdp_num_free(&x);
    return rc < 0 ? cdp_expr_num_failed(r) : CDP_EXPR_OK;
}

/* What is inside an array's brackets follows what is inside another's. */
static int concat_arrays(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, struct cdp_val *out)
{
    struct cdp_iter in_a = cdp_val_iter(a), in_b = cdp_val_iter(b);
    bool some_a = cdp_iter_next(&in_a), some_b = cdp_iter_next(&in_b);
    *out = some_a ? a : b;
    if (!some_a || !some_b)
        return CDP_EXPR_OK;
    struct cdp_buf *to = &r->s->out;
    cdp_buf_clear(to);
    cdp_buf_add(to, a.p, a.len - 1);
    cdp_buf_addc(to, ',');
    cdp_buf_add(to, b.p + 1, b.len - 1);
    return cdp_expr_written(r, CDP_ARRAY, out);
}

static int subtract_arrays(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, struct cdp_val *out)
{
    struct cdp_buf *to = &r->s->out;
    cdp_buf_clear(to);
    char before = '[';
    struct cdp_iter x = cdp_val_iter(a);
    while (cdp_iter_next(&x)) {
        struct cdp_iter y = cdp_val_iter(b);
        int cmp = 1;
        while (cmp && cdp_iter_next(&y)) {
            int rc = cdp_expr_compare(r, x.val, y.val, &cmp);
            if (rc != CDP_EXPR_OK)
                return rc;
        }
        if (cmp) {
            cdp_buf_addc(to, before);
            cdp_buf_add(to, x.val.p, x.val.len);
            before = ',';
        }
    }
    cdp_buf_adds(to, before == '[' ? "[]" : "]");
    return cdp_expr_written(r, CDP_ARRAY, out);
}

static int merge_objects(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, struct cdp_val *out)
{
    struct cdp_expr_members all;
    int rc = cdp_expr_merge(r, a, b, &all);
    if (rc != CDP_EXPR_OK)
        return rc;
    struct cdp_buf *to = &r->s->out;
    cdp_buf_clear(to);
    cdp_buf_addc(to, '{');
    for (size_t i = 0; i < all.n; i++) {
        if (i)
            cdp_buf_addc(to, ',');
        cdp_buf_add(to, all.m[i].key.p, all.m[i].key.len);
        cdp_buf_addc(to, ':');
        cdp_buf_add(to, all.m[i].val.p, all.m[i].val.len);
    }
    cdp_buf_addc(to, '}');
    return cdp_expr_written(r, CDP_OBJECT, out);
}

/* An operator that only jq has, on [a, b]. */
static int by_jq(struct cdp_expr_run *r, const struct cdp_jq *program, struct cdp_val a, struct cdp_val b,
                 struct cdp_val *out)
{
    struct cdp_buf *to = &r->s->out;
    struct cdp_val pair;
    cdp_buf_clear(to);
    cdp_buf_addc(to, '[');
    cdp_buf_add(to, a.p, a.len);
    cdp_buf_addc(to, ',');
    cdp_buf_add(to, b.p, b.len);
    cdp_buf_addc(to, ']');
    int rc = cdp_expr_written(r, CDP_ARRAY, &pair);
    if (rc == CDP_EXPR_OK)
        rc = cdp_jq_run(program, r, pair);
    return rc == CDP_EXPR_OK ? cdp_expr_written(r, cdp_val_text(to->data, to->len).type, out) : rc;
}

static int add(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, struct cdp_val *out)
{
    if (cdp_val_none(a) || cdp_val_none(b)) {
        *out = cdp_val_none(a) ? b : a;
        return CDP_EXPR_OK;
    }
    if (a.type != b.type || a.type < CDP_NUMBER)
        return cdp_expr_fail(r, "cannot be added", a.type, b.type);
    if (a.type == CDP_NUMBER)
        return compute(r, '+', a, b, out);
    if (a.type == CDP_STRING)
        return cdp_expr_join(r, (struct cdp_val[]){a, b}, 2, out);
    return a.type == CDP_ARRAY ? concat_arrays(r, a, b, out) : merge_objects(r, a, b, out);
}

static int divide(struct cdp_expr_run *r, int op, struct cdp_val a, struct cdp_val b, struct cdp_val *out)
{
    bool zero;
    int rc = is_zero(r, b, op == '%', &zero);
    if (rc != CDP_EXPR_OK)
        return rc;
    if (zero)
        return cdp_expr_fail(r, "cannot be divided because the divisor is zero", a.type, b.type);
    return compute(r, op, a, b, out);
}

int cdp_expr_arith(struct cdp_expr_run *r, int op, struct cdp_val a, struct cdp_val b, struct cdp_val *out)
{
    bool numbers = a.type == CDP_NUMBER && b.type == CDP_NUMBER;
    switch (op) {
    case '+':
        return add(r, a, b, out);
    case '-':
        if (a.type == CDP_ARRAY && b.type == CDP_ARRAY)
            return subtract_arrays(r, a, b, out);
        return numbers ? compute(r, op, a, b, out) : cdp_expr_fail(r, "cannot be subtracted", a.type, b.type);
    case '*':
        if (numbers)
            return compute(r, op, a, b, out);
        if (r->e->multiply && ((a.type == CDP_STRING && b.type == CDP_NUMBER) ||
                               (a.type == CDP_NUMBER && b.type == CDP_STRING) ||
                               (a.type == CDP_OBJECT && b.type == CDP_OBJECT)))
            return by_jq(r, r->e->multiply, a, b, out);
        return cdp_expr_fail(r, "cannot be multiplied", a.type, b.type);
    case '/':
        if (numbers)
            return divide(r, op, a, b, out);
        if (r->e->divide && a.type == CDP_STRING && b.type == CDP_STRING)
            return by_jq(r, r->e->divide, a, b, out);
        return cdp_expr_fail(r, "cannot be divided", a.type, b.type);
    default:
        return numbers ? divide(r, op, a, b, out) : cdp_expr_fail(r, "cannot be divided", a.type, b.type);
    }
}

int cdp_expr_negate(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val *out)
{
    if (a.type != CDP_NUMBER)
        return cdp_expr_fail(r, "cannot be negated", a.type, CDP_EXPR_NO_TYPE);
    if (a.p[0] == '-') {
        *out = (struct cdp_val){.p = a.p + 1, .len = a.len - 1, .type = CDP_NUMBER};
        return CDP_EXPR_OK;
    }
    cdp_buf_clear(&r->s->out);
    cdp_buf_addc(&r->s->out, '-');
    cdp_buf_add(&r->s->out, a.p, a.len);
    return cdp_expr_written(r, CDP_NUMBER, out);
}
