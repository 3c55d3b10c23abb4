/* key: see key.h.  One value is a first byte, by which types are ordered, and what follows it:
 *
 *   02 null   03 false   04 true
 *
 *   1D…63    a number: 40 zero, 41…63 positive, 1D…3F negative.  A positive number d.ddd × 10^e has the first byte
 *            4A + e for e from -8 to 24, else 41 (below) or 63 (above) and e + 2^63 in eight bytes, the highest first;
 *            then its digits in pairs, the last pair filled up with a 0: twice the pair, plus 1 where another follows.
 *            Zeros at the ends of the digits are not there.  A negative number has the first byte 80 - first and all
 *            other bytes of its absolute value inverted.
 *   68       an instant: seconds + 2^63 in eight bytes, nanoseconds in four
 *   70       a string: its UTF-8 (a lone surrogate as in WTF-8, which sorts as the code point), where byte 00 is
 *            written 01 01 and byte 01 is written 01 02; then 00.
 *   78       an array: its values; then 01.
 *   7C       an object: its keys, sorted, each once, as strings; then 01; then the values in the order of the keys.
 *
 * No encoding is a prefix of another: numbers, strings, arrays and keys say where they end, and what ends them is below
 * all that could stand there instead.
 *
 * Strings without escapes are copied: JSON has no raw 00 and 01.  Arrays and objects are first laid out flat, so that each
 * byte is read once at any depth; this takes 24 bytes a value and 40 a key. */
#include "lib/key.h"

#include "lib/emit.h"
#include "lib/mem.h"
#include "lib/num_swar.h"
#include "lib/simd.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_STRING_END = 0x00,
    KEY_END = 0x01,
    KEY_NULL = 0x02,
    KEY_FALSE = 0x03,
    KEY_TRUE = 0x04,
    KEY_ZERO = 0x40,
    KEY_TINY = 0x41,
    KEY_ONES = 0x4A, /* e = 0 */
    KEY_HUGE = 0x63,
    KEY_TIME = 0x68,
    KEY_STRING = 0x70,
    KEY_ARRAY = 0x78,
    KEY_OBJECT = 0x7C,
};

static char *put_big_endian(char *o, uint64_t u, unsigned bytes, unsigned flip)
{
    for (unsigned i = bytes; i-- > 0;)
        *o++ = (char)(u >> (8 * i) ^ flip);
    return o;
}

static uint64_t get_big_endian(const unsigned char *p, unsigned bytes, unsigned flip)
{
    uint64_t u = 0;
    for (unsigned i = 0; i < bytes; i++)
        u = u << 8 | (p[i] ^ flip);
    return u;
}

unsigned cdp_key_short_number(const char *p, size_t n, char out[CDP_KEY_SHORT])
{
    uint64_t word[2];
    int32_t exp;
    bool neg = *p == '-';
    if (!cdp_swar_digits(p + neg, n - neg, word, &exp))
        return 0;
    uint64_t low = word[0] - CDP_SWAR_ZEROS, high = word[1] - CDP_SWAR_ZEROS;
    int top = exp + 15;
    if (low == 0) {
        low = high;
        high = 0;
        top -= 8;
    }
    if (low == 0) {
        *out = KEY_ZERO;
        return 1;
    }
    unsigned front =
        (unsigned)__builtin_ctzll(low) & 56u; /* bits of the zeros before the first other digit */
    low = low >> front | high << 1 << (63 - front);
    high >>= front;
    top -= (int)(front / 8);
    if (top < KEY_TINY + 1 - KEY_ONES)
        return 0;
    uint64_t pairs = cdp_swar_pairs(low);
    unsigned bytes = 4 - (unsigned)__builtin_clzll(low) / 16;
    if (high) {
        pairs |= (uint64_t)cdp_swar_pairs(high) << 32;
        bytes = 8 - (unsigned)__builtin_clzll(high) / 16;
    }
    pairs ^= UINT64_C(1) << (8 * (bytes - 1));
    pairs ^= neg ? UINT64_MAX : 0;
    /* The first byte in one word with those behind it: what reads them at once, a hash, need not wait for the store. */
    uint64_t first = (uint64_t)(neg ? 0x80 - (KEY_ONES + top) : KEY_ONES + top);
    uint64_t all[2] = {first | pairs << 8, pairs >> 56};
    memcpy(out, all, sizeof all);
    return 1 + bytes;
}

