/* ordered: pieces of output that several threads make at a time and that go out in the order of their numbers.
 *
 * A file system lets one thread at a time write to a file, and a thread that waits for that could make another piece
 * meanwhile.  So one thread writes all that is made and next in order, and the others leave theirs to it; there are two buffers for
 * each thread. */
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

/* When all threads are done: 0, or -1 and *err, the first failure. */
int cdp_ordered_end(const struct cdp_ordered *o, struct cdp_err *err);

/* The next piece to be made; waits for a buffer.  NULL where all have been given out, or after a failure. */
struct cdp_piece *cdp_ordered_next(struct cdp_ordered *o);

/* Waits until all pieces before this one are written: the caller alone may write to the output then, up to cdp_ordered_done.
 * 0, or -1 and *err, which is what has failed elsewhere. */
int cdp_ordered_turn(struct cdp_ordered *o, const struct cdp_piece *p, struct cdp_err *err);

/* The piece is made, and the caller's no more.  0, or -1 and *err where this or another piece could not be written, which is
 * a failure. */
int cdp_ordered_done(struct cdp_ordered *o, struct cdp_piece *p, struct cdp_err *err);

/* A piece could not be made.  After this or another failure nothing is given out or written, and nobody waits. */
void cdp_ordered_fail(struct cdp_ordered *o, const struct cdp_err *err);

#endif
