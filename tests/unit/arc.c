#include "lib/arc.h"

#include "lib/atomic.h"
#include "lib/buf.h"
#include "lib/gz.h"

#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct cdp_err err;

/* "one\ntwo\n", packed by the tools' own programs; the zip archive holds it as the member "o". */
static const struct {
    const char *name, *hex;
} packed[] = {
    {"zstd", "28b52ffd04584100006f6e650a74776f0ae6a60e40"},
    {"xz", "fd377a585a000004e6d6b4460200210116000000742fe5a30100076f6e650a74776f0a0051ab9eaf57757049000120"
           "08bb19d9bb1fb6f37d010000000004595a"},
    {"bzip2", "425a6839314159265359a7142b77000002c180001002018480200021800c0238f51b8bb9229c2848538a15bb80"},
    {"lz4", "04224d186440a7080000806f6e650a74776f0a000000002701c483"},
    {"zip", "504b03040a0000000000c02e745de60bba120800000008000000010000006f6f6e650a74776f0a504b01021e030a0000"
            "000000c02e745de60bba120800000008000000010000000000000001000000a481000000006f504b0506000000000100"
            "01002f000000270000000000"},
};

static void put(const char *path, const char *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    cdp_write_all(fd, p, n, path, &err);
    close(fd);
}

static void unhex(struct cdp_buf *b, const char *hex)
{
    cdp_buf_clear(b);
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        cdp_buf_addc(b, (char)byte);
}

/* All that is in an operand: "name=bytes;" for each stream, and "!message" where it ends in an error. */
static const char *all(const char *path)
{
    static struct cdp_buf b;
    cdp_buf_clear(&b);
    struct cdp_arc *a = cdp_arc_open(path, &err);
    const char *name;
    ssize_t n = 0;
    int rc = -1;
    while (a && n >= 0 && (rc = cdp_arc_next(a, &name, &err)) == 1) {
        cdp_buf_addf(&b, "%s=", name);
        char piece[7];
        while ((n = cdp_arc_read(a, piece, sizeof piece, &err)) > 0)
            cdp_buf_add(&b, piece, (size_t)n);
        if (n == 0)
            cdp_buf_addc(&b, ';');
    }
    if (rc < 0 || n < 0)
        cdp_buf_addf(&b, "!%s", err.msg);
    cdp_arc_close(a);
    cdp_buf_addc(&b, '\0');
    return b.data;
}

/* Appends a tar member (POSIX pax, "ustar Interchange Format"). */
static void tar_add(struct cdp_buf *b, const char *name, char type, const char *p, size_t n)
{
    char h[512] = "";
    snprintf(h, 100, "%s", name);
    snprintf(h + 100, 8, "%07o", 0644);
    snprintf(h + 108, 8, "%07o", 0);
    snprintf(h + 116, 8, "%07o", 0);
    snprintf(h + 124, 12, "%011zo", n);
    snprintf(h + 136, 12, "%011o", 0);
    memset(h + 148, ' ', 8);
    h[156] = type;
    memcpy(h + 257, "ustar\00000", 8);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    cdp_buf_add(b, h, sizeof h);
    cdp_buf_add(b, p, n);
    while (b->len % 512)
        cdp_buf_addc(b, 0);
}

static void tar_end(struct cdp_buf *b)
{
    for (int i = 0; i < 1024; i++)
        cdp_buf_addc(b, 0);
}

static void plain(void)
{
    put("f", "", 0);
    is(all("f"), "f=;", "an empty file");
    put("f", "{\"a\":1}\nlast", 12);
    is(all("f"), "f={\"a\":1}\nlast;", "a plain file");
    put("f", "P", 1);
    is(all("f"), "f=P;", "a file of one byte that begins a magic number");
    put("f", "BZh is not yet bzip2\n", 21);
    is(all("f"), "f=BZh is not yet bzip2\n;", "three bytes are not a magic number");
    is(all("missing"), "!missing: cannot open: No such file or directory", "a missing file");
    ok(err.exit == CDP_EXIT_IO, "is exit 3");
    is(all("."), "!.: is a directory", "a directory");
}

