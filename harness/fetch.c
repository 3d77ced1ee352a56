#include "harness/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/http.h"
#include "harness/memory.h"
#include "harness/progress.h"

static const long unknown_size_most = 512L << 20;

char *fetch_cache(void) {
    const char *own = getenv("PYRITE_CACHE"), *shared = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (own && own[0]) return xstrdup(own);
    if (shared && shared[0]) return path_join(shared, "pyrite");
    return home && home[0] ? path_join(home, ".cache/pyrite") : NULL;
}

/* One file on its way; paths are owned. */
struct errand {
    const struct fetching *how;
    const struct public_file *file;
    char *path, *cached, *part, *known, *lock; /* known: file that remembers the SHA-256 */
    char wanted[65];                           /* "" where nobody knows */
    int lock_fd;
};

static int make_parent(const char *path, struct error *err) {
    char *parent = xstrdup(path), *slash = strrchr(parent, '/');
    int status = 0;

    if (slash) {
        *slash = 0;
        status = folder_make(parent, err);
    }
    free(parent);
    return status;
}

static int is_hash(const char *text) {
    return strspn(text, "0123456789abcdef") == 64;
}

/* The table's SHA-256, else the one that an earlier download left. */
static int read_wanted(struct errand *errand, struct error *err) {
    char *text;

    if (errand->file->sha256) memcpy(errand->wanted, errand->file->sha256, 64);
    if (errand->file->sha256 || !file_exists(errand->known)) return 0;
    text = file_read(errand->known, NULL, err);
    if (!text) return -1;
    if (!is_hash(text)) {
        free(text);
        return fail(err, "%s: 64 hex digits were expected; remove it to trust the next download",
                    errand->known);
    }
    memcpy(errand->wanted, text, 64);
    free(text);
    return 0;
}

