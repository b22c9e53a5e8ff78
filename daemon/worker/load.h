/* SPDX-License-Identifier: MIT */
#ifndef BM_WORKER_LOAD_H
#define BM_WORKER_LOAD_H

/*
 * The model a worker holds: its files, and once MODEL has come what computes
 * with them.  Files arrive as descriptors, one a part of a split.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/chat.h"
#include "model/model.h"
#include "wire/msg.h"
#include "worker/engine.h"

#define LOAD_MAX_PARTS	1024

struct chan;

struct loaded {
	/* the parts until they are opened */
	int		 fds[LOAD_MAX_PARTS];
	char		*names[LOAD_MAX_PARTS];
	int		 n_parts;

	/* where packed weights are kept; -1: not there */
	int		 dir_fd;
	int		 memory_fd;
	uint64_t	 cache_max_bytes;
	struct pulse	*pulse;		/* borrowed; or NULL */

	struct gguf	*gguf;		/* NULL once the model has it */
	struct model	*model;
	struct tokenizer *vocab;	/* of vocab_only */
	const struct chat_form *chat;
	struct pool	*pool;
	struct kv_pool	*kv;
	struct engine	*engine;	/* not NULL: can generate */

	uint32_t	 worker;
	char		*name;
	char		*variant;
	uint32_t	 n_ctx;
	uint32_t	 n_parallel;
	int		 n_threads;
};

/* Before anything else. */
void	 load_init(struct loaded *l);
/* Takes fd. */
void	 load_set_store(struct loaded *l, int fd, const struct msg_store *m);
/* Takes fd. */
int	 load_add_part(struct loaded *l, int fd, struct slice name,
	    struct cause *cause) BM_MUST_CHECK;
/* Open the parts, if that is still to do. */
int	 load_open_file(struct loaded *l, struct cause *cause) BM_MUST_CHECK;
/* All that MODEL asks for; up is told how far it is when weights are shared.
 * On failure the file stays open for INSPECT. */
int	 load_model(struct loaded *l, const struct msg_model *m,
	    struct chan *up, engine_send_fn send, struct cause *cause)
	    BM_MUST_CHECK;
void	 load_fini(struct loaded *l);

/* The file, whoever holds it; NULL when none was opened. */
const struct gguf	*load_gguf(const struct loaded *l);
const struct tokenizer	*load_tokenizer(const struct loaded *l);
/* Is there something to answer questions about text with? */
bool	 load_is_ready(const struct loaded *l);
void	 load_info(const struct loaded *l, struct msg_model_info *out);

#endif
