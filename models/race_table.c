#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/tabular.h"
#include "models/race.h"

/* A contender's turns in a heat: tokens a second, of all or of decoding alone. */
struct turns {
    int count;
    double rates[ROUNDS_MOST];
};

static const struct heat *heat_named(const char *name) {
    for (const struct heat *heat = heats; heat->name; heat++)
        if (!strcmp(heat->name, name)) return heat;
    return NULL;
}

static const struct node *named(const struct node *list, const char *name) {
    for (const struct node *one = list ? list->first : NULL; one; one = one->next)
        if (!strcmp(node_text(one, "name", ""), name)) return one;
    return NULL;
}

/* Contenders on a processor and on a device, which share no heat, may have one name. */
static const struct node *entry_of(const struct node *results, const char *heat, int contender) {
    if (!(heat_named(heat)->who >> contender & 1)) return NULL;
    return named(node_get(named(node_get(results, "heats"), heat), "entries"), contenders[contender].name);
}

/* What of a turn counts. Decoding is what generation is compared by, but not where lengths differ. */
enum part { PART_WHOLE, PART_DECODING, PART_READING };

static enum part part_of(const struct heat *heat) {
    if (heat->reading) return PART_READING;
    return !strcmp(heat->work, "generate") && !heat->shortest ? PART_DECODING : PART_WHOLE;
}

static struct turns turns_of(const struct node *entry, enum part part) {
    static const char *const tokens[] = {"tokens", "decode_tokens", "prompt_tokens"}, *const seconds[] = {
                                                                                          "seconds",
                                                                                          "decode_seconds",
                                                                                          "prompt_seconds"};
    const struct node *list = node_get(entry, "turns");
    struct turns turns = {0};

    for (const struct node *one = list ? list->first : NULL; one && turns.count < ROUNDS_MOST;
         one = one->next)
        turns.rates[turns.count++] =
            node_number(one, tokens[part], NAN) / node_number(one, seconds[part], NAN);
    return turns;
}

static struct rate rate_of_turns(struct turns turns) {
    return rate_of(turns.rates, turns.count);
}

/* Ratios of turns of the same round. */
static struct rate ratio_of(const struct turns *ours, const struct turns *theirs) {
    struct turns ratios = {.count = ours->count < theirs->count ? ours->count : theirs->count};

    for (int i = 0; i < ratios.count; i++) ratios.rates[i] = ours->rates[i] / theirs->rates[i];
    return rate_of_turns(ratios);
}

/* What the race counted of the heat's model. */
static double counted(const struct node *results, const struct heat *heat, const char *what) {
    return node_number(named(node_get(results, "heats"), heat->name), what, NAN);
}

static double ceiling(const struct node *results, const char *which) {
    return node_number(node_get(node_get(results, "ceilings"), which), "median", NAN);
}

/* Of the peak of the contender's precision. */
static double share_of_peak(const struct node *results, const struct heat *heat, int contender, double rate) {
    const char *precision = contenders[contender].precision;

    return precision ? rate * counted(results, heat, "operations") / (1e9 * ceiling(results, precision))
                     : NAN;
}

/* Of what reading weights and cache from memory leaves time for. */
static double share_of_memory(const struct node *results, const struct heat *heat, int contender,
                              double rate) {
    double bytes = !strcmp(contenders[contender].precision, "bf16") ? 2 : 4;

    return rate / heat->rows * bytes * counted(results, heat, "decode_numbers") /
           ceiling(results, "bandwidth");
}

/* Operations a second that a device's data sheet promises. The H100 and H200 of the form SXM: 989.4 of bf16
   on tensor cores, without sparsity, and 66.9 of single precision, in TFLOP/s (NVIDIA's data sheets). */
static double sheet_peak(const struct node *results, const char *precision) {
    const struct node *programs = node_get(results, "programs");

    for (const struct node *one = programs ? programs->first : NULL; one; one = one->next) {
        const char *device = node_text(one, "device", "");

        if (strstr(device, "H100 80GB HBM3") || strstr(device, "H200"))
            return !strcmp(precision, "bf16") ? 989.4e12 : 66.9e12;
    }
    return NAN;
}

static double share_of_sheet(const struct node *results, const struct heat *heat, int contender,
                             double rate) {
    return rate * counted(results, heat, "operations") / sheet_peak(results, contenders[contender].precision);
}

/* What the rollouts took of the iterations of PPO. */
static struct rate rollout_shares(const struct node *entry) {
    const struct node *list = node_get(entry, "turns");
    struct turns shares = {0};

    for (const struct node *one = list ? list->first : NULL; one && shares.count < ROUNDS_MOST;
         one = one->next)
        shares.rates[shares.count++] =
            node_number(node_get(one, "parts"), "rollout", NAN) / node_number(one, "seconds", NAN);
    return rate_of_turns(shares);
}

