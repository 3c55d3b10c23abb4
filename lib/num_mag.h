/* num_mag: natural numbers in base 10^9: the part of num behind coefficients of more than 18 digits.
 *
 * A cdp_mag is zero-initialised or filled by one of the functions below, and freed by cdp_mag_free.  It may point into
 * itself, so it is never copied by assignment.  Results must not be one of the operands.  Functions that return int
 * give 0, or -1 and *err where memory ran out (exit 3). */
#ifndef CDP_NUM_MAG_H
#define CDP_NUM_MAG_H

#include "lib/err.h"

#include <stdbool.h>
#include <stdint.h>

#define CDP_MAG_BASE 1000000000u

struct cdp_mag {
    uint32_t *limb; /* least significant first */
    uint32_t n;     /* limbs in use: the last one is not 0, and zero has none */
    bool heap;      /* limb is this mag's own, from malloc; else it is `own` or borrowed */
    uint32_t own[5];
};

extern const uint32_t cdp_mag_pow10[10];

void cdp_mag_free(struct cdp_mag *m);

/* From an integer, and a view of limbs that somebody else keeps (leading zeros allowed). */
void cdp_mag_set(struct cdp_mag *m, unsigned __int128 v);
void cdp_mag_borrow(struct cdp_mag *m, uint32_t *limb, uint32_t n);

/* Room for n limbs with undefined content; m->n is n. */
int cdp_mag_alloc(struct cdp_mag *m, uint64_t n, struct cdp_err *err);

/* Lowers n to the last limb that is not 0. */
void cdp_mag_trim(struct cdp_mag *m);

uint64_t cdp_mag_digits(const struct cdp_mag *m);         /* decimal digits; 0 for zero */
uint64_t cdp_mag_trailing_zeros(const struct cdp_mag *m); /* m is not zero */
int cdp_mag_cmp(const struct cdp_mag *a, const struct cdp_mag *b);

/* The nine digits that stand at 10^pos … 10^(pos+8), as a number; pos may be anywhere, zeros are all around. */
uint32_t cdp_mag_at(const struct cdp_mag *m, int64_t pos);

/* r = a × 10^digits, a + b, a - b (a ≥ b), a × b (time grows with the product of their lengths). */
int cdp_mag_shift(struct cdp_mag *r, const struct cdp_mag *a, uint64_t digits, struct cdp_err *err);
int cdp_mag_add(struct cdp_mag *r, const struct cdp_mag *a, const struct cdp_mag *b, struct cdp_err *err);
int cdp_mag_sub(struct cdp_mag *r, const struct cdp_mag *a, const struct cdp_mag *b, struct cdp_err *err);
int cdp_mag_mul(struct cdp_mag *r, const struct cdp_mag *a, const struct cdp_mag *b, struct cdp_err *err);

/* q = a / b and rem = a % b; b is not zero.  q and rem may be NULL. */
int cdp_mag_divrem(struct cdp_mag *q, struct cdp_mag *rem, const struct cdp_mag *a, const struct cdp_mag *b,
                   struct cdp_err *err);

/* What was cut off, in units of the last digit kept. */
enum cdp_mag_part { CDP_MAG_NONE, CDP_MAG_BELOW_HALF, CDP_MAG_HALF, CDP_MAG_ABOVE_HALF };

/* In place (m is not borrowed): drops the last `digits` digits and says what they were. */
enum cdp_mag_part cdp_mag_drop(struct cdp_mag *m, uint64_t digits);

/* In place, after a drop of at least one digit, so that there is room: adds 1. */
void cdp_mag_increment(struct cdp_mag *m);

#endif
