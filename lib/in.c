/* in: see in.h.
 *
 * Bytes are read straight into the caller's block; only the part of a line behind the last newline is copied, to the front of
 * the next block.  A source's end or a fault of the stream is kept back until the lines before it are handed out. */
#include "lib/in.h"

#include "lib/arc.h"
#include "lib/buf.h"
#include "lib/mem.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cdp_in {
    const char *const *names;
    size_t n, next;      /* operands, and the next to open */
    struct cdp_arc *arc; /* the one that is open */
    bool in_source;      /* a stream of it is being read */
    bool within;         /* which begins within its file */
    bool fresh;          /* nothing of the stream has been handed out */
    bool inside;         /* a piece of the line was handed out, and its end was not */
    struct cdp_in_opts opts;
    struct cdp_buf carry; /* the begun line */
    uint64_t seq, bytes, offset;
    int fd;              /* of a plain regular file, else -1 */
    uint64_t file_base;  /* where its reading began */
    uint64_t done, size; /* progress: operands closed, all operands */
    bool failed;         /* `fault` comes after the block just handed out */
    struct cdp_err fault;
    pthread_mutex_t lock; /* of the names below, which other threads ask for */
    char **source;
    size_t sources, cap;
};

static const char *const standard_input[] = {"-"};

size_t cdp_in_max_record(uint64_t asked)
{
    const size_t most = UINT32_MAX - CDP_BLOCK_SIZE; /* spans are 32 bits */
    return asked == 0 ? CDP_MAX_RECORD : asked < most ? (size_t)asked : most;
}

struct cdp_in *cdp_in_open(const char *const *names, size_t n, const struct cdp_in_opts *opts,
                           struct cdp_err *err)
{
    struct cdp_in *in = cdp_mem_zalloc(1, sizeof *in, err);
    if (!in)
        return NULL;
    in->names = n ? names : standard_input;
    in->n = n ? n : 1;
    if (opts)
        in->opts = *opts;
    if (in->opts.block == 0)
        in->opts.block = CDP_BLOCK_SIZE;
    in->opts.max_record = cdp_in_max_record(in->opts.max_record);
    if (in->opts.block > in->opts.max_record) /* so that only the first line of a block can be longer */
        in->opts.block = in->opts.max_record;
    pthread_mutex_init(&in->lock, NULL);
    for (size_t i = 0; i < in->n; i++) {
        struct stat st;
        if (strcmp(in->names[i], "-") == 0 ? fstat(0, &st) : stat(in->names[i], &st))
            continue;
        if (!S_ISREG(st.st_mode)) {
            in->size = 0;
            break;
        }
        in->size += (uint64_t)st.st_size;
    }
    return in;
}

void cdp_in_close(struct cdp_in *in)
{
    if (!in)
        return;
    cdp_arc_close(in->arc);
    cdp_buf_free(&in->carry);
    for (size_t i = 0; i < in->sources; i++)
        free(in->source[i]);
    free(in->source);
    pthread_mutex_destroy(&in->lock);
    free(in);
}

static int add_source(struct cdp_in *in, const char *name, struct cdp_err *err)
{
    char *copy = cdp_mem_strndup(name, strlen(name), err);
    if (!copy)
        return -1;
    pthread_mutex_lock(&in->lock);
    char **source = cdp_mem_grow(in->source, &in->cap, in->sources + 1, sizeof *source, err);
    if (source) {
        in->source = source;
        source[in->sources++] = copy;
    }
    pthread_mutex_unlock(&in->lock);
    if (!source)
        free(copy);
    return source ? 0 : -1;
}

const char *cdp_in_source_name(struct cdp_in *in, uint32_t source)
{
    pthread_mutex_lock(&in->lock);
    const char *name = source < in->sources ? in->source[source] : "-";
    pthread_mutex_unlock(&in->lock);
    return name;
}

/* Tells idle where a read would wait, and again each second, so that it can say how far the run is. */
static int pause_for_input(struct cdp_in *in, struct cdp_err *err)
{
    if (!in->opts.idle)
        return 0;
    do {
        if (in->opts.idle(in->opts.idle_arg, err) < 0)
            return -1;
    } while (!cdp_arc_wait(in->arc, 1000));
    return 0;
}

