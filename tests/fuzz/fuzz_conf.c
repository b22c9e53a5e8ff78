/* SPDX-License-Identifier: MIT */
/*
 * The configuration file, and message CONF.  What was accepted is written and
 * read again and must be the same; what was not must name a line.
 */
#include "config.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "master/conf_parse.h"
#include "wire/conf.h"

/* Written, read and written again: the same bytes. */
static void
check_round_trip(const struct conf *c)
{
	struct conf again;
	struct buf a, b;
	struct cause why;

	buf_init(&a, 1 << 24);
	buf_init(&b, 1 << 24);
	conf_put(&a, c);
	if (a.failed || conf_get(cur_of(a.data, a.len), &again, &why) != 0)
		abort();
	conf_put(&b, &again);
	if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
		abort();
	conf_fini(&again);
	buf_fini(&a);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct conf c;
	struct cause why = { 0 };
	int r;

	conf_init(&c);
	r = conf_parse("fuzz", "/dir", (const char *)data, n, &c, &why);
	if (r == 0)
		check_round_trip(&c);
	else if (r != BM_ECONF || strncmp(why.text, "fuzz:", 5) != 0)
		abort();
	conf_fini(&c);
	if (conf_get(cur_of(data, n), &c, &why) == 0) {
		check_round_trip(&c);
		conf_fini(&c);
	}
	return 0;
}
