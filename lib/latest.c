/* latest: see latest.h; its writing is in latest_write.c.
 *
 * Slots: linear probing over {64 bits of the hash, where the entry is}, at most three quarters full; found by the hash's high
 * bits, so that doubling moves them in ascending order and the old table is given back meanwhile.  Arena: one reserved
 * region, filled from the front; an entry that no longer fits its place moves to the end.  When a third of it is
 * dead it is compacted, else, when it is full, it is spilled. */
#include "lib/latest.h"

#include "lib/latest_impl.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define FIRST_SLOTS ((size_t)1 << 14)
#define GIVE_BACK ((size_t)4 << 20) /* bytes of the old table returned at a time */
#define SORTER_SHARE 4              /* of the memory, for a spill that may come */
#define SHORT 128                   /* bytes of a line that cost less to keep than to read again */
#define LEAST ((size_t)512 << 10)
#define MOST_ROOM (((size_t)1 << 33) - 8) /* what an entry can say */
#define TIDY ((size_t)16 << 20)           /* a smaller arena is not compacted before it is full */

/* ---- new and free ---- */

/* Descriptors are kept for inputs, but most are left to others. */
static unsigned most_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < CDP_LATEST_MAX_FILES)
        return (unsigned)(limit.rlim_cur / 4);
    return CDP_LATEST_MAX_FILES;
}

struct cdp_latest *cdp_latest_new(const struct cdp_latest_opts *opts, struct cdp_err *err)
{
    struct cdp_latest *l = cdp_mem_zalloc(1, sizeof *l, err);
    if (!l)
        return NULL;
    l->opts = *opts;
    l->max_files = most_files();
    l->limit = (size_t)(opts->memory - opts->memory / SORTER_SHARE);
    if (l->limit < LEAST)
        l->limit = LEAST;
    l->arena_size = l->limit;
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
    for (unsigned i = 0; i < l->files; i++) {
        close(l->file[i].fd);
        free(l->file[i].name);
    }
    cdp_buf_free(&l->pack);
    free(l);
}

/* ---- lines ---- */

int cdp_latest_block(struct cdp_latest *l, const struct cdp_block *block, const char *source,
                     struct cdp_err *err)
{
    l->block = block;
    if (!block->first)
        return 0;
    int fd = -1;
    if (block->fd >= 0 && l->files < l->max_files)
        fd = fcntl(block->fd, F_DUPFD_CLOEXEC, 3);
    l->in_file = fd >= 0;
    if (fd < 0) /* then lines are kept */
        return 0;
    char *name = cdp_mem_strndup(source, strlen(source), err);
    if (!name) {
        close(fd);
        return -1;
    }
    l->file[l->files++] = (struct cdp_latest_file){fd, name};
    return 0;
}

int cdp_latest_changed(const struct cdp_latest *l, uint64_t where, struct cdp_err *err)
{
    return cdp_err_set(err, CDP_EXIT_IO, "%s: changed while it was read", l->file[where >> 48].name);
}

int cdp_latest_read(const struct cdp_latest *l, uint64_t where, char *to, size_t n, struct cdp_err *err)
{
    const struct cdp_latest_file *file = &l->file[where >> 48];
    off_t at = (off_t)(where & CDP_LATEST_AT);
    while (n) {
        ssize_t got = pread(file->fd, to, n, at);
        if (got == 0)
            return cdp_err_set(err, CDP_EXIT_IO, "%s: became shorter while it was read", file->name);
        if (got < 0 && errno != EINTR)
            return cdp_err_errno(err, "%s: cannot read again", file->name);
        if (got > 0) {
            to += got;
            at += got;
            n -= (size_t)got;
        }
    }
    return 0;
}

