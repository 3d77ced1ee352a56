#include "models/bench_serve.h"

#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "harness/memory.h"
#include "harness/version.h"
#include "models/work.h"

/* Work that was opened. */
struct opened {
    char *key;
    const struct work *work;
    struct node *request; /* whose texts the order points at */
    struct order order;
    void *state;
    struct opened *next;
};

struct server {
    struct stopwatch watch;
    struct opened *first;
};

static struct opened *find(const struct server *server, const char *key, struct error *err) {
    for (struct opened *one = server->first; one; one = one->next)
        if (!strcmp(one->key, key)) return one;
    fail(err, "no work is open under the key \"%s\"", key);
    return NULL;
}

static void discard(struct opened *one) {
    if (one->state) one->work->close(one->state);
    node_free(one->request);
    free(one->key);
    free(one);
}

static int open_work(struct server *server, const struct node *ask, struct node *told, struct error *err) {
    const char *device = node_text(ask, "mode", "cpu"), *work = node_text(ask, "work", "");
    struct opened *one = xcalloc(1, sizeof *one);

    one->key = xstrdup(node_text(ask, "key", ""));
    one->request = node_get(ask, "order") ? node_copy(node_get(ask, "order")) : node_new(NODE_MAP);
    one->work = work_find(work);
    if (!one->work) {
        fail(err, "there is no work \"%s\"", work);
        goto out;
    }
    if (options_read(order_options, NULL, one->request, "order", &one->order, err)) goto out;
    one->order.kernels = kernels_find(device);
    one->order.watch = server->watch;
    if (!one->order.kernels) {
        fail(err, "%s", kernels_missing(device));
        goto out;
    }
    if (one->work->open(&one->state, &one->order, told, err)) goto out;
    one->next = server->first;
    server->first = one;
    return 0;
out:
    discard(one);
    return -1;
}

static int close_work(struct server *server, const char *key, struct node *told, struct error *err) {
    struct opened *one = find(server, key, err), **at = &server->first;

    if (!one) return -1;
    while (*at != one) at = &(*at)->next;
    *at = one->next;
    discard(one);
    node_add_number(told, "peak_bytes", peak_memory());
    return 0;
}

static void say_hello(struct node *told) {
    char *name = xprintf("pyrite %s", version_program());
    char *setting = xprintf("%s, %s", kernels_find("cpu")->name, kernels_find("cpu-bf16")->name);

    node_add_text(told, "name", name);
    node_add_text(told, "setting", setting);
    free(setting);
    free(name);
}

static int obey(struct server *server, const struct node *ask, struct node *told, struct error *err) {
    const char *what = node_text(ask, "do", ""), *key = node_text(ask, "key", "");
    struct opened *one;

    if (!strcmp(what, "hello")) {
        say_hello(told);
        return 0;
    }
    if (!strcmp(what, "open")) return open_work(server, ask, told, err);
    if (!strcmp(what, "close")) return close_work(server, key, told, err);
    if (strcmp(what, "turn")) return fail(err, "cannot do \"%s\": it is hello, open, turn or close", what);
    one = find(server, key, err);
    return one ? one->work->turn(one->state, node_int(ask, "repeats", 1), told, err) : -1;
}

static void answer(struct server *server, const char *line, size_t length, FILE *out) {
    struct node *told = node_new(NODE_MAP), *ask;
    struct error err = {0};

    ask = document_parse_json(line, length, "request", 1, &err);
    if (!ask || obey(server, ask, told, &err)) node_set_text(told, "error", err.message);
    node_print(out, told, 0);
    fflush(out);
    node_free(ask);
    node_free(told);
}

void bench_serve(FILE *in, FILE *out, const struct stopwatch *watch) {
    struct server server = {.watch = *watch};
    char *line = NULL;
    size_t room = 0;
    ssize_t length;

    kernels_threads(watch->threads);
    while ((length = getline(&line, &room, in)) > 0) answer(&server, line, (size_t)length, out);
    free(line);
    while (server.first) {
        struct opened *next = server.first->next;

        discard(server.first);
        server.first = next;
    }
}
