/* ddsketch: quantiles with a relative error below 1 %.
 *
 * After Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees" (VLDB 2019):
 * values are counted in bins whose width is in proportion to their value, so that any value of a bin stands for all of them.
 * The bins here follow the decimal digits instead of a logarithm — 350 a decade: widths 1, 2 and 4 of the first three
 * digits from 100, 200 and 400 on — so that a number's bin is exact and the same on every machine.  Bins are never
 * collapsed: the counts of two sketches add up to the sketch of both, in any order. */
#ifndef CDP_DDSKETCH_H
#define CDP_DDSKETCH_H

#include "lib/num.h"

/* The bin of a valid JSON number whose digits stand within 10^±CDP_NUM_MAX_EXP.  Bins are in the order of their values;
 * zero has one of its own. */
int64_t cdp_ddsketch_bin(const char *p, size_t n);

/* The place, from 0, of the quantile q (0 ≤ q ≤ 1) among n ≥ 1 values in ascending order: ⌊q · (n - 1)⌋.  -1: no memory. */
int cdp_ddsketch_rank(const struct cdp_num *q, uint64_t n, uint64_t *rank, struct cdp_err *err);

#endif
