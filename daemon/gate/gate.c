/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/core.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "gate/history.h"
#include "gate/news.h"
#include "gate/rows.h"
#include "gate/sched.h"
#include "gate/watch.h"

void
gate_init(struct gate *g)
{
	memset(g, 0, sizeof(*g));
	conf_init(&g->conf);
	TAILQ_INIT(&g->models);
	TAILQ_INIT(&g->workers);
	TAILQ_INIT(&g->tenants);
	map_init(&g->requests);
	map_init(&g->asks);
	g->stats = xcalloc(1, sizeof(*g->stats));
	g->history = xcalloc(1, sizeof(*g->history));
	g->news = xcalloc(1, sizeof(*g->news));
	news_init(g->news);
	g->watch = watch_hub_new();
	g->rows = xcalloc(1, sizeof(*g->rows));
	rows_init(g->rows, (size_t)g->conf.log_pending_rows);
	g->deadlines = xcalloc(1, sizeof(*g->deadlines));
	g->started_ms = clock_unix_ms();
	g->reqlog_lost_ns = clock_now_ns();
	str_copy(g->state, "starting", sizeof(g->state));
}

void
core_text(char **to, struct slice s)
{
	free(*to);
	*to = slice_dup(s);
}

void
core_word(char *to, size_t size, struct slice s)
{
	size_t n = MEM_MIN(s.n, size - 1);

	memcpy(to, n > 0 ? s.p : "", n);
	to[n] = '\0';
}

struct gate_model *
gate_model_find(struct gate *g, const char *name)
{
	struct gate_model *m;

	if (name == NULL || *name == '\0') {
		TAILQ_FOREACH(m, &g->models, entry) {
			if (!m->is_going)
				return m;
		}
		return TAILQ_FIRST(&g->models);
	}
	TAILQ_FOREACH(m, &g->models, entry) {
		if (strcmp(m->name, name) == 0)
			return m;
	}
	return NULL;
}

static bool
has_ready_worker(const struct gate *g, const struct gate_model *m)
{
	const struct gate_worker *w;

	TAILQ_FOREACH(w, &g->workers, entry) {
		if (w->model == m && w->is_ready && !w->is_draining)
			return true;
	}
	return false;
}

const struct gate_model *
gate_unready_model(const struct gate *g)
{
	const struct gate_model *m;

	TAILQ_FOREACH(m, &g->models, entry) {
		if (!m->is_going && !has_ready_worker(g, m) &&
		    strcmp(m->state, "idle") != 0)
			return m;
	}
	return NULL;
}

bool
gate_is_ready(const struct gate *g)
{
	const struct gate_model *m;
	size_t n = 0;

	if (g->is_draining || gate_unready_model(g) != NULL)
		return false;
	TAILQ_FOREACH(m, &g->models, entry)
		n += !m->is_going;
	return n > 0;
}

/* The time it takes must not tell how much of a key was right. */
static bool
keys_equal(struct slice a, const char *b)
{
	size_t n = strlen(b);
	unsigned diff = a.n != n;

	for (size_t i = 0; i < a.n && n > 0; i++)
		diff |= (unsigned char)a.p[i] ^ (unsigned char)b[i % n];
	return diff == 0;
}

const struct conf_tenant *
gate_tenant(const struct gate *g, struct slice key, bool *needed)
{
	const struct conf_tenant *found = NULL;

	*needed = false;
	for (size_t i = 0; i < g->conf.n_tenants; i++) {
		const struct conf_tenant *t = &g->conf.tenants[i];

		if (t->key == NULL || *t->key == '\0')
			continue;
		*needed = true;
		if (keys_equal(key, t->key))
			found = t;
	}
	return found;
}

size_t
gate_workers_ready(const struct gate *g, const struct gate_model *m)
{
	const struct gate_worker *w;
	size_t n = 0;

	TAILQ_FOREACH(w, &g->workers, entry)
		n += (m == NULL || w->model == m) && w->is_ready;
	return n;
}

struct gate_memory
gate_variant_memory(const struct gate *g, const struct gate_model *m,
    const struct gate_variant *v)
{
	const struct gate_worker *w;
	size_t n = 0;

	TAILQ_FOREACH(w, &g->workers, entry)
		n += w->variant == v && w->is_ready;
	if (n == 0 && v == m->active)
		n = 1;
	return (struct gate_memory){ n * v->own_bytes,
	    n > 0 ? v->shared_bytes : 0 };
}

uint64_t
gate_model_memory(const struct gate *g, const struct gate_model *m)
{
	const struct gate_variant *v;
	uint64_t sum = 0;

	TAILQ_FOREACH(v, &m->variants, entry) {
		struct gate_memory memory = gate_variant_memory(g, m, v);

		sum += memory.private_bytes + memory.shared_bytes;
	}
	return sum;
}

size_t
gate_model_running(const struct gate *g, const struct gate_model *m)
{
	const struct gate_worker *w;
	const struct request *r;
	size_t n = 0;

	TAILQ_FOREACH(w, &g->workers, entry) {
		if (w->model != m)
			continue;
		TAILQ_FOREACH(r, &w->running, entry)
			n += r->kind == REQUEST_GENERATE;
	}
	return n;
}
