/* expr_eval: a tree on a record.
 *
 * Operands are evaluated last to first, as jq does it: an operand without an output hides an error in one before it.
 * One recursive walk.  Where only the truth of a node is wanted, no value is made.  Values are the record's own bytes
 * wherever they can be; what is made anew lies in the scratch's arena.  The commonest condition, a field against a
 * constant, is a node of its own. */
#include "lib/expr_impl.h"

#include <string.h>

#define eval cdp_expr_run_eval
#define truth cdp_expr_run_truth

typedef struct cdp_expr_node node;

static bool truthy(struct cdp_val v)
{
    return v.type > CDP_FALSE;
}

static bool holds(int op, int cmp)
{
    switch (op) {
    case CDP_EXPR_EQ:
        return cmp == 0;
    case CDP_EXPR_NE:
        return cmp != 0;
    case CDP_EXPR_LT:
        return cmp < 0;
    case CDP_EXPR_LE:
        return cmp <= 0;
    case CDP_EXPR_GT:
        return cmp > 0;
    default:
        return cmp >= 0;
    }
}

static bool cmp_str(const node *n, struct cdp_val v)
{
    bool same;
    if (v.type != CDP_STRING)
        same = false;
    else if (!v.escaped)
        same = v.len == n->val.len && memcmp(v.p, n->val.p, v.len) == 0;
    else
        same = cdp_val_str_eq(v, n->val.p + 1, n->val.len - 2);
    return same == (n->fn == CDP_EXPR_EQ);
}

