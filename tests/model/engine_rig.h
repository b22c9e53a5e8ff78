/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_MODEL_ENGINE_RIG_H
#define BM_TESTS_MODEL_ENGINE_RIG_H

/*
 * An engine with the shipped model, and the client at its other end.
 * Everything fails the test on error.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/msg.h"
#include "worker/engine.h"

#define N_CTX		512
/* Takes every run of request(), and its cache holds only one such context. */
#define SMALL_CTX	192
#define N_PARALLEL	8
#define MAX_STEPS	100000
#define MAX_RUNS	64

/* What a client would have of one run. */
struct answer {
	uint32_t	 tokens[N_CTX];
	size_t		 n;
	struct buf	 text;
	struct buf	 logprobs;
	bool		 started;
	bool		 ended;
	int		 code;
	char		 cause[256];
	unsigned	 finish;
	uint32_t	 prompt_tokens;
	uint32_t	 completion_tokens;
	char		 stop[64];
	size_t		 n_steps;	/* when it ended */
};

extern struct model *model;
extern struct answer answers[MAX_RUNS];	/* by the number of the run */
extern size_t n_steps;		/* since forget_answers() */
extern char link_a, link_b;	/* answers go to link_a only */

void	 forget_answers(void);
void	 assert_same_answer(const struct answer *a, const struct answer *b);

struct bench {
	struct pool	*pool;
	struct kv_pool	*kv;
	struct engine	*e;
};

/* What an engine may do differently without anybody noticing. */
struct way {
	uint32_t	 n_ctx;
	int		 n_threads;
	uint8_t		 speculate;
	bool		 no_prefixes;
	uint64_t	(*now_ns)(void);
};

/* Of no step can be said how long it takes, so slices are the least. */
uint64_t still_clock(void);

/* n_ctx N_CTX: a cache with room for all; else for one context. */
void	 bench_open_way(struct bench *b, const struct way *w);
/* On a clock that stands still, with two threads. */
void	 bench_open(struct bench *b, uint32_t n_ctx);
void	 bench_step(struct bench *b);
/* Until nothing is left to do. */
void	 bench_finish(struct bench *b);
void	 bench_close(struct bench *b);

/* Run i of the tests: each has another prompt, length and way to sample. */
struct msg_run request(size_t i);

/* Of the group of tests: open the model, and forget all. */
int	 engine_rig_setup(void **state);
int	 engine_rig_teardown(void **state);

#endif
