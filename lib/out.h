/* out: where records go: standard output, or a file that appears whole (lib/atomic).
 *
 * For sequential writers: cdp_out_write gathers small writes and passes large ones through.  For flow's workers, on a
 * regular file: cdp_out_claim reserves the next n bytes in turn, and cdp_out_put fills them outside the turn, from any
 * thread.  (Reserving moves the shared file offset, so another writer on the same description is never overwritten.) */
#ifndef CDP_OUT_H
#define CDP_OUT_H

#include "lib/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct cdp_out;

/* path NULL or "-": standard output.  With `append`, the file is appended to in place (rejects, --stats), else it is
 * replaced atomically at cdp_out_close, and one whose name ends in ".gz" is packed. */
struct cdp_out *cdp_out_open(const char *path, bool append, struct cdp_err *err);

int cdp_out_write(struct cdp_out *o, const void *p, size_t n, struct cdp_err *err);
int cdp_out_writev(struct cdp_out *o, const struct iovec *iov, size_t n, struct cdp_err *err);
int cdp_out_flush(struct cdp_out *o, struct cdp_err *err);

/* Can regions be claimed? */
bool cdp_out_seekable(const struct cdp_out *o);
int cdp_out_claim(struct cdp_out *o, size_t n, off_t *at, struct cdp_err *err);
int cdp_out_put(struct cdp_out *o, off_t at, const struct iovec *iov, size_t n, struct cdp_err *err);

uint64_t cdp_out_bytes(const struct cdp_out *o);

/* Flushes and, for a file, makes it appear.  Frees o.  An error here is a failed run. */
int cdp_out_close(struct cdp_out *o, struct cdp_err *err);

/* Forgets a file that was being written (standard output: nothing to take back).  Frees o; NULL is allowed. */
void cdp_out_abort(struct cdp_out *o);

#endif
