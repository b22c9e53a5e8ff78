/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' text form: base units (seconds, bytes), counters end in _total,
 * one HELP and TYPE a family with all its series below.
 *
 * What is told of models is told of their variants too, in families of their
 * own ("variant_" before the name), so that neither is counted twice by a sum
 * over a family.  A model's counters outlive its variants.
 */
#include "config.h"

#include "gate/metrics.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gate/rows.h"

/* Upper bounds of the histograms, in milliseconds. */
static const double bounds_ms[] = { 1, 2.5, 5, 10, 25, 50, 100, 250, 500,
    1000, 2500, 5000, 10000, 30000, 60000, 120000, 300000, 600000 };

/* Whose series: a model's, or one of its variants'. */
struct scope {
	const struct gate	*g;
	bool			 is_variant;
	const struct gate_model *m;
	const struct gate_variant *v;	/* NULL: the model */
	const struct tally	*tally;
};

static void
family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP bigmodel_%s %s\n# TYPE bigmodel_%s %s\n",
	    name, help, name, type);
}

static void
plain(struct buf *out, const char *name, const char *type, const char *help,
    double value)
{
	family(out, name, type, help);
	buf_printf(out, "bigmodel_%s %.15g\n", name, value);
}

/* Inside a label's quotes: backslash, quote and line end are escaped. */
static void
put_label(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n') {
			buf_puts(out, "\\n");
			continue;
		}
		if (*s == '"' || *s == '\\')
			buf_put_u8(out, '\\');
		buf_put_u8(out, (uint8_t)*s);
	}
}

/* ---- the models, or the variants, one after the other ---- */

/* A file that lies there and was never used has no series. */
static bool
is_shown(const struct gate *g, const struct gate_model *m,
    const struct gate_variant *v)
{
	const struct gate_worker *w;

	if (v == m->active || v == m->canary || v->n_requests > 0)
		return true;
	TAILQ_FOREACH(w, &g->workers, entry)
		if (w->variant == v)
			return true;
	return false;
}

static bool
next_variant(struct scope *s)
{
	do {
		if (s->v != NULL)
			s->v = TAILQ_NEXT(s->v, entry);
		while (s->v == NULL) {
			s->m = s->m == NULL ? TAILQ_FIRST(&s->g->models) :
			    TAILQ_NEXT(s->m, entry);
			if (s->m == NULL)
				return false;
			s->v = TAILQ_FIRST(&s->m->variants);
		}
	} while (!is_shown(s->g, s->m, s->v));
	s->tally = &s->v->tally;
	return true;
}

static bool
next_scope(struct scope *s)
{
	if (s->is_variant)
		return next_variant(s);
	s->m = s->m == NULL ? TAILQ_FIRST(&s->g->models) :
	    TAILQ_NEXT(s->m, entry);
	s->tally = s->m != NULL ? &s->m->tally : NULL;
	return s->m != NULL;
}

static void
scope_family(struct buf *out, const struct scope *s, const char *name,
    const char *type, const char *help)
{
	char full[64];

	snprintf(full, sizeof(full), "%s%s", s->is_variant ? "variant_" : "",
	    name);
	family(out, full, type, help);
}

/* Up to the last label, whose bracket is still open. */
static void
put_name(struct buf *out, const char *name, const char *suffix,
    const struct scope *s)
{
	buf_printf(out, "bigmodel_%s%s%s{model=\"",
	    s->is_variant ? "variant_" : "", name, suffix);
	put_label(out, s->m->name);
	if (s->is_variant) {
		buf_puts(out, "\",variant=\"");
		put_label(out, s->v->name);
	}
	buf_put_u8(out, '"');
}

