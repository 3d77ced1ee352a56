/* YAML and JSON as one tree; records read line by line; every mistake named with its line. */
#include "harness/document.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "harness/file.h"
#include "harness/memory.h"

#define FOLDER "test_document.tmp"

#undef fail /* of check.h; ours is a function */

static struct error err;

static void clean(void) {
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void prepare(void) {
    clean();
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
}

static struct node *yaml(const char *text) {
    return document_parse_yaml(text, strlen(text), "a.yaml", &err);
}

static struct node *json(const char *text) {
    return document_parse_json(text, strlen(text), "a.json", 1, &err);
}

static void expect_json(struct node *node, const char *expected) {
    char *text;

    ck_assert_msg(node != NULL, "%s", err.message);
    text = node_json(node, 0);
    ck_assert_str_eq(text, expected);
    free(text);
    node_free(node);
}

START_TEST(yaml_words_become_what_they_mean)
{
    expect_json(
        yaml("{a: 1, b: -2.5e3, c: yes, d: true, e: ~, f: '1', g: .5, h: 1.2.3, i: 0x10, j: !!str 7}"),
        "{\"a\":1,\"b\":-2500,\"c\":\"yes\",\"d\":true,\"e\":null,\"f\":\"1\",\"g\":0.5,"
        "\"h\":\"1.2.3\",\"i\":\"0x10\",\"j\":\"7\"}");
    expect_json(yaml(""), "null");
    expect_json(yaml("[1, [2, {a: b}], e5, 1e5, '', +3]"), "[1,[2,{\"a\":\"b\"}],\"e5\",100000,\"\",3]");
}
END_TEST

START_TEST(yaml_anchors_are_copied_where_the_alias_stands)
{
    expect_json(yaml("a: &x {k: [1, 2]}\nb: *x\nc: [*x, &x 3, *x]"),
                "{\"a\":{\"k\":[1,2]},\"b\":{\"k\":[1,2]},\"c\":[{\"k\":[1,2]},3,3]}");
    ck_assert_ptr_null(yaml("a: *nothing"));
    ck_assert_str_eq(err.message, "a.yaml:1: the anchor \"nothing\" was not defined before");
    ck_assert_ptr_null(yaml("a: &x [*x]"));
}
END_TEST

START_TEST(nodes_remember_their_lines)
{
    struct node *node = yaml("# first\na: 1\nb:\n  c: [1,\n   2]\n");
    const struct node *list = node_get(node_get(node, "b"), "c");

    ck_assert_int_eq(node_get(node, "a")->line, 2);
    ck_assert_int_eq(node_get(node, "b")->line, 3);
    ck_assert_int_eq(list->line, 4);
    ck_assert_int_eq(list->last->line, 5);
    node_free(node);
    node = json("\n{\"a\": \"x\\\"{\",\n \"b\": [1,\n{\"c\": -1.50e1}]}\n");
    ck_assert_msg(node != NULL, "%s", err.message);
    ck_assert_int_eq(node->line, 2);
    ck_assert_int_eq(node_get(node, "b")->line, 3);
    ck_assert_int_eq(node_get(node, "b")->last->line, 4);
    ck_assert_str_eq(node_get(node_get(node, "b")->last, "c")->text, "-1.50e1");
    ck_assert_str_eq(node_get(node, "a")->text, "x\"{");
    node_free(node);
}
END_TEST

START_TEST(mistakes_in_yaml_have_their_line)
{
    static const char *const cases[][2] = {
        {"a: 1\nb: 2\na: 3\n", "a.yaml:3: the key \"a\" was already given in line 1; remove one of them"},
        {"a: [1\nb: 2\n", "a.yaml:2: not valid YAML"},
        {"a: 1\n\tb: 2\n", "a.yaml:2: not valid YAML"},
        {"a: 1\n---\nb: 2\n", "a.yaml:2: a second document begins"},
        {"? [a]\n: 1\n", "a.yaml:1: a key must be a word"},
        {"a: !!float 3", "a.yaml:1: the tag"},
        {"a: \xff", "a.yaml:1: the byte 0xff is not UTF-8"},
        {"a: 1\nb: \"\\0\"", "a.yaml:2: a NUL character"},
        {"a: 1e999", "a.yaml:1: the number 1e999 is too large"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(yaml(cases[i][0]) == NULL, "accepted: %s", cases[i][0]);
        ck_assert_msg(!strncmp(err.message, cases[i][1], strlen(cases[i][1])), "%s", err.message);
    }
}
END_TEST

START_TEST(mistakes_in_json_have_their_line)
{
    static const char *const cases[][2] = {
        {"{\"a\": 1,\n\"a\": 2}", "a.json:2: the key \"a\" was already given in line 1"},
        {"{\"a\": 1,\n\"b\" 2}", "a.json:2: not valid JSON near"},
        {"[1,\n2] x", "a.json:2: text follows"},
        {"", "a.json:1: not valid JSON"},
        {"[1,]", "a.json:1: not valid JSON"},
        {"[01]", "a.json:1: 01 is not a JSON number"},
        {"[1.]", "a.json:1: 1. is not a JSON number"},
        {"[1e999]", "a.json:1: the number 1e999 is too large"},
        {"[nan]", "a.json:1: not valid JSON"},
        {"[\"a\nb\"]", "a.json:1: a control character inside a string"},
        {"[\"\\u0000\"]", "a.json:1: the character \\u0000"},
        {"[\"\\ud800\"]", "a.json:1: not valid JSON"},
        {"[\"\xc0\xaf\"]", "a.json:1: the byte 0xc0 is not UTF-8"},
        {"\n[\"\xed\xa0\x80\"]", "a.json:2: the byte 0xed is not UTF-8"},
        {"[\"\xf4\x90\x80\x80\"]", "a.json:1: the byte 0xf4 is not UTF-8"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(json(cases[i][0]) == NULL, "accepted: %s", cases[i][0]);
        ck_assert_msg(!strncmp(err.message, cases[i][1], strlen(cases[i][1])), "%s", err.message);
    }
}
END_TEST

START_TEST(depth_has_a_limit)
{
    char deep[4001];

    memset(deep, '[', 2000);
    memset(deep + 2000, ']', 2000);
    deep[4000] = '\0';
    ck_assert_ptr_null(json(deep));
    ck_assert_str_eq(err.message, "a.json:1: nested more than 100 deep");
    ck_assert_ptr_null(yaml(deep));
    ck_assert_str_eq(err.message, "a.yaml:1: nested more than 100 deep");
    node_free(
        json("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
             "[[[[[[[[[[[[[[[[[[\"]"));
    expect_json(json("[[[\"[\\\"[\"]]]"), "[[[\"[\\\"[\"]]]");
}
END_TEST

START_TEST(a_bomb_of_aliases_is_stopped)
{
    struct text bomb = {0};

    text_printf(&bomb, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++)
        text_printf(&bomb, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1,
                    i - 1, i - 1, i - 1);
    ck_assert_ptr_null(yaml(bomb.data));
    ck_assert_ptr_nonnull(strstr(err.message, "more than 1000000 values"));
    free(bomb.data);
}
END_TEST

START_TEST(numbers_read_back_the_same)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {1.0 / 3, "0.3333333333333333"},
                 {1e22, "1e+22"},
                 {-0.0, "-0"},
                 {5e-324, "4.94065645841247e-324"},
                 {123456789012345, "123456789012345"},
                 {NAN, "null"},
                 {-INFINITY, "null"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct node *list = node_new(NODE_LIST);
        char *text;

        node_add_number(list, NULL, cases[i].value);
        text = node_json(list, 0);
        ck_assert_msg(!strncmp(text + 1, cases[i].text, strlen(cases[i].text)), "%s", text);
        if (isfinite(cases[i].value)) ck_assert_double_eq(strtod(text + 1, NULL), cases[i].value);
        free(text);
        node_free(list);
    }
}
END_TEST

START_TEST(reals_are_told_from_whole_numbers)
{
    struct node *list = node_new(NODE_LIST), *copy;
    char *text;

    node_add_real(list, NULL, 30);
    node_add_real(list, NULL, -0.5);
    node_add_real(list, NULL, 1e22);
    node_add_real(list, NULL, NAN);
    node_add_number(list, NULL, 30);
    copy = node_copy(list);
    text = node_json(copy, 0);
    ck_assert_str_eq(text, "[30.0,-0.5,1e+22,null,30]");
    free(text);
    node_free(copy);
    node_free(list);
}
END_TEST

START_TEST(strings_survive_the_round_trip)
{
    const char *text = "quote \" back \\ line\n tab\t bell\a é € 😀";
    struct node *map = node_new(NODE_MAP), *again;
    char *line;

    node_add_text(map, "t", text);
    node_add_text(map, "cut", "a\xe2\x82z\xff");
    line = node_json(map, 0);
    ck_assert_ptr_null(strchr(line, '\n'));
    again = json(line);
    ck_assert_msg(again != NULL, "%s", err.message);
    ck_assert_str_eq(node_text(again, "t", NULL), text);
    ck_assert_str_eq(node_text(again, "cut", NULL), "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd");
    expect_json(json("[\"\\ud83d\\ude00\\u00e9\\/\"]"), "[\"😀é/\"]");
    free(line);
    node_free(map);
    node_free(again);
}
END_TEST

START_TEST(trees_are_built_looked_up_and_changed)
{
    struct node *map = node_new(NODE_MAP), *list;
    char *text;

    node_add_text(map, "name", "x");
    node_add_bool(map, "good", 5);
    node_add_text(map, "none", NULL);
    list = node_add(map, "list", NODE_LIST);
    node_add_number(list, NULL, 2);
    node_add_copy(list, NULL, map);
    node_set_text(map, "list", "now a text");
    node_set_text(map, "new", "added");
    ck_assert_str_eq(node_text(map, "name", "-"), "x");
    ck_assert_str_eq(node_text(map, "none", "-"), "-");
    ck_assert_double_eq(node_number(map, "good", 7), 1);
    ck_assert_double_eq(node_number(map, "name", 7), 7);
    ck_assert_ptr_null(node_get(NULL, "name"));
    ck_assert_ptr_null(node_get(node_get(map, "name"), "name"));
    text = node_json(map, 2);
    ck_assert_str_eq(text, "{\n  \"name\": \"x\",\n  \"good\": true,\n  \"none\": null,\n"
                           "  \"list\": \"now a text\",\n  \"new\": \"added\"\n}");
    free(text);
    node_free(map);
}
END_TEST

START_TEST(a_line_is_printed_or_refused)
{
    struct node *map = node_new(NODE_MAP);
    FILE *file = tmpfile(), *full = fopen("/dev/full", "w");
    char line[32] = "";

    node_add_text(map, "said", "\"a\"\n");
    ck_assert_int_eq(node_print(file, map, 0), 0);
    rewind(file);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    ck_assert_str_eq(line, "{\"said\":\"\\\"a\\\"\\n\"}\n");
    fclose(file);
    if (full) {
        setvbuf(full, NULL, _IONBF, 0);
        ck_assert_int_eq(node_print(full, map, 0), -1);
        fclose(full);
    }
    node_free(map);
}
END_TEST

START_TEST(whole_numbers_fit_an_int_or_fall_back)
{
    struct node *map = node_new(NODE_MAP);

    node_add_number(map, "cut", -2.75);
    node_add_number(map, "large", 1e99);
    node_add_number(map, "small", -2147483649.0);
    node_add_text(map, "text", "3");
    ck_assert_int_eq(node_int(map, "cut", 7), -2);
    ck_assert_int_eq(node_int(map, "large", 7), 7);
    ck_assert_int_eq(node_int(map, "small", 7), 7);
    ck_assert_int_eq(node_int(map, "text", 7), 7);
    ck_assert_int_eq(node_int(NULL, "none", 7), 7);
    node_free(map);
}
END_TEST

/* Collects "line:json " of every record. */
static int collect(void *context, const struct node *record, int line, struct error *e) {
    char *text = node_json(record, 0);

    text_printf(context, "%d:%s ", line, text);
    free(text);
    if (node_get(record, "stop")) return 1;
    return node_get(record, "bad") ? fail(e, "\"bad\" is not wanted") : 0;
}

static int each_of(const char *name, const char *bytes, struct text *out) {
    ck_assert_int_eq(file_write(name, bytes, strlen(bytes), &err), 0);
    *out = (struct text){0};
    text_add(out, "", 0);
    return document_each(name, collect, out, &err);
}

START_TEST(every_kind_of_file_gives_its_records)
{
    static const struct {
        const char *name, *bytes, *records;
    } cases[] = {{FOLDER "/a.jsonl", "{\"a\":1}\r\n\n  \n{\"a\":2}", "1:{\"a\":1} 4:{\"a\":2} "},
                 {FOLDER "/b.json", "[{\"a\":1},\n\n{\"a\":2}]", "1:{\"a\":1} 3:{\"a\":2} "},
                 {FOLDER "/c.csv", "id,text\n1,\"a, \"\"b\"\"\nc\"\n\n2,\r\n3,d",
                  "2:{\"id\":\"1\",\"text\":\"a, \\\"b\\\"\\nc\"} 5:{\"id\":\"2\",\"text\":\"\"} "
                  "6:{\"id\":\"3\",\"text\":\"d\"} "},
                 {FOLDER "/d.csv", "\xef\xbb\xbfid\n1\n", "2:{\"id\":\"1\"} "},
                 {FOLDER "/e.jsonl", "", ""},
                 {FOLDER "/f.jsonl", "{\"stop\":1}\n{\"a\":2}", "1:{\"stop\":1} "}};
    struct text out;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(each_of(cases[i].name, cases[i].bytes, &out) == (i == 5), "%s", err.message);
        ck_assert_str_eq(out.data, cases[i].records);
        free(out.data);
    }
}
END_TEST

START_TEST(mistakes_in_records_name_file_and_line)
{
    static const struct {
        const char *name, *bytes, *sentence;
    } cases[] = {
        {FOLDER "/a.jsonl", "{}\n{\"a\":}\n", FOLDER "/a.jsonl:2: not valid JSON"},
        {FOLDER "/b.jsonl", "{}\n\n{\"bad\":1}\n", FOLDER "/b.jsonl:3: \"bad\" is not wanted"},
        {FOLDER "/c.csv", "a,b\n1\n", FOLDER "/c.csv:2: 1 fields where the header has 2"},
        {FOLDER "/d.csv", "a,b\n\n1,\"x\ny\n", FOLDER "/d.csv:3: the quote that opens here is never closed"},
        {FOLDER "/e.csv", "a,b\n1,\"x\"y\n", FOLDER "/e.csv:2: a comma"},
        {FOLDER "/f.csv", "a,a\n1,2\n", FOLDER "/f.csv:2: the key \"a\" was already given"},
        {FOLDER "/g.json", "{}", FOLDER "/g.json:1: a list of records"},
        {FOLDER "/h.txt", "x", FOLDER "/h.txt: the name must end in"},
        {FOLDER "/i.jsonl", "{}\n\"\xff\"", FOLDER "/i.jsonl:2: the byte 0xff"}};
    struct text out;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(each_of(cases[i].name, cases[i].bytes, &out), -1);
        ck_assert_msg(!strncmp(err.message, cases[i].sentence, strlen(cases[i].sentence)), "%s", err.message);
        free(out.data);
    }
    ck_assert_int_eq(document_each(FOLDER "/none.jsonl", collect, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "No such file"));
    ck_assert_int_eq(document_each(FOLDER, collect, NULL, &err), -1);
}
END_TEST

