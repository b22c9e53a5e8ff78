/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_KEYS_H
#define BM_CONSOLE_TUI_KEYS_H

/* Keys and what they mean where; the table is keys.def. */

#include <stddef.h>

#include "base/buf.h"

/* A key is a Unicode character, or one of these. */
enum {
	K_NONE = 0, K_TAB = '\t', K_ENTER = '\r', K_ESC = 27,
	K_UP = 0x110000, K_DOWN, K_LEFT, K_RIGHT, K_PAGE_UP, K_PAGE_DOWN,
	K_HOME, K_END, K_BACKSPACE, K_DELETE, K_BACKTAB, K_INSERT,
	K_F1, K_F2, K_F3, K_F4, K_F5, K_F6, K_F7, K_F8, K_F9, K_F10, K_F11,
	K_F12,
	/* Bits, with a character: Alt held; pasted, so that it is text and
	 * nothing that commands: no table binds it. */
	K_ALT = 0x1000000, K_PASTED = 0x2000000,
};
#define K_CTRL(c) ((c) & 0x1f)

/* Where a key holds. */
enum key_context { ON_ALL, ON_LIST, ON_OVERVIEW, ON_MODELS, ON_WORKERS,
    ON_REQUESTS, ON_EVENTS, ON_CONFIG, ON_PAGER, ON_N };

enum action {
	ACT_NONE,
#define ACTION(sym, name, help) ACT_##sym,
#define KEY(context, key, sym)
#include "console/tui/keys.def"
#undef ACTION
#undef KEY
	ACT_N
};

struct key_action {
	const char	*name;	/* "scroll up" */
	const char	*help;
};
struct key_binding {
	enum key_context context;
	int		 key;
	enum action	 action;
};
extern const struct key_action key_actions[ACT_N];
extern const struct key_binding key_bindings[];
extern const size_t n_key_bindings;

/* What a key does: of the first of the contexts (most particular first) that
 * binds it; ACT_NONE. */
enum action keys_find(const enum key_context *contexts, size_t n, int key);
/* "Up", "^B", "F9", "Space", "x". */
const char *keys_name(int key, char out[16]);
/* The text of `?`: for each of the contexts a title and lines of keys, name
 * and help; a key that an earlier context binds is not told again. */
void	 keys_help(const enum key_context *contexts, size_t n,
	    struct buf *out);

#endif
