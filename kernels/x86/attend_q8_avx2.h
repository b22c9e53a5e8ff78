/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_X86_ATTEND_Q8_AVX2_H
#define BM_KERNELS_X86_ATTEND_Q8_AVX2_H

/*
 * Attention over keys and values of 8 bits by products of 16-bit integers, two
 * to an instruction where there is one of floats; attend_avx2.c includes this
 * behind attend_body.h.
 *
 * Up to 8 queries go together, over all their keys at once.  Each query is
 * rounded to 16 bits with one scale, and so are its weights, times the scales
 * of the values, with one scale for each block of dims.  Sums of integers are
 * exact, at most 256 products of 2^15 and 2^7, so no order matters: what
 * remains in floats is of one query and one order.
 *
 * Two rows are multiplied at a time, dims of keys or keys of values: their
 * bytes are interleaved and widened, and meet two neighbours of a query.
 */

#define Q8_DIMS		256	/* of a head, at a time */
#define Q8_GROUP	8	/* queries */
#define Q8_STRIDE	(ATTEND_CHUNK + 16)	/* int16 to the next query */
#define Q8_UNROLL	4	/* pairs of rows, in which a line is fetched */

_Static_assert(Q8_DIMS <= Q8_STRIDE && ATTEND_CHUNK <= Q8_STRIDE,
    "rows of queries and rows of weights have room");

struct q8_work {
	struct attend_tile *t;
	struct ahead	 ahead;
	const uint8_t	*heads[ATTEND_CHUNK / ATTEND_PAGE];
	size_t		 first, n;	/* queries of the group */
	size_t		 n_keys;	/* that the last of them sees */
	float		 scale[Q8_GROUP];	/* of integers of a query */
	/* Of dims of queries, then of weights. */
	_Alignas(LINE) int16_t ints[Q8_GROUP][Q8_STRIDE];
	_Alignas(LINE) float scores[Q8_GROUP][ATTEND_CHUNK + 16];
	_Alignas(LINE) float scales[ATTEND_CHUNK];	/* of values */
	_Alignas(LINE) float row[ATTEND_CHUNK];
};

/* ---- integers of floats ---- */

/* Of 8 floats, |x| and 0 x. */
VF_HERE void
q8_look(vf x, vf *most, vf *nothing)
{
	const vf no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));

	*most = vf_max(_mm256_and_ps(x, no_sign), *most);
	*nothing = vf_fma(x, vf_set1(0), *nothing);
}

/* The largest |x|; not a number when any x is not finite. */
static float
q8_size(const float *x, size_t n)
{
	vf most = vf_set1(0), nothing = most;
	size_t i;

	for (i = 0; i + VF_LANES <= n; i += VF_LANES)
		q8_look(vf_load(x + i), &most, &nothing);
	if (i < n)
		q8_look(vf_load_n(x + i, n - i), &most, &nothing);
	return vf_largest(most) + sum_f32(nothing);
}

/* n floats, a multiple of 16, none of them above size, as integers of 16 bits,
 * whose scale is size / 32767. */
static void
q8_round(const float *x, size_t n, float size, int16_t *out)
{
	vf by = vf_set1(size > 0 ? 32767 / size : 0);

	for (size_t i = 0; i < n; i += 2 * VF_LANES) {
		__m256i a = _mm256_cvtps_epi32(vf_mul(vf_load(x + i), by));
		__m256i b = _mm256_cvtps_epi32(vf_mul(vf_load(x + i +
		    VF_LANES), by));

		_mm256_store_si256((__m256i *)(void *)(out + i),
		    _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8));
	}
}

static size_t
q8_round_up(size_t n)
{
	return (n + 2 * VF_LANES - 1) / (2 * VF_LANES) * (2 * VF_LANES);
}

/* ---- products ---- */

/* 8 lanes of two rows. */
VF_HERE __m256i
q8_rows(const uint8_t *a, const uint8_t *b)
{
	return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(
	    _mm_loadl_epi64((const __m128i *)(const void *)a),
	    _mm_loadl_epi64((const __m128i *)(const void *)b)));
}

/* As intrinsics these would be put in an order in which the registers do not
 * suffice. */
VF_HERE void
q8_add(const int16_t *a, __m256i rows, __m256i *sum)
{
	__m256i x;

	__asm__("vpbroadcastd %2, %1\n\t"
	    "vpmaddwd %3, %1, %1\n\t"
	    "vpaddd %1, %0, %0"
	    : "+x" (*sum), "=&x" (x)
	    : "m" (*(const int16_t (*)[2])(const void *)a), "x" (rows));
}

