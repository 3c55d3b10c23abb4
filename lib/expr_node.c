/* expr_node: the nodes of a tree.
 *
 * A pipe from a path is resolved while parsing: in `.a | f(.b)` the tree reads `.a.b`, so that the scanner extracts it.
 * Operators on constants are computed here, once.  What a tree outgrows (lists, shorter paths) stays in its arena. */
#include "lib/emit.h"
#include "lib/expr_parse.h"

#include <string.h>

#define MAX_DEPTH 400 /* of the tree: what evaluation may recurse */

typedef struct cdp_expr_node node;

static node *new_node(struct cdp_parser *ps, node n)
{
    unsigned depth = 0;
    const node *below[] = {n.a, n.b, n.c};
    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        if (below[i] && below[i]->depth > depth)
            depth = below[i]->depth;
    n.depth = (uint16_t)(depth + 1);
    if (n.depth > MAX_DEPTH)
        return cdp_parse_unsupported(ps);
    node *made = cdp_expr_alloc(&ps->e->arena, sizeof *made, ps->err);
    if (made)
        *made = n;
    return made;
}

char *cdp_node_keep(struct cdp_parser *ps, const char *p, size_t n)
{
    char *copy = cdp_expr_alloc(&ps->e->arena, n + 1, ps->err);
    if (copy) {
        memcpy(copy, p, n);
        copy[n] = '\0';
    }
    return copy;
}

/* --- constants */

node *cdp_node_constant(struct cdp_parser *ps, const char *raw, size_t len)
{
    char *copy = cdp_node_keep(ps, raw, len);
    return copy ? new_node(ps, (node){.op = CDP_EXPR_CONST, .val = cdp_val_text(copy, len)}) : NULL;
}

node *cdp_node_string(struct cdp_parser *ps, const char *p, size_t len)
{
    struct cdp_buf *out = &ps->s->out;
    cdp_buf_clear(out);
    cdp_emit_string(out, p, len);
    return cdp_buf_check(out, ps->err) == 0 ? cdp_node_constant(ps, out->data, out->len) : NULL;
}

bool cdp_node_is_string(const node *n)
{
    return n->op == CDP_EXPR_CONST && n->val.type == CDP_STRING;
}

char *cdp_node_decoded(struct cdp_parser *ps, const node *k, size_t *len)
{
    const char *s = cdp_val_str(k->val, &ps->s->b1, len);
    return cdp_buf_check(&ps->s->b1, ps->err) == 0 ? cdp_node_keep(ps, *len ? s : "", *len) : NULL;
}

/* Computes a node whose operands are constants.  What fails stays, to fail on every record as it does in jq. */
static node *fold(struct cdp_parser *ps, node *n)
{
    if (!n || n->a->op != CDP_EXPR_CONST || (n->b && n->b->op != CDP_EXPR_CONST))
        return n;
    struct cdp_expr_run r = {.e = ps->e, .s = ps->s, .err = ps->err};
    struct cdp_val v;
    int rc = cdp_expr_run_eval(&r, n, &v);
    if (rc == CDP_EXPR_FATAL)
        return NULL;
    if (rc == CDP_EXPR_OK)
        return cdp_node_constant(ps, v.p, v.len);
    /* jq refuses a division by zero when it compiles */
    return n->op == CDP_EXPR_ARITH ? cdp_parse_unsupported(ps) : n;
}

/* --- operators */

node *cdp_node_leaf(struct cdp_parser *ps, enum cdp_expr_op op)
{
    return new_node(ps, (node){.op = (uint8_t)op});
}

node *cdp_node_unary(struct cdp_parser *ps, enum cdp_expr_op op, int fn, node *a)
{
    node *n = a ? new_node(ps, (node){.op = (uint8_t)op, .fn = (uint8_t)fn, .a = a}) : NULL;
    return op == CDP_EXPR_NEG ? fold(ps, n) : n;
}

node *cdp_node_binary(struct cdp_parser *ps, enum cdp_expr_op op, int fn, node *a, node *b)
{
    node *n = a && b ? new_node(ps, (node){.op = (uint8_t)op, .fn = (uint8_t)fn, .a = a, .b = b}) : NULL;
    return op == CDP_EXPR_CMP || op == CDP_EXPR_ARITH ? fold(ps, n) : n;
}

node *cdp_node_if(struct cdp_parser *ps, node *a, node *b, node *c)
{
    return a && b && c ? new_node(ps, (node){.op = CDP_EXPR_IF, .a = a, .b = b, .c = c}) : NULL;
}

/* --- lists of children */

