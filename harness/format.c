#include "harness/format.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unit_is(const char *unit, const char *name) {
    return unit && !strcmp(unit, name);
}

static int scaled(const char *unit) {
    return unit_is(unit, "fraction") || unit_is(unit, "points");
}

static int decimals_of(double scale) {
    scale = fabs(scale);
    if (scale >= 1000) return 0;
    if (scale >= 10) return 1;
    if (scale >= 1) return 2;
    return 3;
}

/* Digits with a typographic minus; a rounded zero has no sign. */
static void write_digits(char buffer[32], double value, int decimals, int plus) {
    char digits[24];
    const char *sign = "";

    snprintf(digits, sizeof digits, "%.*f", decimals, fabs(value));
    if (strspn(digits, "0.") < strlen(digits)) sign = value < 0 ? "−" : plus ? "+" : "";
    snprintf(buffer, 32, "%s%s", sign, digits);
}

/* Two digits, no zeros in the exponent: "2.1e−5", "−3.0e12". */
static void write_power(char buffer[32], double value) {
    char digits[24], *e;

    snprintf(digits, sizeof digits, "%.1e", fabs(value));
    e = strchr(digits, 'e');
    *e = '\0';
    snprintf(buffer, 32, "%s%se%s%d", value < 0 ? "−" : "", digits, e[1] == '-' ? "−" : "", atoi(e + 2));
}

static void write_p(char buffer[32], double p) {
    if (p >= 0.1)
        snprintf(buffer, 32, "%.2f", p);
    else if (p >= 0.001)
        snprintf(buffer, 32, p >= 0.01 ? "%.3f" : "%.4f", p);
    else if (p >= 1e-15)
        write_power(buffer, p);
    else
        snprintf(buffer, 32, "< 1e−15");
}

const char *format_digits(char buffer[32], double value, const char *unit, double scale) {
    if (isnan(value))
        snprintf(buffer, 32, "–");
    else if (isinf(value))
        snprintf(buffer, 32, "%s∞", value < 0 ? "−" : "");
    else if (unit_is(unit, "p"))
        write_p(buffer, value);
    else if (fabs(value) >= 1e12)
        write_power(buffer, value);
    else if (scaled(unit))
        write_digits(buffer, 100 * value, 1, unit_is(unit, "points"));
    else if (unit_is(unit, "count"))
        write_digits(buffer, value, 0, 0);
    else if (fabs(value) >= 1e7 || (value != 0 && fabs(scale) < 0.001))
        write_power(buffer, value);
    else
        write_digits(buffer, value, decimals_of(scale), 0);
    return buffer;
}

const char *format_number(char buffer[32], double value, const char *unit) {
    format_digits(buffer, value, unit, value);
    if (scaled(unit) && isfinite(value)) strcat(buffer, unit_is(unit, "fraction") ? " %" : " pp");
    return buffer;
}

static double size_of(const struct metric *metric) {
    double size = isfinite(metric->value) ? fabs(metric->value) : 0;

    if (isfinite(metric->low)) size = fmax(size, fabs(metric->low));
    if (isfinite(metric->high)) size = fmax(size, fabs(metric->high));
    return size;
}

int metric_is_difference(const struct metric *metric) {
    return metric->baseline && !strstr(metric->name, "win");
}

double metric_centre(const struct metric *metric) {
    return metric->baseline && !metric_is_difference(metric) ? 0.5 : 0;
}

int metric_seeds(const struct metric *metric) {
    int count = 0;

    for (int i = 0; metric->per_seed && i < metric->seeds; i++) count += !isnan(metric->per_seed[i]);
    return count;
}

int metric_seeds_agree(const struct metric *metric) {
    double centre = metric_centre(metric), effect = metric->value - centre;

    if (metric_seeds(metric) < 2) return 1;
    for (int i = 0; i < metric->seeds; i++)
        if ((metric->per_seed[i] - centre) * effect <= 0) return 0;
    return 1;
}

const char *metric_unit(const struct metric *metric) {
    return unit_is(metric->unit, "fraction") && metric_is_difference(metric) ? "points" : metric->unit;
}

const char *metric_raw_unit(const struct metric *metric) {
    return scaled(metric->unit) ? "fraction" : metric->unit;
}

