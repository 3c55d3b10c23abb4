/* expr_parse: a program's text → the tree of the native subset.
 *
 * Recursive descent over the grammar of jq 1.6 (its parser.y and lexer.l): `|` binds loosest and to the right, then `,`
 * (native in array constructions only), `//` (right), `or`, `and`, the comparisons (not associative), `+ -`, `* / %`,
 * unary minus (as tight as a sum's), and postfix paths and `?`.  An object's values are terms and pipes of them.  What is
 * not in the subset makes no error here: it is libjq's to run or to refuse.
 *
 * A pipe from a path is resolved while parsing: in `.a | f(.b)` the tree reads `.a.b`, so that the scanner extracts it.
 * Operators on constants are computed here, once. */
#include "lib/emit.h"
#include "lib/expr_impl.h"
#include "lib/utf8.h"

#include <string.h>

#define MAX_NESTING 200 /* of brackets in the text */
#define MAX_DEPTH 400   /* of the tree: what evaluation may recurse */

typedef struct cdp_expr_node node;

/* What `.` is: a path into the record, or the output of something computed. */
struct scope {
    bool dynamic;
    struct cdp_step *step;
    size_t steps;
};

struct parser {
    const char *p;
    unsigned nesting;
    bool unsupported; /* libjq has to judge; otherwise a NULL is an error in *err */
    struct cdp_expr *e;
    struct cdp_expr_scratch *s;
    struct cdp_err *err;
};

static node *pipe_expr(struct parser *ps, struct scope in, bool top);
static node *alt_expr(struct parser *ps, struct scope in);
static node *mul_expr(struct parser *ps, struct scope in);

static node *unsupported(struct parser *ps)
{
    ps->unsupported = true;
    return NULL;
}

/* --- characters and tokens */

static bool word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool word_char(char c)
{
    return word_start(c) || digit(c);
}

static size_t word_len(const char *p)
{
    size_t n = 0;
    if (word_start(*p))
        while (word_char(p[n]))
            n++;
    return n;
}

static bool is_word(const char *p, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(p, word, n) == 0;
}

static const char *skip_blanks(const char *p)
{
    for (;;) {
        if (*p == ' ' || *p == '\t' || *p == '\n')
            p++;
        else if (*p == '#')
            p += strcspn(p, "\r\n");
        else
            return p;
    }
}

/* Goes to the next token and returns its first byte. */
static char peek(struct parser *ps)
{
    ps->p = skip_blanks(ps->p);
    return *ps->p;
}

static bool take(struct parser *ps, char c)
{
    if (peek(ps) != c)
        return false;
    ps->p++;
    return true;
}

/* Takes a keyword that is the next token. */
static bool take_word(struct parser *ps, const char *word)
{
    peek(ps);
    size_t n = word_len(ps->p);
    if (!is_word(ps->p, n, word) || ps->p[n] == ':')
        return false;
    ps->p += n;
    return true;
}

static bool reserved(const char *p, size_t n)
{
    static const char *const words[] = {"as",   "import", "include", "module", "def", "if",     "then",
                                        "else", "elif",   "and",     "or",     "end", "reduce", "foreach",
                                        "try",  "catch",  "label",   "break",  NULL};
    for (size_t i = 0; words[i]; i++)
        if (is_word(p, n, words[i]))
            return true;
    return is_word(p, n, "__loc__");
}

/* --- nodes */

static node *new_node(struct parser *ps, enum cdp_expr_op op, node *a, node *b)
{
    unsigned depth = 1 + (a ? a->depth : 0u);
    if (b && b->depth >= depth)
        depth = 1 + b->depth;
    if (depth > MAX_DEPTH)
        return unsupported(ps);
    node *n = cdp_expr_alloc(&ps->e->arena, sizeof *n, ps->err);
    if (n)
        *n = (node){.op = (uint8_t)op, .depth = (uint16_t)depth, .a = a, .b = b, .slot = -1, .slot2 = -1};
    return n;
}

static char *keep(struct parser *ps, const char *p, size_t n)
{
    char *copy = cdp_expr_alloc(&ps->e->arena, n + 1, ps->err);
    if (copy) {
        memcpy(copy, p, n);
        copy[n] = '\0';
    }
    return copy;
}

static node *constant(struct parser *ps, const char *raw, size_t n)
{
    node *k = new_node(ps, CDP_EXPR_CONST, NULL, NULL);
    char *copy = k ? keep(ps, raw, n) : NULL;
    if (!copy)
        return NULL;
    k->val = cdp_val_text(copy, n);
    return k;
}

/* Decoded bytes as a string constant. */
static node *string_constant(struct parser *ps, const char *p, size_t n)
{
    struct cdp_buf *out = &ps->s->out;
    cdp_buf_clear(out);
    cdp_emit_string(out, p, n);
    return cdp_buf_check(out, ps->err) == 0 ? constant(ps, out->data, out->len) : NULL;
}

