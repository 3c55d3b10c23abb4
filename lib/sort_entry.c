/* sort_entry: see sort_entry.h.
 *
 * Multikey sort with eight cached bytes: entries are sorted by a 64-bit prefix; where prefixes are equal, the next eight key
 * bytes take their place and the group is sorted again (J. Bentley and R. Sedgewick, Fast algorithms for sorting and
 * searching strings, SODA 1997; caching: W.-K. Ng and K. Kakehi, 2007).  A key is so touched once for each eight bytes that
 * others share with it, and one outlier that shortens the common prefix costs one more round, not a comparison of keys
 * at every step.  The 64-bit sort is an in-place radix sort from the highest bit in which the group differs (P. McIlroy,
 * K. Bostic and M. D. McIlroy, Engineering radix sort, 1993), so that timestamps fill all 256 buckets.
 *
 * Memory: 4 KiB of stack for each of at most 9 radix levels; the depth of groups in groups is the binary logarithm of n,
 * because the largest group is sorted by iteration. */
#include "lib/sort_entry.h"

#include <stdbool.h>

#define LEAF 24 /* insertion sort by prefix */
#define FEW 12  /* insertion sort by whole keys */
#define AHEAD 12

static void insert_prefix(struct cdp_entry *e, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct cdp_entry x = e[i];
        size_t j = i;
        for (; j && e[j - 1].prefix > x.prefix; j--)
            e[j] = e[j - 1];
        e[j] = x;
    }
}

static void insert_whole(struct cdp_entry *e, size_t n, size_t same)
{
    for (size_t i = 1; i < n; i++) {
        struct cdp_entry x = e[i];
        size_t j = i;
        for (; j && cdp_entry_cmp(e[j - 1], x, same) > 0; j--)
            e[j] = e[j - 1];
        e[j] = x;
    }
}

/* Puts every entry into the bucket of its digit: cycles, each entry moved once. */
static void permute(struct cdp_entry *e, size_t *head, const size_t *end, unsigned shift)
{
    for (unsigned b = 0; b < 256; b++) {
        while (head[b] < end[b]) {
            struct cdp_entry x = e[head[b]];
            unsigned d = (unsigned)(x.prefix >> shift) & 255;
            while (d != b) {
                struct cdp_entry y = e[head[d]];
                e[head[d]++] = x;
                x = y;
                d = (unsigned)(x.prefix >> shift) & 255;
            }
            e[head[b]++] = x;
        }
    }
}

static void sort_prefix(struct cdp_entry *e, size_t n)
{
    if (n <= LEAF) {
        insert_prefix(e, n);
        return;
    }
    uint64_t differ = 0;
    bool sorted = true;
    for (size_t i = 1; i < n; i++) {
        differ |= e[i].prefix ^ e[0].prefix;
        sorted &= e[i - 1].prefix <= e[i].prefix;
    }
    if (sorted)
        return;
    unsigned bits = 64 - (unsigned)__builtin_clzll(differ), shift = bits > 8 ? bits - 8 : 0;
    size_t head[256] = {0}, end[256];
    for (size_t i = 0; i < n; i++)
        head[(e[i].prefix >> shift) & 255]++;
    size_t at = 0;
    for (unsigned b = 0; b < 256; b++) {
        size_t count = head[b];
        head[b] = at;
        end[b] = at += count;
    }
    permute(e, head, end, shift);
    if (shift == 0)
        return;
    for (unsigned b = 0; b < 256; b++) {
        size_t from = b ? end[b - 1] : 0;
        if (end[b] - from > 1)
            sort_prefix(e + from, end[b] - from);
    }
}

/* Caches the key bytes at `depth`.  False where no key reaches that far. */
static bool load_key(struct cdp_entry *e, size_t n, size_t depth)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch(cdp_entry_payload(e[i + AHEAD]) - 64);
        struct cdp_entry_head h = cdp_entry_head(e[i]);
        e[i].prefix = cdp_entry_prefix(cdp_entry_key(e[i], h), h.key_len, depth);
        any |= h.key_len > depth;
    }
    return any;
}

/* The end of the group of equal prefixes that begins at `from`. */
static size_t group_end(const struct cdp_entry *e, size_t n, size_t from)
{
    size_t to = from + 1;
    while (to < n && e[to].prefix == e[from].prefix)
        to++;
    return to;
}

/* Keys that are equal but for zeros at their ends: the shorter first, then by sequence number. */
static void sort_ends(struct cdp_entry *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        e[i].prefix = cdp_entry_head(e[i]).key_len;
    sort_prefix(e, n);
    for (size_t from = 0, to; from < n; from = to) {
        to = group_end(e, n, from);
        for (size_t i = from; i < to; i++)
            e[i].prefix = cdp_entry_head(e[i]).seq;
        sort_prefix(e + from, to - from);
    }
}

/* Sorts entries whose keys agree in their first `depth` bytes.  Leaves the prefixes as they fall. */
static void sort_group(struct cdp_entry *e, size_t n, size_t depth)
{
    while (n > FEW) {
        if (!load_key(e, n, depth)) {
            sort_ends(e, n);
            return;
        }
        sort_prefix(e, n);
        depth += 8;
        size_t largest = 0, largest_n = 0;
        for (size_t from = 0, to; from < n; from = to) {
            to = group_end(e, n, from);
            size_t other = from, other_n = to - from;
            if (other_n > largest_n) {
                other = largest;
                other_n = largest_n;
                largest = from;
                largest_n = to - from;
            }
            if (other_n > 1)
                sort_group(e + other, other_n, depth);
        }
        e += largest;
        n = largest_n;
    }
    if (n > 1)
        insert_whole(e, n, depth);
}

void cdp_entries_sort(struct cdp_entry *e, size_t n, size_t skip)
{
    load_key(e, n, skip);
    sort_prefix(e, n);
    for (size_t from = 0, to; from < n; from = to) {
        to = group_end(e, n, from);
        if (to - from == 1)
            continue;
        uint64_t prefix = e[from].prefix;
        sort_group(e + from, to - from, skip + 8);
        for (size_t i = from; i < to; i++)
            e[i].prefix = prefix;
    }
}

const struct cdp_entry *cdp_entries_bound(const struct cdp_entry *e, size_t n, const struct cdp_split *split,
                                          size_t skip)
{
    uint64_t prefix = cdp_entry_prefix(split->key, split->key_len, skip);
    while (n) {
        const struct cdp_entry *mid = e + n / 2;
        bool before = mid->prefix < prefix;
        if (mid->prefix == prefix) {
            struct cdp_entry_head h = cdp_entry_head(*mid);
            before = cdp_sort_cmp(cdp_entry_key(*mid, h), h.key_len, h.seq, split->key, split->key_len,
                                  split->seq, 0) < 0;
        }
        if (before) {
            e = mid + 1;
            n -= n / 2 + 1;
        } else {
            n /= 2;
        }
    }
    return e;
}
