/* Partitions: their names, files of bounded size that are the same whatever the memory and the threads, appending and
 * replacing, and what a run that was killed leaves to the next. */
#include "lib/part.h"
#include "lib/gz.h"
#include "lib/num.h"
#include "lib/val.h"
#include "tap.h"

#include "files.h"

#include <dirent.h>
#include <glob.h>
#include <signal.h>
#include <sys/wait.h>

#define PIECE ((size_t)256 << 10)

static struct cdp_err err;

/* ---- names ---- */

static void named(const char *json, const char *want)
{
    struct cdp_buf b = {0};
    int rc = cdp_part_name(&b, "k", json ? cdp_val_text(json, strlen(json)) : (struct cdp_val){0}, &err);
    cdp_buf_addc(&b, '\0');
    is(rc < 0 ? err.msg : b.data, want, json ? json : "nothing");
    cdp_buf_free(&b);
}

static void names(void)
{
    named("\"plain\"", "k=plain");
    named("\"a/b=c:d%e\"", "k=a%2Fb%3Dc%3Ad%25e");
    named("\"\\\"#'*?\\\\{[]^\"", "k=%22%23%27%2A%3F%5C%7B%5B%5D%5E");
    named("\"\\u0000\\n\\u001f\\u007f\"", "k=%00%0A%1F%7F");
    named("\" }~,;<>|&()!@$+-_.\"", "k= }~,;<>|&()!@$+-_.");
    named("\"\\u00e9\\ud83d\\ude00\"", "k=\xc3\xa9\xf0\x9f\x98\x80");
    named("\"..\"", "k=..");
    named("null", "k=__HIVE_DEFAULT_PARTITION__");
    named("\"\"", "k=__HIVE_DEFAULT_PARTITION__");
    named(NULL, "k=__HIVE_DEFAULT_PARTITION__");
    named("true", "k=true");
    named("false", "k=false");
    named("1.0", "k=1");
    named("-0.50", "k=-0.5");
    named("12345678901234567890", "k=12345678901234567890");
    named("[1]", "an array or object cannot name a partition");
    named("{}", "an array or object cannot name a partition");
    char json[300], want[300];
    snprintf(json, sizeof json, "\"%0253d\"", 0);
    snprintf(want, sizeof want, "k=%0253d", 0);
    named(json, want);
    snprintf(json, sizeof json, "\"%0254d\"", 0);
    named(json, "the name of the partition is longer than 255 bytes");
    struct cdp_buf b = {0};
    cdp_buf_adds(&b, "a=1/");
    ok(cdp_part_name(&b, "x y=", cdp_val_text("2", 1), &err) == 0 && b.len == 12 &&
           memcmp(b.data, "a=1/x y%3D=2", 12) == 0,
       "a name is appended, escaped as a value is");
    cdp_buf_free(&b);
}

/* ---- a dataset ---- */

static int add(struct cdp_part *p, const char *path, const char *line, size_t n)
{
    return cdp_part_add(p, path, strlen(path), cdp_hash(path, strlen(path)), line, n, NULL, &err);
}

static ssize_t file_source(void *fd, void *buf, size_t n, struct cdp_err *e)
{
    (void)e;
    return read(*(int *)fd, buf, n);
}

/* The unpacked bytes of a file; NULL where it is none or not one member of gzip. */
static char *unpacked(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY);
    struct cdp_gunzip *g = fd < 0 ? NULL : cdp_gunzip_new(file_source, &fd, &err);
    struct cdp_buf b = {0};
    ssize_t n = -1;
    while (g && cdp_buf_reserve(&b, 1 << 16) && (n = cdp_gunzip_read(g, b.data + b.len, 1 << 16, &err)) > 0)
        b.len += (size_t)n;
    cdp_gunzip_free(g);
    if (fd >= 0)
        close(fd);
    *len = b.len;
    if (n < 0)
        cdp_buf_free(&b);
    else
        cdp_buf_addc(&b, '\0');
    return b.data;
}

static bool unpacks(const char *path, const char *want, size_t n)
{
    size_t got;
    char *text = unpacked(path, &got);
    bool same = text && got == n && memcmp(text, want, n) == 0;
    if (!same)
        printf("# %s: %zu bytes, not %zu\n", path, got, n);
    free(text);
    return same;
}

