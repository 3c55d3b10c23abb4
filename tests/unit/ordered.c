/* Pieces made by several threads: their order whatever the sizes and the waits, parts of a piece written in its turn, and
 * failures, after which nobody waits. */
#include "lib/ordered.h"
#include "tap.h"

#include "files.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define PIECES 2000
#define THREADS 5

struct work {
    struct cdp_ordered *o;
    struct cdp_out *out;
    size_t bad;             /* the piece that cannot be made; PIECES: none */
    atomic_size_t made;     /* pieces, */
    atomic_size_t unfailed; /* and threads that ended without an error */
    int rc;                 /* of the end, */
    struct cdp_err err;     /* and what it says */
    atomic_size_t told;     /* threads that were told of the bad piece, or of a failed write */
};

/* The text of a piece: its number, so many times that sizes differ, none now and then. */
static void text_of(size_t i, struct cdp_buf *b)
{
    for (size_t k = i % 7 == 3 ? 0 : 1 + i * 7919 % 3000; k; k--)
        cdp_buf_addf(b, "%zu ", i);
}

/* Every fifth piece leaves in two parts. */
static int make(void *arg, struct cdp_piece *p, struct cdp_err *err)
{
    struct work *w = arg;
    if (p->number == w->bad)
        return cdp_err_set(err, CDP_EXIT_DATA, "bad piece");
    text_of(p->number, &p->buf);
    if (p->number % 3 == 0)
        sched_yield();
    if (cdp_buf_check(&p->buf, err) < 0)
        return -1;
    if (p->number % 5) {
        w->made++;
        return 0;
    }
    size_t half = p->buf.len / 2;
    if (cdp_ordered_turn(w->o, p, err) < 0 || cdp_out_write(w->out, p->buf.data, half, err) < 0)
        return -1;
    if (half)
        memmove(p->buf.data, p->buf.data + half, p->buf.len - half);
    p->buf.len -= half;
    w->made++;
    return 0;
}

static void *thread(void *arg)
{
    struct work *w = arg;
    struct cdp_err err = {0};
    int rc = cdp_ordered_make(w->o, make, w, &err);
    w->unfailed += rc == 0;
    w->told += rc < 0 && (strcmp(err.msg, "bad piece") == 0 || strstr(err.msg, "cannot write"));
    return NULL;
}

/* All pieces, made by so many threads, into a file. */
static void run(struct work *w, const char *path, unsigned threads)
{
    struct cdp_err err;
    pthread_t id[THREADS];
    w->out = cdp_out_open(path, false, &err);
    w->o = cdp_ordered_new(w->out, threads, PIECES, &err);
    for (unsigned i = 0; i < threads; i++)
        pthread_create(&id[i], NULL, thread, w);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(id[i], NULL);
    w->rc = cdp_ordered_end(w->o, &w->err);
    cdp_ordered_free(w->o);
}

static void order(unsigned threads)
{
    struct cdp_err err;
    struct work w = {.bad = PIECES};
    struct cdp_buf want = {0};
    size_t n;
    run(&w, "out", threads);
    ok(w.made == PIECES && w.rc == 0 && w.unfailed == threads && cdp_out_close(w.out, &err) == 0,
       "%u threads make %d pieces", threads, PIECES);
    for (size_t i = 0; i < PIECES; i++)
        text_of(i, &want);
    char *got = file_get("out", &n);
    ok(got && n == want.len && memcmp(got, want.data, n) == 0, "which come out in order");
    free(got);
    cdp_buf_free(&want);
}

static void failures(void)
{
    struct work bad = {.bad = 1234}, full = {.bad = PIECES};
    run(&bad, "bad", THREADS);
    ok(bad.rc < 0 && strcmp(bad.err.msg, "bad piece") == 0 && bad.made < PIECES && bad.told >= 1 &&
           bad.told + bad.unfailed == THREADS,
       "a piece that cannot be made ends it, and is what is told");
    cdp_out_abort(bad.out);
    run(&full, "/dev/full", THREADS);
    ok(full.rc < 0 && strstr(full.err.msg, "cannot write") && full.made < PIECES && full.told >= 1 &&
           full.told + full.unfailed == THREADS,
       "so does a full disk");
    cdp_out_abort(full.out);

    struct cdp_err err;
    struct cdp_ordered *o = cdp_ordered_new(NULL, 2, 0, &err);
    ok(o && cdp_ordered_make(o, NULL, NULL, &err) == 0 && cdp_ordered_end(o, &err) == 0, "no piece at all");
    cdp_ordered_free(o);
    cdp_ordered_free(NULL);
}

int main(void)
{
    files_begin();
    order(1);
    order(2);
    order(THREADS);
    failures();
    files_end();
    return done();
}
