/* expr_func: jq's functions and operators on raw JSON values.
 *
 * Values that pass through untouched stay the bytes they were.  Numbers are computed as exact decimals (lib/num); a
 * quotient has 34 significant digits, half to even, the precision of IEEE 754 decimal128.  Values are compared as jq
 * orders them, arrays and objects by way of their key encodings (lib/key).  What jq does to strings and objects with `*`
 * and to strings with `/` is left to libjq, which then sees those two values only. */
#include "lib/emit.h"
#include "lib/expr_impl.h"
#include "lib/hash.h"
#include "lib/key.h"

#include <string.h>

#define DIVISION_DIGITS 34
#define NONE CDP_EXPR_NO_TYPE

const char *cdp_expr_type_name(uint8_t type)
{
    static const char *const names[] = {
        [CDP_MISSING] = "null",  [CDP_NULL] = "null",     [CDP_FALSE] = "boolean", [CDP_TRUE] = "boolean",
        [CDP_NUMBER] = "number", [CDP_STRING] = "string", [CDP_ARRAY] = "array",   [CDP_OBJECT] = "object",
    };
    return names[type];
}

int cdp_expr_fail(struct cdp_expr_run *r, const char *what, uint8_t type_a, uint8_t type_b)
{
    r->what = what;
    r->type_a = type_a;
    r->type_b = type_b;
    return CDP_EXPR_ERROR;
}

/* --- making values */

struct cdp_val cdp_expr_bool(bool b)
{
    return b ? (struct cdp_val){.p = "true", .len = 4, .type = CDP_TRUE}
             : (struct cdp_val){.p = "false", .len = 5, .type = CDP_FALSE};
}

int cdp_expr_value(struct cdp_expr_run *r, uint8_t type, const char *p, size_t n, struct cdp_val *out)
{
    if (n > UINT32_MAX)
        return cdp_expr_fail(r, "a value that is too large", NONE, NONE);
    char *copy = cdp_expr_alloc(&r->s->arena, n, r->err);
    if (!copy)
        return CDP_EXPR_FATAL;
    memcpy(copy, p, n);
    *out = (struct cdp_val){.p = copy, .len = (uint32_t)n, .type = type};
    out->escaped = type == CDP_STRING && memchr(copy, '\\', n);
    return CDP_EXPR_OK;
}

/* What was written to the scratch's output buffer, as a value. */
static int written(struct cdp_expr_run *r, uint8_t type, struct cdp_val *out)
{
    struct cdp_buf *b = &r->s->out;
    return cdp_buf_check(b, r->err) < 0 ? CDP_EXPR_FATAL : cdp_expr_value(r, type, b->data, b->len, out);
}

int cdp_expr_string(struct cdp_expr_run *r, const char *p, size_t n, struct cdp_val *out)
{
    cdp_buf_clear(&r->s->out);
    cdp_emit_string(&r->s->out, p, n);
    return written(r, CDP_STRING, out);
}

static int literal(const char *text, uint8_t type, struct cdp_val *out)
{
    *out = (struct cdp_val){.p = text, .len = (uint32_t)strlen(text), .type = type};
    return CDP_EXPR_OK;
}

static int from_num(struct cdp_expr_run *r, const struct cdp_num *n, struct cdp_val *out)
{
    cdp_buf_clear(&r->s->out);
    cdp_num_format(n, &r->s->out);
    return written(r, CDP_NUMBER, out);
}

static int from_count(struct cdp_expr_run *r, uint64_t n, struct cdp_val *out)
{
    cdp_buf_clear(&r->s->out);
    cdp_emit_uint(&r->s->out, n);
    return written(r, CDP_NUMBER, out);
}

/* A failure in num: memory, or a number that it does not take. */
static int num_failed(struct cdp_expr_run *r)
{
    if (r->err->exit == CDP_EXIT_IO)
        return CDP_EXPR_FATAL;
    return cdp_expr_fail(r, "a number that is out of range", NONE, NONE);
}

/* --- members of objects */

struct member {
    struct cdp_val key, val;
    const char *name; /* the key, decoded */
    size_t len;
};

struct members {
    struct member *m;
    size_t n, cap;
};

static size_t count_items(struct cdp_val v)
{
    size_t n = 0;
    struct cdp_iter it = cdp_val_iter(v);
    while (cdp_iter_next(&it))
        n++;
    return n;
}

