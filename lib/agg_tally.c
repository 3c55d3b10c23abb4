/* agg_tally: functions that count values: count_distinct, mode, top, histogram, median, quantile.
 *
 * Each value belongs to a class, named by bytes whose order is the classes': the value's key for count_distinct, mode and top,
 * the number of its bin for the others.  A group's classes and their counts are records of the part's table; at the end they
 * come in order, and the result is made in one pass over them, in memory that does not grow with their number.  So they can
 * be spilled and merged like groups.
 *
 * count_distinct keeps hashes instead (96 bits of the value's) where its values need not be written as a state: the first
 * two of a group in its state, the others in a set of 16-byte entries that is at most three quarters full. */
#include "lib/agg_impl.h"

#include "lib/ddsketch.h"
#include "lib/emit.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- classes ---- */

static int class_value(const struct cdp_agg_item *item, struct cdp_val v, struct cdp_buf *out,
                       struct cdp_err *err)
{
    (void)item;
    return cdp_key_value(v, out, err);
}

static void put_bin(int64_t bin, struct cdp_buf *out)
{
    uint64_t u = (uint64_t)bin ^ UINT64_C(1) << 63;
    for (int shift = 56; shift >= 0; shift -= 8)
        cdp_buf_addc(out, (char)(u >> shift));
}

static int64_t get_bin(const char *class)
{
    uint64_t u = 0;
    for (int i = 0; i < 8; i++)
        u = u << 8 | (unsigned char)class[i];
    return (int64_t)(u ^ UINT64_C(1) << 63);
}

static int check_number(const struct cdp_agg_item *item, struct cdp_val v, struct cdp_err *err)
{
    struct cdp_agg_arg unused;
    if (cdp_val_none(v))
        return cdp_err_set(err, CDP_EXIT_DATA, "%s: not a number", item->name);
    return cdp_agg_take_number(NULL, item, v, NULL, &unused, err);
}

static int class_quantile(const struct cdp_agg_item *item, struct cdp_val v, struct cdp_buf *out,
                          struct cdp_err *err)
{
    if (check_number(item, v, err) < 0)
        return -1;
    put_bin(cdp_ddsketch_bin(v.p, v.len), out);
    return 0;
}

/* ⌊x / width⌋.  The quotient is rounded to more digits than a bin's number has, then put right by exact comparison. */
static int bin_of_width(const struct cdp_agg_item *item, const struct cdp_num *x, int64_t *bin,
                        struct cdp_err *err)
{
    struct cdp_num q = CDP_NUM_ZERO, edge = CDP_NUM_ZERO, one = {.coef = 1};
    int rc = -1;
    if (cdp_num_div(&q, x, &item->q, 40, err) < 0)
        goto done;
    if (q.exp > 18 || cdp_num_floor(&q, &q, err) < 0 || !cdp_num_to_int64(&q, bin) || *bin > INT64_MAX / 2 ||
        *bin < -INT64_MAX / 2) {
        cdp_err_set(err, CDP_EXIT_DATA, "%s: a number too far from 0 for bins of this width", item->name);
        goto done;
    }
    if (cdp_num_mul(&edge, &q, &item->q, err) < 0)
        goto done;
    if (cdp_num_cmp(&edge, x) > 0) {
        --*bin;
    } else {
        if (cdp_num_add(&q, &q, &one, err) < 0 || cdp_num_mul(&edge, &q, &item->q, err) < 0)
            goto done;
        *bin += cdp_num_cmp(&edge, x) <= 0;
    }
    rc = 0;
done:
    cdp_num_free(&q);
    cdp_num_free(&edge);
    return rc;
}

static int class_bin(const struct cdp_agg_item *item, struct cdp_val v, struct cdp_buf *out,
                     struct cdp_err *err)
{
    struct cdp_num x = CDP_NUM_ZERO;
    int64_t bin = 0;
    int rc = -1;
    if (check_number(item, v, err) < 0 || cdp_num_parse(&x, v.p, v.len, err) < 0)
        return -1;
    if (item->bounds)
        while ((size_t)bin < item->bounds && cdp_num_cmp(&item->bound[bin], &x) <= 0)
            bin++;
    else if (bin_of_width(item, &x, &bin, err) < 0)
        goto done;
    put_bin(bin, out);
    rc = 0;
done:
    cdp_num_free(&x);
    return rc;
}

