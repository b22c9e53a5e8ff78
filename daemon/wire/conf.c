/* SPDX-License-Identifier: MIT */
/*
 * The configuration as one struct made from conf.def.  Every value enters as
 * text through conf_set, whether it is a default, a line of the file or a
 * field of message CONF, so that there is one place which checks types and
 * limits.  In message CONF each value names its key: processes of different
 * versions skip what they do not know and keep their default for the rest.
 */
#include "config.h"

#include "wire/conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

/* Enough for a path or a key of any sense; a value is kept in memory. */
#define TEXT_MAX	4096

#define CONF_C_str	CONF_STR
#define CONF_C_word	CONF_WORD
#define CONF_C_u64	CONF_U64
#define CONF_C_bytes	CONF_BYTES
#define CONF_C_ms	CONF_MS
#define CONF_C_f64	CONF_F64
#define CONF_C_bool	CONF_BOOL

const struct conf_key conf_keys[] = {
#define K(section, key, type, def, min, max, what)			\
	{ CONF_ONE, #section, #key, CONF_C_##type, def, min, max, what,	\
	    offsetof(struct conf, section##_##key) },
#define KM(key, type, def, min, max, what)				\
	{ CONF_MODEL, "model", #key, CONF_C_##type, def, min, max, what, \
	    offsetof(struct conf_model, key) },
#define KT(key, type, def, min, max, what)				\
	{ CONF_TENANT, "tenant", #key, CONF_C_##type, def, min, max, what, \
	    offsetof(struct conf_tenant, key) },
#include "wire/conf.def"
#undef K
#undef KM
#undef KT
};
const size_t conf_n_keys = N_ELEMENTS(conf_keys);

/* ---- one value ---- */

static void *
field(void *base, const struct conf_key *k)
{
	return (char *)base + k->offset;
}

static bool
is_text(enum conf_type type)
{
	return type == CONF_STR || type == CONF_WORD;
}

/* The words of a CONF_WORD are "a|b|c: what it is". */
static bool
is_word_of(const char *what, const char *text)
{
	size_t len = strlen(text), end = strcspn(what, ":");

	for (size_t at = 0; at < end; ) {
		size_t n = strcspn(what + at, "|:");

		if (n == len && memcmp(what + at, text, n) == 0)
			return true;
		at += n + 1;
	}
	return false;
}

static int
set_text(void *base, const struct conf_key *k, const char *text,
    struct cause *cause)
{
	char shown[64];
	char **to = field(base, k);

	if (k->type == CONF_WORD && !is_word_of(k->what, text))
		return cause_set(cause, BM_ECONF,
		    "%s.%s: \"%s\" is not one of %.*s", k->section, k->key,
		    str_vis(shown, sizeof(shown), text, strlen(text)),
		    (int)strcspn(k->what, ":"), k->what);
	if (strlen(text) >= TEXT_MAX)
		return cause_set(cause, BM_ECONF,
		    "%s.%s: longer than %d bytes", k->section, k->key,
		    TEXT_MAX - 1);
	free(*to);
	*to = xstrdup(text);
	return 0;
}

/* What a value of the type looks like, for the message. */
static const char *
form_of(enum conf_type type)
{
	switch (type) {
	case CONF_U64:
		return "a whole number";
	case CONF_BYTES:
		return "a size such as 64M";
	case CONF_MS:
		return "a time such as 30s";
	case CONF_F64:
		return "a number";
	default:
		return "yes or no";
	}
}

/* In the largest unit that divides it, so that nothing is lost. */
static void
put_quantity(struct buf *out, enum conf_type type, uint64_t v)
{
	static const struct { uint64_t n; const char *unit; } size[] = {
		{ UINT64_C(1) << 30, "G" }, { 1 << 20, "M" }, { 1 << 10, "k" },
		{ 1, "" } }, time[] = { { 86400000, "d" }, { 3600000, "h" },
		{ 60000, "m" }, { 1000, "s" }, { 1, "ms" } };
	size_t i = 0;

	if (type == CONF_U64 || v == 0) {
		buf_printf(out, "%" PRIu64, v);
	} else if (type == CONF_BYTES) {
		while (v % size[i].n != 0)
			i++;
		buf_printf(out, "%" PRIu64 "%s", v / size[i].n, size[i].unit);
	} else {
		while (v % time[i].n != 0)
			i++;
		buf_printf(out, "%" PRIu64 "%s", v / time[i].n, time[i].unit);
	}
}

static int
check_limits(const struct conf_key *k, double v, struct cause *cause)
{
	struct buf limit;
	bool is_low = v < k->min;
	double bound = is_low ? k->min : k->max;
	int r;

	/* A max of 0 sets no bound. */
	if (!is_low && (k->max == 0 || v <= k->max))
		return 0;
	buf_init(&limit, 64);
	if (k->type == CONF_F64)
		buf_printf(&limit, "%g", bound);
	else
		put_quantity(&limit, k->type, (uint64_t)bound);
	r = cause_set(cause, BM_ECONF, "%s.%s: must be at %s %s", k->section,
	    k->key, is_low ? "least" : "most", buf_cstr(&limit));
	buf_fini(&limit);
	return r;
}

static int
set_number(void *base, const struct conf_key *k, const char *text,
    struct cause *cause)
{
	char shown[64];
	uint64_t u = 0;
	double f = 0;
	int b = 0, r;

	switch (k->type) {
	case CONF_U64:
		r = str_to_u64(text, &u);
		break;
	case CONF_BYTES:
		r = str_to_bytes(text, &u);
		break;
	case CONF_MS:
		r = str_to_ms(text, &u);
		break;
	case CONF_F64:
		r = str_to_f64(text, &f);
		break;
	default:
		r = str_to_bool(text, &b);
		break;
	}
	if (r != 0)
		return cause_set(cause, BM_ECONF,
		    "%s.%s: \"%s\" is not %s", k->section, k->key,
		    str_vis(shown, sizeof(shown), text, strlen(text)),
		    form_of(k->type));
	if (k->type == CONF_BOOL) {
		*(bool *)field(base, k) = b != 0;
		return 0;
	}
	if ((r = check_limits(k, k->type == CONF_F64 ? f : (double)u,
	    cause)) != 0)
		return r;
	if (k->type == CONF_F64)
		*(double *)field(base, k) = f;
	else
		*(uint64_t *)field(base, k) = u;
	return 0;
}

int
conf_set(void *base, const struct conf_key *k, const char *text,
    struct cause *cause)
{
	return is_text(k->type) ? set_text(base, k, text, cause) :
	    set_number(base, k, text, cause);
}

/* The shortest text that reads back as x. */
static void
put_number(struct buf *out, double x)
{
	char text[32];
	double back;

	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, x);
		if (str_to_f64(text, &back) == 0 && back == x)
			break;
	}
	buf_puts(out, text);
}

