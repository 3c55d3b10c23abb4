/* Expressions through their interface: values, errors, slots, spans, time, threads.  Agreement with jq is the matter of
 * tests/expr.bats. */
#include "lib/expr.h"
#include "tap.h"

#include <pthread.h>
#include <stdlib.h>

/* libjq 1.6 loses some bytes where a program does not compile. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libjq.so";
}

static struct cdp_err err;
static char made[4096]; /* the last result, or "exit: message" */

static char *padded(const char *line)
{
    size_t n = strlen(line);
    char *copy = calloc(1, n + 1 + CDP_PAD);
    memcpy(copy, line, n);
    copy[n] = '\n';
    return copy;
}

static const char *said(void)
{
    snprintf(made, sizeof made, "%d: %s", (int)err.exit, err.msg);
    return made;
}

static const char *eval_in(const struct cdp_zone *zone, const char *text, const char *record)
{
    struct cdp_plan *plan = cdp_plan_new(&err);
    struct cdp_expr_scratch *s = cdp_expr_scratch_new(&err);
    struct cdp_expr *e = cdp_expr_new(text, plan, &(struct cdp_expr_opts){zone}, &err);
    char *line = padded(record);
    struct cdp_val v, fields[32];
    struct cdp_scan_fault fault;
    if (!e || !cdp_scan_line(plan, line, fields, &fault) ||
        cdp_expr_eval(e, s, fields, line, strlen(record), &v, &err) < 0)
        said();
    else
        snprintf(made, sizeof made, "%.*s", v.type == CDP_MISSING ? 7 : (int)v.len,
                 v.type == CDP_MISSING ? "missing" : v.p);
    cdp_expr_scratch_free(s);
    cdp_expr_free(e);
    cdp_plan_free(plan);
    free(line);
    return made;
}

static const char *eval(const char *text, const char *record)
{
    return eval_in(NULL, text, record);
}

/* --- numbers: what a double would round */

