/* sort_entry: see sort_entry.h.
 *
 * Multikey sort with cached key bytes: entries are sorted by a 64-bit prefix; where prefixes are equal, the next key bytes
 * take their place and the group is sorted again (J. Bentley and R. Sedgewick, Fast algorithms for sorting and
 * searching strings, SODA 1997; caching: W.-K. Ng and K. Kakehi, 2007).  A key is so touched once for each prefix that
 * others share with it, and one outlier that shortens the common prefix costs one more round, not a comparison of keys
 * at every step.
 *
 * The 64-bit sort is a radix sort whose digits are made of those bits alone in which the group differs, the highest first:
 * keys are mostly ASCII, where half of the bits are the same in all digits.  A group of up to SMALL entries is spread by
 * two digits at once, the lower first, to the stack and back, without a branch that depends on a key.  A larger one is
 * permuted in place by one (P. McIlroy, K. Bostic and M. D. McIlroy, Engineering radix sort, 1993), by swaps that do not
 * wait for each other.
 *
 * Memory: 72 KiB of stack while a small group is spread, and 240 bytes for each of at most 22 levels of digits; the
 * depth of groups in groups is the binary logarithm of n, because the largest group is sorted by iteration. */
#include "lib/sort_entry.h"

#include <stdbool.h>

#define LEAF 24       /* insertion sort by prefix */
#define FEW 3         /* insertion sort by whole keys */
#define SMALL 4096    /* spread by way of the stack: 64 KiB */
#define SMALL_BITS 11 /* of a digit of a small group, at most */
#define LARGE_BITS 8  /* of a digit of a large group; more of them were not faster */
#define RUNS 3        /* of adjacent bits in a digit */
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

/* A digit: up to RUNS runs of adjacent bits of a prefix, moved together. */
struct digit {
    uint64_t mask[RUNS];
    unsigned shift[RUNS], bits;
};

static inline unsigned digit_of(const struct digit *d, uint64_t prefix)
{
    uint64_t v = 0;
    for (unsigned r = 0; r < RUNS; r++)
        v |= prefix >> d->shift[r] & d->mask[r];
    return (unsigned)v;
}

/* Takes the highest set bits, at most `most`, out of *bits, for a digit. */
static struct digit take_digit(uint64_t *bits, unsigned most)
{
    struct digit d = {0};
    unsigned low[RUNS], len[RUNS], runs = 0;
    for (; runs < RUNS && *bits && d.bits < most; runs++) {
        unsigned above = (unsigned)__builtin_clzll(*bits);
        uint64_t gaps = ~(*bits << above);
        unsigned ones = gaps ? (unsigned)__builtin_clzll(gaps) : 64;
        len[runs] = ones < most - d.bits ? ones : most - d.bits;
        low[runs] = 64 - above - len[runs];
        *bits &= (UINT64_C(1) << low[runs]) - 1;
        d.bits += len[runs];
    }
    unsigned at = d.bits;
    for (unsigned r = 0; r < runs; r++) {
        at -= len[r];
        d.mask[r] = ((UINT64_C(1) << len[r]) - 1) << at;
        d.shift[r] = low[r] - at;
    }
    return d;
}

/* Puts every entry into the bucket of its digit, in place.  Not inlined, so that recursion does not keep its stack. */
__attribute__((noinline)) static void permute(struct cdp_entry *e, size_t n, struct digit digit)
{
    size_t head[1 << LARGE_BITS] = {0}, end[1 << LARGE_BITS], at = 0;
    for (size_t i = 0; i < n; i++)
        head[digit_of(&digit, e[i].prefix)]++;
    for (size_t b = 0; b < 1 << LARGE_BITS; b++) {
        size_t count = head[b];
        head[b] = at;
        end[b] = at += count;
    }
    for (size_t b = 0; b < 1 << LARGE_BITS; b++)
        while (head[b] < end[b])
            for (size_t i = head[b]; i < end[b]; i++) {
                struct cdp_entry x = e[i];
                size_t to = head[digit_of(&digit, x.prefix)]++;
                e[i] = e[to];
                e[to] = x;
            }
}

/* Turns counts into where each bucket begins. */
static void add_up(uint16_t *count, unsigned bits)
{
    unsigned at = 0;
    for (size_t b = 0; b < (size_t)1 << bits; b++) {
        unsigned n = count[b];
        count[b] = (uint16_t)at;
        at += n;
    }
}

