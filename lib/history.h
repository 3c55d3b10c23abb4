/* history: all changes of each key in their order, folded into rows.
 *
 * Two folds: partial updates (each record's object is laid over the state so far) and history rows, each with the time from
 * and until which it held.  Records are sorted by (key, order, line) with lib/sort, which spills; the fold itself holds one
 * key's state.  Rows come out sorted by key and order, whatever the order of adding. */
#ifndef CDP_HISTORY_H
#define CDP_HISTORY_H

#include "lib/change.h"
#include "lib/sort.h"

struct cdp_history;

struct cdp_history_opts {
    struct cdp_sort_opts sort;
    bool rows;  /* history rows instead of the last state */
    bool patch; /* changes have a patch */
    /* What to do with a record that cannot be folded, and counts as rejected then: 0 to go on, or -1 and *err. */
    int (*reject)(void *arg, const char *source, uint64_t line_no, const char *why, const char *line,
                  size_t len, struct cdp_err *err);
    void *reject_arg;
};

struct cdp_history *cdp_history_new(const struct cdp_history_opts *opts, struct cdp_err *err);
void cdp_history_free(struct cdp_history *h);

/* The changes that follow are of the source so named (copied). */
int cdp_history_source(struct cdp_history *h, const char *name, struct cdp_err *err);

/* Copies the record, whose key and order lie in keys.  In turn. */
int cdp_history_add(struct cdp_history *h, const struct cdp_change *change, const char *keys,
                    uint64_t line_no, struct cdp_err *err);

/* Writes the rows; without `rows` deletes and forgotten keys, too, as the record that said so, where their time is not
 * before *since (NULL: none).  Each record added is counted as out or dropped, or rejected:
 *     one whose order is before that of the base's state of its key (an equal one is dropped: it is in the base);
 *     a base's second state of a key;
 *     for history rows, one whose time is before that of the record before it.
 * A history row is the line's members, then "valid_from":<when>,"valid_to":<when of the next|null>,"is_current":<bool>; of
 * the records of one key and instant only the last has a row. */
int cdp_history_write(struct cdp_history *h, struct cdp_out *out, const struct cdp_time *since,
                      struct cdp_counts *counts, struct cdp_err *err);

#endif
