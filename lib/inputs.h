/* inputs: what the operands of a command line name, as a list of files: a directory is all that is in it, in the byte
 * order of the paths, whatever order the file system gives them in. */
#ifndef CDP_INPUTS_H
#define CDP_INPUTS_H

#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdp_inputs {
    char **path;
    size_t n, cap;
    uint64_t since,
        until; /* minutes as in lib/datepath: paths that lie outside are left out; 0 and UINT64_MAX for all */
};

/* Adds an operand.  Of a directory: all regular files in it and below it (symbolic links are followed), but nothing
 * whose name begins with '.' or '_' (as Hive and Spark have it; `_x=1` is a partition and is taken).  Files whose path
 * lies outside [since, until] are left out without being opened; one whose path has no date stays. */
int cdp_inputs_add(struct cdp_inputs *in, const char *operand, struct cdp_err *err);

/* Adds the operands that a file lists, each ended by a newline or (null) by a zero byte; "-" is standard input. */
int cdp_inputs_add_from(struct cdp_inputs *in, const char *list, bool null, struct cdp_err *err);

/* Does a path, or that of an archive's member, lie inside? */
bool cdp_inputs_within(const struct cdp_inputs *in, const char *path);

void cdp_inputs_free(struct cdp_inputs *in);

#endif
