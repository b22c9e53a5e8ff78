/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "console/args.h"
#include "console/client_io.h"
#include "console/confirm.h"
#include "console/helper_io.h"
#include "console/output.h"

/* What a table or a back end writes, as a string to free. */
struct capture {
	char	*text;
	size_t	 n;
	FILE	*to;
};

static void
capture_begin(struct capture *c)
{
	*c = (struct capture){ 0 };
	c->to = open_memstream(&c->text, &c->n);
	assert_non_null(c->to);
}

static void
capture_is(struct capture *c, const char *want)
{
	fclose(c->to);
	assert_string_equal(c->text, want);
	free(c->text);
}

static void
fill(struct table *t)
{
	table_init(t);
	table_add_column(t, "NAME");
	table_add_column(t, "N")->is_number = true;
	table_add_column(t, "TEXT");
	table_add(t, slice_of("a"));
	table_add(t, slice_of("12345"));
	table_add(t, slice_of("short"));
	table_add(t, slice_of("longer"));
	table_add(t, slice_of("7"));
	table_add(t, slice_of("a much longer text"));
}

static void
table_aligns(void **state)
{
	struct capture c;
	struct table t;

	capture_begin(&c);
	fill(&t);
	table_flush(&t, c.to);
	table_add(&t, slice_of("x"));
	table_add(&t, slice_of("1"));
	table_add(&t, slice_of(""));
	table_flush(&t, c.to);
	table_fini(&t);
	capture_is(&c,
	    "a       12345  short\n"
	    "longer      7  a much longer text\n"
	    "x           1  \n");
}

static void
table_has_titles_once(void **state)
{
	struct capture c;
	struct table t;

	capture_begin(&c);
	fill(&t);
	t.has_titles = true;
	table_flush(&t, c.to);
	table_flush(&t, c.to);
	table_fini(&t);
	capture_is(&c,
	    "NAME        N  TEXT\n"
	    "a       12345  short\n"
	    "longer      7  a much longer text\n");
}

static void
table_fits_the_terminal(void **state)
{
	struct capture c;
	struct table t;

	capture_begin(&c);
	fill(&t);
	t.max_width = 25;
	table_flush(&t, c.to);
	table_fini(&t);
	capture_is(&c,
	    "a       12345  short\n"
	    "longer      7  a much lo>\n");
}

static void
table_makes_text_printable(void **state)
{
	static const char foreign[] = "\033[31mred\n\xff";
	struct capture c;
	struct table t;

	capture_begin(&c);
	table_init(&t);
	table_add_column(&t, "A");
	table_add_column(&t, "B");
	table_add(&t, slice_of(foreign));
	table_add(&t, slice_of("b"));
	table_flush(&t, c.to);
	table_fini(&t);
	capture_is(&c, "\\x1b[31mred\\n\\xff  b\n");
}

static void
table_colours_states(void **state)
{
	struct capture c;
	struct table t;

	capture_begin(&c);
	table_init(&t);
	table_add_column(&t, "S")->is_state = true;
	t.has_color = true;
	table_add(&t, slice_of("ready"));
	table_add(&t, slice_of("failed"));
	table_flush(&t, c.to);
	table_fini(&t);
	capture_is(&c, "\033[32mready\033[0m\n\033[31mfailed\033[0m\n");
}

static void
widths_shrink_the_widest_first(void **state)
{
	size_t enough[] = { 10, 5, 20 };
	size_t shrink[] = { 30, 5, 40 };
	size_t drop[] = { 8, 9, 8, 8 };
	size_t one[] = { 50 };

	table_fit(enough, 3, 39);
	assert_int_equal(enough[2], 20);
	table_fit(shrink, 3, 49);
	assert_int_equal(shrink[1], 5);
	assert_int_equal(shrink[0] + shrink[2], 40);
	assert_in_range(shrink[0], 19, 21);
	table_fit(drop, 4, 20);
	assert_int_equal(drop[0], 8);
	assert_int_equal(drop[1], 8);
	assert_int_equal(drop[2], 0);
	assert_int_equal(drop[3], 0);
	table_fit(one, 1, 4);
	assert_int_equal(one[0], 4);
	table_fit(NULL, 0, 4);
}