int cdp_latest_line(const struct cdp_latest *l, struct cdp_latest_entry *e, char *to, struct cdp_err *err)
{
    struct cdp_entry_head head = cdp_latest_head(e);
    if (head.seq == CDP_LATEST_HERE) {
        memcpy(to, cdp_latest_order(e) + e->order_len, head.len);
        return 0;
    }
    bool bare = head.seq & CDP_LATEST_BARE;
    if (bare)
        to[head.len - 1] = '\n';
    if (cdp_latest_read(l, head.seq, to, head.len - bare, err) < 0)
        return -1;
    return to[head.len - 1] == '\n' ? 0 : cdp_latest_changed(l, head.seq, err);
}

/* ---- the table ---- */

void cdp_latest_prefetch_slot(const struct cdp_latest *l, struct cdp_hash128 hash)
{
    __builtin_prefetch(&l->slot[hash.hi >> l->shift], 1);
}

void cdp_latest_prefetch_entry(const struct cdp_latest *l, struct cdp_hash128 hash)
{
    const struct cdp_latest_slot *slot = &l->slot[hash.hi >> l->shift];
    if (!slot->at)
        return;
    const char *e = l->arena + slot->at - 1;
    __builtin_prefetch(e, 1);
    __builtin_prefetch(e + 64, 1);
    __builtin_prefetch(e + 128, 1);
}

static struct cdp_latest_slot *find(const struct cdp_latest *l, uint64_t tag, const char *key,
                                    uint32_t key_len)
{
    size_t i = tag >> l->shift, mask = l->slots - 1;
    for (; l->slot[i].at; i = (i + 1) & mask) {
        if (l->slot[i].tag != tag)
            continue;
        struct cdp_latest_entry *e = cdp_latest_at(l, l->slot[i].at);
        if (e->key_len == key_len && memcmp(cdp_latest_key(e), key, key_len) == 0)
            break;
    }
    return &l->slot[i];
}

static int grow(struct cdp_latest *l, struct cdp_err *err)
{
    size_t slots = l->slots * 2, step = GIVE_BACK / sizeof *l->slot;
    struct cdp_latest_slot *old = l->slot, *slot = cdp_mem_map(slots * sizeof *slot, err);
    if (!slot)
        return -1;
    l->shift--;
    for (size_t i = 0; i < l->slots; i++) {
        if (old[i].at) {
            size_t to = old[i].tag >> l->shift;
            while (slot[to].at)
                to = (to + 1) & (slots - 1);
            slot[to] = old[i];
        }
        if ((i + 1) % step == 0)
            madvise(&old[i + 1 - step], GIVE_BACK, MADV_DONTNEED);
    }
    cdp_mem_unmap(old, l->slots * sizeof *old);
    l->slot = slot;
    l->slots = slots;
    return 0;
}

/* Would so many bytes of entries, keys and slots be within the limit? */
static bool fits(const struct cdp_latest *l, size_t used, size_t entries, size_t slots)
{
    return used <= l->arena_size &&
           used + entries * sizeof(struct cdp_entry) + slots * sizeof *l->slot <= l->limit;
}

/* ---- when it is full ---- */

static void compact(struct cdp_latest *l)
{
    size_t to = 0;
    for (size_t from = 0; from < l->used;) {
        struct cdp_latest_entry *e = cdp_latest_at(l, from + 1);
        size_t room = (size_t)e->room * 8;
        if (!e->dead) {
            size_t i = e->tag >> l->shift;
            while (l->slot[i].at != from + 1)
                i = (i + 1) & (l->slots - 1);
            l->slot[i].at = to + 1;
            memmove(l->arena + to, e, room);
            to += room;
        }
        from += room;
    }
    l->used = to;
    l->dead = 0;
}

