#include "lib/atomic.h"

#include "files.h"
#include "tap.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cdp_err err;

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    cdp_write_all(fd, text, strlen(text), path, &err);
    close(fd);
}

static bool holds(const char *path, const char *text)
{
    char *data;
    size_t n;
    if (cdp_read_file(path, &data, &n, &err) < 0)
        return false;
    bool same = n == strlen(text) && memcmp(data, text, n) == 0;
    free(data);
    return same;
}

static int entries(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void replacing(void)
{
    struct cdp_atomic *a = cdp_atomic_open("new", &err);
    cdp_write_all(cdp_atomic_fd(a), "one\n", 4, "new", &err);
    ok(access("new", F_OK) < 0, "nothing is there before the commit");
    ok(cdp_atomic_commit(a, &err) == 0 && holds("new", "one\n"), "a new file appears whole");

    chmod("new", 0640);
    a = cdp_atomic_open("new", &err);
    cdp_write_all(cdp_atomic_fd(a), "two\n", 4, "new", &err);
    ok(holds("new", "one\n"), "the old file stays until the commit");
    struct stat st;
    char name[256];
    ok(cdp_atomic_commit(a, &err) == 0 && holds("new", "two\n"), "an old file is replaced");
    ok(stat("new", &st) == 0 && (st.st_mode & 0777) == 0640, "with its permissions");

    a = cdp_atomic_open("new", &err);
    cdp_write_all(cdp_atomic_fd(a), "three\n", 6, "new", &err);
    cdp_atomic_abort(a);
    ok(holds("new", "two\n") && entries(".") == 1, "an abort leaves the old file and nothing else");

    ok(symlink("new", "link") == 0, "a symbolic link");
    a = cdp_atomic_open("link", &err);
    cdp_write_all(cdp_atomic_fd(a), "four\n", 5, "link", &err);
    ok(cdp_atomic_commit(a, &err) == 0 && holds("new", "four\n"), "is followed");
    ok(lstat("link", &st) == 0 && S_ISLNK(st.st_mode), "and stays a link");

    ok(unlink("new") == 0 && symlink("link", "before") == 0, "a link to a link to nothing yet");
    a = cdp_atomic_open("before", &err);
    cdp_write_all(cdp_atomic_fd(a), "four\n", 5, "before", &err);
    ok(cdp_atomic_commit(a, &err) == 0 && holds("new", "four\n"), "is followed, too");
    ok(lstat("link", &st) == 0 && S_ISLNK(st.st_mode) && lstat("before", &st) == 0 && S_ISLNK(st.st_mode),
       "and both stay links");
    ok(symlink("round", "round") == 0 && !cdp_atomic_open("round", &err) && err.exit == CDP_EXIT_IO,
       "a link to itself is an error");

    int fd = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    ok(cdp_write_all(fd, "old\n", 4, "log", &err) == 0 && unlink("log") == 0, "a file without a name");
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ok(symlink(name, "out") == 0 && (a = cdp_atomic_open("out", &err)), "is reached by its descriptor");
    ok(cdp_write_all(cdp_atomic_fd(a), "new\n", 4, "log", &err) == 0 && cdp_atomic_commit(a, &err) == 0 &&
           fstat(fd, &st) == 0 && st.st_size == 8,
       "and written in place");
    ok(lstat("out", &st) == 0 && S_ISLNK(st.st_mode), "the link to it stays");
    close(fd);

    a = cdp_atomic_open("/dev/null", &err);
    cdp_write_all(cdp_atomic_fd(a), "five\n", 5, "/dev/null", &err);
    ok(cdp_atomic_commit(a, &err) == 0 && stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode),
       "a device is written in place");

    memset(name, 'n', 255);
    name[255] = '\0';
    a = cdp_atomic_open(name, &err);
    ok(a && cdp_atomic_commit(a, &err) == 0 && access(name, F_OK) == 0, "the longest of names");
    unlink(name);
}

