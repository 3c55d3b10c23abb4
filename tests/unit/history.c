/* history: objects laid over each other, and both folds against a plain model; changes are read by lib/change. */
#include "lib/history.h"

#include "lib/history_object.h"
#include "lib/mem.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t state = 1;

static unsigned draw(unsigned below)
{
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (unsigned)((z ^ z >> 31) % below);
}

static char dir[] = "/tmp/cdp-unit-XXXXXX", output[64];

/* ---- objects ---- */

static void lay(struct cdp_object *o, const char *over, const char *unset)
{
    struct cdp_err err;
    if (cdp_object_lay(o, cdp_val_text(over, strlen(over)), &err) < 0 ||
        cdp_object_unset(o, cdp_val_text(unset, strlen(unset)), &err) < 0)
        ok(false, "%s", err.msg);
}

static void is_object(const struct cdp_object *o, const char *want, const char *name)
{
    struct cdp_buf b = {0};
    cdp_object_emit(o, &b);
    cdp_buf_addc(&b, '\0');
    is(b.data, want, name);
    cdp_buf_free(&b);
}

static void objects(void)
{
    struct cdp_object o = {0};
    is_object(&o, "{}", "nothing is an empty object");
    lay(&o, "{ \"a\" : 1.10 , \"b\":[1, 2]}", "[]");
    is_object(&o, "{\"a\":1.10,\"b\":[1, 2]}", "members keep their bytes");
    lay(&o, "{\"c\":null,\"\\u0061\":2,\"c\":3}", "[]");
    is_object(&o, "{\"a\":2,\"b\":[1, 2],\"c\":3}", "names are decoded, the last of repeated ones counts");
    lay(&o, "null", "[ \"\\u0062\", \"nosuch\", \"b\" ]");
    is_object(&o, "{\"a\":2,\"c\":3}", "members are taken away");
    lay(&o, "{\"b\":1,\"\":{\"x\":1},\"a\\u0000\":0}", "[]");
    is_object(&o, "{\"a\":2,\"c\":3,\"b\":1,\"\":{\"x\":1},\"a\\u0000\":0}", "and come back at the end");
    lay(&o, "{}", "[\"a\",\"b\",\"c\",\"\",\"a\\u0000\"]");
    is_object(&o, "{}", "all can go");
    lay(&o, "{\"x\":1}", "[]");
    is_object(&o, "{\"x\":1}", "and others come");
    cdp_object_clear(&o);
    is_object(&o, "{}", "an object can be cleared");

    /* Against a table of what each of many names should be. */
    enum { NAMES = 500 };
    int value[NAMES], place[NAMES], places = 0;
    for (unsigned i = 0; i < NAMES; i++)
        value[i] = -1;
    char over[64], unset[64];
    for (int i = 0; i < 20000; i++) {
        unsigned n = draw(draw(50) ? NAMES : 7), gone = draw(NAMES);
        snprintf(over, sizeof over, "{\"%s%u\":%d}", n % 3 ? "n" : "\\u006e", n, i);
        snprintf(unset, sizeof unset, "[\"n%u\"]", gone);
        lay(&o, over, unset);
        if (value[n] < 0)
            place[n] = places++;
        value[n] = i;
        value[gone] = -1;
    }
    struct cdp_buf got = {0};
    cdp_object_emit(&o, &got);
    ok(o.bytes.len < 4 * got.len + 8192, "what was replaced is cleared away");
    struct cdp_iter it = cdp_val_iter(cdp_val_text(got.data, got.len));
    int count = 0, want = 0, last = -1, wrong = 0;
    while (cdp_iter_next(&it)) {
        unsigned n = (unsigned)strtoul(it.key.p + (it.key.p[1] == 'n' ? 2 : 7), NULL, 10);
        wrong += n >= NAMES || value[n] != (int)strtol(it.val.p, NULL, 10) || place[n] < last;
        last = n < NAMES ? place[n] : last;
        count++;
    }
    for (unsigned i = 0; i < NAMES; i++)
        want += value[i] >= 0;
    ok(count == want && wrong == 0, "many members, set and taken away at random");
    cdp_buf_free(&got);
    cdp_object_free(&o);
}

