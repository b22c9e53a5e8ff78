/* SPDX-License-Identifier: MIT */
/*
 * How many CPUs this process may really use.  The affinity mask covers
 * taskset and cpusets; the quota of every control group from ours up to the
 * root covers containers, whose nproc is the host's.  A file that can't be
 * read or understood sets no limit.
 */
#include "config.h"

#include "kernels/pool.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define MAX_CPUS	8192

static int
affinity_cpus(void)
{
	cpu_set_t *set = CPU_ALLOC(MAX_CPUS);
	size_t bytes = CPU_ALLOC_SIZE(MAX_CPUS);
	int n = 1;

	if (set == NULL)
		return 1;
	CPU_ZERO_S(bytes, set);
	if (sched_getaffinity(0, bytes, set) == 0)
		n = CPU_COUNT_S(bytes, set);
	CPU_FREE(set);
	return n > 0 ? n : 1;
}

/* The first line of dir/name, without its end. */
static int
first_line(const char *dir, const char *name, char *line, int size)
{
	char path[PATH_MAX];
	FILE *f;
	int ok;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (f == NULL)
		return -errno;
	ok = fgets(line, size, f) != NULL;
	fclose(f);
	if (!ok)
		return -EIO;
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

/* A share of a CPU counts as one. */
static int
cpus_of_quota(long long quota, long long period)
{
	long long n;

	if (quota <= 0 || period <= 0)
		return INT_MAX;
	n = (quota + period / 2) / period;
	if (n < 1)
		return 1;
	return n < INT_MAX ? (int)n : INT_MAX;
}

/* "max 100000" or "150000 100000". */
static int
quota_v2(const char *dir)
{
	char line[128];
	long long quota, period;

	if (first_line(dir, "cpu.max", line, sizeof(line)) != 0 ||
	    sscanf(line, "%lld %lld", &quota, &period) != 2)
		return INT_MAX;
	return cpus_of_quota(quota, period);
}

static int
quota_v1(const char *dir)
{
	char line[128];
	long long quota, period;

	if (first_line(dir, "cpu.cfs_quota_us", line, sizeof(line)) != 0 ||
	    sscanf(line, "%lld", &quota) != 1)
		return INT_MAX;
	if (first_line(dir, "cpu.cfs_period_us", line, sizeof(line)) != 0 ||
	    sscanf(line, "%lld", &period) != 1)
		return INT_MAX;
	return cpus_of_quota(quota, period);
}

/* The tightest quota from root + group up to root. */
static int
quota_upwards(const char *root, const char *group, int (*quota)(const char *))
{
	char dir[PATH_MAX];
	size_t root_len = strlen(root);
	int n, least = INT_MAX;
	char *slash;

	if (snprintf(dir, sizeof(dir), "%s%s", root, group) >=
	    (int)sizeof(dir))
		return INT_MAX;
	for (;;) {
		n = quota(dir);
		if (n < least)
			least = n;
		slash = strrchr(dir, '/');
		if (slash == NULL || (size_t)(slash - dir) < root_len)
			return least;
		*slash = '\0';
	}
}

/* Whether a comma-separated list of v1 controllers names "cpu". */
static int
lists_cpu(const char *list)
{
	size_t len;

	for (;;) {
		len = strcspn(list, ",");
		if (len == 3 && memcmp(list, "cpu", 3) == 0)
			return 1;
		if (list[len] == '\0')
			return 0;
		list += len + 1;
	}
}

/* A line of /proc/self/cgroup: "number:controllers:group". */
static int
quota_of_line(char *line)
{
	char *controllers, *group;

	line[strcspn(line, "\n")] = '\0';
	controllers = strchr(line, ':');
	if (controllers == NULL)
		return INT_MAX;
	controllers++;
	group = strchr(controllers, ':');
	if (group == NULL)
		return INT_MAX;
	*group++ = '\0';
	if (*controllers == '\0')
		return quota_upwards(CGROUP_ROOT, group, quota_v2);
	if (lists_cpu(controllers))
		return quota_upwards(CGROUP_ROOT "/cpu", group, quota_v1);
	return INT_MAX;
}

int
pool_granted_cpus(void)
{
	char line[PATH_MAX + 64];
	int n, granted = affinity_cpus();
	FILE *f = fopen("/proc/self/cgroup", "re");

	if (f == NULL)
		return granted;
	while (fgets(line, sizeof(line), f) != NULL) {
		n = quota_of_line(line);
		if (n < granted)
			granted = n;
	}
	fclose(f);
	return granted;
}
