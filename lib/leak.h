/* leak: does a text look like somebody's e-mail address, phone number or card number?
 *
 * The rules are those of cdp-scrub(1), "LEAKS".  They look for what people and programs usually write, so that an
 * ordinary id, date, hash or coordinate is not taken for more than it is. */
#ifndef CDP_LEAK_H
#define CDP_LEAK_H

#include "lib/buf.h"
#include "lib/val.h"

enum cdp_leak { CDP_LEAK_EMAIL, CDP_LEAK_PHONE, CDP_LEAK_CARD, CDP_LEAK_KINDS };

/* A set of kinds, as bits 1 << kind. */
unsigned cdp_leak_text(const char *s, size_t n);

/* Looks at a value, and at all keys and values inside it, and adds 1 to counts[kind] for each string and number that
 * looks like one.  scratch is working memory (for strings with escapes). */
void cdp_leak_count(struct cdp_val v, struct cdp_buf *scratch, uint64_t counts[CDP_LEAK_KINDS]);

#endif
