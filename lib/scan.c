/* scan: see scan.h.  Here: the trie of wanted paths, the choice of an implementation, documents.  The loop
 * itself is in scan_impl.h. */
#include "lib/scan.h"

#include "lib/mem.h"
#include "lib/scan_plan.h"

#include <stdlib.h>
#include <string.h>

static cdp_scan_fn *scan_line = cdp_scan_line_base;
static const char *scan_name;

/* Once, before main: the choice is the processor's and never changes. */
__attribute__((constructor)) static void choose(void)
{
    scan_name = cdp_scan_base_name;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) {
        scan_line = cdp_scan_line_avx2;
        scan_name = "avx2";
    }
#endif
}

const char *cdp_scan_impl(void)
{
    return scan_name;
}

const char *cdp_scan_line(const struct cdp_plan *plan, const char *p, struct cdp_val *fields,
                          struct cdp_scan_fault *fault)
{
    return scan_line(plan, NULL, p, fields, fault);
}

/* Noting a key that was not foretold costs several times what a foretold one saves.  Where keys come without end or in no
 * order, the memory rests for a while and then has another try. */
#define POOR_BYTES 48 /* a line is poor that has a key that was not foretold in less than so many bytes */
#define POOR_LINES 4  /* so many of them, each at most as many lines behind the one before */
#define REST_LINES 64

static __attribute__((noinline)) void judge(struct cdp_memo *memo, size_t bytes)
{
    if (memo->missed * (size_t)POOR_BYTES > bytes) {
        memo->poor = memo->lines - memo->poor_at > POOR_LINES ? 1 : memo->poor + 1;
        memo->poor_at = memo->lines;
        if (memo->poor >= POOR_LINES)
            memo->rest = REST_LINES;
    }
    memo->missed = 0;
}

const char *cdp_scan_memo(const struct cdp_plan *plan, struct cdp_memo *memo, const char *p,
                          struct cdp_val *fields, struct cdp_scan_fault *fault)
{
    if (memo->rest) {
        memo->rest--;
        return scan_line(plan, NULL, p, fields, fault);
    }
    const char *end = scan_line(plan, memo, p, fields, fault);
    memo->lines++;
    if (memo->missed)
        judge(memo, end ? (size_t)(end - p) : SIZE_MAX);
    return end;
}

struct cdp_memo *cdp_memo_new(struct cdp_err *err)
{
    struct cdp_memo *memo = cdp_mem_zalloc_apart(1, sizeof *memo, err);
    if (!memo)
        return NULL;
    memo->first.next[0] = memo->first.next[1] = &memo->key[0]; /* which has no place and is never met */
    return memo;
}

void cdp_memo_free(struct cdp_memo *memo)
{
    free(memo);
}

struct cdp_plan *cdp_plan_new(struct cdp_err *err)
{
    struct cdp_plan *plan = cdp_mem_zalloc(1, sizeof *plan, err);
    if (plan)
        plan->root.slot = -1;
    return plan;
}

static void free_below(struct cdp_node *node)
{
    for (size_t i = 0; i < node->edges; i++) {
        free_below(node->edge[i].to);
        free(node->edge[i].to);
        free(node->edge[i].key);
    }
    free(node->edge);
    free(node->below);
}

void cdp_plan_free(struct cdp_plan *plan)
{
    if (!plan)
        return;
    free_below(&plan->root);
    free(plan);
}

/* The child of node for a step, made where it is not there yet. */
static struct cdp_node *child(struct cdp_node *node, const struct cdp_step *step, struct cdp_err *err)
{
    for (size_t i = 0; i < node->edges; i++) {
        struct cdp_edge *e = &node->edge[i];
        if (step->key ? e->key && e->len == step->len && memcmp(e->key, step->key, e->len) == 0
                      : !e->key && e->index == step->index)
            return e->to;
    }
    struct cdp_edge *edge = cdp_mem_resize(node->edge, (node->edges + 1) * sizeof *edge, err);
    if (!edge)
        return NULL;
    node->edge = edge;
    edge += node->edges;
    *edge = (struct cdp_edge){.len = step->len, .index = step->index};
    if (step->key) {
        if (!(edge->key = cdp_mem_strndup(step->key, step->len, err)))
            return NULL;
        size_t n = step->len < 8 ? step->len : 8;
        memcpy(&edge->head, step->key, n);
        memset(&edge->mask, 0xff, n);
        node->lengths |= (uint64_t)1 << (step->len & 63);
    }
    edge->to = cdp_mem_zalloc(1, sizeof *edge->to, err);
    if (!edge->to) {
        free(edge->key);
        return NULL;
    }
    edge->to->slot = -1;
    node->edges++;
    return edge->to;
}

int cdp_plan_add(struct cdp_plan *plan, const struct cdp_path *path, struct cdp_err *err)
{
    struct cdp_node *node = &plan->root;
    for (size_t i = 0; i < path->n; i++)
        if (!(node = child(node, &path->step[i], err)))
            return -1;
    if (node->slot >= 0)
        return node->slot;
    struct cdp_node *above = &plan->root;
    for (size_t i = 0; i < path->n; i++) {
        struct cdp_node **below =
            cdp_mem_resize(above->below, (above->belows + 1) * sizeof(struct cdp_node *), err);
        if (!below)
            return -1;
        above->below = below;
        below[above->belows++] = node;
        above->counts = true;
        above = child(above, &path->step[i], err);
    }
    node->slot = (int)plan->width++;
    node->counts = true;
    return node->slot;
}

int cdp_plan_add_text(struct cdp_plan *plan, const char *text, struct cdp_err *err)
{
    struct cdp_path path;
    if (cdp_path_parse(&path, text, strlen(text), err) < 0)
        return -1;
    int slot = cdp_plan_add(plan, &path, err);
    cdp_path_free(&path);
    return slot;
}

size_t cdp_plan_width(const struct cdp_plan *plan)
{
    return plan->width;
}

bool cdp_scan_document(const struct cdp_plan *plan, const char *p, size_t n, struct cdp_val *fields,
                       struct cdp_scan_fault *fault)
{
    struct cdp_err err;
    char *copy = cdp_mem_alloc(n + 1 + CDP_PAD, &err);
    if (!copy) {
        *fault = (struct cdp_scan_fault){p, "out of memory"};
        return false;
    }
    /* '\r' is what '\n' is in a document: white space between tokens, forbidden in strings. */
    for (size_t i = 0; i < n; i++)
        copy[i] = p[i] == '\n' ? '\r' : p[i];
    copy[n] = '\n';
    memset(copy + n + 1, 0, CDP_PAD);
    const char *end = cdp_scan_line(plan, copy, fields, fault);
    if (end) {
        for (size_t i = 0; plan && i < plan->width; i++)
            if (fields[i].type != CDP_MISSING)
                fields[i].p = p + (fields[i].p - copy);
    } else {
        fault->at = p + (fault->at - copy);
    }
    free(copy);
    return end != NULL;
}
