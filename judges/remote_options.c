#include "judges/remote_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/file.h"
#include "harness/memory.h"

#define AT(field) offsetof(struct remote_options, field)
const struct option remote_options[] = {
    {"endpoint", OPTION_TEXT, AT(endpoint), NULL, 0, 0, NULL,
     "URL of the API: https://HOST/v1; /chat/completions is added"},
    {"model", OPTION_TEXT, AT(model), NULL, 0, 0, NULL, "name of the model, as the server calls it"},
    {"rubric", OPTION_TEXT, AT(rubric), "", 0, 0, NULL,
     "what is asked: pairwise, score, yes-no, refusal or correctness"},
    {"rubric_file", OPTION_FILE, AT(rubric_file), "", 0, 0, NULL, "a rubric of your own, instead"},
    {"key_env", OPTION_TEXT, AT(key_env), "", 0, 0, NULL, "environment variable that holds the key"},
    {"key_file", OPTION_TEXT, AT(key_file), "", 0, 0, NULL, "file of mode 0600 that holds the key"},
    {"method", OPTION_CHOICE, AT(method), "text", 0, 0, "text|logprobs",
     "read the verdict in the reply, or weigh the first token's probabilities"},
    {"max_tokens", OPTION_INT, AT(max_tokens), "512", 1, 1000000, NULL, "of a reply; with logprobs 1"},
    {"max_tokens_name", OPTION_CHOICE, AT(max_tokens_name), "max_tokens", 0, 0,
     "max_tokens|max_completion_tokens", "what the server calls that limit"},
    {"temperature", OPTION_REAL, AT(temperature), "0", -1, 2, NULL, "of sampling; -1: the server's own"},
    {"top_logprobs", OPTION_INT, AT(top_logprobs), "5", 2, 20, NULL,
     "tokens whose probabilities are asked for"},
    {"body", OPTION_MAP, AT(body), "", 0, 0, NULL, "more fields of the request (reasoning_effort: low)"},
    {"concurrency", OPTION_INT, AT(concurrency), "8", 1, 256, NULL, "requests in flight at most"},
    {"rate", OPTION_REAL, AT(rate), "0", 0, 1000000, NULL, "requests a minute at most; 0: any number"},
    {"retries", OPTION_INT, AT(retries), "5", 0, 100, NULL, "attempts after a request's first that failed"},
    {"timeout", OPTION_REAL, AT(timeout), "120", 0.01, 86400, NULL, "seconds for a reply"},
    {"connect_timeout", OPTION_REAL, AT(connect_timeout), "20", 0.01, 3600, NULL, "seconds to connect"},
    {"backoff", OPTION_REAL, AT(backoff), "1", 0.001, 60, NULL,
     "seconds before the second attempt, doubled for each later one, times ½ to 1½"},
    {"longest_wait", OPTION_REAL, AT(longest_wait), "300", 0, 86400, NULL,
     "seconds that a server may ask to wait; beyond it the request has failed"},
    {"most_bytes", OPTION_INT, AT(most_bytes), "4194304", 1024, 1073741824, NULL,
     "of a reply; it is cut off beyond"},
    {"give_up", OPTION_INT, AT(give_up), "25", 0, 1000000, NULL,
     "failures in a row after which no more is asked; 0: never"},
    {"input_price", OPTION_REAL, AT(input_price), "0", 0, 1e6, NULL, "of a million tokens of the prompt"},
    {"output_price", OPTION_REAL, AT(output_price), "0", 0, 1e6, NULL, "of a million tokens of the reply"},
    {"budget", OPTION_REAL, AT(budget), "0", 0, 1e9, NULL,
     "in the prices' currency; no request is sent that could pass it; 0: none"},
    {"cache", OPTION_TEXT, AT(cache), "cache/judgments.db", 0, 0, NULL,
     "file that keeps every reply; what is in it is not asked again"},
    {"retry_errors", OPTION_BOOL, AT(retry_errors), "false", 0, 0, NULL,
     "ask again what failed before; the failure stays until there is an answer"},
    {"canaries", OPTION_BOOL, AT(canaries), "true", 0, 0, NULL, "add judgments whose right answer is known"},
    {"ca_file", OPTION_TEXT, AT(ca_file), "", 0, 0, NULL, "certificates to trust instead of the system's"},
    {0}};
#undef AT

static int is_variable(const char *name) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

    return *name && strchr(letters, *name) && !name[strspn(name, more)];
}

/* Sentences here never repeat what was given: it may be the key itself, in the wrong place. */
static int read_key_variable(char **out, const char *name, struct error *err) {
    const char *value = is_variable(name) ? getenv(name) : NULL;

    if (!is_variable(name))
        return fail(err, "key_env must be the name of an environment variable, not the key itself");
    if (!value || !*value)
        return fail(err,
                    "the environment variable that key_env names is not set: export it, or use key_file");
    *out = xstrdup(value);
    return 0;
}

static int read_key_file(char **out, const char *path, struct error *err) {
    struct stat info;

    if (stat(path, &info))
        return fail(err, "the file that key_file names cannot be read: %s", strerror(errno));
    if (info.st_mode & 077)
        return fail(err, "the file that key_file names is open to others (mode %04o); chmod 600 closes it",
                    (unsigned)info.st_mode & 07777);
    *out = file_read(path, NULL, err);
    if (!*out) return -1;
    (*out)[strcspn(*out, "\r\n")] = '\0';
    return 0;
}

int remote_key(char **out, const struct remote_options *settings, struct error *err) {
    const char *key;

    if (settings->key_env && settings->key_file) return fail(err, "one of key_env and key_file is enough");
    *out = NULL;
    if (settings->key_env && read_key_variable(out, settings->key_env, err)) return -1;
    if (settings->key_file && read_key_file(out, settings->key_file, err)) return -1;
    key = *out;
    for (const char *at = key; at && *at; at++)
        if (*at <= ' ' || *at > '~') return fail(err, "the key holds blanks or signs that no key has");
    return key && strlen(key) < 8 ? fail(err, "the key is shorter than 8 characters") : 0;
}

static int check(const struct remote_options *settings, struct error *err) {
    static const char *const own[] = {"model",       "messages", "temperature", "max_tokens",
                                      "stream",      "logprobs", "n",           "max_completion_tokens",
                                      "top_logprobs"};

    if (!settings->rubric == !settings->rubric_file)
        return fail(err, "the judge remote needs a rubric: one of rubric and rubric_file");
    if (settings->budget > 0 && settings->input_price + settings->output_price <= 0)
        return fail(err, "a budget needs prices: input_price and output_price, of a million tokens");
    if (settings->body && settings->body->kind != NODE_MAP)
        return fail(err, "body must be a map of fields of the request");
    for (const struct node *field = settings->body ? settings->body->first : NULL; field; field = field->next)
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            if (!strcmp(field->key, own[i]))
                return fail(err, "body cannot set \"%s\", which the judge sets itself", own[i]);
    return 0;
}

int remote_options_read(struct remote_options *out, const struct node *given, const char *where,
                        struct error *err) {
    return options_read(remote_options, NULL, given, where, out, err) || check(out, err) ? -1 : 0;
}
