/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_ARM_UNPACK_ARM_H
#define BM_KERNELS_ARM_UNPACK_ARM_H

/*
 * Block columns of packed weights (pack.h) taken apart: quants become signed
 * bytes with their offset subtracted, scales become what a tile multiplies
 * with.  A function per type, which puts one block column to a place in a
 * chunk; put_octet() is the level's.
 */

#include <stdbool.h>

#include "kernels/arm/common_neon.h"
#include "kernels/half.h"
#include "kernels/pack.h"
#include "kernels/ref/ref.h"

/* A k-quad is 4 elements of all rows, an octet 8. */
#define CHUNK_QUADS	64
#define CHUNK_BLOCKS	8	/* of 32; but one of 256 */

/*
 * 256 elements of 16 rows.  Quants are apart for each half of the rows, 32
 * bytes a quad, in the order the level's step() wants them.
 */
struct chunk {
	int8_t	 q[2][CHUNK_QUADS][32];
	float	 d[CHUNK_BLOCKS][PANEL_ROWS];
	float	 m[CHUNK_BLOCKS][PANEL_ROWS];	/* x = d q + m; or dmin */
	int32_t	 scale[16][PANEL_ROWS];		/* of sub-blocks */
	int16_t	 min[16][PANEL_ROWS];
};

/* Put two quads, of rows 4g..4g+3, to their place; quad is even. */
ALWAYS_INLINE void put_octet(struct chunk *c, size_t quad, size_t g,
    int8x16_t first, int8x16_t second);

/* 16 halves at p to floats. */
ALWAYS_INLINE void
put_scales(const uint8_t *p, float *out)
{
	size_t i;

	for (i = 0; i < PANEL_ROWS; i += 4)
		vst1q_f32(out + i, load_f16(p + 2 * i));
}

/* 2^(e - 128) of 16 exponents: see e8m0_half_to_f32. */
ALWAYS_INLINE void
put_scales_e8m0(const uint8_t *p, float *out)
{
	size_t i;

	for (i = 0; i < PANEL_ROWS; i++)
		out[i] = e8m0_half_to_f32(p[i]);
}

ALWAYS_INLINE int8x16_t
low_nibbles(uint8x16_t v)
{
	return vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15)));
}

ALWAYS_INLINE int8x16_t
high_nibbles(uint8x16_t v)
{
	return vreinterpretq_s8_u8(vshrq_n_u8(v, 4));
}

/* The values of 16 codes. */
ALWAYS_INLINE int8x16_t
look_up(const int8x16_t values, int8x16_t codes)
{
	return vqtbl1q_s8(values, vreinterpretq_u8_s8(codes));
}

/*
 * n_units units at w: their low nibbles are quads from `quad` on, their high
 * nibbles n_units further.
 */
ALWAYS_INLINE void
put_nibbles(const uint8_t *w, size_t n_units, const int8x16_t values,
    struct chunk *c, size_t quad)
{
	size_t u, g;

	for (u = 0; u < n_units; u += 2)
		for (g = 0; g < 4; g++) {
			uint8x16_t v0 = vld1q_u8(w + 64 * u + 16 * g);
			uint8x16_t v1 = vld1q_u8(w + 64 * u + 64 + 16 * g);

			put_octet(c, quad + u, g,
			    look_up(values, low_nibbles(v0)),
			    look_up(values, low_nibbles(v1)));
			put_octet(c, quad + n_units + u, g,
			    look_up(values, high_nibbles(v0)),
			    look_up(values, high_nibbles(v1)));
		}
}

/* ---- blocks of 32: i is the block in the chunk ---- */

/* first, first + 1... */
ALWAYS_INLINE int8x16_t
values_from(int first)
{
	const int8_t v[16] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	};

	return vaddq_s8(vld1q_s8(v), vdupq_n_s8((int8_t)first));
}

ALWAYS_INLINE void
unpack_q4_0(const uint8_t *w, struct chunk *c, size_t i)
{
	put_nibbles(w, 4, values_from(-8), c, 8 * i);
	put_scales(w + 256, c->d[i]);
}