/* The next stream: 1, 0 where there is none left. */
static int next_source(struct cdp_in *in, struct cdp_err *err)
{
    for (;;) {
        if (!in->arc) {
            if (in->next == in->n)
                return 0;
            size_t i = in->next++;
            const char *operand = in->names[i];
            off_t at = strcmp(operand, "-") == 0 ? lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
            in->file_base = at < 0 ? 0 : (uint64_t)at;
            in->arc = in->opts.open ? in->opts.open(in->opts.source_arg, i, err) : cdp_arc_open(operand, err);
            if (!in->arc)
                return -1;
        }
        /* What a pipe's bytes are is known only when they come. */
        if (cdp_arc_would_block(in->arc) && pause_for_input(in, err) < 0)
            return -1;
        const char *name;
        int rc = cdp_arc_next(in->arc, &name, err);
        if (rc < 0)
            return -1;
        if (rc == 1 && in->opts.want &&
            !in->opts.want(in->opts.source_arg, in->next - 1, name, cdp_arc_fd(in->arc) >= 0))
            continue;
        if (rc == 1) {
            in->in_source = in->fresh = true;
            in->inside = false;
            in->within = cdp_arc_within(in->arc);
            in->offset = 0;
            struct stat st;
            in->fd = cdp_arc_fd(in->arc);
            if (in->opts.open || (in->fd >= 0 && (fstat(in->fd, &st) < 0 || !S_ISREG(st.st_mode))))
                in->fd = -1;
            return add_source(in, name, err) < 0 ? -1 : 1;
        }
        unsigned long long done, size;
        cdp_arc_progress(in->arc, &done, &size);
        in->done += size;
        cdp_arc_close(in->arc);
        in->arc = NULL;
    }
}

#define SLACK 8 /* times what is needed: memory past that was for a long line and is given back */

static void give_back(struct cdp_in *in, struct cdp_block *b)
{
    if (b->cap / SLACK > CDP_BLOCK_SIZE + in->carry.len) {
        free(b->data);
        b->data = NULL;
        b->cap = 0;
    }
}

static int reserve(struct cdp_block *b, size_t len, struct cdp_err *err)
{
    if (b->cap >= len + CDP_PAD + 1)
        return 0;
    char *data = cdp_mem_grow(b->data, &b->cap, len + CDP_PAD + 1, 1, err);
    if (!data)
        return -1;
    b->data = data;
    return 0;
}

/* The block begins with a line that is too long: an error, or a piece of it is handed out. */
static int over_long(struct cdp_in *in, struct cdp_block *b, size_t *whole, struct cdp_err *err)
{
    *whole = 0;
    if (!in->opts.pieces)
        return cdp_err_set(err, CDP_EXIT_DATA, "%s: the record at byte %llu is longer than %zu bytes",
                           cdp_in_source_name(in, (uint32_t)in->sources - 1), (unsigned long long)in->offset,
                           in->opts.max_record);
    *whole = in->opts.max_record;
    b->inside_end = true;
    return 0;
}

/* Notes the newlines from `from` on.  False where the first line, the only one that may be so, is too long. */
static bool mark(const struct cdp_in *in, const struct cdp_block *b, size_t from, size_t *whole)
{
    const char *last = memrchr(b->data + from, '\n', b->len - from);
    if (!last)
        return true;
    const char *first = *whole ? NULL : memchr(b->data + from, '\n', b->len - from);
    *whole = (size_t)(last - b->data) + 1;
    return !first || (size_t)(first - b->data) <= in->opts.max_record;
}

/* Reads until the block is full of whole lines, the source ends, or reading on would mean waiting.  *whole: bytes up to and
 * with the last newline. */
