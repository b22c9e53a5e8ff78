/* SPDX-License-Identifier: MIT */
/*
 * Packed weights and the places where they are kept: the same bytes from every
 * place, made once, and never a wrong file used.
 */
#include "config.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"
#include "kernels/kernels.h"
#include "kernels/pack.h"
#include "model/hparams.h"
#include "model/weights_cache.h"
#include "model/weights_room.h"

#define MAX_BYTES	(UINT64_C(1) << 30)
#define N_WORKERS	4

/* One model, and its packed form as packing every matrix at once gives it. */
static struct gguf *gguf;
static struct weights weights;
static struct weights_layout layout;
static uint8_t *expected;

/* A cache directory, the memory that workers share, and what a worker got. */
struct place {
	char		 dir[64];
	int		 dir_fd;
	int		 memory_fd;
};

static int
new_memory(void)
{
	int fd = memfd_create("weights", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	return fd;
}

static void
place_init(struct place *p)
{
	snprintf(p->dir, sizeof(p->dir), "/tmp/test-weights-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->dir_fd >= 0);
	p->memory_fd = new_memory();
}

/* How many files there are; the last one's name. */
static int
list(const struct place *p, char name[256])
{
	DIR *d = opendir(p->dir);
	const struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			snprintf(name, 256, "%s", e->d_name);
			n++;
		}
	closedir(d);
	return n;
}

static void
place_fini(struct place *p)
{
	char name[256];

	while (list(p, name) > 0)
		assert_int_equal(unlinkat(p->dir_fd, name, 0), 0);
	close(p->dir_fd);
	close(p->memory_fd);
	assert_int_equal(rmdir(p->dir), 0);
}

/* The daemon has been started anew: its memory is. */
static void
place_restart(struct place *p)
{
	close(p->memory_fd);
	p->memory_fd = new_memory();
}

static ino_t
inode_of(const struct place *p)
{
	struct stat st;
	char name[256];

	assert_int_equal(list(p, name), 1);
	assert_int_equal(fstatat(p->dir_fd, name, &st, 0), 0);
	return st.st_ino;
}

static struct weights_plan
plan_of(const struct place *p)
{
	return (struct weights_plan){ .dir_fd = p->dir_fd,
	    .memory_fd = p->memory_fd, .max_bytes = MAX_BYTES };
}

static struct weights_map
open_weights(const struct weights_plan *plan)
{
	struct weights_source s = { .layout = &layout, .gguf = gguf,
	    .plan = plan };
	struct weights_map m = { 0 };
	struct cause cause = { 0 };

	gguf_identity(gguf, s.id);
	if (weights_cache_open(&s, &m, &cause) != 0)
		fail_msg("%s", cause.text);
	assert_int_equal(m.n_bytes, layout.n_bytes);
	assert_memory_equal(m.packed, expected, layout.n_bytes);
	return m;
}

static void
open_and_close(const struct place *p)
{
	struct weights_plan plan = plan_of(p);
	struct weights_map m = open_weights(&plan);

	assert_true(m.is_shared);
	weights_unmap(&m);
}

/* ---- the layout ---- */

static void
test_any_range_has_the_bytes_of_the_whole(void **state)
{
	static const size_t sizes[] = { 4096, 65537, 1000003 };
	uint8_t *got = xmalloc(layout.n_bytes);

	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		memset(got, 0xa5, layout.n_bytes);
		for (size_t at = 0; at < layout.n_bytes; at += sizes[i])
			weights_pack(&layout, gguf, at, MEM_MIN(sizes[i],
			    layout.n_bytes - at), got + at);
		assert_memory_equal(got, expected, layout.n_bytes);
	}
	free(got);
}

static void
test_threads_change_nothing(void **state)
{
	struct weights_plan plan = { .dir_fd = -1, .memory_fd = -1 };
	struct cause cause;
	struct weights_map m;

	assert_int_equal(pool_new(&plan.pool, 3, &cause), 0);
	m = open_weights(&plan);
	assert_false(m.is_shared);
	weights_unmap(&m);
	pool_free(&plan.pool);
}

/* ---- the file ---- */

static void
test_the_file_is_made_once(void **state)
{
	struct place p;
	ino_t inode;

	place_init(&p);
	open_and_close(&p);
	inode = inode_of(&p);
	open_and_close(&p);
	place_restart(&p);
	open_and_close(&p);
	assert_int_equal(inode_of(&p), inode);
	place_fini(&p);
}

