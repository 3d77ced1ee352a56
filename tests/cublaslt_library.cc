/* NVIDIA's cuBLASLt itself, where it is installed: it takes every description of a product that the program
 * gives it, by the numbers and sizes of tests/emulator/cublasLt.h. That needs no device; finding algorithms
 * does. */
#include <check.h>

#include "kernels/cuda/cublaslt.cu"

void note_trouble(const char *what, const char *why) {
    ck_abort_msg("%s: %s", what, why);
}

int compute_capability(void) {
    return 90;
}

cudaStream_t product_stream(void) {
    return NULL;
}

extern "C" void *cuda_alloc(size_t) {
    return NULL;
}

static bf16 room[8] __attribute__((aligned(16)));

/* Every ending, with and without bias and what gelu keeps, on every pair of sides, into floats and bf16. */
static struct lt_product some_product(int number) {
    struct lt_product p = {room, room, room, NULL, NULL, NULL, 1024, 768, 3072, 0, 0, 0, LT_SUM};

    p.bias = number & 1 ? room : NULL;
    p.up = number & 2 ? room : NULL;
    p.left_along = number >> 2 & 1;
    p.right_along = number >> 3 & 1;
    p.floats = number >> 4 & 1;
    p.ending = (enum lt_ending)(number / 32);
    return p;
}

START_TEST(it_takes_every_description_of_a_product)
{
    struct lt_product p = some_product(_i);
    struct plan *plan = (struct plan *)calloc(1, sizeof *plan);

    plan->shape.epilogue = (int)epilogue_of(&p);
    ck_assert_int_eq(describe_plan(plan, &p), CUBLAS_STATUS_SUCCESS);
    ck_assert_int_eq(point_at(plan, &p), CUBLAS_STATUS_SUCCESS);
    free_plan(plan);
}
END_TEST

START_TEST(it_takes_what_is_preferred_and_refuses_another_size)
{
    ck_assert_int_eq(set_preference(), CUBLAS_STATUS_SUCCESS);
    ck_assert_int_eq(prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, (uint64_t)2),
                     CUBLAS_STATUS_INVALID_VALUE);
}
END_TEST

int main(void) {
    TCase *test = tcase_create("cuBLASLt");
    Suite *suite = suite_create("cuBLASLt");
    size_t next = 0;
    const char *trouble = load_library(&next);
    SRunner *runner;
    int failures;

    if (trouble) {
        printf("SKIP: %s\n", trouble);
        return 77;
    }
    tcase_add_loop_test(test, it_takes_every_description_of_a_product, 0, 96);
    tcase_add_test(test, it_takes_what_is_preferred_and_refuses_another_size);
    suite_add_tcase(suite, test);
    runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK); /* the library is large */
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
