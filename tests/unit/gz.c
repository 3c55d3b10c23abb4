#include "lib/gz.h"

#include "tap.h"

#include <stdlib.h>
#include <zlib.h>

static struct cdp_err err;

/* A source that gives at most `step` bytes at a time. */
struct bytes {
    const char *p;
    size_t n, step;
    int fail_after; /* calls until an error, -1: never */
};

static ssize_t give(void *source, void *buf, size_t n, struct cdp_err *e)
{
    struct bytes *b = source;
    if (b->fail_after >= 0 && b->fail_after-- == 0)
        return cdp_err_set(e, CDP_EXIT_IO, "no bytes today");
    if (n > b->step)
        n = b->step;
    if (n > b->n)
        n = b->n;
    memcpy(buf, b->p, n);
    b->p += n;
    b->n -= n;
    return (ssize_t)n;
}

/* Unpacks with pieces of the given sizes; the result's length or -1. */
static ssize_t unpack(const char *p, size_t n, size_t in_step, size_t out_step, struct cdp_buf *out)
{
    struct bytes src = {p, n, in_step, -1};
    struct cdp_gunzip *g = cdp_gunzip_new(give, &src, &err);
    ssize_t got = -1;
    cdp_buf_clear(out);
    while (g && cdp_buf_reserve(out, out_step) &&
           (got = cdp_gunzip_read(g, out->data + out->len, out_step, &err)) > 0)
        out->len += (size_t)got;
    if (got < 0) {
        struct cdp_err again;
        char c;
        if (cdp_gunzip_read(g, &c, 1, &again) >= 0 || strcmp(again.msg, err.msg) != 0)
            printf("# an error does not stay\n");
    }
    cdp_gunzip_free(g);
    return got < 0 ? -1 : (ssize_t)out->len;
}

static void fill(struct cdp_buf *b, size_t n)
{
    unsigned seed = 7;
    cdp_buf_clear(b);
    while (b->len < n) {
        seed = seed * 1103515245 + 12345;
        cdp_buf_addf(b, "{\"n\":%u,\"text\":\"some of the same words %u\"}\n", seed >> 16, seed >> 28);
    }
    b->len = n;
}

static void round_trips(void)
{
    static const size_t size[] = {0, 1, 100, 8191, 8192, 262143, 262144, 262145, 524288, 3000001};
    struct cdp_buf text = {0}, packed = {0}, piecewise = {0}, back = {0};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        fill(&text, size[i]);
        cdp_buf_clear(&packed);
        ok(cdp_gzip(text.data, text.len, &packed, &err) == 0, "pack %zu bytes", size[i]);
        ok(packed.len > 18 && memcmp(packed.data, "\x1f\x8b\x08\0\0\0\0\0", 8) == 0 &&
               (packed.data[9] & 0xff) == 255,
           "its header has no time and no name");
        ok(unpack(packed.data, packed.len, 1 << 20, 1 << 16, &back) == (ssize_t)size[i] &&
               (size[i] == 0 || memcmp(back.data, text.data, size[i]) == 0),
           "and back");

        struct cdp_gzip_stream *z = cdp_gzip_stream_new(&err);
        for (int again = 0; again < 2; again++) {
            cdp_buf_clear(&piecewise);
            for (size_t at = 0, step = 1; at < text.len; at += step, step = step * 3 + 1) {
                if (step > text.len - at)
                    step = text.len - at;
                cdp_gzip_stream_add(z, text.data + at, step, &piecewise, &err);
            }
            cdp_gzip_stream_end(z, &piecewise, &err);
            ok(piecewise.len == packed.len && memcmp(piecewise.data, packed.data, packed.len) == 0,
               "the same bytes from pieces, round %d", again);
        }
        cdp_gzip_stream_free(z);
    }
    cdp_buf_free(&text);
    cdp_buf_free(&packed);
    cdp_buf_free(&piecewise);
    cdp_buf_free(&back);
}

/* A member with every optional header field, by zlib. */
static void fancy(struct cdp_buf *out, const char *text, size_t n)
{
    char name[] = "a file's name", comment[] = "a comment", extra[] = "ab\4\0data";
    gz_header h = {.name = (Bytef *)name,
                   .comment = (Bytef *)comment,
                   .extra = (Bytef *)extra,
                   .extra_len = 8,
                   .hcrc = 1};
    z_stream s = {0};
    deflateInit2(&s, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    deflateSetHeader(&s, &h);
    cdp_buf_reserve(out, n + 1000);
    s.next_in = (Bytef *)text;
    s.avail_in = (uInt)n;
    s.next_out = (Bytef *)out->data + out->len;
    s.avail_out = (uInt)n + 1000;
    deflate(&s, Z_FINISH);
    out->len += s.total_out;
    deflateEnd(&s);
}

static void members(void)
{
    struct cdp_buf packed = {0}, back = {0};
    fancy(&packed, "one\n", 4);
    cdp_gzip("", 0, &packed, &err);
    fancy(&packed, "two\n", 4);
    cdp_gzip("three\n", 6, &packed, &err);
    static const size_t step[] = {1, 2, 3, 7, 4096};
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++)
            ok(unpack(packed.data, packed.len, step[i], step[j], &back) == 14 &&
                   memcmp(back.data, "one\ntwo\nthree\n", 14) == 0,
               "four members, read by %zu and %zu", step[i], step[j]);
    size_t whole = packed.len;
    cdp_buf_add(&packed, "\0\0\0\0\0\0\0", 7);
    ok(unpack(packed.data, packed.len, 3, 9, &back) == 14, "zero padding at the end");
    cdp_buf_addc(&packed, 'x');
    ok(unpack(packed.data, packed.len, 3, 9, &back) < 0 && err.exit == CDP_EXIT_DATA, "garbage after zeros");
    is(err.msg, "trailing garbage after a gzip member", "is said");
    packed.len = whole;
    cdp_buf_adds(&packed, "{\"a\":1}\n");
    ok(unpack(packed.data, packed.len, 1 << 20, 9, &back) < 0 && back.len == 14, "garbage after a member");
    is(err.msg, "trailing garbage after a gzip member", "is said, after all that was good");
    packed.len = whole;
    cdp_buf_add(&packed, "\x1f\x8c", 2);
    ok(unpack(packed.data, packed.len, 1, 9, &back) < 0, "half a magic number");
    is(err.msg, "trailing garbage after a gzip member", "is garbage");
    cdp_buf_free(&packed);
    cdp_buf_free(&back);
}

