/* SPDX-License-Identifier: MIT */
/*
 * The affinity mask covers taskset and cpusets; the limits of every control
 * group from ours up to the root cover containers, whose machine looks like
 * the host's.  Version 2 of control groups has one hierarchy, named by the
 * line "0::/path" of /proc/self/cgroup; version 1 one for each controller,
 * and inside a container its own limit is at the root of that.
 */
#include "config.h"

#include "base/granted.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define MAX_CPUS	8192
#define NO_LIMIT	UINT64_MAX

/* ---- files ---- */

/* The first line of dir/name, without its end. */
static bool
first_line(const char *dir, const char *name, char *line, int size)
{
	char path[PATH_MAX];
	FILE *f;
	bool ok;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    sizeof(path) || (f = fopen(path, "re")) == NULL)
		return false;
	ok = fgets(line, size, f) != NULL;
	fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

/* The number in a file, or `otherwise` when there is none ("max"). */
static uint64_t
number_in(const char *dir, const char *name, uint64_t otherwise)
{
	char line[64];
	uint64_t n;

	return first_line(dir, name, line, sizeof(line)) &&
	    str_to_u64(line, &n) == 0 ? n : otherwise;
}

/* The number behind a key at the begin of a line; 0 when there is none. */
static uint64_t
number_of_key(const char *path, const char *key)
{
	char line[256];
	uint64_t n = 0;
	size_t len = strlen(key);
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, len) == 0 &&
		    sscanf(line + len, " %" SCNu64, &n) == 1)
			break;
	fclose(f);
	return n;
}

/* ---- control groups ---- */

/* A limit that one group sets; NO_LIMIT: none. */
typedef uint64_t (*limit_fn)(const char *dir);

/* The tightest limit from root + group up to root. */
static uint64_t
upwards(const char *root, const char *group, limit_fn limit)
{
	char dir[PATH_MAX];
	size_t root_len = strlen(root);
	uint64_t least = NO_LIMIT, here;
	char *slash;

	if ((size_t)snprintf(dir, sizeof(dir), "%s%s", root, group) >=
	    sizeof(dir))
		return NO_LIMIT;
	for (;;) {
		here = limit(dir);
		least = MEM_MIN(least, here);
		slash = strrchr(dir, '/');
		if (slash == NULL || (size_t)(slash - dir) < root_len)
			return least;
		*slash = '\0';
	}
}

/* Whether a comma-separated list of v1 controllers has that one. */
static bool
lists(const char *list, const char *controller)
{
	size_t wanted = strlen(controller), n;

	for (;; list += n + 1) {
		n = strcspn(list, ",");
		if (n == wanted && memcmp(list, controller, n) == 0)
			return true;
		if (list[n] == '\0')
			return false;
	}
}

/* A line of /proc/self/cgroup: "number:controllers:group". */
static uint64_t
limit_of_line(char *line, const char *controller, limit_fn v1, limit_fn v2)
{
	char *controllers, *group, root[64];

	line[strcspn(line, "\n")] = '\0';
	if ((controllers = strchr(line, ':')) == NULL ||
	    (group = strchr(++controllers, ':')) == NULL)
		return NO_LIMIT;
	*group++ = '\0';
	if (*controllers == '\0')
		return upwards(CGROUP_ROOT, group, v2);
	if (!lists(controllers, controller))
		return NO_LIMIT;
	snprintf(root, sizeof(root), CGROUP_ROOT "/%s", controller);
	return upwards(root, group, v1);
}

static uint64_t
group_limit(const char *controller, limit_fn v1, limit_fn v2)
{
	char line[PATH_MAX + 64];
	uint64_t least = NO_LIMIT, here;
	FILE *f = fopen("/proc/self/cgroup", "re");

	if (f == NULL)
		return NO_LIMIT;
	while (fgets(line, sizeof(line), f) != NULL) {
		here = limit_of_line(line, controller, v1, v2);
		least = MEM_MIN(least, here);
	}
	fclose(f);
	return least;
}

/* ---- CPUs ---- */

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

/* A share of a CPU counts as one. */
static uint64_t
cpus_of_quota(int64_t quota, int64_t period)
{
	if (quota <= 0 || period <= 0)
		return NO_LIMIT;
	return MEM_MAX((uint64_t)((quota + period / 2) / period), 1u);
}

/* "max 100000" or "150000 100000". */
static uint64_t
quota_v2(const char *dir)
{
	char line[128];
	int64_t quota, period;

	if (!first_line(dir, "cpu.max", line, sizeof(line)) ||
	    sscanf(line, "%" SCNd64 " %" SCNd64, &quota, &period) != 2)
		return NO_LIMIT;
	return cpus_of_quota(quota, period);
}

static uint64_t
quota_v1(const char *dir)
{
	uint64_t quota = number_in(dir, "cpu.cfs_quota_us", 0);
	uint64_t period = number_in(dir, "cpu.cfs_period_us", 0);

	return cpus_of_quota((int64_t)quota, (int64_t)period);
}

int
granted_cpus(void)
{
	uint64_t quota = group_limit("cpu", quota_v1, quota_v2);
	int n = affinity_cpus();

	return quota < (uint64_t)n ? (int)quota : n;
}

/* ---- memory ---- */

static uint64_t
memory_v2(const char *dir)
{
	return number_in(dir, "memory.max", NO_LIMIT);
}

static uint64_t
memory_v1(const char *dir)
{
	return number_in(dir, "memory.limit_in_bytes", NO_LIMIT);
}

/* What is left of a limit, with the file pages that would give way. */
static uint64_t
left(const char *dir, uint64_t limit, const char *used_name,
    const char *const file_keys[2])
{
	char stat[PATH_MAX];
	uint64_t used, file = 0;

	if (limit == NO_LIMIT)
		return NO_LIMIT;
	snprintf(stat, sizeof(stat), "%.*s/memory.stat", PATH_MAX - 16, dir);
	used = number_in(dir, used_name, 0);
	for (int i = 0; i < 2; i++)
		file += number_of_key(stat, file_keys[i]);
	file = MEM_MIN(file, used);
	return limit - MEM_MIN(limit, used - file);
}

static uint64_t
left_v2(const char *dir)
{
	static const char *const file[] = { "inactive_file ",
	    "active_file " };

	return left(dir, memory_v2(dir), "memory.current", file);
}

static uint64_t
left_v1(const char *dir)
{
	static const char *const file[] = { "total_inactive_file ",
	    "total_active_file " };

	return left(dir, memory_v1(dir), "memory.usage_in_bytes", file);
}

uint64_t
granted_memory_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long page_bytes = sysconf(_SC_PAGESIZE);
	uint64_t limit = MEM_MIN(group_limit("memory", memory_v1, memory_v2),
	    memory_v1(CGROUP_ROOT "/memory"));

	if (pages <= 0 || page_bytes <= 0)
		return limit;
	return MEM_MIN(limit, (uint64_t)pages * (uint64_t)page_bytes);
}

uint64_t
granted_memory_free_bytes(void)
{
	uint64_t kib = number_of_key("/proc/meminfo", "MemAvailable:");
	uint64_t limit = MEM_MIN(group_limit("memory", left_v1, left_v2),
	    left_v1(CGROUP_ROOT "/memory"));

	return kib == 0 ? limit : MEM_MIN(limit, kib * 1024);
}

void
granted_of_process(pid_t pid, uint64_t *own, uint64_t *shared)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	*own = number_of_key(path, "RssAnon:") * 1024;
	*shared = number_of_key(path, "RssShmem:") * 1024;
}
