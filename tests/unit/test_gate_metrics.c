/* SPDX-License-Identifier: MIT */
/* What is exported of the gate's counters. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "gate/metrics.h"
#include "gate_world.h"

static void
metrics_have_every_family_once(void **state)
{
	struct client c = { 0 };
	struct frame f;
	struct buf b;
	const char *text;

	worker_up(1, 1);
	worker_up(2, 1);
	worker_down(2);
	worker_died(2, 99);
	submit(&c, REQUEST_GENERATE, NULL);
	f = hear(&o.worker[1], MSG_RUN);
	say_out(&o.worker[1], f.id, 11, " upon");
	say_out(&o.worker[1], f.id, 12, " a");
	say_ended(&o.worker[1], f.id, 0, 2);
	buf_init(&b, 1 << 20);
	metrics_write(&o.g, &b);
	text = buf_cstr(&b);
	assert_non_null(strstr(text,
	    "bigmodel_requests_total{model=\"tale\",status=\"ok\"} 1\n"));
	assert_non_null(strstr(text,
	    "bigmodel_completion_tokens_total{model=\"tale\"} 2\n"));
	assert_non_null(strstr(text,
	    "bigmodel_ttft_seconds_count{model=\"tale\"} 1\n"));
	assert_non_null(strstr(text, "bigmodel_variant_inter_token_seconds"
	    "_count{model=\"tale\",variant=\"f16\"} 1\n"));
	assert_non_null(strstr(text, "bigmodel_variant_requests_total"
	    "{model=\"tale\",variant=\"f16\"} 1\n"));
	assert_non_null(strstr(text, "bigmodel_worker_deaths_total"
	    "{model=\"tale\",kind=\"crashed\"} 1\n"));
	assert_non_null(strstr(text, "bigmodel_memory_private_bytes"
	    "{model=\"tale\"} 123\n"));
	assert_non_null(strstr(text, "bigmodel_log_pending_rows 1\n"));
	for (const char *p = text; (p = strstr(p, "# TYPE ")) != NULL; ) {
		char name[64];
		size_t n = strcspn(p, "\n");

		assert_true(n < sizeof(name));
		memcpy(name, p, n);
		name[n] = '\0';
		p += n;
		assert_null(strstr(p, name));
	}
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(metrics_have_every_family_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
