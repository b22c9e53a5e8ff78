/* SPDX-License-Identifier: MIT */
/*
 * A GGUF file as a stream.  What must stay true: offsets are multiples of the
 * alignment and follow the tensors' order without gaps but padding, as every
 * reader accepts it; n_data never passes what begin promised.
 */
#include "config.h"

#include "model/gguf_write.h"

#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/gguf_impl.h"

#define GGUF_VERSION	3
#define HEAD_MAX	((size_t)1 << 40)

struct gguf_write {
	uint64_t	 alignment;
	uint64_t	 n_kv;
	uint64_t	 n_tensors;
	struct buf	 kv;
	struct buf	 infos;
	uint64_t	 data_bytes;	/* of all tensors, padded */
	uint64_t	*ends;		/* of each tensor, not padded */
	/* while writing */
	int		 fd;
	size_t		 at;		/* the tensor being written */
	uint64_t	 n_data;	/* bytes of data written */
};

struct gguf_write *
gguf_write_new(uint64_t alignment)
{
	struct gguf_write *w = xcalloc(1, sizeof(*w));

	w->alignment = alignment;
	w->fd = -1;
	buf_init(&w->kv, HEAD_MAX);
	buf_init(&w->infos, HEAD_MAX);
	return w;
}

void
gguf_write_free(struct gguf_write **wp)
{
	struct gguf_write *w = *wp;

	if (w == NULL)
		return;
	buf_fini(&w->kv);
	buf_fini(&w->infos);
	free(w->ends);
	free(w);
	*wp = NULL;
}

static void
put_string(struct buf *b, struct slice s)
{
	buf_put_u64(b, s.n);
	buf_put(b, s.p, s.n);
}

/* The bytes of a value, which the reader has checked. */
static size_t
value_bytes(const struct gguf_kv *kv)
{
	const uint8_t *p = kv->data;
	struct cur c;

	if (kv->element != GGUF_STR)
		return (size_t)kv->n * gguf_type_bytes(kv->element);
	for (uint64_t i = 0; i < kv->n; i++) {
		c = cur_of(p, sizeof(uint64_t));
		p += sizeof(uint64_t) + cur_u64(&c);
	}
	return (size_t)(p - kv->data);
}

void
gguf_write_kv(struct gguf_write *w, const struct gguf_kv *kv)
{
	put_string(&w->kv, kv->key);
	buf_put_u32(&w->kv, kv->type);
	if (kv->type == GGUF_ARR) {
		buf_put_u32(&w->kv, kv->element);
		buf_put_u64(&w->kv, kv->n);
	}
	buf_put(&w->kv, kv->data, value_bytes(kv));
	w->n_kv++;
}

void
gguf_write_u32(struct gguf_write *w, const char *key, uint32_t v)
{
	put_string(&w->kv, slice_of(key));
	buf_put_u32(&w->kv, GGUF_U32);
	buf_put_u32(&w->kv, v);
	w->n_kv++;
}

/* To a multiple of the alignment; false when that wraps. */
static bool
pad(const struct gguf_write *w, uint64_t n, uint64_t *out)
{
	uint64_t mask = w->alignment - 1;

	if (__builtin_add_overflow(n, mask, out))
		return false;
	*out &= ~mask;
	return true;
}

int
gguf_write_tensor(struct gguf_write *w, const struct gguf_tensor *like,
    enum tensor_type type, uint64_t *n_bytes, struct cause *cause)
{
	const struct type_info *info = type_info(type);
	char name[NAME_VIS];
	uint64_t bytes, end, padded;

	if (__builtin_mul_overflow(like->n_elements / info->block_n,
	    (uint64_t)info->block_bytes, &bytes) ||
	    __builtin_add_overflow(w->data_bytes, bytes, &end) ||
	    !pad(w, end, &padded) || padded > INT64_MAX / 2)
		return cause_set(cause, BM_ELIMIT, "tensor '%s' would make the "
		    "file too long", slice_vis(name, like->name));
	put_string(&w->infos, like->name);
	buf_put_u32(&w->infos, like->n_dims);
	for (uint32_t i = 0; i < like->n_dims; i++)
		buf_put_u64(&w->infos, like->dims[i]);
	buf_put_u32(&w->infos, type);
	buf_put_u64(&w->infos, w->data_bytes);
	w->ends = xreallocarray(w->ends, (size_t)w->n_tensors + 1,
	    sizeof(*w->ends));
	w->ends[w->n_tensors++] = end;
	w->data_bytes = padded;
	*n_bytes = bytes;
	return 0;
}

