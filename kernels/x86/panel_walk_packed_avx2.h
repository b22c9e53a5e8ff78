/* SPDX-License-Identifier: MIT */
/*
 * A template: how a family of kernels goes over its panels.  Few columns pass
 * over the packed weights themselves.  More go in tiles over a chunk of
 * unpacked blocks, chunks over a group of panels, groups over all.  It orders
 * the work only; the sums are WALK(tile)'s.
 *
 * Included once by each family, after its WALK(tile), with
 *	WALK(name)	the family's name for a function
 *	WALK_SHAPE	its struct, which has block_bytes
 *	WALK_BLOCK_N	elements a block
 *	WALK_CHUNK	blocks unpacked at once, in WALK_CHUNK_BYTES
 *	WALK_ACT_BYTES(s)	of a block of activations
 * It undefines the WALK macros.
 */

/* n_cols columns, at most TILE_COLS. */
ALWAYS_INLINE void
WALK(columns)(const size_t n_cols, const enum source from, const WALK_SHAPE s,
    const uint8_t *w, uint8_t *to, size_t n_blocks, const char *act,
    size_t act_stride, float *out, size_t out_stride, struct ahead *ahead,
    size_t share)
{
#define CASE(n)								\
	case n:								\
		WALK(tile)(n, from, s, w, to, n_blocks, act,		\
		    act_stride, out, out_stride, ahead, share);		\
		break
	switch (n_cols) {
	CASE(4);
	CASE(3);
	}
	if (from == UNPACKING)		/* tiles are even: the first has 3 */
		return;
	switch (n_cols) {
	CASE(2);
	CASE(1);
	}
#undef CASE
}

/*
 * More than one tile of columns over a chunk of blocks.  All ask for as much
 * of the weights to come, since only so many lines can be under way.
 */
ALWAYS_INLINE void
WALK(tiles)(const WALK_SHAPE s, const uint8_t *w, uint8_t *chunk,
    size_t n_blocks, const char *act, size_t act_stride, size_t n_cols,
    float *out, size_t out_stride)
{
	size_t n = tile_cols(n_cols, TILE_COLS);
	size_t tiles = (n_cols + TILE_COLS - 1) / TILE_COLS;
	size_t share = (s.block_bytes + tiles - 1) / tiles;
	struct ahead ahead = ahead_of(w);

	WALK(columns)(n, UNPACKING, s, w, chunk, n_blocks, act, act_stride,
	    out, out_stride, &ahead, share);
	while ((n_cols -= n) > 0) {
		act += n * act_stride;
		out += n * out_stride;
		n = tile_cols(n_cols, TILE_COLS);
		WALK(columns)(n, UNPACKED, s, w, chunk, n_blocks, act,
		    act_stride, out, out_stride, &ahead, share);
	}
}

/* Chunk by chunk over a group of panels, panel_bytes apart. */
ALWAYS_INLINE void
WALK(group)(const WALK_SHAPE s, const uint8_t *w, uint8_t *chunk,
    size_t panel_bytes, size_t n_panels, const char *act, size_t n_blocks,
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)
{
	size_t i, j, n;

	for (i = 0; i < n_blocks; i += n) {
		n = n_blocks - i < WALK_CHUNK ? n_blocks - i : WALK_CHUNK;
		for (j = 0; j < n_panels; j++)
			WALK(tiles)(s, w + j * panel_bytes, chunk, n, act,
			    act_stride, n_cols, out + j * PANEL_ROWS,
			    out_stride);
		w += n * s.block_bytes;
		act += n * WALK_ACT_BYTES(s);
	}
}

/* All panels. */
ALWAYS_INLINE void
WALK(panels)(const WALK_SHAPE s, const uint8_t *w, size_t n_panels,
    size_t n_in, const char *act, size_t act_stride, size_t n_cols,
    float *out, size_t out_stride)
{
	_Alignas(64) uint8_t chunk[WALK_CHUNK_BYTES];
	size_t n_blocks = n_in / WALK_BLOCK_N, group, j;

	for (; n_panels > 0; n_panels -= group) {
		group = group_panels(n_panels, n_cols);
		for (j = 0; j < group; j++)
			clear_panel(out + j * PANEL_ROWS, out_stride, n_cols);
		if (n_cols <= TILE_COLS)
			WALK(columns)(n_cols, PACKED, s, w, chunk, n_blocks,
			    act, act_stride, out, out_stride, NULL, 0);
		else
			WALK(group)(s, w, chunk, n_blocks * s.block_bytes,
			    group, act, n_blocks, act_stride, n_cols, out,
			    out_stride);
		w += group * n_blocks * s.block_bytes;
		out += group * PANEL_ROWS;
	}
}

#undef WALK
#undef WALK_SHAPE
#undef WALK_BLOCK_N
#undef WALK_CHUNK
#undef WALK_CHUNK_BYTES
#undef WALK_ACT_BYTES
