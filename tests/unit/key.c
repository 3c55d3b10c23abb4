/* Keys: their order against jq's, identity, the way back, and keys as options name them. */
#include "lib/key.h"

#include "lib/emit.h"
#include "tap.h"

#include <stdlib.h>

static struct cdp_err err;
static uint64_t state = 20260205;

static uint32_t draw(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % below);
}

static struct cdp_buf encoded(const char *json)
{
    struct cdp_buf b = {0};
    if (cdp_key_value(cdp_val_text(json, strlen(json)), &b, &err) < 0)
        ok(false, "encoding %s: %s", json, err.msg);
    return b;
}

static int cmp(const struct cdp_buf *a, const struct cdp_buf *b)
{
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    order = order ? order : (a->len > b->len) - (a->len < b->len);
    return (order > 0) - (order < 0);
}

/* --- the bytes, which are kept in files */

static void format(void)
{
    static const struct {
        const char *json, *hex;
    } vector[] = {
        {"null", "02"},
        {"false", "03"},
        {"true", "04"},
        {"0", "40"},
        {"-0.0e7", "40"},
        {"1", "4a14"},
        {"-1", "36eb"},
        {"12.5", "4b1964"},
        {"-12.5", "35e69b"},
        {"123456", "4f194570"},
        {"0.000000012", "4218"},
        {"0.0000000012", "417ffffffffffffff718"},
        {"1e24", "6214"},
        {"1e25", "63800000000000001914"},
        {"-1e25", "1d7fffffffffffffe6eb"},
        {"\"\"", "7000"},
        {"\"Aé\"", "7041c3a900"},
        {"\"\\u0000\\u0001\\u0002\"", "7001010102020"
                                      "0"},
        {"\"\\ud83d\"", "70eda0bd00"},
        {"[]", "7801"},
        {"[null,[1]]", "7802784a140101"},
        {"{}", "7c01"},
        {"{\"b\":true,\"a\":null,\"b\":false}", "7c70610070620001"
                                                "0203"},
    };
    for (size_t i = 0; i < sizeof vector / sizeof *vector; i++) {
        struct cdp_buf b = encoded(vector[i].json), hex = {0};
        for (size_t k = 0; k < b.len; k++)
            cdp_buf_addf(&hex, "%02x", (unsigned char)b.data[k]);
        cdp_buf_addc(&hex, '\0');
        is(hex.data, vector[i].hex, vector[i].json);
        cdp_buf_free(&b);
        cdp_buf_free(&hex);
    }
    struct cdp_buf a = encoded("\"x\\u0000\\u0001y\""), b = {0};
    cdp_key_string("x\0\1y", 4, &b);
    ok(cmp(&a, &b) == 0, "a string from its bytes");
    cdp_buf_clear(&b);
    ok(cdp_key_value((struct cdp_val){0}, &b, &err) == 0 && b.len == 1 && b.data[0] == 2, "missing is null");
    cdp_buf_clear(&b);
    cdp_buf_addc(&b, 'x');
    const char *far = "[1,{\"a\":1e4611686018427387904}]";
    ok(cdp_key_value(cdp_val_text(far, strlen(far)), &b, &err) < 0 && err.exit == CDP_EXIT_DATA && b.len == 1,
       "an exponent past 62 bits is no key, and nothing is left of it");
    cdp_buf_free(&a);
    cdp_buf_free(&b);
}

/* --- order */

/* As jq 1.6 sorts them; "=" before a value: equal to the one before.  What jq itself gets wrong (digits that a double does
 * not hold, repeated keys, lone surrogates) is as DESIGN has it. */
