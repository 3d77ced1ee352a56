#ifdef __x86_64__
#define BF16
#define DOT_BF16
#define LANES     16
#define CPU(name) name##_avx512bf16
#define BACKEND   "cpu-avx512bf16"
#ifdef __clang__
#define TARGET "avx512bf16,avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"
#else
#define TARGET "avx512bf16,avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,prefer-vector-width=512"
#endif
#include "kernels/cpu/sources.inc"
#endif