/* Computes a node whose operands are constants.  What fails stays, to fail on every record as it does in jq. */
static node *fold(struct parser *ps, node *n)
{
    if (!n || n->a->op != CDP_EXPR_CONST || (n->b && n->b->op != CDP_EXPR_CONST))
        return n;
    struct cdp_expr_run r = {.e = ps->e, .s = ps->s, .err = ps->err};
    struct cdp_val v;
    int rc = cdp_expr_run_eval(&r, n, &v);
    if (rc == CDP_EXPR_FATAL)
        return NULL;
    if (rc == CDP_EXPR_OK)
        return constant(ps, v.p, v.len);
    return n->op == CDP_EXPR_ARITH ? unsupported(ps) : n; /* jq refuses a division by zero when it compiles */
}

static node *binary(struct parser *ps, enum cdp_expr_op op, int fn, node *a, node *b)
{
    node *n = a && b ? new_node(ps, op, a, b) : NULL;
    if (!n)
        return NULL;
    n->fn = (uint8_t)fn;
    return op == CDP_EXPR_CMP || op == CDP_EXPR_ARITH ? fold(ps, n) : n;
}

/* `.` in this scope. */
static node *dot(struct parser *ps, struct scope in)
{
    node *n = new_node(ps, in.dynamic ? CDP_EXPR_DOT : CDP_EXPR_PATH, NULL, NULL);
    if (n && !in.dynamic) {
        n->step = in.step;
        n->steps = in.steps;
    }
    return n;
}

/* The scope behind `a |`. */
static struct scope behind(struct scope in, const node *a)
{
    if (a->op == CDP_EXPR_PATH)
        return (struct scope){.step = a->step, .steps = a->steps};
    return a->op == CDP_EXPR_DOT ? in : (struct scope){.dynamic = true};
}

static node *piped(struct parser *ps, node *a, node *b)
{
    if (!a || !b || a->op == CDP_EXPR_PATH || a->op == CDP_EXPR_DOT)
        return b;
    return new_node(ps, CDP_EXPR_PIPE, a, b);
}

/* --- strings and numbers */

/* The escapes that JSON has, and no half of a surrogate pair, which jq does not take either. */
static bool good_escapes(const char *p, const char *end)
{
    bool high = false;
    while (p < end) {
        unsigned u = 0;
        bool low = false;
        if (*p != '\\') {
            p++;
        } else if (p[1] == 'u') {
            for (int i = 2; i < 6; i++) {
                if (!strchr("0123456789abcdefABCDEF", p[i]) || p[i] == '\0')
                    return false;
                u = u << 4 | (unsigned)(digit(p[i]) ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
            }
            low = u >= 0xDC00 && u < 0xE000;
            p += 6;
        } else {
            if (!strchr("\"\\/bfnrt", p[1]) || p[1] == '\0')
                return false;
            p += 2;
        }
        if (high != low)
            return false;
        high = u >= 0xD800 && u < 0xDC00;
    }
    return !high;
}

/* A piece of a string literal, up to its end or the next `\(`, as a constant. */
static node *string_piece(struct parser *ps)
{
    const char *from = ps->p, *p = from;
    while (*p && *p != '"' && !(p[0] == '\\' && p[1] == '('))
        p += p[0] == '\\' && p[1] ? 2 : 1;
    if (!*p || !good_escapes(from, p))
        return unsupported(ps);
    ps->p = p;
    struct cdp_buf *b = &ps->s->b1;
    cdp_buf_clear(b);
    struct cdp_val raw = {.p = from - 1, .len = (uint32_t)(p - from) + 2, .type = CDP_STRING, .escaped = 1};
    cdp_val_decode(raw, b);
    if (cdp_buf_check(b, ps->err) < 0)
        return NULL;
    return string_constant(ps, b->data ? b->data : "", b->len);
}

/* Grows a list of children in the arena; lists are short, and old ones go with the tree. */
static bool add_kid(struct parser *ps, node *list, node *kid)
{
    if (!kid)
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
    return list->depth <= MAX_DEPTH || unsupported(ps);
}

/* A string literal; ps->p is at its quote. */
static node *string_term(struct parser *ps, struct scope in)
{
    ps->p++;
    node *first = string_piece(ps);
    if (!first)
        return NULL;
    if (*ps->p == '"') {
        ps->p++;
        return first;
    }
    node *n = new_node(ps, CDP_EXPR_JOIN, NULL, NULL);
    if (!n || !add_kid(ps, n, first))
        return NULL;
    while (*ps->p == '\\') {
        ps->p += 2;
        if (!add_kid(ps, n, pipe_expr(ps, in, false)))
            return NULL;
        if (!take(ps, ')'))
            return unsupported(ps);
        if (!add_kid(ps, n, string_piece(ps)))
            return NULL;
    }
    ps->p++;
    return n;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && digit(*p))
        p++;
    return p;
}

/* The parts of a number's text: [sign] whole [. fraction] [exponent]. */
struct number {
    char sign; /* '+', '-' or 0 */
    bool point;
    const char *whole, *fraction, *exponent, *end;
    size_t wholes, fractions; /* digits */
};

