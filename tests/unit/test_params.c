/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gate/params.h"
#include "gate/prompt.h"
#include "tests/unit/fake_core.h"

static json_t *last;

static int
read_params(struct params *p, const char *json, struct cause *cause)
{
	json_t *o = json_loads(json, 0, NULL);
	int r;

	assert_non_null(o);
	params_init(p);
	memset(cause, 0, sizeof(*cause));
	r = params_read(p, o, cause);
	/* p->bad is borrowed from the object. */
	json_decref(last);
	last = o;
	return r;
}

static void
refused(const char *json, const char *name)
{
	struct params p;
	struct cause cause;

	assert_int_equal(read_params(&p, json, &cause), BM_EBADREQ);
	assert_string_equal(p.bad, name);
	assert_non_null(strstr(cause.text, name));
	params_fini(&p);
}

static void
defaults(void **state)
{
	struct params p, q;
	struct cause cause;

	assert_int_equal(read_params(&p, "{\"top_k\":null}", &cause), 0);
	assert_int_equal(p.run.max_tokens, -1);
	assert_true(p.run.temperature == 0.8f);
	assert_int_equal(p.run.top_k, 40);
	assert_true(p.run.top_p == 0.95f && p.run.min_p == 0.05f);
	assert_true(p.run.repeat_penalty == 1);
	assert_int_equal(p.run.n_probs, -1);
	assert_int_equal(p.run.add_special, 1);
	assert_int_equal(p.priority, 5);
	assert_int_equal(p.n_copies, 1);
	/* Chance, but never beyond what every JSON reader keeps. */
	params_init(&q);
	assert_true(p.run.seed != q.run.seed || p.run.seed == 0);
	assert_true(p.run.seed <= UINT32_MAX);
	params_fini(&p);
	params_fini(&q);
}

static void
values_and_other_names(void **state)
{
	struct params p;
	struct cause cause;

	assert_int_equal(read_params(&p, "{\"max_completion_tokens\":7,"
	    "\"temperature\":0,\"top_k\":3,\"repetition_penalty\":1.5,"
	    "\"ignore_eos\":\"yes\",\"seed\":42,\"n\":4,\"timeout_ms\":9,"
	    "\"presence_penalty\":-2,\"top_p\":1.0}", &cause), 0);
	assert_int_equal(p.run.max_tokens, 7);
	assert_true(p.run.temperature == 0 && p.run.top_p == 1);
	assert_int_equal(p.run.top_k, 3);
	assert_true(p.run.repeat_penalty == 1.5f);
	assert_int_equal(p.run.ignore_eos, 1);
	assert_true(p.run.seed == 42);
	assert_int_equal(p.n_copies, 4);
	assert_int_equal(p.timeout_ms, 9);
	params_fini(&p);
}

static void
its_own_name_wins(void **state)
{
	struct params p;
	struct cause cause;

	assert_int_equal(read_params(&p, "{\"n_predict\":1,\"max_tokens\":2}",
	    &cause), 0);
	assert_int_equal(p.run.max_tokens, 2);
	params_fini(&p);
}

static void
refusals_name_the_parameter(void **state)
{
	refused("{\"temperature\":-0.1}", "temperature");
	refused("{\"temperature\":\"hot\"}", "temperature");
	refused("{\"top_p\":1.01}", "top_p");
	refused("{\"max_tokens\":1.5}", "max_tokens");
	refused("{\"n_predict\":-2}", "n_predict");
	refused("{\"max_tokens\":99999999999999}", "max_tokens");
	refused("{\"ignore_eos\":2}", "ignore_eos");
	refused("{\"seed\":1.5}", "seed");
	refused("{\"priority\":10}", "priority");
	refused("{\"priority\":-1}", "priority");
	refused("{\"priority\":0.5}", "priority");
	refused("{\"n\":0}", "n");
	refused("{\"n\":17}", "n");
	refused("{\"stop\":5}", "stop");
	refused("{\"stop\":[\"a\",1]}", "stop");
	refused("{\"stop\":\"\"}", "stop");
	refused("{\"stop\":[\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\","
	    "\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\"]}", "stop");
	refused("{\"logit_bias\":[1]}", "logit_bias");
	refused("{\"logit_bias\":{\"a\":1}}", "logit_bias");
	refused("{\"logit_bias\":{\"-1\":1}}", "logit_bias");
	refused("{\"logit_bias\":{\"1\":101}}", "logit_bias");
	refused("{\"logprobs\":21}", "logprobs");
	refused("{\"logprobs\":\"many\"}", "logprobs");
	refused("{\"top_logprobs\":2}", "top_logprobs");
	refused("{\"logprobs\":true,\"top_logprobs\":21}", "top_logprobs");
}