#define Q8_ZERO(i)	s##i = _mm256_setzero_si256()
#define Q8_STEP(i)	q8_add(a + (i) * Q8_STRIDE, x, &s##i)
#define Q8_PAIR() do {							\
	__m256i x = q8_rows(row, row + row_bytes);			\
									\
	EACH_OF_8(n, Q8_STEP);						\
	row += 2 * row_bytes;						\
	a += 2;								\
} while (0)
/* Pairs of rows of one page, with the elements from a on; and something is
 * fetched meanwhile. */
#define Q8_PAIRS(n_pairs) do {						\
	const uint8_t *next = ahead_take(&w->ahead);			\
	size_t left = n_pairs, next_step = w->ahead.bytes_a_call /	\
	    (RUN / 2 / Q8_UNROLL);					\
									\
	if (next == NULL) {	/* nothing but what is there */		\
		next = row;						\
		next_step = 0;						\
	}								\
	for (; left >= Q8_UNROLL; left -= Q8_UNROLL) {			\
		__builtin_prefetch(next, 0, 2);				\
		next += next_step;					\
		Q8_PAIR();						\
		Q8_PAIR();						\
		Q8_PAIR();						\
		Q8_PAIR();						\
	}								\
	for (; left > 0; left--)					\
		Q8_PAIR();						\
} while (0)
#define Q8_SCORE(i) do {						\
	float *p = w->scores[i] + lane;					\
	vf sum = _mm256_cvtepi32_ps(s##i);				\
									\
	vf_store(p, d == 0 ? vf_mul(sum, scale) : vf_fma(sum, scale,	\
	    vf_load(p)));						\
} while (0)
#define Q8_ACC(i) do {							\
	if ((i) < w->n)							\
		vf_store(acc + (i) * dims, vf_mul(_mm256_cvtepi32_ps(s##i), \
		    vf_set1(w->scale[i])));				\
} while (0)

/* Scores of 8 keys from `lane` on, of n queries; those of dims `from` .. `to`
 * - 1 are added to those of dims before. */
VF_HERE void
q8_keys(const int n, struct q8_work *w, size_t lane, size_t from, size_t to)
{
	const size_t row_bytes = ATTEND_PAGE, key = lane % ATTEND_PAGE;
	const uint8_t *page = w->heads[lane / ATTEND_PAGE];
	const uint8_t *row = page + from * row_bytes + key;
	const uint16_t *scales = (const void *)(page + w->t->head_dim *
	    row_bytes);
	const int16_t *a = w->ints[0];
	__m256i s0, s1, s2, s3, s4, s5, s6, s7;

	for (size_t d = from; d < to; d += RUN) {
		vf scale;

		EACH_OF_8(n, Q8_ZERO);
		Q8_PAIRS((MEM_MIN(to - d, (size_t)RUN) + 1) / 2);
		scale = vf_load_f16(scales + d / RUN * ATTEND_PAGE + key);
		EACH_OF_8(n, Q8_SCORE);
	}
}

/* Sums over values of 8 dims from `lane` on, of n queries, some of which may
 * not be there. */
VF_HERE void
q8_values(const int n, struct q8_work *w, size_t lane)
{
	const size_t dims = attend_dims(w->t->head_dim), row_bytes = dims;
	const size_t values = attend_key_bytes(ATTEND_Q8_0, w->t->head_dim);
	float *acc = w->t->acc + w->first * dims + lane;
	const int16_t *a = w->ints[0];
	__m256i s0, s1, s2, s3, s4, s5, s6, s7;

	EACH_OF_8(n, Q8_ZERO);
	for (size_t key = 0; key < w->n_keys; key += RUN) {
		const uint8_t *row = w->heads[key / RUN] + values + lane;

		Q8_PAIRS((MEM_MIN(w->n_keys - key, (size_t)RUN) + 1) / 2);
	}
	EACH_OF_8(n, Q8_ACC);
}

/* ---- a group ---- */

/* Dims `from` .. `to` - 1 of the queries. */
static void
q8_queries(struct q8_work *w, const float *size, size_t from, size_t to)
{
	size_t n = to - from, n_all = q8_round_up(n);

	memset(w->row + n, 0, (n_all - n) * sizeof(*w->row));
	for (size_t i = 0; i < w->n; i++) {
		memcpy(w->row, w->t->q[w->first + i] + from, n *
		    sizeof(*w->row));
		q8_round(w->row, n_all, size[i], w->ints[i]);
	}
}

VF_HERE void
q8_scores(const int n, struct q8_work *w)
{
	const struct attend_tile *t = w->t;
	float size[Q8_GROUP];

	for (size_t i = 0; i < w->n; i++) {
		size[i] = q8_size(t->q[w->first + i], t->head_dim);
		w->scale[i] = size[i] / 32767 * t->scale;
	}
	for (size_t from = 0, to; from < t->head_dim; from = to) {
		to = MEM_MIN(from + Q8_DIMS, t->head_dim);
		q8_queries(w, size, from, to);
		for (size_t lane = 0; lane < w->n_keys; lane += VF_LANES)
			q8_keys(n, w, lane, from, to);
	}
}