ALWAYS_INLINE void
unpack_q4_1(const uint8_t *w, struct chunk *c, size_t i)
{
	put_nibbles(w, 4, values_from(0), c, 8 * i);
	put_scales(w + 256, c->d[i]);
	put_scales(w + 288, c->m[i]);
}

ALWAYS_INLINE void
unpack_iq4_nl(const uint8_t *w, struct chunk *c, size_t i)
{
	put_nibbles(w, 4, vld1q_s8(ref_iq4_values), c, 8 * i);
	put_scales(w + 256, c->d[i]);
}

ALWAYS_INLINE void
unpack_mxfp4(const uint8_t *w, struct chunk *c, size_t i)
{
	put_nibbles(w, 4, vld1q_s8(ref_mxfp4_values), c, 8 * i);
	put_scales_e8m0(w + 256, c->d[i]);
}

/* 16 where bit 4k + (element of the quad) of a row's word is set. */
ALWAYS_INLINE int8x16_t
fifth_bits(uint8x16_t words, size_t k)
{
	static const uint8_t first[16] = {
		0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12
	};
	uint8x16_t byte = vqtbl1q_u8(words, vaddq_u8(vld1q_u8(first),
	    vdupq_n_u8((uint8_t)(k / 2))));
	uint8x16_t bit = vreinterpretq_u8_u32(vdupq_n_u32(k % 2 == 0 ?
	    0x08040201 : 0x80402010));

	return vreinterpretq_s8_u8(vandq_u8(vtstq_u8(byte, bit),
	    vdupq_n_u8(16)));
}

/* The quants of Q5_0 and Q5_1, with an offset added. */
ALWAYS_INLINE void
put_five_bits(const uint8_t *w, int offset, struct chunk *c, size_t quad)
{
	const int8x16_t values = values_from(offset);
	size_t u, g;

	for (g = 0; g < 4; g++) {
		uint8x16_t fifth = vld1q_u8(w + 256 + 16 * g);

		for (u = 0; u < 4; u += 2) {
			uint8x16_t v0 = vld1q_u8(w + 64 * u + 16 * g);
			uint8x16_t v1 = vld1q_u8(w + 64 * u + 64 + 16 * g);

			put_octet(c, quad + u, g,
			    vaddq_s8(look_up(values, low_nibbles(v0)),
			    fifth_bits(fifth, u)),
			    vaddq_s8(look_up(values, low_nibbles(v1)),
			    fifth_bits(fifth, u + 1)));
			put_octet(c, quad + u + 4, g,
			    vaddq_s8(look_up(values, high_nibbles(v0)),
			    fifth_bits(fifth, u + 4)),
			    vaddq_s8(look_up(values, high_nibbles(v1)),
			    fifth_bits(fifth, u + 5)));
		}
	}
}

ALWAYS_INLINE void
unpack_q5_0(const uint8_t *w, struct chunk *c, size_t i)
{
	put_five_bits(w, -16, c, 8 * i);
	put_scales(w + 320, c->d[i]);
}

ALWAYS_INLINE void
unpack_q5_1(const uint8_t *w, struct chunk *c, size_t i)
{
	put_five_bits(w, 0, c, 8 * i);
	put_scales(w + 320, c->d[i]);
	put_scales(w + 352, c->m[i]);
}

ALWAYS_INLINE void
unpack_q8_0(const uint8_t *w, struct chunk *c, size_t i)
{
	const int8_t *q = (const int8_t *)w;
	size_t u, g;

	for (u = 0; u < 8; u += 2)
		for (g = 0; g < 4; g++)
			put_octet(c, 8 * i + u, g,
			    vld1q_s8(q + 64 * u + 16 * g),
			    vld1q_s8(q + 64 * u + 64 + 16 * g));
	put_scales(w + 512, c->d[i]);
}

/* ---- blocks of 256, one to a chunk ---- */

