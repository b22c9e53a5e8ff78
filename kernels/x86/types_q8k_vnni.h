/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_TYPES_Q8K_VNNI_H
#define BM_KERNELS_X86_TYPES_Q8K_VNNI_H

/*
 * What panel_q8k_vnni.h knows of the types: where in the packed bytes of a
 * block column the quants of 16 rows are, as unsigned bytes, and its scales.
 */

#include "kernels/each.h"
#include "kernels/x86/panel_vnni.h"

/* The scales of a block column. */
struct scales_k {
	int16_t	 scale[16][32];	/* [sub-block][row][scale, 256 scale] */
	int16_t	 pair[8][32];	/* [sub-block pair][row][sub-block]: mins, or
				   -offset times scales */
	float	 d[16];
	float	 dmin[16];
};

/*
 * A block is `spans` times span_subs sub-blocks: spans lie alike and are a
 * loop, the sub-blocks of one differ in how they lie and share bytes.
 */
struct shape_k {
	size_t	 block_bytes;	/* of a block column */
	size_t	 sub_quads;	/* quads of a sub-block: 4 or 8 */
	size_t	 spans;
	size_t	 span_subs;	/* at most 4 */
	bool	 has_mins;	/* else an offset */
	/* which of the block's sub-blocks is i of a span */
	size_t	 (*sub)(size_t span, size_t i);
	/* its quad k */
	rows_i	 (*quad)(const uint8_t *w, size_t span, size_t i, size_t k);
	void	 (*scales)(const uint8_t *w, struct scales_k *to);
};

/* ---- scales ---- */

#define Z (-128)	/* a zero, whatever is added for the next sub-blocks */

/* Bytes [row][4 sub-blocks]: the (scale, 256 scale) of four. */
ALWAYS_INLINE void
spread_scales(rows_i v, const bool is_signed, int16_t (*out)[32])
{
	const rows_i low = rows_set_quarters(_mm_set1_epi32(0xffff));
	const rows_i high = rows_set_quarters(_mm_set1_epi32((int)0xffff0000));
	rows_i pick = rows_set_quarters(is_signed ?
	    _mm_setr_epi8(Z, 0, Z, 0, Z, 4, Z, 4, Z, 8, Z, 8, Z, 12, Z, 12) :
	    _mm_setr_epi8(0, Z, Z, 0, 4, Z, Z, 4, 8, Z, Z, 8, 12, Z, Z, 12));
	rows_i both;
	int i;

	for (i = 0; i < 4; i++) {
		both = rows_shuffle(v, pick);
		if (is_signed)
			both = rows_or(rows_and(both, high), rows_and(low,
			    rows_shift_signed(both, 8)));
		rows_store(out[i], both);
		pick = rows_add_bytes(pick, rows_set_bytes(1));
	}
}

/* Mins of sub-blocks 0 and 1 side by side, then of 2 and 3. */
ALWAYS_INLINE void
spread_mins(rows_i v, int16_t (*out)[32])
{
	rows_i pick = rows_set_quarters(_mm_setr_epi8(0, Z, 1, Z, 4, Z, 5, Z,
	    8, Z, 9, Z, 12, Z, 13, Z));

	rows_store(out[0], rows_shuffle(v, pick));
	pick = rows_add_bytes(pick, rows_set_bytes(2));
	rows_store(out[1], rows_shuffle(v, pick));
}

/* As spread_mins, -2^log_offset times signed scales. */
ALWAYS_INLINE void
spread_offsets(rows_i v, const int log_offset, int16_t (*out)[32])
{
	const rows_i zero = rows_zero();
	rows_i pick = rows_set_quarters(_mm_setr_epi8(Z, 0, Z, 1, Z, 4, Z, 5,
	    Z, 8, Z, 9, Z, 12, Z, 13));

	rows_store(out[0], rows_sub_words(zero,
	    rows_shift_signed(rows_shuffle(v, pick), 8 - log_offset)));
	pick = rows_add_bytes(pick, rows_set_bytes(2));
	rows_store(out[1], rows_sub_words(zero,
	    rows_shift_signed(rows_shuffle(v, pick), 8 - log_offset)));
}

#undef Z

/* Four sub-blocks' signed scales of a type that has an offset. */
ALWAYS_INLINE void
spread_signed(rows_i v, const int log_offset, size_t sub, struct scales_k *to)
{
	spread_scales(v, true, to->scale + sub);
	spread_offsets(v, log_offset, to->pair + sub / 2);
}

/* Bits 0..3 of the bytes of low and, as bits 4 and 5, some of high. */
ALWAYS_INLINE rows_i
join_6(rows_i low, rows_i high)
{
	return rows_or(rows_and(low, rows_set_bytes(15)),
	    rows_and(high, rows_set_bytes(0x30)));
}

