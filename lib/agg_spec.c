/* agg_spec: keys and aggregates as the command line names them, and the shapes of partial states.
 *
 *     aggregate  [NAME=]FUNC([EXPR[, ARGUMENT]...]) [where EXPR]
 *     key        [NAME=]EXPR
 *
 * A NAME is a letter or '_', then letters, digits, '_' and '-'.  An argument ends where an expression would: at a comma or a
 * bracket that is not its own. */
#include "lib/agg_impl.h"

#include "lib/emit.h"
#include "lib/hll.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

#define MOST_ITEMS 1000
#define MOST_COLLECTED 1000000

/* ---- words ---- */

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t word(const char *s)
{
    size_t n = 0;
    if (letter(s[0]))
        while (letter(s[n]) || digit(s[n]) || s[n] == '-')
            n++;
    return n;
}

static size_t blanks(const char *s)
{
    return strspn(s, " \t\n");
}

/* A run of text without the blanks around it. */
struct text {
    const char *p;
    size_t n;
};

static struct text trimmed(const char *p, size_t n)
{
    size_t front = 0;
    while (front < n && strchr(" \t\n", p[front]))
        front++;
    while (n > front && strchr(" \t\n", p[n - 1]))
        n--;
    return (struct text){p + front, n - front};
}

/* The length of `NAME=` in front, or 0: "==" compares. */
static size_t name_in_front(const char *s)
{
    size_t n = word(s);
    return n && s[n] == '=' && s[n + 1] != '=' ? n + 1 : 0;
}

/* The bracket that closes the arguments which begin at p; the end of the text where there is none. */
static const char *arguments_end(const char *p)
{
    p += cdp_expr_span(p);
    while (*p == ',')
        p += 1 + cdp_expr_span(p + 1);
    return p;
}

/* FUNC( … ) [where …] without its name; where.p is NULL where there is none. */
struct operand {
    struct text func, args, where;
};

static bool take_operand(const char *s, struct operand *o)
{
    const char *end = s + strlen(s);
    size_t n = word(s);
    o->func = (struct text){s, n};
    s += n;
    if (!n || *s != '(')
        return false;
    const char *args = s + 1;
    s = arguments_end(args);
    o->args = (struct text){args, (size_t)(s - args)};
    if (*s != ')')
        return false;
    s++;
    s += blanks(s);
    o->where = (struct text){NULL, 0};
    if (s == end)
        return true;
    if (strncmp(s, "where", 5) != 0 || (s[5] && !strchr(" \t\n(", s[5])))
        return false;
    o->where = trimmed(s + 5, (size_t)(end - s - 5));
    return true;
}

/* ---- parts of an item ---- */

static int usage(struct cdp_err *err, const char *text, const char *what)
{
    return cdp_err_set(err, CDP_EXIT_USAGE, "%s: %s", text, what);
}

/* An expression.  A bare word and what follows it as a path is a field: amount, metadata.amount. */
static struct cdp_expr *compile(struct cdp_agg *a, struct text t, struct cdp_buf *source, struct cdp_err *err)
{
    size_t n = 0;
    cdp_buf_clear(source);
    while (n < t.n && (letter(t.p[n]) || digit(t.p[n]) || t.p[n] == '.'))
        n++;
    bool literal = (t.n == 4 && (!memcmp(t.p, "null", 4) || !memcmp(t.p, "true", 4))) ||
                   (t.n == 5 && !memcmp(t.p, "false", 5));
    if (t.n && n == t.n && letter(t.p[0]) && !literal)
        cdp_buf_addc(source, '.');
    cdp_buf_add(source, t.p, t.n);
    cdp_buf_addc(source, 0);
    if (cdp_buf_check(source, err) < 0)
        return NULL;
    struct cdp_expr_opts opts = {.zone = a->opts.zone};
    return cdp_expr_new(source->data, a->opts.merge ? a->unread : a->plan, &opts, err);
}

/* The last key of an expression that is a path; NULL where it is none, and where a NUL would cut it short. */
static char *name_of(const struct cdp_buf *source, struct cdp_err *err)
{
    struct cdp_path path = {0};
    struct cdp_err none;
    char *name = NULL;
    const char *last =
        cdp_path_parse(&path, source->data, source->len - 1, &none) == 0 ? cdp_path_name(&path) : NULL;
    if (last && strlen(last) == path.step[path.n - 1].len)
        name = cdp_mem_strndup(last, strlen(last), err);
    cdp_path_free(&path);
    return name;
}

