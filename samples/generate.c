/* generate: writes the inputs that the samples, the tests and the benchmark run on.
 *
 *     generate --kind events --records 200 --seed 1 > events.ndjson
 *     generate --kind users --bytes 1G > users.ndjson
 *     generate --kind events --records 5000 --landing landing/events
 *
 * Everything follows from the options: a splitmix64 sequence (https://prng.di.unimi.it/splitmix64.c) started
 * with
 * --seed, integer arithmetic only, no clock and no locale; so the same options give the same bytes on any
 * machine.
 *
 *   events  product events as a collector lands them: about --dups percent are delivered again ("attempt"
 * says so, the event_id stays), about --late percent happened one to three days before they arrived. users
 * change events of a user table (insert, update, delete) as a change stream hands them over: about --dups
 *           percent are delivered again with a later read_timestamp, about --late percent are held back for a
 * while, so an update may arrive before its insert or after its delete.
 *
 * Memory: the last RING lines (for the second deliveries) and eight bytes a user. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOT = 1536, RING = 16384, HELD = 256, BUFFER = 1 << 20, MAX_SHARDS = 256, DAY = 86400 };

/* How often each happens is a share of 2^32. */
#define PERCENT(p) ((uint32_t)(((uint64_t)(p) << 32) / 100 - ((p) == 100)))

struct options {
    const char *kind, *landing;
    uint64_t records, bytes, seed, users, seconds, shards;
    uint32_t dups, late;
    int64_t start; /* day of the first record, in days since 1970-01-01 */
};

/* One open file of the output, or standard output. */
struct file {
    int fd;
    size_t n;
    char *buf;
};

struct line {
    uint32_t len; /* 0: none yet */
    char text[SLOT];
};

struct user {
    uint8_t firstname, lastname, email, phone, address; /* how often each changed */
    bool known, deleted;
};

struct gen {
    struct options o;
    uint64_t rng;
    uint64_t expected; /* records, for the pace of time */
    uint64_t written, out_bytes;
    struct line *ring;
    struct line *held; /* users only: lines that arrive later */
    uint64_t slots, holding;
    struct user *user;
    uint64_t inserted; /* users numbered below this are there */
    int64_t bucket;    /* the landing folder that is open */
    unsigned shard;
    struct file file[MAX_SHARDS];
};

static void die(const char *what, const char *name)
{
    fprintf(stderr, "generate: %s%s%s%s%s\n", name ? name : "", name ? ": " : "", what, errno ? ": " : "",
            errno ? strerror(errno) : "");
    exit(errno ? 3 : 2);
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t next(struct gen *g)
{
    return mix(g->rng += 0x9e3779b97f4a7c15u);
}

static uint32_t below(uint64_t r, uint64_t n) /* 0 … n-1 from the upper half of r */
{
    return (uint32_t)(((r >> 32) * n) >> 32);
}

static bool happens(uint64_t r, uint32_t share)
{
    return (uint32_t)r < share;
}

/* --- text --- */

static char *put(char *p, const char *s, size_t n)
{
    memcpy(p, s, n);
    return p + n;
}

#define PUT(p, literal) put(p, literal, sizeof literal - 1)

static char *put_text(char *p, const char *s)
{
    return put(p, s, strlen(s));
}

static char *put_digits(char *p, uint64_t v, int width)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        p[i] = (char)('0' + v % 10);
    return p + width;
}

static char *put_number(char *p, uint64_t v)
{
    int width = 1;
    for (uint64_t w = v; w >= 10; w /= 10)
        width++;
    return put_digits(p, v, width);
}

static char *put_hex(char *p, uint64_t v, int width)
{
    for (int i = width - 1; i >= 0; i--, v >>= 4)
        p[i] = "0123456789abcdef"[v & 15];
    return p + width;
}

