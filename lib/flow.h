/* flow: the record loop that every tool runs.
 *
 * A block of whole lines is read, scanned on any thread (every line validated, the wanted fields extracted, --where applied,
 * the tool's record function called), applied when all lower-numbered blocks are (the tool's apply function), and what it
 * emitted is written; to a regular file outside the turn, while the next ones are applied.  Threads take whichever of these
 * is to be done next (flow_work.c).  Output is flushed before a read that would wait. */
#ifndef CDP_FLOW_H
#define CDP_FLOW_H

#include "lib/expr.h"
#include "lib/in.h"
#include "lib/mem.h"
#include "lib/opt.h"
#include "lib/out.h"
#include "lib/scan.h"

#include <sys/uio.h>

struct cdp_counts {
    uint64_t in, out, dropped, rejected, blank;
    uint64_t bytes_in, bytes_out;
};

/* One line, as the tool's record function sees it. */
struct cdp_rec {
    const char *line; /* valid until the batch is done */
    size_t len;       /* without the line's end */
    size_t full;      /* with it ("\n" or "\r\n") */
    const struct cdp_val
        *fields; /* of the plan; valid during the call only (what they point at: until the batch is done) */
    struct cdp_expr_scratch
        *scratch; /* reset before each batch: values made with it live until the batch is done */
    void *
        item; /* the next of the batch's items, to be filled: counts if the verdict is keep; what was added to the batch's
                   bytes goes with it otherwise */
    uint32_t index; /* 0, 1, … among the batch's records for which record was called */
};

/* A block on its way.  Tools read these members only. */
struct cdp_batch {
    _Alignas(CDP_APART) struct cdp_flow *flow;
    void *worker; /* the tool's, see worker_open */
    struct cdp_block block;
    uint64_t lines;      /* lines of the block, blank and bad ones included */
    uint64_t first_line; /* number of its first line in its source, from 1; known from apply on */
    uint32_t records;    /* for which record said keep, drop or reject */
    void *item;          /* array of ops.item_size each: of the records kept, in order */
    size_t items;
    struct cdp_buf bytes; /* what items point into (by offset: it moves); empty at a block's begin */
    struct cdp_batch_private *priv;
};

enum cdp_verdict { CDP_REC_KEEP = 0, CDP_REC_DROP = 1, CDP_REC_REJECT = 2 /* *err says why; or -1: fatal */ };

struct cdp_flow_ops {
    /* Bytes of what record keeps of a record for apply; 0: nothing.  See cdp_batch.item. */
    size_t item_size;
    /* State for the functions below (arrays that grow, scratch): one for each batch, so that apply finds what begin, record
     * and end have left in it; in a tool without apply one for each thread.  NULL functions are skipped. */
    int (*worker_open)(void *tool, void **worker, struct cdp_err *err);
    void (*worker_close)(void *tool, void *worker);
    /* A block begins: empty the worker's arrays.  In parallel. */
    int (*begin)(void *tool, struct cdp_batch *b, struct cdp_err *err);
    /* In place of the scan, record and --where: all lines of the block as they are, blank and bad ones, too; first_line is
     * known and lines counted.  In parallel with other blocks. */
    int (*block)(void *tool, struct cdp_batch *b, struct cdp_err *err);
    /* With block: how operands are opened and which of their streams are read; over-long lines come in pieces.  See
     * lib/in.h; the argument is the tool. */
    struct cdp_arc *(*open)(void *tool, size_t i, struct cdp_err *err);
    bool (*want)(void *tool, size_t i, const char *name, bool plain);
    /* One good record, in order within the block; in parallel with other blocks.  Returns a cdp_verdict or -1. */
    int (*record)(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err);
    /* The block's last record was given.  In parallel with other blocks. */
    int (*end)(void *tool, struct cdp_batch *b, struct cdp_err *err);
    /* The block's turn: blocks come here in input order, one at a time.  May emit. */
    int (*apply)(void *tool, struct cdp_batch *b, struct cdp_err *err);
    /* The turn is passed: what the block's turn left to do that needs no order.  In parallel. */
    int (*after)(void *tool, struct cdp_batch *b, struct cdp_err *err);
    /* The input pauses and all blocks so far are applied: let go of what is held back only for speed (a side output's
     * buffer).  The main output is flushed by flow itself. */
    int (*idle)(void *tool, struct cdp_err *err);
    bool
        every; /* --where does not choose among these records: they are no part of the stream (a dataset to compare with) */
};

/* What a tool is made of while it runs: options, plan, where, outputs, counts.  One per process. */
struct cdp_flow {
    const struct cdp_tool *tool;
    struct cdp_common *common;
    struct cdp_plan *plan;
    struct cdp_out *out; /* standard output or -o */
    struct cdp_flow_private *priv;
    /* `out` and `dropped` are the tool's to count, except what emit and where do. */
    _Alignas(CDP_APART) struct cdp_counts counts;
};

