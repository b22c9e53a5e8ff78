/* SPDX-License-Identifier: MIT */
/*
 * Lines of the daemon become what the screen shows.  Nothing is believed: a
 * line is a JSON object or is counted and dropped, a list holds objects only,
 * a text of the log is cut, and every ring has its limit; so a daemon, or who
 * speaks in its place, can neither end the console nor fill the memory.
 */
#include "config.h"

#include "console/tui/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LOG_TEXT_MAX	1024	/* bytes kept of a prompt or an output */
#define STEP_MAX_MS	3.6e6	/* of the history; AT: the year 2286 */
#define AT_MAX_MS	1e13
#define WORDS_MAX	4096	/* different strings that rows share */
#define WORD_MAX	64	/* bytes of one */

static const char *const list_names[] = { "processes", "models", "variants",
    "workers", "requests" };

/* The columns of the table `requests`: where a packed row has them. */
static const char *const log_fields[] = { "id", "started_at", "finished_at",
    "tenant", "client", "protocol", "endpoint", "model", "variant", "worker",
    "status", "finish", "prompt_tokens", "completion_tokens",
    "cached_tokens", "queue_ms", "prefill_ms", "decode_ms", "ttft_ms",
    "prompt", "output", "params" };
#define N_LOG_FIELDS	N_ELEMENTS(log_fields)
#define LOG_REST	N_LOG_FIELDS	/* an object of fields unknown here */

static const char *const series_names[SERIES_N] = {
	[SERIES_TOKENS] = "tokens", [SERIES_REQUESTS] = "requests",
	[SERIES_QUEUED] = "queued", [SERIES_RUNNING] = "running",
	[SERIES_TTFT_P95] = "ttft_p95_ms", [SERIES_ERRORS] = "errors",
};

/* ---- fields ---- */

const json_t *
store_row_value(const json_t *row, const char *field)
{
	if (json_is_object(row))
		return json_object_get(row, field);
	for (size_t i = 0; i < N_LOG_FIELDS; i++)
		if (strcmp(log_fields[i], field) == 0)
			return json_array_get(row, i);
	return json_object_get(json_array_get(row, LOG_REST), field);
}

json_t *
store_row_object(const json_t *row)
{
	json_t *o, *v;

	if (row == NULL || json_is_object(row))
		return json_incref((json_t *)row);
	o = json_object();
	for (size_t i = 0; i < N_LOG_FIELDS; i++)
		if ((v = json_array_get(row, i)) != NULL)
			json_object_set(o, log_fields[i], v);
	json_object_update_missing(o, json_array_get(row, LOG_REST));
	return o;
}

const char *
row_text(const json_t *row, const char *field)
{
	const char *s = json_string_value(store_row_value(row, field));

	return s != NULL ? s : "";
}

struct slice
row_slice(const json_t *row, const char *field)
{
	const json_t *v = store_row_value(row, field);

	return (struct slice){ json_string_value(v), json_string_length(v) };
}

static double
number_of(const json_t *v)
{
	return json_is_number(v) ? json_number_value(v) : NAN;
}

double
row_number(const json_t *row, const char *field)
{
	return number_of(store_row_value(row, field));
}

double
row_number_in(const json_t *row, const char *object, const char *field)
{
	return number_of(json_object_get(store_row_value(row, object),
	    field));
}

/* ---- rings ---- */

static void
ring_init(struct store_ring *r, size_t max)
{
	*r = (struct store_ring){ .max = max, .ids = json_object() };
	r->v = xcalloc(max, sizeof(*r->v));
}

static void
ring_fini(struct store_ring *r)
{
	for (size_t i = 0; i < r->n; i++)
		json_decref(r->v[(r->first + i) % r->max]);
	json_decref(r->ids);
	free(r->v);
	*r = (struct store_ring){ 0 };
}

const json_t *
store_ring_at(const struct store_ring *r, size_t i)
{
	return i < r->n ? r->v[(r->first + i) % r->max] : NULL;
}

/* Takes the reference.  The numbers of the rows that are there run from
 * n_ever - n to n_ever - 1. */
