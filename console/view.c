/* SPDX-License-Identifier: MIT */
/*
 * What people see of the daemon's objects: which fields, in which order and
 * form.  Fields that a daemon does not send show as "-"; fields of a block
 * that are not listed here come behind the listed ones.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/output.h"

static const struct column models_view[] = {
	{ "name", "NAME", FORM_TEXT, 12 },
	{ "variant", "VARIANT", FORM_TEXT, 8 },
	{ "state", "STATE", FORM_STATE, 8 },
	{ "workers", "WORKERS", FORM_RANGE, 7 },
	{ "threads", "THREADS", FORM_NUMBER, 7 },
	{ "running", "RUNNING", FORM_NUMBER, 7 },
	{ "queued", "QUEUED", FORM_NUMBER, 6 },
	{ "tokens_per_s", "TOK/S", FORM_RATE, 7 },
	{ "memory_bytes", "MEMORY", FORM_BYTES, 9 },
	{ "architecture", "ARCH", FORM_TEXT, 8 },
	{ "parameters", "PARAMS", FORM_COUNT, 7 },
	{ "context", "CONTEXT", FORM_NUMBER, 7 },
	{ "reason", "REASON", FORM_TEXT, 0 },
};

static const struct column variants_view[] = {
	{ "model", "MODEL", FORM_TEXT, 12 },
	{ "name", "VARIANT", FORM_TEXT, 10 },
	{ "state", "STATE", FORM_STATE, 9 },
	{ "type", "TYPE", FORM_TEXT, 6 },
	{ "file_bytes", "SIZE", FORM_BYTES, 9 },
	{ "perplexity", "PPL", FORM_RATE, 8 },
	{ "kl_divergence", "KL", FORM_RATE, 8 },
	{ "canary_percent", "SHARE%", FORM_NUMBER, 6 },
	{ "live", "LIVE", FORM_NUMBER, 4 },
	{ "requests_total", "REQUESTS", FORM_NUMBER, 8 },
	{ "errors_total", "ERRORS", FORM_NUMBER, 6 },
	{ "tokens_per_s", "TOK/S", FORM_RATE, 7 },
	{ "reason", "REASON", FORM_TEXT, 0 },
};

static const struct column workers_view[] = {
	{ "id", "ID", FORM_NUMBER, 3 },
	{ "pid", "PID", FORM_NUMBER, 7 },
	{ "model", "MODEL", FORM_TEXT, 12 },
	{ "variant", "VARIANT", FORM_TEXT, 8 },
	{ "state", "STATE", FORM_STATE, 8 },
	{ "running", "RUNNING", FORM_NUMBER, 7 },
	{ "tokens_per_s", "TOK/S", FORM_RATE, 7 },
	{ "rss_bytes", "RSS", FORM_BYTES, 9 },
	{ "restarts", "RESTARTS", FORM_NUMBER, 8 },
	{ "cpu_level", "CPU", FORM_TEXT, 6 },
	{ "uptime_s", "UP", FORM_AGE, 7 },
};

static const struct column requests_view[] = {
	{ "age_ms", "AGE", FORM_MS, 8 },
	{ "state", "STATE", FORM_STATE, 8 },
	{ "position", "PLACE", FORM_NUMBER, 5 },
	{ "priority", "PRIO", FORM_NUMBER, 4 },
	{ "model", "MODEL", FORM_TEXT, 12 },
	{ "worker", "WORKER", FORM_NUMBER, 6 },
	{ "prompt_tokens", "IN", FORM_NUMBER, 6 },
	{ "completion_tokens", "OUT", FORM_NUMBER, 6 },
	{ "tenant", "TENANT", FORM_TEXT, 8 },
	{ "client", "CLIENT", FORM_TEXT, 16 },
	{ "id", "ID", FORM_TEXT, 36 },
};

static const struct column log_view[] = {
	{ "finished_at", "TIME", FORM_TIME, 19 },
	{ "status", "STATUS", FORM_STATE, 9 },
	{ "model", "MODEL", FORM_TEXT, 8 },
	{ "prompt_tokens", "IN", FORM_NUMBER, 5 },
	{ "completion_tokens", "OUT", FORM_NUMBER, 5 },
	{ "ttft_ms", "TTFT", FORM_MS, 8 },
	{ "finished_at", "DURATION", FORM_DURATION, 8 },
	{ "client", "CLIENT", FORM_TEXT, 16 },
	{ "id", "ID", FORM_TEXT, 36 },
};

static const struct column events_view[] = {
	{ "at", "TIME", FORM_TIME, 19 },
	{ "kind", "KIND", FORM_TEXT, 10 },
	{ "subject", "SUBJECT", FORM_TEXT, 12 },
	{ "text", "TEXT", FORM_TEXT, 30 },
	{ "uid", "UID", FORM_NUMBER, 5 },
};

static const struct column config_view[] = {
	{ "section", "SECTION", FORM_TEXT, 8 },
	{ "name", "NAME", FORM_TEXT, 8 },
	{ "key", "KEY", FORM_TEXT, 16 },
	{ "value", "VALUE", FORM_TEXT, 16 },
	{ "what", "WHAT", FORM_TEXT, 30 },
};

enum output_shape
view_shape(enum command_id id)
{
	switch (id) {
	case CMD_ID_SHOW_MODELS:
	case CMD_ID_SHOW_VARIANTS:
	case CMD_ID_SHOW_WORKERS:
	case CMD_ID_SHOW_REQUESTS:
	case CMD_ID_SHOW_KERNELS:
	case CMD_ID_SHOW_EVENTS:
	case CMD_ID_SQL:
	case CMD_ID_LOG:
		return OUTPUT_LIST;
	case CMD_ID_SHOW_CONFIG:
		return OUTPUT_TREE;
	default:
		return OUTPUT_OBJECT;
	}
}

static const struct column watch_view[] = {
	{ "at", "TIME", FORM_TIME, 19 },
	{ "state", "STATE", FORM_STATE, 8 },
	{ "queued", "QUEUED", FORM_NUMBER, 6 },
	{ "running", "RUNNING", FORM_NUMBER, 7 },
	{ "requests_per_s", "REQ/S", FORM_RATE, 7 },
	{ "tokens_per_s", "TOK/S", FORM_RATE, 8 },
	{ "ttft_p95_ms", "TTFT95", FORM_MS, 8 },
	{ "workers_ready", "WORKERS", FORM_NUMBER, 7 },
	{ "memory_bytes", "MEMORY", FORM_BYTES, 9 },
};

#define VIEW(v) (*n = N_ELEMENTS(v), v)

const struct column *
view_columns(enum command_id id, size_t *n)
{
	switch (id) {
	case CMD_ID_SHOW_MODELS:
		return VIEW(models_view);
	case CMD_ID_SHOW_VARIANTS:
		return VIEW(variants_view);
	case CMD_ID_SHOW_WORKERS:
		return VIEW(workers_view);
	case CMD_ID_SHOW_REQUESTS:
		return VIEW(requests_view);
	case CMD_ID_SHOW_CONFIG:
		return VIEW(config_view);
	case CMD_ID_SHOW_EVENTS:
		return VIEW(events_view);
	case CMD_ID_LOG:
		return VIEW(log_view);
	case CMD_ID_WATCH:
		return VIEW(watch_view);
	default:
		*n = 0;
		return NULL;
	}
}

static void
put_time(double unix_ms, const char *format, struct buf *out)
{
	bool is_sane = fabs(unix_ms) < 1e16;
	time_t t = is_sane ? (time_t)floor(unix_ms / 1000) : 0;
	struct tm tm;
	char text[32];

	if (!is_sane || localtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), format, &tm) == 0)
		buf_printf(out, "%.0f", unix_ms);
	else
		buf_puts(out, text);
}

/* "45s", "12m05s", "3h07m", "9d04h" */
static void
put_age(double seconds, struct buf *out)
{
	uint64_t s = seconds > 0 && seconds < 1e15 ? (uint64_t)seconds : 0;

	if (s < 60)
		buf_printf(out, "%us", (unsigned)s);
	else if (s < 3600)
		buf_printf(out, "%um%02us", (unsigned)(s / 60),
		    (unsigned)(s % 60));
	else if (s < 86400)
		buf_printf(out, "%uh%02um", (unsigned)(s / 3600),
		    (unsigned)(s / 60 % 60));
	else
		buf_printf(out, "%" PRIu64 "d%02uh", s / 86400,
		    (unsigned)(s / 3600 % 24));
}

