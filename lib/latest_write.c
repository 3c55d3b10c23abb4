/* latest_write: the rows, in the order of their keys (a part of latest).
 *
 * From memory: entries are sorted by lib/sort_entry; then each thread takes the next range of them and gathers its lines,
 * which go out in order (lib/ordered).  Neighbours that are close to each other in a file, too, are read in one go.  From
 * an external sort: one after the other, the greatest of each key. */
#include "lib/latest_impl.h"
#include "lib/mem.h"
#include "lib/ordered.h"

#include <pthread.h>
#include <stdlib.h>

#define RANGE ((size_t)1 << 20) /* bytes of output that a thread gathers at a time, at most */
#define LEAST_RANGE ((size_t)32 << 10)
#define GAP 2048                 /* bytes between two lines that cost less than another read */
#define SPAN ((size_t)128 << 10) /* read in one go */
#define AHEAD 8
#define MAX_THREADS 64

struct writer {
    struct cdp_latest *l;
    struct cdp_entry *row; /* n of them, sorted */
    size_t n;
    size_t *start; /* of each range; and the end */
    size_t ranges, start_cap;
    struct cdp_ordered *ordered;
};

/* ---- gathering ---- */

/* Length of a row's line; its head is only touched where it is long. */
static size_t row_len(struct cdp_entry row)
{
    size_t len = row.ref >> 48;
    return len < CDP_ENTRY_LONG ? len : cdp_entry_head(row).len;
}

static struct cdp_latest_entry *entry_of(struct cdp_entry row)
{
    char *key = (char *)(uintptr_t)cdp_entry_key(row, cdp_entry_head(row));
    return (struct cdp_latest_entry *)(void *)(key - sizeof(struct cdp_latest_entry));
}

/* Rows from i on whose lines follow each other in one file, with small gaps: the row behind them. *end is where the last
 * one ends. */
static size_t neighbours(const struct cdp_entry *row, size_t i, size_t to, uint64_t *end)
{
    struct cdp_entry_head head = cdp_entry_head(row[i]);
    uint64_t first = head.seq;
    *end = head.seq + head.len;
    /* Where one comes before the other, or in another file, the difference is huge. */
    for (i++; i < to; i++) {
        head = cdp_entry_head(row[i]);
        if (head.seq - *end > GAP || head.seq + head.len - first > SPAN || head.seq & CDP_LATEST_BARE)
            break;
        *end = head.seq + head.len;
    }
    return i;
}

/* Appends the lines of rows [i, j), of which the first n bytes read in one go hold all. */
static int gather_neighbours(const struct writer *w, size_t i, size_t j, size_t n, struct cdp_buf *b,
                             struct cdp_err *err)
{
    char *to = b->data + b->len, *from = to;
    uint64_t first = cdp_entry_head(w->row[i]).seq;
    if (cdp_latest_read(w->l, first, from, n, err) < 0)
        return -1;
    for (; i < j; i++) {
        struct cdp_entry_head head = cdp_entry_head(w->row[i]);
        memmove(to, from + (head.seq - first), head.len);
        to += head.len;
        if (to[-1] != '\n')
            return cdp_latest_changed(w->l, first, err);
    }
    b->len = (size_t)(to - b->data);
    return 0;
}

static int gather(void *arg, struct cdp_piece *piece, struct cdp_err *err)
{
    const struct writer *w = arg;
    struct cdp_buf *b = &piece->buf;
    size_t to = w->start[piece->number + 1];
    for (size_t i = w->start[piece->number], j; i < to; i = j) {
        if (i + AHEAD < w->n)
            __builtin_prefetch(cdp_entry_payload(w->row[i + AHEAD]) - sizeof(struct cdp_entry_head));
        struct cdp_entry_head head = cdp_entry_head(w->row[i]);
        uint64_t end = 0;
        j = head.seq & CDP_LATEST_BARE ? i + 1 : neighbours(w->row, i, to, &end);
        size_t n = j > i + 1 ? end - head.seq : head.len;
        cdp_buf_reserve(b, n);
        if (cdp_buf_check(b, err) < 0)
            return -1;
        if (j > i + 1) {
            if (gather_neighbours(w, i, j, n, b, err) < 0)
                return -1;
            continue;
        }
        if (cdp_latest_line(w->l, entry_of(w->row[i]), b->data + b->len, err) < 0)
            return -1;
        b->len += n;
    }
    return 0;
}

/* ---- ranges ---- */

/* Cuts the rows into ranges of so many bytes or a line more. */
static int cut(struct writer *w, size_t range, struct cdp_err *err)
{
    size_t bytes = range;
    for (size_t i = 0; i <= w->n; i++) {
        if (bytes >= range || i == w->n) {
            size_t *start = cdp_mem_grow(w->start, &w->start_cap, w->ranges + 1, sizeof *start, err);
            if (!start)
                return -1;
            w->start = start;
            start[w->ranges++] = i;
            bytes = 0;
        }
        bytes += i < w->n ? row_len(w->row[i]) : 0;
    }
    w->ranges--;
    return 0;
}

static void *write_ranges(void *arg)
{
    struct writer *w = arg;
    struct cdp_err err; /* is kept there */
    cdp_ordered_make(w->ordered, gather, w, &err);
    return NULL;
}

/* ---- from memory ---- */