START_TEST(gzip_is_read_and_its_damage_noticed)
{
    const char *path = FOLDER "/a.jsonl.gz";
    struct text out = {0}, lines = {0};
    size_t length;
    char *bytes;
    gzFile file = gzopen(path, "wb");

    for (int i = 0; i < 5000; i++) text_printf(&lines, "{\"n\":%d}\n", i * 7919 % 5000);
    gzwrite(file, lines.data, (unsigned)lines.length);
    gzclose(file);
    text_add(&out, "", 0);
    ck_assert_int_eq(document_each(path, collect, &out, &err), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "5000:{\"n\":"));
    bytes = file_read(path, &length, &err);
    ck_assert_int_eq(file_write(path, bytes, length / 2, &err), 0);
    ck_assert_int_eq(document_each(path, collect, &out, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "the gzip data"));
    bytes[length / 2] ^= 0x55;
    ck_assert_int_eq(file_write(path, bytes, length, &err), 0);
    ck_assert_int_eq(document_each(path, collect, &out, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "a.jsonl.gz"));
    free(bytes);
    free(out.data);
    free(lines.data);
}
END_TEST

START_TEST(zstd_is_read_and_its_damage_noticed)
{
    const char *path = FOLDER "/a.csv.zst";
    ZSTD_CCtx *packer = ZSTD_createCCtx();
    struct text out = {0}, rows = {0};
    size_t room, length;
    char *bytes;

    text_printf(&rows, "n\n");
    for (int i = 0; i < 50000; i++) text_printf(&rows, "%d\n", i * 7919 % 50000);
    room = ZSTD_compressBound(rows.length);
    bytes = xmalloc(2 * room);
    ZSTD_CCtx_setParameter(packer, ZSTD_c_checksumFlag, 1);
    length = ZSTD_compress2(packer, bytes, room, rows.data, 4); /* two frames, one after the other */
    length += ZSTD_compress2(packer, bytes + length, room, rows.data + 4, rows.length - 4);
    ZSTD_freeCCtx(packer);
    text_add(&out, "", 0);
    ck_assert_int_eq(file_write(path, bytes, length, &err), 0);
    ck_assert_msg(!document_each(path, collect, &out, &err), "%s", err.message);
    ck_assert_int_eq(strncmp(out.data, "2:{\"n\":\"0\"} 3:{\"n\":\"7919\"} ", 27), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "50001:{\"n\":"));
    ck_assert_int_eq(file_write(path, bytes, length / 2, &err), 0);
    ck_assert_int_eq(document_each(path, collect, &out, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "the zstd data ends too early"));
    bytes[length / 2] ^= 0x55;
    ck_assert_int_eq(file_write(path, bytes, length, &err), 0);
    ck_assert_int_eq(document_each(path, collect, &out, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "a.csv.zst"));
    free(bytes);
    free(out.data);
    free(rows.data);
}
END_TEST

