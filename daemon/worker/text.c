/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "worker/text.h"

#include <stdlib.h>

#include "base/mem.h"
#include "worker/run.h"

static int
check(const struct loaded *l, struct cause *cause)
{
	if (!load_is_ready(l))
		return cause_set(cause, BM_ENOMODEL, "no model is loaded");
	if (load_tokenizer(l) == NULL)
		return cause_set(cause, BM_EUNSUP,
		    "the model has no tokenizer that is supported");
	return 0;
}

static void
send_text(struct chan *c, uint32_t seq, uint64_t id, int code,
    const struct cause *cause, struct buf *text)
{
	struct msg_text m = { { (char *)text->data, text->len } };

	if (code == 0 && text->failed)
		code = BM_ELIMIT;
	if (code == 0)
		code = chan_send(c, MSG_TEXT, seq, id, &m);
	if (code != 0)
		chan_send_result(c, seq, id, code,
		    cause->text[0] != '\0' ? cause->text : NULL);
	buf_fini(text);
}

void
text_tokenize(struct chan *c, uint32_t seq, uint64_t id,
    const struct loaded *l, const struct msg_tokenize *m)
{
	struct token_list list = { 0 };
	struct cause cause = { 0 };
	struct msg_tokens answer;
	int r = check(l, &cause);

	if (r == 0)
		r = tokenizer_encode(load_tokenizer(l), m->text,
		    m->add_special, m->parse_special, &list, &cause);
	answer.tokens = (struct words){ list.ids, list.n };
	if (r == 0)
		r = chan_send(c, MSG_TOKENS, seq, id, &answer);
	if (r != 0)
		chan_send_result(c, seq, id, r,
		    cause.text[0] != '\0' ? cause.text : NULL);
	token_list_free(&list);
}

/* The ids of a message; every one names a token. */
static int
read_tokens(const struct tokenizer *t, struct words ids, uint32_t **out,
    struct cause *cause)
{
	uint32_t *list = try_calloc(ids.n + 1, sizeof(*list));

	if (list == NULL)
		return cause_set(cause, BM_ENOMEM, "too many tokens");
	for (size_t i = 0; i < ids.n; i++) {
		list[i] = words_at(ids, i);
		if (list[i] < tokenizer_n_vocab(t))
			continue;
		cause_set(cause, BM_EBADREQ,
		    "token %u is beyond the vocabulary of %u", list[i],
		    tokenizer_n_vocab(t));
		free(list);
		return BM_EBADREQ;
	}
	*out = list;
	return 0;
}

void
text_detokenize(struct chan *c, uint32_t seq, uint64_t id,
    const struct loaded *l, const struct msg_detokenize *m)
{
	const struct tokenizer *t = load_tokenizer(l);
	struct cause cause = { 0 };
	uint32_t *ids = NULL;
	struct buf text;
	int r = check(l, &cause);

	buf_init(&text, FRAME_BODY_MAX - 4096);
	if (r == 0)
		r = read_tokens(t, m->tokens, &ids, &cause);
	if (r == 0 && !m->pieces)
		r = tokenizer_decode(t, ids, m->tokens.n, m->special, &text,
		    &cause);
	for (size_t i = 0; r == 0 && m->pieces && i < m->tokens.n; i++) {
		struct slice piece = tokenizer_piece(t, ids[i], m->special);

		buf_put(&text, piece.p, piece.n);
	}
	free(ids);
	send_text(c, seq, id, r, &cause, &text);
}

void
text_render(struct chan *c, uint32_t seq, uint64_t id,
    const struct loaded *l, const struct msg_render *m)
{
	struct cause cause = { 0 };
	struct buf text;
	int r = 0;

	buf_init(&text, FRAME_BODY_MAX - 4096);
	if (!load_is_ready(l))
		r = cause_set(&cause, BM_ENOMODEL, "no model is loaded");
	else
		r = run_render(l->chat, m->messages,
		    m->add_generation_prompt, &text, &cause);
	send_text(c, seq, id, r, &cause, &text);
}
