/* table: see table.h. */
#include "lib/table.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <sys/mman.h>

#define FIRST_SLOTS ((size_t)1 << 16)
#define GIVE_BACK ((size_t)4 << 20) /* bytes of the old table returned at a time */

int cdp_set_init(struct cdp_set *set, uint64_t limit, struct cdp_err *err)
{
    *set = (struct cdp_set){.slots = FIRST_SLOTS, .shift = 64 - 16, .limit = limit};
    set->slot = cdp_mem_map(FIRST_SLOTS * sizeof *set->slot, err);
    return set->slot ? 0 : -1;
}

void cdp_set_free(struct cdp_set *set)
{
    cdp_mem_unmap(set->slot, set->slots * sizeof *set->slot);
    *set = (struct cdp_set){0};
}

static inline bool empty(struct cdp_hash128 h)
{
    return (h.hi | h.lo) == 0;
}

static inline bool same(struct cdp_hash128 a, struct cdp_hash128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

/* Zero marks an empty slot, so the one hash that is zero becomes another. */
static inline struct cdp_hash128 usable(struct cdp_hash128 h)
{
    h.lo += empty(h);
    return h;
}

/* The slot that holds h, or the empty one where it belongs. */
static inline struct cdp_hash128 *find(const struct cdp_set *set, struct cdp_hash128 h)
{
    size_t i = h.hi >> set->shift, mask = set->slots - 1;
    while (!empty(set->slot[i]) && !same(set->slot[i], h))
        i = (i + 1) & mask;
    return &set->slot[i];
}

static int grow(struct cdp_set *set, struct cdp_err *err)
{
    struct cdp_set next = {
        .slots = set->slots * 2, .used = set->used, .shift = set->shift - 1, .limit = set->limit};
    next.slot = cdp_mem_map(next.slots * sizeof *next.slot, err);
    if (!next.slot)
        return -1;
    size_t step = GIVE_BACK / sizeof *set->slot;
    for (size_t i = 0; i < set->slots; i++) {
        if (!empty(set->slot[i]))
            *find(&next, set->slot[i]) = set->slot[i];
        if ((i + 1) % step == 0)
            madvise(&set->slot[i + 1 - step], GIVE_BACK, MADV_DONTNEED);
    }
    cdp_mem_unmap(set->slot, set->slots * sizeof *set->slot);
    *set = next;
    return 0;
}

int cdp_set_add(struct cdp_set *set, struct cdp_hash128 h, struct cdp_err *err)
{
    h = usable(h);
    struct cdp_hash128 *slot = find(set, h);
    if (!empty(*slot))
        return CDP_SET_OLD;
    if (set->used >= set->slots / 4 * 3) {
        if (set->slots * 2 * sizeof *set->slot > set->limit)
            return CDP_SET_FULL;
        if (grow(set, err) < 0)
            return -1;
        slot = find(set, h);
    }
    *slot = h;
    set->used++;
    return CDP_SET_NEW;
}

bool cdp_set_has(const struct cdp_set *set, struct cdp_hash128 h)
{
    return !empty(*find(set, usable(h)));
}

static int compare(const void *a, const void *b)
{
    const struct cdp_hash128 *x = a, *y = b;
    if (x->hi != y->hi)
        return x->hi < y->hi ? -1 : 1;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

void cdp_set_sort(struct cdp_set *set)
{
    size_t n = 0;
    for (size_t i = 0; i < set->slots; i++)
        if (!empty(set->slot[i]))
            set->slot[n++] = set->slot[i];
    qsort(set->slot, n, sizeof *set->slot, compare);
}
