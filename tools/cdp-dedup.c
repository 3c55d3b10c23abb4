/* cdp-dedup: one record per key.
 *
 * The common case keeps a set of key hashes and lets the first record of each key pass as it comes.  When the set is full, a
 * record whose key is not in it can be neither passed nor dropped yet and is decided at the end (lib/choose), which is where
 * all records go with --keep last, --keep-min and --keep-max.
 *
 * Memory: 16 bytes a key (up to --memory, of which half is the set's), then temporary files. */
#include "lib/choose.h"
#include "lib/flow.h"
#include "lib/key.h"
#include "lib/seen.h"
#include "lib/table.h"

#include <string.h>

enum keep { KEEP_FIRST, KEEP_LAST, KEEP_MIN, KEEP_MAX };
enum missing { MISSING_REJECT, MISSING_PASS, MISSING_DROP };

struct options {
    struct cdp_common common;
    const char *key, *keep_min, *keep_max, *dups, *seen;
    int keep, missing;
    struct cdp_opt_list against;
};

static const struct cdp_opt options_table[] = {
    {.name = "key",
     .letter = 'k',
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, key),
     .arg = "KEY[,KEY]...",
     .help = "what makes two records one: paths, with :time or :num if need be (default: the whole record)"},
    {.name = "keep",
     .type = CDP_OPT_CHOICE,
     .offset = offsetof(struct options, keep),
     .arg = "first|last",
     .help = "which record of a key to keep, by input order (default: first)"},
    {.name = "keep-min",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, keep_min),
     .arg = "KEY[,KEY]...",
     .help = "keep the record that is least by these keys"},
    {.name = "keep-max",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, keep_max),
     .arg = "KEY[,KEY]...",
     .help = "keep the record that is greatest by these keys"},
    {.name = "against",
     .type = CDP_OPT_LIST,
     .offset = offsetof(struct options, against),
     .arg = "FILE",
     .help = "drop what this dataset holds already; repeatable"},
    {.name = "seen",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, seen),
     .arg = "FILE",
     .help = "drop keys of earlier runs, and add this run's keys to FILE"},
    {.name = "dups",
     .type = CDP_OPT_STRING,
     .offset = offsetof(struct options, dups),
     .arg = "FILE",
     .help = "write the records that were dropped as duplicates to FILE"},
    {.name = "missing",
     .type = CDP_OPT_CHOICE,
     .offset = offsetof(struct options, missing),
     .arg = "reject|pass|drop",
     .help = "what to do with a record whose key is missing or null (default: reject)"},
    CDP_OPT_WHERE,
    CDP_OPT_REJECTS,
    CDP_OPT_MEMORY,
    CDP_OPT_THREADS,
    CDP_OPT_MAX_RECORD,
    CDP_OPT_OUTPUT,
    CDP_OPT_ALWAYS,
    {0},
};

static const struct cdp_tool tool_spec = {
    .name = "cdp-dedup",
    .summary = "Keep one record per key.",
    .usage = "[-k KEY[,KEY]...] [--keep first|last | --keep-min KEYS | --keep-max KEYS] [FILE]...",
    .opts = options_table,
};

/* A record as a worker hands it on. */
struct item {
    struct cdp_hash128 hash;
    const char *line;
    uint32_t len;            /* with its end */
    uint32_t rank, rank_len; /* the --keep-min/max key, in the batch's bytes */
    bool keyless;            /* to pass as it is */
};

struct dedup {
    struct options opt;
    struct cdp_flow flow;
    struct cdp_keyspec key, rank;
    enum keep keep;
    struct cdp_seen *seen; /* the file of --seen */
    /* Keys seen: of this run with KEEP_FIRST, of --against and --seen always.  From here on, written in turn. */
    _Alignas(CDP_APART) struct cdp_set set;
    struct cdp_choose *choose; /* the records that are decided at the end */
    struct cdp_sort_opts sorter;
    struct cdp_out *dups;
    uint64_t seq;
};

/* ---- in parallel ---- */

/* The identity that the file of --seen knows. */
static int hash_for_file(const struct dedup *d, struct cdp_batch *b, const struct cdp_rec *r,
                         struct cdp_hash128 *hash, struct cdp_err *err)
{
    size_t from = b->bytes.len;
    int rc = cdp_keyspec_encode(&d->key, r->fields, CDP_KEY_MISSING_ERROR, &b->bytes, err);
    if (rc == 0)
        *hash = cdp_seen_hash(b->bytes.data + from, b->bytes.len - from);
    b->bytes.len = from;
    return rc;
}

