/* scrub_policy: policies from JSON files and from options, both through one table of parameters, and the judgement of a
 * policy as a whole.  Everything here is checked before the first record is read. */
#include "lib/atomic.h"
#include "lib/country.h"
#include "lib/emit.h"
#include "lib/mem.h"
#include "lib/scrub.h"
#include "lib/utf8.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CHARS 1000000 /* what first and last may be */
#define MAX_PLACES 1000   /* arithmetic reaches further than that from any number it takes */
#define KEY_ID_BYTES 4    /* of the key's SHA-256, where the policy gives the key no name */
#define MIN_KEY 16
#define KEY_ID ",\"key_id\":"

static const char *const action_names[CDP_SCRUB_ACTIONS] = {"keep",   "drop",    "sha256",   "hmac-sha256",
                                                            "domain", "mask",    "redact",   "bucket",
                                                            "age",    "country", "truncate", "zip"};

#define ON(a) (1u << CDP_SCRUB_##a)
#define PROMOTING (~ON(DROP))
#define FALLIBLE                                                                                             \
    (ON(KEEP) | ON(SHA256) | ON(HMAC) | ON(DOMAIN) | ON(MASK) | ON(BUCKET) | ON(AGE) | ON(COUNTRY) |         \
     ON(TRUNCATE) | ON(ZIP))

enum param_id { NORMALIZE, FIRST, LAST, WITH, SIZE, UNIT, TZ, PLACES, NESTED, ON_ERROR, LEAKS };

enum param_kind { WORD, TEXT, COUNT, NUMBER, FLAG };

static const struct param {
    const char *name;
    enum param_kind kind;
    unsigned actions;
    const char *words; /* of a WORD, in the order of its values */
} params[] = {
    [NORMALIZE] = {"normalize", WORD, ON(SHA256) | ON(HMAC), "none|email|google|meta"},
    [FIRST] = {"first", COUNT, ON(MASK) | ON(ZIP), NULL},
    [LAST] = {"last", COUNT, ON(MASK), NULL},
    [WITH] = {"with", TEXT, ON(REDACT), NULL},
    [SIZE] = {"size", NUMBER, ON(BUCKET), NULL},
    [UNIT] = {"unit", WORD, ON(BUCKET), "hour|day|week|month|year"},
    [TZ] = {"tz", TEXT, ON(BUCKET), NULL},
    [PLACES] = {"places", COUNT, ON(TRUNCATE), NULL},
    [NESTED] = {"nested", FLAG, ON(KEEP), NULL},
    [ON_ERROR] = {"on_error", WORD, FALLIBLE, "reject|null"},
    [LEAKS] = {"leaks", FLAG, PROMOTING, NULL},
};

#define PARAMS (sizeof params / sizeof *params)

static int bad(struct cdp_err *err, const char *what)
{
    return cdp_err_set(err, CDP_EXIT_USAGE, "%s", what);
}

/* ---- a field ---- */

static struct cdp_scrub_field *new_field(struct cdp_scrub *s, struct cdp_err *err)
{
    struct cdp_scrub_field *f = cdp_mem_grow(s->field, &s->cap, s->n + 1, sizeof *f, err);
    if (!f)
        return NULL;
    s->field = f;
    f += s->n++;
    *f = (struct cdp_scrub_field){.slot = -1, .unit = -1};
    return f;
}

static void free_field(struct cdp_scrub_field *f)
{
    free(f->text);
    cdp_path_free(&f->path);
    free(f->name);
    cdp_buf_free(&f->prefix);
    cdp_buf_free(&f->with);
    cdp_num_free(&f->size);
    cdp_zone_free(f->zone);
}

/* The place of a word among "a|b|c", or -1. */
static int word_index(const char *words, const char *s, size_t n)
{
    for (int i = 0;; i++) {
        size_t len = strcspn(words, "|");
        if (len == n && memcmp(words, s, n) == 0)
            return i;
        if (!words[len])
            return -1;
        words += len + 1;
    }
}

static int parse_count(const char *s, size_t n, uint64_t most, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || v > most)
            return -1;
        v = v * 10 + (uint64_t)(s[i] - '0');
    }
    *out = v;
    return n && v <= most ? 0 : -1;
}

