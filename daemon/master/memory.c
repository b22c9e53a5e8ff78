/* SPDX-License-Identifier: MIT */
/*
 * The account of memory (master/account.h) of the workers there are.  There
 * are two sums of what is committed: `now` counts every worker until its
 * process is gone, and one whose needs are not known yet with all that it was
 * allowed; `soon` leaves out those that are on their way out and counts the
 * unknown with the least they need.  What fits soon but not now waits; for
 * what fits neither, models that nobody uses give way where they may, and it
 * is refused if that does not suffice.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/granted.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "master/master.h"

/* Reading /proc takes its time; free and ours move against each other, so
 * their sum holds a while. */
#define FRESH_NS	CLOCK_NS_PER_S

enum when { NOW, SOON };

/* ---- the limit ---- */

/* What workers have that nobody else could: file pages are free to take. */
static uint64_t
ours(const struct master *m)
{
	const struct model *model;
	const struct variant *v;
	const struct child *w;
	uint64_t sum = 0;

	TAILQ_FOREACH(model, &m->models, entry)
		TAILQ_FOREACH(v, &model->variants, entry) {
			uint64_t shared = 0;

			TAILQ_FOREACH(w, &model->workers, entry) {
				uint64_t own = 0, of_memfd = 0;

				if (w->variant == v && w->pid != 0)
					granted_of_process(w->pid, &own,
					    &of_memfd);
				sum += own;
				shared = MEM_MAX(shared, of_memfd);
			}
			sum += shared;
		}
	return sum;
}

static uint64_t
limit(struct master *m)
{
	struct memory *mem = &m->memory;
	uint64_t now_ns = clock_now_ns();

	if (mem->read_ns == 0 || now_ns - mem->read_ns >= FRESH_NS ||
	    mem->configured_bytes != m->conf.limits_memory) {
		mem->read_ns = now_ns;
		mem->configured_bytes = m->conf.limits_memory;
		mem->limit_bytes = account_limit(m->conf.limits_memory,
		    granted_memory_bytes(), granted_memory_free_bytes(),
		    ours(m));
	}
	return mem->limit_bytes;
}

/* ---- what is committed ---- */

static bool
counts(const struct child *w, enum when when)
{
	bool stays = !w->is_surplus && !w->model->is_evicted;

	if (w->sup.has_process)
		return when == NOW || stays;
	/* One that crashed comes back. */
	return stays && w->sup.state != SUP_FAILED;
}

static size_t
count_of(const struct model *model, const struct variant *v, enum when when,
    const struct child *but)
{
	const struct child *w;
	size_t n = 0;

	TAILQ_FOREACH(w, &model->workers, entry)
		n += w->variant == v && w != but && counts(w, when);
	return n;
}

static uint64_t
committed_of(const struct model *model, const struct variant *v,
    enum when when, const struct child *but)
{
	const struct child *w;
	uint64_t weights = 0, sum = 0;

	TAILQ_FOREACH(w, &model->workers, entry) {
		uint64_t bytes = account_worker_bytes(&w->cost);

		if (w->variant != v || w == but || !counts(w, when))
			continue;
		if (when == NOW && !w->cost.is_known)
			bytes = MEM_MAX(bytes, w->granted_bytes);
		sum += bytes;
		weights = MEM_MAX(weights, w->cost.weights_bytes);
	}
	return sum + weights;
}

/* Without the worker `but`. */
static struct account
account_of(struct master *m, enum when when, const struct child *but)
{
	struct account a = { .limit_bytes = limit(m) };
	const struct model *model;
	const struct variant *v;

	TAILQ_FOREACH(model, &m->models, entry)
		TAILQ_FOREACH(v, &model->variants, entry)
			a.committed_bytes += committed_of(model, v, when,
			    but);
	return a;
}

/* ---- what a worker will need ---- */

struct account_cost
memory_expected(const struct conf_model *conf, uint64_t file_bytes)
{
	return (struct account_cost){ .weights_bytes = file_bytes,
	    .kv_bytes = conf->kv_cache };
}

static struct account_cost
cost_of(const struct model *model, const struct variant *v)
{
	return v->cost.is_known ? v->cost :
	    memory_expected(&model->conf, v->file_bytes);
}

