/* history_object: a JSON object that others are laid over, member by member; names and values keep their bytes, and members
 * the order in which they were first set (a part of history).  Memory: twice the object. */
#ifndef CDP_HISTORY_OBJECT_H
#define CDP_HISTORY_OBJECT_H

#include "lib/val.h"

#include <stdint.h>

struct cdp_object_member {
    size_t key, value; /* raw text, in bytes */
    uint32_t key_len, value_len;
    uint32_t hash; /* of the decoded name */
    bool escaped, gone;
};

/* Zero-initialise to begin. */
struct cdp_object {
    struct cdp_object_member *member;
    size_t members, cap, gone;
    struct cdp_buf bytes, spare, name;
    uint32_t *index; /* member + 1 by hash; 0: empty */
    size_t slots;
};

void cdp_object_clear(struct cdp_object *o);
void cdp_object_free(struct cdp_object *o);

/* Sets each member of an object value (any other value has none). */
int cdp_object_lay(struct cdp_object *o, struct cdp_val over, struct cdp_err *err);

/* Takes away the members that an array of strings names. */
int cdp_object_unset(struct cdp_object *o, struct cdp_val names, struct cdp_err *err);

/* Appends the object's text, without white space between its members. */
void cdp_object_emit(const struct cdp_object *o, struct cdp_buf *out);

#endif
