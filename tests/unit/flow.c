/* The record loop: blocks in input order whatever the threads, rejects where they belong, a bad record that stops the run
 * exactly there, --where, --max-rejects and --stats, blocks of raw lines, live input, and the sequential reader.
 *
 * --max-record bounds the block, too, so a small one makes many blocks of few lines. */
#include "lib/flow.h"
#include "tap.h"

#include "files.h"

#include <signal.h>
#include <sys/wait.h>

static struct cdp_err err;

/* ---- a tool: passes records on; .v says what else is to become of one ---- */

struct options {
    struct cdp_common common;
};

static const struct cdp_opt table[] = {
    CDP_OPT_WHERE, CDP_OPT_REJECTS, CDP_OPT_THREADS, CDP_OPT_MAX_RECORD, CDP_OPT_OUTPUT, CDP_OPT_ALWAYS, {0}};
static const struct cdp_tool spec = {
    .name = "cdp-t", .summary = "Test.", .usage = "[FILE]...", .opts = table};

struct tool {
    struct options opt;
    struct cdp_flow flow;
    int slot;
    uint64_t begins, ends;
    uint64_t applied, lines, afters; /* blocks, and what is in turn only: no lock guards it */
    bool order;                      /* blocks came in order */
    uint64_t seq;
    int opened, closed, idles;
};

struct item {
    const char *line;
    size_t len;
    uint32_t index;
    size_t at, n; /* of the batch's bytes */
};

static bool v_is(const struct cdp_rec *r, int slot, const char *text)
{
    struct cdp_val v = r->fields[slot];
    return v.type == CDP_STRING && cdp_val_str_eq(v, text, strlen(text));
}

/* Keeps what it is to apply as an item and, a second time, in the batch's bytes. */
static int record(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *e)
{
    struct tool *t = tool;
    struct item *item = r->item;
    *item = (struct item){r->line, r->full, r->index, b->bytes.len, r->len};
    cdp_buf_add(&b->bytes, r->line, r->len);
    if (v_is(r, t->slot, "slow")) /* so that another thread gets to wait for input meanwhile */
        usleep(100000);
    if (v_is(r, t->slot, "ask"))
        raise(SIGUSR1);
    if (v_is(r, t->slot, "drop"))
        return CDP_REC_DROP;
    if (v_is(r, t->slot, "reject")) {
        cdp_err_set(e, CDP_EXIT_DATA, "unusable");
        return CDP_REC_REJECT;
    }
    if (v_is(r, t->slot, "fatal"))
        return cdp_err_set(e, CDP_EXIT_IO, "no more of this");
    return CDP_REC_KEEP;
}

static int apply(void *tool, struct cdp_batch *b, struct cdp_err *e)
{
    struct tool *t = tool;
    t->applied++;
    t->lines += b->lines;
    t->order &= b->block.seq == t->seq++;
    const struct item *item = b->item;
    for (size_t i = 0; i < b->items; i++) {
        const struct item *it = &item[i];
        t->order &= memcmp(b->bytes.data + it->at, it->line, it->n) == 0;
        if (it->len > 8 && memcmp(it->line + it->len - 8, "\"late\"}\n", 8) == 0) {
            if (cdp_batch_reject(b, it->index, "late", "too late", it->line, it->n, e) < 0)
                return -1;
        } else if (cdp_batch_emit(b, it->line, it->len, 1, e) < 0) {
            return -1;
        }
    }
    return 0;
}

static int after(void *tool, struct cdp_batch *b, struct cdp_err *e)
{
    struct tool *t = tool;
    (void)b, (void)e;
    __atomic_fetch_add(&t->afters, 1, __ATOMIC_RELAXED);
    return 0;
}

static int idle(void *tool, struct cdp_err *e)
{
    struct tool *t = tool;
    (void)e;
    t->idles++;
    return 0;
}

static int worker_open(void *tool, void **worker, struct cdp_err *e)
{
    struct tool *t = tool;
    (void)e;
    *worker = &t->opened;
    t->opened++;
    return 0;
}

