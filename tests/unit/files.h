/* files: an empty directory to work in, and files made of text. */
#ifndef CDP_TEST_FILES_H
#define CDP_TEST_FILES_H

#include "lib/atomic.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char files_dir[] = "/tmp/cdp-unit-XXXXXX";

/* Goes into a new directory. */
__attribute__((unused)) static void files_begin(void)
{
    if (!mkdtemp(files_dir) || chdir(files_dir) < 0) {
        perror(files_dir);
        exit(1);
    }
}

static int files_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

__attribute__((unused)) static void files_end(void)
{
    if (chdir("/") < 0 || nftw(files_dir, files_remove, 16, FTW_DEPTH | FTW_PHYS) < 0)
        perror(files_dir);
}

__attribute__((unused)) static void file_put(const char *path, const char *p, size_t n)
{
    struct cdp_err err;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || cdp_write_all(fd, p, n, path, &err) < 0 || close(fd) < 0) {
        perror(path);
        exit(1);
    }
}

__attribute__((unused)) static void file_puts(const char *path, const char *text)
{
    file_put(path, text, strlen(text));
}

/* Its bytes and a NUL, to be freed; NULL where there is no such file. */
__attribute__((unused)) static char *file_get(const char *path, size_t *n)
{
    struct cdp_err err;
    char *data;
    return cdp_read_file(path, &data, n, &err) < 0 ? NULL : data;
}

__attribute__((unused)) static bool file_holds(const char *path, const char *text)
{
    size_t n;
    char *data = file_get(path, &n);
    bool same = data && n == strlen(text) && memcmp(data, text, n) == 0;
    if (!same)
        printf("# %s holds: %.*s\n", path, data ? (int)n : 0, data ? data : "");
    free(data);
    return same;
}

#endif
