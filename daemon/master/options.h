/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_OPTIONS_H
#define BM_MASTER_OPTIONS_H

/* The command line, and the configuration it makes together with the file. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "wire/conf.h"
#include "wire/paths.h"

struct options_model {
	char	*name;
	char	*path;		/* absolute */
};

struct options {
	bool			 is_foreground;
	bool			 is_check;	/* --check: no daemon */
	bool			 is_verbose;
	char			*conf_path;	/* absolute; NULL: none */
	char			*state_dir;	/* absolute */
	char			*shipped_model;	/* absolute */
	const char		*http;		/* NULL: the file decides */
	const char		*line;
	struct options_model	*models;
	size_t			 n_models;
};

/* Fill *o; may print help or version and exit 0, or complain and exit 2. */
void	 options_parse(struct options *o, int argc, char **argv);
void	 options_fini(struct options *o);
/* Defaults, then the file, then the options; checked.  *out is untouched on
 * failure.  Called again for every reload. */
int	 options_load_conf(const struct options *o, struct conf *out,
	    struct cause *cause) BM_MUST_CHECK;

#endif