static void
ring_put(struct store_ring *r, json_t *row)
{
	const char *id = row_text(row, "id");
	const json_t *seen = json_object_get(r->ids, id);
	size_t at;

	if (seen != NULL && *id != '\0') {
		at = (size_t)((uint64_t)json_integer_value(seen) -
		    (r->n_ever - r->n));
		at = (r->first + at) % r->max;
		json_decref(r->v[at]);
		r->v[at] = row;
		return;
	}
	if (r->n == r->max) {
		json_t *oldest = r->v[r->first];

		json_object_del(r->ids, row_text(oldest, "id"));
		json_decref(oldest);
		r->first = (r->first + 1) % r->max;
		r->n--;
	}
	r->v[(r->first + r->n++) % r->max] = row;
	if (*id != '\0')
		json_object_set_new(r->ids, id,
		    json_integer((json_int_t)r->n_ever));
	r->n_ever++;
}

/* ---- begin and end ---- */

void
store_init(struct store *s)
{
	*s = (struct store){ .link = LINK_CONNECTING, .series_at = NAN,
	    .version = 1 };
	ring_init(&s->events, STORE_EVENTS);
	ring_init(&s->log, STORE_LOG);
	s->config = json_array();
	s->words = json_object();
	s->nothing[0] = json_array();
	s->nothing[1] = json_object();
}

void
store_fini(struct store *s)
{
	json_decref(s->snapshot);
	ring_fini(&s->events);
	ring_fini(&s->log);
	json_decref(s->config);
	json_decref(s->words);
	json_decref(s->nothing[0]);
	json_decref(s->nothing[1]);
	*s = (struct store){ 0 };
}

void
store_lose(struct store *s, const struct cause *why)
{
	s->link = LINK_LOST;
	s->why = (struct cause){ 0 };
	if (why != NULL)
		s->why = *why;
	s->version++;
}

/* ---- lines ---- */

/* NULL for what is no object. */
static json_t *
parse(struct store *s, struct slice line)
{
	json_t *o = json_loadb(line.p != NULL ? line.p : "", line.n,
	    JSON_ALLOW_NUL, NULL);

	if (json_is_object(o))
		return o;
	json_decref(o);
	s->n_bad_lines++;
	return NULL;
}

/* Lists of objects, or no list at all. */
static void
clean_lists(json_t *snapshot)
{
	for (size_t i = 0; i < N_ELEMENTS(list_names); i++) {
		json_t *list = json_object_get(snapshot, list_names[i]);

		if (!json_is_array(list)) {
			json_object_del(snapshot, list_names[i]);
			continue;
		}
		for (size_t k = json_array_size(list); k-- > 0;)
			if (!json_is_object(json_array_get(list, k)))
				json_array_remove(list, k);
	}
}

static void
take_events(struct store *s, json_t *snapshot)
{
	json_t *events = json_object_get(snapshot, "events"), *e;
	size_t i;

	json_array_foreach(events, i, e)
		if (json_is_object(e))
			ring_put(&s->events, json_incref(e));
	json_object_del(snapshot, "events");
}

/* Room for n points at the end; older ones go. */
static void
shift_series(struct store *s, size_t n)
{
	size_t keep = MEM_MIN(s->n_points, STORE_POINTS - n);

	for (size_t k = 0; k < SERIES_N; k++) {
		memmove(s->series[k], s->series[k] + (s->n_points - keep),
		    keep * sizeof(s->series[k][0]));
		for (size_t i = 0; i < n; i++)
			s->series[k][keep + i] = NAN;
	}
	s->n_points = keep + n;
}

/*
 * How many points passed since the newest that is known: a subscription that
 * begins anew tells again what it told before, and leaves a gap when it was
 * away for long.
 */
static size_t
points_passed(const struct store *s, double at, size_t n_told)
{
	double n = (at - s->series_at) / s->step_ms;

	if (!isfinite(n))	/* the first, or a line without times */
		return n_told;
	if (n < 0.5)
		return 0;
	return n < STORE_POINTS ? (size_t)(n + 0.5) : STORE_POINTS;
}

static void
take_history(struct store *s, const json_t *snapshot)
{
	const json_t *h = json_object_get(snapshot, "history");
	double at = row_number(h, "at"), step = row_number(h, "step_ms");
	size_t n_told = 0, n;

	for (size_t k = 0; k < SERIES_N; k++)
		n_told = MEM_MAX(n_told, json_array_size(json_object_get(h,
		    series_names[k])));
	if (n_told == 0)
		return;
	if (step >= 1 && step <= STEP_MAX_MS)
		s->step_ms = step;
	if (!(fabs(at) < AT_MAX_MS))
		at = NAN;
	n = MEM_MIN(points_passed(s, at, n_told), (size_t)STORE_POINTS);
	shift_series(s, n);
	for (size_t k = 0; k < SERIES_N; k++) {
		const json_t *v = json_object_get(h, series_names[k]);
		size_t n_here = MEM_MIN(json_array_size(v), n);

		for (size_t i = 0; i < n_here; i++)
			s->series[k][s->n_points - 1 - i] = number_of(
			    json_array_get(v, json_array_size(v) - 1 - i));
	}
	if (n > 0)
		s->series_at = at;
}

