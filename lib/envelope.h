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

#include "lib/buf.h"
#include "lib/scan.h"

/* One source's lines on their way in.  Zero-initialise; a thread has its own. */
struct cdp_envelope {
    struct cdp_buf head; /* what all records of the source begin with */
    size_t max;          /* no record gets longer */
};

/* Begins a source.  run_id may be NULL; the partition is what its name says (lib/datepath).  Names are written as lib/name
 * does it. */
int cdp_envelope_source(struct cdp_envelope *e, const char *run_id, const char *source, size_t max,
                        struct cdp_err *err);
void cdp_envelope_free(struct cdp_envelope *e);

struct cdp_envelope_line {
    uint64_t number;
    bool bom, no_newline, more;
};

/* Appends the record of a good line: text that scan accepts. */
void cdp_envelope_good(const struct cdp_envelope *e, const struct cdp_envelope_line *at, const char *p,
                       size_t n, struct cdp_buf *out);

/* Appends the record (or several) of any other line; byte from 1, 0 where there is no place to name. Returns how many. */
uint64_t cdp_envelope_bad(const struct cdp_envelope *e, const struct cdp_envelope_line *at, const char *error,
                          size_t byte, const char *p, size_t n, struct cdp_buf *out);

/* May a good line be wrapped: is the record short enough, and not too deep for a scanner? NULL, or why not. */
const char *cdp_envelope_refuses(const struct cdp_envelope *e, const char *p, size_t n);

/* The fields that unwrapping needs: their slots in a plan. */
struct cdp_envelope_slots {
    int payload, raw, raw_base64, newline, more, bom;
};
int cdp_envelope_plan(struct cdp_envelope_slots *s, struct cdp_plan *plan, struct cdp_err *err);

/* Appends a record's line without its end and says in *at what is to be known of that.  0, or -1: the record is no
 * envelope (exit 1). */
int cdp_envelope_open(const struct cdp_envelope_slots *s, const struct cdp_val *fields,
                      struct cdp_envelope_line *at, struct cdp_buf *out, struct cdp_err *err);

#endif
