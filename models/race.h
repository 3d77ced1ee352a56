/* The race of `pyrite bench compare`: this program, PyTorch and llama.cpp do the same work in turns, each in
   a process that stays warm; on an NVIDIA device this program and PyTorch. And the tables made of what it
   measured. */
#ifndef MODELS_RACE_H
#define MODELS_RACE_H

#include <stdio.h>

#include "harness/document.h"
#include "models/bench.h"
#include "models/model.h"

enum { ROUNDS_MOST = 1000, PROBE_ROUNDS = 8000000 };

enum race_peer { PEER_PYRITE, PEER_PYTORCH, PEER_INSTALLED, PEER_LLAMA, PEER_DEVICE, PEERS };

/* A program with a setting. */
struct contender {
    const char *name;
    enum race_peer peer;
    const char *mode;      /* what its process is asked for */
    const char *precision; /* "f32" or "bf16": of which peak it has a share */
    int equal;             /* responses of the mean of the lengths asked for */
};
enum {
    PYRITE_F32,
    PYRITE_BF16,
    PYTORCH_F32,
    PYTORCH_BF16,
    COMPILED_F32,
    COMPILED_BF16,
    INSTALLED_F32,
    LLAMA_F32,
    LLAMA_F16,
    LLAMA_BF16,
    LLAMA_Q8,
    EQUAL_F32,
    EQUAL_BF16,
    DEVICE_F32,
    DEVICE_BF16,
    DEVICE_CUBLAS,
    TORCH_F32,
    TORCH_BF16,
    TORCH_COMPILED_F32,
    TORCH_COMPILED_BF16,
    CONTENDERS
};
extern const struct contender contenders[CONTENDERS];

struct race_model {
    const char *name;
    int layers, width, vocab, context;
};

/* The models that the figures of others are for: 14 and 124 million parameters. */
extern const struct race_model race_small, race_gpt2;
int race_config(struct config *out, const struct race_model *shape, struct error *err);
/* With random weights. */
int race_model_create(struct model **out, const struct race_model *shape, const struct kernels *kernels,
                      struct error *err);
double race_parameters(const struct race_model *model);
/* FOLDER/NAME with such a model, as every contender reads it, unless it is there. */
int race_weights(const char *folder, const struct race_model *shape, struct error *err);
/* FOLDER/NAME with the model at a path, in numbers of bf16 whatever it had: as safetensors, and as GGUF files
 * of F32, BF16 and Q8_0. NAME, the path's last part without
 * .gguf; caller frees; NULL with err set. */
char *race_given(struct config *config, const char *folder, const char *path, struct error *err);

/* One kind of work at one size. */
struct heat {
    const char *name, *work;
    const struct race_model *model; /* NULL: the one that the race is given */
    int rows, length, prompt, fresh, shortest, slots, epochs, minibatch; /* as in struct order */
    unsigned who;                                                        /* bits of contenders */
    int repeats, rounds; /* of the work in a turn; of turns, in turn */
    double seconds;      /* after which no round begins, if there were three */
    int device;          /* 1: on an NVIDIA device, one contender after another, each with the memory alone */
    int reading;         /* 1: what counts of a rollout is reading the prompts */
    int memory; /* not 0: what counts is the memory of a process that does nothing else, and what it is beyond
                   so many bytes a parameter */
};
extern const struct heat heats[]; /* ends with {0} */

/* Floating-point operations of the heat's work, with a model of this config, for each token that is counted.
 */
double heat_operations(const struct heat *heat, const struct config *config);
/* Numbers that one step of decoding cannot but read: weights, and the cache at its mean length. */
double heat_decode_numbers(const struct heat *heat, const struct config *config);

/* What the figures should be: a contender's rate over the best of others', or its share of a ceiling. */
enum bar_kind {
    BAR_RATIO,
    BAR_PEAK,
    BAR_MEMORY,
    BAR_SHEET,  /* its share of what the device's data sheet promises */
    BAR_ROLLOUT /* the rollout's share of an iteration of PPO, at most */
};
struct bar {
    const char *heat;
    enum bar_kind kind;
    int ours;
    unsigned others;
    double must, hard; /* 0: none */
};
extern const struct bar bars[]; /* ends with {0} */

struct race_options {
    const char *python; /* the interpreter that has the peers */
    const char *model;  /* a folder or GGUF file: the heats of a model that is given; NULL: the others */
    int device;         /* 1: the heats on an NVIDIA device, in place of the processor's */
    const char *only;   /* heats whose name has this in it; NULL: all */
    int compile;        /* race what torch.compile makes of training steps, too */
    const char *folder; /* where weights go, and stay; NULL: a temporary one */
    struct stopwatch watch;
    int rounds;           /* at most; 0: each heat's own */
    double minutes;       /* after which no round begins, and what was not reached is left out */
    const char *command;  /* the command line, for the record */
    const char *out_path; /* the results as JSON, written after every heat; NULL: nowhere */
    const char *document; /* a Markdown file with a section "race", or "race-model" of a model that is
                             given, or "race cuda", for the tables, written after every heat; NULL: none */
};

/* The results as a map, also when it fails half-way. A peer that is missing or fails is in the results with
   its sentence. */
int race_run(const struct race_options *options, struct node *results, struct error *err);

/* The tables, in Markdown. */
void race_markdown(const struct node *results, FILE *out);

#endif
