/* expr_value: raw JSON values: making them, their members, their text, their order.
 *
 * Values that pass through untouched stay the bytes they were.  They are compared as jq orders them, arrays and objects by
 * way of their key encodings (lib/key). */
#include "lib/emit.h"
#include "lib/expr_impl.h"
#include "lib/hash.h"
#include "lib/key.h"

#include <string.h>

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
int cdp_expr_written(struct cdp_expr_run *r, uint8_t type, struct cdp_val *out)
{
    struct cdp_buf *b = &r->s->out;
    return cdp_buf_check(b, r->err) < 0 ? CDP_EXPR_FATAL : cdp_expr_value(r, type, b->data, b->len, out);
}

int cdp_expr_string(struct cdp_expr_run *r, const char *p, size_t n, struct cdp_val *out)
{
    cdp_buf_clear(&r->s->out);
    cdp_emit_string(&r->s->out, p, n);
    return cdp_expr_written(r, CDP_STRING, out);
}

int cdp_expr_from_num(struct cdp_expr_run *r, const struct cdp_num *n, struct cdp_val *out)
{
    cdp_buf_clear(&r->s->out);
    cdp_num_format(n, &r->s->out);
    return cdp_expr_written(r, CDP_NUMBER, out);
}

/* A failure in num: memory, or a number that it does not take. */
int cdp_expr_num_failed(struct cdp_expr_run *r)
{
    if (r->err->exit == CDP_EXIT_IO)
        return CDP_EXPR_FATAL;
    return cdp_expr_fail(r, "a number that is out of range", NONE, NONE);
}

/* --- items of arrays, members of objects */

size_t cdp_expr_items(struct cdp_val v)
{
    size_t n = 0;
    struct cdp_iter it = cdp_val_iter(v);
    while (cdp_iter_next(&it))
        n++;
    return n;
}

static int add_member(struct cdp_expr_run *r, struct cdp_expr_members *all, struct cdp_val key,
                      struct cdp_val val)
{
    if (all->n == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 16;
        struct cdp_expr_member *grown = cdp_expr_alloc(&r->s->arena, cap * sizeof *grown, r->err);
        if (!grown)
            return CDP_EXPR_FATAL;
        if (all->n)
            memcpy(grown, all->m, all->n * sizeof *grown);
        all->m = grown;
        all->cap = cap;
    }
    struct cdp_expr_member *m = &all->m[all->n++];
    *m = (struct cdp_expr_member){.key = key, .val = val};
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
static int unique_members(struct cdp_expr_run *r, struct cdp_expr_members *all)
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
        const struct cdp_expr_member *m = &all->m[i];
        size_t at = (size_t)cdp_hash(m->name, m->len).lo & (slots - 1);
        struct cdp_expr_member *same = NULL;
        for (; table[at] && !same; at = (at + 1) & (slots - 1)) {
            struct cdp_expr_member *old = &all->m[table[at] - 1];
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
int cdp_expr_merge(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, struct cdp_expr_members *all)
{
    *all = (struct cdp_expr_members){0};
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
        struct cdp_expr_members all;
        if (cdp_expr_merge(r, v, (struct cdp_val){0}, &all) != CDP_EXPR_OK)
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
int cdp_expr_tojson(struct cdp_expr_run *r, struct cdp_val v, struct cdp_val *out)
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
                if (made[i].type >= CDP_ARRAY && cdp_expr_tojson(r, made[i], &made[i]) != CDP_EXPR_OK)
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
    return cdp_expr_written(r, CDP_STRING, out);
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
        return cdp_expr_num_failed(r);
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
