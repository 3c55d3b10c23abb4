/* sort_live: an endless stream into the order of its times (a part of sort).
 *
 * Records that may still be preceded by others are held back; what lies before a bound is let go, in order.  What is held
 * beyond the memory limit goes to temporary files, from which it is read back as its time comes. */
#ifndef CDP_SORT_LIVE_H
#define CDP_SORT_LIVE_H

#include "lib/sort.h"

struct cdp_live;

struct cdp_live_opts {
    uint64_t memory;    /* bytes of records held, with their keys and what holding them costs */
    const char *tmpdir; /* NULL: $TMPDIR, else /tmp; must outlive it */
};

struct cdp_live *cdp_live_new(const struct cdp_live_opts *opts, struct cdp_err *err);

/* Holds a record; key and payload are copied.  Sequence numbers tell equal keys apart.  The key must not lie before the bound
 * of an earlier cdp_live_next. */
int cdp_live_add(struct cdp_live *l, const void *key, size_t key_len, uint64_t seq, const void *payload,
                 size_t len, struct cdp_err *err);

/* Takes the first record whose key lies before the bound (NULL: any): 1 and *r, valid until the next call on l; 0 where there
 * is none; -1 and *err. */
int cdp_live_next(struct cdp_live *l, const void *bound, size_t bound_len, struct cdp_sorted *r,
                  struct cdp_err *err);

/* Runs written to temporary files so far. */
uint64_t cdp_live_runs(const struct cdp_live *l);

void cdp_live_free(struct cdp_live *l); /* NULL is allowed */

#endif
