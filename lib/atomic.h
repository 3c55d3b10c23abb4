/* atomic: files that are either the old one or the whole new one, and temporary files that never stay behind.
 *
 * A new file is written without a name (O_TMPFILE) in the target's directory, synced, and linked as the target; where there
 * is one already, under a temporary name, and renamed over it; where the file system has no O_TMPFILE, it has the temporary
 * name from the start.  Named temporaries are on a list that the signal handlers walk; kill -9 leaves at most one name of the
 * pattern ".NAME.cdp-XXXXXX", which the next run with this target removes, and cdp_atomic_sweep. */
#ifndef CDP_ATOMIC_H
#define CDP_ATOMIC_H

#include "lib/err.h"

#include <signal.h>
#include <stdbool.h>

struct cdp_atomic;

/* Opens a new file that will be or replace `path` (the file it points to or would point to, where it is a symbolic link), with
 * the old one's permissions where there is one.  A device, a pipe and a descriptor (/dev/null, /dev/stdout, whatever that
 * is) are written in place. */
struct cdp_atomic *cdp_atomic_open(const char *path, struct cdp_err *err);
int cdp_atomic_fd(const struct cdp_atomic *a);

/* fsync, rename over the target, fsync the directory; frees a.  -1 and *err leaves the old file as it was. */
int cdp_atomic_commit(struct cdp_atomic *a, struct cdp_err *err);

/* Forgets the new file; frees a.  NULL is allowed. */
void cdp_atomic_abort(struct cdp_atomic *a);

/* An unnamed temporary file for spilled data, read and write, in dir (NULL: $TMPDIR, else /tmp).  The descriptor is
 * the caller's to close.  -1 and *err. */
int cdp_temp_open(const char *dir, struct cdp_err *err);

/* Removes temporaries of dead runs (pattern above, not held by a living process) from a directory. */
int cdp_atomic_sweep(const char *dir, struct cdp_err *err);

/* A directory of temporary files that is this process's alone: until cdp_atomic_unguard (NULL is allowed), which leaves it as it
 * is, the signal handlers remove it with all that is in it.  NULL and *err. */
struct cdp_atomic *cdp_atomic_guard(const char *dir, struct cdp_err *err);
void cdp_atomic_unguard(struct cdp_atomic *a);

/* Names in a guarded directory are made, and what decides whether it is guarded changes, between these two: the handlers wait
 * for who is inside, and who comes after a signal never gets in.  Any number of threads may be inside; briefly, and not twice.
 * old: the caller's, for the signal mask. */
void cdp_atomic_enter(sigset_t *old);
void cdp_atomic_leave(const sigset_t *old);

/* Installs the handlers for SIGHUP, SIGINT, SIGTERM and SIGPIPE (left alone where they are ignored): remove the
 * named temporaries and the guarded directories, then die of the signal.  Called once by cdp_flow_begin. */
void cdp_atomic_signals(void);

/* Writes all n bytes (short writes and EINTR handled).  name is for the message. */
int cdp_write_all(int fd, const void *p, size_t n, const char *name, struct cdp_err *err);

/* Reads a whole file into *data (NUL-terminated, *n without the NUL; free(3)).  NULL path or "-" is standard input. */
int cdp_read_file(const char *path, char **data, size_t *n, struct cdp_err *err);

#endif
