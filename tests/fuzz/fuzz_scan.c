/* Fuzz target: the scanner against a reference that is written plainly from RFC 8259, RFC 3629 and the record law
 * (cdp-records(5)).  The first line of the input is a path, each further one a record; and the input is a document.  Every
 * implementation accepts what the reference accepts, finds the spans that it finds, and reads no byte past the padding;
 * walking an accepted value (lib/val) gives the same spans again. */
#include "lib/scan_plan.h"

#include <stdlib.h>

#define CDP_SIMD_SCALAR
#define SCAN_LINE scan_line_scalar
static cdp_scan_fn scan_line_scalar;
#include "lib/scan_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const paths[] = {".",
                                    ".a",
                                    ".a.b",
                                    ".a.b.c",
                                    ".a[0]",
                                    ".a[1].b",
                                    ".[0]",
                                    ".[2][1]",
                                    ".b",
                                    ".\"\"",
                                    ".\"\\\"\"",
                                    ".\"é\"",
                                    ".\"\\ud83d\"",
                                    ".longer_than_eight",
                                    ".longer_than_sevens"};
#define PATHS (sizeof paths / sizeof *paths)

static void check(bool good)
{
    if (!good)
        abort();
}

/* ---- the reference ---- */

struct span {
    const char *p, *end; /* NULL: missing */
};

struct text {
    const char *end; /* of all that there is */
    bool lines;      /* a newline is no white space */
    const struct cdp_path *path;
    struct span found;
};

static const char *blank(const struct text *t, const char *p)
{
    while (p < t->end && (*p == ' ' || *p == '\t' || *p == '\r' || (*p == '\n' && !t->lines)))
        p++;
    return p;
}

/* The code point at p and the byte behind it; NULL: not well-formed. */
static const char *code_point(const char *p, const char *end, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = (unsigned char)*p;
    size_t n = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
    if (n == 0 || (size_t)(end - p) < n)
        return NULL;
    *code = n == 1 ? c : c & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)p[i] & 0xc0) != 0x80)
            return NULL;
        *code = *code << 6 | ((unsigned char)p[i] & 0x3f);
    }
    return *code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? NULL : p + n;
}

static void put(struct cdp_buf *out, uint32_t code)
{
    if (code < 0x80) {
        cdp_buf_addc(out, (char)code);
        return;
    }
    int shift = code < 0x800 ? 6 : code < 0x10000 ? 12 : 18;
    cdp_buf_addc(out, (char)((shift == 6 ? 0xc0 : shift == 12 ? 0xe0 : 0xf0) | code >> shift));
    while (shift) {
        shift -= 6;
        cdp_buf_addc(out, (char)(0x80 | (code >> shift & 0x3f)));
    }
}

/* Four hexadecimal digits, or -1. */
static int32_t four(const char *p, const char *end)
{
    int32_t u = 0;
    for (int i = 0; i < 4; i++, p++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *at = p < end && *p ? strchr(digits, *p) : NULL;
        if (!at)
            return -1;
        u = u * 16 + (int32_t)((at - digits) % 16);
    }
    return u;
}

/* A string at p, decoded; the byte behind it, or NULL. */
static const char *ref_string(const char *p, const char *end, struct cdp_buf *out)
{
    static const char plain[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    if (p == end || *p++ != '"')
        return NULL;
    while (p < end && *p != '"') {
        uint32_t code;
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p != '\\') {
            if (!(p = code_point(p, end, &code)))
                return NULL;
            put(out, code);
            continue;
        }
        if (++p == end)
            return NULL;
        const char *at = *p ? strchr(plain, *p) : NULL;
        if (at) {
            cdp_buf_addc(out, means[at - plain]);
            p++;
            continue;
        }
        int32_t unit = *p == 'u' ? four(p + 1, end) : -1;
        if (unit < 0)
            return NULL;
        p += 5;
        if (unit >= 0xd800 && unit < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
            int32_t low = four(p + 2, end);
            if (low >= 0xdc00 && low < 0xe000) {
                unit = 0x10000 + (unit - 0xd800) * 0x400 + (low - 0xdc00);
                p += 6;
            }
        }
        put(out, (uint32_t)unit);
    }
    return p < end ? p + 1 : NULL;
}

static const char *ref_digits(const char *p, const char *end)
{
    const char *from = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p > from ? p : NULL;
}

static const char *ref_number(const char *p, const char *end)
{
    if (*p == '-')
        p++;
    const char *from = p;
    if (!(p = ref_digits(p, end)) || (*from == '0' && p - from > 1))
        return NULL;
    if (p < end && *p == '.' && !(p = ref_digits(p + 1, end)))
        return NULL;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = ref_digits(p, end);
    }
    return p;
}

static const char *ref_word(const char *p, const char *end, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0 ? p + n : NULL;
}

static const char *ref_value(struct text *t, const char *p, size_t depth, size_t step, bool on_path);

