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

/* What an expression should give, and what `.` is behind a pipe: mostly kept to, so that most expressions have a
 * result, and not always, so that errors are compared too. */
enum kind { ANY, NUM, STR, RECORD };

static void gen_pipe(int depth, enum kind dot, enum kind want);

static enum kind some_kind(void)
{
    return (enum kind[]){ANY, NUM, NUM, NUM, STR, STR}[rnd(6)];
}

static void gen_literal(enum kind want)
{
    if (want == NUM)
        PICK("0", "1", "2", "3", "-1", "1.5", "0.25", "10", "-.5", "007");
    else if (want == STR)
        PICK("\"\"", "\"abc\"", "\"b\"", "\"\\u0041bc\"", "\"z\\n\"", "\"\xC3\xA9\"", "\"\\ud83d\\ude00\"");
    else
        PICK("true", "false", "null", "[]", "{}", "[1,2]", "{\"x\":1}", "[\"abc\",null,1.5]");
}

static void gen_path(enum kind dot, enum kind want)
{
    if (dot != RECORD) {
        if (dot == want || want == ANY || rnd(10) == 0)
            put(".");
        else
            gen_literal(want);
    } else if (rnd(15) == 0 || want == ANY) {
        PICK(".u", ".f", ".n", ".m", ".o", ".l", ".o.q", ".n.x", ".m.x", ".l[0]", ".l[2]", ".l[9]", ".l[-1]",
             ".l[-9]", ".", ".s", ".o?", ".f?");
    } else if (want == NUM) {
        PICK(".a", ".b", ".d", ".o.x", ".l[1]", ".[\"a\"]", ".o[\"x\"]", ".a?", ".o.x?", ".\"b\"", ".o .x",
             ".l [1]");
    } else {
        PICK(".t", ".o.y", ".o.\"y\"", ".v", ".[\"v\"]", ".t?");
    }
}

/* A function, asked of a value of that kind. */
static void gen_function(int depth, enum kind dot, enum kind of)
{
    static const char *const with[] = {"startswith", "endswith", "ltrimstr", "rtrimstr"};
    if (of == NUM) {
        PICK("floor", "ceil", "round", "fabs", "trunc", "tonumber", "length", "type", "not", "tojson",
             "tostring");
    } else if (of == ANY) {
        PICK("length", "type", "not", "tojson", "tostring", "has(\"x\")", "has(0)", "has(5)");
    } else if (rnd(2)) {
        PICK("ascii_downcase", "ascii_upcase", "startswith(\"a\")", "endswith(\"c\")", "contains(\"b\")",
             "ltrimstr(\"a\")", "rtrimstr(\"c\")", "ltrimstr(\"\")", "rtrimstr(\"abc\")", "contains(\"\")",
             "length", "tojson", "not");
    } else if (rnd(2)) {
        PICK("test(\"b\")", "test(\"^a\")", "test(\"c$\")", "test(\"^abc$\")", "test(\"\")",
             "test(\"a\\\\.b\")", "test(\"^$\")", "test(\"[ab]\")");
    } else if (rnd(3)) {
        printf("%s(", with[rnd(4)]);
        gen_pipe(depth - 1, dot, STR);
        put(")");
    } else {
        put("select(");
        gen_pipe(depth - 1, dot, ANY);
        put(")");
    }
}

static void gen_construction(int depth, enum kind dot)
{
    bool object = rnd(2);
    put(object ? "{k:" : "[");
    if (object && rnd(3) == 0) {
        put("(");
        gen_pipe(depth - 1, dot, some_kind());
        put(")");
    } else {
        gen_path(dot, some_kind());
    }
    put(object ? ", \"j k\" : " : ",");
    if (object)
        gen_path(dot, some_kind());
    else
        gen_pipe(depth - 1, dot, some_kind());
    put(object && rnd(2) ? "|tojson" : "");
    put(object ? "}" : "]");
}

static void gen_term(int depth, enum kind dot, enum kind want)
{
    enum kind of = want == ANY ? some_kind() : want;
    switch (depth <= 0 ? rnd(4) : rnd(10)) {
    case 0:
    case 1:
    case 2:
        gen_path(dot, want);
        return;
    case 3:
        gen_literal(want);
        return;
    case 4:
    case 5:
        put("(");
        gen_pipe(depth - 1, dot, want);
        put(")");
        return;
    case 6:
    case 7:
        put("(");
        gen_path(dot, of);
        put(" | ");
        gen_function(depth - 1, of, of);
        put(")");
        return;
    case 8:
        if (want == STR) {
            put("\"<\\(");
            gen_path(dot, some_kind());
            put(")\\t\\(");
            gen_pipe(depth - 1, dot, some_kind());
            put(")>\"");
            return;
        }
        break;
    default:
        break;
    }
    if (want == ANY)
        gen_construction(depth, dot);
    else
        gen_literal(want);
}

static void gen_if(int depth, enum kind dot, enum kind want)
{
    put("if ");
    gen_pipe(depth - 1, dot, ANY);
    put(" then ");
    gen_pipe(depth - 1, dot, want);
    if (rnd(2)) {
        put(" elif ");
        gen_pipe(depth - 1, dot, ANY);
        put(" then ");
        gen_pipe(depth - 1, dot, want);
    }
    put(" else ");
    gen_pipe(depth - 1, dot, want);
    put(" end");
}

static void gen_unary(int depth, enum kind dot, enum kind want)
{
    if (want == NUM && rnd(12) == 0)
        put("-");
    if (depth > 0 && rnd(10) == 0)
        gen_if(depth, dot, want);
    else
        gen_term(depth, dot, want);
}

