/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_STR_H
#define BM_BASE_STR_H

/*
 * Strict parsing of numbers and quantities, and making foreign text fit for a
 * terminal or a log line.  Parsers return 0 or -EINVAL / -ERANGE and take the
 * whole string or nothing.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

int	 str_to_u64(const char *s, uint64_t *out) BM_MUST_CHECK;
int	 str_to_i64(const char *s, int64_t *out) BM_MUST_CHECK;
/* In [min, max], else -ERANGE. */
int	 str_to_int(const char *s, int min, int max, int *out) BM_MUST_CHECK;
/* A finite number with a point, whatever the locale says. */
int	 str_to_f64(const char *s, double *out) BM_MUST_CHECK;
/* "64", "8k", "8KiB", "512M", "2G": powers of 1024. */
int	 str_to_bytes(const char *s, uint64_t *out) BM_MUST_CHECK;
/* "250ms", "30s", "5m", "2h", "7d"; a bare number is seconds. */
int	 str_to_ms(const char *s, uint64_t *out) BM_MUST_CHECK;
/* "yes" "true" "on" "1" and their opposites. */
int	 str_to_bool(const char *s, int *out) BM_MUST_CHECK;

/* Copy at most size - 1 bytes and always end with NUL; returns strlen(s). */
size_t	 str_copy(char *to, const char *s, size_t size);
/*
 * Printable form of n bytes of foreign text: control bytes, escapes and broken
 * UTF-8 as \n, \t, \xNN, characters that hide or turn others round
 * (utf8_is_hidden) as \uNNNN or \UNNNNNN; other UTF-8 stays.  At most 4 n
 * bytes and a NUL; cuts with "..." when size is too small.  Returns to.
 */
char	*str_vis(char *to, size_t size, const char *s, size_t n);
#define STR_VIS_ONE	12
/* That form of what s (n > 0 bytes) begins with, 1 to 8 bytes and perhaps a
 * NUL; *used is how many bytes of s it stands for. */
size_t	 str_vis_one(char out[STR_VIS_ONE], const char *s, size_t n,
	    size_t *used);
/* "1.5 GiB", "812 B" into to; returns to. */
char	*str_from_bytes(char *to, size_t size, uint64_t bytes);

#endif
