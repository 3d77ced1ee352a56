/* Products of few rows whose sums may run in another order than those of many. */
#ifndef KERNELS_CUDA_FEW_CUH
#define KERNELS_CUDA_FEW_CUH

#include "kernels/cuda/product.cuh"

#define FEW   32    /* rows up to which a product is one of few, */
#define LEAST 8     /* and those with AMPLE columns, */
#define AMPLE 16384 /* of which larger tiles read less with more rows */

static inline bool is_of_few(int rows, int cols) {
    return rows <= (cols < AMPLE ? FEW : LEAST);
}

/* Queues x w' of few rows, of which weights are written by no kernel of a chain (launch_chained());
 * 0: it is one for larger tiles, its lines are not all on 16 bytes, or there is no memory for it. */
int multiply_few(const struct product *p, const char *operation);
/* Bytes of scratch memory that it needs at most. */
size_t few_size(void);

#endif