/* `{"name":` or `,"name":`, and with `merge` the field that it is read from. */
static int set_lead(struct cdp_agg *a, const char *name, struct cdp_buf *lead, int *slot, struct cdp_err *err)
{
    cdp_buf_addc(lead, a->bys + a->items ? ',' : '{');
    cdp_emit_cstr(lead, name);
    cdp_buf_addc(lead, ':');
    cdp_buf_reserve(lead, CDP_BUF_WIDE); /* is read with each row */
    if (cdp_buf_check(lead, err) < 0)
        return -1;
    if (a->opts.merge) {
        struct cdp_step step = {.key = (char *)(uintptr_t)name, .len = (uint32_t)strlen(name)};
        *slot = cdp_plan_add(a->plan, &(struct cdp_path){&step, 1}, err);
        return *slot < 0 ? -1 : 0;
    }
    return 0;
}

static int check_name(const struct cdp_agg *a, const char *name, struct cdp_err *err)
{
    bool taken = false;
    for (size_t i = 0; i < a->bys; i++)
        taken |= strcmp(a->by[i].name, name) == 0;
    for (size_t i = 0; i < a->items; i++)
        taken |= strcmp(a->item[i].name, name) == 0;
    return taken ? cdp_err_set(err, CDP_EXIT_USAGE, "two columns are named %s (name one with NAME=…)", name)
                 : 0;
}

/* ---- keys ---- */

static int fill_by(struct cdp_agg *a, struct cdp_agg_by *by, const char *text, struct cdp_err *err)
{
    size_t front = name_in_front(text);
    struct cdp_buf source = {0};
    struct text t = trimmed(text + front, strlen(text + front));
    int rc = -1;
    by->slot = -1;
    if (!t.n) {
        usage(err, *text ? text : "--by", "an expression is missing");
        goto done;
    }
    by->expr = compile(a, t, &source, err);
    if (!by->expr)
        goto done;
    *err = (struct cdp_err){0};
    if (front)
        by->name = cdp_mem_strndup(text, front - 1, err);
    else
        by->name = name_of(&source, err);
    if (!by->name && !err->exit)
        by->name = cdp_mem_strndup(t.p, t.n, err);
    if (!by->name || check_name(a, by->name, err) < 0)
        goto done;
    by->slot = a->opts.merge ? -1 : cdp_expr_slot(by->expr);
    rc = set_lead(a, by->name, &by->lead, &by->slot, err);
done:
    cdp_buf_free(&source);
    return rc;
}

int cdp_agg_by(struct cdp_agg *a, const char *text, struct cdp_err *err)
{
    struct cdp_agg_by *by = cdp_mem_grow(a->by, &a->by_cap, a->bys + 1, sizeof *by, err);
    if (!by)
        return -1;
    a->by = by;
    by += a->bys;
    *by = (struct cdp_agg_by){0};
    int rc = fill_by(a, by, text, err);
    a->bys++; /* in any case, so that it is freed */
    return rc;
}

/* ---- aggregates ---- */

static const struct cdp_agg_func *known(struct text name)
{
    static const struct cdp_agg_func *const list[] = {cdp_agg_fold_funcs, cdp_agg_sketch_funcs,
                                                      cdp_agg_tally_funcs, cdp_agg_bag_funcs};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        for (const struct cdp_agg_func *f = list[i]; f->name; f++)
            if (strlen(f->name) == name.n && memcmp(f->name, name.p, name.n) == 0)
                return f;
    return NULL;
}

/* Hashes serve where values need not be written, nor sets be cleared for each group. */
static const struct cdp_agg_func *find_func(const struct cdp_agg *a, struct text name)
{
    const struct cdp_agg_func *f = known(name);
    return f && f->class == CDP_AGG_SET && (a->opts.partial || a->opts.sorted) ? &cdp_agg_values_func : f;
}

/* What begins like a call of a known function is one, be it wrong; any other word must look right to the end. */
bool cdp_agg_operand(const char *text)
{
    struct operand o;
    text += name_in_front(text);
    size_t n = word(text);
    return (n && text[n] == '(' && known((struct text){text, n})) || take_operand(text, &o);
}

/* The next argument, up to a comma; NULL where there is none. */
static bool next_arg(struct text *rest, struct text *arg)
{
    if (!rest->p)
        return false;
    size_t n = cdp_expr_span(rest->p);
    n = n < rest->n ? n : rest->n;
    *arg = trimmed(rest->p, n);
    *rest = n == rest->n ? (struct text){NULL, 0} : (struct text){rest->p + n + 1, rest->n - n - 1};
    return true;
}

