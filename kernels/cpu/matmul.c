#include "kernels/cpu/gelu.h"
#include "kernels/cpu/gemm.h"

#include <omp.h>

/* A tile of out is held in registers while k runs: TILE_ROWS x TILE_VECS accumulators. Blocks of DEPTH x
 * ROWS of the left and DEPTH x COLS of the right matrix are copied into panels one tile wide, k ascending. */
#if LANES == 16
#define TILE_ROWS   14
#define BLOCK_ROWS  168
#define BLOCK_DEPTH 512
#elif LANES == 8
#define TILE_ROWS   6
#define BLOCK_ROWS  72
#define BLOCK_DEPTH 512
#else
#define TILE_ROWS   4
#define BLOCK_ROWS  64
#define BLOCK_DEPTH 256
#endif
#define TILE_VECS  2
#define TILE_COLS  (TILE_VECS * LANES)
#define BLOCK_COLS 2048
#define STRIP      8  /* k per transposed block of a panel */
#define LINE       16 /* floats of a cache line */
#define AHEAD      8  /* k by which left is fetched before its use */

#define THREADED_WORK ((size_t)1 << 18) /* multiply-adds worth a second thread */

/* One or more neighbouring tiles of a row of tiles. */
struct tile {
    float *out;
    const float *base;    /* what the sums start from, strided as out, or NULL */
    size_t stride, panel; /* panel: floats from one panel of right to the next */
    const float *left, *right, *bias;
    int depth;
};

INLINE void tile_run(const int rows, const int panels, const struct tile *tile) {
    const int vecs = panels * TILE_VECS;
    const float *left = tile->left, *right = tile->right, *const bias = tile->bias, *const base = tile->base;
    const size_t stride = tile->stride, panel = tile->panel;
    const int depth = tile->depth;
    float *const out = tile->out;
    vec sum[TILE_ROWS][4 * TILE_VECS];

#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) __builtin_prefetch(out + i * stride, 1);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            sum[i][v] = base ? vec_load(base + i * stride + v * LANES) : vec_set(0);
    for (int k = 0; k < depth; k++) {
        vec b[4 * TILE_VECS];

        __builtin_prefetch(left + AHEAD * rows);
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) b[v] = vec_load(right + v / TILE_VECS * panel + v % TILE_VECS * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vec a = vec_set(left[i]);

#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) sum[i][v] = vec_step(a, b[v], sum[i][v]);
        }
        left += rows;
        right += TILE_COLS;
    }
    if (bias)
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) sum[i][v] += vec_load(bias + v * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) vec_store(out + i * stride + v * LANES, sum[i][v]);
}

/* Few rows take several panels at once, so that enough chains are under way to hide a multiply-add's time. */
INLINE int panels_at_once(int rows) {
    return rows == 1 ? 4 : rows == 2 ? 3 : rows == 3 ? 2 : 1;
}

#define TILE(function, rows, panels)                                                                         \
    static void function(const struct tile *tile) {                                                          \
        tile_run(rows, panels, tile);                                                                        \
    }
TILE(tile_1x4, 1, 4)
TILE(tile_2x3, 2, 3)
TILE(tile_3x2, 3, 2)
TILE(tile_1, 1, 1)
TILE(tile_2, 2, 1)
TILE(tile_3, 3, 1)
TILE(tile_4, 4, 1)
#if TILE_ROWS >= 6
TILE(tile_5, 5, 1)
TILE(tile_6, 6, 1)
#endif
#if TILE_ROWS >= 14
TILE(tile_7, 7, 1)
TILE(tile_8, 8, 1)
TILE(tile_9, 9, 1)
TILE(tile_10, 10, 1)
TILE(tile_11, 11, 1)
TILE(tile_12, 12, 1)
TILE(tile_13, 13, 1)
TILE(tile_14, 14, 1)
#endif

static void (*const tiles_single[])(const struct tile *) = {
    NULL,   tile_1, tile_2, tile_3,  tile_4,
#if TILE_ROWS >= 6
    tile_5, tile_6,
#endif
#if TILE_ROWS >= 14
    tile_7, tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14,
#endif
};
static void (*const tiles_several[])(const struct tile *) = {NULL, tile_1x4, tile_2x3, tile_3x2};