static int
n_probs_of(const char *json)
{
	struct params p;
	struct cause cause;
	int n;

	assert_int_equal(read_params(&p, json, &cause), 0);
	n = p.run.n_probs;
	params_fini(&p);
	return n;
}

static void
logprobs_in_both_forms(void **state)
{
	assert_int_equal(n_probs_of("{\"logprobs\":0}"), 0);
	assert_int_equal(n_probs_of("{\"logprobs\":5}"), 5);
	assert_int_equal(n_probs_of("{\"logprobs\":true}"), 0);
	assert_int_equal(n_probs_of("{\"logprobs\":true,\"top_logprobs\":3}"),
	    3);
	assert_int_equal(n_probs_of("{\"logprobs\":false}"), -1);
}

static struct prompts
text_prompt(json_t **text)
{
	struct prompts prompts = { 0 };
	struct cause cause;

	*text = json_string("Once");
	assert_int_equal(prompts_read(*text, &prompts, &cause), 0);
	return prompts;
}

static void
a_request_of_it(void **state)
{
	struct params p;
	struct cause cause;
	struct request *r;
	struct prompts prompts;
	struct slice stop;
	struct cur c;
	json_t *text, *log;

	assert_int_equal(read_params(&p, "{\"seed\":40,\"stop\":[\"a\",\"bc\"]"
	    ",\"logit_bias\":{\"5\":-100,\"6\":1.5},\"n\":3}", &cause), 0);
	prompts = text_prompt(&text);
	r = params_request(&p, &prompts.v[0], 2);
	prompts_fini(&prompts);
	params_fini(&p);
	json_decref(text);

	/* All of it is the request's own now. */
	assert_int_equal(r->m.run.input, RUN_TEXT);
	assert_true(slice_eq(r->m.run.text, "Once"));
	assert_string_equal(r->prompt, "Once");
	assert_true(r->m.run.seed == 42);
	c = strs_of(r->m.run.stop);
	assert_true(strs_next(&c, &stop) && slice_eq(stop, "a"));
	assert_true(strs_next(&c, &stop) && slice_eq(stop, "bc"));
	assert_false(strs_next(&c, &stop));
	assert_int_equal(r->m.run.bias_tokens.n, 2);
	assert_int_equal(words_at(r->m.run.bias_tokens, 1), 6);
	c = cur_of(r->m.run.bias_values.p, 8);
	assert_true(isinf(cur_f32(&c)) && cur_f32(&c) == 1.5f);

	log = json_loads(r->params, 0, NULL);
	assert_non_null(log);
	assert_int_equal(json_integer_value(json_object_get(log, "seed")), 42);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(
	    log, "logit_bias"), "5")), -100);
	assert_int_equal(json_array_size(json_object_get(log, "stop")), 2);
	json_decref(log);
	request_free(r);
}

static int
read_prompt(const char *json, struct prompts *out, struct cause *cause)
{
	static json_t *kept;

	json_decref(kept);
	kept = json_loads(json, JSON_DECODE_ANY, NULL);
	memset(cause, 0, sizeof(*cause));
	return prompts_read(kept, out, cause);
}

