/* expr_jq: programs that libjq runs; the only file that knows libjq (https://jqlang.org/manual/, jq.h and jv.h).
 *
 * The library is loaded when the first such program is compiled, so that a tool that needs none does not pay for its
 * relocations at every start.  Compiling takes libjq about 13 ms (it parses its builtins each time), once per program and
 * thread; the state made for checking a program is handed to the first thread that runs it.
 *
 * What libjq costs: values are parsed into trees (about 60 MB/s), numbers become doubles, repeated keys are dropped, lone
 * surrogates become U+FFFD, and nesting ends at 256.
 *
 * Its messages hold values of the record; a table of known phrases says what happened without them. */
#include "lib/expr_impl.h"

#include <dlfcn.h>
#include <jq.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OUTPUTS (1 << 20) /* of one program on one value; only the first counts */

/* --- the library */

#define FUNCTIONS(F)                                                                                         \
    F(jq_init)                                                                                               \
    F(jq_teardown)                                                                                           \
    F(jq_set_error_cb)                                                                                       \
    F(jq_set_nomem_handler)                                                                                  \
    F(jq_compile)                                                                                            \
    F(jq_start)                                                                                              \
    F(jq_next)                                                                                               \
    F(jq_halted)                                                                                             \
    F(jv_nomem_handler)                                                                                      \
    F(jv_get_kind)                                                                                           \
    F(jv_copy)                                                                                               \
    F(jv_free)                                                                                               \
    F(jv_null)                                                                                               \
    F(jv_string_sized)                                                                                       \
    F(jv_string_value)                                                                                       \
    F(jv_string_length_bytes)                                                                                \
    F(jv_parse_sized)                                                                                        \
    F(jv_dump_string)                                                                                        \
    F(jv_invalid_has_msg)                                                                                    \
    F(jv_invalid_get_msg)

#define MEMBER(name) __typeof__(name) *name;
static struct {
    bool loaded;
    char why[200]; /* where it is not */
    FUNCTIONS(MEMBER)
} lib;

static void load(void)
{
    void *so = dlopen("libjq.so.1", RTLD_NOW | RTLD_LOCAL);
    bool all = so != NULL;
    void *f;
#define LOOK_UP(name)                                                                                        \
    f = all ? dlsym(so, #name) : NULL;                                                                       \
    all = f != NULL;                                                                                         \
    memcpy(&lib.name, &f, sizeof f);
    FUNCTIONS(LOOK_UP)
    lib.loaded = all;
    if (!all) {
        const char *why = dlerror();
        snprintf(lib.why, sizeof lib.why, "%s", why ? why : "unknown reason");
    }
}

static int need_library(struct cdp_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!lib.loaded)
        return cdp_err_set(err, CDP_EXIT_IO, "cannot load libjq: %s", lib.why);
    return 0;
}

/* --- ~/.jq
 *
 * libjq puts the definitions in $HOME/.jq before every program that it compiles (1.6 in slurp_lib of builtin.c, later in
 * load_program of linker.c), and knows no switch against it; no result may depend on that file.  So for as long as any
 * thread compiles, the environment says that home is where no file can be.  One pointer of it is exchanged and put back:
 * getenv() in another thread sees the one or the other, and nothing moves. */

extern char **environ;

static struct {
    pthread_mutex_t lock;
    unsigned compiling; /* threads */
    char *home;
} hidden = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char nowhere[] = "HOME=/dev/null";
static _Thread_local bool compiling;

static void hide_home(void)
{
    compiling = true;
    pthread_mutex_lock(&hidden.lock);
    if (hidden.compiling++ == 0)
        for (char **v = environ; v && *v; v++)
            if (strncmp(*v, "HOME=", 5) == 0) {
                hidden.home = *v;
                *v = nowhere;
                break;
            }
    pthread_mutex_unlock(&hidden.lock);
}

static void show_home(void)
{
    if (!compiling)
        return;
    compiling = false;
    pthread_mutex_lock(&hidden.lock);
    if (--hidden.compiling == 0)
        for (char **v = environ; v && *v; v++)
            if (*v == nowhere)
                *v = hidden.home;
    pthread_mutex_unlock(&hidden.lock);
}

/* --- memory */

/* libjq aborts when memory runs out, unless its handler jumps. */
static _Thread_local jmp_buf *out_of_memory;

