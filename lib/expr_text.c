/* expr_text: an expression's text without parsing it: where it ends, and what it mentions.
 *
 * One walk that understands strings with what is interpolated in them, comments, brackets and words, and nothing else. */
#include "lib/expr_parse.h"

#include <string.h>

#define MAX_NESTING 200 /* of strings in strings */

struct walk {
    bool stop; /* at a ',' or a closing bracket that was not opened */
    struct cdp_expr_mentions found;
};

/* --- what cannot be used */

static void refuse(struct walk *w, const char *what, const char *why)
{
    w->found.refused = what;
    w->found.why = why;
}

static void refuse_outside(struct walk *w, const char *what)
{
    refuse(w, what, "an expression sees its record only");
}

/* --- arguments */

/* The first argument of a call, from behind its name; NULL where there is none. */
static const char *first_argument(const char *p)
{
    p = cdp_lex_skip(p);
    return *p == '(' ? cdp_lex_skip(p + 1) : NULL;
}

/* What is behind an argument that is a string literal without interpolation, *len bytes long: ')' or ';'.  NULL where it is
 * something else. */
static const char *behind_literal(const char *p, size_t *len)
{
    const char *from = p;
    if (*p++ != '"')
        return NULL;
    for (; *p != '"'; p++)
        if (!*p || (*p == '\\' && (!*++p || *p == '(')))
            return NULL;
    *len = (size_t)(++p - from);
    p = cdp_lex_skip(p);
    return *p == ')' || *p == ';' ? p : NULL;
}

/* The conversion behind a '%': its letter. */
static char conversion(const char *p)
{
    p += strspn(p, "_-^#0123456789");
    return p[*p == 'E' || *p == 'O'];
}

/* A format for strftime or strptime. */
static void check_format(struct walk *w, const char *p)
{
    size_t len;
    if (!p)
        return;
    const char *end = behind_literal(p, &len), *escaped = end ? memmem(p, len, "\\u", 2) : NULL;
    if (!end || escaped) {
        refuse(w, "a time format that is no plain string",
               "it may end libjq, or read the machine's time zone");
        return;
    }
    for (size_t i = 0; i < len; i++) {
        char c = p[i] == '%' ? conversion(p + i + 1) : '\0';
        if (c == 's' || c == 'Z')
            refuse(w, "%s and %Z", "they read the machine's time zone");
        i += p[i] == '%' && p[i + 1] == '%';
    }
}

/* --- what is mentioned */

enum { OUTSIDE, REGEX, SEARCH, SEARCH_2, SEARCH_G, INDEX, BUCKET, FORMAT };

static const struct mention {
    const char *word;
    int what;
} mentions[] = {
    /* the clock, the machine's time zone and environment, other records, the end of the process, and modules, of which
     * this libjq knows no place */
    {"now", OUTSIDE},
    {"localtime", OUTSIDE},
    {"strflocaltime", OUTSIDE},
    {"env", OUTSIDE},
    {"input", OUTSIDE},
    {"inputs", OUTSIDE},
    {"input_line_number", OUTSIDE},
    {"input_filename", OUTSIDE},
    {"stderr", OUTSIDE},
    {"halt", OUTSIDE},
    {"halt_error", OUTSIDE},
    {"import", OUTSIDE},
    {"include", OUTSIDE},
    {"modulemeta", OUTSIDE},
    /* regular expressions; all matches are searched for by some always, by split with a second argument, by others with
     * the flag g as the second */
    {"test", REGEX},
    {"sub", REGEX},
    {"scan", SEARCH},
    {"splits", SEARCH},
    {"gsub", SEARCH},
    {"split", SEARCH_2},
    {"match", SEARCH_G},
    {"capture", SEARCH_G},
    /* what is given to libjq as definitions */
    {"index", INDEX},
    {"rindex", INDEX},
    {"indices", INDEX},
    {"hour", BUCKET},
    {"day", BUCKET},
    {"week", BUCKET},
    {"month", BUCKET},
    {"year", BUCKET},
    {"strftime", FORMAT},
    {"strptime", FORMAT},
    {0},
};

/* Keeps a pattern that all matches are searched for. */
static void note_pattern(struct walk *w, const char *p, int what)
{
    size_t len, flags;
    const char *end = p ? behind_literal(p, &len) : NULL;
    if (!end || (what != SEARCH && *end != ';'))
        return;
    if (what == SEARCH_G) {
        const char *flag = cdp_lex_skip(end + 1);
        if (!behind_literal(flag, &flags) || !memchr(flag, 'g', flags))
            return;
    }
    cdp_buf_addc(&w->found.patterns, ',');
    cdp_buf_add(&w->found.patterns, p, len);
}

static void walk_word(struct walk *w, const char *p, size_t n)
{
    const char *argument = first_argument(p + n);
    const struct mention *m = mentions;
    while (m->word && !cdp_lex_is(p, n, m->word))
        m++;
    if (!m->word || *cdp_lex_skip(p + n) == ':') /* a key */
        return;
    switch (m->what) {
    case OUTSIDE:
        refuse_outside(w, m->word);
        break;
    case SEARCH:
    case SEARCH_2:
    case SEARCH_G:
        note_pattern(w, argument, m->what);
        w->found.regex = true;
        break;
    case REGEX:
        w->found.regex = true;
        break;
    case INDEX:
        w->found.index = true;
        break;
    case BUCKET:
        w->found.bucket |= argument != NULL;
        break;
    default:
        check_format(w, argument);
    }
}

/* --- the walk */

static const char *walk_code(struct walk *w, const char *p, unsigned nesting);

/* p is behind the opening quote; returns the byte behind the closing one. */
static const char *walk_string(struct walk *w, const char *p, unsigned nesting)
{
    while (*p && *p != '"') {
        if (p[0] == '\\' && p[1] == '(' && nesting < MAX_NESTING) {
            p = walk_code(w, p + 2, nesting + 1);
            p += *p == ')';
        } else {
            p += p[0] == '\\' && p[1] ? 2 : 1;
        }
    }
    return p + (*p == '"');
}

/* Up to a closing bracket that was not opened here, or a ',' where w->stop says so, or the end. */
static const char *walk_code(struct walk *w, const char *p, unsigned nesting)
{
    size_t open = 0;
    for (;;) {
        p = cdp_lex_skip(p);
        size_t n = cdp_lex_word(p);
        if (n) {
            walk_word(w, p, n);
            p += n;
        } else if (*p == '"') {
            p = walk_string(w, p + 1, nesting);
        } else if (*p == '(' || *p == '[' || *p == '{') {
            open++;
            p++;
        } else if (*p == ')' || *p == ']' || *p == '}') {
            if (open == 0 && (w->stop || nesting))
                return p;
            open -= open > 0;
            p++;
        } else if (*p == '\0' || (*p == ',' && open == 0 && w->stop && nesting == 0)) {
            return p;
        } else if (*p == '.' || *p == '$' || *p == '@') { /* not a function's name */
            n = cdp_lex_word(p + 1);
            if (*p == '$' && cdp_lex_is(p + 1, n, "ENV"))
                refuse_outside(w, "$ENV");
            p += n + 1;
        } else {
            p++;
        }
    }
}

size_t cdp_expr_span(const char *text)
{
    struct walk w = {.stop = true};
    size_t len = (size_t)(walk_code(&w, text, 0) - text);
    cdp_buf_free(&w.found.patterns);
    return len;
}

struct cdp_expr_mentions cdp_expr_mentions(const char *text)
{
    struct walk w = {0};
    walk_code(&w, text, 0);
    return w.found;
}
