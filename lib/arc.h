/* arc: one operand as the plain streams inside it.
 *
 * What it is, is seen from its first bytes, never from its name: gzip (lib/gz), zstd, xz, bzip2, lz4, tar (packed
 * or not), zip, and members of archives that are packed themselves; anything else is plain.  A line of
 * text is known for plain from its first bytes, so a pipe that is live is not kept waiting.  libarchive is used by
 * lib/arc_la.c alone. */
#ifndef CDP_ARC_H
#define CDP_ARC_H

#include "lib/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct cdp_arc;

/* Opens a file; NULL or "-" is standard input.  A directory is an error (exit 3). */
struct cdp_arc *cdp_arc_open(const char *path, struct cdp_err *err);
void cdp_arc_close(struct cdp_arc *a);

/* Before the first cdp_arc_next, on a regular file (else exit 2): only the bytes [from, to) of it, which are plain where
 * from is not 0.  A file that is shorter by now ends where it ends. */
int cdp_arc_window(struct cdp_arc *a, unsigned long long from, unsigned long long to, struct cdp_err *err);

/* Does the current stream begin within its file? */
bool cdp_arc_within(const struct cdp_arc *a);

/* The next stream: 1, 0 when there is none, -1 and *err.  A plain or compressed file has one; an archive one for each
 * regular member in the archive's order.  *name lives until the next call: "path" or "path/member". */
int cdp_arc_next(struct cdp_arc *a, const char **name, struct cdp_err *err);

/* Bytes of the current stream, at most n, as soon as there are any; 0 at its end; -1 and *err (truncated or corrupt
 * input: exit 1; a failed read: exit 3).  EINTR is handled. */
ssize_t cdp_arc_read(struct cdp_arc *a, void *buf, size_t n, struct cdp_err *err);

/* Would cdp_arc_read have to wait for a pipe or terminal?  (false for files and where unpacked bytes are at hand.) */
bool cdp_arc_would_block(struct cdp_arc *a);

/* Where a read would block: waits for bytes or the operand's end, at most so many milliseconds.  Have they come? */
bool cdp_arc_wait(const struct cdp_arc *a, int ms);

/* For progress: bytes of the operand read so far and its size (0 where unknown). */
void cdp_arc_progress(const struct cdp_arc *a, unsigned long long *done, unsigned long long *size);

/* The descriptor of a plain file's or pipe's bytes, to read or map directly, or -1 where they pass through a codec.
 * Bytes that cdp_arc_read has not handed out yet are read first. */
int cdp_arc_fd(const struct cdp_arc *a);

#endif
