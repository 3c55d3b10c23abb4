/* sort_check: are records in the order of their keys? (a part of sort) */
#ifndef CDP_SORT_CHECK_H
#define CDP_SORT_CHECK_H

#include "lib/flow.h"
#include "lib/key.h"

struct cdp_check_opts {
    const struct cdp_keyspec *key;
    enum cdp_key_missing missing;
    bool unique; /* no two keys may be equal */
};

/* Runs the flow over its operands, which are one sequence, writes nothing and counts all as dropped.  The first record that
 * is out of order is an error (exit 1, "file:line: out of order").  Memory: constant, but for records' keys. */
int cdp_check_run(struct cdp_flow *f, const struct cdp_check_opts *opts, struct cdp_err *err);

#endif