static void add_rate(struct node *row, struct rate rate, int decimals) {
    if (isfinite(rate.median))
        tabular_cell(row, "%.*f [%.*f, %.*f]", decimals, rate.median, decimals, rate.low, decimals,
                     rate.high);
    else
        tabular_cell(row, "–");
}

static void add_entry(struct tabular *table, const struct node *results, const struct heat *heat,
                      int contender) {
    const struct node *entry = entry_of(results, heat->name, contender);
    enum part part = part_of(heat);
    struct turns turns, rollouts, bf16, f32;
    struct rate rate;
    struct node *row;

    if (!entry) return;
    if (node_text(entry, "error", NULL))
        tabular_note(table, "%s: %s.", contenders[contender].name, node_text(entry, "error", NULL));
    turns = turns_of(entry, part);
    if (!turns.count) return;
    bf16 = turns_of(entry_of(results, heat->name, PYRITE_BF16), part);
    f32 = turns_of(entry_of(results, heat->name, PYRITE_F32), part);
    rate = rate_of_turns(turns);
    row = tabular_add(table);
    tabular_cell(row, "%s", contenders[contender].name);
    add_rate(row, rate, 0);
    if (part == PART_DECODING) {
        rollouts = turns_of(entry, PART_WHOLE);
        tabular_number(row, "%.0f", rate_of_turns(rollouts).median);
    }
    tabular_cell(row, "%d", turns.count);
    tabular_number(row, "%.2f", share_of_peak(results, heat, contender, rate.median));
    add_rate(row, contender == PYRITE_BF16 ? (struct rate){NAN, NAN, NAN} : ratio_of(&bf16, &turns), 2);
    add_rate(row, contender == PYRITE_F32 ? (struct rate){NAN, NAN, NAN} : ratio_of(&f32, &turns), 2);
}

/* What shows that the programs do the same: the first loss, the likeliest token. */
static void note_sameness(struct tabular *table, const struct node *results, const struct heat *heat) {
    const char *key = !strcmp(heat->work, "train") ? "loss" : "likeliest";
    struct text text = {0};

    for (int c = 0; c < CONTENDERS; c++) {
        const struct node *told = node_get(entry_of(results, heat->name, c), "told");

        if (node_get(told, key))
            text_printf(&text, "%s%s %.6g", text.length ? ", " : "", contenders[c].name,
                        node_number(told, key, NAN));
    }
    if (text.length)
        tabular_note(table, "%s: %s.",
                     *key == 'l' && key[1] == 'o' ? "Loss of the first step" : "Likeliest first token",
                     text.data);
    free(text.data);
}

/* Seconds of a PPO iteration's phases, in the last turn, and their shares of it. */
static void note_parts(struct tabular *table, const struct node *results, const struct heat *heat) {
    for (int c = 0; c < CONTENDERS; c++) {
        const struct node *turns = node_get(entry_of(results, heat->name, c), "turns");
        const struct node *parts = turns && turns->last ? node_get(turns->last, "parts") : NULL;
        struct text text = {0};
        double whole = parts ? node_number(turns->last, "seconds", NAN) : NAN;

        for (const struct node *part = parts ? parts->first : NULL; part; part = part->next)
            text_printf(&text, "%s%s %.2f s (%.0f %%)", text.length ? ", " : "", part->key, part->number,
                        100 * part->number / whole);
        if (text.length) tabular_note(table, "%s, last turn: %s.", contenders[c].name, text.data);
        free(text.data);
    }
}

/* The contender of the set that is fastest; -1 if none ran. */
static int fastest(const struct node *results, const struct heat *heat, unsigned set) {
    double most = 0;
    int found = -1;

    for (int c = 0; c < CONTENDERS; c++) {
        double rate = rate_of_turns(turns_of(entry_of(results, heat->name, c), part_of(heat))).median;

        if (!(set >> c & 1) || !(rate > most)) continue;
        most = rate;
        found = c;
    }
    return found;
}

/* Which of PyTorch's contenders of this precision, on the same device, is fastest; -1 if none ran. */
static int fastest_rival(const struct node *results, const struct heat *heat, const char *precision) {
    unsigned set = 0;

    for (int c = 0; c < CONTENDERS; c++)
        if (contenders[c].peer == PEER_DEVICE && !strcmp(contenders[c].precision, precision)) set |= 1u << c;
    return fastest(results, heat, set);
}

