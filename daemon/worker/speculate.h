/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_SPECULATE_H
#define BM_WORKER_SPECULATE_H

/*
 * Guessing the next tokens of a text from the text itself: where its last few
 * tokens stood before, what followed them then may follow again.  A token
 * costs constant time; memory is bounded.  How often guesses were right is
 * remembered for each length of what was found.
 */

#include <stddef.h>
#include <stdint.h>

/* Lengths of what is looked for. */
#define SPECULATE_LEAST	2
#define SPECULATE_MOST	4

struct speculate {
	uint32_t	*slots;		/* by hash: the position behind */
	size_t		 n_slots;
	size_t		 n_seen;	/* tokens in it */
	size_t		 match;		/* goes on like the end; 0: nothing */
	size_t		 length;	/* of what was found */
	double		 accept[SPECULATE_MOST + 1];	/* by length */
};

void	 speculate_init(struct speculate *s);
void	 speculate_fini(struct speculate *s);
/* The text has n tokens now; it only ever grows. */
void	 speculate_add(struct speculate *s, const uint32_t *tokens, size_t n);
/* How likely a guess behind right ones is right; 0 when there is none. */
double	 speculate_chance(const struct speculate *s);
/* Put n guesses behind the n_tokens tokens of the text, which have room. */
void	 speculate_draft(const struct speculate *s, uint32_t *tokens,
	    size_t n_tokens, size_t n);
/* Of n guesses the first n_right were right. */
void	 speculate_learn(struct speculate *s, size_t n, size_t n_right);

#endif
