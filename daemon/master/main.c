/* SPDX-License-Identifier: MIT */
/*
 * bigmodeld: everything that can be wrong with options, configuration, state
 * directory and addresses is found before the daemon leaves the terminal, so
 * that it is told there.  Then the parent waits until the models are ready
 * and ends with the true outcome.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "master/activation.h"
#include "master/master.h"
#include "master/state_dir.h"

static void __attribute__((noreturn))
die(int status, const char *text)
{
	fprintf(stderr, "bigmodeld: %s\n", text);
	exit(status);
}

/* The parent's part: wait for one line, empty when all is well. */
static void __attribute__((noreturn))
wait_for_child(int fd)
{
	char text[512];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(text) - 1 && ((got = read(fd, text + n,
	    sizeof(text) - 1 - n)) > 0 || (got == -1 && errno == EINTR)))
		if (got > 0)
			n += (size_t)got;
	text[n] = '\0';
	if (n == 0)
		die(1, "the daemon died while it started; see its log");
	text[strcspn(text, "\n")] = '\0';
	if (text[0] != '\0')
		die(1, text);
	exit(0);
}

/* The child's part of it returns: where to tell the parent. */
static int
daemonise(void)
{
	int p[2], null;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		die(1, strerror(errno));
	if (pid != 0) {
		close(p[1]);
		wait_for_child(p[0]);
	}
	close(p[0]);
	setsid();
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1 ||
	    dup2(null, STDIN_FILENO) == -1 ||
	    dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(null, STDERR_FILENO) == -1)
		die(1, strerror(errno));
	if (null > STDERR_FILENO)
		close(null);
	return p[1];
}

/* A closed 0, 1 or 2 would become one of our sockets, and what our parent
 * forgot to close would stay open for as long as we live. */
static void
set_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd != -1 && fd <= STDERR_FILENO);
	(void)close_range(STDERR_FILENO + 1 + (unsigned)activation_count(),
	    ~0u, 0);
}

int
main(int argc, char **argv)
{
	struct options options;
	struct master m = { .ready_fd = -1 };
	struct cause why;
	int lock_fd, status;

	set_fds();
	umask(022);
	options_parse(&options, argc, argv);
	if (options_load_conf(&options, &m.conf, &why) != 0)
		die(2, why.text);
	if (options.is_check) {
		if (check_models(&m.conf, options.conf_path, &why) != 0)
			die(2, why.text);
		printf("ok: %zu model%s\n", m.conf.n_models,
		    m.conf.n_models == 1 ? "" : "s");
		conf_fini(&m.conf);
		options_fini(&options);
		return 0;
	}
	if ((lock_fd = state_dir_open(options.state_dir, &why)) < 0)
		die(1, why.text);
	listen_init(&m.listeners);
	if (activation_take(&m.listeners, &why) != 0 ||
	    listen_apply(&m.listeners, &m.conf, &why) != 0)
		die(1, why.text);
	if (chdir(options.state_dir) == -1)
		die(1, strerror(errno));
	if (!options.is_foreground)
		m.ready_fd = daemonise();
	state_dir_sign(lock_fd);
	log_init("master", LOG_LEVEL_INFO, !options.is_foreground);
	m.options = &options;
	status = master_run(&m);
	conf_fini(&m.conf);
	options_fini(&options);
	return status;
}
