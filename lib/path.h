/* path: jq paths: `.payload._id`, `.tags[0]`, `.["odd key"]`, `.`; a bare `event_id` means `.event_id`.
 * Only object keys and indexes from 0: a path names one place.  Grammar: jq manual, "Object
 * Identifier-Index". */
#ifndef CDP_PATH_H
#define CDP_PATH_H

#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdp_step {
    char *key;      /* decoded bytes, owned by the path; NULL for an index */
    uint32_t len;   /* bytes of key */
    uint32_t index; /* array index where key is NULL */
};

struct cdp_path {
    struct cdp_step *step;
    size_t n; /* 0: the whole record */
};

/* Parses all of text[0..n).  0, or -1 with exit status 2 and the place in the message. */
int cdp_path_parse(struct cdp_path *path, const char *text, size_t n, struct cdp_err *err);

/* Parses as much of text as is a path (which must start with '.') and says where it ended, for parsers that
 * embed paths. */
int cdp_path_prefix(struct cdp_path *path, const char *text, size_t n, size_t *used, struct cdp_err *err);

/* The last key of the path, as a name for a column; NULL where the path ends in an index or is `.`. */
const char *cdp_path_name(const struct cdp_path *path);

void cdp_path_free(struct cdp_path *path);

#endif
