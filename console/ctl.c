/* SPDX-License-Identifier: MIT */
/*
 * How every command of the console fails and hints: one sentence on stderr,
 * an object on stdout for programs, and the exit code that belongs to it.
 * Foreign text reaches the terminal through str_vis only.
 */
#include "config.h"

#include "console/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"

int
ctl_exit_status(int code)
{
	if (code == -ECONNRESET)
		return CTL_TIMED_OUT;
	if (code == -EACCES || code == -EPERM)
		return CTL_NOT_ALLOWED;
	return err_exit_status(code);
}

/* The word for programs: err.def's, and one for what only a client meets. */
static const char *
name_of(int code)
{
	if (code == -ECONNRESET)
		return "connection_lost";
	if (code == -EACCES || code == -EPERM)
		return err_name(BM_EFORBID);
	if (code == -ENOENT)
		return err_name(BM_ENOTFOUND);
	return err_name(code);
}

int
ctl_fail(const struct ctl *ctl, const struct cause *cause)
{
	char text[sizeof(cause->text) * 4];
	struct buf b;

	fflush(stdout);
	fprintf(stderr, "bigmodelctl: %s\n", str_vis(text, sizeof(text),
	    cause->text, strlen(cause->text)));
	if (ctl->json) {
		buf_init(&b, sizeof(text) * 4);
		buf_printf(&b, "{\"error\":{\"code\":\"%s\",\"message\":",
		    name_of(cause->code));
		buf_put_json(&b, slice_of(cause->text));
		buf_puts(&b, "}}");
		puts(buf_cstr(&b));
		buf_fini(&b);
	}
	return ctl_exit_status(cause->code);
}

bool
ctl_wants_color(const struct ctl *ctl, int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (ctl->color != COLOR_AUTO)
		return ctl->color == COLOR_ALWAYS;
	return isatty(fd) && (no == NULL || no[0] == '\0') &&
	    term != NULL && strcmp(term, "dumb") != 0;
}

void
ctl_hint(const struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;

	if (ctl->quiet || ctl->json || !isatty(STDERR_FILENO))
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}