/* ---- events ---- */

struct event {
    unsigned key, time, order;
    enum cdp_change_kind kind;
    char *line;
    size_t len;
    char patch[8]; /* a letter and a digit for each member, 0 */
    char unset[4];
};

static void put_line(struct event *e)
{
    struct cdp_buf b = {0};
    cdp_buf_addf(&b, "{\"k\":%u,\"t\":\"2026-01-01T00:%02u:00Z\",\"o\":%u,", e->key, e->time, e->order);
    if (e->kind == CDP_CHANGE_STATE) {
        cdp_buf_adds(&b, "\"p\":{");
        for (const char *p = e->patch; *p; p += 2)
            cdp_buf_addf(&b, "%s\"%c\":%c", p == e->patch ? "" : ", ", p[0], p[1]);
        cdp_buf_adds(&b, "},\"u\":[");
        for (const char *p = e->unset; *p; p++)
            cdp_buf_addf(&b, "%s\"%c\"", p == e->unset ? "" : ",", *p);
        cdp_buf_adds(&b, "],");
    }
    cdp_buf_addf(&b, "\"d\":%s,\"f\":%s}", e->kind == CDP_CHANGE_DELETE ? "true" : "false",
                 e->kind == CDP_CHANGE_FORGET ? "true" : "false");
    e->len = b.len;
    cdp_buf_add(&b, "\n", 2); /* with a zero byte for the model */
    cdp_buf_grow(&b, CDP_PAD);
    e->line = b.data;
}

static struct event *make(size_t n, unsigned keys, unsigned orders, unsigned deletes, unsigned forgets)
{
    struct event *e = calloc(n, sizeof *e);
    for (size_t i = 0; i < n; i++) {
        e[i].key = draw(keys);
        e[i].order = draw(orders);
        e[i].time = e[i].order * 59 / orders;
        e[i].kind = deletes && draw(deletes) == 0   ? CDP_CHANGE_DELETE
                    : forgets && draw(forgets) == 0 ? CDP_CHANGE_FORGET
                                                    : CDP_CHANGE_STATE;
        for (unsigned j = 0, m = draw(4); j < m; j++) {
            e[i].patch[2 * j] = (char)('a' + draw(20));
            e[i].patch[2 * j + 1] = (char)('0' + draw(10));
        }
        for (unsigned j = 0, m = draw(3); j < m; j++)
            e[i].unset[j] = (char)('a' + draw(20));
        put_line(&e[i]);
    }
    return e;
}

static void free_events(struct event *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(e[i].line);
    free(e);
}

static int in_order(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return strcmp(x->line, y->line);
}

static void shuffle(struct event *e, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = draw((unsigned)i);
        struct event x = e[j];
        e[j] = e[i - 1];
        e[i - 1] = x;
    }
}

/* ---- the model: the letters of a state in the order in which they were set, with their digits ---- */

struct model_state {
    char text[64];
};

static void model_lay(struct model_state *s, const struct event *e)
{
    for (const char *p = e->patch; *p; p += 2) {
        char *at = s->text;
        while (*at && *at != p[0])
            at += 2;
        if (!*at)
            at[2] = '\0';
        at[0] = p[0];
        at[1] = p[1];
    }
    for (const char *p = e->unset; *p; p++)
        for (char *at = s->text; *at; at += 2)
            if (*at == *p) {
                memmove(at, at + 2, strlen(at + 2) + 1);
                break;
            }
}

static void model_row(const struct event *e, const struct model_state *s, struct cdp_buf *row)
{
    const char *from = strchr(strstr(e->line, "\"p\":"), '{'), *to = strchr(from, '}');
    cdp_buf_add(row, e->line, (size_t)(from - e->line) + 1);
    for (const char *p = s->text; *p; p += 2)
        cdp_buf_addf(row, "%s\"%c\":%c", p == s->text ? "" : ",", p[0], p[1]);
    cdp_buf_add(row, to, (size_t)(e->line + e->len - to));
}

