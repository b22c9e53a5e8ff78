/* SPDX-License-Identifier: MIT */
/*
 * A template: how a family of kernels goes over its panels.  Tiles of columns
 * over a chunk of unpacked blocks, chunks over a group of panels, groups over
 * all.  It orders the work only; the sums are WALK(tile)'s.
 *
 * Included once by each family, after its WALK(tile) and with
 *	WALK(name)	the family's name for a function
 *	WALK_SHAPE, WALK_BLOCK, WALK_ACT	its structs
 *	WALK_BLOCK_N	elements a block
 *	CHUNK_BLOCKS	how many are unpacked at once
 * It undefines the WALK macros.
 */

ALWAYS_INLINE void
WALK(tiles)(const WALK_SHAPE s, const WALK_BLOCK *b, size_t n_blocks,
    const uint8_t *next, const char *act, size_t act_stride, size_t n_cols,
    float *out, size_t out_stride)
{
	size_t n;

#define CASE(n)								\
	case n:								\
		WALK(tile)(n, s, b, n_blocks, next, act, act_stride,	\
		    out, out_stride);					\
		break
	for (; n_cols > 0; n_cols -= n) {
		n = tile_cols(n_cols, TILE_COLS);
		switch (n) {
#if TILE_COLS > 6
		CASE(12);
		CASE(11);
		CASE(10);
		CASE(9);
		CASE(8);
		CASE(7);
#endif
#if TILE_COLS > 4
		CASE(6);
		CASE(5);
#endif
		CASE(4);
		CASE(3);
		CASE(2);
		CASE(1);
		}
		act += n * act_stride;
		out += n * out_stride;
		next = (const uint8_t *)b;	/* is there: once is enough */
	}
#undef CASE
}

/* Chunk by chunk over a group of panels, panel_bytes apart. */
ALWAYS_INLINE void
WALK(group)(const WALK_SHAPE s, void (*unpack)(const uint8_t *,
    WALK_BLOCK *), const uint8_t *w, size_t panel_bytes, size_t n_panels,
    const char *act, size_t n_blocks, size_t act_stride, size_t n_cols,
    float *out, size_t out_stride)
{
	_Alignas(64) WALK_BLOCK chunk[CHUNK_BLOCKS];
	size_t most = n_cols > 1 ? CHUNK_BLOCKS : 1, ahead, i, j, k, n;

	ahead = n_cols == 1 ? WEIGHTS_AHEAD : n_cols <= FEW_COLS ? FEW_AHEAD :
	    0;
	for (i = 0; i < n_blocks; i += n) {
		n = n_blocks - i < most ? n_blocks - i : most;
		for (j = 0; j < n_panels; j++) {
			const uint8_t *p = w + j * panel_bytes;

			for (k = 0; k < n; k++, p += s.block_bytes)
				unpack(p, &chunk[k]);
			WALK(tiles)(s, chunk, n, p + ahead, act, act_stride,
			    n_cols, out + j * PANEL_ROWS, out_stride);
		}
		w += n * s.block_bytes;
		act += n * sizeof(WALK_ACT);
	}
}

/* All panels; unpack(w, block) takes a block column apart. */
ALWAYS_INLINE void
WALK(panels)(const WALK_SHAPE s, void (*unpack)(const uint8_t *,
    WALK_BLOCK *), const uint8_t *w, size_t n_panels, size_t n_in,
    const char *act, size_t act_stride, size_t n_cols, float *out,
    size_t out_stride)
{
	size_t bytes = n_in / WALK_BLOCK_N * s.block_bytes, group, j;

	for (; n_panels > 0; n_panels -= group) {
		group = group_panels(n_panels, n_cols);
		for (j = 0; j < group; j++)
			clear_panel(out + j * PANEL_ROWS, out_stride, n_cols);
		WALK(group)(s, unpack, w, bytes, group, act,
		    n_in / WALK_BLOCK_N, act_stride, n_cols, out, out_stride);
		w += group * bytes;
		out += group * PANEL_ROWS;
	}
}

#undef WALK
#undef WALK_SHAPE
#undef WALK_BLOCK
#undef WALK_ACT
#undef WALK_BLOCK_N
