/* SPDX-License-Identifier: MIT */
/*
 * From file to file, a piece of a tensor at a time: rows are unpacked to
 * floats and quantised by all threads, then written in order.  A row depends
 * on nothing but its values, so the file is the same for any number of
 * threads.  Memory: one piece and a row of floats a thread.
 */
#include "config.h"

#include "model/quantize.h"

#include <sys/statvfs.h>

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kernels/kernels.h"
#include "kernels/quantize.h"
#include "model/gguf_impl.h"
#include "model/gguf_write.h"

#define PIECE_BYTES		((size_t)8 << 20)
#define ALIGNMENT_DEFAULT	32
#define QUANTIZATION_VERSION	2	/* the layouts of today's blocks */

struct work {
	const struct quantize_job *job;
	struct gguf_write *w;
	struct quantize_result r;
	uint8_t		*piece;		/* blocks to be written */
	size_t		 piece_bytes;
	float		*rows;		/* one a thread */
	size_t		 row_n;		/* room in each */
	uint64_t	 done, total;	/* bytes read */
	/* of the piece being made */
	const struct gguf_tensor *t;
	enum tensor_type type;
	uint64_t	 first_row;
	_Atomic uint64_t bad_row;	/* the lowest; UINT64_MAX: none */
};

/* ---- which tensor becomes what ---- */

