/* SPDX-License-Identifier: MIT */
/*
 * The variants of a model, as the master tells them, and which requests belong
 * to which.  A request is bound to a variant when it is sent to one of its
 * workers.  Once its client has seen output, only that variant may go on with
 * it; before, it may begin anew on another.
 */
#include "config.h"

#include "gate/core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/frame.h"

struct gate_variant *
variants_find(const struct gate_model *m, struct slice name)
{
	struct gate_variant *v;

	TAILQ_FOREACH(v, &m->variants, entry)
		if (slice_eq(name, v->name))
			return v;
	return NULL;
}

struct gate_variant *
variants_get(struct gate_model *m, struct slice name)
{
	struct gate_variant *v = variants_find(m, name);

	if (v != NULL)
		return v;
	v = xcalloc(1, sizeof(*v));
	v->name = slice_dup(name);
	v->path = xstrdup("");
	v->reason = xstrdup("");
	v->made_from = xstrdup("");
	v->perplexity = v->reference = v->kl_divergence = NAN;
	buf_init(&v->row, FRAME_BODY_MAX);
	TAILQ_INSERT_TAIL(&m->variants, v, entry);
	return v;
}

static void
variant_free(struct gate_model *m, struct gate_variant *v)
{
	TAILQ_REMOVE(&m->variants, v, entry);
	free(v->name);
	free(v->path);
	free(v->reason);
	free(v->made_from);
	buf_fini(&v->row);
	free(v);
}

void
variants_free(struct gate_model *m)
{
	while (!TAILQ_EMPTY(&m->variants))
		variant_free(m, TAILQ_FIRST(&m->variants));
}

/* ---- which requests ---- */

void
variants_bind(struct request *r, struct gate_variant *v)
{
	if (r->variant == v)
		return;
	if (r->variant != NULL)
		r->variant->n_bound--;
	if (v != NULL)
		v->n_bound++;
	r->variant = v;
}

void
variants_draw(struct gate_model *m, struct request *r)
{
	if (m->canary == NULL)
		return;
	/* Evenly: of 100 in a row exactly `percent`. */
	m->credit += m->percent;
	r->wants_canary = m->credit >= 100;
	if (r->wants_canary)
		m->credit -= 100;
}

/* ---- what the master tells ---- */

static void
note_registered(struct gate_variant *v, const struct msg_variant *s)
{
	v->file_bytes = s->file_bytes;
	v->perplexity = s->perplexity;
	v->reference = s->reference;
	v->kl_divergence = s->kl_divergence;
	v->created_ms = s->created_at;
	core_word(v->source, sizeof(v->source), s->source);
	core_text(&v->made_from, s->made_from);
	/* A worker that has it knows better. */
	if (v->type[0] != '\0')
		return;
	core_word(v->type, sizeof(v->type), s->type);
	v->bits_per_weight = isfinite(s->bits_per_weight) ?
	    s->bits_per_weight : 0;
}

void
variants_note(struct gate *g, const struct msg_variant *s)
{
	struct gate_model *m = workers_model(g, s->model);
	struct gate_variant *v;

	if (m == NULL)
		return;
	v = variants_get(m, s->name);
	core_text(&v->path, s->path);
	core_text(&v->reason, s->reason);
	core_word(v->state, sizeof(v->state), s->state);
	note_registered(v, s);
	v->percent_done = s->percent;
	v->term = s->term;
	v->is_leaving = strcmp(v->state, "leaving") == 0;
	v->was_idle = false;
	journal_variant(g, m, v, 0);
	core_dispatch(g, m);
	links_check_idle(g);
}

static bool
has_worker(const struct gate *g, const struct gate_variant *v)
{
	const struct gate_worker *w;

	TAILQ_FOREACH(w, &g->workers, entry)
		if (w->variant == v)
			return true;
	return false;
}

void
variants_gone(struct gate *g, const struct msg_variant_gone *s)
{
	struct gate_model *m = workers_model(g, s->model);
	struct gate_variant *v;

	if (m == NULL || (v = variants_find(m, s->name)) == NULL)
		return;
	journal_variant(g, m, v, clock_unix_ms());
	if (v->n_bound == 0 && v != m->active && v != m->canary &&
	    !has_worker(g, v))
		variant_free(m, v);
}

/* ---- idle ---- */

/* End what began on a variant that will have no worker any more. */
static void
end_stranded(struct gate *g, struct gate_model *m, struct gate_variant *v)
{
	struct request *r, *next;

	TAILQ_FOREACH_SAFE(r, &m->queue, entry, next)
		if (r->variant == v && r->n_generated > 0) {
			core_fail(g, r, BM_EWORKER,
			    "the variant it began on is gone", 0);
			break;	/* others may have ended with it */
		}
}

void
variants_check_idle(struct gate *g, struct gate_model *m)
{
	struct gate_variant *v;

	TAILQ_FOREACH(v, &m->variants, entry) {
		bool serves = v == m->active || v == m->canary ||
		    v->is_leaving;

		if (!serves && v->n_bound > 0 && !has_worker(g, v))
			end_stranded(g, m, v);
		if (!v->is_leaving || v->was_idle || v->n_bound > 0)
			continue;
		v->was_idle = true;
		chan_send(g->master, MSG_VARIANT_IDLE, 0, 0,
		    &(struct msg_variant_idle){ slice_of(m->name),
		    slice_of(v->name), v->term });
	}
}