/* A chain of the operators of one level; only `//`, `+` and the like give numbers or strings. */
static void gen_level(int level, int depth, enum kind dot, enum kind want)
{
    enum { ALT, OR, AND, CMP, ADD, MUL, UNARY };
    static const char *const ops[][6] = {
        {" // "},     {" or "},
        {" and "},    {" == ", " != ", "<", " <= ", ">", ">="},
        {" + ", "-"}, {" * ", "%", " / 2 * "},
    };
    static const unsigned count[] = {1, 1, 1, 6, 2, 3};
    if (level == UNARY) {
        gen_unary(depth, dot, want);
        return;
    }
    bool fits = level == ALT || want == ANY || (level == ADD && want == STR) || (level >= ADD && want == NUM);
    bool chain = fits && depth > 0 && rnd(level == CMP ? 3 : 5) == 0;
    if (chain && (level == CMP || level == ADD))
        want = want == ANY ? some_kind() : want;
    else if (chain && level == MUL)
        want = NUM;
    gen_level(level + 1, depth - chain, dot, want);
    while (chain) {
        put(ops[level][rnd(level == ADD && want != NUM ? 1 : count[level])]);
        gen_level(level + 1, --depth, dot, want);
        chain = level != CMP && depth > 0 && rnd(3) == 0;
    }
}

static void gen_pipe(int depth, enum kind dot, enum kind want)
{
    if (depth <= 0 || rnd(6)) {
        gen_level(0, depth, dot, want);
        return;
    }
    enum kind left = some_kind();
    gen_level(0, depth - 1, dot, left);
    put("|");
    if (rnd(2) && want == ANY)
        gen_function(depth - 1, left, left);
    else
        gen_pipe(depth - 1, left, want);
}

static void gen_record(void)
{
    printf("{\"a\":%d,\"b\":%u,\"d\":", (int)rnd(41) - 20, rnd(5));
    PICK("0.25", "-1.5", "2.5", "100", "-0.75", "3");
    put(",\"s\":");
    PICK("\"abc\"", "\"\"", "\"b\"", "\"Abc\"", "\"\\u0041bc\"", "\"a.b\"", "\"12\"", "\" -3 \"",
         "\"abc\\n\"", "\"\xC3\xA9t\xC3\xA9\"", "\"\\ud83d\\ude00\"", "\"\\\"q\\\"\"", "7", "null");
    put(",\"t\":");
    PICK("\"abc\"", "\"abcd\"", "\"z\\n\"", "\"B\"");
    put(", \"u\" : ");
    PICK("\"1\"", "true", "[ ]", "{ }", "[ 1 , \"x\" ]", "{ \"x\" : [ 1 ] , \"x\" : 2 }");
    put(",\"v\":");
    PICK("\"\"", "\"b\"", "\"12\"", "\"\\u0041bc\\/\"", "\"\xC3\xA9t\xC3\xA9\"");
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
            gen_pipe(5, RECORD, ANY);
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

/* All results for the line in `in`, as an array. */
static bool answer(struct cdp_expr **e, size_t n, const struct cdp_plan *plan, struct cdp_expr_scratch *s,
                   struct cdp_val *fields, struct cdp_buf *in, struct cdp_buf *out)
{
    struct cdp_scan_fault fault;
    struct cdp_err err;
    if (!cdp_scan_line(plan, in->data, fields, &fault)) {
        fprintf(stderr, "expr_eval: %s\n", fault.what);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        cdp_buf_addc(out, i ? ',' : '[');
        result(out, e[i], s, fields, in->data, in->len - 1, &err);
    }
    cdp_buf_adds(out, "]\n");
    cdp_expr_scratch_reset(s);
    return true;
}

static int evaluate_lines(struct cdp_expr **e, size_t n, const struct cdp_plan *plan,
                          struct cdp_expr_scratch *s)
{
    struct cdp_val *fields = calloc(cdp_plan_width(plan) + 1, sizeof *fields);
    struct cdp_buf in = {0}, out = {0};
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    bool good = true;
    while (good && (len = getline(&line, &cap, stdin)) > 0) {
        cdp_buf_clear(&in);
        cdp_buf_add(&in, line, (size_t)len);
        cdp_buf_reserve(&in, CDP_PAD);
        memset(in.data + in.len, 0, CDP_PAD);
        good = answer(e, n, plan, s, fields, &in, &out);
        fwrite(out.data, 1, out.len, stdout);
        cdp_buf_clear(&out);
    }
    free(fields);
    free(line);
    cdp_buf_free(&in);
    cdp_buf_free(&out);
    return !good;
}

static int evaluate(char **text, size_t n, struct cdp_err *err)
{
    struct cdp_plan *plan = cdp_plan_new(err);
    struct cdp_expr_scratch *s = cdp_expr_scratch_new(err);
    struct cdp_expr **e = calloc(n, sizeof *e);
    struct cdp_zone *zone = opt.zone ? cdp_zone_open(opt.zone, err) : NULL;
    bool good = plan && s && e && !(opt.zone && !zone);
    for (size_t i = 0; i < n && good; i++) {
        e[i] = cdp_expr_new(text[i], plan, &(struct cdp_expr_opts){.zone = zone}, err);
        good = e[i] != NULL;
        if (good && opt.natives)
            puts(cdp_expr_slot(e[i]) >= 0 ? "field" : cdp_expr_native(e[i]) ? "native" : "libjq");
    }
    int status = !good ? fail(err) : opt.natives ? 0 : evaluate_lines(e, n, plan, s);
    for (size_t i = 0; i < n; i++)
        cdp_expr_free(e[i]);
    free(e);
    cdp_expr_scratch_free(s);
    cdp_zone_free(zone);
    cdp_plan_free(plan);
    return status;
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
    while ((c = getopt(argc, argv, "+entz:")) != -1) {
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
