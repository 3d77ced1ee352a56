#ifdef __x86_64__
#define BF16
#define LANES     8
#define CPU(name) name##_avx2_bf16
#define BACKEND   "cpu-avx2-bf16"
#define TARGET    "avx2,fma"
#include "kernels/cpu/sources.inc"
#endif
