/* history: see history.h.
 *
 * In the sorter a record's key is (key, RECORD, order, line): equal orders are told apart by their lines, and the payload says
 * where in the line things are.  What has to be known before a key's first record leaves a mark, which comes before all
 * records of its key: a FORGET, with its order inverted, so that the greatest comes first, and a BASE.  So what is erased
 * or too late is known when it is read, and no key's history has to be held. */
#include "lib/history.h"

#include "lib/emit.h"
#include "lib/history_object.h"
#include "lib/mem.h"

#include <stdlib.h>

enum { MARK_FORGET, MARK_BASE, RECORD };

/* The sorter's payload; places are in the line. */
struct head {
    uint64_t line_no;
    struct cdp_time time;
    uint32_t key_len, order_len, len, source;
    uint32_t when, when_len, patch, patch_len, unset, unset_len;
    uint8_t kind;
};

struct cdp_history {
    struct cdp_history_opts opts;
    struct cdp_sort *sort;
    uint64_t seq;
    struct cdp_buf key;
    char **source;
    size_t sources, source_cap;

    /* the fold of the key at hand */
    struct cdp_buf current;
    struct cdp_buf forget; /* order up to which its records are erased */
    struct cdp_buf base;   /* order of the base's state */
    bool forgets, has_base, base_seen;
    struct cdp_object state;
    bool exists;         /* the key has a state */
    struct head last;    /* the record that stands for it, or for its end */
    struct cdp_buf line; /* that record's line */
    bool pending;        /* it has been neither written nor dropped yet */
    bool timed;          /* the next record's time must not be before its */
    struct cdp_buf row;

    /* of cdp_history_write */
    struct cdp_out *out;
    struct cdp_counts *counts;
    const struct cdp_time *since;
};

struct cdp_history *cdp_history_new(const struct cdp_history_opts *opts, struct cdp_err *err)
{
    struct cdp_history *h = cdp_mem_zalloc(1, sizeof *h, err);
    if (!h)
        return NULL;
    h->opts = *opts;
    if (!(h->sort = cdp_sort_new(&opts->sort, err))) {
        cdp_history_free(h);
        return NULL;
    }
    return h;
}

void cdp_history_free(struct cdp_history *h)
{
    if (!h)
        return;
    cdp_sort_free(h->sort);
    struct cdp_buf *all[] = {&h->key, &h->current, &h->forget, &h->base, &h->line, &h->row};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cdp_buf_free(all[i]);
    for (size_t i = 0; i < h->sources; i++)
        free(h->source[i]);
    free(h->source);
    cdp_object_free(&h->state);
    free(h);
}

/* ---- adding ---- */

int cdp_history_source(struct cdp_history *h, const char *name, struct cdp_err *err)
{
    char **source = cdp_mem_grow(h->source, &h->source_cap, h->sources + 1, sizeof *source, err);
    if (!source)
        return -1;
    h->source = source;
    if (!(source[h->sources] = cdp_mem_strndup(name, strlen(name), err)))
        return -1;
    h->sources++;
    return 0;
}

static uint32_t place(const struct cdp_change *c, struct cdp_val v)
{
    return v.p ? (uint32_t)(v.p - c->line) : 0;
}

static int add(struct cdp_history *h, const struct cdp_change *c, const char *keys, uint64_t line_no,
               int what, struct cdp_err *err)
{
    const struct head head = {.line_no = line_no,
                              .time = c->time,
                              .key_len = c->key_len,
                              .order_len = c->order_len,
                              .len = c->len,
                              .source = (uint32_t)h->sources - 1,
                              .when = place(c, c->when),
                              .when_len = c->when.len,
                              .patch = place(c, c->patch),
                              .patch_len = c->patch.len,
                              .unset = place(c, c->unset),
                              .unset_len = c->unset.len,
                              .kind = (uint8_t)c->kind};
    cdp_buf_clear(&h->key);
    cdp_buf_add(&h->key, keys + c->key, c->key_len);
    cdp_buf_addc(&h->key, (char)what);
    cdp_buf_add(&h->key, keys + c->order, c->order_len);
    if (what == RECORD)
        cdp_buf_add(&h->key, c->line, c->len);
    if (cdp_buf_check(&h->key, err) < 0)
        return -1;
    for (size_t i = c->key_len + 1; what == MARK_FORGET && i < h->key.len; i++)
        h->key.data[i] = (char)~h->key.data[i];
    return cdp_sort_add(h->sort, 0, h->key.data, h->key.len, h->seq++, &head, sizeof head, err);
}

