/* How numbers and texts are written: one formatter, so that every format prints the same digits; and texts
   from models made visible and harmless. */
#ifndef HARNESS_FORMAT_H
#define HARNESS_FORMAT_H

#include "harness/memory.h"
#include "harness/record.h"

/* "fraction": 0.153 → "15.3 %". "points": a difference of rates, 0.153 → "+15.3 pp". "p": "0.012", "2.1e−5".
   "count": whole. Any other unit: three digits or so, the unit left to the heading. NaN → "–". */
const char *format_number(char buffer[32], double value, const char *unit);
/* The same without the unit's sign, with as many decimals as a number of the size `scale` has. */
const char *format_digits(char buffer[32], double value, const char *unit, double scale);

/* "1.23 M", "4.5 GiB": three digits and a prefix for each factor of 1000 or 1024 (step); "-" for nothing. */
const char *format_amount(char buffer[32], double amount, double step, const char *unit);
const char *format_bytes(char buffer[32], double bytes); /* of memory: "4.5 GiB" */

/* A metric's figures as every format shows them: value with its unit; low and high with the value's decimals
   and no unit; a difference, from a baseline or of two splits (NAME_gap), with its sign, of a rate in points.
 */
struct metric_text {
    char value[32], low[32], high[32], p[32], p_adjusted[32];
};
void format_metric(struct metric_text *out, const struct metric *metric);
/* It has a baseline and is no share of wins. */
int metric_is_difference(const struct metric *metric);
/* The value that means no difference: 0, of a share of wins 1/2. */
double metric_centre(const struct metric *metric);
/* How many seeds have a value of their own. */
int metric_seeds(const struct metric *metric);
/* Every seed that has a value lies on the value's side of no difference; true of fewer than two. */
int metric_seeds_agree(const struct metric *metric);
/* The unit its value has: "points" for a difference of "fraction". NULL if it has none. */
const char *metric_unit(const struct metric *metric);
/* The unit of its number as files have it: "fraction" of shares and of their differences. NULL if it has
 * none. */
const char *metric_raw_unit(const struct metric *metric);
/* What a heading says of the unit: nothing where the figures carry it. */
const char *unit_in_heading(const struct metric *metric);
/* "15.3 % [10.2, 21.5]"; without the interval where there is none. Caller frees. */
char *format_estimate(const struct metric *metric);
/* "⟨33.2, 100.0⟩": what the value would be, had all missing judgments gone one way, and the other; NULL where
   that is not told. Caller frees. */
char *format_bounds(const struct metric *metric);
/* One seed's value, with the metric's decimals. */
const char *format_seed(char buffer[32], const struct metric *metric, int seed);
/* A p as shown: "2.1e−5"; "≤ 1.0e−5" where its test could show none smaller, which then holds of an adjusted
   p too. */
const char *format_p(char buffer[32], double p, int at_floor);
/* The metric's p is as small as its draws could show. */
int metric_at_floor(const struct metric *metric);
/* "over 3 seeds [−22.0, +35.0], p = 0.42"; NULL where that is not told. Caller frees. */
char *format_over_seeds(const struct metric *metric);
/* "", "*", "**", "***" for an adjusted p below 0.05, 0.01, 0.001, where the seeds agree. */
const char *format_stars(const struct metric *metric);
/* "seeds disagree" in the place of stars where they do not; else "". */
const char *format_disagreement(const struct metric *metric);

/* Names for headings: "over_refusal" → "over refusal". Caller frees. */
char *format_name(const char *name);

/* Valid UTF-8 in which control, direction and zero-width characters and broken bytes are shown, newlines
   kept. NULL gives "". Caller frees. */
char *text_visible(const char *text);
void text_add_html(struct text *out, const char *text);     /* escaped for content and attributes */
void text_add_markdown(struct text *out, const char *text); /* one line, nothing in it is markup */
/* For LaTeX's text mode: nothing in it is a command, ligature or comment; newlines are shown. Letters outside
   of T1's, and what text_visible() shows as a picture, become "[U+4E2D]". Needs textcomp. */
void text_add_latex(struct text *out, const char *text);
void text_add_csv(struct text *out, const char *text); /* a field, quoted if need be (RFC 4180) */

#endif
