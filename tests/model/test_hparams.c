/* SPDX-License-Identifier: MIT */
/*
 * Models whose numbers do not go together, or that ask for what we do not
 * compute: refused by name.
 */
#include "config.h"

#include "model/hparams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gguf_writer.h"
#include "kernels/kernels.h"
#include "model/model.h"

/* A whole model in which one number is changed. */
static void
hostile_hparams(void **state)
{
	static const struct {
		const char	*key;
		uint32_t	 value;
		const char	*named;
	} cases[] = {
		{ "llama.block_count", UINT32_MAX, "block_count" },
		{ "llama.block_count", 16777216, "block_count" },
		{ "llama.block_count", 513, "block_count" },
		{ "llama.block_count", 2, "block_count" },
		{ "llama.block_count", 0, "block_count" },
		{ "llama.embedding_length", 64, "token_embd" },
		{ "llama.feed_forward_length", 64, "ffn_" },
		{ "llama.attention.head_count", 0, "head_count" },
		{ "llama.attention.head_count", 3, "llama." },
		{ "llama.attention.head_count_kv", 3, "head" },
		{ "llama.rope.dimension_count", 18, "dimension_count" },
		{ "llama.context_length", 0, "context_length" },
	};
	struct buf file;
	struct cause cause = { 0 };

	assert_int_equal(kern_init(&cause), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct gguf *g = NULL;
		struct model *m = NULL;
		const struct gguf_kv *kv;

		buf_init(&file, GW_FILE_MAX);
		gw_small_model(&file);
		assert_int_equal(gguf_open_memory(file.data, file.len, &g,
		    &cause), 0);
		kv = gguf_find(g, cases[i].key);
		assert_non_null(kv);
		memcpy(file.data + (kv->data - file.data), &cases[i].value,
		    sizeof(cases[i].value));
		if (model_open(&g, &m, &cause) >= 0 ||
		    strstr(cause.text, cases[i].named) == NULL)
			fail_msg("%s = %u: %s", cases[i].key,
			    (unsigned)cases[i].value, cause.text);
		gguf_free(&g);
		buf_fini(&file);
	}
}

static void
more_not_causal(struct gguf_writer *w)
{
	gw_bool(w, "llama.attention.causal", 0);
}

static void
more_capped_scores(struct gguf_writer *w)
{
	gw_f32(w, "llama.attn_logit_softcapping", 50);
}

static void
more_capped_logits(struct gguf_writer *w)
{
	gw_f32(w, "llama.final_logit_softcapping", 30);
}

static void
more_frequencies(struct gguf_writer *w)
{
	gw_tensor(w, "rope_freqs.weight", TYPE_F32, 8, 0);	/* some are 0 */
}

static void
more_neutral(struct gguf_writer *w)
{
	gw_bool(w, "llama.attention.causal", 1);
	gw_f32(w, "llama.attn_logit_softcapping", 0);
}

/* What would be computed wrongly is refused, by its name. */
static void
other_computations(void **state)
{
	static const struct {
		void		(*more)(struct gguf_writer *);
		const char	*named;
	} cases[] = {
		{ more_not_causal, "attention.causal" },
		{ more_capped_scores, "attn_logit_softcapping" },
		{ more_capped_logits, "final_logit_softcapping" },
		{ more_frequencies, "rope_freqs.weight" },
		{ more_neutral, NULL },
	};
	struct cause cause = { 0 };

	assert_int_equal(kern_init(&cause), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct gguf *g = NULL;
		struct model *m = NULL;
		struct buf file;
		bool refused;

		buf_init(&file, GW_FILE_MAX);
		gw_small_model_with(&file, cases[i].more);
		assert_int_equal(gguf_open_memory(file.data, file.len, &g,
		    &cause), 0);
		refused = model_open(&g, &m, &cause) < 0;
		if (refused != (cases[i].named != NULL) || (refused &&
		    strstr(cause.text, cases[i].named) == NULL))
			fail_msg("case %zu: %s", i, cause.text);
		model_free(&m);
		gguf_free(&g);
		buf_fini(&file);
	}
}

/* A context no machine has room for is only cut. */
static void
boundless_context(void **state)
{
	static const uint32_t longest = UINT32_MAX;
	struct gguf *g = NULL;
	struct model *m = NULL;
	struct cause cause = { 0 };
	struct buf file;
	const struct gguf_kv *kv;

	assert_int_equal(kern_init(&cause), 0);
	buf_init(&file, GW_FILE_MAX);
	gw_small_model(&file);
	assert_int_equal(gguf_open_memory(file.data, file.len, &g, &cause), 0);
	kv = gguf_find(g, "llama.context_length");
	memcpy(file.data + (kv->data - file.data), &longest, sizeof(longest));
	if (model_open(&g, &m, &cause) < 0)
		fail_msg("%s", cause.text);
	assert_int_equal(model_desc(m)->n_ctx_train, 1 << 30);
	model_free(&m);
	buf_fini(&file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_hparams),
		cmocka_unit_test(other_computations),
		cmocka_unit_test(boundless_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
