/* SPDX-License-Identifier: MIT */
/*
 * libconfuse cuts the file into sections and keys; what they may be is read
 * from conf.def.  Every key is declared as a string and its value goes through
 * conf_set at once, so that a fault is reported with its line and there is no
 * second idea of types and defaults.
 */
#include "config.h"

#include "master/conf_parse.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <confuse.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "master/conf_strip.h"

#define NAME_MAX_BYTES	64
#define SECTIONS_MAX	16

enum {
	N_KEYS = 0
#define K(section, key, type, def, min, max, what) + 1
#define KM(key, type, def, min, max, what) + 1
#define KT(key, type, def, min, max, what) + 1
#include "wire/conf.def"
#undef K
#undef KM
#undef KT
};

/* libconfuse's callbacks get no argument of ours; one file is parsed at a
 * time and in one thread. */
static struct {
	struct conf	*out;
	struct cause	*cause;
	const char	*name;
	const char	*dir;
	bool		 has_failed;	/* only the first fault is told */
	const cfg_t	*section;	/* the model or tenant being filled */
	bool		 is_set[N_KEYS];
} now;

int
conf_name_is_valid(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789._:-");

	return n > 0 && n <= NAME_MAX_BYTES && name[n] == '\0';
}

char *
conf_path_from(const char *dir, const char *path)
{
	size_t n = strlen(dir) + strlen(path) + 2;
	char *full = xmalloc(n);

	if (path[0] == '/' || path[0] == '\0')
		str_copy(full, path, n);
	else
		snprintf(full, n, "%s/%s", dir, path);
	return full;
}

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[sizeof(now.cause->text)];

	if (now.has_failed)
		return;
	now.has_failed = true;
	vsnprintf(text, sizeof(text), fmt, ap);
	cause_set(now.cause, BM_ECONF, "%s:%d: %s", now.name,
	    cfg != NULL ? cfg->line : 1, text);
}

static const struct conf_key *
find_key(const char *section, const char *key)
{
	for (size_t i = 0; i < conf_n_keys; i++)
		if (strcmp(conf_keys[i].section, section) == 0 &&
		    strcmp(conf_keys[i].key, key) == 0)
			return &conf_keys[i];
	return NULL;
}

/* The struct that a section of the file fills; NULL for a bad name. */
static void *
base_of(cfg_t *section, const struct conf_key *k)
{
	const char *title;
	struct conf *c = now.out;

	if (k->kind == CONF_ONE)
		return c;
	if ((title = cfg_title(section)) == NULL ||
	    !conf_name_is_valid(title)) {
		cfg_error(section, "a %s's name is 1 to %d of the characters "
		    "A-Z a-z 0-9 . _ : -", k->section, NAME_MAX_BYTES);
		return NULL;
	}
	if (k->kind == CONF_MODEL) {
		for (size_t i = 0; i < c->n_models; i++)
			if (strcmp(c->models[i].name, title) == 0)
				return &c->models[i];
		return conf_add_model(c, title);
	}
	for (size_t i = 0; i < c->n_tenants; i++)
		if (strcmp(c->tenants[i].name, title) == 0)
			return &c->tenants[i];
	return conf_add_tenant(c, title);
}

/* Note that k has a value now; false when it had one already.  Sections do not
 * nest, so what another model has can be forgotten. */
static bool
note_set(const cfg_t *section, const struct conf_key *k)
{
	size_t at = (size_t)(k - conf_keys);

	if (k->kind != CONF_ONE && section != now.section) {
		now.section = section;
		for (size_t i = 0; i < conf_n_keys; i++)
			if (conf_keys[i].kind != CONF_ONE)
				now.is_set[i] = false;
	}
	if (now.is_set[at])
		return false;
	now.is_set[at] = true;
	return true;
}

static int
on_value(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	const struct conf_key *k = find_key(cfg_name(section), opt->name);
	struct cause why;
	void *base;
	char *path;
	int r;

	if (k == NULL || (base = base_of(section, k)) == NULL)
		return -1;
	if (!note_set(section, k)) {
		cfg_error(section, "%s.%s is given twice", k->section,
		    k->key);
		return -1;
	}
	if ((r = conf_check_key(k, value, &why)) == 0 &&
	    k->kind == CONF_MODEL && strcmp(k->key, "path") == 0) {
		path = conf_path_from(now.dir, value);
		r = conf_set(base, k, path, &why);
		((struct conf_model *)base)->line = (unsigned)section->line;
		free(path);
	} else if (r == 0) {
		r = conf_set(base, k, value, &why);
	}
	if (r != 0) {
		cfg_error(section, "%s", why.text);
		return -1;
	}
	*(const char **)result = value;
	return 0;
}

