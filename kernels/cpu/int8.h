/* Weights as numbers of 8 bits with a scale for every 32 of a row. */
#ifndef KERNELS_CPU_INT8_H
#define KERNELS_CPU_INT8_H

#include "kernels/cpu/gemm.h"

#define GROUP 32 /* weights of a row that share a scale: TILE_COLS divides it */

/* A group of each of TILE_COLS rows: row j's weight k is scale[j] number[k / PAIR][j][k % PAIR], in the order
   of the cells that it becomes. Panels of them follow one another, each with all groups of its rows, 0 at the
   end.
 */
struct coded {
    float scale[TILE_COLS];
    int8_t number[GROUP / PAIR][TILE_COLS][PAIR];
};

INLINE int group_count(int ins) {
    return (ins + GROUP - 1) / GROUP;
}

#endif
