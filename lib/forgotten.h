/* forgotten: the report of keys that were erased on request: each once, in the order of the keys, as NDJSON
 *     {"key":[<value>,…]}
 * with the values as lib/key gives them back.  Memory: as its sorter is told; it spills. */
#ifndef CDP_FORGOTTEN_H
#define CDP_FORGOTTEN_H

#include "lib/key.h"
#include "lib/sort.h"

struct cdp_forgotten;

/* Opens the file, which appears whole at the close.  *key must outlive the report. */
struct cdp_forgotten *cdp_forgotten_open(const char *path, const struct cdp_keyspec *key, uint64_t memory,
                                         const char *tmpdir, struct cdp_err *err);

/* Adds an encoded key (copied).  In turn. */
int cdp_forgotten_add(struct cdp_forgotten *f, const char *key, size_t len, struct cdp_err *err);

/* Writes the report, and frees f where that succeeded. */
int cdp_forgotten_close(struct cdp_forgotten *f, struct cdp_err *err);

/* Leaves the file as it was.  NULL is allowed. */
void cdp_forgotten_abort(struct cdp_forgotten *f);

#endif
