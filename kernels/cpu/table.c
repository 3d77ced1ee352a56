#include <omp.h>

#define BACKEND "cpu-portable"
#include "kernels/cpu/vector.h"

#include "kernels/cpu/table.inc"

extern const struct kernels kernels_avx2, kernels_avx512, kernels_avx2_bf16, kernels_avx512_bf16,
    kernels_avx512bf16, kernels_cpu_bf16;

const char *nothing_queued(void) {
    return NULL;
}

/* Whether this processor has the instruction set that a table was compiled for. */
static int runs(const struct kernels *table) {
#ifdef __x86_64__
    __builtin_cpu_init();
    if (table == &kernels_avx512bf16 && !__builtin_cpu_supports("avx512bf16")) return 0;
    if (table == &kernels_avx512 || table == &kernels_avx512_bf16 || table == &kernels_avx512bf16)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (table == &kernels_avx2 || table == &kernels_avx2_bf16)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return table == &kernels_cpu || table == &kernels_cpu_bf16;
}

/* Whether a table that runs is what is meant by a name without an instruction set: fast ones come first. */
static int is_best(const struct kernels *table, const char *name) {
    return !strcmp(name, table->operand_bytes < sizeof(float) ? "cpu-bf16" : "cpu");
}

/* kernels_find() of this backend. */
const struct kernels *cpu_find(const char *name) {
    static const struct kernels *const tables[] = {
#ifdef __x86_64__
        &kernels_avx512, &kernels_avx2,    &kernels_avx512bf16, &kernels_avx512_bf16, &kernels_avx2_bf16,
#endif
        &kernels_cpu,    &kernels_cpu_bf16};

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (runs(tables[i]) && (!strcmp(name, tables[i]->name) || is_best(tables[i], name))) return tables[i];
    return NULL;
}

void kernels_threads(int count) {
    omp_set_num_threads(count);
}