/* Every kind, with records on either side of where the blocks that are read end. */
START_TEST(records_may_be_longer_than_what_is_read_at_once)
{
    static const struct {
        const char *name, *before, *item, *between, *after;
    } kinds[] = {{FOLDER "/l.jsonl", "", "{\"t\":\"%s\\\"]\"}", "\r\n", "\n"},
                 {FOLDER "/l.json", " [ ", "{\"t\":\"%s\\\"]\"}", " ,\n", "] \n"},
                 {FOLDER "/l.csv", "t\n", "\"%s\"\"]\"", "\r\n", "\n"}};

    for (int kind = 0; kind < 3; kind++) {
        struct text file = {0}, out, expected = {0};

        text_printf(&file, "%s", kinds[kind].before);
        for (int i = 0; i < 12; i++) {
            size_t length = i % 2 ? 131000 : 65530 + (size_t)i;
            char *long_text = xmalloc(length + 1);

            memset(long_text, 'a' + i, length);
            long_text[length] = 0;
            text_printf(&file, kinds[kind].item, long_text);
            text_printf(&file, "%s", i < 11 ? kinds[kind].between : kinds[kind].after);
            text_printf(&expected, "%d:{\"t\":\"%s\\\"]\"} ", i + 1 + (kind == 2), long_text);
            free(long_text);
        }
        ck_assert_msg(!each_of(kinds[kind].name, file.data, &out), "%s", err.message);
        ck_assert_msg(!strcmp(out.data, expected.data), "%s differs", kinds[kind].name);
        free(file.data);
        free(out.data);
        free(expected.data);
    }
}
END_TEST

