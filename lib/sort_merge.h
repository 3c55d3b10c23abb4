/* sort_merge: the merge of sorted slices of memory, or of sorted runs (a part of sort). */
#ifndef CDP_SORT_MERGE_H
#define CDP_SORT_MERGE_H

#include "lib/sort_run.h"
#include "lib/sort_tree.h"

struct cdp_feed;

struct cdp_slice {
    struct cdp_entry *entry;
    size_t n;
    const struct cdp_feed *feed; /* whose records they are; of slices that are to be sorted */
};

struct cdp_cursor {
    const struct cdp_entry *e, *end; /* of a slice */
    struct cdp_run_reader *reader;   /* of a run */
    struct cdp_sorted head;
};

struct cdp_merge {
    struct cdp_tree tree;
    struct cdp_cursor *cursor;
    size_t skip; /* bytes that all keys share */
    bool runs, unique;
    const struct cdp_split *to; /* NULL: to the end */
    uint64_t to_prefix;
    bool started;            /* the top cursor's record has been given out */
    bool any;                /* under unique: something was given out, the last of it is */
    struct cdp_entry last;   /* of slices */
    struct cdp_buf last_key; /* of runs, whose buffers move on */
};

/* Merges slices, whose prefixes are those at `skip`, between two splits (NULL: from the beginning, to the end).
 * unique: of equal keys only the first. */
struct cdp_merge *cdp_merge_slices(const struct cdp_slice *slice, size_t n, size_t skip, bool unique,
                                   const struct cdp_split *from, const struct cdp_split *to,
                                   struct cdp_err *err);

/* The same with n > 0 runs. */
struct cdp_merge *cdp_merge_runs(struct cdp_run *const *run, size_t n, bool unique,
                                 const struct cdp_split *from, const struct cdp_split *to,
                                 struct cdp_err *err);

void cdp_merge_free(struct cdp_merge *m); /* NULL is allowed */

static inline void cdp_entry_record(struct cdp_entry e, struct cdp_sorted *r)
{
    struct cdp_entry_head h = cdp_entry_head(e);
    *r = (struct cdp_sorted){.key = cdp_entry_key(e, h),
                             .payload = cdp_entry_payload(e),
                             .key_len = h.key_len,
                             .len = h.len,
                             .seq = h.seq};
}

#define CDP_MERGE_AHEAD 8 /* entries of a slice between a prefetch and its use */

/* The next entry of merged slices; false at the end. */
static inline bool cdp_merge_entry(struct cdp_merge *m, struct cdp_entry *e)
{
    for (;;) {
        uint32_t top = cdp_tree_top(&m->tree);
        if (m->tree.done[top])
            return false;
        struct cdp_cursor *c = &m->cursor[top];
        *e = *c->e++;
        if (c->end - c->e > CDP_MERGE_AHEAD) /* its head tells equal keys apart */
            __builtin_prefetch(cdp_entry_payload(c->e[CDP_MERGE_AHEAD]) - sizeof(struct cdp_entry_head));
        if (c->e < c->end) {
            m->tree.prefix[top] = c->e->prefix;
            cdp_tree_replay(&m->tree);
        } else {
            cdp_tree_end(&m->tree);
        }
        if (!m->unique)
            return true;
        if (m->any && cdp_entry_repeats(m->last, *e))
            continue;
        m->last = *e;
        m->any = true;
        return true;
    }
}

/* The next record, valid until the next call: 1, 0 at the end, -1 and *err. */
int cdp_merge_next(struct cdp_merge *m, struct cdp_sorted *r, struct cdp_err *err);

#endif
