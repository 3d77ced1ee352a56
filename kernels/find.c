#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"
#ifdef HAVE_CUDA
#include "kernels/cuda/cuda.h"
#endif

extern const struct kernels *cpu_find(const char *name);

static int is_cuda(const char *name) {
    return !strcmp(name, "cuda") || !strcmp(name, "cuda-bf16") || !strcmp(name, "cuda-cublas");
}

/* Why there is no such device of these, or NULL if there is. */
static const char *cuda_trouble(const char *name) {
#ifdef HAVE_CUDA
    const char *trouble = cuda_open();

    return trouble || strcmp(name, "cuda-cublas") ? trouble : cublaslt_open();
#else
    (void)name;
    return "this build has no CUDA backend; configure it where nvcc is";
#endif
}

const struct kernels *kernels_outline(const char *name) {
    if (!is_cuda(name)) return cpu_find(name);
#ifdef HAVE_CUDA
    if (!strcmp(name, "cuda-cublas")) return cuda_cublas();
    return strcmp(name, "cuda") ? &kernels_cuda_bf16 : &kernels_cuda;
#else
    return NULL;
#endif
}

const struct kernels *kernels_find(const char *name) {
    return is_cuda(name) && cuda_trouble(name) ? NULL : kernels_outline(name);
}

void kernels_device(int number) {
#ifdef HAVE_CUDA
    cuda_choose(number);
#else
    (void)number;
#endif
}

const char *kernels_missing(const char *name) {
    static char text[400];
    const char *trouble = is_cuda(name) ? cuda_trouble(name) : NULL;

    snprintf(text, sizeof text, "this machine has no device \"%.40s\"%s%s%s", name, trouble ? " (" : "",
             trouble ? trouble : "", trouble ? ")" : "");
    return text;
}
