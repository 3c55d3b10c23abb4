/* flow_work: the threads of flow; the block loop of DESIGN.md, section 6, without its waiting.
 *
 * A block goes through four hands: it is read (one thread at a time), scanned (all threads), applied in its turn (one at a
 * time) and, where its output has a claimed place, written (one at a time: a file system lets one thread write to a file).
 * A thread that is free takes the job that most depends on: apply the block whose turn it is, write one that was applied, read and scan
 * another.  No thread waits for another's turn as long as there is a batch to fill: there are two for each thread.
 *
 * A batch is a block's buffer, its lines' numbers, its rejects and what it emits, reused from block to block; so memory is
 * 2 × threads × (block + what the tool keeps for one).  A failed block stops the run in its turn: what came before it has
 * been applied, what comes after it has not, whatever the threads were doing. */
#include "lib/flow_impl.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

enum job { APPLY, WRITE, SCAN, NONE };

/* ---- queues; under `jobs` ---- */

static void push(struct cdp_flow_batches *q, struct cdp_batch *b)
{
    b->priv->next = NULL;
    if (q->first)
        q->last->priv->next = b;
    else
        q->first = b;
    q->last = b;
}

/* The last one given back is the one that is still in the processor's caches. */
static void push_front(struct cdp_flow_batches *q, struct cdp_batch *b)
{
    b->priv->next = q->first;
    if (!q->first)
        q->last = b;
    q->first = b;
}

static struct cdp_batch *pop(struct cdp_flow_batches *q)
{
    struct cdp_batch *b = q->first;
    q->first = b->priv->next;
    return b;
}

/* ---- jobs ---- */

static void lock(struct cdp_flow_private *run)
{
    pthread_mutex_lock(&run->jobs);
}

/* After a change that may make a job for others. */
static void unlock(struct cdp_flow_private *run)
{
    if (run->sleepers)
        pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->jobs);
}

static void wait_for_change(struct cdp_flow_private *run)
{
    run->sleepers++;
    pthread_cond_wait(&run->changed, &run->jobs);
    run->sleepers--;
}

static void fail(struct cdp_flow_private *run, const struct cdp_err *err)
{
    lock(run);
    if (!atomic_load(&run->stop)) {
        run->err = *err;
        atomic_store(&run->stop, true);
    }
    unlock(run);
}

static struct cdp_batch **ready(struct cdp_flow_private *run, uint64_t seq)
{
    return &run->ready[seq % CDP_FLOW_BATCHES];
}

/* Takes the most urgent job, and waits where there is none yet. */
static enum job next_job(struct cdp_flow_private *run, struct cdp_batch **b)
{
    enum job job = NONE;
    lock(run);
    for (;;) {
        bool stop = atomic_load(&run->stop);
        struct cdp_batch **turn = ready(run, run->turn);
        if (*turn && !stop) { /* by one thread: the turn is passed when it is done */
            *b = *turn;
            *turn = NULL;
            job = APPLY;
            break;
        }
        if (run->applied.first && !run->writing) {
            *b = pop(&run->applied);
            run->writing = true;
            job = WRITE;
            break;
        }
        if (stop)
            break;
        if (run->idle.first && !run->ended) {
            *b = pop(&run->idle);
            job = SCAN;
            break;
        }
        if (run->ended && run->turn == run->next)
            break;
        wait_for_change(run);
    }
    pthread_mutex_unlock(&run->jobs);
    return job;
}

static void finish(struct cdp_batch *b)
{
    struct cdp_batch_private *own = b->priv;
    struct cdp_flow_private *run = own->run;
    if (own->rc >= 0 && run->ops->after && !atomic_load(&run->stop) &&
        run->ops->after(run->tool, b, &own->err) < 0)
        fail(run, &own->err);
    lock(run);
    push_front(&run->idle, b);
    unlock(run);
}

static void do_apply(struct cdp_batch *b)
{
    struct cdp_batch_private *own = b->priv;
    struct cdp_flow_private *run = own->run;
    own->at = -1;
    if (own->rc >= 0)
        own->rc = cdp_flow_apply(b, &own->err);
    if (own->rc < 0)
        fail(run, &own->err);
    lock(run);
    run->turn++;
    if (own->at >= 0)
        push(&run->applied, b);
    unlock(run);
    if (own->at < 0)
        finish(b);
}

