/* SPDX-License-Identifier: MIT */
/* What values of the configuration must be beyond their type. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "master/addr.h"
#include "master/conf_parse.h"
#include "wire/model_file.h"

int
conf_check_key(const struct conf_key *k, const char *text,
    struct cause *cause)
{
	struct addr a;
	size_t n;
	int r = 0;

	if (k->kind == CONF_TENANT && text[0] == '\0')
		return cause_set(cause, BM_ECONF, "tenant.%s: is empty",
		    k->key);
	if (strcmp(k->section, "listen") != 0)
		return 0;
	if ((strcmp(k->key, "http") == 0 || strcmp(k->key, "line") == 0) &&
	    !addr_is_off(text)) {
		if ((r = addr_parse(text, &a, cause)) != 0)
			cause_prefix(cause, "listen.%s", k->key);
	} else if (strcmp(k->key, "socket_mode") == 0) {
		n = strspn(text, "01234567");
		if (n == 0 || n > 4 || text[n] != '\0' ||
		    strtol(text, NULL, 8) > 0777)
			r = cause_set(cause, BM_ECONF,
			    "listen.socket_mode: not an octal mode "
			    "such as 0660");
	}
	return r;
}

int
conf_check(const struct conf *c, const char *file, struct cause *cause)
{
	for (size_t i = 0; i < c->n_models; i++) {
		const struct conf_model *m = &c->models[i];
		struct model_file f;
		int r;

		for (size_t j = 0; j < i; j++)
			if (strcmp(c->models[j].name, m->name) == 0)
				return cause_set(cause, BM_ECONF,
				    "model %s: named twice", m->name);
		if ((r = model_file_open(m->path, &f, cause)) != 0) {
			cause_prefix(cause, "model %s", m->name);
			if (m->line != 0)
				cause_prefix(cause, "%s:%u", file, m->line);
			return r;
		}
		model_file_close(&f);
	}
	if (c->worker_backoff_min > c->worker_backoff_max) {
		cause_set(cause, BM_ECONF, "worker.backoff_min is more than "
		    "worker.backoff_max");
		return file != NULL ? cause_prefix(cause, "%s", file) :
		    cause->code;
	}
	return 0;
}
