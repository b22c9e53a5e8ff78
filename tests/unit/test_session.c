/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gate/session.h"
#include "tests/unit/fake_core.h"

static struct session *s;
static struct buf out;
static int n_closes;

static void
io_write(void *arg, const void *p, size_t n)
{
	buf_put(&out, p, n);
}

static void
io_close(void *arg)
{
	n_closes++;
}

static const struct session_io io = { .write = io_write, .close = io_close };

static int
setup(void **state)
{
	fake_init();
	buf_init(&out, 1 << 20);
	n_closes = 0;
	s = session_new(&fake.g, &io, NULL, "unix:uid=1");
	return 0;
}

static int
teardown(void **state)
{
	session_free(&s);
	buf_fini(&out);
	fake_fini();
	return 0;
}

static void
say(const char *bytes)
{
	session_feed(s, bytes, strlen(bytes));
}

/* What was answered since the last call. */
static void
expect(const char *text)
{
	assert_string_equal(buf_cstr(&out), text);
	buf_clear(&out);
}

static void
expect_part(const char *part)
{
	if (strstr(buf_cstr(&out), part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", buf_cstr(&out), part);
	buf_clear(&out);
}

static void
a_stream(void **state)
{
	struct request *r;

	say("generate model=tale max_tokens=16 temperature=0 stream=yes id=a "
	    "prompt=\"Once upon a time\"\n");
	assert_int_equal(fake.n_live, 1);
	r = fake.live[0];
	assert_string_equal(r->client, "unix:uid=1");
	assert_string_equal(r->protocol, "line");
	assert_string_equal(r->endpoint, "generate");
	assert_string_equal(r->model, "tale");
	assert_int_equal(r->m.run.max_tokens, 16);
	r->events->queued(r, 2, 1500);
	expect("queued id=a position=2 wait_ms=1500\n");
	fake_output(r, " there");
	expect("token id=a text=\" there\"\n");
	fake_done(r, 0);
	expect("done id=a finish=length prompt_tokens=5 completion_tokens=3 "
	    "cached_tokens=2 queue_ms=0.1 prefill_ms=3.2 decode_ms=20.8\n");
}

static void
an_answer_in_one(void **state)
{
	say("generate prompt=Hello\r\n");
	fake_output(fake.live[0], "a ");
	fake_output(fake.live[0], "\xff");
	expect("");
	fake_done(fake.live[0], 0);
	expect("done id=1 text=\"a \xef\xbf\xbd\" finish=length "
	    "prompt_tokens=5 completion_tokens=3 cached_tokens=2 queue_ms=0.1 "
	    "prefill_ms=3.2 decode_ms=20.8\n");
}

static void
json_is_answered_in_json(void **state)
{
	say("{\"op\":\"chat\",\"id\":9,\"stream\":true,\"messages\":"
	    "[{\"role\":\"user\",\"content\":\"Hi\"}]}\n");
	assert_string_equal(fake.live[0]->prompt,
	    "[{\"role\":\"user\",\"content\":\"Hi\"}]");
	fake_output(fake.live[0], "x");
	expect("{\"event\":\"token\",\"id\":9,\"text\":\"x\"}\n");
	fake_done(fake.live[0], BM_EQUEUE);
	expect("{\"event\":\"error\",\"id\":9,\"code\":\"queue_full\","
	    "\"retry_ms\":1500,\"message\":\"it failed\"}\n");
}

static void
many_in_flight(void **state)
{
	say("generate prompt=a id=1\ngenerate prompt=b\ngenerate prompt=c "
	    "id=x\n");
	assert_int_equal(session_n_running(s), 3);
	say("generate prompt=d id=x\n");
	expect_part("error id=x code=bad_request message=\"a request of that");
	assert_int_equal(session_n_running(s), 3);
	fake_done(fake.live[2], 0);
	expect_part("done id=x ");
	/* 1 was taken, so the one without an id is 2. */
	fake_done(fake.live[1], 0);
	expect_part("done id=2 ");
	say("generate prompt=d id=x\n");
	assert_int_equal(session_n_running(s), 2);
}

static void
a_limit_for_each_connection(void **state)
{
	fake.g.conf.limits_per_connection = 2;
	say("generate prompt=a\ngenerate prompt=b\ngenerate prompt=c\n");
	assert_int_equal(fake.n_live, 2);
	expect_part("error id=3 code=queue_full");
}

static void
cancelling(void **state)
{
	say("generate prompt=a id=q\ncancel id=q\n");
	expect("error id=q code=cancelled message=\"it failed\"\n");
	assert_int_equal(fake.n_cancelled, 1);
	say("cancel id=q\n");
	expect_part("error id=q code=bad_request");
	say("cancel\n");
	expect_part("error code=bad_request");
}

static void
tokens_and_text(void **state)
{
	fake.is_instant = true;
	say("tokenize id=e text=\"ab\"\n");
	expect("done id=e tokens=[1,2,3]\n");
	say("detokenize id=f tokens=[1,2]\n");
	expect("done id=f text=\"some text\"\n");
}

static void
logprobs_are_given_when_asked_for(void **state)
{
	say("generate prompt=a stream=yes logprobs=1\n");
	assert_int_equal(fake.live[0]->m.run.n_probs, 1);
	fake_output_logprob(fake.live[0], "x", -0.5f);
	expect("token id=1 text=\"x\" logprobs=[{\"token\":7,\"text\":\"x\","
	    "\"logprob\":-0.5,\"top\":[{\"token\":7,\"text\":\"x\","
	    "\"logprob\":-0.5}]}]\n");
}

static void
small_verbs(void **state)
{
	say("ping\nping id=z\n");
	expect("pong\npong id=z\n");
	say("models\n");
	expect("model name=tale state=ready architecture=\"\" context=2048\n"
	    "done\n");
	say("help\n");
	expect_part("help verb=generate");
	say("embed input=x\n");
	expect_part("error id=1 code=bad_request");
	say("quit\nping\n");
	expect("");
	assert_int_equal(n_closes, 1);
}

static void
quit_waits_for_answers(void **state)
{
	say("generate prompt=a id=a\nquit\nping\n");
	assert_int_equal(n_closes, 0);
	fake_done(fake.live[0], 0);
	expect_part("done id=a");
	assert_int_equal(n_closes, 1);
}

static void
refusals_are_logged(void **state)
{
	say("generate id=a prompt=x max_tokens=many\n");
	expect_part("error id=a code=bad_request");
	assert_int_equal(fake.n_refused, 1);
	assert_int_equal(fake.code, BM_EBADREQ);
	say("tokenize id=b\nping\nnonsense\n");
	assert_int_equal(fake.n_refused, 1);
}

static void
keys(void **state)
{
	struct conf_tenant *t = conf_add_tenant(&fake.g.conf, "joe");

	free(t->key);
	t->key = xstrdup("secret");
	say("generate prompt=a\n");
	expect_part("error id=1 code=unauthorized");
	say("models\n");
	expect_part("model name=tale");
	say("auth key=wrong\n");
	expect_part("error code=unauthorized");
	say("auth key=12\nauth key=[12]\n");
	expect_part("error code=unauthorized");
	say("auth key=secret\n");
	expect("done\n");
	say("generate prompt=a\n");
	assert_int_equal(fake.n_live, 1);
	assert_string_equal(fake.live[0]->tenant, "joe");
}

static void
faults_are_answered(void **state)
{
	static const char *const lines[] = { "\n", "=\n", "generate\n",
	    "generate prompt=a promt=b\n", "generate prompt=a n=2\n",
	    "generate prompt=[\"a\",\"b\"]\n", "generate prompt=a id=[]\n",
	    "generate prompt=a stream=maybe\n", "generate prompt=a model=1\n",
	    "chat messages=[]\n", "tokenize text=5\n", "detokenize tokens=x\n",
	    "nonsense\n", "\xff\n", "{\n", "generate prompt=a top_p=2\n" };

	for (size_t i = 1; i < N_ELEMENTS(lines); i++) {
		say(lines[i]);
		expect_part("code");
		assert_int_equal(fake.n_submitted, 0);
	}
	say(lines[0]);
	expect("");
	say("generate prompt=a top_p=2 id=t\n");
	expect("error id=t code=bad_request message=\"top_p must be between 0 "
	    "and 1\"\n");
}

static void
lines_in_pieces(void **state)
{
	static const char line[] = "ping\nping id=2\npi";

	for (size_t i = 0; i < sizeof(line) - 1; i++)
		session_feed(s, line + i, 1);
	expect("pong\npong id=2\n");
	say("ng");
	session_eof(s);
	expect("pong\n");
	assert_int_equal(n_closes, 1);
}

static void
a_line_too_long(void **state)
{
	char *p = xcalloc(1, 2000);

	memset(p, 'a', 1999);
	fake.g.conf.limits_line_bytes = 1024;
	session_free(&s);
	s = session_new(&fake.g, &io, NULL, "x");
	session_feed(s, p, 1999);
	expect_part("at most 1024 bytes");
	assert_int_equal(n_closes, 1);
	session_feed(s, "\nping\n", 6);
	expect("");
	free(p);
}

static void
the_end_of_input_leaves_answers(void **state)
{
	say("generate prompt=a");
	session_eof(s);
	assert_int_equal(fake.n_live, 1);
	assert_int_equal(n_closes, 0);
	fake_done(fake.live[0], 0);
	expect_part("done id=1");
	assert_int_equal(n_closes, 1);
}

static void
a_lost_client_abandons(void **state)
{
	say("generate prompt=a\ntokenize text=b\n");
	session_free(&s);
	assert_int_equal(fake.n_abandoned, 2);
	assert_int_equal(fake.n_live, 0);
}

static void
draining_closes_after_the_answer(void **state)
{
	say("generate prompt=a\n");
	fake.g.is_draining = true;
	say("ping\n");
	assert_int_equal(n_closes, 0);
	fake_done(fake.live[0], 0);
	assert_int_equal(n_closes, 1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_stream),
		T(an_answer_in_one),
		T(json_is_answered_in_json),
		T(many_in_flight),
		T(a_limit_for_each_connection),
		T(cancelling),
		T(tokens_and_text),
		T(logprobs_are_given_when_asked_for),
		T(small_verbs),
		T(quit_waits_for_answers),
		T(refusals_are_logged),
		T(keys),
		T(faults_are_answered),
		T(lines_in_pieces),
		T(a_line_too_long),
		T(the_end_of_input_leaves_answers),
		T(a_lost_client_abandons),
		T(draining_closes_after_the_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
