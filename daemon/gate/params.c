/* SPDX-License-Identifier: MIT */
/*
 * The simple parameters are rows of params.def: an offset into struct params,
 * a type and limits.  Lists are gathered in buffers of struct params and copied
 * into each request made from it, because "n" makes several.
 */
#include "config.h"

#include "gate/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "gate/prompt.h"
#include "gate/request.h"

#define LIST_BYTES_MAX	(1u << 20)

enum param_type { PARAM_i32, PARAM_f32, PARAM_flag };

struct param {
	const char	*name;
	const char	*others;	/* separated by spaces */
	enum param_type	 type;
	double		 min, max, def;
	size_t		 offset;
};

static const struct param table[] = {
#define P(name, others, field, type, min, max, def)			\
	{ #name, others, PARAM_##type, min, max, def,			\
	    offsetof(struct params, field) },
#include "gate/params.def"
#undef P
};

/* The rest, which has functions of its own. */
static const char *const special[] = { "seed", "stop", "logit_bias",
    "logprobs", "top_logprobs", "timeout_ms", "n" };

static void
set_field(struct params *to, const struct param *p, double v)
{
	char *at = (char *)to + p->offset;

	switch (p->type) {
	case PARAM_i32:
		*(int32_t *)(void *)at = (int32_t)v;
		break;
	case PARAM_f32:
		*(float *)(void *)at = (float)v;
		break;
	case PARAM_flag:
		*(uint8_t *)at = v != 0;
		break;
	}
}

static double
get_field(const struct params *from, const struct param *p)
{
	const char *at = (const char *)from + p->offset;

	switch (p->type) {
	case PARAM_i32:
		return *(const int32_t *)(const void *)at;
	case PARAM_f32:
		return (double)*(const float *)(const void *)at;
	case PARAM_flag:
		break;
	}
	return *(const uint8_t *)at;
}

/* Is key one of the words of a list such as "a b c"? */
static bool
is_among(const char *words, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = words; *p != '\0'; p += *p == ' ') {
		size_t len = strcspn(p, " ");

		if (len == n && memcmp(p, key, n) == 0)
			return true;
		p += len;
	}
	return false;
}

bool
params_is_name(const char *key)
{
	for (size_t i = 0; i < N_ELEMENTS(table); i++)
		if (strcmp(table[i].name, key) == 0 ||
		    is_among(table[i].others, key))
			return true;
	for (size_t i = 0; i < N_ELEMENTS(special); i++)
		if (strcmp(special[i], key) == 0)
			return true;
	return false;
}

bool
params_flag(const json_t *v, bool *out)
{
	int word;

	if (json_is_boolean(v))
		*out = json_is_true(v);
	else if (json_is_integer(v) && (json_integer_value(v) & ~1LL) == 0)
		*out = json_integer_value(v) == 1;
	else if (json_is_string(v) &&
	    str_to_bool(json_string_value(v), &word) == 0)
		*out = word != 0;
	else
		return false;
	return true;
}

/* ---- the rows of the table ---- */

static int
read_number(struct params *p, const struct param *row, const char *key,
    const json_t *v, struct cause *cause)
{
	double x = json_number_value(v);

	if (!json_is_number(v) ||
	    (row->type == PARAM_i32 && x != floor(x)))
		return cause_set(cause, BM_EBADREQ, "%s must be %s", key,
		    row->type == PARAM_i32 ? "an integer" : "a number");
	if (!(x >= row->min && x <= row->max))
		return cause_set(cause, BM_EBADREQ,
		    "%s must be between %g and %g", key, row->min, row->max);
	set_field(p, row, x);
	return 0;
}

static int
read_row(struct params *p, const struct param *row, const char *key,
    const json_t *v, struct cause *cause)
{
	bool on;

	if (v == NULL || json_is_null(v))
		return 0;
	p->bad = key;
	if (row->type != PARAM_flag)
		return read_number(p, row, key, v, cause);
	if (!params_flag(v, &on))
		return cause_set(cause, BM_EBADREQ,
		    "%s must be true or false", key);
	set_field(p, row, on);
	return 0;
}

/* The row under its own name and, where that is absent, the others. */
static int
read_names(struct params *p, const struct param *row, const json_t *o,
    struct cause *cause)
{
	const char *key;
	json_t *v;
	int r = read_row(p, row, row->name, json_object_get(o, row->name),
	    cause);

	if (r != 0 || row->others[0] == '\0' ||
	    json_object_get(o, row->name) != NULL)
		return r;
	json_object_foreach((json_t *)(uintptr_t)o, key, v) {
		if (!is_among(row->others, key))
			continue;
		r = read_row(p, row, key, v, cause);
		if (r != 0)
			return r;
	}
	return 0;
}

/* ---- those with functions of their own ---- */

