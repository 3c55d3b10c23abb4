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

/* The conversion behind a '%': its letter. */
static char conversion(const char *p)
{
    p += strspn(p, "_-^#0123456789");
    return p[*p == 'E' || *p == 'O'];
}

/* A call of strftime or strptime, from behind its name.  libjq 1.6 aborts where a format for strftime is no string. */
static void check_format(struct walk *w, const char *p, bool strptime)
{
    p = cdp_lex_skip(p);
    if (*p != '(')
        return;
    p = cdp_lex_skip(p + 1);
    bool literal = *p++ == '"';
    for (; literal && *p && *p != '"'; p++) {
        if (*p == '%' && (conversion(p + 1) == 's' || (conversion(p + 1) == 'Z' && !strptime)))
            refuse(w, "%s and %Z", "they read the machine's time zone");
        else if (*p == '%' && p[1] == '%')
            p++;
        else if (*p == '\\')
            literal = *++p == '"' || *p == '\\' || *p == 'n' || *p == 't';
    }
    if (!literal || *cdp_lex_skip(p + (*p == '"')) != ')')
        refuse(w, "a time format that is no plain string",
               "it may end libjq, or read the machine's time zone");
}

/* --- what is mentioned */

enum { OUTSIDE, REGEX, BUCKET, STRFTIME, STRPTIME };

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
    {"test", REGEX},
    {"match", REGEX},
    {"capture", REGEX},
    {"scan", REGEX},
    {"split", REGEX},
    {"splits", REGEX},
    {"sub", REGEX},
    {"gsub", REGEX},
    {"hour", BUCKET},
    {"day", BUCKET},
    {"week", BUCKET},
    {"month", BUCKET},
    {"year", BUCKET},
    {"strftime", STRFTIME},
    {"strptime", STRPTIME},
    {0},
};

static void walk_word(struct walk *w, const char *p, size_t n)
{
    const char *next = cdp_lex_skip(p + n);
    const struct mention *m = mentions;
    while (m->word && !cdp_lex_is(p, n, m->word))
        m++;
    if (!m->word || *next == ':') /* a key */
        return;
    if (m->what == OUTSIDE)
        refuse_outside(w, m->word);
    else if (m->what == REGEX)
        w->found.regex = true;
    else if (m->what == BUCKET)
        w->found.bucket |= *next == '(';
    else
        check_format(w, next, m->what == STRPTIME);
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
    return (size_t)(walk_code(&w, text, 0) - text);
}

struct cdp_expr_mentions cdp_expr_mentions(const char *text)
{
    struct walk w = {0};
    walk_code(&w, text, 0);
    return w.found;
}
