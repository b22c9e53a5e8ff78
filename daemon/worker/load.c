/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "worker/load.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/granted.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pulse.h"
#include "base/str.h"
#include "kernels/kernels.h"
#include "wire/chan_io.h"

#define DEFAULT_PARALLEL	16
#define MAX_PARALLEL		1024
#define MAX_THREADS		512
/* The part of the memory granted that the KV cache may take by itself. */
#define KV_MEMORY_SHARE		4
/* A chosen KV cache holds so many tokens, or all that there can be. */
#define LEAST_CTX	256u
/* How often the master is told and a line is logged while weights are packed;
 * the first far below worker.start_timeout. */
#define PROGRESS_MS		50
#define LOG_MS			2000

void
load_init(struct loaded *l)
{
	memset(l, 0, sizeof(*l));
	l->dir_fd = l->memory_fd = -1;
}

void
load_set_store(struct loaded *l, int fd, const struct msg_store *m)
{
	int *to = m->kind == STORE_DIRECTORY ? &l->dir_fd : &l->memory_fd;

	if (*to != -1)
		close(*to);
	*to = fd;
	if (m->kind == STORE_DIRECTORY)
		l->cache_max_bytes = m->max_bytes;
}

static void
close_store(struct loaded *l)
{
	if (l->dir_fd != -1)
		close(l->dir_fd);
	if (l->memory_fd != -1)
		close(l->memory_fd);
	l->dir_fd = l->memory_fd = -1;
}

int
load_add_part(struct loaded *l, int fd, struct slice name,
    struct cause *cause)
{
	if (l->n_parts == LOAD_MAX_PARTS || load_gguf(l) != NULL) {
		close(fd);
		return cause_set(cause, BM_EPROTO,
		    "a part of a model where none is expected");
	}
	l->fds[l->n_parts] = fd;
	l->names[l->n_parts++] = slice_dup(name);
	return 0;
}

static void
close_parts(struct loaded *l)
{
	for (int i = 0; i < l->n_parts; i++) {
		close(l->fds[i]);
		free(l->names[i]);
	}
	l->n_parts = 0;
}

int
load_open_file(struct loaded *l, struct cause *cause)
{
	int r;

	if (load_gguf(l) != NULL)
		return 0;
	if (l->n_parts == 0)
		return cause_set(cause, BM_EPROTO, "there is no file to open");
	r = gguf_open(l->fds, (const char *const *)l->names, l->n_parts,
	    &l->gguf, cause);
	close_parts(l);
	return r;
}

/* ---- sizes ---- */

static struct kv_shape
kv_shape_of(const struct loaded *l, const struct msg_model *m)
{
	return model_kv_shape(l->model, m->kv_type == KV_TYPE_Q8_0 ?
	    ATTEND_Q8_0 : ATTEND_F16);
}

/* Before they are read: a packed form takes about as much as the file. */
static int
check_weights(const struct loaded *l, const struct msg_model *m,
    struct cause *cause)
{
	uint64_t bytes = gguf_file_bytes(l->gguf);
	char need[24], left[24];

	if (m->memory_budget == 0 || bytes <= m->memory_budget)
		return 0;
	return cause_set(cause, BM_ENOMEM, "the weights of %s need %s; %s "
	    "are left for them", l->name, str_from_bytes(need, sizeof(need),
	    bytes), str_from_bytes(left, sizeof(left), m->memory_budget));
}

/* What is left of the budget beside weights and `taken`. */
static uint64_t
budget_beside(const struct loaded *l, const struct msg_model *m,
    uint64_t taken)
{
	taken += model_desc(l->model)->weight_bytes;
	return m->memory_budget == 0 ? UINT64_MAX :
	    m->memory_budget - MEM_MIN(m->memory_budget, taken);
}

/*
 * How many pages of KV cache: kv_bytes' worth, or as much as all sequences can
 * fill within a share of the memory and what the budget leaves beside the
 * scratch.  A context that was asked for fits whole; one that was not is cut
 * to what the cache holds.
 */
static size_t
choose_pages(struct loaded *l, const struct msg_model *m, uint64_t scratch)
{
	const struct model_desc *d = model_desc(l->model);
	struct kv_shape kv = kv_shape_of(l, m);
	uint64_t page_bytes = MEM_MAX(kv_shape_page_bytes(&kv), (size_t)1);
	uint64_t budget = m->kv_bytes != 0 ? m->kv_bytes :
	    MEM_MIN(granted_memory_bytes() / KV_MEMORY_SHARE,
	    budget_beside(l, m, scratch));
	size_t n_pages = (size_t)(budget / page_bytes), all;

	l->n_ctx = m->n_ctx != 0 ? m->n_ctx : d->n_ctx_train;
	all = kv_pages_of(l->n_ctx) * l->n_parallel;
	if (m->kv_bytes == 0)
		n_pages = MEM_MIN(MEM_MAX(n_pages, kv_pages_of(LEAST_CTX)),
		    all);
	n_pages = MEM_MAX(n_pages, (size_t)1);
	if (m->n_ctx != 0)
		return MEM_MAX(n_pages, kv_pages_of(l->n_ctx));
	if (n_pages < kv_pages_of(l->n_ctx))
		l->n_ctx = (uint32_t)(n_pages * KV_PAGE);
	return n_pages;
}

