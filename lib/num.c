/* num: see num.h.  Decimals as coefficient × 10^exponent, after the General Decimal Arithmetic of Cowlishaw
 * (https://speleotrove.com/decimal/decarith.html) without its contexts: results are exact or rounded once.  Small
 * coefficients are one integer and go through 128 bits; the others through num_mag.  Memory: 4 bytes for 9 digits, and
 * at most about 12,300 digits take part in arithmetic; parsing, comparing and formatting are linear at any size. */
#include "lib/num.h"

#include "lib/mem.h"
#include "lib/num_mag.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_LIMIT INT64_C(1000000000000000000) /* 10^18 */

/* How far beyond CDP_NUM_MAX_EXP a number may begin. */
enum reach {
    REACH_DATA = 0,
    REACH_SUM = 32,           /* what a sum of data can be */
    REACH_ANY = INT32_MAX / 2 /* checked before */
};

static const int64_t pow10_64[19] = {1,
                                     10,
                                     100,
                                     1000,
                                     10000,
                                     100000,
                                     1000000,
                                     10000000,
                                     100000000,
                                     1000000000,
                                     10000000000,
                                     100000000000,
                                     1000000000000,
                                     10000000000000,
                                     100000000000000,
                                     1000000000000000,
                                     10000000000000000,
                                     100000000000000000,
                                     1000000000000000000};

static uint64_t magnitude(int64_t i)
{
    return i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
}

static bool negative(const struct cdp_num *a)
{
    return a->limb ? a->neg : a->coef < 0;
}

/* The coefficient as a mag; valid while a is. */
static void view(const struct cdp_num *a, struct cdp_mag *m)
{
    if (a->limb)
        cdp_mag_borrow(m, a->limb, a->n);
    else
        cdp_mag_set(m, magnitude(a->coef));
}

static int too_far(struct cdp_err *err)
{
    return cdp_err_set(err, CDP_EXIT_DATA, "a number has digits beyond 1e±%d, past exact arithmetic",
                       CDP_NUM_MAX_EXP);
}

static int check_mag(const struct cdp_mag *m, int64_t exp, enum reach reach, struct cdp_err *err)
{
    if (m->n == 0)
        return 0;
    if (exp + (int64_t)cdp_mag_digits(m) - 1 > CDP_NUM_MAX_EXP + (int64_t)reach)
        return too_far(err);
    if (exp < -CDP_NUM_MAX_EXP && exp + (int64_t)cdp_mag_trailing_zeros(m) < -CDP_NUM_MAX_EXP)
        return too_far(err);
    return 0;
}

static int check(const struct cdp_num *a, enum reach reach, struct cdp_err *err)
{
    if (!a->limb && a->exp >= -CDP_NUM_MAX_EXP && a->exp <= CDP_NUM_MAX_EXP - 18)
        return 0;
    struct cdp_mag m;
    view(a, &m);
    return check_mag(&m, a->exp, reach, err);
}

static void set_small(struct cdp_num *r, int64_t coef, int64_t exp)
{
    free(r->limb);
    *r = (struct cdp_num){.coef = coef, .exp = coef ? exp : 0};
    while (r->coef && r->coef % 10 == 0) {
        r->coef /= 10;
        r->exp++;
    }
}

/* Makes ±m × 10^exp the value of r.  m is not borrowed, and is empty afterwards. */
static int store(struct cdp_num *r, struct cdp_mag *m, bool neg, int64_t exp, enum reach reach,
                 struct cdp_err *err)
{
    int rc = -1;
    uint64_t zeros = m->n ? cdp_mag_trailing_zeros(m) : 0;
    cdp_mag_drop(m, zeros);
    exp += (int64_t)zeros;
    if (check_mag(m, exp, reach, err) < 0)
        goto done;
    if (m->n <= 2) {
        int64_t coef = (m->n > 1 ? (int64_t)m->limb[1] * CDP_MAG_BASE : 0) + (m->n ? m->limb[0] : 0);
        set_small(r, neg ? -coef : coef, exp);
    } else {
        uint32_t *limb = m->limb;
        if (m->heap)
            m->heap = false;
        else if ((limb = cdp_mem_alloc(m->n * sizeof *limb, err)))
            memcpy(limb, m->limb, m->n * sizeof *limb);
        else
            goto done;
        free(r->limb);
        *r = (struct cdp_num){.exp = exp, .limb = limb, .n = m->n, .neg = neg};
    }
    rc = 0;
done:
    cdp_mag_free(m);
    return rc;
}

