/* SPDX-License-Identifier: MIT */
/*
 * The files a model has: the one that was configured or loaded, called base,
 * and each .gguf in the model's folder under variants/ in the state directory,
 * called by its name without the ending.
 */
#include "config.h"

#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "master/conf_parse.h"
#include "master/master.h"
#include "wire/model_file.h"

#define ENDING ".gguf"

struct variant *
variant_find(struct model *model, const char *name)
{
	struct variant *v;

	TAILQ_FOREACH(v, &model->variants, entry)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

/* 0 when it can't be opened: whoever loads it is told why. */
static uint64_t
size_of(const char *path)
{
	struct model_file file;
	struct cause ignored;
	uint64_t n;

	if (model_file_open(path, &file, &ignored) != 0)
		return 0;
	n = file.n_bytes;
	model_file_close(&file);
	return n;
}

/* Look at the file and at what is written beside it. */
static void
refresh(struct variant *v)
{
	struct stat st = { 0 };
	struct quality q;
	uint64_t file_bytes;
	int64_t ms;

	(void)stat(v->path, &st);
	ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	quality_read(v->path, &q);
	file_bytes = size_of(v->path);
	if (v->file_bytes == file_bytes && v->created_ms == ms &&
	    memcmp(&v->quality, &q, sizeof(q)) == 0)
		return;
	if (v->file_bytes != file_bytes)
		v->cost.is_known = false;
	v->file_bytes = file_bytes;
	v->created_ms = ms;
	v->quality = q;
	v->is_told = false;
}

struct variant *
variant_add(struct model *model, const char *name, const char *path)
{
	struct variant *v = variant_find(model, name);

	if (v == NULL) {
		v = xcalloc(1, sizeof(*v));
		v->name = xstrdup(name);
		v->store_fd = -1;
		TAILQ_INSERT_TAIL(&model->variants, v, entry);
	}
	if (v->path == NULL || strcmp(v->path, path) != 0) {
		free(v->path);
		v->path = xstrdup(path);
		v->is_told = false;
		v->cost.is_known = false;
	}
	refresh(v);
	return v;
}

static void
variant_free(struct model *model, struct variant *v)
{
	TAILQ_REMOVE(&model->variants, v, entry);
	store_close(v);
	free(v->name);
	free(v->path);
	free(v);
}

void
variants_free(struct model *model)
{
	while (!TAILQ_EMPTY(&model->variants))
		variant_free(model, TAILQ_FIRST(&model->variants));
}

/* ---- the folder ---- */

int
variants_dir(const struct master *m, const char *model, char out[PATH_SIZE])
{
	char all[PATH_SIZE];
	int r = path_join(all, m->conf.state_dir, "variants");

	/* Valid names, but of other folders. */
	if (strcmp(model, ".") == 0 || strcmp(model, "..") == 0)
		return -EINVAL;

	return r == 0 ? path_join(out, all, model) : r;
}

/* The name of the variant that file holds; false when it is none. */
static bool
name_of(const char *file, char out[NAME_MAX + 1])
{
	size_t n = strlen(file), end = sizeof(ENDING) - 1;

	if (n <= end || n > NAME_MAX || strcmp(file + n - end, ENDING) != 0)
		return false;
	memcpy(out, file, n - end);
	out[n - end] = '\0';
	return conf_name_is_valid(out) && strcmp(out, VARIANT_BASE) != 0;
}

bool
variant_is_used(const struct model *model, const struct variant *v)
{
	const struct child *w;

	if (v == TAILQ_FIRST(&model->variants) || v == model->active ||
	    v == model->swap.next)
		return true;
	TAILQ_FOREACH(w, &model->workers, entry)
		if (w->variant == v)
			return true;
	return false;
}

static void
drop_lost(struct master *m, struct model *model)
{
	struct variant *v, *next;
	struct stat st;

	TAILQ_FOREACH_SAFE(v, &model->variants, entry, next) {
		if (variant_is_used(model, v) || stat(v->path, &st) == 0)
			continue;
		log_info("model %s: variant %s is gone: no %s",
		    model->conf.name, v->name, v->path);
		tell_variant_gone(m, model, v);
		if (model->previous == v)
			model->previous = NULL;
		variant_free(model, v);
	}
}

void
variants_scan(struct master *m, struct model *model)
{
	char dir[PATH_SIZE], path[PATH_SIZE], name[NAME_MAX + 1];
	struct dirent *e;
	DIR *d;

	drop_lost(m, model);
	refresh(TAILQ_FIRST(&model->variants));
	if (variants_dir(m, model->conf.name, dir) != 0 ||
	    (d = opendir(dir)) == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (name_of(e->d_name, name) &&
		    path_join(path, dir, e->d_name) == 0)
			variant_add(model, name, path);
	closedir(d);
}
