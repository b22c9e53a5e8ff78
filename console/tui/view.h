/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_VIEW_H
#define BM_CONSOLE_TUI_VIEW_H

/*
 * A screen: draws what the store holds and turns actions into commands.
 * Views know no terminal, no socket and no clock.
 */

#include "console/tui/canvas.h"
#include "console/tui/keys.h"
#include "console/tui/list.h"
#include "console/tui/store.h"

struct tui;
struct view;

struct view_ops {
	const char	*title;		/* of its tab */
	enum key_context context;
	void	(*init)(struct view *v);
	void	(*fini)(struct view *v);
	/* The store changed, or the view comes to the front. */
	void	(*update)(struct view *v, const struct store *s);
	/* now_unix_ms: for ages. */
	void	(*draw)(struct view *v, const struct store *s,
		    const struct area *a, int64_t now_unix_ms);
	/* What only this screen does (FOLLOW, BY_MODEL...); false: not mine. */
	bool	(*act)(struct view *v, struct tui *t, enum action act);
	/* Append the detail of a row as lines of text for the pager; NULL:
	 * the row's JSON. */
	void	(*detail)(struct view *v, const struct store *s,
		    const json_t *row, struct buf *out);
};

struct view {
	const struct view_ops	*ops;
	struct list		*list;	/* NULL: none; the view's own */
	void			*own;	/* what else the view keeps */
};

extern const struct view_ops view_overview, view_models, view_workers,
    view_requests, view_events, view_config;

#endif
