/* scrub: a record's promoted fields, transformed, as a new line.
 *
 * Every action appends `,"name":value` to the worker's buffer, or nothing where the value is missing; the first comma
 * then becomes the line's '{'.  Digests are queued, so that two are computed side by side, and their place is left free.
 * Memory: the output of one block of records, and a copy of the longest value with escapes.
 * E-mail addresses are normalised as Google documents it for Customer Match, and Meta for Custom Audiences. */
#include "lib/scrub.h"

#include "lib/country.h"
#include "lib/emit.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

#define QUOTIENT_DIGITS 80 /* of value / size, for bucket */

enum outcome { DONE, ABSENT, UNUSABLE, FATAL = -1 };

static enum outcome unusable(struct cdp_err *err, const char *what)
{
    cdp_err_set(err, CDP_EXIT_DATA, "%s", what);
    return UNUSABLE;
}

/* The text of a string, decoded, or of a number or boolean, as it is; NULL for the rest. */
static const char *text_of(struct cdp_val v, struct cdp_buf *scratch, size_t *n)
{
    if (v.type == CDP_STRING)
        return cdp_val_str(v, scratch, n);
    if (v.type != CDP_NUMBER && v.type != CDP_TRUE && v.type != CDP_FALSE)
        return NULL;
    *n = v.len;
    return v.p;
}

/* ---- white space and letters ---- */

/* Unicode's White_Space, and U+200B and U+FEFF which editors leave behind: the length of one at s, or 0. */
static size_t space_at(const unsigned char *s, size_t n)
{
    if (*s < 0x80)
        return *s == ' ' || (*s >= 9 && *s <= 13);
    if (n >= 2 && s[0] == 0xc2)
        return s[1] == 0x85 || s[1] == 0xa0 ? 2 : 0;
    if (n < 3)
        return 0;
    unsigned c = (s[0] & 15u) << 12 | (s[1] & 63u) << 6 | (s[2] & 63u);
    if (s[0] < 0xe0 || s[0] > 0xef)
        return 0;
    bool space = c == 0x1680 || (c >= 0x2000 && c <= 0x200b) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
                 c == 0x205f || c == 0x3000 || c == 0xfeff;
    return space ? 3 : 0;
}

static const char *trim(const char *s, size_t *n)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + *n;
    size_t k;
    while (p < end && (k = space_at(p, (size_t)(end - p))))
        p += k;
    while (end > p) {
        const unsigned char *q = end - 1;
        while (q > p && (*q & 0xc0) == 0x80)
            q--;
        if (space_at(q, (size_t)(end - q)) != (size_t)(end - q))
            break;
        end = q;
    }
    *n = (size_t)(end - p);
    return (const char *)p;
}

static void lower(char *to, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(s[i] + (s[i] >= 'A' && s[i] <= 'Z' ? 'a' - 'A' : 0));
}

/* ---- e-mail addresses ---- */

/* In place; returns the new length. */
static size_t without_space(char *s, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n;) {
        size_t k = space_at((const unsigned char *)s + i, n - i);
        i += k;
        if (!k)
            s[kept++] = s[i++];
    }
    return kept;
}

/* White space does not count at all, dots and what follows a '+' not in front of Google's domains.  In place; returns the
 * new length. */
static size_t google(char *s, size_t n)
{
    n = without_space(s, n);
    const char *at = memrchr(s, '@', n);
    if (!at)
        return n;
    size_t local = (size_t)(at - s), domain = n - local, kept = 0;
    if (!(domain == 10 && memcmp(at, "@gmail.com", 10) == 0) &&
        !(domain == 15 && memcmp(at, "@googlemail.com", 15) == 0))
        return n;
    for (size_t i = 0; i < local && s[i] != '+'; i++)
        if (s[i] != '.')
            s[kept++] = s[i];
    memmove(s + kept, at, domain);
    return kept + domain;
}

static const char *normalize(const struct cdp_scrub_field *f, struct cdp_scrub_worker *w, const char *s,
                             size_t *n)
{
    if (f->normalize == CDP_SCRUB_AS_IS)
        return s;
    s = trim(s, n);
    cdp_buf_clear(&w->more);
    if (!cdp_buf_reserve(&w->more, *n + 1))
        return NULL;
    lower(w->more.data, s, *n);
    if (f->normalize == CDP_SCRUB_GOOGLE)
        *n = google(w->more.data, *n);
    return w->more.data;
}