/* The packed scales of Q4_K and Q5_K, [12 / 4][16 rows][4], d and dmin. */
ALWAYS_INLINE void
scales_k4(const uint8_t *p, struct scales_k *to)
{
	const rows_i low6 = rows_set_bytes(63);
	rows_i x = rows_load(p), y = rows_load(p + 64);
	rows_i z = rows_load(p + 128);

	spread_scales(rows_and(x, low6), false, to->scale);
	spread_mins(rows_and(y, low6), to->pair);
	spread_scales(join_6(z, rows_shift_right(x, 2)), false, to->scale + 4);
	spread_mins(join_6(rows_shift_right(z, 4), rows_shift_right(y, 2)),
	    to->pair + 2);
	rows_store_f(to->d, rows_load_halves(p + 192));
	rows_store_f(to->dmin, rows_load_halves(p + 224));
}

ALWAYS_INLINE void
scales_q4_k(const uint8_t *w, struct scales_k *to)
{
	scales_k4(w + 2048, to);
}

ALWAYS_INLINE void
scales_q5_k(const uint8_t *w, struct scales_k *to)
{
	scales_k4(w + 2560, to);
}

ALWAYS_INLINE void
scales_q6_k(const uint8_t *w, struct scales_k *to)
{
	size_t i;

	for (i = 0; i < 4; i++)
		spread_signed(rows_load(w + 3072 + 64 * i), 5, 4 * i, to);
	rows_store_f(to->d, rows_load_halves(w + 3328));
}

/* A byte is scale and minimum. */
ALWAYS_INLINE void
scales_q2_k(const uint8_t *w, struct scales_k *to)
{
	const rows_i low4 = rows_set_bytes(15);
	size_t i;

	for (i = 0; i < 4; i++) {
		rows_i v = rows_load(w + 1024 + 64 * i);

		spread_scales(rows_and(v, low4), false, to->scale + 4 * i);
		spread_mins(rows_and(rows_shift_right(v, 4), low4),
		    to->pair + 2 * i);
	}
	rows_store_f(to->d, rows_load_halves(w + 1280));
	rows_store_f(to->dmin, rows_load_halves(w + 1312));
}

/* [12 / 4][16 rows][4]: low nibbles of all, then two bits of all. */
ALWAYS_INLINE void
scales_q3_k(const uint8_t *w, struct scales_k *to)
{
	const rows_i less = rows_set_bytes(-32);
	rows_i x = rows_load(w + 1536), y = rows_load(w + 1600);
	rows_i z = rows_load(w + 1664);

	spread_signed(rows_add_bytes(join_6(x, rows_shift_left(z, 4)), less),
	    2, 0, to);
	spread_signed(rows_add_bytes(join_6(y, rows_shift_left(z, 2)), less),
	    2, 4, to);
	spread_signed(rows_add_bytes(join_6(rows_shift_right(x, 4), z), less),
	    2, 8, to);
	spread_signed(rows_add_bytes(join_6(rows_shift_right(y, 4),
	    rows_shift_right(z, 2)), less), 2, 12, to);
	rows_store_f(to->d, rows_load_halves(w + 1728));
}

ALWAYS_INLINE rows_i
and_lanes(rows_i v, int32_t mask)
{
	return rows_and(v, rows_set_quarters(_mm_set1_epi32(mask)));
}

/* Four of the 8 scales of IQ4_XS, from two bytes with nibbles and one with two
 * bits of each, which a row has at 2 i and at i. */