/* An optional integer in [min, max]. */
static int
read_int(struct params *p, const json_t *o, const char *key, json_int_t min,
    json_int_t max, json_int_t *out, struct cause *cause)
{
	const json_t *v = json_object_get(o, key);

	if (v == NULL || json_is_null(v))
		return 0;
	p->bad = key;
	if (!json_is_integer(v))
		return cause_set(cause, BM_EBADREQ, "%s must be an integer",
		    key);
	if (json_integer_value(v) < min || json_integer_value(v) > max)
		return cause_set(cause, BM_EBADREQ,
		    "%s must be between %lld and %lld", key, (long long)min,
		    (long long)max);
	*out = json_integer_value(v);
	return 0;
}

/* -1 asks for a seed of chance, as none does. */
static int
read_seed(struct params *p, const json_t *o, struct cause *cause)
{
	json_int_t seed = -1;
	int r = read_int(p, o, "seed", INT64_MIN, INT64_MAX, &seed, cause);

	if (r == 0 && seed != -1)
		p->run.seed = (uint64_t)seed;
	return r;
}

static int
add_stop(struct params *p, const json_t *v, struct cause *cause)
{
	struct slice s;

	if (!json_is_string(v))
		return cause_set(cause, BM_EBADREQ,
		    "stop must be a string or an array of strings");
	s = (struct slice){ .p = json_string_value(v),
	    .n = json_string_length(v) };
	if (s.n == 0)
		return cause_set(cause, BM_EBADREQ,
		    "stop must not hold an empty string");
	strs_put(&p->stop, s);
	if (p->stop.failed)
		return cause_set(cause, BM_EBADREQ, "stop is too long");
	return 0;
}

static int
read_stop(struct params *p, const json_t *o, struct cause *cause)
{
	const json_t *v = json_object_get(o, "stop");
	size_t n = json_array_size(v);

	if (v == NULL || json_is_null(v))
		return 0;
	p->bad = "stop";
	buf_clear(&p->stop);
	if (!json_is_array(v))
		return add_stop(p, v, cause);
	if (n > PARAMS_STOP_MAX)
		return cause_set(cause, BM_EBADREQ,
		    "stop may hold at most %d strings", PARAMS_STOP_MAX);
	for (size_t i = 0; i < n; i++) {
		int r = add_stop(p, json_array_get(v, i), cause);

		if (r != 0)
			return r;
	}
	return 0;
}

/* One pair "token id": bias. */
static int
add_bias(struct params *p, const char *key, const json_t *v,
    struct cause *cause)
{
	uint64_t token;
	double bias = json_number_value(v);

	if (str_to_u64(key, &token) != 0 || token > INT32_MAX)
		return cause_set(cause, BM_EBADREQ,
		    "logit_bias: a key must be the number of a token");
	if (!json_is_number(v) || !(bias >= -100 && bias <= 100))
		return cause_set(cause, BM_EBADREQ,
		    "logit_bias: the bias of %llu must be between -100 and "
		    "100", (unsigned long long)token);
	buf_put_u32(&p->bias_tokens, (uint32_t)token);
	/* By convention the lowest value bans the token. */
	buf_put_f32(&p->bias_values, bias == -100 ? -INFINITY : (float)bias);
	return 0;
}

static int
read_bias(struct params *p, const json_t *o, struct cause *cause)
{
	json_t *v = json_object_get(o, "logit_bias"), *bias;
	const char *key;

	if (v == NULL || json_is_null(v))
		return 0;
	p->bad = "logit_bias";
	if (!json_is_object(v))
		return cause_set(cause, BM_EBADREQ,
		    "logit_bias must be an object of token numbers");
	if (json_object_size(v) > PARAMS_BIAS_MAX)
		return cause_set(cause, BM_EBADREQ,
		    "logit_bias may name at most %d tokens", PARAMS_BIAS_MAX);
	buf_clear(&p->bias_tokens);
	buf_clear(&p->bias_values);
	json_object_foreach(v, key, bias) {
		int r = add_bias(p, key, bias, cause);

		if (r != 0)
			return r;
	}
	return 0;
}

/* "logprobs": 3 (completions) or true with "top_logprobs": 3 (chat). */
static int
read_logprobs(struct params *p, const json_t *o, struct cause *cause)
{
	const json_t *v = json_object_get(o, "logprobs");
	json_int_t top = -1, n = -1;
	bool on = true;
	int r = read_int(p, o, "top_logprobs", 0, PARAMS_LOGPROBS_MAX, &top,
	    cause);

	if (r != 0)
		return r;
	if (v == NULL || json_is_null(v))
		on = false;
	else if (json_is_integer(v))
		r = read_int(p, o, "logprobs", 0, PARAMS_LOGPROBS_MAX, &n,
		    cause);
	else if (!params_flag(v, &on)) {
		p->bad = "logprobs";
		r = cause_set(cause, BM_EBADREQ,
		    "logprobs must be a number or true or false");
	}
	if (r != 0)
		return r;
	if (!on && top >= 0) {
		p->bad = "top_logprobs";
		return cause_set(cause, BM_EBADREQ,
		    "top_logprobs needs logprobs to be true");
	}
	if (on)
		p->run.n_probs = (int32_t)MEM_MAX(MEM_MAX(n, top), 0);
	return 0;
}

