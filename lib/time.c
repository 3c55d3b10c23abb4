/* time: RFC 3339 text, the civil calendar, durations, calendar buckets.
 *
 * Dates are counted in days from 1970-01-01 with Howard Hinnant's algorithms: years begin in March, so that
 * the leap day is the last of its year, and come in eras of 400 years, which all have 146,097 days.  Text is
 * parsed at fixed places, without loops but for the fraction.  Zones are in lib/zone.c.  Constant memory;
 * nothing is allocated but for the copy of a string that has escapes in it. */
#include "lib/time.h"

#include <string.h>

#define DAY 86400
#define ERA_DAYS 146097
#define EPOCH_DAY 719468 /* days from 0000-03-01 to 1970-01-01 */

/* The instants that RFC 3339 can write in UTC: 0000-01-01T00:00:00Z and the second after
 * 9999-12-31T23:59:59Z. */
#define YEAR_0 (-62167219200)
#define YEAR_10000 253402300800

/* The offset that lets the day before and the day after those be written all the same. */
#define WIDEST_OFFSET (23 * 3600 + 59 * 60)

int64_t cdp_time_days(int64_t year, unsigned month, unsigned day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * ERA_DAYS + yoe * 365 + yoe / 4 - yoe / 100 + doy - EPOCH_DAY;
}

void cdp_time_civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    int64_t z = days + EPOCH_DAY;
    int64_t era = (z >= 0 ? z : z - (ERA_DAYS - 1)) / ERA_DAYS;
    unsigned doe = (unsigned)(z - era * ERA_DAYS);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = (int64_t)yoe + era * 400 + (*month <= 2);
}

/* Days from 1970-01-01 to the start of the day that holds sec, and the second in that day. */
static int64_t split_days(int64_t sec, unsigned *second)
{
    int64_t days = sec / DAY, rest = sec % DAY;
    if (rest < 0) {
        rest += DAY;
        days--;
    }
    *second = (unsigned)rest;
    return days;
}

/* Two digits at s as a number; *bad becomes true where they are none. */
static inline unsigned two(const char *s, unsigned *bad)
{
    unsigned a = (unsigned char)s[0] - (unsigned)'0', b = (unsigned char)s[1] - (unsigned)'0';
    *bad |= (a > 9) | (b > 9);
    return a * 10 + b;
}

/* Eight bytes of a fixed shape at once, the first one lowest: `zeros` is the shape with every digit 0, and `room` has 6 for each
 * digit and 15 for all else, so that a sum reaches 16 where a byte does not fit.  Byte i of the result is the number of the
 * digits i and i + 1. */
static inline uint64_t shaped(const char *s, uint64_t zeros, uint64_t room, bool *bad)
{
    uint64_t v;
    memcpy(&v, s, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    v ^= zeros;
    *bad |= ((v | (v + room)) & UINT64_C(0xF0F0F0F0F0F0F0F0)) != 0;
    return v * 10 + (v >> 8);
}

static inline unsigned pair(uint64_t pairs, unsigned at)
{
    return (unsigned)(pairs >> (8 * at)) & 0xFF;
}

/* "YYYY-MM-DD" at s, calendar checked. */
static inline bool date_at(const char *s, int64_t *days)
{
    static const unsigned char length[16] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool bad = false;
    unsigned no_digit = 0, day = two(s + 8, &no_digit);
    uint64_t p = shaped(s, UINT64_C(0x2D30302D30303030), UINT64_C(0x0F06060F06060606), &bad); /* 0000-00- */
    unsigned year = pair(p, 0) * 100 + pair(p, 2), month = pair(p, 5);
    if (bad || no_digit || month > 12 || day - 1 >= length[month])
        return false;
    if (month == 2 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)))
        return false;
    *days = cdp_time_days(year, month, day);
    return true;
}

/* "hh:mm:ss" at s: seconds; false where it is none.  The second may be a leap second. */
static inline bool clock_at(const char *s, unsigned *seconds, bool *leap)
{
    bool bad = false;
    uint64_t p = shaped(s, UINT64_C(0x30303A30303A3030), UINT64_C(0x06060F06060F0606), &bad); /* 00:00:00 */
    unsigned hour = pair(p, 0), minute = pair(p, 3), second = pair(p, 6);
    *seconds = hour * 3600 + minute * 60 + second;
    *leap = second == 60;
    return !bad && hour <= 23 && minute <= 59 && second <= 60;
}

