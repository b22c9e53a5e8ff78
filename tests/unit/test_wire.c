/* SPDX-License-Identifier: MIT */
/* Frames and messages: round trips, cuts, lies, and descriptors on the way. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "base/mem.h"
#include "wire/chan_io.h"
#include "wire/commands.h"
#include "wire/fd_io.h"
#include "wire/model_file.h"
#include "wire/sync_io.h"

static const uint32_t three[] = { 7, 8, 4000000000u };

static struct msg_run
some_run(void)
{
	return (struct msg_run){ .input = RUN_TEXT,
	    .text = slice_of("Once upon a time"),
	    .resume = { three, 3 }, .max_tokens = -1, .temperature = 0.7f,
	    .seed = UINT64_MAX, .stop = slice_of("") };
}

static void
frame_round_trip(void **state)
{
	struct msg_run in = some_run(), out;
	struct buf b;
	struct frame f;
	size_t used;

	buf_init(&b, 1 << 20);
	assert_int_equal(frame_put(&b, MSG_RUN, 5, 99, &in), 0);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(frame_get(b.data, n, R_GATE, R_WORKER, &f,
		    &used), 0);
	assert_int_equal(frame_get(b.data, b.len, R_GATE, R_WORKER, &f, &used),
	    1);
	assert_int_equal(used, b.len);
	assert_int_equal(f.type, MSG_RUN);
	assert_int_equal(f.seq, 5);
	assert_int_equal(f.id, 99);
	assert_int_equal(msg_get_run(f.body, &out), 0);
	assert_true(slice_eq(out.text, "Once upon a time"));
	assert_int_equal(out.resume.n, 3);
	assert_true(words_at(out.resume, 2) == 4000000000u);
	assert_int_equal(out.max_tokens, -1);
	assert_true(out.seed == UINT64_MAX && out.temperature == 0.7f);
	buf_fini(&b);
}

static void
frames_of_the_wrong_kind_are_refused(void **state)
{
	struct msg_run m = some_run();
	struct buf b;
	struct frame f;
	size_t used;

	buf_init(&b, 1 << 20);
	assert_int_equal(frame_put(&b, MSG_RUN, 0, 1, &m), 0);
	/* A worker may not send RUN. */
	assert_int_equal(frame_get(b.data, b.len, R_WORKER, R_GATE, &f, &used),
	    BM_EPROTO);
	b.data[8] = b.data[9] = b.data[10] = b.data[11] = 0xff;
	assert_int_equal(frame_get(b.data, b.len, R_GATE, R_WORKER, &f, &used),
	    BM_EPROTO);
	b.data[0] ^= 1;
	assert_int_equal(frame_get(b.data, b.len, R_GATE, R_WORKER, &f, &used),
	    BM_EPROTO);
	buf_fini(&b);
}

static void
a_body_may_be_shorter_or_longer(void **state)
{
	struct msg_result m = { .code = -5, .text = slice_of("why") }, out;
	struct buf b;

	buf_init(&b, 1000);
	msg_put_result(&b, &m);
	/* An older peer knows the first field only. */
	assert_int_equal(msg_get_result(cur_of(b.data, 4), &out), 0);
	assert_int_equal(out.code, -5);
	assert_int_equal(out.text.n, 0);
	/* Cut within a field. */
	assert_int_equal(msg_get_result(cur_of(b.data, 6), &out), BM_EPROTO);
	/* A newer one has a field more. */
	buf_put_u64(&b, 1);
	assert_int_equal(msg_get_result(cur_of(b.data, b.len), &out), 0);
	assert_true(slice_eq(out.text, "why"));
	buf_fini(&b);
}

/* What the two ends of a channel saw. */
struct seen {
	struct ev_loop	*loop;
	int		 n_frames;
	int		 n_fds;
	int		 closed;
	size_t		 text_bytes;
};

static void
on_frame(struct chan *c, const struct frame *f, void *arg)
{
	struct seen *s = arg;
	struct msg_text t;
	char byte;

	s->n_frames++;
	if (f->fd != -1) {
		assert_int_equal(read(f->fd, &byte, 1), 1);
		assert_int_equal(byte, 'a' + s->n_fds);
		s->n_fds++;
		close(f->fd);
	} else if (f->type == MSG_TEXT) {
		assert_int_equal(msg_get_text(f->body, &t), 0);
		s->text_bytes += t.text.n;
	}
}

static void
on_close(struct chan *c, int err, void *arg)
{
	struct seen *s = arg;

	s->closed = err == 0 ? 1 : err;
	ev_break(s->loop, EVBREAK_ALL);
}

