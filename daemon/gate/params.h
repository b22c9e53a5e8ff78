/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_PARAMS_H
#define BM_GATE_PARAMS_H

/*
 * Generation parameters from JSON: those of params.def, and seed, stop,
 * logit_bias, logprobs, top_logprobs, timeout_ms and n, which take more than a
 * number.  A member that is null counts as absent.
 */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/msg.h"

#define PARAMS_STOP_MAX		16
#define PARAMS_BIAS_MAX		4096
#define PARAMS_LOGPROBS_MAX	20
#define PARAMS_COPIES_MAX	16

struct prompt;
struct request;

struct params {
	struct msg_run	 run;		/* stop and bias are set last, by
					 * params_request */
	uint64_t	 timeout_ms;	/* 0: the configured one */
	int32_t		 priority;	/* see request.h */
	unsigned	 n_copies;	/* "n" */
	struct buf	 stop;		/* list */
	struct buf	 bias_tokens;	/* u32 each */
	struct buf	 bias_values;	/* f32 each, as many */
	const char	*bad;		/* the parameter refused, or NULL; a
					 * key of the object that was read */
};

/* The defaults and a seed of chance. */
void	 params_init(struct params *p);
void	 params_fini(struct params *p);
/* Take what o has of them; BM_EBADREQ with p->bad and a sentence naming it. */
int	 params_read(struct params *p, const json_t *o, struct cause *cause)
	    BM_MUST_CHECK;
bool	 params_is_name(const char *key);
/* Yes or no in any of its spellings; false when v is neither. */
bool	 params_flag(const json_t *v, bool *out);
/* The parameters in force as a JSON object, for the log. */
void	 params_write(const struct params *p, unsigned copy, struct buf *out);
/* A request to generate from the prompt, ready but for model, tenant, client,
 * protocol, endpoint and events.  Copy i of "n" has seed + i. */
struct request *params_request(const struct params *p,
	    const struct prompt *prompt, unsigned copy);

#endif
