/* num_text: numbers as text: grammar, significant digits, comparison, the fast parser, notation.  See num.h.
 *
 * The fast parser takes eight digits at a time with three multiplications (after
 * https://kholdstare.github.io/technical/2020/05/26/faster-integer-parsing.html), the point taken out before. */
#include "lib/num.h"

#include "lib/num_mag.h"
#include "lib/num_swar.h"

#include <string.h>

bool cdp_num_valid(const char *p, size_t n)
{
    const char *end = p + n;
    if (p < end && *p == '-')
        p++;
    const char *digit = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    if (p == digit || (*digit == '0' && p > digit + 1))
        return false;
    if (p < end && *p == '.') {
        digit = ++p;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
        if (p == digit)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        digit = p;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
        if (p == digit)
            return false;
    }
    return p == end;
}

/* What a number's text is made of. */
struct parts {
    const char *first, *last; /* the significant digits, with a '.' perhaps; the same: zero */
    uint64_t count;           /* how many digits that is */
    int64_t top;              /* power of ten of the first one, without the exponent part */
    const char *e;            /* the exponent's digits after leading zeros */
    size_t en;
    bool neg, eneg;
};

static void take_apart(const char *p, size_t n, struct parts *t)
{
    const char *end = p + n, *point = NULL, *q;
    *t = (struct parts){.neg = *p == '-'};
    p += t->neg;
    for (q = p; q < end && (*q | 0x20) != 'e'; q++)
        if (*q == '.')
            point = q;
    const char *mantissa_end = q;
    if (q < end) {
        q++;
        t->eneg = *q == '-';
        q += *q == '-' || *q == '+';
        while (q < end && *q == '0')
            q++;
        t->e = q;
        t->en = (size_t)(end - q);
    }
    t->first = p;
    while (t->first < mantissa_end && (*t->first == '0' || *t->first == '.'))
        t->first++;
    t->last = mantissa_end;
    if (t->first == mantissa_end) {
        t->neg = false;
        return;
    }
    while (t->last[-1] == '0' || t->last[-1] == '.')
        t->last--;
    if (!point)
        point = mantissa_end;
    t->top = t->first < point ? point - t->first - 1 : point - t->first;
    t->count = (uint64_t)(t->last - t->first) - (point > t->first && point < t->last);
}

bool cdp_num_split(const char *p, size_t n, struct cdp_digits *d)
{
    struct parts t;
    take_apart(p, n, &t);
    *d = (struct cdp_digits){.p = t.first, .n = (size_t)(t.last - t.first), .count = t.count, .neg = t.neg};
    if (d->n == 0)
        return true;
    if (t.en > 19)
        return false;
    uint64_t e = 0;
    for (size_t i = 0; i < t.en; i++)
        e = e * 10 + (uint64_t)(t.e[i] - '0');
    __int128 top = t.top + (t.eneg ? -(__int128)e : (__int128)e), limit = (__int128)1 << 62;
    if (top >= limit || top <= -limit)
        return false;
    d->exp = (int64_t)top - (int64_t)(t.count - 1);
    return true;
}

/* The sign of (a's power of ten - b's), whatever the size of the exponents: their difference, digit by digit
 * from the left, is settled once it is out of reach of what is still to come and of `top`. */
static int cmp_power(const struct parts *a, const struct parts *b)
{
    const int64_t settled = (int64_t)1 << 56;
    int64_t diff = 0;
    size_t n = a->en > b->en ? a->en : b->en;
    for (size_t i = n; i > 0 && diff < settled && diff > -settled; i--) {
        int x = i <= a->en ? a->e[a->en - i] - '0' : 0;
        int y = i <= b->en ? b->e[b->en - i] - '0' : 0;
        diff = diff * 10 + (a->eneg ? -x : x) - (b->eneg ? -y : y);
    }
    diff += a->top - b->top;
    return (diff > 0) - (diff < 0);
}

static int cmp_digits(const struct parts *a, const struct parts *b)
{
    const char *p = a->first, *q = b->first;
    for (;; p++, q++) {
        p += p < a->last && *p == '.';
        q += q < b->last && *q == '.';
        if (p == a->last || q == b->last)
            return (p < a->last) - (q < b->last);
        if (*p != *q)
            return *p < *q ? -1 : 1;
    }
}

