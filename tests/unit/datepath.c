#include "lib/datepath.h"

#include "tap.h"

/* "PART lo-hi", as far as there is such. */
static const char *parse(const char *path)
{
    static char text[200];
    struct cdp_buf part = {0};
    struct cdp_datepath d = cdp_datepath_parse(path, &part);
    int n = snprintf(text, sizeof text, "%.*s", (int)part.len, part.len ? part.data : "");
    cdp_buf_free(&part);
    if (d.dated)
        snprintf(text + n, sizeof text - (size_t)n, " %012llu-%012llu", (unsigned long long)d.lo,
                 (unsigned long long)d.hi);
    return text;
}

static void paths(void)
{
    static const char *const cases[][2] = {
        {"f", ""},
        {"", ""},
        {"dir/f", ""},
        {"/2026/02/05/f", "2026/02/05 202602050000-202602052359"},
        {"2026/02/05/16/f", "2026/02/05/16 202602051600-202602051659"},
        {"data/users/2026/02/05/16/23/f", "2026/02/05/16/23 202602051623-202602051623"},
        {"2026/02/05/16/23/59/f", "2026/02/05/16/23 202602051623-202602051623"},
        {"2026/02/05/x/f", "2026/02/05 202602050000-202602052359"},
        {"2026/02/f", ""},
        {"2026/2/5/f", ""},
        {"2026/13/05/f", ""},
        {"2026/02/05/24/f", "2026/02/05 202602050000-202602052359"},
        {"1899/02/05/f", ""},
        {"20260/02/05/f", ""},
        {"2026/02/05", ""}, /* the file's own name is not looked at */
        {"year=2026/month=2/day=05/f", "year=2026/month=2/day=05 202602050000-202602052359"},
        {"year=2026/month=02/f", "year=2026/month=02 202602010000-202602312359"},
        {"year=2026/f", "year=2026 202601010000-202612312359"},
        {"year=2026/day=05/f", "year=2026/day=05 202601010000-202612312359"},
        {"month=02/day=05/f", "month=02/day=05"},
        {"year=2026/month=02/day=05/hour=7/f", "year=2026/month=02/day=05/hour=7 202602050700-202602050759"},
        {"date=2026-02-05/f", "date=2026-02-05 202602050000-202602052359"},
        {"date=2026-02-05/hour=23/f", "date=2026-02-05/hour=23 202602052300-202602052359"},
        {"date=2026-02/f", "date=2026-02 202602010000-202602312359"},
        {"date=today/f", "date=today"},
        {"lake/country=DE/date=2026-02-05/f", "country=DE/date=2026-02-05 202602050000-202602052359"},
        {"date=2026-02-05/x/country=DE/f", "date=2026-02-05/country=DE 202602050000-202602052359"},
        {"2026/02/05/x/region=eu/f", "2026/02/05/region=eu 202602050000-202602052359"},
        {"a=b/x/2026/02/05/y/c=d/f", "a=b/2026/02/05/c=d 202602050000-202602052359"},
        {"2025/01/01/x/2026/02/05/f", "2025/01/01/2026/02/05 202602050000-202602052359"},
        {"date=2025-01-01/x/date=2026-02-05/f", "date=2025-01-01/date=2026-02-05 202602050000-202602052359"},
        {"date=2026-02-05/date=today/f", "date=2026-02-05/date=today 202602050000-202602052359"},
        /* A time's parts are adjacent: what stands apart and is none of its own does not narrow it. */
        {"year=2026/x/month=02/day=05/f", "year=2026/month=02/day=05 202601010000-202612312359"},
        {"year=2026/month=01/x/year=2027/f", "year=2026/month=01/year=2027 202701010000-202712312359"},
        {"2026/02/05/kind=a/f", "2026/02/05/kind=a 202602050000-202602052359"},
        {"year=/f", "year="},
        {"=x/f", ""},
        {"year=20266/f", "year=20266"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        is(parse(cases[i][0]), cases[i][1], cases[i][0]);
}

static void bounds(void)
{
    static const struct {
        const char *text;
        unsigned long long first, last;
    } good[] = {
        {"2026", 202601010000, 202612312359},
        {"2026-02", 202602010000, 202602312359},
        {"2026-02-05", 202602050000, 202602052359},
        {"2026-02-05T16", 202602051600, 202602051659},
        {"2026-02-05 16:23", 202602051623, 202602051623},
    };
    static const char *const bad[] = {"",
                                      "26",
                                      "2026-",
                                      "2026-2",
                                      "2026-00",
                                      "2026-02-32",
                                      "2026-02-05T",
                                      "2026-02-05T1",
                                      "2026-02-05x",
                                      "2026T02",
                                      "2026-02-05T16:60",
                                      "2026-02-05T16:23:00"};
    uint64_t m, n;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ok(cdp_datepath_bound(good[i].text, false, &m) && cdp_datepath_bound(good[i].text, true, &n) &&
               m == good[i].first && n == good[i].last,
           "%s", good[i].text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(!cdp_datepath_bound(bad[i], false, &m), "not '%s'", bad[i]);
}

int main(void)
{
    paths();
    bounds();
    return done();
}
