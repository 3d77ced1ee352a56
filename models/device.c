#include "models/device.h"

#include "harness/format.h"

int device_check(const struct kernels *kernels, const char *what, struct error *err) {
    const char *trouble = kernels->sync();

    if (!trouble) return 0;
    return fail(
        err,
        "%s: %s; what came of it is not kept: give the same command again, a run goes on from its last "
        "checkpoint",
        what, trouble);
}

int device_full(const struct kernels *kernels, size_t bytes, const char *what, const char *remedy,
                struct error *err) {
    char asked[32], left[32], all[32];
    size_t free_bytes, total;

    if (device_check(kernels, what, err)) return -1;
    kernels->memory(&free_bytes, &total);
    return fail(
        err, "no memory for %s: %s asked for, %s of %s free on %s; what helps: %s%sless beside it (--jobs 1)",
        what, format_bytes(asked, (double)bytes), format_bytes(left, (double)free_bytes),
        format_bytes(all, (double)total), kernels->name, remedy ? remedy : "", remedy ? ", or " : "");
}
