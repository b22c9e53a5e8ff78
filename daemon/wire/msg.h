/* SPDX-License-Identifier: MIT */
#ifndef BM_WIRE_MSG_H
#define BM_WIRE_MSG_H

/*
 * The messages of messages.def as structs, with their codec.  Decoded strings
 * and arrays are borrowed from the frame's body and live as long as it does.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum role { R_MASTER = 1, R_GATE = 2, R_WORKER = 4, R_REQLOG = 8,
    R_CONSOLE = 16, R_ANY = 31 };

enum listen_kind { LISTEN_CLIENT_UNIX, LISTEN_ADMIN_UNIX, LISTEN_HTTP,
    LISTEN_LINE };
enum store_kind { STORE_DIRECTORY, STORE_MEMORY };
enum run_input { RUN_TEXT, RUN_TOKENS, RUN_CHAT, RUN_EMBED_TEXT,
    RUN_EMBED_TOKENS };
enum run_speculate { SPECULATE_AUTO, SPECULATE_YES, SPECULATE_NO };
enum kv_type { KV_TYPE_F16, KV_TYPE_Q8_0 };
enum run_finish { FINISH_NONE, FINISH_STOP, FINISH_LENGTH };
enum run_pooling { POOL_NONE, POOL_MEAN, POOL_CLS, POOL_LAST, POOL_DEFAULT };

/* Little-endian u32s, unaligned. */
struct words {
	const void	*p;
	size_t		 n;
};

/* The C type of each field type. */
typedef uint8_t		msg_c_u8;
typedef uint32_t	msg_c_u32;
typedef int32_t		msg_c_i32;
typedef uint64_t	msg_c_u64;
typedef int64_t		msg_c_i64;
typedef float		msg_c_f32;
typedef double		msg_c_f64;
typedef struct slice	msg_c_str;
typedef struct words	msg_c_words;

#define F(type, name) msg_c_##type name;
#define M(NAME, name, num, from, to, fields) struct msg_##name { fields };
#define MF M
#include "wire/messages.def"
#undef M
#undef MF
#undef F

enum msg_type {
#define M(NAME, name, num, from, to, fields) MSG_##NAME = num,
#define MF M
#include "wire/messages.def"
#undef M
#undef MF
};

/* Append the body.  The buffer remembers failure (buf.failed). */
#define M(NAME, name, num, from, to, fields) \
	void msg_put_##name(struct buf *b, const struct msg_##name *m);
#define MF M
#include "wire/messages.def"
#undef M
#undef MF
/* Read the body: 0, or BM_EPROTO when it is cut within a field. */
#define M(NAME, name, num, from, to, fields) \
	int msg_get_##name(struct cur c, struct msg_##name *m) BM_MUST_CHECK;
#define MF M
#include "wire/messages.def"
#undef M
#undef MF

/* Encode a struct msg_X given by its type; BM_EPROTO for an unknown type. */
int		 msg_put(struct buf *b, enum msg_type type, const void *m)
		    BM_MUST_CHECK;
/* "RUN"; NULL for a number that is no message. */
const char	*msg_name(unsigned type);
bool		 msg_has_fd(unsigned type);
/* May `from` say this to `to`? */
bool		 msg_is_allowed(unsigned type, enum role from, enum role to);
/* Decode and print for a trace, e.g. RUN(input=0 text="Once"...). */
void		 msg_print(unsigned type, struct cur body, struct buf *out);

const char	*role_name(enum role r);
/* "stop", "length"; "" for FINISH_NONE. */
const char	*finish_name(unsigned finish);

uint32_t	 words_at(struct words w, size_t i);

/* A list of strings inside one str field. */
void		 strs_put(struct buf *b, struct slice s);
/* The next string; false at the end or when the list is broken. */
bool		 strs_next(struct cur *c, struct slice *out);
struct cur	 strs_of(struct slice list);

/*
 * What OUT.logprobs holds: for each token of OUT one item, written by
 * logprob_put and then its n_top alternatives in the same way with n_top 0.
 */
struct logprob_item {
	uint32_t	 token;
	float		 logprob;
	struct slice	 piece;		/* bytes; may be no whole UTF-8 */
	uint8_t		 n_top;
};

void		 logprob_put(struct buf *b, const struct logprob_item *i);
bool		 logprob_next(struct cur *c, struct logprob_item *out);

#endif
