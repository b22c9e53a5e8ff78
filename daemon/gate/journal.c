/* SPDX-License-Identifier: MIT */
/*
 * Rows and events on their way to reqlog.  They stay in `rows` until reqlog
 * confirms them, so neither its death nor a full disk loses one before the
 * configured limit.
 */
#include "config.h"

#include "gate/core.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "gate/news.h"
#include "gate/rows.h"
#include "wire/frame.h"

#define VARIANTS_NS	(30 * CLOCK_NS_PER_S)

static void
add(struct gate *g, enum msg_type type, const void *m)
{
	uint64_t dropped = g->rows->n_dropped;

	/* Said once a backlog, not once a row. */
	if (!rows_add(g->rows, type, m) && !g->log_has_dropped) {
		g->log_has_dropped = true;
		log_warnx("the request log is behind by %zu rows; the oldest "
		    "are dropped from now on (%llu so far)", g->rows->n,
		    (unsigned long long)dropped + 1);
	}
	journal_pump(g);
}

static const char *
or_empty(const char *s)
{
	return s != NULL ? s : "";
}

void
journal_request(struct gate *g, const struct request *r,
    const struct request_result *res)
{
	const struct gate_model *m = r->on_model;
	struct msg_row row = {
		.uuid = slice_of(r->uuid),
		.started_at = r->arrived_unix_ms,
		.finished_at = clock_unix_ms(),
		.tenant = slice_of(r->tenant),
		.client = slice_of(r->client),
		.protocol = slice_of(or_empty(r->protocol)),
		.endpoint = slice_of(or_empty(r->endpoint)),
		.model = slice_of(m != NULL ? m->name : or_empty(r->model)),
		.variant = slice_of(r->variant != NULL ? r->variant->name :
		    ""),
		.worker = r->last_worker,
		.status = slice_of(res->code == 0 ? "ok" :
		    err_name(res->code)),
		.finish = slice_of(res->code == 0 ?
		    finish_name(res->finish) : ""),
		.prompt_tokens = res->prompt_tokens,
		.completion_tokens = res->completion_tokens,
		.cached_tokens = res->cached_tokens,
		.queue_ms = res->queue_ms,
		.prefill_ms = res->prefill_ms,
		.decode_ms = res->decode_ms,
		.ttft_ms = res->ttft_ms,
		.prompt = slice_of(r->prompt),
		.output = { (const char *)r->output.data, r->output.len },
		.params = slice_of(r->params),
	};

	add(g, MSG_ROW, &row);
}

void
journal_event(struct gate *g, const struct msg_event *m)
{
	add(g, MSG_EVENT, m);
	news_add(g->news, m);
}

/* ---- variants ---- */

/* To a tenth: small changes are no news. */
static double
speed_of(const struct gate_variant *v)
{
	return v->decode_ms <= 0 ? NAN :
	    round((double)v->decoded_tokens * 10000 / v->decode_ms) / 10;
}

void
journal_variant(struct gate *g, const struct gate_model *m,
    struct gate_variant *v, int64_t removed_at)
{
	struct msg_variant_row row = { .model = slice_of(m->name),
	    .name = slice_of(v->name), .file = slice_of(v->path),
	    .type = slice_of(v->type), .bits_per_weight =
	    v->bits_per_weight > 0 ? v->bits_per_weight : NAN,
	    .file_bytes = v->file_bytes, .source = slice_of(v->source),
	    .made_from = slice_of(v->made_from), .created_at = v->created_ms,
	    .perplexity = v->perplexity, .reference = v->reference,
	    .kl_divergence = v->kl_divergence, .tokens_per_s = speed_of(v),
	    .removed_at = removed_at };
	struct buf now;

	/* One that is only being made has no row and leaves none. */
	if (strcmp(v->state, "compressing") == 0 || v->source[0] == '\0')
		return;
	buf_init(&now, FRAME_BODY_MAX);
	if (msg_put(&now, MSG_VARIANT_ROW, &row) == 0 &&
	    (now.len != v->row.len ||
	    memcmp(now.data, v->row.data, now.len) != 0)) {
		buf_clear(&v->row);
		buf_put(&v->row, now.data, now.len);
		add(g, MSG_VARIANT_ROW, &row);
	}
	buf_fini(&now);
}