/* Everything between main's first line and the tool's own work: program name, options, signals, hash seed, the plan,
 * --where, the outputs.  1 go on, 0 done (--help), -1 and *err.  options begins with a struct cdp_common. */
int cdp_flow_begin(struct cdp_flow *f, const struct cdp_tool *tool, int argc, char **argv, void *options,
                   struct cdp_err *err);

/* Tells, before cdp_flow_open, of a file that the tool itself writes besides, at most two; NULL: none.  cdp_flow_open refuses
 * one that is the output or another side file, and cdp_flow_inputs one that is an input. */
void cdp_flow_side(struct cdp_flow *f, const char *option, const char *path);

/* Opens -o, --rejects and --stats; call when the tool's own options are known to be good, before the first run.  A tool
 * that writes its data elsewhere does not need standard output but may call this all the same. */
int cdp_flow_open(struct cdp_flow *f, struct cdp_err *err);

/* May these inputs be read ("-" and none are standard input)?  0, or -1 and *err (exit 2) where one is a file that the run
 * writes, so that it might never end, or be lost: the output, --rejects, a side file; but not -o, which is replaced when all
 * is read, nor --stats, which gets its line then.  cdp_flow_run and cdp_flow_reader ask. */
int cdp_flow_inputs(const struct cdp_flow *f, const char *const *name, size_t n, struct cdp_err *err);

/* Runs ops over the given operands (NULL: the command line's).  May be called several times, with other operands and ops
 * but the same plan.  Returns 0, or -1 and *err: a bad record without --rejects is exit 1 with "file:line:byte: what" as
 * the message, after all records before it were applied. */
int cdp_flow_run(struct cdp_flow *f, const struct cdp_flow_ops *ops, void *tool, const char *const *operands,
                 size_t n, struct cdp_err *err);

/* Are there no more rejects than --max-rejects allows?  0, or -1 and *err.  cdp_flow_end asks; a tool that puts data
 * elsewhere than to the flow's output asks before it does so for good. */
int cdp_flow_judge(const struct cdp_flow *f, struct cdp_err *err);

/* Ends the run: closes the outputs (only on success do they appear), writes --stats and the closing remark on rejects,
 * judges --max-rejects.  rc < 0 is a failed run with *err.  Returns the process's exit status, having printed what there
 * is to say.  Frees f and what it owns and calls cdp_opt_free. */
int cdp_flow_end(struct cdp_flow *f, int rc, struct cdp_err *err);

/* --- for record and apply --- */

/* Sends bytes to the output after this batch's turn, in order.  They must stay valid until the batch is done: the block's
 * own lines, or memory of the batch's worker that is reused only in the next begin.  Adjacent runs are joined.  Call it from
 * record or from apply, not from both in one tool.  records is how many records these bytes are, for the counts; n may be 0,
 * where a tool only counts. */
int cdp_batch_emit(struct cdp_batch *b, const char *p, size_t n, uint64_t records, struct cdp_err *err);

/* Rejects a record from apply (record just returns CDP_REC_REJECT); raw must stay valid until the batch is done. */
int cdp_batch_reject(struct cdp_batch *b, uint32_t index, const char *rule, const char *error,
                     const char *raw, size_t n, struct cdp_err *err);

/* Rejects a record that a reader gave.  line_no counts from 1 in its source; byte, too, 0 where no one byte is at
 * fault. */
int cdp_flow_reject(struct cdp_flow *f, const char *source, uint64_t line_no, size_t byte, const char *rule,
                    const char *error, const char *raw, size_t n, struct cdp_err *err);

/* Line number within the block (from 1) of a record given to `record`, for messages from apply: first_line + this - 1. */
uint64_t cdp_batch_line(const struct cdp_batch *b, uint32_t index);

/* The source's name. */
const char *cdp_batch_source(const struct cdp_batch *b);

/* The number of threads in use and the memory budget after defaults. */
unsigned cdp_flow_threads(const struct cdp_flow *f);
uint64_t cdp_flow_memory(const struct cdp_flow *f);

/* A thread-safe sequential record reader for merges, policies' look-ups and small files: one record after the other
 * from one operand. */
struct cdp_reader;
struct cdp_reader *cdp_reader_open(const char *name, const struct cdp_plan *plan, size_t max_record,
                                   struct cdp_err *err);
/* 1 and *r (valid until the next call), 0 at the end, -1 and *err with "file:line:byte: …". */
int cdp_reader_next(struct cdp_reader *rd, struct cdp_rec *r, uint64_t *line_no, struct cdp_err *err);
/* A reader under the flow's options: its plan, --max-record, --where, --rejects and the counts (but `out`) apply as in
 * cdp_flow_run, and the output is flushed before a read that would wait. */
struct cdp_reader *cdp_flow_reader(struct cdp_flow *f, const char *name, struct cdp_err *err);
/* The source of the record read last, for messages. */
const char *cdp_reader_source(struct cdp_reader *rd);
void cdp_reader_close(struct cdp_reader *rd);

#endif
