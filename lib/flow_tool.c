/* flow_tool: what a tool does before its first record and after its last (flow.h): options, signals, outputs, counts, the exit
 * status. */
#include "lib/atomic.h"
#include "lib/emit.h"
#include "lib/flow_impl.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/name.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    return 1;
}

/* A standard stream that is closed would be taken by the next file that is opened.  Its place is held by one that cannot be
 * used as the stream would be, so that using it fails (EBADF): what coreutils' stdopen does. */
static void hold_standard_streams(void)
{
    static const int mode[] = {O_WRONLY, O_RDONLY, O_RDONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode[fd]) < 0)
            return; /* no /dev: nothing to hold it with */
}

int cdp_flow_begin(struct cdp_flow *f, const struct cdp_tool *tool, int argc, char **argv, void *options,
                   struct cdp_err *err)
{
    *f = (struct cdp_flow){.tool = tool, .common = options};
    cdp_err_program(tool->name);
    hold_standard_streams();
    cdp_atomic_signals();
    cdp_hash_seed();
    int rc = cdp_opt_parse(tool, argc, argv, options, err);
    if (rc <= 0)
        return rc;
    struct cdp_flow_private *run = cdp_mem_zalloc(1, sizeof *run, err);
    if (!run)
        return -1;
    f->priv = run;
    run->flow = f;
    run->options = options;
    uint64_t threads = f->common->threads ? f->common->threads : processors();
    run->threads = threads > CDP_FLOW_THREADS ? CDP_FLOW_THREADS : (unsigned)threads;
    pthread_mutex_init(&run->input, NULL);
    pthread_mutex_init(&run->jobs, NULL);
    pthread_cond_init(&run->changed, NULL);
    cdp_progress_begin(&run->progress, f->common->quiet);
    if (!(f->plan = cdp_plan_new(err)))
        return -1;
    if (f->common->where) {
        run->where = cdp_expr_new(f->common->where, f->plan, NULL, err);
        if (!run->where)
            return cdp_err_prefix(err, "--where");
    }
    return 1;
}

static bool threshold(const char *text, uint64_t *n, bool *percent)
{
    char digits[24];
    size_t len = strlen(text);
    *percent = len && text[len - 1] == '%';
    len -= *percent;
    if (len >= sizeof digits)
        return false;
    memcpy(digits, text, len);
    digits[len] = '\0';
    return cdp_opt_count(digits, n) && (!*percent || *n <= 100);
}

int cdp_flow_open(struct cdp_flow *f, struct cdp_err *err)
{
    struct cdp_common *c = f->common;
    uint64_t n;
    bool percent;
    if (c->max_rejects && !threshold(c->max_rejects, &n, &percent))
        return cdp_err_set(err, CDP_EXIT_USAGE, "--max-rejects takes N or P%%, not '%s'", c->max_rejects);
    if (c->max_rejects && !c->rejects)
        return cdp_err_set(err, CDP_EXIT_USAGE, "--max-rejects needs --rejects FILE");
    if (c->operands == 0 && isatty(STDIN_FILENO))
        return cdp_err_set(err, CDP_EXIT_USAGE, "usage: %s %s", f->tool->name, f->tool->usage);
    cdp_flow_side(f, "--rejects", c->rejects);
    cdp_flow_side(f, "--stats", c->stats);
    if (cdp_flow_apart(f, err) < 0)
        return -1;
    if (!(f->out = cdp_out_open(c->output, false, err)))
        return -1;
    if (c->rejects && !(f->priv->rejects = cdp_out_open(c->rejects, true, err)))
        return -1;
    return 0;
}

