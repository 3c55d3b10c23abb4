/* agg: that no state depends on the order of records, on how they were split, nor on what was spilled. */
#include "lib/agg_impl.h"
#include "lib/atomic.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <unistd.h>

static struct cdp_err err;
static char path[] = "/tmp/cdp-unit-agg-XXXXXX";

struct run {
    struct cdp_agg *agg;
    struct cdp_plan *plan;
    struct cdp_expr_scratch *scratch;
    struct cdp_agg_worker *worker[4];
    unsigned workers;
    uint32_t rejected;
};

static bool start(struct run *r, struct cdp_agg_opts opts, const char *const *by, const char *const *items)
{
    *r = (struct run){
        .plan = cdp_plan_new(&err), .scratch = cdp_expr_scratch_new(&err), .workers = opts.threads};
    r->agg = cdp_agg_new(&opts, r->plan, &err);
    for (; *by; by++)
        if (cdp_agg_by(r->agg, *by, &err) < 0)
            return false;
    for (; *items; items++)
        if (cdp_agg_add(r->agg, *items, &err) < 0)
            return false;
    if (cdp_agg_start(r->agg, &err) < 0)
        return false;
    for (unsigned i = 0; i < r->workers; i++)
        r->worker[i] = cdp_agg_worker_new(r->agg, &err);
    return true;
}

/* Takes a line (which must end in '\n' and have room behind it) in. */
static void feed(struct run *r, unsigned worker, const char *line)
{
    struct cdp_val *fields = calloc(cdp_plan_width(r->plan) + 1, sizeof *fields);
    struct cdp_scan_fault fault;
    const char *next = cdp_scan_line(r->plan, line, fields, &fault);
    struct cdp_rec rec = {.line = line,
                          .len = (size_t)(next - line) - 1,
                          .full = (size_t)(next - line),
                          .fields = fields,
                          .scratch = r->scratch};
    int verdict = cdp_agg_record(r->worker[worker % r->workers], &rec, &err);
    r->rejected += verdict == CDP_REC_REJECT;
    if (verdict < 0)
        printf("# %s\n", err.msg);
    free(fields);
}

/* Ends the run; the rows, or NULL.  Free them. */
static char *rows(struct run *r)
{
    char *data = NULL;
    size_t n;
    bool good = true;
    for (unsigned i = 0; i < r->workers; i++) {
        good &= cdp_agg_flush(r->worker[i], &err) == 0;
        cdp_agg_worker_free(r->worker[i]);
    }
    struct cdp_out *out = cdp_out_open(path, false, &err);
    good = good && cdp_agg_finish(r->agg, out, &err) == 0 && cdp_out_close(out, &err) == 0;
    cdp_agg_free(r->agg);
    cdp_expr_scratch_free(r->scratch);
    cdp_plan_free(r->plan);
    if (good && cdp_read_file(path, &data, &n, &err) < 0)
        return NULL;
    return data;
}

/* Lines of the size that the scanner may read past. */
struct lines {
    char **line;
    size_t n;
};

static void add_line(struct lines *l, const char *text)
{
    l->line = realloc(l->line, (l->n + 1) * sizeof *l->line);
    size_t n = strlen(text);
    char *copy = calloc(1, n + 1 + CDP_PAD);
    memcpy(copy, text, n);
    copy[n] = '\n';
    l->line[l->n++] = copy;
}

static void free_lines(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->line[i]);
    free(l->line);
    *l = (struct lines){0};
}

static uint64_t state = 42;

static uint64_t random64(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 11;
}

static void shuffle(struct lines *l)
{
    for (size_t i = l->n; i > 1; i--) {
        size_t k = random64() % i;
        char *t = l->line[i - 1];
        l->line[i - 1] = l->line[k];
        l->line[k] = t;
    }
}

static const char *const no_key[] = {NULL};
static const char *const by_key[] = {"k", NULL};
static const char *const all_items[] = {"count()",
                                        "c=count(.v)",
                                        "sum(.n)",
                                        "avg(.n)",
                                        "stddev(.n)",
                                        "any(.v)",
                                        "all(.v)",
                                        "min(.v)",
                                        "max(.v)",
                                        "first(.v,.t)",
                                        "last(.v,.t,.n:desc)",
                                        "min_by(.v,.n)",
                                        "max_by(.v,.n)",
                                        "approx_count_distinct(.v)",
                                        "hll(.v,5,6)",
                                        "count_distinct(.v)",
                                        "mode(.v)",
                                        "top(.v,4)",
                                        "histogram(.n,0.5)",
                                        "h=histogram(.n,[-1,0,2.5])",
                                        "median(.n)",
                                        "quantile(.n,0.9)",
                                        "collect(.v,3)",
                                        "l=collect(.v,3,.t:desc)",
                                        "collect_distinct(.v,3)",
                                        "w=sum(.n) where .t == 3",
                                        NULL};

