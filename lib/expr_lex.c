/* expr_lex: the tokens of expressions, as jq 1.6's lexer.l has them. */
#include "lib/expr_parse.h"
#include "lib/utf8.h"

#include <string.h>

/* --- words and punctuation */

size_t cdp_lex_word(const char *p)
{
    size_t n = 0;
    if (cdp_lex_letter(*p))
        while (cdp_lex_letter(p[n]) || cdp_lex_digit(p[n]))
            n++;
    return n;
}

bool cdp_lex_is(const char *p, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(p, word, len) == 0;
}

bool cdp_lex_reserved(const char *p, size_t len)
{
    static const char *const words[] = {"as",   "import", "include", "module", "def",     "if",     "then",
                                        "else", "elif",   "and",     "or",     "end",     "reduce", "foreach",
                                        "try",  "catch",  "label",   "break",  "__loc__", NULL};
    for (size_t i = 0; words[i]; i++)
        if (cdp_lex_is(p, len, words[i]))
            return true;
    return false;
}

const char *cdp_lex_skip(const char *p)
{
    for (;;) {
        if (*p == ' ' || *p == '\t' || *p == '\n')
            p++;
        else if (*p == '#')
            p += strcspn(p, "\r\n");
        else
            return p;
    }
}

char cdp_lex_peek(struct cdp_parser *ps)
{
    ps->p = cdp_lex_skip(ps->p);
    return *ps->p;
}

size_t cdp_lex_name(struct cdp_parser *ps)
{
    cdp_lex_peek(ps);
    size_t n = cdp_lex_word(ps->p);
    return ps->p[n] == ':' && ps->p[n + 1] == ':' ? 0 : n;
}

bool cdp_lex_take(struct cdp_parser *ps, char c)
{
    if (cdp_lex_peek(ps) != c)
        return false;
    ps->p++;
    return true;
}

bool cdp_lex_take_word(struct cdp_parser *ps, const char *word)
{
    size_t n = cdp_lex_name(ps);
    if (!cdp_lex_is(ps->p, n, word))
        return false;
    ps->p += n;
    return true;
}

bool cdp_lex_expect(struct cdp_parser *ps, char c)
{
    return cdp_lex_take(ps, c) || cdp_parse_unsupported(ps);
}

bool cdp_lex_expect_word(struct cdp_parser *ps, const char *word)
{
    return cdp_lex_take_word(ps, word) || cdp_parse_unsupported(ps);
}

/* --- numbers */

/* The parts of a number's text: [sign] whole [. fraction] [exponent]. */
struct number {
    char sign; /* '+', '-' or 0 */
    bool point;
    const char *whole, *fraction, *exponent, *end;
    size_t wholes, fractions; /* digits */
};

static size_t digits(const char *p, const char *end)
{
    size_t n = 0;
    while (p + n < end && cdp_lex_digit(p[n]))
        n++;
    return n;
}

/* As much of the text as is a number; false for none. */
static bool number_parts(const char *p, const char *end, struct number *n)
{
    *n = (struct number){0};
    if (p < end && (*p == '+' || *p == '-'))
        n->sign = *p++;
    n->whole = p;
    n->wholes = digits(p, end);
    p += n->wholes;
    if (p < end && *p == '.') {
        n->point = true;
        n->fraction = ++p;
        n->fractions = digits(p, end);
        p += n->fractions;
    }
    n->exponent = n->end = p;
    if (p < end && (*p | 32) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        size_t k = digits(p, end);
        if (k)
            n->end = p + k;
    }
    return n->wholes + n->fractions > 0;
}

/* Its text as JSON. */
static bool number_json(struct number n, const char *p, struct cdp_buf *out, const char **text, size_t *len)
{
    *text = p;
    *len = (size_t)(n.end - p);
    if (n.sign != '+' && n.wholes && (n.wholes == 1 || *n.whole != '0') && (!n.point || n.fractions))
        return true;
    while (n.wholes > 1 && *n.whole == '0') {
        n.whole++;
        n.wholes--;
    }
    cdp_buf_clear(out);
    if (n.sign == '-')
        cdp_buf_addc(out, '-');
    cdp_buf_add(out, n.wholes ? n.whole : "0", n.wholes ? n.wholes : 1);
    if (n.fractions) {
        cdp_buf_addc(out, '.');
        cdp_buf_add(out, n.fraction, n.fractions);
    }
    cdp_buf_add(out, n.exponent, (size_t)(n.end - n.exponent));
    *text = out->data;
    *len = out->len;
    return !out->failed;
}

bool cdp_expr_number(const char *p, size_t len, struct cdp_buf *out, const char **text, size_t *text_len)
{
    struct number n;
    return number_parts(p, p + len, &n) && n.end == p + len && number_json(n, p, out, text, text_len);
}

bool cdp_lex_number(struct cdp_parser *ps, const char **text, size_t *len)
{
    struct number n;
    const char *from = ps->p;
    if (!number_parts(from, from + strlen(from), &n))
        return cdp_parse_unsupported(ps);
    ps->p = n.end;
    return number_json(n, from, &ps->s->out, text, len) || cdp_buf_check(&ps->s->out, ps->err) == 0;
}

/* --- strings */

/* Is each backslash the beginning of an escape that JSON has? */
static bool good_escapes(const char *p, const char *end)
{
    for (; p < end; p++) {
        if (*p != '\\')
            continue;
        p++;
        if (*p == 'u' && strspn(p + 1, "0123456789abcdefABCDEF") >= 4)
            p += 4;
        else if (!*p || !strchr("\"\\/bfnrt", *p))
            return false;
    }
    return true;
}

bool cdp_lex_string(struct cdp_parser *ps)
{
    const char *from = ps->p, *p = from;
    while (*p && *p != '"' && !(p[0] == '\\' && p[1] == '('))
        p += p[0] == '\\' && p[1] ? 2 : 1;
    if (!*p || !good_escapes(from, p))
        return cdp_parse_unsupported(ps);
    ps->p = p;
    struct cdp_buf *b = &ps->s->b1;
    cdp_buf_clear(b);
    cdp_val_decode(
        (struct cdp_val){.p = from - 1, .len = (uint32_t)(p - from) + 2, .type = CDP_STRING, .escaped = 1},
        b);
    if (cdp_buf_check(b, ps->err) < 0)
        return false;
    /* jq takes no half of a surrogate pair either */
    return !b->len || !cdp_utf8_fault(b->data, b->data + b->len) || cdp_parse_unsupported(ps);
}
