/* arc_la: the part of arc that is libarchive: zstd, xz, bzip2 and lz4 streams, tar and zip archives, as pull readers.
 * For lib/arc.c alone. */
#ifndef CDP_ARC_LA_H
#define CDP_ARC_LA_H

#include "lib/gz.h"

enum cdp_la_kind { CDP_LA_ZSTD, CDP_LA_XZ, CDP_LA_BZIP2, CDP_LA_LZ4, CDP_LA_TAR, CDP_LA_ZIP };

struct cdp_la;

/* Opens what `read` gives.  seek_fd: a regular file that holds just these bytes from `base` on, so that a zip archive
 * can be read by its directory; else -1.  Errors of the source come through as they are. */
struct cdp_la *cdp_la_open(enum cdp_la_kind kind, cdp_read_fn *read, void *source, int seek_fd, off_t base,
                           struct cdp_err *err);

/* The archive's next regular member: 1 and its name (until the next call), 0 at the end, which is checked to be one. */
int cdp_la_next(struct cdp_la *la, const char **member, struct cdp_err *err);

/* Bytes of the member or of the unpacked stream, 0 at its end, -1 and *err. */
ssize_t cdp_la_read(struct cdp_la *la, void *buf, size_t n, struct cdp_err *err);

void cdp_la_close(struct cdp_la *la);

#endif
