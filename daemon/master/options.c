/* SPDX-License-Identifier: MIT */
/*
 * Paths become absolute here, for the daemon changes its directory and reads
 * the file again on reload.
 */
#include "config.h"

#include "master/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "master/conf_parse.h"

#define DEFAULT_FILE BM_SYSCONFDIR "/bigmodel/bigmodeld.conf"

enum { OPT_CHECK = 256, OPT_STATE_DIR, OPT_HTTP, OPT_LINE, OPT_MODEL };

static const struct option long_options[] = {
	{ "foreground", no_argument, NULL, 'F' },
	{ "config", required_argument, NULL, 'f' },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "http", required_argument, NULL, OPT_HTTP },
	{ "line", required_argument, NULL, OPT_LINE },
	{ "model", required_argument, NULL, OPT_MODEL },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

static const char usage_text[] =
    "usage: bigmodeld [-FvVh] [-f FILE] [--check] [--state-dir DIR]\n"
    "                 [--http ADDR:PORT] [--line ADDR:PORT]\n"
    "                 [--model NAME=PATH]...\n";

static const char help_text[] =
    "\n"
    "Serve language models over HTTP and a line protocol.\n"
    "\n"
    "  -F, --foreground       stay in the terminal, log to it\n"
    "  -f, --config FILE      configuration, see bigmodeld.conf(5)\n"
    "                         (default " DEFAULT_FILE ", if it is there)\n"
    "      --check            check configuration and model files, then end\n"
    "      --state-dir DIR    sockets, request log and caches\n"
    "      --http ADDR:PORT   HTTP here; \"off\": nowhere\n"
    "      --line ADDR:PORT   line protocol here\n"
    "      --model NAME=PATH  serve this GGUF file; may be repeated\n"
    "  -v, --verbose          log what processes say to one another\n"
    "  -V, --version          print the version\n"
    "  -h, --help             print this\n"
    "\n"
    "Options override the file.  Without a model the shipped one is served.\n";

static void __attribute__((noreturn)) BM_PRINTF(1, 2)
usage(const char *fmt, ...)
{
	va_list ap;

	if (fmt != NULL) {
		fprintf(stderr, "bigmodeld: ");
		va_start(ap, fmt);
		vfprintf(stderr, fmt, ap);
		va_end(ap);
		fprintf(stderr, "\n");
	}
	fprintf(stderr, "%s", usage_text);
	exit(2);
}

static char *
absolute(const char *path)
{
	char cwd[PATH_MAX];

	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		usage("the current directory: %s", strerror(errno));
	return conf_path_from(cwd, path);
}

static void
add_model(struct options *o, const char *text)
{
	const char *eq = strchr(text, '=');
	struct options_model *m;

	if (eq == NULL || eq[1] == '\0')
		usage("--model wants NAME=PATH");
	o->models = xreallocarray(o->models, o->n_models + 1,
	    sizeof(*o->models));
	m = &o->models[o->n_models++];
	m->name = xmemdup0(text, (size_t)(eq - text));
	m->path = absolute(eq + 1);
	if (!conf_name_is_valid(m->name))
		usage("--model: a name is 1 to 64 of the characters "
		    "A-Z a-z 0-9 . _ : -");
}

static void
set_path(char **to, const char *path)
{
	free(*to);
	*to = absolute(path);
}

static void
take_option(struct options *o, int c)
{
	switch (c) {
	case 'F':
		o->is_foreground = true;
		break;
	case 'f':
		set_path(&o->conf_path, optarg);
		break;
	case OPT_CHECK:
		o->is_check = true;
		break;
	case OPT_STATE_DIR:
		set_path(&o->state_dir, optarg);
		break;
	case OPT_HTTP:
		o->http = optarg;
		break;
	case OPT_LINE:
		o->line = optarg;
		break;
	case OPT_MODEL:
		add_model(o, optarg);
		break;
	case 'v':
		o->is_verbose = true;
		break;
	case 'V':
		printf("bigmodeld %s\n", PACKAGE_VERSION);
		exit(0);
	case 'h':
		printf("%s%s", usage_text, help_text);
		exit(0);
	default:
		/* getopt has said what is wrong. */
		usage(NULL);
	}
}

void
options_parse(struct options *o, int argc, char **argv)
{
	char path[PATH_SIZE];
	int c;

	memset(o, 0, sizeof(*o));
	while ((c = getopt_long(argc, argv, "Ff:vVh", long_options,
	    NULL)) != -1)
		take_option(o, c);
	if (optind < argc)
		usage("unexpected argument \"%s\"", argv[optind]);
	if (o->conf_path == NULL && access(DEFAULT_FILE, F_OK) == 0)
		o->conf_path = xstrdup(DEFAULT_FILE);
	if (o->state_dir == NULL) {
		path_default_state_dir(path);
		o->state_dir = xstrdup(path);
	}
	if (path_data(path, PATH_DEFAULT_MODEL) != 0)
		usage("the data directory's name is too long");
	o->shipped_model = absolute(path);
}

void
options_fini(struct options *o)
{
	for (size_t i = 0; i < o->n_models; i++) {
		free(o->models[i].name);
		free(o->models[i].path);
	}
	free(o->models);
	free(o->conf_path);
	free(o->state_dir);
	free(o->shipped_model);
	memset(o, 0, sizeof(*o));
}

/* ---- the configuration ---- */

static int
set_one(struct conf *c, const char *section, const char *key,
    const char *text, struct cause *cause)
{
	for (size_t i = 0; text != NULL && i < conf_n_keys; i++) {
		const struct conf_key *k = &conf_keys[i];
		int r;

		if (strcmp(k->section, section) != 0 ||
		    strcmp(k->key, key) != 0)
			continue;
		if ((r = conf_check_key(k, text, cause)) != 0)
			return r;
		return conf_set(c, k, text, cause);
	}
	return 0;
}

static void
set_path_of(struct conf *c, const char *name, const char *path)
{
	struct conf_model *m = NULL;

	for (size_t i = 0; i < c->n_models; i++)
		if (strcmp(c->models[i].name, name) == 0)
			m = &c->models[i];
	if (m == NULL)
		m = conf_add_model(c, name);
	free(m->path);
	m->path = xstrdup(path);
	m->line = 0;
}

static int
override(const struct options *o, struct conf *c, struct cause *cause)
{
	int r;

	if ((r = set_one(c, "listen", "http", o->http, cause)) != 0 ||
	    (r = set_one(c, "listen", "line", o->line, cause)) != 0 ||
	    (r = set_one(c, "log", "level", o->is_verbose ? "debug" : NULL,
	    cause)) != 0)
		return r;
	for (size_t i = 0; i < o->n_models; i++)
		set_path_of(c, o->models[i].name, o->models[i].path);
	if (c->n_models == 0)
		set_path_of(c, PATH_DEFAULT_MODEL_NAME, o->shipped_model);
	return 0;
}

int
options_load_conf(const struct options *o, struct conf *out,
    struct cause *cause)
{
	struct conf c;
	int r = 0;

	conf_init(&c);
	free(c.state_dir);
	c.state_dir = xstrdup(o->state_dir);
	if (o->conf_path != NULL)
		r = conf_parse_file(o->conf_path, &c, cause);
	if (r == 0)
		r = override(o, &c, cause);
	if (r == 0)
		r = conf_check(&c, o->conf_path, cause);
	if (r != 0)
		conf_fini(&c);
	else
		*out = c;
	return r;
}