static void
put_hist(struct buf *out, const char *name, const struct scope *s,
    const struct hist *h)
{
	for (size_t i = 0; i < N_ELEMENTS(bounds_ms); i++) {
		put_name(out, name, "_bucket", s);
		buf_printf(out, ",le=\"%g\"} %llu\n", bounds_ms[i] / 1000,
		    (unsigned long long)hist_count_upto(h, bounds_ms[i]));
	}
	put_name(out, name, "_bucket", s);
	buf_printf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)h->count);
	put_name(out, name, "_sum", s);
	buf_printf(out, "} %.9g\n", h->sum_ms / 1000);
	put_name(out, name, "_count", s);
	buf_printf(out, "} %llu\n", (unsigned long long)h->count);
}

/* ---- what a model or a variant has one value of ---- */

static bool
is_of(const struct scope *s, const struct gate_worker *w)
{
	return s->v != NULL ? w->variant == s->v : w->model == s->m;
}

static double
running(const struct scope *s)
{
	const struct gate_worker *w;
	const struct request *r;
	size_t n = 0;

	if (s->v == NULL)
		return (double)gate_model_running(s->g, s->m);
	TAILQ_FOREACH(w, &s->g->workers, entry) {
		if (!is_of(s, w))
			continue;
		TAILQ_FOREACH(r, &w->running, entry)
			n += r->kind == REQUEST_GENERATE;
	}
	return (double)n;
}

static double
queued(const struct scope *s)
{
	return (double)s->m->n_queued;
}

static double
workers_wanted(const struct scope *s)
{
	return s->m->workers_wanted;
}

static double
workers_min(const struct scope *s)
{
	return s->m->workers_min;
}

static double
workers_max(const struct scope *s)
{
	return s->m->workers_max;
}

static double
workers(const struct scope *s)
{
	const struct gate_worker *w;
	size_t n = 0;

	TAILQ_FOREACH(w, &s->g->workers, entry)
		n += is_of(s, w) && w->is_ready;
	return (double)n;
}

static double
model_memory(const struct scope *s)
{
	return (double)gate_model_memory(s->g, s->m);
}

static struct gate_memory
memory(const struct scope *s)
{
	struct gate_memory sum = { 0 }, one;
	const struct gate_variant *v;

	TAILQ_FOREACH(v, &s->m->variants, entry) {
		if (s->v != NULL && s->v != v)
			continue;
		one = gate_variant_memory(s->g, s->m, v);
		sum.private_bytes += one.private_bytes;
		sum.shared_bytes += one.shared_bytes;
	}
	return sum;
}

static double
memory_private(const struct scope *s)
{
	return (double)memory(s).private_bytes;
}

static double
memory_shared(const struct scope *s)
{
	return (double)memory(s).shared_bytes;
}

static double
kv_usage(const struct scope *s)
{
	const struct gate_worker *w;
	uint64_t used = 0, all = 0;

	TAILQ_FOREACH(w, &s->g->workers, entry) {
		if (!is_of(s, w) || !w->is_ready)
			continue;
		used += w->kv_pages_used;
		all += w->kv_pages;
	}
	return all == 0 ? 0 : (double)used / (double)all;
}

static double
prefix_hits(const struct scope *s)
{
	const struct tally *t = s->tally;

	return t->prompt_tokens == 0 ? 0 :
	    (double)t->cached_tokens / (double)t->prompt_tokens;
}

/* Of the new requests. */
static double
share(const struct scope *s)
{
	double canary = (double)s->m->percent / 100;

	if (s->v == s->m->canary)
		return canary;
	return s->v == s->m->active ? 1 - canary : 0;
}

enum { MODELS = 1, VARIANTS = 2, BOTH = 3 };

