/* table: a set of 128-bit key hashes that stays within a memory limit.
 *
 * Open addressing, 16 bytes a slot, at most three quarters full, on huge pages.  A slot is found by the hash's high bits, so
 * that doubling moves entries in ascending order and the old table can be given back while the new one fills: the peak is
 * the new table.  When doubling would pass the limit the set is full: it still answers, but takes no more.
 * Two keys are one where all 128 bits of their hashes agree (2^-64 at four billion keys; the seed is secret). */
#ifndef CDP_TABLE_H
#define CDP_TABLE_H

#include "lib/err.h"
#include "lib/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdp_set {
    struct cdp_hash128 *slot;
    size_t slots, used; /* slots is a power of two */
    unsigned shift;
    uint64_t limit;    /* bytes */
    uint64_t expected; /* keys in the end, or 0 */
};

enum cdp_set_answer { CDP_SET_OLD, CDP_SET_NEW, CDP_SET_FULL };

/* An empty set that may grow to `limit` bytes (at least a mebibyte is taken). */
int cdp_set_init(struct cdp_set *set, uint64_t limit, struct cdp_err *err);
void cdp_set_free(struct cdp_set *set);

#define CDP_SET_LINE 4 /* slots of a cache line */

/* Where the search for h begins. */
static inline size_t cdp_set_home(const struct cdp_set *set, struct cdp_hash128 h)
{
    return (size_t)(h.hi >> set->shift) & ~(size_t)(CDP_SET_LINE - 1);
}

/* Brings the slot into the cache: to be called two dozen keys ahead. */
static inline void cdp_set_prefetch(const struct cdp_set *set, struct cdp_hash128 h)
{
    __builtin_prefetch(&set->slot[cdp_set_home(set, h)], 1);
}

/* So much of the whole has come (0 of 0: unknown): the next growth goes as far as the keys so far let expect, a little less to be careful, and
 * not beyond 128 MiB: copies may come late. */
void cdp_set_expect(struct cdp_set *set, uint64_t done, uint64_t whole);

/* Puts h in where it is not there yet.  CDP_SET_FULL: it is not there and there is no room. -1 and *err: no memory for a
 * larger table although the limit allows it. */
int cdp_set_add(struct cdp_set *set, struct cdp_hash128 h, struct cdp_err *err);

bool cdp_set_has(const struct cdp_set *set, struct cdp_hash128 h);

/* Moves all hashes to the front of set->slot, sorted; set->used of them.  The set can only be freed after that. */
void cdp_set_sort(struct cdp_set *set);

#endif
