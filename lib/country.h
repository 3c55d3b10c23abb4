/* country: names and codes of countries → ISO 3166-1 alpha-2. */
#ifndef CDP_COUNTRY_H
#define CDP_COUNTRY_H

#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>

/* The index of names; built once (some 50 µs), then read-only and shared by threads. */
struct cdp_country;

struct cdp_country *cdp_country_new(struct cdp_err *err);
void cdp_country_free(struct cdp_country *c);

/* Finds the country that text names: an English name (usual, official, or a common variant), alpha-2, alpha-3 or
 * numeric code.  Case, punctuation, accents and the words "the", "of" and "and" do not count; "St." is "Saint".
 * Withdrawn: Netherlands Antilles is AN.  Without a code of its own in ISO 3166: Kosovo is XK, as is usual.
 * False where it names none. */
bool cdp_country_find(const struct cdp_country *c, const char *text, size_t n, char alpha2[2]);

#endif
