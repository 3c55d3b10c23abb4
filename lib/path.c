/* path: see path.h. */
#include "lib/path.h"

#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/scan.h"

#include <stdlib.h>
#include <string.h>

static bool ident_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool ident(char c)
{
    return ident_start(c) || (c >= '0' && c <= '9');
}

static int add_step(struct cdp_path *path, const char *key, size_t len, uint32_t index, struct cdp_err *err)
{
    struct cdp_step *step = cdp_mem_resize(path->step, (path->n + 1) * sizeof *step, err);
    if (!step)
        return -1;
    path->step = step;
    step += path->n;
    *step = (struct cdp_step){.index = index, .len = (uint32_t)len};
    if (key && !(step->key = cdp_mem_strndup(key, len, err)))
        return -1;
    path->n++;
    return 0;
}

/* A string literal at text[i]; *used is its length with quotes. */
static int string_step(struct cdp_path *path, const char *text, size_t n, size_t *used, struct cdp_err *err)
{
    size_t end = 1;
    while (end < n && text[end] != '"')
        end += text[end] == '\\' ? 2 : 1;
    if (end >= n)
        return cdp_err_set(err, CDP_EXIT_USAGE, "unterminated string in a path");
    struct cdp_scan_fault fault;
    if (!cdp_scan_document(NULL, text, end + 1, NULL, &fault))
        return cdp_err_set(err, CDP_EXIT_USAGE, "bad string in a path: %s", fault.what);
    struct cdp_buf b = {0};
    cdp_val_decode(cdp_val_text(text, end + 1), &b);
    int rc = cdp_buf_check(&b, err);
    if (rc == 0)
        rc = add_step(path, b.data ? b.data : "", b.len, 0, err);
    cdp_buf_free(&b);
    *used = end + 1;
    return rc;
}

/* `["key"]` or `[12]` at text[0]. */
static int bracket_step(struct cdp_path *path, const char *text, size_t n, size_t *used, struct cdp_err *err)
{
    size_t i = 1;
    if (i < n && text[i] == '"') {
        size_t len;
        if (string_step(path, text + i, n - i, &len, err) < 0)
            return -1;
        i += len;
    } else {
        uint64_t index = 0;
        size_t from = i;
        for (; i < n && text[i] >= '0' && text[i] <= '9' && index < UINT32_MAX; i++)
            index = index * 10 + (uint64_t)(text[i] - '0');
        if (i == from || index >= UINT32_MAX)
            return cdp_err_set(err, CDP_EXIT_USAGE,
                               "expected a \"key\" or an index from 0 after '[' in a path");
        if (add_step(path, NULL, 0, (uint32_t)index, err) < 0)
            return -1;
    }
    if (i >= n || text[i] != ']')
        return cdp_err_set(err, CDP_EXIT_USAGE, "expected ']' in a path");
    *used = i + 1;
    return 0;
}

int cdp_path_prefix(struct cdp_path *path, const char *text, size_t n, size_t *used, struct cdp_err *err)
{
    *path = (struct cdp_path){0};
    size_t i = 0;
    if (n == 0 || text[0] != '.')
        return cdp_err_set(err, CDP_EXIT_USAGE, "a path begins with '.'");
    while (i < n) {
        size_t len = 0;
        int rc = 0;
        if (text[i] == '.' && i + 1 < n && ident_start(text[i + 1])) {
            for (len = 1; i + 1 + len < n && ident(text[i + 1 + len]); len++)
                ;
            rc = add_step(path, text + i + 1, len, 0, err);
            len++;
        } else if (text[i] == '.' && i + 1 < n && text[i + 1] == '"') {
            rc = string_step(path, text + i + 1, n - i - 1, &len, err);
            len++;
        } else if (text[i] == '[' || (text[i] == '.' && i + 1 < n && text[i + 1] == '[')) {
            size_t dot = text[i] == '.';
            rc = bracket_step(path, text + i + dot, n - i - dot, &len, err);
            len += dot;
        } else if (i == 0) { /* the record itself */
            i = 1;
            break;
        } else {
            break;
        }
        if (rc < 0) {
            cdp_path_free(path);
            return -1;
        }
        i += len;
    }
    *used = i;
    return 0;
}

int cdp_path_parse(struct cdp_path *path, const char *text, size_t n, struct cdp_err *err)
{
    struct cdp_buf dotted = {0};
    size_t dot = n && ident_start(text[0]); /* a bare name */
    cdp_buf_add(&dotted, ".", dot);
    cdp_buf_add(&dotted, text, n);
    size_t used;
    *path = (struct cdp_path){0};
    int rc = cdp_buf_check(&dotted, err);
    if (rc == 0)
        rc = cdp_path_prefix(path, dotted.data ? dotted.data : "", dotted.len, &used, err);
    if (rc == 0 && used != dotted.len) {
        cdp_path_free(path);
        rc = cdp_err_set(err, CDP_EXIT_USAGE, "unexpected character at %zu", used - dot + 1);
    }
    cdp_buf_free(&dotted);
    return rc < 0 ? cdp_err_prefix(err, "path '%.*s'", (int)n, text) : 0;
}

const char *cdp_path_name(const struct cdp_path *path)
{
    return path->n ? path->step[path->n - 1].key : NULL;
}

void cdp_path_free(struct cdp_path *path)
{
    for (size_t i = 0; i < path->n; i++)
        free(path->step[i].key);
    free(path->step);
    *path = (struct cdp_path){0};
}
