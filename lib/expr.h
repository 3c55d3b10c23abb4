/* expr: jq expressions over a record.
 *
 * The common subset (paths, literals, comparisons, and/or/not, //, test, startswith, endswith, contains on strings,
 * ltrimstr, ascii_downcase, length, has, arithmetic, object and array construction, if, tostring, tonumber, day/hour/
 * week/month) is compiled to native code that works on the raw spans the scanner took and is exact where jq rounds.
 * All else runs in libjq on the whole record, at libjq's price (about 60 MB/s, numbers as doubles).  Compile all
 * expressions before scanning; an expression is then read-only and shared; a scratch belongs to one thread. */
#ifndef CDP_EXPR_H
#define CDP_EXPR_H

#include "lib/scan.h"
#include "lib/time.h"

struct cdp_expr;

struct cdp_expr_opts {
    const struct cdp_zone *zone; /* for day() and its like; NULL: UTC */
};

/* Compiles text and adds the paths it reads to the plan.  NULL with exit status 2 and the place in the message. */
struct cdp_expr *cdp_expr_new(const char *text, struct cdp_plan *plan, const struct cdp_expr_opts *opts,
                              struct cdp_err *err);
void cdp_expr_free(struct cdp_expr *e);

/* Parses as much of text as is one expression without libjq's help being asked for, up to a ',' or ')' at depth 0 or
 * the end; for parsers that embed expressions.  Returns the bytes used. */
size_t cdp_expr_span(const char *text);

/* Does it run natively? */
bool cdp_expr_native(const struct cdp_expr *e);

/* A bare path's slot, so that callers can read fields[slot] themselves; -1 where it is more than a path. */
int cdp_expr_slot(const struct cdp_expr *e);

/* One thread's working memory for any number of expressions. */
struct cdp_expr_scratch;
struct cdp_expr_scratch *cdp_expr_scratch_new(struct cdp_err *err);
void cdp_expr_scratch_free(struct cdp_expr_scratch *s);

/* Forgets all values made so far: call it once a record, or once a block where values must live that long. */
void cdp_expr_scratch_reset(struct cdp_expr_scratch *s);

/* Evaluates on one record: its fields, and its raw text for libjq.  *out is raw JSON in the record or in the scratch.
 * An expression with no output gives CDP_MISSING; of several outputs the first counts.
 * 0, or -1: the record cannot be used (exit 1; the message says why without its values) or memory ran out (3). */
int cdp_expr_eval(const struct cdp_expr *e, struct cdp_expr_scratch *s, const struct cdp_val *fields,
                  const char *line, size_t len, struct cdp_val *out, struct cdp_err *err);

/* jq's truth of the value: 1 unless null, false or missing; 0; -1 as above. */
int cdp_expr_test(const struct cdp_expr *e, struct cdp_expr_scratch *s, const struct cdp_val *fields,
                  const char *line, size_t len, struct cdp_err *err);

#endif