/* ".d…" at s up to end: nanoseconds, and the byte behind; NULL where there is no digit or more than 9. */
static const char *fraction_at(const char *s, const char *end, uint32_t *nsec)
{
    static const uint32_t scale[10] = {0, 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};
    const char *first = ++s;
    uint32_t v = 0;
    for (; s < end && s - first < 9 && *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (uint32_t)(*s - '0');
    if (s == first)
        return NULL;
    *nsec = v * scale[s - first];
    return s;
}

/* "Z" or "±hh:mm", which must be all of [s, end): seconds east. */
static bool offset_at(const char *s, const char *end, int64_t *offset)
{
    if (end - s == 1 && (*s | 32) == 'z') {
        *offset = 0;
        return true;
    }
    if (end - s != 6 || (*s != '+' && *s != '-') || s[3] != ':')
        return false;
    unsigned bad = 0, h = two(s + 1, &bad), m = two(s + 4, &bad);
    if (bad || h > 23 || m > 59)
        return false;
    int64_t east = (int64_t)h * 3600 + (int64_t)m * 60;
    *offset = *s == '-' ? -east : east;
    return true;
}

bool cdp_time_parse(const char *s, size_t n, struct cdp_time *t)
{
    int64_t days, offset;
    if (n == 10 && date_at(s, &days)) {
        *t = (struct cdp_time){days * DAY, 0};
        return true;
    }
    unsigned seconds;
    bool leap;
    if (n < 20 || !date_at(s, &days) || ((s[10] | 32) != 't' && s[10] != ' ') ||
        !clock_at(s + 11, &seconds, &leap))
        return false;
    const char *p = s + 19, *end = s + n;
    uint32_t nsec = 0;
    if (*p == '.' && !(p = fraction_at(p, end, &nsec)))
        return false;
    if (!offset_at(p, end, &offset))
        return false;
    int64_t sec = days * DAY + (int64_t)seconds - offset;
    if (leap && sec % DAY != 0)
        return false;
    *t = (struct cdp_time){sec, nsec};
    return true;
}

bool cdp_time_on_day(const char *s, size_t n)
{
    unsigned seconds;
    uint32_t nsec;
    bool leap;
    if (n < 20 || ((s[10] | 32) != 't' && s[10] != ' ') || !clock_at(s + 11, &seconds, &leap) || leap)
        return false;
    const char *p = s + 19, *end = s + n;
    if (*p == '.' && !(p = fraction_at(p, end, &nsec)))
        return false;
    return end - p == 1 && (*p | 32) == 'z';
}

bool cdp_time_parse_date(const char *s, size_t n, int64_t *days)
{
    return n == 10 && date_at(s, days);
}

/* A JSON number × 10^shift as an integer: true where it is one exactly, of at most 24 digits. */
static bool scaled_number(const char *p, size_t n, int shift, __int128 *out)
{
    const char *end = p + n;
    bool neg = *p == '-';
    p += neg;
    __int128 v = 0;
    int64_t exp = shift, zeros = 0, digits = 0;
    bool point = false;
    for (; p < end && (*p | 32) != 'e'; p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        exp -= point ? 1 : 0;
        if (*p == '0') { /* multiplied in only where another digit follows */
            zeros += v != 0;
            continue;
        }
        digits += zeros + 1;
        if (digits > 24)
            return false;
        for (; zeros; zeros--)
            v *= 10;
        v = v * 10 + (*p - '0');
    }
    exp += zeros;
    if (p < end) {
        bool down = *++p == '-';
        p += *p == '-' || *p == '+';
        int64_t e = 0;
        for (; p < end; p++)
            e = e < INT64_C(1000000000000) ? e * 10 + (*p - '0') : e;
        exp += down ? -e : e;
    }
    if (v && (exp < 0 || digits + exp > 24))
        return false;
    for (; v && exp; exp--)
        v *= 10;
    *out = neg ? -v : v;
    return true;
}

static bool from_number(struct cdp_val v, enum cdp_time_unit unit, struct cdp_time *t)
{
    __int128 ns;
    if (!scaled_number(v.p, v.len, unit == CDP_TIME_EPOCH_S ? 9 : 6, &ns))
        return false;
    __int128 sec = ns / 1000000000, rest = ns % 1000000000;
    if (rest < 0) {
        rest += 1000000000;
        sec--;
    }
    if (sec < YEAR_0 || sec >= YEAR_10000)
        return false;
    *t = (struct cdp_time){(int64_t)sec, (uint32_t)rest};
    return true;
}

bool cdp_time_from_val(struct cdp_val v, enum cdp_time_unit unit, struct cdp_time *t)
{
    if (v.type == CDP_STRING && !v.escaped)
        return cdp_time_parse(v.p + 1, v.len - 2, t);
    if (v.type == CDP_STRING) {
        struct cdp_buf text = {0};
        cdp_val_decode(v, &text);
        bool good = !text.failed && cdp_time_parse(text.data, text.len, t);
        cdp_buf_free(&text);
        return good;
    }
    return v.type == CDP_NUMBER && unit != CDP_TIME_RFC3339 && from_number(v, unit, t);
}

static char *put(char *p, unsigned v, int digits)
{
    for (int i = digits; i--; v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + digits;
}

/* Four digits, or a sign and at least four outside 0000 … 9999 (ISO 8601's expanded years). */
static char *put_year(char *p, int64_t year)
{
    if (year >= 0 && year <= 9999)
        return put(p, (unsigned)year, 4);
    *p++ = year < 0 ? '-' : '+';
    uint64_t y = year < 0 ? -(uint64_t)year : (uint64_t)year;
    int digits = 4;
    for (uint64_t rest = y / 10000; rest; rest /= 10)
        digits++;
    for (int i = digits; i--; y /= 10)
        p[i] = (char)('0' + y % 10);
    return p + digits;
}

static char *put_date(char *p, int64_t days)
{
    int64_t year;
    unsigned month, day;
    cdp_time_civil(days, &year, &month, &day);
    p = put_year(p, year);
    *p++ = '-';
    p = put(p, month, 2);
    *p++ = '-';
    return put(p, day, 2);
}

static char *put_clock(char *p, unsigned second)
{
    p = put(p, second / 3600, 2);
    *p++ = ':';
    p = put(p, second / 60 % 60, 2);
    *p++ = ':';
    return put(p, second % 60, 2);
}

static char *put_offset(char *p, int32_t offset)
{
    unsigned a = (unsigned)(offset < 0 ? -offset : offset);
    *p++ = offset < 0 ? '-' : '+';
    p = put(p, a / 3600, 2);
    *p++ = ':';
    return put(p, a / 60 % 60, 2);
}

size_t cdp_time_format(struct cdp_time t, char out[CDP_TIME_MAX])
{
    int32_t offset = 0;
    if (t.sec < YEAR_0 && t.sec >= YEAR_0 - WIDEST_OFFSET)
        offset = WIDEST_OFFSET;
    else if (t.sec >= YEAR_10000 && t.sec < YEAR_10000 + WIDEST_OFFSET)
        offset = -WIDEST_OFFSET;
    unsigned second;
    int64_t days = split_days(t.sec + offset, &second);
    char *p = put_date(out, days);
    *p++ = 'T';
    p = put_clock(p, second);
    if (t.nsec) {
        *p++ = '.';
        if (t.nsec % 1000)
            p = put(p, t.nsec, 9);
        else if (t.nsec % 1000000)
            p = put(p, t.nsec / 1000, 6);
        else
            p = put(p, t.nsec / 1000000, 3);
    }
    if (offset)
        p = put_offset(p, offset);
    else
        *p++ = 'Z';
    *p = 0;
    return (size_t)(p - out);
}

int cdp_time_cmp(struct cdp_time a, struct cdp_time b)
{
    if (a.sec != b.sec)
        return a.sec < b.sec ? -1 : 1;
    return (a.nsec > b.nsec) - (a.nsec < b.nsec);
}

bool cdp_time_parse_duration(const char *s, int64_t *seconds)
{
    int64_t v = 0, unit = 1;
    const char *p = s;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
            return false;
    if (p == s)
        return false;
    switch (*p) {
    case 0:
        p--;
        break;
    case 's':
        break;
    case 'm':
        unit = 60;
        break;
    case 'h':
        unit = 3600;
        break;
    case 'd':
        unit = DAY;
        break;
    case 'w':
        unit = 7 * DAY;
        break;
    default:
        return false;
    }
    return p[1] == 0 && !__builtin_mul_overflow(v, unit, seconds);
}

size_t cdp_time_bucket(struct cdp_time t, enum cdp_bucket b, const struct cdp_zone *z, char out[CDP_TIME_MAX])
{
    int32_t offset = cdp_zone_offset(z, t.sec);
    unsigned second;
    int64_t days = split_days(t.sec + offset, &second), start = t.sec - second % 3600;
    char *p;
    if (b == CDP_BUCKET_WEEK) /* 1970-01-01 was a Thursday */
        days -= ((days + 3) % 7 + 7) % 7;
    if (b == CDP_BUCKET_HOUR) { /* no seconds in an offset: the clock shows them */
        offset -= offset % 60;
        days = split_days(start + offset, &second);
    }
    if (days < YEAR_0 / DAY || days >= YEAR_10000 / DAY)
        return 0;
    switch (b) {
    case CDP_BUCKET_MONTH:
        p = put_date(out, days) - 3;
        break;
    case CDP_BUCKET_YEAR:
        p = put_date(out, days) - 6;
        break;
    case CDP_BUCKET_HOUR:
        p = put_date(out, days);
        *p++ = 'T';
        p = put_clock(p, second);
        if (cdp_zone_is_utc(z))
            *p++ = 'Z';
        else
            p = put_offset(p, offset);
        break;
    default:
        p = put_date(out, days);
    }
    *p = 0;
    return (size_t)(p - out);
}
