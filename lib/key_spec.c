/* key_spec: keys as options name them.  See key.h. */
#include "lib/key.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

/* Length of what stands before the first of the stop characters that is not inside a "string". */
static size_t span(const char *s, const char *stops)
{
    bool quoted = false;
    size_t i = 0;
    for (; s[i]; i++) {
        if (s[i] == '"')
            quoted = !quoted;
        else if (quoted && s[i] == '\\' && s[i + 1])
            i++;
        else if (!quoted && strchr(stops, s[i]))
            break;
    }
    return i;
}

static bool word_is(const char *s, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(s, word, n) == 0;
}

/* One part, text[0..n). */
static int parse_part(struct cdp_keypart *part, const char *text, size_t n, struct cdp_plan *plan,
                      struct cdp_err *err)
{
    size_t len = span(text, ":,");
    if (len == 0)
        return cdp_err_set(err, CDP_EXIT_USAGE, "expected a path");
    if (cdp_path_parse(&part->path, text, len, err) < 0 || !(part->text = cdp_mem_strndup(text, len, err)) ||
        (part->slot = cdp_plan_add(plan, &part->path, err)) < 0)
        return -1;
    bool typed = false;
    while (len < n) {
        const char *word = text + len + 1;
        size_t used = span(word, ":,");
        if (word_is(word, used, "desc") && !part->desc)
            part->desc = true;
        else if (word_is(word, used, "time") && !typed && !part->desc)
            part->as = CDP_KEY_TIME;
        else if (word_is(word, used, "num") && !typed && !part->desc)
            part->as = CDP_KEY_NUM;
        else
            return cdp_err_set(err, CDP_EXIT_USAGE, "expected PATH[:time|:num][:desc]");
        typed = true;
        len += used + 1;
    }
    return 0;
}

int cdp_keyspec_parse(struct cdp_keyspec *spec, const char *text, struct cdp_plan *plan, struct cdp_err *err)
{
    *spec = (struct cdp_keyspec){0};
    for (const char *p = text;; p++) {
        size_t n = span(p, ",");
        struct cdp_keypart *grown = cdp_mem_resize(spec->part, (spec->n + 1) * sizeof *grown, err);
        if (!grown)
            break;
        spec->part = grown;
        spec->part[spec->n] = (struct cdp_keypart){.as = CDP_KEY_VALUE};
        if (parse_part(&spec->part[spec->n++], p, n, plan, err) < 0) {
            cdp_err_prefix(err, "key '%.*s'", (int)n, p);
            break;
        }
        p += n;
        if (!*p)
            return 0;
    }
    cdp_keyspec_free(spec);
    return -1;
}

void cdp_keyspec_free(struct cdp_keyspec *spec)
{
    for (size_t i = 0; i < spec->n; i++) {
        cdp_path_free(&spec->part[i].path);
        free(spec->part[i].text);
    }
    free(spec->part);
    *spec = (struct cdp_keyspec){0};
}

static int encode_num(const struct cdp_keypart *part, struct cdp_val v, struct cdp_buf *out,
                      struct cdp_err *err)
{
    struct cdp_buf scratch = {0};
    int rc = 0;
    if (v.type == CDP_STRING) {
        size_t n;
        const char *s = cdp_val_str(v, &scratch, &n);
        if (s && cdp_num_valid(s, n))
            v = (struct cdp_val){.p = s, .len = (uint32_t)n, .type = CDP_NUMBER};
    }
    if (scratch.failed)
        rc = cdp_buf_check(&scratch, err);
    else if (v.type == CDP_NUMBER)
        rc = cdp_key_value(v, out, err) < 0 ? cdp_err_prefix(err, "key %s", part->text) : 0;
    else
        rc = cdp_err_set(err, CDP_EXIT_DATA, "key %s: not a number", part->text);
    cdp_buf_free(&scratch);
    return rc;
}

