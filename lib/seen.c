/* seen: see seen.h. */
#include "lib/seen.h"

#include "lib/atomic.h"
#include "lib/buf.h"
#include "lib/digest.h"
#include "lib/mem.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "cdp-seen 1 "
#define PIECE ((size_t)64 << 10) /* written at a time */

struct cdp_seen {
    const char *path;
    char *head; /* the file's first line */
    struct cdp_sort *more;
    uint64_t added;
    struct cdp_atomic *file; /* the new one */
    struct cdp_buf bytes;    /* on their way to it */
};

struct cdp_hash128 cdp_seen_hash(const void *key, size_t n)
{
    unsigned char digest[CDP_DIGEST_SIZE];
    struct cdp_hash128 h;
    cdp_digest(NULL, key, n, digest);
    memcpy(&h.hi, digest, 8);
    memcpy(&h.lo, digest + 8, 8);
    h.hi = be64toh(h.hi);
    h.lo = be64toh(h.lo);
    return h;
}

static int damaged(const struct cdp_seen *s, struct cdp_err *err)
{
    return cdp_err_set(err, CDP_EXIT_DATA, "%s: not a file of --seen, or a damaged one", s->path);
}

/* Who gets the keys. */
struct taker {
    int (*take)(void *arg, struct cdp_hash128 h, struct cdp_err *err);
    void *arg;
};

/* The keys between the head and the checksum, which is what is left in `piece` at the end. */
static int load_keys(struct cdp_seen *s, FILE *f, struct cdp_hash_stream *sum, const struct taker *to,
                     struct cdp_err *err)
{
    unsigned char piece[16];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) == sizeof piece) {
        uint64_t part[2];
        memcpy(part, piece, sizeof part);
        struct cdp_hash128 h = {be64toh(part[0]), be64toh(part[1])};
        cdp_hash_stream_add(sum, piece, sizeof piece);
        if (to->take(to->arg, h, err) < 0)
            return -1;
    }
    if (ferror(f))
        return cdp_err_errno(err, "%s: cannot read", s->path);
    uint64_t want;
    if (n != sizeof want)
        return damaged(s, err);
    memcpy(&want, piece, sizeof want);
    return be64toh(want) == cdp_hash_stream_end(sum) ? 0 : damaged(s, err);
}

static int load(struct cdp_seen *s, const struct taker *to, struct cdp_err *err)
{
    FILE *f = fopen(s->path, "re");
    if (!f)
        return errno == ENOENT ? 0 : cdp_err_errno(err, "%s: cannot open", s->path);
    struct cdp_hash_stream *sum = cdp_hash_stream_new();
    size_t n = strlen(s->head);
    char *head = cdp_mem_alloc(n, err);
    int rc = -1;
    if (!sum) {
        cdp_err_nomem(err, 0);
    } else if (head) {
        size_t got = fread(head, 1, n, f), version = strlen(VERSION);
        if (ferror(f)) {
            cdp_err_errno(err, "%s: cannot read", s->path);
        } else if (got < version || memcmp(head, VERSION, version) != 0) {
            damaged(s, err);
        } else if (got != n || memcmp(head, s->head, n) != 0) {
            cdp_err_set(err, CDP_EXIT_DATA, "%s: made with another key", s->path);
        } else {
            cdp_hash_stream_add(sum, head, n);
            rc = load_keys(s, f, sum, to, err);
        }
    }
    free(head);
    cdp_hash_stream_free(sum);
    fclose(f);
    return rc;
}

struct cdp_seen *cdp_seen_open(const char *path, const char *key,
                               int (*take)(void *arg, struct cdp_hash128 h, struct cdp_err *err), void *arg,
                               const struct cdp_sort_opts *opts, struct cdp_err *err)
{
    const struct taker to = {take, arg};
    struct cdp_seen *s = cdp_mem_zalloc(1, sizeof *s, err);
    if (!s)
        return NULL;
    s->path = path;
    struct cdp_buf head = {0};
    cdp_buf_addf(&head, VERSION "%s", key);
    for (size_t i = 0; i < head.len; i++)
        if (head.data[i] == '\n')
            head.data[i] = ' ';
    cdp_buf_add(&head, "\n", 2);
    s->head = head.data;
    if (cdp_buf_check(&head, err) < 0 || load(s, &to, err) < 0 || !(s->more = cdp_sort_new(opts, err)) ||
        !(s->file = cdp_atomic_open(path, err))) {
        cdp_seen_free(s);
        return NULL;
    }
    return s;
}

int cdp_seen_add(struct cdp_seen *s, struct cdp_hash128 h, struct cdp_err *err)
{
    uint64_t key[2] = {htobe64(h.hi), htobe64(h.lo)};
    return cdp_sort_add(s->more, 0, key, sizeof key, s->added++, "", 0, err);
}

static int flush(struct cdp_seen *s, struct cdp_err *err)
{
    size_t n = s->bytes.len;
    cdp_buf_clear(&s->bytes);
    return cdp_write_all(cdp_atomic_fd(s->file), s->bytes.data, n, s->path, err);
}

static int put(struct cdp_seen *s, struct cdp_hash_stream *sum, const void *p, size_t n, struct cdp_err *err)
{
    cdp_hash_stream_add(sum, p, n);
    cdp_buf_add(&s->bytes, p, n);
    if (cdp_buf_check(&s->bytes, err) < 0)
        return -1;
    return s->bytes.len < PIECE ? 0 : flush(s, err);
}

/* Both sources ascend and share no key. */
static int write_keys(struct cdp_seen *s, const struct cdp_set *set, struct cdp_hash_stream *sum,
                      struct cdp_err *err)
{
    struct cdp_sorted r;
    int rc = cdp_sort_finish(s->more, err) < 0 ? -1 : cdp_sort_next(s->more, &r, err);
    for (size_t i = 0; rc >= 0 && (i < set->used || rc == 1);) {
        uint64_t key[2] = {0};
        if (i < set->used) {
            key[0] = htobe64(set->slot[i].hi);
            key[1] = htobe64(set->slot[i].lo);
        }
        if (rc == 1 && (i == set->used || memcmp(r.key, key, sizeof key) < 0)) {
            if (put(s, sum, r.key, sizeof key, err) < 0)
                return -1;
            rc = cdp_sort_next(s->more, &r, err);
            continue;
        }
        if (put(s, sum, key, sizeof key, err) < 0)
            return -1;
        i++;
    }
    return rc;
}

int cdp_seen_save(struct cdp_seen *s, struct cdp_set *set, struct cdp_err *err)
{
    cdp_set_sort(set);
    struct cdp_hash_stream *sum = cdp_hash_stream_new();
    if (!sum)
        return cdp_err_nomem(err, 0);
    int rc = put(s, sum, s->head, strlen(s->head), err);
    if (rc == 0)
        rc = write_keys(s, set, sum, err);
    uint64_t check = htobe64(cdp_hash_stream_end(sum));
    cdp_hash_stream_free(sum);
    cdp_buf_add(&s->bytes, &check, sizeof check);
    if (rc < 0 || cdp_buf_check(&s->bytes, err) < 0 || flush(s, err) < 0)
        return -1;
    struct cdp_atomic *file = s->file;
    s->file = NULL;
    return cdp_atomic_commit(file, err);
}

void cdp_seen_free(struct cdp_seen *s)
{
    if (!s)
        return;
    cdp_sort_free(s->more);
    cdp_atomic_abort(s->file);
    cdp_buf_free(&s->bytes);
    free(s->head);
    free(s);
}
