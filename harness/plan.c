#include "harness/plan.h"

#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/registry.h"

static const char *const names[] = {
    [HELD_PARAMETERS] = "parameters",   [HELD_LAYOUTS] = "weights laid out for products",
    [HELD_GRADIENTS] = "gradients",     [HELD_MOMENTS] = "moments",
    [HELD_ACTIVATIONS] = "activations", [HELD_LOGITS] = "logits",
    [HELD_SCRATCH] = "scratch",         [HELD_CACHE] = "keys and values",
};

static double sum(const double held[HOLDINGS]) {
    double bytes = 0;

    for (int i = 0; i < HOLDINGS; i++) bytes += held[i];
    return bytes;
}

double plan_bytes(const struct plan *plan) {
    return sum(plan->held);
}

void plan_phase(double held[HOLDINGS], const double phase[HOLDINGS]) {
    if (sum(phase) > sum(held)) memcpy(held, phase, HOLDINGS * sizeof *held);
}

void plan_add(double held[HOLDINGS], const double more[HOLDINGS]) {
    double scratch = held[HELD_SCRATCH] > more[HELD_SCRATCH] ? held[HELD_SCRATCH] : more[HELD_SCRATCH];

    for (int i = 0; i < HOLDINGS; i++) held[i] += more[i];
    held[HELD_SCRATCH] = scratch;
}

char *plan_describe(const struct plan *plan) {
    struct text text = {0};
    char bytes[32];
    const char *between = " (";

    text_printf(&text, "%s", format_bytes(bytes, plan_bytes(plan)));
    for (int i = 0; i < HOLDINGS; i++) {
        if (plan->held[i] <= 0) continue;
        text_printf(&text, "%s%s %s", between, names[i], format_bytes(bytes, plan->held[i]));
        between = ", ";
    }
    text_printf(&text, "%s", *between == ',' ? ")" : "");
    return text.data;
}

int plan_make(struct plan *out, const struct run *run, const struct step *step, struct error *err) {
    const struct stage *stage = stage_find(step->use);

    *out = (struct plan){0};
    return stage && stage->plan ? stage->plan(run, step, out, err) : 0;
}

/* The step with some of its options changed, and what it would take so. */
struct trial {
    struct run run;
    struct step step;
    const struct stage *stage;
    struct node *options; /* the step's */
    double bytes;
};

static struct trial trial_of(const struct run *run, const struct step *step, double bytes) {
    struct trial trial = {.run = *run, .step = *step, .stage = stage_find(step->use), .bytes = bytes};

    trial.options = node_copy(step->options);
    return trial;
}

/* Puts a value at a key, or within a map at "map.key", which need not be there. */
static void put(struct node *options, const char *path, const struct node *value) {
    const char *dot = strchr(path, '.');
    char *key = dot ? xstrndup(path, (size_t)(dot - path)) : xstrdup(path);
    struct node *map = (struct node *)node_get(options, key);

    if (!dot)
        node_set_copy(options, key, value);
    else
        node_set_copy(map ? map : node_add(options, key, NODE_MAP), dot + 1, value);
    free(key);
}

/* What the trial's step would take with that option; negative: it cannot have it. */
static double bytes_with(const struct trial *trial, const char *path, const char *value) {
    struct node *options = node_copy(trial->options);
    struct step step = trial->step;
    struct plan plan;
    struct error ignored;
    struct node *node = document_parse_yaml(value, strlen(value), path, &ignored);
    int status = -1;

    step.options = options;
    if (node) put(options, path, node);
    if (node) status = plan_make(&plan, &trial->run, &step, &ignored);
    node_free(node);
    node_free(options);
    return status ? -1 : plan_bytes(&plan);
}

/* The number that an option has now, given or not. */
static int number_now(const struct trial *trial, const char *option) {
    void *settings = xcalloc(1, options_size(trial->stage->options));
    struct error ignored;
    struct node *all;
    int number = 0;

    if (!options_read(trial->stage->options, trial->stage->presets, trial->options, "", settings, &ignored)) {
        all = options_describe(trial->stage->options, settings);
        number = node_int(all, option, 0);
        node_free(all);
    }
    free(settings);
    return number;
}

/* A remedy's value, and what the step would take with it. */
struct offer {
    char value[64];
    double bytes;
};

/* The largest power of two below the present number with which the step fits, or the least one. */
static void shrink(struct offer *out, const struct trial *trial, const struct remedy *remedy,
                   double free_bytes) {
    int number = 1, now = number_now(trial, remedy->option);

    *out = (struct offer){.bytes = -1};
    while (2 * number < now) number *= 2;
    for (; number >= remedy->least && number < now; number /= 2) {
        snprintf(out->value, sizeof out->value, "%d", number);
        out->bytes = bytes_with(trial, remedy->option, out->value);
        if (out->bytes >= 0 && out->bytes <= free_bytes) return;
    }
}

/* Whether the remedy lowers what the step takes, by a hundredth at least. */
static int offer_of(struct offer *out, const struct trial *trial, const struct remedy *remedy,
                    double free_bytes) {
    if (remedy->value) {
        snprintf(out->value, sizeof out->value, "%s", remedy->value);
        out->bytes = bytes_with(trial, remedy->option, remedy->value);
    } else {
        shrink(out, trial, remedy, free_bytes);
    }
    return out->bytes >= 0 && out->bytes < 0.99 * trial->bytes;
}

/* "recompute: true", "settings: {architecture: shared}". */
static void add_setting(struct text *text, const char *option, const char *value) {
    const char *dot = strchr(option, '.');

    if (dot)
        text_printf(text, "%.*s: {%s: %s}", (int)(dot - option), option, dot + 1, value);
    else
        text_printf(text, "%s: %s", option, value);
}