/* The packed scales and mins of Q4_K and Q5_K, then d and dmin. */
ALWAYS_INLINE void
put_scales_k4(const uint8_t *w, struct chunk *c)
{
	const uint32x4_t low6 = vdupq_n_u32(63), low4 = vdupq_n_u32(15);
	const uint32x4_t bits45 = vdupq_n_u32(0x30);
	uint32x4_t x, y, z, scale, min;
	size_t g, s;

	for (g = 0; g < PANEL_ROWS; g += 4) {
		x = vreinterpretq_u32_u8(vld1q_u8(w + 4 * g));
		y = vreinterpretq_u32_u8(vld1q_u8(w + 64 + 4 * g));
		z = vreinterpretq_u32_u8(vld1q_u8(w + 128 + 4 * g));
		for (s = 0; s < 4; s++) {
			vst1q_s32(c->scale[s] + g, vreinterpretq_s32_u32(
			    vandq_u32(x, low6)));
			vst1_s16(c->min[s] + g, vreinterpret_s16_u16(
			    vmovn_u32(vandq_u32(y, low6))));
			scale = vorrq_u32(vandq_u32(z, low4),
			    vandq_u32(vshrq_n_u32(x, 2), bits45));
			min = vorrq_u32(vandq_u32(vshrq_n_u32(z, 4), low4),
			    vandq_u32(vshrq_n_u32(y, 2), bits45));
			vst1q_s32(c->scale[s + 4] + g,
			    vreinterpretq_s32_u32(scale));
			vst1_s16(c->min[s + 4] + g, vreinterpret_s16_u16(
			    vmovn_u32(min)));
			x = vshrq_n_u32(x, 8);
			y = vshrq_n_u32(y, 8);
			z = vshrq_n_u32(z, 8);
		}
	}
	put_scales(w + 192, c->d[0]);
	put_scales(w + 224, c->m[0]);
}

ALWAYS_INLINE void
unpack_q4_k(const uint8_t *w, struct chunk *c, size_t i)
{
	size_t p;

	for (p = 0; p < 4; p++)
		put_nibbles(w + 512 * p, 8, values_from(0), c, 16 * p);
	put_scales_k4(w + 2048, c);
}

/* q with bit n of h as its fifth. */
ALWAYS_INLINE int8x16_t
with_bit(int8x16_t q, uint8x16_t h, int n)
{
	uint8x16_t bit = vshlq_u8(h, vdupq_n_s8((int8_t)(4 - n)));

	return vorrq_s8(q, vreinterpretq_s8_u8(vandq_u8(bit,
	    vdupq_n_u8(16))));
}

/* Bit 4 of sub-block s is bit s of the byte at the same place in the block. */
ALWAYS_INLINE void
unpack_q5_k(const uint8_t *w, struct chunk *c, size_t i)
{
	size_t k, g;
	int p;

	for (k = 0; k < 8; k += 2)
		for (g = 0; g < 4; g++) {
			const uint8_t *at = w + 64 * k + 16 * g;
			uint8x16_t h0 = vld1q_u8(at + 2048);
			uint8x16_t h1 = vld1q_u8(at + 2048 + 64);

			for (p = 0; p < 4; p++, at += 512) {
				size_t quad = 16 * (size_t)p + k;
				uint8x16_t v0 = vld1q_u8(at);
				uint8x16_t v1 = vld1q_u8(at + 64);

				put_octet(c, quad, g,
				    with_bit(low_nibbles(v0), h0, 2 * p),
				    with_bit(low_nibbles(v1), h1, 2 * p));
				put_octet(c, quad + 8, g,
				    with_bit(high_nibbles(v0), h0, 2 * p + 1),
				    with_bit(high_nibbles(v1), h1,
				    2 * p + 1));
			}
		}
	put_scales_k4(w + 2560, c);
}

/* q - 32, q in bits 0 to 5. */
ALWAYS_INLINE int8x16_t
alone_q6(uint8x16_t v)
{
	return vsubq_s8(vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(63))),
	    vdupq_n_s8(32));
}

/* q - 32, two bits of q being above those of a, of b, and of c. */
ALWAYS_INLINE int8x16_t
spread_q6(uint8x16_t a, uint8x16_t b, uint8x16_t c)
{
	return alone_q6(vshrq_n_u8(vsriq_n_u8(a, vsriq_n_u8(b, c, 2), 2), 2));
}

