/* A model of every family that is as small as one can be whose sizes all differ. */
#ifndef TESTS_TINY_CONFIG_H
#define TESTS_TINY_CONFIG_H

#include "models/config.h"

#include <check.h> /* last: it defines a macro named fail */

static inline struct config tiny(const char *family) {
    struct config config;
    struct error err;

    ck_assert_int_eq(config_family(&config, family, &err), 0);
    config.vocab = 11;
    config.context = 7;
    config.layers = 2;
    config.width = 6;
    config.heads = 2;
    config.kv_heads = config.rotary ? 1 : 2;
    config.head_size = config.rotary ? 4 : 3;
    config.ffn = 5;
    return config;
}

#endif
