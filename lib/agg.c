/* agg: see agg.h.  Workers: from records to the table of groups.
 *
 * A worker evaluates the expressions of a record, encodes its key and prepares an operand for each aggregate, all on its own.
 * Every BATCH records it brings them into the table.  That has several parts, told apart by the key's hash, each with a
 * lock: the worker takes the parts that nobody else has first, and within a part brings in the slots, then the groups, then
 * the counted values ahead of their use.  As no state depends on the order of records, no turn is waited for.
 *
 * Memory: BATCH records' keys and operands a worker; the table as in agg_part.c; past the budget, a part that has its share
 * or more is spilled (agg_spill.c). */
#include "lib/agg_impl.h"

#include "lib/mem.h"
#include "lib/sort.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 512              /* records brought in at a time */
#define RUN 16                 /* of them with one key that are an entry, at most */
#define PROBE 8                /* entries between two looks whether keys repeat */
#define BATCH_BYTES (1u << 20) /* and bytes of their keys and operands, roughly */
#define PARTS_PER_THREAD 2
#define MOST_PARTS 256
#define SHORT_VALUE 32                 /* bytes that a kept value is expected to take, with its head */
#define MOST_REACH 256                 /* bytes of a group that are brought in ahead of its use */
#define PART_BYTES ((uint64_t)4 << 20) /* a part is not expected to keep to less */

struct cdp_agg *cdp_agg_new(const struct cdp_agg_opts *opts, struct cdp_plan *plan, struct cdp_err *err)
{
    struct cdp_agg *a = cdp_mem_zalloc_apart(1, sizeof *a, err);
    if (!a)
        return NULL;
    a->opts = *opts;
    a->plan = plan;
    pthread_mutex_init(&a->making, NULL);
    if (opts->merge && !(a->unread = cdp_plan_new(err))) {
        cdp_agg_free(a);
        return NULL;
    }
    return a;
}

void cdp_agg_free(struct cdp_agg *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->parts; i++)
        cdp_agg_part_free(a, &a->part[i]);
    cdp_sort_free(a->sort);
    cdp_agg_row_free(&a->row);
    cdp_agg_spec_free(a);
    cdp_plan_free(a->unread);
    pthread_mutex_destroy(&a->making);
    free(a->part);
    free(a->step);
    free(a->zero);
    free(a);
}

/* A power of two: enough that workers seldom meet, few enough that each has something to spill. */
static size_t count_parts(const struct cdp_agg *a)
{
    size_t parts = 1;
    if (a->opts.sorted)
        return 1;
    while (parts < MOST_PARTS && parts < a->opts.threads * PARTS_PER_THREAD &&
           parts * 2 * PART_BYTES <= a->budget)
        parts *= 2;
    return parts;
}

static int load_state(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                      struct cdp_err *err)
{
    return at->item->func->load(at, state, cdp_agg_arg_val(arg), err);
}

int cdp_agg_start(struct cdp_agg *a, struct cdp_err *err)
{
    a->step = cdp_mem_alloc(a->items * sizeof *a->step, err);
    if (!a->step)
        return -1;
    size_t others = a->items, kept = 0;
    for (size_t i = 0; i < a->items; i++) {
        struct cdp_agg_item *item = &a->item[i];
        item->offset = (uint32_t)a->states;
        a->states += (item->func->size + 7) / 8 * 8;
        kept += item->func->sign != 0;
        if (item->func->class == CDP_AGG_SET)
            item->set = (uint32_t)a->sets++;
        item->plain = item->slot >= 0 && item->expr && !item->where && !a->opts.merge;
        a->step[item->func->class == CDP_AGG_FOLD ? a->folds++ : --others] =
            (struct cdp_agg_step){item, a->opts.merge ? load_state : item->func->add, item->offset, i};
    }
    a->reach = sizeof *a->zero + a->states + kept * SHORT_VALUE;
    a->reach = a->reach < MOST_REACH ? a->reach : MOST_REACH;
    a->zero = cdp_mem_zalloc(1, sizeof *a->zero + a->states, err);
    a->budget = a->opts.memory / 4 * 3;
    size_t parts = count_parts(a);
    a->part = cdp_mem_zalloc_apart(parts, sizeof *a->part, err);
    if (!a->zero || !a->part)
        return -1;
    for (; a->parts < parts; a->parts++)
        if (cdp_agg_part_init(&a->part[a->parts], a->sets, err) < 0)
            return -1;
    return 0;
}