/* A model or tenant is complete: even an empty one counts. */
static int
on_section(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const struct conf_key *k = find_key(opt->name,
	    strcmp(opt->name, "model") == 0 ? "path" : "key");
	void *base = base_of(section, k);
	char **needed;

	if (base == NULL)
		return -1;
	needed = (char **)(void *)((char *)base + k->offset);
	if (**needed == '\0') {
		cfg_error(section, "%s %s has no %s", k->section,
		    cfg_title(section), k->key);
		return -1;
	}
	return 0;
}

/* ---- the tables for libconfuse, made from ours ---- */

struct tables {
	cfg_opt_t	 sections[SECTIONS_MAX + 1];
	cfg_opt_t	*keys[SECTIONS_MAX];
	size_t		 n;
};

static cfg_opt_t *
keys_of(const char *section)
{
	cfg_opt_t *opts = xcalloc(conf_n_keys + 1, sizeof(*opts));
	size_t n = 0;

	for (size_t i = 0; i < conf_n_keys; i++) {
		cfg_opt_t o = CFG_STR(conf_keys[i].key, NULL, CFGF_NODEFAULT);

		if (strcmp(conf_keys[i].section, section) != 0)
			continue;
		o.parsecb = on_value;
		opts[n++] = o;
	}
	opts[n] = (cfg_opt_t)CFG_END();
	return opts;
}

static void
tables_init(struct tables *t)
{
	const char *last = "";

	*t = (struct tables){ 0 };
	for (size_t i = 0; i < conf_n_keys; i++) {
		const struct conf_key *k = &conf_keys[i];
		bool is_many = k->kind != CONF_ONE;

		if (strcmp(k->section, last) == 0 || t->n == SECTIONS_MAX)
			continue;
		last = k->section;
		t->keys[t->n] = keys_of(last);
		t->sections[t->n] = (cfg_opt_t)CFG_SEC(last, t->keys[t->n],
		    is_many ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES :
		    CFGF_NONE);
		if (is_many)
			t->sections[t->n].validcb = on_section;
		t->n++;
	}
	t->sections[t->n] = (cfg_opt_t)CFG_END();
}

static void
tables_fini(struct tables *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->keys[i]);
}

int
conf_parse(const char *name, const char *dir, const char *text, size_t n,
    struct conf *out, struct cause *cause)
{
	struct tables t;
	char *copy;
	cfg_t *cfg;
	int line, r;

	if (n > CONF_FILE_MAX)
		return cause_set(cause, BM_ECONF,
		    "%s:1: longer than %d bytes", name, CONF_FILE_MAX);
	if (memchr(text, '\0', n) != NULL)
		return cause_set(cause, BM_ECONF,
		    "%s:1: holds a NUL byte: not a text", name);
	copy = xmemdup0(text, n);
	if ((r = conf_strip(copy, n, &line, cause)) != 0) {
		cause_prefix(cause, "%s:%d", name, line);
		free(copy);
		return r;
	}
	memset(&now, 0, sizeof(now));
	now.out = out;
	now.cause = cause;
	now.name = name;
	now.dir = dir;
	tables_init(&t);
	if ((cfg = cfg_init(t.sections, CFGF_NONE)) == NULL)
		fatalx("libconfuse refuses our table of keys");
	cfg_set_error_function(cfg, on_error);
	r = n == 0 ? CFG_SUCCESS : cfg_parse_buf(cfg, copy);
	if (r != CFG_SUCCESS && !now.has_failed)
		cfg_error(cfg, "syntax error");
	free(copy);
	cfg_free(cfg);
	tables_fini(&t);
	return now.has_failed ? BM_ECONF : 0;
}

static int
read_file(const char *path, struct buf *to)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;
	ssize_t n;

	if (fd == -1)
		return -errno;
	do {
		uint8_t *p = buf_reserve(to, 4096);

		if (p == NULL) {
			close(fd);
			return -EFBIG;
		}
		if ((n = read(fd, p, 4096)) > 0)
			to->len += (size_t)n;
	} while (n > 0 || (n == -1 && errno == EINTR));
	saved = errno;
	close(fd);
	return n == -1 ? -saved : 0;
}

int
conf_parse_file(const char *path, struct conf *out, struct cause *cause)
{
	const char *slash = strrchr(path, '/');
	struct buf text;
	char *dir = slash == NULL ? xstrdup(".") :
	    xmemdup0(path, (size_t)MEM_MAX(slash - path, 1));
	int r;

	buf_init(&text, CONF_FILE_MAX + 4096);
	if ((r = read_file(path, &text)) != 0)
		r = cause_set(cause, BM_ECONF, "%s: %s", path, err_text(r));
	else
		r = conf_parse(path, dir, buf_cstr(&text), text.len, out,
		    cause);
	buf_fini(&text);
	free(dir);
	return r;
}
