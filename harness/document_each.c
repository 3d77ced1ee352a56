/* Files of records, one after the other: lines of JSON, the items of a JSON list, the rows of a table. */
#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "harness/memory.h"
#include "harness/unpack.h"
#include "harness/utf8.h"

enum { BLOCK = 1 << 16, NOT_YET = -1 };
static const size_t record_most = (size_t)256 << 20;

/* What document_each() was asked to do, and the bytes that were read and not yet used. */
struct feed {
    const char *path;
    int (*each)(void *context, const struct node *record, int line, struct error *err);
    void *context;
    struct unpack *file;
    char *data;
    size_t at, end, room;
    int line, over; /* line: of data[at]; over: the file has no more bytes */
    struct error *err;
};

/* How far a search for the record's end has come; it goes on when more bytes are there. */
struct search {
    size_t at;
    int state, depth;
};

/* Where the record that begins text ends, or NOT_YET. */
typedef long find_end(struct search *search, const char *text, size_t length, int over);

static int feed_more(struct feed *in) {
    long got;

    if (in->end - in->at > record_most)
        return fail(in->err,
                    "%s:%d: the record that begins here has more than 256 MiB; is a quote or a bracket never "
                    "closed?",
                    in->path, in->line);
    memmove(in->data, in->data + in->at, in->end - in->at);
    in->end -= in->at;
    in->at = 0;
    if (in->room - in->end < BLOCK) {
        in->room = 2 * in->room + BLOCK;
        in->data = xrealloc(in->data, in->room, 1);
    }
    got = unpack_read(in->file, in->data + in->end, BLOCK, in->err);
    if (got < 0) return -1;
    in->over = got == 0;
    in->end += (size_t)got;
    return 0;
}

/* The next record's bytes at data + at: 1; 0 where the file has no more; -1 with err set. */
static int next_record(struct feed *in, find_end *find, size_t *size) {
    struct search search = {0};
    long end;

    for (;;) {
        end = find(&search, in->data + in->at, in->end - in->at, in->over);
        if (end != NOT_YET || in->over) break;
        if (feed_more(in)) return -1;
    }
    *size = end == NOT_YET ? in->end - in->at : (size_t)end;
    return end != NOT_YET || *size > 0;
}

static void skip(struct feed *in, size_t bytes) {
    for (; bytes; bytes--) in->line += in->data[in->at++] == '\n';
}

static int hand_over(const struct feed *in, const struct node *record, int line) {
    int status = in->each(in->context, record, line, in->err);

    return status < 0 ? fail_within(in->err, "%s:%d", in->path, line) : status;
}

static int hand_over_json(const struct feed *in, size_t size) {
    struct node *record = document_parse_json(in->data + in->at, size, in->path, in->line, in->err);
    int status = record ? hand_over(in, record, record->line) : -1;

    node_free(record);
    return status;
}

static int is_blank(const char *text, size_t length) {
    while (length && strchr(" \t\r\n", text[length - 1]) && text[length - 1]) length--;
    return !length;
}

static long line_end(struct search *search, const char *text, size_t length, int over) {
    const char *stop = length > search->at ? memchr(text + search->at, '\n', length - search->at) : NULL;

    (void)over;
    search->at = length;
    return stop ? stop - text : NOT_YET;
}

static int each_line(struct feed *in) {
    size_t size;
    int status = 0, more;

    while (!status && (more = next_record(in, line_end, &size))) {
        if (more < 0) return -1;
        if (!is_blank(in->data + in->at, size)) status = hand_over_json(in, size);
        skip(in, size);
        if (in->at < in->end) skip(in, 1);
    }
    return status;
}

/* Of a list's item: the comma or bracket behind it. */
static long item_end(struct search *search, const char *text, size_t length, int over) {
    enum { OPEN, QUOTED, ESCAPED };

    (void)over;
    for (; search->at < length; search->at++) {
        char c = text[search->at];

        if (search->state == ESCAPED)
            search->state = QUOTED;
        else if (search->state == QUOTED)
            search->state = c == '\\' ? ESCAPED : c == '"' ? OPEN : QUOTED;
        else if (c == '"')
            search->state = QUOTED;
        else if (c == '[' || c == '{')
            search->depth++;
        else if (!search->depth && (c == ',' || c == ']'))
            return (long)search->at;
        else if (c == ']' || c == '}')
            search->depth -= search->depth > 0;
    }
    return NOT_YET;
}

