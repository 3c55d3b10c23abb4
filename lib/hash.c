/* hash: see hash.h. */
#include "lib/hash.h"

#include "lib/mem.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Every record reads it: what is written elsewhere must not lie beside it. */
static struct {
    _Alignas(CDP_APART) uint64_t value;
} seed;

void cdp_hash_seed(void)
{
    if (getrandom(&seed.value, sizeof seed.value, GRND_NONBLOCK) != (ssize_t)sizeof seed.value) {
        struct timespec ts; /* early in boot: less secret, still not the same twice */
        clock_gettime(CLOCK_MONOTONIC, &ts);
        seed.value = (uint64_t)ts.tv_nsec * 0x9E3779B97F4A7C15u ^ (uint64_t)getpid();
    }
}

static inline struct cdp_hash128 hash(const void *p, size_t n)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(p, n, seed.value);
    return (struct cdp_hash128){.hi = h.high64, .lo = h.low64};
}

/* Apart: it uses registers that a short key would have to save in vain. */
static __attribute__((noinline)) struct cdp_hash128 hash_long(const void *p, size_t n)
{
    return hash(p, n);
}

struct cdp_hash128 cdp_hash(const void *p, size_t n)
{
    return n <= 16 ? hash(p, n) : hash_long(p, n);
}

uint64_t cdp_hash_stable(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}

struct cdp_hash_stream *cdp_hash_stream_new(void)
{
    XXH3_state_t *s = XXH3_createState();
    if (s)
        XXH3_64bits_reset(s);
    return (struct cdp_hash_stream *)s;
}

void cdp_hash_stream_add(struct cdp_hash_stream *s, const void *p, size_t n)
{
    XXH3_64bits_update((XXH3_state_t *)s, p, n);
}

uint64_t cdp_hash_stream_end(struct cdp_hash_stream *s)
{
    return XXH3_64bits_digest((XXH3_state_t *)s);
}

void cdp_hash_stream_free(struct cdp_hash_stream *s)
{
    XXH3_freeState((XXH3_state_t *)s);
}
