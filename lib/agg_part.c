/* agg_part: a part of the table of groups: see agg_impl.h.
 *
 * Groups and counted values are records in an arena that grows by doubling chunks, found through open addressing over 8-byte
 * slots (32 bits of the hash and a reference), at most three quarters full.  The bytes of a kept value follow the group
 * that they were first kept for, so that a group of a few short values is one or two cache lines.
 *
 * Memory: what is used of the arena, 10.7 to 21.3 bytes a group and counted value for the slots, the sets. */
#include "lib/agg_impl.h"

#include "lib/emit.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

#define MAPPED                                                                                               \
    ((size_t)256 << 10) /* blocks of at least this size are mapped, on huge pages where there are any */
#define FIRST_SLOTS ((size_t)64)
#define LONG_KEY ((size_t)64)     /* no more of a key is brought in ahead of its use */
#define KEPT_SLOTS ((size_t)4096) /* slots that cdp_agg_part_clear empties rather than frees */

static void *zeroed(size_t bytes, struct cdp_err *err)
{
    return bytes >= MAPPED ? cdp_mem_map(bytes, err) : cdp_mem_zalloc(bytes, 1, err);
}

static void give_back(void *p, size_t bytes)
{
    if (bytes >= MAPPED)
        cdp_mem_unmap(p, bytes);
    else
        free(p);
}

/* ---- arena ---- */

static size_t chunk_bytes(unsigned c)
{
    return (size_t)8 << c;
}

/* Units at a chunk's end that are not given out, so that what is in it can be read widely. */
#define BEHIND (CDP_BUF_WIDE / 8)

/* Goes on in a chunk that has so many units. */
static int next_chunk(struct cdp_agg_arena *a, size_t units, struct cdp_err *err)
{
    unsigned c = a->next ? 32 - (unsigned)__builtin_clz(a->next) : CDP_AGG_FIRST_CHUNK;
    while (c < 32 && units + BEHIND > (size_t)1 << c)
        c++;
    if (c == 32)
        return cdp_err_set(err, CDP_EXIT_IO,
                           "more than 32 GiB of groups in a part of the table (lower --memory)");
    if (!a->chunk[c] && !(a->chunk[c] = zeroed(chunk_bytes(c), err)))
        return -1;
    a->free = a->chunk[c];
    a->next = 1u << c;
    a->left = ((size_t)1 << c) - BEHIND;
    return 0;
}

static inline void pass(struct cdp_agg_arena *a, size_t units)
{
    a->free += units * 8;
    a->next += (uint32_t)units;
    a->left -= units;
    a->used += units * 8;
}

/* A run of zeroed bytes in one chunk; *ref is the place of its byte `front`, a multiple of 8, to which the result points. */
static void *arena_alloc(struct cdp_agg_arena *a, size_t front, size_t bytes, uint32_t *ref,
                         struct cdp_err *err)
{
    size_t units = (front + bytes + 7) / 8;
    if (units > a->left && next_chunk(a, units, err) < 0)
        return NULL;
    char *at = a->free + front;
    *ref = a->next + (uint32_t)(front / 8);
    pass(a, units);
    return at;
}

void *cdp_agg_alloc(struct cdp_agg_part *p, size_t bytes, uint32_t *ref, struct cdp_err *err)
{
    return arena_alloc(&p->arena, 0, bytes, ref, err);
}

/* Frees all chunks but the first, which is zeroed as far as it was used. */
static void arena_clear(struct cdp_agg_arena *a)
{
    unsigned first = CDP_AGG_FIRST_CHUNK;
    for (unsigned c = first + 1; c < 32; c++) {
        give_back(a->chunk[c], chunk_bytes(c));
        a->chunk[c] = NULL;
    }
    if (a->chunk[first])
        memset(a->chunk[first], 0,
               a->next < 2u << first && a->next ? (size_t)(a->next - (1u << first)) * 8 : chunk_bytes(first));
    a->next = 0;
    a->left = a->used = 0;
}

/* ---- index ---- */

static void index_free(struct cdp_agg_index *x)
{
    give_back(x->slot, x->slots * sizeof *x->slot);
    *x = (struct cdp_agg_index){0};
}

static void index_clear(struct cdp_agg_index *x)
{
    if (x->slots > KEPT_SLOTS)
        index_free(x);
    else if (x->used)
        memset(x->slot, 0, x->slots * sizeof *x->slot);
    x->used = 0;
}