static int take_count(struct text t, uint64_t least, uint64_t most, const char *what, uint64_t *n,
                      const char *text, struct cdp_err *err)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < t.n && digit(t.p[i]) && v <= most; i++)
        v = v * 10 + (uint64_t)(t.p[i] - '0');
    if (!t.n || i < t.n || v < least || v > most)
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s: %s is a number from %llu to %llu", text, what,
                           (unsigned long long)least, (unsigned long long)most);
    *n = v;
    return 0;
}

static int take_num(struct text t, struct cdp_num *n, const char *text, struct cdp_err *err)
{
    struct cdp_digits d;
    if (!cdp_num_valid(t.p, t.n))
        return usage(err, text, "expected a number");
    if (!cdp_num_split(t.p, t.n, &d) || (d.n && (d.exp < -1000 || d.exp + (int64_t)d.count > 1000)))
        return usage(err, text, "a number is out of range");
    return cdp_num_parse(n, t.p, t.n, err);
}

/* [BOUND, …], ascending. */
static int take_bounds(struct cdp_agg_item *item, struct text t, const char *text, struct cdp_err *err)
{
    struct text rest = trimmed(t.p + 1, t.n - 2), one;
    size_t cap = 0;
    while (next_arg(&rest, &one)) {
        struct cdp_num *bound = cdp_mem_grow(item->bound, &cap, item->bounds + 1, sizeof *bound, err);
        if (!bound)
            return -1;
        item->bound = bound;
        bound += item->bounds++;
        *bound = CDP_NUM_ZERO;
        if (take_num(one, bound, text, err) < 0)
            return -1;
        if (item->bounds > 1 && cdp_num_cmp(bound - 1, bound) >= 0)
            return usage(err, text, "the bounds are not ascending");
    }
    return 0;
}

static int take_bins(struct cdp_agg_item *item, struct text t, const char *text, struct cdp_err *err)
{
    if (t.n > 1 && t.p[0] == '[' && t.p[t.n - 1] == ']')
        return take_bounds(item, t, text, err);
    if (take_num(t, &item->q, text, err) < 0)
        return -1;
    return cdp_num_sign(&item->q) > 0 ? 0 : usage(err, text, "the width is not above 0");
}

/* Keys as other tools take them, though with blanks around the commas. */
static int take_keys(struct cdp_agg *a, struct cdp_agg_item *item, struct text rest, struct cdp_err *err)
{
    struct cdp_buf keys = {0};
    struct text key;
    while (next_arg(&rest, &key)) {
        if (keys.len)
            cdp_buf_addc(&keys, ',');
        cdp_buf_add(&keys, key.p, key.n);
    }
    cdp_buf_addc(&keys, 0);
    int rc = cdp_buf_check(&keys, err);
    if (rc == 0)
        rc = cdp_keyspec_parse(&item->order, keys.data, a->opts.merge ? a->unread : a->plan, err);
    cdp_buf_free(&keys);
    return rc;
}

static int take_quantile(struct cdp_agg_item *item, struct text t, const char *text, struct cdp_err *err)
{
    struct cdp_num one = {.coef = 1};
    if (take_num(t, &item->q, text, err) < 0)
        return -1;
    return cdp_num_sign(&item->q) < 0 || cdp_num_cmp(&item->q, &one) > 0
               ? usage(err, text, "a quantile is from 0 to 1")
               : 0;
}

static int take_sketch(struct cdp_agg_item *item, struct text *rest, const char *text, struct cdp_err *err)
{
    struct text arg;
    uint64_t width = CDP_HLL_REGWIDTH;
    item->n = CDP_HLL_LOG2M;
    if (next_arg(rest, &arg) &&
        take_count(arg, CDP_HLL_MIN_LOG2M, CDP_HLL_MAX_LOG2M, "log2m", &item->n, text, err) < 0)
        return -1;
    if (next_arg(rest, &arg) && take_count(arg, 1, 8, "the register width", &width, text, err) < 0)
        return -1;
    item->regwidth = (unsigned)width;
    return 0;
}

