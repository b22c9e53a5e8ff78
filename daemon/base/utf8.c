/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/utf8.h"

#include "base/mem.h"

/* Bytes a lead byte announces; 0 for a byte that can't lead. */
static size_t
announced(unsigned char c)
{
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	if (c >= 0xe0 && c <= 0xef)
		return 3;
	if (c >= 0xf0 && c <= 0xf4)
		return 4;
	return 0;
}

/* May second follow lead?  Bars overlong forms, surrogates, > U+10FFFF. */
static bool
second_fits(unsigned char lead, unsigned char second)
{
	if ((second & 0xc0) != 0x80)
		return false;
	switch (lead) {
	case 0xe0:
		return second >= 0xa0;
	case 0xed:
		return second <= 0x9f;
	case 0xf0:
		return second >= 0x90;
	case 0xf4:
		return second <= 0x8f;
	default:
		return true;
	}
}

size_t
utf8_decode(const char *s, size_t n, uint32_t *code_point)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t want = n > 0 ? announced(p[0]) : 0;
	uint32_t c;

	if (want == 0 || want > n)
		return 0;
	if (want == 1) {
		*code_point = p[0];
		return 1;
	}
	if (!second_fits(p[0], p[1]))
		return 0;
	c = p[0] & (0xff >> (want + 1));
	for (size_t i = 1; i < want; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	*code_point = c;
	return want;
}

size_t
utf8_length(const char *p, size_t n)
{
	uint32_t c;

	return utf8_decode(p, n, &c);
}

size_t
utf8_encode(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		if (c >= 0xd800 && c <= 0xdfff)
			return 0;
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	if (c > 0x10ffff)
		return 0;
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

bool
utf8_is_valid(const char *p, size_t n)
{
	while (n > 0) {
		size_t k = utf8_length(p, n);

		if (k == 0)
			return false;
		p += k;
		n -= k;
	}
	return true;
}

size_t
utf8_incomplete_tail(const char *p, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		unsigned char c = (unsigned char)p[n - back];

		if ((c & 0xc0) == 0x80)
			continue;
		if (announced(c) <= back)
			return 0;
		if (back > 1 &&
		    !second_fits(c, (unsigned char)p[n - back + 1]))
			return 0;
		return back;
	}
	return 0;
}

/* ---- what hides ---- */

struct range {
	uint32_t	 first, last;
};

/* wcwidth gives some of them 0, some 1. */
static const struct range hidden[] = {
	{ 0xad, 0xad },			/* soft hyphen */
	{ 0x34f, 0x34f },		/* grapheme joiner */
	{ 0x61c, 0x61c },		/* Arabic letter mark */
	{ 0x115f, 0x1160 },		/* Hangul fillers */
	{ 0x17b4, 0x17b5 },
	{ 0x180b, 0x180f },
	{ 0x200b, 0x200b },		/* zero width space */
	{ 0x200e, 0x200f },		/* LRM, RLM */
	{ 0x2028, 0x202e },		/* separators, embeddings, overrides */
	{ 0x2060, 0x206f },		/* word joiner, isolates */
	{ 0x3164, 0x3164 },
	{ 0xfeff, 0xfeff },
	{ 0xffa0, 0xffa0 },
	{ 0xfff0, 0xfffb },
	{ 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a },
	{ 0xe0000, 0xe0fff },		/* tags, more selectors */
};

bool
utf8_is_hidden(uint32_t c)
{
	for (size_t i = 0; i < N_ELEMENTS(hidden) && c >= hidden[i].first; i++)
		if (c <= hidden[i].last)
			return true;
	return false;
}
