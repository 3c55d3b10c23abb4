/* A helper of tests/expr.bats, no test of its own:
 *     expr_eval [-e] [-n] [-t] [-z ZONE] EXPR...  <NDJSON   a JSON array of the results for each record
 *     expr_eval -g SEED COUNT                               expressions of the native subset, one a line
 *     expr_eval -r SEED COUNT                               records for them
 *     expr_eval -s TEXT                                     how much of the text is one expression
 * -e shows the messages of errors in place of "!error"; -n says for each expression where it runs instead; -t tests. */
#include "lib/emit.h"
#include "lib/expr.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- generator: splitmix64, so that a seed means the same everywhere */

static uint64_t rnd_state;

static unsigned rnd(unsigned n)
{
    uint64_t z = rnd_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (unsigned)((z ^ z >> 31) % n);
}

#define PICK(...)                                                                                            \
    put((const char *const[]){__VA_ARGS__}[rnd(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))])

static void put(const char *s)
{
    fputs(s, stdout);
}

enum context { RECORD, VALUE }; /* behind a pipe from a value, `.` has no fields to name */

static void gen_pipe(int depth, enum context c);

static void gen_path(enum context c)
{
    if (c == VALUE)
        put(".");
    else
        PICK(".a", ".b", ".d", ".s", ".t", ".u", ".f", ".n", ".m", ".o", ".l", ".o.x", ".o.y", ".o.q", ".n.x",
             ".m.x", ".l[0]", ".l[2]", ".l[9]", ".[\"a\"]", ".o[\"x\"]", ".a?", ".o.x?", ".", ".\"b\"",
             ".o.\"y\"");
}

static void gen_literal(void)
{
    PICK("0", "1", "2", "3", "-1", "1.5", "0.25", "10", "1e1", "\"\"", "\"abc\"", "\"b\"", "\"\\u0041bc\"",
         "\"z\\n\"", "\"é\"", "true", "false", "null", "[]", "{}", "[1,2]", "{\"x\":1}");
}

static void gen_function(int depth, enum context c)
{
    switch (rnd(9)) {
    case 0:
        PICK("length", "type", "not", "tojson");
        break;
    case 1:
        PICK("floor", "ceil", "round", "fabs", "trunc", "tonumber", "tonumber?");
        break;
    case 2:
        PICK("ascii_downcase", "ascii_upcase", "startswith(\"a\")", "endswith(\"c\")", "contains(\"b\")");
        break;
    case 3:
        PICK("ltrimstr(\"a\")", "rtrimstr(\"c\")", "ltrimstr(\"\")", "rtrimstr(\"abc\")");
        break;
    case 4:
        PICK("test(\"b\")", "test(\"^a\")", "test(\"c$\")", "test(\"^abc$\")", "test(\"\")",
             "test(\"a\\\\.b\")");
        break;
    case 5:
        PICK("has(\"x\")", "has(0)", "has(\"a\")", "has(5)");
        break;
    case 6:
        put("startswith(");
        gen_pipe(depth - 1, c);
        put(")");
        break;
    case 7:
        put("select(");
        gen_pipe(depth - 1, c);
        put(")");
        break;
    default:
        put("ltrimstr(");
        gen_pipe(depth - 1, c);
        put(")");
    }
}

static void gen_term(int depth, enum context c)
{
    switch (depth <= 0 ? rnd(2) : rnd(9)) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (rnd(3))
            gen_path(c);
        else
            gen_literal();
        break;
    case 4:
        put("(");
        gen_pipe(depth - 1, c);
        put(")");
        break;
    case 5:
        put("{k:");
        gen_term(depth - 1, c);
        put(", \"j k\" : (");
        gen_pipe(depth - 1, c);
        put(")}");
        break;
    case 6:
        put("[");
        gen_term(depth - 1, c);
        put(",");
        gen_term(depth - 1, c);
        put("]");
        break;
    case 7:
        put("\"<\\(");
        gen_path(c);
        put(")\\t\\(");
        gen_path(c);
        put(")>\"");
        break;
    default:
        put("(");
        gen_path(c);
        put(" | ");
        gen_function(depth - 1, VALUE);
        put(")");
    }
}

static void gen_unary(int depth, enum context c)
{
    if (rnd(12) == 0)
        put("-");
    if (depth > 0 && rnd(12) == 0) {
        put("if ");
        gen_pipe(depth - 1, c);
        put(" then ");
        gen_pipe(depth - 1, c);
        if (rnd(2)) {
            put(" elif ");
            gen_pipe(depth - 1, c);
            put(" then ");
            gen_pipe(depth - 1, c);
        }
        put(" else ");
        gen_pipe(depth - 1, c);
        put(" end");
    } else {
        gen_term(depth, c);
    }
}

/* A chain of the operators of one level. */
static void gen_level(int level, int depth, enum context c)
{
    static const char *const ops[][6] = {
        {" // "},     {" or "},
        {" and "},    {" == ", " != ", "<", " <= ", ">", ">="},
        {" + ", "-"}, {" * ", "%", " / 2 * "},
    };
    static const unsigned count[] = {1, 1, 1, 6, 2, 3};
    if (level == 6) {
        gen_unary(depth, c);
        return;
    }
    gen_level(level + 1, depth, c);
    while (depth > 0 && rnd(level == 3 ? 3 : 7) == 0) {
        put(ops[level][rnd(count[level])]);
        gen_level(level + 1, --depth, c);
        if (level == 3)
            return;
    }
}

static void gen_pipe(int depth, enum context c)
{
    gen_level(0, depth, c);
    if (depth > 0 && rnd(5) == 0) {
        put("|");
        if (rnd(2))
            gen_function(depth - 1, VALUE);
        else
            gen_pipe(depth - 1, VALUE);
    }
}

