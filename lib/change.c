/* change: see change.h. */
#include "lib/change.h"

#include "lib/mem.h"

#include <stdlib.h>

struct cdp_changes {
    struct cdp_change_opts opts;
    struct cdp_keyspec key, order;
    struct cdp_expr *delete, *forget;
    int time, patch, unset; /* slots; -1: not asked for */
};

static int add_slot(const char *path, struct cdp_plan *plan, const char *option, int *slot,
                    struct cdp_err *err)
{
    *slot = -1;
    if (path && (*slot = cdp_plan_add_text(plan, path, err)) < 0)
        return cdp_err_prefix(err, "%s", option);
    return 0;
}

static int add_expr(const char *text, struct cdp_plan *plan, const char *option, struct cdp_expr **e,
                    struct cdp_err *err)
{
    if (text && !(*e = cdp_expr_new(text, plan, NULL, err)))
        return cdp_err_prefix(err, "%s", option);
    return 0;
}

static int add_key(const char *text, struct cdp_plan *plan, const char *option, struct cdp_keyspec *spec,
                   struct cdp_err *err)
{
    return cdp_keyspec_parse(spec, text, plan, err) < 0 ? cdp_err_prefix(err, "%s", option) : 0;
}

static int find_time(struct cdp_changes *c, struct cdp_err *err)
{
    for (size_t i = 0; c->opts.timed && c->time < 0 && i < c->order.n; i++)
        if (c->order.part[i].as == CDP_KEY_TIME)
            c->time = c->order.part[i].slot;
    if (c->opts.timed && c->time < 0)
        return cdp_err_set(err, CDP_EXIT_USAGE,
                           "--at, --horizon and --history need --time, or a :time in --order");
    return 0;
}

struct cdp_changes *cdp_changes_new(const struct cdp_change_opts *opts, struct cdp_plan *plan,
                                    struct cdp_err *err)
{
    struct cdp_changes *c = cdp_mem_zalloc(1, sizeof *c, err);
    if (!c)
        return NULL;
    c->opts = *opts;
    if (add_key(opts->key, plan, "-k", &c->key, err) < 0 ||
        add_key(opts->order, plan, "--order", &c->order, err) < 0 ||
        add_expr(opts->delete, plan, "--delete", &c->delete, err) < 0 ||
        add_expr(opts->forget, plan, "--forget", &c->forget, err) < 0 ||
        add_slot(opts->patch, plan, "--patch", &c->patch, err) < 0 ||
        add_slot(opts->unset, plan, "--unset", &c->unset, err) < 0 ||
        add_slot(opts->time, plan, "--time", &c->time, err) < 0 || find_time(c, err) < 0) {
        cdp_changes_free(c);
        return NULL;
    }
    return c;
}

void cdp_changes_free(struct cdp_changes *c)
{
    if (!c)
        return;
    cdp_expr_free(c->delete);
    cdp_expr_free(c->forget);
    cdp_keyspec_free(&c->key);
    cdp_keyspec_free(&c->order);
    free(c);
}

const struct cdp_keyspec *cdp_changes_key(const struct cdp_changes *c)
{
    return &c->key;
}

/* ---- a record ---- */

static int is_true(const struct cdp_expr *e, const struct cdp_rec *r, struct cdp_err *err)
{
    return e ? cdp_expr_test(e, r->scratch, r->fields, r->line, r->len, err) : 0;
}

static int read_kind(const struct cdp_changes *c, const struct cdp_rec *r, bool base,
                     enum cdp_change_kind *kind, struct cdp_err *err)
{
    int forget = is_true(c->forget, r, err), gone = forget == 0 ? is_true(c->delete, r, err) : 0;
    if (forget < 0 || gone < 0)
        return -1;
    *kind = forget                 ? CDP_CHANGE_FORGET
            : gone                 ? CDP_CHANGE_DELETE
            : base && c->opts.fold ? CDP_CHANGE_BASE
                                   : CDP_CHANGE_STATE;
    return 0;
}