/* What follows EXPR. */
static int take_args(struct cdp_agg *a, struct cdp_agg_item *item, struct text rest, const char *text,
                     struct cdp_err *err)
{
    struct text arg;
    enum cdp_agg_args args = item->func->args;
    bool needed = args == CDP_AGG_BY || args == CDP_AGG_COUNT || args == CDP_AGG_COUNT_KEYS ||
                  args == CDP_AGG_QUANTILE || args == CDP_AGG_BINS;
    item->n = 1; /* of mode; for the others it is read */
    if (args == CDP_AGG_PLAIN && strcmp(item->func->name, "median") == 0)
        item->q = (struct cdp_num){.coef = 5, .exp = -1};
    if (needed && !rest.p)
        return usage(err, text, "an argument is missing");
    if ((args == CDP_AGG_ORDER || args == CDP_AGG_BY) && rest.p)
        return take_keys(a, item, rest, err);
    if (args == CDP_AGG_SKETCH && take_sketch(item, &rest, text, err) < 0)
        return -1;
    if ((args == CDP_AGG_COUNT || args == CDP_AGG_COUNT_KEYS) &&
        (next_arg(&rest, &arg), take_count(arg, 1, MOST_COLLECTED, "the count", &item->n, text, err)) < 0)
        return -1;
    if (args == CDP_AGG_COUNT_KEYS && rest.p)
        return take_keys(a, item, rest, err);
    if (args == CDP_AGG_QUANTILE && (next_arg(&rest, &arg), take_quantile(item, arg, text, err)) < 0)
        return -1;
    if (args == CDP_AGG_BINS && (next_arg(&rest, &arg), take_bins(item, arg, text, err)) < 0)
        return -1;
    return rest.p ? usage(err, text, "too many arguments") : 0;
}

/* The name of an aggregate that was given none: sum_amount, count. */
static char *own_name(const struct cdp_agg_item *item, const struct cdp_buf *source, struct cdp_err *err)
{
    char *of = item->expr ? name_of(source, err) : NULL, *name = NULL;
    struct cdp_buf b = {0};
    cdp_buf_adds(&b, item->func->name);
    if (of) {
        cdp_buf_addc(&b, '_');
        cdp_buf_adds(&b, of);
    }
    if (cdp_buf_check(&b, err) == 0)
        name = cdp_mem_strndup(b.data, b.len, err);
    cdp_buf_free(&b);
    free(of);
    return name;
}

static int fill_item(struct cdp_agg *a, struct cdp_agg_item *item, const char *text, struct cdp_err *err)
{
    size_t front = name_in_front(text);
    struct cdp_buf source = {0};
    struct operand o;
    struct text arg;
    int rc = -1;
    if (!take_operand(text + front, &o))
        return usage(err, text, "not [NAME=]FUNC(…) [where EXPR]");
    if (o.where.p && !o.where.n)
        return usage(err, text, "an expression is missing behind where");
    item->slot = -1;
    item->func = find_func(a, o.func);
    if (!item->func)
        return usage(err, text, "no such function");
    struct text rest = trimmed(o.args.p, o.args.n);
    if (!rest.n)
        rest.p = NULL;
    if (next_arg(&rest, &arg)) {
        if (!(item->expr = compile(a, arg, &source, err)))
            goto done;
    } else if (!item->func->bare) {
        usage(err, text, "an expression is missing");
        goto done;
    }
    if (take_args(a, item, rest, text, err) < 0)
        goto done;
    item->name = front ? cdp_mem_strndup(text, front - 1, err) : own_name(item, &source, err);
    if (!item->name || check_name(a, item->name, err) < 0)
        goto done;
    if (o.where.p && !(item->where = compile(a, o.where, &source, err)))
        goto done;
    if (!a->opts.merge && item->expr)
        item->slot = cdp_expr_slot(item->expr);
    rc = set_lead(a, item->name, &item->lead, &item->slot, err);
done:
    cdp_buf_free(&source);
    return rc;
}

int cdp_agg_add(struct cdp_agg *a, const char *text, struct cdp_err *err)
{
    if (a->items == MOST_ITEMS)
        return cdp_err_set(err, CDP_EXIT_USAGE, "more than %d aggregates", MOST_ITEMS);
    struct cdp_agg_item *item = cdp_mem_grow(a->item, &a->item_cap, a->items + 1, sizeof *item, err);
    if (!item)
        return -1;
    a->item = item;
    item += a->items;
    *item = (struct cdp_agg_item){.index = (uint16_t)a->items};
    int rc = fill_item(a, item, text, err);
    a->items++;
    return rc;
}

