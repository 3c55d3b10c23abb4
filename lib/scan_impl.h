/* scan_impl: the scanner's one loop, compiled once for each instruction set (SCAN_LINE names the function).
 *
 * An iterative descent: `stack` holds the open containers, each with the trie node it stands for
 * (`unwanted` where nothing below it is wanted).  White space is rare between tokens and tested for with one comparison.
 * Strings are skipped a vector at a time; their bytes are gathered by OR, so that UTF-8 is looked at only in
 * lines that have a byte of 0x80 or above (outside strings such a byte is an error of grammar anyway).  The
 * line's '\n' is no white space: it ends every loop, so no end pointer is carried along.
 *
 * What costs time in this is not work but waiting: where a token ends is known only when its bytes have been compared, and
 * the next token begins there.  So a thread remembers which key followed which (struct cdp_memo): its text, from the comma to
 * the value, is compared whole, and the processor goes on behind it meanwhile; likewise behind a string that is as long as
 * the key's last ones.  A key that is not the foretold one is read as ever. */
#include "lib/num_swar.h"
#include "lib/scan_plan.h"
#include "lib/simd.h"
#include "lib/utf8.h"

#include <stddef.h>
#include <string.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct frame {
    const struct cdp_node *node; /* of the container */
    const char *start;
    uintptr_t place; /* in an object: of a key behind a value; else CDP_MEMO_NOWHERE */
    uint32_t index;  /* of the array's current element */
    enum { LINE, OBJECT, ARRAY } is;
};

/* What stands for all that nobody wants; for a key that is not remembered; and for what came after that, which has no place
 * and is never met. */
static const struct cdp_node unwanted = {.slot = -1};
static struct cdp_memo_key nothing;
static _Thread_local struct cdp_memo_key unknown = {.next = {&nothing, &nothing}};

#if defined(__AVX2__)
/* Lemire and Keiser, "Validating UTF-8 In Less Than One Instruction Per Byte"
 * (https://arxiv.org/abs/2010.03090): three table look-ups on neighbouring nibbles name every two-byte fault;
 * a saturating subtraction finds the third and fourth bytes that must follow. */
static inline __m256i shifted(__m256i now, __m256i before, int n)
{
    __m256i mid = _mm256_permute2x128_si256(before, now, 0x21);
    return n == 1   ? _mm256_alignr_epi8(now, mid, 15)
           : n == 2 ? _mm256_alignr_epi8(now, mid, 14)
                    : _mm256_alignr_epi8(now, mid, 13);
}

static inline __m256i table(__m256i index, char t0, char t1, char t2, char t3, char t4, char t5, char t6,
                            char t7, char t8, char t9, char t10, char t11, char t12, char t13, char t14,
                            char t15)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_setr_epi8(t0, t1, t2, t3, t4, t5, t6, t7, t8,
                                                                         t9, t10, t11, t12, t13, t14, t15)),
                               index);
}

static inline __m256i utf8_errors(__m256i v, __m256i before)
{
    enum {
        TOO_SHORT = 1 << 0,
        TOO_LONG = 1 << 1,
        OVERLONG_3 = 1 << 2,
        TOO_LARGE = 1 << 3,
        SURROGATE = 1 << 4,
        OVERLONG_2 = 1 << 5,
        TOO_LARGE_1000 = 1 << 6,
        OVERLONG_4 = 1 << 6,
        TWO_CONTS = 1 << 7,
        CARRY = TOO_SHORT | TOO_LONG | TWO_CONTS,
    };
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    __m256i prev1 = shifted(v, before, 1);
    __m256i high1 =
        table(_mm256_and_si256(_mm256_srli_epi16(prev1, 4), nibble), TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
              TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, (char)TWO_CONTS, (char)TWO_CONTS, (char)TWO_CONTS,
              (char)TWO_CONTS, TOO_SHORT | OVERLONG_2, TOO_SHORT, TOO_SHORT | OVERLONG_3 | SURROGATE,
              TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4);
    __m256i low1 =
        table(_mm256_and_si256(prev1, nibble), (char)(CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4),
              (char)(CARRY | OVERLONG_2), (char)CARRY, (char)CARRY, (char)(CARRY | TOO_LARGE),
              (char)(CARRY | TOO_LARGE | TOO_LARGE_1000), (char)(CARRY | TOO_LARGE | TOO_LARGE_1000),
              (char)(CARRY | TOO_LARGE | TOO_LARGE_1000), (char)(CARRY | TOO_LARGE | TOO_LARGE_1000),
              (char)(CARRY | TOO_LARGE | TOO_LARGE_1000), (char)(CARRY | TOO_LARGE | TOO_LARGE_1000),
              (char)(CARRY | TOO_LARGE | TOO_LARGE_1000), (char)(CARRY | TOO_LARGE | TOO_LARGE_1000),
              (char)(CARRY | TOO_LARGE | TOO_LARGE_1000 | SURROGATE),
              (char)(CARRY | TOO_LARGE | TOO_LARGE_1000), (char)(CARRY | TOO_LARGE | TOO_LARGE_1000));
    __m256i high2 =
        table(_mm256_and_si256(_mm256_srli_epi16(v, 4), nibble), TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
              TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
              (char)(TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4),
              (char)(TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE),
              (char)(TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE),
              (char)(TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE), TOO_SHORT, TOO_SHORT,
              TOO_SHORT, TOO_SHORT);
    __m256i special = _mm256_and_si256(_mm256_and_si256(high1, low1), high2);
    __m256i third = _mm256_subs_epu8(shifted(v, before, 2), _mm256_set1_epi8((char)(0xE0 - 0x80)));
    __m256i fourth = _mm256_subs_epu8(shifted(v, before, 3), _mm256_set1_epi8((char)(0xF0 - 0x80)));
    __m256i must = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
    return _mm256_xor_si256(must, special);
}

