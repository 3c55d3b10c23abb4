/* ordered: pieces of output that several threads make at a time and that go out in the order of their numbers.
 *
 * A file system lets one thread at a time write to a file, and a thread that waits for that could make another piece
 * meanwhile.  So one thread writes all that is made and next in order, and the others leave theirs to it; there are two
 * buffers for each thread. */
#ifndef CDP_ORDERED_H
#define CDP_ORDERED_H

#include "lib/buf.h"
#include "lib/out.h"

struct cdp_piece {
    size_t number;
    struct cdp_buf buf; /* empty when the piece is given out, with the memory that it has got before */
};

struct cdp_ordered;

/* For `pieces` pieces, made by so many threads.  NULL and *err where memory runs out. */
struct cdp_ordered *cdp_ordered_new(struct cdp_out *out, unsigned threads, size_t pieces,
                                    struct cdp_err *err);
void cdp_ordered_free(struct cdp_ordered *o); /* NULL is allowed */

/* Called by each thread: makes pieces until all have been given out.  `make` fills p->buf: 0, or -1 and *err, after which
 * nothing more is made or written.  0, or -1 and *err, the first failure so far of any thread, in writing, too. */
int cdp_ordered_make(struct cdp_ordered *o, int (*make)(void *arg, struct cdp_piece *p, struct cdp_err *err),
                     void *arg, struct cdp_err *err);

/* Called by `make`: waits until all pieces before this one are written.  Up to make's end, the caller alone may write to the
 * output then.  0, or -1 and *err, which is what has failed elsewhere. */
int cdp_ordered_turn(struct cdp_ordered *o, const struct cdp_piece *p, struct cdp_err *err);

/* When all threads are done: 0, or -1 and *err, the first failure. */
int cdp_ordered_end(struct cdp_ordered *o, struct cdp_err *err);

#endif
