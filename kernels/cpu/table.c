#include <omp.h>

#define BACKEND "cpu-portable"
#include "kernels/cpu/vector.h"

#include "kernels/cpu/table.inc"

extern const struct kernels kernels_avx2, kernels_avx512;

const char *nothing_queued(void) {
    return NULL;
}

/* Whether this processor has the instruction set that a table was compiled for. */
static int runs(const struct kernels *table) {
#ifdef __x86_64__
    __builtin_cpu_init();
    if (table == &kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (table == &kernels_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return table == &kernels_cpu;
}

/* kernels_find() of this backend. */
const struct kernels *cpu_find(const char *name) {
    static const struct kernels *const tables[] = {
#ifdef __x86_64__
        &kernels_avx512, &kernels_avx2,
#endif
        &kernels_cpu};

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (runs(tables[i]) && (!strcmp(name, "cpu") || !strcmp(name, tables[i]->name))) return tables[i];
    return NULL;
}

void kernels_threads(int count) {
    omp_set_num_threads(count);
}