static const struct {
	int		 whose;
	const char	*name;
	double		 (*of)(const struct scope *);
	const char	*help;
} gauges[] = {
	{ BOTH, "running", running, "Requests that run." },
	{ MODELS, "queued", queued, "Requests that wait." },
	{ MODELS, "workers_wanted", workers_wanted,
	    "Worker processes wanted now, by configuration or autoscaler." },
	{ MODELS, "workers_min", workers_min, "The least that may be." },
	{ MODELS, "workers_max", workers_max, "The most that may be." },
	{ BOTH, "workers", workers, "Worker processes ready." },
	{ VARIANTS, "share_ratio", share, "Share of the new requests." },
	{ MODELS, "model_memory_bytes", model_memory,
	    "Weights, cache and scratch memory of all workers." },
	{ BOTH, "memory_private_bytes", memory_private,
	    "What each worker has for itself, of all workers." },
	{ BOTH, "memory_shared_bytes", memory_shared,
	    "Weights that the workers share, once for all." },
	{ BOTH, "kv_cache_usage_ratio", kv_usage,
	    "Share of the key/value cache in use, of all workers." },
	{ BOTH, "prefix_hit_ratio", prefix_hits,
	    "Share of all prompt tokens that were in the cache already." },
};

static const struct {
	const char	*name;
	size_t		 at;		/* in struct tally */
	const char	*help;
} counters[] = {
	{ "prompt_tokens_total", offsetof(struct tally, prompt_tokens),
	    "Tokens of prompts." },
	{ "prefix_cached_tokens_total", offsetof(struct tally, cached_tokens),
	    "Tokens of prompts that were in the cache already." },
	{ "completion_tokens_total", offsetof(struct tally, completion_tokens),
	    "Tokens generated." },
	{ "drafted_tokens_total", offsetof(struct tally, drafted_tokens),
	    "Tokens guessed from what a text had before." },
	{ "accepted_tokens_total", offsetof(struct tally, accepted_tokens),
	    "Tokens guessed rightly." },
	{ "worker_restarts_total", offsetof(struct tally, n_restarts),
	    "Workers started again after they died." },
}, hists[] = {
	{ "ttft_seconds", offsetof(struct tally, ttft),
	    "From a request's arrival to its first output." },
	{ "inter_token_seconds", offsetof(struct tally, gap),
	    "Between two outputs of a request." },
	{ "request_duration_seconds", offsetof(struct tally, duration),
	    "From a request's arrival to its end, of those that ran." },
	{ "queue_seconds", offsetof(struct tally, queue_time),
	    "From a request's arrival to its start on a worker." },
};

static void
put_value(struct buf *out, const char *name, const struct scope *s,
    double value)
{
	put_name(out, name, "", s);
	buf_printf(out, "} %.15g\n", value);
}

static void
put_gauges(struct gate *g, bool of_variants, struct buf *out)
{
	for (size_t i = 0; i < N_ELEMENTS(gauges); i++) {
		struct scope s = { .g = g, .is_variant = of_variants };

		if ((gauges[i].whose & (of_variants ? VARIANTS : MODELS)) == 0)
			continue;
		scope_family(out, &s, gauges[i].name, "gauge",
		    gauges[i].help);
		while (next_scope(&s))
			put_value(out, gauges[i].name, &s, gauges[i].of(&s));
	}
}

static void
put_deaths(struct gate *g, bool of_variants, struct buf *out)
{
	static const char *const kinds[DEATH_N] = { "crashed", "hung",
	    "killed" };
	struct scope s = { .g = g, .is_variant = of_variants };

	scope_family(out, &s, "worker_deaths_total", "counter",
	    "Workers that died unasked: by their own fault, hanging, or "
	    "killed by somebody.");
	while (next_scope(&s)) {
		for (size_t i = 0; i < DEATH_N; i++) {
			put_name(out, "worker_deaths_total", "", &s);
			buf_printf(out, ",kind=\"%s\"} %llu\n", kinds[i],
			    (unsigned long long)s.tally->n_deaths[i]);
		}
	}
}

