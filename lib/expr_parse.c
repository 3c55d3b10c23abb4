/* expr_parse: an expression's text → the tree of the native subset.
 *
 * Recursive descent over the grammar of jq 1.6 (its parser.y): `|` binds loosest and to the right, then `,` (native in
 * array constructions only), the binary operators by precedence, unary minus (as tight as a sum's), and postfix paths and
 * `?`.  An object's values are terms and pipes of them.  What is not in the subset makes no error here: it is libjq's to
 * run or to refuse. */
#include "lib/expr_parse.h"
#include "lib/utf8.h"

#include <string.h>

#define MAX_NESTING 200 /* of brackets in the text, and of what else recurses */

typedef struct cdp_expr_node node;
typedef node *rule(struct cdp_parser *ps, struct cdp_scope in);

node *cdp_parse_unsupported(struct cdp_parser *ps)
{
    ps->unsupported = true;
    return NULL;
}

static bool enter(struct cdp_parser *ps)
{
    return ++ps->nesting <= MAX_NESTING || cdp_parse_unsupported(ps);
}

static node *deeper(struct cdp_parser *ps, struct cdp_scope in, rule *parse)
{
    node *n = enter(ps) ? parse(ps, in) : NULL;
    ps->nesting--;
    return n;
}

/* a, and where a pipe follows, what is behind it. */
static node *piped(struct cdp_parser *ps, struct cdp_scope in, node *a, rule *parse)
{
    if (!a || cdp_lex_peek(ps) != '|' || ps->p[1] == '=')
        return a;
    ps->p++;
    return cdp_node_piped(ps, a, parse(ps, cdp_node_behind(in, a)));
}

/* --- strings, objects, arrays */

static node *string_piece(struct cdp_parser *ps)
{
    const struct cdp_buf *b = &ps->s->b1;
    return cdp_lex_string(ps) ? cdp_node_string(ps, b->len ? b->data : "", b->len) : NULL;
}

/* A string literal, a constant where nothing is interpolated; ps->p is at its quote. */
static node *string_term(struct cdp_parser *ps, struct cdp_scope in)
{
    ps->p++;
    node *n = cdp_node_leaf(ps, CDP_EXPR_JOIN);
    if (!cdp_node_add(ps, n, string_piece(ps)))
        return NULL;
    while (*ps->p == '\\') {
        ps->p += 2;
        if (!cdp_node_add(ps, n, cdp_parse_pipe(ps, in)) || !cdp_lex_expect(ps, ')') ||
            !cdp_node_add(ps, n, string_piece(ps)))
            return NULL;
    }
    ps->p++;
    return n->kids == 1 ? n->kid[0] : n;
}

static node *term(struct cdp_parser *ps, struct cdp_scope in);

/* An object's values are terms, minus signs and pipes. */
static node *object_operand(struct cdp_parser *ps, struct cdp_scope in)
{
    if (cdp_lex_take(ps, '-'))
        return cdp_node_unary(ps, CDP_EXPR_NEG, 0, deeper(ps, in, object_operand));
    return term(ps, in);
}

static node *object_value(struct cdp_parser *ps, struct cdp_scope in);

static node *behind_object_pipe(struct cdp_parser *ps, struct cdp_scope in)
{
    return deeper(ps, in, object_value);
}

static node *object_value(struct cdp_parser *ps, struct cdp_scope in)
{
    return piped(ps, in, object_operand(ps, in), behind_object_pipe);
}

/* key: value, "key": value, and key or "key" for .key */
static bool object_member(struct cdp_parser *ps, struct cdp_scope in, node *object)
{
    size_t word = cdp_lex_name(ps);
    const char *from = ps->p;
    ps->p += word;
    node *key = word           ? cdp_node_string(ps, from, word)
                : *from == '"' ? string_term(ps, in)
                               : cdp_parse_unsupported(ps);
    if (!key)
        return false;
    if (!cdp_node_is_string(key))
        return cdp_parse_unsupported(ps);
    if (cdp_lex_take(ps, ':'))
        return cdp_node_add_member(ps, object, key, object_value(ps, in));
    if (cdp_lex_reserved(from, word))
        return cdp_parse_unsupported(ps);
    return cdp_node_add_member(ps, object, key, cdp_node_index(ps, cdp_node_dot(ps, in), key));
}

static node *object_term(struct cdp_parser *ps, struct cdp_scope in)
{
    ps->p++;
    if (cdp_lex_take(ps, '}'))
        return cdp_node_constant(ps, "{}", 2);
    node *n = cdp_node_leaf(ps, CDP_EXPR_OBJECT);
    do {
        if (!n || !object_member(ps, in, n))
            return NULL;
    } while (cdp_lex_take(ps, ','));
    return cdp_lex_expect(ps, '}') ? n : NULL;
}

static node *alternative(struct cdp_parser *ps, struct cdp_scope in);