int cdp_num_cmp_text(const char *a, size_t an, const char *b, size_t bn)
{
    int64_t x, y;
    int32_t xe, ye;
    if (cdp_num_small(a, an, &x, &xe) && cdp_num_small(b, bn, &y, &ye)) {
        int32_t apart = xe - ye, by = apart < 0 ? -apart : apart;
        if (by <= 18) {
            int64_t low = cdp_mag_pow10[by < 9 ? by : 9], high = cdp_mag_pow10[by < 9 ? 0 : by - 9];
            __int128 p = x, q = y;
            *(apart < 0 ? &q : &p) *= (__int128)low * high;
            return (p > q) - (p < q);
        }
    }
    struct parts p, q;
    take_apart(a, an, &p);
    take_apart(b, bn, &q);
    bool pz = p.first == p.last, qz = q.first == q.last;
    if (pz || qz)
        return pz && qz ? 0 : pz ? (q.neg ? 1 : -1) : (p.neg ? -1 : 1);
    if (p.neg != q.neg)
        return p.neg ? -1 : 1;
    int order = cmp_power(&p, &q);
    if (order == 0)
        order = cmp_digits(&p, &q);
    return p.neg ? -order : order;
}

/* Any length and notation. */
static bool small_slowly(const char *p, const char *end, uint64_t *value, int32_t *exp)
{
    uint64_t v = 0;
    int32_t scale = 0;
    unsigned digits = 0;
    bool fraction = false;
    for (; p < end && (*p | 0x20) != 'e'; p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        v = v * 10 + (uint64_t)(*p - '0');
        digits += v != 0; /* zeros in front are none */
        scale -= fraction;
        if (digits > 18 || scale < -1000)
            return false;
    }
    if (p < end) {
        bool neg = *++p == '-';
        p += *p == '-' || *p == '+';
        int32_t e = 0;
        for (; p < end; p++) {
            e = e * 10 + (*p - '0');
            if (e > 1000000)
                return false;
        }
        scale += neg ? -e : e;
    }
    *value = v;
    *exp = scale;
    return true;
}

bool cdp_num_small(const char *p, size_t n, int64_t *coef, int32_t *exp)
{
    bool neg = *p == '-';
    uint64_t word[2], value;
    if (cdp_swar_digits(p + neg, n - neg, word, exp)) {
        value = cdp_swar_value(word[1]);
        if (word[0] != CDP_SWAR_ZEROS)
            value += cdp_swar_value(word[0]) * 100000000;
    } else if (!small_slowly(p + neg, p + n, &value, exp)) {
        return false;
    }
    *coef = neg ? -(int64_t)value : (int64_t)value;
    return true;
}

void cdp_num_format_digits(bool neg, const char *digit, size_t n, int64_t exp, struct cdp_buf *out)
{
    static const char zeros[] = "0000000000000000000000000000000000000000";
    const int64_t longest = sizeof zeros - 1; /* digits of plain notation */
    while (n && *digit == '0') {
        digit++;
        n--;
    }
    while (n && digit[n - 1] == '0') {
        n--;
        exp++;
    }
    if (n == 0) {
        cdp_buf_addc(out, '0');
        return;
    }
    if (neg)
        cdp_buf_addc(out, '-');
    int64_t count = (int64_t)n, top = exp + count - 1;
    if ((exp >= 0 ? top + 1 : top >= 0 ? count : 1 - exp) > longest) {
        cdp_buf_addc(out, digit[0]);
        if (n > 1)
            cdp_buf_addc(out, '.');
        cdp_buf_add(out, digit + 1, n - 1);
        cdp_buf_addf(out, "E%+lld", (long long)top);
    } else if (exp >= 0) {
        cdp_buf_add(out, digit, n);
        cdp_buf_add(out, zeros, (size_t)exp);
    } else if (top >= 0) {
        cdp_buf_add(out, digit, (size_t)(top + 1));
        cdp_buf_addc(out, '.');
        cdp_buf_add(out, digit + top + 1, (size_t)(count - top - 1));
    } else {
        cdp_buf_adds(out, "0.");
        cdp_buf_add(out, zeros, (size_t)(-top - 1));
        cdp_buf_add(out, digit, n);
    }
}
