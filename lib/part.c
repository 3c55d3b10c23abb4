/* part: see part.h.  Here: partitions, pieces, packing.  Files and directories are in part_commit.c. */
#include "lib/part.h"

#include "lib/atomic.h"
#include "lib/gz.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/out.h"
#include "lib/part_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)256 << 10)
#define FIRST_SLOTS 256

/* ---- names ---- */

static bool must_escape(unsigned char c)
{
    return c < 0x20 || c == 0x7f || strchr("\"#%'*/:=?\\{[]^", c) != NULL;
}

static void escape(struct cdp_buf *out, const char *s, size_t n)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (must_escape(c)) {
            char coded[3] = {'%', hex[c >> 4], hex[c & 15]};
            cdp_buf_add(out, coded, 3);
        } else {
            cdp_buf_addc(out, (char)c);
        }
    }
}

static int value_text(struct cdp_val value, struct cdp_buf *text, struct cdp_err *err)
{
    struct cdp_num n = CDP_NUM_ZERO;
    int rc = 0;
    switch (value.type) {
    case CDP_MISSING:
    case CDP_NULL:
        break;
    case CDP_STRING:
        cdp_val_decode(value, text);
        break;
    case CDP_NUMBER:
        rc = cdp_num_parse(&n, value.p, value.len, err);
        if (rc == 0)
            cdp_num_format(&n, text);
        cdp_num_free(&n);
        break;
    case CDP_FALSE:
    case CDP_TRUE:
        cdp_buf_add(text, value.p, value.len);
        break;
    default:
        return cdp_err_set(err, CDP_EXIT_DATA, "an array or object cannot name a partition");
    }
    return rc < 0 ? -1 : cdp_buf_check(text, err);
}

int cdp_part_name(struct cdp_buf *out, const char *name, struct cdp_val value, struct cdp_err *err)
{
    size_t from = out->len;
    struct cdp_buf text = {0};
    int rc = value_text(value, &text, err);
    if (rc == 0) {
        escape(out, name, strlen(name));
        cdp_buf_addc(out, '=');
        if (text.len == 0)
            cdp_buf_adds(out, "__HIVE_DEFAULT_PARTITION__");
        else
            escape(out, text.data, text.len);
        rc = cdp_buf_check(out, err);
    }
    cdp_buf_free(&text);
    if (rc == 0 && out->len - from > 255)
        rc = cdp_err_set(err, CDP_EXIT_DATA, "the name of the partition is longer than 255 bytes");
    return rc;
}

/* ---- life ---- */

/* Now, so that a list that cannot be written is known before the dataset is changed. */
static int open_lists(struct cdp_part *p, struct cdp_err *err)
{
    if (p->opts.manifest && !(p->manifest = cdp_out_open(p->opts.manifest, false, err)))
        return -1;
    if (p->opts.touched && !(p->touched = cdp_out_open(p->opts.touched, false, err)))
        return -1;
    return 0;
}

struct cdp_part *cdp_part_open(const struct cdp_part_opts *opts, struct cdp_err *err)
{
    struct cdp_part *p = cdp_mem_zalloc(1, sizeof *p, err);
    if (!p)
        return NULL;
    p->opts = *opts;
    p->lock_fd = p->spill_fd = -1;
    pthread_mutex_init(&p->lock, NULL);
    p->index = cdp_mem_zalloc(FIRST_SLOTS, sizeof *p->index, err);
    p->slots = FIRST_SLOTS;
    if (!p->index || cdp_part_stage(p, err) < 0 || open_lists(p, err) < 0) {
        cdp_part_free(p);
        return NULL;
    }
    return p;
}

static void file_free(struct part_file *f)
{
    while (f->waiting) {
        struct part_packed *next = f->waiting->next;
        cdp_buf_free(&f->waiting->data);
        free(f->waiting);
        f->waiting = next;
    }
    cdp_hash_stream_free(f->sum);
    free(f->path);
    free(f);
}

