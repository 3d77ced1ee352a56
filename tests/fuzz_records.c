/* For libFuzzer (clang -fsanitize=fuzzer,address,undefined): the first byte says which kind of file the
 * others are. Every record is counted, and read by the convention of the first. No input may crash, leak, or
 * give an example without a prompt and an answer. Run it in a folder that is kept in memory. -DONLY=2 makes
 * every input a table. tools/fuzz.sh does all that. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/convention.h"
#include "harness/document.h"
#include "harness/overlap.h"

#define REQUIRE(truth)                                                                                       \
    do {                                                                                                     \
        if (!(truth)) abort();                                                                               \
    } while (0)

struct reading {
    struct convention_how how;
    const struct convention *convention;
    struct examples examples;
    int records, line;
};

static void use(struct example *example) {
    struct node *messages = dialogue_messages(example);
    char *text = dialogue_join(messages, 1), *normal = text_normal(example->prompt);

    REQUIRE(prompt_position(example->prompt) >= 0 && prompt_position(example->prompt) < 1);
    REQUIRE(shingle_similarity(normal, normal) == 1);
    if (!dialogue_cut(example, 20)) REQUIRE(text_characters(example->prompt) <= 20);
    node_free(messages);
    free(text);
    free(normal);
}

static int take(void *context, const struct node *record, int line, struct error *err) {
    struct reading *reading = context;
    const char *reason = NULL;
    int before = reading->examples.count;

    REQUIRE(line >= reading->line);
    reading->line = line;
    reading->records++;
    if (!reading->convention) reading->convention = convention_find(&reading->how, record, err);
    if (!reading->convention ||
        convention_take(reading->convention, &reading->examples, &reading->how, record, &reason, err))
        return -1;
    for (int i = before; i < reading->examples.count && !reason; i++) {
        struct example *example = &reading->examples.items[i];

        REQUIRE(example->prompt && (example->response || (example->chosen && example->rejected)));
        use(example);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static const char *const kinds[] = {"jsonl", "json", "csv", "jsonl.gz", "csv.zst"};
    struct reading reading = {.line = 1};
    struct error err = {""};
    char path[64];
    FILE *out;

    if (!length) return 0;
#ifdef ONLY
    snprintf(path, sizeof path, "fuzz-%ld.%s", (long)getpid(), kinds[ONLY]);
#else
    snprintf(path, sizeof path, "fuzz-%ld.%s", (long)getpid(), kinds[bytes[0] % 5]);
#endif
    out = fopen(path, "wb");
    REQUIRE(out && fwrite(bytes + 1, 1, length - 1, out) == length - 1 && fclose(out) == 0);
    reading.how.safer = bytes[0] >> 4 & 1;
    if (document_each(path, take, &reading, &err) < 0) REQUIRE(strlen(err.message) > 0);
    examples_free(&reading.examples);
    unlink(path);
    return 0;
}
