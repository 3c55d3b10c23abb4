/* num: exact decimal numbers.
 *
 * A JSON number is a decimal; it is kept as one, at any size: coefficient × 10^exponent.  Coefficients that fit
 * 18 digits take no memory of their own, larger ones do (base 10^9 limbs).  Addition, subtraction and multiplication
 * are exact; division and square root are rounded once, half to even, to a number of digits the caller states.
 * Exponents outside ±CDP_NUM_MAX_EXP (after normalising) are refused by arithmetic: exact sums would need that many
 * digits.  Comparison and key encoding take any number whose exponent fits 62 bits. */
#ifndef CDP_NUM_H
#define CDP_NUM_H

#include "lib/buf.h"
#include "lib/val.h"

#include <stdbool.h>
#include <stdint.h>

#define CDP_NUM_MAX_EXP 6144

struct cdp_num {
    int64_t coef;   /* the coefficient where limb is NULL: |coef| < 10^18 */
    int64_t exp;    /* power of ten */
    uint32_t *limb; /* magnitude, base 10^9, least significant first; owned */
    uint32_t n, cap;
    bool neg; /* with limb */
};

#define CDP_NUM_ZERO ((struct cdp_num){0})

void cdp_num_free(struct cdp_num *a);

/* From the text of a valid JSON number.  0, or -1: out of memory (exit 3) or an exponent past 62 bits (exit 1). */
int cdp_num_parse(struct cdp_num *a, const char *p, size_t n, struct cdp_err *err);
void cdp_num_int(struct cdp_num *a, int64_t i);
int cdp_num_copy(struct cdp_num *to, const struct cdp_num *from, struct cdp_err *err);

/* The fast way in for hot loops: a number of at most 18 digits with a small exponent, as coef × 10^exp.
 * False where it is larger and cdp_num_parse is needed. */
bool cdp_num_small(const char *p, size_t n, int64_t *coef, int32_t *exp);

/* r may be a or b.  0, or -1: memory (3), or past ±CDP_NUM_MAX_EXP (1). */
int cdp_num_add(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err);
int cdp_num_sub(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err);
int cdp_num_mul(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err);

/* a / b to `digits` significant digits, half to even.  b = 0 is an error (1). */
int cdp_num_div(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, unsigned digits,
                struct cdp_err *err);
int cdp_num_sqrt(struct cdp_num *r, const struct cdp_num *a, unsigned digits, struct cdp_err *err);

/* Remainder as jq's %: both truncated to integers first, the sign of a.  b truncating to 0 is an error (1). */
int cdp_num_mod(struct cdp_num *r, const struct cdp_num *a, const struct cdp_num *b, struct cdp_err *err);

/* The greatest integer not above a. */
int cdp_num_floor(struct cdp_num *r, const struct cdp_num *a, struct cdp_err *err);

/* Rounds to `places` digits after the point, half to even. */
int cdp_num_round(struct cdp_num *r, const struct cdp_num *a, int places, struct cdp_err *err);

int cdp_num_cmp(const struct cdp_num *a, const struct cdp_num *b); /* -1, 0, 1 */
int cdp_num_sign(const struct cdp_num *a);                         /* -1, 0, 1 */
bool cdp_num_to_int64(const struct cdp_num *a, int64_t *i);        /* false where it is no int64 exactly */
double cdp_num_to_double(const struct cdp_num *a);                 /* nearest; for sketches only */

/* The shortest exact text: no trailing zeros after the point ("9747747.934", "100", "-0.5"), "0" for zero;
 * scientific ("1E+400") only where plain notation would need more than 40 digits. */
void cdp_num_format(const struct cdp_num *a, struct cdp_buf *out);

/* Compares the texts of two JSON numbers exactly, at any size. */
int cdp_num_cmp_text(const char *a, size_t an, const char *b, size_t bn);

/* An exact sum: numbers of at most 18 digits and like scales are added in 128 bits, the rest in a cdp_num. */
struct cdp_sum {
    __int128 acc; /* in units of 10^exp */
    int32_t exp;
    bool any;            /* something was added */
    struct cdp_num rest; /* what did not fit */
};

void cdp_sum_free(struct cdp_sum *s);
int cdp_sum_add(struct cdp_sum *s, const char *p, size_t n, struct cdp_err *err); /* a JSON number's text */
int cdp_sum_add_num(struct cdp_sum *s, const struct cdp_num *a, struct cdp_err *err);
int cdp_sum_merge(struct cdp_sum *s, const struct cdp_sum *other, struct cdp_err *err);
int cdp_sum_value(const struct cdp_sum *s, struct cdp_num *out, struct cdp_err *err);

#endif
