/* sort_late: a stream put in the order of its times, with a bound on how late a record may come (a part of sort).
 *
 * The watermark is the latest time of all records so far less the lateness; a record before it is late, the others are held
 * until the watermark has passed them and then written in the order of time, keys and input.  What is late is decided record by
 * record in the order of the input, so the output does not depend on how the stream was cut into blocks, nor on when it
 * paused. */
#ifndef CDP_SORT_LATE_H
#define CDP_SORT_LATE_H

#include "lib/flow.h"
#include "lib/key.h"

struct cdp_late_opts {
    const char *time;              /* the path, for messages */
    int slot;                      /* its slot in the flow's plan */
    int64_t seconds;               /* how late a record may come */
    const struct cdp_keyspec *key; /* orders records of one instant; n may be 0 */
    enum cdp_key_missing missing;
    bool unique;          /* of records with equal time and keys only the first */
    struct cdp_out *late; /* takes late records, counted as dropped; NULL: they are rejected */
};

/* Runs the flow over its operands and writes to f->out.  Memory: the records that lie within the lateness, up to
 * cdp_flow_memory; beyond that temporary files. */
int cdp_late_run(struct cdp_flow *f, const struct cdp_late_opts *opts, struct cdp_err *err);

#endif
