/* latest: the record with the greatest order of each key.
 *
 * A hash table of keys; of each key its encoding, the encoding of its greatest order so far, and the line or, where a line
 * that is not short lies in a plain file, only where: it is read again at the end, so the file must stay as it is.  Memory: table,
 * entries and the index for writing are three quarters of opts.memory; when that is full of keys they go to an external
 * sort (lib/sort), which has the last quarter, and the table starts anew.  The rows are sorted by key and the same either
 * way.  One thread adds, in any order: keys and orders are compared as bytes, equal orders by the lines' bytes. */
#ifndef CDP_LATEST_H
#define CDP_LATEST_H

#include "lib/change.h"

struct cdp_latest;

struct cdp_latest_opts {
    uint64_t memory;
    const char *tmpdir; /* must outlive it */
    unsigned threads;   /* of cdp_latest_write */
    bool tombstones;    /* the lines of deletes are wanted, too */
};

struct cdp_latest *cdp_latest_new(const struct cdp_latest_opts *opts, struct cdp_err *err);
void cdp_latest_free(struct cdp_latest *l);

/* The lines of the changes that follow lie in this block, of the source so named (copied).  Blocks come in order. */
int cdp_latest_block(struct cdp_latest *l, const struct cdp_block *block, const char *source,
                     struct cdp_err *err);

/* Bring what is known of a key into the cache: its slot, to be called about 16 keys ahead, then its entry, about 8. */
void cdp_latest_prefetch_slot(const struct cdp_latest *l, struct cdp_hash128 hash);
void cdp_latest_prefetch_entry(const struct cdp_latest *l, struct cdp_hash128 hash);

/* Adds a change; keys is what its key and order lie in.  Records that are superseded are added to counts->dropped, here or
 * in cdp_latest_write. */
int cdp_latest_add(struct cdp_latest *l, const struct cdp_change *change, const char *keys,
                   struct cdp_counts *counts, struct cdp_err *err);

/* Writes the rows in the order of their keys; with opts.tombstones deletes, too, whose time is not before *since (else
 * NULL).  No more can be added.  Adds rows to counts->out and all else to counts->dropped. */
int cdp_latest_write(struct cdp_latest *l, struct cdp_out *out, const struct cdp_time *since,
                     struct cdp_counts *counts, struct cdp_err *err);

#endif
