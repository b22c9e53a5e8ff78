/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "tests/unit/fake_core.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct fake_core fake;

void
fake_init(void)
{
	memset(&fake, 0, sizeof(fake));
	conf_init(&fake.g.conf);
	TAILQ_INIT(&fake.g.models);
	TAILQ_INIT(&fake.g.workers);
	fake.tale.name = (char *)(uintptr_t)"tale";
	memcpy(fake.tale.state, "ready", 6);
	fake.tale.created_s = 1700000000;
	fake.tale.n_ctx = 2048;
	fake.tale.active = &fake.f16;
	TAILQ_INSERT_TAIL(&fake.g.models, &fake.tale, entry);
}

void
fake_fini(void)
{
	while (fake.n_live > 0)
		request_free(fake.live[--fake.n_live]);
	conf_fini(&fake.g.conf);
}

static void
forget(struct request *r)
{
	for (size_t i = 0; i < fake.n_live; i++)
		if (fake.live[i] == r) {
			fake.n_live--;
			memmove(&fake.live[i], &fake.live[i + 1],
			    (fake.n_live - i) * sizeof(fake.live[0]));
			break;
		}
	request_free(r);
}

/* ---- what tests do ---- */

void
fake_output(struct request *r, const char *text)
{
	static const uint32_t token = 7;

	if (r->events->output != NULL)
		r->events->output(r, slice_of(text),
		    (struct words){ .p = &token, .n = 1 },
		    (struct slice){ .p = "", .n = 0 });
}

void
fake_output_logprob(struct request *r, const char *text, float logprob)
{
	static const uint32_t token = 7;
	struct logprob_item item = { .token = 7, .logprob = logprob,
	    .piece = slice_of(text), .n_top = 1 };
	struct buf b;

	buf_init(&b, 4096);
	logprob_put(&b, &item);
	item.n_top = 0;
	logprob_put(&b, &item);
	r->events->output(r, slice_of(text),
	    (struct words){ .p = &token, .n = 1 },
	    (struct slice){ .p = buf_cstr(&b), .n = b.len });
	buf_fini(&b);
}

void
fake_done(struct request *r, int code)
{
	struct request_result res = { .code = code,
	    .message = code != 0 ? "it failed" : "", .finish = FINISH_LENGTH,
	    .prompt_tokens = 5, .completion_tokens = 3, .cached_tokens = 2,
	    .queue_ms = 0.1, .prefill_ms = 3.2, .decode_ms = 20.8,
	    .retry_ms = code == BM_EQUEUE ? 1500 : 0 };

	r->events->done(r, &res);
	forget(r);
}

/* ---- request.h ---- */

struct request *
request_new(enum request_kind kind)
{
	struct request *r = xcalloc(1, sizeof(*r));

	r->kind = kind;
	uuid_v7(1700000000000, r->uuid);
	return r;
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
	free(r);
}

void *
request_own(struct request *r, const void *p, size_t n)
{
	r->own = xreallocarray(r->own, r->n_own + 1, sizeof(*r->own));
	return r->own[r->n_own++] = xmemdup0(n > 0 ? p : "", n);
}

void
request_submit(struct gate *g, struct request *r)
{
	static const uint32_t tokens[] = { 1, 2, 3 };

	fake.n_submitted++;
	if (fake.n_live == FAKE_MAX)
		abort();
	fake.live[fake.n_live++] = r;
	if (!fake.is_instant)
		return;
	if (r->kind == REQUEST_TOKENIZE)
		r->events->tokens(r, (struct words){ .p = tokens, .n = 3 });
	else if (r->kind != REQUEST_GENERATE)
		r->events->text(r, slice_of("some text"));
	else if (fake.code == 0)
		fake_output(r, " there");
	fake_done(r, fake.code);
}

void
request_refuse(struct gate *g, struct request *r, int code)
{
	fake.n_refused++;
	fake.code = code;
	request_free(r);
}

void
request_abandon(struct gate *g, struct request *r)
{
	fake.n_abandoned++;
	forget(r);
}

void
request_cancel(struct gate *g, struct request *r)
{
	fake.n_cancelled++;
	fake_done(r, BM_ECANCEL);
}

/* ---- gate.h ---- */

struct gate_model *
gate_model_find(struct gate *g, const char *name)
{
	struct gate_model *m;

	TAILQ_FOREACH(m, &g->models, entry)
		if (name == NULL || strcmp(m->name, name) == 0)
			return m;
	return NULL;
}

bool
gate_is_ready(const struct gate *g)
{
	return !g->is_draining;
}

const struct conf_tenant *
gate_tenant(const struct gate *g, struct slice key, bool *needed)
{
	*needed = g->conf.n_tenants > 0;
	for (size_t i = 0; i < g->conf.n_tenants; i++)
		if (slice_eq(key, g->conf.tenants[i].key))
			return &g->conf.tenants[i];
	return NULL;
}
