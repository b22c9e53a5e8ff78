/* SPDX-License-Identifier: MIT */
/*
 * How the work of attention is divided.  Neighbouring rows of one sequence and
 * heads that share a key head make a tile (kernels/attend.h), so that keys and
 * values are read and converted once for all of them.  An item of work is a
 * tile over all its chunks of keys; where few items would be left to share, a
 * tile is split and each chunk is an item, whoever ends the last one merges.
 *
 * What must stay true: a query's result is that of its first chunk, then those
 * of later chunks merged in order.  So neither tiles nor splitting nor threads
 * can be told from it.
 */
#include "config.h"

#include "model/attend.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"

/* Below so many products a dispatch to the pool costs more than the work. */
#define SMALL_WORK	16384
/* A tile that is more than this part of a thread's share is split. */
#define ITEMS_A_THREAD	16
/* Results of chunks there is room for: those of so many sequences that use
 * the whole cache, but no more than so many chunks. */
#define MAX_SPLIT_ROWS	8
#define MAX_SPLIT_CHUNKS 1024

#define LOG2_E		1.44269504088896340736f
#define CHUNK_PAGES	(ATTEND_CHUNK / ATTEND_PAGE)

struct row {
	const struct kv_seq *seq;
	uint32_t	 pos;
};

/* Neighbouring rows of a sequence, with some heads of each key head. */
struct tile {
	uint32_t	 row, n_rows;
	uint32_t	 n_chunks;
	bool		 is_split;
	uint64_t	 cost;		/* keys that are seen, of all rows */
	size_t		 first_result;	/* of its splits, in floats */
	size_t		 first_left;
};

/* An item of work for each group of heads. */
struct part {
	uint32_t	 tile;
	uint32_t	 chunk;		/* if the tile is split */
};

struct attend {
	const struct hparams *h;
	const struct rope *rope;
	struct pool	*pool;
	struct kv_pool	*kv;
	size_t		 dims;		/* of a head, padded */
	uint32_t	 share;		/* heads that share a key head */
	uint32_t	 group;		/* of these, how many a tile has */
	uint32_t	 n_groups;	/* of all heads */
	uint32_t	 max_tile_rows;

	struct row	*rows;
	float		*cos_sin;	/* n_rot a row */
	struct tile	*tiles;
	size_t		 n_tiles;
	struct part	*parts;
	size_t		 n_parts;
	size_t		 n_planned;	/* rows of the parts */
	float		*own;		/* two results a thread */
	float		*split;		/* results of splits */
	size_t		 split_size;
	atomic_uint	*left;		/* chunks of a split tile's group */
	uint64_t	 cost;
};

/* The work of one dispatch. */
struct pass {
	struct attend	*a;
	uint32_t	 layer;
	const struct rows *q;
	struct rows	*out;
};

/* A tile and a group of heads of one layer. */
struct job {
	struct pass	*p;
	const struct tile *tile;
	size_t		 n_heads, n_queries;
	size_t		 first_head;	/* of all that a row has */
	const uint8_t	*head;
};

/* What a tile has of a chunk. */
struct result {
	struct attend_sum *sums;
	float		*acc;
};

/* ---- scratch ---- */

static size_t
result_size(const struct attend *a, size_t n_queries)
{
	return n_queries * (a->dims + sizeof(struct attend_sum) /
	    sizeof(float));
}

static struct result
result_at(float *p, size_t n_queries)
{
	struct attend_sum *sums = (void *)p;

	return (struct result){ sums, (float *)(void *)(sums + n_queries) };
}

/* What is not used stays untouched. */
static void *
scratch(size_t n, size_t each, uint64_t *n_bytes)
{
	*n_bytes += (uint64_t)n * each;
	return try_calloc(n + 1, each);
}