static int add_member(struct cdp_expr_run *r, struct members *all, struct cdp_val key, struct cdp_val val)
{
    if (all->n == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 16;
        struct member *grown = cdp_expr_alloc(&r->s->arena, cap * sizeof *grown, r->err);
        if (!grown)
            return CDP_EXPR_FATAL;
        if (all->n)
            memcpy(grown, all->m, all->n * sizeof *grown);
        all->m = grown;
        all->cap = cap;
    }
    struct member *m = &all->m[all->n++];
    *m = (struct member){.key = key, .val = val};
    m->name = cdp_val_str(key, &r->s->b1, &m->len);
    if (!key.escaped)
        return CDP_EXPR_OK;
    char *copy = cdp_expr_alloc(&r->s->arena, m->len, r->err);
    if (cdp_buf_check(&r->s->b1, r->err) < 0 || !copy)
        return CDP_EXPR_FATAL;
    memcpy(copy, m->name, m->len);
    m->name = copy;
    return CDP_EXPR_OK;
}

/* Leaves each key once, at its first place and with its last value. */
static int unique_members(struct cdp_expr_run *r, struct members *all)
{
    size_t slots = 4, n = 0;
    while (slots < all->n * 2)
        slots *= 2;
    uint32_t *table =
        cdp_expr_alloc(&r->s->arena, slots * sizeof *table, r->err); /* an index into m, plus 1 */
    if (!table)
        return CDP_EXPR_FATAL;
    memset(table, 0, slots * sizeof *table);
    for (size_t i = 0; i < all->n; i++) {
        const struct member *m = &all->m[i];
        size_t at = (size_t)cdp_hash(m->name, m->len).lo & (slots - 1);
        struct member *same = NULL;
        for (; table[at] && !same; at = (at + 1) & (slots - 1)) {
            struct member *old = &all->m[table[at] - 1];
            if (old->len == m->len && memcmp(old->name, m->name, m->len) == 0)
                same = old;
        }
        if (same) {
            same->val = m->val;
        } else {
            all->m[n++] = *m;
            table[at] = (uint32_t)n;
        }
    }
    all->n = n;
    return CDP_EXPR_OK;
}

/* The members of a and then those of b, each key once: jq's merge of objects. */
static int merge_members(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, struct members *all)
{
    *all = (struct members){0};
    for (int i = 0; i < 2; i++) {
        struct cdp_iter it = cdp_val_iter(i ? b : a);
        while (cdp_iter_next(&it))
            if (add_member(r, all, it.key, it.val) != CDP_EXPR_OK)
                return CDP_EXPR_FATAL;
    }
    return unique_members(r, all);
}

/* --- text of values */

/* jq's compact form: no white space, escapes only where they must be, each key once; numbers as they came. */
static int compact(struct cdp_expr_run *r, struct cdp_val v, struct cdp_buf *out)
{
    if (v.type == CDP_STRING && v.escaped) {
        size_t len;
        const char *s = cdp_val_str(v, &r->s->b1, &len);
        if (cdp_buf_check(&r->s->b1, r->err) < 0)
            return CDP_EXPR_FATAL;
        cdp_emit_string(out, s, len);
    } else if (v.type == CDP_ARRAY) {
        char before = '[';
        struct cdp_iter it = cdp_val_iter(v);
        while (cdp_iter_next(&it)) {
            cdp_buf_addc(out, before);
            before = ',';
            if (compact(r, it.val, out) != CDP_EXPR_OK)
                return CDP_EXPR_FATAL;
        }
        cdp_buf_adds(out, before == '[' ? "[]" : "]");
    } else if (v.type == CDP_OBJECT) {
        struct members all;
        if (merge_members(r, v, (struct cdp_val){0}, &all) != CDP_EXPR_OK)
            return CDP_EXPR_FATAL;
        cdp_buf_addc(out, '{');
        for (size_t i = 0; i < all.n; i++) {
            cdp_emit_key(out, all.m[i].name, all.m[i].len);
            if (compact(r, all.m[i].val, out) != CDP_EXPR_OK)
                return CDP_EXPR_FATAL;
        }
        cdp_buf_addc(out, '}');
    } else {
        cdp_emit_val(out, v);
    }
    return cdp_buf_check(out, r->err) < 0 ? CDP_EXPR_FATAL : CDP_EXPR_OK;
}

