#include "models/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

#define MOST_HEADER 100000000 /* bytes, as the format's own library allows */
#define MOST_EXACT  9007199254740992.0
#define MOST_RANK   8
#define CHUNK       4096 /* floats converted at a time */

static int whole_number(const struct node *node, int64_t *out) {
    if (node->kind != NODE_NUMBER || !(node->number >= 0 && node->number < MOST_EXACT)) return -1;
    if (node->number != floor(node->number)) return -1;
    *out = (int64_t)node->number;
    return 0;
}

static int read_shape(struct stored *out, const struct node *shape, struct error *err) {
    if (!shape || shape->kind != NODE_LIST)
        return fail(err, "tensor \"%s\" has no \"shape\": expected a list", out->name);
    if (shape->count > MOST_RANK)
        return fail(err, "tensor \"%s\" has %d dimensions: at most %d are supported", out->name, shape->count,
                    MOST_RANK);
    for (const struct node *size = shape->first; size; size = size->next)
        if (whole_number(size, &out->shape[out->rank++]))
            return fail(err, "tensor \"%s\": its shape holds something that is not a size", out->name);
    return 0;
}

/* -1 if the shape makes up no whole bytes or too many. */
static int64_t shape_bytes(const struct stored *tensor) {
    int64_t product = 1;

    for (int i = 0; i < tensor->rank; i++)
        if (__builtin_mul_overflow(product, tensor->shape[i], &product)) return -1;
    return number_type_bytes(tensor->type, product, product);
}

static int read_extent(const struct node *offsets, int64_t *begin, int64_t *end) {
    if (!offsets || offsets->kind != NODE_LIST || offsets->count != 2) return -1;
    if (whole_number(offsets->first, begin) || whole_number(offsets->last, end)) return -1;
    return *begin > *end ? -1 : 0;
}

static int read_entry(struct stored *out, const struct node *entry, const unsigned char *data, int64_t room,
                      struct error *err) {
    const struct node *dtype = node_get(entry, "dtype");
    int64_t begin, end;

    out->name = xstrdup(entry->key);
    if (entry->kind != NODE_MAP || entry->count != 3)
        return fail(err, "tensor \"%s\": expected exactly dtype, shape and data_offsets", out->name);
    if (!dtype || dtype->kind != NODE_STRING || !(out->type = number_type_find(dtype->text)))
        return fail(err, "tensor \"%s\" has no known \"dtype\"", out->name);
    if (read_shape(out, node_get(entry, "shape"), err)) return -1;
    if (read_extent(node_get(entry, "data_offsets"), &begin, &end))
        return fail(err, "tensor \"%s\": data_offsets are not two increasing whole numbers", out->name);
    if (end > room)
        return fail(err, "tensor \"%s\" ends at byte %lld of %lld: the file is truncated", out->name,
                    (long long)end, (long long)room);
    if (shape_bytes(out) != end - begin)
        return fail(err, "tensor \"%s\": its shape and dtype do not make up its %lld bytes", out->name,
                    (long long)(end - begin));
    out->bytes = data + begin;
    out->length = (size_t)(end - begin);
    return 0;
}

static int read_metadata(struct safetensors *out, const struct node *map, struct error *err) {
    if (out->metadata) return fail(err, "__metadata__ is there twice");
    if (map->kind != NODE_MAP) return fail(err, "__metadata__ is not a map");
    for (const struct node *entry = map->first; entry; entry = entry->next)
        if (entry->kind != NODE_STRING) return fail(err, "__metadata__ \"%s\" is not a string", entry->key);
    out->metadata = node_new(NODE_MAP);
    for (const struct node *entry = map->first; entry; entry = entry->next)
        node_add_text(out->metadata, entry->key, entry->text);
    return 0;
}

static int by_place(const void *a, const void *b) {
    const struct stored *x = a, *y = b;

    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return x->length < y->length ? -1 : x->length > y->length;
}