static void
options_of_a_command(void **state)
{
	static const char *const w[] = { "--out=x", "FILE", "--jsonl",
	    "--tokens", "1,2", "--", "--no" };
	const char *out = NULL, *tokens = NULL, *operands[2];
	bool jsonl = false;
	const struct arg spec[] = { { "--out", &out, NULL },
	    { "--tokens", &tokens, NULL }, { "--jsonl", NULL, &jsonl } };
	struct cause cause;

	assert_int_equal(args_parse(w, 7, spec, 3, operands, 2, &cause), 0);
	assert_string_equal(out, "x");
	assert_string_equal(tokens, "1,2");
	assert_true(jsonl);
	assert_string_equal(operands[0], "FILE");
	assert_string_equal(operands[1], "--no");
	assert_int_equal(args_parse(w, 7, spec, 3, operands, 1, &cause),
	    BM_EUSAGE);
	assert_int_equal(args_parse(w, 1, spec, 3, operands, 1, &cause),
	    BM_EUSAGE);
	assert_int_equal(args_parse(w, 4, spec, 3, operands, 1, &cause),
	    BM_EUSAGE);
	assert_non_null(strstr(cause.text, "--tokens"));
	assert_int_equal(args_parse(w, 2, spec + 1, 2, operands, 1, &cause),
	    BM_EUSAGE);
}

static void
common_options_may_follow(void **state)
{
	const char *w[] = { "show", "--json", "status", "-y", "--state-dir",
	    "D", "-s", "S", "--color=never", "--", "--json" };
	const char *bad[] = { "show", "--color", "pink" };
	const char *cut[] = { "show", "-s" };
	struct ctl ctl = { 0 };
	struct cause cause;
	size_t n = N_ELEMENTS(w);

	assert_int_equal(args_take_common(&ctl, w, &n, &cause), 0);
	assert_int_equal(n, 4);
	assert_string_equal(w[0], "show");
	assert_string_equal(w[1], "status");
	assert_string_equal(w[2], "--");
	assert_string_equal(w[3], "--json");
	assert_true(ctl.json && ctl.yes);
	assert_string_equal(ctl.state_dir, "D");
	assert_string_equal(ctl.socket, "S");
	assert_int_equal(ctl.color, COLOR_NEVER);
	n = 3;
	assert_int_equal(args_take_common(&ctl, bad, &n, &cause), BM_EUSAGE);
	n = 2;
	assert_int_equal(args_take_common(&ctl, cut, &n, &cause), BM_EUSAGE);
}

static void
token_lists(void **state)
{
	static const char *const bad[] = { "", "[]", "1,x", "1,-2",
	    "4294967296", "1.5", "111111111111111111111111111111111111111" };
	struct words w;
	struct cause cause;
	struct buf b;

	buf_init(&b, 64);
	assert_int_equal(args_tokens(slice_of("[1, 2,3\n 4294967295]"), &b,
	    &cause), 0);
	w = (struct words){ b.data, b.len / 4 };
	assert_int_equal(w.n, 4);
	assert_int_equal(words_at(w, 1), 2);
	assert_true(words_at(w, 3) == UINT32_MAX);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		buf_clear(&b);
		assert_int_equal(args_tokens(slice_of(bad[i]), &b, &cause),
		    BM_EUSAGE);
	}
	buf_fini(&b);
	buf_init(&b, 4);
	assert_int_equal(args_tokens(slice_of("1,2"), &b, &cause),
	    BM_ELIMIT);
	buf_fini(&b);
}

static void
seconds(void **state)
{
	struct cause cause;
	uint64_t ms = 0;

	assert_int_equal(args_ms("-t", "2", &ms, &cause), 0);
	assert_int_equal(ms, 2000);
	assert_int_equal(args_ms("-t", "0.25", &ms, &cause), 0);
	assert_int_equal(ms, 250);
	assert_int_equal(args_ms("-t", "150ms", &ms, &cause), 0);
	assert_int_equal(ms, 150);
	assert_int_equal(args_ms("-t", "-1", &ms, &cause), BM_EUSAGE);
	assert_int_equal(args_ms("-t", "soon", &ms, &cause), BM_EUSAGE);
}

