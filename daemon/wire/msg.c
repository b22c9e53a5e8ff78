/* SPDX-License-Identifier: MIT */
/*
 * The codec, generated from messages.def.  A field is read through the cursor
 * or not at all: nothing is ever copied over a struct.
 */
#include "config.h"

#include "wire/msg.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "arrays of words travel as the machine has them");

/* ---- one function a field type ---- */

#define put_u8 buf_put_u8
#define put_u32 buf_put_u32
#define put_u64 buf_put_u64
#define put_f32 buf_put_f32
#define put_f64 buf_put_f64
#define put_str buf_put_slice
#define get_u8 cur_u8
#define get_u32 cur_u32
#define get_u64 cur_u64
#define get_f32 cur_f32
#define get_f64 cur_f64
#define get_str cur_slice

static void
put_i32(struct buf *b, int32_t v)
{
	buf_put_u32(b, (uint32_t)v);
}

static int32_t
get_i32(struct cur *c)
{
	return (int32_t)cur_u32(c);
}

static void
put_i64(struct buf *b, int64_t v)
{
	buf_put_u64(b, (uint64_t)v);
}

static int64_t
get_i64(struct cur *c)
{
	return (int64_t)cur_u64(c);
}

static void
put_words(struct buf *b, struct words w)
{
	if (w.n > UINT32_MAX / 4) {
		b->failed = true;
		return;
	}
	buf_put_u32(b, (uint32_t)w.n);
	buf_put(b, w.p, w.n * 4);
}

static struct words
get_words(struct cur *c)
{
	uint32_t n = cur_u32(c);
	const uint8_t *p = cur_raw(c, (size_t)n * 4);

	return (struct words){ .p = p, .n = p != NULL ? n : 0 };
}

/* ---- one put and one get a message ---- */

#define F(type, name) put_##type(b, m->name);
#define M(NAME, name, num, from, to, fields)				\
void									\
msg_put_##name(struct buf *b, const struct msg_##name *m)		\
{									\
	fields								\
}
#define MF M
#include "wire/messages.def"
#undef M
#undef MF
#undef F

/* A body may end before a field that a newer peer would have sent. */
#define F(type, name) if (cur_left(&c) > 0) m->name = get_##type(&c);
#define M(NAME, name, num, from, to, fields)				\
int									\
msg_get_##name(struct cur c, struct msg_##name *m)			\
{									\
	memset(m, 0, sizeof(*m));					\
	fields								\
	return c.failed ? BM_EPROTO : 0;				\
}
#define MF M
#include "wire/messages.def"
#undef M
#undef MF
#undef F

/* ---- for the trace ---- */

static void
print_number(struct buf *out, const char *name, double v)
{
	buf_printf(out, " %s=%.9g", name, v);
}

static void
print_str(struct buf *out, const char *name, struct slice s)
{
	char text[72];

	str_vis(text, sizeof(text), s.p, s.n);
	buf_printf(out, " %s=\"%s\"", name, text);
}

static void
print_words(struct buf *out, const char *name, struct words w)
{
	buf_printf(out, " %s=[%zu]", name, w.n);
}

#define print_u8(o, n, v) print_number(o, n, v)
#define print_u32(o, n, v) print_number(o, n, v)
#define print_i32(o, n, v) print_number(o, n, v)
#define print_u64(o, n, v) print_number(o, n, (double)(v))
#define print_i64(o, n, v) print_number(o, n, (double)(v))
#define print_f32(o, n, v) print_number(o, n, (double)(v))
#define print_f64(o, n, v) print_number(o, n, v)

#define F(type, name) print_##type(out, #name, m.name);
#define M(NAME, name, num, from, to, fields)				\
static void								\
print_msg_##name(struct cur c, struct buf *out)				\
{									\
	struct msg_##name m;						\
	if (msg_get_##name(c, &m) != 0) {				\
		buf_puts(out, " (broken)");				\
		return;							\
	}								\
	fields								\
}
#define MF M
#include "wire/messages.def"
#undef M
#undef MF
#undef F

/* ---- the table ---- */

#define M(NAME, name, num, from, to, fields)				\
static void								\
put_any_##name(struct buf *b, const void *m)				\
{									\
	msg_put_##name(b, m);						\
}
#define MF M
#include "wire/messages.def"
#undef M
#undef MF

static const struct msg_desc {
	unsigned	 type;
	const char	*name;
	unsigned	 from;
	unsigned	 to;
	bool		 has_fd;
	void		(*put)(struct buf *, const void *);
	void		(*print)(struct cur, struct buf *);
} rows[] = {
#define M(NAME, name, num, from, to, fields) \
	{ num, #NAME, from, to, false, put_any_##name, print_msg_##name },
#define MF(NAME, name, num, from, to, fields) \
	{ num, #NAME, from, to, true, put_any_##name, print_msg_##name },
#include "wire/messages.def"
#undef M
#undef MF
};

static const struct msg_desc *
row_of(unsigned type)
{
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

int
msg_put(struct buf *b, enum msg_type type, const void *m)
{
	const struct msg_desc *r = row_of(type);

	if (r == NULL)
		return BM_EPROTO;
	r->put(b, m);
	return b->failed ? BM_ELIMIT : 0;
}

const char *
msg_name(unsigned type)
{
	const struct msg_desc *r = row_of(type);

	return r != NULL ? r->name : NULL;
}

bool
msg_has_fd(unsigned type)
{
	const struct msg_desc *r = row_of(type);

	return r != NULL && r->has_fd;
}

bool
msg_is_allowed(unsigned type, enum role from, enum role to)
{
	const struct msg_desc *r = row_of(type);

	return r != NULL && (r->from & from) != 0 && (r->to & to) != 0;
}

void
msg_print(unsigned type, struct cur body, struct buf *out)
{
	const struct msg_desc *r = row_of(type);

	if (r == NULL) {
		buf_printf(out, "message 0x%x", type);
		return;
	}
	buf_puts(out, r->name);
	r->print(body, out);
}

const char *
role_name(enum role r)
{
	switch (r) {
	case R_MASTER:
		return "master";
	case R_GATE:
		return "gate";
	case R_WORKER:
		return "worker";
	case R_REQLOG:
		return "reqlog";
	case R_CONSOLE:
		return "console";
	default:
		return "unknown";
	}
}

const char *
finish_name(unsigned finish)
{
	return finish == FINISH_STOP ? "stop" :
	    finish == FINISH_LENGTH ? "length" : "";
}

uint32_t
words_at(struct words w, size_t i)
{
	uint32_t v;

	memcpy(&v, (const uint8_t *)w.p + i * 4, sizeof(v));
	return v;
}

void
strs_put(struct buf *b, struct slice s)
{
	buf_put_slice(b, s);
}

struct cur
strs_of(struct slice list)
{
	return cur_of(list.p, list.n);
}

bool
strs_next(struct cur *c, struct slice *out)
{
	struct slice s;

	if (cur_left(c) == 0)
		return false;
	s = cur_slice(c);
	if (c->failed)
		return false;
	*out = s;
	return true;
}

void
logprob_put(struct buf *b, const struct logprob_item *i)
{
	buf_put_u32(b, i->token);
	buf_put_f32(b, i->logprob);
	buf_put_slice(b, i->piece);
	buf_put_u8(b, i->n_top);
}

bool
logprob_next(struct cur *c, struct logprob_item *out)
{
	if (cur_left(c) == 0)
		return false;
	out->token = cur_u32(c);
	out->logprob = cur_f32(c);
	out->piece = cur_slice(c);
	out->n_top = cur_u8(c);
	return !c->failed;
}
