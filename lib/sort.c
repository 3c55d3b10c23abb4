/* sort: see sort.h; external merge sort with a parallel last merge (sort_write.c).
 *
 * Adding: each feed owns a region of memory, and a second one for the entries of its records.  When a feed's region is full
 * it starts a new epoch, and each feed that sees this sorts what it has and writes it as a run, all at the same time on
 * their own threads: so threads that take turns elsewhere do not wait for each other.  Runs are merged as soon as there are
 * `fan` of one level, so their number, the memory that tells where they are, and the descriptors stay bounded.
 *
 * Finishing: what fits memory is sorted in at most twice as many slices as there are threads; else all becomes runs.
 *
 * Memory: the regions and the buffers of gathering together are opts.memory; merging while records still come takes a
 * sixteenth of it more; the last merge has what the regions gave back, of which readers of runs take half at most:
 * threads are left out, and small runs merged beforehand, until that is so. */
#include "lib/sort.h"

#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/sort_private.h"

#include <stdlib.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define AHEAD 16          /* records prefetched while a run is written */
#define SMALL_SLICE 4096u /* entries; sorting fewer on another thread saves nothing */

/* ---- new and free ---- */

struct cdp_sort *cdp_sort_new(const struct cdp_sort_opts *opts, struct cdp_err *err)
{
    struct cdp_sort *s = cdp_mem_zalloc(1, sizeof *s, err);
    if (!s)
        return NULL;
    s->opts = *opts;
    s->opts.feeds = opts->feeds ? opts->feeds : 1;
    s->opts.threads = (unsigned)cdp_sort_clamp(opts->threads, 1, CDP_SORT_MAX_THREADS);
    size_t memory = cdp_sort_clamp(opts->memory, 256 * KIB, SIZE_MAX / 4);
    s->opts.memory = memory;
    s->gather = cdp_sort_clamp(memory / 64 / s->opts.threads, 16 * KIB, MIB);
    s->frame = cdp_sort_clamp(memory / 4096, 4 * KIB, 64 * KIB);
    s->fan = cdp_sort_clamp(memory / 16 / s->frame, 8, CDP_SORT_MAX_FAN);
    s->points = cdp_sort_clamp(memory / MIB, 8, 256);
    size_t own = 2 * s->opts.threads * s->gather + s->opts.feeds * s->frame;
    size_t cap = cdp_sort_clamp(memory - own, memory / 4, memory) / s->opts.feeds;
    pthread_mutex_init(&s->lock, NULL);
    s->feed = cdp_mem_zalloc_apart(s->opts.feeds, sizeof *s->feed, err);
    if (!s->feed) {
        cdp_sort_free(s);
        return NULL;
    }
    for (unsigned i = 0; i < s->opts.feeds; i++)
        s->feed[i] = (struct cdp_feed){.cap = cap, .placed = true, .policy = {.mode = opts->pack}};
    return s;
}

static void feed_release(struct cdp_feed *f)
{
    cdp_mem_unmap(f->base, f->base_size);
    cdp_mem_unmap(f->entry, f->entry_size);
    f->base = NULL;
    f->entry = NULL;
}