/* The name of a file with this content. */
static const char *file_name(const char *dir, unsigned number, const void *text, size_t n)
{
    static char name[200];
    snprintf(name, sizeof name, "%s/part-%05u-%016llx.ndjson.gz", dir, number,
             (unsigned long long)cdp_hash_stable(text, n));
    return name;
}

static bool holds(const char *dir, unsigned number, const char *text)
{
    return unpacks(file_name(dir, number, text, strlen(text)), text, strlen(text));
}

/* What lies in a folder and below it, as one text; for what readers see: files that are not hidden. */
static struct cdp_buf tree;

static int add_name(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_F)
        cdp_buf_addf(&tree, "%s %lld;", path, (long long)st->st_size);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *files_in(const char *dir)
{
    static char out[20000];
    char *name[600], *save, *at = NULL;
    size_t n = 0, len = 0;
    cdp_buf_clear(&tree);
    nftw(dir, add_name, 16, FTW_PHYS);
    cdp_buf_addc(&tree, '\0');
    for (char *p = strtok_r(tree.data, ";", &save); p && n < 600; p = strtok_r(NULL, ";", &save))
        if (!strstr(p, "/.cdp-part.lock") && (at = strrchr(p, ' ')) && (*at = '\0') == 0)
            name[n++] = p;
    qsort(name, n, sizeof *name, by_name);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, sizeof out - len, "%s%s", i ? " " : "", name[i]);
    return out;
}

static struct cdp_part_opts plain(const char *dir)
{
    return (struct cdp_part_opts){
        .dir = dir, .records = 20000, .bytes = 1 << 30, .memory = 1 << 30, .tmpdir = "."};
}

static int finish(struct cdp_part *p, unsigned threads)
{
    return cdp_part_work(p, &err) < 0 || cdp_part_finish(p, threads, &err) < 0 ? -1
                                                                               : cdp_part_commit(p, &err);
}

/* ---- pieces ---- */

/* Lines about a piece's end, to three partitions in turn; the files' bytes are appended to `bytes`. */
static bool write_dataset(const char *dir, uint64_t memory, unsigned threads, size_t line_len,
                          struct cdp_buf *bytes)
{
    struct cdp_part_opts opts = plain(dir);
    opts.memory = memory;
    opts.records = 700;
    opts.bytes = 3 * PIECE + 1000;
    static const char *const path[] = {"p=0", "p=1", "p=2"};
    struct cdp_part *p = cdp_part_open(&opts, &err);
    struct cdp_buf want[3] = {{0}};
    char *line = malloc(line_len);
    bool good = p && line && line_len;
    for (size_t i = 0; good && i < 20 * PIECE / line_len; i++) {
        size_t k = i % 7 % 3;
        for (size_t j = 0; j < line_len; j++)
            line[j] = (char)('a' + (i * 31 + j * j) % 26);
        line[line_len - 1] = '\n';
        good = add(p, path[k], line, line_len) == 0 && (i % 50 || cdp_part_work(p, &err) == 0);
        cdp_buf_add(&want[k], line, line_len);
    }
    good = good && finish(p, threads) == 0;
    cdp_part_free(p);
    for (size_t k = 0; k < 3; k++) {
        struct cdp_buf all = {0};
        for (unsigned f = 0;; f++) {
            char pattern[100];
            size_t n, packed;
            glob_t found;
            snprintf(pattern, sizeof pattern, "%s/p=%zu/part-%05u-*.ndjson.gz", dir, k, f);
            if (glob(pattern, 0, NULL, &found) != 0)
                break;
            const char *name = found.gl_pathv[0];
            char *text = unpacked(name, &n);
            good &= found.gl_pathc == 1 && text;
            if (!text)
                break;
            pattern[strlen(pattern) - strlen("/part-00000-*.ndjson.gz")] = '\0';
            good &= strcmp(name, file_name(pattern, f, text, n)) == 0;
            good &= (n <= opts.bytes || n == line_len) && n / line_len <= opts.records;
            cdp_buf_add(&all, text, n);
            free(text);
            text = file_get(name, &packed);
            cdp_buf_add(bytes, text, packed);
            free(text);
            globfree(&found);
        }
        good &= all.len == want[k].len && (all.len == 0 || memcmp(all.data, want[k].data, all.len) == 0);
        cdp_buf_free(&all);
        cdp_buf_free(&want[k]);
    }
    free(line);
    return good;
}

