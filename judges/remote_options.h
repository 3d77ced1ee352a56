/* What the judge remote can be told, and its key. */
#ifndef JUDGES_REMOTE_OPTIONS_H
#define JUDGES_REMOTE_OPTIONS_H

#include "harness/option.h"

struct remote_options {
    const char *endpoint, *model, *rubric, *rubric_file, *key_env, *key_file, *ca_file, *cache;
    const struct node *body;
    double temperature, rate, timeout, connect_timeout, backoff, longest_wait, input_price, output_price,
        budget;
    int method, max_tokens, max_tokens_name, top_logprobs, concurrency, retries, most_bytes, give_up,
        retry_errors, canaries;
};

extern const struct option remote_options[];

/* Reads and checks what was given, which keeps owning the texts. */
int remote_options_read(struct remote_options *out, const struct node *given, const char *where,
                        struct error *err);

/* The key that the options lead to, or NULL where they name none; the caller wipes and frees it. */
int remote_key(char **out, const struct remote_options *options, struct error *err);

#endif
