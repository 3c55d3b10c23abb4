/* country: a table of names and codes, and a hash table over their plain forms.
 *
 * The plain form of a name is its letters and digits in lower case, without accents and the words that come and go
 * ("The Gambia", "Bosnia & Herzegovina").  Open addressing, FNV-1a; about 1,600 forms, 30 kB.  Codes: ISO 3166-1;
 * names: ISO's short and official ones, Unicode CLDR's, and what is met in exports.  A name that more than one country
 * goes by ("Virgin Islands") is left out: better an error than a guess. */
#include "lib/country.h"

#include "lib/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 4096
#define LONGEST 96 /* bytes of a plain form */

static const struct row {
    char alpha2[3], alpha3[4];
    short number;
    const char *names;
} rows[] = {
    /* clang-format off */
    {"AD", "AND", 20, "Andorra|Principality of Andorra"},
    {"AE", "ARE", 784, "United Arab Emirates|UAE|Emirates"},
    {"AF", "AFG", 4, "Afghanistan|Islamic Republic of Afghanistan"},
    {"AG", "ATG", 28, "Antigua & Barbuda|Antigua"},
    {"AI", "AIA", 660, "Anguilla"},
    {"AL", "ALB", 8, "Albania|Republic of Albania"},
    {"AM", "ARM", 51, "Armenia|Republic of Armenia"},
    {"AN", "ANT", 530, "Netherlands Antilles|Dutch Antilles"},
    {"AO", "AGO", 24, "Angola|Republic of Angola"},
    {"AQ", "ATA", 10, "Antarctica|Antarctica (the territory South of 60 deg S)"},
    {"AR", "ARG", 32, "Argentina|Argentine Republic|Argentine"},
    {"AS", "ASM", 16, "American Samoa|Samoa (American)"},
    {"AT", "AUT", 40, "Austria|Republic of Austria"},
    {"AU", "AUS", 36, "Australia"},
    {"AW", "ABW", 533, "Aruba"},
    {"AX", "ALA", 248, "Aland Islands|Aland"},
    {"AZ", "AZE", 31, "Azerbaijan|Republic of Azerbaijan"},
    {"BA", "BIH", 70, "Bosnia & Herzegovina|Republic of Bosnia and Herzegovina|Bosnia|Bosnia-Hercegovina"},
    {"BB", "BRB", 52, "Barbados"},
    {"BD", "BGD", 50, "Bangladesh|People's Republic of Bangladesh"},
    {"BE", "BEL", 56, "Belgium|Kingdom of Belgium"},
    {"BF", "BFA", 854, "Burkina Faso|Upper Volta"},
    {"BG", "BGR", 100, "Bulgaria|Republic of Bulgaria"},
    {"BH", "BHR", 48, "Bahrain|Kingdom of Bahrain"},
    {"BI", "BDI", 108, "Burundi|Republic of Burundi"},
    {"BJ", "BEN", 204, "Benin|Republic of Benin|Dahomey"},
    {"BL", "BLM", 652, "St. Barthelemy|St. Barts|Saint Barth"},
    {"BM", "BMU", 60, "Bermuda"},
    {"BN", "BRN", 96, "Brunei|Brunei Darussalam"},
    {"BO", "BOL", 68, "Bolivia|Bolivia, Plurinational State of|Plurinational State of Bolivia"},
    {"BQ", "BES", 535, "Caribbean Netherlands|Bonaire, Sint Eustatius and Saba|Bonaire, Saint Eustatius and Saba"},
    {"BR", "BRA", 76, "Brazil|Federative Republic of Brazil"},
    {"BS", "BHS", 44, "Bahamas|Commonwealth of the Bahamas"},
    {"BT", "BTN", 64, "Bhutan|Kingdom of Bhutan"},
    {"BV", "BVT", 74, "Bouvet Island|Bouvet Island (Bouvetoya)"},
    {"BW", "BWA", 72, "Botswana|Republic of Botswana"},
    {"BY", "BLR", 112, "Belarus|Republic of Belarus|Byelorussia|Belorussia"},
    {"BZ", "BLZ", 84, "Belize"},
    {"CA", "CAN", 124, "Canada"},
    {"CC", "CCK", 166, "Cocos (Keeling) Islands|Cocos Islands|Keeling Islands"},
    {"CD", "COD", 180, "Congo - Kinshasa|Congo, The Democratic Republic of the|DR Congo|DRC|Zaire|Democratic Republic Congo|Congo, Dem. Rep.|Congo DR"},
    {"CF", "CAF", 140, "Central African Republic|CAR|Central African Rep."},
    {"CG", "COG", 178, "Congo - Brazzaville|Congo|Republic of the Congo|Congo, Republic of the|Congo, Rep."},
    {"CH", "CHE", 756, "Switzerland|Swiss Confederation"},
    {"CI", "CIV", 384, "Cote d'Ivoire|Republic of Cote d'Ivoire|Ivory Coast"},
    {"CK", "COK", 184, "Cook Islands"},
    {"CL", "CHL", 152, "Chile|Republic of Chile"},
    {"CM", "CMR", 120, "Cameroon|Republic of Cameroon"},
    {"CN", "CHN", 156, "China|People's Republic of China|PRC|Mainland China|China, People's Republic of|PR China"},
    {"CO", "COL", 170, "Colombia|Republic of Colombia"},
    {"CR", "CRI", 188, "Costa Rica|Republic of Costa Rica"},
    {"CU", "CUB", 192, "Cuba|Republic of Cuba"},
    {"CV", "CPV", 132, "Cape Verde|Cabo Verde|Republic of Cabo Verde|Republic of Cape Verde"},
    {"CW", "CUW", 531, "Curacao"},
    {"CX", "CXR", 162, "Christmas Island"},
    {"CY", "CYP", 196, "Cyprus|Republic of Cyprus"},
    {"CZ", "CZE", 203, "Czechia|Czech Republic"},
    {"DE", "DEU", 276, "Germany|Federal Republic of Germany"},
    {"DJ", "DJI", 262, "Djibouti|Republic of Djibouti"},
    {"DK", "DNK", 208, "Denmark|Kingdom of Denmark"},
    {"DM", "DMA", 212, "Dominica|Commonwealth of Dominica"},
    {"DO", "DOM", 214, "Dominican Republic|Dominican Rep."},
    {"DZ", "DZA", 12, "Algeria|People's Democratic Republic of Algeria"},
    {"EC", "ECU", 218, "Ecuador|Republic of Ecuador"},
    {"EE", "EST", 233, "Estonia|Republic of Estonia"},
    {"EG", "EGY", 818, "Egypt|Arab Republic of Egypt|Egypt, Arab Rep."},
    {"EH", "ESH", 732, "Western Sahara|Sahrawi"},
    {"ER", "ERI", 232, "Eritrea|the State of Eritrea"},
    {"ES", "ESP", 724, "Spain|Kingdom of Spain"},
    {"ET", "ETH", 231, "Ethiopia|Federal Democratic Republic of Ethiopia"},
    {"FI", "FIN", 246, "Finland|Republic of Finland"},
    {"FJ", "FJI", 242, "Fiji|Republic of Fiji"},
    {"FK", "FLK", 238, "Falkland Islands|Falkland Islands (Malvinas)|Falklands|Malvinas"},
    {"FM", "FSM", 583, "Micronesia|Micronesia, Federated States of|Federated States of Micronesia"},
    {"FO", "FRO", 234, "Faroe Islands|Faeroe Islands|Faroes"},
    {"FR", "FRA", 250, "France|French Republic"},
    {"GA", "GAB", 266, "Gabon|Gabonese Republic"},
    {"GB", "GBR", 826, "United Kingdom|United Kingdom of Great Britain and Northern Ireland|UK|Great Britain|Britain|England|Scotland|Wales|Northern Ireland|United Kingdom of Great Britain|U.K. of Great Britain and Northern Ireland"},
    {"GD", "GRD", 308, "Grenada"},
    {"GE", "GEO", 268, "Georgia"},
    {"GF", "GUF", 254, "French Guiana"},
    {"GG", "GGY", 831, "Guernsey"},
    {"GH", "GHA", 288, "Ghana|Republic of Ghana"},
    {"GI", "GIB", 292, "Gibraltar"},
    {"GL", "GRL", 304, "Greenland"},
    {"GM", "GMB", 270, "Gambia|Republic of the Gambia"},
    {"GN", "GIN", 324, "Guinea|Republic of Guinea"},
    {"GP", "GLP", 312, "Guadeloupe"},
    {"GQ", "GNQ", 226, "Equatorial Guinea|Republic of Equatorial Guinea"},
    {"GR", "GRC", 300, "Greece|Hellenic Republic"},
    {"GS", "SGS", 239, "South Georgia & South Sandwich Islands|South Georgia"},
    {"GT", "GTM", 320, "Guatemala|Republic of Guatemala"},
    {"GU", "GUM", 316, "Guam"},
    {"GW", "GNB", 624, "Guinea-Bissau|Republic of Guinea-Bissau"},
    {"GY", "GUY", 328, "Guyana|Republic of Guyana"},
    {"HK", "HKG", 344, "Hong Kong SAR China|Hong Kong|Hong Kong Special Administrative Region of China|Hong Kong SAR|Hong Kong, China"},
    {"HM", "HMD", 334, "Heard & McDonald Islands|Heard Island and McDonald Islands|Heard Island"},
    {"HN", "HND", 340, "Honduras|Republic of Honduras"},
    {"HR", "HRV", 191, "Croatia|Republic of Croatia"},
    {"HT", "HTI", 332, "Haiti|Republic of Haiti"},
    {"HU", "HUN", 348, "Hungary"},
    {"ID", "IDN", 360, "Indonesia|Republic of Indonesia"},
    {"IE", "IRL", 372, "Ireland|Eire|Republic of Ireland|Irish Republic"},
    {"IL", "ISR", 376, "Israel|State of Israel"},
    {"IM", "IMN", 833, "Isle of Man|Man, Isle of"},
    {"IN", "IND", 356, "India|Republic of India"},
    {"IO", "IOT", 86, "British Indian Ocean Territory|British Indian Ocean Territory (Chagos Archipelago)|Chagos Archipelago|Chagos Islands|BIOT"},
    {"IQ", "IRQ", 368, "Iraq|Republic of Iraq"},
    {"IR", "IRN", 364, "Iran|Iran, Islamic Republic of|Islamic Republic of Iran|Persia"},
    {"IS", "ISL", 352, "Iceland|Republic of Iceland"},
    {"IT", "ITA", 380, "Italy|Italian Republic"},
    {"JE", "JEY", 832, "Jersey"},
    {"JM", "JAM", 388, "Jamaica"},
    {"JO", "JOR", 400, "Jordan|Hashemite Kingdom of Jordan"},
    {"JP", "JPN", 392, "Japan"},
    {"KE", "KEN", 404, "Kenya|Republic of Kenya"},
    {"KG", "KGZ", 417, "Kyrgyzstan|Kyrgyz Republic|Kirghizia|Kirgizstan"},
    {"KH", "KHM", 116, "Cambodia|Kingdom of Cambodia|Kampuchea"},
    {"KI", "KIR", 296, "Kiribati|Republic of Kiribati"},
    {"KM", "COM", 174, "Comoros|Union of the Comoros|Comoro Islands"},
    {"KN", "KNA", 659, "St. Kitts & Nevis|Saint Kitts"},
    {"KP", "PRK", 408, "North Korea|Korea, Democratic People's Republic of|Democratic People's Republic of Korea|DPRK|Korea, North|Korea DPR"},
    {"KR", "KOR", 410, "South Korea|Korea, Republic of|Korea|Korea, South|Republic of Korea|ROK|Korea, Rep.|S. Korea"},
    {"KW", "KWT", 414, "Kuwait|State of Kuwait"},
    {"KY", "CYM", 136, "Cayman Islands"},
    {"KZ", "KAZ", 398, "Kazakhstan|Republic of Kazakhstan"},
    {"LA", "LAO", 418, "Laos|Lao People's Democratic Republic|Lao PDR"},
    {"LB", "LBN", 422, "Lebanon|Lebanese Republic"},
    {"LC", "LCA", 662, "St. Lucia"},
    {"LI", "LIE", 438, "Liechtenstein|Principality of Liechtenstein"},
    {"LK", "LKA", 144, "Sri Lanka|Democratic Socialist Republic of Sri Lanka|Ceylon"},
    {"LR", "LBR", 430, "Liberia|Republic of Liberia"},
    {"LS", "LSO", 426, "Lesotho|Kingdom of Lesotho"},
    {"LT", "LTU", 440, "Lithuania|Republic of Lithuania"},
    {"LU", "LUX", 442, "Luxembourg|Grand Duchy of Luxembourg"},
    {"LV", "LVA", 428, "Latvia|Republic of Latvia"},
    {"LY", "LBY", 434, "Libya|Libyan Arab Jamahiriya"},
    {"MA", "MAR", 504, "Morocco|Kingdom of Morocco"},
    {"MC", "MCO", 492, "Monaco|Principality of Monaco"},
    {"MD", "MDA", 498, "Moldova|Moldova, Republic of|Republic of Moldova"},
    {"ME", "MNE", 499, "Montenegro"},
    {"MF", "MAF", 663, "St. Martin|Saint Martin (French part)|Saint-Martin (France)|Collectivity of Saint Martin"},
    {"MG", "MDG", 450, "Madagascar|Republic of Madagascar"},
    {"MH", "MHL", 584, "Marshall Islands|Republic of the Marshall Islands"},
    {"MK", "MKD", 807, "North Macedonia|Republic of North Macedonia|Macedonia|FYROM|Former Yugoslav Republic of Macedonia|Macedonia, the former Yugoslav Republic of|TFYR Macedonia|Republic of Macedonia|Macedonia, FYR"},
    {"ML", "MLI", 466, "Mali|Republic of Mali"},
    {"MM", "MMR", 104, "Myanmar (Burma)|Myanmar|Republic of Myanmar|Burma|Union of Myanmar"},
    {"MN", "MNG", 496, "Mongolia"},
    {"MO", "MAC", 446, "Macao SAR China|Macao|Macao Special Administrative Region of China|Macau|Macao SAR|Macau SAR|Macao, China"},
    {"MP", "MNP", 580, "Northern Mariana Islands|Commonwealth of the Northern Mariana Islands|Northern Marianas|CNMI"},
    {"MQ", "MTQ", 474, "Martinique"},
    {"MR", "MRT", 478, "Mauritania|Islamic Republic of Mauritania"},
    {"MS", "MSR", 500, "Montserrat"},
    {"MT", "MLT", 470, "Malta|Republic of Malta"},
    {"MU", "MUS", 480, "Mauritius|Republic of Mauritius"},
    {"MV", "MDV", 462, "Maldives|Republic of Maldives|Maldive Islands"},
    {"MW", "MWI", 454, "Malawi|Republic of Malawi"},
    {"MX", "MEX", 484, "Mexico|United Mexican States"},
    {"MY", "MYS", 458, "Malaysia"},
    {"MZ", "MOZ", 508, "Mozambique|Republic of Mozambique"},
    {"NA", "NAM", 516, "Namibia|Republic of Namibia"},
    {"NC", "NCL", 540, "New Caledonia"},
    {"NE", "NER", 562, "Niger|Republic of the Niger"},
    {"NF", "NFK", 574, "Norfolk Island"},
    {"NG", "NGA", 566, "Nigeria|Federal Republic of Nigeria"},
    {"NI", "NIC", 558, "Nicaragua|Republic of Nicaragua"},
    {"NL", "NLD", 528, "Netherlands|Kingdom of the Netherlands|Holland|Netherlands (Kingdom of the)"},
    {"NO", "NOR", 578, "Norway|Kingdom of Norway"},
    {"NP", "NPL", 524, "Nepal|Federal Democratic Republic of Nepal"},
    {"NR", "NRU", 520, "Nauru|Republic of Nauru"},
    {"NU", "NIU", 570, "Niue"},
    {"NZ", "NZL", 554, "New Zealand"},
    {"OM", "OMN", 512, "Oman|Sultanate of Oman"},
    {"PA", "PAN", 591, "Panama|Republic of Panama"},
    {"PE", "PER", 604, "Peru|Republic of Peru"},
    {"PF", "PYF", 258, "French Polynesia"},
    {"PG", "PNG", 598, "Papua New Guinea|Independent State of Papua New Guinea"},
    {"PH", "PHL", 608, "Philippines|Republic of the Philippines|Philippine Islands"},
    {"PK", "PAK", 586, "Pakistan|Islamic Republic of Pakistan"},
    {"PL", "POL", 616, "Poland|Republic of Poland"},
    {"PM", "SPM", 666, "St. Pierre & Miquelon"},
    {"PN", "PCN", 612, "Pitcairn Islands|Pitcairn"},
    {"PR", "PRI", 630, "Puerto Rico"},
    {"PS", "PSE", 275, "Palestinian Territories|Palestine, State of|the State of Palestine|Palestine|Palestinian Territory|Occupied Palestinian Territory|Palestinian Authority|West Bank and Gaza|Gaza|West Bank|Palestinian Territory, Occupied"},
    {"PT", "PRT", 620, "Portugal|Portuguese Republic"},
    {"PW", "PLW", 585, "Palau|Republic of Palau"},
    {"PY", "PRY", 600, "Paraguay|Republic of Paraguay"},
    {"QA", "QAT", 634, "Qatar|State of Qatar"},
    {"RE", "REU", 638, "Reunion|Reunion Island"},
    {"RO", "ROU", 642, "Romania|Rumania|Roumania"},
    {"RS", "SRB", 688, "Serbia|Republic of Serbia"},
    {"RU", "RUS", 643, "Russia|Russian Federation"},
    {"RW", "RWA", 646, "Rwanda|Rwandese Republic"},
    {"SA", "SAU", 682, "Saudi Arabia|Kingdom of Saudi Arabia"},
    {"SB", "SLB", 90, "Solomon Islands|Solomons"},
    {"SC", "SYC", 690, "Seychelles|Republic of Seychelles"},
    {"SD", "SDN", 729, "Sudan|Republic of the Sudan"},
    {"SE", "SWE", 752, "Sweden|Kingdom of Sweden"},
    {"SG", "SGP", 702, "Singapore|Republic of Singapore"},
    {"SH", "SHN", 654, "St. Helena|Saint Helena, Ascension and Tristan da Cunha|Ascension Island|Tristan da Cunha"},
    {"SI", "SVN", 705, "Slovenia|Republic of Slovenia"},
    {"SJ", "SJM", 744, "Svalbard & Jan Mayen|Svalbard & Jan Mayen Islands|Svalbard|Jan Mayen"},
    {"SK", "SVK", 703, "Slovakia|Slovak Republic|Slovakia (Slovak Republic)|Slovak Rep."},
    {"SL", "SLE", 694, "Sierra Leone|Republic of Sierra Leone"},
    {"SM", "SMR", 674, "San Marino|Republic of San Marino"},
    {"SN", "SEN", 686, "Senegal|Republic of Senegal"},
    {"SO", "SOM", 706, "Somalia|Federal Republic of Somalia"},
    {"SR", "SUR", 740, "Suriname|Republic of Suriname"},
    {"SS", "SSD", 728, "South Sudan|Republic of South Sudan"},
    {"ST", "STP", 678, "Sao Tome & Principe|Democratic Republic of Sao Tome and Principe|Sao Tome"},
    {"SV", "SLV", 222, "El Salvador|Republic of El Salvador|Salvador"},
    {"SX", "SXM", 534, "Sint Maarten|Sint Maarten (Dutch part)|St. Maarten|Sint Maarten (Netherlands)"},
    {"SY", "SYR", 760, "Syria|Syrian Arab Republic"},
    {"SZ", "SWZ", 748, "Eswatini|Kingdom of Eswatini|Swaziland|Eswatini (Swaziland)|Kingdom of Swaziland"},
    {"TC", "TCA", 796, "Turks & Caicos Islands|Turks & Caicos"},
    {"TD", "TCD", 148, "Chad|Republic of Chad"},
    {"TF", "ATF", 260, "French Southern Territories|French Southern and Antarctic Lands"},
    {"TG", "TGO", 768, "Togo|Togolese Republic"},
    {"TH", "THA", 764, "Thailand|Kingdom of Thailand"},
    {"TJ", "TJK", 762, "Tajikistan|Republic of Tajikistan"},
    {"TK", "TKL", 772, "Tokelau"},
    {"TL", "TLS", 626, "Timor-Leste|Democratic Republic of Timor-Leste|East Timor"},
    {"TM", "TKM", 795, "Turkmenistan"},
    {"TN", "TUN", 788, "Tunisia|Republic of Tunisia"},
    {"TO", "TON", 776, "Tonga|Kingdom of Tonga"},
    {"TR", "TUR", 792, "Turkey|Turkiye|Republic of Turkiye|Republic of Turkey"},
    {"TT", "TTO", 780, "Trinidad & Tobago|Republic of Trinidad and Tobago|Trinidad"},
    {"TV", "TUV", 798, "Tuvalu"},
    {"TW", "TWN", 158, "Taiwan|Taiwan, Province of China|Taiwan, Republic of China|Chinese Taipei|Taiwan ROC|Republic of China|Formosa"},
    {"TZ", "TZA", 834, "Tanzania|Tanzania, United Republic of|United Republic of Tanzania"},
    {"UA", "UKR", 804, "Ukraine"},
    {"UG", "UGA", 800, "Uganda|Republic of Uganda"},
    {"UM", "UMI", 581, "U.S. Outlying Islands|United States Minor Outlying Islands|US Minor Outlying Islands"},
    {"US", "USA", 840, "United States|United States of America|America|The States|United States (US)|United States of America (USA)|United States (USA)"},
    {"UY", "URY", 858, "Uruguay|Eastern Republic of Uruguay"},
    {"UZ", "UZB", 860, "Uzbekistan|Republic of Uzbekistan"},
    {"VA", "VAT", 336, "Vatican City|Holy See (Vatican City State)|Vatican|Holy See|Vatican City State"},
    {"VC", "VCT", 670, "St. Vincent & Grenadines|Saint Vincent"},
    {"VE", "VEN", 862, "Venezuela|Venezuela, Bolivarian Republic of|Bolivarian Republic of Venezuela"},
    {"VG", "VGB", 92, "British Virgin Islands|Virgin Islands, British|BVI"},
    {"VI", "VIR", 850, "U.S. Virgin Islands|Virgin Islands, U.S.|Virgin Islands of the United States|United States Virgin Islands|USVI"},
    {"VN", "VNM", 704, "Vietnam|Socialist Republic of Viet Nam"},
    {"VU", "VUT", 548, "Vanuatu|Republic of Vanuatu"},
    {"WF", "WLF", 876, "Wallis & Futuna|Wallis and Futuna Islands"},
    {"WS", "WSM", 882, "Samoa|Independent State of Samoa|Western Samoa"},
    {"XK", "XKX", 0, "Kosovo|Republic of Kosovo"},
    {"YE", "YEM", 887, "Yemen|Republic of Yemen|Yemen Arab Republic"},
    {"YT", "MYT", 175, "Mayotte"},
    {"ZA", "ZAF", 710, "South Africa|Republic of South Africa"},
    {"ZM", "ZMB", 894, "Zambia|Republic of Zambia"},
    {"ZW", "ZWE", 716, "Zimbabwe|Republic of Zimbabwe|Rhodesia"},
    /* clang-format on */
};