static char *put_uuid(char *p, uint64_t a, uint64_t b)
{
    p = put_hex(p, a >> 32, 8);
    *p++ = '-';
    p = put_hex(p, a >> 16, 4);
    *p++ = '-';
    p = put_hex(p, (a & 0x0fff) | 0x4000, 4);
    *p++ = '-';
    p = put_hex(p, ((b >> 48) & 0x3fff) | 0x8000, 4);
    *p++ = '-';
    return put_hex(p, b, 12);
}

/* Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": civil_from_days. */
static void civil(int64_t days, unsigned *y, unsigned *m, unsigned *d)
{
    uint64_t z = (uint64_t)(days + 719468), era = z / 146097, doe = z % 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *d = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    *m = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    *y = (unsigned)(yoe + era * 400 + (*m <= 2));
}

static char *put_date(char *p, int64_t days)
{
    unsigned y, m, d;
    civil(days, &y, &m, &d);
    p = put_digits(p, y, 4);
    *p++ = '-';
    p = put_digits(p, m, 2);
    *p++ = '-';
    return put_digits(p, d, 2);
}

/* An instant in microseconds, with 3 or 6 digits of fraction. */
static char *put_time(char *p, int64_t us, int digits)
{
    int64_t s = us / 1000000;
    uint64_t in_day = (uint64_t)(s % DAY), fraction = (uint64_t)(us % 1000000);
    p = put_date(p, s / DAY);
    *p++ = 'T';
    p = put_digits(p, in_day / 3600, 2);
    *p++ = ':';
    p = put_digits(p, in_day / 60 % 60, 2);
    *p++ = ':';
    p = put_digits(p, in_day % 60, 2);
    *p++ = '.';
    p = put_digits(p, digits == 3 ? fraction / 1000 : fraction, digits);
    *p++ = 'Z';
    return p;
}

/* --- output --- */

static void file_flush(struct file *f)
{
    for (size_t at = 0; at < f->n;) {
        ssize_t w = write(f->fd, f->buf + at, f->n - at);
        if (w < 0 && errno != EINTR)
            die("cannot write", NULL);
        at += w > 0 ? (size_t)w : 0;
    }
    f->n = 0;
}

static void file_write(struct file *f, const char *p, size_t n)
{
    if (BUFFER - f->n < n)
        file_flush(f);
    memcpy(f->buf + f->n, p, n);
    f->n += n;
}

static void make_folders(char *path)
{
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            die("cannot make the folder", path);
        *p = '/';
    }
}

static void close_files(struct gen *g)
{
    for (unsigned i = 0; i < g->o.shards; i++) {
        file_flush(&g->file[i]);
        if (g->file[i].fd > STDOUT_FILENO && close(g->file[i].fd) != 0)
            die("cannot write", NULL);
        g->file[i].fd = -1;
    }
}

/* Opens the files of an hour (events) or a minute (users): DIR/2026/02/05/16[/23]/… */
static void open_landing(struct gen *g, int64_t us)
{
    bool users = g->user != NULL;
    int64_t bucket = us / 1000000 / (users ? 60 : 3600);
    if (bucket == g->bucket)
        return;
    close_files(g);
    g->bucket = bucket;
    int64_t s = us / 1000000;
    unsigned y, m, d;
    civil(s / DAY, &y, &m, &d);
    for (unsigned i = 0; i < g->o.shards; i++) {
        char path[4096], minute[8] = "";
        if (users)
            snprintf(minute, sizeof minute, "%02d/", (int)(s / 60 % 60));
        int n =
            snprintf(path, sizeof path, "%s/%04u/%02u/%02u/%02d/%s%s-%03u.%s", g->o.landing, y, m, d,
                     (int)(s / 3600 % 24), minute, users ? "events" : "part", i, users ? "jsonl" : "ndjson");
        if (n < 0 || (size_t)n >= sizeof path)
            die("the folder's name is too long", g->o.landing);
        make_folders(path);
        errno = 0;
        g->file[i].fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (g->file[i].fd < 0)
            die("cannot open", path);
    }
}

