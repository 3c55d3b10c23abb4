/* hll: see hll.h.
 *
 * Format: "HLL storage specification", version 1.0.0 (https://github.com/aggregateknowledge/hll-storage-spec).
 * Estimate: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog" (2007), with linear counting below 5/2 · m and the large
 * range correction of postgresql-hll.  Hash: Austin Appleby's MurmurHash3_x64_128 (public domain).
 *
 * Memory: 8 bytes a distinct hash up to the explicit cutoff (160 hashes at the defaults), then 2^log2m bytes. */
#include "lib/hll.h"

#include "lib/mem.h"

#include <math.h>
#include <stdlib.h>

enum { VERSION = 1, EMPTY = 1, EXPLICIT = 2, SPARSE = 3, FULL = 4, HEADER = 3 };

#define CUTOFF_SPARSE 0x40 /* bit of the cutoff byte: the sparse form is allowed */
#define CUTOFF_AUTO 63     /* explicit while that is no larger than the full form */

void cdp_hll_init(struct cdp_hll *h, unsigned log2m, unsigned regwidth)
{
    *h = (struct cdp_hll){
        .log2m = (uint8_t)log2m, .regwidth = (uint8_t)regwidth, .cutoff = CUTOFF_SPARSE | CUTOFF_AUTO};
}

void cdp_hll_free(struct cdp_hll *h)
{
    free(h->elem);
    free(h->reg);
    h->elem = NULL;
    h->reg = NULL;
    h->n = h->cap = 0;
}

static size_t registers(const struct cdp_hll *h)
{
    return (size_t)1 << h->log2m;
}

static size_t full_bytes(const struct cdp_hll *h)
{
    return (registers(h) * h->regwidth + 7) / 8;
}

static size_t explicit_max(const struct cdp_hll *h)
{
    unsigned code = h->cutoff & 63;
    if (code == CUTOFF_AUTO)
        return full_bytes(h) / 8;
    return code ? (size_t)1 << (code - 1) : 0;
}

size_t cdp_hll_bytes(const struct cdp_hll *h)
{
    return h->cap * sizeof *h->elem + (h->reg ? registers(h) : 0);
}

static void set_register(struct cdp_hll *h, uint64_t hash)
{
    uint64_t rest = hash >> h->log2m;
    unsigned value = rest ? (unsigned)__builtin_ctzll(rest) + 1 : 0;
    unsigned most = (1u << h->regwidth) - 1;
    if (value > most)
        value = most;
    uint8_t *r = &h->reg[hash & (registers(h) - 1)];
    if (*r < value)
        *r = (uint8_t)value;
}

/* From the list of hashes to registers. */
static int promote(struct cdp_hll *h, struct cdp_err *err)
{
    h->reg = cdp_mem_zalloc(registers(h), 1, err);
    if (!h->reg)
        return -1;
    for (uint32_t i = 0; i < h->n; i++)
        set_register(h, h->elem[i]);
    free(h->elem);
    h->elem = NULL;
    h->n = h->cap = 0;
    return 0;
}

