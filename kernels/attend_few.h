/* SPDX-License-Identifier: MIT */
/*
 * The products of attend_body.h, which includes this, for the few queries of
 * a sequence that is decoded.  Rows of keys and values are converted on the way
 * into the sums, since a panel made beforehand would be used too little to pay.
 * With 32 registers 2 vectors of 8 queries are 16 sums.  With 16 registers
 * there are sums of 3 vectors of 4 queries, with fewer the adder's latency
 * would rule; rows are left as floats for the other 4.  Every sum is the chain
 * it is with panels, to the bit.
 *
 * Rows lie in runs of 32 that have their scales together: of keys, a row is a
 * dim and a run has the dims of a block; of values, a row is a key and a run
 * has the keys of a page.
 */

_Static_assert((FEW_WIDTH - 1) * VF_LANES == ATTEND_DIMS,
    "dims are whole tiles of one width or the other");
_Static_assert(STEP <= FEW_DIMS, "there is room for the keys of a step");

/* What sums go over: rows `from` .. `to` - 1, lanes from `lane` on.  For keys,
 * lanes are keys of all pages, for values, rows are. */
struct few {
	const uint8_t	*const *pages;
	size_t		 rows, scales;	/* where these begin in a page */
	size_t		 row_bytes;
	size_t		 lane;
	size_t		 from, to;
	float		*floats;	/* [row][FEW_LANES] */
	struct ahead	*ahead;
};

#define FEW_UNROLL	4	/* rows, in which a line is fetched */

/* Rows as they are in memory; likewise, and left as floats; as floats. */
enum few_source { PACKED, LEAVING, FLOATS };

