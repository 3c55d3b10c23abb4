/* latest: against a plain model, over kinds of input, memory sizes, threads and outputs. */
#include "lib/latest.h"

#include "lib/mem.h"
#include "tap.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t state = 1;

static uint64_t draw(uint64_t below)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) % below;
}

struct event {
    unsigned key, order;
    enum cdp_change_kind kind;
    size_t at, len; /* of its line, in the text */
};

struct events {
    struct event *e;
    size_t n, keys;
    struct cdp_buf text;
};

static void make(struct events *ev, size_t n, unsigned keys, unsigned orders, size_t shortest, size_t longest)
{
    *ev = (struct events){.e = calloc(n, sizeof *ev->e), .n = n, .keys = keys};
    for (size_t i = 0; i < n; i++) {
        struct event *e = &ev->e[i];
        e->key = (unsigned)draw(keys);
        e->order = (unsigned)draw(orders);
        e->kind = draw(6) == 0 ? CDP_CHANGE_DELETE : draw(20) == 0 ? CDP_CHANGE_FORGET : CDP_CHANGE_STATE;
        e->at = ev->text.len;
        cdp_buf_addf(&ev->text, "{\"k\":%u,\"o\":%u,\"v\":\"", e->key, e->order);
        for (size_t more = shortest + draw(longest - shortest); more; more--)
            cdp_buf_addc(&ev->text, (char)('a' + draw(3)));
        cdp_buf_adds(&ev->text, "\"}\n");
        e->len = ev->text.len - e->at;
    }
    cdp_buf_grow(&ev->text, CDP_PAD);
}

static void free_events(struct events *ev)
{
    free(ev->e);
    cdp_buf_free(&ev->text);
}

/* ---- the model ---- */

static const struct events *sorting;

static int by_key_and_order(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    size_t n = x->len < y->len ? x->len : y->len;
    int c = memcmp(sorting->text.data + x->at, sorting->text.data + y->at, n);
    return c ? c : x->len < y->len ? -1 : x->len > y->len;
}

/* Deletes whose order is `since` or more are rows as well. */
static void model(const struct events *ev, unsigned since, struct cdp_buf *want, uint64_t *rows)
{
    struct event *e = malloc(ev->n * sizeof *e);
    memcpy(e, ev->e, ev->n * sizeof *e);
    sorting = ev;
    qsort(e, ev->n, sizeof *e, by_key_and_order);
    *rows = 0;
    for (size_t i = 0; i < ev->n; i++) {
        bool last = i + 1 == ev->n || e[i + 1].key != e[i].key;
        if (!last || (e[i].kind != CDP_CHANGE_STATE && e[i].order < since))
            continue;
        cdp_buf_add(want, ev->text.data + e[i].at, e[i].len);
        ++*rows;
    }
    free(e);
}

/* ---- a run ---- */

enum source { MEMORY, FILES, BOTH };

#define NEVER UINT32_MAX

struct how {
    enum source source;
    uint64_t memory;
    unsigned threads;
    unsigned since; /* of tombstones */
    bool pipe;      /* the output */
};

static char dir[] = "/tmp/cdp-unit-XXXXXX", input[64], output[64];

static void encode(const struct event *e, struct cdp_buf *keys, struct cdp_change *c)
{
    char key[32] = {0};
    snprintf(key, sizeof key, "%09u", e->key % 1000000000); /* sorts as the number */
    c->key = (uint32_t)keys->len;
    cdp_key_string(key, 9 + e->key % 3, keys); /* of several lengths, the last bytes zero */
    c->key_len = (uint32_t)keys->len - c->key;
    c->order = (uint32_t)keys->len;
    for (int shift = 24; shift >= 0; shift -= 8)
        cdp_buf_addc(keys, (char)(e->order >> shift));
    cdp_buf_addc(keys, (char)e->kind);
    c->order_len = (uint32_t)keys->len - c->order;
}

/* Adds the events [from, to), which lie together in the text, as a block. */
static int add_block(struct cdp_latest *l, const struct events *ev, size_t from, size_t to, int fd,
                     bool first, struct cdp_counts *counts, struct cdp_err *err)
{
    struct cdp_buf keys = {0};
    size_t start = ev->e[from].at, end = ev->e[to - 1].at + ev->e[to - 1].len;
    struct cdp_block b = {.data = ev->text.data + start,
                          .len = end - start,
                          .first = first,
                          .fd = fd,
                          .file_at = start,
                          .added_newline = to == ev->n};
    int rc = cdp_latest_block(l, &b, "in", err);
    for (size_t i = from; rc == 0 && i < to; i++) {
        const struct event *e = &ev->e[i];
        struct cdp_change c = {.line = ev->text.data + e->at,
                               .len = (uint32_t)e->len - 1,
                               .full = (uint32_t)e->len,
                               .kind = e->kind,
                               .time = {e->order, 0}};
        cdp_buf_clear(&keys);
        encode(e, &keys, &c);
        c.hash = cdp_hash(keys.data + c.key, c.key_len);
        cdp_latest_prefetch_slot(l, c.hash);
        cdp_latest_prefetch_entry(l, c.hash);
        rc = cdp_latest_add(l, &c, keys.data, counts, err);
    }
    cdp_buf_free(&keys);
    return rc;
}

