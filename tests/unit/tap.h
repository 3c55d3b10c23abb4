/* tap: the Test Anything Protocol (https://testanything.org) for unit programs.
 *     int main(void) { ok(1 + 1 == 2, "sums"); return done(); } */
#ifndef CDP_TAP_H
#define CDP_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_run, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static bool ok(bool good, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("%sok %d - ", good ? "" : "not ", ++tap_run);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
    tap_failed += !good;
    return good;
}

/* Compares bytes and shows both where they differ. */
__attribute__((unused)) static bool is(const char *got, const char *want, const char *name)
{
    bool same = got && strcmp(got, want) == 0;
    if (!ok(same, "%s", name))
        printf("#   got: %s\n#  want: %s\n", got ? got : "(null)", want);
    return same;
}

__attribute__((unused)) static void skip(const char *why)
{
    printf("ok %d # skip %s\n", ++tap_run, why);
}

__attribute__((unused)) static int done(void)
{
    printf("1..%d\n", tap_run);
    return tap_failed != 0;
}

#endif