int cdp_history_add(struct cdp_history *h, const struct cdp_change *change, const char *keys,
                    uint64_t line_no, struct cdp_err *err)
{
    if (change->kind == CDP_CHANGE_FORGET && add(h, change, keys, line_no, MARK_FORGET, err) < 0)
        return -1;
    if (change->kind == CDP_CHANGE_BASE && add(h, change, keys, line_no, MARK_BASE, err) < 0)
        return -1;
    return add(h, change, keys, line_no, RECORD, err);
}

/* ---- rows ---- */

/* The last record's line, with the state where its patch stands. */
static void build_row(struct cdp_history *h)
{
    struct cdp_buf *row = &h->row;
    const struct head *last = &h->last;
    const char *line = h->line.data;
    cdp_buf_clear(row);
    if (!h->opts.patch || !h->exists) {
        cdp_buf_add(row, line, last->len);
        return;
    }
    size_t after = (size_t)last->patch + last->patch_len;
    cdp_buf_add(row, line, last->patch);
    cdp_object_emit(&h->state, row);
    cdp_buf_add(row, line + after, last->len - after);
}

/* Puts the three members behind the others of the object. */
static void add_validity(struct cdp_history *h, const char *until, size_t until_len)
{
    struct cdp_buf *row = &h->row;
    while (row->len && row->data[row->len - 1] != '}')
        row->len--;
    row->len -= row->len != 0; /* the brace */
    while (row->len && (row->data[row->len - 1] == ' ' || row->data[row->len - 1] == '\t'))
        row->len--;
    cdp_emit_key(row, "valid_from", 10);
    cdp_buf_add(row, h->line.data + h->last.when, h->last.when_len);
    cdp_emit_key(row, "valid_to", 8);
    if (until)
        cdp_buf_add(row, until, until_len);
    else
        cdp_buf_adds(row, "null");
    cdp_emit_key(row, "is_current", 10);
    cdp_buf_adds(row, until ? "false}" : "true}");
}

static int write_row(struct cdp_history *h, struct cdp_err *err)
{
    cdp_buf_addc(&h->row, '\n');
    if (cdp_buf_check(&h->row, err) < 0)
        return -1;
    h->pending = false;
    h->counts->out++;
    return cdp_out_write(h->out, h->row.data, h->row.len, err);
}

static int drop_pending(struct cdp_history *h)
{
    h->counts->dropped += h->pending;
    h->pending = false;
    return 0;
}

/* The key ends: its last record becomes the current row, or a tombstone, or nothing. */
static int end_key(struct cdp_history *h, struct cdp_err *err)
{
    if (!h->pending)
        return 0;
    if (h->opts.rows ? !h->exists : !h->exists && (!h->since || cdp_time_cmp(h->last.time, *h->since) < 0))
        return drop_pending(h);
    build_row(h);
    if (h->opts.rows)
        add_validity(h, NULL, 0);
    return write_row(h, err);
}

/* The next record of the key is there: the one before it ends. */
static int supersede(struct cdp_history *h, const struct head *head, const char *line, struct cdp_err *err)
{
    if (!h->pending)
        return 0;
    if (!h->opts.rows || !h->exists || cdp_time_cmp(h->last.time, head->time) == 0)
        return drop_pending(h);
    build_row(h);
    add_validity(h, line + head->when, head->when_len);
    return write_row(h, err);
}

/* ---- the fold ---- */

static int begin_key(struct cdp_history *h, const struct cdp_sorted *r, const struct head *head,
                     struct cdp_err *err)
{
    cdp_object_clear(&h->state);
    h->exists = h->pending = h->timed = h->forgets = h->has_base = h->base_seen = false;
    cdp_buf_clear(&h->current);
    cdp_buf_add(&h->current, r->key, head->key_len);
    return cdp_buf_check(&h->current, err);
}