static int spill_entry(struct cdp_latest *l, struct cdp_latest_entry *e, struct cdp_err *err)
{
    struct cdp_buf *pack = &l->pack;
    struct cdp_latest_spilled spilled = {.time = {e->sec, e->nsec}, .key_len = e->key_len, .gone = e->gone};
    size_t len = cdp_latest_head(e).len;
    cdp_buf_clear(pack);
    cdp_buf_add(pack, cdp_latest_key(e), e->key_len);
    cdp_buf_add(pack, cdp_latest_order(e), e->order_len);
    size_t key_len = pack->len;
    cdp_buf_add(pack, &spilled, sizeof spilled);
    cdp_buf_reserve(pack, len);
    if (cdp_buf_check(pack, err) < 0 || cdp_latest_line(l, e, pack->data + pack->len, err) < 0)
        return -1;
    return cdp_sort_add(l->spill, 0, pack->data, key_len, l->spilled++, pack->data + key_len,
                        sizeof spilled + len, err);
}

int cdp_latest_spill(struct cdp_latest *l, struct cdp_err *err)
{
    if (!l->spill) {
        const struct cdp_sort_opts opts = {
            .memory = l->opts.memory / SORTER_SHARE, .threads = l->opts.threads, .tmpdir = l->opts.tmpdir};
        if (!(l->spill = cdp_sort_new(&opts, err)))
            return -1;
    }
    for (size_t from = 0; from < l->used;) {
        struct cdp_latest_entry *e = cdp_latest_at(l, from + 1);
        if (!e->dead && spill_entry(l, e, err) < 0)
            return -1;
        from += (size_t)e->room * 8;
    }
    memset(l->slot, 0, l->slots * sizeof *l->slot);
    l->used = l->dead = l->entries = 0;
    return 0;
}

static int make_room(struct cdp_latest *l, size_t room, struct cdp_err *err)
{
    if (fits(l, l->used + room, l->entries + 1, l->slots))
        return 0;
    if (l->dead > l->used / 3)
        compact(l);
    if (fits(l, l->used + room, l->entries + 1, l->slots))
        return 0;
    if (room > MOST_ROOM)
        return cdp_err_set(err, CDP_EXIT_IO, "a record of %zu bytes is too large to be kept", room);
    if (l->used && cdp_latest_spill(l, err) < 0)
        return -1;
    if (room <= l->arena_size)
        return 0;
    cdp_mem_unmap(l->arena, l->arena_size); /* a single record larger than the memory is held all the same */
    l->arena_size = room;
    l->arena = cdp_mem_map(room, err);
    return l->arena ? 0 : -1;
}

static int make_slot(struct cdp_latest *l, struct cdp_err *err)
{
    if (l->entries < l->slots / 4 * 3)
        return 0;
    return fits(l, l->used, l->entries, l->slots * 2) ? grow(l, err) : cdp_latest_spill(l, err);
}

/* ---- adding ---- */

/* A delete that will not be written needs no line. */
static uint32_t line_len(const struct cdp_latest *l, const struct cdp_change *c)
{
    return c->kind < CDP_CHANGE_DELETE || l->opts.tombstones ? c->full : 0;
}

static bool is_kept(const struct cdp_latest *l, const struct cdp_change *c)
{
    return !l->in_file || line_len(l, c) <= SHORT;
}

static size_t need(const struct cdp_latest *l, const struct cdp_change *c)
{
    size_t n = sizeof(struct cdp_latest_entry) + sizeof(struct cdp_entry_head);
    n += (size_t)c->key_len + c->order_len + (is_kept(l, c) ? line_len(l, c) : 0);
    return (n + 7) & ~(size_t)7;
}

/* Where the line is, as the head has it. */
static uint64_t where_is(const struct cdp_latest *l, const struct cdp_change *c)
{
    const struct cdp_block *b = l->block;
    if (is_kept(l, c))
        return CDP_LATEST_HERE;
    size_t in_block = (size_t)(c->line - b->data);
    bool bare = b->added_newline && in_block + c->full == b->len;
    return (uint64_t)(l->files - 1) << 48 | (bare ? CDP_LATEST_BARE : 0) | (b->file_at + in_block);
}

