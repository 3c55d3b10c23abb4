/* key: order-preserving binary keys.
 *
 * The encoding of a value is a run of bytes such that memcmp is jq's order of values (null < false < true < numbers <
 * strings by code point < arrays < objects by sorted keys, then values), equal values have equal bytes (1, 1.0 and
 * 1e0; "A" and "\u0041"), and no encoding is a prefix of another, so encodings may be joined.  A hash of the bytes
 * is the identity. */
#ifndef CDP_KEY_H
#define CDP_KEY_H

#include "lib/hash.h"
#include "lib/num.h"
#include "lib/scan.h"
#include "lib/time.h"

/* Appends the encoding of v as it is (CDP_MISSING encodes as null).  0, or -1 where it cannot be a key (exit 1:
 * a number's exponent past 62 bits) or memory ran out, and nothing is appended. */
int cdp_key_value(struct cdp_val v, struct cdp_buf *out, struct cdp_err *err);

#define CDP_KEY_SHORT 16

/* What cdp_key_value appends for a number (its text) of up to 16 characters in plain notation; returns its length, at most 9,
 * and any bytes may follow.  0 where it is another number. */
unsigned cdp_key_short_number(const char *p, size_t n, char out[CDP_KEY_SHORT]);

/* Appends the encoding of an instant, and of decoded string bytes. */
void cdp_key_time(struct cdp_time t, struct cdp_buf *out);
void cdp_key_string(const char *s, size_t n, struct cdp_buf *out);

/* Appends the JSON text of the one value encoded at p (not inverted) and returns the byte behind it: the way back, for
 * aggregates that keep only the encoding.  Numbers come back in cdp_num_format's form, objects with their keys sorted,
 * instants as strings in RFC 3339 form. */
const unsigned char *cdp_key_decode(const unsigned char *p, struct cdp_buf *out);

#define CDP_KEY_WIDE 32

/* The same, faster, for a string of less than CDP_KEY_WIDE ASCII characters that need no escape, with as many readable bytes
 * behind the encoding.  NULL, and nothing appended, where the value is another. */
const unsigned char *cdp_key_decode_short(const unsigned char *p, struct cdp_buf *out);

/* A key as options name it: PATH[:time|:num][:desc][,PATH…]. */
struct cdp_keypart {
    struct cdp_path path;
    char *text; /* the path as given, for messages; owned */
    int slot;   /* in the plan */
    enum { CDP_KEY_VALUE, CDP_KEY_TIME, CDP_KEY_NUM } as;
    bool desc;
};

struct cdp_keyspec {
    struct cdp_keypart *part;
    size_t n;
};

enum cdp_key_missing { CDP_KEY_MISSING_ERROR, CDP_KEY_MISSING_NULL };

/* Parses the text and adds its paths to the plan.  -1 with exit status 2 on a bad one (and spec is empty). */
int cdp_keyspec_parse(struct cdp_keyspec *spec, const char *text, struct cdp_plan *plan, struct cdp_err *err);
void cdp_keyspec_free(struct cdp_keyspec *spec);

/* Appends the joined encoding of the key's parts, descending parts with every byte inverted.  fields are the scanner's.
 * :num takes numbers and strings that hold one (a JSON number, nothing around it).  Returns 0; 1 where a part is missing
 * or null and `missing` says that this is an error (*err names the path); -1 where a part cannot be used (exit 1: ":time"
 * on what is no time) or memory ran out (exit 3).  Unless it returns 0, nothing is appended. */
int cdp_keyspec_encode(const struct cdp_keyspec *spec, const struct cdp_val *fields,
                       enum cdp_key_missing missing, struct cdp_buf *out, struct cdp_err *err);

/* The key's identity without its order: a hash (cdp_hash) that is the same where cdp_keyspec_encode's bytes are, but for
 * directions.  Of a key that is one string, the commonest, no copy is made.  tmp: scratch, left as it was.  Returns what
 * cdp_keyspec_encode does. */
int cdp_keyspec_hash(const struct cdp_keyspec *spec, const struct cdp_val *fields,
                     enum cdp_key_missing missing, struct cdp_buf *tmp, struct cdp_hash128 *hash,
                     struct cdp_err *err);

#endif