static void
put_ms(double ms, struct buf *out)
{
	if (ms < 1000)
		buf_printf(out, "%.1fms", ms);
	else if (ms < 60000)
		buf_printf(out, "%.2fs", ms / 1000);
	else
		put_age(ms / 1000, out);
}

static void
put_count(double n, struct buf *out)
{
	static const char units[] = "kMGT";
	size_t i = 0;

	if (n < 1000) {
		buf_printf(out, "%.0f", n);
		return;
	}
	for (n /= 1000; n >= 1000 && i < 3; i++)
		n /= 1000;
	buf_printf(out, "%.1f%c", n, units[i]);
}

/* Units of 1024; at most five columns up to 9999T. */
static void
put_size(double n, struct buf *out)
{
	static const char units[] = "BkMGT";
	size_t i = 0;

	for (; n >= 1000 && i < sizeof(units) - 2; i++)
		n /= 1024;
	buf_printf(out, n < 9.95 && i > 0 ? "%.1f%c" : "%.0f%c", n, units[i]);
}

/* Any JSON value in the shortest form. */
static void
put_plain(const json_t *v, struct buf *out)
{
	char *text;

	if (v == NULL) {
		buf_puts(out, "-");
		return;
	}
	if (json_is_string(v)) {
		buf_put(out, json_string_value(v), json_string_length(v));
		return;
	}
	text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT |
	    JSON_REAL_PRECISION(10));
	buf_puts(out, text != NULL ? text : "?");
	free(text);
}

