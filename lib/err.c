/* err: see err.h.  A diagnostic is put together in a local buffer and leaves in one write(2), so that lines
 * of several processes on one terminal or log never mix. */
#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *program = "cdp";

static void vset(struct cdp_err *err, enum cdp_exit status, const char *fmt, va_list ap)
{
    err->exit = status;
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
}

int cdp_err_set(struct cdp_err *err, enum cdp_exit status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vset(err, status, fmt, ap);
    va_end(ap);
    return -1;
}

int cdp_err_errno(struct cdp_err *err, const char *fmt, ...)
{
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    vset(err, CDP_EXIT_IO, fmt, ap);
    va_end(ap);
    size_t n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", strerror(saved));
    return -1;
}

int cdp_err_nomem(struct cdp_err *err, size_t bytes)
{
    return cdp_err_set(err, CDP_EXIT_IO, "cannot allocate %zu bytes", bytes);
}

int cdp_err_prefix(struct cdp_err *err, const char *fmt, ...)
{
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vset(err, err->exit, fmt, ap);
    va_end(ap);
    size_t n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %.*s", (int)(sizeof err->msg - 3), old);
    return -1;
}

void cdp_err_program(const char *name)
{
    program = name;
}

const char *cdp_err_program_name(void)
{
    return program;
}

static void print(const char *msg)
{
    char line[sizeof((struct cdp_err *)0)->msg + 64];
    int n = snprintf(line, sizeof line - 1, "%s: %s", program, msg);
    if (n < 0)
        return;
    size_t len = (size_t)n < sizeof line - 1 ? (size_t)n : sizeof line - 2;
    for (size_t i = 0; i < len; i++) /* a file's name may hold anything; the line stays one line */
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len++] = '\n';
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
        ;
}

void cdp_err_print(const struct cdp_err *err)
{
    print(err->msg);
}

void cdp_err_warn(const char *fmt, ...)
{
    char msg[sizeof((struct cdp_err *)0)->msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    print(msg);
}