static bool
alloc_scratch(struct attend *a, size_t max_rows, uint64_t *n_bytes)
{
	size_t n_threads = (size_t)pool_n_threads(a->pool), n_chunks, n_angles;

	n_chunks = kv_pool_n_pages(a->kv) / CHUNK_PAGES + 1;
	n_chunks = MEM_MIN(n_chunks, (size_t)MAX_SPLIT_CHUNKS) *
	    MEM_MIN(max_rows, (size_t)MAX_SPLIT_ROWS);
	a->split_size = result_size(a, n_chunks * a->h->n_head);
	if (!size_mul(max_rows, a->h->rope.n_rot, &n_angles))
		return false;
	a->rows = scratch(max_rows, sizeof(*a->rows), n_bytes);
	a->cos_sin = scratch(n_angles, sizeof(*a->cos_sin), n_bytes);
	a->tiles = scratch(max_rows, sizeof(*a->tiles), n_bytes);
	a->parts = scratch(max_rows + n_chunks, sizeof(*a->parts), n_bytes);
	a->own = scratch(n_threads * 2 * result_size(a, ATTEND_QUERIES),
	    sizeof(*a->own), n_bytes);
	a->split = scratch(a->split_size, sizeof(*a->split), n_bytes);
	a->left = scratch(n_chunks * a->n_groups, sizeof(*a->left), n_bytes);
	return a->rows != NULL && a->cos_sin != NULL && a->tiles != NULL &&
	    a->parts != NULL && a->own != NULL && a->split != NULL &&
	    a->left != NULL;
}

int
attend_new(const struct hparams *h, const struct rope *rope, struct pool *pool,
    struct kv_pool *kv, size_t max_rows, struct attend **out,
    uint64_t *n_bytes)
{
	struct attend *a = xcalloc(1, sizeof(*a));

	a->h = h;
	a->rope = rope;
	a->pool = pool;
	a->kv = kv;
	a->dims = attend_dims(h->head_dim);
	a->share = h->n_head / h->n_head_kv;
	a->group = MEM_MIN(a->share, (uint32_t)ATTEND_QUERIES);
	a->n_groups = h->n_head_kv * ((a->share + a->group - 1) / a->group);
	a->max_tile_rows = ATTEND_QUERIES / a->group;
	*out = a;
	if (!alloc_scratch(a, max_rows, n_bytes)) {
		attend_free(out);
		return BM_ENOMEM;
	}
	return 0;
}

void
attend_free(struct attend **ap)
{
	struct attend *a = *ap;

	if (a == NULL)
		return;
	*ap = NULL;
	free(a->rows);
	free(a->cos_sin);
	free(a->tiles);
	free(a->parts);
	free(a->own);
	free(a->split);
	free(a->left);
	free(a);
}

/* ---- rows ---- */

void
attend_set_row(struct attend *a, size_t i, const struct kv_seq *seq,
    uint32_t pos)
{
	a->rows[i] = (struct row){ seq, pos };
	rope_angles(a->rope, pos, a->cos_sin + i * a->h->rope.n_rot);
}

void
attend_move_row(struct attend *a, size_t from, size_t to)
{
	a->rows[to] = a->rows[from];
}

void
attend_put_row(struct attend *a, uint32_t layer, size_t i, float *q, float *k,
    const float *v)
{
	const struct hparams *h = a->h;
	const struct row *row = &a->rows[i];
	const float *cos_sin = a->cos_sin + i * h->rope.n_rot;
	enum attend_form form = kv_pool_shape(a->kv)->form;
	size_t page = row->seq->pages[row->pos / KV_PAGE];
	size_t dim = h->head_dim;

	rope_rotate(a->rope, cos_sin, q, h->n_head, dim);
	rope_rotate(a->rope, cos_sin, k, h->n_head_kv, dim);
	for (uint32_t j = 0; j < h->n_head_kv; j++)
		attend_store(form, k + j * dim, v + j * dim, dim,
		    kv_head(a->kv, layer, j) + page * kv_page_bytes(a->kv),
		    row->pos % KV_PAGE);
}

/* ---- the plan ---- */

/* The next tile from a row on. */
static void
add_tile(struct attend *a, size_t row, size_t n_rows)
{
	const struct row *r = &a->rows[row];
	struct tile t = { .row = (uint32_t)row };

	while (t.n_rows < a->max_tile_rows && row + t.n_rows < n_rows &&
	    r[t.n_rows].seq == r->seq) {
		assert(t.n_rows == 0 || r[t.n_rows].pos >
		    r[t.n_rows - 1].pos);
		t.cost += r[t.n_rows++].pos + 1;
	}
	t.n_chunks = r[t.n_rows - 1].pos / ATTEND_CHUNK + 1;
	a->tiles[a->n_tiles++] = t;
	a->cost += t.cost * a->n_groups;
}

