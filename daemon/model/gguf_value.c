/* SPDX-License-Identifier: MIT */
/*
 * Reading values of keys.  Bounds were checked by the parser; here types and
 * ranges are, since writers disagree on the integer types they use, and an
 * attacker may store anything under any key.
 */
#include "config.h"

#include "model/gguf_impl.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

#define TEXT_STRING_BYTES	120	/* of a string in gguf_kv_text */
#define TEXT_ELEMENTS		8	/* of an array */

static const struct {
	const char	*name;
	size_t		 bytes;
	bool		 integer;
} types[GGUF_N_TYPES] = {
	[GGUF_U8] = { "u8", 1, true },
	[GGUF_I8] = { "i8", 1, true },
	[GGUF_U16] = { "u16", 2, true },
	[GGUF_I16] = { "i16", 2, true },
	[GGUF_U32] = { "u32", 4, true },
	[GGUF_I32] = { "i32", 4, true },
	[GGUF_F32] = { "f32", 4, false },
	[GGUF_BOOL] = { "bool", 1, false },
	[GGUF_STR] = { "str", 0, false },
	[GGUF_ARR] = { "arr", 0, false },
	[GGUF_U64] = { "u64", 8, true },
	[GGUF_I64] = { "i64", 8, true },
	[GGUF_F64] = { "f64", 8, false },
};

const char *
gguf_type_name(enum gguf_type t)
{
	return (unsigned)t < GGUF_N_TYPES ? types[t].name : "unknown";
}

size_t
gguf_type_bytes(enum gguf_type t)
{
	return (unsigned)t < GGUF_N_TYPES ? types[t].bytes : 0;
}

bool
gguf_type_is_integer(enum gguf_type t)
{
	return (unsigned)t < GGUF_N_TYPES && types[t].integer;
}

/* A cursor at element i, which must exist and be of fixed size. */
static struct cur
element_at(const struct gguf_kv *kv, size_t i)
{
	size_t size = types[kv->element].bytes;

	return cur_of(kv->data + i * size, size);
}

/* Any integer; *negative tells how to read the result. */
static uint64_t
element_integer(const struct gguf_kv *kv, size_t i, bool *negative)
{
	struct cur c = element_at(kv, i);
	int64_t v = 0;

	*negative = false;
	switch (kv->element) {
	case GGUF_U8:
	case GGUF_BOOL:
		return cur_u8(&c);
	case GGUF_U16:
		return cur_u16(&c);
	case GGUF_U32:
		return cur_u32(&c);
	case GGUF_U64:
		return cur_u64(&c);
	case GGUF_I8:
		v = (int8_t)cur_u8(&c);
		break;
	case GGUF_I16:
		v = (int16_t)cur_u16(&c);
		break;
	case GGUF_I32:
		v = (int32_t)cur_u32(&c);
		break;
	case GGUF_I64:
		v = (int64_t)cur_u64(&c);
		break;
	default:
		break;
	}
	*negative = v < 0;
	return (uint64_t)v;
}

double
gguf_array_number(const struct gguf_kv *kv, size_t i)
{
	struct cur c;
	uint64_t u;
	bool negative;

	if (i >= kv->n || types[kv->element].bytes == 0)
		return 0;
	c = element_at(kv, i);
	if (kv->element == GGUF_F32)
		return (double)cur_f32(&c);
	if (kv->element == GGUF_F64)
		return cur_f64(&c);
	u = element_integer(kv, i, &negative);
	return negative ? (double)(int64_t)u : (double)u;
}

static int
wrong_type(const struct gguf_kv *kv, const char *wanted, struct cause *cause)
{
	char key[NAME_VIS];

	return cause_set(cause, BM_EFORMAT, "key '%s' at byte %llu is %s%s, "
	    "not %s", slice_vis(key, kv->key), (unsigned long long)kv->offset,
	    kv->type == GGUF_ARR ? "an array of " : "",
	    gguf_type_name(kv->element), wanted);
}

int
kv_u32(const struct gguf_kv *kv, size_t i, uint32_t *out, struct cause *cause)
{
	char key[NAME_VIS];
	uint64_t u;
	bool negative;

	if (!gguf_type_is_integer(kv->element))
		return wrong_type(kv, "an integer", cause);
	if (i >= kv->n)
		return cause_set(cause, BM_EFORMAT, "key '%s' at byte %llu has "
		    "%llu elements, but element %zu is needed",
		    slice_vis(key, kv->key), (unsigned long long)kv->offset,
		    (unsigned long long)kv->n, i);
	u = element_integer(kv, i, &negative);
	if (negative || u > UINT32_MAX)
		return cause_set(cause, BM_EFORMAT, "key '%s' at byte %llu: "
		    "the value %s%llu is not in 0..4294967295",
		    slice_vis(key, kv->key), (unsigned long long)kv->offset,
		    negative ? "-" : "",
		    (unsigned long long)(negative ? -u : u));
	*out = (uint32_t)u;
	return 0;
}

static int
find(const struct gguf *g, const char *key, const struct gguf_kv **out,
    struct cause *cause)
{
	*out = gguf_find(g, key);
	if (*out == NULL)
		return cause_set(cause, BM_ENOTFOUND, "key '%s' is missing",
		    key);
	return 0;
}

int
gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out,
    struct cause *cause)
{
	const struct gguf_kv *kv;
	int rc;

