/* SPDX-License-Identifier: MIT */
/*
 * One function a command.  Numbers come from the rows of the daemon as they
 * were a moment ago: they tell the size of what is done, not a promise.
 */
#include "config.h"

#include "console/effect.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* A command that is explained, with what is known. */
struct said {
	const struct facts	*facts;
	const struct command	*cmd;
	const char *const	*args;
	size_t			 n_args;
	struct buf		*out;
};

/* ---- rows ---- */

static double
number(const json_t *row, const char *field)
{
	const json_t *v = json_object_get(row, field);

	return json_is_number(v) ? json_number_value(v) : NAN;
}

/* 0 when it is not told. */
static uint64_t
count(const json_t *row, const char *field)
{
	double v = number(row, field);

	return v > 0 && v < 1e18 ? (uint64_t)v : 0;
}

static const char *
text(const json_t *row, const char *field)
{
	const char *s = json_string_value(json_object_get(row, field));

	return s != NULL ? s : "";
}

static const json_t *
find(const json_t *list, const char *field, const char *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
		if (strcmp(text(row, field), name) == 0)
			return row;
	return NULL;
}

static const json_t *
find_worker(const struct facts *f, const char *word)
{
	const json_t *row;
	uint64_t id;
	size_t i;

	if (str_to_u64(word, &id) != 0)
		return NULL;
	json_array_foreach(f->workers, i, row)
		if (count(row, "id") == id)
			return row;
	return NULL;
}

static const json_t *
find_variant(const struct facts *f, const char *model, const char *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(f->variants, i, row)
		if (strcmp(text(row, "model"), model) == 0 &&
		    strcmp(text(row, "name"), name) == 0)
			return row;
	return NULL;
}

/* ---- words ---- */

static const char *
arg(const struct said *s, size_t i)
{
	return i < s->n_args ? s->args[i] : "";
}

static bool
has(const struct said *s, const char *word)
{
	for (size_t i = 0; i < s->n_args; i++)
		if (strcmp(s->args[i], word) == 0)
			return true;
	return false;
}

/* The word behind an option; NULL. */
static const char *
value_of(const struct said *s, const char *option)
{
	for (size_t i = 0; i + 1 < s->n_args; i++)
		if (strcmp(s->args[i], option) == 0)
			return s->args[i + 1];
	return NULL;
}

/* A name from outside, fit for a sentence. */
static void
put_name(const struct said *s, const char *name)
{
	char vis[128];

	buf_puts(s->out, str_vis(vis, sizeof(vis), name, strlen(name)));
}

static void
put_bytes(const struct said *s, double bytes)
{
	char shown[32];

	buf_puts(s->out, str_from_bytes(shown, sizeof(shown),
	    bytes > 0 && bytes < 1e18 ? (uint64_t)bytes : 0));
}

static void
put_count(const struct said *s, uint64_t n, const char *one, const char *many)
{
	buf_printf(s->out, "%" PRIu64 " %s", n, n == 1 ? one : many);
}

/* ", 4 running and 2 waiting requests VERB" */
static void
put_load(const struct said *s, const json_t *row, const char *verb)
{
	if (row == NULL)
		return;
	buf_printf(s->out, ", %" PRIu64 " running and %" PRIu64
	    " waiting requests %s", count(row, "running"),
	    count(row, "queued"), verb);
}

/* ---- the commands ---- */

static void
say_load(const struct said *s)
{
	const json_t *memory = json_object_get(s->facts->status, "memory");

	put_name(s, arg(s, 0));
	buf_puts(s->out, " will be served");
	if (memory != NULL) {
		buf_puts(s->out, "; ");
		put_bytes(s, number(memory, "free"));
		buf_puts(s->out, " of memory are free");
	}
	buf_puts(s->out, ".");
}

static void
say_unload(const struct said *s)
{
	const json_t *m = find(s->facts->models, "name", arg(s, 0));

	put_name(s, arg(s, 0));
	buf_puts(s->out, " will not be served any more");
	put_load(s, m, has(s, "--now") ? "are cut off" : "finish first");
	buf_puts(s->out, ".");
	if (m != NULL) {
		buf_puts(s->out, " That frees ");
		put_bytes(s, number(m, "memory_bytes"));
		buf_puts(s->out, ".");
	}
}

static void
say_stop(const struct said *s)
{
	buf_puts(s->out, "The daemon will end");
	put_load(s, s->facts->status, has(s, "--now") ? "are cut off" :
	    "finish first");
	buf_puts(s->out, ".");
}

/* "3" or "1..4": the least and the most. */
static bool
parse_range(const char *word, uint64_t *min, uint64_t *max)
{
	const char *dots = strstr(word, "..");
	char first[24];

	if (dots == NULL)
		return str_to_u64(word, min) == 0 && (*max = *min, true);
	snprintf(first, sizeof(first), "%.*s", (int)MEM_MIN(dots - word, 23),
	    word);
	return str_to_u64(first, min) == 0 && str_to_u64(dots + 2, max) == 0;
}