/* A tile that reaches over the right edge of out is made beside it. */
static void tile_at_edge(const struct tile *tile, int rows, int cols) {
    float out[TILE_ROWS * TILE_COLS] = {0}, bias[TILE_COLS] = {0};
    struct tile whole = *tile;

    for (int i = 0; i < rows && tile->base; i++)
        memcpy(out + i * TILE_COLS, tile->base + i * tile->stride, cols * sizeof(float));
    if (tile->bias) memcpy(bias, tile->bias, cols * sizeof(float));
    whole.out = out;
    whole.base = tile->base ? out : NULL;
    whole.stride = TILE_COLS;
    whole.bias = tile->bias ? bias : NULL;
    tiles_single[rows](&whole);
    for (int i = 0; i < rows; i++)
        memcpy(tile->out + i * tile->stride, out + i * TILE_COLS, cols * sizeof(float));
}

INLINE int smaller(int a, int b) {
    return a < b ? a : b;
}

/* Transposes 8 x 8: out[k * width + i] = in[i][k]. */
#if LANES >= 8
typedef float eight __attribute__((vector_size(32)));
typedef float eight_loose __attribute__((vector_size(32), aligned(2), may_alias));

INLINE void transpose(float *out, size_t width, const char *const in[8]) {
    eight r[8], s[8];

#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) r[i] = *(const eight_loose *)in[i];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        r[i] = __builtin_shufflevector(s[i], s[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        r[i + 1] = __builtin_shufflevector(s[i], s[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        r[i + 2] = __builtin_shufflevector(s[i + 1], s[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        r[i + 3] = __builtin_shufflevector(s[i + 1], s[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        s[i] = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        s[i + 4] = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) *(eight_loose *)(out + k * width) = s[k];
}
#else
INLINE void transpose(float *out, size_t width, const char *const in[8]) {
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 8; i++) memcpy(out + k * width + i, in[i] + k * sizeof *out, sizeof *out);
}
#endif

/* STRIP cells of eight rows, from `first` on, into a panel; rows that are not there give 0. */
INLINE void pack_strip(float *panel, int width, const char *data, size_t row, int first, int count, int k) {
    static const float zeros[STRIP];
    const char *in[8];

    for (int i = 0; i < 8; i++)
        in[i] = first + i < count ? data + (first + i) * row + k * sizeof *panel : (const char *)zeros;
    transpose(panel + (size_t)k * width + first, width, in);
}

/* A panel from rows whose k lie together, a cache line of each at a time. Eight columns are written at once,
   which reaches into the next k where width is no multiple of 8; so the last columns go first and k ascends.
 */
static void pack_across(float *panel, int width, const element *data, size_t row, int count, int depth) {
    int whole = depth / PAIR / STRIP * STRIP;

    for (int k = 0; k < whole; k += LINE)
        for (int first = (width - 1) / 8 * 8; first >= 0; first -= 8)
            for (int strip = k; strip < whole && strip < k + LINE; strip += STRIP)
                pack_strip(panel, width, (const char *)data, row * sizeof *data, first, count, strip);
    for (int k = whole; k < CELLS(depth); k++)
        for (int i = 0; i < width; i++)
            panel[(size_t)k * width + i] =
                i < count ? cell_of(data + i * row + k * PAIR, depth - k * PAIR) : 0;
}

#ifdef BF16
/* Cells of two k: the first of them in the upper half if ascending. */
INLINE void pair_up(float *out, const element *first, const element *second, int count, int ascending) {
    uint32_t *cells = (uint32_t *)out;

    if (ascending)
        for (int i = 0; i < count; i++) cells[i] = (uint32_t)first[i] << 16 | second[i];
    else
        for (int i = 0; i < count; i++) cells[i] = (uint32_t)second[i] << 16 | first[i];
}

