/* ordered: see ordered.h.  A piece has the slot of its number modulo the slots, from when it is given out until it is
 * written. */
#include "lib/ordered.h"

#include "lib/mem.h"

#include <pthread.h>
#include <stdlib.h>

struct slot {
    struct cdp_piece piece;
    bool made; /* and not written yet */
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
    if (o->slot)
        return o;
    cdp_ordered_free(o);
    return NULL;
}

void cdp_ordered_free(struct cdp_ordered *o)
{
    if (!o)
        return;
    for (size_t i = 0; o->slot && i < o->slots; i++)
        cdp_buf_free(&o->slot[i].piece.buf);
    pthread_mutex_destroy(&o->lock);
    pthread_cond_destroy(&o->changed);
    free(o->slot);
    free(o);
}

/* Under the lock. */
static void fail(struct cdp_ordered *o, const struct cdp_err *err)
{
    if (!o->failed)
        o->err = *err;
    o->failed = true;
    pthread_cond_broadcast(&o->changed);
}

/* For the next piece; waits for one that is free.  NULL where all pieces have been given out, or after a failure. */
static struct slot *next_slot(struct cdp_ordered *o)
{
    struct slot *s = NULL;
    pthread_mutex_lock(&o->lock);
    while (!o->failed && o->next < o->pieces && o->next - o->turn == o->slots)
        pthread_cond_wait(&o->changed, &o->lock);
    if (!o->failed && o->next < o->pieces) {
        s = &o->slot[o->next % o->slots];
        s->piece.number = o->next++;
        cdp_buf_clear(&s->piece.buf);
    }
    pthread_mutex_unlock(&o->lock);
    return s;
}

/* Under the lock: writes what is made and next in order, if nobody does. */
static void write_made(struct cdp_ordered *o)
{
    struct slot *s;
    while (!o->failed && !o->writing && (s = &o->slot[o->turn % o->slots])->made) {
        struct cdp_err err;
        o->writing = true;
        pthread_mutex_unlock(&o->lock);
        int rc = cdp_out_write(o->out, s->piece.buf.data, s->piece.buf.len, &err);
        pthread_mutex_lock(&o->lock);
        o->writing = false;
        if (rc < 0)
            fail(o, &err);
        s->made = false;
        o->turn++;
        pthread_cond_broadcast(&o->changed);
    }
}

int cdp_ordered_make(struct cdp_ordered *o, int (*make)(void *arg, struct cdp_piece *p, struct cdp_err *err),
                     void *arg, struct cdp_err *err)
{
    for (struct slot *s; (s = next_slot(o));) {
        int rc = make(arg, &s->piece, err);
        pthread_mutex_lock(&o->lock);
        s->made = rc == 0;
        if (rc < 0)
            fail(o, err);
        write_made(o);
        pthread_mutex_unlock(&o->lock);
    }
    return cdp_ordered_end(o, err);
}

int cdp_ordered_turn(struct cdp_ordered *o, const struct cdp_piece *p, struct cdp_err *err)
{
    pthread_mutex_lock(&o->lock);
    while (o->turn != p->number && !o->failed)
        pthread_cond_wait(&o->changed, &o->lock);
    pthread_mutex_unlock(&o->lock);
    return cdp_ordered_end(o, err);
}

int cdp_ordered_end(struct cdp_ordered *o, struct cdp_err *err)
{
    pthread_mutex_lock(&o->lock);
    bool failed = o->failed;
    if (failed)
        *err = o->err;
    pthread_mutex_unlock(&o->lock);
    return failed ? -1 : 0;
}
