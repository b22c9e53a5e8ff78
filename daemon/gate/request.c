/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* What is kept of an answer for the log. */
#define OUTPUT_LOGGED_MAX ((size_t)1 << 20)

struct request *
request_new(enum request_kind kind)
{
	struct request *r = xcalloc(1, sizeof(*r));

	r->kind = kind;
	uuid_v7(clock_unix_ms(), r->uuid);
	r->priority = REQUEST_PRIORITY;
	buf_init(&r->output, OUTPUT_LOGGED_MAX);
	if (kind == REQUEST_GENERATE) {
		struct msg_run *m = &r->m.run;

		m->add_special = 1;
		m->max_tokens = -1;
		m->n_probs = -1;
		m->temperature = 0.8f;
		m->top_k = 40;
		m->top_p = 0.95f;
		m->min_p = 0.05f;
		m->repeat_penalty = 1;
		m->repeat_last_n = 64;
	}
	return r;
}

void *
request_own(struct request *r, const void *p, size_t n)
{
	char *copy = xmalloc(n + 1);

	memcpy(copy, n > 0 ? p : "", n);
	copy[n] = '\0';
	/* Room for a power of two of them; n_own says which. */
	if ((r->n_own & (r->n_own - 1)) == 0)
		r->own = xreallocarray(r->own,
		    MEM_MAX(r->n_own * 2, (size_t)4), sizeof(*r->own));
	r->own[r->n_own++] = copy;
	return copy;
}

void
request_free(struct request *r)
{
	for (size_t i = 0; i < r->n_own; i++)
		free(r->own[i]);
	free(r->own);
	free(r->model);
	free(r->tenant);
	free(r->prompt);
	free(r->params);
	free(r->generated);
	affinity_key_fini(&r->key);
	buf_fini(&r->output);
	free(r);
}
