/* state: what of a set of files has been read, from run to run: NDJSON, one record a file, by path.
 *
 *     {"format":"cdp-cat state","version":1}
 *     {"path":…,"size":120,"mtime":"1770307380.123456789","read":117,"lines":3,"head":"…","tail":"…"}
 *
 * Of a plain file, `read` is where the next run goes on when the file has grown: behind the last newline that was there.
 * Whether it is the same file, only longer, is seen from the XXH3 of the first and of the last 4 KiB before that place.
 * Of any other file (packed, an archive) `read` is null and a change of size or time means reading it again. */
#ifndef CDP_STATE_H
#define CDP_STATE_H

#include "lib/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct cdp_state_file {
    char *path;
    uint64_t size;
    int64_t sec; /* of the last modification */
    uint32_t nsec;
    bool plain;
    uint64_t read, lines; /* bytes that are done with, whole lines, and how many */
    uint64_t head, tail;  /* hashes */
    bool old;             /* replaced by this run's */
};

struct cdp_state {
    struct cdp_state_file *file;
    size_t n, cap;
    size_t sorted; /* the first so many, of the state that was loaded, are in the order of their paths */
};

/* Loads a state; a file that does not exist is an empty one. */
int cdp_state_load(struct cdp_state *s, const char *path, struct cdp_err *err);

enum cdp_state_verdict { CDP_STATE_SAME, CDP_STATE_NEW, CDP_STATE_GROWN };

/* Compares a regular file with the state: *now is what is known of it before it is read (path is borrowed): with
 * CDP_STATE_GROWN, `read` and `lines` say where to go on, `head` and `tail` what was read before.  A cdp_state_verdict, or
 * -1. */
int cdp_state_judge(const struct cdp_state *s, const char *path, const struct stat *st,
                    struct cdp_state_file *now, struct cdp_err *err);

/* Bytes of a file as they were when they were read. */
struct cdp_state_piece {
    uint64_t at;
    size_t n;
    uint64_t hash;
};

/* At most 4 KiB of the n bytes at p, which stand at `at` in their file: the first of them, or the last. */
struct cdp_state_piece cdp_state_first(const char *p, size_t n, uint64_t at);
struct cdp_state_piece cdp_state_last(const char *p, size_t n, uint64_t at);

/* Notes a file that was read from `from` on: plain, read and lines are set by now.  A plain file of which the path is not
 * the one any more (replaced, rewritten or gone while the run went on; seen from head and tail of what was before `from` and
 * from two pieces of what was read, n 0 for none) is not noted but forgotten: the next run reads it whole. */
int cdp_state_note(struct cdp_state *s, const struct cdp_state_file *now, uint64_t from,
                   const struct cdp_state_piece piece[2], struct cdp_err *err);

/* The next run is to read a file whole. */
void cdp_state_forget(struct cdp_state *s, const char *path);

/* Writes the state atomically: files noted, and those of the old state that still exist. */
int cdp_state_save(struct cdp_state *s, const char *path, struct cdp_err *err);

void cdp_state_free(struct cdp_state *s);

#endif
