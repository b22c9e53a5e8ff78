/* SPDX-License-Identifier: MIT */
/*
 * One GGUF file to tables of keys and tensors.
 *
 * The file is hostile.  What holds here: a count is compared with the bytes
 * that are left before anything is allocated for it, so memory stays within a
 * small multiple of the file's size; names are compared by sorting, so no
 * choice of names makes it quadratic; sums and products of numbers from the
 * file are checked for wrapping.  After part_parse has returned 0, no other
 * code need look at lengths again.
 */
#include "config.h"

#include "model/gguf_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define KEY_MAX_BYTES		65535
#define TENSOR_NAME_MAX_BYTES	64
#define ALIGNMENT_DEFAULT	32
#define ALIGNMENT_MULTIPLE	8
/* The shortest key: length, one letter, type, one byte of value. */
#define KV_MIN_BYTES		(8 + 1 + 4 + 1)
/* The shortest tensor: length, one letter, no dimensions, type, offset. */
#define TENSOR_MIN_BYTES	(8 + 1 + 4 + 4 + 8)

struct parser {
	struct gguf_part *part;
	struct cur	 c;
	struct cause	*cause;
};

static unsigned long long
offset(const struct parser *p)
{
	return (unsigned long long)(p->c.p - p->part->data);
}

int
slice_cmp(struct slice a, struct slice b)
{
	int d = memcmp(a.p, b.p, MEM_MIN(a.n, b.n));

	if (d != 0)
		return d;
	return (a.n > b.n) - (a.n < b.n);
}

const char *
slice_vis(char to[NAME_VIS], struct slice s)
{
	return str_vis(to, NAME_VIS, s.p, s.n);
}

/* A u64 length and that many bytes; what it is goes into the message. */
static int
get_string(struct parser *p, const char *what, struct slice *out)
{
	unsigned long long at = offset(p);
	uint64_t n = cur_u64(&p->c);

	if (p->c.failed)
		return cause_set(p->cause, BM_EFORMAT,
		    "the file ends inside %s at byte %llu", what, at);
	if (n > cur_left(&p->c))
		return cause_set(p->cause, BM_EFORMAT, "%s at byte %llu is "
		    "%llu bytes long, but only %zu are left", what, at,
		    (unsigned long long)n, cur_left(&p->c));
	out->n = (size_t)n;
	out->p = (const char *)cur_raw(&p->c, out->n);
	return 0;
}

static int
parse_head(struct parser *p, uint64_t *n_tensors, uint64_t *n_kv)
{
	const uint8_t *magic = cur_raw(&p->c, 4);
	uint32_t v;

	if (magic == NULL || memcmp(magic, "GGUF", 4) != 0)
		return cause_set(p->cause, BM_EFORMAT,
		    "this is no GGUF file (it does not begin with \"GGUF\")");
	v = cur_u32(&p->c);
	if (p->c.failed)
		return cause_set(p->cause, BM_EFORMAT,
		    "the file ends inside the version at byte 4");
	if (v != 0 && (v & 0xffff) == 0)
		return cause_set(p->cause, BM_EUNSUP, "the GGUF file is big "
		    "endian (version field at byte 4 is 0x%08x)", (unsigned)v);
	if (v != 2 && v != 3)
		return cause_set(p->cause, BM_EUNSUP, "GGUF version %u (at "
		    "byte 4) is not supported, only 2 and 3", (unsigned)v);
	p->part->version = v;
	*n_tensors = cur_u64(&p->c);
	*n_kv = cur_u64(&p->c);
	if (p->c.failed)
		return cause_set(p->cause, BM_EFORMAT,
		    "the file ends inside the counts at byte 8");
	if (*n_kv > cur_left(&p->c) / KV_MIN_BYTES)
		return cause_set(p->cause, BM_EFORMAT, "the key count at byte "
		    "16 is %llu, more than %zu bytes can hold",
		    (unsigned long long)*n_kv, cur_left(&p->c));
	if (*n_tensors > cur_left(&p->c) / TENSOR_MIN_BYTES)
		return cause_set(p->cause, BM_EFORMAT, "the tensor count at "
		    "byte 8 is %llu, more than %zu bytes can hold",
		    (unsigned long long)*n_tensors, cur_left(&p->c));
	return 0;
}

/* Bools are 0 or 1, anything else is no bool. */
static int
check_bools(const struct parser *p, const struct gguf_kv *kv)
{
	char key[NAME_VIS];

	for (uint64_t i = 0; i < kv->n; i++)
		if (kv->data[i] > 1)
			return cause_set(p->cause, BM_EFORMAT, "key '%s': the "
			    "bool at byte %llu is %u",
			    slice_vis(key, kv->key), (unsigned long long)
			    (kv->data + i - p->part->data), kv->data[i]);
	return 0;
}

