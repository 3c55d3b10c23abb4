/* val: a JSON value as the bytes it came in.
 *
 * A cdp_val never owns anything: it points at the raw text of a value inside a line (or a buffer), quotes
 * and brackets included, and is valid for as long as that memory is.  Everything here takes text that `scan`
 * has validated already and does not check it again. */
#ifndef CDP_VAL_H
#define CDP_VAL_H

#include "lib/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum cdp_type { /* in jq's order of values; an absent field sorts with null and is told apart from it */
                CDP_MISSING,
                CDP_NULL,
                CDP_FALSE,
                CDP_TRUE,
                CDP_NUMBER,
                CDP_STRING,
                CDP_ARRAY,
                CDP_OBJECT,
};

struct cdp_val {
    const char *p;   /* first byte of the raw text: the opening quote of a string */
    uint32_t len;    /* bytes of raw text */
    uint8_t type;    /* enum cdp_type */
    uint8_t escaped; /* a string that holds a backslash */
};

/* Null or absent. */
static inline bool cdp_val_none(struct cdp_val v)
{
    return v.type <= CDP_NULL;
}

/* The value that starts at p (no white space before it); its end is found by walking.  Nothing at or behind `end`, which
 * is that of the text around it, is read. */
struct cdp_val cdp_val_at(const char *p, const char *end);

/* A value from validated text [p, p+n) with white space around it allowed. */
struct cdp_val cdp_val_text(const char *p, size_t n);

/* Appends the decoded text of a string value: escapes resolved to UTF-8; a lone surrogate becomes its
 * three-byte WTF-8 form (https://simonsapin.github.io/wtf-8/), which sorts by code point and which emit
 * writes back as the escape it was. */
void cdp_val_decode(struct cdp_val v, struct cdp_buf *out);

/* The decoded text without a copy where the string has no escapes, else decoded into *scratch (cleared
 * first).  *n is its length. */
const char *cdp_val_str(struct cdp_val v, struct cdp_buf *scratch, size_t *n);

/* Does a string value, decoded, equal these bytes? */
bool cdp_val_str_eq(struct cdp_val v, const char *s, size_t n);

/* Walks an array or an object:
 *     struct cdp_iter it = cdp_val_iter(v);
 *     while (cdp_iter_next(&it)) use(it.key, it.val);      // key.type is CDP_MISSING in an array
 * Members come in input order, repeated keys and all. */
struct cdp_iter {
    struct cdp_val key, val;
    const char *p, *end;
    bool object;
};

struct cdp_iter cdp_val_iter(struct cdp_val v);
bool cdp_iter_next(struct cdp_iter *it);

/* The member `key` (decoded bytes) of an object, the last one where it is repeated; CDP_MISSING where there
 * is none or v is no object. */
struct cdp_val cdp_val_get(struct cdp_val v, const char *key, size_t n);

#endif
