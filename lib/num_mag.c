/* num_mag: see num_mag.h.  The schoolbook algorithms, division after Knuth (TAOCP volume 2, 4.3.1, algorithm D).
 * Base 10^9, because the numbers come as decimal text, go as decimal text, and are cut at decimal places.  Memory: each
 * result is one block of 4 bytes for 9 digits; the caller bounds the digits. */
#include "lib/num_mag.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

#define BASE CDP_MAG_BASE

const uint32_t cdp_mag_pow10[10] = {1,      10,      100,      1000,      10000,
                                    100000, 1000000, 10000000, 100000000, 1000000000};

static unsigned limb_digits(uint32_t x)
{
    unsigned n = 1;
    while (n < 9 && x >= cdp_mag_pow10[n])
        n++;
    return n;
}

void cdp_mag_free(struct cdp_mag *m)
{
    if (m->heap)
        free(m->limb);
    m->heap = false;
    m->limb = NULL;
    m->n = 0;
}

void cdp_mag_set(struct cdp_mag *m, unsigned __int128 v)
{
    m->limb = m->own;
    m->heap = false;
    m->n = 0;
    while (v) {
        if (v <= UINT64_MAX) { /* 128-bit division is a function call */
            uint64_t w = (uint64_t)v;
            m->own[m->n++] = (uint32_t)(w % BASE);
            v = w / BASE;
        } else {
            m->own[m->n++] = (uint32_t)(v % BASE);
            v /= BASE;
        }
    }
}

void cdp_mag_borrow(struct cdp_mag *m, uint32_t *limb, uint32_t n)
{
    m->limb = limb;
    m->heap = false;
    m->n = n;
    cdp_mag_trim(m);
}

int cdp_mag_alloc(struct cdp_mag *m, uint64_t n, struct cdp_err *err)
{
    m->heap = false;
    m->limb = m->own;
    m->n = 0;
    if (n > sizeof m->own / sizeof *m->own) {
        if (n > UINT32_MAX)
            return cdp_err_nomem(err, SIZE_MAX);
        uint32_t *limb = cdp_mem_alloc(n * sizeof *limb, err);
        if (!limb)
            return -1;
        m->limb = limb;
        m->heap = true;
    }
    m->n = (uint32_t)n;
    return 0;
}

void cdp_mag_trim(struct cdp_mag *m)
{
    while (m->n && m->limb[m->n - 1] == 0)
        m->n--;
}

uint64_t cdp_mag_digits(const struct cdp_mag *m)
{
    return m->n ? (uint64_t)(m->n - 1) * 9 + limb_digits(m->limb[m->n - 1]) : 0;
}

uint64_t cdp_mag_trailing_zeros(const struct cdp_mag *m)
{
    uint32_t i = 0;
    while (m->limb[i] == 0)
        i++;
    unsigned k = 0;
    while (m->limb[i] % cdp_mag_pow10[k + 1] == 0)
        k++;
    return (uint64_t)i * 9 + k;
}

int cdp_mag_cmp(const struct cdp_mag *a, const struct cdp_mag *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (uint32_t i = a->n; i-- > 0;)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

uint32_t cdp_mag_at(const struct cdp_mag *m, int64_t pos)
{
    int64_t j = pos >= 0 ? pos / 9 : -((8 - pos) / 9);
    unsigned r = (unsigned)(pos - j * 9);
    uint64_t low = j >= 0 && j < m->n ? m->limb[j] : 0;
    uint64_t high = j >= -1 && j + 1 < m->n ? m->limb[j + 1] : 0;
    return (uint32_t)((low / cdp_mag_pow10[r] + high * cdp_mag_pow10[9 - r]) % BASE);
}

int cdp_mag_shift(struct cdp_mag *r, const struct cdp_mag *a, uint64_t digits, struct cdp_err *err)
{
    uint64_t zeros = a->n ? digits / 9 : 0;
    if (cdp_mag_alloc(r, zeros + a->n + 1, err) < 0)
        return -1;
    uint32_t by = cdp_mag_pow10[digits % 9];
    uint64_t carry = 0;
    memset(r->limb, 0, zeros * sizeof *r->limb);
    for (uint32_t i = 0; i < a->n; i++) {
        carry += (uint64_t)a->limb[i] * by;
        r->limb[zeros + i] = (uint32_t)(carry % BASE);
        carry /= BASE;
    }
    r->limb[r->n - 1] = (uint32_t)carry;
    cdp_mag_trim(r);
    return 0;
}

int cdp_mag_add(struct cdp_mag *r, const struct cdp_mag *a, const struct cdp_mag *b, struct cdp_err *err)
{
    if (a->n < b->n) {
        const struct cdp_mag *t = a;
        a = b;
        b = t;
    }
    if (cdp_mag_alloc(r, (uint64_t)a->n + 1, err) < 0)
        return -1;
    uint32_t carry = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t sum = a->limb[i] + (i < b->n ? b->limb[i] : 0) + carry;
        carry = sum >= BASE;
        r->limb[i] = carry ? sum - BASE : sum;
    }
    r->limb[a->n] = carry;
    cdp_mag_trim(r);
    return 0;
}

