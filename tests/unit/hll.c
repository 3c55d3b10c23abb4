/* hll: hashes, sketches and estimates against postgresql-hll's own vectors, where they are there, and by themselves. */
#include "lib/hll.h"
#include "tests/unit/tap.h"

#include <math.h>
#include <stdlib.h>
#include <zlib.h>

static struct cdp_err err;

static const char *dir(void)
{
    static char path[4096];
    const char *shared = getenv("CDP_SHARED");
    snprintf(path, sizeof path, "%s/postgresql-hll", shared ? shared : "../shared/data");
    return path;
}

static gzFile open_vectors(const char *name)
{
    char path[5000];
    snprintf(path, sizeof path, "%s/%s", dir(), name);
    return gzopen(path, "rb");
}

/* Splits a line of comma-separated fields in place. */
static int split(char *line, char **field, int max)
{
    int n = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *p = line; p && n < max; n++) {
        field[n] = p;
        p = strchr(p, ',');
        if (p)
            *p++ = 0;
    }
    return n;
}

static char line[1 << 20];

static size_t unhex(char *text)
{
    size_t n = 0;
    for (char *p = text + 2; p[0] && p[1]; p += 2) {
        char two[3] = {p[0], p[1], 0};
        text[n++] = (char)strtol(two, NULL, 16);
    }
    return n;
}

static void test_hash(const char *name, bool integers)
{
    gzFile f = open_vectors(name);
    if (!f) {
        skip("no postgresql-hll in ../shared/data");
        return;
    }
    char *field[3];
    int rows = 0, wrong = 0;
    gzgets(f, line, sizeof line);
    while (gzgets(f, line, sizeof line)) {
        if (split(line, field, 3) != 3)
            continue;
        uint32_t seed = (uint32_t)strtol(field[0], NULL, 10);
        int64_t want = strtoll(field[2], NULL, 10);
        uint64_t got;
        if (integers) {
            got = cdp_hll_hash_int(strtoll(field[1], NULL, 10), seed);
        } else {
            size_t n = unhex(field[1]);
            got = cdp_hll_hash(field[1], n, seed);
        }
        rows++;
        wrong += (int64_t)got != want;
    }
    gzclose(f);
    ok(rows == 600 && wrong == 0, "%s: %d rows, %d wrong", name, rows, wrong);
}

static bool same_text(const struct cdp_hll *h, const char *want)
{
    struct cdp_buf b = {0};
    cdp_hll_format(h, &b);
    cdp_buf_addc(&b, 0);
    bool same = b.data && strcasecmp(b.data, want) == 0;
    cdp_buf_free(&b);
    return same;
}

/* The same registers, though perhaps in another form: the authors wrote the last two rows of the edge vectors under
 * hll_set_max_sparse(512), full where the automatic cutoff, which is ours, is still sparse. */
static bool same_registers(const struct cdp_hll *h, const char *want)
{
    struct cdp_hll other;
    bool same = cdp_hll_parse(&other, want, strlen(want), &err) == 0 && h->reg && other.reg &&
                memcmp(h->reg, other.reg, (size_t)1 << h->log2m) == 0;
    cdp_hll_free(&other);
    return same;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fabs(b);
}

/* Each row adds a value that is its own hash. */
static void test_adding(const char *name, int other_form)
{
    gzFile f = open_vectors(name);
    if (!f) {
        skip("no postgresql-hll in ../shared/data");
        return;
    }
    char *field[3];
    int rows = 0, bytes = 0, estimates = 0, forms = 0;
    struct cdp_hll h = {0};
    gzgets(f, line, sizeof line);
    while (gzgets(f, line, sizeof line)) {
        if (split(line, field, 3) != 3)
            continue;
        if (rows++ == 0)
            cdp_hll_parse(&h, field[2], strlen(field[2]), &err);
        else
            cdp_hll_add(&h, (uint64_t)strtoll(field[1], NULL, 10), &err);
        if (!same_text(&h, field[2])) {
            forms += same_registers(&h, field[2]);
            bytes += !same_registers(&h, field[2]);
        }
        estimates += !near(cdp_hll_cardinality(&h), strtod(field[0], NULL));
    }
    cdp_hll_free(&h);
    gzclose(f);
    ok(rows > 500 && !bytes && !estimates && forms == other_form,
       "%s: %d rows, %d wrong sketches, %d wrong estimates", name, rows, bytes, estimates);
}

static void test_uniting(const char *name)
{
    gzFile f = open_vectors(name);
    if (!f) {
        skip("no postgresql-hll in ../shared/data");
        return;
    }
    char *field[4];
    int rows = 0, bytes = 0, estimates = 0;
    struct cdp_hll all = {0}, one;
    gzgets(f, line, sizeof line);
    while (gzgets(f, line, sizeof line)) {
        if (split(line, field, 4) != 4)
            continue;
        cdp_hll_parse(&one, field[1], strlen(field[1]), &err);
        estimates += !near(cdp_hll_cardinality(&one), strtod(field[0], NULL));
        if (rows++ == 0)
            all = one;
        else if (cdp_hll_union(&all, &one, &err) < 0)
            bytes++;
        if (rows > 1)
            cdp_hll_free(&one);
        bytes += !same_text(&all, field[3]);
        estimates += !near(cdp_hll_cardinality(&all), strtod(field[2], NULL));
    }
    cdp_hll_free(&all);
    gzclose(f);
    ok(rows > 500 && !bytes && !estimates, "%s: %d rows, %d wrong sketches, %d wrong estimates", name, rows,
       bytes, estimates);
}

