/* arc_la: see arc_la.h.
 *
 * libarchive is opened at run time, when the first such input is met: with it come libxml2 and ICU, whose loading
 * takes 1.2 ms, twice the start of all else, and most runs never need it.
 *
 * libarchive takes an archive that ends early for a whole one in places, so the bytes that pass on their way to it are
 * watched: a tar stream has to end in a block of zeros (POSIX pax, "ustar Interchange Format"), a zip stream in its
 * end of central directory record (APPNOTE.TXT 4.3.16), and a packed stream with the last byte of its last frame, beyond
 * which it gets nothing (lib/arc_frame; bzip2, whose blocks end within bytes, says itself how far it came).
 *
 * Memory: one block of input and what libarchive keeps for the format. */
#include "lib/arc_la.h"

#include "lib/arc_frame.h"
#include "lib/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((size_t)128 << 10)
#define TAR_BLOCK 512
#define EOCD "PK\5\6"
#define EOCD_SIZE 22

#define FUNCTIONS(F)                                                                                         \
    F(archive_read_new)                                                                                      \
    F(archive_read_free)                                                                                     \
    F(archive_read_support_format_raw)                                                                       \
    F(archive_read_support_format_empty)                                                                     \
    F(archive_read_support_format_tar)                                                                       \
    F(archive_read_support_format_zip_seekable)                                                              \
    F(archive_read_support_format_zip_streamable)                                                            \
    F(archive_read_support_filter_zstd)                                                                      \
    F(archive_read_support_filter_xz)                                                                        \
    F(archive_read_support_filter_bzip2)                                                                     \
    F(archive_read_support_filter_lz4)                                                                       \
    F(archive_read_set_format_option)                                                                        \
    F(archive_read_set_callback_data)                                                                        \
    F(archive_read_set_read_callback)                                                                        \
    F(archive_read_set_seek_callback)                                                                        \
    F(archive_read_open1)                                                                                    \
    F(archive_read_next_header)                                                                              \
    F(archive_read_data_block)                                                                               \
    F(archive_filter_bytes)                                                                                  \
    F(archive_filter_code)                                                                                   \
    F(archive_errno)                                                                                         \
    F(archive_entry_filetype)                                                                                \
    F(archive_entry_hardlink)                                                                                \
    F(archive_entry_hardlink_utf8)                                                                           \
    F(archive_entry_is_encrypted)                                                                            \
    F(archive_entry_pathname)                                                                                \
    F(archive_entry_pathname_utf8)

#define POINTER(name) __typeof__(name) *name;
#define NAME(name) #name,
static union {
    struct {
        FUNCTIONS(POINTER)
    };
    void *symbol[1];
} fn;
static const char *const names[] = {FUNCTIONS(NAME)};
static const char *load_failure;
static locale_t utf8; /* names are UTF-8 whatever the user's locale; (locale_t)0 where the system has none */
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    void *lib = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        lib = dlopen("libarchive.so", RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        load_failure = "libarchive is not installed";
        return;
    }
    void **at = fn.symbol;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!(at[i] = dlsym(lib, names[i])))
            load_failure = "libarchive is too old";
}

static const struct {
    const char *what; /* for messages */
    int filter;       /* 0: a container */
    bool framed;      /* its frames are watched */
    enum cdp_frame_format format;
} kinds[] = {
    [CDP_LA_ZSTD] = {"zstd data", ARCHIVE_FILTER_ZSTD, true, CDP_FRAME_ZSTD},
    [CDP_LA_XZ] = {"xz data", ARCHIVE_FILTER_XZ, true, CDP_FRAME_XZ},
    [CDP_LA_BZIP2] = {.what = "bzip2 data", .filter = ARCHIVE_FILTER_BZIP2},
    [CDP_LA_LZ4] = {"lz4 data", ARCHIVE_FILTER_LZ4, true, CDP_FRAME_LZ4},
    [CDP_LA_TAR] = {.what = "tar archive"},
    [CDP_LA_ZIP] = {.what = "zip archive"},
};