/* [p, end) ends behind an ASCII byte (the line's '\n'), so no sequence is cut off by a block's end. */
static __attribute__((noinline)) const char *utf8_fault(const char *p, const char *end)
{
    __m256i before = _mm256_setzero_si256(), errors = before;
    const char *q = p;
    for (; end - q >= 32; q += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)q);
        errors = _mm256_or_si256(errors, utf8_errors(v, before));
        before = v;
    }
    char tail[32] = {0};
    memcpy(tail, q, (size_t)(end - q));
    errors =
        _mm256_or_si256(errors, utf8_errors(_mm256_loadu_si256((const __m256i *)(const void *)tail), before));
    return _mm256_testz_si256(errors, errors) ? NULL : cdp_utf8_fault(p, end);
}
#else
static const char *utf8_fault(const char *p, const char *end)
{
    return cdp_utf8_fault(p, end);
}
#endif

static inline const char *space(const char *p)
{
    if (LIKELY((unsigned char)*p > ' '))
        return p;
    while (*p == ' ' || *p == '\t' || *p == '\r')
        p++;
    return p;
}

static inline bool digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static bool hex(char c)
{
    return digit(c) || (unsigned char)((c | 32) - 'a') < 6;
}

/* The escape behind the backslash at p: its length with the backslash, 0 where it is none. */
static size_t escape_length(const char *p)
{
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        return hex(p[2]) && hex(p[3]) && hex(p[4]) && hex(p[5]) ? 6 : 0;
    default:
        return 0;
    }
}

static __attribute__((noinline, cold)) const char *bad_string(const char *p, struct cdp_scan_fault *fault)
{
    *fault = (struct cdp_scan_fault){p, *p == '\\'   ? "bad escape in a string"
                                        : *p == '\n' ? "unterminated string"
                                                     : "raw control character in a string"};
    return NULL;
}

/* Somewhere in a string, with the stops from there on → behind the closing quote.  NULL and *fault. */
static inline const char *string_rest(const char *p, uint64_t stops, bool *escaped, cdp_simd_high *high,
                                      struct cdp_scan_fault *fault)
{
    for (;; stops = cdp_simd_stops(p += CDP_SIMD_STRIDE, high))
        while (stops) {
            unsigned at = cdp_simd_first(stops);
            if (LIKELY(p[at] == '"'))
                return p + at + 1;
            size_t n = p[at] == '\\' ? escape_length(p + at) : 0;
            if (UNLIKELY(n == 0))
                return bad_string(p + at, fault);
            *escaped = true;
            at += (unsigned)n;
            if (at >= CDP_SIMD_STRIDE) { /* the next vector begins inside the escape */
                p += at - CDP_SIMD_STRIDE;
                break;
            }
            stops = cdp_simd_from(stops, at);
        }
}

/* Behind the opening quote → behind the closing one.  NULL and *fault. */
static inline const char *string(const char *p, bool *escaped, cdp_simd_high *high,
                                 struct cdp_scan_fault *fault)
{
    return string_rest(p, cdp_simd_stops(p, high), escaped, high, fault);
}

