/* SPDX-License-Identifier: MIT */
/*
 * OpenAI's answers as text.  Written by hand rather than through a JSON tree,
 * because a stream writes one such object for every token.
 */
#include "config.h"

#include <math.h>

#include "gate/openai_impl.h"
#include "wire/msg.h"

/* ---- logprobs ---- */

/* JSON has no infinity; a banned token is as unlikely as can be. */
static void
put_logprob(struct buf *out, float v)
{
	buf_printf(out, "%.7g", isfinite(v) ? (double)v : -9999.0);
}

static void
put_bytes(struct buf *out, struct slice s)
{
	buf_puts(out, "[");
	for (size_t i = 0; i < s.n; i++)
		buf_printf(out, "%s%u", i > 0 ? "," : "",
		    (unsigned)(unsigned char)s.p[i]);
	buf_puts(out, "]");
}

/* "token":..,"logprob":..,"bytes":[..] */
static void
put_chat_item(struct buf *out, const struct logprob_item *i)
{
	buf_puts(out, "{\"token\":");
	buf_put_json(out, i->piece);
	buf_puts(out, ",\"logprob\":");
	put_logprob(out, i->logprob);
	buf_puts(out, ",\"bytes\":");
	put_bytes(out, i->piece);
}

static void
put_chat_logprobs(struct buf *out, struct slice logprobs)
{
	struct cur c = cur_of(logprobs.p, logprobs.n);
	struct logprob_item item, top;
	const char *comma = "";

	buf_puts(out, "{\"content\":[");
	for (; logprob_next(&c, &item); comma = ",") {
		buf_puts(out, comma);
		put_chat_item(out, &item);
		buf_puts(out, ",\"top_logprobs\":[");
		for (unsigned i = 0; i < item.n_top; i++) {
			if (!logprob_next(&c, &top))
				break;
			buf_puts(out, i > 0 ? "," : "");
			put_chat_item(out, &top);
			buf_puts(out, "}");
		}
		buf_puts(out, "]}");
	}
	buf_puts(out, "],\"refusal\":null}");
}