struct slot {
    uint32_t hash;
    uint32_t text;     /* offset of the plain form in `text` */
    uint16_t row, len; /* len 0: free */
};

struct cdp_country {
    struct slot slot[SLOTS];
    char text[16384];
    size_t used;
};

/* The letters U+00C0 … U+00FF without their accents; 0 where there is no plain letter. */
static const char latin1[65] = "aaaaaa\0ceeeeiiii\0nooooo\0ouuuuy\0\0aaaaaa\0ceeeeiiii\0nooooo\0ouuuuy\0y";

/* What the character at s (of n > 0 bytes left) is in a plain form: *c is a byte of a word, 0 where it is nothing
 * (apostrophes, full stops, combining accents) and ' ' where it ends a word.  Returns its length. */
static size_t plain_char(const unsigned char *s, size_t n, char *c)
{
    unsigned char b = *s;
    if (b < 0x80) {
        unsigned char lower = b | 32;
        if ((lower >= 'a' && lower <= 'z') || (b >= '0' && b <= '9'))
            *c = b >= 'A' ? (char)lower : (char)b;
        else
            *c = b == '.' || b == '\'' || b == '`' ? 0 : ' ';
        return 1;
    }
    if (n >= 2 && b == 0xc3 && latin1[s[1] & 63]) {
        *c = latin1[s[1] & 63];
        return 2;
    }
    if (n >= 2 && (b == 0xcc || (b == 0xcd && s[1] < 0xb0))) { /* U+0300 … U+036F */
        *c = 0;
        return 2;
    }
    if (n >= 2 && b == 0xc2 && s[1] == 0xa0) { /* no-break space */
        *c = ' ';
        return 2;
    }
    if (n >= 3 && b == 0xe2 && s[1] == 0x80 && (s[2] == 0x98 || s[2] == 0x99)) { /* typographic apostrophes */
        *c = 0;
        return 3;
    }
    *c = (char)b; /* of another script: part of a word, and of no name here */
    return 1;
}

