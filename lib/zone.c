/* zone: time zones from TZif files.
 *
 * The file's second part (64-bit, version 2 and later) is kept as two arrays, instants of transition and the
 * offset from each on, and is looked up by bisection.  After the last transition the footer's POSIX TZ rule
 * holds; its transitions up to 2100 are added to the arrays when the zone is opened, and later ones are
 * computed at each look-up. Memory: 12 bytes a transition, a few hundred of them.  Follows RFC 8536 (with RFC
 * 9636's hours from -167 to 167) and POSIX.1-2017, 8.3, "TZ".  Abbreviations and leap-second tables are of no
 * use here: a file with leap seconds (right/…) is refused, since its instants are not those of the records.
 */
#include "lib/atomic.h"
#include "lib/mem.h"
#include "lib/time.h"

#include <stdlib.h>
#include <string.h>

#define DAY 86400
#define LAST_ADDED_YEAR 2100
#define HEADER 44

/* One end of daylight saving time in a POSIX rule: which day of a year, and the second of that day (local
 * time). */
struct edge {
    enum { JULIAN_NO_LEAP, JULIAN, MONTH_WEEK_DAY } kind;
    int month, week, day;
    int32_t second;
};

struct rule {
    bool any, dst;
    int32_t standard, daylight; /* seconds east */
    struct edge start, end;     /* of daylight saving time */
};

struct cdp_zone {
    int64_t *at;     /* transitions, ascending */
    int32_t *offset; /* from each on */
    size_t n, at_cap, offset_cap;
    int32_t first; /* before the first transition */
    struct rule rule;
    bool utc;
};

/* --- the footer's rule --- */

/* [sign] digits, at most `max`. */
static bool parse_number(const char **p, int max, int *out)
{
    int v = 0;
    const char *s = *p;
    for (; *s >= '0' && *s <= '9'; s++) {
        v = v * 10 + (*s - '0');
        if (v > max)
            return false;
    }
    if (s == *p)
        return false;
    *p = s;
    *out = v;
    return true;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool parse_hms(const char **p, int max_hours, int32_t *out)
{
    int sign = **p == '-' ? -1 : 1, h = 0, m = 0, s = 0;
    *p += **p == '-' || **p == '+';
    if (!parse_number(p, max_hours, &h))
        return false;
    if (**p == ':') {
        ++*p;
        if (!parse_number(p, 59, &m))
            return false;
    }
    if (**p == ':') {
        ++*p;
        if (!parse_number(p, 59, &s))
            return false;
    }
    *out = sign * (h * 3600 + m * 60 + s);
    return true;
}

/* An abbreviation, <quoted> or alphabetic. */
static bool skip_name(const char **p)
{
    const char *s = *p;
    if (*s == '<') {
        s = strchr(s, '>');
        if (!s)
            return false;
        *p = s + 1;
        return true;
    }
    while ((*s | 32) >= 'a' && (*s | 32) <= 'z')
        s++;
    bool good = s - *p >= 3;
    *p = s;
    return good;
}

static bool parse_edge(const char **p, struct edge *e)
{
    if (**p == 'M') {
        e->kind = MONTH_WEEK_DAY;
        ++*p;
        if (!parse_number(p, 12, &e->month) || e->month < 1 || *(*p)++ != '.')
            return false;
        if (!parse_number(p, 5, &e->week) || e->week < 1 || *(*p)++ != '.')
            return false;
        if (!parse_number(p, 6, &e->day))
            return false;
    } else {
        e->kind = **p == 'J' ? JULIAN_NO_LEAP : JULIAN;
        *p += **p == 'J';
        if (!parse_number(p, 365, &e->day) || (e->kind == JULIAN_NO_LEAP && e->day < 1))
            return false;
    }
    e->second = 2 * 3600;
    if (**p != '/')
        return true;
    ++*p;
    return parse_hms(p, 167, &e->second);
}

/* POSIX counts offsets west; here they are east. */
static bool parse_rule(const char *p, struct rule *r)
{
    *r = (struct rule){0};
    if (!*p)
        return true;
    if (!skip_name(&p) || !parse_hms(&p, 24, &r->standard))
        return false;
    r->any = true;
    r->standard = -r->standard;
    if (!*p)
        return true;
    r->dst = true;
    if (!skip_name(&p))
        return false;
    r->daylight = r->standard + 3600;
    if (*p != ',') {
        if (!parse_hms(&p, 24, &r->daylight))
            return false;
        r->daylight = -r->daylight;
    }
    return *p++ == ',' && parse_edge(&p, &r->start) && *p++ == ',' && parse_edge(&p, &r->end) && !*p;
}

/* The edge's local time in that year, as if it were UTC. */
static int64_t edge_local(const struct edge *e, int64_t year)
{
    int64_t jan1 = cdp_time_days(year, 1, 1), day;
    switch (e->kind) {
    case JULIAN_NO_LEAP: /* 1 … 365, February 29 is never counted */
        day = jan1 + e->day - 1;
        if (e->day >= 60 && cdp_time_days(year, 3, 1) - jan1 == 60)
            day++;
        break;
    case JULIAN: /* 0 … 365 */
        day = jan1 + e->day;
        break;
    default: { /* the week-th such weekday of the month, 5 is the last; 0 is Sunday and 1970-01-01 was a
                  Thursday */
        int64_t first = cdp_time_days(year, (unsigned)e->month, 1);
        int64_t next =
            e->month == 12 ? cdp_time_days(year + 1, 1, 1) : cdp_time_days(year, (unsigned)e->month + 1, 1);
        int64_t weekday = ((first + 4) % 7 + 7) % 7;
        day = first + (e->day - weekday + 7) % 7 + 7 * (e->week - 1);
        if (day >= next)
            day -= 7;
    }
    }
    return day * DAY + e->second;
}

/* The offset at sec by the rule: that of the latest edge not after it.  Edges may lie up to a week outside
 * their year. Where an end and a start fall together (daylight saving time all the year), the start counts.
 */
static int32_t rule_offset(const struct rule *r, int64_t sec)
{
    if (!r->dst)
        return r->standard;
    int64_t year, latest = INT64_MIN;
    unsigned month, day;
    int32_t offset = r->standard;
    int64_t local = sec + r->standard;
    cdp_time_civil(local / DAY - (local % DAY < 0), &year, &month, &day);
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t end = edge_local(&r->end, y) - r->daylight;
        int64_t start = edge_local(&r->start, y) - r->standard;
        if (end <= sec && end > latest) {
            latest = end;
            offset = r->standard;
        }
        if (start <= sec && start >= latest) {
            latest = start;
            offset = r->daylight;
        }
    }
    return offset;
}

