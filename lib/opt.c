/* opt: see opt.h. */
#include "lib/opt.h"

#include "lib/buf.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool cdp_opt_count(const char *s, uint64_t *n)
{
    if (*s < '0' || *s > '9')
        return false;
    char *end;
    errno = 0;
    *n = strtoull(s, &end, 10);
    return errno == 0 && *end == '\0';
}

bool cdp_opt_size(const char *s, uint64_t *bytes)
{
    if (*s < '0' || *s > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(s, &end, 10);
    const char *units = "KkMmGgTt", *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)((unit - units) / 2 + 1) : 0;
    if (unit)
        end++;
    if (errno || *end || n > UINT64_MAX >> shift)
        return false;
    *bytes = (uint64_t)n << shift;
    return true;
}

static size_t table_length(const struct cdp_opt *opts)
{
    size_t n = 0;
    while (opts[n].name)
        n++;
    return n;
}

static bool takes_value(const struct cdp_opt *o)
{
    return o->type != CDP_OPT_FLAG;
}

static int print_help(const struct cdp_tool *tool)
{
    printf("usage: %s %s\n%s\n\n", tool->name, tool->usage, tool->summary);
    for (const struct cdp_opt *o = tool->opts; o->name; o++) {
        char left[128];
        char letter[8] = "    ";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        int n = snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->arg ? " " : "",
                         o->arg ? o->arg : "");
        printf("%s%*s%s\n", left, n < 32 ? 32 - n : 2, "", o->help);
    }
    printf("      --help                    print this and end\n"
           "      --version                 print the version and end\n\n"
           "The manual is %s(1); records, paths and keys are in cdp-records(5).\n",
           tool->name);
    return 0;
}

/* The table as NDJSON, for the man page, the completions and the checks.  No text in a table needs escaping but quotes. */
static void print_json(const char *s)
{
    putchar('"');
    for (; s && *s; s++) {
        if (*s == '"' || *s == '\\')
            putchar('\\');
        putchar(*s);
    }
    putchar('"');
}

static int print_spec(const struct cdp_tool *tool)
{
    static const char *const types[] = {"flag", "string", "size", "count", "list", "choice"};
    printf("{\"tool\":");
    print_json(tool->name);
    printf(",\"summary\":");
    print_json(tool->summary);
    printf(",\"usage\":");
    print_json(tool->usage);
    printf("}\n");
    for (const struct cdp_opt *o = tool->opts; o->name; o++) {
        printf("{\"option\":\"%s\",\"letter\":\"%.*s\",\"arg\":", o->name, o->letter ? 1 : 0, &o->letter);
        print_json(o->arg);
        printf(",\"type\":\"%s\",\"help\":", types[o->type]);
        print_json(o->help);
        printf("}\n");
    }
    return 0;
}

static int choice(const struct cdp_opt *o, const char *value, int *out)
{
    int index = 0;
    for (const char *p = o->arg;; index++) {
        size_t n = strcspn(p, "|");
        if (strlen(value) == n && strncmp(p, value, n) == 0) {
            *out = index;
            return 0;
        }
        if (!p[n])
            return -1;
        p += n + 1;
    }
}

static int list_add(struct cdp_opt_list *list, const char *value, int tag, struct cdp_err *err)
{
    struct cdp_opt_item *item = cdp_mem_grow(list->item, &list->cap, list->n + 1, sizeof *item, err);
    if (!item)
        return -1;
    list->item = item;
    item[list->n++] = (struct cdp_opt_item){value, tag};
    return 0;
}

static int store(const struct cdp_opt *o, void *options, const char *value, struct cdp_err *err)
{
    void *target = (char *)options + o->offset;
    switch (o->type) {
    case CDP_OPT_FLAG:
        *(bool *)target = true;
        return 0;
    case CDP_OPT_STRING:
        *(const char **)target = value;
        return 0;
    case CDP_OPT_SIZE:
        if (!cdp_opt_size(value, target) || *(uint64_t *)target == 0)
            return cdp_err_set(err, CDP_EXIT_USAGE, "--%s takes a size such as 64M, not '%s'", o->name,
                               value);
        return 0;
    case CDP_OPT_COUNT:
        if (!cdp_opt_count(value, target) || *(uint64_t *)target == 0)
            return cdp_err_set(err, CDP_EXIT_USAGE, "--%s takes a number from 1, not '%s'", o->name, value);
        return 0;
    case CDP_OPT_LIST:
        return list_add(target, value, o->tag, err);
    case CDP_OPT_CHOICE:
        if (choice(o, value, target) < 0)
            return cdp_err_set(err, CDP_EXIT_USAGE, "--%s takes %s, not '%s'", o->name, o->arg, value);
        return 0;
    }
    return -1;
}