static void worker_close(void *tool, void *worker)
{
    struct tool *t = tool;
    t->closed += worker == &t->opened;
}

static const struct cdp_flow_ops ops = {.item_size = sizeof(struct item),
                                        .record = record,
                                        .apply = apply,
                                        .after = after,
                                        .idle = idle,
                                        .worker_open = worker_open,
                                        .worker_close = worker_close};

static int begin(void *tool, struct cdp_batch *b, struct cdp_err *e)
{
    struct tool *t = tool;
    (void)b, (void)e;
    __atomic_fetch_add(&t->begins, 1, __ATOMIC_RELAXED);
    return 0;
}

static int end(void *tool, struct cdp_batch *b, struct cdp_err *e)
{
    struct tool *t = tool;
    (void)b, (void)e;
    __atomic_fetch_add(&t->ends, 1, __ATOMIC_RELAXED);
    return 0;
}

/* The same without items, emitting from record. */
static int record_emits(void *tool, struct cdp_batch *b, const struct cdp_rec *r, struct cdp_err *e)
{
    struct tool *t = tool;
    if (v_is(r, t->slot, "drop"))
        return CDP_REC_DROP;
    return cdp_batch_emit(b, r->line, r->full, 1, e) < 0 ? -1 : CDP_REC_KEEP;
}

static const struct cdp_flow_ops emitting = {.begin = begin,
                                             .record = record_emits,
                                             .end = end,
                                             .worker_open = worker_open,
                                             .worker_close = worker_close};
static const struct cdp_flow_ops counting = {.every = true};

/* Raw lines: each goes out behind its number. */
static int block(void *tool, struct cdp_batch *b, struct cdp_err *e)
{
    (void)tool, (void)e;
    uint64_t line = b->first_line;
    cdp_buf_clear(&b->bytes);
    for (const char *p = b->block.data, *end = p + b->block.len; p < end; line++) {
        const char *next = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
        cdp_buf_addf(&b->bytes, "%llu:", (unsigned long long)line);
        cdp_buf_add(&b->bytes, p, (size_t)(next - p));
        p = next;
    }
    return 0;
}

static int apply_bytes(void *tool, struct cdp_batch *b, struct cdp_err *e)
{
    (void)tool;
    return cdp_batch_emit(b, b->bytes.data, b->bytes.len, b->lines, e);
}

static const struct cdp_flow_ops raw = {.block = block, .apply = apply_bytes};

/* ---- running it ---- */

#define MAX_ARGS 20

static struct tool t;
static const struct cdp_flow_ops *first_ops; /* over the file "against", before the run; or NULL */

