/* scrub: a privacy policy, and records passed through it.
 *
 * A policy is a list of fields, each a path, an action and an output name.  Nothing passes that no field promotes.
 * Made by one thread (cdp_scrub_new, _load and _option, then _ready), read-only and shared afterwards; what changes
 * from record to record is in a worker.  See cdp-scrub(1) for the meaning of each action. */
#ifndef CDP_SCRUB_H
#define CDP_SCRUB_H

#include "lib/digest.h"
#include "lib/leak.h"
#include "lib/num.h"
#include "lib/scan.h"
#include "lib/time.h"

struct cdp_country;

enum cdp_scrub_action {
    CDP_SCRUB_KEEP,
    CDP_SCRUB_DROP,
    CDP_SCRUB_SHA256,
    CDP_SCRUB_HMAC,
    CDP_SCRUB_DOMAIN,
    CDP_SCRUB_MASK,
    CDP_SCRUB_REDACT,
    CDP_SCRUB_BUCKET,
    CDP_SCRUB_AGE,
    CDP_SCRUB_COUNTRY,
    CDP_SCRUB_TRUNCATE,
    CDP_SCRUB_ZIP,
    CDP_SCRUB_ACTIONS
};

enum cdp_scrub_normalize { CDP_SCRUB_AS_IS, CDP_SCRUB_EMAIL, CDP_SCRUB_GOOGLE, CDP_SCRUB_META };

struct cdp_scrub_field {
    enum cdp_scrub_action action;
    char *text; /* the path as it was written, for messages */
    struct cdp_path path;
    char *name; /* in the output; NULL with CDP_SCRUB_DROP */
    size_t name_len;
    int slot;
    struct cdp_buf prefix; /* `,"name":` */

    unsigned given; /* parameters that were set, as bits */
    int normalize;  /* enum cdp_scrub_normalize */
    uint64_t first, last, places;
    struct cdp_buf with; /* JSON text */
    struct cdp_num size;
    int unit; /* enum cdp_bucket */
    struct cdp_zone *zone;
    bool flat; /* keep passes neither arrays nor objects */
    int null_on_error;
    bool unwatched; /* cdp_scrub_watch does not look at it */
};

struct cdp_scrub {
    struct cdp_scrub_field *field;
    size_t n, cap;
    bool watch;    /* count what looks like personal data in the output */
    int64_t as_of; /* days since 1970-01-01 */
    int64_t as_of_year;
    unsigned as_of_month, as_of_day;
    bool as_of_given;
    bool keyed; /* there is an HMAC field, hence a key and its id */
    struct cdp_hmac key;
    struct cdp_buf key_id; /* `,"key_id":"…"` */
    struct cdp_country *country;
};

struct cdp_scrub *cdp_scrub_new(struct cdp_err *err);
void cdp_scrub_free(struct cdp_scrub *s);

/* Adds the fields of a policy file.  -1: exit status 2 with "file: fields[3]: what", or 3 where it cannot be read. */
int cdp_scrub_load(struct cdp_scrub *s, const char *file, struct cdp_err *err);

/* Adds one field from an option's argument, PATH[=NAME][:PARAMETER=VALUE[,PARAMETER=VALUE]...]; option is for messages. */
int cdp_scrub_option(struct cdp_scrub *s, enum cdp_scrub_action action, const char *option, const char *text,
                     struct cdp_err *err);

/* Judges the policy as a whole, reads the key where one is used, and adds the paths to the plan.  key_file and as_of
 * (a date, instead of the policy's) may be NULL. */
int cdp_scrub_ready(struct cdp_scrub *s, struct cdp_plan *plan, const char *key_file, const char *as_of,
                    struct cdp_err *err);

/* What became of a field in the record in work. */
struct cdp_scrub_trace {
    size_t from, to; /* its value, in out */
    bool null;       /* it could not be used and became null */
};

/* One thread's output and working memory. */
struct cdp_scrub_worker {
    struct cdp_buf out; /* output lines; digests may still be missing: see cdp_scrub_finish */
    uint64_t records;   /* in out */
    struct cdp_digest_queue queue;
    struct cdp_buf text, more;
    struct cdp_num num, step;
    struct cdp_scrub_trace *trace;     /* of each field */
    uint64_t *nulls;                   /* of each field: values in out that became null */
    uint64_t (*leaks)[CDP_LEAK_KINDS]; /* of each field: values in out that look like personal data */
};

struct cdp_scrub_worker *cdp_scrub_worker_new(const struct cdp_scrub *s, struct cdp_err *err);
void cdp_scrub_worker_free(struct cdp_scrub_worker *w);

/* Appends the record's line to w->out; behind the fields' text CDP_PAD bytes can be read.  0; 1 where a value cannot be used
 * (*err names the path, never the value; nothing is appended); -1 where memory ran out. */
int cdp_scrub_record(const struct cdp_scrub *s, struct cdp_scrub_worker *w, const struct cdp_val *fields,
                     struct cdp_err *err);

/* Completes w->out; call it before the bytes are used. */
void cdp_scrub_finish(struct cdp_scrub_worker *w);

/* Empties w->out. */
void cdp_scrub_clear(struct cdp_scrub_worker *w);

#endif