/* The option that `name` (n bytes) is, or is the only one to begin with. */
static const struct cdp_opt *find_long(const struct cdp_opt *opts, const char *name, size_t n,
                                       struct cdp_err *err)
{
    const struct cdp_opt *found = NULL;
    bool several = false;
    for (const struct cdp_opt *o = opts; o->name; o++) {
        if (strncmp(o->name, name, n) != 0)
            continue;
        if (strlen(o->name) == n)
            return o;
        several |= found != NULL;
        found = o;
    }
    if (!found || several) {
        cdp_err_set(err, CDP_EXIT_USAGE, "%s option --%.*s", found ? "ambiguous" : "unknown", (int)n, name);
        return NULL;
    }
    return found;
}

struct parse {
    const struct cdp_tool *tool;
    char **arg, **end; /* what is left */
    void *options;
};

static int value_of(struct parse *ps, const struct cdp_opt *o, const char *attached, struct cdp_err *err)
{
    if (!takes_value(o)) {
        if (attached)
            return cdp_err_set(err, CDP_EXIT_USAGE, "--%s takes no argument", o->name);
    } else if (!attached) {
        if (ps->arg == ps->end)
            return cdp_err_set(err, CDP_EXIT_USAGE, "--%s needs an argument: %s", o->name, o->arg);
        attached = *ps->arg++;
    }
    return store(o, ps->options, attached, err);
}

static int letters(struct parse *ps, const char *s, struct cdp_err *err)
{
    while (*s) {
        const struct cdp_opt *o = ps->tool->opts;
        while (o->name && o->letter != *s)
            o++;
        if (!o->name)
            return cdp_err_set(err, CDP_EXIT_USAGE, "unknown option -%c", *s);
        s++;
        bool rest = takes_value(o) && *s;
        if (value_of(ps, o, rest ? s : NULL, err) < 0)
            return -1;
        if (takes_value(o))
            return 0;
    }
    return 0;
}

static int operand(struct parse *ps, const char *text, struct cdp_err *err)
{
    struct cdp_common *common = ps->options;
    if (ps->tool->operand_is && ps->tool->operand_is(text))
        return list_add((void *)((char *)ps->options + ps->tool->operand_list_offset), text, 0, err);
    common->operand[common->operands++] = text;
    return 0;
}

int cdp_opt_parse(const struct cdp_tool *tool, int argc, char **argv, void *options, struct cdp_err *err)
{
    struct cdp_common *common = options;
    struct parse ps = {tool, argv + (argc > 0), argv + argc, options};
    bool only_operands = false;
    common->operand = cdp_mem_zalloc((size_t)argc + 1, sizeof *common->operand, err);
    if (!common->operand)
        return -1;
    while (ps.arg < ps.end) {
        const char *a = *ps.arg++;
        int rc = 0;
        if (only_operands || a[0] != '-' || a[1] == '\0') {
            rc = operand(&ps, a, err);
        } else if (strcmp(a, "--") == 0) {
            only_operands = true;
        } else if (strcmp(a, "--help") == 0) {
            return print_help(tool);
        } else if (strcmp(a, "--version") == 0) {
            printf("%s %s\n", tool->name, CDP_VERSION);
            return 0;
        } else if (strcmp(a, "--spec") == 0) {
            return print_spec(tool);
        } else if (a[1] == '-') {
            const char *eq = strchr(a, '=');
            size_t n = eq ? (size_t)(eq - a - 2) : strlen(a + 2);
            const struct cdp_opt *o = find_long(tool->opts, a + 2, n, err);
            rc = o ? value_of(&ps, o, eq ? eq + 1 : NULL, err) : -1;
        } else {
            rc = letters(&ps, a + 1, err);
        }
        if (rc < 0)
            return rc;
    }
    return 1;
}

void cdp_opt_free(const struct cdp_tool *tool, void *options)
{
    struct cdp_common *common = options;
    struct cdp_opt_list *list = NULL;
    for (size_t i = 0, n = table_length(tool->opts); i < n; i++)
        if (tool->opts[i].type == CDP_OPT_LIST) {
            list = (void *)((char *)options + tool->opts[i].offset);
            free(list->item);
            *list = (struct cdp_opt_list){0};
        }
    if (tool->operand_is) {
        list = (void *)((char *)options + tool->operand_list_offset);
        free(list->item);
        *list = (struct cdp_opt_list){0};
    }
    free(common->operand);
    common->operand = NULL;
}

size_t cdp_opt_stdin(const struct cdp_common *common)
{
    size_t n = common->operands == 0;
    for (size_t i = 0; i < common->operands; i++)
        n += strcmp(common->operand[i], "-") == 0;
    return n;
}
