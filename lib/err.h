/* err: diagnostics and exit statuses.
 *
 * Every function of lib that can fail takes a `struct cdp_err *err` as its last argument, returns a
 * negative number (or NULL) on failure and has then filled *err.  Only a tool's main ends the process.
 * A message is lower case, has no full stop, says where and what, and never holds a record's values. */
#ifndef CDP_ERR_H
#define CDP_ERR_H

#include <stddef.h>

enum cdp_exit {
    CDP_EXIT_OK = 0,    /* done */
    CDP_EXIT_DATA = 1,  /* the data: bad records, a check that says no, a threshold passed */
    CDP_EXIT_USAGE = 2, /* the command line, a policy or an expression */
    CDP_EXIT_IO = 3,    /* I/O or resources: the only status worth a retry */
};

struct cdp_err {
    enum cdp_exit exit;
    char msg[512]; /* without the tool's name and without a newline */
};

/* Fills *err and returns -1, so that a failing function can `return cdp_err_set(...)`. */
int cdp_err_set(struct cdp_err *err, enum cdp_exit exit, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

/* The same with exit status 3 and ": <strerror(errno)>" appended. */
int cdp_err_errno(struct cdp_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* "cannot allocate N bytes", exit status 3.  Returns -1. */
int cdp_err_nomem(struct cdp_err *err, size_t bytes) __attribute__((cold));

/* Puts "prefix: " before the message, to say where.  Returns -1. */
int cdp_err_prefix(struct cdp_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Sets the name that diagnostics begin with (argv[0]'s last component is the caller's to pick). */
void cdp_err_program(const char *name);
const char *cdp_err_program_name(void);

/* Writes "tool: message\n" to standard error in one write(2).  Safe from any thread. */
void cdp_err_print(const struct cdp_err *err);
void cdp_err_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));

#endif