/* The first mark of a kind counts: the greatest order of a FORGET, and a BASE is there once. */
static int take_mark(struct cdp_history *h, const struct cdp_sorted *r, const struct head *head,
                     struct cdp_err *err)
{
    bool forget = r->key[head->key_len] == MARK_FORGET, *has = forget ? &h->forgets : &h->has_base;
    struct cdp_buf *order = forget ? &h->forget : &h->base;
    if (*has)
        return 0;
    *has = true;
    cdp_buf_clear(order);
    for (size_t i = 0; i < head->order_len; i++) {
        unsigned char c = r->key[head->key_len + 1 + i];
        cdp_buf_addc(order, (char)(forget ? ~c : c));
    }
    return cdp_buf_check(order, err);
}

/* Compares a record's order with that of a mark; without == the kinds at their ends do not count. */
static int compare_order(const struct cdp_sorted *r, const struct head *head, const struct cdp_buf *mark,
                         bool kinds)
{
    size_t an = head->order_len - !kinds, bn = mark->len - !kinds;
    int order = memcmp(r->key + head->key_len + 1, mark->data, an < bn ? an : bn);
    return order ? order : (an > bn) - (an < bn);
}

/* Why the record cannot be folded, or NULL. */
static const char *fault_of(const struct cdp_history *h, const struct cdp_sorted *r, const struct head *head)
{
    if (head->kind == CDP_CHANGE_BASE && h->base_seen)
        return "the base has this key twice";
    if (h->has_base && compare_order(r, head, &h->base, false) < 0)
        return "older than the base's state of its key: partial updates then take a rebuild from all records";
    if (h->opts.rows && h->timed && cdp_time_cmp(head->time, h->last.time) < 0)
        return "its time is before that of the record before it in the order";
    return NULL;
}

static int take(struct cdp_history *h, const struct cdp_sorted *r, const struct head *head, const char *line,
                struct cdp_err *err)
{
    if (h->forgets && head->kind != CDP_CHANGE_FORGET && compare_order(r, head, &h->forget, true) < 0) {
        h->counts->dropped++;
        return 0;
    }
    const char *fault = fault_of(h, r, head);
    if (fault)
        return h->opts.reject(h->opts.reject_arg, h->source[head->source], head->line_no, fault, line,
                              head->len, err);
    if (head->kind == CDP_CHANGE_STATE && h->has_base && compare_order(r, head, &h->base, false) == 0) {
        h->counts->dropped++; /* it is in the base */
        return 0;
    }
    if (supersede(h, head, line, err) < 0)
        return -1;
    h->base_seen |= head->kind == CDP_CHANGE_BASE;
    h->exists = head->kind <= CDP_CHANGE_STATE;
    if (!h->exists)
        cdp_object_clear(&h->state);
    else if (h->opts.patch &&
             (cdp_object_lay(&h->state, cdp_val_text(line + head->patch, head->patch_len), err) < 0 ||
              cdp_object_unset(&h->state, cdp_val_text(line + head->unset, head->unset_len), err) < 0))
        return -1;
    h->last = *head;
    h->pending = true;
    h->timed = head->kind != CDP_CHANGE_FORGET; /* what is before a FORGET has no rows to overlap with */
    cdp_buf_clear(&h->line);
    cdp_buf_add(&h->line, line, head->len);
    return cdp_buf_check(&h->line, err);
}

int cdp_history_write(struct cdp_history *h, struct cdp_out *out, const struct cdp_time *since,
                      struct cdp_counts *counts, struct cdp_err *err)
{
    struct cdp_sorted r;
    bool first = true;
    int rc;
    h->out = out;
    h->since = since;
    h->counts = counts;
    if (cdp_sort_finish(h->sort, err) < 0)
        return -1;
    while ((rc = cdp_sort_next(h->sort, &r, err)) == 1) {
        struct head head;
        memcpy(&head, r.payload, sizeof head);
        const char *line = (const char *)r.key + head.key_len + 1 + head.order_len;
        if (first || head.key_len != h->current.len || memcmp(h->current.data, r.key, head.key_len) != 0) {
            if (end_key(h, err) < 0 || begin_key(h, &r, &head, err) < 0)
                return -1;
            first = false;
        }
        bool mark = r.key[head.key_len] != RECORD;
        if ((mark ? take_mark(h, &r, &head, err) : take(h, &r, &head, line, err)) < 0)
            return -1;
    }
    return rc < 0 ? -1 : end_key(h, err);
}
