/* simd: see simd.h. */
#include "lib/simd.h"

#define EIGHT(c) c, c, c, c, c, c, c, c
#define ALL(c)                                                                                               \
    {                                                                                                        \
        EIGHT(c), EIGHT(c), EIGHT(c), EIGHT(c)                                                               \
    }

_Alignas(32) const char cdp_simd_marks[3][32] = {ALL('"'), ALL('\\'), ALL(0x1f)};