static bool number_parts(const char *p, const char *end, struct number *n)
{
    *n = (struct number){.end = end};
    if (p < end && (*p == '+' || *p == '-'))
        n->sign = *p++;
    n->whole = p;
    p = skip_digits(p, end);
    n->wholes = (size_t)(p - n->whole);
    if (p < end && *p == '.') {
        n->point = true;
        n->fraction = ++p;
        p = skip_digits(p, end);
        n->fractions = (size_t)(p - n->fraction);
    }
    n->exponent = p;
    if (p < end && (*p | 32) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        const char *from = p;
        p = skip_digits(p, end);
        if (p == from)
            return false;
    }
    return p == end && n->wholes + n->fractions;
}

bool cdp_expr_number(const char *p, size_t len, struct cdp_buf *out, const char **text, size_t *text_len)
{
    struct number n;
    if (!number_parts(p, p + len, &n))
        return false;
    *text = p;
    *text_len = len;
    if (n.sign != '+' && n.wholes && (n.wholes == 1 || *n.whole != '0') && (!n.point || n.fractions))
        return true;
    while (n.wholes > 1 && *n.whole == '0') {
        n.whole++;
        n.wholes--;
    }
    cdp_buf_clear(out);
    if (n.sign == '-')
        cdp_buf_addc(out, '-');
    cdp_buf_add(out, n.wholes ? n.whole : "0", n.wholes ? n.wholes : 1);
    if (n.fractions) {
        cdp_buf_addc(out, '.');
        cdp_buf_add(out, n.fraction, n.fractions);
    }
    cdp_buf_add(out, n.exponent, (size_t)(n.end - n.exponent));
    *text = out->data;
    *text_len = out->len;
    return !out->failed;
}

static node *number_term(struct parser *ps)
{
    const char *from = ps->p, *p = from, *text;
    while (digit(*p) || *p == '.')
        p++;
    if (*p == 'e' || *p == 'E') {
        const char *q = p + 1;
        q += *q == '+' || *q == '-';
        if (digit(*q)) {
            while (digit(*q))
                q++;
            p = q;
        }
    }
    size_t n;
    if (!cdp_expr_number(from, (size_t)(p - from), &ps->s->out, &text, &n))
        return ps->s->out.failed ? NULL : unsupported(ps);
    ps->p = p;
    return constant(ps, text, n);
}

/* --- paths */

/* n's path made longer by a step, or the step taken in its value. */
static node *indexed(struct parser *ps, node *n, const char *key, size_t len, uint32_t index)
{
    size_t old = n->op == CDP_EXPR_PATH ? n->steps : 0;
    node *to = n->op == CDP_EXPR_PATH ? new_node(ps, CDP_EXPR_PATH, NULL, NULL)
                                      : new_node(ps, CDP_EXPR_INDEX, n, NULL);
    if (!to)
        return NULL;
    to->step = cdp_expr_alloc(&ps->e->arena, (old + 1) * sizeof *to->step, ps->err);
    if (!to->step)
        return NULL;
    if (old)
        memcpy(to->step, n->step, old * sizeof *to->step);
    to->steps = old + 1;
    to->step[old] = (struct cdp_step){.len = (uint32_t)len, .index = index};
    if (key && !(to->step[old].key = keep(ps, key, len)))
        return NULL;
    return to->steps > MAX_DEPTH ? unsupported(ps) : to;
}

/* A string literal without interpolation as a key; its bytes are in ps->s->b1. */
static bool key_string(struct parser *ps)
{
    ps->p++;
    if (!string_piece(ps))
        return false;
    if (*ps->p++ != '"') {
        unsupported(ps);
        return false;
    }
    return true;
}

static node *indexed_by_b1(struct parser *ps, node *n)
{
    const struct cdp_buf *b = &ps->s->b1;
    return indexed(ps, n, b->data ? b->data : "", b->len, 0);
}

/* `["key"]` or `[12]`; ps->p is at the bracket. */
static node *bracket(struct parser *ps, node *n)
{
    ps->p++;
    char c = peek(ps);
    if (c == '"') {
        if (!key_string(ps))
            return NULL;
        n = indexed_by_b1(ps, n);
    } else {
        uint64_t index = 0;
        const char *from = ps->p;
        for (; digit(*ps->p) && index < UINT32_MAX; ps->p++)
            index = index * 10 + (uint64_t)(*ps->p - '0');
        if (ps->p == from || index >= UINT32_MAX)
            return unsupported(ps);
        n = indexed(ps, n, NULL, 0, (uint32_t)index);
    }
    return n && !take(ps, ']') ? unsupported(ps) : n;
}

/* `?` behind a path's step. */
static node *question(struct parser *ps, node *n)
{
    if (!n || peek(ps) != '?' || ps->p[1] == '/')
        return n;
    ps->p++;
    n->opt = true;
    return n;
}

