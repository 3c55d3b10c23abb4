/* concat: see concat.h.
 *
 * Each worker takes the next input and unpacks it into a buffer of its own; when all inputs before it are written, it is
 * its turn, and so is the buffer.  On a regular output file a turn is only the reservation of a region, which is filled
 * after the turn was passed on, in parallel; so a worker there gathers a file even when it has the turn, as long as the
 * file fits its buffer.  Otherwise the worker that has the turn passes on what it reads, and flushes when its input
 * pauses.  A plain file is not worth gathering: it is copied through a small buffer, into a region of its size or in its
 * turn.
 *
 * Memory: AHEAD bytes, shared by the threads, and an unpacker each. */
#include "lib/concat.h"

#include "lib/arc.h"
#include "lib/buf.h"
#include "lib/mem.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_THREADS 64
#define AHEAD ((size_t)40 << 20)
#define LEAST ((size_t)2 << 20)   /* of it for a thread */
#define PIECE ((size_t)512 << 10) /* read and written at a time */
#define CLAIM ((size_t)64 << 10)  /* smaller output is gathered instead of being placed */

static const char bom[] = "\xEF\xBB\xBF";

struct run {
    const struct cdp_inputs *in;
    const struct cdp_concat_opts *opts;
    struct cdp_out *out;
    atomic_size_t next, turn; /* the input to be taken, and the one that may write */
    atomic_bool stop;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t turned;
    struct cdp_err err;
    struct cdp_concat_counts *counts;
    uint64_t done, size; /* bytes on disk, for the progress */
};

struct worker {
    struct run *run;
    struct cdp_arc *arc;
    size_t i;  /* the input */
    char *buf; /* [0, len) is unpacked and not written */
    size_t len, cap;
    uint64_t lines; /* written */
    bool my_turn;
    bool streams; /* in turn, passes on what it reads at once */
    struct cdp_err err;
};

/* ---- turns ---- */

/* False where the run was stopped by an input before. */
static bool wait_turn(struct worker *w)
{
    struct run *run = w->run;
    if (!w->my_turn) {
        pthread_mutex_lock(&run->lock);
        while (atomic_load(&run->turn) != w->i)
            pthread_cond_wait(&run->turned, &run->lock);
        pthread_mutex_unlock(&run->lock);
        w->my_turn = true;
    }
    return !atomic_load(&run->stop);
}

static void pass_turn(struct worker *w)
{
    struct run *run = w->run;
    unsigned long long done = 0, size = 0;
    if (w->arc)
        cdp_arc_progress(w->arc, &done, &size);
    pthread_mutex_lock(&run->lock);
    run->done += size;
    atomic_store(&run->turn, w->i + 1);
    pthread_cond_broadcast(&run->turned);
    pthread_mutex_unlock(&run->lock);
    w->my_turn = false;
}

static void stop(struct worker *w)
{
    struct run *run = w->run;
    pthread_mutex_lock(&run->lock);
    if (!atomic_load(&run->stop)) {
        run->err = w->err;
        atomic_store(&run->stop, true);
    }
    pthread_mutex_unlock(&run->lock);
}

/* ---- writing ---- */

static void count(struct worker *w, size_t n)
{
    if (w->run->opts->count)
        w->lines += cdp_buf_count(w->buf, n, '\n');
}

/* In turn: the buffer goes out. */
static int put(struct worker *w)
{
    count(w, w->len);
    if (!wait_turn(w))
        return -1;
    int rc = cdp_out_write(w->run->out, w->buf, w->len, &w->err);
    w->len = 0;
    return rc;
}

/* The last of an input: where the output allows it, the place is reserved and filled after the turn. */
static int put_last(struct worker *w)
{
    struct run *run = w->run;
    if (w->len < CLAIM || !cdp_out_seekable(run->out)) {
        int rc = put(w);
        if (rc == 0)
            pass_turn(w);
        return rc;
    }
    struct iovec all = {w->buf, w->len};
    off_t at;
    count(w, w->len);
    if (!wait_turn(w) || cdp_out_claim(run->out, w->len, &at, &w->err) < 0)
        return -1;
    pass_turn(w);
    w->len = 0;
    return cdp_out_put(run->out, at, &all, 1, &w->err);
}

