/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/procs.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

void
procs_add(struct procs *p, unsigned type, struct cur body)
{
	struct msg_proc m;
	struct msg_memory memory;
	struct proc *to;
	size_t n;

	if (type == MSG_MEMORY && msg_get_memory(body, &memory) == 0)
		p->memory = memory;
	if (type != MSG_PROC || msg_get_proc(body, &m) != 0)
		return;
	p->v = xreallocarray(p->v, p->n + 1, sizeof(*p->v));
	to = &p->v[p->n++];
	*to = (struct proc){ .role = m.role, .worker = m.worker,
	    .pid = m.pid, .restarts = m.restarts, .started_ms = m.started_ms,
	    .rss_bytes = m.rss_bytes,
	    .shared_bytes = MEM_MIN(m.shared_bytes, m.rss_bytes),
	    .cpu_ns = m.cpu_ns };
	n = MEM_MIN(m.state.n, sizeof(to->state) - 1);
	memcpy(to->state, n > 0 ? m.state.p : "", n);
}

void
procs_fini(struct procs *p)
{
	free(p->v);
	*p = (struct procs){ 0 };
}

static const struct proc *
find(const struct procs *p, const struct proc *like)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct proc *known = &p->v[i];

		if (known->role == like->role && known->pid == like->pid &&
		    known->worker == like->worker)
			return known;
	}
	return NULL;
}

static double
percent(uint64_t cpu_ns, uint64_t ns)
{
	return ns == 0 ? 0 : 100 * (double)cpu_ns / (double)ns;
}

/* known: the same process when it was seen before, or NULL. */
static void
set_share(struct proc *p, const struct proc *known, uint64_t now_ns,
    int64_t unix_ms)
{
	int64_t age_ms = MEM_MAX(unix_ms - p->started_ms, (int64_t)0);

	if (p->pid == 0)
		return;
	if (known != NULL && now_ns - known->base_ns < PROCS_SPAN_NS) {
		p->cpu_percent = known->cpu_percent;
		p->base_ns = known->base_ns;
		p->base_cpu_ns = known->base_cpu_ns;
		return;
	}
	if (known == NULL)
		p->cpu_percent = percent(p->cpu_ns, (uint64_t)age_ms *
		    CLOCK_NS_PER_MS);
	else if (p->cpu_ns > known->base_cpu_ns)
		p->cpu_percent = percent(p->cpu_ns - known->base_cpu_ns,
		    now_ns - known->base_ns);
	p->base_ns = now_ns;
	p->base_cpu_ns = p->cpu_ns;
}

void
procs_replace(struct procs *known, struct procs *look, uint64_t now_ns,
    int64_t unix_ms)
{
	if (look->n == 0)
		return;
	for (size_t i = 0; i < look->n; i++)
		set_share(&look->v[i], find(known, &look->v[i]), now_ns,
		    unix_ms);
	procs_fini(known);
	*known = *look;
	*look = (struct procs){ 0 };
}

const struct proc *
procs_worker(const struct procs *p, uint32_t worker)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].role == R_WORKER && p->v[i].worker == worker)
			return &p->v[i];
	}
	return NULL;
}