/* What follows a term: steps, each perhaps with a `?`. */
static node *postfix(struct parser *ps, node *n, bool is_step)
{
    if (is_step)
        n = question(ps, n);
    while (n) {
        char c = peek(ps);
        if (c == '[') {
            n = question(ps, bracket(ps, n));
        } else if (c == '.' && word_start(ps->p[1])) {
            size_t len = word_len(ps->p + 1);
            ps->p += len + 1;
            n = question(ps, indexed(ps, n, ps->p - len, len, 0));
        } else if (c == '.') {
            ps->p = skip_blanks(ps->p + 1);
            if (*ps->p != '"')
                return unsupported(ps);
            if (!key_string(ps))
                return NULL;
            n = question(ps, indexed_by_b1(ps, n));
        } else {
            return n;
        }
    }
    return NULL;
}

/* A term that begins with '.'. */
static node *path_term(struct parser *ps, struct scope in)
{
    node *n = dot(ps, in);
    if (!n)
        return NULL;
    if (word_start(ps->p[1])) {
        size_t len = word_len(ps->p + 1);
        ps->p += len + 1;
        return postfix(ps, indexed(ps, n, ps->p - len, len, 0), true);
    }
    ps->p = skip_blanks(ps->p + 1);
    if (*ps->p == '"') {
        if (!key_string(ps))
            return NULL;
        return postfix(ps, indexed_by_b1(ps, n), true);
    }
    return postfix(ps, n, false);
}

/* --- functions */

static const struct function {
    const char *name;
    uint8_t fn, args;
} functions[] = {
    {"length", CDP_EXPR_LENGTH, 0},
    {"type", CDP_EXPR_TYPE, 0},
    {"tostring", CDP_EXPR_TOSTRING, 0},
    {"tojson", CDP_EXPR_TOJSON, 0},
    {"tonumber", CDP_EXPR_TONUMBER, 0},
    {"floor", CDP_EXPR_FLOOR, 0},
    {"ceil", CDP_EXPR_CEIL, 0},
    {"round", CDP_EXPR_ROUND, 0},
    {"trunc", CDP_EXPR_TRUNC, 0},
    {"fabs", CDP_EXPR_FABS, 0},
    {"ascii_downcase", CDP_EXPR_DOWNCASE, 0},
    {"ascii_upcase", CDP_EXPR_UPCASE, 0},
    {"startswith", CDP_EXPR_STARTSWITH, 1},
    {"endswith", CDP_EXPR_ENDSWITH, 1},
    {"ltrimstr", CDP_EXPR_LTRIMSTR, 1},
    {"rtrimstr", CDP_EXPR_RTRIMSTR, 1},
    {"contains", CDP_EXPR_CONTAINS, 1},
    {NULL, 0, 0},
};

static const char *const buckets[] = {
    [CDP_BUCKET_HOUR] = "hour",   [CDP_BUCKET_DAY] = "day",   [CDP_BUCKET_WEEK] = "week",
    [CDP_BUCKET_MONTH] = "month", [CDP_BUCKET_YEAR] = "year", NULL};

/* The one argument of a call; ps->p is behind its name. */
static node *argument(struct parser *ps, struct scope in)
{
    if (!take(ps, '('))
        return unsupported(ps);
    node *n = pipe_expr(ps, in, false);
    return n && !take(ps, ')') ? unsupported(ps) : n;
}

/* A regular expression that is plain text, perhaps anchored: left decoded in n->val. */
static bool plain_pattern(struct parser *ps, node *n, const char *p, size_t len)
{
    char *text = cdp_expr_alloc(&ps->e->arena, len + 1, ps->err);
    size_t made = 0;
    if (!text)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '^' && i == 0) {
            n->fn |= CDP_EXPR_BEGIN;
        } else if (p[i] == '$' && i + 1 == len) {
            n->fn |= CDP_EXPR_END;
        } else if (p[i] == '\\' && i + 1 < len && p[i + 1] && strchr(".*+?()[]{}|^$\\/-", p[i + 1])) {
            text[made++] = p[++i];
        } else if (p[i] == '\0' || strchr("\\.*+?()[]{}|^$", p[i])) {
            return false;
        } else {
            text[made++] = p[i];
        }
    }
    n->val = (struct cdp_val){.p = text, .len = (uint32_t)made};
    return true;
}

/* test("…"), test("…"; "…"); from is where the call begins. */
static node *test_call(struct parser *ps, struct scope in, const char *from)
{
    if (!take(ps, '(') || peek(ps) != '"')
        return unsupported(ps);
    if (!key_string(ps))
        return NULL;
    node *self = dot(ps, in), *n = self ? new_node(ps, CDP_EXPR_TEST, self, NULL) : NULL;
    if (!n)
        return NULL;
    const struct cdp_buf *b = &ps->s->b1;
    bool plain = plain_pattern(ps, n, b->data ? b->data : "", b->len);
    if (take(ps, ';')) {
        plain = false;
        if (peek(ps) != '"')
            return unsupported(ps);
        if (!key_string(ps))
            return NULL;
    }
    if (!take(ps, ')'))
        return unsupported(ps);
    if (!plain) {
        size_t len = (size_t)(ps->p - from);
        char *text = keep(ps, from, len);
        if (!text)
            return NULL;
        *n = (node){
            .op = CDP_EXPR_REGEX, .depth = n->depth, .a = self, .val = {.p = text, .len = (uint32_t)len}};
    }
    return n;
}

