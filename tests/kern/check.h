/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_KERN_CHECK_H
#define BM_TESTS_KERN_CHECK_H

/*
 * What the parts of checkkern share.  A check tries one kernel of one level on
 * many inputs and stops at the first that is wrong, saying which (fail()).
 * Memory it hands to a kernel lies in areas with an inaccessible page on
 * either side and canaries between, so a stray access is a signal or a broken
 * canary; signals are caught and blamed on the kernel and input at hand.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

struct check {
	const struct kern_table	*ref;
	const struct kern_table	*now;	/* the level under test */
	uint64_t		 seed;	/* of the run */
	bool			 is_quick;	/* fewer inputs will do */
	/* what is being tried, for the report */
	char			 what[128];
	char			 why[256];	/* "" while all is well */
};

/* Note the input about to be tried. */
void	 try_input(struct check *c, const char *fmt, ...) BM_PRINTF(2, 3);
/* Note what is wrong with it; false, so that: return fail(...). */
bool	 fail(struct check *c, const char *fmt, ...) BM_PRINTF(2, 3);

/* ---- random numbers: splitmix64, keyed by what is tried ---- */
struct rng { uint64_t s; };

uint64_t rng_u64(struct rng *r);
/* Uniform in [-1, 1). */
float	 rng_float(struct rng *r);
struct rng rng_of(const struct check *c, uint64_t a, uint64_t b);

/* ---- shaped inputs ---- */
enum shape {
	SHAPE_RANDOM, SHAPE_ZERO, SHAPE_EQUAL, SHAPE_ALTERNATING, SHAPE_LARGE,
	SHAPE_TINY, SHAPE_DENORMAL, SHAPE_MIXED, SHAPE_ONE_OUTLIER,
	SHAPE_BELL, SHAPE_LIMIT
};
const char *shape_name(enum shape s);
void	 fill_floats(struct rng *r, enum shape s, float *x, size_t n);

/* ---- guarded memory ---- */
enum { AREA_W, AREA_X, AREA_OUT, AREA_LIMIT };
/* Where in its area a buffer lies: against the far page, so that reading past
 * it faults, or one and three elements off a boundary, with canaries. */
enum place { PLACE_END, PLACE_OFF_1, PLACE_OFF_3, PLACE_LIMIT };
void	*area_get(int area, enum place place, size_t bytes, size_t align);
/* Whether the canaries around what area_get gave last are whole. */
bool	 areas_whole(struct check *c);

/* Lengths for kernels that take any. */
extern const size_t odd_lengths[];
extern const size_t n_odd_lengths;

/* Rounding allowed to a float sum of n products in lanes: n / 32 additions a
 * lane at most, and some for scales and the final reduction, each half an ulp
 * of no more than the sum of magnitudes. */
double	 sum_tolerance(size_t n, double sum_of_magnitudes);

/* ---- the checks: false when the kernel failed ---- */
bool	 check_dot(struct check *c, enum tensor_type t);
bool	 check_unpack(struct check *c, enum tensor_type t);
bool	 check_panel(struct check *c, enum tensor_type t);
bool	 check_dot_f32(struct check *c);
bool	 check_quantize_q8(struct check *c);
bool	 check_quantize_q8k(struct check *c);
bool	 check_quantize_q16(struct check *c);
bool	 check_quantize_sm8(struct check *c);
bool	 check_quantize_sm8k(struct check *c);
bool	 check_f32_to_f16(struct check *c);
bool	 check_add(struct check *c);
bool	 check_blend(struct check *c);
bool	 check_rms_norm(struct check *c);
bool	 check_softmax(struct check *c);
bool	 check_silu_mul(struct check *c);
bool	 check_argmax(struct check *c);
bool	 check_rope_pairs(struct check *c);
bool	 check_attend_f16(struct check *c);
bool	 check_attend_q8_0(struct check *c);
/* Products of matrices at the level in force. */
bool	 check_matmul_type(struct check *c, enum tensor_type t);
bool	 check_matmul_blas(struct check *c);
bool	 check_matmul_many(struct check *c);

/* Random blocks with finite scales.  kind: 0 random, 1 all bits of the quants
 * set, 2 all clear, 3 alternating; unit: every scale is one. */
void	 fill_blocks(struct rng *r, enum tensor_type t, uint8_t *w, size_t n,
	    int kind, bool unit);

/* Print what the dots and row kernels of the level in force reach. */
extern int bench_threads;	/* for packed matrices */
void	 bench_level(const char *level, const char *pattern);

#endif
