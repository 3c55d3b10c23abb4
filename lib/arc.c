/* arc: see arc.h.
 *
 * A stack of levels: the lowest reads a descriptor, each one above unpacks the one below it, an archive steps through
 * its members.  What a level's bytes are is judged from its head, at most HEAD bytes that are looked at before they are
 * handed up; on a pipe that is decided as soon as the bytes there allow it, and a line of text always does.
 *
 * Magic numbers: RFC 1952 (gzip), RFC 8878 (zstd), the .xz file format 2.1.1.1, bzip2's "BZh" and block number, LZ4
 * frame format, APPNOTE.TXT 4.3.7 (zip), and the header checksum of POSIX pax (tar). */
#include "lib/arc.h"

#include "lib/arc_la.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 20)
#define HEAD ((size_t)16 << 10)
#define MAX_LEVELS 8
#define TAR_BLOCK 512

enum kind { PLAIN, GZIP, ZSTD, XZ, BZIP2, LZ4, TAR, ZIP, UNDECIDED };

struct level {
    struct level *below;
    struct cdp_arc *arc;
    enum kind kind; /* PLAIN: the descriptor */
    char *name;     /* for messages: of the file or of the member */
    struct cdp_gunzip *gunzip;
    struct cdp_la *la;
    bool below_failed; /* an error that comes out is the level's below, and names it */
    char *head;        /* bytes [at, len) were read but not handed up */
    size_t at, len;
    bool eof;
};

struct cdp_arc {
    char *name;
    int fd;
    bool regular; /* can be sought in */
    bool waits;   /* a pipe, socket or terminal */
    bool nowait;  /* give up instead of waiting, and say so in starved */
    bool starved;
    off_t base;               /* where the descriptor stood at first */
    unsigned long long limit; /* bytes to read at most */
    bool within;              /* that is not where the file begins */
    struct level *top;
    unsigned levels;
    unsigned long long done, size;
};

struct cdp_arc *cdp_arc_open(const char *path, struct cdp_err *err)
{
    bool std = !path || strcmp(path, "-") == 0;
    struct cdp_arc *a = cdp_mem_zalloc(1, sizeof *a, err);
    if (!a)
        return NULL;
    a->fd = -1;
    a->limit = ULLONG_MAX;
    const char *name = std ? "-" : path;
    if (!(a->name = cdp_mem_strndup(name, strlen(name), err)))
        goto fail;
    a->fd = std ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (a->fd < 0 || fstat(a->fd, &st) < 0) {
        cdp_err_errno(err, "%s: cannot open", name);
        goto fail;
    }
    if (S_ISDIR(st.st_mode)) {
        cdp_err_set(err, CDP_EXIT_IO, "%s: is a directory", name);
        goto fail;
    }
    if (S_ISREG(st.st_mode)) {
        a->regular = true;
        a->base = lseek(a->fd, 0, SEEK_CUR);
        a->size = st.st_size > a->base ? (unsigned long long)(st.st_size - a->base) : 0;
    } else {
        a->waits = !S_ISBLK(st.st_mode);
    }
    if (S_ISFIFO(st.st_mode))
        fcntl(a->fd, F_SETPIPE_SZ, PIPE_SIZE); /* a hint: a small pipe works too */
    return a;
fail:
    cdp_arc_close(a);
    return NULL;
}

int cdp_arc_window(struct cdp_arc *a, unsigned long long from, unsigned long long to, struct cdp_err *err)
{
    if (!a->regular)
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s: is no regular file, of which a part could be read",
                           a->name);
    if (from > LLONG_MAX || lseek(a->fd, (off_t)from, SEEK_SET) < 0)
        return cdp_err_errno(err, "%s: cannot seek", a->name);
    unsigned long long end = a->size + (unsigned long long)a->base;
    a->base = (off_t)from;
    a->limit = to > from ? to - from : 0;
    a->size = end > from ? end - from : 0;
    if (a->size > a->limit)
        a->size = a->limit;
    a->within = from > 0;
    return 0;
}

bool cdp_arc_within(const struct cdp_arc *a)
{
    return a->within;
}

static void pop(struct cdp_arc *a)
{
    struct level *l = a->top;
    a->top = l->below;
    a->levels--;
    cdp_gunzip_free(l->gunzip);
    cdp_la_close(l->la);
    free(l->head);
    free(l->name);
    free(l);
}

