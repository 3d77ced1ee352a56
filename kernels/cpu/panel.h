/* One side of a product copied into panels one tile wide, k ascending. */
#ifndef KERNELS_CPU_PANEL_H
#define KERNELS_CPU_PANEL_H

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/tile.h"
#include "kernels/cpu/transpose.h"

#define STRIP 8 /* k per transposed block of a panel */
#define DEEP  8 /* cells of k that panels made from columns take in turn */

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

/* Cells of one k, or of two: the first of them in the upper half if ascending. */
INLINE float cell_from(element first, element second, int ascending) {
#ifdef BF16
    return float_of_bits(
        (int32_t)(ascending ? (uint32_t)first << 16 | second : (uint32_t)second << 16 | first));
#else
    (void)second;
    (void)ascending;
    return first;
#endif
}

/* The same of 16 columns. */
#if LANES == 16 && defined(BF16)
INLINE __m512i wide_elements(const element *x) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)x));
}

INLINE void sixteen_cells(float *out, const element *first, const element *second, int ascending) {
    __m512i upper = wide_elements(ascending ? first : second),
            lower = wide_elements(ascending ? second : first);

    _mm512_storeu_si512(out, _mm512_or_si512(_mm512_slli_epi32(upper, 16), lower));
}
#else
INLINE void sixteen_cells(float *out, const element *first, const element *second, int ascending) {
    for (int i = 0; i < 16; i++) out[i] = cell_from(first[i], second[i], ascending);
}
#endif

INLINE void fetch_elements(const element *x, int count) {
    for (int i = 0; i < count; i += (int)(64 / sizeof *x)) __builtin_prefetch(x + i);
}

/* A panel from columns: the elements of one k lie together. Where another k follows, in depth or after it, 16
   columns are read and written at once, of which those beyond the panel's width are overwritten. */
static void pack_along(float *panel, int width, const element *data, size_t step, int count, int depth,
                       int after, int ascending) {
    static const element zeros[TILE_COLS];
    int wide = count == width && width >= 8 && step >= 16;

    for (int k = 0; k < depth; k += PAIR, panel += width, data += PAIR * step) {
        const element *second = k + 1 < depth ? data + step : zeros;

        for (int p = 0; p < PAIR; p++) fetch_elements(data + (DEEP * PAIR + p) * step, count);
        if (wide && k + PAIR < depth + after) {
            for (int i = 0; i < width; i += 16) sixteen_cells(panel + i, data + i, second + i, ascending);
        } else {
            for (int i = 0; i < count; i++) panel[i] = cell_from(data[i], second[i], ascending);
            for (int i = count; i < width; i++) panel[i] = 0;
        }
    }
}

/* panel[k][i] = view(first + i, k + depth_from), 0 where i >= count; depths count elements, of which `after`
   more are to follow. Writes up to 8 cells beyond its end. */
static void pack_elements(float *panel, int width, const struct view *view, int first, int count,
                          int depth_from, int depth, int after, int ascending) {
    const element *data =
        (const element *)view->data + (size_t)first * view->row + (size_t)depth_from * view->step;

    if (view->step == 1)
        pack_across(panel, width, data, view->row, count, depth);
    else
        pack_along(panel, width, data, view->step, count, depth, after, ascending);
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
    pack_elements(panel, width, &narrow, 0, count, 0, depth, 0, ascending);
}
#endif

static void pack_panel(float *panel, int width, const struct view *view, int first, int count, int depth_from,
                       int depth, int after, int ascending) {
#ifdef BF16
    if (view->wide) {
        pack_wide(panel, width, view, first, count, depth_from, depth, ascending);
        return;
    }
#endif
    pack_elements(panel, width, view, first, count, depth_from, depth, after, ascending);
}

#endif