static node *array_term(struct cdp_parser *ps, struct cdp_scope in)
{
    ps->p++;
    if (cdp_lex_take(ps, ']'))
        return cdp_node_constant(ps, "[]", 2);
    node *n = cdp_node_leaf(ps, CDP_EXPR_ARRAY), *first = alternative(ps, in);
    bool pipe = first && cdp_lex_peek(ps) == '|';
    if (!cdp_node_add(ps, n, piped(ps, in, first, cdp_parse_pipe)))
        return NULL;
    while (!pipe && cdp_lex_take(ps, ',')) /* behind a pipe, a ',' belongs to what is there */
        if (!cdp_node_add(ps, n, alternative(ps, in)))
            return NULL;
    return cdp_lex_expect(ps, ']') ? n : NULL;
}

/* --- terms */

/* Does a step of a path follow: `[`, `."`, or a dot and, with nothing between, a word? */
static bool at_step(struct cdp_parser *ps)
{
    char c = cdp_lex_peek(ps);
    return c == '[' || (c == '.' && (cdp_lex_letter(ps->p[1]) || *cdp_lex_skip(ps->p + 1) == '"'));
}

static node *step(struct cdp_parser *ps, struct cdp_scope in, node *n)
{
    if (*ps->p++ == '[') {
        n = cdp_node_index(ps, n, cdp_parse_pipe(ps, in));
        if (!n || !cdp_lex_expect(ps, ']'))
            return NULL;
    } else if (cdp_lex_peek(ps) == '"') {
        n = cdp_node_index(ps, n, string_term(ps, in));
    } else {
        size_t len = cdp_lex_word(ps->p);
        n = cdp_node_index(ps, n, cdp_node_string(ps, ps->p, len));
        ps->p += len;
    }
    if (n && cdp_lex_peek(ps) == '?' && ps->p[1] != '/') {
        ps->p++;
        n->opt = true;
    }
    return n;
}

static node *parenthesis(struct cdp_parser *ps, struct cdp_scope in)
{
    ps->p++;
    node *n = cdp_parse_pipe(ps, in);
    return n && cdp_lex_expect(ps, ')') ? n : NULL;
}

static node *word_term(struct cdp_parser *ps, struct cdp_scope in)
{
    size_t len = cdp_lex_name(ps);
    const char *word = ps->p;
    if (!len || cdp_lex_reserved(word, len))
        return cdp_parse_unsupported(ps);
    if (!cdp_lex_is(word, len, "true") && !cdp_lex_is(word, len, "false") && !cdp_lex_is(word, len, "null"))
        return cdp_parse_call(ps, in, len);
    ps->p += len;
    return cdp_node_constant(ps, word, len);
}

static node *number_term(struct cdp_parser *ps)
{
    const char *text;
    size_t len;
    return cdp_lex_number(ps, &text, &len) ? cdp_node_constant(ps, text, len) : NULL;
}

/* A term without what follows it. */
static node *head(struct cdp_parser *ps, struct cdp_scope in)
{
    char c = cdp_lex_peek(ps), next = c ? ps->p[1] : '\0';
    if (cdp_lex_digit(c) || (c == '.' && (cdp_lex_digit(next) || next == '.')))
        return number_term(ps);
    switch (c) {
    case '.':
        ps->p += !at_step(ps);
        return cdp_node_dot(ps, in);
    case '"':
        return string_term(ps, in);
    case '{':
        return object_term(ps, in);
    case '[':
        return array_term(ps, in);
    case '(':
        return parenthesis(ps, in);
    default:
        return word_term(ps, in);
    }
}

static node *whole_term(struct cdp_parser *ps, struct cdp_scope in)
{
    node *n = head(ps, in);
    while (n && at_step(ps))
        n = step(ps, in, n);
    return n;
}

static node *term(struct cdp_parser *ps, struct cdp_scope in)
{
    return deeper(ps, in, whole_term);
}

/* --- operators */

enum level { ALTERNATIVE, DISJUNCTION, CONJUNCTION, COMPARISON, SUM, PRODUCT };

/* Where one begins as another does, the longer one comes first. */
static const struct binary {
    const char *text;
    uint8_t level, op, fn;
} binaries[] = {
    {"//", ALTERNATIVE, CDP_EXPR_ALT, 0},
    {"or", DISJUNCTION, CDP_EXPR_OR, 0},
    {"and", CONJUNCTION, CDP_EXPR_AND, 0},
    {"==", COMPARISON, CDP_EXPR_CMP, CDP_EXPR_EQ},
    {"!=", COMPARISON, CDP_EXPR_CMP, CDP_EXPR_NE},
    {"<=", COMPARISON, CDP_EXPR_CMP, CDP_EXPR_LE},
    {">=", COMPARISON, CDP_EXPR_CMP, CDP_EXPR_GE},
    {"<", COMPARISON, CDP_EXPR_CMP, CDP_EXPR_LT},
    {">", COMPARISON, CDP_EXPR_CMP, CDP_EXPR_GT},
    {"+", SUM, CDP_EXPR_ARITH, '+'},
    {"-", SUM, CDP_EXPR_ARITH, '-'},
    {"*", PRODUCT, CDP_EXPR_ARITH, '*'},
    {"/", PRODUCT, CDP_EXPR_ARITH, '/'},
    {"%", PRODUCT, CDP_EXPR_ARITH, '%'},
    {NULL, 0, 0, 0},
};