void cdp_arc_close(struct cdp_arc *a)
{
    if (!a)
        return;
    while (a->top)
        pop(a);
    if (a->fd > STDIN_FILENO)
        close(a->fd);
    free(a->name);
    free(a);
}

static bool ready(const struct cdp_arc *a, int timeout)
{
    struct pollfd p = {.fd = a->fd, .events = POLLIN};
    int rc;
    while ((rc = poll(&p, 1, timeout)) < 0 && errno == EINTR)
        ;
    return rc != 0;
}

static ssize_t read_fd(struct cdp_arc *a, void *buf, size_t n, struct cdp_err *err)
{
    if (a->nowait && !ready(a, 0)) {
        a->starved = true;
        return -1;
    }
    if (n > a->limit - a->done)
        n = (size_t)(a->limit - a->done);
    for (;;) {
        ssize_t got = read(a->fd, buf, n);
        if (got >= 0) {
            a->done += (unsigned long long)got;
            return got;
        }
        if (errno == EAGAIN)
            ready(a, -1);
        else if (errno != EINTR)
            return cdp_err_errno(err, "%s: cannot read", a->name);
    }
}

static ssize_t unpack(struct level *l, void *buf, size_t n, struct cdp_err *err)
{
    if (l->kind == PLAIN)
        return read_fd(l->arc, buf, n, err);
    l->below_failed = false;
    ssize_t got = l->gunzip ? cdp_gunzip_read(l->gunzip, buf, n, err) : cdp_la_read(l->la, buf, n, err);
    if (got < 0 && !l->below_failed)
        cdp_err_prefix(err, "%s", l->name);
    return got;
}

static ssize_t level_read(struct level *l, void *buf, size_t n, struct cdp_err *err)
{
    if (l->at == l->len)
        return l->eof ? 0 : unpack(l, buf, n, err);
    if (n > l->len - l->at)
        n = l->len - l->at;
    memcpy(buf, l->head + l->at, n);
    l->at += n;
    return (ssize_t)n;
}

/* What a level reads from the one below it. */
static ssize_t pull(void *source, void *buf, size_t n, struct cdp_err *err)
{
    struct level *l = source;
    ssize_t got = level_read(l->below, buf, n, err);
    l->below_failed = got < 0;
    return got;
}

/* One more read into the head. */
static int look(struct level *l, struct cdp_err *err)
{
    if (!l->head && !(l->head = cdp_mem_alloc(HEAD, err)))
        return -1;
    ssize_t got = unpack(l, l->head + l->len, HEAD - l->len, err);
    if (got < 0)
        return -1;
    l->len += (size_t)got;
    l->eof = got == 0;
    return 0;
}

static const struct {
    const char *bytes;
    size_t n;
    enum kind kind;
} magics[] = {
    {"\x1f\x8b\x08", 3, GZIP},
    {"\x28\xb5\x2f\xfd", 4, ZSTD},
    {"\xfd"
     "7zXZ\0",
     6, XZ},
    {"\x04\x22\x4d\x18", 4, LZ4},
    {"\x02\x21\x4c\x18", 4, LZ4},
    {"PK\3\4", 4, ZIP},
    {"PK\5\6", 4, ZIP},
    {"PK\7\x08PK\3\4", 8, ZIP},
};

static bool all_zero(const char *p, size_t n)
{
    while (n && *p == 0)
        p++, n--;
    return n == 0;
}

/* All of a file is the beginning of a magic number, and is no text: it was cut there. */
static bool is_begun(const char *p, size_t n, const char *magic, size_t len)
{
    size_t binary = 0;
    while (binary < n && (unsigned char)p[binary] >= ' ' && (unsigned char)p[binary] < 0x80)
        binary++;
    return n > 1 && n < len && binary < n && memcmp(p, magic, n) == 0;
}

/* BZh, the block size, and the number of a block or of the end; at the end of the file at least the first digit of it. */
static bool is_bzip2(const char *p, size_t n, bool eof)
{
    size_t have = n < 10 ? n : 10;
    return (n >= 10 || (eof && n > 4)) && memcmp(p, "BZh", 3) == 0 && p[3] >= '1' && p[3] <= '9' &&
           (memcmp(p + 4, "1AY&SY", have - 4) == 0 ||
            memcmp(p + 4, "\x17\x72\x45\x38\x50\x90", have - 4) == 0);
}