static long text_begin(struct search *search, const char *text, size_t length, int over) {
    (void)over;
    while (search->at < length && strchr(" \t\r\n", text[search->at]) && text[search->at]) search->at++;
    return search->at < length ? (long)search->at : NOT_YET;
}

/* Passes white space: the next character, 0 at the end, -1 with err set. */
static int next_character(struct feed *in) {
    size_t size;

    if (next_record(in, text_begin, &size) < 0) return -1;
    skip(in, size);
    return in->at < in->end ? (unsigned char)in->data[in->at] : 0;
}

static int end_list(struct feed *in) {
    int next;

    skip(in, 1);
    next = next_character(in);
    if (next > 0) fail(in->err, "%s:%d: text follows the end of the JSON value", in->path, in->line);
    return next ? -1 : 0;
}

/* A list of records, of which one at a time is read. */
static int each_item(struct feed *in) {
    int begun = in->line, status, next;
    size_t size;

    skip(in, 1);
    next = next_character(in);
    if (next == ']') return end_list(in);
    while (next >= 0) {
        int more = next_record(in, item_end, &size);

        if (more < 0) return -1;
        if (in->at + size == in->end)
            return fail(in->err, "%s:%d: not valid JSON: the list that begins here is never closed", in->path,
                        begun);
        status = hand_over_json(in, size);
        if (status) return status;
        skip(in, size);
        if (in->data[in->at] == ']') return end_list(in);
        skip(in, 1);
        next = next_character(in);
    }
    return -1;
}

static long whole_file(struct search *search, const char *text, size_t length, int over) {
    (void)search;
    (void)text;
    return over ? (long)length : NOT_YET;
}

/* One JSON value that is no list: a map that holds one. */
static int each_sample(struct feed *in) {
    const struct node *items;
    struct node *whole;
    size_t size;
    int status = 0;

    if (next_record(in, whole_file, &size) < 0) return -1;
    whole = document_parse_json(in->data + in->at, size, in->path, in->line, in->err);
    if (!whole) return -1;
    items = node_get(whole, "samples");
    if (!items || items->kind != NODE_LIST)
        status = fail(in->err,
                      "%s:%d: a list of records was expected; a file with one record a line ends in .jsonl",
                      in->path, whole->line);
    else
        for (const struct node *item = items->first; item && !status; item = item->next)
            status = hand_over(in, item, item->line);
    node_free(whole);
    return status;
}

static int each_of_json(struct feed *in) {
    int first = next_character(in);

    if (first < 0) return -1;
    return first == '[' ? each_item(in) : each_sample(in);
}

/* RFC 4180, with \n, \r or \r\n: fields in quotes may hold commas, line ends and doubled quotes. */
static long row_end(struct search *search, const char *text, size_t length, int over) {
    enum { FIELD, PLAIN, QUOTED, QUOTE };

    for (; search->at < length; search->at++) {
        char c = text[search->at];

        if (search->state == QUOTED)
            search->state = c == '"' ? QUOTE : QUOTED;
        else if (c == '"' && search->state != PLAIN)
            search->state = QUOTED;
        else if (c == '\n')
            return (long)search->at;
        else if (c == '\r' && (search->at + 1 < length || over))
            return (long)search->at;
        else if (c == '\r')
            return NOT_YET;
        else
            search->state = c == ',' ? FIELD : PLAIN;
    }
    return NOT_YET;
}

/* A field at `at`, of which the quotes go; past it. */
static int quoted_field(const char **at, const char *end, struct text *field, int *line, struct feed *in) {
    int begun = *line;

    for (++*at;; ++*at) {
        if (*at == end)
            return fail(in->err, "%s:%d: the quote that opens here is never closed", in->path, begun);
        if (**at == '"') {
            if (*at + 1 == end || (*at)[1] != '"') break;
            ++*at;
        }
        *line += **at == '\n';
        text_add(field, *at, 1);
    }
    ++*at;
    if (*at < end && **at != ',')
        return fail(in->err, "%s:%d: a comma or the line's end was expected after a closing quote", in->path,
                    *line);
    return 0;
}