/* Tensors follow each other from the first byte to the last, with no hole, overlap or remainder. */
static int check_places(struct safetensors *file, const unsigned char *data, size_t room, struct error *err) {
    const unsigned char *next = data;

    qsort(file->items, (size_t)file->count, sizeof *file->items, by_place);
    for (int i = 0; i < file->count; i++) {
        const struct stored *tensor = &file->items[i];

        if (tensor->bytes != next)
            return fail(err, "tensor \"%s\" begins at byte %td, the one before it ends at %td: %s",
                        tensor->name, tensor->bytes - data, next - data,
                        tensor->bytes > next ? "there is a hole" : "they overlap");
        next += tensor->length;
    }
    if ((size_t)(next - data) == room) return 0;
    return fail(err, "the last tensor ends at byte %td of %zu: there are bytes that belong to none",
                next - data, room);
}

static int check_names(struct safetensors *file, struct error *err) {
    qsort(file->items, (size_t)file->count, sizeof *file->items, stored_by_name);
    for (int i = 1; i < file->count; i++)
        if (stored_by_name(&file->items[i - 1], &file->items[i]) == 0)
            return fail(err, "tensor \"%s\" is there twice", file->items[i].name);
    return 0;
}

static int read_header(struct safetensors *out, const struct node *header, const unsigned char *data,
                       size_t room, struct error *err) {
    if (header->kind != NODE_MAP) return fail(err, "the header is not a JSON map");
    out->items = xcalloc((size_t)header->count, sizeof *out->items);
    for (const struct node *entry = header->first; entry; entry = entry->next) {
        if (strcmp(entry->key, "__metadata__") == 0) {
            if (read_metadata(out, entry, err)) return -1;
        } else if (read_entry(&out->items[out->count++], entry, data, (int64_t)room, err)) {
            return -1;
        }
    }
    if (check_places(out, data, room, err)) return -1;
    return check_names(out, err);
}

static int parse(struct safetensors *out, const unsigned char *bytes, size_t length, const char *name,
                 struct error *err) {
    struct node *header;
    uint64_t size = 0;
    char *text;
    int status;

    if (length < 8) return fail(err, "%zu bytes are too few: it begins with a length of 8 bytes", length);
    for (int i = 7; i >= 0; i--) size = size << 8 | bytes[i];
    if (size > MOST_HEADER)
        return fail(err, "the header claims %llu bytes: at most %d are allowed", (unsigned long long)size,
                    MOST_HEADER);
    if (size > length - 8)
        return fail(err, "the header claims %llu bytes, the file has %zu", (unsigned long long)size, length);
    if (size == 0 || bytes[8] != '{') return fail(err, "the header does not begin with {");
    text = xstrndup((const char *)bytes + 8, (size_t)size);
    header = document_parse_json(text, (size_t)size, name, 1, err);
    free(text);
    if (!header) return -1;
    status = read_header(out, header, bytes + 8 + size, length - 8 - (size_t)size, err);
    node_free(header);
    return status;
}

int safetensors_parse(struct safetensors *out, const void *bytes, size_t length, const char *name,
                      struct error *err) {
    *out = (struct safetensors){0};
    if (parse(out, bytes, length, name, err) == 0) return 0;
    safetensors_close(out);
    return fail_within(err, "%s is not a sound safetensors file", name);
}

int safetensors_open(struct safetensors *out, const char *path, struct error *err) {
    const unsigned char *bytes;
    size_t length = 0;

    *out = (struct safetensors){0};
    if (file_map(&bytes, &length, path, err)) return fail_within(err, "expected a safetensors file");
    if (safetensors_parse(out, bytes, length, path, err)) {
        file_unmap(bytes, length);
        return -1;
    }
    out->mapping = bytes;
    out->mapped = length;
    return 0;
}