static void no_memory(void *unused)
{
    (void)unused;
    show_home();
    if (out_of_memory)
        longjmp(*out_of_memory, 1);
}

/* --- programs */

struct cdp_jq {
    char *text;
    uint64_t id;               /* never used again, as an address may be */
    _Atomic(jq_state *) spare; /* compiled, and nobody's yet */
};

/* libjq's first message while it compiles. */
struct complaint {
    char text[600];
};

static void complain(void *to, jv message)
{
    struct complaint *c = to;
    if (c && !c->text[0] && lib.jv_get_kind(message) == JV_KIND_STRING)
        snprintf(c->text, sizeof c->text, "%s", lib.jv_string_value(message));
    lib.jv_free(message);
}

static jq_state *compiled(const char *text, struct complaint *c)
{
    jq_state *jq = lib.jq_init();
    if (!jq)
        return NULL;
    lib.jq_set_nomem_handler(jq, no_memory, NULL);
    lib.jq_set_error_cb(jq, complain, c);
    hide_home();
    int good = lib.jq_compile(jq, text);
    show_home();
    if (!good)
        lib.jq_teardown(&jq);
    else
        lib.jq_set_error_cb(jq, complain, NULL);
    return jq;
}

static void replace(char *text, const char *from, const char *to)
{
    char *at = strstr(text, from);
    size_t n = strlen(from), k = strlen(to); /* k <= n */
    if (!at)
        return;
    memcpy(at, to, k);
    memmove(at + k, at + n, strlen(at + n) + 1);
}

/* The byte of the program (from 1) that a message of libjq's is about; 0 where it does not say.  Behind "at <top-level>,
 * line N:" comes the line's text and then as many blanks as there are bytes before the place. */
static size_t place(const char *at, const char *program, size_t lines)
{
    char *end;
    unsigned long line = strtoul(strstr(at, ", line ") + 7, &end, 10);
    if (end[0] != ':' || end[1] != '\n' || line <= lines)
        return 0;
    const char *from = program, *shown = end + 2;
    size_t ours = 0;
    for (unsigned long i = 1; i < line; i++) {
        from = strchr(from, '\n');
        if (!from)
            return 0;
        from++;
        if (i == lines)
            ours = (size_t)(from - program);
    }
    size_t len = strcspn(from, "\n"), got = strlen(shown);
    return got < len ? 0 : (size_t)(from - program) - ours + (got - len) + 1;
}

/* libjq's message on a program that does not compile, on one line. */
static void explain(struct complaint *c, const char *program, size_t lines, struct cdp_err *err)
{
    char *text = c->text, *at = strstr(text, " at <top-level>, line ");
    static const char head[] = "jq: error: ";
    size_t byte = at ? place(at, program, lines) : 0;
    if (at)
        *at = '\0';
    if (strncmp(text, head, sizeof head - 1) == 0)
        text += sizeof head - 1;
    text[strcspn(text, "\n")] = '\0';
    replace(text, " (Unix shell quoting issues?)", "");
    replace(text, "$end", "end");
    if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a')
        text[0] = (char)(text[0] | 32);
    char *name_end = strstr(text, "/0 is not defined");
    if (!text[0])
        cdp_err_set(err, CDP_EXIT_USAGE, "libjq cannot compile it");
    else if (byte && name_end)
        cdp_err_set(err, CDP_EXIT_USAGE, "byte %zu: %s (a field is written .%.*s)", byte, text,
                    (int)(name_end - text), text);
    else if (byte)
        cdp_err_set(err, CDP_EXIT_USAGE, "byte %zu: %s", byte, text);
    else
        cdp_err_set(err, CDP_EXIT_USAGE, "%s", text);
}

/* Runs a regular expression on "", in the thread that compiles it: a bad one is known now, and Oniguruma has been set up
 * before threads use it. */
static int probe(jq_state *jq, struct cdp_err *err)
{
    lib.jq_start(jq, lib.jv_string_sized("", 0), 0);
    jv v = lib.jq_next(jq);
    int rc = 0;
    if (lib.jv_get_kind(v) == JV_KIND_INVALID && lib.jv_invalid_has_msg(lib.jv_copy(v))) {
        jv message = lib.jv_invalid_get_msg(lib.jv_copy(v));
        const char *text =
            lib.jv_get_kind(message) == JV_KIND_STRING ? lib.jv_string_value(message) : "regex failure";
        rc = cdp_err_set(err, CDP_EXIT_USAGE, "%.200s", text);
        err->msg[0] = (char)(err->msg[0] == 'R' ? 'r' : err->msg[0]);
        lib.jv_free(message);
    }
    lib.jv_free(v);
    return rc;
}

