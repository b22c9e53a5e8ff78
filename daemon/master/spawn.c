/* SPDX-License-Identifier: MIT */
/*
 * Between fork and exec only async-signal-safe calls are made.  A pipe that is
 * closed by a successful exec carries the errno of a failed one, so that a
 * missing helper is an error here and not a mysterious death later.
 */
#include "config.h"

#include "master/spawn.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/mempolicy.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/ioprio.h>

#include "base/mem.h"
#include "wire/fd_io.h"
#include "wire/paths.h"

#define LINK_FD	3
#define ERROR_FD 4

/*
 * What a terminal or a service manager sends to the whole group is for the
 * master, which ends its children in order; they ignore it from the begin.
 */
static void
reset_signals(void)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	struct sigaction ign = { .sa_handler = SIG_IGN };
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)sigaction(i, &dfl, NULL);
	for (size_t i = 0; i < N_ELEMENTS(ours); i++)
		(void)sigaction(ours[i], &ign, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
raise_fd_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &lim);
	}
}

/* On the CPUs of a node, with memory from there while it has some.  Where that
 * is not allowed the child runs anywhere. */
static void
place(const struct numa_node *node)
{
	union {
		cpu_set_t	 set;
		unsigned char	 bytes[NUMA_CPUS_MAX / 8];
	} cpus;
	unsigned long nodes[NUMA_CPUS_MAX / (8 * sizeof(long))] = { 0 };
	const size_t n_bits = 8 * sizeof(nodes[0]);

	CPU_ZERO_S(sizeof(cpus), &cpus.set);
	for (int cpu = 0; cpu < NUMA_CPUS_MAX; cpu++)
		if (numa_has(node, cpu))
			CPU_SET_S((size_t)cpu, sizeof(cpus), &cpus.set);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus.set);
	nodes[(size_t)node->id / n_bits] |= 1ul << (size_t)node->id % n_bits;
	(void)syscall(SYS_set_mempolicy, MPOL_PREFERRED, nodes,
	    (unsigned long)MEM_MIN(sizeof(nodes) * 8, (size_t)1024));
}

/* As far as the system lets us: it matters only while others are busy. */
static void
yield_to_all(void)
{
	struct sched_param none = { 0 };

	(void)setpriority(PRIO_PROCESS, 0, 19);
	(void)sched_setscheduler(0, SCHED_IDLE, &none);
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
	    IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

/* The two descriptors the child keeps, at their places and nowhere else. */
static int
place_fds(int link_fd, int error_fd, int stderr_fd)
{
	/* First out of each other's way, above both places. */
	if ((link_fd = fcntl(link_fd, F_DUPFD, ERROR_FD + 1)) == -1 ||
	    (error_fd = fcntl(error_fd, F_DUPFD, ERROR_FD + 1)) == -1 ||
	    (stderr_fd != -1 && dup2(stderr_fd, STDERR_FILENO) == -1) ||
	    dup2(link_fd, LINK_FD) == -1 ||
	    dup2(error_fd, ERROR_FD) == -1)
		return -1;
	(void)close_range(ERROR_FD + 1, ~0u, 0);
	return fcntl(ERROR_FD, F_SETFD, FD_CLOEXEC);
}

/* Never returns. */
static void
run_child(const struct spawn *s, const char *path, int link_fd, int error_fd,
    pid_t parent)
{
	char *argv[] = { (char *)(uintptr_t)s->name, NULL };
	int e;

	if (place_fds(link_fd, error_fd, s->stderr_fd) == -1)
		_exit(127);
	reset_signals();
	/* Without us nobody would ever end it; we may be gone already. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(127);
	if (s->wants_many_fds)
		raise_fd_limit();
	if (s->node != NULL)
		place(s->node);
	if (s->is_background)
		yield_to_all();
	if (chdir(s->dir) == 0)
		execv(path, argv);
	e = errno;
	if (write(ERROR_FD, &e, sizeof(e)) != sizeof(e))
		_exit(126);
	_exit(127);
}

/* fork with signals blocked: a handler of ours must not run in the child,
 * where it would write into the loop's pipe. */
static pid_t
fork_quietly(void)
{
	sigset_t all, old;
	pid_t child;
	int saved;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	child = fork();
	saved = errno;
	if (child != 0)
		(void)sigprocmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return child;
}

/* 0 when the exec came off, else its errno. */
static int
exec_error(int fd)
{
	ssize_t n;
	int e = 0;

	while ((n = read(fd, &e, sizeof(e))) == -1 && errno == EINTR)
		continue;
	return n == sizeof(e) ? e : 0;
}

int
spawn(const struct spawn *s, pid_t *pid, int *link_fd, struct cause *cause)
{
	char path[PATH_SIZE], *real;
	int link[2], error[2], e, r;
	pid_t child, parent = getpid();

	if (path_helper(path, s->name) != 0 ||
	    (real = realpath(path, NULL)) == NULL)
		return cause_set(cause, -errno, "%s: %s", path,
		    strerror(errno));
	if ((r = fd_socketpair(link)) != 0)
		goto fail;
	if (pipe2(error, O_CLOEXEC) == -1) {
		r = -errno;
		close(link[0]);
		close(link[1]);
		goto fail;
	}
	if ((child = fork_quietly()) == 0)
		run_child(s, real, link[1], error[1], parent);
	r = child == -1 ? -errno : 0;
	close(link[1]);
	close(error[1]);
	if (r == 0 && (e = exec_error(error[0])) != 0) {
		(void)waitpid(child, NULL, 0);
		r = -e;
	}
	close(error[0]);
	if (r == 0) {
		*pid = child;
		*link_fd = link[0];
	} else {
		close(link[0]);
	}
fail:
	if (r != 0)
		cause_set(cause, r, "can't start %s: %s", real, err_text(r));
	free(real);
	return r;
}
