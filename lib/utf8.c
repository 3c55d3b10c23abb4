/* utf8: see utf8.h.  Eight bytes at a time while all are ASCII, else by the table of well-formed sequences of
 * the Unicode standard (table 3-7).  The fast vector check is in scan_impl.h; this one says where. */
#include "lib/utf8.h"

#include <stdint.h>
#include <string.h>

/* Length of the well-formed sequence at p, 0 where it is not one. */
static size_t sequence(const unsigned char *p, size_t left)
{
    unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    size_t n = c >= 0xC2 && c <= 0xDF ? 2 : c >= 0xE0 && c <= 0xEF ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (n == 0 || left < n)
        return 0;
    unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

const char *cdp_utf8_fault(const char *p, const char *end)
{
    while (p < end) {
        uint64_t eight;
        if (end - p >= 8) {
            memcpy(&eight, p, 8);
            if ((eight & 0x8080808080808080u) == 0) {
                p += 8;
                continue;
            }
        }
        size_t n = sequence((const unsigned char *)p, (size_t)(end - p));
        if (n == 0)
            return p;
        p += n;
    }
    return NULL;
}