static int add_all(struct cdp_latest *l, const struct events *ev, enum source source,
                   struct cdp_counts *counts, struct cdp_err *err)
{
    int fd = source == MEMORY ? -1 : open(input, O_RDONLY), rc = 0;
    bool was_file = false;
    for (size_t from = 0, to; rc == 0 && from < ev->n; from = to) {
        to = from + 1 + draw(200);
        to = to < ev->n ? to : ev->n;
        bool file = source == FILES || (source == BOTH && draw(8) ? was_file : draw(2));
        file = file && fd >= 0;
        rc = add_block(l, ev, from, to, file ? fd : -1, from == 0 || file != was_file, counts, err);
        was_file = file;
    }
    if (fd >= 0)
        close(fd); /* what was read is kept open */
    return rc;
}

struct drain {
    int fd;
    struct cdp_buf got;
};

static void *drain(void *arg)
{
    struct drain *d = arg;
    char piece[4096];
    for (ssize_t n; (n = read(d->fd, piece, sizeof piece)) > 0;)
        cdp_buf_add(&d->got, piece, (size_t)n);
    return NULL;
}

static void slurp(const char *path, struct cdp_buf *to)
{
    struct drain d = {.fd = open(path, O_RDONLY)};
    drain(&d);
    close(d.fd);
    *to = d.got;
}

static int fold(const struct events *ev, const struct how *how, struct cdp_out *o, struct cdp_counts *counts,
                struct cdp_err *err)
{
    const struct cdp_latest_opts opts = {
        .memory = how->memory, .tmpdir = dir, .threads = how->threads, .tombstones = how->since != NEVER};
    const struct cdp_time since = {how->since, 0};
    struct cdp_latest *l = cdp_latest_new(&opts, err);
    int rc = l && o ? add_all(l, ev, how->source, counts, err) : -1;
    if (rc == 0)
        rc = cdp_latest_write(l, o, opts.tombstones ? &since : NULL, counts, err);
    cdp_latest_free(l);
    if (o && cdp_out_close(o, err) < 0)
        rc = -1;
    return rc;
}

static int run(const struct events *ev, const struct how *how, struct cdp_buf *got, struct cdp_counts *counts,
               struct cdp_err *err)
{
    if (!how->pipe) {
        int rc = fold(ev, how, cdp_out_open(output, false, err), counts, err);
        slurp(output, got);
        return rc;
    }
    struct drain d = {0};
    pthread_t reader;
    char path[64];
    int ends[2];
    if (pipe(ends) < 0)
        return -1;
    d.fd = ends[0];
    pthread_create(&reader, NULL, drain, &d);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
    struct cdp_out *o = cdp_out_open(path, false, err);
    close(ends[1]);
    int rc = fold(ev, how, o, counts, err);
    pthread_join(reader, NULL);
    close(ends[0]);
    *got = d.got;
    return rc;
}

