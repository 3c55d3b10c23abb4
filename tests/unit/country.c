/* Unit tests of lib/country. */
#include "lib/country.h"
#include "tests/unit/tap.h"

#include <stdlib.h>

static const struct cdp_country *table;

static const char *code(const char *text)
{
    static char alpha2[3];
    return cdp_country_find(table, text, strlen(text), alpha2) ? alpha2 : "no";
}

static void test_names(void)
{
    static const char *const good[][2] = {
        {"DE", "DE"},
        {"de", "DE"},
        {"DEU", "DE"},
        {"deu", "DE"},
        {"276", "DE"},
        {"Germany", "DE"},
        {" GERMANY ", "DE"},
        {"Federal Republic of Germany", "DE"},
        {"004", "AF"},
        {"04", "AF"},
        {"4", "AF"},
        {"USA", "US"},
        {"U.S.A.", "US"},
        {"U.S.", "US"},
        {"United States", "US"},
        {"America", "US"},
        {"The United States of America", "US"},
        {"UK", "GB"},
        {"U.K.", "GB"},
        {"England", "GB"},
        {"GBR", "GB"},
        {"Great Britain", "GB"},
        {"Korea", "KR"},
        {"South Korea", "KR"},
        {"Republic of Korea", "KR"},
        {"Korea, Republic of", "KR"},
        {"North Korea", "KP"},
        {"Democratic People's Republic of Korea", "KP"},
        {"Korea, Democratic People's Republic of", "KP"},
        {"C\xc3\xb4te d'Ivoire", "CI"},
        {"C\xc3\x94TE D\xe2\x80\x99IVOIRE", "CI"},
        {"Co\xcc\x82te d'Ivoire", "CI"},
        {"Cote dIvoire", "CI"},
        {"Ivory Coast", "CI"},
        {"Cura\xc3\xa7"
         "ao",
         "CW"},
        {"\xc3\x85land Islands", "AX"},
        {"R\xc3\xa9union", "RE"},
        {"S\xc3\xa3o Tom\xc3\xa9 and Pr\xc3\xadncipe", "ST"},
        {"T\xc3\xbcrkiye", "TR"},
        {"Turkey", "TR"},
        {"Czech Republic", "CZ"},
        {"Czechia", "CZ"},
        {"St. Lucia", "LC"},
        {"Saint Lucia", "LC"},
        {"St Vincent & the Grenadines", "VC"},
        {"Bosnia & Herzegovina", "BA"},
        {"Bosnia and Herzegovina", "BA"},
        {"The Gambia", "GM"},
        {"Bahamas, The", "BS"},
        {"Guinea", "GN"},
        {"Guinea-Bissau", "GW"},
        {"Dominica", "DM"},
        {"Dominican Republic", "DO"},
        {"Niger", "NE"},
        {"Nigeria", "NG"},
        {"Congo", "CG"},
        {"Democratic Republic of the Congo", "CD"},
        {"Viet Nam", "VN"},
        {"Vietnam", "VN"},
        {"Netherlands", "NL"},
        {"Holland", "NL"},
        {"Kosovo", "XK"},
        {"Netherlands Antilles", "AN"},
        {"Hong\xc2\xa0Kong", "HK"},
        {"Burma", "MM"},
        {"Myanmar", "MM"},
        {"Eswatini", "SZ"},
        {"Namibia", "NA"},
        {"NA", "NA"},
        {"NO", "NO"},
        {"AND", "AD"},
        {" and. ", "AD"},
        {"ST", "ST"},
        {"St.", "ST"},
    };
    static const char *const bad[] = {"",
                                      " ",
                                      ".",
                                      "the",
                                      "XX",
                                      "QQQ",
                                      "999",
                                      "0",
                                      "Virgin Islands",
                                      "Atlantis",
                                      "Germany!Austria",
                                      "\xd0\xa0\xd0\xbe",
                                      "Deutschlan\xff",
                                      "of and the"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        is(code(good[i][0]), good[i][1], good[i][0]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        is(code(bad[i]), "no", bad[i]);
    char longer[300];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    is(code(longer), "no", "longer than any name");
    memset(longer + 60, ' ', 200);
    memcpy(longer, "Germany                                                      ", 60);
    longer[60] = 0;
    is(code(longer), "DE", "blanks behind");
    char edge[97];
    memset(edge, 'x', 96);
    memcpy(edge + 93, " st", 3);
    edge[96] = 0;
    is(code(edge), "no", "a word that grows past the longest name");
}

/* The names that generators of test data use, which are those of an older ISO 3166. */
static void test_generated(void)
{
    static const char *const names[][2] = {
        {"Antarctica (the territory South of 60 deg S)", "AQ"},
        {"Bouvet Island (Bouvetoya)", "BV"},
        {"British Indian Ocean Territory (Chagos Archipelago)", "IO"},
        {"Brunei Darussalam", "BN"},
        {"Cape Verde", "CV"},
        {"Cocos (Keeling) Islands", "CC"},
        {"Cote d'Ivoire", "CI"},
        {"Falkland Islands (Malvinas)", "FK"},
        {"French Southern Territories", "TF"},
        {"Heard Island and McDonald Islands", "HM"},
        {"Holy See (Vatican City State)", "VA"},
        {"Kyrgyz Republic", "KG"},
        {"Lao People's Democratic Republic", "LA"},
        {"Libyan Arab Jamahiriya", "LY"},
        {"Macao", "MO"},
        {"Macedonia", "MK"},
        {"Micronesia", "FM"},
        {"Moldova", "MD"},
        {"Netherlands Antilles", "AN"},
        {"Palestinian Territory", "PS"},
        {"Pitcairn Islands", "PN"},
        {"Reunion", "RE"},
        {"Russian Federation", "RU"},
        {"Saint Barthelemy", "BL"},
        {"Saint Helena", "SH"},
        {"Saint Kitts and Nevis", "KN"},
        {"Saint Martin", "MF"},
        {"Saint Pierre and Miquelon", "PM"},
        {"Saint Vincent and the Grenadines", "VC"},
        {"Sao Tome and Principe", "ST"},
        {"Slovakia (Slovak Republic)", "SK"},
        {"South Georgia and the South Sandwich Islands", "GS"},
        {"Svalbard & Jan Mayen Islands", "SJ"},
        {"Swaziland", "SZ"},
        {"Syrian Arab Republic", "SY"},
        {"Taiwan", "TW"},
        {"Tanzania", "TZ"},
        {"Timor-Leste", "TL"},
        {"Turks and Caicos Islands", "TC"},
        {"United States Minor Outlying Islands", "UM"},
        {"United States of America", "US"},
        {"Virgin Islands, British", "VG"},
        {"Virgin Islands, U.S.", "VI"},
        {"Wallis and Futuna", "WF"},
        {"Western Sahara", "EH"},
        {"Iran", "IR"},
        {"Bolivia", "BO"},
        {"Venezuela", "VE"},
        {"Guernsey", "GG"},
        {"Isle of Man", "IM"},
        {"Jersey", "JE"},
        {"Faroe Islands", "FO"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        is(code(names[i][0]), names[i][1], names[i][0]);
}

int main(void)
{
    struct cdp_err err;
    struct cdp_country *c = cdp_country_new(&err);
    if (!ok(c != NULL, "the table has no name twice: %s", c ? "" : err.msg))
        return done();
    table = c;
    test_names();
    test_generated();
    cdp_country_free(c);
    return done();
}
