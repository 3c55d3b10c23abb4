/* sort_run: sorted runs in temporary files (a part of sort, and of what else spills records in order).
 *
 * A run is written once, front to back, and then read by any number of readers at the same time, each from its own
 * place.  The file has no name, so it is gone with the process. */
#ifndef CDP_SORT_RUN_H
#define CDP_SORT_RUN_H

#include "lib/buf.h"
#include "lib/sort.h"
#include "lib/sort_entry.h"

/* Whether frames are compressed; kept from run to run by one writer at a time, because it learns how fast the device
 * takes bytes.  Zero-initialise, then set mode. */
struct cdp_run_policy {
    enum cdp_sort_pack mode;
    bool pack;                      /* what AUTO has decided */
    unsigned frames;                /* written since the last trial */
    uint64_t write_ns, write_bytes; /* measured, older ones fading */
};

/* A place in the file from which reading may begin: the first record of a frame. */
struct cdp_run_point {
    uint64_t offset, seq;
    uint32_t key_len;
    unsigned char key[108];
};

/* The beginning of a key. */
struct cdp_run_edge {
    uint32_t len;
    unsigned char key[60];
};

struct cdp_run {
    int fd;
    unsigned level; /* merges that its records went through */
    uint64_t bytes; /* in the file */
    struct cdp_run_edge first, last;
    size_t frame;                /* bytes of the largest frame: what a reader's buffer needs */
    bool packed;                 /* some frames are: a reader needs as much again */
    struct cdp_run_point *point; /* about evenly spread, in order */
    size_t points;
};

struct cdp_run_writer;

/* A new run in dir.  frame: aimed-at bytes of a frame; points: the most places to remember (2 or more).  NULL and *err. */
struct cdp_run_writer *cdp_run_create(const char *dir, size_t frame, size_t points,
                                      struct cdp_run_policy *policy, struct cdp_err *err);

/* Adds a record, which must not come before the last one. */
int cdp_run_add(struct cdp_run_writer *w, const struct cdp_sorted *r, struct cdp_err *err);

/* Ends the run and frees the writer.  NULL and *err. */
struct cdp_run *cdp_run_finish(struct cdp_run_writer *w, struct cdp_err *err);
void cdp_run_abandon(struct cdp_run_writer *w); /* NULL is allowed */

/* Bytes that all keys of these n > 0 runs share, as far as edges tell. */
size_t cdp_run_common(struct cdp_run *const *run, size_t n);

void cdp_run_free(struct cdp_run *run); /* NULL is allowed */

/* Memory that one reader of each of n runs takes. */
size_t cdp_run_list_cost(struct cdp_run *const *run, size_t n);

struct cdp_run_reader;

/* Begins at the first record that is not before `from` (NULL: at the first). */
struct cdp_run_reader *cdp_run_open(const struct cdp_run *run, const struct cdp_split *from,
                                    struct cdp_err *err);

/* The next record: 1 and *r (valid until the next call), 0 at the end, -1 and *err. */
int cdp_run_next(struct cdp_run_reader *rd, struct cdp_sorted *r, struct cdp_err *err);
void cdp_run_close(struct cdp_run_reader *rd); /* NULL is allowed */

#endif
