/* The block reader: blocks are whole lines and all of the input, whatever the block's size, the line's length and the kind
 * of operand; idle calls; records that are too long; memory that is given back. */
#include "lib/in.h"
#include "lib/buf.h"
#include "lib/gz.h"
#include "lib/mem.h"
#include "tap.h"

#include "files.h"

#include <signal.h>
#include <sys/wait.h>

static struct cdp_err err;

/* All blocks of the operands, one after the other in `data`, and what each must fulfil. */
struct seen {
    struct cdp_buf data;
    size_t blocks, largest;
    bool
        good; /* whole lines, zero padding, numbers and offsets that follow each other, bytes that the file has there */
    int end; /* what the last cdp_in_next said */
};

static bool block_good(struct cdp_in *in, const struct cdp_block *b, uint64_t seq, uint64_t offset)
{
    static const char zero[CDP_PAD];
    bool good = b->seq == seq && b->len > 0 && b->data[b->len - 1] == '\n' && b->cap >= b->len + CDP_PAD &&
                memcmp(b->data + b->len, zero, CDP_PAD) == 0 && cdp_in_source_name(in, b->source)[0] != '\0';
    good &= b->first ? b->offset == 0 || b->offset == 3 : b->offset == offset;
    size_t n = b->len - b->added_newline;
    char *again = malloc(n + 1);
    if (b->fd >= 0)
        good &= pread(b->fd, again, n, (off_t)b->file_at) == (ssize_t)n && memcmp(again, b->data, n) == 0;
    free(again);
    return good;
}

static struct seen read_all(const char *const *names, size_t n, const struct cdp_in_opts *opts)
{
    struct seen s = {.good = true};
    struct cdp_block b = {0};
    struct cdp_in *in = cdp_in_open(names, n, opts, &err);
    uint64_t offset = 0;
    for (uint64_t seq = 0; (s.end = cdp_in_next(in, &b, &err)) == 1; seq++) {
        s.good &= block_good(in, &b, seq, offset);
        offset = b.offset + b.len - b.added_newline;
        cdp_buf_add(&s.data, b.data, b.len);
        s.blocks++;
        s.largest = b.len > s.largest ? b.len : s.largest;
    }
    s.good &= cdp_in_bytes(in) == s.data.len;
    cdp_block_free(&b);
    cdp_in_close(in);
    return s;
}

static bool gives(const char *const *names, size_t n, const struct cdp_in_opts *opts, const char *want,
                  size_t len)
{
    struct seen s = read_all(names, n, opts);
    bool good =
        s.end == 0 && s.good && s.data.len == len && (len == 0 || memcmp(s.data.data, want, len) == 0);
    if (!good)
        printf("# end %d, good %d, %zu bytes in %zu blocks\n", s.end, s.good, s.data.len, s.blocks);
    cdp_buf_free(&s.data);
    return good;
}

/* n bytes of lines, of which the one that holds the byte at `at` ends there (n: none does). */
static char *lines(size_t n, size_t at, size_t every)
{
    char *p = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = i == at || (i % every == every - 1 && i + every / 2 < at) ? '\n' : (char)('a' + i % 26);
    p[n] = '\n';
    return p;
}

static void boundaries(void)
{
    static const char *const name[] = {"in"};
    size_t wrong = 0, runs = 0;
    const size_t block = CDP_BLOCK_SIZE;
    const size_t sizes[] = {1,         block - 1,     block,    block + 1, 2 * block - 1,
                            2 * block, 2 * block + 1, 5 * block};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < 4; j++) {
            size_t n = sizes[i], at = j < 3 ? block - 2 + j : n - 1;
            char *text = lines(n, at, j % 2 ? 100 : 3 * block);
            file_put("in", text, n);
            size_t want = n + (text[n - 1] != '\n');
            wrong += !gives(name, 1, NULL, text, want);
            runs++;
            free(text);
        }
    ok(wrong == 0, "lines that end about a block's end: %zu inputs, %zu wrong", runs, wrong);

    wrong = runs = 0;
    const char *text = "a\nbb\nccc\n\ndddd\neeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\n\n\nf";
    char want[64];
    snprintf(want, sizeof want, "%s\n", text);
    file_puts("in", text);
    for (size_t size = 1; size < 60; size++, runs++) {
        const struct cdp_in_opts opts = {.block = size};
        wrong += !gives(name, 1, &opts, want, strlen(want));
    }
    ok(wrong == 0, "blocks of 1 to 59 bytes: %zu wrong", wrong);

    struct seen s = read_all(name, 1, NULL);
    ok(s.blocks == 1, "a small input is one block");
    cdp_buf_free(&s.data);
}

