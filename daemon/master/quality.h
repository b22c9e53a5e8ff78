/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_QUALITY_H
#define BM_MASTER_QUALITY_H

/*
 * What a variant's file costs in quality, as measured once and written beside
 * it in FILE.quality: a line "KEY VALUE" each.
 *
 *	perplexity	of the variant on the text it was measured with
 *	reference	perplexity of the file it was made from
 *	kl_divergence	mean, in nats a token, from that file
 */

#include "base/err.h"
#include "wire/conf.h"

struct quality {
	double	 perplexity;	/* NAN: not known, as below */
	double	 reference;
	double	 kl_divergence;
};

/* What is known; all NAN when there is no such file. */
void	 quality_read(const char *path, struct quality *q);
/* 0 when the figures are there and within verify_perplexity and verify_kl. */
int	 quality_check(const struct conf_model *conf, const char *path,
	    struct cause *cause) BM_MUST_CHECK;

#endif