void
memory_note(struct child *w, const struct msg_model_info *info)
{
	uint64_t shared = MEM_MIN(info->shared_bytes, info->weight_bytes);

	w->cost = (struct account_cost){ .is_known = true,
	    .weights_bytes = shared,
	    .own_bytes = info->weight_bytes - shared,
	    .kv_bytes = info->kv_bytes,
	    .scratch_bytes = info->scratch_bytes };
	w->variant->cost = w->cost;
}

void
memory_forget(struct model *model)
{
	struct variant *v;

	TAILQ_FOREACH(v, &model->variants, entry)
		v->cost = (struct account_cost){ 0 };
}

/* ---- what a worker may have ---- */

/* Workers of v that are wanted, whose needs nobody knows and who have not been
 * told what they may have. */
static size_t
n_ungranted(const struct model *model, const struct variant *v)
{
	size_t wanted = swap_wanted(model, v);
	const struct child *w;
	size_t n = 0;

	if (model->is_going || v->cost.is_known)
		return 0;
	TAILQ_FOREACH(w, &model->workers, entry)
		n += w->variant == v && !w->is_surplus &&
		    w->granted_bytes != 0;
	return wanted - MEM_MIN(n, wanted);
}

/* Even shares, once all have the weights that they are known to need. */
static uint64_t
even_share(struct master *m, const struct child *c, uint64_t left)
{
	const struct model *model;
	const struct variant *v;
	size_t n = 0;

	TAILQ_FOREACH(model, &m->models, entry)
		TAILQ_FOREACH(v, &model->variants, entry) {
			size_t n_of = n_ungranted(model, v);

			n += n_of;
			if (n_of > 0 && v != c->variant &&
			    count_of(model, v, NOW, NULL) == 0)
				left -= MEM_MIN(left, v->file_bytes);
		}
	return left / MEM_MAX(n, (size_t)1);
}

void
memory_grant(struct child *c, struct msg_model *msg)
{
	struct account a;
	uint64_t left, weights;

	c->granted_bytes = 0;
	c->cost = cost_of(c->model, c->variant);
	a = account_of(c->master, NOW, c);
	weights = c->cost.weights_bytes;
	left = account_left(&a);
	if (count_of(c->model, c->variant, NOW, c) == 0)
		left -= MEM_MIN(left, weights);
	if (!c->cost.is_known) {
		left = even_share(c->master, c, left);
		c->granted_bytes = MEM_MAX(left, (uint64_t)1);
	} else if (c->model->conf.kv_cache == 0) {
		/* Workers of a model are alike. */
		msg->kv_bytes = c->cost.kv_bytes;
	}
	msg->memory_budget = MEM_MAX(left + weights, (uint64_t)1);
}

/* ---- who may give way ---- */

static uint64_t
committed_of_model(const struct model *model)
{
	const struct variant *v;
	uint64_t sum = 0;

	TAILQ_FOREACH(v, &model->variants, entry)
		sum += committed_of(model, v, SOON, NULL);
	return sum;
}

static bool
is_used(const struct model *model)
{
	return model->load.n_queued + model->load.n_running > 0;
}

/* Not in the middle of a change. */
static bool
may_go(const struct model *model)
{
	const struct variant *v;

	TAILQ_FOREACH(v, &model->variants, entry)
		if (v->is_leaving)
			return false;
	return model->conf.evict && !model->is_going && !model->is_trial &&
	    model->n_workers > 0 && model->swap.next == NULL &&
	    TAILQ_EMPTY(&model->asks);
}

/* Those beside model; the caller frees *out.  busy: also those that are used
 * just now. */
static size_t
candidates(struct master *m, const struct model *model, bool busy,
    struct account_idle **out)
{
	struct model *other;
	size_t n = 0;

	*out = NULL;
	TAILQ_FOREACH(other, &m->models, entry) {
		if (other == model || !may_go(other) ||
		    (is_used(other) && !busy))
			continue;
		*out = xreallocarray(*out, n + 1, sizeof(**out));
		(*out)[n++] = (struct account_idle){ other, other->used_ns,
		    committed_of_model(other) };
	}
	return n;
}