/* Where the hash is among the elements, or would have to be. */
static uint32_t place(const struct cdp_hll *h, uint64_t hash)
{
    uint32_t low = 0, high = h->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if ((int64_t)h->elem[mid] < (int64_t)hash)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int cdp_hll_add(struct cdp_hll *h, uint64_t hash, struct cdp_err *err)
{
    if (!h->reg) {
        uint32_t at = place(h, hash);
        if (at < h->n && h->elem[at] == hash)
            return 0;
        if (h->n < explicit_max(h)) {
            if (h->n == h->cap) {
                uint32_t cap = h->cap ? h->cap * 2 : 2;
                uint64_t *elem = cdp_mem_resize(h->elem, cap * sizeof *elem, err);
                if (!elem)
                    return -1;
                h->elem = elem;
                h->cap = cap;
            }
            memmove(h->elem + at + 1, h->elem + at, (h->n - at) * sizeof *h->elem);
            h->elem[at] = hash;
            h->n++;
            return 0;
        }
        if (promote(h, err) < 0)
            return -1;
    }
    set_register(h, hash);
    return 0;
}

int cdp_hll_union(struct cdp_hll *h, const struct cdp_hll *other, struct cdp_err *err)
{
    if (h->log2m != other->log2m || h->regwidth != other->regwidth || h->cutoff != other->cutoff)
        return cdp_err_set(err, CDP_EXIT_DATA, "sketches of different parameters cannot be united");
    for (uint32_t i = 0; i < other->n; i++)
        if (cdp_hll_add(h, other->elem[i], err) < 0)
            return -1;
    if (!other->reg)
        return 0;
    if (!h->reg && promote(h, err) < 0)
        return -1;
    for (size_t i = 0; i < registers(h); i++)
        if (h->reg[i] < other->reg[i])
            h->reg[i] = other->reg[i];
    return 0;
}

static double alpha_times_square(size_t m)
{
    double alpha = m == 16 ? 0.673 : m == 32 ? 0.697 : m == 64 ? 0.709 : 0.7213 / (1.0 + 1.079 / (double)m);
    return alpha * (double)m * (double)m;
}

double cdp_hll_cardinality(const struct cdp_hll *h)
{
    if (!h->reg)
        return h->n;
    size_t m = registers(h), with[256] = {0};
    for (size_t i = 0; i < m; i++)
        with[h->reg[i]]++;
    double sum = 0; /* of 2^-register, the small ones first: the same on every machine */
    for (int v = 255; v >= 0; v--)
        sum += ldexp((double)with[v], -v);
    double estimate = alpha_times_square(m) / sum;
    if (with[0] && estimate < 2.5 * (double)m)
        return (double)m * log((double)m / (double)with[0]);
    double range = ldexp(1, (1 << h->regwidth) - 2 + h->log2m);
    if (estimate <= range / 30)
        return estimate;
    return -range * log1p(-estimate / range);
}

/* Bits are written from the top of the first byte down. */
struct bits {
    uint8_t *p;
    size_t at;
};

static void put_bits(struct bits *w, uint32_t value, unsigned n)
{
    while (n--) {
        if (value >> n & 1)
            w->p[w->at / 8] |= (uint8_t)(0x80 >> w->at % 8);
        w->at++;
    }
}

static uint32_t get_bits(struct bits *r, unsigned n)
{
    uint32_t value = 0;
    while (n--) {
        value = value << 1 | (r->p[r->at / 8] >> (7 - r->at % 8) & 1);
        r->at++;
    }
    return value;
}

static void pack_registers(const struct cdp_hll *h, struct cdp_buf *out)
{
    size_t m = registers(h), filled = 0;
    for (size_t i = 0; i < m; i++)
        filled += h->reg[i] != 0;
    unsigned word = h->log2m + h->regwidth;
    bool sparse = h->cutoff & CUTOFF_SPARSE && filled * word < m * h->regwidth;
    size_t bytes = sparse ? (filled * word + 7) / 8 : full_bytes(h);
    if (!cdp_buf_reserve(out, HEADER + bytes))
        return;
    uint8_t *p = (uint8_t *)out->data + out->len;
    p[0] = (uint8_t)(VERSION << 4 | (sparse ? SPARSE : FULL));
    p[1] = (uint8_t)((h->regwidth - 1) << 5 | h->log2m);
    p[2] = h->cutoff;
    memset(p + HEADER, 0, bytes);
    struct bits w = {.p = p + HEADER};
    for (size_t i = 0; i < m; i++) {
        if (sparse && h->reg[i])
            put_bits(&w, (uint32_t)i << h->regwidth | h->reg[i], word);
        else if (!sparse)
            put_bits(&w, h->reg[i], h->regwidth);
    }
    out->len += HEADER + bytes;
}

void cdp_hll_pack(const struct cdp_hll *h, struct cdp_buf *out)
{
    if (h->reg) {
        pack_registers(h, out);
        return;
    }
    cdp_buf_addc(out, (char)(VERSION << 4 | (h->n ? EXPLICIT : EMPTY)));
    cdp_buf_addc(out, (char)((h->regwidth - 1) << 5 | h->log2m));
    cdp_buf_addc(out, (char)h->cutoff);
    for (uint32_t i = 0; i < h->n; i++)
        for (int shift = 56; shift >= 0; shift -= 8)
            cdp_buf_addc(out, (char)(h->elem[i] >> shift));
}

static int malformed(struct cdp_hll *h, const char *what, struct cdp_err *err)
{
    cdp_hll_free(h);
    return cdp_err_set(err, CDP_EXIT_DATA, "not a postgresql-hll sketch: %s", what);
}

static int unpack_explicit(struct cdp_hll *h, const uint8_t *p, size_t n, struct cdp_err *err)
{
    if (n % 8 || n / 8 > explicit_max(h))
        return malformed(h, "wrong size of an explicit one", err);
    h->n = h->cap = (uint32_t)(n / 8);
    h->elem = cdp_mem_alloc(n, err);
    if (!h->elem)
        return -1;
    for (uint32_t i = 0; i < h->n; i++) {
        uint64_t v = 0;
        for (int k = 0; k < 8; k++)
            v = v << 8 | p[8 * i + (uint32_t)k];
        h->elem[i] = v;
        if (i && (int64_t)v <= (int64_t)h->elem[i - 1])
            return malformed(h, "elements out of order", err);
    }
    return 0;
}

static int unpack_registers(struct cdp_hll *h, const uint8_t *p, size_t n, bool sparse, struct cdp_err *err)
{
    unsigned word = sparse ? h->log2m + h->regwidth : h->regwidth;
    size_t words = sparse ? n * 8 / word : registers(h);
    if (sparse ? n != (words * word + 7) / 8 : n != full_bytes(h))
        return malformed(h, "wrong size", err);
    h->reg = cdp_mem_zalloc(registers(h), 1, err);
    if (!h->reg)
        return -1;
    struct bits r = {.p = (uint8_t *)(uintptr_t)p};
    for (size_t i = 0; i < words; i++) {
        uint32_t v = get_bits(&r, word);
        size_t at = sparse ? v >> h->regwidth : i;
        h->reg[at] = (uint8_t)(v & ((1u << h->regwidth) - 1));
    }
    return 0;
}

int cdp_hll_unpack(struct cdp_hll *h, const void *bytes, size_t n, struct cdp_err *err)
{
    const uint8_t *p = bytes;
    *h = (struct cdp_hll){0};
    if (n < HEADER || p[0] >> 4 != VERSION)
        return malformed(h, "schema version is not 1", err);
    h->regwidth = (uint8_t)((p[1] >> 5) + 1);
    h->log2m = p[1] & 31;
    h->cutoff = p[2] & 127;
    unsigned code = h->cutoff & 63;
    if (h->log2m < CDP_HLL_MIN_LOG2M || h->log2m > CDP_HLL_MAX_LOG2M || (code > 31 && code != CUTOFF_AUTO))
        return malformed(h, "parameters out of range", err);
    switch (p[0] & 15) {
    case EMPTY:
        return n == HEADER ? 0 : malformed(h, "wrong size of an empty one", err);
    case EXPLICIT:
        return unpack_explicit(h, p + HEADER, n - HEADER, err);
    case SPARSE:
    case FULL:
        return unpack_registers(h, p + HEADER, n - HEADER, (p[0] & 15) == SPARSE, err);
    default:
        return malformed(h, "unknown type", err);
    }
}

void cdp_hll_format(const struct cdp_hll *h, struct cdp_buf *out)
{
    static const char digit[] = "0123456789abcdef";
    struct cdp_buf raw = {0};
    cdp_hll_pack(h, &raw);
    if (raw.failed)
        out->failed = true;
    cdp_buf_adds(out, "\\x");
    for (size_t i = 0; i < raw.len; i++) {
        cdp_buf_addc(out, digit[(uint8_t)raw.data[i] >> 4]);
        cdp_buf_addc(out, digit[raw.data[i] & 15]);
    }
    cdp_buf_free(&raw);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int cdp_hll_parse(struct cdp_hll *h, const char *text, size_t n, struct cdp_err *err)
{
    *h = (struct cdp_hll){0};
    if (n < 2 || n % 2 || text[0] != '\\' || text[1] != 'x')
        return malformed(h, "no \\x and pairs of hexadecimal digits", err);
    struct cdp_buf raw = {0};
    int rc = -1;
    for (size_t i = 2; i < n; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) {
            malformed(h, "no hexadecimal digit", err);
            goto done;
        }
        cdp_buf_addc(&raw, (char)(high << 4 | low));
    }
    if (cdp_buf_check(&raw, err) < 0)
        goto done;
    rc = cdp_hll_unpack(h, raw.data, raw.len, err);
done:
    cdp_buf_free(&raw);
    return rc;
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static uint64_t rotate(uint64_t x, int r)
{
    return x << r | x >> (64 - r);
}

static uint64_t finalise(uint64_t k)
{
    k ^= k >> 33;
    k *= 0xff51afd7ed558ccdu;
    k ^= k >> 33;
    k *= 0xc4ceb9fe1a85ec53u;
    return k ^ k >> 33;
}

uint64_t cdp_hll_hash(const void *data, size_t n, uint32_t seed)
{
    static const uint64_t c1 = 0x87c37b91114253d5u, c2 = 0x4cf5ad432745937fu;
    const uint8_t *p = data;
    uint64_t h1 = seed, h2 = seed;
    size_t left = n;
    for (; left >= 16; left -= 16, p += 16) {
        h1 ^= rotate(load64(p) * c1, 31) * c2;
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotate(load64(p + 8) * c2, 33) * c1;
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    if (left) {
        uint8_t tail[16] = {0};
        memcpy(tail, p, left);
        h1 ^= rotate(load64(tail) * c1, 31) * c2;
        h2 ^= rotate(load64(tail + 8) * c2, 33) * c1; /* of zeros where there are none: nothing */
    }
    h1 ^= n;
    h2 ^= n;
    h1 += h2;
    h2 += h1;
    return finalise(h1) + finalise(h2);
}

uint64_t cdp_hll_hash_int(int64_t i, uint32_t seed)
{
    uint8_t b[8];
    for (int k = 0; k < 8; k++)
        b[k] = (uint8_t)((uint64_t)i >> 8 * k);
    return cdp_hll_hash(b, sizeof b, seed);
}