static const char *const sorted[] = {"null",
                                     "false",
                                     "true",
                                     "-1e4611686018427387903",
                                     "-1e400",
                                     "-12345678901234567891",
                                     "-12345678901234567890",
                                     "=-1234567890123456789e1",
                                     "-1e17",
                                     "-123456789012345678e-1",
                                     "-10",
                                     "-9.99",
                                     "-1.5",
                                     "-1.25",
                                     "-1",
                                     "=-1.0",
                                     "=-10e-1",
                                     "-0.5",
                                     "-1e-9",
                                     "-1e-10",
                                     "-1e-400",
                                     "-1e-4611686018427387903",
                                     "0",
                                     "=-0",
                                     "=0.000",
                                     "=0e99999999999999999999",
                                     "1e-4611686018427387903",
                                     "1e-400",
                                     "1e-10",
                                     "1.00000000000000000001e-10",
                                     "1e-9",
                                     "1.5e-9",
                                     "1e-8",
                                     "0.5",
                                     "0.99",
                                     "1",
                                     "=1.0",
                                     "=1e0",
                                     "=10e-1",
                                     "=100E-2",
                                     "1.00000000000000000000000000000001",
                                     "1.25",
                                     "1.5",
                                     "2",
                                     "9",
                                     "9.5",
                                     "10",
                                     "=1e1",
                                     "10.01",
                                     "11",
                                     "12",
                                     "99",
                                     "100",
                                     "101",
                                     "110",
                                     "120",
                                     "123",
                                     "1230",
                                     "9999",
                                     "1700000000000",
                                     "9007199254740992",
                                     "9007199254740993",
                                     "99999999999999999",
                                     "1e17",
                                     "12345678901234567890",
                                     "=12345678901234567890.0",
                                     "12345678901234567891",
                                     "1e24",
                                     "1e25",
                                     "1e400",
                                     "1.1e400",
                                     "1e4611686018427387903",
                                     "\"\"",
                                     "\"\\u0000\"",
                                     "\"\\u0000\\u0000\"",
                                     "\"\\u0000\\u0001\"",
                                     "\"\\u0000a\"",
                                     "\"\\u0001\"",
                                     "\"\\u0001\\u0001\"",
                                     "\"\\u0002\"",
                                     "\"\\n\"",
                                     "\" \"",
                                     "\"1\"",
                                     "\"A\"",
                                     "=\"\\u0041\"",
                                     "\"A\\u0000\"",
                                     "\"A\\u0001\"",
                                     "\"A \"",
                                     "\"AA\"",
                                     "\"B\"",
                                     "\"\\\\\"",
                                     "\"a\"",
                                     "\"aa\"",

                                     "\"~\"",
                                     "\"\\u007f\"",
                                     "\"\\u0080\"",
                                     "\"é\"",
                                     "=\"\\u00e9\"",
                                     "\"東\"",
                                     "\"퟿\"",
                                     "\"\\ud83d\"",
                                     "\"\\ud83da\"",
                                     "\"\\ude00\"",
                                     "\"\\ue000\"",
                                     "\"\\uffff\"",
                                     "\"😀\"",
                                     "=\"\\ud83d\\ude00\"",
                                     "\"\\udbff\\udfff\"",
                                     "[]",
                                     "=[ ]",
                                     "[null]",
                                     "[null,null]",
                                     "[false]",
                                     "[0]",
                                     "[0,1]",
                                     "[1]",
                                     "=[ 1.0 ]",
                                     "[1,[]]",
                                     "[1,{}]",
                                     "[2]",
                                     "[10]",
                                     "[\"\"]",
                                     "[\"\",\"\"]",
                                     "[\"\\u0000\"]",
                                     "[\"a\"]",
                                     "[\"a\",\"b\"]",
                                     "[\"a\\u0000\"]",
                                     "[\"ab\"]",
                                     "[[]]",
                                     "[[],[]]",

                                     "[[1],0]",
                                     "[[[]]]",
                                     "[{}]",
                                     "{}",
                                     "={ }",
                                     "{\"\":0}",
                                     "{\"\":[]}",
                                     "{\"\":0,\"a\":0}",
                                     "{\"\\u0000\":0}",
                                     "{\"a\":null}",
                                     "{\"a\":1}",
                                     "={\"a\":2,\"a\":1.0}",
                                     "={\"\\u0061\":1}",
                                     "{\"a\":2}",
                                     "={ \"a\" : 2 }",
                                     "{\"a\":\"\"}",
                                     "{\"a\":[1]}",
                                     "{\"a\":[1,2]}",
                                     "{\"a\":{}}",
                                     "{\"a\":{\"a\":0}}",
                                     "{\"a\":0,\"b\":9}",
                                     "={\"b\":9,\"a\":0}",
                                     "={\"b\":1,\"a\":0,\"b\":9}",
                                     "{\"a\":1,\"b\":0}",
                                     "{\"a\":0,\"b\":0,\"c\":0}",
                                     "{\"a\":0,\"c\":0}",
                                     "{\"a\\u0000\":0}",
                                     "{\"aa\":0}",
                                     "{\"b\":0}",
                                     "{\"é\":0}"};

