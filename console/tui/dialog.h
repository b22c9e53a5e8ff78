/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_DIALOG_H
#define BM_CONSOLE_TUI_DIALOG_H

/* A question in the middle of the screen: yes or no, or one of many. */

#include "console/tui/canvas.h"

enum dialog_kind { DIALOG_NONE, DIALOG_CONFIRM, DIALOG_MENU };
enum dialog_result { DIALOG_MORE, DIALOG_YES, DIALOG_NO };

struct dialog_item {
	char	*word;		/* what it stands for */
	char	*label;		/* what is shown */
};

struct dialog {
	enum dialog_kind kind;
	char		*title;
	char		*text;		/* CONFIRM: what would happen */
	int		 risk;		/* 3: "yes" is to be typed */
	char		 typed[8];
	struct dialog_item *items;	/* MENU */
	size_t		 n_items;
	size_t		 at;
	size_t		 top;
};

void	 dialog_confirm(struct dialog *d, const char *title, const char *text,
	    int risk);
void	 dialog_menu(struct dialog *d, const char *title);
/* label NULL: the word itself. */
void	 dialog_add(struct dialog *d, const char *word, const char *label);
void	 dialog_close(struct dialog *d);
enum dialog_result dialog_key(struct dialog *d, int key);
/* Of a menu that has items. */
const char *dialog_choice(const struct dialog *d);
void	 dialog_draw(struct dialog *d, const struct area *screen);

#endif