/* Runs it over a command line; what it says goes to the file "said".  The exit status. */
static int run(const struct cdp_flow_ops *o, const char *const *args)
{
    char *argv[MAX_ARGS + 2] = {(char *)(uintptr_t) "cdp-t"};
    int argc = 1;
    for (; args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    fflush(stdout);
    int old = dup(2), fd = open("said", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(fd, 2);
    t = (struct tool){.order = true};
    err = (struct cdp_err){0};
    static const char *const against[] = {"against"};
    int rc = cdp_flow_begin(&t.flow, &spec, argc, argv, &t.opt, &err);
    if (rc == 1) {
        t.slot = cdp_plan_add_text(t.flow.plan, "v", &err);
        rc = t.slot < 0 ? -1 : cdp_flow_open(&t.flow, &err);
        if (rc == 0 && first_ops)
            rc = cdp_flow_run(&t.flow, first_ops, &t, against, 1, &err);
        if (rc == 0)
            rc = cdp_flow_run(&t.flow, o, &t, NULL, 0, &err);
    }
    int status = cdp_flow_end(&t.flow, rc, &err);
    dup2(old, 2);
    close(old);
    close(fd);
    return status;
}

#define RUN(o, ...) run(o, (const char *const[]){__VA_ARGS__, NULL})

/* A run over "in" with -o out, with so many threads and blocks of so many bytes. */
static int run_with(const struct cdp_flow_ops *o, unsigned threads, unsigned size, const char *more,
                    const char *file)
{
    char n[24], bytes[24];
    snprintf(n, sizeof n, "%u", threads);
    snprintf(bytes, sizeof bytes, "%u", size);
    unlink("out");
    unlink("rej");
    if (more)
        return RUN(o, "--threads", n, "--max-record", bytes, "-o", "out", "in", more, file);
    return RUN(o, "--threads", n, "--max-record", bytes, "-o", "out", "in");
}

static const unsigned threads[] = {1, 2, 3, 8, 64}, sizes[] = {60, 100, 1000, 100000};

static bool same(const char *path, const struct cdp_buf *want)
{
    size_t n;
    char *got = file_get(path, &n);
    bool good = want->len == 0 ? !got || n == 0 : got && n == want->len && memcmp(got, want->data, n) == 0;
    free(got);
    return good;
}

/* ---- order ---- */

static void order(void)
{
    struct cdp_buf text = {0};
    size_t wrong = 0, runs = 0;
    for (int i = 0; i < 3000; i++)
        cdp_buf_addf(&text, "{\"n\":%d,\"pad\":\"%.*s\"}\n", i, i * 7 % 31,
                     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    file_put("in", text.data, text.len);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 4; j++, runs += 2) {
            bool good = run_with(&ops, threads[i], sizes[j], NULL, NULL) == 0 && same("out", &text) &&
                        t.order && t.lines == 3000 && t.afters == t.applied &&
                        t.opened == (threads[i] > 1 ? 2 * (int)threads[i] : 1) && t.closed == t.opened &&
                        (sizes[j] > 100 || t.applied > 500);
            good &= t.flow.counts.in == 3000 && t.flow.counts.out == 3000 &&
                    t.flow.counts.bytes_in == text.len && t.flow.counts.bytes_out == text.len;
            wrong += !good;
            good = run_with(&emitting, threads[i], sizes[j], NULL, NULL) == 0 && same("out", &text) &&
                   t.order && t.begins == t.ends && (sizes[j] > 100 || t.ends > 500) &&
                   t.opened == (int)threads[i] && t.closed == t.opened;
            wrong += !good;
        }
    ok(wrong == 0, "blocks are applied in order, emitted from apply or from record: %zu runs, %zu wrong",
       runs, wrong);

    struct cdp_buf want = {0};
    wrong = 0;
    const char *p = text.data;
    for (int i = 1; i <= 3000; i++) {
        const char *next = (const char *)memchr(p, '\n', 200) + 1;
        cdp_buf_addf(&want, "%d:", i);
        cdp_buf_add(&want, p, (size_t)(next - p));
        p = next;
    }
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 4; j++)
            wrong += run_with(&raw, threads[i], sizes[j], NULL, NULL) != 0 || !same("out", &want);
    ok(wrong == 0, "blocks of raw lines know their numbers: %zu wrong", wrong);
    cdp_buf_free(&want);
    cdp_buf_free(&text);
}

/* ---- rejects ---- */

/* Lines of which some are no records, some are dropped, some are rejected in either place; what must come of them. */
static void mixed(struct cdp_buf *in, struct cdp_buf *out, struct cdp_buf *rejects, struct cdp_counts *counts)
{
    *counts = (struct cdp_counts){0};
    for (unsigned i = 1; i <= 2000; i++) {
        char line[100];
        const char *error = NULL, *rule = "record", *byte = "null";
        switch (i * 2654435761u >> 28) {
        case 0:
            cdp_buf_adds(in, i % 2 ? "\n" : " \t\r\n");
            counts->blank++;
            continue;
        case 1:
            snprintf(line, sizeof line, "{\"n\":%u,\"v\":}", i);
            error = "expected a value";
            rule = "json";
            byte = i < 10 ? "12" : i < 100 ? "13" : i < 1000 ? "14" : "15";
            break;
        case 2:
            snprintf(line, sizeof line, "{\"n\":%u,\"v\":\"reject\"}", i);
            error = "unusable";
            break;
        case 3:
            snprintf(line, sizeof line, "{\"n\":%u,\"v\":\"late\"}", i);
            error = "too late";
            rule = "late";
            break;
        case 4:
            snprintf(line, sizeof line, "{\"n\":%u,\"v\":\"drop\"}", i);
            cdp_buf_addf(in, "%s\n", line);
            counts->in++;
            counts->dropped++;
            continue;
        default:
            snprintf(line, sizeof line, "{\"n\":%u,\"v\":\"x\"}", i);
            cdp_buf_addf(in, "%s\n", line);
            cdp_buf_addf(out, "%s\n", line);
            counts->in++;
            counts->out++;
            continue;
        }
        counts->in++;
        counts->rejected++;
        cdp_buf_addf(in, "%s\n", line);
        cdp_buf_addf(rejects,
                     "{\"error\":\"%s\",\"rule\":\"%s\",\"source\":\"in\",\"line\":%u,\"byte\":%s,\"raw\":\"",
                     error, rule, i, byte);
        for (const char *p = line; *p; p++)
            cdp_buf_addf(rejects, *p == '"' ? "\\%c" : "%c", *p);
        cdp_buf_adds(rejects, "\"}\n");
    }
}

static void rejects(void)
{
    struct cdp_buf in = {0}, out = {0}, rej = {0};
    struct cdp_counts want;
    mixed(&in, &out, &rej, &want);
    file_put("in", in.data, in.len);
    size_t wrong = 0;
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 4; j++) {
            bool good = run_with(&ops, threads[i], sizes[j], "--rejects", "rej") == 0 && same("out", &out) &&
                        same("rej", &rej);
            const struct cdp_counts *c = &t.flow.counts;
            good &= c->in == want.in && c->out == want.out && c->dropped == want.dropped &&
                    c->rejected == want.rejected && c->blank == want.blank &&
                    c->in == c->out + c->dropped + c->rejected;
            wrong += !good;
        }
    ok(wrong == 0, "rejects stand in the order of the input, and counts agree: %zu wrong", wrong);
    char said[100];
    snprintf(said, sizeof said, "cdp-t: %llu of %llu records rejected, see rej\n",
             (unsigned long long)want.rejected, (unsigned long long)want.in);
    ok(file_holds("said", said), "the count is said at the end");
    cdp_buf_free(&in);
    cdp_buf_free(&out);
    cdp_buf_free(&rej);

    file_put("odd \xff name", "{\"a\":\"\xc3\"}\n{\"a\":\"\xc3\xa9\x01\"}\r\n", 23);
    unlink("rej");
    ok(RUN(&ops, "-q", "--rejects", "rej", "odd \xff name", "-o", "out") == 0 &&
           file_holds(
               "rej",
               "{\"error\":\"invalid UTF-8\",\"rule\":\"json\",\"source\":\"odd \\udcff name\",\"line\":1,"
               "\"byte\":7,\"raw_base64\":\"eyJhIjoiwyJ9\"}\n"
               "{\"error\":\"raw control character in a string\",\"rule\":\"json\",\"source\":\"odd \\udcff "
               "name\",\"line\":2,\"byte\":9,\"raw\":\"{\\\"a\\\":\\\"\xc3\xa9\\u0001\\\"}\"}\n"),
       "what is not UTF-8 is JSON all the same");
    ok(file_holds("said", ""), "-q says nothing");
}

