/* expr_impl: what the files of expr share; nobody else includes it.
 *
 *   expr.c          the face: compiling, falling back to libjq, scratch memory, messages
 *   expr_parse.c    text → tree, for the native subset; with expr_lex.c, expr_node.c and expr_call.c (see expr_parse.h)
 *   expr_text.c     where a text ends and what it mentions, without parsing it
 *   expr_eval.c     the tree on a record
 *   expr_func.c     functions
 *   expr_arith.c    operators
 *   expr_value.c    what these are made of: values, their members, text and order
 *   expr_foreign.c  programs for libjq: what they may say, and the definitions they are given
 *   expr_jq.c       libjq
 */
#ifndef CDP_EXPR_IMPL_H
#define CDP_EXPR_IMPL_H

#include "lib/expr.h"
#include "lib/mem.h"
#include "lib/num.h"

/* --- memory that is given back all at once */

struct cdp_expr_chunk {
    struct cdp_expr_chunk *next;
    size_t size, used;
    char data[]; /* size bytes, and CDP_PAD more that may be read */
};

struct cdp_expr_arena {
    struct cdp_expr_chunk *chunk;
};

void *cdp_expr_alloc_slow(struct cdp_expr_arena *a, size_t n, struct cdp_err *err);
void cdp_expr_arena_reset(struct cdp_expr_arena *a);
void cdp_expr_arena_free(struct cdp_expr_arena *a);

/* n bytes, aligned for anything; NULL and *err where there are none. */
static inline void *cdp_expr_alloc(struct cdp_expr_arena *a, size_t n, struct cdp_err *err)
{
    struct cdp_expr_chunk *c = a->chunk;
    size_t need = (n + 15) & ~(size_t)15;
    if (!c || need < n || c->size - c->used < need)
        return cdp_expr_alloc_slow(a, n, err);
    void *p = c->data + c->used;
    c->used += need;
    return p;
}

/* --- the tree */

enum cdp_expr_op {
    CDP_EXPR_CONST, /* val */
    CDP_EXPR_PATH,  /* step: a path into the record; becomes SLOT when it is bound to the plan */
    CDP_EXPR_SLOT,  /* slot */
    CDP_EXPR_DOT,   /* `.` behind a pipe from something computed */
    CDP_EXPR_INDEX, /* a, step[0]; opt: `?` follows */
    CDP_EXPR_PIPE,  /* a | b */
    CDP_EXPR_AND,
    CDP_EXPR_OR,
    CDP_EXPR_ALT, /* a // b */
    CDP_EXPR_NOT, /* a | not */
    CDP_EXPR_IF,  /* if a then b else c end */
    CDP_EXPR_TRY, /* (a)? */
    CDP_EXPR_EMPTY,
    CDP_EXPR_CMP,     /* a b, fn: enum cdp_expr_cmp */
    CDP_EXPR_CMP_STR, /* slot == or != val, a string without escapes */
    CDP_EXPR_CMP_NUM, /* slot against val, a number of few digits: coef × 10^exp */
    CDP_EXPR_ARITH,   /* a b, fn: '+' '-' '*' '/' '%' */
    CDP_EXPR_NEG,
    CDP_EXPR_OBJECT, /* kid: its key is `{"name":` or `,"name":` */
    CDP_EXPR_ARRAY,  /* kid */
    CDP_EXPR_JOIN,   /* kid: a string with \(…) in it */
    CDP_EXPR_CALL,   /* a | fn(b), fn: enum cdp_expr_fn */
    CDP_EXPR_HAS,    /* a | has(step[0]) */
    CDP_EXPR_HAS_AT, /* the same with a path: slot has slot2 */
    CDP_EXPR_BUCKET, /* day(a) and its like, fn: enum cdp_bucket */
    CDP_EXPR_TEST,   /* a | test(val), fn: CDP_EXPR_BEGIN and _END; val is decoded text */
    CDP_EXPR_REGEX,  /* a | test(…), by libjq on a's string */
    CDP_EXPR_JQ,     /* a | any program, by libjq on a's value */
};

enum cdp_expr_cmp { CDP_EXPR_EQ, CDP_EXPR_NE, CDP_EXPR_LT, CDP_EXPR_LE, CDP_EXPR_GT, CDP_EXPR_GE };

