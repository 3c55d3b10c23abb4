/* gz: see gz.h.
 *
 * The engine (ISA-L or zlib) inflates one member and checks its CRC and length; what lies between members is judged
 * here: another member, zero padding up to the end, or garbage.  Memory: IN_SIZE of input, the engine's window, and
 * nothing that grows.
 *
 * Packing is by ISA-L at level 2, which is the size of gzip -3 at six times its speed or more (level 3 is sometimes
 * smaller and always half as fast); below SMALL bytes by zlib, which is smaller there.  A stream is packed in pieces
 * of PIECE bytes whatever pieces it came in, so that equal data gives equal files.
 *
 * Format: RFC 1952; GNU gzip's manual, "Tape usage", on zero padding. */
#include "lib/gz.h"

#include "lib/mem.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef CDP_HAVE_ISAL
#include "lib/gz_isal.h"
#endif

#define IN_SIZE ((size_t)256 << 10)
#define PIECE ((size_t)256 << 10)
#define SMALL ((size_t)8 << 10)
#define ENGINE_MAX ((size_t)1 << 30) /* both engines count in 32 bits */

enum progress { WANTS_INPUT, MADE_OUTPUT, MEMBER_END, BAD_DATA, NO_MEMORY };

enum place { BEFORE_FIRST, IN_MEMBER, AFTER_MEMBER, IN_PADDING, DONE, TRUNCATED, GARBAGE, CORRUPT };

struct cdp_gunzip {
    cdp_read_fn *read;
    void *source;
    enum place place;
    bool eof;
    unsigned char *in; /* bytes [at, len) of the source are still to be unpacked */
    size_t at, len;
#ifdef CDP_HAVE_ISAL
    struct inflate_state state;
    struct isal_gzip_header header;
    bool header_done;
#else
    z_stream state;
    bool open;
#endif
};

#ifdef CDP_HAVE_ISAL

static bool engine_begin(struct cdp_gunzip *g)
{
    isal_inflate_init(&g->state);
    isal_gzip_header_init(&g->header);
    g->state.crc_flag = ISAL_GZIP_NO_HDR_VER;
    g->header_done = false;
    return true;
}

/* The header is read here because isal_inflate forgets its flags where the header lies across two calls. */
static enum progress engine_header(struct cdp_gunzip *g)
{
    int rc = isal_read_gzip_header(&g->state, &g->header);
    if (rc == ISAL_END_INPUT)
        return WANTS_INPUT;
    if (rc != ISAL_DECOMP_OK || (g->header.flags & 0xe0))
        return BAD_DATA;
    g->header_done = true;
    return MADE_OUTPUT;
}

static enum progress engine_run(struct cdp_gunzip *g, void *out, size_t n, size_t *made)
{
    struct inflate_state *s = &g->state;
    enum progress p;
    s->next_in = g->in + g->at;
    s->avail_in = (uint32_t)(g->len - g->at);
    s->next_out = out;
    s->avail_out = (uint32_t)n;
    p = g->header_done ? MADE_OUTPUT : engine_header(g);
    if (p == MADE_OUTPUT && isal_inflate(s) < 0)
        p = BAD_DATA;
    else if (p == MADE_OUTPUT && s->block_state == ISAL_BLOCK_FINISH)
        p = MEMBER_END;
    else if (p == MADE_OUTPUT && s->avail_out == n)
        p = WANTS_INPUT;
    g->at = g->len - s->avail_in;
    *made = n - s->avail_out;
    return p;
}

static void engine_end(struct cdp_gunzip *g)
{
    (void)g;
}

#else

static bool engine_begin(struct cdp_gunzip *g)
{
    if (g->open)
        return inflateReset(&g->state) == Z_OK;
    g->open = inflateInit2(&g->state, 15 + 16) == Z_OK;
    return g->open;
}

