#include "harness/estimate.h"

#include "harness/display.h"

/* Of the H100's datasheet (SXM): dense bf16, and memory. */
static const double peak = 989e12, memory = 80e9;

/* Training steps of GPT-2 124M, 8 rows of 1024 tokens of 799 MFLOP, on an H100. */
static const struct rate {
    const char *device;
    double speed; /* operations a second */
} rates[] = {{"cuda", 29.3e12},
             {"cuda-bf16", 201.0e12},
             {"cuda-cublas", 326.7e12},
             {"PyTorch's bf16, not compiled", 206.0e12}};

static void print_rate(FILE *out, const struct rate *rate, double flops) {
    char time[32];

    fprintf(out, "  %-30s  %5.1f TFLOP/s, %4.1f %% of its bf16 peak  %12s\n", rate->device,
            rate->speed / 1e12, 100 * rate->speed / peak, format_seconds(time, flops / rate->speed));
}

void estimate_print(FILE *out, double flops, double bytes, double parameters) {
    if (flops <= 0 || parameters < ESTIMATE_LEAST) return;
    fprintf(out, "\nOn one H100, at the rates at which GPT-2 was trained (docs/gpu.md), at least\n");
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) print_rate(out, &rates[i], flops);
    fprintf(out, "and its 80 GB %s what is held at a time.\n", bytes <= memory ? "hold" : "do not hold");
}
