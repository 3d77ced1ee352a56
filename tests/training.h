/* A world small enough to learn in seconds, and steps run on it: shared by the tests of training. */
#ifndef TESTS_TRAINING_H
#define TESTS_TRAINING_H

#include "harness/document.h"
#include "harness/registry.h"

/* Where steps compute; "cpu" unless a test says otherwise. */
extern const char *training_device;

/* Folder of its own for a test, made anew; caller frees. */
char *fresh_folder(void);

/* Writes FOLDER/data: prompts, demonstrations and pairs of the world "echo" (see training.c), and
   FOLDER/tokenizer and FOLDER/base, a model of random parameters. */
void make_task(const char *folder);

/* Runs a stage into FOLDER/name; options as YAML, "@x" in them becomes FOLDER/x. 0, or -1 with err set. */
int run_step(const char *stage, const char *folder, const char *name, const char *options, int threads,
             struct error *err);
/* What the stage says such a step would cost. */
int plan_step(const char *stage, const char *folder, const char *options, struct plan *out,
              struct error *err);
/* The same as run_step() in a child that is killed when its progress reaches `at`. */
void run_step_killed(const char *stage, const char *folder, const char *name, const char *options, double at);

/* The last row of FOLDER/name/log.jsonl that has the field; NaN if none has. first: the first such. */
double log_value(const char *folder, const char *name, const char *field, int first);
/* Fails the test unless both files exist and hold the same bytes. */
void check_same_bytes(const char *folder, const char *a, const char *b, const char *file);

/* The step's dropped.jsonl. */
void check_dropped(const char *folder, const char *name, const char *expected);

#endif
