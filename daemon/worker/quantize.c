/* SPDX-License-Identifier: MIT */
/*
 * Quantising keeps the worker busy to the end, so progress is flushed by hand;
 * a console that has gone is noticed there and ends the work.
 */
#include "config.h"

#include "worker/quantize.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/granted.h"
#include "base/mem.h"
#include "model/quantize.h"

#define PROGRESS_MS	200
#define READ_TIMEOUT_MS	60000
#define MAX_THREADS	512

struct teller {
	struct chan	*c;
	uint32_t	 seq;
	uint64_t	 id;
	uint64_t	 told_ns;
};

static int
tell(void *arg, uint64_t done, uint64_t total)
{
	struct teller *t = arg;
	uint64_t now = clock_now_ns();
	struct msg_progress m = { .done = done, .total = total };

	if (clock_ms_between(t->told_ns, now) < PROGRESS_MS)
		return 0;
	t->told_ns = now;
	chan_send(t->c, MSG_PROGRESS, t->seq, t->id, &m);
	return chan_flush(t->c, READ_TIMEOUT_MS);
}

static int
parse_type(struct slice s, enum tensor_type *out, struct cause *cause)
{
	char name[16] = "";
	int t = -1;

	if (s.n < sizeof(name)) {
		snprintf(name, sizeof(name), "%.*s", (int)s.n, s.p);
		t = type_parse(name);
	}
	if (t >= 0) {
		*out = (enum tensor_type)t;
		return 0;
	}
	return cause_set(cause, BM_EUSAGE, "no tensor type %.*s; there are"
#define T(sym, id, type, n, bytes, act) " " type
#include "kernels/types.def"
#undef T
	    , (int)MEM_MIN(s.n, sizeof(name)), s.p);
}

static int
quantize(struct loaded *l, const struct msg_quantize *m, int fd,
    struct teller *teller, struct quantize_result *out, struct cause *cause)
{
	struct quantize_job job = { .fd = fd, .progress = tell,
	    .arg = teller };
	uint32_t n_threads = m->n_threads != 0 ? m->n_threads :
	    (uint32_t)granted_cpus();
	int r;

	if ((r = parse_type(m->type, &job.type, cause)) != 0 ||
	    (r = load_open_file(l, cause)) != 0)
		return r;
	job.in = load_gguf(l);
	r = pool_new(&job.pool, (int)MEM_MIN(n_threads,
	    (uint32_t)MAX_THREADS), cause);
	if (r != 0)
		return r;
	r = quantize_model(&job, out, cause);
	pool_free(&job.pool);
	return r;
}

/* "Q4_K", "15", "F32", "5" */
static void
put_types(const struct quantize_result *r, struct buf *out)
{
	char count[16];

	for (uint32_t t = 0; t < TYPE_LIMIT; t++) {
		if (r->n_of_type[t] == 0)
			continue;
		snprintf(count, sizeof(count), "%u", r->n_of_type[t]);
		strs_put(out, slice_of(type_info(t)->name));
		strs_put(out, slice_of(count));
	}
}

void
offline_quantize(struct chan *c, uint32_t seq, uint64_t id, struct loaded *l,
    const struct msg_quantize *m, int fd)
{
	struct teller teller = { .c = c, .seq = seq, .id = id,
	    .told_ns = clock_now_ns() };
	struct quantize_result r = { 0 };
	struct cause cause = { 0 };
	uint64_t start = clock_now_ns();
	struct msg_quantized done;
	struct buf types;
	int rc = quantize(l, m, fd, &teller, &r, &cause);

	close(fd);
	if (rc != 0) {
		chan_send_result(c, seq, id, rc,
		    cause.text[0] != '\0' ? cause.text : NULL);
		return;
	}
	buf_init(&types, FRAME_BODY_MAX / 2);
	put_types(&r, &types);
	done = (struct msg_quantized){ .bytes = r.file_bytes,
	    .n_params = r.n_params, .bits_per_weight = r.n_params == 0 ? 0 :
	    (double)r.tensor_bytes * 8 / (double)r.n_params,
	    .n_fallback = r.n_fallback, .n_requantized = r.n_requantized,
	    .ms = clock_ms_between(start, clock_now_ns()),
	    .types = { (const char *)types.data, types.len } };
	chan_send(c, MSG_QUANTIZED, seq, id, &done);
	buf_fini(&types);
}
