/* agg_impl: what agg's files share.
 *
 *     agg.c        workers: from a record to the operands of its group
 *     agg_spec.c   the command line's words for keys and aggregates
 *     agg_part.c   a part of the table: memory, groups, counted values
 *     agg_fold.c   functions with a state of fixed size: count, sum, min, first, …
 *     agg_sketch.c approx_count_distinct, hll
 *     agg_tally.c  functions that count values: count_distinct, top, histogram, quantile, …
 *     agg_bag.c    collect and collect_distinct
 *     agg_row.c    a group as a line of output
 *     agg_end.c    the rows of all groups in order
 *     agg_spill.c  what is spilled, and its rows */
#ifndef CDP_AGG_IMPL_H
#define CDP_AGG_IMPL_H

#include "lib/agg.h"
#include "lib/hash.h"
#include "lib/key.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/sort_entry.h"
#include "lib/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct cdp_sort;

/* ---- a part of the table ---- */

/* Memory in units of 8 bytes, which are named by 32-bit references and never move.  Reference r lies in the chunk of its
 * highest bit; chunk c has 2^c units, the first one has c = CDP_AGG_FIRST_CHUNK.  0 is no reference. */
#define CDP_AGG_FIRST_CHUNK 13

struct cdp_agg_arena {
    char *chunk[32];
    char *free;    /* what is given out next, */
    uint32_t next; /* its reference, */
    size_t left;   /* and how many units the chunk has from there on */
    size_t used;   /* bytes */
};

static inline void *cdp_agg_at(const struct cdp_agg_arena *a, uint32_t ref)
{
    unsigned c = 31 - (unsigned)__builtin_clz(ref);
    return a->chunk[c] + ((size_t)(ref - (1u << c)) << 3);
}

/* Open addressing: hashes to references.  A slot is found by the hash's high bits. */
struct cdp_agg_slot {
    uint32_t hash, ref; /* ref 0: empty */
};

struct cdp_agg_index {
    struct cdp_agg_slot *slot;
    size_t slots, used; /* slots is a power of two, or 0 */
    unsigned shift;     /* hash >> shift is the first slot to look at */
};

/* A group: its key, this, its states (each at its item's offset); the layout of a record in lib/sort_entry.h. */
struct cdp_agg_group {
    uint32_t tally;  /* its counted values: the last one made, the others through `next` */
    uint32_t before; /* the group made before it, or 0 */
    uint32_t key_len, none;
    char states[];
};

/* A value as it came, which another one may replace. */
struct cdp_agg_kept {
    uint32_t ref; /* 0: none; else of a word (see agg_part.c) and the bytes */
    uint32_t len;
};

/* A class of values that was counted for a group: its key (the item's index + 1 in two bytes, then
 * the class), this. */
struct cdp_agg_tally {
    uint32_t group, next;
    uint32_t key_len, none;
    uint64_t count;
    struct cdp_agg_kept like; /* the least value of the class; none: cdp_key_decode of the class is that */
};

#define CDP_AGG_ITEM_BYTES 2

struct cdp_agg_part {
    _Alignas(CDP_APART) pthread_mutex_t lock;
    struct cdp_agg_arena arena;
    struct cdp_agg_index groups, tallies;
    struct cdp_set *set; /* one for each count_distinct by hashes */
    size_t sets;
    size_t heap;    /* bytes that states own outside of the arena */
    size_t counted; /* bytes of all that, as last added to the table's total */
    uint32_t last;  /* the group made last, from which the others are found in the order of memory; 0: none */
    uint32_t common; /* how many leading bytes its key shares with all others */
    struct cdp_buf tmp, tmp2;
};

/* ---- the specification ---- */

enum cdp_agg_kind {
    CDP_AGG_NONE,  /* the record takes no part */
    CDP_AGG_VALUE, /* a value, or whatever the function makes of it */
    CDP_AGG_SMALL, /* a number: coef × 10^exp */
    CDP_AGG_STATE, /* a partial state's JSON */
};

/* What one record brings to one item. */
struct cdp_agg_arg {
    union {
        const char *p; /* a value's text; NULL: none */
        int64_t coef;
    };
    uint64_t hash;
    uint32_t len; /* of p */
    union {
        uint32_t at; /* bytes in the worker's buffer: here, n of them */
        int32_t exp;
    };
    uint32_t n;
    uint8_t kind;          /* enum cdp_agg_kind */
    uint8_t type, escaped; /* of the value */
};

struct cdp_agg_place;

