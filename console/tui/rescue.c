/* SPDX-License-Identifier: MIT */
/*
 * See rescue.h.  Everything under restore() is safe in a signal handler.  The
 * guard waits for the end of a pipe of which only the console has the other
 * end: a byte before the end means that all is well.  It is in a session of its
 * own, so that neither the keys of the terminal nor the end of the session
 * reach it, and so that it may set the modes from the background.
 */
#include "config.h"

#include "console/tui/rescue.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/mem.h"

#define STDERR_SHOWN	16384	/* bytes of the end of what was said */

static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

static struct rescue	 saved;
static volatile sig_atomic_t is_on;	/* the screen is ours */
static int		 pipe_fd = -1;	/* to the guard */
static pid_t		 guard;
static int		 real_stderr = -1;
static int		 kept_stderr = -1;	/* a file in memory */

static void
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno != EINTR)
			return;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
}

/* ---- stderr ---- */

static void
keep_stderr(void)
{
	int fd;

	if (!isatty(STDERR_FILENO) ||
	    (fd = memfd_create("stderr", MFD_CLOEXEC)) < 0)
		return;
	real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (real_stderr < 0 || fcntl(fd, F_SETFL, O_APPEND) < 0 ||
	    dup2(fd, STDERR_FILENO) < 0) {
		close(fd);
		return;
	}
	kept_stderr = fd;
}

/* What was said so far goes to the terminal, what comes now too. */
static void
show_stderr(void)
{
	char bytes[1024];
	off_t at;
	ssize_t k;

	if (kept_stderr < 0)
		return;
	dup2(real_stderr, STDERR_FILENO);
	at = lseek(kept_stderr, 0, SEEK_END) - STDERR_SHOWN;
	lseek(kept_stderr, at > 0 ? at : 0, SEEK_SET);
	while ((k = read(kept_stderr, bytes, sizeof(bytes))) > 0)
		write_all(STDERR_FILENO, bytes, (size_t)k);
	close(kept_stderr);
	close(real_stderr);
	kept_stderr = real_stderr = -1;
}

/* ---- the end of the screen ---- */

static void
restore(void)
{
	write_all(saved.tty, saved.bytes, saved.n);
	tcsetattr(saved.tty, TCSADRAIN, &saved.modes);
}

/* Reset to its default by SA_RESETHAND; returning would not always repeat
 * it, so it is sent again. */
static void
on_crash(int sig)
{
	if (is_on) {
		is_on = 0;
		restore();
		show_stderr();
	}
	raise(sig);
}

static void
catch_crashes(void)
{
	static char stack[65536];	/* the usual one may be full */
	const stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_handler = on_crash,
	    .sa_flags = SA_ONSTACK | SA_RESETHAND };

	sigaltstack(&ss, NULL);
	for (size_t i = 0; i < N_ELEMENTS(crashes); i++)
		sigaction(crashes[i], &sa, NULL);
}

/* ---- the guard ---- */

static void
guard_main(int fd)
{
	char state = 'y';	/* is the screen taken? */
	ssize_t k;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	setsid();
	prctl(PR_SET_NAME, "bigmodelctl-tty");
	/* Not a descriptor of the console's may live on here. */
	if (dup2(fd, 0) < 0 || dup2(saved.tty, 1) < 0)
		_exit(1);
	saved.tty = 1;
	close_range(2, ~0u, 0);
	while ((k = read(0, &state, 1)) > 0 || (k < 0 && errno == EINTR))
		;
	if (state == 'y')
		restore();
	_exit(0);
}

static void
start_guard(void)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return;
	if ((guard = fork()) == 0) {
		close(fds[1]);
		guard_main(fds[0]);
	}
	close(fds[0]);
	if (guard < 0)
		close(fds[1]);
	else
		pipe_fd = fds[1];
}

static void
tell_guard(char state)
{
	if (pipe_fd >= 0)
		write_all(pipe_fd, &state, 1);
}

void
rescue_begin(const struct rescue *r)
{
	saved = *r;
	start_guard();
	catch_crashes();
	rescue_resume();
}

void
rescue_resume(void)
{
	keep_stderr();
	is_on = 1;
	tell_guard('y');
}

void
rescue_pause(void)
{
	is_on = 0;
	tell_guard('n');
	show_stderr();
}

void
rescue_end(void)
{
	rescue_pause();
	if (pipe_fd < 0)
		return;
	close(pipe_fd);
	pipe_fd = -1;
	while (waitpid(guard, NULL, 0) < 0 && errno == EINTR)
		;
}
