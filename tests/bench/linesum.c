/* linesum: a checksum of a file's lines that does not depend on their order, to compare answers of any size.
 *
 *     linesum < FILE     prints the number of lines and the sum of their hashes
 *
 * The hash is 64-bit FNV-1a over eight bytes at a time with a final mix: enough to tell answers apart, no more. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash(const char *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u ^ n, w;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&w, p, 8);
        h = (h ^ w) * 0x100000001b3u;
        h ^= h >> 29;
    }
    w = 0;
    memcpy(&w, p, n);
    h = (h ^ w) * 0xbf58476d1ce4e5b9u;
    return h ^ (h >> 32);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    uint64_t lines = 0, sum = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0; lines++)
        sum += hash(line, (size_t)n - (line[n - 1] == '\n'));
    free(line);
    if (ferror(stdin)) {
        perror("linesum");
        return 3;
    }
    return printf("%" PRIu64 " lines %016" PRIx64 "\n", lines, sum) < 0 ? 3 : 0;
}
