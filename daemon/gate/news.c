/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/news.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gate/show_json.h"

#define LINE_BYTES_MAX	((size_t)1 << 16)
/* Every line begins with {"id":"UUID": no two events have that in common. */
#define ID_BYTES	44

void
news_init(struct news *n)
{
	*n = (struct news){ .next = NEWS_MAX };
}

static char *
line_of(const struct msg_event *m)
{
	json_t *o = json_object();
	struct buf line;

	show_set_slice(o, "id", m->uuid);
	json_object_set_new(o, "at", json_integer(m->at));
	show_set_slice(o, "kind", m->kind);
	show_set_begin(o, "subject", m->subject, NEWS_TEXT_BYTES);
	show_set_begin(o, "text", m->text, NEWS_TEXT_BYTES);
	json_object_set_new(o, "uid", m->uid >= 0 ? json_integer(m->uid) :
	    json_null());
	buf_init(&line, LINE_BYTES_MAX);
	show_put(&line, o);
	return buf_take(&line);
}

static void
put(char **at, char *line)
{
	free(*at);
	*at = line;
}

void
news_add(struct news *n, const struct msg_event *m)
{
	put(&n->line[n->next++ % NEWS_MAX], line_of(m));
}

void
news_fini(struct news *n)
{
	for (size_t i = 0; i < NEWS_MAX; i++) {
		free(n->line[i]);
		free(n->old[i]);
	}
	*n = (struct news){ 0 };
}

void
news_put(const struct news *n, uint64_t from, struct buf *out)
{
	for (from = MEM_MAX(from, n->next - NEWS_MAX); from < n->next; from++)
		if (n->line[from % NEWS_MAX] != NULL)
			buf_puts(out, n->line[from % NEWS_MAX]);
}

/* ---- from before ---- */

static struct slice
text_of(const json_t *o, const char *key)
{
	return slice_of(json_string_value(json_object_get(o, key)));
}

void
news_recall(struct news *n, struct slice json)
{
	json_t *o = json_loadb(json.p, json.n, 0, NULL);
	const json_t *uid = json_object_get(o, "uid");
	struct msg_event m = { .uuid = text_of(o, "id"),
	    .at = json_integer_value(json_object_get(o, "at")),
	    .kind = text_of(o, "kind"), .subject = text_of(o, "subject"),
	    .text = text_of(o, "text"), .uid = json_is_integer(uid) ?
	    json_integer_value(uid) : -1 };

	if (m.uuid.n > 0)
		put(&n->old[n->n_old++ % NEWS_MAX], line_of(&m));
	json_decref(o);
}

static bool
is_known(const struct news *n, const char *line)
{
	for (uint64_t i = NEWS_MAX; i < n->next; i++) {
		const char *known = n->line[i % NEWS_MAX];

		if (strncmp(known, line, ID_BYTES) == 0)
			return true;
	}
	return false;
}

void
news_recalled(struct news *n)
{
	uint64_t number = NEWS_MAX;
	size_t n_old = MEM_MIN(n->n_old, (size_t)NEWS_MAX);

	/* Newest first, as far as there is room. */
	for (size_t i = 1; i <= n_old; i++) {
		char **old = &n->old[(n->n_old - i) % NEWS_MAX];

		if (number > n->next - NEWS_MAX && !is_known(n, *old)) {
			n->line[--number % NEWS_MAX] = *old;
			*old = NULL;
		}
		put(old, NULL);
	}
	n->n_old = 0;
}
