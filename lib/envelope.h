/* envelope: a line of an input, whatever it holds, as a record that says where it came from; and the line again.
 *
 *     {"run_id":…,"source":…,"partition":…,"line":7,"payload":<the line's bytes>}
 *     {…,"line":8,"payload":null,"error":"expected ':' after a key","byte":57,"raw":"<the line>"}
 *
 * A line that is no JSON value, or is blank, is raw (raw_base64 where it is not UTF-8).  The line's end is not in it:
 * "newline":false says that the source ended without one, "bom":true that a byte order mark stood before, and
 * "more":true that the line was too long for one record and goes on in the next. */
#ifndef CDP_ENVELOPE_H
#define CDP_ENVELOPE_H

#include "lib/flow.h"

/* What a thread needs to wrap blocks or to unwrap records.  Zero-initialise. */
struct cdp_envelope {
    struct cdp_buf out; /* the block's result */
    uint64_t records;   /* in it */
    /* wrapping */
    struct cdp_buf head; /* what all records of `source` begin with, where begun */
    uint32_t source;
    bool begun;
    size_t max; /* no record gets longer */
    /* unwrapping */
    bool bom;     /* stands before the first record */
    bool pending; /* the last one lacks its newline */
};

void cdp_envelope_free(struct cdp_envelope *e);

struct cdp_envelope_opts {
    const char *run_id; /* or NULL */
    size_t max;         /* no record gets longer */
};

/* Wraps all lines of a block (for a flow's `block`) into e->out.  lines: how many lines of the source were read in earlier
 * runs.  The partition is what the source's name says (lib/datepath); names are written as lib/name does it.  0, or
 * -1: memory ran out, or max has no room for a piece of a line behind the source's name and run_id (exit 2). */
int cdp_envelope_wrap(struct cdp_envelope *e, const struct cdp_envelope_opts *opts, const struct cdp_batch *b,
                      uint64_t lines, struct cdp_err *err);

/* The slots that unwrapping needs in a plan. */
struct cdp_envelope_slots {
    int payload, raw, raw_base64, newline, more, bom;
};
int cdp_envelope_plan(struct cdp_envelope_slots *s, struct cdp_plan *plan, struct cdp_err *err);

/* Empties e for the next block. */
void cdp_envelope_begin(struct cdp_envelope *e);

/* Unwraps a record into e->out.  0, or -1: the record is no envelope (exit 1) or memory ran out (3).  A line that lacked its
 * newline gets one unless it is the last of e->out, which e->pending says then. */
int cdp_envelope_unwrap(struct cdp_envelope *e, const struct cdp_envelope_slots *s,
                        const struct cdp_val *fields, struct cdp_err *err);

#endif
