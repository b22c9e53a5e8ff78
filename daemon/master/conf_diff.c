/* SPDX-License-Identifier: MIT */
/* Values are compared as texts in the file's own form, so that every key there
 * is now or will be is looked at. */
#include "config.h"

#include "master/conf_diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define TEXT_MAX	8192	/* longer than any value */
#define SHOWN_MAX	128

static char *
text_of(const void *base, const struct conf_key *k)
{
	struct buf b;

	buf_init(&b, TEXT_MAX);
	conf_get_text(base, k, &b);
	return buf_take(&b);
}

static void
put_value(struct buf *out, const char *text)
{
	char shown[SHOWN_MAX];

	if (text[0] == '\0')
		buf_puts(out, "\"\"");
	else
		buf_puts(out, str_vis(shown, sizeof(shown), text,
		    strlen(text)));
}

/* "model tale: " before the first key of it, "limits." before each of those. */
static void
put_subject(struct buf *out, const struct conf_key *k, const char *name,
    bool is_first)
{
	if (k->kind == CONF_ONE)
		buf_printf(out, "%s%s.", out->len > 0 ? "; " : "",
		    k->section);
	else if (is_first)
		buf_printf(out, "%s%s %s: ", out->len > 0 ? "; " : "",
		    k->section, name);
	else
		buf_puts(out, ", ");
}

/* The keys of one section of the file, or of all that are there once. */
static void
diff_keys(const void *old, const void *next, enum conf_section_kind kind,
    const char *name, struct buf *out)
{
	bool is_first = true;

	for (size_t i = 0; i < conf_n_keys; i++) {
		const struct conf_key *k = &conf_keys[i];
		char *was, *is;

		if (k->kind != kind)
			continue;
		was = text_of(old, k);
		is = text_of(next, k);
		if (strcmp(was, is) != 0) {
			put_subject(out, k, name, is_first);
			is_first = false;
			buf_puts(out, k->key);
			if (kind == CONF_TENANT && strcmp(k->key, "key") == 0) {
				buf_puts(out, " changed");
			} else {
				buf_puts(out, " ");
				put_value(out, was);
				buf_puts(out, " to ");
				put_value(out, is);
			}
		}
		free(was);
		free(is);
	}
}

static void
put_word(struct buf *out, const char *section, const char *name,
    const char *word)
{
	buf_printf(out, "%s%s %s %s", out->len > 0 ? "; " : "", section, name,
	    word);
}

static const struct conf_tenant *
find_tenant(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_tenants; i++)
		if (strcmp(c->tenants[i].name, name) == 0)
			return &c->tenants[i];
	return NULL;
}

static void
diff_models(const struct conf *old, const struct conf *next, struct buf *out)
{
	for (size_t i = 0; i < old->n_models; i++)
		if (conf_find_model(next, old->models[i].name) == NULL)
			put_word(out, "model", old->models[i].name, "removed");
	for (size_t i = 0; i < next->n_models; i++) {
		const struct conf_model *is = &next->models[i];
		const struct conf_model *was = conf_find_model(old, is->name);

		if (was == NULL)
			put_word(out, "model", is->name, "added");
		else
			diff_keys(was, is, CONF_MODEL, is->name, out);
	}
}

static void
diff_tenants(const struct conf *old, const struct conf *next, struct buf *out)
{
	for (size_t i = 0; i < old->n_tenants; i++)
		if (find_tenant(next, old->tenants[i].name) == NULL)
			put_word(out, "tenant", old->tenants[i].name,
			    "removed");
	for (size_t i = 0; i < next->n_tenants; i++) {
		const struct conf_tenant *is = &next->tenants[i];
		const struct conf_tenant *was = find_tenant(old, is->name);

		if (was == NULL)
			put_word(out, "tenant", is->name, "added");
		else
			diff_keys(was, is, CONF_TENANT, is->name, out);
	}
}

void
conf_diff(const struct conf *old, const struct conf *next, struct buf *out)
{
	diff_keys(old, next, CONF_ONE, "", out);
	diff_models(old, next, out);
	diff_tenants(old, next, out);
}

void
conf_model_merge(struct conf_model *mine, const struct conf_model *old,
    const struct conf_model *next)
{
	for (size_t i = 0; i < conf_n_keys; i++) {
		const struct conf_key *k = &conf_keys[i];
		char *was, *is;
		struct cause why;

		if (k->kind != CONF_MODEL)
			continue;
		was = text_of(old, k);
		is = text_of(next, k);
		if (strcmp(was, is) != 0 && conf_set(mine, k, is, &why) != 0)
			fatalx("a value of our own: %s", why.text);
		free(was);
		free(is);
	}
}
