/* Paths: the grammar of jq's, what is refused and where, prefixes inside other text. */
#include "lib/path.h"
#include "tap.h"

static struct cdp_err err;

/* A path written out: <key> or [index] for each step. */
static const char *shown(const struct cdp_path *path)
{
    static char text[300];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < path->n && n < sizeof text; i++)
        n += (size_t)(path->step[i].key ? snprintf(text + n, sizeof text - n, "<%.*s>",
                                                   (int)path->step[i].len, path->step[i].key)
                                        : snprintf(text + n, sizeof text - n, "[%u]", path->step[i].index));
    return text;
}

static void parses(const char *text, const char *want)
{
    struct cdp_path path;
    int rc = cdp_path_parse(&path, text, strlen(text), &err);
    is(rc < 0 ? err.msg : shown(&path), want, strchr(text, 10) ? "a newline" : text);
    ok(rc == 0 || (err.exit == CDP_EXIT_USAGE && path.n == 0 && !path.step), "nothing is left of a bad one");
    cdp_path_free(&path);
}

static void good(void)
{
    parses(".", "");
    parses("a", "<a>");
    parses("_", "<_>");
    parses(".event_id", "<event_id>");
    parses("event_id", "<event_id>");
    parses(".a.b2.C_", "<a><b2><C_>");
    parses("a.b", "<a><b>");
    parses(".a[0]", "<a>[0]");
    parses("a[12].b", "<a>[12]<b>");
    parses(".[0]", "[0]");
    parses(".[0][1]", "[0][1]");
    parses(".a.[0]", "<a>[0]");
    parses(".[\"odd key\"]", "<odd key>");
    parses(".a[\"b.c\"][3]", "<a><b.c>[3]");
    parses(".\"x y\".z", "<x y><z>");
    parses(".a.\"]\"", "<a><]>");
    parses(".\"\"", "<>");
    parses(".[\"\\u0041\\\"\\\\\"]", "<A\"\\>");
    parses(".[\"\\ud83d\\ude00é\"]", "<\xf0\x9f\x98\x80é>");
    parses(".[4294967294]", "[4294967294]");
    parses(".[007]", "[7]");

    struct cdp_path path;
    ok(cdp_path_parse(&path, ".\"a\\u0000b\"", 11, &err) == 0 && path.n == 1 && path.step[0].len == 3 &&
           memcmp(path.step[0].key, "a\0b", 4) == 0,
       "a zero byte in a key");
    cdp_path_free(&path);
    ok(cdp_path_parse(&path, ".abc", 3, &err) == 0 && strcmp(shown(&path), "<ab>") == 0, "the length counts");
    cdp_path_free(&path);
}

static void bad(void)
{
    parses("", "path '': a path begins with '.'");
    parses("[0]", "path '[0]': a path begins with '.'");
    parses("\"a\"", "path '\"a\"': a path begins with '.'");
    parses("1a", "path '1a': a path begins with '.'");
    parses("..", "path '..': unexpected character at 2");
    parses(".a.", "path '.a.': unexpected character at 3");
    parses(".a..b", "path '.a..b': unexpected character at 3");
    parses(".a b", "path '.a b': unexpected character at 3");
    parses("a b", "path 'a b': unexpected character at 2");
    parses("a-b", "path 'a-b': unexpected character at 2");
    parses(".é", "path '.é': unexpected character at 2");
    parses(".1", "path '.1': unexpected character at 2");
    parses(".a?", "path '.a?': unexpected character at 3");
    parses(".[]", "path '.[]': expected a \"key\" or an index from 0 after '[' in a path");
    parses(".[-1]", "path '.[-1]': expected a \"key\" or an index from 0 after '[' in a path");
    parses(".[a]", "path '.[a]': expected a \"key\" or an index from 0 after '[' in a path");
    parses(".[4294967295]",
           "path '.[4294967295]': expected a \"key\" or an index from 0 after '[' in a path");
    parses(".[99999999999999999999]",
           "path '.[99999999999999999999]': expected a \"key\" or an index from 0 after '[' in a path");
    parses(".[1:2]", "path '.[1:2]': expected ']' in a path");
    parses(".[1", "path '.[1': expected ']' in a path");
    parses(".[\"a\"", "path '.[\"a\"': expected ']' in a path");
    parses(".[\"a", "path '.[\"a': unterminated string in a path");
    parses(".\"a\\\"", "path '.\"a\\\"': unterminated string in a path");
    parses(".\"a\\", "path '.\"a\\': unterminated string in a path");
    parses(".\"\\(x)\"", "path '.\"\\(x)\"': bad string in a path: bad escape in a string");
    parses(".\"\xff\"", "path '.\"\xff\"': bad string in a path: invalid UTF-8");
    parses(".\"\n\"", "path '.\"\n\"': bad string in a path: raw control character in a string");
}

static void prefix(const char *text, const char *want, size_t end)
{
    struct cdp_path path;
    size_t used = 0;
    int rc = cdp_path_prefix(&path, text, strlen(text), &used, &err);
    ok(rc == 0 && used == end && strcmp(shown(&path), want) == 0, "%s has a path of %zu bytes", text, end);
    cdp_path_free(&path);
}

static void prefixes(void)
{
    prefix(". == 1", "", 1);
    prefix(".a==1", "<a>", 2);
    prefix(".a.b[0] | .c", "<a><b>[0]", 7);
    prefix(".a,b", "<a>", 2);
    prefix(".a .b", "<a>", 2);
    prefix(".a[\"x\"]:time", "<a><x>", 7);
    prefix(".+1", "", 1);
    struct cdp_path path;
    size_t used;
    ok(cdp_path_prefix(&path, "a", 1, &used, &err) == -1, "a bare name is no prefix");
}

static const char *name(const char *text)
{
    static char out[50];
    struct cdp_path path;
    if (cdp_path_parse(&path, text, strlen(text), &err) < 0)
        return err.msg;
    snprintf(out, sizeof out, "%s", cdp_path_name(&path) ? cdp_path_name(&path) : "(none)");
    cdp_path_free(&path);
    return out;
}

int main(void)
{
    good();
    bad();
    prefixes();
    is(name(".a.b"), "b", "the last key is the name");
    is(name(".a[0]"), "(none)", "an index is none");
    is(name("."), "(none)", "nor is the record");
    return done();
}