static int encode_part(const struct cdp_keypart *part, struct cdp_val v, struct cdp_buf *out,
                       struct cdp_err *err)
{
    struct cdp_time t;
    if (part->as == CDP_KEY_VALUE || cdp_val_none(v))
        return cdp_key_value(v, out, err) < 0 ? cdp_err_prefix(err, "key %s", part->text) : 0;
    if (part->as == CDP_KEY_NUM)
        return encode_num(part, v, out, err);
    if (!cdp_time_from_val(v, CDP_TIME_RFC3339, &t))
        return cdp_err_set(err, CDP_EXIT_DATA, "key %s: not an RFC 3339 time", part->text);
    cdp_key_time(t, out);
    return 0;
}

static void invert(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)~p[i];
}

int cdp_keyspec_encode(const struct cdp_keyspec *spec, const struct cdp_val *fields,
                       enum cdp_key_missing missing, struct cdp_buf *out, struct cdp_err *err)
{
    size_t start = out->len;
    for (size_t i = 0; i < spec->n; i++) {
        const struct cdp_keypart *part = &spec->part[i];
        struct cdp_val v = fields[part->slot];
        size_t from = out->len;
        if (cdp_val_none(v) && missing == CDP_KEY_MISSING_ERROR) {
            out->len = start;
            cdp_err_set(err, CDP_EXIT_DATA, "key %s is missing or null", part->text);
            return 1;
        }
        if (encode_part(part, v, out, err) < 0) {
            out->len = start;
            return -1;
        }
        if (part->desc)
            invert(out->data + from, out->len - from);
    }
    return cdp_buf_check(out, err);
}

/* Of the bytes of tmp from `from` on, which are taken away. */
static int hash_scratch(struct cdp_buf *tmp, size_t from, struct cdp_hash128 *hash, struct cdp_err *err)
{
    if (cdp_buf_check(tmp, err) < 0)
        return -1;
    *hash = cdp_hash(tmp->data + from, tmp->len - from);
    tmp->len = from;
    return 0;
}

/* The general way. */
static __attribute__((noinline)) int hash_encoding(const struct cdp_keyspec *spec,
                                                   const struct cdp_val *fields, enum cdp_key_missing missing,
                                                   struct cdp_buf *tmp, struct cdp_hash128 *hash,
                                                   struct cdp_err *err)
{
    size_t from = tmp->len;
    int rc = cdp_keyspec_encode(spec, fields, missing, tmp, err);
    return rc ? rc : hash_scratch(tmp, from, hash, err);
}

static __attribute__((noinline)) int hash_escaped(struct cdp_val v, struct cdp_buf *tmp,
                                                  struct cdp_hash128 *hash, struct cdp_err *err)
{
    size_t from = tmp->len;
    cdp_buf_reserve(tmp, 1); /* the text may be empty */
    cdp_val_decode(v, tmp);
    return hash_scratch(tmp, from, hash, err);
}

/* The decoded text alone is hashed, as it lies in the line in general. */
static int hash_string(struct cdp_val v, struct cdp_buf *tmp, struct cdp_hash128 *hash, struct cdp_err *err)
{
    const uint64_t string = 0x9E3779B97F4A7C15u; /* so that no encoding of anything else is the same */
    if (!v.escaped)
        *hash = cdp_hash(v.p + 1, v.len - 2);
    else if (hash_escaped(v, tmp, hash, err) < 0)
        return -1;
    hash->lo ^= string;
    return 0;
}

int cdp_keyspec_hash(const struct cdp_keyspec *spec, const struct cdp_val *fields,
                     enum cdp_key_missing missing, struct cdp_buf *tmp, struct cdp_hash128 *hash,
                     struct cdp_err *err)
{
    const struct cdp_keypart *only = spec->part;
    if (spec->n != 1 || only->as != CDP_KEY_VALUE || only->desc)
        return hash_encoding(spec, fields, missing, tmp, hash, err);
    struct cdp_val v = fields[only->slot];
    if (v.type == CDP_STRING)
        return hash_string(v, tmp, hash, err);
    char number[CDP_KEY_SHORT];
    unsigned n = v.type == CDP_NUMBER ? cdp_key_short_number(v.p, v.len, number) : 0;
    if (n == 0)
        return hash_encoding(spec, fields, missing, tmp, hash, err);
    *hash = cdp_hash(number, n);
    return 0;
}
