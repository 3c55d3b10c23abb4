/* sort_entry: records in memory and the order among them (a part of sort).
 *
 * In memory a record is one run of bytes, key · head · payload, and an entry points at its payload: what gathering reads
 * lies together, and the key is touched only where the cached prefixes of two entries are equal. */
#ifndef CDP_SORT_ENTRY_H
#define CDP_SORT_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cdp_entry {
    uint64_t prefix; /* eight key bytes, big end first */
    uint64_t ref;    /* low 48 bits: the payload's address; high 16: its length, 65,535 for that or more */
};

struct cdp_entry_head {
    uint64_t seq;
    uint32_t key_len, len;
};

#define CDP_ENTRY_LONG 65535u

/* The bytes that a record takes beside its key and payload. */
#define CDP_ENTRY_COST (sizeof(struct cdp_entry) + sizeof(struct cdp_entry_head))

/* A place in the total order: splits lie between records. */
struct cdp_split {
    const unsigned char *key;
    uint64_t seq;
    uint32_t key_len;
};

static inline const char *cdp_entry_payload(struct cdp_entry e)
{
    return (const char *)(uintptr_t)(e.ref & 0xFFFFFFFFFFFFu);
}

static inline struct cdp_entry_head cdp_entry_head(struct cdp_entry e)
{
    struct cdp_entry_head h;
    memcpy(&h, cdp_entry_payload(e) - sizeof h, sizeof h);
    return h;
}

static inline const unsigned char *cdp_entry_key(struct cdp_entry e, struct cdp_entry_head h)
{
    return (const unsigned char *)cdp_entry_payload(e) - sizeof h - h.key_len;
}

/* Writes a record of key_len + sizeof(struct cdp_entry_head) + len bytes at `at`. */
static inline struct cdp_entry cdp_entry_make(char *at, const void *key, uint32_t key_len, uint64_t seq,
                                              const void *payload, uint32_t len)
{
    struct cdp_entry_head h = {seq, key_len, len};
    memcpy(at, key, key_len);
    memcpy(at + key_len, &h, sizeof h);
    char *to = at + key_len + sizeof h;
    memcpy(to, payload, len);
    uint64_t high = len < CDP_ENTRY_LONG ? len : CDP_ENTRY_LONG;
    return (struct cdp_entry){0, high << 48 | (uint64_t)(uintptr_t)to};
}

/* Eight bytes of a key from `at`, zeros where it ends. */
static inline uint64_t cdp_entry_prefix(const unsigned char *key, size_t len, size_t at)
{
    uint64_t v = 0;
    if (len >= at + 8)
        memcpy(&v, key + at, 8);
    else if (len > at)
        memcpy(&v, key + at, len - at);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* <0, 0, >0: by key, then by sequence number.  Both keys are known to agree in their first `same` bytes. */
static inline int cdp_sort_cmp(const unsigned char *a, size_t an, uint64_t aseq, const unsigned char *b,
                               size_t bn, uint64_t bseq, size_t same)
{
    size_t n = an < bn ? an : bn;
    int c = n > same ? memcmp(a + same, b + same, n - same) : 0;
    if (c)
        return c;
    if (an != bn)
        return an < bn ? -1 : 1;
    return aseq < bseq ? -1 : aseq > bseq;
}

/* Compares the whole records of two entries. */
static inline int cdp_entry_cmp(struct cdp_entry a, struct cdp_entry b, size_t same)
{
    struct cdp_entry_head ah = cdp_entry_head(a), bh = cdp_entry_head(b);
    return cdp_sort_cmp(cdp_entry_key(a, ah), ah.key_len, ah.seq, cdp_entry_key(b, bh), bh.key_len, bh.seq,
                        same);
}

/* Do the keys of two entries, with prefixes from the same place, equal each other? */
static inline bool cdp_entry_repeats(struct cdp_entry a, struct cdp_entry b)
{
    if (a.prefix != b.prefix)
        return false;
    struct cdp_entry_head ah = cdp_entry_head(a), bh = cdp_entry_head(b);
    return ah.key_len == bh.key_len && memcmp(cdp_entry_key(a, ah), cdp_entry_key(b, bh), ah.key_len) == 0;
}

/* Sorts entries by key, then sequence number, in place.  All keys agree in their first `skip` bytes; afterwards every
 * entry's prefix is that of its key at `skip`.  No allocation; less than 96 KiB of stack. */
void cdp_entries_sort(struct cdp_entry *e, size_t n, size_t skip);

/* The first of n sorted entries (prefixes at `skip`) that is not before the split. */
const struct cdp_entry *cdp_entries_bound(const struct cdp_entry *e, size_t n, const struct cdp_split *split,
                                          size_t skip);

#endif