struct cdp_agg_item {
    const struct cdp_agg_func *func;
    char *name;
    struct cdp_buf lead;           /* `,"name":` or `{"name":` */
    struct cdp_expr *expr, *where; /* NULL: none */
    int slot;                      /* in the plan: of an expression that is a path, of a state; -1 */
    bool plain;                    /* the operand is that slot's value in every record */
    uint16_t index;                /* among the items */
    uint32_t offset;               /* of its state in a group's states */
    uint32_t set;                  /* of count_distinct by hashes: which one */
    struct cdp_keyspec order;      /* of first, last and collect */
    uint64_t n;                    /* of top and collect: how many; of a sketch: log2m */
    unsigned regwidth;             /* of a sketch */
    struct cdp_num q;              /* of a quantile; of histogram: the width */
    struct cdp_num *bound;         /* of histogram: ascending, instead of a width */
    size_t bounds;
};

/* How a row's operand gets into the item's state. */
struct cdp_agg_step {
    const struct cdp_agg_item *item;
    int (*add)(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
               struct cdp_err *err);
    size_t offset, index; /* the item's */
};

struct cdp_agg_by {
    char *name;
    struct cdp_buf lead;
    struct cdp_expr *expr;
    int slot;
};

/* ---- functions ---- */

/* Where a state is. */
struct cdp_agg_place {
    struct cdp_agg_part *part;
    const struct cdp_agg_item *item;
    uint32_t group;
    const char *bytes; /* the buffer of the worker whose operands are added */
};

/* What follows EXPR among the arguments. */
enum cdp_agg_args {
    CDP_AGG_PLAIN,
    CDP_AGG_ORDER,      /* [, KEYS] */
    CDP_AGG_BY,         /* , KEYS */
    CDP_AGG_COUNT,      /* , N */
    CDP_AGG_COUNT_KEYS, /* , N [, KEYS] */
    CDP_AGG_QUANTILE,   /* , Q */
    CDP_AGG_BINS,       /* , WIDTH or , [BOUND, …] */
    CDP_AGG_SKETCH,     /* [, LOG2M [, REGWIDTH]] */
};

enum cdp_agg_class {
    CDP_AGG_FOLD,  /* all is in the group's state */
    CDP_AGG_TALLY, /* values are counted beside it; the state is a uint64_t: how many there were */
    CDP_AGG_SET,   /* hashes of values are kept beside it; the state is a struct cdp_agg_few */
};

/* The state of SET. */
#define CDP_AGG_FEW 2

struct cdp_agg_few {
    uint64_t count;             /* distinct values */
    uint64_t hash[CDP_AGG_FEW]; /* of the first ones, of which the set knows nothing */
    uint32_t more[CDP_AGG_FEW];
};

/* Is the least value of a class kept? */
enum cdp_agg_like {
    CDP_AGG_LIKE_NEVER,
    CDP_AGG_LIKE_SPELLING, /* where it is not as cdp_key_decode gives it back */
    CDP_AGG_LIKE_ALWAYS,
};

struct cdp_agg;
struct cdp_agg_worker;

/* The way from a group's classes, which come in order, to the result. */
struct cdp_agg_ranked {
    uint64_t count, seq; /* seq: place among the classes */
    struct cdp_buf value;
};

struct cdp_agg_ranking {
    const struct cdp_agg_item *item;
    struct cdp_buf *out;
    uint64_t total;              /* of all counts */
    uint64_t seen;               /* classes so far */
    uint64_t upto;               /* of a quantile: values still to pass */
    bool found;                  /* of a quantile: it is written; of histogram: a bin is */
    struct cdp_agg_ranked *heap; /* of top: the best so far */
    size_t n, cap;
};

struct cdp_agg_func {
    const char *name;
    const char *state; /* what its state is called in partial states, and the shape of that (cdp_agg_shape) */
    const char *shape;
    enum cdp_agg_args args;
    enum cdp_agg_class class;
    enum cdp_agg_like like;
    uint32_t size;  /* of the state: zero bytes are the state of no record */
    int sign;       /* of min, first: -1; of max, last: 1 */
    bool bare;      /* EXPR may be missing */
    bool looks_for; /* of any: true; of all: false */
    bool squares;   /* the operand is squared */
    bool distinct;  /* of collect_distinct */
    bool opens;     /* the result of a ranking is an array */