static enum progress engine_run(struct cdp_gunzip *g, void *out, size_t n, size_t *made)
{
    z_stream *s = &g->state;
    s->next_in = g->in + g->at;
    s->avail_in = (uInt)(g->len - g->at);
    s->next_out = out;
    s->avail_out = (uInt)n;
    int rc = inflate(s, Z_NO_FLUSH);
    g->at = g->len - s->avail_in;
    *made = n - s->avail_out;
    switch (rc) {
    case Z_STREAM_END:
        return MEMBER_END;
    case Z_OK:
    case Z_BUF_ERROR:
        return *made ? MADE_OUTPUT : WANTS_INPUT;
    case Z_MEM_ERROR:
        return NO_MEMORY;
    default:
        return BAD_DATA;
    }
}

static void engine_end(struct cdp_gunzip *g)
{
    if (g->open)
        inflateEnd(&g->state);
}

#endif

struct cdp_gunzip *cdp_gunzip_new(cdp_read_fn *read, void *source, struct cdp_err *err)
{
    struct cdp_gunzip *g = cdp_mem_zalloc(1, sizeof *g, err);
    if (!g)
        return NULL;
    g->read = read;
    g->source = source;
    if (!(g->in = cdp_mem_alloc(IN_SIZE, err))) {
        free(g);
        return NULL;
    }
    return g;
}

void cdp_gunzip_free(struct cdp_gunzip *g)
{
    if (!g)
        return;
    engine_end(g);
    free(g->in);
    free(g);
}

/* More input behind what is there; eof is set where there is none. */
static int refill(struct cdp_gunzip *g, struct cdp_err *err)
{
    size_t left = g->len - g->at;
    memmove(g->in, g->in + g->at, left);
    g->at = 0;
    g->len = left;
    ssize_t got = g->read(g->source, g->in + left, IN_SIZE - left, err);
    if (got < 0)
        return -1;
    g->len += (size_t)got;
    g->eof = got == 0;
    return 0;
}

/* What follows the beginning or a member, from its first two bytes. */
static int between(struct cdp_gunzip *g, struct cdp_err *err)
{
    const unsigned char *p = g->in + g->at;
    size_t n = g->len - g->at;
    if (n < 2 && !g->eof)
        return refill(g, err);
    bool first = g->place == BEFORE_FIRST;
    if (n == 0)
        g->place = first ? TRUNCATED : DONE;
    else if (p[0] == 0 && !first)
        g->place = IN_PADDING;
    else if (p[0] != 0x1f || (n > 1 && p[1] != 0x8b))
        g->place = first ? CORRUPT : GARBAGE;
    else if (!engine_begin(g))
        return cdp_err_nomem(err, (size_t)64 << 10);
    else
        g->place = IN_MEMBER;
    return 0;
}

static int padding(struct cdp_gunzip *g, struct cdp_err *err)
{
    while (g->at < g->len && g->in[g->at] == 0)
        g->at++;
    if (g->at < g->len)
        g->place = GARBAGE;
    else if (g->eof)
        g->place = DONE;
    else
        return refill(g, err);
    return 0;
}

static int member(struct cdp_gunzip *g, void *buf, size_t n, size_t *made, struct cdp_err *err)
{
    switch (engine_run(g, buf, n, made)) {
    case MEMBER_END:
        g->place = AFTER_MEMBER;
        break;
    case BAD_DATA:
        g->place = CORRUPT;
        break;
    case NO_MEMORY:
        return cdp_err_nomem(err, (size_t)64 << 10);
    case WANTS_INPUT:
        if (g->eof)
            g->place = TRUNCATED;
        else
            return refill(g, err);
        break;
    case MADE_OUTPUT:
        break;
    }
    return 0;
}