static void model_time(const struct event *e, struct cdp_buf *row)
{
    cdp_buf_addf(row, "\"2026-01-01T00:%02u:00Z\"", e->time);
}

static void model(const struct event *all, size_t n, bool rows, bool tombstones, struct cdp_buf *want)
{
    struct event *e = malloc(n * sizeof *e);
    memcpy(e, all, n * sizeof *e);
    qsort(e, n, sizeof *e, in_order);
    struct model_state s;
    for (size_t i = 0, to; i < n; i = to) {
        size_t erased = i;
        for (to = i; to < n && e[to].key == e[i].key; to++)
            if (e[to].kind == CDP_CHANGE_FORGET)
                erased = to;
        s.text[0] = '\0';
        for (size_t j = erased; j < to; j++) {
            bool last = j + 1 == to;
            if (e[j].kind != CDP_CHANGE_STATE) {
                s.text[0] = '\0';
                if (last && tombstones && !rows)
                    cdp_buf_add(want, e[j].line, e[j].len + 1);
                continue;
            }
            model_lay(&s, &e[j]);
            if (!last && (!rows || e[j + 1].time == e[j].time))
                continue;
            model_row(&e[j], &s, want);
            if (rows) {
                want->len--;
                cdp_buf_adds(want, ",\"valid_from\":");
                model_time(&e[j], want);
                cdp_buf_adds(want, ",\"valid_to\":");
                if (last)
                    cdp_buf_adds(want, "null");
                else
                    model_time(&e[j + 1], want);
                cdp_buf_adds(want, last ? ",\"is_current\":true}" : ",\"is_current\":false}");
            }
            cdp_buf_addc(want, '\n');
        }
    }
    free(e);
}

/* ---- a run ---- */

struct fold {
    struct cdp_changes *changes;
    struct cdp_plan *plan;
    struct cdp_history *history;
    struct cdp_expr_scratch *scratch;
    struct cdp_val fields[16];
    struct cdp_buf keys, rejects;
    struct cdp_counts counts;
    struct cdp_err err;
    uint64_t added;
    bool bad;
};

static int reject(void *arg, const char *source, uint64_t line_no, const char *why, const char *line,
                  size_t len, struct cdp_err *err)
{
    struct fold *f = arg;
    (void)err;
    f->counts.rejected++;
    cdp_buf_addf(&f->rejects, "%s:%u: %s: ", source, (unsigned)line_no, why);
    cdp_buf_add(&f->rejects, line, len);
    cdp_buf_addc(&f->rejects, '\n');
    return 0;
}

static void fold_open(struct fold *f, bool rows, uint64_t memory)
{
    const struct cdp_change_opts change_opts = {.key = "k",
                                                .order = "t:time,o",
                                                .delete = ".d",
                                                .forget = ".f",
                                                .patch = "p",
                                                .unset = "u",
                                                .timed = true,
                                                .fold = true};
    const struct cdp_history_opts opts = {.sort = {.memory = memory, .tmpdir = dir, .threads = 2},
                                          .rows = rows,
                                          .patch = true,
                                          .reject = reject,
                                          .reject_arg = f};
    *f = (struct fold){.plan = cdp_plan_new(&f->err)};
    f->changes = cdp_changes_new(&change_opts, f->plan, &f->err);
    f->history = cdp_history_new(&opts, &f->err);
    f->scratch = cdp_expr_scratch_new(&f->err);
    f->bad = !f->changes || !f->history || !f->scratch || cdp_plan_width(f->plan) > 16;
}

static void fold_add(struct fold *f, const char *line, bool base)
{
    struct cdp_scan_fault fault;
    struct cdp_change c;
    const char *next = f->bad ? NULL : cdp_scan_line(f->plan, line, f->fields, &fault);
    if (!next) {
        f->bad = true;
        return;
    }
    const struct cdp_rec r = {.line = line,
                              .len = (size_t)(next - line) - 1,
                              .full = (size_t)(next - line),
                              .fields = f->fields,
                              .scratch = f->scratch};
    cdp_buf_clear(&f->keys);
    if (cdp_changes_read(f->changes, &r, base, &f->keys, &c, &f->err) != CDP_REC_KEEP ||
        cdp_history_add(f->history, &c, f->keys.data, ++f->added, &f->err) < 0)
        f->bad = true;
}

