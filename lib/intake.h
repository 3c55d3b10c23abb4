/* intake: inputs as they stand to a state: which to read, from where on, and how far they were read (lib/state). */
#ifndef CDP_INTAKE_H
#define CDP_INTAKE_H

#include "lib/flow.h"
#include "lib/inputs.h"
#include "lib/state.h"

struct cdp_intake_file;

struct cdp_intake {
    struct cdp_inputs *inputs;
    struct cdp_state state;
    struct cdp_intake_file *file; /* of each input */
};

/* Compares the inputs (borrowed, until the intake is freed) with a state file (NULL: none) and takes those out that have
 * not changed since. */
int cdp_intake_compare(struct cdp_intake *in, struct cdp_inputs *inputs, const char *state,
                       struct cdp_err *err);

/* Opens input i where this run goes on, and not beyond the size that the next state will tell, however it grows. */
struct cdp_arc *cdp_intake_open(struct cdp_intake *in, size_t i, struct cdp_err *err);

/* A stream of input i begins: plain, its bytes are those of the file.  A file of which a stream is not wanted is not noted. */
void cdp_intake_stream(struct cdp_intake *in, size_t i, bool plain, bool wanted);

/* Lines of input i that earlier runs have read. */
uint64_t cdp_intake_lines(const struct cdp_intake *in, size_t i);

/* Notes a block as read, in its turn. */
void cdp_intake_block(struct cdp_intake *in, const struct cdp_batch *b);

/* After all was read and written: the state for the next run. */
int cdp_intake_save(struct cdp_intake *in, const char *next_state, struct cdp_err *err);

void cdp_intake_free(struct cdp_intake *in);

#endif
