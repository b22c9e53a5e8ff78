/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_FAKE_CORE_H
#define BM_TESTS_FAKE_CORE_H

/*
 * A core without workers for the protocols' tests: requests are kept until the
 * test ends them.  What the core offers in request.h and gate.h is here.
 */

#include <stdbool.h>

#include "gate/gate.h"
#include "gate/request.h"

#define FAKE_MAX 256

struct fake_core {
	struct gate	 g;
	struct gate_model tale;
	struct gate_variant f16;
	struct request	*live[FAKE_MAX];	/* in order of arrival */
	size_t		 n_live;
	size_t		 n_submitted;
	size_t		 n_abandoned;
	size_t		 n_cancelled;
	size_t		 n_refused;	/* the last for reason `code` */
	/* Answer everything before request_submit returns. */
	bool		 is_instant;
	int		 code;		/* with this */
};

extern struct fake_core fake;

void	 fake_init(void);
void	 fake_fini(void);
/* Some text of one token. */
void	 fake_output(struct request *r, const char *text);
/* The same with its logprob and one alternative. */
void	 fake_output_logprob(struct request *r, const char *text,
	    float logprob);
/* The end: 5 prompt tokens, 2 of them cached, 3 generated. */
void	 fake_done(struct request *r, int code);

#endif
