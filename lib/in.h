/* in: operands → blocks of whole lines.
 *
 * A block holds whole lines of one source, the last one given a '\n' where it had none, with CDP_PAD readable bytes
 * behind it.  A BOM at a source's start is skipped.  A reader belongs to one thread at a time: flow takes turns. */
#ifndef CDP_IN_H
#define CDP_IN_H

#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CDP_BLOCK_SIZE ((size_t)256 << 10)
#define CDP_MAX_RECORD ((size_t)64 << 20)

struct cdp_in;
struct cdp_arc;

struct cdp_in_opts {
    size_t block;      /* aimed-at bytes of a block; 0: CDP_BLOCK_SIZE */
    size_t max_record; /* a longer line is an error of exit status 1; 0: CDP_MAX_RECORD */
    /* Called before a read that would wait (all lines so far have been handed out), and each second while it does: flush
     * what is buffered. */
    int (*idle)(void *arg, struct cdp_err *err);
    void *idle_arg;
    /* How to open operand i; NULL: cdp_arc_open of its name. */
    struct cdp_arc *(*open)(void *arg, size_t i, struct cdp_err *err);
    /* Whether to read a stream of operand i; plain: its bytes are those of the file.  NULL: all are read. */
    bool (*want)(void *arg, size_t i, const char *name, bool plain);
    void *source_arg;
    bool pieces; /* a line longer than max_record is no error but comes as several blocks, see inside */
};

struct cdp_block {
    char *data;      /* owned by the block; reused from one cdp_in_next to the next */
    size_t len, cap; /* whole lines */
    uint64_t seq;    /* 0, 1, … over all operands */
    size_t operand;  /* index among the names */
    uint32_t source; /* index for cdp_in_source_name */
    uint64_t offset; /* byte offset of data in its source (unpacked) */
    bool first;      /* the source's first block */
    int fd; /* with first: of the plain regular file that the source is, to read it again; -1.  The block's own */
    bool own_fd;
    uint64_t done, size; /* as cdp_in_progress has them when the block was read */
    uint64_t file_at;    /* where data is in that file */
    bool added_newline;  /* the last line's '\n' is not in the source */
    bool inside_start;   /* (pieces) it begins inside a line, of which the block before holds a piece */
    bool inside_end;     /* (pieces) it ends inside a line and is nothing else */
};

/* The length of line that a max_record asked for comes to: the default for 0, and never more than a reader can take. */
size_t cdp_in_max_record(uint64_t asked);

/* names: file operands ("-" is standard input); none is standard input.  The strings must outlive the reader. */
struct cdp_in *cdp_in_open(const char *const *names, size_t n, const struct cdp_in_opts *opts,
                           struct cdp_err *err);

/* The next block into *b (zero-initialised before its first use): 1, 0 at the end, -1 and *err. */
int cdp_in_next(struct cdp_in *in, struct cdp_block *b, struct cdp_err *err);

/* The name of a source, for messages; "-" for standard input.  Lives as long as the reader.  Thread-safe. */
const char *cdp_in_source_name(struct cdp_in *in, uint32_t source);

/* Bytes handed out so far, after unpacking. */
uint64_t cdp_in_bytes(const struct cdp_in *in);

/* For progress: bytes of the operands read so far and their size in all, as they lie on disk; 0 where a pipe makes it
 * unknown. */
void cdp_in_progress(const struct cdp_in *in, uint64_t *done, uint64_t *size);

void cdp_in_close(struct cdp_in *in);
void cdp_block_free(struct cdp_block *b);

#endif
