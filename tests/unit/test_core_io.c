/* SPDX-License-Identifier: MIT */
/*
 * The gate's core against a master, workers and a reqlog that this test plays
 * itself at the other ends of socketpairs.  The loop runs only while a frame
 * is awaited, so nothing here depends on time.
 */
#include "config.h"

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gate/core.h"
#include "gate/history.h"
#include "gate/metrics.h"
#include "gate/news.h"
#include "gate/rows.h"
#include "gate/sched.h"
#include "gate/watch.h"
#include "wire/fd_io.h"
#include "wire/sync_io.h"

/* ---- what the protocols would offer ---- */

static int n_drains;

void
clients_listen(struct gate *g, enum listen_kind kind, int fd,
    const char *addr)
{
	close(fd);
}

void
clients_unlisten(struct gate *g, enum listen_kind kind)
{
}

void
clients_drain(struct gate *g)
{
	n_drains++;
}

/* ---- the world ---- */

struct peer {
	struct sync_io	 io;
};

struct world {
	struct gate	 g;
	struct peer	 master;
	struct peer	 reqlog;
	struct peer	 worker[3];	/* by number */
};

static struct world o;

static void
spin(void)
{
	for (int i = 0; i < 4; i++)
		ev_run(o.g.loop, EVRUN_NOWAIT);
}

static void
say(struct peer *p, enum msg_type type, uint32_t seq, uint64_t id,
    const void *m, int fd)
{
	assert_int_equal(sync_send(&p->io, type, seq, id, m, fd), 0);
	spin();
}

/* The next frame but for what the master is told of the load. */
static int
next_frame(struct peer *p, struct frame *f, int timeout_ms)
{
	int r;

	spin();
	do
		r = sync_recv(&p->io, f, timeout_ms);
	while (r == 0 && f->type == MSG_MODEL_LOAD);
	return r;
}

/* The next frame the gate sent to p; it must be of that type. */
static struct frame
hear(struct peer *p, enum msg_type type)
{
	struct frame f;

	if (next_frame(p, &f, 1000) != 0)
		fail_msg("no frame came; %s was awaited", msg_name(type));
	if (f.type != type)
		fail_msg("%s came; %s was awaited", msg_name(f.type),
		    msg_name(type));
	return f;
}

static void
hear_nothing(struct peer *p)
{
	struct frame f;

	assert_int_equal(next_frame(p, &f, 0), BM_ETIMEOUT);
}

static void
link_peer(struct peer *p, enum role role, uint32_t id)
{
	struct msg_peer m = { .role = (uint8_t)role, .worker = id,
	    .model = slice_of("tale"), .variant = slice_of("f16") };
	int fds[2];

	assert_int_equal(fd_socketpair(fds), 0);
	sync_init(&p->io, fds[1], role, R_GATE);
	say(&o.master, MSG_PEER, 0, 0, &m, fds[0]);
	close(fds[0]);
}

static void
worker_up(uint32_t id, uint32_t n_parallel)
{
	struct msg_model_info m = { .worker = id, .name = slice_of("tale"),
	    .variant = slice_of("f16"), .n_parallel = n_parallel,
	    .n_ctx = 2048, .weight_bytes = 700, .shared_bytes = 600,
	    .kv_bytes = 20, .scratch_bytes = 3 };

	link_peer(&o.worker[id], R_WORKER, id);
	say(&o.worker[id], MSG_MODEL_INFO, 0, 0, &m, -1);
}

static void
model_state(const char *state, const char *reason)
{
	struct msg_model_state m = { .name = slice_of("tale"),
	    .variant = slice_of("f16"), .state = slice_of(state),
	    .reason = slice_of(reason), .workers_min = 1, .workers_max = 1 };

	say(&o.master, MSG_MODEL_STATE, 0, 0, &m, -1);
}

static int
setup(void **state)
{
	struct gate *g = &o.g;
	int fds[2];

	memset(&o, 0, sizeof(o));
	n_drains = 0;
	log_set_level(LOG_LEVEL_ERROR);
	conf_init(&g->conf);
	TAILQ_INIT(&g->models);
	TAILQ_INIT(&g->workers);
	TAILQ_INIT(&g->tenants);
	map_init(&g->requests);
	map_init(&g->asks);
	g->stats = xcalloc(1, sizeof(*g->stats));
	g->history = xcalloc(1, sizeof(*g->history));
	g->news = xcalloc(1, sizeof(*g->news));
	news_init(g->news);
	g->watch = watch_hub_new();
	g->rows = xcalloc(1, sizeof(*g->rows));
	rows_init(g->rows, 100);
	g->deadlines = xcalloc(1, sizeof(*g->deadlines));
	assert_int_equal(fd_socketpair(fds), 0);
	sync_init(&o.master.io, fds[1], R_MASTER, R_GATE);
	links_init(g, ev_loop_new(0), fds[0]);
	(void)hear(&o.master, MSG_HELLO);
	link_peer(&o.reqlog, R_REQLOG, 0);
	say(&o.reqlog, MSG_RESULT, hear(&o.reqlog, MSG_QUERY).seq, 0,
	    &(struct msg_result){ 0 }, -1);
	model_state("ready", "");
	return 0;
}