START_TEST(lists_that_are_cut_or_have_too_much_are_errors)
{
    static const struct {
        const char *bytes, *sentence;
    } cases[] = {
        {"[{\"a\":1}", FOLDER "/l.json:1: not valid JSON: the list that begins here is never closed"},
        {"\n[{\"a\":1},", FOLDER "/l.json:2: not valid JSON: the list that begins here"},
        {"[{\"a\":1},]", FOLDER "/l.json:1: not valid JSON"},
        {"[,]", FOLDER "/l.json:1: not valid JSON"},
        {"[{}\n}]", FOLDER "/l.json:2: text follows the end"},
        {"[{}]\n[", FOLDER "/l.json:2: text follows the end"},
        {"[{}]]", FOLDER "/l.json:1: text follows the end"},
        {"", FOLDER "/l.json:1: not valid JSON"},
        {"3", FOLDER "/l.json:1: a list of records was expected"}};
    struct text out;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(each_of(FOLDER "/l.json", cases[i].bytes, &out), -1);
        ck_assert_msg(!strncmp(err.message, cases[i].sentence, strlen(cases[i].sentence)), "%s: %s",
                      cases[i].bytes, err.message);
        free(out.data);
    }
    ck_assert_int_eq(each_of(FOLDER "/l.json", " [ ] ", &out), 0);
    ck_assert_str_eq(out.data, "");
    free(out.data);
    ck_assert_int_eq(each_of(FOLDER "/m.csv", "a,b\r1,2\r\"3\",\r", &out), 0); /* as old Macs end lines */
    ck_assert_str_eq(out.data, "2:{\"a\":\"1\",\"b\":\"2\"} 3:{\"a\":\"3\",\"b\":\"\"} ");
    free(out.data);
}
END_TEST

