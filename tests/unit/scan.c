/* The scanner, every implementation that runs here: grammar, extraction, repeated and escaped keys, depth, what stands
 * where vectors end, and the conformance suites where they are. */
#include "lib/atomic.h"
#include "lib/scan_plan.h"
#include "lib/utf8.h"
#include "tap.h"

#include <dirent.h>
#include <stdlib.h>

#define CDP_SIMD_SCALAR
#define SCAN_LINE scan_line_scalar
static cdp_scan_fn scan_line_scalar;
#include "lib/scan_impl.h"

static cdp_scan_fn *tested;
static struct cdp_memo *memo; /* of all lines that are scanned without a plan */

/* What an earlier line left in the fields. */
static void stale(const struct cdp_plan *plan, struct cdp_val *field)
{
    if (plan)
        memset(field, 0xEE, cdp_plan_width(plan) * sizeof *field);
}

/* Scans without a memory, then with one that has seen the line: the answers are the same. */
static const char *scan_line(const struct cdp_plan *plan, const char *line, struct cdp_val *field,
                             struct cdp_scan_fault *fault)
{
    struct cdp_err err;
    struct cdp_val again[8];
    struct cdp_scan_fault other;
    struct cdp_memo *own = plan ? cdp_memo_new(&err) : memo;
    stale(plan, field);
    const char *end = tested(plan, NULL, line, field, fault);
    for (int i = 0; i < 4; i++) {
        stale(plan, again);
        bool same = tested(plan, own, line, again, &other) == end;
        for (size_t j = 0; end && plan && j < cdp_plan_width(plan); j++)
            same &= again[j].p == field[j].p && again[j].len == field[j].len &&
                    again[j].type == field[j].type && again[j].escaped == field[j].escaped;
        if (!same || (!end && (other.at != fault->at || other.what != fault->what))) {
            printf("# with a memory the answer is another, time %d\n", i);
            abort();
        }
    }
    if (plan)
        cdp_memo_free(own);
    return end;
}

/* Padding that is text, so that what is read of it shows. */
static char *line_of(const char *text, size_t n)
{
    char *line = malloc(n + 1 + CDP_PAD);
    if (!line)
        abort();
    memcpy(line, text, n);
    line[n] = '\n';
    memset(line + n + 1, '"', CDP_PAD);
    return line;
}

/* A newline is white space, as in a document. */
static bool accepts(const char *text, size_t n)
{
    struct cdp_scan_fault fault;
    char *line = line_of(text, n);
    for (char *p = line; (p = memchr(p, '\n', (size_t)(line + n - p)));)
        *p = '\r';
    bool good = scan_line(NULL, line, NULL, &fault) != NULL;
    free(line);
    return good;
}

/* Scans one line for the path and compares the raw span; want NULL: missing. */
static void extract(const char *path, const char *json, const char *want)
{
    struct cdp_err err;
    struct cdp_plan *plan = cdp_plan_new(&err);
    struct cdp_val field[4];
    struct cdp_scan_fault fault;
    size_t n = strlen(json);
    char *line = line_of(json, n);
    int slot = plan ? cdp_plan_add_text(plan, path, &err) : -1;
    const char *end = slot < 0 ? NULL : scan_line(plan, line, field, &fault);
    char name[700];
    snprintf(name, sizeof name, "%s in %s", path, json);
    if (!end || end != line + n + 1) {
        ok(false, "%s: %s", name, slot < 0 ? err.msg : fault.what);
    } else if (!want) {
        ok(field[slot].type == CDP_MISSING, "%s is missing", name);
    } else {
        char got[512];
        snprintf(got, sizeof got, "%.*s", (int)field[slot].len, field[slot].p ? field[slot].p : "");
        is(got, want, name);
    }
    free(line);
    cdp_plan_free(plan);
}

static void fails(const char *json, size_t at, const char *what)
{
    struct cdp_scan_fault fault = {0};
    char *line = line_of(json, strlen(json));
    const char *end = scan_line(NULL, line, NULL, &fault);
    ok(!end && (size_t)(fault.at - line) == at && strcmp(fault.what, what) == 0, "%s fails at %zu: %s", json,
       at, end ? "accepted" : fault.what);
    free(line);
}

