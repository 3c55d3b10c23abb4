/* expr: see expr.h.  Here: compiling (the native subset first, then libjq for all of it or for what is behind a pipe),
 * binding paths to the scan plan, the scratch memory, and messages.
 *
 * Memory: a scratch's arena grows with what is made between two resets and keeps up to 1 MiB of it. */
#include "lib/expr_impl.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN ((size_t)4 << 10)
#define CHUNK_KEEP ((size_t)1 << 20)

typedef struct cdp_expr_node node;

/* --- arena */

void *cdp_expr_alloc_slow(struct cdp_expr_arena *a, size_t n, struct cdp_err *err)
{
    size_t size = a->chunk ? a->chunk->size * 2 : CHUNK_MIN;
    if (size > CHUNK_KEEP)
        size = CHUNK_KEEP;
    if (n > SIZE_MAX / 2) {
        cdp_err_nomem(err, n);
        return NULL;
    }
    if (size < n + 15)
        size = n + 15;
    struct cdp_expr_chunk *c = cdp_mem_alloc(sizeof *c + size + CDP_PAD, err);
    if (!c)
        return NULL;
    *c = (struct cdp_expr_chunk){.next = a->chunk, .size = size};
    a->chunk = c;
    return cdp_expr_alloc(a, n, err);
}

void cdp_expr_arena_reset(struct cdp_expr_arena *a)
{
    struct cdp_expr_chunk *c = a->chunk;
    if (!c)
        return;
    struct cdp_expr_arena older = {c->next};
    cdp_expr_arena_free(&older);
    c->next = NULL;
    c->used = 0;
    if (c->size > CHUNK_KEEP)
        cdp_expr_arena_free(a);
}

void cdp_expr_arena_free(struct cdp_expr_arena *a)
{
    while (a->chunk) {
        struct cdp_expr_chunk *next = a->chunk->next;
        free(a->chunk);
        a->chunk = next;
    }
}

/* --- scratch */

struct cdp_expr_scratch *cdp_expr_scratch_new(struct cdp_err *err)
{
    return cdp_mem_zalloc_apart(1, sizeof(struct cdp_expr_scratch), err);
}

void cdp_expr_scratch_free(struct cdp_expr_scratch *s)
{
    if (!s)
        return;
    cdp_expr_arena_free(&s->arena);
    cdp_buf_free(&s->b1);
    cdp_buf_free(&s->b2);
    cdp_buf_free(&s->out);
    cdp_jq_cache_free(s->jq);
    free(s);
}

void cdp_expr_scratch_reset(struct cdp_expr_scratch *s)
{
    cdp_expr_arena_reset(&s->arena);
    s->day = (struct cdp_val){0};
}

/* --- binding */

static int bind(struct cdp_expr *e, node *n, struct cdp_plan *plan, struct cdp_err *err);

static int add_slot(struct cdp_plan *plan, struct cdp_step *step, size_t steps, int *slot,
                    struct cdp_err *err)
{
    struct cdp_path path = {.step = step, .n = steps};
    *slot = cdp_plan_add(plan, &path, err);
    return *slot < 0 ? -1 : 0;
}

/* A field against a constant gets a node of its own. */
static void specialise(node *n)
{
    static const uint8_t mirrored[] = {
        [CDP_EXPR_EQ] = CDP_EXPR_EQ, [CDP_EXPR_NE] = CDP_EXPR_NE, [CDP_EXPR_LT] = CDP_EXPR_GT,
        [CDP_EXPR_LE] = CDP_EXPR_GE, [CDP_EXPR_GT] = CDP_EXPR_LT, [CDP_EXPR_GE] = CDP_EXPR_LE,
    };
    const node *field = n->a, *k = n->b;
    uint8_t fn = n->fn;
    if (field->op == CDP_EXPR_CONST) {
        field = n->b;
        k = n->a;
        fn = mirrored[fn];
    }
    if (field->op != CDP_EXPR_SLOT || k->op != CDP_EXPR_CONST)
        return;
    bool equality = fn == CDP_EXPR_EQ || fn == CDP_EXPR_NE;
    if (k->val.type == CDP_STRING && !k->val.escaped && equality)
        n->op = CDP_EXPR_CMP_STR;
    else if (k->val.type == CDP_NUMBER && cdp_num_small(k->val.p, k->val.len, &n->coef, &n->exp))
        n->op = CDP_EXPR_CMP_NUM;
    else
        return;
    n->fn = fn;
    n->slot = field->slot;
    n->val = k->val;
}

