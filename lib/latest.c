/* latest: see latest.h.
 *
 * Slots: linear probing over {64 bits of the hash, where the entry is}, at most three quarters full.  Arena: one reserved
 * region, filled from the front; an entry that no longer fits where it was moves to the end.  A full arena of which a third is
 * dead is compacted, else it is spilled. */
#include "lib/latest.h"

#include "lib/mem.h"
#include "lib/sort.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILES 256
#define FIRST_SLOTS ((size_t)1 << 14)
#define RANGE ((size_t)1 << 20) /* bytes of output that a thread gathers at a time */
#define SORTER_SHARE 4          /* of the memory, for a spill that may come */

/* An entry; key, order and, unless it is in a file, the line follow. */
struct entry {
    uint64_t tag; /* of the hash */
    uint64_t at;  /* of the line in its file */
    struct cdp_time time;
    uint32_t key_len, order_len, len;
    uint32_t room; /* bytes of the entry in the arena, a multiple of 8 */
    int16_t file;  /* -1: the line is here */
    bool gone, dead;
    bool bare; /* the line in the file has no newline */
};

struct slot {
    uint64_t tag;
    uint64_t at; /* offset in the arena + 1; 0: empty */
};

struct cdp_latest {
    struct cdp_latest_opts opts;
    char *arena;
    size_t arena_size, used, dead;
    struct slot *slot;
    size_t slots, entries;
    unsigned shift;
    int fd[MAX_FILES]; /* files that entries point into */
    unsigned files;
    uint32_t source; /* the block source that fd[files-1] belongs to */
    bool have_source;
    struct cdp_sort *spill;
    uint64_t spilled;
    struct cdp_buf pack;
};

static char *key_of(struct entry *e)
{
    return (char *)(e + 1);
}

static char *order_of(struct entry *e)
{
    return key_of(e) + e->key_len;
}

static char *line_of(struct entry *e)
{
    return order_of(e) + e->order_len;
}

static struct entry *entry_at(const struct cdp_latest *l, uint64_t at)
{
    return (struct entry *)(void *)(l->arena + at - 1);
}

struct cdp_latest *cdp_latest_new(const struct cdp_latest_opts *opts, struct cdp_err *err)
{
    struct cdp_latest *l = cdp_mem_zalloc(1, sizeof *l, err);
    if (!l)
        return NULL;
    l->opts = *opts;
    l->arena_size = (size_t)(opts->memory / SORTER_SHARE * 2) & ~(size_t)7;
    if (l->arena_size < (size_t)256 << 10)
        l->arena_size = (size_t)256 << 10;
    l->slots = FIRST_SLOTS;
    l->shift = 64 - 14;
    l->arena = cdp_mem_map(l->arena_size, err);
    l->slot = l->arena ? cdp_mem_map(l->slots * sizeof *l->slot, err) : NULL;
    if (!l->slot) {
        cdp_latest_free(l);
        return NULL;
    }
    return l;
}

void cdp_latest_free(struct cdp_latest *l)
{
    if (!l)
        return;
    cdp_mem_unmap(l->arena, l->arena_size);
    cdp_mem_unmap(l->slot, l->slots * sizeof *l->slot);
    cdp_sort_free(l->spill);
    for (unsigned i = 0; i < l->files; i++)
        close(l->fd[i]);
    cdp_buf_free(&l->pack);
    free(l);
}

void cdp_latest_next_input(struct cdp_latest *l)
{
    l->have_source = false;
}

/* ---- lines ---- */

static int read_again(int fd, char *to, size_t n, uint64_t at, struct cdp_err *err)
{
    while (n) {
        ssize_t got = pread(fd, to, n, (off_t)at);
        if (got == 0)
            return cdp_err_set(err, CDP_EXIT_IO, "an input file became shorter while it was read");
        if (got < 0 && errno != EINTR)
            return cdp_err_errno(err, "cannot read an input file again");
        if (got > 0) {
            to += got;
            at += (uint64_t)got;
            n -= (size_t)got;
        }
    }
    return 0;
}

