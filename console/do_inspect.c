/* SPDX-License-Identifier: MIT */
/*
 * inspect: what a model file holds.  Two questions to a worker: what is
 * written in the file (any architecture), and what running it takes (MODEL,
 * which a file that can't run here refuses with the reason).
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/args.h"
#include "console/helper_io.h"
#include "console/output.h"

struct job {
	const struct ctl	*ctl;
	const struct command	*cmd;
	const char		*file;
	struct helper		 helper;
	json_t			*metadata;	/* {key: {type, value}} */
	json_t			*tensors;	/* [{name, type...}] */
	json_t			*by_type;	/* {type: bytes} */
	uint64_t		 tensor_bytes;
	uint64_t		 n_params;
	bool			 has_memory;
	struct cause		 no_memory;	/* why not */
	uint64_t		 weight_bytes, kv_bytes, scratch_bytes;
	uint32_t		 n_ctx;		/* that kv_bytes is for */
};

/* A string that is UTF-8 whatever the file holds. */
static json_t *
string_of(struct slice s)
{
	struct buf b;
	json_t *v;

	buf_init(&b, SIZE_MAX / 2);
	buf_put_json(&b, s);
	v = json_loadb((const char *)b.data, b.len,
	    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	buf_fini(&b);
	return v != NULL ? v : json_string("");
}

static bool
begins_with(struct slice s, struct slice begin)
{
	return s.n >= begin.n && memcmp(s.p, begin.p, begin.n) == 0;
}

/* text between two others as JSON; NULL when it is none. */
static json_t *
parse_between(const char *before, struct slice text, const char *after)
{
	struct buf b;
	json_t *v;

	buf_init(&b, SIZE_MAX / 2);
	buf_puts(&b, before);
	buf_put(&b, text.p, text.n);
	buf_puts(&b, after);
	v = json_loadb((const char *)b.data, b.len,
	    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	buf_fini(&b);
	return v;
}

/*
 * The worker writes values for people.  Scalars are JSON as they stand, and so
 * is an array behind its type, unless it was cut ("..." at its end); a string
 * that was cut ends in "..." too.
 */
static json_t *
value_of(struct slice s, struct slice type)
{
	bool is_array = memchr(type.p, '[', type.n) != NULL;
	json_t *v, *cut;

	if (is_array && begins_with(s, type)) {
		s.p += type.n;
		s.n -= type.n;
		while (s.n > 0 && s.p[0] == ' ') {
			s.p++;
			s.n--;
		}
	}
	v = is_array ? parse_between("[", s, "]") : parse_between("", s, "");
	if (v != NULL)
		return v;
	if (!is_array && s.n > 4 && s.p[0] == '"' && s.p[s.n - 1] == '.') {
		struct slice quoted = { s.p, s.n - 3 };

		if ((cut = parse_between("", quoted, "")) != NULL) {
			v = json_sprintf("%s...", json_string_value(cut));
			json_decref(cut);
		}
	}
	return v != NULL ? v : string_of(s);
}

static void
add_kv(struct job *j, const struct msg_inspect_kv *m)
{
	char *key = slice_dup(m->key);
	json_t *kv = json_object();

	json_object_set_new(kv, "type", string_of(m->type));
	json_object_set_new(kv, "value", value_of(m->value, m->type));
	/* Refused when the key is no UTF-8: show it as far as it is. */
	if (json_object_set(j->metadata, key, kv) != 0) {
		json_t *fixed = string_of(m->key);

		json_object_set(j->metadata, json_string_value(fixed), kv);
		json_decref(fixed);
	}
	json_decref(kv);
	free(key);
}

/* Bytes by type, to name the type that most of the file is of. */
static void
count_type(struct job *j, const char *type, uint64_t bytes)
{
	json_int_t sum = json_integer_value(json_object_get(j->by_type, type));

	json_object_set_new(j->by_type, type,
	    json_integer(sum + (json_int_t)bytes));
}

static void
add_tensor(struct job *j, const struct msg_inspect_tensor *m)
{
	json_t *t = json_object(), *shape = json_array();
	json_t *type = string_of(m->type);
	uint64_t n = 1;

	for (size_t i = 0; i < m->dims.n; i++) {
		n *= words_at(m->dims, i);
		json_array_append_new(shape,
		    json_integer(words_at(m->dims, i)));
	}
	json_object_set_new(t, "name", string_of(m->name));
	json_object_set(t, "type", type);
	json_object_set_new(t, "shape", shape);
	json_object_set_new(t, "offset", json_integer((json_int_t)m->offset));
	json_object_set_new(t, "bytes", json_integer((json_int_t)m->bytes));
	json_object_set_new(t, "part", json_integer(m->part));
	json_array_append_new(j->tensors, t);
	count_type(j, json_string_value(type), m->bytes);
	json_decref(type);
	j->tensor_bytes += m->bytes;
	j->n_params += n;
}

/* One frame of the answer; 1 at its end. */
static int
take(struct job *j, const struct frame *f)
{
	struct msg_inspect_kv kv;
	struct msg_inspect_tensor t;
	int r;

	switch (f->type) {
	case MSG_RESULT:
		return 1;
	case MSG_INSPECT_KV:
		if ((r = msg_get_inspect_kv(f->body, &kv)) == 0)
			add_kv(j, &kv);
		return r;
	case MSG_INSPECT_TENSOR:
		if ((r = msg_get_inspect_tensor(f->body, &t)) == 0)
			add_tensor(j, &t);
		return r;
	default:
		return BM_EPROTO;
	}
}

static int
read_file(struct job *j, struct cause *cause)
{
	struct msg_inspect ask = { 0 };
	struct frame f;
	int r;

	if ((r = helper_ask(&j->helper, MSG_INSPECT, &ask, cause)) != 0)
		return r;
	do {
		if ((r = helper_next(&j->helper, &f, cause)) != 0)
			return r;
	} while ((r = take(j, &f)) == 0);
	if (r < 0)
		return cause_set(cause, r, "the worker: %s", err_text(r));
	return 0;
}

/*
 * Would it run, and in how much memory?  A file of an unknown architecture or
 * without weights is no broken file; one whose weights do not fit together is.
 */
static int
read_memory(struct job *j, struct cause *cause)
{
	struct msg_model ask = { .n_parallel = 1 };
	struct msg_model_info m;
	struct frame f;
	int r;

	if (json_array_size(j->tensors) == 0) {
		cause_set(&j->no_memory, BM_EUNSUP, "it has no weights");
		return 0;
	}
	r = helper_call(&j->helper, MSG_MODEL, &ask, MSG_MODEL_INFO, &f,
	    &j->no_memory);
	if (r == BM_EFORMAT || r == BM_EPROTO || r == BM_EWORKER ||
	    r == BM_ETIMEOUT) {
		*cause = j->no_memory;
		return r;
	}
	if (r != 0)
		return 0;
	if (msg_get_model_info(f.body, &m) != 0)
		return cause_set(cause, BM_EPROTO,
		    "the worker sent a broken answer");
	j->has_memory = true;
	j->weight_bytes = m.weight_bytes;
	j->kv_bytes = m.kv_bytes;
	j->scratch_bytes = m.scratch_bytes;
	j->n_ctx = m.n_ctx;
	return 0;
}

static const json_t *
meta(const struct job *j, const char *key)
{
	return json_object_get(json_object_get(j->metadata, key), "value");
}

static const char *
architecture(const struct job *j)
{
	return json_string_value(meta(j, "general.architecture"));
}

/* What the model was trained with; 0 when the file does not say. */
static json_int_t
context_length(const struct job *j)
{
	const char *arch = architecture(j);
	char key[128];

	if (arch == NULL)
		return 0;
	snprintf(key, sizeof(key), "%s.context_length", arch);
	return json_integer_value(meta(j, key));
}

static const char *
main_type(const struct job *j)
{
	const char *type, *best = "";
	json_int_t most = -1;
	json_t *v;

	json_object_foreach(j->by_type, type, v)
		if (json_integer_value(v) > most) {
			most = json_integer_value(v);
			best = type;
		}
	return best;
}

static double
bits_per_weight(const struct job *j)
{
	return j->n_params == 0 ? 0 : (double)j->tensor_bytes * 8 /
	    (double)j->n_params;
}

static json_t *
memory_object(const struct job *j)
{
	json_t *m = json_object();

	if (!j->has_memory) {
		json_object_set_new(m, "unknown",
		    string_of(slice_of(j->no_memory.text)));
		return m;
	}
	json_object_set_new(m, "weights_bytes",
	    json_integer((json_int_t)j->weight_bytes));
	json_object_set_new(m, "kv_bytes",
	    json_integer((json_int_t)j->kv_bytes));
	json_object_set_new(m, "scratch_bytes",
	    json_integer((json_int_t)j->scratch_bytes));
	json_object_set_new(m, "total_bytes", json_integer((json_int_t)
	    (j->weight_bytes + j->kv_bytes + j->scratch_bytes)));
	/* Workers of a model share its weights. */
	json_object_set_new(m, "further_worker_bytes",
	    json_integer((json_int_t)(j->kv_bytes + j->scratch_bytes)));
	json_object_set_new(m, "context", json_integer(j->n_ctx));
	return m;
}

static void
print_json(const struct job *j)
{
	json_t *o = json_object();
	const char *arch = architecture(j);

	json_object_set_new(o, "file", string_of(slice_of(j->file)));
	json_object_set_new(o, "parts", json_integer(j->helper.n_parts));
	json_object_set_new(o, "architecture", arch != NULL ?
	    json_string(arch) : json_null());
	json_object_set_new(o, "type", json_string(main_type(j)));
	json_object_set_new(o, "parameters",
	    json_integer((json_int_t)j->n_params));
	json_object_set_new(o, "file_bytes",
	    json_integer((json_int_t)j->helper.file_bytes));
	json_object_set_new(o, "bits_per_weight",
	    json_real(bits_per_weight(j)));
	json_object_set_new(o, "context", json_integer(context_length(j)));
	json_object_set_new(o, "memory", memory_object(j));
	json_object_set(o, "metadata", j->metadata);
	json_object_set(o, "tensors", j->tensors);
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(o);
}

static void
print_line(const char *name, const char *value)
{
	char shown[1024];

	printf("%-16s  %s\n", name, str_vis(shown, sizeof(shown), value,
	    strlen(value)));
}

static void
print_bytes(const char *name, uint64_t bytes)
{
	char text[32], line[80];

	snprintf(line, sizeof(line), "%s (%" PRIu64 " bytes)",
	    str_from_bytes(text, sizeof(text), bytes), bytes);
	print_line(name, line);
}

static void
print_memory(const struct job *j)
{
	char line[320];

	if (!j->has_memory) {
		snprintf(line, sizeof(line), "not known: %s",
		    j->no_memory.text);
		print_line("memory", line);
		return;
	}
	print_bytes("memory a worker", j->weight_bytes + j->kv_bytes +
	    j->scratch_bytes);
	print_bytes("  each further", j->kv_bytes + j->scratch_bytes);
	print_bytes("  weights", j->weight_bytes);
	print_bytes("  keys, values", j->kv_bytes);
	print_bytes("  scratch", j->scratch_bytes);
}

static void
print_summary(const struct job *j)
{
	const char *arch = architecture(j);
	char line[96];

	print_line("file", j->file);
	if (j->helper.n_parts > 1) {
		snprintf(line, sizeof(line), "%d", j->helper.n_parts);
		print_line("parts", line);
	}
	print_line("architecture", arch != NULL ? arch : "not named");
	if (j->n_params > 0) {
		print_line("type", main_type(j));
		snprintf(line, sizeof(line), "%" PRIu64 " (%.2f bits each)",
		    j->n_params, bits_per_weight(j));
		print_line("parameters", line);
	}
	print_bytes("file size", j->helper.file_bytes);
	snprintf(line, sizeof(line), "%lld", (long long)context_length(j));
	print_line("context", context_length(j) > 0 ? line : "not named");
	print_memory(j);
}

/* [256, 2048] as "256 x 2048" */
static void
put_shape(const json_t *shape, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)shape, i, v)
		buf_printf(out, "%s%lld", i > 0 ? " x " : "",
		    (long long)json_integer_value(v));
}