void safetensors_close(struct safetensors *file) {
    for (int i = 0; i < file->count; i++) free(file->items[i].name);
    free(file->items);
    node_free(file->metadata);
    file_unmap(file->mapping, file->mapped);
    *file = (struct safetensors){0};
}

const struct stored *safetensors_find(const struct safetensors *file, const char *name) {
    struct stored key = {.name = (char *)name};

    if (file->count == 0) return NULL;
    return bsearch(&key, file->items, (size_t)file->count, sizeof key, stored_by_name);
}

static size_t numbers(const struct safetensor_out *item) {
    size_t product = 1;

    for (int i = 0; i < item->rank; i++) product *= (size_t)item->shape[i];
    return product;
}

static int wide_first(const void *a, const void *b) {
    const struct safetensor_out *x = *(const struct safetensor_out *const *)a;
    const struct safetensor_out *y = *(const struct safetensor_out *const *)b;

    if (x->type->bytes != y->type->bytes) return x->type->bytes > y->type->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void add_quoted(struct text *out, const char *words) {
    struct node *node = node_new(NODE_STRING);
    char *quoted;

    node->text = xstrdup(words);
    quoted = node_json(node, 0);
    text_add(out, quoted, strlen(quoted));
    free(quoted);
    node_free(node);
}

static void add_entry(struct text *header, const struct safetensor_out *item, size_t *offset) {
    size_t end = *offset + numbers(item) * (size_t)item->type->bytes;

    text_add(header, header->length > 1 ? "," : "", header->length > 1);
    add_quoted(header, item->name);
    text_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", item->type->name);
    for (int i = 0; i < item->rank; i++)
        text_printf(header, "%s%lld", i ? "," : "", (long long)item->shape[i]);
    text_printf(header, "],\"data_offsets\":[%zu,%zu]}", *offset, end);
    *offset = end;
}

static struct text make_header(const struct safetensor_out **items, int count, const struct node *metadata) {
    struct text header = {0};
    size_t offset = 0;

    text_add(&header, "{", 1);
    if (metadata) {
        char *map = node_json(metadata, 0);

        text_printf(&header, "\"__metadata__\":%s", map);
        free(map);
    }
    for (int i = 0; i < count; i++) add_entry(&header, items[i], &offset);
    text_add(&header, "}", 1);
    while (header.length % 8) text_add(&header, " ", 1);
    return header;
}

static int write_floats(FILE *file, const struct safetensor_out *item, struct error *err) {
    float *made = item->data ? NULL : item->make(item->context);
    const float *data = made ? made : item->data;
    unsigned char some[CHUNK * sizeof(float)];
    size_t count = numbers(item);

    if (!data) return fail(err, "the numbers of \"%s\" cannot be read", item->name);
    for (size_t done = 0; done < count; done += CHUNK) {
        size_t now = count - done < CHUNK ? count - done : CHUNK;

        item->type->write(some, data + done, now);
        fwrite(some, (size_t)item->type->bytes, now, file);
    }
    free(made);
    return 0;
}

int safetensors_write(const char *path, const struct safetensor_out *items, int count,
                      const struct node *metadata, struct error *err) {
    const struct safetensor_out **sorted = xcalloc((size_t)count, sizeof *sorted);
    struct output out = {0};
    struct text header = {0};
    unsigned char size[8];
    int status = -1;

    for (int i = 0; i < count; i++) sorted[i] = &items[i];
    qsort(sorted, (size_t)count, sizeof *sorted, wide_first);
    header = make_header(sorted, count, metadata);
    for (int i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)header.length >> 8 * i);
    if (output_open(&out, path, err)) goto out;
    fwrite(size, 1, sizeof size, out.file);
    fwrite(header.data, 1, header.length, out.file);
    for (int i = 0; i < count; i++)
        if (write_floats(out.file, sorted[i], err)) goto out;
    status = output_close(&out, err);
out:
    output_discard(&out);
    free(header.data);
    free(sorted);
    return status;
}
