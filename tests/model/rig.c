/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"
#include "kernels/kernels.h"

void
rig_open(struct rig *r, const char *path, int n_threads, size_t n_tokens)
{
	struct gguf *g = open_gguf(path);
	const struct model_desc *d;
	struct kv_shape kv;
	struct cause cause = { 0 };

	memset(r, 0, sizeof(*r));
	if (model_open(&g, &r->model, &cause) != 0)
		fail_msg("%s: %s", path, cause.text);
	d = model_desc(r->model);
	kv = model_kv_shape(r->model, ATTEND_F16);
	r->n_vocab = d->n_vocab;
	r->n_embd = d->n_embd;
	if (pool_new(&r->pool, n_threads, &cause) != 0 ||
	    kv_pool_new(&kv, n_tokens / KV_PAGE + 16, &r->kv, &cause) != 0 ||
	    model_run_new(r->model, r->pool, r->kv, n_tokens, &r->run,
	    &cause) != 0)
		fail_msg("%s: %s", path, cause.text);
}

void
rig_close(struct rig *r)
{
	assert_int_equal(kv_pool_n_free(r->kv), kv_pool_n_pages(r->kv));
	model_run_free(&r->run);
	kv_pool_free(&r->kv);
	pool_free(&r->pool);
	model_free(&r->model);
}

void
rig_feed(struct rig *r, struct kv_seq *seq, const uint32_t *tokens, size_t n,
    size_t piece, float *logits, float *hidden)
{
	struct batch_row *rows = xcalloc(n, sizeof(*rows));

	assert_int_equal(kv_seq_reserve(r->kv, seq,
	    seq->n_tokens + (uint32_t)n), 0);
	for (size_t i = 0; i < n; i++)
		rows[i] = (struct batch_row){ tokens[i],
		    seq->n_tokens + (uint32_t)i, seq, true };
	for (size_t i = 0; i < n; i += piece) {
		struct batch b = { rows + i, MEM_MIN(piece, n - i) };

		model_forward(r->run, &b,
		    logits == NULL ? NULL : logits + i * r->n_vocab,
		    hidden == NULL ? NULL : hidden + i * r->n_embd);
	}
	free(rows);
}

float *
rig_logits(struct rig *r, const uint32_t *tokens, size_t n, size_t piece)
{
	struct kv_seq seq = { 0 };
	float *logits = xcalloc(n * r->n_vocab, sizeof(*logits));

	rig_feed(r, &seq, tokens, n, piece, logits, NULL);
	kv_seq_clear(r->kv, &seq);
	return logits;
}

void
for_each_level(void (*fn)(const char *level))
{
	/* The sanitizers are slow, and see the other levels in checkkern. */
	bool best_only = getenv("BM_SANITIZED") != NULL;
	size_t n = 0;

	while (kern_level_name(n) != NULL)
		n++;
	while (n-- > 0) {
		const char *level = kern_level_name(n);
		struct cause cause = { 0 };

		if (kern_init_level(level, &cause) != 0) {
			print_message("# level %s: %s\n", level, cause.text);
			continue;
		}
		fn(level);
		if (best_only)
			break;
	}
}