static void
put_range(const json_t *v, struct buf *out)
{
	json_int_t now = json_integer_value(json_object_get(v, "now"));
	json_int_t min = json_integer_value(json_object_get(v, "min"));
	json_int_t max = json_integer_value(json_object_get(v, "max"));

	buf_printf(out, "%lld/%lld", (long long)now, (long long)min);
	if (max != min)
		buf_printf(out, "..%lld", (long long)max);
}

void
view_number(enum column_form form, double v, struct buf *out)
{
	char text[32];

	switch (form) {
	case FORM_RATE:
		buf_printf(out, "%.1f", v);
		return;
	case FORM_MS:
		put_ms(v, out);
		return;
	case FORM_BYTES:
		buf_puts(out, str_from_bytes(text, sizeof(text),
		    v > 0 && v < 1e19 ? (uint64_t)v : 0));
		return;
	case FORM_SIZE:
		put_size(v, out);
		return;
	case FORM_COUNT:
		put_count(v, out);
		return;
	case FORM_TIME:
		put_time(v, "%Y-%m-%d %H:%M:%S", out);
		return;
	case FORM_CLOCK:
		put_time(v, "%H:%M:%S", out);
		return;
	case FORM_AGE:
		put_age(v, out);
		return;
	default:
		buf_printf(out, "%.10g", v);
		return;
	}
}

void
view_value(enum column_form form, const json_t *v, const json_t *since,
    struct buf *out)
{
	if (v == NULL || json_is_null(v)) {
		buf_puts(out, "-");
	} else if (form == FORM_RANGE && json_is_object(v)) {
		put_range(v, out);
	} else if (form == FORM_DURATION && json_is_number(v)) {
		put_ms(json_number_value(v) - json_number_value(since), out);
	} else if (form == FORM_TEXT || form == FORM_STATE ||
	    form == FORM_NUMBER || !json_is_number(v)) {
		put_plain(v, out);
	} else {
		view_number(form, json_number_value(v), out);
	}
}

