/* SPDX-License-Identifier: MIT */
/*
 * A round begins when somebody joins and none is under way, and is over when
 * the master has answered or PATIENCE_NS later.  Its answer is waited for
 * also beyond that: until it is there nothing more is asked, so a master that
 * is slow is not asked the more for it.
 *
 * A snapshot is made of what the show commands write: their lines become the
 * elements of arrays.
 */
#include "config.h"

#include "gate/watch.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gate/history.h"
#include "gate/news.h"
#include "gate/show.h"

#define PATIENCE_NS	(CLOCK_NS_PER_S / 4)
#define COMMON_BYTES_MAX ((size_t)16 << 20)
#define STEP_MS		1000	/* of the history */

TAILQ_HEAD(watch_list, watch);

struct watch_hub {
	struct watch_list joined;	/* of the round under way */
	uint64_t	 began_ns;	/* of the round */
	uint32_t	 ticket;	/* the master has not answered yet */
	struct procs	 look;		/* that it is telling */
	struct buf	 common;	/* of the last round */
	uint64_t	 built_ns;
	int64_t		 built_ms;	/* as Unix time */
};

struct watch_hub *
watch_hub_new(void)
{
	struct watch_hub *h = xcalloc(1, sizeof(*h));

	TAILQ_INIT(&h->joined);
	buf_init(&h->common, COMMON_BYTES_MAX);
	return h;
}

void
watch_hub_free(struct gate *g)
{
	struct watch_hub *h = g->watch;

	gate_ask_forget(g, h->ticket);
	procs_fini(&h->look);
	buf_fini(&h->common);
	free(h);
	g->watch = NULL;
}

/* ---- what is the same for all ---- */

/* Lines from `at` on become the elements of an array: none has a line end
 * within, JSON escapes it. */