/* The row as a list of strings. */
static int split_row(struct feed *in, size_t size, struct node *row) {
    const char *at = in->data + in->at, *end = at + size;
    int line = in->line;

    if (utf8_check(at, size, in->path, line, in->err)) return -1;
    for (;; at++) {
        struct text field = {0};
        int status = 0;

        text_add(&field, "", 0);
        if (at < end && *at == '"') {
            status = quoted_field(&at, end, &field, &line, in);
        } else {
            const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;

            text_add(&field, at, (size_t)(stop - at));
            at = stop;
        }
        node_add_text(row, NULL, field.data);
        free(field.data);
        if (status) return -1;
        if (at >= end) return 0;
    }
}

/* The list becomes a map from the header's names. */
static int name_fields(const struct feed *in, const struct node *header, struct node *row) {
    const struct node *name = header->first;

    if (row->count != header->count)
        return fail(in->err, "%s:%d: %d fields where the header has %d", in->path, in->line, row->count,
                    header->count);
    row->kind = NODE_MAP;
    row->line = in->line;
    for (struct node *field = row->first; field; field = field->next, name = name->next) {
        field->key = xstrdup(name->text);
        field->line = in->line;
    }
    return node_check_keys(row, in->path, in->err);
}

static void end_row(struct feed *in, size_t size) {
    skip(in, size);
    if (in->at < in->end && in->data[in->at] == '\r') {
        in->at++;
        if (in->at == in->end || in->data[in->at] != '\n') in->line++;
    }
    if (in->at < in->end && in->data[in->at] == '\n') skip(in, 1);
}

static int each_row(struct feed *in) {
    struct node *header = NULL;
    size_t size;
    int status = 0, more = 1;

    while (!status && (more = next_record(in, row_end, &size)) > 0) {
        struct node *row = node_new(NODE_LIST);

        status = split_row(in, size, row);
        if (!status && header && (row->count > 1 || row->first->text[0]))
            status = name_fields(in, header, row) ? -1 : hand_over(in, row, in->line);
        end_row(in, size);
        if (header)
            node_free(row);
        else
            header = row;
    }
    node_free(header);
    return more < 0 ? -1 : status;
}

/* Whether the name ends so, leaving out what says that the file is packed. */
static int is_of_kind(const char *path, const char *ending) {
    static const char *const packed[] = {".gz", ".zst"};
    size_t length = strlen(path), tail = strlen(ending);

    for (int i = 0; i < 2; i++) {
        size_t end = strlen(packed[i]);

        if (length > end && !strcmp(path + length - end, packed[i])) length -= end;
    }
    return length >= tail && !strncmp(path + length - tail, ending, tail);
}

/* Reads the first bytes, without a byte order mark. */
static int begin(struct feed *in) {
    in->room = BLOCK;
    in->data = xmalloc(in->room);
    in->file = unpack_open(in->path, in->err);
    if (!in->file || feed_more(in)) return -1;
    if (in->end >= 3 && !memcmp(in->data, "\xEF\xBB\xBF", 3)) in->at = 3;
    return 0;
}

int document_each(const char *path,
                  int (*each)(void *context, const struct node *record, int line, struct error *err),
                  void *context, struct error *err) {
    static const struct {
        const char *ending;
        int (*read)(struct feed *in);
    } kinds[] = {{".jsonl", each_line}, {".json", each_of_json}, {".csv", each_row}};
    struct feed in = {.path = path, .each = each, .context = context, .line = 1, .err = err};
    int status = -1, kind = 0;

    while (kind < 3 && !is_of_kind(path, kinds[kind].ending)) kind++;
    if (kind == 3)
        return fail(err, "%s: the name must end in .jsonl, .json or .csv (or one of these and .gz or .zst)",
                    path);
    if (!begin(&in)) status = kinds[kind].read(&in);
    unpack_close(in.file);
    free(in.data);
    return status;
}