/* Without --rejects the run ends at the first bad record, and what was before it has been done. */
static void bad_records(void)
{
    static const struct {
        const char *line, *said;
        int status;
    } cases[] = {
        {"{\"n\":x}", "cdp-t: in:%u:6: expected a value\n", 1},
        {"{\"n\":1,\"v\":\"reject\"}", "cdp-t: in:%u: unusable\n", 1},
        {"{\"n\":1,\"v\":\"late\"}", "cdp-t: in:%u: too late\n", 1},
    };
    size_t wrong = 0, runs = 0;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (unsigned at = 1; at < 400; at += 57) {
            struct cdp_buf in = {0};
            size_t before = 0;
            for (unsigned i = 1; i < 500; i++) {
                if (i == at)
                    before = in.len;
                if (i == at || i == at + 1 || i == at + 40)
                    cdp_buf_addf(&in, "%s\n", cases[c].line);
                else
                    cdp_buf_addf(&in, i % 50 == 49 ? "\n" : "{\"n\":%u,\"v\":\"x\"}\n", i);
            }
            file_put("in", in.data, in.len);
            for (size_t i = 0; i < 5; i++)
                for (size_t j = 0; j < 4; j++, runs++) {
                    /* the output is no file that appears whole, so that what was written is seen */
                    char said[200], n[24], size[24], *got;
                    size_t len;
                    snprintf(said, sizeof said, cases[c].said, at);
                    snprintf(n, sizeof n, "%u", threads[i]);
                    snprintf(size, sizeof size, "%u", sizes[j]);
                    fflush(stdout);
                    int old = dup(1), fd = open("std", O_WRONLY | O_CREAT | O_TRUNC, 0666);
                    dup2(fd, 1);
                    int status = RUN(&ops, "--threads", n, "--max-record", size, "in");
                    dup2(old, 1);
                    close(old);
                    close(fd);
                    bool good = status == cases[c].status && file_holds("said", said);
                    got = file_get("std", &len);
                    struct cdp_buf want = {0};
                    for (const char *p = in.data; p < in.data + before;) {
                        const char *next = (const char *)memchr(p, '\n', 200) + 1;
                        if (next > p + 1)
                            cdp_buf_add(&want, p, (size_t)(next - p));
                        p = next;
                    }
                    good &= len == want.len && (len == 0 || memcmp(got, want.data, len) == 0);
                    if (!good && wrong++ < 3)
                        printf("# case %zu at %u, %s threads, blocks of %s: status %d, %zu bytes of %zu\n", c,
                               at, n, size, status, len, want.len);
                    cdp_buf_free(&want);
                    free(got);
                }
            cdp_buf_free(&in);
        }
    ok(wrong == 0, "a bad record stops the run exactly there: %zu runs, %zu wrong", runs, wrong);

    file_puts("in", "{\"v\":\"x\"}\n{\"v\":\"fatal\"}\n");
    file_puts("out", "old\n");
    ok(RUN(&ops, "-o", "out", "in") == 3 && file_holds("said", "cdp-t: no more of this\n") &&
           file_holds("out", "old\n"),
       "a failure that is no record's keeps its status, and the old output");
    ok(RUN(&ops, "-o", "out", "in", "missing") == 3 && file_holds("out", "old\n"), "as does a missing input");
}