static void do_write(struct cdp_batch *b)
{
    struct cdp_batch_private *own = b->priv;
    struct cdp_flow_private *run = own->run;
    if (cdp_out_put(run->flow->out, own->at, own->iov, own->iovs, &own->err) < 0)
        fail(run, &own->err);
    lock(run);
    run->writing = false;
    unlock(run);
    finish(b);
}

static void show_progress(struct cdp_flow_private *run)
{
    uint64_t done, size;
    cdp_in_progress(run->in, &done, &size);
    cdp_progress_show(&run->progress, run->bytes_before + cdp_in_bytes(run->in), done, size);
}

/* Called by the reader before it waits for input, and again while it does: all blocks so far get applied, then buffers are
 * emptied. */
static int on_idle(void *arg, struct cdp_err *err)
{
    struct cdp_flow_private *run = arg;
    lock(run);
    while (run->turn != run->next && !atomic_load(&run->stop))
        wait_for_change(run);
    pthread_mutex_unlock(&run->jobs);
    if (cdp_progress_due(&run->progress))
        show_progress(run);
    if (atomic_load(&run->stop)) /* or the reader would wait for what nobody takes */
        return cdp_err_set(err, CDP_EXIT_DATA, "another block has failed");
    if (run->ops->idle && run->ops->idle(run->tool, err) < 0)
        return -1;
    if (run->flow->out && cdp_out_flush(run->flow->out, err) < 0)
        return -1;
    return run->rejects ? cdp_out_flush(run->rejects, err) : 0;
}

static void number_lines(struct cdp_flow_private *run, struct cdp_batch *b)
{
    if (b->block.first)
        run->read_line = 1;
    b->first_line = run->read_line;
    b->lines = cdp_buf_count(b->block.data, b->block.len, '\n');
    run->read_line += b->lines;
}

/* Reads the next block: 1, 0 at the end of all, -1 where reading failed, which has its turn, too. */
static int take_block(struct cdp_flow_private *run, struct cdp_batch *b)
{
    struct cdp_batch_private *own = b->priv;
    int rc = 0;
    pthread_mutex_lock(&run->input);
    if (!atomic_load(&run->stop)) {
        if (cdp_progress_due(&run->progress))
            show_progress(run);
        rc = cdp_in_next(run->in, &b->block, &own->err);
        own->seq = run->next;
        if (rc != 0)
            run->next++;
        if (rc == 1 && run->ops->block)
            number_lines(run, b);
    }
    pthread_mutex_unlock(&run->input);
    return rc;
}

static void do_scan(struct cdp_flow_thread *t, struct cdp_batch *b)
{
    struct cdp_batch_private *own = b->priv;
    struct cdp_flow_private *run = t->run;
    own->thread = t;
    if (!run->ops->apply)
        b->worker = t->worker;
    int rc = take_block(run, b);
    own->rc = rc == 1 && !atomic_load(&run->stop) ? cdp_flow_scan(b, &own->err) : rc;
    lock(run);
    if (rc != 0) {
        *ready(run, own->seq) = b;
    } else {
        run->ended = true;
        push_front(&run->idle, b);
    }
    unlock(run);
}

static void *work(void *arg)
{
    struct cdp_flow_thread *t = arg;
    struct cdp_batch *b;
    for (;;)
        switch (next_job(t->run, &b)) {
        case APPLY:
            do_apply(b);
            break;
        case WRITE:
            do_write(b);
            break;
        case SCAN:
            do_scan(t, b);
            break;
        case NONE:
            return NULL;
        }
}

/* ---- begin and end ---- */

static void close_worker(const struct cdp_flow_private *run, void *worker)
{
    if (worker && run->ops->worker_close)
        run->ops->worker_close(run->tool, worker);
}

static int open_worker(const struct cdp_flow_private *run, void **worker, struct cdp_err *err)
{
    return run->ops->worker_open ? run->ops->worker_open(run->tool, worker, err) : 0;
}