/* A member of an object from its key on. */
static const char *ref_member(struct text *t, const char *p, size_t depth, size_t step, bool on_path)
{
    struct cdp_buf key = {0};
    const struct cdp_step *s = on_path && step < t->path->n ? &t->path->step[step] : NULL;
    p = ref_string(p, t->end, &key);
    bool mine = s && s->key && key.len == s->len && (key.len == 0 || memcmp(key.data, s->key, key.len) == 0);
    cdp_buf_free(&key);
    if (mine)
        t->found = (struct span){0};
    if (!p || (p = blank(t, p)) == t->end || *p != ':')
        return NULL;
    return ref_value(t, p + 1, depth, step + 1, mine);
}

static const char *ref_container(struct text *t, const char *p, size_t depth, size_t step, bool on_path)
{
    bool object = *p == '{';
    char closing = object ? '}' : ']';
    const struct cdp_step *s = on_path && step < t->path->n ? &t->path->step[step] : NULL;
    if (depth == 512)
        return NULL;
    p = blank(t, p + 1);
    if (p < t->end && *p == closing)
        return p + 1;
    for (uint32_t i = 0; p && p < t->end; i++) {
        if (object)
            p = ref_member(t, blank(t, p), depth + 1, step, on_path);
        else
            p = ref_value(t, p, depth + 1, step + 1, s && !s->key && s->index == i);
        if (!p || (p = blank(t, p)) == t->end)
            return NULL;
        if (*p == closing)
            return p + 1;
        if (*p++ != ',')
            return NULL;
    }
    return NULL;
}

/* A value with white space around it; the byte behind, or NULL. */
static const char *ref_value(struct text *t, const char *p, size_t depth, size_t step, bool on_path)
{
    if ((p = blank(t, p)) == t->end)
        return NULL;
    const char *from = p;
    struct cdp_buf ignored = {0};
    switch (*p) {
    case '{':
    case '[':
        p = ref_container(t, p, depth, step, on_path);
        break;
    case '"':
        p = ref_string(p, t->end, &ignored);
        cdp_buf_free(&ignored);
        break;
    case 't':
        p = ref_word(p, t->end, "true");
        break;
    case 'f':
        p = ref_word(p, t->end, "false");
        break;
    case 'n':
        p = ref_word(p, t->end, "null");
        break;
    default:
        p = ref_number(p, t->end);
    }
    if (p && on_path && step == t->path->n)
        t->found = (struct span){from, p};
    return p;
}

/* Is the text one value?  Then *found is what the path names. */
static bool reference(const char *p, size_t n, bool lines, const struct cdp_path *path, struct span *found)
{
    struct text t = {.end = p + n, .lines = lines, .path = path};
    p = ref_value(&t, p, 0, 0, true);
    *found = t.found;
    return p && blank(&t, p) == t.end;
}

/* ---- the comparison ---- */

struct scanners {
    struct cdp_plan *plan;
    struct cdp_path path[PATHS + 1];
    size_t n;                     /* slots are 0, 1, … in the order of path */
    struct cdp_memo *memo, *bare; /* with the plan, and without one */
};

/* What lib/val finds at the path. */
static struct cdp_val walk(struct cdp_val v, const struct cdp_path *path)
{
    for (size_t i = 0; i < path->n; i++) {
        const struct cdp_step *s = &path->step[i];
        if (s->key) {
            v = cdp_val_get(v, s->key, s->len);
            continue;
        }
        struct cdp_iter it = cdp_val_iter(v);
        bool there = v.type == CDP_ARRAY;
        for (uint32_t k = 0; there && k <= s->index; k++)
            there = cdp_iter_next(&it);
        v = there ? it.val : (struct cdp_val){0};
    }
    return v;
}

static void same_span(struct cdp_val got, struct span want)
{
    if (!want.p) {
        check(got.type == CDP_MISSING);
        return;
    }
    check(got.p == want.p && got.len == (size_t)(want.end - want.p));
    const char *kinds = "\0nft0\"[{", *kind = memchr("nft\"[{", *want.p, 6);
    check(kinds[got.type] == (kind ? *kind : '0'));
    check(!got.escaped == !(*want.p == '"' && memchr(want.p, '\\', got.len)));
}

static void same_string(struct cdp_val v)
{
    struct cdp_buf want = {0}, got = {0};
    check(ref_string(v.p, v.p + v.len, &want) == v.p + v.len);
    cdp_val_decode(v, &got);
    check(got.len == want.len && (got.len == 0 || memcmp(got.data, want.data, got.len) == 0));
    check(cdp_val_str_eq(v, want.data ? want.data : "", want.len));
    check(want.len == 0 || !cdp_val_str_eq(v, want.data, want.len - 1));
    cdp_buf_free(&want);
    cdp_buf_free(&got);
}

struct answer {
    const char *end;
    struct cdp_scan_fault fault;
    struct cdp_val field[PATHS + 1];
};

