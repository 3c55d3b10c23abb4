/* Unit tests of lib/digest: FIPS 180-4 and RFC 4231 vectors, and the queue against one message at a time. */
#include "lib/digest.h"
#include "tests/unit/tap.h"

#include <stdlib.h>

static char hex[CDP_DIGEST_HEX + 1];

static const char *plain(const char *text)
{
    unsigned char out[CDP_DIGEST_SIZE];
    cdp_digest(NULL, text, strlen(text), out);
    cdp_digest_hex(out, sizeof out, hex);
    return hex;
}

static const char *keyed(const void *key, size_t key_n, const char *text, size_t n)
{
    struct cdp_hmac h;
    unsigned char out[CDP_DIGEST_SIZE];
    cdp_hmac_init(&h, key, key_n);
    cdp_digest(&h, text, n, out);
    cdp_digest_hex(out, sizeof out, hex);
    return hex;
}

static void test_vectors(void)
{
    unsigned char key[131], data[50];
    is(plain(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "nothing");
    is(plain("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "one block");
    is(plain("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", "two blocks");
    memset(key, 0x0b, 20);
    is(keyed(key, 20, "Hi There", 8), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
       "RFC 4231, case 1");
    is(keyed("Jefe", 4, "what do ya want for nothing?", 28),
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "RFC 4231, case 2");
    memset(key, 0xaa, sizeof key);
    memset(data, 0xdd, sizeof data);
    is(keyed(key, 20, (char *)data, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
       "RFC 4231, case 3");
    is(keyed(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54),
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", "RFC 4231, case 6");
}

/* All lengths around the block's, plain and keyed mixed, in a buffer that moves. */
static void test_queue(void)
{
    enum { MESSAGES = 400 };
    struct cdp_hmac h;
    struct cdp_digest_queue q = {0};
    char message[MESSAGES], *base = NULL;
    size_t wrong = 0;
    cdp_hmac_init(&h, "some key", 8);
    for (int i = 0; i < MESSAGES; i++)
        message[i] = (char)(i * 7);
    for (size_t i = 0; i < MESSAGES; i++) {
        char *moved = malloc((i + 1) * CDP_DIGEST_HEX);
        if (!moved)
            abort();
        if (base)
            memcpy(moved, base, i * CDP_DIGEST_HEX);
        free(base);
        base = moved;
        cdp_digest_add(&q, i % 3 ? &h : NULL, message + i % 5, i % 130, base, i * CDP_DIGEST_HEX);
        if (i % 17 == 0)
            cdp_digest_flush(&q, base);
    }
    cdp_digest_flush(&q, base);
    for (size_t i = 0; i < MESSAGES; i++) {
        unsigned char out[CDP_DIGEST_SIZE];
        cdp_digest(i % 3 ? &h : NULL, message + i % 5, i % 130, out);
        cdp_digest_hex(out, sizeof out, hex);
        wrong += memcmp(hex, base + i * CDP_DIGEST_HEX, CDP_DIGEST_HEX) != 0;
    }
    free(base);
    ok(wrong == 0, "%d queued messages, %zu of them wrong", MESSAGES, wrong);
}

int main(void)
{
    test_vectors();
    test_queue();
    return done();
}