static void extraction(void)
{
    extract(".a", "{\"a\":1}", "1");
    extract("a", "{ \"b\" : [1,{\"a\":5}] , \"a\" : \"x\" }", "\"x\"");
    extract(".a", "{\"b\":{\"a\":1},\"c\":\"\\\"a\\\":2\"}", NULL);
    extract(".a.b", "{\"a\":{\"b\":{\"c\":[1, 2]}}}", "{\"c\":[1, 2]}");
    extract(".a.b", "{\"a\":{\"b\":1},\"a\":{\"c\":2}}", NULL);
    extract(".a.b", "{\"a\":{\"b\":1},\"a\":7}", NULL);
    extract(".a.b", "{\"a\":{\"b\":1,\"b\":2}}", "2");
    extract(".a", "{\"a\":1,\"a\":[]}", "[]");
    extract(".uuid", "{\"\\u0075uid\":\"x\"}", "\"x\"");
    extract(".uuid", "{\"uuid\":1,\"\\u0075\\u0075id\":2}", "2");
    extract(".tags[1]", "{\"tags\":[\"a\", {\"x\":1}, 3]}", "{\"x\":1}");
    extract(".tags[1].x", "{\"tags\":[\"a\", {\"x\":1}, 3]}", "1");
    extract(".tags[3]", "{\"tags\":[1,2,3]}", NULL);
    static const char *const other[] = {"{}",    "[]",   "[1]",  "7",           "-7",
                                        "\"x\"", "true", "null", " {\"b\":{}} "};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        extract(".a", other[i], NULL);
        extract(".a.b[2]", other[i], NULL);
    }
    extract(".", " [1, 2] ", "[1, 2]");
    extract(".", "\"x\"", "\"x\"");
    extract(".[\"odd key\"]", "{\"odd key\":null}", "null");
    extract(".\"\"", "{\"\":true}", "true");
    extract(".abcdefghij", "{\"abcdefghix\":1,\"abcdefghij\":2}", "2");
    extract(".n", "{\"n\":-12345678901234567890.1250E+400}", "-12345678901234567890.1250E+400");
    extract(".s", "{\"s\":\"0123456789012345678901234567890123456789\\\\\"}",
            "\"0123456789012345678901234567890123456789\\\\\"");
}

static void faults(void)
{
    fails("{\"a\"1}", 4, "expected ':' after a key");
    fails("{\"a\":1,}", 7, "expected '\"' before a key");
    fails("{\"a\":tru}", 5, "expected a value");
    fails("{\"a\":1", 6, "the line ends inside an object");
    fails("[1", 2, "the line ends inside an array");
    fails("{\"a\":", 5, "the line ends where a value is expected");
    fails("\"abc", 4, "unterminated string");
    fails("\"a\\x\"", 2, "bad escape in a string");
    fails("\"a\tb\"", 2, "raw control character in a string");
    fails("{} {}", 3, "unexpected text after the record");
    fails("01", 1, "unexpected text after the record");
    fails("-", 1, "expected a digit in a number");
    fails("1.", 2, "expected a digit in a number");
    fails("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xff\"", 40, "invalid UTF-8");
    fails("\"\xed\xa0\x80\"", 1, "invalid UTF-8");
}

static void depth(void)
{
    char nest[2 * 513 + 1];
    for (size_t n = 511; n <= 513; n++) {
        memset(nest, '[', n);
        memset(nest + n, ']', n);
        ok(accepts(nest, 2 * n) == (n <= 512), "%zu levels are %s", n, n <= 512 ? "accepted" : "refused");
    }
}

static void json_test_suite(void)
{
    const char *dir = "../shared/data/json-test-suite/test_parsing";
    DIR *d = opendir(dir);
    struct dirent *e;
    size_t seen = 0, wrong = 0;
    if (!d) {
        skip("JSONTestSuite is not here");
        return;
    }
    /* What the record law decides where the RFC leaves it open: any number is legal, a lone surrogate escape
     * passes, everything that is not UTF-8 without a BOM, and depth over 512, is refused. */
    const char *accepted[] = {"i_number_",
                              "i_structure_500_nested_arrays",
                              "i_object_key_lone_2nd_surrogate",
                              "i_string_1st_surrogate",
                              "i_string_1st_valid_surrogate",
                              "i_string_incomplete_surrogate",
                              "i_string_invalid_lonely",
                              "i_string_invalid_surrogate",
                              "i_string_inverted_surrogates",
                              "i_string_lone_second"};
    while ((e = readdir(d))) {
        char path[512], *data;
        size_t n;
        struct cdp_err err;
        if (!strstr(e->d_name, ".json"))
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (cdp_read_file(path, &data, &n, &err) < 0) {
            ok(false, "%s", err.msg);
            continue;
        }
        bool want = e->d_name[0] == 'y';
        for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
            want |= strncmp(e->d_name, accepted[i], strlen(accepted[i])) == 0;
        seen++;
        if (accepts(data, n) != want) {
            wrong++;
            printf("# %s should be %s\n", e->d_name, want ? "accepted" : "refused");
        }
        free(data);
    }
    closedir(d);
    ok(seen == 318 && wrong == 0, "JSONTestSuite: %zu files, %zu wrong", seen, wrong);
}