static void sources(void)
{
    static const char *const three[] = {"one", "empty", "two"}, *const bom[] = {"bom", "bom", "one"};
    file_puts("one", "1\n2");
    file_puts("empty", "");
    file_puts("two", "3\r\n");
    ok(gives(three, 3, NULL, "1\n2\n3\r\n", 7), "files follow each other, lines do not run together");
    ok(gives(three + 1, 1, NULL, "", 0), "an empty file gives no block");
    file_puts("bom", "\xEF\xBB\xBF{}\n\xEF\xBB\xBF{}\n");
    ok(gives(bom, 3, NULL, "{}\n\xEF\xBB\xBF{}\n{}\n\xEF\xBB\xBF{}\n1\n2\n", 22),
       "a mark at a source's start is skipped, and nowhere else");
    file_puts("bom", "\xEF\xBB\xBF");
    ok(gives(bom, 1, NULL, "\n", 1), "nothing but a mark is an empty line");

    static const char *many[300];
    struct cdp_buf want = {0};
    for (size_t i = 0; i < 300; i++) {
        many[i] = i % 3 ? "one" : "empty";
        cdp_buf_adds(&want, i % 3 ? "1\n2\n" : "");
    }
    ok(gives(many, 300, NULL, want.data, want.len), "300 files");
    cdp_buf_free(&want);

    struct cdp_block b = {0};
    struct cdp_in *in = cdp_in_open(three, 3, NULL, &err);
    ok(cdp_in_next(in, &b, &err) == 1 && b.first && b.operand == 0 && b.added_newline &&
           strcmp(cdp_in_source_name(in, b.source), "one") == 0,
       "a block knows its source");
    ok(cdp_in_next(in, &b, &err) == 1 && b.first && b.operand == 2 && !b.added_newline &&
           strcmp(cdp_in_source_name(in, b.source), "two") == 0 &&
           strcmp(cdp_in_source_name(in, 0), "one") == 0,
       "and the next knows the next");
    uint64_t done, size;
    cdp_in_progress(in, &done, &size);
    ok(done == 6 && size == 6, "progress: %llu of %llu bytes", (unsigned long long)done,
       (unsigned long long)size);
    ok(cdp_in_next(in, &b, &err) == 0 && cdp_in_next(in, &b, &err) == 0, "the end stays the end");
    cdp_block_free(&b);
    cdp_in_close(in);

    struct cdp_buf packed = {0};
    ok(cdp_gzip("4\n5\n", 4, &packed, &err) == 0, "packed");
    file_put("packed", packed.data, packed.len);
    cdp_buf_free(&packed);
    static const char *const gz[] = {"packed"};
    in = cdp_in_open(gz, 1, NULL, &err);
    ok(cdp_in_next(in, &b, &err) == 1 && b.fd == -1 && b.len == 4 && memcmp(b.data, "4\n5\n", 4) == 0,
       "a packed file is unpacked and cannot be read again by place");
    cdp_block_free(&b);
    cdp_in_close(in);
}