/* kv->n values of one type; kv->data is set to the first. */
static int
parse_values(struct parser *p, struct gguf_kv *kv, enum gguf_type type)
{
	char key[NAME_VIS], what[NAME_VIS + 32];
	size_t size = gguf_type_bytes(type);
	struct slice s;
	int rc;

	slice_vis(key, kv->key);
	if (kv->n > cur_left(&p->c) / (size > 0 ? size : sizeof(uint64_t)))
		return cause_set(p->cause, BM_EFORMAT, "key '%s' at byte %llu: "
		    "%llu values of type %s do not fit in the %zu bytes left",
		    key, (unsigned long long)kv->offset,
		    (unsigned long long)kv->n, gguf_type_name(type),
		    cur_left(&p->c));
	kv->data = p->c.p;
	if (size > 0) {
		(void)cur_raw(&p->c, (size_t)kv->n * size);
		return type == GGUF_BOOL ? check_bools(p, kv) : 0;
	}
	snprintf(what, sizeof(what), "a string of key '%s'", key);
	for (uint64_t i = 0; i < kv->n; i++)
		if ((rc = get_string(p, what, &s)) < 0)
			return rc;
	return 0;
}

static int
parse_array(struct parser *p, struct gguf_kv *kv)
{
	char key[NAME_VIS];
	uint32_t element = cur_u32(&p->c);

	slice_vis(key, kv->key);
	kv->n = cur_u64(&p->c);
	if (p->c.failed)
		return cause_set(p->cause, BM_EFORMAT, "key '%s' at byte %llu: "
		    "the file ends inside the array's head", key,
		    (unsigned long long)kv->offset);
	if (element == GGUF_ARR)
		return cause_set(p->cause, BM_EFORMAT, "key '%s' at byte %llu "
		    "is an array of arrays", key,
		    (unsigned long long)kv->offset);
	if (element >= GGUF_N_TYPES)
		return cause_set(p->cause, BM_EFORMAT, "key '%s' at byte %llu "
		    "is an array of unknown type %u", key,
		    (unsigned long long)kv->offset, (unsigned)element);
	kv->element = (enum gguf_type)element;
	return parse_values(p, kv, kv->element);
}

static int
parse_kv(struct parser *p, struct gguf_kv *kv)
{
	char key[NAME_VIS];
	uint32_t type;
	int rc;

	kv->offset = offset(p);
	if ((rc = get_string(p, "a key", &kv->key)) < 0)
		return rc;
	if (kv->key.n == 0 || kv->key.n > KEY_MAX_BYTES)
		return cause_set(p->cause, BM_EFORMAT, "the key at byte %llu "
		    "is %zu bytes long, not 1 to %d",
		    (unsigned long long)kv->offset, kv->key.n, KEY_MAX_BYTES);
	slice_vis(key, kv->key);
	type = cur_u32(&p->c);
	if (p->c.failed)
		return cause_set(p->cause, BM_EFORMAT, "the file ends after "
		    "key '%s' at byte %llu", key,
		    (unsigned long long)kv->offset);
	if (type >= GGUF_N_TYPES)
		return cause_set(p->cause, BM_EFORMAT, "key '%s' at byte %llu "
		    "has unknown type %u", key,
		    (unsigned long long)kv->offset, (unsigned)type);
	kv->type = kv->element = (enum gguf_type)type;
	if (kv->type == GGUF_ARR)
		return parse_array(p, kv);
	kv->n = 1;
	return parse_values(p, kv, kv->type);
}

static int
kv_cmp(const void *va, const void *vb)
{
	const struct gguf_kv *a = *(const struct gguf_kv *const *)va;
	const struct gguf_kv *b = *(const struct gguf_kv *const *)vb;

	return slice_cmp(a->key, b->key);
}

static int
parse_kvs(struct parser *p, uint64_t n)
{
	struct gguf_part *part = p->part;
	char key[NAME_VIS];
	int rc;

	part->kv = try_calloc(n + 1, sizeof(*part->kv));
	part->kv_order = try_calloc(n + 1, sizeof(*part->kv_order));
	if (part->kv == NULL || part->kv_order == NULL)
		return cause_set(p->cause, BM_ENOMEM, "no memory for %llu keys",
		    (unsigned long long)n);
	for (uint64_t i = 0; i < n; i++) {
		if ((rc = parse_kv(p, &part->kv[i])) < 0)
			return rc;
		part->kv_order[i] = &part->kv[i];
	}
	part->n_kv = (size_t)n;
	qsort(part->kv_order, part->n_kv, sizeof(*part->kv_order), kv_cmp);
	for (size_t i = 1; i < part->n_kv; i++)
		if (kv_cmp(&part->kv_order[i - 1], &part->kv_order[i]) == 0)
			return cause_set(p->cause, BM_EFORMAT, "key '%s' is "
			    "there twice, at bytes %llu and %llu",
			    slice_vis(key, part->kv_order[i]->key),
			    (unsigned long long)part->kv_order[i - 1]->offset,
			    (unsigned long long)part->kv_order[i]->offset);
	return 0;
}

