/* expr: jq expressions over a record.
 *
 * The common subset is compiled to native code that works on the raw spans the scanner took: paths; literals, strings
 * with \(…), objects and arrays; | // and or not, comparisons, + - * / %; if, select, empty, E?; length, type, tostring,
 * tojson, tonumber, has("k"), startswith, endswith, contains("s"), ltrimstr, rtrimstr, ascii_downcase, ascii_upcase,
 * floor, ceil, round, trunc, fabs; test("re"), whose pattern is native where it is plain text with or without ^ and $,
 * and otherwise shown the one string by libjq; and hour(t) day(t) week(t) month(t) year(t), the text of the bucket that
 * an RFC 3339 time falls into (null for null).  All else runs in libjq: where all up to a `|` is native, on that part's
 * value, else on the whole record, at libjq's price (about 60 MB/s, 13 ms to begin with, numbers as doubles, repeated
 * keys lost, nesting to 256).  Compile all expressions before scanning; an expression is then read-only and shared; a
 * scratch belongs to one thread.
 *
 * Grammar and results are those of jq 1.6, but that natively
 *   - numbers are decimals: those not computed with keep their text (1.10, 9007199254740993), + - * % are exact, a
 *     quotient has 34 significant digits, half to even; there is no NaN, no infinity, and -0 only by negation;
 *   - a path into the record gives null where jq fails, below what is no object or array;
 *   - E? hides the errors of E only, not those of what uses its result;
 *   - contains() looks behind a NUL as well;
 *   - half a surrogate pair stays what it is.
 * An expression sees its record and nothing else: now, localtime, strflocaltime, env, $ENV, input, inputs, stderr, halt
 * and modules are refused, ~/.jq is not read, and strftime() and strptime() take a plain string without %s and %Z.  With a
 * time zone, day() is refused where libjq would have to compute it.  Refused as well is what libjq 1.6 dies of or does not
 * end, where it can be known: the search for all matches (scan, gsub, splits) of a pattern that matches the empty text.
 * What else it dies of is nobody's use: a slice by NaN, -2^63 % -1, .[2147483647] = 1. */
#ifndef CDP_EXPR_H
#define CDP_EXPR_H

#include "lib/scan.h"
#include "lib/time.h"

struct cdp_expr;

struct cdp_expr_opts {
    const struct cdp_zone *zone; /* for day() and its like; NULL: UTC.  Must outlive the expression */
};

/* Compiles text and adds the paths it reads to the plan; opts may be NULL.  NULL and *err: exit status 2, "expression
 * '…': byte N: …" with libjq's reason, or 3 where memory or libjq is missing. */
struct cdp_expr *cdp_expr_new(const char *text, struct cdp_plan *plan, const struct cdp_expr_opts *opts,
                              struct cdp_err *err);
void cdp_expr_free(struct cdp_expr *e);

/* For parsers that embed expressions: the bytes from text up to the ',' or the closing bracket that is not the
 * expression's own, or up to the end.  Strings, comments and brackets are understood, nothing else is checked. */
size_t cdp_expr_span(const char *text);

/* Does it run without libjq?  (Strings and objects multiplied, and strings divided, are libjq's all the same.) */
bool cdp_expr_native(const struct cdp_expr *e);

/* A bare path's slot, so that callers can read fields[slot] themselves; -1 where it is more than a path. */
int cdp_expr_slot(const struct cdp_expr *e);

/* One thread's working memory for any number of expressions. */
struct cdp_expr_scratch;
struct cdp_expr_scratch *cdp_expr_scratch_new(struct cdp_err *err);
void cdp_expr_scratch_free(struct cdp_expr_scratch *s);

/* Forgets all values made so far: call it once a record, or once a block where values must live that long. */
void cdp_expr_scratch_reset(struct cdp_expr_scratch *s);

/* Evaluates on one record: its fields, and its raw text for libjq.  *out is raw JSON in the record, the expression or the
 * scratch, valid until the first of them goes (or is reset).  An expression with no output gives CDP_MISSING; of several
 * outputs the first counts.  0, or -1: the record cannot be used (exit 1; the message says why without its values) or
 * memory ran out (3). */
int cdp_expr_eval(const struct cdp_expr *e, struct cdp_expr_scratch *s, const struct cdp_val *fields,
                  const char *line, size_t len, struct cdp_val *out, struct cdp_err *err);

/* jq's truth of the value: 1 unless null, false or missing; 0; -1 as above. */
int cdp_expr_test(const struct cdp_expr *e, struct cdp_expr_scratch *s, const struct cdp_val *fields,
                  const char *line, size_t len, struct cdp_err *err);

#endif
