/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/quality.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/paths.h"

static const struct {
	const char	*key;
	size_t		 offset;
} keys[] = {
	{ "bits_per_weight", offsetof(struct quality, bits_per_weight) },
	{ "perplexity", offsetof(struct quality, perplexity) },
	{ "reference", offsetof(struct quality, reference) },
	{ "kl_divergence", offsetof(struct quality, kl_divergence) },
};

static double *
number_at(struct quality *q, size_t key)
{
	return (double *)(void *)((char *)q + keys[key].offset);
}

static void
take_line(char *line, struct quality *q)
{
	char *value;
	double x;

	line[strcspn(line, "\r\n")] = '\0';
	if ((value = strchr(line, ' ')) == NULL)
		return;
	*value++ = '\0';
	if (strcmp(line, "type") == 0)
		str_vis(q->type, sizeof(q->type), value, strlen(value));
	else if (strcmp(line, "made_from") == 0)
		str_vis(q->made_from, sizeof(q->made_from), value,
		    strlen(value));
	if (str_to_f64(value, &x) != 0 || x < 0)
		return;
	for (size_t i = 0; i < N_ELEMENTS(keys); i++)
		if (strcmp(line, keys[i].key) == 0)
			*number_at(q, i) = x;
}

static bool
file_of(const char *path, char out[PATH_SIZE])
{
	return (size_t)snprintf(out, PATH_SIZE, "%s.quality", path) <
	    PATH_SIZE;
}

void
quality_read(const char *path, struct quality *q)
{
	char file[PATH_SIZE], line[128];
	FILE *f;

	memset(q, 0, sizeof(*q));
	for (size_t i = 0; i < N_ELEMENTS(keys); i++)
		*number_at(q, i) = NAN;
	if (!file_of(path, file) || (f = fopen(file, "re")) == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL)
		take_line(line, q);
	fclose(f);
}

int
quality_write(const char *path, const struct quality *q, struct cause *cause)
{
	struct quality copy = *q;
	char file[PATH_SIZE];
	FILE *f = NULL;
	bool is_written;

	if (!file_of(path, file) || (f = fopen(file, "we")) == NULL)
		return cause_set(cause, -errno, "%s.quality: %s", path,
		    strerror(errno));
	if (q->type[0] != '\0')
		fprintf(f, "type %s\n", q->type);
	if (q->made_from[0] != '\0')
		fprintf(f, "made_from %s\n", q->made_from);
	for (size_t i = 0; i < N_ELEMENTS(keys); i++)
		if (!isnan(*number_at(&copy, i)))
			fprintf(f, "%s %.6g\n", keys[i].key,
			    *number_at(&copy, i));
	is_written = !ferror(f);
	if (fclose(f) == 0 && is_written)
		return 0;
	return cause_set(cause, -errno, "%s: %s", file, strerror(errno));
}

int
quality_remove(const char *path, struct cause *cause)
{
	char file[PATH_SIZE];

	if (!file_of(path, file) || unlink(file) == 0 || errno == ENOENT)
		return 0;
	return cause_set(cause, -errno, "%s: %s", file, strerror(errno));
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