static void
evict(struct master *m, const struct account_idle *v, const char *why)
{
	struct model *model = v->model;
	char gives[24];

	model->is_evicted = true;
	snprintf(model->why, sizeof(model->why), "gave way after %.0f s "
	    "without a request (%s): %s", clock_ms_between(v->used_ns,
	    clock_now_ns()) / 1000, str_from_bytes(gives, sizeof(gives),
	    v->bytes), why);
	model_scale_to(m, model, "evicted", 0);
	/* Whoever was settled before must see it. */
	m->is_unsettled = true;
}

/* Would bytes be given back if all that may do so went? */
static bool
could_make_room(struct master *m, const struct model *model, bool busy,
    uint64_t bytes)
{
	struct account_idle *v;
	size_t n = candidates(m, model, busy, &v);
	bool suffices = account_evict(v, n, bytes) <= n;

	free(v);
	return suffices;
}

static bool
make_room(struct master *m, const struct model *model, uint64_t bytes,
    const char *why)
{
	struct account_idle *v;
	size_t n = candidates(m, model, false, &v);
	size_t n_go = account_evict(v, n, bytes);

	for (size_t i = 0; n_go <= n && i < n_go; i++)
		evict(m, &v[i], why);
	free(v);
	return n_go <= n;
}

bool
memory_evict_more(struct master *m, const struct model *model,
    const char *why)
{
	return make_room(m, model, 1, why);
}

/* Do processes still end that make room: of models that gave way, and those
 * that could not load in what there was? */
static bool
is_being_made(const struct master *m)
{
	const struct model *model;
	const struct child *w;

	TAILQ_FOREACH(model, &m->models, entry)
		TAILQ_FOREACH(w, &model->workers, entry)
			if (model->is_evicted || (w->is_surplus &&
			    w->sup.has_process && !w->cost.is_known))
				return true;
	return false;
}

/* ---- may there be more? ---- */

/* What n_more lack, once those that are leaving are gone; 0: nothing. */
static uint64_t
lacking(struct master *m, const struct account_cost *cost, size_t n_now,
    size_t n_more)
{
	struct account a = account_of(m, SOON, NULL);
	uint64_t need = account_need(cost, n_now, n_more);

	return need - MEM_MIN(need, account_left(&a));
}

int
memory_check(struct master *m, const char *name,
    const struct account_cost *cost, size_t n_now, size_t n_more,
    struct cause *cause)
{
	struct account a = account_of(m, SOON, NULL);
	int r = account_check(&a, name, cost, n_now, n_more, cause);

	return r != 0 && could_make_room(m, model_find(m, name), false,
	    lacking(m, cost, n_now, n_more)) ? 0 : r;
}

int
memory_check_more(struct master *m, const struct model *model,
    const struct variant *v, size_t n_more, struct cause *cause)
{
	struct account_cost cost = cost_of(model, v);

	return memory_check(m, model->conf.name, &cost,
	    count_of(model, v, SOON, NULL), n_more, cause);
}

size_t
memory_room(struct master *m, const struct model *model, size_t most)
{
	struct account a = account_of(m, SOON, NULL);
	struct account_cost cost = cost_of(model, model->active);

	return account_room(&a, &cost,
	    count_of(model, model->active, SOON, NULL), most);
}

enum memory_answer
memory_ask(struct master *m, const struct model *model,
    const struct variant *v, struct cause *cause)
{
	struct account a = account_of(m, NOW, NULL);
	struct account_cost cost = cost_of(model, v);
	size_t n_now = count_of(model, v, SOON, NULL);
	uint64_t lacks;

	if (account_check(&a, model->conf.name, &cost,
	    count_of(model, v, NOW, NULL), 1, cause) == 0)
		/* One whose needs are unknown is to get all the room. */
		return !cost.is_known && is_being_made(m) ? MEMORY_SOON :
		    MEMORY_FITS;
	if ((lacks = lacking(m, &cost, n_now, 1)) == 0)
		return MEMORY_SOON;
	a = account_of(m, SOON, NULL);
	(void)(account_check(&a, model->conf.name, &cost, n_now, 1,
	    cause) == 0);
	if (make_room(m, model, lacks, cause->text))
		return MEMORY_SOON;
	/* Requests can wait for others that end. */
	return is_used(model) && could_make_room(m, model, true, lacks) ?
	    MEMORY_SOON : MEMORY_SHORT;
}

struct account
memory_account(struct master *m)
{
	return account_of(m, SOON, NULL);
}
