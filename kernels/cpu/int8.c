#include "kernels/cpu/int8.h"

#include <float.h>

size_t CPU(pack_int8_size)(int outs, int ins) {
    return sizeof(struct coded) * (size_t)group_count(ins) * ((outs + TILE_COLS - 1) / TILE_COLS);
}

/* No scale is denormal, so that no product with a number is. */
static float scale_of(const float *w, int count) {
    float most = 0;

    for (int i = 0; i < count; i++) most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    return most / 127 > FLT_MIN ? most / 127 : FLT_MIN;
}

/* The group of row j of a panel. */
static void code_row(struct coded *group, int j, const float *w, int count) {
    float scale = scale_of(w, count);

    group->scale[j] = scale;
    for (int k = 0; k < count; k++) group->number[k / PAIR][j][k % PAIR] = (int8_t)rintf(w[k] / scale);
}

void CPU(pack_int8)(void *packed, const float *w, int outs, int ins) {
    int groups = group_count(ins);

    memset(packed, 0, CPU(pack_int8_size)(outs, ins));
#pragma omp parallel for if (worth_threads((size_t)outs * ins))
    for (int o = 0; o < outs; o++) {
        struct coded *panel = (struct coded *)packed + (size_t)(o / TILE_COLS) * groups;

        for (int g = 0; g < groups; g++)
            code_row(&panel[g], o % TILE_COLS, w + (size_t)o * ins + g * GROUP,
                     smaller(GROUP, ins - g * GROUP));
    }
}
