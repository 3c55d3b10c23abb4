/* scan: one pass over a line that validates it whole and returns the raw spans of the wanted paths.
 *
 * Grammar RFC 8259, strict; UTF-8 checked (RFC 3629); depth at most 512.  No tree, no allocation.  Where a
 * key is repeated, the last one counts, at every level.  Keys are matched decoded: `"\u0075uid"` is `uuid`.
 */
#ifndef CDP_SCAN_H
#define CDP_SCAN_H

#include "lib/mem.h"
#include "lib/path.h"
#include "lib/val.h"

#define CDP_MAX_DEPTH 512

/* What to extract: a trie of paths, each with a slot.  Built by one thread before scanning, then read-only
 * and shared. */
struct cdp_plan;

struct cdp_plan *cdp_plan_new(struct cdp_err *err);
void cdp_plan_free(struct cdp_plan *plan);

/* Adds a path (copied) and returns its slot, the old one where the path is there already; -1 on failure. */
int cdp_plan_add(struct cdp_plan *plan, const struct cdp_path *path, struct cdp_err *err);

/* The same from text. */
int cdp_plan_add_text(struct cdp_plan *plan, const char *text, struct cdp_err *err);

/* Slots so far: the length that `fields` must have. */
size_t cdp_plan_width(const struct cdp_plan *plan);

struct cdp_scan_fault {
    const char *at;   /* the offending byte */
    const char *what; /* "expected ':' after a key"; static */
};

/* Scans the line at p: text up to a '\n', which must be there, with CDP_PAD readable bytes behind it.
 * Fills fields[0..width): CDP_MISSING where absent.  Returns the byte after the '\n', or NULL and *fault.
 * A '\r' before the '\n' is white space.  The line must not be blank. */
const char *cdp_scan_line(const struct cdp_plan *plan, const char *p, struct cdp_val *fields,
                          struct cdp_scan_fault *fault);

/* What a thread remembers of the lines it has scanned with one plan: which key came after which, and how long their strings
 * were.  Lines of one stream resemble each other, so most keys are recognised by one comparison instead of being read.
 * The result is the same with and without. */
struct cdp_memo;

struct cdp_memo *cdp_memo_new(struct cdp_err *err);
void cdp_memo_free(struct cdp_memo *memo);

/* cdp_scan_line with a memory, of which each thread has its own. */
const char *cdp_scan_memo(const struct cdp_plan *plan, struct cdp_memo *memo, const char *p,
                          struct cdp_val *fields, struct cdp_scan_fault *fault);

/* The same for a whole document [p, p+n) in which newlines are white space (policies, contracts; and the
 * conformance suites).  Returns true, or false and *fault.  Copies the text: not for hot paths. */
bool cdp_scan_document(const struct cdp_plan *plan, const char *p, size_t n, struct cdp_val *fields,
                       struct cdp_scan_fault *fault);

/* The implementation in use: "avx2", "sse2", "neon" or "scalar". */
const char *cdp_scan_impl(void);

#endif
