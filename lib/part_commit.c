/* part_commit: the file side of part (see part.h): the staging directory, the dataset's lock, and moving partitions into place.
 *
 * DIR/.cdp-part.lock is flocked while a run works on the dataset.  DIR/.cdp-part.new holds its files.  The journal,
 * DIR/.cdp-part.journal, has a line "INODE PATH" for each partition to be exchanged; it appears whole, after all files are on
 * disk, and is what decides: with it a rerun goes on exchanging (a partition whose directory has that inode already is done),
 * without it the staging directory is thrown away: by the run itself, when a signal ends it (cdp_atomic_guard), or by the next. */
#include "lib/atomic.h"
#include "lib/emit.h"
#include "lib/mem.h"
#include "lib/out.h"
#include "lib/part_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGING ".cdp-part.new"
#define JOURNAL ".cdp-part.journal"
#define LOCK ".cdp-part.lock"

static char *join(const char *dir, const char *name, struct cdp_err *err)
{
    size_t a = strlen(dir), b = strlen(name);
    char *path = cdp_mem_alloc(a + b + 2, err);
    if (path) {
        memcpy(path, dir, a);
        path[a] = '/';
        memcpy(path + a + 1, name, b + 1);
    }
    return path;
}

/* mkdir -p for the directories above path's last component, or for all of it. */
static int make_dirs(char *path, bool all, struct cdp_err *err)
{
    for (char *slash = path + 1;; slash++) {
        if (*slash != '/' && *slash != '\0')
            continue;
        bool end = *slash == '\0';
        if (end && !all)
            return 0;
        *slash = '\0';
        int rc = mkdir(path, 0777);
        bool failed = rc < 0 && errno != EEXIST;
        if (failed)
            cdp_err_errno(err, "%s: cannot make the directory", path);
        if (!end)
            *slash = '/';
        if (failed)
            return -1;
        if (end)
            return 0;
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int remove_tree(const char *path, struct cdp_err *err)
{
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
        return cdp_err_errno(err, "%s: cannot remove", path);
    return 0;
}

/* Everything that was written below the dataset, with the directories that it is in, in one go: a sync for each of thousands
 * of files takes minutes. */
static int sync_all(const struct cdp_part *p, struct cdp_err *err)
{
    return syncfs(p->lock_fd) < 0 ? cdp_err_errno(err, "%s: cannot sync", p->opts.dir) : 0;
}

/* ---- into place ---- */

/* Moves the staged directory to the partition's place; what is there, and not an empty directory, is exchanged with it. */
static int exchange(const char *staged, char *target, struct cdp_err *err)
{
    if (make_dirs(target, false, err) < 0)
        return -1;
    if (rename(staged, target) == 0)
        return 0;
    if ((errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR) &&
        renameat2(AT_FDCWD, staged, AT_FDCWD, target, RENAME_EXCHANGE) == 0)
        return 0;
    return cdp_err_errno(err, "%s: cannot move into place", target);
}

/* Not every file system can exchange directories; better to know before anything is promised. */
static int try_exchange(const struct cdp_part *p, struct cdp_err *err)
{
    char *one = join(p->staging, "1", err), *two = one ? join(p->staging, "2", err) : NULL;
    int rc = two ? 0 : -1;
    if (rc == 0 && (mkdir(one, 0777) < 0 || mkdir(two, 0777) < 0 ||
                    renameat2(AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE) < 0))
        rc = cdp_err_errno(err, "%s: --append and --replace: cannot exchange two directories", p->opts.dir);
    if (one)
        rmdir(one);
    if (two)
        rmdir(two);
    free(one);
    free(two);
    return rc;
}

static int exchange_once(struct cdp_part *p, unsigned long long inode, const char *path, struct cdp_err *err)
{
    char *staged = join(p->staging, path, err), *target = staged ? join(p->opts.dir, path, err) : NULL;
    int rc = target ? 0 : -1;
    struct stat st;
    bool done = rc == 0 && stat(target, &st) == 0 && st.st_ino == inode;
    if (rc == 0 && !done)
        rc = exchange(staged, target, err);
    free(staged);
    free(target);
    return rc;
}

/* Does what the journal says, however much of it is done. */
static int roll_forward(struct cdp_part *p, char *journal, struct cdp_err *err)
{
    char *text;
    size_t n;
    if (cdp_read_file(journal, &text, &n, err) < 0)
        return -1;
    int rc = 0;
    char *save, *line = strtok_r(text, "\n", &save);
    for (; rc == 0 && line; line = strtok_r(NULL, "\n", &save)) {
        char *path;
        unsigned long long inode = strtoull(line, &path, 10);
        if (*path != ' ')
            rc = cdp_err_set(err, CDP_EXIT_IO, "%s: damaged", journal);
        else
            rc = exchange_once(p, inode, path + 1, err);
    }
    free(text);
    return rc == 0 ? sync_all(p, err) : rc;
}

static int drop_journal(const char *journal, struct cdp_err *err)
{
    return unlink(journal) < 0 ? cdp_err_errno(err, "%s: cannot remove", journal) : 0;
}

static int recover(struct cdp_part *p, struct cdp_err *err)
{
    char *journal = join(p->opts.dir, JOURNAL, err);
    if (!journal)
        return -1;
    int rc = 0;
    if (access(journal, F_OK) == 0)
        rc = roll_forward(p, journal, err) < 0 ? -1 : drop_journal(journal, err);
    else if (errno != ENOENT)
        rc = cdp_err_errno(err, "%s: cannot look at it", journal);
    free(journal);
    return rc < 0 || remove_tree(p->staging, err) < 0 ? -1 : cdp_atomic_sweep(p->opts.dir, err);
}

static int make_staging(struct cdp_part *p, struct cdp_err *err)
{
    struct cdp_atomic *guard = cdp_atomic_guard(p->staging, err);
    if (guard && mkdir(p->staging, 0777) < 0) {
        cdp_err_errno(err, "%s: cannot make the directory", p->staging);
        cdp_atomic_unguard(guard);
        guard = NULL;
    }
    p->staged = guard;
    return guard ? 0 : -1;
}

int cdp_part_stage(struct cdp_part *p, struct cdp_err *err)
{
    char *dir = cdp_mem_strndup(p->opts.dir, strlen(p->opts.dir), err);
    char *lock = dir ? join(p->opts.dir, LOCK, err) : NULL;
    int rc = lock ? make_dirs(dir, true, err) : -1;
    if (rc == 0) {
        p->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (p->lock_fd < 0)
            rc = cdp_err_errno(err, "%s: cannot open", lock);
        else if (flock(p->lock_fd, LOCK_EX | LOCK_NB) < 0)
            rc = errno == EWOULDBLOCK ? cdp_err_set(err, CDP_EXIT_IO,
                                                    "%s: another run is at work on this dataset", p->opts.dir)
                                      : cdp_err_errno(err, "%s: cannot lock", lock);
    }
    free(lock);
    free(dir);
    if (rc < 0 || !(p->staging = join(p->opts.dir, STAGING, err)) || recover(p, err) < 0)
        return -1;
    sigset_t old;
    cdp_atomic_enter(&old);
    rc = make_staging(p, err);
    if (rc == 0 && p->opts.mode != CDP_PART_NEW)
        rc = try_exchange(p, err);
    cdp_atomic_leave(&old);
    return rc;
}

/* Guarded until it is gone, so that a signal in between leaves nothing either. */
static void remove_staging(struct cdp_part *p)
{
    struct cdp_err ignored; /* what is left the next run sweeps */
    if (p->staged)
        remove_tree(p->staging, &ignored);
    cdp_atomic_unguard(p->staged);
    p->staged = NULL;
}

void cdp_part_unstage(struct cdp_part *p)
{
    remove_staging(p);
    if (p->lock_fd >= 0)
        close(p->lock_fd);
    free(p->staging);
}

/* ---- a partition that may be there already ---- */

/* N of "part-N-DIGEST.ndjson.gz", or -1.  A long number of others' files has no letter. */
static long file_number(const char *name)
{
    unsigned n;
    if (strncmp(name, "part-", 5) != 0)
        return -1;
    name += 5;
    if (*name >= 'a' && *name <= 'z')
        name++;
    return *name >= '0' && *name <= '9' && sscanf(name, "%9u", &n) == 1 ? (long)n : -1;
}

static bool is_dir(DIR *d, const struct dirent *e)
{
    struct stat st;
    return fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Looks at the files of a partition that is there: the number of the next one.  Where other partitions lie below it, they
 * would go with it. */
static int next_number(DIR *d, const char *dir, unsigned *number, struct cdp_err *err)
{
    struct dirent *e;
    while (errno = 0, (e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (is_dir(d, e))
            return cdp_err_set(err, CDP_EXIT_DATA, "%s: is no partition: directories are in it", dir);
        long n = file_number(e->d_name);
        if (n >= (long)*number)
            *number = (unsigned)n + 1;
    }
    return errno ? cdp_err_errno(err, "%s: cannot read", dir) : 0;
}

int cdp_part_first_number(struct cdp_part *p, const char *path, unsigned *number, struct cdp_err *err)
{
    *number = 0;
    char *dir = join(p->opts.dir, path, err);
    if (!dir)
        return -1;
    DIR *d = opendir(dir);
    int rc = 0;
    if (!d)
        rc = errno == ENOENT ? 0 : cdp_err_errno(err, "%s: cannot open", dir);
    else if (p->opts.mode == CDP_PART_NEW)
        rc =
            cdp_err_set(err, CDP_EXIT_DATA, "%s: the partition is there already: --append or --replace", dir);
    else
        rc = next_number(d, dir, number, err);
    if (p->opts.mode == CDP_PART_REPLACE)
        *number = 0;
    if (d)
        closedir(d);
    free(dir);
    return rc;
}

static int link_one(const char *from, const char *to, struct cdp_err *err)
{
    sigset_t old;
    cdp_atomic_enter(&old);
    int rc = link(from, to) < 0 ? cdp_err_errno(err, "%s: cannot link", to) : 0;
    cdp_atomic_leave(&old);
    return rc;
}

/* --append: the partition's old files into the new directory, as links. */
static int link_old(struct cdp_part *p, const struct part_partition *q, struct cdp_err *err)
{
    char *from = join(p->opts.dir, q->path, err), *to = from ? join(p->staging, q->path, err) : NULL;
    int rc = to ? 0 : -1;
    DIR *d = rc == 0 ? opendir(from) : NULL;
    if (rc == 0 && !d && errno != ENOENT)
        rc = cdp_err_errno(err, "%s: cannot open", from);
    struct dirent *e;
    while (errno = 0, rc == 0 && d && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *old = join(from, e->d_name, err), *new = old ? join(to, e->d_name, err) : NULL;
        if (!new)
            rc = -1;
        else
            rc = link_one(old, new, err);
        free(old);
        free(new);
    }
    if (rc == 0 && d && errno)
        rc = cdp_err_errno(err, "%s: cannot read", from);
    if (d)
        closedir(d);
    free(from);
    free(to);
    return rc;
}

/* ---- writing ---- */

int cdp_part_append_file(struct cdp_part *p, struct part_file *f, const struct cdp_buf *data,
                         struct cdp_err *err)
{
    char *path = join(p->staging, f->path, err);
    if (!path)
        return -1;
    sigset_t old;
    cdp_atomic_enter(&old);
    int rc = f->file_bytes == 0 ? make_dirs(path, false, err) : 0;
    int fd = rc < 0 ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (rc == 0 && fd < 0)
        rc = cdp_err_errno(err, "%s: cannot open for writing", path);
    cdp_atomic_leave(&old);
    if (rc == 0)
        rc = cdp_write_all(fd, data->data, data->len, path, err);
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = cdp_err_errno(err, "%s: cannot close", path);
    free(path);
    return rc;
}

int cdp_part_name_file(struct cdp_part *p, struct part_file *f, struct cdp_err *err)
{
    struct cdp_buf path = {0};
    cdp_buf_addf(&path, "%.*s-%016llx%s", (int)(strlen(f->path) - strlen(CDP_PART_SUFFIX)), f->path,
                 (unsigned long long)f->digest, CDP_PART_SUFFIX);
    char *from = join(p->staging, f->path, err);
    char *to = cdp_buf_check(&path, err) < 0 || !from ? NULL : join(p->staging, path.data, err);
    int rc = to ? 0 : -1;
    sigset_t old;
    cdp_atomic_enter(&old);
    if (rc == 0 && rename(from, to) < 0)
        rc = cdp_err_errno(err, "%s: cannot rename", from);
    cdp_atomic_leave(&old);
    free(from);
    free(to);
    if (rc < 0) {
        cdp_buf_free(&path);
        return -1;
    }
    free(f->path);
    f->path = path.data; /* with the NUL that printf ends it with */
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct part_partition *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static int file_by_path(const void *a, const void *b)
{
    struct part_file *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

static int write_text(const char *path, const struct cdp_buf *text, struct cdp_err *err)
{
    struct cdp_out *o = cdp_out_open(path, false, err);
    if (!o)
        return -1;
    if (cdp_out_write(o, text->data, text->len, err) < 0) {
        cdp_out_abort(o);
        return -1;
    }
    return cdp_out_close(o, err);
}

/* The journal appears.  While it is there it must find its files: a rerun would finish the work. */
static int promise(struct cdp_part *p, const char *journal, const struct cdp_buf *text, struct cdp_err *err)
{
    sigset_t old;
    cdp_atomic_enter(&old);
    int rc = write_text(journal, text, err);
    if (rc == 0 || (unlink(journal) < 0 && errno != ENOENT)) {
        cdp_atomic_unguard(p->staged);
        p->staged = NULL;
    }
    cdp_atomic_leave(&old);
    return rc;
}

/* The journal goes, and what is staged is of no more use. */
static int settle(struct cdp_part *p, const char *journal, struct cdp_err *err)
{
    sigset_t old;
    cdp_atomic_enter(&old);
    int rc = drop_journal(journal, err);
    struct cdp_err ignored; /* the next run sweeps, too */
    if (rc == 0)
        p->staged = cdp_atomic_guard(p->staging, &ignored);
    cdp_atomic_leave(&old);
    return rc;
}

static int write_journal(struct cdp_part *p, const char *journal, struct cdp_err *err)
{
    struct cdp_buf text = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < p->partitions; i++) {
        const struct part_partition *q = &p->partition[i];
        char *dir = join(p->staging, q->path, err);
        struct stat st;
        rc = dir ? 0 : -1;
        if (rc == 0 && p->opts.mode == CDP_PART_APPEND)
            rc = link_old(p, q, err);
        if (rc == 0 && stat(dir, &st) < 0)
            rc = cdp_err_errno(err, "%s: cannot stat", dir);
        if (rc == 0)
            cdp_buf_addf(&text, "%llu %s\n", (unsigned long long)st.st_ino, q->path);
        free(dir);
    }
    if (rc == 0)
        rc = sync_all(p, err);
    if (rc == 0 && (rc = cdp_buf_check(&text, err)) == 0)
        rc = promise(p, journal, &text, err);
    cdp_buf_free(&text);
    return rc;
}

static void add_time(struct cdp_buf *b, const char *name, const struct part_file *f, struct cdp_time t)
{
    char text[CDP_TIME_MAX];
    cdp_buf_addf(b, ",\"%s\":", name);
    if (f->timed)
        cdp_emit_string(b, text, cdp_time_format(t, text));
    else
        cdp_buf_adds(b, "null");
}

static void add_manifest(struct cdp_buf *b, const struct part_file *f)
{
    cdp_buf_adds(b, "{\"path\":");
    cdp_emit_cstr(b, f->path);
    cdp_buf_addf(b, ",\"records\":%llu,\"bytes\":%llu,\"file_bytes\":%llu", (unsigned long long)f->records,
                 (unsigned long long)f->bytes, (unsigned long long)f->file_bytes);
    add_time(b, "min", f, f->min);
    add_time(b, "max", f, f->max);
    cdp_buf_addf(b, ",\"xxh3\":\"%016llx\"}\n", (unsigned long long)f->digest);
}

/* A list; a file appears later, but has its bytes now, so that a full disk is known before the dataset is changed. */
static int write_list(struct cdp_out *out, const struct cdp_buf *text, struct cdp_err *err)
{
    if (cdp_buf_check(text, err) < 0 || cdp_out_write(out, text->data, text->len, err) < 0)
        return -1;
    return cdp_out_seekable(out) ? cdp_out_flush(out, err) : 0;
}

static int write_lists(struct cdp_part *p, struct cdp_err *err)
{
    struct cdp_buf manifest = {0}, touched = {0};
    int rc = 0;
    if (p->files)
        qsort(p->file, p->files, sizeof(struct part_file *), file_by_path);
    for (size_t i = 0; p->manifest && i < p->files; i++)
        add_manifest(&manifest, p->file[i]);
    for (size_t i = 0; p->touched && i < p->partitions; i++)
        cdp_buf_addf(&touched, "%s\n", p->partition[i].path);
    if (p->manifest)
        rc = write_list(p->manifest, &manifest, err);
    if (rc == 0 && p->touched)
        rc = write_list(p->touched, &touched, err);
    cdp_buf_free(&manifest);
    cdp_buf_free(&touched);
    return rc;
}

static int close_list(struct cdp_out **list, struct cdp_err *err)
{
    struct cdp_out *out = *list;
    *list = NULL;
    return out ? cdp_out_close(out, err) : 0;
}

int cdp_part_commit(struct cdp_part *p, struct cdp_err *err)
{
    if (p->partitions)
        qsort(p->partition, p->partitions, sizeof *p->partition, by_path);
    char *journal = join(p->opts.dir, JOURNAL, err);
    int rc = journal ? write_lists(p, err) : -1;
    if (rc == 0)
        rc = write_journal(p, journal, err);
    if (rc == 0)
        rc = roll_forward(p, journal, err);
    if (rc == 0)
        rc = settle(p, journal, err);
    free(journal);
    if (rc < 0)
        return -1;
    remove_staging(p);
    return close_list(&p->manifest, err) < 0 || close_list(&p->touched, err) < 0 ? -1 : 0;
}