static void fold_close(struct fold *f, bool tombstones, struct cdp_buf *got)
{
    const struct cdp_time since = {0};
    struct cdp_out *o = cdp_out_open(output, false, &f->err);
    f->bad =
        f->bad || !o || cdp_history_write(f->history, o, tombstones ? &since : NULL, &f->counts, &f->err) < 0;
    if (o && cdp_out_close(o, &f->err) < 0)
        f->bad = true;
    int fd = open(output, O_RDONLY);
    char piece[4096];
    for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;)
        cdp_buf_add(got, piece, (size_t)n);
    close(fd);
    cdp_buf_grow(got, CDP_PAD);
    if (f->counts.out + f->counts.dropped + f->counts.rejected != f->added)
        f->bad = true;
    cdp_history_free(f->history);
    cdp_changes_free(f->changes);
    cdp_plan_free(f->plan);
    cdp_expr_scratch_free(f->scratch);
    cdp_buf_free(&f->keys);
}

static bool equal(const struct cdp_buf *got, const struct cdp_buf *want)
{
    size_t i = 0;
    while (i < got->len && i < want->len && got->data[i] == want->data[i])
        i++;
    if (i == got->len && i == want->len)
        return true;
    i = i > 100 ? i - 100 : 0;
    printf("# got  %.*s\n# want %.*s\n", (int)(got->len - i < 300 ? got->len - i : 300), got->data + i,
           (int)(want->len - i < 300 ? want->len - i : 300), want->data + i);
    return false;
}

static void folds(const char *name, size_t n, unsigned keys, unsigned orders, unsigned deletes,
                  unsigned forgets)
{
    struct event *e = make(n, keys, orders, deletes, forgets);
    for (int i = 0; i < 6; i++) {
        bool rows = i % 2, tombstones = i % 3;
        struct cdp_buf want = {0}, got = {0};
        struct fold f;
        model(e, n, rows, tombstones, &want);
        fold_open(&f, rows, i % 4 ? (uint64_t)1 << 24 : 0);
        cdp_history_source(f.history, "in", &f.err);
        shuffle(e, n);
        for (size_t j = 0; j < n; j++)
            fold_add(&f, e[j].line, false);
        fold_close(&f, tombstones, &got);
        ok(equal(&got, &want) && !f.bad && f.counts.rejected == 0, "%s: %s%s", name,
           rows ? "history rows" : "the last state", tombstones ? ", tombstones" : "");
        cdp_buf_free(&want);
        cdp_buf_free(&got);
        cdp_buf_free(&f.rejects);
    }
    free_events(e, n);
}

/* Orders below `cut` are folded first; what comes of it is the base of the rest.  Late ones come with the rest. */
static void bases(size_t n, unsigned keys, unsigned orders, unsigned forgets, unsigned late)
{
    struct event *e = make(n, keys, orders, 6, forgets);
    unsigned cut = orders / 2;
    struct cdp_buf want = {0}, base = {0}, got = {0};
    struct fold f;
    shuffle(e, n);
    model(e, n, false, true, &want);
    fold_open(&f, false, 1 << 24);
    cdp_history_source(f.history, "first", &f.err);
    size_t first = 0, withheld = 0;
    for (size_t i = 0; i < n; i++)
        if (e[i].order < cut && !(late && i % late == 0)) {
            fold_add(&f, e[i].line, false);
            first++;
        }
    fold_close(&f, true, &base);
    ok(!f.bad && first > 0, "a base of %zu records", first);
    fold_open(&f, false, 0);
    cdp_history_source(f.history, "base", &f.err);
    for (const char *p = base.data; p < base.data + base.len; p = strchr(p, '\n') + 1)
        fold_add(&f, p, true);
    cdp_history_source(f.history, "rest", &f.err);
    for (size_t i = 0; i < n; i++) {
        bool is_late = e[i].order < cut && late && i % late == 0;
        if (e[i].order >= cut || is_late)
            fold_add(&f, e[i].line, false);
        withheld += is_late;
    }
    fold_close(&f, true, &got);
    if (!late)
        ok(!f.bad && f.counts.rejected == 0 && equal(&got, &want), "and the rest are as all at once");
    else
        ok(!f.bad && f.counts.rejected > 0 && f.counts.rejected <= withheld &&
               strncmp(f.rejects.data, "rest:", 5) == 0 &&
               strstr(f.rejects.data, "older than the base's state"),
           "records that are too late are rejected: %u of %zu", (unsigned)f.counts.rejected, withheld);
    cdp_buf_free(&want);
    cdp_buf_free(&base);
    cdp_buf_free(&got);
    cdp_buf_free(&f.rejects);
    free_events(e, n);
}

