/* SPDX-License-Identifier: MIT */
/*
 * A client of the line protocol.  The first byte says how the rest is cut into
 * reads and whether requests are answered at once.  Whatever comes, what the
 * session says are whole lines that its own grammar reads.
 */
#include "config.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gate/session.h"
#include "tests/unit/fake_core.h"
#include "wire/line.h"

static struct buf out;

static void
io_write(void *arg, const void *p, size_t n)
{
	buf_put(&out, p, n);
}

static void
io_close(void *arg)
{
}

static const struct session_io io = { .write = io_write, .close = io_close };

static void
check_answers(void)
{
	const char *p = buf_cstr(&out), *end = p + out.len, *lf;

	for (; p < end; p = lf + 1) {
		struct cause cause;
		struct slice line;
		bool is_json;
		json_t *o;

		lf = memchr(p, '\n', (size_t)(end - p));
		if (lf == NULL)
			abort();
		line = (struct slice){ .p = p, .n = (size_t)(lf - p) };
		if (line.n > 0 && *p == '{') {
			o = json_loadb(p, line.n, JSON_ALLOW_NUL, NULL);
			if (o == NULL)
				abort();
		} else if (line_parse(line, &o, &is_json, &cause) != 0)
			abort();
		json_decref(o);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct session *s;
	size_t step;

	if (n == 0)
		return 0;
	fake_init();
	fake.g.conf.limits_line_bytes = 4096;
	fake.is_instant = (data[0] & 1) != 0;
	step = data[0] > 1 ? data[0] : n;
	buf_init(&out, (size_t)256 << 20);
	s = session_new(&fake.g, &io, NULL, "fuzz");
	for (size_t at = 1; at < n; at += step)
		session_feed(s, data + at, MEM_MIN(step, n - at));
	session_eof(s);
	while (fake.n_live > 0 && (fake.n_live & 1) != 0)
		fake_done(fake.live[0], 0);
	session_free(&s);
	if (fake.n_live != 0)
		abort();
	check_answers();
	buf_fini(&out);
	fake_fini();
	return 0;
}