static void codecs(void)
{
    struct cdp_buf b = {0}, gz = {0};
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) {
        const char *name = packed[i].name;
        bool zip = strcmp(name, "zip") == 0;
        unhex(&b, packed[i].hex);
        put("f", b.data, b.len);
        is(all("f"), zip ? "f/o=one\ntwo\n;" : "f=one\ntwo\n;", name);

        size_t told = 0, from = zip ? 3 : strcmp(name, "bzip2") == 0 ? 5 : 2;
        for (size_t n = from; n < b.len; n++) {
            put("f", b.data, n);
            const char *got = all("f");
            told += strstr(got, "!f: truncated ") && strstr(got, name) && err.exit == CDP_EXIT_DATA;
        }
        ok(told == b.len - from, "%s cut at each byte is truncated", name);

        cdp_buf_clear(&gz);
        cdp_gzip(b.data, b.len, &gz, &err);
        put("f", gz.data, gz.len);
        is(all("f"), zip ? "f/o=one\ntwo\n;" : "f=one\ntwo\n;", "inside gzip");
        if (!zip) {
            static char want[64];
            snprintf(want, sizeof want, "f=one\ntwo\n!f: trailing garbage after %s data", name);
            for (size_t n = b.len; b.len < n + 20;) {
                cdp_buf_addc(&b, 'x');
                put("f", b.data, b.len);
                told += strcmp(all("f"), want) == 0 && err.exit == CDP_EXIT_DATA;
            }
            ok(told == b.len - from, "%s with garbage behind", name);
        }
    }
    put("f", "\x1f\x8b\x08\0\0", 5);
    is(all("f"), "!f: truncated gzip stream", "truncated gzip");
    put("f", "\x1f\x8b", 2);
    is(all("f"), "!f: truncated gzip stream", "truncated in its magic number");
    put("f", "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22);
    is(all("f"), "", "a zip archive of nothing");
    put("f", "PK", 2);
    is(all("f"), "f=PK;", "which may be text as well");
    cdp_buf_clear(&gz);
    cdp_gzip("one\n", 4, &gz, &err);
    for (int i = 0; i < 6; i++) {
        struct cdp_buf again = {0};
        cdp_gzip(gz.data, gz.len, &again, &err);
        cdp_buf_free(&gz);
        gz = again;
    }
    put("f", gz.data, gz.len);
    is(all("f"), "f=one\n;", "gzip seven times over");
    cdp_buf_clear(&b);
    cdp_gzip(gz.data, gz.len, &b, &err);
    put("f", b.data, b.len);
    is(all("f"), "!f: packed more than 7 times over", "and an end to it");
    cdp_buf_free(&b);
    cdp_buf_free(&gz);
}

/* Frames that hold nothing, and such as are to be skipped, stand among others. */
static void frames(void)
{
    /* echo -n | zstd, and so on */
    static const struct {
        const char *name, *empty, *skippable;
    } more[] = {
        {"zstd", "28b52ffd240001000099e9d851", "512a4d1803000000616263"},
        {"xz", "fd377a585a000004e6d6b446000000001cdf44211fb6f37d010000000004595a", "00000000"},
        {"bzip2", "425a683917724538509000000000", ""},
        {"lz4", "04224d186440a700000000055dcc02", "512a4d1803000000616263"},
    };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct cdp_buf all_of = {0}, b = {0};
        size_t place = 0;
        while (strcmp(packed[place].name, more[i].name) != 0)
            place++;
        const char *full = packed[place].hex,
                   *order[] = {more[i].empty,     full, more[i].empty,     more[i].empty,
                               more[i].skippable, full, more[i].skippable, more[i].empty};
        for (size_t j = 0; j < sizeof order / sizeof *order; j++) {
            unhex(&b, order[j]);
            cdp_buf_add(&all_of, b.data ? b.data : "", b.len);
        }
        put("f", all_of.data, all_of.len);
        is(all("f"), "f=one\ntwo\none\ntwo\n;", more[i].name);
        unhex(&b, more[i].empty);
        put("f", b.data, b.len);
        is(all("f"), "f=;", "nothing but an empty one");
        cdp_buf_addc(&b, '\n');
        put("f", b.data, b.len);
        char want[64];
        snprintf(want, sizeof want, "!f: trailing garbage after %s data", more[i].name);
        is(all("f"), want, "and garbage behind it");
        cdp_buf_free(&all_of);
        cdp_buf_free(&b);
    }
}

static void tars(void)
{
    struct cdp_buf b = {0}, inner = {0}, gz = {0};
    cdp_gzip("packed\n", 7, &gz, &err);
    tar_add(&inner, "2026/a", '0', "in\n", 3);
    tar_end(&inner);
    tar_add(&b, "2026/", '5', "", 0);
    tar_add(&b, "2026/one", '0', "one\n", 4);
    tar_add(&b, "empty", '0', "", 0);
    tar_add(&b, "link", '2', "", 0);
    tar_add(&b, "gz", '0', gz.data, gz.len);
    tar_add(&b, "inner.tar", '0', inner.data, inner.len);
    tar_add(&b, "last", '0', "last\n", 5);
    size_t members = b.len;
    tar_end(&b);
    const char *want = "f/2026/one=one\n;f/empty=;f/gz=packed\n;f/inner.tar/2026/a=in\n;f/last=last\n;";
    put("f", b.data, b.len);
    is(all("f"), want, "the regular members of a tar, themselves unpacked");

    put("f", b.data, members);
    ok(strstr(all("f"), "f/last=last\n;!f: truncated tar archive"), "a tar without its end");
    put("f", b.data, members - 512 + 2);
    ok(strstr(all("f"), "in\n;!f/last: truncated tar archive"), "a tar that ends in a member");
    b.data[700] ^= 1;
    cdp_buf_clear(&inner);
    cdp_gzip(b.data, b.len, &inner, &err);
    b.data[700] ^= 1;
    put("f", inner.data, inner.len);
    is(all("f"), "!f: corrupt tar archive", "a tar with a broken header, inside gzip");

    cdp_buf_clear(&inner);
    cdp_gzip(b.data, b.len, &inner, &err);
    put("f", inner.data, inner.len);
    is(all("f"), want, "a tar.gz");
    put("f", inner.data, inner.len - 4);
    ok(strstr(all("f"), "!f: truncated gzip stream"), "cut at its very end");
    cdp_buf_adds(&inner, "x");
    put("f", inner.data, inner.len);
    ok(strstr(all("f"), "!f: trailing garbage after a gzip member"), "with garbage at its very end");

    cdp_buf_clear(&inner);
    tar_end(&inner);
    put("f", inner.data, inner.len);
    is(all("f"), "", "a tar of nothing");
    put("f", inner.data, 513);
    ok(strncmp(all("f"), "f=", 2) == 0, "a file of zeros");
    cdp_buf_free(&b);
    cdp_buf_free(&inner);
    cdp_buf_free(&gz);
}

