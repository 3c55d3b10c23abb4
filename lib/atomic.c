/* atomic: see atomic.h.
 *
 * A new file: open(O_TMPFILE) in the target's directory → write → fsync → linkat as the target, or, where that is there
 * already, under a random name → rename over the target → fsync of the directory (open(2), "O_TMPFILE"; rename(2)).  While
 * it has such a name the file is flocked, which is how a sweep tells a living run's temporaries from those of a killed one.
 *
 * The list of named temporaries is guarded by a spin lock that is only ever taken with the four signals
 * blocked; so a handler that finds it taken waits for another thread's few instructions, never for the thread
 * it interrupted.  The same holds of the threads that are between cdp_atomic_enter and cdp_atomic_leave: a handler lets
 * no more of them in and waits for those inside, so nothing is added to a directory that it removes.  The handlers do
 * nothing but what signal-safety(7) lists, and getdents64, a system call and no more. */
#include "lib/atomic.h"

#include "lib/buf.h"
#include "lib/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAG ".cdp-"
#define TAG_LEN 5
#define RANDOM_LEN 6
#define NAME_TRIES 100
#define MAX_LINKS 40 /* as in the kernel */
#define DIRENT_BYTES 4096
#define BASE_MAX (NAME_MAX - 1 - TAG_LEN - RANDOM_LEN) /* bytes of a target's name in a temporary's */

struct cdp_atomic {
    int fd;
    char *target; /* resolved: rename goes where a symbolic link points */
    char *dir;    /* of target */
    char *temp;   /* the temporary name, NULL while the file has none */
    bool listed;
    bool direct; /* the target is a device or a pipe and is written in place */
    bool tree;   /* temp is a directory, and there is no file */
    struct cdp_atomic *prev, *next;
};

static const int fatal_signals[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE};
#define FATAL_SIGNALS (sizeof fatal_signals / sizeof *fatal_signals)

static atomic_flag list_lock = ATOMIC_FLAG_INIT;
static struct cdp_atomic *list;
static atomic_uint inside; /* threads between cdp_atomic_enter and cdp_atomic_leave */
static atomic_bool ending; /* a handler is at work */

static sigset_t fatal_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < FATAL_SIGNALS; i++)
        sigaddset(&set, fatal_signals[i]);
    return set;
}

static void list_take(sigset_t *old)
{
    sigset_t set = fatal_set();
    pthread_sigmask(SIG_BLOCK, &set, old);
    while (atomic_flag_test_and_set_explicit(&list_lock, memory_order_acquire))
        ;
}

static void list_drop(const sigset_t *old)
{
    atomic_flag_clear_explicit(&list_lock, memory_order_release);
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

static void list_add(struct cdp_atomic *a)
{
    sigset_t old;
    list_take(&old);
    a->prev = NULL;
    a->next = list;
    if (list)
        list->prev = a;
    list = a;
    a->listed = true;
    list_drop(&old);
}

static void list_remove(struct cdp_atomic *a)
{
    if (!a->listed)
        return;
    sigset_t old;
    list_take(&old);
    if (a->prev)
        a->prev->next = a->next;
    else
        list = a->next;
    if (a->next)
        a->next->prev = a->prev;
    a->listed = false;
    list_drop(&old);
}

void cdp_atomic_enter(sigset_t *old)
{
    sigset_t set = fatal_set();
    pthread_sigmask(SIG_BLOCK, &set, old);
    atomic_fetch_add(&inside, 1);
    if (!atomic_load(&ending))
        return;
    atomic_fetch_sub(&inside, 1);
    for (;;)
        pause();
}

void cdp_atomic_leave(const sigset_t *old)
{
    atomic_fetch_sub(&inside, 1);
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

static void remove_entries(int dir);

static bool remove_tree(int dir, const char *name)
{
    if (unlinkat(dir, name, 0) == 0)
        return true;
    if (errno != EISDIR)
        return false;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        remove_entries(fd);
        close(fd);
    }
    return unlinkat(dir, name, AT_REMOVEDIR) == 0;
}

/* Some file systems skip entries when others are removed: it is read again until none was. */
static void remove_entries(int dir)
{
    _Alignas(struct dirent64) char buf[DIRENT_BYTES];
    for (bool removed = true; removed;) {
        ssize_t n;
        removed = false;
        lseek(dir, 0, SEEK_SET);
        while ((n = getdents64(dir, buf, sizeof buf)) > 0) {
            for (ssize_t at = 0; at < n;) {
                const struct dirent64 *e = (const void *)(buf + at);
                at += e->d_reclen;
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                    removed |= remove_tree(dir, e->d_name);
            }
        }
    }
}

/* The lock is kept: no thread may name another temporary before the process is gone.  Another signal, or the same one again,
 * on another thread, waits here for the end. */
static void on_signal(int sig)
{
    int old = errno;
    atomic_store(&ending, true);
    while (atomic_load(&inside) || atomic_flag_test_and_set_explicit(&list_lock, memory_order_acquire))
        poll(NULL, 0, 1);
    for (const struct cdp_atomic *a = list; a; a = a->next) {
        if (a->tree)
            remove_tree(AT_FDCWD, a->temp);
        else
            unlink(a->temp);
    }
    const struct sigaction fatal = {.sa_handler = SIG_DFL};
    sigaction(sig, &fatal, NULL);
    raise(sig);
    errno = old;
}

void cdp_atomic_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_mask = fatal_set()};
    for (size_t i = 0; i < FATAL_SIGNALS; i++) {
        struct sigaction old;
        if (sigaction(fatal_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(fatal_signals[i], &sa, NULL);
    }
}

/* The part of a path behind its last slash. */
static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "DIR/.NAME.cdp-XXXXXX" with fresh random letters. */
static char *temp_name(const char *dir, const char *base, struct cdp_err *err)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    unsigned char r[RANDOM_LEN];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r) {
        cdp_err_errno(err, "cannot draw a random name");
        return NULL;
    }
    char tail[RANDOM_LEN + 1] = "";
    for (int i = 0; i < RANDOM_LEN; i++)
        tail[i] = letters[r[i] % (sizeof letters - 1)];
    char *name = NULL;
    if (asprintf(&name, "%s/.%.*s" TAG "%s", dir, BASE_MAX, base, tail) < 0) {
        cdp_err_nomem(err, strlen(dir) + strlen(base));
        return NULL;
    }
    return name;
}