static void thresholds(void)
{
    static const struct {
        const char *max;
        int status;
        const char *said;
    } cases[] = {
        {"3", 0, "cdp-t: 3 of 10 records rejected, see rej\n"},
        {"2", 1, "cdp-t: 3 of 10 records rejected, more than --max-rejects 2\n"},
        {"0", 1, "cdp-t: 3 of 10 records rejected, more than --max-rejects 0\n"},
        {"30%", 0, "cdp-t: 3 of 10 records rejected, see rej\n"},
        {"29%", 1, "cdp-t: 3 of 10 records rejected, more than --max-rejects 29%\n"},
        {"100%", 0, "cdp-t: 3 of 10 records rejected, see rej\n"},
        {"101%", 2, "cdp-t: --max-rejects takes N or P%, not '101%'\n"},
        {"", 2, "cdp-t: --max-rejects takes N or P%, not ''\n"},
        {"%", 2, "cdp-t: --max-rejects takes N or P%, not '%'\n"},
        {"-1", 2, "cdp-t: --max-rejects takes N or P%, not '-1'\n"},
        {"1K", 2, "cdp-t: --max-rejects takes N or P%, not '1K'\n"},
    };
    file_puts("in", "1\nx\n2\n{\n3\n4\n5\n6\n]\n7\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_puts("out", "old\n");
        int status = RUN(&ops, "-o", "out", "--rejects", "rej", "--max-rejects", cases[i].max, "in");
        ok(status == cases[i].status && file_holds("said", cases[i].said) &&
               file_holds("out", status ? "old\n" : "1\n2\n3\n4\n5\n6\n7\n"),
           "--max-rejects '%s'", cases[i].max);
    }
    ok(RUN(&ops, "-o", "out", "--max-rejects", "1", "in") == 2 &&
           file_holds("said", "cdp-t: --max-rejects needs --rejects FILE\n"),
       "--max-rejects without a file");
}