struct cdp_la {
    enum cdp_la_kind kind;
    struct archive *archive;
    cdp_read_fn *read;
    void *source;
    int seek_fd;
    off_t base;
    char *block;    /* BLOCK bytes of input, */
    size_t at, len; /* of which [at, len) have not been fed (framed kinds) */
    struct cdp_frame frame;
    struct cdp_err failed; /* the source's error, where failing is set */
    bool failing;
    bool eof;     /* the source has ended, */
    bool cut;     /* within a frame */
    bool garbage; /* what comes next is no frame, and is not fed */
    bool empty;   /* a packed stream of nothing */
    bool done;    /* nothing more comes out */
    bool stepped; /* to a first member */
    /* Of the bytes fed so far: */
    uint64_t fed;
    uint64_t zeros;     /* at their end */
    uint64_t directory; /* place of the last EOCD, where has_directory is set */
    bool has_directory;
    char last[sizeof EOCD - 2]; /* bytes before the block, in which an EOCD may begin */
    const char *data;           /* unpacked, [0, data_n) still to be handed out */
    size_t data_n;
    uint64_t offset; /* of the next byte in the member */
    uint64_t gap;    /* zeros of a sparse member before data */
};

/* The last EOCD in what was just read, even where it began in the block before. */
static void watch_zip(struct cdp_la *la, const char *p, size_t n)
{
    const size_t keep = sizeof la->last;
    char joint[2 * sizeof la->last];
    size_t few = n < keep ? n : keep;
    memcpy(joint, la->last, keep);
    memcpy(joint + keep, p, few);
    const char *hit = memmem(joint, keep + few, EOCD, 4);
    if (hit && la->fed >= keep) {
        la->directory = la->fed - keep + (uint64_t)(hit - joint);
        la->has_directory = true;
    }
    for (const char *at = p; (at = memmem(at, n - (size_t)(at - p), EOCD, 4)); at++) {
        la->directory = la->fed + (uint64_t)(at - p);
        la->has_directory = true;
    }
    memmove(la->last, joint + few, keep);
    if (n > keep)
        memcpy(la->last, p + n - keep, keep);
}

static void watch_tar(struct cdp_la *la, const char *p, size_t n)
{
    size_t zeros = 0;
    while (zeros < n && zeros < TAR_BLOCK && p[n - 1 - zeros] == 0)
        zeros++;
    la->zeros = zeros < n ? zeros : la->zeros + zeros;
}

/* Bytes of the source behind the first `keep` of the block. */
static ssize_t fetch(struct cdp_la *la, size_t keep)
{
    ssize_t n = la->failing ? -1 : la->read(la->source, la->block + keep, BLOCK - keep, &la->failed);
    la->failing = n < 0;
    la->eof = n == 0;
    return n;
}

/* Bytes of frames, without such as hold nothing; none where something else comes next. */
static ssize_t fetch_frames(struct cdp_la *la, const void **buf)
{
    while (!la->garbage) {
        char *p = la->block + la->at;
        size_t left = la->len - la->at;
        struct cdp_frame_step s = cdp_frame_look(&la->frame, p, left);
        *buf = p;
        la->at += s.take + s.drop;
        if (s.take)
            return (ssize_t)s.take;
        if (s.drop)
            continue;
        bool whole = cdp_frame_whole(&la->frame);
        bool few = whole && la->frame.later && left > 0 && left < CDP_FRAME_MAGIC;
        la->garbage = s.garbage || (la->eof && few);
        if (la->garbage)
            break;
        if (la->eof) { /* an unpacker that gets what is left sees that something is missing */
            la->cut = la->cut || left > 0 || !whole;
            la->at = la->len;
            return (ssize_t)left;
        }
        memmove(la->block, p, left);
        la->at = 0;
        la->len = left;
        ssize_t n = fetch(la, left);
        if (n < 0)
            return -1;
        la->len += (size_t)n;
    }
    return 0;
}

static la_ssize_t on_read(struct archive *archive, void *client, const void **buf)
{
    (void)archive;
    struct cdp_la *la = client;
    *buf = la->block;
    ssize_t n = kinds[la->kind].framed ? fetch_frames(la, buf) : fetch(la, 0);
    if (n < 0)
        return -1;
    if (la->kind == CDP_LA_TAR)
        watch_tar(la, la->block, (size_t)n);
    else if (la->kind == CDP_LA_ZIP)
        watch_zip(la, la->block, (size_t)n);
    la->fed += (uint64_t)n;
    return n;
}

