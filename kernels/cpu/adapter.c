#include "kernels/cpu/vector.h"

void CPU(keep_columns)(float *x, int rows, int cols, int from, int to) {
    for (int r = 0; r < rows; r++, x += cols) {
        memset(x, 0, (size_t)from * sizeof *x);
        memset(x + to, 0, (size_t)(cols - to) * sizeof *x);
    }
}
