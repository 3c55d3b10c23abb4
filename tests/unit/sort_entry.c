/* sort_entry: the order of entries in memory against qsort(3), over kinds of keys and at the sizes where the way changes. */
#include "lib/sort_entry.h"

#include "lib/key.h"
#include "tap.h"

#include "draw.h"

#include <stdlib.h>

#define LONGEST 64 /* bytes of a key */

/* ---- keys ---- */

enum kind { TIME, SORTED_TIME, USER_DAY, UUID, NUMBER, LENGTHS, EQUAL, DEEP, OUTLIER, BITS };
static const char *const kind_name[] = {
    "timestamps",    "timestamps in order", "users and days",      "uuids",     "numbers",
    "short lengths", "equal keys",          "late in shared text", "an outlier"};

static void add_time(struct cdp_buf *key, uint64_t micros)
{
    char text[40];
    uint64_t s = micros / 1000000;
    int n = snprintf(text, sizeof text, "2026-02-%02uT%02u:%02u:%02u.%06uZ", (unsigned)(s / 86400 % 28 + 1),
                     (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60),
                     (unsigned)(micros % 1000000));
    cdp_key_string(text, (size_t)n, key);
}

static void add_uuid(struct cdp_buf *key)
{
    char text[40];
    uint64_t a = draw(), b = draw();
    int n =
        snprintf(text, sizeof text, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)a, (unsigned)(a >> 32 & 0xFFFF),
                 (unsigned)(a >> 52), (unsigned)(b & 0x3FFF) | 0x8000, (unsigned long long)(b >> 16));
    cdp_key_string(text, (size_t)n, key);
}

static void add_number(struct cdp_buf *key)
{
    struct cdp_err err;
    char text[40];
    uint64_t u = draw();
    int n = snprintf(text, sizeof text, "%s%llu", u & 7 ? "" : "-", (unsigned long long)(draw() >> (u % 64)));
    cdp_key_value(cdp_val_text(text, (size_t)n), key, &err);
}

static void add_key(enum kind kind, size_t i, size_t n, struct cdp_buf *key)
{
    char text[40];
    int len;
    switch (kind) {
    case TIME:
        add_time(key, draw() % (28 * UINT64_C(86400000000)));
        break;
    case SORTED_TIME:
        add_time(key, 28 * UINT64_C(86400000000) / n * i);
        break;
    case USER_DAY:
        len = snprintf(text, sizeof text, "u%07u", (unsigned)(3999000 + draw() % (n / 4 + 1)));
        cdp_key_string(text, (size_t)len, key);
        len = snprintf(text, sizeof text, "2026-02-%02u", (unsigned)(draw() % 28 + 1));
        cdp_key_string(text, (size_t)len, key);
        break;
    case UUID:
        add_uuid(key);
        break;
    case NUMBER:
        add_number(key);
        break;
    case LENGTHS: /* also keys that are equal but for zeros at their ends */
        for (size_t left = draw() % 20; left; left--)
            cdp_buf_addc(key, draw() % 16 ? 0 : 1);
        break;
    case EQUAL:
        cdp_key_string("always the same", 15, key);
        break;
    case DEEP:
        cdp_key_string("thirty-four bytes that all share!", draw() % 32 ? 33 : 26, key);
        cdp_buf_addc(key, (char)(draw() % 100));
        break;
    default: /* OUTLIER */
        cdp_key_string(i == n / 2 ? "~" : "the others", i == n / 2 ? 1 : 10, key);
        add_time(key, draw() % 1000000000);
        break;
    }
}

/* The kinds from BITS on: eight bytes that differ in these bits alone. */
static const uint64_t differing[] = {
    1,
    UINT64_C(1) << 31,
    UINT64_C(1) << 63,
    UINT64_MAX,
    UINT64_C(0x5555555555555555),
    UINT64_C(0xAAAAAAAAAAAAAAAA),
    UINT64_C(0x8000000000000001),
    UINT64_C(0x0F0F0F0F0F0F0F0F),
    UINT64_C(0xFFF00000000000FF),
    UINT64_C(0x00000000000FFFFF),
    UINT64_C(0x3303030303033333),
};
#define KINDS (BITS + sizeof differing / sizeof *differing)

static void add_bits(uint64_t bits, struct cdp_buf *key)
{
    uint64_t v = (UINT64_C(0x70A5C3961E2D4B87) & ~bits) | (draw() & bits);
    for (int i = 56; i >= 0; i -= 8)
        cdp_buf_addc(key, (char)(v >> i));
}

/* ---- sorting them ---- */

static int by_record(const void *a, const void *b)
{
    return cdp_entry_cmp(*(const struct cdp_entry *)a, *(const struct cdp_entry *)b, 0);
}

/* Entries whose keys all begin with one byte.  Sequence numbers are multiples of `step`, perhaps past 2^64. */
static char *make(size_t kind, size_t n, uint64_t step, struct cdp_entry *e)
{
    char *base = malloc(n * (LONGEST + sizeof(struct cdp_entry_head))), *at = base;
    struct cdp_buf key = {0};
    for (size_t i = 0; i < n; i++) {
        cdp_buf_clear(&key);
        cdp_buf_addc(&key, 'k');
        if (kind < BITS)
            add_key((enum kind)kind, i, n, &key);
        else
            add_bits(differing[kind - BITS], &key);
        if (key.len > LONGEST)
            abort();
        e[i] = cdp_entry_make(at, key.data, (uint32_t)key.len, i * step, "", 0);
        at += key.len + sizeof(struct cdp_entry_head);
    }
    cdp_buf_free(&key);
    return base;
}

static bool sorts(size_t kind, size_t n, size_t skip, bool placed)
{
    struct cdp_entry *e = malloc(n * sizeof *e), *want = malloc(n * sizeof *want);
    char *base = make(kind, n, placed ? 1 : UINT64_C(0x9E3779B97F4A7C15), e);
    memcpy(want, e, n * sizeof *e);
    qsort(want, n, sizeof *want, by_record);
    cdp_entries_load(e, n, skip);
    cdp_entries_sort(e, n, skip, placed);
    bool good = true;
    for (size_t i = 0; i < n && good; i++) {
        struct cdp_entry_head h = cdp_entry_head(want[i]);
        const unsigned char *key = cdp_entry_key(want[i], h);
        struct cdp_split split = {key, h.seq, h.key_len};
        good = e[i].ref == want[i].ref && e[i].prefix == cdp_entry_prefix(key, h.key_len, skip) &&
               cdp_entries_bound(e, n, &split, skip) == e + i;
    }
    free(base);
    free(want);
    free(e);
    return good;
}

int main(void)
{
    static const size_t size[] = {1, 2, 3, 4, 24, 25, 26, 100, 1023, 1024, 2048, 4096, 4097, 65537};
    for (size_t kind = 0; kind < KINDS; kind++) {
        size_t good = 0, sizes = sizeof size / sizeof *size;
        while (good < sizes && sorts(kind, size[good], 0, false) && sorts(kind, size[good], 1, false) &&
               sorts(kind, size[good], 1, true))
            good++;
        if (kind < BITS)
            ok(good == sizes, "%s", kind_name[kind]);
        else
            ok(good == sizes, "prefixes that differ in %016llx", (unsigned long long)differing[kind - BITS]);
        if (good < sizes)
            printf("#   of %zu entries\n", size[good]);
    }
    cdp_entries_sort(NULL, 0, 0, false);
    ok(true, "and none");
    return done();
}