static void failures(void)
{
    static const char *const names[] = {"one", "no such file", "two"};
    struct cdp_block b = {0};
    struct cdp_in *in = cdp_in_open(names, 3, NULL, &err);
    ok(cdp_in_next(in, &b, &err) == 1, "what is before a missing file comes first");
    ok(cdp_in_next(in, &b, &err) == -1 && err.exit == CDP_EXIT_IO &&
           strcmp(err.msg, "no such file: cannot open: No such file or directory") == 0,
       "then the error");
    err = (struct cdp_err){0};
    ok(cdp_in_next(in, &b, &err) == -1 && strstr(err.msg, "no such file: "), "which stays");
    cdp_in_close(in);

    struct cdp_buf packed = {0};
    char *text = lines(3 * CDP_BLOCK_SIZE, 3 * CDP_BLOCK_SIZE - 1, 100);
    ok(cdp_gzip(text, 3 * CDP_BLOCK_SIZE, &packed, &err) == 0, "packed");
    file_put("cut", packed.data, packed.len - 10);
    static const char *const cut[] = {"cut"};
    struct seen s = read_all(cut, 1, NULL);
    ok(s.end == -1 && err.exit == CDP_EXIT_DATA && s.data.len > 0 && s.data.data[s.data.len - 1] == '\n' &&
           memcmp(s.data.data, text, s.data.len) == 0,
       "the lines before a stream's fault are handed out");
    cdp_buf_free(&s.data);
    cdp_buf_free(&packed);
    free(text);
    cdp_block_free(&b);
}