static void
choose_counts(struct loaded *l, const struct msg_model *m)
{
	uint32_t granted = (uint32_t)granted_cpus();
	uint32_t n = m->n_threads;

	/* Workers of one model are busy together: between them they take the
	 * CPUs once. */
	if (n == 0)
		n = MEM_MAX(granted / MEM_MAX(m->n_sharing, 1u), 1u);

	l->n_threads = (int)MEM_MIN(n, (uint32_t)MAX_THREADS);
	n = m->n_parallel != 0 ? m->n_parallel : DEFAULT_PARALLEL;
	l->n_parallel = MEM_MIN(n, (uint32_t)MAX_PARALLEL);
}

/* ---- opening ---- */

/* How far the packing, or the wait for it, is. */
struct progress {
	struct loaded	*l;
	struct chan	*up;
	uint64_t	 told_ns;	/* to the master */
	uint64_t	 logged_ns;
};

static void
on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct progress *p = arg;
	struct msg_progress m = { done, total };
	uint64_t now = clock_now_ns();

	if (clock_ms_between(p->told_ns, now) >= PROGRESS_MS) {
		p->told_ns = now;
		chan_send(p->up, MSG_PROGRESS, 0, 0, &m);
	}
	if (clock_ms_between(p->logged_ns, now) >= LOG_MS && total > 0) {
		p->logged_ns = now;
		log_info("weights of %s: %.0f %% of %.1f GB", p->l->name,
		    100 * (double)done / (double)total, (double)total / 1e9);
	}
}

/*
 * With all threads that the model's workers have together: while one of them
 * packs, the others wait for it.
 */
static int
open_weights(struct loaded *l, const struct msg_model *m, struct chan *up,
    struct cause *cause)
{
	uint64_t now = clock_now_ns();
	struct progress p = { l, up, now, now };
	struct weights_plan plan = { .dir_fd = l->dir_fd,
	    .memory_fd = l->memory_fd, .max_bytes = l->cache_max_bytes };
	int n_threads = l->n_threads * (int)MEM_MAX(m->n_sharing, 1u), r;

	n_threads = MEM_MIN(n_threads, granted_cpus());
	if ((r = pool_new(&plan.pool, n_threads, cause)) != 0)
		return r;
	if (l->memory_fd != -1) {
		plan.progress = on_progress;
		plan.progress_arg = &p;
	}
	r = model_open_as(&l->gguf, &plan, &l->model, cause);
	pool_free(&plan.pool);
	close_store(l);
	return r;
}

static int
make_engine(struct loaded *l, const struct msg_model *m, engine_send_fn send,
    uint64_t scratch, struct cause *cause)
{
	struct kv_shape kv = kv_shape_of(l, m);
	size_t n_pages = choose_pages(l, m, scratch);
	struct engine_conf conf = { .model = l->model, .chat = l->chat,
	    .n_ctx = l->n_ctx, .n_parallel = l->n_parallel,
	    .max_gap_ms = m->max_gap_ms, .speculate = m->speculate,
	    .pulse = l->pulse, .send = send };
	const char *prefixes = getenv("BIGMODEL_PREFIX_CACHE");
	int r;

	conf.no_prefixes = prefixes != NULL && strcmp(prefixes, "0") == 0;

	if ((r = kv_pool_new(&kv, n_pages, &l->kv, cause)) != 0)
		return r;
	conf.pool = l->pool;
	conf.kv = l->kv;
	return engine_new(&conf, &l->engine, cause);
}

static uint64_t
kv_bytes(const struct loaded *l)
{
	return kv_pool_n_pages(l->kv) * kv_page_bytes(l->kv);
}

/* Is all that is there within the budget?  Scratch and keys and values are
 * only address space until they are used. */
static int
check_budget(const struct loaded *l, const struct msg_model *m,
    struct cause *cause)
{
	uint64_t weights = model_desc(l->model)->weight_bytes;
	uint64_t scratch = engine_scratch_bytes(l->engine);
	char text[5][24];

	if (kv_bytes(l) <= budget_beside(l, m, scratch))
		return 0;
	return cause_set(cause, BM_ENOMEM, "a worker of %s needs %s (weights "
	    "%s, keys and values %s, scratch %s); %s are left for it",
	    l->name, str_from_bytes(text[0], sizeof(text[0]), weights +
	    kv_bytes(l) + scratch),
	    str_from_bytes(text[1], sizeof(text[1]), weights),
	    str_from_bytes(text[2], sizeof(text[2]), kv_bytes(l)),
	    str_from_bytes(text[3], sizeof(text[3]), scratch),
	    str_from_bytes(text[4], sizeof(text[4]), m->memory_budget));
}

