/* change: what a change event says: whose state it is about, where it stands in the order, and what it does to the state.
 *
 * Records are read in parallel; what they say goes in turn to lib/latest or lib/history. */
#ifndef CDP_CHANGE_H
#define CDP_CHANGE_H

#include "lib/flow.h"
#include "lib/hash.h"
#include "lib/key.h"
#include "lib/time.h"

/* Where orders are equal, a later one of these comes later: a delete wins over an update, a request to erase over both. */
enum cdp_change_kind {
    CDP_CHANGE_BASE,   /* a state from an earlier run: all up to its order is in it */
    CDP_CHANGE_STATE,  /* the state from here on */
    CDP_CHANGE_DELETE, /* the state ends */
    CDP_CHANGE_FORGET, /* the state ends, and all up to here is erased */
};

struct cdp_change {
    const char *line;                        /* valid as long as its block */
    uint32_t len, full;                      /* bytes of the line without and with its end */
    uint32_t key, key_len, order, order_len; /* in the keys of its block; the order ends with the kind */
    enum cdp_change_kind kind;
    uint32_t index;          /* of the record in its batch */
    struct cdp_hash128 hash; /* cdp_hash of the key */
    struct cdp_time time;    /* when it happened, if that is asked for */
    struct cdp_val when;     /* the same as text in the line */
    struct cdp_val patch;    /* in the line: object to lay over the state, or null */
    struct cdp_val unset;    /* in the line: array of names to take away, or missing or null */
};

struct cdp_change_opts {
    const char *key, *order, *delete, *forget, *time, *patch, *unset; /* as the options name them, or NULL */
    const struct cdp_time *at; /* later records are dropped, but for requests to erase; NULL: none */
    bool timed;                /* instants are needed: without `time` they are the first :time of the order */
    bool fold; /* for lib/history: records are objects, and a base is told apart from a state */
};

/* How records are read; shared by threads. */
struct cdp_changes;

/* Adds the paths to the plan.  NULL and *err, exit 2 where an option is wrong.  The strings and *at must outlive it. */
struct cdp_changes *cdp_changes_new(const struct cdp_change_opts *opts, struct cdp_plan *plan,
                                    struct cdp_err *err);
void cdp_changes_free(struct cdp_changes *c);

/* The key as it was named, for reports. */
const struct cdp_keyspec *cdp_changes_key(const struct cdp_changes *c);

/* Reads a record, which comes from a base or from the stream; appends its key and order to *keys.  Returns a verdict as a
 * tool's `record` does, and *change is filled where it is CDP_REC_KEEP. */
int cdp_changes_read(const struct cdp_changes *c, const struct cdp_rec *r, bool base, struct cdp_buf *keys,
                     struct cdp_change *change, struct cdp_err *err);

#endif
