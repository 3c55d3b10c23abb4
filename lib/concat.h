/* concat: many files into one output, as fast as the machine allows: lines unparsed, files unpacked on all threads, their
 * bytes in the order of the list.  A byte order mark at the beginning of a file is left out, a last line without a newline
 * gets one. */
#ifndef CDP_CONCAT_H
#define CDP_CONCAT_H

#include "lib/inputs.h"
#include "lib/out.h"
#include "lib/progress.h"

struct cdp_concat_opts {
    unsigned threads;
    bool count; /* count lines */
    struct cdp_progress *progress;
};

struct cdp_concat_counts {
    uint64_t lines, bytes; /* written; lines only where asked for */
};

/* Writes all inputs (members of archives only where inputs' dates allow).  What stands before a fault has been handed to
 * the output when -1 comes back. */
int cdp_concat(const struct cdp_inputs *in, const struct cdp_concat_opts *opts, struct cdp_out *out,
               struct cdp_concat_counts *counts, struct cdp_err *err);

/* Writes the lines of one plain regular file that begin in its bytes [from, to). */
int cdp_concat_range(const char *path, unsigned long long from, unsigned long long to,
                     const struct cdp_concat_opts *opts, struct cdp_out *out,
                     struct cdp_concat_counts *counts, struct cdp_err *err);

#endif
