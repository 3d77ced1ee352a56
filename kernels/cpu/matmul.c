#include "kernels/cpu/expand.h"
#include "kernels/cpu/gelu.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/panel.h"
#include "kernels/cpu/philox.h"
#include "kernels/cpu/tile.h"

#include <omp.h>

/* Blocks of the left and the right matrix are copied into panels one tile wide, k ascending: rows x depth of
   the left so that they stay in the second cache, columns x depth of the right, unless they are packed
   already, in the third. In cells. */
#define LEFT_CELLS    (86 << 10)
#define RIGHT_CELLS   (2 << 20)
#define DEPTH_MOST    1024
#define STRIP_CELLS   32 /* k of int8 weights that are expanded into the first cache, of one panel twice */
#define FEW_ROWS      64 /* for which multiply-adds take no longer than reading the right side from memory */
#define THREADED_WORK ((size_t)1 << 18) /* multiply-adds worth a second thread */

INLINE int panel_count(int cols) {
    return (cols + TILE_COLS - 1) / TILE_COLS;
}

INLINE int tile_count(int rows) {
    return (rows + TILE_ROWS - 1) / TILE_ROWS;
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

static int is_last(const struct gemm *gemm, const struct block *block) {
    return block->depth_from + block->depth == gemm->depth;
}

/* Whether tiles read left as it lies: its cells together, and its rows not at the same place of a page, which
   would make them displace one another in the first cache. */
static int is_apart(const struct gemm *gemm, const struct block *block) {
    return APART && gemm->left.step == 1 && block->rows >= TILE_ROWS && block->depth % (STEPS * PAIR) == 0 &&
           gemm->left.row * sizeof(element) % 4096 != 0;
}

/* A tile that reaches over the right edge of out, or whose sums are to be finished, is made beside it. */
static void tile_aside(const struct gemm *gemm, const struct tile *tile, int panels, struct patch patch) {
    float sums[2 * TILE_ROWS * TILE_COLS], bias[4 * TILE_COLS];
    struct tile whole = *tile;
    int width = panels * TILE_COLS, bytes = patch.cols * (int)sizeof(float);

    if (patch.cols < width) memset(sums, 0, (size_t)patch.rows * width * sizeof *sums);
    for (int i = 0; i < patch.rows && tile->base; i++)
        memcpy(sums + i * width, tile->base + i * tile->stride, bytes);
    if (tile->bias && patch.cols < width) {
        memset(bias, 0, width * sizeof *bias);
        whole.bias = memcpy(bias, tile->bias, bytes);
    }
    whole.out = sums;
    whole.base = tile->base ? sums : NULL;
    whole.stride = width;
    tile_any(&whole, patch.rows, panels);
    patch.sums = sums;
    patch.stride = width;
    if (gemm->finish) {
        gemm->finish(gemm, &patch);
        return;
    }
    for (int i = 0; i < patch.rows; i++) memcpy(tile->out + i * tile->stride, sums + i * width, bytes);
}

/* What a tile at that row and column of out has to fetch: the next tile down, or what finishing reads. */
static const char *next_memory(const struct gemm *gemm, int row, int rows, int col) {
    int below = row + 2 * rows <= gemm->rows ? row + rows : row;

    if (gemm->finish)
        return (const char *)((const element *)(gemm->before ? gemm->before : gemm->result) +
                              row * gemm->stride + col);
    return (const char *)(gemm->out + below * gemm->stride + col);
}

/* The tiles of `panels` panels: every row tile against them. */
static void block_panels(const struct gemm *gemm, const struct block *block, int panel, int panels) {
    int col = block->col + panel * TILE_COLS, tiles = tile_count(block->rows);
    int cols = smaller(panels * TILE_COLS, gemm->cols - col);
    struct tile tile = {.stride = gemm->stride,
                        .panel = block->panel,
                        .right = block->right + panel * block->panel,
                        .bias = gemm->bias && is_last(gemm, block) ? gemm->bias + col : NULL,
                        .depth = CELLS(block->depth),
                        .streams = block->rows <= FEW_ROWS,
                        .apart = is_apart(gemm, block) ? gemm->left.row * sizeof(element) : 0,
                        .fetch_stride = gemm->stride * (gemm->finish ? sizeof(element) : sizeof(float))};
    const float *base = block->depth_from ? gemm->out : gemm->base;

    for (int t = 0; t < tiles; t++) {
        int from = part_start(block->rows, tiles, t), rows = part_start(block->rows, tiles, t + 1) - from;
        int row = block->row + from;

        tile.out = gemm->finish ? NULL : gemm->out + row * gemm->stride + col;
        tile.base = base ? base + row * gemm->stride + col : NULL;
        if (tile.apart)
            tile.left = (const element *)gemm->left.data + row * gemm->left.row + block->depth_from;
        else
            tile.left = block->left + (size_t)from * CELLS(block->depth);
        tile.fetch = next_memory(gemm, row, rows, col);
        if (gemm->finish || cols < panels * TILE_COLS)
            tile_aside(gemm, &tile, panels,
                       (struct patch){.row = row, .rows = rows, .col = col, .cols = cols});
        else
            tile_any(&tile, rows, panels);
    }
}

/* Whether int8 weights are expanded strip by strip as they are multiplied, and not before. */
static int expands_late(const struct gemm *gemm) {
    return gemm->coded && gemm->rows <= FEW_ROWS;
}

/* Floats of a panel of int8 weights that is expanded. */
static size_t expanded_size(int depth) {
    return (size_t)group_count(depth) * GROUP / PAIR * TILE_COLS;
}

/* int8 weights as cells: `depth` of k from `k`, a multiple of GROUP, on, of `panels` panels from that of
   column `col` on. */
static const float *expand(const struct gemm *gemm, int col, int panels, int k, int depth) {
    int groups = group_count(gemm->across ? gemm->cols : gemm->depth), strip = group_count(depth);
    int next = k / GROUP + strip < groups ? strip : strip + (panels - 1) * groups;
    float *out = scratch_floats(SCRATCH_RIGHT, panels * expanded_size(depth) + STRIP), *panel = out;
    const struct coded *coded = gemm->coded;

    for (int end = col + panels * TILE_COLS; col < end; col += TILE_COLS, panel += expanded_size(depth))
        if (gemm->across)
            expand_across(panel, coded + (size_t)(k / TILE_COLS) * groups + col / GROUP, (size_t)groups,
                          col % GROUP, depth);
        else
            expand_along(panel, coded + (size_t)(col / TILE_COLS) * groups + k / GROUP, depth,
                         expands_late(gemm) ? next : 0);
    return out;
}

/* What the sums of `cols` columns start from, [rows][width]. */
static float *start_sums(const struct gemm *gemm, const struct block *block, int col, int cols, int width) {
    const float *base = block->depth_from ? gemm->out : gemm->base;
    float *sums = scratch_floats(SCRATCH_SUMS, (size_t)block->rows * width);

    memset(sums, 0, (size_t)block->rows * width * sizeof *sums);
    for (int i = 0; i < block->rows && base; i++)
        memcpy(sums + (size_t)i * width, base + (block->row + i) * gemm->stride + col, cols * sizeof *sums);
    return sums;
}

static void end_sums(const struct gemm *gemm, const struct block *block, float *sums, int col, int cols,
                     int width) {
    const float *bias = gemm->bias && is_last(gemm, block) ? gemm->bias + col : NULL;
    struct patch patch = {sums, (size_t)width, block->row, block->rows, col, cols};

    for (int i = 0; i < block->rows && bias; i++)
        for (int j = 0; j < cols; j++) sums[(size_t)i * width + j] += bias[j];
    for (int i = 0; i < block->rows && !gemm->finish; i++)
        memcpy(gemm->out + (block->row + i) * gemm->stride + col, sums + (size_t)i * width,
               cols * sizeof *sums);
    if (gemm->finish) gemm->finish(gemm, &patch);
}

/* Every row tile against `depth` of k from `k` of the block on, onto sums. */
static void strip_tiles(const struct gemm *gemm, const struct block *block, struct tile *tile, float *sums,
                        int panels, int k) {
    int tiles = tile_count(block->rows);

    for (int t = 0; t < tiles; t++) {
        int from = part_start(block->rows, tiles, t), rows = part_start(block->rows, tiles, t + 1) - from;

        tile->out = sums + from * tile->stride;
        tile->base = tile->out;
        tile->fetch = (const char *)tile->out;
        if (tile->apart)
            tile->left = (const element *)gemm->left.data + (block->row + from) * gemm->left.row +
                         block->depth_from + k;
        else
            tile->left = block->left + (size_t)from * CELLS(block->depth) + (size_t)rows * (k / PAIR);
        tile_any(tile, rows, panels);
    }
}

/* The tiles of panels of int8 weights: strip after strip is expanded and multiplied, and the sums wait. */
static void block_coded(const struct gemm *gemm, const struct block *block, int panel, int panels) {
    int width = panels * TILE_COLS, col = block->col + panel * TILE_COLS;
    int cols = smaller(width, gemm->cols - col), strip = (panels > 1 ? 1 : 2) * STRIP_CELLS * PAIR;
    float *sums = start_sums(gemm, block, col, cols, width);
    struct tile tile = {.stride = (size_t)width,
                        .apart = is_apart(gemm, block) ? gemm->left.row * sizeof(element) : 0,
                        .fetch_stride = width * sizeof *sums};

    for (int k = 0; k < block->depth; k += strip) {
        int depth = smaller(strip, block->depth - k);

        tile.depth = CELLS(depth);
        tile.panel = expanded_size(depth);
        tile.right = expand(gemm, col, panels, block->depth_from + k, depth);
        strip_tiles(gemm, block, &tile, sums, panels, k);
    }
    end_sums(gemm, block, sums, col, cols, width);
}

static void block_run(const struct gemm *gemm, const struct block *block) {
    void (*const run)(const struct gemm *, const struct block *, int, int) =
        expands_late(gemm) ? block_coded : block_panels;
    int tiles = tile_count(block->rows);
    int least = block->rows / tiles, most = (block->rows + tiles - 1) / tiles;
    int group = least == most ? panels_at_once(most) : 1, panel = 0, whole = block->cols / TILE_COLS;

    for (; panel + group <= whole; panel += group) run(gemm, block, panel, group);
    for (; panel < panel_count(block->cols); panel++) run(gemm, block, panel, 1);
}

/* Elements of k that all panels of a side take in turn, so that lines of its rows are read together. */
static int turn_of(const struct view *view, int depth) {
    return view->step == 1 ? depth : smaller(DEEP * PAIR, depth);
}

static void pack_left(float *packed, const struct gemm *gemm, const struct block *block) {
    int tiles = tile_count(block->rows), turn = turn_of(&gemm->left, block->depth);

    for (int k = 0; k < block->depth; k += turn)
        for (int t = 0; t < tiles; t++) {
            int row = part_start(block->rows, tiles, t), rows = part_start(block->rows, tiles, t + 1) - row;
            int count = smaller(turn, block->depth - k);

            pack_panel(packed + (size_t)row * CELLS(block->depth) + (size_t)CELLS(k) * rows, rows,
                       &gemm->left, block->row + row, rows, block->depth_from + k, count,
                       block->depth - k - count, gemm->ascending);
        }
}

static void pack_right(float *packed, const struct view *right, int col, int cols, int depth_from, int depth,
                       int ascending) {
    int turn = turn_of(right, depth);

    for (int k = 0; k < depth; k += turn)
        for (int p = 0; p < panel_count(cols); p++) {
            int count = smaller(turn, depth - k);

            pack_panel(packed + ((size_t)p * CELLS(depth) + CELLS(k)) * TILE_COLS, TILE_COLS, right,
                       col + p * TILE_COLS, smaller(TILE_COLS, cols - p * TILE_COLS), depth_from + k, count,
                       depth - k - count, ascending);
        }
}

/* All rows from `row` to `end` for a block of columns and depth whose right side is packed. */
static void run_rows(const struct gemm *gemm, struct block *block, int row, int end) {
    int fit = LEFT_CELLS / CELLS(block->depth) / TILE_ROWS, most = fit > 1 ? fit : 1;
    int blocks = (tile_count(end - row) + most - 1) / most, rows = (end - row + blocks - 1) / blocks;
    float *left = scratch_floats(SCRATCH_LEFT, (size_t)rows * CELLS(block->depth) + STRIP);

    block->left = left;
    for (int b = 0; b < blocks; b++) {
        block->row = row + part_start(end - row, blocks, b);
        block->rows = row + part_start(end - row, blocks, b + 1) - block->row;
        if (!is_apart(gemm, block)) pack_left(left, gemm, block);
        block_run(gemm, block);
    }
}

/* The right side of a block: where it was packed, or packed or expanded now, or later. */
static void set_right(const struct gemm *gemm, struct block *block) {
    float *right;

    if (expands_late(gemm)) return;
    if (gemm->coded) {
        block->panel = expanded_size(block->depth);
        block->right = expand(gemm, block->col, panel_count(block->cols), block->depth_from, block->depth);
        return;
    }
    if (gemm->packed) {
        block->panel = (size_t)CELLS(gemm->depth) * TILE_COLS;
        block->right = gemm->packed + block->col / TILE_COLS * block->panel +
                       (size_t)CELLS(block->depth_from) * TILE_COLS;
        return;
    }
    block->panel = (size_t)CELLS(block->depth) * TILE_COLS;
    right = scratch_floats(SCRATCH_RIGHT, panel_count(block->cols) * block->panel + STRIP);
    pack_right(right, &gemm->right, block->col, block->cols, block->depth_from, block->depth,
               gemm->ascending);
    block->right = right;
}

static int is_laid_out(const struct gemm *gemm) {
    return gemm->packed || expands_late(gemm);
}

/* How deep a block is at most: sums that are finished are so at once, and others fill nearly equal blocks. */
static int depth_of(const struct gemm *gemm) {
    int cells = CELLS(gemm->depth), most = is_laid_out(gemm) ? DEPTH_MOST : DEPTH_MOST / 2;
    int blocks = gemm->finish ? 1 : (cells + most - 1) / most, unit = gemm->coded ? GROUP / PAIR : STRIP;

    if (!cells) return 1;
    cells = (cells + blocks - 1) / blocks;
    return (cells + unit - 1) / unit * unit * PAIR;
}

static int cols_of(const struct gemm *gemm, int depth, int cols) {
    int fit = RIGHT_CELLS / CELLS(depth) / TILE_COLS, most = fit > 1 ? fit : 1, panels = panel_count(cols);
    int blocks = is_laid_out(gemm) ? 1 : (panels + most - 1) / most;

    return (panels + blocks - 1) / blocks * TILE_COLS;
}

static void run_part(const struct gemm *gemm, int row, int row_end, int col, int col_end) {
    int depth = depth_of(gemm), cols;
    struct block block;

    if (row == row_end || col == col_end) return;
    cols = cols_of(gemm, depth, col_end - col);
    for (block.col = col; block.col < col_end; block.col += block.cols) {
        block.cols = smaller(cols, col_end - block.col);
        for (block.depth_from = 0; block.depth_from < gemm->depth; block.depth_from += block.depth) {
            block.depth = smaller(depth, gemm->depth - block.depth_from);
            set_right(gemm, &block);
            run_rows(gemm, &block, row, row_end);
        }
    }
}

/* In cells. */
static size_t packed_size(int cols, int depth) {
    return (size_t)panel_count(cols) * TILE_COLS * CELLS(depth) + STRIP;
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
        run_part(gemm, 0, gemm->rows, 0, gemm->cols);
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
                         .packed = w ? packed : NULL,
                         .coded = w ? NULL : packed,
                         .bias = bias};
}

