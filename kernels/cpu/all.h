/* The sources of all operations once more, for the instruction set TARGET, then their table. */
#include <immintrin.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PRAGMA(words)   _Pragma(#words)
#define EXPANDED(words) PRAGMA(words)
#ifdef __clang__
EXPANDED(clang attribute push(__attribute__((target(TARGET))), apply_to = function))
#else
#pragma GCC push_options
EXPANDED(GCC target(TARGET))
#endif

#include "kernels/cpu/activation.c"
#include "kernels/cpu/adamw.c"
#include "kernels/cpu/attention.c"
#include "kernels/cpu/cache.c"
#include "kernels/cpu/embed.c"
#include "kernels/cpu/logprob.c"
#include "kernels/cpu/matmul.c"
#include "kernels/cpu/norm.c"
#include "kernels/cpu/rope.c"
#include "kernels/cpu/sample.c"
#include "kernels/cpu/sum_squares.c"
#include "kernels/cpu/truncate.c"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#include "kernels/cpu/table.h"
