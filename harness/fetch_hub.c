#include "harness/fetch_hub.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/http.h"
#include "harness/http_post.h"
#include "harness/memory.h"

static const char usual_endpoint[] = "https://huggingface.co";
enum { ATTEMPTS = 4, LISTING_MOST = 64 << 20 };

/* The parts of a name. */
struct wanted {
    char *repository, *revision, *file; /* file: NULL where none is named */
    int is_data;
};

int is_hub_name(const char *word) {
    return !strncmp(word, "hf:", 3);
}

/* A path that stays where it is put: no empty part, none of dots alone. */
static int is_safe_path(const char *path) {
    while (*path) {
        size_t length = strcspn(path, "/");

        if (!length || strspn(path, ".") >= length) return 0;
        for (size_t i = 0; i < length; i++)
            if (iscntrl((unsigned char)path[i]) || path[i] == '\\') return 0;
        path += length;
        if (*path == '/' && !*++path) return 0;
    }
    return 1;
}

static int is_plain(const char *text) {
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("._-%/", *text)) return 0;
    return 1;
}

static void wanted_free(struct wanted *wanted) {
    free(wanted->repository);
    free(wanted->revision);
    free(wanted->file);
}

static int parse_name(struct wanted *out, const char *word, struct error *err) {
    const char *at = word + strlen("hf:"), *slash, *end;

    *out = (struct wanted){.is_data = !strncmp(at, "datasets/", 9)};
    if (out->is_data) at += 9;
    slash = strchr(at, '/');
    end = slash ? slash + 1 + strcspn(slash + 1, "/@") : at + strcspn(at, "@");
    out->repository = xstrndup(at, (size_t)(end - at));
    if (*end == '@') {
        size_t length = strcspn(end + 1, "/");

        out->revision = xstrndup(end + 1, length);
        end += 1 + length;
    } else {
        out->revision = xstrdup("main");
    }
    if (*end == '/') out->file = xstrdup(end + 1);
    if (out->repository[0] && out->revision[0] && is_safe_path(out->repository) &&
        is_plain(out->repository) && is_safe_path(out->revision) && is_plain(out->revision) &&
        (!out->file || (out->file[0] && is_safe_path(out->file))))
        return 0;
    return fail(err,
                "'%s' is no name of a repository: hf:org/name, with or without @revision and /file; "
                "hf:datasets/org/name for data",
                word);
}

/* The token of the environment, or NULL. It is never shown. */
static int read_token(const char **out, struct error *err) {
    *out = getenv("HF_TOKEN");
    if (*out && !**out) *out = NULL;
    for (const char *c = *out; c && *c; c++)
        if (*c <= ' ' || *c > '~')
            return fail(err,
                        "the environment variable HF_TOKEN holds a space, a line end or what is not ASCII; "
                        "a token has none");
    return 0;
}

static const char *kind_of(const struct wanted *wanted) {
    return wanted->is_data ? "datasets" : "models";
}

/* Asks the server, which leaves its answer in the cache. */
static int ask(const char *path, const struct wanted *wanted, const struct hub *hub, struct error *err) {
    char *url = xprintf("%s/api/%s/%s/revision/%s?blobs=true", hub->mirror, kind_of(wanted),
                        wanted->repository, wanted->revision);
    char *part = xprintf("%s.part", path);
    struct http_file file = {url, part, LISTING_MOST, hub->how.token, ATTEMPTS};
    int status;

    remove(part); /* half an answer is none */
    status = http_download(&file, err);
    if (!status && rename(part, path)) status = fail(err, "%s: cannot be renamed", part);
    if (status && file_exists(path)) fail_within(err, "(--offline takes what was fetched before)");
    free(url);
    free(part);
    return status;
}

