/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_HALF_H
#define BM_KERNELS_HALF_H

/*
 * Half precision (IEEE binary16), bfloat16 and unaligned little-endian loads,
 * in integer arithmetic so that every level and every compiler gives the same
 * bits: denormals and infinities are exact, a NaN is made quiet and keeps the
 * payload that fits, as the hardware does it.
 */

#include <stdint.h>
#include <string.h>

static inline uint16_t
load_u16(const void *p)
{
	const uint8_t *b = p;

	return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t
load_u32(const void *p)
{
	const uint8_t *b = p;

	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
	    (uint32_t)b[3] << 24;
}

static inline float
f32_from_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static inline uint32_t
f32_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static inline float
f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16;
	uint32_t exponent = h >> 10 & 31, mantissa = h & 0x3ff;

	if (exponent == 31) {
		if (mantissa != 0)
			mantissa |= 0x200;
		return f32_from_bits(sign | 0x7f800000 | mantissa << 13);
	}
	if (exponent == 0) {
		/* mantissa * 2^-24, which float holds exactly */
		float f = (float)mantissa * 0x1p-24f;

		return f32_from_bits(sign | f32_bits(f));
	}
	return f32_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* Rounds to nearest, ties to even. */
static inline uint16_t
f16_from_f32(float f)
{
	uint32_t bits = f32_bits(f), mag = bits & 0x7fffffff;
	uint32_t sign = bits >> 16 & 0x8000, shift, rest, half;

	if (mag > 0x7f800000)
		return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x3ff));
	if (mag >= 0x477ff000)		/* 65520 and more round to infinity */
		return (uint16_t)(sign | 0x7c00);
	if (mag >= 0x38800000) {	/* 2^-14: normal */
		mag -= 112u << 23;
		mag += 0xfff + (mag >> 13 & 1);
		return (uint16_t)(sign | mag >> 13);
	}
	if (mag < 0x33000000)		/* below half the smallest denormal */
		return (uint16_t)sign;
	shift = 126 - (mag >> 23);	/* 14 .. 24 */
	mag = (mag & 0x7fffff) | 0x800000;
	rest = mag & ((1u << shift) - 1);
	half = 1u << (shift - 1);
	mag >>= shift;
	if (rest > half || (rest == half && (mag & 1)))
		mag++;
	return (uint16_t)(sign | mag);
}

static inline float
bf16_to_f32(uint16_t h)
{
	return f32_from_bits((uint32_t)h << 16);
}

/* The scale of a MXFP4 block, 2^(e - 128): half of what E8M0 says, since the
 * table of its values holds them doubled. */
static inline float
e8m0_half_to_f32(uint8_t e)
{
	return f32_from_bits(e < 2 ? 0x00200000u << e :
	    (uint32_t)(e - 1) << 23);
}

#endif
