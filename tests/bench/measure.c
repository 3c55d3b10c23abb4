/* measure: runs a command line in a shell and appends what it took to a file.
 *
 *     measure FILE COMMAND
 *     measure --touch MIB
 *
 * The first appends "wall user sys peak status others": seconds three times, MiB, exit status, and the CPU seconds that everything
 * else on the machine took meanwhile.
 *
 * The second touches that much memory and gives it back: in a virtual machine memory that was not used for a while
 * may have gone back to the host, and whoever comes next pays for getting it.
 *
 * Peak is the most that the command's processes held resident at one time: the sum over the tree, read from
 * /proc every 10 ms, and never less than the largest single process that the kernel reports at the end.  The time
 * is the whole process's, from fork to the last wait, as a user waits for it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t read_small(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, buf, size - 1);
    close(fd);
    buf[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

/* Resident pages of a process and of all below it.  Processes that end meanwhile count as nothing. */
static long tree_pages(long pid)
{
    char path[64], buf[4096];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", pid);
    if (read_small(path, buf, sizeof buf)) {
        char *at = strchr(buf, ' ');
        pages = at ? strtol(at, NULL, 10) : 0;
    }
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", pid, pid);
    if (read_small(path, buf, sizeof buf))
        for (char *at = buf, *end; *at; at = end) {
            long child = strtol(at, &end, 10);
            if (end == at)
                break;
            pages += tree_pages(child);
        }
    return pages;
}

/* Busy CPU seconds of the machine since it started, time stolen by its host included. */
static double machine_busy(void)
{
    char buf[4096];
    double busy = 0;
    if (!read_small("/proc/stat", buf, sizeof buf))
        return 0;
    char *at = buf + 3; /* "cpu  user nice system idle iowait irq softirq steal …" */
    for (int i = 0; i < 8; i++) {
        double v = (double)strtoull(at, &at, 10);
        busy += i == 3 || i == 4 ? 0 : v;
    }
    return busy / (double)sysconf(_SC_CLK_TCK);
}

static int touch(size_t bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("measure: cannot touch memory");
        return 3;
    }
    madvise(p, bytes, MADV_HUGEPAGE); /* so that what is given back can be had in large pages as well */
    for (size_t i = 0; i < bytes; i += 4096)
        p[i] = 1;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: measure FILE COMMAND | measure --touch MIB\n", stderr);
        return 2;
    }
    if (strcmp(argv[1], "--touch") == 0)
        return touch(strtoull(argv[2], NULL, 10) << 20);
    sigset_t wait_for;
    sigemptyset(&wait_for);
    sigaddset(&wait_for, SIGCHLD);
    sigprocmask(SIG_BLOCK, &wait_for, NULL);
    double start = now(), busy = machine_busy();
    pid_t pid = fork();
    if (pid < 0) {
        perror("measure: fork");
        return 3;
    }
    if (pid == 0) {
        sigprocmask(SIG_UNBLOCK, &wait_for, NULL);
        execl("/bin/bash", "bash", "-c", argv[2], (char *)NULL);
        _exit(127);
    }
    long peak = 0, page = sysconf(_SC_PAGESIZE);
    int status = 0;
    struct rusage used;
    const struct timespec pause = {0, 10000000};
    for (pid_t done = 0; done == 0;) {
        sigtimedwait(&wait_for, NULL, &pause);
        done = wait4(pid, &status, WNOHANG, &used);
        if (done < 0) {
            perror("measure: wait");
            return 3;
        }
        long pages = done ? 0 : tree_pages(pid);
        peak = pages > peak ? pages : peak;
    }
    double wall = now() - start;
    struct rusage all;
    getrusage(RUSAGE_CHILDREN, &all);
    double user = (double)all.ru_utime.tv_sec + (double)all.ru_utime.tv_usec / 1e6;
    double system = (double)all.ru_stime.tv_sec + (double)all.ru_stime.tv_usec / 1e6;
    double others = machine_busy() - busy - user - system;
    double mib = (double)peak * (double)page / 1048576, largest = (double)all.ru_maxrss / 1024;
    FILE *out = fopen(argv[1], "a");
    if (!out) {
        perror("measure: cannot open the file of results");
        return 3;
    }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(out, "%.3f\t%.2f\t%.2f\t%.0f\t%d\t%.2f\n", wall, user, system, mib > largest ? mib : largest,
            code, others > 0 ? others : 0);
    return fclose(out) == 0 ? code : 3;
}