static const int64_t tens[19] = {1,
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

/* A field against a number: as integers of one scale where both are short. */
static bool cmp_num(const node *n, struct cdp_val v)
{
    int64_t coef;
    int32_t exp;
    if (v.type != CDP_NUMBER)
        return holds(n->fn, v.type < CDP_NUMBER ? -1 : 1);
    if (cdp_num_small(v.p, v.len, &coef, &exp)) {
        int32_t apart = exp - n->exp;
        if (apart == 0)
            return holds(n->fn, (coef > n->coef) - (coef < n->coef));
        if (apart >= -18 && apart <= 18) {
            __int128 a = coef, b = n->coef;
            if (apart > 0)
                a *= tens[apart];
            else
                b *= tens[-apart];
            return holds(n->fn, (a > b) - (a < b));
        }
    }
    return holds(n->fn, cdp_num_cmp_text(v.p, v.len, n->val.p, n->val.len));
}

static int compare(struct cdp_expr_run *r, const node *n)
{
    struct cdp_val a, b;
    int cmp, rc = eval(r, n->b, &b);
    if (rc == CDP_EXPR_OK)
        rc = eval(r, n->a, &a);
    if (rc == CDP_EXPR_OK)
        rc = cdp_expr_compare(r, a, b, &cmp);
    return rc == CDP_EXPR_OK ? holds(n->fn, cmp) : rc;
}

/* A node's one step into a value that is no field of the record, by jq's rules. */
static int take_step(struct cdp_expr_run *r, struct cdp_val v, const node *n, struct cdp_val *out)
{
    const struct cdp_step *step = n->step;
    *out = (struct cdp_val){0};
    if (cdp_val_none(v))
        return CDP_EXPR_OK;
    if (v.type != (step->key ? CDP_OBJECT : CDP_ARRAY)) {
        const char *what = step->key ? "cannot be indexed with a string" : "cannot be indexed with a number";
        return n->path ? CDP_EXPR_OK : cdp_expr_fail(r, what, v.type, CDP_EXPR_NO_TYPE);
    }
    if (step->key) {
        *out = cdp_val_get(v, step->key, step->len);
        return CDP_EXPR_OK;
    }
    /* From the end, an index beyond the first item becomes one that no item has. */
    size_t at = n->from_end ? cdp_expr_items(v) - step->index : step->index;
    struct cdp_iter it = cdp_val_iter(v);
    for (size_t i = 0; cdp_iter_next(&it); i++)
        if (i == at) {
            *out = it.val;
            break;
        }
    return CDP_EXPR_OK;
}

static int eval_index(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    struct cdp_val v;
    int rc = eval(r, n->a, &v);
    if (rc != CDP_EXPR_OK)
        return rc;
    rc = take_step(r, v, n, out);
    return rc == CDP_EXPR_ERROR && n->opt ? CDP_EXPR_NONE : rc;
}

static int eval_pipe(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    struct cdp_val saved = r->dot, v;
    int rc = eval(r, n->a, &v);
    if (rc != CDP_EXPR_OK)
        return rc;
    r->dot = v;
    rc = eval(r, n->b, out);
    r->dot = saved;
    return rc;
}

/* The left side where it has an output that is neither null nor false, else the right side. */
static int eval_alt(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    int rc = eval(r, n->a, out);
    if (rc < 0 || (rc == CDP_EXPR_OK && truthy(*out)))
        return rc;
    return eval(r, n->b, out);
}

/* Evaluates the children in order.  *rc is not OK where one of them fails or, but for an array, has no output. */
static struct cdp_val *eval_kids(struct cdp_expr_run *r, const node *n, size_t *made, int *rc)
{
    struct cdp_val *v = cdp_expr_alloc(&r->s->arena, n->kids * sizeof *v, r->err);
    *made = 0;
    *rc = v ? CDP_EXPR_OK : CDP_EXPR_FATAL;
    for (size_t i = 0; i < n->kids && *rc == CDP_EXPR_OK; i++) {
        *rc = eval(r, n->kid[i], &v[*made]);
        if (*rc == CDP_EXPR_OK)
            ++*made;
        else if (*rc == CDP_EXPR_NONE && n->op == CDP_EXPR_ARRAY)
            *rc = CDP_EXPR_OK;
    }
    return v;
}

/* Objects and arrays: the values' bytes between the punctuation, put together in one go. */
static int eval_collect(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    size_t count, size = 2;
    int rc;
    struct cdp_val *v = eval_kids(r, n, &count, &rc);
    if (rc != CDP_EXPR_OK)
        return rc;
    bool object = n->op == CDP_EXPR_OBJECT;
    for (size_t i = 0; i < count; i++) {
        if (v[i].type == CDP_MISSING)
            v[i] = (struct cdp_val){.p = "null", .len = 4, .type = CDP_NULL};
        size += v[i].len + (object ? n->kid[i]->key.len : 1u);
    }
    if (size > UINT32_MAX)
        return cdp_expr_fail(r, "a value that is too large", CDP_EXPR_NO_TYPE, CDP_EXPR_NO_TYPE);
    char *to = cdp_expr_alloc(&r->s->arena, size, r->err), *p = to;
    if (!to)
        return CDP_EXPR_FATAL;
    if (!object)
        *p++ = '[';
    for (size_t i = 0; i < count; i++) {
        if (object) {
            memcpy(p, n->kid[i]->key.p, n->kid[i]->key.len);
            p += n->kid[i]->key.len;
        } else if (i) {
            *p++ = ',';
        }
        memcpy(p, v[i].p, v[i].len);
        p += v[i].len;
    }
    *p++ = object ? '}' : ']';
    *out = (struct cdp_val){.p = to, .len = (uint32_t)(p - to), .type = object ? CDP_OBJECT : CDP_ARRAY};
    return CDP_EXPR_OK;
}

static int eval_join(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    struct cdp_val *v = cdp_expr_alloc(&r->s->arena, n->kids * sizeof *v, r->err);
    int rc = v ? CDP_EXPR_OK : CDP_EXPR_FATAL;
    for (size_t i = n->kids; i-- && rc == CDP_EXPR_OK;)
        rc = eval(r, n->kid[i], &v[i]);
    return rc == CDP_EXPR_OK ? cdp_expr_join(r, v, n->kids, out) : rc;
}

#define DATE 10 /* bytes */

/* Is v a time in UTC of the day that day() made last?  Times come in runs of a day. */
static bool on_same_day(const struct cdp_expr_run *r, struct cdp_val v)
{
    const struct cdp_val *day = &r->s->day;
    return day->type == CDP_STRING && v.type == CDP_STRING && !v.escaped && v.len > day->len &&
           memcmp(v.p, day->p, 1 + DATE) == 0 && cdp_time_on_day(v.p + 1, v.len - 2);
}

/* The value of a node that is a field in most cases. */
static inline int operand(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    if (n->op != CDP_EXPR_SLOT)
        return eval(r, n, out);
    *out = r->fields[n->slot];
    return CDP_EXPR_OK;
}

static int eval_bucket(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    static const char *const what[] = {
        [CDP_BUCKET_HOUR] = "hour() of what is no RFC 3339 time",
        [CDP_BUCKET_DAY] = "day() of what is no RFC 3339 time",
        [CDP_BUCKET_WEEK] = "week() of what is no RFC 3339 time",
        [CDP_BUCKET_MONTH] = "month() of what is no RFC 3339 time",
        [CDP_BUCKET_YEAR] = "year() of what is no RFC 3339 time",
    };
    struct cdp_val v;
    int rc = operand(r, n->a, &v);
    *out = (struct cdp_val){.p = "null", .len = 4, .type = CDP_NULL};
    if (rc != CDP_EXPR_OK || cdp_val_none(v))
        return rc;
    bool utc_day = n->fn == CDP_BUCKET_DAY && !r->e->zone;
    if (utc_day && on_same_day(r, v)) {
        *out = r->s->day;
        return CDP_EXPR_OK;
    }
    struct cdp_time t;
    if (!cdp_time_from_val(v, CDP_TIME_RFC3339, &t))
        return cdp_expr_fail(r, what[n->fn], CDP_EXPR_NO_TYPE, CDP_EXPR_NO_TYPE);
    char text[CDP_TIME_MAX + 2];
    size_t len = DATE;
    /* A time in UTC begins with its day, unless it is a leap second, which counts as the second after it. */
    if (utc_day && !v.escaped && v.p[v.len - 2] == 'Z' && v.p[18] != '6')
        memcpy(text + 1, v.p + 1, len);
    else
        len = cdp_time_bucket(t, (enum cdp_bucket)n->fn, r->e->zone, text + 1);
    if (len == 0)
        return cdp_expr_fail(r, what[n->fn], CDP_EXPR_NO_TYPE, CDP_EXPR_NO_TYPE);
    text[0] = text[len + 1] = '"';
    rc = cdp_expr_value(r, CDP_STRING, text, len + 2, out);
    if (rc == CDP_EXPR_OK && utc_day && len == DATE)
        r->s->day = *out;
    return rc;
}

/* Whether has() may be asked of a value: 1; of null it is false: 0. */
static int may_have(struct cdp_expr_run *r, const node *n, struct cdp_val v)
{
    if (cdp_val_none(v))
        return 0;
    if (v.type == (n->step->key ? CDP_OBJECT : CDP_ARRAY))
        return 1;
    return cdp_expr_fail(r, n->step->key ? "cannot have a string key" : "cannot have a number key", v.type,
                         CDP_EXPR_NO_TYPE);
}

/* has() of a path into the record: the scanner knows. */
static int has_at(struct cdp_expr_run *r, const node *n)
{
    int rc = may_have(r, n, r->fields[n->slot]);
    return rc == 1 ? r->fields[n->slot2].type != CDP_MISSING : rc;
}

static int has(struct cdp_expr_run *r, const node *n)
{
    struct cdp_val v, member;
    int rc = eval(r, n->a, &v);
    if (rc == CDP_EXPR_OK)
        rc = may_have(r, n, v);
    if (rc != 1)
        return rc;
    rc = take_step(r, v, n, &member);
    return rc == CDP_EXPR_OK ? member.type != CDP_MISSING : rc;
}

/* A plain pattern.  As in Oniguruma with Perl's syntax, `^` is the beginning of the text and `$` its end or the place
 * before a newline at its end. */
static bool match_plain(const node *n, const char *s, size_t len)
{
    const char *pattern = n->val.p;
    size_t k = n->val.len;
    if (n->fn == 0)
        return k == 0 || memmem(s, len, pattern, k);
    if (k > len)
        return false;
    if (n->fn == CDP_EXPR_BEGIN)
        return memcmp(s, pattern, k) == 0;
    if (n->fn == CDP_EXPR_END) {
        if (memcmp(s + len - k, pattern, k) == 0)
            return true;
        return len > k && s[len - 1] == '\n' && memcmp(s + len - 1 - k, pattern, k) == 0;
    }
    return memcmp(s, pattern, k) == 0 && (len == k || (len == k + 1 && s[k] == '\n'));
}

static int match(struct cdp_expr_run *r, const node *n)
{
    struct cdp_val v;
    int rc = eval(r, n->a, &v);
    if (rc != CDP_EXPR_OK)
        return rc;
    if (v.type != CDP_STRING)
        return cdp_expr_fail(r, "cannot be matched, as it is not a string", v.type, CDP_EXPR_NO_TYPE);
    if (n->op == CDP_EXPR_REGEX) {
        rc = cdp_jq_run(n->jq, r, v);
        return rc == CDP_EXPR_OK ? r->s->out.data[0] == 't' : rc;
    }
    size_t len;
    const char *s = cdp_val_str(v, &r->s->b1, &len);
    if (cdp_buf_check(&r->s->b1, r->err) < 0)
        return CDP_EXPR_FATAL;
    return match_plain(n, s, len);
}

static int eval_jq(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    struct cdp_val v;
    int rc = eval(r, n->a, &v);
    if (rc == CDP_EXPR_OK)
        rc = cdp_jq_run(n->jq, r, v);
    if (rc != CDP_EXPR_OK)
        return rc;
    struct cdp_val made = cdp_val_text(r->s->out.data, r->s->out.len);
    return cdp_expr_value(r, made.type, made.p, made.len, out);
}

static int eval_call(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    struct cdp_val self, arg = {0};
    int rc = n->b ? eval(r, n->b, &arg) : CDP_EXPR_OK;
    if (rc == CDP_EXPR_OK)
        rc = eval(r, n->a, &self);
    return rc == CDP_EXPR_OK ? cdp_expr_call(r, n->fn, self, arg, out) : rc;
}

static int eval_arith(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    struct cdp_val a, b;
    int rc = eval(r, n->b, &b);
    if (rc == CDP_EXPR_OK)
        rc = eval(r, n->a, &a);
    return rc == CDP_EXPR_OK ? cdp_expr_arith(r, n->fn, a, b, out) : rc;
}

int truth(struct cdp_expr_run *r, const node *n)
{
    int rc;
    switch (n->op) {
    case CDP_EXPR_SLOT:
        return truthy(r->fields[n->slot]);
    case CDP_EXPR_CMP_STR:
        return cmp_str(n, r->fields[n->slot]);
    case CDP_EXPR_CMP_NUM:
        return cmp_num(n, r->fields[n->slot]);
    case CDP_EXPR_CMP:
        return compare(r, n);
    case CDP_EXPR_AND:
        rc = truth(r, n->a);
        return rc == 1 ? truth(r, n->b) : rc;
    case CDP_EXPR_OR:
        rc = truth(r, n->a);
        return rc == 0 ? truth(r, n->b) : rc;
    case CDP_EXPR_NOT:
        rc = truth(r, n->a);
        return rc == 0 || rc == 1 ? !rc : rc;
    case CDP_EXPR_HAS:
        return has(r, n);
    case CDP_EXPR_HAS_AT:
        return has_at(r, n);
    case CDP_EXPR_TEST:
    case CDP_EXPR_REGEX:
        return match(r, n);
    default:
        break;
    }
    struct cdp_val v;
    rc = eval(r, n, &v);
    return rc == CDP_EXPR_OK ? truthy(v) : rc;
}

int eval(struct cdp_expr_run *r, const node *n, struct cdp_val *out)
{
    int rc;
    switch ((enum cdp_expr_op)n->op) {
    case CDP_EXPR_CONST:
        *out = n->val;
        return CDP_EXPR_OK;
    case CDP_EXPR_SLOT:
        *out = r->fields[n->slot];
        return CDP_EXPR_OK;
    case CDP_EXPR_DOT:
        *out = r->dot;
        return CDP_EXPR_OK;
    case CDP_EXPR_EMPTY:
        return CDP_EXPR_NONE;
    case CDP_EXPR_INDEX:
        return eval_index(r, n, out);
    case CDP_EXPR_PIPE:
        return eval_pipe(r, n, out);
    case CDP_EXPR_ALT:
        return eval_alt(r, n, out);
    case CDP_EXPR_IF:
        rc = truth(r, n->a);
        return rc == 1 ? eval(r, n->b, out) : rc == 0 ? eval(r, n->c, out) : rc;
    case CDP_EXPR_TRY:
        rc = eval(r, n->a, out);
        return rc == CDP_EXPR_ERROR ? CDP_EXPR_NONE : rc;
    case CDP_EXPR_ARITH:
        return eval_arith(r, n, out);
    case CDP_EXPR_NEG:
        rc = eval(r, n->a, out);
        return rc == CDP_EXPR_OK ? cdp_expr_negate(r, *out, out) : rc;
    case CDP_EXPR_OBJECT:
    case CDP_EXPR_ARRAY:
        return eval_collect(r, n, out);
    case CDP_EXPR_JOIN:
        return eval_join(r, n, out);
    case CDP_EXPR_CALL:
        return eval_call(r, n, out);
    case CDP_EXPR_BUCKET:
        return eval_bucket(r, n, out);
    case CDP_EXPR_JQ:
        return eval_jq(r, n, out);
    case CDP_EXPR_AND:
    case CDP_EXPR_OR:
    case CDP_EXPR_NOT:
    case CDP_EXPR_CMP:
    case CDP_EXPR_CMP_STR:
    case CDP_EXPR_CMP_NUM:
    case CDP_EXPR_HAS:
    case CDP_EXPR_HAS_AT:
    case CDP_EXPR_TEST:
    case CDP_EXPR_REGEX:
    case CDP_EXPR_PATH: /* bound before anything runs */
        break;
    }
    rc = truth(r, n);
    if (rc == 0 || rc == 1) {
        *out = cdp_expr_bool(rc);
        return CDP_EXPR_OK;
    }
    return rc;
}