static void
prompts_of_every_form(void **state)
{
	struct prompts p = { 0 };
	struct cause cause;

	assert_int_equal(read_prompt("\"a\"", &p, &cause), 0);
	assert_int_equal(p.n, 1);
	prompts_fini(&p);
	assert_int_equal(read_prompt("[1,2,3]", &p, &cause), 0);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.v[0].input, RUN_TOKENS);
	assert_int_equal(p.v[0].list.len, 12);
	prompts_fini(&p);
	assert_int_equal(read_prompt("[\"a\",[4]]", &p, &cause), 0);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.v[1].input, RUN_TOKENS);
	prompts_fini(&p);
	assert_int_equal(read_prompt("[1,-2]", &p, &cause), BM_EBADREQ);
	assert_non_null(strstr(cause.text, "prompt[1]"));
	prompts_fini(&p);
	assert_int_equal(read_prompt("[[1],[\"x\"]]", &p, &cause), BM_EBADREQ);
	assert_non_null(strstr(cause.text, "prompt[1][0]"));
	prompts_fini(&p);
	assert_int_equal(read_prompt("[]", &p, &cause), BM_EBADREQ);
	prompts_fini(&p);
	assert_int_equal(read_prompt("{}", &p, &cause), BM_EBADREQ);
	prompts_fini(&p);
	assert_int_equal(read_prompt("null", &p, &cause), BM_EBADREQ);
	prompts_fini(&p);
}

static int
read_messages(const char *json, struct buf *out, struct cause *cause)
{
	json_t *v = json_loads(json, JSON_DECODE_ANY, NULL);
	int r;

	assert_non_null(v);
	buf_init(out, 1 << 16);
	r = prompt_messages(v, out, cause);
	json_decref(v);
	return r;
}

static void
messages_become_a_list(void **state)
{
	struct cause cause;
	struct slice s;
	struct buf b;
	struct cur c;

	assert_int_equal(read_messages("[{\"role\":\"system\",\"content\":"
	    "\"S\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
	    "\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]", &b,
	    &cause), 0);
	c = cur_of(b.data, b.len);
	assert_true(strs_next(&c, &s) && slice_eq(s, "system"));
	assert_true(strs_next(&c, &s) && slice_eq(s, "S"));
	assert_true(strs_next(&c, &s) && slice_eq(s, "user"));
	assert_true(strs_next(&c, &s) && slice_eq(s, "ab"));
	assert_false(strs_next(&c, &s));
	buf_fini(&b);
}

static void
broken_messages_are_named(void **state)
{
	static const struct {
		const char	*json, *why;
		int		 code;
	} cases[] = {
		{ "[]", "messages must be", BM_EBADREQ },
		{ "5", "messages must be", BM_EBADREQ },
		{ "[1]", "messages[0] must be an object", BM_EBADREQ },
		{ "[{\"content\":\"a\"}]", "messages[0].role", BM_EBADREQ },
		{ "[{\"role\":\"a<|b\",\"content\":\"a\"}]",
		    "messages[0].role", BM_EBADREQ },
		{ "[{\"role\":\"user\"}]", "content is missing", BM_EBADREQ },
		{ "[{\"role\":\"user\",\"content\":5}]", "messages[0].content",
		    BM_EBADREQ },
		{ "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]"
		    , "image_url", BM_EUNSUP },
	};
	struct cause cause;
	struct buf b;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_messages(cases[i].json, &b, &cause),
		    cases[i].code);
		assert_non_null(strstr(cause.text, cases[i].why));
		buf_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(values_and_other_names),
		cmocka_unit_test(its_own_name_wins),
		cmocka_unit_test(refusals_name_the_parameter),
		cmocka_unit_test(logprobs_in_both_forms),
		cmocka_unit_test(a_request_of_it),
		cmocka_unit_test(prompts_of_every_form),
		cmocka_unit_test(messages_become_a_list),
		cmocka_unit_test(broken_messages_are_named),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	json_decref(last);
	return failed;
}