/* ---- counting ---- */

/* Is the number's text what cdp_num_format would write?  False where it would take more than a look. */
static bool plain_number(const char *p, size_t n)
{
    bool point = false;
    if (n > 20 || (p[0] == '-' && p[1] == '0' && n == 2))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == 'e' || p[i] == 'E')
            return false;
        point |= p[i] == '.';
    }
    return !point || p[n - 1] != '0';
}

/* The value as it came, unless cdp_key_decode gives it back byte for byte. */
static struct cdp_val like(const struct cdp_agg_item *item, struct cdp_val v)
{
    bool plain = v.type < CDP_NUMBER || (v.type == CDP_STRING && !v.escaped) ||
                 (v.type == CDP_NUMBER && plain_number(v.p, v.len));
    if (item->func->like == CDP_AGG_LIKE_ALWAYS || (item->func->like == CDP_AGG_LIKE_SPELLING && !plain))
        return v;
    return (struct cdp_val){0};
}

/* What the key of a counted class begins with. */
static void put_item(const struct cdp_agg_item *item, struct cdp_buf *out)
{
    cdp_buf_addc(out, (char)((item->index + 1) >> 8));
    cdp_buf_addc(out, (char)(item->index + 1));
}

static int take_class(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                      const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err)
{
    (void)r;
    if (cdp_val_none(v))
        return 0;
    size_t at = w->bytes.len;
    put_item(item, &w->bytes);
    if (item->func->classify(item, v, &w->bytes, err) < 0 || cdp_buf_check(&w->bytes, err) < 0)
        return -1;
    cdp_agg_arg_set(arg, like(item, v));
    arg->at = (uint32_t)at;
    arg->n = (uint32_t)(w->bytes.len - at);
    arg->hash = cdp_hash(w->bytes.data + at, arg->n).lo;
    return 0;
}

static int tally_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                     struct cdp_err *err)
{
    ++*(uint64_t *)state;
    return cdp_agg_count(at->part, at->group, at->bytes + arg->at, arg->n, arg->hash, 1, cdp_agg_arg_val(arg),
                         err);
}

static int load_class(const struct cdp_agg_place *at, uint64_t *total, struct cdp_val v, uint64_t count,
                      struct cdp_err *err)
{
    struct cdp_buf key = {0};
    put_item(at->item, &key);
    int rc = at->item->func->classify(at->item, v, &key, err);
    if (rc == 0)
        rc = cdp_buf_check(&key, err);
    if (rc == 0)
        rc = cdp_agg_count(at->part, at->group, key.data, key.len, cdp_hash(key.data, key.len).lo, count,
                           like(at->item, v), err);
    *total += count;
    cdp_buf_free(&key);
    return rc;
}

/* [[value, count], …]: is there a bin for each of them? */
static int bins_fit(const struct cdp_agg_item *item, struct cdp_val json, struct cdp_err *err)
{
    struct cdp_buf class = {0};
    struct cdp_iter it = cdp_val_iter(json);
    int rc = 0;
    while (rc == 0 && cdp_iter_next(&it)) {
        struct cdp_iter pair = cdp_val_iter(it.val);
        cdp_iter_next(&pair);
        cdp_buf_clear(&class);
        rc = item->func->classify(item, pair.val, &class, err);
    }
    cdp_buf_free(&class);
    return rc;
}

/* [[value, count], …] */
static int counts_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    struct cdp_iter it = cdp_val_iter(json);
    while (cdp_iter_next(&it)) {
        struct cdp_iter pair = cdp_val_iter(it.val);
        cdp_iter_next(&pair);
        struct cdp_val v = pair.val;
        cdp_iter_next(&pair);
        if (load_class(at, state, v, cdp_agg_integer(pair.val), err) < 0)
            return -1;
    }
    return 0;
}

/* [value, …] */
static int values_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    struct cdp_iter it = cdp_val_iter(json);
    while (cdp_iter_next(&it))
        if (load_class(at, state, it.val, 1, err) < 0)
            return -1;
    return 0;
}

