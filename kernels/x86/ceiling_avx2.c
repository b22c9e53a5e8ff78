/* SPDX-License-Identifier: MIT */
/* Loops of the baseline, and reading. */
#include "config.h"

#include "kernels/x86/avx2.h"

#include "kernels/x86/ceiling_x86.h"
#include "kernels/x86/common_avx2.h"

#define VECTOR		__m256i

#define INSTRUCTION	"vfmadd231ps %2, %2, %0"
LOOP(loop_fma, _mm256_setzero_si256())
#undef INSTRUCTION

#define INSTRUCTION	"vpmaddubsw %2, %2, %1\n\tvpaddw %1, %0, %0"
LOOP(loop_maddubs_paddw, _mm256_set1_epi8(3))
#undef INSTRUCTION

#define INSTRUCTION	"vpmaddubsw %2, %2, %1\n\t"			\
			"vpmaddwd %2, %1, %1\n\tvpaddd %1, %0, %0"
LOOP(loop_maddubs_maddwd, _mm256_set1_epi8(3))
#undef INSTRUCTION

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