static void order(void)
{
    enum { N = sizeof sorted / sizeof *sorted };
    struct cdp_buf key[N];
    int rank[N];
    for (int i = 0; i < N; i++) {
        bool equal = sorted[i][0] == '=';
        key[i] = encoded(sorted[i] + equal);
        rank[i] = i == 0 ? 0 : rank[i - 1] + !equal;
    }
    for (int i = 0; i < N; i++) {
        unsigned bad = 0, prefix = 0;
        for (int j = 0; j < N; j++) {
            bad += cmp(&key[i], &key[j]) != (rank[i] > rank[j]) - (rank[i] < rank[j]);
            prefix += rank[i] != rank[j] && key[i].len <= key[j].len &&
                      memcmp(key[i].data, key[j].data, key[i].len) == 0;
        }
        ok(bad == 0 && prefix == 0, "%s among all, and a prefix of none", sorted[i]);
    }
    for (int i = 0; i < N; i++)
        cdp_buf_free(&key[i]);
}

/* Random numbers, close to each other more often than chance has it. */
static int random_number(char *s, size_t cap)
{
    static const char *const form[] = {"%s%u", "%s%u.%u", "%s0.000%u", "%s%ue%u", "%s%u.%ue-%u", "%s%u000%u"};
    uint32_t kind = draw(8), a = 1 + draw(draw(2) ? 20 : 100000), b = draw(1000), c = draw(30);
    const char *sign = draw(2) ? "-" : "";
    if (kind < 6)
        return snprintf(s, cap, form[kind], sign, kind == 4 ? a % 10 : a, b, c);
    int n = snprintf(s, cap, "%s1", sign);
    for (uint32_t k = draw(40); k > 0; k--)
        s[n++] = (char)('0' + (draw(3) ? 0 : draw(10)));
    if (kind == 7)
        n += snprintf(s + n, cap - (size_t)n, "E-%u", draw(500));
    s[n] = '\0';
    return n;
}

static void random_numbers(void)
{
    enum { N = 70000 };
    unsigned bad = 0, text = 0, equal = 0, back = 0;
    char before[100] = "0";
    struct cdp_num a = CDP_NUM_ZERO, b = CDP_NUM_ZERO;
    struct cdp_buf x = encoded("0"), y = {0}, z = {0};
    for (int i = 0; i < N; i++) {
        char s[100];
        int n = i % 8 || strchr(before, 'e') || strchr(before, 'E')
                    ? random_number(s, sizeof s)
                    : snprintf(s, sizeof s, "%.98se0", before);
        cdp_buf_clear(&y);
        if (cdp_key_value(cdp_val_text(s, (size_t)n), &y, &err) < 0 ||
            cdp_num_parse(&b, s, (size_t)n, &err) < 0) {
            bad++;
            break;
        }
        int want = cdp_num_cmp(&b, &a);
        bad += cmp(&y, &x) != want;
        text += cdp_num_cmp_text(s, (size_t)n, before, strlen(before)) != want;
        equal += want == 0;
        /* Back, and forth again. */
        cdp_buf_clear(&z);
        cdp_key_decode((const unsigned char *)y.data, &z);
        struct cdp_num c = CDP_NUM_ZERO;
        back += cdp_num_parse(&c, z.data, z.len, &err) < 0 || cdp_num_cmp(&c, &b) != 0;
        cdp_num_free(&c);
        struct cdp_num swap = a;
        a = b;
        b = swap;
        struct cdp_buf other = x;
        x = y;
        y = other;
        memcpy(before, s, sizeof before);
    }
    ok(bad == 0, "%d random pairs of numbers in cdp_num_cmp's order", N);
    ok(text == 0, "and in cdp_num_cmp_text's");
    ok(equal > 1000, "%u of them equal", equal);
    ok(back == 0, "all come back");
    cdp_num_free(&a);
    cdp_num_free(&b);
    cdp_buf_free(&x);
    cdp_buf_free(&y);
    cdp_buf_free(&z);
}

/* Every form of the same value, from 1 to 40 digits with the point anywhere, has the same bytes: the fast way for short
 * numbers and the general one meet here. */
static void number_forms(void)
{
    unsigned bad = 0, forms = 0;
    for (int digits = 1; digits <= 40; digits++)
        for (int point = 0; point <= digits; point++)
            for (int shift = -12; shift <= 30; shift += 7) {
                char d[64], plain[200], science[200];
                for (int i = 0; i < digits; i++)
                    d[i] = (char)('0' + (i == 0 || i == digits - 1 ? 1 + draw(9) : draw(4) ? draw(10) : 0));
                d[digits] = '\0';
                snprintf(science, sizeof science, "-%se%d", d, shift - point);
                if (shift >= point)
                    snprintf(plain, sizeof plain, "-%s%.*s", d, shift - point,
                             "000000000000000000000000000000");
                else if (point - shift < digits)
                    snprintf(plain, sizeof plain, "-%.*s.%s00", digits - point + shift, d,
                             d + digits - point + shift);
                else
                    snprintf(plain, sizeof plain, "-0.%.*s%s", point - shift - digits,
                             "000000000000000000000000000000000000000000000000000000", d);
                for (int sign = 0; sign < 2; sign++) {
                    struct cdp_buf a = encoded(plain + sign), b = encoded(science + sign);
                    bad += cmp(&a, &b) != 0;
                    forms++;
                    cdp_buf_free(&a);
                    cdp_buf_free(&b);
                }
            }
    ok(bad == 0, "%u numbers in plain and scientific notation", forms);
}

