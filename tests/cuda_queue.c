/* How the CUDA backend moves arrays and queues work. */
#include <stdio.h>

#include "tests/test_kernels.h"

static const struct kernels *cuda;

/* More than the pinned memory that transfers go through, several times over. */
#define LARGE ((size_t)5 << 20)

START_TEST(arrays_larger_than_the_pinned_memory_arrive_whole)
{
    float *x = noise(LARGE, 1), *got = poison(LARGE), *a = cuda->alloc(LARGE * sizeof *a);
    float *b = cuda->alloc(LARGE * sizeof *b), *view;

    cuda->send(a, x, LARGE * sizeof *x);
    for (size_t i = 0; i < LARGE; i++) x[i] = -x[i]; /* send() has read it */
    cuda->copy(b, a, LARGE * sizeof *a);
    cuda->zero(a, LARGE * sizeof *a);
    cuda->fetch(got, b, LARGE * sizeof *b);
    ck_assert_ptr_null(cuda->sync());
    for (size_t i = 0; i < LARGE; i++) ck_assert(got[i] == -x[i]);
    view = cuda->map(a, LARGE * sizeof *a, 1);
    for (size_t i = 0; i < LARGE; i++) ck_assert(view[i] == 0);
    for (size_t i = 0; i < LARGE; i++) view[i] = (float)i;
    cuda->unmap(a, view, LARGE * sizeof *a, 1);
    cuda->fetch(got, a, LARGE * sizeof *a);
    ck_assert_ptr_null(cuda->sync());
    for (size_t i = 0; i < LARGE; i++) ck_assert(got[i] == (float)i);
    cuda->free(a);
    cuda->free(b);
    free(x);
    free(got);
}
END_TEST

START_TEST(of_results_for_one_place_the_last_stays)
{
    int *a = cuda->alloc(sizeof *a), got = -1, others[20];

    for (int i = 0; i < 20000; i++) {
        cuda->send(a, &i, sizeof i);
        cuda->fetch(&got, a, sizeof got);
        cuda->fetch(&others[i % 20], a, sizeof *others);
    }
    ck_assert_ptr_null(cuda->sync());
    ck_assert_int_eq(got, 19999);
    for (int i = 0; i < 20; i++) ck_assert_int_eq(others[i], 19980 + i);
    cuda->free(a);
}
END_TEST

START_TEST(what_is_sent_and_brought_back_keeps_its_place_between_operations)
{
    float *x = noise(1000, 2), *got = poison(1000), *sum = cuda->alloc(1000 * sizeof *sum);
    float *room = cuda->alloc(1000 * sizeof *room), *half = poison(1000);

    for (int round = 0; round < 3000; round++) { /* 12 MB through one room */
        cuda->add(sum, cuda->send(room, x, 1000 * sizeof *x), 1000);
        if (round == 1499) cuda->fetch(half, sum, 1000 * sizeof *half);
        for (int i = 0; i < 1000; i++) x[i] = (float)(round + i);
    }
    cuda->fetch(got, sum, 1000 * sizeof *got);
    ck_assert_ptr_null(cuda->sync());
    free(x);
    x = noise(1000, 2);
    for (int i = 0; i < 1000; i++) {
        float at = x[i];

        for (int round = 0; round < 2999; round++) {
            if (round == 1499) ck_assert(half[i] == at);
            at += (float)(round + i);
        }
        ck_assert(got[i] == at);
    }
    cuda->free(sum);
    cuda->free(room);
    free(x);
    free(got);
    free(half);
}
END_TEST

/* out += by, then x := out: each time it is repeated. */
struct sum {
    float *out, *by, *kept;
    size_t count;
    int calls;
};

static void add_once(void *context) {
    struct sum *sum = context;

    cuda->add(sum->out, sum->by, sum->count);
    cuda->copy(sum->kept, sum->out, sum->count * sizeof *sum->out);
    cuda->zero(sum->by, sizeof *sum->by);
    sum->calls++;
}

/* `by` and what is sent into it each time count, not what was there when the calls were recorded. */
START_TEST(repeated_calls_work_on_what_arrays_hold_then)
{
    enum { N = 1000, TIMES = 9 };
    struct sum sum = {cuda->alloc(N * sizeof(float)), cuda->alloc(N * sizeof(float)),
                      cuda->alloc(N * sizeof(float)), N, 0};
    struct recording *recording = NULL;
    float by[N], got[N], wanted = 0;

    for (int time = 1; time <= TIMES; time++) {
        for (int i = 0; i < N; i++) by[i] = (float)(time * i);
        cuda->send(sum.by, by, sizeof by);
        cuda->repeat(&recording, add_once, &sum);
        if (time == 6) cuda->free(cuda->alloc(100)); /* recordings are made anew then */
        wanted += (float)time;
        cuda->fetch(got, sum.kept, sizeof got);
        ck_assert_ptr_null(cuda->sync());
        for (int i = 0; i < N; i++) ck_assert(got[i] == wanted * (float)i);
    }
    ck_assert_int_eq(sum.calls, 3); /* once as they are, twice to be recorded */
    cuda->forget(recording);
    cuda->forget(NULL);
    cuda->free(sum.out);
    cuda->free(sum.by);
    cuda->free(sum.kept);
}
END_TEST

static void fetch_within(void *context) {
    static float got;
    struct sum *sum = context;

    cuda->add(sum->out, sum->by, sum->count);
    if (sum->calls++) cuda->fetch(&got, sum->out, sizeof got);
}

/* The last test: the device takes nothing more afterwards. */
START_TEST(a_transfer_within_calls_that_are_recorded_is_refused)
{
    struct sum sum = {cuda->alloc(sizeof(float)), cuda->alloc(sizeof(float)), NULL, 1, 0};
    struct recording *recording = NULL;
    const char *trouble;

    cuda->repeat(&recording, fetch_within, &sum);
    ck_assert_ptr_null(cuda->sync());
    cuda->repeat(&recording, fetch_within, &sum);
    trouble = cuda->sync();
    ck_assert_ptr_nonnull(trouble);
    ck_assert_ptr_nonnull(strstr(trouble, "while calls are recorded"));
    ck_assert_str_eq(cuda->sync(), trouble);
    cuda->forget(recording);
    cuda->free(sum.out);
    cuda->free(sum.by);
}
END_TEST

int main(void) {
    TCase *test;
    Suite *suite;

    cuda = kernels_find("cuda");
    if (!cuda) {
        printf("SKIP: %s\n", kernels_missing("cuda"));
        return 77;
    }
    suite = suite_create("cuda queue");
    test = tcase_create("cuda queue");
    tcase_set_timeout(test, 120);
    tcase_add_test(test, arrays_larger_than_the_pinned_memory_arrive_whole);
    tcase_add_test(test, of_results_for_one_place_the_last_stays);
    tcase_add_test(test, what_is_sent_and_brought_back_keeps_its_place_between_operations);
    tcase_add_test(test, repeated_calls_work_on_what_arrays_hold_then);
    tcase_add_test(test, a_transfer_within_calls_that_are_recorded_is_refused);
    suite_add_tcase(suite, test);
    return run_unforked(suite);
}
