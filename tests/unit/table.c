/* The set of hashes: growth, its limit, the zero hash, runs that go on at the front, sorting. */
#include "lib/table.h"
#include "tap.h"

#include <stdlib.h>

static struct cdp_err err;

/* splitmix64 (https://prng.di.unimi.it/splitmix64.c): the i-th of a sequence. */
static uint64_t mixed(uint64_t i)
{
    uint64_t z = (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static struct cdp_hash128 key(uint64_t i)
{
    return (struct cdp_hash128){.hi = mixed(i), .lo = mixed(~i)};
}

/* Many that stand in the last slots and behind them at the front, and some whose high half is one. */
static struct cdp_hash128 crowded(uint64_t i)
{
    return (struct cdp_hash128){.hi = i % 2 ? UINT64_MAX - (i % 7) : mixed(i) % 1000, .lo = mixed(~i)};
}

typedef struct cdp_hash128 key_fn(uint64_t i);

static int by_value(const void *a, const void *b)
{
    const struct cdp_hash128 *x = a, *y = b;
    return x->hi != y->hi ? (x->hi > y->hi ? 1 : -1) : (x->lo > y->lo) - (x->lo < y->lo);
}

static void keys(uint64_t n, key_fn *of, const char *name)
{
    struct cdp_set set;
    size_t wrong = cdp_set_init(&set, UINT64_MAX, &err) != 0;
    for (uint64_t i = 0; i < n; i++) {
        wrong += cdp_set_has(&set, of(i));
        cdp_set_prefetch(&set, of(i));
        wrong += cdp_set_add(&set, of(i), &err) != CDP_SET_NEW;
        wrong += i % 16 == 0 && cdp_set_add(&set, of(i / 2), &err) != CDP_SET_OLD;
    }
    for (uint64_t i = 0; i < n; i++)
        wrong += !cdp_set_has(&set, of(i)) || cdp_set_has(&set, of(n + i));
    ok(wrong == 0 && set.used == n && set.slots * 3 >= n * 4, "%llu %s keys", (unsigned long long)n, name);

    struct cdp_hash128 *want = malloc(n * sizeof *want + 1);
    for (uint64_t i = 0; i < n; i++)
        want[i] = of(i);
    qsort(want, n, sizeof *want, by_value);
    cdp_set_sort(&set);
    ok(set.used == n && memcmp(set.slot, want, n * sizeof *want) == 0, "sorted");
    free(want);
    cdp_set_free(&set);
}

/* A set that may not grow takes three quarters of its slots and then answers only. */
static void full(void)
{
    struct cdp_set set;
    uint64_t room = (1 << 17) / 4 * 3, wrong = cdp_set_init(&set, 2 << 20, &err) != 0;
    for (uint64_t i = 0; i < room; i++)
        wrong += cdp_set_add(&set, key(i), &err) != CDP_SET_NEW;
    ok(wrong == 0 && set.slots == 1 << 17, "two mebibytes hold %llu keys", (unsigned long long)room);
    for (uint64_t i = 0; i < 2 * room; i++)
        wrong += cdp_set_add(&set, key(i), &err) != (i < room ? CDP_SET_OLD : CDP_SET_FULL);
    ok(wrong == 0 && set.used == room && !cdp_set_has(&set, key(room)), "and no more");
    cdp_set_free(&set);

    ok(cdp_set_init(&set, 0, &err) == 0 && cdp_set_add(&set, key(1), &err) == CDP_SET_NEW,
       "a mebibyte is taken whatever the limit");
    cdp_set_free(&set);
    cdp_set_free(&set);
    ok(set.slot == NULL, "what is free may be freed again");
}

/* What is expected sets how far a table grows: not too far, and not past its limit. */
static void foresight(void)
{
    struct cdp_set set;
    const uint64_t n = 60000;
    for (uint64_t limit = 16 << 20; limit <= 1 << 30; limit *= 8) {
        const uint64_t parts = limit < 1 << 30 ? 25 : 200, most = limit < 1 << 30 ? 32 << 20 : 128 << 20;
        size_t wrong = cdp_set_init(&set, limit, &err) != 0;
        for (uint64_t i = 0; i < n; i++) {
            wrong += cdp_set_add(&set, key(i), &err) != CDP_SET_NEW;
            if (i % 1000 == 0)
                cdp_set_expect(&set, i + 1,
                               parts * n); /* 1.5 or 12 million keys, of which 7/8 are believed */
        }
        for (uint64_t i = 0; i < n; i++)
            wrong += !cdp_set_has(&set, key(i)) || cdp_set_has(&set, key(n + i));
        ok(wrong == 0 && set.slots * sizeof *set.slot == (limit < most ? limit : most),
           "%zu slots where %llu keys are foreseen", set.slots, (unsigned long long)set.expected);
        cdp_set_free(&set);
    }
    ok(cdp_set_init(&set, UINT64_MAX, &err) == 0, "another");
    cdp_set_expect(&set, 1, 1000000);
    cdp_set_expect(&set, 2, 1);
    cdp_set_expect(&set, 0, 0);
    ok(set.expected == 0, "too little, or more than all, says nothing");
    cdp_set_free(&set);
}

static void zero(void)
{
    struct cdp_set set;
    const struct cdp_hash128 none = {0, 0}, one_bit = {1, 0};
    ok(cdp_set_init(&set, 0, &err) == 0 && !cdp_set_has(&set, none) &&
           cdp_set_add(&set, none, &err) == CDP_SET_NEW && cdp_set_has(&set, none) &&
           cdp_set_add(&set, none, &err) == CDP_SET_OLD && cdp_set_add(&set, one_bit, &err) == CDP_SET_NEW &&
           set.used == 2,
       "a hash of zero is a key as any");
    cdp_set_sort(&set);
    ok(set.used == 2 && set.slot[0].hi == 0 && set.slot[1].hi == 1, "and sorts first");
    cdp_set_free(&set);
    ok(cdp_set_init(&set, 0, &err) == 0, "an empty set");
    cdp_set_sort(&set);
    ok(set.used == 0, "sorts");
    cdp_set_free(&set);
}

int main(void)
{
    keys(65537, key, "mixed");
    keys(1000000, key, "mixed");
    keys(49152, key, "mixed");
    keys(49153, key, "mixed");
    keys(300, crowded, "crowded");
    keys(10, crowded, "crowded");
    keys(1, crowded, "crowded");
    full();
    foresight();
    zero();
    return done();
}