#define FEW_EACH(DO)	EACH_OF_8(n, DO)
#define FEW_ZERO(i)	lo##i = mid##i = hi##i = vf_set1(0)
#define FEW_BEGIN(i) do {						\
	const float *sums = out + (i) * stride;				\
	vf by = vf_set1(factor[i]);					\
									\
	lo##i = vf_mul(by, vf_load(sums));				\
	if (w > 1)							\
		mid##i = vf_mul(by, vf_load(sums + VF_LANES));		\
	if (w > 2)							\
		hi##i = vf_mul(by, vf_load(sums + 2 * VF_LANES));	\
} while (0)
#define FEW_STEP(i) do {						\
	if (w > 2)							\
		vf_fma3(a + (i) * apart, p0, p1, p2, &lo##i, &mid##i,	\
		    &hi##i);						\
	else if (w > 1)							\
		vf_fma2(a + (i) * apart, p0, p1, &lo##i, &mid##i);	\
	else								\
		lo##i = vf_fma(vf_set1(a[(i) * apart]), p0, lo##i);	\
} while (0)
#define FEW_END(i) do {							\
	float *sums = out + (i) * stride;				\
									\
	vf_store(sums, lo##i);						\
	if (w > 1)							\
		vf_store(sums + VF_LANES, mid##i);			\
	if (w > 2)							\
		vf_store(sums + 2 * VF_LANES, hi##i);			\
} while (0)

/* A row's vectors; then on to the next row. */
#define FEW_ROW(v0, v1, v2) do {					\
	vf p0 = v0, p1 = w > 1 ? v1 : p0, p2 = w > 2 ? v2 : p1;		\
									\
	if (source == LEAVING) {					\
		vf_store(floats, p0);					\
		if (w > 1)						\
			vf_store(floats + VF_LANES, p1);		\
		if (w > 2)						\
			vf_store(floats + 2 * VF_LANES, p2);		\
	}								\
	FEW_EACH(FEW_STEP);						\
	a++;								\
	floats += FEW_LANES;						\
	r0 += f->row_bytes;						\
	r1 += f->row_bytes;						\
	r2 += f->row_bytes;						\
} while (0)
#define FEW_ROWS(v0, v1, v2) do {					\
	size_t i = 0;							\
									\
	while (i + FEW_UNROLL <= left) {				\
		__builtin_prefetch(next, 0, 2);				\
		next += next_step;					\
		FEW_ROW(v0, v1, v2);					\
		i++;							\
		FEW_ROW(v0, v1, v2);					\
		i++;							\
		FEW_ROW(v0, v1, v2);					\
		i++;							\
		FEW_ROW(v0, v1, v2);					\
		i++;							\
	}								\
	for (; i < left; i++)						\
		FEW_ROW(v0, v1, v2);					\
} while (0)

/* Vector j of row k. */
VF_HERE const uint8_t *
few_row(const enum attend_form form, const bool is_keys, const struct few *f,
    size_t k, size_t j)
{
	size_t lane = f->lane + j * VF_LANES, page = k / RUN;
	size_t element_bytes = form == ATTEND_F16 ? sizeof(uint16_t) : 1;

	if (is_keys) {
		page = lane / ATTEND_PAGE;
		lane %= ATTEND_PAGE;
	} else {
		k %= RUN;
	}
	return f->pages[page] + f->rows + k * f->row_bytes +
	    lane * element_bytes;
}

/* The scales of the lanes of vector j, which are keys. */
VF_HERE vf
few_scales_of_lanes(const struct few *f, size_t run, size_t j)
{
	size_t key = f->lane + j * VF_LANES;
	const uint16_t *scales = (const void *)(f->pages[key / ATTEND_PAGE] +
	    f->scales);

	return vf_load_f16(scales + run * ATTEND_PAGE + key % ATTEND_PAGE);
}

/* Scales that are loaded for each row, since no register is left for them; the
 * compiler would keep them where it could not. */
VF_HERE vf
few_anew(const float *p)
{
	__asm__ volatile("" : "+r" (p) : : "memory");
	return vf_load(p);
}

/* Whether vector j lies in another block of dims than the first. */
VF_HERE size_t
few_block(const struct few *f, size_t j)
{
	return (f->lane + j * VF_LANES) / ATTEND_BLOCK - f->lane /
	    ATTEND_BLOCK;
}

/* The scales of rows, which are keys, in the block of vector j. */
VF_HERE void
few_scales_of_rows(const struct few *f, size_t run, size_t j, float *out)
{
	const uint16_t *scales = (const void *)(f->pages[run] + f->scales);

	scales += (f->lane + j * VF_LANES) / ATTEND_BLOCK * ATTEND_PAGE;
	for (size_t i = 0; i < RUN; i += VF_LANES)
		vf_store(out + i, vf_load_f16(scales + i));
}

VF_HERE vf
few_load(const enum attend_form form, const uint8_t *row, vf scale)
{
	if (form == ATTEND_F16)
		return vf_load_f16((const uint16_t *)(const void *)row);
	return vf_mul(vf_load_i8((const int8_t *)row), scale);
}

/* out[i] = factor[i] out[i] + sum of a[i][k] row k, of n queries and w
 * vectors; of keys just the sum. */
VF_HERE void
few_product(const enum attend_form form, const bool is_keys,
    const enum few_source source, const int n, const int w,
    const struct few *f, const float *of_runs, const float *factor,
    float *out, size_t stride)
{
	const size_t apart = is_keys ? RUN : STRIDE;
	const size_t a_run = is_keys ? RUN * FEW_MOST : RUN;
	vf lo0, mid0, hi0, lo1, mid1, hi1, lo2, mid2, hi2, lo3, mid3, hi3;
	vf lo4, mid4, hi4, lo5, mid5, hi5, lo6, mid6, hi6, lo7, mid7, hi7;

	if (is_keys)
		FEW_EACH(FEW_ZERO);
	else
		FEW_EACH(FEW_BEGIN);
	for (size_t k = f->from, left; k < f->to; k += left) {
		size_t end = (k / RUN + 1) * RUN;
		const float *a = of_runs + k / RUN * a_run + k % RUN;
		float *floats = f->floats + k * FEW_LANES;
		const uint8_t *r0 = few_row(form, is_keys, f, k, 0);
		const uint8_t *r1 = few_row(form, is_keys, f, k, w > 1);
		const uint8_t *r2 = few_row(form, is_keys, f, k, w - 1);
		const uint8_t *next;
		size_t next_step;

		left = (f->to < end ? f->to : end) - k;
		next = ahead_take(f->ahead);
		next_step = f->ahead->bytes_a_call / (RUN / FEW_UNROLL);
		if (next == NULL) {	/* nothing but what is there */
			next = r0;
			next_step = 0;
		}
		if (source == FLOATS) {
			FEW_ROWS(vf_load(floats), vf_load(floats + VF_LANES),
			    vf_load(floats + 2 * VF_LANES));
		} else if (form == ATTEND_F16) {
			FEW_ROWS(few_load(form, r0, lo0),
			    few_load(form, r1, lo0), few_load(form, r2, lo0));
		} else if (is_keys) {
			float c[FEW_LANES];

			for (size_t j = 0; j < (size_t)w; j++)
				vf_store(c + j * VF_LANES,
				    few_scales_of_lanes(f, k / RUN, j));
			FEW_ROWS(few_load(form, r0, few_anew(c)),
			    few_load(form, r1, few_anew(c + VF_LANES)),
			    few_load(form, r2, few_anew(c + 2 * VF_LANES)));
		} else {
			float scales[2][RUN];
			const float *c0 = scales[0] + k % RUN;
			const float *c1 = c0 + few_block(f, w > 1) * RUN;
			const float *c2 = c0 + few_block(f, w - 1) * RUN;

			few_scales_of_rows(f, k / RUN, 0, scales[0]);
			few_scales_of_rows(f, k / RUN, w - 1, scales[1]);
			FEW_ROWS(few_load(form, r0, vf_set1(c0[i])),
			    few_load(form, r1, vf_set1(c1[i])),
			    few_load(form, r2, vf_set1(c2[i])));
		}
	}
	FEW_EACH(FEW_END);
}

/* Likewise of n queries, 1..FEW_MOST. */
VF_HERE void
few_products(const enum attend_form form, const bool is_keys, size_t n,
    size_t n_lanes, const struct few *f, const float *a, const float *factor,
    float *out, size_t stride)
{
#define CASE(source, n, w)						\
	case (source) << 6 | (n) << 2 | (w):				\
		few_product(form, is_keys, source, n, w, f, a, factor,	\
		    out, stride);					\
		break
#define CASES_OF_4(source, w)						\
	CASE(source, 1, w);						\
	CASE(source, 2, w);						\
	CASE(source, 3, w);						\
	CASE(source, 4, w)
#define CASES_OF_8(source, w)						\
	CASES_OF_4(source, w);						\
	CASE(source, 5, w);						\
	CASE(source, 6, w);						\
	CASE(source, 7, w);						\
	CASE(source, 8, w)
	enum few_source source = n > FEW_TILE ? LEAVING : PACKED;
	size_t some;

	for (; n > 0; n -= some, source = FLOATS) {
		some = n < FEW_TILE ? n : FEW_TILE;
		switch (source << 6 | some << 2 | n_lanes / VF_LANES) {
#if FEW_TILE < FEW_MOST
		CASES_OF_4(PACKED, FEW_WIDTH - 1);
		CASES_OF_4(PACKED, FEW_WIDTH);
		CASES_OF_4(FLOATS, FEW_WIDTH - 1);
		CASES_OF_4(FLOATS, FEW_WIDTH);
		CASE(LEAVING, FEW_TILE, FEW_WIDTH - 1);
		CASE(LEAVING, FEW_TILE, FEW_WIDTH);
#else
		CASES_OF_8(PACKED, FEW_WIDTH - 1);
		CASES_OF_8(PACKED, FEW_WIDTH);
#endif
		}
		a += some * (is_keys ? RUN : STRIDE);
		if (!is_keys)
			factor += some;
		out += some * stride;
	}
#undef CASES_OF_8
#undef CASES_OF_4
#undef CASE
}

/* Of so many lanes left, a multiple of 16, how many to take at once. */
static size_t
few_lanes(size_t n_left)
{
	return n_left % FEW_LANES == 0 || n_left > 2 * ATTEND_DIMS ?
	    FEW_LANES : ATTEND_DIMS;
}

/* ---- a step ---- */

static bool
few_will_do(const struct attend_tile *t)
{
	return t->n_queries <= FEW_MOST && t->head_dim <= FEW_DIMS;
}

/* How many runs the products with so many rows and lanes have. */
static size_t
few_calls(size_t n_queries, size_t n_rows, size_t n_lanes)
{
	return (n_rows + RUN - 1) / RUN *
	    ((n_lanes + FEW_LANES - 1) / FEW_LANES) *
	    ((n_queries + FEW_TILE - 1) / FEW_TILE);
}

/* Queries by runs of dims, [run][query][RUN]. */
static void
few_begin(struct attend_work *x)
{
	const struct attend_tile *t = x->t;

	for (size_t i = 0; i < t->n_queries; i++)
		for (size_t d = 0, n; d < t->head_dim; d += n) {
			float *to = x->few_q + d * FEW_MOST + i * RUN;

			n = t->head_dim - d < RUN ? t->head_dim - d : RUN;
			if (n == RUN)		/* without a call */
				memcpy(to, t->q[i] + d, RUN * sizeof(*to));
			else
				memcpy(to, t->q[i] + d, n * sizeof(*to));
		}
}

VF_HERE void
few_scores(const enum attend_form form, struct attend_work *x, size_t n_keys)
{
	const struct attend_tile *t = x->t;
	size_t i = x->first, n_lanes, left = (n_keys + ATTEND_DIMS - 1) /
	    ATTEND_DIMS * ATTEND_DIMS;
	struct few f = { .pages = x->heads, .to = t->head_dim,
	    .row_bytes = ATTEND_PAGE * (form == ATTEND_F16 ? 2 : 1),
	    .scales = t->head_dim * ATTEND_PAGE, .floats = x->few_floats,
	    .ahead = &x->ahead };

	for (; left > 0; left -= n_lanes, f.lane += n_lanes) {
		n_lanes = few_lanes(left);
		few_products(form, true, t->n_queries - i, n_lanes, &f,
		    x->few_q + i * RUN, NULL, x->scores[i] + f.lane, STRIDE);
	}
}

/* As values_of_tile, of all queries. */
VF_HERE void
few_values(const enum attend_form form, struct attend_work *x)
{
	const struct attend_tile *t = x->t;
	size_t dims = attend_dims(t->head_dim), n_lanes;
	size_t keys = attend_key_bytes(form, t->head_dim);
	struct few f = { .pages = x->heads, .rows = keys,
	    .row_bytes = dims * (form == ATTEND_F16 ? 2 : 1),
	    .scales = keys + dims * ATTEND_PAGE, .floats = x->few_floats,
	    .ahead = &x->ahead };

	for (; f.lane < dims; f.lane += n_lanes) {
		const float *factor = x->factor + x->first;

		n_lanes = few_lanes(dims - f.lane);
		f.from = 0;
		for (size_t i = x->first; i < t->n_queries; i++) {
			f.to = x->n_keys[i];
			if (f.to == f.from)
				continue;
			few_products(form, false, t->n_queries - i, n_lanes,
			    &f, x->scores[i], factor, t->acc + i * dims +
			    f.lane, dims);
			factor = attend_ones;
			f.from = f.to;
		}
	}
}
