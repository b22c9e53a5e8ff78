/* SPDX-License-Identifier: MIT */
/* The worker as a process, spoken to as master, gate and console do. */
#include "config.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "wire/fd_io.h"
#include "wire/sync_io.h"

#define WAIT_MS		60000
#define MODEL_SEQ	7

struct worker {
	pid_t		 pid;
	struct sync_io	 up;
};

/* ---- one process ---- */

static const char *
worker_path(char path[4096])
{
	const char *dir = getenv("top_builddir");

	snprintf(path, 4096, "%s/daemon/worker/worker",
	    dir != NULL ? dir : ".");
	return path;
}

static void
start(struct worker *w, enum role me)
{
	char path[4096];
	int fds[2];

	assert_int_equal(fd_socketpair(fds), 0);
	worker_path(path);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		if (fds[1] == 3)
			fd_set_cloexec(3, 0);
		else if (dup2(fds[1], 3) == -1)
			_exit(126);
		execl(path, "worker", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	sync_init(&w->up, fds[0], me, R_WORKER);
}

static void
expect_exit_0(struct worker *w)
{
	int status;

	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
quit(struct worker *w)
{
	struct msg_quit m = { 0 };

	assert_int_equal(sync_send(&w->up, MSG_QUIT, 0, 0, &m, -1), 0);
	expect_exit_0(w);
	sync_fini(&w->up);
}

static void
receive(struct sync_io *s, unsigned type, struct frame *f)
{
	assert_int_equal(sync_recv(s, f, WAIT_MS), 0);
	if (f->type != type)
		fail_msg("%s came, not %s", msg_name(f->type),
		    msg_name(type));
}

static void
send_part(struct worker *w, const char *path)
{
	struct msg_model_part m = { .name = slice_of(path) };
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(sync_send(&w->up, MSG_MODEL_PART, 0, 0, &m, fd), 0);
	close(fd);
}

static void
start_with_model(struct worker *w, enum role me, const char *path)
{
	struct msg_model m = { .worker = 3, .name = slice_of("m"),
	    .variant = slice_of("v"), .n_threads = 2 };
	struct msg_model_info info;
	struct frame f;

	start(w, me);
	receive(&w->up, MSG_HELLO, &f);
	send_part(w, path);
	assert_int_equal(sync_send(&w->up, MSG_MODEL, MODEL_SEQ, 0, &m, -1),
	    0);
	receive(&w->up, MSG_MODEL_INFO, &f);
	assert_int_equal(f.seq, MODEL_SEQ);
	assert_int_equal(msg_get_model_info(f.body, &info), 0);
	assert_int_equal(info.worker, 3);
	assert_true(slice_eq(info.architecture, "llama"));
	assert_true(slice_eq(info.name, "m"));
	assert_true(info.kv_bytes >= info.n_ctx * info.kv_bytes_per_token);
	assert_int_equal(info.n_threads, 2);
}

static const char *
shipped_model(char path[4096])
{
	return source_path("models/tale-3.7m-f16.gguf", path, 4096);
}

/* A new link to the gate: our end. */
static void
give_peer(struct worker *w, struct sync_io *gate)
{
	struct msg_peer m = { .role = R_GATE };
	struct frame f;
	int fds[2];

	assert_int_equal(fd_socketpair(fds), 0);
	assert_int_equal(sync_send(&w->up, MSG_PEER, 0, 0, &m, fds[1]), 0);
	close(fds[1]);
	sync_init(gate, fds[0], R_GATE, R_WORKER);
	receive(gate, MSG_MODEL_INFO, &f);
}

static void
send_run(struct sync_io *s, uint64_t id, int32_t max_tokens)
{
	struct msg_run m = { .input = RUN_TEXT,
	    .text = slice_of("Once upon a time"), .add_special = 1,
	    .ignore_eos = 1, .max_tokens = max_tokens, .n_probs = -1,
	    .top_p = 1, .repeat_penalty = 1 };

	assert_int_equal(sync_send(s, MSG_RUN, 0, id, &m, -1), 0);
}

/* Receive until the run has ended; how many tokens it gave. */
static size_t
finish_run(struct sync_io *s, uint64_t id)
{
	struct msg_ended ended;
	struct msg_out out;
	struct frame f;
	size_t n = 0;

	for (;;) {
		assert_int_equal(sync_recv(s, &f, WAIT_MS), 0);
		if (f.id != id)
			continue;
		if (f.type == MSG_ENDED)
			break;
		if (f.type != MSG_OUT)
			continue;
		assert_int_equal(msg_get_out(f.body, &out), 0);
		n += out.tokens.n;
	}
	assert_int_equal(msg_get_ended(f.body, &ended), 0);
	assert_int_equal(ended.code, 0);
	assert_int_equal(ended.completion_tokens, n);
	return n;
}

/* Receive until it has ended by being cancelled. */
static void
finish_cancelled(struct sync_io *s, uint64_t id)
{
	struct msg_ended ended;
	struct frame f;

	do
		assert_int_equal(sync_recv(s, &f, WAIT_MS), 0);
	while (f.type != MSG_ENDED || f.id != id);
	assert_int_equal(msg_get_ended(f.body, &ended), 0);
	assert_int_equal(ended.code, BM_ECANCEL);
}

/* ---- tests ---- */

static void
generates_for_the_gate(void **state)
{
	struct sync_io gate;
	struct worker w;
	struct frame f;
	char path[4096];

	start_with_model(&w, R_MASTER, shipped_model(path));
	give_peer(&w, &gate);
	send_run(&gate, 11, 40);
	send_run(&gate, 12, 40);
	assert_int_equal(finish_run(&gate, 12), 40);
	/* The last notice says that nothing is left. */
	for (;;) {
		struct msg_load m;

		assert_int_equal(sync_recv(&gate, &f, WAIT_MS), 0);
		if (f.type != MSG_LOAD)
			continue;
		assert_int_equal(msg_get_load(f.body, &m), 0);
		if (m.running == 0 && m.waiting == 0) {
			assert_int_equal(m.tokens_total, 80);
			assert_int_equal(m.kv_pages_used, 0);
			break;
		}
	}
	sync_fini(&gate);
	quit(&w);
}

static void
cancels_within_a_step(void **state)
{
	struct msg_cancel m = { 0 };
	struct sync_io gate;
	struct worker w;
	struct frame f;
	char path[4096];

	start_with_model(&w, R_MASTER, shipped_model(path));
	give_peer(&w, &gate);
	send_run(&gate, 1, -1);
	do
		assert_int_equal(sync_recv(&gate, &f, WAIT_MS), 0);
	while (f.type != MSG_OUT);
	assert_int_equal(sync_send(&gate, MSG_CANCEL, 0, 1, &m, -1), 0);
	finish_cancelled(&gate, 1);
	sync_fini(&gate);
	quit(&w);
}

/* The gate dies with work in the worker; a new one takes over. */
static void
outlives_the_gate(void **state)
{
	struct sync_io first, second, third;
	struct worker w;
	char path[4096];

	start_with_model(&w, R_MASTER, shipped_model(path));
	give_peer(&w, &first);
	send_run(&first, 1, -1);
	sync_fini(&first);
	give_peer(&w, &second);
	send_run(&second, 1, 10);
	assert_int_equal(finish_run(&second, 1), 10);
	/* Replaced without having died: its end closes. */
	send_run(&second, 2, -1);
	give_peer(&w, &third);
	for (;;) {
		struct frame f;
		int r = sync_recv(&second, &f, WAIT_MS);

		if (r != 0) {
			assert_int_equal(r, BM_EWORKER);
			break;
		}
	}
	send_run(&third, 3, 5);
	assert_int_equal(finish_run(&third, 3), 5);
	sync_fini(&second);
	sync_fini(&third);
	quit(&w);
}

static void
ends_with_its_master(void **state)
{
	struct worker w;
	char path[4096];

	start_with_model(&w, R_CONSOLE, shipped_model(path));
	kill(w.pid, SIGTERM);
	kill(w.pid, SIGINT);
	kill(w.pid, SIGHUP);
	send_run(&w.up, 1, 3);		/* none of them ended it */
	assert_int_equal(finish_run(&w.up, 1), 3);
	send_run(&w.up, 2, -1);
	sync_fini(&w.up);
	expect_exit_0(&w);
}

/* User and system time of a process, in ticks. */
static unsigned long
cpu_ticks(pid_t pid)
{
	unsigned long user, kernel;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d (worker) %*c %*d %*d %*d %*d %*d %*u "
	    "%*u %*u %*u %*u %lu %lu", &user, &kernel), 2);
	fclose(f);
	return user + kernel;
}