void CPU(matmul)(float *out, const operand *x, const float *w, const void *packed, const float *bias,
                 const float *base, int rows, int outs, int ins) {
    struct gemm gemm = forward(out, x, w, packed, bias, base, rows, outs, ins);

    CPU(gemm)(&gemm);
}

/* Row i of a patch, and where its first element is in an array of result's shape. */
INLINE const float *patch_row(const struct patch *patch, int i) {
    return patch->sums + i * patch->stride;
}

INLINE size_t patch_at(const struct gemm *gemm, const struct patch *patch, int i) {
    return (size_t)(patch->row + i) * gemm->stride + patch->col;
}

static void finish_operand(const struct gemm *gemm, const struct patch *patch) {
    for (int i = 0; i < patch->rows; i++) {
        element *out = (element *)gemm->result + patch_at(gemm, patch, i);
        const float *sum = patch_row(patch, i);

        for (int j = 0; j < patch->cols; j++) out[j] = element_of(sum[j]);
    }
}

static void gelu_row(element *act, element *up, const float *sum, int count) {
    int j = 0;

    for (; j + LANES <= count; j += LANES) {
        vec x = vec_load(sum + j);

        narrow_store(act + j, vec_gelu(x));
        if (up) narrow_store(up + j, x);
    }
    for (; j < count; j++) {
        float x = sum[j];

        act[j] = element_of(gelu_of(x));
        if (up) up[j] = element_of(x);
    }
}

