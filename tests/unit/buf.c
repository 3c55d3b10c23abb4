/* Growable bytes and what stands below them: growth, failure that sticks, counting, messages. */
#include "lib/buf.h"
#include "lib/mem.h"
#include "tap.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

static struct cdp_err err;

static void wide(void)
{
    char text[200];
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('!' + i % 90);
    for (size_t n = 0; n <= sizeof text - CDP_BUF_WIDE; n++) {
        struct cdp_buf b = {0};
        for (int i = 0; i < 3; i++)
            cdp_buf_add_wide(&b, text + i, n);
        wrong += b.len != 3 * n;
        for (size_t i = 0; i < 3 && b.data; i++)
            wrong += memcmp(b.data + i * n, text + i, n) != 0;
        cdp_buf_free(&b);
    }
    ok(wrong == 0, "text of any length that may be read beyond its end");
}

static void growth(void)
{
    struct cdp_buf b = {0};
    ok(cdp_buf_check(&b, &err) == 0 && b.len == 0, "nothing to begin with");
    cdp_buf_add(&b, NULL, 0);
    cdp_buf_adds(&b, "");
    ok(b.data == NULL && b.len == 0, "adding nothing takes nothing");
    size_t wrong = 0;
    for (size_t i = 0; i < 100000; i++) {
        cdp_buf_addc(&b, (char)i);
        if (i % 1000 == 0)
            cdp_buf_add(&b, "0123456789", 10);
    }
    ok(b.len == 101000 && b.cap >= b.len && b.cap < 2 * b.len, "it grows by a part of what it is");
    for (size_t i = 0, at = 0; i < 100000; i++) {
        wrong += b.data[at++] != (char)i;
        if (i % 1000 == 0) {
            wrong += memcmp(b.data + at, "0123456789", 10) != 0;
            at += 10;
        }
    }
    ok(wrong == 0, "and keeps what is in it");
    size_t cap = b.cap;
    cdp_buf_clear(&b);
    ok(b.len == 0 && b.cap == cap, "emptied, it keeps its memory");
    cdp_buf_addf(&b, "%s-%d", "abc", 12);
    cdp_buf_addf(&b, "%s", "");
    ok(b.len == 6 && strcmp(b.data, "abc-12") == 0, "printf, with a NUL behind");
    cdp_buf_free(&b);
    ok(b.data == NULL && b.cap == 0, "freed");
    cdp_buf_addf(&b, "%0*d", 5000, 1);
    ok(b.len == 5000 && b.data[4999] == '1' && b.data[5000] == '\0', "printf of a long text");
    cdp_buf_free(&b);
}

static void failure(void)
{
    struct cdp_buf b = {0};
    cdp_buf_adds(&b, "kept");
    ok(!cdp_buf_reserve(&b, SIZE_MAX - 2) && b.failed, "no room for that");
    cdp_buf_adds(&b, "no");
    cdp_buf_addc(&b, 'n');
    cdp_buf_addf(&b, "%s", "and a text that is longer than what there is room for");
    ok(cdp_buf_check(&b, &err) == -1 && err.exit == CDP_EXIT_IO &&
           strncmp(err.msg, "cannot allocate ", 16) == 0,
       "the failure stays");
    ok(memcmp(b.data, "kept", 4) == 0, "what was there, too");
    cdp_buf_free(&b);
    ok(cdp_buf_check(&b, &err) == 0, "until it is freed");

    size_t cap = 0;
    ok(!cdp_mem_grow(NULL, &cap, SIZE_MAX / 4, 8, &err) && cap == 0 && err.exit == CDP_EXIT_IO,
       "an array whose size is no number");
    int *array = cdp_mem_grow(NULL, &cap, 1, sizeof *array, &err), *same = array;
    ok(array && cap >= 1 && cdp_mem_grow(array, &cap, cap, sizeof *array, &err) == same,
       "room that is there stays");
    free(array);
    void *none = cdp_mem_alloc(0, &err), *zeros = cdp_mem_zalloc(0, 8, &err);
    ok(none && zeros, "no bytes are a block, too");
    free(none);
    free(zeros);
    unsigned char *apart = cdp_mem_zalloc_apart(1, 129, &err), *beside = cdp_mem_zalloc_apart(3, 0, &err);
    size_t wrong = (uintptr_t)apart % CDP_APART + (uintptr_t)beside % CDP_APART;
    for (size_t i = 0; i < 2 * CDP_APART; i++) /* its lines are whole */
        wrong += apart[i] != 0, apart[i] = 1;
    ok(apart && beside && wrong == 0, "memory on lines of its own");
    free(apart);
    free(beside);
    ok(!cdp_mem_zalloc_apart(SIZE_MAX / 8, 16, &err) && err.exit == CDP_EXIT_IO,
       "and none whose size is no number");
    size_t size = (size_t)5 << 20;
    char *map = cdp_mem_map(size, &err);
    ok(map && map[0] == 0 && map[size - 1] == 0, "a large region of zeros");
    cdp_mem_unmap(map, size);
    cdp_mem_unmap(NULL, 1);
    ok(cdp_mem_available() > 0 && cdp_mem_peak() > 0, "memory there is, and some is used");
}

static void counting(void)
{
    char text[1000];
    size_t wrong = 0;
    for (size_t n = 0; n < sizeof text; n++) {
        size_t want = 0;
        for (size_t i = 0; i < n; i++)
            text[i] = (i * i + n) % 3 ? 'x' : '\n', want += text[i] == '\n';
        wrong += cdp_buf_count(text, n, '\n') != want;
    }
    memset(text, '\n', sizeof text);
    ok(wrong == 0 && cdp_buf_count(text, sizeof text, '\n') == sizeof text, "counting bytes: %zu wrong",
       wrong);
}

static void messages(void)
{
    ok(cdp_err_set(&err, CDP_EXIT_DATA, "line %d", 3) == -1 && err.exit == CDP_EXIT_DATA &&
           strcmp(err.msg, "line 3") == 0,
       "a message");
    ok(cdp_err_prefix(&err, "file %s", "f") == -1 && err.exit == CDP_EXIT_DATA &&
           strcmp(err.msg, "file f: line 3") == 0,
       "with what stands before it");
    errno = ENOENT;
    ok(cdp_err_errno(&err, "open") == -1 && err.exit == CDP_EXIT_IO &&
           strcmp(err.msg, "open: No such file or directory") == 0,
       "and with the system's reason");
    char longer[2000];
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    cdp_err_set(&err, CDP_EXIT_DATA, "%s", longer);
    cdp_err_prefix(&err, "%s", longer);
    errno = ENOENT;
    cdp_err_errno(&err, "%s", longer);
    ok(strlen(err.msg) == sizeof err.msg - 1, "long ones are cut");
}

int main(void)
{
    growth();
    wide();
    failure();
    counting();
    messages();
    return done();
}