/* ---- where, stats, several runs ---- */

static void wheres(void)
{
    file_puts("in", "{\"a\":1,\"v\":1}\n\n{\"a\":2,\"v\":2}\n{\"a\":\"x\"}\n");
    ok(RUN(&ops, "-o", "out", "--where", ".a == 2", "in") == 0 && file_holds("out", "{\"a\":2,\"v\":2}\n") &&
           t.flow.counts.in == 3 && t.flow.counts.out == 1 && t.flow.counts.dropped == 2 &&
           t.flow.counts.blank == 1,
       "--where drops");
    unlink("rej");
    ok(RUN(&ops, "-q", "-o", "out", "--where", "(.a + 1) == 2", "--rejects", "rej", "in") == 0 &&
           file_holds("out", "{\"a\":1,\"v\":1}\n") && t.flow.counts.rejected == 1 &&
           t.flow.counts.dropped == 1,
       "an expression that fails on a record rejects it");
    ok(RUN(&ops, "-o", "out", "--where", ".a ==", "in") == 2, "a bad expression is an error of usage");
    file_puts("against", "{\"a\":1}\nx\n\n{\"a\":2}\n");
    first_ops = &counting;
    unlink("rej");
    ok(RUN(&ops, "-q", "-o", "out", "--where", ".a == 2", "--rejects", "rej", "in") == 0 &&
           file_holds("out", "{\"a\":2,\"v\":2}\n") && t.flow.counts.in == 6 && t.flow.counts.dropped == 2 &&
           t.flow.counts.rejected == 1 && t.flow.counts.blank == 2,
       "a dataset to compare with is not chosen from");
    ok(RUN(&ops, "-o", "out", "in") == 1 && file_holds("said", "cdp-t: against:2:1: expected a value\n"),
       "and its lines have numbers of their own");
    first_ops = NULL;
}

static void line_numbers(void)
{
    file_puts("one", "1\n\n2");
    file_puts("two", "\xEF\xBB\xBF"
                     "3\n[}\n");
    ok(RUN(&ops, "-o", "out", "one", "one", "two") == 1 &&
           file_holds("said", "cdp-t: two:2:2: expected a value\n"),
       "lines are counted in each file");
    ok(RUN(&raw, "-o", "out", "one", "one", "two") == 0 &&
           file_holds("out", "1:1\n2:\n3:2\n1:1\n2:\n3:2\n1:3\n2:[}\n"),
       "raw ones, too");
}

static void stats(void)
{
    file_puts("in", "1\nx\n\n{\"v\":\"drop\"}\n{\"v\":\"late\"}\n5\n");
    unlink("stats");
    unlink("rej");
    setenv("CDP_RUN_ID", "run \"1\"", 1);
    ok(RUN(&ops, "-q", "-o", "out", "--rejects", "rej", "--stats", "stats", "in") == 0, "a run with --stats");
    unsetenv("CDP_RUN_ID");
    ok(RUN(&ops, "-q", "-o", "out", "--rejects", "rej", "--stats", "stats", "in") == 0, "and another");
    size_t n;
    char *text = file_get("stats", &n);
    const char *first =
        "{\"tool\":\"cdp-t\",\"version\":\"" CDP_VERSION "\",\"run_id\":\"run \\\"1\\\"\",\"in\":5,\"out\":2,"
        "\"dropped\":1,\"rejected\":2,\"blank\":1,\"bytes_in\":33,\"bytes_out\":4,\"seconds\":";
    const char *second = text ? strchr(text, '\n') : NULL;
    ok(text && strncmp(text, first, strlen(first)) == 0, "counts of the first");
    ok(second && strstr(second, "\"run_id\":null,\"in\":5,") && text[n - 1] == '\n' &&
           strchr(second + 1, '\n') == text + n - 1,
       "a line each");
    struct cdp_scan_fault fault;
    ok(second && cdp_scan_document(NULL, text, (size_t)(second - text), NULL, &fault), "which is JSON");
    free(text);
    setenv("CDP_RUN_ID", "\xff", 1);
    unlink("stats");
    ok(RUN(&ops, "-q", "-o", "out", "--rejects", "rej", "--stats", "stats", "in") == 0 &&
           (text = file_get("stats", &n)) && cdp_scan_document(NULL, text, n, NULL, &fault),
       "whatever the run is called");
    free(text);
    unsetenv("CDP_RUN_ID");
    ok(RUN(&ops, "-o", "out", "--stats", "no/such", "in", "--rejects", "rej") == 3,
       "a log that cannot be written");
}

