/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_GGUF_H
#define BM_MODEL_GGUF_H

/*
 * GGUF files, version 2 and 3 (format: ggml's gguf.md), whole or split.  The
 * files are hostile input: every count, length, offset, type, overlap and
 * string is checked before it is used or anything is allocated for it, and a
 * broken file is refused with the key or tensor and the offset in the cause.
 * After gguf_open everything reachable through these functions is valid.
 *
 * Files are mapped read-only and private; strings and tensors point into the
 * mapping and live as long as the struct.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "kernels/types.h"

struct gguf;

enum gguf_type { GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32,
    GGUF_F32, GGUF_BOOL, GGUF_STR, GGUF_ARR, GGUF_U64, GGUF_I64, GGUF_F64,
    GGUF_N_TYPES };

#define GGUF_MAX_DIMS 4

struct gguf_kv {
	struct slice	 key;
	enum gguf_type	 type;		/* GGUF_ARR: see element, n */
	enum gguf_type	 element;	/* of arrays */
	uint64_t	 n;		/* elements; 1 for a scalar */
	const uint8_t	*data;		/* unaligned, little endian */
	uint64_t	 offset;	/* in the file, for messages */
};

struct gguf_tensor {
	struct slice	 name;
	uint32_t	 n_dims;
	uint64_t	 dims[GGUF_MAX_DIMS];	/* unused ones are 1 */
	uint32_t	 type_id;	/* known to type_info(), else the file
					 * was refused */
	const struct type_info *type;
	const void	*data;		/* aligned as the file says */
	uint64_t	 n_elements;
	uint64_t	 n_bytes;
	uint64_t	 offset;	/* in its file */
	int		 part;		/* which file of a split, from 0 */
};

/*
 * Open a model of n_fds files (in the order of the split).  The descriptors
 * stay the caller's and may be closed afterwards.  Names are for messages.
 */
int	 gguf_open(const int *fds, const char *const *names, int n_fds,
	    struct gguf **out, struct cause *cause) BM_MUST_CHECK;
/* The same over n bytes of memory, aligned to 8 and borrowed (fuzzing,
 * tests). */
int	 gguf_open_memory(const void *data, size_t n, struct gguf **out,
	    struct cause *cause) BM_MUST_CHECK;
void	 gguf_free(struct gguf **g);

/* Let the system drop the whole pages of [data, data + n) from memory when
 * they are a file's; they come back when touched. */
void	 gguf_drop(const struct gguf *g, const void *data, size_t n);

/*
 * A digest of what tells one model from another without reading the weights:
 * of each part device, inode, size, time of the last change, and all bytes
 * before the first tensor's.
 */
void	 gguf_identity(const struct gguf *g, uint64_t id[2]);

uint32_t gguf_version(const struct gguf *g);
uint64_t gguf_file_bytes(const struct gguf *g);		/* of all parts */
size_t	 gguf_n_kv(const struct gguf *g);
const struct gguf_kv	 *gguf_kv_at(const struct gguf *g, size_t i);
const struct gguf_kv	 *gguf_find(const struct gguf *g, const char *key);
size_t	 gguf_n_tensors(const struct gguf *g);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i);
const struct gguf_tensor *gguf_tensor(const struct gguf *g, const char *name);

/*
 * Typed reads.  0 and *out set when the key is there with a fitting type and
 * value; BM_ENOTFOUND when it is not there (*out untouched: set the default
 * before); BM_EFORMAT with a cause when its type or range is wrong.  Integers
 * may be stored in any integer type, floats in any number type.
 */
int	 gguf_get_u32(const struct gguf *g, const char *key, uint32_t *out,
	    struct cause *cause) BM_MUST_CHECK;
int	 gguf_get_f32(const struct gguf *g, const char *key, float *out,
	    struct cause *cause) BM_MUST_CHECK;
int	 gguf_get_bool(const struct gguf *g, const char *key, bool *out,
	    struct cause *cause) BM_MUST_CHECK;
int	 gguf_get_str(const struct gguf *g, const char *key, struct slice *out,
	    struct cause *cause) BM_MUST_CHECK;
/* A scalar, or element i of an array (per-layer values). */
int	 gguf_get_u32_at(const struct gguf *g, const char *key, size_t i,
	    uint32_t *out, struct cause *cause) BM_MUST_CHECK;
/* An array of that element type exactly; the result is unaligned. */
int	 gguf_get_array(const struct gguf *g, const char *key,
	    enum gguf_type element, const struct gguf_kv **out,
	    struct cause *cause) BM_MUST_CHECK;
/* Split a string array into slices; out has room for kv->n. */
void	 gguf_array_strings(const struct gguf_kv *kv, struct slice *out);
/* Element i of an array of numbers, converted. */
double	 gguf_array_number(const struct gguf_kv *kv, size_t i);

const char *gguf_type_name(enum gguf_type t);
/* A value as text for people: strings quoted and cut, arrays by their count
 * and first elements. */
void	 gguf_kv_text(const struct gguf_kv *kv, struct buf *out);

#endif
