/* The scanner for x86-64 processors with AVX2; compiled with -mavx2 and called only where the processor has
 * it. */
#if defined(__x86_64__)
#define SCAN_LINE cdp_scan_line_avx2
#include "lib/scan_impl.h"
#else
typedef int cdp_scan_no_avx2;
#endif
