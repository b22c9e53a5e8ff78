/* SPDX-License-Identifier: MIT */
/*
 * Blocks -> floats.  One loop serves all quantised types; a function per type
 * only binds it, since a kernel's type is in its pointer.
 */
#include "config.h"

#include "kernels/ref/ref.h"

#include "kernels/half.h"

static void
unpack_blocks(enum tensor_type t, const void *w, float *out, size_t n)
{
	const struct type_info *info = type_info(t);
	ref_block_fn take_apart = ref_block_of(t);
	const uint8_t *bytes = w;
	struct ref_block b;
	size_t i;

	for (; n > 0; n -= info->block_n) {
		take_apart(bytes, &b);
		for (i = 0; i < info->block_n; i++)
			out[i] = b.d * b.scale[i / 16] * b.q[i] -
			    b.dmin * b.min[i / 16];
		bytes += info->block_bytes;
		out += info->block_n;
	}
}

#define UNPACK(name) \
static void								\
unpack_##name(const void *w, float *out, size_t n)			\
{									\
	unpack_blocks(TYPE_##name, w, out, n);				\
}
UNPACK(Q4_0)
UNPACK(Q4_1)
UNPACK(Q5_0)
UNPACK(Q5_1)
UNPACK(Q8_0)
UNPACK(Q2_K)
UNPACK(Q3_K)
UNPACK(Q4_K)
UNPACK(Q5_K)
UNPACK(Q6_K)
UNPACK(IQ4_NL)
UNPACK(IQ4_XS)
UNPACK(MXFP4)

static void
unpack_F32(const void *w, float *out, size_t n)
{
	memcpy(out, w, n * sizeof(float));
}

static void
unpack_F16(const void *w, float *out, size_t n)
{
	const uint8_t *h = w;
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = f16_to_f32(load_u16(h + 2 * i));
}

static void
unpack_BF16(const void *w, float *out, size_t n)
{
	const uint8_t *h = w;
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = bf16_to_f32(load_u16(h + 2 * i));
}

void
ref_table_unpack(struct kern_table *t)
{
	t->unpack[TYPE_F32] = unpack_F32;
	t->unpack[TYPE_F16] = unpack_F16;
	t->unpack[TYPE_BF16] = unpack_BF16;
	t->unpack[TYPE_Q4_0] = unpack_Q4_0;
	t->unpack[TYPE_Q4_1] = unpack_Q4_1;
	t->unpack[TYPE_Q5_0] = unpack_Q5_0;
	t->unpack[TYPE_Q5_1] = unpack_Q5_1;
	t->unpack[TYPE_Q8_0] = unpack_Q8_0;
	t->unpack[TYPE_Q2_K] = unpack_Q2_K;
	t->unpack[TYPE_Q3_K] = unpack_Q3_K;
	t->unpack[TYPE_Q4_K] = unpack_Q4_K;
	t->unpack[TYPE_Q5_K] = unpack_Q5_K;
	t->unpack[TYPE_Q6_K] = unpack_Q6_K;
	t->unpack[TYPE_IQ4_NL] = unpack_IQ4_NL;
	t->unpack[TYPE_IQ4_XS] = unpack_IQ4_XS;
	t->unpack[TYPE_MXFP4] = unpack_MXFP4;
}
