#include <stdlib.h>
#include <string.h>

#include "harness/adapter_base.h"
#include "harness/file.h"
#include "models/gguf_tokenizer.h"
#include "models/tokenizer_parts.h"
#include "models/weights.h"

/* The file beside a checkpoint that says how it writes conversations. Caller frees. */
static char *override_path(const char *path) {
    return is_gguf(path) ? xprintf("%s.chat.yaml", path) : path_join(path, "chat.yaml");
}

/* A token of a role: a text, or a map with it. */
static const char *role_text(const struct node *config, const char *role) {
    const struct node *token = node_get(config, role);

    if (token && token->kind == NODE_MAP) return node_text(token, "content", NULL);
    return node_text(config, role, NULL);
}

/* The template of a tokenizer_config.json: a text, or in a list the one that is named "default". */
const char *tokenizer_template(const struct node *config) {
    const struct node *template = node_get(config, "chat_template");

    if (!template || template->kind != NODE_LIST) return node_text(config, "chat_template", NULL);
    for (const struct node *one = template->first; one; one = one->next)
        if (!strcmp(node_text(one, "name", ""), "default")) return node_text(one, "template", NULL);
    return NULL;
}

/* Reads a document into a map, if the file exists; else the map stays. */
static int read_optional(const char *path, struct node **out, struct error *err) {
    struct node *read;

    if (!file_exists(path)) return 0;
    read = document_read(path, err);
    if (!read) return -1;
    node_free(*out);
    *out = read;
    return 0;
}

/* chat_template.jinja goes before the template in tokenizer_config.json. */
static int read_template(const char *folder, struct node *config, struct error *err) {
    char *path = path_join(folder, "chat_template.jinja"), *text = NULL;
    int status = 0;

    if (file_exists(path)) {
        text = file_read(path, NULL, err);
        if (text)
            node_set_text(config, "chat_template", text);
        else
            status = -1;
    }
    free(text);
    free(path);
    return status;
}

int tokenizer_config_read(struct node **out, const char *folder, struct error *err) {
    char *path = path_join(folder, "tokenizer_config.json");
    int status;

    *out = node_new(NODE_MAP);
    status = read_optional(path, out, err);
    if (!status && (*out)->kind != NODE_MAP) status = fail(err, "%s: expected a map", path);
    if (!status) status = read_template(folder, *out, err);
    free(path);
    return status;
}

static int open_folder(struct tokenizer **out, const char *folder, struct node **config, struct error *err) {
    char *path = path_join(folder, "tokenizer.json");
    int status = tokenizer_load(out, path, err);

    if (!status) status = tokenizer_config_read(config, folder, err);
    free(path);
    return status;
}

static void add_role(struct node *config, const char *role, const struct tokenizer *tokenizer,
                     const struct node *metadata, const char *key) {
    const char *name = tokenizer_name(tokenizer, node_int(metadata, key, -1));

    if (name) node_add_text(config, role, name);
}

/* A GGUF file's keys, as a tokenizer_config.json would have them. */
static int open_gguf(struct tokenizer **out, const char *path, struct node **config, struct error *err) {
    struct gguf file;
    const char *template;

    *config = node_new(NODE_MAP);
    if (gguf_open(&file, path, err)) return -1;
    if (gguf_tokenizer_read(out, file.metadata, err)) {
        gguf_close(&file);
        return fail_within(err, "%s", path);
    }
    add_role(*config, "bos_token", *out, file.metadata, "tokenizer.ggml.bos_token_id");
    add_role(*config, "eos_token", *out, file.metadata, "tokenizer.ggml.eos_token_id");
    add_role(*config, "unk_token", *out, file.metadata, "tokenizer.ggml.unknown_token_id");
    add_role(*config, "pad_token", *out, file.metadata, "tokenizer.ggml.padding_token_id");
    template = node_text(file.metadata, "tokenizer.chat_template", NULL);
    if (template) node_add_text(*config, "chat_template", template);
    gguf_close(&file);
    return 0;
}

