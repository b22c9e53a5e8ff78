/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_QUANTIZE_H
#define BM_MODEL_QUANTIZE_H

/*
 * A model file in another tensor type.  Matrices are converted, all of them to
 * the one type; what is small or delicate keeps its own: vectors, norms,
 * biases, routers, positions and the like.  A matrix whose rows the type does
 * not divide gets the nearest type that fits.  Everything else, in particular
 * metadata and the order of tensors, stays as it is; a split comes out whole.
 */

#include <stdint.h>

#include "kernels/pool.h"
#include "model/gguf.h"

/* Called now and then; not 0 ends the work with that code. */
typedef int (*quantize_progress_fn)(void *arg, uint64_t done, uint64_t total);

struct quantize_job {
	const struct gguf	*in;
	enum tensor_type	 type;
	struct pool		*pool;
	int			 fd;		/* empty, for writing */
	quantize_progress_fn	 progress;	/* or NULL */
	void			*arg;
};

struct quantize_result {
	uint64_t	 file_bytes;
	uint64_t	 n_params;
	uint64_t	 tensor_bytes;
	uint32_t	 n_of_type[TYPE_LIMIT];	/* tensors */
	uint32_t	 n_fallback;	/* whose rows the type did not fit */
	uint32_t	 n_requantized;	/* that were quantised otherwise */
};

/* The type a tensor of the file would get; *fallback is set when that is not
 * the one asked for because of its rows. */
enum tensor_type quantize_type_of(const struct gguf_tensor *t,
	    enum tensor_type asked, bool *fallback);
/* 0, or a cause that names the tensor or the disk; what was written then is
 * not to be used. */
int	 quantize_model(const struct quantize_job *job,
	    struct quantize_result *out, struct cause *cause) BM_MUST_CHECK;

#endif