/* has("key"), has(2). */
static node *has_call(struct parser *ps, struct scope in)
{
    node *self = dot(ps, in);
    if (!take(ps, '('))
        return unsupported(ps);
    node *arg = self ? pipe_expr(ps, in, false) : NULL;
    if (!arg)
        return NULL;
    if (!take(ps, ')') || arg->op != CDP_EXPR_CONST)
        return unsupported(ps);
    node *n = new_node(ps, CDP_EXPR_HAS, self, NULL);
    if (!n || !(n->step = cdp_expr_alloc(&ps->e->arena, sizeof *n->step, ps->err)))
        return NULL;
    n->steps = 1;
    *n->step = (struct cdp_step){0};
    if (arg->val.type == CDP_STRING) {
        cdp_buf_clear(&ps->s->b1);
        cdp_val_decode(arg->val, &ps->s->b1);
        if (cdp_buf_check(&ps->s->b1, ps->err) < 0)
            return NULL;
        n->step->len = (uint32_t)ps->s->b1.len;
        n->step->key = keep(ps, ps->s->b1.len ? ps->s->b1.data : "", ps->s->b1.len);
        return n->step->key ? n : NULL;
    }
    for (uint32_t i = 0; i < arg->val.len; i++) {
        char c = arg->val.p[i];
        if (!digit(c) || arg->val.len > 9)
            return unsupported(ps);
        n->step->index = n->step->index * 10 + (uint32_t)(c - '0');
    }
    return n;
}

static node *select_call(struct parser *ps, struct scope in)
{
    node *cond = argument(ps, in), *self = cond ? dot(ps, in) : NULL;
    node *n = self ? new_node(ps, CDP_EXPR_IF, cond, self) : NULL;
    if (n)
        n->c = new_node(ps, CDP_EXPR_EMPTY, NULL, NULL);
    return n && n->c ? n : NULL;
}

static node *bucket_call(struct parser *ps, struct scope in, int bucket)
{
    node *arg = argument(ps, in), *n = arg ? new_node(ps, CDP_EXPR_BUCKET, arg, NULL) : NULL;
    if (n)
        n->fn = (uint8_t)bucket;
    return n;
}

/* A call of a function; ps->p is at its name, n bytes long. */
static node *call_term(struct parser *ps, struct scope in, size_t n)
{
    const char *name = ps->p;
    ps->p += n;
    if (is_word(name, n, "not")) {
        node *self = dot(ps, in);
        return self ? new_node(ps, CDP_EXPR_NOT, self, NULL) : NULL;
    }
    if (is_word(name, n, "empty"))
        return new_node(ps, CDP_EXPR_EMPTY, NULL, NULL);
    if (is_word(name, n, "select"))
        return select_call(ps, in);
    if (is_word(name, n, "has"))
        return has_call(ps, in);
    if (is_word(name, n, "test"))
        return test_call(ps, in, name);
    for (size_t i = 0; buckets[i]; i++)
        if (is_word(name, n, buckets[i]))
            return bucket_call(ps, in, (int)i);
    for (const struct function *f = functions; f->name; f++) {
        if (!is_word(name, n, f->name))
            continue;
        node *arg = f->args ? argument(ps, in) : NULL;
        node *self = arg || !f->args ? dot(ps, in) : NULL;
        if (f->fn == CDP_EXPR_CONTAINS && arg && !(arg->op == CDP_EXPR_CONST && arg->val.type == CDP_STRING))
            return unsupported(ps); /* arrays and objects contain each other by rules of their own */
        node *call = self ? new_node(ps, CDP_EXPR_CALL, self, arg) : NULL;
        if (call)
            call->fn = f->fn;
        return call;
    }
    return unsupported(ps);
}

/* --- constructions */

/* One `key: value` of an object: an object's values are terms, minus signs and pipes. */
static node *object_value(struct parser *ps, struct scope in);
static node *term(struct parser *ps, struct scope in);

static node *object_value_term(struct parser *ps, struct scope in)
{
    if (!take(ps, '-'))
        return term(ps, in);
    if (++ps->nesting > MAX_NESTING)
        return unsupported(ps);
    node *a = object_value_term(ps, in), *n = a ? new_node(ps, CDP_EXPR_NEG, a, NULL) : NULL;
    ps->nesting--;
    return fold(ps, n);
}

static node *object_value(struct parser *ps, struct scope in)
{
    node *a = object_value_term(ps, in);
    if (!a || peek(ps) != '|' || ps->p[1] == '=')
        return a;
    ps->p++;
    if (++ps->nesting > MAX_NESTING)
        return unsupported(ps);
    node *b = object_value(ps, behind(in, a));
    ps->nesting--;
    return piped(ps, a, b);
}

