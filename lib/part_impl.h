/* part_impl: what part.c and part_commit.c share; nobody else includes it. */
#ifndef CDP_PART_IMPL_H
#define CDP_PART_IMPL_H

#include "lib/part.h"

#include <pthread.h>

struct cdp_atomic;
struct cdp_gzip_packer;
struct cdp_out;

/* Bytes of one piece that lie in the temporary file. */
struct part_extent {
    uint64_t at;
    uint32_t len;
};

/* A packed piece that waits for those before it. */
struct part_packed {
    struct cdp_buf data;
    uint64_t number, raw;
    uint32_t crc;
    bool last;
    struct part_packed *next;
};

/* A file of the new dataset.  Its lines are counted in turn; the rest is under the part's lock. */
struct part_file {
    char *path; /* below the staging directory; its name lacks the digest until it is complete */
    uint64_t records, bytes, file_bytes, pieces;
    struct cdp_time min, max;
    bool timed;
    struct cdp_hash_stream *sum;
    uint64_t digest;
    /* writing */
    uint64_t next; /* piece to be written */
    uint32_t crc;
    bool busy; /* a thread is writing it */
    struct part_packed *waiting;
};

struct part_partition {
    char *path;
    struct cdp_hash128 hash;
    struct cdp_buf piece; /* the open piece, but for what was put aside before it */
    struct part_extent *aside;
    size_t asides, aside_cap;
    uint64_t aside_bytes;
    struct part_file *file; /* the open file, NULL between files */
    unsigned number;        /* of the next file */
};

/* A piece to be packed: what was put aside of it, then data.  Owns both. */
struct part_job {
    struct part_file *file;
    struct part_extent *aside;
    size_t asides;
    uint64_t aside_bytes;
    struct cdp_buf data;
    uint64_t number;
    bool last;
};

struct cdp_part {
    struct cdp_part_opts opts;
    int lock_fd;
    char *staging;             /* DIR/.cdp-part.new */
    struct cdp_atomic *staged; /* guards it; NULL while it is not there, or the journal's */
    struct cdp_out *manifest, *touched;

    struct part_partition *partition;
    size_t partitions, partition_cap;
    uint32_t *index; /* hash table of partition numbers + 1 */
    size_t slots;
    struct part_file **file; /* all files, in the order in which they were begun */
    size_t files, file_cap;
    uint64_t buffered; /* bytes that open pieces take up */
    int spill_fd;
    uint64_t spilled;

    pthread_mutex_t lock; /* of what follows, and of the files' writing */
    struct part_job *job;
    size_t jobs, job_cap;
    struct cdp_buf *spare; /* empty buffers to use again */
    size_t spares, spare_cap;
    struct cdp_gzip_packer **packer;
    size_t packers, packer_cap;
};

#define CDP_PART_SUFFIX ".ndjson.gz"

/* part_commit.c */
int cdp_part_stage(struct cdp_part *p, struct cdp_err *err);
int cdp_part_first_number(struct cdp_part *p, const char *path, unsigned *number, struct cdp_err *err);
int cdp_part_append_file(struct cdp_part *p, struct part_file *f, const struct cdp_buf *data,
                         struct cdp_err *err);
int cdp_part_name_file(struct cdp_part *p, struct part_file *f, struct cdp_err *err);
void cdp_part_unstage(struct cdp_part *p);

#endif
