/* SPDX-License-Identifier: MIT */
/*
 * A model's files: mapping them, joining the parts, finding things by name.
 *
 * The mapping is private and read-only, so nobody's writing changes what was
 * checked as long as the pages are not reread; somebody who truncates the file
 * under us still causes SIGBUS, which ends this worker and no more: the master
 * starts another, which will refuse the file.
 */
#include "config.h"

#include "model/gguf_impl.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/mem.h"

static struct gguf *
new_gguf(int n_parts)
{
	struct gguf *g = xcalloc(1, sizeof(*g));

	g->parts = xcalloc((size_t)n_parts, sizeof(*g->parts));
	g->n_parts = n_parts;
	return g;
}

void
gguf_free(struct gguf **gp)
{
	struct gguf *g = *gp;

	if (g == NULL)
		return;
	if (g->tensors != g->parts[0].tensors)
		free(g->tensors);
	for (int i = 0; i < g->n_parts; i++) {
		struct gguf_part *part = &g->parts[i];

		if (part->mapped)
			munmap((void *)(uintptr_t)part->data, part->n_bytes);
		part_fini(part);
	}
	free(g->tensor_order);
	free(g->parts);
	free(g);
	*gp = NULL;
}

static int
map_part(struct gguf_part *part, int fd, const char *name,
    struct cause *cause)
{
	struct stat st;
	void *at;

	/* The last component: a long path would crowd out the cause. */
	name = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
	part->name = xstrdup(name);
	if (fstat(fd, &st) < 0)
		return cause_set(cause, -errno, "%s: %s", name,
		    strerror(errno));
	if (!S_ISREG(st.st_mode))
		return cause_set(cause, BM_EFORMAT, "%s: not a regular file",
		    name);
	if (st.st_size == 0)
		return cause_set(cause, BM_EFORMAT, "%s: the file is empty",
		    name);
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return cause_set(cause, -errno, "%s: cannot map it: %s", name,
		    strerror(errno));
	part->data = at;
	part->n_bytes = (size_t)st.st_size;
	part->mapped = true;
	part->stamp[0] = st.st_dev;
	part->stamp[1] = st.st_ino;
	part->stamp[2] = (uint64_t)st.st_mtim.tv_sec;
	part->stamp[3] = (uint64_t)st.st_mtim.tv_nsec;
	return 0;
}

/* One array of all parts' tensors; a single file's array serves as it is. */
static int
join_tensors(struct gguf *g, struct cause *cause)
{
	size_t at = 0;

	for (int i = 0; i < g->n_parts; i++)
		g->n_tensors += g->parts[i].n_tensors;
	if (g->n_parts == 1) {
		g->tensors = g->parts[0].tensors;
		return 0;
	}
	g->tensors = try_calloc(g->n_tensors + 1, sizeof(*g->tensors));
	if (g->tensors == NULL)
		return cause_set(cause, BM_ENOMEM, "no memory for %zu tensors",
		    g->n_tensors);
	for (int i = 0; i < g->n_parts; i++) {
		memcpy(g->tensors + at, g->parts[i].tensors,
		    g->parts[i].n_tensors * sizeof(*g->tensors));
		at += g->parts[i].n_tensors;
	}
	return 0;
}

static int
tensor_name_cmp(const void *va, const void *vb)
{
	const struct gguf_tensor *a = *(const struct gguf_tensor *const *)va;
	const struct gguf_tensor *b = *(const struct gguf_tensor *const *)vb;

	return slice_cmp(a->name, b->name);
}

static int
order_tensors(struct gguf *g, struct cause *cause)
{
	char name[NAME_VIS];

	g->tensor_order = try_calloc(g->n_tensors + 1,
	    sizeof(*g->tensor_order));
	if (g->tensor_order == NULL)
		return cause_set(cause, BM_ENOMEM, "no memory for %zu tensors",
		    g->n_tensors);
	for (size_t i = 0; i < g->n_tensors; i++)
		g->tensor_order[i] = &g->tensors[i];
	qsort(g->tensor_order, g->n_tensors, sizeof(*g->tensor_order),
	    tensor_name_cmp);
	for (size_t i = 1; i < g->n_tensors; i++) {
		const struct gguf_tensor *a = g->tensor_order[i - 1];
		const struct gguf_tensor *b = g->tensor_order[i];

		if (slice_cmp(a->name, b->name) == 0)
			return cause_set(cause, BM_EFORMAT, "%s: tensor '%s' "
			    "is there twice, with data at bytes %llu and %llu",
			    g->parts[b->part].name, slice_vis(name, b->name),
			    (unsigned long long)a->offset,
			    (unsigned long long)b->offset);
	}
	return 0;
}

