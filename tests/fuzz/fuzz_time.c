/* Fuzz target: what cdp_time_parse takes is written back as the same instant, and libc's calendar agrees with ours. */
#include "lib/scan.h"
#include "lib/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void round_trip(struct cdp_time t)
{
    char text[CDP_TIME_MAX];
    struct cdp_time again;
    size_t n = cdp_time_format(t, text);
    if (n != strlen(text) || !cdp_time_parse(text, n, &again) || cdp_time_cmp(t, again) != 0)
        abort();
}

static void calendar(struct cdp_time t)
{
    char ours[CDP_TIME_MAX], theirs[64];
    struct tm tm;
    time_t sec = (time_t)t.sec;
    if (!gmtime_r(&sec, &tm))
        abort();
    cdp_time_bucket(t, CDP_BUCKET_DAY, NULL, ours);
    if (tm.tm_year < -1900 || tm.tm_year > 8099)
        return;
    snprintf(theirs, sizeof theirs, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    if (strcmp(ours, theirs) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdp_time t;
    struct cdp_val v;
    int64_t seconds;
    char *text = malloc(n + 1);
    if (!text)
        return 0;
    memcpy(text, data, n);
    text[n] = 0;
    if (cdp_time_parse(text, n, &t)) {
        round_trip(t);
        calendar(t);
    }
    if (cdp_time_parse_duration(text, &seconds) && seconds < 0)
        abort();
    struct cdp_err err;
    struct cdp_scan_fault fault;
    struct cdp_plan *plan = cdp_plan_new(&err);
    if (plan && cdp_plan_add_text(plan, ".", &err) == 0 && cdp_scan_document(plan, text, n, &v, &fault)) {
        for (int unit = CDP_TIME_RFC3339; unit <= CDP_TIME_EPOCH_MS; unit++)
            if (cdp_time_from_val(v, (enum cdp_time_unit)unit, &t))
                round_trip(t);
    }
    cdp_plan_free(plan);
    free(text);
    return 0;
}
