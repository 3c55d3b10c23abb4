/* agg_row: a group as a line of output: see agg_impl.h.
 *
 * A result is `{"KEY":…,"NAME":result,…}`.  A partial state is the same object with `{"STATE":…}` in the place of each result;
 * where the counted values of a group would make a line longer than LONGEST, they go on in further lines of the same key, in
 * which all other states are those of no record. */
#include "lib/agg_impl.h"

#include "lib/emit.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST ((size_t)1 << 20)

_Static_assert(sizeof(struct cdp_agg_group) == sizeof(struct cdp_entry_head) &&
                   offsetof(struct cdp_agg_group, key_len) == offsetof(struct cdp_entry_head, key_len),
               "a group is a record of lib/sort_entry.h");
_Static_assert(offsetof(struct cdp_agg_tally, count) == sizeof(struct cdp_entry_head) &&
                   offsetof(struct cdp_agg_tally, key_len) == offsetof(struct cdp_entry_head, key_len),
               "and so is a counted class");
_Static_assert(CDP_KEY_WIDE <= CDP_BUF_WIDE, "behind a key in the arena as much can be read");

static void add_lead(struct cdp_agg_row *row, const struct cdp_buf *lead)
{
    cdp_buf_add_wide(row->out, lead->data, lead->len);
}

static void begin_line(struct cdp_agg_row *row)
{
    const struct cdp_agg *a = row->agg;
    const unsigned char *key = (const unsigned char *)cdp_agg_key(row->group);
    row->began = row->out->len;
    for (size_t i = 0; i < a->bys; i++) {
        add_lead(row, &a->by[i].lead);
        const unsigned char *end = cdp_key_decode_short(key, row->out);
        key = end ? end : cdp_key_decode(key, row->out);
    }
    if (!a->bys && !a->items)
        cdp_buf_addc(row->out, '{');
}

static void end_line(struct cdp_agg_row *row)
{
    cdp_buf_adds(row->out, "}\n");
}

static void begin_state(struct cdp_agg_row *row, const struct cdp_agg_item *item)
{
    add_lead(row, &item->lead);
    cdp_buf_adds(row->out, "{\"");
    cdp_buf_adds(row->out, item->func->state);
    cdp_buf_adds(row->out, "\":");
    if (item->func->class == CDP_AGG_TALLY)
        cdp_buf_addc(row->out, '[');
    row->any = false;
}

static void end_state(struct cdp_agg_row *row, const struct cdp_agg_item *item)
{
    cdp_buf_adds(row->out, item->func->class == CDP_AGG_TALLY ? "]}" : "}");
}

/* The state of an item without its counted classes; of the group, or that of no record. */
static int write_state(struct cdp_agg_row *row, const struct cdp_agg_item *item,
                       const struct cdp_agg_group *g, struct cdp_err *err)
{
    struct cdp_agg_place at = {.part = row->part, .item = item};
    int rc = 0;
    begin_state(row, item);
    if (item->func->class == CDP_AGG_FOLD)
        rc = item->func->save(&at, g->states + item->offset, row->out, err);
    end_state(row, item);
    return rc;
}

static uint64_t total_of(const struct cdp_agg_row *row, const struct cdp_agg_item *item)
{
    uint64_t total;
    memcpy(&total, row->group->states + item->offset, sizeof total);
    return total;
}

static int write_result(struct cdp_agg_row *row, const struct cdp_agg_item *item, struct cdp_err *err)
{
    struct cdp_agg_place at = {.part = row->part, .item = item};
    add_lead(row, &item->lead);
    if (item->func->class != CDP_AGG_TALLY)
        return item->func->finish(&at, row->group->states + item->offset, row->out, err);
    cdp_agg_ranking_begin(&row->ranking, item, 0, row->out);
    return item->func->end(&row->ranking, err);
}

static int close_item(struct cdp_agg_row *row, const struct cdp_agg_item *item, struct cdp_err *err)
{
    row->open = false;
    if (!row->agg->opts.partial)
        return item->func->end(&row->ranking, err);
    end_state(row, item);
    return 0;
}

int cdp_agg_row_begin(struct cdp_agg_row *row, struct cdp_agg_part *p, const struct cdp_agg_group *g,
                      struct cdp_err *err)
{
    row->part = p;
    row->group = g;
    row->next = 0;
    row->open = false;
    begin_line(row);
    return cdp_buf_check(row->out, err);
}

