/* Numbers have one spelling everywhere; texts from models can neither hide nor run. */
#include "harness/format.h"
#include "harness/tabular.h"
#include "harness/wrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h> /* last: it defines a macro named fail */

static void number_is(double value, const char *unit, const char *expected) {
    char buffer[32];

    ck_assert_str_eq(format_number(buffer, value, unit), expected);
}

START_TEST(numbers_follow_their_unit)
{
    number_is(0.153, "fraction", "15.3 %");
    number_is(1, "fraction", "100.0 %");
    number_is(0.153, "points", "+15.3 pp");
    number_is(-0.02, "points", "−2.0 pp");
    number_is(12, "count", "12");
    number_is(0.512345, NULL, "0.512");
    number_is(3.14159, "nats", "3.14");
    number_is(31.4159, "tokens", "31.4");
    number_is(31415.9, "tokens", "31416");
    number_is(-2.5, "nats", "−2.50");
    number_is(0.000042, NULL, "4.2e−5");
    number_is(-3e12, NULL, "−3.0e12");
}
END_TEST

START_TEST(gaps_between_splits_have_a_sign)
{
    struct metric metric = {.name = "gold_gap", .unit = "score", .value = 0.25, .low = -0.125, .high = 0.625};
    char *text = format_estimate(&metric);

    ck_assert_str_eq(text, "+0.250 [−0.125, +0.625]");
    free(text);
    metric.name = "rm_accuracy_gap";
    metric.unit = "points";
    text = format_estimate(&metric);
    ck_assert_str_eq(text, "+25.0 pp [−12.5, +62.5]");
    free(text);
    metric.name = "gap"; /* of the proxy to gold */
    metric.unit = "score";
    text = format_estimate(&metric);
    ck_assert_str_eq(text, "0.250 [−0.125, 0.625]");
    free(text);
}
END_TEST

START_TEST(p_values_keep_two_digits)
{
    number_is(0.73, "p", "0.73");
    number_is(0.0412, "p", "0.041");
    number_is(0.00412, "p", "0.0041");
    number_is(0.000021, "p", "2.1e−5");
    number_is(0, "p", "< 1e−15");
    number_is(1, "p", "1.00");
}
END_TEST

START_TEST(what_is_no_number_is_a_dash)
{
    number_is(NAN, "fraction", "–");
    number_is(NAN, NULL, "–");
    number_is(NAN, "p", "–");
    number_is(INFINITY, NULL, "∞");
    number_is(-INFINITY, "fraction", "−∞");
}
END_TEST

START_TEST(a_rounded_zero_has_no_sign)
{
    number_is(-0.00001, "points", "0.0 pp");
    number_is(0.00001, "points", "0.0 pp");
    number_is(-0.0, NULL, "0.000");
}
END_TEST

START_TEST(any_number_fits_its_buffer)
{
    static const char *const units[] = {"fraction", "points", "count", "p", "tokens", NULL};
    static const double values[] = {1e15, -1e15, 1e-300, -1e-300, 12345.678, -0.5};
    char buffer[32];

    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) ck_assert_uint_lt(strlen(format_number(buffer, values[j], units[i])), 32);
    format_number(buffer, 1e300, "fraction");
    format_number(buffer, -1e300, "points");
    ck_assert_uint_lt(strlen(buffer), 32);
}
END_TEST

static void estimate_is(const struct metric *metric, const char *expected) {
    char *estimate = format_estimate(metric);

    ck_assert_str_eq(estimate, expected);
    free(estimate);
}

START_TEST(an_interval_has_the_decimals_of_its_largest)
{
    struct metric metric = {.name = "tokens", .value = 9.5, .low = 8.25, .high = 10.75};

    estimate_is(&metric, "9.5 [8.2, 10.8]");
    metric.high = NAN;
    estimate_is(&metric, "9.50");
    metric.value = NAN;
    estimate_is(&metric, "–");
}
END_TEST

START_TEST(differences_carry_their_sign_and_points)
{
    struct metric metric = {.name = "refused",
                            .baseline = "sft",
                            .unit = "fraction",
                            .value = 0.321,
                            .low = 0.25,
                            .high = -0.001};
    double seeds[] = {0.3, -0.01};
    char buffer[32];

    estimate_is(&metric, "+32.1 pp [+25.0, −0.1]");
    metric.per_seed = seeds;
    ck_assert_str_eq(format_seed(buffer, &metric, 0), "+30.0");
    ck_assert_str_eq(format_seed(buffer, &metric, 1), "−1.0");
    metric.unit = "tokens";
    estimate_is(&metric, "+0.321 [+0.250, −0.001]");
    metric.name = "win_rate";
    metric.unit = "fraction";
    ck_assert(!metric_is_difference(&metric));
    ck_assert_str_eq(metric_raw_unit(&metric), "fraction");
    estimate_is(&metric, "32.1 % [25.0, −0.1]");
}
END_TEST

