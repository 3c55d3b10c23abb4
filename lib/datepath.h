/* datepath: what a path says of its data's partition and time.
 *
 * A partition is a run of adjacent directories of which each is a hive pair (`year=2026`, `country=DE`) or a part of a
 * date written YYYY/MM/DD[/HH[/MM]] (1900 to 2199); of several runs the deepest counts.  Its time is an interval of minutes on the
 * path's own clock, from year=, month=, day=, hour= and date=YYYY-MM-DD or from the plain date. */
#ifndef CDP_DATEPATH_H
#define CDP_DATEPATH_H

#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdp_datepath {
    const char *part; /* into the path; NULL where it has no partition */
    size_t part_len;  /* without the slashes around it */
    bool dated;       /* lo and hi are set */
    uint64_t lo, hi;  /* first and last minute, as the decimal number YYYYMMDDhhmm */
};

/* The last component is the file's own name and says nothing. */
struct cdp_datepath cdp_datepath_parse(const char *path);

/* A bound YYYY[-MM[-DD[THH[:MM]]]], as the first minute it names or (last) the last one.  False for anything else. */
bool cdp_datepath_bound(const char *text, bool last, uint64_t *minute);

#endif