/* Records with few values in many spellings, and huge and tiny numbers among them. */
static void make_lines(struct lines *l, size_t n)
{
    static const char *const value[] = {"1",
                                        "1.0",
                                        "10e-1",
                                        "\"A\"",
                                        "\"\\u0041\"",
                                        "\"\"",
                                        "null",
                                        "true",
                                        "false",
                                        "[1,2]",
                                        "[1.0, 2]",
                                        "{\"a\":1,\"b\":2}",
                                        "{\"b\":2,\"a\":1.0}",
                                        "\"\\ud83d\"",
                                        "\"😀\"",
                                        "\"\\ud83d\\ude00\"",
                                        "-0",
                                        "0",
                                        "1e400",
                                        "\"a\\u0000b\"",
                                        "\"ab\""};
    static const char *const number[] = {
        "1",    "1.0", "-2.5", "0.1",    "1e20",  "-1e20",  "1e-30", "99999999999999999999",
        "null", "0",   "-0.0", "2.50e0", "3e300", "-3e300", "0.30",  "9223372036854775807"};
    char text[512];
    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "{\"k\":\"%d\",\"v\":%s,\"n\":%s,\"t\":%d}", (int)(random64() % 37),
                 value[random64() % (sizeof value / sizeof *value)],
                 number[random64() % (sizeof number / sizeof *number)], (int)(random64() % 5));
        add_line(l, text);
    }
}

static char *run_all(const struct lines *l, struct cdp_agg_opts opts, const char *const *by)
{
    struct run r;
    if (!start(&r, opts, by, all_items))
        printf("# %s\n", err.msg);
    for (size_t i = 0; i < l->n; i++)
        feed(&r, (unsigned)random64(), l->line[i]);
    return rows(&r);
}

static void split_lines(char *text, struct lines *l)
{
    for (char *p = text, *end; p && (end = strchr(p, '\n')); p = end + 1) {
        *end = 0;
        add_line(l, p);
    }
}

static void test_any_order(const char *const *by, const char *what)
{
    struct lines l = {0}, states = {0};
    struct cdp_agg_opts opts = {.memory = 1 << 30, .threads = 1};
    make_lines(&l, 3000);
    char *want = run_all(&l, opts, by), *got;
    for (int i = 0; i < 3; i++) {
        shuffle(&l);
        opts.threads = 1 + (unsigned)i;
        got = run_all(&l, opts, by);
        ok(want && got && strcmp(want, got) == 0, "%s: shuffled, %d workers", what, i + 1);
        free(got);
    }
    opts.memory = 1;
    got = run_all(&l, opts, by);
    ok(want && got && strcmp(want, got) == 0, "%s: everything spilled", what);
    free(got);

    /* In pieces of random sizes, each to a state; the states in two steps. */
    opts = (struct cdp_agg_opts){.memory = 1 << 30, .threads = 2, .partial = true};
    for (size_t from = 0, to; from < l.n; from = to) {
        to = from + 1 + random64() % 500;
        to = to < l.n ? to : l.n;
        struct lines piece = {l.line + from, to - from};
        got = run_all(&piece, opts, by);
        split_lines(got, &states);
        free(got);
    }
    shuffle(&states);
    opts.merge = true;
    struct lines half = {states.line, states.n / 2},
                 rest = {states.line + states.n / 2, states.n - states.n / 2}, two = {0};
    got = run_all(&half, opts, by);
    split_lines(got, &two);
    free(got);
    for (size_t i = 0; i < rest.n; i++) {
        char *line = strndup(rest.line[i], strcspn(rest.line[i], "\n"));
        add_line(&two, line);
        free(line);
    }
    opts.partial = false;
    got = run_all(&two, opts, by);
    ok(want && got && strcmp(want, got) == 0, "%s: %zu states merged in two steps", what, states.n);
    if (want && got && strcmp(want, got) != 0)
        printf("# want: %s\n# got: %s\n", want, got);
    free(got);
    free(want);
    free_lines(&l);
    free_lines(&states);
    free_lines(&two);
}

/* One group; the row. */
static void one(const char *const *items, const char *const *texts, const char *want, const char *what)
{
    struct lines l = {0};
    struct run r;
    if (!start(&r, (struct cdp_agg_opts){.memory = 1 << 20, .threads = 1}, no_key, items))
        printf("# %s\n", err.msg);
    for (; *texts; texts++)
        add_line(&l, *texts);
    for (size_t i = 0; i < l.n; i++)
        feed(&r, 0, l.line[i]);
    char *got = rows(&r);
    if (got)
        got[strcspn(got, "\n")] = 0;
    is(got, want, what);
    free(got);
    free_lines(&l);
}

#define LIST(...)                                                                                            \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

