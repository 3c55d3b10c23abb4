/* Fuzz target: cdp_gunzip agrees with zlib on any bytes: the verdict, and what is unpacked when it is good.  The first byte
 * says in what pieces the input comes and the output is asked for; and what is packed comes back. */
#include "lib/gz.h"

#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT ((size_t)1 << 22) /* of unpacked bytes */

struct bytes {
    const uint8_t *p;
    size_t n, step;
};

static ssize_t give(void *source, void *buf, size_t n, struct cdp_err *err)
{
    (void)err;
    struct bytes *b = source;
    n = n < b->step ? n : b->step;
    n = n < b->n ? n : b->n;
    if (n)
        memcpy(buf, b->p, n);
    b->p += n;
    b->n -= n;
    return (ssize_t)n;
}

/* Ours: 1 good, 0 refused, -1 past the limit. */
static int ours(struct bytes src, size_t step, struct cdp_buf *out)
{
    struct cdp_err err;
    struct cdp_gunzip *g = cdp_gunzip_new(give, &src, &err);
    ssize_t n;
    if (!g)
        abort();
    do {
        if (!cdp_buf_reserve(out, step))
            abort();
        n = cdp_gunzip_read(g, out->data + out->len, step, &err);
        out->len += n > 0 ? (size_t)n : 0;
    } while (n > 0 && out->len < LIMIT);
    cdp_gunzip_free(g);
    if (n < 0 && err.exit != CDP_EXIT_DATA)
        abort();
    return n > 0 ? -1 : n == 0;
}

/* zlib's, member by member, with zeros behind the last one allowed. */
static int theirs(const uint8_t *p, size_t n, struct cdp_buf *out)
{
    const uint8_t *end = p + n;
    bool first = true;
    while (p < end || first) {
        if (!first && *p == 0) {
            while (p < end && *p == 0)
                p++;
            return p == end;
        }
        z_stream s = {.next_in = (Bytef *)(uintptr_t)p, .avail_in = (uInt)(end - p)};
        if (inflateInit2(&s, 15 + 16) != Z_OK)
            abort();
        int rc;
        do {
            if (!cdp_buf_reserve(out, 1 << 16))
                abort();
            s.next_out = (Bytef *)out->data + out->len;
            s.avail_out = 1 << 16;
            rc = inflate(&s, Z_NO_FLUSH);
            out->len += (1 << 16) - s.avail_out;
        } while (rc == Z_OK && out->len < LIMIT);
        p = s.next_in;
        inflateEnd(&s);
        if (rc == Z_OK)
            return -1;
        if (rc != Z_STREAM_END)
            return 0;
        first = false;
    }
    return 1;
}

static void round_trip(const uint8_t *data, size_t n)
{
    struct cdp_err err;
    struct cdp_buf packed = {0}, back = {0};
    if (cdp_gzip(data, n, &packed, &err) < 0)
        abort();
    struct bytes src = {(const uint8_t *)packed.data, packed.len, 1000};
    if (ours(src, 4096, &back) != 1 || back.len != n || (n && memcmp(back.data, data, n) != 0))
        abort();
    cdp_buf_free(&packed);
    cdp_buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t step[] = {1, 3, 100, 5000, 1 << 18, 2, 17, 600};
    if (size == 0)
        return 0;
    struct cdp_buf a = {0}, b = {0};
    struct bytes src = {data + 1, size - 1, step[data[0] & 7]};
    int we = ours(src, step[data[0] >> 3 & 7], &a), they = theirs(data + 1, size - 1, &b);
    if (we >= 0 && they >= 0 &&
        (we != they || (we && (a.len != b.len || (a.len && memcmp(a.data, b.data, a.len) != 0)))))
        abort();
    cdp_buf_free(&a);
    cdp_buf_free(&b);
    round_trip(data, size);
    return 0;
}
