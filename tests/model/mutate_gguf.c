/* SPDX-License-Identifier: MIT */
/*
 * Broken model files by the hundred thousand: every truncation of a small
 * file, then mutations that know where its fields are.  Run under the
 * sanitizers this finds reads outside the file; in any build every refusal has
 * to say what is wrong.
 *
 *	mutate_gguf [MUTATIONS [SEED]]
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exercise.h"
#include "gguf_writer.h"

#include "base/mem.h"
#include "base/str.h"
#include "model/gguf.h"

#define MUTATIONS	100000
#define MUTATIONS_GOLDEN 2000
#define SEED		20260815
#define EDITS_MAX	4
#define SILENT_SHOWN	10

struct field {
	size_t	 at;
	size_t	 n_bytes;
};

/* A right file, and where its numbers are. */
struct specimen {
	const uint8_t	*data;
	size_t		 n;
	size_t		 n_head;	/* bytes before the tensors' data */
	struct field	*fields;
	size_t		 n_fields;
};

struct tally {
	size_t	 n;
	size_t	 opened;	/* the container */
	size_t	 used;		/* everything, forward pass included */
	size_t	 silent;	/* refusals that name nothing */
};

static uint64_t state;
static size_t n_tests;
static bool all_ok = true;

static uint64_t
next_random(void)
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static size_t
below(size_t n)
{
	return n > 0 ? (size_t)(next_random() % n) : 0;
}