/* The same for programs that may use regular expressions anywhere, once per process. */
static int set_up_regex(struct cdp_err *err)
{
    static bool done;
    if (done)
        return 0;
    struct complaint ignored = {{0}};
    jq_state *jq = compiled("test(\"\")", &ignored);
    if (!jq)
        return cdp_err_set(err, CDP_EXIT_IO, "cannot set up libjq");
    int rc = probe(jq, err);
    lib.jq_teardown(&jq);
    done = true;
    return rc;
}

static int check(struct cdp_jq *p, size_t lines, unsigned flags, struct cdp_err *err)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    struct complaint c = {{0}};
    jmp_buf here;
    pthread_mutex_lock(&one_at_a_time);
    volatile int rc = -1;
    if (setjmp(here)) {
        cdp_err_set(err, CDP_EXIT_IO, "libjq cannot allocate memory");
    } else {
        out_of_memory = &here;
        jq_state *jq = compiled(p->text, &c);
        if (!jq)
            explain(&c, p->text, lines, err);
        else
            rc = flags & CDP_JQ_REGEX ? set_up_regex(err) : 0;
        if (jq && rc == 0 && flags & CDP_JQ_PROBE)
            rc = probe(jq, err);
        atomic_store(&p->spare, jq);
    }
    out_of_memory = NULL;
    pthread_mutex_unlock(&one_at_a_time);
    return rc;
}

struct cdp_jq *cdp_jq_new(const char *text, size_t lines, unsigned flags, struct cdp_err *err)
{
    static _Atomic(uint64_t) programs;
    struct cdp_jq *p = cdp_mem_zalloc(1, sizeof *p, err);
    if (!p)
        return NULL;
    p->id = atomic_fetch_add(&programs, 1);
    p->text = cdp_mem_strndup(text, strlen(text), err);
    if (p->text && (!(flags & CDP_JQ_CHECK) || (need_library(err) == 0 && check(p, lines, flags, err) == 0)))
        return p;
    cdp_jq_free(p);
    return NULL;
}

void cdp_jq_free(struct cdp_jq *p)
{
    if (!p)
        return;
    jq_state *jq = atomic_load(&p->spare);
    if (jq)
        lib.jq_teardown(&jq);
    free(p->text);
    free(p);
}

/* --- a thread's states */

struct entry {
    uint64_t program; /* its id */
    jq_state *jq;
};

struct cdp_jq_cache {
    struct entry *entry;
    size_t n, cap;
};

void cdp_jq_cache_free(struct cdp_jq_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        lib.jq_teardown(&c->entry[i].jq);
    free(c->entry);
    free(c);
}

static int add_state(struct cdp_expr_scratch *s, const struct cdp_jq *p, struct cdp_err *err)
{
    if (need_library(err) < 0 || (!s->jq && !(s->jq = cdp_mem_zalloc(1, sizeof *s->jq, err))))
        return -1;
    struct entry *grown = cdp_mem_grow(s->jq->entry, &s->jq->cap, s->jq->n + 1, sizeof *grown, err);
    if (!grown)
        return -1;
    s->jq->entry = grown;
    struct complaint c = {{0}};
    jq_state *jq = atomic_exchange(&((struct cdp_jq *)p)->spare, NULL);
    if (!jq && !(jq = compiled(p->text, &c)))
        return cdp_err_set(err, CDP_EXIT_IO, "libjq cannot compile again what it has compiled before");
    grown[s->jq->n++] = (struct entry){p->id, jq};
    return 0;
}

static jq_state *state(struct cdp_expr_scratch *s, const struct cdp_jq *p, struct cdp_err *err)
{
    for (size_t i = 0; s->jq && i < s->jq->n; i++)
        if (s->jq->entry[i].program == p->id)
            return s->jq->entry[i].jq;
    return add_state(s, p, err) < 0 ? NULL : s->jq->entry[s->jq->n - 1].jq;
}

