/* latest_impl: what the parts of latest share: entries and the lines they stand for. */
#ifndef CDP_LATEST_IMPL_H
#define CDP_LATEST_IMPL_H

#include "lib/latest.h"
#include "lib/sort.h"
#include "lib/sort_entry.h"

/* Behind it: the key · a struct cdp_entry_head · the order · the line, unless that lies in a file.  The head is what
 * lib/sort_entry sorts by; its seq says where the line is. */
struct cdp_latest_entry {
    uint64_t tag; /* of the hash */
    int64_t sec;  /* the change's time */
    uint32_t nsec;
    uint32_t key_len, order_len;
    uint32_t room : 30; /* of the entry in the arena, in units of 8 bytes */
    uint32_t gone : 1;  /* a delete: no row */
    uint32_t dead : 1;  /* superseded by another entry */
};

#define CDP_LATEST_HERE UINT64_MAX          /* the line is in the arena */
#define CDP_LATEST_BARE (UINT64_C(1) << 47) /* in the file it has no newline */
#define CDP_LATEST_AT (CDP_LATEST_BARE - 1) /* offset in the file; its number is in the 16 bits above */
#define CDP_LATEST_MAX_FILES 256

struct cdp_latest_slot {
    uint64_t tag;
    uint64_t at; /* offset in the arena + 1; 0: empty */
};

struct cdp_latest_file {
    int fd;
    char *name;
};

struct cdp_latest {
    struct cdp_latest_opts opts;
    char *arena;
    size_t arena_size, used, dead;
    size_t limit; /* of arena, slots and the index for writing together */
    struct cdp_latest_slot *slot;
    size_t slots, entries;
    unsigned shift;
    struct cdp_latest_file file[CDP_LATEST_MAX_FILES]; /* that entries point into */
    unsigned files, max_files;
    const struct cdp_block *block;
    bool in_file; /* lines of the block are in the last file */
    struct cdp_sort *spill;
    uint64_t spilled;
    struct cdp_buf pack;
};

static inline struct cdp_latest_entry *cdp_latest_at(const struct cdp_latest *l, uint64_t at)
{
    return (struct cdp_latest_entry *)(void *)(l->arena + at - 1);
}

static inline char *cdp_latest_key(struct cdp_latest_entry *e)
{
    return (char *)(e + 1);
}

static inline char *cdp_latest_order(struct cdp_latest_entry *e)
{
    return cdp_latest_key(e) + e->key_len + sizeof(struct cdp_entry_head);
}

static inline struct cdp_entry_head cdp_latest_head(struct cdp_latest_entry *e)
{
    struct cdp_entry_head head;
    memcpy(&head, cdp_latest_key(e) + e->key_len, sizeof head);
    return head;
}

static inline int cdp_latest_compare(const char *a, size_t an, const char *b, size_t bn)
{
    int order = memcmp(a, b, an < bn ? an : bn);
    return order ? order : (an > bn) - (an < bn);
}

static inline bool cdp_latest_is_row(bool gone, struct cdp_time time, const struct cdp_time *since)
{
    return !gone || (since && cdp_time_cmp(time, *since) >= 0);
}

/* Copies n bytes of a file; where is as in the head of an entry. */
int cdp_latest_read(const struct cdp_latest *l, uint64_t where, char *to, size_t n, struct cdp_err *err);

/* Copies the entry's line to `to`, head.len bytes with its end. */
int cdp_latest_line(const struct cdp_latest *l, struct cdp_latest_entry *e, char *to, struct cdp_err *err);

/* Complains of a line that does not end where it did. */
int cdp_latest_changed(const struct cdp_latest *l, uint64_t where, struct cdp_err *err);

/* Hands all entries to the sorter and empties the table. */
int cdp_latest_spill(struct cdp_latest *l, struct cdp_err *err);

/* What stands before the line in a spilled record's payload; its key is key · order. */
struct cdp_latest_spilled {
    struct cdp_time time;
    uint32_t key_len;
    bool gone;
};

#endif
