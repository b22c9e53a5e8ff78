/* SPDX-License-Identifier: MIT */
/*
 * logits: every position's logits, or one pooled vector, as little-endian
 * float32.  The file appears whole or not at all: it is written beside its
 * place under another name and renamed when the last row is there.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/args.h"
#include "console/helper_io.h"
#include "wire/paths.h"

struct job {
	const struct ctl *ctl;
	struct helper	 helper;
	const char	*file;
	const char	*out_name;
	struct buf	 tokens;	/* little-endian u32 */
	unsigned	 chunk;
	unsigned	 n_threads;
	enum run_pooling pooling;
	FILE		*out;
	char		 temp[PATH_SIZE];
	uint64_t	 n_rows;
	uint64_t	 n_columns;
};

static int
parse_pooling(const char *word, bool embedding, enum run_pooling *out,
    struct cause *cause)
{
	if (word == NULL)
		*out = embedding ? POOL_DEFAULT : POOL_NONE;
	else if (strcmp(word, "mean") == 0)
		*out = POOL_MEAN;
	else if (strcmp(word, "cls") == 0)
		*out = POOL_CLS;
	else if (strcmp(word, "last") == 0)
		*out = POOL_LAST;
	else
		return cause_set(cause, BM_EUSAGE,
		    "--pooling is mean, cls or last, not %s", word);
	return 0;
}

static int
parse_count(const char *name, const char *word, unsigned *out,
    struct cause *cause)
{
	int v;

	if (word == NULL)
		return 0;
	if (str_to_int(word, 0, 1000000, &v) != 0)
		return cause_set(cause, BM_EUSAGE, "%s wants a count, not %s",
		    name, word);
	*out = (unsigned)v;
	return 0;
}

static int
parse(struct job *j, const char *const *args, size_t n_args,
    struct cause *cause)
{
	const char *tokens = NULL, *pooling = NULL, *chunk = NULL;
	const char *threads = NULL;
	bool embedding = false;
	const struct arg spec[] = {
		{ "--tokens", &tokens, NULL },
		{ "--out", &j->out_name, NULL },
		{ "--pooling", &pooling, NULL },
		{ "--chunk", &chunk, NULL },
		{ "--threads", &threads, NULL },
		{ "--embedding", NULL, &embedding },
	};
	int r;

	if ((r = args_parse(args, n_args, spec, N_ELEMENTS(spec), &j->file,
	    1, cause)) != 0)
		return r;
	if (tokens == NULL || j->out_name == NULL)
		return cause_set(cause, BM_EUSAGE,
		    "logits needs --tokens T,T,... and --out FILE");
	if ((r = parse_pooling(pooling, embedding, &j->pooling, cause)) != 0 ||
	    (r = parse_count("--chunk", chunk, &j->chunk, cause)) != 0 ||
	    (r = parse_count("--threads", threads, &j->n_threads, cause)) != 0)
		return r;
	return args_tokens(slice_of(tokens), &j->tokens, cause);
}

static int
open_temp(struct job *j, struct cause *cause)
{
	int n = snprintf(j->temp, sizeof(j->temp), "%s.%ld.part", j->out_name,
	    (long)getpid());
	int fd;

	if (n < 0 || (size_t)n >= sizeof(j->temp))
		return cause_set(cause, -ENAMETOOLONG, "the path of --out is "
		    "too long");
	fd = open(j->temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW |
	    O_CLOEXEC, 0666);
	if (fd < 0 || (j->out = fdopen(fd, "wb")) == NULL)
		return cause_set(cause, -errno, "%s: %s", j->out_name,
		    strerror(errno));
	return 0;
}

/* Close the file and give it its name, or take it away. */
static int
close_temp(struct job *j, int r, struct cause *cause)
{
	if (fclose(j->out) != 0 && r == 0)
		r = cause_set(cause, -errno, "%s: %s", j->out_name,
		    strerror(errno));
	if (r == 0 && rename(j->temp, j->out_name) != 0)
		r = cause_set(cause, -errno, "%s: %s", j->out_name,
		    strerror(errno));
	if (r != 0)
		unlink(j->temp);
	return r;
}

