/* val: see val.h.  The text is known to be valid, so walking it is a matter of strings and brackets. */
#include "lib/val.h"

#include "lib/simd.h"

#include <string.h>

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
        p++;
    return p;
}

/* p at the opening quote; the byte behind the closing one. */
static inline const char *skip_string(const char *p, const char *end, bool *escaped)
{
    cdp_simd_high high = cdp_simd_none();
    for (p++;;) {
        if (end - p >= CDP_SIMD_STRIDE) {
            uint64_t stops = cdp_simd_stops(p, &high);
            if (!stops) {
                p += CDP_SIMD_STRIDE;
                continue;
            }
            p += cdp_simd_first(stops);
        }
        if (*p == '"')
            return p + 1;
        *escaped |= *p == '\\';
        p += *p == '\\' ? 2 : 1;
    }
}

static const char *skip_nested(const char *p, const char *end)
{
    bool escaped = false;
    size_t depth = 0;
    for (;; p++) {
        switch (*p) {
        case '"':
            p = skip_string(p, end, &escaped) - 1;
            break;
        case '[':
        case '{':
            depth++;
            break;
        case ']':
        case '}':
            if (--depth == 0)
                return p + 1;
            break;
        default:
            break;
        }
    }
}

struct cdp_val cdp_val_at(const char *p, const char *end)
{
    struct cdp_val v = {.p = p};
    const char *q = p;
    bool escaped = false;
    switch (*p) {
    case '"':
        q = skip_string(p, end, &escaped);
        v.type = CDP_STRING;
        v.escaped = escaped;
        break;
    case '{':
        q = skip_nested(p, end);
        v.type = CDP_OBJECT;
        break;
    case '[':
        q = skip_nested(p, end);
        v.type = CDP_ARRAY;
        break;
    case 'n':
        q += 4;
        v.type = CDP_NULL;
        break;
    case 't':
        q += 4;
        v.type = CDP_TRUE;
        break;
    case 'f':
        q += 5;
        v.type = CDP_FALSE;
        break;
    default:
        while (q < end &&
               ((*q >= '0' && *q <= '9') || *q == '-' || *q == '+' || *q == '.' || *q == 'e' || *q == 'E'))
            q++;
        v.type = CDP_NUMBER;
    }
    v.len = (uint32_t)(q - p);
    return v;
}

/* Where the value's end is known from outside, nothing needs walking. */
struct cdp_val cdp_val_text(const char *p, size_t n)
{
    const char *end = p + n;
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n' || end[-1] == '\r'))
        end--;
    struct cdp_val v = {.p = p, .len = (uint32_t)(end - p)};
    if (p == end)
        return v;
    switch (*p) {
    case '"':
        v.type = CDP_STRING;
        v.escaped = memchr(p, '\\', v.len) != NULL;
        break;
    case '{':
        v.type = CDP_OBJECT;
        break;
    case '[':
        v.type = CDP_ARRAY;
        break;
    case 'n':
        v.type = CDP_NULL;
        break;
    case 't':
        v.type = CDP_TRUE;
        break;
    case 'f':
        v.type = CDP_FALSE;
        break;
    default:
        v.type = CDP_NUMBER;
    }
    return v;
}

static unsigned hex4(const char *p)
{
    unsigned u = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)p[i];
        u = u << 4 | (c <= '9' ? c - 48u : (c | 32u) - 'a' + 10u);
    }
    return u;
}

