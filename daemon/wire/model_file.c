/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "wire/model_file.h"

#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

/* "-00001-of-00003.gguf" */
#define TAIL_BYTES	20

static int
digits(const char *p)
{
	int v = 0;

	for (int i = 0; i < 5; i++) {
		if (!isdigit((unsigned char)p[i]))
			return -1;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

size_t
model_file_split(const char *path, int *part, int *n_parts)
{
	size_t n = strlen(path);
	const char *tail = path + n - TAIL_BYTES;
	int k, of;

	if (n <= TAIL_BYTES || tail[0] != '-' ||
	    strncmp(tail + 6, "-of-", 4) != 0 ||
	    strcmp(tail + 15, ".gguf") != 0)
		return 0;
	k = digits(tail + 1);
	of = digits(tail + 10);
	if (k < 1 || of < k || of > MODEL_FILE_PARTS_MAX)
		return 0;
	*part = k;
	*n_parts = of;
	return n - TAIL_BYTES;
}

/* A regular file that begins as GGUF files do; its descriptor or an error.
 * *n_bytes grows by its size. */
static int
open_part(const char *path, uint64_t *n_bytes, struct cause *cause)
{
	char magic[4] = "";
	struct stat st;
	int fd, r;

	/* A pipe in its place must not make us wait. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1) {
		r = errno == ENOENT ? BM_ENOTFOUND : -errno;
		return cause_set(cause, r, "%s: %s", path, strerror(errno));
	}
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		r = cause_set(cause, BM_EFORMAT, "%s: not a regular file",
		    path);
	else if (pread(fd, magic, 4, 0) != 4 || memcmp(magic, "GGUF", 4) != 0)
		r = cause_set(cause, BM_EFORMAT,
		    "%s: not a GGUF file (it does not begin with \"GGUF\")",
		    path);
	else {
		*n_bytes += (uint64_t)st.st_size;
		return fd;
	}
	close(fd);
	return r;
}

static int
add_part(struct model_file *f, const char *path, struct cause *cause)
{
	const char *slash = strrchr(path, '/');
	int fd = open_part(path, &f->n_bytes, cause);

	if (fd < 0)
		return fd;
	f->parts = xreallocarray(f->parts, f->n_parts + 1, sizeof(*f->parts));
	f->parts[f->n_parts++] = (struct model_part){
	    .name = xstrdup(slash != NULL ? slash + 1 : path), .fd = fd };
	return 0;
}

int
model_file_open(const char *path, struct model_file *out,
    struct cause *cause)
{
	struct model_file f = { 0 };
	int part, n_parts, r = 0;
	size_t prefix = model_file_split(path, &part, &n_parts);
	size_t size = strlen(path) + 1;
	char *name;

	if (prefix == 0) {
		r = add_part(&f, path, cause);
	} else if (part != 1) {
		r = cause_set(cause, BM_EBADREQ,
		    "%s: part %d of a split; name the first", path, part);
	} else {
		name = xmalloc(size);
		for (int i = 1; r == 0 && i <= n_parts; i++) {
			snprintf(name, size, "%.*s-%05d-of-%05d.gguf",
			    (int)prefix, path, i, n_parts);
			r = add_part(&f, name, cause);
		}
		free(name);
	}
	if (r != 0)
		model_file_close(&f);
	else
		*out = f;
	return r;
}

void
model_file_close(struct model_file *f)
{
	for (size_t i = 0; i < f->n_parts; i++) {
		if (f->parts[i].fd != -1)
			close(f->parts[i].fd);
		free(f->parts[i].name);
	}
	free(f->parts);
	*f = (struct model_file){ 0 };
}
