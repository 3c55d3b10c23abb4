/* Fuzz target: two numbers, one a line, and the laws of arithmetic; what is written is read back as the same number. */
#include "lib/num.h"
#include "lib/scan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MAX_TEXT 400 /* bytes of input, and so digits of a number */

static struct cdp_err err;

static void check(bool good)
{
    if (!good)
        abort();
}

/* Valid for us just where it is for the scanner. */
static bool valid(const char *p, size_t n)
{
    struct cdp_scan_fault fault;
    bool number = cdp_num_valid(p, n);
    bool json = cdp_scan_document(NULL, p, n, NULL, &fault);
    check(!number || json);
    if (json && !number) {
        struct cdp_val v = cdp_val_text(p, n);
        check(v.type != CDP_NUMBER || v.len != n);
    }
    return number;
}

static void same(struct cdp_num *a, struct cdp_num *b)
{
    check(cdp_num_cmp(a, b) == 0 && cdp_num_cmp(b, a) == 0);
}

static void round_trip(const struct cdp_num *a, const char *p, size_t n)
{
    struct cdp_num back = CDP_NUM_ZERO;
    struct cdp_buf text = {0}, again = {0};
    cdp_num_format(a, &text);
    check(cdp_num_valid(text.data, text.len));
    check(cdp_num_parse(&back, text.data, text.len, &err) == 0 && cdp_num_cmp(a, &back) == 0);
    check(cdp_num_cmp_text(text.data, text.len, p, n) == 0);
    cdp_num_format(&back, &again);
    check(again.len == text.len && memcmp(again.data, text.data, text.len) == 0);
    int64_t coef;
    int32_t exp;
    if (cdp_num_small(p, n, &coef, &exp))
        check(cdp_num_cmp(a, &(struct cdp_num){.coef = coef, .exp = exp}) == 0);
    cdp_num_free(&back);
    cdp_buf_free(&text);
    cdp_buf_free(&again);
}

/* a + b = b + a, a - b = -(b - a), (a + b) - b = a */
static void additions(const struct cdp_num *a, const struct cdp_num *b)
{
    struct cdp_num x = CDP_NUM_ZERO, y = CDP_NUM_ZERO, zero = CDP_NUM_ZERO;
    if (cdp_num_add(&x, a, b, &err) == 0) {
        check(cdp_num_add(&y, b, a, &err) == 0);
        same(&x, &y);
        check(cdp_num_sub(&x, &x, b, &err) == 0 && cdp_num_cmp(&x, a) == 0);
    }
    if (cdp_num_sub(&x, a, b, &err) == 0) {
        check(cdp_num_sign(&x) == cdp_num_cmp(a, b));
        check(cdp_num_sub(&y, b, a, &err) == 0 && cdp_num_sub(&y, &zero, &y, &err) == 0);
        same(&x, &y);
    }
    cdp_num_free(&x);
    cdp_num_free(&y);
}

/* ab = ba, a(b + 1) = ab + a, (ab) / b = a */
static void products(const struct cdp_num *a, const struct cdp_num *b)
{
    struct cdp_num x = CDP_NUM_ZERO, y = CDP_NUM_ZERO, one = CDP_NUM_ZERO;
    cdp_num_int(&one, 1);
    if (cdp_num_mul(&x, a, b, &err) == 0) {
        check(cdp_num_mul(&y, b, a, &err) == 0);
        same(&x, &y);
        if (cdp_num_sign(b) && cdp_num_div(&y, &x, b, MAX_TEXT, &err) == 0)
            check(cdp_num_cmp(&y, a) == 0);
        if (cdp_num_add(&y, b, &one, &err) == 0 && cdp_num_mul(&y, a, &y, &err) == 0 &&
            cdp_num_add(&x, &x, a, &err) == 0)
            same(&x, &y);
    }
    cdp_num_free(&x);
    cdp_num_free(&y);
}

/* floor(a) ≤ a < floor(a) + 1; rounding to an integer is never farther than a half; (a - a % b) % b = 0 */
static void integers(const struct cdp_num *a, const struct cdp_num *b)
{
    struct cdp_num x = CDP_NUM_ZERO, y = CDP_NUM_ZERO, half = {.coef = 5, .exp = -1},
                   minus = {.coef = -5, .exp = -1};
    struct cdp_num one = {.coef = 1};
    check(cdp_num_floor(&x, a, &err) == 0 && cdp_num_cmp(&x, a) <= 0);
    if (cdp_num_add(&x, &x, &one, &err) == 0)
        check(cdp_num_cmp(a, &x) < 0);
    check(cdp_num_round(&x, a, 0, &err) == 0);
    if (cdp_num_sub(&x, a, &x, &err) == 0)
        check(cdp_num_cmp(&x, &half) <= 0 && cdp_num_cmp(&minus, &x) <= 0);
    if (cdp_num_mod(&x, a, b, &err) == 0) {
        check(cdp_num_sign(&x) * cdp_num_sign(a) >= 0);
        check(cdp_num_sub(&x, a, &x, &err) == 0 && cdp_num_mod(&y, &x, b, &err) == 0 &&
              cdp_num_sign(&y) == 0);
    }
    cdp_num_free(&x);
    cdp_num_free(&y);
}

