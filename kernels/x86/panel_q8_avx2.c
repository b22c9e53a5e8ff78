/* SPDX-License-Identifier: MIT */
/*
 * Panels of types with blocks of 32 and quants of up to 5 bits: some block
 * columns are unpacked into the near cache, one byte a quant, then every tile
 * of columns passes over them.  The float sums live in `out` between blocks.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/panel_avx2.h"

#define CHUNK_BLOCKS	16

/* A block column of 16 rows, unpacked. */
struct block_u8 {
	uint8_t	 q[8][64];
	float	 d[16];
	float	 m[16];		/* of types that have it: x = d q + m */
};

/* What a type needs besides its scales. */
struct shape_u8 {
	int	 offset;	/* subtracted from the quants */
	bool	 add_back;	/* only to keep sums small: undone after */
	bool	 has_min;
	size_t	 block_bytes;	/* of a block column */
};

ALWAYS_INLINE void
add_min(const float *m, const float *act_dsum, float *out)
{
	_mm256_storeu_ps(out, _mm256_fmadd_ps(_mm256_load_ps(m),
	    _mm256_broadcast_ss(act_dsum), _mm256_loadu_ps(out)));
}

ALWAYS_INLINE __m256i
start_of(const struct act_q8 *a, const int offset)
{
	if (offset == 0)
		return _mm256_setzero_si256();
	return _mm256_mullo_epi16(broadcast_32(a->pair),
	    _mm256_set1_epi16((int16_t)-offset));
}

#define QUAD_COLUMN(k, a, lo, hi) do {					\
	__m256i x = broadcast_32((a)->q + 4 * (k));			\
									\
	lo = mac_u8(lo, w0, x);						\
	hi = mac_u8(hi, w1, x);						\
} while (0)

#define QUAD(k) do {							\
	__m256i w0 = load_32(b->q[k]), w1 = load_32(b->q[k] + 32);	\
									\
	QUAD_COLUMN(k, a0, lo0, hi0);					\
	if (n > 1)							\
		QUAD_COLUMN(k, a1, lo1, hi1);				\
	if (n > 2)							\
		QUAD_COLUMN(k, a2, lo2, hi2);				\
	if (n > 3)							\
		QUAD_COLUMN(k, a3, lo3, hi3);				\
} while (0)