/* Takes back a word that does not count, and spells "st" out.  Returns the length after it. */
static size_t end_word(char *out, size_t word, size_t len)
{
    size_t n = len - word;
    const char *w = out + word;
    if ((n == 3 && (memcmp(w, "the", 3) == 0 || memcmp(w, "and", 3) == 0)) ||
        (n == 2 && memcmp(w, "of", 2) == 0))
        return word;
    if (n == 2 && memcmp(w, "st", 2) == 0 && word + 5 <= LONGEST) {
        memcpy(out + word, "saint", 5);
        return word + 5;
    }
    return len;
}

/* The plain form of text: its length, 0 where there is none or it is longer than any name.  A word that stands alone
 * counts always: AND is Andorra, ST is Sao Tome and Principe. */
static size_t plain_form(const char *text, size_t n, char out[LONGEST])
{
    const unsigned char *s = (const unsigned char *)text, *end = s + n;
    char alone[3]; /* the first word as it was, where it is so short */
    size_t len = 0, word = 0, words = 0, first = 0;
    for (;;) {
        char c = ' ';
        bool last = s == end;
        if (!last)
            s += plain_char(s, (size_t)(end - s), &c);
        if (c == ' ' && len > word) {
            if (words++ == 0) {
                first = len;
                memcpy(alone, out, len < sizeof alone ? len : sizeof alone);
            }
            word = len = end_word(out, word, len);
        } else if (c && c != ' ') {
            if (len == LONGEST)
                return 0;
            out[len++] = c;
        }
        if (last)
            break;
    }
    if (words == 1 && first <= sizeof alone) {
        memcpy(out, alone, first);
        return first;
    }
    return len;
}

