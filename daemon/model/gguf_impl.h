/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_GGUF_IMPL_H
#define BM_MODEL_GGUF_IMPL_H

/* What the files gguf*.c share; nobody else includes this. */

#include "model/gguf.h"

#define GGUF_MAX_PARTS	65535	/* split.count is a u16 */

/* One file.  kv, kv_order and tensors are its own; data is mapped, or
 * borrowed when it came from gguf_open_memory. */
struct gguf_part {
	char			*name;		/* for messages */
	const uint8_t		*data;
	size_t			 n_bytes;
	bool			 mapped;
	uint64_t		 stamp[4];	/* device, inode, mtime */
	uint32_t		 version;
	uint64_t		 alignment;
	struct gguf_kv		*kv;
	size_t			 n_kv;
	const struct gguf_kv	**kv_order;	/* by key */
	struct gguf_tensor	*tensors;
	size_t			 n_tensors;
};

struct gguf {
	struct gguf_part	*parts;
	int			 n_parts;
	uint64_t		 n_bytes;
	/* Of all parts; of a single file the part's own array. */
	struct gguf_tensor	*tensors;
	size_t			 n_tensors;
	const struct gguf_tensor **tensor_order;	/* by name */
};

/*
 * Check everything about one file and fill the part, whose name, data and
 * n_bytes are set.  On failure what was allocated stays for part_fini.
 */
int	 part_parse(struct gguf_part *part, int index, struct cause *cause)
	    BM_MUST_CHECK;
/* Put the part's name before the cause, if there is one; returns rc. */
int	 part_blame(const struct gguf_part *part, int rc, struct cause *cause);
void	 part_fini(struct gguf_part *part);
const struct gguf_kv *part_find(const struct gguf_part *part,
	    struct slice key);

/* Do the split.* keys of the parts fit together and the number of files? */
int	 split_check(const struct gguf *g, struct cause *cause) BM_MUST_CHECK;

/* Bytes of one element; 0 for strings and arrays. */
size_t	 gguf_type_bytes(enum gguf_type t);
bool	 gguf_type_is_integer(enum gguf_type t);
/* Element i as an unsigned 32-bit number: 0, or BM_EFORMAT with a cause. */
int	 kv_u32(const struct gguf_kv *kv, size_t i, uint32_t *out,
	    struct cause *cause) BM_MUST_CHECK;
/* Order of two byte strings. */
int	 slice_cmp(struct slice a, struct slice b);

#define NAME_VIS 96		/* room for a name made printable */
const char *slice_vis(char to[NAME_VIS], struct slice s);

#endif