static void test_values(void)
{
    one(LIST("s=sum(n)"), LIST("{\"n\":0.1}", "{\"n\":0.2}"), "{\"s\":0.3}", "0.1 + 0.2");
    one(LIST("s=sum(n)"), LIST("{\"n\":9007199254740993}", "{\"n\":1}"), "{\"s\":9007199254740994}",
        "2^53 + 1 + 1");
    one(LIST("s=sum(n)"), LIST("{\"n\":1e40}", "{\"n\":1}", "{\"n\":-1e40}"), "{\"s\":1}",
        "what is lost in a double");
    one(LIST("s=sum(n)"), LIST("{\"n\":9223372036854775807}", "{\"n\":9223372036854775807}", "{\"n\":1e-18}"),
        "{\"s\":18446744073709551614.000000000000000001}", "past 64 bits");
    one(LIST("s=sum(n)"), LIST("{\"n\":null}", "{}"), "{\"s\":null}", "a sum of nothing is null");
    one(LIST("a=avg(n)"), LIST("{\"n\":1}", "{\"n\":2}", "{\"n\":2}"), "{\"a\":1.66666666666666667}",
        "18 digits of a mean");
    one(LIST("a=avg(n)"), LIST("{\"n\":1}", "{\"n\":2}"), "{\"a\":1.5}", "an exact mean");
    one(LIST("s=stddev(n)"),
        LIST("{\"n\":2}", "{\"n\":4}", "{\"n\":4}", "{\"n\":4}", "{\"n\":5}", "{\"n\":5}", "{\"n\":7}",
             "{\"n\":9}"),
        "{\"s\":2.13808993529939508}", "the sample's deviation");
    one(LIST("s=stddev(n)"), LIST("{\"n\":1000000000000000000000001}", "{\"n\":1000000000000000000000003}"),
        "{\"s\":1.41421356237309505}", "where squares cancel in a double");
    one(LIST("s=stddev(n)"), LIST("{\"n\":1}"), "{\"s\":null}", "no deviation of one value");
    one(LIST("a=min(v)", "b=max(v)"), LIST("{\"v\":1.0}", "{\"v\":1}", "{\"v\":10e-1}", "{\"v\":null}"),
        "{\"a\":1,\"b\":1}", "of equal values the least spelling");
    one(LIST("a=min(v)", "b=max(v)"), LIST("{\"v\":\"x\"}", "{\"v\":[]}", "{\"v\":false}", "{\"v\":9e99}"),
        "{\"a\":false,\"b\":[]}", "jq's order of types");
    one(LIST("a=min(v)", "b=max(v)"), LIST("{\"v\":\"a\\u0062\"}", "{\"v\":\"a\"}", "{\"v\":\"ab!\"}"),
        "{\"a\":\"a\",\"b\":\"ab!\"}", "a prefix is less, escaped or not");
    one(LIST("f=first(v,t)", "l=last(v,t)"),
        LIST("{\"v\":3,\"t\":2}", "{\"v\":null,\"t\":1}", "{\"v\":5,\"t\":9}", "{\"v\":6}"),
        "{\"f\":null,\"l\":5}", "null may be first; a record without the order's key takes no part");
    one(LIST("f=first(v,t:time)"),
        LIST("{\"v\":1,\"t\":\"2026-01-01T01:00:00+02:00\"}", "{\"v\":2,\"t\":\"2026-01-01T00:00:00Z\"}"),
        "{\"f\":1}", "times as instants");
    one(LIST("f=first(v,t)", "l=last(v,t)"),
        LIST("{\"v\":3,\"t\":2}", "{\"v\":1,\"t\":2}", "{\"v\":2,\"t\":2}"), "{\"f\":1,\"l\":3}",
        "ties go by value");
    one(LIST("t=top(v,2)", "m=mode(v)"),
        LIST("{\"v\":\"b\"}", "{\"v\":\"a\"}", "{\"v\":\"c\"}", "{\"v\":\"c\"}"),
        "{\"t\":[{\"value\":\"c\",\"count\":2},{\"value\":\"a\",\"count\":1}],\"m\":\"c\"}",
        "of equal counts the least value");
    one(LIST("d=count_distinct(v)", "a=approx_count_distinct(v)"),
        LIST("{\"v\":1}", "{\"v\":1.0}", "{\"v\":\"1\"}", "{\"v\":\"\\u0031\"}", "{\"v\":true}",
             "{\"v\":[1]}", "{\"v\":[1.0]}", "{\"v\":null}"),
        "{\"d\":4,\"a\":4}", "values, not spellings");
    one(LIST("m=median(n)"), LIST("{\"n\":3}", "{\"n\":1.50}", "{\"n\":7}", "{\"n\":1e2}"), "{\"m\":3}",
        "a median in its own bytes");
    one(LIST("h=histogram(n,0.1)"), LIST("{\"n\":0.3}", "{\"n\":0.29999}", "{\"n\":-0.05}"),
        "{\"h\":[{\"from\":-0.1,\"to\":0,\"count\":1},{\"from\":0.2,\"to\":0.3,\"count\":1},{\"from\":0.3,"
        "\"to\":0.4,\"count\":1}]}",
        "bins at 0.3 are exact");
    one(LIST("h=histogram(n,1)"), LIST("{\"n\":2.99999999999999999999999999999999999999999999999999}"),
        "{\"h\":[{\"from\":2,\"to\":3,\"count\":1}]}",
        "a quotient that rounds up to the next bin stays in its own");
    one(LIST("c=collect(v,2,t:desc)"), LIST("{\"v\":1,\"t\":1}", "{\"v\":3,\"t\":3}", "{\"v\":2,\"t\":2}"),
        "{\"c\":[3,2]}", "collected by an order");
    one(LIST("c=collect_distinct(v,3)"),
        LIST("{\"v\":2}", "{\"v\":1.0}", "{\"v\":1}", "{\"v\":2}", "{\"v\":0}", "{\"v\":9}"),
        "{\"c\":[0,1,2]}", "collected once");
    one(LIST("a=any(v)", "b=all(v)"), LIST("{\"v\":null}", "{\"v\":0}"), "{\"a\":true,\"b\":false}",
        "0 is true, null is not");
}

