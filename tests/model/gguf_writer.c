/* SPDX-License-Identifier: MIT */
/* See gguf_writer.h. */
#include "config.h"

#include "gguf_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/tokenizer.h"

#define FILE_MAX (1 << 24)

void
gw_init(struct gguf_writer *w)
{
	*w = (struct gguf_writer){ .version = 3, .alignment = 32 };
	buf_init(&w->kv, FILE_MAX);
	buf_init(&w->infos, FILE_MAX);
	buf_init(&w->data, FILE_MAX);
}

void
gw_fini(struct gguf_writer *w)
{
	buf_fini(&w->kv);
	buf_fini(&w->infos);
	buf_fini(&w->data);
}

static void
pad(struct buf *b, uint64_t alignment)
{
	while (b->len % alignment != 0)
		buf_put_u8(b, 0);
}

void
gw_finish(struct gguf_writer *w, struct buf *out)
{
	buf_clear(out);
	buf_puts(out, "GGUF");
	buf_put_u32(out, w->version);
	buf_put_u64(out, w->n_tensors);
	buf_put_u64(out, w->n_kv);
	buf_put(out, w->kv.data, w->kv.len);
	buf_put(out, w->infos.data, w->infos.len);
	if (w->data.len > 0)
		pad(out, w->alignment);
	buf_put(out, w->data.data, w->data.len);
	if (out->failed)
		abort();
}

static void
put_string(struct buf *b, struct slice s)
{
	buf_put_u64(b, s.n);
	buf_put(b, s.p, s.n);
}

void
gw_kv(struct gguf_writer *w, struct slice key, uint32_t type,
    const void *value, size_t n)
{
	put_string(&w->kv, key);
	buf_put_u32(&w->kv, type);
	buf_put(&w->kv, value, n);
	w->n_kv++;
}

void
gw_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
	gw_kv(w, slice_of(key), GGUF_U32, NULL, 0);
	buf_put_u32(&w->kv, v);
}

void
gw_f32(struct gguf_writer *w, const char *key, float v)
{
	gw_kv(w, slice_of(key), GGUF_F32, NULL, 0);
	buf_put_f32(&w->kv, v);
}

void
gw_bool(struct gguf_writer *w, const char *key, uint8_t v)
{
	gw_kv(w, slice_of(key), GGUF_BOOL, &v, 1);
}

void
gw_str(struct gguf_writer *w, const char *key, const char *v)
{
	gw_kv(w, slice_of(key), GGUF_STR, NULL, 0);
	put_string(&w->kv, slice_of(v));
}

void
gw_array(struct gguf_writer *w, const char *key, uint32_t element,
    uint64_t count, const void *values, size_t n)
{
	gw_kv(w, slice_of(key), GGUF_ARR, NULL, 0);
	buf_put_u32(&w->kv, element);
	buf_put_u64(&w->kv, count);
	buf_put(&w->kv, values, n);
}

void
gw_strings(struct gguf_writer *w, const char *key, const char *const *v,
    size_t n)
{
	gw_array(w, key, GGUF_STR, n, NULL, 0);
	for (size_t i = 0; i < n; i++)
		put_string(&w->kv, slice_of(v[i]));
}

void
gw_info(struct gguf_writer *w, const char *name, uint32_t type,
    uint32_t n_dims, const uint64_t *dims, uint64_t offset)
{
	put_string(&w->infos, slice_of(name));
	buf_put_u32(&w->infos, n_dims);
	for (uint32_t i = 0; i < n_dims; i++)
		buf_put_u64(&w->infos, dims[i]);
	buf_put_u32(&w->infos, type);
	buf_put_u64(&w->infos, offset);
	w->n_tensors++;
}

void
gw_tensor(struct gguf_writer *w, const char *name, uint32_t type,
    uint64_t n0, uint64_t n1)
{
	const struct type_info *info = type_info(type);
	uint64_t dims[2] = { n0, n1 };
	size_t n;

	n = (size_t)(n0 * (n1 > 0 ? n1 : 1) / info->block_n *
	    info->block_bytes);
	pad(&w->data, w->alignment);
	gw_info(w, name, type, n1 > 0 ? 2 : 1, dims, w->data.len);
	if (type == TYPE_F32) {
		for (size_t i = 0; i < n / 4; i++)
			buf_put_f32(&w->data, 0.25f - 0.125f *
			    (float)(i * 7 % 5));
		return;
	}
	/* Bytes that are small halves too, whatever the type. */
	for (size_t i = 0; i < n; i++)
		buf_put_u8(&w->data, (uint8_t)(i * 37 % 48));
}

