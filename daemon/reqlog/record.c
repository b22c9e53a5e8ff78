/* SPDX-License-Identifier: MIT */
/*
 * What SQLite has and JSON has not: infinities become null, blobs become
 * hexadecimal strings, and columns of one name get numbers.
 */
#include "config.h"

#include "reqlog/record.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The shortest form that reads back as the same number. */
static void
put_real(struct buf *b, double v)
{
	char text[32];

	if (!isfinite(v)) {
		buf_puts(b, "null");
		return;
	}
	snprintf(text, sizeof(text), "%.15g", v);
	if (strtod(text, NULL) != v)
		snprintf(text, sizeof(text), "%.17g", v);
	buf_puts(b, text);
}

static void
put_blob(struct buf *b, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	buf_put_u8(b, '"');
	for (size_t i = 0; i < n; i++) {
		buf_put_u8(b, (uint8_t)digits[p[i] >> 4]);
		buf_put_u8(b, (uint8_t)digits[p[i] & 15]);
	}
	buf_put_u8(b, '"');
}

static void
put_value(struct buf *b, sqlite3_stmt *st, int i)
{
	size_t n;

	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER:
		buf_printf(b, "%lld", (long long)sqlite3_column_int64(st, i));
		break;
	case SQLITE_FLOAT:
		put_real(b, sqlite3_column_double(st, i));
		break;
	case SQLITE_TEXT: {
		const char *p = (const char *)sqlite3_column_text(st, i);

		n = (size_t)sqlite3_column_bytes(st, i);
		buf_put_json(b, (struct slice){ p, p != NULL ? n : 0 });
		break;
	}
	case SQLITE_BLOB: {
		const uint8_t *p = sqlite3_column_blob(st, i);

		n = (size_t)sqlite3_column_bytes(st, i);
		put_blob(b, p, p != NULL ? n : 0);
		break;
	}
	default:
		buf_puts(b, "null");
	}
}

/* A JSON object has each name once; SQL's columns need not: a, a_2, a_3. */
static void
put_name(struct buf *b, sqlite3_stmt *st, int i)
{
	const char *name = sqlite3_column_name(st, i);
	char unique[256];
	int nth = 1;

	if (name == NULL)
		name = "";
	for (int k = 0; k < i; k++) {
		const char *other = sqlite3_column_name(st, k);

		nth += other != NULL && strcmp(other, name) == 0;
	}
	if (nth > 1) {
		snprintf(unique, sizeof(unique), "%.200s_%d", name, nth);
		name = unique;
	}
	buf_put_json(b, slice_of(name));
}

void
record_put(struct buf *b, sqlite3_stmt *st)
{
	int n = sqlite3_column_count(st);

	for (int i = 0; i < n; i++) {
		buf_put_u8(b, i == 0 ? '{' : ',');
		put_name(b, st, i);
		buf_put_u8(b, ':');
		put_value(b, st, i);
	}
	buf_put_u8(b, '}');
}
