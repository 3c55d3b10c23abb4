#include "lib/arc_frame.h"

#include "tap.h"

#include <string.h>

/* "one\ntwo\n", or nothing, packed by the formats' own programs with different options. */
static const struct {
    const char *name, *hex;
    enum cdp_frame_format format;
    size_t empty; /* bytes to drop */
} packed[] = {
    {"zstd", "28b52ffd04584100006f6e650a74776f0ae6a60e40", CDP_FRAME_ZSTD, 0},
    {"zstd of nothing", "28b52ffd240001000099e9d851", CDP_FRAME_ZSTD, 0},
    {"zstd without a checksum, size known", "28b52ffd20084100006f6e650a74776f0a", CDP_FRAME_ZSTD, 0},
    {"a frame to be skipped", "512a4d1803000000616263", CDP_FRAME_ZSTD, 0},
    {"lz4", "04224d186440a7080000806f6e650a74776f0a000000002701c483", CDP_FRAME_LZ4, 0},
    {"lz4 of nothing", "04224d186440a700000000055dcc02", CDP_FRAME_LZ4, 15},
    {"lz4 with checksums of blocks and a size",
     "04224d187c4008000000000000002d080000806f6e650a74776f0a2701c483000000002701c483", CDP_FRAME_LZ4, 0},
    {"lz4 without a checksum", "04224d18604082080000806f6e650a74776f0a00000000", CDP_FRAME_LZ4, 0},
    {"lz4, legacy", "02214c1809000000806f6e650a74776f0a", CDP_FRAME_LZ4, 0},
    {"lz4, to be skipped", "512a4d1803000000616263", CDP_FRAME_LZ4, 0},
    {"xz",
     "fd377a585a000004e6d6b4460200210116000000742fe5a30100076f6e650a74776f0a0051ab9eaf57757049000120"
     "08bb19d9bb1fb6f37d010000000004595a",
     CDP_FRAME_XZ, 0},
    {"xz of nothing", "fd377a585a000004e6d6b446000000001cdf44211fb6f37d010000000004595a", CDP_FRAME_XZ, 0},
};

#define PACKED (sizeof packed / sizeof *packed)

static size_t unhex(unsigned char *to, const char *hex)
{
    size_t n = 0;
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        to[n++] = (unsigned char)byte;
    return n;
}

struct walked {
    size_t take, drop;
    bool garbage, whole;
};

/* Looks at n bytes that come `step` at a time. */
static struct walked walk(enum cdp_frame_format format, const unsigned char *p, size_t n, size_t step)
{
    struct cdp_frame f = {.format = format};
    struct walked w = {0};
    for (size_t at = 0, have = 0; have < n && !w.garbage;) {
        have = have + step < n ? have + step : n;
        struct cdp_frame_step s;
        do {
            s = cdp_frame_look(&f, p + at, have - at);
            w.take += s.take;
            w.drop += s.drop;
            at += s.take + s.drop;
        } while (s.drop);
        w.garbage = s.garbage;
    }
    w.whole = cdp_frame_whole(&f) && w.take + w.drop == n;
    return w;
}

/* Of two frames, the end of either is known, and no other place is one. */
static void pairs(size_t i, size_t j)
{
    unsigned char b[256];
    size_t first = unhex(b, packed[i].hex), n = first + unhex(b + first, packed[j].hex), bad = 0;
    /* Legacy blocks follow each other without an end. */
    size_t early = b[first] == 2 ? first + 4 : 0;
    for (size_t step = 1; step <= n; step += step < 9 ? 1 : 13) {
        for (size_t cut = 1; cut <= n; cut++) {
            struct walked w = walk(packed[i].format, b, cut, step);
            bool end = cut == first || cut == n || cut == early || (b[0] == 2 && cut == 4);
            bad += w.garbage || w.whole != end;
            bad += cut == n && w.drop != packed[i].empty + packed[j].empty;
        }
        for (size_t cut = first; cut <= n; cut += n - first) {
            unsigned char with[300];
            memcpy(with, b, cut);
            memcpy(with + cut, "garbage!", 8);
            struct walked w = walk(packed[i].format, with, cut + 8, step);
            bad += !w.garbage || w.take + w.drop != cut;
        }
    }
    ok(bad == 0, "%s, then %s", packed[i].name, packed[j].name);
}

int main(void)
{
    for (size_t i = 0; i < PACKED; i++)
        for (size_t j = 0; j < PACKED; j++)
            if (packed[i].format == packed[j].format)
                pairs(i, j);

    unsigned char b[256];
    size_t n = unhex(b, packed[10].hex);
    for (size_t zeros = 0; zeros < 9; zeros++) {
        memset(b + n, 0, 16);
        struct walked w = walk(CDP_FRAME_XZ, b, n + zeros, 3);
        ok(w.whole == (zeros % 4 == 0) && !w.garbage, "xz and %zu zeros", zeros);
    }
    /* What makes no sense is left to the unpacker. */
    memcpy(b, "\x28\xb5\x2f\xfd\x20\x08\x07\0\0", 9);
    ok(walk(CDP_FRAME_ZSTD, b, 200, 200).take == 200, "a zstd block of no known type");
    n = unhex(b, packed[10].hex);
    b[24] = 0x40;
    struct walked w = walk(CDP_FRAME_XZ, b, n, n);
    ok(w.take == n && !w.whole, "an LZMA2 chunk of no known type");
    return done();
}