static const char *const tokens[GW_VOCAB_N] = { "<unk>", "<s>", "</s>",
    "<0x00>", "<0x0A>", "<0x20>", "<0x41>", "<0xE2>", "<0x96>", "<0x81>",
    "<0xFF>", "<|end|>", "<tool>", "\xe2\x96\x81", "a", "b", "c", "d", "e",
    "h", "l", "n", "o", "r", "t", "u", "w", ".", "\xc3\xa4", "he", "th",
    "the", "\xe2\x96\x81t", "\xe2\x96\x81the", "lo", "wo", "or", "on",
    "\xe2\x96\x81on", "once" };

void
gw_vocab(struct gguf_writer *w, const char *skip)
{
	struct buf scores, types;

	buf_init(&scores, FILE_MAX);
	buf_init(&types, FILE_MAX);
	for (uint32_t i = 0; i < GW_VOCAB_N; i++) {
		buf_put_f32(&scores, -(float)i);
		buf_put_u32(&types, i == 0 ? TOKEN_UNKNOWN : i < 3 ||
		    i == 11 ? TOKEN_CONTROL : i < 11 ? TOKEN_BYTE :
		    i == 12 ? TOKEN_USER_DEFINED : TOKEN_NORMAL);
	}
	if (strcmp(skip, "tokenizer.ggml.model") != 0)
		gw_str(w, "tokenizer.ggml.model", "llama");
	if (strcmp(skip, "tokenizer.ggml.tokens") != 0)
		gw_strings(w, "tokenizer.ggml.tokens", tokens, GW_VOCAB_N);
	if (strcmp(skip, "tokenizer.ggml.scores") != 0)
		gw_array(w, "tokenizer.ggml.scores", GGUF_F32, GW_VOCAB_N,
		    scores.data, scores.len);
	if (strcmp(skip, "tokenizer.ggml.token_type") != 0)
		gw_array(w, "tokenizer.ggml.token_type", GGUF_I32, GW_VOCAB_N,
		    types.data, types.len);
	if (strcmp(skip, "tokenizer.ggml.bos_token_id") != 0)
		gw_u32(w, "tokenizer.ggml.bos_token_id", 1);
	if (strcmp(skip, "tokenizer.ggml.eos_token_id") != 0)
		gw_u32(w, "tokenizer.ggml.eos_token_id", 2);
	gw_u32(w, "tokenizer.ggml.unknown_token_id", 0);
	gw_bool(w, "tokenizer.ggml.add_bos_token", 1);
	buf_fini(&scores);
	buf_fini(&types);
}

static void
put_hparams(struct gguf_writer *w)
{
	gw_str(w, "general.architecture", "llama");
	gw_str(w, "general.name", "small");
	gw_u32(w, "general.alignment", 32);
	gw_u32(w, "llama.block_count", 1);
	gw_u32(w, "llama.context_length", 64);
	gw_u32(w, "llama.embedding_length", 32);
	gw_u32(w, "llama.feed_forward_length", 32);
	gw_u32(w, "llama.attention.head_count", 2);
	gw_u32(w, "llama.attention.head_count_kv", 1);
	gw_u32(w, "llama.rope.dimension_count", 16);
	gw_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
	gw_f32(w, "llama.rope.freq_base", 10000.0f);
}

void
gw_small_model(struct buf *out)
{
	gw_small_model_with(out, NULL);
}

void
gw_small_model_with(struct buf *out, void (*more)(struct gguf_writer *))
{
	struct gguf_writer w;

	gw_init(&w);
	put_hparams(&w);
	gw_vocab(&w, "");
	gw_tensor(&w, "token_embd.weight", TYPE_Q8_0, 32, GW_VOCAB_N);
	gw_tensor(&w, "blk.0.attn_norm.weight", TYPE_F32, 32, 0);
	gw_tensor(&w, "blk.0.attn_q.weight", TYPE_Q4_0, 32, 32);
	gw_tensor(&w, "blk.0.attn_k.weight", TYPE_Q5_0, 32, 16);
	gw_tensor(&w, "blk.0.attn_v.weight", TYPE_F16, 32, 16);
	gw_tensor(&w, "blk.0.attn_output.weight", TYPE_Q4_1, 32, 32);
	gw_tensor(&w, "blk.0.ffn_norm.weight", TYPE_F32, 32, 0);
	gw_tensor(&w, "blk.0.ffn_gate.weight", TYPE_Q8_0, 32, 32);
	gw_tensor(&w, "blk.0.ffn_up.weight", TYPE_IQ4_NL, 32, 32);
	gw_tensor(&w, "blk.0.ffn_down.weight", TYPE_MXFP4, 32, 32);
	gw_tensor(&w, "output_norm.weight", TYPE_F32, 32, 0);
	if (more != NULL)
		more(&w);
	gw_finish(&w, out);
	gw_fini(&w);
}
