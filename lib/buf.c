/* buf: see buf.h. */
#include "lib/buf.h"

#include "lib/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

bool cdp_buf_grow(struct cdp_buf *b, size_t more)
{
    struct cdp_err err;
    if (b->failed || more > SIZE_MAX - b->len) {
        b->failed = true;
        return false;
    }
    char *p = cdp_mem_grow(b->data, &b->cap, b->len + more, 1, &err);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->data = p;
    return true;
}

void cdp_buf_addf(struct cdp_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !cdp_buf_reserve(b, (size_t)n + 1))
        return;
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void cdp_buf_free(struct cdp_buf *b)
{
    free(b->data);
    *b = (struct cdp_buf){0};
}

/* In runs whose count fits a byte, which is what a compiler turns into vector code. */
size_t cdp_buf_count(const char *p, size_t n, char c)
{
    size_t count = 0, i = 0;
    for (; i + 128 <= n; i += 128) {
        uint8_t few = 0;
        for (size_t j = 0; j < 128; j++)
            few = (uint8_t)(few + (p[i + j] == c));
        count += few;
    }
    for (; i < n; i++)
        count += p[i] == c;
    return count;
}