/* A state that memory ran out in is left as it is. */
static void forget(struct cdp_expr_scratch *s, const struct cdp_jq *p)
{
    for (size_t i = 0; s->jq && i < s->jq->n; i++)
        if (s->jq->entry[i].program == p->id)
            s->jq->entry[i] = s->jq->entry[--s->jq->n];
}

/* --- running */

static const struct phrase {
    const char *in_jq, *what;
} phrases[] = {
    {"hour() of what is no RFC 3339 time", NULL},
    {"day() of what is no RFC 3339 time", NULL},
    {"week() of what is no RFC 3339 time", NULL},
    {"month() of what is no RFC 3339 time", NULL},
    {"year() of what is no RFC 3339 time", NULL},
    {"Cannot index", "cannot index a value of this type"},
    {"Cannot iterate over", "cannot iterate over a value of this type"},
    {"Cannot check whether", "cannot check this type for a key"},
    {"Cannot use", "cannot use this type as an object's key"},
    {"Object keys must be strings", "object keys must be strings"},
    {"cannot be added", "values of these types cannot be added"},
    {"cannot be subtracted", "values of these types cannot be subtracted"},
    {"cannot be multiplied", "values of these types cannot be multiplied"},
    {"divisor is zero", "the divisor is zero"},
    {"cannot be divided", "values of these types cannot be divided"},
    {"cannot be negated", "a value of this type cannot be negated"},
    {"cannot have their containment checked", "values of these types cannot have their containment checked"},
    {"has no length", "a value of this type has no length"},
    {"has no keys", "a value of this type has no keys"},
    {"while parsing", "text that is no JSON"},
    {"cannot be parsed as a number", "a value that cannot be parsed as a number"},
    {"only strings can be parsed", "only strings can be parsed"},
    {"number required", "number required"},
    {"cannot be matched", "only strings can be matched"},
    {"Regex failure", "a bad regular expression"},
    {"requires string inputs", "string inputs required"},
    {"must be a string", "string input required"},
    {"must be strings", "string inputs required"},
    {"cannot be sorted", "only arrays can be sorted"},
    {"does not match format", "a time that does not match its format"},
    {"in a csv row", "a value that does not fit a row"},
    {"formatted, only array", "only arrays can be formatted so"},
    {"base64", "text that is no base64"},
    {NULL, "an error in libjq"},
};

/* What an error of libjq's is about.  Its text holds values, and may be made by the program from values. */
static const char *kind_of_error(jv message)
{
    const struct phrase *p = phrases;
    if (lib.jv_get_kind(message) == JV_KIND_STRING) {
        const char *text = lib.jv_string_value(message);
        while (p->in_jq && !strstr(text, p->in_jq))
            p++;
    } else {
        p = phrases + sizeof phrases / sizeof *phrases - 1;
    }
    return p->what ? p->what : p->in_jq;
}

static int failed(struct cdp_expr_run *r, jq_state *jq, jv v)
{
    int rc = CDP_EXPR_NONE;
    if (lib.jq_halted(jq)) {
        rc = cdp_expr_fail(r, "halted", CDP_EXPR_NO_TYPE, CDP_EXPR_NO_TYPE);
    } else if (lib.jv_invalid_has_msg(lib.jv_copy(v))) {
        jv message = lib.jv_invalid_get_msg(lib.jv_copy(v));
        rc = cdp_expr_fail(r, kind_of_error(message), CDP_EXPR_NO_TYPE, CDP_EXPR_NO_TYPE);
        lib.jv_free(message);
    }
    lib.jv_free(v);
    return rc;
}

/* Runs the program to its end: libjq does not let go of a path expression half-way.  What it still gives is dropped. */
static bool finish(jq_state *jq)
{
    for (int i = 0; i < MAX_OUTPUTS; i++) {
        jv v = lib.jq_next(jq);
        bool end = lib.jv_get_kind(v) == JV_KIND_INVALID;
        lib.jv_free(v);
        if (end)
            return true;
    }
    return false;
}

enum half { NO_HALF, FIRST_HALF, SECOND_HALF };

/* Which half of a surrogate pair is the escape at p? */
static enum half half_at(const char *p)
{
    if (p[0] != '\\' || p[1] != 'u' || (p[2] | 32) != 'd' || p[3] < '8')
        return NO_HALF;
    return (p[3] | 32) < 'c' ? FIRST_HALF : SECOND_HALF;
}

