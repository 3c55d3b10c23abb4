/* leak: recognising e-mail addresses, phone numbers and card numbers in text.
 *
 * One quick count over the text decides whether there can be any; most strings end there.  Then each '@' is looked at,
 * and each token of digits: groups of digits with what people put between them.  A token that is glued to letters is part
 * of an id, a hash or a time, and no number.  Card numbers: ISO/IEC 7812-1 (Luhn's check digit) and the issuers' prefixes.
 * Text that is not ASCII is looked at after digits, blanks and dashes have become those of ASCII.
 * Linear time; memory: a copy of the longest text that is escaped or not ASCII. */
#include "lib/leak.h"

#define MAX_GROUPS 12
#define CARD_GROUPS                                                                                          \
    8 /* of a token in which a card number in groups is looked for: with an expiry date, a check value */
#define AREA_DIGITS 6 /* that may stand in front of a separator with blanks: country and area */
#define MIN_DIGITS 8  /* of the shortest phone number there is a rule for */

struct token {
    size_t from, to; /* from the first sign or digit to behind the last digit */
    bool plus, card; /* one group is a card number by itself */
    size_t n, digits;
    const char *group[MAX_GROUPS];
    size_t len[MAX_GROUPS];
    char between[MAX_GROUPS]; /* what stands before the group: ' ', '-', '.', '/' or '(' */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == '_';
}

/* ---- e-mail addresses ---- */

static bool local_char(char c)
{
    return is_word(c) || (c && strchr("!#$%&'*+/=?^`{|}~-.\"", c)) || (unsigned char)c >= 0x80;
}

static bool label_char(char c)
{
    return is_letter(c) || is_digit(c) || c == '-' || (unsigned char)c >= 0x80;
}

/* Is there a domain at s: labels with dots between them, the last of two letters or more? */
static bool domain_at(const char *s, const char *end)
{
    size_t label = 0, labels = 0;
    bool letter = false;
    for (; s < end && (label_char(*s) || *s == '.'); s++) {
        if (*s == '.') {
            if (label == 0)
                return false;
            labels++;
            label = 0;
            letter = false;
        } else {
            label++;
            letter |= !is_digit(*s) && *s != '-';
            if (labels && label >= 2 && letter)
                return true;
        }
    }
    return false;
}

static bool has_email(const char *s, size_t n)
{
    const char *end = s + n;
    for (const char *p = s; p < end; p++) {
        size_t at = *p == '@' ? 1 : *p == '%' && end - p > 3 && p[1] == '4' && p[2] == '0' ? 3 : 0;
        if (at && p > s && local_char(p[-1]) && domain_at(p + at, end))
            return true;
    }
    return false;
}

/* ---- card numbers ---- */

static bool issued(const char *d, size_t n)
{
    int two = (d[0] - '0') * 10 + (d[1] - '0');
    switch (d[0]) {
    case '2':
        return n == 16 && two >= 22 && two <= 27;
    case '3': /* Diners Club, American Express, JCB */
        return (n == 14 && (two == 30 || two == 36 || two >= 38)) || (n == 15 && (two == 34 || two == 37)) ||
               (n == 16 && two == 35);
    case '4':
        return n == 13 || n == 16 || n == 19;
    case '5':
        return n == 16 && two <= 58;
    case '6':
        return n >= 16;
    default:
        return false;
    }
}