/* Sorts up to SMALL entries by two digits.  Not inlined, as above. */
__attribute__((noinline)) static void spread(struct cdp_entry *e, size_t n, struct digit high,
                                             struct digit low)
{
    struct cdp_entry aside[SMALL];
    uint16_t by_high[1 << SMALL_BITS], by_low[1 << SMALL_BITS];
    memset(by_high, 0, sizeof *by_high << high.bits);
    memset(by_low, 0, sizeof *by_low << low.bits);
    for (size_t i = 0; i < n; i++) {
        by_high[digit_of(&high, e[i].prefix)]++;
        by_low[digit_of(&low, e[i].prefix)]++;
    }
    add_up(by_high, high.bits);
    add_up(by_low, low.bits);
    for (size_t i = 0; i < n; i++)
        aside[by_low[digit_of(&low, e[i].prefix)]++] = e[i];
    for (size_t i = 0; i < n; i++)
        e[by_high[digit_of(&high, aside[i].prefix)]++] = aside[i];
}

/* The end of the group that begins at `from`, of prefixes that are equal in these bits. */
static size_t group_end(const struct cdp_entry *e, size_t n, size_t from, uint64_t bits)
{
    size_t to = from + 1;
    while (to < n && ((e[to].prefix ^ e[from].prefix) & bits) == 0)
        to++;
    return to;
}

static void sort_prefix(struct cdp_entry *e, size_t n)
{
    if (n <= LEAF) {
        insert_prefix(e, n);
        return;
    }
    size_t sorted = 1;
    while (sorted < n && e[sorted - 1].prefix <= e[sorted].prefix)
        sorted++;
    if (sorted == n)
        return;
    uint64_t differ = 0;
    for (size_t i = 1; i < n; i++)
        differ |= e[i].prefix ^ e[0].prefix;
    uint64_t left = differ;
    if (n <= SMALL) {
        unsigned most = 64 - (unsigned)__builtin_clzll(n);
        most = most < SMALL_BITS ? most : SMALL_BITS;
        struct digit high = take_digit(&left, most), low = take_digit(&left, most);
        spread(e, n, high, low);
    } else {
        permute(e, n, take_digit(&left, LARGE_BITS));
    }
    if (!left)
        return;
    for (size_t from = 0, to; from < n; from = to) {
        to = group_end(e, n, from, differ ^ left);
        if (to - from > 1)
            sort_prefix(e + from, to - from);
    }
}

/* Sets the prefixes.  As many entries as `after` follow these and may be the next whose keys are wanted. */
static void load_keys(struct cdp_entry *e, size_t n, size_t after, size_t depth)
{
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n + after) { /* the end of its key, and its head */
            __builtin_prefetch(cdp_entry_payload(e[i + AHEAD]) - 64);
            __builtin_prefetch(cdp_entry_payload(e[i + AHEAD]) - sizeof(struct cdp_entry_head));
        }
        e[i].prefix = cdp_entry_prefix_at(e[i], depth);
    }
}

/* Sorts entries of one key.  Leaves the prefixes as they fall. */
static void sort_equal(struct cdp_entry *e, size_t n, bool placed)
{
    for (size_t i = 0; i < n; i++)
        e[i].prefix = placed ? (uint64_t)(uintptr_t)cdp_entry_payload(e[i]) : cdp_entry_head(e[i]).seq;
    sort_prefix(e, n);
}

/* Sorts entries whose keys agree in their first `depth` bytes; `after` as above.  Leaves the prefixes as they fall. */
static void sort_group(struct cdp_entry *e, size_t n, size_t after, size_t depth, bool placed)
{
    while (n > FEW) {
        load_keys(e, n, after, depth);
        sort_prefix(e, n);
        depth += CDP_ENTRY_STEP;
        size_t largest = 0, largest_n = 0;
        for (size_t from = 0, to; from < n; from = to) {
            to = group_end(e, n, from, UINT64_MAX);
            size_t other = from, other_n = to - from;
            if (other_n > 1 && cdp_entry_ends(e[from].prefix)) {
                sort_equal(e + from, other_n, placed);
                continue;
            }
            if (other_n > largest_n) {
                other = largest;
                other_n = largest_n;
                largest = from;
                largest_n = to - from;
            }
            if (other_n > 1)
                sort_group(e + other, other_n, 0, depth, placed);
        }
        e += largest;
        n = largest_n;
        after = 0;
    }
    if (n > 1)
        insert_whole(e, n, depth);
}

void cdp_entries_load(struct cdp_entry *e, size_t n, size_t depth)
{
    load_keys(e, n, 0, depth);
}

void cdp_entries_sort(struct cdp_entry *e, size_t n, size_t skip, bool placed)
{
    sort_prefix(e, n);
    for (size_t from = 0, to; from < n; from = to) {
        to = group_end(e, n, from, UINT64_MAX);
        if (to - from == 1)
            continue;
        uint64_t prefix = e[from].prefix;
        if (cdp_entry_ends(prefix))
            sort_equal(e + from, to - from, placed);
        else
            sort_group(e + from, to - from, n - to, skip + CDP_ENTRY_STEP, placed);
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
