/* envelope: see envelope.h. */
#include "lib/envelope.h"

#include "lib/datepath.h"
#include "lib/emit.h"
#include "lib/name.h"
#include "lib/utf8.h"

#include <string.h>

#define FLAGS 128 /* bytes that a record has besides its head and its text, at most */

int cdp_envelope_source(struct cdp_envelope *e, const char *run_id, const char *source, size_t max,
                        struct cdp_err *err)
{
    struct cdp_buf *b = &e->head;
    struct cdp_datepath d = cdp_datepath_parse(source);
    cdp_buf_clear(b);
    cdp_buf_adds(b, "{\"run_id\":");
    if (run_id)
        cdp_name_emit(b, run_id, strlen(run_id));
    else
        cdp_buf_adds(b, "null");
    cdp_buf_adds(b, ",\"source\":");
    cdp_name_emit(b, source, strlen(source));
    cdp_buf_adds(b, ",\"partition\":");
    if (d.part)
        cdp_name_emit(b, d.part, d.part_len);
    else
        cdp_buf_adds(b, "null");
    cdp_buf_adds(b, ",\"line\":");
    e->max = max;
    return cdp_buf_check(b, err);
}

void cdp_envelope_free(struct cdp_envelope *e)
{
    cdp_buf_free(&e->head);
}

/* What comes before the payload. */
static void begin(const struct cdp_envelope *e, const struct cdp_envelope_line *at, struct cdp_buf *out)
{
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

void cdp_envelope_good(const struct cdp_envelope *e, const struct cdp_envelope_line *at, const char *p,
                       size_t n, struct cdp_buf *out)
{
    if (!cdp_buf_reserve(out, e->head.len + n + FLAGS))
        return;
    begin(e, at, out);
    cdp_buf_add(out, p, n);
    cdp_buf_add(out, "}\n", 2);
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

const char *cdp_envelope_refuses(const struct cdp_envelope *e, const char *p, size_t n)
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

uint64_t cdp_envelope_bad(const struct cdp_envelope *e, const struct cdp_envelope_line *at, const char *error,
                          size_t byte, const char *p, size_t n, struct cdp_buf *out)
{
    /* A byte takes at most six as an escape. */
    size_t room = e->max / 8 > e->head.len + 2 * FLAGS ? e->max / 8 : e->head.len + 2 * FLAGS;
    struct cdp_envelope_line piece = *at;
    uint64_t records = 0;
    do {
        size_t now = n > room ? cut(p, room) : n;
        piece.more = n > now || at->more;
        piece.no_newline = !piece.more && at->no_newline;
        begin(e, &piece, out);
        cdp_buf_adds(out, "null,\"error\":");
        cdp_emit_cstr(out, error);
        if (byte) {
            cdp_buf_adds(out, ",\"byte\":");
            cdp_emit_uint(out, byte);
        }
        if (cdp_utf8_fault(p, p + now)) {
            cdp_buf_adds(out, ",\"raw_base64\":");
            cdp_emit_base64(out, p, now);
        } else {
            cdp_buf_adds(out, ",\"raw\":");
            cdp_emit_string(out, p, now);
        }
        cdp_buf_add(out, "}\n", 2);
        piece.bom = false;
        p += now;
        n -= now;
        records++;
    } while (n);
    return records;
}

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

int cdp_envelope_open(const struct cdp_envelope_slots *s, const struct cdp_val *fields,
                      struct cdp_envelope_line *at, struct cdp_buf *out, struct cdp_err *err)
{
    *at = (struct cdp_envelope_line){.bom = fields[s->bom].type == CDP_TRUE,
                                     .no_newline = fields[s->newline].type == CDP_FALSE,
                                     .more = fields[s->more].type == CDP_TRUE};
    struct cdp_val raw = fields[s->raw], coded = fields[s->raw_base64], payload = fields[s->payload];
    if (raw.type == CDP_STRING) {
        cdp_val_decode(raw, out);
    } else if (coded.type == CDP_STRING) {
        if (coded.escaped || !from_base64(coded.p + 1, coded.len - 2, out))
            return cdp_err_set(err, CDP_EXIT_DATA, "raw_base64 is not base64");
    } else if (payload.type != CDP_MISSING) {
        add_payload(payload, out);
    } else {
        return cdp_err_set(err, CDP_EXIT_DATA, "no envelope: it has no payload and no raw line");
    }
    return cdp_buf_check(out, err);
}