/* What one more worker takes, by those that run. */
static double
bytes_each(const json_t *model)
{
	const json_t *workers = json_object_get(model, "workers");
	double n = number(workers, "now");

	if (!(n > 0))
		return NAN;
	return (number(model, "kv_bytes") + number(model, "scratch_bytes")) /
	    n;
}

static void
say_more(const struct said *s, const json_t *m, uint64_t more)
{
	const json_t *memory = json_object_get(s->facts->status, "memory");
	double each = bytes_each(m), threads = number(m, "threads");

	buf_puts(s->out, " That takes ");
	if (isfinite(each) && each > 0) {
		put_bytes(s, each * (double)more);
		if (memory != NULL) {
			buf_puts(s->out, " of the ");
			put_bytes(s, number(memory, "free"));
			buf_puts(s->out, " that are free");
		}
		buf_puts(s->out, ", and ");
	}
	put_count(s, more, "more process", "more processes");
	if (threads > 0)
		buf_printf(s->out, " of %.0f threads", threads);
	buf_puts(s->out, ".");
}

static void
say_workers(const struct said *s)
{
	const json_t *m = find(s->facts->models, "name", arg(s, 0));
	const json_t *w = json_object_get(m, "workers");
	uint64_t now = count(w, "now"), min = 0, max = 0;

	put_name(s, arg(s, 0));
	if (m == NULL || !parse_range(arg(s, 1), &min, &max)) {
		buf_printf(s->out, ": %s workers.", arg(s, 1));
		return;
	}
	buf_printf(s->out, ": %" PRIu64 " workers now, %s from now on.", now,
	    arg(s, 1));
	if (max > now)
		say_more(s, m, max - now);
	else if (max < now) {
		buf_puts(s->out, " ");
		put_count(s, now - max, "worker ends", "workers end");
		buf_printf(s->out, " when what they run has finished (%" PRIu64
		    " running, %" PRIu64 " waiting on the model).",
		    count(m, "running"), count(m, "queued"));
	}
}

static void
say_threads(const struct said *s)
{
	const json_t *m = find(s->facts->models, "name", arg(s, 0));
	uint64_t n = count(json_object_get(m, "workers"), "now");

	put_name(s, arg(s, 0));
	if (m != NULL) {
		buf_printf(s->out, ": %" PRIu64 " threads now, %s from now on."
		    " Its ", count(m, "threads"), strcmp(arg(s, 1), "0") == 0 ?
		    "as many as CPUs are granted" : arg(s, 1));
		put_count(s, n, "worker is", "workers are");
		buf_printf(s->out, " replaced one after the other; %" PRIu64
		    " running requests finish.", count(m, "running"));
	} else {
		buf_printf(s->out, ": %s threads.", arg(s, 1));
	}
}

/* "perplexity 5.10 -> 5.32 (+4.3 %)" for a figure that both have. */
static void
put_change(const struct said *s, const char *what, double a, double b)
{
	if (!isfinite(a) || !isfinite(b) || !(a > 0) || !(b > 0))
		return;
	buf_printf(s->out, " %s %.3g -> %.3g (%+.1f %%).", what, a, b,
	    (b / a - 1) * 100);
}

static void
put_sizes(const struct said *s, const json_t *a, const json_t *b)
{
	double from = number(a, "file_bytes"), to = number(b, "file_bytes");

	if (!(from > 0) || !(to > 0))
		return;
	buf_puts(s->out, " Size ");
	put_bytes(s, from);
	buf_puts(s->out, " -> ");
	put_bytes(s, to);
	buf_printf(s->out, " (%+.0f %%).", (to / from - 1) * 100);
}

static void
say_swap(const struct said *s)
{
	const json_t *m = find(s->facts->models, "name", arg(s, 0));
	const char *active = text(m, "variant");
	const char *percent = value_of(s, "--canary");
	const char *to = has(s, "--finish") ? text(m, "next") : arg(s, 1);
	const json_t *from = find_variant(s->facts, arg(s, 0), active);
	const json_t *next = find_variant(s->facts, arg(s, 0), to);

	put_name(s, arg(s, 0));
	buf_puts(s->out, ": ");
	if (percent != NULL)
		buf_printf(s->out, "%s %% of new requests", percent);
	else
		buf_puts(s->out, "all new requests");
	buf_puts(s->out, " go to ");
	put_name(s, to[0] != '\0' ? to : "the next variant");
	if (active[0] != '\0') {
		buf_puts(s->out, " instead of ");
		put_name(s, active);
	}
	buf_puts(s->out, ".");
	if (m != NULL)
		buf_printf(s->out, " %" PRIu64 " running requests finish where "
		    "they are.", count(m, "running"));
	put_sizes(s, from, next);
	put_change(s, "Perplexity", number(from, "perplexity"),
	    number(next, "perplexity"));
	if (has(s, "--verify"))
		buf_puts(s->out, " Its measured quality is checked first.");
}