static void finish_gelu(const struct gemm *gemm, const struct patch *patch) {
    for (int i = 0; i < patch->rows; i++) {
        size_t at = patch_at(gemm, patch, i);

        gelu_row((element *)gemm->result + at, gemm->kept ? (element *)gemm->kept + at : NULL,
                 patch_row(patch, i), patch->cols);
    }
}

static void slope_row(element *out, const element *before, const float *sum, int count) {
    int j = 0;

    for (; j + LANES <= count; j += LANES)
        narrow_store(out + j, vec_load(sum + j) * vec_gelu_slope(wide_load(before + j)));
    for (; j < count; j++) out[j] = element_of(sum[j] * gelu_slope(float_of(before[j])));
}

static void finish_slope(const struct gemm *gemm, const struct patch *patch) {
    for (int i = 0; i < patch->rows; i++) {
        size_t at = patch_at(gemm, patch, i);

        slope_row((element *)gemm->result + at, (const element *)gemm->before + at, patch_row(patch, i),
                  patch->cols);
    }
}

/* The product itself where an operand is a float. */
static void run_operand(struct gemm *gemm, operand *out) {
    if (PAIR == 1) {
        gemm->out = out;
    } else {
        gemm->result = out;
        gemm->finish = finish_operand;
    }
    CPU(gemm)(gemm);
}

