/* time: RFC 3339 → instants, and the civil calendar (proleptic Gregorian; algorithms:
 * https://howardhinnant.github.io/date_algorithms.html).  Never libc's strptime, never the machine's zone. */
#ifndef CDP_TIME_H
#define CDP_TIME_H

#include "lib/val.h"

#include <stdbool.h>
#include <stdint.h>

struct cdp_time {
    int64_t sec;   /* seconds since 1970-01-01T00:00:00Z */
    uint32_t nsec; /* 0 … 999,999,999 */
};

enum cdp_time_unit { CDP_TIME_RFC3339, CDP_TIME_EPOCH_S, CDP_TIME_EPOCH_MS };

/* Parses RFC 3339 with any offset and 1 to 9 digits of fraction ('T', 't' or a blank between date and time;
 * 'Z', 'z' or ±hh:mm), or a date alone (midnight UTC).  A leap second (:60, at 23:59 UTC only) is taken as
 * the second after. Years 0000 to 9999 as written, calendar checked.  False where it is anything else (more
 * than 9 fraction digits included). */
bool cdp_time_parse(const char *s, size_t n, struct cdp_time *t);

/* From a JSON value: a string in RFC 3339 form; a number as epoch seconds or milliseconds only where unit
 * says so: exact to the nanosecond, false where it is finer or outside the years 0000 to 9999. */
bool cdp_time_from_val(struct cdp_val v, enum cdp_time_unit unit, struct cdp_time *t);

/* "2026-02-05T16:23:00Z", with 3, 6 or 9 fraction digits where there is a fraction, and a NUL.  Returns the
 * length. What cdp_time_parse gave comes back the same: an instant that an offset carried out of the years
 * 0000 to 9999 is written with an offset.  Beyond that the year has a sign ("+10000-…"), which cdp_time_parse
 * does not take. */
#define CDP_TIME_MAX 40
size_t cdp_time_format(struct cdp_time t, char out[CDP_TIME_MAX]);

int cdp_time_cmp(struct cdp_time a, struct cdp_time b);

/* Days since 1970-01-01 of a civil date, and back. */
int64_t cdp_time_days(int64_t year, unsigned month, unsigned day);
void cdp_time_civil(int64_t days, int64_t *year, unsigned *month, unsigned *day);

/* "2026-02-05" and nothing else. */
bool cdp_time_parse_date(const char *s, size_t n, int64_t *days);

/* Of text [s, s+n) that begins with a date known to be good: is what follows a time of day in UTC, and no leap second?  It is
 * all an RFC 3339 time on that day then. */
bool cdp_time_on_day(const char *s, size_t n);

/* "90s", "15m", "6h", "3d", "2w" (a bare number is seconds), to seconds. */
bool cdp_time_parse_duration(const char *s, int64_t *seconds);

/* A time zone of the system's zone database ($TZDIR, else /usr/share/zoneinfo), read from its TZif file (RFC
 * 8536, the footer's rule included); "UTC" needs no file.  NULL stands for UTC wherever a zone is taken.
 * Read-only after opening, shared by threads. */
struct cdp_zone;
struct cdp_zone *cdp_zone_open(const char *name, struct cdp_err *err); /* exit 2 where unknown */
void cdp_zone_free(struct cdp_zone *z);
int32_t cdp_zone_offset(const struct cdp_zone *z, int64_t sec); /* seconds east of UTC at that instant */
bool cdp_zone_is_utc(const struct cdp_zone *z);                 /* offset 0 at all times */

enum cdp_bucket { CDP_BUCKET_HOUR, CDP_BUCKET_DAY, CDP_BUCKET_WEEK, CDP_BUCKET_MONTH, CDP_BUCKET_YEAR };

/* The start of the bucket that holds t, in the zone, as text: day "2026-02-05", week its Monday's date, month
 * "2026-02", year "2026", hour "2026-02-05T16:00:00+05:45" with the offset in force at t, of which seconds are left to the
 * clock as RFC 3339 has none ("…Z" for UTC), and a NUL.  Returns the length, 0 where it is outside the years 0000 to 9999. */
size_t cdp_time_bucket(struct cdp_time t, enum cdp_bucket b, const struct cdp_zone *z,
                       char out[CDP_TIME_MAX]);

#endif