/* Parse mapped parts and fit them together. */
static int
load(struct gguf *g, struct cause *cause)
{
	int rc;

	for (int i = 0; i < g->n_parts; i++) {
		struct gguf_part *part = &g->parts[i];

		if ((rc = part_parse(part, i, cause)) < 0)
			return part_blame(part, rc, cause);
		g->n_bytes += part->n_bytes;
	}
	if ((rc = join_tensors(g, cause)) < 0 ||
	    (rc = split_check(g, cause)) < 0)
		return rc;
	return order_tensors(g, cause);
}

int
gguf_open(const int *fds, const char *const *names, int n_fds,
    struct gguf **out, struct cause *cause)
{
	struct gguf *g;
	int rc = 0;

	if (n_fds < 1 || n_fds > GGUF_MAX_PARTS)
		return cause_set(cause, BM_EFORMAT,
		    "a model has 1 to %d files, not %d", GGUF_MAX_PARTS,
		    n_fds);
	g = new_gguf(n_fds);
	for (int i = 0; i < n_fds && rc == 0; i++)
		rc = map_part(&g->parts[i], fds[i], names[i], cause);
	if (rc == 0)
		rc = load(g, cause);
	if (rc < 0) {
		gguf_free(&g);
		return rc;
	}
	*out = g;
	return 0;
}

int
gguf_open_memory(const void *data, size_t n, struct gguf **out,
    struct cause *cause)
{
	struct gguf *g;
	int rc;

	if ((uintptr_t)data % sizeof(uint64_t) != 0)
		return cause_set(cause, -EINVAL, "the memory is not aligned");
	g = new_gguf(1);
	g->parts[0].name = xstrdup("memory");
	g->parts[0].data = data;
	g->parts[0].n_bytes = n;
	if ((rc = load(g, cause)) < 0) {
		gguf_free(&g);
		return rc;
	}
	*out = g;
	return 0;
}

void
gguf_drop(const struct gguf *g, const void *data, size_t n)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = ((uintptr_t)data + page - 1) / page * page;
	uintptr_t end = ((uintptr_t)data + n) / page * page;
	int i;

	for (i = 0; i < g->n_parts; i++) {
		uintptr_t at = (uintptr_t)g->parts[i].data;

		if (g->parts[i].mapped && from >= at && from < end &&
		    end <= at + g->parts[i].n_bytes)
			madvise((void *)from, end - from, MADV_DONTNEED);
	}
}

/* Bytes before the first tensor's. */
static size_t
head_bytes(const struct gguf_part *part)
{
	uint64_t least = part->n_bytes;

	for (size_t i = 0; i < part->n_tensors; i++)
		least = MEM_MIN(least, part->tensors[i].offset);
	return (size_t)least;
}

void
gguf_identity(const struct gguf *g, uint64_t id[2])
{
	for (uint64_t i = 0; i < 2; i++) {
		id[i] = i;
		for (int j = 0; j < g->n_parts; j++) {
			const struct gguf_part *part = &g->parts[j];

			id[i] = digest64(part->stamp, sizeof(part->stamp),
			    digest_mix(id[i], part->n_bytes));
			id[i] = digest64(part->data, head_bytes(part), id[i]);
		}
	}
}

uint32_t
gguf_version(const struct gguf *g)
{
	return g->parts[0].version;
}

uint64_t
gguf_file_bytes(const struct gguf *g)
{
	return g->n_bytes;
}

size_t
gguf_n_kv(const struct gguf *g)
{
	return g->parts[0].n_kv;
}

const struct gguf_kv *
gguf_kv_at(const struct gguf *g, size_t i)
{
	return i < g->parts[0].n_kv ? &g->parts[0].kv[i] : NULL;
}

const struct gguf_kv *
gguf_find(const struct gguf *g, const char *key)
{
	return part_find(&g->parts[0], slice_of(key));
}

size_t
gguf_n_tensors(const struct gguf *g)
{
	return g->n_tensors;
}

const struct gguf_tensor *
gguf_tensor_at(const struct gguf *g, size_t i)
{
	return i < g->n_tensors ? &g->tensors[i] : NULL;
}

const struct gguf_tensor *
gguf_tensor(const struct gguf *g, const char *name)
{
	struct slice want = slice_of(name);
	size_t low = 0, high = g->n_tensors;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = slice_cmp(g->tensor_order[mid]->name, want);

		if (d == 0)
			return g->tensor_order[mid];
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