static int store_128(struct cdp_num *r, __int128 v, int64_t exp, enum reach reach, struct cdp_err *err)
{
    if (v < SMALL_LIMIT && v > -SMALL_LIMIT && exp >= -CDP_NUM_MAX_EXP && exp <= CDP_NUM_MAX_EXP - 18) {
        set_small(r, (int64_t)v, exp);
        return 0;
    }
    struct cdp_mag m;
    cdp_mag_set(&m, v < 0 ? 0 - (unsigned __int128)v : (unsigned __int128)v);
    return store(r, &m, v < 0, exp, reach, err);
}

void cdp_num_free(struct cdp_num *a)
{
    free(a->limb);
    *a = CDP_NUM_ZERO;
}

int cdp_num_parse(struct cdp_num *a, const char *p, size_t n, struct cdp_err *err)
{
    struct cdp_digits d;
    if (!cdp_num_split(p, n, &d))
        return cdp_err_set(err, CDP_EXIT_DATA, "a number's exponent is past 62 bits");
    if (d.count <= 18) {
        int64_t coef = 0;
        for (size_t i = 0; i < d.n; i++)
            if (d.p[i] != '.')
                coef = coef * 10 + (d.p[i] - '0');
        set_small(a, d.neg ? -coef : coef, d.exp);
        return 0;
    }
    struct cdp_mag m;
    if (cdp_mag_alloc(&m, (d.count + 8) / 9, err) < 0)
        return -1;
    const char *digit = d.p + d.n;
    for (uint32_t i = 0; i < m.n; i++) {
        uint32_t limb = 0;
        for (unsigned k = 0; k < 9 && digit > d.p; k++) {
            if (*--digit == '.')
                digit--;
            limb += (uint32_t)(*digit - '0') * cdp_mag_pow10[k];
        }
        m.limb[i] = limb;
    }
    cdp_mag_trim(&m);
    return store(a, &m, d.neg, d.exp, REACH_ANY, err);
}

void cdp_num_int(struct cdp_num *a, int64_t i)
{
    set_small(a, i, 0);
}

int cdp_num_copy(struct cdp_num *to, const struct cdp_num *from, struct cdp_err *err)
{
    if (to == from)
        return 0;
    uint32_t *limb = NULL;
    if (from->limb) {
        limb = cdp_mem_alloc(from->n * sizeof *limb, err);
        if (!limb)
            return -1;
        memcpy(limb, from->limb, from->n * sizeof *limb);
    }
    free(to->limb);
    *to = *from;
    to->limb = limb;
    return 0;
}

