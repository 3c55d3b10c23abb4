/* Output: gathered and direct writes, claimed places filled by several threads, files that appear whole, packed ones,
 * pipes that are full, and errors that come late. */
#include "lib/out.h"
#include "lib/buf.h"
#include "lib/gz.h"
#include "tap.h"

#include "files.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static struct cdp_err err;

static char *pattern(size_t n)
{
    char *p = malloc(n);
    for (size_t i = 0; p && i < n; i++)
        p[i] = (char)('a' + i % 23);
    return p;
}

static bool file_is(const char *path, const char *want, size_t n)
{
    size_t got_n;
    char *got = file_get(path, &got_n);
    bool same = got && got_n == n && memcmp(got, want, n) == 0;
    free(got);
    return same;
}

/* Writes of every size about the buffer's, in one file. */
static void sizes(void)
{
    static const size_t size[] = {0,      1,      65535,  65536,    65537, 10,      262143,
                                  262144, 262145, 100000, 64 << 10, 1,     3 << 20, 7};
    struct cdp_buf want = {0};
    struct cdp_out *o = cdp_out_open("sizes", false, &err);
    bool good = o != NULL;
    char *text = pattern(3 << 20);
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        good &= cdp_out_write(o, text, size[i], &err) == 0;
        cdp_buf_add(&want, text, size[i]);
    }
    for (size_t i = 0; i < 5000; i++) {
        good &= cdp_out_write(o, text + i, 100, &err) == 0;
        cdp_buf_add(&want, text + i, 100);
    }
    const struct iovec iov[] = {{text, 5}, {text, 0}, {text + 7, 200000}};
    good &= cdp_out_writev(o, iov, 3, &err) == 0;
    cdp_buf_add(&want, text, 5);
    cdp_buf_add(&want, text + 7, 200000);
    ok(good && cdp_out_bytes(o) == want.len, "writes of all sizes, counted");
    ok(access("sizes", F_OK) < 0, "nothing is there before the end");
    ok(cdp_out_close(o, &err) == 0 && file_is("sizes", want.data, want.len), "then all is");

    o = cdp_out_open("sizes", false, &err);
    cdp_out_write(o, "new", 3, &err);
    ok(cdp_out_flush(o, &err) == 0 && file_is("sizes", want.data, want.len), "the old file stays until then");
    cdp_out_abort(o);
    ok(file_is("sizes", want.data, want.len), "and for good when the run fails");
    cdp_buf_free(&want);
    free(text);
    cdp_out_abort(NULL);
}

#define PLACES 200

struct place {
    struct cdp_out *out;
    char *text;
    off_t at;
    size_t n;
    int rc;
};

static void *put(void *arg)
{
    for (struct place *p = arg, *end = p + PLACES / 2; p < end; p++) {
        struct iovec iov[300];
        size_t n = 0, piece = p->n / 299 + 1;
        struct cdp_err mine;
        for (size_t from = 0; from < p->n; from += piece)
            iov[n++] = (struct iovec){p->text + from, p->n - from < piece ? p->n - from : piece};
        p->rc = p->at < 0 ? 0 : cdp_out_put(p->out, p->at, iov, n, &mine);
    }
    return NULL;
}

/* Claimed places and writes in turn, the places filled by two threads from the last to the first. */
static void places(void)
{
    struct cdp_buf want = {0};
    static struct place place[PLACES];
    char *text = pattern(PLACES + 100000);
    struct cdp_out *o = cdp_out_open("places", false, &err);
    bool good = o && cdp_out_seekable(o);
    for (size_t i = 0; i < PLACES; i++) {
        struct place *p = &place[PLACES - 1 - i];
        *p = (struct place){.out = o, .text = text + i, .n = 1 + i * 499 % 100000, .at = -1};
        if (i % 3 == 0)
            good &= cdp_out_write(o, p->text, p->n, &err) == 0;
        else
            good &= cdp_out_claim(o, p->n, &p->at, &err) == 0 && p->at == (off_t)want.len;
        cdp_buf_add(&want, p->text, p->n);
    }
    pthread_t thread;
    good &= pthread_create(&thread, NULL, put, place + PLACES / 2) == 0;
    put(place);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < PLACES; i++)
        good &= place[i].rc == 0;
    good &= cdp_out_bytes(o) == want.len;
    ok(good && cdp_out_close(o, &err) == 0 && file_is("places", want.data, want.len),
       "places that are claimed in turn and filled in any order");
    cdp_buf_free(&want);
    free(text);
}

