/* progress: how far a run is, on standard error when that is a terminal and the run is longer than a second, and whenever
 * SIGUSR1 asks.  One line as pv shows it: bytes, time, rate, percent, time left. */
#ifndef CDP_PROGRESS_H
#define CDP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cdp_progress {
    bool live;    /* a terminal, and not --quiet */
    bool shown;   /* the line stands on the terminal now */
    double begun; /* seconds on the monotonic clock */
    double last;
};

/* Seconds on the monotonic clock. */
double cdp_progress_clock(void);

/* Begins a run and catches SIGUSR1. */
void cdp_progress_begin(struct cdp_progress *p, bool quiet);

/* Is a line due?  Cheap: to be asked once a block. */
bool cdp_progress_due(struct cdp_progress *p);

/* Shows it: bytes read in all, and of what is on disk `done` of `size` (0: unknown). */
void cdp_progress_show(struct cdp_progress *p, uint64_t bytes, uint64_t done, uint64_t size);

/* Takes the line off the terminal. */
void cdp_progress_end(struct cdp_progress *p);

#endif
