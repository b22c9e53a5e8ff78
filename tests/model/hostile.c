/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "hostile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/tokenizer.h"

/* Opens the container, and the tokenizer if asked; the first refusal. */
static int
open_built(void (*build)(struct gguf_writer *), bool vocabulary,
    struct cause *cause)
{
	struct gguf_writer w;
	struct tokenizer *t = NULL;
	struct gguf *g = NULL;
	struct buf file;
	int rc;

	gw_init(&w);
	buf_init(&file, GW_FILE_MAX);
	build(&w);
	gw_finish(&w, &file);
	rc = gguf_open_memory(file.data, file.len, &g, cause);
	if (rc == 0 && vocabulary)
		rc = tokenizer_open(g, &t, cause);
	if (t != NULL)
		tokenizer_free(&t);
	gguf_free(&g);
	buf_fini(&file);
	gw_fini(&w);
	return rc;
}

void
check_hostile(const struct hostile *h, size_t n, bool vocabulary)
{
	for (size_t i = 0; i < n; i++) {
		struct cause cause = { 0 };
		int rc = open_built(h[i].build, vocabulary, &cause);

		if (rc != h[i].code || strstr(cause.text, h[i].named) == NULL ||
		    (h[i].also != NULL &&
		    strstr(cause.text, h[i].also) == NULL))
			fail_msg("%s: code %d, cause: %s", h[i].what, rc,
			    cause.text);
	}
}