/* The operator that is the next token, or NULL: what assigns is none of these. */
static const struct binary *next_operator(struct cdp_parser *ps)
{
    cdp_lex_peek(ps);
    size_t word = cdp_lex_word(ps->p);
    for (const struct binary *o = binaries; o->text; o++) {
        size_t n = strlen(o->text);
        if (word ? cdp_lex_is(ps->p, word, o->text) : strncmp(ps->p, o->text, n) == 0)
            return ps->p[n] == '=' && o->op != CDP_EXPR_CMP ? NULL : o;
    }
    return NULL;
}

static node *operation(struct cdp_parser *ps, struct cdp_scope in, unsigned level);

static node *alternative(struct cdp_parser *ps, struct cdp_scope in)
{
    return operation(ps, in, ALTERNATIVE);
}

static node *product(struct cdp_parser *ps, struct cdp_scope in)
{
    return operation(ps, in, PRODUCT);
}

/* if … then … (elif … then …)* else … end; the `if` is behind us. */
static node *conditional(struct cdp_parser *ps, struct cdp_scope in)
{
    node *a = cdp_parse_pipe(ps, in);
    node *b = a && cdp_lex_expect_word(ps, "then") ? cdp_parse_pipe(ps, in) : NULL;
    if (!b)
        return NULL;
    if (cdp_lex_take_word(ps, "elif"))
        return cdp_node_if(ps, a, b, deeper(ps, in, conditional));
    node *c = cdp_lex_expect_word(ps, "else") ? cdp_parse_pipe(ps, in) : NULL;
    return c && cdp_lex_expect_word(ps, "end") ? cdp_node_if(ps, a, b, c) : NULL;
}

static node *operand(struct cdp_parser *ps, struct cdp_scope in)
{
    if (cdp_lex_take(ps, '-'))
        return cdp_node_unary(ps, CDP_EXPR_NEG, 0, deeper(ps, in, product));
    if (cdp_lex_take_word(ps, "if"))
        return conditional(ps, in);
    node *n = term(ps, in);
    if (!n || cdp_lex_peek(ps) != '?' || ps->p[1] == '/')
        return n;
    ps->p++;
    return cdp_node_unary(ps, CDP_EXPR_TRY, 0, n);
}

/* Operators of that level and tighter ones.  `//` groups to the right, comparisons do not group, the others to the left. */
static node *operation(struct cdp_parser *ps, struct cdp_scope in, unsigned level)
{
    node *a = operand(ps, in);
    const struct binary *o;
    for (unsigned tightest = PRODUCT;
         a && (o = next_operator(ps)) && o->level >= level && o->level <= tightest;) {
        ps->p += strlen(o->text);
        node *b = o->level == ALTERNATIVE ? deeper(ps, in, alternative) : operation(ps, in, o->level + 1u);
        a = cdp_node_binary(ps, (enum cdp_expr_op)o->op, o->fn, a, b);
        tightest = o->level - (o->level == COMPARISON ? 1u : 0u);
    }
    return a;
}

static node *pipe_expr(struct cdp_parser *ps, struct cdp_scope in)
{
    return piped(ps, in, alternative(ps, in), cdp_parse_pipe);
}

node *cdp_parse_pipe(struct cdp_parser *ps, struct cdp_scope in)
{
    return deeper(ps, in, pipe_expr);
}

/* The whole text: a pipe whose right sides are tried one by one.  What is not native from some `|` on is left to libjq,
 * which then sees only what is native before it gave; unless that is the record itself. */
static node *program(struct cdp_parser *ps, struct cdp_scope in)
{
    node *a = enter(ps) ? alternative(ps, in) : NULL;
    if (!a || cdp_lex_peek(ps) == '\0')
        return a;
    if (ps->p[0] != '|' || ps->p[1] == '=')
        return cdp_parse_unsupported(ps);
    const char *rest = ++ps->p;
    node *b = program(ps, cdp_node_behind(in, a));
    if (b || !ps->unsupported || (a->op == CDP_EXPR_PATH && a->steps == 0))
        return cdp_node_piped(ps, a, b);
    ps->unsupported = false;
    node *n = cdp_node_unary(ps, CDP_EXPR_JQ, 0, a);
    if (n)
        n->val = (struct cdp_val){.p = rest, .len = (uint32_t)strlen(rest)};
    return n;
}

struct cdp_expr_node *cdp_expr_parse(struct cdp_expr *e, struct cdp_expr_scratch *s, bool *unsupported,
                                     struct cdp_err *err)
{
    struct cdp_parser ps = {.p = e->text, .e = e, .s = s, .err = err};
    *unsupported = false;
    if (cdp_lex_peek(&ps) == '\0') {
        cdp_err_set(err, CDP_EXIT_USAGE, "an empty expression");
        return NULL;
    }
    if (cdp_utf8_fault(ps.p, ps.p + strlen(ps.p))) {
        cdp_err_set(err, CDP_EXIT_USAGE, "an expression that is not UTF-8");
        return NULL;
    }
    node *n = program(&ps, (struct cdp_scope){0});
    *unsupported = !n && ps.unsupported;
    return n;
}
