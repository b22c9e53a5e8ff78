/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_ERR_H
#define BM_BASE_ERR_H

/*
 * Errors.  A function that can fail returns 0 or a negative number: -errno for
 * the system's errors, a code of err.def for ours.  Where a person must learn
 * why, a struct cause carries the sentence; it is fixed in size so that no
 * error path allocates.  Out-parameters are untouched on failure.
 */

enum {
#define E(sym, num, name, http, ex, retry, text) sym = num,
#include "base/err.def"
#undef E
};

#define BM_MUST_CHECK __attribute__((warn_unused_result))
#define BM_PRINTF(f, a) __attribute__((format(printf, f, a)))

struct cause {
	int	 code;
	char	 text[256];
};

/* The sentence for a code; never NULL. */
const char	*err_text(int code);
/* The word clients see ("queue_full"); "internal" for system errors. */
const char	*err_name(int code);
/* The code of a word, or BM_EINTERNAL. */
int		 err_from_name(const char *name);
int		 err_http_status(int code);
int		 err_exit_status(int code);
int		 err_is_retryable(int code);

/* Fill c (which may be NULL) and return code, so: return cause_set(...); */
int	 cause_set(struct cause *c, int code, const char *fmt, ...)
	    BM_PRINTF(3, 4);
/* Put "prefix: " before what c says already; returns c's code. */
int	 cause_prefix(struct cause *c, const char *fmt, ...) BM_PRINTF(2, 3);

#endif
