/* arc_frame: see arc_frame.h.
 *
 * A state names the bytes that come next; once all it needs of them are there, they are taken, and whatever lies
 * between them and the next state's (compressed blocks, mostly) is passed over unseen.  What cannot be made sense of is
 * left to the unpacker, which knows better what is wrong with it. */
#include "lib/arc_frame.h"

#include <string.h>

/* BEGIN is between frames, in all formats.  OPAQUE: all the rest belongs to the frame. */
enum state { BEGIN, OPAQUE, SKIPPABLE, HEADER, BLOCK, LEGACY, CHUNK, INDEX };

#define NO_STATE (-1) /* a step has not enough bytes */
#define GARBAGE (-2)

#define ZSTD_MAGIC 0xFD2FB528u
#define LZ4_MAGIC 0x184D2204u
#define LZ4_LEGACY_MAGIC 0x184C2102u
#define LZ4_LEGACY_MOST 8421520u /* LZ4_COMPRESSBOUND(8 MiB): no legacy block is larger */
#define XZ_MAGIC                                                                                             \
    "\xFD"                                                                                                   \
    "7zXZ" /* and a zero byte */

static uint32_t le(const unsigned char *p, unsigned bytes)
{
    uint32_t v = 0;
    while (bytes--)
        v = v << 8 | p[bytes];
    return v;
}

static bool skippable(uint32_t magic)
{
    return (magic & 0xFFFFFFF0u) == 0x184D2A50u;
}

/* Each of the following looks at the n bytes of the current state (n > 0): *used are taken, f->skip follow, and the
 * state behind them is given. */

static int zstd(struct cdp_frame *f, const unsigned char *p, size_t n, size_t *used)
{
    static const unsigned char dictionary[] = {0, 1, 2, 4}, content[] = {0, 2, 4, 8};
    unsigned single, size;
    switch (f->at) {
    case BEGIN:
        if (n < (*used = 4))
            return NO_STATE;
        return skippable(le(p, 4)) ? SKIPPABLE : le(p, 4) == ZSTD_MAGIC ? HEADER : GARBAGE;
    case SKIPPABLE:
        if (n < (*used = 4))
            return NO_STATE;
        f->skip = le(p, 4);
        return BEGIN;
    case HEADER:
        *used = 1;
        single = p[0] >> 5 & 1;
        f->check = p[0] & 4;
        f->skip =
            (single ? 0u : 1u) + dictionary[p[0] & 3] + (single && p[0] < 0x40 ? 1u : content[p[0] >> 6]);
        return BLOCK;
    default:
        if (n < (*used = 3))
            return NO_STATE;
        size = le(p, 3) >> 3;
        if ((p[0] >> 1 & 3) == 3)
            return OPAQUE;
        f->skip = (p[0] >> 1 & 3) == 1 ? 1 : size; /* one byte, repeated */
        if (!(p[0] & 1))
            return BLOCK;
        f->skip += f->check;
        return BEGIN;
    }
}

/* The bytes of an lz4 frame's header behind its magic number. */
static size_t lz4_header(unsigned flags)
{
    return 3 + (flags & 8) + (flags & 1) * 4;
}

/* The length of an lz4 frame without blocks: 0 where this is none, SIZE_MAX where that is not yet known. */
static size_t lz4_empty(const unsigned char *p, size_t n)
{
    if (n < 4 || le(p, 4) != LZ4_MAGIC)
        return 0;
    size_t mark = n > 4 ? 4 + lz4_header(p[4]) : SIZE_MAX;
    if (n <= 4 || n < mark + 4)
        return SIZE_MAX;
    return le(p + mark, 4) == 0 ? mark + 4 + (p[4] & 4) : 0;
}

static int lz4(struct cdp_frame *f, const unsigned char *p, size_t n, size_t *used)
{
    uint32_t size = n < 4 ? 0 : le(p, 4);
    if (n < (*used = 4))
        return NO_STATE;
    switch (f->at) {
    case BEGIN:
        return skippable(size)            ? SKIPPABLE
               : size == LZ4_MAGIC        ? HEADER
               : size == LZ4_LEGACY_MAGIC ? LEGACY
                                          : GARBAGE;
    case SKIPPABLE:
        f->skip = size;
        return BEGIN;
    case HEADER:
        *used = lz4_header(p[0]);
        f->block_check = p[0] >> 2 & 4;
        f->check = p[0] & 4;
        return n < *used ? NO_STATE : BLOCK;
    case LEGACY:
        if (size > LZ4_LEGACY_MOST)
            *used = 0;
        else
            f->skip = size;
        return size > LZ4_LEGACY_MOST ? BEGIN : LEGACY;
    default:
        f->skip = size ? (size & 0x7FFFFFFFu) + (uint64_t)f->block_check : f->check;
        return size ? BLOCK : BEGIN;
    }
}

