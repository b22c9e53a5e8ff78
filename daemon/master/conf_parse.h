/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_CONF_PARSE_H
#define BM_MASTER_CONF_PARSE_H

/* bigmodeld.conf(5) to struct conf. */

#include "base/err.h"
#include "wire/conf.h"

/* No file of ours is longer. */
#define CONF_FILE_MAX	(1 << 20)

/*
 * Parse text (n bytes) into *out, which the caller gave all defaults or values
 * that the text may override.  name stands for the file in "name:line: ..."
 * messages; dir is what relative model paths are taken from.  On failure
 * (BM_ECONF) *out holds part of the text.
 */
int	 conf_parse(const char *name, const char *dir, const char *text,
	    size_t n, struct conf *out, struct cause *cause) BM_MUST_CHECK;
/* The same for a file, whose directory is what model paths start from. */
int	 conf_parse_file(const char *path, struct conf *out,
	    struct cause *cause) BM_MUST_CHECK;

/* Is it fit for a model or a tenant: 1 to 64 of A-Z a-z 0-9 . _ : - */
int	 conf_name_is_valid(const char *name);
/* What a value must be beyond its type: addresses, octal modes. */
int	 conf_check_key(const struct conf_key *k, const char *text,
	    struct cause *cause) BM_MUST_CHECK;
/* What only the whole shows: model files that can't be read, equal names. */
int	 conf_check(const struct conf *c, const char *file,
	    struct cause *cause) BM_MUST_CHECK;
/* dir/path, or path when that is absolute; the caller frees it. */
char	*conf_path_from(const char *dir, const char *path);

#endif
