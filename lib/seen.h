/* seen: a set of keys carried from run to run in a file.
 *
 * The file: one line "cdp-seen 1 KEY\n" (KEY as the option names it: a set made by another key is refused), then 16 bytes a
 * key, ascending, then the XXH3-64 of all that, big-endian.  A key is the first 16 bytes of the SHA-256 of its encoding
 * (lib/key.h): the same on every machine, and nobody can make two keys collide, though the file holds no secret.
 * The same keys give the same bytes. */
#ifndef CDP_SEEN_H
#define CDP_SEEN_H

#include "lib/sort.h"
#include "lib/table.h"

struct cdp_seen;

/* The identity that belongs to such a set. */
struct cdp_hash128 cdp_seen_hash(const void *key, size_t n);

/* Gives the file's keys (none where there is no file) to `take` and begins the new one, so that it is known now that there
 * can be one.  path must outlive it; the file is never packed, whatever its name.  opts: of the sorter for keys that are not
 * in memory at the end.  NULL and *err: that of take, unreadable or no place for a file (3), damaged or of another key
 * (1). */
struct cdp_seen *cdp_seen_open(const char *path, const char *key,
                               int (*take)(void *arg, struct cdp_hash128 h, struct cdp_err *err), void *arg,
                               const struct cdp_sort_opts *opts, struct cdp_err *err);

/* A key, of this run or of the file, that is not in the set given to cdp_seen_save. */
int cdp_seen_add(struct cdp_seen *s, struct cdp_hash128 h, struct cdp_err *err);

/* Replaces the file by the set's keys and the added ones; the set can only be freed after that. */
int cdp_seen_save(struct cdp_seen *s, struct cdp_set *set, struct cdp_err *err);

void cdp_seen_free(struct cdp_seen *s);

#endif
