/* mem: memory.  Every allocation of lib goes through here and is checked here. */
#ifndef CDP_MEM_H
#define CDP_MEM_H

#include "lib/err.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes that must be readable (with any content) behind text that is given to the scanner (lib/scan): whoever reads
 * text allocates them. */
#define CDP_PAD 64

/* malloc, calloc and realloc that fill *err.  NULL on failure; a failed resize leaves the old block as it
 * was.  Freed with free(3).  A size of 0 gives a block that can be freed. */
void *cdp_mem_alloc(size_t size, struct cdp_err *err);
void *cdp_mem_zalloc(size_t count, size_t size, struct cdp_err *err);
void *cdp_mem_resize(void *old, size_t size, struct cdp_err *err);

/* What one thread writes again and again lies in no cache line that another uses: a line that two cores want is fetched anew for
 * each write.  Two lines of 64 bytes, as processors fetch them in pairs. */
#define CDP_APART 128

/* Zeroed memory that shares no such line; otherwise as cdp_mem_zalloc. */
void *cdp_mem_zalloc_apart(size_t count, size_t size, struct cdp_err *err);

char *cdp_mem_strndup(const char *s, size_t n, struct cdp_err *err);

/* Grows an array geometrically: afterwards *cap >= need elements of `size` bytes.  Returns the array
 * (moved, perhaps), or NULL with the old one left as it was. */
void *cdp_mem_grow_more(void *array, size_t *cap, size_t need, size_t size, struct cdp_err *err);
static inline void *cdp_mem_grow(void *array, size_t *cap, size_t need, size_t size, struct cdp_err *err)
{
    return need <= *cap && array ? array : cdp_mem_grow_more(array, cap, need, size, err);
}

/* A large zeroed region of anonymous memory on huge pages where the kernel has them; whole pages are
 * touched only when used.  Returned to the kernel by cdp_mem_unmap with the same size. */
void *cdp_mem_map(size_t size, struct cdp_err *err);
void cdp_mem_unmap(void *p, size_t size);

/* The same for a table that is about to be filled in no order: where it is too small for huge pages, all its pages are there at
 * once, instead of each on a fault of its own for the first look and another for the first write. */
void *cdp_mem_map_table(size_t size, struct cdp_err *err);

/* Bytes of physical memory this process may hope for: the machine's, or the cgroup's or RLIMIT_AS's limit
 * where that is lower. */
uint64_t cdp_mem_available(void);

/* Peak resident set of the process so far, in bytes. */
uint64_t cdp_mem_peak(void);

#endif