/* --- the way back */

static void decoding(void)
{
    static const char *const vector[][2] = {
        {"null", "null"},
        {"true", "true"},
        {"false", "false"},
        {"-0", "0"},
        {"1.50", "1.5"},
        {"-120e-1", "-12"},
        {"1e400", "1E+400"},
        {"-1.25e-4611686018427387903", "-1.25E-4611686018427387903"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "1.234567890123456789012345678901234567890123456789012345678901234567890123456789E+79"},
        {"\"\"", "\"\""},
        {"\"a\\u0000\\u0001\\u0002\\\"\\\\\\/\\ud83d\\ud83d\\ude00é\"",
         "\"a\\u0000\\u0001\\u0002\\\"\\\\/\\ud83d😀é\""},
        {"[ ]", "[]"},
        {"[1 , [ ] , {} , \"x\"]", "[1,[],{},\"x\"]"},
        {"{\"b\":[1,2],\"a\":{\"\\u0000\":null},\"b\":0.0,\"\":\"\"}",
         "{\"\":\"\",\"a\":{\"\\u0000\":null},\"b\":0}"},
    };
    for (size_t i = 0; i < sizeof vector / sizeof *vector; i++) {
        struct cdp_buf key = encoded(vector[i][0]), json = {0};
        const unsigned char *end = cdp_key_decode((const unsigned char *)key.data, &json);
        ok((const char *)end == key.data + key.len, "%s: its end", vector[i][0]);
        cdp_buf_addc(&json, '\0');
        is(json.data, vector[i][1], vector[i][0]);
        cdp_buf_free(&key);
        cdp_buf_free(&json);
    }
    struct cdp_buf key = {0}, json = {0};
    cdp_key_time((struct cdp_time){.sec = -1, .nsec = 500000000}, &key);
    cdp_key_time((struct cdp_time){.sec = 1770308580}, &key);
    const unsigned char *p = cdp_key_decode((const unsigned char *)key.data, &json);
    cdp_buf_addc(&json, ' ');
    p = cdp_key_decode(p, &json);
    ok((const char *)p == key.data + key.len, "joined keys are taken apart");
    cdp_buf_addc(&json, '\0');
    is(json.data, "\"1969-12-31T23:59:59.500Z\" \"2026-02-05T16:23:00Z\"", "instants");
    cdp_buf_free(&key);
    cdp_buf_free(&json);
}

static bool plain_ascii(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= 0x80)
            return false;
    return true;
}

/* Does cdp_key_decode_short give that text, or no answer where it should not?  Bytes behind the encoding tell it nothing. */
static bool decodes_short(const struct cdp_buf *key, const struct cdp_buf *want, bool should)
{
    char *copy = malloc(key->len + CDP_KEY_WIDE);
    memcpy(copy, key->data, key->len);
    memset(copy + key->len, 0xFF, CDP_KEY_WIDE);
    struct cdp_buf json = {0};
    const char *end = (const char *)cdp_key_decode_short((const unsigned char *)copy, &json);
    bool good = should ? end == copy + key->len && json.len == want->len &&
                             memcmp(json.data, want->data, want->len) == 0
                       : !end && json.len == 0;
    free(copy);
    cdp_buf_free(&json);
    return good;
}

/* Strings of 0 to 70 bytes, with each of these at each place, come back as emit writes them. */
static void decoded_strings(void)
{
    static const char *const piece[] = {"a", "\"", "\\", "\n", "\x7f", "é", "\x01", "\xed\xa0\x80", "~", " "};
    size_t wrong = 0;
    for (size_t len = 0; len <= 70; len++)
        for (size_t at = 0; at <= len; at++)
            for (size_t i = 0; i < sizeof piece / sizeof *piece; i++) {
                char s[80];
                size_t n = strlen(piece[i]);
                memset(s, 'x', sizeof s);
                memcpy(s + at, piece[i], n);
                n = at == len ? len : at + n > len ? at + n : len;
                struct cdp_buf key = {0}, json = {0}, want = {0};
                cdp_key_string(s, n, &key);
                const unsigned char *end = cdp_key_decode((const unsigned char *)key.data, &json);
                cdp_emit_string(&want, s, n);
                wrong += (const char *)end != key.data + key.len || json.len != want.len ||
                         memcmp(json.data, want.data, want.len) != 0;
                wrong +=
                    !decodes_short(&key, &want, n < CDP_KEY_WIDE && want.len == n + 2 && plain_ascii(s, n));
                cdp_buf_free(&key);
                cdp_buf_free(&json);
                cdp_buf_free(&want);
            }
    ok(wrong == 0, "strings of any length with what has to be escaped at any place");
}