START_TEST(stars_are_for_corrected_p_only)
{
    struct metric metric = {.p = 1e-9, .p_adjusted = NAN};

    ck_assert_str_eq(format_stars(&metric), "");
    metric.p_adjusted = 0.049;
    ck_assert_str_eq(format_stars(&metric), "*");
    metric.p_adjusted = 0.0099;
    ck_assert_str_eq(format_stars(&metric), "**");
    metric.p_adjusted = 0;
    ck_assert_str_eq(format_stars(&metric), "***");
}
END_TEST

START_TEST(a_p_that_draws_cannot_make_smaller_is_a_bound)
{
    struct metric metric = {.name = "drift", .p = 1e-5, .p_adjusted = 4.2e-4, .p_floor = NAN};
    struct metric_text shown;
    char buffer[32];

    format_metric(&shown, &metric);
    ck_assert_str_eq(shown.p, "1.0e−5");
    metric.p_floor = 1e-5;
    format_metric(&shown, &metric);
    ck_assert_str_eq(shown.p, "≤ 1.0e−5");
    ck_assert_str_eq(shown.p_adjusted, "≤ 4.2e−4");
    metric.p = 2e-5;
    ck_assert(!metric_at_floor(&metric));
    ck_assert_str_eq(format_p(buffer, 1, 1), "1.00"); /* at most 1 is no news */
}
END_TEST

START_TEST(seeds_on_both_sides_take_the_stars_away)
{
    double seeds[] = {0.194, -0.001, NAN};
    struct metric metric = {.name = "refused",
                            .baseline = "sft",
                            .unit = "fraction",
                            .value = 0.065,
                            .p_adjusted = 1e-4,
                            .seeds = 3,
                            .per_seed = seeds,
                            .seeds_low = -0.22,
                            .seeds_high = 0.35,
                            .p_seeds = 0.42};
    char *over = format_over_seeds(&metric);

    ck_assert_str_eq(format_stars(&metric), "");
    ck_assert_str_eq(format_disagreement(&metric), "seeds disagree");
    ck_assert_str_eq(over, "over 2 seeds [−22.0, +35.0], p = 0.42");
    free(over);
    metric.p_adjusted = 0.06; /* nothing was found that seeds could deny */
    ck_assert_str_eq(format_disagreement(&metric), "");
    metric.p_adjusted = 1e-4;
    seeds[1] = 0; /* no difference is on no side */
    ck_assert(!metric_seeds_agree(&metric));
    seeds[1] = 0.001;
    ck_assert_str_eq(format_stars(&metric), "***");
    ck_assert_str_eq(format_disagreement(&metric), "");
    metric.name = "win_rate"; /* its seeds have lost, but it is above one half */
    metric.value = 0.51;
    ck_assert(!metric_seeds_agree(&metric));
    metric.value = 0.49;
    ck_assert(metric_seeds_agree(&metric));
    metric.p_seeds = NAN;
    ck_assert_ptr_null(format_over_seeds(&metric));
}
END_TEST

static void visible_is(const char *text, const char *expected) {
    char *visible = text_visible(text);

    ck_assert_str_eq(visible, expected);
    free(visible);
}

START_TEST(what_hides_is_shown)
{
    visible_is("plain\nnext", "plain\nnext");
    visible_is(NULL, "");
    visible_is("\x1b[31m", "␛[31m");
    visible_is("a\rb\x7f", "a␍b␡");
    visible_is("\xe2\x80\xae", "⟨U+202E⟩");                 /* right-to-left override */
    visible_is("a\xe2\x80\x8b", "a⟨U+200B⟩");               /* zero width */
    visible_is("\xf3\xa0\x81\x81", "⟨U+E0041⟩");            /* a tag character */
    visible_is("\xe3\x85\xa4\xcd\x8f", "⟨U+3164⟩⟨U+034F⟩"); /* a filler, a joiner */
    visible_is("\xc3\xa9\xe2\x82\xac", "é€");
}
END_TEST

START_TEST(broken_utf8_is_shown_byte_by_byte)
{
    visible_is("\xff", "⟨ff⟩");
    visible_is("a\xc3", "a⟨c3⟩");                       /* cut short */
    visible_is("\xc0\xaf", "⟨c0⟩⟨af⟩");                 /* too long for '/' */
    visible_is("\xed\xa0\x80", "⟨ed⟩⟨a0⟩⟨80⟩");         /* a surrogate */
    visible_is("\xf4\x90\x80\x80", "⟨f4⟩⟨90⟩⟨80⟩⟨80⟩"); /* beyond Unicode */
}
END_TEST