static int write_stats(struct cdp_flow *f, struct cdp_err *err)
{
    const struct cdp_counts *c = &f->counts;
    const char *run_id = getenv("CDP_RUN_ID");
    struct cdp_buf b = {0};
    cdp_buf_addf(&b, "{\"tool\":\"%s\",\"version\":\"%s\",\"run_id\":", f->tool->name, CDP_VERSION);
    if (run_id)
        cdp_name_emit(&b, run_id, strlen(run_id));
    else
        cdp_buf_adds(&b, "null");
    cdp_buf_addf(
        &b,
        ",\"in\":%llu,\"out\":%llu,\"dropped\":%llu,\"rejected\":%llu,\"blank\":%llu,\"bytes_in\":%llu,"
        "\"bytes_out\":%llu,\"seconds\":%.3f,\"peak_memory\":%llu}\n",
        (unsigned long long)c->in, (unsigned long long)c->out, (unsigned long long)c->dropped,
        (unsigned long long)c->rejected, (unsigned long long)c->blank, (unsigned long long)c->bytes_in,
        (unsigned long long)c->bytes_out, cdp_progress_clock() - f->priv->progress.begun,
        (unsigned long long)cdp_mem_peak());
    int rc = cdp_buf_check(&b, err);
    struct cdp_out *o = rc == 0 ? cdp_out_open(f->common->stats, true, err) : NULL;
    if (o) {
        rc = cdp_out_write(o, b.data, b.len, err); /* gathered, so it leaves in one write */
        int closed = cdp_out_close(o, err);
        rc = rc < 0 ? rc : closed;
    } else {
        rc = -1;
    }
    cdp_buf_free(&b);
    return rc;
}

int cdp_flow_judge(const struct cdp_flow *f, struct cdp_err *err)
{
    uint64_t limit;
    bool percent;
    if (!f->common->max_rejects || !threshold(f->common->max_rejects, &limit, &percent))
        return 0;
    uint64_t rejected = f->counts.rejected;
    if (percent ? rejected * 100 <= limit * f->counts.in : rejected <= limit)
        return 0;
    return cdp_err_set(err, CDP_EXIT_DATA, "%llu of %llu records rejected, more than --max-rejects %s",
                       (unsigned long long)rejected, (unsigned long long)f->counts.in,
                       f->common->max_rejects);
}

static int close_outputs(struct cdp_flow *f, int rc, struct cdp_err *err)
{
    struct cdp_flow_private *run = f->priv;
    struct cdp_err later;
    if (run->rejects && cdp_out_close(run->rejects, rc < 0 ? &later : err) < 0)
        rc = -1;
    run->rejects = NULL;
    if (rc == 0)
        rc = cdp_flow_judge(f, err);
    if (f->out) {
        f->counts.bytes_out += cdp_out_bytes(f->out);
        if (rc == 0) {
            rc = cdp_out_close(f->out, err);
        } else {
            /* what was handed over before the failure is on its way, but a file does not appear */
            if (!f->common->output && cdp_out_flush(f->out, &later) < 0 && err->exit != CDP_EXIT_IO)
                *err = later;
            cdp_out_abort(f->out);
        }
        f->out = NULL;
    }
    if (rc == 0 && f->common->stats)
        rc = write_stats(f, err);
    return rc;
}

int cdp_flow_end(struct cdp_flow *f, int rc, struct cdp_err *err)
{
    struct cdp_flow_private *run = f->priv;
    if (run) {
        rc = close_outputs(f, rc, err);
        cdp_progress_end(&run->progress);
        if (rc == 0 && f->counts.rejected && !f->common->quiet)
            cdp_err_warn("%llu of %llu records rejected, see %s", (unsigned long long)f->counts.rejected,
                         (unsigned long long)f->counts.in, f->common->rejects);
        cdp_expr_free(run->where);
        cdp_buf_free(&run->line);
        pthread_mutex_destroy(&run->input);
        pthread_mutex_destroy(&run->jobs);
        pthread_cond_destroy(&run->changed);
        free(run);
    } else if (rc >= 0 && (fflush(stdout) != 0 || ferror(stdout))) { /* --help, --version, --spec */
        rc = cdp_err_errno(err, "standard output: cannot write");
    }
    cdp_plan_free(f->plan);
    cdp_opt_free(f->tool, f->common);
    if (rc >= 0)
        return CDP_EXIT_OK;
    cdp_err_print(err);
    return (int)err->exit;
}