/* A panel from columns: the elements of one k lie together. */
INLINE void pack_along(float *panel, int width, const element *data, size_t step, int count, int depth,
                       int ascending) {
    static const element zeros[TILE_COLS];

    for (int k = 0; k < depth; k += PAIR, panel += width, data += PAIR * step) {
        pair_up(panel, data, k + 1 < depth ? data + step : zeros, count, ascending);
        for (int i = count; i < width; i++) panel[i] = 0;
    }
}
#else
/* A panel from columns: the elements of one k lie together. */
INLINE void pack_along(float *panel, int width, const element *data, size_t step, int count, int depth,
                       int ascending) {
    (void)ascending;
    for (int k = 0; k < depth; k++, panel += width, data += step) {
        for (int i = 0; i < count; i++) panel[i] = data[i];
        for (int i = count; i < width; i++) panel[i] = 0;
    }
}
#endif

/* panel[k][i] = view(first + i, k + depth_from), 0 where i >= count; depths count elements. Writes up to 8
   cells beyond its end. */
static void pack_elements(float *panel, int width, const struct view *view, int first, int count,
                          int depth_from, int depth, int ascending) {
    const element *data =
        (const element *)view->data + (size_t)first * view->row + (size_t)depth_from * view->step;

    if (view->step == 1) {
        pack_across(panel, width, data, view->row, count, depth);
    } else if (count == TILE_COLS && width == TILE_COLS) {
        pack_along(panel, TILE_COLS, data, view->step, TILE_COLS, depth, ascending);
    } else if (count == TILE_ROWS && width == TILE_ROWS) {
        pack_along(panel, TILE_ROWS, data, view->step, TILE_ROWS, depth, ascending);
    } else if (count == TILE_ROWS - 1 && width == TILE_ROWS - 1) {
        pack_along(panel, TILE_ROWS - 1, data, view->step, TILE_ROWS - 1, depth, ascending);
    } else {
        pack_along(panel, width, data, view->step, count, depth, ascending);
    }
}

#ifdef BF16
/* The same from floats, a panel of which is rounded first. */
static void pack_wide(float *panel, int width, const struct view *view, int first, int count, int depth_from,
                      int depth, int ascending) {
    const float *data =
        (const float *)view->data + (size_t)first * view->row + (size_t)depth_from * view->step;
    size_t line = view->step == 1 ? (size_t)depth : (size_t)count;
    int lines = view->step == 1 ? count : depth;
    element *rounded = (element *)scratch_floats(SCRATCH_ROUNDED, (line * lines + 1) / 2);
    struct view narrow = {
        .data = rounded, .row = view->step == 1 ? line : 1, .step = view->step == 1 ? 1 : line};

    for (int i = 0; i < lines; i++)
        for (size_t j = 0; j < line; j++)
            rounded[i * line + j] = element_of(data[i * (view->step == 1 ? view->row : view->step) + j]);
    pack_elements(panel, width, &narrow, 0, count, 0, depth, ascending);
}
#endif

static void pack_panel(float *panel, int width, const struct view *view, int first, int count, int depth_from,
                       int depth, int ascending) {
#ifdef BF16
    if (view->wide) {
        pack_wide(panel, width, view, first, count, depth_from, depth, ascending);
        return;
    }
#endif
    pack_elements(panel, width, view, first, count, depth_from, depth, ascending);
}

INLINE int panel_count(int cols) {
    return (cols + TILE_COLS - 1) / TILE_COLS;
}

/* Where part i of `parts` nearly equal ones begins. */
INLINE int part_start(int count, int parts, int i) {
    return (int)((long long)count * i / parts);
}

/* The piece of a product that is under way: rows, columns and depth from … to. */
struct block {
    int row, rows, col, cols, depth_from, depth; /* depths in elements */
    const float *left, *right;                   /* packed */
    size_t panel;                                /* floats from one panel of right to the next */
};

/* The tiles of `panels` panels, from column col on: every row tile against them. */
static void block_panels(const struct gemm *gemm, const struct block *block, int panel, int panels) {
    int col = block->col + panel * TILE_COLS, tiles = (block->rows + TILE_ROWS - 1) / TILE_ROWS;
    int cols = smaller(panels * TILE_COLS, gemm->cols - col),
        last = block->depth_from + block->depth == gemm->depth;
    struct tile tile = {.stride = gemm->stride,
                        .panel = block->panel,
                        .right = block->right + panel * block->panel,
                        .bias = gemm->bias && last ? gemm->bias + col : NULL,
                        .depth = CELLS(block->depth)};
    const float *base = block->depth_from ? gemm->out : gemm->base;

    for (int t = 0; t < tiles; t++) {
        int row = part_start(block->rows, tiles, t), rows = part_start(block->rows, tiles, t + 1) - row;

        tile.out = gemm->out + (block->row + row) * gemm->stride + col;
        tile.base = base ? base + (block->row + row) * gemm->stride + col : NULL;
        tile.left = block->left + (size_t)row * CELLS(block->depth);
        if (cols < panels * TILE_COLS) {
            tile_at_edge(&tile, rows, cols);
        } else if (panels == 1) {
            tiles_single[rows](&tile);
        } else {
            tiles_several[rows](&tile);
        }
    }
}

