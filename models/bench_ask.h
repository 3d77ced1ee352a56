/* Asking a process that does work in turns: this program's own (bench_serve.h), or tools/peers.py. */
#ifndef MODELS_BENCH_ASK_H
#define MODELS_BENCH_ASK_H

#include "harness/companion.h"
#include "harness/document.h"
#include "models/bench.h"

/* Seconds after which a process is given up; COMPILE_SECONDS: one that may compile first. */
enum { HELLO_SECONDS = 120, OPEN_SECONDS = 300, TURN_SECONDS = 300, COMPILE_SECONDS = 1800 };

/* A request to `what` under a key (NULL: none), to be completed and freed by the caller. */
struct node *bench_request(const char *what, const char *key);
/* The answer, caller frees; NULL with err set, also when the answer is an error. Lines of {"progress": TEXT}
   that come before it are given on as notices. */
struct node *bench_ask(struct companion *companion, const struct node *request, double seconds,
                       struct error *err);
/* Starts the words with the watch's flags; no words: this program's own `bench serve`. What it complains of
   is added to the file `log`. */
int bench_start(struct companion *companion, const char *const *words, const struct stopwatch *watch,
                const char *log, struct error *err);

/* The folder, made if need be, or a new one in /tmp that the caller removes; caller frees. NULL with err set.
 */
char *bench_folder(const char *folder, struct error *err);
/* Adds date and command, and what machine this is, to results. */
void bench_describe(struct node *results, const char *command, const struct stopwatch *watch);

#endif
