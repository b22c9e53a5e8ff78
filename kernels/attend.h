/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_ATTEND_H
#define BM_KERNELS_ATTEND_H

/*
 * Attention over a KV cache in pages of ATTEND_PAGE positions.
 *
 * What one key head keeps of a page is a run of bytes, its keys and behind
 * them its values.  Keys are transposed, [head_dim][32 keys], so that a score
 * needs no sum across lanes; values are [32 keys][dims], where dims is head_dim
 * rounded up to a multiple of 16.
 *
 *	ATTEND_F16	elements are half precision
 *	ATTEND_Q8_0	elements are int8, and behind them there is for each 32
 *			elements of head_dim a half-precision scale of each
 *			key: [dims / 32][32 keys], for keys and values alike
 *
 * The kernels attend_f16 and attend_q8_0 work on a tile: queries that share
 * their keys.  With t[j] = scale * (q . k[j]), of each query they give over
 * the keys it sees
 *
 *	max = max t[j]		(-infinity without a key, or a finite score)
 *	sum = sum of 2^(t[j] - max)
 *	acc = sum of 2^(t[j] - max) v[j]
 *
 * in one pass over the pages (online softmax).  A query's result has one
 * arithmetic per level: it depends neither on the other queries of its tile
 * nor on how many keys they see, and what lies behind the keys it sees is not
 * used.  Levels need not agree bit for bit; with ATTEND_Q8_0 a level may round
 * queries and weights to 16 bits, and infinite queries to NaN.
 *
 * Long contexts are cut in chunks of ATTEND_CHUNK keys whose results are merged
 * in order (attend_merge), always the same ones, whoever computes them.
 */

#include <stddef.h>
#include <stdint.h>

#define ATTEND_PAGE	32	/* keys of a page */
#define ATTEND_CHUNK	256	/* keys that a result is of; whole pages */
#define ATTEND_QUERIES	48	/* of a tile, at most */
#define ATTEND_DIMS	16	/* dims are a multiple */
#define ATTEND_BLOCK	32	/* elements to a scale of q8_0 */

enum attend_form { ATTEND_F16, ATTEND_Q8_0, ATTEND_FORM_LIMIT };

struct attend_sum {
	float	 max, sum;
};

struct attend_tile {
	size_t		 head_dim;
	float		 scale;		/* log2(e) times that of the scores */
	size_t		 n_queries;
	const float	*q[ATTEND_QUERIES];	/* of head_dim each */
	/* The first so many keys are seen; ascending. */
	size_t		 n_keys[ATTEND_QUERIES];
	/* Key j is key j % 32 of page pages[j / 32], which this key head has
	 * at head + that * page_bytes. */
	const uint8_t	*head;
	size_t		 page_bytes;
	const uint32_t	*pages;
	size_t		 n_pages;	/* ones behind the keys are fetched */
	/* When there are none: what is attended to next, of another head or of
	 * other pages, whose first ones are fetched; or NULL. */
	const uint8_t	*next_head;
	const uint32_t	*next_pages;
	size_t		 n_next_pages;
	/* Results. */
	float		*acc;		/* [n_queries][dims] */
	struct attend_sum *sums;	/* [n_queries] */
};

/* What a head keeps of a page: its keys, and keys and values. */
size_t	 attend_key_bytes(enum attend_form form, size_t head_dim);
size_t	 attend_head_bytes(enum attend_form form, size_t head_dim);
/* head_dim as acc and values have it. */
size_t	 attend_dims(size_t head_dim);
/* Store the key and the value of position `at` of a page. */
void	 attend_store(enum attend_form form, const float *k, const float *v,
	    size_t head_dim, uint8_t *head, size_t at);
/* The kernel of the level in force. */
void	 attend_tile_run(enum attend_form form, struct attend_tile *t);
/* Add the result of later keys to that of earlier ones, of one query. */
void	 attend_merge(float *acc, struct attend_sum *sum,
	    const float *acc_later, const struct attend_sum *later,
	    size_t n_dims);
/* out = acc / sum; zeros when there was nothing to attend to. */
void	 attend_finish(const float *acc, const struct attend_sum *sum,
	    float *out, size_t head_dim);

#endif