static int
teardown(void **state)
{
	struct gate *g = &o.g;
	struct tenant_use *u;

	say(&o.master, MSG_MODEL_GONE, 0, 0,
	    &(struct msg_model_gone){ slice_of("tale") }, -1);
	for (uint32_t i = 1; i < N_ELEMENTS(o.worker); i++) {
		say(&o.master, MSG_WORKER_GONE, 0, 0,
		    &(struct msg_worker_gone){ i }, -1);
		if (o.worker[i].io.in.max != 0)
			sync_fini(&o.worker[i].io);
	}
	assert_int_equal(g->requests.n, 0);
	assert_int_equal(g->n_queued, 0);
	assert_int_equal(g->n_running, 0);
	admin_unlisten(g);
	chan_free(&g->reqlog);
	chan_free(&g->master);
	sync_fini(&o.reqlog.io);
	sync_fini(&o.master.io);
	map_fini(&g->requests);
	map_fini(&g->asks);
	rows_fini(g->rows);
	sched_heap_fini(g->deadlines);
	while ((u = TAILQ_FIRST(&g->tenants)) != NULL) {
		TAILQ_REMOVE(&g->tenants, u, entry);
		free(u->name);
		free(u);
	}
	watch_hub_free(g);
	procs_fini(&g->procs);
	news_fini(g->news);
	free(g->news);
	free(g->history);
	free(g->stats);
	free(g->rows);
	free(g->deadlines);
	conf_fini(&g->conf);
	ev_loop_destroy(g->loop);
	return 0;
}

/* ---- a client ---- */

struct client {
	struct request	*r;
	int		 n_queued;
	size_t		 position;
	uint64_t	 wait_ms;
	int		 n_done;
	int		 code;
	unsigned	 finish;
	uint64_t	 retry_ms;
	uint32_t	 completion_tokens;
	char		 message[256];
	char		 text[256];
	uint32_t	 tokens[16];
	size_t		 n_tokens;
	bool		 abandons;	/* at the first output */
	struct request	*victim;	/* cancelled when it is queued */
};

static void
on_queued(struct request *r, size_t position, uint64_t wait_ms)
{
	struct client *c = r->arg;

	c->n_queued++;
	c->position = position;
	c->wait_ms = wait_ms;
	if (c->victim != NULL)
		request_cancel(&o.g, c->victim);
}

static void
on_tokens(struct request *r, struct words tokens)
{
	struct client *c = r->arg;

	for (size_t i = 0; i < tokens.n; i++)
		c->tokens[c->n_tokens++] = words_at(tokens, i);
}

static void
on_output(struct request *r, struct slice text, struct words tokens,
    struct slice logprobs)
{
	struct client *c = r->arg;

	strncat(c->text, text.p, text.n);
	on_tokens(r, tokens);
	if (c->abandons)
		request_abandon(&o.g, r);
}

static void
on_done(struct request *r, const struct request_result *res)
{
	struct client *c = r->arg;

	c->n_done++;
	c->code = res->code;
	c->finish = res->finish;
	c->retry_ms = res->retry_ms;
	c->completion_tokens = res->completion_tokens;
	strncpy(c->message, res->message, sizeof(c->message) - 1);
}

static const struct request_events events = { .queued = on_queued,
    .output = on_output, .tokens = on_tokens, .done = on_done };

static void
submit(struct client *c, enum request_kind kind, const char *model)
{
	struct request *r = request_new(kind);

	c->r = r;
	r->arg = c;
	r->events = &events;
	r->protocol = "line";
	r->endpoint = "generate";
	r->model = model != NULL ? xstrdup(model) : NULL;
	if (kind == REQUEST_GENERATE) {
		r->prompt = xstrdup("Once");
		r->m.run.text = slice_of(request_own(r, "Once", 4));
		r->m.run.seed = 7;
	}
	request_submit(&o.g, r);
	spin();
}

static void
out(struct peer *p, uint64_t id, uint32_t token, const char *text)
{
	uint8_t le[4] = { (uint8_t)token, (uint8_t)(token >> 8) };
	struct msg_out m = { .tokens = { le, 1 }, .text = slice_of(text) };

	say(p, MSG_OUT, 0, id, &m, -1);
}

static void
ended(struct peer *p, uint64_t id, int code, uint32_t n)
{
	struct msg_ended m = { .code = code, .finish = FINISH_LENGTH,
	    .prompt_tokens = 3, .completion_tokens = n };

	say(p, MSG_ENDED, 0, id, &m, -1);
}

static void
expect_row(const char *status, const char *output)
{
	struct frame f = hear(&o.reqlog, MSG_ROW);
	struct msg_row m;

	assert_int_equal(msg_get_row(f.body, &m), 0);
	assert_true(slice_eq(m.status, status));
	assert_true(slice_eq(m.output, output));
	say(&o.reqlog, MSG_ACK, 0, 0, &(struct msg_ack){ f.seq }, -1);
}

/* ---- tests ---- */

static void
a_request_runs(void **state)
{
	struct client c = { 0 };
	struct frame f;
	struct msg_run run;

	worker_up(1, 2);
	submit(&c, REQUEST_GENERATE, NULL);
	assert_int_equal(c.n_queued, 1);
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(msg_get_run(f.body, &run), 0);
	assert_true(slice_eq(run.text, "Once"));
	assert_int_equal(run.seed, 7);
	assert_int_equal(run.resume.n, 0);
	out(&o.worker[1], f.id, 11, " upon");
	out(&o.worker[1], f.id, 12, " a time");
	assert_string_equal(c.text, " upon a time");
	ended(&o.worker[1], f.id, 0, 2);
	assert_int_equal(c.n_done, 1);
	assert_int_equal(c.code, 0);
	assert_int_equal(c.finish, FINISH_LENGTH);
	assert_int_equal(c.completion_tokens, 2);
	expect_row("ok", " upon a time");
	assert_int_equal(o.g.rows->n, 0);
}