void
conf_get_text(const void *base, const struct conf_key *k, struct buf *out)
{
	const char *at = (const char *)base + k->offset;

	switch (k->type) {
	case CONF_STR:
	case CONF_WORD:
		buf_puts(out, *(char *const *)(const void *)at);
		break;
	case CONF_F64:
		put_number(out, *(const double *)(const void *)at);
		break;
	case CONF_BOOL:
		buf_puts(out, *(const bool *)at ? "yes" : "no");
		break;
	default:
		put_quantity(out, k->type,
		    *(const uint64_t *)(const void *)at);
		break;
	}
}

/* ---- the whole ---- */

static void
set_defaults(void *base, enum conf_section_kind kind)
{
	for (size_t i = 0; i < conf_n_keys; i++) {
		struct cause why;

		if (conf_keys[i].kind == kind && conf_set(base,
		    &conf_keys[i], conf_keys[i].def, &why) != 0)
			fatalx("conf.def: %s", why.text);
	}
}

static void
free_texts(void *base, enum conf_section_kind kind)
{
	for (size_t i = 0; i < conf_n_keys; i++)
		if (conf_keys[i].kind == kind && is_text(conf_keys[i].type))
			free(*(char **)field(base, &conf_keys[i]));
}

void
conf_init(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	c->state_dir = xstrdup("");
	set_defaults(c, CONF_ONE);
}

void
conf_model_fini(struct conf_model *m)
{
	free(m->name);
	free_texts(m, CONF_MODEL);
	memset(m, 0, sizeof(*m));
}

void
conf_model_copy(struct conf_model *to, const struct conf_model *from)
{
	*to = *from;
	to->name = xstrdup(from->name);
	for (size_t i = 0; i < conf_n_keys; i++) {
		const struct conf_key *k = &conf_keys[i];

		if (k->kind == CONF_MODEL && is_text(k->type))
			*(char **)field(to, k) = xstrdup(*(char **)field(to,
			    k));
	}
}

void
conf_fini(struct conf *c)
{
	for (size_t i = 0; i < c->n_models; i++)
		conf_model_fini(&c->models[i]);
	for (size_t i = 0; i < c->n_tenants; i++) {
		free(c->tenants[i].name);
		free_texts(&c->tenants[i], CONF_TENANT);
	}
	free(c->models);
	free(c->tenants);
	free(c->state_dir);
	free_texts(c, CONF_ONE);
	memset(c, 0, sizeof(*c));
}

