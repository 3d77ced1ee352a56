#include "models/gguf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT   32
#define MOST_VALUES (1 << 22) /* keys and items of arrays in a file: vocabularies have some 600,000 */
#define MOST_TEXT   (1 << 24)
#define MOST_NAME   64
#define MOST_KEY    65535 /* bytes of a key */
#define MOST_KEYS   4096
#define MOST_RANK   4

enum value_type { U8, I8, U16, I16, U32, I32, F32, TRUTH, TEXT, ARRAY, U64, I64, F64, VALUE_TYPES };

static const int value_bytes[VALUE_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

/* Bytes from `at` on are not read yet. */
struct reader {
    const unsigned char *bytes;
    size_t at, length;
    int values; /* made so far */
};

/* The next little-endian number of `bytes` bytes. */
static int take(struct reader *in, int bytes, uint64_t *out, struct error *err) {
    *out = 0;
    if ((size_t)bytes > in->length - in->at)
        return fail(err, "it ends at byte %zu, in the middle of a value: the file is truncated", in->length);
    for (int i = bytes - 1; i >= 0; i--) *out = *out << 8 | in->bytes[in->at + (size_t)i];
    in->at += (size_t)bytes;
    return 0;
}

/* A text of at most `most` bytes without a NUL; caller frees. */
static char *take_text(struct reader *in, uint64_t most, const char *what, struct error *err) {
    uint64_t length;
    char *text;

    if (take(in, 8, &length, err)) return NULL;
    if (length > most || length > in->length - in->at) {
        fail(err, "byte %zu: %s claims %llu bytes, %zu are left and %llu are allowed", in->at, what,
             (unsigned long long)length, in->length - in->at, (unsigned long long)most);
        return NULL;
    }
    if (memchr(in->bytes + in->at, 0, (size_t)length)) {
        fail(err, "byte %zu: %s holds a NUL", in->at, what);
        return NULL;
    }
    text = xstrndup((const char *)in->bytes + in->at, (size_t)length);
    in->at += (size_t)length;
    return text;
}

static double number_of(enum value_type type, uint64_t bits) {
    uint32_t low = (uint32_t)bits;
    float single;
    double twice;

    switch (type) {
    case I8:
        return (int8_t)bits;
    case I16:
        return (int16_t)bits;
    case I32:
        return (int32_t)bits;
    case I64:
        return (double)(int64_t)bits;
    case F32:
        memcpy(&single, &low, sizeof single);
        return single;
    case F64:
        memcpy(&twice, &bits, sizeof twice);
        return twice;
    default:
        return (double)bits;
    }
}

/* Adds one value of a simple type to a map (key given) or list. */
static int read_simple(struct reader *in, struct node *parent, const char *key, enum value_type type,
                       struct error *err) {
    uint64_t bits;
    char *text;

    if (type == TEXT) {
        text = take_text(in, MOST_TEXT, "a text", err);
        if (!text) return -1;
        node_add_text(parent, key, text);
        free(text);
        return 0;
    }
    if (take(in, value_bytes[type], &bits, err)) return -1;
    if (type != TRUTH) {
        node_add_number(parent, key, number_of(type, bits));
        return 0;
    }
    if (bits > 1) return fail(err, "byte %zu: a truth value is %d: expected 0 or 1", in->at - 1, (int)bits);
    node_add_bool(parent, key, (int)bits);
    return 0;
}

static int read_type(struct reader *in, enum value_type *out, struct error *err) {
    uint64_t type;

    *out = U8;
    if (take(in, 4, &type, err)) return -1;
    if (type >= VALUE_TYPES)
        return fail(err, "byte %zu: there is no type %llu of values", in->at - 4, (unsigned long long)type);
    *out = (enum value_type)type;
    return 0;
}

/* No array can have more items than bytes are left for them. */
static int read_array(struct reader *in, struct node *parent, const char *key, struct error *err) {
    enum value_type type;
    struct node *list;
    uint64_t count;

    if (read_type(in, &type, err) || take(in, 8, &count, err)) return -1;
    if (type == ARRAY) return fail(err, "it is an array of arrays, which no model needs");
    if (count > (in->length - in->at) / (size_t)value_bytes[type])
        return fail(err, "it claims %llu items, for which %zu bytes are too few", (unsigned long long)count,
                    in->length - in->at);
    if (count > (uint64_t)(MOST_VALUES - in->values))
        return fail(err, "it has %llu items: a file may have at most %d in all", (unsigned long long)count,
                    MOST_VALUES);
    in->values += (int)count;
    list = node_add(parent, key, NODE_LIST);
    for (uint64_t i = 0; i < count; i++)
        if (read_simple(in, list, NULL, type, err)) return -1;
    return 0;
}

static int read_value(struct reader *in, struct node *metadata, const char *key, struct error *err) {
    enum value_type type;

    if (node_get(metadata, key)) return fail(err, "it is there twice");
    if (read_type(in, &type, err)) return -1;
    if (type == ARRAY) return read_array(in, metadata, key, err);
    return read_simple(in, metadata, key, type, err);
}

static int read_keys(struct reader *in, struct node *metadata, uint64_t count, struct error *err) {
    for (uint64_t i = 0; i < count; i++) {
        char *key = take_text(in, MOST_KEY, "a key", err);
        int status = key ? read_value(in, metadata, key, err) : -1;

        if (key && status) fail_within(err, "key \"%s\"", key);
        free(key);
        if (status) return -1;
    }
    return 0;
}

/* ggml's order is the reverse of PyTorch's. */
static int read_dimensions(struct reader *in, struct stored *out, int64_t *numbers, struct error *err) {
    uint64_t rank, size;

    *numbers = 1;
    if (take(in, 4, &rank, err)) return -1;
    if (rank > MOST_RANK)
        return fail(err, "it has %llu dimensions: at most %d are allowed", (unsigned long long)rank,
                    MOST_RANK);
    out->rank = (int)rank;
    for (int i = out->rank - 1; i >= 0; i--) {
        if (take(in, 8, &size, err)) return -1;
        if (size > INT64_MAX || __builtin_mul_overflow(*numbers, (int64_t)size, numbers))
            return fail(err, "its dimensions multiply to more numbers than there can be");
        out->shape[i] = (int64_t)size;
    }
    return 0;
}

/* Its offset is kept in `length` until the place of the data is known. */
static int read_tensor(struct reader *in, struct stored *out, uint64_t *offset, struct error *err) {
    int64_t numbers, bytes;
    uint64_t code;

    if (read_dimensions(in, out, &numbers, err) || take(in, 4, &code, err) || take(in, 8, offset, err))
        return -1;
    out->type = number_type_of_code((uint32_t)code);
    if (!out->type) return fail(err, "there is no type %llu of numbers", (unsigned long long)code);
    bytes = number_type_bytes(out->type, out->rank ? out->shape[out->rank - 1] : 1, numbers);
    if (bytes < 0) return fail(err, "its rows are no whole blocks of %d numbers", out->type->count);
    out->length = (size_t)bytes;
    return 0;
}

/* A tensor's info takes at least 8 + 4 + 4 + 8 bytes, so that no count can ask for more memory than that. */
static int read_tensors(struct reader *in, struct gguf *out, uint64_t **offsets, uint64_t count,
                        struct error *err) {
    if (count > (in->length - in->at) / 24)
        return fail(err, "it claims %llu tensors, for which %zu bytes are too few", (unsigned long long)count,
                    in->length - in->at);
    out->items = xcalloc((size_t)count, sizeof *out->items);
    *offsets = xcalloc((size_t)count, sizeof **offsets);
    for (uint64_t i = 0; i < count; i++) {
        struct stored *tensor = &out->items[out->count];

        tensor->name = take_text(in, MOST_NAME, "a tensor's name", err);
        if (!tensor->name) return -1;
        if (read_tensor(in, tensor, &(*offsets)[out->count++], err))
            return fail_within(err, "tensor \"%s\"", tensor->name);
    }
    return 0;
}

static int read_alignment(const struct node *metadata, size_t *out, struct error *err) {
    double alignment = node_number(metadata, "general.alignment", ALIGNMENT);

    *out = ALIGNMENT;
    if (!(alignment >= 1 && alignment <= 1 << 16) || alignment != floor(alignment) ||
        ((unsigned)alignment & ((unsigned)alignment - 1)))
        return fail(err, "general.alignment is %g: expected a power of 2 up to 65536", alignment);
    *out = (size_t)alignment;
    return 0;
}

/* Where tensors are: inside the file, aligned. */
static int place_tensors(struct reader *in, struct gguf *out, const uint64_t *offsets, size_t alignment,
                         struct error *err) {
    size_t data = (in->at + alignment - 1) / alignment * alignment;
    size_t room = data < in->length ? in->length - data : 0;

    for (int i = 0; i < out->count; i++) {
        struct stored *tensor = &out->items[i];

        if (offsets[i] % alignment)
            return fail(err, "tensor \"%s\" begins at byte %llu, no multiple of %zu", tensor->name,
                        (unsigned long long)offsets[i], alignment);
        if (offsets[i] > room || tensor->length > room - offsets[i])
            return fail(err, "tensor \"%s\" has %zu bytes from %llu on, the file %zu: it is truncated",
                        tensor->name, tensor->length, (unsigned long long)offsets[i], room);
        tensor->bytes = in->bytes + (room ? data + offsets[i] : 0);
    }
    return 0;
}

static int by_place(const void *a, const void *b) {
    const struct stored *x = a, *y = b;

    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return x->length < y->length ? -1 : x->length > y->length;
}

static int check_overlaps(struct gguf *file, struct error *err) {
    qsort(file->items, (size_t)file->count, sizeof *file->items, by_place);
    for (int i = 1; i < file->count; i++)
        if (file->items[i].bytes < file->items[i - 1].bytes + file->items[i - 1].length)
            return fail(err, "tensors \"%s\" and \"%s\" overlap", file->items[i - 1].name,
                        file->items[i].name);
    return 0;
}

static int check_names(struct gguf *file, struct error *err) {
    qsort(file->items, (size_t)file->count, sizeof *file->items, stored_by_name);
    for (int i = 1; i < file->count; i++)
        if (stored_by_name(&file->items[i - 1], &file->items[i]) == 0)
            return fail(err, "tensor \"%s\" is there twice", file->items[i].name);
    return 0;
}

static int check_version(struct reader *in, struct error *err) {
    uint64_t version;

    if (in->length < 4 || memcmp(in->bytes, "GGUF", 4)) return fail(err, "it does not begin with GGUF");
    in->at = 4;
    if (take(in, 4, &version, err)) return -1;
    if (version == 3 || version == 2) return 0;
    if (version > 3 && (version & 0xffffff) == 0)
        return fail(err, "it is big-endian: only little-endian files are supported");
    return fail(err, "its version is %llu: expected 2 or 3", (unsigned long long)version);
}

static int read_file(struct reader *in, struct gguf *out, uint64_t **offsets, struct error *err) {
    uint64_t tensors, keys;
    size_t alignment;

    if (check_version(in, err) || take(in, 8, &tensors, err) || take(in, 8, &keys, err)) return -1;
    if (keys > (in->length - in->at) / 13)
        return fail(err, "it claims %llu keys, for which %zu bytes are too few", (unsigned long long)keys,
                    in->length - in->at);
    if (keys > MOST_KEYS)
        return fail(err, "it has %llu keys: at most %d are allowed", (unsigned long long)keys, MOST_KEYS);
    out->metadata = node_new(NODE_MAP);
    if (read_keys(in, out->metadata, keys, err)) return -1;
    if (read_tensors(in, out, offsets, tensors, err)) return -1;
    if (read_alignment(out->metadata, &alignment, err)) return -1;
    if (place_tensors(in, out, *offsets, alignment, err)) return -1;
    if (check_overlaps(out, err)) return -1;
    return check_names(out, err);
}

int gguf_parse(struct gguf *out, const void *bytes, size_t length, const char *name, struct error *err) {
    struct reader in = {.bytes = bytes, .length = length};
    uint64_t *offsets = NULL;
    int status;

    *out = (struct gguf){0};
    status = read_file(&in, out, &offsets, err);
    free(offsets);
    if (status == 0) return 0;
    gguf_close(out);
    return fail_within(err, "%s is not a sound GGUF file", name);
}

int gguf_open(struct gguf *out, const char *path, struct error *err) {
    const unsigned char *bytes;
    size_t length = 0;

    *out = (struct gguf){0};
    if (file_map(&bytes, &length, path, err)) return fail_within(err, "expected a GGUF file");
    if (gguf_parse(out, bytes, length, path, err)) {
        file_unmap(bytes, length);
        return -1;
    }
    out->mapping = bytes;
    out->mapped = length;
    return 0;
}

void gguf_close(struct gguf *file) {
    for (int i = 0; i < file->count; i++) free(file->items[i].name);
    free(file->items);
    node_free(file->metadata);
    file_unmap(file->mapping, file->mapped);
    *file = (struct gguf){0};
}