/* Asked by a signal, it says how far it is, in a line of its own. */
static void progress(void)
{
    struct cdp_buf text = {0};
    for (int i = 0; i < 200; i++)
        cdp_buf_adds(&text, i % 50 ? "{\"v\":1}\n" : "{\"v\":\"ask\"}\n");
    file_put("in", text.data, text.len);
    ok(run_with(&ops, 4, 60, NULL, NULL) == 0 && same("out", &text), "a run that is asked how far it is");
    size_t n;
    char *said = file_get("said", &n);
    int bytes = 0, seconds, end = 0;
    ok(said && n &&
           sscanf(said, "cdp-t: %dB 0:00:%d [%*[^]]] %*d%% ETA 0:00:%*d%n", &bytes, &seconds, &end) == 2 &&
           bytes > 0 && (size_t)bytes <= text.len && said[end] == '\n' && said[n - 1] == '\n',
       "says it");
    free(said);
    cdp_buf_free(&text);
}

/* ---- live ---- */

/* A child runs the tool between two pipes; what is written to the first comes out of the second while the first stays open.
 * Were it held back, the test would wait for ever. */
static void live(void)
{
    for (unsigned i = 0; i < 3; i++) {
        int to[2], from[2];
        if (pipe(to) < 0 || pipe(from) < 0)
            exit(1);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            char n[24];
            snprintf(n, sizeof n, "%u", threads[i]);
            dup2(to[0], 0);
            dup2(from[1], 1);
            for (int fd = 3; fd < 20; fd++)
                close(fd);
            _exit(RUN(&ops, "--threads", n, "--rejects", "rej") + (t.idles > 0 ? 0 : 100));
        }
        close(to[0]);
        close(from[1]);
        char line[100], got[100];
        size_t right = 0;
        for (int k = 0; k < 20; k++) {
            int n = snprintf(line, sizeof line, "{\"n\":%d}\n", k);
            right += write(to[1], line, (size_t)n) == n && read(from[0], got, sizeof got) == n &&
                     memcmp(line, got, (size_t)n) == 0;
        }
        int status;
        close(to[1]);
        waitpid(pid, &status, 0);
        close(from[0]);
        ok(right == 20 && status == 0, "what comes in goes out at once, %u threads", threads[i]);
    }
}

/* A bad record ends the run although more input may come. */
static void live_error(void)
{
    for (unsigned i = 0; i < 4; i++) {
        int to[2], status;
        if (pipe(to) < 0)
            exit(1);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            char n[24];
            snprintf(n, sizeof n, "%u", threads[i]);
            dup2(to[0], 0);
            close(to[0]);
            close(to[1]);
            _exit(RUN(&ops, "--threads", n, "-o", "out"));
        }
        close(to[0]);
        bool sent = write(to[1], "{\"v\":\"slow\"}\nx\n", 15) == 15;
        waitpid(pid, &status, 0);
        close(to[1]);
        ok(sent && WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
               file_holds("said", "cdp-t: -:2:1: expected a value\n"),
           "a bad record ends the run though the pipe is open, %u threads", threads[i]);
    }
}

/* ---- readers ---- */