static la_int64_t on_seek(struct archive *archive, void *client, la_int64_t offset, int whence)
{
    (void)archive;
    struct cdp_la *la = client;
    off_t to = lseek(la->seek_fd, whence == SEEK_SET ? offset + la->base : offset, whence);
    return to < 0 ? ARCHIVE_FATAL : to - la->base;
}

/* Says what went wrong.  libarchive asks for input behind the end only where some is missing; and a zip file that began
 * as one but has no directory has lost its end. */
static int fail(struct cdp_la *la, struct cdp_err *err)
{
    if (la->failing) {
        *err = la->failed;
        return -1;
    }
    if (fn.archive_errno(la->archive) == ENOMEM)
        return cdp_err_nomem(err, BLOCK);
    bool no_directory = la->kind == CDP_LA_ZIP && la->seek_fd >= 0 && !la->stepped;
    return cdp_err_set(err, CDP_EXIT_DATA, "%s %s", la->eof || no_directory ? "truncated" : "corrupt",
                       kinds[la->kind].what);
}

static int support(struct cdp_la *la)
{
    struct archive *a = la->archive;
    switch (la->kind) {
    case CDP_LA_ZSTD:
        return fn.archive_read_support_filter_zstd(a);
    case CDP_LA_XZ:
        return fn.archive_read_support_filter_xz(a);
    case CDP_LA_BZIP2:
        return fn.archive_read_support_filter_bzip2(a);
    case CDP_LA_LZ4:
        return fn.archive_read_support_filter_lz4(a);
    case CDP_LA_TAR:
        fn.archive_read_support_format_tar(a);
        return fn.archive_read_set_format_option(a, "tar", "read_concatenated_archives", "1");
    case CDP_LA_ZIP:
        if (la->seek_fd < 0)
            return fn.archive_read_support_format_zip_streamable(a);
        fn.archive_read_set_seek_callback(a, on_seek);
        return fn.archive_read_support_format_zip_seekable(a);
    }
    return ARCHIVE_FATAL;
}

/* Opens the archive; a packed stream becomes one member of the raw format. */
static int begin(struct cdp_la *la, struct cdp_err *err)
{
    struct archive *a = la->archive;
    bool packed = kinds[la->kind].filter != 0;
    if (support(la) != ARCHIVE_OK)
        return cdp_err_set(err, CDP_EXIT_IO, "libarchive cannot read %s", kinds[la->kind].what);
    if (packed)
        fn.archive_read_support_format_raw(a);
    fn.archive_read_support_format_empty(a);
    fn.archive_read_set_callback_data(a, la);
    fn.archive_read_set_read_callback(a, on_read);
    if (fn.archive_read_open1(a) != ARCHIVE_OK)
        return fail(la, err);
    if (!packed)
        return 0;
    la->empty = kinds[la->kind].framed && la->fed == 0;
    if (la->empty)
        return 0;
    if (fn.archive_filter_code(a, 0) != kinds[la->kind].filter)
        return fail(la, err);
    struct archive_entry *entry;
    int rc = fn.archive_read_next_header(a, &entry);
    if (rc != ARCHIVE_OK && rc != ARCHIVE_EOF)
        return fail(la, err);
    la->empty = rc == ARCHIVE_EOF;
    return 0;
}

struct cdp_la *cdp_la_open(enum cdp_la_kind kind, cdp_read_fn *read, void *source, int seek_fd, off_t base,
                           struct cdp_err *err)
{
    pthread_once(&load_once, load);
    if (load_failure) {
        cdp_err_set(err, CDP_EXIT_IO, "cannot read %s: %s", kinds[kind].what, load_failure);
        return NULL;
    }
    struct cdp_la *la = cdp_mem_zalloc(1, sizeof *la, err);
    if (!la)
        return NULL;
    /* An archive of nothing, which libarchive does not know by its directory. */
    char head[4];
    if (kind == CDP_LA_ZIP && seek_fd >= 0 && pread(seek_fd, head, 4, base) == 4 &&
        memcmp(head, EOCD, 4) == 0)
        seek_fd = -1;
    la->kind = kind;
    la->frame.format = kinds[kind].format;
    la->read = read;
    la->source = source;
    la->seek_fd = seek_fd;
    la->base = base;
    if (!(la->block = cdp_mem_alloc(BLOCK, err)))
        goto fail;
    if (!(la->archive = fn.archive_read_new())) {
        cdp_err_nomem(err, BLOCK);
        goto fail;
    }
    if (begin(la, err) == 0)
        return la;
fail:
    cdp_la_close(la);
    return NULL;
}

