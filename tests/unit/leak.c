/* Unit tests of lib/leak: what is taken for personal data, and what is not. */
#include "lib/leak.h"
#include "tests/unit/tap.h"

/* "e", "p", "c" for what was found. */
static const char *found(const char *s)
{
    static char out[4];
    unsigned f = cdp_leak_text(s, strlen(s));
    size_t n = 0;
    if (f & 1u << CDP_LEAK_EMAIL)
        out[n++] = 'e';
    if (f & 1u << CDP_LEAK_PHONE)
        out[n++] = 'p';
    if (f & 1u << CDP_LEAK_CARD)
        out[n++] = 'c';
    out[n] = 0;
    return out;
}

static void test_text(void)
{
    static const char *const cases[][2] = {
        {"bob@example.com", "e"},
        {"write to Bob.Smith+x@mail.example.co.uk, please", "e"},
        {"mailto:bob@example.com", "e"},
        {"https://x.org/?q=bob%40example.com", "e"},
        {"j\xc3\xb6rg@m\xc3\xbcller.de", "e"},
        {"bob@EXAMPLE.COM.", "e"},
        {"bob@localhost", ""},
        {"@example.com", ""},
        {"a @ b.com", ""},
        {"bob@", ""},
        {"git@1.2.3.4", ""},
        {"x@v1.2", ""},
        {"@handle and 50% off", ""},

        {"+4930123456", "p"},
        {"+49 30 123456", "p"},
        {"+49 (0)30 123456", "p"},
        {"+1-317-934-4997", "p"},
        {"+(49)30123456", "p"},
        {"001-811-254-4899x659", "p"},
        {"0049 30 123456", "p"},
        {"(685)230-3311x85422", "p"},
        {"(685) 230-3311", "p"},
        {"366.311.9792", "p"},
        {"366-311-9792", "p"},
        {"1 366 311 9792", "p"},
        {"7065698588", "p"},
        {"17065698588", "p"},
        {"tel:7065698588", "p"},
        {"call 706-569-8588 now", "p"},
        {"call 706-569-8588, or", "p"},
        {"030 1234567", "p"},
        {"030/1234567", "p"},
        {"0171234567", "p"},
        {"01 23 45 67 89", "p"},
        {"612 34 56 78", "p"},
        {"706-569-8588 - 706-569-8589", "p"},

        {"", ""},
        {"2026-02-05", ""},
        {"2026-02-05T16:23:00.017737Z", ""},
        {"2026-02-05 16:23:00", ""},
        {"2026-02-05T16:23:00.123456789+05:45", ""},
        {"05.02.2026 16:23", ""},
        {"01/02/2023", ""},
        {"20260205162300", ""},
        {"20260205T162300Z", ""},
        {"1770304980", ""},
        {"1770304980123", ""},
        {"1770304980123456789", ""},
        {"192.168.100.200", ""},
        {"10.0.0.1:8080", ""},
        {"550e8400-e29b-41d4-a716-446655440000", ""},
        {"12345678-1234-5678-9012-abcdef012345", ""},
        {"12345678-1234-5678-9012-123456789012", ""},
        {"a1b2c3d4-1234-5678-9012-12345678901f", ""},
        {"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ""},
        {"4111111111111111a", ""},
        {"-45.864413", ""},
        {"0.1234567890", ""},
        {"45.8644 38.1674", ""},
        {"1,234,567,890.12", ""},
        {"order_7065698588", ""},
        {"17.0.1.2048", ""},
        {"12345", ""},
        {"80331", ""},
        {"0000012345", ""},
        {"http://placeimg.com/640/480/people?48226", ""},
        {"978-3-16-148410-0", ""},
        {"25430", ""},

        {"4111111111111111", "c"},
        {"4111 1111 1111 1111", "c"},
        {"4111-1111-1111-1111", "c"},
        {"card: 5555555555554444!", "c"},
        {"3782 822463 10005", "c"},
        {"378282246310005", "c"},
        {"30569309025904", "c"},
        {"3056 930902 5904", "c"},
        {"6011111111111117", "c"},
        {"2223003122003222", "c"},
        {"https://x.org/4111111111111111", "c"},
        {"12 4111111111111111 2027", "c"},
        {"4111111111111112", ""},
        {"4111 1111 1111 1112", ""},
        {"41111 111 1111 1111", ""},
        {"1111111111111117", ""},
        {"5999999999999993", ""},
        {"9999999999999995", ""},
        {"41111111111111111111", ""},

        {"bob@example.com, +49 30 123456, 4111 1111 1111 1111", "epc"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        is(found(cases[i][0]), cases[i][1], cases[i][0]);
    ok(cdp_leak_text("a\0b@example.com", 15) == 1u << CDP_LEAK_EMAIL, "behind a NUL");
    ok(cdp_leak_text("-\0"
                     "7065698588",
                     12) == 1u << CDP_LEAK_PHONE,
       "a number behind a NUL");
}

static void test_values(void)
{
    static const struct {
        const char *json;
        uint64_t want[CDP_LEAK_KINDS];
    } cases[] = {
        {"\"bob@example.com\"", {1, 0, 0}},
        {"\"bob\\u0040example.com\"", {1, 0, 0}},
        {"7065698588", {0, 1, 0}},
        {"4111111111111111", {0, 0, 1}},
        {"-4111111111111111", {0, 0, 0}},
        {"4111111111111111.5", {0, 0, 0}},
        {"4111111111111111.0", {0, 0, 1}},
        {"7065698588.00", {0, 1, 0}},
        {"7065698588e0", {0, 0, 0}},
        {"706569858.8", {0, 0, 0}},
        {"null", {0, 0, 0}},
        {"{\"a\":[\"bob@example.com\",{\"b\":\"bob@example.com +4930123456\"}],\"c\":1}", {2, 1, 0}},
        {"{\"bob@example.com\":true}", {1, 0, 0}},
        {"[ 7065698588 , [ -7065698588 ] , { \"a\\\"\" : 4111111111111111 } ]", {0, 1, 1}},
        {"[false,true,null,\"\"]", {0, 0, 0}},
        {"[]", {0, 0, 0}},
    };
    struct cdp_buf scratch = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t got[CDP_LEAK_KINDS] = {0};
        cdp_leak_count(cdp_val_text(cases[i].json, strlen(cases[i].json)), &scratch, got);
        ok(memcmp(got, cases[i].want, sizeof got) == 0, "%s", cases[i].json);
    }
    cdp_buf_free(&scratch);
}

int main(void)
{
    test_text();
    test_values();
    return done();
}
