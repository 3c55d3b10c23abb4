/* part: a stream of lines → a partitioned dataset of gzip files of bounded size.
 *
 * In turn, cdp_part_add copies each line to its partition's current piece (PIECE bytes); full pieces become jobs, which
 * cdp_part_work packs and writes in parallel.  Where pieces and files end depends on the partition's own lines alone, so the
 * same input gives the same bytes whatever the threads and memory.  When open pieces pass the memory limit they are put
 * aside in an unnamed temporary file.  Memory: about 1300 bytes a partition, opts.memory of open pieces, as much of those that
 * wait to be packed, and a few pieces a thread.  No file is kept open.
 *
 * Everything is written below DIR/.cdp-part.new, under a lock on the dataset, and moved into place by cdp_part_commit: a
 * partition's new directory is exchanged with the old one (renameat2, RENAME_EXCHANGE), which a reader sees whole or not at
 * all.  A file's name has the digest of its content, so who opens files by name gets none of another version.  Before the first
 * exchange the list of them is written down; a run that finds such a list finishes the work of the killed run, one that
 * finds none throws its files away.  A signal that ends a run before there is a list removes them at once. */
#ifndef CDP_PART_H
#define CDP_PART_H

#include "lib/buf.h"
#include "lib/hash.h"
#include "lib/time.h"

#include <stdbool.h>
#include <stdint.h>

enum cdp_part_mode {
    CDP_PART_NEW,     /* a partition that is there already is an error (exit 1) */
    CDP_PART_APPEND,  /* its files stay and new ones follow them */
    CDP_PART_REPLACE, /* its files go */
};

struct cdp_part_opts {
    const char *dir; /* made where it is missing */
    enum cdp_part_mode mode;
    uint64_t records, bytes; /* at most, of a file (bytes: unpacked; a longer line has a file of its own) */
    uint64_t memory;         /* bytes of open pieces */
    const char *tmpdir;
    const char *manifest, *touched; /* files to write, or NULL */
};

struct cdp_part;

/* Locks the dataset and ends what a killed run left.  Another run at work on it is an error (exit 3). */
struct cdp_part *cdp_part_open(const struct cdp_part_opts *opts, struct cdp_err *err);

/* One line (with its '\n') for the partition `path` ("a=1/b=2"; hash: cdp_hash of it).  time: of the record, NULL for none.
 * In turn. */
int cdp_part_add(struct cdp_part *p, const char *path, size_t path_len, struct cdp_hash128 hash,
                 const char *line, size_t len, const struct cdp_time *time, struct cdp_err *err);

/* Packs and writes pieces that are full until none is left.  By any number of threads at a time. */
int cdp_part_work(struct cdp_part *p, struct cdp_err *err);

/* No more lines: the last pieces, on `threads` threads. */
int cdp_part_finish(struct cdp_part *p, unsigned threads, struct cdp_err *err);

/* Moves the partitions into place and writes manifest and list. */
int cdp_part_commit(struct cdp_part *p, struct cdp_err *err);

/* Frees all; without a commit, removes what was written. */
void cdp_part_free(struct cdp_part *p);

/* Appends `name=value` as Spark names the directories of a partition: control characters and "#%'*:=?/\{[]^ and DEL as
 * %XX, everything else raw; null, missing and the empty string are __HIVE_DEFAULT_PARTITION__; a number in its shortest
 * form.  -1 (exit 1): an array or object, or a name longer than 255 bytes.
 * (ExternalCatalogUtils.escapePathName and getPartitionPathString in Apache Spark.) */
int cdp_part_name(struct cdp_buf *out, const char *name, struct cdp_val value, struct cdp_err *err);

#endif