static int begin(struct errand *errand, struct error *err) {
    const struct fetching *how = errand->how;

    errand->lock_fd = -1;
    errand->path = path_join(how->folder, errand->file->file);
    errand->cached = path_join(how->cache, errand->file->file);
    errand->known = xprintf("%s.sha256", errand->cached);
    errand->lock = xprintf("%s.lock", errand->cached);
    if (make_parent(errand->cached, err))
        return fail_within(err, "the cache (--cache or PYRITE_CACHE names another)");
    errand->lock_fd = open(errand->lock, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (errand->lock_fd < 0 || flock(errand->lock_fd, LOCK_EX))
        return fail(err, "%s: cannot be locked; --cache or PYRITE_CACHE names another folder", errand->lock);
    return read_wanted(errand, err);
}

static void end(struct errand *errand) {
    if (errand->lock_fd >= 0) close(errand->lock_fd);
    free(errand->path);
    free(errand->cached);
    free(errand->part);
    free(errand->known);
    free(errand->lock);
}

static int copy(const char *from, const char *to, struct error *err) {
    FILE *in = fopen(from, "rb");
    struct output out;
    char block[1 << 16];
    size_t got;
    int status;

    if (!in) return fail(err, "cannot read %s: %s", from, strerror(errno));
    status = output_open(&out, to, err);
    while (!status && (got = fread(block, 1, sizeof block, in)) > 0) fwrite(block, 1, got, out.file);
    if (!status && ferror(in)) {
        output_discard(&out);
        status = fail(err, "cannot read %s: %s", from, strerror(errno));
    }
    if (!status) status = output_close(&out, err);
    fclose(in);
    return status;
}

/* A second name for the file where that can be, since weights are large. */
static int place(const struct errand *errand, struct error *err) {
    if (make_parent(errand->path, err)) return -1;
    if (errand->how->exact && !link(errand->cached, errand->path)) return 0;
    return copy(errand->cached, errand->path, err);
}

struct keeping {
    const struct kept_prompts *kept;
    struct text out;
    int rows;
};

static int keep_row(void *context, const struct node *record, int line, struct error *err) {
    struct keeping *keeping = context;
    const struct kept_prompts *kept = keeping->kept;
    const char *prompt = node_text(record, kept->prompt, NULL),
               *id = kept->id ? node_text(record, kept->id, NULL) : NULL;
    struct node *row;
    char *text;

    (void)line;
    if (!prompt || (kept->id && !id))
        return fail(err, "the column \"%s\" is missing", prompt ? kept->id : kept->prompt);
    if (kept->where && strcmp(node_text(record, kept->where, ""), kept->is)) return 0;
    row = node_new(NODE_MAP);
    text = id ? xstrdup(id) : xprintf("%s%03d", kept->prefix, keeping->rows);
    node_add_text(row, "id", text);
    node_add_text(row, "prompt", prompt);
    if (kept->category) node_add_text(row, "category", node_text(record, kept->category, ""));
    free(text);
    text = node_json(row, 0);
    text_printf(&keeping->out, "%s\n", text);
    free(text);
    node_free(row);
    keeping->rows++;
    return 0;
}

/* The download becomes the file in the cache: as it is, or its prompts alone. */
static int take_in(const struct errand *errand, struct error *err) {
    struct keeping keeping = {.kept = errand->file->kept};
    char *table;
    int status;

    if (!keeping.kept) {
        if (!rename(errand->part, errand->cached)) return 0;
        return fail(err, "%s: cannot be renamed to %s", errand->part, errand->cached);
    }
    table = xprintf("%s.csv", errand->cached);
    if (rename(errand->part, table)) {
        free(table);
        return fail(err, "%s: cannot be renamed", errand->part);
    }
    text_add(&keeping.out, "", 0);
    status = document_each(table, keep_row, &keeping, err);
    if (!status) status = file_write(errand->cached, keeping.out.data, keeping.out.length, err);
    unlink(table);
    free(table);
    free(keeping.out.data);
    return status;
}

/* -1 where the file is not the one wanted; sha256 is set all the same. */
static int check_sum(const struct errand *errand, const char *path, char sha256[65], struct error *err) {
    if (hash_file(sha256, path, err)) return -1;
    if (!errand->wanted[0] || !strcmp(sha256, errand->wanted)) return 0;
    return fail(err, "the SHA-256 is %s, expected %s", sha256, errand->wanted);
}

/* Where a SHA-256 tells whether parts fit, any server continues what another began; else each its own. */
static void name_part(struct errand *errand, const char *url) {
    char hex[65];

    free(errand->part);
    hash_bytes(hex, url, strlen(url));
    errand->part =
        errand->wanted[0] ? xprintf("%s.part", errand->cached) : xprintf("%s.%.8s.part", errand->cached, hex);
}

static int check_size(const struct errand *errand, struct error *err) {
    struct stat found;

    if (!errand->how->exact || stat(errand->part, &found) || (long)found.st_size == errand->file->bytes)
        return 0;
    return fail(err, "%lld bytes came, of %ld", (long long)found.st_size, errand->file->bytes);
}

/* One attempt at one address. What does not fit after a continued download is begun anew. */
static int try_address(struct errand *errand, const char *url, struct fetched *out, struct error *err) {
    long most = errand->file->bytes || errand->how->exact ? errand->file->bytes : unknown_size_most;
    int resumed, status, attempts = errand->how->attempts;

    name_part(errand, url);
    resumed = file_exists(errand->part);
    status = http_download(
        &(struct http_file){url, errand->part, most, errand->how->token, attempts ? attempts : 1}, err);
    if (!status && check_size(errand, err)) status = fail_within(err, "%s", url);
    if (!status) status = take_in(errand, err);
    if (!status && check_sum(errand, errand->cached, out->sha256, err)) {
        unlink(errand->cached);
        if (resumed) return try_address(errand, url, out, err);
        status = fail_within(err, "%s", url);
    }
    return status;
}

static char *address(const struct errand *errand, int number) {
    const struct fetching *how = errand->how;

    if (how->mirror_count)
        return number < how->mirror_count ? public_file_url(errand->file, how->mirrors[number]) : NULL;
    if (number == 0) return public_file_url(errand->file, "https://raw.githubusercontent.com");
    return number == 1 ? public_file_mirror(errand->file) : NULL;
}

static int download(struct errand *errand, struct fetched *out, struct error *err) {
    struct text reasons = {0};
    char *url;
    int status = -1, number = 0;

    text_add(&reasons, "", 0);
    while (status && (url = address(errand, number++))) {
        struct error why;

        status = try_address(errand, url, out, &why);
        if (status) text_printf(&reasons, "%s%s", number > 1 ? "; " : "", why.message);
        free(url);
    }
    if (status)
        fail(err, "%s: no server gave it: %.800s; the same command goes on", errand->file->file,
             reasons.data);
    free(reasons.data);
    return status;
}

static int remember(const struct errand *errand, const char *sha256, struct error *err) {
    char *line = xprintf("%s\n", sha256);
    int status = file_write(errand->known, line, strlen(line), err);

    free(line);
    return status;
}

static int use_folder(struct errand *errand, struct fetched *out, struct error *err) {
    out->from = FETCHED_ALREADY;
    if (!check_sum(errand, errand->path, out->sha256, err)) return 0;
    return fail_within(err, "%s is not the published file (move it away to fetch that)", errand->path);
}

/* 1: it is there and right. */
static int use_cache(struct errand *errand, struct fetched *out) {
    struct error why;

    if (!file_exists(errand->cached)) return 0;
    out->from = FETCHED_CACHE;
    if (!check_sum(errand, errand->cached, out->sha256, &why)) return 1;
    progress_notice("%s in the cache is damaged and was removed", errand->cached);
    unlink(errand->cached);
    return 0;
}

static int bring(struct errand *errand, struct fetched *out, struct error *err) {
    if (file_exists(errand->path)) return use_folder(errand, out, err);
    if (!use_cache(errand, out)) {
        out->from = FETCHED_SERVER;
        if (errand->how->offline)
            return fail(err, "%s is not in the cache %s, and --offline asks no server", errand->file->file,
                        errand->how->cache);
        if (download(errand, out, err)) return -1;
        out->first_use = !errand->wanted[0];
        if (out->first_use && remember(errand, out->sha256, err)) return -1;
    }
    return place(errand, err);
}

int fetch_file(const struct fetching *how, const struct public_file *file, struct fetched *out,
               struct error *err) {
    struct errand errand = {.how = how, .file = file};
    int status;

    *out = (struct fetched){0};
    status = begin(&errand, err);
    if (!status) status = bring(&errand, out, err);
    end(&errand);
    return status;
}