struct cdp_agg_worker *cdp_agg_worker_new(struct cdp_agg *a, struct cdp_err *err)
{
    struct cdp_agg_worker *w = cdp_mem_zalloc_apart(1, sizeof *w, err);
    if (!w)
        return NULL;
    w->agg = a;
    w->id = atomic_fetch_add(&a->workers, 1);
    w->start = cdp_mem_zalloc_apart(a->parts + 1, sizeof *w->start, err);
    w->late = cdp_mem_zalloc_apart(a->parts, sizeof *w->late, err);
    w->by = cdp_mem_zalloc_apart(a->bys, sizeof *w->by, err);
    if (!w->start || !w->late || !w->by || !cdp_buf_reserve(&w->bytes, 1)) {
        cdp_buf_check(&w->bytes, err);
        cdp_agg_worker_free(w);
        return NULL;
    }
    return w;
}

void cdp_agg_worker_free(struct cdp_agg_worker *w)
{
    if (!w)
        return;
    free(w->entry);
    free(w->arg);
    free(w->order);
    free(w->start);
    free(w->late);
    free(w->by);
    cdp_buf_free(&w->bytes);
    cdp_buf_free(&w->tmp);
    cdp_buf_free(&w->tmp2);
    free(w);
}

/* ---- a record ---- */

static int evaluate(const struct cdp_expr *e, int slot, const struct cdp_rec *r, struct cdp_val *v,
                    struct cdp_err *err)
{
    if (slot < 0)
        return cdp_expr_eval(e, r->scratch, r->fields, r->line, r->len, v, err);
    *v = r->fields[slot];
    return 0;
}

/* Has the record the keys of the last entry?  1, 0, or -1.  Asked of every record only while the answer is yes: where keys come
 * in no order it would cost more than it saves. */
static int repeats(const struct cdp_agg_worker *w, const struct cdp_rec *r, struct cdp_err *err)
{
    const struct cdp_agg *a = w->agg;
    if (w->n == 0 || !w->by_stands)
        return 0;
    const struct cdp_agg_entry *e = &w->entry[w->n - 1];
    bool often = e->rows > 1 || (w->n > 1 && e[-1].rows > 1);
    if (e->rows == RUN || (!often && w->n % PROBE != 0))
        return 0;
    for (size_t i = 0; i < a->bys; i++) {
        struct cdp_val v, last = w->by[i];
        if (evaluate(a->by[i].expr, a->by[i].slot, r, &v, err) < 0)
            return -1;
        if (v.type != last.type || v.len != last.len ||
            (v.p != last.p && v.len && memcmp(v.p, last.p, v.len) != 0))
            return 0;
    }
    return 1;
}

/* The record's entry: the last one, or a new one behind it. */
static struct cdp_agg_entry *take_key(struct cdp_agg_worker *w, const struct cdp_rec *r, struct cdp_err *err)
{
    const struct cdp_agg *a = w->agg;
    struct cdp_agg_entry *e = &w->entry[w->n];
    int same = repeats(w, r, err);
    if (same)
        return same < 0 ? NULL : e - 1;
    e->key = (uint32_t)w->bytes.len;
    for (size_t i = 0; i < a->bys; i++) {
        struct cdp_val *v = &w->by[i];
        if (evaluate(a->by[i].expr, a->by[i].slot, r, v, err) < 0)
            return NULL;
        if (a->opts.merge && v->type == CDP_MISSING) {
            cdp_err_set(err, CDP_EXIT_DATA, "not a partial state of these keys: no %s", a->by[i].name);
            return NULL;
        }
        if (cdp_key_value(*v, &w->bytes, err) < 0)
            return NULL;
    }
    e->key_len = (uint32_t)w->bytes.len - e->key;
    e->index = r->index;
    e->row = (uint32_t)w->rows;
    e->rows = 0;
    return e;
}

