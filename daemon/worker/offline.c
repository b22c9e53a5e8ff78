/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "worker/offline.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Values in one ROWS: 4 MiB. */
#define ROWS_VALUES	((size_t)1 << 20)
/* How long the console may take to read what is queued. */
#define READ_TIMEOUT_MS	60000
#define QUEUE_MAX	((size_t)16 << 20)

/* Wait until not too much is queued. */
static int
throttle(struct chan *c)
{
	return chan_backlog(c) > QUEUE_MAX ?
	    chan_flush(c, READ_TIMEOUT_MS) : 0;
}

/* ---- logits ---- */

/* One forward pass over a token list, with a cache of its own. */
struct pass {
	struct chan	*c;
	uint32_t	 seq_no;
	uint64_t	 id;
	struct loaded	*l;
	struct kv_pool	*kv;
	struct model_run *run;
	struct kv_seq	 seq;
	struct batch_row *rows;
	size_t		 n;
	size_t		 chunk;
	float		*values;	/* of a chunk, or pooled ones */
	double		*sums;
	size_t		 n_columns;
};

static int
send_rows(struct pass *p, size_t first, size_t n_rows, const float *values)
{
	size_t at_once = MEM_MAX(ROWS_VALUES / p->n_columns, (size_t)1);
	int r = 0;

	for (size_t i = 0; i < n_rows && r == 0; i += at_once) {
		size_t n = MEM_MIN(at_once, n_rows - i);
		struct msg_rows m = { .first = (uint32_t)(first + i),
		    .n_rows = (uint32_t)n,
		    .n_columns = (uint32_t)p->n_columns,
		    .values = { values + i * p->n_columns,
		    n * p->n_columns } };

		r = chan_send(p->c, MSG_ROWS, p->seq_no, p->id, &m);
		if (r == 0)
			r = throttle(p->c);
	}
	return r;
}

static int
send_all_logits(struct pass *p)
{
	int r = 0;

	for (size_t i = 0; i < p->n && r == 0; i += p->chunk) {
		struct batch b = { p->rows + i,
		    MEM_MIN(p->chunk, p->n - i) };

		model_forward(p->run, &b, p->values, NULL);
		r = send_rows(p, i, b.n, p->values);
	}
	return r;
}

static void
add_row(struct pass *p, size_t at, const float *hidden, uint32_t pooling)
{
	bool takes = pooling == POOL_MEAN ||
	    (pooling == POOL_CLS && at == 0) ||
	    (pooling == POOL_LAST && at + 1 == p->n);

	for (size_t i = 0; takes && i < p->n_columns; i++)
		p->sums[i] += (double)hidden[i];
}

static int
send_pooled(struct pass *p, uint32_t pooling)
{
	double scale = pooling == POOL_MEAN ? 1.0 / (double)p->n : 1;

	for (size_t i = 0; i < p->n; i += p->chunk) {
		struct batch b = { p->rows + i,
		    MEM_MIN(p->chunk, p->n - i) };

		model_forward(p->run, &b, NULL, p->values);
		for (size_t j = 0; j < b.n; j++)
			add_row(p, i + j, p->values + j * p->n_columns,
			    pooling);
	}
	for (size_t i = 0; i < p->n_columns; i++)
		p->values[i] = (float)(p->sums[i] * scale);
	return send_rows(p, 0, 1, p->values);
}

static int
take_rows(struct pass *p, struct words tokens, struct cause *cause)
{
	uint32_t n_vocab = model_desc(p->l->model)->n_vocab;

	p->rows = try_calloc(p->n, sizeof(*p->rows));
	if (p->rows == NULL)
		return cause_set(cause, BM_ENOMEM, "too many tokens");
	for (size_t i = 0; i < p->n; i++) {
		uint32_t token = words_at(tokens, i);

		if (token >= n_vocab)
			return cause_set(cause, BM_EBADREQ,
			    "token %u is beyond the vocabulary of %u", token,
			    n_vocab);
		p->rows[i] = (struct batch_row){ token, (uint32_t)i, &p->seq,
		    true };
	}
	return 0;
}

static int
prepare(struct pass *p, struct words tokens, struct cause *cause)
{
	int r;

	if ((r = take_rows(p, tokens, cause)) != 0 ||
	    (r = kv_pool_new(kv_pool_shape(p->l->kv), p->n / KV_PAGE + 1,
	    &p->kv, cause)) != 0 ||
	    (r = model_run_new(p->l->model, p->l->pool, p->kv, p->chunk,
	    &p->run, cause)) != 0)
		return r;
	p->values = try_calloc(p->chunk * p->n_columns, sizeof(*p->values));
	p->sums = try_calloc(p->n_columns, sizeof(*p->sums));
	if (p->values == NULL || p->sums == NULL ||
	    kv_seq_reserve(p->kv, &p->seq, (uint32_t)p->n) != 0)
		return cause_set(cause, BM_ENOMEM,
		    "no memory for %zu rows of %zu values", p->chunk,
		    p->n_columns);
	return 0;
}