static bool is_card(const char *d, size_t n)
{
    unsigned sum = 0;
    if (n < 13 || n > 19 || !issued(d, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned v = (unsigned)(d[n - 1 - i] - '0') << (i & 1);
        sum += v > 9 ? v - 9 : v;
    }
    return sum % 10 == 0;
}

/* Are the groups from `first` on printed as on a card: with so many digits each, 0 for up to three? */
static bool card_at(const struct token *t, size_t first, const size_t *shape, size_t groups)
{
    char digits[20];
    size_t n = 0;
    if (first + groups > t->n)
        return false;
    for (size_t i = 0; i < groups; i++) {
        size_t len = t->len[first + i];
        char between = t->between[first + i];
        if ((shape[i] ? len != shape[i] : len > 3) || (i && between != ' ' && between != '-'))
            return false;
        memcpy(digits + n, t->group[first + i], len);
        n += len;
    }
    return is_card(digits, n);
}

static bool has_card(const struct token *t)
{
    static const size_t four[] = {4, 4, 4, 4, 0}, amex[] = {4, 6, 5}, diners[] = {4, 6, 4};
    if (t->card)
        return true;
    for (size_t i = 0; t->n <= CARD_GROUPS && i < t->n; i++)
        if (card_at(t, i, four, 4) || card_at(t, i, four, 5) || card_at(t, i, amex, 3) ||
            card_at(t, i, diners, 3))
            return true;
    return false;
}

/* ---- phone numbers ---- */

static bool all_between(const struct token *t, char c)
{
    for (size_t i = 1; i < t->n; i++)
        if (t->between[i] != c)
            return false;
    return true;
}

/* North America: [1] 3 3 4 digits; written without anything in between, area and exchange begin with 2 to 9. */
static bool is_american(const struct token *t)
{
    const char *d = t->group[0];
    if (t->n == 1 && (t->digits == 10 || (t->digits == 11 && *d == '1'))) {
        d += t->digits - 10;
        return d[0] >= '2' && d[3] >= '2';
    }
    size_t i = t->n == 4 && t->len[0] == 1 && *d == '1';
    return t->n == i + 3 && t->len[i] == 3 && t->len[i + 1] == 3 && t->len[i + 2] == 4;
}

/* Groups of two to four digits, all with the same between them; neither an IPv4 address nor a date. */
static bool is_grouped(const struct token *t)
{
    if (t->n < 3 || t->digits < 9 || t->digits > 12 || !all_between(t, t->between[1]) || t->between[1] == '/')
        return false;
    size_t longest = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->len[i] < 2 || t->len[i] > 4)
            return false;
        longest = t->len[i] > longest ? t->len[i] : longest;
    }
    if (t->between[1] == '.' && t->n == 4 && longest <= 3)
        return false;
    const char *d = t->group[0];
    return !(t->len[0] == 4 && (memcmp(d, "19", 2) == 0 || memcmp(d, "20", 2) == 0));
}

/* 8 to 15 digits from the plus on; what follows them may be anything. */
static bool is_international(const struct token *t)
{
    size_t digits = 0;
    for (size_t i = 0; i < t->n && digits < 8; i++)
        digits += t->len[i];
    return digits >= 8 && digits <= 15 && t->group[0][0] != '0';
}

/* 05.02.2026, and whatever else */
static bool begins_with_date(const struct token *t)
{
    return t->n > 2 && t->len[0] == 2 && t->len[1] == 2 && t->len[2] == 4 && t->between[1] == t->between[2] &&
           strchr("./-", t->between[1]);
}

static bool is_phone(const struct token *t)
{
    const char *d = t->group[0];
    if (t->plus)
        return is_international(t);
    if (t->digits < 9)
        return false;
    if (t->len[0] > 1 && d[0] == '0' && d[1] == '0')
        return t->digits >= 11 && t->digits <= 17 && t->len[0] > 2 && d[2] != '0';
    if (*d == '0' && t->len[0] > 1) /* a trunk prefix */
        return t->digits <= 12 && !(t->n == 2 && t->between[1] == '.') && !begins_with_date(t);
    return is_american(t) || is_grouped(t);
}

/* ---- tokens ---- */

/* What may stand between two groups at s, one of " -./()" or a parenthesis with one of " -" at its outer side: its length
 * and what counts of it; 0 where the token ends. */
static size_t separator(const char *s, const char *end, char *between)
{
    if (end - s < 2 || (*s != ' ' && *s != '-' && *s != '.' && *s != '/' && *s != '(' && *s != ')'))
        return 0;
    *between = *s == ')' ? '(' : *s;
    if (is_digit(s[1]))
        return 1;
    bool opens = (*s == ' ' || *s == '-') && s[1] == '(', closes = *s == ')' && (s[1] == ' ' || s[1] == '-');
    *between = '(';
    return (opens || closes) && end - s > 2 && is_digit(s[2]) ? 2 : 0;
}

