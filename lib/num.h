/* num: exact decimal numbers.
 *
 * A JSON number is a decimal; it is kept as one, at any size: coefficient × 10^exponent.  Coefficients that fit
 * 18 digits take no memory of their own, larger ones do (base 10^9 limbs).  Addition, subtraction and multiplication
 * are exact; division and square root are rounded once, half to even, to a number of digits the caller states.
 * A number whose first or last digit (zeros at the ends do not count) stands outside 10^±CDP_NUM_MAX_EXP is refused by
 * arithmetic: an exact sum could need that many digits.  Comparison and key encoding take any number whose exponent
 * fits 62 bits.
 *
 * A cdp_num is CDP_NUM_ZERO or the result of an earlier call before it is a result, and is freed by cdp_num_free.  A
 * failed call leaves the result as it was.  What the functions make has no zeros at the end of its coefficient. */
#ifndef CDP_NUM_H
#define CDP_NUM_H

#include "lib/buf.h"
#include "lib/val.h"

#include <stdbool.h>
#include <stdint.h>

#define CDP_NUM_MAX_EXP 6144

struct cdp_num {
    int64_t coef;   /* the coefficient where limb is NULL: |coef| < 10^18, or any int64 from cdp_num_int */
    int64_t exp;    /* power of ten */
    uint32_t *limb; /* magnitude, base 10^9, least significant first; owned */
    uint32_t n;     /* with limb: how many */
    bool neg;       /* with limb */
};

#define CDP_NUM_ZERO ((struct cdp_num){0})

void cdp_num_free(struct cdp_num *a);

/* Is the text exactly one JSON number (RFC 8259, section 6)?  For what no scanner has seen. */
bool cdp_num_valid(const char *p, size_t n);

/* The significant digits of a valid JSON number's text: the value is ±digits × 10^exp. */
struct cdp_digits {
    const char *p;  /* from the first digit that is not 0 ... */
    size_t n;       /* ... to the last one: bytes, perhaps with a '.' among them; 0: the number is zero */
    uint64_t count; /* digits in there */
    int64_t exp;    /* power of ten of the last of them */
    bool neg;       /* false for zero */
};

/* False where an exponent does not fit 62 bits. */
bool cdp_num_split(const char *p, size_t n, struct cdp_digits *d);

/* From the text of a valid JSON number.  0, or -1: out of memory (exit 3) or an exponent past 62 bits (exit 1). */
int cdp_num_parse(struct cdp_num *a, const char *p, size_t n, struct cdp_err *err);
void cdp_num_int(struct cdp_num *a, int64_t i);
int cdp_num_copy(struct cdp_num *to, const struct cdp_num *from, struct cdp_err *err);

/* The fast way in for hot loops: a valid JSON number of at most 18 digits with a small exponent, as coef × 10^exp, zeros
 * at the end and all.  False where it is larger and cdp_num_parse is needed.  Reads no byte outside p[0..n). */
bool cdp_num_small(const char *p, size_t n, int64_t *coef, int32_t *exp);

/* r may be a or b.  0, or -1: memory (3), or past ±CDP_NUM_MAX_EXP (1). */
int cdp_num_add(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err);
int cdp_num_sub(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err);
int cdp_num_mul(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err);

/* a / b, and the square root of a, to `digits` ≥ 1 significant digits, half to even.  b = 0 and a < 0 are errors (1). */
int cdp_num_div(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, unsigned digits,
                struct cdp_err *err);
int cdp_num_sqrt(struct cdp_num *r, const struct cdp_num *a, unsigned digits, struct cdp_err *err);

/* Remainder as jq's %: both truncated to integers first, the sign of a.  b truncating to 0 is an error (1).  Exact: jq's
 * own saturates at 64 bits. */
int cdp_num_mod(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err);

/* The greatest integer not above a. */
int cdp_num_floor(struct cdp_num *r, const struct cdp_num *a, struct cdp_err *err);

/* Rounds to `places` digits after the point, half to even; before the point where places is negative. */
int cdp_num_round(struct cdp_num *r, const struct cdp_num *a, int places, struct cdp_err *err);

int cdp_num_cmp(const struct cdp_num *a, const struct cdp_num *b); /* -1, 0, 1 */
int cdp_num_sign(const struct cdp_num *a);                         /* -1, 0, 1 */
bool cdp_num_to_int64(const struct cdp_num *a, int64_t *i);        /* false where it is no int64 exactly */
double cdp_num_to_double(const struct cdp_num *a); /* nearest, ±INFINITY past it; for sketches only */

/* The shortest exact text: no trailing zeros after the point ("9747747.934", "100", "-0.5"), "0" for zero;
 * scientific ("1E+400") only where plain notation would need more than 40 digits. */
void cdp_num_format(const struct cdp_num *a, struct cdp_buf *out);

/* The same from n decimal digits (text, zeros around them allowed), the last of which stands at 10^exp. */
void cdp_num_format_digits(bool neg, const char *digit, size_t n, int64_t exp, struct cdp_buf *out);

/* Compares the texts of two JSON numbers exactly, at any size, exponents past 62 bits included: -1, 0, 1. */
int cdp_num_cmp_text(const char *a, size_t an, const char *b, size_t bn);

/* An exact sum: numbers of at most 18 digits and like scales are added in 128 bits, the rest in a cdp_num.  The value
 * does not depend on the order of adding, nor on how the numbers were split over sums that are merged: each number that
 * comes in is checked against ±CDP_NUM_MAX_EXP, what they add up to never is.  Zero-initialise to begin. */
struct cdp_sum {
    __int128 acc; /* in units of 10^exp */
    int32_t exp;
    bool any;            /* something was added */
    struct cdp_num rest; /* what did not fit */
};

void cdp_sum_free(struct cdp_sum *s);

/* Adds a valid JSON number's text, a number, another sum.  0, or -1: memory (3), or past ±CDP_NUM_MAX_EXP (1).
 * cdp_sum_add_num takes numbers up to 32 digits beyond the limit as well, so that a sum of numbers within it always comes
 * in whole: use it, not the text, for partial sums. */
int cdp_sum_add(struct cdp_sum *s, const char *p, size_t n, struct cdp_err *err);
int cdp_sum_add_num(struct cdp_sum *s, const struct cdp_num *a, struct cdp_err *err);
int cdp_sum_merge(struct cdp_sum *s, const struct cdp_sum *other, struct cdp_err *err);

/* The sum so far; zero where nothing was added. */
int cdp_sum_value(const struct cdp_sum *s, struct cdp_num *out, struct cdp_err *err);

#endif