static void utf8_tests(void)
{
    struct cdp_err err;
    char *data;
    size_t n, seen = 0, wrong = 0;
    if (cdp_read_file("../shared/data/utf8tests/utf8tests.txt", &data, &n, &err) < 0) {
        skip("utf8tests is not here");
        return;
    }
    char *save, *line = strtok_r(data, "\n", &save);
    for (; line; line = strtok_r(NULL, "\n", &save)) {
        char *kind = *line == '#' ? NULL : strchr(line, ':');
        bool valid = kind && strncmp(kind, ":valid hex:", 11) == 0;
        if (!valid && !(kind && strncmp(kind, ":invalid hex:", 13) == 0))
            continue;
        const char *hex = kind + (valid ? 11 : 13);
        char text[256] = "\"";
        size_t len = 1;
        unsigned byte;
        for (; *hex && *hex != ':'; hex += *hex == ' ')
            if (*hex != ' ' && sscanf(hex, "%2x", &byte) == 1) {
                text[len++] = (char)byte;
                hex += 2;
            }
        bool control = false;
        for (size_t i = 1; i < len; i++)
            control |= (unsigned char)text[i] < 0x20 || text[i] == '"' || text[i] == '\\';
        text[len++] = '"';
        if (control)
            continue;
        seen++;
        if (accepts(text, len) != valid || (cdp_utf8_fault(text, text + len) == NULL) != valid) {
            wrong++;
            printf("# %s\n", line);
        }
    }
    free(data);
    ok(seen > 100 && wrong == 0, "utf8tests: %zu sequences, %zu wrong", seen, wrong);
}

/* One special byte at every place of a string that is longer than the longest vector, and a non-ASCII letter that lies
 * across each of its ends. */
