/* The file of --seen: what is put in is there in the next run, the same keys give the same bytes, what is not such a file is
 * refused. */
#include "lib/seen.h"
#include "tap.h"

#include "files.h"

static struct cdp_err err;
static const struct cdp_sort_opts sorter = {.memory = 1 << 20};

static struct cdp_hash128 key(unsigned i)
{
    return cdp_seen_hash(&i, sizeof i);
}

static int put_in_set(void *arg, struct cdp_hash128 h, struct cdp_err *e)
{
    int answer = cdp_set_add(arg, h, e);
    return answer == CDP_SET_NEW ? 0 : cdp_err_set(e, CDP_EXIT_DATA, "twice, or no room");
}

static int refuse(void *arg, struct cdp_hash128 h, struct cdp_err *e)
{
    (void)h;
    return --*(int *)arg < 0 ? cdp_err_set(e, CDP_EXIT_IO, "no more") : 0;
}

/* Loads the file, adds keys [from, to) as the tool does (those that the set has room for, and the others), and saves it.
 * Returns how many were new, -1 on an error. */
static int session(const char *path, const char *name, unsigned from, unsigned to, unsigned in_set)
{
    struct cdp_set set;
    int fresh = 0;
    if (cdp_set_init(&set, 64 << 20, &err) < 0)
        return -1;
    struct cdp_seen *s = cdp_seen_open(path, name, put_in_set, &set, &sorter, &err);
    int rc = s ? 0 : -1;
    for (unsigned i = from; rc == 0 && i < to; i++) {
        unsigned k = (i * 7919u) % (to - from) + from;
        if (cdp_set_has(&set, key(k)))
            continue;
        fresh++;
        rc =
            k % 100 < in_set ? (cdp_set_add(&set, key(k), &err) < 0 ? -1 : 0) : cdp_seen_add(s, key(k), &err);
    }
    if (rc == 0)
        rc = cdp_seen_save(s, &set, &err);
    cdp_seen_free(s);
    cdp_set_free(&set);
    return rc < 0 ? -1 : fresh;
}

static bool same_files(const char *a, const char *b)
{
    size_t n, m;
    char *x = file_get(a, &n), *y = file_get(b, &m);
    bool same = x && y && n == m && memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return same;
}

static void sessions(void)
{
    ok(session("one", ".id", 0, 0, 0) == 0 && session("one", ".id", 0, 0, 0) == 0, "no keys");
    size_t n;
    char *empty = file_get("one", &n);
    ok(empty && n == 15 + 8 && memcmp(empty, "cdp-seen 1 .id\n", 15) == 0, "a head and a sum");
    free(empty);
    ok(session("one", ".id", 0, 10007, 100) == 10007, "10,007 keys in the set");
    ok(session("two", ".id", 0, 10007, 0) == 10007 && same_files("one", "two"),
       "kept beside it, the file is the same");
    ok(session("three", ".id", 0, 5003, 30) == 5003 && session("three", ".id", 0, 5003, 50) == 0 &&
           session("three", ".id", 4000, 10007, 70) == 10007 - 5003 && same_files("one", "three"),
       "and so in several sessions");
}

/* The file changed at one place, or cut. */
static bool refused(size_t at, int with, size_t keep, enum cdp_exit status, const char *says)
{
    size_t n;
    char *text = file_get("one", &n);
    if (with >= 0)
        text[at] = (char)with;
    file_put("bad", text, keep < n ? keep : n);
    char want[100];
    snprintf(want, sizeof want, "bad: %s", says);
    bool good = session("bad", ".id", 0, 10, 0) == -1 && err.exit == status && strcmp(err.msg, want) == 0;
    size_t m;
    char *after = file_get("bad", &m);
    good &= after && m == (keep < n ? keep : n) && memcmp(after, text, m) == 0;
    free(after);
    free(text);
    return good;
}

static void damage(void)
{
    const char *damaged = "not a file of --seen, or a damaged one", *other = "made with another key";
    size_t n;
    char *text = file_get("one", &n);
    ok(text && n == 15 + 16 * 10007 + 8, "16 bytes a key");
    char first = text[20], last = text[n - 1];
    free(text);
    ok(refused(0, -1, 0, CDP_EXIT_DATA, damaged), "an empty file is none");
    ok(refused(0, 'C', n, CDP_EXIT_DATA, damaged), "another beginning");
    ok(refused(9, '2', n, CDP_EXIT_DATA, damaged), "another version");
    ok(refused(12, 'k', n, CDP_EXIT_DATA, other), "another key");
    ok(refused(20, first ^ 1, n, CDP_EXIT_DATA, damaged), "a changed key");
    ok(refused(n - 1, last ^ 1, n, CDP_EXIT_DATA, damaged), "a changed sum");
    ok(refused(0, -1, n - 1, CDP_EXIT_DATA, damaged), "a lost byte");
    ok(refused(0, -1, n - 16, CDP_EXIT_DATA, damaged), "a lost key");
    ok(refused(0, -1, 15, CDP_EXIT_DATA, damaged), "nothing but the head");
    ok(session("one", ".id:time", 0, 10, 0) == -1 && strcmp(err.msg, "one: made with another key") == 0,
       "a key whose text goes on");
    ok(session("none", ".a", 0, 0, 0) == 0 &&
           session("none", ".a_name_longer_than_that_whole_file", 0, 10, 0) == -1 &&
           err.exit == CDP_EXIT_DATA && strcmp(err.msg, "none: made with another key") == 0,
       "a key whose text is longer than the file");
    ok(mkdir("dir", 0777) == 0 && session("dir", ".id", 0, 10, 0) == -1 && err.exit == CDP_EXIT_IO &&
           strcmp(err.msg, "dir: cannot read: Is a directory") == 0,
       "a folder cannot be read");
    int room = 0;
    ok(!cdp_seen_open("dir/no/such", ".id", refuse, &room, &sorter, &err) && err.exit == CDP_EXIT_IO,
       "a folder that is not there, said at once");
    ok(session("keys.gz", ".id", 0, 10007, 0) == 10007 && same_files("one", "keys.gz"),
       "a name that ends in .gz is but a name");
    ok(session("new\nline", "a\nb", 0, 10, 0) == 10 && session("new\nline", "a\nb", 0, 20, 0) == 10,
       "a newline in the key's text");

    room = 9;
    ok(!cdp_seen_open("one", ".id", refuse, &room, &sorter, &err) && room == -1 &&
           strcmp(err.msg, "no more") == 0,
       "the tenth key is one too many for its taker");
}

int main(void)
{
    files_begin();
    sessions();
    damage();
    files_end();
    return done();
}
