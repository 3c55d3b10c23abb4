/* out: see out.h.
 *
 * Small writes gather in a 256 KiB buffer; writes of a quarter of that or more go out together with what is buffered in one
 * writev(2), and many long pieces together in another.  Pipes are enlarged to a mebibyte.  A claimed region is reserved by
 * moving the description's offset, so everything else that is written to it lands behind. */
#include "lib/out.h"

#include "lib/atomic.h"
#include "lib/buf.h"
#include "lib/gz.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER ((size_t)256 << 10)
#define DIRECT ((size_t)64 << 10)
#define PIECE ((size_t)1 << 10) /* pieces of this size are cheaper to name to the kernel than to copy */

struct cdp_out {
    int fd;
    const char *name;
    struct cdp_atomic *atomic; /* NULL: written in place */
    bool own_fd, seekable;
    uint64_t bytes;
    size_t len;
    char *buf;
    struct cdp_gzip_stream *gzip; /* FILE.gz: what is written is packed */
    struct cdp_buf packed;
};

static int fail(struct cdp_out *o, struct cdp_err *err)
{
    return cdp_err_errno(err, "%s: cannot write", o->name);
}

static int open_fd(struct cdp_out *o, const char *path, bool append, struct cdp_err *err)
{
    if (!path || strcmp(path, "-") == 0) {
        o->fd = STDOUT_FILENO;
        o->name = "standard output";
        if (fcntl(o->fd, F_GETFD) < 0)
            return fail(o, err);
        return 0;
    }
    o->name = path;
    if (append) {
        o->fd = open(path, O_WRONLY | O_CLOEXEC | O_CREAT | O_APPEND, 0666);
        o->own_fd = true;
        return o->fd < 0 ? cdp_err_errno(err, "%s: cannot open for writing", path) : 0;
    }
    o->atomic = cdp_atomic_open(path, err);
    if (!o->atomic)
        return -1;
    o->fd = cdp_atomic_fd(o->atomic);
    return 0;
}

static bool ends_in_gz(const char *path)
{
    size_t n = strlen(path);
    return n > 3 && strcmp(path + n - 3, ".gz") == 0;
}

struct cdp_out *cdp_out_open(const char *path, bool append, struct cdp_err *err)
{
    struct cdp_out *o = cdp_mem_zalloc(1, sizeof *o, err);
    if (!o)
        return NULL;
    o->fd = -1;
    o->buf = cdp_mem_alloc(BUFFER, err);
    if (path && !append && ends_in_gz(path) && !(o->gzip = cdp_gzip_stream_new(err)))
        goto fail;
    if (!o->buf || open_fd(o, path, append, err) < 0)
        goto fail;
    struct stat st;
    if (fstat(o->fd, &st) == 0) {
        int flags = fcntl(o->fd, F_GETFL);
        o->seekable = S_ISREG(st.st_mode) && flags >= 0 && !(flags & O_APPEND) && !o->gzip;
        if (S_ISFIFO(st.st_mode))
            fcntl(o->fd, F_SETPIPE_SZ, 1 << 20); /* fails past the user's limit: then it stays as it is */
    }
    return o;
fail:
    cdp_out_abort(o);
    return NULL;
}

/* Writes all of iov, at most 64 pieces, which are used up; at < 0: at the description's offset. */
static int write_iov(struct cdp_out *o, struct iovec *iov, size_t n, off_t at, struct cdp_err *err)
{
    size_t i = 0;
    while (i < n) {
        int count = (int)(n - i);
        ssize_t done = at < 0 ? writev(o->fd, iov + i, count) : pwritev(o->fd, iov + i, count, at);
        if (done < 0) {
            if (errno == EAGAIN) { /* a pipe that somebody else set not to wait */
                struct pollfd pfd = {.fd = o->fd, .events = POLLOUT};
                poll(&pfd, 1, -1);
            } else if (errno != EINTR) {
                return fail(o, err);
            }
            continue;
        }
        at += at < 0 ? 0 : done;
        for (; i < n && (size_t)done >= iov[i].iov_len; i++)
            done -= (ssize_t)iov[i].iov_len;
        if (i < n) {
            iov[i].iov_base = (char *)iov[i].iov_base + done;
            iov[i].iov_len -= (size_t)done;
        }
    }
    return 0;
}