/* 16 scales with sign, a byte each. */
ALWAYS_INLINE void
put_signed_scales(const uint8_t *w, struct chunk *c)
{
	size_t u, g, s;

	for (u = 0; u < 4; u++)
		for (g = 0; g < PANEL_ROWS; g += 4) {
			int32x4_t v = vreinterpretq_s32_u8(vld1q_u8(w +
			    64 * u + 4 * g));

			for (s = 4; s-- > 0;) {
				vst1q_s32(c->scale[4 * u + s] + g,
				    vshrq_n_s32(v, 24));
				v = vshlq_n_s32(v, 8);
			}
		}
}

/* A sub-block is three quads alone and one in what they leave free. */
ALWAYS_INLINE void
unpack_q6_k(const uint8_t *w, struct chunk *c, size_t i)
{
	const uint8_t *p;
	size_t s, g;

	for (s = 0; s < 16; s++)
		for (g = 0; g < 4; g++) {
			p = w + 192 * s + 16 * g;

			put_octet(c, 4 * s, g, alone_q6(vld1q_u8(p)),
			    alone_q6(vld1q_u8(p + 64)));
			put_octet(c, 4 * s + 2, g, alone_q6(vld1q_u8(p +
			    128)), spread_q6(vld1q_u8(p), vld1q_u8(p + 64),
			    vld1q_u8(p + 128)));
		}
	put_signed_scales(w + 3072, c);
	put_scales(w + 3328, c->d[0]);
}

/* Scales of 6 bits: four in a word of nibbles, two in a half of pairs. */
ALWAYS_INLINE void
unpack_iq4_xs(const uint8_t *w, struct chunk *c, size_t i)
{
	const int32x4_t low4 = vdupq_n_s32(15), bits45 = vdupq_n_s32(0x30);
	size_t s, g;

	for (s = 0; s < 8; s++)
		put_nibbles(w + 256 * s, 4, vld1q_s8(ref_iq4_values), c, 8 * s);
	for (g = 0; g < PANEL_ROWS; g += 4) {
		int32x4_t low = vreinterpretq_s32_u8(vld1q_u8(w + 2048 +
		    4 * g));
		int32x4_t high = vreinterpretq_s32_u32(vshll_n_u16(
		    vreinterpret_u16_u8(vld1_u8(w + 2112 + 2 * g)), 4));

		for (s = 0; s < 8; s++) {
			vst1q_s32(c->scale[s] + g, vsubq_s32(vorrq_s32(
			    vandq_s32(low, low4), vandq_s32(high, bits45)),
			    vdupq_n_s32(32)));
			low = vshrq_n_s32(low, 4);
			high = vshrq_n_s32(high, 2);
		}
	}
	put_scales(w + 2144, c->d[0]);
}

/* Bits 2n and 2n + 1 of each byte. */
ALWAYS_INLINE uint8x16_t
two_bits(uint8x16_t v, int n)
{
	return vandq_u8(vshlq_u8(v, vdupq_n_s8((int8_t)(-2 * n))),
	    vdupq_n_u8(3));
}

/* A half of 128 elements is four quarters, of which each byte has two bits. */
ALWAYS_INLINE void
unpack_q2_k(const uint8_t *w, struct chunk *c, size_t i)
{
	const uint32x4_t low4 = vdupq_n_u32(15);
	size_t k, g, s;
	int n;

	for (k = 0; k < 16; k += 2)
		for (g = 0; g < 4; g++) {
			const uint8_t *at = w + 64 * k + 16 * g;
			uint8x16_t v0 = vld1q_u8(at), v1 = vld1q_u8(at + 64);
			size_t quad = 32 * (k / 8) + k % 8;

			for (n = 0; n < 4; n++, quad += 8)
				put_octet(c, quad, g,
				    vreinterpretq_s8_u8(two_bits(v0, n)),
				    vreinterpretq_s8_u8(two_bits(v1, n)));
		}
	for (k = 0; k < 4; k++)
		for (g = 0; g < PANEL_ROWS; g += 4) {
			uint32x4_t v = vreinterpretq_u32_u8(vld1q_u8(w + 1024 +
			    64 * k + 4 * g));

			for (s = 4 * k; s < 4 * k + 4; s++) {
				vst1q_s32(c->scale[s] + g,
				    vreinterpretq_s32_u32(vandq_u32(v, low4)));
				vst1_s16(c->min[s] + g, vreinterpret_s16_u16(
				    vmovn_u32(vandq_u32(vshrq_n_u32(v, 4),
				    low4))));
				v = vshrq_n_u32(v, 8);
			}
		}
	put_scales(w + 1280, c->d[0]);
	put_scales(w + 1312, c->m[0]);
}