int cdp_agg_row_upto(struct cdp_agg_row *row, size_t upto, struct cdp_err *err)
{
    for (; row->next < upto; row->next++) {
        const struct cdp_agg_item *item = &row->agg->item[row->next];
        int rc;
        if (row->open)
            rc = close_item(row, item, err);
        else if (row->agg->opts.partial)
            rc = write_state(row, item, row->group, err);
        else
            rc = write_result(row, item, err);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* Goes on in another line with the item that is open. */
static int split(struct cdp_agg_row *row, struct cdp_err *err)
{
    const struct cdp_agg *a = row->agg;
    end_state(row, &a->item[row->next]);
    for (size_t i = row->next + 1; i < a->items; i++)
        if (write_state(row, &a->item[i], a->zero, err) < 0)
            return -1;
    end_line(row);
    begin_line(row);
    for (size_t i = 0; i < row->next; i++)
        if (write_state(row, &a->item[i], a->zero, err) < 0)
            return -1;
    begin_state(row, &a->item[row->next]);
    return 0;
}

static int count_in_state(struct cdp_agg_row *row, const struct cdp_agg_item *item, struct cdp_val v,
                          const char *class, uint64_t count, struct cdp_err *err)
{
    bool pairs = item->func != &cdp_agg_values_func;
    if (row->out->len - row->began > LONGEST && split(row, err) < 0)
        return -1;
    if (row->any)
        cdp_buf_addc(row->out, ',');
    row->any = true;
    if (pairs)
        cdp_buf_addc(row->out, '[');
    cdp_agg_emit_like(v, class, row->out);
    if (pairs) {
        cdp_buf_addc(row->out, ',');
        cdp_emit_uint(row->out, count);
        cdp_buf_addc(row->out, ']');
    }
    return 0;
}

int cdp_agg_row_count(struct cdp_agg_row *row, size_t index, struct cdp_val v, const char *class,
                      uint64_t count, struct cdp_err *err)
{
    const struct cdp_agg_item *item = &row->agg->item[index];
    if (cdp_agg_row_upto(row, index, err) < 0)
        return -1;
    if (!row->open && row->agg->opts.partial) {
        begin_state(row, item);
    } else if (!row->open) {
        add_lead(row, &item->lead);
        cdp_agg_ranking_begin(&row->ranking, item, total_of(row, item), row->out);
    }
    row->open = true;
    if (row->agg->opts.partial)
        return count_in_state(row, item, v, class, count, err);
    return item->func->each(&row->ranking, v, class, count, err);
}

int cdp_agg_row_end(struct cdp_agg_row *row, struct cdp_err *err)
{
    if (cdp_agg_row_upto(row, row->agg->items, err) < 0)
        return -1;
    end_line(row);
    return cdp_buf_check(row->out, err);
}

const struct cdp_entry *cdp_agg_row_classes(struct cdp_agg_row *row, const struct cdp_agg_part *p,
                                            const struct cdp_agg_group *g, size_t *n, struct cdp_err *err)
{
    const struct cdp_agg_tally *t;
    *n = 0;
    for (uint32_t ref = g->tally; ref; ref = t->next) {
        struct cdp_entry *e = cdp_mem_grow(row->classes, &row->class_cap, *n + 1, sizeof *e, err);
        if (!e)
            return NULL;
        row->classes = e;
        t = cdp_agg_at(&p->arena, ref);
        e[(*n)++] = (struct cdp_entry){.ref = (uint64_t)(uintptr_t)&t->count};
    }
    cdp_entries_load(row->classes, *n, 0);
    cdp_entries_sort(row->classes, *n, 0, false);
    return row->classes;
}

int cdp_agg_row_write(struct cdp_agg_row *row, struct cdp_agg_part *p, const struct cdp_agg_group *g,
                      struct cdp_err *err)
{
    size_t n = 0;
    const struct cdp_entry *e = NULL;
    if (g->tally && !(e = cdp_agg_row_classes(row, p, g, &n, err)))
        return -1;
    if (cdp_agg_row_begin(row, p, g, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const struct cdp_agg_tally *t = cdp_agg_entry_tally(e[i]);
        struct cdp_val v = t->like.ref ? cdp_agg_kept_val(p, &t->like, 0) : (struct cdp_val){0};
        if (cdp_agg_row_count(row, cdp_agg_tally_item(t), v, cdp_agg_class(t), t->count, err) < 0)
            return -1;
    }
    return cdp_agg_row_end(row, err);
}

void cdp_agg_row_free(struct cdp_agg_row *row)
{
    cdp_agg_ranking_free(&row->ranking);
    free(row->classes);
    *row = (struct cdp_agg_row){0};
}
