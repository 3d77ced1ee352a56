#include "kernels/cuda/cublaslt.cuh"

#include <cublasLt.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKSPACE  ((size_t)32 << 20) /* bytes; what NVIDIA advises for compute capability 9 */
#define ALIGNMENT  16
#define BUCKETS    4096
#define MOST_PLANS 16384

/* What is used of the library, without "cublasLt". */
#define FUNCTIONS(F)                                                                                         \
    F(Create)                                                                                                \
    F(GetStatusString)                                                                                       \
    F(Matmul)                                                                                                \
    F(MatmulAlgoGetHeuristic)                                                                                \
    F(MatmulDescCreate)                                                                                      \
    F(MatmulDescDestroy)                                                                                     \
    F(MatmulDescSetAttribute)                                                                                \
    F(MatmulPreferenceCreate)                                                                                \
    F(MatmulPreferenceSetAttribute)                                                                          \
    F(MatrixLayoutCreate)                                                                                    \
    F(MatrixLayoutDestroy)

/* What a plan is found by; no padding, so that it can be compared as bytes. */
struct lt_shape {
    int rows, cols, depth, left_along, right_along, floats, epilogue;
};

/* How a shape is multiplied. */
struct plan {
    struct lt_shape shape;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t left, right, out;
    cublasLtMatmulAlgo_t algorithm;
    int found; /* whether there is an algorithm */
    struct plan *next;
};

static struct {
    cublasLtHandle_t handle;
    cublasLtMatmulPreference_t preference;
    void *workspace;
    struct plan *plans[BUCKETS];
    int count;
    char trouble[300];
#define POINTER(name) decltype(&cublasLt##name) name;
    FUNCTIONS(POINTER)
#undef POINTER
} lt;

static int good(cublasStatus_t status, const char *what) {
    if (status != CUBLAS_STATUS_SUCCESS) note_trouble(what, lt.GetStatusString(status));
    return status == CUBLAS_STATUS_SUCCESS;
}

/* Whether it says of a product, whatever its heuristic said, that it has no way to make it here. */
static int is_refusal(cublasStatus_t status) {
    return status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_ARCH_MISMATCH;
}

static const char *refuse(const char *what, const char *why) {
    snprintf(lt.trouble, sizeof lt.trouble, "%s%s", what, why);
    return lt.trouble;
}