/* The same bytes whatever the order and however it was split and united. */
static void test_any_order(uint32_t values)
{
    struct cdp_hll up, down, part[7];
    cdp_hll_init(&up, CDP_HLL_LOG2M, CDP_HLL_REGWIDTH);
    cdp_hll_init(&down, CDP_HLL_LOG2M, CDP_HLL_REGWIDTH);
    for (int i = 0; i < 7; i++)
        cdp_hll_init(&part[i], CDP_HLL_LOG2M, CDP_HLL_REGWIDTH);
    for (uint32_t i = 0; i < values; i++) {
        cdp_hll_add(&up, cdp_hll_hash_int(i, 0), &err);
        cdp_hll_add(&down, cdp_hll_hash_int(values - 1 - i, 0), &err);
        cdp_hll_add(&part[i % 7], cdp_hll_hash_int(i, 0), &err);
        cdp_hll_add(&part[i % 3], cdp_hll_hash_int(i, 0), &err);
    }
    struct cdp_buf a = {0}, b = {0}, c = {0}, d = {0};
    cdp_hll_pack(&up, &a);
    cdp_hll_pack(&down, &b);
    for (int i = 5; i >= 0; i--)
        cdp_hll_union(&part[6], &part[i], &err);
    cdp_hll_pack(&part[6], &c);
    struct cdp_hll again;
    ok(cdp_hll_unpack(&again, a.data, a.len, &err) == 0, "%u values: the packed form is read", values);
    cdp_hll_pack(&again, &d);
    ok(a.len == b.len && a.len == c.len && a.len == d.len && !memcmp(a.data, b.data, a.len) &&
           !memcmp(a.data, c.data, a.len) && !memcmp(a.data, d.data, a.len),
       "%u values: the same %zu bytes in any order, united and read back", values, a.len);
    double estimate = cdp_hll_cardinality(&up);
    ok(fabs(estimate - values) <= 0.08 * values + 0.5, "%u values: estimated as %.0f", values, estimate);
    cdp_hll_free(&up);
    cdp_hll_free(&down);
    cdp_hll_free(&again);
    for (int i = 0; i < 7; i++)
        cdp_hll_free(&part[i]);
    cdp_buf_free(&a);
    cdp_buf_free(&b);
    cdp_buf_free(&c);
    cdp_buf_free(&d);
}

static void test_refused(const char *text, const char *what)
{
    struct cdp_hll h;
    ok(cdp_hll_parse(&h, text, strlen(text), &err) < 0 && err.exit == CDP_EXIT_DATA && !h.elem && !h.reg,
       "refused: %s", what);
}

int main(void)
{
    test_hash("murmur_bigint.csv.gz", true);
    test_hash("murmur_bytea.csv.gz", false);
    test_adding("cumulative_add_sparse_edge.csv.gz", 2);
    test_adding("cumulative_add_sparse_random.csv.gz", 0);
    test_adding("cumulative_add_sparse_step.csv.gz", 0);
    test_uniting("cumulative_union_sparse_sparse.csv.gz");

    ok(cdp_hll_hash("", 0, 0) == 0, "the hash of nothing with seed 0 is 0");
    static const uint32_t sizes[] = {0, 1, 160, 161, 600, 2000, 5000, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        test_any_order(sizes[i]);

    struct cdp_hll a, b;
    cdp_hll_init(&a, 11, 5);
    cdp_hll_init(&b, 12, 5);
    ok(cdp_hll_union(&a, &b, &err) < 0 && err.exit == CDP_EXIT_DATA, "refused: a union of unlike sketches");
    ok(same_text(&a, "\\x118b7f"), "empty: type 1, the default parameters, automatic cutoff");
    cdp_hll_add(&a, 1, &err);
    cdp_hll_add(&a, (uint64_t)-5451491901947305642, &err);
    ok(same_text(&a, "\\x128b7fb45868ff988321560000000000000001"), "explicit: ascending as signed numbers");
    cdp_hll_free(&a);

    test_refused("", "nothing");
    test_refused("138b48", "no \\x");
    test_refused("\\x138b4", "half a byte");
    test_refused("\\x138bzz", "no digits");
    test_refused("\\x238b48", "version 2");
    test_refused("\\x108b48", "undefined");
    test_refused("\\x158b48", "type 5");
    test_refused("\\x118b4800", "an empty one with data");
    test_refused("\\x128b7f00", "a part of an explicit element");
    test_refused("\\x128b7f00000000000000020000000000000001", "descending elements");
    test_refused("\\x128b7f00000000000000010000000000000001", "an element twice");
    test_refused("\\x148b7f00", "a full one cut short");
    test_refused("\\x138b48000000", "half a sparse word");
    test_refused("\\x119f7f", "2^31 registers");
    return done();
}
