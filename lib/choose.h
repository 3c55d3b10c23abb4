/* choose: one record per key, of records that can only be judged at the end.
 *
 * Records are sorted by (key hash, rank, input order), the best of each key is taken, unless the key is barred, and a second
 * sort brings what was decided back into input order.  Memory: that of two sorters (lib/sort), which spill. */
#ifndef CDP_CHOOSE_H
#define CDP_CHOOSE_H

#include "lib/flow.h"
#include "lib/seen.h"

struct cdp_choose;

enum cdp_choose_fate { CDP_CHOOSE_KEPT = 'k', CDP_CHOOSE_DUP = 'd' };

/* opts is for each of the two sorters.  last: of records with equal rank the last in input order is kept; otherwise, where
 * there are ranks, the least by its bytes, so that the order of arrival does not matter; without ranks the first.
 * dups: what is not kept is wanted, too. */
struct cdp_choose *cdp_choose_new(const struct cdp_sort_opts *opts, bool last, bool dups,
                                  struct cdp_err *err);

/* A key that was there before: none of its records is kept. */
int cdp_choose_bar(struct cdp_choose *c, struct cdp_hash128 key, struct cdp_err *err);

/* A record to judge; the least rank by memcmp wins (rank_len 0: none has one).  seq: its place in the input, from 1.
 * len > 0. */
int cdp_choose_add(struct cdp_choose *c, struct cdp_hash128 key, const void *rank, size_t rank_len,
                   uint64_t seq, const char *line, size_t len, struct cdp_err *err);

/* A record that is decided and only has to keep its place in the order. */
int cdp_choose_settle(struct cdp_choose *c, enum cdp_choose_fate fate, uint64_t seq, const char *line,
                      size_t len, struct cdp_err *err);

/* No more records: writes the kept ones to out and the others to dups (may be NULL), both in input order; adds to
 * counts->out and ->dropped, and the keys, barred ones included, to seen (may be NULL). */
int cdp_choose_write(struct cdp_choose *c, struct cdp_out *out, struct cdp_out *dups, struct cdp_seen *seen,
                     struct cdp_counts *counts, struct cdp_err *err);

void cdp_choose_free(struct cdp_choose *c);

#endif
