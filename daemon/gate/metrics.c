/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' text form: base units (seconds, bytes), counters end in _total,
 * one HELP and TYPE a family with all its models below.
 */
#include "config.h"

#include "gate/metrics.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gate/rows.h"

/* Upper bounds of the histograms, in milliseconds. */
static const double bounds_ms[] = { 1, 2.5, 5, 10, 25, 50, 100, 250, 500,
    1000, 2500, 5000, 10000, 30000, 60000, 120000, 300000, 600000 };

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

static void
put_name(struct buf *out, const char *name, const char *suffix,
    const struct gate_model *m)
{
	buf_printf(out, "bigmodel_%s%s{model=\"", name, suffix);
	put_label(out, m->name);
	buf_put_u8(out, '"');
}

static void
put_hist(struct buf *out, const char *name, const struct gate_model *m,
    const struct hist *h)
{
	for (size_t i = 0; i < N_ELEMENTS(bounds_ms); i++) {
		put_name(out, name, "_bucket", m);
		buf_printf(out, ",le=\"%g\"} %llu\n", bounds_ms[i] / 1000,
		    (unsigned long long)hist_count_upto(h, bounds_ms[i]));
	}
	put_name(out, name, "_bucket", m);
	buf_printf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)h->count);
	put_name(out, name, "_sum", m);
	buf_printf(out, "} %.9g\n", h->sum_ms / 1000);
	put_name(out, name, "_count", m);
	buf_printf(out, "} %llu\n", (unsigned long long)h->count);
}

/* ---- one value a model ---- */

static double
kv_usage(const struct gate *g, const struct gate_model *m)
{
	const struct gate_worker *w;
	uint64_t used = 0, all = 0;

	TAILQ_FOREACH(w, &g->workers, entry) {
		if (w->model != m || !w->is_ready)
			continue;
		used += w->kv_pages_used;
		all += w->kv_pages;
	}
	return all == 0 ? 0 : (double)used / (double)all;
}

enum value { V_RUNNING, V_QUEUED, V_WORKERS, V_WORKERS_READY, V_MEMORY,
    V_KV_USAGE, V_PROMPT_TOKENS, V_CACHED_TOKENS, V_COMPLETION_TOKENS,
    V_DRAFTED_TOKENS, V_ACCEPTED_TOKENS };

static const struct {
	enum value	 value;
	const char	*name;
	const char	*type;
	const char	*help;
} values[] = {
	{ V_RUNNING, "running", "gauge", "Requests that run." },
	{ V_QUEUED, "queued", "gauge", "Requests that wait." },
	{ V_WORKERS, "workers_wanted", "gauge",
	    "Worker processes configured." },
	{ V_WORKERS_READY, "workers", "gauge", "Worker processes ready." },
	{ V_MEMORY, "model_memory_bytes", "gauge",
	    "Weights, cache and scratch memory of all workers." },
	{ V_KV_USAGE, "kv_cache_usage_ratio", "gauge",
	    "Share of the key/value cache in use, of all workers." },
	{ V_PROMPT_TOKENS, "prompt_tokens_total", "counter",
	    "Tokens of prompts." },
	{ V_CACHED_TOKENS, "prefix_cached_tokens_total", "counter",
	    "Tokens of prompts that were in the cache already." },
	{ V_COMPLETION_TOKENS, "completion_tokens_total", "counter",
	    "Tokens generated." },
	{ V_DRAFTED_TOKENS, "drafted_tokens_total", "counter",
	    "Tokens guessed from what a text had before." },
	{ V_ACCEPTED_TOKENS, "accepted_tokens_total", "counter",
	    "Tokens guessed rightly." },
};

static double
value_of(const struct gate *g, const struct gate_model *m, enum value v)
{
	switch (v) {
	case V_RUNNING:
		return (double)gate_model_running(g, m);
	case V_QUEUED:
		return (double)m->n_queued;
	case V_WORKERS:
		return m->workers_min;
	case V_WORKERS_READY:
		return (double)gate_workers_ready(g, m);
	case V_MEMORY:
		return (double)gate_model_memory(g, m);
	case V_KV_USAGE:
		return kv_usage(g, m);
	case V_PROMPT_TOKENS:
		return (double)m->prompt_tokens;
	case V_CACHED_TOKENS:
		return (double)m->cached_tokens;
	case V_COMPLETION_TOKENS:
		return (double)m->completion_tokens;
	case V_DRAFTED_TOKENS:
		return (double)m->drafted_tokens;
	case V_ACCEPTED_TOKENS:
		return (double)m->accepted_tokens;
	}
	return 0;
}

static void
put_values(struct gate *g, struct buf *out)
{
	const struct gate_model *m;

	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		family(out, values[i].name, values[i].type, values[i].help);
		TAILQ_FOREACH(m, &g->models, entry) {
			put_name(out, values[i].name, "", m);
			buf_printf(out, "} %.15g\n",
			    value_of(g, m, values[i].value));
		}
	}
}

static void
put_hists(struct gate *g, struct buf *out)
{
	const struct gate_model *m;

	family(out, "ttft_seconds", "histogram",
	    "From a request's arrival to its first output.");
	TAILQ_FOREACH(m, &g->models, entry)
		put_hist(out, "ttft_seconds", m, &m->ttft);
	family(out, "request_duration_seconds", "histogram",
	    "From a request's arrival to its end, of those that ran.");
	TAILQ_FOREACH(m, &g->models, entry)
		put_hist(out, "request_duration_seconds", m, &m->duration);
	family(out, "queue_seconds", "histogram",
	    "From a request's arrival to its start on a worker.");
	TAILQ_FOREACH(m, &g->models, entry)
		put_hist(out, "queue_seconds", m, &m->queue_time);
}

/* Statuses that never occurred are left out, save "ok". */
static void
put_statuses(struct gate *g, struct buf *out)
{
	const struct gate_model *m;

	family(out, "requests_total", "counter",
	    "Requests that ended, by how; model is empty when none was found.");
	TAILQ_FOREACH(m, &g->models, entry) {
		for (unsigned i = 0; i < STATS_N_STATUS; i++) {
			if (i != STATS_OK && m->n_by_status[i] == 0)
				continue;
			put_name(out, "requests_total", "", m);
			buf_printf(out, ",status=\"%s\"} %llu\n",
			    stats_status_name(i),
			    (unsigned long long)m->n_by_status[i]);
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
	put_values(g, out);
	put_hists(g, out);
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
