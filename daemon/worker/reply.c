/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "worker/reply.h"

#include "base/clock.h"

#define PROBS_MAX ((size_t)1 << 20)

void
reply_started(engine_send_fn send, struct run *r)
{
	struct msg_started m = { .prompt_tokens = (uint32_t)r->n_prompt,
	    .cached_tokens = (uint32_t)r->n_cached };

	r->is_started = true;
	r->started_ns = clock_now_ns();
	send(r->link, MSG_STARTED, r->id, &m);
}

void
reply_refused(engine_send_fn send, void *link, uint64_t id, int code,
    const struct cause *cause)
{
	struct msg_ended m = { .code = code,
	    .text = slice_of(cause->text[0] != '\0' ? cause->text :
	    err_text(code)) };

	send(link, MSG_ENDED, id, &m);
}

void
reply_ended(engine_send_fn send, const struct run *r, int code)
{
	uint64_t now = clock_now_ns();
	uint64_t first = r->first_ns != 0 ? r->first_ns : now;
	struct msg_ended m = { .code = code,
	    .text = slice_of(code == 0 ? "" : code == BM_EBADREQ ?
	    "logit_bias leaves no token to choose" : err_text(code)),
	    .finish = (uint8_t)(code == 0 ? r->finish : FINISH_NONE),
	    .prompt_tokens = (uint32_t)r->n_prompt,
	    .completion_tokens = (uint32_t)run_n_generated(r),
	    .cached_tokens = (uint32_t)r->n_cached,
	    .stop_text = output_stop(&r->output) };

	if (r->is_started) {
		m.prefill_ms = clock_ms_between(r->started_ns, first);
		m.decode_ms = clock_ms_between(first, now);
	}
	send(r->link, MSG_ENDED, r->id, &m);
}

static void
put_logprobs(const struct run *r, const struct run_choice *c, struct buf *out)
{
	const struct tokenizer *t = model_tokenizer(r->env->model);

	for (size_t i = 0; i <= c->n_top; i++) {
		struct logprob_item item = { c->probs[i].token,
		    c->probs[i].logprob, { NULL, 0 },
		    (uint8_t)(i == 0 ? c->n_top : 0) };

		if (t != NULL)
			item.piece = tokenizer_piece(t, item.token, true);
		logprob_put(out, &item);
	}
}

void
reply_text(engine_send_fn send, struct run *r)
{
	struct msg_out m = { .text = { (char *)r->text.data, r->text.len } };

	if (r->text.len > 0)
		send(r->link, MSG_OUT, r->id, &m);
	buf_clear(&r->text);
}

void
reply_out(engine_send_fn send, struct run *r, const struct run_choice *c)
{
	struct msg_out m = { .text = { (char *)r->text.data, r->text.len } };
	uint8_t token[4];
	struct buf probs;

	if (r->ended_by_eog && r->text.len == 0)
		return;
	for (int i = 0; i < 4; i++)
		token[i] = (uint8_t)(c->token >> (8 * i));
	m.tokens = (struct words){ token, 1 };
	buf_init(&probs, PROBS_MAX);
	if (r->n_probs >= 0) {
		put_logprobs(r, c, &probs);
		m.logprobs = (struct slice){ (char *)probs.data, probs.len };
	}
	send(r->link, MSG_OUT, r->id, &m);
	buf_fini(&probs);
	buf_clear(&r->text);
}
