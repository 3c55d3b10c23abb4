/* Fuzz target: two values, one a line.  The bytes of their keys are in the order of a comparison that walks the values, no
 * key is a prefix of another, and what a key is decoded to has the same key. */
#include "lib/key.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool good)
{
    if (!good)
        abort();
}

static int cmp_bytes(const void *a, const void *b)
{
    const struct cdp_buf *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = n ? memcmp(x->data, y->data, n) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* The keys of an object, decoded, sorted, each once. */
struct names {
    struct cdp_buf *name;
    size_t n;
};

static struct names names_of(struct cdp_val object)
{
    struct names names = {0};
    struct cdp_iter it = cdp_val_iter(object);
    size_t members = 0, kept = 0;
    while (cdp_iter_next(&it))
        members++;
    names.name = calloc(members + 1, sizeof *names.name);
    check(names.name != NULL);
    it = cdp_val_iter(object);
    while (cdp_iter_next(&it))
        cdp_val_decode(it.key, &names.name[names.n++]);
    qsort(names.name, names.n, sizeof *names.name, cmp_bytes);
    for (size_t i = 0; i < names.n; i++) {
        if (kept && cmp_bytes(&names.name[kept - 1], &names.name[i]) == 0)
            cdp_buf_free(&names.name[i]);
        else
            names.name[kept++] = names.name[i];
    }
    names.n = kept;
    return names;
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        cdp_buf_free(&names->name[i]);
    free(names->name);
}

static int cmp_values(struct cdp_val a, struct cdp_val b);

static struct cdp_val get(struct cdp_val object, const struct cdp_buf *name)
{
    return cdp_val_get(object, name->data ? name->data : "", name->len);
}

static int cmp_objects(struct cdp_val a, struct cdp_val b)
{
    struct names x = names_of(a), y = names_of(b);
    int order = 0;
    for (size_t i = 0; order == 0 && i < x.n && i < y.n; i++)
        order = cmp_bytes(&x.name[i], &y.name[i]);
    if (order == 0)
        order = (x.n > y.n) - (x.n < y.n);
    for (size_t i = 0; order == 0 && i < x.n; i++)
        order = cmp_values(get(a, &x.name[i]), get(b, &x.name[i]));
    names_free(&x);
    names_free(&y);
    return order;
}

static int cmp_arrays(struct cdp_val a, struct cdp_val b)
{
    struct cdp_iter i = cdp_val_iter(a), j = cdp_val_iter(b);
    for (;;) {
        bool more = cdp_iter_next(&i), other = cdp_iter_next(&j);
        if (!more || !other)
            return more - other;
        int order = cmp_values(i.val, j.val);
        if (order)
            return order;
    }
}

static int cmp_strings(struct cdp_val a, struct cdp_val b)
{
    struct cdp_buf x = {0}, y = {0};
    cdp_val_decode(a, &x);
    cdp_val_decode(b, &y);
    int order = cmp_bytes(&x, &y);
    cdp_buf_free(&x);
    cdp_buf_free(&y);
    return order;
}

static int cmp_values(struct cdp_val a, struct cdp_val b)
{
    if (a.type != b.type)
        return a.type < b.type ? -1 : 1;
    switch (a.type) {
    case CDP_NUMBER:
        return cdp_num_cmp_text(a.p, a.len, b.p, b.len);
    case CDP_STRING:
        return cmp_strings(a, b);
    case CDP_ARRAY:
        return cmp_arrays(a, b);
    case CDP_OBJECT:
        return cmp_objects(a, b);
    default:
        return 0;
    }
}

/* decode(encode(v)) is valid JSON, the same value, and has the same key. */
static void round_trip(struct cdp_val v, const struct cdp_buf *key)
{
    struct cdp_err err;
    struct cdp_scan_fault fault;
    struct cdp_buf text = {0}, again = {0};
    const unsigned char *end = cdp_key_decode((const unsigned char *)key->data, &text);
    check((const char *)end == key->data + key->len && !text.failed);
    check(cdp_scan_document(NULL, text.data, text.len, NULL, &fault));
    struct cdp_val back = cdp_val_text(text.data, text.len);
    check(cmp_values(v, back) == 0);
    check(cdp_key_value(back, &again, &err) == 0 && cmp_bytes(&again, key) == 0);
    cdp_buf_free(&text);
    cdp_buf_free(&again);
}

static void compare(struct cdp_val a, struct cdp_val b)
{
    struct cdp_err err;
    struct cdp_buf x = {0}, y = {0};
    if (cdp_key_value(a, &x, &err) == 0 && cdp_key_value(b, &y, &err) == 0) {
        int order = cmp_values(a, b), bytes = cmp_bytes(&x, &y);
        check((order > 0) == (bytes > 0) && (order < 0) == (bytes < 0));
        size_t least = x.len < y.len ? x.len : y.len;
        check(order == 0 || memcmp(x.data, y.data, least) != 0);
        round_trip(a, &x);
        round_trip(b, &y);
    }
    cdp_buf_free(&x);
    cdp_buf_free(&y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdp_scan_fault fault;
    const uint8_t *line = n ? memchr(data, '\n', n) : NULL;
    if (!line || n > 16384)
        return 0;
    size_t an = (size_t)(line - data), bn = n - an - 1;
    /* Copies of their own, so that a read past the end is seen. */
    char *a = malloc(an + 1), *b = malloc(bn + 1);
    check(a && b);
    memcpy(a, data, an);
    memcpy(b, line + 1, bn);
    if (cdp_scan_document(NULL, a, an, NULL, &fault) && cdp_scan_document(NULL, b, bn, NULL, &fault))
        compare(cdp_val_text(a, an), cdp_val_text(b, bn));
    free(a);
    free(b);
    return 0;
}