/* ---- results, from the classes in order ---- */

void cdp_agg_ranking_begin(struct cdp_agg_ranking *k, const struct cdp_agg_item *item, uint64_t total,
                           struct cdp_buf *out)
{
    k->item = item;
    k->out = out;
    k->total = total;
    k->seen = k->upto = 0;
    k->n = 0;
    k->found = false;
    if (item->func->opens)
        cdp_buf_addc(out, '[');
}

void cdp_agg_ranking_free(struct cdp_agg_ranking *k)
{
    for (size_t i = 0; i < k->cap; i++)
        cdp_buf_free(&k->heap[i].value);
    free(k->heap);
    *k = (struct cdp_agg_ranking){0};
}

static int distinct_each(struct cdp_agg_ranking *k, struct cdp_val v, const char *class, uint64_t count,
                         struct cdp_err *err)
{
    (void)v, (void)class, (void)count, (void)err;
    k->seen++;
    return 0;
}

static int distinct_end(struct cdp_agg_ranking *k, struct cdp_err *err)
{
    (void)err;
    cdp_emit_uint(k->out, k->seen);
    return 0;
}

/* Does a rank before b?  The higher count; of equal counts the lesser value, which came first. */
static bool before(const struct cdp_agg_ranked *a, const struct cdp_agg_ranked *b)
{
    return a->count != b->count ? a->count > b->count : a->seq < b->seq;
}

static void swap(struct cdp_agg_ranked *a, struct cdp_agg_ranked *b)
{
    struct cdp_agg_ranked c = *a;
    *a = *b;
    *b = c;
}

/* The heap's top is what ranks last of the best so far. */
static void sift_down(struct cdp_agg_ranked *heap, size_t n, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&heap[child], &heap[child + 1]))
            child++;
        if (!before(&heap[i], &heap[child]))
            return;
        swap(&heap[i], &heap[child]);
    }
}

