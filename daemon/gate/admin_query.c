/* SPDX-License-Identifier: MIT */
/*
 * What reqlog answers: log, sql, show events.  To follow the log is to ask
 * again and again for what came after the last row.
 */
#include "config.h"

#include "gate/admin.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "gate/admin_impl.h"

#define FOLLOW_MS	300
#define ID_BEFORE_ALL	"00000000-0000-0000-0000-000000000000"

/* Remember the last row's id, so that the next question begins after it. */
static void
note_id(struct admin *a, struct slice json)
{
	json_t *o = json_loadb(json.p, json.n, 0, NULL);
	const char *id = json_string_value(json_object_get(o, "id"));

	if (id != NULL) {
		free(a->last_id);
		a->last_id = xstrdup(id);
	}
	json_decref(o);
}

static void
on_record(void *arg, unsigned type, struct cur body)
{
	struct admin *a = arg;
	struct msg_record m;

	if (type != MSG_RECORD || msg_get_record(body, &m) != 0)
		return;
	a->n_records++;
	if (a->follow != FOLLOW_NO)
		note_id(a, m.json);
	if (a->follow == FOLLOW_ANCHOR)
		return;
	buf_put(&a->out, m.json.p, m.json.n);
	buf_put_u8(&a->out, '\n');
	/* A large answer leaves while it comes; beyond the limit the host
	 * closes the connection. */
	if (a->out.len > (1u << 16) || a->out.failed)
		a->host->wake(a);
}

static void
on_query_end(void *arg, int code, const char *text)
{
	struct admin *a = arg;
	bool goes_on = code == 0;

	a->ticket = 0;
	/* While reqlog restarts, who follows waits. */
	if (a->follow == FOLLOW_NEXT && code == BM_EOVERLOAD)
		goes_on = true;
	if (a->follow == FOLLOW_NO || a->is_eof || !goes_on) {
		admin_finish(a, code, text);
		return;
	}
	a->host->wake(a);
	if (a->follow == FOLLOW_ANCHOR) {
		a->follow = FOLLOW_FIRST;
		a->host->later(a, 1);
		return;
	}
	a->follow = FOLLOW_NEXT;
	/* An answer may be cut; the rest follows at once. */
	a->host->later(a, a->n_records > 0 ? 1 : FOLLOW_MS);
}

static const char *
query_kind(const struct admin *a)
{
	switch (a->cmd->id) {
	case CMD_ID_SQL:
		return "sql";
	case CMD_ID_SHOW_EVENTS:
		return "events";
	default:
		return "log";
	}
}

static void
put_query_words(const struct admin *a, struct buf *list)
{
	if (a->follow == FOLLOW_ANCHOR) {
		strs_put(list, slice_of("--limit"));
		strs_put(list, slice_of("1"));
		return;
	}
	for (size_t i = a->n_cmd; i < a->words.n; i++) {
		const char *word = a->words.w[i];

		if (a->cmd->id == CMD_ID_LOG && strcmp(word, "--follow") == 0)
			continue;
		if (a->follow == FOLLOW_NEXT && strcmp(word, "--limit") == 0)
			i++;	/* bounds the beginning only */
		else
			strs_put(list, slice_of(word));
	}
	if (a->follow == FOLLOW_NEXT) {
		strs_put(list, slice_of("--after"));
		strs_put(list, slice_of(a->last_id != NULL ? a->last_id :
		    ID_BEFORE_ALL));
	}
}

static void
ask_reqlog(struct admin *a)
{
	struct msg_query m = { .kind = slice_of(query_kind(a)) };
	struct buf list;

	a->n_records = 0;
	buf_init(&list, ADMIN_LINE_MAX * 8);
	put_query_words(a, &list);
	m.words = (struct slice){ (const char *)list.data, list.len };
	a->ticket = gate_ask(a->gate, R_REQLOG, MSG_QUERY, &m, on_record,
	    on_query_end, a);
	buf_fini(&list);
}

/*
 * log --follow begins with the id of the newest row of all: where the answer
 * to the filters is empty, the next question still knows where to go on.
 */
void
admin_query(struct admin *a)
{
	for (size_t i = a->n_cmd; i < a->words.n; i++) {
		if (a->cmd->id == CMD_ID_LOG &&
		    strcmp(a->words.w[i], "--follow") == 0)
			a->follow = FOLLOW_ANCHOR;
	}
	ask_reqlog(a);
}

void
admin_query_more(struct admin *a)
{
	if (a->is_eof)
		admin_finish(a, 0, NULL);
	else
		ask_reqlog(a);
}
