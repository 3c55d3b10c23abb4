/* progress: see progress.h. */
#include "lib/progress.h"

#include "lib/err.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LONGEST (100 * 3600 - 1) /* seconds: 99:59:59 */

static atomic_int asked; /* SIGUSR1 came, to whichever thread */

static void on_usr1(int sig)
{
    (void)sig;
    asked = 1;
}

double cdp_progress_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void cdp_progress_begin(struct cdp_progress *p, bool quiet)
{
    *p = (struct cdp_progress){.live = !quiet && isatty(STDERR_FILENO), .begun = cdp_progress_clock()};
    p->last = p->begun;
    struct sigaction sa = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGUSR1, &sa, NULL);
}

bool cdp_progress_due(struct cdp_progress *p)
{
    if (asked)
        return true;
    return p->live && cdp_progress_clock() - p->last >= 1;
}

static const char *human(double bytes, char *out, size_t n)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t u = 0;
    while (bytes >= 1024 && u < 4) {
        bytes /= 1024;
        u++;
    }
    snprintf(out, n, u ? "%.1f%s" : "%.0f%s", bytes, units[u]);
    return out;
}

void cdp_progress_show(struct cdp_progress *p, uint64_t bytes, uint64_t done, uint64_t size)
{
    double now = cdp_progress_clock(), took = now - p->begun;
    char total[32], rate[32], line[160];
    int seconds = (int)took;
    int n = snprintf(line, sizeof line, "%s %d:%02d:%02d [%s/s]", human((double)bytes, total, sizeof total),
                     seconds / 3600, seconds / 60 % 60, seconds % 60,
                     human(took > 0 ? (double)bytes / took : 0, rate, sizeof rate));
    if (size && done && n > 0 && (size_t)n < sizeof line) {
        double part = (double)done / (double)size;
        double rest = part < 1 ? took / part - took : 0;
        int left = rest < LONGEST ? (int)rest : LONGEST;
        snprintf(line + n, sizeof line - (size_t)n, " %3.0f%% ETA %d:%02d:%02d", part < 1 ? part * 100 : 100,
                 left / 3600, left / 60 % 60, left % 60);
    }
    p->last = now;
    if (asked && !p->live) {
        asked = 0;
        cdp_err_warn("%s", line);
        return;
    }
    asked = 0;
    char screen[200];
    int len = snprintf(screen, sizeof screen, "\r%s: %s\033[K", cdp_err_program_name(), line);
    p->shown = len > 0 && write(STDERR_FILENO, screen, (size_t)len) > 0;
}

void cdp_progress_end(struct cdp_progress *p)
{
    if (p->shown && write(STDERR_FILENO, "\r\033[K", 4) > 0)
        p->shown = false;
}
