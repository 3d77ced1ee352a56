#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/fetch.h"
#include "harness/fetch_hub.h"
#include "harness/memory.h"
#include "harness/names.h"

static const struct public_set *find(const char *name, struct error *err) {
    struct names names = {0};
    char *hint;

    for (const struct public_set *set = public_sets; set->name; set++) {
        if (!strcmp(set->name, name)) {
            free(names.items);
            return set;
        }
        names_add(&names, set->name);
    }
    hint = names_hint(&names, name);
    fail(err, "there is no data set '%s'%s; 'pyrite fetch' without a name lists them", name, hint);
    free(hint);
    free(names.items);
    return NULL;
}

/* "7.6 MB", or what is known of it. */
static void print_size(const struct public_set *set, FILE *out) {
    double bytes = 0;
    int files = 0, unknown = 0;

    for (const struct public_file *file = set->files; file->file; file++) {
        files++;
        unknown += !file->bytes;
        bytes += (double)file->bytes;
    }
    fprintf(out, "%d file%s, ", files, files > 1 ? "s" : "");
    if (bytes > 0) fprintf(out, "%.2g MB", bytes / 1e6);
    if (unknown && unknown < files) fprintf(out, " and %d of unknown size", unknown);
    if (unknown == files) fprintf(out, "size not known");
}

static void list_sets(FILE *out) {
    for (const struct public_set *set = public_sets; set->name; set++) {
        fprintf(out, "%-19s %s (", set->name, set->licence);
        print_size(set, out);
        fprintf(out, ")\n");
    }
}

static void print_fetched(const struct fetching *how, const struct public_file *file,
                          const struct fetched *got, FILE *out) {
    static const char *const from[] = {"was there", "from the cache", "downloaded"};

    fprintf(out, "%s/%s  %s\n", how->folder, file->file, from[got->from]);
    if (got->first_use)
        fprintf(out, "  trusted on first use, remembered in the cache: SHA-256 %s\n", got->sha256);
}

/* 1 where a file cannot be had: the names were right. */
static int fetch_set(const struct fetching *how, const struct public_set *set, FILE *out, struct error *err) {
    for (const struct public_file *file = set->files; file->file; file++) {
        struct fetched got;

        if (fetch_file(how, file, &got, err)) return 1;
        print_fetched(how, file, &got, out);
    }
    fprintf(out, "  %s: %s\n", set->name, set->licence);
    return 0;
}

/* 1 where a file cannot be had. */
static int fetch_hub(const struct fetching *how, const char *word, FILE *out, struct error *err) {
    struct hub hub;
    int status = hub_open(&hub, word, how, err) ? 1 : 0;

    for (int i = 0; i < hub.count && !status; i++) {
        struct fetched got;

        if (!i)
            fprintf(out, "%s: commit %s, %d files, %.3g MB\n", hub.name, hub.commit, hub.count,
                    hub.bytes / 1e6);
        status = fetch_file(&hub.how, &hub.files[i], &got, err) ? 1 : 0;
        if (!status) print_fetched(&hub.how, &hub.files[i], &got, out);
    }
    hub_close(&hub);
    return status;
}

static int fetch_word(const struct fetching *how, const char *word, FILE *out, struct error *err) {
    return is_hub_name(word) ? fetch_hub(how, word, out, err) : fetch_set(how, find(word, err), out, err);
}

static int check_word(const char *word, struct error *err) {
    return is_hub_name(word) ? hub_check(word, err) : find(word, err) ? 0 : -1;
}

static void read_mirrors(struct names *mirrors, const struct arguments *arguments) {
    for (int i = 0; i < arguments->flag_count; i++)
        if (!strcmp(arguments->flags[i]->name, "mirror")) names_add(mirrors, arguments->values[i]);
}

static int run(const struct arguments *arguments, struct error *err) {
    char *usual = fetch_cache();
    struct names mirrors = {0};
    struct fetching how = {.folder = argument_value(arguments, "to", "data"),
                           .cache = argument_value(arguments, "cache", usual),
                           .offline = argument_given(arguments, "offline")};
    int status = 0;

    read_mirrors(&mirrors, arguments);
    how.mirrors = mirrors.items;
    how.mirror_count = mirrors.count;
    if (!arguments->count) list_sets(arguments->out);
    if (arguments->count && !how.cache)
        status = fail(err, "there is no folder for a cache: HOME is not set; --cache DIR names one");
    for (int i = 0; i < arguments->count && !status; i++) status = check_word(arguments->words[i], err);
    for (int i = 0; i < arguments->count && !status; i++)
        status = fetch_word(&how, arguments->words[i], arguments->out, err);
    free(mirrors.items);
    free(usual);
    return status;
}

static const struct flag flags[] = {
    {"to", 0, "DIR", "folder that receives the files (default: data)"},
    {"cache", 0, "DIR",
     "folder that keeps them for every other one (default: $PYRITE_CACHE, ~/.cache/pyrite)"},
    {"offline", 0, NULL, "take files from the cache alone, ask no server"},
    {"mirror", 'm', "URL",
     "a server in the public ones' place, laid out as raw.githubusercontent.com: "
     "URL/OWNER/REPOSITORY/COMMIT/PATH; "
     "several are tried in turn"},
    {0}};

const struct command command_fetch = {
    .name = "fetch",
    .summary = "download public data sets, and models of a hub",
    .usage = "[NAME | hf:ORG/NAME[@REVISION][/FILE]]... [--to DIR]",
    .description =
        "Without a name, lists the data sets, their licences and sizes. Every file is pinned to a commit and "
        "tried at two public addresses. It appears only when it is whole and its SHA-256 is right; where no "
        "SHA-256 was published, that of the first download is printed and holds from then on. A download "
        "that breaks off is continued by the same command, and what was fetched once comes from the cache. "
        "hf:ORG/NAME is a model of huggingface.co, or of the hub that HF_ENDPOINT names: its safetensors (or "
        "its "
        "only GGUF file), configuration and tokenizer come into DIR/ORG/NAME, all of one commit, checked by "
        "the "
        "SHA-256 that the hub gives of large files and by the size of others; hf:datasets/ORG/NAME is a data "
        "set. "
        "HF_TOKEN may hold a token, which is sent to that hub alone.",
    .flags = flags,
    .least_words = 0,
    .most_words = -1,
    .run = run,
};
