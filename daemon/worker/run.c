/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "worker/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define TEXT_MAX	((size_t)64 << 20)
#define MESSAGES_MAX	65536
#define STOPS_MAX	256

/* ---- what runs share ---- */

void
run_env_init(struct run_env *env, const struct model *m,
    const struct chat_form *chat, uint32_t n_ctx)
{
	const struct tokenizer *t = model_tokenizer(m);

	*env = (struct run_env){ .model = m, .chat = chat, .n_ctx = n_ctx };
	if (t == NULL)
		return;
	for (uint32_t i = 0; i < tokenizer_n_vocab(t); i++) {
		if (!tokenizer_is_eog(t, i))
			continue;
		env->eog = xreallocarray(env->eog, env->n_eog + 1,
		    sizeof(*env->eog));
		env->eog[env->n_eog++] = i;
	}
}

void
run_env_fini(struct run_env *env)
{
	free(env->eog);
	memset(env, 0, sizeof(*env));
}

/* ---- the prompt ---- */

int
run_render(const struct chat_form *chat, struct slice messages,
    bool add_generation_prompt, struct buf *out, struct cause *cause)
{
	struct chat_message *list = NULL;
	struct cur c = strs_of(messages);
	struct slice role, content;
	size_t n = 0;
	int r;

	while (strs_next(&c, &role)) {
		if (!strs_next(&c, &content) || n == MESSAGES_MAX) {
			free(list);
			return cause_set(cause, BM_EBADREQ,
			    "the messages are no list of role and content");
		}
		if ((n & (n - 1)) == 0)
			list = xreallocarray(list, n == 0 ? 1 : n * 2,
			    sizeof(*list));
		list[n++] = (struct chat_message){ role, content };
	}
	r = chat_render(chat, list, n, add_generation_prompt, out, cause);
	free(list);
	if (r == 0 && out->failed)
		r = cause_set(cause, BM_ELIMIT, "the prompt is too large");
	return r;
}

/* Room for one more token and guesses behind it. */
static void
add_token(struct run *r, uint32_t token)
{
	if (r->n_tokens + 1 + PLAN_DRAFT_MAX > r->cap) {
		r->cap = r->cap == 0 ? 64 : r->cap * 2;
		r->tokens = xreallocarray(r->tokens, r->cap,
		    sizeof(*r->tokens));
	}
	r->tokens[r->n_tokens++] = token;
}

static int
check_tokens(const struct run *r, struct words ids, struct cause *cause)
{
	uint32_t n_vocab = model_desc(r->env->model)->n_vocab;

	for (size_t i = 0; i < ids.n; i++)
		if (words_at(ids, i) >= n_vocab)
			return cause_set(cause, BM_EBADREQ,
			    "token %u is beyond the vocabulary of %u",
			    words_at(ids, i), n_vocab);
	return 0;
}

static int
take_tokens(struct run *r, struct words ids, struct cause *cause)
{
	int rc = check_tokens(r, ids, cause);

	for (size_t i = 0; i < ids.n && rc == 0; i++)
		add_token(r, words_at(ids, i));
	return rc;
}

static int
take_text(struct run *r, struct slice text, bool add_special,
    bool parse_special, struct cause *cause)
{
	const struct tokenizer *t = model_tokenizer(r->env->model);
	struct token_list list = { 0 };
	int rc;

	if (t == NULL)
		return cause_set(cause, BM_EUNSUP,
		    "the model has no tokenizer that is supported");
	rc = tokenizer_encode(t, text, add_special, parse_special, &list,
	    cause);
	for (size_t i = 0; rc == 0 && i < list.n; i++)
		add_token(r, list.ids[i]);
	token_list_free(&list);
	return rc;
}

static int
take_chat(struct run *r, const struct msg_run *m, struct cause *cause)
{
	struct buf prompt;
	int rc;

	buf_init(&prompt, TEXT_MAX);
	rc = run_render(r->env->chat, m->messages, true, &prompt, cause);
	if (rc == 0)
		rc = take_text(r, (struct slice){ (char *)prompt.data,
		    prompt.len }, true, true, cause);
	buf_fini(&prompt);
	return rc;
}

/* The prompt as text, in front of what will be generated. */
static int
echo_prompt(struct run *r, const struct msg_run *m, struct cause *cause)
{
	const struct tokenizer *t = model_tokenizer(r->env->model);

	if (m->input == RUN_TEXT) {
		buf_put(&r->text, m->text.p, m->text.n);
		return 0;
	}
	if (t == NULL)
		return 0;
	return tokenizer_decode(t, r->tokens, r->n_prompt, false, &r->text,
	    cause);
}