static ssize_t get(struct cdp_arc *a, char *buf, size_t n)
{
    memset(buf, 0, n);
    return cdp_arc_read(a, buf, n - 1, &err);
}

/* Standard input becomes a pipe; gives its writing end. */
static int piped(void)
{
    int p[2];
    if (pipe(p) < 0 || dup2(p[0], 0) < 0)
        exit(1);
    close(p[0]);
    return p[1];
}

static void live(void)
{
    char buf[32];
    const char *name;
    int w = piped();
    struct cdp_arc *a = cdp_arc_open(NULL, &err);
    ok(cdp_arc_would_block(a), "a silent pipe would block");
    cdp_write_all(w, "1\n", 2, "pipe", &err);
    ok(!cdp_arc_would_block(a), "one that speaks would not");
    ok(cdp_arc_next(a, &name, &err) == 1 && strcmp(name, "-") == 0, "one short line is plain");
    ok(!cdp_arc_would_block(a) && get(a, buf, sizeof buf) == 2, "and is handed out at once");
    ok(cdp_arc_would_block(a) && cdp_arc_fd(a) == 0, "then there is nothing");
    close(w);
    ok(!cdp_arc_would_block(a) && get(a, buf, sizeof buf) == 0, "until the end");
    ok(cdp_arc_next(a, &name, &err) == 0, "of the only stream");
    cdp_arc_close(a);

    struct cdp_buf gz = {0};
    cdp_gzip("line\n", 5, &gz, &err);
    w = piped();
    a = cdp_arc_open("-", &err);
    cdp_write_all(w, gz.data, gz.len, "pipe", &err);
    cdp_write_all(w, gz.data, gz.len - 10, "pipe", &err);
    ok(cdp_arc_next(a, &name, &err) == 1 && cdp_arc_fd(a) == -1, "packed data on a pipe");
    while (!cdp_arc_would_block(a) && get(a, buf, sizeof buf) > 0)
        ;
    ok(cdp_arc_would_block(a), "that stops within a member would block");
    cdp_write_all(w, gz.data + gz.len - 10, 10, "pipe", &err);
    cdp_write_all(w, gz.data, gz.len, "pipe", &err);
    ok(!cdp_arc_would_block(a) && get(a, buf, sizeof buf) > 0, "and goes on when more comes");
    close(w);
    while (get(a, buf, sizeof buf) > 0)
        ;
    ok(!cdp_arc_would_block(a), "to its end");
    cdp_arc_close(a);
    cdp_buf_free(&gz);
}

static void direct(void)
{
    const char *name;
    char buf[32] = "";
    unsigned long long done, size;
    put("f", "skip\nrest\n", 10);
    int fd = open("f", O_RDONLY);
    if (fd < 0 || lseek(fd, 5, SEEK_SET) != 5 || dup2(fd, 0) < 0)
        exit(1);
    close(fd);
    struct cdp_arc *a = cdp_arc_open("-", &err);
    ok(cdp_arc_next(a, &name, &err) == 1 && cdp_arc_fd(a) == 0, "a plain file's descriptor");
    ok(lseek(0, 0, SEEK_CUR) == 5, "stands where it stood");
    cdp_arc_progress(a, &done, &size);
    ok(done == 0 && size == 5, "nothing is read yet");
    ok(get(a, buf, sizeof buf) == 5 && strcmp(buf, "rest\n") == 0, "and what follows is the stream");
    cdp_arc_progress(a, &done, &size);
    ok(done == 5 && size == 5, "which is all there is");
    cdp_arc_close(a);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    char dir[] = "/tmp/cdp-unit-XXXXXX";
    if (!mkdtemp(dir) || chdir(dir) < 0)
        return 1;
    plain();
    codecs();
    frames();
    tars();
    live();
    direct();
    unlink("f");
    ok(chdir("/") == 0 && rmdir(dir) == 0, "nothing is left behind");
    return done();
}