static uint32_t hash_of(const char *s, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h ^ h >> 15;
}

/* The slot that holds the plain form, or the free one where it belongs. */
static size_t slot_of(const struct cdp_country *c, const char *plain, size_t n, uint32_t hash)
{
    size_t i = hash % SLOTS;
    for (; c->slot[i].len; i = (i + 1) % SLOTS)
        if (c->slot[i].hash == hash && c->slot[i].len == n &&
            memcmp(c->text + c->slot[i].text, plain, n) == 0)
            break;
    return i;
}

static int add(struct cdp_country *c, size_t row, const char *name, size_t n, struct cdp_err *err)
{
    char plain[LONGEST];
    size_t len = plain_form(name, n, plain);
    uint32_t hash = hash_of(plain, len);
    size_t i = slot_of(c, plain, len, hash);
    if (!len || c->used + len > sizeof c->text || (c->slot[i].len && c->slot[i].row != row))
        return cdp_err_set(err, CDP_EXIT_IO, "table of countries: '%.*s' does not fit", (int)n, name);
    if (c->slot[i].len)
        return 0;
    memcpy(c->text + c->used, plain, len);
    c->slot[i] = (struct slot){hash, (uint32_t)c->used, (uint16_t)row, (uint16_t)len};
    c->used += len;
    return 0;
}

