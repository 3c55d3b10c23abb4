/* ddsketch: bins are in the order of their values, no wider than 1 % of them, and found by digits alone. */
#include "lib/ddsketch.h"
#include "tests/unit/tap.h"

#include <stdlib.h>

static struct cdp_err err;

static int64_t bin(const char *text)
{
    return cdp_ddsketch_bin(text, strlen(text));
}

/* Ascending numbers: bins never descend. */
static void test_order(void)
{
    static const char *const up[] = {"-1e6144",
                                     "-123456789012345678901234567890",
                                     "-1000",
                                     "-999",
                                     "-10",
                                     "-1.5",
                                     "-1",
                                     "-0.001",
                                     "-1e-6144",
                                     "0",
                                     "1e-6144",
                                     "0.00099",
                                     "0.001",
                                     "0.1",
                                     "1",
                                     "1.01",
                                     "1.02",
                                     "9.96",
                                     "10",
                                     "100",
                                     "101",
                                     "1e3",
                                     "12345678901234567890",
                                     "9.99e6143",
                                     "1e6144"};
    bool good = true;
    for (size_t i = 1; i < sizeof up / sizeof *up; i++)
        good &= bin(up[i - 1]) < bin(up[i]);
    ok(good, "unlike numbers are in ascending bins");
}

static void test_spelling(void)
{
    ok(bin("1") == bin("1.0") && bin("1") == bin("1e0") && bin("1") == bin("0.1E+1") &&
           bin("1") == bin("10e-1"),
       "spellings of one number share a bin");
    ok(bin("0") == 0 && bin("-0") == 0 && bin("0.000") == 0 && bin("0e5") == 0, "zero in each spelling");
    ok(bin("-2.5") == -bin("2.5"), "negative numbers mirror positive ones");
}

/* All three-digit numbers and what lies close below the next one: the first and last of a bin differ by 1 % at most. */
static void test_width(void)
{
    char text[32], first[32] = "";
    int64_t last = -1;
    int bins = 0;
    double worst = 0;
    for (int i = 100; i < 1000; i++) {
        snprintf(text, sizeof text, "%d.999999999", i);
        char lower[32];
        snprintf(lower, sizeof lower, "%d", i);
        if (bin(lower) != last) {
            bins++;
            last = bin(lower);
            memcpy(first, lower, sizeof first);
        }
        if (bin(text) != last)
            worst = 1;
        double width = strtod(text, NULL) / strtod(first, NULL) - 1;
        worst = width > worst ? width : worst;
    }
    ok(bins == 350, "350 bins a decade: %d", bins);
    ok(worst <= 0.01, "no bin is wider than 1 %% of its values: %.6f", worst);
    ok(bin("1000") - bin("999.9") == 1 && bin("1") - bin("0.9999") == 1, "decades are neighbours");
}

static uint64_t rank_of(const char *q, uint64_t n)
{
    struct cdp_num number = CDP_NUM_ZERO;
    uint64_t rank = UINT64_MAX;
    cdp_num_parse(&number, q, strlen(q), &err);
    if (cdp_ddsketch_rank(&number, n, &rank, &err) < 0)
        rank = UINT64_MAX;
    cdp_num_free(&number);
    return rank;
}

static void test_rank(void)
{
    ok(rank_of("0", 10) == 0 && rank_of("1", 10) == 9 && rank_of("1", 1) == 0, "the ends");
    ok(rank_of("0.5", 1) == 0 && rank_of("0.5", 2) == 0 && rank_of("0.5", 3) == 1 && rank_of("0.5", 4) == 1,
       "the median of an even number is the lower one");
    ok(rank_of("0.29", 101) == 29, "0.29 * 100 is 29, not the 28.999… of binary fractions");
    ok(rank_of("0.9", UINT64_C(1000000000000000001)) == UINT64_C(900000000000000000), "a large number");
}

int main(void)
{
    test_order();
    test_spelling();
    test_width();
    test_rank();
    return done();
}