static void pieces(void)
{
    const size_t lens[] = {100, PIECE - 1, PIECE, PIECE + 1, PIECE / 2, 3 * PIECE + 1000, 3 * PIECE + 1001};
    static const struct {
        uint64_t memory;
        unsigned threads;
    } ways[] = {{1 << 30, 1}, {1 << 30, 4}, {0, 1}, {150 << 10, 3}};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct cdp_buf first = {0};
        size_t wrong = 0;
        for (size_t w = 0; w < 4; w++) {
            char dir[20];
            struct cdp_buf bytes = {0};
            snprintf(dir, sizeof dir, "pieces%zu-%zu", i, w);
            wrong += !write_dataset(dir, ways[w].memory, ways[w].threads, lens[i], w ? &bytes : &first);
            wrong += w && (bytes.len != first.len || memcmp(bytes.data, first.data, bytes.len) != 0);
            cdp_buf_free(&bytes);
        }
        cdp_buf_free(&first);
        ok(wrong == 0, "lines of %zu bytes: the same files whatever the memory and the threads, %zu wrong",
           lens[i], wrong);
    }
}

/* ---- modes ---- */

/* One run that adds "line\n" to each of the paths. */
static int session(const char *dir, enum cdp_part_mode mode, const char *line, const char *const *path)
{
    struct cdp_part_opts opts = plain(dir);
    opts.mode = mode;
    opts.manifest = "manifest";
    opts.touched = "touched";
    struct cdp_part *p = cdp_part_open(&opts, &err);
    int rc = p ? 0 : -1;
    for (; rc == 0 && *path; path++)
        rc = add(p, *path, line, strlen(line));
    if (rc == 0)
        rc = finish(p, 2);
    cdp_part_free(p);
    return rc;
}

/* Files that hold "1\n", "2\n" and "4\n" alone. */
#define ONE "part-00000-2ef3a1a12238c2e5.ndjson.gz"
#define TWO "part-00000-83c698766637de45.ndjson.gz"
#define FOUR "part-00000-565b9450afcfefda.ndjson.gz"

#define PATHS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void modes(void)
{
    ok(session("ds", CDP_PART_NEW, "1\n", PATHS("y=1/m=2", "y=1/m=1", "y=2/m=1")) == 0, "a new dataset");
    is(files_in("ds"), "ds/y=1/m=1/" ONE " ds/y=1/m=2/" ONE " ds/y=2/m=1/" ONE, "its files");
    ok(file_holds("touched", "y=1/m=1\ny=1/m=2\ny=2/m=1\n"), "its partitions");
    size_t n;
    char *manifest = file_get("manifest", &n), want[300];
    struct stat st;
    stat("ds/y=1/m=1/" ONE, &st);
    snprintf(want, sizeof want,
             "{\"path\":\"y=1/m=1/" ONE "\",\"records\":1,\"bytes\":2,\"file_bytes\":%lld,\"min\":null,"
             "\"max\":null,\"xxh3\":\"%016llx\"}\n",
             (long long)st.st_size, (unsigned long long)cdp_hash_stable("1\n", 2));
    ok(manifest && strncmp(manifest, want, strlen(want)) == 0, "its manifest");
    free(manifest);

    ok(session("ds", CDP_PART_NEW, "2\n", PATHS("y=3/m=1", "y=1/m=2")) == -1 && err.exit == CDP_EXIT_DATA &&
           strcmp(err.msg, "ds/y=1/m=2: the partition is there already: --append or --replace") == 0,
       "a partition that is there already");
    ok(access("ds/y=3", F_OK) < 0 && access("ds/.cdp-part.new", F_OK) < 0, "then nothing is written");
    ok(session("ds", CDP_PART_APPEND, "2\n", PATHS("y=1/m=2", "y=3/m=1")) == 0 &&
           holds("ds/y=1/m=2", 0, "1\n") && holds("ds/y=1/m=2", 1, "2\n") && holds("ds/y=3/m=1", 0, "2\n"),
       "appended");
    ok(session("ds", CDP_PART_APPEND, "3\n", PATHS("y=1/m=2")) == 0 && holds("ds/y=1/m=2", 1, "2\n") &&
           holds("ds/y=1/m=2", 2, "3\n"),
       "and again");
    ok(session("ds", CDP_PART_REPLACE, "4\n", PATHS("y=1/m=2")) == 0, "replaced");
    is(files_in("ds"), "ds/y=1/m=1/" ONE " ds/y=1/m=2/" FOUR " ds/y=2/m=1/" ONE " ds/y=3/m=1/" TWO,
       "the others stay");
    ok(holds("ds/y=1/m=2", 0, "4\n") && file_holds("touched", "y=1/m=2\n"), "as it is told");
    ok(session("ds", CDP_PART_REPLACE, "5\n", (const char *const[]){NULL}) == 0 &&
           file_holds("touched", "") && file_holds("manifest", ""),
       "no lines touch nothing");

    ok(session("ds", CDP_PART_REPLACE, "6\n", PATHS("y=1")) == -1 && err.exit == CDP_EXIT_DATA &&
           strcmp(err.msg, "ds/y=1: is no partition: directories are in it") == 0,
       "partitions below another are not replaced with it");
    ok(session("ds", CDP_PART_APPEND, "6\n", PATHS("y=1")) == -1 && err.exit == CDP_EXIT_DATA &&
           holds("ds/y=1/m=2", 0, "4\n"),
       "nor is it added to");

    struct cdp_part_opts opts = plain("ds");
    struct cdp_part *p = cdp_part_open(&opts, &err);
    struct cdp_err other;
    ok(p && !cdp_part_open(&opts, &other) && other.exit == CDP_EXIT_IO &&
           strcmp(other.msg, "ds: another run is at work on this dataset") == 0,
       "one run at a time");
    ok(add(p, "y=9", "x\n", 2) == 0 && cdp_part_finish(p, 1, &err) == 0, "a run that is not committed");
    cdp_part_free(p);
    ok(access("ds/y=9", F_OK) < 0 && access("ds/.cdp-part.new", F_OK) < 0, "leaves nothing");
    cdp_part_free(NULL);
}

