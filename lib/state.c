/* state: see state.h.  Memory: the paths. */
#include "lib/state.h"

#include "lib/flow.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT "cdp-cat state"
#define PRINT ((size_t)4 << 10) /* bytes of a fingerprint */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct cdp_state_file *)a)->path, ((const struct cdp_state_file *)b)->path);
}

static struct cdp_state_file *find(const struct cdp_state *s, const char *path)
{
    const struct cdp_state_file key = {.path = (char *)(uintptr_t)path};
    return s->sorted ? bsearch(&key, s->file, s->sorted, sizeof key, by_path) : NULL;
}

static int append(struct cdp_state *s, const struct cdp_state_file *f, const char *path, size_t n,
                  struct cdp_err *err)
{
    struct cdp_state_file *more = cdp_mem_grow(s->file, &s->cap, s->n + 1, sizeof *more, err);
    if (!more)
        return -1;
    s->file = more;
    more[s->n] = *f;
    more[s->n].path = cdp_mem_strndup(path, n, err);
    return more[s->n].path ? (s->n++, 0) : -1;
}

/* ---- loading ---- */

enum slot { FORMAT_SLOT, VERSION, PATH, SIZE, MTIME, READ, LINES, HEAD_SLOT, TAIL, SLOTS };

static const char *const slot_name[SLOTS] = {"format", "version", "path", "size", "mtime",
                                             "read",   "lines",   "head", "tail"};

/* Digits in the given base, and the byte behind them. */
static bool digits(const char *p, const char *end, unsigned base, uint64_t *value, const char **stop)
{
    const char *at = p;
    for (*value = 0; at < end; at++) {
        unsigned d = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                     : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10
                                                : 99;
        if (d >= base)
            break;
        if (__builtin_mul_overflow(*value, base, value) || __builtin_add_overflow(*value, d, value))
            return false;
    }
    *stop = at;
    return at > p;
}

static bool number(struct cdp_val v, uint64_t *n)
{
    const char *stop;
    return v.type == CDP_NUMBER && digits(v.p, v.p + v.len, 10, n, &stop) && stop == v.p + v.len;
}

static bool hash(struct cdp_val v, uint64_t *n)
{
    const char *stop;
    return v.type == CDP_STRING && v.len == 18 && digits(v.p + 1, v.p + 17, 16, n, &stop) && stop == v.p + 17;
}

/* "1770307380.123456789"; a time before 1970 has a minus sign. */
static bool mtime(struct cdp_val v, struct cdp_state_file *f)
{
    uint64_t sec, nsec;
    if (v.type != CDP_STRING || v.len < 13)
        return false;
    const char *p = v.p + 1, *end = v.p + v.len - 1, *stop;
    bool minus = *p == '-';
    if (!digits(p + minus, end, 10, &sec, &stop) || *stop != '.' || end - stop != 10 || sec > INT64_MAX ||
        !digits(stop + 1, end, 10, &nsec, &stop) || stop != end)
        return false;
    f->sec = minus ? -(int64_t)sec : (int64_t)sec;
    f->nsec = (uint32_t)nsec;
    return true;
}

static bool from_record(const struct cdp_val *fields, struct cdp_state_file *f)
{
    *f = (struct cdp_state_file){.plain = !cdp_val_none(fields[READ])};
    if (fields[PATH].type != CDP_STRING || !number(fields[SIZE], &f->size) || !mtime(fields[MTIME], f))
        return false;
    return !f->plain || (number(fields[READ], &f->read) && number(fields[LINES], &f->lines) &&
                         hash(fields[HEAD_SLOT], &f->head) && hash(fields[TAIL], &f->tail));
}