/* How long a line may be does not depend on where it stands nor on the block's size. */
static void too_long(void)
{
    static const char *const name[] = {"in"};
    size_t wrong = 0;
    for (size_t before = 0; before < 3; before++)
        for (size_t len = 19; len <= 22; len++)
            for (size_t size = 1; size < 90; size += 3)
                for (int end = 0; end < 3; end++) {
                    char text[256], want[128];
                    const struct cdp_in_opts opts = {.block = size, .max_record = 20};
                    const char *ends[] = {"", "\n", "\nshort\n"};
                    int n = snprintf(text, sizeof text, "%.*s%.*s%s", (int)before * 7, "123456\nabcdef\n",
                                     (int)len, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx", ends[end]);
                    file_put("in", text, (size_t)n);
                    if (end == 0)
                        text[n++] = '\n';
                    if (len <= 20) {
                        wrong += !gives(name, 1, &opts, text, (size_t)n);
                        continue;
                    }
                    struct seen s = read_all(name, 1, &opts);
                    snprintf(want, sizeof want, "in: the record at byte %zu is longer than 20 bytes",
                             before * 7);
                    wrong += s.end != -1 || err.exit != CDP_EXIT_DATA || strcmp(err.msg, want) != 0 ||
                             s.data.len != before * 7 ||
                             (before && memcmp(s.data.data, text, before * 7) != 0);
                    cdp_buf_free(&s.data);
                }
    ok(wrong == 0, "a record that is too long ends the lines before it: %zu wrong", wrong);

    /* In pieces nothing is too long, and the pieces are the whole. */
    wrong = 0;
    for (size_t len = 1; len < 90; len++)
        for (size_t size = 1; size < 60; size += 2) {
            char text[256], want[300];
            const struct cdp_in_opts opts = {.block = size, .max_record = 20, .pieces = true};
            int n = snprintf(
                text, sizeof text, "a\n%.*s\n%.*s\nb\n%.*s", (int)len,
                "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
                (int)(len % 45), "dddddddddddddddddddddddddddddddddddddddddddddd", (int)(len % 41),
                "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
            snprintf(want, sizeof want, "%s%s", text, len % 41 ? "\n" : "");
            file_put("in", text, (size_t)n);
            struct cdp_buf all = {0};
            struct cdp_block b = {0};
            struct cdp_in *in = cdp_in_open(name, 1, &opts, &err);
            bool inside = false, good = true;
            int rc;
            while ((rc = cdp_in_next(in, &b, &err)) == 1) {
                good &= b.inside_start == inside && b.inside_end == (b.data[b.len - 1] != '\n');
                inside = b.inside_end;
                cdp_buf_add(&all, b.data, b.len);
            }
            wrong +=
                rc != 0 || !good || inside || all.len != strlen(want) || memcmp(all.data, want, all.len) != 0;
            cdp_in_close(in);
            cdp_block_free(&b);
            cdp_buf_free(&all);
        }
    ok(wrong == 0, "long lines in pieces: %zu wrong", wrong);
}

static void bounds(void)
{
    const size_t most = UINT32_MAX - CDP_BLOCK_SIZE;
    ok(cdp_in_max_record(0) == CDP_MAX_RECORD, "a line's bound: the default");
    ok(cdp_in_max_record(1) == 1 && cdp_in_max_record(most) == most, "a line's bound: as it was asked for");
    ok(cdp_in_max_record(most + 1) == most && cdp_in_max_record(UINT64_MAX) == most,
       "a line's bound: no more than spans hold");
}

/* A pipe that gets its next bytes when the reader would wait for them. */
struct live {
    int fd;
    const char *const *piece;
    size_t calls;
};

static int feed(void *arg, struct cdp_err *e)
{
    struct live *l = arg;
    l->calls++;
    if (!*l->piece)
        return cdp_err_set(e, CDP_EXIT_IO, "no more");
    if (**l->piece)
        return cdp_write_all(l->fd, *l->piece, strlen(*l->piece), "pipe", e) < 0 ? -1 : (l->piece++, 0);
    l->piece++;
    return close(l->fd);
}

static void pipes(void)
{
    static const char *const pieces[] = {"{\"a\":1}\n{\"a\"", ":2}", "\n", "{}\n{}\n{", "}", "", NULL};
    static const char *const want[] = {"{\"a\":1}\n", "{\"a\":2}\n", "{}\n{}\n", "{}\n"};
    int fd[2], old = dup(0);
    ok(pipe(fd) == 0 && dup2(fd[0], 0) == 0 && close(fd[0]) == 0, "a pipe");
    struct live l = {.fd = fd[1], .piece = pieces};
    const struct cdp_in_opts opts = {.idle = feed, .idle_arg = &l};
    struct cdp_in *in = cdp_in_open(NULL, 0, &opts, &err);
    struct cdp_block b = {0};
    size_t right = 0;
    for (size_t i = 0; i < 4; i++)
        right +=
            cdp_in_next(in, &b, &err) == 1 && b.len == strlen(want[i]) && memcmp(b.data, want[i], b.len) == 0;
    ok(right == 4, "lines come as soon as they are there: %zu of 4 blocks", right);
    ok(cdp_in_next(in, &b, &err) == 0 && l.calls == 6, "idle is called before each wait: %zu times", l.calls);
    ok(strcmp(cdp_in_source_name(in, 0), "-") == 0, "standard input is called -");
    cdp_in_close(in);

    static const char *const stops[] = {"{}\n", NULL};
    ok(pipe(fd) == 0 && dup2(fd[0], 0) == 0 && close(fd[0]) == 0, "another pipe");
    l = (struct live){.fd = fd[1], .piece = stops};
    in = cdp_in_open(NULL, 0, &opts, &err);
    ok(cdp_in_next(in, &b, &err) == 1 && cdp_in_next(in, &b, &err) == -1 && strcmp(err.msg, "no more") == 0,
       "an error of idle ends the reading, though the pipe is open");
    cdp_in_close(in);
    close(fd[1]);
    dup2(old, 0);
    close(old);
    cdp_block_free(&b);
}

/* After a long line the memory for it goes. */
static void memory(void)
{
    static const char *const name[] = {"in"};
    const size_t huge = 20 << 20, rest = 4 * CDP_BLOCK_SIZE;
    char *text = lines(huge + rest, huge - 1, 2 * huge);
    for (size_t i = huge; i < huge + rest; i++)
        text[i] = i % 64 == 63 ? '\n' : 'x';
    file_put("in", text, huge + rest);
    struct cdp_block b = {0};
    struct cdp_in *in = cdp_in_open(name, 1, NULL, &err);
    ok(cdp_in_next(in, &b, &err) == 1 && b.len >= huge && memcmp(b.data, text, b.len) == 0,
       "a line of 20 MiB comes whole");
    while (cdp_in_next(in, &b, &err) == 1)
        ;
    ok(b.cap <= 4 * CDP_BLOCK_SIZE, "its memory is given back: %zu bytes stay", b.cap);
    cdp_in_close(in);
    cdp_block_free(&b);
    free(text);
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
    file_puts("in", text);
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
    fflush(stdout);
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
    files_begin();
    whole_lines();
    over_long();
    boundaries();
    sources();
    failures();
    too_long();
    bounds();
    pipes();
    memory();
    files_end();
    return done();
}