static bool add_key(struct parser *ps, node *n, const char *p, size_t len)
{
    struct cdp_buf *out = &ps->s->out;
    cdp_buf_clear(out);
    cdp_buf_addc(out, n->kids ? ',' : '{');
    cdp_emit_string(out, p, len);
    cdp_buf_addc(out, ':');
    if (cdp_buf_check(out, ps->err) < 0)
        return false;
    for (size_t i = 0; i < n->kids; i++) /* a repeated key takes its first place and its last value */
        if (n->key[i].len == out->len && memcmp(n->key[i].p + 1, out->data + 1, out->len - 1) == 0)
            return unsupported(ps);
    struct cdp_val *key = cdp_expr_alloc(&ps->e->arena, (n->kids + 1) * sizeof *key, ps->err);
    char *text = key ? keep(ps, out->data, out->len) : NULL;
    if (!text)
        return false;
    if (n->kids)
        memcpy(key, n->key, n->kids * sizeof *key);
    key[n->kids] = (struct cdp_val){.p = text, .len = (uint32_t)out->len};
    n->key = key;
    return true;
}

static bool object_member(struct parser *ps, struct scope in, node *n)
{
    char c = peek(ps);
    const char *key;
    size_t len;
    bool word = c != '"';
    if (word) {
        key = ps->p;
        len = word_len(key);
        ps->p += len;
        if (!len || (ps->p[0] == ':' && ps->p[1] == ':'))
            return unsupported(ps);
    } else {
        if (!key_string(ps))
            return false;
        len = ps->s->b1.len;
        key = keep(ps, len ? ps->s->b1.data : "", len);
    }
    if (!key || !add_key(ps, n, key, len))
        return false;
    if (take(ps, ':'))
        return add_kid(ps, n, object_value(ps, in));
    if (word && reserved(key, len))
        return unsupported(ps);
    node *self = dot(ps, in);
    return self && add_kid(ps, n, indexed(ps, self, key, len, 0));
}

static node *object_term(struct parser *ps, struct scope in)
{
    ps->p++;
    if (take(ps, '}'))
        return constant(ps, "{}", 2);
    node *n = new_node(ps, CDP_EXPR_OBJECT, NULL, NULL);
    do {
        if (!n || !object_member(ps, in, n))
            return NULL;
    } while (take(ps, ','));
    return take(ps, '}') ? n : unsupported(ps);
}

static node *array_term(struct parser *ps, struct scope in)
{
    ps->p++;
    if (take(ps, ']'))
        return constant(ps, "[]", 2);
    node *n = new_node(ps, CDP_EXPR_ARRAY, NULL, NULL);
    if (!n)
        return NULL;
    node *first = alt_expr(ps, in);
    bool pipe = first && peek(ps) == '|';
    if (pipe) {
        if (*++ps->p == '=')
            return unsupported(ps);
        first = piped(ps, first, pipe_expr(ps, behind(in, first), false));
    }
    if (!add_kid(ps, n, first))
        return NULL;
    if (pipe) /* a ',' would belong to what is behind the pipe */
        return take(ps, ']') ? n : unsupported(ps);
    while (take(ps, ','))
        if (!add_kid(ps, n, alt_expr(ps, in)))
            return NULL;
    return take(ps, ']') ? n : unsupported(ps);
}

/* --- terms and operators */

static node *bare_term(struct parser *ps, struct scope in)
{
    char c = peek(ps);
    if (c == '.' && !digit(ps->p[1]) && ps->p[1] != '.')
        return path_term(ps, in);
    if (digit(c) || c == '.')
        return postfix(ps, number_term(ps), false);
    if (c == '"')
        return postfix(ps, string_term(ps, in), false);
    if (c == '{')
        return postfix(ps, object_term(ps, in), false);
    if (c == '[')
        return postfix(ps, array_term(ps, in), false);
    if (c == '(') {
        ps->p++;
        node *n = pipe_expr(ps, in, false);
        return n && !take(ps, ')') ? unsupported(ps) : postfix(ps, n, false);
    }
    size_t n = word_len(ps->p);
    if (!n || reserved(ps->p, n) || (ps->p[n] == ':' && ps->p[n + 1] == ':'))
        return unsupported(ps);
    if (is_word(ps->p, n, "true") || is_word(ps->p, n, "false") || is_word(ps->p, n, "null")) {
        ps->p += n;
        return postfix(ps, constant(ps, ps->p - n, n), false);
    }
    return postfix(ps, call_term(ps, in, n), false);
}

static node *term(struct parser *ps, struct scope in)
{
    if (++ps->nesting > MAX_NESTING)
        return unsupported(ps);
    node *n = bare_term(ps, in);
    ps->nesting--;
    return n;
}