static void sift_up(struct cdp_agg_ranked *heap, size_t i)
{
    while (i && before(&heap[(i - 1) / 2], &heap[i])) {
        swap(&heap[i], &heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static int ranked_set(struct cdp_agg_ranked *r, uint64_t count, uint64_t seq, struct cdp_val v,
                      const char *class, struct cdp_err *err)
{
    r->count = count;
    r->seq = seq;
    cdp_buf_clear(&r->value);
    cdp_agg_emit_like(v, class, &r->value);
    return cdp_buf_check(&r->value, err);
}

static int top_each(struct cdp_agg_ranking *k, struct cdp_val v, const char *class, uint64_t count,
                    struct cdp_err *err)
{
    uint64_t seq = k->seen++;
    if (k->n < k->item->n) {
        if (k->n == k->cap) {
            size_t cap = k->cap;
            struct cdp_agg_ranked *heap = cdp_mem_grow(k->heap, &cap, k->n + 1, sizeof *heap, err);
            if (!heap)
                return -1;
            memset(heap + k->cap, 0, (cap - k->cap) * sizeof *heap);
            k->heap = heap;
            k->cap = cap;
        }
        if (ranked_set(&k->heap[k->n], count, seq, v, class, err) < 0)
            return -1;
        sift_up(k->heap, k->n++);
        return 0;
    }
    if (count <= k->heap[0].count)
        return 0;
    if (ranked_set(&k->heap[0], count, seq, v, class, err) < 0)
        return -1;
    sift_down(k->heap, k->n, 0);
    return 0;
}

static int top_end(struct cdp_agg_ranking *k, struct cdp_err *err)
{
    (void)err;
    for (size_t left = k->n; left > 1; left--) { /* heap sort: the last one goes to the end */
        swap(&k->heap[0], &k->heap[left - 1]);
        sift_down(k->heap, left - 1, 0);
    }
    for (size_t i = 0; i < k->n; i++) {
        cdp_buf_adds(k->out, i ? ",{\"value\":" : "{\"value\":");
        cdp_buf_add(k->out, k->heap[i].value.data, k->heap[i].value.len);
        cdp_buf_adds(k->out, ",\"count\":");
        cdp_emit_uint(k->out, k->heap[i].count);
        cdp_buf_addc(k->out, '}');
    }
    cdp_buf_addc(k->out, ']');
    return 0;
}

static int mode_end(struct cdp_agg_ranking *k, struct cdp_err *err)
{
    (void)err;
    if (k->n)
        cdp_buf_add(k->out, k->heap[0].value.data, k->heap[0].value.len);
    else
        cdp_buf_adds(k->out, "null");
    return 0;
}

static int quantile_each(struct cdp_agg_ranking *k, struct cdp_val v, const char *class, uint64_t count,
                         struct cdp_err *err)
{
    uint64_t rank;
    if (k->found)
        return 0;
    if (!k->seen++) {
        if (cdp_ddsketch_rank(&k->item->q, k->total, &rank, err) < 0)
            return -1;
        k->upto = rank; /* values still to pass */
    }
    if (count > k->upto) {
        k->found = true;
        cdp_agg_emit_like(v, class, k->out);
    } else {
        k->upto -= count;
    }
    return 0;
}

static int quantile_end(struct cdp_agg_ranking *k, struct cdp_err *err)
{
    (void)err;
    if (!k->found)
        cdp_buf_adds(k->out, "null");
    return 0;
}

/* {"from":…,"to":…,"count":…} */
static int put_histogram_bin(struct cdp_agg_ranking *k, int64_t bin, uint64_t count, struct cdp_err *err)
{
    const struct cdp_agg_item *item = k->item;
    struct cdp_num edge = CDP_NUM_ZERO, number = CDP_NUM_ZERO;
    int rc = -1;
    cdp_buf_adds(k->out, k->found ? ",{" : "{");
    k->found = true;
    for (int to = 0; to < 2; to++) {
        cdp_buf_adds(k->out, to ? ",\"to\":" : "\"from\":");
        if (item->bounds) {
            int64_t i = bin - 1 + to;
            if (i < 0 || (size_t)i >= item->bounds)
                cdp_buf_adds(k->out, "null");
            else
                cdp_num_format(&item->bound[i], k->out);
            continue;
        }
        cdp_num_int(&number, bin + to);
        if (cdp_num_mul(&edge, &number, &item->q, err) < 0)
            goto done;
        cdp_num_format(&edge, k->out);
    }
    cdp_buf_adds(k->out, ",\"count\":");
    cdp_emit_uint(k->out, count);
    cdp_buf_addc(k->out, '}');
    rc = 0;
done:
    cdp_num_free(&edge);
    cdp_num_free(&number);
    return rc;
}

/* With bounds, all bins are shown: those without values before this one, or at the end. */
static int empty_bins(struct cdp_agg_ranking *k, uint64_t upto, struct cdp_err *err)
{
    for (; k->item->bounds && k->seen < upto; k->seen++)
        if (put_histogram_bin(k, (int64_t)k->seen, 0, err) < 0)
            return -1;
    return 0;
}

static int histogram_each(struct cdp_agg_ranking *k, struct cdp_val v, const char *class, uint64_t count,
                          struct cdp_err *err)
{
    (void)v;
    int64_t bin = get_bin(class);
    if (empty_bins(k, (uint64_t)bin, err) < 0)
        return -1;
    k->seen++;
    return put_histogram_bin(k, bin, count, err);
}

static int histogram_end(struct cdp_agg_ranking *k, struct cdp_err *err)
{
    if (empty_bins(k, k->item->bounds + 1, err) < 0)
        return -1;
    cdp_buf_addc(k->out, ']');
    return 0;
}

/* ---- count_distinct by hashes ---- */

/* Strings are hashed as their decoded text, all else as its key; the types are told apart. */
static int hash_value(struct cdp_val v, struct cdp_buf *tmp, struct cdp_hash128 *h, struct cdp_err *err)
{
    size_t n;
    if (v.type == CDP_STRING) {
        const char *s = cdp_val_str(v, tmp, &n);
        *h = cdp_hash(s, n);
        h->lo ^= CDP_STRING;
        return cdp_buf_check(tmp, err);
    }
    cdp_buf_clear(tmp);
    if (cdp_key_value(v, tmp, err) < 0 || cdp_buf_check(tmp, err) < 0)
        return -1;
    *h = cdp_hash(tmp->data, tmp->len);
    return 0;
}

static int take_hash(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                     const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err)
{
    (void)item, (void)r;
    struct cdp_hash128 h;
    if (cdp_val_none(v))
        return 0;
    if (hash_value(v, &w->tmp, &h, err) < 0)
        return -1;
    arg->kind = CDP_AGG_VALUE;
    arg->hash = h.hi;
    arg->n = (uint32_t)h.lo;
    return 0;
}

/* Most groups have few distinct values: the first hashes are in the state, only the others go to the set. */
static int set_add(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
                   struct cdp_err *err)
{
    struct cdp_agg_few *few = state;
    for (size_t i = 0; i < CDP_AGG_FEW && i < few->count; i++)
        if (few->hash[i] == arg->hash && few->more[i] == arg->n)
            return 0;
    int added = 1;
    if (few->count < CDP_AGG_FEW) {
        few->hash[few->count] = arg->hash;
        few->more[few->count] = arg->n;
    } else if ((added = cdp_agg_set_add(at->part, at->item->set, at->group, arg->hash, arg->n, err)) < 0) {
        return -1;
    }
    few->count += (unsigned)added;
    return 0;
}

static int set_load(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err)
{
    struct cdp_iter it = cdp_val_iter(json);
    struct cdp_agg_arg arg;
    struct cdp_hash128 h;
    while (cdp_iter_next(&it)) {
        if (hash_value(it.val, &at->part->tmp, &h, err) < 0)
            return -1;
        arg = (struct cdp_agg_arg){.hash = h.hi, .n = (uint32_t)h.lo};
        if (set_add(at, state, &arg, err) < 0)
            return -1;
    }
    return 0;
}

#define TALLY .class = CDP_AGG_TALLY, .size = sizeof(uint64_t), .take = take_class, .add = tally_add

const struct cdp_agg_func cdp_agg_values_func = {TALLY,
                                                 .name = "count_distinct",
                                                 .state = "count_distinct",
                                                 .shape = "*k",
                                                 .load = values_load,
                                                 .classify = class_value,
                                                 .like = CDP_AGG_LIKE_NEVER,
                                                 .each = distinct_each,
                                                 .end = distinct_end};

const struct cdp_agg_func cdp_agg_tally_funcs[] = {
    {.name = "count_distinct",
     .state = "count_distinct",
     .shape = "*k",
     .class = CDP_AGG_SET,
     .size = sizeof(struct cdp_agg_few),
     .take = take_hash,
     .add = set_add,
     .load = set_load,
     .finish = cdp_agg_count_finish},
    {TALLY, .name = "mode", .state = "top", .shape = "*(kn)", .load = counts_load, .classify = class_value,
     .like = CDP_AGG_LIKE_SPELLING, .each = top_each, .end = mode_end},
    {TALLY, .name = "top", .state = "top", .shape = "*(kn)", .args = CDP_AGG_COUNT, .load = counts_load,
     .classify = class_value, .like = CDP_AGG_LIKE_SPELLING, .opens = true, .each = top_each, .end = top_end},
    {TALLY, .name = "histogram", .state = "histogram", .shape = "*(vn)", .args = CDP_AGG_BINS,
     .load = counts_load, .fits = bins_fit, .classify = class_bin, .like = CDP_AGG_LIKE_ALWAYS, .opens = true,
     .each = histogram_each, .end = histogram_end},
    {TALLY, .name = "median", .state = "quantile", .shape = "*(vn)", .load = counts_load, .fits = bins_fit,
     .classify = class_quantile, .like = CDP_AGG_LIKE_ALWAYS, .each = quantile_each, .end = quantile_end},
    {TALLY, .name = "quantile", .state = "quantile", .shape = "*(vn)", .args = CDP_AGG_QUANTILE,
     .load = counts_load, .fits = bins_fit, .classify = class_quantile, .like = CDP_AGG_LIKE_ALWAYS,
     .each = quantile_each, .end = quantile_end},
    {0}};
