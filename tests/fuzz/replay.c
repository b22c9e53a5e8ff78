/* SPDX-License-Identifier: MIT */
/*
 * The main of a fuzz target in ordinary builds: runs the target over the files
 * and directories named, or over its corpus in the source tree, and prints
 * TAP.  A corpus that is missing or empty is a failure.
 */
#include "config.h"

#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static size_t n_files;

/* A buffer exactly as large as the file, for the sanitizers. */
static int
replay_file(const char *path, size_t n)
{
	uint8_t *data = malloc(n > 0 ? n : 1);
	FILE *f = fopen(path, "rb");
	int rc = -1;

	if (data != NULL && f != NULL && fread(data, 1, n, f) == n) {
		(void)LLVMFuzzerTestOneInput(data, n);
		n_files++;
		rc = 0;
	} else
		printf("# %s: %s\n", path, strerror(errno));
	if (f != NULL)
		fclose(f);
	free(data);
	return rc;
}

static int
replay_path(const char *path)
{
	char name[PATH_MAX];
	struct dirent *e;
	struct stat st;
	DIR *dir;
	int rc = 0;

	if (stat(path, &st) < 0) {
		printf("# %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (S_ISREG(st.st_mode))
		return replay_file(path, (size_t)st.st_size);
	if ((dir = opendir(path)) == NULL) {
		printf("# %s: %s\n", path, strerror(errno));
		return -1;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (replay_path(name) < 0)
			rc = -1;
	}
	closedir(dir);
	return rc;
}

/* fuzz_NAME has its inputs in tests/fuzz/corpus/NAME. */
static int
replay_corpus(const char *argv0)
{
	const char *base = strrchr(argv0, '/');
	const char *top = getenv("top_srcdir");
	char path[PATH_MAX];

	base = base != NULL ? base + 1 : argv0;
	if (strncmp(base, "fuzz_", 5) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s",
	    top != NULL ? top : ".", base + 5);
	return replay_path(path);
}

int
main(int argc, char **argv)
{
	int rc = 0;

	printf("1..1\n");
	fflush(stdout);
	if (argc < 2)
		rc = replay_corpus(argv[0]);
	for (int i = 1; i < argc; i++)
		if (replay_path(argv[i]) < 0)
			rc = -1;
	if (n_files == 0)
		rc = -1;
	printf("%s 1 - %zu inputs replayed\n", rc == 0 ? "ok" : "not ok",
	    n_files);
	return rc == 0 ? 0 : 1;
}