/* What a few lines, those before `stream` from a base, are folded to, and what is rejected. */
static void few(const char *name, bool rows, int stream, const char *const *line, const char *want,
                const char *rejects)
{
    struct fold f;
    struct cdp_buf got = {0}, text = {0};
    fold_open(&f, rows, 0);
    cdp_history_source(f.history, "in", &f.err);
    size_t at[8], n = 0;
    for (; line[n]; n++) {
        at[n] = text.len;
        cdp_buf_addf(&text, "%s\n", line[n]);
    }
    cdp_buf_grow(&text, CDP_PAD);
    for (size_t i = 0; i < n; i++)
        fold_add(&f, text.data + at[i], (int)i < stream);
    fold_close(&f, false, &got);
    cdp_buf_addc(&got, '\0');
    cdp_buf_addc(&f.rejects, '\0');
    ok(!f.bad, "%s %s", name, f.err.msg);
    is(got.data, want, "  written");
    is(f.rejects.data, rejects, "  rejected");
    cdp_buf_free(&got);
    cdp_buf_free(&text);
    cdp_buf_free(&f.rejects);
}

#define LINE(time, order, rest) "{\"k\":1,\"t\":\"2026-01-0" #time "T00:00:00Z\",\"o\":" #order "," rest "}"
#define VALID(from, to, current)                                                                             \
    ",\"valid_from\":\"2026-01-0" #from "T00:00:00Z\",\"valid_to\":" to ",\"is_current\":" current "}\n"

static void cases(void)
{
    few("an update that is in the base is laid over it no second time", false, 1,
        (const char *[]){LINE(2, 1, "\"p\":{\"a\":1,\"b\":2}"), LINE(2, 1, "\"p\":{\"a\":9}"), NULL},
        LINE(2, 1, "\"p\":{\"a\":1,\"b\":2}") "\n", "");
    few("a delete of the same order as the base's state wins", false, 1,
        (const char *[]){LINE(2, 1, "\"p\":{\"a\":1}"), LINE(2, 1, "\"d\":true"), NULL}, "", "");
    few("a base that has a key twice", false, 2,
        (const char *[]){LINE(2, 1, "\"p\":{\"a\":1}"), LINE(3, 1, "\"p\":{\"b\":1}"), NULL},
        LINE(2, 1, "\"p\":{\"a\":1}") "\n",
        "in:2: the base has this key twice: " LINE(3, 1, "\"p\":{\"b\":1}") "\n");
    few("what the base's last update took away is not taken away again", false, 1,
        (const char *[]){LINE(2, 1, "\"p\":{\"a\":1},\"u\":[\"a\"]"), LINE(3, 1, "\"p\":{\"b\":1}"), NULL},
        LINE(3, 1, "\"p\":{\"a\":1,\"b\":1}") "\n", "");
    few("a late request to erase cannot be honoured in a base", false, 1,
        (const char *[]){LINE(2, 1, "\"p\":{\"a\":1}"), LINE(1, 1, "\"f\":true"), NULL},
        LINE(2, 1, "\"p\":{\"a\":1}") "\n",
        "in:2: older than the base's state of its key: partial updates then take a rebuild from all "
        "records: " LINE(1, 1, "\"f\":true") "\n");
    few("records of one instant have one row", true, 0,
        (const char *[]){LINE(2, 2, "\"p\":{\"b\":1}"), LINE(2, 1, "\"p\":{\"a\":1}"),
                         LINE(3, 1, "\"d\":true"), LINE(3, 2, "\"p\":{\"c\":1}"), NULL},
        "{\"k\":1,\"t\":\"2026-01-02T00:00:00Z\",\"o\":2,\"p\":{\"a\":1,\"b\":1}" VALID(
            2, "\"2026-01-03T00:00:00Z\"",
            "false") "{\"k\":1,\"t\":\"2026-01-03T00:00:00Z\",\"o\":2,\"p\":{\"c\":1}" VALID(3, "null",
                                                                                             "true"),
        "");
    few("white space at the end of an object, and after it", true, 0,
        (const char *[]){"{\"k\":1,\"t\":\"2026-01-02T00:00:00Z\",\"o\":1,\"p\":{ } \t} \t\r", NULL},
        "{\"k\":1,\"t\":\"2026-01-02T00:00:00Z\",\"o\":1,\"p\":{}" VALID(2, "null", "true"), "");
}

