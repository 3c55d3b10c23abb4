/* envelope: see envelope.h. */
#include "lib/envelope.h"

#include "lib/datepath.h"
#include "lib/emit.h"
#include "lib/name.h"
#include "lib/utf8.h"

#include <string.h>

#define FLAGS 128          /* bytes that a record has besides its head and its text, at most */
#define REST 256           /* the same where the text is a piece of a bad line: there is an error, too */
#define ESCAPE ((size_t)6) /* bytes that a byte of it takes at most */
#define LEAST 32           /* bytes of a piece, or a line would make too many */

struct line {
    uint64_t number;
    bool bom, no_newline, more;
};

void cdp_envelope_free(struct cdp_envelope *e)
{
    cdp_buf_free(&e->head);
    cdp_buf_free(&e->out);
}

void cdp_envelope_begin(struct cdp_envelope *e)
{
    cdp_buf_clear(&e->out);
    e->records = 0;
    e->bom = e->pending = false;
}

/* ---- wrapping ---- */

static int begin_source(struct cdp_envelope *e, const struct cdp_envelope_opts *opts,
                        const struct cdp_batch *b, struct cdp_err *err)
{
    struct cdp_buf *h = &e->head;
    const char *source = cdp_batch_source(b);
    struct cdp_buf partition = {0};
    cdp_datepath_parse(source, &partition);
    cdp_buf_clear(h);
    cdp_buf_adds(h, "{\"run_id\":");
    if (opts->run_id)
        cdp_name_emit(h, opts->run_id, strlen(opts->run_id));
    else
        cdp_buf_adds(h, "null");
    cdp_buf_adds(h, ",\"source\":");
    cdp_name_emit(h, source, strlen(source));
    cdp_buf_adds(h, ",\"partition\":");
    if (partition.len)
        cdp_name_emit(h, partition.data, partition.len);
    else
        cdp_buf_adds(h, "null");
    cdp_buf_adds(h, ",\"line\":");
    int rc = cdp_buf_check(&partition, err) < 0 ? -1 : cdp_buf_check(h, err);
    cdp_buf_free(&partition);
    e->source = b->block.source;
    e->max = opts->max;
    e->begun = true;
    size_t least = h->len + REST + ESCAPE * LEAST;
    if (rc == 0 && e->max < least)
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s: its envelopes take a --max-record of %zu bytes or more",
                           source, least);
    return rc;
}

/* What comes before the payload. */
static void begin(struct cdp_envelope *e, const struct line *at)
{
    struct cdp_buf *out = &e->out;
    cdp_buf_add(out, e->head.data, e->head.len);
    cdp_emit_uint(out, at->number);
    if (at->bom)
        cdp_buf_adds(out, ",\"bom\":true");
    if (at->no_newline)
        cdp_buf_adds(out, ",\"newline\":false");
    if (at->more)
        cdp_buf_adds(out, ",\"more\":true");
    cdp_buf_adds(out, ",\"payload\":");
}

/* A line that scan accepts. */
static void add_good(struct cdp_envelope *e, const struct line *at, const char *p, size_t n)
{
    if (!cdp_buf_reserve(&e->out, e->head.len + n + FLAGS))
        return;
    begin(e, at);
    cdp_buf_add(&e->out, p, n);
    cdp_buf_add(&e->out, "}\n", 2);
    e->records++;
}

/* Does any place of a scanned line lie in all of CDP_MAX_DEPTH arrays and objects?  The envelope would be one more. */
static bool deepest(const char *p, size_t n)
{
    if (n < 2 * CDP_MAX_DEPTH - 1 || cdp_buf_count(p, n, '{') + cdp_buf_count(p, n, '[') < CDP_MAX_DEPTH)
        return false;
    bool in_string = false;
    unsigned depth = 0;
    for (size_t i = 0; i < n; i++) {
        if (in_string && p[i] == '\\')
            i++;
        else if (p[i] == '"')
            in_string = !in_string;
        else if (!in_string && (p[i] == '{' || p[i] == '[')) {
            if (++depth == CDP_MAX_DEPTH)
                return true;
        } else if (!in_string && (p[i] == '}' || p[i] == ']'))
            depth--;
    }
    return false;
}

/* Why a good line cannot be wrapped; NULL where it can. */
static const char *refusal(const struct cdp_envelope *e, const char *p, size_t n)
{
    if (e->head.len + n + FLAGS > e->max)
        return "too long for its envelope";
    return deepest(p, n) ? "nested too deep for its envelope" : NULL;
}

/* The end of a piece of at most n bytes: not within a character, where there are whole ones. */
static size_t cut(const char *p, size_t n)
{
    size_t back = 0;
    while (back < 4 && back < n && ((unsigned char)p[n - back] & 0xc0) == 0x80)
        back++;
    return back < 4 && back < n ? n - back : n;
}

/* Any other line; byte from 1, 0 where there is no place to name. */
static void add_bad(struct cdp_envelope *e, const struct line *at, const char *error, size_t byte,
                    const char *p, size_t n)
{
    size_t room = (e->max - e->head.len - REST) / ESCAPE;
    struct cdp_buf *out = &e->out;
    struct line piece = *at;
    do {
        size_t now = n > room ? cut(p, room) : n;
        piece.more = n > now || at->more;
        piece.no_newline = !piece.more && at->no_newline;
        begin(e, &piece);
        cdp_buf_adds(out, "null,\"error\":");
        cdp_emit_cstr(out, error);
        if (byte) {
            cdp_buf_adds(out, ",\"byte\":");
            cdp_emit_uint(out, byte);
        }
        bool text = !cdp_utf8_fault(p, p + now);
        cdp_buf_adds(out, text ? ",\"raw\":" : ",\"raw_base64\":");
        if (text)
            cdp_emit_string(out, p, now);
        else
            cdp_emit_base64(out, p, now);
        cdp_buf_add(out, "}\n", 2);
        e->records++;
        piece.bom = false;
        p += now;
        n -= now;
    } while (n);
}

