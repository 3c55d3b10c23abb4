/* utf8: well-formedness (RFC 3629) of a run of bytes. */
#ifndef CDP_UTF8_H
#define CDP_UTF8_H

#include <stddef.h>

/* The first byte of the first ill-formed sequence in [p, end), or NULL where there is none. */
const char *cdp_utf8_fault(const char *p, const char *end);

#endif