static void
idles_without_cpu(void **state)
{
	unsigned long before;
	struct worker w;
	char path[4096];

	start_with_model(&w, R_CONSOLE, shipped_model(path));
	send_run(&w.up, 1, 2);
	finish_run(&w.up, 1);
	usleep(100000);			/* the threads go to sleep */
	before = cpu_ticks(w.pid);
	usleep(500000);
	/* a loop or a thread that spins would have used 50 */
	assert_in_range(cpu_ticks(w.pid) - before, 0, 2);
	quit(&w);
}

static void
answers_about_text(void **state)
{
	struct msg_tokenize t = { .text = slice_of("Once upon") };
	struct msg_detokenize d = { .pieces = 0 };
	struct msg_render r = { .add_generation_prompt = 1 };
	struct msg_tokens tokens;
	struct msg_text text;
	struct worker w;
	struct frame f;
	struct buf list;
	uint32_t ids[16];
	char path[4096];

	start_with_model(&w, R_CONSOLE, shipped_model(path));
	assert_int_equal(sync_send(&w.up, MSG_TOKENIZE, 21, 0, &t, -1), 0);
	receive(&w.up, MSG_TOKENS, &f);
	assert_int_equal(f.seq, 21);
	assert_int_equal(msg_get_tokens(f.body, &tokens), 0);
	assert_in_range(tokens.tokens.n, 2, 16);
	memcpy(ids, tokens.tokens.p, tokens.tokens.n * sizeof(*ids));
	d.tokens = (struct words){ ids, tokens.tokens.n };
	assert_int_equal(sync_send(&w.up, MSG_DETOKENIZE, 22, 0, &d, -1), 0);
	receive(&w.up, MSG_TEXT, &f);
	assert_int_equal(msg_get_text(f.body, &text), 0);
	assert_true(slice_eq(text.text, "Once upon"));
	ids[0] = 1u << 31;
	assert_int_equal(sync_send(&w.up, MSG_DETOKENIZE, 23, 0, &d, -1), 0);
	receive(&w.up, MSG_RESULT, &f);
	assert_int_equal(f.seq, 23);
	buf_init(&list, 4096);
	strs_put(&list, slice_of("user"));
	strs_put(&list, slice_of("A tale of a fox"));
	r.messages = (struct slice){ (char *)list.data, list.len };
	assert_int_equal(sync_send(&w.up, MSG_RENDER, 24, 0, &r, -1), 0);
	receive(&w.up, MSG_TEXT, &f);
	assert_int_equal(msg_get_text(f.body, &text), 0);
	assert_non_null(memmem(text.text.p, text.text.n, "A tale of a fox",
	    15));
	buf_fini(&list);
	quit(&w);
}