static void many(void)
{
    struct cdp_part_opts opts = plain("many");
    opts.memory = 4096;
    struct cdp_part *p = cdp_part_open(&opts, &err);
    bool good = p != NULL;
    for (int round = 0; good && round < 3; round++)
        for (int i = 0; good && i < 120; i++) {
            char path[30], line[30];
            int n = snprintf(line, sizeof line, "%d %d\n", round, i);
            snprintf(path, sizeof path, "p=%d", i);
            good = add(p, path, line, (size_t)n) == 0;
        }
    ok(good && finish(p, 3) == 0, "120 partitions, most of them put aside");
    cdp_part_free(p);
    for (int i = 0; i < 120; i++) {
        char path[60], text[60];
        snprintf(path, sizeof path, "many/p=%d", i);
        snprintf(text, sizeof text, "0 %d\n1 %d\n2 %d\n", i, i, i);
        good &= holds(path, 0, text);
    }
    ok(good, "hold their lines");
}

/* ---- after a kill ---- */

static void dir_of(const char *path)
{
    char copy[200];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *p = copy; (p = strchr(p + 1, '/'));) {
        *p = '\0';
        mkdir(copy, 0777);
        *p = '/';
    }
}

static void put(const char *path, const char *text)
{
    dir_of(path);
    file_puts(path, text);
}

static unsigned long long inode(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (unsigned long long)st.st_ino : 0;
}

static int recover(const char *dir)
{
    struct cdp_part_opts opts = plain(dir);
    struct cdp_part *p = cdp_part_open(&opts, &err);
    int rc = p ? 0 : -1;
    cdp_part_free(p);
    return rc;
}

