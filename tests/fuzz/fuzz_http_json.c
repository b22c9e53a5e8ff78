/* SPDX-License-Identifier: MIT */
/*
 * The body of an HTTP request.  The first byte picks the route and whether the
 * core answers at once; the rest is the body.  What is answered is JSON.
 */
#include "config.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "tests/unit/fake_core.h"
#include "tests/unit/fake_http.h"

static const char *const paths[] = { "/v1/chat/completions",
    "/v1/completions", "/tokenize", "/detokenize", "/apply-template",
    "/v1/embeddings" };

static void
check_answer(struct fake_http *h)
{
	json_t *o;

	if (fake.n_live == 0 && h->status == 0)
		abort();
	if (h->is_stream || h->status == 0)
		return;
	o = json_loadb(buf_cstr(&h->out), h->out.len, JSON_ALLOW_NUL, NULL);
	if (o == NULL)
		abort();
	json_decref(o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fake_http h;

	if (n == 0)
		return 0;
	fake_init();
	fake.is_instant = (data[0] & 8) != 0;
	if (fake_http_call(&h, "POST", paths[(data[0] & 7) %
	    N_ELEMENTS(paths)], data + 1, n - 1) != 0)
		abort();
	/* Half of what waits is answered, the rest loses its client. */
	for (size_t i = fake.n_live / 2; i > 0; i--) {
		fake_output(fake.live[0], "a\xff");
		fake_done(fake.live[0], 0);
	}
	check_answer(&h);
	fake_http_end(&h);
	if (fake.n_live != 0)
		abort();
	fake_fini();
	return 0;
}