static void
the_queue_waits_in_order(void **state)
{
	struct client c[4] = { 0 };
	struct frame f;

	o.g.conf.limits_queue = 2;
	worker_up(1, 1);
	for (size_t i = 0; i < 4; i++)
		submit(&c[i], REQUEST_GENERATE, "tale");
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(c[0].n_queued, 1);
	assert_int_equal(c[1].n_queued, 1);
	assert_int_equal(c[1].position, 0);
	assert_int_equal(c[2].position, 1);
	assert_int_equal(c[3].code, BM_EQUEUE);
	assert_true(c[3].retry_ms > 0);
	hear_nothing(&o.worker[1]);
	ended(&o.worker[1], f.id, 0, 0);
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(f.id, 2);
	ended(&o.worker[1], f.id, 0, 0);
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(f.id, 3);
	ended(&o.worker[1], f.id, 0, 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(c[i].n_done, 1);
}

static void
positions_are_told_as_they_change(void **state)
{
	struct client c[4] = { 0 };
	uint64_t now_ns = clock_now_ns();
	struct frame f;

	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, "tale");
	for (size_t i = 1; i < 4; i++)
		submit(&c[i], REQUEST_GENERATE, "tale");
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(c[0].wait_ms, 0);
	assert_int_equal(c[3].position, 2);
	assert_int_equal(c[3].wait_ms, 3000);
	positions_tick(&o.g, now_ns);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(c[i].n_queued, 1);
	ended(&o.worker[1], f.id, 0, 0);
	(void)hear(&o.worker[1], MSG_RUN);
	/* Not at once again, ... */
	positions_tick(&o.g, now_ns + CLOCK_NS_PER_MS);
	assert_int_equal(c[3].n_queued, 1);
	/* ... and a callback may end any of them. */
	c[2].victim = c[3].r;
	positions_tick(&o.g, now_ns + CLOCK_NS_PER_S);
	assert_int_equal(c[1].n_queued, 1);
	assert_int_equal(c[2].n_queued, 2);
	assert_int_equal(c[2].position, 0);
	assert_int_equal(c[3].n_queued, 1);
	assert_int_equal(c[3].code, BM_ECANCEL);
	positions_tick(&o.g, now_ns + 2 * CLOCK_NS_PER_S);
	assert_int_equal(c[2].n_queued, 2);
	request_cancel(&o.g, c[2].r);
	ended(&o.worker[1], 2, 0, 0);
}

/* Its process ends.  The master tells of it by worker_died. */
static void
worker_down(uint32_t id)
{
	sync_fini(&o.worker[id].io);
	memset(&o.worker[id], 0, sizeof(o.worker[id]));
	spin();
}

/* suspect: a request that is to blame; 0: none. */
static void
worker_died(uint32_t id, uint64_t suspect)
{
	uint8_t le[8] = { (uint8_t)suspect };
	struct msg_worker_died m = { .worker = id, .signal = 6,
	    .is_suspicious = suspect != 0,
	    .requests = { le, suspect != 0 ? 2 : 0 } };

	say(&o.master, MSG_WORKER_DIED, 0, 0, &m, -1);
}

static void
a_dead_worker_loses_nothing(void **state)
{
	struct client c[2] = { 0 };
	struct frame f;
	struct msg_run run;

	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, NULL);
	submit(&c[1], REQUEST_GENERATE, NULL);
	f = hear(&o.worker[1], MSG_RUN);
	out(&o.worker[1], f.id, 11, " upon");
	worker_down(1);
	assert_int_equal(o.g.n_running, 0);
	assert_int_equal(o.g.n_queued, 2);
	worker_died(1, 0);
	worker_up(2, 1);
	/* The one that ran goes first and brings what the client has. */
	f = hear(&o.worker[2], MSG_RUN);
	assert_int_equal(f.id, 1);
	assert_int_equal(msg_get_run(f.body, &run), 0);
	assert_int_equal(run.resume.n, 1);
	assert_int_equal(words_at(run.resume, 0), 11);
	assert_int_equal(run.seed, 7);
	out(&o.worker[2], 1, 12, " a");
	ended(&o.worker[2], 1, 0, 2);
	assert_string_equal(c[0].text, " upon a");
	assert_int_equal(c[0].n_tokens, 2);
	assert_int_equal(c[0].code, 0);
	expect_row("ok", " upon a");
	f = hear(&o.worker[2], MSG_RUN);
	ended(&o.worker[2], f.id, 0, 0);
	assert_int_equal(c[1].n_done, 1);
}

/* A worker ends by its own fault while it works on the first of two. */
static void
a_suspect_runs_alone(void **state)
{
	struct client c[2] = { 0 };

	worker_up(1, 2);
	submit(&c[0], REQUEST_GENERATE, NULL);
	submit(&c[1], REQUEST_GENERATE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	(void)hear(&o.worker[1], MSG_RUN);
	worker_down(1);
	worker_up(2, 2);
	/* Nothing goes on before it is known how the worker died. */
	hear_nothing(&o.worker[2]);
	worker_died(1, 1);
	assert_int_equal(hear(&o.worker[2], MSG_RUN).id, 1);
	hear_nothing(&o.worker[2]);
	/* It got further: it was not this one. */
	for (uint32_t token = 0; token < 4; token++)
		out(&o.worker[2], 1, token, "x");
	assert_int_equal(hear(&o.worker[2], MSG_RUN).id, 2);
	ended(&o.worker[2], 1, 0, 4);
	ended(&o.worker[2], 2, 0, 0);
	assert_int_equal(c[0].code, 0);
	assert_int_equal(c[1].code, 0);
}

static void
poison_is_not_taken_thrice(void **state)
{
	struct client c = { 0 };

	submit(&c, REQUEST_GENERATE, NULL);
	for (uint32_t i = 1; i <= 2; i++) {
		worker_up(i, 2);
		(void)hear(&o.worker[i], MSG_RUN);
		assert_int_equal(c.n_done, 0);
		worker_down(i);
		worker_died(i, 1);
	}
	assert_int_equal(c.n_done, 1);
	assert_int_equal(c.code, BM_EWORKER);
}

static void
retries_are_bounded(void **state)
{
	struct client c = { 0 };

	o.g.conf.limits_retries = 1;
	for (uint32_t i = 1; i <= 2; i++) {
		worker_up(i, 1);
		if (i == 1)
			submit(&c, REQUEST_GENERATE, NULL);
		(void)hear(&o.worker[i], MSG_RUN);
		assert_int_equal(c.n_done, 0);
		worker_down(i);
		worker_died(i, 0);
	}
	assert_int_equal(c.n_done, 1);
	assert_int_equal(c.code, BM_EWORKER);
	expect_row("worker_lost", "");
}

static void
cancelling_frees_the_slot_when_the_worker_ended(void **state)
{
	struct client c[2] = { 0 };
	struct frame f;

	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, NULL);
	submit(&c[1], REQUEST_GENERATE, NULL);
	f = hear(&o.worker[1], MSG_RUN);
	out(&o.worker[1], f.id, 11, " upon");
	assert_ptr_equal(core_find_uuid(&o.g, c[0].r->uuid), c[0].r);
	request_cancel(&o.g, c[0].r);
	assert_int_equal(c[0].n_done, 1);
	assert_int_equal(c[0].code, BM_ECANCEL);
	assert_int_equal(c[0].completion_tokens, 1);
	f = hear(&o.worker[1], MSG_CANCEL);
	assert_int_equal(f.id, 1);
	/* Output that was on its way is nobody's. */
	out(&o.worker[1], 1, 12, " a");
	assert_string_equal(c[0].text, " upon");
	hear_nothing(&o.worker[1]);
	ended(&o.worker[1], 1, BM_ECANCEL, 1);
	assert_int_equal(c[0].n_done, 1);
	f = hear(&o.worker[1], MSG_RUN);
	assert_int_equal(f.id, 2);
	expect_row("cancelled", " upon");
	ended(&o.worker[1], 2, 0, 0);
}