static int add_row(struct cdp_country *c, size_t row, struct cdp_err *err)
{
    const struct row *r = &rows[row];
    if (add(c, row, r->alpha2, 2, err) < 0 || add(c, row, r->alpha3, 3, err) < 0)
        return -1;
    for (const char *name = r->names; name;) {
        const char *end = strchr(name, '|');
        if (add(c, row, name, end ? (size_t)(end - name) : strlen(name), err) < 0)
            return -1;
        name = end ? end + 1 : NULL;
    }
    if (!r->number)
        return 0;
    char digits[3] = {(char)('0' + r->number / 100), (char)('0' + r->number / 10 % 10),
                      (char)('0' + r->number % 10)};
    for (size_t skip = 0; skip < 3 && (skip == 0 || digits[skip - 1] == '0'); skip++)
        if (add(c, row, digits + skip, 3 - skip, err) < 0)
            return -1;
    return 0;
}

struct cdp_country *cdp_country_new(struct cdp_err *err)
{
    struct cdp_country *c = cdp_mem_zalloc(1, sizeof *c, err);
    if (!c)
        return NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (add_row(c, i, err) < 0) {
            cdp_country_free(c);
            return NULL;
        }
    }
    return c;
}

void cdp_country_free(struct cdp_country *c)
{
    free(c);
}

bool cdp_country_find(const struct cdp_country *c, const char *text, size_t n, char alpha2[2])
{
    char plain[LONGEST];
    size_t len = plain_form(text, n, plain);
    if (!len)
        return false;
    const struct slot *s = &c->slot[slot_of(c, plain, len, hash_of(plain, len))];
    if (!s->len)
        return false;
    memcpy(alpha2, rows[s->row].alpha2, 2);
    return true;
}