/* tojson: the compact text as a string. */
static int to_json(struct cdp_expr_run *r, struct cdp_val v, struct cdp_val *out)
{
    cdp_buf_clear(&r->s->b2);
    int rc = compact(r, v, &r->s->b2);
    return rc == CDP_EXPR_OK ? cdp_expr_string(r, r->s->b2.data, r->s->b2.len, out) : rc;
}

int cdp_expr_join(struct cdp_expr_run *r, const struct cdp_val *v, size_t n, struct cdp_val *out)
{
    for (size_t i = 0; i < n; i++)
        if (v[i].type == CDP_ARRAY || v[i].type == CDP_OBJECT) {
            struct cdp_val *made = cdp_expr_alloc(&r->s->arena, n * sizeof *made, r->err);
            if (!made)
                return CDP_EXPR_FATAL;
            memcpy(made, v, n * sizeof *made);
            for (; i < n; i++)
                if (made[i].type >= CDP_ARRAY && to_json(r, made[i], &made[i]) != CDP_EXPR_OK)
                    return CDP_EXPR_FATAL;
            v = made;
        }
    struct cdp_buf *b = &r->s->out;
    cdp_buf_clear(b);
    cdp_buf_addc(b, '"');
    for (size_t i = 0; i < n; i++) {
        if (v[i].type == CDP_STRING)
            cdp_buf_add(b, v[i].p + 1, v[i].len - 2);
        else
            cdp_emit_val(b, v[i]);
    }
    cdp_buf_addc(b, '"');
    return written(r, CDP_STRING, out);
}

/* --- order */

static int compare_strings(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, int *cmp)
{
    size_t an, bn;
    const char *s = cdp_val_str(a, &r->s->b1, &an), *t = cdp_val_str(b, &r->s->b2, &bn);
    if (cdp_buf_check(&r->s->b1, r->err) < 0 || cdp_buf_check(&r->s->b2, r->err) < 0)
        return CDP_EXPR_FATAL;
    int c = memcmp(s, t, an < bn ? an : bn);
    *cmp = c ? (c > 0) - (c < 0) : (an > bn) - (an < bn);
    return CDP_EXPR_OK;
}

static int compare_nested(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, int *cmp)
{
    struct cdp_buf *x = &r->s->b1, *y = &r->s->b2;
    cdp_buf_clear(x);
    cdp_buf_clear(y);
    if (cdp_key_value(a, x, r->err) < 0 || cdp_key_value(b, y, r->err) < 0)
        return num_failed(r);
    if (cdp_buf_check(x, r->err) < 0 || cdp_buf_check(y, r->err) < 0)
        return CDP_EXPR_FATAL;
    int c = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
    *cmp = (c > 0) - (c < 0);
    return CDP_EXPR_OK;
}

int cdp_expr_compare(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, int *cmp)
{
    uint8_t s = a.type == CDP_MISSING ? CDP_NULL : a.type, t = b.type == CDP_MISSING ? CDP_NULL : b.type;
    if (s != t) {
        *cmp = s < t ? -1 : 1;
        return CDP_EXPR_OK;
    }
    if (s == CDP_NUMBER) {
        *cmp = cdp_num_cmp_text(a.p, a.len, b.p, b.len);
        return CDP_EXPR_OK;
    }
    if (s == CDP_STRING)
        return compare_strings(r, a, b, cmp);
    if (s >= CDP_ARRAY)
        return compare_nested(r, a, b, cmp);
    *cmp = 0;
    return CDP_EXPR_OK;
}

/* --- arithmetic */

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
    rc = rc < 0 ? num_failed(r) : from_num(r, &x, out);
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
    return rc < 0 ? num_failed(r) : CDP_EXPR_OK;
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
    return written(r, CDP_ARRAY, out);
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
    return written(r, CDP_ARRAY, out);
}

static int merge_objects(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, struct cdp_val *out)
{
    struct members all;
    int rc = merge_members(r, a, b, &all);
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
    return written(r, CDP_OBJECT, out);
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
    int rc = written(r, CDP_ARRAY, &pair);
    if (rc == CDP_EXPR_OK)
        rc = cdp_jq_run(program, r, pair);
    return rc == CDP_EXPR_OK ? written(r, cdp_val_text(to->data, to->len).type, out) : rc;
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
        return cdp_expr_fail(r, "cannot be negated", a.type, NONE);
    if (a.p[0] == '-') {
        *out = (struct cdp_val){.p = a.p + 1, .len = a.len - 1, .type = CDP_NUMBER};
        return CDP_EXPR_OK;
    }
    cdp_buf_clear(&r->s->out);
    cdp_buf_addc(&r->s->out, '-');
    cdp_buf_add(&r->s->out, a.p, a.len);
    return written(r, CDP_NUMBER, out);
}