/* With `merge`: {"STATE":…}. */
static int take_state(const struct cdp_agg_item *item, const struct cdp_rec *r, struct cdp_agg_arg *arg,
                      struct cdp_err *err)
{
    struct cdp_val v = r->fields[item->slot];
    const struct cdp_agg_func *f = item->func;
    if (v.type == CDP_OBJECT) {
        struct cdp_iter it = cdp_val_iter(v);
        if (cdp_iter_next(&it) && cdp_val_str_eq(it.key, f->state, strlen(f->state)) &&
            cdp_agg_shape(f->shape, it.val)) {
            struct cdp_val state = it.val;
            if (!cdp_iter_next(&it)) {
                cdp_agg_arg_set(arg, state);
                arg->kind = CDP_AGG_STATE;
                return f->fits && f->fits(item, state, err) < 0 ? cdp_err_prefix(err, "not a partial state")
                                                                : 0;
            }
        }
    }
    return cdp_err_set(err, CDP_EXIT_DATA, "not a partial state: %s is no state of %s", item->name, f->state);
}

static int take_item(struct cdp_agg_worker *w, const struct cdp_agg_item *item, const struct cdp_rec *r,
                     struct cdp_agg_arg *arg, struct cdp_err *err)
{
    if (item->where) {
        int yes = cdp_expr_test(item->where, r->scratch, r->fields, r->line, r->len, err);
        if (yes <= 0)
            return yes;
    }
    if (!item->expr) {
        arg->kind = CDP_AGG_VALUE;
        return 0;
    }
    struct cdp_val v;
    if (evaluate(item->expr, item->slot, r, &v, err) < 0)
        return -1;
    return item->func->take(w, item, v, r, arg, err);
}