static void written_is(void (*add)(struct text *out, const char *text), const char *text,
                       const char *expected) {
    struct text out = {0};

    text_add(&out, "", 0);
    add(&out, text);
    ck_assert_str_eq(out.data, expected);
    free(out.data);
}

START_TEST(html_is_escaped)
{
    written_is(text_add_html, "<a href=\"x\" o='1'>&", "&lt;a href=&quot;x&quot; o=&#39;1&#39;&gt;&amp;");
    written_is(text_add_html, NULL, "");
}
END_TEST

START_TEST(markdown_is_plain_text)
{
    written_is(text_add_markdown, "a|b *c* <d> `e`", "a\\|b \\*c\\* \\<d\\> \\`e\\`");
    written_is(text_add_markdown, "![x](http://y)", "![x\\](http://y)");
    written_is(text_add_markdown, "one\ntwo", "one ⏎ two");
    written_is(text_add_markdown, "15.3 % [10.2, 21.5]", "15.3 % [10.2, 21.5]");
}
END_TEST

START_TEST(csv_quotes_when_it_must)
{
    written_is(text_add_csv, "plain", "plain");
    written_is(text_add_csv, "a,b", "\"a,b\"");
    written_is(text_add_csv, "say \"hi\"\n", "\"say \"\"hi\"\"\n\"");
    written_is(text_add_csv, NULL, "");
}
END_TEST

START_TEST(names_lose_their_underscores)
{
    char *name = format_name("over_refusal_benign");

    ck_assert_str_eq(name, "over refusal benign");
    free(name);
}
END_TEST

static void is_latex(const char *text, const char *want) {
    struct text out = {0};

    text_add(&out, "", 0);
    text_add_latex(&out, text);
    ck_assert_str_eq(out.data, want);
    free(out.data);
}

START_TEST(nothing_in_a_text_is_latex)
{
    is_latex("50 % \\foo{$x_1^2$} & #~",
             "50 \\% \\textbackslash{}foo\\{\\$x\\_1\\textasciicircum{}2\\$\\} \\& "
             "\\#\\textasciitilde{}");
    is_latex("a--b,,c", "a-{}-b,{},c"); /* no ligatures */
    is_latex("?`!`", "?\\textasciigrave{}!\\textasciigrave{}");
    is_latex("\"'<>|", "\\textquotedbl{}\\textquotesingle{}\\textless{}\\textgreater{}\\textbar{}");
    is_latex("a\n\nb", "a{} $\\hookleftarrow$ {} $\\hookleftarrow$ b"); /* no paragraph */
    is_latex("−1 é ∞", "$-$1 é $\\infty$");
    is_latex("中😀ſ", "[U+4E2D][U+1F600][U+017F]"); /* not in the fonts */
    is_latex("\x1b\x7f\xff", "[U+001B][U+007F]$\\langle$ff$\\rangle$");
    is_latex("\xe2\x80\xae", "$\\langle$U+202E$\\rangle$");
}
END_TEST

/* Two tables: an interval and a p, one of them missing; a list whose fields the first does not have. */
static char *written(enum tabular_format format) {
    static const char *const headings[] = {"policy", "win rate", "p (Holm)", "value", NULL},
                             *const others[] = {"policy", "C", NULL};
    struct tabular tables[2] = {{.title = "Rates", .headings = headings},
                                {.title = "Fits, raw", .headings = others}};
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    struct node *row = tabular_add(&tables[0]);

    tabular_cell(row, "a, \"b\"");
    tabular_interval(row, "50.0 % [25.0, 75.0]", 0.5, 0.25, 0.75);
    tabular_p(row, 2.5e-7);
    tabular_interval(row, "–", NAN, NAN, NAN);
    row = tabular_add(&tables[1]);
    node_add_number(tabular_cell(row, "3 of 4"), "known", 3);
    tabular_number(row, "%.1f", INFINITY);
    tabular_note(&tables[0], "A sentence.");
    tabular_write_all(tables, 2, format, out);
    fclose(out);
    for (int t = 0; t < 2; t++) tabular_free(&tables[t]);
    return text;
}