void
store_take_snapshot(struct store *s, struct slice line, uint64_t now_ns)
{
	json_t *o = parse(s, line);

	if (o == NULL)
		return;
	clean_lists(o);
	take_events(s, o);
	take_history(s, o);
	json_object_del(o, "history");
	json_decref(s->snapshot);
	s->snapshot = o;
	s->link = LINK_LIVE;
	s->heard_ns = now_ns;
	s->version++;
}

/* ---- the log ---- */

/* Models, tenants, states: the same few strings in thousands of rows. */
static json_t *
shared_word(struct store *s, json_t *v)
{
	const char *text = json_string_value(v);
	json_t *word;

	if (json_string_length(v) > WORD_MAX ||
	    strlen(text) != json_string_length(v))
		return json_incref(v);
	if ((word = json_object_get(s->words, text)) != NULL)
		return json_incref(word);
	if (json_object_size(s->words) < WORDS_MAX)
		json_object_set(s->words, text, v);
	return json_incref(v);
}

/* The begin of a long text, whole characters. */
static json_t *
cut_text(json_t *v)
{
	const char *p = json_string_value(v);
	size_t n = json_string_length(v);
	struct buf b;
	json_t *cut;

	if (n <= LOG_TEXT_MAX)
		return json_incref(v);
	for (n = LOG_TEXT_MAX; n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80;)
		n--;
	buf_init(&b, SIZE_MAX / 8);
	buf_put(&b, p, n);
	buf_printf(&b, "... (%zu bytes)", json_string_length(v));
	cut = json_stringn((const char *)b.data, b.len);
	buf_fini(&b);
	return cut;
}

static json_t *
pack(struct store *s, json_t *o)
{
	json_t *row = json_array();

	for (size_t i = 0; i < N_LOG_FIELDS; i++) {
		json_t *v = json_object_get(o, log_fields[i]);

		if (!json_is_string(v))
			v = v != NULL ? json_incref(v) : json_null();
		else if (json_string_length(v) > LOG_TEXT_MAX)
			v = cut_text(v);
		else
			v = i > 0 ? shared_word(s, v) : json_incref(v);
		json_array_append_new(row, v);
		json_object_del(o, log_fields[i]);
	}
	if (json_object_size(o) > 0)
		json_array_append(row, o);
	return row;
}

void
store_take_log(struct store *s, struct slice line)
{
	json_t *o = parse(s, line);

	if (o == NULL)
		return;
	ring_put(&s->log, pack(s, o));
	json_decref(o);
	s->version++;
}

/* ---- the configuration ---- */

void
store_begin_config(struct store *s)
{
	json_array_clear(s->config);
	s->version++;
}

void
store_take_config(struct store *s, struct slice line)
{
	json_t *o = parse(s, line);

	if (o == NULL)
		return;
	json_array_append_new(s->config, o);
	s->version++;
}

/* ---- questions ---- */

const json_t *
store_list(const struct store *s, const char *name)
{
	const json_t *list = strcmp(name, "config") == 0 ? s->config :
	    json_object_get(s->snapshot, name);

	return json_is_array(list) ? list : s->nothing[0];
}

static bool
is_value(const json_t *v, const char *value)
{
	char text[32];

	if (json_is_string(v))
		return strcmp(json_string_value(v), value) == 0;
	if (!json_is_integer(v))
		return false;
	snprintf(text, sizeof(text), "%lld",
	    (long long)json_integer_value(v));
	return strcmp(text, value) == 0;
}

const json_t *
store_find(const struct store *s, const char *list, const char *field,
    const char *value)
{
	json_t *row;
	size_t i;

	json_array_foreach(store_list(s, list), i, row)
		if (is_value(json_object_get(row, field), value))
			return row;
	return NULL;
}

const json_t *
store_status(const struct store *s)
{
	const json_t *o = json_object_get(s->snapshot, "status");

	return json_is_object(o) ? o : s->nothing[1];
}

bool
store_has_log(const struct store *s, const char *id)
{
	return json_object_get(s->log.ids, id) != NULL;
}
