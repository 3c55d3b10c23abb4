/* choose: see choose.h. */
#include "lib/choose.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

#define HASH_LEN sizeof(struct cdp_hash128)

/* The best record so far of the key that is being read; an empty line: the key is barred. */
struct candidate {
    struct cdp_buf key, line;
    uint64_t seq;
};

struct cdp_choose {
    struct cdp_sort *by_key, *by_seq;
    bool last, dups;
    struct cdp_buf pack;
    struct candidate best;
};

struct cdp_choose *cdp_choose_new(const struct cdp_sort_opts *opts, bool last, bool dups, struct cdp_err *err)
{
    struct cdp_choose *c = cdp_mem_zalloc(1, sizeof *c, err);
    if (!c)
        return NULL;
    c->last = last;
    c->dups = dups;
    c->by_key = cdp_sort_new(opts, err);
    c->by_seq = c->by_key ? cdp_sort_new(opts, err) : NULL;
    if (!c->by_seq) {
        cdp_choose_free(c);
        return NULL;
    }
    return c;
}

/* Without rank and place, it comes before all records of its key. */
int cdp_choose_bar(struct cdp_choose *c, struct cdp_hash128 key, struct cdp_err *err)
{
    return cdp_sort_add(c->by_key, 0, &key, HASH_LEN, 0, "", 0, err);
}

int cdp_choose_add(struct cdp_choose *c, struct cdp_hash128 key, const void *rank, size_t rank_len,
                   uint64_t seq, const char *line, size_t len, struct cdp_err *err)
{
    cdp_buf_clear(&c->pack);
    cdp_buf_add(&c->pack, &key, HASH_LEN);
    cdp_buf_add(&c->pack, rank, rank_len);
    if (cdp_buf_check(&c->pack, err) < 0)
        return -1;
    return cdp_sort_add(c->by_key, 0, c->pack.data, c->pack.len, seq, line, len, err);
}

int cdp_choose_settle(struct cdp_choose *c, enum cdp_choose_fate fate, uint64_t seq, const char *line,
                      size_t len, struct cdp_err *err)
{
    if (fate == CDP_CHOOSE_DUP && !c->dups)
        return 0;
    cdp_buf_clear(&c->pack);
    cdp_buf_addc(&c->pack, (char)fate);
    cdp_buf_add(&c->pack, line, len);
    if (cdp_buf_check(&c->pack, err) < 0)
        return -1;
    return cdp_sort_add(c->by_seq, 0, "", 0, seq, c->pack.data, c->pack.len, err);
}

/* Of two records of one key with equal ranks, is the later one better? */
static bool better(const struct cdp_choose *c, const struct cdp_sorted *r)
{
    if (c->best.line.len == 0)
        return false;
    if (c->last)
        return true;
    if (r->key_len == HASH_LEN)
        return false;
    const struct cdp_buf *line = &c->best.line;
    size_t n = r->len < line->len ? r->len : line->len;
    int order = memcmp(r->payload, line->data, n);
    return order < 0 || (order == 0 && r->len < line->len);
}

static int take(struct candidate *best, const struct cdp_sorted *r, struct cdp_err *err)
{
    cdp_buf_clear(&best->key);
    cdp_buf_clear(&best->line);
    cdp_buf_add(&best->key, r->key, r->key_len);
    cdp_buf_add(&best->line, r->payload, r->len);
    best->seq = r->seq;
    return cdp_buf_check(&best->key, err) < 0 ? -1 : cdp_buf_check(&best->line, err);
}

static int settle_best(struct cdp_choose *c, enum cdp_choose_fate fate, struct cdp_err *err)
{
    return cdp_choose_settle(c, fate, c->best.seq, c->best.line.data, c->best.line.len, err);
}

static int keep_best(struct cdp_choose *c, struct cdp_seen *seen, struct cdp_err *err)
{
    if (c->best.key.len == 0)
        return 0;
    struct cdp_hash128 key;
    memcpy(&key, c->best.key.data, HASH_LEN);
    if (seen && cdp_seen_add(seen, key, err) < 0)
        return -1;
    return c->best.line.len ? settle_best(c, CDP_CHOOSE_KEPT, err) : 0;
}

static int choose(struct cdp_choose *c, struct cdp_seen *seen, struct cdp_counts *counts, struct cdp_err *err)
{
    struct cdp_buf *key = &c->best.key;
    struct cdp_sorted r;
    int rc;
    if (cdp_sort_finish(c->by_key, err) < 0)
        return -1;
    while ((rc = cdp_sort_next(c->by_key, &r, err)) == 1) {
        if (key->len == 0 || memcmp(key->data, r.key, HASH_LEN) != 0) {
            if (keep_best(c, seen, err) < 0 || take(&c->best, &r, err) < 0)
                return -1;
            continue;
        }
        if (r.len == 0) /* barred once more */
            continue;
        counts->dropped++;
        bool equal = r.key_len == key->len && memcmp(key->data, r.key, r.key_len) == 0;
        if (equal && better(c, &r)) {
            if (settle_best(c, CDP_CHOOSE_DUP, err) < 0 || take(&c->best, &r, err) < 0)
                return -1;
        } else if (cdp_choose_settle(c, CDP_CHOOSE_DUP, r.seq, r.payload, r.len, err) < 0) {
            return -1;
        }
    }
    return rc < 0 ? -1 : keep_best(c, seen, err);
}

int cdp_choose_write(struct cdp_choose *c, struct cdp_out *out, struct cdp_out *dups, struct cdp_seen *seen,
                     struct cdp_counts *counts, struct cdp_err *err)
{
    struct cdp_sorted r;
    int rc;
    if (choose(c, seen, counts, err) < 0 || cdp_sort_finish(c->by_seq, err) < 0)
        return -1;
    while ((rc = cdp_sort_next(c->by_seq, &r, err)) == 1) {
        bool kept = r.payload[0] == CDP_CHOOSE_KEPT;
        counts->out += kept;
        if (cdp_out_write(kept ? out : dups, r.payload + 1, r.len - 1, err) < 0)
            return -1;
    }
    return rc;
}

void cdp_choose_free(struct cdp_choose *c)
{
    if (!c)
        return;
    cdp_sort_free(c->by_key);
    cdp_sort_free(c->by_seq);
    cdp_buf_free(&c->pack);
    cdp_buf_free(&c->best.key);
    cdp_buf_free(&c->best.line);
    free(c);
}