static void
ends_of_an_answer(void **state)
{
	struct cause cause = { 0 };

	assert_int_equal(client_parse_end(slice_of("ok"), &cause), 0);
	assert_int_equal(client_parse_end(slice_of("{\"a\":1}"), &cause), 1);
	assert_int_equal(client_parse_end(slice_of("okay"), &cause), 1);
	assert_int_equal(client_parse_end(slice_of("error code=unknown_model "
	    "message=\"no \\\"x\\\" code=1\""), &cause), BM_ENOMODEL);
	assert_string_equal(cause.text, "no \"x\" code=1");
	assert_int_equal(client_parse_end(slice_of("error code=timeout"),
	    &cause), BM_ETIMEOUT);
	assert_int_equal(cause.code, BM_ETIMEOUT);
	assert_true(cause.text[0] != '\0');
	assert_int_equal(client_parse_end(slice_of("error "), &cause),
	    BM_EINTERNAL);
}

static void
exit_codes(void **state)
{
	assert_int_equal(ctl_exit_status(BM_EBADREQ), CTL_REFUSED);
	assert_int_equal(ctl_exit_status(BM_EUSAGE), CTL_USAGE);
	assert_int_equal(ctl_exit_status(BM_ENODAEMON), CTL_NO_DAEMON);
	assert_int_equal(ctl_exit_status(BM_ETIMEOUT), CTL_TIMED_OUT);
	assert_int_equal(ctl_exit_status(-ECONNRESET), CTL_TIMED_OUT);
	assert_int_equal(ctl_exit_status(BM_EFORBID), CTL_NOT_ALLOWED);
	assert_int_equal(ctl_exit_status(BM_ENOAUTH), CTL_NOT_ALLOWED);
	assert_int_equal(ctl_exit_status(-EACCES), CTL_NOT_ALLOWED);
	assert_int_equal(ctl_exit_status(-EIO), CTL_REFUSED);
}

static void
sockets(void **state)
{
	struct ctl ctl = { 0 };
	struct cause cause;
	char path[PATH_SIZE], *long_dir = xmalloc(PATH_SIZE + 1);

	setenv("BIGMODELCTL_SOCKET", "/e.sock", 1);
	assert_int_equal(client_socket_path(&ctl, path, &cause), 0);
	assert_string_equal(path, "/e.sock");
	ctl.state_dir = "/state";
	assert_int_equal(client_socket_path(&ctl, path, &cause), 0);
	assert_string_equal(path, "/state/admin.sock");
	ctl.socket = "/s.sock";
	assert_int_equal(client_socket_path(&ctl, path, &cause), 0);
	assert_string_equal(path, "/s.sock");
	unsetenv("BIGMODELCTL_SOCKET");
	memset(long_dir, 'a', PATH_SIZE);
	long_dir[PATH_SIZE] = '\0';
	ctl.socket = long_dir;
	assert_int_equal(client_socket_path(&ctl, path, &cause),
	    -ENAMETOOLONG);
	free(long_dir);
}

static void
agreeing(void **state)
{
	assert_true(confirm_agrees(2, "y\n"));
	assert_true(confirm_agrees(2, "YES\n"));
	assert_true(confirm_agrees(3, "yes\n"));
	assert_false(confirm_agrees(3, "y\n"));
	assert_false(confirm_agrees(2, "\n"));
	assert_false(confirm_agrees(2, "no\n"));
	assert_false(confirm_agrees(3, "yes please\n"));
}

static const struct command *
command_of(enum command_id id)
{
	return &commands[id];
}

static void
put_row(struct output *o, const char *text)
{
	json_t *row = json_loads(text, 0, NULL);

	assert_non_null(row);
	o->ops->row(o, row, slice_of(text));
	json_decref(row);
}

/* Two rows (or none) of a command through a back end. */
static void
produce(struct capture *c, bool json, enum command_id id,
    enum output_shape shape, const char *first, const char *second)
{
	struct ctl ctl = { .json = json, .color = COLOR_NEVER };
	struct output o;

	capture_begin(c);
	output_init(&o, &ctl, command_of(id), shape);
	o.to = c->to;
	o.table.max_width = 0;
	o.table.has_titles = false;
	o.ops->begin(&o);
	if (first != NULL)
		put_row(&o, first);
	if (second != NULL)
		put_row(&o, second);
	o.ops->end(&o);
	output_fini(&o);
}

