/* SPDX-License-Identifier: MIT */
/*
 * A file on a disk is written by write(2) from buffers, not through a mapping:
 * a full or failing disk then is an error here and no SIGBUS, and writes of
 * whole huge pages let file systems that can keep such pages do so.  For the
 * same reason a check first asks the system to populate what it will read.
 */
#include "config.h"

#include "model/weights_map.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/mem.h"
#include "kernels/pack.h"

#define HUGE_PAGE	((size_t)2 << 20)
#define CHUNK		HUGE_PAGE
#define TABLE_AT	4096
#define FORMAT_VERSION	1
#define FILE_VERSION	((uint32_t)FORMAT_VERSION << 16 | PACK_VERSION)

static const char file_magic[8] = "BMWEIGHT";

struct header {
	char		 magic[8];
	uint32_t	 version;
	uint32_t	 chunk_bytes;
	uint64_t	 id[2];
	uint64_t	 n_bytes;	/* of the layout */
	uint64_t	 file_bytes;
	uint64_t	 table_digest;
	uint64_t	 digest;	/* of all before it */
};

static size_t
round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static size_t
count_chunks(const struct weights_layout *l)
{
	return (l->n_bytes + CHUNK - 1) / CHUNK;
}

static size_t
chunk_bytes(const struct weights_layout *l, size_t i)
{
	return MEM_MIN(CHUNK, l->n_bytes - i * CHUNK);
}

static size_t
table_bytes(const struct weights_layout *l)
{
	return count_chunks(l) * sizeof(uint64_t);
}

/* Where the layout begins. */
static size_t
data_at(const struct weights_layout *l)
{
	return round_up(TABLE_AT + table_bytes(l), HUGE_PAGE);
}

uint64_t
weights_file_bytes(const struct weights_layout *l)
{
	return data_at(l) + round_up(l->n_bytes, HUGE_PAGE);
}

void
weights_progress(const struct weights_source *s, uint64_t n_done)
{
	if (s->plan->progress != NULL)
		s->plan->progress(s->plan->progress_arg, n_done,
		    s->layout->n_bytes);
}

/* ---- mappings ---- */

/* n bytes that begin where a huge page can; NULL when there is no room. */
static void *
map_aligned(size_t n, int prot, int flags, int fd, size_t offset)
{
	uint8_t *p = mmap(NULL, n + HUGE_PAGE, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *at;
	void *got;

	if (p == MAP_FAILED)
		return NULL;
	at = p + (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
	if (at > p)
		munmap(p, (size_t)(at - p));
	if (at < p + HUGE_PAGE)
		munmap(at + n, (size_t)(p + HUGE_PAGE - at));
	got = mmap(at, n, prot, flags | MAP_FIXED, fd, (off_t)offset);
	if (got == MAP_FAILED) {
		munmap(at, n);
		return NULL;
	}
	madvise(got, n, MADV_HUGEPAGE);
	return got;
}

void
weights_unmap(struct weights_map *m)
{
	if (m->at == NULL)
		return;
	munmap(m->at, m->map_bytes);
	if (m->fd != -1)
		close(m->fd);
	*m = (struct weights_map){ 0 };
}

static void
set_map(struct weights_map *m, const struct weights_layout *l, void *at,
    bool is_shared)
{
	*m = (struct weights_map){ .packed = at, .n_bytes = l->n_bytes,
	    .at = at, .map_bytes = round_up(l->n_bytes, HUGE_PAGE), .fd = -1,
	    .is_shared = is_shared };
}

/* ---- all chunks, by all threads ---- */

struct work {
	const struct weights_source *s;
	uint8_t		*data;		/* of the layout; NULL: */
	int		 fd;		/* written to here */
	uint8_t		*buffers;	/* a chunk for each thread */
	uint64_t	*table;		/* NULL: not wanted */
	atomic_size_t	 n_done;
	atomic_int	 error;
	atomic_size_t	 bad_chunk;
};

static void
run(struct work *w, pool_fn fn)
{
	size_t n = count_chunks(w->s->layout);

	if (w->s->plan->pool != NULL)
		pool_run(w->s->plan->pool, n, fn, w);
	else
		for (size_t i = 0; i < n; i++)
			fn(w, i, 0);
}

static void
chunk_done(struct work *w, size_t i, int thread)
{
	size_t n = chunk_bytes(w->s->layout, i);

	n += atomic_fetch_add(&w->n_done, n);
	if (thread == 0)
		weights_progress(w->s, n);
}

static int
write_all(int fd, const void *p, size_t n, size_t at)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, p, n, (off_t)at);

		if (done == -1 && errno == EINTR)
			continue;
		if (done <= 0)
			return done == -1 ? -errno : BM_EIO;
		p = (const uint8_t *)p + done;
		at += (size_t)done;
		n -= (size_t)done;
	}
	return 0;
}

