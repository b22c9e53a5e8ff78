/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "console/tui/parts.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

#define LABEL_WIDTH	20
#define WORD_MAX	64	/* bytes of a state that are looked at */

/* ---- roles ---- */

static bool
has_word(struct slice s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (memmem(s.p, s.n, words[i], strlen(words[i])) != NULL)
			return true;
	return false;
}

/*
 * Kinds of events are made of these words ("worker_died", "canary_rolled_back",
 * "compressed"), so parts of words decide; the worst first.
 */
enum role
state_role(struct slice word)
{
	static const char *const bad[] = { "fail", "crash", "died", "hung",
	    "lost", "backoff", "internal", "no_memory", "timeout",
	    "overload", "suspect", "killed" };
	static const char *const warn[] = { "ing_", "starting", "loading",
	    "stopping", "draining", "compressing", "queue", "held",
	    "canary", "rolled", "rollback", "stopped", "cancel", "quota",
	    "unload", "unauthorized", "forbidden", "too_long", "bad_request",
	    "unknown_model", "drain", "stop" };
	static const char *const good[] = { "ready", "ok", "running",
	    "active", "started", "swapped", "compressed", "reloaded" };

	word.n = MEM_MIN(word.n, (size_t)WORD_MAX);
	if (word.n == 0)
		return ROLE_TEXT;
	if (has_word(word, bad, N_ELEMENTS(bad)))
		return ROLE_BAD;
	if (has_word(word, warn, N_ELEMENTS(warn)))
		return ROLE_WARN;
	if (has_word(word, good, N_ELEMENTS(good)))
		return ROLE_GOOD;
	return ROLE_TEXT;
}

enum role
fill_role(double fraction)
{
	return fraction > 0.95 ? ROLE_BAD : fraction > 0.8 ? ROLE_WARN :
	    ROLE_GRAPH;
}

bool
row_is_true(const json_t *row, const char *field)
{
	return json_is_true(store_row_value(row, field));
}

/* ---- numbers ---- */

struct slice
part_number(enum column_form form, double v, struct buf *text)
{
	buf_clear(text);
	if (isnan(v))
		buf_puts(text, "-");
	else
		view_number(form, v, text);
	return (struct slice){ (const char *)text->data, text->len };
}

int
part_pair(const struct area *a, int y, int x, const char *label,
    enum role role, struct slice value)
{
	int from = x;

	x += area_puts(a, y, x, ROLE_LABEL, label) + 1;
	x += area_put(a, y, x, role, value);
	return x - from;
}

void
part_quantiles(const struct area *a, int y, const char *label,
    const json_t *row, const char *field)
{
	static const char *const names[] = { "p50", "p95", "p99" };
	struct buf text;
	int x = 13;

	buf_init(&text, 4096);
	area_puts(a, y, 0, ROLE_LABEL, label);
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		double v = row_number_in(row, field, names[i]);
		/* Without a single measurement the daemon says 0. */
		struct slice s = part_number(FORM_MS, v > 0 ? v : NAN,
		    &text);

		area_puts(a, y, x, ROLE_DIM, names[i]);
		area_fit(a, y, x + 4, 7, i == 1 ? ROLE_STRONG : ROLE_TEXT,
		    true, s);
		x += 13;
	}
	buf_fini(&text);
}

/* ---- graphs ---- */

/* The points of one value: [from, end) of the series. */
static double
merge(const double *v, size_t from, size_t end, bool peaks)
{
	double sum = 0, most = NAN;
	size_t n = 0;

	for (size_t i = from; i < end; i++) {
		if (isnan(v[i]))
			continue;
		sum += v[i];
		most = n++ == 0 ? v[i] : fmax(most, v[i]);
	}
	return n == 0 ? NAN : peaks ? most : sum / (double)n;
}

size_t
part_series(const struct store *s, enum store_series series, double span_ms,
    bool peaks, double *out, size_t w)
{
	double step_ms = s->step_ms > 0 ? s->step_ms : 1000;
	size_t n = s->n_points, per, n_out = 0, first, newest;
	const double *v = s->series[series];

	if (w == 0 || n == 0)
		return 0;
	n = MEM_MIN(n, (size_t)MEM_MAX(span_ms / step_ms, 1.0));
	per = MEM_MAX((size_t)ceil(span_ms / step_ms / (double)w), (size_t)1);
	/* Number points by their time, and cut at multiples of per. */
	newest = isfinite(s->series_at) && s->series_at > 0 ?
	    (size_t)fmod(s->series_at / step_ms, 1e12) : n - 1;
	newest = MEM_MAX(newest, n);
	for (first = newest + 1 - n; first <= newest;) {
		size_t end = MEM_MIN(first - first % per + per, newest + 1);
		size_t base = s->n_points - 1 - newest;

		/* base wraps below zero; the sums do not. */
		if (n_out == w) {
			memmove(out, out + 1, (w - 1) * sizeof(*out));
			n_out--;
		}
		out[n_out++] = merge(v, base + first, base + end, peaks);
		first = end;
	}
	return n_out;
}

/* ---- records ---- */

void
part_flat(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\n')
			buf_puts(out, "\\n");
		else
			buf_put_u8(out, (uint8_t)s.p[i]);
}

void
part_field(struct buf *out, const char *label, struct slice value)
{
	buf_printf(out, "%-*s  ", LABEL_WIDTH, label);
	part_flat(out, value);
	buf_put_u8(out, '\n');
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

static enum column_form
form_of(const char *field)
{
	return ends_with(field, "_ms") ? FORM_MS :
	    ends_with(field, "_bytes") ? FORM_BYTES :
	    ends_with(field, "_at") || strcmp(field, "at") == 0 ? FORM_TIME :
	    ends_with(field, "uptime_s") ? FORM_AGE :
	    ends_with(field, "_per_s") ? FORM_RATE :
	    strcmp(field, "workers") == 0 ? FORM_RANGE :
	    strcmp(field, "parameters") == 0 ? FORM_COUNT : FORM_NUMBER;
}

/* An object or a list within a record: "p50 12.0ms, p95 30.1ms". */
static void
put_inner(const json_t *object, enum column_form form, struct buf *out)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)object, key, v) {
		enum column_form own = form_of(key);

		buf_printf(out, "%s%s ", out->len > 0 ? ", " : "", key);
		view_value(own != FORM_NUMBER ? own : form, v, NULL, out);
	}
}

static void
put_value(const char *field, const json_t *v, struct buf *text)
{
	enum column_form form = form_of(field);

	if (json_is_object(v) && form != FORM_RANGE)
		put_inner(v, form, text);
	else
		view_value(form, v, NULL, text);
}

void
part_record(const json_t *row, struct buf *out)
{
	json_t *o = store_row_object(row);
	struct buf text;
	const char *key;
	json_t *v;

	buf_init(&text, SIZE_MAX / 8);
	json_object_foreach(o, key, v) {
		put_value(key, v, &text);
		part_field(out, key, (struct slice){ (const char *)text.data,
		    text.len });
		buf_clear(&text);
	}
	buf_fini(&text);
	json_decref(o);
}

void
part_text(struct buf *out, const char *title, struct slice text)
{
	if (text.n == 0)
		return;
	buf_printf(out, "\n%s\n  ", title);
	for (size_t i = 0; i < text.n; i++) {
		buf_put_u8(out, (uint8_t)text.p[i]);
		if (text.p[i] == '\n')
			buf_puts(out, "  ");
	}
	buf_put_u8(out, '\n');
}
