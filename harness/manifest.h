/* What made a run: every resolved option, seed, version and input hash; the same bytes for the same run. */
#ifndef HARNESS_MANIFEST_H
#define HARNESS_MANIFEST_H

#include "harness/pipeline.h"

/* Adds versions, device and processor. */
void manifest_about(struct node *manifest, const char *device);
int manifest_write(const struct pipeline *pipeline, struct error *err);
/* A step's entry: {"name", "label", "use", "seed", "matrix", "hash", "options", "sources"}; also its
 * step.json.
 */
struct node *manifest_step(const struct pipeline *pipeline, const struct task *task, struct error *err);

/* Adds a line to the run's timing.jsonl, which nothing reads that must repeat. */
void manifest_timing(const struct pipeline *pipeline, const char *step, const struct worker *worker,
                     int threads);

#endif