static void __attribute__((format(printf, 2, 3)))
report(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf("%s %zu - ", ok ? "ok" : "not ok", ++n_tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	all_ok &= ok;
}

/* Does the cause say what or where: a key, a tensor, a place? */
static bool
names_fault(const struct cause *cause)
{
	static const char *const words[] = { "key", "tensor", "byte", "token",
	    "GGUF", "llama.", "general.", "architecture", "heads" };

	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		if (strstr(cause->text, words[i]) != NULL)
			return true;
	return false;
}

static bool
try_file(const uint8_t *data, size_t n, struct tally *tally)
{
	struct cause cause = { 0 };
	bool opened;

	tally->n++;
	if (exercise_file(data, n, &opened, &cause) == 0)
		tally->used++;
	else if (!names_fault(&cause)) {
		if (tally->silent++ < SILENT_SHOWN)
			printf("# names nothing: %s\n", cause.text);
	}
	tally->opened += opened;
	return opened;
}

static void
add_field(struct specimen *s, const void *at, size_t n_bytes)
{
	s->fields = xreallocarray(s->fields, s->n_fields + 1,
	    sizeof(*s->fields));
	s->fields[s->n_fields++] = (struct field){
	    .at = (size_t)((const uint8_t *)at - s->data),
	    .n_bytes = n_bytes };
}

/* Where the lengths, types, counts, dimensions and offsets are. */
static void
find_fields(struct specimen *s)
{
	struct cause cause;
	struct gguf *g;

	if (gguf_open_memory(s->data, s->n, &g, &cause) < 0) {
		printf("Bail out! %s\n", cause.text);
		exit(1);
	}
	add_field(s, s->data + 4, 4);
	add_field(s, s->data + 8, 8);
	add_field(s, s->data + 16, 8);
	for (size_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		const char *end = kv->key.p + kv->key.n;

		add_field(s, s->data + kv->offset, 8);
		add_field(s, end, 4);
		if (kv->type == GGUF_ARR) {
			add_field(s, end + 4, 4);
			add_field(s, end + 8, 8);
		}
		add_field(s, kv->data, kv->element == GGUF_STR ? 8 : 4);
		s->n_head = (size_t)(kv->data - s->data);
	}
	for (size_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		const char *end = t->name.p + t->name.n;

		add_field(s, t->name.p - 8, 8);
		add_field(s, end, 4);
		for (uint32_t d = 0; d < t->n_dims; d++)
			add_field(s, end + 4 + 8 * d, 8);
		add_field(s, end + 4 + 8 * t->n_dims, 4);
		add_field(s, end + 8 + 8 * t->n_dims, 8);
		s->n_head = (size_t)((const uint8_t *)end - s->data) + 16 +
		    8 * t->n_dims;
	}
	gguf_free(&g);
}

/* Numbers at which arithmetic turns. */
static uint64_t
boundary(size_t file_bytes)
{
	static const uint64_t some[] = { 0, 1, 2, 3, 4, 7, 8, 9, 12, 13, 31,
	    32, 33, 63, 64, 65, 255, 256, 4096, 65535, 65536, INT32_MAX,
	    UINT64_C(0x80000000), UINT32_MAX, UINT64_C(0x100000000),
	    UINT64_C(0x2000000000000000), INT64_MAX,
	    UINT64_C(0x8000000000000000), UINT64_MAX - 31, UINT64_MAX - 7,
	    UINT64_MAX };
	uint64_t v;

	if (below(4) == 0)
		return file_bytes + below(65) - 32;
	v = some[below(N_ELEMENTS(some))];
	return below(8) == 0 ? v + below(3) - 1 : v;
}

static void
put_number(uint8_t *data, size_t n, struct field f, uint64_t v)
{
	for (size_t i = 0; i < f.n_bytes && f.at + i < n; i++)
		data[f.at + i] = (uint8_t)(v >> (8 * i));
}

/* One change in place; the file's length may shrink. */
static void
edit(const struct specimen *s, uint8_t *data, size_t *n)
{
	size_t at = below(below(16) == 0 ? *n : MEM_MIN(s->n_head, *n));
	size_t from, len;
	struct field f;

	if (*n == 0)
		return;
	switch (below(16)) {
	case 0: case 1:
		data[at] ^= (uint8_t)(1 << below(8));
		break;
	case 2:
		data[at] = (uint8_t)next_random();
		break;
	case 3: case 4:
		put_number(data, *n, (struct field){ at, below(2) ? 4 : 8 },
		    boundary(s->n));
		break;
	case 5:		/* splice: one part over another */
		from = below(MEM_MIN(s->n_head, *n));
		len = below(64) + 1;
		len = MEM_MIN(len, *n - MEM_MAX(at, from));
		memmove(data + at, data + from, len);
		break;
	case 6:		/* cut bytes out */
		len = below(24) + 1;
		len = MEM_MIN(len, *n - at);
		memmove(data + at, data + at + len, *n - at - len);
		*n -= len;
		break;
	case 7:
		if (below(4) == 0)
			*n = below(*n);
		break;
	case 8: case 9:	/* a small step */
		f = s->fields[below(s->n_fields)];
		if (f.at < *n)
			data[f.at] = (uint8_t)(data[f.at] + below(9) - 4);
		break;
	default:
		f = s->fields[below(s->n_fields)];
		put_number(data, *n, f, boundary(s->n));
		break;
	}
}

static void
mutations(const struct specimen *s, size_t count, const char *what)
{
	struct tally tally = { 0 };

	for (size_t i = 0; i < count; i++) {
		/* Exactly as large as the file, for the sanitizer. */
		size_t n = s->n;
		size_t edits = below(2) == 0 ? 1 : 1 + below(EDITS_MAX);
		uint8_t *data = xmalloc(n), *exact;

		memcpy(data, s->data, n);
		while (edits-- > 0)
			edit(s, data, &n);
		if (n < s->n) {
			exact = xmalloc(n + (n == 0));
			memcpy(exact, data, n);
			free(data);
			data = exact;
		}
		(void)try_file(data, n, &tally);
		free(data);
	}
	report(tally.silent == 0, "%zu mutations of %s: %zu opened, %zu "
	    "computed, every refusal names its fault", tally.n, what,
	    tally.opened, tally.used);
}

/* Every prefix shorter than the file, up to limit bytes. */
static void
truncations(const struct specimen *s, size_t limit, const char *what)
{
	struct tally tally = { 0 };

	for (size_t n = 0; n < MEM_MIN(s->n, limit); n++) {
		uint8_t *data = xmalloc(n + (n == 0));

		memcpy(data, s->data, n);
		(void)try_file(data, n, &tally);
		free(data);
	}
	report(tally.silent == 0 && tally.opened == 0,
	    "%zu truncations of %s are refused with a cause", tally.n, what);
}

static bool
read_golden(const char *name, struct buf *out)
{
	const char *dir = getenv("BM_SHARED");
	char path[PATH_MAX];
	uint8_t part[1 << 16];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/golden/%s", dir != NULL ? dir : "",
	    name);
	if (dir == NULL || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return false;
	while ((n = read(fd, part, sizeof(part))) > 0)
		buf_put(out, part, (size_t)n);
	close(fd);
	return n == 0 && !out->failed;
}

static void
golden(void)
{
	static const char name[] = "stories260K.gguf";
	struct specimen s = { 0 };
	struct buf file;

	buf_init(&file, 1 << 26);
	if (!read_golden(name, &file)) {
		printf("ok %zu - truncations # SKIP no %s in $BM_SHARED\n",
		    ++n_tests, name);
		printf("ok %zu - mutations # SKIP no %s in $BM_SHARED\n",
		    ++n_tests, name);
	} else {
		s.data = file.data;
		s.n = file.len;
		find_fields(&s);
		truncations(&s, s.n_head, "a real file's head");
		mutations(&s, MUTATIONS_GOLDEN, "a real file");
		free(s.fields);
	}
	buf_fini(&file);
}

int
main(int argc, char **argv)
{
	uint64_t count = MUTATIONS, seed = SEED;
	struct specimen s = { 0 };
	struct cause cause = { 0 };
	struct buf file;
	bool opened;
	int rc;

	if ((argc > 1 && str_to_u64(argv[1], &count) < 0) ||
	    (argc > 2 && str_to_u64(argv[2], &seed) < 0)) {
		fprintf(stderr, "usage: mutate_gguf [MUTATIONS [SEED]]\n");
		return 2;
	}
	state = seed;
	printf("1..5\n# seed %llu\n", (unsigned long long)seed);
	buf_init(&file, 1 << 20);
	gw_small_model(&file);
	s.data = file.data;
	s.n = file.len;
	find_fields(&s);
	rc = exercise_file(s.data, s.n, &opened, &cause);
	report(rc == 0 && opened, "the whole file of %zu bytes computes, "
	    "%zu fields %s", s.n, s.n_fields, rc < 0 ? cause.text : "");
	truncations(&s, s.n, "a small file");
	mutations(&s, (size_t)count, "a small file");
	free(s.fields);
	buf_fini(&file);
	golden();
	return all_ok ? 0 : 1;
}
