/* gz_isal: how ISA-L's packer is begun; only where CDP_HAVE_ISAL is defined.
 *
 * Of a stream's first position without history, the library's loop for level 2 (version 2.30, igzip_icf_body_h1_gr_bt.asm) hashes
 * the address of its own state instead of the bytes, so that one stream in 20,000 came out a few bytes longer, depending on
 * where the memory happened to lie.  Its code for the end of a block does not do that.  The first bytes are sent that way, which
 * costs six bytes a stream. */
#ifndef CDP_GZ_ISAL_H
#define CDP_GZ_ISAL_H

#include <isa-l/igzip_lib.h>

#define CDP_ISAL_FIRST 4 /* bytes: what is hashed */

/* Packs the first bytes of a stream of which nothing was packed yet.  The room for output is 1 KiB at least. */
static inline int cdp_isal_first(struct isal_zstream *s)
{
    uint32_t rest = s->avail_in;
    uint16_t flush = s->flush, last = s->end_of_stream;
    if (rest <= CDP_ISAL_FIRST)
        return COMP_OK;
    rest -= CDP_ISAL_FIRST;
    s->avail_in = CDP_ISAL_FIRST;
    s->end_of_stream = 0;
    s->flush = SYNC_FLUSH;
    int rc = isal_deflate(s);
    s->avail_in += rest;
    s->end_of_stream = last;
    s->flush = flush;
    return rc;
}

#endif
