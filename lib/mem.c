/* mem: see mem.h. */
#include "lib/mem.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

void *cdp_mem_alloc(size_t size, struct cdp_err *err)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        cdp_err_nomem(err, size);
    return p;
}

void *cdp_mem_zalloc(size_t count, size_t size, struct cdp_err *err)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        cdp_err_nomem(err, count * size);
    return p;
}

void *cdp_mem_zalloc_apart(size_t count, size_t size, struct cdp_err *err)
{
    size_t bytes = SIZE_MAX;
    void *p = NULL;
    if (size == 0 || count <= (SIZE_MAX - CDP_APART) / size) {
        bytes = count * size / CDP_APART * CDP_APART + CDP_APART;
        p = aligned_alloc(CDP_APART, bytes);
    }
    if (!p) {
        cdp_err_nomem(err, bytes);
        return NULL;
    }
    return memset(p, 0, bytes);
}

void *cdp_mem_resize(void *old, size_t size, struct cdp_err *err)
{
    void *p = realloc(old, size ? size : 1);
    if (!p)
        cdp_err_nomem(err, size);
    return p;
}

char *cdp_mem_strndup(const char *s, size_t n, struct cdp_err *err)
{
    char *copy = cdp_mem_alloc(n + 1, err);
    if (copy) {
        memcpy(copy, s, n);
        copy[n] = '\0';
    }
    return copy;
}

void *cdp_mem_grow_more(void *array, size_t *cap, size_t need, size_t size, struct cdp_err *err)
{
    size_t to = *cap + *cap / 2;
    if (to < need)
        to = need;
    if (to < 16)
        to = 16;
    if (to > SIZE_MAX / size) {
        cdp_err_nomem(err, SIZE_MAX);
        return NULL;
    }
    void *p = cdp_mem_resize(array, to * size, err);
    if (p)
        *cap = to;
    return p;
}

void *cdp_mem_map(size_t size, struct cdp_err *err)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        cdp_err_nomem(err, size);
        return NULL;
    }
    madvise(p, size, MADV_HUGEPAGE); /* a hint: without huge pages all works the same */
    return p;
}

#define HUGE_PAGE ((size_t)2 << 20)

void *cdp_mem_map_table(size_t size, struct cdp_err *err)
{
    void *p = cdp_mem_map(size, err);
#ifdef MADV_POPULATE_WRITE
    if (p && size < HUGE_PAGE)
        madvise(p, size, MADV_POPULATE_WRITE); /* Linux 5.14; older kernels do without */
#endif
    return p;
}

void cdp_mem_unmap(void *p, size_t size)
{
    if (p)
        munmap(p, size);
}

/* The number in a file of a cgroup, or UINT64_MAX where there is none ("max", no such file). */
static uint64_t limit_in(const char *path)
{
    unsigned long long n = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return UINT64_MAX;
    int got = fscanf(f, "%llu", &n);
    fclose(f);
    return got == 1 ? n : UINT64_MAX;
}

/* The least limit of the cgroup at path[0..n) and those above it. */
static uint64_t limit_above(const char *root, const char *path, size_t n, const char *file)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        char name[PATH_MAX];
        int len = snprintf(name, sizeof name, "%s%.*s/%s", root, (int)n, path, file);
        uint64_t limit = len > 0 && (size_t)len < sizeof name ? limit_in(name) : UINT64_MAX;
        least = limit < least ? limit : least;
        if (n == 0)
            return least;
        while (n && path[--n] != '/')
            ;
    }
}

/* See cgroups(7), /proc/PID/cgroup: "0::/path" is of version 2, "4:memory:/path" of version 1. */
static uint64_t cgroup_limit(void)
{
    uint64_t least = UINT64_MAX;
    char line[PATH_MAX];
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        const char *path = strchr(line, '/'), *v1 = strstr(line, ":memory:");
        if (!path || !(v1 || strncmp(line, "0::", 3) == 0))
            continue;
        size_t n = strcspn(path, "\n");
        uint64_t limit = v1 ? limit_above("/sys/fs/cgroup/memory", path, n, "memory.limit_in_bytes")
                            : limit_above("/sys/fs/cgroup", path, n, "memory.max");
        least = limit < least ? limit : least;
    }
    if (f)
        fclose(f);
    return least;
}

uint64_t cdp_mem_available(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : (uint64_t)1 << 30;
    uint64_t limit = cgroup_limit();
    if (limit < bytes)
        bytes = limit;
    struct rlimit rl;
    if (getrlimit(RLIMIT_AS, &rl) == 0 && rl.rlim_cur < bytes)
        bytes = rl.rlim_cur;
    return bytes;
}

uint64_t cdp_mem_peak(void)
{
    struct rusage ru;
    return getrusage(RUSAGE_SELF, &ru) == 0 ? (uint64_t)ru.ru_maxrss * 1024 : 0;
}