/* ---- plain files ---- */

/* Copies [at, end) of a plain file into a region of the output, with a newline where it lacks one. */
static int place(struct worker *w, int fd, off_t at, off_t end, bool newline)
{
    struct run *run = w->run;
    off_t to;
    if (!wait_turn(w))
        return -1;
    /* Whoever reads standard input next, an operand or another program, goes on behind it. */
    if (strcmp(run->in->path[w->i], "-") == 0 && lseek(fd, end, SEEK_SET) < 0)
        return cdp_err_errno(&w->err, "-: cannot seek");
    if (cdp_out_claim(run->out, (size_t)(end - at) + newline, &to, &w->err) < 0)
        return -1;
    pass_turn(w);
    while (at < end || newline) {
        size_t room = end - at < (off_t)PIECE ? (size_t)(end - at) : PIECE;
        ssize_t n = room ? pread(fd, w->buf, room, at) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cdp_err_errno(&w->err, "%s: cannot read", run->in->path[w->i]);
        if (n == 0 && room)
            return cdp_err_set(&w->err, CDP_EXIT_IO, "%s: became shorter while it was read",
                               run->in->path[w->i]);
        at += n;
        if (at == end && newline) {
            w->buf[n++] = '\n';
            newline = false;
        }
        count(w, (size_t)n);
        struct iovec piece = {w->buf, (size_t)n};
        if (cdp_out_put(run->out, to, &piece, 1, &w->err) < 0)
            return -1;
        to += n;
    }
    return 0;
}

/* A plain file of known size on an output with regions: 1, or 0 where it is not that. */
static int try_place(struct worker *w)
{
    int fd = cdp_arc_fd(w->arc);
    struct stat st;
    char head[3], last;
    off_t at;
    if (fd < 0 || !cdp_out_seekable(w->run->out) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        (at = lseek(fd, 0, SEEK_CUR)) < 0 || st.st_size - at < (off_t)CLAIM)
        return 0;
    if (pread(fd, head, 3, at) != 3 || pread(fd, &last, 1, st.st_size - 1) != 1)
        return 0;
    if (memcmp(head, bom, 3) == 0)
        at += 3;
    return place(w, fd, at, st.st_size, last != '\n') < 0 ? -1 : 1;
}

/* ---- streams ---- */

static void progress(const struct worker *w)
{
    struct run *run = w->run;
    if (w->my_turn && cdp_progress_due(run->opts->progress)) {
        unsigned long long part, size;
        cdp_arc_progress(w->arc, &part, &size);
        cdp_progress_show(run->opts->progress, cdp_out_bytes(run->out), run->done + part, run->size);
    }
}

/* The read would wait: nothing is kept back. */
static int pause_for_input(struct worker *w)
{
    if (put(w) < 0 || cdp_out_flush(w->run->out, &w->err) < 0)
        return -1;
    while (!cdp_arc_wait(w->arc, 1000)) {
        if (atomic_load(&w->run->stop))
            return -1;
        progress(w);
    }
    return 0;
}

/* Before a read: room behind what the buffer holds. */
static int make_room(struct worker *w)
{
    struct run *run = w->run;
    if (atomic_load(&run->stop))
        return -1;
    if (cdp_arc_would_block(w->arc))
        return pause_for_input(w);
    if (!w->my_turn && atomic_load(&run->turn) == w->i)
        wait_turn(w);
    if (w->my_turn && !cdp_out_seekable(run->out))
        w->streams = true;
    if (w->cap - w->len <= PIECE)
        w->streams = true; /* it does not fit: nobody else can go on before it is done */
    return w->streams && w->len ? put(w) : 0;
}

