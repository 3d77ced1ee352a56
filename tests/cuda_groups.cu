/* The products of groups of 4 warps, each form and width of them, with whatever brings and guards their
 * matrices: to the bit on small whole numbers. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/heads_bf16.cuh"

enum { ROWS = 64, DEPTH = 64, MOST = 128, GROUP = 128 };

/* Left is plain, turned, or in registers; right plain or turned. */
enum side { PLAIN, TURNED, REGISTERS };

/* out[ROWS][COLUMNS] = 2 left right^T. left[ROWS][DEPTH], right[COLUMNS][DEPTH], or, turned, [DEPTH][ROWS],
 * [DEPTH][COLUMNS]. The first group brings, the second multiplies, in two batches that add to the same. */
template <int COLUMNS, enum side LEFT, enum side RIGHT>
static __global__ void __launch_bounds__(2 * GROUP, 1)
    product_kernel(float *out, const bf16 *left, const bf16 *right) {
#ifdef WITH_GROUPS
    bf16 *lefts = dynamic_matrices<bf16>(), *rights = lefts + ROWS * DEPTH;
    gate *there = (gate *)(rights + MOST * DEPTH);
    const int across = RIGHT == TURNED ? COLUMNS : DEPTH, lines = RIGHT == TURNED ? DEPTH : COLUMNS;

    if (threadIdx.x == 0) set_gate(there, GROUP);
    __syncthreads();
    if (threadIdx.x < GROUP) {
        give_registers<40>();
        bring<64, 64>(lefts, {left, 64, 64, 64}, 0, 1);
        for (int part = 0; part < across / 64; part++)
            bring<64, lines>(rights + part * lines * 64, {right + 64 * part, across, lines, 64}, 0, 1);
        arrive_with_copies(there);
        announce(1, 2 * GROUP);
    } else {
        float sum[COLUMNS / 8][4];
        unsigned fragment[DEPTH / 16][4];
        int warp = threadIdx.x % GROUP / WARP;

        take_registers<200>();
        wait_at(there, 0);
        show_to_products();
        if (LEFT == REGISTERS)
            for (int k = 0; k < DEPTH / 16; k++) load_left<64>(fragment[k], lefts, 16 * warp, 2 * k);
        hold(sum);
        hold(fragment);
        begin_products();
        for (int time = 0; time < 2; time++) {
#pragma unroll
            for (int k = 0; k < DEPTH / 16; k++) {
                matrix r = RIGHT == TURNED ? matrix_at(rights + 16 * k * 64, lines * 128)
                                           : matrix_at(rights + 16 * k);

                if constexpr (LEFT == REGISTERS)
                    multiply_async<COLUMNS, RIGHT>(sum, fragment[k], r, time + k > 0);
                else
                    multiply_async<COLUMNS, LEFT, RIGHT>(
                        sum, matrix_at(lefts + (LEFT == TURNED ? 16 * k * 64 : 16 * k)), r, time + k > 0);
            }
            end_products();
        }
        wait_for_products<0>();
        hold(sum);
        meet(1, 2 * GROUP);
        for (int b = 0; b < COLUMNS / 8; b++)
            for (int i = 0; i < 4; i++)
                out[(16 * warp + row_of(i)) * COLUMNS + 8 * b + col_of(i)] = sum[b][i];
    }
#else
    (void)out, (void)left, (void)right;
#endif
}

typedef void kernel(float *out, const bf16 *left, const bf16 *right);

static const struct form {
    kernel *run;
    int columns;
    enum side left, right;
} forms[] = {
    {product_kernel<64, PLAIN, PLAIN>, 64, PLAIN, PLAIN},
    {product_kernel<64, PLAIN, TURNED>, 64, PLAIN, TURNED},
    {product_kernel<64, TURNED, PLAIN>, 64, TURNED, PLAIN},
    {product_kernel<64, TURNED, TURNED>, 64, TURNED, TURNED},
    {product_kernel<64, REGISTERS, PLAIN>, 64, REGISTERS, PLAIN},
    {product_kernel<64, REGISTERS, TURNED>, 64, REGISTERS, TURNED},
    {product_kernel<128, PLAIN, PLAIN>, 128, PLAIN, PLAIN},
    {product_kernel<128, PLAIN, TURNED>, 128, PLAIN, TURNED},
    {product_kernel<128, TURNED, PLAIN>, 128, TURNED, PLAIN},
    {product_kernel<128, TURNED, TURNED>, 128, TURNED, TURNED},
    {product_kernel<128, REGISTERS, PLAIN>, 128, REGISTERS, PLAIN},
    {product_kernel<128, REGISTERS, TURNED>, 128, REGISTERS, TURNED},
};

/* Whole numbers from -8 to 8 of a row and column, as different as they can be. */
static int number(int seed, int row, int column) {
    return (int)((unsigned)(seed + 31 * row + 17 * column + row * column) % 17) - 8;
}

static bf16 as_bf16(int number) {
    float value = (float)number;
    unsigned bits;

    memcpy(&bits, &value, sizeof bits);
    return (bf16)(bits >> 16);
}

/* [rows][DEPTH] on the device, or turned. */
static bf16 *side_of(int seed, int rows, enum side side) {
    size_t bytes = (size_t)rows * DEPTH * sizeof(bf16);
    void *memory = cuda_alloc(bytes);
    bf16 *view = (bf16 *)cuda_map(memory, bytes, 0);

    for (int r = 0; r < rows; r++)
        for (int k = 0; k < DEPTH; k++)
            view[side == TURNED ? k * rows + r : r * DEPTH + k] = as_bf16(number(seed, r, k));
    cuda_unmap(memory, view, bytes, 1);
    return (bf16 *)memory;
}

START_TEST(every_form_of_product_is_exact)
{
    const struct form *form = &forms[_i];
    bf16 *left = side_of(1, ROWS, form->left), *right = side_of(5, form->columns, form->right);
    size_t bytes = (size_t)ROWS * form->columns * sizeof(float);
    float *out = (float *)cuda_alloc(bytes), *got;

    launch("product", form->run, 1, 2 * GROUP, (ROWS + MOST) * DEPTH * sizeof(bf16) + sizeof(gate), out, left,
           right);
    got = (float *)cuda_map(out, bytes, 1);
    ck_assert_msg(!cuda_sync(), "%s", cuda_sync());
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < form->columns; c++) {
            int sum = 0;

            for (int k = 0; k < DEPTH; k++) sum += 2 * number(1, r, k) * number(5, c, k);
            ck_assert_msg(got[r * form->columns + c] == (float)sum, "form %d, row %d, column %d: %g, not %d",
                          _i, r, c, (double)got[r * form->columns + c], sum);
        }
    cuda_unmap(out, got, bytes, 0);
    cuda_release(left);
    cuda_release(right);
    cuda_release(out);
}
END_TEST

int main(void) {
    const char *missing = cuda_open();
    SRunner *runner;
    Suite *suite;
    TCase *test;
    int failures;

    if (!missing && !have_groups()) missing = "the device, or the build, is not of compute capability 9.0";
    if (missing) {
        printf("SKIP: %s\n", missing);
        return 77;
    }
    suite = suite_create("products of groups");
    test = tcase_create("products");
    tcase_add_loop_test(test, every_form_of_product_is_exact, 0, sizeof forms / sizeof *forms);
    suite_add_tcase(suite, test);
    runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
