/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_MODEL_H
#define BM_MODEL_MODEL_H

/*
 * A model: a checked file, its tokenizer, and its forward pass over a batch of
 * rows.  A row is (token, position, sequence); rows of several sequences go
 * through the weights together.  Keys and values live in pages of 32 positions
 * (model/kv.h).  What a row computes never depends on the other rows, on how a
 * prompt was cut into batches, or on the number of threads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kernels/pool.h"
#include "model/gguf.h"
#include "model/kv.h"
#include "model/tokenizer.h"
#include "model/weights_plan.h"

struct model;

struct model_desc {
	char		 architecture[32];
	char		 type[16];	/* of most weights: "Q4_K" */
	uint64_t	 n_params;
	uint64_t	 file_bytes;
	uint64_t	 weight_bytes;	/* of all tensors */
	uint64_t	 shared_bytes;	/* of these, what other processes with
					 * the same model use too */
	uint32_t	 n_ctx_train;
	uint32_t	 n_vocab;
	uint32_t	 n_embd;
	uint32_t	 n_layer;
	uint32_t	 n_head;
	uint32_t	 n_head_kv;
	uint32_t	 head_dim;
	uint32_t	 n_ff;
	uint32_t	 n_expert;
	uint32_t	 n_expert_used;
	uint32_t	 pooling;	/* <arch>.pooling_type: 0 none, 1 mean,
					 * 2 first token, 3 last token */
	float		 bits_per_weight;
};

/* What a token needs of the weights. */
struct model_need {
	double	 layer_madds;		/* multiply-adds of matrices */
	double	 output_madds;
	double	 bytes;			/* a step of one row reads these */
};

struct batch_row {
	uint32_t	 token;
	uint32_t	 pos;		/* == what the sequence holds already,
					 * counting earlier rows of the batch */
	struct kv_seq	*seq;
	bool		 wants_output;	/* logits (or hidden state) of it */
};

struct batch {
	struct batch_row *rows;
	size_t		 n;
};

/* Reads and checks metadata, tokenizer and tensor shapes, and packs the weights
 * or finds them packed; kern_init must have been called.  Takes *g on success
 * only. */
int	 model_open_as(struct gguf **g, const struct weights_plan *plan,
	    struct model **out, struct cause *cause) BM_MUST_CHECK;
/* The same by the caller alone, into memory of its own. */
int	 model_open(struct gguf **g, struct model **out, struct cause *cause)
	    BM_MUST_CHECK;
void	 model_free(struct model **m);

const struct model_desc	*model_desc(const struct model *m);
struct model_need		 model_need(const struct model *m);
/* What its KV cache looks like. */
struct kv_shape		 model_kv_shape(const struct model *m,
			    enum attend_form form);
const struct gguf	*model_gguf(const struct model *m);
/* NULL when the file has none, or one of a kind we can't do. */
const struct tokenizer	*model_tokenizer(const struct model *m);

/* Scratch of one caller for batches of up to max_rows rows. */
struct model_run;
int	 model_run_new(const struct model *m, struct pool *pool,
	    struct kv_pool *kv, size_t max_rows, struct model_run **out,
	    struct cause *cause) BM_MUST_CHECK;
void	 model_run_free(struct model_run **r);
uint64_t model_run_bytes(const struct model_run *r);

/*
 * One step.  The sequences must have room (kv_seq_reserve).  logits: n_vocab
 * floats for each row that wants_output, in row order; may be NULL.  hidden:
 * n_embd floats likewise, the normalised last hidden state; may be NULL.
 * Afterwards each sequence holds its rows.  Tokens must be below n_vocab.
 */
void	 model_forward(struct model_run *r, const struct batch *b,
	    float *logits, float *hidden);

/*
 * The same with rows that somebody waits for: the first n_urgent of the batch
 * are computed to the end.  While there are others beside them, is_late() is
 * asked after each layer but the last.  Once it is true, the others are put
 * off: they go on before the next layer behind the rows of the next batch,
 * which must all be urgent ones.  Not before they come to the end do their
 * sequences hold them and are there logits of them; until then nobody else
 * may change what the sequences hold, or model_drop comes first.
 */
struct model_haste {
	size_t		 n_urgent;
	bool		(*is_late)(void *arg, uint32_t n_layers_done);
	void		*arg;
};

void	 model_forward_urgent(struct model_run *r, const struct batch *b,
	    const struct model_haste *haste, float *logits);
/* The layer before which rows that were put off go on; 0: there are none. */
uint32_t model_put_off(const struct model_run *r);
/* Forget such rows of a sequence, as if they had not been. */
void	 model_drop(struct model_run *r, const struct kv_seq *seq);

#endif
