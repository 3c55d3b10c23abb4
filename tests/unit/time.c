/* Unit tests of lib/time and lib/zone. */
#include "lib/time.h"
#include "lib/mem.h"
#include "tests/unit/tap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

static char shown[128];

/* "seconds.nanoseconds", or "no". */
static const char *parsed(const char *s)
{
    struct cdp_time t;
    if (!cdp_time_parse(s, strlen(s), &t))
        return "no";
    snprintf(shown, sizeof shown, "%" PRId64 ".%09" PRIu32, t.sec, t.nsec);
    return shown;
}

static const char *from_json(const char *json, enum cdp_time_unit unit)
{
    struct cdp_time t;
    if (!cdp_time_from_val(cdp_val_text(json, strlen(json)), unit, &t))
        return "no";
    snprintf(shown, sizeof shown, "%" PRId64 ".%09" PRIu32, t.sec, t.nsec);
    return shown;
}

static const char *formatted(int64_t sec, uint32_t nsec)
{
    size_t n = cdp_time_format((struct cdp_time){sec, nsec}, shown);
    return n == strlen(shown) && n < CDP_TIME_MAX ? shown : "wrong length";
}

static void test_parse(void)
{
    static const char *const good[][2] = {
        {"1970-01-01T00:00:00Z", "0.000000000"},
        {"2026-02-05T16:23:00Z", "1770308580.000000000"},
        {"2026-02-05t16:23:00z", "1770308580.000000000"},
        {"2026-02-05 16:23:00Z", "1770308580.000000000"},
        {"2026-02-05T16:23:00+00:00", "1770308580.000000000"},
        {"2026-02-05T16:23:00-00:00", "1770308580.000000000"},
        {"2026-02-05T22:08:00+05:45", "1770308580.000000000"},
        {"2026-02-05T11:23:00.5-05:00", "1770308580.500000000"},
        {"2026-02-05", "1770249600.000000000"},
        {"1969-12-31T23:59:59.999999999Z", "-1.999999999"},
        {"2026-02-05T16:23:00.1Z", "1770308580.100000000"},
        {"2026-02-05T16:23:00.12Z", "1770308580.120000000"},
        {"2026-02-05T16:23:00.123Z", "1770308580.123000000"},
        {"2026-02-05T16:23:00.1234Z", "1770308580.123400000"},
        {"2026-02-05T16:23:00.12345Z", "1770308580.123450000"},
        {"2026-02-05T16:23:00.123456Z", "1770308580.123456000"},
        {"2026-02-05T16:23:00.1234567Z", "1770308580.123456700"},
        {"2026-02-05T16:23:00.12345678Z", "1770308580.123456780"},
        {"2026-02-05T16:23:00.123456789Z", "1770308580.123456789"},
        {"2026-02-05T16:23:00.000000001+23:59", "1770222240.000000001"},
        {"2000-02-29T00:00:00Z", "951782400.000000000"},
        {"2024-02-29", "1709164800.000000000"},
        {"0000-01-01", "-62167219200.000000000"},
        {"0000-02-29", "-62162121600.000000000"},
        {"0000-01-01T00:00:00+23:59", "-62167305540.000000000"},
        {"9999-12-31T23:59:59Z", "253402300799.000000000"},
        {"9999-12-31T23:59:59-23:59", "253402387139.000000000"},
        {"2016-12-31T23:59:60Z", "1483228800.000000000"},
        {"2017-01-01T05:44:60.25+05:45", "1483228800.250000000"},
    };
    static const char *const bad[] = {
        "",
        "2026",
        "2026-02-05T",
        "2026-02-05T16:23Z",
        "2026-02-05T16:23:00",
        "2026-02-05T16:23:00.Z",
        "2026-02-05T16:23:00.1234567890Z",
        "2026-02-05T16:23:00.123",
        "2026-02-05T16:23:00+0545",
        "2026-02-05T16:23:00+05",
        "2026-02-05T16:23:00+05:60",
        "2026-02-05T16:23:00+24:00",
        "2026-02-05T16:23:00Z ",
        " 2026-02-05T16:23:00Z",
        "2026-02-05T24:00:00Z",
        "2026-02-05T16:60:00Z",
        "2026-02-05T16:23:61Z",
        "2026-02-05T16:23:60Z",
        "2026-02-29",
        "2100-02-29",
        "2026-00-05",
        "2026-13-05",
        "2026-02-00",
        "2026-04-31",
        "2026-2-5",
        "2026/02/05",
        "20260205T162300Z",
        "+2026-02-05",
        "-026-02-05",
        "2026-02-/5",
        "2026-02-05T1.:23:00Z",
        "2026-02-05T16:23:00,5Z",
        "2026-02-05T16:23:00ZZ",
        "2026-02-05T16:23:00+05:45x",
        "2026-02-05_16:23:00Z",
        "10000-01-01",
        "2026-02-05T16:23:00.-1Z",
        "2026-02-0\xc2\xb2",
        "2026-02-05T16:23:00\xe2\x88\x92"
        "05:00",
        "2026-02-0:",
        "2026-02-05T1?:23:00Z",
        "2026-02-05T16.23:00Z",
        "2026-02-05T16:23.00Z",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        is(parsed(good[i][0]), good[i][1], good[i][0]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(strcmp(parsed(bad[i]), "no") == 0, "refused: '%s'", bad[i]);
    struct cdp_time t;
    ok(!cdp_time_parse("2026-02-05T16:23:00Z\0", 21, &t), "refused: a NUL behind");
    int64_t days;
    ok(cdp_time_parse_date("2026-02-05xyz", 10, &days) && days == 20489, "a date");
    ok(!cdp_time_parse_date("2026-02-05T00:00:00Z", 20, &days), "a time is no date");
}

static void test_values(void)
{
    is(from_json("\"2026-02-05T16:23:00Z\"", CDP_TIME_RFC3339), "1770308580.000000000", "a string");
    is(from_json("\"2026\\u002d02-05T16:23:00.5\\u005a\"", CDP_TIME_RFC3339), "1770308580.500000000",
       "escapes");
    is(from_json("\"2026\\n02-05T16:23:00Z\"", CDP_TIME_RFC3339), "no", "a wrong escape");
    is(from_json("1770308580", CDP_TIME_RFC3339), "no", "a number without a unit");
    is(from_json("1770308580", CDP_TIME_EPOCH_S), "1770308580.000000000", "seconds");
    is(from_json("1770308580123", CDP_TIME_EPOCH_MS), "1770308580.123000000", "milliseconds");
    is(from_json("1770308580.123456789", CDP_TIME_EPOCH_S), "1770308580.123456789",
       "seconds with nanoseconds");
    is(from_json("1770308580123.456789", CDP_TIME_EPOCH_MS), "1770308580.123456789", "ms with nanoseconds");
    is(from_json("1770308580.1234567890000000000000000000000000", CDP_TIME_EPOCH_S), "1770308580.123456789",
       "zeros behind");
    is(from_json("1770308580.1234567891", CDP_TIME_EPOCH_S), "no", "finer than a nanosecond");
    is(from_json("1.77030858e9", CDP_TIME_EPOCH_S), "1770308580.000000000", "an exponent");
    is(from_json("177030858000E-2", CDP_TIME_EPOCH_S), "1770308580.000000000", "an exponent down");
    is(from_json("0.00177030858E+12", CDP_TIME_EPOCH_S), "1770308580.000000000", "zeros before");
    is(from_json("-1", CDP_TIME_EPOCH_MS), "-1.999000000", "before 1970");
    is(from_json("-0.000000001", CDP_TIME_EPOCH_S), "-1.999999999", "a nanosecond before 1970");
    is(from_json("0e999999999999999999999", CDP_TIME_EPOCH_S), "0.000000000", "zero at any exponent");
    is(from_json("-0.0", CDP_TIME_EPOCH_S), "0.000000000", "minus zero");
    is(from_json("1e999999999999999999999", CDP_TIME_EPOCH_S), "no", "a huge exponent");
    is(from_json("1e-999999999999999999999", CDP_TIME_EPOCH_S), "no", "a tiny one");
    is(from_json("1770308580123", CDP_TIME_EPOCH_S), "no",
       "milliseconds given as seconds: after the year 9999");
    is(from_json("253402300799.999999999", CDP_TIME_EPOCH_S), "253402300799.999999999", "the last instant");
    is(from_json("253402300800", CDP_TIME_EPOCH_S), "no", "the year 10000");
    is(from_json("-62167219200", CDP_TIME_EPOCH_S), "-62167219200.000000000", "the year 0000");
    is(from_json("-62167219200.000000001", CDP_TIME_EPOCH_S), "no", "before the year 0000");
    is(from_json("123456789012345678901234567890123456789012345678901234567890", CDP_TIME_EPOCH_MS), "no",
       "sixty digits");
    is(from_json("null", CDP_TIME_EPOCH_S), "no", "null");
    is(from_json("true", CDP_TIME_EPOCH_S), "no", "true");
    is(from_json("\"1770308580\"", CDP_TIME_EPOCH_S), "no", "a number in a string");
}

static void test_format(void)
{
    is(formatted(0, 0), "1970-01-01T00:00:00Z", "the epoch");
    is(formatted(1770308580, 500000000), "2026-02-05T16:23:00.500Z", "3 digits");
    is(formatted(1770308580, 123456000), "2026-02-05T16:23:00.123456Z", "6 digits");
    is(formatted(1770308580, 1), "2026-02-05T16:23:00.000000001Z", "9 digits");
    is(formatted(-1, 0), "1969-12-31T23:59:59Z", "before the epoch");
    is(formatted(-62167219200, 0), "0000-01-01T00:00:00Z", "the year 0000");
    is(formatted(-62167305540, 0), "0000-01-01T00:00:00+23:59", "before it, as far as text goes");
    is(formatted(253402387139, 1), "9999-12-31T23:59:59.000000001-23:59", "after 9999, as far as text goes");
    is(formatted(-62167305541, 0), "-0001-12-31T00:00:59Z", "before that");
    is(formatted(253402387140, 0), "+10000-01-01T23:59:00Z", "after that");
    is(formatted(INT64_MAX, 999999999), "+292277026596-12-04T15:30:07.999999999Z",
       "the last second there is");
    is(formatted(INT64_MIN, 0), "-292277022657-01-27T08:29:52Z", "the first");
    ok(cdp_time_cmp((struct cdp_time){1, 0}, (struct cdp_time){0, 9}) > 0 &&
           cdp_time_cmp((struct cdp_time){1, 1}, (struct cdp_time){1, 2}) < 0 &&
           cdp_time_cmp((struct cdp_time){1, 1}, (struct cdp_time){1, 1}) == 0,
       "comparison");
}

static void test_calendar(void)
{
    int64_t bad = 0, before = cdp_time_days(-800, 1, 1) - 1;
    for (int64_t y = -800; y <= 2800; y++) {
        bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
        static const unsigned length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        for (unsigned m = 1; m <= 12; m++) {
            for (unsigned d = 1; d <= length[m - 1] + (m == 2 && leap); d++) {
                int64_t n = cdp_time_days(y, m, d), year;
                unsigned month, day;
                cdp_time_civil(n, &year, &month, &day);
                bad += n != ++before || year != y || month != m || day != d;
            }
        }
    }
    ok(bad == 0, "3,600 years day by day, there and back");
    ok(cdp_time_days(1970, 1, 1) == 0, "day 0");
}

static void test_duration(void)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {{"90s", 90},     {"15m", 900}, {"6h", 21600}, {"3d", 259200},
                {"2w", 1209600}, {"7", 7},     {"0", 0}};
    static const char *const bad[] = {
        "", "s", "-1s", "1y", "1 s", "1ss", "1.5h", "99999999999999999999", "9223372036854775807w"};
    int64_t s;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ok(cdp_time_parse_duration(good[i].text, &s) && s == good[i].seconds, "duration '%s'", good[i].text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(!cdp_time_parse_duration(bad[i], &s), "no duration: '%s'", bad[i]);
}

static int32_t offset_at(const struct cdp_zone *z, const char *time)
{
    struct cdp_time t;
    return cdp_time_parse(time, strlen(time), &t) ? cdp_zone_offset(z, t.sec) : INT32_MIN;
}

static const char *bucket(const char *time, enum cdp_bucket b, const struct cdp_zone *z)
{
    struct cdp_time t;
    if (!cdp_time_parse(time, strlen(time), &t))
        return "no";
    size_t n = cdp_time_bucket(t, b, z, shown);
    if (n == 0)
        return "";
    return n == strlen(shown) ? shown : "wrong length";
}

static void test_bucket(void)
{
    is(bucket("2026-02-05T16:23:45.6Z", CDP_BUCKET_HOUR, NULL), "2026-02-05T16:00:00Z", "hour");
    is(bucket("2026-02-05T16:23:45.6Z", CDP_BUCKET_DAY, NULL), "2026-02-05", "day");
    is(bucket("2026-02-05T16:23:45.6Z", CDP_BUCKET_WEEK, NULL), "2026-02-02", "week: its Monday");
    is(bucket("2026-02-02T00:00:00Z", CDP_BUCKET_WEEK, NULL), "2026-02-02", "a Monday");
    is(bucket("2026-02-01T23:59:59Z", CDP_BUCKET_WEEK, NULL), "2026-01-26", "a Sunday");
    is(bucket("1969-12-31T00:00:00Z", CDP_BUCKET_WEEK, NULL), "1969-12-29", "a week before 1970");
    is(bucket("2026-02-05T16:23:45.6Z", CDP_BUCKET_MONTH, NULL), "2026-02", "month");
    is(bucket("2026-02-05T16:23:45.6Z", CDP_BUCKET_YEAR, NULL), "2026", "year");
    is(bucket("0000-01-01", CDP_BUCKET_WEEK, NULL), "", "a week that begins before the year 0000");
    is(bucket("0000-01-03", CDP_BUCKET_WEEK, NULL), "0000-01-03", "the first that does not");
    is(bucket("0000-01-01T00:00:00+00:01", CDP_BUCKET_HOUR, NULL), "", "an hour before the year 0000");
    is(bucket("9999-12-31T23:59:59Z", CDP_BUCKET_HOUR, NULL), "9999-12-31T23:00:00Z", "the last hour");
    is(bucket("9999-12-31T23:59:60Z", CDP_BUCKET_DAY, NULL), "", "a leap second of the year 10000");
}

static void test_zones(void)
{
    struct cdp_err err;
    struct cdp_zone *z = cdp_zone_open("UTC", &err);
    ok(z && cdp_zone_is_utc(z) && cdp_zone_offset(z, 0) == 0, "UTC needs no file");
    is(bucket("2026-02-05T16:23:45Z", CDP_BUCKET_HOUR, z), "2026-02-05T16:00:00Z", "UTC by name");
    cdp_zone_free(z);
    ok(cdp_zone_is_utc(NULL) && cdp_zone_offset(NULL, 0) == 0, "NULL is UTC");
    if (access("/usr/share/zoneinfo/Asia/Kathmandu", R_OK) != 0) {
        skip("no zone database");
        return;
    }
    z = cdp_zone_open("Asia/Kathmandu", &err);
    ok(z && !cdp_zone_is_utc(z), "Asia/Kathmandu");
    ok(offset_at(z, "2015-09-12T00:15:00Z") == 20700, "+05:45");
    ok(offset_at(z, "1985-12-31T18:29:59Z") == 19800, "+05:30 before 1986");
    ok(offset_at(z, "1985-12-31T18:30:00Z") == 20700, "+05:45 from then on");
    ok(offset_at(z, "9999-01-01T00:00:00Z") == 20700, "+05:45 for ever");
    is(bucket("2015-09-12T00:15:00Z", CDP_BUCKET_HOUR, z), "2015-09-12T06:00:00+05:45",
       "an hour in Kathmandu");
    is(bucket("2015-09-12T18:15:00Z", CDP_BUCKET_DAY, z), "2015-09-13", "a day in Kathmandu");
    is(bucket("1919-12-31T00:00:00Z", CDP_BUCKET_HOUR, z), "1919-12-31T04:59:44+05:41",
       "local mean time: an offset without its 16 seconds");
    is(bucket("1919-12-30T18:20:00Z", CDP_BUCKET_HOUR, z), "1919-12-30T23:59:44+05:41",
       "an hour that begins on the day before by such a clock");
    cdp_zone_free(z);
    z = cdp_zone_open("America/New_York", &err);
    ok(offset_at(z, "2026-03-08T06:59:59Z") == -18000, "EST");
    ok(offset_at(z, "2026-03-08T07:00:00Z") == -14400, "EDT begins");
    ok(offset_at(z, "2026-11-01T05:59:59Z") == -14400, "EDT");
    ok(offset_at(z, "2026-11-01T06:00:00Z") == -18000, "EST begins");
    is(bucket("2026-11-01T05:30:00Z", CDP_BUCKET_HOUR, z), "2026-11-01T01:00:00-04:00", "one o'clock");
    is(bucket("2026-11-01T06:30:00Z", CDP_BUCKET_HOUR, z), "2026-11-01T01:00:00-05:00", "one o'clock again");
    ok(offset_at(z, "2525-07-01T00:00:00Z") == -14400, "summer in 2525, by the footer");
    ok(offset_at(z, "2525-12-01T00:00:00Z") == -18000, "winter in 2525, by the footer");
    ok(offset_at(z, "1800-01-01T00:00:00Z") == -17762, "before the first transition");
    cdp_zone_free(z);
    z = cdp_zone_open("Etc/UTC", &err);
    ok(z && cdp_zone_is_utc(z), "Etc/UTC is UTC");
    cdp_zone_free(z);
    static const char *const bad[] = {"",     "Nowhere/Land", "../../../etc/passwd", "/etc/localtime",
                                      "Asia", "zone.tab"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(!cdp_zone_open(bad[i], &err) && err.exit == CDP_EXIT_USAGE, "no zone: '%s'", bad[i]);
}

/* Opens a zone that consists of a footer only, or NULL. */
static struct cdp_zone *footer_zone(const char *dir, const char *footer)
{
    static const unsigned char head[44] = {'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4};
    static const unsigned char type[10] = {0, 0, 0, 0, 0, 0, 'X', 'X', 'X', 0};
    char path[256];
    snprintf(path, sizeof path, "%s/Zone", dir);
    FILE *f = fopen(path, "w");
    if (!f)
        return NULL;
    for (int i = 0; i < 2; i++) {
        fwrite(head, 1, sizeof head, f);
        fwrite(type, 1, sizeof type, f);
    }
    fprintf(f, "\n%s\n", footer);
    fclose(f);
    struct cdp_err err;
    struct cdp_zone *z = cdp_zone_open("Zone", &err);
    remove(path);
    return z;
}

static void test_footers(void)
{
    static const struct {
        const char *footer, *time;
        int32_t offset;
    } good[] = {
        {"EST5", "2026-07-01", -18000},
        {"<+0545>-5:45", "2026-07-01", 20700},
        {"<-00>0", "2026-07-01", 0},
        {"XXX3EDT4,0/0,J365/23", "2026-01-01T03:00:00Z", -14400}, /* all the year, RFC 8536's example */
        {"XXX3EDT4,0/0,J365/23", "2026-12-31T23:59:59Z", -14400},
        {"AAA0BBB,J60/0,J61/0", "2024-02-29T23:59:59Z", 0}, /* J60 is March 1 in every year */
        {"AAA0BBB,J60/0,J61/0", "2024-03-01", 3600},
        {"AAA0BBB,J60/0,J61/0", "2023-03-01", 3600},
        {"AAA0BBB,59/0,60/0", "2024-02-29", 3600}, /* 59 is the 60th day */
        {"AAA0BBB,59/0,60/0", "2023-02-28", 0},
        {"AAA0BBB,59/0,60/0", "2023-03-01", 3600},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-01-15", 0}, /* Dublin: winter is the saving time */
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-07-15", 3600},
        {"IST-2IDT,M3.4.4/26,M10.5.0", "2026-03-26T23:59:59Z", 7200}, /* hours past the day's end */
        {"IST-2IDT,M3.4.4/26,M10.5.0", "2026-03-27T00:00:00Z", 10800},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -7200}, /* and before its start */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -3600},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-01-15", 39600}, /* the southern summer spans the new year */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2026-06-15", 36000},
        {"AAA0BBB,M12.5.0/167,M6.1.0", "2027-01-02T22:59:59Z", 0}, /* an edge that falls into the next year */
        {"AAA0BBB,M12.5.0/167,M6.1.0", "2027-01-02T23:00:00Z", 3600},
    };
    static const char *const bad[] = {"E",
                                      "EST",
                                      "EST5EDT",
                                      "EST5EDT,M3.2.0",
                                      "EST5EDT,M13.2.0,M11.1.0",
                                      "EST25",
                                      "EST5EDT,M3.2.0,M11.1.0x",
                                      "<EST5",
                                      "EST5EDT,J0,J5",
                                      "EST5EDT,366,J5",
                                      "EST5EDT,M3.2.0/168,M11.1.0"};
    char dir[] = "/tmp/cdp-time-XXXXXX";
    if (!mkdtemp(dir)) {
        ok(false, "a temporary directory");
        return;
    }
    setenv("TZDIR", dir, 1);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct cdp_zone *z = footer_zone(dir, good[i].footer);
        ok(z && offset_at(z, good[i].time) == good[i].offset, "footer %s at %s", good[i].footer,
           good[i].time);
        cdp_zone_free(z);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(!footer_zone(dir, bad[i]), "no footer: %s", bad[i]);
    unsetenv("TZDIR");
    rmdir(dir);
}

/* What follows a good date: 1 a time of day in UTC that is no leap second, 0 anything else. */
static void on_day(void)
{
    static const struct {
        const char *text;
        bool good;
    } each[] = {
        {"2026-02-05T23:59:59Z", true},
        {"2026-02-05t00:00:00.123456789z", true},
        {"2026-02-05 12:30:00.5Z", true},
        {"2026-02-05T23:59:60Z", false},
        {"2026-02-05T24:00:00Z", false},
        {"2026-02-05T12:60:00Z", false},
        {"2026-02-05T12:00:00+01:00", false},
        {"2026-02-05T12:00:00+00:00", false},
        {"2026-02-05T12:00:00.Z", false},
        {"2026-02-05T12:00:00.1234567890Z", false},
        {"2026-02-05T12:00:00ZZ", false},
        {"2026-02-05T12:00:00", false},
        {"2026-02-05", false},
        {"2026-02-05x12:00:00Z", false},
    };
    for (size_t i = 0; i < sizeof each / sizeof *each; i++)
        ok(cdp_time_on_day(each[i].text, strlen(each[i].text)) == each[i].good, "%s%s on its day",
           each[i].text, each[i].good ? "" : " is not");
}

int main(void)
{
    test_parse();
    test_values();
    test_format();
    test_calendar();
    test_duration();
    test_bucket();
    test_footers();
    unsetenv("TZDIR");
    test_zones();
    on_day();
    return done();
}