static void emit(struct gen *g, const char *p, size_t n, int64_t us)
{
    if (g->o.landing) {
        open_landing(g, us);
        g->shard = (g->shard + 1) % (unsigned)g->o.shards;
    }
    file_write(&g->file[g->shard], p, n);
    g->written++;
    g->out_bytes += n;
}

/* --- product events --- */

static const char *const pages[] = {"/",           "/search",         "/sale",          "/account",
                                    "/cart",       "/checkout",       "/help",          "/journal",
                                    "/p/lamp-oak", "/p/kettle-steel", "/p/chair-birch", "/p/rug-wool"};
static const char *const referrers[] = {"direct", "newsletter", "search", "partner", "social", "app"};
static const char *const devices[] = {"ios", "android", "web", "web", "tablet"};
static const char *const currencies[] = {"EUR", "EUR", "EUR", "USD", "GBP", "CHF"};

#define PICK(list, r) (list)[below(r, sizeof(list) / sizeof *(list))]

enum {
    ATTEMPT_FROM_END = 4
}; /* `1}}` and the newline: where the digit stands that a second delivery changes */

static char *put_amount(char *p, uint64_t r, bool negative)
{
    uint64_t cents = 99 + (uint64_t)below(r, 4000) * below(mix(r), 50) / 4; /* 0.99 … 500, mostly small */
    p = PUT(p, "\"amount\":");
    if (negative)
        *p++ = '-';
    p = put_number(p, cents / 100);
    *p++ = '.';
    p = put_digits(p, cents % 100, 2);
    return PUT(p, ",\"currency\":\"");
}

static char *put_metadata(char *p, uint64_t r, uint64_t person, unsigned kind)
{
    p = PUT(p, "\",\"metadata\":{");
    if (kind >= 84) { /* what moves money */
        p = put_amount(p, mix(r ^ person), kind >= 98);
        p = put_text(p, PICK(currencies, person));
        p = PUT(p, "\",");
    } else if (kind >= 76) {
        p = PUT(p, "\"amount\":null,\"currency\":null,");
    }
    p = PUT(p, "\"page\":\"");
    p = put_text(p, PICK(pages, r));
    p = PUT(p, "\",\"referrer\":\"");
    p = put_text(p, PICK(referrers, r << 7));
    p = PUT(p, "\",\"device\":\"");
    p = put_text(p, PICK(devices, person << 9));
    p = PUT(p, "\",\"viewport\":[");
    p = put_number(p, 360 + below(person << 11, 30) * 52);
    *p++ = ',';
    p = put_number(p, 640 + below(person << 13, 20) * 40);
    return PUT(p, "],\"attempt\":1}}\n");
}

static const char *event_type(unsigned kind) /* kind: 0 … 99 */
{
    return kind < 50   ? "page_view"
           : kind < 70 ? "product_view"
           : kind < 76 ? "login"
           : kind < 84 ? "search"
           : kind < 92 ? "add_to_cart"
           : kind < 98 ? "purchase"
                       : "refund";
}

static size_t make_event(struct gen *g, char *text, int64_t us)
{
    uint64_t a = next(g), b = next(g), r = next(g);
    uint64_t u = r >> 32, skewed = (u * u) >> 32; /* few users do much */
    uint64_t who = skewed * g->o.users >> 32, person = mix(who + 1);
    unsigned kind = below(a << 20, 100);
    us -= below(b << 10, 4000000); /* what the network took */
    if (happens(next(g), g->o.late))
        us -= (int64_t)(1 + below(next(g), 3)) * DAY * 1000000;
    char *p = PUT(text, "{\"event_id\":\"");
    p = put_uuid(p, a, b);
    p = PUT(p, "\",\"user_id\":\"u");
    p = put_digits(p, (who * 7368787 + 1234567) % 10000000, 7); /* one to one below ten million */
    p = PUT(p, "\",\"session_id\":\"");
    p = put_hex(p, mix(person ^ (uint64_t)(us / 1000000 / (DAY / 8))), 16); /* three hours */
    p = PUT(p, "\",\"event_type\":\"");
    p = put_text(p, event_type(kind));
    p = PUT(p, "\",\"event_timestamp\":\"");
    p = put_time(p, us, 3);
    p = put_metadata(p, mix(a ^ b), person, kind);
    return (size_t)(p - text);
}

