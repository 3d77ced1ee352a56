#include "harness/public_files.h"

#include <string.h>

#include "harness/memory.h"

const struct public_file public_files[] = {
    {"hh-rlhf", "hh-rlhf/harmless-base.test.jsonl.gz",
     "https://raw.githubusercontent.com/anthropics/hh-rlhf/354e5c3cb8960630860dd5774a6ac2a58313bf4d/"
     "harmless-base/test.jsonl.gz",
     "ebfaaed21162a4de120ae85366075b34425e2a6303fac59b99555002f7016f03",
     "MIT; 2,312 human preference pairs; some text is offensive; meant for preference modelling"},
    {"xstest", "xstest/xstest_prompts.csv",
     "https://raw.githubusercontent.com/paul-rottger/exaggerated-safety/"
     "d7bb5bd738c1fcbc36edd83d5e7d1b71a3e2d84d/xstest_prompts.csv",
     "11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a",
     "CC BY 4.0; 250 safe prompts that look unsafe and 200 unsafe contrasts"},
    {0}};

char *public_file_fetch(const char *path) {
    for (const struct public_file *set = public_files; set->name; set++) {
        size_t length = strlen(path), tail = strlen(set->file);

        if (length > tail + 1 && path[length - tail - 1] == '/' && !strcmp(path + length - tail, set->file))
            return xprintf("pyrite fetch %s --to %.*s", set->name, (int)(length - tail - 1), path);
    }
    return NULL;
}
