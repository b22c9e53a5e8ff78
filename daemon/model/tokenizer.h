/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_TOKENIZER_H
#define BM_MODEL_TOKENIZER_H

/*
 * Text to tokens and back.  The kind is chosen by tokenizer.ggml.model of the
 * file; today "llama" (SentencePiece BPE with byte fallback).  Immutable after
 * tokenizer_open, so any thread may use it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/gguf.h"

struct tokenizer;

#define TOKEN_NONE UINT32_MAX

enum token_kind { TOKEN_UNDEFINED, TOKEN_NORMAL, TOKEN_UNKNOWN, TOKEN_CONTROL,
    TOKEN_USER_DEFINED, TOKEN_UNUSED, TOKEN_BYTE };

struct token_list {
	uint32_t	*ids;
	size_t		 n;
	size_t		 cap;
};

int	 tokenizer_open(const struct gguf *g, struct tokenizer **out,
	    struct cause *cause) BM_MUST_CHECK;
void	 tokenizer_free(struct tokenizer **t);

uint32_t	 tokenizer_n_vocab(const struct tokenizer *t);
const char	*tokenizer_kind(const struct tokenizer *t);	/* "llama" */
/* TOKEN_NONE when there is none. */
uint32_t	 tokenizer_bos(const struct tokenizer *t);
uint32_t	 tokenizer_eos(const struct tokenizer *t);
bool		 tokenizer_adds_bos(const struct tokenizer *t);
/* Does this token end a generation? */
bool		 tokenizer_is_eog(const struct tokenizer *t, uint32_t id);
/* The id of a token's exact text, or TOKEN_NONE. */
uint32_t	 tokenizer_find(const struct tokenizer *t, struct slice text);

/*
 * Append the tokens of text to out.  add_special: what the model wants round a
 * text (BOS...).  parse_special: control tokens written in the text become
 * tokens; user-defined ones always do.  Fails only for want of memory.
 */
int	 tokenizer_encode(const struct tokenizer *t, struct slice text,
	    bool add_special, bool parse_special, struct token_list *out,
	    struct cause *cause) BM_MUST_CHECK;
/* A token's bytes as they are streamed (may be no whole UTF-8): control and
 * unknown tokens are empty unless special.  Points into the tokenizer. */
struct slice	 tokenizer_piece(const struct tokenizer *t, uint32_t id,
		    bool special);
/*
 * The whole text of a list (vectors' `detok` and, with special,
 * `detok_special`): a leading BOS dropped unless special, and the one space
 * dropped that encoding put before the text (it stays where a BOS was
 * dropped: so the vectors have it).
 */
int	 tokenizer_decode(const struct tokenizer *t, const uint32_t *ids,
	    size_t n, bool special, struct buf *out, struct cause *cause)
	    BM_MUST_CHECK;

void	 token_list_free(struct token_list *l);
int	 token_list_add(struct token_list *l, uint32_t id) BM_MUST_CHECK;

#endif
