/* sort_inputs: the merge of inputs that are sorted already (a part of sort). */
#ifndef CDP_SORT_INPUTS_H
#define CDP_SORT_INPUTS_H

#include "lib/flow.h"
#include "lib/key.h"

struct cdp_inputs_opts {
    const struct cdp_keyspec *key;
    enum cdp_key_missing missing;
    bool unique; /* of equal keys only the first: by input, then by line */
};

/* Merges n > 0 sorted operands to f->out, equal keys in the order of the inputs, and counts.  Options of the flow apply.
 * An input that is not sorted is an error (exit 1, "file:line: out of order").
 *
 * Memory: about half a mebibyte an input, and at most cdp_flow_memory, but for eight inputs at least; what are too many
 * inputs for that, or for the process's descriptors, is merged through temporary files. */
int cdp_inputs_merge(struct cdp_flow *f, const struct cdp_inputs_opts *opts, const char *const *name,
                     size_t n, struct cdp_err *err);

#endif