static void fill(const struct cdp_latest *l, struct cdp_latest_entry *e, size_t room,
                 const struct cdp_change *c, const char *keys)
{
    struct cdp_entry_head head = {where_is(l, c), c->key_len, line_len(l, c)};
    *e = (struct cdp_latest_entry){.tag = c->hash.hi,
                                   .sec = c->time.sec,
                                   .nsec = c->time.nsec,
                                   .key_len = c->key_len,
                                   .order_len = c->order_len,
                                   .room = (uint32_t)(room / 8) & 0x3FFFFFFF,
                                   .gone = c->kind >= CDP_CHANGE_DELETE};
    char *p = cdp_latest_key(e);
    memcpy(p, keys + c->key, c->key_len);
    memcpy(p + c->key_len, &head, sizeof head);
    p = cdp_latest_order(e);
    memcpy(p, keys + c->order, c->order_len);
    if (head.seq == CDP_LATEST_HERE)
        memcpy(p + c->order_len, c->line, head.len);
}

/* *order < 0 where the change comes before the entry; equal orders are told apart by the lines. */
static int compare(struct cdp_latest *l, const struct cdp_change *c, const char *keys,
                   struct cdp_latest_entry *e, int *order, struct cdp_err *err)
{
    *order = cdp_latest_compare(keys + c->order, c->order_len, cdp_latest_order(e), e->order_len);
    if (*order || line_len(l, c) == 0)
        return 0;
    size_t len = cdp_latest_head(e).len;
    cdp_buf_clear(&l->pack);
    cdp_buf_reserve(&l->pack, len);
    if (cdp_buf_check(&l->pack, err) < 0 || cdp_latest_line(l, e, l->pack.data, err) < 0)
        return -1;
    *order = cdp_latest_compare(c->line, line_len(l, c), l->pack.data, len);
    return 0;
}

static int append(struct cdp_latest *l, const struct cdp_change *c, const char *keys, size_t room,
                  struct cdp_err *err)
{
    if (make_room(l, room, err) < 0 || make_slot(l, err) < 0)
        return -1;
    struct cdp_latest_slot *s = find(l, c->hash.hi, keys + c->key, c->key_len); /* it may have moved */
    l->entries += s->at == 0;
    *s = (struct cdp_latest_slot){c->hash.hi, l->used + 1};
    fill(l, cdp_latest_at(l, s->at), room, c, keys);
    l->used += room;
    return 0;
}

/* The entry no longer fits where it was, or wastes it. */
static int move(struct cdp_latest *l, const struct cdp_change *c, const char *keys, size_t room,
                struct cdp_counts *counts, struct cdp_err *err)
{
    if (make_room(l, room, err) < 0) /* first, because entries move */
        return -1;
    struct cdp_latest_slot *s = find(l, c->hash.hi, keys + c->key, c->key_len);
    if (s->at) { /* else it was spilled, and is counted when it comes back */
        struct cdp_latest_entry *e = cdp_latest_at(l, s->at);
        e->dead = 1;
        l->dead += (size_t)e->room * 8;
        counts->dropped++;
    }
    if (append(l, c, keys, room, err) < 0)
        return -1;
    if (l->dead > l->used / 3 && l->used > TIDY)
        compact(l);
    return 0;
}

int cdp_latest_add(struct cdp_latest *l, const struct cdp_change *change, const char *keys,
                   struct cdp_counts *counts, struct cdp_err *err)
{
    size_t room = need(l, change);
    struct cdp_latest_slot *s = find(l, change->hash.hi, keys + change->key, change->key_len);
    if (!s->at)
        return append(l, change, keys, room, err);
    struct cdp_latest_entry *e = cdp_latest_at(l, s->at);
    int order;
    if (compare(l, change, keys, e, &order, err) < 0)
        return -1;
    size_t has = (size_t)e->room * 8;
    if (order > 0 && (room > has || room < has / 2))
        return move(l, change, keys, room, counts, err);
    counts->dropped++;
    if (order > 0)
        fill(l, e, has, change, keys);
    return 0;
}