/* Between its worker's death and the news of how. */
static void
detained_ones_can_be_ended(void **state)
{
	struct client c[4] = { 0 };

	o.g.conf.limits_request_timeout = 1000;
	worker_up(1, 4);
	for (size_t i = 0; i < 4; i++) {
		submit(&c[i], REQUEST_GENERATE, NULL);
		(void)hear(&o.worker[1], MSG_RUN);
	}
	worker_down(1);
	worker_up(2, 4);
	hear_nothing(&o.worker[2]);
	request_cancel(&o.g, c[0].r);
	assert_int_equal(c[0].code, BM_ECANCEL);
	expect_row("cancelled", "");
	request_abandon(&o.g, c[1].r);
	expect_row("cancelled", "");
	core_deadlines(&o.g, c[2].r->arrived_ns + 1000 * CLOCK_NS_PER_MS);
	assert_int_equal(c[2].code, BM_ETIMEOUT);
	expect_row("timeout", "");
	assert_int_equal(c[1].n_done, 0);
	assert_int_equal(o.g.n_queued, 1);
	/* To blame one that is gone harms nobody. */
	worker_died(1, 1);
	hear_nothing(&o.reqlog);
	assert_int_equal(hear(&o.worker[2], MSG_RUN).id, 4);
	ended(&o.worker[2], 4, 0, 0);
	assert_int_equal(c[3].n_done, 1);
}

