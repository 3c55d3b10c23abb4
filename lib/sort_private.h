/* sort_private: what the parts of sort share. */
#ifndef CDP_SORT_PRIVATE_H
#define CDP_SORT_PRIVATE_H

#include "lib/sort.h"
#include "lib/sort_entry.h"
#include "lib/sort_merge.h"
#include "lib/sort_run.h"

#include <pthread.h>
#include <stdatomic.h>

#define CDP_SORT_MAX_THREADS 64
#define CDP_SORT_MAX_FAN 128   /* runs merged in one go while more are coming */
#define CDP_SORT_REFERENCE 256 /* a common prefix is followed this far */

struct cdp_feed {
    _Alignas(CDP_APART) char *base; /* records, [0, used) */
    struct cdp_entry *entry;        /* n of them */
    size_t cap, used;               /* records and entries together may take cap */
    size_t base_size, entry_size;
    size_t n;
    unsigned epoch;
    uint64_t added;
    size_t common; /* bytes that all keys so far share with the first one; prefixes are those behind them */
    uint64_t last; /* the sequence number of the record before */
    bool placed;   /* they have ascended so far, and so do addresses */
    unsigned char reference[CDP_SORT_REFERENCE];
    struct cdp_run_policy policy;
};

struct cdp_sort {
    struct cdp_sort_opts opts;
    size_t frame, fan, points; /* of runs */
    size_t gather;             /* bytes of a thread's output buffer while writing from memory */
    struct cdp_feed *feed;
    atomic_uint epoch;
    pthread_mutex_t lock; /* of the runs and the numbers below */
    struct cdp_run **run;
    size_t runs, run_cap;
    struct cdp_sort_stats stats;

    /* after cdp_sort_finish */
    struct cdp_slice *slice;
    size_t slices;
    size_t skip;           /* key bytes that all records share */
    struct cdp_merge *all; /* of cdp_sort_next */
};

/* Threads that share out work among them by counting `next` up. */
struct cdp_team {
    struct cdp_sort *sort;
    int (*work)(struct cdp_team *team, struct cdp_err *err);
    void *job;
    atomic_size_t next;
    pthread_mutex_t lock; /* of the members below */
    atomic_bool failed;
    struct cdp_err err;
};

/* Runs `work` on this many threads, the caller's among them.  0, or -1 and the first error. */
int cdp_team_run(struct cdp_sort *s, unsigned threads, int (*work)(struct cdp_team *, struct cdp_err *),
                 void *job, struct cdp_err *err);

static inline size_t cdp_sort_clamp(size_t v, size_t low, size_t high)
{
    return v < low ? low : v > high ? high : v;
}

#endif
