/* The block reader: blocks of whole lines, over-long ones, and that nothing depends on how the bytes come. */
#include "lib/in.h"

#include "lib/atomic.h"
#include "lib/buf.h"

#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cdp_err err;

static void put(const char *path, const char *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    cdp_write_all(fd, p, n, path, &err);
    close(fd);
}

/* All blocks of standard input: each as "<bytes>", with marks: '(' and ')' a line that goes on, '+' an added newline. */
static const char *blocks(const struct cdp_in_opts *opts)
{
    static struct cdp_buf b;
    struct cdp_block block = {0};
    struct cdp_in *in = cdp_in_open(NULL, 0, opts, &err);
    int rc;
    uint64_t seq = 0;
    cdp_buf_clear(&b);
    while ((rc = cdp_in_next(in, &block, &err)) == 1) {
        cdp_buf_adds(&b, block.inside_start ? "(" : "<");
        cdp_buf_add(&b, block.data, block.len);
        cdp_buf_adds(&b, block.inside_end ? ")" : block.added_newline ? "+>" : ">");
        if (block.seq != seq++)
            cdp_buf_adds(&b, "?seq");
    }
    if (rc < 0)
        cdp_buf_addf(&b, "!%s", err.msg);
    cdp_block_free(&block);
    cdp_in_close(in);
    cdp_buf_addc(&b, '\0');
    return b.data;
}

static const char *from_file(const char *text, const struct cdp_in_opts *opts)
{
    put("in", text, strlen(text));
    int fd = open("in", O_RDONLY);
    dup2(fd, 0);
    close(fd);
    return blocks(opts);
}

/* The same from a pipe, into which a child writes `step` bytes at a time. */
static const char *from_pipe(const char *text, size_t step, const struct cdp_in_opts *opts)
{
    int p[2];
    if (pipe(p) < 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        for (size_t n = strlen(text), at = 0; at < n; at += step) {
            cdp_write_all(p[1], text + at, n - at < step ? n - at : step, "pipe", &err);
            usleep(300);
        }
        _exit(0);
    }
    close(p[1]);
    dup2(p[0], 0);
    close(p[0]);
    const char *got = blocks(opts);
    waitpid(pid, NULL, 0);
    return got;
}

/* The marks of a block's edges within lines only: what is the same however the bytes come. */
static const char *pieces(const char *text)
{
    static char out[4096];
    size_t n = 0;
    for (const char *p = text; *p && n + 1 < sizeof out; p++)
        if (!(p[0] == '>' && p[1] == '<') && !(p > text && p[0] == '<' && p[-1] == '>'))
            out[n++] = *p;
    out[n] = '\0';
    return out;
}

static void whole_lines(void)
{
    struct cdp_in_opts opts = {.block = 8};
    is(from_file("", &opts), "", "nothing");
    is(from_file("a\nb\nc", &opts), "<a\nb\nc\n+>", "a last line without a newline");
    is(from_file("1234567\n1234567\n1", &opts), "<1234567\n><1234567\n><1\n+>", "blocks");
    is(from_file("123456789012345678901234567890\n1\n", &opts), "<123456789012345678901234567890\n><1\n>",
       "a line longer than a block");
    is(from_file("\xEF\xBB\xBF"
                 "1\n\xEF\xBB\xBF"
                 "2\n",
                 &opts),
       "<1\n><\xEF\xBB\xBF"
       "2\n>",
       "a byte order mark");
}

static void over_long(void)
{
    const struct cdp_in_opts strict = {.max_record = 5}, split = {.max_record = 5, .pieces = true};
    static const struct {
        const char *text, *error, *pieces;
    } cases[] = {
        {"12345\n", NULL, "<12345\n>"},
        {"12345", NULL, "<12345\n+>"},
        {"123456\n", "0", "<12345)(6\n>"},
        {"123456", "0", "<12345)(6\n+>"},
        {"1\n123456\n2\n", "2", "<1\n12345)(6\n2\n>"},
        {"1234567890\n", "0", "<12345)(67890\n>"},
        {"12345678901\n\n", "0", "<12345)(67890)(1\n\n>"},
        {"1234567890123456789012345678901234567890\n1\n2\n3\n4\n5\n6\n7\n", "0",
         "<12345)(67890)(12345)(67890)(12345)(67890)(12345)(67890\n1\n2\n3\n4\n5\n6\n7\n>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char said[100], want[200];
        snprintf(want, sizeof want, "%s", cases[i].pieces);
        is(pieces(from_file(cases[i].text, &split)), want, "pieces from a file");
        for (size_t step = 1; step < 8; step += 3)
            is(pieces(from_pipe(cases[i].text, step, &split)), want, "pieces from a pipe");
        snprintf(said, sizeof said, "!-: the record at byte %s is longer than 5 bytes",
                 cases[i].error ? cases[i].error : "");
        const char *got = from_file(cases[i].text, &strict);
        ok(cases[i].error ? strstr(got, said) != NULL : !strchr(got, '!'), "as an error, from a file");
        got = from_pipe(cases[i].text, 2, &strict);
        ok(cases[i].error ? strstr(got, said) != NULL : !strchr(got, '!'), "as an error, from a pipe");
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    char dir[] = "/tmp/cdp-unit-XXXXXX";
    if (!mkdtemp(dir) || chdir(dir) < 0)
        return 1;
    whole_lines();
    over_long();
    unlink("in");
    ok(chdir("/") == 0 && rmdir(dir) == 0, "nothing is left behind");
    return done();
}
