/* emit: writes JSON into a buffer. */
#ifndef CDP_EMIT_H
#define CDP_EMIT_H

#include "lib/buf.h"
#include "lib/val.h"

#include <stdint.h>

/* A string with quotes: '"', '\' and controls escaped the short way, UTF-8 as it is, WTF-8 lone surrogates as \ud83d. */
void cdp_emit_string(struct cdp_buf *b, const char *s, size_t n);
void cdp_emit_cstr(struct cdp_buf *b, const char *s);

/* A raw value as it came; null where it is missing. */
void cdp_emit_val(struct cdp_buf *b, struct cdp_val v);

void cdp_emit_int(struct cdp_buf *b, int64_t i);
void cdp_emit_uint(struct cdp_buf *b, uint64_t u);

/* `"name":`, with a ',' before it unless the byte before is '{'. */
void cdp_emit_key(struct cdp_buf *b, const char *name, size_t n);

/* Bytes that may not be UTF-8: as base64 with quotes. */
void cdp_emit_base64(struct cdp_buf *b, const void *p, size_t n);

/* True where the bytes are well-formed UTF-8. */
bool cdp_emit_is_utf8(const char *p, size_t n);

#endif