static const char *load_functions(void *library) {
#define LOAD(name)                                                                                           \
    lt.name = (decltype(&cublasLt##name))dlsym(library, "cublasLt" #name);                                   \
    if (!lt.name) return refuse("this machine's libcublasLt is too old: it has no cublasLt", #name);
    FUNCTIONS(LOAD)
#undef LOAD
    return NULL;
}

/* The first library from number *next on that has the functions; else what was wrong with the last there was.
 */
static const char *load_library(size_t *next) {
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12",
                                        "/usr/local/cuda/lib64/libcublasLt.so.13",
                                        "/usr/local/cuda/lib64/libcublasLt.so.12"};

    while (*next < sizeof names / sizeof *names) {
        void *library = dlopen(names[(*next)++], RTLD_NOW | RTLD_LOCAL);

        if (library && !load_functions(library)) return NULL;
    }
    if (lt.trouble[0]) return lt.trouble;
    return refuse(
        "there is neither libcublasLt.so.13 nor libcublasLt.so.12: install CUDA's cuBLAS, or name the "
        "folder that has one, of a CUDA Toolkit or of PyTorch, in LD_LIBRARY_PATH",
        "");
}

/* The first that starts, on this driver. */
static const char *start_library(cublasLtHandle_t *handle) {
    size_t next = 0;

    for (;;) {
        const char *trouble = load_library(&next);
        cublasStatus_t status;

        if (trouble) return trouble;
        status = lt.Create(handle);
        if (!status) return NULL;
        refuse("cuBLASLt cannot start: ", lt.GetStatusString(status));
    }
}

template <class T> static cublasStatus_t prefer(cublasLtMatmulPreferenceAttributes_t attribute, T value) {
    return lt.MatmulPreferenceSetAttribute(lt.preference, attribute, &value, sizeof value);
}

/* Sums in one piece, or in pieces in single precision that a pass of its own adds up. */
static cublasStatus_t set_preference(void) {
    static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    cublasStatus_t status = lt.MatmulPreferenceCreate(&lt.preference);

    if (!status) status = prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, (uint64_t)WORKSPACE);
    if (!status)
        status = prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                        (uint32_t)CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
    for (int i = 0; i < 4 && !status; i++) status = prefer(alignments[i], (uint32_t)ALIGNMENT);
    return status;
}

extern "C" const char *cublaslt_open(void) {
    cublasLtHandle_t handle;
    cublasStatus_t status;
    const char *trouble;

    if (lt.handle) return NULL;
    lt.trouble[0] = 0;
    if ((trouble = start_library(&handle))) return trouble;
    status = set_preference();
    if (status) return refuse("cuBLASLt cannot start: ", lt.GetStatusString(status));
    lt.workspace = cuda_alloc(WORKSPACE);
    if (!lt.workspace) return refuse("there is no memory for cuBLASLt's workspace of 32 MiB", "");
    lt.handle = handle;
    return NULL;
}

int cublaslt_fuses(void) {
    int capability = compute_capability();

    return capability >= 90 && capability < 110;
}

static cublasLtEpilogue_t epilogue_of(const struct lt_product *p) {
    if (p->ending == LT_GELU_SLOPE) return CUBLASLT_EPILOGUE_DGELU;
    if (p->ending == LT_SUM) return p->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    if (!p->up) return p->bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    return p->bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
}

template <class T>
static cublasStatus_t describe(const struct plan *plan, cublasLtMatmulDescAttributes_t attribute, T value) {
    return lt.MatmulDescSetAttribute(plan->product, attribute, &value, sizeof value);
}

/* Arrays as the library sees them, the first index along memory: those of lines[count][across] are of
 * `across` rows and `count` columns. */
static cublasStatus_t lay_out(cublasLtMatrixLayout_t *out, cudaDataType_t type, int count, int across) {
    return lt.MatrixLayoutCreate(out, type, (uint64_t)across, (uint64_t)count, (int64_t)across);
}

/* With the first index along memory the product is that of the other order: its A is our right side, which
 * must be of cols rows and is turned where it lies along k, its B our left side. */
static cublasStatus_t describe_plan(struct plan *plan, const struct lt_product *p) {
    cudaDataType_t type = p->floats ? CUDA_R_32F : CUDA_R_16BF;
    cublasStatus_t status = lt.MatmulDescCreate(&plan->product, CUBLAS_COMPUTE_32F, CUDA_R_32F);

    if (!status)
        status = describe(plan, CUBLASLT_MATMUL_DESC_TRANSA,
                          (int32_t)(p->right_along ? CUBLAS_OP_T : CUBLAS_OP_N));
    if (!status)
        status =
            describe(plan, CUBLASLT_MATMUL_DESC_TRANSB, (int32_t)(p->left_along ? CUBLAS_OP_N : CUBLAS_OP_T));
    if (!status) status = describe(plan, CUBLASLT_MATMUL_DESC_EPILOGUE, (uint32_t)plan->shape.epilogue);
    if (!status && p->up) status = describe(plan, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, (int64_t)p->cols);
    if (!status)
        status = p->right_along ? lay_out(&plan->right, CUDA_R_16BF, p->cols, p->depth)
                                : lay_out(&plan->right, CUDA_R_16BF, p->depth, p->cols);
    if (!status)
        status = p->left_along ? lay_out(&plan->left, CUDA_R_16BF, p->rows, p->depth)
                               : lay_out(&plan->left, CUDA_R_16BF, p->depth, p->rows);
    return status ? status : lay_out(&plan->out, type, p->rows, p->cols);
}

static cublasStatus_t point_at(const struct plan *plan, const struct lt_product *p) {
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;

    if (p->bias) status = describe(plan, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p->bias);
    if (!status && p->up) status = describe(plan, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, (void *)p->up);
    return status;
}

/* The library's first choice. That it has none is no failure. */
static cublasStatus_t choose_algorithm(struct plan *plan) {
    cublasLtMatmulHeuristicResult_t result;
    int count = 0;
    cublasStatus_t status =
        lt.MatmulAlgoGetHeuristic(lt.handle, plan->product, plan->right, plan->left, plan->out, plan->out,
                                  lt.preference, 1, &result, &count);

    plan->found = !status && count > 0 && result.state == CUBLAS_STATUS_SUCCESS;
    if (plan->found) plan->algorithm = result.algo;
    return is_refusal(status) ? CUBLAS_STATUS_SUCCESS : status;
}

static void free_plan(struct plan *plan) {
    if (plan->product) lt.MatmulDescDestroy(plan->product);
    if (plan->left) lt.MatrixLayoutDestroy(plan->left);
    if (plan->right) lt.MatrixLayoutDestroy(plan->right);
    if (plan->out) lt.MatrixLayoutDestroy(plan->out);
    free(plan);
}

static void forget_plans(void) {
    for (int i = 0; i < BUCKETS; i++)
        while (lt.plans[i]) {
            struct plan *plan = lt.plans[i];

            lt.plans[i] = plan->next;
            free_plan(plan);
        }
    lt.count = 0;
}

static unsigned bucket_of(const struct lt_shape *shape) {
    unsigned hash = 2166136261u;

    for (size_t i = 0; i < sizeof *shape; i++) hash = (hash ^ ((const unsigned char *)shape)[i]) * 16777619u;
    return hash % BUCKETS;
}

/* Batches are of any size, so that there is no end of shapes: when there are very many, all are forgotten. */
static struct plan *make_plan(const struct lt_product *p, const struct lt_shape *shape,
                              const char *operation) {
    struct plan *plan = (struct plan *)calloc(1, sizeof *plan);
    cublasStatus_t status;

    if (!plan) {
        fprintf(stderr, "pyrite: out of memory (%zu bytes)\n", sizeof *plan);
        exit(1);
    }
    if (lt.count == MOST_PLANS) forget_plans();
    plan->shape = *shape;
    plan->next = lt.plans[bucket_of(shape)];
    lt.plans[bucket_of(shape)] = plan;
    lt.count++;
    status = describe_plan(plan, p);
    if (!status) status = point_at(plan, p);
    if (!status) status = choose_algorithm(plan);
    good(status, operation);
    return plan;
}

static struct plan *plan_for(const struct lt_product *p, const char *operation) {
    struct lt_shape shape = {p->rows,        p->cols,   p->depth,           p->left_along,
                             p->right_along, p->floats, (int)epilogue_of(p)};

    for (struct plan *plan = lt.plans[bucket_of(&shape)]; plan; plan = plan->next)
        if (!memcmp(&plan->shape, &shape, sizeof shape)) return plan;
    return make_plan(p, &shape, operation);
}

static int is_aligned(const struct lt_product *p) {
    const void *const arrays[] = {p->out, p->left, p->right, p->bias, p->base, p->up};
    int lines = (p->left_along ? p->depth : p->rows) | (p->right_along ? p->depth : p->cols);

    for (int i = 0; i < 6; i++)
        if ((size_t)arrays[i] % ALIGNMENT) return 0;
    return (lines | (p->floats ? 0 : p->cols)) % 8 == 0;
}

int cublaslt_multiply(const struct lt_product *p, const char *operation) {
    const float one = 1, beta = p->base ? 1 : 0;
    struct plan *plan;
    cublasStatus_t status;

    if (!is_aligned(p)) return 0;
    plan = plan_for(p, operation);
    if (!plan->found) return 0;
    status = point_at(plan, p);
    if (!status)
        status = lt.Matmul(lt.handle, plan->product, &one, p->right, plan->right, p->left, plan->left, &beta,
                           p->base ? p->base : p->out, plan->out, p->out, plan->out, &plan->algorithm,
                           lt.workspace, WORKSPACE, product_stream());
    if (is_refusal(status)) return plan->found = 0;
    return good(status, operation);
}
