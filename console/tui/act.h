/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_ACT_H
#define BM_CONSOLE_TUI_ACT_H

/* What the steps of an action share: act.c begins, act_choose.c asks for what
 * is unknown, act_confirm.c ends with the question. */

#include "console/tui/tui_impl.h"

/* The row of a model; NULL. */
const json_t	*act_model(const struct tui *t, const char *name);

/* One more line of the action: words up to NULL, quoted as needed. */
void		 act_add_line(struct tui_act *a, const char *const *words);
#define ACT_ADD(t, ...) act_add_line(&(t)->act, \
	(const char *const[]){ __VA_ARGS__, NULL })
/* Ask before the lines as their risk wants (always: in any case), or run
 * them. */
void		 act_confirm(struct tui *t, const char *title, bool always);

void		 act_choose_variant(struct tui *t, const char *model);
void		 act_choose_share(struct tui *t);
void		 act_choose_type(struct tui *t, const char *model);
void		 act_choose_when(struct tui *t, const char *title);
void		 act_ask_workers(struct tui *t);
void		 act_ask_threads(struct tui *t);
void		 act_ask_load(struct tui *t);

#endif