static int fill(struct cdp_in *in, struct cdp_block *b, size_t *whole, struct cdp_err *err)
{
    *whole = 0;
    if (in->inside && !mark(in, b, 0, whole)) /* whole lines may have stood behind a piece */
        return over_long(in, b, whole, err);
    while (*whole == 0 || b->len < in->opts.block) {
        if (b->len - *whole > in->opts.max_record)
            return *whole ? 0 : over_long(in, b, whole, err);
        size_t room = b->len < in->opts.block ? in->opts.block - b->len : b->len;
        if (reserve(b, b->len + room, err) < 0)
            return -1;
        if (cdp_arc_would_block(in->arc)) {
            if (*whole)
                return 0;
            if (pause_for_input(in, err) < 0)
                return -1;
        }
        ssize_t n = cdp_arc_read(in->arc, b->data + b->len, room, err);
        if (n < 0)
            return -1;
        if (n == 0) {
            in->in_source = false;
            if (b->len > *whole) {
                b->data[b->len++] = '\n';
                b->added_newline = true;
            }
            *whole = b->len;
            return 0;
        }
        b->len += (size_t)n;
        if (!mark(in, b, b->len - (size_t)n, whole))
            return over_long(in, b, whole, err);
    }
    return 0;
}

/* Hands out [0, whole) of the block and keeps the rest for the next. */
static int hand_out(struct cdp_in *in, struct cdp_block *b, size_t whole, struct cdp_err *err)
{
    cdp_buf_clear(&in->carry);
    if (in->carry.cap / SLACK > CDP_BLOCK_SIZE + b->len - whole)
        cdp_buf_free(&in->carry);
    cdp_buf_add(&in->carry, b->data + whole, b->len - whole);
    if (cdp_buf_check(&in->carry, err) < 0)
        return -1;
    b->len = whole;
    b->inside_start = in->inside;
    in->inside = b->inside_end;
    b->first = in->fresh;
    b->operand = in->next - 1;
    b->offset = in->offset;
    b->source = (uint32_t)in->sources - 1;
    in->offset += whole - b->added_newline;
    if (in->fresh && !in->within && whole >= 3 && memcmp(b->data, "\xEF\xBB\xBF", 3) == 0) {
        memmove(b->data, b->data + 3, b->len -= 3);
        b->offset = 3;
    }
    in->fresh = false;
    if (b->first && in->fd >= 0) {
        b->fd = fcntl(in->fd, F_DUPFD_CLOEXEC, 3); /* the reader may be far ahead when the block is applied */
        b->own_fd = b->fd >= 0;
    }
    b->file_at = in->file_base + b->offset;
    cdp_in_progress(in, &b->done, &b->size);
    memset(b->data + b->len, 0, CDP_PAD);
    in->bytes += b->len;
    return 1;
}

static void close_fd(struct cdp_block *b)
{
    if (b->own_fd)
        close(b->fd);
    b->own_fd = false;
    b->fd = -1;
}

int cdp_in_next(struct cdp_in *in, struct cdp_block *b, struct cdp_err *err)
{
    close_fd(b);
    for (;;) {
        if (in->failed) {
            *err = in->fault;
            return -1;
        }
        if (!in->in_source) {
            int rc = next_source(in, err);
            if (rc < 0) {
                in->failed = true;
                in->fault = *err;
            }
            if (rc <= 0)
                return rc;
        }
        b->len = 0;
        b->added_newline = b->inside_end = false;
        give_back(in, b);
        if (reserve(b, in->opts.block + in->carry.len, err) < 0)
            return -1;
        if (in->carry.len)
            memcpy(b->data, in->carry.data, in->carry.len);
        b->len = in->carry.len;
        size_t whole;
        if (fill(in, b, &whole, err) < 0) {
            in->failed = true;
            in->fault = *err;
        }
        if (whole == 0) {
            cdp_buf_clear(&in->carry);
            continue;
        }
        b->seq = in->seq++;
        return hand_out(in, b, whole, err);
    }
}

uint64_t cdp_in_bytes(const struct cdp_in *in)
{
    return in->bytes;
}

void cdp_in_progress(const struct cdp_in *in, uint64_t *done, uint64_t *size)
{
    unsigned long long part = 0, part_size = 0;
    if (in->arc)
        cdp_arc_progress(in->arc, &part, &part_size);
    *done = in->done + part;
    *size = in->size;
}

void cdp_block_free(struct cdp_block *b)
{
    close_fd(b);
    free(b->data);
    *b = (struct cdp_block){0};
}
