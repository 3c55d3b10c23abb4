/* arc: see arc.h.
 *
 * A stack of levels: the lowest reads a descriptor, each one above it unpacks the one below. */
#include "lib/arc.h"

#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 20)

struct cdp_arc {
    char *name;
    int fd;
    bool waits; /* a pipe, socket or terminal */
    bool started;
    unsigned long long done, size;
};

struct cdp_arc *cdp_arc_open(const char *path, struct cdp_err *err)
{
    bool std = !path || strcmp(path, "-") == 0;
    struct cdp_arc *a = cdp_mem_zalloc(1, sizeof *a, err);
    if (!a)
        return NULL;
    a->fd = -1;
    const char *name = std ? "-" : path;
    if (!(a->name = cdp_mem_strndup(name, strlen(name), err)))
        goto fail;
    a->fd = std ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (a->fd < 0 || fstat(a->fd, &st) < 0) {
        cdp_err_errno(err, "%s: cannot open", name);
        goto fail;
    }
    if (S_ISDIR(st.st_mode)) {
        cdp_err_set(err, CDP_EXIT_IO, "%s: is a directory", name);
        goto fail;
    }
    if (S_ISREG(st.st_mode))
        a->size = (unsigned long long)st.st_size;
    else
        a->waits = !S_ISBLK(st.st_mode);
    if (S_ISFIFO(st.st_mode))
        fcntl(a->fd, F_SETPIPE_SZ, PIPE_SIZE); /* a hint: a small pipe works too */
    return a;
fail:
    cdp_arc_close(a);
    return NULL;
}

void cdp_arc_close(struct cdp_arc *a)
{
    if (!a)
        return;
    if (a->fd > STDIN_FILENO)
        close(a->fd);
    free(a->name);
    free(a);
}

int cdp_arc_next(struct cdp_arc *a, const char **name, struct cdp_err *err)
{
    (void)err;
    if (a->started)
        return 0;
    a->started = true;
    *name = a->name;
    return 1;
}

ssize_t cdp_arc_read(struct cdp_arc *a, void *buf, size_t n, struct cdp_err *err)
{
    ssize_t got;
    while ((got = read(a->fd, buf, n)) < 0 && errno == EINTR)
        ;
    if (got < 0)
        return cdp_err_errno(err, "%s: cannot read", a->name);
    a->done += (unsigned long long)got;
    return got;
}

bool cdp_arc_would_block(struct cdp_arc *a)
{
    if (!a->waits)
        return false;
    struct pollfd p = {.fd = a->fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

void cdp_arc_progress(const struct cdp_arc *a, unsigned long long *done, unsigned long long *size)
{
    *done = a->done;
    *size = a->size;
}

int cdp_arc_fd(const struct cdp_arc *a)
{
    return a->fd;
}
