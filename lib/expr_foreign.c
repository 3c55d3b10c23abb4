/* expr_foreign: programs for libjq: what they may say, and what they are given to say it with.
 *
 * Definitions put before a program stand on lines of their own, which are not counted in messages.  Names with _cdp_ are in
 * nobody's way. */
#include "lib/expr_impl.h"

#include <string.h>

/* --- definitions */

/* In a string, libjq 1.6 looks for the empty one for ever. */
static const char indices[] =
    "def _cdp_indices($i): indices($i); "
    "def indices($i): if type == \"string\" and $i == \"\" then [] else _cdp_indices($i) end; "
    "def index($i): indices($i) | .[0]; def rindex($i): indices($i) | .[-1:][0];\n";

/* day() and its like in UTC: the rules of lib/time.c and the same calendar. */
static const char buckets[] =
    "def _cdp_pad(n): tostring | if length < n then \"0\" * (n - length) + . else . end; "
    "def _cdp_days($y; $m; $d): (if $m <= 2 then $y - 1 else $y end) as $y | ($y / 400 | floor) as $era | "
    "($y - $era * 400) as $yoe | (((153 * ($m + (if $m > 2 then -3 else 9 end)) + 2) / 5 | floor) + $d - 1) "
    "as $doy | "
    "$yoe * 365 + ($yoe / 4 | floor) - ($yoe / 100 | floor) + $doy + $era * 146097 - 719468; "
    "def _cdp_date: (. + 719468) as $z | ($z / 146097 | floor) as $era | ($z - $era * 146097) as $doe | "
    "(($doe - ($doe / 1460 | floor) + ($doe / 36524 | floor) - ($doe / 146096 | floor)) / 365 | floor) as "
    "$yoe | "
    "($doe - (365 * $yoe + ($yoe / 4 | floor) - ($yoe / 100 | floor))) as $doy | ((5 * $doy + 2) / 153 | "
    "floor) as $mp | "
    "($doy - ((153 * $mp + 2) / 5 | floor) + 1) as $d | (if $mp < 10 then $mp + 3 else $mp - 9 end) as $m | "
    "($yoe + $era * 400 + (if $m <= 2 then 1 else 0 end)) as $y | "
    "if $y < 0 or $y > 9999 then null else "
    "($y | _cdp_pad(4)) + \"-\" + ($m | _cdp_pad(2)) + \"-\" + ($d | _cdp_pad(2)) end; "
    "def _cdp_seconds: [match(\"\\\\A([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    "(?:\\\\.[0-9]{1,9})?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2})))?\\\\z\") | .captures[].string "
    "| if . == null or . == \"+\" or . == \"-\" then . else tonumber end] | if length == 0 then null else "
    ". as [$y, $m, $d, $h, $i, $s, $sign, $oh, $om] | _cdp_days($y; $m; $d) as $days | "
    "($days * 86400 + ($h // 0) * 3600 + ($i // 0) * 60 + ($s // 0) - (($oh // 0) * 3600 + ($om // 0) * 60) "
    "* "
    "(if $sign == \"-\" then -1 else 1 end)) as $t | "
    "if ($days | _cdp_date) != ([($y | _cdp_pad(4)), ($m | _cdp_pad(2)), ($d | _cdp_pad(2))] | join(\"-\")) "
    "or $m < 1 "
    "or $h > 23 or $i > 59 or $s > 60 or $oh > 23 or $om > 59 or ($s == 60 and $t % 86400 != 0) then null "
    "else $t end end; "
    "def _cdp_bucket($of): if . == null then null else (if type == \"string\" then _cdp_seconds else null "
    "end) | (if . == null then null else . as $t | (. / 86400 | floor) as $day | "
    "(if $of == \"week\" then $day + 3 | . - (. / 7 | floor) * 7 | $day - . else $day end | _cdp_date) as "
    "$date | "
    "if $date == null then null "
    "elif $of == \"hour\" then $date + \"T\" + (($t - $day * 86400) / 3600 | floor | _cdp_pad(2)) + "
    "\":00:00Z\" "
    "elif $of == \"month\" then $date | .[:-3] elif $of == \"year\" then $date | .[:-6] else $date end end) "
    "| "
    "if . == null then error($of + \"() of what is no RFC 3339 time\") else . end end; "
    "def hour(f): f | _cdp_bucket(\"hour\"); def day(f): f | _cdp_bucket(\"day\"); "
    "def week(f): f | _cdp_bucket(\"week\"); def month(f): f | _cdp_bucket(\"month\"); "
    "def year(f): f | _cdp_bucket(\"year\");\n";