static void job_free(struct part_job *job)
{
    free(job->aside);
    cdp_buf_free(&job->data);
}

void cdp_part_free(struct cdp_part *p)
{
    if (!p)
        return;
    cdp_part_unstage(p);
    cdp_out_abort(p->manifest);
    cdp_out_abort(p->touched);
    for (size_t i = 0; i < p->partitions; i++) {
        free(p->partition[i].path);
        free(p->partition[i].aside);
        cdp_buf_free(&p->partition[i].piece);
    }
    for (size_t i = 0; i < p->files; i++)
        file_free(p->file[i]);
    for (size_t i = 0; i < p->jobs; i++)
        job_free(&p->job[i]);
    for (size_t i = 0; i < p->spares; i++)
        cdp_buf_free(&p->spare[i]);
    for (size_t i = 0; i < p->packers; i++)
        cdp_gzip_packer_free(p->packer[i]);
    if (p->spill_fd >= 0)
        close(p->spill_fd);
    pthread_mutex_destroy(&p->lock);
    free(p->partition);
    free(p->index);
    free(p->file);
    free(p->job);
    free(p->spare);
    free(p->packer);
    free(p);
}

/* ---- in turn: lines to pieces ---- */

static uint32_t *slot_of(const struct cdp_part *p, struct cdp_hash128 hash, const char *path, size_t n)
{
    size_t i = hash.lo & (p->slots - 1);
    for (; p->index[i]; i = (i + 1) & (p->slots - 1)) {
        const struct part_partition *at = &p->partition[p->index[i] - 1];
        if (at->hash.lo == hash.lo && at->hash.hi == hash.hi &&
            (!path || (strncmp(at->path, path, n) == 0 && at->path[n] == '\0')))
            break;
    }
    return &p->index[i];
}

static int widen(struct cdp_part *p, struct cdp_err *err)
{
    uint32_t *index = cdp_mem_zalloc(p->slots * 2, sizeof *index, err);
    if (!index)
        return -1;
    free(p->index);
    p->index = index;
    p->slots *= 2;
    for (size_t i = 0; i < p->partitions; i++) {
        size_t at = p->partition[i].hash.lo & (p->slots - 1);
        while (index[at])
            at = (at + 1) & (p->slots - 1);
        index[at] = (uint32_t)i + 1;
    }
    return 0;
}

static struct part_partition *partition(struct cdp_part *p, const char *path, size_t n,
                                        struct cdp_hash128 hash, struct cdp_err *err)
{
    uint32_t *slot = slot_of(p, hash, path, n);
    if (*slot)
        return &p->partition[*slot - 1];
    if (p->partitions >= p->slots / 2 && widen(p, err) < 0)
        return NULL;
    struct part_partition *more =
        cdp_mem_grow(p->partition, &p->partition_cap, p->partitions + 1, sizeof *more, err);
    if (!more)
        return NULL;
    p->partition = more;
    struct part_partition *q = &more[p->partitions];
    *q = (struct part_partition){.hash = hash, .path = cdp_mem_strndup(path, n, err)};
    if (!q->path || cdp_part_first_number(p, q->path, &q->number, err) < 0) {
        free(q->path);
        return NULL;
    }
    *slot_of(p, hash, path, n) = (uint32_t)++p->partitions;
    return q;
}

/* In front of a file's number that has more than five digits, a letter that tells how many (a100000, b1000000): so files in
 * byte order of their names, which is how readers take them, are in order of their numbers. */
static const char *number_letter(unsigned number)
{
    static const char letter[][2] = {"", "a", "b", "c", "d", "e"};
    size_t more = 0;
    for (unsigned n = number / 100000; n; n /= 10)
        more++;
    return letter[more];
}

