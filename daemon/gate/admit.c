/* SPDX-License-Identifier: MIT */
/*
 * May a request come in?  The answers are ordered: what can't be served at all
 * first, then the tenant's share, then the room in the queue.
 */
#include "config.h"

#include "gate/core.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gate/sched.h"

static void
name_models(const struct gate *g, const char *asked, struct cause *cause)
{
	char list[160] = "";
	const struct gate_model *m;
	size_t at = 0;

	TAILQ_FOREACH(m, &g->models, entry) {
		int n = snprintf(list + at, sizeof(list) - at, "%s%s",
		    at > 0 ? ", " : "", m->name);

		if (n < 0 || (size_t)n >= sizeof(list) - at)
			break;
		at += (size_t)n;
	}
	list[at] = '\0';
	if (asked == NULL || *asked == '\0')
		cause_set(cause, BM_ENOMODEL, "no model is loaded");
	else
		cause_set(cause, BM_ENOMODEL, "no model \"%.60s\"; %s%s",
		    asked, at > 0 ? "there is: " : "no model is loaded", list);
}

static int
check_model(const struct gate *g, const struct gate_model *m,
    const char *asked, struct cause *cause)
{
	if (g->is_draining)
		return cause_set(cause, BM_EOVERLOAD,
		    "the daemon is shutting down");
	if (m == NULL) {
		name_models(g, asked, cause);
		return cause->code;
	}
	if (m->is_going)
		return cause_set(cause, BM_EOVERLOAD,
		    "model \"%s\" is being unloaded", m->name);
	if (strcmp(m->state, "failed") == 0 &&
	    sched_worker(&g->workers, m, NULL, false) == NULL)
		return cause_set(cause, BM_EOVERLOAD,
		    "model \"%s\" could not be started: %s", m->name,
		    m->reason != NULL ? m->reason : "");
	return 0;
}

static struct tenant_use *
tenant_use(struct gate *g, const char *name)
{
	struct tenant_use *u;

	TAILQ_FOREACH(u, &g->tenants, entry) {
		if (strcmp(u->name, name) == 0)
			return u;
	}
	u = xcalloc(1, sizeof(*u));
	u->name = xstrdup(name);
	TAILQ_INSERT_TAIL(&g->tenants, u, entry);
	return u;
}

static uint64_t
tenant_limit(const struct gate *g, const char *name)
{
	for (size_t i = 0; i < g->conf.n_tenants; i++) {
		if (strcmp(g->conf.tenants[i].name, name) == 0)
			return g->conf.tenants[i].max_running;
	}
	return 0;
}

static int
check_tenant(struct gate *g, struct request *r, struct cause *cause)
{
	struct tenant_use *u;
	uint64_t limit;

	if (r->tenant == NULL || *r->tenant == '\0')
		return 0;
	u = tenant_use(g, r->tenant);
	limit = tenant_limit(g, r->tenant);
	if (limit != 0 && u->n_live >= limit)
		return cause_set(cause, BM_EQUOTA,
		    "tenant \"%s\" has %llu requests running, its limit",
		    u->name, (unsigned long long)limit);
	r->use = u;
	return 0;
}

/* Would it have to wait, and is there room to wait? */
static int
check_queue(const struct gate *g, const struct gate_model *m,
    const struct request *r, struct cause *cause)
{
	bool is_run = r->kind == REQUEST_GENERATE;

	if (sched_worker(&g->workers, m, NULL, is_run) != NULL &&
	    (!is_run || TAILQ_EMPTY(&m->queue)))
		return 0;
	if (g->n_queued < g->conf.limits_queue)
		return 0;
	return cause_set(cause, BM_EQUEUE,
	    "the queue is full: %zu requests wait", g->n_queued);
}

int
core_admit(struct gate *g, struct request *r, struct cause *cause)
{
	struct gate_model *m = r->on_model;
	int code;

	if ((code = check_model(g, m, r->model, cause)) != 0 ||
	    (code = check_tenant(g, r, cause)) != 0 ||
	    (code = check_queue(g, m, r, cause)) != 0)
		return code;
	return 0;
}
