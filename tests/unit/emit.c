/* The JSON writer: escapes, lone surrogates, numbers, keys, base64. */
#include "lib/emit.h"
#include "lib/scan.h"
#include "tap.h"

static struct cdp_buf b;

static const char *text(void)
{
    cdp_buf_addc(&b, '\0');
    return b.data;
}

static void string(const char *s, size_t n, const char *want, const char *name)
{
    cdp_buf_clear(&b);
    cdp_emit_string(&b, s, n);
    is(text(), want, name);
}

static void strings(void)
{
    string("", 0, "\"\"", "empty");
    string("plain", 5, "\"plain\"", "plain");
    string("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"", "quote, backslash, and no slash");
    string("\b\f\n\r\t\v\0\x1f\x7f", 9, "\"\\b\\f\\n\\r\\t\\u000b\\u0000\\u001f\x7f\"",
           "controls, and DEL is none");
    string("Zürich 東京 😀", strlen("Zürich 東京 😀"), "\"Zürich 東京 😀\"", "UTF-8 as it is");
    string("\xed\x9f\xbf\xee\x80\x80", 6, "\"\xed\x9f\xbf\xee\x80\x80\"",
           "U+D7FF and U+E000 are no surrogates");
    string("\xed\xa0\xbd", 3, "\"\\ud83d\"", "a lone high surrogate");
    string("x\xed\xbf\xbfy", 5, "\"x\\udfffy\"", "a lone low surrogate");
    string("\xed\xa0\x80\xed\xa0\x80", 6, "\"\\ud800\\ud800\"", "two of them");
    string("\xed\xa0\x80", 2, "\"\xed\xa0\"", "a sequence cut short is left alone");
}

/* Every byte below 0x80 at every place of strings around the vectors' sizes comes back through the decoder. */
static void round_trips(void)
{
    char s[80], line[600];
    struct cdp_buf back = {0};
    unsigned bad = 0;
    for (size_t n = 1; n <= 70; n++)
        for (size_t at = 0; at<n; at += n> 40 ? 7 : 1)
            for (int c = 0; c < 0x80; c++) {
                memset(s, n % 3 ? 'x' : '\t', n);
                s[at] = (char)c;
                cdp_buf_clear(&b);
                cdp_emit_string(&b, s, n);
                if (b.len > sizeof line - CDP_PAD) {
                    bad++;
                    continue;
                }
                memcpy(line, b.data, b.len);
                struct cdp_scan_fault fault;
                cdp_buf_clear(&back);
                if (cdp_scan_document(NULL, line, b.len, NULL, &fault))
                    cdp_val_decode(cdp_val_text(line, b.len), &back);
                bad += back.len != n || memcmp(back.data, s, n) != 0;
            }
    ok(bad == 0, "what was written is valid and decodes to the same bytes");
    cdp_buf_free(&back);
}

static void numbers(void)
{
    size_t wrong = 0;
    for (uint64_t u = 0, step = 0; step < 64; u = u * 2 + step % 2, step++) {
        char want[32];
        snprintf(want, sizeof want, "%llu", (unsigned long long)u);
        cdp_buf_clear(&b);
        cdp_emit_uint(&b, u);
        wrong += strcmp(text(), want) != 0;
    }
    for (uint64_t u = 0; u < 120; u++) {
        char want[32];
        snprintf(want, sizeof want, "%llu", (unsigned long long)u);
        cdp_buf_clear(&b);
        cdp_emit_uint(&b, u);
        wrong += strcmp(text(), want) != 0;
    }
    ok(wrong == 0, "numbers without a sign, of one digit to twenty");
}

static void values(void)
{
    cdp_buf_clear(&b);
    cdp_buf_addc(&b, '{');
    cdp_emit_key(&b, "a", 1);
    cdp_emit_int(&b, INT64_MIN);
    cdp_emit_key(&b, "q\"", 2);
    cdp_emit_int(&b, 0);
    cdp_emit_key(&b, "", 0);
    cdp_emit_uint(&b, UINT64_MAX);
    cdp_emit_key(&b, "v", 1);
    cdp_emit_val(&b, cdp_val_text("1.10", 4));
    cdp_emit_key(&b, "m", 1);
    cdp_emit_val(&b, (struct cdp_val){0});
    cdp_emit_key(&b, "o", 1);
    cdp_buf_addc(&b, '{');
    cdp_emit_key(&b, "s", 1);
    cdp_emit_cstr(&b, "t");
    cdp_buf_adds(&b, "}}");
    is(text(),
       "{\"a\":-9223372036854775808,\"q\\\"\":0,\"\":18446744073709551615,\"v\":1.10,\"m\":null,\"o\":{\"s\":"
       "\"t\"}}",
       "an object");
    cdp_buf_clear(&b);
    cdp_emit_key(&b, "k", 1);
    is(text(), "\"k\":", "no comma before a key at the very start");
}

static void base64(void)
{
    /* RFC 4648, section 10 */
    static const char *const want[] = {"\"\"",         "\"Zg==\"",     "\"Zm8=\"",    "\"Zm9v\"",
                                       "\"Zm9vYg==\"", "\"Zm9vYmE=\"", "\"Zm9vYmFy\""};
    for (size_t n = 0; n <= 6; n++) {
        cdp_buf_clear(&b);
        cdp_emit_base64(&b, "foobar", n);
        is(text(), want[n], "RFC 4648 vector");
    }
    cdp_buf_clear(&b);
    cdp_emit_base64(&b, "\xfb\xff\xfe\x00", 4);
    is(text(), "\"+//+AA==\"", "the last digits of the alphabet, and a zero byte");
}

int main(void)
{
    strings();
    round_trips();
    values();
    numbers();
    base64();
    ok(cdp_emit_is_utf8("Zürich", 7) && cdp_emit_is_utf8("", 0), "UTF-8");
    ok(!cdp_emit_is_utf8("Z\xfcrich", 6) && !cdp_emit_is_utf8("\xed\xa0\xbd", 3),
       "Latin-1 and WTF-8 are not");
    cdp_buf_free(&b);
    return done();
}
