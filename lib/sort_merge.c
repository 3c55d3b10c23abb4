/* sort_merge: see sort_merge.h.
 *
 * A loser tree over cursors.  Memory: a cursor a source; of a run, one of its frames. */
#include "lib/sort_merge.h"

void cdp_merge_free(struct cdp_merge *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; m->cursor && i < m->tree.k; i++)
        cdp_run_close(m->cursor[i].reader);
    free(m->cursor);
    cdp_tree_free(&m->tree);
    cdp_buf_free(&m->last_key);
    free(m);
}

static bool slice_before(const void *owner, uint32_t a, uint32_t b)
{
    const struct cdp_merge *m = owner;
    struct cdp_entry x = *m->cursor[a].e, y = *m->cursor[b].e;
    if (cdp_entry_ends(x.prefix)) /* both: they are equal */
        return cdp_entry_head(x).seq < cdp_entry_head(y).seq;
    return cdp_entry_cmp(x, y, m->skip) < 0;
}

static bool run_before(const void *owner, uint32_t a, uint32_t b)
{
    const struct cdp_merge *m = owner;
    const struct cdp_sorted *x = &m->cursor[a].head, *y = &m->cursor[b].head;
    return cdp_sort_cmp(x->key, x->key_len, x->seq, y->key, y->key_len, y->seq, m->skip) < 0;
}

static struct cdp_merge *merge_new(size_t k, bool runs, size_t skip, bool unique, struct cdp_err *err)
{
    struct cdp_merge *m = cdp_mem_zalloc(1, sizeof *m, err);
    if (!m)
        return NULL;
    m->skip = skip;
    m->unique = unique;
    m->runs = runs;
    m->cursor = cdp_mem_zalloc(k, sizeof *m->cursor, err);
    if (!m->cursor || cdp_tree_init(&m->tree, (uint32_t)k, runs ? run_before : slice_before, m, err) < 0) {
        cdp_merge_free(m);
        return NULL;
    }
    return m;
}

struct cdp_merge *cdp_merge_slices(const struct cdp_slice *slice, size_t n, size_t skip, bool unique,
                                   const struct cdp_split *from, const struct cdp_split *to,
                                   struct cdp_err *err)
{
    struct cdp_merge *m = merge_new(n, false, skip, unique, err);
    if (!m)
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        const struct cdp_slice *s = &slice[i];
        struct cdp_cursor *c = &m->cursor[i];
        c->e = from ? cdp_entries_bound(s->entry, s->n, from, skip) : s->entry;
        c->end = to ? cdp_entries_bound(s->entry, s->n, to, skip) : s->entry + s->n;
        m->tree.done[i] = c->e >= c->end;
        m->tree.prefix[i] = c->e < c->end ? c->e->prefix : UINT64_MAX;
    }
    cdp_tree_build(&m->tree);
    return m;
}

/* Takes the run's next record as the cursor's head.  1, 0 where it is used up or the merge ends before it. */
static int cursor_read(struct cdp_merge *m, uint32_t i, struct cdp_err *err)
{
    struct cdp_cursor *c = &m->cursor[i];
    int rc = cdp_run_next(c->reader, &c->head, err);
    if (rc <= 0)
        return rc;
    uint64_t prefix = m->tree.prefix[i] = cdp_entry_prefix(c->head.key, c->head.key_len, m->skip);
    const struct cdp_split *to = m->to;
    return !to || prefix < m->to_prefix ||
           (prefix == m->to_prefix && cdp_sort_cmp(c->head.key, c->head.key_len, c->head.seq, to->key,
                                                   to->key_len, to->seq, m->skip) < 0);
}

struct cdp_merge *cdp_merge_runs(struct cdp_run *const *run, size_t n, bool unique,
                                 const struct cdp_split *from, const struct cdp_split *to,
                                 struct cdp_err *err)
{
    struct cdp_merge *m = merge_new(n, true, cdp_run_common(run, n), unique, err);
    if (!m)
        return NULL;
    m->to = to;
    m->to_prefix = to ? cdp_entry_prefix(to->key, to->key_len, m->skip) : 0;
    for (uint32_t i = 0; i < n; i++) {
        m->cursor[i].reader = cdp_run_open(run[i], from, err);
        int rc = m->cursor[i].reader ? cursor_read(m, i, err) : -1;
        if (rc < 0) {
            cdp_merge_free(m);
            return NULL;
        }
        if (rc == 0) {
            m->tree.done[i] = true;
            m->tree.prefix[i] = UINT64_MAX;
        }
    }
    cdp_tree_build(&m->tree);
    return m;
}

/* Steps from the record given out before to the next one. */
static int next_of_runs(struct cdp_merge *m, struct cdp_sorted *r, struct cdp_err *err)
{
    if (m->started) {
        int rc = cursor_read(m, cdp_tree_top(&m->tree), err);
        if (rc < 0)
            return -1;
        if (rc)
            cdp_tree_replay(&m->tree);
        else
            cdp_tree_end(&m->tree);
    }
    uint32_t top = cdp_tree_top(&m->tree);
    m->started = !m->tree.done[top];
    if (m->started)
        *r = m->cursor[top].head;
    return m->started;
}

/* Remembers the record's key; 1 where it is the one before. */
static int repeated(struct cdp_merge *m, const struct cdp_sorted *r, struct cdp_err *err)
{
    if (m->any && r->key_len == m->last_key.len &&
        (r->key_len == 0 || memcmp(r->key, m->last_key.data, r->key_len) == 0))
        return 1;
    m->any = true;
    cdp_buf_clear(&m->last_key);
    cdp_buf_add(&m->last_key, r->key, r->key_len);
    return cdp_buf_check(&m->last_key, err);
}

int cdp_merge_next(struct cdp_merge *m, struct cdp_sorted *r, struct cdp_err *err)
{
    if (!m->runs) {
        struct cdp_entry e;
        if (!cdp_merge_entry(m, &e))
            return 0;
        cdp_entry_record(e, r);
        return 1;
    }
    for (;;) {
        int rc = next_of_runs(m, r, err);
        if (rc <= 0 || !m->unique)
            return rc;
        rc = repeated(m, r, err);
        if (rc <= 0)
            return rc < 0 ? -1 : 1;
    }
}