void CPU(matmul_operand)(operand *out, const operand *x, const float *w, const void *packed,
                         const float *bias, const float *base, int rows, int outs, int ins) {
    struct gemm gemm = forward(NULL, x, w, packed, bias, base, rows, outs, ins);

    run_operand(&gemm, out);
}

void CPU(matmul_gelu)(operand *act, operand *up, const operand *x, const float *w, const void *packed,
                      const float *bias, const float *base, int rows, int outs, int ins) {
    struct gemm gemm = forward(NULL, x, w, packed, bias, base, rows, outs, ins);

    gemm.result = act;
    gemm.kept = up;
    gemm.finish = finish_gelu;
    CPU(gemm)(&gemm);
}

/* base + dy w */
static struct gemm backward(float *dx, const operand *dy, const float *w, const void *turned,
                            const float *base, int rows, int outs, int ins) {
    return (struct gemm){.out = dx,
                         .stride = ins,
                         .rows = rows,
                         .cols = ins,
                         .depth = outs,
                         .base = base,
                         .left = {dy, outs, 1, 0},
                         .right = {w, 1, ins, 1},
                         .packed = w ? turned : NULL,
                         .coded = w ? NULL : turned,
                         .across = 1};
}

void CPU(matmul_dx)(float *dx, const operand *dy, const float *w, const void *turned, const float *base,
                    int rows, int outs, int ins) {
    struct gemm gemm = backward(dx, dy, w, turned, base, rows, outs, ins);

    CPU(gemm)(&gemm);
}

