#ifdef __x86_64__
#define LANES     8
#define CPU(name) name##_avx2
#define BACKEND   "cpu-avx2"
#define TARGET    "avx2,fma"
#include "kernels/cpu/sources.inc"
#endif
