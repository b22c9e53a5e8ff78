/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_GGUF_WRITE_H
#define BM_MODEL_GGUF_WRITE_H

/*
 * Writing a GGUF file, version 3: first everything that is to be said about
 * it, then the tensors' bytes in order, as a stream.  All sizes and offsets
 * are known before the first byte is written, so a disk without the room says
 * so at the start.
 */

#include <stdint.h>

#include "model/gguf.h"

struct gguf_write;

/* alignment: a power of two.  Nothing is written yet. */
struct gguf_write	*gguf_write_new(uint64_t alignment);
void	 gguf_write_free(struct gguf_write **w);

/* A key as another file has it. */
void	 gguf_write_kv(struct gguf_write *w, const struct gguf_kv *kv);
void	 gguf_write_u32(struct gguf_write *w, const char *key, uint32_t v);
/* A tensor with the name and shape of another, in that type; BM_ELIMIT when
 * the file would be too long.  *n_bytes: of its data. */
int	 gguf_write_tensor(struct gguf_write *w, const struct gguf_tensor *like,
	    enum tensor_type type, uint64_t *n_bytes, struct cause *cause)
	    BM_MUST_CHECK;
/* The whole file's length, once all keys and tensors are there. */
uint64_t gguf_write_file_bytes(const struct gguf_write *w);

/* Reserve the room on fd, an empty file that stays the caller's, and write
 * what comes before the data.  BM_EDISK when there is not enough room. */
int	 gguf_write_begin(struct gguf_write *w, int fd, struct cause *cause)
	    BM_MUST_CHECK;
/* The next n bytes of data; a tensor's padding follows its last byte. */
int	 gguf_write_data(struct gguf_write *w, const void *p, size_t n,
	    struct cause *cause) BM_MUST_CHECK;
/* Everything must have been written; returns when it is on the disk. */
int	 gguf_write_end(struct gguf_write *w, struct cause *cause)
	    BM_MUST_CHECK;

#endif