const char *unit_in_heading(const struct metric *metric) {
    return !metric->unit || scaled(metric->unit) ? "" : metric->unit;
}

/* Of a difference: from a baseline, or of two splits. */
static int has_sign(const struct metric *metric) {
    size_t length = strlen(metric->name);

    return metric_is_difference(metric) || (length > 4 && !strcmp(metric->name + length - 4, "_gap"));
}

static void write_figure(char buffer[32], const struct metric *metric, double value) {
    char digits[32];
    int plus;

    format_digits(digits, value, metric_unit(metric), size_of(metric));
    plus = has_sign(metric) && value > 0 && *digits != '+' && strspn(digits, "0.") < strlen(digits);
    snprintf(buffer, 32, "%s%.30s", plus ? "+" : "", digits);
}

const char *format_amount(char buffer[32], double amount, double step, const char *unit) {
    const char *prefixes = step == 1024 ? " KMGTPE" : " kMGTPE";
    int place = 0;

    if (amount <= 0) return "-";
    while (amount >= 999.5 && place < 6) {
        amount /= step;
        place++;
    }
    if (place)
        snprintf(buffer, 32, "%.3g %c%s%s", amount, prefixes[place], step == 1024 ? "i" : "", unit);
    else
        snprintf(buffer, 32, "%.3g %s", amount, unit);
    return buffer;
}

const char *format_bytes(char buffer[32], double bytes) {
    return bytes > 0 ? format_amount(buffer, bytes, 1024, "B") : "nothing";
}

int metric_at_floor(const struct metric *metric) {
    return metric->p_floor > 0 && metric->p <= metric->p_floor * (1 + 1e-9);
}

const char *format_p(char buffer[32], double p, int at_floor) {
    char digits[32];

    format_digits(digits, p, "p", 1);
    snprintf(buffer, 32, "%s%.24s", at_floor && p < 1 ? "≤ " : "", digits);
    return buffer;
}

void format_metric(struct metric_text *out, const struct metric *metric) {
    write_figure(out->value, metric, metric->value);
    if (scaled(metric->unit) && isfinite(metric->value))
        strcat(out->value, unit_is(metric_unit(metric), "fraction") ? " %" : " pp");
    write_figure(out->low, metric, metric->low);
    write_figure(out->high, metric, metric->high);
    format_p(out->p, metric->p, metric_at_floor(metric));
    format_p(out->p_adjusted, metric->p_adjusted, metric_at_floor(metric));
}

char *format_estimate(const struct metric *metric) {
    struct metric_text figures;

    format_metric(&figures, metric);
    if (isnan(metric->value) || isnan(metric->low) || isnan(metric->high)) return xstrdup(figures.value);
    return xprintf("%s [%s, %s]", figures.value, figures.low, figures.high);
}

char *format_bounds(const struct metric *metric) {
    char low[32], high[32];

    if (isnan(metric->worst) || isnan(metric->best)) return NULL;
    write_figure(low, metric, fmin(metric->worst, metric->best));
    write_figure(high, metric, fmax(metric->worst, metric->best));
    return xprintf("⟨%s, %s⟩", low, high);
}

const char *format_seed(char buffer[32], const struct metric *metric, int seed) {
    write_figure(buffer, metric, metric->per_seed[seed]);
    return buffer;
}

char *format_over_seeds(const struct metric *metric) {
    char low[32], high[32], p[32];

    if (isnan(metric->p_seeds)) return NULL;
    write_figure(low, metric, metric->seeds_low);
    write_figure(high, metric, metric->seeds_high);
    format_number(p, metric->p_seeds, "p");
    return xprintf("over %d seeds [%s, %s], p%s %s", metric_seeds(metric), low, high, *p == '<' ? "" : " =",
                   p);
}

const char *format_stars(const struct metric *metric) {
    double p = metric->p_adjusted;

    if (!metric_seeds_agree(metric)) return "";
    return p < 0.001 ? "***" : p < 0.01 ? "**" : p < 0.05 ? "*" : "";
}

const char *format_disagreement(const struct metric *metric) {
    return metric->p_adjusted < 0.05 && !metric_seeds_agree(metric) ? "seeds disagree" : "";
}

char *format_name(const char *name) {
    char *copy = xstrdup(name ? name : "");

    for (char *c = copy; *c; c++)
        if (*c == '_') *c = ' ';
    return copy;
}