static int
parse_alignment(struct parser *p)
{
	const struct gguf_kv *kv = part_find(p->part,
	    slice_of("general.alignment"));
	uint32_t a = ALIGNMENT_DEFAULT;
	int rc;

	if (kv != NULL && kv->type == GGUF_ARR)
		return cause_set(p->cause, BM_EFORMAT, "key "
		    "'general.alignment' at byte %llu is an array",
		    (unsigned long long)kv->offset);
	if (kv != NULL && (rc = kv_u32(kv, 0, &a, p->cause)) < 0)
		return rc;
	/* Below 8 the format forbids it, and floats would lie unaligned. */
	if (a < ALIGNMENT_MULTIPLE || (a & (a - 1)) != 0)
		return cause_set(p->cause, BM_EFORMAT, "key "
		    "'general.alignment' at byte %llu is %u, no power of two "
		    "from %d on", (unsigned long long)kv->offset, (unsigned)a,
		    ALIGNMENT_MULTIPLE);
	p->part->alignment = a;
	return 0;
}

/* Elements and bytes from dims and type, which are already read. */
static int
size_tensor(const struct parser *p, struct gguf_tensor *t, const char *name,
    unsigned long long at)
{
	uint64_t rows = 1, blocks;

	for (uint32_t i = 0; i < t->n_dims; i++) {
		if (t->dims[i] == 0)
			return cause_set(p->cause, BM_EFORMAT, "tensor '%s' at "
			    "byte %llu: dimension %u is 0", name, at,
			    (unsigned)i);
		if (i > 0 && __builtin_mul_overflow(rows, t->dims[i], &rows))
			return cause_set(p->cause, BM_EFORMAT, "tensor '%s' at "
			    "byte %llu: the product of its dimensions "
			    "overflows", name, at);
	}
	if (__builtin_mul_overflow(rows, t->dims[0], &t->n_elements) ||
	    t->n_elements > INT64_MAX)
		return cause_set(p->cause, BM_EFORMAT, "tensor '%s' at byte "
		    "%llu: the product of its dimensions overflows", name, at);
	if (t->dims[0] % t->type->block_n != 0)
		return cause_set(p->cause, BM_EFORMAT, "tensor '%s' at byte "
		    "%llu: a row has %llu elements, no multiple of %u as %s "
		    "needs", name, at, (unsigned long long)t->dims[0],
		    (unsigned)t->type->block_n, t->type->name);
	blocks = t->n_elements / t->type->block_n;
	if (__builtin_mul_overflow(blocks, (uint64_t)t->type->block_bytes,
	    &t->n_bytes))
		return cause_set(p->cause, BM_EFORMAT, "tensor '%s' at byte "
		    "%llu: its size in bytes overflows", name, at);
	return 0;
}

static int
parse_tensor(struct parser *p, struct gguf_tensor *t)
{
	unsigned long long at = offset(p);
	char name[NAME_VIS];
	int rc;

	if ((rc = get_string(p, "a tensor's name", &t->name)) < 0)
		return rc;
	if (t->name.n == 0 || t->name.n > TENSOR_NAME_MAX_BYTES)
		return cause_set(p->cause, BM_EFORMAT, "the tensor name at "
		    "byte %llu is %zu bytes long, not 1 to %d", at, t->name.n,
		    TENSOR_NAME_MAX_BYTES);
	slice_vis(name, t->name);
	t->n_dims = cur_u32(&p->c);
	if (!p->c.failed && t->n_dims > GGUF_MAX_DIMS)
		return cause_set(p->cause, BM_EFORMAT, "tensor '%s' at byte "
		    "%llu has %u dimensions, more than %d", name, at,
		    (unsigned)t->n_dims, GGUF_MAX_DIMS);
	for (uint32_t i = 0; i < GGUF_MAX_DIMS; i++)
		t->dims[i] = i < t->n_dims ? cur_u64(&p->c) : 1;
	t->type_id = cur_u32(&p->c);
	t->offset = cur_u64(&p->c);	/* from the data's start, for now */
	if (p->c.failed)
		return cause_set(p->cause, BM_EFORMAT, "the file ends inside "
		    "the description of tensor '%s' at byte %llu", name, at);
	t->type = type_info(t->type_id);
	if (t->type == NULL)
		return cause_set(p->cause, BM_EUNSUP, "tensor '%s' at byte "
		    "%llu has type %u, which is not supported", name, at,
		    (unsigned)t->type_id);
	return size_tensor(p, t, name, at);
}

