/* sort: external merge sort of (key, payload) records.
 *
 * A record is a binary key, a sequence number and a payload (a line with its '\n', or whatever the caller packs).
 * Order: keys by memcmp, a key before its own extensions, equal keys by sequence number.  Sequence numbers make the
 * order total: callers give each record another one (its place in the input), and the output depends on nothing else
 * — not on threads, memory, nor which feed a record came through.
 *
 * Life: cdp_sort_new · cdp_sort_add by several threads, each through a feed of its own · cdp_sort_finish by one
 * thread when the others are done · then either cdp_sort_write (all payloads to an output, in parallel) or
 * cdp_sort_next until it says 0 · cdp_sort_free.
 *
 * Memory: opts.memory bounds records, their index, and the buffers of spilling and merging; what does not fit goes to
 * unnamed temporary files as sorted runs.  A single record larger than that is held all the same.  Each record costs
 * its key and payload and 32 bytes.  Cost: a record is copied once when added; it is sorted by its first seven key bytes
 * after the prefix that all keys share. */
#ifndef CDP_SORT_H
#define CDP_SORT_H

#include "lib/out.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdp_sort;

enum cdp_sort_pack {
    CDP_SORT_PACK_AUTO, /* runs are compressed where that measures faster than writing them as they are */
    CDP_SORT_PACK_NEVER,
    CDP_SORT_PACK_ALWAYS,
};

struct cdp_sort_opts {
    uint64_t memory;         /* bytes */
    unsigned feeds;          /* threads that add at the same time; 0 is 1 */
    unsigned threads;        /* threads that finish and write; 0 is 1 */
    const char *tmpdir;      /* for spilled runs; NULL: $TMPDIR, else /tmp; must outlive the sorter */
    bool unique;             /* of records with equal keys, only the one with the least sequence number */
    enum cdp_sort_pack pack; /* AUTO but for tests */
};

/* What was sorted; final after cdp_sort_write, or after cdp_sort_next has said 0. */
struct cdp_sort_stats {
    uint64_t added;   /* records */
    uint64_t out;     /* records given back; the rest were equal keys under `unique` */
    uint64_t runs;    /* sorted runs written to temporary files, those of merge passes included */
    uint64_t spilled; /* bytes written to temporary files */
};

/* A record given back.  Its bytes are valid until the next call on the sorter. */
struct cdp_sorted {
    const unsigned char *key;
    const char *payload;
    uint32_t key_len, len; /* bytes of key and payload */
    uint64_t seq;
};

/* A new sorter, or NULL and *err.  *opts is copied. */
struct cdp_sort *cdp_sort_new(const struct cdp_sort_opts *opts, struct cdp_err *err);

/* Adds a record through feed 0 … opts.feeds-1; key and payload are copied (each below 4 GiB).  A feed belongs to one
 * thread at a time.  Sorts and spills in the calling thread when memory is used up.  0, or -1 and *err (exit 3). */
int cdp_sort_add(struct cdp_sort *s, unsigned feed, const void *key, size_t key_len, uint64_t seq,
                 const void *payload, size_t len, struct cdp_err *err);

/* No more records.  Sorts what is in memory on opts.threads threads, or merges spilled runs until one pass is left. */
int cdp_sort_finish(struct cdp_sort *s, struct cdp_err *err);

/* Writes all payloads in order, on opts.threads threads: each merges and gathers a part of the order at a time; on a
 * regular file they also write at the same time.  Nobody else may use `out` meanwhile. */
int cdp_sort_write(struct cdp_sort *s, struct cdp_out *out, struct cdp_err *err);

/* The next record in order: 1 and *r, 0 at the end, -1 and *err. */
int cdp_sort_next(struct cdp_sort *s, struct cdp_sorted *r, struct cdp_err *err);

struct cdp_sort_stats cdp_sort_stats(const struct cdp_sort *s);

/* Frees all, temporary files included, at any stage.  NULL is allowed. */
void cdp_sort_free(struct cdp_sort *s);

#endif