static const struct chan_handler handler = { on_frame, on_close };

static void
channels_carry_descriptors_in_order(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct seen master = { .loop = loop }, gate = { .loop = loop };
	struct chan *a, *b;
	int ends[2];

	assert_int_equal(fd_socketpair(ends), 0);
	a = chan_new(loop, ends[0], R_MASTER, R_GATE, &handler, &master);
	b = chan_new(loop, ends[1], R_GATE, R_MASTER, &handler, &gate);
	for (int i = 0; i < 20; i++) {
		struct msg_peer peer = { .role = R_WORKER, .worker = 1 };
		struct msg_model_gone gone = { .name = slice_of("tale") };
		char byte = (char)('a' + i);
		int p[2];

		assert_int_equal(pipe(p), 0);
		assert_int_equal(write(p[1], &byte, 1), 1);
		close(p[1]);
		assert_int_equal(chan_send_fd(a, MSG_PEER, 0, 0, &peer, p[0]),
		    0);
		assert_int_equal(chan_send(a, MSG_MODEL_GONE, 0, 0, &gone), 0);
	}
	for (int i = 0; i < 100 && gate.n_frames < 40; i++)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(gate.n_frames, 40);
	assert_int_equal(gate.n_fds, 20);
	chan_free(&a);
	ev_run(loop, 0);
	assert_int_equal(gate.closed, 1);
	chan_free(&b);
	ev_loop_destroy(loop);
}

static void
a_channel_keeps_what_the_socket_does_not_take(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct seen worker = { .loop = loop }, gate = { .loop = loop };
	size_t n = 300000, total = 0;
	char *text = xmalloc(n);
	struct chan *a, *b;
	int ends[2];

	memset(text, 'x', n);
	assert_int_equal(fd_socketpair(ends), 0);
	a = chan_new(loop, ends[0], R_WORKER, R_GATE, &handler, &worker);
	b = chan_new(loop, ends[1], R_GATE, R_WORKER, &handler, &gate);
	for (int i = 0; i < 10; i++, total += n) {
		struct msg_text t = { .text = { text, n } };

		assert_int_equal(chan_send(a, MSG_TEXT, 0, 0, &t), 0);
	}
	assert_true(chan_backlog(a) > 0);
	while (gate.n_frames < 10)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(gate.text_bytes, total);
	assert_int_equal(chan_backlog(a), 0);
	chan_free(&a);
	chan_free(&b);
	free(text);
	ev_loop_destroy(loop);
}

/* What is put stays until it is pushed, or goes with what is sent. */
static void
what_is_put_goes_in_one_write(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct seen worker = { .loop = loop }, gate = { .loop = loop };
	struct msg_text t = { .text = slice_of("token") };
	struct chan *a, *b;
	int ends[2];

	assert_int_equal(fd_socketpair(ends), 0);
	a = chan_new(loop, ends[0], R_WORKER, R_GATE, &handler, &worker);
	b = chan_new(loop, ends[1], R_GATE, R_WORKER, &handler, &gate);
	for (int i = 0; i < 3; i++)
		assert_int_equal(chan_put(a, MSG_TEXT, 0, 0, &t), 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(gate.n_frames, 0);
	assert_true(chan_backlog(a) > 0);
	chan_push(a);
	assert_int_equal(chan_backlog(a), 0);
	ev_run(loop, EVRUN_ONCE);
	assert_int_equal(gate.n_frames, 3);
	assert_int_equal(chan_put(a, MSG_TEXT, 0, 0, &t), 0);
	assert_int_equal(chan_send(a, MSG_TEXT, 0, 0, &t), 0);
	assert_int_equal(chan_backlog(a), 0);
	ev_run(loop, EVRUN_ONCE);
	assert_int_equal(gate.n_frames, 5);
	chan_free(&a);
	chan_free(&b);
	ev_loop_destroy(loop);
}

static void
a_peer_out_of_order_closes_the_channel(void **state)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct seen gate = { .loop = loop };
	struct chan *b;
	int ends[2];

	assert_int_equal(fd_socketpair(ends), 0);
	b = chan_new(loop, ends[1], R_GATE, R_WORKER, &handler, &gate);
	assert_int_equal(write(ends[0], "no frame of ours at all.", 24), 24);
	ev_run(loop, 0);
	assert_int_equal(gate.closed, BM_EPROTO);
	chan_free(&b);
	close(ends[0]);
	ev_loop_destroy(loop);
}

