/* intake: see intake.h.  Memory: a record an input. */
#include "lib/intake.h"

#include "lib/arc.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

struct cdp_intake_file {
    struct cdp_state_file now;
    bool tracked;                    /* a regular file: others are read whenever they are named */
    bool partly;                     /* members were left out */
    uint64_t from, lines;            /* where this run goes on, and the lines before that place */
    struct cdp_state_piece piece[2]; /* the first and the last of what it read */
};

/* Where a file stands to the state now: a cdp_state_verdict, or -1. */
static int judge(const struct cdp_intake *in, struct cdp_intake_file *f, const char *path,
                 struct cdp_err *err)
{
    struct stat st;
    int verdict = CDP_STATE_NEW;
    f->tracked = strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
    if (f->tracked && (verdict = cdp_state_judge(&in->state, path, &st, &f->now, err)) < 0)
        return -1;
    f->from = f->now.read;
    f->lines = f->now.lines;
    return verdict;
}

int cdp_intake_compare(struct cdp_intake *in, struct cdp_inputs *inputs, const char *state,
                       struct cdp_err *err)
{
    size_t all = inputs->n, n = 0;
    in->inputs = inputs;
    if (state && cdp_state_load(&in->state, state, err) < 0)
        return -1;
    if (!(in->file = cdp_mem_zalloc(all, sizeof *in->file, err)))
        return -1;
    for (size_t i = 0; i < all; i++) {
        char *path = inputs->path[i];
        int verdict = judge(in, &in->file[n], path, err);
        if (verdict < 0)
            return -1;
        if (verdict == CDP_STATE_SAME)
            continue;
        inputs->path[i] = inputs->path[n];
        inputs->path[n++] = path;
    }
    for (size_t i = n; i < all; i++)
        free(inputs->path[i]);
    inputs->n = n;
    return 0;
}

struct cdp_arc *cdp_intake_open(struct cdp_intake *in, size_t i, struct cdp_err *err)
{
    struct cdp_intake_file *f = &in->file[i];
    /* Since it was compared, much may have been read before it, and it may be another file by now. */
    if (judge(in, f, in->inputs->path[i], err) < 0)
        return NULL;
    struct cdp_arc *a = cdp_arc_open(in->inputs->path[i], err);
    if (!a || !f->tracked || cdp_arc_window(a, f->from, f->now.size, err) == 0)
        return a;
    cdp_arc_close(a);
    return NULL;
}

void cdp_intake_stream(struct cdp_intake *in, size_t i, bool plain, bool wanted)
{
    in->file[i].now.plain = plain;
    in->file[i].partly = in->file[i].partly || !wanted;
}

uint64_t cdp_intake_lines(const struct cdp_intake *in, size_t i)
{
    return in->file[i].lines;
}

void cdp_intake_block(struct cdp_intake *in, const struct cdp_batch *b)
{
    struct cdp_intake_file *f = &in->file[b->block.operand];
    if (!f->tracked || !f->now.plain)
        return;
    /* A line that has no newline yet may go on: it is read again when it does. */
    const char *data = b->block.data, *newline = memrchr(data, '\n', b->block.len - b->block.added_newline);
    if (newline) {
        size_t n = (size_t)(newline - data) + 1;
        uint64_t at = f->from + b->block.offset;
        f->now.read = at + n;
        if (f->piece[0].n == 0)
            f->piece[0] = cdp_state_first(data, n, at);
        f->piece[1] = cdp_state_last(data, n, at);
    }
    f->now.lines += b->lines - b->block.added_newline;
}

int cdp_intake_save(struct cdp_intake *in, const char *next_state, struct cdp_err *err)
{
    for (size_t i = 0; i < in->inputs->n; i++) {
        const struct cdp_intake_file *f = &in->file[i];
        if (f->tracked && f->partly)
            cdp_state_forget(&in->state, f->now.path);
        else if (f->tracked && cdp_state_note(&in->state, &f->now, f->from, f->piece, err) < 0)
            return -1;
    }
    return cdp_state_save(&in->state, next_state, err);
}

void cdp_intake_free(struct cdp_intake *in)
{
    cdp_state_free(&in->state);
    free(in->file);
}