/* Suspects: one that waits for an idle worker, and one that has it. */
static void
suspects_can_be_ended(void **state)
{
	struct client c[3] = { 0 };
	struct frame f;

	worker_up(1, 2);
	submit(&c[0], REQUEST_GENERATE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	worker_down(1);
	worker_died(1, 1);
	(void)hear(&o.reqlog, MSG_EVENT);
	worker_up(2, 2);
	f = hear(&o.worker[2], MSG_RUN);
	assert_int_equal(f.id, 1);
	submit(&c[1], REQUEST_GENERATE, NULL);
	hear_nothing(&o.worker[2]);
	request_cancel(&o.g, c[0].r);
	assert_int_equal(c[0].code, BM_ECANCEL);
	(void)hear(&o.worker[2], MSG_CANCEL);
	/* It is alone there until the worker has ended it, too. */
	hear_nothing(&o.worker[2]);
	ended(&o.worker[2], 1, BM_ECANCEL, 0);
	assert_int_equal(hear(&o.worker[2], MSG_RUN).id, 2);

	worker_up(1, 2);
	submit(&c[2], REQUEST_GENERATE, NULL);
	assert_int_equal(hear(&o.worker[1], MSG_RUN).id, 3);
	worker_down(1);
	worker_died(1, 3);
	hear_nothing(&o.worker[2]);
	assert_true(c[2].r->is_suspect && c[2].r->worker == NULL);
	request_cancel(&o.g, c[2].r);
	assert_int_equal(c[2].code, BM_ECANCEL);
	ended(&o.worker[2], 2, 0, 0);
	hear_nothing(&o.worker[2]);
}

static void
abandoned_inside_a_callback(void **state)
{
	struct client c = { .abandons = true };
	struct frame f;

	worker_up(1, 1);
	submit(&c, REQUEST_GENERATE, NULL);
	f = hear(&o.worker[1], MSG_RUN);
	out(&o.worker[1], f.id, 11, " upon");
	assert_int_equal(c.n_done, 0);
	assert_int_equal(o.g.requests.n, 0);
	f = hear(&o.worker[1], MSG_CANCEL);
	expect_row("cancelled", " upon");
	ended(&o.worker[1], f.id, BM_ECANCEL, 1);
}

static void
deadlines_hold_in_queue_and_worker(void **state)
{
	struct client c[2] = { 0 };

	o.g.conf.limits_request_timeout = 1000;
	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, NULL);
	submit(&c[1], REQUEST_GENERATE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	core_deadlines(&o.g, c[0].r->arrived_ns + 999 * CLOCK_NS_PER_MS);
	assert_int_equal(c[0].n_done, 0);
	core_deadlines(&o.g, c[1].r->arrived_ns + 1000 * CLOCK_NS_PER_MS);
	assert_int_equal(c[0].code, BM_ETIMEOUT);
	assert_int_equal(c[1].code, BM_ETIMEOUT);
	assert_int_equal(c[0].n_done + c[1].n_done, 2);
	(void)hear(&o.worker[1], MSG_CANCEL);
	expect_row("timeout", "");
	expect_row("timeout", "");
}

static void
refusals_say_why(void **state)
{
	struct client c[4] = { 0 };
	struct conf_tenant *t = conf_add_tenant(&o.g.conf, "a");
	struct request *r;

	t->max_running = 1;
	submit(&c[0], REQUEST_GENERATE, "nosuch");
	assert_int_equal(c[0].code, BM_ENOMODEL);
	assert_non_null(strstr(c[0].message, "tale"));
	expect_row("unknown_model", "");
	for (size_t i = 1; i < 3; i++) {
		r = request_new(REQUEST_GENERATE);
		r->tenant = xstrdup("a");
		r->events = &events;
		r->arg = &c[i];
		request_submit(&o.g, r);
	}
	assert_int_equal(c[1].n_queued, 1);
	assert_int_equal(c[2].code, BM_EQUOTA);
	expect_row("quota", "");
	/* What waited for the model learns why it will not come. */
	model_state("failed", "tensor output is missing");
	assert_int_equal(c[1].code, BM_EOVERLOAD);
	assert_string_equal(c[1].message, "tensor output is missing");
	submit(&c[3], REQUEST_GENERATE, "tale");
	assert_int_equal(c[3].code, BM_EOVERLOAD);
	assert_non_null(strstr(c[3].message, "tensor output is missing"));
}

static void
asides_pass_the_queue(void **state)
{
	struct client c[3] = { 0 };
	struct frame f;
	uint8_t le[8] = { 1, 0, 0, 0, 2, 1 };
	struct msg_tokens tokens = { { le, 2 } };

	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, NULL);
	submit(&c[1], REQUEST_TOKENIZE, NULL);
	submit(&c[2], REQUEST_DETOKENIZE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	f = hear(&o.worker[1], MSG_TOKENIZE);
	/* A worker may answer by seq alone. */
	say(&o.worker[1], MSG_TOKENS, f.seq, 0, &tokens, -1);
	assert_int_equal(c[1].n_done, 1);
	assert_int_equal(c[1].code, 0);
	assert_int_equal(c[1].n_tokens, 2);
	assert_int_equal(c[1].tokens[1], 258);
	f = hear(&o.worker[1], MSG_DETOKENIZE);
	say(&o.worker[1], MSG_RESULT, f.seq, f.id, &(struct msg_result){
	    BM_EBADREQ, slice_of("token 9 is none") }, -1);
	assert_int_equal(c[2].code, BM_EBADREQ);
	assert_string_equal(c[2].message, "token 9 is none");
	ended(&o.worker[1], 1, 0, 0);
	expect_row("ok", "");
	hear_nothing(&o.reqlog);
}

static void
a_drained_worker_and_model_become_idle(void **state)
{
	struct client c[2] = { 0 };
	struct frame f;

	worker_up(1, 2);
	submit(&c[0], REQUEST_GENERATE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	say(&o.master, MSG_WORKER_DRAIN, 0, 0,
	    &(struct msg_worker_drain){ 1 }, -1);
	model_state("draining", "");
	submit(&c[1], REQUEST_GENERATE, NULL);
	assert_int_equal(c[1].code, BM_EOVERLOAD);
	hear_nothing(&o.master);
	ended(&o.worker[1], 1, 0, 0);
	(void)hear(&o.master, MSG_MODEL_IDLE);
	f = hear(&o.master, MSG_WORKER_IDLE);
	(void)f;
	hear_nothing(&o.master);
}

static void
a_drain_ends_when_all_is_done_and_logged(void **state)
{
	struct client c[2] = { 0 };
	struct frame f;
	uint32_t seq;

	worker_up(1, 1);
	submit(&c[0], REQUEST_GENERATE, NULL);
	say(&o.master, MSG_DRAIN, 9, 0, &(struct msg_drain){ 0 }, -1);
	assert_int_equal(n_drains, 1);
	submit(&c[1], REQUEST_GENERATE, NULL);
	assert_int_equal(c[1].code, BM_EOVERLOAD);
	f = hear(&o.reqlog, MSG_ROW);
	links_tick(&o.g, clock_now_ns());
	hear_nothing(&o.master);
	ended(&o.worker[1], 1, 0, 0);
	seq = hear(&o.reqlog, MSG_ROW).seq;
	links_tick(&o.g, clock_now_ns());
	hear_nothing(&o.master);
	say(&o.reqlog, MSG_ACK, 0, 0, &(struct msg_ack){ seq }, -1);
	links_tick(&o.g, clock_now_ns());
	f = hear(&o.master, MSG_RESULT);
	assert_int_equal(f.seq, 9);
}

static void
a_drain_ends_late_requests(void **state)
{
	struct client c = { 0 };
	uint32_t seq;

	worker_up(1, 1);
	submit(&c, REQUEST_GENERATE, NULL);
	(void)hear(&o.worker[1], MSG_RUN);
	say(&o.master, MSG_DRAIN, 9, 0, &(struct msg_drain){ 60000 }, -1);
	links_tick(&o.g, o.g.drain_end_ns - 1);
	assert_int_equal(c.n_done, 0);
	links_tick(&o.g, o.g.drain_end_ns);
	assert_int_equal(c.code, BM_EOVERLOAD);
	hear_nothing(&o.master);
	seq = hear(&o.reqlog, MSG_ROW).seq;
	/* A reqlog that never confirms does not hold up the end. */
	links_tick(&o.g, o.g.drain_end_ns + 60 * CLOCK_NS_PER_S);
	assert_int_equal(hear(&o.master, MSG_RESULT).seq, 9);
	assert_int_equal(o.g.rows->n, 1);
	say(&o.reqlog, MSG_ACK, 0, 0, &(struct msg_ack){ seq }, -1);
	assert_int_equal(o.g.rows->n, 0);
}

static void
a_failing_log_is_shown_and_survived(void **state)
{
	struct frame f;

	gate_event(&o.g, "load", "tale", "first", 0);
	f = hear(&o.reqlog, MSG_EVENT);
	say(&o.reqlog, MSG_LOG_STATE, 0, 0, &(struct msg_log_state){
	    BM_EDISK, slice_of("database or disk is full") }, -1);
	assert_int_equal(o.g.log_code, BM_EDISK);
	assert_string_equal(o.g.log_text, "database or disk is full");
	/* That is an event too, and it waits like the other. */
	(void)hear(&o.reqlog, MSG_EVENT);
	assert_int_equal(o.g.rows->n, 2);
	say(&o.reqlog, MSG_LOG_STATE, 0, 0, &(struct msg_log_state){ 0 }, -1);
	assert_int_equal(o.g.log_code, 0);
	f = hear(&o.reqlog, MSG_EVENT);
	say(&o.reqlog, MSG_ACK, 0, 0, &(struct msg_ack){ f.seq }, -1);
	assert_int_equal(o.g.rows->n, 0);
}

static void
a_new_reqlog_gets_unconfirmed_rows_again(void **state)
{
	struct frame f;
	struct msg_event m;
	uint32_t seq;

	gate_event(&o.g, "load", "tale", "first", 0);
	gate_event(&o.g, "load", "tale", "second", 0);
	seq = hear(&o.reqlog, MSG_EVENT).seq;
	(void)hear(&o.reqlog, MSG_EVENT);
	say(&o.reqlog, MSG_ACK, 0, 0, &(struct msg_ack){ seq }, -1);
	sync_fini(&o.reqlog.io);
	spin();
	assert_null(o.g.reqlog);
	gate_event(&o.g, "load", "tale", "third", 0);
	link_peer(&o.reqlog, R_REQLOG, 0);
	f = hear(&o.reqlog, MSG_EVENT);
	assert_int_equal(msg_get_event(f.body, &m), 0);
	assert_true(slice_eq(m.text, "second"));
	f = hear(&o.reqlog, MSG_EVENT);
	assert_int_equal(msg_get_event(f.body, &m), 0);
	assert_true(slice_eq(m.text, "third"));
}

/* ---- admin ---- */

static char *
heard(int fd)
{
	static char answer[1 << 16];
	ssize_t n;

	spin();
	n = recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT);
	answer[n > 0 ? n : 0] = '\0';
	return answer;
}

static char *
ask(int fd, const char *line)
{
	assert_int_equal(write(fd, line, strlen(line)),
	    (ssize_t)strlen(line));
	return heard(fd);
}

static int
admin_connect(void)
{
	int listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct msg_listen m = { .kind = LISTEN_ADMIN_UNIX };
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa.ss_family);

	/* An abstract address of the kernel's choice. */
	memset(&sa, 0, sizeof(sa));
	sa.ss_family = AF_UNIX;
	assert_int_equal(bind(listen_fd, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(listen_fd, 5), 0);
	n = sizeof(sa);
	assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&sa, &n),
	    0);
	say(&o.master, MSG_LISTEN, 0, 0, &m, listen_fd);
	close(listen_fd);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, n), 0);
	spin();
	return fd;
}

