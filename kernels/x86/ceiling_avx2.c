/* SPDX-License-Identifier: MIT */
/*
 * Loops of registers only.  12 chains cover the latencies; asm keeps the
 * compiler from finding that nobody wants the result.
 */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/common_avx2.h"

#define CHAINS 12

#define EACH(DO) \
	DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) \
	DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

#define ZERO(i)	__m256i c##i = _mm256_setzero_si256();

static void
loop_fma(size_t n)
{
	__m256i w = _mm256_setzero_si256();

	EACH(ZERO)
	for (; n > 0; n--) {
#define STEP(i) \
	__asm__ volatile("vfmadd231ps %1, %1, %0" : "+x" (c##i) : "x" (w));
		EACH(STEP)
#undef STEP
	}
}

static void
loop_maddubs_paddw(size_t n)
{
	__m256i w = _mm256_set1_epi8(3);

	EACH(ZERO)
	for (; n > 0; n--) {
		__m256i t;
#define STEP(i)	__asm__ volatile("vpmaddubsw %2, %2, %1\n\t"		\
		    "vpaddw %1, %0, %0" : "+x" (c##i), "=&x" (t) : "x" (w));
		EACH(STEP)
#undef STEP
	}
}

static void
loop_maddubs_maddwd(size_t n)
{
	__m256i w = _mm256_set1_epi8(3);

	EACH(ZERO)
	for (; n > 0; n--) {
		__m256i t;
#define STEP(i)	__asm__ volatile("vpmaddubsw %2, %2, %1\n\t"		\
		    "vpmaddwd %2, %1, %1\n\tvpaddd %1, %0, %0"		\
		    : "+x" (c##i), "=&x" (t) : "x" (w));
		EACH(STEP)
#undef STEP
	}
}

#undef ZERO
#undef EACH

/* Asked for a little ahead, since hardware stops at page boundaries. */
#define AHEAD_BYTES 2048

static void
loop_read(const void *p, size_t bytes)
{
	const char *from = p, *end = from + bytes;
	__m256i a = _mm256_setzero_si256(), b = a;

	for (; from < end; from += 128) {
		_mm_prefetch(from + AHEAD_BYTES, _MM_HINT_T0);
		_mm_prefetch(from + AHEAD_BYTES + 64, _MM_HINT_T0);
		a = _mm256_xor_si256(a, load_32(from));
		b = _mm256_xor_si256(b, load_32(from + 32));
		a = _mm256_xor_si256(a, load_32(from + 64));
		b = _mm256_xor_si256(b, load_32(from + 96));
	}
	__asm__ volatile("" : : "x" (a), "x" (b));
}

void
avx2_overlay_ceiling(struct kern_table *t)
{
	t->ceiling.read = loop_read;
	t->ceiling.fma = (struct ceiling_loop){ loop_fma, CHAINS * 8 };
	t->ceiling.maddubs_paddw =
	    (struct ceiling_loop){ loop_maddubs_paddw, CHAINS * 32 };
	t->ceiling.maddubs_maddwd =
	    (struct ceiling_loop){ loop_maddubs_maddwd, CHAINS * 32 };
	t->ceiling.int8 = t->ceiling.maddubs_paddw;
}
