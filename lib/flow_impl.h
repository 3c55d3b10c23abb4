/* flow_impl: what the files of flow share; nobody else includes it. */
#ifndef CDP_FLOW_IMPL_H
#define CDP_FLOW_IMPL_H

#include "lib/flow.h"
#include "lib/progress.h"

#include <pthread.h>
#include <stdatomic.h>

#define CDP_FLOW_THREADS 64 /* at most */
#define CDP_FLOW_BATCHES (2 * CDP_FLOW_THREADS)

/* What a thread has of its own. */
struct cdp_flow_thread {
    struct cdp_flow_private *run;
    struct cdp_memo *memo;
    struct cdp_val *fields;
    void *worker; /* of ops.worker_open, where there is no ops.apply */
};

struct cdp_flow_batches { /* linked by cdp_batch_private.next */
    struct cdp_batch *first, *last;
};

struct cdp_flow_side {
    const char *option, *path;
};

#define CDP_FLOW_SIDES 4 /* --rejects, --stats, and two of a tool's own */

struct cdp_flow_private {
    struct cdp_flow *flow;
    void *options;
    struct cdp_expr *where;
    struct cdp_out *rejects;
    struct cdp_flow_side side[CDP_FLOW_SIDES]; /* files beside the output */
    size_t sides;
    unsigned threads;
    struct cdp_progress progress;
    struct cdp_buf line; /* a reject or the stats, on its way out; used in turn only */

    /* of one cdp_flow_run */
    const struct cdp_flow_ops *ops;
    void *tool;
    struct cdp_in *in;
    uint64_t bytes_before; /* of earlier runs */
    uint32_t source;       /* of the last applied block, and the number of its next line */
    uint64_t line_no;

    pthread_mutex_t input; /* held while a block is read: `next` and `read_line` */
    uint64_t next;         /* number of the next block to be read */
    uint64_t read_line;    /* number of the line it begins with, where ops->block wants to know */

    pthread_mutex_t jobs;   /* of all that follows */
    pthread_cond_t changed; /* there may be a job for a thread that found none */
    unsigned sleepers;
    uint64_t turn;                             /* the block whose turn it is */
    struct cdp_batch *ready[CDP_FLOW_BATCHES]; /* scanned, by number modulo CDP_FLOW_BATCHES */
    struct cdp_flow_batches idle, applied;     /* to be filled; to be written */
    bool writing;                              /* a thread does that */
    bool ended;                                /* there is nothing more to read */
    atomic_bool stop;                          /* something failed; set under the lock, looked at without */
    struct cdp_err err;                        /* why */
};

struct cdp_flow_fault { /* a line that is rejected, or ends the run */
    uint32_t line;      /* in the block, from 1 */
    size_t byte;        /* in the line, from 1 */
    const char *rule;
    size_t message; /* offset in the batch's messages */
    const char *raw;
    size_t raw_len;
};

struct cdp_batch_private {
    struct cdp_flow_private *run;
    const struct cdp_flow_thread *thread; /* that scans it */
    struct cdp_expr_scratch *scratch;
    uint32_t *line_of; /* of each record, in the block from 1 */
    size_t line_cap, item_cap;
    struct cdp_flow_fault *reject;
    size_t rejects, reject_cap;
    struct cdp_buf messages;
    struct iovec *iov;
    size_t iovs, iov_cap;
    struct cdp_counts counts; /* of this block */
    bool bad;                 /* the block ends at a bad record: the last reject */
    bool late_rejects;        /* some came from apply */
    uint64_t seq;             /* the block's number in this run */
    int rc;                   /* < 0: reading or scanning it failed, as err says */
    struct cdp_err err;
    off_t at; /* where in the output its place is, or -1 */
    struct cdp_batch *next;
};

/* Is each of the side files one of its own? */
int cdp_flow_apart(const struct cdp_flow *f, struct cdp_err *err);

/* Validates the block's lines and hands its records to the tool.  In parallel. */
int cdp_flow_scan(struct cdp_batch *b, struct cdp_err *err);

/* Its turn: the tool's apply, counts, output and rejects. */
int cdp_flow_apply(struct cdp_batch *b, struct cdp_err *err);

/* The bytes of a line of `full` bytes without its end, "\n" or "\r\n". */
static inline size_t cdp_flow_line_length(const char *line, size_t full)
{
    size_t n = full - 1;
    return n && line[n - 1] == '\r' ? n - 1 : n;
}

/* Says where a record is at fault and ends the run: "source:line:byte: what" (byte 0: not known), exit 1.  Returns -1. */
int cdp_flow_at_fault(const char *source, uint64_t line, size_t byte, const char *what, struct cdp_err *err);

#endif
