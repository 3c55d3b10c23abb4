/* sort_run: see sort_run.h.
 *
 * A file is frames; a frame is a head {bytes stored, bytes of records; equal where it is not packed} and whole records
 * {head, key, payload}, in the machine's byte order: only the process that wrote it reads it.  A record larger than a
 * frame has one of its own, written from where it lies.
 *
 * Packing is worth it where the device is slow.  AUTO measures how long the file takes bytes, and every TRIAL frames
 * how long gzip takes for one and how small it gets; it packs where twice the packing (unpacking costs about the same)
 * and the writing of the packed bytes together take less time than the writing of the bytes as they are.  So data that stays
 * in the page cache is not packed, and a disk that blocks writers turns packing on.
 *
 * Memory: a writer holds one frame (and its packed form) and `points` places; when these are full every other one is
 * forgotten and the distance doubles, so they stay evenly spread over a run of unknown length.  A reader holds a frame. */
#include "lib/sort_run.h"

#include "lib/atomic.h"
#include "lib/gz.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define TRIAL 256

struct frame_head {
    uint32_t stored, raw;
};

#define HEADS (sizeof(struct frame_head) + sizeof(struct cdp_entry_head))

struct cdp_run_writer {
    struct cdp_run *run;
    struct cdp_run_policy *policy;
    size_t frame, points; /* limits */
    char *raw;            /* the frame: its head and `len` bytes of records */
    size_t len, last;     /* where the last record begins */
    struct cdp_buf packed;
    uint64_t frames, distance; /* frames so far; a point is kept every `distance` frames */
};

struct cdp_run_reader {
    const struct cdp_run *run;
    uint64_t offset;        /* behind the head of the next frame */
    struct frame_head next; /* that head */
    char *raw, *packed;
    size_t at, len; /* in raw */
};

void cdp_run_free(struct cdp_run *run)
{
    if (!run)
        return;
    if (run->fd >= 0)
        close(run->fd);
    free(run->point);
    free(run);
}

static size_t edges_common(const struct cdp_run_edge *a, const struct cdp_run_edge *b)
{
    size_t n = 0;
    while (n < a->len && n < b->len && a->key[n] == b->key[n])
        n++;
    return n;
}

size_t cdp_run_common(struct cdp_run *const *run, size_t n)
{
    size_t common = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        size_t first = edges_common(&run[0]->first, &run[i]->first);
        size_t last = edges_common(&run[0]->first, &run[i]->last);
        size_t both = first < last ? first : last;
        common = both < common ? both : common;
    }
    return common;
}

size_t cdp_run_list_cost(struct cdp_run *const *run, size_t n)
{
    size_t cost = 0;
    for (size_t i = 0; i < n; i++)
        cost += run[i]->frame * (run[i]->packed ? 2 : 1) + sizeof(struct cdp_run_reader);
    return cost;
}

struct cdp_run_writer *cdp_run_create(const char *dir, size_t frame, size_t points,
                                      struct cdp_run_policy *policy, struct cdp_err *err)
{
    struct cdp_run_writer *w = cdp_mem_zalloc(1, sizeof *w, err);
    if (!w)
        return NULL;
    *w = (struct cdp_run_writer){.policy = policy, .frame = frame, .points = points, .distance = 1};
    w->run = cdp_mem_zalloc(1, sizeof *w->run, err);
    if (w->run) {
        w->run->fd = -1;
        w->raw = cdp_mem_alloc(sizeof(struct frame_head) + frame, err);
        w->run->point = cdp_mem_zalloc(points, sizeof *w->run->point, err);
    }
    if (!w->run || !w->raw || !w->run->point || (w->run->fd = cdp_temp_open(dir, err)) < 0) {
        cdp_run_abandon(w);
        return NULL;
    }
    return w;
}