/* Turn offsets into places in the file, all inside it. */
static int
place_tensors(const struct parser *p)
{
	const struct gguf_part *part = p->part;
	uint64_t start = offset(p), end, mask = part->alignment - 1;
	char name[NAME_VIS];

	start = (start + mask) & ~mask;
	for (size_t i = 0; i < part->n_tensors; i++) {
		struct gguf_tensor *t = &part->tensors[i];

		slice_vis(name, t->name);
		if ((t->offset & mask) != 0)
			return cause_set(p->cause, BM_EFORMAT, "tensor '%s': "
			    "its offset %llu is no multiple of the alignment "
			    "%llu", name, (unsigned long long)t->offset,
			    (unsigned long long)part->alignment);
		if (__builtin_add_overflow(t->offset, start, &t->offset) ||
		    __builtin_add_overflow(t->offset, t->n_bytes, &end))
			return cause_set(p->cause, BM_EFORMAT, "tensor '%s': "
			    "its offset %llu overflows", name,
			    (unsigned long long)t->offset);
		if (end > part->n_bytes)
			return cause_set(p->cause, BM_EFORMAT, "tensor '%s' "
			    "takes bytes %llu to %llu, but the file has only "
			    "%zu", name, (unsigned long long)t->offset,
			    (unsigned long long)end, part->n_bytes);
		t->data = part->data + t->offset;
	}
	return 0;
}

static int
tensor_offset_cmp(const void *va, const void *vb)
{
	const struct gguf_tensor *a = *(const struct gguf_tensor *const *)va;
	const struct gguf_tensor *b = *(const struct gguf_tensor *const *)vb;

	return (a->offset > b->offset) - (a->offset < b->offset);
}

static int
check_overlap(const struct parser *p)
{
	const struct gguf_part *part = p->part;
	const struct gguf_tensor **order;
	char one[NAME_VIS], other[NAME_VIS];
	int rc = 0;

	order = try_calloc(part->n_tensors + 1, sizeof(*order));
	if (order == NULL)
		return cause_set(p->cause, BM_ENOMEM,
		    "no memory for %zu tensors", part->n_tensors);
	for (size_t i = 0; i < part->n_tensors; i++)
		order[i] = &part->tensors[i];
	qsort(order, part->n_tensors, sizeof(*order), tensor_offset_cmp);
	for (size_t i = 1; i < part->n_tensors && rc == 0; i++)
		if (order[i]->offset - order[i - 1]->offset <
		    order[i - 1]->n_bytes)
			rc = cause_set(p->cause, BM_EFORMAT, "tensors '%s' and "
			    "'%s' overlap at byte %llu",
			    slice_vis(one, order[i - 1]->name),
			    slice_vis(other, order[i]->name),
			    (unsigned long long)order[i]->offset);
	free(order);
	return rc;
}

static int
parse_tensors(struct parser *p, uint64_t n, int index)
{
	struct gguf_part *part = p->part;
	int rc;

	if (n > cur_left(&p->c) / TENSOR_MIN_BYTES)
		return cause_set(p->cause, BM_EFORMAT, "the tensor count at "
		    "byte 8 is %llu, more than %zu bytes can hold",
		    (unsigned long long)n, cur_left(&p->c));
	part->tensors = try_calloc(n + 1, sizeof(*part->tensors));
	if (part->tensors == NULL)
		return cause_set(p->cause, BM_ENOMEM,
		    "no memory for %llu tensors", (unsigned long long)n);
	for (uint64_t i = 0; i < n; i++) {
		if ((rc = parse_tensor(p, &part->tensors[i])) < 0)
			return rc;
		part->tensors[i].part = index;
	}
	part->n_tensors = (size_t)n;
	if ((rc = place_tensors(p)) < 0)
		return rc;
	return check_overlap(p);
}

int
part_parse(struct gguf_part *part, int index, struct cause *cause)
{
	struct parser p = { .part = part, .cause = cause,
	    .c = cur_of(part->data, part->n_bytes) };
	uint64_t n_tensors = 0, n_kv = 0;
	int rc;

	if ((rc = parse_head(&p, &n_tensors, &n_kv)) < 0 ||
	    (rc = parse_kvs(&p, n_kv)) < 0 ||
	    (rc = parse_alignment(&p)) < 0)
		return rc;
	return parse_tensors(&p, n_tensors, index);
}

int
part_blame(const struct gguf_part *part, int rc, struct cause *cause)
{
	if (cause != NULL)
		cause_prefix(cause, "%s", part->name);
	return rc;
}

void
part_fini(struct gguf_part *part)
{
	free(part->name);
	free(part->kv);
	free(part->kv_order);
	free(part->tensors);
}

const struct gguf_kv *
part_find(const struct gguf_part *part, struct slice key)
{
	size_t low = 0, high = part->n_kv;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = slice_cmp(part->kv_order[mid]->key, key);

		if (d == 0)
			return part->kv_order[mid];
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