/* Rows must come in order and be of one length. */
static int
take_rows(struct job *j, const struct frame *f, struct cause *cause)
{
	struct msg_rows m;

	if (msg_get_rows(f->body, &m) != 0 || m.first != j->n_rows ||
	    (uint64_t)m.n_rows * m.n_columns != m.values.n ||
	    (j->n_rows > 0 && m.n_columns != j->n_columns))
		return cause_set(cause, BM_EPROTO,
		    "the worker sent rows that do not fit");
	j->n_rows += m.n_rows;
	j->n_columns = m.n_columns;
	j->helper.progress.done = j->n_rows;
	/* The words are the floats as they go into the file. */
	if (fwrite(m.values.p, 4, m.values.n, j->out) != m.values.n)
		return cause_set(cause, -errno, "%s: %s", j->out_name,
		    strerror(errno));
	return 0;
}

static int
receive_rows(struct job *j, struct cause *cause)
{
	size_t n_tokens = j->tokens.len / 4;
	size_t want = j->pooling == POOL_NONE ? n_tokens : 1;
	struct frame f;
	int r;

	for (;;) {
		if ((r = helper_next(&j->helper, &f, cause)) != 0)
			return r;
		if (f.type == MSG_RESULT)
			break;
		if (f.type != MSG_ROWS)
			return cause_set(cause, BM_EPROTO,
			    "the worker answered LOGITS with %s",
			    msg_name(f.type));
		if ((r = take_rows(j, &f, cause)) != 0)
			return r;
	}
	if (j->n_rows != want)
		return cause_set(cause, BM_EPROTO, "the worker sent %llu rows "
		    "of %zu", (unsigned long long)j->n_rows, want);
	return 0;
}

/* Load with room for just these tokens, compute, write. */
static int
compute(struct job *j, struct cause *cause)
{
	size_t n_tokens = j->tokens.len / 4;
	struct msg_model model = { .n_ctx = (uint32_t)n_tokens,
	    .n_parallel = 1, .n_threads = j->n_threads };
	struct msg_logits logits = { .chunk = j->chunk,
	    .pooling = (uint8_t)j->pooling,
	    .tokens = { j->tokens.data, n_tokens } };
	struct frame f;
	int r;

	if ((r = helper_call(&j->helper, MSG_MODEL, &model, MSG_MODEL_INFO,
	    &f, cause)) != 0 || (r = open_temp(j, cause)) != 0)
		return r;
	if (j->pooling == POOL_NONE)
		j->helper.progress.total = n_tokens;
	if ((r = helper_ask(&j->helper, MSG_LOGITS, &logits, cause)) == 0)
		r = receive_rows(j, cause);
	return close_temp(j, r, cause);
}

static void
print_done(const struct job *j)
{
	struct buf b;

	if (!j->ctl->json) {
		printf("%llu x %llu\n", (unsigned long long)j->n_rows,
		    (unsigned long long)j->n_columns);
		return;
	}
	buf_init(&b, SIZE_MAX / 2);
	buf_printf(&b, "{\"rows\":%llu,\"columns\":%llu,\"out\":",
	    (unsigned long long)j->n_rows, (unsigned long long)j->n_columns);
	buf_put_json(&b, slice_of(j->out_name));
	buf_puts(&b, "}");
	puts(buf_cstr(&b));
	buf_fini(&b);
}

int
do_logits(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct job j = { .ctl = ctl };
	struct cause cause = { 0 };
	int r;

	buf_init(&j.tokens, FRAME_BODY_MAX - 64);
	if ((r = parse(&j, args, n_args, &cause)) == 0 &&
	    (r = helper_start(&j.helper, ctl, j.file, &cause)) == 0) {
		r = compute(&j, &cause);
		helper_stop(&j.helper);
	}
	buf_fini(&j.tokens);
	if (r != 0)
		return ctl_fail(ctl, &cause);
	print_done(&j);
	return CTL_DONE;
}