static size_t put_utf8(char *o, unsigned u)
{
    if (u < 0x80) {
        o[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        o[0] = (char)(0xC0 | u >> 6);
        o[1] = (char)(0x80 | (u & 63));
        return 2;
    }
    if (u < 0x10000) {
        o[0] = (char)(0xE0 | u >> 12);
        o[1] = (char)(0x80 | (u >> 6 & 63));
        o[2] = (char)(0x80 | (u & 63));
        return 3;
    }
    o[0] = (char)(0xF0 | u >> 18);
    o[1] = (char)(0x80 | (u >> 12 & 63));
    o[2] = (char)(0x80 | (u >> 6 & 63));
    o[3] = (char)(0x80 | (u & 63));
    return 4;
}

/* Resolves the escape at p (behind the backslash) into o; *used is how many bytes of input it took. */
static size_t unescape(const char *p, char *o, size_t *used)
{
    *used = 1;
    switch (*p) {
    case 'b':
        *o = '\b';
        return 1;
    case 'f':
        *o = '\f';
        return 1;
    case 'n':
        *o = '\n';
        return 1;
    case 'r':
        *o = '\r';
        return 1;
    case 't':
        *o = '\t';
        return 1;
    case 'u':
        break;
    default:
        *o = *p;
        return 1;
    }
    unsigned u = hex4(p + 1);
    *used = 5;
    if (u >= 0xD800 && u < 0xDC00 && p[5] == '\\' && p[6] == 'u') {
        unsigned low = hex4(p + 7);
        if (low >= 0xDC00 && low < 0xE000) {
            u = 0x10000 + ((u - 0xD800) << 10) + (low - 0xDC00);
            *used = 11;
        }
    }
    return put_utf8(o, u);
}

void cdp_val_decode(struct cdp_val v, struct cdp_buf *out)
{
    const char *p = v.p + 1, *end = v.p + v.len - 1;
    if (!v.escaped) {
        cdp_buf_add(out, p, (size_t)(end - p));
        return;
    }
    if (!cdp_buf_reserve(out, v.len)) /* an escape is never shorter than what it stands for */
        return;
    char *o = out->data + out->len;
    for (;;) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash ? slash : end) - p), used;
        memcpy(o, p, plain);
        o += plain;
        if (!slash)
            break;
        p = slash;
        o += unescape(p + 1, o, &used);
        p += 1 + used;
    }
    out->len = (size_t)(o - out->data);
}

const char *cdp_val_str(struct cdp_val v, struct cdp_buf *scratch, size_t *n)
{
    if (!v.escaped) {
        *n = v.len - 2;
        return v.p + 1;
    }
    cdp_buf_clear(scratch);
    cdp_val_decode(v, scratch);
    *n = scratch->len;
    return scratch->data;
}

bool cdp_val_str_eq(struct cdp_val v, const char *s, size_t n)
{
    const char *p = v.p + 1, *end = v.p + v.len - 1;
    if (!v.escaped)
        return (size_t)(end - p) == n && memcmp(p, s, n) == 0;
    const char *s_end = s + n;
    while (p < end) {
        char c[4];
        size_t used = 1, made = 1;
        if (*p == '\\') {
            made = unescape(p + 1, c, &used);
            used++;
        } else {
            c[0] = *p;
        }
        if ((size_t)(s_end - s) < made || memcmp(s, c, made) != 0)
            return false;
        s += made;
        p += used;
    }
    return s == s_end;
}

struct cdp_iter cdp_val_iter(struct cdp_val v)
{
    if (v.type != CDP_ARRAY && v.type != CDP_OBJECT)
        return (struct cdp_iter){.p = "]"};
    return (struct cdp_iter){.p = v.p + 1, .end = v.p + v.len, .object = v.type == CDP_OBJECT};
}

bool cdp_iter_next(struct cdp_iter *it)
{
    const char *p = skip_space(it->p);
    if (*p == ',')
        p = skip_space(p + 1);
    if (*p == ']' || *p == '}') {
        it->p = p;
        return false;
    }
    if (it->object) {
        it->key = cdp_val_at(p, it->end);
        p = skip_space(p + it->key.len);
        p = skip_space(p + 1);
    }
    it->val = cdp_val_at(p, it->end);
    it->p = p + it->val.len;
    return true;
}

struct cdp_val cdp_val_get(struct cdp_val v, const char *key, size_t n)
{
    struct cdp_val found = {0};
    if (v.type != CDP_OBJECT)
        return found;
    struct cdp_iter it = cdp_val_iter(v);
    while (cdp_iter_next(&it))
        if (cdp_val_str_eq(it.key, key, n))
            found = it.val;
    return found;
}
