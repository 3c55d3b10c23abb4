/* simd: the few vector operations that scan is made of, for the instruction set this file is compiled for:
 * AVX2, SSE2 (the x86-64 baseline), 64-bit NEON, or eight bytes at a time in plain C, which the tests ask for by
 * CDP_SIMD_SCALAR.
 *
 *     CDP_SIMD_STRIDE     bytes a step looks at
 *     cdp_simd_stops(p, &high)
 *         looks at CDP_SIMD_STRIDE bytes and returns a mask, non-zero where one of them is '"', '\' or below
 * 0x20; cdp_simd_first(mask) is the index of the first, cdp_simd_from(mask, n) the mask of those from the n-th byte on.  Bytes of 0x80 and above are gathered in `high`.
 *     cdp_simd_any_high(high)   was there one? */
#ifndef CDP_SIMD_H
#define CDP_SIMD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* '"', '\' and 0x1f, each in all bytes of a vector.  A compiler that sees such a constant makes it anew at each use, which takes
 * longer than to load it. */
extern const char cdp_simd_marks[3][32];

#if defined(CDP_SIMD_SCALAR) || !(defined(__AVX2__) || defined(__SSE2__) || defined(__aarch64__))
#define CDP_SIMD_NAME "scalar"
#define CDP_SIMD_STRIDE 8
typedef uint64_t cdp_simd_high;

static inline cdp_simd_high cdp_simd_none(void)
{
    return 0;
}

/* Bit 7 of each byte that stops.  Sums of seven bits carry into no other byte, so every mark is right. */
static inline uint64_t cdp_simd_stops(const char *p, cdp_simd_high *high)
{
    const uint64_t ones = 0x0101010101010101u, low = ones * 0x7f;
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)(unsigned char)p[i] << (8 * i);
    uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
    *high |= v;
    return ~((((quote & low) + low) | quote) & (((slash & low) + low) | slash) &
             (((v & low) + ones * 0x60) | v)) &
           ~low;
}

static inline unsigned cdp_simd_first(uint64_t mask)
{
    return (unsigned)__builtin_ctzll(mask) / 8;
}

static inline uint64_t cdp_simd_from(uint64_t mask, unsigned n)
{
    return mask & ~(uint64_t)0 << (8 * n);
}

static inline bool cdp_simd_any_high(cdp_simd_high high)
{
    return (high & 0x8080808080808080u) != 0;
}

#elif defined(__AVX2__)
#include <immintrin.h>
#define CDP_SIMD_NAME "avx2"
#define CDP_SIMD_STRIDE 32
typedef __m256i cdp_simd_high;

static inline cdp_simd_high cdp_simd_none(void)
{
    return _mm256_setzero_si256();
}

static inline __m256i cdp_simd_mark(unsigned i)
{
    return _mm256_load_si256((const __m256i *)(const void *)cdp_simd_marks[i]);
}

static inline uint64_t cdp_simd_stops(const char *p, cdp_simd_high *high)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i quote = _mm256_cmpeq_epi8(v, cdp_simd_mark(0));
    __m256i slash = _mm256_cmpeq_epi8(v, cdp_simd_mark(1));
    __m256i below = _mm256_cmpeq_epi8(_mm256_max_epu8(v, cdp_simd_mark(2)), cdp_simd_mark(2));
    *high = _mm256_or_si256(*high, v);
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, slash), below));
}

static inline unsigned cdp_simd_first(uint64_t mask)
{
    return (unsigned)__builtin_ctzll(mask);
}

static inline uint64_t cdp_simd_from(uint64_t mask, unsigned n)
{
    return mask & ~(uint64_t)0 << n;
}

static inline bool cdp_simd_any_high(cdp_simd_high high)
{
    return _mm256_movemask_epi8(high) != 0;
}

#elif defined(__SSE2__)
#include <emmintrin.h>
#define CDP_SIMD_NAME "sse2"
#define CDP_SIMD_STRIDE 16
typedef __m128i cdp_simd_high;

static inline cdp_simd_high cdp_simd_none(void)
{
    return _mm_setzero_si128();
}

static inline uint64_t cdp_simd_stops(const char *p, cdp_simd_high *high)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i below = _mm_cmpeq_epi8(_mm_max_epu8(v, _mm_set1_epi8(0x1f)), _mm_set1_epi8(0x1f));
    *high = _mm_or_si128(*high, v);
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), below));
}

static inline unsigned cdp_simd_first(uint64_t mask)
{
    return (unsigned)__builtin_ctzll(mask);
}

static inline uint64_t cdp_simd_from(uint64_t mask, unsigned n)
{
    return mask & ~(uint64_t)0 << n;
}

static inline bool cdp_simd_any_high(cdp_simd_high high)
{
    return _mm_movemask_epi8(high) != 0;
}

#elif defined(__aarch64__)
#include <arm_neon.h>
#define CDP_SIMD_NAME "neon"
#define CDP_SIMD_STRIDE 16
typedef uint8x16_t cdp_simd_high;

static inline cdp_simd_high cdp_simd_none(void)
{
    return vdupq_n_u8(0);
}

/* Four mask bits a byte: the narrowing shift is NEON's movemask. */
static inline uint64_t cdp_simd_stops(const char *p, cdp_simd_high *high)
{
    uint8x16_t v = vld1q_u8((const uint8_t *)p);
    uint8x16_t stop = vorrq_u8(vorrq_u8(vceqq_u8(v, vdupq_n_u8('"')), vceqq_u8(v, vdupq_n_u8('\\'))),
                               vcltq_u8(v, vdupq_n_u8(0x20)));
    *high = vorrq_u8(*high, v);
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(stop), 4)), 0);
}

static inline unsigned cdp_simd_first(uint64_t mask)
{
    return (unsigned)__builtin_ctzll(mask) / 4;
}

static inline uint64_t cdp_simd_from(uint64_t mask, unsigned n)
{
    return mask & ~(uint64_t)0 << (4 * n);
}

static inline bool cdp_simd_any_high(cdp_simd_high high)
{
    return vmaxvq_u8(high) >= 0x80;
}
#endif

/* Do the bytes at p begin with the len bytes of text?  Both have 32 readable bytes; mask has a bit for each of the len. */
static inline bool cdp_simd_begins(const char *p, const char *text, uint32_t mask, unsigned len)
{
#if defined(__AVX2__) && !defined(CDP_SIMD_SCALAR)
    (void)len;
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)text);
    return (~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)) & mask) == 0;
#else
    (void)mask;
    return memcmp(p, text, len) == 0;
#endif
}

#endif