/* One read behind what the buffer holds; a byte is left for a newline. */
static ssize_t fetch(struct worker *w)
{
    size_t room = w->cap - w->len - 1;
    ssize_t n = cdp_arc_read(w->arc, w->buf + w->len, room < PIECE ? room : PIECE, &w->err);
    if (n > 0)
        w->len += (size_t)n;
    progress(w);
    return n;
}

/* The stream that cdp_arc_next has come to. */
static int stream(struct worker *w)
{
    if (cdp_arc_fd(w->arc) >= 0) {
        w->streams = true;
        if (!wait_turn(w))
            return -1;
    }
    if (make_room(w) < 0)
        return -1;
    size_t from = w->len, have;
    ssize_t n;
    do
        n = fetch(w);
    while ((have = w->len - from) < 3 && n > 0 && memcmp(w->buf + from, bom, have) == 0);
    if (have >= 3 && memcmp(w->buf + from, bom, 3) == 0) {
        memmove(w->buf + from, w->buf + from + 3, have -= 3);
        w->len -= 3;
    }
    char last = have ? w->buf[w->len - 1] : '\n';
    while (n > 0) {
        if (make_room(w) < 0)
            return -1;
        if ((n = fetch(w)) > 0)
            last = w->buf[w->len - 1];
    }
    if (n == 0 && last != '\n')
        w->buf[w->len++] = '\n';
    return n < 0 ? -1 : 0;
}

