/* name: file names in JSON.  A name is bytes; those that are not UTF-8 become lone surrogates \udc80 … \udcff, which is
 * legal JSON, and become the bytes again (Python's PEP 383). */
#ifndef CDP_NAME_H
#define CDP_NAME_H

#include "lib/buf.h"
#include "lib/val.h"

/* Appends the name as a JSON string. */
void cdp_name_emit(struct cdp_buf *b, const char *p, size_t n);

/* Appends the name that a JSON string stands for. */
void cdp_name_decode(struct cdp_val v, struct cdp_buf *out);

#endif