/* The same for blanks with one '/' or '-' among them: up to three bytes, as in "030 / 123456". */
static size_t wide_separator(const char *s, const char *end, char *between)
{
    size_t n = 0;
    *between = ' ';
    for (; n < 3 && s + n < end && (s[n] == ' ' || s[n] == '/' || s[n] == '-'); n++) {
        if (s[n] != ' ' && *between != ' ')
            return 0;
        if (s[n] != ' ')
            *between = s[n];
    }
    return s + n < end && is_digit(s[n]) ? n : 0;
}

/* The token whose first digit is at s[i]. */
static void take_token(const char *s, size_t n, size_t i, struct token *t)
{
    const char *p = s + i, *end = s + n;
    t->from = i - (i && s[i - 1] == '(');
    t->plus = t->from && s[t->from - 1] == '+';
    t->from -= t->plus;
    t->card = false;
    t->n = t->digits = 0;
    if (i > 1 && s[i] == '2' && s[i - 1] == '%' && n - i > 2 && (s[i + 1] | 32) == 'b' &&
        is_digit(s[i + 2])) {
        t->plus = true; /* %2B */
        t->from--;
        p += 2;
    }
    for (;;) {
        const char *from = p;
        while (p < end && is_digit(*p))
            p++;
        if (t->n < MAX_GROUPS) {
            t->group[t->n] = from;
            t->len[t->n] = (size_t)(p - from);
        }
        t->n += t->n < MAX_GROUPS;
        t->digits += (size_t)(p - from);
        t->card |= is_card(from, (size_t)(p - from));
        char between = 0;
        size_t skip = separator(p, end, &between);
        if (!skip && t->digits <= AREA_DIGITS)
            skip = wide_separator(p, end, &between);
        if (!skip)
            break;
        if (t->n < MAX_GROUPS)
            t->between[t->n] = between;
        p += skip;
    }
    t->to = (size_t)(p - s);
}

static bool joins(char c)
{
    return c == '-' || c == '.' || c == '+';
}

/* Is the token part of a word: letters at its ends, or at the other end of '-' and its like? */
static bool glued(const char *s, size_t n, const struct token *t)
{
    size_t i = t->from, j = t->to;
    while (i && joins(s[i - 1]))
        i--;
    if (i && (is_word(s[i - 1]) || s[i - 1] == '%'))
        return true;
    if (n - j > 1 && (s[j] | 32) == 'x' && is_digit(s[j + 1]))
        return false; /* an extension */
    while (j < n && joins(s[j]))
        j++;
    return j < n && (is_word(s[j]) || s[j] == '@' || (s[j] == ':' && n - j > 1 && is_digit(s[j + 1])));
}

unsigned cdp_leak_text(const char *s, size_t n)
{
    size_t digits = 0, at = 0;
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) {
        digits += is_digit(s[i]);
        at |= s[i] == '@' || s[i] == '%';
    }
    if (at && has_email(s, n))
        found |= 1u << CDP_LEAK_EMAIL;
    for (size_t i = 0; digits >= MIN_DIGITS && i < n;) {
        if (!is_digit(s[i])) {
            i++;
            continue;
        }
        struct token t;
        take_token(s, n, i, &t);
        digits -= t.digits;
        i = t.to;
        if (t.digits < MIN_DIGITS || glued(s, n, &t))
            continue;
        found |= is_phone(&t) ? 1u << CDP_LEAK_PHONE : 0;
        found |= has_card(&t) ? 1u << CDP_LEAK_CARD : 0;
    }
    return found;
}

/* ---- other scripts ---- */

/* The character at s, and its length; the text is UTF-8, or WTF-8. */
static uint32_t char_at(const unsigned char *s, size_t n, size_t *len)
{
    size_t want = *s < 0xc0 ? 1 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;
    *len = want < n ? want : n;
    uint32_t c = *s < 0x80 ? *s : *s & (0x7fu >> want);
    for (size_t i = 1; i < *len; i++)
        c = c << 6 | (s[i] & 63u);
    return c;
}

