/* SPDX-License-Identifier: MIT */
/*
 * The links to the workers.  A worker is known by its number from the first
 * frame that names it until WORKER_GONE; its link may come before or after the
 * master tells its state.
 */
#include "config.h"

#include "gate/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

struct gate_model *
workers_model(struct gate *g, struct slice name)
{
	struct gate_model *m;

	TAILQ_FOREACH(m, &g->models, entry) {
		if (slice_eq(name, m->name))
			return m;
	}
	return NULL;
}

struct gate_worker *
workers_find(struct gate *g, uint32_t id)
{
	struct gate_worker *w;

	TAILQ_FOREACH(w, &g->workers, entry) {
		if (w->id == id)
			break;
	}
	return w;
}

struct gate_worker *
workers_get(struct gate *g, uint32_t id)
{
	struct gate_worker *w = workers_find(g, id);

	if (w != NULL)
		return w;
	w = xcalloc(1, sizeof(*w));
	w->gate = g;
	w->id = id;
	w->started_ms = clock_unix_ms();
	w->variant_name = xstrdup("");
	w->model_name = xstrdup("");
	w->crash = xstrdup("");
	str_copy(w->state, "starting", sizeof(w->state));
	TAILQ_INIT(&w->running);
	map_init(&w->ending);
	TAILQ_INSERT_TAIL(&g->workers, w, entry);
	return w;
}

static void
unlink_worker(struct gate *g, struct gate_worker *w)
{
	struct chan *c = w->chan;

	if (c == NULL)
		return;
	w->chan = NULL;
	asks_lost(g, c);
	core_worker_lost(g, w);
	chan_free(&c);
}

void
workers_gone(struct gate *g, struct gate_worker *w)
{
	unlink_worker(g, w);
	TAILQ_REMOVE(&g->workers, w, entry);
	map_fini(&w->ending);
	free(w->variant_name);
	free(w->model_name);
	free(w->crash);
	free(w);
}

void
workers_assign(struct gate *g, struct gate_worker *w, struct slice model,
    struct slice variant)
{
	if (!slice_eq(model, w->model_name))
		core_text(&w->model_name, model);
	if (!slice_eq(variant, w->variant_name))
		core_text(&w->variant_name, variant);
	/* Requests on it belong to the model it had. */
	if (!TAILQ_EMPTY(&w->running))
		return;
	w->model = workers_model(g, model);
	w->variant = w->model != NULL ? variants_get(w->model, variant) :
	    NULL;
}

static void
note_variant(struct gate_variant *v, const struct msg_model_info *i)
{
	core_word(v->type, sizeof(v->type), i->type);
	v->file_bytes = i->file_bytes;
	v->shared_bytes = MEM_MIN(i->shared_bytes, i->weight_bytes);
	v->kv_bytes = i->kv_bytes;
	v->scratch_bytes = i->scratch_bytes;
	v->own_bytes = i->weight_bytes - v->shared_bytes + i->kv_bytes +
	    i->scratch_bytes;
	v->bits_per_weight = (double)i->bits_per_weight;
}

static void
note_model(struct gate_model *m, const struct msg_model_info *i)
{
	core_word(m->architecture, sizeof(m->architecture), i->architecture);
	core_word(m->chat_form, sizeof(m->chat_form), i->chat_form);
	m->n_params = i->n_params;
	m->n_threads_chosen = i->n_threads;
	m->n_ctx = i->n_ctx;
	m->n_vocab = i->n_vocab;
}

static void
on_model_info(struct gate *g, struct gate_worker *w,
    const struct msg_model_info *i)
{
	struct gate_model *m;

	workers_assign(g, w, i->name, i->variant);
	w->n_parallel = MEM_MAX(i->n_parallel, 1);
	w->n_threads = i->n_threads;
	core_word(w->cpu_level, sizeof(w->cpu_level), i->cpu_level);
	w->is_ready = true;
	if ((m = w->model) == NULL)
		return;
	note_variant(w->variant, i);
	if (w->variant == m->active)
		note_model(m, i);
	core_dispatch(g, m);
}

static void
count_guesses(struct tally *t, const struct gate_worker *w,
    const struct msg_load *l)
{
	t->drafted_tokens += l->drafted_tokens - w->drafted_tokens;
	t->accepted_tokens += l->accepted_tokens - w->accepted_tokens;
}

static void
on_load(struct gate_worker *w, const struct msg_load *l)
{
	/* A worker counts from its start, a model for ever. */
	if (w->model != NULL) {
		count_guesses(&w->model->tally, w, l);
		count_guesses(&w->variant->tally, w, l);
	}
	w->drafted_tokens = l->drafted_tokens;
	w->accepted_tokens = l->accepted_tokens;
	w->tokens_per_s = l->tokens_per_s;
	w->kv_pages_used = l->kv_pages_used;
	w->kv_pages = l->kv_pages;
	w->load_ns = clock_now_ns();
}

void
workers_count_death(struct gate_worker *w, const struct msg_worker_died *d)
{
	int kind = d->is_hung ? DEATH_HUNG : d->is_suspicious ?
	    DEATH_CRASHED : DEATH_KILLED;

	if (w->model == NULL)
		return;
	w->model->tally.n_deaths[kind]++;
	w->variant->tally.n_deaths[kind]++;
	if (kind != DEATH_KILLED)
		canary_count_crash(w->variant);
}

/* n: how often the master started it again so far. */
void
workers_count_restarts(struct gate_worker *w, uint32_t n)
{
	if (w->model != NULL && n > w->restarts) {
		w->model->tally.n_restarts += n - w->restarts;
		w->variant->tally.n_restarts += n - w->restarts;
	}
	w->restarts = n;
}

static void
worker_frame(struct chan *c, const struct frame *f, void *arg)
{
	struct gate_worker *w = arg;
	struct gate *g = w->gate;
	struct msg_model_info info;
	struct msg_load load;

	if (asks_frame(g, f))
		return;
	switch (f->type) {
	case MSG_HELLO:
		break;
	case MSG_MODEL_INFO:
		if (msg_get_model_info(f->body, &info) == 0)
			on_model_info(g, w, &info);
		break;
	case MSG_LOAD:
		if (msg_get_load(f->body, &load) == 0)
			on_load(w, &load);
		break;
	default:
		core_frame(g, w, f);
	}
}

void
workers_lost(struct gate *g, struct gate_worker *w)
{
	if (w->chan == NULL)
		return;
	/* Not those that were sent away. */
	if (!w->is_draining && !g->is_draining &&
	    (w->model == NULL || !w->model->is_going))
		g->stats->workers_lost_total++;
	unlink_worker(g, w);
}

static void
worker_close(struct chan *c, int err, void *arg)
{
	struct gate_worker *w = arg;
	struct gate *g = w->gate;

	/* A killed worker's link is reset; the master tells of its death. */
	if (err != 0 && err != -ECONNRESET)
		log_warnx("worker %u: link failed: %s", w->id, err_text(err));
	workers_lost(g, w);
	links_check_idle(g);
}

static const struct chan_handler worker_handler = { worker_frame,
    worker_close };

void
workers_link(struct gate *g, const struct msg_peer *m, int fd)
{
	struct gate_worker *w = workers_get(g, m->worker);

	unlink_worker(g, w);
	workers_assign(g, w, m->model, m->variant);
	w->is_draining = w->was_idle = false;
	w->drafted_tokens = w->accepted_tokens = 0;
	memset(&w->affinity, 0, sizeof(w->affinity));
	w->chan = chan_new(g->loop, fd, R_GATE, R_WORKER, &worker_handler, w);
}