static void
put_tallies(struct gate *g, bool of_variants, struct buf *out)
{
	for (size_t i = 0; i < N_ELEMENTS(counters); i++) {
		struct scope s = { .g = g, .is_variant = of_variants };

		scope_family(out, &s, counters[i].name, "counter",
		    counters[i].help);
		while (next_scope(&s))
			put_value(out, counters[i].name, &s,
			    (double)*(const uint64_t *)((const char *)s.tally +
			    counters[i].at));
	}
	for (size_t i = 0; i < N_ELEMENTS(hists); i++) {
		struct scope s = { .g = g, .is_variant = of_variants };

		scope_family(out, &s, hists[i].name, "histogram",
		    hists[i].help);
		while (next_scope(&s))
			put_hist(out, hists[i].name, &s,
			    (const struct hist *)((const char *)s.tally +
			    hists[i].at));
	}
}

/* Requests of a variant that ended, and those of them that failed. */
static void
put_variant_ends(struct gate *g, struct buf *out)
{
	struct scope s = { .g = g, .is_variant = true };

	scope_family(out, &s, "requests_total", "counter",
	    "Requests that ran and ended.");
	while (next_scope(&s))
		put_value(out, "requests_total", &s,
		    (double)s.v->n_requests);
	s = (struct scope){ .g = g, .is_variant = true };
	scope_family(out, &s, "errors_total", "counter",
	    "Requests that failed by no fault of their client.");
	while (next_scope(&s))
		put_value(out, "errors_total", &s, (double)s.v->n_errors);
}

/* Statuses that never occurred are left out, save "ok". */
static void
put_statuses(struct gate *g, struct buf *out)
{
	struct scope s = { .g = g };

	family(out, "requests_total", "counter",
	    "Requests that ended, by how; model is empty when none was found.");
	while (next_scope(&s)) {
		for (unsigned i = 0; i < STATS_N_STATUS; i++) {
			if (i != STATS_OK && s.m->n_by_status[i] == 0)
				continue;
			put_name(out, "requests_total", "", &s);
			buf_printf(out, ",status=\"%s\"} %llu\n",
			    stats_status_name(i),
			    (unsigned long long)s.m->n_by_status[i]);
		}
	}
	for (unsigned i = 0; i < STATS_N_STATUS; i++) {
		if (g->stats->n_no_model[i] != 0)
			buf_printf(out, "bigmodel_requests_total{model=\"\","
			    "status=\"%s\"} %llu\n", stats_status_name(i),
			    (unsigned long long)g->stats->n_no_model[i]);
	}
}

void
metrics_write(struct gate *g, struct buf *out)
{
	int64_t up_ms = MEM_MAX(clock_unix_ms() - g->started_ms, (int64_t)0);
	bool log_ok = g->reqlog != NULL && g->log_code == 0;

	family(out, "build_info", "gauge", "The version that runs.");
	buf_printf(out, "bigmodel_build_info{version=\"%s\"} 1\n",
	    PACKAGE_VERSION);
	plain(out, "uptime_seconds", "gauge", "Time since the daemon started.",
	    (double)up_ms / 1000);
	plain(out, "ready", "gauge", "1 when every model is ready.",
	    gate_is_ready(g));
	plain(out, "connections", "gauge", "Client connections open.",
	    (double)g->n_connections);
	put_statuses(g, out);
	put_variant_ends(g, out);
	for (int of_variants = 0; of_variants < 2; of_variants++) {
		put_gauges(g, of_variants, out);
		put_deaths(g, of_variants, out);
		put_tallies(g, of_variants, out);
	}
	plain(out, "retries_total", "counter",
	    "Requests run again because their worker ended.",
	    (double)g->stats->retries_total);
	plain(out, "workers_lost_total", "counter",
	    "Workers that ended unasked.",
	    (double)g->stats->workers_lost_total);
	plain(out, "log_ok", "gauge", "1 while the request log is written.",
	    log_ok);
	plain(out, "log_pending_rows", "gauge",
	    "Rows the request log has not confirmed.", (double)g->rows->n);
	plain(out, "log_dropped_rows_total", "counter",
	    "Rows given up because too many were pending.",
	    (double)g->rows->n_dropped);
}