    /* In parallel: the operand from an expression's value; *arg is zero before.  -1 with exit status 1: the record cannot be
     * used. */
    int (*take)(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err);
    /* In parallel: could a state whose shape is right be this item's?  NULL: any.  -1 with exit status 1 where it could not. */
    int (*fits)(const struct cdp_agg_item *item, struct cdp_val json, struct cdp_err *err);
    /* Into the state: an operand; another state, which is known to be right. */
    int (*add)(const struct cdp_agg_place *at, void *state, const struct cdp_agg_arg *arg,
               struct cdp_err *err);
    int (*load)(const struct cdp_agg_place *at, void *state, struct cdp_val json, struct cdp_err *err);
    /* Out of it: as JSON (FOLD only); the result (not of TALLY).  In parallel with other groups of the part. */
    int (*save)(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out, struct cdp_err *err);
    int (*finish)(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                  struct cdp_err *err);
    void (*free)(const struct cdp_agg_part *p,
                 void *state); /* what it owns outside of the arena; NULL: nothing */

    /* TALLY: the class of a value, appended to *out; each class in order (v: the least value, if it is not the class
     * decoded), and the end of them. */
    int (*classify)(const struct cdp_agg_item *item, struct cdp_val v, struct cdp_buf *out,
                    struct cdp_err *err);
    int (*each)(struct cdp_agg_ranking *k, struct cdp_val v, const char *class, uint64_t count,
                struct cdp_err *err);
    int (*end)(struct cdp_agg_ranking *k, struct cdp_err *err);
};

extern const struct cdp_agg_func cdp_agg_fold_funcs[], cdp_agg_sketch_funcs[], cdp_agg_tally_funcs[],
    cdp_agg_bag_funcs[];
extern const struct cdp_agg_func cdp_agg_values_func; /* count_distinct where its values are kept */

int cdp_agg_count_finish(const struct cdp_agg_place *at, const void *state, struct cdp_buf *out,
                         struct cdp_err *err);
int cdp_agg_take_number(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                        const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err);
int cdp_agg_take_ordered(struct cdp_agg_worker *w, const struct cdp_agg_item *item, struct cdp_val v,
                         const struct cdp_rec *r, struct cdp_agg_arg *arg, struct cdp_err *err);

void cdp_agg_ranking_begin(struct cdp_agg_ranking *k, const struct cdp_agg_item *item, uint64_t total,
                           struct cdp_buf *out);
void cdp_agg_ranking_free(struct cdp_agg_ranking *k);

/* The value of an operand that is one. */
static inline void cdp_agg_arg_set(struct cdp_agg_arg *arg, struct cdp_val v)
{
    arg->kind = CDP_AGG_VALUE;
    arg->p = v.p;
    arg->len = v.len;
    arg->type = v.type;
    arg->escaped = v.escaped;
}

static inline struct cdp_val cdp_agg_arg_val(const struct cdp_agg_arg *arg)
{
    return (struct cdp_val){.p = arg->p, .len = arg->len, .type = arg->type, .escaped = arg->escaped};
}

/* ---- workers ---- */

/* Records one after the other that have one key. */
struct cdp_agg_entry {
    uint64_t hash;         /* of the key */
    uint32_t key, key_len; /* in bytes */
    uint32_t index;        /* the first record's */
    uint32_t row, rows;    /* its args' row, and how many rows there are */
    uint32_t part, group;
};

struct cdp_agg_worker {
    struct cdp_agg *agg;
    uint32_t id;
    size_t n;         /* entries */
    size_t rows, cap; /* of args: one for each item; there is room for as many entries */
    size_t order_cap;
    struct cdp_val *by; /* the last entry's keys as they came */
    bool by_stands;     /* unless a record that was refused has overwritten them */
    struct cdp_agg_entry *entry;
    struct cdp_agg_arg *arg;
    uint32_t *order, *start; /* entries by part, and where each part's begin */
    uint32_t *late;          /* parts that another worker had */
    struct cdp_buf bytes, tmp, tmp2;
};

/* ---- the whole ---- */

/* A group on its way to a line of output: begin · count for each counted class, in the order of items and classes · end.  One
 * row at a time; the buffers are kept from row to row. */
struct cdp_agg_row {
    const struct cdp_agg *agg;
    struct cdp_buf *out;
    struct cdp_agg_part *part;
    const struct cdp_agg_group *group;
    size_t next;  /* the first item that is not written */
    bool open;    /* its counted classes are being written */
    bool any;     /* of a state: one of them is */
    size_t began; /* where the line begins in *out */
    struct cdp_agg_ranking ranking;
    struct cdp_entry *classes;
    size_t class_cap;
};

struct cdp_agg {
    struct cdp_agg_opts opts;
    struct cdp_plan *plan;   /* of records */
    struct cdp_plan *unread; /* of expressions that are compiled but not evaluated, with `merge` */
    struct cdp_agg_by *by;
    size_t bys, by_cap;
    struct cdp_agg_item *item;
    size_t items, item_cap;
    size_t states;             /* bytes of a group's states */
    size_t reach;              /* of a group with its states and short kept values */
    size_t sets;               /* of a part */
    struct cdp_agg_step *step; /* the folds', then those of items that keep values beside the groups */
    size_t folds;

