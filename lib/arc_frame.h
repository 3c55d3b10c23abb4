/* arc_frame: where the frames of a packed stream end, seen without unpacking them.  For lib/arc_la.c alone: libarchive
 * says of bytes behind the last frame of zstd and xz that they are corrupt, and stops at an lz4 frame that holds nothing.
 *
 * Formats: RFC 8878 (zstd), LZ4 Frame Format 1.6.4 with its legacy frames, The .xz File Format 1.1.0. */
#ifndef CDP_ARC_FRAME_H
#define CDP_ARC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cdp_frame_format { CDP_FRAME_ZSTD, CDP_FRAME_LZ4, CDP_FRAME_XZ };

#define CDP_FRAME_MAGIC 4  /* bytes that tell whether a frame comes next */
#define CDP_FRAME_NEEDS 32 /* more bytes than that are never asked for at a time */

/* Zero-initialise but for the format. */
struct cdp_frame {
    enum cdp_frame_format format;
    int at;                      /* what comes next: a state of the format's */
    uint64_t skip;               /* bytes before it */
    bool later;                  /* a frame has ended before */
    unsigned check, block_check; /* bytes of checksums */
    /* xz */
    uint64_t count; /* bytes of the block or the index so far */
    uint64_t left;  /* numbers in the index */
    unsigned shift; /* bits of the number that is being read */
    bool counted;   /* left is known */
};

struct cdp_frame_step {
    size_t take;  /* bytes that belong to frames and go to the unpacker */
    size_t drop;  /* bytes behind them that are a frame of nothing, and do not */
    bool garbage; /* what comes then is no frame */
};

/* Looks at the next n bytes.  Those behind take and drop are to be given again, with more behind them (fewer than
 * CDP_FRAME_NEEDS, unless there is garbage or something to drop). */
struct cdp_frame_step cdp_frame_look(struct cdp_frame *f, const void *p, size_t n);

/* May the stream end here? */
bool cdp_frame_whole(const struct cdp_frame *f);

#endif
