/* history_object: see history_object.h.  Members lie in a list, in order, with their texts in one buffer; an open-addressed
 * index finds them by name once there are more than a few.  What is no longer used is cleared away when it is more than
 * half. */
#include "lib/history_object.h"

#include "lib/hash.h"
#include "lib/mem.h"

#include <stdlib.h>

#define FEW 8      /* members that are found by looking at each */
#define SMALL 4096 /* bytes that are not worth clearing away */

void cdp_object_clear(struct cdp_object *o)
{
    o->members = o->gone = o->slots = 0;
    cdp_buf_clear(&o->bytes);
}

void cdp_object_free(struct cdp_object *o)
{
    free(o->member);
    free(o->index);
    cdp_buf_free(&o->bytes);
    cdp_buf_free(&o->spare);
    cdp_buf_free(&o->name);
    *o = (struct cdp_object){0};
}

/* ---- finding ---- */

static bool is_named(const struct cdp_object *o, const struct cdp_object_member *m, uint32_t hash,
                     const char *name, size_t n)
{
    const struct cdp_val key = {
        .p = o->bytes.data + m->key, .len = m->key_len, .type = CDP_STRING, .escaped = m->escaped};
    return !m->gone && m->hash == hash && cdp_val_str_eq(key, name, n);
}

static struct cdp_object_member *find(const struct cdp_object *o, uint32_t hash, const char *name, size_t n)
{
    if (o->slots == 0) {
        for (size_t i = 0; i < o->members; i++)
            if (is_named(o, &o->member[i], hash, name, n))
                return &o->member[i];
        return NULL;
    }
    for (size_t i = hash & (o->slots - 1); o->index[i]; i = (i + 1) & (o->slots - 1))
        if (is_named(o, &o->member[o->index[i] - 1], hash, name, n))
            return &o->member[o->index[i] - 1];
    return NULL;
}

static void enter(struct cdp_object *o, size_t member)
{
    size_t i = o->member[member].hash & (o->slots - 1);
    while (o->index[i])
        i = (i + 1) & (o->slots - 1);
    o->index[i] = (uint32_t)member + 1;
}

/* Makes the index anew, with room for as many members again. */
static int make_index(struct cdp_object *o, struct cdp_err *err)
{
    size_t slots = 4 * FEW;
    while (slots < 4 * o->members)
        slots *= 2;
    uint32_t *index = cdp_mem_zalloc(slots, sizeof *index, err);
    if (!index)
        return -1;
    free(o->index);
    o->index = index;
    o->slots = slots;
    for (size_t i = 0; i < o->members; i++)
        enter(o, i);
    return 0;
}

/* ---- changing ---- */

static int add_member(struct cdp_object *o, struct cdp_val key, uint32_t hash, struct cdp_err *err)
{
    struct cdp_object_member *more = cdp_mem_grow(o->member, &o->cap, o->members + 1, sizeof *more, err);
    if (!more)
        return -1;
    o->member = more;
    more[o->members++] = (struct cdp_object_member){
        .key = o->bytes.len, .key_len = key.len, .hash = hash, .escaped = key.escaped};
    cdp_buf_add(&o->bytes, key.p, key.len);
    if (o->members > FEW && (o->slots == 0 || o->members > o->slots / 2))
        return make_index(o, err);
    if (o->slots)
        enter(o, o->members - 1);
    return 0;
}

static int set(struct cdp_object *o, struct cdp_val key, struct cdp_val value, struct cdp_err *err)
{
    size_t n;
    const char *name = cdp_val_str(key, &o->name, &n);
    if (cdp_buf_check(&o->name, err) < 0)
        return -1;
    uint32_t hash = (uint32_t)cdp_hash(name, n).lo;
    struct cdp_object_member *m = find(o, hash, name, n);
    if (!m) {
        if (add_member(o, key, hash, err) < 0)
            return -1;
        m = &o->member[o->members - 1];
    }
    m->value = o->bytes.len;
    m->value_len = value.len;
    cdp_buf_add(&o->bytes, value.p, value.len);
    return cdp_buf_check(&o->bytes, err);
}

/* Clears away members that are gone, and texts that no member points at. */
static int tidy(struct cdp_object *o, struct cdp_err *err)
{
    size_t live = 0, kept = 0;
    bool many_gone = o->gone > o->members / 2;
    if (o->bytes.len <= SMALL && !many_gone)
        return 0;
    for (size_t i = 0; i < o->members; i++)
        live += o->member[i].gone ? 0 : (size_t)o->member[i].key_len + o->member[i].value_len;
    if (o->bytes.len <= 2 * live + SMALL && !many_gone)
        return 0;
    struct cdp_buf old = o->bytes;
    o->bytes = o->spare;
    o->spare = old;
    cdp_buf_clear(&o->bytes);
    for (size_t i = 0; i < o->members; i++) {
        struct cdp_object_member m = o->member[i];
        if (m.gone)
            continue;
        size_t key = o->bytes.len, value = key + m.key_len;
        cdp_buf_add(&o->bytes, old.data + m.key, m.key_len);
        cdp_buf_add(&o->bytes, old.data + m.value, m.value_len);
        m.key = key;
        m.value = value;
        o->member[kept++] = m;
    }
    o->members = kept;
    o->gone = 0;
    if (cdp_buf_check(&o->bytes, err) < 0)
        return -1;
    return o->slots ? make_index(o, err) : 0;
}

int cdp_object_lay(struct cdp_object *o, struct cdp_val over, struct cdp_err *err)
{
    struct cdp_iter it = cdp_val_iter(over);
    while (over.type == CDP_OBJECT && cdp_iter_next(&it))
        if (set(o, it.key, it.val, err) < 0)
            return -1;
    return tidy(o, err);
}

int cdp_object_unset(struct cdp_object *o, struct cdp_val names, struct cdp_err *err)
{
    struct cdp_iter it = cdp_val_iter(names);
    while (names.type == CDP_ARRAY && cdp_iter_next(&it)) {
        size_t n;
        const char *name = cdp_val_str(it.val, &o->name, &n);
        if (cdp_buf_check(&o->name, err) < 0)
            return -1;
        struct cdp_object_member *m = find(o, (uint32_t)cdp_hash(name, n).lo, name, n);
        if (m) {
            m->gone = true;
            o->gone++;
        }
    }
    return tidy(o, err);
}

void cdp_object_emit(const struct cdp_object *o, struct cdp_buf *out)
{
    char before = '{';
    for (size_t i = 0; i < o->members; i++) {
        const struct cdp_object_member *m = &o->member[i];
        if (m->gone)
            continue;
        cdp_buf_addc(out, before);
        cdp_buf_add(out, o->bytes.data + m->key, m->key_len);
        cdp_buf_addc(out, ':');
        cdp_buf_add(out, o->bytes.data + m->value, m->value_len);
        before = ',';
    }
    if (before == '{')
        cdp_buf_addc(out, before);
    cdp_buf_addc(out, '}');
}