static void
sync_speaks_the_same(void **state)
{
	struct sync_io console, worker;
	struct msg_tokenize ask = { .text = slice_of("hello") }, got;
	struct frame f;
	int ends[2];

	assert_int_equal(fd_socketpair(ends), 0);
	sync_init(&console, ends[0], R_CONSOLE, R_WORKER);
	sync_init(&worker, ends[1], R_WORKER, R_CONSOLE);
	for (uint32_t seq = 1; seq <= 3; seq++)
		assert_int_equal(sync_send(&console, MSG_TOKENIZE, seq, 0,
		    &ask, -1), 0);
	for (uint32_t seq = 1; seq <= 3; seq++) {
		assert_int_equal(sync_recv(&worker, &f, 1000), 0);
		assert_int_equal(f.seq, seq);
		assert_int_equal(msg_get_tokenize(f.body, &got), 0);
		assert_true(slice_eq(got.text, "hello"));
	}
	assert_int_equal(sync_recv(&worker, &f, 1), BM_ETIMEOUT);
	sync_fini(&console);
	assert_int_equal(sync_recv(&worker, &f, 1000), BM_EWORKER);
	sync_fini(&worker);
}

static void
lists_of_strings(void **state)
{
	struct buf b;
	struct cur c;
	struct slice s;

	buf_init(&b, 1000);
	strs_put(&b, slice_of("user"));
	strs_put(&b, slice_of(""));
	c = strs_of((struct slice){ (const char *)b.data, b.len });
	assert_true(strs_next(&c, &s) && slice_eq(s, "user"));
	assert_true(strs_next(&c, &s) && s.n == 0);
	assert_false(strs_next(&c, &s));
	c = strs_of((struct slice){ (const char *)b.data, b.len - 1 });
	assert_true(strs_next(&c, &s));
	assert_false(strs_next(&c, &s));
	buf_fini(&b);
}

static void
command_words(void **state)
{
	struct words_list w;
	const struct command *cmd;
	struct cause cause;
	struct buf b;
	size_t used;

	assert_int_equal(words_split(slice_of(
	    "  sql \"SELECT \\\"a b\\\"\" 'it is' ''"), &w, &cause), 0);
	assert_int_equal(w.n, 4);
	assert_string_equal(w.w[1], "SELECT \"a b\"");
	assert_string_equal(w.w[2], "it is");
	assert_string_equal(w.w[3], "");
	buf_init(&b, 1000);
	words_join((const char *const *)w.w, w.n, &b);
	assert_string_equal(buf_cstr(&b),
	    "sql \"SELECT \\\"a b\\\"\" \"it is\" \"\"");
	buf_fini(&b);
	words_free(&w);
	assert_int_equal(words_split(slice_of("a \"b"), &w, &cause),
	    BM_EBADREQ);
	assert_int_equal(words_split(slice_of("show models"), &w, &cause), 0);
	assert_int_equal(command_find((const char *const *)w.w, w.n, &cmd,
	    &used, &cause), 0);
	assert_int_equal(cmd->id, CMD_ID_SHOW_MODELS);
	assert_int_equal(used, 2);
	assert_int_equal(command_find((const char *const *)w.w, 1, &cmd, &used,
	    &cause), BM_EUSAGE);
	words_free(&w);
}

static void
split_names(void **state)
{
	int k = 0, of = 0;

	assert_int_equal(model_file_split("/a/m-00002-of-00003.gguf", &k, &of),
	    4);
	assert_int_equal(k, 2);
	assert_int_equal(of, 3);
	assert_int_equal(model_file_split("m.gguf", &k, &of), 0);
	assert_int_equal(model_file_split("m-00004-of-00003.gguf", &k, &of), 0);
	assert_int_equal(model_file_split("m-00000-of-00003.gguf", &k, &of), 0);
	assert_int_equal(model_file_split("m-0000x-of-00003.gguf", &k, &of), 0);
	assert_int_equal(model_file_split("m-00001-of-99999.gguf", &k, &of), 0);
	assert_int_equal(model_file_split("-00001-of-00001.gguf", &k, &of), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_round_trip),
		cmocka_unit_test(frames_of_the_wrong_kind_are_refused),
		cmocka_unit_test(a_body_may_be_shorter_or_longer),
		cmocka_unit_test(channels_carry_descriptors_in_order),
		cmocka_unit_test(a_channel_keeps_what_the_socket_does_not_take),
		cmocka_unit_test(what_is_put_goes_in_one_write),
		cmocka_unit_test(a_peer_out_of_order_closes_the_channel),
		cmocka_unit_test(sync_speaks_the_same),
		cmocka_unit_test(lists_of_strings),
		cmocka_unit_test(command_words),
		cmocka_unit_test(split_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