static bool
ends_with(struct slice s, const char *end)
{
	size_t n = strlen(end);

	return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

static bool
contains(struct slice s, const char *part)
{
	return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

/* Matrices by shape that are no matrices by use, or too delicate. */
static bool
is_kept(const struct gguf_tensor *t)
{
	static const char *const kept[] = {
		"_norm.", "ffn_gate_inp", "position_embd.", "token_types.",
		"rope_freqs.", "rope_factors_", "attn_rel_b.", "ssm_conv1d.",
		"shortconv.conv.", "time_mix_",
	};

	if (t->n_dims < 2 || !ends_with(t->name, ".weight"))
		return true;
	for (size_t i = 0; i < N_ELEMENTS(kept); i++)
		if (contains(t->name, kept[i]))
			return true;
	return false;
}

/* For rows that are no multiple of 256: the type in blocks of 32 with the next
 * larger size. */
static enum tensor_type
fallback_of(enum tensor_type t)
{
	switch (t) {
	case TYPE_Q2_K:
	case TYPE_Q3_K:
	case TYPE_IQ4_XS:
		return TYPE_IQ4_NL;
	case TYPE_Q4_K:
		return TYPE_Q5_0;
	case TYPE_Q5_K:
		return TYPE_Q5_1;
	case TYPE_Q6_K:
		return TYPE_Q8_0;
	default:
		return TYPE_F16;
	}
}

enum tensor_type
quantize_type_of(const struct gguf_tensor *t, enum tensor_type asked,
    bool *fallback)
{
	enum tensor_type type = asked;

	*fallback = false;
	if (is_kept(t) || t->type_id == asked)
		return (enum tensor_type)t->type_id;
	while (!quantize_fits(type, (size_t)t->dims[0])) {
		type = fallback_of(type);
		*fallback = true;
	}
	return type;
}

/* general.file_type as other software numbers it. */
static uint32_t
file_type_of(enum tensor_type t)
{
	switch (t) {
	case TYPE_F32:
		return 0;
	case TYPE_F16:
		return 1;
	case TYPE_Q4_0:
		return 2;
	case TYPE_Q4_1:
		return 3;
	case TYPE_Q8_0:
		return 7;
	case TYPE_Q5_0:
		return 8;
	case TYPE_Q5_1:
		return 9;
	case TYPE_Q2_K:
		return 10;
	case TYPE_Q3_K:
		return 11;
	case TYPE_Q4_K:
		return 14;
	case TYPE_Q5_K:
		return 16;
	case TYPE_Q6_K:
		return 18;
	case TYPE_IQ4_NL:
		return 25;
	case TYPE_IQ4_XS:
		return 30;
	case TYPE_BF16:
		return 32;
	case TYPE_MXFP4:
		return 38;
	default:
		break;
	}
	return 0;
}

/* ---- the head of the file ---- */

static void
put_keys(struct work *k)
{
	static const char *const own[] = { "general.file_type",
	    "general.quantization_version" };
	const struct gguf *g = k->job->in;
	uint32_t values[] = { file_type_of(k->job->type),
	    QUANTIZATION_VERSION };
	bool put[N_ELEMENTS(own)] = { false };

	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		size_t o = 0;

		while (o < N_ELEMENTS(own) && !slice_eq(kv->key, own[o]))
			o++;
		if (o < N_ELEMENTS(own)) {
			gguf_write_u32(k->w, own[o], values[o]);
			put[o] = true;
		} else if (kv->key.n < 6 || memcmp(kv->key.p, "split.", 6) != 0)
			gguf_write_kv(k->w, kv);
	}
	for (size_t o = 0; o < N_ELEMENTS(own); o++)
		if (!put[o])
			gguf_write_u32(k->w, own[o], values[o]);
}

static bool
is_float(uint32_t type)
{
	return type == TYPE_F32 || type == TYPE_F16 || type == TYPE_BF16;
}

static int
put_tensor(struct work *k, const struct gguf_tensor *t, struct cause *cause)
{
	bool fallback;
	enum tensor_type type = quantize_type_of(t, k->job->type, &fallback);
	uint64_t bytes;
	int rc = gguf_write_tensor(k->w, t, type, &bytes, cause);

	if (rc < 0)
		return rc;
	k->total += t->n_bytes;
	k->r.n_params += t->n_elements;
	k->r.tensor_bytes += bytes;
	k->r.n_of_type[type]++;
	k->r.n_fallback += fallback;
	if (type == t->type_id)
		return 0;
	k->r.n_requantized += !is_float(t->type_id);
	k->row_n = MEM_MAX(k->row_n, (size_t)t->dims[0]);
	k->piece_bytes = MEM_MAX(k->piece_bytes,
	    type_row_bytes(type, (size_t)t->dims[0]));
	return 0;
}

static int
plan(struct work *k, struct cause *cause)
{
	const struct gguf *g = k->job->in;
	uint32_t alignment = ALIGNMENT_DEFAULT;
	int rc = gguf_get_u32(g, "general.alignment", &alignment, cause);

	if (rc < 0 && rc != BM_ENOTFOUND)
		return rc;
	k->w = gguf_write_new(alignment);
	k->piece_bytes = PIECE_BYTES;
	put_keys(k);
	for (size_t i = 0; i < gguf_n_tensors(g); i++)
		if ((rc = put_tensor(k, gguf_tensor_at(g, i), cause)) < 0)
			return rc;
	k->r.file_bytes = gguf_write_file_bytes(k->w);
	return 0;
}

static int
make_room(struct work *k, struct cause *cause)
{
	size_t n;

	if (!size_mul(k->row_n, (size_t)pool_n_threads(k->job->pool), &n))
		n = SIZE_MAX;
	k->piece = try_malloc(k->piece_bytes);
	k->rows = try_calloc(n + 1, sizeof(*k->rows));
	if (k->piece == NULL || k->rows == NULL)
		return cause_set(cause, BM_ENOMEM,
		    "no memory for rows of %zu values", k->row_n);
	return 0;
}

/* Refuse at once what could not be finished. */
static int
check_disk(const struct work *k, struct cause *cause)
{
	char need[32], have[32];
	struct statvfs fs;
	uint64_t free_bytes;

	/* A file system without a size has no limit to tell. */
	if (fstatvfs(k->job->fd, &fs) == -1 || fs.f_blocks == 0)
		return 0;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (k->r.file_bytes <= free_bytes)
		return 0;
	return cause_set(cause, BM_EDISK, "the file needs %s, the disk has "
	    "%s left", str_from_bytes(need, sizeof(need), k->r.file_bytes),
	    str_from_bytes(have, sizeof(have), free_bytes));
}

/* ---- the data ---- */

static void
convert_row(void *arg, size_t i, int thread)
{
	struct work *k = arg;
	const struct gguf_tensor *t = k->t;
	size_t n = (size_t)t->dims[0];
	enum tensor_type from = (enum tensor_type)t->type_id;
	uint64_t row = k->first_row + i, seen;
	float *x = k->rows + (size_t)thread * k->row_n;

	kern->unpack[from]((const uint8_t *)t->data +
	    row * type_row_bytes(from, n), x, n);
	if (quantize_row(k->type, x, NULL,
	    k->piece + i * type_row_bytes(k->type, n), n) == 0)
		return;
	seen = atomic_load(&k->bad_row);
	while (row < seen &&
	    !atomic_compare_exchange_weak(&k->bad_row, &seen, row))
		;
}

/* Say which value of the row can't be stored. */
static int
blame_row(struct work *k, uint64_t row, struct cause *cause)
{
	const struct gguf_tensor *t = k->t;
	size_t n = (size_t)t->dims[0], worst = 0;
	char name[NAME_VIS];
	float *x = k->rows;

	kern->unpack[t->type_id]((const uint8_t *)t->data + row *
	    type_row_bytes((enum tensor_type)t->type_id, n), x, n);
	for (size_t i = 0; i < n && !isnan(x[worst]); i++)
		if (!(fabsf(x[i]) <= fabsf(x[worst])))
			worst = i;
	return cause_set(cause, BM_ELIMIT, "tensor '%s', row %llu: the value "
	    "%g at column %zu %s", slice_vis(name, t->name),
	    (unsigned long long)row, (double)x[worst], worst,
	    isfinite(x[worst]) ? "is too large for the type" :
	    "is not finite: the file is damaged");
}

static int
tell(struct work *k, uint64_t more, struct cause *cause)
{
	int rc;

	k->done += more;
	if (k->job->progress == NULL)
		return 0;
	rc = k->job->progress(k->job->arg, k->done, k->total);
	return rc == 0 ? 0 : cause_set(cause, rc, "%s", err_text(rc));
}

static int
copy_tensor(struct work *k, struct cause *cause)
{
	const uint8_t *from = k->t->data;
	uint64_t left = k->t->n_bytes;
	int rc = 0;

	while (left > 0 && rc == 0) {
		size_t some = (size_t)MEM_MIN(left, (uint64_t)PIECE_BYTES);

		if ((rc = gguf_write_data(k->w, from, some, cause)) == 0)
			rc = tell(k, some, cause);
		from += some;
		left -= some;
	}
	return rc;
}

static int
convert_tensor(struct work *k, struct cause *cause)
{
	const struct gguf_tensor *t = k->t;
	size_t n = (size_t)t->dims[0], bytes = type_row_bytes(k->type, n);
	uint64_t n_rows = t->n_elements / n, row;
	size_t at_once = k->piece_bytes / bytes, some;
	uint64_t read_bytes = type_row_bytes((enum tensor_type)t->type_id, n);
	int rc;

	for (row = 0; row < n_rows; row += some) {
		some = (size_t)MEM_MIN(n_rows - row, (uint64_t)at_once);
		k->first_row = row;
		pool_run(k->job->pool, some, convert_row, k);
		if (atomic_load(&k->bad_row) != UINT64_MAX)
			return blame_row(k, atomic_load(&k->bad_row), cause);
		if ((rc = gguf_write_data(k->w, k->piece, some * bytes,
		    cause)) < 0 ||
		    (rc = tell(k, some * read_bytes, cause)) < 0)
			return rc;
	}
	return 0;
}

static int
write_tensors(struct work *k, struct cause *cause)
{
	const struct gguf *g = k->job->in;
	bool fallback;
	int rc = 0;

	for (size_t i = 0; i < gguf_n_tensors(g) && rc == 0; i++) {
		k->t = gguf_tensor_at(g, i);
		k->type = quantize_type_of(k->t, k->job->type, &fallback);
		rc = k->type == k->t->type_id ? copy_tensor(k, cause) :
		    convert_tensor(k, cause);
	}
	return rc;
}

int
quantize_model(const struct quantize_job *job, struct quantize_result *out,
    struct cause *cause)
{
	struct work k = { .job = job, .bad_row = UINT64_MAX };
	int rc;

	if ((rc = plan(&k, cause)) == 0 &&
	    (rc = check_disk(&k, cause)) == 0 &&
	    (rc = make_room(&k, cause)) == 0 &&
	    (rc = gguf_write_begin(k.w, job->fd, cause)) == 0 &&
	    (rc = write_tensors(&k, cause)) == 0)
		rc = gguf_write_end(k.w, cause);
	if (rc == 0)
		*out = k.r;
	gguf_write_free(&k.w);
	free(k.piece);
	free(k.rows);
	return rc;
}
