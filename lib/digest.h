/* digest: SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104). */
#ifndef CDP_DIGEST_H
#define CDP_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define CDP_DIGEST_SIZE 32
#define CDP_DIGEST_HEX (2 * CDP_DIGEST_SIZE)

/* A key, with the work that every message would repeat already done.  Read-only after cdp_hmac_init, shared by
 * threads; the caller wipes it with cdp_hmac_wipe. */
struct cdp_hmac {
    uint32_t inner[8], outer[8];
};

void cdp_hmac_init(struct cdp_hmac *h, const void *key, size_t n);
void cdp_hmac_wipe(struct cdp_hmac *h);

/* The digest of one message; keyed where h is not NULL. */
void cdp_digest(const struct cdp_hmac *h, const void *p, size_t n, unsigned char out[CDP_DIGEST_SIZE]);

/* 2n lower-case hexadecimal digits, no NUL. */
void cdp_digest_hex(const unsigned char *p, size_t n, char *out);

/* Short messages hashed two at a time, for which the processor takes little longer than for one.  The digests are
 * written as hexadecimal to base + at, at the latest by cdp_digest_flush; base may have moved in between (each call
 * names where it is by then), what is at the other places is left alone.  One thread's; zero-initialise. */
struct cdp_digest_queue {
    unsigned n;
    const struct cdp_hmac *key[2];
    size_t at[2];
    unsigned char block[2][64];
};

void cdp_digest_add(struct cdp_digest_queue *q, const struct cdp_hmac *h, const void *p, size_t n, char *base,
                    size_t at);
void cdp_digest_flush(struct cdp_digest_queue *q, char *base);

#endif
