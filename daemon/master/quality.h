/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_QUALITY_H
#define BM_MASTER_QUALITY_H

/*
 * What is known of a variant's file, written beside it in FILE.quality by who
 * made or measured it: a line "KEY VALUE" each.
 *
 *	type		of its matrices, "Q4_K"
 *	bits_per_weight	of the whole file
 *	made_from	the variant it was made from
 *	perplexity	of the variant on the text it was measured with
 *	reference	perplexity of the file it was made from
 *	kl_divergence	mean, in nats a token, from that file
 */

#include "base/err.h"
#include "wire/conf.h"

struct quality {
	char	 type[16];	/* "": not known, as below */
	char	 made_from[72];
	double	 bits_per_weight;
	double	 perplexity;	/* NAN: not known, as above and below */
	double	 reference;
	double	 kl_divergence;
};

/* What is known; nothing when there is no such file.  Equal files give equal
 * bytes. */
void	 quality_read(const char *path, struct quality *q);
int	 quality_write(const char *path, const struct quality *q,
	    struct cause *cause) BM_MUST_CHECK;
/* Forget what is known, as the file will be another. */
int	 quality_remove(const char *path, struct cause *cause) BM_MUST_CHECK;
/* 0 when the figures are there and within verify_perplexity and verify_kl. */
int	 quality_check(const struct conf_model *conf, const char *path,
	    struct cause *cause) BM_MUST_CHECK;

#endif