/* --- patterns */

/* Searching for all matches of a pattern, libjq 1.6 goes on for ever in gsub() where one of them is empty and not at the end,
 * and otherwise goes on by one byte, which ends the process where that is in the middle of a character.  So each pattern
 * that is known now has to show what it does with the characters of ASCII, one by one and together. */
static int check_patterns(const struct cdp_buf *patterns, struct cdp_err *err)
{
    if (patterns->len == 0)
        return 0;
    struct cdp_buf text = {0};
    cdp_buf_adds(&text, "[[range(32; 127)] | ., (.[] | [.]) | implode | length as $n | (empty");
    cdp_buf_add(&text, patterns->data, patterns->len);
    cdp_buf_adds(
        &text, ") as $p | try (match($p; \"g\") | .length == 0 and .offset < $n) catch false] | if any then "
               "error(\"a search for all matches of a pattern that matches the empty text cannot be used: "
               "libjq 1.6 does not end it\") else empty end");
    cdp_buf_addc(&text, '\0');
    struct cdp_jq *p = NULL;
    if (cdp_buf_check(&text, err) == 0)
        p = cdp_jq_new(text.data, 0, CDP_JQ_CHECK | CDP_JQ_PROBE, err);
    cdp_buf_free(&text);
    cdp_jq_free(p);
    return p ? 0 : -1;
}

/* --- programs */

struct cdp_jq *cdp_expr_own_jq(struct cdp_expr *e, const char *text, size_t lines, unsigned flags,
                               struct cdp_err *err)
{
    struct cdp_jq **grown = cdp_mem_grow(e->jq, &e->jq_cap, e->jqs + 1, sizeof *grown, err);
    if (!grown)
        return NULL;
    e->jq = grown;
    struct cdp_jq *p = cdp_jq_new(text, lines, flags, err);
    if (p)
        e->jq[e->jqs++] = p;
    return p;
}

/* With the definitions it needs. */
static struct cdp_jq *defined(struct cdp_expr *e, const char *text, const struct cdp_expr_mentions *m,
                              struct cdp_err *err)
{
    struct cdp_buf all = {0};
    if (m->bucket)
        cdp_buf_adds(&all, buckets);
    if (m->index)
        cdp_buf_adds(&all, indices);
    cdp_buf_add(&all, text, strlen(text) + 1);
    unsigned flags = CDP_JQ_CHECK | (m->regex || m->bucket ? CDP_JQ_REGEX : 0);
    struct cdp_jq *p = NULL;
    if (cdp_buf_check(&all, err) == 0)
        p = cdp_expr_own_jq(e, all.data, (size_t)m->bucket + m->index, flags, err);
    cdp_buf_free(&all);
    return p;
}

struct cdp_jq *cdp_expr_foreign(struct cdp_expr *e, const char *text, struct cdp_err *err)
{
    struct cdp_expr_mentions m = cdp_expr_mentions(text);
    struct cdp_jq *p = NULL;
    if (m.refused)
        cdp_err_set(err, CDP_EXIT_USAGE, "%s cannot be used: %s", m.refused, m.why);
    else if (m.bucket && e->zone)
        cdp_err_set(err, CDP_EXIT_USAGE,
                    "day() and its like know no time zone in an expression that needs libjq");
    else if (cdp_buf_check(&m.patterns, err) == 0 && check_patterns(&m.patterns, err) == 0)
        p = defined(e, text, &m, err);
    cdp_buf_free(&m.patterns);
    return p;
}
