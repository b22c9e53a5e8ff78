/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_CONF_STRIP_H
#define BM_MASTER_CONF_STRIP_H

#include <stddef.h>

#include "base/err.h"

/*
 * Overwrite comments (#, //, and C's) with blanks, keeping newlines, and check
 * that strings, comments and braces are closed.  libconfuse counts lines wrong
 * after a comment and takes a file that ends within a section for complete.
 * On failure (BM_ECONF) *line is where that what is not closed begins.
 */
int	 conf_strip(char *text, size_t n, int *line, struct cause *cause)
	    BM_MUST_CHECK;

#endif
