/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct err_row {
	int		 code;
	const char	*name;
	int		 http;
	int		 exit_status;
	int		 retry;
	const char	*text;
} rows[] = {
#define E(sym, num, name, http, ex, retry, text) \
	{ sym, name, http, ex, retry, text },
#include "base/err.def"
#undef E
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* NULL for the system's errors. */
static const struct err_row *
row_of(int code)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

const char *
err_text(int code)
{
	const struct err_row *r = row_of(code);

	if (r != NULL)
		return r->text;
	return code == 0 ? "no error" : strerror(code < 0 ? -code : code);
}

const char *
err_name(int code)
{
	const struct err_row *r = row_of(code);

	return r != NULL ? r->name : code == 0 ? "ok" : "internal";
}

int
err_from_name(const char *name)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].code;
	return BM_EINTERNAL;
}

int
err_http_status(int code)
{
	const struct err_row *r = row_of(code);

	return r != NULL ? r->http : code == 0 ? 200 : 500;
}

int
err_exit_status(int code)
{
	const struct err_row *r = row_of(code);

	return r != NULL ? r->exit_status : code != 0;
}

int
err_is_retryable(int code)
{
	const struct err_row *r = row_of(code);

	return r != NULL && r->retry;
}

int
cause_set(struct cause *c, int code, const char *fmt, ...)
{
	va_list ap;

	if (c == NULL)
		return code;
	c->code = code;
	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
	return code;
}

int
cause_prefix(struct cause *c, const char *fmt, ...)
{
	char old[sizeof(c->text)];
	size_t n;
	va_list ap;

	memcpy(old, c->text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
	n = strlen(c->text);
	snprintf(c->text + n, sizeof(c->text) - n, ": %s", old);
	return c->code;
}