    struct cdp_agg_part *part;
    size_t parts;                              /* a power of two */
    uint64_t budget;                           /* bytes of all parts */
    _Alignas(CDP_APART) _Atomic uint64_t used; /* the same, in use */
    _Atomic uint32_t workers;
    struct cdp_agg_group *zero; /* a group of the empty key with the states of no record */

    pthread_mutex_t making;        /* held while `sort` is made */
    struct cdp_sort *_Atomic sort; /* spilled groups, or NULL */
    _Atomic uint64_t seq;

    uint32_t current; /* with `sorted`: the group of part 0 that goes on, or 0 */
    struct cdp_agg_row row;
};

/* ---- agg_spec.c ---- */

void cdp_agg_spec_free(struct cdp_agg *a);

/* Does the JSON have the shape?  i: an integer from 0; n: one from 1; d: a number for exact arithmetic, or null; v: any
 * value; k: one that can be a key; b: true or false; x: a string of hexadecimal digits; ?S: S or null; *S: an array of S;
 * (ST…): an array of just these. */
bool cdp_agg_shape(const char *shape, struct cdp_val v);

uint64_t cdp_agg_integer(struct cdp_val v);                     /* shape i */
void cdp_agg_hex(const char *p, size_t n, struct cdp_buf *out); /* with quotes */
void cdp_agg_unhex(struct cdp_val v, struct cdp_buf *out);      /* shape x */

/* ---- agg_part.c ---- */

int cdp_agg_part_init(struct cdp_agg_part *p, size_t sets, struct cdp_err *err);
/* Forgets all groups, and frees what their states own. */
void cdp_agg_part_clear(const struct cdp_agg *a, struct cdp_agg_part *p);
/* Frees what only further records would need. */
void cdp_agg_part_close(struct cdp_agg_part *p);
void cdp_agg_part_free(const struct cdp_agg *a, struct cdp_agg_part *p);
size_t cdp_agg_part_bytes(const struct cdp_agg_part *p);

/* 0, or -1 where the part's own buffers have run out of memory since it was made. */
int cdp_agg_part_check(const struct cdp_agg_part *p, struct cdp_err *err);

/* Zeroed bytes of the arena. */
void *cdp_agg_alloc(struct cdp_agg_part *p, size_t bytes, uint32_t *ref, struct cdp_err *err);

/* The group of a key, made where there is none; 0 and *err where memory ran out.  To be quick, first call prefetch_slot for
 * a number of keys, then group_guess for all of them, which brings in a group that is likely to be it (or says 0). */
void cdp_agg_prefetch_slot(const struct cdp_agg_part *p, uint64_t hash);
uint32_t cdp_agg_group_guess(const struct cdp_agg *a, const struct cdp_agg_part *p, uint64_t hash, size_t n);
uint32_t cdp_agg_group_get(const struct cdp_agg *a, struct cdp_agg_part *p, uint32_t guess, uint64_t hash,
                           const char *key, size_t n, struct cdp_err *err);

static inline const char *cdp_agg_key(const struct cdp_agg_group *g)
{
    return (const char *)g - g->key_len;
}

static inline const char *cdp_agg_class(const struct cdp_agg_tally *t)
{
    return (const char *)t - t->key_len + CDP_AGG_ITEM_BYTES;
}

/* Keeps the value, behind fn bytes of something else, instead of what *kept held. */
int cdp_agg_keep(struct cdp_agg_part *p, struct cdp_agg_kept *kept, const char *front, size_t fn,
                 struct cdp_val v, struct cdp_err *err);

/* May be read widely (lib/buf.h). */
static inline const char *cdp_agg_kept_bytes(const struct cdp_agg_part *p, const struct cdp_agg_kept *kept)
{
    return (const char *)cdp_agg_at(&p->arena, kept->ref) + sizeof(uint32_t);
}

static inline bool cdp_agg_kept_escaped(const struct cdp_agg_part *p, const struct cdp_agg_kept *kept)
{
    return *(const uint32_t *)cdp_agg_at(&p->arena, kept->ref) & 1;
}

/* The value, which begins `skip` bytes in. */
struct cdp_val cdp_agg_kept_val(const struct cdp_agg_part *p, const struct cdp_agg_kept *kept, size_t skip);