void cdp_agg_spec_free(struct cdp_agg *a)
{
    for (size_t i = 0; i < a->bys; i++) {
        cdp_expr_free(a->by[i].expr);
        cdp_buf_free(&a->by[i].lead);
        free(a->by[i].name);
    }
    for (size_t i = 0; i < a->items; i++) {
        struct cdp_agg_item *item = &a->item[i];
        cdp_expr_free(item->expr);
        cdp_expr_free(item->where);
        cdp_buf_free(&item->lead);
        cdp_keyspec_free(&item->order);
        cdp_num_free(&item->q);
        for (size_t k = 0; k < item->bounds; k++)
            cdp_num_free(&item->bound[k]);
        free(item->bound);
        free(item->name);
    }
    free(a->by);
    free(a->item);
}

/* ---- partial states ---- */

uint64_t cdp_agg_integer(struct cdp_val v)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < v.len; i++)
        n = n * 10 + (uint64_t)(v.p[i] - '0');
    return n;
}

static bool is_integer(struct cdp_val v)
{
    if (v.type != CDP_NUMBER || v.len > 18)
        return false;
    for (uint32_t i = 0; i < v.len; i++)
        if (!digit(v.p[i]))
            return false;
    return true;
}

/* A sum of numbers is longer than they are at its front, never at its end. */
static bool is_number(struct cdp_val v)
{
    struct cdp_digits d;
    return v.type == CDP_NUMBER && cdp_num_split(v.p, v.len, &d) &&
           (d.n == 0 || (d.exp >= -CDP_NUM_MAX_EXP && d.exp + (int64_t)d.count - 1 <= CDP_NUM_MAX_EXP + 32));
}

static int nibble(char c)
{
    return digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_hex(struct cdp_val v)
{
    if (v.type != CDP_STRING || v.len % 2)
        return false;
    for (uint32_t i = 1; i + 1 < v.len; i++)
        if (nibble(v.p[i]) < 0)
            return false;
    return true;
}

void cdp_agg_hex(const char *p, size_t n, struct cdp_buf *out)
{
    static const char digits[] = "0123456789abcdef";
    cdp_buf_addc(out, '"');
    for (size_t i = 0; i < n; i++) {
        cdp_buf_addc(out, digits[(unsigned char)p[i] >> 4]);
        cdp_buf_addc(out, digits[p[i] & 15]);
    }
    cdp_buf_addc(out, '"');
}

void cdp_agg_unhex(struct cdp_val v, struct cdp_buf *out)
{
    for (uint32_t i = 1; i + 2 < v.len; i += 2)
        cdp_buf_addc(out, (char)(nibble(v.p[i]) << 4 | nibble(v.p[i + 1])));
}

/* Is there a place for the value in the order of keys? */
static bool is_key(struct cdp_val v)
{
    struct cdp_digits d;
    if (v.type == CDP_NUMBER)
        return cdp_num_split(v.p, v.len, &d);
    bool good = v.type != CDP_MISSING;
    for (struct cdp_iter it = cdp_val_iter(v); good && cdp_iter_next(&it);)
        good = is_key(it.val);
    return good;
}

/* One shape; *end is what follows it. */
static bool matches(const char *shape, const char **end, struct cdp_val v)
{
    struct cdp_iter it;
    bool good = true;
    *end = shape + 1;
    switch (*shape) {
    case 'i':
        return is_integer(v);
    case 'n':
        return is_integer(v) && v.p[0] != '0';
    case 'd':
        return v.type == CDP_NULL || is_number(v);
    case 'v':
        return v.type != CDP_MISSING;
    case 'b':
        return v.type == CDP_TRUE || v.type == CDP_FALSE;
    case 'x':
        return is_hex(v);
    case 'k':
        return is_key(v);
    case '?':
        good = matches(shape + 1, end, v);
        return good || v.type == CDP_NULL;
    case '*':
        if (v.type != CDP_ARRAY)
            return false;
        it = cdp_val_iter(v);
        while (good && cdp_iter_next(&it))
            good = matches(shape + 1, end, it.val);
        return good;
    default: /* ( */
        if (v.type != CDP_ARRAY)
            return false;
        it = cdp_val_iter(v);
        for (shape++; good && *shape != ')'; shape = *end)
            good = cdp_iter_next(&it) && matches(shape, end, it.val);
        *end = shape + 1;
        return good && !cdp_iter_next(&it);
    }
}

bool cdp_agg_shape(const char *shape, struct cdp_val v)
{
    const char *end;
    return matches(shape, &end, v);
}