/* The byte behind the digits at p. */
static inline const char *digits(const char *p)
{
    unsigned n = cdp_swar_run(p);
    p += n;
    while (UNLIKELY(n == 8)) {
        n = cdp_swar_run(p);
        p += n;
    }
    return p;
}

/* The byte behind the number without a sign at p, or NULL and *fault. */
static inline const char *number(const char *p, struct cdp_scan_fault *fault)
{
    const char *from;
    if (*p == '0') {
        p++;
    } else {
        p = digits(from = p);
        if (UNLIKELY(p == from))
            goto bad;
    }
    if (*p == '.') {
        p = digits(from = p + 1);
        if (UNLIKELY(p == from))
            goto bad;
    }
    if (UNLIKELY((*p | 32) == 'e')) {
        p++;
        p += *p == '+' || *p == '-';
        p = digits(from = p);
        if (UNLIKELY(p == from))
            goto bad;
    }
    return p;
bad:
    *fault = (struct cdp_scan_fault){p, "expected a digit in a number"};
    return NULL;
}

static const struct cdp_node *escaped_key(const struct cdp_node *node, const char *key, const char *end)
{
    struct cdp_val v = {.p = key - 1, .len = (uint32_t)(end - key + 1), .type = CDP_STRING, .escaped = 1};
    for (size_t i = 0; i < node->edges; i++)
        if (node->edge[i].key && cdp_val_str_eq(v, node->edge[i].key, node->edge[i].len))
            return node->edge[i].to;
    return &unwanted;
}

/* The node below `node` for the key [key, end-1), end being behind the closing quote. */
static inline const struct cdp_node *plain_key(const struct cdp_node *node, const char *key, const char *end)
{
    size_t n = (size_t)(end - 1 - key);
    if (!(node->lengths >> (n & 63) & 1))
        return &unwanted;
    uint64_t head;
    memcpy(&head, key, 8); /* past the key's end, perhaps: there are CDP_PAD bytes behind the text */
    for (const struct cdp_edge *e = node->edge, *last = e + node->edges; e < last; e++)
        if (e->len == n && ((head ^ e->head) & e->mask) == 0 && e->key &&
            (n <= 8 || memcmp(key + 8, e->key + 8, n - 8) == 0))
            return e->to;
    return &unwanted;
}

static const struct cdp_node *element(const struct cdp_node *node, uint32_t index)
{
    for (size_t i = 0; i < node->edges; i++)
        if (!node->edge[i].key && node->edge[i].index == index)
            return node->edge[i].to;
    return &unwanted;
}

static inline bool literal(const char *p, const char *word, size_t n)
{
    return memcmp(p, word, n) == 0;
}

/* The key may be a repeated one: what its earlier value held does not count. */
static inline void clear_below(const struct cdp_node *node, struct cdp_val *fields)
{
    for (size_t i = 0; i < node->belows; i++)
        fields[node->below[i]->slot] = (struct cdp_val){0};
}

/* A field's value, its length, type and mark stored at once: whoever takes them with one load would wait for three stores to
 * reach the cache. */
static inline void set_field(struct cdp_val *field, const char *p, size_t len, enum cdp_type type,
                             bool escaped)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t rest = (uint32_t)len | (uint64_t)type << 32 | (uint64_t)escaped << 40;
    field->p = p;
    memcpy((char *)field + offsetof(struct cdp_val, len), &rest, sizeof rest);
#else
    *field = (struct cdp_val){p, (uint32_t)len, type, escaped};
#endif
}

#define FAULT(where, why)                                                                                    \
    do {                                                                                                     \
        *fault = (struct cdp_scan_fault){where, why};                                                        \
        return NULL;                                                                                         \
    } while (0)

/* ---- the memory of keys ---- */

