/* SPDX-License-Identifier: MIT */
/*
 * In a container the machine's memory is not ours.  Version 2 of control
 * groups has one hierarchy, named by the line "0::/path" of /proc/self/cgroup,
 * where each level may set memory.max; in version 1 the container's own limit
 * is at the root of the memory controller.  What can't be read limits nothing.
 */
#include "config.h"

#include "worker/memory.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#define CGROUP_ROOT	"/sys/fs/cgroup"

/* The number in a file, UINT64_MAX when there is none ("max"). */
static uint64_t
read_limit(const char *path)
{
	char line[64];
	uint64_t limit = UINT64_MAX;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return UINT64_MAX;
	if (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (str_to_u64(line, &limit) != 0)
			limit = UINT64_MAX;
	}
	fclose(f);
	return limit;
}

/* Our group in the unified hierarchy; false when there is none. */
static bool
own_group(char *to, size_t size)
{
	char line[PATH_MAX];
	bool found = false;
	FILE *f = fopen("/proc/self/cgroup", "re");

	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		found = str_copy(to, line + 3, size) < size;
	}
	fclose(f);
	return found;
}

static uint64_t
group_limit(void)
{
	char group[PATH_MAX], path[PATH_MAX + 64];
	uint64_t least = read_limit(CGROUP_ROOT
	    "/memory/memory.limit_in_bytes");

	if (!own_group(group, sizeof(group)))
		return least;
	for (;;) {
		char *slash = strrchr(group, '/');

		snprintf(path, sizeof(path), CGROUP_ROOT "%s/memory.max",
		    group);
		least = MEM_MIN(least, read_limit(path));
		if (slash == NULL)
			return least;
		*slash = '\0';
	}
}

uint64_t
memory_granted_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long page_bytes = sysconf(_SC_PAGESIZE);
	uint64_t limit = group_limit();

	if (pages <= 0 || page_bytes <= 0)
		return limit;
	return MEM_MIN(limit, (uint64_t)pages * (uint64_t)page_bytes);
}