/* The same device with operands of half the size; 1: that takes less. */
static int offer_of_device(struct offer *out, const struct trial *trial) {
    struct run run = trial->run;
    struct plan plan;
    struct error ignored;
    int status = -1;

    snprintf(out->value, sizeof out->value, "%s-bf16", trial->run.device);
    run.device = out->value;
    if (!strchr(trial->run.device, '-')) status = plan_make(&plan, &run, &trial->step, &ignored);
    out->bytes = status ? -1 : plan_bytes(&plan);
    return out->bytes > 0 && out->bytes < 0.99 * trial->bytes;
}

/* option NULL: the device. */
static void add_offer(struct text *text, const char *option, const struct offer *offer) {
    char bytes[32];

    if (text->length) text_printf(text, ", ");
    if (option)
        add_setting(text, option, offer->value);
    else
        text_printf(text, "--device %s", offer->value);
    text_printf(text, " (%s)", format_bytes(bytes, offer->bytes));
}

/* The remedies that take so many bytes at most alone. */
static void add_offers(struct text *text, const struct trial *trial, double free_bytes, double most) {
    struct offer offer;

    for (const struct remedy *r = trial->stage->remedies; r && r->option; r++)
        if (offer_of(&offer, trial, r, free_bytes) && offer.bytes <= most) add_offer(text, r->option, &offer);
    if (offer_of_device(&offer, trial) && offer.bytes <= most) add_offer(text, NULL, &offer);
}

/* One remedy after another is taken, until the step fits or none is left. */
static void add_together(struct text *text, struct trial *trial, double free_bytes) {
    char bytes[32];
    int count = 0;

    for (const struct remedy *r = trial->stage->remedies; r && r->option && trial->bytes > free_bytes; r++) {
        struct error ignored;
        struct offer offer;
        struct node *value;

        if (!offer_of(&offer, trial, r, free_bytes)) continue;
        value = document_parse_yaml(offer.value, strlen(offer.value), r->option, &ignored);
        if (value) put(trial->options, r->option, value);
        node_free(value);
        trial->bytes = offer.bytes;
        text_printf(text, count++ ? " with " : "; ");
        add_setting(text, r->option, offer.value);
    }
    if (count) text_printf(text, " takes %s", format_bytes(bytes, trial->bytes));
    if (count) text_printf(text, trial->bytes > free_bytes ? ", still too much" : " and fits");
}

/* Those that are enough alone; or else what each saves, and all that it takes together. alone: so would be
 * the whole device. */
static void add_remedies(struct text *text, struct trial *trial, double free_bytes, int alone) {
    struct text offers = {0};

    if (alone) text_printf(text, "; it fits where nothing else runs (--jobs 1)");
    add_offers(&offers, trial, free_bytes, free_bytes);
    if (offers.length) {
        text_printf(text, "%s with: %s", alone ? ", or" : "; it fits", offers.data);
    } else {
        add_offers(&offers, trial, free_bytes, trial->bytes);
        text_printf(text,
                    offers.length ? "; nothing alone is enough: %s" : "; none of its options lowers that%s",
                    offers.length ? offers.data : "");
        add_together(text, trial, free_bytes);
    }
    free(offers.data);
}

/* What of a device's memory no plan has: allocations are rounded up to pages of 2 MiB, a recorded step takes
 * some, and so do kernels when they are first used. So much is an allowance, which nobody measured: two pages
 * for each of 64 recorded steps; of small devices a 64th. */
static double drivers_share(const struct room *room) {
    const double most = 256 << 20;

    if (room->is_host) return 0;
    return room->total / 64 < most ? room->total / 64 : most;
}

char *plan_trouble(const struct plan *plan, const struct run *run, const struct step *step,
                   const struct room *room) {
    struct trial trial = trial_of(run, step, plan_bytes(plan));
    char left[32], total[32], missing[32], kept[32], *described = plan_describe(plan);
    double share = drivers_share(room), usable = room->free - share;
    struct text text = {0};

    if (room->total > 0 && trial.bytes > usable) {
        text_printf(&text, "it takes %s, where %s has %s of its %s free", described, run->device,
                    format_bytes(left, room->free), format_bytes(total, room->total));
        if (share > 0) text_printf(&text, ", %s of them for its driver", format_bytes(kept, share));
        text_printf(&text, ": %s too little", format_bytes(missing, trial.bytes - usable));
        add_remedies(&text, &trial, usable, trial.bytes <= room->total - share);
    }
    free(described);
    node_free(trial.options);
    return text.data;
}

static void tell(const struct plan *plan, const struct run *run, const struct step *step,
                 const struct room *room) {
    char *described = plan_describe(plan), host[32], left[32], total[32];

    progress_notice(
        "%s: takes %s on %s, where %s of %s are free, and %s of the host's memory beside its data",
        step->name, described, run->device, format_bytes(left, room->free), format_bytes(total, room->total),
        format_bytes(host, plan->host));
    free(described);
}

int plan_check(const struct run *run, const struct step *step, struct error *err) {
    struct plan plan;
    struct room room;
    char *trouble;
    int status = 0;

    if (plan_make(&plan, run, step, err)) return -1;
    if (plan_bytes(&plan) <= 0) return 0;
    if (device_join(run->device, err)) return -1;
    device_room(&room, run->device);
    if (!room.is_host && room.total > 0) tell(&plan, run, step, &room);
    trouble = plan_trouble(&plan, run, step, &room);
    if (trouble && room.is_host)
        progress_notice("%s: may run out of memory: %s", step->name, trouble);
    else if (trouble)
        status = fail(err, "%s", trouble);
    free(trouble);
    return status;
}