/* The file's name gets its digest when it is complete: cdp_part_name_file. */
static struct part_file *begin_file(struct cdp_part *p, struct part_partition *q, struct cdp_err *err)
{
    struct part_file **all =
        cdp_mem_grow(p->file, &p->file_cap, p->files + 1, sizeof(struct part_file *), err);
    if (!all)
        return NULL;
    p->file = all;
    struct part_file *f = cdp_mem_zalloc(1, sizeof *f, err);
    if (!f)
        return NULL;
    all[p->files++] = f;
    struct cdp_buf path = {0};
    cdp_buf_addf(&path, "%s/part-%s%05u" CDP_PART_SUFFIX, q->path, number_letter(q->number), q->number);
    q->number++;
    f->path = path.data; /* with the NUL that printf ends it with */
    if (cdp_buf_check(&path, err) < 0)
        return NULL;
    f->sum = cdp_hash_stream_new();
    if (!f->sum) {
        cdp_err_nomem(err, 0);
        return NULL;
    }
    return q->file = f;
}

/* Puts all open pieces aside: memory is needed more than their bytes. */
static int put_aside(struct cdp_part *p, struct cdp_err *err)
{
    if (p->spill_fd < 0 && (p->spill_fd = cdp_temp_open(p->opts.tmpdir, err)) < 0)
        return -1;
    for (size_t i = 0; i < p->partitions; i++) {
        struct part_partition *q = &p->partition[i];
        if (q->piece.len == 0)
            continue;
        struct part_extent *e = cdp_mem_grow(q->aside, &q->aside_cap, q->asides + 1, sizeof *e, err);
        if (!e)
            return -1;
        q->aside = e;
        e[q->asides++] = (struct part_extent){p->spilled, (uint32_t)q->piece.len};
        if (cdp_write_all(p->spill_fd, q->piece.data, q->piece.len, "temporary file", err) < 0)
            return -1;
        p->spilled += q->piece.len;
        q->aside_bytes += q->piece.len;
        cdp_buf_free(&q->piece);
    }
    p->buffered = 0;
    return 0;
}

/* The open piece is complete: it becomes a job. */
static int end_piece(struct cdp_part *p, struct part_partition *q, bool last, struct cdp_err *err)
{
    const struct part_job job = {.file = q->file,
                                 .aside = q->aside,
                                 .asides = q->asides,
                                 .aside_bytes = q->aside_bytes,
                                 .data = q->piece,
                                 .number = q->file->pieces,
                                 .last = last};
    pthread_mutex_lock(&p->lock);
    struct part_job *more = cdp_mem_grow(p->job, &p->job_cap, p->jobs + 1, sizeof *more, err);
    if (more) {
        p->job = more;
        more[p->jobs++] = job;
    }
    pthread_mutex_unlock(&p->lock);
    if (!more)
        return -1;
    p->buffered -= q->piece.cap;
    q->piece = (struct cdp_buf){0};
    q->aside = NULL;
    q->asides = q->aside_cap = 0;
    q->aside_bytes = 0;
    q->file->pieces++;
    if (last)
        q->file = NULL;
    return 0;
}

/* The file has all its lines. */
static int end_file(struct cdp_part *p, struct part_partition *q, struct cdp_err *err)
{
    struct part_file *f = q->file;
    f->digest = cdp_hash_stream_end(f->sum);
    cdp_hash_stream_free(f->sum);
    f->sum = NULL;
    return end_piece(p, q, true, err);
}

/* A buffer for the whole piece, where all partitions may have one. */
static void take_spare(struct cdp_part *p, struct part_partition *q)
{
    if (p->partitions * PIECE > p->opts.memory)
        return;
    pthread_mutex_lock(&p->lock);
    if (p->spares)
        q->piece = p->spare[--p->spares];
    pthread_mutex_unlock(&p->lock);
    p->buffered += q->piece.cap;
}

static int add_line(struct cdp_part *p, struct part_partition *q, const char *line, size_t len,
                    struct cdp_err *err)
{
    if (!q->piece.data)
        take_spare(p, q);
    size_t had = q->piece.cap;
    cdp_buf_add(&q->piece, line, len);
    p->buffered += q->piece.cap - had;
    return cdp_buf_check(&q->piece, err);
}

