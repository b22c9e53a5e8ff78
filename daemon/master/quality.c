/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/quality.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/paths.h"

static const struct {
	const char	*key;
	size_t		 offset;
} keys[] = {
	{ "perplexity", offsetof(struct quality, perplexity) },
	{ "reference", offsetof(struct quality, reference) },
	{ "kl_divergence", offsetof(struct quality, kl_divergence) },
};

static void
take_line(char *line, struct quality *q)
{
	char *value;
	double x;

	line[strcspn(line, "\r\n")] = '\0';
	if ((value = strchr(line, ' ')) == NULL)
		return;
	*value++ = '\0';
	if (str_to_f64(value, &x) != 0 || x < 0)
		return;
	for (size_t i = 0; i < N_ELEMENTS(keys); i++)
		if (strcmp(line, keys[i].key) == 0)
			memcpy((char *)q + keys[i].offset, &x, sizeof(x));
}

void
quality_read(const char *path, struct quality *q)
{
	char file[PATH_SIZE], line[128];
	FILE *f;

	*q = (struct quality){ NAN, NAN, NAN };
	if ((size_t)snprintf(file, sizeof(file), "%s.quality", path) >=
	    sizeof(file) || (f = fopen(file, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		take_line(line, q);
	fclose(f);
}

int
quality_check(const struct conf_model *conf, const char *path,
    struct cause *cause)
{
	struct quality q;
	double ratio;

	quality_read(path, &q);
	ratio = q.perplexity / q.reference;
	if (!isfinite(ratio) || isnan(q.kl_divergence))
		return cause_set(cause, BM_EBADREQ, "no quality figures are "
		    "registered for %s: measure it first, or swap without "
		    "--verify", path);
	if (ratio > conf->verify_perplexity)
		return cause_set(cause, BM_EBADREQ, "perplexity %.4f is "
		    "%.4f of the reference's, over the limit of %.4f "
		    "(verify_perplexity)", q.perplexity, ratio,
		    conf->verify_perplexity);
	if (q.kl_divergence > conf->verify_kl)
		return cause_set(cause, BM_EBADREQ, "KL divergence %.4f is "
		    "over the limit of %.4f (verify_kl)", q.kl_divergence,
		    conf->verify_kl);
	return 0;
}