/* --- change events of users --- */

static const char *const firstnames[] = {
    "Ada",   "Bruno", "Chiara", "David", "Elif",  "Femke", "Goran",   "Hanna",     "Ivo",    "Jürgen",
    "Katja", "Lucía", "Malik",  "Nadia", "Omar",  "Pavel", "Quentin", "Rosa",      "Stefan", "Tove",
    "Uwe",   "Vera",  "Wanda",  "Xenia", "Yusuf", "Zoë",   "Łukasz",  "Agnieszka", "Mateo",  "Ingrid"};
static const char *const lastnames[] = {"Albers",   "Bianchi", "Cordes", "Dubois",   "Eriksen",  "Fontana",
                                        "Grünwald", "Horvat",  "Ilves",  "Jansen",   "Kowalski", "Lindt",
                                        "Moreau",   "Nowak",   "Okafor", "Peeters",  "Quast",    "Rossi",
                                        "Santos",   "Tanaka",  "Ulrich", "Virtanen", "Weber",    "Yilmaz",
                                        "Zanetti",  "O'Brien", "Müller", "Novák"};
/* The same without accents, for addresses of e-mail and web pages. */
static const char *const mailnames[] = {
    "ada",   "bruno", "chiara", "david", "elif",  "femke", "goran",  "hanna", "ivo",    "juri",
    "katja", "lucia", "malik",  "nadia", "omar",  "pavel", "quent",  "rosa",  "stefan", "tove",
    "uwe",   "vera",  "wanda",  "xenia", "yusuf", "zoe",   "lukasz", "aga",   "mateo",  "inga"};
static const char *const domains[] = {"gmail.com",   "gmail.com",   "gmail.com", "outlook.com",
                                      "yahoo.com",   "icloud.com",  "proton.me", "example.com",
                                      "example.org", "mail.example"};
static const char *const streets[] = {"Ahornweg",   "Bahnhofstrasse", "Canal Row",   "Dorfplatz",
                                      "Elm Street", "Fjordgata",      "Garden Mews", "Hafenkai",
                                      "Inselallee", "Rue du Four"};
static const char *const cities[] = {"Altenbruck", "Birkhagen", "Castelnovo", "Dunmore", "Eastwick",
                                     "Felsau",     "Grandpré",  "Hallstadt",  "Isleham", "Jonsered"};
static const char *const countries[][2] = {
    {"Germany", "DE"},        {"Germany", "DE"},       {"Germany", "DE"},        {"Switzerland", "CH"},
    {"Austria", "AT"},        {"France", "FR"},        {"Italy", "IT"},          {"Spain", "ES"},
    {"United Kingdom", "GB"}, {"Netherlands", "NL"},   {"Poland", "PL"},         {"Portugal", "PT"},
    {"Sweden", "SE"},         {"Norway", "NO"},        {"Finland", "FI"},        {"Denmark", "DK"},
    {"Belgium", "BE"},        {"Ireland", "IE"},       {"Czech Republic", "CZ"}, {"Greece", "GR"},
    {"Turkey", "TR"},         {"United States", "US"}, {"Canada", "CA"},         {"Japan", "JP"},
    {"Brazil", "BR"}};
static const char *const genders[] = {"female", "male", "other"};

/* The value number `version` of a field of a user, as random bits: a pure function, so nothing need be kept.
 */
static uint64_t field(const struct gen *g, uint64_t who, unsigned name, unsigned version)
{
    return mix(mix(who * 0xd1342543de82ef95u + g->o.seed) + name * 0x9e3779b97f4a7c15u +
               version * 0xa0761d6478bd642fu);
}

