/* SPDX-License-Identifier: MIT */
/*
 * tokenize and detokenize: stdin through the tokenizer of a model file.  Text
 * is taken byte for byte; with --jsonl a line in gives a line out, and a line
 * that fails says so in its place and does not end the rest.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/mem.h"
#include "console/args.h"
#include "console/helper_io.h"

/* What stdin may hold without --jsonl; the frame has its own limit. */
#define INPUT_MAX	((size_t)1 << 30)

struct job {
	const struct ctl *ctl;
	struct helper	 helper;
	const char	*file;
	bool		 jsonl;
	bool		 add_special;
	bool		 parse_special;
	bool		 special;
};

typedef int (*line_fn)(struct job *j, struct slice line, struct buf *out,
    struct cause *cause);

static int
read_stdin(struct buf *in, struct cause *cause)
{
	size_t got;

	do {
		uint8_t *to = buf_reserve(in, 65536);

		if (to == NULL)
			return cause_set(cause, BM_ELIMIT,
			    "more than %zu bytes on stdin", INPUT_MAX);
		got = fread(to, 1, 65536, stdin);
		in->len += got;
	} while (got > 0);
	if (ferror(stdin))
		return cause_set(cause, -errno, "reading stdin: %s",
		    strerror(errno));
	return 0;
}

/* Is the worker still there to take the next line? */
static bool
is_fatal(const struct job *j, int r)
{
	return j->helper.pid == 0 || r == BM_ETIMEOUT || r == BM_EPROTO;
}

/* tokens as [1, 2, 3] */
static int
tokenize(struct job *j, struct slice text, bool add_special,
    bool parse_special, struct buf *out, struct cause *cause)
{
	struct msg_tokenize m = { .text = text, .add_special = add_special,
	    .parse_special = parse_special };
	struct msg_tokens t;
	struct frame f;
	int r;

	if (text.n > FRAME_BODY_MAX - 64)
		return cause_set(cause, BM_ELIMIT,
		    "the text has more than %u bytes", FRAME_BODY_MAX - 64);
	r = helper_call(&j->helper, MSG_TOKENIZE, &m, MSG_TOKENS, &f, cause);
	if (r != 0)
		return r;
	if (msg_get_tokens(f.body, &t) != 0)
		return cause_set(cause, BM_EPROTO, "the worker sent broken "
		    "tokens");
	buf_puts(out, "[");
	for (size_t i = 0; i < t.tokens.n; i++)
		buf_printf(out, "%s%u", i > 0 ? ", " : "",
		    words_at(t.tokens, i));
	buf_puts(out, "]");
	return 0;
}

/* A member that is true or false; the default when it is not there. */
static int
get_flag(const json_t *o, const char *key, bool *flag, struct cause *cause)
{
	const json_t *v = json_object_get(o, key);

	if (v == NULL)
		return 0;
	if (!json_is_boolean(v))
		return cause_set(cause, BM_EBADREQ,
		    "\"%s\" is not true or false", key);
	*flag = json_is_true(v);
	return 0;
}

static int
tokenize_object(struct job *j, const json_t *o, struct buf *out,
    struct cause *cause)
{
	const json_t *text = json_object_get(o, "text");
	bool add = j->add_special, parse = j->parse_special;
	int r;

	if (!json_is_object(o) || !json_is_string(text))
		return cause_set(cause, BM_EBADREQ,
		    "a line is an object with a string \"text\"");
	if ((r = get_flag(o, "add_special", &add, cause)) != 0 ||
	    (r = get_flag(o, "parse_special", &parse, cause)) != 0)
		return r;
	return tokenize(j, (struct slice){ json_string_value(text),
	    json_string_length(text) }, add, parse, out, cause);
}

static int
tokenize_line(struct job *j, struct slice line, struct buf *out,
    struct cause *cause)
{
	json_error_t e;
	json_t *o = json_loadb(line.p, line.n, JSON_ALLOW_NUL, &e);
	int r;

	if (o == NULL)
		return cause_set(cause, BM_EBADREQ, "no JSON: %s", e.text);
	r = tokenize_object(j, o, out, cause);
	json_decref(o);
	return r;
}

static int
tokenize_whole(struct job *j, struct slice text, struct buf *out,
    struct cause *cause)
{
	return tokenize(j, text, j->add_special, j->parse_special, out,
	    cause);
}

/* A JSON array of token numbers as the words of a message. */
static int
read_tokens(struct slice text, struct buf *words, struct cause *cause)
{
	json_error_t e;
	json_t *a = json_loadb(text.p, text.n, 0, &e), *v;
	int r = 0;
	size_t i;

	if (a == NULL)
		return cause_set(cause, BM_EBADREQ, "no JSON: %s", e.text);
	if (!json_is_array(a))
		r = cause_set(cause, BM_EBADREQ, "not an array of tokens");
	json_array_foreach(a, i, v) {
		json_int_t n = json_is_integer(v) ? json_integer_value(v) :
		    -1;

		if (n < 0 || n > UINT32_MAX) {
			r = cause_set(cause, BM_EBADREQ,
			    "element %zu of the array is no token", i);
			break;
		}
		buf_put_u32(words, (uint32_t)n);
	}
	json_decref(a);
	return r;
}

