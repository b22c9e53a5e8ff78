/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_ADMIN_IMPL_H
#define BM_GATE_ADMIN_IMPL_H

/* What the parts of admin say to each other. */

#include "gate/admin.h"

/* The end of the command that runs; text: for people, NULL: the code's. */
void	 admin_finish(struct admin *a, int code, const char *text);

/* ---- admin_query.c ---- */

/* Carry out a command of reqlog's. */
void	 admin_query(struct admin *a);
/* Its time has come to go on. */
void	 admin_query_more(struct admin *a);

#endif
