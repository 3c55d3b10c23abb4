/* history: all records of each key in their order, folded into rows.
 *
 * Two folds: partial updates (each record's object is laid over the state so far) and history rows, each with the time from
 * and until which it held.  Records are sorted by (key, order, line) with lib/sort, which spills; the fold itself holds one
 * key's state.  Rows come out sorted by key and order, whatever the order of adding. */
#ifndef CDP_HISTORY_H
#define CDP_HISTORY_H

#include "lib/flow.h"
#include "lib/sort.h"
#include "lib/time.h"

struct cdp_history;

struct cdp_history_opts {
    struct cdp_sort_opts sort;
    bool rows;  /* history rows instead of the last state */
    bool patch; /* items have a patch */
};

enum cdp_history_kind {
    CDP_HISTORY_STATE,
    CDP_HISTORY_BASE,   /* a whole state from an earlier run: nothing may come before it */
    CDP_HISTORY_DELETE, /* the state ends */
    CDP_HISTORY_FORGET, /* the state ends, and rows up to here are not written */
};

struct cdp_history_item {
    const char *key, *order;
    uint32_t key_len, order_len;
    enum cdp_history_kind kind;
    struct cdp_time time;
    const char *line; /* without its end: a JSON object */
    uint32_t len;
    struct cdp_val when; /* of the line: the raw time, for history rows */
    struct cdp_val patch,
        unset; /* of the line: object to lay over the state, array of names to take away (or missing) */
};

struct cdp_history *cdp_history_new(const struct cdp_history_opts *opts, struct cdp_err *err);
void cdp_history_free(struct cdp_history *h);

/* Copies the record.  In turn. */
int cdp_history_add(struct cdp_history *h, const struct cdp_history_item *item, struct cdp_err *err);

/* Writes the rows; deletes and forgotten keys, too, as the record that said so, where their time is not before *since (NULL:
 * none).  Each record added is counted as out or dropped.
 *     history rows: the line's members, then "valid_from":<when>,"valid_to":<when of the next|null>,"is_current":<bool>;
 *     records of one key and instant: only the last by order has a row.
 * -1 (exit 1) where a record comes before a base state that has its key. */
int cdp_history_write(struct cdp_history *h, struct cdp_out *out, const struct cdp_time *since,
                      struct cdp_counts *counts, struct cdp_err *err);

#endif