static void block_run(const struct gemm *gemm, const struct block *block) {
    int tiles = (block->rows + TILE_ROWS - 1) / TILE_ROWS;
    int least = block->rows / tiles, most = (block->rows + tiles - 1) / tiles;
    int group = least == most ? panels_at_once(most) : 1, panel = 0, whole = block->cols / TILE_COLS;

    for (; panel + group <= whole; panel += group) block_panels(gemm, block, panel, group);
    for (; panel < panel_count(block->cols); panel++) block_panels(gemm, block, panel, 1);
}

static void pack_left(float *packed, const struct gemm *gemm, const struct block *block) {
    int tiles = (block->rows + TILE_ROWS - 1) / TILE_ROWS;

    for (int t = 0; t < tiles; t++) {
        int row = part_start(block->rows, tiles, t), rows = part_start(block->rows, tiles, t + 1) - row;

        pack_panel(packed + (size_t)row * CELLS(block->depth), rows, &gemm->left, block->row + row, rows,
                   block->depth_from, block->depth, gemm->ascending);
    }
}

static void pack_right(float *packed, const struct view *right, int col, int cols, int depth_from, int depth,
                       int ascending) {
    for (int p = 0; p < panel_count(cols); p++)
        pack_panel(packed + (size_t)p * CELLS(depth) * TILE_COLS, TILE_COLS, right, col + p * TILE_COLS,
                   smaller(TILE_COLS, cols - p * TILE_COLS), depth_from, depth, ascending);
}

/* All rows from `row` to `end` for a block of columns and depth whose right side is packed. */
static void run_rows(const struct gemm *gemm, struct block *block, int row, int end) {
    int blocks = (end - row + BLOCK_ROWS - 1) / BLOCK_ROWS;
    float *left = scratch_floats(SCRATCH_LEFT, (size_t)BLOCK_ROWS * CELLS(block->depth) + STRIP);

    block->left = left;
    for (int b = 0; b < blocks; b++) {
        block->row = row + part_start(end - row, blocks, b);
        block->rows = row + part_start(end - row, blocks, b + 1) - block->row;
        pack_left(left, gemm, block);
        block_run(gemm, block);
    }
}

static void run_part(const struct gemm *gemm, int row, int row_end, int col, int col_end) {
    struct block block;

    if (row == row_end) return;
    for (block.col = col; block.col < col_end; block.col += block.cols) {
        block.cols = smaller(BLOCK_COLS, col_end - block.col);
        for (block.depth_from = 0; block.depth_from < gemm->depth; block.depth_from += block.depth) {
            block.depth = smaller(PAIR * BLOCK_DEPTH, gemm->depth - block.depth_from);
            if (gemm->packed) {
                block.panel = (size_t)CELLS(gemm->packed_depth) * TILE_COLS;
                block.right = gemm->packed + block.col / TILE_COLS * block.panel +
                              (size_t)CELLS(block.depth_from) * TILE_COLS;
            } else {
                float *right = scratch_floats(
                    SCRATCH_RIGHT, (size_t)panel_count(block.cols) * TILE_COLS * CELLS(block.depth) + STRIP);

                pack_right(right, &gemm->right, block.col, block.cols, block.depth_from, block.depth,
                           gemm->ascending);
                block.panel = (size_t)CELLS(block.depth) * TILE_COLS;
                block.right = right;
            }
            run_rows(gemm, &block, row, row_end);
        }
    }
}

size_t CPU(gemm_pack_size)(int cols, int depth) {
    return (size_t)panel_count(cols) * TILE_COLS * CELLS(depth) + STRIP;
}

