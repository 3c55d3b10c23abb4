/* flow_files: no file is for two things (flow.h): what is written to one would take the place of the other, and a run that reads
 * what it writes may never end. */
#include "lib/flow_impl.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A regular file, or the place where one will be. */
struct place {
    bool known;
    dev_t dev;
    ino_t ino;        /* of the file, or of its directory ... */
    const char *name; /* ... and its name in there; else "" */
};

static struct place place_of(const struct stat *st)
{
    return (struct place){S_ISREG(st->st_mode), st->st_dev, st->st_ino, ""};
}

static struct place place_named(const char *path)
{
    struct stat st;
    char dir[PATH_MAX];
    if (stat(path, &st) == 0)
        return place_of(&st);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int n = snprintf(dir, sizeof dir, "%.*s.", (int)(name - path), path);
    if (n < 0 || n >= (int)sizeof dir || stat(dir, &st) < 0)
        return (struct place){0};
    return (struct place){true, st.st_dev, st.st_ino, name};
}

static struct place place_at(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? place_of(&st) : (struct place){0};
}

static struct place output_of(const struct cdp_common *c)
{
    return c->output && strcmp(c->output, "-") != 0 ? place_named(c->output) : place_at(STDOUT_FILENO);
}

static bool same(struct place a, struct place b)
{
    return a.known && b.known && a.dev == b.dev && a.ino == b.ino && strcmp(a.name, b.name) == 0;
}

void cdp_flow_side(struct cdp_flow *f, const char *option, const char *path)
{
    struct cdp_flow_private *run = f->priv;
    if (path && strcmp(path, "-") != 0)
        run->side[run->sides++] = (struct cdp_flow_side){option, path};
}

int cdp_flow_apart(const struct cdp_flow *f, struct cdp_err *err)
{
    const struct cdp_flow_private *run = f->priv;
    struct place place[CDP_FLOW_SIDES], output = output_of(f->common);
    for (size_t i = 0; i < run->sides; i++) {
        const struct cdp_flow_side *side = &run->side[i];
        place[i] = place_named(side->path);
        if (same(place[i], output))
            return cdp_err_set(err, CDP_EXIT_USAGE, "%s '%s' is the output", side->option, side->path);
        for (size_t j = 0; j < i; j++)
            if (same(place[i], place[j]))
                return cdp_err_set(err, CDP_EXIT_USAGE, "%s '%s' is the file of %s, too", side->option,
                                   side->path, run->side[j].option);
    }
    return 0;
}

int cdp_flow_inputs(const struct cdp_flow *f, const char *const *name, size_t n, struct cdp_err *err)
{
    static const char *const standard_input[] = {"-"};
    const struct cdp_flow_private *run = f->priv;
    struct place side[CDP_FLOW_SIDES] = {0}, output = output_of(f->common);
    if (!same(output, place_at(STDOUT_FILENO))) /* a file that -o names is replaced when all is read */
        output.known = false;
    for (size_t i = 0; i < run->sides; i++)
        if (run->side[i].path != f->common->stats)
            side[i] = place_named(run->side[i].path);
    name = n ? name : standard_input;
    for (size_t i = 0; i < n || i == 0; i++) {
        struct place in = strcmp(name[i], "-") == 0 ? place_at(STDIN_FILENO) : place_named(name[i]);
        if (same(in, output))
            return cdp_err_set(err, CDP_EXIT_USAGE, "%s: is an input and the output", name[i]);
        for (size_t j = 0; j < run->sides; j++)
            if (same(in, side[j]))
                return cdp_err_set(err, CDP_EXIT_USAGE, "%s: is an input and the file of %s", name[i],
                                   run->side[j].option);
    }
    return 0;
}
