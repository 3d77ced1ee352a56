/* The expansion of int8 weights to panels of cells. */
#ifndef KERNELS_CPU_EXPAND_H
#define KERNELS_CPU_EXPAND_H

#include "kernels/cpu/int8.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/panel.h"

/* LANES numbers. */
INLINE vec vec_numbers(const int8_t *x) {
#if LANES == 16
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)x)));
#elif LANES == 8
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)x)));
#else
    return (vec){x[0], x[1], x[2], x[3]};
#endif
}

/* Two vectors as elements. */
INLINE void narrow_two(element *out, vec first, vec second) {
#ifdef DOT_BF16
    _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
#else
    narrow_store(out, first);
    narrow_store(out + LANES, second);
#endif
}

/* out[cells][TILE_COLS]: cells of a group, from its cell `first` on. */
INLINE void expand_group(float *out, const struct coded *group, int first, int cells) {
    float scale[TILE_COLS * PAIR];

    for (int j = 0; j < TILE_COLS * PAIR; j++) scale[j] = group->scale[j / PAIR];
    for (int k = 0; k < cells; k++, out += TILE_COLS) {
        const int8_t *number = group->number[first + k][0];

#pragma GCC unroll 2
        for (int j = 0; j < TILE_COLS * PAIR; j += 2 * LANES)
            narrow_two((element *)out + j, vec_numbers(number + j) * vec_load(scale + j),
                       vec_numbers(number + j + LANES) * vec_load(scale + j + LANES));
    }
}

INLINE void fetch_group(const struct coded *group) {
    for (size_t i = 0; i < sizeof *group; i += 64) __builtin_prefetch((const char *)group + i);
}

/* The cells of a product of x: k is along a row. ahead: how many groups later is what will be needed next, 0:
   that comes by itself. */
static void expand_along(float *out, const struct coded *group, int depth, int ahead) {
    for (int k = 0; k < depth; k += GROUP, group++, out += GROUP / PAIR * TILE_COLS) {
        if (ahead) fetch_group(group + ahead);
        expand_group(out, group, 0, smaller(GROUP, depth - k + PAIR - 1) / PAIR);
    }
}

/* The cells of a product of dy, of the TILE_COLS columns from number `within` of a group on: k is across the
   rows, so that blocks of cells are turned. next: groups from one panel to that of the next TILE_COLS rows.
   Writes whole blocks. */
static void expand_across(float *out, const struct coded *group, size_t next, int within, int depth) {
    float along[TILE_COLS / PAIR * TILE_COLS], across[TILE_COLS / PAIR * TILE_COLS + STRIP];

    for (int k = 0; k < depth; k += TILE_COLS, group += next, out += CELLS(TILE_COLS) * TILE_COLS) {
        expand_group(along, group, within / PAIR, TILE_COLS / PAIR);
        pack_across(PAIR == 1 ? out : across, TILE_COLS / PAIR, (const element *)along, TILE_COLS * PAIR,
                    TILE_COLS / PAIR, TILE_COLS * PAIR);
        if (PAIR > 1)
            pack_along(out, TILE_COLS, (const element *)across, TILE_COLS, TILE_COLS,
                       smaller(TILE_COLS, depth - k), 0, 0);
    }
}

#endif