/* Runs `body` with standard output on fd. */
static void with_stdout(int fd, void (*body)(void))
{
    fflush(stdout);
    int old = dup(1);
    dup2(fd, 1);
    body();
    dup2(old, 1);
    close(old);
}

static bool good_body;

/* Two writers on one description, as with `(a; b) >file`. */
static void standard_body(void)
{
    struct cdp_out *o = cdp_out_open("-", false, &err);
    off_t at;
    struct iovec iov = {(void *)(uintptr_t) "middle ", 7};
    good_body = o && cdp_out_seekable(o) && cdp_out_write(o, "first ", 6, &err) == 0 &&
                cdp_out_claim(o, 7, &at, &err) == 0 && at == 12 && write(1, "other ", 6) == 6 &&
                cdp_out_put(o, at, &iov, 1, &err) == 0 && cdp_out_write(o, "last", 4, &err) == 0 &&
                cdp_out_close(o, &err) == 0;
}

static void appended_body(void)
{
    struct cdp_out *o = cdp_out_open(NULL, false, &err);
    good_body =
        o && !cdp_out_seekable(o) && cdp_out_write(o, "more", 4, &err) == 0 && cdp_out_close(o, &err) == 0;
}

static void closed_body(void)
{
    close(1);
    struct cdp_out *o = cdp_out_open(NULL, false, &err);
    good_body = !o && err.exit == CDP_EXIT_IO &&
                strcmp(err.msg, "standard output: cannot write: Bad file descriptor") == 0;
}

static void read_only_body(void)
{
    struct cdp_out *o = cdp_out_open(NULL, false, &err);
    good_body = o && cdp_out_write(o, "x", 1, &err) == 0 && cdp_out_close(o, &err) == -1 &&
                strcmp(err.msg, "standard output: cannot write: Bad file descriptor") == 0;
}

static void standard_output(void)
{
    int fd = open("std", O_RDWR | O_CREAT, 0666);
    ok(write(fd, "head: ", 6) == 6, "a file with a head");
    with_stdout(fd, standard_body);
    close(fd);
    ok(good_body && file_holds("std", "head: first middle other last"),
       "on a file that others write to, everything lands behind what is claimed");

    fd = open("std", O_WRONLY | O_APPEND);
    with_stdout(fd, appended_body);
    close(fd);
    ok(good_body && file_holds("std", "head: first middle other lastmore"),
       "no places in a file that is appended to");

    fd = open("std", O_RDONLY);
    with_stdout(fd, read_only_body);
    ok(good_body, "a write that fails at the close is an error");
    with_stdout(fd, closed_body);
    ok(good_body, "standard output that is closed is one");
    close(fd);
}

static void appending(void)
{
    struct cdp_out *o = cdp_out_open("log.gz", true, &err);
    ok(o && !cdp_out_seekable(o) && cdp_out_write(o, "one\n", 4, &err) == 0 && cdp_out_close(o, &err) == 0 &&
           file_holds("log.gz", "one\n"),
       "a log is made where there is none, and is never packed");
    o = cdp_out_open("log.gz", true, &err);
    cdp_out_write(o, "two\n", 4, &err);
    cdp_out_abort(o);
    ok(file_holds("log.gz", "one\n"), "what is gathered goes when the run is forgotten");
    o = cdp_out_open("log.gz", true, &err);
    ok(cdp_out_write(o, "two\n", 4, &err) == 0 && cdp_out_close(o, &err) == 0 &&
           file_holds("log.gz", "one\ntwo\n"),
       "and appended to");
    ok(!cdp_out_open("no/such", true, &err) &&
           strcmp(err.msg, "no/such: cannot open for writing: No such file or "
                           "directory") == 0,
       "a folder that is not there");
    ok(!cdp_out_open(".", false, &err) && err.exit == CDP_EXIT_IO, "a folder is no file");
}

static void full(void)
{
    struct cdp_out *o = cdp_out_open("/dev/full", false, &err);
    ok(o && cdp_out_write(o, "x", 1, &err) == 0 && cdp_out_close(o, &err) == -1 && err.exit == CDP_EXIT_IO &&
           strcmp(err.msg, "/dev/full: cannot write: No space left on device") == 0,
       "a full device says so at the close");
    o = cdp_out_open("/dev/full", false, &err);
    char *text = pattern(100000);
    ok(cdp_out_write(o, text, 100000, &err) == -1, "or at a large write");
    cdp_out_abort(o);
    free(text);
}

