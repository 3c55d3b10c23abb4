/* The scanner for what every processor of the architecture has. */
#define SCAN_LINE cdp_scan_line_base
#include "lib/scan_impl.h"

const char *const cdp_scan_base_name = CDP_SIMD_NAME;
