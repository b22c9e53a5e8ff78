/* SPDX-License-Identifier: MIT */
/*
 * The BLAS provider.  OpenBLAS keeps to one thread: the threads are the pool's
 * and the caller's business, and its own would outnumber the CPUs granted.
 */
#include "config.h"

#include "kernels/matmul.h"

#ifdef HAVE_OPENBLAS

#include <cblas.h>
#include <limits.h>
#include <pthread.h>

#include "base/mem.h"

static void
one_thread(void)
{
	openblas_set_num_threads(1);
}

void
matmul_blas(const float *w, size_t n_out, size_t n_in, const float *x,
    size_t n_rows, float *out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	size_t n;

	pthread_once(&once, one_thread);
	if (n_out == 0)
		return;
	for (; n_rows > 0; n_rows -= n) {
		n = MEM_MIN(n_rows, (size_t)4096);
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n,
		    (int)n_out, (int)n_in, 1, x, (int)n_in, w, (int)n_in, 0,
		    out, (int)n_out);
		x += n * n_in;
		out += n * n_out;
	}
}

#else

void
matmul_blas(const float *w, size_t n_out, size_t n_in, const float *x,
    size_t n_rows, float *out)
{
	size_t r, o;

	for (r = 0; r < n_rows; r++)
		for (o = 0; o < n_out; o++)
			out[r * n_out + o] = kern->dot_f32(w + o * n_in,
			    x + r * n_in, n_in);
}

#endif
