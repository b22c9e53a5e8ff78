/* SPDX-License-Identifier: MIT */
/*
 * Models in several files.  Each file is whole in itself; keys split.no,
 * split.count and split.tensors.count say how they belong together, and the
 * files' names number them from 1.
 */
#include "config.h"

#include "model/gguf_impl.h"

#include <string.h>

/* A split key of a part: 1 and *out set, 0 when absent, or an error. */
static int
split_key(const struct gguf_part *part, const char *key, uint32_t *out,
    struct cause *cause)
{
	const struct gguf_kv *kv = part_find(part, slice_of(key));
	int rc;

	if (kv == NULL)
		return 0;
	if (kv->type == GGUF_ARR)
		rc = cause_set(cause, BM_EFORMAT, "key '%s' at byte %llu is an "
		    "array", key, (unsigned long long)kv->offset);
	else
		rc = kv_u32(kv, 0, out, cause);
	if (rc < 0)
		return part_blame(part, rc, cause);
	return 1;
}

static int
check_part(const struct gguf *g, int i, struct cause *cause)
{
	const struct gguf_part *part = &g->parts[i];
	uint32_t no = 0, count = 0, total = 0;
	int rc;

	if ((rc = split_key(part, "split.no", &no, cause)) < 0)
		return rc;
	if (rc == 0 && g->n_parts > 1)
		return cause_set(cause, BM_EFORMAT, "%s: key 'split.no' is "
		    "missing, so it is no part of a split model", part->name);
	if ((rc = split_key(part, "split.count", &count, cause)) < 0)
		return rc;
	if (rc == 0)
		count = g->n_parts > 1 ? 0 : 1;
	if (count == 0 && g->n_parts == 1)
		count = 1;
	if (count != (uint32_t)g->n_parts)
		return cause_set(cause, BM_EFORMAT, "%s: key 'split.count' "
		    "says the model has %u files, but %d were given",
		    part->name, (unsigned)count, g->n_parts);
	if (no != (uint32_t)i)
		return cause_set(cause, BM_EFORMAT, "%s: key 'split.no' says "
		    "this is file %u of %d, but it was given as file %d",
		    part->name, (unsigned)no + 1, g->n_parts, i + 1);
	if ((rc = split_key(part, "split.tensors.count", &total, cause)) < 0)
		return rc;
	if (rc > 0 && total != g->n_tensors)
		return cause_set(cause, BM_EFORMAT, "%s: key "
		    "'split.tensors.count' is %u, but there are %zu tensors",
		    part->name, (unsigned)total, g->n_tensors);
	return 0;
}

int
split_check(const struct gguf *g, struct cause *cause)
{
	int rc;

	for (int i = 0; i < g->n_parts; i++)
		if ((rc = check_part(g, i, cause)) < 0)
			return rc;
	return 0;
}