/* What is after the last '@', in lower case: letters, digits, '-' and non-ASCII in labels between dots. */
static enum outcome domain(struct cdp_scrub_worker *w, struct cdp_val v, struct cdp_err *err)
{
    static const char what[] = "not an e-mail address";
    size_t n;
    const char *s = v.type == CDP_STRING ? cdp_val_str(v, &w->text, &n) : NULL;
    if (!s)
        return unusable(err, what);
    s = trim(s, &n);
    const char *at = memrchr(s, '@', n);
    if (!at || at == s || at + 1 == s + n)
        return unusable(err, what);
    n -= (size_t)(at + 1 - s);
    s = at + 1;
    if (n > 253 || s[0] == '.' || s[n - 1] == '.' || !cdp_buf_reserve(&w->out, n + 2))
        return unusable(err, what);
    char *o = w->out.data + w->out.len;
    *o++ = '"';
    lower(o, s, n);
    for (size_t i = 0; i < n; i++) {
        const unsigned char *c = (const unsigned char *)o + i;
        if (*c >= 0x80 &&
            (space_at(c, n - i) || (c[0] == 0xED && c[1] >= 0xA0))) /* half of a surrogate pair */
            return unusable(err, what);
        bool label = (o[i] >= 'a' && o[i] <= 'z') || (o[i] >= '0' && o[i] <= '9') || o[i] == '-' ||
                     (unsigned char)o[i] >= 0x80;
        if (!label && !(o[i] == '.' && o[i + 1] != '.'))
            return unusable(err, what);
    }
    o[n] = '"';
    w->out.len += n + 2;
    return DONE;
}

/* ---- digests ---- */

/* A number counts by its value: 1, 1.0 and 1e0 have one digest. */
static const char *plain_number(struct cdp_scrub_worker *w, struct cdp_val v, size_t *n, struct cdp_err *err)
{
    size_t i = v.len > 1 && *v.p == '-' && v.p[1] != '0';
    while (i < v.len && v.p[i] >= '0' && v.p[i] <= '9')
        i++;
    *n = v.len;
    if (i == v.len && v.len < 40)
        return v.p;
    if (cdp_num_parse(&w->num, v.p, v.len, err) < 0)
        return NULL;
    cdp_buf_clear(&w->text);
    cdp_num_format(&w->num, &w->text);
    *n = w->text.len;
    return cdp_buf_check(&w->text, err) < 0 ? NULL : w->text.data;
}

static enum outcome digest(const struct cdp_scrub_field *f, const struct cdp_hmac *key,
                           struct cdp_scrub_worker *w, struct cdp_val v, struct cdp_err *err)
{
    size_t n;
    const char *s = text_of(v, &w->text, &n);
    if (v.type == CDP_NUMBER && !(s = plain_number(w, v, &n, err)))
        return err->exit == CDP_EXIT_DATA ? UNUSABLE : FATAL;
    if (!s)
        return unusable(err, "neither a string nor a number");
    s = normalize(f, w, s, &n);
    if (!s || !cdp_buf_reserve(&w->out, CDP_DIGEST_HEX + 2))
        return FATAL;
    if (n == 0)
        return ABSENT;
    char *o = w->out.data + w->out.len;
    o[0] = o[CDP_DIGEST_HEX + 1] = '"';
    cdp_digest_add(&w->queue, key, s, n, w->out.data, w->out.len + 1);
    w->out.len += CDP_DIGEST_HEX + 2;
    return DONE;
}

/* ---- parts of a text ---- */

/* The byte behind the first `count` characters of [s, end), or end. */
static const char *after_chars(const char *s, const char *end, uint64_t count)
{
    while (s < end && count--)
        for (s++; s < end && (*s & 0xc0) == 0x80; s++)
            ;
    return s;
}

static uint64_t count_chars(const char *s, size_t n)
{
    uint64_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += (s[i] & 0xc0) != 0x80;
    return count;
}

/* A text that has no more characters than may be shown shows none. */
static enum outcome mask(const struct cdp_scrub_field *f, struct cdp_scrub_worker *w, struct cdp_val v,
                         struct cdp_err *err)
{
    size_t n;
    const char *s = text_of(v, &w->text, &n);
    if (!s)
        return unusable(err, "neither a string nor a number");
    const char *end = s + n;
    uint64_t chars = count_chars(s, n);
    bool show = chars > f->first + f->last;
    uint64_t hidden = chars - (show ? f->first + f->last : 0);
    const char *from = show ? after_chars(s, end, f->first) : s, *to = after_chars(from, end, hidden);
    cdp_buf_clear(&w->more);
    cdp_buf_add(&w->more, s, (size_t)(from - s));
    if (!cdp_buf_reserve(&w->more, hidden + 1))
        return FATAL;
    memset(w->more.data + w->more.len, '*', hidden);
    w->more.len += hidden;
    cdp_buf_add(&w->more, to, (size_t)(end - to));
    cdp_emit_string(&w->out, w->more.data, w->more.len);
    return DONE;
}