static void test_refused(void)
{
    struct run r;
    struct lines l = {0};
    add_line(&l, "{\"n\":\"1\"}");
    add_line(&l, "{\"n\":1e7000}");
    add_line(&l, "{\"n\":[1]}");
    add_line(&l, "{\"n\":2}");
    if (!start(&r, (struct cdp_agg_opts){.memory = 1 << 20, .threads = 1}, no_key,
               LIST("count()", "sum(n)", "max(n)")))
        printf("# %s\n", err.msg);
    for (size_t i = 0; i < l.n; i++)
        feed(&r, 0, l.line[i]);
    uint32_t rejected = r.rejected;
    char *got = rows(&r);
    ok(rejected == 3, "text, a number past arithmetic and an array are no numbers");
    is(got, "{\"count\":1,\"sum_n\":2,\"max_n\":2}\n", "nothing of a refused record is counted");
    free(got);
    free_lines(&l);
}

static bool shape(const char *s, const char *json)
{
    char text[128] = {0};
    memcpy(text, json, strlen(json));
    return cdp_agg_shape(s, cdp_val_text(text, strlen(json)));
}

static void test_shapes(void)
{
    ok(shape("i", "12") && !shape("i", "-1") && !shape("i", "1.0") && !shape("i", "1e3") &&
           !shape("i", "\"1\"") && !shape("i", "1234567890123456789") && shape("i", "0") &&
           !shape("n", "0") && shape("n", "10"),
       "integers");
    ok(shape("d", "-1.5e3") && shape("d", "null") && !shape("d", "1e9000") && !shape("d", "true"), "numbers");
    ok(shape("?(xv)", "null") && shape("?(xv)", "[\"00fe\",null]") && !shape("?(xv)", "[\"0\",1]") &&
           !shape("?(xv)", "[\"0g\",1]") && !shape("?(xv)", "[\"00\"]") && !shape("?(xv)", "[\"00\",1,2]"),
       "pairs");
    ok(shape("*(vi)", "[]") && shape("*(vi)", "[[1,2],[null,3]]") && !shape("*(vi)", "[[1,2],[3]]") &&
           !shape("*(vi)", "{}"),
       "lists of pairs");
    ok(shape("*k", "[1e9000,[null,{\"a\":-1E-7}]]") && !shape("*k", "[1e99999999999999999999]") &&
           !shape("*k", "[[{\"a\":1e99999999999999999999}]]") && shape("*k", "[\"1e99999999999999999999\"]"),
       "values that can be keys");
    ok(shape("b", "true") && !shape("b", "null"), "truth");
}

static void test_operands(void)
{
    ok(cdp_agg_operand("count()") && cdp_agg_operand("n=count()") &&
           cdp_agg_operand("sum(.a) where .b == \"x)\"") && cdp_agg_operand("sum(.a") &&
           cdp_agg_operand("wrong(.a)"),
       "aggregates");
    ok(!cdp_agg_operand("count") && !cdp_agg_operand("data(1).ndjson") && !cdp_agg_operand("-") &&
           !cdp_agg_operand("./count()") && !cdp_agg_operand("a=b.ndjson") && !cdp_agg_operand(""),
       "files");
}

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    cdp_hash_seed();
    test_operands();
    test_shapes();
    test_values();
    test_refused();
    test_any_order(no_key, "one group");
    test_any_order(by_key, "37 groups");
    unlink(path);
    return done();
}
