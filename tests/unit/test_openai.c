/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "gate/openai.h"
#include "gate/routes.h"
#include "tests/unit/fake_core.h"
#include "tests/unit/fake_http.h"

#define CHAT	"/v1/chat/completions"
#define TEXT	"/v1/completions"
#define HI	"\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"

static struct fake_http h;

static int
setup(void **state)
{
	fake_init();
	memset(&h, 0, sizeof(h));
	return 0;
}

static int
teardown(void **state)
{
	fake_http_end(&h);
	fake_fini();
	return 0;
}

static void
post(const char *path, const char *body)
{
	assert_int_equal(fake_http_call(&h, "POST", path, body, strlen(body)),
	    0);
}

/* Begin the next exchange of the same test. */
static void
again(void)
{
	fake_http_end(&h);
	memset(&h, 0, sizeof(h));
}

/* The answer as JSON with the two members that differ each time taken out. */
static char *
answer(void)
{
	json_t *o = json_loads(buf_cstr(&h.out), 0, NULL);
	char *text;

	assert_non_null(o);
	json_object_del(o, "id");
	json_object_del(o, "created");
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

static void
expect(int status, const char *json)
{
	char *text;

	assert_int_equal(h.status, status);
	text = answer();
	assert_string_equal(text, json);
	free(text);
}

static void
expect_error(int status, const char *type, const char *code, const char *param)
{
	json_t *o = json_loads(buf_cstr(&h.out), 0, NULL);
	json_t *e = json_object_get(o, "error");
	const char *p = json_string_value(json_object_get(e, "param"));

	assert_int_equal(h.status, status);
	assert_true(json_string_length(json_object_get(e, "message")) > 0);
	assert_string_equal(json_string_value(json_object_get(e, "type")),
	    type);
	assert_string_equal(json_string_value(json_object_get(e, "code")),
	    code);
	assert_string_equal(p != NULL ? p : "-", param != NULL ? param : "-");
	json_decref(o);
}

#define USAGE "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3," \
	"\"total_tokens\":8,\"prompt_tokens_details\":{\"cached_tokens\":2}}"

static void
a_chat(void **state)
{
	post(CHAT, "{\"model\":\"tale\"," HI ",\"max_tokens\":3}");
	assert_int_equal(fake.n_live, 1);
	assert_int_equal(h.status, 0);
	assert_string_equal(fake.live[0]->endpoint, CHAT);
	assert_string_equal(fake.live[0]->client, "127.0.0.1:5");
	assert_string_equal(h.call.id, fake.live[0]->uuid);
	fake_output(fake.live[0], "Hel");
	fake_output(fake.live[0], "lo");
	fake_done(fake.live[0], 0);
	expect(200, "{\"object\":\"chat.completion\",\"model\":\"tale\","
	    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
	    "\"content\":\"Hello\",\"refusal\":null},\"logprobs\":null,"
	    "\"finish_reason\":\"length\"}]," USAGE "}");
	assert_non_null(strstr(buf_cstr(&h.out), "\"id\":\"chatcmpl-"));
}

static void
a_completion(void **state)
{
	fake.is_instant = true;
	post(TEXT, "{\"prompt\":\"Hi\"}");
	expect(200, "{\"object\":\"text_completion\",\"model\":\"tale\","
	    "\"choices\":[{\"index\":0,\"text\":\" there\",\"logprobs\":null,"
	    "\"finish_reason\":\"length\"}]," USAGE "}");
	assert_non_null(strstr(buf_cstr(&h.out), "\"id\":\"cmpl-"));
}

static void
copies_and_prompts(void **state)
{
	post(TEXT, "{\"prompt\":[\"a\",[1,2]],\"n\":2,\"seed\":7}");
	assert_int_equal(fake.n_live, 4);
	assert_true(fake.live[0]->m.run.seed == 7);
	assert_true(fake.live[1]->m.run.seed == 8);
	assert_true(fake.live[3]->m.run.seed == 8);
	assert_int_equal(fake.live[2]->m.run.input, RUN_TOKENS);
	fake_output(fake.live[3], "last");
	while (fake.n_live > 0) {
		assert_int_equal(h.status, 0);
		fake_done(fake.live[fake.n_live - 1], 0);
	}
	assert_int_equal(h.status, 200);
	assert_non_null(strstr(buf_cstr(&h.out),
	    "\"index\":3,\"text\":\"last\""));
	/* Two prompts, four answers. */
	assert_non_null(strstr(buf_cstr(&h.out), "\"prompt_tokens\":10,"
	    "\"completion_tokens\":12,\"total_tokens\":22"));
}

/* Check that the stream goes on with this event. */
static void
next_event(const char **at, const char *part)
{
	const char *end = strstr(*at, "\n\n");
	char *event;

	assert_non_null(end);
	event = xmemdup0(*at, (size_t)(end - *at));
	assert_int_equal(strncmp(event, "data: ", 6), 0);
	if (strstr(event, part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", event, part);
	if (strcmp(part, "[DONE]") != 0) {
		json_t *o = json_loads(event + 6, 0, NULL);

		assert_non_null(o);
		json_decref(o);
	}
	free(event);
	*at = end + 2;
}

static void
a_chat_stream(void **state)
{
	const char *at;

	post(CHAT, "{" HI ",\"stream\":true,\"stream_options\":"
	    "{\"include_usage\":true}}");
	assert_false(h.is_stream);
	fake_output(fake.live[0], "Hel");
	assert_true(h.is_stream);
	fake_output(fake.live[0], "lo");
	assert_false(h.is_ended);
	fake_done(fake.live[0], 0);
	assert_true(h.is_ended);
	at = buf_cstr(&h.out);
	next_event(&at, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"}");
	next_event(&at, "\"delta\":{\"content\":\"Hel\"}");
	next_event(&at, "\"delta\":{\"content\":\"lo\"},\"logprobs\":null,"
	    "\"finish_reason\":null}],\"usage\":null");
	next_event(&at, "\"delta\":{},\"logprobs\":null,"
	    "\"finish_reason\":\"length\"");
	next_event(&at, "\"choices\":[]," USAGE);
	next_event(&at, "[DONE]");
	assert_string_equal(at, "");
}

static void
a_completion_stream(void **state)
{
	const char *at;

	fake.is_instant = true;
	post(TEXT, "{\"prompt\":\"a\",\"stream\":true}");
	at = buf_cstr(&h.out);
	next_event(&at, "\"choices\":[{\"index\":0,\"text\":\" there\","
	    "\"logprobs\":null,\"finish_reason\":null}]}");
	next_event(&at, "\"text\":\"\",\"logprobs\":null,"
	    "\"finish_reason\":\"length\"}]}");
	next_event(&at, "[DONE]");
	assert_string_equal(at, "");
}

static void
logprobs_of_a_chat(void **state)
{
	post(CHAT, "{" HI ",\"logprobs\":true,\"top_logprobs\":1}");
	fake_output_logprob(fake.live[0], "\xc3\xa4", -0.25f);
	fake_done(fake.live[0], 0);
	assert_non_null(strstr(buf_cstr(&h.out), "\"logprobs\":{\"content\":"
	    "[{\"token\":\"\xc3\xa4\",\"logprob\":-0.25,\"bytes\":[195,164],"
	    "\"top_logprobs\":[{\"token\":\"\xc3\xa4\",\"logprob\":-0.25,"
	    "\"bytes\":[195,164]}]}],\"refusal\":null}"));
	free(answer());
}

static void
logprobs_of_a_completion(void **state)
{
	post(TEXT, "{\"prompt\":\"a\",\"logprobs\":1}");
	fake_output_logprob(fake.live[0], "\xc3\xa4", -0.25f);
	fake_output_logprob(fake.live[0], "b", -1);
	fake_done(fake.live[0], 0);
	assert_non_null(strstr(buf_cstr(&h.out), "\"logprobs\":{\"tokens\":"
	    "[\"\xc3\xa4\",\"b\"],\"token_logprobs\":[-0.25,-1],"
	    "\"top_logprobs\":[{\"\xc3\xa4\":-0.25},{\"b\":-1}],"
	    "\"text_offset\":[0,1]}"));
	free(answer());
}

static void
a_failure_has_its_status(void **state)
{
	post(CHAT, "{" HI ",\"stream\":true,\"n\":2}");
	fake_done(fake.live[1], BM_EQUEUE);
	expect_error(429, "rate_limit_error", "queue_full", NULL);
	assert_int_equal(h.call.retry_s, 2);
	/* The other choice ends with the exchange, unheard until then. */
	fake_output(fake.live[0], "x");
	assert_false(h.is_stream);
	fake_http_end(&h);
	memset(&h, 0, sizeof(h));
	assert_int_equal(fake.n_abandoned, 1);
}

static void
a_failure_within_a_stream(void **state)
{
	const char *at;

	post(TEXT, "{\"prompt\":\"a\",\"stream\":true}");
	fake_output(fake.live[0], "x");
	fake_done(fake.live[0], BM_EWORKER);
	assert_true(h.is_ended);
	at = buf_cstr(&h.out);
	next_event(&at, "\"text\":\"x\"");
	next_event(&at, "{\"error\":{\"message\":\"it failed\",\"type\":"
	    "\"server_error\",\"code\":\"worker_lost\",\"param\":null}}");
	assert_string_equal(at, "");
}

static void
a_failure_at_once_submits_no_more(void **state)
{
	fake.is_instant = true;
	fake.code = BM_EOVERLOAD;
	post(TEXT, "{\"prompt\":\"a\",\"n\":5}");
	assert_int_equal(fake.n_submitted, 1);
	expect_error(503, "unavailable_error", "overloaded", NULL);
}

static void
a_lost_client_abandons(void **state)
{
	post(TEXT, "{\"prompt\":\"a\",\"n\":3}");
	fake_done(fake.live[1], 0);
	fake_http_end(&h);
	memset(&h, 0, sizeof(h));
	assert_int_equal(fake.n_abandoned, 2);
}

static void
bad_requests_name_the_parameter(void **state)
{
	static const struct {
		const char	*path, *body, *param;
	} cases[] = {
		{ TEXT, "", NULL },
		{ TEXT, "[]", NULL },
		{ TEXT, "{\"prompt\":\"a\"", NULL },
		{ TEXT, "{\"prompt\":\"\\u0000\"}", NULL },
		{ TEXT, "{\"prompt\":\"\xff\"}", NULL },
		{ TEXT, "{}", "prompt" },
		{ TEXT, "{\"prompt\":5}", "prompt" },
		{ TEXT, "{\"prompt\":\"a\",\"model\":5}", "model" },
		{ TEXT, "{\"prompt\":\"a\",\"stream\":5}", "stream" },
		{ TEXT, "{\"prompt\":\"a\",\"best_of\":2}", "best_of" },
		{ TEXT, "{\"prompt\":\"a\",\"suffix\":\"b\"}", "suffix" },
		{ TEXT, "{\"prompt\":\"a\",\"grammar\":\"b\"}", "grammar" },
		{ CHAT, "{}", "messages" },
		{ CHAT, "{" HI ",\"top_p\":2}", "top_p" },
		{ CHAT, "{" HI ",\"tools\":[{}]}", "tools" },
		{ CHAT, "{" HI ",\"tool_choice\":{}}", "tool_choice" },
		{ CHAT, "{" HI ",\"response_format\":{\"type\":"
		    "\"json_object\"}}", "response_format" },
		{ CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":"
		    "[{\"type\":\"image_url\"}]}]}", "messages" },
		{ "/tokenize", "{}", "content" },
		{ "/detokenize", "{\"tokens\":[\"a\"]}", "tokens" },
		{ "/apply-template", "{}", "messages" },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		post(cases[i].path, cases[i].body);
		expect_error(400, "invalid_request_error", "bad_request",
		    cases[i].param);
		again();
	}
	assert_int_equal(fake.n_submitted, 0);
}

static void
harmless_members_pass(void **state)
{
	fake.is_instant = true;
	post(CHAT, "{" HI ",\"user\":\"u\",\"tools\":[],\"tool_choice\":"
	    "\"none\",\"response_format\":{\"type\":\"text\"},\"store\":false,"
	    "\"stop\":null,\"seed\":null}");
	assert_int_equal(h.status, 200);
}

static void
unknown_models(void **state)
{
	post(CHAT, "{\"model\":\"gpt-9\"," HI "}");
	expect_error(404, "invalid_request_error", "model_not_found", "model");
	assert_non_null(strstr(buf_cstr(&h.out), "gpt-9"));
	again();
	post("/v1/embeddings", "{}");
	expect_error(501, "not_supported_error", "unsupported", NULL);
}

/* The first of them that has to wait is what the client hears of. */
static void
who_waits_is_told_its_place(void **state)
{
	static struct gate_worker w;

	post(TEXT, "{\"prompt\":\"a\",\"n\":3,\"priority\":7}");
	assert_int_equal(fake.n_live, 3);
	assert_int_equal(fake.live[1]->priority, 7);
	fake.live[0]->worker = &w;
	fake.live[0]->events->queued(fake.live[0], 0, 0);
	assert_false(h.call.has_waited);
	fake.live[1]->events->queued(fake.live[1], 4, 900);
	fake.live[2]->events->queued(fake.live[2], 5, 1000);
	fake.live[1]->events->queued(fake.live[1], 0, 100);
	assert_true(h.call.has_waited);
	assert_int_equal(h.call.queue_position, 4);
	assert_int_equal(h.call.queue_wait_ms, 900);
	assert_int_equal(h.status, 0);
}

static void
syntax_faults_have_a_place(void **state)
{
	post(TEXT, "{\n \"prompt\": oops}");
	assert_non_null(strstr(buf_cstr(&h.out), "line 2 column 15"));
}

static void
models(void **state)
{
	assert_int_equal(fake_http_call(&h, "GET", "/v1/models", "", 0), 0);
	assert_non_null(strstr(buf_cstr(&h.out), "{\"object\":\"list\","
	    "\"data\":[{\"id\":\"tale\",\"object\":\"model\",\"created\":"
	    "1700000000,\"owned_by\":\"bigmodel\""));
	again();
	assert_int_equal(fake_http_call(&h, "GET", "/v1/models/tale", "", 0),
	    0);
	assert_int_equal(h.status, 200);
	again();
	assert_int_equal(fake_http_call(&h, "GET", "/v1/models/x", "", 0), 0);
	expect_error(404, "invalid_request_error", "model_not_found", "model");
}

static void
tokens_and_templates(void **state)
{
	fake.is_instant = true;
	post("/tokenize", "{\"content\":\"abc\"}");
	assert_string_equal(buf_cstr(&h.out), "{\"tokens\":[1,2,3]}");
	again();
	post("/detokenize", "{\"tokens\":[1,2]}");
	assert_string_equal(buf_cstr(&h.out), "{\"content\":\"some text\"}");
	again();
	post("/apply-template", "{" HI "}");
	assert_string_equal(buf_cstr(&h.out), "{\"prompt\":\"some text\"}");
	again();
	fake.code = BM_EWORKER;
	post("/tokenize", "{\"content\":\"abc\"}");
	expect_error(500, "server_error", "worker_lost", NULL);
}

static void
health(void **state)
{
	static const struct {
		const char	*path;
		int		 ready, draining;
	} cases[] = {
		{ "/livez", 200, 200 }, { "/readyz", 200, 404 },
		{ "/health", 200, 503 }, { "/v1/health", 200, 503 },
		{ "/metrics", 200, 200 }, { "/", 200, 200 },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		fake.g.is_draining = false;
		assert_int_equal(fake_http_call(&h, "GET", cases[i].path, "",
		    0), 0);
		assert_int_equal(h.status, cases[i].ready);
		again();
		fake.g.is_draining = true;
		assert_int_equal(fake_http_call(&h, "HEAD", cases[i].path, "",
		    0), 0);
		assert_int_equal(h.status, cases[i].draining);
		again();
	}
}

static void
routes(void **state)
{
	const struct route *r = NULL;
	char allow[ROUTE_ALLOW_SIZE];
	const char *rest;

	assert_int_equal(route_find("GET", "/nope", &r, &rest, allow),
	    BM_ENOTFOUND);
	assert_int_equal(route_find("GET", "/v1/models/", &r, &rest, allow),
	    BM_ENOTFOUND);
	assert_int_equal(route_find("GET", CHAT, &r, &rest, allow),
	    BM_EMETHOD);
	assert_string_equal(allow, "POST, OPTIONS");
	assert_int_equal(route_find("POST", "/livez", &r, &rest, allow),
	    BM_EMETHOD);
	assert_string_equal(allow, "GET, HEAD, OPTIONS");
	assert_int_equal(route_find("GET", "/v1/models/a/b", &r, &rest,
	    allow), 0);
	assert_string_equal(rest, "a/b");
	assert_false(r->needs_key);
	assert_int_equal(route_find("POST", CHAT, &r, &rest, allow), 0);
	assert_true(r->needs_key);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_chat),
		T(a_completion),
		T(copies_and_prompts),
		T(a_chat_stream),
		T(a_completion_stream),
		T(logprobs_of_a_chat),
		T(logprobs_of_a_completion),
		T(a_failure_has_its_status),
		T(a_failure_within_a_stream),
		T(a_failure_at_once_submits_no_more),
		T(a_lost_client_abandons),
		T(bad_requests_name_the_parameter),
		T(harmless_members_pass),
		T(unknown_models),
		T(who_waits_is_told_its_place),
		T(syntax_faults_have_a_place),
		T(models),
		T(tokens_and_templates),
		T(health),
		T(routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