/* --- the file --- */

static int64_t big_endian(const unsigned char *p, int bytes)
{
    uint64_t v = p[0] & 0x80 ? UINT64_MAX : 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

struct header {
    size_t isut, isstd, leap, time, type, chars;
};

static bool parse_header(const unsigned char *p, size_t n, struct header *h)
{
    if (n < HEADER || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
        return false;
    size_t *field[] = {&h->isut, &h->isstd, &h->leap, &h->time, &h->type, &h->chars};
    for (size_t i = 0; i < 6; i++)
        *field[i] = (uint32_t)big_endian(p + 20 + 4 * i, 4);
    return true;
}

static size_t data_size(const struct header *h, size_t width)
{
    return h->time * (width + 1) + h->type * 6 + h->chars + h->leap * (width + 4) + h->isstd + h->isut;
}

static int add(struct cdp_zone *z, int64_t at, int32_t offset, struct cdp_err *err)
{
    int64_t *a = cdp_mem_grow(z->at, &z->at_cap, z->n + 1, sizeof *a, err);
    if (!a)
        return -1;
    z->at = a;
    int32_t *o = cdp_mem_grow(z->offset, &z->offset_cap, z->n + 1, sizeof *o, err);
    if (!o)
        return -1;
    z->offset = o;
    z->at[z->n] = at;
    z->offset[z->n++] = offset;
    return 0;
}

/* The rule's transitions from the last one in the file on, and from 1970 on at the earliest. */
static int add_rule(struct cdp_zone *z, struct cdp_err *err)
{
    const struct rule *r = &z->rule;
    if (!r->dst || !z->n)
        return 0;
    int64_t year;
    unsigned month, day;
    cdp_time_civil(z->at[z->n - 1] / DAY, &year, &month, &day);
    for (year = year < 1970 ? 1970 : year; year <= LAST_ADDED_YEAR; year++) {
        int64_t at[2] = {edge_local(&r->start, year) - r->standard, edge_local(&r->end, year) - r->daylight};
        bool swap = at[1] < at[0];
        for (int i = 0; i < 2; i++) {
            int64_t t = at[i ^ swap];
            if (t > z->at[z->n - 1] && add(z, t, rule_offset(r, t), err) < 0)
                return -1;
        }
    }
    return 0;
}

/* 1, 0 where the bytes are no TZif file that can be used, -1 and *err. */
static int parse_file(struct cdp_zone *z, const unsigned char *p, size_t n, struct cdp_err *err)
{
    struct header h;
    if (!parse_header(p, n, &h) || n - HEADER < data_size(&h, 4))
        return 0;
    size_t skip = HEADER + data_size(&h, 4);
    p += skip;
    n -= skip;
    if (!parse_header(p, n, &h) || n - HEADER < data_size(&h, 8) || h.type == 0 || h.leap)
        return 0;
    const unsigned char *at = p + HEADER, *index = at + 8 * h.time, *type = index + h.time;
    z->first = (int32_t)big_endian(type, 4);
    for (size_t i = 0; i < h.time; i++) {
        int64_t t = big_endian(at + 8 * i, 8);
        if (index[i] >= h.type || (i && t <= z->at[z->n - 1]))
            return 0;
        if (add(z, t, (int32_t)big_endian(type + (size_t)6 * index[i], 4), err) < 0)
            return -1;
    }
    /* The footer: a line of its own, "\n…\n". */
    const char *line = (const char *)p + HEADER + data_size(&h, 8), *file_end = (const char *)p + n;
    const char *end =
        line < file_end && *line == '\n' ? memchr(line + 1, '\n', (size_t)(file_end - line - 1)) : NULL;
    if (!end)
        return 0;
    char *rule = cdp_mem_strndup(line + 1, (size_t)(end - line - 1), err);
    if (!rule)
        return -1;
    bool good = parse_rule(rule, &z->rule);
    free(rule);
    if (!good)
        return 0;
    return add_rule(z, err) < 0 ? -1 : 1;
}

static bool plain_name(const char *name)
{
    return *name && *name != '/' && !strstr(name, "..");
}

struct cdp_zone *cdp_zone_open(const char *name, struct cdp_err *err)
{
    const char *dir = getenv("TZDIR");
    char *data = NULL;
    size_t n = 0;
    int rc = -1;
    struct cdp_buf path = {0};
    struct cdp_zone *z = cdp_mem_zalloc(1, sizeof *z, err);
    if (!z)
        return NULL;
    if (strcmp(name, "UTC") == 0) {
        z->utc = true;
        return z;
    }
    if (!plain_name(name)) {
        cdp_err_set(err, CDP_EXIT_USAGE, "'%s' is not a time zone's name", name);
        goto done;
    }
    cdp_buf_adds(&path, dir && *dir ? dir : "/usr/share/zoneinfo");
    cdp_buf_addc(&path, '/');
    cdp_buf_add(&path, name, strlen(name) + 1);
    if (cdp_buf_check(&path, err) < 0)
        goto done;
    if (cdp_read_file(path.data, &data, &n, err) < 0) {
        cdp_err_set(err, CDP_EXIT_USAGE, "unknown time zone '%s'", name);
        goto done;
    }
    rc = parse_file(z, (const unsigned char *)data, n, err);
    if (rc == 0)
        rc = cdp_err_set(err, CDP_EXIT_USAGE, "time zone '%s': not a usable TZif file", name);
    z->utc = !z->n && !z->first && !z->rule.dst && !z->rule.standard;
done:
    free(data);
    cdp_buf_free(&path);
    if (rc > 0)
        return z;
    cdp_zone_free(z);
    return NULL;
}

void cdp_zone_free(struct cdp_zone *z)
{
    if (!z)
        return;
    free(z->at);
    free(z->offset);
    free(z);
}

int32_t cdp_zone_offset(const struct cdp_zone *z, int64_t sec)
{
    if (!z)
        return 0;
    if (!z->n || sec < z->at[0])
        return z->n || !z->rule.any ? z->first : rule_offset(&z->rule, sec);
    if (sec >= z->at[z->n - 1] && z->rule.any)
        return rule_offset(&z->rule, sec);
    size_t lo = 0, hi = z->n; /* at[lo] <= sec < at[hi] */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (z->at[mid] <= sec)
            lo = mid;
        else
            hi = mid;
    }
    return z->offset[lo];
}

bool cdp_zone_is_utc(const struct cdp_zone *z)
{
    return !z || z->utc;
}