ssize_t cdp_gunzip_read(struct cdp_gunzip *g, void *buf, size_t n, struct cdp_err *err)
{
    if (n > ENGINE_MAX)
        n = ENGINE_MAX;
    else if (n == 0)
        return 0;
    for (size_t made = 0;;) {
        int rc = 0;
        switch (g->place) {
        case BEFORE_FIRST:
        case AFTER_MEMBER:
            rc = between(g, err);
            break;
        case IN_MEMBER:
            rc = member(g, buf, n, &made, err);
            break;
        case IN_PADDING:
            rc = padding(g, err);
            break;
        case DONE:
            return 0;
        case TRUNCATED:
            return cdp_err_set(err, CDP_EXIT_DATA, "truncated gzip stream");
        case GARBAGE:
            return cdp_err_set(err, CDP_EXIT_DATA, "trailing garbage after a gzip member");
        case CORRUPT:
            return cdp_err_set(err, CDP_EXIT_DATA, "corrupt gzip data");
        }
        if (made)
            return (ssize_t)made;
        if (rc < 0)
            return -1;
    }
}

/* With a header that says nothing of when and where. */
static int pack_zlib(z_stream *s, int level, struct cdp_err *err)
{
    static gz_header plain = {.os = 255};
    if (deflateInit2(s, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return cdp_err_nomem(err, (size_t)256 << 10);
    deflateSetHeader(s, &plain);
    return 0;
}

static int pack_small(const void *p, size_t n, struct cdp_buf *out, struct cdp_err *err)
{
    z_stream s = {0};
    if (pack_zlib(&s, 6, err) < 0)
        return -1;
    uLong bound = deflateBound(&s, (uLong)n);
    if (cdp_buf_reserve(out, bound)) {
        s.next_in = (Bytef *)p;
        s.avail_in = (uInt)n;
        s.next_out = (Bytef *)out->data + out->len;
        s.avail_out = (uInt)bound;
        deflate(&s, Z_FINISH);
        out->len += s.total_out;
    }
    deflateEnd(&s);
    return cdp_buf_check(out, err);
}

struct cdp_gzip_stream {
    unsigned char *piece; /* PIECE bytes, of which `held` wait */
    size_t held;
    bool begun; /* the engine has been given a piece of this member */
#ifdef CDP_HAVE_ISAL
    struct isal_zstream state;
    uint8_t *level_buf;
#else
    z_stream state;
    bool open;
#endif
};

#define ROOM ((size_t)64 << 10)

#ifdef CDP_HAVE_ISAL

#define LEVEL_BUF ISAL_DEF_LVL2_EXTRA_LARGE

static int pack_begin(struct cdp_gzip_stream *z, struct cdp_err *err)
{
    if (!z->level_buf && !(z->level_buf = cdp_mem_alloc(LEVEL_BUF, err)))
        return -1;
    isal_deflate_init(&z->state);
    z->state.level = 2;
    z->state.level_buf = z->level_buf;
    z->state.level_buf_size = LEVEL_BUF;
    z->state.gzip_flag = IGZIP_GZIP;
    return 0;
}

static int pack_run(struct cdp_gzip_stream *z, const void *p, size_t n, bool last, struct cdp_buf *out,
                    struct cdp_err *err)
{
    struct isal_zstream *s = &z->state;
    s->next_in = (uint8_t *)p;
    s->avail_in = (uint32_t)n;
    s->end_of_stream = last;
    do {
        if (!cdp_buf_reserve(out, ROOM))
            return cdp_buf_check(out, err);
        size_t room = out->cap - out->len < ENGINE_MAX ? out->cap - out->len : ENGINE_MAX;
        s->next_out = (uint8_t *)out->data + out->len;
        s->avail_out = (uint32_t)room;
        if ((s->total_in == 0 && cdp_isal_first(s) != COMP_OK) || isal_deflate(s) != COMP_OK)
            return cdp_err_set(err, CDP_EXIT_IO, "gzip: the packer failed");
        out->len += room - s->avail_out;
    } while (s->avail_in || s->avail_out == 0 || (last && s->internal_state.state != ZSTATE_END));
    return 0;
}

static void pack_close(struct cdp_gzip_stream *z)
{
    free(z->level_buf);
}

#else

static int pack_begin(struct cdp_gzip_stream *z, struct cdp_err *err)
{
    if (z->open)
        deflateEnd(&z->state);
    z->open = false;
    memset(&z->state, 0, sizeof z->state);
    if (pack_zlib(&z->state, 5, err) < 0)
        return -1;
    z->open = true;
    return 0;
}

static int pack_run(struct cdp_gzip_stream *z, const void *p, size_t n, bool last, struct cdp_buf *out,
                    struct cdp_err *err)
{
    z_stream *s = &z->state;
    s->next_in = (Bytef *)p;
    s->avail_in = (uInt)n;
    int rc;
    do {
        if (!cdp_buf_reserve(out, ROOM))
            return cdp_buf_check(out, err);
        size_t room = out->cap - out->len < ENGINE_MAX ? out->cap - out->len : ENGINE_MAX;
        s->next_out = (Bytef *)out->data + out->len;
        s->avail_out = (uInt)room;
        rc = deflate(s, last ? Z_FINISH : Z_NO_FLUSH);
        out->len += room - s->avail_out;
    } while (last ? rc == Z_OK : s->avail_out == 0);
    return 0;
}

static void pack_close(struct cdp_gzip_stream *z)
{
    if (z->open)
        deflateEnd(&z->state);
}

#endif

struct cdp_gzip_stream *cdp_gzip_stream_new(struct cdp_err *err)
{
    struct cdp_gzip_stream *z = cdp_mem_zalloc(1, sizeof *z, err);
    if (z && !(z->piece = cdp_mem_alloc(PIECE, err))) {
        free(z);
        return NULL;
    }
    return z;
}

/* One piece to the engine. */
static int feed(struct cdp_gzip_stream *z, const void *p, size_t n, bool last, struct cdp_buf *out,
                struct cdp_err *err)
{
    if (!z->begun && pack_begin(z, err) < 0)
        return -1;
    z->begun = !last;
    return pack_run(z, p, n, last, out, err);
}

int cdp_gzip_stream_add(struct cdp_gzip_stream *z, const void *p, size_t n, struct cdp_buf *out,
                        struct cdp_err *err)
{
    const unsigned char *at = p;
    while (n) {
        /* A full piece waits until it is known not to be the last one. */
        if (z->held == PIECE) {
            if (feed(z, z->piece, PIECE, false, out, err) < 0)
                return -1;
            z->held = 0;
        }
        size_t take = n < PIECE - z->held ? n : PIECE - z->held;
        if (z->held == 0 && n > PIECE) {
            if (feed(z, at, PIECE, false, out, err) < 0)
                return -1;
            take = PIECE;
        } else {
            memcpy(z->piece + z->held, at, take);
            z->held += take;
        }
        at += take;
        n -= take;
    }
    return 0;
}

int cdp_gzip_stream_end(struct cdp_gzip_stream *z, struct cdp_buf *out, struct cdp_err *err)
{
    size_t n = z->held;
    z->held = 0;
    if (!z->begun && n < SMALL)
        return pack_small(z->piece, n, out, err);
    return feed(z, z->piece, n, true, out, err);
}

void cdp_gzip_stream_free(struct cdp_gzip_stream *z)
{
    if (!z)
        return;
    pack_close(z);
    free(z->piece);
    free(z);
}

int cdp_gzip(const void *p, size_t n, struct cdp_buf *out, struct cdp_err *err)
{
    if (n < SMALL)
        return pack_small(p, n, out, err);
    struct cdp_gzip_stream z = {0};
    const unsigned char *at = p;
    int rc = 0;
    while (rc == 0 && n > PIECE) {
        rc = feed(&z, at, PIECE, false, out, err);
        at += PIECE;
        n -= PIECE;
    }
    if (rc == 0)
        rc = feed(&z, at, n, true, out, err);
    pack_close(&z);
    return rc;
}