ALWAYS_INLINE void
four_scales_xs(rows_i nibbles, rows_i bits, const int8_t i,
    struct scales_k *to)
{
	const rows_i twice = rows_set_quarters(_mm_setr_epi8(0, 0, 1, 1, 4, 4,
	    5, 5, 8, 8, 9, 9, 12, 12, 13, 13));
	const rows_i often = rows_set_quarters(_mm_setr_epi8(0, 0, 0, 0, 4, 4,
	    4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
	rows_i low, high, v;

	v = rows_shuffle(nibbles, rows_add_bytes(twice,
	    rows_set_bytes((int8_t)(2 * i))));
	low = rows_or(and_lanes(v, 0x000f000f),
	    and_lanes(rows_shift_right(v, 4), 0x0f000f00));
	v = rows_shuffle(bits, rows_add_bytes(often, rows_set_bytes(i)));
	high = rows_or(
	    rows_or(and_lanes(rows_shift_left(v, 4), 0x00000030),
	    and_lanes(rows_shift_left(v, 2), 0x00003000)),
	    rows_or(and_lanes(v, 0x00300000),
	    and_lanes(rows_shift_right(v, 2), 0x30000000)));
	spread_signed(rows_add_bytes(rows_or(low, high), rows_set_bytes(-32)),
	    7, (size_t)(4 * i), to);
}

ALWAYS_INLINE void
scales_iq4_xs(const uint8_t *w, struct scales_k *to)
{
	rows_i nibbles = rows_load(w + 2048);
	rows_i bits = rows_load_words(w + 2112);

	four_scales_xs(nibbles, bits, 0, to);
	four_scales_xs(nibbles, bits, 1, to);
	rows_store_f(to->d, rows_load_halves(w + 2144));
}

/* ---- quants ---- */

ALWAYS_INLINE rows_i
low_nibbles(const uint8_t *p)
{
	return rows_and(rows_load(p), rows_set_bytes(15));
}

ALWAYS_INLINE rows_i
high_nibbles(const uint8_t *p)
{
	return rows_and(rows_shift_right(rows_load(p), 4), rows_set_bytes(15));
}

/* A quarter of the block: the low nibbles of 8 quads, then the high ones. */
ALWAYS_INLINE size_t
sub_of_two(size_t span, size_t i)
{
	return 2 * span + i;
}

ALWAYS_INLINE rows_i
quad_q4_k(const uint8_t *w, size_t span, size_t i, size_t k)
{
	const uint8_t *p = w + 512 * span + 64 * k;

	return i == 0 ? low_nibbles(p) : high_nibbles(p);
}

/* Bit 4 of sub-block s is bit s of the byte at the same place. */
ALWAYS_INLINE rows_i
quad_q5_k(const uint8_t *w, size_t span, size_t i, size_t k)
{
	rows_i high = rows_shift_right(rows_load(w + 2048 + 64 * k),
	    2 * (int)span);

	return rows_or(quad_q4_k(w, span, i, k), rows_and(
	    rows_shift_left(high, i == 0 ? 4 : 3), rows_set_bytes(16)));
}

/* One half of each of four sub-blocks of 32, in half of the block. */
ALWAYS_INLINE size_t
sub_of_four(size_t span, size_t i)
{
	return 8 * (span / 2) + 2 * i + span % 2;
}

/* Three quads alone and one in the two bits that each of them leaves free. */
ALWAYS_INLINE rows_i
quad_q6_k(const uint8_t *w, size_t span, size_t i, size_t k)
{
	const uint8_t *p = w + 192 * span;
	const rows_i above = rows_set_bytes((char)0xc0);
	rows_i v;

	if (k < 3)
		return rows_and(rows_load(p + 64 * k), rows_set_bytes(63));
	v = rows_shift_right(rows_and(rows_load(p + 128), above), 2);
	v = rows_or(v, rows_and(rows_load(p + 64), above));
	v = rows_shift_right(v, 2);
	v = rows_or(v, rows_and(rows_load(p), above));
	return rows_shift_right(v, 2);
}

ALWAYS_INLINE rows_i
quad_q2_k(const uint8_t *w, size_t span, size_t i, size_t k)
{
	return rows_and(rows_shift_right(rows_load(w + 256 * span + 64 * k),
	    2 * (int)i), rows_set_bytes(3));
}

/* Bit 2 of a sub-block of 32 is the bit of its number of the byte at the same
 * place. */
ALWAYS_INLINE rows_i
quad_q3_k(const uint8_t *w, size_t span, size_t i, size_t k)
{
	rows_i high = rows_shift_right(rows_load(w + 1024 + 256 * (span % 2) +
	    64 * k), 4 * (int)(span / 2));

	high = i == 3 ? rows_shift_right(high, 1) :
	    rows_shift_left(high, 2 - (int)i);
	return rows_or(quad_q2_k(w, span, i, k),
	    rows_and(high, rows_set_bytes(4)));
}

ALWAYS_INLINE size_t
sub_alone(size_t span, size_t i)
{
	return span + i;
}

ALWAYS_INLINE rows_i
quad_iq4_xs(const uint8_t *w, size_t span, size_t i, size_t k)
{
	const uint8_t *p = w + 256 * span + 64 * (k % 4);

	return rows_shuffle(iq4_values_unsigned(), k < 4 ? low_nibbles(p) :
	    high_nibbles(p));
}

/* ---- all together ---- */

static const struct shape_k
	shape_q2_k = { 1344, 4, 4, 4, true, sub_of_four, quad_q2_k,
	    scales_q2_k },
	shape_q3_k = { 1760, 4, 4, 4, false, sub_of_four, quad_q3_k,
	    scales_q3_k },
	shape_q4_k = { 2304, 8, 4, 2, true, sub_of_two, quad_q4_k,
	    scales_q4_k },
	shape_q5_k = { 2816, 8, 4, 2, true, sub_of_two, quad_q5_k,
	    scales_q5_k },
	shape_q6_k = { 3360, 4, 16, 1, false, sub_alone, quad_q6_k,
	    scales_q6_k },
	shape_iq4_xs = { 2176, 8, 8, 1, false, sub_alone, quad_iq4_xs,
	    scales_iq4_xs };

#endif
