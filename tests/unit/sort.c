/* sort: against qsort(3), over memory sizes, threads, packing and kinds of keys. */
#include "lib/sort.h"

#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/sort_entry.h"
#include "lib/sort_run.h"
#include "lib/sort_tree.h"
#include "tap.h"

#include "draw.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct record {
    char *key, *payload;
    uint32_t key_len, len;
    uint64_t seq;
};

struct data {
    struct record *r;
    size_t n;
};

static int by_key(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    size_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
    int c = memcmp(x->key, y->key, n);
    if (c)
        return c;
    if (x->key_len != y->key_len)
        return x->key_len < y->key_len ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

enum kind { TIMES, BYTES, EQUAL, NESTED, SORTED, REVERSED, FEW, OUTLIER, LAYERS, KINDS };
static const char *const kind_name[] = {
    "timestamps", "short bytes", "equal keys",  "keys that extend each other", "sorted",
    "reversed",   "few keys",    "one outlier", "words of eight bytes"};

static void make_key(enum kind kind, size_t i, size_t n, struct record *r)
{
    char key[600];
    size_t len = 0;
    switch (kind) {
    case TIMES:
    case OUTLIER:
        len = (size_t)snprintf(key, sizeof key, "\5%s2026-02-%02uT%02u:%02u:00.%06u|%08x",
                               "a shared beginning that is longer than eight bytes ", (unsigned)(draw() % 28),
                               (unsigned)(draw() % 24), (unsigned)(draw() % 3), (unsigned)(draw() % 7),
                               (unsigned)draw());
        if (kind == OUTLIER && i == n / 2)
            len = 1, key[0] = 7;
        break;
    case BYTES:
        len = draw() % 5;
        for (size_t j = 0; j < len; j++)
            key[j] = (char)(draw() % 3 ? 0 : draw() % 4 + 253);
        break;
    case EQUAL:
        len = (size_t)snprintf(key, sizeof key, "always the same");
        break;
    case NESTED:
        len = draw() % 300;
        memset(key, draw() % 50 ? 'a' : 0, len);
        break;
    case SORTED:
        len = (size_t)snprintf(key, sizeof key, "%09zu", i / 2);
        break;
    case REVERSED:
        len = (size_t)snprintf(key, sizeof key, "%09zu", n - i / 2);
        break;
    case LAYERS: /* ties at every depth of eight bytes */
        for (unsigned j = 0; j < 5; j++)
            len += (size_t)snprintf(key + len, sizeof key - len, "%08u", (unsigned)(draw() % 5) * 1234567);
        break;
    default:
        len = (size_t)snprintf(key, sizeof key, "%u", (unsigned)(draw() % 5));
        break;
    }
    r->key = malloc(len + 1);
    memcpy(r->key, key, len);
    r->key_len = (uint32_t)len;
}

static struct data make(enum kind kind, size_t n, size_t longest)
{
    struct data d = {calloc(n ? n : 1, sizeof *d.r), n};
    for (size_t i = 0; i < n; i++) {
        struct record *r = &d.r[i];
        make_key(kind, i, n, r);
        r->len = (uint32_t)(draw() % longest + 1);
        r->payload = malloc(r->len);
        memset(r->payload, 'a' + (int)(i % 26), r->len);
        snprintf(r->payload, r->len, "%zu", i);
        r->payload[r->len - 1] = '\n';
        r->seq = i;
    }
    return d;
}

static void drop(struct data *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->r[i].key);
        free(d->r[i].payload);
    }
    free(d->r);
}

/* What must come out: sorted, and under unique the first of each key. */
static struct data expect(const struct data *d, bool unique)
{
    struct data want = {malloc((d->n ? d->n : 1) * sizeof *want.r), 0};
    memcpy(want.r, d->r, d->n * sizeof *want.r);
    qsort(want.r, d->n, sizeof *want.r, by_key);
    for (size_t i = 0; i < d->n; i++) {
        const struct record *last = want.n ? &want.r[want.n - 1] : NULL, *r = &want.r[i];
        if (unique && last && last->key_len == r->key_len && memcmp(last->key, r->key, r->key_len) == 0)
            continue;
        want.r[want.n++] = *r;
    }
    return want;
}

