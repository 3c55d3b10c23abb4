/* hash: XXH3 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
 *
 * Tables are keyed with a secret drawn once per process, so that nobody who writes events can craft
 * collisions; no result may depend on it.  Results that must be stable (--shards, checksums) use
 * cdp_hash_stable. */
#ifndef CDP_HASH_H
#define CDP_HASH_H

#include <stddef.h>
#include <stdint.h>

struct cdp_hash128 {
    uint64_t hi, lo;
};

/* XXH3-128 with the process's secret seed.  Thread-safe after the first call (cdp_hash_seed does it). */
struct cdp_hash128 cdp_hash(const void *p, size_t n);

/* Draws the seed; called once by main before threads start. */
void cdp_hash_seed(void);

/* XXH3-64 with seed 0: the same on every machine, for ever. */
uint64_t cdp_hash_stable(const void *p, size_t n);

/* The same over a stream of pieces. */
struct cdp_hash_stream;
struct cdp_hash_stream *cdp_hash_stream_new(void); /* NULL where memory ran out */
void cdp_hash_stream_add(struct cdp_hash_stream *s, const void *p, size_t n);
uint64_t cdp_hash_stream_end(struct cdp_hash_stream *s); /* the digest so far; may go on */
void cdp_hash_stream_free(struct cdp_hash_stream *s);

#endif