bool cdp_node_add(struct cdp_parser *ps, node *list, node *kid)
{
    if (!list || !kid)
        return false;
    if ((list->kids & (list->kids - 1)) == 0) {
        size_t cap = list->kids ? list->kids * 2 : 1;
        node **grown = cdp_expr_alloc(&ps->e->arena, cap * sizeof *grown, ps->err);
        if (!grown)
            return false;
        if (list->kids)
            memcpy(grown, list->kid, list->kids * sizeof *grown);
        list->kid = grown;
    }
    list->kid[list->kids++] = kid;
    if (kid->depth >= list->depth)
        list->depth = (uint16_t)(kid->depth + 1);
    return list->depth <= MAX_DEPTH || cdp_parse_unsupported(ps);
}

bool cdp_node_add_member(struct cdp_parser *ps, node *object, const node *key, node *kid)
{
    if (!object || !key || !kid)
        return false;
    for (size_t i = 0; i < object->kids; i++) { /* a repeated key takes its first place and its last value */
        struct cdp_val old = object->kid[i]->key;
        if (old.len == key->val.len + 2 && memcmp(old.p + 1, key->val.p, key->val.len) == 0)
            return cdp_parse_unsupported(ps);
    }
    size_t len = (size_t)key->val.len + 2;
    char *text = cdp_expr_alloc(&ps->e->arena, len, ps->err);
    if (!text)
        return false;
    text[0] = object->kids ? ',' : '{';
    memcpy(text + 1, key->val.p, key->val.len);
    text[len - 1] = ':';
    kid->key = (struct cdp_val){.p = text, .len = (uint32_t)len};
    return cdp_node_add(ps, object, kid);
}

/* --- paths */

node *cdp_node_dot(struct cdp_parser *ps, struct cdp_scope in)
{
    if (in.computed)
        return new_node(ps, (node){.op = CDP_EXPR_DOT, .path = in.path});
    return new_node(ps, (node){.op = CDP_EXPR_PATH, .step = in.step, .steps = in.steps, .path = true});
}

/* An index from the end; -0 is the first item, and libjq's matter. */
static bool is_from_end(const node *k)
{
    return k->op == CDP_EXPR_CONST && k->val.type == CDP_NUMBER && k->val.p[0] == '-' && k->val.p[1] != '0';
}

/* One more step, of a constant; the steps so far may be another path's too. */
static bool add_step(struct cdp_parser *ps, node *n, const node *k)
{
    struct cdp_step *step = cdp_expr_alloc(&ps->e->arena, (n->steps + 1) * sizeof *step, ps->err);
    if (!step)
        return false;
    if (n->steps)
        memcpy(step, n->step, n->steps * sizeof *step);
    n->step = step;
    step += n->steps++;
    *step = (struct cdp_step){0};
    if (n->steps > MAX_DEPTH || k->op != CDP_EXPR_CONST)
        return cdp_parse_unsupported(ps);
    if (k->val.type == CDP_STRING) {
        size_t len;
        step->key = cdp_node_decoded(ps, k, &len);
        step->len = (uint32_t)len;
        return step->key;
    }
    uint64_t index = 0;
    for (uint32_t i = n->from_end; i < k->val.len && index < UINT32_MAX; i++) {
        if (!cdp_lex_digit(k->val.p[i]))
            return cdp_parse_unsupported(ps);
        index = index * 10 + (uint64_t)(k->val.p[i] - '0');
    }
    step->index = (uint32_t)index;
    return index < UINT32_MAX || cdp_parse_unsupported(ps);
}

node *cdp_node_index(struct cdp_parser *ps, node *n, const node *k)
{
    if (!n || !k)
        return NULL;
    bool from_end = is_from_end(k), path = n->path;
    if (n->op != CDP_EXPR_PATH || from_end)
        n = cdp_node_unary(ps, CDP_EXPR_INDEX, 0, n);
    if (!n)
        return NULL;
    n->from_end = from_end;
    n->path = path;
    return add_step(ps, n, k) ? n : NULL;
}

node *cdp_node_has(struct cdp_parser *ps, node *n, const node *k)
{
    n = cdp_node_unary(ps, CDP_EXPR_HAS, 0, n);
    return n && k && add_step(ps, n, k) ? n : NULL;
}

/* --- pipes */

struct cdp_scope cdp_node_behind(struct cdp_scope in, const node *a)
{
    if (a->op == CDP_EXPR_PATH)
        return (struct cdp_scope){.step = a->step, .steps = a->steps};
    return a->op == CDP_EXPR_DOT ? in : (struct cdp_scope){.computed = true, .path = a->path};
}

node *cdp_node_piped(struct cdp_parser *ps, node *a, node *b)
{
    if (!a || !b || a->op == CDP_EXPR_PATH || a->op == CDP_EXPR_DOT)
        return b;
    node *n = cdp_node_binary(ps, CDP_EXPR_PIPE, 0, a, b);
    if (n)
        n->path = b->path;
    return n;
}