/* Marks the file as a living run's; false where a sweep was faster. */
static bool hold(int fd)
{
    struct stat st;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0;
}

/* For file systems without O_TMPFILE: a named temporary from the start. */
static int open_named(struct cdp_atomic *a, struct cdp_err *err)
{
    for (int i = 0; i < NAME_TRIES; i++) {
        a->temp = temp_name(a->dir, base_of(a->target), err);
        if (!a->temp)
            return -1;
        list_add(a);
        a->fd = open(a->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (a->fd >= 0 && hold(a->fd))
            return 0;
        int why = errno;
        if (a->fd >= 0) {
            close(a->fd);
            a->fd = -1;
            why = EEXIST;
        }
        list_remove(a);
        free(a->temp);
        a->temp = NULL;
        errno = why;
        if (why != EEXIST)
            break;
    }
    return cdp_err_errno(err, "%s: cannot create a file in its directory", a->target);
}

/* Linking an unnamed file goes through /proc. */
static bool have_proc(void)
{
    return access("/proc/self/fd", X_OK) == 0;
}

static int open_new(struct cdp_atomic *a, struct cdp_err *err)
{
    if (have_proc())
        a->fd = open(a->dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    else
        errno = EOPNOTSUPP;
    if (a->fd >= 0)
        return 0;
    /* A kernel or file system that does not know O_TMPFILE sees a directory opened for writing. */
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT)
        return open_named(a, err);
    return cdp_err_errno(err, "%s: cannot create a file in its directory", a->target);
}

/* A name of the pattern; base: of this target, or NULL. */
static bool is_temp_name(const char *name, const char *base)
{
    size_t n = strlen(name), front = 1 + TAG_LEN + RANDOM_LEN;
    if (n <= front || name[0] != '.' || memcmp(name + n - RANDOM_LEN - TAG_LEN, TAG, TAG_LEN) != 0)
        return false;
    size_t kept = n - front;
    if (base && (kept != strnlen(base, BASE_MAX) || memcmp(name + 1, base, kept) != 0))
        return false;
    for (const char *p = name + n - RANDOM_LEN; *p; p++)
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')))
            return false;
    return true;
}

static int sweep(const char *dir, const char *base, struct cdp_err *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return cdp_err_errno(err, "%s: cannot open", dir);
    int rc = 0;
    struct dirent *e;
    while (errno = 0, (e = readdir(d))) {
        if (!is_temp_name(e->d_name, base))
            continue;
        int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            continue;
        struct stat st;
        bool dead = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (dead && unlinkat(dirfd(d), e->d_name, 0) < 0 && errno != ENOENT)
            rc = cdp_err_errno(err, "%s/%s: cannot remove", dir, e->d_name);
        close(fd);
        if (rc < 0)
            break;
    }
    if (rc == 0 && !e && errno)
        rc = cdp_err_errno(err, "%s: cannot read", dir);
    closedir(d);
    return rc;
}

int cdp_atomic_sweep(const char *dir, struct cdp_err *err)
{
    return sweep(dir, NULL, err);
}

static char *dir_of(const char *path, struct cdp_err *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return cdp_mem_strndup(".", 1, err);
    return cdp_mem_strndup(path, slash == path ? 1 : (size_t)(slash - path), err);
}

/* The number of this process's descriptor that an entry of /proc stands for ("/proc/self/fd/1"), or -1. */
static int own_descriptor(const char *dir, const char *name)
{
    char own[PATH_MAX], *end;
    char *real = realpath(dir, NULL);
    bool is = real && realpath("/proc/self/fd", own) && strcmp(real, own) == 0;
    free(real);
    long fd = is ? strtol(name, &end, 10) : -1;
    return is && *name && !*end && fd >= 0 && fd <= INT_MAX ? (int)fd : -1;
}

/* Follows symbolic links from *path, an allocation, to where the file is or will be, also where the last one points to nothing
 * yet.  *own: the descriptor it is, or -1. */
static int follow(char **path, char **dir, int *own, struct cdp_err *err)
{
    char link[PATH_MAX];
    for (int i = 0; i < MAX_LINKS; i++) {
        if (!(*dir = dir_of(*path, err)))
            return -1;
        ssize_t n = readlink(*path, link, sizeof link - 1);
        *own = n < 0 ? -1 : own_descriptor(*dir, base_of(*path));
        if (n < 0 || *own >= 0)
            return 0;
        link[n] = '\0';
        char *next = NULL;
        bool absolute = *link == '/';
        if (asprintf(&next, "%s%s%s", absolute ? "" : *dir, absolute ? "" : "/", link) < 0)
            return cdp_err_nomem(err, (size_t)n);
        free(*path);
        free(*dir);
        *path = next;
        *dir = NULL;
    }
    errno = ELOOP;
    return cdp_err_errno(err, "%s: cannot open", *path);
}

/* A device, a pipe or one of our own descriptors. */
static int open_direct(struct cdp_atomic *a, int own, const char *path, struct cdp_err *err)
{
    a->direct = true;
    a->fd = own >= 0 ? fcntl(own, F_DUPFD_CLOEXEC, 0) : open(path, O_WRONLY | O_CLOEXEC);
    return a->fd < 0 ? cdp_err_errno(err, "%s: cannot open", path) : 0;
}

/* As the old file is.  Owner first, as a change of owner clears mode bits; it is for root alone and may fail. */
static int take_permissions(struct cdp_atomic *a, const struct stat *old, const char *path,
                            struct cdp_err *err)
{
    if ((old->st_uid != geteuid() || old->st_gid != getegid()) && fchown(a->fd, old->st_uid, old->st_gid) < 0)
        errno = 0;
    if (fchmod(a->fd, old->st_mode & 0777) < 0)
        return cdp_err_errno(err, "%s: cannot set the new file's permissions", path);
    return 0;
}

struct cdp_atomic *cdp_atomic_open(const char *path, struct cdp_err *err)
{
    struct cdp_atomic *a = cdp_mem_zalloc(1, sizeof *a, err);
    if (!a)
        return NULL;
    a->fd = -1;
    struct stat st;
    bool old = stat(path, &st) == 0;
    int own;
    if (!(a->target = cdp_mem_strndup(path, strlen(path), err)) || follow(&a->target, &a->dir, &own, err) < 0)
        goto fail;
    if (own >= 0 || (old && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
        if (open_direct(a, own, path, err) < 0)
            goto fail;
        return a;
    }
    if (old && S_ISDIR(st.st_mode)) {
        cdp_err_set(err, CDP_EXIT_IO, "%s: is a directory", path);
        goto fail;
    }
    if (open_new(a, err) < 0)
        goto fail;
    struct cdp_err ignored; /* what a killed run left is in nobody's way */
    if (old || a->temp)
        sweep(a->dir, base_of(a->target), &ignored);
    if (old && take_permissions(a, &st, path, err) < 0)
        goto fail;
    return a;
fail:
    cdp_atomic_abort(a);
    return NULL;
}

int cdp_atomic_fd(const struct cdp_atomic *a)
{
    return a->fd;
}

/* Gives an unnamed file this name, which must be free. */
static bool link_as(const struct cdp_atomic *a, const char *name)
{
    char proc[64];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", a->fd);
    return linkat(AT_FDCWD, proc, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
}

/* Gives an unnamed file its temporary name. */
static int give_name(struct cdp_atomic *a, struct cdp_err *err)
{
    if (flock(a->fd, LOCK_EX | LOCK_NB) < 0 && errno != EOPNOTSUPP && errno != ENOLCK)
        return cdp_err_errno(err, "%s: cannot lock the new file", a->target);
    for (int i = 0; i < NAME_TRIES; i++) {
        a->temp = temp_name(a->dir, base_of(a->target), err);
        if (!a->temp)
            return -1;
        list_add(a);
        if (link_as(a, a->temp))
            return 0;
        int why = errno;
        list_remove(a);
        free(a->temp);
        a->temp = NULL;
        errno = why;
        if (why != EEXIST)
            break;
    }
    return cdp_err_errno(err, "%s: cannot name the new file", a->target);
}

static int sync_dir(const struct cdp_atomic *a, struct cdp_err *err)
{
    int fd = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* A directory that may be written but not read cannot be synced; EINVAL: a file system that has no such
     * thing. */
    if (fd < 0)
        return errno == EACCES ? 0 : cdp_err_errno(err, "%s: cannot open", a->dir);
    int rc = fsync(fd) < 0 && errno != EINVAL ? cdp_err_errno(err, "%s: cannot sync", a->dir) : 0;
    close(fd);
    return rc;
}

int cdp_atomic_commit(struct cdp_atomic *a, struct cdp_err *err)
{
    int rc = -1;
    if (a->direct) {
        int fd = a->fd;
        a->fd = -1;
        rc = close(fd) < 0 ? cdp_err_errno(err, "%s: cannot close", a->target) : 0;
        goto done;
    }
    if (fsync(a->fd) < 0) {
        cdp_err_errno(err, "%s: cannot write", a->target);
        goto done;
    }
    if (!a->temp && link_as(a, a->target)) {
        rc = sync_dir(a, err);
        goto done;
    }
    if (!a->temp && give_name(a, err) < 0)
        goto done;
    if (rename(a->temp, a->target) < 0) {
        cdp_err_errno(err, "%s: cannot replace", a->target);
        goto done;
    }
    list_remove(a);
    free(a->temp);
    a->temp = NULL;
    rc = sync_dir(a, err);
done:
    cdp_atomic_abort(a);
    return rc;
}

void cdp_atomic_abort(struct cdp_atomic *a)
{
    if (!a)
        return;
    if (a->temp)
        unlink(a->temp);
    list_remove(a);
    if (a->fd >= 0)
        close(a->fd);
    free(a->temp);
    free(a->dir);
    free(a->target);
    free(a);
}

struct cdp_atomic *cdp_atomic_guard(const char *dir, struct cdp_err *err)
{
    struct cdp_atomic *a = cdp_mem_zalloc(1, sizeof *a, err);
    if (!a || !(a->temp = cdp_mem_strndup(dir, strlen(dir), err))) {
        free(a);
        return NULL;
    }
    a->tree = true;
    list_add(a);
    return a;
}

void cdp_atomic_unguard(struct cdp_atomic *a)
{
    if (!a)
        return;
    list_remove(a);
    free(a->temp);
    free(a);
}

int cdp_temp_open(const char *dir, struct cdp_err *err)
{
    if (!dir || !*dir)
        dir = getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) {
        char *name = temp_name(dir, "spill", err);
        if (!name)
            return -1;
        sigset_t set = fatal_set(), old;
        pthread_sigmask(SIG_BLOCK, &set, &old);
        fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        int why = errno;
        if (fd >= 0)
            unlink(name);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        free(name);
        errno = why;
    }
    if (fd < 0)
        return cdp_err_errno(err, "%s: cannot create a temporary file", dir);
    return fd;
}

int cdp_write_all(int fd, const void *p, size_t n, const char *name, struct cdp_err *err)
{
    const char *at = p;
    while (n) {
        ssize_t done = write(fd, at, n);
        if (done >= 0) {
            at += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN) {
            struct pollfd pfd = {.fd = fd, .events = POLLOUT};
            poll(&pfd, 1, -1);
        } else if (errno != EINTR) {
            return cdp_err_errno(err, "%s: cannot write", name);
        }
    }
    return 0;
}

int cdp_read_file(const char *path, char **data, size_t *n, struct cdp_err *err)
{
    bool std = !path || strcmp(path, "-") == 0;
    const char *name = std ? "-" : path;
    int fd = std ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cdp_err_errno(err, "%s: cannot open", name);
    struct cdp_buf b = {0};
    int rc = 0;
    struct stat st;
    size_t step = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 65535;
    while (cdp_buf_reserve(&b, step + 1)) {
        ssize_t got = read(fd, b.data + b.len, b.cap - b.len - 1);
        if (got == 0)
            break;
        if (got > 0)
            b.len += (size_t)got;
        else if (errno != EINTR && (rc = cdp_err_errno(err, "%s: cannot read", name)) < 0)
            break;
        step = 65535;
    }
    if (!std)
        close(fd);
    if (rc == 0)
        rc = cdp_buf_check(&b, err);
    if (rc < 0) {
        cdp_buf_free(&b);
        return rc;
    }
    b.data[b.len] = '\0';
    *data = b.data;
    *n = b.len;
    return 0;
}