static int
take_prompt(struct run *r, const struct msg_run *m, struct cause *cause)
{
	const struct tokenizer *t = model_tokenizer(r->env->model);
	int rc;

	switch (m->input) {
	case RUN_TEXT:
		rc = take_text(r, m->text, m->add_special, m->parse_special,
		    cause);
		break;
	case RUN_TOKENS:
		rc = take_tokens(r, m->tokens, cause);
		break;
	case RUN_CHAT:
		rc = take_chat(r, m, cause);
		break;
	default:
		rc = cause_set(cause, BM_EUNSUP,
		    "this model does not give embeddings");
	}
	if (rc != 0)
		return rc;
	if (r->n_tokens == 0 && t != NULL &&
	    tokenizer_bos(t) != TOKEN_NONE)
		add_token(r, tokenizer_bos(t));
	if (r->n_tokens == 0)
		return cause_set(cause, BM_EBADREQ, "the prompt is empty");
	if (r->n_tokens >= r->env->n_ctx)
		return cause_set(cause, BM_ETOOLONG,
		    "the prompt has %zu tokens, the context takes %u at most",
		    r->n_tokens, r->env->n_ctx - 1);
	r->n_prompt = r->n_tokens;
	return m->echo && m->resume.n == 0 ? echo_prompt(r, m, cause) : 0;
}

/* ---- parameters ---- */

static int
take_bias(struct run *r, const struct msg_run *m, struct cause *cause)
{
	struct sample_params *p = &r->sample;
	uint32_t n_vocab = model_desc(r->env->model)->n_vocab;
	size_t n_eog = r->ignore_eos ? r->env->n_eog : 0;

	if (m->bias_tokens.n != m->bias_values.n)
		return cause_set(cause, BM_EBADREQ,
		    "logit_bias has %zu tokens and %zu values",
		    m->bias_tokens.n, m->bias_values.n);
	p->bias_tokens = xreallocarray(NULL, m->bias_tokens.n + n_eog + 1,
	    sizeof(*p->bias_tokens));
	p->bias_values = xreallocarray(NULL, m->bias_tokens.n + n_eog + 1,
	    sizeof(*p->bias_values));
	for (size_t i = 0; i < m->bias_tokens.n; i++) {
		uint32_t token = words_at(m->bias_tokens, i);
		uint32_t bits = words_at(m->bias_values, i);
		float value;

		memcpy(&value, &bits, sizeof(value));
		if (token >= n_vocab)
			return cause_set(cause, BM_EBADREQ, "logit_bias: token "
			    "%u is beyond the vocabulary of %zu", token,
			    (size_t)n_vocab);
		if (!(value < INFINITY))
			return cause_set(cause, BM_EBADREQ, "logit_bias: the "
			    "value of token %u is %g", token, (double)value);
		p->bias_tokens[p->n_bias] = token;
		p->bias_values[p->n_bias++] = value;
	}
	for (size_t i = 0; i < n_eog; i++) {
		p->bias_tokens[p->n_bias] = r->env->eog[i];
		p->bias_values[p->n_bias++] = -INFINITY;
	}
	return 0;
}

static void
alloc_probs(struct run *r)
{
	size_t n = (size_t)r->n_probs + 1;

	if (r->n_probs < 0)
		return;
	r->probs = xcalloc(n * N_ELEMENTS(r->choices), sizeof(*r->probs));
	for (size_t i = 0; i < N_ELEMENTS(r->choices); i++)
		r->choices[i].probs = r->probs + i * n;
}

static int
take_params(struct run *r, const struct msg_run *m, struct cause *cause)
{
	struct sample_params *p = &r->sample;
	struct cur stops = strs_of(m->stop);
	struct slice stop;

	if (isnan(m->temperature) || isnan(m->top_p) || isnan(m->min_p) ||
	    !isfinite(m->repeat_penalty) || !isfinite(m->presence_penalty) ||
	    !isfinite(m->frequency_penalty))
		return cause_set(cause, BM_EBADREQ,
		    "a sampling parameter is not a number");
	p->temperature = m->temperature;
	p->top_k = m->top_k;
	p->top_p = m->top_p;
	p->min_p = m->min_p;
	p->repeat_penalty = m->repeat_penalty;
	p->repeat_last_n = m->repeat_last_n;
	p->presence_penalty = m->presence_penalty;
	p->frequency_penalty = m->frequency_penalty;
	p->seed = m->seed;
	r->max_tokens = m->max_tokens < 0 ? -1 : m->max_tokens;
	r->ignore_eos = m->ignore_eos;
	r->n_probs = m->n_probs < 0 ? -1 :
	    MEM_MIN(m->n_probs, RUN_MAX_PROBS);
	alloc_probs(r);
	while (strs_next(&stops, &stop) && r->output.n_stops < STOPS_MAX)
		output_add_stop(&r->output, stop);
	return take_bias(r, m, cause);
}

