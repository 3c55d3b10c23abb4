/* gz_piece: a gzip member packed in pieces (gz.h).
 *
 * Each piece is a run of deflate blocks of its own that ends on a byte boundary (RFC 1951, an empty stored block: zlib's
 * Z_FULL_FLUSH), as pigz does it, so pieces can be packed in any order and by any thread.  Equal pieces give equal bytes. */
#include "lib/gz.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <zlib.h>
#ifdef CDP_HAVE_ISAL
#include "lib/gz_isal.h"
#include <isa-l/crc.h>
#endif

/* Room that packing can need at most, the flush included. */
static size_t bound(size_t n)
{
    return n + n / 16384 * 5 + 1024;
}

#ifdef CDP_HAVE_ISAL
#define LEVEL_BUF ISAL_DEF_LVL2_EXTRA_LARGE

struct cdp_gzip_packer {
    struct isal_zstream state;
    uint8_t level_buf[LEVEL_BUF];
};

static int pack(struct cdp_gzip_packer *z, const void *p, size_t n, bool last, struct cdp_buf *out)
{
    struct isal_zstream *s = &z->state;
    isal_deflate_init(s);
    s->level = 2;
    s->level_buf = z->level_buf;
    s->level_buf_size = LEVEL_BUF;
    s->gzip_flag = IGZIP_DEFLATE;
    s->flush = FULL_FLUSH;
    s->end_of_stream = last;
    s->next_in = (uint8_t *)(uintptr_t)p;
    s->avail_in = (uint32_t)n;
    s->next_out = (uint8_t *)out->data + out->len;
    s->avail_out = (uint32_t)(out->cap - out->len);
    if (cdp_isal_first(s) != COMP_OK || isal_deflate(s) != COMP_OK || s->avail_in != 0)
        return -1;
    out->len += s->total_out;
    return 0;
}

static uint32_t crc_of(const void *p, size_t n)
{
    return crc32_gzip_refl(0, p, n);
}
#else
struct cdp_gzip_packer {
    z_stream state;
};

static int pack(struct cdp_gzip_packer *z, const void *p, size_t n, bool last, struct cdp_buf *out)
{
    z_stream *s = &z->state;
    *s = (z_stream){0};
    if (deflateInit2(s, 5, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -1;
    s->next_in = (Bytef *)(uintptr_t)p;
    s->avail_in = (uInt)n;
    s->next_out = (Bytef *)out->data + out->len;
    s->avail_out = (uInt)(out->cap - out->len);
    int rc = deflate(s, last ? Z_FINISH : Z_FULL_FLUSH);
    bool done = s->avail_in == 0 && (last ? rc == Z_STREAM_END : rc == Z_OK && s->avail_out > 0);
    out->len += s->total_out;
    deflateEnd(s);
    return done ? 0 : -1;
}

static uint32_t crc_of(const void *p, size_t n)
{
    return (uint32_t)crc32_z(0, p, n);
}
#endif

struct cdp_gzip_packer *cdp_gzip_packer_new(struct cdp_err *err)
{
    return cdp_mem_zalloc(1, sizeof(struct cdp_gzip_packer), err);
}

void cdp_gzip_packer_free(struct cdp_gzip_packer *z)
{
    free(z);
}

int cdp_gzip_piece(struct cdp_gzip_packer *z, const void *p, size_t n, bool last, struct cdp_buf *out,
                   uint32_t *crc, struct cdp_err *err)
{
    if (n > (size_t)1 << 30) /* both engines count in 32 bits */
        return cdp_err_set(err, CDP_EXIT_IO, "cannot pack a piece of %zu bytes", n);
    cdp_buf_reserve(out, bound(n));
    if (cdp_buf_check(out, err) < 0)
        return -1;
    *crc = crc_of(p, n);
    return pack(z, p, n, last, out) < 0 ? cdp_err_set(err, CDP_EXIT_IO, "cannot pack %zu bytes", n) : 0;
}

void cdp_gzip_head(struct cdp_buf *out)
{
    /* RFC 1952, 2.3: deflate, no name, no time, no operating system */
    static const unsigned char head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    cdp_buf_add(out, head, sizeof head);
}

static void add_le32(struct cdp_buf *out, uint32_t v)
{
    for (int i = 0; i < 4; i++, v >>= 8)
        cdp_buf_addc(out, (char)(v & 0xff));
}

void cdp_gzip_tail(uint32_t crc, uint64_t bytes, struct cdp_buf *out)
{
    add_le32(out, crc);
    add_le32(out, (uint32_t)bytes);
}

uint32_t cdp_gzip_crc_join(uint32_t crc, uint32_t next, uint64_t next_bytes)
{
    return (uint32_t)crc32_combine64(crc, next, (z_off64_t)next_bytes);
}