enum { CDP_EXPR_BEGIN = 1, CDP_EXPR_END = 2 };

enum cdp_expr_fn {
    CDP_EXPR_LENGTH,
    CDP_EXPR_TYPE,
    CDP_EXPR_TOSTRING,
    CDP_EXPR_TOJSON,
    CDP_EXPR_TONUMBER,
    CDP_EXPR_FLOOR,
    CDP_EXPR_CEIL,
    CDP_EXPR_ROUND,
    CDP_EXPR_TRUNC,
    CDP_EXPR_FABS,
    CDP_EXPR_DOWNCASE,
    CDP_EXPR_UPCASE,
    CDP_EXPR_STARTSWITH,
    CDP_EXPR_ENDSWITH,
    CDP_EXPR_LTRIMSTR,
    CDP_EXPR_RTRIMSTR,
    CDP_EXPR_CONTAINS,
};

struct cdp_expr_node {
    uint8_t op, fn;
    bool opt;
    bool from_end;  /* step[0] is an index that counts from behind the last item */
    bool path;      /* it leads into the record: to null, where that goes below what is no object or array */
    uint16_t depth; /* of the tree below, itself included */
    int slot, slot2;
    struct cdp_expr_node *a, *b, *c;
    struct cdp_expr_node **kid;
    size_t kids;
    struct cdp_val key; /* of an object's member */
    struct cdp_val val;
    int64_t coef;
    int32_t exp;
    struct cdp_step *step;
    size_t steps;
    struct cdp_jq *jq;
};

#define CDP_EXPR_SHOWN 100 /* bytes of an expression in messages */

struct cdp_expr {
    struct cdp_expr_node *root; /* NULL: libjq runs all of it */
    struct cdp_jq *whole;
    struct cdp_expr_arena arena; /* the tree and its constants */
    char *text;
    char shown[CDP_EXPR_SHOWN];
    const struct cdp_zone *zone;
    struct cdp_jq **jq; /* all programs, owned */
    size_t jqs, jq_cap;
    struct cdp_jq *multiply, *divide; /* for operands that are no numbers */
    bool native;
};

struct cdp_expr_scratch {
    struct cdp_expr_arena arena;
    struct cdp_buf b1, b2, out; /* decoded operands, and what is being written */
    struct cdp_val day;         /* in the arena: what day() made last of a time in UTC, or missing */
    struct cdp_jq_cache *jq;
};

/* --- parsing */

/* The tree of e->text, or NULL: *unsupported (for libjq to judge) or *err.  Where all of the text is `a | rest` and only
 * the rest is not native, the last of the pipes' right sides is a CDP_EXPR_JQ whose program is still to be made of val,
 * the rest's text. */
struct cdp_expr_node *cdp_expr_parse(struct cdp_expr *e, struct cdp_expr_scratch *s, bool *unsupported,
                                     struct cdp_err *err);

/* What a program's text mentions outside its strings, comments, fields and keys. */
struct cdp_expr_mentions {
    bool bucket, regex, index;
    const char *refused, *why; /* what cannot be used; NULL: nothing */
    struct cdp_buf patterns;   /* literals that are searched for everywhere, a ',' before each; to be freed */
};
struct cdp_expr_mentions cdp_expr_mentions(const char *text);

/* A number's text, perhaps written as jq takes it but JSON does not (+1, 01, .5, 1.), as JSON.  False where it is none;
 * otherwise text is left in *out (where it had to be rewritten) or is the input. */
bool cdp_expr_number(const char *p, size_t len, struct cdp_buf *out, const char **text, size_t *text_len);

/* --- evaluation */

enum {
    CDP_EXPR_OK = 0,
    CDP_EXPR_NONE = 2,   /* no output */
    CDP_EXPR_ERROR = -1, /* the value cannot be used: run->what says why */
    CDP_EXPR_FATAL = -2, /* *err is filled */
};

#define CDP_EXPR_NO_TYPE 255

struct cdp_expr_run {
    const struct cdp_expr *e;
    struct cdp_expr_scratch *s;
    const struct cdp_val *fields;
    const char *line;
    size_t len;
    struct cdp_val dot;
    struct cdp_err *err;
    const char *what; /* "cannot be added" */
    uint8_t type_a, type_b;
};