void cdp_run_abandon(struct cdp_run_writer *w)
{
    if (!w)
        return;
    cdp_run_free(w->run);
    cdp_buf_free(&w->packed);
    free(w->raw);
    free(w);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int write_parts(struct cdp_run_writer *w, struct iovec *iov, size_t n, struct cdp_err *err)
{
    uint64_t begin = now_ns(), bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (cdp_write_all(w->run->fd, iov[i].iov_base, iov[i].iov_len, "temporary file (see -T)", err) < 0)
            return -1;
        bytes += iov[i].iov_len;
    }
    w->policy->write_ns += now_ns() - begin;
    w->policy->write_bytes += bytes;
    w->run->bytes += bytes;
    w->frames++;
    return 0;
}

static void set_edge(struct cdp_run_edge *edge, const void *key, size_t len)
{
    edge->len = (uint32_t)(len < sizeof edge->key ? len : sizeof edge->key);
    memcpy(edge->key, key, edge->len);
}

/* Remembers the frame that begins with this record. */
static void add_point(struct cdp_run_writer *w, const struct cdp_sorted *r)
{
    struct cdp_run *run = w->run;
    if (w->frames % w->distance || r->key_len > sizeof run->point->key)
        return;
    if (run->points == w->points) {
        w->distance *= 2;
        size_t kept = 0;
        for (size_t i = 0; i < run->points; i += 2)
            run->point[kept++] = run->point[i];
        run->points = kept;
        if (w->frames % w->distance)
            return;
    }
    struct cdp_run_point *p = &run->point[run->points++];
    *p = (struct cdp_run_point){.offset = run->bytes, .seq = r->seq, .key_len = r->key_len};
    memcpy(p->key, r->key, r->key_len);
}

static int pack(struct cdp_run_writer *w, struct cdp_err *err)
{
    cdp_buf_clear(&w->packed);
    return cdp_gzip(w->raw + sizeof(struct frame_head), w->len, &w->packed, err);
}

/* Packs one frame and decides by the time that took. */
static int judge(struct cdp_run_writer *w, struct cdp_err *err)
{
    struct cdp_run_policy *p = w->policy;
    uint64_t begin = now_ns();
    if (pack(w, err) < 0)
        return -1;
    uint64_t pack_ns = now_ns() - begin;
    uint64_t per_kib = p->write_ns * 1024 / (p->write_bytes + 1);
    p->pack = 2 * pack_ns + w->packed.len * per_kib / 1024 < w->len * per_kib / 1024;
    p->frames = 0;
    p->write_ns /= 2;
    p->write_bytes /= 2;
    return 0;
}

static int write_frame(struct cdp_run_writer *w, struct cdp_err *err)
{
    struct cdp_run_policy *p = w->policy;
    if (w->len == 0)
        return 0;
    if (p->mode == CDP_SORT_PACK_AUTO && ++p->frames >= TRIAL && judge(w, err) < 0)
        return -1;
    const char *last = w->raw + sizeof(struct frame_head) + w->last;
    struct cdp_entry_head h;
    memcpy(&h, last, sizeof h);
    set_edge(&w->run->last, last + sizeof h, h.key_len);
    struct frame_head head = {(uint32_t)w->len, (uint32_t)w->len};
    bool packed = false;
    if (p->mode == CDP_SORT_PACK_ALWAYS || (p->mode == CDP_SORT_PACK_AUTO && p->pack)) {
        if (pack(w, err) < 0)
            return -1;
        packed = w->packed.len < w->len;
    }
    if (w->len > w->run->frame)
        w->run->frame = w->len;
    struct iovec iov[2] = {{w->raw, sizeof head + w->len}};
    size_t parts = 1;
    if (packed) {
        w->run->packed = true;
        head.stored = (uint32_t)w->packed.len;
        iov[0].iov_len = sizeof head;
        iov[parts++] = (struct iovec){w->packed.data, w->packed.len};
    }
    memcpy(w->raw, &head, sizeof head);
    w->len = 0;
    return write_parts(w, iov, parts, err);
}