#define FINISH(i) do {							\
	__m256 act_d = _mm256_broadcast_ss(&a##i->d);			\
	float *to = out + i * out_stride;				\
	__m256i lo = _mm256_madd_epi16(lo##i, ones);			\
	__m256i hi = _mm256_madd_epi16(hi##i, ones);			\
									\
	if (s.add_back) {						\
		__m256i back = _mm256_mullo_epi32(			\
		    broadcast_32(&a##i->sum), _mm256_set1_epi32(s.offset)); \
									\
		lo = _mm256_add_epi32(lo, back);			\
		hi = _mm256_add_epi32(hi, back);			\
	}								\
	finish_32(lo, d0, act_d, to);					\
	finish_32(hi, d1, act_d, to + 8);				\
	if (s.has_min) {						\
		add_min(b->m, &a##i->dsum, to);				\
		add_min(b->m + 8, &a##i->dsum, to + 8);			\
	}								\
} while (0)

/* n columns (a constant, 1..4) times n_blocks block columns, asking for the
 * weights at next meanwhile. */
ALWAYS_INLINE void
tile_u8(const int n, const struct shape_u8 s, const struct block_u8 *b,
    size_t n_blocks, const uint8_t *next, const char *act, size_t act_stride,
    float *out, size_t out_stride)
{
	const struct act_q8 *a0 = (const void *)act;
	const struct act_q8 *a1 = (const void *)(act + act_stride);
	const struct act_q8 *a2 = (const void *)(act + 2 * act_stride);
	const struct act_q8 *a3 = (const void *)(act + 3 * act_stride);
	const __m256i ones = _mm256_set1_epi16(1);
	size_t i;

	for (i = 0; i < n_blocks; i++, b++) {
		__m256i lo0, hi0, lo1, hi1, lo2, hi2, lo3, hi3;
		__m256 d0 = _mm256_load_ps(b->d), d1 = _mm256_load_ps(b->d + 8);

		prefetch_columns(a0, act_stride, n);
		prefetch(next, s.block_bytes);
		next += s.block_bytes;
		lo0 = hi0 = start_of(a0, s.offset);
		if (n > 1)
			lo1 = hi1 = start_of(a1, s.offset);
		if (n > 2)
			lo2 = hi2 = start_of(a2, s.offset);
		if (n > 3)
			lo3 = hi3 = start_of(a3, s.offset);
		QUAD(0);
		QUAD(1);
		QUAD(2);
		QUAD(3);
		QUAD(4);
		QUAD(5);
		QUAD(6);
		QUAD(7);
		FINISH(0);
		if (n > 1)
			FINISH(1);
		if (n > 2)
			FINISH(2);
		if (n > 3)
			FINISH(3);
		a0++;
		a1++;
		a2++;
		a3++;
	}
}

#define WALK(name)	name##_u8
#define WALK_SHAPE	struct shape_u8
#define WALK_BLOCK	struct block_u8
#define WALK_ACT	struct act_q8
#define WALK_BLOCK_N	32
#include "kernels/x86/panel_walk_avx2.h"

ALWAYS_INLINE void
unpack_nibbles(const uint8_t *w, struct block_u8 *b)
{
	size_t k;

	for (k = 0; k < 4; k++)
		split_nibbles(w + 64 * k, b->q[k], b->q[k + 4]);
}

ALWAYS_INLINE void
unpack_q4_0_many(const uint8_t *w, struct block_u8 *b)
{
	unpack_nibbles(w, b);
	store_scales(w + 256, b->d);
}

ALWAYS_INLINE void
unpack_q4_1(const uint8_t *w, struct block_u8 *b)
{
	unpack_q4_0_many(w, b);
	store_scales(w + 288, b->m);
}

/* Put bit i of a row's dword at p into bit 4 of its element i, 8 rows. */
ALWAYS_INLINE void
add_fifth_bits(const uint8_t *p, struct block_u8 *b, size_t at)
{
	const __m256i bit4 = _mm256_set1_epi8(16);
	__m256i v = load_32(p + at), pick, bit, mask;
	size_t k;

	pick = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
	for (k = 0; k < 8; k++) {
		bit = _mm256_set1_epi32(k % 2 == 0 ? 0x08040201 :
		    (int32_t)0x80402010);
		mask = _mm256_cmpeq_epi8(_mm256_and_si256(
		    _mm256_shuffle_epi8(v, pick), bit), bit);
		store_32(b->q[k] + at, _mm256_or_si256(load_32(b->q[k] + at),
		    _mm256_and_si256(mask, bit4)));
		if (k % 2 == 1)
			v = _mm256_srli_epi32(v, 8);
	}
}

ALWAYS_INLINE void
unpack_q5_0(const uint8_t *w, struct block_u8 *b)
{
	unpack_nibbles(w, b);
	add_fifth_bits(w + 256, b, 0);
	add_fifth_bits(w + 256, b, 32);
	store_scales(w + 320, b->d);
}

ALWAYS_INLINE void
unpack_q5_1(const uint8_t *w, struct block_u8 *b)
{
	unpack_q5_0(w, b);
	store_scales(w + 352, b->m);
}

/* Values are stored 12 more than they are. */
ALWAYS_INLINE void
unpack_mxfp4(const uint8_t *w, struct block_u8 *b)
{
	const __m256i values = _mm256_broadcastsi128_si256(_mm_setr_epi8(
	    12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
	const __m256i low4 = _mm256_set1_epi8(15);
	size_t k, at;

	for (k = 0; k < 4; k++)
		for (at = 0; at < 64; at += 32) {
			__m256i v = load_32(w + 64 * k + at);

			store_32(b->q[k] + at, _mm256_shuffle_epi8(values,
			    _mm256_and_si256(v, low4)));
			store_32(b->q[k + 4] + at, _mm256_shuffle_epi8(values,
			    _mm256_and_si256(_mm256_srli_epi16(v, 4), low4)));
		}
	_mm256_store_ps(b->d, scales_e8m0(w + 256));
	_mm256_store_ps(b->d + 8, scales_e8m0(w + 264));
}

#define PANEL_KERNEL(name, ...)						\
static void								\
panel_##name(const void *w, size_t n_panels, size_t n_in,		\
    const void *act, size_t act_stride, size_t n_cols, float *out,	\
    size_t out_stride)							\
{									\
	const struct shape_u8 s = { __VA_ARGS__ };			\
									\
	panels_u8(s, unpack_##name, w, n_panels, n_in, act, act_stride,	\
	    n_cols, out, out_stride);					\
}
PANEL_KERNEL(q4_0_many, 8, false, false, 288)
PANEL_KERNEL(q4_1, 0, false, true, 320)
PANEL_KERNEL(q5_0, 16, false, false, 352)
PANEL_KERNEL(q5_1, 16, true, true, 384)
PANEL_KERNEL(mxfp4, 12, false, false, 272)
#undef PANEL_KERNEL

/*
 * One column, where decoding spends its time: quants go straight from memory
 * to products.  Low and high nibbles have chains of their own.
 */
static void
panel_q4_0_one(const uint8_t *w, size_t n_panels, size_t n_in,
    const struct act_q8 *act, float *out)
{
	const __m256i ones = _mm256_set1_epi16(1), low4 = _mm256_set1_epi8(15);
	const struct act_q8 *a, *end = act + n_in / 32;
	size_t k;

	for (; n_panels > 0; n_panels--, out += PANEL_ROWS) {
		__m256 acc0 = _mm256_setzero_ps(), acc1 = acc0;

		for (a = act; a < end; a++, w += 288) {
			__m256i lo0 = start_of(a, 8), lo1 = lo0;
			__m256i hi0 = _mm256_setzero_si256(), hi1 = hi0;
			__m256 act_d = _mm256_broadcast_ss(&a->d);

			prefetch_ahead(w, 288);
			for (k = 0; k < 4; k++) {
				__m256i w0 = load_32(w + 64 * k);
				__m256i w1 = load_32(w + 64 * k + 32);
				__m256i x = broadcast_32(a->q + 4 * k);

				lo0 = mac_u8(lo0, _mm256_and_si256(w0, low4),
				    x);
				lo1 = mac_u8(lo1, _mm256_and_si256(w1, low4),
				    x);
				x = broadcast_32(a->q + 16 + 4 * k);
				w0 = _mm256_srli_epi16(w0, 4);
				w1 = _mm256_srli_epi16(w1, 4);
				hi0 = mac_u8(hi0, _mm256_and_si256(w0, low4),
				    x);
				hi1 = mac_u8(hi1, _mm256_and_si256(w1, low4),
				    x);
			}
			lo0 = _mm256_madd_epi16(ones,
			    _mm256_add_epi16(lo0, hi0));
			lo1 = _mm256_madd_epi16(ones,
			    _mm256_add_epi16(lo1, hi1));
			acc0 = _mm256_fmadd_ps(_mm256_cvtepi32_ps(lo0),
			    _mm256_mul_ps(load_f16((const void *)(w + 256)),
			    act_d), acc0);
			acc1 = _mm256_fmadd_ps(_mm256_cvtepi32_ps(lo1),
			    _mm256_mul_ps(load_f16((const void *)(w + 272)),
			    act_d), acc1);
		}
		_mm256_storeu_ps(out, acc0);
		_mm256_storeu_ps(out + 8, acc1);
	}
}

static void
panel_q4_0(const void *w, size_t n_panels, size_t n_in, const void *act,
    size_t act_stride, size_t n_cols, float *out, size_t out_stride)
{
	if (n_cols == 1)
		panel_q4_0_one(w, n_panels, n_in, act, out);
	else
		panel_q4_0_many(w, n_panels, n_in, act, act_stride, n_cols,
		    out, out_stride);
}

void
avx2_overlay_panel_q8(struct kern_table *t)
{
	t->panel[TYPE_Q4_0] = panel_q4_0;
	t->panel[TYPE_Q4_1] = panel_q4_1;
	t->panel[TYPE_Q5_0] = panel_q5_0;
	t->panel[TYPE_Q5_1] = panel_q5_1;
	t->panel[TYPE_MXFP4] = panel_mxfp4;
}