/* Bytes that bring a length to a multiple of four. */
static unsigned padding(uint64_t length)
{
    return (unsigned)(-length & 3);
}

/* A byte of the index: a number of records, and two numbers for each. */
static int xz_index(struct cdp_frame *f, unsigned char byte)
{
    f->count++;
    if (f->shift == 63)
        return OPAQUE;
    if (!f->counted)
        f->left |= (uint64_t)(byte & 0x7f) << f->shift;
    f->shift += 7;
    if (byte & 0x80)
        return INDEX;
    f->shift = 0;
    if (f->counted)
        f->left--;
    else if (f->left > UINT64_MAX / 4)
        return OPAQUE;
    else
        f->left *= 2;
    f->counted = true;
    if (f->left)
        return INDEX;
    f->skip = padding(f->count) + 4 + 12; /* its checksum, and the stream's footer */
    return BEGIN;
}

static int xz(struct cdp_frame *f, const unsigned char *p, size_t n, size_t *used)
{
    static const unsigned char check[] = {0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64};
    *used = 1;
    switch (f->at) {
    case BEGIN:
        if (n < (*used = 4))
            return NO_STATE;
        if (f->later && le(p, 4) == 0)
            return BEGIN;
        if (memcmp(p, XZ_MAGIC, 4) != 0)
            return GARBAGE;
        if (n < (*used = 12))
            return NO_STATE;
        f->check = check[p[7] & 15];
        return memcmp(p, XZ_MAGIC, 6) == 0 ? BLOCK : GARBAGE;
    case BLOCK:
        f->count = p[0] == 0;
        if (p[0] == 0) {
            f->counted = false;
            f->left = f->shift = 0;
            return INDEX;
        }
        f->skip = p[0] * 4u + 3;
        return CHUNK;
    case INDEX:
        return xz_index(f, p[0]);
    default: /* of LZMA2, which is the last filter in every chain */
        if (p[0] == 0) {
            f->skip = padding(f->count + 1) + f->check;
            return BLOCK;
        }
        if (n < (*used = 6))
            return NO_STATE;
        if (p[0] > 2 && p[0] < 0x80)
            return OPAQUE;
        size_t size = p[0] < 0x80 ? 3 + ((size_t)p[1] << 8 | p[2]) + 1
                                  : (p[0] >= 0xC0 ? 6 : 5) + ((size_t)p[3] << 8 | p[4]) + 1;
        *used = size < 6 ? size : 6;
        f->skip = size - *used;
        f->count += size;
        return CHUNK;
    }
}

struct cdp_frame_step cdp_frame_look(struct cdp_frame *f, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    struct cdp_frame_step s = {0};
    for (;;) {
        size_t left = n - s.take, used, pass = f->skip < left ? (size_t)f->skip : left;
        s.take += pass;
        f->skip -= pass;
        left -= pass;
        if (left == 0)
            return s;
        if (f->at == OPAQUE) {
            s.take = n;
            return s;
        }
        if (f->format == CDP_FRAME_LZ4 && f->at == BEGIN && (used = lz4_empty(p + s.take, left)) > 0) {
            s.drop = used <= left ? used : 0;
            f->later = f->later || s.drop;
            return s;
        }
        int next = (f->format == CDP_FRAME_ZSTD  ? zstd
                    : f->format == CDP_FRAME_LZ4 ? lz4
                                                 : xz)(f, p + s.take, left, &used);
        if (next == NO_STATE)
            return s;
        if (next == GARBAGE) {
            s.garbage = true;
            return s;
        }
        s.take += used;
        if (next == BEGIN)
            f->later = true;
        f->at = next;
    }
}

bool cdp_frame_whole(const struct cdp_frame *f)
{
    return f->skip == 0 && (f->at == BEGIN || f->at == LEGACY);
}
