/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_MODEL_GGUF_WRITER_H
#define BM_TESTS_MODEL_GGUF_WRITER_H

/*
 * Writes GGUF files in memory, right or wrong as a test wants them: counts,
 * types and offsets go out as they are given.
 */

#include "base/buf.h"
#include "model/gguf.h"

#define GW_FILE_MAX	(1 << 26)	/* bytes of a file, at most */

struct gguf_writer {
	uint32_t	 version;
	uint64_t	 n_kv;		/* both may be changed before the end */
	uint64_t	 n_tensors;
	uint64_t	 alignment;
	struct buf	 kv;
	struct buf	 infos;
	struct buf	 data;
};

void	 gw_init(struct gguf_writer *w);
void	 gw_fini(struct gguf_writer *w);
/* The whole file to out, which is emptied first. */
void	 gw_finish(struct gguf_writer *w, struct buf *out);

/* A key with n bytes of value, whatever they are. */
void	 gw_kv(struct gguf_writer *w, struct slice key, uint32_t type,
	    const void *value, size_t n);
void	 gw_u32(struct gguf_writer *w, const char *key, uint32_t v);
void	 gw_f32(struct gguf_writer *w, const char *key, float v);
void	 gw_bool(struct gguf_writer *w, const char *key, uint8_t v);
void	 gw_str(struct gguf_writer *w, const char *key, const char *v);
/* An array that says it has count elements and holds n bytes. */
void	 gw_array(struct gguf_writer *w, const char *key, uint32_t element,
	    uint64_t count, const void *values, size_t n);
void	 gw_strings(struct gguf_writer *w, const char *key,
	    const char *const *v, size_t n);
/* A description alone; offset counts from the data's start. */
void	 gw_info(struct gguf_writer *w, const char *name, uint32_t type,
	    uint32_t n_dims, const uint64_t *dims, uint64_t offset);
/* A tensor of one or two dimensions (n1 = 0: one) with small weights. */
void	 gw_tensor(struct gguf_writer *w, const char *name, uint32_t type,
	    uint64_t n0, uint64_t n1);

/* The keys of a vocabulary of 40 tokens, but for the one named skip. */
void	 gw_vocab(struct gguf_writer *w, const char *skip);
#define GW_VOCAB_N 40
/* A whole llama model of one layer and some 9 KB. */
void	 gw_small_model(struct buf *out);
/* The same with what `more` adds; NULL adds nothing. */
void	 gw_small_model_with(struct buf *out,
	    void (*more)(struct gguf_writer *));

#endif