void
journal_variants(struct gate *g, uint64_t now_ns)
{
	struct gate_model *m;
	struct gate_variant *v;

	if (now_ns - g->variants_ns < VARIANTS_NS)
		return;
	g->variants_ns = now_ns;
	TAILQ_FOREACH(m, &g->models, entry)
		TAILQ_FOREACH(v, &m->variants, entry)
			journal_variant(g, m, v, 0);
}

void
gate_event(struct gate *g, const char *kind, const char *subject,
    const char *text, int64_t uid)
{
	char uuid[UUID_TEXT_SIZE];
	int64_t now = clock_unix_ms();
	struct msg_event m = { .at = now, .kind = slice_of(kind),
	    .subject = slice_of(subject), .text = slice_of(text),
	    .uid = uid };

	uuid_v7(now, uuid);
	m.uuid = slice_of(uuid);
	journal_event(g, &m);
}

/* ---- the link ---- */

static void
send_item(struct gate *g, const struct rows_item *it)
{
	struct cur body = cur_of(it->body, it->n_bytes);
	struct msg_row row;
	struct msg_event event;
	struct msg_variant_row variant;

	if (it->type == MSG_ROW && msg_get_row(body, &row) == 0)
		chan_send(g->reqlog, MSG_ROW, it->seq, 0, &row);
	else if (it->type == MSG_EVENT && msg_get_event(body, &event) == 0)
		chan_send(g->reqlog, MSG_EVENT, it->seq, 0, &event);
	else if (it->type == MSG_VARIANT_ROW &&
	    msg_get_variant_row(body, &variant) == 0)
		chan_send(g->reqlog, MSG_VARIANT_ROW, it->seq, 0, &variant);
}

void
journal_pump(struct gate *g)
{
	const struct rows_item *it;

	if (g->reqlog == NULL)
		return;
	while ((it = rows_next(g->rows)) != NULL)
		send_item(g, it);
}

static void
on_old_event(void *arg, unsigned type, struct cur body)
{
	struct gate *g = arg;
	struct msg_record m;

	if (type == MSG_RECORD && msg_get_record(body, &m) == 0)
		news_recall(g->news, m.json);
}

static void
on_old_events_end(void *arg, int code, const char *text)
{
	struct gate *g = arg;

	news_recalled(g->news);
	g->has_news = code == 0;
}

/* What happened before this gate began. */
static void
ask_old_events(struct gate *g)
{
	struct msg_query m = { .kind = slice_of("events") };
	char limit[16];
	struct buf list;

	buf_init(&list, 256);
	snprintf(limit, sizeof(limit), "%d", NEWS_MAX);
	strs_put(&list, slice_of("--limit"));
	strs_put(&list, slice_of(limit));
	m.words = (struct slice){ (const char *)list.data, list.len };
	gate_ask(g, R_REQLOG, MSG_QUERY, &m, on_old_event, on_old_events_end,
	    g);
	buf_fini(&list);
}

void
journal_link(struct gate *g, struct chan *c)
{
	g->reqlog = c;
	rows_rewind(g->rows);
	journal_pump(g);
	if (!g->has_news)
		ask_old_events(g);
}

void
journal_lost(struct gate *g)
{
	g->reqlog = NULL;
	g->reqlog_lost_ns = clock_now_ns();
	rows_rewind(g->rows);
}

static void
on_state(struct gate *g, const struct msg_log_state *m)
{
	char text[sizeof(g->log_text)];
	bool was_failing = g->log_code != 0;

	g->log_code = m->code;
	str_vis(text, sizeof(text), m->text.p, m->text.n);
	str_copy(g->log_text, m->code != 0 ? text : "", sizeof(g->log_text));
	if (m->code != 0 && !was_failing) {
		log_warnx("the request log can't be written: %s", text);
		gate_event(g, "log_failing", "reqlog", text, -1);
	} else if (m->code == 0 && was_failing) {
		log_info("the request log is written again");
		gate_event(g, "log_ok", "reqlog", "", -1);
	}
}

void
journal_frame(struct gate *g, const struct frame *f)
{
	struct msg_ack ack;
	struct msg_log_state state;

	if (f->type == MSG_ACK && msg_get_ack(f->body, &ack) == 0) {
		rows_ack(g->rows, ack.upto);
		if (g->rows->n == 0)
			g->log_has_dropped = false;
		journal_pump(g);
	} else if (f->type == MSG_LOG_STATE &&
	    msg_get_log_state(f->body, &state) == 0) {
		on_state(g, &state);
	}
}