static void failing(void)
{
    ok(!cdp_atomic_open("nowhere/x", &err) && err.exit == CDP_EXIT_IO, "no such directory");
    is(err.msg, "nowhere/x: cannot create a file in its directory: No such file or directory", "is said");
    ok(!cdp_atomic_open(".", &err), "a directory");
    is(err.msg, ".: is a directory", "is refused");
    int full = open("/dev/full", O_WRONLY);
    ok(cdp_write_all(full, "x", 1, "/dev/full", &err) < 0 && err.exit == CDP_EXIT_IO, "a full device");
    is(err.msg, "/dev/full: cannot write: No space left on device", "is said");
    close(full);
}

static void sweeping(void)
{
    put(".out.ndjson.cdp-a1B2c3", "dead");
    put(".out.ndjson.cdp-d1B2c3", "alive");
    put(".out.ndjson.cdp-a1B2c", "not ours");
    put("out.ndjson.cdp-a1B2c3", "not ours");
    int fd = open(".out.ndjson.cdp-d1B2c3", O_RDONLY);
    flock(fd, LOCK_EX);
    int before = entries(".");
    ok(cdp_atomic_sweep(".", &err) == 0, "sweep");
    ok(access(".out.ndjson.cdp-a1B2c3", F_OK) < 0, "removes what a killed run left");
    ok(access(".out.ndjson.cdp-d1B2c3", F_OK) == 0, "but not what a living one holds");
    ok(entries(".") == before - 1, "nor other files");
    close(fd);
    ok(cdp_atomic_sweep(".", &err) == 0 && entries(".") == before - 2, "until it is dead too");
    unlink(".out.ndjson.cdp-a1B2c");
    unlink("out.ndjson.cdp-a1B2c3");
    ok(cdp_atomic_sweep("nowhere", &err) < 0, "a directory that is not there");
}

/* Opens the target and forgets it again. */
static void touch_target(const char *name)
{
    cdp_atomic_abort(cdp_atomic_open(name, &err));
}

/* What a killed run left beside its target goes when the next one comes. */
static void leftovers(void)
{
    put("t", "old");
    put(".t.cdp-a1B2c3", "dead");
    put(".t.cdp-d1B2c3", "alive");
    put(".tt.cdp-a1B2c3", "another target's");
    put(".u.cdp-a1B2c3", "another target's");
    int fd = open(".t.cdp-d1B2c3", O_RDONLY), before = entries(".");
    flock(fd, LOCK_EX);
    touch_target("t");
    ok(access(".t.cdp-a1B2c3", F_OK) < 0 && entries(".") == before - 1,
       "a target's new file sweeps away what is its own and dead");
    close(fd);
    touch_target("./t");
    ok(access(".t.cdp-d1B2c3", F_OK) < 0 && entries(".") == before - 2, "from whatever place");
    unlink("t");
    unlink(".tt.cdp-a1B2c3");
    unlink(".u.cdp-a1B2c3");

    char name[256], temp[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(temp, sizeof temp, ".%.243s.cdp-a1B2c3", name);
    put(name, "old");
    put(temp, "dead");
    touch_target(name);
    ok(access(temp, F_OK) < 0, "also of a name that is cut");
    unlink(name);
}

static void dying(void)
{
    int before = entries(".");
    pid_t pid = fork();
    if (pid == 0) {
        cdp_atomic_signals();
        for (;;) {
            struct cdp_atomic *a = cdp_atomic_open("churn", &err);
            if (!a || cdp_atomic_commit(a, &err) < 0)
                _exit(9);
        }
    }
    while (access("churn", F_OK) < 0 && waitpid(pid, NULL, WNOHANG) == 0)
        usleep(1000);
    usleep(50000);
    kill(pid, SIGTERM);
    int status = 0;
    waitpid(pid, &status, 0);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "a signal ends the process as that signal");
    ok(entries(".") == before + 1, "and no temporary is left");
    unlink("churn");
}

/* Makes directories and files in "tree" without an end, as a thread that writes does. */
static void *grow(void *number)
{
    char path[80], dir[40];
    for (int i = 0;; i++) {
        sigset_t old;
        snprintf(dir, sizeof dir, "tree/%d", i % 7);
        snprintf(path, sizeof path, "%s/%d-%d", dir, *(int *)number, i);
        cdp_atomic_enter(&old);
        mkdir("tree", 0777);
        mkdir(dir, 0777);
        if (i % 5 == 0)
            usleep(200); /* for a signal to come */
        int fd = open(path, O_WRONLY | O_CREAT, 0666);
        cdp_atomic_leave(&old);
        if (fd < 0)
            _exit(9);
        close(fd);
    }
    return NULL;
}

