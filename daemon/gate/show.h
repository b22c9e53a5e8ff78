/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_SHOW_H
#define BM_GATE_SHOW_H

/*
 * The answers to `show`: JSON lines appended to a buffer, with the fields of
 * bigmodelctl(1).  What the master alone knows of the processes is that of
 * the last look (procs.h).
 */

#include "gate/gate.h"

void	 show_status(struct gate *g, struct buf *out);
void	 show_processes(struct gate *g, struct buf *out);
void	 show_models(struct gate *g, struct buf *out);
void	 show_variants(struct gate *g, struct buf *out);
void	 show_workers(struct gate *g, struct buf *out);
void	 show_requests(struct gate *g, struct buf *out);
/* What runs, oldest first, then what waits, by its place; without texts but
 * for the begin of the prompt.  How many there are beyond `most`. */
size_t	 show_requests_brief(struct gate *g, size_t most, struct buf *out);
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
