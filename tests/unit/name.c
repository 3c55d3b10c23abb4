#include "lib/name.h"

#include "lib/val.h"

#include "tap.h"

static void round_trip(const char *name, size_t n, const char *json)
{
    struct cdp_buf text = {0}, back = {0};
    cdp_name_emit(&text, name, n);
    struct cdp_val v = cdp_val_text(text.data, text.len);
    cdp_name_decode(v, &back);
    ok(text.len == strlen(json) && memcmp(text.data, json, text.len) == 0, "%s", json);
    ok(back.len == n && memcmp(back.data, name, n) == 0, "and back");
    cdp_buf_free(&text);
    cdp_buf_free(&back);
}

int main(void)
{
    round_trip("plain", 5, "\"plain\"");
    round_trip("a\"\\\n", 4, "\"a\\\"\\\\\\n\"");
    round_trip("\xc3\xa9", 2, "\"\xc3\xa9\"");
    round_trip("\x80\xff", 2, "\"\\udc80\\udcff\"");
    round_trip("x\xc3", 2, "\"x\\udcc3\"");
    /* A name that holds the bytes of such a surrogate itself. */
    round_trip("\xed\xb2\x80", 3, "\"\\udced\\udcb2\\udc80\"");
    round_trip("\xf0\x9f\x98\x80\xfe", 5, "\"\xf0\x9f\x98\x80\\udcfe\"");
    return done();
}