static enum outcome zip(const struct cdp_scrub_field *f, struct cdp_scrub_worker *w, struct cdp_val v,
                        struct cdp_err *err)
{
    size_t n;
    const char *s = text_of(v, &w->text, &n);
    if (!s)
        return unusable(err, "neither a string nor a number");
    s = trim(s, &n);
    cdp_emit_string(&w->out, s, (size_t)(after_chars(s, s + n, f->first) - s));
    return DONE;
}

/* ---- numbers ---- */

/* The greatest multiple of the size that is not above the value. */
static enum outcome numeric_bucket(const struct cdp_scrub_field *f, struct cdp_scrub_worker *w,
                                   struct cdp_val v, struct cdp_err *err)
{
    struct cdp_num *q = &w->num, *value = &w->step;
    if (cdp_num_parse(value, v.p, v.len, err) < 0 ||
        cdp_num_div(q, value, &f->size, QUOTIENT_DIGITS, err) < 0 || cdp_num_floor(q, q, err) < 0 ||
        cdp_num_mul(q, q, &f->size, err) < 0)
        return err->exit == CDP_EXIT_DATA ? UNUSABLE : FATAL;
    if (cdp_num_cmp(q, value) > 0 && cdp_num_sub(q, q, &f->size, err) < 0) /* the quotient was rounded up */
        return err->exit == CDP_EXIT_DATA ? UNUSABLE : FATAL;
    cdp_num_format(q, &w->out);
    if (cdp_num_sub(value, value, q, err) < 0)
        return err->exit == CDP_EXIT_DATA ? UNUSABLE : FATAL;
    if (cdp_num_sign(value) < 0 || cdp_num_cmp(value, &f->size) >= 0)
        return unusable(err, "too large a number for its bucket");
    return DONE;
}

static enum outcome bucket(const struct cdp_scrub_field *f, struct cdp_scrub_worker *w, struct cdp_val v,
                           struct cdp_err *err)
{
    if (f->unit < 0)
        return v.type == CDP_NUMBER ? numeric_bucket(f, w, v, err) : unusable(err, "not a number");
    struct cdp_time t;
    char text[CDP_TIME_MAX];
    if (!cdp_time_from_val(v, CDP_TIME_RFC3339, &t))
        return unusable(err, "not a time");
    size_t n = cdp_time_bucket(t, (enum cdp_bucket)f->unit, f->zone, text);
    if (n == 0)
        return unusable(err, "a time outside the years 0000 to 9999");
    cdp_emit_string(&w->out, text, n);
    return DONE;
}

/* Is the text a JSON number? */
static bool is_number(const char *s, size_t n)
{
    struct cdp_scan_fault fault;
    return n && (*s == '-' || (*s >= '0' && *s <= '9')) && cdp_scan_document(NULL, s, n, NULL, &fault);
}

/* A number cut after so many places, towards zero. */
static int truncated(uint64_t places, struct cdp_scrub_worker *w, const char *s, size_t n,
                     struct cdp_err *err)
{
    struct cdp_num *a = &w->num, zero = CDP_NUM_ZERO, scale = {.coef = 1, .exp = (int64_t)places};
    if (cdp_num_parse(a, s, n, err) < 0)
        return -1;
    bool negative = cdp_num_sign(a) < 0;
    if (negative && cdp_num_sub(a, &zero, a, err) < 0)
        return -1;
    if (cdp_num_mul(a, a, &scale, err) < 0 || cdp_num_floor(a, a, err) < 0)
        return -1;
    scale.exp = -scale.exp;
    if (cdp_num_mul(a, a, &scale, err) < 0 || (negative && cdp_num_sub(a, &zero, a, err) < 0))
        return -1;
    cdp_num_format(a, &w->out);
    return 0;
}

/* A number, a string that holds one (and stays a string), or an array of numbers. */
static enum outcome truncate_value(const struct cdp_scrub_field *f, struct cdp_scrub_worker *w,
                                   struct cdp_val v, bool inside, struct cdp_err *err)
{
    int rc = 0;
    if (v.type == CDP_NUMBER) {
        rc = truncated(f->places, w, v.p, v.len, err);
    } else if (v.type == CDP_STRING) {
        size_t n;
        const char *s = cdp_val_str(v, &w->text, &n);
        s = trim(s, &n);
        if (!is_number(s, n))
            return unusable(err, "not a number");
        cdp_buf_addc(&w->out, '"');
        rc = truncated(f->places, w, s, n, err);
        cdp_buf_addc(&w->out, '"');
    } else if (v.type == CDP_ARRAY && !inside) {
        char before = '[';
        for (struct cdp_iter it = cdp_val_iter(v); cdp_iter_next(&it); before = ',') {
            cdp_buf_addc(&w->out, before);
            enum outcome o = truncate_value(f, w, it.val, true, err);
            if (o != DONE)
                return o;
        }
        cdp_buf_adds(&w->out, before == '[' ? "[]" : "]");
    } else {
        return unusable(err, "not a number");
    }
    if (rc < 0)
        return err->exit == CDP_EXIT_DATA ? UNUSABLE : FATAL;
    return DONE;
}