void CPU(matmul_dx_operand)(operand *dx, const operand *dy, const float *w, const void *turned,
                            const float *base, int rows, int outs, int ins) {
    struct gemm gemm = backward(NULL, dy, w, turned, base, rows, outs, ins);

    run_operand(&gemm, dx);
}

void CPU(matmul_dx_gelu)(operand *dup, const operand *up, const operand *dy, const float *w,
                         const void *turned, const float *base, int rows, int outs, int ins) {
    struct gemm gemm = backward(NULL, dy, w, turned, base, rows, outs, ins);

    gemm.result = dup;
    gemm.before = up;
    gemm.finish = finish_slope;
    CPU(gemm)(&gemm);
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
                      smaller(TILE_COLS, rows - r), 0, ins, 0, 0);
    for (int c = 0; turned && c < ins; c += TILE_COLS)
        pack_elements((float *)turned + (size_t)c * CELLS(outs) + (size_t)row / PAIR * TILE_COLS, TILE_COLS,
                      &across, c, smaller(TILE_COLS, ins - c), 0, rows, 0, 0);
}

#ifdef BF16
static void round_by_chance(element *out, const float *w, uint64_t key, int row, int ins) {
    const int halves[] = {(int)(uint32_t)key, (int)(uint32_t)(key >> 32)};
    uint32_t number[DRAWN];

    for (int from = 0; from < ins; from += DRAWN) {
        int count = smaller(DRAWN, ins - from);

        philox_draw(number, halves, row, from);
        for (int i = 0; i < count; i++) out[from + i] = element_by_chance(w[from + i], number[i]);
    }
}
#endif

