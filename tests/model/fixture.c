/* SPDX-License-Identifier: MIT */
/* Opening the files that model tests compare with. */
#include "config.h"

#include "fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/kernels.h"

const char *
shared_path(const char *name, char *to, size_t size)
{
	const char *dir = getenv("BM_SHARED");

	snprintf(to, size, "%s/%s", dir != NULL ? dir : "", name);
	if (dir == NULL || access(to, R_OK) < 0) {
		print_message("# no %s in $BM_SHARED\n", name);
		skip();
	}
	return to;
}

const char *
source_path(const char *name, char *to, size_t size)
{
	const char *dir = getenv("top_srcdir");

	snprintf(to, size, "%s/%s", dir != NULL ? dir : ".", name);
	return to;
}

struct gguf *
open_gguf(const char *path)
{
	struct gguf *g = NULL;
	struct cause cause = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail_msg("cannot open %s", path);
	if (gguf_open(&fd, &path, 1, &g, &cause) < 0)
		fail_msg("%s: %s", path, cause.text);
	close(fd);
	return g;
}

struct model *
open_tale_model(void)
{
	char path[4096];
	struct gguf *g;
	struct model *m = NULL;
	struct cause cause = { 0 };

	if (kern_init(&cause) != 0)
		fail_msg("%s", cause.text);
	g = open_gguf(source_path("models/tale-3.7m-f16.gguf", path,
	    sizeof(path)));
	if (model_open(&g, &m, &cause) != 0)
		fail_msg("%s", cause.text);
	return m;
}

json_t *
open_json(const char *path)
{
	json_error_t err;
	json_t *j = json_load_file(path, JSON_ALLOW_NUL, &err);

	if (j == NULL)
		fail_msg("%s:%d: %s", path, err.line, err.text);
	return j;
}

struct slice
json_slice(const json_t *string)
{
	return (struct slice){ json_string_value(string),
	    json_string_length(string) };
}