/* ---- age and country ---- */

/* The calendar date as it is written, whatever the offset of a time behind it. */
static bool birthday(struct cdp_val v, struct cdp_buf *scratch, int64_t *days)
{
    struct cdp_time t;
    size_t n;
    const char *s = v.type == CDP_STRING ? cdp_val_str(v, scratch, &n) : NULL;
    return s && (n == 10 || cdp_time_parse(s, n, &t)) && cdp_time_parse_date(s, 10, days);
}

static enum outcome age(const struct cdp_scrub *s, struct cdp_scrub_worker *w, struct cdp_val v,
                        struct cdp_err *err)
{
    static const char *const group[] = {"\"0-9\"",   "\"10-19\"", "\"20-29\"", "\"30-39\"", "\"40-49\"",
                                        "\"50-59\"", "\"60-69\"", "\"70-79\"", "\"80-89\"", "\"90+\""};
    int64_t born, year;
    unsigned month, day;
    if (!birthday(v, &w->text, &born))
        return unusable(err, "not a date");
    if (born > s->as_of)
        return unusable(err, "a birthday after the --as-of date");
    cdp_time_civil(born, &year, &month, &day);
    bool to_come = s->as_of_month < month || (s->as_of_month == month && s->as_of_day < day);
    int64_t years = s->as_of_year - year - to_come;
    cdp_buf_adds(&w->out, group[years >= 90 ? 9 : years / 10]);
    return DONE;
}

static enum outcome country(const struct cdp_scrub *s, struct cdp_scrub_worker *w, struct cdp_val v,
                            struct cdp_err *err)
{
    size_t n;
    char code[4] = {'"', 0, 0, '"'};
    const char *text = text_of(v, &w->text, &n);
    if (!text || !cdp_country_find(s->country, text, n, code + 1))
        return unusable(err, "not a country");
    cdp_buf_add(&w->out, code, sizeof code);
    return DONE;
}

/* ---- records ---- */

static enum outcome act(const struct cdp_scrub *s, const struct cdp_scrub_field *f,
                        struct cdp_scrub_worker *w, struct cdp_val v, struct cdp_err *err)
{
    switch (f->action) {
    case CDP_SCRUB_KEEP:
        if (f->flat && (v.type == CDP_ARRAY || v.type == CDP_OBJECT))
            return unusable(err, "an array or an object");
        cdp_buf_add_wide(&w->out, v.p, v.len);
        return DONE;
    case CDP_SCRUB_SHA256:
        return digest(f, NULL, w, v, err);
    case CDP_SCRUB_HMAC:
        return digest(f, &s->key, w, v, err);
    case CDP_SCRUB_DOMAIN:
        return domain(w, v, err);
    case CDP_SCRUB_MASK:
        return mask(f, w, v, err);
    case CDP_SCRUB_REDACT:
        cdp_buf_add(&w->out, f->with.data, f->with.len);
        return DONE;
    case CDP_SCRUB_BUCKET:
        return bucket(f, w, v, err);
    case CDP_SCRUB_AGE:
        return age(s, w, v, err);
    case CDP_SCRUB_COUNTRY:
        return country(s, w, v, err);
    case CDP_SCRUB_TRUNCATE:
        return truncate_value(f, w, v, false, err);
    case CDP_SCRUB_ZIP:
        return zip(f, w, v, err);
    default:
        return ABSENT;
    }
}

/* A digest says nothing, but its digits may; the rest of the words are the policy's own. */
static bool worth_watching(const struct cdp_scrub_field *f)
{
    return !f->unwatched && f->action != CDP_SCRUB_SHA256 && f->action != CDP_SCRUB_HMAC;
}

