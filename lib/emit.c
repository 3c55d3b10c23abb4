/* emit: see emit.h.  JSON after RFC 8259, base64 after RFC 4648, section 4.  Runs that need no escape are found a vector
 * at a time and copied whole. */
#include "lib/emit.h"

#include "lib/simd.h"
#include "lib/utf8.h"

#include <string.h>

/* Must the byte at s[i] be written as an escape?  A lone surrogate is the only sequence that begins ED A0…BF. */
static inline bool special(const unsigned char *s, size_t i, size_t n)
{
    return s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || (s[i] == 0xED && n - i > 2 && s[i + 1] >= 0xA0);
}

/* The first byte from i on that needs an escape, or n. */
static size_t find_special(const char *s, size_t i, size_t n)
{
    while (i < n) {
        size_t some = n - i < CDP_SIMD_STRIDE ? n - i : CDP_SIMD_STRIDE;
        char last[CDP_SIMD_STRIDE];
        if (some < CDP_SIMD_STRIDE) {
            memset(last, ' ', sizeof last);
            memcpy(last, s + i, some);
        }
        cdp_simd_high high = cdp_simd_none();
        uint64_t stops = cdp_simd_stops(some < CDP_SIMD_STRIDE ? last : s + i, &high);
        if (cdp_simd_any_high(high))
            break;
        if (stops)
            return i + cdp_simd_first(stops);
        i += some;
    }
    while (i < n && !special((const unsigned char *)s, i, n))
        i++;
    return i;
}

/* Writes the escape for s[0]; returns how many bytes of s it stands for. */
static size_t put_escape(struct cdp_buf *b, const unsigned char *s)
{
    static const char hex[] = "0123456789abcdef";
    static const char letter[] = "btn\0fr"; /* for 8 to 13 */
    unsigned c = s[0];
    size_t used = 1;
    char e[6] = {'\\', (char)c};
    if (c == '"' || c == '\\') {
        cdp_buf_add(b, e, 2);
        return used;
    }
    if (c >= 8 && c <= 13 && letter[c - 8]) {
        e[1] = letter[c - 8];
        cdp_buf_add(b, e, 2);
        return used;
    }
    if (c == 0xED) {
        c = 0xD000u | (s[1] & 63u) << 6 | (s[2] & 63u);
        used = 3;
    }
    e[1] = 'u';
    for (unsigned i = 0; i < 4; i++)
        e[2 + i] = hex[c >> (12 - 4 * i) & 15];
    cdp_buf_add(b, e, 6);
    return used;
}

void cdp_emit_string(struct cdp_buf *b, const char *s, size_t n)
{
    if (!cdp_buf_reserve(b, n + 2))
        return;
    cdp_buf_addc(b, '"');
    for (size_t i = 0; i < n;) {
        size_t end = find_special(s, i, n);
        cdp_buf_add(b, s + i, end - i);
        i = end;
        if (i < n)
            i += put_escape(b, (const unsigned char *)s + i);
    }
    cdp_buf_addc(b, '"');
}

void cdp_emit_cstr(struct cdp_buf *b, const char *s)
{
    cdp_emit_string(b, s, strlen(s));
}

void cdp_emit_val(struct cdp_buf *b, struct cdp_val v)
{
    if (v.type == CDP_MISSING)
        cdp_buf_add(b, "null", 4);
    else
        cdp_buf_add(b, v.p, v.len);
}

static void put_digits(struct cdp_buf *b, uint64_t u, bool neg)
{
    char text[21], *p = text + sizeof text;
    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (neg)
        *--p = '-';
    cdp_buf_add(b, p, (size_t)(text + sizeof text - p));
}

void cdp_emit_int(struct cdp_buf *b, int64_t i)
{
    put_digits(b, i < 0 ? 0 - (uint64_t)i : (uint64_t)i, i < 0);
}

void cdp_emit_uint(struct cdp_buf *b, uint64_t u)
{
    if (u < 10)
        cdp_buf_addc(b, (char)('0' + u));
    else
        put_digits(b, u, false);
}

void cdp_emit_key(struct cdp_buf *b, const char *name, size_t n)
{
    if (b->len && b->data[b->len - 1] != '{')
        cdp_buf_addc(b, ',');
    cdp_emit_string(b, name, n);
    cdp_buf_addc(b, ':');
}

void cdp_emit_base64(struct cdp_buf *b, const void *p, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = p;
    if (n > SIZE_MAX / 2 || !cdp_buf_reserve(b, (n + 2) / 3 * 4 + 2)) {
        b->failed = true;
        return;
    }
    char *o = b->data + b->len;
    *o++ = '"';
    for (; n > 0; s += 3) {
        size_t take = n < 3 ? n : 3;
        uint32_t bits = (uint32_t)s[0] << 16 | (take > 1 ? (uint32_t)s[1] << 8 : 0) | (take > 2 ? s[2] : 0);
        *o++ = digit[bits >> 18];
        *o++ = digit[bits >> 12 & 63];
        *o++ = take > 1 ? digit[bits >> 6 & 63] : '=';
        *o++ = take > 2 ? digit[bits & 63] : '=';
        n -= take;
    }
    *o++ = '"';
    b->len = (size_t)(o - b->data);
}

bool cdp_emit_is_utf8(const char *p, size_t n)
{
    return cdp_utf8_fault(p, p + n) == NULL;
}