static void
json_shapes(void **state)
{
	struct capture c;

	produce(&c, true, CMD_ID_SHOW_MODELS, OUTPUT_LIST, NULL, NULL);
	capture_is(&c, "[]\n");
	/* Numbers come through as they were written. */
	produce(&c, true, CMD_ID_SQL, OUTPUT_LIST, "{\"a\":1.10}",
	    "{\"a\":2}");
	capture_is(&c, "[{\"a\":1.10},\n{\"a\":2}]\n");
	produce(&c, true, CMD_ID_RELOAD, OUTPUT_OBJECT, NULL, NULL);
	capture_is(&c, "{\"ok\":true}\n");
	produce(&c, true, CMD_ID_SHOW_STATUS, OUTPUT_OBJECT, "{\"pid\":1}",
	    NULL);
	capture_is(&c, "{\"pid\":1}\n");
	produce(&c, true, CMD_ID_LOG, OUTPUT_STREAM, "{\"a\":1}",
	    "{\"a\":2}");
	capture_is(&c, "{\"a\":1}\n{\"a\":2}\n");
}

static void
text_of_a_query(void **state)
{
	struct capture c;

	produce(&c, false, CMD_ID_SQL, OUTPUT_LIST,
	    "{\"n\":1,\"what\":\"a\\u001bb\",\"x\":null}",
	    "{\"n\":200,\"what\":\"c\",\"x\":0.5}");
	capture_is(&c,
	    "  1  a\\x1bb  -\n"
	    "200  c       0.5\n");
}

static void
text_of_models(void **state)
{
	struct capture c;

	produce(&c, false, CMD_ID_SHOW_MODELS, OUTPUT_LIST,
	    "{\"name\":\"tale\",\"variant\":\"base\",\"state\":\"ready\","
	    "\"workers\":{\"now\":1,\"min\":1,\"max\":4},\"threads\":2,"
	    "\"running\":3,\"queued\":0,\"tokens_per_s\":12.345,"
	    "\"memory_bytes\":1048576,\"architecture\":\"llama\","
	    "\"parameters\":3670000,\"context\":512,\"reason\":\"why\"}",
	    NULL);
	capture_is(&c, "tale  base  ready  1/1..4  2  3  0  12.3  1.0 MiB  "
	    "llama  3.7M  512  why\n");
}

static void
text_of_the_log(void **state)
{
	struct capture c;

	setenv("TZ", "UTC", 1);
	tzset();
	produce(&c, false, CMD_ID_LOG, OUTPUT_LIST,
	    "{\"id\":\"u\",\"started_at\":0,\"finished_at\":61500,"
	    "\"model\":\"tale\",\"status\":\"ok\",\"prompt_tokens\":5,"
	    "\"completion_tokens\":16,\"ttft_ms\":2.5,\"client\":\"unix\"}",
	    NULL);
	capture_is(&c, "1970-01-01 00:01:01  ok  tale  5  16  2.5ms  1m01s  "
	    "unix  u\n");
}

static void
text_of_the_status(void **state)
{
	struct capture c;

	produce(&c, false, CMD_ID_SHOW_STATUS, OUTPUT_OBJECT,
	    "{\"news\":\"a\\nb\",\"state\":\"ready\",\"uptime_s\":90061,"
	    "\"ttft_ms\":{\"p50\":1.5,\"p95\":2500,\"p99\":null},"
	    "\"log\":{\"state\":\"failing\",\"message\":\"disk full\","
	    "\"pending_rows\":3,\"dropped_rows\":0}}", NULL);
	capture_is(&c,
	    "state         ready\n"
	    "up            1d01h\n"
	    "first token   p50 1.5ms, p95 2.50s, p99 null\n"
	    "log           failing: disk full, 3 pending\n"
	    "news          a\\nb\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_aligns),
		cmocka_unit_test(table_has_titles_once),
		cmocka_unit_test(table_fits_the_terminal),
		cmocka_unit_test(table_makes_text_printable),
		cmocka_unit_test(table_colours_states),
		cmocka_unit_test(widths_shrink_the_widest_first),
		cmocka_unit_test(options_of_a_command),
		cmocka_unit_test(common_options_may_follow),
		cmocka_unit_test(token_lists),
		cmocka_unit_test(seconds),
		cmocka_unit_test(ends_of_an_answer),
		cmocka_unit_test(exit_codes),
		cmocka_unit_test(sockets),
		cmocka_unit_test(agreeing),
		cmocka_unit_test(json_shapes),
		cmocka_unit_test(text_of_a_query),
		cmocka_unit_test(text_of_models),
		cmocka_unit_test(text_of_the_log),
		cmocka_unit_test(text_of_the_status),
	};

	return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
