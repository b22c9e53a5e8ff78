/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/news.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gate/show_json.h"

#define LINE_BYTES_MAX	((size_t)1 << 16)

void
news_add(struct news *n, const struct msg_event *m)
{
	char **at = &n->line[n->n++ % NEWS_MAX];
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
	free(*at);
	*at = buf_take(&line);
}

void
news_fini(struct news *n)
{
	for (size_t i = 0; i < NEWS_MAX; i++)
		free(n->line[i]);
	*n = (struct news){ 0 };
}

void
news_put(const struct news *n, uint64_t from, struct buf *out)
{
	if (n->n > NEWS_MAX)
		from = MEM_MAX(from, n->n - NEWS_MAX);
	for (; from < n->n; from++)
		buf_puts(out, n->line[from % NEWS_MAX]);
}
