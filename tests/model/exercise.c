/* SPDX-License-Identifier: MIT */
/*
 * Uses of a model file, shared by the mutation run and the fuzz target: both
 * look for what a file that was accepted can still break.
 */
#include "config.h"

#include "exercise.h"

#include <stdlib.h>

#include "base/mem.h"
#include "kernels/kernels.h"
#include "kernels/pool.h"
#include "model/gguf.h"
#include "model/kv.h"
#include "model/model.h"
#include "model/tokenizer.h"

#define TEXT_MAX (1 << 20)
#define N_ROWS 3

static volatile double sink;	/* keeps the reads */

/* Read every key in every way there is. */
static void
use_keys(const struct gguf *g)
{
	struct slice *strings;
	struct cause cause;
	struct buf text;
	double sum = 0;

	buf_init(&text, TEXT_MAX);
	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		char *key = slice_dup(kv->key);
		uint32_t u;
		float f;
		bool b;
		struct slice s;

		buf_clear(&text);
		gguf_kv_text(kv, &text);
		(void)!gguf_get_u32(g, key, &u, &cause);
		(void)!gguf_get_u32_at(g, key, 3, &u, &cause);
		(void)!gguf_get_f32(g, key, &f, &cause);
		(void)!gguf_get_bool(g, key, &b, &cause);
		(void)!gguf_get_str(g, key, &s, &cause);
		for (size_t k = 0; k < kv->n && k < 64; k++)
			sum += gguf_array_number(kv, k);
		if (kv->type == GGUF_ARR && kv->element == GGUF_STR) {
			strings = xcalloc((size_t)kv->n + 1, sizeof(*strings));
			gguf_array_strings(kv, strings);
			for (size_t k = 0; k < kv->n; k++)
				sum += strings[k].n > 0 ? strings[k].p[0] : 0;
			free(strings);
		}
		free(key);
	}
	buf_fini(&text);
	sink = sum;
}

/* Tensors lie where they say: touch both ends. */
static void
use_tensors(const struct gguf *g)
{
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		const uint8_t *p = t->data;

		sum = (uint8_t)(sum + p[0] + p[t->n_bytes - 1]);
	}
}

static int
use_tokenizer(const struct gguf *g, struct cause *cause)
{
	static const char text[] = "once the <tool> world</s>\n\xc3\xa4\xff";
	struct tokenizer *t;
	struct token_list l = { 0 };
	struct buf out;
	int rc;

	if ((rc = tokenizer_open(g, &t, cause)) < 0)
		return rc;
	buf_init(&out, TEXT_MAX);
	rc = tokenizer_encode(t, (struct slice){ text, sizeof(text) - 1 },
	    true, true, &l, cause);
	if (rc == 0)
		rc = tokenizer_decode(t, l.ids, l.n, true, &out, cause);
	buf_fini(&out);
	token_list_free(&l);
	tokenizer_free(&t);
	return rc;
}

/* Three tokens through the weights: what the shapes promised is there. */
static int
use_weights(const struct model *m, struct cause *cause)
{
	static struct pool *pool;
	const struct model_desc *d = model_desc(m);
	struct kv_shape shape = model_kv_shape(m, ATTEND_F16);
	struct kv_pool *kv = NULL;
	struct model_run *run = NULL;
	struct kv_seq seq = { 0 };
	struct batch_row rows[N_ROWS];
	struct batch b = { rows, N_ROWS };
	float *logits;
	int rc;

	if (pool == NULL && (rc = pool_new(&pool, 1, cause)) < 0)
		return rc;
	rc = kv_pool_new(&shape, 2, &kv, cause);
	if (rc == 0)
		rc = model_run_new(m, pool, kv, N_ROWS, &run, cause);
	if (rc == 0 && kv_seq_reserve(kv, &seq, N_ROWS) == 0) {
		logits = xcalloc(d->n_vocab, sizeof(*logits));
		for (uint32_t i = 0; i < N_ROWS; i++)
			rows[i] = (struct batch_row){ .token = i * 2 %
			    d->n_vocab, .pos = i, .seq = &seq,
			    .wants_output = i == N_ROWS - 1 };
		model_forward(run, &b, logits, NULL);
		sink = (double)logits[d->n_vocab - 1];
		kv_seq_clear(kv, &seq);
		free(logits);
	}
	model_run_free(&run);
	kv_pool_free(&kv);
	return rc;
}

/* All that is built on the file: 0 or a refusal with its cause.  *g is NULL
 * afterwards if the model took it. */
static int
use_model(struct gguf **g, struct cause *cause)
{
	struct model *m = NULL;
	int rc;

	if ((rc = use_tokenizer(*g, cause)) < 0)
		return rc;
	if ((rc = model_open(g, &m, cause)) < 0)
		return rc;
	rc = use_weights(m, cause);
	model_free(&m);
	return rc;
}

int
exercise_file(const void *data, size_t n, bool *opened, struct cause *cause)
{
	static bool ready;
	struct gguf *g = NULL;
	int rc;

	*opened = false;
	if (!ready && (rc = kern_init(cause)) < 0)
		return rc;
	ready = true;
	rc = gguf_open_memory(data, n, &g, cause);
	*opened = rc == 0;
	if (rc < 0)
		return rc;
	use_keys(g);
	use_tensors(g);
	rc = use_model(&g, cause);
	gguf_free(&g);
	return rc;
}