/* floor, ceil, round (half away from zero, as C's) and trunc, all by way of floor. */
static int to_integer(struct cdp_expr_run *r, int fn, struct cdp_val v, struct cdp_val *out)
{
    bool whole = true;
    for (uint32_t i = 0; i < v.len && whole; i++)
        whole = v.p[i] != '.' && (v.p[i] | 32) != 'e';
    *out = v;
    if (whole)
        return CDP_EXPR_OK;
    struct cdp_num x = CDP_NUM_ZERO, half = {.coef = 5, .exp = -1};
    int rc = cdp_num_parse(&x, v.p, v.len, r->err);
    bool flip = rc == 0 && (fn == CDP_EXPR_CEIL || (fn != CDP_EXPR_FLOOR && cdp_num_sign(&x) < 0));
    if (rc == 0 && flip)
        rc = cdp_num_sub(&x, &CDP_NUM_ZERO, &x, r->err);
    if (rc == 0 && fn == CDP_EXPR_ROUND)
        rc = cdp_num_add(&x, &x, &half, r->err);
    if (rc == 0)
        rc = cdp_num_floor(&x, &x, r->err);
    if (rc == 0 && flip)
        rc = cdp_num_sub(&x, &CDP_NUM_ZERO, &x, r->err);
    rc = rc < 0 ? num_failed(r) : from_num(r, &x, out);
    cdp_num_free(&x);
    return rc;
}

static int to_number(struct cdp_expr_run *r, struct cdp_val v, struct cdp_val *out)
{
    *out = v;
    if (v.type == CDP_NUMBER)
        return CDP_EXPR_OK;
    if (v.type != CDP_STRING)
        return cdp_expr_fail(r, "cannot be parsed as a number", v.type, NONE);
    size_t n;
    const char *s = cdp_val_str(v, &r->s->b1, &n), *text;
    if (cdp_buf_check(&r->s->b1, r->err) < 0)
        return CDP_EXPR_FATAL;
    while (n && strchr(" \t\r\n", s[0]) && s[0]) {
        s++;
        n--;
    }
    while (n && strchr(" \t\r\n", s[n - 1]) && s[n - 1])
        n--;
    if (!cdp_expr_number(s, n, &r->s->out, &text, &n))
        return r->s->out.failed ? CDP_EXPR_FATAL
                                : cdp_expr_fail(r, "cannot be parsed as a number", CDP_STRING, NONE);
    if (text == s && !v.escaped) { /* the string's own bytes */
        *out = (struct cdp_val){.p = text, .len = (uint32_t)n, .type = CDP_NUMBER};
        return CDP_EXPR_OK;
    }
    return cdp_expr_value(r, CDP_NUMBER, text, n, out);
}

/* --- other functions */

static int length(struct cdp_expr_run *r, struct cdp_val v, struct cdp_val *out)
{
    struct members all;
    switch (v.type) {
    case CDP_MISSING:
    case CDP_NULL:
        return literal("0", CDP_NUMBER, out);
    case CDP_NUMBER:
        *out = v;
        return v.p[0] == '-' ? cdp_expr_negate(r, v, out) : CDP_EXPR_OK;
    case CDP_STRING: {
        size_t n, points = 0;
        const char *s = cdp_val_str(v, &r->s->b1, &n);
        if (cdp_buf_check(&r->s->b1, r->err) < 0)
            return CDP_EXPR_FATAL;
        for (size_t i = 0; i < n; i++)
            points += ((unsigned char)s[i] & 0xC0) != 0x80;
        return from_count(r, points, out);
    }
    case CDP_ARRAY:
        return from_count(r, count_items(v), out);
    case CDP_OBJECT:
        if (merge_members(r, v, (struct cdp_val){0}, &all) != CDP_EXPR_OK)
            return CDP_EXPR_FATAL;
        return from_count(r, all.n, out);
    default:
        return cdp_expr_fail(r, "has no length", v.type, NONE);
    }
}

