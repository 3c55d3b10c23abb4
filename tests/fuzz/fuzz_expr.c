/* Fuzz target: an expression, a NUL, a record.  No text may crash the compiler, and what it compiles natively gives the
 * value that libjq gives.
 *
 * Compared are inputs on which jq is exact: integers of few digits, no division.  Left out is what is meant to differ (see
 * lib/expr.h): paths below what is no object or array, E? (whose errors jq 1.6 hides too widely), -0, NaN, halves of
 * surrogate pairs, NUL in contains() (which ends jq 1.6's strings there), nesting beyond libjq's. */
#include "lib/expr_impl.h"
#include "lib/key.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libjq 1.6 loses some bytes where a program does not compile. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libjq.so";
}

static bool exact_in_jq(const char *s, size_t n)
{
    size_t digits = 0, products = 0, nesting = 0;
    for (size_t i = 0; i < n; i++) {
        char next = i + 1 < n ? s[i + 1] : ' ';
        bool digit = s[i] >= '0' && s[i] <= '9';
        digits = digit ? digits + 1 : 0;
        products += s[i] == '*';
        nesting += s[i] == '[' || s[i] == '{';
        if (digits > 3 || products > 3 || nesting > 60 || (digit && strchr(".eE", next)))
            return false;
        if (s[i] == '/' && next != '/' && (i == 0 || s[i - 1] != '/'))
            return false;
        if (s[i] == '-' || s[i] == 0x7f || (s[i] == '\\' && next == 'u'))
            return false;
    }
    return !memmem(s, n, "nan", 3);
}

/* jq 1.6 takes the field of `.e5` for a number. */
static bool misread_by_jq(const char *s)
{
    for (; *s; s++)
        if (s[0] == '.' && (s[1] | 32) == 'e' && s[2] >= '0' && s[2] <= '9')
            return true;
    return false;
}

/* Does a path lead below something that has no members, where jq fails and we give null? */
static bool lenient(const struct cdp_expr_node *n, struct cdp_val record)
{
    if (n->op == CDP_EXPR_TRY)
        return true;
    bool field = n->op == CDP_EXPR_SLOT || n->op == CDP_EXPR_PATH;
    if (field || n->op == CDP_EXPR_CMP_STR || n->op == CDP_EXPR_CMP_NUM) {
        const struct cdp_expr_node *p = field ? n : n->a->op == CDP_EXPR_SLOT ? n->a : n->b;
        struct cdp_val v = record;
        for (size_t i = 0; i < p->steps && v.type > CDP_NULL; i++) {
            if (v.type != (p->step[i].key ? CDP_OBJECT : CDP_ARRAY))
                return true;
            struct cdp_iter it = cdp_val_iter(v);
            uint32_t at = 0;
            if (p->step[i].key) {
                v = cdp_val_get(v, p->step[i].key, p->step[i].len);
                continue;
            }
            v = (struct cdp_val){0};
            while (cdp_iter_next(&it))
                if (at++ == p->step[i].index)
                    v = it.val;
        }
        return false;
    }
    const struct cdp_expr_node *below[] = {n->a, n->b, n->c};
    for (size_t i = 0; i < 3; i++)
        if (below[i] && lenient(below[i], record))
            return true;
    for (size_t i = 0; i < n->kids; i++)
        if (lenient(n->kid[i], record))
            return true;
    return false;
}

static bool same_value(struct cdp_val a, struct cdp_val b)
{
    struct cdp_err err;
    struct cdp_buf x = {0}, y = {0};
    bool same = cdp_key_value(a, &x, &err) == 0 && cdp_key_value(b, &y, &err) == 0 && x.len == y.len &&
                memcmp(x.data, y.data, x.len) == 0;
    cdp_buf_free(&x);
    cdp_buf_free(&y);
    return same;
}

/* The same expression in a form that is libjq's alone. */
static struct cdp_expr *in_jq(const char *text, struct cdp_plan *plan, struct cdp_err *err)
{
    struct cdp_buf b = {0};
    cdp_buf_adds(&b, "(");
    cdp_buf_adds(&b, text);
    cdp_buf_adds(&b, "\n) as $x | $x");
    cdp_buf_addc(&b, '\0');
    struct cdp_expr *e = cdp_expr_new(b.data, plan, NULL, err);
    cdp_buf_free(&b);
    return e;
}

static void compare(const struct cdp_expr *e, struct cdp_plan *plan, const char *line, size_t n)
{
    struct cdp_err err;
    struct cdp_scan_fault fault;
    struct cdp_expr *jq = in_jq(e->text, plan, &err);
    struct cdp_expr_scratch *s = cdp_expr_scratch_new(&err);
    struct cdp_val *fields = calloc(cdp_plan_width(plan) + 1, sizeof *fields), a, b;
    if (!jq && misread_by_jq(e->text))
        goto done;
    if (!jq || !s || !fields || !cdp_scan_line(plan, line, fields, &fault))
        abort();
    int p = cdp_expr_eval(e, s, fields, line, n, &a, &err);
    int truth = cdp_expr_test(e, s, fields, line, n, &err);
    if (truth != (p < 0 ? -1 : a.type > CDP_FALSE))
        abort();
    if (exact_in_jq(e->text, strlen(e->text)) && exact_in_jq(line, n) &&
        !lenient(e->root, cdp_val_text(line, n))) {
        int q = cdp_expr_eval(jq, s, fields, line, n, &b, &err);
        if (p != q || (p == 0 && !same_value(a, b)))
            abort();
    }
done:
    cdp_expr_scratch_free(s);
    cdp_expr_free(jq);
    free(fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cdp_err err;
    char *text = calloc(1, size + 1 + CDP_PAD);
    if (!text)
        return 0;
    memcpy(text, data, size);
    size_t len = strlen(text), n = len < size ? size - len - 1 : 0;
    char *line = text + len + 1;
    struct cdp_scan_fault fault;
    if (cdp_expr_span(text) > len)
        abort();
    struct cdp_plan *plan = cdp_plan_new(&err);
    struct cdp_expr *e = plan ? cdp_expr_new(text, plan, NULL, &err) : NULL;
    if (e && cdp_expr_native(e) && n && !memchr(line, '\n', n) &&
        cdp_scan_document(NULL, line, n, NULL, &fault)) {
        line[n] = '\n';
        compare(e, plan, line, n);
    }
    cdp_expr_free(e);
    cdp_plan_free(plan);
    free(text);
    return 0;
}
