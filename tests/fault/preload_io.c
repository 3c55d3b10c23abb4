/* preload_io: makes read(2) and write(2) and their kin do what they may do and seldom do.  Preloaded into a tool.
 *
 * FAULT=short       every call moves only a part of what was asked for
 * FAULT=eintr       two of three calls fail with EINTR first
 * FAULT=read:N      after N bytes in all, reading fails with EIO
 * FAULT=write:N     after N bytes in all, writing fails with ENOSPC
 *
 * Standard error is left alone: what a tool says of its end is what the tests look at. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static _Atomic unsigned calls;
static _Atomic long long moved;

/* Bytes that a call may move (at least 1), or -1 and errno. */
static ssize_t allow(int fd, size_t n, bool writing)
{
    const char *fault = getenv("FAULT");
    if (!fault || fd == 2 || n == 0)
        return (ssize_t)n;
    unsigned call = atomic_fetch_add(&calls, 1);
    if (strcmp(fault, "eintr") == 0 && call % 3) {
        errno = EINTR;
        return -1;
    }
    if (strcmp(fault, "short") == 0) {
        /* From a byte to some tens of KiB, without a pattern that lines would fall into. */
        size_t part = 1 + call * 2654435761u % (call % 4 ? 50021 : 7);
        return (ssize_t)(part < n ? part : n);
    }
    bool read_fault = strncmp(fault, "read:", 5) == 0, write_fault = strncmp(fault, "write:", 6) == 0;
    if ((read_fault && !writing) || (write_fault && writing)) {
        long long limit = strtoll(strchr(fault, ':') + 1, NULL, 10);
        long long before = atomic_fetch_add(&moved, (long long)n);
        if (before >= limit) {
            errno = writing ? ENOSPC : EIO;
            return -1;
        }
        return before + (long long)n > limit ? (ssize_t)(limit - before) : (ssize_t)n;
    }
    return (ssize_t)n;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int fd, void *buf, size_t n)
{
    ssize_t may = allow(fd, n, false);
    return may < 0 ? -1 : NEXT(read)(fd, buf, (size_t)may);
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    ssize_t may = allow(fd, n, false);
    return may < 0 ? -1 : NEXT(pread)(fd, buf, (size_t)may, at);
}

ssize_t write(int fd, const void *buf, size_t n)
{
    ssize_t may = allow(fd, n, true);
    return may < 0 ? -1 : NEXT(write)(fd, buf, (size_t)may);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
    ssize_t may = allow(fd, n, true);
    return may < 0 ? -1 : NEXT(pwrite)(fd, buf, (size_t)may, at);
}

/* Of a vector only the first piece that is not empty is moved, or a part of it. */
static const struct iovec *first(const struct iovec *iov, int n)
{
    while (n > 1 && iov->iov_len == 0) {
        iov++;
        n--;
    }
    return iov;
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
    iov = first(iov, n);
    return read(fd, iov->iov_base, iov->iov_len);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
    iov = first(iov, n);
    return write(fd, iov->iov_base, iov->iov_len);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    iov = first(iov, n);
    return pwrite(fd, iov->iov_base, iov->iov_len, at);
}