/* All of an input, up to and with passing the turn. */
static int input(struct worker *w)
{
    const struct run *run = w->run;
    const char *path = run->in->path[w->i], *name;
    struct stat st;
    w->streams = run->opts->threads == 1 || w->i + 1 == run->in->n;
    /* What may never end is not opened before its turn. */
    if ((strcmp(path, "-") == 0 || (stat(path, &st) == 0 && !S_ISREG(st.st_mode))) &&
        (!wait_turn(w) || cdp_out_flush(run->out, &w->err) < 0))
        return -1;
    if (!(w->arc = cdp_arc_open(path, &w->err)))
        return -1;
    for (;;) {
        if (cdp_arc_would_block(w->arc) && pause_for_input(w) < 0)
            return -1;
        int rc = cdp_arc_next(w->arc, &name, &w->err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            return put_last(w);
        if (!cdp_inputs_within(run->in, name))
            continue;
        int placed = try_place(w);
        if (placed)
            return placed < 0 ? -1 : 0;
        if (stream(w) < 0)
            return -1;
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct run *run = w->run;
    while (!atomic_load(&run->stop) && (w->i = atomic_fetch_add(&run->next, 1)) < run->in->n) {
        w->len = 0;
        if (input(w) < 0) {
            bool passed = atomic_load(&run->turn) > w->i; /* it failed in filling its region */
            if (!passed && wait_turn(w)) {
                struct cdp_err first = w->err;
                if (w->len == 0 || put(w) == 0)
                    w->err = first;
                stop(w);
            } else if (passed) {
                stop(w);
            }
            if (!passed)
                pass_turn(w);
        }
        cdp_arc_close(w->arc);
        w->arc = NULL;
    }
    return NULL;
}

static uint64_t total_size(const struct cdp_inputs *in)
{
    uint64_t size = 0;
    for (size_t i = 0; i < in->n; i++) {
        struct stat st;
        if (strcmp(in->path[i], "-") == 0 || stat(in->path[i], &st) < 0 || !S_ISREG(st.st_mode))
            return 0;
        size += (uint64_t)st.st_size;
    }
    return size;
}

int cdp_concat(const struct cdp_inputs *in, const struct cdp_concat_opts *opts, struct cdp_out *out,
               struct cdp_concat_counts *counts, struct cdp_err *err)
{
    struct run run = {.in = in,
                      .opts = opts,
                      .out = out,
                      .counts = counts,
                      .size = total_size(in),
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .turned = PTHREAD_COND_INITIALIZER};
    struct worker worker[MAX_THREADS] = {{0}};
    pthread_t thread[MAX_THREADS];
    size_t threads = opts->threads < in->n ? opts->threads : in->n, started = 0;
    size_t cap = threads > 1 ? AHEAD / threads : 2 * PIECE;
    uint64_t before = cdp_out_bytes(out);
    int rc = 0;
    if (cap < LEAST && threads > 1)
        cap = LEAST;
    for (size_t i = 0; i < threads && rc == 0; i++) {
        worker[i] = (struct worker){.run = &run, .cap = cap};
        if (!(worker[i].buf = cdp_mem_map(cap, err)))
            rc = -1;
    }
    for (size_t i = 1; i < threads && rc == 0; i++, started++)
        if (pthread_create(&thread[i], NULL, work, &worker[i]) != 0)
            break; /* fewer threads write the same */
    if (threads && rc == 0)
        work(&worker[0]);
    for (size_t i = 1; i <= started; i++)
        pthread_join(thread[i], NULL);
    for (size_t i = 0; i < threads; i++) {
        counts->lines += worker[i].lines;
        if (worker[i].buf)
            cdp_mem_unmap(worker[i].buf, cap);
    }
    counts->bytes += cdp_out_bytes(out) - before;
    if (rc == 0 && atomic_load(&run.stop)) {
        *err = run.err;
        rc = -1;
    }
    return rc;
}

/* ---- a range ---- */

/* Moves *at behind the first newline at or behind it; false where the buffer has none. */
static bool behind_newline(const char *p, size_t n, size_t *at)
{
    const char *newline = *at < n ? memchr(p + *at, '\n', n - *at) : NULL;
    if (newline)
        *at = (size_t)(newline - p) + 1;
    return newline != NULL;
}

int cdp_concat_range(const char *path, unsigned long long from, unsigned long long to,
                     const struct cdp_concat_opts *opts, struct cdp_out *out,
                     struct cdp_concat_counts *counts, struct cdp_err *err)
{
    /* A line that begins at from > 0 has a newline before it; the last one's newline is at to - 1 or behind. */
    unsigned long long place = from ? from - 1 : 0;
    struct cdp_arc *a = cdp_arc_open(path, err);
    char *buf = cdp_mem_alloc(PIECE, err);
    const char *name;
    bool begun = from == 0, ended = from >= to;
    char last = '\n';
    struct stat st;
    int rc = -1, fd;
    if (!a || !buf || cdp_arc_next(a, &name, err) < 0)
        goto done;
    if ((fd = cdp_arc_fd(a)) < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        cdp_err_set(err, CDP_EXIT_USAGE, "%s: --range takes a plain file", path);
        goto done;
    }
    while (!ended && place <= LLONG_MAX) {
        ssize_t n = pread(fd, buf, PIECE, (off_t)place);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            cdp_err_errno(err, "%s: cannot read", path);
            goto done;
        }
        if (n == 0)
            break;
        size_t at = 0, end = (size_t)n;
        unsigned long long here = place;
        place += end;
        if (!begun && !(begun = behind_newline(buf, end, &at))) {
            ended = place >= to; /* a line that began before it is not looked at to its end */
            continue;
        }
        if (last == '\n' && here + at >= to)
            break;
        if (place >= to) {
            size_t stop_at = to - 1 > here ? (size_t)(to - 1 - here) : 0;
            if ((ended = behind_newline(buf, end, &stop_at)))
                end = stop_at;
        }
        if (here == 0 && from == 0 && end >= 3 && memcmp(buf, bom, 3) == 0)
            at = 3;
        if (cdp_out_write(out, buf + at, end - at, err) < 0)
            goto done;
        if (opts->count)
            counts->lines += cdp_buf_count(buf + at, end - at, '\n');
        counts->bytes += end - at;
        last = end > at ? buf[end - 1] : last;
    }
    rc = 0;
    if (last != '\n') {
        counts->lines++;
        counts->bytes++;
        rc = cdp_out_write(out, "\n", 1, err);
    }
done:
    free(buf);
    cdp_arc_close(a);
    return rc;
}