enum { FIRSTNAME = 1, LASTNAME, EMAIL, PHONE, ADDRESS, FIXED, ID_A, ID_B };

static char *put_email(char *p, const struct gen *g, uint64_t who, const struct user *u)
{
    uint64_t r = field(g, who, EMAIL, u->email);
    if (r % 97 == 0)
        return PUT(p, "null");
    *p++ = '"';
    char *from = p;
    p = put_text(p, PICK(mailnames, r));
    *p++ = '.';
    p = put_number(p, who);
    if (u->email) {
        *p++ = '.';
        p = put_number(p, u->email);
    }
    *p++ = '@';
    if (r % 41 == 0) { /* typed on a phone */
        *from = (char)(*from - 'a' + 'A');
        p = PUT(p, "Gmail.com");
    } else {
        p = put_text(p, PICK(domains, r << 8));
    }
    *p++ = '"';
    return p;
}

static char *put_phone(char *p, const struct gen *g, uint64_t who, const struct user *u)
{
    uint64_t r = field(g, who, PHONE, u->phone);
    p = PUT(p, "\"+");
    p = put_digits(p, 30 + r % 60, 2);
    p = PUT(p, " 555 ");
    p = put_digits(p, below(r, 10000000), 7);
    *p++ = '"';
    return p;
}

static char *put_firstname(char *p, const struct gen *g, uint64_t who, const struct user *u)
{
    *p++ = '"';
    p = put_text(p, PICK(firstnames, field(g, who, FIRSTNAME, u->firstname)));
    *p++ = '"';
    return p;
}

static char *put_lastname(char *p, const struct gen *g, uint64_t who, const struct user *u)
{
    *p++ = '"';
    p = put_text(p, PICK(lastnames, field(g, who, LASTNAME, u->lastname)));
    *p++ = '"';
    return p;
}

static char *put_street(char *p, uint64_t r)
{
    *p++ = '"';
    p = put_text(p, PICK(streets, r));
    *p++ = ' ';
    p = put_number(p, 1 + below(r << 9, 240));
    *p++ = '"';
    return p;
}

/* Degrees with six digits, -limit … limit. */
static char *put_degrees(char *p, uint64_t r, unsigned limit)
{
    uint64_t v = below(r, (uint64_t)limit * 1000000);
    if (r & 1)
        *p++ = '-';
    p = put_number(p, v / 1000000);
    *p++ = '.';
    return put_digits(p, v % 1000000, 6);
}

static char *put_address(char *p, uint64_t r)
{
    const char *const *country = PICK(countries, r << 15);
    uint64_t s = mix(r);
    p = PUT(p, "{\"street\": ");
    p = put_street(p, r);
    p = PUT(p, ", \"streetName\": \"");
    p = put_text(p, PICK(streets, r));
    p = PUT(p, "\", \"buildingNumber\": \"");
    p = put_number(p, 1 + below(r << 9, 240));
    p = PUT(p, "\", \"city\": \"");
    p = put_text(p, PICK(cities, r << 5));
    p = PUT(p, "\", \"zipcode\": \"");
    p = put_digits(p, below(s, 100000), 5);
    p = PUT(p, "\", \"country\": \"");
    p = put_text(p, country[0]);
    p = PUT(p, "\", \"country_code\": \"");
    p = put_text(p, country[1]);
    p = PUT(p, "\", \"latitude\": ");
    p = put_degrees(p, mix(s + 1), 90);
    p = PUT(p, ", \"longitude\": ");
    p = put_degrees(p, mix(s + 2), 180);
    return PUT(p, "}");
}

static char *put_id(char *p, const struct gen *g, uint64_t who)
{
    p = put_hex(p, field(g, who, ID_A, 0), 16);
    return put_hex(p, field(g, who, ID_B, 0), 8);
}