/* Lists the rows in the order of the arena; returns how many first bytes all their keys share. */
static size_t list_rows(struct writer *w, const struct cdp_time *since, struct cdp_counts *counts)
{
    struct cdp_latest *l = w->l;
    const char *first = NULL;
    size_t shared = 0;
    for (size_t from = 0; from < l->used;) {
        struct cdp_latest_entry *e = cdp_latest_at(l, from + 1);
        from += (size_t)e->room * 8;
        if (e->dead)
            continue;
        if (!cdp_latest_is_row(e->gone, (struct cdp_time){e->sec, e->nsec}, since)) {
            counts->dropped++;
            continue;
        }
        const char *key = cdp_latest_key(e);
        if (!first) {
            first = key;
            shared = e->key_len;
        }
        size_t same = 0;
        while (same < shared && same < e->key_len && key[same] == first[same])
            same++;
        shared = same;
        uint64_t len = cdp_latest_head(e).len;
        w->row[w->n++].ref =
            (len < CDP_ENTRY_LONG ? len : CDP_ENTRY_LONG) << 48 | (uint64_t)(uintptr_t)cdp_latest_order(e);
    }
    return shared;
}

static int write_rows(struct writer *w, unsigned threads, struct cdp_err *err)
{
    pthread_t thread[MAX_THREADS];
    unsigned started = 0;
    while (started + 1 < threads && pthread_create(&thread[started], NULL, write_ranges, w) == 0)
        started++; /* fewer threads write the same */
    write_ranges(w);
    while (started)
        pthread_join(thread[--started], NULL);
    return cdp_ordered_end(w->ordered, err);
}

static int write_table(struct cdp_latest *l, struct cdp_out *out, const struct cdp_time *since,
                       struct cdp_counts *counts, struct cdp_err *err)
{
    unsigned threads = l->opts.threads < MAX_THREADS ? l->opts.threads : MAX_THREADS;
    size_t size = (l->entries + 1) * sizeof(struct cdp_entry), range = l->opts.memory / 128 / (threads + 1);
    struct writer w = {.l = l, .row = cdp_mem_map(size, err)};
    int rc = -1;
    if (!w.row)
        return -1;
    size_t shared = list_rows(&w, since, counts);
    cdp_entries_load(w.row, w.n, shared);
    cdp_entries_sort(w.row, w.n, shared, false);
    range = range > RANGE ? RANGE : range < LEAST_RANGE ? LEAST_RANGE : range;
    if (cut(&w, range, err) == 0 && (w.ordered = cdp_ordered_new(out, threads, w.ranges, err)))
        rc = write_rows(&w, threads, err);
    counts->out += w.n;
    cdp_ordered_free(w.ordered);
    free(w.start);
    cdp_mem_unmap(w.row, size);
    return rc;
}

/* ---- from an external sort ---- */

/* The greatest record so far of the key at hand. */
struct best {
    struct cdp_latest_spilled head;
    struct cdp_buf key, line;
    bool any;
};

static int put_best(const struct best *best, struct cdp_out *out, const struct cdp_time *since,
                    struct cdp_counts *counts, struct cdp_err *err)
{
    if (!best->any)
        return 0;
    if (!cdp_latest_is_row(best->head.gone, best->head.time, since)) {
        counts->dropped++;
        return 0;
    }
    counts->out++;
    return cdp_out_write(out, best->line.data, best->line.len, err);
}

/* Equal orders come in no order of their lines. */
static bool is_less(const struct best *best, const struct cdp_sorted *r, const char *line, size_t len)
{
    return cdp_latest_compare((const char *)r->key, r->key_len, best->key.data, best->key.len) == 0 &&
           cdp_latest_compare(line, len, best->line.data, best->line.len) < 0;
}

static int write_sorted(struct cdp_latest *l, struct best *best, struct cdp_out *out,
                        const struct cdp_time *since, struct cdp_counts *counts, struct cdp_err *err)
{
    struct cdp_sorted r;
    int rc;
    while ((rc = cdp_sort_next(l->spill, &r, err)) == 1) {
        struct cdp_latest_spilled head;
        memcpy(&head, r.payload, sizeof head);
        const char *line = r.payload + sizeof head;
        size_t len = r.len - sizeof head;
        bool same = best->any && best->head.key_len == head.key_len &&
                    memcmp(best->key.data, r.key, head.key_len) == 0;
        if (same) {
            counts->dropped++;
            if (is_less(best, &r, line, len))
                continue;
        } else if (put_best(best, out, since, counts, err) < 0) {
            return -1;
        }
        best->head = head;
        best->any = true;
        cdp_buf_clear(&best->key);
        cdp_buf_clear(&best->line);
        cdp_buf_add(&best->key, r.key, r.key_len);
        cdp_buf_add(&best->line, line, len);
        if (cdp_buf_check(&best->key, err) < 0 || cdp_buf_check(&best->line, err) < 0)
            return -1;
    }
    return rc < 0 ? -1 : put_best(best, out, since, counts, err);
}

int cdp_latest_write(struct cdp_latest *l, struct cdp_out *out, const struct cdp_time *since,
                     struct cdp_counts *counts, struct cdp_err *err)
{
    if (!l->spill)
        return write_table(l, out, since, counts, err);
    struct best best = {0};
    if (cdp_latest_spill(l, err) < 0)
        return -1;
    cdp_mem_unmap(l->arena, l->arena_size); /* the sorter takes its place */
    l->arena = NULL;
    int rc = cdp_sort_finish(l->spill, err);
    if (rc == 0)
        rc = write_sorted(l, &best, out, since, counts, err);
    cdp_buf_free(&best.key);
    cdp_buf_free(&best.line);
    return rc;
}