static int parse_size(struct cdp_num *size, const char *s, size_t n, struct cdp_err *err)
{
    struct cdp_scan_fault fault;
    if (!n || !(*s >= '0' && *s <= '9') || !cdp_scan_document(NULL, s, n, NULL, &fault))
        return bad(err, "size: not a positive number");
    if (cdp_num_parse(size, s, n, err) < 0)
        return cdp_err_prefix(err, "size");
    return cdp_num_sign(size) > 0 ? 0 : bad(err, "size: not a positive number");
}

static int parse_zone(struct cdp_scrub_field *f, const char *s, size_t n, struct cdp_err *err)
{
    if (memchr(s, 0, n))
        return bad(err, "tz: unknown time zone");
    char *name = cdp_mem_strndup(s, n, err);
    if (!name)
        return -1;
    f->zone = cdp_zone_open(name, err);
    free(name);
    return f->zone ? 0 : cdp_err_prefix(err, "tz");
}

/* Sets one parameter from its text; that it suits the action is known. */
static int apply_param(struct cdp_scrub_field *f, enum param_id id, const char *s, size_t n,
                       struct cdp_err *err)
{
    const struct param *p = &params[id];
    int word = p->kind == WORD   ? word_index(p->words, s, n)
               : p->kind == FLAG ? word_index("false|true", s, n)
                                 : 0;
    if (word < 0)
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s: expected %s", p->name,
                           p->words ? p->words : "true or false");
    uint64_t count = 0;
    int most = id == PLACES ? MAX_PLACES : MAX_CHARS;
    if (p->kind == COUNT && parse_count(s, n, (uint64_t)most, &count) < 0)
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s: not a whole number up to %d", p->name, most);
    switch (id) {
    case NORMALIZE:
        f->normalize = word;
        return 0;
    case FIRST:
        f->first = count;
        return 0;
    case LAST:
        f->last = count;
        return 0;
    case PLACES:
        f->places = count;
        return 0;
    case WITH:
        cdp_emit_string(&f->with, s, n);
        return cdp_buf_check(&f->with, err);
    case SIZE:
        return parse_size(&f->size, s, n, err);
    case UNIT:
        f->unit = word;
        return 0;
    case TZ:
        return parse_zone(f, s, n, err);
    case NESTED:
        f->flat = !word;
        return 0;
    case ON_ERROR:
        f->null_on_error = word;
        return 0;
    case LEAKS:
        f->unwatched = !word;
        return 0;
    }
    return 0;
}

/* -1 where the name is no parameter's. */
static int find_param(const char *name, size_t n)
{
    for (size_t i = 0; i < PARAMS; i++)
        if (strlen(params[i].name) == n && memcmp(params[i].name, name, n) == 0)
            return (int)i;
    return -1;
}

static int set_param(struct cdp_scrub_field *f, int id, const char *s, size_t n, struct cdp_err *err)
{
    const struct param *p = &params[id];
    if (!(p->actions & 1u << f->action))
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s means nothing with %s", p->name, action_names[f->action]);
    if (f->given & 1u << id)
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s is given twice", p->name);
    f->given |= 1u << id;
    return apply_param(f, (enum param_id)id, s, n, err);
}

static int set_name(struct cdp_scrub_field *f, const char *s, size_t n, struct cdp_err *err)
{
    if (f->action == CDP_SCRUB_DROP)
        return bad(err, "what is dropped has no name in the output");
    if (n == 0)
        return bad(err, "an empty name");
    f->name = cdp_mem_strndup(s, n, err);
    f->name_len = n;
    return f->name ? 0 : -1;
}

static bool given(const struct cdp_scrub_field *f, enum param_id id)
{
    return f->given >> id & 1;
}

/* What can be said of a field by itself when all of it is known. */
static int finish_field(struct cdp_scrub_field *f, struct cdp_err *err)
{
    if (f->action == CDP_SCRUB_DROP)
        return 0;
    const char *key = cdp_path_name(&f->path);
    if (!f->name && !key)
        return bad(err, "the path ends in no key: give it a name");
    if (!f->name && set_name(f, key, f->path.step[f->path.n - 1].len, err) < 0)
        return -1;
    if (f->action == CDP_SCRUB_BUCKET && given(f, SIZE) == given(f, UNIT))
        return bad(err, "bucket needs either size or unit");
    if (given(f, TZ) && !given(f, UNIT))
        return bad(err, "tz means nothing without unit");
    if (f->action == CDP_SCRUB_KEEP && given(f, ON_ERROR) && !f->flat)
        return bad(err, "on_error means nothing with keep unless nested is false");
    if (f->action == CDP_SCRUB_TRUNCATE && !given(f, PLACES))
        return bad(err, "truncate needs places");
    if (f->action == CDP_SCRUB_ZIP && !given(f, FIRST))
        return bad(err, "zip needs first");
    if (f->action == CDP_SCRUB_REDACT && !given(f, WITH))
        cdp_emit_cstr(&f->with, "[redacted]");
    cdp_buf_reserve(&f->prefix, CDP_BUF_WIDE); /* it is copied widely */
    cdp_buf_addc(&f->prefix, ',');
    cdp_emit_string(&f->prefix, f->name, f->name_len);
    cdp_buf_addc(&f->prefix, ':');
    return cdp_buf_check(&f->with, err) < 0 ? -1 : cdp_buf_check(&f->prefix, err);
}