/* 512 deep; and an object of 100,000 members, in reverse, each given twice. */
static void large(void)
{
    struct cdp_buf deep = {0}, wide = {0}, plain = {0}, key = {0}, other = {0}, json = {0};
    for (int i = 0; i < 256; i++)
        cdp_buf_adds(&deep, "[{\"k\":");
    cdp_buf_adds(&deep, "1");
    for (int i = 0; i < 256; i++)
        cdp_buf_adds(&deep, "}]");
    int rc = cdp_key_value(cdp_val_text(deep.data, deep.len), &key, &err);
    ok(rc == 0 && *cdp_key_decode((const unsigned char *)(cdp_buf_addc(&key, 'x'), key.data), &json) == 'x' &&
           json.len == deep.len && memcmp(json.data, deep.data, json.len) == 0,
       "a value 512 deep");

    cdp_buf_addc(&plain, '{');
    cdp_buf_addc(&wide, '{');
    for (unsigned i = 0; i < 100000; i++) {
        cdp_buf_addf(&plain, "%s\"key %06u\":%u", i ? "," : "", i, i);
        cdp_buf_addf(&wide, "%s\"key\\u0020%06u\":\"old\"", i ? "," : "", 99999 - i);
    }
    for (unsigned i = 0; i < 100000; i++)
        cdp_buf_addf(&wide, " , \"key %06u\" : %u.0", 99999 - i, 99999 - i);
    cdp_buf_addc(&plain, '}');
    cdp_buf_addc(&wide, '}');
    cdp_buf_clear(&key);
    rc = cdp_key_value(cdp_val_text(plain.data, plain.len), &key, &err);
    rc |= cdp_key_value(cdp_val_text(wide.data, wide.len), &other, &err);
    ok(rc == 0 && cmp(&key, &other) == 0, "an object of 100,000 members");
    cdp_buf_free(&deep);
    cdp_buf_free(&wide);
    cdp_buf_free(&plain);
    cdp_buf_free(&key);
    cdp_buf_free(&other);
    cdp_buf_free(&json);
}

/* --- random values against a comparison that knows nothing of bytes */

static int cmp_values(struct cdp_val a, struct cdp_val b);

/* The sorted, unique keys of an object, decoded. */
struct names {
    struct cdp_buf text[16];
    size_t n;
};