/* The words of the next QUERY, joined by spaces; its seq. */
static uint32_t
hear_query(char *words, size_t size)
{
	struct frame f;
	struct msg_query q;
	struct cur list;
	struct slice word;
	size_t n = 0;

	/* The loop waits for the timer of the next question. */
	while (sync_recv(&o.reqlog.io, &f, 0) != 0)
		ev_run(o.g.loop, EVRUN_ONCE);
	assert_int_equal(f.type, MSG_QUERY);
	assert_int_equal(msg_get_query(f.body, &q), 0);
	list = strs_of(q.words);
	words[0] = '\0';
	while (strs_next(&list, &word))
		n += (size_t)snprintf(words + n, size - n, "%s%.*s",
		    n > 0 ? " " : "", (int)word.n, word.p);
	return f.seq;
}

static void
answer(uint32_t seq, const char *json)
{
	if (json != NULL)
		say(&o.reqlog, MSG_RECORD, seq, 0,
		    &(struct msg_record){ slice_of(json) }, -1);
	say(&o.reqlog, MSG_RESULT, seq, 0, &(struct msg_result){ 0 }, -1);
}

static void
log_follow_asks_for_what_comes_next(void **state)
{
	int fd = admin_connect();
	char words[256];
	uint32_t seq;

	assert_string_equal(ask(fd,
	    "log --follow --status timeout --limit 2\n"), "");
	seq = hear_query(words, sizeof(words));
	assert_string_equal(words, "--limit 1");
	answer(seq, "{\"id\":\"newest\"}");
	seq = hear_query(words, sizeof(words));
	assert_string_equal(words, "--status timeout --limit 2");
	answer(seq, NULL);
	seq = hear_query(words, sizeof(words));
	assert_string_equal(words, "--status timeout --after newest");
	answer(seq, "{\"id\":\"later\"}");
	assert_string_equal(ask(fd, ""), "{\"id\":\"later\"}\n");
	seq = hear_query(words, sizeof(words));
	assert_string_equal(words, "--status timeout --after later");
	close(fd);
	spin();
	answer(seq, NULL);
}