/* a + b, or a - b.  The operands are known to be within reach of each other. */
static int add(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, bool minus,
               enum reach reach, struct cdp_err *err)
{
    if (cdp_num_sign(b) == 0)
        return cdp_num_copy(r, a, err);
    if (cdp_num_sign(a) == 0 && !minus)
        return cdp_num_copy(r, b, err);
    int64_t apart = a->exp - b->exp;
    if (!a->limb && !b->limb && apart >= -18 && apart <= 18) {
        __int128 x = a->coef, y = minus ? -(__int128)b->coef : b->coef;
        if (apart > 0)
            x *= pow10_64[apart];
        else
            y *= pow10_64[-apart];
        return store_128(r, x + y, apart > 0 ? b->exp : a->exp, reach, err);
    }
    struct cdp_mag x, y, scaled = {0}, sum = {0};
    struct cdp_mag *p = &x, *q = &y;
    bool xneg = negative(a), yneg = negative(b) != minus;
    int64_t exp = apart > 0 ? b->exp : a->exp;
    int rc;
    view(a, &x);
    view(b, &y);
    if (apart > 0) {
        rc = cdp_mag_shift(&scaled, p, (uint64_t)apart, err);
        p = &scaled;
    } else {
        rc = cdp_mag_shift(&scaled, q, (uint64_t)-apart, err);
        q = &scaled;
    }
    if (rc == 0 && xneg == yneg) {
        rc = cdp_mag_add(&sum, p, q, err);
    } else if (rc == 0) {
        bool swap = cdp_mag_cmp(p, q) < 0;
        rc = cdp_mag_sub(&sum, swap ? q : p, swap ? p : q, err);
        xneg = swap ? yneg : xneg;
    }
    if (rc == 0)
        rc = store(r, &sum, xneg, exp, reach, err);
    cdp_mag_free(&scaled);
    return rc;
}

int cdp_num_add(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err)
{
    if (check(a, REACH_DATA, err) < 0 || check(b, REACH_DATA, err) < 0)
        return -1;
    return add(r, a, b, false, REACH_DATA, err);
}

int cdp_num_sub(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err)
{
    if (check(a, REACH_DATA, err) < 0 || check(b, REACH_DATA, err) < 0)
        return -1;
    return add(r, a, b, true, REACH_DATA, err);
}

int cdp_num_mul(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err)
{
    if (check(a, REACH_DATA, err) < 0 || check(b, REACH_DATA, err) < 0)
        return -1;
    if (!a->limb && !b->limb)
        return store_128(r, (__int128)a->coef * b->coef, a->exp + b->exp, REACH_DATA, err);
    struct cdp_mag x, y, product;
    view(a, &x);
    view(b, &y);
    if (cdp_mag_mul(&product, &x, &y, err) < 0)
        return -1;
    return store(r, &product, negative(a) != negative(b), a->exp + b->exp, REACH_DATA, err);
}

/* Drops digits, half to even; `more`: something that is not zero follows them. */
static void round_even(struct cdp_mag *m, uint64_t digits, bool more)
{
    enum cdp_mag_part cut = cdp_mag_drop(m, digits);
    if (cut == CDP_MAG_HALF && more)
        cut = CDP_MAG_ABOVE_HALF;
    if (cut == CDP_MAG_ABOVE_HALF || (cut == CDP_MAG_HALF && m->n && (m->limb[0] & 1)))
        cdp_mag_increment(m);
}

int cdp_num_div(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, unsigned digits,
                struct cdp_err *err)
{
    if (check(a, REACH_SUM, err) < 0 || check(b, REACH_SUM, err) < 0)
        return -1;
    if (cdp_num_sign(b) == 0)
        return cdp_err_set(err, CDP_EXIT_DATA, "division by zero");
    struct cdp_mag x, y, scaled = {0}, q = {0}, rem = {0};
    view(a, &x);
    view(b, &y);
    /* One digit more than is asked for, so that the remainder can only tip a tie. */
    int64_t shift = (int64_t)digits + 1 + (int64_t)cdp_mag_digits(&y) - (int64_t)cdp_mag_digits(&x);
    if (shift < 0)
        shift = 0;
    int rc = cdp_mag_shift(&scaled, &x, (uint64_t)shift, err);
    if (rc == 0)
        rc = cdp_mag_divrem(&q, &rem, &scaled, &y, err);
    if (rc == 0) {
        uint64_t have = cdp_mag_digits(&q), drop = have > digits ? have - digits : 0;
        round_even(&q, drop, rem.n != 0);
        rc = store(r, &q, negative(a) != negative(b), a->exp - b->exp - shift + (int64_t)drop, REACH_DATA,
                   err);
    }
    cdp_mag_free(&scaled);
    cdp_mag_free(&rem);
    return rc;
}

