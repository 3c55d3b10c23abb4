/* expr_text: an expression's text without parsing it: where it ends, and what it mentions.
 *
 * One walk that understands strings with what is interpolated in them, comments, brackets and words, and nothing else. */
#include "lib/expr_parse.h"

#include <string.h>

#define MAX_NESTING 200 /* of strings in strings */

struct walk {
    bool stop; /* at a ',' or a closing bracket that was not opened */
    unsigned uses;
    const char *forbidden;
};

static void walk_word(struct walk *w, const char *p, size_t n)
{
    /* The clock, other records, the end of the process, and modules, of which this libjq knows no place. */
    static const char *const forbidden[] = {"now",
                                            "localtime",
                                            "strflocaltime",
                                            "input",
                                            "inputs",
                                            "stderr",
                                            "halt",
                                            "halt_error",
                                            "import",
                                            "include",
                                            "input_line_number",
                                            "input_filename",
                                            NULL};
    static const char *const regex[] = {"test",   "match", "capture", "scan", "split",
                                        "splits", "sub",   "gsub",    NULL};
    static const char *const bucket[] = {"hour", "day", "week", "month", "year", NULL};
    if (*cdp_lex_skip(p + n) == ':') /* a key */
        return;
    for (size_t i = 0; forbidden[i]; i++)
        if (cdp_lex_is(p, n, forbidden[i]))
            w->forbidden = forbidden[i];
    for (size_t i = 0; regex[i]; i++)
        if (cdp_lex_is(p, n, regex[i]))
            w->uses |= CDP_EXPR_USES_REGEX;
    for (size_t i = 0; bucket[i]; i++)
        if (cdp_lex_is(p, n, bucket[i]) && *cdp_lex_skip(p + n) == '(')
            w->uses |= CDP_EXPR_USES_BUCKET;
}

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
            p++;
            p += cdp_lex_word(p);
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

unsigned cdp_expr_uses(const char *text, const char **forbidden)
{
    struct walk w = {0};
    walk_code(&w, text, 0);
    *forbidden = w.forbidden;
    return w.uses;
}