/* ---- from options ---- */

/* "NAME=VALUE,NAME=VALUE" */
static int option_params(struct cdp_scrub_field *f, const char *p, struct cdp_err *err)
{
    for (;;) {
        size_t name = strcspn(p, "=,"), value;
        if (p[name] != '=')
            return bad(err, "expected PARAMETER=VALUE after ':'");
        int id = find_param(p, name);
        if (id < 0)
            return cdp_err_set(err, CDP_EXIT_USAGE, "unknown parameter '%.*s'", (int)name, p);
        p += name + 1;
        value = strcspn(p, ",");
        if (set_param(f, id, p, value, err) < 0)
            return -1;
        if (!p[value])
            return 0;
        p += value + 1;
    }
}

static int option_field(struct cdp_scrub_field *f, const char *text, struct cdp_err *err)
{
    struct cdp_buf dotted = {0};
    size_t used = 0, bare = *text != '.';
    if (cdp_utf8_fault(text, text + strlen(text)))
        return bad(err, "not UTF-8");
    if (bare)
        cdp_buf_addc(&dotted, '.');
    cdp_buf_adds(&dotted, text);
    int rc = cdp_buf_check(&dotted, err);
    if (rc == 0)
        rc = cdp_path_prefix(&f->path, dotted.data, dotted.len, &used, err);
    cdp_buf_free(&dotted);
    if (rc < 0)
        return -1;
    if (used <= bare)
        return bad(err, "expected a path");
    used -= bare;
    if (!(f->text = cdp_mem_strndup(text, used, err)))
        return -1;
    text += used;
    if (*text == '=') {
        size_t n = strcspn(++text, ":");
        if (set_name(f, text, n, err) < 0)
            return -1;
        text += n;
    }
    if (*text == ':' && option_params(f, text + 1, err) < 0)
        return -1;
    if (*text && *text != ':')
        return bad(err, "unexpected character after the path");
    return finish_field(f, err);
}

int cdp_scrub_option(struct cdp_scrub *s, enum cdp_scrub_action action, const char *option, const char *text,
                     struct cdp_err *err)
{
    struct cdp_scrub_field *f = new_field(s, err);
    if (!f)
        return -1;
    f->action = action;
    return option_field(f, text, err) < 0 ? cdp_err_prefix(err, "--%s '%s'", option, text) : 0;
}

/* ---- from a file ---- */

static bool key_is(struct cdp_val key, const char *name)
{
    return cdp_val_str_eq(key, name, strlen(name));
}

static int unknown_member(struct cdp_val key, struct cdp_err *err)
{
    return cdp_err_set(err, CDP_EXIT_USAGE, "unknown member %.*s", (int)key.len, key.p);
}

/* A string member's text into a new string. */
static char *member_text(struct cdp_val v, const char *name, size_t *n, struct cdp_err *err)
{
    struct cdp_buf text = {0};
    if (v.type != CDP_STRING) {
        cdp_err_set(err, CDP_EXIT_USAGE, "%s: not a string", name);
        return NULL;
    }
    cdp_val_decode(v, &text);
    cdp_buf_addc(&text, 0);
    if (cdp_buf_check(&text, err) < 0)
        return NULL;
    *n = text.len - 1;
    return text.data;
}