/* One field: DONE, also where nothing was appended. */
static enum outcome pass(const struct cdp_scrub *s, size_t i, struct cdp_scrub_worker *w, struct cdp_val v,
                         struct cdp_err *err)
{
    const struct cdp_scrub_field *f = &s->field[i];
    struct cdp_scrub_trace *trace = &w->trace[i];
    bool hashed = f->action == CDP_SCRUB_SHA256 || f->action == CDP_SCRUB_HMAC;
    *trace = (struct cdp_scrub_trace){0};
    if (v.type == CDP_MISSING || f->action == CDP_SCRUB_DROP || (v.type == CDP_NULL && hashed))
        return DONE;
    size_t before = w->out.len;
    cdp_buf_add_wide(&w->out, f->prefix.data, f->prefix.len);
    trace->from = w->out.len;
    enum outcome o = DONE;
    if (v.type == CDP_NULL)
        cdp_buf_add(&w->out, "null", 4);
    else
        o = act(s, f, w, v, err);
    if (o == ABSENT) {
        trace->from = w->out.len = before;
        o = DONE;
    } else if (o == UNUSABLE && f->null_on_error) {
        w->out.len = trace->from;
        cdp_buf_add(&w->out, "null", 4);
        trace->null = true;
        o = DONE;
    } else if (o == UNUSABLE) {
        cdp_err_prefix(err, "%s", f->text);
    }
    trace->to = w->out.len;
    return o;
}

/* Takes a record's beginning back, and with it the digest that would still be written there. */
static void take_back(struct cdp_scrub_worker *w, size_t start)
{
    w->out.len = start;
    if (w->queue.n && w->queue.at[w->queue.n - 1] >= start)
        w->queue.n--;
}

/* Counts what is to be said of a record, once it is known to go out. */
static void tally(const struct cdp_scrub *s, struct cdp_scrub_worker *w)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct cdp_scrub_trace *t = &w->trace[i];
        w->nulls[i] += t->null;
        if (s->watch && t->to > t->from && worth_watching(&s->field[i]))
            cdp_leak_count(cdp_val_text(w->out.data + t->from, t->to - t->from), &w->text, w->leaks[i]);
    }
}

/* A copy that there was no memory for must not pass for an empty text. */
static int check_memory(const struct cdp_scrub_worker *w, struct cdp_err *err)
{
    return cdp_buf_check(&w->out, err) < 0 || cdp_buf_check(&w->text, err) < 0 ||
                   cdp_buf_check(&w->more, err) < 0
               ? -1
               : 0;
}

int cdp_scrub_record(const struct cdp_scrub *s, struct cdp_scrub_worker *w, const struct cdp_val *fields,
                     struct cdp_err *err)
{
    size_t start = w->out.len;
    for (size_t i = 0; i < s->n; i++) {
        enum outcome o = pass(s, i, w, fields[s->field[i].slot], err);
        if (o == DONE)
            continue;
        take_back(w, start);
        if (check_memory(w, err) < 0)
            return -1;
        return o == UNUSABLE ? 1 : cdp_err_nomem(err, w->out.len);
    }
    cdp_buf_add(&w->out, s->key_id.data, s->key_id.len);
    if (w->out.len == start)
        cdp_buf_addc(&w->out, '{');
    cdp_buf_add(&w->out, "}\n", 2);
    if (cdp_buf_check(&w->out, err) < 0)
        return -1;
    w->out.data[start] = '{';
    w->records++;
    tally(s, w);
    return check_memory(w, err);
}

void cdp_scrub_finish(struct cdp_scrub_worker *w)
{
    cdp_digest_flush(&w->queue, w->out.data);
}

void cdp_scrub_clear(struct cdp_scrub_worker *w)
{
    cdp_buf_clear(&w->out);
    w->queue.n = 0;
    w->records = 0;
}

struct cdp_scrub_worker *cdp_scrub_worker_new(const struct cdp_scrub *s, struct cdp_err *err)
{
    struct cdp_scrub_worker *w = cdp_mem_zalloc_apart(1, sizeof *w, err);
    if (!w)
        return NULL;
    w->trace = cdp_mem_zalloc_apart(s->n, sizeof *w->trace, err);
    w->nulls = cdp_mem_zalloc_apart(s->n, sizeof *w->nulls, err);
    w->leaks = cdp_mem_zalloc_apart(s->n, sizeof *w->leaks, err);
    if (w->trace && w->nulls && w->leaks)
        return w;
    cdp_scrub_worker_free(w);
    return NULL;
}

void cdp_scrub_worker_free(struct cdp_scrub_worker *w)
{
    if (!w)
        return;
    cdp_buf_free(&w->out);
    cdp_buf_free(&w->text);
    cdp_buf_free(&w->more);
    cdp_num_free(&w->num);
    cdp_num_free(&w->step);
    free(w->trace);
    free(w->nulls);
    free(w->leaks);
    free(w);
}