int
params_read(struct params *p, const json_t *o, struct cause *cause)
{
	json_int_t timeout = 0, n = 1;
	int r = 0;

	for (size_t i = 0; i < N_ELEMENTS(table) && r == 0; i++)
		r = read_names(p, &table[i], o, cause);
	if (r == 0)
		r = read_seed(p, o, cause);
	if (r == 0)
		r = read_stop(p, o, cause);
	if (r == 0)
		r = read_bias(p, o, cause);
	if (r == 0)
		r = read_logprobs(p, o, cause);
	if (r == 0)
		r = read_int(p, o, "timeout_ms", 0, INT64_C(7) * 86400000,
		    &timeout, cause);
	if (r == 0)
		r = read_int(p, o, "n", 1, PARAMS_COPIES_MAX, &n, cause);
	if (r != 0)
		return r;
	p->timeout_ms = (uint64_t)timeout;
	p->n_copies = (unsigned)n;
	p->bad = NULL;
	return 0;
}

void
params_init(struct params *p)
{
	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < N_ELEMENTS(table); i++)
		set_field(p, &table[i], table[i].def);
	p->run.n_probs = -1;
	/* 32 bits: whole in every JSON reader. */
	p->run.seed = random_u64() >> 32;
	p->n_copies = 1;
	buf_init(&p->stop, LIST_BYTES_MAX);
	buf_init(&p->bias_tokens, LIST_BYTES_MAX);
	buf_init(&p->bias_values, LIST_BYTES_MAX);
}

void
params_fini(struct params *p)
{
	buf_fini(&p->stop);
	buf_fini(&p->bias_tokens);
	buf_fini(&p->bias_values);
}

/* ---- out ---- */

static void
write_stop(const struct params *p, struct buf *out)
{
	struct cur c = cur_of(p->stop.data, p->stop.len);
	const char *comma = "";
	struct slice s;

	if (p->stop.len == 0)
		return;
	buf_puts(out, ",\"stop\":[");
	for (; strs_next(&c, &s); comma = ",") {
		buf_puts(out, comma);
		buf_put_json(out, s);
	}
	buf_puts(out, "]");
}

static void
write_bias(const struct params *p, struct buf *out)
{
	struct cur tokens = cur_of(p->bias_tokens.data, p->bias_tokens.len);
	struct cur values = cur_of(p->bias_values.data, p->bias_values.len);
	const char *comma = "";

	if (p->bias_tokens.len == 0)
		return;
	buf_puts(out, ",\"logit_bias\":{");
	for (; cur_left(&tokens) > 0; comma = ",") {
		uint32_t token = cur_u32(&tokens);
		double bias = (double)cur_f32(&values);

		buf_printf(out, "%s\"%u\":%.7g", comma, token,
		    isinf(bias) ? -100 : bias);
	}
	buf_puts(out, "}");
}

void
params_write(const struct params *p, unsigned copy, struct buf *out)
{
	buf_printf(out, "{\"seed\":%lld", (long long)(p->run.seed + copy));
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		double v = get_field(p, &table[i]);

		if (table[i].type == PARAM_flag)
			buf_printf(out, ",\"%s\":%s", table[i].name,
			    v != 0 ? "true" : "false");
		else
			buf_printf(out, ",\"%s\":%.7g", table[i].name, v);
	}
	if (p->run.n_probs >= 0)
		buf_printf(out, ",\"logprobs\":%d", p->run.n_probs);
	if (p->timeout_ms > 0)
		buf_printf(out, ",\"timeout_ms\":%llu",
		    (unsigned long long)p->timeout_ms);
	write_stop(p, out);
	write_bias(p, out);
	buf_puts(out, "}");
}

struct request *
params_request(const struct params *p, const struct prompt *prompt,
    unsigned copy)
{
	struct request *r = request_new(REQUEST_GENERATE);
	struct msg_run *run = &r->m.run;
	struct buf log;

	*run = p->run;
	run->seed += copy;
	run->stop = (struct slice){ .p = request_own(r, p->stop.data,
	    p->stop.len), .n = p->stop.len };
	run->bias_tokens = (struct words){ .p = request_own(r,
	    p->bias_tokens.data, p->bias_tokens.len),
	    .n = p->bias_tokens.len / 4 };
	run->bias_values = (struct words){ .p = request_own(r,
	    p->bias_values.data, p->bias_values.len),
	    .n = p->bias_values.len / 4 };
	prompt_put(prompt, r);
	r->timeout_ms = p->timeout_ms;
	r->priority = p->priority;
	buf_init(&log, LIST_BYTES_MAX * 4);
	params_write(p, copy, &log);
	r->params = buf_take(&log);
	return r;
}