static void
say_rollback(const struct said *s)
{
	const json_t *m = find(s->facts->models, "name", arg(s, 0));
	const char *next = text(m, "next"), *before = text(m, "previous");

	put_name(s, arg(s, 0));
	if (next[0] != '\0') {
		buf_puts(s->out, ": the swap to ");
		put_name(s, next);
		buf_puts(s->out, " ends; new requests go to ");
		put_name(s, text(m, "variant"));
	} else {
		buf_puts(s->out, ": new requests go to ");
		put_name(s, before[0] != '\0' ? before : "the variant before");
		buf_puts(s->out, " again");
	}
	if (m != NULL)
		buf_printf(s->out, "; %" PRIu64 " running requests finish "
		    "where they are", count(m, "running"));
	buf_puts(s->out, ".");
}

static void
say_compress(const struct said *s)
{
	const json_t *m = find(s->facts->models, "name", arg(s, 0));
	const char *to = value_of(s, "--to");
	const char *from = value_of(s, "--from");
	const json_t *v = find_variant(s->facts, arg(s, 0),
	    from != NULL ? from : text(m, "variant"));

	if (has(s, "--cancel")) {
		buf_puts(s->out, "The compression of ");
		put_name(s, arg(s, 0));
		buf_puts(s->out, " ends and leaves nothing.");
		return;
	}
	buf_puts(s->out, "A variant of ");
	put_name(s, arg(s, 0));
	buf_printf(s->out, " in %s is made", to != NULL ? to :
	    "another type");
	if (v != NULL) {
		buf_puts(s->out, " from ");
		put_name(s, text(v, "name"));
		buf_puts(s->out, " (");
		put_bytes(s, number(v, "file_bytes"));
		buf_puts(s->out, ")");
	}
	buf_puts(s->out, ", at idle priority beside what is served; "
	    "it serves nothing before a swap.");
}

static void
say_drain(const struct said *s)
{
	const json_t *w = find_worker(s->facts, arg(s, 0));
	const json_t *m = find(s->facts->models, "name", arg(s, 0));
	bool is_resume = s->cmd->id == CMD_ID_RESUME;

	buf_puts(s->out, m != NULL || w == NULL ? "" : "Worker ");
	put_name(s, arg(s, 0));
	buf_puts(s->out, is_resume ? " takes requests again" :
	    " starts nothing new");
	if (m != NULL)
		put_load(s, m, is_resume ? "are there" :
		    "stay: what runs ends as usual, what waits keeps waiting");
	else if (w != NULL)
		buf_printf(s->out, "; %" PRIu64 " requests run on it",
		    count(w, "running"));
	buf_puts(s->out, ".");
}

static void
say_cancel(const struct said *s)
{
	const json_t *r = find(s->facts->requests, "id", arg(s, 0));

	buf_puts(s->out, "Request ");
	put_name(s, arg(s, 0));
	buf_puts(s->out, " will be cancelled");
	if (r != NULL) {
		buf_printf(s->out, " (%s, %" PRIu64 " tokens so far, for ",
		    text(r, "state"), count(r, "completion_tokens"));
		put_name(s, text(r, "client"));
		buf_puts(s->out, ")");
	}
	buf_puts(s->out, ".");
}

static void
say_reload(const struct said *s)
{
	buf_puts(s->out, "The configuration file is read again; models that "
	    "did not change go on");
	put_load(s, s->facts->status, "now");
	buf_puts(s->out, ".");
}

static const struct {
	enum command_id	 id;
	unsigned	 needs;
	void		(*say)(const struct said *s);
} effects[] = {
	{ CMD_ID_LOAD, FACT_STATUS, say_load },
	{ CMD_ID_UNLOAD, FACT_MODELS, say_unload },
	{ CMD_ID_STOP, FACT_STATUS, say_stop },
	{ CMD_ID_WORKERS, FACT_STATUS | FACT_MODELS, say_workers },
	{ CMD_ID_THREADS, FACT_MODELS, say_threads },
	{ CMD_ID_SWAP, FACT_MODELS | FACT_VARIANTS, say_swap },
	{ CMD_ID_ROLLBACK, FACT_MODELS, say_rollback },
	{ CMD_ID_COMPRESS, FACT_MODELS | FACT_VARIANTS, say_compress },
	{ CMD_ID_DRAIN, FACT_MODELS | FACT_WORKERS, say_drain },
	{ CMD_ID_RESUME, FACT_MODELS | FACT_WORKERS, say_drain },
	{ CMD_ID_CANCEL, FACT_REQUESTS, say_cancel },
	{ CMD_ID_RELOAD, FACT_STATUS, say_reload },
};

unsigned
effect_needs(const struct command *cmd)
{
	for (size_t i = 0; i < N_ELEMENTS(effects); i++)
		if (effects[i].id == cmd->id)
			return effects[i].needs;
	return 0;
}

void
effect_say(const struct facts *f, const struct command *cmd,
    const char *const *args, size_t n_args, struct buf *out)
{
	struct said s = { f, cmd, args, n_args, out };

	for (size_t i = 0; i < N_ELEMENTS(effects); i++) {
		if (effects[i].id == cmd->id) {
			effects[i].say(&s);
			return;
		}
	}
	buf_printf(out, "\"%s\": %s.", cmd->words, cmd->help);
}