/* root = the integer square root of n, by Newton's method from above; *exact: nothing is left over. */
static int integer_root(struct cdp_mag *root, bool *exact, const struct cdp_mag *n, struct cdp_err *err)
{
    struct cdp_mag x = {0}, q = {0}, sum = {0}, two, start;
    int rc;
    /* 18 or 17 leading digits give a start that is above the root and right in its first nine digits. */
    uint64_t digits = cdp_mag_digits(n), below = digits > 18 ? (digits - 17) / 2 * 2 : 0;
    uint64_t lead =
        (uint64_t)cdp_mag_at(n, (int64_t)below + 9) * CDP_MAG_BASE + cdp_mag_at(n, (int64_t)below);
    cdp_mag_set(&start, (unsigned)sqrt((double)lead) + 2);
    cdp_mag_set(&two, 2);
    *exact = false;
    rc = cdp_mag_shift(root, &start, below / 2, err);
    while (rc == 0) {
        if ((rc = cdp_mag_divrem(&q, &x, n, root, err)) < 0)
            break;
        int order = cdp_mag_cmp(&q, root);
        *exact = order == 0 && x.n == 0;
        if (order >= 0)
            break;
        cdp_mag_free(&x);
        rc = cdp_mag_add(&sum, root, &q, err);
        cdp_mag_free(root);
        cdp_mag_free(&q);
        if (rc == 0)
            rc = cdp_mag_divrem(root, NULL, &sum, &two, err);
        cdp_mag_free(&sum);
    }
    cdp_mag_free(&x);
    cdp_mag_free(&q);
    return rc;
}

int cdp_num_sqrt(struct cdp_num *r, const struct cdp_num *a, unsigned digits, struct cdp_err *err)
{
    if (check(a, REACH_SUM, err) < 0)
        return -1;
    if (cdp_num_sign(a) < 0)
        return cdp_err_set(err, CDP_EXIT_DATA, "square root of a negative number");
    struct cdp_mag x, scaled = {0}, root = {0};
    view(a, &x);
    int64_t shift = 2 * (int64_t)digits + 2 - (int64_t)cdp_mag_digits(&x);
    if (shift < 0)
        shift = 0;
    shift += (a->exp - shift) & 1;
    bool exact;
    int rc = cdp_mag_shift(&scaled, &x, (uint64_t)shift, err);
    if (rc == 0 && scaled.n == 0) {
        set_small(r, 0, 0);
    } else if (rc == 0 && (rc = integer_root(&root, &exact, &scaled, err)) == 0) {
        uint64_t have = cdp_mag_digits(&root), drop = have > digits ? have - digits : 0;
        round_even(&root, drop, !exact);
        rc = store(r, &root, false, (a->exp - shift) / 2 + (int64_t)drop, REACH_DATA, err);
    }
    cdp_mag_free(&root);
    cdp_mag_free(&scaled);
    return rc;
}

/* m = |a| without its fraction, as an integer that is m's own; *cut says what the fraction was. */
static int truncated(struct cdp_mag *m, const struct cdp_num *a, enum cdp_mag_part *cut, struct cdp_err *err)
{
    struct cdp_mag x;
    view(a, &x);
    if (cdp_mag_shift(m, &x, a->exp > 0 ? (uint64_t)a->exp : 0, err) < 0)
        return -1;
    *cut = cdp_mag_drop(m, a->exp < 0 ? (uint64_t)-a->exp : 0);
    return 0;
}

int cdp_num_mod(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err)
{
    if (check(a, REACH_DATA, err) < 0 || check(b, REACH_DATA, err) < 0)
        return -1;
    struct cdp_mag x = {0}, y = {0}, rem = {0};
    enum cdp_mag_part cut;
    int rc = truncated(&x, a, &cut, err);
    if (rc == 0)
        rc = truncated(&y, b, &cut, err);
    if (rc == 0 && y.n == 0)
        rc = cdp_err_set(err, CDP_EXIT_DATA, "remainder of a division by zero");
    if (rc == 0)
        rc = cdp_mag_divrem(NULL, &rem, &x, &y, err);
    if (rc == 0)
        rc = store(r, &rem, negative(a), 0, REACH_DATA, err);
    cdp_mag_free(&x);
    cdp_mag_free(&y);
    return rc;
}

