/* sort_tree: a loser tree (D. E. Knuth, The Art of Computer Programming, vol. 3, 5.4.1): merges k sorted sources with
 * log2 k comparisons a record (a part of sort).
 *
 * Leaves are numbered 0 … k-1.  The owner keeps their heads and tells the tree each head's 64-bit prefix; heads with equal
 * prefixes are compared by a call.  k is at least 1. */
#ifndef CDP_SORT_TREE_H
#define CDP_SORT_TREE_H

#include "lib/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct cdp_tree {
    uint32_t k;
    uint32_t *node;   /* [0] the winner, [1 … k-1] who lost there, then k of scratch */
    uint64_t *prefix; /* of each leaf's head */
    bool *done;       /* the leaf is used up: it comes after all others */
    /* Does the head of leaf a come before that of leaf b, their prefixes being equal? */
    bool (*before)(const void *owner, uint32_t a, uint32_t b);
    const void *owner;
};

static inline void cdp_tree_free(struct cdp_tree *t)
{
    free(t->node);
    free(t->prefix);
    free(t->done);
    *t = (struct cdp_tree){0};
}

/* Memory for k leaves.  The caller then sets prefix[i] or done[i] of each and calls cdp_tree_build. */
static inline int cdp_tree_init(struct cdp_tree *t, uint32_t k,
                                bool (*before)(const void *owner, uint32_t a, uint32_t b), const void *owner,
                                struct cdp_err *err)
{
    *t = (struct cdp_tree){.k = k, .before = before, .owner = owner};
    t->node = (uint32_t *)cdp_mem_zalloc(2 * (size_t)k, sizeof *t->node, err);
    t->prefix = (uint64_t *)cdp_mem_zalloc(k, sizeof *t->prefix, err);
    t->done = (bool *)cdp_mem_zalloc(k, sizeof *t->done, err);
    if (t->node && t->prefix && t->done)
        return 0;
    cdp_tree_free(t);
    return -1;
}

static inline bool cdp_tree_before(const struct cdp_tree *t, uint32_t a, uint32_t b)
{
    if (t->prefix[a] != t->prefix[b])
        return t->prefix[a] < t->prefix[b];
    if (t->done[a] || t->done[b])
        return !t->done[a];
    return t->before(t->owner, a, b);
}

static inline void cdp_tree_build(struct cdp_tree *t)
{
    uint32_t *winner = t->node + t->k; /* of the nodes k … 2k-1: the leaves themselves */
    for (uint32_t i = 0; i < t->k; i++)
        winner[i] = i;
    if (t->k == 1) {
        t->node[0] = 0;
        return;
    }
    /* Node i's winner stands in node[i] until its parent has been played; then the loser takes its place. */
    for (uint32_t i = t->k - 1; i >= 1; i--) {
        uint32_t a = t->node[2 * i], b = t->node[2 * i + 1];
        t->node[i] = cdp_tree_before(t, b, a) ? b : a;
    }
    t->node[0] = t->node[1];
    for (uint32_t i = 1; i < t->k; i++) {
        uint32_t a = t->node[2 * i], b = t->node[2 * i + 1];
        t->node[i] = t->node[i] == a ? b : a;
    }
}

/* The leaf whose head comes first; check done[] for the end of all. */
static inline uint32_t cdp_tree_top(const struct cdp_tree *t)
{
    return t->node[0];
}

/* The top leaf has a new head (prefix[] is set), or none. */
static inline void cdp_tree_replay(struct cdp_tree *t)
{
    uint32_t leaf = t->node[0];
    for (uint32_t i = (leaf + t->k) / 2; i >= 1; i /= 2) {
        uint32_t other = t->node[i];
        if (cdp_tree_before(t, other, leaf)) {
            t->node[i] = leaf;
            leaf = other;
        }
    }
    t->node[0] = leaf;
}

/* Marks the top leaf as used up and replays. */
static inline void cdp_tree_end(struct cdp_tree *t)
{
    t->done[t->node[0]] = true;
    t->prefix[t->node[0]] = UINT64_MAX;
    cdp_tree_replay(t);
}

#endif