/* A band of w as elements. */
static const element *band_of(const float *w, uint64_t key, int ins, int row, int rows) {
    const float *from = w + (size_t)row * ins;
#ifdef BF16
    size_t count = (size_t)rows * ins;
    element *band = (element *)scratch_floats(SCRATCH_ROUNDED, (count + 1) / 2);

    for (size_t i = 0; i < count && !key; i++) band[i] = element_of(from[i]);
    for (int r = 0; r < rows && key; r++)
        round_by_chance(band + (size_t)r * ins, from + (size_t)r * ins, key, row + r, ins);
    return band;
#else
    (void)key, (void)rows;
    return from;
#endif
}

void CPU(pack)(void *packed, const float *w, uint64_t key, int outs, int ins, int turned) {
#pragma omp parallel for if (worth_threads((size_t)outs * ins))
    for (int row = 0; row < outs; row += BAND) {
        int rows = smaller(BAND, outs - row);
        const element *band = band_of(w, key, ins, row, rows);

        CPU(pack_band)(turned ? NULL : packed, turned ? packed : NULL, band, outs, ins, row, rows);
    }
}

/* Floats are in the order that products of dy read already: copying them costs less than a layout's memory.
 */
size_t CPU(pack_size)(int outs, int ins, int turned) {
    if (turned) return PAIR == 1 ? 0 : sizeof(float) * packed_size(ins, outs);
    return sizeof(float) * packed_size(outs, ins);
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
