#define _GNU_SOURCE /* mkdtemp */
#include "models/bench_ask.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/progress.h"
#include "harness/version.h"
#include "harness/worker.h"

struct node *bench_request(const char *what, const char *key) {
    struct node *map = node_new(NODE_MAP);

    node_add_text(map, "do", what);
    if (key) node_add_text(map, "key", key);
    return map;
}

/* The next line that comes; NULL with err set. */
static struct node *hear(struct companion *companion, double seconds, struct error *err) {
    char *reply = companion_hear(companion, seconds, err);
    struct node *heard = reply ? document_parse_json(reply, strlen(reply), companion->name, 1, err) : NULL;

    free(reply);
    return heard;
}

struct node *bench_ask(struct companion *companion, const struct node *request, double seconds,
                       struct error *err) {
    double last = monotonic_seconds() + seconds;
    char *line = node_json(request, 0);
    int status = companion_tell(companion, line, err);
    struct node *answer = status ? NULL : hear(companion, seconds, err);
    const char *error;

    free(line);
    while (answer && node_text(answer, "progress", NULL)) {
        progress_notice("%s", node_text(answer, "progress", NULL));
        node_free(answer);
        answer = hear(companion, last - monotonic_seconds(), err);
    }
    error = node_text(answer, "error", NULL);
    if (!error) return answer;
    fail(err, "%s", error);
    node_free(answer);
    return NULL;
}

int bench_start(struct companion *companion, const char *const *words, const struct stopwatch *watch,
                const char *log, struct error *err) {
    char threads[32], self[4096] = "";
    const char *const ours[] = {self, "bench", "serve", NULL};
    const char *all[8] = {0};
    struct child child = {.words = all};
    int count = 0, status;

    if (!words) words = ours;
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return fail(err, "cannot find this program's file");
    for (; words[count]; count++) all[count] = words[count];
    snprintf(threads, sizeof threads, "--threads=%d", watch->threads);
    all[count++] = threads;
    if (watch->cpu_time) all[count] = "--cpu-time";
    child.complaints = fopen(log, "ae");
    status = companion_open(companion, &child, err);
    if (child.complaints) fclose(child.complaints);
    return status;
}

char *bench_folder(const char *folder, struct error *err) {
    char made[] = "/tmp/pyrite-bench-XXXXXX";

    if (folder) return folder_make(folder, err) ? NULL : xstrdup(folder);
    if (mkdtemp(made)) return xstrdup(made);
    fail(err, "cannot make a folder in /tmp; --folder names one");
    return NULL;
}

void bench_describe(struct node *results, const char *command, const struct stopwatch *watch) {
    time_t now = time(NULL);
    char date[64];

    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime(&now));
    node_add_text(results, "date", date);
    node_add_text(results, "command", command);
    node_add_number(results, "threads", watch->threads);
    node_add_bool(results, "cpu_time", watch->cpu_time);
    version_processor(node_add(results, "machine", NODE_MAP));
}