struct adder {
    struct cdp_sort *s;
    const struct data *d;
    unsigned feed, feeds;
    int rc;
};

static void *add(void *arg)
{
    struct adder *a = arg;
    struct cdp_err err;
    for (size_t i = a->feed; i < a->d->n && a->rc == 0; i += a->feeds) {
        const struct record *r = &a->d->r[i];
        a->rc = cdp_sort_add(a->s, a->feed, r->key, r->key_len, r->seq, r->payload, r->len, &err);
    }
    return NULL;
}

static struct cdp_sort *fill(const struct data *d, const struct cdp_sort_opts *opts)
{
    struct cdp_err err;
    struct cdp_sort *s = cdp_sort_new(opts, &err);
    struct adder a[8];
    pthread_t t[8];
    for (unsigned i = 0; i < opts->feeds; i++) {
        a[i] = (struct adder){s, d, i, opts->feeds, 0};
        pthread_create(&t[i], NULL, add, &a[i]);
    }
    int rc = 0;
    for (unsigned i = 0; i < opts->feeds; i++) {
        pthread_join(t[i], NULL);
        rc |= a[i].rc;
    }
    if (rc == 0 && cdp_sort_finish(s, &err) == 0)
        return s;
    printf("# %s\n", err.msg);
    cdp_sort_free(s);
    return NULL;
}

static bool check_next(struct cdp_sort *s, const struct data *want)
{
    struct cdp_err err;
    struct cdp_sorted r;
    size_t i = 0;
    for (; s && cdp_sort_next(s, &r, &err) == 1; i++) {
        const struct record *w = &want->r[i];
        if (i >= want->n || r.seq != w->seq || r.key_len != w->key_len || memcmp(r.key, w->key, r.key_len) ||
            r.len != w->len || memcmp(r.payload, w->payload, r.len))
            return false;
    }
    return s && i == want->n && cdp_sort_stats(s).out == want->n;
}

/* Reads a pipe to its end in a thread, so that the writer may be slow. */
struct drain {
    const char *path;
    char *data;
    size_t len, cap;
};