static void readers(void)
{
    struct cdp_plan *plan = cdp_plan_new(&err);
    struct cdp_rec r;
    uint64_t line;
    ok(cdp_plan_add_text(plan, "v", &err) == 0, "a plan");
    file_puts("in", "{\"v\":1}\r\n\n {\"v\":2}\n{\"v\":3}x\n{\"v\":4}");
    struct cdp_reader *rd = cdp_reader_open("in", plan, 0, &err);
    ok(cdp_reader_next(rd, &r, &line, &err) == 1 && line == 1 && r.len == 7 && r.full == 9 &&
           r.fields[0].p == r.line + 5,
       "the first record");
    ok(cdp_reader_next(rd, &r, &line, &err) == 1 && line == 3 && r.len == 8 && *r.fields[0].p == '2',
       "the next");
    ok(cdp_reader_next(rd, &r, &line, &err) == -1 && err.exit == CDP_EXIT_DATA &&
           strcmp(err.msg, "in:4:8: unexpected text after the record") == 0,
       "a bad one");
    cdp_reader_close(rd);
    rd = cdp_reader_open("in", plan, 6, &err);
    ok(cdp_reader_next(rd, &r, &line, &err) == -1 &&
           strcmp(err.msg, "in: the record at byte 0 is longer than 6 bytes") == 0,
       "one that is too long");
    cdp_reader_close(rd);
    rd = cdp_reader_open("missing", plan, 0, &err);
    ok(!rd || cdp_reader_next(rd, &r, &line, &err) == -1, "a missing file");
    cdp_reader_close(rd);
    cdp_plan_free(plan);
    cdp_reader_close(NULL);
}

/* A tool that reads through a reader under the options of the run. */
static void flow_readers(void)
{
    char *argv[] = {
        (char *)(uintptr_t) "cdp-t", (char *)(uintptr_t) "-q",      (char *)(uintptr_t) "--rejects",
        (char *)(uintptr_t) "rej",   (char *)(uintptr_t) "--where", (char *)(uintptr_t) ".v != 2",
        (char *)(uintptr_t) "-o",    (char *)(uintptr_t) "out",     NULL};
    file_puts("in", "{\"v\":1}\n\n{\"v\":2}\n{\"v\":3}x\n{\"v\":4}");
    unlink("rej");
    t = (struct tool){0};
    struct cdp_rec r;
    uint64_t line;
    int rc = cdp_flow_begin(&t.flow, &spec, 8, argv, &t.opt, &err);
    if (rc == 1)
        rc = cdp_plan_add_text(t.flow.plan, "v", &err) < 0 ? -1 : cdp_flow_open(&t.flow, &err);
    struct cdp_reader *rd = rc == 0 ? cdp_flow_reader(&t.flow, "in", &err) : NULL;
    ok(rd && cdp_reader_next(rd, &r, &line, &err) == 1 && line == 1 &&
           cdp_reader_next(rd, &r, &line, &err) == 1 && line == 5 &&
           strcmp(cdp_reader_source(rd), "in") == 0 && cdp_reader_next(rd, &r, &line, &err) == 0,
       "a reader under the options of the run");
    const struct cdp_counts *c = &t.flow.counts;
    ok(c->in == 4 && c->dropped == 1 && c->rejected == 1 && c->blank == 1 && c->bytes_in == 34, "counts");
    ok(cdp_flow_reject(&t.flow, "in", 5, 3, "mine", "not this", "{\"v\":4}", 7, &err) == 0 &&
           c->rejected == 2,
       "the tool rejects one");
    cdp_reader_close(rd);
    ok(cdp_flow_end(&t.flow, rc, &err) == 0 &&
           file_holds("rej",
                      "{\"error\":\"unexpected text after the "
                      "record\",\"rule\":\"json\",\"source\":\"in\",\"line\":4,"
                      "\"byte\":8,\"raw\":\"{\\\"v\\\":3}x\"}\n"
                      "{\"error\":\"not this\",\"rule\":\"mine\",\"source\":\"in\",\"line\":5,\"byte\":3,"
                      "\"raw\":\"{\\\"v\\\":4}\"}\n"),
       "both are in the file");
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    files_begin();
    order();
    rejects();
    bad_records();
    thresholds();
    wheres();
    line_numbers();
    stats();
    progress();
    live();
    live_error();
    readers();
    flow_readers();
    files_end();
    return done();
}