static int member_param(struct cdp_scrub_field *f, int id, struct cdp_val v, struct cdp_err *err)
{
    static const char *const wanted[] = {[WORD] = "a string",
                                         [TEXT] = "a string",
                                         [COUNT] = "a number",
                                         [NUMBER] = "a number",
                                         [FLAG] = "true or false"};
    const struct param *p = &params[id];
    bool text = p->kind == WORD || p->kind == TEXT, number = p->kind == COUNT || p->kind == NUMBER;
    bool suits = text     ? v.type == CDP_STRING
                 : number ? v.type == CDP_NUMBER
                          : v.type == CDP_TRUE || v.type == CDP_FALSE;
    if (!suits)
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s: not %s", p->name, wanted[p->kind]);
    if (!text)
        return set_param(f, id, v.p, v.len, err);
    size_t n;
    char *s = member_text(v, p->name, &n, err);
    if (!s)
        return -1;
    int rc = set_param(f, id, s, n, err);
    free(s);
    return rc;
}

/* Repeated members are refused: in a policy, what somebody overlooks is a leak. */
static int check_repeats(struct cdp_val object, struct cdp_err *err)
{
    struct cdp_buf name = {0};
    int rc = 0;
    struct cdp_iter it = cdp_val_iter(object);
    while (rc == 0 && cdp_iter_next(&it)) {
        size_t n, seen = 0;
        const char *key = cdp_val_str(it.key, &name, &n);
        struct cdp_iter other = cdp_val_iter(object);
        while (cdp_iter_next(&other))
            seen += cdp_val_str_eq(other.key, key, n);
        if (seen > 1)
            rc = cdp_err_set(err, CDP_EXIT_USAGE, "member %.*s is given twice", (int)it.key.len, it.key.p);
    }
    cdp_buf_free(&name);
    return rc;
}

static int field_action(struct cdp_scrub_field *f, struct cdp_val v, struct cdp_err *err)
{
    if (v.type == CDP_MISSING)
        return 0; /* keep */
    for (int i = 0; v.type == CDP_STRING && i < CDP_SCRUB_ACTIONS; i++) {
        if (key_is(v, action_names[i])) {
            f->action = (enum cdp_scrub_action)i;
            return 0;
        }
    }
    return v.type == CDP_STRING ? cdp_err_set(err, CDP_EXIT_USAGE, "do: unknown action %.*s", (int)v.len, v.p)
                                : bad(err, "do: not a string");
}

static int check_description(struct cdp_val v, struct cdp_err *err)
{
    return v.type == CDP_STRING ? 0 : bad(err, "description: not a string");
}

static int load_field(struct cdp_scrub *s, struct cdp_val object, struct cdp_err *err)
{
    size_t n;
    if (object.type != CDP_OBJECT)
        return bad(err, "not an object");
    struct cdp_scrub_field *f = new_field(s, err);
    if (!f || check_repeats(object, err) < 0 || field_action(f, cdp_val_get(object, "do", 2), err) < 0)
        return -1;
    struct cdp_val path = cdp_val_get(object, "path", 4);
    if (path.type == CDP_MISSING)
        return bad(err, "no path");
    if (!(f->text = member_text(path, "path", &n, err)) || cdp_path_parse(&f->path, f->text, n, err) < 0)
        return -1;
    struct cdp_iter it = cdp_val_iter(object);
    while (cdp_iter_next(&it)) {
        int id = (int)PARAMS;
        while (id-- && !key_is(it.key, params[id].name))
            ;
        if (id >= 0) {
            if (member_param(f, id, it.val, err) < 0)
                return -1;
        } else if (key_is(it.key, "as")) {
            char *as = member_text(it.val, "as", &n, err);
            int rc = as ? set_name(f, as, n, err) : -1;
            free(as);
            if (rc < 0)
                return -1;
        } else if (key_is(it.key, "description")) {
            if (check_description(it.val, err) < 0)
                return -1;
        } else if (!key_is(it.key, "path") && !key_is(it.key, "do")) {
            return unknown_member(it.key, err);
        }
    }
    return finish_field(f, err);
}

static int load_fields(struct cdp_scrub *s, struct cdp_val array, struct cdp_err *err)
{
    if (array.type != CDP_ARRAY)
        return bad(err, "fields: not an array");
    size_t i = 0;
    for (struct cdp_iter it = cdp_val_iter(array); cdp_iter_next(&it); i++)
        if (load_field(s, it.val, err) < 0)
            return cdp_err_prefix(err, "fields[%zu]", i);
    return 0;
}