static void add_device_entry(struct tabular *table, const struct node *results, const struct heat *heat,
                             int contender) {
    const struct node *entry = entry_of(results, heat->name, contender);
    enum part part = part_of(heat);
    struct turns turns = turns_of(entry, part), theirs = {0};
    struct rate rate = rate_of_turns(turns);
    struct node *row;
    int rival = fastest_rival(results, heat, contenders[contender].precision);

    if (node_text(entry, "error", NULL))
        tabular_note(table, "%s: %s.", contenders[contender].name, node_text(entry, "error", NULL));
    if (!turns.count) return;
    row = tabular_add(table);
    tabular_cell(row, "%s", contenders[contender].name);
    add_rate(row, rate, 0);
    if (part == PART_DECODING) {
        tabular_number(row, "%.0f", rate_of_turns(turns_of(entry, PART_WHOLE)).median);
        tabular_cell(row, "%d", turns.count);
        tabular_number(row, "%.2f", share_of_memory(results, heat, contender, rate.median));
    } else {
        tabular_cell(row, "%d", turns.count);
        tabular_number(row, "%.1f", rate.median * counted(results, heat, "operations") / 1e12);
        tabular_number(row, "%.2f", share_of_sheet(results, heat, contender, rate.median));
    }
    tabular_number(row, "%.3f", share_of_peak(results, heat, contender, rate.median));
    if (rival >= 0) theirs = turns_of(entry_of(results, heat->name, rival), part);
    add_rate(row, ratio_of(&turns, &theirs), 2);
}

static void write_device_heat(const struct node *results, const struct heat *heat, FILE *out) {
    static const char *const plain[] =
        {"", "tokens/s", "turns", "TFLOP/s", "MFU", "of peak", "it / PyTorch's best", NULL},
                             *const decoding[] = {"",
                                                  "decoding, tokens/s",
                                                  "whole rollout",
                                                  "turns",
                                                  "of the memory floor",
                                                  "of peak",
                                                  "it / PyTorch's best",
                                                  NULL};
    struct tabular table = {.title = heat->name,
                            .headings = part_of(heat) == PART_DECODING ? decoding : plain};

    for (int c = 0; c < CONTENDERS; c++)
        if (entry_of(results, heat->name, c)) add_device_entry(&table, results, heat, c);
    note_sameness(&table, results, heat);
    note_parts(&table, results, heat);
    tabular_write(&table, TABULAR_MARKDOWN, out);
    tabular_free(&table);
}

static void write_heat(const struct node *results, const struct heat *heat, FILE *out) {
    static const char *const plain[] = {"",        "tokens/s",         "turns",
                                        "of peak", "pyrite bf16 / it", "pyrite f32 / it",
                                        NULL},
                             *const decoding[] = {"",        "decoding, tokens/s", "whole rollout",   "turns",
                                                  "of peak", "pyrite bf16 / it",   "pyrite f32 / it", NULL};
    struct tabular table = {.title = heat->name,
                            .headings = part_of(heat) == PART_DECODING ? decoding : plain};

    for (int c = 0; c < CONTENDERS; c++)
        if (heat->who >> c & 1) add_entry(&table, results, heat, c);
    note_sameness(&table, results, heat);
    note_parts(&table, results, heat);
    tabular_write(&table, TABULAR_MARKDOWN, out);
    tabular_free(&table);
}

static void write_memory(const struct node *results, const struct heat *heat, FILE *out) {
    char *beyond = xprintf("beyond %d bytes a parameter, MB", heat->memory);
    const char *const headings[] = {"", "peak resident memory, MB", beyond, NULL};
    struct tabular table = {.title = heat->name, .headings = headings};

    for (int c = 0; c < CONTENDERS; c++) {
        const struct node *entry = entry_of(results, heat->name, c);
        double bytes = node_number(entry, "peak_bytes", NAN);
        struct node *row;

        if (entry && node_text(entry, "error", NULL))
            tabular_note(&table, "%s: %s.", contenders[c].name, node_text(entry, "error", NULL));
        if (!isfinite(bytes)) continue;
        row = tabular_add(&table);
        tabular_cell(row, "%s", contenders[c].name);
        tabular_number(row, "%.0f", bytes / 1e6);
        tabular_number(row, "%.0f", (bytes - heat->memory * counted(results, heat, "parameters")) / 1e6);
    }
    tabular_write(&table, TABULAR_MARKDOWN, out);
    tabular_free(&table);
    free(beyond);
}

static struct rate scaled(struct rate rate, double by) {
    return (struct rate){rate.median * by, rate.low * by, rate.high * by};
}

/* What the bar is about, and its figure; NaN where something did not run. */
static struct rate bar_figure(const struct bar *bar, const struct node *results, char *what, size_t room) {
    static const char *const shares[] = {"", "share of its peak", "share of its memory floor",
                                         "share of the data sheet's peak", "share of the rollout, at most"};
    const struct heat *heat = heat_named(bar->heat);
    const char *name = contenders[bar->ours].name;
    struct turns ours = turns_of(entry_of(results, bar->heat, bar->ours), part_of(heat)), theirs;
    struct rate rate = rate_of_turns(ours);
    int other;