static int
by_cost_descending(const void *pa, const void *pb)
{
	const struct tile *a = pa, *b = pb;

	return (a->cost < b->cost) - (a->cost > b->cost);
}

struct split_room {
	size_t		 results, left;
};

/* Is the tile worth splitting, and is there room? */
static bool
split_tile(struct attend *a, struct tile *t, struct split_room *used)
{
	uint64_t n_threads = (uint64_t)pool_n_threads(a->pool);
	size_t need = result_size(a, (size_t)t->n_rows * a->h->n_head) *
	    t->n_chunks;

	if (n_threads == 1 || t->n_chunks == 1 ||
	    t->cost * n_threads * ITEMS_A_THREAD <= a->cost ||
	    need > a->split_size - used->results)
		return false;
	t->is_split = true;
	t->first_result = used->results;
	t->first_left = used->left;
	for (uint32_t i = 0; i < a->n_groups; i++)
		atomic_init(&a->left[used->left + i], t->n_chunks);
	used->results += need;
	used->left += a->n_groups;
	return true;
}

static void
make_plan(struct attend *a, size_t n_rows)
{
	struct split_room used = { 0, 0 };

	a->n_planned = n_rows;
	a->n_tiles = a->n_parts = 0;
	a->cost = 0;
	for (size_t i = 0; i < n_rows; i += a->tiles[a->n_tiles - 1].n_rows)
		add_tile(a, i, n_rows);
	/* What takes long comes first, or the others would wait for it. */
	qsort(a->tiles, a->n_tiles, sizeof(*a->tiles), by_cost_descending);
	for (size_t i = 0; i < a->n_tiles; i++) {
		uint32_t n = split_tile(a, &a->tiles[i], &used) ?
		    a->tiles[i].n_chunks : 1;

		for (uint32_t c = 0; c < n; c++)
			a->parts[a->n_parts++] =
			    (struct part){ (uint32_t)i, c };
	}
}

/* ---- attending ---- */

static struct job
job_of(struct pass *p, const struct tile *tile, uint32_t group)
{
	const struct attend *a = p->a;
	uint32_t n_pieces = a->n_groups / a->h->n_head_kv;
	uint32_t head_kv = group / n_pieces;
	uint32_t from = group % n_pieces * a->group;
	struct job j = { .p = p, .tile = tile };

	j.n_heads = MEM_MIN(a->group, a->share - from);
	j.n_queries = j.n_heads * tile->n_rows;
	j.first_head = head_kv * a->share + from;
	j.head = kv_head(a->kv, p->layer, head_kv);
	return j;
}

/* Query i of a job, in q or in out. */
static float *
query_in(const struct rows *rows, const struct job *j, size_t i)
{
	return row_at(rows, j->tile->row + i / j->n_heads) +
	    (j->first_head + i % j->n_heads) * j->p->a->h->head_dim;
}

/* How many keys of a chunk query i sees. */
static size_t
keys_of(const struct job *j, size_t i, uint32_t chunk)
{
	const struct row *row = &j->p->a->rows[j->tile->row + i / j->n_heads];
	size_t n = (size_t)row->pos + 1, before = (size_t)chunk * ATTEND_CHUNK;

	return n <= before ? 0 : MEM_MIN(n - before, (size_t)ATTEND_CHUNK);
}

/* Of a split tile, the same thread most likely takes the next head's part of
 * the chunk, or after the last head's the next chunk. */
static void
look_ahead(const struct job *j, uint32_t chunk, struct attend_tile *t)
{
	const struct attend *a = j->p->a;
	size_t head_kv = (j->first_head + j->n_heads) / a->share;
	size_t n = t->n_pages;

	t->n_pages = MEM_MIN(n, (size_t)CHUNK_PAGES);
	t->next_pages = t->pages;
	t->n_next_pages = t->n_pages;
	if (head_kv == a->h->n_head_kv) {
		head_kv = 0;
		if (chunk + 1 == j->tile->n_chunks)
			return;
		t->next_pages += CHUNK_PAGES;
		t->n_next_pages = n - t->n_pages;
	}
	t->next_head = kv_head(a->kv, j->p->layer, (uint32_t)head_kv);
}