static char *put_user(char *p, const struct gen *g, uint64_t who, const struct user *u)
{
    uint64_t r = field(g, who, FIXED, 0);
    p = PUT(p, ", \"firstname\": ");
    p = put_firstname(p, g, who, u);
    p = PUT(p, ", \"lastname\": ");
    p = put_lastname(p, g, who, u);
    p = PUT(p, ", \"email\": ");
    p = put_email(p, g, who, u);
    p = PUT(p, ", \"phone\": ");
    p = put_phone(p, g, who, u);
    p = PUT(p, ", \"birthday\": ");
    if (r % 89 == 0) {
        p = PUT(p, "null");
    } else {
        *p++ = '"';
        p = put_date(p, -12000 + (int64_t)below(r, 25500)); /* 1937 … 2006 */
        *p++ = '"';
    }
    p = PUT(p, ", \"gender\": \"");
    p = put_text(p, PICK(genders, r << 7));
    p = PUT(p, "\", \"address\": ");
    p = put_address(p, field(g, who, ADDRESS, u->address));
    p = PUT(p, ", \"website\": \"https://www.");
    p = put_text(p, PICK(mailnames, r << 11));
    p = PUT(p, ".example/\", \"image\": \"https://img.example/people/");
    p = put_number(p, below(r << 3, 90000) + 10000);
    return PUT(p, ".jpg\"}");
}

/* What an update touched, as the change stream names it; it raises the versions first. */
static char *put_update(char *p, const struct gen *g, uint64_t who, const struct user *u, unsigned what)
{
    p = PUT(p, ", \"update_description\": {\"updatedFields\": {");
    if (what == 0) {
        p = PUT(p, "\"lastname\": ");
        p = put_lastname(p, g, who, u);
    } else if (what == 1) {
        p = PUT(p, "\"email\": ");
        p = put_email(p, g, who, u);
    } else if (what == 2) {
        p = PUT(p, "\"firstname\": ");
        p = put_firstname(p, g, who, u);
        p = PUT(p, ", \"phone\": ");
        p = put_phone(p, g, who, u);
    } else {
        uint64_t r = field(g, who, ADDRESS, u->address);
        p = PUT(p, "\"address.street\": ");
        p = put_street(p, r);
        p = PUT(p, ", \"address.city\": \"");
        p = put_text(p, PICK(cities, r << 5));
        p = PUT(p, "\", \"address.country\": \"");
        p = put_text(p, PICK(countries, r << 15)[0]);
        *p++ = '"';
    }
    return PUT(p, "}, \"removedFields\": [], \"truncatedArrays\": []}");
}

/* A user that is there, or g->inserted when a few throws find none. */
static uint64_t pick_user(struct gen *g)
{
    for (int i = 0; i < 8 && g->inserted; i++) {
        uint64_t who = below(next(g), g->inserted);
        if (!g->user[who].deleted)
            return who;
    }
    return g->inserted;
}

static void touch(struct user *u, unsigned what)
{
    u->lastname = (uint8_t)(u->lastname + (what == 0));
    u->email = (uint8_t)(u->email + (what == 1));
    u->firstname = (uint8_t)(u->firstname + (what == 2));
    u->phone = (uint8_t)(u->phone + (what == 2));
    u->address = (uint8_t)(u->address + (what == 3));
}

enum { READ_AT = 68, READ_LAG = 1781 }; /* `{"uuid": "…", "read_timestamp": "` is that long; half an hour */

