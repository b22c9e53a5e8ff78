/* SPDX-License-Identifier: MIT */
/*
 * Frames between our processes, and every message in them: whatever the bytes
 * are, they decode or are refused, and what decodes encodes again.
 */
#include "config.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "wire/frame.h"

/* Messages whose strs hold lists. */
static void
walk_lists(const struct frame *f)
{
	struct msg_run run;
	struct msg_out out;
	struct logprob_item item;
	struct slice s;
	struct cur c;

	if (f->type == MSG_RUN && msg_get_run(f->body, &run) == 0) {
		for (c = strs_of(run.stop); strs_next(&c, &s);)
			if (s.n > 0 && memchr(s.p, 0, s.n) == s.p + s.n)
				abort();
		for (size_t i = 0; i < run.tokens.n; i++)
			(void)words_at(run.tokens, i);
	}
	if (f->type == MSG_OUT && msg_get_out(f->body, &out) == 0)
		for (c = strs_of(out.logprobs); logprob_next(&c, &item);)
			if (item.piece.n > out.logprobs.n)
				abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t at = 0, used;
	struct buf text;
	struct frame f;

	buf_init(&text, 1 << 20);
	while (frame_get(data + at, n - at, R_ANY, R_ANY, &f, &used) == 1) {
		if (used > n - at)
			abort();
		buf_clear(&text);
		msg_print(f.type, f.body, &text);
		walk_lists(&f);
		at += used;
	}
	buf_fini(&text);
	return 0;
}