static void gen_record(void)
{
    printf("{\"a\":%d,\"b\":%u,\"d\":", (int)rnd(41) - 20, rnd(5));
    PICK("0.25", "-1.5", "2.5", "100", "1e2", "-0.75", "3.0");
    put(",\"s\":");
    PICK("\"abc\"", "\"\"", "\"b\"", "\"Abc\"", "\"\\u0041bc\"", "\"a.b\"", "\"12\"", "\" -3 \"",
         "\"abc\\n\"", "\"\xC3\xA9t\xC3\xA9\"", "\"\\ud83d\\ude00\"", "\"\\\"q\\\"\"", "7", "null");
    put(",\"t\":");
    PICK("\"abc\"", "\"abcd\"", "\"z\\n\"", "\"B\"");
    put(", \"u\" : ");
    PICK("\"1\"", "true", "[ ]", "{ }", "[ 1 , \"x\" ]", "{ \"x\" : [ 1 ] , \"x\" : 2 }");
    printf(",\"f\":%s,\"n\":null,\"o\":{\"x\":%u,\"y\":\"%s\"},\"l\":[%u,2,%s]}\n", rnd(2) ? "true" : "false",
           rnd(4), rnd(2) ? "abc" : "y", rnd(3), rnd(2) ? "[1]" : "{\"x\":1}");
}

static int generate(const char *what, const char *seed, const char *count)
{
    rnd_state = strtoull(seed, NULL, 10);
    for (unsigned long i = strtoul(count, NULL, 10); i; i--) {
        if (what[1] == 'r') {
            gen_record();
        } else {
            gen_pipe(4, RECORD);
            put("\n");
        }
    }
    return 0;
}

/* --- evaluation */

static struct {
    bool messages, natives, tests;
    const char *zone;
} opt;

static int fail(const struct cdp_err *err)
{
    fprintf(stderr, "expr_eval: %s\n", err->msg);
    return (int)err->exit;
}

static void result(struct cdp_buf *out, const struct cdp_expr *e, struct cdp_expr_scratch *s,
                   const struct cdp_val *fields, const char *line, size_t len, struct cdp_err *err)
{
    struct cdp_val v;
    int rc = opt.tests ? cdp_expr_test(e, s, fields, line, len, err)
                       : cdp_expr_eval(e, s, fields, line, len, &v, err);
    if (rc < 0)
        cdp_emit_cstr(out, opt.messages ? err->msg : "!error");
    else if (opt.tests)
        cdp_buf_adds(out, rc ? "true" : "false");
    else
        cdp_emit_val(out, v);
}

static int evaluate(char **text, size_t n, struct cdp_err *err)
{
    struct cdp_plan *plan = cdp_plan_new(err);
    struct cdp_expr_scratch *s = cdp_expr_scratch_new(err);
    struct cdp_expr **e = calloc(n, sizeof *e);
    struct cdp_zone *zone = opt.zone ? cdp_zone_open(opt.zone, err) : NULL;
    if (!plan || !s || !e || (opt.zone && !zone))
        return fail(err);
    for (size_t i = 0; i < n; i++) {
        e[i] = cdp_expr_new(text[i], plan, &(struct cdp_expr_opts){.zone = zone}, err);
        if (!e[i])
            return fail(err);
        if (opt.natives)
            puts(cdp_expr_slot(e[i]) >= 0 ? "field" : cdp_expr_native(e[i]) ? "native" : "libjq");
    }
    struct cdp_val *fields = calloc(cdp_plan_width(plan) + 1, sizeof *fields);
    struct cdp_buf out = {0}, in = {0};
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while (!opt.natives && (len = getline(&line, &cap, stdin)) > 0) {
        struct cdp_scan_fault fault;
        cdp_buf_clear(&in);
        cdp_buf_add(&in, line, (size_t)len);
        cdp_buf_reserve(&in, CDP_PAD);
        memset(in.data + in.len, 0, CDP_PAD);
        if (!cdp_scan_line(plan, in.data, fields, &fault)) {
            fprintf(stderr, "expr_eval: %s\n", fault.what);
            return 1;
        }
        cdp_buf_clear(&out);
        for (size_t i = 0; i < n; i++) {
            cdp_buf_addc(&out, i ? ',' : '[');
            result(&out, e[i], s, fields, in.data, in.len - 1, err);
        }
        cdp_buf_adds(&out, "]\n");
        fwrite(out.data, 1, out.len, stdout);
        cdp_expr_scratch_reset(s);
    }
    for (size_t i = 0; i < n; i++)
        cdp_expr_free(e[i]);
    free(e);
    free(fields);
    free(line);
    cdp_buf_free(&in);
    cdp_buf_free(&out);
    cdp_expr_scratch_free(s);
    cdp_zone_free(zone);
    cdp_plan_free(plan);
    return 0;
}

int main(int argc, char **argv)
{
    struct cdp_err err;
    if (argc == 4 && (strcmp(argv[1], "-g") == 0 || strcmp(argv[1], "-r") == 0))
        return generate(argv[1], argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "-s") == 0) {
        printf("%zu\n", cdp_expr_span(argv[2]));
        return 0;
    }
    int c;
    while ((c = getopt(argc, argv, "entz:")) != -1) {
        opt.messages |= c == 'e';
        opt.natives |= c == 'n';
        opt.tests |= c == 't';
        if (c == 'z')
            opt.zone = optarg;
    }
    if (optind == argc) {
        puts("1..0 # skip a helper of expr.bats");
        return 0;
    }
    return evaluate(argv + optind, (size_t)(argc - optind), &err);
}