static uint64_t
head_bytes(const struct gguf_write *w)
{
	uint64_t n = 4 + 4 + 8 + 8 + w->kv.len + w->infos.len;

	return (n + w->alignment - 1) & ~(w->alignment - 1);
}

uint64_t
gguf_write_file_bytes(const struct gguf_write *w)
{
	return head_bytes(w) + w->data_bytes;
}

/* The disk's own words; being full in any way is BM_EDISK. */
static int
disk_error(const struct gguf_write *w, int err, struct cause *cause)
{
	bool full = err == ENOSPC || err == EDQUOT || err == EFBIG;

	return cause_set(cause, full ? BM_EDISK : -err,
	    full ? "no room for %llu bytes: %s" : "writing %llu bytes: %s",
	    (unsigned long long)gguf_write_file_bytes(w), strerror(err));
}

static int
write_all(struct gguf_write *w, const void *p, size_t n, struct cause *cause)
{
	const uint8_t *from = p;

	while (n > 0) {
		ssize_t done = write(w->fd, from, MEM_MIN(n, (size_t)1 << 30));

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return disk_error(w, errno, cause);
		from += done;
		n -= (size_t)done;
	}
	return 0;
}

static int
write_zeros(struct gguf_write *w, uint64_t n, struct cause *cause)
{
	static const uint8_t zeros[4096];
	int rc = 0;

	while (n > 0 && rc == 0) {
		size_t some = (size_t)MEM_MIN(n, (uint64_t)sizeof(zeros));

		rc = write_all(w, zeros, some, cause);
		n -= some;
	}
	return rc;
}

/* Where blocks can't be reserved, at least look whether there are enough. */
static int
reserve(struct gguf_write *w, struct cause *cause)
{
	uint64_t n = gguf_write_file_bytes(w);
	struct statvfs fs;

	if (fallocate(w->fd, 0, 0, (off_t)n) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
		return disk_error(w, errno, cause);
	if (fstatvfs(w->fd, &fs) == 0 &&
	    (uint64_t)fs.f_bavail < n / fs.f_frsize)
		return disk_error(w, ENOSPC, cause);
	return 0;
}

int
gguf_write_begin(struct gguf_write *w, int fd, struct cause *cause)
{
	struct buf head;
	uint64_t n;
	int rc;

	w->fd = fd;
	if ((rc = reserve(w, cause)) < 0)
		return rc;
	buf_init(&head, 64);
	buf_put(&head, "GGUF", 4);
	buf_put_u32(&head, GGUF_VERSION);
	buf_put_u64(&head, w->n_tensors);
	buf_put_u64(&head, w->n_kv);
	n = head.len + w->kv.len + w->infos.len;
	if ((rc = write_all(w, head.data, head.len, cause)) == 0 &&
	    (rc = write_all(w, w->kv.data, w->kv.len, cause)) == 0 &&
	    (rc = write_all(w, w->infos.data, w->infos.len, cause)) == 0)
		rc = write_zeros(w, head_bytes(w) - n, cause);
	buf_fini(&head);
	return rc;
}

int
gguf_write_data(struct gguf_write *w, const void *p, size_t n,
    struct cause *cause)
{
	const uint8_t *from = p;
	uint64_t padded;
	int rc;

	while (n > 0) {
		size_t some;

		if (w->at == w->n_tensors)
			return cause_set(cause, BM_EINTERNAL,
			    "more data than tensors");
		some = (size_t)MEM_MIN((uint64_t)n,
		    w->ends[w->at] - w->n_data);
		if ((rc = write_all(w, from, some, cause)) < 0)
			return rc;
		from += some;
		n -= some;
		w->n_data += some;
		if (w->n_data < w->ends[w->at])
			continue;
		(void)pad(w, w->n_data, &padded);
		if ((rc = write_zeros(w, padded - w->n_data, cause)) < 0)
			return rc;
		w->n_data = padded;
		w->at++;
	}
	return 0;
}

int
gguf_write_end(struct gguf_write *w, struct cause *cause)
{
	if (w->at != w->n_tensors)
		return cause_set(cause, BM_EINTERNAL,
		    "less data than tensors");
	return fsync(w->fd) == 0 ? 0 : disk_error(w, errno, cause);
}