/* The text as it is, or as a JSON string. */
static int
detokenize(struct job *j, struct slice line, bool as_json, struct buf *out,
    struct cause *cause)
{
	struct msg_detokenize m = { .special = j->special };
	struct msg_text t;
	struct buf words;
	struct frame f;
	int r;

	buf_init(&words, FRAME_BODY_MAX - 64);
	if ((r = read_tokens(line, &words, cause)) == 0 && words.failed)
		r = cause_set(cause, BM_ELIMIT, "too many tokens");
	if (r == 0) {
		m.tokens = (struct words){ words.data, words.len / 4 };
		r = helper_call(&j->helper, MSG_DETOKENIZE, &m, MSG_TEXT, &f,
		    cause);
	}
	buf_fini(&words);
	if (r != 0)
		return r;
	if (msg_get_text(f.body, &t) != 0)
		return cause_set(cause, BM_EPROTO, "the worker sent a broken "
		    "text");
	if (as_json)
		buf_put_json(out, t.text);
	else
		buf_put(out, t.text.p, t.text.n);
	return 0;
}

static int
detokenize_line(struct job *j, struct slice line, struct buf *out,
    struct cause *cause)
{
	return detokenize(j, line, true, out, cause);
}

static int
detokenize_whole(struct job *j, struct slice text, struct buf *out,
    struct cause *cause)
{
	return detokenize(j, text, j->ctl->json, out, cause);
}

static int
each_line(struct job *j, line_fn do_line, struct cause *cause)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t got;
	struct buf out;
	int r = 0;

	buf_init(&out, SIZE_MAX / 2);
	while (r == 0 && (got = getline(&line, &size, stdin)) > 0) {
		if (line[got - 1] == '\n')
			got--;
		if (got == 0)
			continue;
		buf_clear(&out);
		r = do_line(j, (struct slice){ line, (size_t)got }, &out,
		    cause);
		if (r != 0 && is_fatal(j, r))
			break;
		if (r != 0) {
			buf_clear(&out);
			buf_puts(&out, "{\"error\":");
			buf_put_json(&out, slice_of(cause->text));
			buf_puts(&out, "}");
			r = 0;
		}
		buf_puts(&out, "\n");
		if (fwrite(out.data, 1, out.len, stdout) != out.len)
			break;
	}
	free(line);
	buf_fini(&out);
	return r;
}

static int
whole(struct job *j, line_fn do_text, bool end_line, struct cause *cause)
{
	struct buf in, out;
	int r;

	buf_init(&in, INPUT_MAX);
	buf_init(&out, SIZE_MAX / 2);
	if ((r = read_stdin(&in, cause)) == 0)
		r = do_text(j, (struct slice){ (const char *)in.data,
		    in.len }, &out, cause);
	if (r == 0 && end_line)
		buf_puts(&out, "\n");
	if (r == 0)
		fwrite(out.data, 1, out.len, stdout);
	buf_fini(&in);
	buf_fini(&out);
	return r;
}

/* Parse, start, run over stdin, stop. */
static int
run(struct job *j, const char *const *args, size_t n_args,
    const struct arg *spec, size_t n_spec, line_fn do_line, line_fn do_text,
    bool end_line)
{
	struct cause cause = { 0 };
	int r;

	r = args_parse(args, n_args, spec, n_spec, &j->file, 1, &cause);
	if (r == 0 && j->ctl->from_stdin)
		r = cause_set(&cause, BM_EUSAGE,
		    "stdin can't hold both commands and text");
	if (r == 0)
		r = helper_start(&j->helper, j->ctl, j->file, &cause);
	if (r != 0)
		return ctl_fail(j->ctl, &cause);
	if ((r = helper_load_vocab(&j->helper, &cause)) == 0) {
		progress_end(&j->helper.progress);
		r = j->jsonl ? each_line(j, do_line, &cause) :
		    whole(j, do_text, end_line, &cause);
	}
	helper_stop(&j->helper);
	return r == 0 ? CTL_DONE : ctl_fail(j->ctl, &cause);
}

int
do_tokenize(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct job j = { .ctl = ctl };
	const struct arg spec[] = {
		{ "--parse-special", NULL, &j.parse_special },
		{ "--add-special", NULL, &j.add_special },
		{ "--jsonl", NULL, &j.jsonl },
	};

	return run(&j, args, n_args, spec, N_ELEMENTS(spec), tokenize_line,
	    tokenize_whole, true);
}

int
do_detokenize(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct job j = { .ctl = ctl };
	const struct arg spec[] = {
		{ "--special", NULL, &j.special },
		{ "--jsonl", NULL, &j.jsonl },
	};

	return run(&j, args, n_args, spec, N_ELEMENTS(spec), detokenize_line,
	    detokenize_whole, ctl->json);
}