/* Appends a short number; false where it is none, or there is no room. */
static inline bool put_short_number(const char *p, size_t n, struct cdp_buf *out)
{
    unsigned bytes =
        cdp_buf_reserve(out, CDP_KEY_SHORT) ? cdp_key_short_number(p, n, out->data + out->len) : 0;
    out->len += bytes;
    return bytes != 0;
}

static int put_number(const char *p, size_t n, struct cdp_buf *out, struct cdp_err *err)
{
    struct cdp_digits d;
    if (put_short_number(p, n, out))
        return 0;
    if (!cdp_num_split(p, n, &d))
        return cdp_err_set(err, CDP_EXIT_DATA, "a number's exponent is past 62 bits");
    if (d.n == 0) {
        cdp_buf_addc(out, KEY_ZERO);
        return 0;
    }
    if (!cdp_buf_reserve(out, d.count / 2 + 10))
        return 0; /* the buffer remembers */
    char *o = out->data + out->len;
    int64_t top = d.exp + (int64_t)(d.count - 1);
    unsigned flip = d.neg ? 0xFF : 0;
    int first = top < -8 ? KEY_TINY : top > 24 ? KEY_HUGE : KEY_ONES + (int)top;
    *o++ = (char)(d.neg ? 0x80 - first : first);
    if (first == KEY_TINY || first == KEY_HUGE)
        o = put_big_endian(o, (uint64_t)top ^ UINT64_C(1) << 63, 8, flip);
    for (const char *q = d.p, *end = d.p + d.n; q < end;) {
        q += *q == '.';
        unsigned pair = (unsigned)(*q++ - '0') * 10;
        if (q < end) {
            q += *q == '.';
            pair += (unsigned)(*q++ - '0');
        }
        *o++ = (char)((pair * 2 + (q < end)) ^ flip);
    }
    out->len = (size_t)(o - out->data);
    return 0;
}

/* Doubles the bytes 00 and 01 of the text that begins at out->data[from], and ends it. */
static void end_string(struct cdp_buf *out, size_t from)
{
    size_t low = 0;
    for (size_t i = from; i < out->len; i++)
        low += (unsigned char)out->data[i] <= 1;
    if (!cdp_buf_reserve(out, low + 1))
        return;
    char *p = out->data + out->len, *o = p + low;
    out->len += low;
    while (o > p) {
        char c = *--p;
        if (c == 0 || c == 1) {
            *--o = (char)(c + 1);
            c = 1;
        }
        *--o = c;
    }
    out->data[out->len++] = KEY_STRING_END;
}

/* Text that holds no byte 00 or 01. */
static inline void put_plain(const char *s, size_t n, struct cdp_buf *out)
{
    if (!cdp_buf_reserve(out, n + 2))
        return;
    char *o = out->data + out->len;
    o[0] = KEY_STRING;
    memcpy(o + 1, s, n);
    o[1 + n] = KEY_STRING_END;
    out->len += n + 2;
}

static void put_string(struct cdp_val v, struct cdp_buf *out)
{
    if (!v.escaped) {
        put_plain(v.p + 1, v.len - 2, out);
        return;
    }
    cdp_buf_addc(out, KEY_STRING);
    size_t from = out->len;
    cdp_val_decode(v, out);
    end_string(out, from);
}

void cdp_key_string(const char *s, size_t n, struct cdp_buf *out)
{
    cdp_buf_addc(out, KEY_STRING);
    size_t from = out->len;
    cdp_buf_add(out, s, n);
    end_string(out, from);
}

void cdp_key_time(struct cdp_time t, struct cdp_buf *out)
{
    if (!cdp_buf_reserve(out, 13))
        return;
    char *o = out->data + out->len;
    *o++ = KEY_TIME;
    o = put_big_endian(o, (uint64_t)t.sec ^ UINT64_C(1) << 63, 8, 0);
    put_big_endian(o, t.nsec, 4, 0);
    out->len += 13;
}

/* --- arrays and objects */

/* One value of the layout; those inside it follow, up to `next`.  In an object keys and values alternate. */
struct node {
    const char *p;
    uint32_t len, next;
    uint8_t type, escaped;
};

struct member {
    uint64_t prefix; /* the key's first eight bytes as a number, so that most comparisons are one */
    const char *key;
    size_t len, at; /* at: where the key is in `text`, while that may still move */
    uint32_t value; /* index of its node, which tells repeated keys apart */
    bool decoded;
};

