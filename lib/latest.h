/* latest: the record with the greatest order of each key.
 *
 * A hash table of keys; of each key its encoding, the encoding of its greatest order so far, and the line or, where the line
 * lies in a plain file that can be read again, only where it lies.  Memory: the table and an arena of these entries, bounded;
 * when the arena is full of live entries they go to an external sort (lib/sort) and the table starts anew.  The result is
 * sorted by key and the same either way.  One thread adds, in any order of input; keys and orders are compared as bytes, equal
 * orders by the lines' bytes, so the order of adding does not matter. */
#ifndef CDP_LATEST_H
#define CDP_LATEST_H

#include "lib/flow.h"
#include "lib/hash.h"
#include "lib/time.h"

struct cdp_latest;

struct cdp_latest_opts {
    uint64_t memory;
    const char *tmpdir;
    unsigned threads; /* of cdp_latest_write */
};

struct cdp_latest *cdp_latest_new(const struct cdp_latest_opts *opts, struct cdp_err *err);
void cdp_latest_free(struct cdp_latest *l);

struct cdp_latest_item {
    const char *key, *order, *line;
    uint32_t key_len, order_len;
    uint32_t len;            /* of the line with its end */
    bool gone;               /* a delete: it takes part in the order, but is no row */
    struct cdp_time time;    /* for the horizon of deletes */
    struct cdp_hash128 hash; /* cdp_hash of the key */
};

/* To be called before the blocks of another cdp_flow_run: their sources are numbered anew. */
void cdp_latest_next_input(struct cdp_latest *l);

/* Brings the key's slot into the cache: to be called a few keys ahead. */
void cdp_latest_prefetch(const struct cdp_latest *l, struct cdp_hash128 hash);

/* Adds a record; block is the one its line lies in.  0 when it is the first of its key, 1 when it or the one before it is
 * superseded, -1 and *err. */
int cdp_latest_add(struct cdp_latest *l, const struct cdp_latest_item *item, const struct cdp_block *block,
                   struct cdp_err *err);

/* Writes the rows in the order of their keys; deletes, too, whose time is not before *since (NULL: none).  No more records can
 * be added.  Adds rows to counts->out and all else to counts->dropped. */
int cdp_latest_write(struct cdp_latest *l, struct cdp_out *out, const struct cdp_time *since,
                     struct cdp_counts *counts, struct cdp_err *err);

#endif
