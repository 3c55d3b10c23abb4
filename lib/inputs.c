/* inputs: see inputs.h.  Memory: the paths. */
#include "lib/inputs.h"

#include "lib/atomic.h"
#include "lib/datepath.h"
#include "lib/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool cdp_inputs_within(const struct cdp_inputs *in, const char *path)
{
    if (in->since == 0 && in->until == UINT64_MAX)
        return true;
    struct cdp_datepath d = cdp_datepath_parse(path, NULL);
    return !d.dated || (d.hi >= in->since && d.lo <= in->until);
}

static int append(struct cdp_inputs *in, char *path, struct cdp_err *err)
{
    char **more = cdp_mem_grow(in->path, &in->cap, in->n + 1, sizeof *more, err);
    if (!more) {
        free(path);
        return -1;
    }
    in->path = more;
    in->path[in->n++] = path;
    return 0;
}

static bool hidden(const char *name)
{
    return name[0] == '.' || (name[0] == '_' && !strchr(name, '='));
}

static char *join(const char *dir, const char *name, struct cdp_err *err)
{
    size_t n = strlen(dir), m = strlen(name);
    char *path = cdp_mem_alloc(n + m + 2, err);
    if (!path)
        return NULL;
    memcpy(path, dir, n);
    if (n && dir[n - 1] != '/')
        path[n++] = '/';
    memcpy(path + n, name, m + 1);
    return path;
}

/* A directory on the way down, to see a loop of symbolic links. */
struct ancestor {
    const struct ancestor *up;
    dev_t dev;
    ino_t ino;
};

static int walk(struct cdp_inputs *in, const char *dir, const struct ancestor *up, struct cdp_err *err);

/* A directory's entry; path becomes the list's or is freed. */
static int entry(struct cdp_inputs *in, char *path, const struct ancestor *up, struct cdp_err *err)
{
    struct stat st;
    int rc = 0;
    if (stat(path, &st) < 0) {
        rc = cdp_err_errno(err, "%s: cannot open", path);
    } else if (S_ISREG(st.st_mode)) {
        if (cdp_inputs_within(in, path))
            return append(in, path, err);
    } else if (S_ISDIR(st.st_mode)) {
        const struct ancestor here = {up, st.st_dev, st.st_ino};
        for (; up && rc == 0; up = up->up)
            if (up->dev == here.dev && up->ino == here.ino)
                rc = cdp_err_set(err, CDP_EXIT_IO, "%s: is a link to a directory above it", path);
        if (rc == 0)
            rc = walk(in, path, &here, err);
    }
    free(path);
    return rc;
}

/* Is d no longer the directory of that name?  Then its files may have been taken away while it was read, which would look
 * like its end. */
static bool was_replaced(DIR *d, const char *dir)
{
    struct stat is, was;
    return fstat(dirfd(d), &was) < 0 || stat(dir, &is) < 0 || is.st_dev != was.st_dev ||
           is.st_ino != was.st_ino;
}

static int walk(struct cdp_inputs *in, const char *dir, const struct ancestor *up, struct cdp_err *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return cdp_err_errno(err, "%s: cannot open", dir);
    int rc = 0;
    struct dirent *e;
    while (rc == 0 && (errno = 0, e = readdir(d))) {
        if (hidden(e->d_name))
            continue;
        char *path = join(dir, e->d_name, err);
        rc = path ? entry(in, path, up, err) : -1;
    }
    if (rc == 0 && errno)
        rc = cdp_err_errno(err, "%s: cannot read", dir);
    else if (rc == 0 && was_replaced(d, dir))
        rc = cdp_err_set(err, CDP_EXIT_IO, "%s: was replaced while it was read", dir);
    closedir(d);
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int cdp_inputs_add(struct cdp_inputs *in, const char *operand, struct cdp_err *err)
{
    struct stat st;
    if (strcmp(operand, "-") != 0 && stat(operand, &st) < 0)
        return cdp_err_errno(err, "%s: cannot open", operand);
    if (strcmp(operand, "-") == 0 || !S_ISDIR(st.st_mode)) {
        if (!cdp_inputs_within(in, operand))
            return 0;
        char *path = cdp_mem_strndup(operand, strlen(operand), err);
        return path ? append(in, path, err) : -1;
    }
    size_t first = in->n;
    const struct ancestor top = {NULL, st.st_dev, st.st_ino};
    if (walk(in, operand, &top, err) < 0)
        return -1;
    if (in->n > first)
        qsort(in->path + first, in->n - first, sizeof *in->path, by_bytes);
    return 0;
}

int cdp_inputs_add_from(struct cdp_inputs *in, const char *list, bool null, struct cdp_err *err)
{
    char *data;
    size_t n;
    if (cdp_read_file(list, &data, &n, err) < 0)
        return -1;
    int rc = 0;
    for (char *p = data, *end = data + n; rc == 0 && p < end;) {
        char *stop = memchr(p, null ? '\0' : '\n', (size_t)(end - p));
        if (!stop)
            stop = end; /* there is a zero byte behind the data */
        *stop = '\0';
        if (strlen(p) != (size_t)(stop - p))
            rc = cdp_err_set(err, CDP_EXIT_USAGE, "%s: a name holds a zero byte: is this a list for --null?",
                             list);
        else if (*p)
            rc = cdp_inputs_add(in, p, err);
        p = stop + 1;
    }
    free(data);
    return rc;
}

void cdp_inputs_free(struct cdp_inputs *in)
{
    for (size_t i = 0; i < in->n; i++)
        free(in->path[i]);
    free(in->path);
}
