/* SPDX-License-Identifier: MIT */
#ifndef BM_REQLOG_RECORD_H
#define BM_REQLOG_RECORD_H

/* A row of a result as a JSON object. */

#include <sqlite3.h>

#include "base/buf.h"

/* Append the row st stands on; the columns' names are the keys. */
void	 record_put(struct buf *b, sqlite3_stmt *st);

#endif
