/* history: see history.h.
 *
 * In the sorter a record's key is (key, 1, order, line): equal orders are told apart by their lines, and the payload says where
 * in the line things are.  A FORGET also leaves a
 * mark, (key, 0, inverted order), which comes before all records of its key, the greatest order first; so what it erases is
 * known before it is read and no key's history has to be held. */
#include "lib/history.h"

#include "lib/emit.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum { MARK = 0, RECORD = 1 };

/* The sorter's payload; offsets are into the line. */
struct head {
    uint32_t key_len, order_len, len;
    uint32_t when, when_len, patch, patch_len, unset, unset_len;
    struct cdp_time time;
    uint8_t kind;
};

struct member {
    char *name; /* decoded */
    size_t name_len;
    size_t key, key_len, value, value_len; /* raw text, in the state's bytes */
};

struct state {
    struct member *member;
    size_t members, cap;
    struct cdp_buf bytes, names, old_bytes, scratch;
};

struct cdp_history {
    struct cdp_history_opts opts;
    struct cdp_sort *sort;
    uint64_t seq;
    struct cdp_buf key;
    /* the fold */
    struct cdp_buf current; /* the key at hand */
    struct cdp_buf forget;  /* order up to which its records are erased */
    bool any, forgets;
    struct state state;
    bool exists;         /* the key has a state */
    struct head last;    /* the record that stands for it, or for its end */
    struct cdp_buf line; /* that record's line */
    bool pending;        /* it has not been written or dropped yet */
    struct cdp_buf row;
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
    struct cdp_buf *all[] = {&h->key,         &h->current,     &h->forget,          &h->line,         &h->row,
                             &h->state.bytes, &h->state.names, &h->state.old_bytes, &h->state.scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cdp_buf_free(all[i]);
    free(h->state.member);
    free(h);
}

/* ---- adding ---- */

static uint32_t offset(const struct cdp_history_item *item, struct cdp_val v)
{
    return v.p ? (uint32_t)(v.p - item->line) : 0;
}

static int add(struct cdp_history *h, const struct cdp_history_item *item, int what, struct cdp_err *err)
{
    struct head head = {.key_len = item->key_len,
                        .order_len = item->order_len,
                        .len = item->len,
                        .when = offset(item, item->when),
                        .when_len = item->when.len,
                        .patch = offset(item, item->patch),
                        .patch_len = item->patch.len,
                        .unset = offset(item, item->unset),
                        .unset_len = item->unset.len,
                        .time = item->time,
                        .kind = (uint8_t)item->kind};
    cdp_buf_clear(&h->key);
    cdp_buf_add(&h->key, item->key, item->key_len);
    cdp_buf_addc(&h->key, (char)what);
    cdp_buf_add(&h->key, item->order, item->order_len);
    if (what == MARK) {
        for (size_t i = item->key_len + 1; i < h->key.len; i++)
            h->key.data[i] = (char)~h->key.data[i];
    } else {
        cdp_buf_add(&h->key, item->line, item->len);
    }
    if (cdp_buf_check(&h->key, err) < 0)
        return -1;
    return cdp_sort_add(h->sort, 0, h->key.data, h->key.len, h->seq++, &head, sizeof head, err);
}

int cdp_history_add(struct cdp_history *h, const struct cdp_history_item *item, struct cdp_err *err)
{
    if (item->kind == CDP_HISTORY_FORGET && add(h, item, MARK, err) < 0)
        return -1;
    return add(h, item, RECORD, err);
}

/* ---- the state of partial updates ---- */

static struct member *find(struct state *s, const char *name, size_t n)
{
    for (size_t i = 0; i < s->members; i++)
        if (s->member[i].name_len == n && memcmp(s->member[i].name, name, n) == 0)
            return &s->member[i];
    return NULL;
}

static void clear(struct state *s)
{
    for (size_t i = 0; i < s->members; i++)
        free(s->member[i].name);
    s->members = 0;
    cdp_buf_clear(&s->bytes);
}

/* Drops bytes that no member points at any more, so that a key with many updates stays small. */
static int tidy(struct state *s, struct cdp_err *err)
{
    size_t live = 0;
    for (size_t i = 0; i < s->members; i++)
        live += s->member[i].key_len + s->member[i].value_len;
    if (s->bytes.len <= 2 * live + 4096)
        return 0;
    struct cdp_buf old = s->bytes;
    s->bytes = s->old_bytes;
    cdp_buf_clear(&s->bytes);
    for (size_t i = 0; i < s->members; i++) {
        struct member *m = &s->member[i];
        size_t key = s->bytes.len;
        cdp_buf_add(&s->bytes, old.data + m->key, m->key_len);
        size_t value = s->bytes.len;
        cdp_buf_add(&s->bytes, old.data + m->value, m->value_len);
        m->key = key;
        m->value = value;
    }
    s->old_bytes = old;
    return cdp_buf_check(&s->bytes, err);
}

static int set_member(struct state *s, struct cdp_val key, struct cdp_val value, struct cdp_err *err)
{
    size_t n;
    const char *name = cdp_val_str(key, &s->scratch, &n);
    struct member *m = find(s, name, n);
    if (!m) {
        struct member *more = cdp_mem_grow(s->member, &s->cap, s->members + 1, sizeof *more, err);
        if (!more)
            return -1;
        s->member = more;
        m = &more[s->members];
        *m = (struct member){.name = cdp_mem_strndup(name ? name : "", n, err), .name_len = n};
        if (!m->name)
            return -1;
        s->members++;
        m->key = s->bytes.len;
        m->key_len = key.len;
        cdp_buf_add(&s->bytes, key.p, key.len);
    }
    m->value = s->bytes.len;
    m->value_len = value.len;
    cdp_buf_add(&s->bytes, value.p, value.len);
    return cdp_buf_check(&s->bytes, err);
}

static void unset_member(struct state *s, struct cdp_val name)
{
    size_t n;
    const char *text = name.type == CDP_STRING ? cdp_val_str(name, &s->scratch, &n) : NULL;
    struct member *m = text ? find(s, text, n) : NULL;
    if (!m)
        return;
    free(m->name);
    memmove(m, m + 1, (size_t)(s->member + s->members - (m + 1)) * sizeof *m);
    s->members--;
}

static int lay_over(struct state *s, const struct head *head, const char *line, struct cdp_err *err)
{
    struct cdp_iter it = cdp_val_iter(cdp_val_text(line + head->patch, head->patch_len));
    while (cdp_iter_next(&it))
        if (set_member(s, it.key, it.val, err) < 0)
            return -1;
    if (head->unset_len) {
        it = cdp_val_iter(cdp_val_text(line + head->unset, head->unset_len));
        while (cdp_iter_next(&it))
            unset_member(s, it.val);
    }
    return tidy(s, err);
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
    cdp_buf_add(row, line, last->patch);
    cdp_buf_addc(row, '{');
    for (size_t i = 0; i < h->state.members; i++) {
        const struct member *m = &h->state.member[i];
        if (i)
            cdp_buf_addc(row, ',');
        cdp_buf_add(row, h->state.bytes.data + m->key, m->key_len);
        cdp_buf_addc(row, ':');
        cdp_buf_add(row, h->state.bytes.data + m->value, m->value_len);
    }
    cdp_buf_addc(row, '}');
    size_t after = last->patch + last->patch_len;
    cdp_buf_add(row, line + after, last->len - after);
}

/* Puts the three members behind the others of the object. */
static void add_validity(struct cdp_history *h, const char *until, size_t until_len)
{
    struct cdp_buf *row = &h->row;
    while (row->len && row->data[row->len - 1] != '}')
        row->len--;
    row->len--; /* the brace */
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

static int write_row(struct cdp_history *h, struct cdp_out *out, struct cdp_counts *counts,
                     struct cdp_err *err)
{
    cdp_buf_addc(&h->row, '\n');
    if (cdp_buf_check(&h->row, err) < 0)
        return -1;
    h->pending = false;
    counts->out++;
    return cdp_out_write(out, h->row.data, h->row.len, err);
}

static void drop_pending(struct cdp_history *h, struct cdp_counts *counts)
{
    counts->dropped += h->pending;
    h->pending = false;
}

/* The key ends: its last record becomes the current row, or a tombstone, or nothing. */
static int end_key(struct cdp_history *h, struct cdp_out *out, const struct cdp_time *since,
                   struct cdp_counts *counts, struct cdp_err *err)
{
    if (!h->pending)
        return 0;
    bool tombstone = !h->exists && since && !h->opts.rows && cdp_time_cmp(h->last.time, *since) >= 0;
    if (!h->exists && !tombstone) {
        drop_pending(h, counts);
        return 0;
    }
    build_row(h);
    if (h->opts.rows)
        add_validity(h, NULL, 0);
    return write_row(h, out, counts, err);
}

/* The next record of the key is there: the one before it ends. */
static int supersede(struct cdp_history *h, const struct head *head, const char *line, struct cdp_out *out,
                     struct cdp_counts *counts, struct cdp_err *err)
{
    if (!h->pending)
        return 0;
    if (!h->opts.rows || !h->exists || cdp_time_cmp(h->last.time, head->time) == 0) {
        drop_pending(h, counts);
        return 0;
    }
    build_row(h);
    add_validity(h, line + head->when, head->when_len);
    return write_row(h, out, counts, err);
}

static int take(struct cdp_history *h, const struct head *head, const char *line, struct cdp_err *err)
{
    if (head->kind == CDP_HISTORY_BASE && h->any)
        return cdp_err_set(
            err, CDP_EXIT_DATA,
            "a record comes before the base's state of its key; rebuild from the whole history");
    h->any = true;
    h->exists = head->kind == CDP_HISTORY_STATE || head->kind == CDP_HISTORY_BASE;
    if (!h->exists)
        clear(&h->state);
    else if (h->opts.patch && lay_over(&h->state, head, line, err) < 0)
        return -1;
    h->last = *head;
    h->pending = true;
    cdp_buf_clear(&h->line);
    cdp_buf_add(&h->line, line, head->len);
    return cdp_buf_check(&h->line, err);
}

static int begin_key(struct cdp_history *h, const struct cdp_sorted *r, const struct head *head,
                     struct cdp_err *err)
{
    clear(&h->state);
    h->any = h->exists = h->pending = h->forgets = false;
    cdp_buf_clear(&h->current);
    cdp_buf_add(&h->current, r->key, head->key_len);
    return cdp_buf_check(&h->current, err);
}

/* The greatest order of a FORGET comes first; later marks say nothing new. */
static int take_mark(struct cdp_history *h, const struct cdp_sorted *r, const struct head *head,
                     struct cdp_err *err)
{
    if (h->forgets)
        return 0;
    h->forgets = true;
    cdp_buf_clear(&h->forget);
    for (size_t i = 0; i < head->order_len; i++)
        cdp_buf_addc(&h->forget, (char)~r->key[head->key_len + 1 + i]);
    return cdp_buf_check(&h->forget, err);
}

static bool is_erased(const struct cdp_history *h, const struct cdp_sorted *r, const struct head *head)
{
    if (!h->forgets || head->kind == CDP_HISTORY_FORGET)
        return false;
    size_t n = head->order_len < h->forget.len ? head->order_len : h->forget.len;
    int order = memcmp(r->key + head->key_len + 1, h->forget.data, n);
    return order < 0 || (order == 0 && head->order_len <= h->forget.len);
}

int cdp_history_write(struct cdp_history *h, struct cdp_out *out, const struct cdp_time *since,
                      struct cdp_counts *counts, struct cdp_err *err)
{
    struct cdp_sorted r;
    bool first = true;
    int rc;
    if (cdp_sort_finish(h->sort, err) < 0)
        return -1;
    while ((rc = cdp_sort_next(h->sort, &r, err)) == 1) {
        struct head head;
        memcpy(&head, r.payload, sizeof head);
        const char *line = (const char *)r.key + head.key_len + 1 + head.order_len;
        if (first || head.key_len != h->current.len || memcmp(h->current.data, r.key, head.key_len) != 0) {
            if (end_key(h, out, since, counts, err) < 0 || begin_key(h, &r, &head, err) < 0)
                return -1;
            first = false;
        }
        if (r.key[head.key_len] == MARK) {
            if (take_mark(h, &r, &head, err) < 0)
                return -1;
        } else if (is_erased(h, &r, &head)) {
            counts->dropped++;
        } else if (supersede(h, &head, line, out, counts, err) < 0 || take(h, &head, line, err) < 0) {
            return -1;
        }
    }
    return rc < 0 ? -1 : end_key(h, out, since, counts, err);
}