/* The root of a square is its root; the square of a root is off by no more than the rounding. */
static void roots(const struct cdp_num *a)
{
    struct cdp_num x = CDP_NUM_ZERO, y = CDP_NUM_ZERO, zero = CDP_NUM_ZERO;
    if (cdp_num_mul(&x, a, a, &err) == 0 && cdp_num_sqrt(&x, &x, MAX_TEXT, &err) == 0) {
        check(cdp_num_sign(a) >= 0 ? cdp_num_cmp(&x, a) == 0
                                   : cdp_num_sub(&y, &zero, a, &err) == 0 && cdp_num_cmp(&x, &y) == 0);
    }
    if (cdp_num_sqrt(&x, a, 30, &err) == 0 && cdp_num_sign(&x) && cdp_num_mul(&y, &x, &x, &err) == 0 &&
        cdp_num_div(&y, &y, a, 40, &err) == 0) {
        struct cdp_num low = {.coef = 999999999999999999, .exp = -18},
                       high = {.coef = 100000000000000001, .exp = -17};
        check(cdp_num_cmp(&low, &y) < 0 && cdp_num_cmp(&y, &high) < 0);
    }
    cdp_num_free(&x);
    cdp_num_free(&y);
}

/* The sum of a, b and a, in whatever order and however it is split. */
static void sums(const struct cdp_num *a, const char *p, size_t pn, const char *q, size_t qn)
{
    struct cdp_sum s = {0}, t = {0}, u = {0};
    struct cdp_num x = CDP_NUM_ZERO, y = CDP_NUM_ZERO;
    bool good = cdp_sum_add(&s, p, pn, &err) == 0 && cdp_sum_add(&s, q, qn, &err) == 0 &&
                cdp_sum_add(&s, p, pn, &err) == 0;
    bool other = cdp_sum_add(&u, q, qn, &err) == 0 && cdp_sum_add(&t, p, pn, &err) == 0 &&
                 cdp_sum_add_num(&t, a, &err) == 0;
    check(good == other);
    if (good) {
        check(cdp_sum_merge(&t, &u, &err) == 0 && cdp_sum_value(&s, &x, &err) == 0 &&
              cdp_sum_value(&t, &y, &err) == 0);
        same(&x, &y);
    }
    cdp_num_free(&x);
    cdp_num_free(&y);
    cdp_sum_free(&s);
    cdp_sum_free(&t);
    cdp_sum_free(&u);
}

static void laws(const char *p, size_t pn, const char *q, size_t qn)
{
    struct cdp_num a = CDP_NUM_ZERO, b = CDP_NUM_ZERO;
    int order = cdp_num_cmp_text(p, pn, q, qn);
    check(order == -cdp_num_cmp_text(q, qn, p, pn));
    if (cdp_num_parse(&a, p, pn, &err) == 0 && cdp_num_parse(&b, q, qn, &err) == 0) {
        check(cdp_num_cmp(&a, &b) == order);
        round_trip(&a, p, pn);
        round_trip(&b, q, qn);
        additions(&a, &b);
        products(&a, &b);
        integers(&a, &b);
        roots(&a);
        sums(&a, p, pn, q, qn);
        double x = cdp_num_to_double(&a), y = cdp_num_to_double(&b);
        check(order < 0 ? x <= y : order > 0 ? x >= y : x == y);
    }
    cdp_num_free(&a);
    cdp_num_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *line = n ? memchr(data, '\n', n) : NULL;
    if (!line || n > MAX_TEXT)
        return 0;
    size_t pn = (size_t)(line - data), qn = n - pn - 1;
    /* Copies of their own, so that a read past the end is seen. */
    char *p = malloc(pn + 1), *q = malloc(qn + 1);
    check(p && q);
    memcpy(p, data, pn);
    memcpy(q, line + 1, qn);
    if (valid(p, pn) && valid(q, qn))
        laws(p, pn, q, qn);
    free(p);
    free(q);
    return 0;
}
