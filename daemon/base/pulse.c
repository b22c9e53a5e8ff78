/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/pulse.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static struct pulse *
map(int fd)
{
	void *p = mmap(NULL, sizeof(struct pulse), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

int
pulse_new(struct pulse **out, int *fd, struct cause *cause)
{
	int r;

	*fd = memfd_create("pulse", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd == -1)
		return cause_set(cause, -errno, "memfd_create: %s",
		    strerror(errno));
	/* Sealed: a child that made it shorter would end its master. */
	if (ftruncate(*fd, sizeof(struct pulse)) == -1 ||
	    fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL) == -1 || (*out = map(*fd)) == NULL) {
		r = -errno;
		close(*fd);
		*fd = -1;
		return cause_set(cause, r, "a page for a pulse: %s",
		    strerror(-r));
	}
	return 0;
}

struct pulse *
pulse_map(int fd)
{
	struct pulse *p = NULL;
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(*p))
		p = map(fd);
	close(fd);
	return p;
}

void
pulse_free(struct pulse **p)
{
	if (*p != NULL)
		munmap(*p, sizeof(**p));
	*p = NULL;
}

static void
copy_word(char *to, const char *from, size_t size)
{
	size_t n = 0;

	for (; n + 1 < size && from[n] > ' ' - 1 && from[n] < 0x7f; n++)
		to[n] = from[n];
	to[n] = '\0';
}

void
pulse_read(const struct pulse *p, struct pulse_record *out)
{
	memset(out, 0, sizeof(*out));
	out->steps = atomic_load(&p->steps);
	out->signal = atomic_load(&p->signal);
	out->n_requests = MEM_MIN(atomic_load(&p->n_requests),
	    (uint32_t)PULSE_REQUESTS);
	for (size_t i = 0; i < out->n_requests; i++)
		out->requests[i] = atomic_load(&p->requests[i]);
	copy_word(out->kernel, p->kernel, sizeof(out->kernel));
	copy_word(out->cpu_level, p->cpu_level, sizeof(out->cpu_level));
}
