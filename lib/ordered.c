/* ordered: see ordered.h. */
#include "lib/ordered.h"

#include "lib/mem.h"

#include <pthread.h>
#include <stdlib.h>

struct slot {
    struct cdp_piece piece; /* first: a piece is found in its slot */
    bool made;
    struct slot *next; /* among those that are free */
};

struct cdp_ordered {
    struct cdp_out *out;
    size_t pieces, slots;
    pthread_mutex_t lock; /* of all below, but for pieces that are with a thread */
    pthread_cond_t changed;
    size_t next;  /* piece to be given out */
    size_t turn;  /* piece to be written */
    bool writing; /* by one thread, without the lock */
    bool failed;
    struct cdp_err err; /* the first failure */
    struct slot *free;
    struct slot **under_way; /* by number, modulo slots: a piece holds its slot until it is written */
    struct slot *slot;
};

struct cdp_ordered *cdp_ordered_new(struct cdp_out *out, unsigned threads, size_t pieces, struct cdp_err *err)
{
    struct cdp_ordered *o = cdp_mem_zalloc(1, sizeof *o, err);
    if (!o)
        return NULL;
    o->out = out;
    o->pieces = pieces;
    o->slots = 2 * (size_t)threads;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->changed, NULL);
    o->slot = cdp_mem_zalloc(o->slots, sizeof *o->slot, err);
    o->under_way = cdp_mem_zalloc(o->slots, sizeof(struct slot *), err);
    if (!o->slot || !o->under_way) {
        cdp_ordered_free(o);
        return NULL;
    }
    for (size_t i = 0; i < o->slots; i++) {
        o->slot[i].next = o->free;
        o->free = &o->slot[i];
    }
    return o;
}

void cdp_ordered_free(struct cdp_ordered *o)
{
    if (!o)
        return;
    for (size_t i = 0; o->slot && i < o->slots; i++)
        cdp_buf_free(&o->slot[i].piece.buf);
    pthread_mutex_destroy(&o->lock);
    pthread_cond_destroy(&o->changed);
    free(o->under_way);
    free(o->slot);
    free(o);
}

int cdp_ordered_end(const struct cdp_ordered *o, struct cdp_err *err)
{
    if (o->failed)
        *err = o->err;
    return o->failed ? -1 : 0;
}

struct cdp_piece *cdp_ordered_next(struct cdp_ordered *o)
{
    struct slot *s = NULL;
    pthread_mutex_lock(&o->lock);
    while (!o->free && !o->failed && o->next < o->pieces)
        pthread_cond_wait(&o->changed, &o->lock);
    if (!o->failed && o->next < o->pieces) {
        s = o->free;
        o->free = s->next;
        s->made = false;
        s->piece.number = o->next++;
        cdp_buf_clear(&s->piece.buf);
        o->under_way[s->piece.number % o->slots] = s;
    }
    pthread_mutex_unlock(&o->lock);
    return s ? &s->piece : NULL;
}

int cdp_ordered_turn(struct cdp_ordered *o, const struct cdp_piece *p, struct cdp_err *err)
{
    pthread_mutex_lock(&o->lock);
    while (o->turn != p->number && !o->failed)
        pthread_cond_wait(&o->changed, &o->lock);
    bool failed = o->failed;
    if (failed)
        *err = o->err;
    pthread_mutex_unlock(&o->lock);
    return failed ? -1 : 0;
}

/* Under the lock. */
static void fail(struct cdp_ordered *o, const struct cdp_err *err)
{
    if (!o->failed)
        o->err = *err;
    o->failed = true;
    pthread_cond_broadcast(&o->changed);
}

/* Is the piece that is next in order made, and nobody writing? */
static struct slot *ready(const struct cdp_ordered *o)
{
    struct slot *s = o->under_way[o->turn % o->slots];
    return !o->failed && !o->writing && s && s->made && s->piece.number == o->turn ? s : NULL;
}

int cdp_ordered_done(struct cdp_ordered *o, struct cdp_piece *p, struct cdp_err *err)
{
    int rc = 0;
    struct slot *s = (struct slot *)p;
    pthread_mutex_lock(&o->lock);
    s->made = true;
    while ((s = ready(o))) {
        o->writing = true;
        pthread_mutex_unlock(&o->lock);
        rc = cdp_out_write(o->out, s->piece.buf.data, s->piece.buf.len, err);
        pthread_mutex_lock(&o->lock);
        o->writing = false;
        if (rc < 0)
            fail(o, err);
        o->turn++;
        s->next = o->free;
        o->free = s;
        pthread_cond_broadcast(&o->changed);
    }
    pthread_mutex_unlock(&o->lock);
    return rc;
}

void cdp_ordered_fail(struct cdp_ordered *o, const struct cdp_err *err)
{
    pthread_mutex_lock(&o->lock);
    fail(o, err);
    pthread_mutex_unlock(&o->lock);
}