static int is_commit(const char *text) {
    return text && strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

/* The answer in the cache, which goes if it is none. */
static struct node *read_answer(const char *path, const struct hub *hub, struct error *err) {
    struct node *listing = document_read(path, err);

    if (listing && is_commit(node_text(listing, "sha", NULL)) && node_get(listing, "siblings"))
        return listing;
    if (listing)
        fail(err, "%s: the server's answer names no commit and files; is %s a hub?", path, hub->mirror);
    node_free(listing);
    remove(path);
    return NULL;
}

/* What the hub says of the revision; caller frees. A commit never changes, and is asked for once. */
static struct node *read_listing(const struct wanted *wanted, const struct hub *hub, struct error *err) {
    char *folder = xprintf("%s/hf/%s/%s", hub->how.cache, kind_of(wanted), wanted->repository);
    char *path = xprintf("%s/%s.json", folder, wanted->revision);
    struct node *listing = NULL;
    int there = file_exists(path);

    if (folder_make(folder, err))
        fail_within(err, "the cache (--cache or PYRITE_CACHE names another)");
    else if (hub->how.offline && !there)
        fail(err, "%s at %s is not in the cache %s, and --offline asks no server", wanted->repository,
             wanted->revision, hub->how.cache);
    else if (hub->how.offline || (there && is_commit(wanted->revision)) || !ask(path, wanted, hub, err))
        listing = read_answer(path, hub, err);
    free(folder);
    free(path);
    return listing;
}

static int is_any(const char *name, const char *const *endings) {
    for (; *endings; endings++)
        if (text_ends(name, *endings)) return 1;
    return 0;
}

static int is_weights(const char *name) {
    return !strchr(name, '/') && text_ends(name, ".safetensors") && strncmp(name, "consolidated", 12);
}

static int count_of(const struct node *siblings, const char *ending) {
    int count = 0;

    for (const struct node *file = siblings->first; file; file = file->next) {
        const char *name = node_text(file, "rfilename", "");

        count += !strcmp(ending, ".safetensors") ? is_weights(name)
                                                 : !strchr(name, '/') && text_ends(name, ending);
    }
    return count;
}

static int is_wanted(const struct wanted *wanted, const char *name, int gguf) {
    static const char *const beside[] = {".json", ".txt", ".model", ".jinja", ".md", "LICENSE", NULL};
    static const char *const data[] = {".jsonl",   ".json",   ".csv",       ".jsonl.gz",
                                       ".json.gz", ".csv.gz", ".jsonl.zst", ".json.zst",
                                       ".csv.zst", ".md",     "LICENSE",    NULL};

    if (wanted->file) return !strcmp(name, wanted->file);
    if (wanted->is_data) return is_any(name, data);
    if (strchr(name, '/')) return 0;
    return is_any(name, beside) || (gguf ? text_ends(name, ".gguf") : is_weights(name));
}

static int add_file(struct hub *hub, const struct wanted *wanted, const struct node *sibling,
                    struct error *err) {
    const char *name = node_text(sibling, "rfilename", "");
    const struct node *lfs = node_get(sibling, "lfs");
    const char *sha256 = node_text(lfs, "sha256", NULL);
    double bytes = node_number(sibling, "size", node_number(lfs, "size", -1));
    struct public_file *file;

    if (!name[0] || !is_safe_path(name))
        return fail(err, "the hub names a file '%s', which no folder can hold", name);
    if (sha256 && (strlen(sha256) != 64 || strspn(sha256, "0123456789abcdef") != 64))
        return fail(err, "the hub gives '%.80s' as the SHA-256 of %s; 64 hex digits were expected", sha256,
                    name);
    if (!(bytes >= 0 && bytes < 1e15)) return fail(err, "the hub gives no size of %s that can be", name);
    hub->files = xrealloc(hub->files, (size_t)hub->count + 1, sizeof *hub->files);
    file = &hub->files[hub->count++];
    *file = (struct public_file){
        .file = xstrdup(name),
        .repository = xprintf("%s%s/resolve", wanted->is_data ? "datasets/" : "", wanted->repository),
        .commit = hub->commit,
        .path = xstrdup(name),
        .sha256 = xstrdup(sha256),
        .bytes = (long)bytes};
    hub->bytes += bytes;
    return 0;
}

static int fail_empty(const struct wanted *wanted, int gguf, struct error *err) {
    if (wanted->file) return fail(err, "%s has no file '%s'", wanted->repository, wanted->file);
    if (wanted->is_data)
        return fail(err,
                    "%s has no file that can be read: .jsonl, .json or .csv, packed or not (Parquet is not)",
                    wanted->repository);
    if (gguf > 1)
        return fail(err, "%s has %d GGUF files; name one: hf:%s/FILE.gguf", wanted->repository, gguf,
                    wanted->repository);
    return fail(
        err,
        "%s has neither safetensors nor GGUF; weights in Python's pickle format (.bin, .pt) are not read",
        wanted->repository);
}

static int choose_files(struct hub *hub, const struct wanted *wanted, const struct node *siblings,
                        struct error *err) {
    int weights = count_of(siblings, ".safetensors"), gguf = weights ? 0 : count_of(siblings, ".gguf"),
        found = 0;

    if (siblings->kind != NODE_LIST) return fail(err, "the hub's list of files is none");
    if (!wanted->file && !wanted->is_data && !weights && gguf != 1) return fail_empty(wanted, gguf, err);
    for (const struct node *file = siblings->first; file; file = file->next) {
        const char *name = node_text(file, "rfilename", "");

        if (!is_wanted(wanted, name, gguf)) continue;
        found += !text_ends(name, ".md") && !text_ends(name, "LICENSE");
        if (add_file(hub, wanted, file, err)) return -1;
    }
    return found || (wanted->file && hub->count) ? 0 : fail_empty(wanted, gguf, err);
}

static int open_wanted(struct hub *hub, const struct wanted *wanted, struct error *err) {
    struct node *listing = NULL;
    int status = -1;

    if (read_token(&hub->how.token, err)) return -1;
    hub->mirror = getenv("HF_ENDPOINT");
    if (!hub->mirror || !hub->mirror[0]) hub->mirror = usual_endpoint;
    if (http_check_url(hub->mirror, hub->how.token != NULL, err)) return fail_within(err, "HF_ENDPOINT");
    listing = read_listing(wanted, hub, err);
    if (!listing) return -1;
    hub->name = xstrdup(wanted->repository);
    hub->commit = xstrdup(node_text(listing, "sha", ""));
    hub->folder = path_join(hub->how.folder, wanted->repository);
    hub->cache = xprintf("%s/hf/%s/%s/%s", hub->how.cache, kind_of(wanted), wanted->repository, hub->commit);
    status = choose_files(hub, wanted, node_get(listing, "siblings"), err);
    hub->how.folder = hub->folder;
    hub->how.cache = hub->cache;
    hub->how.mirrors = &hub->mirror;
    hub->how.mirror_count = 1;
    hub->how.attempts = ATTEMPTS;
    hub->how.exact = 1;
    node_free(listing);
    return status;
}

int hub_check(const char *word, struct error *err) {
    struct wanted wanted;
    int status = parse_name(&wanted, word, err);

    wanted_free(&wanted);
    return status;
}

int hub_open(struct hub *out, const char *word, const struct fetching *how, struct error *err) {
    struct wanted wanted;
    int status;

    *out = (struct hub){.how = *how};
    status = parse_name(&wanted, word, err);
    if (!status) status = open_wanted(out, &wanted, err);
    if (status) hub_close(out);
    wanted_free(&wanted);
    return status;
}

void hub_close(struct hub *hub) {
    for (int i = 0; i < hub->count; i++) {
        free((char *)hub->files[i].file);
        free((char *)hub->files[i].repository);
        free((char *)hub->files[i].path);
        free((char *)hub->files[i].sha256);
    }
    free(hub->files);
    free(hub->name);
    free(hub->commit);
    free(hub->folder);
    free(hub->cache);
    *hub = (struct hub){0};
}