static size_t make_change(struct gen *g, char *text, int64_t us)
{
    uint64_t a = next(g), b = next(g);
    unsigned turn = below(next(g), 100), what = below(next(g), 4);
    uint64_t who = turn < 61 ? g->inserted : pick_user(g);
    if (who == g->inserted && g->inserted == g->o.users)
        who = below(next(g), g->o.users), turn = 61;
    bool insert = who == g->inserted, delete = !insert && turn >= 84;
    struct user *u = &g->user[who];
    g->inserted += insert;
    if (!insert && !delete)
        touch(u, what);
    u->deleted = delete;

    uint64_t second = (uint64_t)(us / 1000000), counter = 1 + below(a, 30000);
    char *p = PUT(text, "{\"uuid\": \"");
    p = put_uuid(p, a, b);
    p = PUT(p, "\", \"read_timestamp\": \"");
    p = put_time(p, us + READ_LAG * (int64_t)1000000, 6);
    p = PUT(p, "\", \"source_timestamp\": \"");
    p = put_time(p, us, 6);
    p = PUT(p, "\", \"object\": \"users\", \"read_method\": \"mongodb-change-stream\", \"stream_name\": "
               "\"users-stream\", \"sort_keys\": [");
    p = put_number(p, second);
    p = PUT(p, ", ");
    p = put_number(p, counter);
    p = PUT(p,
            "], \"source_metadata\": {\"database\": \"shop\", \"collection\": \"users\", \"primary_keys\": "
            "[\"_id\"], \"change_type\": \"");
    p = put_text(p, insert ? "INSERT" : delete ? "DELETE" : "UPDATE");
    p = PUT(p, "\", \"is_deleted\": ");
    p = put_text(p, delete ? "true" : "false");
    p = PUT(p, ", \"cluster_time\": {\"t\": ");
    p = put_number(p, second);
    p = PUT(p, ", \"i\": ");
    p = put_number(p, counter);
    p = PUT(p, "}, \"txn_number\": null, \"lsid\": null}, \"payload\": {\"_id\": \"");
    p = put_id(p, g, who);
    *p++ = '"';
    if (delete)
        *p++ = '}';
    else
        p = put_user(p, g, who, u);
    if (!insert && !delete)
        p = put_update(p, g, who, u, what);
    *p++ = '}';
    *p++ = '\n';
    return (size_t)(p - text);
}

/* A change arrives now, whenever it happened. */
static void emit_change(struct gen *g, struct line *l, int64_t us)
{
    put_time(l->text + READ_AT, us + READ_LAG * (int64_t)1000000, 6);
    emit(g, l->text, l->len, us);
}

/* --- the run --- */

/* The line that was written `back` records ago, or NULL. */
static struct line *earlier(struct gen *g, uint64_t number, uint64_t r)
{
    uint64_t reach = number < RING - 1 ? number : RING - 1;
    if (!reach)
        return NULL;
    struct line *l = &g->ring[(number - 1 - below(r, reach)) % RING];
    return l->len ? l : NULL;
}

static bool full(const struct gen *g)
{
    return g->o.bytes ? g->out_bytes >= g->o.bytes : g->written + g->holding >= g->o.records;
}

static void run(struct gen *g)
{
    bool users = g->user != NULL;
    int64_t start = g->o.start * DAY * 1000000, span = (int64_t)g->o.seconds * 1000000;
    int64_t step = span / (int64_t)g->expected;
    int64_t us = start;
    for (uint64_t number = 0; !full(g); number++) {
        us =
            start +
            (step ? (int64_t)number * step + below(next(g), (uint64_t)(step > 1 << 30 ? 1 << 30 : step)) : 0);
        struct line *l = &g->ring[number % RING], *again = NULL;
        if (happens(next(g), g->o.dups))
            again = earlier(g, number, next(g));
        if (again) { /* the slot gets the copy, so it may come a third time */
            memmove(l, again, sizeof *l - SLOT + again->len);
            if (!users)
                l->text[l->len - ATTEMPT_FROM_END] = '2';
        } else {
            l->len = (uint32_t)(users ? make_change(g, l->text, us) : make_event(g, l->text, us));
        }
        if (users && g->o.late && happens(next(g), g->o.late)) {
            struct line *h = &g->held[below(next(g), g->slots)];
            if (h->len)
                emit_change(g, h, us);
            else
                g->holding++;
            memcpy(h, l, sizeof *l - SLOT + l->len);
        } else if (users) {
            emit_change(g, l, us);
        } else {
            emit(g, l->text, l->len, us);
        }
    }
    for (uint64_t i = 0; i < g->slots && g->held; i++)
        if (g->held[i].len)
            emit_change(g, &g->held[i], us += 1000);
}