static ssize_t file_source(void *fd, void *buf, size_t n, struct cdp_err *e)
{
    (void)e;
    return read(*(int *)fd, buf, n);
}

/* Does the packed file unpack to these bytes? */
static bool unpacks(const char *path, const char *want, size_t n)
{
    int fd = open(path, O_RDONLY);
    struct cdp_gunzip *g = cdp_gunzip_new(file_source, &fd, &err);
    struct cdp_buf got = {0};
    ssize_t some = 0;
    while (cdp_buf_reserve(&got, 65536) && (some = cdp_gunzip_read(g, got.data + got.len, 65536, &err)) > 0)
        got.len += (size_t)some;
    bool same = fd >= 0 && some == 0 && got.len == n && (n == 0 || memcmp(got.data, want, n) == 0);
    cdp_gunzip_free(g);
    cdp_buf_free(&got);
    close(fd);
    return same;
}

static void packed(void)
{
    char *text = pattern(5 << 20);
    struct cdp_out *o = cdp_out_open("empty.gz", false, &err);
    ok(o && cdp_out_close(o, &err) == 0 && unpacks("empty.gz", "", 0), "nothing, packed");
    o = cdp_out_open("some.gz", false, &err);
    ok(o && !cdp_out_seekable(o) && cdp_out_write(o, text, 10, &err) == 0 &&
           cdp_out_write(o, text + 10, (5 << 20) - 10, &err) == 0 && cdp_out_bytes(o) == 5 << 20 &&
           cdp_out_flush(o, &err) == 0 && cdp_out_close(o, &err) == 0 && unpacks("some.gz", text, 5 << 20),
       "five mebibytes, packed");
    o = cdp_out_open(".gz", false, &err);
    ok(o && cdp_out_write(o, "x\n", 2, &err) == 0 && cdp_out_close(o, &err) == 0 && file_holds(".gz", "x\n"),
       "a name that is nothing but the ending is no packed file");
    o = cdp_out_open("some.gz", false, &err);
    cdp_out_write(o, text, 100, &err);
    cdp_out_abort(o);
    ok(unpacks("some.gz", text, 5 << 20), "an abort leaves the old one");
    free(text);
}

/* A reader that is slow to come, behind a pipe that does not wait. */
static void pipes(void)
{
    const size_t n = 3 << 20;
    char *text = pattern(n);
    for (int nonblock = 0; nonblock < 2; nonblock++) {
        char path[16] = "fifo";
        ok(mkfifo(path, 0666) == 0, "a named pipe");
        int in = open(path, O_RDONLY | O_NONBLOCK);
        struct cdp_out *o = cdp_out_open(path, false, &err);
        fcntl(in, F_SETFL, 0);
        int out = open(path, O_WRONLY | O_NONBLOCK);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            char piece[5000];
            size_t at = 0;
            close(out);
            if (o) /* the child's copy of the writer would keep the pipe open */
                cdp_out_abort(o);
            for (ssize_t got; (got = read(in, piece, sizeof piece)) > 0; at += (size_t)got)
                if (memcmp(piece, text + at, (size_t)got) != 0)
                    _exit(1);
            _exit(at != n);
        }
        close(in);
        int copy = dup(1), status = 1;
        bool good = true;
        if (nonblock) { /* standard output as some shells and daemons hand it down */
            cdp_out_abort(o);
            dup2(out, 1);
            o = cdp_out_open(NULL, false, &err);
        }
        close(out);
        good &= o && !cdp_out_seekable(o) && cdp_out_write(o, text, 1000, &err) == 0 &&
                cdp_out_flush(o, &err) == 0 && cdp_out_write(o, text + 1000, n - 1000, &err) == 0 &&
                cdp_out_close(o, &err) == 0;
        dup2(copy, 1);
        close(copy);
        waitpid(pid, &status, 0);
        ok(good && status == 0, "a pipe%s", nonblock ? " that does not wait" : "");
        if (!good)
            printf("# %s\n", err.msg);
        unlink(path);
    }
    free(text);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    files_begin();
    sizes();
    places();
    standard_output();
    appending();
    full();
    packed();
    pipes();
    files_end();
    return done();
}
