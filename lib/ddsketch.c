/* ddsketch: see ddsketch.h.  The sketch itself is the counts of bins, which the caller keeps. */
#include "lib/ddsketch.h"

#define BINS_PER_DECADE 350
#define ZERO_TO_FIRST ((int64_t)1 << 40) /* from the bin of zero to that of 1.00 */

/* The bin of leading digits 100 … 999 within their decade. */
static int64_t within(unsigned digits)
{
    if (digits < 200)
        return digits - 100;
    if (digits < 400)
        return 100 + (digits - 200) / 2;
    return 200 + (digits - 400) / 4;
}

int64_t cdp_ddsketch_bin(const char *p, size_t n)
{
    struct cdp_digits d;
    if (!cdp_num_split(p, n, &d) || d.n == 0)
        return 0;
    unsigned lead = 0, taken = 0;
    for (size_t i = 0; i < d.n && taken < 3; i++) {
        if (d.p[i] != '.') {
            lead = lead * 10 + (unsigned)(d.p[i] - '0');
            taken++;
        }
    }
    for (; taken < 3; taken++)
        lead *= 10;
    int64_t decade = d.exp + (int64_t)d.count - 1;
    int64_t bin = ZERO_TO_FIRST + decade * BINS_PER_DECADE + within(lead);
    return d.neg ? -bin : bin;
}

int cdp_ddsketch_rank(const struct cdp_num *q, uint64_t n, uint64_t *rank, struct cdp_err *err)
{
    struct cdp_num last = CDP_NUM_ZERO;
    int64_t place = 0;
    int rc = -1;
    cdp_num_int(&last, (int64_t)(n - 1));
    if (cdp_num_mul(&last, &last, q, err) < 0 || cdp_num_floor(&last, &last, err) < 0)
        goto done;
    cdp_num_to_int64(&last, &place);
    *rank = (uint64_t)place;
    rc = 0;
done:
    cdp_num_free(&last);
    return rc;
}
