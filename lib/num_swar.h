/* num_swar: short numbers, eight digits at a time in one integer register.
 *
 * A word holds eight digits, the first one in the lowest byte, as they lie in memory on a little-endian machine; on another
 * one the functions say that they cannot, and the callers' general ways do it. */
#ifndef CDP_NUM_SWAR_H
#define CDP_NUM_SWAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CDP_SWAR_ZEROS 0x3030303030303030u

/* The 1 to 8 bytes at p, moved up so that the last one is on top, and '0' in front of the first. */
static inline uint64_t cdp_swar_load(const char *p, size_t n)
{
    uint64_t x;
    if (n == 8) {
        memcpy(&x, p, 8);
        return x;
    }
    if (n >= 4) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + n - 4, 4);
        x = a | (uint64_t)b << (8 * (n - 4));
    } else {
        x = (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << (8 * (n / 2)) |
            (uint64_t)(unsigned char)p[n - 1] << (8 * (n - 1));
    }
    return x << (8 * (8 - n)) | CDP_SWAR_ZEROS >> (8 * n);
}

/* A number's text without its sign, 1 to 16 bytes of digits and at most one '.', as 16 characters '0' to '9' in word[0] (the
 * first eight) and word[1]; the last digit stands at 10^exp, exp from -15 to 0.  False where it is anything else. */
static inline bool cdp_swar_digits(const char *p, size_t n, uint64_t word[2], int32_t *exp)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t bit = 0x1010101010101010u; /* set in the ten digits, clear in '.', 'e', 'E', '+' and '-' */
    if (n > 16)
        return false;
    word[0] = CDP_SWAR_ZEROS;
    if (n <= 8) {
        word[1] = cdp_swar_load(p, n);
    } else {
        word[0] = cdp_swar_load(p, n - 8);
        memcpy(&word[1], p + n - 8, 8);
    }
    uint64_t first = ~word[0] & bit, second = ~word[1] & bit;
    *exp = 0;
    if (first | second) {
        int w = second != 0;
        uint64_t at = w ? second : first;
        unsigned shift = (unsigned)__builtin_ctzll(at) & 56u;
        if ((at & (at - 1)) || (word[w] >> shift & 0xFF) != '.') /* an exponent, behind a '.' perhaps */
            return false;
        /* What stands before the point moves up over it. */
        *exp = (int32_t)(shift / 8) - (w ? 7 : 15);
        uint64_t before = word[w] & ((UINT64_C(1) << shift) - 1);
        word[w] = (word[w] >> shift >> 8) << 8 << shift | before << 8 | (w ? word[0] >> 56 : '0');
        if (w)
            word[0] = word[0] << 8 | '0';
    }
    return true;
#else
    (void)p, (void)n, (void)word, (void)exp;
    return false;
#endif
}

/* How many digits stand at p before anything else, counted up to 8; 8 bytes can be read. */
static inline unsigned cdp_swar_run(const char *p)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = 0x0101010101010101u;
    uint64_t x;
    memcpy(&x, p, 8);
    x ^= CDP_SWAR_ZEROS;
    uint64_t other = (((x & ones * 0x7F) + ones * 0x76) | x) & ones * 0x80; /* more than 9 */
    return other ? (unsigned)__builtin_ctzll(other) / 8 : 8;
#else
    unsigned n = 0;
    while (n < 8 && (unsigned char)(p[n] - '0') < 10)
        n++;
    return n;
#endif
}

/* The value of eight digits. */
static inline uint64_t cdp_swar_value(uint64_t word)
{
    word -= CDP_SWAR_ZEROS;
    word = word * 10 + (word >> 8);
    return ((word & 0x000000FF000000FFu) * (100 + (UINT64_C(1000000) << 32)) +
            (word >> 16 & 0x000000FF000000FFu) * (1 + (UINT64_C(10000) << 32))) >>
           32;
}

/* Four pairs of digits 0 to 9, each pair (0 to 99) twice plus 1, in the lowest four bytes. */
static inline uint32_t cdp_swar_pairs(uint64_t digits)
{
    const uint64_t even = 0x00FF00FF00FF00FFu;
    uint64_t x = ((digits & even) * 10 + (digits >> 8 & even)) * 2 + 0x0001000100010001u;
    x = (x | x >> 8) & 0x0000FFFF0000FFFFu;
    return (uint32_t)(x | x >> 16);
}

#endif