int cdp_part_add(struct cdp_part *p, const char *path, size_t path_len, struct cdp_hash128 hash,
                 const char *line, size_t len, const struct cdp_time *time, struct cdp_err *err)
{
    struct part_partition *q = partition(p, path, path_len, hash, err);
    if (!q)
        return -1;
    if (q->file && (q->file->records == p->opts.records || q->file->bytes + len > p->opts.bytes) &&
        end_file(p, q, err) < 0)
        return -1;
    struct part_file *f = q->file ? q->file : begin_file(p, q, err);
    if (!f)
        return -1;
    f->records++;
    f->bytes += len;
    if (time) {
        if (!f->timed || cdp_time_cmp(*time, f->min) < 0)
            f->min = *time;
        if (!f->timed || cdp_time_cmp(*time, f->max) > 0)
            f->max = *time;
        f->timed = true;
    }
    cdp_hash_stream_add(f->sum, line, len);
    if (add_line(p, q, line, len, err) < 0)
        return -1;
    if (q->aside_bytes + q->piece.len >= PIECE)
        return end_piece(p, q, false, err);
    return p->buffered > p->opts.memory ? put_aside(p, err) : 0;
}

/* ---- in parallel: packing ---- */

static struct cdp_gzip_packer *borrow_packer(struct cdp_part *p, struct cdp_err *err)
{
    pthread_mutex_lock(&p->lock);
    struct cdp_gzip_packer *z = p->packers ? p->packer[--p->packers] : NULL;
    pthread_mutex_unlock(&p->lock);
    return z ? z : cdp_gzip_packer_new(err);
}

static void return_packer(struct cdp_part *p, struct cdp_gzip_packer *z)
{
    struct cdp_err err;
    pthread_mutex_lock(&p->lock);
    struct cdp_gzip_packer **more = cdp_mem_grow(p->packer, &p->packer_cap, p->packers + 1, sizeof z, &err);
    if (more) {
        p->packer = more;
        more[p->packers++] = z;
    }
    pthread_mutex_unlock(&p->lock);
    if (!more)
        cdp_gzip_packer_free(z);
}

static void return_buffer(struct cdp_part *p, struct cdp_buf *b)
{
    struct cdp_err err;
    cdp_buf_clear(b);
    pthread_mutex_lock(&p->lock);
    struct cdp_buf *more = p->spares < 16 && b->cap < 2 * PIECE
                               ? cdp_mem_grow(p->spare, &p->spare_cap, p->spares + 1, sizeof *more, &err)
                               : NULL;
    if (more) {
        p->spare = more;
        more[p->spares++] = *b;
        *b = (struct cdp_buf){0};
    }
    pthread_mutex_unlock(&p->lock);
    cdp_buf_free(b);
}

static void wait_in_line(struct part_file *f, struct part_packed *k)
{
    struct part_packed **at = &f->waiting;
    while (*at && (*at)->number < k->number)
        at = &(*at)->next;
    k->next = *at;
    *at = k;
}