/* A header block whose checksum is right: the bytes' sum, with the checksum's own eight taken as blanks; old tars took
 * bytes as signed. */
static bool is_tar(const char *p)
{
    long want = 0, plain = 0, with_sign = 0;
    int i = 148;
    while (i < 156 && p[i] == ' ')
        i++;
    if (i == 156 || p[i] < '0' || p[i] > '7')
        return false;
    for (; i < 156 && p[i] >= '0' && p[i] <= '7'; i++)
        want = want * 8 + (p[i] - '0');
    for (i = 0; i < TAR_BLOCK; i++) {
        char c = i >= 148 && i < 156 ? ' ' : p[i];
        plain += (unsigned char)c;
        with_sign += (signed char)c;
    }
    return want == plain || want == with_sign;
}

/* A tar of no files is nothing but zeros, 1,024 of them or one record of 10,240; zeros in any other number are a file
 * that lost its contents, and pass as they are. */
static enum kind judge_zeros(size_t n, bool eof)
{
    if (!eof)
        return n <= 10240 ? UNDECIDED : PLAIN;
    return n == 1024 || n == 10240 ? TAR : PLAIN;
}

static enum kind judge(const char *p, size_t n, bool eof)
{
    if (n == 0)
        return eof ? PLAIN : UNDECIDED;
    if (strchr("{[\" \t\r\n", p[0]) && p[0])
        return PLAIN;
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if ((n >= magics[i].n && memcmp(p, magics[i].bytes, magics[i].n) == 0) ||
            (eof && is_begun(p, n, magics[i].bytes, magics[i].n)))
            return magics[i].kind;
    if (is_bzip2(p, n, eof))
        return BZIP2;
    /* A skippable frame of zstd or lz4; zstd's tools are the ones that begin with such. */
    if (n >= 4 && (p[0] & 0xf0) == 0x50 && memcmp(p + 1, "\x2a\x4d\x18", 3) == 0)
        return ZSTD;
    if (n >= TAR_BLOCK) {
        if (all_zero(p, TAR_BLOCK))
            return all_zero(p, n) ? judge_zeros(n, eof) : PLAIN;
        return is_tar(p) ? TAR : PLAIN;
    }
    /* The first line of a text is here: no header of any format has a newline before its first zero. */
    const char *newline = memchr(p, '\n', n), *zero = memchr(p, 0, n);
    if (newline && (!zero || newline < zero))
        return PLAIN;
    return eof ? PLAIN : UNDECIDED;
}

static enum kind detect(struct level *l, struct cdp_err *err)
{
    enum kind kind;
    while ((kind = judge(l->head ? l->head + l->at : "", l->len - l->at, l->eof)) == UNDECIDED &&
           l->len < HEAD)
        if (look(l, err) < 0)
            return UNDECIDED;
    return kind == UNDECIDED ? PLAIN : kind;
}

/* Bytes that were looked at go back where that is possible, so that the descriptor stands where the reader is. */
static void unlook(struct level *l)
{
    off_t back = (off_t)(l->len - l->at);
    if (l->kind == PLAIN && l->arc->regular && back && lseek(l->arc->fd, -back, SEEK_CUR) >= 0) {
        l->arc->done -= (unsigned long long)back;
        l->at = l->len = 0;
        l->eof = false;
    }
}

