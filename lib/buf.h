/* buf: a growable run of bytes.
 *
 * Appending cannot be checked byte by byte without drowning the code in checks, so failure is sticky: after
 * an allocation has failed, appends do nothing and `failed` stays set; the owner asks once, with
 * cdp_buf_check, before the bytes are used.  Zero-initialise to begin, cdp_buf_free to end; `data` may be
 * used after the struct until then.  A buffer belongs to one thread. */
#ifndef CDP_BUF_H
#define CDP_BUF_H

#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct cdp_buf {
    char *data;
    size_t len, cap;
    bool failed;
};

/* Room for `more` bytes after len.  False when there is none (and failed is set). */
bool cdp_buf_grow(struct cdp_buf *b, size_t more);

static inline bool cdp_buf_reserve(struct cdp_buf *b, size_t more)
{
    return b->cap - b->len >= more || cdp_buf_grow(b, more);
}

static inline void cdp_buf_add(struct cdp_buf *b, const void *p, size_t n)
{
    if (n && cdp_buf_reserve(b, n)) {
        memcpy(b->data + b->len, p, n);
        b->len += n;
    }
}

#define CDP_BUF_WIDE 32

/* The same where CDP_BUF_WIDE bytes of p may be read, however few of them count: short text is copied in two steps. */
static inline void cdp_buf_add_wide(struct cdp_buf *b, const char *p, size_t n)
{
    if (n > CDP_BUF_WIDE || b->cap - b->len < CDP_BUF_WIDE) {
        cdp_buf_add(b, p, n);
        return;
    }
    memcpy(b->data + b->len, p, CDP_BUF_WIDE);
    b->len += n;
}

static inline void cdp_buf_addc(struct cdp_buf *b, char c)
{
    if (cdp_buf_reserve(b, 1))
        b->data[b->len++] = c;
}

static inline void cdp_buf_adds(struct cdp_buf *b, const char *s)
{
    cdp_buf_add(b, s, strlen(s));
}

/* printf into the buffer; for cold paths. */
void cdp_buf_addf(struct cdp_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* 0, or -1 and *err where an append has failed since the buffer was made. */
static inline int cdp_buf_check(const struct cdp_buf *b, struct cdp_err *err)
{
    return b->failed ? cdp_err_nomem(err, b->cap) : 0;
}

/* How many bytes of [p, p+n) are c. */
size_t cdp_buf_count(const char *p, size_t n, char c);

/* Empties it and keeps the memory. */
static inline void cdp_buf_clear(struct cdp_buf *b)
{
    b->len = 0;
}

void cdp_buf_free(struct cdp_buf *b);

#endif
