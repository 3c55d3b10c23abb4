/* scan_plan: what scan.c and its compilations share; nobody else includes it. */
#ifndef CDP_SCAN_PLAN_H
#define CDP_SCAN_PLAN_H

#include "lib/scan.h"

/* A place in the trie of wanted paths. */
struct cdp_node {
    int slot;         /* where the value's span goes; -1: only passed through */
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

typedef const char *cdp_scan_fn(const struct cdp_plan *plan, const char *p, struct cdp_val *fields,
                                struct cdp_scan_fault *fault);

cdp_scan_fn cdp_scan_line_base;
#if defined(__x86_64__)
cdp_scan_fn cdp_scan_line_avx2;
#endif
extern const char *const cdp_scan_base_name;

#endif