/* How much scratch there is shows when it has been made; what is left may
 * then hold fewer pages. */
static int
load_engine(struct loaded *l, const struct msg_model *m, engine_send_fn send,
    struct cause *cause)
{
	uint64_t scratch;
	int r;

	if ((r = pool_new(&l->pool, l->n_threads, cause)) != 0)
		return r;
	if (l->pulse != NULL)
		pool_set_beats(l->pool, &l->pulse->beats);
	if ((r = make_engine(l, m, send, 0, cause)) != 0)
		return r;
	if (m->kv_bytes == 0 && check_budget(l, m, cause) != 0) {
		scratch = engine_scratch_bytes(l->engine);
		engine_free(&l->engine);
		kv_pool_free(&l->kv);
		if ((r = make_engine(l, m, send, scratch, cause)) != 0)
			return r;
	}
	if ((r = check_budget(l, m, cause)) != 0)
		return r;
	return engine_probe(l->engine, cause);
}

static void
find_chat_form(struct loaded *l)
{
	struct slice template_text = { NULL, 0 };
	struct cause ignored;

	/* A template that is no string is as good as none. */
	if (gguf_get_str(l->gguf, "tokenizer.chat_template", &template_text,
	    &ignored) != 0)
		template_text = (struct slice){ NULL, 0 };
	l->chat = chat_form_find(template_text);
}

int
load_model(struct loaded *l, const struct msg_model *m, struct chan *up,
    engine_send_fn send, struct cause *cause)
{
	int r;

	if (load_is_ready(l))
		return cause_set(cause, BM_EEXIST, "a model is loaded");
	if ((r = load_open_file(l, cause)) != 0)
		return r;
	if (l->gguf == NULL)
		return cause_set(cause, BM_EINTERNAL,
		    "loading failed before");
	free(l->name);
	free(l->variant);
	l->worker = m->worker;
	l->name = slice_dup(m->name);
	l->variant = slice_dup(m->variant);
	find_chat_form(l);
	choose_counts(l, m);
	if (m->vocab_only)
		return tokenizer_open(l->gguf, &l->vocab, cause);
	if ((r = check_weights(l, m, cause)) != 0)
		return r;
	if ((r = open_weights(l, m, up, cause)) != 0)
		return r;
	return load_engine(l, m, send, cause);
}

void
load_fini(struct loaded *l)
{
	close_parts(l);
	close_store(l);
	engine_free(&l->engine);
	kv_pool_free(&l->kv);
	pool_free(&l->pool);
	tokenizer_free(&l->vocab);
	model_free(&l->model);
	gguf_free(&l->gguf);
	free(l->name);
	free(l->variant);
	load_init(l);
}

/* ---- questions ---- */

const struct gguf *
load_gguf(const struct loaded *l)
{
	return l->model != NULL ? model_gguf(l->model) : l->gguf;
}

const struct tokenizer *
load_tokenizer(const struct loaded *l)
{
	return l->model != NULL ? model_tokenizer(l->model) : l->vocab;
}

bool
load_is_ready(const struct loaded *l)
{
	return l->engine != NULL || l->vocab != NULL;
}

void
load_info(const struct loaded *l, struct msg_model_info *out)
{
	const struct model_desc *d;

	*out = (struct msg_model_info){ .worker = l->worker,
	    .name = slice_of(l->name), .variant = slice_of(l->variant),
	    .file_bytes = gguf_file_bytes(load_gguf(l)),
	    .cpu_level = slice_of(kern_level()),
	    .chat_form = slice_of(chat_form_name(l->chat)) };
	if (l->vocab != NULL)
		out->n_vocab = tokenizer_n_vocab(l->vocab);
	if (l->engine == NULL)
		return;
	d = model_desc(l->model);
	out->architecture = slice_of(d->architecture);
	out->n_params = d->n_params;
	out->n_ctx = l->n_ctx;
	out->n_ctx_train = d->n_ctx_train;
	out->n_vocab = d->n_vocab;
	out->n_embd = d->n_embd;
	out->n_layer = d->n_layer;
	out->type = slice_of(d->type);
	out->weight_bytes = d->weight_bytes;
	out->shared_bytes = d->shared_bytes;
	out->kv_bytes = kv_bytes(l);
	out->kv_bytes_per_token = kv_page_bytes(l->kv) / KV_PAGE;
	out->scratch_bytes = engine_scratch_bytes(l->engine);
	out->n_threads = (uint32_t)l->n_threads;
	out->n_parallel = l->n_parallel;
	out->bits_per_weight = d->bits_per_weight;
}
