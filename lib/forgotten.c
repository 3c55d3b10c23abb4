/* forgotten: see forgotten.h.  Keys are sorted by lib/sort, which keeps one of equals. */
#include "lib/forgotten.h"

#include "lib/mem.h"

#include <stdlib.h>

struct cdp_forgotten {
    const struct cdp_keyspec *key;
    struct cdp_out *out;
    struct cdp_sort *sort;
    uint64_t seq;
    struct cdp_buf line, upright;
};

struct cdp_forgotten *cdp_forgotten_open(const char *path, const struct cdp_keyspec *key, uint64_t memory,
                                         const char *tmpdir, struct cdp_err *err)
{
    const struct cdp_sort_opts opts = {.memory = memory, .tmpdir = tmpdir, .unique = true};
    struct cdp_forgotten *f = cdp_mem_zalloc(1, sizeof *f, err);
    if (!f)
        return NULL;
    f->key = key;
    if (!(f->sort = cdp_sort_new(&opts, err)) || !(f->out = cdp_out_open(path, false, err))) {
        cdp_forgotten_abort(f);
        return NULL;
    }
    return f;
}

void cdp_forgotten_abort(struct cdp_forgotten *f)
{
    if (!f)
        return;
    cdp_out_abort(f->out);
    cdp_sort_free(f->sort);
    cdp_buf_free(&f->line);
    cdp_buf_free(&f->upright);
    free(f);
}

int cdp_forgotten_add(struct cdp_forgotten *f, const char *key, size_t len, struct cdp_err *err)
{
    return cdp_sort_add(f->sort, 0, key, len, f->seq++, "", 0, err);
}

/* The value of a part, and where the next one begins.  What comes after a descending part is turned over as well, but not
 * read. */
static const unsigned char *put_part(struct cdp_forgotten *f, const struct cdp_keypart *part,
                                     const unsigned char *p, const unsigned char *end)
{
    if (!part->desc)
        return cdp_key_decode(p, &f->line);
    cdp_buf_clear(&f->upright);
    for (const unsigned char *q = p; q < end; q++)
        cdp_buf_addc(&f->upright, (char)~*q);
    if (f->upright.failed)
        return end;
    const unsigned char *upright = (const unsigned char *)f->upright.data;
    return p + (cdp_key_decode(upright, &f->line) - upright);
}

static int put_key(struct cdp_forgotten *f, const struct cdp_sorted *r, struct cdp_err *err)
{
    const unsigned char *p = r->key, *end = p + r->key_len;
    cdp_buf_clear(&f->line);
    cdp_buf_adds(&f->line, "{\"key\":[");
    for (size_t i = 0; i < f->key->n && p < end; i++) {
        if (i)
            cdp_buf_addc(&f->line, ',');
        p = put_part(f, &f->key->part[i], p, end);
    }
    cdp_buf_adds(&f->line, "]}\n");
    if (cdp_buf_check(&f->upright, err) < 0 || cdp_buf_check(&f->line, err) < 0)
        return -1;
    return cdp_out_write(f->out, f->line.data, f->line.len, err);
}

int cdp_forgotten_close(struct cdp_forgotten *f, struct cdp_err *err)
{
    struct cdp_sorted r;
    int rc = cdp_sort_finish(f->sort, err);
    while (rc >= 0 && (rc = cdp_sort_next(f->sort, &r, err)) == 1)
        rc = put_key(f, &r, err);
    if (rc < 0)
        return -1;
    struct cdp_out *out = f->out;
    f->out = NULL;
    if (cdp_out_close(out, err) < 0)
        return -1;
    cdp_forgotten_abort(f);
    return 0;
}
