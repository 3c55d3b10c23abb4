/* draw: numbers that look random and are the same in every run (SplitMix64, https://prng.di.unimi.it/splitmix64.c). */
#ifndef CDP_TEST_DRAW_H
#define CDP_TEST_DRAW_H

#include <stdint.h>

static uint64_t draw_state = 1;

static uint64_t draw(void)
{
    uint64_t z = draw_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

#endif
