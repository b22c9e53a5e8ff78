/* SPDX-License-Identifier: MIT */
/* The fixed chat forms against what the models' own templates give. */
#include "config.h"

#include "model/chat.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#include "base/mem.h"

#define OUT_MAX		(1 << 20)
#define MESSAGES_MAX	64

/* Conversations that a fixed form has to get right. */
static const char *const conversations[] = { "user", "system_user",
    "multi_turn", "multi_turn_no_system", "ends_with_assistant", "unicode",
    "jinja_text", "whitespace", "empty_content", "special_tokens_text",
    "quotes", "system_only", "two_users", "assistant_first", "system_later",
    "unknown_role", "developer_role", "no_messages", "long" };

/* Which form a template is, and what of it a fixed form leaves out. */
static const struct {
	const char	*file;
	const char	*form;
	const char	*except;	/* names, each between spaces */
} templates[] = {
	{ "chatml.jinja", "chatml", "" },
	{ "deepseek-r1-distill-qwen-32b.jinja", "deepseek-r1", "" },
	{ "deepseek-v3.1.jinja", "deepseek-v3.1",
	    " system_only assistant_first no_messages ends_with_assistant " },
	{ "gemma-2-2b-it.jinja", "gemma", "" },
	{ "gemma-3-tools.jinja", "gemma3", "" },
	{ "granite-3.3-2b-instruct.jinja", "granite",
	    " user multi_turn_no_system system_only two_users assistant_first "
	    "system_later unknown_role developer_role no_messages " },
	{ "llama-2-chat.jinja", "llama2", "" },
	{ "llama-3-instruct.jinja", "llama3", "" },
	{ "llama-3.1-8b-instruct.jinja", "llama3.1", "" },
	{ "mistral-7b-instruct-v0.2.jinja", "mistral", "" },
	{ "mistral-nemo-instruct-2407.jinja", "mistral-v3", "" },
	{ "mistral-small-3.2-24b-instruct.jinja", "mistral-v7",
	    " user multi_turn_no_system no_messages " },
	{ "phi-3-mini-4k-instruct.jinja", "phi3", "" },
	{ "phi-3.5-mini-instruct.jinja", "phi3.5", "" },
	{ "phi-4.jinja", "phi4", "" },
	{ "qwen2.5-7b-instruct.jinja", "qwen2", "" },
	{ "qwen3-0.6b.jinja", "qwen3", " ends_with_assistant " },
	{ "vicuna.jinja", "vicuna", "" },
	{ "zephyr.jinja", "zephyr", "" },
};

static const struct chat_form *
form_of(const char *file)
{
	static char text[1 << 16];
	char path[PATH_MAX], name[128];
	size_t n;
	FILE *f;

	snprintf(name, sizeof(name), "templates/%s", file);
	f = fopen(shared_path(name, path, sizeof(path)), "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	return chat_form_find((struct slice){ text, n });
}

/* Is this a conversation of plain texts, with no other variables set? */
static bool
is_simple(const json_t *c)
{
	const char *name = json_string_value(json_object_get(c, "name"));
	const json_t *input = json_object_get(c, "input");
	bool known = false;

	for (size_t i = 0; i < N_ELEMENTS(conversations); i++)
		known |= strcmp(name, conversations[i]) == 0;
	return known && json_object_size(input) == 4;
}

static int
render(const struct chat_form *f, const json_t *input, struct buf *out)
{
	struct chat_message m[MESSAGES_MAX];
	struct cause cause = { 0 };
	const json_t *message;
	size_t i, n = 0;
	int rc;

	json_array_foreach(json_object_get(input, "messages"), i, message) {
		assert_true(n < MESSAGES_MAX);
		m[n].role = json_slice(json_object_get(message, "role"));
		m[n++].content = json_slice(json_object_get(message,
		    "content"));
	}
	rc = chat_render(f, m, n, json_is_true(json_object_get(input,
	    "add_generation_prompt")), out, &cause);
	if (rc < 0) {
		assert_int_equal(rc, BM_EBADREQ);
		assert_true(cause.text[0] != '\0');
	}
	return rc;
}

/* The prompt without the BOS that the tokenizer is to add. */
static struct slice
expected(const json_t *c)
{
	struct slice s = json_slice(json_object_get(c, "rendered"));
	struct slice bos = json_slice(json_object_get(json_object_get(c,
	    "input"), "bos_token"));

	if (bos.n > 0 && s.n >= bos.n && memcmp(s.p, bos.p, bos.n) == 0) {
		s.p += bos.n;
		s.n -= bos.n;
	}
	return s;
}

/* 1 right, 0 wrong. */
static int
check_case(const struct chat_form *f, const json_t *c)
{
	struct slice want = expected(c);
	struct buf out;
	bool refused, same;

	buf_init(&out, OUT_MAX);
	refused = render(f, json_object_get(c, "input"), &out) < 0;
	if (json_is_true(json_object_get(c, "error")))
		same = refused;
	else
		same = !refused && out.len == want.n &&
		    memcmp(buf_cstr(&out), want.p, want.n) == 0;
	if (!same)
		print_message("# %s %s: wanted %s, got %s\n",
		    json_string_value(json_object_get(c, "template")),
		    json_string_value(json_object_get(c, "name")),
		    want.p != NULL ? want.p : "a refusal",
		    refused ? "a refusal" : buf_cstr(&out));
	buf_fini(&out);
	return same;
}

static void
templates_of_models(void **state)
{
	char path[PATH_MAX], name[64];
	json_t *file = open_json(shared_path("templates/expected.json", path,
	    sizeof(path)));
	size_t n = 0, n_right = 0, n_skipped = 0, i;
	const json_t *c;

	for (size_t t = 0; t < N_ELEMENTS(templates); t++) {
		const struct chat_form *f = form_of(templates[t].file);

		assert_string_equal(chat_form_name(f), templates[t].form);
		json_array_foreach(file, i, c) {
			if (strcmp(json_string_value(json_object_get(c,
			    "template")), templates[t].file) != 0 ||
			    !is_simple(c))
				continue;
			snprintf(name, sizeof(name), " %s ",
			    json_string_value(json_object_get(c, "name")));
			if (strstr(templates[t].except, name) != NULL) {
				n_skipped++;
				continue;
			}
			n++;
			n_right += (size_t)check_case(f, c);
		}
	}
	print_message("# %zu of %zu renderings, %zu left out\n", n_right, n,
	    n_skipped);
	assert_true(n > 300);
	assert_int_equal(n_right, n);
	json_decref(file);
}

static void
plain_joining(void **state)
{
	static const char text[] = "{% for message in messages %}"
	    "{{ message['content'] }}{% endfor %}";
	const struct chat_form *f = chat_form_find(slice_of(text));
	struct chat_message m[2] = {
		{ slice_of("user"), slice_of("Once ") },
		{ slice_of("assistant"), slice_of("upon") },
	};
	struct buf out;

	assert_string_equal(chat_form_name(f), "plain");
	buf_init(&out, OUT_MAX);
	assert_int_equal(chat_render(f, m, 2, 1, &out, NULL), 0);
	assert_string_equal(buf_cstr(&out), "Once upon");
	buf_fini(&out);
}

static void
unknown_is_chatml(void **state)
{
	assert_string_equal(chat_form_name(chat_form_find(slice_of(""))),
	    "chatml");
	assert_string_equal(chat_form_name(chat_form_find(slice_of(
	    "{{ messages | length }}"))), "chatml");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_joining),
		cmocka_unit_test(unknown_is_chatml),
		cmocka_unit_test(templates_of_models),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