/* Packed bytes leave as they come; a piece that is being gathered stays in the packer. */
static int write_packed(struct cdp_out *o, struct cdp_err *err)
{
    struct iovec one = {o->packed.data, o->packed.len};
    cdp_buf_clear(&o->packed);
    return one.iov_len ? write_iov(o, &one, 1, -1, err) : 0;
}

int cdp_out_flush(struct cdp_out *o, struct cdp_err *err)
{
    struct iovec one = {o->buf, o->len};
    if (o->len == 0)
        return 0;
    o->len = 0;
    return write_iov(o, &one, 1, -1, err);
}

int cdp_out_write(struct cdp_out *o, const void *p, size_t n, struct cdp_err *err)
{
    o->bytes += n;
    if (o->gzip)
        return cdp_gzip_stream_add(o->gzip, p, n, &o->packed, err) < 0 ? -1 : write_packed(o, err);
    if (n < DIRECT) {
        if (BUFFER - o->len < n && cdp_out_flush(o, err) < 0)
            return -1;
        if (n)
            memcpy(o->buf + o->len, p, n);
        o->len += n;
        return 0;
    }
    struct iovec both[2] = {{o->buf, o->len}, {(void *)(uintptr_t)p, n}};
    size_t from = o->len == 0;
    o->len = 0;
    return write_iov(o, both + from, 2 - from, -1, err);
}

/* All of iov, as it is; at < 0: at the description's offset. */
static int write_pieces(struct cdp_out *o, const struct iovec *iov, size_t n, off_t at, struct cdp_err *err)
{
    struct iovec piece[64]; /* is used up */
    for (size_t i = 0; i < n;) {
        size_t count = n - i < 64 ? n - i : 64;
        off_t bytes = 0;
        for (size_t j = 0; j < count; j++) {
            piece[j] = iov[i + j];
            bytes += (off_t)piece[j].iov_len;
        }
        if (write_iov(o, piece, count, at, err) < 0)
            return -1;
        at += at < 0 ? 0 : bytes;
        i += count;
    }
    return 0;
}

int cdp_out_writev(struct cdp_out *o, const struct iovec *iov, size_t n, struct cdp_err *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += iov[i].iov_len;
    if (!o->gzip && bytes >= DIRECT && bytes / n >= PIECE) {
        o->bytes += bytes;
        return cdp_out_flush(o, err) < 0 ? -1 : write_pieces(o, iov, n, -1, err);
    }
    for (size_t i = 0; i < n; i++)
        if (cdp_out_write(o, iov[i].iov_base, iov[i].iov_len, err) < 0)
            return -1;
    return 0;
}

bool cdp_out_seekable(const struct cdp_out *o)
{
    return o->seekable;
}

int cdp_out_claim(struct cdp_out *o, size_t n, off_t *at, struct cdp_err *err)
{
    if (cdp_out_flush(o, err) < 0)
        return -1;
    off_t end = lseek(o->fd, (off_t)n, SEEK_CUR);
    if (end < 0)
        return fail(o, err);
    *at = end - (off_t)n;
    o->bytes += n;
    return 0;
}

int cdp_out_put(struct cdp_out *o, off_t at, const struct iovec *iov, size_t n, struct cdp_err *err)
{
    return write_pieces(o, iov, n, at, err);
}

uint64_t cdp_out_bytes(const struct cdp_out *o)
{
    return o->bytes;
}

static void release(struct cdp_out *o)
{
    cdp_gzip_stream_free(o->gzip);
    cdp_buf_free(&o->packed);
    free(o->buf);
    free(o);
}

int cdp_out_close(struct cdp_out *o, struct cdp_err *err)
{
    int rc = cdp_out_flush(o, err);
    if (rc == 0 && o->gzip)
        rc = cdp_gzip_stream_end(o->gzip, &o->packed, err) < 0 ? -1 : write_packed(o, err);
    if (o->atomic) {
        if (rc == 0)
            rc = cdp_atomic_commit(o->atomic, err);
        else
            cdp_atomic_abort(o->atomic);
    } else if (close(o->fd) < 0 && rc == 0 && errno != EINTR) {
        rc = fail(o, err); /* a network file system may say only now that the disk is full */
    }
    release(o);
    return rc;
}

void cdp_out_abort(struct cdp_out *o)
{
    if (!o)
        return;
    cdp_atomic_abort(o->atomic);
    if (o->own_fd && o->fd >= 0)
        close(o->fd);
    release(o);
}