static int load(struct cdp_state *s, struct cdp_reader *rd, const char *path, struct cdp_err *err)
{
    struct cdp_rec r;
    struct cdp_buf text = {0};
    uint64_t line, version;
    int rc;
    while ((rc = cdp_reader_next(rd, &r, &line, err)) == 1) {
        struct cdp_state_file f;
        bool good = line == 1 ? r.fields[FORMAT_SLOT].type == CDP_STRING &&
                                    cdp_val_str_eq(r.fields[FORMAT_SLOT], FORMAT, strlen(FORMAT)) &&
                                    number(r.fields[VERSION], &version) && version == 1
                              : from_record(r.fields, &f);
        if (!good) {
            rc = cdp_err_set(err, CDP_EXIT_DATA, "%s:%llu: is no record of a cdp-cat state", path,
                             (unsigned long long)line);
            break;
        }
        if (line == 1)
            continue;
        cdp_buf_clear(&text);
        cdp_name_decode(r.fields[PATH], &text);
        if ((rc = cdp_buf_check(&text, err)) < 0 ||
            (rc = append(s, &f, text.data ? text.data : "", text.len, err)) < 0)
            break;
    }
    cdp_buf_free(&text);
    if (s->n)
        qsort(s->file, s->n, sizeof *s->file, by_path);
    s->sorted = s->n;
    return rc;
}

int cdp_state_load(struct cdp_state *s, const char *path, struct cdp_err *err)
{
    struct cdp_plan *plan = NULL;
    struct cdp_reader *rd = NULL;
    int rc = -1;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (!(plan = cdp_plan_new(err)))
        return -1;
    for (int i = 0; i < SLOTS; i++)
        if (cdp_plan_add_text(plan, slot_name[i], err) != i)
            goto done;
    if ((rd = cdp_reader_open(path, plan, 0, err)))
        rc = load(s, rd, path, err);
done:
    cdp_reader_close(rd);
    cdp_plan_free(plan);
    return rc;
}

/* ---- comparing ---- */

/* The hashes of the first and the last bytes of [0, read).  False where the file has not so many. */
static bool fingerprint(int fd, uint64_t read, uint64_t *head, uint64_t *tail)
{
    char buf[PRINT];
    size_t n = read < PRINT ? (size_t)read : PRINT;
    if (pread(fd, buf, n, 0) != (ssize_t)n)
        return false;
    *head = cdp_hash_stable(buf, n);
    if (pread(fd, buf, n, (off_t)(read - n)) != (ssize_t)n)
        return false;
    *tail = cdp_hash_stable(buf, n);
    return true;
}

int cdp_state_judge(const struct cdp_state *s, const char *path, const struct stat *st,
                    struct cdp_state_file *now, struct cdp_err *err)
{
    *now = (struct cdp_state_file){.path = (char *)(uintptr_t)path,
                                   .size = (uint64_t)st->st_size,
                                   .sec = st->st_mtim.tv_sec,
                                   .nsec = (uint32_t)st->st_mtim.tv_nsec};
    const struct cdp_state_file *old = find(s, path);
    if (!old)
        return CDP_STATE_NEW;
    if (old->size == now->size && old->sec == now->sec && old->nsec == now->nsec)
        return CDP_STATE_SAME;
    if (!old->plain || now->size <= old->size)
        return CDP_STATE_NEW;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return cdp_err_errno(err, "%s: cannot open", path);
    uint64_t head, tail;
    bool grown = fingerprint(fd, old->read, &head, &tail) && head == old->head && tail == old->tail;
    close(fd);
    if (!grown)
        return CDP_STATE_NEW;
    now->read = old->read;
    now->lines = old->lines;
    now->head = head;
    now->tail = tail;
    return CDP_STATE_GROWN;
}

struct cdp_state_piece cdp_state_first(const char *p, size_t n, uint64_t at)
{
    n = n < PRINT ? n : PRINT;
    return (struct cdp_state_piece){at, n, cdp_hash_stable(p, n)};
}

struct cdp_state_piece cdp_state_last(const char *p, size_t n, uint64_t at)
{
    size_t before = n < PRINT ? 0 : n - PRINT;
    return cdp_state_first(p + before, n - before, at + before);
}