/* if … then … (elif … then …)* else … end; the `if` is behind us. */
static node *if_expr(struct parser *ps, struct scope in)
{
    node *cond = pipe_expr(ps, in, false);
    if (cond && !take_word(ps, "then"))
        return unsupported(ps);
    node *yes = cond ? pipe_expr(ps, in, false) : NULL, *no = NULL;
    if (!yes)
        return NULL;
    if (++ps->nesting > MAX_NESTING)
        return unsupported(ps);
    if (take_word(ps, "elif")) {
        no = if_expr(ps, in);
    } else if (take_word(ps, "else")) {
        no = pipe_expr(ps, in, false);
        if (no && !take_word(ps, "end"))
            return unsupported(ps);
    } else {
        return unsupported(ps);
    }
    ps->nesting--;
    node *n = no ? new_node(ps, CDP_EXPR_IF, cond, yes) : NULL;
    if (!n)
        return NULL;
    n->c = no;
    if (no->depth >= n->depth)
        n->depth = (uint16_t)(no->depth + 1);
    return n->depth > MAX_DEPTH ? unsupported(ps) : n;
}

static node *unary_expr(struct parser *ps, struct scope in)
{
    if (take(ps, '-')) {
        if (++ps->nesting > MAX_NESTING)
            return unsupported(ps);
        node *a = mul_expr(ps, in), *n = a ? new_node(ps, CDP_EXPR_NEG, a, NULL) : NULL;
        ps->nesting--;
        return fold(ps, n);
    }
    if (take_word(ps, "if"))
        return if_expr(ps, in);
    node *n = term(ps, in);
    if (n && peek(ps) == '?' && ps->p[1] != '/') {
        ps->p++;
        n = new_node(ps, CDP_EXPR_TRY, n, NULL);
    }
    return n;
}

static node *mul_expr(struct parser *ps, struct scope in)
{
    node *a = unary_expr(ps, in);
    while (a) {
        char c = peek(ps);
        if ((c != '*' && c != '/' && c != '%') || (c == '/' && ps->p[1] == '/'))
            break;
        if (*++ps->p == '=')
            return unsupported(ps);
        a = binary(ps, CDP_EXPR_ARITH, c, a, unary_expr(ps, in));
    }
    return a;
}

static node *add_expr(struct parser *ps, struct scope in)
{
    node *a = mul_expr(ps, in);
    while (a) {
        char c = peek(ps);
        if (c != '+' && c != '-')
            break;
        if (*++ps->p == '=')
            return unsupported(ps);
        a = binary(ps, CDP_EXPR_ARITH, c, a, mul_expr(ps, in));
    }
    return a;
}

/* The comparison that is the next token, or -1. */
static int comparison(struct parser *ps)
{
    char c = peek(ps), d = c ? ps->p[1] : '\0';
    int op = -1;
    if (c == '=' && d == '=')
        op = CDP_EXPR_EQ;
    else if (c == '!' && d == '=')
        op = CDP_EXPR_NE;
    else if (c == '<')
        op = d == '=' ? CDP_EXPR_LE : CDP_EXPR_LT;
    else if (c == '>')
        op = d == '=' ? CDP_EXPR_GE : CDP_EXPR_GT;
    if (op >= 0)
        ps->p += op == CDP_EXPR_LT || op == CDP_EXPR_GT ? 1 : 2;
    return op;
}

static node *cmp_expr(struct parser *ps, struct scope in)
{
    node *a = add_expr(ps, in);
    int op = a ? comparison(ps) : -1;
    if (op < 0)
        return a;
    a = binary(ps, CDP_EXPR_CMP, op, a, add_expr(ps, in));
    return a && comparison(ps) >= 0 ? unsupported(ps) : a;
}

static node *and_expr(struct parser *ps, struct scope in)
{
    node *a = cmp_expr(ps, in);
    while (a && take_word(ps, "and"))
        a = binary(ps, CDP_EXPR_AND, 0, a, cmp_expr(ps, in));
    return a;
}

static node *or_expr(struct parser *ps, struct scope in)
{
    node *a = and_expr(ps, in);
    while (a && take_word(ps, "or"))
        a = binary(ps, CDP_EXPR_OR, 0, a, and_expr(ps, in));
    return a;
}

static node *alt_expr(struct parser *ps, struct scope in)
{
    node *a = or_expr(ps, in);
    if (!a || peek(ps) != '/' || ps->p[1] != '/')
        return a;
    ps->p += 2;
    if (*ps->p == '=' || ++ps->nesting > MAX_NESTING)
        return unsupported(ps);
    node *b = alt_expr(ps, in);
    ps->nesting--;
    return binary(ps, CDP_EXPR_ALT, 0, a, b);
}

/* A whole expression.  At the top, what follows a pipe and is not native is left to libjq, which then sees only what the
 * native part before it gave. */