static int take_items(struct cdp_agg_worker *w, const struct cdp_rec *r, struct cdp_agg_arg *arg,
                      struct cdp_err *err)
{
    const struct cdp_agg_item *item = w->agg->item, *end = item + w->agg->items;
    bool merge = w->agg->opts.merge;
    for (; item < end; item++, arg++) {
        int rc;
        *arg = (struct cdp_agg_arg){0};
        if (item->plain)
            rc = item->func->take(w, item, r->fields[item->slot], r, arg, err);
        else
            rc = merge ? take_state(item, r, arg, err) : take_item(w, item, r, arg, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int room_for_more(struct cdp_agg_worker *w, struct cdp_err *err)
{
    size_t n = w->cap ? w->cap * 2 : BATCH, items = w->agg->items;
    struct cdp_agg_entry *e = cdp_mem_resize(w->entry, n * sizeof *e, err);
    if (!e)
        return -1;
    w->entry = e;
    struct cdp_agg_arg *arg = cdp_mem_resize(w->arg, n * items * sizeof *arg + 1, err);
    if (!arg)
        return -1;
    w->arg = arg;
    w->cap = n;
    return 0;
}

int cdp_agg_record(struct cdp_agg_worker *w, const struct cdp_rec *r, struct cdp_err *err)
{
    const struct cdp_agg *a = w->agg;
    size_t bytes = w->bytes.len;
    if (w->rows == w->cap && room_for_more(w, err) < 0)
        return -1;
    struct cdp_agg_entry *e = take_key(w, r, err);
    int rc = e ? take_items(w, r, &w->arg[w->rows * a->items], err) : -1;
    if (rc == 0)
        rc = cdp_buf_check(&w->bytes, err);
    if (rc == 0 && w->bytes.len > UINT32_MAX)
        rc = cdp_err_set(err, CDP_EXIT_IO, "the keys and values of a block take more than 4 GiB");
    w->by_stands = rc == 0;
    if (rc < 0) {
        w->bytes.len = bytes;
        return err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
    }
    w->n += e->rows++ == 0;
    w->rows++;
    if (!a->opts.sorted && (w->rows == BATCH || w->bytes.len > BATCH_BYTES) && cdp_agg_flush(w, err) < 0)
        return -1;
    return CDP_REC_KEEP;
}

/* ---- into the table ---- */

/* Takes a row's operands through the steps [from … to). */
static inline int add_row(const struct cdp_agg *a, struct cdp_agg_place *at, char *states,
                          const struct cdp_agg_arg *args, size_t from, size_t to, struct cdp_err *err)
{
    for (const struct cdp_agg_step *s = a->step + from, *end = a->step + to; s < end; s++) {
        const struct cdp_agg_arg *arg = &args[s->index];
        at->item = s->item;
        if (arg->kind != CDP_AGG_NONE && s->add(at, states + s->offset, arg, err) < 0)
            return -1;
    }
    return 0;
}

/* The same for an entry. */
static int add_entry(struct cdp_agg_worker *w, struct cdp_agg_part *p, const struct cdp_agg_entry *e,
                     size_t from, size_t to, struct cdp_err *err)
{
    const struct cdp_agg *a = w->agg;
    struct cdp_agg_group *g = cdp_agg_at(&p->arena, e->group);
    struct cdp_agg_place at = {.part = p, .group = e->group, .bytes = w->bytes.data};
    const struct cdp_agg_arg *args = &w->arg[e->row * a->items];
    uint32_t rows = e->rows;
    do {
        if (add_row(a, &at, g->states, args, from, to, err) < 0)
            return -1;
        args += a->items;
    } while (--rows);
    return 0;
}

static void prefetch_row(const struct cdp_agg *a, const struct cdp_agg_part *p, uint32_t group,
                         const struct cdp_agg_arg *args)
{
    const struct cdp_agg_group *g = cdp_agg_at(&p->arena, group);
    for (size_t i = a->folds; i < a->items; i++) {
        const struct cdp_agg_item *item = a->step[i].item;
        const struct cdp_agg_arg *arg = &args[item->index];
        if (arg->kind != CDP_AGG_VALUE)
            continue;
        if (item->func->class == CDP_AGG_TALLY)
            cdp_agg_prefetch_count(p, group, arg->hash);
        else if (((const struct cdp_agg_few *)(const void *)(g->states + item->offset))->count >= CDP_AGG_FEW)
            cdp_agg_prefetch_set(p, item->set, group, arg->hash);
    }
}

/* An entry's steps, each so many entries behind the first: its slot is on the way; its group is; it is added to; its values
 * are.  Memory is waited for while others are worked on. */
enum { GUESS = 12, GROUP = 24, VALUES = 36 };

/* A new group's values are kept at once, so that they lie behind it. */
static int add_to_group(struct cdp_agg_worker *w, struct cdp_agg_part *p, struct cdp_agg_entry *e,
                        struct cdp_err *err)
{
    const struct cdp_agg *a = w->agg;
    e->group = cdp_agg_group_get(a, p, e->group, e->hash, w->bytes.data + e->key, e->key_len, err);
    if (!e->group || add_entry(w, p, e, 0, a->folds, err) < 0)
        return -1;
    for (uint32_t i = 0; a->folds < a->items && i < e->rows; i++)
        prefetch_row(a, p, e->group, &w->arg[(e->row + i) * a->items]);
    return 0;
}

/* The part's lock is held. */
static int add_entries(struct cdp_agg_worker *w, struct cdp_agg_part *p, const uint32_t *order, size_t n,
                       struct cdp_err *err)
{
    const struct cdp_agg *a = w->agg;
    for (size_t i = 0; i < n + VALUES; i++) {
        if (i < n)
            cdp_agg_prefetch_slot(p, w->entry[order[i]].hash);
        if (i >= GUESS && i - GUESS < n) {
            struct cdp_agg_entry *e = &w->entry[order[i - GUESS]];
            e->group = cdp_agg_group_guess(a, p, e->hash, e->key_len);
        }
        if (i >= GROUP && i - GROUP < n && add_to_group(w, p, &w->entry[order[i - GROUP]], err) < 0)
            return -1;
        if (i >= VALUES && a->folds < a->items &&
            add_entry(w, p, &w->entry[order[i - VALUES]], a->folds, a->items, err) < 0)
            return -1;
    }
    return 0;
}

/* Brings a part's entries in and looks after its memory. */
static int add_to_part(struct cdp_agg_worker *w, size_t part, struct cdp_err *err)
{
    struct cdp_agg *a = w->agg;
    struct cdp_agg_part *p = &a->part[part];
    if (add_entries(w, p, w->order + w->start[part], w->start[part + 1] - w->start[part], err) < 0)
        return -1;
    size_t bytes = cdp_agg_part_bytes(p);
    uint64_t used = atomic_fetch_add(&a->used, bytes - p->counted) + bytes - p->counted;
    p->counted = bytes;
    if (used <= a->budget || bytes < a->budget / (2 * a->parts))
        return 0;
    if (cdp_agg_spill(a, p, w->id, err) < 0)
        return -1;
    bytes = cdp_agg_part_bytes(p);
    atomic_fetch_sub(&a->used, p->counted - bytes);
    p->counted = bytes;
    return 0;
}

/* Not as soon as a key is written: bytes just written one by one cannot be read in words yet. */
static void hash_keys(struct cdp_agg_worker *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct cdp_agg_entry *e = &w->entry[i];
        struct cdp_hash128 h = cdp_hash(w->bytes.data + e->key, e->key_len);
        e->hash = h.lo;
        e->part = (uint32_t)(h.hi & (w->agg->parts - 1));
    }
}

/* Entries by part: w->order[w->start[i]] … are those of part i. */
static int sort_by_part(struct cdp_agg_worker *w, struct cdp_err *err)
{
    size_t parts = w->agg->parts;
    uint32_t *order = cdp_mem_grow(w->order, &w->order_cap, w->n, sizeof *order, err);
    if (!order)
        return -1;
    w->order = order;
    memset(w->start, 0, (parts + 1) * sizeof *w->start);
    for (uint32_t i = 0; i < w->n; i++)
        w->start[w->entry[i].part + 1]++;
    for (size_t i = 1; i <= parts; i++)
        w->start[i] += w->start[i - 1];
    for (uint32_t i = 0; i < w->n; i++)
        order[w->start[w->entry[i].part]++] = i;
    memmove(w->start + 1, w->start, parts * sizeof *w->start);
    w->start[0] = 0;
    return 0;
}

int cdp_agg_flush(struct cdp_agg_worker *w, struct cdp_err *err)
{
    struct cdp_agg *a = w->agg;
    size_t late = 0;
    int rc = 0;
    if (!w->n)
        return 0;
    hash_keys(w);
    if (sort_by_part(w, err) < 0)
        return -1;
    /* Each worker begins elsewhere and comes back to what was taken. */
    for (size_t i = 0; rc == 0 && i < a->parts; i++) {
        size_t part = (i + w->id * PARTS_PER_THREAD) & (a->parts - 1);
        if (w->start[part] == w->start[part + 1])
            continue;
        if (pthread_mutex_trylock(&a->part[part].lock) != 0) {
            w->late[late++] = (uint32_t)part;
            continue;
        }
        rc = add_to_part(w, part, err);
        pthread_mutex_unlock(&a->part[part].lock);
    }
    for (size_t i = 0; rc == 0 && i < late; i++) {
        pthread_mutex_lock(&a->part[w->late[i]].lock);
        rc = add_to_part(w, w->late[i], err);
        pthread_mutex_unlock(&a->part[w->late[i]].lock);
    }
    w->n = w->rows = 0;
    cdp_buf_clear(&w->bytes);
    return rc;
}

/* ---- in the order of keys ---- */

/* Writes the group that has ended. */
int cdp_agg_end_current(struct cdp_agg *a, struct cdp_buf *rows, struct cdp_err *err)
{
    struct cdp_agg_part *p = a->part;
    if (!a->current)
        return 0;
    a->row.agg = a;
    a->row.out = rows;
    if (cdp_agg_row_write(&a->row, p, cdp_agg_at(&p->arena, a->current), err) < 0)
        return -1;
    cdp_agg_part_clear(a, p);
    a->current = 0;
    return 0;
}

int cdp_agg_stream(struct cdp_agg_worker *w, struct cdp_buf *rows, uint32_t *bad, struct cdp_err *err)
{
    struct cdp_agg *a = w->agg;
    struct cdp_agg_part *p = a->part;
    hash_keys(w);
    for (uint32_t i = 0; i < w->n; i++) {
        struct cdp_agg_entry *e = &w->entry[i];
        const char *key = w->bytes.data + e->key;
        int c = 1;
        if (a->current) {
            const struct cdp_agg_group *g = cdp_agg_at(&p->arena, a->current);
            c = cdp_agg_compare_bytes(key, e->key_len, cdp_agg_key(g), g->key_len);
        }
        if (c < 0) {
            *bad = e->index;
            return cdp_err_set(err, CDP_EXIT_DATA, "the group keys are not in order");
        }
        if (c > 0 && (cdp_agg_end_current(a, rows, err) < 0 ||
                      !(a->current = cdp_agg_group_get(a, p, 0, e->hash, key, e->key_len, err))))
            return -1;
        e->group = a->current;
        if (add_entry(w, p, e, 0, a->items, err) < 0)
            return -1;
    }
    w->n = w->rows = 0;
    cdp_buf_clear(&w->bytes);
    return 0;
}