static void
pass_fini(struct pass *p)
{
	if (p->kv != NULL)
		kv_seq_clear(p->kv, &p->seq);
	model_run_free(&p->run);
	kv_pool_free(&p->kv);
	free(p->rows);
	free(p->values);
	free(p->sums);
}

/* The pooling to use: the file's, or the last token's, when it is open. */
static uint32_t
choose_pooling(const struct loaded *l, uint32_t asked)
{
	uint32_t own = model_desc(l->model)->pooling;

	if (asked != POOL_DEFAULT)
		return asked;
	return own >= POOL_MEAN && own <= POOL_LAST ? own : POOL_LAST;
}

static int
compute(struct pass *p, const struct msg_logits *m, struct cause *cause)
{
	const struct model_desc *d;
	uint32_t pooling;
	int r;

	if (p->l->engine == NULL)
		return cause_set(cause, BM_ENOMODEL, "no model is loaded");
	if (m->tokens.n == 0)
		return cause_set(cause, BM_EBADREQ, "there are no tokens");
	if (m->pooling > POOL_DEFAULT)
		return cause_set(cause, BM_EBADREQ, "pooling %u", m->pooling);
	d = model_desc(p->l->model);
	pooling = choose_pooling(p->l, m->pooling);
	p->n = m->tokens.n;
	p->chunk = m->chunk == 0 ? p->n : MEM_MIN((size_t)m->chunk, p->n);
	p->n_columns = pooling == POOL_NONE ? d->n_vocab : d->n_embd;
	if ((r = prepare(p, m->tokens, cause)) != 0)
		return r;
	return pooling == POOL_NONE ? send_all_logits(p) :
	    send_pooled(p, pooling);
}

void
offline_logits(struct chan *c, uint32_t seq, uint64_t id, struct loaded *l,
    const struct msg_logits *m)
{
	struct pass p = { .c = c, .seq_no = seq, .id = id, .l = l };
	struct cause cause = { 0 };
	int r = compute(&p, m, &cause);

	pass_fini(&p);
	chan_send_result(c, seq, id, r,
	    cause.text[0] != '\0' ? cause.text : NULL);
}

/* ---- inspect ---- */

/* The type as people write it: "u32", "str[512]". */
static void
put_type(const struct gguf_kv *kv, struct buf *out)
{
	if (kv->type == GGUF_ARR)
		buf_printf(out, "%s[%llu]", gguf_type_name(kv->element),
		    (unsigned long long)kv->n);
	else
		buf_puts(out, gguf_type_name(kv->type));
}

static void
send_kv(struct chan *c, uint32_t seq, uint64_t id, const struct gguf_kv *kv)
{
	struct msg_inspect_kv m = { .key = kv->key };
	struct buf type, value;

	buf_init(&type, 256);
	buf_init(&value, FRAME_BODY_MAX / 2);
	put_type(kv, &type);
	gguf_kv_text(kv, &value);
	m.type = slice_of(buf_cstr(&type));
	m.value = (struct slice){ (char *)value.data, value.len };
	chan_send(c, MSG_INSPECT_KV, seq, id, &m);
	buf_fini(&type);
	buf_fini(&value);
}

static void
send_tensor(struct chan *c, uint32_t seq, uint64_t id,
    const struct gguf_tensor *t)
{
	struct msg_inspect_tensor m = { .name = t->name,
	    .type = slice_of(t->type->name), .offset = t->offset,
	    .bytes = t->n_bytes, .part = (uint32_t)t->part };
	uint32_t dims[GGUF_MAX_DIMS];

	for (uint32_t i = 0; i < t->n_dims; i++)
		dims[i] = t->dims[i] > UINT32_MAX ? UINT32_MAX :
		    (uint32_t)t->dims[i];
	m.dims = (struct words){ dims, t->n_dims };
	chan_send(c, MSG_INSPECT_TENSOR, seq, id, &m);
}

void
offline_inspect(struct chan *c, uint32_t seq, uint64_t id, struct loaded *l)
{
	const struct gguf *g;
	struct cause cause = { 0 };
	int r = load_open_file(l, &cause);

	g = r == 0 ? load_gguf(l) : NULL;
	for (size_t i = 0; r == 0 && i < gguf_n_kv(g); i++) {
		send_kv(c, seq, id, gguf_kv_at(g, i));
		r = throttle(c);
	}
	for (size_t i = 0; r == 0 && i < gguf_n_tensors(g); i++) {
		send_tensor(c, seq, id, gguf_tensor_at(g, i));
		r = throttle(c);
	}
	chan_send_result(c, seq, id, r,
	    cause.text[0] != '\0' ? cause.text : NULL);
}