int cdp_mag_sub(struct cdp_mag *r, const struct cdp_mag *a, const struct cdp_mag *b, struct cdp_err *err)
{
    if (cdp_mag_alloc(r, a->n, err) < 0)
        return -1;
    uint32_t borrow = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t less = (i < b->n ? b->limb[i] : 0) + borrow;
        borrow = a->limb[i] < less;
        r->limb[i] = a->limb[i] + (borrow ? BASE : 0) - less;
    }
    cdp_mag_trim(r);
    return 0;
}

int cdp_mag_mul(struct cdp_mag *r, const struct cdp_mag *a, const struct cdp_mag *b, struct cdp_err *err)
{
    if (cdp_mag_alloc(r, (uint64_t)a->n + b->n, err) < 0)
        return -1;
    memset(r->limb, 0, r->n * sizeof *r->limb);
    for (uint32_t i = 0; i < a->n; i++) {
        uint64_t carry = 0, x = a->limb[i];
        for (uint32_t j = 0; j < b->n; j++) {
            carry += x * b->limb[j] + r->limb[i + j];
            r->limb[i + j] = (uint32_t)(carry % BASE);
            carry /= BASE;
        }
        r->limb[i + b->n] = (uint32_t)carry;
    }
    cdp_mag_trim(r);
    return 0;
}

/* limb[0..n) × x in place, or / x; what goes over the edge is returned. */
static uint32_t scale(uint32_t *limb, uint32_t n, uint32_t x)
{
    uint64_t carry = 0;
    for (uint32_t i = 0; i < n; i++) {
        carry += (uint64_t)limb[i] * x;
        limb[i] = (uint32_t)(carry % BASE);
        carry /= BASE;
    }
    return (uint32_t)carry;
}

static uint32_t unscale(uint32_t *limb, uint32_t n, uint32_t x)
{
    uint64_t rem = 0;
    for (uint32_t i = n; i-- > 0;) {
        rem = rem * BASE + limb[i];
        limb[i] = (uint32_t)(rem / x);
        rem %= x;
    }
    return (uint32_t)rem;
}

/* u -= v × q at u[0..n], where v has n limbs; true where that went below zero. */
static bool subtract_multiple(uint32_t *u, const uint32_t *v, uint32_t n, uint64_t q)
{
    uint64_t carry = 0;
    uint32_t borrow = 0;
    for (uint32_t i = 0; i <= n; i++) {
        carry += i < n ? q * v[i] : 0;
        uint32_t less = (uint32_t)(carry % BASE) + borrow;
        carry /= BASE;
        borrow = u[i] < less;
        u[i] += (borrow ? BASE : 0) - less;
    }
    return borrow;
}

static void add_back(uint32_t *u, const uint32_t *v, uint32_t n)
{
    uint32_t carry = 0;
    for (uint32_t i = 0; i <= n; i++) {
        uint32_t sum = u[i] + (i < n ? v[i] : 0) + carry;
        carry = sum >= BASE;
        u[i] = carry ? sum - BASE : sum;
    }
}

/* Algorithm D's loop: u (un limbs, u[un-1] a leading zero) by v (vn ≥ 2 limbs, the top one at least half the base);
 * the quotient's un - vn limbs go to q where it is wanted, the remainder is left in u. */
