/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_CONF_DIFF_H
#define BM_MASTER_CONF_DIFF_H

/* What is otherwise in a file that is read again. */

#include "base/buf.h"
#include "wire/conf.h"

/* As an operator reads it: "limits.queue 256 to 100; model tale: threads 1 to
 * 2; model x added".  Nothing when both say the same.  Secrets are not told. */
void	 conf_diff(const struct conf *old, const struct conf *next,
	    struct buf *out);
/* Give mine the keys that differ between old and next; what is the same in
 * both stays as operators have made it since. */
void	 conf_model_merge(struct conf_model *mine,
	    const struct conf_model *old, const struct conf_model *next);

#endif
