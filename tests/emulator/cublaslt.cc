/* A library for the emulated device that multiplies as cuBLASLt's interface says it does, and that refuses
 * what the interface does not promise: it takes every freedom that a caller leaves. An algorithm is good for
 * the problem that it was chosen for, wants the alignments that were allowed, fills its workspace, and long
 * sums are added up in two pieces: in an order that changes from call to call if in place, rounded to the
 * output's type if in that. */
#include <cublasLt.h>
#include <math.h>
#include <stdlib.h>

#define MAGIC      UINT64_C(0x63754c74)
#define LONG       192 /* sums are in two pieces from here on */
#define WORKSPACES ((size_t)1 << 20)
#define MOST       16 /* bytes on which arrays that a descriptor points to are seen to lie */

struct emulated_layout {
    cudaDataType_t type;
    uint64_t rows, cols;
    int64_t ld;
};

struct emulated_matmul {
    cublasComputeType_t compute;
    cudaDataType_t scale;
    int32_t turned[2];
    uint32_t epilogue;
    void *bias, *aux;
    int64_t aux_ld;
};

struct emulated_preference {
    uint64_t workspace;
    uint32_t reductions, alignment[4];
};

/* What cublasLtMatmulAlgo_t holds. */
struct choice {
    uint64_t magic, problem, reduction, workspace;
    uint32_t alignment[4], bias, aux;
};

struct problem {
    struct emulated_matmul product;
    struct emulated_layout a, b, c, d;
    uint64_t depth;
};

struct arrays {
    const void *a, *b, *c;
    void *d, *workspace;
    float alpha, beta;
};

static_assert(sizeof(struct choice) <= sizeof(cublasLtMatmulAlgo_t), "a choice is an algorithm");

static size_t heuristics, products;
static int refused; /* of the next products */
static unsigned without;

size_t emulated_heuristics(void) {
    return heuristics;
}

size_t emulated_products(void) {
    return products;
}

void emulated_refuse(int count) {
    refused = count;
}

void emulated_without(unsigned epilogues) {
    without = epilogues;
}

const char *cublasLtGetStatusString(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "the function failed to launch on the GPU";
    default:
        return "the functionality requested is not supported";
    }
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *out) {
    static int context;

    *out = (cublasLtHandle_t)&context;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType_t type, uint64_t rows,
                                          uint64_t cols, int64_t ld) {
    *out = new emulated_layout{type, rows, cols, ld};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    delete layout;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
    *out = new emulated_matmul{compute, scale, {0, 0}, CUBLASLT_EPILOGUE_DEFAULT, NULL, NULL, 0};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product) {
    delete product;
    return CUBLAS_STATUS_SUCCESS;
}

