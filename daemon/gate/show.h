/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_SHOW_H
#define BM_GATE_SHOW_H

/*
 * The answers to `show`: JSON lines appended to a buffer, with the fields of
 * bigmodelctl(1).  What the master alone knows, the memory of the processes,
 * is collected first.
 */

#include "gate/gate.h"

struct show_proc {
	unsigned	 role;
	uint32_t	 worker;
	uint64_t	 rss_bytes;
	uint64_t	 shared_bytes;	/* of these, of files and shared
					 * memory */
};

struct show_procs {
	struct show_proc *v;
	size_t		  n;
	struct msg_memory memory;	/* zeros when not told */
};

/* Take a PROC or MEMORY message; other types are ignored. */
void	 show_procs_add(struct show_procs *p, unsigned type, struct cur body);
void	 show_procs_fini(struct show_procs *p);

void	 show_status(struct gate *g, const struct show_procs *p,
	    struct buf *out);
void	 show_models(struct gate *g, struct buf *out);
void	 show_variants(struct gate *g, struct buf *out);
void	 show_workers(struct gate *g, const struct show_procs *p,
	    struct buf *out);
void	 show_requests(struct gate *g, struct buf *out);
void	 show_config(struct gate *g, struct buf *out);
void	 show_commands(struct buf *out);
/* A KERNEL message of the worker of that number. */
void	 show_kernel(uint32_t worker, unsigned type, struct cur body,
	    struct buf *out);
/* PROGRESS or QUANTIZED of a model that is compressed. */
void	 show_compress(const char *model, unsigned type, struct cur body,
	    struct buf *out);
/* {"message":"..."} */
void	 show_message(const char *text, struct buf *out);

#endif