START_TEST(a_text_of_too_many_values_is_stopped_before_it_is_built)
{
    size_t length = 20000005;
    char *many = xmalloc(length);

    for (size_t i = 0; i < length; i++) many[i] = i % 2 ? '1' : ',';
    many[0] = '[';
    many[length - 1] = ']';
    ck_assert_ptr_null(document_parse_json(many, length, "a.json", 1, &err));
    ck_assert_str_eq(err.message, "a.json:1: more than 10000000 values in one JSON text");
    free(many);
}
END_TEST

START_TEST(a_file_is_read_by_the_end_of_its_name)
{
    struct node *node;

    ck_assert_int_eq(file_write(FOLDER "/a.json", "{\"a\": 1}", 8, &err), 0);
    ck_assert_int_eq(file_write(FOLDER "/a.yaml", "a: 1", 4, &err), 0);
    node = document_read(FOLDER "/a.json", &err);
    expect_json(node, "{\"a\":1}");
    node = document_read(FOLDER "/a.yaml", &err);
    expect_json(node, "{\"a\":1}");
    ck_assert_ptr_null(document_read(FOLDER "/none.yaml", &err));
}
END_TEST

/* Truncations and single changed bytes of a valid text: an answer or an error, never a crash. */
START_TEST(damaged_texts_never_crash)
{
    const char *good = "{\"a\": [1, -2.5e3, \"x\\u00e9\\n\", null, true], \"b\": {\"c\": \"\xe2\x82\xac\"}}";
    size_t length = strlen(good);
    char *bad = xmalloc(length);

    for (size_t i = 0; i < length; i++)
        for (int change = 0; change < 256; change++) {
            memcpy(bad, good, length);
            bad[i] = (char)change;
            node_free(document_parse_json(bad, length, "a.json", 1, &err));
            node_free(document_parse_yaml(bad, length, "a.yaml", &err));
        }
    for (size_t i = 0; i < length; i++) {
        char *cut = xmalloc(i + 1);

        memcpy(cut, good, i);
        ck_assert_ptr_null(document_parse_json(cut, i, "a.json", 1, &err));
        node_free(document_parse_yaml(cut, i, "a.yaml", &err));
        free(cut);
    }
    free(bad);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("document");
    TCase *cases = tcase_create("document");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, prepare, clean);
    tcase_add_test(cases, yaml_words_become_what_they_mean);
    tcase_add_test(cases, yaml_anchors_are_copied_where_the_alias_stands);
    tcase_add_test(cases, nodes_remember_their_lines);
    tcase_add_test(cases, mistakes_in_yaml_have_their_line);
    tcase_add_test(cases, mistakes_in_json_have_their_line);
    tcase_add_test(cases, depth_has_a_limit);
    tcase_add_test(cases, a_bomb_of_aliases_is_stopped);
    tcase_add_test(cases, numbers_read_back_the_same);
    tcase_add_test(cases, reals_are_told_from_whole_numbers);
    tcase_add_test(cases, strings_survive_the_round_trip);
    tcase_add_test(cases, trees_are_built_looked_up_and_changed);
    tcase_add_test(cases, a_line_is_printed_or_refused);
    tcase_add_test(cases, whole_numbers_fit_an_int_or_fall_back);
    tcase_add_test(cases, every_kind_of_file_gives_its_records);
    tcase_add_test(cases, mistakes_in_records_name_file_and_line);
    tcase_add_test(cases, gzip_is_read_and_its_damage_noticed);
    tcase_add_test(cases, zstd_is_read_and_its_damage_noticed);
    tcase_add_test(cases, records_may_be_longer_than_what_is_read_at_once);
    tcase_add_test(cases, lists_that_are_cut_or_have_too_much_are_errors);
    tcase_add_test(cases, a_text_of_too_many_values_is_stopped_before_it_is_built);
    tcase_add_test(cases, a_file_is_read_by_the_end_of_its_name);
    tcase_add_test(cases, damaged_texts_never_crash);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