static void
run_chunk(const struct job *j, uint32_t chunk, struct result out)
{
	const struct attend *a = j->p->a;
	const struct kv_seq *seq = a->rows[j->tile->row].seq;
	size_t first_page = (size_t)chunk * CHUNK_PAGES;
	size_t n_pages = seq->n_pages - first_page;
	struct attend_tile t = { .head_dim = a->h->head_dim,
	    .scale = LOG2_E / sqrtf((float)a->h->head_dim),
	    .n_queries = j->n_queries, .head = j->head,
	    .page_bytes = kv_page_bytes(a->kv),
	    .pages = seq->pages + first_page, .n_pages = n_pages,
	    .acc = out.acc, .sums = out.sums };

	if (j->tile->is_split)
		look_ahead(j, chunk, &t);
	for (size_t i = 0; i < j->n_queries; i++) {
		t.q[i] = query_in(j->p->q, j, i);
		t.n_keys[i] = keys_of(j, i, chunk);
	}
	attend_tile_run(kv_pool_shape(a->kv)->form, &t);
}

static void
merge(const struct job *j, uint32_t chunk, struct result all,
    struct result later)
{
	size_t dims = j->p->a->dims;

	for (size_t i = 0; i < j->n_queries; i++)
		if (keys_of(j, i, chunk) > 0)
			attend_merge(all.acc + i * dims, &all.sums[i],
			    later.acc + i * dims, &later.sums[i], dims);
}

static void
finish(const struct job *j, struct result all)
{
	size_t dims = j->p->a->dims;

	for (size_t i = 0; i < j->n_queries; i++)
		attend_finish(all.acc + i * dims, &all.sums[i],
		    query_in(j->p->out, j, i), j->p->a->h->head_dim);
}

static void
run_whole(const struct job *j, int thread)
{
	struct attend *a = j->p->a;
	size_t size = result_size(a, ATTEND_QUERIES);
	float *own = a->own + (size_t)thread * 2 * size;
	struct result all = result_at(own, j->n_queries);
	struct result later = result_at(own + size, j->n_queries);

	run_chunk(j, 0, all);
	for (uint32_t c = 1; c < j->tile->n_chunks; c++) {
		run_chunk(j, c, later);
		merge(j, c, all, later);
	}
	finish(j, all);
}

/* One chunk; after the last of the tile's group, all are merged. */
static void
run_split(const struct job *j, uint32_t group, uint32_t chunk)
{
	struct attend *a = j->p->a;
	const struct tile *tile = j->tile;
	size_t n = tile->n_chunks, size = result_size(a, j->n_queries);
	float *first = a->split + tile->first_result + result_size(a,
	    j->first_head * tile->n_rows) * n;
	struct result all = result_at(first, j->n_queries);
	atomic_uint *left = &a->left[tile->first_left + group];

	run_chunk(j, chunk, result_at(first + chunk * size, j->n_queries));
	if (atomic_fetch_sub(left, 1) > 1)
		return;
	atomic_store(left, tile->n_chunks);	/* of the next layer */
	for (uint32_t c = 1; c < n; c++)
		merge(j, c, all, result_at(first + c * size, j->n_queries));
	finish(j, all);
}

static void
run_item(void *arg, size_t i, int thread)
{
	struct pass *p = arg;
	const struct part *part = &p->a->parts[i / p->a->n_groups];
	const struct tile *tile = &p->a->tiles[part->tile];
	uint32_t group = (uint32_t)(i % p->a->n_groups);
	struct job j = job_of(p, tile, group);

	if (tile->is_split)
		run_split(&j, group, part->chunk);
	else
		run_whole(&j, thread);
}

void
attend_rows(struct attend *a, uint32_t layer, size_t n_rows,
    const struct rows *q, struct rows *out)
{
	struct pass p = { a, layer, q, out };
	size_t n;

	/* of another batch, or of rows that were moved */
	if (layer == 0 || n_rows != a->n_planned)
		make_plan(a, n_rows);
	n = a->n_parts * a->n_groups;

	if (a->cost * a->group * a->h->head_dim >= SMALL_WORK) {
		pool_run(a->pool, n, run_item, &p);
		return;
	}
	for (size_t i = 0; i < n; i++)
		run_item(&p, i, 0);
}