static inline struct cdp_agg_slot *first_slot(const struct cdp_agg_index *x, uint32_t hash)
{
    return &x->slot[hash >> x->shift];
}

static inline struct cdp_agg_slot *next_slot(const struct cdp_agg_index *x, struct cdp_agg_slot *s)
{
    return ++s == x->slot + x->slots ? x->slot : s;
}

/* Makes room for one more. */
static int index_room(struct cdp_agg_index *x, struct cdp_err *err)
{
    if (x->slots && x->used < x->slots / 4 * 3)
        return 0;
    struct cdp_agg_index to = {.slots = x->slots ? x->slots * 2 : FIRST_SLOTS, .used = x->used};
    to.shift = 32 - (unsigned)__builtin_ctzll(to.slots);
    if (to.slots > (size_t)1 << 31)
        return cdp_err_set(err, CDP_EXIT_IO, "more than 2^31 groups in a part of the table (lower --memory)");
    to.slot = to.slots * sizeof *to.slot >= MAPPED ? cdp_mem_map_table(to.slots * sizeof *to.slot, err)
                                                   : cdp_mem_zalloc(to.slots, sizeof *to.slot, err);
    if (!to.slot)
        return -1;
    for (size_t i = 0; i < x->slots; i++) {
        if (!x->slot[i].ref)
            continue;
        struct cdp_agg_slot *s = first_slot(&to, x->slot[i].hash);
        while (s->ref)
            s = next_slot(&to, s);
        *s = x->slot[i];
    }
    index_free(x);
    *x = to;
    return 0;
}

/* ---- the part ---- */

int cdp_agg_part_init(struct cdp_agg_part *p, size_t sets, struct cdp_err *err)
{
    *p = (struct cdp_agg_part){.sets = sets};
    pthread_mutex_init(&p->lock, NULL);
    p->set = cdp_mem_zalloc(sets, sizeof *p->set, err);
    return p->set ? 0 : -1;
}

static void free_states(const struct cdp_agg *a, struct cdp_agg_part *p)
{
    struct cdp_agg_group *g;
    for (uint32_t ref = p->heap ? p->last : 0; ref; ref = g->before) {
        g = cdp_agg_at(&p->arena, ref);
        for (size_t k = 0; k < a->items; k++)
            if (a->item[k].func->free)
                a->item[k].func->free(p, g->states + a->item[k].offset);
    }
}

void cdp_agg_part_clear(const struct cdp_agg *a, struct cdp_agg_part *p)
{
    free_states(a, p);
    for (size_t i = 0; i < p->sets; i++)
        if (p->set[i].slot)
            cdp_set_free(&p->set[i]);
    index_clear(&p->groups);
    index_clear(&p->tallies);
    arena_clear(&p->arena);
    p->heap = 0;
    p->last = 0;
}

void cdp_agg_part_free(const struct cdp_agg *a, struct cdp_agg_part *p)
{
    cdp_agg_part_clear(a, p);
    index_free(&p->groups);
    index_free(&p->tallies);
    give_back(p->arena.chunk[CDP_AGG_FIRST_CHUNK], chunk_bytes(CDP_AGG_FIRST_CHUNK));
    cdp_buf_free(&p->tmp);
    cdp_buf_free(&p->tmp2);
    free(p->set);
    pthread_mutex_destroy(&p->lock);
    *p = (struct cdp_agg_part){0};
}

size_t cdp_agg_part_bytes(const struct cdp_agg_part *p)
{
    size_t bytes = p->arena.used + p->heap + (p->groups.slots + p->tallies.slots) * sizeof *p->groups.slot;
    for (size_t i = 0; i < p->sets; i++)
        bytes += p->set[i].slots * sizeof *p->set[i].slot;
    return bytes;
}

void cdp_agg_part_close(struct cdp_agg_part *p)
{
    index_free(&p->groups);
    index_free(&p->tallies);
    for (size_t i = 0; i < p->sets; i++)
        if (p->set[i].slot)
            cdp_set_free(&p->set[i]);
}

/* ---- groups ---- */