static void
q8_weigh(struct q8_work *w, size_t i)
{
	struct attend_sum *s = &w->t->sums[w->first + i];
	size_t n = w->t->n_keys[w->first + i];
	float sums[8] = { 0 };

	s->max = largest_score(w->scores[i], n) * w->scale[i];
	weigh(w->scores[i], n, w->scale[i], s->max, sums);
	s->sum = vs_total(vs_load(sums));
}

/* Of a query the weights of values in a block of dims: products with scales,
 * of which those behind the keys it sees may be anything. */
static void
q8_weights(struct q8_work *w, size_t i)
{
	size_t n = w->t->n_keys[w->first + i], n_all = q8_round_up(w->n_keys);
	const float *weight = w->scores[i], *scale = w->scales;
	float *row = w->row, largest;
	vf even = vf_set1(0), odd = even;
	size_t j;

	for (j = 0; j + 2 * VF_LANES <= n; j += 2 * VF_LANES) {
		vf a = vf_mul(vf_load(weight + j), vf_load(scale + j));
		vf b = vf_mul(vf_load(weight + j + VF_LANES), vf_load(scale +
		    j + VF_LANES));

		vf_store(row + j, a);
		vf_store(row + j + VF_LANES, b);
		even = vf_max(a, even);
		odd = vf_max(b, odd);
	}
	largest = vf_largest(vf_max(even, odd));
	for (; j < n; j++) {
		row[j] = weight[j] * scale[j];
		largest = row[j] > largest ? row[j] : largest;
	}
	memset(row + n, 0, (n_all - n) * sizeof(*row));
	q8_round(row, n_all, largest, w->ints[i]);
	w->scale[i] = largest / 32767;
}

static void
q8_scales_of_values(struct q8_work *w, size_t block)
{
	const struct attend_tile *t = w->t;
	size_t skip = attend_key_bytes(ATTEND_Q8_0, t->head_dim) +
	    (attend_dims(t->head_dim) + block * sizeof(uint16_t)) *
	    ATTEND_PAGE;

	for (size_t j = 0; j < w->n_keys; j += VF_LANES) {
		const uint16_t *scales = (const void *)(w->heads[j /
		    ATTEND_PAGE] + skip);

		vf_store(w->scales + j, vf_load_f16(scales + j % ATTEND_PAGE));
	}
}

VF_HERE void
q8_group(const int n, struct q8_work *w)
{
	size_t dims = attend_dims(w->t->head_dim);

	q8_scores(n, w);
	for (size_t i = 0; i < w->n; i++)
		q8_weigh(w, i);
	for (size_t lane = 0; lane < dims; lane += VF_LANES) {
		if (lane % ATTEND_BLOCK == 0) {
			q8_scales_of_values(w, lane / ATTEND_BLOCK);
			for (size_t i = 0; i < w->n; i++)
				q8_weights(w, i);
		}
		q8_values(n, w, lane);
	}
}

static void
q8_group_run(struct q8_work *w)
{
	if (w->n > 4)
		q8_group(8, w);
	else if (w->n > 2)
		q8_group(4, w);
	else if (w->n == 2)
		q8_group(2, w);
	else
		q8_group(1, w);
}

/* How often something will be fetched in a whole chunk. */
static size_t
q8_calls(const struct attend_tile *t)
{
	size_t n_groups = (t->n_queries + Q8_GROUP - 1) / Q8_GROUP;
	size_t n_runs = (t->head_dim + RUN - 1) / RUN;

	return n_groups * (ATTEND_CHUNK / VF_LANES * n_runs + ATTEND_CHUNK /
	    RUN * (attend_dims(t->head_dim) / VF_LANES));
}

static void
attend_q8_0(struct attend_tile *t)
{
	size_t dims = attend_dims(t->head_dim), last = t->n_queries - 1, i;
	const size_t n_pages = ATTEND_CHUNK / ATTEND_PAGE;
	struct q8_work w;

	w.t = t;
	for (i = 0; i * ATTEND_PAGE < t->n_keys[last]; i++)
		w.heads[i] = t->head + t->pages[i] * t->page_bytes;
	ahead_begin(&w.ahead, t, n_pages, n_pages,
	    attend_head_bytes(ATTEND_Q8_0, t->head_dim), q8_calls(t));
	for (i = 0; i <= last && t->n_keys[i] == 0; i++) {
		t->sums[i] = (struct attend_sum){ -INFINITY, 0 };
		memset(t->acc + i * dims, 0, dims * sizeof(*t->acc));
	}
	for (; i <= last; i += w.n) {
		w.first = i;
		w.n = MEM_MIN(last + 1 - i, (size_t)Q8_GROUP);
		w.n_keys = t->n_keys[i + w.n - 1];
		q8_group_run(&w);
	}
}

#endif