int cdp_expr_run_eval(struct cdp_expr_run *r, const struct cdp_expr_node *n, struct cdp_val *out);
int cdp_expr_run_truth(struct cdp_expr_run *r, const struct cdp_expr_node *n); /* 0, 1 or a status */

/* --- values */

const char *cdp_expr_type_name(uint8_t type);
int cdp_expr_fail(struct cdp_expr_run *r, const char *what, uint8_t type_a, uint8_t type_b);
struct cdp_val cdp_expr_bool(bool b);

/* The text [p, p+n) copied as a value of that type. */
int cdp_expr_value(struct cdp_expr_run *r, uint8_t type, const char *p, size_t n, struct cdp_val *out);
/* Decoded bytes as a string value. */
int cdp_expr_string(struct cdp_expr_run *r, const char *p, size_t n, struct cdp_val *out);

/* What was written to the scratch's output buffer. */
int cdp_expr_written(struct cdp_expr_run *r, uint8_t type, struct cdp_val *out);
int cdp_expr_from_num(struct cdp_expr_run *r, const struct cdp_num *n, struct cdp_val *out);
/* The status after a failure in num: memory, or a number that it does not take. */
int cdp_expr_num_failed(struct cdp_expr_run *r);

/* How many items an array has. */
size_t cdp_expr_items(struct cdp_val v);

struct cdp_expr_member {
    struct cdp_val key, val;
    const char *name; /* the key, decoded */
    size_t len;
};

struct cdp_expr_members {
    struct cdp_expr_member *m;
    size_t n, cap;
};

/* The members of a and then those of b, each key once, at its first place and with its last value: jq's merge of objects. */
int cdp_expr_merge(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, struct cdp_expr_members *all);

/* tojson: jq's compact text as a string. */
int cdp_expr_tojson(struct cdp_expr_run *r, struct cdp_val v, struct cdp_val *out);

/* jq's order: *cmp is -1, 0 or 1. */
int cdp_expr_compare(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val b, int *cmp);
int cdp_expr_arith(struct cdp_expr_run *r, int op, struct cdp_val a, struct cdp_val b, struct cdp_val *out);
int cdp_expr_negate(struct cdp_expr_run *r, struct cdp_val a, struct cdp_val *out);
int cdp_expr_call(struct cdp_expr_run *r, int fn, struct cdp_val dot, struct cdp_val arg,
                  struct cdp_val *out);
/* A string's pieces joined; what is no string as tostring makes it one. */
int cdp_expr_join(struct cdp_expr_run *r, const struct cdp_val *v, size_t n, struct cdp_val *out);

/* --- libjq */

struct cdp_jq;       /* a program; shared, read-only */
struct cdp_jq_cache; /* a thread's compiled programs and buffers */

enum {
    CDP_JQ_CHECK = 1, /* compile it now */
    CDP_JQ_REGEX = 2, /* it may use regular expressions */
    CDP_JQ_PROBE = 4, /* run it on "" as well: a bad regular expression is known only then */
};

/* NULL and *err: libjq's message on one line with its byte in the text (exit 2), memory, or no libjq (3).  The first
 * `lines` lines of the text are ours and not counted. */
struct cdp_jq *cdp_jq_new(const char *text, size_t lines, unsigned flags, struct cdp_err *err);
void cdp_jq_free(struct cdp_jq *p);

void cdp_jq_cache_free(struct cdp_jq_cache *c);

/* Runs it on a value (raw JSON; missing is null) and leaves the first output's JSON text in r->s->out. */
int cdp_jq_run(const struct cdp_jq *p, struct cdp_expr_run *r, struct cdp_val in);

/* --- programs for it */

/* Makes a program and keeps it with the expression. */
struct cdp_jq *cdp_expr_own_jq(struct cdp_expr *e, const char *text, size_t lines, unsigned flags,
                               struct cdp_err *err);

/* The same for a text of the user's: NULL and *err for what it may not say. */
struct cdp_jq *cdp_expr_foreign(struct cdp_expr *e, const char *text, struct cdp_err *err);

#endif