/* Where a key's text stands, or where it will: one of few places, of which an empty one is taken, else the last. */
static struct cdp_memo_key *seat(struct cdp_memo *memo, const char *text, size_t len, uintptr_t place)
{
    uint64_t front = 0, back = 0;
    memcpy(&front, text, len < 8 ? len : 8);
    memcpy(&back, text + (len < 8 ? 0 : len - 8), len < 8 ? len : 8);
    uint64_t h = (front ^ (back + len) * 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u;
    struct cdp_memo_key *k = NULL;
    for (size_t i = 0; i < CDP_MEMO_WAYS; i++) {
        k = &memo->key[((h >> 32) + i) & (CDP_MEMO_KEYS - 1)];
        if (k->len == 0 || (k->len == len && k->place == place && memcmp(k->text, text, len) == 0))
            break;
    }
    return k;
}

/* Notes that the key with this text came after `last`; &unknown where such a text is not remembered. */
static __attribute__((noinline)) struct cdp_memo_key *remember(struct cdp_memo *memo,
                                                               struct cdp_memo_key *last, const char *text,
                                                               const char *end, const struct cdp_node *in,
                                                               const struct cdp_node *want)
{
    size_t len = (size_t)(end - text);
    memo->missed++;
    if (len > CDP_MEMO_TEXT)
        return &unknown;
    uintptr_t place = cdp_memo_place(in, *space(text) == ',' ? CDP_MEMO_VALUE : CDP_MEMO_BRACE);
    struct cdp_memo_key *k = seat(memo, text, len, place);
    if (k->len != len || k->place != place || memcmp(k->text, text, len) != 0) {
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)text[i] >= 0x80) /* is looked at in each line */
                return &unknown;
        *k = (struct cdp_memo_key){.len = (uint8_t)len, .place = place, .want = want, .next = {k, k}};
        k->mask = (uint32_t)(((uint64_t)1 << len) - 1);
        memcpy(k->text, text, len);
    }
    if (last != &unknown) {
        last->next[1] = last->next[0];
        last->next[0] = k;
    }
    return k;
}

static inline bool stands(const struct cdp_memo_key *k, const char *p, uintptr_t place)
{
    return k->place == place && cdp_simd_begins(p, k->text, k->mask, k->len);
}

/* The remembered key whose text stands at p, if it is one that came after `last` before. */
static inline struct cdp_memo_key *recall(struct cdp_memo_key *last, const char *p, uintptr_t place)
{
    struct cdp_memo_key *k = last->next[0];
    if (LIKELY(stands(k, p, place)))
        return k;
    if (*p == '}') /* the commonest that begins no key */
        return NULL;
    k = last->next[1];
    if (stands(k, p, place)) {
        last->next[1] = last->next[0];
        last->next[0] = k;
        return k;
    }
    return NULL;
}

#define STEADY 3u /* of `again`: two strings as long as the one before them foretell the next */

/* string, of the key's value.  Where its length is foretold, the processor goes on with that while it still looks at the
 * bytes. */
static inline const char *string_value(const char *p, struct cdp_memo_key *key, bool *escaped,
                                       cdp_simd_high *high, struct cdp_scan_fault *fault)
{
    const char *start = p;
    uint64_t stops = cdp_simd_stops(p, high);
    if ((key->again & STEADY) == STEADY) {
        unsigned n = key->value;
        for (; n >= CDP_SIMD_STRIDE && !stops; n -= CDP_SIMD_STRIDE)
            stops = cdp_simd_stops(p += CDP_SIMD_STRIDE, high);
        if (LIKELY(n < CDP_SIMD_STRIDE && p[n] == '"' && cdp_simd_first(stops) == n))
            return p + n + 1;
    }
    p = string_rest(p, stops, escaped, high, fault);
    if (UNLIKELY(!p))
        return NULL;
    uint8_t n = (uint8_t)(p - start - 1);
    key->again = (uint8_t)(key->again << 1 | (key->value == n));
    key->value = n;
    return p;
}

const char *SCAN_LINE(const struct cdp_plan *plan, struct cdp_memo *memo, const char *line,
                      struct cdp_val *fields, struct cdp_scan_fault *fault)
{
    struct frame stack[CDP_MAX_DEPTH + 1], *top = stack;
    const struct cdp_node *want = &unwanted; /* of the value that comes next */
    cdp_simd_high high = cdp_simd_none();
    const char *p = line, *start;
    uint8_t type;
    bool escaped;
    top->place = CDP_MEMO_NOWHERE; /* the rest of this one is not looked at */
    top->is = LINE;
    struct cdp_memo_key *last = memo ? &memo->first : &unknown; /* the key read last */
    struct cdp_memo_key *known;
    const char *text = NULL; /* where the text of the next key begins */

