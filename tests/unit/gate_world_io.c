/* SPDX-License-Identifier: MIT */
/*
 * The loop runs only while a frame is awaited, so nothing here depends on
 * time but for hear_late.
 */
#include "config.h"

#include "gate_world.h"

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "base/log.h"
#include "base/mem.h"
#include "gate/news.h"
#include "gate/rows.h"
#include "gate/sched.h"
#include "gate/watch.h"
#include "wire/fd_io.h"

struct world o;

/* ---- what the protocols would offer ---- */

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
	o.n_drains++;
}

/* ---- the other ends ---- */

void
spin(void)
{
	for (int i = 0; i < 4; i++)
		ev_run(o.g.loop, EVRUN_NOWAIT);
}

void
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

struct frame
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

struct frame
hear_late(struct peer *p, enum msg_type type)
{
	struct frame f;

	while (sync_recv(&p->io, &f, 0) != 0)
		ev_run(o.g.loop, EVRUN_ONCE);
	assert_int_equal(f.type, type);
	return f;
}

void
hear_nothing(struct peer *p)
{
	struct frame f;

	assert_int_equal(next_frame(p, &f, 0), BM_ETIMEOUT);
}

void
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

void
worker_up(uint32_t id, uint32_t n_parallel)
{
	struct msg_model_info m = { .worker = id, .name = slice_of("tale"),
	    .variant = slice_of("f16"), .n_parallel = n_parallel,
	    .n_ctx = 2048, .weight_bytes = 700, .shared_bytes = 600,
	    .kv_bytes = 20, .scratch_bytes = 3 };

	link_peer(&o.worker[id], R_WORKER, id);
	say(&o.worker[id], MSG_MODEL_INFO, 0, 0, &m, -1);
}

void
worker_down(uint32_t id)
{
	sync_fini(&o.worker[id].io);
	memset(&o.worker[id], 0, sizeof(o.worker[id]));
	spin();
}

void
worker_died(uint32_t id, uint64_t suspect)
{
	uint8_t le[8] = { (uint8_t)suspect };
	struct msg_worker_died m = { .worker = id, .signal = 6,
	    .is_suspicious = suspect != 0,
	    .requests = { le, suspect != 0 ? 2 : 0 } };

	say(&o.master, MSG_WORKER_DIED, 0, 0, &m, -1);
}

void
model_state(const char *state, const char *reason)
{
	struct msg_model_state m = { .name = slice_of("tale"),
	    .variant = slice_of("f16"), .state = slice_of(state),
	    .reason = slice_of(reason), .workers_min = 1, .workers_max = 1 };

	say(&o.master, MSG_MODEL_STATE, 0, 0, &m, -1);
}

int
world_setup(void **state)
{
	struct gate *g = &o.g;
	int fds[2];

	memset(&o, 0, sizeof(o));
	log_set_level(LOG_LEVEL_ERROR);
	gate_init(g);
	g->rows->max = 100;
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

int
world_teardown(void **state)
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

const struct request_events client_events = { .queued = on_queued,
    .output = on_output, .tokens = on_tokens, .done = on_done };

void
submit(struct client *c, enum request_kind kind, const char *model)
{
	struct request *r = request_new(kind);

	c->r = r;
	r->arg = c;
	r->events = &client_events;
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

void
say_out(struct peer *p, uint64_t id, uint32_t token, const char *text)
{
	uint8_t le[4] = { (uint8_t)token, (uint8_t)(token >> 8) };
	struct msg_out m = { .tokens = { le, 1 }, .text = slice_of(text) };

	say(p, MSG_OUT, 0, id, &m, -1);
}

void
say_ended(struct peer *p, uint64_t id, int code, uint32_t n)
{
	struct msg_ended m = { .code = code, .finish = FINISH_LENGTH,
	    .prompt_tokens = 3, .completion_tokens = n };

	say(p, MSG_ENDED, 0, id, &m, -1);
}

void
expect_row(const char *status, const char *output)
{
	struct frame f = hear(&o.reqlog, MSG_ROW);
	struct msg_row m;

	assert_int_equal(msg_get_row(f.body, &m), 0);
	assert_true(slice_eq(m.status, status));
	assert_true(slice_eq(m.output, output));
	say(&o.reqlog, MSG_ACK, 0, 0, &(struct msg_ack){ f.seq }, -1);
}

/* ---- an operator ---- */

char *
heard(int fd)
{
	static char answer[1 << 16];
	ssize_t n;

	spin();
	n = recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT);
	answer[n > 0 ? n : 0] = '\0';
	return answer;
}

char *
ask(int fd, const char *line)
{
	assert_int_equal(write(fd, line, strlen(line)),
	    (ssize_t)strlen(line));
	return heard(fd);
}

int
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