static node *pipe_expr(struct parser *ps, struct scope in, bool top)
{
    if (++ps->nesting > MAX_NESTING)
        return unsupported(ps);
    node *a = alt_expr(ps, in);
    if (!a)
        return NULL;
    if (peek(ps) == '|' && ps->p[1] != '=') {
        const char *rest = ++ps->p;
        unsigned nesting = ps->nesting;
        node *b = pipe_expr(ps, behind(in, a), top);
        ps->nesting = nesting;
        if (b) {
            a = piped(ps, a, b);
        } else if (ps->unsupported && top && !(a->op == CDP_EXPR_PATH && a->steps == 0)) {
            ps->unsupported = false;
            a = new_node(ps, CDP_EXPR_JQ, a, NULL);
            if (a)
                a->val = (struct cdp_val){.p = rest, .len = (uint32_t)strlen(rest)};
            ps->p = rest + strlen(rest);
        } else {
            return NULL;
        }
    } else if (top && *ps->p) {
        return unsupported(ps);
    }
    ps->nesting--;
    return a;
}

struct cdp_expr_node *cdp_expr_parse(struct cdp_expr *e, struct cdp_expr_scratch *s, bool *not_native,
                                     struct cdp_err *err)
{
    struct parser ps = {.p = e->text, .e = e, .s = s, .err = err};
    *not_native = false;
    if (peek(&ps) == '\0') {
        cdp_err_set(err, CDP_EXIT_USAGE, "an empty expression");
        return NULL;
    }
    if (cdp_utf8_fault(ps.p, ps.p + strlen(ps.p))) {
        cdp_err_set(err, CDP_EXIT_USAGE, "an expression that is not UTF-8");
        return NULL;
    }
    node *n = pipe_expr(&ps, (struct scope){0}, true);
    *not_native = !n && ps.unsupported;
    return n;
}

/* --- text that is not parsed: where it ends, what it mentions */

struct walk {
    bool stop; /* at a ',' or a closing bracket that was not opened */
    unsigned uses;
    const char *forbidden;
};

static void walk_word(struct walk *w, const char *p, size_t n)
{
    /* The clock, other records, the end of the process, and modules, of which this libjq knows no place. */
    static const char *const forbidden[] = {"now",
                                            "localtime",
                                            "strflocaltime",
                                            "input",
                                            "inputs",
                                            "stderr",
                                            "halt",
                                            "halt_error",
                                            "import",
                                            "include",
                                            "input_line_number",
                                            "input_filename",
                                            NULL};
    static const char *const regex[] = {"test",   "match", "capture", "scan", "split",
                                        "splits", "sub",   "gsub",    NULL};
    if (*skip_blanks(p + n) == ':') /* a key */
        return;
    for (size_t i = 0; forbidden[i]; i++)
        if (is_word(p, n, forbidden[i]))
            w->forbidden = forbidden[i];
    for (size_t i = 0; regex[i]; i++)
        if (is_word(p, n, regex[i]))
            w->uses |= CDP_EXPR_USES_REGEX;
    for (size_t i = 0; buckets[i]; i++)
        if (is_word(p, n, buckets[i]) && *skip_blanks(p + n) == '(')
            w->uses |= CDP_EXPR_USES_BUCKET;
}

static const char *walk_code(struct walk *w, const char *p, unsigned nesting);

/* p is behind the opening quote; returns the byte behind the closing one. */
static const char *walk_string(struct walk *w, const char *p, unsigned nesting)
{
    while (*p && *p != '"') {
        if (p[0] == '\\' && p[1] == '(' && nesting < MAX_NESTING) {
            p = walk_code(w, p + 2, nesting + 1);
            p += *p == ')';
        } else {
            p += p[0] == '\\' && p[1] ? 2 : 1;
        }
    }
    return p + (*p == '"');
}

/* Up to a closing bracket that was not opened here, or a ',' where w->stop says so, or the end. */
static const char *walk_code(struct walk *w, const char *p, unsigned nesting)
{
    size_t open = 0;
    for (;;) {
        p = skip_blanks(p);
        size_t n = word_len(p);
        if (n) {
            walk_word(w, p, n);
            p += n;
        } else if (*p == '"') {
            p = walk_string(w, p + 1, nesting);
        } else if (*p == '(' || *p == '[' || *p == '{') {
            open++;
            p++;
        } else if (*p == ')' || *p == ']' || *p == '}') {
            if (open == 0 && (w->stop || nesting))
                return p;
            open -= open > 0;
            p++;
        } else if (*p == '\0' || (*p == ',' && open == 0 && w->stop && nesting == 0)) {
            return p;
        } else if (*p == '.' || *p == '$' || *p == '@') { /* not a function's name */
            p++;
            p += word_len(p);
        } else {
            p++;
        }
    }
}

size_t cdp_expr_span(const char *text)
{
    struct walk w = {.stop = true};
    return (size_t)(walk_code(&w, text, 0) - text);
}

unsigned cdp_expr_uses(const char *text, const char **forbidden)
{
    struct walk w = {0};
    for (const char *p = text; *p; p += *p != '\0')
        p = walk_code(&w, p, 0);
    *forbidden = w.forbidden;
    return w.uses;
}