static void *drain(void *arg)
{
    struct drain *d = arg;
    int fd = open(d->path, O_RDONLY);
    ssize_t n;
    do {
        if (d->cap - d->len < 65536)
            d->data = realloc(d->data, d->cap = d->cap * 2 + 65536);
        n = read(fd, d->data + d->len, 65536);
        d->len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    close(fd);
    return NULL;
}

static bool check_write(struct cdp_sort *s, const struct data *want, const char *dir, bool pipe)
{
    char path[300];
    snprintf(path, sizeof path, "%s/out", dir);
    unlink(path);
    struct cdp_err err;
    struct drain d = {.path = path};
    pthread_t reader;
    if (pipe) {
        mkfifo(path, 0600);
        pthread_create(&reader, NULL, drain, &d);
    }
    struct cdp_out *out = cdp_out_open(path, false, &err);
    bool good = s && cdp_out_write(out, "head\n", 5, &err) == 0 && cdp_sort_write(s, out, &err) == 0 &&
                cdp_out_write(out, "tail\n", 5, &err) == 0;
    good &= cdp_out_close(out, &err) == 0;
    if (pipe)
        pthread_join(reader, NULL);
    else
        drain(&d);
    size_t at = 5;
    good &= d.len >= 10 && memcmp(d.data, "head\n", 5) == 0;
    for (size_t i = 0; good && i < want->n; i++) {
        const struct record *w = &want->r[i];
        good = d.len - at >= w->len && memcmp(d.data + at, w->payload, w->len) == 0;
        at += w->len;
    }
    good = good && d.len - at == 5 && memcmp(d.data + at, "tail\n", 5) == 0;
    free(d.data);
    unlink(path);
    return good && cdp_sort_stats(s).out == want->n;
}

struct setup {
    uint64_t memory;
    unsigned feeds, threads;
    enum cdp_sort_pack pack;
    bool unique;
};

static void test_kind(enum kind kind, const char *dir)
{
    static const struct setup setup[] = {
        {64 << 20, 1, 1, CDP_SORT_PACK_AUTO, false},   {64 << 20, 1, 4, CDP_SORT_PACK_AUTO, false},
        {64 << 20, 3, 4, CDP_SORT_PACK_AUTO, false},   {64 << 20, 2, 2, CDP_SORT_PACK_AUTO, true},
        {256 << 10, 1, 1, CDP_SORT_PACK_NEVER, false}, {256 << 10, 4, 2, CDP_SORT_PACK_ALWAYS, false},
        {256 << 10, 2, 4, CDP_SORT_PACK_AUTO, true},   {1 << 20, 2, 3, CDP_SORT_PACK_NEVER, false},
        {1 << 20, 1, 2, CDP_SORT_PACK_ALWAYS, true},
    };
    struct data d = make(kind, 20000, 200);
    for (size_t i = 0; i < sizeof setup / sizeof *setup; i++) {
        const struct setup *u = &setup[i];
        struct cdp_sort_opts opts = {.memory = u->memory,
                                     .feeds = u->feeds,
                                     .threads = u->threads,
                                     .tmpdir = dir,
                                     .unique = u->unique,
                                     .pack = u->pack};
        struct data want = expect(&d, u->unique);
        struct cdp_sort *s = fill(&d, &opts);
        bool good = check_next(s, &want);
        cdp_sort_free(s);
        s = fill(&d, &opts);
        good &= check_write(s, &want, dir, false);
        cdp_sort_free(s);
        s = fill(&d, &opts);
        good &= check_write(s, &want, dir, true);
        ok(good, "%s: %u KiB, %u feeds, %u threads, pack %d%s", kind_name[kind], (unsigned)(u->memory >> 10),
           u->feeds, u->threads, u->pack, u->unique ? ", unique" : "");
        cdp_sort_free(s);
        free(want.r);
    }
    drop(&d);
}

static void test_large(const char *dir)
{
    struct data d = make(TIMES, 300, 100);
    for (size_t i = 0; i < d.n; i += 60) { /* larger than all memory, one after the other in order or not */
        d.r[i].payload = realloc(d.r[i].payload, 3000000);
        memset(d.r[i].payload, 'x', d.r[i].len = 3000000);
    }
    for (unsigned feeds = 1; feeds < 4; feeds++) {
        struct cdp_sort_opts opts = {.memory = 256 << 10, .feeds = feeds, .threads = feeds, .tmpdir = dir};
        struct data want = expect(&d, false);
        struct cdp_sort *s = fill(&d, &opts);
        ok(check_write(s, &want, dir, false), "records larger than memory, %u feeds", feeds);
        cdp_sort_free(s);
        free(want.r);
    }
    drop(&d);
}

static void test_passes(const char *dir)
{
    struct data d = make(TIMES, 200000, 100);
    struct cdp_sort_opts opts = {.memory = 256 << 10, .feeds = 2, .threads = 2, .tmpdir = dir};
    struct data want = expect(&d, false);
    struct cdp_sort *s = fill(&d, &opts);
    struct cdp_sort_stats stats = s ? cdp_sort_stats(s) : (struct cdp_sort_stats){0};
    ok(stats.added == d.n && stats.runs > 8 * 8 && stats.spilled > 2 * 100 * d.n, "%u runs, merged in passes",
       (unsigned)stats.runs);
    ok(check_next(s, &want), "the same records after several passes");
    cdp_sort_free(s);
    free(want.r);
    drop(&d);
}

static void test_empty(const char *dir)
{
    struct data none = {NULL, 0};
    struct cdp_sort_opts opts = {.memory = 1 << 20, .feeds = 2, .threads = 2, .tmpdir = dir};
    struct cdp_sort *s = fill(&none, &opts);
    ok(check_next(s, &none), "nothing in, nothing out");
    ok(check_write(s, &none, dir, false), "and nothing written");
    cdp_sort_free(s);
    struct cdp_err err;
    s = cdp_sort_new(&opts, &err);
    ok(cdp_sort_add(s, 0, "k", 1, 0, "", 0, &err) == 0 && cdp_sort_add(s, 1, "", 0, 1, "v", 1, &err) == 0 &&
           cdp_sort_finish(s, &err) == 0,
       "empty keys and payloads are taken");
    struct cdp_sorted r;
    ok(cdp_sort_next(s, &r, &err) == 1 && r.key_len == 0 && r.len == 1 && cdp_sort_next(s, &r, &err) == 1 &&
           r.key_len == 1 && r.len == 0 && cdp_sort_next(s, &r, &err) == 0 && cdp_sort_next(s, &r, &err) == 0,
       "and given back");
    cdp_sort_free(s);
    cdp_sort_free(NULL);
}

static void test_no_room(void)
{
    struct data d = make(TIMES, 20000, 200);
    struct cdp_sort_opts opts = {.memory = 256 << 10, .feeds = 1, .threads = 1, .tmpdir = "/nonexistent/dir"};
    struct cdp_err err = {0};
    struct cdp_sort *s = cdp_sort_new(&opts, &err);
    int rc = 0;
    for (size_t i = 0; i < d.n && rc == 0; i++)
        rc = cdp_sort_add(s, 0, d.r[i].key, d.r[i].key_len, i, d.r[i].payload, d.r[i].len, &err);
    ok(rc < 0 && err.exit == CDP_EXIT_IO, "no place for runs: %s", err.msg);
    cdp_sort_free(s);
    drop(&d);
}

/* Address space for a feed's records but not for their entries: an error each time, as another block may come after it. */
static void test_no_memory(void)
{
    struct cdp_sort_opts opts = {.memory = (size_t)1 << 30, .feeds = 1, .threads = 1, .tmpdir = "/tmp"};
    struct cdp_err err = {0};
    struct cdp_sort *s = cdp_sort_new(&opts, &err);
    FILE *statm = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    struct rlimit old;
    if (!s || !statm || fscanf(statm, "%lu", &pages) != 1 || getrlimit(RLIMIT_AS, &old) < 0)
        abort();
    fclose(statm);
    struct rlimit tight = {pages * (rlim_t)sysconf(_SC_PAGESIZE) + opts.memory + (16 << 20), old.rlim_max};
    setrlimit(RLIMIT_AS, &tight);
    int first = cdp_sort_add(s, 0, "a", 1, 0, "1", 1, &err),
        second = cdp_sort_add(s, 0, "a", 1, 1, "1", 1, &err);
    setrlimit(RLIMIT_AS, &old);
    ok(first < 0 && second < 0 && err.exit == CDP_EXIT_IO, "no memory for a feed: %s", err.msg);
    cdp_sort_free(s);
}

/* A run read from every place. */
static void test_run(const char *dir, enum cdp_sort_pack pack)
{
    struct data d = make(TIMES, 3000, 60), want = expect(&d, false);
    struct cdp_run_policy policy = {.mode = pack};
    struct cdp_err err;
    struct cdp_run_writer *w = cdp_run_create(dir, 4096, 8, &policy, &err);
    for (size_t i = 0; i < want.n; i++) {
        const struct record *r = &want.r[i];
        struct cdp_sorted x = {(unsigned char *)r->key, r->payload, r->key_len, r->len, r->seq};
        if (cdp_run_add(w, &x, &err) < 0)
            break;
    }
    struct cdp_run *run = cdp_run_finish(w, &err);
    ok(run && run->points >= 4 && run->points <= 8, "places of a run stay few (pack %d)", pack);
    bool good = run != NULL;
    for (size_t i = 0; good && i <= want.n; i += 7) {
        const struct record *r = &want.r[i < want.n ? i : 0];
        struct cdp_split split = {(unsigned char *)r->key, r->seq, r->key_len};
        if (i >= want.n)
            split = (struct cdp_split){(const unsigned char *)"\377", 0, 1};
        struct cdp_run_reader *rd = cdp_run_open(run, &split, &err);
        struct cdp_sorted got;
        size_t j = i < want.n ? i : want.n;
        int rc;
        while ((rc = cdp_run_next(rd, &got, &err)) == 1 && good)
            good = got.seq == want.r[j++].seq;
        good &= rc == 0 && j == want.n;
        cdp_run_close(rd);
    }
    ok(good, "a run is read from any split on (pack %d)", pack);
    cdp_run_free(run);
    free(want.r);
    drop(&d);
}

/* AUTO packs where the file took long for its bytes, and does not where it took no time. */
static void test_policy(const char *dir, bool slow)
{
    struct data d = make(TIMES, 3000, 200), want = expect(&d, false);
    struct cdp_run_policy policy = {.mode = CDP_SORT_PACK_AUTO, .frames = 255, .write_bytes = 1 << 20};
    policy.write_ns = slow ? UINT64_C(1) << 40 : 0;
    struct cdp_err err;
    struct cdp_run_writer *w = cdp_run_create(dir, 16384, 8, &policy, &err);
    for (size_t i = 0; i < want.n; i++) {
        const struct record *r = &want.r[i];
        struct cdp_sorted x = {(unsigned char *)r->key, r->payload, r->key_len, r->len, r->seq};
        if (cdp_run_add(w, &x, &err) < 0)
            break;
    }
    struct cdp_run *run = cdp_run_finish(w, &err);
    struct cdp_run_reader *rd = run ? cdp_run_open(run, NULL, &err) : NULL;
    struct cdp_sorted got;
    size_t i = 0;
    while (rd && cdp_run_next(rd, &got, &err) == 1 && i < want.n && got.seq == want.r[i].seq)
        i++;
    ok(run && run->packed == slow && i == want.n, "a %s device: %s", slow ? "slow" : "fast",
       slow ? "packed" : "not packed");
    cdp_run_close(rd);
    cdp_run_free(run);
    free(want.r);
    drop(&d);
}

static bool index_before(const void *owner, uint32_t a, uint32_t b)
{
    (void)owner;
    return a < b;
}

static void test_tree(void)
{
    bool good = true;
    for (uint32_t k = 1; k < 40; k++) {
        struct cdp_tree t;
        struct cdp_err err;
        uint64_t left[40], last = 0;
        uint32_t last_leaf = 0, n = 0, total = 0;
        if (cdp_tree_init(&t, k, index_before, NULL, &err) < 0)
            break;
        for (uint32_t i = 0; i < k; i++) {
            total += (uint32_t)(left[i] = draw() % 50);
            t.prefix[i] = draw() % 10;
            t.done[i] = left[i] == 0;
            t.prefix[i] = t.done[i] ? UINT64_MAX : t.prefix[i];
        }
        cdp_tree_build(&t);
        for (uint32_t top; !t.done[top = cdp_tree_top(&t)]; n++) {
            good &= t.prefix[top] > last || (t.prefix[top] == last && top >= last_leaf) || n == 0;
            last = t.prefix[top];
            last_leaf = top;
            if (--left[top] == 0) {
                cdp_tree_end(&t);
            } else {
                t.prefix[top] += draw() % 3;
                cdp_tree_replay(&t);
            }
        }
        good &= n == total;
        cdp_tree_free(&t);
    }
    ok(good, "a loser tree of 1 to 39 leaves gives the least head each time");
}

int main(void)
{
    char dir[] = "/tmp/cdp-unit-sort-XXXXXX";
    if (!mkdtemp(dir))
        return 1;
    cdp_hash_seed();
    test_tree();
    test_empty(dir);
    for (enum kind kind = 0; kind < KINDS; kind++)
        test_kind(kind, dir);
    test_run(dir, CDP_SORT_PACK_NEVER);
    test_run(dir, CDP_SORT_PACK_ALWAYS);
    test_policy(dir, false);
    test_policy(dir, true);
    test_large(dir);
    test_passes(dir);
    test_no_room();
    test_no_memory();
    ok(rmdir(dir) == 0, "nothing is left in the folder for temporary files");
    return done();
}
