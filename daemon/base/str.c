/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/utf8.h"

/* A quantity is digits and one of these words. */
struct unit {
	const char	*word;
	uint64_t	 times;
};

static const struct unit byte_units[] = {
	{ "", 1 }, { "b", 1 },
	{ "k", 1024 }, { "kb", 1024 }, { "kib", 1024 },
	{ "m", 1 << 20 }, { "mb", 1 << 20 }, { "mib", 1 << 20 },
	{ "g", 1 << 30 }, { "gb", 1 << 30 }, { "gib", 1 << 30 },
	{ "t", UINT64_C(1) << 40 }, { "tib", UINT64_C(1) << 40 },
};

static const struct unit time_units[] = {
	{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
	{ "min", 60000 }, { "h", 3600000 }, { "d", 86400000 },
};

int
str_to_u64(const char *s, uint64_t *out)
{
	unsigned long long v;
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (*end != '\0')
		return -EINVAL;
	if (errno == ERANGE)
		return -ERANGE;
	*out = v;
	return 0;
}

int
str_to_i64(const char *s, int64_t *out)
{
	long long v;
	char *end;

	if (!isdigit((unsigned char)s[*s == '-']))
		return -EINVAL;
	errno = 0;
	v = strtoll(s, &end, 10);
	if (*end != '\0')
		return -EINVAL;
	if (errno == ERANGE)
		return -ERANGE;
	*out = v;
	return 0;
}

int
str_to_int(const char *s, int min, int max, int *out)
{
	int64_t v;
	int r;

	if ((r = str_to_i64(s, &v)) != 0)
		return r;
	if (v < min || v > max)
		return -ERANGE;
	*out = (int)v;
	return 0;
}

int
str_to_f64(const char *s, double *out)
{
	double v;
	char *end;

	if (*s == '\0' || isspace((unsigned char)*s))
		return -EINVAL;
	v = strtod(s, &end);
	if (*end != '\0')
		return -EINVAL;
	if (!isfinite(v))
		return -ERANGE;
	*out = v;
	return 0;
}

static int
parse_quantity(const char *s, const struct unit *units, size_t n_units,
    uint64_t *out)
{
	char digits[24];
	size_t n = strspn(s, "0123456789");
	uint64_t v;
	int r;

	if (n == 0)
		return -EINVAL;
	if (n >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, s, n);
	digits[n] = '\0';
	if ((r = str_to_u64(digits, &v)) != 0)
		return r;
	for (size_t i = 0; i < n_units; i++) {
		if (strcasecmp(s + n, units[i].word) != 0)
			continue;
		if (__builtin_mul_overflow(v, units[i].times, out))
			return -ERANGE;
		return 0;
	}
	return -EINVAL;
}

int
str_to_bytes(const char *s, uint64_t *out)
{
	return parse_quantity(s, byte_units, N_ELEMENTS(byte_units), out);
}

int
str_to_ms(const char *s, uint64_t *out)
{
	return parse_quantity(s, time_units, N_ELEMENTS(time_units), out);
}

int
str_to_bool(const char *s, int *out)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < N_ELEMENTS(yes); i++) {
		if (strcasecmp(s, yes[i]) == 0)
			*out = 1;
		else if (strcasecmp(s, no[i]) == 0)
			*out = 0;
		else
			continue;
		return 0;
	}
	return -EINVAL;
}

size_t
str_copy(char *to, const char *s, size_t size)
{
	size_t n = strlen(s);

	if (size > 0) {
		size_t k = n < size ? n : size - 1;

		memcpy(to, s, k);
		to[k] = '\0';
	}
	return n;
}

size_t
str_vis_one(char out[STR_VIS_ONE], const char *s, size_t n, size_t *used)
{
	unsigned char c = (unsigned char)*s;
	uint32_t code = 0;
	size_t k = utf8_decode(s, n, &code);
	/* U+0080 to U+009F are control characters too. */
	int c1 = k == 2 && code < 0xa0;

	*used = 1;
	if (c == '\n' || c == '\t' || c == '\r' || c == '\\') {
		out[0] = '\\';
		out[1] = c == '\n' ? 'n' : c == '\t' ? 't' :
		    c == '\r' ? 'r' : '\\';
		return 2;
	}
	if (k == 0 || c < 0x20 || c == 0x7f || c1)
		return (size_t)snprintf(out, STR_VIS_ONE, "\\x%02x", c);
	*used = k;
	if (utf8_is_hidden(code))
		return (size_t)snprintf(out, STR_VIS_ONE, code < 0x100 ?
		    "\\x%02x" : code > 0xffff ? "\\U%06x" : "\\u%04x",
		    (unsigned)code);
	memcpy(out, s, k);
	return k;
}

char *
str_vis(char *to, size_t size, const char *s, size_t n)
{
	size_t at = 0, safe = 0;

	if (size == 0)
		return to;
	while (n > 0) {
		char one[STR_VIS_ONE];
		size_t used, k = str_vis_one(one, s, n, &used);

		if (at + k >= size) {
			at = safe;
			for (int i = 0; i < 3 && at + 1 < size; i++)
				to[at++] = '.';
			break;
		}
		memcpy(to + at, one, k);
		at += k;
		if (at + 4 <= size)
			safe = at;
		s += used;
		n -= used;
	}
	to[at] = '\0';
	return to;
}

char *
str_from_bytes(char *to, size_t size, uint64_t bytes)
{
	static const char *const words[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 1024 && i + 1 < N_ELEMENTS(words)) {
		v /= 1024;
		i++;
	}
	snprintf(to, size, i == 0 ? "%.0f %s" : "%.1f %s", v, words[i]);
	return to;
}
