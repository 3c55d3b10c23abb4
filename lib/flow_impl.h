/* flow_impl: what the files of flow share; nobody else includes it. */
#ifndef CDP_FLOW_IMPL_H
#define CDP_FLOW_IMPL_H

#include "lib/flow.h"
#include "lib/progress.h"

#include <pthread.h>
#include <stdatomic.h>

#define CDP_FLOW_THREADS 64 /* at most */

struct cdp_flow_private {
    struct cdp_flow *flow;
    void *options;
    struct cdp_expr *where;
    struct cdp_out *rejects;
    unsigned threads;
    struct cdp_progress progress;
    struct cdp_buf line; /* a reject or the stats, on its way out; used in turn only */

    /* of one cdp_flow_run */
    const struct cdp_flow_ops *ops;
    void *tool;
    struct cdp_in *in;
    pthread_mutex_t input, turns;
    pthread_cond_t turned;
    _Atomic uint64_t turn; /* the block whose turn it is */
    uint64_t next;         /* number of the next block to be read; under `input` */
    uint64_t bytes_before; /* of earlier runs */
    uint64_t read_line; /* number of the line it begins with, where ops->block wants to know; under `input` */
    atomic_bool stop;
    struct cdp_err err; /* why; under `turns` */
    uint32_t source;    /* of the last applied block, and the number of its next line */
    uint64_t line_no;
};

/* The bytes of a line of `full` bytes without its end, "\n" or "\r\n". */
static inline size_t cdp_flow_line_length(const char *line, size_t full)
{
    size_t n = full - 1;
    return n && line[n - 1] == '\r' ? n - 1 : n;
}

/* Says where a record is at fault and ends the run: "source:line:byte: what" (byte 0: not known), exit 1.  Returns -1. */
int cdp_flow_at_fault(const char *source, uint64_t line, size_t byte, const char *what, struct cdp_err *err);

#endif