void CPU(gemm_pack)(float *packed, const struct view *right, int cols, int depth) {
    pack_right(packed, right, 0, cols, 0, depth, 0);
}

void CPU(gemm_serial)(const struct gemm *gemm) {
    run_part(gemm, 0, gemm->rows, 0, gemm->cols);
}

/* How many parts the rows are cut into, of `threads` parts in all: the cut that copies the least. */
static int row_parts(const struct gemm *gemm, int threads) {
    int best = 1;
    double least = INFINITY;

    for (int parts = 1; parts <= threads; parts++) {
        double left = gemm->rows / (double)parts, right = gemm->cols / (double)(threads / parts);
        double copied = left + (gemm->packed ? 0 : right);

        if (threads % parts || copied >= least) continue;
        if (parts > 1 && left < TILE_ROWS) continue;
        least = copied;
        best = parts;
    }
    return best;
}

/* Part `part` of row_parts x col_parts. */
static void run_share(const struct gemm *gemm, int part, int rows_in, int cols_in) {
    int i = part / cols_in, j = part % cols_in, panels = panel_count(gemm->cols);

    run_part(gemm, part_start(gemm->rows, rows_in, i), part_start(gemm->rows, rows_in, i + 1),
             smaller(part_start(panels, cols_in, j) * TILE_COLS, gemm->cols),
             smaller(part_start(panels, cols_in, j + 1) * TILE_COLS, gemm->cols));
}

void CPU(gemm)(const struct gemm *gemm) {
    size_t work = (size_t)gemm->rows * gemm->cols * gemm->depth;
    int threads = work < THREADED_WORK ? 1 : omp_get_max_threads(), rows_in = row_parts(gemm, threads);

    if (threads == 1) {
        CPU(gemm_serial)(gemm);
        return;
    }
#pragma omp parallel for schedule(static, 1)
    for (int part = 0; part < threads; part++) run_share(gemm, part, rows_in, threads / rows_in);
}

/* x w' + bias + base. */
static struct gemm forward(float *out, const operand *x, const float *w, const void *packed,
                           const float *bias, const float *base, int rows, int outs, int ins) {
    return (struct gemm){.out = out,
                         .stride = outs,
                         .rows = rows,
                         .cols = outs,
                         .depth = ins,
                         .base = base,
                         .left = {x, ins, 1, 0},
                         .right = {w, ins, 1, 1},
                         .packed = packed,
                         .packed_depth = ins,
                         .bias = bias};
}

void CPU(matmul)(float *out, const operand *x, const float *w, const void *packed, const float *bias,
                 const float *base, int rows, int outs, int ins) {
    struct gemm gemm = forward(out, x, w, packed, bias, base, rows, outs, ins);

    CPU(gemm)(&gemm);
}

/* Sums in single precision: the outputs themselves where these are floats. */
static float *sums_of(operand *out, size_t count) {
    return PAIR == 1 ? out : scratch_floats(SCRATCH_OUTS, count);
}

void CPU(matmul_operand)(operand *out, const operand *x, const float *w, const void *packed,
                         const float *bias, int rows, int outs, int ins) {
    size_t count = (size_t)rows * outs;
    float *sum = sums_of(out, count);

    CPU(matmul)(sum, x, w, packed, bias, NULL, rows, outs, ins);
    if (PAIR > 1) CPU(narrow)(out, sum, count);
}

void CPU(matmul_gelu)(operand *act, operand *up, const operand *x, const float *w, const void *packed,
                      const float *bias, int rows, int outs, int ins) {
    size_t count = (size_t)rows * outs;
    float *sum = sums_of(up ? up : act, count);
    element *out = act;

    CPU(matmul)(sum, x, w, packed, bias, NULL, rows, outs, ins);
    for (size_t i = 0; i < count; i++) out[i] = element_of(gelu_of(sum[i]));
    if (PAIR > 1 && up) CPU(narrow)(up, sum, count);
}