/* Writes the file's pieces that are next in order, unless another thread is at it and will see them. */
static int write_ready(struct cdp_part *p, struct part_file *f, struct part_packed *mine, struct cdp_err *err)
{
    int rc = 0;
    pthread_mutex_lock(&p->lock);
    wait_in_line(f, mine);
    while (rc == 0 && !f->busy && f->waiting && f->waiting->number == f->next) {
        struct part_packed *k = f->waiting;
        f->waiting = k->next;
        f->next++;
        f->busy = true;
        pthread_mutex_unlock(&p->lock);
        f->crc = cdp_gzip_crc_join(f->crc, k->crc, k->raw);
        if (k->last)
            cdp_gzip_tail(f->crc, f->bytes, &k->data);
        rc = cdp_buf_check(&k->data, err);
        if (rc == 0)
            rc = cdp_part_append_file(p, f, &k->data, err);
        f->file_bytes += k->data.len;
        if (rc == 0 && k->last)
            rc = cdp_part_name_file(p, f, err);
        return_buffer(p, &k->data);
        free(k);
        pthread_mutex_lock(&p->lock);
        f->busy = false;
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

/* Brings back what was put aside, in front of the rest. */
static int gather(const struct cdp_part *p, struct part_job *job, struct cdp_err *err)
{
    struct cdp_buf whole = {0};
    int rc = cdp_buf_reserve(&whole, job->aside_bytes + job->data.len) ? 0 : cdp_buf_check(&whole, err);
    for (size_t i = 0; rc == 0 && i < job->asides; i++) {
        uint32_t left = job->aside[i].len;
        uint64_t at = job->aside[i].at;
        while (rc == 0 && left) {
            ssize_t n = pread(p->spill_fd, whole.data + whole.len, left, (off_t)at);
            if (n == 0)
                errno = EIO;
            if (n <= 0 && errno != EINTR)
                rc = cdp_err_errno(err, "temporary file: cannot read");
            if (n > 0) {
                whole.len += (size_t)n;
                left -= (uint32_t)n;
                at += (uint64_t)n;
            }
        }
    }
    cdp_buf_add(&whole, job->data.data, job->data.len);
    cdp_buf_free(&job->data);
    job->data = whole;
    return rc;
}

static int pack_job(struct cdp_part *p, struct cdp_gzip_packer *z, struct part_job *job, struct cdp_err *err)
{
    struct part_packed *k = NULL;
    if ((job->asides && gather(p, job, err) < 0) || !(k = cdp_mem_zalloc(1, sizeof *k, err))) {
        job_free(job);
        return -1;
    }
    *k = (struct part_packed){.number = job->number, .raw = job->data.len, .last = job->last};
    if (job->number == 0)
        cdp_gzip_head(&k->data);
    int rc = cdp_gzip_piece(z, job->data.data, job->data.len, job->last, &k->data, &k->crc, err);
    return_buffer(p, &job->data);
    job_free(job);
    if (rc < 0) {
        cdp_buf_free(&k->data);
        free(k);
        return -1;
    }
    return write_ready(p, job->file, k, err);
}

int cdp_part_work(struct cdp_part *p, struct cdp_err *err)
{
    struct cdp_gzip_packer *z = NULL;
    int rc = 0;
    while (rc == 0) {
        struct part_job job;
        pthread_mutex_lock(&p->lock);
        bool some = p->jobs > 0;
        if (some)
            job = p->job[--p->jobs];
        pthread_mutex_unlock(&p->lock);
        if (!some)
            break;
        if (!z && !(z = borrow_packer(p, err))) {
            job_free(&job);
            return -1;
        }
        rc = pack_job(p, z, &job, err);
    }
    if (z)
        return_packer(p, z);
    return rc;
}

/* ---- at the end ---- */

struct helper {
    struct cdp_part *p;
    struct cdp_err err;
    int rc;
};

static void *help(void *arg)
{
    struct helper *h = arg;
    h->rc = cdp_part_work(h->p, &h->err);
    return NULL;
}

static int work_together(struct cdp_part *p, unsigned threads, struct cdp_err *err)
{
    struct helper helper[64];
    pthread_t thread[64];
    unsigned started = 0;
    for (unsigned n = threads > 64 ? 64 : threads; started + 1 < n; started++) {
        helper[started] = (struct helper){.p = p};
        if (pthread_create(&thread[started], NULL, help, &helper[started]) != 0)
            break;
    }
    int rc = cdp_part_work(p, err);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(thread[i], NULL);
        if (helper[i].rc < 0 && rc == 0) {
            rc = -1;
            *err = helper[i].err;
        }
    }
    return rc;
}

int cdp_part_finish(struct cdp_part *p, unsigned threads, struct cdp_err *err)
{
    for (size_t i = 0; i < p->partitions; i++)
        if (p->partition[i].file && end_file(p, &p->partition[i], err) < 0)
            return -1;
    return work_together(p, threads, err);
}