/* The format that the override, the template or the tokens themselves ask for. */
static int choose_chat(struct tokenizer *tokenizer, const char *path, struct error *err) {
    const char *template = tokenizer_template(tokenizer->config);
    char *override = override_path(path);
    struct node *description = NULL;
    int status = 0;

    if (read_optional(override, &description, err)) {
        status = -1;
    } else if (description && description->kind == NODE_STRING) {
        status = chat_named(&tokenizer->chat, description->text, err);
        node_free(description);
    } else if (description) {
        status = chat_described(&tokenizer->chat, description, err);
    } else if (template) {
        status = chat_recognize(&tokenizer->chat, template, err);
        if (status) fail_within(err, "%s", path);
    }
    if (status && !template) fail_within(err, "%s", override);
    free(override);
    return status;
}

/* An unknown template is an error of whoever wants to render with it. */
static void set_chat(struct tokenizer *tokenizer, const char *path) {
    struct error err;

    if (!choose_chat(tokenizer, path, &err)) return;
    free(tokenizer->chat_problem);
    tokenizer->chat_problem = xstrdup(err.message);
}

static int open_at(struct tokenizer **out, const char *path, struct error *err) {
    struct node *config = NULL;
    int status;

    status = is_gguf(path) ? open_gguf(out, path, &config, err) : open_folder(out, path, &config, err);
    if (status) {
        node_free(config);
        tokenizer_free(*out);
        *out = NULL;
        return -1;
    }
    (*out)->config = config;
    set_chat(*out, path);
    tokenizer_set_roles(*out, tokenizer_special(*out, role_text(config, "bos_token")),
                        tokenizer_special(*out, role_text(config, "eos_token")));
    return 0;
}

int tokenizer_open(struct tokenizer **out, const char *path, struct error *err) {
    char *place = is_adapter(path) ? adapter_find_file(path, "tokenizer.json") : xstrdup(path);
    int status;

    *out = NULL;
    status = place ? open_at(out, place, err)
                   : fail(err, "%s has no tokenizer.json, and its base is not there", path);
    free(place);
    return status;
}

static void set_role(struct tokenizer *tokenizer, char **text, const char *role, int id) {
    const char *name = tokenizer_name(tokenizer, id);

    if (*text || !name) return;
    *text = xstrdup(name);
    if (tokenizer->config && !role_text(tokenizer->config, role))
        node_set_text(tokenizer->config, role, name);
}

void tokenizer_set_roles(struct tokenizer *tokenizer, int begin, int end) {
    const char *stop = tokenizer->chat.format.stop;

    set_role(tokenizer, &tokenizer->chat.begin_text, "bos_token", begin);
    set_role(tokenizer, &tokenizer->chat.end_text, "eos_token", end);
    if (stop && !strcmp(stop, "{eos}")) stop = tokenizer->chat.end_text;
    tokenizer->end = stop ? tokenizer_find(tokenizer, stop, strlen(stop)) : -1;
}

const struct chat *tokenizer_chat(const struct tokenizer *tokenizer, struct error *err) {
    if (tokenizer->chat_problem) {
        fail(err, "%s", tokenizer->chat_problem);
        return NULL;
    }
    if (tokenizer->end >= 0) return &tokenizer->chat;
    fail(err,
         "the tokenizer has no token that ends a turn in the chat format %s (%s): name it as eos_token in "
         "tokenizer_config.json",
         tokenizer->chat.format.name, tokenizer->chat.format.stop);
    return NULL;
}

int tokenizer_end(const struct tokenizer *tokenizer) {
    return tokenizer->end;
}

int tokenizer_better(const struct tokenizer *tokenizer) {
    int better = tokenizer_special(tokenizer, TOKEN_BETTER);

    return better >= 0 ? better : tokenizer->end;
}

int tokenizer_store(const struct tokenizer *tokenizer, const char *folder, struct error *err) {
    char *path = path_join(folder, "tokenizer.json"), *beside = path_join(folder, "tokenizer_config.json");
    char *override = override_path(folder);
    int status = tokenizer_save(tokenizer, path, err);

    if (!status && tokenizer->config && tokenizer->config->count)
        status = document_write(beside, tokenizer->config, err);
    if (!status && tokenizer->chat.description)
        status = document_write(override, tokenizer->chat.description, err);
    free(override);
    free(beside);
    free(path);
    return status;
}
