/* scan_plan: what scan.c and its compilations share; nobody else includes it. */
#ifndef CDP_SCAN_PLAN_H
#define CDP_SCAN_PLAN_H

#include "lib/scan.h"

/* A place in the trie of wanted paths. */
struct cdp_node {
    int slot;         /* where the value's span goes; -1: only passed through */
    bool counts;      /* has a slot, or nodes with one under it */
    uint64_t lengths; /* bit (length & 63) is set for each key below: most keys are told apart by it alone */
    struct cdp_edge *edge;
    size_t edges;
    struct cdp_node **below; /* nodes with a slot under this one, itself not included */
    size_t belows;
};

struct cdp_edge {
    uint64_t head, mask; /* the key's first 8 bytes, and which of them count */
    char *key;           /* decoded; NULL: an array index */
    uint32_t len, index;
    struct cdp_node *to;
};

struct cdp_plan {
    struct cdp_node root;
    size_t width;
};

#define CDP_MEMO_TEXT 32  /* bytes of a remembered key with its comma, quotes and colon, at most */
#define CDP_MEMO_KEYS 256 /* a power of two */
#define CDP_MEMO_WAYS 4   /* places that a key may have */

/* Behind what a key stands: one without a comma is none behind a value.  Low bits beside a node's address; a key that is not
 * remembered has place 0, and where none can stand, the place is NOWHERE. */
enum { CDP_MEMO_BRACE = 1, CDP_MEMO_VALUE = 2, CDP_MEMO_NOWHERE = 3 };

static inline uintptr_t cdp_memo_place(const struct cdp_node *in, uintptr_t behind)
{
    return (uintptr_t)in | behind;
}

/* A key as it stood in a line: the text from the value before it (or from the brace) up to its own value. */
struct cdp_memo_key {
    char text[CDP_MEMO_TEXT];
    uint32_t mask;   /* a bit for each byte of the text */
    uint8_t len;     /* of the text; 0: no key */
    uint8_t value;   /* length of the string that was its last value, without the quotes; its lowest 8 bits */
    uint8_t again;   /* a bit for each of its last strings, the latest lowest: as long as the one before? */
    uintptr_t place; /* the object's node, and behind what the text stands in it: cdp_memo_place */
    const struct cdp_node *want;  /* of the value */
    struct cdp_memo_key *next[2]; /* what came after it last, and before that */
};

struct cdp_memo {
    struct cdp_memo_key first; /* stands for a line's beginning */
    struct cdp_memo_key key[CDP_MEMO_KEYS];
    uint64_t lines;   /* scanned */
    uint64_t poor_at; /* the last of them that was poor, see scan.c */
    uint32_t poor;    /* how many were shortly before it */
    uint32_t missed;  /* keys of this line that were not foretold */
    uint32_t rest;    /* lines to scan without the memory */
};

/* memo may be NULL. */
typedef const char *cdp_scan_fn(const struct cdp_plan *plan, struct cdp_memo *memo, const char *p,
                                struct cdp_val *fields, struct cdp_scan_fault *fault);

cdp_scan_fn cdp_scan_line_base;
#if defined(__x86_64__)
cdp_scan_fn cdp_scan_line_avx2;
#endif
extern const char *const cdp_scan_base_name;

#endif