void cdp_la_close(struct cdp_la *la)
{
    if (!la)
        return;
    if (la->archive)
        fn.archive_read_free(la->archive);
    free(la->block);
    free(la);
}

/* Reads the source to its end, which checks what is packed below. */
static int drain(struct cdp_la *la, struct cdp_err *err)
{
    const void *p;
    while (!la->eof && !la->garbage)
        if (on_read(la->archive, la, &p) < 0)
            return fail(la, err);
    return 0;
}

/* After the last byte of a packed stream: is that where the source ends? */
static int check_stream(struct cdp_la *la, struct cdp_err *err)
{
    if (drain(la, err) < 0)
        return -1;
    if (la->cut)
        return fail(la, err);
    if (la->garbage || (uint64_t)fn.archive_filter_bytes(la->archive, -1) < la->fed)
        return cdp_err_set(err, CDP_EXIT_DATA, "trailing garbage after %s", kinds[la->kind].what);
    return 0;
}

/* After the last member: is the archive a whole one? */
static int check_end(struct cdp_la *la, struct cdp_err *err)
{
    if (la->kind == CDP_LA_ZIP && la->seek_fd >= 0)
        return 0;
    if (drain(la, err) < 0)
        return -1;
    bool whole = la->kind == CDP_LA_TAR ? la->zeros >= TAR_BLOCK
                                        : la->has_directory && la->fed - la->directory >= EOCD_SIZE;
    return whole ? 0 : fail(la, err);
}

static int step(struct cdp_la *la, const char **member, struct cdp_err *err)
{
    for (;;) {
        struct archive_entry *e;
        la->data_n = 0;
        la->offset = la->gap = 0;
        la->done = false;
        int rc = fn.archive_read_next_header(la->archive, &e);
        if (rc == ARCHIVE_EOF)
            return check_end(la, err);
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return fail(la, err);
        la->stepped = true;
        /* A hard link's bytes were those of an earlier member. */
        if (fn.archive_entry_filetype(e) != AE_IFREG || fn.archive_entry_hardlink(e) ||
            fn.archive_entry_hardlink_utf8(e))
            continue;
        *member = fn.archive_entry_pathname(e);
        if (!*member)
            *member = fn.archive_entry_pathname_utf8(e);
        if (!*member)
            *member = "?";
        if (fn.archive_entry_is_encrypted(e))
            return cdp_err_set(err, CDP_EXIT_DATA, "encrypted %s", kinds[la->kind].what);
        return 1;
    }
}

int cdp_la_next(struct cdp_la *la, const char **member, struct cdp_err *err)
{
    locale_t old = uselocale(utf8);
    int rc = step(la, member, err);
    uselocale(old);
    return rc;
}

/* The next run of unpacked bytes into data: 1, 0 at the end, -1. */
static int more(struct cdp_la *la, struct cdp_err *err)
{
    const void *p;
    size_t n;
    la_int64_t at;
    int rc;
    do
        rc = la->empty ? ARCHIVE_EOF : fn.archive_read_data_block(la->archive, &p, &n, &at);
    while (rc == ARCHIVE_OK && n == 0);
    if (rc == ARCHIVE_EOF) {
        if (kinds[la->kind].filter && check_stream(la, err) < 0)
            return -1;
        la->done = true;
        return 0;
    }
    if (rc != ARCHIVE_OK)
        return fail(la, err);
    la->data = p;
    la->data_n = n;
    la->gap = (uint64_t)at > la->offset ? (uint64_t)at - la->offset : 0;
    return 1;
}

ssize_t cdp_la_read(struct cdp_la *la, void *buf, size_t n, struct cdp_err *err)
{
    if (la->data_n == 0) {
        int rc = la->done ? 0 : more(la, err);
        if (rc <= 0)
            return rc;
    }
    if (la->gap) {
        n = la->gap < n ? (size_t)la->gap : n;
        memset(buf, 0, n);
        la->gap -= n;
    } else {
        n = la->data_n < n ? la->data_n : n;
        memcpy(buf, la->data, n);
        la->data += n;
        la->data_n -= n;
    }
    la->offset += n;
    return (ssize_t)n;
}