int cdp_num_floor(struct cdp_num *r, const struct cdp_num *a, struct cdp_err *err)
{
    if (a->exp >= 0)
        return cdp_num_copy(r, a, err);
    struct cdp_mag m;
    enum cdp_mag_part cut;
    if (truncated(&m, a, &cut, err) < 0)
        return -1;
    if (negative(a) && cut != CDP_MAG_NONE)
        cdp_mag_increment(&m);
    return store(r, &m, negative(a), 0, REACH_ANY, err);
}

int cdp_num_round(struct cdp_num *r, const struct cdp_num *a, int places, struct cdp_err *err)
{
    int64_t drop = -(int64_t)places - a->exp;
    if (drop <= 0)
        return cdp_num_copy(r, a, err);
    struct cdp_mag x, m;
    view(a, &x);
    if (cdp_mag_shift(&m, &x, 0, err) < 0)
        return -1;
    round_even(&m, (uint64_t)drop, false);
    return store(r, &m, negative(a), -(int64_t)places, REACH_ANY, err);
}

int cdp_num_sign(const struct cdp_num *a)
{
    return a->limb ? (a->neg ? -1 : 1) : (a->coef > 0) - (a->coef < 0);
}

int cdp_num_cmp(const struct cdp_num *a, const struct cdp_num *b)
{
    int sign = cdp_num_sign(a), other = cdp_num_sign(b);
    if (sign != other || sign == 0)
        return (sign > other) - (sign < other);
    if (!a->limb && !b->limb && a->exp == b->exp)
        return (a->coef > b->coef) - (a->coef < b->coef);
    struct cdp_mag x, y;
    view(a, &x);
    view(b, &y);
    int64_t m = (int64_t)cdp_mag_digits(&x), n = (int64_t)cdp_mag_digits(&y);
    if (a->exp + m != b->exp + n)
        return a->exp + m < b->exp + n ? -sign : sign;
    for (int64_t left = m > n ? m : n; left > 0; left -= 9) {
        m -= 9;
        n -= 9;
        uint32_t p = cdp_mag_at(&x, m), q = cdp_mag_at(&y, n);
        if (p != q)
            return p < q ? -sign : sign;
    }
    return 0;
}

bool cdp_num_to_int64(const struct cdp_num *a, int64_t *i)
{
    int64_t coef = a->coef, exp = a->exp;
    if (a->limb && (a->exp < 0 || a->n > 3 || a->exp > 18))
        return false;
    if (a->limb) {
        __int128 v = (__int128)a->limb[2] * CDP_MAG_BASE * CDP_MAG_BASE + (int64_t)a->limb[1] * CDP_MAG_BASE +
                     a->limb[0];
        v = a->neg ? -v : v;
        if (v > INT64_MAX || v < INT64_MIN)
            return false;
        coef = (int64_t)v;
    }
    for (; exp > 0 && coef; exp--)
        if (__builtin_mul_overflow(coef, 10, &coef))
            return false;
    for (; exp < 0 && coef; exp++) {
        if (coef % 10)
            return false;
        coef /= 10;
    }
    *i = coef;
    return true;
}

/* The double nearest to any decimal: the digits as a fixed-point number in base 10^9, multiplied and divided by powers
 * of two until the integer part has the 65 to 120 bits that are rounded.  What lies below 10^-1188 cannot make a tie. */
#define FIX_FRACTION 132
#define FIX_LIMBS (FIX_FRACTION + 40)