/* Wraps the line at p, or a piece of one; gives the next. */
static const char *wrap_line(struct cdp_envelope *e, const struct cdp_batch *b, const char *p,
                             struct line *at)
{
    const struct cdp_block *block = &b->block;
    const char *end = block->data + block->len, *next = end, *error = "longer than --max-record";
    struct cdp_scan_fault fault = {p, NULL};
    struct cdp_val none;
    bool piece = block->inside_end || (p == block->data && block->inside_start);
    size_t byte = 0;
    at->more = block->inside_end;
    if (!piece && (next = cdp_scan_line(b->flow->plan, p, &none, &fault)))
        error = refusal(e, p, (size_t)(next - p) - 1);
    else if (!at->more)
        next = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
    size_t n = (size_t)(next - p) - !at->more;
    if (fault.what && strspn(p, " \t\r") >= n) {
        error = "blank line";
    } else if (fault.what) {
        error = fault.what;
        byte = (size_t)(fault.at - p) + 1;
    }
    at->no_newline = block->added_newline && next == end;
    if (error)
        add_bad(e, at, error, byte, p, n);
    else
        add_good(e, at, p, n);
    return next;
}

int cdp_envelope_wrap(struct cdp_envelope *e, const struct cdp_envelope_opts *opts, const struct cdp_batch *b,
                      uint64_t lines, struct cdp_err *err)
{
    cdp_envelope_begin(e);
    if ((!e->begun || e->source != b->block.source) && begin_source(e, opts, b, err) < 0)
        return -1;
    struct line at = {.number = lines + b->first_line, .bom = b->block.first && b->block.offset == 3};
    for (const char *p = b->block.data, *end = p + b->block.len; p < end; at.number++, at.bom = false)
        p = wrap_line(e, b, p, &at);
    return cdp_buf_check(&e->out, err);
}

/* ---- unwrapping ---- */

int cdp_envelope_plan(struct cdp_envelope_slots *s, struct cdp_plan *plan, struct cdp_err *err)
{
    const struct {
        const char *name;
        int *slot;
    } want[] = {{"payload", &s->payload}, {"raw", &s->raw},   {"raw_base64", &s->raw_base64},
                {"newline", &s->newline}, {"more", &s->more}, {"bom", &s->bom}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if ((*want[i].slot = cdp_plan_add_text(plan, want[i].name, err)) < 0)
            return -1;
    return 0;
}

static int base64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648, section 4, with padding.  False where it is anything else. */
static bool from_base64(const char *p, size_t n, struct cdp_buf *out)
{
    if (n % 4)
        return false;
    for (; n; p += 4, n -= 4) {
        unsigned pad = n > 4 || p[3] != '=' ? 0 : p[2] != '=' ? 1 : 2, bits = 0;
        for (unsigned i = 0; i < 4; i++) {
            int d = i < 4 - pad ? base64_digit((unsigned char)p[i]) : 0;
            if (d < 0)
                return false;
            bits = bits << 6 | (unsigned)d;
        }
        char three[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        cdp_buf_add(out, three, 3 - pad);
    }
    return true;
}

/* A payload with the white space around it, which is the line's own. */
static void add_payload(struct cdp_val v, struct cdp_buf *out)
{
    const char *p = v.p, *end = v.p + v.len;
    while (p[-1] == ' ' || p[-1] == '\t' || p[-1] == '\r')
        p--;
    while (*end == ' ' || *end == '\t' || *end == '\r')
        end++;
    cdp_buf_add(out, p, (size_t)(end - p));
}

int cdp_envelope_unwrap(struct cdp_envelope *e, const struct cdp_envelope_slots *s,
                        const struct cdp_val *fields, struct cdp_err *err)
{
    struct cdp_val raw = fields[s->raw], coded = fields[s->raw_base64], payload = fields[s->payload];
    bool newline = fields[s->newline].type != CDP_FALSE;
    if (raw.type != CDP_STRING && coded.type != CDP_STRING && payload.type == CDP_MISSING)
        return cdp_err_set(err, CDP_EXIT_DATA, "no envelope: it has no payload and no raw line");
    if (e->pending)
        cdp_buf_addc(&e->out, '\n');
    e->pending = !newline;
    if (e->records++ == 0)
        e->bom = fields[s->bom].type == CDP_TRUE;
    if (raw.type == CDP_STRING)
        cdp_val_decode(raw, &e->out);
    else if (coded.type != CDP_STRING)
        add_payload(payload, &e->out);
    else if (coded.escaped || !from_base64(coded.p + 1, coded.len - 2, &e->out))
        return cdp_err_set(err, CDP_EXIT_DATA, "no envelope: its raw_base64 is not base64");
    if (newline && fields[s->more].type != CDP_TRUE)
        cdp_buf_addc(&e->out, '\n');
    return cdp_buf_check(&e->out, err);
}
