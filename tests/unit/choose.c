/* One record per key, decided at the end: which is kept, in what order, and that neither arrival nor memory matter. */
#include "lib/choose.h"
#include "tap.h"

#include "files.h"

static struct cdp_err err;

struct rec {
    char key;         /* 0: settled as kept; 1: settled as a duplicate */
    const char *rank; /* NULL: none */
    const char *line; /* NULL: the key is barred */
};

static struct cdp_hash128 hash(char key)
{
    return (struct cdp_hash128){.hi = (uint64_t)key * 0x9E3779B97F4A7C15u, .lo = (uint64_t)key};
}

/* What is kept of the records and what is not, as "kept|dropped". */
static const char *chosen(const struct rec *r, size_t n, bool last, bool dups)
{
    static char text[400];
    const struct cdp_sort_opts opts = {.memory = 1 << 20};
    struct cdp_counts counts = {0};
    struct cdp_choose *c = cdp_choose_new(&opts, last, dups, &err);
    int rc = c ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        size_t len = r[i].line ? strlen(r[i].line) : 0;
        if (!r[i].line)
            rc = cdp_choose_bar(c, hash(r[i].key), &err);
        else if (r[i].key < 2)
            rc = cdp_choose_settle(c, r[i].key ? CDP_CHOOSE_DUP : CDP_CHOOSE_KEPT, i + 1, r[i].line, len,
                                   &err);
        else
            rc = cdp_choose_add(c, hash(r[i].key), r[i].rank ? r[i].rank : "",
                                r[i].rank ? strlen(r[i].rank) : 0, i + 1, r[i].line, len, &err);
    }
    struct cdp_out *out = cdp_out_open("out", false, &err),
                   *other = dups ? cdp_out_open("dups", false, &err) : NULL;
    if (rc == 0)
        rc = cdp_choose_write(c, out, other, NULL, &counts, &err);
    rc |= cdp_out_close(out, &err);
    rc |= other ? cdp_out_close(other, &err) : 0;
    cdp_choose_free(c);
    size_t a = 0, b = 0;
    char *kept = file_get("out", &a), *dropped = dups ? file_get("dups", &b) : NULL;
    snprintf(text, sizeof text, "%s%.*s|%.*s %llu+%llu", rc ? "failed " : "", (int)a, kept, (int)b,
             dropped ? dropped : "", (unsigned long long)counts.out, (unsigned long long)counts.dropped);
    free(kept);
    free(dropped);
    for (char *p = text; *p; p++)
        *p = *p == '\n' ? ' ' : *p;
    return text;
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void choices(void)
{
    const struct rec plain[] = {
        {'a', NULL, "a1\n"}, {'b', NULL, "b1\n"}, {'a', NULL, "a2\n"}, {'a', NULL, "a3\n"}};
    is(chosen(plain, 4, false, false), "a1 b1 | 2+2", "without ranks the first is kept");
    is(chosen(plain, 4, false, true), "a1 b1 |a2 a3  2+2", "the others are the duplicates");
    is(chosen(plain, 4, true, true), "b1 a3 |a1 a2  2+2", "or the last, at its own place");
    const struct rec falling[] = {{'a', NULL, "z\n"}, {'a', NULL, "y\n"}};
    is(chosen(falling, 2, false, true), "z |y  1+1", "the first, not the least");
    is(chosen(plain, 0, false, true), "| 0+0", "no records");
    is(chosen(plain, 1, true, true), "a1 | 1+0", "one");

    const struct rec ranked[] = {{'a', "5", "a5\n"},   {'b', "2", "b2\n"}, {'a', "3", "a3\n"},
                                 {'b', "20", "b20\n"}, {'a', "4", "a4\n"}, {'b', "1", "b1\n"},
                                 {'c', "0", "c0\r\n"}};
    is(chosen(ranked, 7, false, true), "a3 b1 c0\r |a5 b2 b20 a4  3+4", "the least rank, bytes as in memcmp");

    const struct rec settled[] = {{0, NULL, "s1\n"}, {'a', "2", "a2\n"}, {1, NULL, "d1\n"},
                                  {0, NULL, "s2\n"}, {'a', "1", "a1\n"}, {0, NULL, "s3\n"}};
    is(chosen(settled, 6, false, true), "s1 s2 a1 s3 |a2 d1  4+1", "what is settled keeps its place");
    is(chosen(settled, 6, false, false), "s1 s2 a1 s3 | 4+1", "duplicates that nobody wants are nowhere");
}

/* Keys that were there before, said at any time: their records are duplicates, whatever is asked for. */
static void barred(void)
{
    const struct rec plain[] = {{'a', NULL, "a1\n"}, {'b', NULL, NULL},   {'b', NULL, "b1\n"},
                                {'a', NULL, "a2\n"}, {'b', NULL, "b2\n"}, {'c', NULL, "c1\n"},
                                {'b', NULL, NULL},   {'d', NULL, NULL}};
    is(chosen(plain, 8, false, true), "a1 c1 |b1 a2 b2  2+3", "barred, with the first record of a key");
    is(chosen(plain, 8, true, true), "a2 c1 |a1 b1 b2  2+3", "with the last");
    is(chosen(plain, 8, true, false), "a2 c1 | 2+3", "and where nobody wants the duplicates");
    const struct rec ranked[] = {
        {'a', "2", "a2\n"}, {'b', "1", "b1\n"}, {'a', "1", "a1\n"}, {'a', NULL, NULL}, {'a', "1", "a0\n"}};
    is(chosen(ranked, 5, false, true), "b1 |a2 a1 a0  1+3", "with ranks");
}

