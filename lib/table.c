/* table: see table.h. */
#include "lib/table.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_SLOTS ((size_t)1 << 16)
#define GIVE_BACK ((size_t)4 << 20) /* bytes of the old table returned at a time */

int cdp_set_init(struct cdp_set *set, uint64_t limit, struct cdp_err *err)
{
    *set = (struct cdp_set){.slots = FIRST_SLOTS, .shift = 64 - 16, .limit = limit};
    set->slot = cdp_mem_map_table(FIRST_SLOTS * sizeof *set->slot, err);
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

/* Zero marks an empty slot, so the one hash that is zero becomes another. */
static inline struct cdp_hash128 usable(struct cdp_hash128 h)
{
    h.lo += empty(h);
    return h;
}

static inline bool same(struct cdp_hash128 a, struct cdp_hash128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

/* The slot that holds h, or the empty one where it belongs. */
static inline struct cdp_hash128 *find(const struct cdp_set *set, struct cdp_hash128 h)
{
    size_t i = cdp_set_home(set, h), mask = set->slots - 1;
    while (!empty(set->slot[i]) && !same(set->slot[i], h))
        i = (i + 1) & mask;
    return &set->slot[i];
}

static inline bool fits(const struct cdp_set *set, size_t slots)
{
    return slots * sizeof *set->slot <= set->limit;
}

#define FORESEEN ((size_t)128 << 20) /* bytes of a table that is made for keys that may not come, at most */

/* Is more than this expected, and to be believed? */
static bool falls_short(const struct cdp_set *set, size_t slots)
{
    return slots / 4 * 3 < set->expected && fits(set, slots * 2) && slots * 2 * sizeof *set->slot <= FORESEEN;
}

/* Apart, so that cdp_set_add need not save registers for it. */
static __attribute__((noinline)) int grow(struct cdp_set *set, struct cdp_err *err)
{
    struct cdp_set next = *set;
    do {
        next.slots *= 2;
        next.shift--;
    } while (falls_short(set, next.slots));
    next.slot = cdp_mem_map_table(next.slots * sizeof *next.slot, err);
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

#define FORESIGHT 256 /* less than one part in so many of the whole says nothing about the rest */

void cdp_set_expect(struct cdp_set *set, uint64_t done, uint64_t whole)
{
    if (done == 0 || done < whole / FORESIGHT || done > whole)
        return;
    set->expected = (uint64_t)((double)set->used * (double)whole / (double)done / 8 * 7);
}

int cdp_set_add(struct cdp_set *set, struct cdp_hash128 h, struct cdp_err *err)
{
    h = usable(h);
    struct cdp_hash128 *slot = find(set, h);
    if (!empty(*slot))
        return CDP_SET_OLD;
    if (set->used >= set->slots / 4 * 3) {
        if (!fits(set, set->slots * 2))
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

static inline bool before(struct cdp_hash128 a, struct cdp_hash128 b)
{
    return a.hi < b.hi || (a.hi == b.hi && a.lo < b.lo);
}

static int compare(const void *a, const void *b)
{
    const struct cdp_hash128 *x = a, *y = b;
    return before(*x, *y) ? -1 : before(*y, *x);
}

#define STRAYS                                                                                               \
    64 /* keys of the last slots that found a place at the front only, for which there is room aside */

/* Moves all hashes to the front, strays to the end.  False where they are too many and stay where they are. */
static bool close_up(struct cdp_set *set)
{
    struct cdp_hash128 *a = set->slot, stray[STRAYS];
    size_t first = 0, strays = 0, n = 0, aside = 0;
    for (; !empty(a[first]); first++)
        strays += cdp_set_home(set, a[first]) > first;
    for (size_t i = 0; i < set->slots; i++) {
        if (strays <= STRAYS && cdp_set_home(set, a[i]) > i)
            stray[aside++] = a[i];
        else if (!empty(a[i]))
            a[n++] = a[i];
    }
    if (aside)
        memcpy(a + n, stray, aside * sizeof *stray);
    return strays <= STRAYS;
}

/* A key stands less than a run of occupied slots away from where its order puts it, so inserting takes linear time, and no
 * memory. */
void cdp_set_sort(struct cdp_set *set)
{
    struct cdp_hash128 *a = set->slot;
    if (!close_up(set)) {
        qsort(a, set->used, sizeof *a, compare);
        return;
    }
    for (size_t i = 1; i < set->used; i++) {
        struct cdp_hash128 h = a[i];
        size_t at = i;
        for (; at > 0 && before(h, a[at - 1]); at--)
            a[at] = a[at - 1];
        a[at] = h;
    }
}
