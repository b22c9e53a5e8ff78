/* SPDX-License-Identifier: MIT */
/*
 * quantize: a model file in another tensor type.  The worker reads and
 * computes; here are the names.  OUT appears whole or not at all: the worker
 * writes to a file without a name where the system has such, else to one
 * beside OUT that a signal takes away too.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/args.h"
#include "console/helper_io.h"
#include "wire/model_file.h"
#include "wire/paths.h"

struct job {
	const struct ctl *ctl;
	struct helper	 helper;
	const char	*files[2];	/* IN, OUT */
	const char	*type;
	unsigned	 n_threads;
	int		 fd;		/* what the worker writes to */
	struct msg_quantized done;
	char		 types[512];	/* "15 Q4_K, 5 F32" */
	struct buf	 types_json;
};

/* The file beside OUT, for the signal handler; empty: there is none. */
static char temp[PATH_SIZE];

static void
on_signal(int sig)
{
	if (temp[0] != '\0')
		unlink(temp);
	signal(sig, SIG_DFL);
	raise(sig);
}

static int
parse(struct job *j, const char *const *args, size_t n_args,
    struct cause *cause)
{
	const char *threads = NULL;
	const struct arg spec[] = {
		{ "--to", &j->type, NULL },
		{ "--threads", &threads, NULL },
	};
	int r, v = 0;

	if ((r = args_parse(args, n_args, spec, N_ELEMENTS(spec), j->files, 2,
	    cause)) != 0)
		return r;
	if (j->type == NULL)
		return cause_set(cause, BM_EUSAGE,
		    "quantize needs --to TYPE, such as --to Q4_K");
	if (threads != NULL && str_to_int(threads, 0, 512, &v) != 0)
		return cause_set(cause, BM_EUSAGE,
		    "--threads wants a count up to 512, not %s", threads);
	j->n_threads = (unsigned)v;
	return 0;
}

/* ---- OUT ---- */

/* Is OUT one of the files that are read? */
static int
is_input(const struct job *j, const struct stat *out, bool *same,
    struct cause *cause)
{
	struct model_file f;
	struct stat st;
	int r;

	if ((r = model_file_open(j->files[0], &f, cause)) != 0)
		return r;
	*same = false;
	for (size_t i = 0; i < f.n_parts; i++)
		if (fstat(f.parts[i].fd, &st) == 0 &&
		    st.st_dev == out->st_dev && st.st_ino == out->st_ino)
			*same = true;
	model_file_close(&f);
	return 0;
}