static int cmp_texts(const void *a, const void *b)
{
    const struct cdp_buf *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = n ? memcmp(x->data, y->data, n) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static struct names names_of(struct cdp_val object)
{
    struct names names = {0};
    struct cdp_iter it = cdp_val_iter(object);
    while (cdp_iter_next(&it)) {
        struct cdp_buf name = {0};
        bool known = false;
        cdp_val_decode(it.key, &name);
        for (size_t i = 0; i < names.n; i++)
            known |= cmp_texts(&names.text[i], &name) == 0;
        if (known)
            cdp_buf_free(&name);
        else
            names.text[names.n++] = name;
    }
    qsort(names.text, names.n, sizeof *names.text, cmp_texts);
    return names;
}

static int cmp_objects(struct cdp_val a, struct cdp_val b)
{
    struct names x = names_of(a), y = names_of(b);
    int order = 0;
    for (size_t i = 0; order == 0 && i < x.n && i < y.n; i++)
        order = cmp_texts(&x.text[i], &y.text[i]);
    if (order == 0)
        order = (x.n > y.n) - (x.n < y.n);
    for (size_t i = 0; order == 0 && i < x.n; i++) {
        const struct cdp_buf *k = &x.text[i];
        const char *name = k->data ? k->data : "";
        order = cmp_values(cdp_val_get(a, name, k->len), cdp_val_get(b, name, k->len));
    }
    for (size_t i = 0; i < 16; i++) {
        cdp_buf_free(&x.text[i]);
        cdp_buf_free(&y.text[i]);
    }
    return order;
}

static int cmp_values(struct cdp_val a, struct cdp_val b)
{
    int order = (a.type > b.type) - (a.type < b.type);
    if (order || a.type < CDP_NUMBER)
        return order;
    if (a.type == CDP_NUMBER)
        return cdp_num_cmp_text(a.p, a.len, b.p, b.len);
    if (a.type == CDP_OBJECT)
        return cmp_objects(a, b);
    if (a.type == CDP_STRING) {
        struct cdp_buf x = {0}, y = {0};
        cdp_val_decode(a, &x);
        cdp_val_decode(b, &y);
        order = cmp_texts(&x, &y);
        cdp_buf_free(&x);
        cdp_buf_free(&y);
        return order;
    }
    struct cdp_iter i = cdp_val_iter(a), j = cdp_val_iter(b);
    for (;;) {
        bool more = cdp_iter_next(&i), other = cdp_iter_next(&j);
        if (!more || !other)
            return more - other;
        if ((order = cmp_values(i.val, j.val)) != 0)
            return order;
    }
}

static void random_string(struct cdp_buf *b)
{
    static const char *const piece[] = {
        "a",       "b", "\\u0000", "\\u0001", "\\u0002", "\\\\", "\\u0061", "é",
        "\\u00e9", "😀", "\\ud83d", "\\ude00", "\\uffff", "\\\"", "z",       "longer than one vector"};
    cdp_buf_addc(b, '"');
    for (uint32_t n = draw(4); n > 0; n--)
        cdp_buf_adds(b, piece[draw(16)]);
    cdp_buf_addc(b, '"');
}

static void random_value(struct cdp_buf *b, int depth)
{
    static const char *const constant[] = {"null", "false", "true", "0", "1", "1.0", "-1", "1e2", "100"};
    char number[100];
    switch (draw(depth < 4 ? 8 : 4)) {
    case 0:
    case 1:
        cdp_buf_adds(b, constant[draw(9)]);
        break;
    case 2:
        cdp_buf_add(b, number, (size_t)random_number(number, sizeof number));
        break;
    case 3:
    case 4:
        random_string(b);
        break;
    case 5:
        cdp_buf_addc(b, '[');
        for (uint32_t i = 0, n = draw(3); i < n; i++) {
            cdp_buf_adds(b, i ? "," : draw(2) ? " " : "");
            random_value(b, depth + 1);
        }
        cdp_buf_addc(b, ']');
        break;
    default:
        cdp_buf_addc(b, '{');
        for (uint32_t i = 0, n = draw(4); i < n; i++) {
            cdp_buf_adds(b, i ? " , " : "");
            random_string(b);
            cdp_buf_adds(b, draw(2) ? ":" : " : ");
            random_value(b, depth + 1);
        }
        cdp_buf_addc(b, '}');
    }
}

static void random_values(void)
{
    enum { N = 700 };
    static struct cdp_buf json[N], key[N];
    unsigned bad = 0, back = 0, invalid = 0;
    for (int i = 0; i < N; i++) {
        struct cdp_buf decoded = {0}, again = {0};
        struct cdp_scan_fault fault;
        random_value(&json[i], i % 3 ? 1 : 4);
        cdp_buf_addc(&json[i], ' ');
        invalid += cdp_key_value(cdp_val_text(json[i].data, json[i].len), &key[i], &err) < 0;
        cdp_key_decode((const unsigned char *)key[i].data, &decoded);
        cdp_buf_addc(&decoded, ' ');
        invalid += !cdp_scan_document(NULL, decoded.data, decoded.len, NULL, &fault);
        invalid += cdp_key_value(cdp_val_text(decoded.data, decoded.len), &again, &err) < 0;
        back += cmp(&again, &key[i]) != 0;
        cdp_buf_free(&decoded);
        cdp_buf_free(&again);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int want =
                cmp_values(cdp_val_text(json[i].data, json[i].len), cdp_val_text(json[j].data, json[j].len));
            bad += cmp(&key[i], &key[j]) != (want > 0) - (want < 0);
        }
    ok(invalid == 0 && bad == 0, "%d random values, each against each", N);
    ok(back == 0, "what comes back encodes to the same bytes");
    for (int i = 0; i < N; i++) {
        cdp_buf_free(&json[i]);
        cdp_buf_free(&key[i]);
    }
}

/* --- keys as options name them */

/* Encodes by the spec from a line; the result of cdp_keyspec_encode, which cdp_keyspec_hash has to have as well, -2 where the
 * spec or the line is bad. */
static int by_spec(const char *text, const char *json, enum cdp_key_missing missing, struct cdp_buf *out,
                   struct cdp_hash128 *hash)
{
    struct cdp_plan *plan = cdp_plan_new(&err);
    struct cdp_keyspec spec;
    struct cdp_scan_fault fault;
    struct cdp_val fields[8];
    char line[512] = {0};
    int rc = -2;
    snprintf(line, sizeof line - CDP_PAD, "%s\n", json);
    if (plan && cdp_keyspec_parse(&spec, text, plan, &err) == 0) {
        if (cdp_scan_line(plan, line, fields, &fault))
            rc = cdp_keyspec_hash(&spec, fields, missing, out, hash, &err);
        size_t before = out->len;
        if (rc != -2 && rc != cdp_keyspec_encode(&spec, fields, missing, out, &err))
            rc = -2;
        if (rc != 0 && out->len != before)
            rc = -2;
        cdp_keyspec_free(&spec);
    }
    cdp_plan_free(plan);
    return rc;
}

/* Sorts the lines' keys: want is -1, 0 or 1.  Their hashes are the same where they are. */
static void sorts(const char *spec, const char *a, const char *b, int want)
{
    struct cdp_buf x = {0}, y = {0};
    struct cdp_hash128 h = {0}, i = {0};
    int rc = by_spec(spec, a, CDP_KEY_MISSING_NULL, &x, &h) | by_spec(spec, b, CDP_KEY_MISSING_NULL, &y, &i);
    ok(rc == 0 && cmp(&x, &y) == want && (h.hi == i.hi && h.lo == i.lo) == (want == 0), "%s: %s %s %s", spec,
       a,
       want < 0 ? "before"
       : want   ? "after"
                : "with",
       b);
    cdp_buf_free(&x);
    cdp_buf_free(&y);
}

static void refuses(const char *spec, const char *json, enum cdp_key_missing missing, int want,
                    const char *message)
{
    struct cdp_buf b = {0};
    cdp_buf_adds(&b, "kept");
    err = (struct cdp_err){0};
    struct cdp_hash128 hash;
    int rc = by_spec(spec, json, missing, &b, &hash);
    ok(rc == want && b.len == 4 && err.exit == (want == -2 ? CDP_EXIT_USAGE : CDP_EXIT_DATA),
       "%s of %s is refused", spec, json);
    is(err.msg, message, "in words");
    cdp_buf_free(&b);
}

static void specs(void)
{
    sorts("a", "{\"a\":1}", "{\"a\":2}", -1);
    sorts(".a", "{\"a\":1.0}", "{\"a\":1}", 0);
    sorts("a", "{\"a\":1}", "{\"a\":10e-1}",
          0); /* a number alone is hashed in a way of its own where it is short */
    sorts("a:desc", "{\"a\":1}", "{\"a\":10e-1}", 0);
    sorts("a", "{\"a\":-0.0}", "{\"a\":0e9}", 0);
    sorts("a", "{\"a\":-120}", "{\"a\":-0.12000000000000000e3}", 0);
    sorts("a", "{\"a\":12345678}", "{\"a\":1.2345678e7}", 0);
    sorts("a", "{\"a\":123456789}", "{\"a\":12345678900e-2}", 0);
    sorts("a", "{\"a\":1234567890.12345}", "{\"a\":1234567890.1234500000}", 0);
    sorts("a", "{\"a\":1234567890123456}", "{\"a\":1234567890123456.0}", 0);
    sorts("a", "{\"a\":1234567890123455}", "{\"a\":1234567890123456}", -1);
    sorts("a", "{\"a\":\"A\"}", "{\"a\":\"\\u0041\"}", 0);
    sorts("a", "{\"a\":\"\"}", "{\"a\":\"\"}", 0);
    sorts("a", "{\"a\":\"\"}", "{\"a\":\"\\u0000\"}", -1);
    sorts("a", "{\"a\":\"\\u0000\"}", "{\"a\":\"\\u0001\\u0001\"}", -1);
    sorts("a", "{\"a\":1}", "{\"a\":\"1\"}", -1);
    sorts("a", "{\"a\":0}", "{\"a\":\"@\"}", -1); /* which is how 0 is encoded */
    sorts("a:desc", "{\"a\":1}", "{\"a\":2}", 1);
    sorts("a:desc", "{\"a\":\"x\"}", "{\"a\":\"xy\"}", 1);
    sorts("a:desc", "{}", "{\"a\":0}", 1);
    sorts("a,b:desc", "{\"a\":1,\"b\":1}", "{\"a\":1,\"b\":2}", 1);
    sorts("a,b:desc", "{\"a\":\"1\",\"b\":9}", "{\"a\":\"10\",\"b\":0}", -1);
    sorts("a:desc,b", "{\"a\":\"1\",\"b\":9}", "{\"a\":\"1\",\"b\":[]}", -1);
    sorts("a,a.b", "{\"a\":{\"b\":2}}", "{\"a\":{\"b\":10}}", -1);
    sorts(".", "{\"a\":1,\"b\":2}", "{\"b\":2.0, \"a\":1}", 0);
    sorts(".[\"a,b:desc\"],.c", "{\"a,b:desc\":1,\"c\":0}", "{\"a,b:desc\":1,\"c\":1}", -1);
    sorts(".[\"q\\\",\"]", "{\"q\\\",\":1}", "{\"q\\\",\":2}", -1);
    sorts("t:time", "{\"t\":\"2026-02-05T12:00:00+02:00\"}", "{\"t\":\"2026-02-05T10:00:00.000Z\"}", 0);
    sorts("t:time", "{\"t\":\"2026-02-05T12:00:00+05:00\"}", "{\"t\":\"2026-02-05T10:00:00Z\"}", -1);
    sorts("t:time", "{\"t\":\"1969-12-31T23:59:59.999999999Z\"}", "{\"t\":\"1970-01-01T00:00:00Z\"}", -1);
    sorts("t:time", "{\"t\":null}", "{\"t\":\"0001-01-01T00:00:00Z\"}", -1);
    sorts("t:time:desc", "{\"t\":\"2026-02-05T12:00:00Z\"}", "{\"t\":\"2026-02-05T12:00:00.1Z\"}", 1);
    sorts("n:num", "{\"n\":\"10\"}", "{\"n\":9}", 1);
    sorts("n:num", "{\"n\":\"1\\u0030\"}", "{\"n\":1e1}", 0);
    sorts("n:num:desc", "{\"n\":\"-10\"}", "{\"n\":9}", 1);

    refuses("a,b", "{\"a\":1}", CDP_KEY_MISSING_ERROR, 1, "key b is missing or null");
    refuses(".a.b", "{\"a\":{\"b\":null}}", CDP_KEY_MISSING_ERROR, 1, "key .a.b is missing or null");
    refuses("t:time", "{\"t\":\"yesterday\"}", CDP_KEY_MISSING_NULL, -1, "key t: not an RFC 3339 time");
    refuses("a,t:time", "{\"a\":1,\"t\":1770308580}", CDP_KEY_MISSING_NULL, -1,
            "key t: not an RFC 3339 time");
    refuses("n:num", "{\"n\":\"1x\"}", CDP_KEY_MISSING_NULL, -1, "key n: not a number");
    refuses("n:num", "{\"n\":\"\"}", CDP_KEY_MISSING_NULL, -1, "key n: not a number");
    refuses("n:num", "{\"n\":true}", CDP_KEY_MISSING_NULL, -1, "key n: not a number");
    refuses("n", "{\"n\":1e4611686018427387904}", CDP_KEY_MISSING_NULL, -1,
            "key n: a number's exponent is past 62 bits");
    refuses("n:num", "{\"n\":\"1e4611686018427387904\"}", CDP_KEY_MISSING_NULL, -1,
            "key n: a number's exponent is past 62 bits");

    static const char *const form = "expected PATH[:time|:num][:desc]";
    static const struct {
        const char *spec, *part;
    } bad[] = {{"a:up", "a:up"}, {"a:desc:desc", "a:desc:desc"}, {"a:desc:time", "a:desc:time"},
               {"a:", "a:"},     {"b,a:time:num", "a:time:num"}, {"a:time:time", "a:time:time"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char want[200];
        snprintf(want, sizeof want, "key '%s': %s", bad[i].part, form);
        refuses(bad[i].spec, "{}", CDP_KEY_MISSING_NULL, -2, want);
    }
    refuses("", "{}", CDP_KEY_MISSING_NULL, -2, "key '': expected a path");
    refuses("a,", "{}", CDP_KEY_MISSING_NULL, -2, "key '': expected a path");
    refuses(":desc", "{}", CDP_KEY_MISSING_NULL, -2, "key ':desc': expected a path");
    struct cdp_buf b = {0};
    struct cdp_hash128 hash;
    ok(by_spec("a..b", "{}", CDP_KEY_MISSING_NULL, &b, &hash) == -2 && err.exit == CDP_EXIT_USAGE &&
           strncmp(err.msg, "key 'a..b': path 'a..b'", 23) == 0,
       "a bad path is the path parser's to explain");
    cdp_buf_free(&b);
}

int main(void)
{
    format();
    order();
    random_numbers();
    number_forms();
    decoding();
    decoded_strings();
    large();
    random_values();
    specs();
    return done();
}