/* What a character of Unicode stands for in numbers and addresses, where that is ASCII: decimal digits of all scripts,
 * full-width forms, blanks and dashes.  0: nothing, as marks of direction and other invisible ones; -1: itself. */
static int ascii_of(uint32_t c)
{
    static const uint16_t zero[] = {0x660,  0x6f0,  0x7c0,  0x966,  0x9e6,  0xa66,  0xae6,  0xb66,  0xbe6,
                                    0xc66,  0xce6,  0xd66,  0xde6,  0xe50,  0xed0,  0xf20,  0x1040, 0x1090,
                                    0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
                                    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0};
    if (c >= 0xff01 && c <= 0xff5e)
        return (int)(c - 0xff01 + '!');
    if (c >= 0x1d7ce && c <= 0x1d7ff)
        return (int)((c - 0x1d7ce) % 10 + '0');
    if (c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000)
        return ' ';
    if ((c >= 0x2010 && c <= 0x2015) || c == 0x2212)
        return '-';
    if (c == 0xad || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
        (c >= 0x2060 && c <= 0x2069) || c == 0xfeff)
        return 0;
    for (size_t i = 0; i < sizeof zero / sizeof *zero && zero[i] <= c; i++)
        if (c - zero[i] < 10)
            return (int)(c - zero[i] + '0');
    return -1;
}

/* In place; returns the new length. */
static size_t fold(char *s, size_t n)
{
    size_t kept = 0, len;
    for (size_t i = 0; i < n; i += len) {
        int c = ascii_of(char_at((unsigned char *)s + i, n - i, &len));
        if (c > 0)
            s[kept++] = (char)c;
        if (c >= 0)
            continue;
        memmove(s + kept, s + i, len);
        kept += len;
    }
    return kept;
}

static bool is_ascii(const char *s, size_t n)
{
    unsigned char high = 0;
    for (size_t i = 0; i < n; i++)
        high |= (unsigned char)s[i];
    return high < 0x80;
}

/* ---- values ---- */

static void count(unsigned found, uint64_t counts[CDP_LEAK_KINDS])
{
    for (int kind = 0; kind < CDP_LEAK_KINDS; kind++)
        counts[kind] += found >> kind & 1;
}

static void count_string(struct cdp_val v, struct cdp_buf *scratch, uint64_t counts[CDP_LEAK_KINDS])
{
    size_t n;
    const char *s = cdp_val_str(v, scratch, &n);
    if (!is_ascii(s, n)) {
        if (s != scratch->data) {
            cdp_buf_clear(scratch);
            cdp_buf_add(scratch, s, n);
        }
        n = fold(scratch->data, scratch->len);
        s = scratch->data;
    }
    count(cdp_leak_text(s, n), counts);
}

/* A number is looked at where it is whole and positive: decimals are measurements. */
static void count_number(struct cdp_val v, uint64_t counts[CDP_LEAK_KINDS])
{
    size_t whole = 0, n;
    while (whole < v.len && is_digit(v.p[whole]))
        whole++;
    n = whole + (whole < v.len && v.p[whole] == '.');
    while (n < v.len &&
           v.p[n] == '0') /* a whole number that was written by way of a double: 4111111111111111.0 */
        n++;
    if (n == v.len)
        count(cdp_leak_text(v.p, whole), counts);
}

/* Keys and values alike, in one walk over the text. */
void cdp_leak_count(struct cdp_val v, struct cdp_buf *scratch, uint64_t counts[CDP_LEAK_KINDS])
{
    const char *p = v.p, *end = p + v.len;
    while (p < end) {
        if (*p != '"' && *p != '-' && !is_digit(*p)) {
            p++;
            continue;
        }
        struct cdp_val word = cdp_val_at(p, end);
        if (word.type == CDP_STRING)
            count_string(word, scratch, counts);
        else
            count_number(word, counts);
        p += word.len;
    }
}
