/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "wire/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
path_default_state_dir(char out[PATH_SIZE])
{
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (run != NULL && run[0] == '/' &&
	    path_join(out, run, "bigmodel") == 0)
		return;
	if (geteuid() == 0)
		snprintf(out, PATH_SIZE, "/run/bigmodel");
	else
		snprintf(out, PATH_SIZE, "/tmp/bigmodel-%u",
		    (unsigned)geteuid());
}

int
path_join(char out[PATH_SIZE], const char *dir, const char *name)
{
	int n = snprintf(out, PATH_SIZE, "%s/%s", dir, name);

	return n < 0 || n >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

/* The directory of an environment variable (ours alone can set it when the
 * program runs with somebody else's rights), else the installed one. */
static int
path_in(char out[PATH_SIZE], const char *variable, const char *dir,
    const char *name)
{
	const char *other = secure_getenv(variable);

	return path_join(out, other != NULL && other[0] != '\0' ? other : dir,
	    name);
}

int
path_helper(char out[PATH_SIZE], const char *name)
{
	return path_in(out, "BIGMODEL_LIBEXECDIR", BM_LIBEXECDIR, name);
}

int
path_data(char out[PATH_SIZE], const char *name)
{
	return path_in(out, "BIGMODEL_DATADIR", BM_DATADIR, name);
}