	if ((rc = find(g, key, &kv, cause)) < 0)
		return rc;
	if (kv->type == GGUF_ARR)
		return wrong_type(kv, "an integer", cause);
	return kv_u32(kv, 0, out, cause);
}

int
gguf_get_u32_at(const struct gguf *g, const char *key, size_t i,
    uint32_t *out, struct cause *cause)
{
	const struct gguf_kv *kv;
	int rc;

	if ((rc = find(g, key, &kv, cause)) < 0)
		return rc;
	return kv_u32(kv, kv->type == GGUF_ARR ? i : 0, out, cause);
}

int
gguf_get_f32(const struct gguf *g, const char *key, float *out,
    struct cause *cause)
{
	const struct gguf_kv *kv;
	char name[NAME_VIS];
	double v;
	int rc;

	if ((rc = find(g, key, &kv, cause)) < 0)
		return rc;
	if (kv->type == GGUF_ARR || kv->type == GGUF_BOOL ||
	    kv->type == GGUF_STR)
		return wrong_type(kv, "a number", cause);
	v = gguf_array_number(kv, 0);
	if (!isfinite(v) || fabs(v) > (double)FLT_MAX)
		return cause_set(cause, BM_EFORMAT, "key '%s' at byte %llu: "
		    "the value %g is no finite 32-bit float",
		    slice_vis(name, kv->key), (unsigned long long)kv->offset,
		    v);
	*out = (float)v;
	return 0;
}

int
gguf_get_bool(const struct gguf *g, const char *key, bool *out,
    struct cause *cause)
{
	const struct gguf_kv *kv;
	int rc;

	if ((rc = find(g, key, &kv, cause)) < 0)
		return rc;
	if (kv->type != GGUF_BOOL)
		return wrong_type(kv, "a bool", cause);
	*out = kv->data[0] != 0;
	return 0;
}

/* The string at p; the parser has seen to its length. */
static struct slice
string_at(const uint8_t *p)
{
	struct cur c = cur_of(p, sizeof(uint64_t));

	return (struct slice){ .n = (size_t)cur_u64(&c),
	    .p = (const char *)p + sizeof(uint64_t) };
}

int
gguf_get_str(const struct gguf *g, const char *key, struct slice *out,
    struct cause *cause)
{
	const struct gguf_kv *kv;
	int rc;

	if ((rc = find(g, key, &kv, cause)) < 0)
		return rc;
	if (kv->type != GGUF_STR)
		return wrong_type(kv, "a string", cause);
	*out = string_at(kv->data);
	return 0;
}

int
gguf_get_array(const struct gguf *g, const char *key, enum gguf_type element,
    const struct gguf_kv **out, struct cause *cause)
{
	const struct gguf_kv *kv;
	char wanted[32] = "an array of ";
	int rc;

	if ((rc = find(g, key, &kv, cause)) < 0)
		return rc;
	if (kv->type != GGUF_ARR || kv->element != element) {
		strncat(wanted, gguf_type_name(element),
		    sizeof(wanted) - strlen(wanted) - 1);
		return wrong_type(kv, wanted, cause);
	}
	*out = kv;
	return 0;
}

void
gguf_array_strings(const struct gguf_kv *kv, struct slice *out)
{
	const uint8_t *p = kv->data;

	if (kv->element != GGUF_STR)
		return;
	for (uint64_t i = 0; i < kv->n; i++) {
		out[i] = string_at(p);
		p += sizeof(uint64_t) + out[i].n;
	}
}

/* A string quoted, cut between characters. */
static void
put_string(struct buf *out, struct slice s)
{
	bool cut = s.n > TEXT_STRING_BYTES;

	if (cut) {
		s.n = TEXT_STRING_BYTES;
		s.n -= utf8_incomplete_tail(s.p, s.n);
	}
	buf_put_json(out, s);
	if (cut)
		buf_puts(out, "...");
}

static void
put_number(struct buf *out, const struct gguf_kv *kv, size_t i)
{
	bool negative;
	uint64_t u;

	if (kv->element == GGUF_F32 || kv->element == GGUF_F64) {
		buf_printf(out, kv->element == GGUF_F32 ? "%.9g" : "%.17g",
		    gguf_array_number(kv, i));
		return;
	}
	u = element_integer(kv, i, &negative);
	if (kv->element == GGUF_BOOL)
		buf_puts(out, u != 0 ? "true" : "false");
	else if (negative)
		buf_printf(out, "%lld", (long long)u);
	else
		buf_printf(out, "%llu", (unsigned long long)u);
}

void
gguf_kv_text(const struct gguf_kv *kv, struct buf *out)
{
	const uint8_t *p = kv->data;
	size_t n = (size_t)MEM_MIN(kv->n, (uint64_t)TEXT_ELEMENTS);

	if (kv->type == GGUF_ARR)
		buf_printf(out, "%s[%llu]%s", gguf_type_name(kv->element),
		    (unsigned long long)kv->n, n > 0 ? " " : "");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_puts(out, ", ");
		if (kv->element != GGUF_STR) {
			put_number(out, kv, i);
			continue;
		}
		put_string(out, string_at(p));
		p += sizeof(uint64_t) + string_at(p).n;
	}
	if (n < kv->n)
		buf_puts(out, ", ...");
}