/* Copies the entry's line to `to`, e->len bytes. */
static int fetch(const struct cdp_latest *l, struct entry *e, char *to, struct cdp_err *err)
{
    if (e->file < 0) {
        memcpy(to, line_of(e), e->len);
        return 0;
    }
    if (e->bare)
        to[e->len - 1] = '\n';
    return read_again(l->fd[e->file], to, e->len - e->bare, e->at, err);
}

/* The file number for lines of the block, -1 where they have to be kept. */
static int file_of(struct cdp_latest *l, const struct cdp_block *block)
{
    if (block->fd < 0)
        return -1;
    if (l->have_source && l->source == block->source)
        return (int)l->files - 1;
    int fd = l->files < MAX_FILES ? fcntl(block->fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (fd < 0)
        return -1;
    l->fd[l->files++] = fd;
    l->source = block->source;
    l->have_source = true;
    return (int)l->files - 1;
}

/* ---- the table ---- */

void cdp_latest_prefetch(const struct cdp_latest *l, struct cdp_hash128 hash)
{
    __builtin_prefetch(&l->slot[hash.hi >> l->shift]);
}

static struct slot *find(const struct cdp_latest *l, uint64_t tag, const char *key, uint32_t key_len)
{
    size_t i = tag >> l->shift, mask = l->slots - 1;
    for (; l->slot[i].at; i = (i + 1) & mask) {
        if (l->slot[i].tag != tag)
            continue;
        struct entry *e = entry_at(l, l->slot[i].at);
        if (e->key_len == key_len && memcmp(key_of(e), key, key_len) == 0)
            break;
    }
    return &l->slot[i];
}

static int grow(struct cdp_latest *l, struct cdp_err *err)
{
    size_t slots = l->slots * 2;
    struct slot *old = l->slot, *slot = cdp_mem_map(slots * sizeof *slot, err);
    if (!slot)
        return -1;
    l->shift--;
    for (size_t i = 0; i < l->slots; i++) {
        if (!old[i].at)
            continue;
        size_t to = old[i].tag >> l->shift;
        while (slot[to].at)
            to = (to + 1) & (slots - 1);
        slot[to] = old[i];
    }
    cdp_mem_unmap(old, l->slots * sizeof *old);
    l->slot = slot;
    l->slots = slots;
    return 0;
}

static size_t need(const struct cdp_latest_item *item, bool in_file)
{
    size_t n = sizeof(struct entry) + item->key_len + item->order_len + (in_file ? 0 : item->len);
    return (n + 7) & ~(size_t)7;
}

static void fill(struct entry *e, size_t room, const struct cdp_latest_item *item,
                 const struct cdp_block *block, int file)
{
    *e = (struct entry){.tag = item->hash.hi,
                        .time = item->time,
                        .key_len = item->key_len,
                        .order_len = item->order_len,
                        .len = item->len,
                        .room = (uint32_t)room,
                        .file = (int16_t)file,
                        .gone = item->gone};
    memcpy(key_of(e), item->key, item->key_len);
    memcpy(order_of(e), item->order, item->order_len);
    if (file < 0) {
        memcpy(line_of(e), item->line, item->len);
    } else {
        size_t in_block = (size_t)(item->line - block->data);
        e->at = block->file_at + in_block;
        e->bare = block->added_newline && in_block + item->len == block->len;
    }
}

/* ---- when the arena is full ---- */

static void compact(struct cdp_latest *l)
{
    size_t to = 0;
    for (size_t from = 0; from < l->used;) {
        struct entry *e = entry_at(l, from + 1);
        size_t room = e->room;
        if (!e->dead) {
            struct slot *s = find(l, e->tag, key_of(e), e->key_len);
            memmove(l->arena + to, e, room);
            s->at = to + 1;
            to += room;
        }
        from += room;
    }
    l->used = to;
    l->dead = 0;
}

/* Key and order go to the sorter as its key; what is told apart later goes in front of the line. */
static int spill_entry(struct cdp_latest *l, struct entry *e, struct cdp_err *err)
{
    cdp_buf_clear(&l->pack);
    cdp_buf_add(&l->pack, e, sizeof *e);
    if (cdp_buf_reserve(&l->pack, e->len)) {
        if (fetch(l, e, l->pack.data + l->pack.len, err) < 0)
            return -1;
        l->pack.len += e->len;
    }
    if (cdp_buf_check(&l->pack, err) < 0)
        return -1;
    return cdp_sort_add(l->spill, 0, key_of(e), e->key_len + e->order_len, l->spilled++, l->pack.data,
                        l->pack.len, err);
}

static int spill(struct cdp_latest *l, struct cdp_err *err)
{
    if (!l->spill) {
        const struct cdp_sort_opts opts = {
            .memory = l->opts.memory / SORTER_SHARE, .threads = l->opts.threads, .tmpdir = l->opts.tmpdir};
        if (!(l->spill = cdp_sort_new(&opts, err)))
            return -1;
    }
    for (size_t from = 0; from < l->used;) {
        struct entry *e = entry_at(l, from + 1);
        if (!e->dead && spill_entry(l, e, err) < 0)
            return -1;
        from += e->room;
    }
    memset(l->slot, 0, l->slots * sizeof *l->slot);
    l->used = l->dead = l->entries = 0;
    return 0;
}

static int make_room(struct cdp_latest *l, size_t room, struct cdp_err *err)
{
    if (l->used + room <= l->arena_size)
        return 0;
    if (l->dead > l->used / 3)
        compact(l);
    else if (l->used && spill(l, err) < 0)
        return -1;
    if (l->used + room <= l->arena_size)
        return 0;
    if (l->used) /* compacting was not enough */
        return spill(l, err) < 0 ? -1 : make_room(l, room, err);
    cdp_mem_unmap(l->arena, l->arena_size); /* a single record larger than the memory is held all the same */
    l->arena_size = room;
    l->arena = cdp_mem_map(room, err);
    return l->arena ? 0 : -1;
}

/* ---- adding ---- */

static int compare_bytes(const char *a, size_t an, const char *b, size_t bn)
{
    int order = memcmp(a, b, an < bn ? an : bn);
    return order ? order : (an > bn) - (an < bn);
}

/* < 0 where the item comes before the entry; equal orders are told apart by the lines. */
static int compare(struct cdp_latest *l, const struct cdp_latest_item *item, struct entry *e, int *order,
                   struct cdp_err *err)
{
    *order = compare_bytes(item->order, item->order_len, order_of(e), e->order_len);
    if (*order)
        return 0;
    cdp_buf_clear(&l->pack);
    cdp_buf_reserve(&l->pack, e->len);
    if (cdp_buf_check(&l->pack, err) < 0 || fetch(l, e, l->pack.data, err) < 0)
        return -1;
    *order = compare_bytes(item->line, item->len, l->pack.data, e->len);
    return 0;
}

static int append(struct cdp_latest *l, const struct cdp_latest_item *item, const struct cdp_block *block,
                  int file, struct cdp_err *err)
{
    size_t room = need(item, file >= 0);
    if (make_room(l, room, err) < 0)
        return -1;
    if (l->entries >= l->slots / 4 * 3 && grow(l, err) < 0)
        return -1;
    struct slot *s = find(l, item->hash.hi, item->key, item->key_len); /* what stood here may have moved */
    if (!s->at)
        l->entries++;
    fill(entry_at(l, l->used + 1), room, item, block, file);
    *s = (struct slot){item->hash.hi, l->used + 1};
    l->used += room;
    return 0;
}

int cdp_latest_add(struct cdp_latest *l, const struct cdp_latest_item *item, const struct cdp_block *block,
                   struct cdp_err *err)
{
    int file = file_of(l, block);
    struct slot *s = find(l, item->hash.hi, item->key, item->key_len);
    if (!s->at)
        return append(l, item, block, file, err);
    struct entry *e = entry_at(l, s->at);
    int order;
    if (compare(l, item, e, &order, err) < 0)
        return -1;
    if (order <= 0)
        return 1;
    size_t room = e->room;
    if (need(item, file >= 0) <= room) {
        fill(e, room, item, block, file);
        return 1;
    }
    if (make_room(l, need(item, file >= 0), err) < 0) /* first, because it moves entries */
        return -1;
    s = find(l, item->hash.hi, item->key, item->key_len);
    bool here = s->at != 0; /* not spilled: what is spilled is counted when it comes back */
    if (here) {
        entry_at(l, s->at)->dead = true;
        l->dead += entry_at(l, s->at)->room;
    }
    return append(l, item, block, file, err) < 0 ? -1 : here;
}

/* ---- writing ---- */

struct ref {
    uint64_t head; /* the first bytes of the key behind what all share */
    uint64_t at;
};

struct writer {
    struct cdp_latest *l;
    struct cdp_out *out;
    struct ref *ref;
    size_t n;
    pthread_mutex_t lock;
    size_t next; /* ref that is not taken yet */
    struct cdp_err err;
    bool failed;
};

static bool is_row(const struct entry *e, const struct cdp_time *since)
{
    return !e->gone || (since && cdp_time_cmp(e->time, *since) >= 0);
}

/* Takes the next range of refs and its place in the output (in order, so on a pipe it is written at once).  What is gathered
 * on a regular file is written outside the lock. */
static int take_range(struct writer *w, size_t *from, size_t *to, size_t *bytes, off_t *at,
                      struct cdp_err *err)
{
    *from = *to = w->next;
    *bytes = 0;
    while (*to < w->n && *bytes < RANGE)
        *bytes += entry_at(w->l, w->ref[(*to)++].at)->len;
    w->next = *to;
    return *bytes && cdp_out_seekable(w->out) ? cdp_out_claim(w->out, *bytes, at, err) : 0;
}

static int gather(struct writer *w, size_t from, size_t to, struct cdp_buf *b, struct cdp_err *err)
{
    cdp_buf_clear(b);
    for (size_t i = from; i < to; i++) {
        struct entry *e = entry_at(w->l, w->ref[i].at);
        if (i + 8 < to)
            __builtin_prefetch(entry_at(w->l, w->ref[i + 8].at));
        cdp_buf_reserve(b, e->len);
        if (cdp_buf_check(b, err) < 0 || fetch(w->l, e, b->data + b->len, err) < 0)
            return -1;
        b->len += e->len;
    }
    return 0;
}

static void *write_ranges(void *arg)
{
    struct writer *w = arg;
    struct cdp_buf b = {0};
    bool seekable = cdp_out_seekable(w->out);
    struct cdp_err err;
    for (;;) {
        size_t from, to, bytes;
        off_t at = 0;
        pthread_mutex_lock(&w->lock);
        int rc = w->failed ? -1 : take_range(w, &from, &to, &bytes, &at, &err);
        bool stop = w->failed || (rc == 0 && from == to);
        if (rc == 0 && !stop && !seekable) {
            rc = gather(w, from, to, &b, &err);
            if (rc == 0)
                rc = cdp_out_write(w->out, b.data, b.len, &err);
        }
        pthread_mutex_unlock(&w->lock);
        if (stop)
            break;
        if (rc == 0 && seekable) {
            rc = gather(w, from, to, &b, &err);
            const struct iovec iov = {b.data, b.len};
            if (rc == 0)
                rc = cdp_out_put(w->out, at, &iov, 1, &err);
        }
        if (rc < 0) {
            pthread_mutex_lock(&w->lock);
            if (!w->failed)
                w->err = err;
            w->failed = true;
            pthread_mutex_unlock(&w->lock);
        }
    }
    cdp_buf_free(&b);
    return NULL;
}

static int by_key(const void *a, const void *b, void *arg)
{
    const struct ref *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    struct entry *p = entry_at(arg, x->at), *q = entry_at(arg, y->at);
    return compare_bytes(key_of(p), p->key_len, key_of(q), q->key_len);
}

/* Length of what the keys of all refs begin with. */
static size_t shared_prefix(struct cdp_latest *l, const struct ref *ref, size_t n)
{
    if (n == 0)
        return 0;
    struct entry *first = entry_at(l, ref[0].at);
    size_t shared = first->key_len;
    for (size_t i = 1; i < n; i++) {
        struct entry *e = entry_at(l, ref[i].at);
        size_t k = 0;
        while (k < shared && k < e->key_len && key_of(e)[k] == key_of(first)[k])
            k++;
        shared = k;
    }
    return shared;
}

static uint64_t head(struct entry *e, size_t from)
{
    uint64_t h = 0;
    for (size_t i = 0; i < 8; i++)
        h = h << 8 | (from + i < e->key_len ? (unsigned char)key_of(e)[from + i] : 0);
    return h;
}

static int write_table(struct cdp_latest *l, struct cdp_out *out, const struct cdp_time *since,
                       struct cdp_counts *counts, struct cdp_err *err)
{
    struct writer w = {.l = l, .out = out, .lock = PTHREAD_MUTEX_INITIALIZER};
    size_t size = (l->entries + 1) * sizeof *w.ref;
    if (!(w.ref = cdp_mem_map(size, err)))
        return -1;
    for (size_t from = 0; from < l->used;) {
        struct entry *e = entry_at(l, from + 1);
        if (!e->dead && is_row(e, since))
            w.ref[w.n++].at = from + 1;
        else if (!e->dead)
            counts->dropped++;
        from += e->room;
    }
    size_t shared = shared_prefix(l, w.ref, w.n);
    for (size_t i = 0; i < w.n; i++)
        w.ref[i].head = head(entry_at(l, w.ref[i].at), shared);
    qsort_r(w.ref, w.n, sizeof *w.ref, by_key, l);
    pthread_t thread[64];
    unsigned started = 0;
    while (started + 1 < l->opts.threads && started < 64 &&
           pthread_create(&thread[started], NULL, write_ranges, &w) == 0)
        started++;
    write_ranges(&w);
    for (unsigned i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    counts->out += w.n;
    cdp_mem_unmap(w.ref, size);
    if (w.failed)
        *err = w.err;
    return w.failed ? -1 : 0;
}

/* The greatest of a key, of the records that come from the sorter. */
struct best {
    struct entry head;
    struct cdp_buf key, line;
    bool any;
};

static int put_best(const struct best *best, struct cdp_out *out, const struct cdp_time *since,
                    struct cdp_counts *counts, struct cdp_err *err)
{
    if (!best->any)
        return 0;
    if (!is_row(&best->head, since)) {
        counts->dropped++;
        return 0;
    }
    counts->out++;
    return cdp_out_write(out, best->line.data, best->line.len, err);
}

static int write_sorted(struct cdp_latest *l, struct best *best, struct cdp_out *out,
                        const struct cdp_time *since, struct cdp_counts *counts, struct cdp_err *err)
{
    struct cdp_sorted r;
    int rc;
    while ((rc = cdp_sort_next(l->spill, &r, err)) == 1) {
        struct entry e;
        memcpy(&e, r.payload, sizeof e);
        const char *line = r.payload + sizeof e;
        size_t len = r.len - sizeof e;
        bool same =
            best->any && best->head.key_len == e.key_len && memcmp(best->key.data, r.key, e.key_len) == 0;
        if (same) {
            counts->dropped++;
            if (compare_bytes((const char *)r.key, r.key_len, best->key.data, best->key.len) == 0 &&
                compare_bytes(line, len, best->line.data, best->line.len) < 0)
                continue;
        } else if (put_best(best, out, since, counts, err) < 0) {
            return -1;
        }
        best->head = e;
        best->any = true;
        cdp_buf_clear(&best->key);
        cdp_buf_clear(&best->line);
        cdp_buf_add(&best->key, r.key, r.key_len);
        cdp_buf_add(&best->line, line, len);
        if (cdp_buf_check(&best->key, err) < 0 || cdp_buf_check(&best->line, err) < 0)
            return -1;
    }
    return rc < 0 ? -1 : put_best(best, out, since, counts, err);
}

int cdp_latest_write(struct cdp_latest *l, struct cdp_out *out, const struct cdp_time *since,
                     struct cdp_counts *counts, struct cdp_err *err)
{
    if (!l->spill)
        return write_table(l, out, since, counts, err);
    struct best best = {0};
    int rc = spill(l, err) < 0 || cdp_sort_finish(l->spill, err) < 0 ? -1 : 0;
    if (rc == 0)
        rc = write_sorted(l, &best, out, since, counts, err);
    cdp_buf_free(&best.key);
    cdp_buf_free(&best.line);
    return rc;
}