struct conf_model *
conf_add_model(struct conf *c, const char *name)
{
	struct conf_model *m;

	c->models = xreallocarray(c->models, c->n_models + 1,
	    sizeof(*c->models));
	m = &c->models[c->n_models++];
	memset(m, 0, sizeof(*m));
	m->name = xstrdup(name);
	set_defaults(m, CONF_MODEL);
	return m;
}

struct conf_tenant *
conf_add_tenant(struct conf *c, const char *name)
{
	struct conf_tenant *t;

	c->tenants = xreallocarray(c->tenants, c->n_tenants + 1,
	    sizeof(*c->tenants));
	t = &c->tenants[c->n_tenants++];
	memset(t, 0, sizeof(*t));
	t->name = xstrdup(name);
	set_defaults(t, CONF_TENANT);
	return t;
}

const struct conf_model *
conf_find_model(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_models; i++)
		if (strcmp(c->models[i].name, name) == 0)
			return &c->models[i];
	return NULL;
}

/* ---- message CONF: a name, then (section, key, text)... a section ---- */

static void
put_section(struct buf *b, const void *base, enum conf_section_kind kind,
    const char *name)
{
	struct buf text;

	buf_put_u8(b, (uint8_t)kind);
	buf_put_slice(b, slice_of(name));
	buf_init(&text, TEXT_MAX);
	for (size_t i = 0; i < conf_n_keys; i++) {
		const struct conf_key *k = &conf_keys[i];

		if (k->kind != kind)
			continue;
		buf_clear(&text);
		conf_get_text(base, k, &text);
		buf_put_slice(b, slice_of(k->section));
		buf_put_slice(b, slice_of(k->key));
		buf_put_slice(b, slice_of(buf_cstr(&text)));
	}
	/* An empty section ends the list. */
	buf_put_slice(b, slice_of(""));
	buf_fini(&text);
}

void
conf_put(struct buf *b, const struct conf *c)
{
	buf_put_slice(b, slice_of(c->state_dir));
	put_section(b, c, CONF_ONE, "");
	for (size_t i = 0; i < c->n_models; i++)
		put_section(b, &c->models[i], CONF_MODEL, c->models[i].name);
	for (size_t i = 0; i < c->n_tenants; i++)
		put_section(b, &c->tenants[i], CONF_TENANT,
		    c->tenants[i].name);
}

static const struct conf_key *
find_key(enum conf_section_kind kind, struct slice section, struct slice key)
{
	for (size_t i = 0; i < conf_n_keys; i++)
		if (conf_keys[i].kind == kind &&
		    slice_eq(section, conf_keys[i].section) &&
		    slice_eq(key, conf_keys[i].key))
			return &conf_keys[i];
	return NULL;
}

static int
get_values(struct cur *c, void *base, enum conf_section_kind kind,
    struct cause *cause)
{
	for (;;) {
		struct slice section = cur_slice(c), key, text;
		const struct conf_key *k;
		char *value;
		int r;

		if (section.n == 0)
			return 0;
		key = cur_slice(c);
		text = cur_slice(c);
		if (c->failed)
			return 0;
		if ((k = find_key(kind, section, key)) == NULL)
			continue;
		value = slice_dup(text);
		r = conf_set(base, k, value, cause);
		free(value);
		if (r != 0)
			return r;
	}
}

static int
get_section(struct cur *c, struct conf *out, struct cause *cause)
{
	unsigned kind = cur_u8(c);
	char *name = slice_dup(cur_slice(c));
	int r;

	if (c->failed)
		r = 0;
	else if (kind == CONF_ONE)
		r = get_values(c, out, CONF_ONE, cause);
	else if (kind == CONF_MODEL)
		r = get_values(c, conf_add_model(out, name), CONF_MODEL,
		    cause);
	else if (kind == CONF_TENANT)
		r = get_values(c, conf_add_tenant(out, name), CONF_TENANT,
		    cause);
	else
		r = cause_set(cause, BM_EPROTO,
		    "configuration: section of kind %u", kind);
	free(name);
	return r;
}

int
conf_get(struct cur c, struct conf *out, struct cause *cause)
{
	struct conf got;
	int r = 0;

	conf_init(&got);
	free(got.state_dir);
	got.state_dir = slice_dup(cur_slice(&c));
	while (r == 0 && !c.failed && cur_left(&c) > 0)
		r = get_section(&c, &got, cause);
	if (r == 0 && c.failed)
		r = cause_set(cause, BM_EPROTO, "configuration: cut short");
	if (r != 0)
		conf_fini(&got);
	else
		*out = got;
	return r;
}