/* Of equal ranks the least line, so that it does not matter which came first. */
static void ties(void)
{
    const struct rec tied[] = {{'a', "1", "{\"x\":2}\n"},
                               {'a', "1", "{\"x\":10}\n"},
                               {'a', "1", "{\"x\":1}\n"},
                               {'a', "2", "{\"x\":0}\n"},
                               {'a', "1", "{\"x\":1}\n"}};
    size_t wrong = 0;
    for (size_t i = 0; i < 120; i++) {
        struct rec shuffled[5];
        size_t left[5] = {0, 1, 2, 3, 4}, code = i;
        for (size_t k = 0; k < 5; k++) {
            size_t at = code % (5 - k);
            code /= 5 - k;
            shuffled[k] = tied[left[at]];
            memmove(left + at, left + at + 1, (4 - k - at) * sizeof *left);
        }
        wrong += strncmp(chosen(shuffled, 5, false, true), "{\"x\":10} |", 10) != 0;
    }
    ok(wrong == 0, "equal ranks in every order of arrival: %zu wrong", wrong);
    const struct rec prefix[] = {{'a', "1", "abcd"}, {'a', "1", "abc"}, {'a', "1", "abcde"}};
    is(chosen(prefix, 3, false, true), "abc|abcdabcde 1+2", "a line before those that it begins");
}

static int none(void *arg, struct cdp_hash128 h, struct cdp_err *e)
{
    (void)arg, (void)h;
    return cdp_err_set(e, CDP_EXIT_DATA, "there was no file");
}

/* The same however little memory there is; kept and barred keys are handed to --seen. */
static void memory(void)
{
    static const uint64_t bytes[] = {1, 1 << 16, 1 << 30};
    struct cdp_buf first[3] = {{0}};
    size_t wrong = 0;
    for (size_t m = 0; m < 3; m++) {
        const struct cdp_sort_opts opts = {.memory = bytes[m], .threads = 2};
        struct cdp_counts counts = {0};
        struct cdp_set set;
        unlink("seen");
        wrong += cdp_set_init(&set, 1 << 20, &err) != 0;
        struct cdp_seen *seen = cdp_seen_open("seen", "k", none, NULL, &opts, &err);
        struct cdp_choose *c = cdp_choose_new(&opts, false, true, &err);
        for (unsigned i = 0; i < 20000; i++) {
            char line[100], rank[20];
            unsigned k = i * 2654435761u >> 20;
            int n = snprintf(line, sizeof line, "{\"k\":%u,\"i\":%u,\"pad\":\"%.*s\"}\n", k, i, (int)(i % 40),
                             "........................................");
            int r = snprintf(rank, sizeof rank, "%u", i * 40503u % 1000);
            wrong += cdp_choose_add(c, cdp_seen_hash(&k, sizeof k), rank, (size_t)r, i + 1, line, (size_t)n,
                                    &err) != 0;
        }
        for (unsigned k = 4000; k < 5000; k++) /* 96 of them are among the records */
            wrong += cdp_choose_bar(c, cdp_seen_hash(&k, sizeof k), &err) != 0;
        struct cdp_out *out = cdp_out_open("out", false, &err), *dups = cdp_out_open("dups", false, &err);
        wrong += cdp_choose_write(c, out, dups, seen, &counts, &err) != 0;
        wrong += cdp_out_close(out, &err) != 0 || cdp_out_close(dups, &err) != 0;
        wrong += cdp_seen_save(seen, &set, &err) != 0;
        wrong += counts.out != 4000 || counts.dropped != 20000 - 4000;
        const char *names[] = {"out", "dups", "seen"};
        for (size_t k = 0; k < 3; k++) {
            size_t n;
            char *text = file_get(names[k], &n);
            if (m == 0)
                cdp_buf_add(&first[k], text, n);
            wrong += n != first[k].len || memcmp(text, first[k].data, n) != 0;
            free(text);
        }
        wrong += first[2].len != strlen("cdp-seen 1 k\n") + 5000 * 16 + 8;
        cdp_choose_free(c);
        cdp_seen_free(seen);
        cdp_set_free(&set);
    }
    ok(wrong == 0, "the same bytes with a byte of memory and with a gibibyte: %zu wrong", wrong);
    for (size_t k = 0; k < 3; k++)
        cdp_buf_free(&first[k]);
}

int main(void)
{
    files_begin();
    choices();
    barred();
    ties();
    memory();
    cdp_choose_free(NULL);
    files_end();
    return done();
}
