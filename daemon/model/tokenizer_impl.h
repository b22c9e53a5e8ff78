/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_TOKENIZER_IMPL_H
#define BM_MODEL_TOKENIZER_IMPL_H

/* What the files token*.c share; nobody else includes this. */

#include "model/tokenizer.h"

#define N_BYTES 256

struct token {
	struct slice	 text;		/* as the file has it */
	struct slice	 piece;		/* as it is printed */
	float		 score;
	uint8_t		 kind;		/* enum token_kind */
	bool		 ends;		/* a generation */
	bool		 swallows;	/* white space that follows it */
};

struct tokenizer {
	struct token	*tokens;
	uint32_t	 n;
	char		*text;		/* what the slices point into */
	uint32_t	*slots;		/* hash of texts: id + 1, or 0 */
	size_t		 n_slots;	/* a power of two */
	uint64_t	 seed;
	uint32_t	 bos;
	uint32_t	 eos;
	uint32_t	 unknown;
	bool		 adds_bos;
	bool		 adds_eos;
	bool		 adds_space;
	uint32_t	 byte_ids[N_BYTES];	/* or TOKEN_NONE */
	/* No token has U+2581 after another character, so that no merge
	 * reaches over the begin of a word. */
	bool		 splits_at_words;
	/* Tokens cut out of the raw text, by their bytes; special_begin[c] is
	 * the first that begins with c. */
	uint32_t	*special;
	uint32_t	 special_begin[N_BYTES + 1];
};

#define WORD_MARK	"\xe2\x96\x81"	/* U+2581, a space in the file */
#define WORD_MARK_BYTES	3

/* Fill an empty tokenizer; what a failure leaves is for tokenizer_free. */
int	 vocab_load(struct tokenizer *t, const struct gguf *g,
	    struct cause *cause) BM_MUST_CHECK;
/* For tokenizer_find; of tokens with the same text the last counts. */
int	 index_texts(struct tokenizer *t, struct cause *cause) BM_MUST_CHECK;
/* Collect and order the tokens that are cut out of raw text. */
void	 special_index(struct tokenizer *t);

/* Scratch of one tokenizer_encode call. */
struct spm_scratch;
struct spm_scratch *spm_scratch_new(void);
void	 spm_scratch_free(struct spm_scratch *s);
/* Append the tokens of text that contains no special token. */
int	 spm_encode(const struct tokenizer *t, struct spm_scratch *s,
	    struct slice text, struct token_list *out) BM_MUST_CHECK;

#endif
