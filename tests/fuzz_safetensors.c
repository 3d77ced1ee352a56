/* For libFuzzer (clang -fsanitize=fuzzer,address,undefined): the first byte picks the reader, the others are
 * its file. No input may crash, leak, or be accepted with tensors outside the file. Run it in a folder that
 * is kept in memory. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/file.h"
#include "models/config.h"
#include "models/safetensors.h"
#include "models/tokenizer.h"

#define REQUIRE(truth)                                                                                       \
    do {                                                                                                     \
        if (!(truth)) abort();                                                                               \
    } while (0)

static void fuzz_safetensors(const uint8_t *bytes, size_t length) {
    struct safetensors file;
    struct error err;
    size_t total = 0;

    if (safetensors_parse(&file, bytes, length, "fuzz", &err)) return;
    for (int i = 0; i < file.count; i++) {
        const struct stored *tensor = &file.items[i];
        size_t count = tensor->length / 4;
        float *floats = malloc(tensor->length + 4);

        REQUIRE(tensor->bytes >= bytes && tensor->bytes + tensor->length <= bytes + length);
        REQUIRE(safetensors_find(&file, tensor->name) == tensor);
        if (stored_floats(tensor, floats, count, &err)) REQUIRE(strlen(err.message) > 0);
        total += tensor->length;
        free(floats);
    }
    REQUIRE(total + 8 <= length);
    safetensors_close(&file);
}

static void encode_back(const struct tokenizer *tokenizer, const uint8_t *bytes, size_t length) {
    struct tokens ids = {0};
    size_t size;
    char *back;

    tokenizer_encode(tokenizer, (const char *)bytes, length, &ids);
    back = tokenizer_decode(tokenizer, ids.ids, ids.count, &size);
    for (int i = 0; i < ids.count; i++) REQUIRE(ids.ids[i] >= 0 && ids.ids[i] < tokenizer_vocab(tokenizer));
    free(back);
    ids.count = 0;
    tokenizer_encode_added(tokenizer, (const char *)bytes, length, &ids);
    free(ids.ids);
}

/* The readers of JSON take a path. */
static const char *write_input(const uint8_t *bytes, size_t length) {
    static char path[64];
    FILE *out;

    snprintf(path, sizeof path, "fuzz-%ld.json", (long)getpid());
    out = fopen(path, "wb");
    REQUIRE(out && fwrite(bytes, 1, length, out) == length && fclose(out) == 0);
    return path;
}

static void fuzz_tokenizer(const uint8_t *bytes, size_t length) {
    const char *path = write_input(bytes, length);
    struct tokenizer *tokenizer;
    struct error err;

    if (tokenizer_load(&tokenizer, path, &err) == 0) {
        encode_back(tokenizer, bytes, length);
        tokenizer_free(tokenizer);
    }
    unlink(path);
}

static void fuzz_config(const uint8_t *bytes, size_t length) {
    const char *path = write_input(bytes, length);
    struct config config;
    struct error err;

    if (config_read(&config, path, &err) == 0) {
        REQUIRE(config_check(&config, &err) == 0);
        REQUIRE(config_parameters(&config) > 0 && config_flops(&config, config.context) > 0);
    }
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    if (length == 0) return 0;
    switch (bytes[0]) {
    case 's':
        fuzz_safetensors(bytes + 1, length - 1);
        break;
    case 't':
        fuzz_tokenizer(bytes + 1, length - 1);
        break;
    case 'c':
        fuzz_config(bytes + 1, length - 1);
        break;
    }
    return 0;
}