void CPU(matmul_dx)(float *dx, const operand *dy, const float *w, const void *turned, int rows, int outs,
                    int ins) {
    CPU(gemm)
    (&(struct gemm){.out = dx,
                    .stride = ins,
                    .rows = rows,
                    .cols = ins,
                    .depth = outs,
                    .left = {dy, outs, 1, 0},
                    .right = {w, 1, ins, 1},
                    .packed = turned,
                    .packed_depth = outs});
}

void CPU(matmul_dx_operand)(operand *dx, const operand *dy, const float *w, const void *turned, int rows,
                            int outs, int ins) {
    size_t count = (size_t)rows * ins;
    float *sum = sums_of(dx, count);

    CPU(matmul_dx)(sum, dy, w, turned, rows, outs, ins);
    if (PAIR > 1) CPU(narrow)(dx, sum, count);
}

void CPU(matmul_dx_gelu)(operand *dup, const operand *up, const operand *dy, const float *w,
                         const void *turned, int rows, int outs, int ins) {
    size_t count = (size_t)rows * ins;
    float *sum = sums_of(dup, count);
    const element *before = up;
    element *out = dup;

    CPU(matmul_dx)(sum, dy, w, turned, rows, outs, ins);
    for (size_t i = 0; i < count; i++) out[i] = element_of(sum[i] * gelu_slope(float_of(before[i])));
}

void CPU(matmul_dw)(float *dw, const operand *dy, const operand *x, int rows, int outs, int ins) {
    CPU(gemm)
    (&(struct gemm){.out = dw,
                    .stride = ins,
                    .rows = outs,
                    .cols = ins,
                    .depth = rows,
                    .base = dw,
                    .left = {dy, 1, outs, 0},
                    .right = {x, 1, ins, 0},
                    .ascending = 1});
}

/* Weights are the right side of products: for x, panels of rows; turned, panels of columns. */
void CPU(pack_band)(void *packed, void *turned, const element *band, int outs, int ins, int row, int rows) {
    struct view along = {band, (size_t)ins, 1, 0}, across = {band, 1, (size_t)ins, 0};

    for (int r = 0; packed && r < rows; r += TILE_COLS)
        pack_elements((float *)packed + (size_t)(row + r) * CELLS(ins), TILE_COLS, &along, r,
                      smaller(TILE_COLS, rows - r), 0, ins, 0);
    for (int c = 0; turned && c < ins; c += TILE_COLS)
        pack_elements((float *)turned + (size_t)c * CELLS(outs) + (size_t)row / PAIR * TILE_COLS, TILE_COLS,
                      &across, c, smaller(TILE_COLS, ins - c), 0, rows, 0);
}

/* A band of w as elements. */
static const element *band_of(const float *w, int ins, int row, int rows) {
    size_t count = (size_t)rows * ins;
#ifdef BF16
    element *band = (element *)scratch_floats(SCRATCH_ROUNDED, (count + 1) / 2);

    for (size_t i = 0; i < count; i++) band[i] = element_of(w[(size_t)row * ins + i]);
    return band;
#else
    (void)count;
    return w + (size_t)row * ins;
#endif
}

void CPU(pack)(void *packed, const float *w, int outs, int ins, int turned) {
#pragma omp parallel for if (worth_threads((size_t)outs * ins))
    for (int row = 0; row < outs; row += BAND) {
        int rows = smaller(BAND, outs - row);

        CPU(pack_band)
        (turned ? NULL : packed, turned ? packed : NULL, band_of(w, ins, row, rows), outs, ins, row, rows);
    }
}

size_t CPU(pack_size)(int outs, int ins, int turned) {
    return sizeof(float) * (turned ? CPU(gemm_pack_size)(ins, outs) : CPU(gemm_pack_size)(outs, ins));
}

/* dbias[o] += dy[r][o], r ascending, for the columns from … to. */
static void bias_columns(float *dbias, const element *dy, int rows, int outs, int from, int to) {
    for (int r = 0; r < rows; r++, dy += outs)
        for (int o = from; o < to; o++) dbias[o] += float_of(dy[o]);
}

void CPU(bias_backward)(float *dbias, const operand *dy, int rows, int outs) {
    const int width = 64;

#pragma omp parallel for if (worth_threads((size_t)rows * outs))
    for (int from = 0; from < outs; from += width)
        bias_columns(dbias, dy, rows, outs, from, smaller(from + width, outs));
}