void cdp_sort_free(struct cdp_sort *s)
{
    if (!s)
        return;
    cdp_merge_free(s->all);
    for (unsigned i = 0; s->feed && i < s->opts.feeds; i++)
        feed_release(&s->feed[i]);
    for (size_t i = 0; i < s->runs; i++)
        cdp_run_free(s->run[i]);
    free(s->run);
    free(s->slice);
    free(s->feed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

struct cdp_sort_stats cdp_sort_stats(const struct cdp_sort *s)
{
    struct cdp_sort_stats stats = s->stats;
    for (unsigned i = 0; i < s->opts.feeds; i++)
        stats.added += s->feed[i].added;
    return stats;
}

/* ---- threads ---- */

static void *team_member(void *arg)
{
    struct cdp_team *team = arg;
    struct cdp_err err;
    if (team->work(team, &err) == 0)
        return NULL;
    pthread_mutex_lock(&team->lock);
    if (!atomic_load(&team->failed))
        team->err = err;
    atomic_store(&team->failed, true);
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

int cdp_team_run(struct cdp_sort *s, unsigned threads, int (*work)(struct cdp_team *, struct cdp_err *),
                 void *job, struct cdp_err *err)
{
    struct cdp_team team = {.sort = s, .work = work, .job = job};
    pthread_t thread[CDP_SORT_MAX_THREADS];
    unsigned started = 0;
    pthread_mutex_init(&team.lock, NULL);
    while (started + 1 < threads && pthread_create(&thread[started], NULL, team_member, &team) == 0)
        started++; /* fewer threads give the same answer */
    team_member(&team);
    while (started)
        pthread_join(thread[--started], NULL);
    pthread_mutex_destroy(&team.lock);
    if (!atomic_load(&team.failed))
        return 0;
    *err = team.err;
    return -1;
}

/* ---- spilling ---- */

/* Ends the run and puts it on the list. */
static int keep_run(struct cdp_sort *s, struct cdp_run_writer *w, unsigned level, struct cdp_err *err)
{
    struct cdp_run *run = cdp_run_finish(w, err);
    if (!run)
        return -1;
    run->level = level;
    pthread_mutex_lock(&s->lock);
    struct cdp_run **list = cdp_mem_grow(s->run, &s->run_cap, s->runs + 1, sizeof *list, err);
    if (list) {
        s->run = list;
        list[s->runs++] = run;
        s->stats.runs++;
        s->stats.spilled += run->bytes;
    }
    pthread_mutex_unlock(&s->lock);
    if (!list)
        cdp_run_free(run);
    return list ? 0 : -1;
}

/* Adds n sorted entries to a run. */
static int write_entries(struct cdp_run_writer *w, const struct cdp_entry *e, size_t n, bool unique,
                         struct cdp_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            const char *line = cdp_entry_payload(e[i + AHEAD]);
            size_t len = e[i + AHEAD].ref >> 48, ahead = len < 1024 ? len : 1024;
            for (size_t at = 0; at < ahead + 128; at += 64)
                __builtin_prefetch(line + at - 64);
        }
        if (unique && i && cdp_entry_repeats(e[i - 1], e[i]))
            continue;
        struct cdp_sorted r;
        cdp_entry_record(e[i], &r);
        if (cdp_run_add(w, &r, err) < 0)
            return -1;
    }
    return 0;
}

static int spill(struct cdp_sort *s, struct cdp_feed *f, struct cdp_err *err)
{
    if (f->n == 0)
        return 0;
    cdp_entries_sort(f->entry, f->n, f->common, f->placed);
    struct cdp_run_writer *w = cdp_run_create(s->opts.tmpdir, s->frame, s->points, &f->policy, err);
    if (!w)
        return -1;
    if (write_entries(w, f->entry, f->n, s->opts.unique, err) < 0) {
        cdp_run_abandon(w);
        return -1;
    }
    f->n = f->used = 0;
    return keep_run(s, w, 0, err);
}

static int write_merged(struct cdp_run_writer *w, struct cdp_merge *m, struct cdp_err *err)
{
    struct cdp_sorted r;
    int rc;
    while ((rc = cdp_merge_next(m, &r, err)) == 1)
        if (cdp_run_add(w, &r, err) < 0)
            return -1;
    return rc;
}

/* Merges n runs, which the caller has taken off the list, into one on the list; frees them. */
static int merge_down(struct cdp_sort *s, struct cdp_run **run, size_t n, struct cdp_run_policy *policy,
                      struct cdp_err *err)
{
    unsigned level = 0;
    for (size_t i = 0; i < n; i++)
        level = run[i]->level > level ? run[i]->level : level;
    struct cdp_run_writer *w = cdp_run_create(s->opts.tmpdir, s->frame, s->points, policy, err);
    struct cdp_merge *m = w ? cdp_merge_runs(run, n, s->opts.unique, NULL, NULL, err) : NULL;
    int rc = m ? write_merged(w, m, err) : -1;
    cdp_merge_free(m);
    for (size_t i = 0; i < n; i++)
        cdp_run_free(run[i]);
    if (rc == 0)
        return keep_run(s, w, level + 1, err);
    cdp_run_abandon(w);
    return -1;
}

/* Takes `fan` runs of one level off the list where there are as many: 0 or fan. */
static size_t take_level(struct cdp_sort *s, struct cdp_run **taken)
{
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (unsigned level = 0; n < s->fan && level < 64; level++) {
        n = 0;
        for (size_t i = 0; i < s->runs; i++)
            n += s->run[i]->level == level;
        if (n < s->fan)
            continue;
        size_t kept = 0;
        n = 0;
        for (size_t i = 0; i < s->runs; i++) {
            if (s->run[i]->level == level && n < s->fan)
                taken[n++] = s->run[i];
            else
                s->run[kept++] = s->run[i];
        }
        s->runs = kept;
    }
    pthread_mutex_unlock(&s->lock);
    return n < s->fan ? 0 : n;
}

static int merge_full_levels(struct cdp_sort *s, struct cdp_run_policy *policy, struct cdp_err *err)
{
    struct cdp_run *taken[CDP_SORT_MAX_FAN];
    size_t n;
    while ((n = take_level(s, taken)) != 0)
        if (merge_down(s, taken, n, policy, err) < 0)
            return -1;
    return 0;
}

/* ---- adding ---- */

/* Memory for a feed: all it may use, of which the kernel gives pages when they are touched. */
static int feed_map(struct cdp_feed *f, size_t need, struct cdp_err *err)
{
    feed_release(f);
    f->base_size = (need > f->cap ? need : f->cap) + CDP_BUF_WIDE; /* see sort_write.c */
    f->entry_size = (f->cap / CDP_ENTRY_COST + 1) * sizeof *f->entry;
    f->base = cdp_mem_map(f->base_size, err);
    f->entry = f->base ? cdp_mem_map(f->entry_size, err) : NULL;
    if (f->entry)
        return 0;
    feed_release(f); /* all or nothing: another block may come before the run is given up */
    return -1;
}

static bool feed_has_room(const struct cdp_feed *f, size_t need)
{
    return f->used + need + (f->n + 1) * sizeof *f->entry <= f->cap;
}

/* A new epoch has begun, or the record does not fit, or it is the first. */
static int make_room(struct cdp_sort *s, struct cdp_feed *f, size_t need, struct cdp_err *err)
{
    bool full = !feed_has_room(f, need);
    unsigned epoch = f->epoch;
    if (full && f->n)
        atomic_compare_exchange_strong(&s->epoch, &epoch, epoch + 1);
    f->epoch = atomic_load(&s->epoch);
    if (f->n && (full || f->used >= f->cap / 4))
        if (spill(s, f, err) < 0 || merge_full_levels(s, &f->policy, err) < 0)
            return -1;
    /* A region for one enormous record is not kept. */
    if (f->n == 0 && (!f->base || need > f->base_size - CDP_BUF_WIDE || f->base_size - CDP_BUF_WIDE > f->cap))
        return feed_map(f, need, err);
    return 0;
}

/* The first n entries' prefixes are those at f->common: makes them those at `depth`, which is less.  What comes in front is the
 * same for all keys, and the keys themselves need not be fetched. */
static __attribute__((noinline)) void feed_rebase(const struct cdp_feed *f, struct cdp_entry *e, size_t n,
                                                  size_t depth)
{
    size_t by = f->common - depth;
    uint64_t count = 0xFF, front = cdp_entry_prefix(f->reference, f->common, depth) & ~count;
    for (size_t i = 0; i < n; i++) {
        uint64_t old = e[i].prefix, bytes = by < CDP_ENTRY_STEP ? old >> 8 * by & ~count : 0;
        uint64_t left = (old & count) + by;
        bool more = !cdp_entry_ends(old) || left > CDP_ENTRY_MORE;
        e[i].prefix = front | bytes | (more ? CDP_ENTRY_MORE : left);
    }
}

/* Narrows `common` to what this key shares with the first one. */
static inline void feed_common(struct cdp_feed *f, const unsigned char *key, size_t n)
{
    size_t common = f->common < n ? f->common : n, i = 0;
    for (; i + 8 <= common; i += 8) {
        uint64_t a, b;
        memcpy(&a, key + i, 8);
        memcpy(&b, f->reference + i, 8);
        if (a != b)
            break;
    }
    while (i < common && key[i] == f->reference[i])
        i++;
    if (i < f->common) {
        feed_rebase(f, f->entry, f->n, i);
        f->common = i;
    }
}

static void feed_first(struct cdp_feed *f, const void *key, size_t n)
{
    f->common = n < sizeof f->reference ? n : sizeof f->reference;
    memcpy(f->reference, key, f->common);
}

int cdp_sort_add(struct cdp_sort *s, unsigned feed, const void *key, size_t key_len, uint64_t seq,
                 const void *payload, size_t len, struct cdp_err *err)
{
    struct cdp_feed *f = &s->feed[feed];
    if (key_len > UINT32_MAX || len > UINT32_MAX)
        return cdp_err_set(err, CDP_EXIT_IO, "a record of %zu bytes is too large to be sorted",
                           key_len + len);
    size_t need = key_len + sizeof(struct cdp_entry_head) + len;
    if (!feed_has_room(f, need) || !f->base ||
        f->epoch != atomic_load_explicit(&s->epoch, memory_order_relaxed))
        if (make_room(s, f, need, err) < 0)
            return -1;
    if (f->added++ == 0)
        feed_first(f, key, key_len);
    feed_common(f, key, key_len);
    f->placed &= seq > f->last || f->added == 1;
    f->last = seq;
    struct cdp_entry e =
        cdp_entry_make(f->base + f->used, key, (uint32_t)key_len, seq, payload, (uint32_t)len);
    e.prefix = cdp_entry_prefix(key, key_len, f->common);
    f->entry[f->n++] = e;
    f->used += need;
    return 0;
}

/* ---- finishing ---- */

/* Bytes that all keys share. */
static size_t common_prefix(const struct cdp_sort *s)
{
    const struct cdp_feed *first = NULL;
    size_t common = 0;
    for (unsigned i = 0; i < s->opts.feeds; i++) {
        const struct cdp_feed *f = &s->feed[i];
        if (f->added == 0)
            continue;
        if (!first) {
            first = f;
            common = f->common;
        }
        size_t same = 0;
        while (same < common && same < f->common && f->reference[same] == first->reference[same])
            same++;
        common = same;
    }
    return common;
}

static int sort_slices(struct cdp_team *team, struct cdp_err *err)
{
    struct cdp_sort *s = team->sort;
    size_t i;
    (void)err;
    while ((i = atomic_fetch_add(&team->next, 1)) < s->slices) {
        struct cdp_slice *slice = &s->slice[i];
        if (s->skip < slice->feed->common)
            feed_rebase(slice->feed, slice->entry, slice->n, s->skip);
        cdp_entries_sort(slice->entry, slice->n, s->skip, slice->feed->placed);
    }
    return 0;
}

/* Cuts the feeds' entries into slices that keep all threads busy: one a feed where they are about equal. */
static int finish_in_memory(struct cdp_sort *s, struct cdp_err *err)
{
    size_t n = 0, most = 0, threads = s->opts.threads;
    for (unsigned i = 0; i < s->opts.feeds; i++) {
        n += s->feed[i].n;
        most = s->feed[i].n > most ? s->feed[i].n : most;
    }
    size_t aim = most <= n / threads + n / threads / 4 ? most : n / threads / 2;
    aim = aim < SMALL_SLICE ? SMALL_SLICE : aim;
    size_t slices = 0;
    for (unsigned i = 0; i < s->opts.feeds; i++)
        slices += (s->feed[i].n + aim - 1) / aim;
    s->slice = cdp_mem_zalloc(slices, sizeof *s->slice, err);
    if (!s->slice)
        return -1;
    for (unsigned i = 0; i < s->opts.feeds; i++) {
        struct cdp_feed *f = &s->feed[i];
        for (size_t from = 0; from < f->n; from += aim) {
            size_t left = f->n - from;
            s->slice[s->slices++] = (struct cdp_slice){f->entry + from, left < aim ? left : aim, f};
        }
    }
    return cdp_team_run(s, (unsigned)(slices < threads ? slices : threads), sort_slices, NULL, err);
}

static int spill_feeds(struct cdp_team *team, struct cdp_err *err)
{
    struct cdp_sort *s = team->sort;
    size_t i;
    while ((i = atomic_fetch_add(&team->next, 1)) < s->opts.feeds) {
        struct cdp_feed *f = &s->feed[i];
        if (spill(s, f, err) < 0)
            return -1;
        feed_release(f);
    }
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    const struct cdp_run *const *x = a, *const *y = b;
    return (*x)->bytes < (*y)->bytes ? -1 : (*x)->bytes > (*y)->bytes;
}

/* Spills the rest and merges the smallest runs until a reader of each fits memory. */
static int finish_on_disk(struct cdp_sort *s, struct cdp_err *err)
{
    unsigned threads = s->opts.threads < s->opts.feeds ? s->opts.threads : s->opts.feeds;
    if (cdp_team_run(s, threads, spill_feeds, NULL, err) < 0)
        return -1;
    size_t limit = s->opts.memory / 2;
    while (s->runs > 2 && (s->runs > 2 * s->fan || cdp_run_list_cost(s->run, s->runs) > limit)) {
        qsort(s->run, s->runs, sizeof *s->run, by_bytes);
        struct cdp_run *taken[CDP_SORT_MAX_FAN];
        size_t n = 2;
        while (n < s->runs && n < s->fan && cdp_run_list_cost(s->run, n + 1) <= limit)
            n++;
        memcpy(taken, s->run, n * sizeof *taken);
        s->runs -= n;
        memmove(s->run, s->run + n, s->runs * sizeof *s->run);
        if (merge_down(s, taken, n, &s->feed[0].policy, err) < 0)
            return -1;
    }
    return 0;
}

int cdp_sort_finish(struct cdp_sort *s, struct cdp_err *err)
{
    s->skip = common_prefix(s);
    return s->runs ? finish_on_disk(s, err) : finish_in_memory(s, err);
}

int cdp_sort_next(struct cdp_sort *s, struct cdp_sorted *r, struct cdp_err *err)
{
    if (s->runs + s->slices == 0)
        return 0;
    if (!s->all) {
        s->all = s->runs ? cdp_merge_runs(s->run, s->runs, s->opts.unique, NULL, NULL, err)
                         : cdp_merge_slices(s->slice, s->slices, s->skip, s->opts.unique, NULL, NULL, err);
        if (!s->all)
            return -1;
    }
    int rc = cdp_merge_next(s->all, r, err);
    s->stats.out += rc == 1;
    return rc;
}