static void
add_text(struct table *t, struct buf *b)
{
	table_add(t, (struct slice){ (const char *)b->data, b->len });
	buf_clear(b);
}

static void
print_metadata(const struct job *j, struct table *t, struct buf *b)
{
	const char *key;
	json_t *kv;

	table_add_column(t, "KEY");
	table_add_column(t, "TYPE");
	table_add_column(t, "VALUE");
	json_object_foreach(j->metadata, key, kv) {
		const struct column value = { .field = "value" };

		table_add(t, slice_of(key));
		table_add(t, slice_of(json_string_value(json_object_get(kv,
		    "type"))));
		view_cell(&value, kv, b);
		add_text(t, b);
	}
	table_flush(t, stdout);
}

static void
print_tensors(const struct job *j, struct table *t, struct buf *b)
{
	const struct column columns[] = {
		{ "name", "TENSOR", FORM_TEXT, 0 },
		{ "type", "TYPE", FORM_TEXT, 0 },
		{ "shape", "SHAPE", FORM_TEXT, 0 },
		{ "bytes", "BYTES", FORM_NUMBER, 0 },
	};
	json_t *row;
	size_t i;

	for (i = 0; i < N_ELEMENTS(columns); i++)
		table_add_column(t, columns[i].title)->is_number =
		    columns[i].form == FORM_NUMBER;
	json_array_foreach(j->tensors, i, row) {
		for (size_t k = 0; k < N_ELEMENTS(columns); k++) {
			const json_t *v = json_object_get(row,
			    columns[k].field);

			if (json_is_array(v))
				put_shape(v, b);
			else
				view_cell(&columns[k], row, b);
			add_text(t, b);
		}
	}
	table_flush(t, stdout);
}

