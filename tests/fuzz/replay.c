/* replay: runs a fuzz target over the files of a corpus and says in TAP that it came through.
 *
 * Linked with one tests/fuzz/fuzz_X.c in place of libFuzzer, and built with the sanitizers, which abort on a
 * fault: a plan that is not fulfilled is the failure, and the comment before it names the file. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    uint8_t *data = NULL;
    size_t size = 0, cap = 0, got;
    do {
        if (size == cap) {
            cap = cap ? cap * 2 : 4096;
            uint8_t *more = realloc(data, cap);
            if (!more)
                abort();
            data = more;
        }
        got = fread(data + size, 1, cap - size, f);
        size += got;
    } while (got);
    fclose(f);
    /* An exact copy, so that a read past the end is seen. */
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        abort();
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    struct dirent **entry;
    int n = scandir(folder, &entry, NULL, alphasort), files = 0;
    if (n < 0)
        n = 0;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.') {
            printf("# %s\n", path);
            fflush(stdout);
            files += replay(path) == 0;
        }
        free(entry[i]);
    }
    if (n > 0)
        free(entry);
    printf("ok 1 - %d inputs of %s\n1..1\n", files, folder);
    return 0;
}