static double to_double_slowly(const struct cdp_num *a)
{
    struct cdp_mag m;
    view(a, &m);
    int64_t digits = (int64_t)cdp_mag_digits(&m), top = a->exp + digits - 1;
    if (top > 309)
        return INFINITY;
    if (top < -330)
        return 0;
    uint32_t limb[FIX_LIMBS];
    bool more = a->exp < -9 * FIX_FRACTION;
    int bits = 0, high = FIX_FRACTION;
    for (int i = 0; i < FIX_LIMBS; i++) {
        limb[i] = cdp_mag_at(&m, (int64_t)9 * (i - FIX_FRACTION) - a->exp);
        if (limb[i] && i > high)
            high = i;
    }
    while (high > FIX_FRACTION + 3) { /* an integer part of 10^36 or more */
        uint64_t rem = 0;
        for (int i = high; i >= 0; i--) {
            rem = rem * CDP_MAG_BASE + limb[i];
            limb[i] = (uint32_t)(rem >> 29);
            rem &= (1u << 29) - 1;
        }
        more |= rem != 0;
        bits += 29;
        high -= limb[high] == 0;
    }
    unsigned __int128 v = 0;
    for (;; v = 0) {
        for (int i = high; i >= FIX_FRACTION; i--)
            v = v * CDP_MAG_BASE + limb[i];
        if (v >> 64)
            break;
        uint64_t carry = 0;
        for (int i = 0; i <= high; i++) {
            carry += (uint64_t)limb[i] << 29;
            limb[i] = (uint32_t)(carry % CDP_MAG_BASE);
            carry /= CDP_MAG_BASE;
        }
        if (carry)
            limb[++high] = (uint32_t)carry;
        bits -= 29;
    }
    for (int i = 0; i < FIX_FRACTION; i++)
        more |= limb[i] != 0;
    /* Rounds v to 53 bits, or to what a subnormal has; from 12 to 116 bits go. */
    int width = 128 - __builtin_clzll((unsigned long long)(v >> 64));
    int drop = width - 53;
    if (drop + bits < -1074)
        drop = -1074 - bits;
    unsigned __int128 half = (unsigned __int128)1 << (drop - 1), rest = v & (half * 2 - 1);
    v >>= drop;
    if (rest > half || (rest == half && (more || (v & 1))))
        v++;
    return ldexp((double)(uint64_t)v, drop + bits);
}

