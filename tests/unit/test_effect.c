/* SPDX-License-Identifier: MIT */
/* What confirmations say: every command that changes something, in numbers. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "console/effect.h"

static const char snapshot[] =
"{\"status\":{\"running\":5,\"queued\":2,\"memory\":{\"free\":1073741824}},"
"\"models\":[{\"name\":\"tale\",\"variant\":\"f16\",\"previous\":\"q4\","
  "\"next\":\"q8\",\"workers\":{\"now\":2,\"min\":2,\"max\":2},"
  "\"threads\":2,\"running\":4,\"queued\":1,\"memory_bytes\":67108864,"
  "\"kv_bytes\":20971520,\"scratch_bytes\":10485760}],"
"\"variants\":[{\"model\":\"tale\",\"name\":\"f16\",\"file_bytes\":8388608,"
  "\"perplexity\":5.0},{\"model\":\"tale\",\"name\":\"q8\","
  "\"file_bytes\":4194304,\"perplexity\":5.1}],"
"\"workers\":[{\"id\":7,\"running\":3}],"
"\"requests\":[{\"id\":\"abc\",\"state\":\"running\","
  "\"completion_tokens\":12,\"client\":\"10.0.0.9\"}]}";

static const struct {
	const char *line, *said;
} cases[] = {
	{ "load new /m.gguf", "new will be served; 1.0 GiB of memory are "
	    "free." },
	{ "unload tale", "tale will not be served any more, 4 running and 1 "
	    "waiting requests finish first. That frees 64.0 MiB." },
	{ "unload tale --now", "tale will not be served any more, 4 running "
	    "and 1 waiting requests are cut off. That frees 64.0 MiB." },
	{ "unload other", "other will not be served any more." },
	{ "stop", "The daemon will end, 5 running and 2 waiting requests "
	    "finish first." },
	{ "stop --now", "The daemon will end, 5 running and 2 waiting "
	    "requests are cut off." },
	{ "workers tale 3", "tale: 2 workers now, 3 from now on. That takes "
	    "15.0 MiB of the 1.0 GiB that are free, and 1 more process of 2 "
	    "threads." },
	{ "workers tale 1..5", "tale: 2 workers now, 1..5 from now on. That "
	    "takes 45.0 MiB of the 1.0 GiB that are free, and 3 more "
	    "processes of 2 threads." },
	{ "workers tale 1", "tale: 2 workers now, 1 from now on. 1 worker "
	    "ends when what they run has finished (4 running, 1 waiting on "
	    "the model)." },
	{ "workers tale many", "tale: many workers." },
	{ "threads tale 8", "tale: 2 threads now, 8 from now on. Its 2 "
	    "workers are replaced one after the other; 4 running requests "
	    "finish." },
	{ "swap tale q8", "tale: all new requests go to q8 instead of f16. 4 "
	    "running requests finish where they are. Size 8.0 MiB -> 4.0 MiB "
	    "(-50 %). Perplexity 5 -> 5.1 (+2.0 %)." },
	{ "swap tale q8 --canary 5", "tale: 5 % of new requests go to q8 "
	    "instead of f16. 4 running requests finish where they are. Size "
	    "8.0 MiB -> 4.0 MiB (-50 %). Perplexity 5 -> 5.1 (+2.0 %)." },
	{ "swap tale --finish", "tale: all new requests go to q8 instead of "
	    "f16. 4 running requests finish where they are. Size 8.0 MiB -> "
	    "4.0 MiB (-50 %). Perplexity 5 -> 5.1 (+2.0 %)." },
	{ "swap other q8", "other: all new requests go to q8." },
	{ "rollback tale", "tale: the swap to q8 ends; new requests go to "
	    "f16; 4 running requests finish where they are." },
	{ "compress tale --to Q4_K", "A variant of tale in Q4_K is made from "
	    "f16 (8.0 MiB), at idle priority beside what is served; it serves "
	    "nothing before a swap." },
	{ "compress tale --cancel", "The compression of tale ends and leaves "
	    "nothing." },
	{ "drain tale", "tale starts nothing new, 4 running and 1 waiting "
	    "requests stay: what runs ends as usual, what waits keeps "
	    "waiting." },
	{ "drain 7", "Worker 7 starts nothing new; 3 requests run on it." },
	{ "resume 7", "Worker 7 takes requests again; 3 requests run on it." },
	{ "cancel abc", "Request abc will be cancelled (running, 12 tokens so "
	    "far, for 10.0.0.9)." },
	{ "cancel xyz", "Request xyz will be cancelled." },
	{ "reload", "The configuration file is read again; models that did "
	    "not change go on, 5 running and 2 waiting requests now." },
	{ "unload \"a\x1b[31mb\"", "a\\x1b[31mb will not be served any "
	    "more." },
};

static void
say(const char *line, const struct facts *f, struct buf *out)
{
	const struct command *cmd;
	struct words_list w;
	struct cause cause;
	size_t used;

	assert_int_equal(words_split(slice_of(line), &w, &cause), 0);
	assert_int_equal(command_find((const char *const *)w.w, w.n, &cmd,
	    &used, &cause), 0);
	effect_say(f, cmd, (const char *const *)w.w + used, w.n - used, out);
	words_free(&w);
}

static void
sentences_have_the_numbers(void **state)
{
	json_t *all = json_loads(snapshot, 0, NULL);
	struct facts f;
	struct buf b;

	(void)state;
	assert_non_null(all);
	f = (struct facts){ json_object_get(all, "status"),
	    json_object_get(all, "models"), json_object_get(all, "variants"),
	    json_object_get(all, "workers"),
	    json_object_get(all, "requests") };
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		buf_clear(&b);
		say(cases[i].line, &f, &b);
		assert_string_equal(buf_cstr(&b), cases[i].said);
	}
	buf_fini(&b);
	json_decref(all);
}

/* Whatever the daemon does not tell, there is a sentence. */
static void
nothing_known_is_no_crash(void **state)
{
	struct facts f = { NULL };
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		buf_clear(&b);
		say(cases[i].line, &f, &b);
		assert_true(b.len > 10);
		assert_int_equal(b.data[b.len - 1], '.');
	}
	buf_fini(&b);
}

/* The daemon's commands that change something are all explained. */
static void
no_command_is_forgotten(void **state)
{
	(void)state;
	for (size_t i = 0; i < CMD_N; i++) {
		bool changes = commands[i].risk >= 1 &&
		    commands[i].where <= CMD_REQLOG;

		if (changes != (effect_needs(&commands[i]) != 0))
			fail_msg("%s", commands[i].words);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentences_have_the_numbers),
		cmocka_unit_test(nothing_known_is_no_crash),
		cmocka_unit_test(no_command_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