struct layout {
    struct node *node;
    size_t nodes, node_cap;
    struct member *member; /* a stack: the objects that are being written, outermost first */
    size_t members, member_cap;
    struct cdp_buf text; /* decoded keys of the innermost one */
    const char *end;     /* of the whole text */
};

static const char *skip_space(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
        p++;
    return p;
}

/* The string at p. */
static inline struct cdp_val string_at(const char *p, const char *end)
{
    cdp_simd_high high = cdp_simd_none();
    for (const char *q = p + 1; end - q >= CDP_SIMD_STRIDE; q += CDP_SIMD_STRIDE) {
        uint64_t stops = cdp_simd_stops(q, &high);
        if (!stops)
            continue;
        q += cdp_simd_first(stops);
        if (*q != '"')
            break;
        return (struct cdp_val){.p = p, .len = (uint32_t)(q + 1 - p), .type = CDP_STRING};
    }
    return cdp_val_at(p, end);
}

/* Lays out the value at p (valid text); the byte behind it, or NULL and *err.  Recursion: CDP_MAX_DEPTH at most. */
static const char *lay_out(struct layout *l, const char *p, struct cdp_err *err)
{
    if (l->nodes == l->node_cap) {
        struct node *grown = cdp_mem_grow(l->node, &l->node_cap, l->nodes + 1, sizeof *grown, err);
        if (!grown)
            return NULL;
        l->node = grown;
    }
    size_t at = l->nodes++;
    bool object = *p == '{';
    if (!object && *p != '[') {
        struct cdp_val v = *p == '"' ? string_at(p, l->end) : cdp_val_at(p, l->end);
        l->node[at] = (struct node){v.p, v.len, (uint32_t)l->nodes, v.type, v.escaped};
        return p + v.len;
    }
    p = skip_space(p + 1);
    while (*p != ']' && *p != '}') {
        if (object) {
            if (!(p = lay_out(l, p, err)))
                return NULL;
            p = skip_space(skip_space(p) + 1);
        }
        if (!(p = lay_out(l, p, err)))
            return NULL;
        p = skip_space(p);
        if (*p == ',')
            p = skip_space(p + 1);
    }
    l->node[at] = (struct node){.next = (uint32_t)l->nodes, .type = object ? CDP_OBJECT : CDP_ARRAY};
    return p + 1;
}

static struct cdp_val node_val(const struct node *n)
{
    return (struct cdp_val){.p = n->p, .len = n->len, .type = n->type, .escaped = n->escaped};
}

static int put_scalar(struct cdp_val v, struct cdp_buf *out, struct cdp_err *err)
{
    static const char constant[] = {KEY_NULL, KEY_NULL, KEY_FALSE, KEY_TRUE}; /* by enum cdp_type */
    if (v.type == CDP_STRING)
        put_string(v, out);
    else if (v.type == CDP_NUMBER)
        return put_number(v.p, v.len, out, err);
    else
        cdp_buf_addc(out, constant[v.type]);
    return 0;
}

static uint64_t prefix_of(const char *s, size_t n)
{
    unsigned char eight[8] = {0};
    memcpy(eight, s, n < 8 ? n : 8);
    return get_big_endian(eight, 8, 0);
}

static int cmp_keys(const struct member *a, const struct member *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    int order = memcmp(a->key, b->key, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int cmp_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    int order = cmp_keys(x, y);
    return order ? order : (x->value > y->value) - (x->value < y->value);
}

static void sort_members(struct member *m, size_t n)
{
    if (n > 32) {
        qsort(m, n, sizeof *m, cmp_members);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct member moving = m[i];
        size_t j = i;
        for (; j > 0 && cmp_members(&m[j - 1], &moving) > 0; j--)
            m[j] = m[j - 1];
        m[j] = moving;
    }
}

/* Puts the members of the object at node `at` on the stack, sorted, the last one of each key. */
static int gather(struct layout *l, size_t at, struct cdp_err *err)
{
    size_t base = l->members;
    cdp_buf_clear(&l->text);
    for (size_t key = at + 1; key < l->node[at].next; key = l->node[key + 1].next) {
        if (l->members == l->member_cap) {
            struct member *grown =
                cdp_mem_grow(l->member, &l->member_cap, l->members + 1, sizeof *grown, err);
            if (!grown)
                return -1;
            l->member = grown;
        }
        struct cdp_val v = node_val(&l->node[key]);
        struct member *m = &l->member[l->members++];
        *m = (struct member){
            .key = v.p + 1, .len = v.len - 2, .value = (uint32_t)key + 1, .decoded = v.escaped};
        if (v.escaped) {
            m->at = l->text.len;
            cdp_val_decode(v, &l->text);
            m->len = l->text.len - m->at;
        }
    }
    if (cdp_buf_check(&l->text, err) < 0)
        return -1;
    if (l->members == base)
        return 0;
    struct member *m = l->member + base;
    size_t n = l->members - base, kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (m[i].decoded)
            m[i].key = l->text.data + m[i].at;
        m[i].prefix = prefix_of(m[i].key, m[i].len);
    }
    sort_members(m, n);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || cmp_keys(&m[i], &m[i + 1]) != 0)
            m[kept++] = m[i];
    l->members = base + kept;
    return 0;
}