static int change_case(struct cdp_expr_run *r, struct cdp_val v, char first, struct cdp_val *out)
{
    if (v.type != CDP_STRING)
        return cdp_expr_fail(r, "cannot change case, as it is not a string", v.type, NONE);
    cdp_buf_clear(&r->s->b1);
    cdp_val_decode(v, &r->s->b1);
    if (cdp_buf_check(&r->s->b1, r->err) < 0)
        return CDP_EXPR_FATAL;
    for (size_t i = 0; i < r->s->b1.len; i++) {
        char *c = &r->s->b1.data[i];
        if (*c >= first && *c <= first + 25)
            *c = (char)(*c ^ 32);
    }
    return cdp_expr_string(r, r->s->b1.len ? r->s->b1.data : "", r->s->b1.len, out);
}

/* startswith, endswith, ltrimstr, rtrimstr and contains: a string and another. */
static int with_string(struct cdp_expr_run *r, int fn, struct cdp_val v, struct cdp_val arg,
                       struct cdp_val *out)
{
    bool trim = fn == CDP_EXPR_LTRIMSTR || fn == CDP_EXPR_RTRIMSTR;
    *out = v;
    if (v.type != CDP_STRING || arg.type != CDP_STRING) {
        if (trim)
            return CDP_EXPR_OK;
        return cdp_expr_fail(r,
                             fn == CDP_EXPR_STARTSWITH ? "cannot be given to startswith()"
                             : fn == CDP_EXPR_ENDSWITH ? "cannot be given to endswith()"
                                                       : "cannot have their containment checked",
                             v.type, arg.type);
    }
    size_t n, k;
    const char *s = cdp_val_str(v, &r->s->b1, &n), *t = cdp_val_str(arg, &r->s->b2, &k);
    if (cdp_buf_check(&r->s->b1, r->err) < 0 || cdp_buf_check(&r->s->b2, r->err) < 0)
        return CDP_EXPR_FATAL;
    bool at_start = fn == CDP_EXPR_STARTSWITH || fn == CDP_EXPR_LTRIMSTR, yes;
    if (fn == CDP_EXPR_CONTAINS)
        yes = k == 0 || memmem(s, n, t, k);
    else
        yes = k <= n && memcmp(at_start ? s : s + n - k, t, k) == 0;
    if (!trim) {
        *out = cdp_expr_bool(yes);
        return CDP_EXPR_OK;
    }
    return yes ? cdp_expr_string(r, at_start ? s + k : s, n - k, out) : CDP_EXPR_OK;
}

int cdp_expr_call(struct cdp_expr_run *r, int fn, struct cdp_val dot, struct cdp_val arg, struct cdp_val *out)
{
    static const char *const quoted[] = {
        [CDP_MISSING] = "\"null\"", [CDP_NULL] = "\"null\"",     [CDP_FALSE] = "\"boolean\"",
        [CDP_TRUE] = "\"boolean\"", [CDP_NUMBER] = "\"number\"", [CDP_STRING] = "\"string\"",
        [CDP_ARRAY] = "\"array\"",  [CDP_OBJECT] = "\"object\"",
    };
    switch ((enum cdp_expr_fn)fn) {
    case CDP_EXPR_LENGTH:
        return length(r, dot, out);
    case CDP_EXPR_TYPE:
        return literal(quoted[dot.type], CDP_STRING, out);
    case CDP_EXPR_TOSTRING:
        *out = dot;
        return dot.type == CDP_STRING ? CDP_EXPR_OK : to_json(r, dot, out);
    case CDP_EXPR_TOJSON:
        return to_json(r, dot, out);
    case CDP_EXPR_TONUMBER:
        return to_number(r, dot, out);
    case CDP_EXPR_FLOOR:
    case CDP_EXPR_CEIL:
    case CDP_EXPR_ROUND:
    case CDP_EXPR_TRUNC:
    case CDP_EXPR_FABS:
        if (dot.type != CDP_NUMBER)
            return cdp_expr_fail(r, "is no number", dot.type, NONE);
        return fn == CDP_EXPR_FABS ? length(r, dot, out) : to_integer(r, fn, dot, out);
    case CDP_EXPR_DOWNCASE:
    case CDP_EXPR_UPCASE:
        return change_case(r, dot, fn == CDP_EXPR_DOWNCASE ? 'A' : 'a', out);
    case CDP_EXPR_STARTSWITH:
    case CDP_EXPR_ENDSWITH:
    case CDP_EXPR_LTRIMSTR:
    case CDP_EXPR_RTRIMSTR:
    case CDP_EXPR_CONTAINS:
        break;
    }
    return with_string(r, fn, dot, arg, out);
}