/* ---- tokens ---- */

static bool
is_eog(const struct run *r, uint32_t token)
{
	const struct tokenizer *t = model_tokenizer(r->env->model);

	return t != NULL && !r->ignore_eos && tokenizer_is_eog(t, token);
}

size_t
run_n_missing(const struct run *r)
{
	return r->n_tokens - r->kv.n_tokens;
}

size_t
run_n_generated(const struct run *r)
{
	return r->n_tokens - r->n_prompt;
}

/* Is there no room for another token? */
static bool
is_full(const struct run *r)
{
	return (r->max_tokens >= 0 &&
	    run_n_generated(r) >= (uint64_t)r->max_tokens) ||
	    r->n_tokens >= r->env->n_ctx;
}

size_t
run_draft_most(const struct run *r)
{
	/* The last token that there is room for is not worth a guess. */
	size_t n = r->env->n_ctx - r->n_tokens - 1;

	if (r->max_tokens >= 0)
		n = MEM_MIN(n, (size_t)r->max_tokens - run_n_generated(r) - 1);
	return MEM_MIN(n, (size_t)PLAN_DRAFT_MAX);
}

void
run_draft(struct run *r, size_t n_draft)
{
	speculate_draft(&r->speculate, r->tokens, r->n_tokens, n_draft);
	r->n_draft = n_draft;
}

void
run_accept(struct run *r, uint32_t token)
{
	const struct tokenizer *t = model_tokenizer(r->env->model);

	if (is_eog(r, token)) {
		output_flush(&r->output, &r->text);
		r->ended_by_eog = true;
		r->finish = FINISH_STOP;
		return;
	}
	add_token(r, token);
	if (t != NULL && output_add(&r->output,
	    tokenizer_piece(t, token, false), &r->text)) {
		r->finish = FINISH_STOP;
	} else if (is_full(r)) {
		output_flush(&r->output, &r->text);
		r->finish = FINISH_LENGTH;
	}
}

/* What another worker generated: the client has seen its text. */
static int
replay(struct run *r, struct words resume, struct cause *cause)
{
	int rc = check_tokens(r, resume, cause);

	for (size_t i = 0; i < resume.n && rc == 0 &&
	    r->finish == FINISH_NONE; i++) {
		run_accept(r, words_at(resume, i));
		buf_clear(&r->text);
	}
	return rc;
}

/* For tests of crashes: a prompt with the text of that variable ends the
 * worker that computes it. */
static bool
is_poison(const struct msg_run *m)
{
	const char *poison = getenv("BIGMODEL_TEST_POISON");

	return poison != NULL && *poison != '\0' &&
	    (memmem(m->text.p, m->text.n, poison, strlen(poison)) != NULL ||
	    memmem(m->messages.p, m->messages.n, poison,
	    strlen(poison)) != NULL);
}

int
run_new(const struct run_env *env, const struct msg_run *m, struct run **out,
    struct cause *cause)
{
	struct run *r = xcalloc(1, sizeof(*r));
	int rc;

	r->env = env;
	r->is_poison = is_poison(m);
	output_init(&r->output);
	speculate_init(&r->speculate);
	buf_init(&r->text, TEXT_MAX);
	if ((rc = take_params(r, m, cause)) != 0 ||
	    (rc = take_prompt(r, m, cause)) != 0 ||
	    (rc = replay(r, m->resume, cause)) != 0) {
		run_free(&r);
		return rc;
	}
	if (r->finish == FINISH_NONE && is_full(r))
		r->finish = FINISH_LENGTH;
	*out = r;
	return 0;
}

void
run_free(struct run **rp)
{
	struct run *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	output_fini(&r->output);
	speculate_fini(&r->speculate);
	buf_fini(&r->text);
	free(r->sample.bias_tokens);
	free(r->sample.bias_values);
	free(r->probs);
	free(r->tokens);
	free(r);
}