/* The next escape in valid JSON that is half a pair without the other, or NULL. */
static const char *next_lone_half(const char *p, const char *end)
{
    while ((p = memchr(p, '\\', (size_t)(end - p)))) {
        enum half half = half_at(p);
        if (half == FIRST_HALF && half_at(p + 6) == SECOND_HALF)
            p += 12;
        else if (half)
            return p;
        else
            p += 2;
    }
    return NULL;
}

/* The text with U+FFFD for lone halves: libjq makes that of second ones, but takes no text with a first one. */
static const char *with_whole_pairs(struct cdp_val in, struct cdp_buf *b)
{
    const char *end = in.p + in.len, *lone = next_lone_half(in.p, end);
    if (!lone)
        return in.p;
    cdp_buf_clear(b);
    cdp_buf_add(b, in.p, in.len);
    for (; lone && !b->failed; lone = next_lone_half(lone + 6, end))
        memcpy(b->data + (lone - in.p), "\\ufffd", 6);
    return b->data;
}

static int parse_input(struct cdp_expr_run *r, struct cdp_val in, jv *v)
{
    if (in.len > INT_MAX)
        return cdp_expr_fail(r, "a value that is too large for libjq", CDP_EXPR_NO_TYPE, CDP_EXPR_NO_TYPE);
    if (in.type == CDP_MISSING) {
        *v = lib.jv_null();
        return CDP_EXPR_OK;
    }
    if (in.type == CDP_STRING) {
        size_t n;
        const char *s = cdp_val_str(in, &r->s->b1, &n);
        if (cdp_buf_check(&r->s->b1, r->err) < 0)
            return CDP_EXPR_FATAL;
        *v = lib.jv_string_sized(s, (int)n);
        return CDP_EXPR_OK;
    }
    const char *text = with_whole_pairs(in, &r->s->b1);
    if (cdp_buf_check(&r->s->b1, r->err) < 0)
        return CDP_EXPR_FATAL;
    *v = lib.jv_parse_sized(text, (int)in.len);
    if (lib.jv_get_kind(*v) != JV_KIND_INVALID)
        return CDP_EXPR_OK;
    lib.jv_free(*v); /* the scanner has validated it, and the pairs are whole: what is left is nesting */
    return cdp_expr_fail(r, "a value nested too deeply for libjq", CDP_EXPR_NO_TYPE, CDP_EXPR_NO_TYPE);
}

static int run(const struct cdp_jq *p, struct cdp_expr_run *r, struct cdp_val in)
{
    jq_state *jq = state(r->s, p, r->err);
    jv v;
    if (!jq)
        return CDP_EXPR_FATAL;
    int rc = parse_input(r, in, &v);
    if (rc != CDP_EXPR_OK)
        return rc;
    lib.jq_start(jq, v, 0);
    v = lib.jq_next(jq);
    if (lib.jv_get_kind(v) == JV_KIND_INVALID)
        return failed(r, jq, v);
    jv text = lib.jv_dump_string(v, 0);
    cdp_buf_clear(&r->s->out);
    cdp_buf_add(&r->s->out, lib.jv_string_value(text), (size_t)lib.jv_string_length_bytes(lib.jv_copy(text)));
    lib.jv_free(text);
    if (!finish(jq)) {
        forget(r->s, p);
        cdp_err_set(r->err, CDP_EXIT_IO, "expression '%s': more than %d outputs", r->e->shown, MAX_OUTPUTS);
        return CDP_EXPR_FATAL;
    }
    return cdp_buf_check(&r->s->out, r->err) < 0 ? CDP_EXPR_FATAL : CDP_EXPR_OK;
}

int cdp_jq_run(const struct cdp_jq *p, struct cdp_expr_run *r, struct cdp_val in)
{
    if (need_library(r->err) < 0)
        return CDP_EXPR_FATAL;
    jmp_buf here;
    if (setjmp(here)) {
        out_of_memory = NULL;
        forget(r->s, p);
        cdp_err_set(r->err, CDP_EXIT_IO, "libjq cannot allocate memory");
        return CDP_EXPR_FATAL;
    }
    out_of_memory = &here;
    lib.jv_nomem_handler(no_memory, NULL);
    int rc = run(p, r, in);
    out_of_memory = NULL;
    return rc;
}
