#define BF16
#define LANES     4
#define CPU(name) name##_cpu_bf16
#define BACKEND   "cpu-portable-bf16"
#include "kernels/cpu/sources.inc"