double cdp_num_to_double(const struct cdp_num *a)
{
    if (!a->limb && magnitude(a->coef) <= UINT64_C(1) << 53 && a->exp >= -22 && a->exp <= 22) {
        static const double power[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                         1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                         1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
        /* Both are exact, so this rounds once. */
        return a->exp < 0 ? (double)a->coef / power[-a->exp] : (double)a->coef * power[a->exp];
    }
    double d = to_double_slowly(a);
    return negative(a) ? -d : d;
}

void cdp_num_format(const struct cdp_num *a, struct cdp_buf *out)
{
    struct cdp_mag m;
    struct cdp_buf text = {0};
    char here[64], *digit = here;
    view(a, &m);
    size_t n = (size_t)m.n * 9;
    if (n > sizeof here) {
        if (!cdp_buf_reserve(&text, n)) {
            out->failed = true;
            return;
        }
        digit = text.data;
    }
    for (uint32_t i = 0; i < m.n; i++) {
        uint32_t limb = m.limb[i];
        for (size_t k = 1; k <= 9; k++) {
            digit[n - (size_t)i * 9 - k] = (char)('0' + limb % 10);
            limb /= 10;
        }
    }
    cdp_num_format_digits(negative(a), digit, n, a->exp, out);
    cdp_buf_free(&text);
}

/* The lowest scale of cdp_sum's acc: below it, values of ordinary size would not fit beside it. */
#define SUM_MIN_EXP (-24)

/* v × 10^by, by ≥ 0; false where that does not fit. */
static bool scale_128(__int128 *v, int64_t by)
{
    for (; by > 0 && *v; by -= 18)
        if (__builtin_mul_overflow(*v, (__int128)pow10_64[by < 18 ? by : 18], v))
            return false;
    return true;
}

static int add_to_rest(struct cdp_sum *s, __int128 v, int64_t exp, struct cdp_err *err)
{
    struct cdp_num a = CDP_NUM_ZERO;
    int rc = store_128(&a, v, exp, REACH_ANY, err);
    if (rc == 0)
        rc = add(&s->rest, &s->rest, &a, false, REACH_ANY, err);
    cdp_num_free(&a);
    return rc;
}

/* Adds v × 10^exp, a number that arithmetic takes. */
static int add_128(struct cdp_sum *s, __int128 v, int64_t exp, struct cdp_err *err)
{
    if (v == 0)
        return 0;
    if (exp < SUM_MIN_EXP)
        return add_to_rest(s, v, exp, err);
    __int128 sum, acc = s->acc, scaled = v;
    if (exp < s->exp) {
        if (!scale_128(&acc, s->exp - exp)) {
            if (add_to_rest(s, s->acc, s->exp, err) < 0)
                return -1;
            acc = 0;
        }
        s->acc = acc;
        s->exp = (int32_t)exp;
    } else if (!scale_128(&scaled, exp - s->exp)) {
        return add_to_rest(s, v, exp, err);
    }
    if (__builtin_add_overflow(acc, scaled, &sum)) {
        if (add_to_rest(s, acc, s->exp, err) < 0)
            return -1;
        sum = scaled;
    }
    s->acc = sum;
    return 0;
}

void cdp_sum_free(struct cdp_sum *s)
{
    cdp_num_free(&s->rest);
    *s = (struct cdp_sum){0};
}

static int sum_num(struct cdp_sum *s, const struct cdp_num *a, enum reach reach, struct cdp_err *err)
{
    if (check(a, reach, err) < 0)
        return -1;
    int rc = a->limb ? add(&s->rest, &s->rest, a, false, REACH_ANY, err) : add_128(s, a->coef, a->exp, err);
    s->any |= rc == 0;
    return rc;
}

int cdp_sum_add(struct cdp_sum *s, const char *p, size_t n, struct cdp_err *err)
{
    int64_t coef;
    int32_t exp;
    struct cdp_num a = CDP_NUM_ZERO;
    if (cdp_num_small(p, n, &coef, &exp)) {
        __int128 sum;
        uint32_t by = (uint32_t)exp - (uint32_t)s->exp;
        if (by <= 18 && !__builtin_add_overflow(s->acc, (__int128)coef * pow10_64[by], &sum)) {
            s->acc = sum;
            s->any = true;
            return 0;
        }
        a.coef = coef;
        a.exp = coef ? exp : 0;
        return sum_num(s, &a, REACH_DATA, err);
    }
    int rc = cdp_num_parse(&a, p, n, err);
    if (rc == 0)
        rc = sum_num(s, &a, REACH_DATA, err);
    cdp_num_free(&a);
    return rc;
}

int cdp_sum_add_num(struct cdp_sum *s, const struct cdp_num *a, struct cdp_err *err)
{
    return sum_num(s, a, REACH_SUM, err);
}

int cdp_sum_merge(struct cdp_sum *s, const struct cdp_sum *other, struct cdp_err *err)
{
    if (!other->any)
        return 0;
    s->any = true;
    if (add_128(s, other->acc, other->exp, err) < 0)
        return -1;
    return add(&s->rest, &s->rest, &other->rest, false, REACH_ANY, err);
}

int cdp_sum_value(const struct cdp_sum *s, struct cdp_num *out, struct cdp_err *err)
{
    struct cdp_num acc = CDP_NUM_ZERO;
    int rc = store_128(&acc, s->acc, s->exp, REACH_ANY, err);
    if (rc == 0)
        rc = add(out, &acc, &s->rest, false, REACH_ANY, err);
    cdp_num_free(&acc);
    return rc;
}