/* A record in a frame of its own. */
static int write_large(struct cdp_run_writer *w, const struct cdp_sorted *r, size_t need, struct cdp_err *err)
{
    if (need > UINT32_MAX)
        return cdp_err_set(err, CDP_EXIT_IO, "a record with its key is too large to be spilled");
    char heads[HEADS];
    struct frame_head frame = {(uint32_t)need, (uint32_t)need};
    struct cdp_entry_head h = {r->seq, r->key_len, r->len};
    memcpy(heads, &frame, sizeof frame);
    memcpy(heads + sizeof frame, &h, sizeof h);
    struct iovec iov[3] = {{heads, sizeof heads},
                           {(void *)(uintptr_t)r->key, r->key_len},
                           {(void *)(uintptr_t)r->payload, r->len}};
    if (need > w->run->frame)
        w->run->frame = need;
    set_edge(&w->run->last, r->key, r->key_len);
    return write_parts(w, iov, 3, err);
}

int cdp_run_add(struct cdp_run_writer *w, const struct cdp_sorted *r, struct cdp_err *err)
{
    struct cdp_entry_head h = {r->seq, r->key_len, r->len};
    size_t need = sizeof h + r->key_len + r->len;
    if (w->frame - w->len < need && write_frame(w, err) < 0)
        return -1;
    if (w->len == 0)
        add_point(w, r);
    if (w->run->bytes + w->len == 0)
        set_edge(&w->run->first, r->key, r->key_len);
    if (need > w->frame)
        return write_large(w, r, need, err);
    char *to = w->raw + sizeof(struct frame_head) + w->len;
    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, r->key, r->key_len);
    memcpy(to + sizeof h + r->key_len, r->payload, r->len);
    w->last = w->len;
    w->len += need;
    return 0;
}

struct cdp_run *cdp_run_finish(struct cdp_run_writer *w, struct cdp_err *err)
{
    struct cdp_run *run = NULL;
    if (write_frame(w, err) == 0) {
        run = w->run;
        w->run = NULL;
    }
    cdp_run_abandon(w);
    return run;
}

/* ---- reading ---- */

static int read_all(const struct cdp_run *run, void *to, size_t n, uint64_t offset, struct cdp_err *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(run->fd, (char *)to + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cdp_err_errno(err, "temporary file: cannot read");
        if (got == 0)
            return cdp_err_set(err, CDP_EXIT_IO, "temporary file: shorter than it was written");
        done += (size_t)got;
    }
    return 0;
}

struct memory {
    const char *p;
    size_t n;
};

static ssize_t read_memory(void *source, void *buf, size_t n, struct cdp_err *err)
{
    struct memory *m = source;
    (void)err;
    if (n > m->n)
        n = m->n;
    memcpy(buf, m->p, n);
    m->p += n;
    m->n -= n;
    return (ssize_t)n;
}

static int unpack(struct cdp_run_reader *rd, size_t stored, size_t raw, struct cdp_err *err)
{
    struct memory m = {rd->packed, stored};
    struct cdp_gunzip *g = cdp_gunzip_new(read_memory, &m, err);
    if (!g)
        return -1;
    ssize_t n = 1;
    size_t done = 0;
    while (done < raw && (n = cdp_gunzip_read(g, rd->raw + done, raw - done, err)) > 0)
        done += (size_t)n;
    cdp_gunzip_free(g);
    if (n < 0) {
        err->exit = CDP_EXIT_IO;
        return cdp_err_prefix(err, "temporary file");
    }
    return done == raw ? 0 : cdp_err_set(err, CDP_EXIT_IO, "temporary file: shorter than it was written");
}