static int push(struct cdp_arc *a, enum kind kind, struct cdp_err *err)
{
    static const enum cdp_la_kind la_kind[] = {
        [ZSTD] = CDP_LA_ZSTD, [XZ] = CDP_LA_XZ,   [BZIP2] = CDP_LA_BZIP2,
        [LZ4] = CDP_LA_LZ4,   [TAR] = CDP_LA_TAR, [ZIP] = CDP_LA_ZIP,
    };
    const char *name = a->top ? a->top->name : a->name;
    if (a->levels == MAX_LEVELS)
        return cdp_err_set(err, CDP_EXIT_DATA, "%s: packed more than %d times over", name, MAX_LEVELS - 1);
    struct level *l = cdp_mem_zalloc(1, sizeof *l, err);
    if (!l)
        return -1;
    l->arc = a;
    l->kind = kind;
    l->below = a->top;
    a->top = l;
    a->levels++;
    if (!(l->name = cdp_mem_strndup(name, strlen(name), err)))
        return -1;
    if (kind == PLAIN)
        return 0;
    bool seek = l->below->kind == PLAIN && a->regular;
    if (kind == GZIP)
        l->gunzip = cdp_gunzip_new(pull, l, err);
    else
        l->la = cdp_la_open(la_kind[kind], pull, l, seek ? a->fd : -1, a->base, err);
    if (!l->gunzip && !l->la)
        return l->below_failed ? -1 : cdp_err_prefix(err, "%s", name);
    return 0;
}

static bool is_archive(const struct level *l)
{
    return l->kind == TAR || l->kind == ZIP;
}

/* Unpacks what the top level's bytes are until they are plain (1) or an archive (0). */
static int unwrap(struct cdp_arc *a, struct cdp_err *err)
{
    for (;;) {
        enum kind kind = a->within ? PLAIN : detect(a->top, err);
        if (kind == UNDECIDED)
            return -1;
        unlook(a->top);
        if (kind == PLAIN)
            return 1;
        if (push(a, kind, err) < 0)
            return -1;
        if (is_archive(a->top))
            return 0;
    }
}

/* The archive on top steps to its next member: 1, 0 at its end, -1. */
static int step(struct cdp_arc *a, struct cdp_err *err)
{
    struct level *l = a->top;
    const char *member;
    l->below_failed = false;
    l->at = l->len = 0;
    l->eof = false;
    int rc = cdp_la_next(l->la, &member, err);
    if (rc < 0)
        return l->below_failed ? -1 : cdp_err_prefix(err, "%s", l->below->name);
    if (rc == 0)
        return 0;
    size_t n = strlen(l->below->name), m = strlen(member);
    char *name = cdp_mem_resize(l->name, n + m + 2, err);
    if (!name)
        return -1;
    memcpy(name, l->below->name, n);
    name[n] = '/';
    memcpy(name + n + 1, member, m + 1);
    l->name = name;
    return 1;
}

int cdp_arc_next(struct cdp_arc *a, const char **name, struct cdp_err *err)
{
    int plain = 0;
    if (!a->top) {
        if (push(a, PLAIN, err) < 0 || (plain = unwrap(a, err)) < 0)
            return -1;
    } else {
        while (a->top && !is_archive(a->top))
            pop(a);
    }
    while (plain == 0) {
        int rc = a->top ? step(a, err) : 0;
        if (rc < 0)
            return -1;
        if (rc == 1) {
            if ((plain = unwrap(a, err)) < 0)
                return -1;
            continue;
        }
        /* The end of an archive, which may itself be a member of one. */
        do {
            if (a->top)
                pop(a);
        } while (a->top && !is_archive(a->top));
        if (!a->top)
            return 0;
    }
    *name = a->top->name;
    return 1;
}

ssize_t cdp_arc_read(struct cdp_arc *a, void *buf, size_t n, struct cdp_err *err)
{
    return level_read(a->top, buf, n, err);
}

bool cdp_arc_would_block(struct cdp_arc *a)
{
    if (!a->waits)
        return false;
    struct level *top = a->top;
    if (!top)
        return !ready(a, 0);
    if (top->at < top->len || top->eof)
        return false;
    for (const struct level *l = top; l; l = l->below)
        if (l->la || top->kind == PLAIN)
            return !ready(a, 0);
    /* Whether packed bytes that are at hand make an unpacked one is known only from unpacking them. */
    struct cdp_err err;
    a->nowait = true;
    a->starved = false;
    top->at = top->len = 0;
    look(top, &err);
    a->nowait = false;
    return a->starved;
}

bool cdp_arc_wait(const struct cdp_arc *a, int ms)
{
    return ready(a, ms);
}

void cdp_arc_progress(const struct cdp_arc *a, unsigned long long *done, unsigned long long *size)
{
    *done = a->done;
    *size = a->size;
}

int cdp_arc_fd(const struct cdp_arc *a)
{
    return a->top && a->top->kind == PLAIN ? a->fd : -1;
}