static void
close_array(struct buf *b, size_t at)
{
	uint8_t *p = b->data + at, *end = b->data + b->len;

	if (b->failed)
		return;
	if (p == end) {
		buf_put_u8(b, ']');
		return;
	}
	for (; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		*p = p == end - 1 ? ']' : ',';
}

static size_t
open_array(struct buf *b, const char *key)
{
	buf_printf(b, ",\"%s\":[", key);
	return b->len;
}

static void
build(struct gate *g, struct buf *b)
{
	size_t at, n_omitted;

	buf_clear(b);
	buf_puts(b, ",\"status\":");
	show_status(g, b);
	b->len -= !b->failed;	/* its line end */
	at = open_array(b, "processes");
	show_processes(g, b);
	close_array(b, at);
	at = open_array(b, "models");
	show_models(g, b);
	close_array(b, at);
	at = open_array(b, "variants");
	show_variants(g, b);
	close_array(b, at);
	at = open_array(b, "workers");
	show_workers(g, b);
	close_array(b, at);
	at = open_array(b, "requests");
	n_omitted = show_requests_brief(g, WATCH_REQUESTS_MAX, b);
	close_array(b, at);
	buf_printf(b, ",\"requests_omitted\":%zu", n_omitted);
}

/* ---- rounds ---- */

void
watch_leave(struct gate *g, struct watch *w)
{
	if (!w->is_joined)
		return;
	w->is_joined = false;
	TAILQ_REMOVE(&g->watch->joined, w, entry);
}

/* Everybody who has joined so far gets what there is. */
static void
end_round(struct gate *g)
{
	struct watch_hub *h = g->watch;
	struct watch *w;

	if (TAILQ_EMPTY(&h->joined))
		return;
	h->built_ns = clock_now_ns();
	history_levels(g->history, h->built_ns, g->n_queued, g->n_running);
	h->built_ms = clock_unix_ms();
	build(g, &h->common);
	while ((w = TAILQ_FIRST(&h->joined)) != NULL) {
		watch_leave(g, w);
		w->due(w->arg);
	}
}

static void
on_proc(void *arg, unsigned type, struct cur body)
{
	struct gate *g = arg;

	procs_add(&g->watch->look, type, body);
}

static void
on_procs_end(void *arg, int code, const char *text)
{
	struct gate *g = arg;
	struct watch_hub *h = g->watch;

	h->ticket = 0;
	procs_replace(&g->procs, &h->look, clock_now_ns(), clock_unix_ms());
	end_round(g);
}

void
watch_join(struct gate *g, struct watch *w)
{
	struct watch_hub *h = g->watch;
	bool is_first = TAILQ_EMPTY(&h->joined);

	if (w->is_joined)
		return;
	w->is_joined = true;
	TAILQ_INSERT_TAIL(&h->joined, w, entry);
	if (is_first)
		h->began_ns = clock_now_ns();
	if (h->ticket == 0 && is_first)
		h->ticket = gate_ask(g, R_MASTER, MSG_PROCS,
		    &(struct msg_procs){ 0 }, on_proc, on_procs_end, g);
}

void
watch_tick(struct gate *g, uint64_t now_ns)
{
	struct watch_hub *h = g->watch;

	history_levels(g->history, now_ns, g->n_queued, g->n_running);
	if (!TAILQ_EMPTY(&h->joined) && now_ns - h->began_ns > PATIENCE_NS)
		end_round(g);
}

unsigned
watch_delay_ms(const struct watch *w, uint64_t now_ns)
{
	uint64_t now_ms = now_ns / CLOCK_NS_PER_MS;
	unsigned ms = (unsigned)(w->interval_ms - now_ms % w->interval_ms);

	/* A timer may be early: that was this round. */
	return ms < w->interval_ms / 4 ? ms + w->interval_ms : ms;
}

/* ---- a snapshot ---- */

static void
put_series(const struct history *h, uint64_t from, const char *key,
    size_t offset, struct buf *out)
{
	buf_printf(out, ",\"%s\":[", key);
	for (uint64_t s = from; s < h->second; s++)
		buf_printf(out, s == from ? "%u" : ",%u",
		    *(const uint32_t *)((const char *)history_at(h, s) +
		    offset));
	buf_put_u8(out, ']');
}

static void
put_ttft(const struct history *h, uint64_t from, struct buf *out)
{
	buf_puts(out, ",\"ttft_p95_ms\":[");
	for (uint64_t s = from; s < h->second; s++) {
		double ms = history_at(h, s)->ttft_p95_ms;

		if (s != from)
			buf_put_u8(out, ',');
		if (isfinite(ms))
			buf_printf(out, "%.3f", ms);
		else
			buf_puts(out, "null");
	}
	buf_put_u8(out, ']');
}

static void
put_history(const struct watch_hub *hub, const struct history *h,
    struct watch *w, struct buf *out)
{
	uint64_t from = MEM_MAX(w->next_second, history_first(h));
	uint64_t end_ns = h->second * CLOCK_NS_PER_S;
	int64_t ago_ms = ((int64_t)hub->built_ns - (int64_t)end_ns) /
	    (int64_t)CLOCK_NS_PER_MS;

	buf_printf(out, ",\"history\":{\"step_ms\":%d,\"at\":%lld", STEP_MS,
	    (long long)(hub->built_ms - ago_ms));
#define SERIES(key) \
	put_series(h, from, #key, offsetof(struct history_point, key), out)
	SERIES(tokens);
	SERIES(requests);
	SERIES(queued);
	SERIES(running);
	put_ttft(h, from, out);
	SERIES(errors);
#undef SERIES
	buf_put_u8(out, '}');
	w->next_second = h->second;
}

void
watch_put(struct gate *g, struct watch *w, struct buf *out)
{
	const struct watch_hub *h = g->watch;
	size_t at;

	buf_printf(out, "{\"at\":%lld,\"seq\":%llu,\"interval_ms\":%u",
	    (long long)h->built_ms, (unsigned long long)w->seq++,
	    w->interval_ms);
	buf_put(out, h->common.data, h->common.len);
	at = open_array(out, "events");
	news_put(g->news, w->next_event, out);
	close_array(out, at);
	w->next_event = g->news->next;
	put_history(h, g->history, w, out);
	buf_puts(out, "}\n");
}

void
watch_skip(struct watch *w)
{
	w->seq++;
}
