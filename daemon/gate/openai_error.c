/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "gate/openai.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "gate/http_io.h"
#include "gate/request.h"

#define ERROR_BYTES_MAX 65536

/* OpenAI's word for a kind of failure. */
static const char *
type_of(int code)
{
	int status = err_http_status(code);

	if (code == BM_ENOTFOUND)
		return "not_found_error";
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 429:
		return "rate_limit_error";
	case 501:
		return "not_supported_error";
	case 503:
		return "unavailable_error";
	}
	return status < 500 ? "invalid_request_error" : "server_error";
}

/* Two codes that clients look for; else ours. */
static const char *
code_of(int code)
{
	if (code == BM_ENOMODEL)
		return "model_not_found";
	if (code == BM_ETOOLONG)
		return "context_length_exceeded";
	return err_name(code);
}

void
openai_write_error(struct buf *out, int code, const char *param,
    const char *message)
{
	if (message == NULL || message[0] == '\0')
		message = err_text(code);
	buf_puts(out, "{\"error\":{\"message\":");
	buf_put_json(out, slice_of(message));
	buf_printf(out, ",\"type\":\"%s\",\"code\":\"%s\",\"param\":",
	    type_of(code), code_of(code));
	if (param != NULL)
		buf_put_json(out, slice_of(param));
	else
		buf_puts(out, "null");
	buf_puts(out, "}}");
}

/* The row of a call that never became a request. */
static void
log_refusal(struct http_call *c, int code)
{
	struct request *r = request_new(REQUEST_GENERATE);

	str_copy(r->uuid, c->id, sizeof(r->uuid));
	if (c->model != NULL)
		r->model = xstrdup(c->model);
	if (c->tenant != NULL)
		r->tenant = xstrdup(c->tenant);
	str_copy(r->client, c->client, sizeof(r->client));
	r->protocol = "http";
	r->endpoint = c->endpoint;
	c->endpoint = NULL;
	request_refuse(c->g, r, code);
}

void
openai_error(struct http_call *c, int code, const char *param,
    uint64_t retry_ms, const char *message)
{
	int status = err_http_status(code);
	struct buf b;

	if (status == 429 || status == 503)
		c->retry_s = retry_ms > 1000 ?
		    (unsigned)((retry_ms + 999) / 1000) : 1;
	buf_init(&b, ERROR_BYTES_MAX);
	openai_write_error(&b, code, param, message);
	http_reply(c, status, HTTP_JSON, &b);
	if (c->endpoint != NULL)
		log_refusal(c, code);
}