/* All that counts of a record of --against. */
static int identify(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    struct dedup *d = tool;
    struct item *item = r->item;
    int rc = d->seen
                 ? hash_for_file(d, b, r, &item->hash, err)
                 : cdp_keyspec_hash(&d->key, r->fields, CDP_KEY_MISSING_ERROR, &b->bytes, &item->hash, err);
    item->keyless = rc == 1 && d->opt.missing != MISSING_REJECT;
    if (item->keyless)
        return d->opt.missing == MISSING_PASS ? CDP_REC_KEEP : CDP_REC_DROP;
    if (rc)
        return err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
    return CDP_REC_KEEP;
}

static int record(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *err)
{
    struct dedup *d = tool;
    struct item *item = r->item;
    item->line = r->line;
    item->len = (uint32_t)r->full;
    item->rank = (uint32_t)b->bytes.len;
    item->rank_len = 0;
    int verdict = identify(tool, b, r, err);
    if (verdict != CDP_REC_KEEP || d->rank.n == 0 || item->keyless)
        return verdict;
    if (cdp_keyspec_encode(&d->rank, r->fields, CDP_KEY_MISSING_ERROR, &b->bytes, err) != 0)
        return err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
    item->rank_len = (uint32_t)b->bytes.len - item->rank;
    return CDP_REC_KEEP;
}

/* ---- in turn ---- */

static int postpone(struct dedup *d, const struct cdp_batch *b, const struct item *it, struct cdp_err *err)
{
    if (it->keyless)
        return cdp_choose_settle(d->choose, CDP_CHOOSE_KEPT, d->seq, it->line, it->len, err);
    return cdp_choose_add(d->choose, it->hash, b->bytes.data + it->rank, it->rank_len, d->seq, it->line,
                          it->len, err);
}

static int open_choose(struct dedup *d, struct cdp_err *err)
{
    if (!d->choose)
        d->choose = cdp_choose_new(&d->sorter, d->keep == KEEP_LAST, d->dups != NULL, err);
    return d->choose ? 0 : -1;
}

static int drop(struct dedup *d, const struct item *it, struct cdp_err *err)
{
    d->flow.counts.dropped++;
    if (d->choose)
        return cdp_choose_settle(d->choose, CDP_CHOOSE_DUP, d->seq, it->line, it->len, err);
    return d->dups ? cdp_out_write(d->dups, it->line, it->len, err) : 0;
}

static int decide(struct dedup *d, struct cdp_batch *b, const struct item *it, struct cdp_err *err)
{
    int answer = CDP_SET_NEW;
    d->seq++;
    if (!it->keyless && d->keep == KEEP_FIRST)
        answer = cdp_set_add(&d->set, it->hash, err);
    else if (!it->keyless && cdp_set_has(&d->set, it->hash))
        answer = CDP_SET_OLD;
    if (answer == CDP_SET_OLD)
        return drop(d, it, err);
    if (answer < 0 || (answer == CDP_SET_FULL && open_choose(d, err) < 0))
        return -1;
    return d->choose ? postpone(d, b, it, err) : cdp_batch_emit(b, it->line, it->len, 1, err);
}

#define AHEAD 24 /* keys between the prefetch of a slot and its use */

static int apply(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    struct dedup *d = tool;
    const struct item *item = b->item;
    cdp_set_expect(&d->set, b->block.done, b->block.size);
    for (size_t i = 0; i < b->items && i < AHEAD; i++)
        cdp_set_prefetch(&d->set, item[i].hash);
    for (size_t i = 0; i < b->items; i++) {
        if (i + AHEAD < b->items)
            cdp_set_prefetch(&d->set, item[i + AHEAD].hash);
        if (decide(d, b, &item[i], err) < 0)
            return -1;
    }
    return 0;
}

/* A key that was there before: in the set, or beside it where that is full. */
static int bar(void *tool, struct cdp_hash128 key, struct cdp_err *err)
{
    struct dedup *d = tool;
    int answer = cdp_set_add(&d->set, key, err);
    if (answer != CDP_SET_FULL)
        return answer < 0 ? -1 : 0;
    return open_choose(d, err) < 0 ? -1 : cdp_choose_bar(d->choose, key, err);
}

static int apply_against(void *tool, struct cdp_batch *b, struct cdp_err *err)
{
    const struct item *item = b->item;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < b->items; i++)
        rc = item[i].keyless ? 0 : bar(tool, item[i].hash, err);
    return rc;
}

static int idle(void *tool, struct cdp_err *err)
{
    struct dedup *d = tool;
    return d->dups ? cdp_out_flush(d->dups, err) : 0;
}

