/* SPDX-License-Identifier: MIT */
/*
 * Links against a daemon that is this test's: whole answers, broken ones,
 * endless lines, silence, and handlers that free what calls them.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "base/mem.h"
#include "console/tui/link_io.h"

static struct ev_loop	*loop;
static char		 dir[64], path[96];
static int		 listening;

/* What a handler saw. */
struct seen {
	struct buf	 lines;		/* joined by | */
	size_t		 n_lines, longest;
	bool		 is_over;
	struct cause	 why;
	int		 free_at;	/* free the link at this line; 0: at
					 * the end */
	struct link	*link;
};

static void
on_line(void *arg, struct link *l, struct slice line)
{
	struct seen *s = arg;

	s->n_lines++;
	s->longest = MEM_MAX(s->longest, line.n);
	if (line.n < 1000) {
		buf_put(&s->lines, line.p, line.n);
		buf_puts(&s->lines, "|");
	}
	if (s->free_at > 0 && s->n_lines == (size_t)s->free_at) {
		link_free(l);
		s->link = NULL;
		s->is_over = true;
	}
}

static void
on_end(void *arg, struct link *l, const struct cause *cause)
{
	struct seen *s = arg;

	s->is_over = true;
	s->why = *cause;
	link_free(l);
	s->link = NULL;
}

static const struct link_handler handler = { on_line, on_end };
static const char *const words[] = { "show", "what is", "x" };

static int
setup(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(dir, sizeof(dir), "/tmp/bm-link-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&sa,
	    sizeof(sa)), 0);
	assert_int_equal(listen(listening, 5), 0);
	loop = ev_loop_new(0);
	return 0;
}

static int
teardown(void **state)
{
	ev_loop_destroy(loop);
	close(listening);
	unlink(path);
	rmdir(dir);
	return 0;
}

static void
begin(struct seen *s, uint64_t silence_ms)
{
	*s = (struct seen){ .free_at = s->free_at };
	buf_init(&s->lines, SIZE_MAX / 2);
	s->link = link_new(loop, path, words, 3, silence_ms, &handler, s);
}

static void
run_until_over(struct seen *s)
{
	while (!s->is_over)
		ev_run(loop, EVRUN_ONCE);
}

/* Accept, read the request, answer with these bytes in pieces, close. */
static void
answer(struct seen *s, const char *bytes, size_t n, size_t piece)
{
	char request[64];
	size_t at = 0, k;
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(read(fd, request, sizeof(request)), 17);
	assert_memory_equal(request, "show \"what is\" x\n", 17);
	while (at < n && !s->is_over) {
		k = MEM_MIN(piece, n - at);
		assert_int_equal(write(fd, bytes + at, k), k);
		at += k;
		ev_run(loop, EVRUN_NOWAIT);
	}
	close(fd);
	run_until_over(s);
}

static void
answer_text(struct seen *s, const char *text, size_t piece)
{
	begin(s, 0);
	answer(s, text, strlen(text), piece);
}

static void
whole_answers(void **state)
{
	for (size_t piece = 1; piece < 40; piece += 3) {
		struct seen s = { 0 };

		answer_text(&s, "{\"a\":1}\n\n{\"b\":2}\r\nok\n", piece);
		assert_int_equal(s.why.code, 0);
		assert_string_equal(buf_cstr(&s.lines),
		    "{\"a\":1}|{\"b\":2}|");
		buf_fini(&s.lines);
	}
}

static void
the_daemons_errors(void **state)
{
	struct seen s = { 0 };

	answer_text(&s, "error code=not_found message=\"no such \\u0041\"\n",
	    7);
	assert_int_equal(s.why.code, BM_ENOTFOUND);
	assert_string_equal(s.why.text, "no such A");
	buf_fini(&s.lines);
}

/* Whatever byte it dies at, whole lines came and nothing else. */
static void
death_at_any_byte(void **state)
{
	static const char text[] = "{\"a\":1}\n{\"b\":2}\nok\n";

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		struct seen s = { 0 };

		begin(&s, 0);
		answer(&s, text, n, 5);
		assert_int_equal(s.why.code, -ECONNRESET);
		assert_string_equal(buf_cstr(&s.lines), n < 8 ? "" :
		    n < 16 ? "{\"a\":1}|" : "{\"a\":1}|{\"b\":2}|");
		buf_fini(&s.lines);
	}
}

static void
a_line_without_end(void **state)
{
	size_t n = (size_t)100 << 20;
	char *bytes = xmalloc(n);
	struct seen s = { 0 };

	memset(bytes, 'x', n);
	begin(&s, 0);
	answer(&s, bytes, n, 65536);
	assert_int_equal(s.why.code, BM_ELIMIT);
	assert_int_equal(s.n_lines, 0);
	buf_fini(&s.lines);
	/* a long one is taken */
	n = (size_t)8 << 20;
	memcpy(bytes + n, "\nok\n", 4);
	begin(&s, 0);
	answer(&s, bytes, n + 4, 65536);
	assert_int_equal(s.why.code, 0);
	assert_int_equal(s.longest, n);
	buf_fini(&s.lines);
	free(bytes);
}

static void
nobody_listens(void **state)
{
	struct seen s = { 0 };
	char kept[sizeof(path)];

	memcpy(kept, path, sizeof(path));
	snprintf(path, sizeof(path), "%s/nobody", dir);
	begin(&s, 0);
	assert_false(s.is_over);	/* handlers are the loop's to call */
	run_until_over(&s);
	assert_int_equal(s.why.code, BM_ENODAEMON);
	memcpy(path, kept, sizeof(path));
	buf_fini(&s.lines);
}

static void
silence_ends_it(void **state)
{
	struct seen s = { 0 };
	int fd;

	begin(&s, 30);
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	run_until_over(&s);
	assert_int_equal(s.why.code, BM_ETIMEOUT);
	close(fd);
	buf_fini(&s.lines);
}

static void
a_handler_frees_its_link(void **state)
{
	struct seen s = { .free_at = 2 };

	answer_text(&s, "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\nok\n", 1000);
	assert_int_equal(s.n_lines, 2);
	buf_fini(&s.lines);
	/* and before anything came */
	begin(&s, 10);
	link_free(s.link);
	link_free(NULL);
	ev_run(loop, EVRUN_NOWAIT);
	close(accept4(listening, NULL, NULL, SOCK_CLOEXEC));
	buf_fini(&s.lines);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_answers),
		cmocka_unit_test(the_daemons_errors),
		cmocka_unit_test(death_at_any_byte),
		cmocka_unit_test(a_line_without_end),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(silence_ends_it),
		cmocka_unit_test(a_handler_frees_its_link),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