static int bind_has(node *n, struct cdp_plan *plan, struct cdp_err *err)
{
    if (n->a->op != CDP_EXPR_PATH)
        return 0;
    size_t steps = n->a->steps;
    struct cdp_step *full = cdp_mem_zalloc(steps + 1, sizeof *full, err);
    if (!full)
        return -1;
    if (steps)
        memcpy(full, n->a->step, steps * sizeof *full);
    full[steps] = n->step[0];
    int rc = add_slot(plan, full, steps, &n->slot, err);
    if (rc == 0)
        rc = add_slot(plan, full, steps + 1, &n->slot2, err);
    free(full);
    n->op = CDP_EXPR_HAS_AT;
    return rc;
}

/* The programs that `*` and `/` need for what are no numbers. */
static int bind_arith(struct cdp_expr *e, const node *n, struct cdp_err *err)
{
    if (n->fn == '*' && !e->multiply && !(e->multiply = cdp_expr_own_jq(e, ".[0] * .[1]", 0, 0, err)))
        return -1;
    if (n->fn == '/' && !e->divide && !(e->divide = cdp_expr_own_jq(e, ".[0] / .[1]", 0, 0, err)))
        return -1;
    return 0;
}

static int bind_one(struct cdp_expr *e, node *n, struct cdp_plan *plan, struct cdp_err *err)
{
    switch (n->op) {
    case CDP_EXPR_PATH:
        n->op = CDP_EXPR_SLOT;
        return add_slot(plan, n->step, n->steps, &n->slot, err);
    case CDP_EXPR_CMP:
        specialise(n);
        return 0;
    case CDP_EXPR_ARITH:
        return bind_arith(e, n, err);
    case CDP_EXPR_REGEX:
        e->native = false;
        n->jq = cdp_expr_own_jq(e, n->val.p, 0, CDP_JQ_CHECK | CDP_JQ_PROBE, err);
        return n->jq ? 0 : -1;
    default:
        return 0;
    }
}

/* Turns paths into slots, and what can be made quicker. */
static int bind(struct cdp_expr *e, node *n, struct cdp_plan *plan, struct cdp_err *err)
{
    if (n->op == CDP_EXPR_HAS && bind_has(n, plan, err) < 0)
        return -1;
    if (n->op == CDP_EXPR_HAS_AT)
        return 0;
    node *below[] = {n->a, n->b, n->c};
    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        if (below[i] && bind(e, below[i], plan, err) < 0)
            return -1;
    for (size_t i = 0; i < n->kids; i++)
        if (bind(e, n->kid[i], plan, err) < 0)
            return -1;
    return bind_one(e, n, plan, err);
}

/* --- compiling */

/* The program for what is behind the last native pipe; false where it does not compile by itself. */
static bool split_at_pipe(struct cdp_expr *e, node *n, struct cdp_err *err)
{
    n->jq = cdp_expr_foreign(e, n->val.p, err);
    return n->jq || err->exit != CDP_EXIT_USAGE;
}

/* A tree that is one call of libjq on the whole record. */
static int whole(struct cdp_expr *e, struct cdp_err *err)
{
    e->native = false;
    e->whole = cdp_expr_foreign(e, e->text, err);
    return e->whole ? 0 : -1;
}

static int compile(struct cdp_expr *e, struct cdp_plan *plan, struct cdp_err *err)
{
    struct cdp_expr_scratch *s = cdp_expr_scratch_new(err);
    if (!s)
        return -1;
    bool not_native;
    node *n = cdp_expr_parse(e, s, &not_native, err);
    cdp_expr_scratch_free(s);
    node *last = n;
    while (last && last->op == CDP_EXPR_PIPE)
        last = last->b;
    if (last && last->op == CDP_EXPR_JQ) {
        e->native = false;
        not_native = !split_at_pipe(e, last, err);
        if (!not_native && !last->jq)
            return -1;
    }
    if (not_native)
        return whole(e, err);
    e->root = n;
    return n ? bind(e, n, plan, err) : -1;
}