static void truncated(void)
{
    struct cdp_buf text = {0}, packed = {0}, back = {0};
    fill(&text, 20000);
    fancy(&packed, text.data, text.len);
    size_t said = 0;
    for (size_t n = 0; n < packed.len; n++)
        said += unpack(packed.data, n, 1 << 20, 1 << 16, &back) < 0 &&
                strcmp(err.msg, "truncated gzip stream") == 0 && err.exit == CDP_EXIT_DATA &&
                (back.len == 0 || memcmp(back.data, text.data, back.len) == 0);
    ok(said == packed.len, "cut at each of %zu bytes", packed.len);
    ok(unpack(packed.data, packed.len - 8, 1 << 20, 1 << 16, &back) < 0 && back.len == 20000,
       "all that is there comes before the error");
    cdp_buf_free(&text);
    cdp_buf_free(&packed);
    cdp_buf_free(&back);
}

static void corrupt(void)
{
    struct cdp_buf text = {0}, packed = {0}, back = {0};
    fill(&text, 5000);
    cdp_gzip(text.data, text.len, &packed, &err);
    size_t refused = 0, tried = 0;
    for (size_t i = 0; i < packed.len; i++) {
        if ((i >= 4 && i < 10) || i == packed.len - 9)
            continue; /* time, extra flags, system; and what pads the last bits to a byte: anything goes */
        packed.data[i] ^= 0x40;
        tried++;
        refused += unpack(packed.data, packed.len, 1 << 20, 1 << 16, &back) < 0 && err.exit == CDP_EXIT_DATA;
        packed.data[i] ^= 0x40;
    }
    ok(refused == tried, "a bit turned in each of %zu bytes is noticed", tried);
    packed.data[packed.len - 6] ^= 1;
    ok(unpack(packed.data, packed.len, 1 << 20, 1 << 16, &back) < 0, "a wrong CRC");
    is(err.msg, "corrupt gzip data", "is said");
    packed.data[packed.len - 6] ^= 1;
    packed.data[packed.len - 1] ^= 1;
    ok(unpack(packed.data, packed.len, 1 << 20, 1 << 16, &back) < 0, "a wrong length");
    is(err.msg, "corrupt gzip data", "is said");
    cdp_buf_free(&text);
    cdp_buf_free(&packed);
    cdp_buf_free(&back);
}

static void failing_source(void)
{
    struct cdp_buf packed = {0};
    cdp_gzip("text\n", 5, &packed, &err);
    struct bytes src = {packed.data, packed.len, 5, 2};
    struct cdp_gunzip *g = cdp_gunzip_new(give, &src, &err);
    char buf[16];
    ok(cdp_gunzip_read(g, buf, sizeof buf, &err) < 0 && err.exit == CDP_EXIT_IO, "the source's error");
    is(err.msg, "no bytes today", "comes through");
    src.fail_after = -1;
    ssize_t got, len = 0;
    while (len < 5 && (got = cdp_gunzip_read(g, buf + len, sizeof buf - (size_t)len, &err)) > 0)
        len += got;
    ok(len == 5 && memcmp(buf, "text\n", 5) == 0, "and reading may go on");
    cdp_gunzip_free(g);
    cdp_buf_free(&packed);
}

/* What comes out does not depend on where a packer lies in memory.  Text that begins with bytes of its address, which ISA-L once
 * hashed in place of the text, gives the same from a packer elsewhere. */
static void anywhere(void)
{
    struct cdp_gzip_packer *here = cdp_gzip_packer_new(&err), *there = cdp_gzip_packer_new(&err);
    char text[4096];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + (i * i / 7 + i / 11) % 23);
    uint32_t mark = (uint32_t)((uintptr_t)here >> 16), crc;
    for (size_t at = 0; at < sizeof text - 64; at += 1000) {
        memcpy(text + at, &mark, sizeof mark);
        memcpy(text + at + sizeof mark, ": the same behind it each time", 30);
    }
    struct cdp_buf a = {0}, b = {0};
    int rc = cdp_gzip_piece(here, text, sizeof text, true, &a, &crc, &err) |
             cdp_gzip_piece(there, text, sizeof text, true, &b, &crc, &err);
    ok(rc == 0 && a.len == b.len && memcmp(a.data, b.data, a.len) == 0,
       "a packer's place in memory is not seen: %zu and %zu bytes", a.len, b.len);
    cdp_buf_free(&a);
    cdp_buf_free(&b);
    cdp_gzip_packer_free(here);
    cdp_gzip_packer_free(there);
}

int main(void)
{
    round_trips();
    members();
    truncated();
    corrupt();
    failing_source();
    anywhere();
    return done();
}