static void
print_text(const struct job *j)
{
	struct output metadata, tensors;
	struct buf b;

	/* For what they know of the terminal. */
	output_init(&metadata, j->ctl, j->cmd, OUTPUT_LIST);
	output_init(&tensors, j->ctl, j->cmd, OUTPUT_LIST);
	buf_init(&b, SIZE_MAX / 8);
	print_summary(j);
	printf("\n");
	print_metadata(j, &metadata.table, &b);
	printf("\n");
	print_tensors(j, &tensors.table, &b);
	printf("\n%zu tensors, %zu keys\n", json_array_size(j->tensors),
	    json_object_size(j->metadata));
	buf_fini(&b);
	output_fini(&metadata);
	output_fini(&tensors);
}

static int
inspect(struct job *j, struct cause *cause)
{
	int r;

	if ((r = helper_start(&j->helper, j->ctl, j->file, cause)) != 0)
		return r;
	if ((r = read_file(j, cause)) == 0)
		r = read_memory(j, cause);
	progress_end(&j->helper.progress);
	if (r == 0 && j->ctl->json)
		print_json(j);
	else if (r == 0)
		print_text(j);
	helper_stop(&j->helper);
	return r;
}

int
do_inspect(const struct ctl *ctl, const struct command *cmd,
    const char *const *args, size_t n_args)
{
	struct job j = { .ctl = ctl, .cmd = cmd };
	struct cause cause = { 0 };
	int r;

	if ((r = args_parse(args, n_args, NULL, 0, &j.file, 1, &cause)) != 0)
		return ctl_fail(ctl, &cause);
	j.metadata = json_object();
	j.tensors = json_array();
	j.by_type = json_object();
	r = inspect(&j, &cause);
	json_decref(j.metadata);
	json_decref(j.tensors);
	json_decref(j.by_type);
	return r == 0 ? CTL_DONE : ctl_fail(ctl, &cause);
}