static int set_up(struct dedup *d, struct cdp_err *err)
{
    struct options *o = &d->opt;
    const char *rank = o->keep_min ? o->keep_min : o->keep_max;
    if ((o->keep != KEEP_FIRST) + (o->keep_min != NULL) + (o->keep_max != NULL) > 1)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--keep, --keep-min and --keep-max exclude each other");
    for (size_t i = 0; i < o->against.n; i++)
        if (strcmp(o->against.item[i].value, "-") == 0 && cdp_opt_stdin(&o->common))
            return cdp_err_set(err, CDP_EXIT_USAGE,
                               "standard input cannot be both --against and the records");
    d->keep = o->keep_min ? KEEP_MIN : o->keep_max ? KEEP_MAX : (enum keep)o->keep;
    if (cdp_keyspec_parse(&d->key, o->key ? o->key : ".", d->flow.plan, err) < 0)
        return cdp_err_prefix(err, "-k");
    if (rank && cdp_keyspec_parse(&d->rank, rank, d->flow.plan, err) < 0)
        return cdp_err_prefix(err, o->keep_min ? "--keep-min" : "--keep-max");
    for (size_t i = 0; d->keep == KEEP_MAX && i < d->rank.n; i++)
        d->rank.part[i].desc = !d->rank.part[i].desc; /* the greatest comes first, too */
    cdp_flow_side(&d->flow, "--dups", o->dups);
    cdp_flow_side(&d->flow, "--seen", o->seen);
    if (cdp_flow_open(&d->flow, err) < 0 || cdp_set_init(&d->set, cdp_flow_memory(&d->flow) / 2, err) < 0 ||
        (o->dups && !(d->dups = cdp_out_open(o->dups, false, err))))
        return -1;
    /* The set may take half the memory; the sorters, two and one for --seen, share the rest. */
    d->sorter = (struct cdp_sort_opts){.memory = cdp_flow_memory(&d->flow) / (o->seen ? 6 : 4),
                                       .tmpdir = o->common.tmpdir,
                                       .threads = cdp_flow_threads(&d->flow)};
    if (o->seen && !(d->seen = cdp_seen_open(o->seen, o->key ? o->key : ".", bar, d, &d->sorter, err)))
        return -1;
    return d->keep == KEEP_FIRST ? 0 : open_choose(d, err);
}

static int run(struct dedup *d, struct cdp_err *err)
{
    struct cdp_flow_ops ops = {
        .item_size = sizeof(struct item), .record = identify, .apply = apply_against, .every = true};
    for (size_t i = 0; i < d->opt.against.n; i++)
        if (cdp_flow_run(&d->flow, &ops, d, &d->opt.against.item[i].value, 1, err) < 0)
            return -1;
    /* Records to compare with are no part of the stream; bad lines among them are said all the same. */
    uint64_t bad = d->flow.counts.rejected;
    d->flow.counts = (struct cdp_counts){.in = bad, .rejected = bad};
    ops = (struct cdp_flow_ops){
        .item_size = sizeof(struct item), .record = record, .apply = apply, .idle = idle};
    if (cdp_flow_run(&d->flow, &ops, d, NULL, 0, err) < 0)
        return -1;
    if (d->choose && cdp_choose_write(d->choose, d->flow.out, d->dups, d->seen, &d->flow.counts, err) < 0)
        return -1;
    if (d->dups && cdp_flow_judge(&d->flow, err) < 0)
        return -1;
    struct cdp_out *dups = d->dups;
    d->dups = NULL;
    return dups ? cdp_out_close(dups, err) : 0;
}

int main(int argc, char **argv)
{
    static struct dedup d; /* zeroed */
    struct cdp_err err = {0};
    int rc = cdp_flow_begin(&d.flow, &tool_spec, argc, argv, &d.opt, &err);
    if (rc == 1 && (rc = set_up(&d, &err)) == 0)
        rc = run(&d, &err);
    cdp_out_abort(d.dups);
    int status = cdp_flow_end(&d.flow, rc, &err);
    /* Last, when the records are where they belong: a key that is in the file is never let pass again. */
    if (status == 0 && d.seen && cdp_seen_save(d.seen, &d.set, &err) < 0) {
        cdp_err_print(&err);
        status = (int)err.exit;
    }
    cdp_choose_free(d.choose);
    cdp_seen_free(d.seen);
    cdp_set_free(&d.set);
    cdp_keyspec_free(&d.key);
    cdp_keyspec_free(&d.rank);
    return status;
}
