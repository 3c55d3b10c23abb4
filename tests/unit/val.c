/* Values: where they end, what strings decode to, walking, members. */
#include "lib/val.h"
#include "lib/scan.h"
#include "tap.h"

#include <stdlib.h>

/* Memory without a byte behind it, so that the address sanitizer sees one that is read there. */
static char *exact(const char *text, size_t n)
{
    char *p = malloc(n);
    if (!p)
        abort();
    memcpy(p, text, n);
    return p;
}

static void ends(void)
{
    static const struct {
        const char *text;
        size_t len;
        enum cdp_type type;
        bool escaped;
    } cases[] = {
        {"null", 4, CDP_NULL, false},
        {"true", 4, CDP_TRUE, false},
        {"false", 5, CDP_FALSE, false},
        {"0", 1, CDP_NUMBER, false},
        {"-1.5E+10", 8, CDP_NUMBER, false},
        {"-1.5E+10,2", 8, CDP_NUMBER, false},
        {"12]", 2, CDP_NUMBER, false},
        {"\"\"", 2, CDP_STRING, false},
        {"\"a\",\"b\"", 3, CDP_STRING, false},
        {"\"\\\"\"", 4, CDP_STRING, true},
        {"\"\\\\\",1", 4, CDP_STRING, true},
        {"\"abcdefghijklmnopqrstuvwxyz0123456789\"", 38, CDP_STRING, false},
        {"\"abcdefghijklmn\\\"pqrstuvwxyz\"  ", 29, CDP_STRING, true},
        {"\"abcdefghijklmno\\\\\", \"x\"", 19, CDP_STRING, true},
        {"[]", 2, CDP_ARRAY, false},
        {"[1,[2,\"]\"],{\"]\":[]}] ]", 20, CDP_ARRAY, false},
        {"{\"}\":\"\\\"}\",\"a\":{}}}", 18, CDP_OBJECT, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = strlen(cases[i].text);
        char *text = exact(cases[i].text, n);
        struct cdp_val v = cdp_val_at(text, text + n);
        ok(v.p == text && v.len == cases[i].len && v.type == cases[i].type && v.escaped == cases[i].escaped,
           "the value at %s", cases[i].text);
        struct cdp_val w = cdp_val_text(text, v.len);
        ok(w.p == v.p && w.len == v.len && w.type == v.type && w.escaped == v.escaped, "and as a text");
        free(text);
    }
    struct cdp_val v = cdp_val_text(" \t\r\n[ 1 ]\n ", 11);
    ok(v.type == CDP_ARRAY && v.len == 5, "white space around a text is left out");
    ok(cdp_val_text("  ", 2).type == CDP_MISSING, "a text of white space is no value");
    ok(cdp_val_none((struct cdp_val){0}) && cdp_val_none(cdp_val_text("null", 4)) &&
           !cdp_val_none(cdp_val_text("false", 5)),
       "missing and null are none");
}

static void decodes(const char *json, const char *want, size_t n)
{
    size_t len = strlen(json), got_len;
    char *text = exact(json, len);
    struct cdp_val v = cdp_val_text(text, len);
    struct cdp_buf out = {0}, scratch = {0};
    cdp_buf_adds(&out, "before");
    cdp_val_decode(v, &out);
    ok(out.len == 6 + n && memcmp(out.data + 6, want, n) == 0, "%s decodes", json);
    const char *got = cdp_val_str(v, &scratch, &got_len);
    ok(got_len == n && (n == 0 || memcmp(got, want, n) == 0) && (v.escaped || got == text + 1),
       "the same as a string, without a copy where nothing is escaped");
    ok(cdp_val_str_eq(v, want, n), "it equals what it decodes to");
    ok(!cdp_val_str_eq(v, "before\x01", 7) && (n == 0 || !cdp_val_str_eq(v, want, n - 1)) &&
           !cdp_val_str_eq(v, out.data, out.len),
       "and nothing else");
    cdp_buf_free(&out);
    cdp_buf_free(&scratch);
    free(text);
}

static void strings(void)
{
    decodes("\"\"", "", 0);
    decodes("\"plain\"", "plain", 5);
    decodes("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    decodes("\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac", 6);
    decodes("\"\\u0000\"", "\0", 1);
    decodes("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11);
    decodes("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4);
    decodes("\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8);
    decodes("\"\\ud83d\"", "\xed\xa0\xbd", 3);
    decodes("\"\\ude00\\ud83d\"", "\xed\xb8\x80\xed\xa0\xbd", 6);
    decodes("\"\\ud83d\\ud83d\\ude00\"", "\xed\xa0\xbd\xf0\x9f\x98\x80", 7);
    decodes("\"\\ud83d\\ue000\\udbff\\udbff\"", "\xed\xa0\xbd\xee\x80\x80\xed\xaf\xbf\xed\xaf\xbf", 12);
    decodes("\"\\ud83dx\"", "\xed\xa0\xbdx", 4);
    decodes("\"\\ud83d\\n\"", "\xed\xa0\xbd\n", 4);
    decodes("\"\\ud83d\\u0041\"",
            "\xed\xa0\xbd"
            "A",
            4);
    decodes("\"long enough for a vector, then \\t and long enough again\"",
            "long enough for a vector, then \t and long enough again", 54);
}

/* What walking gives, as one text: key=value or value, with ';' behind each. */
static void walks(const char *json, const char *want)
{
    size_t n = strlen(json);
    char *text = exact(json, n);
    struct cdp_buf got = {0};
    struct cdp_iter it = cdp_val_iter(cdp_val_text(text, n));
    while (cdp_iter_next(&it)) {
        if (it.key.type != CDP_MISSING) {
            cdp_buf_add(&got, it.key.p, it.key.len);
            cdp_buf_addc(&got, '=');
        }
        cdp_buf_add(&got, it.val.p, it.val.len);
        cdp_buf_addc(&got, ';');
    }
    ok(!cdp_iter_next(&it), "the end stays the end");
    cdp_buf_addc(&got, '\0');
    is(got.data, want, "what walking gives");
    cdp_buf_free(&got);
    free(text);
}

static void walking(void)
{
    walks("[]", "");
    walks("{}", "");
    walks("[ ]", "");
    walks("[1,\"a\",[2],{\"b\":3},null]", "1;\"a\";[2];{\"b\":3};null;");
    walks("{\"a\":1,\"b\":[],\"a\":2}", "\"a\"=1;\"b\"=[];\"a\"=2;");
    walks(" { \"a\\\"\" :\t1 , \"\" : [ 2 , 3 ] } ", "\"a\\\"\"=1;\"\"=[ 2 , 3 ];");
    walks("{\n\"a\": {\r\n\"b\": true\n}\n}", "\"a\"={\r\n\"b\": true\n};");
    walks("\"no container\"", "");
    walks("12", "");
}

static void gets(const char *json, const char *key, const char *want)
{
    size_t n = strlen(json);
    char *text = exact(json, n);
    struct cdp_val v = cdp_val_get(cdp_val_text(text, n), key, strlen(key));
    if (want)
        ok(v.len == strlen(want) && v.p && memcmp(v.p, want, v.len) == 0, "%s of %s", key, json);
    else
        ok(v.type == CDP_MISSING, "no %s in %s", key, json);
    free(text);
}

static void members(void)
{
    gets("{\"a\":1,\"b\":2}", "b", "2");
    gets("{\"a\":1,\"b\":2,\"a\":3}", "a", "3");
    gets("{\"\\u0061\":1}", "a", "1");
    gets("{\"a\":1,\"\\u0061\":null}", "a", "null");
    gets("{\"x\":{\"a\":1}}", "a", NULL);
    gets("{\"\":1}", "", "1");
    gets("{}", "a", NULL);
    gets("[\"a\"]", "a", NULL);
    gets("null", "a", NULL);
}

int main(void)
{
    ends();
    strings();
    walking();
    members();
    return done();
}
