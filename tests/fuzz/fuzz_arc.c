/* Fuzz target: any bytes, as a file and as a pipe, are read to their end or to an error, the same way in both. */
#include "lib/arc.h"

#include "lib/buf.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT ((size_t)1 << 20) /* of unpacked bytes */

/* What is in the operand at path, names and bytes; the exit status that it asks for, -1 past the limit. */
static int all(const char *path, size_t step, struct cdp_buf *out)
{
    struct cdp_err err = {0};
    const char *name;
    ssize_t n = 0;
    int rc = -1;
    struct cdp_arc *a = cdp_arc_open(path, &err);
    while (a && n >= 0 && out->len < LIMIT && (rc = cdp_arc_next(a, &name, &err)) == 1) {
        name += strncmp(name, path, strlen(path)) == 0 ? strlen(path) : 0;
        cdp_buf_adds(out, name);
        do {
            if (!cdp_buf_reserve(out, step))
                abort();
            cdp_arc_would_block(a);
            n = cdp_arc_read(a, out->data + out->len, step, &err);
            out->len += n > 0 ? (size_t)n : 0;
        } while (n > 0 && out->len < LIMIT);
    }
    cdp_arc_close(a);
    if (rc < 0 || n < 0) {
        if (err.exit != CDP_EXIT_DATA || !err.msg[0])
            abort();
        return (int)err.exit;
    }
    return out->len < LIMIT ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A pipe takes no more before it is read. */
    if (size > 60000)
        return 0;
    struct cdp_buf file = {0}, pipe_out = {0};
    char path[64];
    int fd = memfd_create("fuzz", 0), p[2];
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || pipe(p) < 0)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int a = all(path, 4096, &file);
    if (write(p[1], data, size) != (ssize_t)size)
        abort();
    close(p[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    int b = all(path, 100, &pipe_out);
    bool zip = size > 2 && data[0] == 'P' && data[1] == 'K'; /* by its directory, and as it comes */
    if (a == 0 && b == 0 && !zip &&
        (file.len != pipe_out.len || (file.len && memcmp(file.data, pipe_out.data, file.len) != 0)))
        abort();
    close(fd);
    close(p[0]);
    cdp_buf_free(&file);
    cdp_buf_free(&pipe_out);
    return 0;
}
