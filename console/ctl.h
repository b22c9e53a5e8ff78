/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_CTL_H
#define BM_CONSOLE_CTL_H

/* The options that hold for every command, and how a command fails. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/commands.h"

/* Exit codes of bigmodelctl(1); 3 and 5 also come from err.def. */
enum ctl_exit { CTL_DONE = 0, CTL_REFUSED = 1, CTL_USAGE = 2,
    CTL_NO_DAEMON = 3, CTL_TIMED_OUT = 4, CTL_NOT_ALLOWED = 5 };

enum ctl_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct ctl {
	const char	*socket;	/* NULL: see ctl_socket_path */
	const char	*state_dir;	/* NULL: the default one */
	bool		 json;
	bool		 yes;		/* do not ask */
	bool		 quiet;		/* no progress, no hints */
	bool		 headers;	/* column titles even into a pipe */
	bool		 from_stdin;	/* the commands come from stdin */
	bool		 interactive;	/* they are typed: may be short */
	bool		 keep_going;	/* from stdin: past one that fails */
	bool		 readonly;	/* refuse risk 1 and more */
	bool		 ascii;		/* of the screen */
	bool		 one_line;	/* each JSON value */
	enum ctl_color	 color;
	bool		 has_timeout;
	uint64_t	 timeout_ms;	/* 0: none */
};

/* A command with its arguments (without its own words); an exit code. */
typedef int (*ctl_do_fn)(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args);

int	 do_daemon(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
int	 do_bench(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
int	 do_inspect(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
int	 do_logits(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
int	 do_quantize(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
int	 do_tokenize(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
int	 do_detokenize(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
int	 do_shell(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
int	 do_top(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
int	 do_chat(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
int	 do_watch(const struct ctl *ctl, const struct command *cmd,
	    const char *const *args, size_t n_args);
/* The overview count times (0: without end); an exit code. */
int	 watch_overview(const struct ctl *ctl, uint64_t interval_ms,
	    uint64_t count);

/* Tell the failure, on stderr and with --json as {"error":...} on stdout;
 * returns the exit code that goes with it. */
int	 ctl_fail(const struct ctl *ctl, const struct cause *cause);
/* The exit code of an error code (err.def, or -errno). */
int	 ctl_exit_status(int code);
/* Colours on that descriptor? By the option, else by NO_COLOR and TERM. */
bool	 ctl_wants_color(const struct ctl *ctl, int fd);
/* A sentence on stderr, unless -q. */
void	 ctl_hint(const struct ctl *ctl, const char *fmt, ...)
	    BM_PRINTF(2, 3);

#endif