static uint32_t shared(const char *a, const char *b, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

#define LINE 64u         /* bytes of the cache's */
#define LARGE (2 * LINE) /* less than that is not worth the gap */

/* What is allocated next, so many bytes, is to touch no more lines than it has to: groups are visited in no order. */
static void begin_line(struct cdp_agg_arena *a, size_t bytes)
{
    size_t at = (size_t)a->next * 8 % LINE, lines = (bytes + LINE - 1) / LINE, gap = (LINE - at) / 8;
    if (at && bytes >= LARGE && at + bytes > lines * LINE && gap < a->left)
        pass(a, gap);
}

static uint32_t group_new(const struct cdp_agg *a, struct cdp_agg_part *p, const char *key, size_t n,
                          struct cdp_err *err)
{
    uint32_t ref;
    size_t front = (n + 7) / 8 * 8;
    begin_line(&p->arena, front + a->reach);
    struct cdp_agg_group *g = arena_alloc(&p->arena, front, sizeof *g + a->states, &ref, err);
    if (!g)
        return 0;
    g->key_len = (uint32_t)n;
    if (n)
        memcpy((char *)g - n, key, n);
    if (!p->last) {
        p->common = (uint32_t)n;
    } else {
        const struct cdp_agg_group *other = cdp_agg_at(&p->arena, p->last);
        p->common = shared(cdp_agg_key(other), key, p->common < n ? p->common : (uint32_t)n);
    }
    g->before = p->last;
    p->last = ref;
    return ref;
}

static inline bool group_is(const struct cdp_agg_part *p, uint32_t ref, const char *key, size_t n)
{
    const struct cdp_agg_group *g = cdp_agg_at(&p->arena, ref);
    return g->key_len == n && memcmp(cdp_agg_key(g), key, n) == 0;
}

uint32_t cdp_agg_group_get(const struct cdp_agg *a, struct cdp_agg_part *p, uint32_t guess, uint64_t hash,
                           const char *key, size_t n, struct cdp_err *err)
{
    uint32_t tag = (uint32_t)hash;
    if (guess && group_is(p, guess, key, n))
        return guess;
    if (index_room(&p->groups, err) < 0)
        return 0;
    struct cdp_agg_slot *s = first_slot(&p->groups, tag);
    for (; s->ref; s = next_slot(&p->groups, s))
        if (s->hash == tag && group_is(p, s->ref, key, n))
            return s->ref;
    uint32_t ref = group_new(a, p, key, n, err);
    if (ref) {
        *s = (struct cdp_agg_slot){tag, ref};
        p->groups.used++;
    }
    return ref;
}

void cdp_agg_prefetch_slot(const struct cdp_agg_part *p, uint64_t hash)
{
    if (p->groups.slots)
        __builtin_prefetch(first_slot(&p->groups, (uint32_t)hash), 1);
}

uint32_t cdp_agg_group_guess(const struct cdp_agg *a, const struct cdp_agg_part *p, uint64_t hash, size_t n)
{
    if (!p->groups.slots)
        return 0;
    uint32_t tag = (uint32_t)hash;
    struct cdp_agg_slot *s = first_slot(&p->groups, tag);
    while (s->ref && s->hash != tag)
        s = next_slot(&p->groups, s);
    if (s->ref) {
        /* No line more than it has: memory is what this waits for. */
        const char *g = cdp_agg_at(&p->arena, s->ref), *end = g + a->reach;
        for (const char *line = g - (n < LONG_KEY ? n : LONG_KEY); line < end; line += 64)
            __builtin_prefetch(line, 1);
        __builtin_prefetch(end - 1, 1);
    }
    return s->ref;
}

/* ---- kept values ---- */

/* The head of a block: how many units it has, twice, plus 1 where the value is a string with escapes. */
static size_t capacity(uint32_t head)
{
    return (size_t)(head >> 1) * 8 - sizeof head;
}

int cdp_agg_keep(struct cdp_agg_part *p, struct cdp_agg_kept *kept, const char *front, size_t fn,
                 struct cdp_val v, struct cdp_err *err)
{
    uint32_t *head = kept->ref ? cdp_agg_at(&p->arena, kept->ref) : NULL;
    size_t have = head ? capacity(*head) : 0, need = fn + v.len;
    if (need > UINT32_MAX)
        return cdp_err_set(err, CDP_EXIT_IO, "a value of more than 4 GiB");
    if (have < need) {
        /* The old block stays behind; growing by half keeps what is lost in proportion. */
        size_t bytes = need < have + have / 2 ? have + have / 2 : need;
        uint32_t units = (uint32_t)((bytes + sizeof *head + 7) / 8);
        head = arena_alloc(&p->arena, 0, (size_t)units * 8, &kept->ref, err);
        if (!head)
            return -1;
        *head = units << 1;
    }
    *head = (*head & ~1u) | v.escaped;
    char *to = (char *)(head + 1);
    if (fn)
        memcpy(to, front, fn);
    memcpy(to + fn, v.p, v.len);
    kept->len = (uint32_t)need;
    return 0;
}

struct cdp_val cdp_agg_kept_val(const struct cdp_agg_part *p, const struct cdp_agg_kept *kept, size_t skip)
{
    const uint32_t *head = cdp_agg_at(&p->arena, kept->ref);
    const char *v = (const char *)(head + 1) + skip;
    if (*v == '"')
        return (struct cdp_val){
            .p = v, .len = (uint32_t)(kept->len - skip), .type = CDP_STRING, .escaped = *head & 1};
    return cdp_agg_value(v, kept->len - skip);
}

int cdp_agg_part_check(const struct cdp_agg_part *p, struct cdp_err *err)
{
    return cdp_buf_check(&p->tmp, err) < 0 || cdp_buf_check(&p->tmp2, err) < 0 ? -1 : 0;
}

/* ---- order of values ---- */

static int compare_encoded(struct cdp_val a, struct cdp_val b, struct cdp_buf *tmp, struct cdp_buf *tmp2)
{
    struct cdp_err
        unused; /* what cannot be encoded was refused when it came in; want of memory stays in the buffer */
    cdp_buf_clear(tmp);
    cdp_buf_clear(tmp2);
    cdp_key_value(a, tmp, &unused);
    cdp_key_value(b, tmp2, &unused);
    return cdp_agg_compare_bytes(tmp->data, tmp->len, tmp2->data, tmp2->len);
}

int cdp_agg_compare(struct cdp_val a, struct cdp_val b, struct cdp_buf *tmp, struct cdp_buf *tmp2)
{
    if (a.type == CDP_STRING && b.type == CDP_STRING && !a.escaped && !b.escaped)
        return cdp_agg_compare_bytes(a.p + 1, a.len - 2, b.p + 1, b.len - 2);
    if (a.type != b.type)
        return a.type < b.type ? -1 : 1;
    if (a.type == CDP_NUMBER)
        return cdp_num_cmp_text(a.p, a.len, b.p, b.len);
    return compare_encoded(a, b, tmp, tmp2);
}

struct cdp_val cdp_agg_value(const char *p, size_t n)
{
    struct cdp_val v = {.p = p, .len = (uint32_t)n, .type = CDP_NUMBER};
    switch (*p) {
    case 'n':
        v.type = CDP_NULL;
        break;
    case 'f':
        v.type = CDP_FALSE;
        break;
    case 't':
        v.type = CDP_TRUE;
        break;
    case '"':
        v.type = CDP_STRING;
        v.escaped = memchr(p, '\\', n) != NULL;
        break;
    case '[':
        v.type = CDP_ARRAY;
        break;
    case '{':
        v.type = CDP_OBJECT;
        break;
    default:
        break;
    }
    return v;
}

/* ---- counted values ---- */

void cdp_agg_emit_like(struct cdp_val v, const char *class, struct cdp_buf *out)
{
    if (v.type == CDP_MISSING)
        cdp_key_decode((const unsigned char *)class, out);
    else
        cdp_emit_val(out, v);
}

int cdp_agg_prefer(struct cdp_val a, struct cdp_val b, const char *class, struct cdp_buf *tmp,
                   struct cdp_buf *tmp2)
{
    if (a.type == CDP_MISSING && b.type == CDP_MISSING)
        return 0;
    if (a.type != CDP_MISSING && b.type != CDP_MISSING) {
        int c = cdp_agg_compare(a, b, tmp, tmp2);
        return c ? c : cdp_agg_compare_bytes(a.p, a.len, b.p, b.len);
    }
    /* Two spellings of one value. */
    cdp_buf_clear(tmp);
    cdp_key_decode((const unsigned char *)class, tmp);
    struct cdp_val decoded = {.p = tmp->data, .len = (uint32_t)tmp->len};
    a = a.type == CDP_MISSING ? decoded : a;
    b = b.type == CDP_MISSING ? decoded : b;
    return cdp_agg_compare_bytes(a.p, a.len, b.p, b.len);
}

static struct cdp_val like(const struct cdp_agg_part *p, const struct cdp_agg_tally *t)
{
    return t->like.ref ? cdp_agg_kept_val(p, &t->like, 0) : (struct cdp_val){0};
}

static int liken(struct cdp_agg_part *p, struct cdp_agg_tally *t, struct cdp_val v, struct cdp_err *err)
{
    if (cdp_agg_prefer(v, like(p, t), cdp_agg_class(t), &p->tmp, &p->tmp2) >= 0)
        return cdp_agg_part_check(p, err);
    if (v.type != CDP_MISSING)
        return cdp_agg_keep(p, &t->like, NULL, 0, v, err);
    t->like = (struct cdp_agg_kept){0};
    return cdp_agg_part_check(p, err);
}

static uint32_t count_hash(uint64_t hash, uint32_t group)
{
    return (uint32_t)((hash ^ group * UINT64_C(0x9E3779B97F4A7C15)) * UINT64_C(0xD6E8FEB86659FD93) >> 32);
}

int cdp_agg_count(struct cdp_agg_part *p, uint32_t group, const char *key, size_t n, uint64_t hash,
                  uint64_t count, struct cdp_val v, struct cdp_err *err)
{
    uint32_t tag = count_hash(hash, group), ref;
    if (index_room(&p->tallies, err) < 0)
        return -1;
    struct cdp_agg_slot *s = first_slot(&p->tallies, tag);
    for (; s->ref; s = next_slot(&p->tallies, s)) {
        struct cdp_agg_tally *t = cdp_agg_at(&p->arena, s->ref);
        if (s->hash == tag && t->group == group && t->key_len == n && memcmp((char *)t - n, key, n) == 0) {
            t->count += count;
            return liken(p, t, v, err);
        }
    }
    struct cdp_agg_tally *t = arena_alloc(&p->arena, (n + 7) / 8 * 8, sizeof *t, &ref, err);
    if (!t)
        return -1;
    struct cdp_agg_group *g = cdp_agg_at(&p->arena, group);
    *t = (struct cdp_agg_tally){.group = group, .next = g->tally, .key_len = (uint32_t)n, .count = count};
    memcpy((char *)t - n, key, n);
    g->tally = ref;
    *s = (struct cdp_agg_slot){tag, ref};
    p->tallies.used++;
    return v.type == CDP_MISSING ? 0 : cdp_agg_keep(p, &t->like, NULL, 0, v, err);
}

void cdp_agg_prefetch_count(const struct cdp_agg_part *p, uint32_t group, uint64_t hash)
{
    if (p->tallies.slots)
        __builtin_prefetch(first_slot(&p->tallies, count_hash(hash, group)), 1);
}

/* ---- sets of hashes ---- */

/* A group's reference and 96 bits of the value's hash as 128 bits that are spread evenly, and back. */
static struct cdp_hash128 blend(uint32_t group, uint64_t hash, uint32_t more)
{
    return (struct cdp_hash128){.hi = hash ^ group * UINT64_C(0x9E3779B97F4A7C15),
                                .lo = (uint64_t)group << 32 | more};
}

struct cdp_agg_hash cdp_agg_set_entry(struct cdp_hash128 h)
{
    uint32_t group = (uint32_t)(h.lo >> 32);
    return (struct cdp_agg_hash){group, (uint32_t)h.lo, h.hi ^ group * UINT64_C(0x9E3779B97F4A7C15)};
}

int cdp_agg_set_add(struct cdp_agg_part *p, uint32_t set, uint32_t group, uint64_t hash, uint32_t more,
                    struct cdp_err *err)
{
    struct cdp_set *s = &p->set[set];
    if (!s->slot && cdp_set_init(s, UINT64_MAX, err) < 0)
        return -1;
    int answer = cdp_set_add(s, blend(group, hash, more), err);
    return answer < 0 ? -1 : answer == CDP_SET_NEW;
}

void cdp_agg_prefetch_set(const struct cdp_agg_part *p, uint32_t set, uint32_t group, uint64_t hash)
{
    if (p->set[set].slot)
        cdp_set_prefetch(&p->set[set], blend(group, hash, 0));
}
