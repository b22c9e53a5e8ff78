/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/show_json.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

void
show_put(struct buf *out, json_t *o)
{
	char *s = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(15));

	if (s != NULL)
		buf_puts(out, s);
	buf_put_u8(out, '\n');
	free(s);
	json_decref(o);
}

void
show_set_slice(json_t *o, const char *key, struct slice s)
{
	json_t *v = json_stringn(s.p != NULL ? s.p : "", s.n);
	char vis[512];

	if (v == NULL)
		v = json_string(str_vis(vis, sizeof(vis), s.p, s.n));
	json_object_set_new(o, key, v);
}

void
show_set_str(json_t *o, const char *key, const char *s)
{
	show_set_slice(o, key, slice_of(s));
}

void
show_set_begin(json_t *o, const char *key, struct slice s, size_t max_bytes)
{
	if (s.n > max_bytes) {
		s.n = max_bytes;
		while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
			s.n--;
	}
	if (s.n == 0)
		json_object_set_new(o, key, json_null());
	else
		show_set_slice(o, key, s);
}

void
show_set_int(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

void
show_set_bool(json_t *o, const char *key, bool is_true)
{
	json_object_set_new(o, key, json_boolean(is_true));
}

void
show_set_num(json_t *o, const char *key, double x)
{
	json_object_set_new(o, key, json_real(isfinite(x) ?
	    round(x * 1000) / 1000 : 0));
}

void
show_set_known(json_t *o, const char *key, double x)
{
	json_object_set_new(o, key, isfinite(x) ? json_real(x) : json_null());
}

void
show_set_uptime(json_t *o, uint32_t pid, int64_t started_ms)
{
	int64_t age_ms = clock_unix_ms() - started_ms;

	show_set_num(o, "uptime_s", pid == 0 ? 0 :
	    (double)MEM_MAX(age_ms, (int64_t)0) / 1000);
}

void
show_set_quantiles(json_t *o, const char *key, struct window_hist *w,
    uint64_t now_ns)
{
	json_t *q = json_object();

	show_set_num(q, "p50", window_hist_quantile_ms(w, now_ns, 0.50));
	show_set_num(q, "p95", window_hist_quantile_ms(w, now_ns, 0.95));
	show_set_num(q, "p99", window_hist_quantile_ms(w, now_ns, 0.99));
	json_object_set_new(o, key, q);
}