static void
pack_chunk(void *arg, size_t i, int thread)
{
	struct work *w = arg;
	const struct weights_layout *l = w->s->layout;
	size_t n = chunk_bytes(l, i), at = data_at(l) + i * CHUNK;
	uint8_t *to = w->data != NULL ? w->data + i * CHUNK :
	    w->buffers + (size_t)thread * CHUNK;
	int r;

	if (atomic_load(&w->error) != 0)
		return;
	weights_pack(l, w->s->gguf, i * CHUNK, n, to);
	if (w->table != NULL)
		w->table[i] = digest64(to, n, i);
	if (w->data == NULL) {
		if ((r = write_all(w->fd, to, n, at)) != 0)
			atomic_store(&w->error, r);
		/* the disk works while we do */
		(void)sync_file_range(w->fd, (off_t)at, (off_t)n,
		    SYNC_FILE_RANGE_WRITE);
	}
	chunk_done(w, i, thread);
}

static void
check_chunk(void *arg, size_t i, int thread)
{
	struct work *w = arg;
	uint8_t *data = w->data + i * CHUNK;
	size_t n = chunk_bytes(w->s->layout, i);

	if (atomic_load(&w->error) != 0)
		return;
	if (madvise(data, n, MADV_POPULATE_READ) == -1 && errno != EINVAL)
		atomic_store(&w->error, BM_EIO);
	else if (digest64(data, n, i) != w->table[i])
		atomic_store(&w->error, BM_EFORMAT);
	if (atomic_load(&w->error) != 0)
		atomic_store(&w->bad_chunk, i);
	chunk_done(w, i, thread);
}

/* ---- writing ---- */

static int
write_head(const struct weights_source *s, int fd, const uint64_t *table)
{
	const struct weights_layout *l = s->layout;
	struct header h = { .version = FILE_VERSION, .chunk_bytes = CHUNK,
	    .id = { s->id[0], s->id[1] }, .n_bytes = l->n_bytes,
	    .file_bytes = weights_file_bytes(l),
	    .table_digest = digest64(table, table_bytes(l), 0) };
	int r;

	memcpy(h.magic, file_magic, sizeof(h.magic));
	h.digest = digest64(&h, offsetof(struct header, digest), 0);
	if ((r = write_all(fd, table, table_bytes(l), TABLE_AT)) != 0)
		return r;
	return write_all(fd, &h, sizeof(h), 0);
}

/* What was begun to be written is brought to its end, with progress; only then
 * the file system is asked to answer for everything. */