template <class T> static cublasStatus_t set(T *out, const void *value, size_t bytes) {
    if (!value || bytes != sizeof *out) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(out, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t attribute, const void *value,
                                              size_t bytes) {
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return set(&product->turned[0], value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return set(&product->turned[1], value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return set(&product->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return set(&product->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
        return set(&product->aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
        return set(&product->aux_ld, value, bytes);
    default:
        return CUBLAS_STATUS_INVALID_VALUE;
    }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out) {
    *out = new emulated_preference{0, CUBLASLT_REDUCTION_SCHEME_MASK, {256, 256, 256, 256}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return set(&preference->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return set(&preference->reductions, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        return set(&preference->alignment[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        return set(&preference->alignment[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        return set(&preference->alignment[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return set(&preference->alignment[3], value, bytes);
    default:
        return CUBLAS_STATUS_INVALID_VALUE;
    }
}

static bool has_bias(const struct problem &p) {
    return p.product.epilogue & CUBLASLT_EPILOGUE_BIAS;
}

static bool has_aux(const struct problem &p) {
    return p.product.epilogue & 128;
}

static bool same(const struct emulated_layout &a, const struct emulated_layout &b) {
    return a.type == b.type && a.rows == b.rows && a.cols == b.cols && a.ld == b.ld;
}

/* D[m][n] = op(A)[m][k] op(B)[k][n], each with its first index along memory, ld elements from a column to the
 * next. */
static bool shapes_agree(const struct problem &p) {
    const int32_t *turned = p.product.turned;
    uint64_t a_rows = turned[0] ? p.depth : p.d.rows, a_cols = turned[0] ? p.d.rows : p.depth;
    uint64_t b_rows = turned[1] ? p.d.cols : p.depth, b_cols = turned[1] ? p.depth : p.d.cols;

    return p.a.rows == a_rows && p.a.cols == a_cols && p.b.rows == b_rows && p.b.cols == b_cols &&
           p.c.rows == p.d.rows && p.c.cols == p.d.cols && p.depth && p.d.rows && p.d.cols;
}

/* Of the table of types that go with sums in single precision, the lines whose A and B are bf16. */
static bool types_go_together(const struct problem &p) {
    return p.product.compute == CUBLAS_COMPUTE_32F && p.product.scale == CUDA_R_32F &&
           p.a.type == CUDA_R_16BF && p.b.type == CUDA_R_16BF && p.c.type == p.d.type &&
           (p.d.type == CUDA_R_16BF || p.d.type == CUDA_R_32F);
}

static bool is_known(uint32_t epilogue) {
    switch (epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_GELU:
    case CUBLASLT_EPILOGUE_GELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU_AUX:
    case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
    case CUBLASLT_EPILOGUE_DGELU:
        return true;
    default:
        return false;
    }
}

static cublasStatus_t check(const struct problem &p) {
    if (!shapes_agree(p)) return CUBLAS_STATUS_INVALID_VALUE;
    for (const struct emulated_layout *layout : {&p.a, &p.b, &p.c, &p.d})
        if (layout->ld < (int64_t)layout->rows) return CUBLAS_STATUS_INVALID_VALUE;
    if (has_aux(p) && (p.product.aux_ld % 8 || p.product.aux_ld < (int64_t)p.d.rows))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!is_known(p.product.epilogue) || !types_go_together(p)) return CUBLAS_STATUS_NOT_SUPPORTED;
    return CUBLAS_STATUS_SUCCESS;
}

/* CUBLAS_STATUS_INVALID_VALUE where something is missing. */
static cublasStatus_t make_problem(struct problem *out, cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                                   cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                   cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!product || !a || !b || !c || !d) return CUBLAS_STATUS_INVALID_VALUE;
    *out = {*product, *a, *b, *c, *d, product->turned[0] ? a->rows : a->cols};
    return check(*out);
}

static uint64_t fingerprint(const struct problem &p) {
    const uint64_t all[] = {p.depth,
                            p.d.rows,
                            p.d.cols,
                            (uint64_t)p.a.ld,
                            (uint64_t)p.b.ld,
                            (uint64_t)p.c.ld,
                            (uint64_t)p.d.ld,
                            (uint64_t)p.d.type,
                            (uint64_t)p.product.turned[0],
                            (uint64_t)p.product.turned[1],
                            p.product.epilogue,
                            has_aux(p) ? (uint64_t)p.product.aux_ld : 0};
    uint64_t hash = UINT64_C(14695981039346656037);

    for (uint64_t number : all) hash = (hash ^ number) * UINT64_C(1099511628211);
    return hash;
}

static uint32_t alignment_of(const void *array) {
    uint32_t bytes = MOST;

    while ((size_t)array % bytes) bytes /= 2;
    return bytes;
}

/* The scheme that a caller should like least. */
static uint64_t reduction_of(const struct problem &p, const struct emulated_preference &preference) {
    if (p.depth < LONG || preference.workspace < WORKSPACES) return CUBLASLT_REDUCTION_SCHEME_NONE;
    for (uint32_t scheme : {1u, 4u, 2u})
        if (preference.reductions & scheme) return scheme;
    return CUBLASLT_REDUCTION_SCHEME_NONE;
}

static struct choice choose(const struct problem &p, const struct emulated_preference &preference) {
    struct choice choice = {MAGIC, fingerprint(p), reduction_of(p, preference), 0, {0}, 1, 1};

    choice.workspace = choice.reduction ? WORKSPACES : 0;
    memcpy(choice.alignment, preference.alignment, sizeof choice.alignment);
    if (has_bias(p)) choice.bias = alignment_of(p.product.bias);
    if (has_aux(p)) choice.aux = alignment_of(p.product.aux);
    return choice;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *out, int *found) {
    struct problem p;
    struct choice choice;
    cublasStatus_t status = make_problem(&p, handle, product, a, b, c, d);

    heuristics++;
    if (status) return status;
    if (!preference || wanted < 1 || !out || !found) return CUBLAS_STATUS_INVALID_VALUE;
    memset(out, 0xff, sizeof *out);
    *found = 0;
    if (p.product.epilogue & without) return CUBLAS_STATUS_NOT_SUPPORTED;
    choice = choose(p, *preference);
    memcpy(&out->algo, &choice, sizeof choice);
    out->workspaceSize = choice.workspace;
    out->state = CUBLAS_STATUS_SUCCESS;
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

static float element(const void *array, cudaDataType_t type, size_t at) {
    return type == CUDA_R_32F ? ((const float *)array)[at] : emulated_float(((const uint16_t *)array)[at]);
}

static float rounded_to(cudaDataType_t type, float x) {
    return type == CUDA_R_32F ? x : emulated_float(emulated_bf16(x));
}

static void put(void *array, cudaDataType_t type, size_t at, float x) {
    if (type == CUDA_R_32F)
        ((float *)array)[at] = x;
    else
        ((uint16_t *)array)[at] = (uint16_t)emulated_bf16(x);
}

static float piece_of(const struct problem &p, const struct arrays &arrays, uint64_t i, uint64_t j,
                      uint64_t from, uint64_t to) {
    float sum = 0;

    for (uint64_t k = from; k < to; k++) {
        uint64_t a = p.product.turned[0] ? i * p.a.ld + k : k * p.a.ld + i;
        uint64_t b = p.product.turned[1] ? k * p.b.ld + j : j * p.b.ld + k;

        sum = fmaf(element(arrays.a, p.a.type, a), element(arrays.b, p.b.type, b), sum);
    }
    return sum;
}

static float sum_of(const struct problem &p, const struct arrays &arrays, uint64_t reduction, size_t call,
                    uint64_t i, uint64_t j) {
    uint64_t middle = reduction ? p.depth / 2 : p.depth;
    float first = piece_of(p, arrays, i, j, 0, middle), second;
    float start = arrays.beta != 0 ? arrays.beta * element(arrays.c, p.c.type, j * p.c.ld + i) : 0;

    if (!reduction) return arrays.alpha * first + start;
    second = piece_of(p, arrays, i, j, middle, p.depth);
    if (reduction == CUBLASLT_REDUCTION_SCHEME_INPLACE)
        return call % 2 ? arrays.alpha * first + (arrays.alpha * second + start)
                        : arrays.alpha * second + (arrays.alpha * first + start);
    if (reduction == CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE)
        return arrays.alpha *
                   rounded_to(p.d.type, rounded_to(p.d.type, first) + rounded_to(p.d.type, second)) +
               start;
    return arrays.alpha * (first + second) + start;
}

static float gelu(float x) {
    double y = x;

    return (float)(0.5 * y * (1 + tanh(0.7978845608028654 * (y + 0.044715 * y * y * y))));
}

static float gelu_slope(float x) {
    double y = x, t = tanh(0.7978845608028654 * (y + 0.044715 * y * y * y));

    return (float)(0.5 * (1 + t) + 0.5 * y * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * y * y));
}

static void run(const struct problem &p, const struct arrays &arrays, uint64_t reduction, size_t call) {
    const struct emulated_matmul &how = p.product;

    if (reduction) memset(arrays.workspace, 0xff, WORKSPACES);
    for (uint64_t j = 0; j < p.d.cols; j++)
        for (uint64_t i = 0; i < p.d.rows; i++) {
            float sum = sum_of(p, arrays, reduction, call, i, j);
            size_t aux = j * how.aux_ld + i;

            if (has_bias(p)) sum += element(how.bias, p.d.type, i);
            if (how.epilogue == CUBLASLT_EPILOGUE_DGELU) {
                sum *= gelu_slope(element(how.aux, p.d.type, aux));
            } else if (how.epilogue & CUBLASLT_EPILOGUE_GELU) {
                if (has_aux(p)) put(how.aux, p.d.type, aux, sum);
                sum = gelu(sum);
            }
            put(arrays.d, p.d.type, j * p.d.ld + i, sum);
        }
}

static bool fits(const struct problem &p, const struct choice &choice, const struct arrays &arrays,
                 size_t workspace_bytes) {
    const void *const all[] = {arrays.a, arrays.b, arrays.c, arrays.d};

    if (choice.magic != MAGIC || choice.problem != fingerprint(p)) return false;
    for (int i = 0; i < 4; i++)
        if (!all[i] || (size_t)all[i] % choice.alignment[i]) return false;
    if (arrays.c == arrays.d && !same(p.c, p.d)) return false;
    if (has_bias(p) && (!p.product.bias || (size_t)p.product.bias % choice.bias)) return false;
    if (has_aux(p) && (!p.product.aux || (size_t)p.product.aux % choice.aux)) return false;
    return !choice.workspace ||
           (arrays.workspace && (size_t)arrays.workspace % 256 == 0 && workspace_bytes >= choice.workspace);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
    struct problem p;
    struct choice choice;
    struct arrays arrays = {a, b, c, d, workspace, 0, 0};
    cublasStatus_t status = make_problem(&p, handle, product, a_layout, b_layout, c_layout, d_layout);
    size_t call;

    if (status) return status;
    if (!alpha || !beta || !algorithm) return CUBLAS_STATUS_INVALID_VALUE;
    arrays.alpha = *(const float *)alpha;
    arrays.beta = *(const float *)beta;
    memcpy(&choice, algorithm, sizeof choice);
    if (!fits(p, choice, arrays, workspace_bytes)) return CUBLAS_STATUS_INVALID_VALUE;
    if (refused > 0 && refused--) return CUBLAS_STATUS_NOT_SUPPORTED;
    call = ++products;
    if (emulated_queue(stream, [=] { run(p, arrays, choice.reduction, call); }))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    return CUBLAS_STATUS_SUCCESS;
}