/* The file of the input; its last line has no newline. */
static void write_input(const struct events *ev)
{
    int fd = open(input, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    size_t n = ev->text.len - 1;
    for (size_t at = 0; at < n;) {
        ssize_t put = write(fd, ev->text.data + at, n - at);
        if (put < 0)
            break;
        at += (size_t)put;
    }
    close(fd);
}

static void check(const char *name, size_t n, unsigned keys, unsigned orders, size_t longest)
{
    static const uint64_t memory[] = {0, (uint64_t)2 << 20, (uint64_t)256 << 20};
    static const char *const from[] = {"memory", "a file", "both"};
    struct events ev;
    make(&ev, n, keys, orders, 0, longest);
    write_input(&ev);
    for (unsigned i = 0; i < 3 * 3 * 3; i++) {
        const struct how how = {.source = (enum source)(i % 3),
                                .memory = memory[i / 3 % 3],
                                .threads = i % 2 ? 3 : 1,
                                .since = i / 9 == 0   ? NEVER
                                         : i / 9 == 1 ? orders / 2
                                                      : 0,
                                .pipe = i % 4 == 3};
        struct cdp_buf want = {0}, got = {0};
        struct cdp_counts counts = {0};
        struct cdp_err err = {0};
        uint64_t rows;
        model(&ev, how.since, &want, &rows);
        int rc = run(&ev, &how, &got, &counts, &err);
        bool same = got.len == want.len && (got.len == 0 || memcmp(got.data, want.data, got.len) == 0);
        if (!ok(rc == 0 && same && counts.out == rows && counts.out + counts.dropped == n,
                "%s from %s, %llu KiB, %u threads, %s, %s", name, from[how.source],
                (unsigned long long)how.memory >> 10, how.threads,
                i / 9 == 0   ? "no tombstones"
                : i / 9 == 1 ? "some tombstones"
                             : "all tombstones",
                how.pipe ? "to a pipe" : "to a file"))
            printf("# rc %d %s, %zu of %zu bytes, %llu rows of %llu, %llu dropped of %zu\n", rc, err.msg,
                   got.len, want.len, (unsigned long long)counts.out, (unsigned long long)rows,
                   (unsigned long long)counts.dropped, n);
        cdp_buf_free(&want);
        cdp_buf_free(&got);
    }
    free_events(&ev);
}

/* A file that is not what it was when its lines are to be read again. */
static void check_changed(bool shorter, bool spills, bool neighbours, const char *message)
{
    struct events ev;
    struct cdp_err err = {0};
    struct cdp_counts counts = {0};
    make(&ev, 4000, 4000, 10, 130, 400); /* none is kept */
    for (size_t i = 0; neighbours && i < ev.n; i++)
        ev.e[i].key = (unsigned)i;
    write_input(&ev);
    const struct cdp_latest_opts opts = {.memory = spills ? 0 : 1 << 26, .tmpdir = dir, .threads = 2};
    struct cdp_latest *l = cdp_latest_new(&opts, &err);
    int fd = open(input, O_RDWR), rc = add_block(l, &ev, 0, ev.n / 2, fd, true, &counts, &err);
    if (shorter) {
        ok(ftruncate(fd, (off_t)ev.e[ev.n / 4].at) == 0, "the file becomes shorter");
    } else {
        char blanks[8192];
        memset(blanks, ' ', sizeof blanks);
        ok(pwrite(fd, blanks, sizeof blanks, 0) == sizeof blanks, "the file is written to");
    }
    if (rc == 0 && spills)
        rc = add_block(l, &ev, ev.n / 2, ev.n, -1, true, &counts, &err);
    struct cdp_out *o = cdp_out_open(output, false, &err);
    if (rc == 0)
        rc = cdp_latest_write(l, o, NULL, &counts, &err);
    ok(rc < 0 && err.exit == CDP_EXIT_IO, "which is an error of input and output");
    is(err.msg, message, "with its name");
    cdp_out_abort(o);
    cdp_latest_free(l);
    close(fd);
    free_events(&ev);
}

/* The reader has gone on to another file, and closed the first, when the first one's block is applied. */
static void check_ahead(void)
{
    struct events ev;
    struct cdp_err err = {0};
    struct cdp_counts counts = {0};
    struct cdp_buf want = {0}, got = {0}, keys = {0};
    struct cdp_block one = {0}, other = {0};
    uint64_t rows;
    make(&ev, 10, 1000000, 10, 130, 1000);
    write_input(&ev);
    model(&ev, NEVER, &want, &rows);
    int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ok(write(fd, "{}", 2) == 2, "another file");
    close(fd);
    const char *const names[] = {input, output};
    const struct cdp_latest_opts opts = {.memory = 1 << 24, .tmpdir = dir, .threads = 1};
    struct cdp_in *in = cdp_in_open(names, 2, NULL, &err);
    struct cdp_latest *l = cdp_latest_new(&opts, &err);
    int rc = cdp_in_next(in, &one, &err);
    if (rc == 1 && cdp_in_next(in, &other, &err) == 1)
        rc = cdp_latest_block(l, &one, "in", &err);
    for (size_t i = 0; rc == 0 && i < ev.n; i++) {
        struct cdp_change c = {
            .line = one.data + ev.e[i].at, .full = (uint32_t)ev.e[i].len, .kind = ev.e[i].kind};
        cdp_buf_clear(&keys);
        encode(&ev.e[i], &keys, &c);
        c.hash = cdp_hash(keys.data + c.key, c.key_len);
        rc = cdp_latest_add(l, &c, keys.data, &counts, &err);
    }
    cdp_in_close(in);
    cdp_block_free(&one);
    cdp_block_free(&other);
    struct cdp_out *o = cdp_out_open(output, false, &err);
    if (rc == 0)
        rc = cdp_latest_write(l, o, NULL, &counts, &err);
    cdp_out_close(o, &err);
    slurp(output, &got);
    ok(rc == 0 && got.len == want.len && memcmp(got.data, want.data, got.len) == 0,
       "a block that is applied when its file was closed %s", err.msg);
    cdp_latest_free(l);
    cdp_buf_free(&keys);
    cdp_buf_free(&want);
    cdp_buf_free(&got);
    free_events(&ev);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    snprintf(input, sizeof input, "%s/in", dir);
    snprintf(output, sizeof output, "%s/out", dir);
    cdp_hash_seed();
    check("one key", 500, 1, 20, 300);
    check("few keys, equal orders", 3000, 50, 3, 300);
    check("many keys", 30000, 20000, 1000, 400);
    check("lines of all lengths", 2000, 300, 1000, 9000);
    check("lines larger than the memory", 6, 4, 10, 3000000);
    check("65,537 keys and more", 70000, 1000000, 100, 200);
    check_ahead();
    static const char shorter[] = "in: became shorter while it was read",
                      changed[] = "in: changed while it was read";
    for (int i = 0; i < 8; i++)
        check_changed(i & 1, i & 2, i & 4, i & 1 ? shorter : changed);
    unlink(input);
    unlink(output);
    rmdir(dir);
    return done();
}