void
view_cell(const struct column *c, const json_t *row, struct buf *out)
{
	view_value(c->form, json_object_get(row, c->field), c->form ==
	    FORM_DURATION ? json_object_get(row, "started_at") : NULL, out);
}

static const struct column status_view[] = {
	{ "version", "version", FORM_TEXT, 0 },
	{ "state", "state", FORM_TEXT, 0 },
	{ "ready", "ready", FORM_TEXT, 0 },
	{ "pid", "pid", FORM_NUMBER, 0 },
	{ "uptime_s", "up", FORM_AGE, 0 },
	{ "http", "http", FORM_TEXT, 0 },
	{ "models", "models", FORM_NUMBER, 0 },
	{ "workers_ready", "workers", FORM_NUMBER, 0 },
	{ "connections", "connections", FORM_NUMBER, 0 },
	{ "queued", "queued", FORM_NUMBER, 0 },
	{ "running", "running", FORM_NUMBER, 0 },
	{ "requests_total", "requests", FORM_NUMBER, 0 },
	{ "requests_per_s", "requests/s", FORM_RATE, 0 },
	{ "tokens_total", "tokens", FORM_NUMBER, 0 },
	{ "tokens_per_s", "tokens/s", FORM_RATE, 0 },
	{ "ttft_ms", "first token", FORM_TEXT, 0 },
	{ "memory_bytes", "memory", FORM_BYTES, 0 },
	{ "log", "log", FORM_TEXT, 0 },
};

static void
put_line(FILE *to, const char *title, struct buf *value)
{
	char name[64];
	size_t size = value->len * 4 + 4;
	char *shown = xmalloc(size);

	str_vis(name, sizeof(name), title, strlen(title));
	str_vis(shown, size, (const char *)value->data, value->len);
	fprintf(to, "%-12s  %s\n", name, shown);
	free(shown);
	buf_clear(value);
}

/* {"p50":12,"p95":30} as "p50 12.0ms, p95 30.0ms". */
static void
put_quantiles(const json_t *v, struct buf *out)
{
	const char *key;
	json_t *q;

	json_object_foreach((json_t *)v, key, q) {
		buf_printf(out, "%s%s ", out->len > 0 ? ", " : "", key);
		if (json_is_number(q))
			put_ms(json_number_value(q), out);
		else
			put_plain(q, out);
	}
}

/* The request log: its state, why it is so, and what waits or was lost. */
static void
put_log(const json_t *v, struct buf *out)
{
	const char *message = json_string_value(json_object_get(v,
	    "message"));
	json_int_t pending = json_integer_value(json_object_get(v,
	    "pending_rows"));
	json_int_t dropped = json_integer_value(json_object_get(v,
	    "dropped_rows"));

	put_plain(json_object_get(v, "state"), out);
	if (message != NULL && message[0] != '\0')
		buf_printf(out, ": %s", message);
	if (pending > 0)
		buf_printf(out, ", %lld pending", (long long)pending);
	if (dropped > 0)
		buf_printf(out, ", %lld lost", (long long)dropped);
}

static bool
is_listed(const char *key)
{
	for (size_t i = 0; i < N_ELEMENTS(status_view); i++)
		if (strcmp(status_view[i].field, key) == 0)
			return true;
	return false;
}

void
view_block(const json_t *object, FILE *to)
{
	struct buf text;
	const char *key;
	json_t *v;

	buf_init(&text, SIZE_MAX / 8);
	for (size_t i = 0; i < N_ELEMENTS(status_view); i++) {
		const struct column *c = &status_view[i];

		if ((v = json_object_get(object, c->field)) == NULL)
			continue;
		if (strcmp(c->field, "ttft_ms") == 0 && json_is_object(v))
			put_quantiles(v, &text);
		else if (strcmp(c->field, "log") == 0 && json_is_object(v))
			put_log(v, &text);
		else
			view_cell(c, object, &text);
		put_line(to, c->title, &text);
	}
	json_object_foreach((json_t *)object, key, v) {
		if (is_listed(key))
			continue;
		put_plain(v, &text);
		put_line(to, key, &text);
	}
	buf_fini(&text);
}