/* Counts a class of values for a group.  key: the item's index + 1 in two bytes, the class.  v: the value, where it is worth
 * keeping (else CDP_MISSING). */
int cdp_agg_count(struct cdp_agg_part *p, uint32_t group, const char *key, size_t n, uint64_t hash,
                  uint64_t count, struct cdp_val v, struct cdp_err *err);
void cdp_agg_prefetch_count(const struct cdp_agg_part *p, uint32_t group, uint64_t hash);

/* Which of two values of a class stands for it: less than 0 for a.  Either may be CDP_MISSING: the class decoded. */
int cdp_agg_prefer(struct cdp_val a, struct cdp_val b, const char *class, struct cdp_buf *tmp,
                   struct cdp_buf *tmp2);

/* Puts 96 bits of a value's hash into a set of a group: 1 where it is new there, 0, or -1. */
int cdp_agg_set_add(struct cdp_agg_part *p, uint32_t set, uint32_t group, uint64_t hash, uint32_t more,
                    struct cdp_err *err);
void cdp_agg_prefetch_set(const struct cdp_agg_part *p, uint32_t set, uint32_t group, uint64_t hash);

struct cdp_agg_hash {
    uint32_t group, more;
    uint64_t hash;
};
struct cdp_agg_hash cdp_agg_set_entry(struct cdp_hash128 h);

/* jq's order of two values: less than 0, 0, more than 0; and of their bytes. */
int cdp_agg_compare(struct cdp_val a, struct cdp_val b, struct cdp_buf *tmp, struct cdp_buf *tmp2);
static inline int cdp_agg_compare_bytes(const char *a, size_t an, const char *b, size_t bn)
{
    int c = memcmp(a, b, an < bn ? an : bn);
    return c ? c : (an > bn) - (an < bn);
}

/* The value of text that is known to be one. */
struct cdp_val cdp_agg_value(const char *p, size_t n);

/* Appends the value, or where that is missing the class decoded. */
void cdp_agg_emit_like(struct cdp_val v, const char *class, struct cdp_buf *out);

/* ---- agg_row.c ---- */

int cdp_agg_row_begin(struct cdp_agg_row *row, struct cdp_agg_part *p, const struct cdp_agg_group *g,
                      struct cdp_err *err);
int cdp_agg_row_upto(struct cdp_agg_row *row, size_t item,
                     struct cdp_err *err); /* writes the items before this one */
int cdp_agg_row_count(struct cdp_agg_row *row, size_t item, struct cdp_val v, const char *class,
                      uint64_t count, struct cdp_err *err);
int cdp_agg_row_end(struct cdp_agg_row *row, struct cdp_err *err);
void cdp_agg_row_free(struct cdp_agg_row *row);

/* All of that for a group whose counted classes are in the part. */
int cdp_agg_row_write(struct cdp_agg_row *row, struct cdp_agg_part *p, const struct cdp_agg_group *g,
                      struct cdp_err *err);

/* A group's counted classes in order: entries for lib/sort_entry.h, *n of them, in row->classes; NULL where memory ran out. */
const struct cdp_entry *cdp_agg_row_classes(struct cdp_agg_row *row, const struct cdp_agg_part *p,
                                            const struct cdp_agg_group *g, size_t *n, struct cdp_err *err);

static inline const struct cdp_agg_tally *cdp_agg_entry_tally(struct cdp_entry e)
{
    return (const struct cdp_agg_tally *)(const void *)(cdp_entry_payload(e) -
                                                        offsetof(struct cdp_agg_tally, count));
}

static inline struct cdp_agg_group *cdp_agg_entry_group(struct cdp_entry e)
{
    return (struct cdp_agg_group *)(uintptr_t)(cdp_entry_payload(e) - offsetof(struct cdp_agg_group, states));
}

static inline size_t cdp_agg_tally_item(const struct cdp_agg_tally *t)
{
    const unsigned char *key = (const unsigned char *)t - t->key_len;
    return ((size_t)key[0] << 8 | key[1]) - 1;
}

/* ---- agg.c ---- */

/* With `sorted`: writes the group that has ended, if there is one. */
int cdp_agg_end_current(struct cdp_agg *a, struct cdp_buf *rows, struct cdp_err *err);

/* ---- agg_spill.c ---- */

/* Moves a part's groups to the sorter.  feed: the worker's number. */
int cdp_agg_spill(struct cdp_agg *a, struct cdp_agg_part *p, unsigned feed, struct cdp_err *err);

/* The end of an aggregation of which something was spilled. */
int cdp_agg_finish_spilled(struct cdp_agg *a, struct cdp_out *out, struct cdp_err *err);

#endif