static void batch_close(struct cdp_batch *b)
{
    struct cdp_batch_private *own = b->priv;
    if (!own)
        return;
    if (own->run->ops->apply)
        close_worker(own->run, b->worker);
    cdp_block_free(&b->block);
    free(b->item);
    cdp_buf_free(&b->bytes);
    cdp_expr_scratch_free(own->scratch);
    free(own->line_of);
    free(own->reject);
    free(own->iov);
    cdp_buf_free(&own->messages);
    free(own);
}

static int batch_open(struct cdp_batch *b, struct cdp_flow_private *run, struct cdp_err *err)
{
    struct cdp_batch_private *own = cdp_mem_zalloc_apart(1, sizeof *own, err);
    if (!own)
        return -1;
    *b = (struct cdp_batch){.flow = run->flow, .priv = own};
    own->run = run;
    push(&run->idle, b);
    own->scratch = cdp_expr_scratch_new(err);
    if (!own->scratch)
        return -1;
    return run->ops->apply ? open_worker(run, &b->worker, err) : 0;
}

static void thread_close(struct cdp_flow_thread *t)
{
    if (!t->run)
        return;
    close_worker(t->run, t->worker);
    cdp_memo_free(t->memo);
    free(t->fields);
}

static int thread_open(struct cdp_flow_thread *t, struct cdp_flow_private *run, struct cdp_err *err)
{
    t->run = run;
    t->memo = cdp_memo_new(err);
    t->fields = cdp_mem_zalloc_apart(cdp_plan_width(run->flow->plan) + 1, sizeof *t->fields, err);
    if (!t->memo || !t->fields)
        return -1;
    return run->ops->apply ? 0 : open_worker(run, &t->worker, err);
}

static int run_threads(struct cdp_flow_private *run, struct cdp_flow_thread *t, struct cdp_batch *batch,
                       struct cdp_err *err)
{
    pthread_t thread[CDP_FLOW_THREADS];
    unsigned started = 0, batches = run->threads > 1 ? 2 * run->threads : 1;
    for (unsigned i = 0; i < batches; i++)
        if (batch_open(&batch[i], run, err) < 0)
            return -1;
    for (unsigned i = 0; i < run->threads; i++)
        if (thread_open(&t[i], run, err) < 0)
            return -1;
    for (unsigned i = 1; i < run->threads; i++, started++)
        if (pthread_create(&thread[i], NULL, work, &t[i]) != 0)
            break; /* fewer threads give the same answer */
    work(&t[0]);
    for (unsigned i = 1; i <= started; i++)
        pthread_join(thread[i], NULL);
    if (!atomic_load(&run->stop))
        return 0;
    *err = run->err;
    return -1;
}

int cdp_flow_run(struct cdp_flow *f, const struct cdp_flow_ops *ops, void *tool, const char *const *operands,
                 size_t n, struct cdp_err *err)
{
    struct cdp_flow_private *run = f->priv;
    struct cdp_batch batch[CDP_FLOW_BATCHES] = {{0}};
    struct cdp_flow_thread thread[CDP_FLOW_THREADS] = {{0}};
    struct cdp_in_opts in_opts = {.open = ops->open,
                                  .want = ops->want,
                                  .source_arg = tool,
                                  .pieces = ops->block != NULL,
                                  .max_record = f->common->max_record,
                                  .idle = on_idle,
                                  .idle_arg = run};
    if (!operands) {
        operands = f->common->operand;
        n = f->common->operands;
    }
    if (cdp_flow_inputs(f, operands, n, err) < 0)
        return -1;
    run->ops = ops;
    run->tool = tool;
    run->bytes_before = f->counts.bytes_in;
    run->line_no = 1;
    run->next = run->turn = 0;
    run->ended = false;
    memset(run->ready, 0, sizeof run->ready);
    run->idle = run->applied = (struct cdp_flow_batches){0};
    atomic_store(&run->stop, false);
    run->in = cdp_in_open(operands, n, &in_opts, err);
    if (!run->in)
        return -1;
    int rc = run_threads(run, thread, batch, err);
    for (unsigned i = 0; i < CDP_FLOW_BATCHES; i++)
        batch_close(&batch[i]);
    for (unsigned i = 0; i < CDP_FLOW_THREADS; i++)
        thread_close(&thread[i]);
    cdp_in_close(run->in);
    run->in = NULL;
    return rc;
}