static int
sync_data(const struct weights_source *s, int fd)
{
	size_t step = 32 * CHUNK, end = weights_file_bytes(s->layout);

	for (size_t at = 0; at < end; at += step) {
		(void)sync_file_range(fd, (off_t)at, (off_t)step,
		    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
		    SYNC_FILE_RANGE_WAIT_AFTER);
		weights_progress(s, s->layout->n_bytes);
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

static int
write_memory(struct work *w)
{
	const struct weights_layout *l = w->s->layout;
	size_t n = round_up(l->n_bytes, HUGE_PAGE);

	w->data = map_aligned(n, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd,
	    data_at(l));
	if (w->data == NULL)
		return -errno;
	run(w, pack_chunk);
	munmap(w->data, n);
	return write_head(w->s, w->fd, w->table);
}

static int
write_disk(struct work *w)
{
	const struct weights_layout *l = w->s->layout;
	const struct pool *pool = w->s->plan->pool;
	size_t n_threads = pool == NULL ? 1 : (size_t)pool_n_threads(pool);
	int r;

	/* Room, before the work; where it can't be had so, writing tells. */
	if (fallocate(w->fd, 0, (off_t)data_at(l), (off_t)l->n_bytes) == -1 &&
	    errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	w->buffers = try_aligned(64, n_threads * CHUNK);
	if (w->buffers == NULL)
		return BM_ENOMEM;
	run(w, pack_chunk);
	free(w->buffers);
	if ((r = atomic_load(&w->error)) != 0 ||
	    (r = write_head(w->s, w->fd, w->table)) != 0)
		return r;
	return sync_data(w->s, w->fd);
}

int
weights_file_write(const struct weights_source *s, int fd, bool in_memory,
    struct cause *cause)
{
	struct work w = { .s = s, .fd = fd };
	int r;

	w.table = try_calloc(count_chunks(s->layout), sizeof(*w.table));
	if (w.table == NULL)
		return cause_set(cause, BM_ENOMEM, "no memory for a table");
	if (ftruncate(fd, (off_t)weights_file_bytes(s->layout)) == -1)
		r = -errno;
	else
		r = in_memory ? write_memory(&w) : write_disk(&w);
	free(w.table);
	return r == 0 ? 0 : cause_set(cause, r, "%s", err_text(r));
}

/* ---- reading ---- */

static int
read_exactly(int fd, void *p, size_t n, size_t at, struct cause *cause)
{
	ssize_t got = pread(fd, p, n, (off_t)at);

	if (got == -1)
		return cause_set(cause, -errno, "%s", strerror(errno));
	if ((size_t)got != n)
		return cause_set(cause, BM_EFORMAT, "it is cut short");
	return 0;
}

static int
check_header(const struct weights_source *s, const struct header *h,
    uint64_t size, struct cause *cause)
{
	if (memcmp(h->magic, file_magic, sizeof(h->magic)) != 0)
		return cause_set(cause, BM_EFORMAT,
		    "it is no file of packed weights");
	if (h->version != FILE_VERSION)
		return cause_set(cause, BM_EFORMAT,
		    "its layout has version %u.%u, not %u.%u",
		    h->version >> 16, h->version & 0xffff, FORMAT_VERSION,
		    PACK_VERSION);
	if (h->digest != digest64(h, offsetof(struct header, digest), 0))
		return cause_set(cause, BM_EFORMAT, "its header is damaged");
	if (h->id[0] != s->id[0] || h->id[1] != s->id[1])
		return cause_set(cause, BM_EFORMAT,
		    "it belongs to another model");
	if (h->chunk_bytes != CHUNK || h->n_bytes != s->layout->n_bytes ||
	    h->file_bytes != weights_file_bytes(s->layout))
		return cause_set(cause, BM_EFORMAT,
		    "it has %" PRIu64 " bytes of weights, the model %zu",
		    h->n_bytes, s->layout->n_bytes);
	if (size != h->file_bytes)
		return cause_set(cause, BM_EFORMAT,
		    "it has %" PRIu64 " bytes, not %" PRIu64, size,
		    h->file_bytes);
	return 0;
}

/* *out: the table, checked, to be freed. */
static int
read_head(const struct weights_source *s, int fd, uint64_t **out,
    struct cause *cause)
{
	size_t n = table_bytes(s->layout);
	struct header h;
	struct stat st;
	uint64_t *table;
	int r;

	if (fstat(fd, &st) == -1)
		return cause_set(cause, -errno, "%s", strerror(errno));
	if ((r = read_exactly(fd, &h, sizeof(h), 0, cause)) != 0 ||
	    (r = check_header(s, &h, (uint64_t)st.st_size, cause)) != 0)
		return r;
	if ((table = try_malloc(n)) == NULL)
		return cause_set(cause, BM_ENOMEM, "no memory for its table");
	r = read_exactly(fd, table, n, TABLE_AT, cause);
	if (r == 0 && digest64(table, n, 0) != h.table_digest)
		r = cause_set(cause, BM_EFORMAT, "its table is damaged");
	if (r == 0)
		*out = table;
	else
		free(table);
	return r;
}

static int
check_data(const struct weights_source *s, void *data, uint64_t *table,
    struct cause *cause)
{
	struct work w = { .s = s, .data = data, .table = table };
	size_t at;
	int r;

	run(&w, check_chunk);
	if ((r = atomic_load(&w.error)) == 0)
		return 0;
	at = data_at(s->layout) + atomic_load(&w.bad_chunk) * CHUNK;
	return cause_set(cause, r, "its bytes %zu to %zu %s", at,
	    at + CHUNK - 1, r == BM_EFORMAT ? "are damaged" :
	    "can't be read");
}

int
weights_map_file(const struct weights_source *s, int fd, bool checks_all,
    struct weights_map *out, struct cause *cause)
{
	const struct weights_layout *l = s->layout;
	uint64_t *table = NULL;
	void *at;
	int r;

	if ((r = read_head(s, fd, &table, cause)) != 0)
		return r;
	at = map_aligned(round_up(l->n_bytes, HUGE_PAGE), PROT_READ,
	    MAP_SHARED, fd, data_at(l));
	if (at == NULL) {
		free(table);
		return cause_set(cause, -errno, "can't map it: %s",
		    strerror(errno));
	}
	set_map(out, l, at, true);
	if (checks_all && (r = check_data(s, at, table, cause)) != 0)
		weights_unmap(out);
	free(table);
	return r;
}

int
weights_map_anonymous(const struct weights_source *s, struct weights_map *out,
    struct cause *cause)
{
	const struct weights_layout *l = s->layout;
	size_t n = round_up(l->n_bytes, HUGE_PAGE);
	struct work w = { .s = s };

	w.data = map_aligned(n, PROT_READ | PROT_WRITE, MAP_PRIVATE |
	    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w.data == NULL)
		return cause_set(cause, BM_ENOMEM,
		    "no memory for %zu bytes of weights", n);
	run(&w, pack_chunk);
	set_map(out, l, w.data, false);
	return 0;
}