static void killed(void)
{
    /* before its journal was written */
    put("kill/a=1/part-00000.ndjson.gz", "old");
    put("kill/.cdp-part.new/a=1/part-00000.ndjson.gz", "new");
    put("kill/.cdp-part.new/a=2/part-00000.ndjson.gz", "half");
    put("kill/.x.cdp-AbCd12", "a temporary file");
    ok(recover("kill") == 0 && file_holds("kill/a=1/part-00000.ndjson.gz", "old"),
       "a run that was killed early");
    is(files_in("kill"), "kill/a=1/part-00000.ndjson.gz", "leaves the old dataset");

    /* after it, with one partition exchanged, one to come that is there and one that is new */
    put("kill/a=1/part-00000.ndjson.gz", "new 1");
    put("kill/.cdp-part.new/a=1/part-00000.ndjson.gz", "old 1");
    put("kill/a=2/part-00000.ndjson.gz", "old 2");
    put("kill/.cdp-part.new/a=2/part-00000.ndjson.gz", "new 2");
    put("kill/.cdp-part.new/b=1/c=3/part-00000.ndjson.gz", "new 3");
    char journal[300];
    snprintf(journal, sizeof journal, "%llu a=1\n%llu a=2\n%llu b=1/c=3\n", inode("kill/a=1"),
             inode("kill/.cdp-part.new/a=2"), inode("kill/.cdp-part.new/b=1/c=3"));
    put("kill/.cdp-part.journal", journal);
    ok(recover("kill") == 0, "one that was killed while it moved partitions");
    is(files_in("kill"),
       "kill/a=1/part-00000.ndjson.gz kill/a=2/part-00000.ndjson.gz kill/b=1/c=3/part-00000.ndjson.gz",
       "is brought to its end");
    ok(file_holds("kill/a=1/part-00000.ndjson.gz", "new 1") &&
           file_holds("kill/a=2/part-00000.ndjson.gz", "new 2") &&
           file_holds("kill/b=1/c=3/part-00000.ndjson.gz", "new 3"),
       "every partition is the new one");

    /* all done but for the clearing up */
    snprintf(journal, sizeof journal, "%llu a=1\n%llu a=2\n", inode("kill/a=1"), inode("kill/a=2"));
    put("kill/.cdp-part.journal", journal);
    put("kill/.cdp-part.new/a=1/part-00000.ndjson.gz", "old 1");
    ok(recover("kill") == 0 && file_holds("kill/a=1/part-00000.ndjson.gz", "new 1") &&
           access("kill/.cdp-part.journal", F_OK) < 0 && access("kill/.cdp-part.new", F_OK) < 0,
       "one that was killed at its end");

    put("kill/.cdp-part.journal", "a=1\n");
    ok(recover("kill") == -1 && err.exit == CDP_EXIT_IO &&
           strcmp(err.msg, "kill/.cdp-part.journal: damaged") == 0 &&
           access("kill/.cdp-part.journal", F_OK) == 0,
       "a journal that is none of ours stays");
    snprintf(journal, sizeof journal, "%llu gone=1\n", inode("kill/a=1"));
    put("kill/.cdp-part.journal", journal);
    ok(recover("kill") == -1 && err.exit == CDP_EXIT_IO, "as does one whose files are gone");
}

#define ENDED 20 /* partitions */

/* Replaces all partitions again and again. */
static void replace_for_ever(void)
{
    char name[ENDED][20], line[20];
    const char *path[ENDED + 1] = {NULL};
    for (int i = 0; i < ENDED; i++) {
        snprintf(name[i], sizeof name[i], "p=%02d", i);
        path[i] = name[i];
    }
    cdp_atomic_signals();
    for (int i = 0;; i++) {
        snprintf(line, sizeof line, "%d\n", i);
        if (session("ended", CDP_PART_REPLACE, line, path) < 0)
            _exit(9);
    }
}

/* Every partition has one file, with the same content, which its name tells. */
static bool of_one_run(void)
{
    glob_t found = {0};
    bool good = glob("ended/p=*/*", 0, NULL, &found) == GLOB_NOMATCH || found.gl_pathc == ENDED;
    for (size_t i = 1; i < found.gl_pathc; i++)
        good &=
            strcmp(found.gl_pathv[i] + strlen("ended/p=00"), found.gl_pathv[0] + strlen("ended/p=00")) == 0;
    globfree(&found);
    return good;
}

static void ended(void)
{
    int wrong = 0, left = 0, mixed = 0;
    for (int round = 0; round < 40; round++) {
        pid_t pid = fork();
        if (pid == 0)
            replace_for_ever();
        usleep(3000 + (useconds_t)round * 700);
        kill(pid, SIGTERM);
        int status = 0;
        waitpid(pid, &status, 0);
        wrong += !WIFSIGNALED(status) || WTERMSIG(status) != SIGTERM;
        left += access("ended/.cdp-part.new", F_OK) == 0 && access("ended/.cdp-part.journal", F_OK) < 0;
        mixed += recover("ended") < 0 || !of_one_run() || access("ended/.cdp-part.new", F_OK) == 0;
    }
    ok(wrong == 0, "a run that a signal ends dies of it, not in %d runs", wrong);
    ok(left == 0, "and leaves nothing but what its journal needs, not in %d runs", left);
    ok(mixed == 0, "and the dataset is that of one run, not in %d runs", mixed);
}

int main(void)
{
    files_begin();
    names();
    pieces();
    modes();
    many();
    killed();
    ended();
    cdp_buf_free(&tree);
    files_end();
    return done();
}