    if (plan) /* all slots are of its root or below, so that all are cleared or filled by the line's value */
        want = &plan->root;

value:
    start = p;
    escaped = false;
    if (LIKELY(*p == '"')) {
        type = CDP_STRING;
        p = string_value(p + 1, last, &escaped, &high, fault);
        if (UNLIKELY(!p))
            return NULL;
    } else if (digit(*p)) {
    number:
        type = CDP_NUMBER;
        p = number(p, fault);
        if (UNLIKELY(!p))
            return NULL;
    } else if (LIKELY(*p == '{')) {
        if (UNLIKELY(top == stack + CDP_MAX_DEPTH))
            FAULT(p, "nested deeper than 512");
        if (UNLIKELY(want->belows))
            clear_below(want, fields);
        *++top = (struct frame){want, p, cdp_memo_place(want, CDP_MEMO_VALUE), 0, OBJECT};
        text = ++p;
        if ((known = recall(last, p, cdp_memo_place(want, CDP_MEMO_BRACE))))
            goto known_key;
        p = space(p);
        if (*p != '}')
            goto key;
        goto close;
    } else {
        switch (*p) {
        case '[':
            if (UNLIKELY(top == stack + CDP_MAX_DEPTH))
                FAULT(p, "nested deeper than 512");
            if (UNLIKELY(want->belows))
                clear_below(want, fields);
            *++top = (struct frame){want, p, CDP_MEMO_NOWHERE, 0, ARRAY};
            p = space(p + 1);
            if (*p == ']')
                goto close;
            want = element(want, 0);
            goto value;
        case '-':
            p++;
            goto number;
        case 't':
            if (UNLIKELY(!literal(p, "true", 4)))
                FAULT(p, "expected a value");
            p += 4;
            type = CDP_TRUE;
            break;
        case 'f':
            if (UNLIKELY(!literal(p, "false", 5)))
                FAULT(p, "expected a value");
            p += 5;
            type = CDP_FALSE;
            break;
        case 'n':
            if (UNLIKELY(!literal(p, "null", 4)))
                FAULT(p, "expected a value");
            p += 4;
            type = CDP_NULL;
            break;
        case ' ':
        case '\t':
        case '\r':
            p = space(p);
            goto value;
        default:
            FAULT(p, *p == '\n' ? "the line ends where a value is expected" : "expected a value");
        }
    }
    if (want->counts) {
        if (UNLIKELY(want->belows))
            clear_below(want, fields);
        if (LIKELY(want->slot >= 0))
            set_field(&fields[want->slot], start, (size_t)(p - start), type, escaped);
    }

after:
    text = p;
    known = recall(last, p, top->place);
    if (LIKELY(known != NULL)) {
    known_key:
        last = known;
        p += known->len;
        want = known->want;
        goto value;
    }
    p = space(p);
    if (LIKELY(top->is == OBJECT)) {
        if (LIKELY(*p == '}'))
            goto close;
        if (LIKELY(*p == ',')) {
            p = space(p + 1);
            goto key;
        }
        FAULT(p, *p == '\n' ? "the line ends inside an object" : "expected ',' or '}' after a value");
    }
    if (top->is == LINE)
        goto end;
    if (*p == ',') {
        want = element(top->node, ++top->index);
        p = space(p + 1);
        goto value;
    }
    if (UNLIKELY(*p != ']'))
        FAULT(p, *p == '\n' ? "the line ends inside an array" : "expected ',' or ']' after a value");

close:
    p++;
    {
        const struct frame *f = top--;
        if (f->node->slot >= 0)
            set_field(&fields[f->node->slot], f->start, (size_t)(p - f->start),
                      f->is == OBJECT ? CDP_OBJECT : CDP_ARRAY, false);
    }
    if (top > stack)
        goto after;
    goto end;

key:
    if (UNLIKELY(*p != '"'))
        FAULT(p, *p == '\n' ? "the line ends inside an object" : "expected '\"' before a key");
    start = ++p;
    escaped = false;
    p = string(p, &escaped, &high, fault);
    if (UNLIKELY(!p))
        return NULL;
    want = LIKELY(!escaped) ? plain_key(top->node, start, p) : escaped_key(top->node, start, p);
    p = space(p);
    if (UNLIKELY(*p != ':'))
        FAULT(p, "expected ':' after a key");
    p = space(p + 1);
    if (memo)
        last = escaped ? &unknown : remember(memo, last, text, p, top->node, want);
    goto value;

end:
    if (UNLIKELY(*p != '\n') && *(p = space(p)) != '\n')
        FAULT(p, "unexpected text after the record");
    if (UNLIKELY(cdp_simd_any_high(high))) {
        const char *bad = utf8_fault(line, p);
        if (bad)
            FAULT(bad, "invalid UTF-8");
    }
    return p + 1;
}