static int put_node(struct layout *l, size_t at, struct cdp_buf *out, struct cdp_err *err)
{
    if (l->node[at].type == CDP_ARRAY) {
        cdp_buf_addc(out, KEY_ARRAY);
        for (size_t i = at + 1; i < l->node[at].next; i = l->node[i].next)
            if (put_node(l, i, out, err) < 0)
                return -1;
        cdp_buf_addc(out, KEY_END);
        return 0;
    }
    if (l->node[at].type != CDP_OBJECT)
        return put_scalar(node_val(&l->node[at]), out, err);
    size_t base = l->members;
    if (gather(l, at, err) < 0)
        return -1;
    cdp_buf_addc(out, KEY_OBJECT);
    for (size_t i = base; i < l->members; i++) {
        if (l->member[i].decoded)
            cdp_key_string(l->member[i].key, l->member[i].len, out);
        else
            put_plain(l->member[i].key, l->member[i].len, out);
    }
    cdp_buf_addc(out, KEY_END);
    for (size_t i = base, end = l->members; i < end; i++)
        if (put_node(l, l->member[i].value, out, err) < 0)
            return -1;
    l->members = base;
    return 0;
}

static __attribute__((noinline)) int put_any(struct cdp_val v, struct cdp_buf *out, struct cdp_err *err)
{
    size_t start = out->len;
    int rc;
    if (v.type < CDP_ARRAY) {
        rc = put_scalar(v, out, err);
    } else {
        struct layout l = {.end = v.p + v.len};
        /* A guess that fits most records, so that there is one allocation. */
        l.node = cdp_mem_grow(NULL, &l.node_cap, v.len / 8 + 1, sizeof *l.node, err);
        rc = l.node && lay_out(&l, v.p, err) ? put_node(&l, 0, out, err) : -1;
        free(l.node);
        free(l.member);
        cdp_buf_free(&l.text);
    }
    if (rc == 0 && out->failed)
        rc = cdp_buf_check(out, err);
    if (rc < 0)
        out->len = start;
    return rc;
}

int cdp_key_value(struct cdp_val v, struct cdp_buf *out, struct cdp_err *err)
{
    if (v.type == CDP_NUMBER && put_short_number(v.p, v.len, out))
        return cdp_buf_check(out, err);
    if (v.type != CDP_STRING || v.escaped)
        return put_any(v, out, err);
    put_plain(v.p + 1, v.len - 2, out);
    return cdp_buf_check(out, err);
}

/* --- the way back */

static const unsigned char *get_number(const unsigned char *p, struct cdp_buf *out)
{
    int first = *p++;
    bool neg = first < KEY_ZERO;
    unsigned flip = neg ? 0xFF : 0;
    first = neg ? 0x80 - first : first;
    if (first == KEY_ZERO) {
        cdp_buf_addc(out, '0');
        return p;
    }
    int64_t top = first - KEY_ONES;
    if (first == KEY_TINY || first == KEY_HUGE) {
        top = (int64_t)(get_big_endian(p, 8, flip) ^ UINT64_C(1) << 63);
        p += 8;
    }
    size_t pairs = 1;
    while ((p[pairs - 1] ^ flip) & 1)
        pairs++;
    struct cdp_buf text = {0};
    char here[64], *digit = here;
    if (pairs > sizeof here / 2) {
        if (!cdp_buf_reserve(&text, pairs * 2)) {
            out->failed = true;
            return p + pairs;
        }
        digit = text.data;
    }
    for (size_t i = 0; i < pairs; i++) {
        unsigned pair = (p[i] ^ flip) >> 1;
        digit[2 * i] = (char)('0' + pair / 10);
        digit[2 * i + 1] = (char)('0' + pair % 10);
    }
    cdp_num_format_digits(neg, digit, pairs * 2, top - (int64_t)(pairs * 2 - 1), out);
    cdp_buf_free(&text);
    return p + pairs;
}