/* The text as messages show it: on one line, and its beginning only where it is long. */
static void show(const char *text, char shown[CDP_EXPR_SHOWN])
{
    size_t n = strnlen(text, CDP_EXPR_SHOWN);
    bool cut = n == CDP_EXPR_SHOWN;
    if (cut)
        for (n -= 4; n && ((unsigned char)text[n] & 0xC0) == 0x80; n--)
            ;
    for (size_t i = 0; i < n; i++)
        shown[i] = (unsigned char)text[i] < 32 || text[i] == 127 ? ' ' : text[i];
    memcpy(shown + n, cut ? "..." : "", cut ? 4 : 1);
}

struct cdp_expr *cdp_expr_new(const char *text, struct cdp_plan *plan, const struct cdp_expr_opts *opts,
                              struct cdp_err *err)
{
    struct cdp_expr *e = cdp_mem_zalloc(1, sizeof *e, err);
    if (!e)
        return NULL;
    e->native = true;
    e->zone = opts ? opts->zone : NULL;
    show(text, e->shown);
    e->text = cdp_mem_strndup(text, strlen(text), err);
    if (e->text && compile(e, plan, err) == 0)
        return e;
    if (err->exit == CDP_EXIT_USAGE)
        cdp_err_prefix(err, "expression '%s'", e->shown);
    cdp_expr_free(e);
    return NULL;
}

void cdp_expr_free(struct cdp_expr *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->jqs; i++)
        cdp_jq_free(e->jq[i]);
    free(e->jq);
    cdp_expr_arena_free(&e->arena);
    free(e->text);
    free(e);
}

bool cdp_expr_native(const struct cdp_expr *e)
{
    return e->native;
}

int cdp_expr_slot(const struct cdp_expr *e)
{
    return e->root && e->root->op == CDP_EXPR_SLOT ? e->root->slot : -1;
}

/* --- running */

/* Says why a record cannot be used: kinds of values, never the values. */
static int unusable(const struct cdp_expr_run *r)
{
    const char *shown = r->e->shown;
    if (r->type_a == CDP_EXPR_NO_TYPE)
        return cdp_err_set(r->err, CDP_EXIT_DATA, "expression '%s': %s", shown, r->what);
    if (r->type_b == CDP_EXPR_NO_TYPE)
        return cdp_err_set(r->err, CDP_EXIT_DATA, "expression '%s': %s %s", shown,
                           cdp_expr_type_name(r->type_a), r->what);
    return cdp_err_set(r->err, CDP_EXIT_DATA, "expression '%s': %s and %s %s", shown,
                       cdp_expr_type_name(r->type_a), cdp_expr_type_name(r->type_b), r->what);
}

static int run_whole(struct cdp_expr_run *r, struct cdp_val *out)
{
    int rc = cdp_jq_run(r->e->whole, r, cdp_val_text(r->line, r->len));
    if (rc != CDP_EXPR_OK)
        return rc;
    struct cdp_val made = cdp_val_text(r->s->out.data, r->s->out.len);
    return cdp_expr_value(r, made.type, made.p, made.len, out);
}

int cdp_expr_eval(const struct cdp_expr *e, struct cdp_expr_scratch *s, const struct cdp_val *fields,
                  const char *line, size_t len, struct cdp_val *out, struct cdp_err *err)
{
    struct cdp_expr_run r = {.e = e, .s = s, .fields = fields, .line = line, .len = len, .err = err};
    int rc = e->root ? cdp_expr_run_eval(&r, e->root, out) : run_whole(&r, out);
    if (rc == CDP_EXPR_OK)
        return 0;
    *out = (struct cdp_val){0};
    if (rc == CDP_EXPR_NONE)
        return 0;
    return rc == CDP_EXPR_ERROR ? unusable(&r) : -1;
}

int cdp_expr_test(const struct cdp_expr *e, struct cdp_expr_scratch *s, const struct cdp_val *fields,
                  const char *line, size_t len, struct cdp_err *err)
{
    struct cdp_expr_run r = {.e = e, .s = s, .fields = fields, .line = line, .len = len, .err = err};
    struct cdp_val v;
    int rc;
    if (e->root) {
        rc = cdp_expr_run_truth(&r, e->root);
    } else {
        rc = run_whole(&r, &v);
        if (rc == CDP_EXPR_OK)
            rc = v.type > CDP_FALSE;
    }
    if (rc == 0 || rc == 1)
        return rc;
    if (rc == CDP_EXPR_NONE)
        return 0;
    return rc == CDP_EXPR_ERROR ? unusable(&r) : -1;
}