static void exactness(void)
{
    static const struct {
        const char *text, *record, *want;
    } t[] = {
        {".a", "{\"a\":1.10}", "1.10"},
        {".a", "{\"a\":12345678901234567890}", "12345678901234567890"},
        {"{v:.a}", "{\"a\":1E2}", "{\"v\":1E2}"},
        {".a == 9007199254740992", "{\"a\":9007199254740993}", "false"},
        {".a == 9007199254740993.0", "{\"a\":9007199254740993}", "true"},
        {".a > 9007199254740992", "{\"a\":9007199254740993}", "true"},
        {".a == .b", "{\"a\":1e400,\"b\":1e401}", "false"},
        {".a + 1", "{\"a\":9007199254740992}", "9007199254740993"},
        {".a + .b", "{\"a\":0.1,\"b\":0.2}", "0.3"},
        {".a - .b", "{\"a\":0.3,\"b\":0.1}", "0.2"},
        {".a * 3", "{\"a\":1.1}", "3.3"},
        {".a * .a", "{\"a\":123456789012345678}", "15241578753238836527968299765279684"},
        {"1 / 3", "{}", "0.3333333333333333333333333333333333"},
        {"2 / 3", "{}", "0.6666666666666666666666666666666667"},
        {".a / 4", "{\"a\":1}", "0.25"},
        {".a % 7", "{\"a\":12345678901234567890}", "1"},
        {".a % -7", "{\"a\":-9}", "-2"},
        {"-.a", "{\"a\":1.50}", "-1.50"},
        {"-.a", "{\"a\":-0.10}", "0.10"},
        {".a | floor", "{\"a\":12345678901234567890.5}", "12345678901234567890"},
        {".a | floor", "{\"a\":-1.5}", "-2"},
        {".a | ceil", "{\"a\":-1.5}", "-1"},
        {".a | round", "{\"a\":2.5}", "3"},
        {".a | round", "{\"a\":-2.5}", "-3"},
        {".a | round", "{\"a\":0.49999999999999999999}", "0"},
        {".a | trunc", "{\"a\":-1.9}", "-1"},
        {".a | fabs", "{\"a\":-1.50}", "1.50"},
        {".a | tostring", "{\"a\":1.10}", "\"1.10\""},
        {"\"n\\(.a)\"", "{\"a\":1E2}", "\"n1E2\""},
        {".a | tonumber", "{\"a\":\"12345678901234567890\"}", "12345678901234567890"},
        {".a | tonumber", "{\"a\":\" +007.50 \"}", "7.50"},
        {".a | tonumber", "{\"a\":\"\\u0031.\"}", "1"},
        {"9007199254740993", "{}", "9007199254740993"},
        {"[.a] == [1.0]", "{\"a\":1}", "true"},
        {".a - [9007199254740993]", "{\"a\":[9007199254740992,9007199254740993]}", "[9007199254740992]"},
        {".a[-1]", "{\"a\":[1,9007199254740993]}", "9007199254740993"},
        {".a[-2].b[-1]", "{\"a\":[{\"b\":[1.10]},2]}", "1.10"},
        {". + {b:1.0}", "{\"a\" : 1.10, \"b\":2}", "{\"a\":1.10,\"b\":1.0}"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        is(eval(t[i].text, t[i].record), t[i].want, t[i].text);
}

/* --- where we are kinder than jq, or tell more apart */

static void differences(void)
{
    is(eval(".a.b", "{\"a\":\"s\"}"), "missing", "below a string is nothing");
    is(eval(".a[0] == null", "{\"a\":{}}"), "true", "an index into an object gives null");
    is(eval("(.a | tostring).b", "{\"a\":\"s\"}"),
       "1: expression '(.a | tostring).b': string cannot be indexed with a string",
       "but not so what was computed");
    is(eval("[.a[-1], .a[-1].b, (.a | .[-1] | .b), (.a[-1] | .b).c]", "{\"a\":\"s\"}"),
       "[null,null,null,null]", "nor is there an item from the end");
    is(eval("[.a[-1].b, .a[-1].b[-1], (.a[-1] | .b.c), (.a[-1] | .b | .c)]", "{\"a\":[1,\"s\"]}"),
       "[null,null,null,null]", "nor something below it");
    is(eval("(.a // 1)[-1]", "{\"a\":\"s\"}"),
       "1: expression '(.a // 1)[-1]': string cannot be indexed with a number", "unless it was computed");
    is(eval("(.a[-1] | tostring) | .b", "{\"a\":[1]}"),
       "1: expression '(.a[-1] | tostring) | .b': string cannot be indexed with a string",
       "from it or behind it");
    is(eval("(.a | tonumber?) + {}", "{\"a\":\"1\"}"),
       "1: expression '(.a | tonumber?) + {}': number and object cannot be added",
       "? hides its own errors only");
    is(eval(".a == .b", "{\"a\":\"\\ud83d\",\"b\":\"\\ud83e\"}"), "false",
       "halves of surrogate pairs differ");
    is(eval(".a", "{\"a\":\"\\u0041\\/\"}"), "\"\\u0041\\/\"", "escapes stay");
    is(eval("\"<\\(.a)>\"", "{\"a\":\"\\ud83d\"}"), "\"<\\ud83d>\"", "a half stays what it is");
    is(eval(".a | tonumber", "{\"a\":\"nan\"}"),
       "1: expression '.a | tonumber': string cannot be parsed as a number", "nan is no number");
}

/* --- outputs and errors */

static void outputs(void)
{
    is(eval(".a", "{}"), "missing", "an absent field is missing");
    is(eval(".a", "{\"a\":null}"), "null", "null is null");
    is(eval("empty", "{}"), "missing", "no output is missing");
    is(eval(".a[]", "{\"a\":[]}"), "missing", "no output from libjq is missing");
    is(eval(".a[]", "{\"a\":[3,4]}"), "3", "of several outputs the first counts");
    is(eval("(.a + 1) | (. * 2) | tostring | ascii_downcase | .[0:1]", "{\"a\":4}"), "\"1\"",
       "many native pipes, then libjq");
    is(eval("paths", "{\"a\":[3,4]}"), "[\"a\"]", "also of a path expression");
    is(eval("[.a]", "{}"), "[null]", "missing is null inside an array");
    is(eval("{a,b:.c}", "{\"b\":1}"), "{\"a\":null,\"b\":null}", "and inside an object");
    is(eval(".", " { \"a\" : 1 } "), "{ \"a\" : 1 }", "the record itself, without the blanks around it");
    is(eval(".a.a", "{\"a\":{\"a\":1},\"a\":{\"a\":2}}"), "2", "a repeated key: the last one counts");
    is(eval(".a + 1", "{\"a\":\"secret\"}"), "1: expression '.a + 1': string and number cannot be added",
       "an error says types, not values");
    is(eval(".a[] + 1", "{\"a\":[\"secret\"]}"),
       "1: expression '.a[] + 1': values of these types cannot be added", "so does libjq's");
    is(eval(".a[] | error", "{\"a\":[\"secret\"]}"), "1: expression '.a[] | error': an error in libjq",
       "the program's own error is not shown");
    is(eval(".a[] | .[0]", "{\"a\":[\"secret\"]}"),
       "1: expression '.a[] | .[0]': cannot index a value of this type", "libjq's indexing");
    is(eval(".a / .b", "{\"a\":1,\"b\":0.0}"),
       "1: expression '.a / .b': number and number cannot be divided because the divisor is zero",
       "division by zero");
    is(eval(".a % .b", "{\"a\":1,\"b\":-0.5}"),
       "1: expression '.a % .b': number and number cannot be divided because the divisor is zero",
       "by less than one");
    is(eval(".a | test(\"b\")", "{\"a\":1}"),
       "1: expression '.a | test(\"b\")': number cannot be matched, as it is not a string",
       "test() of a number");
}

static void usage(void)
{
    is(eval(".a $", "{}"), "2: expression '.a $': byte 4: syntax error, unexpected '$', expecting end",
       "place");
    is(eval(".a |\n .b + nope", "{}"),
       "2: expression '.a |  .b + nope': byte 12: nope/0 is not defined (a field is written .nope)",
       "place on another line, and a hint");
    is(eval("day(.a)[:4] + nope", "{}"),
       "2: expression 'day(.a)[:4] + nope': byte 15: nope/0 is not defined (a field is written .nope)",
       "our definitions do not move the place");
    is(eval(".a | length | ascii_downcase | nope | 1", "{}"),
       "2: expression '.a | length | ascii_downcase | nope | 1': byte 32: nope/0 is not defined (a field is "
       "written "
       ".nope)",
       "place behind native pipes");
    is(eval("1 == 1 == 1", "{}"),
       "2: expression '1 == 1 == 1': byte 8: syntax error, unexpected ==", "comparisons do not associate");
    is(eval("true and 1 == 1 == 1", "{}"),
       "2: expression 'true and 1 == 1 == 1': byte 17: syntax error, unexpected ==",
       "nor behind an operator");
    is(eval("", "{}"), "2: expression '': an empty expression", "empty");
    is(eval(" # nothing", "{}"), "2: expression ' # nothing': an empty expression", "a comment only");
    is(eval("\xff", "{}"), "2: expression '\xff': an expression that is not UTF-8", "not UTF-8");
    is(eval(".a | test(\"(\")", "{}"),
       "2: expression '.a | test(\"(\")': regex failure: end pattern with unmatched parenthesis",
       "a bad regular expression is known at once");
    is(eval(".a | \"\\(now)\" | .[0:1]", "{}"),
       "2: expression '.a | \"\\(now)\" | .[0:1]': now cannot be used: an expression sees its record only",
       "the clock inside a string");
    is(eval("{now: .now, halt: \"now\"} | .now", "{\"now\":1}"), "1",
       "fields, keys and strings have any name");
    char text[300];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    ok(strlen(eval(text, "{}")) < 500 && strstr(made, "xxx...'"),
       "a long expression is shown by its beginning");
}

/* What does not depend on the record alone, or would end the process. */
#define EMPTY "a search for all matches of a pattern that matches the empty text"
static void refusals(void)
{
    static const struct {
        const char *text, *what;
    } t[] = {
        {"now", "now"},
        {"[now]", "now"},
        {".a | localtime", "localtime"},
        {".a | strflocaltime(\"%Y\")", "strflocaltime"},
        {"env.HOME", "env"},
        {"$ENV.HOME", "$ENV"},
        {"{$ENV} | keys", "$ENV"},
        {"input", "input"},
        {"[inputs]", "inputs"},
        {"input_line_number", "input_line_number"},
        {"input_filename", "input_filename"},
        {"stderr", "stderr"},
        {"halt", "halt"},
        {"1 | halt_error", "halt_error"},
        {"import \"a\" as a; 1", "import"},
        {"include \"a\"; 1", "include"},
        {"\"a\" | modulemeta", "modulemeta"},
        {".a | strftime(\"%F %Z\")", "%s and %Z"},
        {".a | strftime(\"%_10s\")", "%s and %Z"},
        {".a | strftime(\"%%%EZ\")", "%s and %Z"},
        {".a | strptime(\"%s\")", "%s and %Z"},
        {".a | strptime(\"%H:%M %Z\")", "%s and %Z"},
        {"0 | strftime(1)", "a time format that is no plain string"},
        {"0 | strftime(.a)", "a time format that is no plain string"},
        {"0 | strftime(\"%F\", 1)", "a time format that is no plain string"},
        {"0 | strftime(\"%F\" | length)", "a time format that is no plain string"},
        {"0 | strftime(\"\\(.a)\")", "a time format that is no plain string"},
        {"0 | strftime(\"\\u0025Z\")", "a time format that is no plain string"},
        {"\"1\" | strptime(.a)", "a time format that is no plain string"},
        {"[.a | scan(\" *\")]", EMPTY},
        {"[.a | scan(\"x\"), scan( \"(?=b)\" )]", EMPTY},
        {".a | gsub(\"^\\\\s*\"; \"\")", EMPTY},
        {".a | gsub(\"(\"; \"\") | gsub(\"\"; \"\"; \"x\")", EMPTY},
        {".a | gsub(\"^[^,]*\"; \"\")", EMPTY},
        {".a | gsub(\"(?<=a)\"; \",\")", EMPTY},
        {"[.a | splits(\",? *\")]", EMPTY},
        {".a | split(\"x?\"; null)", EMPTY},
        {"[.a | match(\"\\\\b\"; \"ig\")]", EMPTY},
        {"[.a | capture(\"(?<x>a*)\"; \"g\")]", EMPTY},
    };
    char want[200];
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        snprintf(want, sizeof want, "2: expression '%s': %s cannot be used: ", t[i].text, t[i].what);
        eval(t[i].text, "{\"a\":1}");
        if (!ok(strncmp(made, want, strlen(want)) == 0, "%s is refused", t[i].text))
            printf("#   got: %s\n", made);
    }
    const char *times = "{\"a\":1425599621,\"b\":\"5 Mar 15 UTC\",\"c\":\"2015-03-05T23:53:41Z\",\"env\":1}";
    is(eval(".a | strftime(\"%%Z %F\\n\" # it is\n)", times), "\"%Z 2015-03-05\\n\"", "a time, written");
    is(eval(".b | strptime(\"%d %b %y UTC\") | mktime", times), "1425513600", "a time, read");
    is(eval(".c | strptime(\"%Y-%m-%dT%H:%M:%SZ\") | mktime", times), "1425599621", "a Z that is itself");
    is(eval("[.a | todate]", times), "[\"2015-03-05T23:53:41Z\"]", "a time in jq's own format");
    is(eval("{env: .env, strftime: \"%Z now\"} | keys", times), "[\"env\",\"strftime\"]",
       "fields, keys and strings have those names");
}

/* What libjq 1.6 does not end, or dies of, is near. */
static void searches(void)
{
    const char *r = "{\"a\":\" \u00e9, b \",\"n\":\"\",\"l\":[\"\",1,\"\"]}";
    is(eval("[.a | scan(\"[^ ]+\")]", r), "[\"\u00e9,\",\"b\"]", "scan");
    is(eval(".a | gsub(\"^\\\\s+|\\\\s*$\"; \"\")", r), "\"\u00e9, b\"", "an empty match at the end");
    is(eval(".a | split(\" *\")", r), "[\" \u00e9, b \"]", "what is split by is no pattern");
    is(eval(".a | split(\", *\"; \"g\")", r), "[\" \u00e9\",\"b \"]", "unless there are flags");
    is(eval("[.a | match(\" *\"; \"i\").offset]", r), "[0]", "one match may be empty");
    is(eval(".a | sub(\"x*\"; \"y\")", r), "\"y \u00e9, b \"", "also where it is replaced");
    is(eval("[.a | index(\"\"), rindex(\"\"), indices(\"\")]", r), "[null,null,[]]",
       "the empty string is nowhere");
    is(eval(".a as $a | .n | . as $n | $a | index($n)", r), "null", "nor is one from the record");
    is(eval("[.l | index(\"\"), rindex(\"\"), indices(\"\")]", r), "[0,2,[0,2]]", "but in an array");
    is(eval("[.a | index(\" \"), rindex(\" \")]", r), "[0,6]", "others have a place (in bytes, in jq 1.6)");
    is(eval(".a | index(\"b\") | nope", r),
       "2: expression '.a | index(\"b\") | nope': byte 19: nope/0 is not defined (a field is written .nope)",
       "our definitions do not move the place");
}

/* --- strings and patterns */

static void strings(void)
{
    is(eval(".a == \"A\\n\"", "{\"a\":\"\\u0041\\u000a\"}"), "true", "escapes on both sides");
    is(eval(".a != \"A\"", "{\"a\":\"\\u0041\"}"), "false", "escapes in the record");
    is(eval("\"abc\" < .a", "{\"a\":\"abcd\"}"), "true", "a prefix comes first");
    is(eval(".a < .b", "{\"a\":\"\xEF\xBF\xBD\",\"b\":\"\\ud83d\\ude00\"}"), "true", "by code point");
    is(eval(".a | length", "{\"a\":\"\xC3\xA9\\ud83d\\ude00\"}"), "2", "length in code points");
    is(eval(".a | ascii_upcase", "{\"a\":\"\xC3\xA9z\\u0061\"}"), "\"\xC3\xA9ZA\"", "upper case");
    is(eval(".a | contains(\"\\u0000b\")", "{\"a\":\"a\\u0000b\"}"), "true", "contains beyond a NUL");
    is(eval("[.a | test(\"^a.$\"), test(\"^b\"), test(\"c$\"), test(\"B\"; \"i\")]", "{\"a\":\"ab\"}"),
       "[true,false,false,true]", "patterns, plain and not");
    is(eval("[.a | test(\"b$\"), test(\"^b$\"), test(\"\\\\.\"), test(\"^$\"), test(\"\")]",
            "{\"a\":\"b\\n\"}"),
       "[true,true,false,false,true]", "a newline at the end");
    is(eval(".a | tojson", "{\"a\":{ \"k\" : [ 1.0 , \"\\u0041\\\"\" ], \"k\":2 }}"), "\"{\\\"k\\\":2}\"",
       "compact text, each key once");
    is(eval(".a | length", "{\"a\":{\"k\":1,\"\\u006b\":2,\"l\":3}}"), "2", "keys counted once");
    is(eval(".a * 3", "{\"a\":\"xy\"}"), "\"xyxyxy\"", "a string repeated by libjq");
    is(eval(".a / \",\"", "{\"a\":\"x,y\"}"), "[\"x\",\"y\"]", "a string split by libjq");
    is(eval("{n:.n, v:(.a * {y:1})}", "{\"n\":1.10,\"a\":{\"x\":1}}"), "{\"n\":1.10,\"v\":{\"x\":1,\"y\":1}}",
       "libjq sees the operands only");
}

/* libjq takes no text in which a first half of a surrogate pair is alone. */
static void halves(void)
{
    static const struct {
        const char *text, *record, *want;
    } t[] = {
        {".a[]", "{\"a\":[1],\"b\":\"x\\ud83d\"}", "1"},
        {".a[]", "{\"a\":[\"x\\ud83dy\"]}", "\"x\xEF\xBF\xBDy\""},
        {".a[]", "{\"a\":[\"\\uD83D\\uDbff\\ude00\\uDE00\"]}",
         "\"\xEF\xBF\xBD\xF4\x8F\xB8\x80\xEF\xBF\xBD\""},
        {".a[]", "{\"a\":[\"\\udbff\\n\\udc00\"]}", "\"\xEF\xBF\xBD\\n\xEF\xBF\xBD\""},
        {".a[]", "{\"a\":[\"\\ude00\\ud83d\"]}", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {".a[]", "{\"a\":[\"\\\\ud83d\\\\\\ud83d\"]}", "\"\\\\ud83d\\\\\xEF\xBF\xBD\""},
        {".a[]", "{\"a\":[\"\\ud7ff\\ue000\\uc83d\"],\"b\":\"\\ud800\"}",
         "\"\xED\x9F\xBF\xEE\x80\x80\xEC\xA0\xBD\""},
        {"keys[]", "{\"\\ud83d\":1}", "\"\xEF\xBF\xBD\""},
        {".a * 2", "{\"a\":\"\\ud83d\"}", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {".a / \"x\"", "{\"a\":\"\\ud83dx1\"}", "[\"\xEF\xBF\xBD\",\"1\"]"},
        {".a | .[0:1]", "{\"a\":\"\\ud83dx\"}", "\"\xEF\xBF\xBD\""},
        {".a | map(.)", "{\"a\":[\"\\ud83d\"],\"b\":1}", "[\"\xEF\xBF\xBD\"]"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        is(eval(t[i].text, t[i].record), t[i].want, t[i].record);
}

/* --- time */

static void buckets(void)
{
    const char *r =
        "{\"t\":\"2026-02-05T23:30:00.5+02:00\",\"n\":null,\"s\":\"x\",\"i\":5,\"d\":\"2024-12-30\"}";
    is(eval("[hour(.t),day(.t),week(.t),month(.t),year(.t)]", r),
       "[\"2026-02-05T21:00:00Z\",\"2026-02-05\",\"2026-02-02\",\"2026-02\",\"2026\"]", "buckets in UTC");
    is(eval("day(.n)", r), "null", "of null");
    is(eval("day(.nope)", r), "null", "of nothing");
    is(eval("day(.s)", r), "1: expression 'day(.s)': day() of what is no RFC 3339 time", "of no time");
    is(eval("hour(.i)", r), "1: expression 'hour(.i)': hour() of what is no RFC 3339 time", "of a number");
    is(eval("week(.d) as $w | $w", r), "\"2024-12-30\"", "a week in libjq");
    is(eval("[hour(.t),day(.t),week(.t),month(.t),year(.t)] | .[0:9]", r),
       "[\"2026-02-05T21:00:00Z\",\"2026-02-05\",\"2026-02-02\",\"2026-02\",\"2026\"]",
       "buckets, then libjq");
    is(eval("[hour(.t),day(.t),week(.t),month(.t),year(.t)] as $x | $x", r),
       "[\"2026-02-05T21:00:00Z\",\"2026-02-05\",\"2026-02-02\",\"2026-02\",\"2026\"]", "buckets in libjq");
    is(eval("[day(.n,.nope)]", r), "[null,null]", "null in libjq");
    is(eval("[day(.s)][:1]", r), "1: expression '[day(.s)][:1]': day() of what is no RFC 3339 time",
       "no time in libjq");
    struct cdp_zone *z = cdp_zone_open("Asia/Kathmandu", &err);
    if (!z) {
        skip("no zone database");
        return;
    }
    is(eval_in(z, "[hour(.t),day(.t)]", r), "[\"2026-02-06T03:00:00+05:45\",\"2026-02-06\"]",
       "buckets in a zone");
    is(eval_in(z, "[day(.t)] | .[0:9]", r), "[\"2026-02-06\"]", "in a zone, then libjq");
    is(eval_in(z, "day(.t) as $x | $x", r),
       "2: expression 'day(.t) as $x | $x': day() and its like know no time zone in an expression that needs "
       "libjq",
       "in a zone not in libjq");
    cdp_zone_free(z);
}

/* libjq's definitions against lib/time, over the calendar and over what is no time. */
static void prelude(void)
{
    static const char *const edge[] = {
        "0000-01-01T00:00:00Z",
        "0000-03-01T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2000-02-29T23:59:59Z",
        "1969-12-31T23:59:59.999Z",
        "9999-12-31T23:59:60Z",
        "2016-12-31T23:59:60Z",
        "2016-12-31T22:59:60-01:00",
        "2016-12-31T22:59:60Z",
        "9999-12-31T23:59:59-23:59",
        "0000-01-01T00:00:00+00:01",
        "2026-1-05T00:00:00Z",
        "2026-02-05",
        "2026-02-05t00:00:00z",
        "2026-02-05 00:00:00Z",
        "2026-02-05T00:00:00",
        "2026-02-05T24:00:00Z",
        "2026-02-05T00:60:00Z",
        "2026-13-05T00:00:00Z",
        "2026-00-05T00:00:00Z",
        "2026-02-00T00:00:00Z",
        "2026-02-05T00:00:00+24:00",
        "2026-02-05T00:00:00.Z",
        "2026-02-05T00:00:00.1234567890Z",
        "2026-02-05T00:00:00.123456789Z",
        "2026-02-05T00:00:00Z\\n",
        "\\u0032026-02-05",
        "2026-02-30",
        "",
    };
    size_t n = sizeof edge / sizeof *edge, bad = 0;
    struct cdp_plan *plan = cdp_plan_new(&err);
    struct cdp_expr_scratch *s = cdp_expr_scratch_new(&err);
    const char *a = "[hour(.t),day(.t),week(.t),month(.t),year(.t)]";
    struct cdp_expr *native = cdp_expr_new(a, plan, NULL, &err);
    struct cdp_expr *jq =
        cdp_expr_new("[hour(.t),day(.t),week(.t),month(.t),year(.t)] as $x|$x", plan, NULL, &err);
    for (size_t i = 0; i < n + 400; i++) {
        char record[100];
        if (i < n)
            snprintf(record, sizeof record, "{\"t\":\"%s\"}", edge[i]);
        else
            snprintf(record, sizeof record, "{\"t\":\"%04zu-%02zu-%02zuT%02zu:30:00%c%02zu:15\"}",
                     (i * 7919) % 10000, i % 12 + 1, i % 28 + 1, i % 24, i % 2 ? '+' : '-', i % 23);
        char *line = padded(record);
        struct cdp_val fields[4], x = {0}, y = {0};
        struct cdp_scan_fault fault;
        cdp_scan_line(plan, line, fields, &fault);
        int p = cdp_expr_eval(native, s, fields, line, strlen(record), &x, &err);
        int q = cdp_expr_eval(jq, s, fields, line, strlen(record), &y, &err);
        if (p != q || x.len != y.len || (p == 0 && memcmp(x.p, y.p, x.len) != 0)) {
            printf("# %s: %d %.*s, libjq %d %.*s\n", record, p, (int)x.len, x.p ? x.p : "", q, (int)y.len,
                   y.p ? y.p : "");
            bad++;
        }
        cdp_expr_scratch_reset(s);
        free(line);
    }
    ok(bad == 0, "day() and its like are the same in libjq");
    cdp_expr_scratch_free(s);
    cdp_expr_free(native);
    cdp_expr_free(jq);
    cdp_plan_free(plan);
}

/* --- slots, spans, what is native */

static void interface(void)
{
    struct cdp_plan *plan = cdp_plan_new(&err);
    static const struct {
        const char *text;
        bool native, slot;
    } t[] = {
        {".a", true, true},
        {"(.a)", true, true},
        {".a | .b", true, true},
        {".a?", true, true},
        {".[\"a\"].b[3]", true, true},
        {".", true, true},
        {".a == 1", true, false},
        {".a | test(\"^x\\\\.y$\")", true, false},
        {".a | test(\"x.y\")", false, false},
        {".a | if . then has(\"x\") else {b, \"c d\": [.e, -1]} end", true, false},
        {"\"\\(.a)\" + (.b | tostring) // \"x\"", true, false},
        {".a | keys", false, false},
        {".a[]", false, false},
        {".a[1:]", false, false},
        {".a[-1]", true, false},
        {".a[-1.5]", false, false},
        {".a[-1:]", false, false},
        {".a = 1", false, false},
        {".a |= 1", false, false},
        {"..", false, false},
        {"{(.a): 1}", false, false},
        {"[.a, .b | 1]", false, false},
        {"reduce .a as $x (0; 1)", false, false},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct cdp_expr *e = cdp_expr_new(t[i].text, plan, NULL, &err);
        ok(e && cdp_expr_native(e) == t[i].native && (cdp_expr_slot(e) >= 0) == t[i].slot, "%s runs %s",
           t[i].text, t[i].native ? "natively" : "in libjq");
        cdp_expr_free(e);
    }
    cdp_plan_free(plan);
    static const struct {
        const char *text;
        size_t n;
    } span[] = {
        {".a, .b", 2},
        {".a) where .b", 2},
        {"[.a,.b], 1", 7},
        {"f(.a; 1,2)) x", 10},
        {"\",)\" + .a, 1", 9},
        {"\"\\(\"),\" + (1,2))\", 1", 17},
        {"\"\\\",\", 1", 5},
        {".a # , )\n , 1", 10},
        {"{a:1,b}]", 7},
        {"\"open, ", 7},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof span / sizeof *span; i++)
        ok(cdp_expr_span(span[i].text) == span[i].n, "span %zu ends at %zu", i, span[i].n);
}

/* n times a piece of text, around or behind another. */
static char *repeated(const char *before, const char *core, const char *after, size_t n)
{
    struct cdp_buf b = {0};
    for (size_t i = 0; i < n; i++)
        cdp_buf_adds(&b, before);
    cdp_buf_adds(&b, core);
    for (size_t i = 0; i < n; i++)
        cdp_buf_adds(&b, after);
    cdp_buf_addc(&b, '\0');
    return b.data;
}

static void depth(void)
{
    char *brackets = repeated("(", ".a", ")", 900), *sums = repeated("", ".a", "+ .a", 500);
    char *record = repeated("[", "", "]", 300), *steps = repeated("", "", ".a", 500);
    is(eval(brackets, "{\"a\":1}"), "1", "900 brackets");
    is(eval(sums, "{\"a\":1}"), "501", "500 sums");
    is(eval(steps, "{\"a\":{\"a\":null}}"), "null", "500 steps");
    is(eval("[.[0]] == [.[0]]", record), "true", "a deep record, natively");
    is(eval(".[]", record), "1: expression '.[]': a value nested too deeply for libjq", "and in libjq");
    free(brackets);
    free(sums);
    free(record);
    free(steps);
}

/* --- truth */

static void truth(void)
{
    static const struct {
        const char *text;
        int want;
    } t[] = {
        {".t", 1},
        {".f", 0},
        {".n", 0},
        {".zero", 1},
        {".nope", 0},
        {"empty", 0},
        {".e[]", 0},
        {"[] and .zero", 1},
        {".nope or .f", 0},
        {".f | not", 1},
        {".zero < 1 and .zero > -1e400", 1},
        {".zero == \"0\"", 0},
        {".nope < false", 1},
        {"select(.f)", 0},
        {".t + 1", -1},
        {".t[]", -1},
        {"(.t + 1) // 1", -1},
        {"(.t + 1)? // 1", 1},
    };
    struct cdp_plan *plan = cdp_plan_new(&err);
    struct cdp_expr *e[sizeof t / sizeof *t];
    size_t n = sizeof t / sizeof *t;
    for (size_t i = 0; i < n; i++)
        e[i] = cdp_expr_new(t[i].text, plan, NULL, &err);
    struct cdp_expr_scratch *s = cdp_expr_scratch_new(&err);
    const char *record = "{\"t\":true,\"f\":false,\"n\":null,\"zero\":0,\"e\":[]}";
    char *line = padded(record);
    struct cdp_val fields[16];
    struct cdp_scan_fault fault;
    cdp_scan_line(plan, line, fields, &fault);
    for (size_t i = 0; i < n; i++)
        ok(cdp_expr_test(e[i], s, fields, line, strlen(record), &err) == t[i].want, "%s tests %d", t[i].text,
           t[i].want);
    cdp_expr_scratch_free(s);
    for (size_t i = 0; i < n; i++)
        cdp_expr_free(e[i]);
    cdp_plan_free(plan);
    free(line);
}

/* --- threads: one expression, four scratches; values live until the reset */

struct job {
    const struct cdp_plan *plan;
    struct cdp_expr *const *e;
    bool good;
};

static void *work(void *arg)
{
    struct job *job = arg;
    struct cdp_err mine;
    struct cdp_expr_scratch *s = cdp_expr_scratch_new(&mine);
    static const char record[] = "{\"a\":\"x\\ny\",\"b\":[1,2],\"t\":\"2026-02-05T00:00:00Z\"}";
    static const char *const want[] = {"{\"k\":\"x\\ny\",\"d\":\"2026-02-05\"}", "true", "\"2026-02-05\"",
                                       "2"};
    char *line = padded(record);
    struct cdp_val fields[16], kept[200];
    struct cdp_scan_fault fault;
    job->good = cdp_scan_line(job->plan, line, fields, &fault) != NULL;
    for (int i = 0; i < 400 && job->good; i++) {
        struct cdp_val *v = &kept[i % 200];
        if (cdp_expr_eval(job->e[i % 4], s, fields, line, sizeof record - 1, v, &mine) < 0)
            job->good = false;
        if (i % 200 == 199) {
            for (int k = 0; k < 200; k++)
                job->good &=
                    kept[k].len == strlen(want[k % 4]) && memcmp(kept[k].p, want[k % 4], kept[k].len) == 0;
            cdp_expr_scratch_reset(s);
        }
    }
    cdp_expr_scratch_free(s);
    free(line);
    return NULL;
}

static void threads(void)
{
    static const char *const text[] = {"{k:.a, d:day(.t)}", ".a | test(\"x.y\"; \"p\")", "day(.t) as $d | $d",
                                       ".b | [.[]] | .[-1]"};
    struct cdp_plan *plan = cdp_plan_new(&err);
    struct cdp_expr *e[4];
    for (int i = 0; i < 4; i++)
        e[i] = cdp_expr_new(text[i], plan, NULL, &err);
    pthread_t id[4];
    struct job job[4];
    for (int i = 0; i < 4; i++) {
        job[i] = (struct job){plan, e, false};
        pthread_create(&id[i], NULL, work, &job[i]);
    }
    bool good = true;
    for (int i = 0; i < 4; i++) {
        pthread_join(id[i], NULL);
        good &= job[i].good;
    }
    ok(good, "four threads share expressions");
    for (int i = 0; i < 4; i++)
        cdp_expr_free(e[i]);
    cdp_plan_free(plan);
}

/* libjq would read definitions from ~/.jq. */
static void home(void)
{
    char dir[] = "/tmp/cdp-expr-XXXXXX", file[sizeof dir + 4], *old = getenv("HOME");
    if (!mkdtemp(dir)) {
        skip("no directory in /tmp");
        return;
    }
    snprintf(file, sizeof file, "%s/.jq", dir);
    FILE *f = fopen(file, "w");
    fputs("def keys: \"home\"; def match(f): \"home\"; def test(f; g): \"home\"; def first: \"home\";", f);
    fclose(f);
    setenv("HOME", dir, 1);
    const char *mine = getenv("HOME");
    is(eval(".a | keys", "{\"a\":{\"x\":1}}"), "[\"x\"]", "what ~/.jq defines is nothing to us");
    is(eval("day(.t) as $d | $d", "{\"t\":\"2026-02-05\"}"), "\"2026-02-05\"", "nor to our definitions");
    threads();
    f = fopen(file, "w");
    fputs("def broken", f);
    fclose(f);
    is(eval(".a | keys", "{\"a\":{\"x\":1}}"), "[\"x\"]", "nor does an error in it matter");
    eval(".a | nope", "{}");
    ok(getenv("HOME") == mine, "HOME is what it was");
    unsetenv("HOME");
    is(eval(".a | keys", "{\"a\":{\"x\":1}}"), "[\"x\"]", "without a home");
    ok(!getenv("HOME"), "there is still none");
    if (old)
        setenv("HOME", old, 1);
    remove(file);
    remove(dir);
}

int main(void)
{
    exactness();
    differences();
    outputs();
    usage();
    refusals();
    searches();
    strings();
    halves();
    buckets();
    prelude();
    interface();
    depth();
    truth();
    threads();
    home();
    return done();
}
