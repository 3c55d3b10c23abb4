/* expr_call: calls of functions, as nodes.
 *
 * A row of the table says how many arguments a function takes and what its node is made of.  Another number of arguments
 * is another function to jq, and libjq's matter. */
#include "lib/expr_parse.h"

#include <string.h>

typedef struct cdp_expr_node node;

struct call {
    const char *text; /* where it begins */
    node *self;       /* `.` */
    node *arg[2];
};

struct function {
    const char *name;
    unsigned args;
    node *(*make)(struct cdp_parser *ps, const struct function *f, struct call c);
    enum cdp_expr_op op;
    int fn;
};

/* --- what a node is made of */

static node *of_nothing(struct cdp_parser *ps, const struct function *f, struct call c)
{
    (void)c;
    return cdp_node_leaf(ps, f->op);
}

static node *of_self(struct cdp_parser *ps, const struct function *f, struct call c)
{
    return cdp_node_unary(ps, f->op, f->fn, c.self);
}

static node *of_argument(struct cdp_parser *ps, const struct function *f, struct call c)
{
    return cdp_node_unary(ps, f->op, f->fn, c.arg[0]);
}

static node *of_both(struct cdp_parser *ps, const struct function *f, struct call c)
{
    return cdp_node_binary(ps, f->op, f->fn, c.self, c.arg[0]);
}

/* Arrays and objects contain each other by rules of their own. */
static node *of_string(struct cdp_parser *ps, const struct function *f, struct call c)
{
    return cdp_node_is_string(c.arg[0]) ? of_both(ps, f, c) : cdp_parse_unsupported(ps);
}

static node *of_member(struct cdp_parser *ps, const struct function *f, struct call c)
{
    (void)f;
    return cdp_node_has(ps, c.self, c.arg[0]);
}

static node *of_condition(struct cdp_parser *ps, const struct function *f, struct call c)
{
    (void)f;
    return cdp_node_if(ps, c.arg[0], c.self, cdp_node_leaf(ps, CDP_EXPR_EMPTY));
}

/* A regular expression that is plain text, perhaps anchored, becomes that text. */
static bool plain_pattern(node *n, char *p, size_t len)
{
    size_t made = 0;
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '^' && i == 0)
            n->fn |= CDP_EXPR_BEGIN;
        else if (p[i] == '$' && i + 1 == len)
            n->fn |= CDP_EXPR_END;
        else if (p[i] == '\\' && i + 1 < len && p[i + 1] && strchr(".*+?()[]{}|^$\\/-", p[i + 1]))
            p[made++] = p[++i];
        else if (p[i] == '\0' || strchr("\\.*+?()[]{}|^$", p[i]))
            return false;
        else
            p[made++] = p[i];
    }
    n->val = (struct cdp_val){.p = p, .len = (uint32_t)made};
    return true;
}

/* test("…") and test("…"; "…"): without libjq where the pattern is plain. */
static node *of_pattern(struct cdp_parser *ps, const struct function *f, struct call c)
{
    for (unsigned i = 0; i < f->args; i++)
        if (!cdp_node_is_string(c.arg[i]))
            return cdp_parse_unsupported(ps);
    node *n = cdp_node_unary(ps, f->op, 0, c.self);
    size_t len;
    char *pattern = cdp_node_decoded(ps, c.arg[0], &len);
    if (!n || !pattern)
        return NULL;
    if (f->args == 1 && plain_pattern(n, pattern, len))
        return n;
    n = cdp_node_unary(ps, CDP_EXPR_REGEX, 0, c.self);
    len = (size_t)(ps->p - c.text);
    char *text = n ? cdp_node_keep(ps, c.text, len) : NULL;
    if (!text)
        return NULL;
    n->val = (struct cdp_val){.p = text, .len = (uint32_t)len};
    return n;
}

/* --- the table */

static const struct function functions[] = {
    {"empty", 0, of_nothing, CDP_EXPR_EMPTY, 0},
    {"not", 0, of_self, CDP_EXPR_NOT, 0},
    {"select", 1, of_condition, CDP_EXPR_IF, 0},
    {"has", 1, of_member, CDP_EXPR_HAS, 0},
    {"test", 1, of_pattern, CDP_EXPR_TEST, 0},
    {"test", 2, of_pattern, CDP_EXPR_TEST, 0},
    {"hour", 1, of_argument, CDP_EXPR_BUCKET, CDP_BUCKET_HOUR},
    {"day", 1, of_argument, CDP_EXPR_BUCKET, CDP_BUCKET_DAY},
    {"week", 1, of_argument, CDP_EXPR_BUCKET, CDP_BUCKET_WEEK},
    {"month", 1, of_argument, CDP_EXPR_BUCKET, CDP_BUCKET_MONTH},
    {"year", 1, of_argument, CDP_EXPR_BUCKET, CDP_BUCKET_YEAR},
    {"length", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_LENGTH},
    {"type", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_TYPE},
    {"tostring", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_TOSTRING},
    {"tojson", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_TOJSON},
    {"tonumber", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_TONUMBER},
    {"floor", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_FLOOR},
    {"ceil", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_CEIL},
    {"round", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_ROUND},
    {"trunc", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_TRUNC},
    {"fabs", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_FABS},
    {"ascii_downcase", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_DOWNCASE},
    {"ascii_upcase", 0, of_self, CDP_EXPR_CALL, CDP_EXPR_UPCASE},
    {"startswith", 1, of_both, CDP_EXPR_CALL, CDP_EXPR_STARTSWITH},
    {"endswith", 1, of_both, CDP_EXPR_CALL, CDP_EXPR_ENDSWITH},
    {"ltrimstr", 1, of_both, CDP_EXPR_CALL, CDP_EXPR_LTRIMSTR},
    {"rtrimstr", 1, of_both, CDP_EXPR_CALL, CDP_EXPR_RTRIMSTR},
    {"contains", 1, of_string, CDP_EXPR_CALL, CDP_EXPR_CONTAINS},
    {0},
};

/* (a; b), perhaps; how many there are, or -1. */
static int arguments(struct cdp_parser *ps, struct cdp_scope in, node **arg, int max)
{
    if (!cdp_lex_take(ps, '('))
        return 0;
    int n = 0;
    do {
        arg[n] = cdp_parse_pipe(ps, in);
        if (!arg[n++])
            return -1;
    } while (n < max && cdp_lex_take(ps, ';'));
    return cdp_lex_expect(ps, ')') ? n : -1;
}

node *cdp_parse_call(struct cdp_parser *ps, struct cdp_scope in, size_t len)
{
    struct call c = {.text = ps->p};
    ps->p += len;
    int n = arguments(ps, in, c.arg, sizeof c.arg / sizeof *c.arg);
    if (n < 0 || !(c.self = cdp_node_dot(ps, in)))
        return NULL;
    for (const struct function *f = functions; f->name; f++)
        if (f->args == (unsigned)n && cdp_lex_is(c.text, len, f->name))
            return f->make(ps, f, c);
    return cdp_parse_unsupported(ps);
}
