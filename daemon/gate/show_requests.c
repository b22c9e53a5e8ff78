/* SPDX-License-Identifier: MIT */
/*
 * The live requests: all of them with their texts, or for a screen that is
 * drawn anew all the time the first few hundred without.
 */
#include "config.h"

#include "gate/show.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gate/sched.h"
#include "gate/show_json.h"

#define TEXT_BYTES	4096	/* shown of a text */
#define BRIEF_BYTES	200	/* of the prompt, in brief */

/* A string of a client may be long: look no further than is shown. */
static struct slice
begin_of(const char *s)
{
	return (struct slice){ s, s == NULL ? 0 : strnlen(s, TEXT_BYTES + 1) };
}

/* The columns of the log that are not known before the end are there too. */
static void
set_progress(const struct request *r, uint64_t now_ns, json_t *o)
{
	uint64_t begun_ns = r->dispatched_ns != 0 ? r->dispatched_ns : now_ns;

	show_set_int(o, "started_at", (uint64_t)r->arrived_unix_ms);
	json_object_set_new(o, "finished_at", json_null());
	show_set_str(o, "status", r->worker != NULL ? "running" : "queued");
	json_object_set_new(o, "finish", json_null());
	show_set_int(o, "cached_tokens", r->cached_tokens);
	show_set_num(o, "queue_ms", clock_ms_between(r->arrived_ns, begun_ns));
	show_set_num(o, "prefill_ms", r->first_output_ns == 0 ? 0 :
	    clock_ms_between(begun_ns, r->first_output_ns));
	show_set_num(o, "decode_ms", r->first_output_ns == 0 ? 0 :
	    clock_ms_between(r->first_output_ns, now_ns));
	show_set_num(o, "ttft_ms", r->first_output_ns == 0 ? 0 :
	    clock_ms_between(r->arrived_ns, r->first_output_ns));
}

/* What the log is not to keep is not shown either. */
static void
set_texts(const struct gate *g, const struct request *r, bool is_brief,
    json_t *o)
{
	bool is_kept = strcmp(g->conf.log_keep, "full") == 0;

	show_set_begin(o, "prompt", is_kept ? begin_of(r->prompt) :
	    (struct slice){ 0 }, is_brief ? BRIEF_BYTES : TEXT_BYTES);
	if (is_brief)
		return;
	show_set_begin(o, "output", is_kept ? (struct slice){
	    (const char *)r->output.data, r->output.len } :
	    (struct slice){ 0 }, TEXT_BYTES);
	show_set_begin(o, "params", begin_of(r->params), TEXT_BYTES);
}

static void
show_request(const struct gate *g, const struct request *r, uint64_t now_ns,
    bool is_brief, struct buf *out)
{
	json_t *o = json_object();

	show_set_str(o, "id", r->uuid);
	show_set_begin(o, "tenant", begin_of(r->tenant), TEXT_BYTES);
	show_set_str(o, "client", r->client);
	show_set_str(o, "protocol", r->protocol);
	show_set_str(o, "endpoint", r->endpoint);
	show_set_str(o, "model", r->on_model->name);
	show_set_str(o, "variant", r->variant != NULL ? r->variant->name : "");
	json_object_set_new(o, "worker", r->worker != NULL ?
	    json_integer(r->worker->id) : json_null());
	show_set_str(o, "state", r->worker != NULL ? "running" : "queued");
	show_set_int(o, "priority", (uint64_t)r->priority);
	json_object_set_new(o, "position", r->worker != NULL ? json_null() :
	    json_integer((json_int_t)r->position));
	show_set_num(o, "age_ms", clock_ms_between(r->arrived_ns, now_ns));
	show_set_int(o, "prompt_tokens", r->prompt_tokens);
	show_set_int(o, "completion_tokens", r->n_generated);
	show_set_int(o, "retries", r->n_retries);
	set_progress(r, now_ns, o);
	set_texts(g, r, is_brief, o);
	show_put(out, o);
}

static int
by_arrival(const void *a, const void *b)
{
	const struct request *x = *(struct request *const *)a;
	const struct request *y = *(struct request *const *)b;

	return (x->id > y->id) - (x->id < y->id);
}

/* What runs, oldest first, before what waits, by its place. */
static int
by_turn(const void *a, const void *b)
{
	const struct request *x = *(struct request *const *)a;
	const struct request *y = *(struct request *const *)b;

	if ((x->worker != NULL) != (y->worker != NULL))
		return x->worker != NULL ? -1 : 1;
	if (x->worker == NULL && x->position != y->position)
		return x->position < y->position ? -1 : 1;
	return by_arrival(a, b);
}

/* All there are, their positions told, in that order; to be freed. */
static struct request **
sorted(struct gate *g, int (*order)(const void *, const void *))
{
	size_t n = 0, at = 0;
	struct request *r, **all = xreallocarray(NULL, g->requests.n + 1,
	    sizeof(struct request *));
	struct gate_model *m;

	TAILQ_FOREACH(m, &g->models, entry)
		sched_number(m);
	while ((r = map_next(&g->requests, &at)) != NULL)
		all[n++] = r;
	qsort(all, n, sizeof(struct request *), order);
	return all;
}

void
show_requests(struct gate *g, struct buf *out)
{
	struct request **all = sorted(g, by_arrival);
	uint64_t now_ns = clock_now_ns();

	for (size_t i = 0; i < g->requests.n; i++)
		show_request(g, all[i], now_ns, false, out);
	free(all);
}

size_t
show_requests_brief(struct gate *g, size_t most, struct buf *out)
{
	struct request **all = sorted(g, by_turn);
	uint64_t now_ns = clock_now_ns();
	size_t n = MEM_MIN(g->requests.n, most);

	for (size_t i = 0; i < n; i++)
		show_request(g, all[i], now_ns, true, out);
	free(all);
	return g->requests.n - n;
}
