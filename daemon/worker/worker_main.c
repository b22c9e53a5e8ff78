/* SPDX-License-Identifier: MIT */
/*
 * The worker: one model, its KV cache and its threads.  Descriptor 3 leads to
 * the master, or to the console for work without a daemon; a link to the gate
 * comes through the master and may be replaced.  Nothing else is open to it.
 *
 * One thread owns everything: a turn of the loop, then a step of the engine,
 * as long as there is work; without work it sleeps in the loop.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "wire/chan_io.h"
#include "wire/conf.h"
#include "worker/bench.h"
#include "worker/crash.h"
#include "worker/engine.h"
#include "worker/load.h"
#include "worker/offline.h"
#include "worker/quantize.h"
#include "worker/text.h"

#define UP_FD		3
#define LOAD_NOTICE_MS	500

struct worker {
	struct ev_loop	*loop;
	struct chan	*up;		/* master or console */
	struct chan	*gate;		/* or NULL */
	struct loaded	 l;
	struct ev_timer	 beat;
	bool		 quit;
	bool		 was_busy;
	uint64_t	 noticed_ns;	/* of the last LOAD */
	uint64_t	 noticed_tokens;
	char		 role[24];
};

/* What a step has for all its runs goes in one write, see serve(); what is
 * said before it computes must not wait for that. */
static void
send_from_engine(void *link, enum msg_type type, uint64_t id, const void *m)
{
	int r = chan_put(link, type, 0, id, m);

	if (r != 0)
		log_warnx("%s of request %llu: %s", msg_name(type),
		    (unsigned long long)id, err_text(r));
	if (type == MSG_STARTED)
		chan_push(link);
}

static void
send_info(struct worker *w, struct chan *c, uint32_t seq)
{
	struct msg_model_info m;

	load_info(&w->l, &m);
	chan_send(c, MSG_MODEL_INFO, seq, 0, &m);
}

/* ---- requests, from gate or console ---- */

static void
on_run(struct worker *w, struct chan *c, const struct frame *f)
{
	struct msg_run m;

	if (msg_get_run(f->body, &m) != 0 || w->l.engine == NULL) {
		struct msg_ended ended = { .code = w->l.engine == NULL ?
		    BM_ENOMODEL : BM_EPROTO };

		ended.text = slice_of(err_text(ended.code));
		chan_send(c, MSG_ENDED, 0, f->id, &ended);
		return;
	}
	engine_run(w->l.engine, c, f->id, &m);
}