static void
put(int fd, off_t at, uint8_t add)
{
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte += add;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void
cut(int fd, off_t size)
{
	assert_int_equal(ftruncate(fd, size), 0);
}

/* What can happen to a file of that size. */
static const char *const damages[] = { "magic", "version", "identity",
    "size in the header", "digest of the header", "table", "first byte",
    "last byte", "cut short", "cut in the header", "empty", "longer" };

static void
damage(int what, int fd, off_t size)
{
	off_t data = size - (off_t)((layout.n_bytes + (2 << 20) - 1) >> 21 <<
	    21);

	switch (what) {
	case 0:
		put(fd, 3, 1);
		break;
	case 1:
		put(fd, 8, 1);
		break;
	case 2:
		put(fd, 16, 1);
		break;
	case 3:
		put(fd, 32, 64);
		break;
	case 4:
		put(fd, 57, 128);
		break;
	case 5:
		put(fd, 4096, 128);
		break;
	case 6:
		put(fd, data, 1);
		break;
	case 7:
		put(fd, data + (off_t)layout.n_bytes - 1, 128);
		break;
	case 8:
		cut(fd, size - 1);
		break;
	case 9:
		cut(fd, 20);
		break;
	case 10:
		cut(fd, 0);
		break;
	default:
		cut(fd, size + 4096);
	}
}

static void
test_a_wrong_file_is_replaced(void **state)
{
	struct place p;
	struct stat st;
	char name[256];
	ino_t inode;
	int fd;

	place_init(&p);
	open_and_close(&p);
	for (int i = 0; i < (int)N_ELEMENTS(damages); i++) {
		assert_int_equal(list(&p, name), 1);
		fd = openat(p.dir_fd, name, O_RDWR | O_CLOEXEC);
		assert_int_equal(fstat(fd, &st), 0);
		damage(i, fd, st.st_size);
		place_restart(&p);
		open_and_close(&p);
		/* ours is open still, so its number is not used again */
		if (inode_of(&p) == st.st_ino)
			fail_msg("%s: the file is used", damages[i]);
		close(fd);
		inode = inode_of(&p);
		place_restart(&p);
		open_and_close(&p);
		assert_int_equal(inode_of(&p), inode);
	}
	place_fini(&p);
}

/* Something else under its name: nothing is followed, nothing waits. */
static void
test_what_is_no_file_is_not_used(void **state)
{
	struct place p;
	char name[256];

	place_init(&p);
	open_and_close(&p);
	assert_int_equal(list(&p, name), 1);
	assert_int_equal(unlinkat(p.dir_fd, name, 0), 0);
	assert_int_equal(symlinkat("/dev/zero", p.dir_fd, name), 0);
	place_restart(&p);
	open_and_close(&p);
	assert_int_equal(unlinkat(p.dir_fd, name, 0), 0);
	assert_int_equal(mkfifoat(p.dir_fd, name, 0600), 0);
	place_restart(&p);
	open_and_close(&p);
	place_fini(&p);
}

/* ---- without a file ---- */

static void
expect_shared_memory(const struct place *p, const struct weights_plan *plan)
{
	struct weights_map a, b;
	char name[256];

	a = open_weights(plan);
	b = open_weights(plan);
	assert_true(a.is_shared && b.is_shared);
	assert_int_equal(list(p, name), 0);
	assert_true(pwrite(p->memory_fd, "x", 1, 0) == -1 && errno == EPERM);
	assert_true(ftruncate(p->memory_fd, 0) == -1 && errno == EPERM);
	weights_unmap(&a);
	weights_unmap(&b);
}

static void
test_without_a_file_memory_is_shared(void **state)
{
	struct weights_plan plan;
	struct place p;
	int fd;

	place_init(&p);
	plan = plan_of(&p);
	plan.max_bytes = 0;
	expect_shared_memory(&p, &plan);
	place_restart(&p);
	plan = plan_of(&p);
	plan.max_bytes = layout.n_bytes / 2;
	expect_shared_memory(&p, &plan);
	/* a directory in which nothing can be made: it is not there any more */
	place_restart(&p);
	plan = plan_of(&p);
	assert_int_equal(mkdirat(p.dir_fd, "gone", 0700), 0);
	fd = openat(p.dir_fd, "gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(unlinkat(p.dir_fd, "gone", AT_REMOVEDIR), 0);
	plan.dir_fd = fd;
	expect_shared_memory(&p, &plan);
	close(fd);
	place_fini(&p);
}

/* The limit also holds for the memory, so workers have copies of their own,
 * and the files are clean. */
static void
test_a_failing_disk_is_no_end(void **state)
{
	const struct rlimit small = { 1 << 20, RLIM_INFINITY };
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct weights_plan plan;
	struct weights_map m;
	struct place p;
	char name[256];

	place_init(&p);
	plan = plan_of(&p);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	m = open_weights(&plan);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_false(m.is_shared);
	weights_unmap(&m);
	assert_int_equal(list(&p, name), 0);
	open_and_close(&p);
	assert_int_equal(list(&p, name), 1);
	place_fini(&p);
}

/* ---- several workers ---- */

/* What the children tell, in memory that they share with us. */
static struct {
	atomic_int	 n_packed;	/* who packed or checked */
	atomic_int	 n_done;
} *told;

struct progress {
	bool		 kills;
	bool		 is_at_work;
};

static void
on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct progress *p = arg;

	assert_true(done <= total);
	if (done == 0)
		return;
	if (p->kills)
		raise(SIGKILL);
	p->is_at_work = true;
}

static pid_t
start_worker(const struct weights_plan *given, bool is_killed)
{
	struct progress progress = { .kills = is_killed };
	struct weights_plan plan = *given;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	plan.progress = on_progress;
	plan.progress_arg = &progress;
	(void)open_weights(&plan);
	atomic_fetch_add(&told->n_packed, progress.is_at_work);
	atomic_fetch_add(&told->n_done, 1);
	/* stay until all have it */
	while (atomic_load(&told->n_done) < N_WORKERS)
		usleep(1000);
	_exit(0);
}

static void
expect_killed(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
test_killed_while_packing(void **state)
{
	struct weights_plan plan;
	struct place p;
	char name[256];

	place_init(&p);
	plan = plan_of(&p);
	expect_killed(start_worker(&plan, true));
	assert_int_equal(list(&p, name), 1);
	assert_non_null(strstr(name, ".tmp"));
	open_and_close(&p);
	assert_int_equal(list(&p, name), 1);
	assert_null(strstr(name, ".tmp"));

	/* while it packs into memory */
	place_restart(&p);
	plan = plan_of(&p);
	plan.dir_fd = -1;
	expect_killed(start_worker(&plan, true));
	assert_int_equal(unlinkat(p.dir_fd, name, 0), 0);
	expect_shared_memory(&p, &plan);
	place_fini(&p);
}

/* has_own: each has a memory of its own, as workers of several models do. */
static void
start_together(const struct weights_plan *given, bool has_own)
{
	struct weights_plan plan = *given;
	pid_t pids[N_WORKERS];
	int status;

	atomic_store(&told->n_packed, 0);
	atomic_store(&told->n_done, 0);
	for (int i = 0; i < N_WORKERS; i++) {
		if (has_own)
			plan.memory_fd = new_memory();
		pids[i] = start_worker(&plan, false);
		if (has_own)
			close(plan.memory_fd);
	}
	for (int i = 0; i < N_WORKERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

static void
test_workers_that_start_together_pack_once(void **state)
{
	struct weights_plan plan;
	struct place p;
	char name[256];

	place_init(&p);
	plan = plan_of(&p);
	start_together(&plan, false);
	assert_int_equal(atomic_load(&told->n_packed), 1);
	assert_int_equal(list(&p, name), 1);
	/* one reads the file through, for all */
	place_restart(&p);
	plan = plan_of(&p);
	start_together(&plan, false);
	assert_int_equal(atomic_load(&told->n_packed), 1);
	place_restart(&p);
	plan = plan_of(&p);
	plan.dir_fd = -1;
	start_together(&plan, false);
	assert_int_equal(atomic_load(&told->n_packed), 1);
	place_fini(&p);
}

static void
test_models_of_one_file_share_it(void **state)
{
	struct weights_plan plan;
	struct place p;
	char name[256];

	place_init(&p);
	plan = plan_of(&p);
	start_together(&plan, true);
	assert_int_equal(list(&p, name), 1);
	assert_null(strstr(name, ".tmp"));
	open_and_close(&p);
	place_fini(&p);
}

/* ---- room ---- */

static void
make_file(const struct place *p, const char *name, size_t n_blocks,
    time_t used_s)
{
	const struct timespec used[2] = { { used_s, 0 }, { used_s, 0 } };
	uint8_t *block = xcalloc(1, 65536);
	int fd = openat(p->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	memset(block, 1, 65536);
	for (size_t i = 0; i < n_blocks; i++)
		assert_int_equal(write(fd, block, 65536), 65536);
	/* space that is only reserved is none yet */
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(futimens(fd, used), 0);
	close(fd);
	free(block);
}

static bool
is_there(const struct place *p, const char *name)
{
	return faccessat(p->dir_fd, name, F_OK, 0) == 0;
}

static void
test_room_is_made_of_what_was_used_longest_ago(void **state)
{
	struct cause cause = { 0 };
	struct place p;
	int fd;

	place_init(&p);
	make_file(&p, "a.weights", 4, 1000);
	make_file(&p, "b.weights", 4, 3000);
	make_file(&p, "c.weights", 4, 2000);
	make_file(&p, "d.weights.tmp", 4, 4000);
	make_file(&p, "other", 4, 500);
	fd = openat(p.dir_fd, "a.weights", O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0);

	/* as much again as is there, with room for all but one */
	assert_int_equal(weights_make_room(p.dir_fd, 20 * 65536, 12 * 65536,
	    &cause), 0);
	assert_true(is_there(&p, "a.weights"));		/* in use */
	assert_true(is_there(&p, "b.weights"));
	assert_false(is_there(&p, "c.weights"));
	assert_false(is_there(&p, "d.weights.tmp"));
	assert_true(is_there(&p, "other"));

	/* more than can be had: nothing is lost for it */
	assert_int_equal(weights_make_room(p.dir_fd, 20 * 65536, 17 * 65536,
	    &cause), -ENOSPC);
	assert_true(is_there(&p, "b.weights"));
	close(fd);
	assert_int_equal(weights_make_room(p.dir_fd, 20 * 65536, 17 * 65536,
	    &cause), 0);
	assert_false(is_there(&p, "a.weights"));
	assert_false(is_there(&p, "b.weights"));
	place_fini(&p);
}

/* ---- identity ---- */

static void
identity_of(const char *path, uint64_t id[2])
{
	struct gguf *g = open_gguf(path);

	gguf_identity(g, id);
	gguf_free(&g);
}

static void
test_another_file_is_another_model(void **state)
{
	const struct timespec then[2] = { { 1000, 0 }, { 1000, 0 } };
	char command[4400], path[4096], copy[128];
	uint64_t id[2], again[2], other[2];
	struct place p;

	place_init(&p);
	source_path("models/tale-3.7m-f16.gguf", path, sizeof(path));
	identity_of(path, id);
	identity_of(path, again);
	assert_memory_equal(id, again, sizeof(id));
	snprintf(copy, sizeof(copy), "%s/copy", p.dir);
	snprintf(command, sizeof(command), "cp -p '%s' '%s'", path, copy);
	assert_int_equal(system(command), 0);
	identity_of(copy, other);
	assert_true(id[0] != other[0] && id[1] != other[1]);
	assert_int_equal(utimensat(AT_FDCWD, copy, then, 0), 0);
	identity_of(copy, again);
	assert_true(again[0] != other[0] && again[1] != other[1]);
	place_fini(&p);
}

static int
setup(void **state)
{
	struct hparams h;
	struct cause cause;
	char path[4096];

	if (kern_init(&cause) != 0)
		return -1;
	gguf = open_gguf(source_path("models/tale-3.7m-f16.gguf", path,
	    sizeof(path)));
	if (hparams_read(gguf, &h, &cause) != 0 ||
	    weights_bind(gguf, &h, &weights, &cause) != 0)
		return -1;
	weights_layout_init(&layout, &weights);
	expected = xcalloc(1, layout.n_bytes);
	for (size_t i = 0; i < layout.n; i++)
		pack(layout.v[i].m, expected + layout.v[i].at);
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return told == MAP_FAILED ? -1 : 0;
}

static int
teardown(void **state)
{
	munmap(told, sizeof(*told));
	free(expected);
	weights_layout_fini(&layout);
	weights_fini(&weights);
	gguf_free(&gguf);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_range_has_the_bytes_of_the_whole),
		cmocka_unit_test(test_threads_change_nothing),
		cmocka_unit_test(test_the_file_is_made_once),
		cmocka_unit_test(test_a_wrong_file_is_replaced),
		cmocka_unit_test(test_what_is_no_file_is_not_used),
		cmocka_unit_test(test_without_a_file_memory_is_shared),
		cmocka_unit_test(test_a_failing_disk_is_no_end),
		cmocka_unit_test(test_killed_while_packing),
		cmocka_unit_test(test_workers_that_start_together_pack_once),
		cmocka_unit_test(test_models_of_one_file_share_it),
		cmocka_unit_test(
		    test_room_is_made_of_what_was_used_longest_ago),
		cmocka_unit_test(test_another_file_is_another_model),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