/* The code point at `text` and its length in bytes; length 0 if the bytes are no UTF-8. */
static uint32_t decode(const unsigned char *text, int *length) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int bytes = *text < 0x80   ? 1
                : *text < 0xc2 ? 0
                : *text < 0xe0 ? 2
                : *text < 0xf0 ? 3
                : *text < 0xf5 ? 4
                               : 0;
    uint32_t code = bytes == 1 ? *text : *text & (0x7fu >> bytes);

    *length = 0;
    if (!bytes) return 0;
    for (int i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (text[i] & 0x3f);
    }
    if (code < least[bytes] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
    *length = bytes;
    return code;
}

/* Direction marks, zero-width characters, fillers, line separators, tags and noncharacters: seen by no
   reader. The two common variation selectors stay, since emoji have them. */
static int unseen(uint32_t code) {
    static const uint32_t ranges[][2] = {
        {0x80, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},    {0x61c, 0x61c},   {0x115f, 0x1160},
        {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},  {0x2028, 0x202e}, {0x2060, 0x206f},
        {0x3164, 0x3164},   {0xfe00, 0xfe0d},   {0xfeff, 0xfeff},  {0xffa0, 0xffa0}, {0xfff0, 0xfffb},
        {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (code >= ranges[i][0] && code <= ranges[i][1]) return 1;
    return (code & 0xfffe) == 0xfffe;
}

char *text_visible(const char *text) {
    const unsigned char *at = (const unsigned char *)(text ? text : "");
    struct text out = {0};

    text_add(&out, "", 0);
    while (*at) {
        int length;
        uint32_t code = decode(at, &length);

        if (!length)
            text_printf(&out, "⟨%02x⟩", *at);
        else if (code == '\t')
            text_printf(&out, "⇥\t");
        else if (code < 0x20 && code != '\n')
            text_printf(&out, "\xe2\x90%c", (int)(0x80 + code)); /* U+2400 + code */
        else if (code == 0x7f)
            text_printf(&out, "␡");
        else if (unseen(code))
            text_printf(&out, "⟨U+%04X⟩", code);
        else
            text_add(&out, (const char *)at, length);
        at += length ? length : 1;
    }
    return out.data ? out.data : xstrdup("");
}

/* Copies text, with replacement(at) standing for the character there if it has one. */
static void add_replaced(struct text *out, const char *text, const char *(*replacement)(const char *at)) {
    char *visible = text_visible(text);

    for (const char *c = visible; *c; c++) {
        const char *other = replacement(c);
        text_add(out, other ? other : c, other ? strlen(other) : 1);
    }
    free(visible);
}

static const char *html_entity(const char *at) {
    switch (*at) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void text_add_html(struct text *out, const char *text) {
    add_replaced(out, text, html_entity);
}

/* Brackets make links only before another or a parenthesis; so intervals stay readable. */
static const char *markdown_escape(const char *at) {
    static const char marks[] = "\\`*_<>#|~&";
    static const char escaped[][3] = {"\\\\", "\\`", "\\*", "\\_", "\\<", "\\>", "\\#", "\\|", "\\~", "\\&"};
    const char *mark = strchr(marks, *at);

    if (*at == '\n') return " ⏎ ";
    if (*at == ']' && at[1] && strchr("[(:", at[1])) return "\\]";
    return mark ? escaped[mark - marks] : NULL;
}

void text_add_markdown(struct text *out, const char *text) {
    add_replaced(out, text, markdown_escape);
}

static const char *latex_escape(char c) {
    switch (c) {
    case '\\':
        return "\\textbackslash{}";
    case '^':
        return "\\textasciicircum{}";
    case '~':
        return "\\textasciitilde{}";
    case '"':
        return "\\textquotedbl{}";
    case '\'':
        return "\\textquotesingle{}";
    case '`':
        return "\\textasciigrave{}";
    case '<':
        return "\\textless{}";
    case '>':
        return "\\textgreater{}";
    case '|':
        return "\\textbar{}";
    case '\n':
        return "{} $\\hookleftarrow$ ";
    case '\t':
        return " ";
    default:
        return NULL;
    }
}

/* What other characters are in LaTeX; the rest of Latin stands as it is. */
static const struct {
    uint32_t code;
    const char *command;
} latex_signs[] = {{0x0391, "A"},
                   {0x0394, "$\\Delta$"},
                   {0x03a3, "$\\Sigma$"},
                   {0x03b1, "$\\alpha$"},
                   {0x03b2, "$\\beta$"},
                   {0x03b3, "$\\gamma$"},
                   {0x03b4, "$\\delta$"},
                   {0x03b5, "$\\varepsilon$"},
                   {0x03ba, "$\\kappa$"},
                   {0x03bb, "$\\lambda$"},
                   {0x03bc, "$\\mu$"},
                   {0x03c0, "$\\pi$"},
                   {0x03c1, "$\\rho$"},
                   {0x03c3, "$\\sigma$"},
                   {0x03c4, "$\\tau$"},
                   {0x03c6, "$\\varphi$"},
                   {0x03c7, "$\\chi$"},
                   {0x03c8, "$\\psi$"},
                   {0x03c9, "$\\omega$"},
                   {0x2013, "\\textendash{}"},
                   {0x2014, "\\textemdash{}"},
                   {0x2018, "\\textquoteleft{}"},
                   {0x2019, "\\textquoteright{}"},
                   {0x201c, "\\textquotedblleft{}"},
                   {0x201d, "\\textquotedblright{}"},
                   {0x201e, "\\quotedblbase{}"},
                   {0x2022, "\\textbullet{}"},
                   {0x2026, "\\dots{}"},
                   {0x20ac, "\\texteuro{}"},
                   {0x2122, "\\texttrademark{}"},
                   {0x2190, "$\\leftarrow$"},
                   {0x2191, "$\\uparrow$"},
                   {0x2192, "$\\rightarrow$"},
                   {0x2193, "$\\downarrow$"},
                   {0x21e5, "$\\mapsto$"},
                   {0x2212, "$-$"},
                   {0x221a, "$\\surd$"},
                   {0x221e, "$\\infty$"},
                   {0x2248, "$\\approx$"},
                   {0x2260, "$\\neq$"},
                   {0x2264, "$\\leq$"},
                   {0x2265, "$\\geq$"},
                   {0x27e8, "$\\langle$"},
                   {0x27e9, "$\\rangle$"}};

/* Characters beyond ASCII that LaTeX sets from T1 and TS1 without being told how. */
static int latex_knows(uint32_t code) {
    static const uint32_t unknown[] = {0xa0,  0xad,  0x108, 0x109, 0x126, 0x127, 0x138,
                                       0x13f, 0x140, 0x149, 0x166, 0x167, 0x17f, 0};

    if (code < 0xa0 || code > 0x17f) return 0;
    for (int i = 0; unknown[i]; i++)
        if (code == unknown[i]) return 0;
    return 1;
}

static void add_latex_sign(struct text *out, uint32_t code, const char *bytes, int length) {
    for (size_t i = 0; i < sizeof latex_signs / sizeof *latex_signs; i++)
        if (latex_signs[i].code == code) {
            text_printf(out, "%s", latex_signs[i].command);
            return;
        }
    if (code >= 0x2400 && code <= 0x2420) code -= 0x2400; /* a picture of a control character */
    if (code == 0x2421) code = 0x7f;
    if (latex_knows(code))
        text_add(out, bytes, (size_t)length);
    else
        text_printf(out, "[U+%04X]", code);
}

void text_add_latex(struct text *out, const char *text) {
    char *visible = text_visible(text);

    for (const char *c = visible; *c;) {
        const char *command = latex_escape(*c);
        int length;
        uint32_t code = decode((const unsigned char *)c, &length);

        if (command)
            text_printf(out, "%s", command);
        else if (strchr("{}$&#%_", *c))
            text_printf(out, "\\%c", *c);
        else if (strchr("-,", *c) && c[1] == *c)
            text_printf(out, "%c{}", *c);
        else if (code < 0x80)
            text_add(out, c, 1);
        else
            add_latex_sign(out, code, c, length);
        c += length;
    }
    free(visible);
}

void text_add_csv(struct text *out, const char *text) {
    text = text ? text : "";
    if (!strpbrk(text, ",\"\r\n")) {
        text_add(out, text, strlen(text));
        return;
    }
    text_add(out, "\"", 1);
    for (; *text; text++) text_add(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    text_add(out, "\"", 1);
}
