/* PPO where a row's last bits depend on its batch: it goes on within rounding, and stops at a limit that is
 * set. And how often a reward model's step waits for such a device. */
#include "tests/training.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "kernels/kernels.h"
#include "tests/emulated_calls.h"
#include "tests/test_kernels.h"

#define PPO                                                                                                  \
    "{policy: @sft, data: [@data], reward: @gold, max_new: 4, episodes: 48, iterations: 1, epochs: 1, "

START_TEST(what_a_batch_does_to_a_row_is_allowed_unless_a_limit_is_set)
{
    char *folder = fresh_folder();
    struct error err;
    double gap;

    make_task(folder);
    ck_assert_int_eq(
        run_step("sft", folder, "sft", "{base: @base, data: [@data], lr: 1e-2, epochs: 1}", 1, &err), 0);
    ck_assert_int_eq(run_step("reward", folder, "gold",
                              "{base: @sft, data: [@data], samples: 16, max_new: 4, reward: gold}", 1, &err),
                     0);
    training_device = "cuda-cublas";
    ck_assert_msg(run_step("ppo", folder, "ppo", PPO "minibatches: 1}", 1, &err) == 0, "%s", err.message);
    gap = log_value(folder, "ppo", "logprob_gap", 1);
    ck_assert_double_gt(gap, 0);
    ck_assert_double_lt(gap, 0.5);
    ck_assert_int_eq(run_step("ppo", folder, "strict", PPO "minibatches: 1, gap_limit: 1e-12}", 1, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "(allowed: gap_limit 1e-12)"));
    folder_remove(folder, &err);
    free(folder);
}
END_TEST

/* What fitting a reward model asks for in so many steps of 8 pairs, each in micro-batches. */
static struct asked ask_for_fit(const char *folder, int steps, struct error *err) {
    char *options = xprintf("{base: @base, data: [@data], reward: scalar, samples: 8, max_new: 2, steps: %d, "
                            "batch: 8, micro_tokens: 60, evaluate_every: 0, checkpoint_every: 0}",
                            steps);
    struct asked before = {0};

    asked(&before);
    ck_assert_msg(run_step("reward", folder, "reward", options, 1, err) == 0, "%s", err->message);
    free(options);
    return asked(&before);
}

START_TEST(a_step_of_a_reward_model_waits_for_its_loss_and_its_norm)
{
    char *folder = fresh_folder();
    struct asked few, many;
    struct error err;

    make_task(folder);
    training_device = "cuda-cublas";
    few = ask_for_fit(folder, 3, &err);
    many = ask_for_fit(folder, 8, &err);
    ck_assert_uint_eq(many.waits - few.waits, 2 * 5);
    ck_assert_uint_gt(many.launches, few.launches);
    folder_remove(folder, &err);
    free(folder);
}
END_TEST

int main(void) {
    TCase *test;
    Suite *suite;

    if (!kernels_find("cuda-cublas")) {
        printf("SKIP: %s\n", kernels_missing("cuda-cublas"));
        return 77;
    }
    suite = suite_create("PPO by cuBLASLt");
    test = tcase_create("PPO by cuBLASLt");
    tcase_set_timeout(test, 300);
    tcase_add_test(test, what_a_batch_does_to_a_row_is_allowed_unless_a_limit_is_set);
    tcase_add_test(test, a_step_of_a_reward_model_waits_for_its_loss_and_its_norm);
    suite_add_tcase(suite, test);
    return run_unforked(suite);
}