static void grow_tree(void)
{
    pthread_t thread;
    int number[] = {1, 2, 3};
    cdp_atomic_signals();
    if (!cdp_atomic_guard("tree", &err))
        _exit(9);
    for (int i = 0; i < 2; i++)
        pthread_create(&thread, NULL, grow, &number[i]);
    grow(&number[2]);
}

static void guarded(void)
{
    int before = entries("."), left = 0, wrong = 0;
    put("beside", "not in it");
    for (int round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0)
            grow_tree();
        for (int i = 0; i < 5000 && access("tree/6", F_OK) < 0; i++)
            usleep(1000);
        usleep(20000);
        /* once, where the other threads go on; or again, and another, while it removes files */
        for (int i = 0; i < (round % 2 ? 20 : 1); i++) {
            kill(pid, i % 5 == 4 ? SIGINT : SIGTERM);
            usleep(300);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        wrong += !WIFSIGNALED(status) || (WTERMSIG(status) != SIGTERM && WTERMSIG(status) != SIGINT);
        if (access("tree", F_OK) == 0) {
            left++;
            nftw("tree", files_remove, 16, FTW_DEPTH | FTW_PHYS);
        }
    }
    ok(wrong == 0, "a signal ends the process also while its threads write, not in %d runs", wrong);
    ok(left == 0, "and takes a guarded directory with it, not in %d runs", left);
    ok(holds("beside", "not in it") && entries(".") == before + 1, "and nothing else");
    unlink("beside");

    pid_t pid = fork();
    if (pid == 0) {
        cdp_atomic_signals();
        struct cdp_atomic *a = cdp_atomic_guard("tree", &err);
        mkdir("tree", 0777);
        cdp_atomic_unguard(a);
        raise(SIGTERM);
        _exit(9);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && rmdir("tree") == 0,
       "one that is guarded no more stays");
    cdp_atomic_unguard(NULL);
}

static void temporaries(void)
{
    int before = entries(".");
    int fd = cdp_temp_open(".", &err);
    char back[4] = "";
    ok(fd >= 0 && pwrite(fd, "abc", 3, 0) == 3 && pread(fd, back, 3, 0) == 3,
       "a temporary file is read and written");
    is(back, "abc", "and keeps what is written");
    ok(entries(".") == before, "and has no name");
    close(fd);
    ok(cdp_temp_open("nowhere", &err) < 0 && err.exit == CDP_EXIT_IO, "no such directory");
    is(err.msg, "nowhere: cannot create a temporary file: No such file or directory", "is said");
}

static void reading(void)
{
    char *data;
    size_t n;
    put("empty", "");
    ok(cdp_read_file("empty", &data, &n, &err) == 0 && n == 0 && *data == '\0', "an empty file");
    free(data);
    data = NULL;
    ok(cdp_read_file("/proc/self/cmdline", &data, &n, &err) == 0 && n > 0, "a file of unknown size");
    free(data);
    ok(cdp_read_file("missing", &data, &n, &err) < 0, "a missing file");
    is(err.msg, "missing: cannot open: No such file or directory", "is said");
    ok(cdp_read_file(".", &data, &n, &err) < 0, "a directory");
    is(err.msg, ".: cannot read: Is a directory", "is said");
}

int main(void)
{
    char dir[] = "/tmp/cdp-unit-XXXXXX";
    if (!mkdtemp(dir) || chdir(dir) < 0)
        return 1;
    replacing();
    failing();
    sweeping();
    leftovers();
    dying();
    guarded();
    temporaries();
    reading();
    unlink("new");
    unlink("link");
    unlink("before");
    unlink("round");
    unlink("out");
    unlink("empty");
    ok(chdir("/") == 0 && rmdir(dir) == 0, "nothing is left behind");
    return done();
}