/* What the key is called goes into the output as it is. */
static int load_key_id(struct cdp_scrub *s, struct cdp_val v, struct cdp_err *err)
{
    size_t n;
    char *name = member_text(v, "key_id", &n, err);
    if (!name)
        return -1;
    cdp_buf_adds(&s->key_id, KEY_ID);
    cdp_emit_string(&s->key_id, name, n);
    free(name);
    return n ? cdp_buf_check(&s->key_id, err) : bad(err, "key_id: an empty name");
}

static int load_as_of(struct cdp_scrub *s, struct cdp_val v, struct cdp_err *err)
{
    size_t n;
    char *date = member_text(v, "as_of", &n, err);
    if (!date)
        return -1;
    s->as_of_given = cdp_time_parse_date(date, n, &s->as_of);
    free(date);
    return s->as_of_given ? 0 : bad(err, "as_of: not a date (YYYY-MM-DD)");
}

static int load_member(struct cdp_scrub *s, struct cdp_val key, struct cdp_val v, struct cdp_err *err)
{
    if (key_is(key, "version"))
        return v.type == CDP_NUMBER && v.len == 1 && *v.p == '1' ? 0
                                                                 : bad(err, "version: this is not version 1");
    if (key_is(key, "description"))
        return check_description(v, err);
    if (key_is(key, "fields"))
        return load_fields(s, v, err);
    if (key_is(key, "key_id"))
        return load_key_id(s, v, err);
    if (key_is(key, "as_of"))
        return load_as_of(s, v, err);
    return unknown_member(key, err);
}

static int load_policy(struct cdp_scrub *s, struct cdp_val policy, struct cdp_err *err)
{
    if (policy.type != CDP_OBJECT)
        return bad(err, "a policy is an object");
    if (check_repeats(policy, err) < 0)
        return -1;
    if (cdp_val_get(policy, "version", 7).type == CDP_MISSING)
        return bad(err, "no version");
    if (cdp_val_get(policy, "fields", 6).type == CDP_MISSING)
        return bad(err, "no fields");
    for (struct cdp_iter it = cdp_val_iter(policy); cdp_iter_next(&it);)
        if (load_member(s, it.key, it.val, err) < 0)
            return -1;
    return 0;
}

int cdp_scrub_load(struct cdp_scrub *s, const char *file, struct cdp_err *err)
{
    char *data;
    size_t n;
    struct cdp_scan_fault fault;
    if (cdp_read_file(file, &data, &n, err) < 0)
        return -1;
    int rc;
    if (cdp_scan_document(NULL, data, n, NULL, &fault)) {
        rc = load_policy(s, cdp_val_text(data, n), err);
        if (rc < 0)
            cdp_err_prefix(err, "%s", file);
    } else {
        size_t line = 1, start = 0, at = (size_t)(fault.at - data);
        for (size_t i = 0; i < at && i < n; i++) {
            if (data[i] == '\n') {
                line++;
                start = i + 1;
            }
        }
        rc = cdp_err_set(err, CDP_EXIT_USAGE, "%s:%zu:%zu: %s", file, line, at - start + 1, fault.what);
    }
    free(data);
    return rc;
}

/* ---- as a whole ---- */

static bool same_step(const struct cdp_step *a, const struct cdp_step *b)
{
    if (!a->key || !b->key)
        return !a->key && !b->key && a->index == b->index;
    return a->len == b->len && memcmp(a->key, b->key, a->len) == 0;
}

/* Is b the same place as a, or inside it? */
static bool holds(const struct cdp_path *a, const struct cdp_path *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (i >= b->n || !same_step(&a->step[i], &b->step[i]))
            return false;
    return true;
}

/* What one field protects another must not let out whole. */
static int check_pair(const struct cdp_scrub_field *a, const struct cdp_scrub_field *b, struct cdp_err *err)
{
    if (a->name && b->name && a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0)
        return cdp_err_set(err, CDP_EXIT_USAGE, "two fields are named '%s' in the output", a->name);
    if (holds(&a->path, &b->path) && a->path.n == b->path.n) {
        if ((a->action == CDP_SCRUB_DROP) != (b->action == CDP_SCRUB_DROP))
            return cdp_err_set(err, CDP_EXIT_USAGE, "'%s' is both dropped and promoted", a->text);
    } else if (a->action == CDP_SCRUB_KEEP && b->action != CDP_SCRUB_KEEP && holds(&a->path, &b->path)) {
        return cdp_err_set(err, CDP_EXIT_USAGE, "'%s' lies inside '%s', which is kept whole", b->text,
                           a->text);
    } else if (a->action == CDP_SCRUB_TRUNCATE && b->action == CDP_SCRUB_DROP && holds(&a->path, &b->path)) {
        return cdp_err_set(err, CDP_EXIT_USAGE, "'%s' lies inside '%s', which passes number by number",
                           b->text, a->text);
    } else if (a->action == CDP_SCRUB_DROP && b->action != CDP_SCRUB_DROP && holds(&a->path, &b->path)) {
        return cdp_err_set(err, CDP_EXIT_USAGE, "'%s' lies inside '%s', which is dropped", b->text, a->text);
    }
    return 0;
}

