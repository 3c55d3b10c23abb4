/* sort_entry: records in memory and the order among them (a part of sort).
 *
 * In memory a record is one run of bytes, key · head · payload, and an entry points at its payload: what gathering reads
 * lies together, and the key is touched only where the cached prefixes of two entries are equal. */
#ifndef CDP_SORT_ENTRY_H
#define CDP_SORT_ENTRY_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cdp_entry {
    uint64_t prefix; /* of its key at some depth: see cdp_entry_prefix */
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

/* A prefix is CDP_ENTRY_STEP bytes of a key from a depth on, zeros where it ends, big end first, and in the lowest byte how many
 * there are; CDP_ENTRY_MORE if others follow.  Prefixes of one depth are ordered like keys that agree up to there, and
 * where two are equal and nothing follows, the keys are. */
#define CDP_ENTRY_STEP 7
#define CDP_ENTRY_MORE 8

static inline bool cdp_entry_ends(uint64_t prefix)
{
    return (prefix & 0xFF) != CDP_ENTRY_MORE;
}

/* n < 8 bytes, big end first, zeros behind. */
static inline uint64_t cdp_entry_few(const unsigned char *p, size_t n)
{
    if (n >= 4) {
        uint32_t front, back;
        memcpy(&front, p, 4);
        memcpy(&back, p + n - 4, 4);
        return (uint64_t)be32toh(front) << 32 | (uint64_t)be32toh(back) << (64 - 8 * n);
    }
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (56 - 8 * i);
    return v;
}

static inline uint64_t cdp_entry_prefix(const unsigned char *key, size_t len, size_t depth)
{
    size_t at = depth < len ? depth : len, left = len - at;
    if (left < CDP_ENTRY_MORE)
        return cdp_entry_few(key + at, left) | left;
    uint64_t v;
    memcpy(&v, key + at, sizeof v);
    return (be64toh(v) & ~UINT64_C(0xFF)) | CDP_ENTRY_MORE;
}

/* The same of a record in memory, without a branch: behind its key its head can be read. */
static inline uint64_t cdp_entry_prefix_at(struct cdp_entry e, size_t depth)
{
    struct cdp_entry_head h = cdp_entry_head(e);
    size_t at = depth < h.key_len ? depth : h.key_len, left = h.key_len - at;
    size_t bytes = left < CDP_ENTRY_STEP ? left : CDP_ENTRY_STEP;
    uint64_t v;
    memcpy(&v, cdp_entry_key(e, h) + at, sizeof v);
    return (be64toh(v) & ~(UINT64_MAX >> 8 * bytes)) | (left < CDP_ENTRY_MORE ? left : CDP_ENTRY_MORE);
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

/* Sets the prefixes: those at `depth`. */
void cdp_entries_load(struct cdp_entry *e, size_t n, size_t depth);

/* Sorts entries by key, then sequence number, in place.  All keys agree in their first `skip` bytes, and the prefixes are
 * those at `skip`, before and after.  placed: records of one key lie in memory in the order of their sequence numbers,
 * which then need not be looked at.  No allocation; less than 96 KiB of stack. */
void cdp_entries_sort(struct cdp_entry *e, size_t n, size_t skip, bool placed);

/* The first of n sorted entries (prefixes at `skip`) that is not before the split. */
const struct cdp_entry *cdp_entries_bound(const struct cdp_entry *e, size_t n, const struct cdp_split *split,
                                          size_t skip);

#endif
