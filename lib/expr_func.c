/* expr_func: jq's functions on raw JSON values. */
#include "lib/emit.h"
#include "lib/expr_impl.h"

#include <string.h>

#define NONE CDP_EXPR_NO_TYPE

/* --- results */

static int literal(const char *text, uint8_t type, struct cdp_val *out)
{
    *out = (struct cdp_val){.p = text, .len = (uint32_t)strlen(text), .type = type};
    return CDP_EXPR_OK;
}

static int from_count(struct cdp_expr_run *r, uint64_t n, struct cdp_val *out)
{
    cdp_buf_clear(&r->s->out);
    cdp_emit_uint(&r->s->out, n);
    return cdp_expr_written(r, CDP_NUMBER, out);
}

/* --- numbers */

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
    rc = rc < 0 ? cdp_expr_num_failed(r) : cdp_expr_from_num(r, &x, out);
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
    struct cdp_expr_members all;
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
        return from_count(r, cdp_expr_items(v), out);
    case CDP_OBJECT:
        if (cdp_expr_merge(r, v, (struct cdp_val){0}, &all) != CDP_EXPR_OK)
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
        return dot.type == CDP_STRING ? CDP_EXPR_OK : cdp_expr_tojson(r, dot, out);
    case CDP_EXPR_TOJSON:
        return cdp_expr_tojson(r, dot, out);
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