static void same_fields(const struct scanners *s, const struct cdp_val *field, const struct span *want)
{
    for (size_t i = 0; i < s->n; i++) {
        same_span(field[i], want[i]);
        if (field[i].type == CDP_STRING)
            same_string(field[i]);
        if (field[i].type != CDP_MISSING)
            same_span(cdp_val_text(want[i].p, (size_t)(want[i].end - want[i].p)), want[i]);
        same_span(walk(field[0], &s->path[i]), want[i]);
    }
}

static const char *scan_in_use(const struct cdp_plan *plan, struct cdp_memo *memo, const char *p,
                               struct cdp_val *fields, struct cdp_scan_fault *fault)
{
    return memo ? cdp_scan_memo(plan, memo, p, fields, fault) : cdp_scan_line(plan, p, fields, fault);
}

static cdp_scan_fn *const scanner[] = {scan_line_scalar, cdp_scan_line_base, scan_in_use};

/* The same end and fields, or the same fault at the same place. */
static void same_answer(const struct answer *a, const struct answer *b, size_t fields)
{
    check(a->end == b->end);
    if (!a->end)
        check(a->fault.at == b->fault.at && strcmp(a->fault.what, b->fault.what) == 0);
    for (size_t i = 0; a->end && i < fields; i++)
        check(a->field[i].p == b->field[i].p && a->field[i].len == b->field[i].len &&
              a->field[i].type == b->field[i].type && a->field[i].escaped == b->field[i].escaped);
}

static void one_line(const struct scanners *s, const char *text, size_t n)
{
    struct span want[PATHS + 1];
    struct answer first = {0}, other;
    char *line = malloc(n + 1 + CDP_PAD);
    check(line != NULL);
    memcpy(line, text, n);
    line[n] = '\n';
    bool good = true;
    for (size_t i = 0; i < s->n; i++)
        good = reference(line, n, true, &s->path[i], &want[i]);
    for (size_t i = 0; i < sizeof scanner / sizeof *scanner; i++) {
        memset(line + n + 1, i % 2 ? 0xc3 : '"', CDP_PAD);
        other.end = scanner[i](s->plan, NULL, line, other.field, &other.fault);
        if (i == 0) {
            first = other;
            check(first.end == (good ? line + n + 1 : NULL));
            check(good || (first.fault.what && first.fault.at >= line && first.fault.at <= line + n));
            if (good)
                same_fields(s, first.field, want);
        }
        same_answer(&other, &first, s->n);
        for (int again = 0; again < 4; again++) { /* with a memory of other lines, then of this one */
            other.end = scanner[i](s->plan, s->memo, line, other.field, &other.fault);
            same_answer(&other, &first, s->n);
            other.end = scanner[i](NULL, s->bare, line, NULL, &other.fault);
            same_answer(&other, &first, 0);
        }
    }
    free(line);
}

static void document(const struct scanners *s, const char *text, size_t n)
{
    struct span want[PATHS + 1];
    struct cdp_val field[PATHS + 1];
    struct cdp_scan_fault fault;
    bool good = true;
    for (size_t i = 0; i < s->n; i++)
        good = reference(text, n, false, &s->path[i], &want[i]);
    check(cdp_scan_document(s->plan, text, n, field, &fault) == good);
    if (good)
        same_fields(s, field, want);
    else
        check(fault.what && fault.at >= text && fault.at <= text + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdp_err err;
    struct scanners s = {.plan = cdp_plan_new(&err), .memo = cdp_memo_new(&err), .bare = cdp_memo_new(&err)};
    const char *p = (const char *)data, *end = p + n;
    const char *newline = n ? memchr(p, '\n', n) : NULL;
    check(s.plan && s.memo && s.bare);
    for (; s.n < PATHS; s.n++)
        check(cdp_path_parse(&s.path[s.n], paths[s.n], strlen(paths[s.n]), &err) == 0);
    if (newline && cdp_path_parse(&s.path[s.n], p, (size_t)(newline - p), &err) == 0) {
        s.n++;
        p = newline + 1;
    }
    for (size_t i = 0; i < s.n; i++) {
        int slot = cdp_plan_add(s.plan, &s.path[i], &err);
        check(slot >= 0);
        if ((size_t)slot != i) { /* the input's path is one of ours */
            cdp_path_free(&s.path[i]);
            s.n = i;
        }
    }
    document(&s, p, (size_t)(end - p));
    for (const char *line = p; line < end; line += newline ? newline - line + 1 : end - line) {
        newline = memchr(line, '\n', (size_t)(end - line));
        one_line(&s, line, newline ? (size_t)(newline - line) : (size_t)(end - line));
    }
    cdp_memo_free(s.memo);
    cdp_memo_free(s.bare);
    cdp_plan_free(s.plan);
    for (size_t i = 0; i < s.n; i++)
        cdp_path_free(&s.path[i]);
    return 0;
}
