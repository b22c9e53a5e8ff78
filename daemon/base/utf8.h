/* SPDX-License-Identifier: MIT */
#ifndef BM_BASE_UTF8_H
#define BM_BASE_UTF8_H

/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character p begins with (1 to 4); 0 when it begins none, or
 * none that is whole within n. */
size_t	 utf8_length(const char *p, size_t n);
/* As utf8_length, and the code point. */
size_t	 utf8_decode(const char *p, size_t n, uint32_t *code_point);
/* Writes 1 to 4 bytes, gives how many; 0 for what is no code point. */
size_t	 utf8_encode(uint32_t code_point, char out[4]);
/* Does it change how other characters are ordered, or hide (directional
 * controls, fillers, tags)?  Such have no business on an operator's screen. */
bool	 utf8_is_hidden(uint32_t code_point);
bool	 utf8_is_valid(const char *p, size_t n);
/* How many bytes at the end may be the begin of a character that the next
 * bytes could still complete (0 to 3): what a stream must hold back. */
size_t	 utf8_incomplete_tail(const char *p, size_t n);

#endif
