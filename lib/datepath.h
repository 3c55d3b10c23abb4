/* datepath: what a path says of its data's partition and time.
 *
 * The partition is made of the directories of which each is a hive pair (`year=2026`, `country=DE`) or a part of a date
 * written YYYY/MM/DD[/HH[/MM]] (1900 to 2199).  The time is an interval of minutes on the path's own clock, from year=,
 * month=, day=, hour= and date=YYYY-MM-DD or from the plain date.  What tells one time stands in adjacent directories of
 * the partition; of several times the deepest counts. */
#ifndef CDP_DATEPATH_H
#define CDP_DATEPATH_H

#include "lib/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct cdp_datepath {
    bool dated;      /* lo and hi are set */
    uint64_t lo, hi; /* first and last minute, as the decimal number YYYYMMDDhhmm */
};

/* The last component is the file's own name and says nothing.  The partition, without the directories that are no part of
 * it, is put into *partition, which is empty before (NULL: it is not asked for). */
struct cdp_datepath cdp_datepath_parse(const char *path, struct cdp_buf *partition);

/* A bound YYYY[-MM[-DD[THH[:MM]]]], as the first minute it names or (last) the last one.  False for anything else. */
bool cdp_datepath_bound(const char *text, bool last, uint64_t *minute);

#endif