/* May OUT be written? */
static int
check_out(const struct job *j, struct cause *cause)
{
	const char *out = j->files[1];
	struct stat st;
	bool same;
	int r;

	if (stat(out, &st) != 0)
		return errno == ENOENT ? 0 : cause_set(cause, -errno,
		    "%s: %s", out, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return cause_set(cause, BM_EEXIST, "%s is no regular file: "
		    "name a file to write", out);
	if ((r = is_input(j, &st, &same, cause)) != 0)
		return r;
	if (same)
		return cause_set(cause, BM_EEXIST, "%s is the file to be read: "
		    "name another to write", out);
	if (!j->ctl->yes)
		return cause_set(cause, BM_EEXIST, "%s exists: say -y to "
		    "replace it", out);
	return 0;
}

static int
open_beside(struct job *j, struct cause *cause)
{
	static const int caught[] = { SIGHUP, SIGINT, SIGTERM };

	for (size_t i = 0; i < N_ELEMENTS(caught); i++)
		signal(caught[i], on_signal);
	j->fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (j->fd >= 0)
		return 0;
	temp[0] = '\0';
	return cause_set(cause, -errno, "%s: %s", j->files[1],
	    strerror(errno));
}

static int
open_out(struct job *j, struct cause *cause)
{
	const char *out = j->files[1], *slash = strrchr(out, '/');
	char dir[PATH_SIZE];
	int n = snprintf(temp, sizeof(temp), "%s.tmp.%ld", out,
	    (long)getpid());

	if (n < 0 || (size_t)n >= sizeof(temp)) {
		temp[0] = '\0';
		return cause_set(cause, -ENAMETOOLONG, "%s: the path is too "
		    "long", out);
	}
	snprintf(dir, sizeof(dir), "%.*s", slash == NULL ? 1 :
	    (int)(slash - out) + 1, slash == NULL ? "." : out);
	j->fd = open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
	return j->fd >= 0 ? 0 : open_beside(j, cause);
}

/* Without -y a file that came meanwhile is not replaced either, where the
 * file system can tell. */
static int
rename_temp(const struct job *j)
{
	unsigned flags = j->ctl->yes ? 0 : RENAME_NOREPLACE;

	if (renameat2(AT_FDCWD, temp, AT_FDCWD, j->files[1], flags) == 0)
		return 0;
	if (flags == 0 || errno != EINVAL)
		return -1;
	return rename(temp, j->files[1]);
}

/* Give the file its name: first beside OUT if it has none, then OUT's. */
static int
name_out(struct job *j, struct cause *cause)
{
	char fd_path[32];
	struct stat st;

	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", j->fd);
	if ((fstat(j->fd, &st) == 0 && st.st_nlink == 0 &&
	    linkat(AT_FDCWD, fd_path, AT_FDCWD, temp,
	    AT_SYMLINK_FOLLOW) != 0) || rename_temp(j) != 0)
		return cause_set(cause, errno == EEXIST ? BM_EEXIST : -errno,
		    "%s: %s", j->files[1], strerror(errno));
	temp[0] = '\0';
	return 0;
}

static int
close_out(struct job *j, int r, struct cause *cause)
{
	if (r == 0)
		r = name_out(j, cause);
	if (temp[0] != '\0')
		unlink(temp);
	temp[0] = '\0';
	close(j->fd);
	return r;
}

/* ---- the work ---- */

/* What is kept of the answer, whose frame goes with the worker. */
static void
take_types(struct job *j)
{
	struct cur c = strs_of(j->done.types);
	struct slice name, count;
	size_t at = 0;

	while (strs_next(&c, &name) && strs_next(&c, &count)) {
		if (at < sizeof(j->types))
			at += (size_t)snprintf(j->types + at,
			    sizeof(j->types) - at, "%s%.*s %.*s",
			    at > 0 ? ", " : "", (int)count.n, count.p,
			    (int)name.n, name.p);
		buf_puts(&j->types_json, j->types_json.len > 0 ? "," : "");
		buf_put_json(&j->types_json, name);
		buf_puts(&j->types_json, ":");
		buf_put(&j->types_json, count.p, count.n);
	}
}

static int
receive(struct job *j, struct cause *cause)
{
	struct msg_progress p;
	struct frame f;
	int r;

	while ((r = helper_next(&j->helper, &f, cause)) == 0) {
		if (f.type == MSG_PROGRESS &&
		    msg_get_progress(f.body, &p) == 0) {
			j->helper.progress.done = p.done >> 20;
			j->helper.progress.total = p.total >> 20;
			j->helper.progress.unit = " MiB";
			continue;
		}
		if (f.type != MSG_QUANTIZED ||
		    msg_get_quantized(f.body, &j->done) != 0)
			return cause_set(cause, BM_EPROTO,
			    "the worker answered with %s", msg_name(f.type));
		take_types(j);
		return 0;
	}
	return r;
}

static int
quantize(struct job *j, struct cause *cause)
{
	struct msg_quantize m = { .type = slice_of(j->type),
	    .n_threads = j->n_threads };
	int r;

	if ((r = check_out(j, cause)) != 0 ||
	    (r = helper_start(&j->helper, j->ctl, j->files[0], cause)) != 0)
		return r;
	if ((r = open_out(j, cause)) == 0) {
		if ((r = helper_ask_fd(&j->helper, MSG_QUANTIZE, &m, j->fd,
		    cause)) == 0)
			r = receive(j, cause);
		if (r == BM_EDISK)
			cause_prefix(cause, "%s", j->files[1]);
		r = close_out(j, r, cause);
	}
	helper_stop(&j->helper);
	return r;
}

static void
print_json(const struct job *j)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	buf_puts(&b, "{\"out\":");
	buf_put_json(&b, slice_of(j->files[1]));
	buf_printf(&b, ",\"bytes\":%" PRIu64 ",\"parameters\":%" PRIu64
	    ",\"bits_per_weight\":%.4f,\"tensors\":{%s}", j->done.bytes,
	    j->done.n_params, j->done.bits_per_weight,
	    buf_cstr((struct buf *)&j->types_json));
	buf_printf(&b, ",\"fallback\":%u,\"requantized\":%u,"
	    "\"seconds\":%.3f}", j->done.n_fallback, j->done.n_requantized,
	    j->done.ms / 1000);
	puts(buf_cstr(&b));
	buf_fini(&b);
}

static void
print_text(const struct job *j)
{
	printf("%s: %" PRIu64 " bytes, %.2f bits a weight, tensors: %s\n",
	    j->files[1], j->done.bytes, j->done.bits_per_weight, j->types);
	if (j->done.n_fallback > 0)
		ctl_hint(j->ctl, "the rows of %u tensors do not fit the type; "
		    "they got the nearest one that does", j->done.n_fallback);
	if (j->done.n_requantized > 0)
		ctl_hint(j->ctl, "%u tensors were quantised before; the "
		    "original file gives better ones", j->done.n_requantized);
}

int
do_quantize(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct job j = { .ctl = ctl };
	struct cause cause = { 0 };
	int r;

	buf_init(&j.types_json, FRAME_BODY_MAX);
	if ((r = parse(&j, args, n_args, &cause)) == 0)
		r = quantize(&j, &cause);
	if (r == 0 && ctl->json)
		print_json(&j);
	else if (r == 0)
		print_text(&j);
	buf_fini(&j.types_json);
	return r == 0 ? CTL_DONE : ctl_fail(ctl, &cause);
}