/* What a kernel does; those of the tensor types come by name. */
static const char *
kernel_what(const char *name)
{
	if (strncmp(name, "dot ", 4) == 0)
		return "a row of weights times a row of activations";
	if (strncmp(name, "unpack ", 7) == 0)
		return "blocks of weights to floats";
#define K(sym, ret, args, text) \
	if (strcmp(name, #sym) == 0) \
		return text;
#include "kernels/kernels.def"
#undef K
	return "";
}

static void
on_kernels(struct chan *c, const struct frame *f)
{
	const char *name, *level;

	for (size_t i = 0; (level = kern_describe(i, &name)) != NULL; i++) {
		struct msg_kernel m = { .name = slice_of(name),
		    .level = slice_of(level),
		    .what = slice_of(kernel_what(name)) };

		chan_send(c, MSG_KERNEL, f->seq, f->id, &m);
	}
	chan_send_result(c, f->seq, f->id, 0, NULL);
}

/* Decode a message of that name and hand it to fn. */
#define ANSWER(name, fn) do { \
	struct msg_##name m; \
	int rc = msg_get_##name(f->body, &m); \
	if (rc != 0) \
		chan_send_result(c, f->seq, f->id, rc, NULL); \
	else \
		fn(c, f->seq, f->id, &w->l, &m); \
} while (0)

/* Messages both links may bring; false when it is none of these. */
static bool
on_request(struct worker *w, struct chan *c, const struct frame *f)
{
	switch (f->type) {
	case MSG_RUN:
		on_run(w, c, f);
		return true;
	case MSG_CANCEL:
		if (w->l.engine != NULL)
			engine_cancel(w->l.engine, c, f->id);
		return true;
	case MSG_TOKENIZE:
		ANSWER(tokenize, text_tokenize);
		return true;
	case MSG_DETOKENIZE:
		ANSWER(detokenize, text_detokenize);
		return true;
	case MSG_RENDER:
		ANSWER(render, text_render);
		return true;
	case MSG_KERNELS:
		on_kernels(c, f);
		return true;
	default:
		return false;
	}
}

/* ---- the gate ---- */

static void
drop_gate(struct worker *w)
{
	if (w->gate == NULL)
		return;
	if (w->l.engine != NULL)
		engine_drop_link(w->l.engine, w->gate);
	chan_free(&w->gate);
}

static void
on_gate_frame(struct chan *c, const struct frame *f, void *arg)
{
	if (f->fd != -1)
		close(f->fd);
	on_request(arg, c, f);
}

/* A link whose other end died with something unread is reset. */
static void
report_close(const char *to, int err)
{
	if (err != 0 && err != -ECONNRESET && err != -EPIPE)
		log_warnx("link to the %s: %s", to, err_text(err));
}

static void
on_gate_close(struct chan *c, int err, void *arg)
{
	struct worker *w = arg;

	report_close("gate", err);
	drop_gate(w);
}

static const struct chan_handler gate_handler = { on_gate_frame,
    on_gate_close };

static void
on_peer(struct worker *w, const struct frame *f)
{
	struct msg_peer m;

	if (msg_get_peer(f->body, &m) != 0 || m.role != R_GATE) {
		log_warnx("a peer that is no gate");
		close(f->fd);
		return;
	}
	drop_gate(w);
	w->gate = chan_new(w->loop, f->fd, R_WORKER, R_GATE, &gate_handler,
	    w);
	if (load_is_ready(&w->l))
		send_info(w, w->gate, 0);
}

/* ---- the master, or the console ---- */

static void
on_quantize(struct worker *w, const struct frame *f)
{
	struct msg_quantize m;
	int r = msg_get_quantize(f->body, &m);

	if (r == 0) {
		offline_quantize(w->up, f->seq, f->id, &w->l, &m, f->fd);
		return;
	}
	close(f->fd);
	chan_send_result(w->up, f->seq, f->id, r, NULL);
}

static void
on_beat(struct ev_loop *loop, struct ev_timer *t, int revents)
{
	pulse_beat(t->data);
}

static void
on_pulse(struct worker *w, int fd)
{
	if (w->l.pulse != NULL || (w->l.pulse = pulse_map(fd)) == NULL)
		return;
	crash_watch(w->l.pulse);
	w->beat.data = w->l.pulse;
	ev_timer_init(&w->beat, on_beat, PULSE_BEAT_S, PULSE_BEAT_S);
	ev_timer_start(w->loop, &w->beat);
}

static void
on_model_part(struct worker *w, const struct frame *f)
{
	struct msg_model_part m;
	struct cause cause = { 0 };
	int r = msg_get_model_part(f->body, &m);

	if (r != 0)
		close(f->fd);
	else if ((r = load_add_part(&w->l, f->fd, m.name, &cause)) != 0)
		log_warnx("%s", cause.text);
}

static void
on_store(struct worker *w, const struct frame *f)
{
	struct msg_store m;

	if (msg_get_store(f->body, &m) == 0)
		load_set_store(&w->l, f->fd, &m);
	else
		close(f->fd);
}

static void
on_model(struct worker *w, const struct frame *f)
{
	struct cause cause = { 0 };
	struct msg_model m;
	uint64_t start = clock_now_ns();
	int r = msg_get_model(f->body, &m);
	const char *only = getenv("BIGMODEL_TEST_POISON_VARIANT");

	if (r == 0) {
		/* Tests of crashes: the others take no harm (run.c). */
		if (only != NULL && !slice_eq(m.variant, only))
			unsetenv("BIGMODEL_TEST_POISON");
		snprintf(w->role, sizeof(w->role), "worker %u", m.worker);
		r = load_model(&w->l, &m, w->up, send_from_engine, &cause);
	}
	if (r != 0) {
		chan_send_result(w->up, f->seq, f->id, r,
		    cause.text[0] != '\0' ? cause.text : NULL);
		return;
	}
	log_info("model is loaded name=%s variant=%s context=%u threads=%d "
	    "level=%s ms=%.0f", w->l.name, w->l.variant, w->l.n_ctx,
	    w->l.n_threads, kern_level(),
	    clock_ms_between(start, clock_now_ns()));
	send_info(w, w->up, f->seq);
	if (w->gate != NULL)
		send_info(w, w->gate, 0);
}

static void
on_conf(const struct frame *f)
{
	struct msg_conf m;
	struct conf conf;
	struct cause cause = { 0 };

	if (msg_get_conf(f->body, &m) != 0 ||
	    conf_get(cur_of(m.conf.p, m.conf.n), &conf, &cause) != 0) {
		log_warnx("configuration: %s", cause.text);
		return;
	}
	log_configure(conf.log_level, conf.log_format);
	conf_fini(&conf);
}

static void
on_up_frame(struct chan *c, const struct frame *f, void *arg)
{
	struct worker *w = arg;

	switch (f->type) {
	case MSG_CONF:
		on_conf(f);
		break;
	case MSG_PEER:
		on_peer(w, f);
		break;
	case MSG_PULSE:
		on_pulse(w, f->fd);
		break;
	case MSG_MODEL_PART:
		on_model_part(w, f);
		break;
	case MSG_STORE:
		on_store(w, f);
		break;
	case MSG_MODEL:
		on_model(w, f);
		break;
	case MSG_BENCH:
		ANSWER(bench, offline_bench);
		break;
	case MSG_LOGITS:
		ANSWER(logits, offline_logits);
		break;
	case MSG_INSPECT:
		offline_inspect(c, f->seq, f->id, &w->l);
		break;
	case MSG_QUANTIZE:
		on_quantize(w, f);
		break;
	case MSG_QUIT:
		w->quit = true;
		break;
	default:
		on_request(w, c, f);
	}
	if (w->quit)
		ev_break(w->loop, EVBREAK_ALL);
}

static void
on_up_close(struct chan *c, int err, void *arg)
{
	struct worker *w = arg;

	report_close("master", err);
	w->quit = true;
	ev_break(w->loop, EVBREAK_ALL);
}

static const struct chan_handler up_handler = { on_up_frame, on_up_close };

/* ---- the loop ---- */

/* Tell the gate how things stand, now and then and at the end. */
static void
notice_load(struct worker *w, bool busy)
{
	uint64_t now = clock_now_ns();
	double ms = clock_ms_between(w->noticed_ns, now);
	struct msg_load m;

	if (w->gate == NULL || (busy && ms < LOAD_NOTICE_MS) ||
	    (!busy && !w->was_busy))
		return;
	engine_load(w->l.engine, &m);
	if (busy && ms > 0)
		m.tokens_per_s = (float)((double)(m.tokens_total -
		    w->noticed_tokens) * 1000 / ms);
	w->noticed_ns = now;
	w->noticed_tokens = m.tokens_total;
	w->was_busy = busy;
	chan_send(w->gate, MSG_LOAD, 0, 0, &m);
}

static void
push(struct worker *w)
{
	chan_push(w->up);
	if (w->gate != NULL)
		chan_push(w->gate);
}

static void
serve(struct worker *w)
{
	while (!w->quit) {
		bool busy = w->l.engine != NULL &&
		    engine_has_work(w->l.engine);

		if (w->l.engine != NULL)
			notice_load(w, busy);
		if (busy)
			engine_step(w->l.engine);
		push(w);
		ev_run(w->loop, busy ? EVRUN_NOWAIT : EVRUN_ONCE);
		push(w);
	}
}

static void
ignore_signals(void)
{
	/* The terminal's and the system's signals go to every process; the
	 * master decides and says QUIT.  Files that grow too large are an
	 * error like any other. */
	static const int ignored[] = { SIGINT, SIGHUP, SIGPIPE, SIGTERM,
	    SIGUSR1, SIGXFSZ };

	for (size_t i = 0; i < N_ELEMENTS(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

int
main(void)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	struct msg_hello hello = { .version = WIRE_VERSION, .role = R_WORKER,
	    .pid = (uint32_t)getpid() };
	struct cause cause = { 0 };

	load_init(&w->l);
	snprintf(w->role, sizeof(w->role), "worker");
	/* A console's worker speaks only of trouble; the daemon's level comes
	 * with CONF. */
	log_init(w->role, LOG_LEVEL_WARN, 0);
	ignore_signals();
	if (kern_init(&cause) != 0)
		fatalx("%s", cause.text);
	w->loop = ev_default_loop(EVFLAG_AUTO);
	if (w->loop == NULL)
		fatalx("no event loop");
	w->up = chan_new(w->loop, UP_FD, R_WORKER, R_MASTER | R_CONSOLE,
	    &up_handler, w);
	chan_send(w->up, MSG_HELLO, 0, 0, &hello);
	serve(w);
	chan_flush(w->up, 1000);
	drop_gate(w);
	load_fini(&w->l);
	chan_free(&w->up);
	ev_loop_destroy(w->loop);
	free(w);
	return 0;
}