static void vector_ends(void)
{
    size_t wrong = 0;
    for (size_t n = 0; n < 100; n++) {
        char text[160];
        struct cdp_scan_fault fault;
        const struct {
            const char *bytes, *what;
        } cases[] = {
            {"", NULL},
            {"\\\"", NULL},
            {"\\\\", NULL},
            {"\\u00e9", NULL},
            {"\xc3\xa9", NULL},
            {"\xe2\x82\xac", NULL},
            {"\xf0\x9f\x98\x80", NULL},
            {"\x7f", NULL},
            {"\x01", "raw control character in a string"},
            {"\x1f", "raw control character in a string"},
            {"\\x", "bad escape in a string"},
            {"\\u00g0", "bad escape in a string"},
            {"\xc3", "invalid UTF-8"},
            {"\x80", "invalid UTF-8"},
            {"\xf0\x9f\x98", "invalid UTF-8"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            size_t len =
                (size_t)snprintf(text, sizeof text, "\"%.*s%s%.*s\"", (int)n,
                                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                 "aaaaaaaaaaaaaaaaaaaaaaaaaa",
                                 cases[i].bytes, (int)(n % 40), "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
            char *line = line_of(text, len);
            const char *end = scan_line(NULL, line, NULL, &fault);
            bool good = cases[i].what
                            ? !end && fault.at == line + 1 + n && strcmp(fault.what, cases[i].what) == 0
                            : end == line + len + 1;
            if (!good)
                printf("# case %zu at %zu\n", i, n);
            wrong += !good;
            free(line);
        }
    }
    ok(wrong == 0, "special bytes at every place of a vector: %zu wrong", wrong);
}

/* Newlines in a document, and where its faults are. */
static void documents(void)
{
    struct cdp_err err;
    struct cdp_scan_fault fault;
    struct cdp_val field[1];
    struct cdp_plan *plan = cdp_plan_new(&err);
    const char *text = "{\n  \"a\":\n  [1,\n2]\n}\n";
    ok(plan && cdp_plan_add_text(plan, "a", &err) == 0, "a plan");
    ok(cdp_scan_document(plan, text, strlen(text), field, &fault) && field[0].p == text + 11 &&
           field[0].len == 6 && field[0].type == CDP_ARRAY,
       "a document of several lines");
    text = "{\n\"a\": \"x\ny\"}";
    ok(!cdp_scan_document(plan, text, strlen(text), field, &fault) && fault.at == text + 9,
       "no newline in a string");
    ok(!cdp_scan_document(plan, "", 0, field, &fault), "an empty document is none");
    cdp_plan_free(plan);
}

static void plans(void)
{
    struct cdp_err err;
    struct cdp_plan *plan = cdp_plan_new(&err);
    ok(cdp_plan_add_text(plan, ".a.b", &err) == 0 && cdp_plan_add_text(plan, "a", &err) == 1 &&
           cdp_plan_add_text(plan, ".a[\"b\"]", &err) == 0 && cdp_plan_add_text(plan, ".", &err) == 2 &&
           cdp_plan_width(plan) == 3,
       "a path that is there has one slot");
    ok(cdp_plan_add_text(plan, "a b", &err) == -1 && err.exit == CDP_EXIT_USAGE && cdp_plan_width(plan) == 3,
       "a bad path has none");
    cdp_plan_free(plan);
}

/* A comma stays where it belongs, however well the keys are known: without a plan all objects are one. */
static void known_keys_and_commas(void)
{
    static const struct {
        const char *line;
        bool good;
    } lines[] = {
        {"{\"a\":{\"c\":1}}", true},         {"{\"a\":1\"c\":2}", false},
        {"{\"a\":{\"b\":1},\"c\":2}", true}, {"{\"a\":{\"b\":{,\"c\":2}}}", false},
        {"{\"a\":1 \"c\":2}", false},        {"{\"a\":{\"c\":{}\"c\":2}}", false},
        {"{\"a\":1,,\"c\":2}", false},       {"{,\"a\":1}", false},
        {"{\"a\":{ , \"c\":1}}", false},     {"{\"a\":1 , \"c\":2}", true},
    };
    struct cdp_err err;
    struct cdp_scan_fault fault;
    struct cdp_memo *own = cdp_memo_new(&err);
    size_t n = sizeof lines / sizeof *lines, wrong = 0;
    for (size_t i = 0; i < n * n; i++) { /* each before each */
        char *before = line_of(lines[i / n].line, strlen(lines[i / n].line));
        char *line = line_of(lines[i % n].line, strlen(lines[i % n].line));
        tested(NULL, own, before, NULL, &fault);
        if ((tested(NULL, own, line, NULL, &fault) != NULL) != lines[i % n].good && wrong++ < 5)
            printf("# %s after %s\n", lines[i % n].line, lines[i / n].line);
        free(before);
        free(line);
    }
    ok(wrong == 0, "known keys need their commas: %zu wrong", wrong);
    cdp_memo_free(own);
}

/* Lines that resemble each other but for what matters: each is judged by itself. */
static void similar_lines(void)
{
    static const struct {
        const char *line, *a_b; /* NULL: missing; "!": an error */
    } lines[] = {
        {"{\"id\":\"12345678\",\"a\":{\"b\":\"x\"},\"c\":1}", "\"x\""},
        {"{\"id\":\"12345678\",\"a\":{\"b\":\"x\"},\"c\":1}", "\"x\""},
        {"{\"id\":\"12345678\",\"a\":{\"b\":\"x\"},\"c\":1}", "\"x\""},
        {"{\"id\":\"12345678\",\"a\":{\"b\":\"y\"},\"c\":1}", "\"y\""},
        {"{\"id\":\"1234\\\"78\",\"a\":{\"b\":\"y\"},\"c\":1}", "\"y\""},
        {"{\"id\":\"123456\\\"\",\"a\":{\"b\":\"y\"},\"c\":1}", "\"y\""},
        {"{\"id\":\"12\x01\"5678\",\"a\":{\"b\":\"y\"},\"c\":1}", "!"},
        {"{\"id\":\"1234567\xff\",\"a\":{\"b\":\"y\"},\"c\":1}", "!"},
        {"{\"id\":\"12345678\",\"a\":{},\"c\":{\"b\":5}}", NULL},
        {"{\"id\":\"12345678\",\"a\":[\"b\",\"b\"],\"c\":1}", NULL},
        {"{\"id\":\"12345678\",\"a\":[1,\"b\":2],\"c\":1}", "!"},
        {"{\"id\":\"12345678\",\"a\":{\"b\":  \"z\"} ,\"c\":1}", "\"z\""},
        {"{\"id\":\"12345678\", \"a\":{\"b\":\"z\"},\"a\":1}", NULL},
        {"{\"id\":\"12345678\",\"a\":{\"b\":1},\"a\":{\"b\":2,\"b\":3}}", "3"},
        {"{,\"a\":{\"b\":2}}", "!"},
        {"{\"a\":{,\"b\":2}}", "!"},
        {"{\"a\":{\"b\":2}\"c\":1}", "!"},
        {"{\"a\":{\"b\":2},\"c\":}", "!"},
        {"{\"b\":{\"b\":2},\"a\":{\"a\":1,\"b\":[]}}", "[]"},
    };
    struct cdp_err err;
    struct cdp_val field;
    struct cdp_scan_fault fault;
    struct cdp_plan *plan = cdp_plan_new(&err);
    struct cdp_memo *own = cdp_memo_new(&err);
    size_t n = sizeof lines / sizeof *lines, wrong = 0;
    int slot = cdp_plan_add_text(plan, ".a.b", &err);
    for (size_t i = 0; slot == 0 && i < 40 * n; i++) {
        size_t k = i < n ? i : (i * i + i / 7) % n; /* all in order, then all after all */
        char *line = line_of(lines[k].line, strlen(lines[k].line));
        const char *end = tested(plan, own, line, &field, &fault), *want = lines[k].a_b;
        bool good = !end   ? want && *want == '!'
                    : want ? field.len == strlen(want) && memcmp(field.p, want, field.len) == 0
                           : field.type == CDP_MISSING;
        if (!good && wrong++ < 5)
            printf("# %zu: %s\n", i, lines[k].line);
        free(line);
    }
    ok(slot == 0 && wrong == 0, "similar lines, each by itself");
    cdp_memo_free(own);
    cdp_plan_free(plan);
}

/* Lines without a key in common, then lines alike, and so on: the memory rests and comes back, the answers stay. */
static void resting(void)
{
    struct cdp_err err;
    struct cdp_val got, want;
    struct cdp_scan_fault fault;
    struct cdp_plan *plan = cdp_plan_new(&err);
    struct cdp_memo *own = cdp_memo_new(&err);
    size_t wrong = cdp_plan_add_text(plan, ".a.b", &err) != 0, rested = 0;
    for (unsigned i = 0; i < 4000; i++) {
        char text[200];
        unsigned k = i / 500 % 2 ? 0 : i * 2654435761u;
        int n =
            snprintf(text, sizeof text, "{\"x%u\":1,\"y%u\":[2],\"a\":{\"z%u\":3,\"b\":%u},\"w%u\":\"%u\"%s",
                     k, k, k, i, k, k, i % 97 ? "}" : "");
        char *line = line_of(text, (size_t)n);
        rested += own->rest > 0;
        const char *end = cdp_scan_line(plan, line, &want, &fault);
        wrong += cdp_scan_memo(plan, own, line, &got, &fault) != end ||
                 (end && (got.p != want.p || got.len != want.len));
        free(line);
    }
    ok(wrong == 0, "lines without a key in common, and alike: %zu wrong", wrong);
    ok(rested > 1800 && rested < 2500,
       "the memory rests for the half where it is of no use: %zu lines of 4000", rested);
    cdp_memo_free(own);
    cdp_plan_free(plan);
}

int main(void)
{
    const struct {
        const char *name;
        cdp_scan_fn *fn;
        bool runs;
    } impl[] = {
        {CDP_SIMD_NAME, scan_line_scalar, true},
        {cdp_scan_base_name, cdp_scan_line_base, true},
#if defined(__x86_64__)
        {"avx2", cdp_scan_line_avx2,
         __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")},
#endif
    };
    printf("# in use: %s\n", cdp_scan_impl());
    for (size_t i = 0; i < sizeof impl / sizeof *impl; i++) {
        if (!impl[i].runs) {
            skip("the processor has no AVX2");
            continue;
        }
        printf("# %s\n", impl[i].name);
        struct cdp_err err;
        tested = impl[i].fn;
        memo = cdp_memo_new(&err);
        extraction();
        faults();
        depth();
        vector_ends();
        json_test_suite();
        utf8_tests();
        similar_lines();
        known_keys_and_commas();
        cdp_memo_free(memo);
    }
    documents();
    plans();
    resting();
    return done();
}