static int encode(const struct cdp_keyspec *spec, const struct cdp_rec *r, struct cdp_buf *keys, uint32_t *at,
                  uint32_t *len, struct cdp_err *err)
{
    size_t from = keys->len;
    if (cdp_keyspec_encode(spec, r->fields, CDP_KEY_MISSING_ERROR, keys, err) != 0 ||
        cdp_buf_check(keys, err) < 0)
        return -1;
    if (keys->len >= UINT32_MAX)
        return cdp_err_set(err, CDP_EXIT_IO, "the keys of a block are larger than 4 GiB");
    *at = (uint32_t)from;
    *len = (uint32_t)(keys->len - from);
    return 0;
}

static bool is_object(const struct cdp_rec *r)
{
    const char *p = r->line;
    while (*p == ' ' || *p == '\t')
        p++;
    return *p == '{';
}

static bool holds_strings(struct cdp_val array)
{
    struct cdp_iter it = cdp_val_iter(array);
    while (cdp_iter_next(&it))
        if (it.val.type != CDP_STRING)
            return false;
    return true;
}

/* What a partial update changes.  A base's row is the outcome of all before: what its last record took away is gone. */
static int read_patch(const struct cdp_changes *c, const struct cdp_rec *r, struct cdp_change *change,
                      struct cdp_err *err)
{
    if (c->patch < 0 || change->kind > CDP_CHANGE_STATE)
        return 0;
    change->patch = r->fields[c->patch];
    if (change->patch.type != CDP_OBJECT && change->patch.type != CDP_NULL)
        return cdp_err_set(err, CDP_EXIT_DATA, "no object at %s", c->opts.patch);
    if (c->unset < 0 || change->kind == CDP_CHANGE_BASE || cdp_val_none(r->fields[c->unset]))
        return 0;
    change->unset = r->fields[c->unset];
    if (change->unset.type != CDP_ARRAY || !holds_strings(change->unset))
        return cdp_err_set(err, CDP_EXIT_DATA, "no array of names at %s", c->opts.unset);
    return 0;
}

static int read_all(const struct cdp_changes *c, const struct cdp_rec *r, bool base, struct cdp_buf *keys,
                    struct cdp_change *change, struct cdp_err *err)
{
    if (c->opts.fold && !is_object(r))
        return cdp_err_set(err, CDP_EXIT_DATA, "the record is no object");
    if (read_kind(c, r, base, &change->kind, err) < 0 ||
        encode(&c->key, r, keys, &change->key, &change->key_len, err) < 0 ||
        encode(&c->order, r, keys, &change->order, &change->order_len, err) < 0)
        return -1;
    cdp_buf_addc(keys, (char)change->kind);
    change->order_len++;
    if (cdp_buf_check(keys, err) < 0)
        return -1;
    change->hash = cdp_hash(keys->data + change->key, change->key_len);
    if (c->time >= 0) {
        change->when = r->fields[c->time];
        if (!cdp_time_from_val(change->when, CDP_TIME_RFC3339, &change->time))
            return cdp_err_set(err, CDP_EXIT_DATA, "no RFC 3339 time at %s", c->opts.time);
    }
    return read_patch(c, r, change, err);
}

int cdp_changes_read(const struct cdp_changes *c, const struct cdp_rec *r, bool base, struct cdp_buf *keys,
                     struct cdp_change *change, struct cdp_err *err)
{
    *change = (struct cdp_change){
        .line = r->line, .len = (uint32_t)r->len, .full = (uint32_t)r->full, .index = r->index};
    if (read_all(c, r, base, keys, change, err) < 0)
        return err->exit == CDP_EXIT_DATA ? CDP_REC_REJECT : -1;
    if (!c->opts.at || change->kind == CDP_CHANGE_FORGET || cdp_time_cmp(change->time, *c->opts.at) <= 0)
        return CDP_REC_KEEP;
    return base ? cdp_err_set(err, CDP_EXIT_DATA, "a row of the base is newer than --at") : CDP_REC_DROP;
}