/* 1, 0 at the end.  The head of the frame after is read with it, and the kernel told to fetch that frame. */
static int read_frame(struct cdp_run_reader *rd, struct cdp_err *err)
{
    const struct cdp_run *run = rd->run;
    struct frame_head h = rd->next;
    bool packed = h.stored != h.raw;
    if (h.raw == 0)
        return 0;
    bool more = rd->offset + h.stored < run->bytes;
    if (read_all(run, packed ? rd->packed : rd->raw, h.stored + (more ? sizeof rd->next : 0), rd->offset,
                 err) < 0)
        return -1;
    rd->offset += h.stored;
    rd->next = (struct frame_head){0};
    if (more) {
        memcpy(&rd->next, (packed ? rd->packed : rd->raw) + h.stored, sizeof rd->next);
        rd->offset += sizeof rd->next;
        posix_fadvise(run->fd, (off_t)rd->offset, rd->next.stored, POSIX_FADV_WILLNEED);
    }
    rd->at = 0;
    rd->len = h.raw;
    return packed && unpack(rd, h.stored, h.raw, err) < 0 ? -1 : 1;
}

int cdp_run_next(struct cdp_run_reader *rd, struct cdp_sorted *r, struct cdp_err *err)
{
    if (rd->at == rd->len) {
        int rc = read_frame(rd, err);
        if (rc <= 0)
            return rc;
    }
    struct cdp_entry_head h;
    const char *p = rd->raw + rd->at;
    memcpy(&h, p, sizeof h);
    *r = (struct cdp_sorted){.key = (const unsigned char *)p + sizeof h,
                             .payload = p + sizeof h + h.key_len,
                             .key_len = h.key_len,
                             .len = h.len,
                             .seq = h.seq};
    rd->at += sizeof h + h.key_len + h.len;
    return 1;
}

/* The last point that is not after the split; where none is, the beginning. */
static uint64_t point_before(const struct cdp_run *run, const struct cdp_split *split)
{
    size_t from = 0, n = run->points;
    while (n) {
        const struct cdp_run_point *mid = &run->point[from + n / 2];
        if (cdp_sort_cmp(mid->key, mid->key_len, mid->seq, split->key, split->key_len, split->seq, 0) <= 0) {
            from += n / 2 + 1;
            n -= n / 2 + 1;
        } else {
            n /= 2;
        }
    }
    return from ? run->point[from - 1].offset : 0;
}

/* Steps over the records before the split. */
static int skip_to(struct cdp_run_reader *rd, const struct cdp_split *split, struct cdp_err *err)
{
    for (;;) {
        struct cdp_sorted r;
        int rc = cdp_run_next(rd, &r, err);
        if (rc <= 0)
            return rc;
        if (cdp_sort_cmp(r.key, r.key_len, r.seq, split->key, split->key_len, split->seq, 0) >= 0) {
            rd->at = (size_t)((const char *)r.key - rd->raw) - sizeof(struct cdp_entry_head);
            return 1;
        }
    }
}

struct cdp_run_reader *cdp_run_open(const struct cdp_run *run, const struct cdp_split *from,
                                    struct cdp_err *err)
{
    struct cdp_run_reader *rd = cdp_mem_zalloc(1, sizeof *rd, err);
    if (!rd)
        return NULL;
    rd->run = run;
    rd->raw = cdp_mem_alloc(run->frame + sizeof rd->next, err);
    rd->packed = run->packed ? cdp_mem_alloc(run->frame + sizeof rd->next, err) : NULL;
    uint64_t offset = from ? point_before(run, from) : 0;
    rd->offset = offset + sizeof rd->next;
    if (!rd->raw || (run->packed && !rd->packed) ||
        (run->bytes && read_all(run, &rd->next, sizeof rd->next, offset, err) < 0) ||
        (from && skip_to(rd, from, err) < 0)) {
        cdp_run_close(rd);
        return NULL;
    }
    return rd;
}

void cdp_run_close(struct cdp_run_reader *rd)
{
    if (!rd)
        return;
    free(rd->raw);
    free(rd->packed);
    free(rd);
}
