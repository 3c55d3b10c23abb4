/* hll: HyperLogLog sketches in the storage format v1 of postgresql-hll.
 *
 * A sketch is the list of its elements' hashes while there are few (explicit), then 2^log2m registers, which are packed
 * as (index, value) pairs while that is smaller (sparse) and as all values after (full).  Adding and uniting give the same
 * sketch, and the same bytes, in any order. */
#ifndef CDP_HLL_H
#define CDP_HLL_H

#include "lib/buf.h"

#include <stdint.h>

#define CDP_HLL_LOG2M 11   /* postgresql-hll's defaults: 2,048 registers, a standard error of 2.3 % */
#define CDP_HLL_REGWIDTH 5 /* bits of a register */
#define CDP_HLL_MIN_LOG2M 4
#define CDP_HLL_MAX_LOG2M 17 /* what postgresql-hll holds in memory */

struct cdp_hll {
    uint64_t *elem;   /* explicit: hashes in ascending order, as signed numbers */
    uint8_t *reg;     /* a register a byte, once there are too many to list; then elem is NULL */
    uint32_t n, cap;  /* of elem */
    uint8_t log2m;    /* CDP_HLL_MIN_LOG2M … CDP_HLL_MAX_LOG2M */
    uint8_t regwidth; /* 1 … 8 */
    uint8_t cutoff;   /* the format's cutoff byte: sparse allowed, greatest explicit size */
};

/* An empty sketch with the format's automatic cutoffs.  It allocates nothing yet. */
void cdp_hll_init(struct cdp_hll *h, unsigned log2m, unsigned regwidth);
void cdp_hll_free(struct cdp_hll *h);

/* Adds a hash.  0, or -1 where memory ran out. */
int cdp_hll_add(struct cdp_hll *h, uint64_t hash, struct cdp_err *err);

/* Makes h the union of both.  -1: memory (3), or sketches of different parameters (1). */
int cdp_hll_union(struct cdp_hll *h, const struct cdp_hll *other, struct cdp_err *err);

/* The estimated number of distinct hashes. */
double cdp_hll_cardinality(const struct cdp_hll *h);

/* The storage format: appended to out; and back (*h need not be initialised; on failure it is empty). -1: exit 1 where
 * the bytes are no sketch of schema version 1, 3 for memory. */
void cdp_hll_pack(const struct cdp_hll *h, struct cdp_buf *out);
int cdp_hll_unpack(struct cdp_hll *h, const void *bytes, size_t n, struct cdp_err *err);

/* The same as PostgreSQL shows it: \x and hexadecimal digits, small ones; either case is read. */
void cdp_hll_format(const struct cdp_hll *h, struct cdp_buf *out);
int cdp_hll_parse(struct cdp_hll *h, const char *text, size_t n, struct cdp_err *err);

/* Bytes on the heap. */
size_t cdp_hll_bytes(const struct cdp_hll *h);

/* The hash that hll_hash_text, hll_hash_bytea and (of its 8 bytes, little endian) hll_hash_bigint give:
 * the first 64 bits of MurmurHash3 x64 128. */
uint64_t cdp_hll_hash(const void *p, size_t n, uint32_t seed);
uint64_t cdp_hll_hash_int(int64_t i, uint32_t seed);

#endif