static int check(const struct cdp_scrub *s, struct cdp_err *err)
{
    size_t promoted = 0;
    for (size_t i = 0; i < s->n; i++) {
        promoted += s->field[i].action != CDP_SCRUB_DROP;
        for (size_t j = 0; j < s->n; j++)
            if (i != j && check_pair(&s->field[i], &s->field[j], err) < 0)
                return -1;
    }
    if (!promoted)
        return bad(err, "nothing is promoted: give --policy, or --keep and its like");
    return 0;
}

static int read_key(struct cdp_scrub *s, const char *file, struct cdp_err *err)
{
    char *data;
    size_t n;
    if (!file)
        return bad(err, "hmac-sha256 needs --key-file");
    if (cdp_read_file(file, &data, &n, err) < 0)
        return -1;
    size_t size = n;
    if (n && data[n - 1] == '\n')
        n--;
    if (n && n < size && data[n - 1] == '\r')
        n--;
    int rc = 0;
    if (n < MIN_KEY)
        rc = cdp_err_set(err, CDP_EXIT_USAGE, "%s: a key needs at least %d bytes", file, MIN_KEY);
    unsigned char digest[CDP_DIGEST_SIZE];
    char id[2 * KEY_ID_BYTES + 1] = "";
    cdp_hmac_init(&s->key, data, n);
    cdp_digest(NULL, data, n, digest);
    cdp_digest_hex(digest, KEY_ID_BYTES, id);
    explicit_bzero(data, size);
    explicit_bzero(digest, sizeof digest);
    free(data);
    if (!s->key_id.len) {
        cdp_buf_adds(&s->key_id, KEY_ID);
        cdp_emit_cstr(&s->key_id, id);
    }
    return rc < 0 ? -1 : cdp_buf_check(&s->key_id, err);
}

int cdp_scrub_ready(struct cdp_scrub *s, struct cdp_plan *plan, const char *key_file, const char *as_of,
                    struct cdp_err *err)
{
    if (as_of && !(s->as_of_given = cdp_time_parse_date(as_of, strlen(as_of), &s->as_of)))
        return bad(err, "--as-of: not a date (YYYY-MM-DD)");
    cdp_time_civil(s->as_of, &s->as_of_year, &s->as_of_month, &s->as_of_day);
    if (check(s, err) < 0)
        return -1;
    for (size_t i = 0; i < s->n; i++) {
        struct cdp_scrub_field *f = &s->field[i];
        f->slot = cdp_plan_add(plan, &f->path, err);
        if (f->slot < 0)
            return -1;
        if (f->action == CDP_SCRUB_AGE && !s->as_of_given)
            return bad(err, "age needs a date: give --as-of, or as_of in the policy");
        if (f->action == CDP_SCRUB_COUNTRY && !s->country && !(s->country = cdp_country_new(err)))
            return -1;
        s->keyed |= f->action == CDP_SCRUB_HMAC;
    }
    if (!s->keyed && (key_file || s->key_id.len))
        return cdp_err_set(err, CDP_EXIT_USAGE, "%s means nothing without a field that is hmac-sha256",
                           key_file ? "--key-file" : "key_id");
    if (!s->keyed)
        return 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->field[i].name && strcmp(s->field[i].name, "key_id") == 0)
            return bad(err, "a field is named 'key_id', which hmac-sha256 adds to the output");
    return read_key(s, key_file, err);
}

struct cdp_scrub *cdp_scrub_new(struct cdp_err *err)
{
    return cdp_mem_zalloc(1, sizeof(struct cdp_scrub), err);
}

void cdp_scrub_free(struct cdp_scrub *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        free_field(&s->field[i]);
    free(s->field);
    cdp_hmac_wipe(&s->key);
    cdp_buf_free(&s->key_id);
    cdp_country_free(s->country);
    free(s);
}