static void divide(uint32_t *u, uint32_t un, const uint32_t *v, uint32_t vn, uint32_t *q)
{
    for (uint32_t j = un - vn; j-- > 0;) {
        uint64_t top = (uint64_t)u[j + vn] * BASE + u[j + vn - 1];
        uint64_t guess = top / v[vn - 1], rest = top % v[vn - 1];
        while (guess >= BASE || guess * v[vn - 2] > rest * BASE + u[j + vn - 2]) {
            guess--;
            rest += v[vn - 1];
            if (rest >= BASE)
                break;
        }
        if (subtract_multiple(u + j, v, vn, guess)) {
            guess--;
            add_back(u + j, v, vn);
        }
        if (q)
            q[j] = (uint32_t)guess;
    }
}

int cdp_mag_divrem(struct cdp_mag *q, struct cdp_mag *rem, const struct cdp_mag *a, const struct cdp_mag *b,
                   struct cdp_err *err)
{
    struct cdp_mag u = {0}, v = {0}, none = {0};
    int rc = -1;
    if (!q)
        q = &none;
    uint32_t qn = a->n >= b->n ? a->n - b->n + 1 : 0;
    if (cdp_mag_alloc(q, qn, err) < 0 || cdp_mag_alloc(&u, (uint64_t)a->n + 1, err) < 0 ||
        cdp_mag_alloc(&v, b->n, err) < 0)
        goto done;
    memcpy(u.limb, a->limb, a->n * sizeof *u.limb);
    u.limb[a->n] = 0;
    if (b->n == 1) {
        uint32_t left = unscale(u.limb, a->n, b->limb[0]);
        memcpy(q->limb, u.limb, qn * sizeof *q->limb);
        memset(u.limb, 0, u.n * sizeof *u.limb);
        u.limb[0] = left;
    } else if (qn) {
        uint32_t by = BASE / (b->limb[b->n - 1] + 1);
        memcpy(v.limb, b->limb, b->n * sizeof *v.limb);
        scale(v.limb, v.n, by);
        scale(u.limb, u.n, by);
        divide(u.limb, u.n, v.limb, v.n, q->limb);
        unscale(u.limb, u.n, by);
    }
    cdp_mag_trim(q);
    cdp_mag_trim(&u);
    rc = rem ? cdp_mag_shift(rem, &u, 0, err) : 0;
done:
    if (rc < 0)
        cdp_mag_free(q);
    cdp_mag_free(&none);
    cdp_mag_free(&u);
    cdp_mag_free(&v);
    return rc;
}

enum cdp_mag_part cdp_mag_drop(struct cdp_mag *m, uint64_t digits)
{
    if (digits == 0 || m->n == 0)
        return CDP_MAG_NONE;
    if (digits > cdp_mag_digits(m)) {
        m->n = 0;
        return CDP_MAG_BELOW_HALF;
    }
    /* The first digit cut off against 5, then whether anything but zeros follows it. */
    uint64_t zeros = cdp_mag_trailing_zeros(m);
    uint32_t first = cdp_mag_at(m, (int64_t)digits - 1) % 10;
    enum cdp_mag_part part = zeros >= digits       ? CDP_MAG_NONE
                             : first < 5           ? CDP_MAG_BELOW_HALF
                             : first > 5           ? CDP_MAG_ABOVE_HALF
                             : zeros + 1 == digits ? CDP_MAG_HALF
                                                   : CDP_MAG_ABOVE_HALF;
    uint32_t skip = (uint32_t)(digits / 9), low = cdp_mag_pow10[digits % 9],
             high = cdp_mag_pow10[9 - digits % 9];
    for (uint32_t i = skip; i < m->n; i++) {
        uint64_t above = i + 1 < m->n ? m->limb[i + 1] : 0;
        m->limb[i - skip] = (uint32_t)(m->limb[i] / low + above % low * high);
    }
    m->n -= skip;
    cdp_mag_trim(m);
    return part;
}

void cdp_mag_increment(struct cdp_mag *m)
{
    for (uint32_t i = 0; i < m->n; i++) {
        if (++m->limb[i] < BASE)
            return;
        m->limb[i] = 0;
    }
    m->limb[m->n++] = 1;
}