/* Four bits of v, two of z above them, less 32: n_v and n_z bits up. */
ALWAYS_INLINE void
put_scale_q3(uint32x4_t v, int n_v, uint32x4_t z, int n_z, int32_t *to)
{
	uint32x4_t low = vandq_u32(vshlq_u32(v, vdupq_n_s32(-n_v)),
	    vdupq_n_u32(15));
	uint32x4_t high = vandq_u32(vshlq_u32(z, vdupq_n_s32(4 - n_z)),
	    vdupq_n_u32(0x30));

	vst1q_s32(to, vsubq_s32(vreinterpretq_s32_u32(vorrq_u32(low, high)),
	    vdupq_n_s32(32)));
}

/* q - 4: two bits of v, above them bit n of h. */
ALWAYS_INLINE int8x16_t
join_q3(uint8x16_t v, uint8x16_t h, int n)
{
	uint8x16_t bit = vandq_u8(vshlq_u8(h, vdupq_n_s8((int8_t)(2 - n))),
	    vdupq_n_u8(4));

	return vsubq_s8(vreinterpretq_s8_u8(vorrq_u8(two_bits(v, n), bit)),
	    vdupq_n_s8(4));
}

/* As Q2_K's, and bit 2 of the j-th 32 elements is bit j of the byte at the same
 * place among 32 more. */
ALWAYS_INLINE void
unpack_q3_k(const uint8_t *w, struct chunk *c, size_t i)
{
	size_t k, g, half;
	int n, s;

	for (k = 0; k < 8; k += 2)
		for (g = 0; g < 4; g++) {
			const uint8_t *at = w + 64 * k + 16 * g;
			uint8x16_t h0 = vld1q_u8(at + 1024);
			uint8x16_t h1 = vld1q_u8(at + 1024 + 64);

			for (half = 0; half < 2; half++, at += 512) {
				uint8x16_t v0 = vld1q_u8(at);
				uint8x16_t v1 = vld1q_u8(at + 64);
				size_t quad = 32 * half + k;

				for (n = 0; n < 4; n++, quad += 8)
					put_octet(c, quad, g,
					    join_q3(v0, h0, n),
					    join_q3(v1, h1, n));
				h0 = vshrq_n_u8(h0, 4);
				h1 = vshrq_n_u8(h1, 4);
			}
		}
	for (g = 0; g < PANEL_ROWS; g += 4) {
		const uint8_t *at = w + 1536 + 4 * g;
		uint32x4_t x = vreinterpretq_u32_u8(vld1q_u8(at));
		uint32x4_t y = vreinterpretq_u32_u8(vld1q_u8(at + 64));
		uint32x4_t z = vreinterpretq_u32_u8(vld1q_u8(at + 128));

		for (s = 0; s < 4; s++) {
			put_scale_q3(x, 8 * s, z, 8 * s, c->scale[s] + g);
			put_scale_q3(y, 8 * s, z, 8 * s + 2,
			    c->scale[s + 4] + g);
			put_scale_q3(x, 8 * s + 4, z, 8 * s + 4,
			    c->scale[s + 8] + g);
			put_scale_q3(y, 8 * s + 4, z, 8 * s + 6,
			    c->scale[s + 12] + g);
		}
	}
	put_scales(w + 1728, c->d[0]);
}

#endif
