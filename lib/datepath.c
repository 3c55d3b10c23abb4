/* datepath: see datepath.h. */
#include "lib/datepath.h"

#include <string.h>

enum unit { YEAR, MONTH, DAY, HOUR, MINUTE, UNITS };

static const unsigned least[UNITS] = {0, 1, 1, 0, 0};
static const unsigned most[UNITS] = {9999, 12, 31, 23, 59};

/* A time of which only the first units are known. */
struct partial {
    unsigned value[UNITS];
    bool known[UNITS];
};

static uint64_t minute_of(const struct partial *t, bool last)
{
    uint64_t m = 0;
    for (int u = YEAR; u < UNITS; u++)
        m = m * 100 + (t->known[u] ? t->value[u] : last ? most[u] : least[u]);
    return m;
}

/* A number of `digits` digits (0: one or more) that the unit allows; the bytes used, or 0. */
static size_t number(const char *p, size_t n, size_t digits, enum unit unit, struct partial *t)
{
    unsigned v = 0;
    size_t i = 0;
    for (; i < n && i < 4 && p[i] >= '0' && p[i] <= '9'; i++)
        v = v * 10 + (unsigned)(p[i] - '0');
    if (i == 0 || (digits && i != digits) || v < least[unit] || v > most[unit])
        return 0;
    t->value[unit] = v;
    t->known[unit] = true;
    return i;
}

/* YYYY-MM-DD and on, as far as the text goes; must use all n bytes. */
static bool iso(const char *p, size_t n, struct partial *t)
{
    static const char before[] = {0, '-', '-', 'T', ':'};
    size_t at = 0;
    for (int u = YEAR; u < UNITS && at < n; u++) {
        if (u > YEAR && p[at] != before[u] && !(u == HOUR && p[at] == ' '))
            return false;
        at += u > YEAR;
        size_t used = number(p + at, n - at, u == YEAR ? 4 : 2, (enum unit)u, t);
        if (!used)
            return false;
        at += used;
    }
    return at == n && t->known[YEAR];
}

bool cdp_datepath_bound(const char *text, bool last, uint64_t *minute)
{
    struct partial t = {0};
    if (!iso(text, strlen(text), &t))
        return false;
    *minute = minute_of(&t, last);
    return true;
}

/* The length of the component at p, and where the next one begins; false for the last, which is the file. */
static bool component(const char *p, size_t *n, const char **next)
{
    const char *slash = strchr(p, '/');
    if (!slash)
        return false;
    *n = (size_t)(slash - p);
    *next = slash + 1;
    return true;
}

/* A hive pair; its time goes to t, where it has one. */
static bool hive(const char *p, size_t n, struct partial *t)
{
    static const char *const name[] = {"year", "month", "day", "hour"};
    const char *equals = memchr(p, '=', n);
    if (!equals || equals == p)
        return false;
    size_t len = (size_t)(equals - p), rest = n - len - 1;
    struct partial found = {0};
    if (len == 4 && memcmp(p, "date", 4) == 0) {
        if (iso(equals + 1, rest, &found))
            *t = found;
        return true;
    }
    for (int u = YEAR; u <= HOUR; u++) {
        if (len != strlen(name[u]) || memcmp(p, name[u], len) != 0)
            continue;
        if (rest == 0 || number(equals + 1, rest, 0, (enum unit)u, &found) != rest)
            break;
        if (u == YEAR)
            *t = found;
        t->value[u] = found.value[u];
        t->known[u] = true;
    }
    return true;
}

/* YYYY/MM/DD[/HH[/MM]] from p on; where it ends, or NULL. */
static const char *plain(const char *p, struct partial *t)
{
    struct partial found = {0};
    const char *next, *end = NULL;
    size_t n;
    for (int u = YEAR; u < UNITS && component(p, &n, &next); u++) {
        if (number(p, n, u == YEAR ? 4 : 2, (enum unit)u, &found) != n || n == 0)
            break;
        if (u == YEAR && (found.value[YEAR] < 1900 || found.value[YEAR] > 2199))
            break; /* rather some number */
        if (u >= DAY) {
            end = next;
            *t = found;
        }
        p = next;
    }
    return end;
}

struct cdp_datepath cdp_datepath_parse(const char *path, struct cdp_buf *partition)
{
    struct cdp_datepath d = {0};
    struct partial t = {0}, run = {0};
    const char *next;
    size_t n;
    for (const char *p = path; component(p, &n, &next); p = next) {
        const char *end = plain(p, &run);
        if (end) {
            next = end;
        } else if (!hive(p, n, &run)) {
            run = (struct partial){0};
            continue;
        }
        if (run.known[YEAR])
            t = run;
        if (!partition)
            continue;
        if (partition->len)
            cdp_buf_addc(partition, '/');
        cdp_buf_add(partition, p, (size_t)(next - 1 - p));
    }
    /* Units are of use only as far as there is no gap between them. */
    for (int u = MONTH; u < UNITS; u++)
        t.known[u] = t.known[u] && t.known[u - 1];
    d.dated = t.known[YEAR];
    d.lo = minute_of(&t, false);
    d.hi = minute_of(&t, true);
    return d;
}
