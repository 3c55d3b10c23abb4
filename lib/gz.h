/* gz: gzip (RFC 1952) through ISA-L, zlib where ISA-L is missing at build time. */
#ifndef CDP_GZ_H
#define CDP_GZ_H

#include "lib/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Unpacking: a pull reader over a pull source.  All members are read as one stream; zero padding after the last is
 * allowed.  The CRC and length of each member are checked. */
struct cdp_gunzip;

/* The source: bytes into buf, 0 at the end, -1 and *err.  Called only when more input is needed. */
typedef ssize_t cdp_read_fn(void *source, void *buf, size_t n, struct cdp_err *err);

struct cdp_gunzip *cdp_gunzip_new(cdp_read_fn *read, void *source, struct cdp_err *err);

/* Unpacked bytes, 0 at the end.  -1: "truncated gzip stream" (the end came inside a member), "trailing garbage
 * after a gzip member", "corrupt gzip data", or the source's error; all but the last with exit status 1. */
ssize_t cdp_gunzip_read(struct cdp_gunzip *g, void *buf, size_t n, struct cdp_err *err);
void cdp_gunzip_free(struct cdp_gunzip *g);

/* Packing: one call, one whole gzip member (deterministic: no time, no name) appended to out. */
int cdp_gzip(const void *p, size_t n, struct cdp_buf *out, struct cdp_err *err);

/* Packing one member in pieces, by several threads at a time: the pieces' packed bytes, joined in order behind the head
 * and before the tail, are one member.  last: no piece follows.  *crc is the piece's CRC-32, to be joined with
 * cdp_gzip_crc_join.  A packer belongs to one thread. */
struct cdp_gzip_packer;
struct cdp_gzip_packer *cdp_gzip_packer_new(struct cdp_err *err);
void cdp_gzip_packer_free(struct cdp_gzip_packer *z);
int cdp_gzip_piece(struct cdp_gzip_packer *z, const void *p, size_t n, bool last, struct cdp_buf *out,
                   uint32_t *crc, struct cdp_err *err);
void cdp_gzip_head(struct cdp_buf *out);
void cdp_gzip_tail(uint32_t crc, uint64_t bytes, struct cdp_buf *out);
uint32_t cdp_gzip_crc_join(uint32_t crc, uint32_t next, uint64_t next_bytes);

/* Packing a stream, of which the pieces come one by one; the packed bytes are appended to out as they are made. */
struct cdp_gzip_stream;
struct cdp_gzip_stream *cdp_gzip_stream_new(struct cdp_err *err);
int cdp_gzip_stream_add(struct cdp_gzip_stream *z, const void *p, size_t n, struct cdp_buf *out,
                        struct cdp_err *err);
int cdp_gzip_stream_end(struct cdp_gzip_stream *z, struct cdp_buf *out,
                        struct cdp_err *err); /* and ready anew */
void cdp_gzip_stream_free(struct cdp_gzip_stream *z);

#endif