static const unsigned char *get_string(const unsigned char *p, struct cdp_buf *out)
{
    const char *s = (const char *)p + 1;
    size_t n = strlen(s);
    if (!memchr(s, 1, n)) {
        cdp_emit_string(out, s, n);
    } else {
        struct cdp_buf text = {0};
        for (size_t i = 0; i < n; i++)
            cdp_buf_addc(&text, s[i] == 1 ? (char)(s[++i] - 1) : s[i]);
        cdp_emit_string(out, text.data, text.len);
        out->failed |= text.failed;
        cdp_buf_free(&text);
    }
    return p + n + 2;
}

static const unsigned char *get_time(const unsigned char *p, struct cdp_buf *out)
{
    struct cdp_time t = {.sec = (int64_t)(get_big_endian(p + 1, 8, 0) ^ UINT64_C(1) << 63),
                         .nsec = (uint32_t)get_big_endian(p + 9, 4, 0)};
    char text[CDP_TIME_MAX];
    cdp_emit_string(out, text, cdp_time_format(t, text));
    return p + 13;
}

static const unsigned char *get_array(const unsigned char *p, struct cdp_buf *out)
{
    cdp_buf_addc(out, '[');
    for (p++; *p != KEY_END;) {
        p = cdp_key_decode(p, out);
        if (*p != KEY_END)
            cdp_buf_addc(out, ',');
    }
    cdp_buf_addc(out, ']');
    return p + 1;
}

static const unsigned char *get_object(const unsigned char *p, struct cdp_buf *out)
{
    const unsigned char *key = p + 1, *value = key;
    while (*value != KEY_END)
        value += strlen((const char *)value) + 1;
    value++;
    cdp_buf_addc(out, '{');
    while (*key != KEY_END) {
        key = get_string(key, out);
        cdp_buf_addc(out, ':');
        value = cdp_key_decode(value, out);
        if (*key != KEY_END)
            cdp_buf_addc(out, ',');
    }
    cdp_buf_addc(out, '}');
    return value;
}

/* Is one of n bytes, behind which seven can be read, 0x80 or above? */
static inline bool any_high(const char *p, size_t n)
{
    uint64_t all = 0, word;
    for (size_t i = 0; i < n; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        all |= n - i < sizeof word ? htole64(word) << (64 - 8 * (n - i)) : word;
    }
    return (all & UINT64_C(0x8080808080808080)) != 0;
}

const unsigned char *cdp_key_decode_short(const unsigned char *p, struct cdp_buf *out)
{
    const char *s = (const char *)p + 1;
    if (*p != KEY_STRING || !cdp_buf_reserve(out, CDP_KEY_WIDE + sizeof "\"\""))
        return NULL;
    char *o = out->data + out->len;
    cdp_simd_high ignored = cdp_simd_none();
    uint64_t stops = 0;
    size_t n = 0;
    for (; n < CDP_KEY_WIDE && !stops; n += CDP_SIMD_STRIDE) {
        stops = cdp_simd_stops(s + n, &ignored);
        memcpy(o + 1 + n, s + n, CDP_SIMD_STRIDE);
    }
    if (!stops)
        return NULL;
    n = n - CDP_SIMD_STRIDE + cdp_simd_first(stops);
    if (s[n] != KEY_STRING_END || any_high(o + 1, n))
        return NULL;
    *o = o[n + 1] = '"';
    out->len += n + 2;
    return (const unsigned char *)s + n + 1;
}

const unsigned char *cdp_key_decode(const unsigned char *p, struct cdp_buf *out)
{
    switch (*p) {
    case KEY_NULL:
        cdp_buf_adds(out, "null");
        return p + 1;
    case KEY_FALSE:
        cdp_buf_adds(out, "false");
        return p + 1;
    case KEY_TRUE:
        cdp_buf_adds(out, "true");
        return p + 1;
    case KEY_TIME:
        return get_time(p, out);
    case KEY_STRING:
        return get_string(p, out);
    case KEY_ARRAY:
        return get_array(p, out);
    case KEY_OBJECT:
        return get_object(p, out);
    default:
        return get_number(p, out);
    }
}