static void
admin_commands(void **state)
{
	int fd = admin_connect();
	struct msg_event event;
	struct client c = { 0 };
	struct frame f;
	char line[128];

	assert_non_null(strstr(ask(fd, "nonsense\n"), "error code=usage"));
	assert_non_null(strstr(ask(fd, "help\n"), "\"words\":\"wait ready\""));
	assert_non_null(strstr(ask(fd, "show config\n"),
	    "\"key\":\"pending_rows\",\"value\":\"100000\""));
	assert_non_null(strstr(ask(fd, "wait ready --timeout 0\n"),
	    "error code=timeout"));
	worker_up(1, 1);
	assert_string_equal(ask(fd, "wait ready\n"), "ok\n");
	submit(&c, REQUEST_GENERATE, NULL);
	assert_non_null(strstr(ask(fd, "show requests\r\n"),
	    "\"state\":\"running\""));
	snprintf(line, sizeof(line), "cancel %s\n", c.r->uuid);
	assert_string_equal(ask(fd, line), "ok\n");
	assert_int_equal(c.code, BM_ECANCEL);
	expect_row("cancelled", "");
	f = hear(&o.reqlog, MSG_EVENT);
	assert_int_equal(msg_get_event(f.body, &event), 0);
	assert_true(slice_eq(event.kind, "cancel"));
	assert_int_equal(event.uid, getuid());

	/* Two commands at once: the second waits for the first's answer. */
	assert_string_equal(ask(fd, "show status\nload x \"/a b\"\n"), "");
	f = hear(&o.master, MSG_PROCS);
	say(&o.master, MSG_PROC, f.seq, 0, &(struct msg_proc){
	    .role = R_WORKER, .worker = 1, .rss_bytes = 12345 }, -1);
	hear_nothing(&o.master);
	say(&o.master, MSG_RESULT, f.seq, 0, &(struct msg_result){ 0 }, -1);
	assert_non_null(strstr(ask(fd, ""), "\"memory_bytes\":12345"));
	f = hear(&o.master, MSG_DO);
	say(&o.master, MSG_RESULT, f.seq, 0, &(struct msg_result){ BM_EFORMAT,
	    slice_of("no \"GGUF\"") }, -1);
	assert_string_equal(ask(fd, ""),
	    "error code=bad_format message=\"no \\\"GGUF\\\"\"\n");
	(void)hear(&o.reqlog, MSG_EVENT);

	/* reqlog dies over a question. */
	assert_string_equal(ask(fd, "sql \"SELECT 1\"\n"), "");
	f = hear(&o.reqlog, MSG_QUERY);
	say(&o.reqlog, MSG_RECORD, f.seq, 0, &(struct msg_record){
	    slice_of("{\"1\":1}") }, -1);
	sync_fini(&o.reqlog.io);
	spin();
	assert_non_null(strstr(ask(fd, ""), "{\"1\":1}\nerror code=overload"));
	link_peer(&o.reqlog, R_REQLOG, 0);
	close(fd);
	spin();
}

/* The answer to a question about processes, of which the master tells. */
static const char *
show(int fd, const char *line, const struct msg_proc *procs, size_t n)
{
	struct msg_result done = { 0 };
	struct frame f;

	assert_string_equal(ask(fd, line), "");
	f = hear(&o.master, MSG_PROCS);
	for (size_t i = 0; i < n; i++)
		say(&o.master, MSG_PROC, f.seq, 0, &procs[i], -1);
	say(&o.master, MSG_RESULT, f.seq, 0, &done, -1);
	return ask(fd, "");
}

/* The loop waits for the time of the next round. */
static uint32_t
hear_procs(void)
{
	struct frame f;

	while (sync_recv(&o.master.io, &f, 0) != 0)
		ev_run(o.g.loop, EVRUN_ONCE);
	assert_int_equal(f.type, MSG_PROCS);
	return f.seq;
}

static void
answer_procs(uint32_t seq, uint64_t rss_bytes)
{
	say(&o.master, MSG_PROC, seq, 0, &(struct msg_proc){
	    .role = R_MASTER, .pid = 1, .rss_bytes = rss_bytes }, -1);
	say(&o.master, MSG_RESULT, seq, 0, &(struct msg_result){ 0 }, -1);
}