static size_t
count_characters(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

enum column { COLUMN_TOKEN, COLUMN_LOGPROB, COLUMN_TOP, COLUMN_OFFSET };

/* {"piece":logprob,...} of the n_top items that follow in c. */
static void
put_top(struct buf *out, struct cur *c, unsigned n_top)
{
	struct logprob_item top;

	buf_puts(out, "{");
	for (unsigned i = 0; i < n_top && logprob_next(c, &top); i++) {
		buf_puts(out, i > 0 ? "," : "");
		buf_put_json(out, top.piece);
		buf_puts(out, ":");
		put_logprob(out, top.logprob);
	}
	buf_puts(out, "}");
}

/* One of the parallel arrays of the older form. */
static void
put_column(struct buf *out, struct slice logprobs, enum column which,
    size_t *offset)
{
	struct cur c = cur_of(logprobs.p, logprobs.n);
	struct logprob_item item, top;
	const char *comma = "";

	buf_puts(out, "[");
	for (; logprob_next(&c, &item); comma = ",") {
		buf_puts(out, comma);
		if (which == COLUMN_TOKEN)
			buf_put_json(out, item.piece);
		else if (which == COLUMN_LOGPROB)
			put_logprob(out, item.logprob);
		else if (which == COLUMN_OFFSET)
			buf_printf(out, "%zu", *offset);
		*offset += count_characters(item.piece);
		if (which == COLUMN_TOP) {
			put_top(out, &c, item.n_top);
			continue;
		}
		for (unsigned i = 0; i < item.n_top; i++)
			if (!logprob_next(&c, &top))
				break;
	}
	buf_puts(out, "]");
}

/* Moves *offset on by the characters of the tokens. */
static void
put_legacy_logprobs(struct buf *out, struct slice logprobs, size_t *offset)
{
	size_t ignored = 0;

	buf_puts(out, "{\"tokens\":");
	put_column(out, logprobs, COLUMN_TOKEN, &ignored);
	buf_puts(out, ",\"token_logprobs\":");
	put_column(out, logprobs, COLUMN_LOGPROB, &ignored);
	buf_puts(out, ",\"top_logprobs\":");
	put_column(out, logprobs, COLUMN_TOP, &ignored);
	buf_puts(out, ",\"text_offset\":");
	put_column(out, logprobs, COLUMN_OFFSET, offset);
	buf_puts(out, "}");
}

static void
put_logprobs(struct buf *out, const struct job *j, struct slice logprobs,
    size_t *offset)
{
	if (!j->has_logprobs)
		buf_puts(out, "null");
	else if (j->is_chat)
		put_chat_logprobs(out, logprobs);
	else
		put_legacy_logprobs(out, logprobs, offset);
}

/* ---- answers ---- */

static void
put_head(struct buf *out, const struct job *j, const char *object)
{
	buf_printf(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,"
	    "\"model\":", j->id, object, (long long)j->created_s);
	buf_put_json(out, slice_of(j->model));
}

static void
put_usage(struct buf *out, const struct job *j)
{
	buf_printf(out, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,"
	    "\"total_tokens\":%llu,\"prompt_tokens_details\":"
	    "{\"cached_tokens\":%llu}}",
	    (unsigned long long)j->prompt_tokens,
	    (unsigned long long)j->completion_tokens,
	    (unsigned long long)(j->prompt_tokens + j->completion_tokens),
	    (unsigned long long)j->cached_tokens);
}

static void
put_finish(struct buf *out, const struct choice *c)
{
	const char *word = finish_name(c->finish);

	buf_printf(out, ",\"finish_reason\":\"%s\"}",
	    word[0] != '\0' ? word : "stop");
}

static struct slice
slice_of_buf(const struct buf *b)
{
	return (struct slice){ .p = b->len > 0 ? (const char *)b->data : "",
	    .n = b->len };
}

void
job_write(struct buf *out, const struct job *j)
{
	put_head(out, j, j->is_chat ? "chat.completion" : "text_completion");
	buf_puts(out, ",\"choices\":[");
	for (size_t i = 0; i < j->n_choices; i++) {
		const struct choice *c = &j->choices[i];
		size_t offset = 0;

		buf_printf(out, "%s{\"index\":%u,%s", i > 0 ? "," : "",
		    c->index, j->is_chat ?
		    "\"message\":{\"role\":\"assistant\",\"content\":" :
		    "\"text\":");
		buf_put_json(out, slice_of_buf(&c->text));
		buf_puts(out, j->is_chat ? ",\"refusal\":null}" : "");
		buf_puts(out, ",\"logprobs\":");
		put_logprobs(out, j, slice_of_buf(&c->logprobs), &offset);
		put_finish(out, c);
	}
	buf_puts(out, "],\"usage\":");
	put_usage(out, j);
	buf_puts(out, "}");
}

/* Event for event the same, and most of one's bytes. */
static struct slice
event_head(const struct job *j, struct choice *c)
{
	if (c->head.len == 0) {
		buf_puts(&c->head, "data: ");
		put_head(&c->head, j, j->is_chat ? "chat.completion.chunk" :
		    "text_completion");
		buf_printf(&c->head, ",\"choices\":[{\"index\":%u,",
		    c->index);
	}
	return slice_of_buf(&c->head);
}

static void
put_delta(struct buf *out, const struct job *j, struct choice *c,
    struct slice text, bool is_last)
{
	if (!j->is_chat) {
		buf_puts(out, "\"text\":");
		buf_put_json(out, text);
		return;
	}
	buf_puts(out, "\"delta\":{");
	if (!c->has_begun)
		buf_puts(out, "\"role\":\"assistant\",\"content\":\"\"");
	else if (!is_last || text.n > 0) {
		buf_puts(out, "\"content\":");
		buf_put_json(out, text);
	}
	buf_puts(out, "}");
}

void
job_write_chunk(struct buf *out, const struct job *j, struct choice *c,
    struct slice text, struct slice logprobs, bool is_last)
{
	struct slice head = event_head(j, c);

	buf_put(out, head.p, head.n);
	put_delta(out, j, c, text, is_last);
	buf_puts(out, ",\"logprobs\":");
	if (logprobs.n > 0)
		put_logprobs(out, j, logprobs, &c->offset);
	else
		buf_puts(out, "null");
	if (is_last)
		put_finish(out, c);
	else
		buf_puts(out, ",\"finish_reason\":null}");
	buf_puts(out, j->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

void
job_write_usage_chunk(struct buf *out, const struct job *j)
{
	buf_puts(out, "data: ");
	put_head(out, j, j->is_chat ? "chat.completion.chunk" :
	    "text_completion");
	buf_puts(out, ",\"choices\":[],\"usage\":");
	put_usage(out, j);
	buf_puts(out, "}\n\n");
}