    snprintf(what, room, "%s, %s", name, shares[bar->kind]);
    if (bar->kind == BAR_PEAK) return scaled(rate, share_of_peak(results, heat, bar->ours, 1));
    if (bar->kind == BAR_MEMORY) return scaled(rate, share_of_memory(results, heat, bar->ours, 1));
    if (bar->kind == BAR_SHEET) return scaled(rate, share_of_sheet(results, heat, bar->ours, 1));
    if (bar->kind == BAR_ROLLOUT) return rollout_shares(entry_of(results, bar->heat, bar->ours));
    other = fastest(results, heat, bar->others);
    snprintf(what, room, "%s / %s", name, other < 0 ? "?" : contenders[other].name);
    if (other < 0) return (struct rate){NAN, NAN, NAN};
    theirs = turns_of(entry_of(results, bar->heat, other), part_of(heat));
    return ratio_of(&ours, &theirs);
}

static const char *verdict(const struct bar *bar, double measured) {
    if (bar->kind == BAR_ROLLOUT) return measured <= bar->must ? "met" : "missed";
    if (bar->hard > 0 && measured >= bar->hard) return "hard";
    if (!(bar->must > 0)) return "short";
    return measured >= bar->must ? "met" : "missed";
}

static void write_bars(const struct node *results, FILE *out) {
    static const char *const headings[] = {"work", "figure", "measured", "must", "hard", "", NULL};
    struct tabular table = {.title = "Bars", .headings = headings};

    for (const struct bar *bar = bars; bar->heat; bar++) {
        char what[128];
        struct rate rate = bar_figure(bar, results, what, sizeof what);
        struct node *row;

        if (!isfinite(rate.median)) continue;
        row = tabular_add(&table);
        tabular_cell(row, "%s", bar->heat);
        tabular_cell(row, "%s", what);
        add_rate(row, rate, 2);
        tabular_number(row, "%.2f", bar->must > 0 ? bar->must : NAN);
        tabular_number(row, "%.2f", bar->hard > 0 ? bar->hard : NAN);
        tabular_cell(row, "%s", verdict(bar, rate.median));
    }
    if (table.rows) tabular_write(&table, TABULAR_MARKDOWN, out);
    tabular_free(&table);
}

static void write_ceiling(const struct node *results, const char *which, const char *what, double unit,
                          FILE *out) {
    const struct node *ceiling = node_get(node_get(results, "ceilings"), which);

    if (isfinite(node_number(ceiling, "median", NAN)))
        fprintf(out, "%s %.0f [%.0f, %.0f]; ", what, node_number(ceiling, "median", NAN) / unit,
                node_number(ceiling, "low", NAN) / unit, node_number(ceiling, "high", NAN) / unit);
}

static void write_setting(const struct node *results, FILE *out) {
    const struct node *machine = node_get(results, "machine"), *programs = node_get(results, "programs");

    fprintf(out, "`%s`, %s, on %s with %s thread%s%s.\n", node_text(results, "command", ""),
            node_text(results, "date", ""), node_text(machine, "processor", "an unknown processor"),
            node_number(results, "threads", 1) > 1 ? "several" : "one",
            node_number(results, "threads", 1) > 1 ? "s" : "",
            node_number(results, "cpu_time", 0) != 0 ? ", by processor seconds per thread" : "");
    if (node_text(results, "model", NULL)) fprintf(out, "Model: %s.\n", node_text(results, "model", ""));
    fprintf(out, "Programs:");
    for (const struct node *one = programs ? programs->first : NULL; one; one = one->next)
        fprintf(out, " %s%s%s%s;", node_text(one, "name", ""), node_text(one, "setting", NULL) ? " (" : "",
                node_text(one, "setting", ""), node_text(one, "setting", NULL) ? ")" : "");
    fprintf(out, "\nCeilings, probed before every round, median [lowest, highest]: ");
    write_ceiling(results, "f32", "f32 GFLOP/s", 1, out);
    write_ceiling(results, "bf16", "bf16 GFLOP/s", 1, out);
    write_ceiling(results, "bandwidth",
                  node_text(results, "device", NULL) ? "adding arrays GB/s" : "reading memory GB/s", 1e9,
                  out);
    fprintf(out, "\n\n");
}

void race_markdown(const struct node *results, FILE *out) {
    write_setting(results, out);
    write_bars(results, out);
    for (const struct heat *heat = heats; heat->name; heat++) {
        if (!named(node_get(results, "heats"), heat->name)) continue;
        fprintf(out, "\n");
        if (heat->memory)
            write_memory(results, heat, out);
        else if (heat->device)
            write_device_heat(results, heat, out);
        else
            write_heat(results, heat, out);
    }
}