static void
refuses_and_stays(void **state)
{
	struct msg_model m = { .name = slice_of("m") };
	struct msg_inspect i = { 0 };
	struct msg_result result;
	struct msg_ended ended;
	struct worker w;
	struct frame f;
	size_t n_kv = 0, n_tensors = 0;
	char path[4096];

	shared_path("golden/qwen2-f16.gguf", path, sizeof(path));
	start(&w, R_CONSOLE);
	receive(&w.up, MSG_HELLO, &f);
	send_run(&w.up, 1, 1);			/* before any model */
	receive(&w.up, MSG_ENDED, &f);
	assert_int_equal(msg_get_ended(f.body, &ended), 0);
	assert_int_equal(ended.code, BM_ENOMODEL);
	send_part(&w, path);
	assert_int_equal(sync_send(&w.up, MSG_MODEL, 5, 0, &m, -1), 0);
	receive(&w.up, MSG_RESULT, &f);
	assert_int_equal(f.seq, 5);
	assert_int_equal(msg_get_result(f.body, &result), 0);
	assert_int_equal(result.code, BM_EUNSUP);
	assert_non_null(memmem(result.text.p, result.text.n, "qwen2", 5));
	assert_int_equal(sync_send(&w.up, MSG_INSPECT, 6, 0, &i, -1), 0);
	for (;;) {
		assert_int_equal(sync_recv(&w.up, &f, WAIT_MS), 0);
		n_kv += f.type == MSG_INSPECT_KV;
		n_tensors += f.type == MSG_INSPECT_TENSOR;
		if (f.type == MSG_RESULT)
			break;
	}
	assert_int_equal(msg_get_result(f.body, &result), 0);
	assert_int_equal(result.code, 0);
	assert_true(n_kv > 5);
	assert_true(n_tensors > 20);
	quit(&w);
}

/* The rows of LOGITS do not depend on the chunk. */
static void
gives_all_logits(void **state)
{
	static const uint32_t tokens[] = { 1, 403, 407, 261, 378, 432, 383 };
	static float rows[2][7 * 4096];
	const size_t n_tokens = sizeof(tokens) / sizeof(tokens[0]);
	struct worker w;
	struct frame f;
	size_t n_columns = 0;
	char path[4096];

	start_with_model(&w, R_CONSOLE, shipped_model(path));
	for (unsigned i = 0; i < 2; i++) {
		struct msg_logits m = { .tokens = { tokens, n_tokens },
		    .chunk = i * 3 };
		struct msg_rows r;
		size_t n = 0;

		assert_int_equal(sync_send(&w.up, MSG_LOGITS, 31 + i, 0, &m,
		    -1), 0);
		while (n < n_tokens) {
			receive(&w.up, MSG_ROWS, &f);
			assert_int_equal(msg_get_rows(f.body, &r), 0);
			assert_int_equal(r.first, n);
			n_columns = r.n_columns;
			assert_in_range(n_columns, 1, 4096);
			memcpy(rows[i] + n * n_columns, r.values.p,
			    r.values.n * sizeof(float));
			n += r.n_rows;
		}
		receive(&w.up, MSG_RESULT, &f);
		assert_int_equal(f.seq, 31 + i);
	}
	assert_memory_equal(rows[0], rows[1],
	    n_tokens * n_columns * sizeof(float));
	quit(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generates_for_the_gate),
		cmocka_unit_test(cancels_within_a_step),
		cmocka_unit_test(outlives_the_gate),
		cmocka_unit_test(ends_with_its_master),
		cmocka_unit_test(idles_without_cpu),
		cmocka_unit_test(answers_about_text),
		cmocka_unit_test(refuses_and_stays),
		cmocka_unit_test(gives_all_logits),
	};
	char path[4096];

	if (access(worker_path(path), X_OK) != 0) {
		printf("1..0 # SKIP no worker in $top_builddir\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
