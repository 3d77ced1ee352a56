/* What a test of a device ends with there: the times of its operations beside their floors. */
#ifndef TESTS_DEVICE_TIMES_H
#define TESTS_DEVICE_TIMES_H

#include "harness/command_line.h"
#include "tests/test_kernels.h"

/* What `pyrite bench` prints of a part, of what has `only` in its name (NULL: of all). Nothing where a time
 * says nothing: in the emulator, and at sizes for a checker. 0, or 1 where it failed. */
static inline int device_times(const char *part, const char *only, const char *device) {
    char *words[] = {"bench",
                     (char *)part,
                     "--device",
                     (char *)device,
                     "--rounds",
                     (char *)"3",
                     only ? "--only" : NULL,
                     (char *)only,
                     NULL};
    struct arguments arguments = {0};
    struct error err = {0};
    int failed;

    if (!by_sizes(0, 0, 1) || !kernels_find(device)) return 0;
    printf("\n");
    failed = arguments_read(&arguments, command_find("bench", &err), only ? 8 : 6, words, &err) ||
             arguments.command->run(&arguments, &err);
    arguments_free(&arguments);
    if (failed) printf("bench %s --device %s: %s\n", part, device, err.message);
    return failed;
}

#endif
