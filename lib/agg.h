/* agg: aggregate functions with exact, mergeable states, by groups.
 *
 * An aggregate is written `[NAME=]FUNC(ARGS) [where EXPR]` (the functions are in cdp-agg(1)), a group key `[NAME=]EXPR`.  No
 * state depends on the order of records, on how they were split over threads and processes, or on what was spilled: a sum is
 * the exact sum, a tie is broken by value, of equal values in several spellings the bytewise least is shown.
 *
 * Life: cdp_agg_new · cdp_agg_by and cdp_agg_add for each key and aggregate · cdp_agg_start · a worker for each thread ·
 * cdp_agg_record for each record, and cdp_agg_flush (or, with `sorted`, cdp_agg_stream in input order) before the block's
 * bytes go · workers freed · cdp_agg_finish · cdp_agg_free.
 *
 * Memory: a group costs its key, 8 bytes, 16 bytes or less of index, and its states; count_distinct 16 to 43 bytes a
 * distinct value, top, mode, histogram and quantiles a record for each value or bin.  Past opts.memory, tables are written
 * to temporary files and merged at the end. */
#ifndef CDP_AGG_H
#define CDP_AGG_H

#include "lib/flow.h"
#include "lib/out.h"
#include "lib/time.h"

struct cdp_agg;
struct cdp_agg_worker;

struct cdp_agg_opts {
    bool partial;                /* write mergeable states instead of results */
    bool merge;                  /* records are such states */
    bool sorted;                 /* records come in the order of their group keys: constant memory */
    const struct cdp_zone *zone; /* for day() and its like; NULL: UTC */
    uint64_t memory;             /* bytes before spilling */
    const char *tmpdir;          /* must outlive the aggregation */
    unsigned threads;            /* workers at the same time, and threads of cdp_agg_finish */
};

/* Is this an aggregate, rather than a file's name? */
bool cdp_agg_operand(const char *text);

/* NULL and *err where memory ran out.  plan is where the paths go; it must outlive the aggregation. */
struct cdp_agg *cdp_agg_new(const struct cdp_agg_opts *opts, struct cdp_plan *plan, struct cdp_err *err);

/* A group key; an aggregate.  -1 with exit status 2 and the place in the message. */
int cdp_agg_by(struct cdp_agg *a, const char *text, struct cdp_err *err);
int cdp_agg_add(struct cdp_agg *a, const char *text, struct cdp_err *err);

/* Ends the list of keys and aggregates. */
int cdp_agg_start(struct cdp_agg *a, struct cdp_err *err);

/* A thread's working memory.  Free it after its last flush. */
struct cdp_agg_worker *cdp_agg_worker_new(struct cdp_agg *a, struct cdp_err *err);
void cdp_agg_worker_free(struct cdp_agg_worker *w);

/* Takes a record in: CDP_REC_KEEP, CDP_REC_REJECT with *err saying why it cannot be used (nothing of it is counted), or -1.
 * In parallel with other workers.  Its bytes and the scratch are used until the next cdp_agg_flush. */
int cdp_agg_record(struct cdp_agg_worker *w, const struct cdp_rec *r, struct cdp_err *err);

/* Brings what was taken in into the table: the worker holds on to no record's bytes afterwards.  In parallel. */
int cdp_agg_flush(struct cdp_agg_worker *w, struct cdp_err *err);

/* The same with `sorted`, for one worker after the other in input order: appends the rows of the groups that have ended to
 * *rows.  A record whose key is less than the one before it is an error of exit status 1, and *bad is its index. */
int cdp_agg_stream(struct cdp_agg_worker *w, struct cdp_buf *rows, uint32_t *bad, struct cdp_err *err);

/* Writes the rows, one JSON object a group in the order of the group keys.  Nobody else may use out meanwhile. */
int cdp_agg_finish(struct cdp_agg *a, struct cdp_out *out, struct cdp_err *err);

/* Frees all, temporary files included.  NULL is allowed. */
void cdp_agg_free(struct cdp_agg *a);

#endif