/* An order that does not begin with the time. */
static void time_goes_back(void)
{
    struct fold f;
    struct cdp_buf got = {0}, text = {0};
    const struct cdp_change_opts opts = {
        .key = "k", .order = "o", .time = "t", .delete = ".d", .forget = ".f", .timed = true, .fold = true};
    const struct cdp_history_opts how = {.rows = true, .reject = reject, .reject_arg = &f};
    f = (struct fold){.plan = cdp_plan_new(&f.err)};
    f.changes = cdp_changes_new(&opts, f.plan, &f.err);
    f.history = cdp_history_new(&how, &f.err);
    f.scratch = cdp_expr_scratch_new(&f.err);
    cdp_history_source(f.history, "in", &f.err);
    static const char *const line[] = {LINE(3, 1, "\"v\":1"),
                                       LINE(2, 2, "\"v\":2"),
                                       LINE(4, 3, "\"f\":true"),
                                       LINE(1, 4, "\"v\":3"),
                                       LINE(2, 5, "\"v\":4"),
                                       LINE(1, 6, "\"d\":true"),
                                       "{\"k\":2,\"t\":\"2026-01-01\",\"o\":1}",
                                       "{\"k\":2,\"t\":\"2026-01-02\",\"o\":1,\"f\":true}"};
    size_t at[8];
    for (size_t i = 0; i < 8; i++) {
        at[i] = text.len;
        cdp_buf_addf(&text, "%s\n", line[i]);
    }
    cdp_buf_grow(&text, CDP_PAD);
    for (size_t i = 0; i < 8; i++)
        fold_add(&f, text.data + at[i], false);
    fold_close(&f, false, &got);
    cdp_buf_addc(&got, '\0');
    cdp_buf_addc(&f.rejects, '\0');
    ok(!f.bad, "an order in which time goes back %s", f.err.msg);
    is(got.data,
       "{\"k\":1,\"t\":\"2026-01-01T00:00:00Z\",\"o\":4,\"v\":3" VALID(
           1, "\"2026-01-02T00:00:00Z\"",
           "false") "{\"k\":1,\"t\":\"2026-01-02T00:00:00Z\",\"o\":5,\"v\":4" VALID(2, "null", "true"),
       "  written: but what was erased does not matter");
    is(f.rejects.data,
       "in:6: its time is before that of the record before it in the order: " LINE(1, 6, "\"d\":true") "\n",
       "  rejected");
    cdp_buf_free(&got);
    cdp_buf_free(&text);
    cdp_buf_free(&f.rejects);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    snprintf(output, sizeof output, "%s/out", dir);
    cdp_hash_seed();
    objects();
    folds("one key", 300, 1, 50, 0, 0);
    folds("few keys, equal orders", 2000, 30, 5, 4, 8);
    folds("many keys", 20000, 3000, 1000, 5, 10);
    bases(5000, 300, 1000, 0, 0);
    bases(5000, 300, 1000, 10, 0);
    bases(5000, 300, 1000, 10, 7);
    cases();
    time_goes_back();
    unlink(output);
    rmdir(dir);
    return done();
}