/* One line has come that begins and contains like that. */
static void
expect_snapshot(int fd, unsigned seq, const char *part)
{
	const char *line = heard(fd);
	char begin[64];

	snprintf(begin, sizeof(begin), ",\"seq\":%u,\"interval_ms\":100,",
	    seq);
	if (strstr(line, begin) == NULL || strstr(line, part) == NULL)
		fail_msg("neither %s nor %s in: %s", begin, part, line);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void
who_watches_shares_rounds(void **state)
{
	int a = admin_connect(), b = admin_connect();
	uint32_t seq;

	assert_string_equal(ask(a, "watch interval_ms=100\n"), "");
	assert_string_equal(ask(b, "watch interval_ms=100\n"), "");
	answer_procs(hear_procs(), 111);
	hear_nothing(&o.master);
	expect_snapshot(a, 0, "\"rss_bytes\":111");
	expect_snapshot(b, 0, "\"rss_bytes\":111");
	gate_event(&o.g, "test", "", "it happened", -1);
	seq = hear_procs();
	spin();
	hear_nothing(&o.master);
	answer_procs(seq, 112);
	expect_snapshot(a, 1, "\"rss_bytes\":112");
	expect_snapshot(b, 1, "it happened");
	/* One goes while the master is asked. */
	seq = hear_procs();
	close(a);
	spin();
	answer_procs(seq, 113);
	expect_snapshot(b, 2, "\"events\":[]");
	close(b);
	spin();
	(void)hear(&o.reqlog, MSG_EVENT);
}

static void
a_slow_master_stops_no_snapshot(void **state)
{
	int fd = admin_connect();
	uint32_t seq;

	assert_string_equal(ask(fd, "watch interval_ms=100\n"), "");
	answer_procs(hear_procs(), 111);
	expect_snapshot(fd, 0, "\"rss_bytes\":111");
	seq = hear_procs();
	links_tick(&o.g, clock_now_ns() + CLOCK_NS_PER_S);
	expect_snapshot(fd, 1, "\"rss_bytes\":111");
	/* Not asked again as long as the answer is awaited. */
	answer_procs(seq, 112);
	assert_string_equal(heard(fd), "");
	answer_procs(hear_procs(), 113);
	expect_snapshot(fd, 2, "\"rss_bytes\":113");
	close(fd);
	spin();
}

static void
who_does_not_read_has_one_snapshot_waiting(void **state)
{
	int fd = admin_connect(), other = admin_connect();

	assert_string_equal(ask(fd, "watch interval_ms=100\n"), "");
	assert_string_equal(ask(other, "watch interval_ms=100\n"), "");
	answer_procs(hear_procs(), 111);
	expect_snapshot(other, 0, "\"rss_bytes\":111");
	gate_event(&o.g, "test", "", "meanwhile", -1);
	answer_procs(hear_procs(), 112);
	expect_snapshot(other, 1, "\"rss_bytes\":112");
	answer_procs(hear_procs(), 113);
	/* Read at last. */
	expect_snapshot(fd, 0, "\"rss_bytes\":111");
	answer_procs(hear_procs(), 114);
	expect_snapshot(fd, 3, "meanwhile");
	close(other);
	spin();
	/* Its end is an answer too. */
	shutdown(fd, SHUT_WR);
	assert_string_equal(heard(fd), "ok\n");
	close(fd);
	spin();
	(void)hear(&o.reqlog, MSG_EVENT);
}

static void
memory_that_workers_share_counts_once(void **state)
{
	static const struct msg_proc procs[] = {
		{ .role = R_MASTER, .rss_bytes = 10, .shared_bytes = 5 },
		{ .role = R_WORKER, .worker = 1, .rss_bytes = 1000,
		    .shared_bytes = 600 },
		{ .role = R_WORKER, .worker = 2, .rss_bytes = 1000,
		    .shared_bytes = 550 },
	};
	int fd = admin_connect();

	worker_up(1, 1);
	worker_up(2, 1);
	assert_non_null(strstr(show(fd, "show models\n", procs,
	    N_ELEMENTS(procs)), "\"memory_bytes\":846,"
	    "\"shared_bytes\":600,"));
	assert_non_null(strstr(show(fd, "show status\n", procs,
	    N_ELEMENTS(procs)), "\"memory_bytes\":1460"));
	close(fd);
	spin();
}

static void
metrics_have_every_family_once(void **state)
{
	struct client c = { 0 };
	struct frame f;
	struct buf b;
	const char *text;

	worker_up(1, 1);
	worker_up(2, 1);
	worker_down(2);
	worker_died(2, 99);
	submit(&c, REQUEST_GENERATE, NULL);
	f = hear(&o.worker[1], MSG_RUN);
	out(&o.worker[1], f.id, 11, " upon");
	out(&o.worker[1], f.id, 12, " a");
	ended(&o.worker[1], f.id, 0, 2);
	buf_init(&b, 1 << 20);
	metrics_write(&o.g, &b);
	text = buf_cstr(&b);
	assert_non_null(strstr(text,
	    "bigmodel_requests_total{model=\"tale\",status=\"ok\"} 1\n"));
	assert_non_null(strstr(text,
	    "bigmodel_completion_tokens_total{model=\"tale\"} 2\n"));
	assert_non_null(strstr(text,
	    "bigmodel_ttft_seconds_count{model=\"tale\"} 1\n"));
	assert_non_null(strstr(text, "bigmodel_variant_inter_token_seconds"
	    "_count{model=\"tale\",variant=\"f16\"} 1\n"));
	assert_non_null(strstr(text, "bigmodel_variant_requests_total"
	    "{model=\"tale\",variant=\"f16\"} 1\n"));
	assert_non_null(strstr(text, "bigmodel_worker_deaths_total"
	    "{model=\"tale\",kind=\"crashed\"} 1\n"));
	assert_non_null(strstr(text, "bigmodel_memory_private_bytes"
	    "{model=\"tale\"} 123\n"));
	assert_non_null(strstr(text, "bigmodel_log_pending_rows 1\n"));
	for (const char *p = text; (p = strstr(p, "# TYPE ")) != NULL; ) {
		char name[64];
		size_t n = strcspn(p, "\n");

		assert_true(n < sizeof(name));
		memcpy(name, p, n);
		name[n] = '\0';
		p += n;
		assert_null(strstr(p, name));
	}
	buf_fini(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_request_runs),
		T(the_queue_waits_in_order),
		T(positions_are_told_as_they_change),
		T(a_dead_worker_loses_nothing),
		T(a_suspect_runs_alone),
		T(poison_is_not_taken_thrice),
		T(retries_are_bounded),
		T(cancelling_frees_the_slot_when_the_worker_ended),
		T(detained_ones_can_be_ended),
		T(suspects_can_be_ended),
		T(abandoned_inside_a_callback),
		T(deadlines_hold_in_queue_and_worker),
		T(refusals_say_why),
		T(asides_pass_the_queue),
		T(a_drained_worker_and_model_become_idle),
		T(a_drain_ends_when_all_is_done_and_logged),
		T(a_drain_ends_late_requests),
		T(a_failing_log_is_shown_and_survived),
		T(a_new_reqlog_gets_unconfirmed_rows_again),
		T(admin_commands),
		T(who_watches_shares_rounds),
		T(a_slow_master_stops_no_snapshot),
		T(who_does_not_read_has_one_snapshot_waiting),
		T(memory_that_workers_share_counts_once),
		T(log_follow_asks_for_what_comes_next),
		T(metrics_have_every_family_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