/* Where nothing was read that is done with, there is nothing to compare: the next run begins at the same place. */
static bool holds(int fd, const struct cdp_state_piece *piece)
{
    char buf[PRINT];
    return piece->n == 0 || (pread(fd, buf, piece->n, (off_t)piece->at) == (ssize_t)piece->n &&
                             cdp_hash_stable(buf, piece->n) == piece->hash);
}

void cdp_state_forget(struct cdp_state *s, const char *path)
{
    struct cdp_state_file *old = find(s, path);
    if (old)
        old->old = true;
}

int cdp_state_note(struct cdp_state *s, const struct cdp_state_file *now, uint64_t from,
                   const struct cdp_state_piece piece[2], struct cdp_err *err)
{
    struct cdp_state_file f = *now;
    f.old = false;
    cdp_state_forget(s, f.path);
    if (f.plain) {
        int fd = open(f.path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return errno == ENOENT || errno == ENOTDIR ? 0 : cdp_err_errno(err, "%s: cannot open", f.path);
        bool same = (from == 0 || (fingerprint(fd, from, &f.head, &f.tail) && f.head == now->head &&
                                   f.tail == now->tail)) &&
                    holds(fd, &piece[0]) && holds(fd, &piece[1]) && fingerprint(fd, f.read, &f.head, &f.tail);
        close(fd);
        if (!same)
            return 0;
    }
    return append(s, &f, f.path, strlen(f.path), err);
}

/* ---- saving ---- */

static void emit(const struct cdp_state_file *f, struct cdp_buf *b)
{
    cdp_buf_adds(b, "{\"path\":");
    cdp_name_emit(b, f->path, strlen(f->path));
    cdp_buf_addf(b, ",\"size\":%llu,\"mtime\":\"%s%llu.%09u\"", (unsigned long long)f->size,
                 f->sec < 0 ? "-" : "", (unsigned long long)(f->sec < 0 ? -f->sec : f->sec),
                 (unsigned)f->nsec);
    if (f->plain)
        cdp_buf_addf(b, ",\"read\":%llu,\"lines\":%llu,\"head\":\"%016llx\",\"tail\":\"%016llx\"}\n",
                     (unsigned long long)f->read, (unsigned long long)f->lines, (unsigned long long)f->head,
                     (unsigned long long)f->tail);
    else
        cdp_buf_adds(b, ",\"read\":null}\n");
}

static int write_files(struct cdp_state *s, struct cdp_out *out, struct cdp_err *err)
{
    struct cdp_buf b = {0};
    int rc = 0;
    cdp_buf_adds(&b, "{\"format\":\"" FORMAT "\",\"version\":1}\n");
    for (size_t i = 0; rc == 0 && i < s->n; i++) {
        const struct cdp_state_file *f = &s->file[i];
        bool twice = i + 1 < s->n && strcmp(f->path, f[1].path) == 0; /* named twice, read twice */
        if (!f->old && !twice && !(access(f->path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR)))
            emit(f, &b);
        if (b.len >= (size_t)64 << 10) {
            rc = cdp_buf_check(&b, err) < 0 ? -1 : cdp_out_write(out, b.data, b.len, err);
            cdp_buf_clear(&b);
        }
    }
    if (rc == 0)
        rc = cdp_buf_check(&b, err) < 0 ? -1 : cdp_out_write(out, b.data, b.len, err);
    cdp_buf_free(&b);
    return rc;
}

int cdp_state_save(struct cdp_state *s, const char *path, struct cdp_err *err)
{
    if (s->n)
        qsort(s->file, s->n, sizeof *s->file, by_path);
    s->sorted = 0;
    struct cdp_out *out = cdp_out_open(path, false, err);
    if (!out)
        return -1;
    if (write_files(s, out, err) < 0) {
        cdp_out_abort(out);
        return -1;
    }
    return cdp_out_close(out, err);
}

void cdp_state_free(struct cdp_state *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->file[i].path);
    free(s->file);
    *s = (struct cdp_state){0};
}