static uint64_t number_of(const char *s, const char *name)
{
    char *end;
    errno = 0;
    uint64_t v = strtoull(s, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end == s || *s == '-' || errno || end[shift != 0]) {
        errno = 0;
        die("expected a number", name);
    }
    return v << shift;
}

static const char usage[] =
    "usage: generate --kind events|users [--records N | --bytes SIZE] [--seed N] [--dups PERCENT] [--late "
    "PERCENT]\n"
    "                [--users N] [--days N | --minutes N] [--start DAYS-SINCE-1970] [--landing DIR [--shards "
    "N]]\n";

static void parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(name, "--kind") == 0)
            o->kind = value;
        else if (strcmp(name, "--landing") == 0)
            o->landing = value;
        else if (strcmp(name, "--records") == 0)
            o->records = number_of(value, name);
        else if (strcmp(name, "--bytes") == 0)
            o->bytes = number_of(value, name);
        else if (strcmp(name, "--seed") == 0)
            o->seed = number_of(value, name);
        else if (strcmp(name, "--dups") == 0)
            o->dups = PERCENT(number_of(value, name));
        else if (strcmp(name, "--late") == 0)
            o->late = PERCENT(number_of(value, name));
        else if (strcmp(name, "--users") == 0)
            o->users = number_of(value, name);
        else if (strcmp(name, "--days") == 0)
            o->seconds = number_of(value, name) * DAY;
        else if (strcmp(name, "--minutes") == 0)
            o->seconds = number_of(value, name) * 60;
        else if (strcmp(name, "--start") == 0)
            o->start = (int64_t)number_of(value, name);
        else if (strcmp(name, "--shards") == 0)
            o->shards = number_of(value, name);
        else {
            fputs(usage, stderr);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    static struct gen g = {.o = {.records = 1000,
                                 .seed = 1,
                                 .dups = PERCENT(3),
                                 .late = PERCENT(1),
                                 .seconds = 7 * DAY,
                                 .start = 20485 /* 2026-02-01 */,
                                 .shards = 1},
                           .bucket = -1};
    parse(&g.o, argc, argv);
    bool users = g.o.kind && strcmp(g.o.kind, "users") == 0;
    if (!g.o.kind || (!users && strcmp(g.o.kind, "events") != 0) || !g.o.seconds || !g.o.shards ||
        g.o.shards > MAX_SHARDS || (!g.o.landing && g.o.shards > 1)) {
        fputs(usage, stderr);
        return 2;
    }
    g.expected = g.o.bytes ? g.o.bytes / (users ? 960 : 285) + 1 : g.o.records + !g.o.records;
    if (!g.o.users)
        g.o.users = users ? g.expected + 64 : g.expected / 20 + 10;
    g.slots = g.expected / 16 + 1 < HELD ? g.expected / 16 + 1 : HELD;
    g.rng = mix(g.o.seed * 2 + users);
    g.ring = calloc(RING, sizeof *g.ring);
    g.held = users ? calloc(HELD, sizeof *g.held) : NULL;
    g.user = users ? calloc(g.o.users + 1, sizeof *g.user) : NULL;
    bool memory = g.ring && (!users || (g.held && g.user));
    for (unsigned i = 0; i < g.o.shards && memory; i++) {
        g.file[i].fd = g.o.landing ? -1 : STDOUT_FILENO;
        memory = (g.file[i].buf = malloc(BUFFER)) != NULL;
    }
    if (!memory)
        die("out of memory", NULL);
    errno = 0;
    run(&g);
    close_files(&g);
    for (unsigned i = 0; i < g.o.shards; i++)
        free(g.file[i].buf);
    free(g.user);
    free(g.held);
    free(g.ring);
    return 0;
}
