/* name: see name.h.  A surrogate of the range stands in a buffer as its WTF-8 form, ED B2 80 … ED B3 BF, which no UTF-8
 * name can hold. */
#include "lib/name.h"

#include "lib/emit.h"
#include "lib/utf8.h"

void cdp_name_emit(struct cdp_buf *b, const char *p, size_t n)
{
    const char *end = p + n, *fault = cdp_utf8_fault(p, end);
    if (!fault) {
        cdp_emit_string(b, p, n);
        return;
    }
    struct cdp_buf wtf8 = {0};
    for (; fault; p = fault + 1, fault = cdp_utf8_fault(p, end)) {
        unsigned byte =
            (unsigned char)*fault; /* above 0x7f: U+DC00 + byte has the bits 1101 1100 1xxx xxxx */
        const char three[3] = {(char)0xed, (char)(0xb0 | byte >> 6), (char)(0x80 | (byte & 0x3f))};
        cdp_buf_add(&wtf8, p, (size_t)(fault - p));
        cdp_buf_add(&wtf8, three, 3);
    }
    cdp_buf_add(&wtf8, p, (size_t)(end - p));
    if (!wtf8.failed)
        cdp_emit_string(b, wtf8.data, wtf8.len);
    b->failed |= wtf8.failed;
    cdp_buf_free(&wtf8);
}

void cdp_name_decode(struct cdp_val v, struct cdp_buf *out)
{
    size_t at = out->len;
    cdp_val_decode(v, out);
    size_t to = at;
    while (at < out->len) {
        const unsigned char *p = (const unsigned char *)out->data + at;
        bool stands = out->len - at >= 3 && p[0] == 0xed && (p[1] == 0xb2 || p[1] == 0xb3);
        out->data[to++] = stands ? (char)(p[1] << 6 | (p[2] & 0x3f)) : (char)p[0];
        at += stands ? 3 : 1;
    }
    out->len = to;
}