START_TEST(tables_are_one_json_document_of_numbers)
{
    char *text = written(TABULAR_JSON);
    struct error err;
    struct node *whole = document_parse_json(text, strlen(text), "tables", 1, &err);
    const struct node *tables = node_get(whole, "tables"), *row;

    ck_assert_ptr_nonnull(whole);
    ck_assert_int_eq(tables->count, 2);
    ck_assert_str_eq(node_text(tables->first, "table", ""), "Rates");
    ck_assert_str_eq(node_get(tables->first, "notes")->first->text, "A sentence.");
    row = node_get(tables->first, "rows")->first;
    ck_assert_str_eq(node_text(row, "policy", ""), "a, \"b\"");
    ck_assert_double_eq(node_number(row, "win_rate", 0), 0.5);
    ck_assert_double_eq(node_number(row, "win_rate_low", 0), 0.25);
    ck_assert_double_eq(node_number(row, "win_rate_high", 0), 0.75);
    ck_assert_double_eq(node_number(row, "p_holm", 0), 2.5e-7);
    ck_assert_int_eq(node_get(row, "value")->kind, NODE_NULL);
    ck_assert_int_eq(node_get(row, "low")->kind, NODE_NULL);
    row = node_get(tables->last, "rows")->first;
    ck_assert_double_eq(node_number(row, "known", 0), 3);
    ck_assert_int_eq(node_get(row, "c")->kind, NODE_NULL);
    node_free(whole);
    free(text);
}
END_TEST

START_TEST(tables_in_csv_share_one_header)
{
    char *text = written(TABULAR_CSV);

    ck_assert_str_eq(text, "table,policy,win_rate,win_rate_low,win_rate_high,p_holm,value,low,high,known,c\n"
                           "Rates,\"a, \"\"b\"\"\",0.5,0.25,0.75,2.5e-07,,,,,\n"
                           "\"Fits, raw\",,,,,,,,,3,\n");
    free(text);
}
END_TEST

START_TEST(tables_for_people_keep_their_texts)
{
    char *text = written(TABULAR_TEXT);

    ck_assert_str_eq(text, "Rates\n"
                           "policy  win rate             p (Holm)  value\n"
                           "a, \"b\"  50.0 % [25.0, 75.0]  2.5e−7    –\n"
                           "A sentence.\n"
                           "\n"
                           "Fits, raw\n"
                           "policy  C\n"
                           "3 of 4  –\n");
    free(text);
}
END_TEST

static void wraps(const char *text, int column, int indent, int width, const char *expected) {
    struct text out = {0};

    wrap_text(&out, text, column, indent, width);
    ck_assert_str_eq(out.data, expected);
    free(out.data);
}

START_TEST(lines_break_between_words)
{
    wraps("one two three", 0, 2, 7, "one two\n  three");
    wraps("one two three", 0, 2, 13, "one two three");
    wraps("one two three", 4, 2, 7, "one\n  two\n  three");
    wraps("  a    b", 0, 4, 7, "  a\n    b"); /* blanks at a break go, those within a line stay */
    wraps("  a    b", 0, 4, 8, "  a    b");
    wraps("ä ö ü", 0, 0, 3, "ä ö\nü");
    wraps("unbreakable a", 0, 1, 4, "unbreakable\n a");
    wraps("one\ntwo three\n", 0, 2, 5, "one\ntwo\n  three\n");
    wraps("one two three", 0, 2, 0, "one two three");
    wraps("", 0, 2, 5, "");
}
END_TEST

static Suite *format_suite(void) {
    Suite *suite = suite_create("format");
    TCase *numbers = tcase_create("numbers"), *texts = tcase_create("texts"),
          *tables = tcase_create("tables");

    tcase_add_test(numbers, nothing_in_a_text_is_latex);
    tcase_add_test(numbers, numbers_follow_their_unit);
    tcase_add_test(numbers, gaps_between_splits_have_a_sign);
    tcase_add_test(numbers, p_values_keep_two_digits);
    tcase_add_test(numbers, what_is_no_number_is_a_dash);
    tcase_add_test(numbers, a_rounded_zero_has_no_sign);
    tcase_add_test(numbers, any_number_fits_its_buffer);
    tcase_add_test(numbers, an_interval_has_the_decimals_of_its_largest);
    tcase_add_test(numbers, differences_carry_their_sign_and_points);
    tcase_add_test(numbers, stars_are_for_corrected_p_only);
    tcase_add_test(numbers, a_p_that_draws_cannot_make_smaller_is_a_bound);
    tcase_add_test(numbers, seeds_on_both_sides_take_the_stars_away);
    tcase_add_test(texts, what_hides_is_shown);
    tcase_add_test(texts, broken_utf8_is_shown_byte_by_byte);
    tcase_add_test(texts, html_is_escaped);
    tcase_add_test(texts, markdown_is_plain_text);
    tcase_add_test(texts, csv_quotes_when_it_must);
    tcase_add_test(texts, names_lose_their_underscores);
    tcase_add_test(texts, lines_break_between_words);
    tcase_add_test(tables, tables_are_one_json_document_of_numbers);
    tcase_add_test(tables, tables_in_csv_share_one_header);
    tcase_add_test(tables, tables_for_people_keep_their_texts);
    suite_add_tcase(suite, numbers);
    suite_add_tcase(suite, texts);
    suite_add_tcase(suite, tables);
    return suite;
}

int main(void) {
    SRunner *runner = srunner_create(format_suite());
    int failures;

    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
