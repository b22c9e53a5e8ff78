/* SPDX-License-Identifier: MIT */
/* The tables of keys.def, and what is made of them: dispatch and help. */
#include "config.h"

#include "console/tui/keys.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

const struct key_action key_actions[ACT_N] = {
	[ACT_NONE] = { "", "" },
#define ACTION(sym, name, help) [ACT_##sym] = { name, help },
#define KEY(context, key, sym)
#include "console/tui/keys.def"
#undef ACTION
#undef KEY
};

const struct key_binding key_bindings[] = {
#define ACTION(sym, name, help)
#define KEY(context, key, sym) { context, key, ACT_##sym },
#include "console/tui/keys.def"
#undef ACTION
#undef KEY
};

const size_t n_key_bindings = N_ELEMENTS(key_bindings);

static const char *const context_titles[ON_N] = {
	[ON_ALL] = "Everywhere", [ON_LIST] = "Lists",
	[ON_OVERVIEW] = "Overview", [ON_MODELS] = "Models",
	[ON_WORKERS] = "Workers", [ON_REQUESTS] = "Requests",
	[ON_EVENTS] = "Events", [ON_CONFIG] = "Configuration",
	[ON_PAGER] = "Text",
};

static const struct {
	int		 key;
	const char	*name;
} named_keys[] = {
	{ K_TAB, "Tab" }, { K_ENTER, "Enter" }, { K_ESC, "Esc" },
	{ ' ', "Space" }, { K_UP, "Up" }, { K_DOWN, "Down" },
	{ K_LEFT, "Left" }, { K_RIGHT, "Right" }, { K_PAGE_UP, "PgUp" },
	{ K_PAGE_DOWN, "PgDn" }, { K_HOME, "Home" }, { K_END, "End" },
	{ K_BACKSPACE, "BkSp" }, { K_DELETE, "Del" },
	{ K_BACKTAB, "S-Tab" }, { K_INSERT, "Ins" },
};

const char *
keys_name(int key, char out[16])
{
	size_t n;

	for (size_t i = 0; i < N_ELEMENTS(named_keys); i++) {
		if (named_keys[i].key != key)
			continue;
		snprintf(out, 16, "%s", named_keys[i].name);
		return out;
	}
	if (key >= K_F1 && key <= K_F12) {
		snprintf(out, 16, "F%d", key - K_F1 + 1);
	} else if (key > 0 && key < ' ') {
		snprintf(out, 16, "^%c", key + '@');
	} else {
		n = key > 0 ? utf8_encode((uint32_t)key, out) : 0;
		out[n] = '\0';
	}
	return out;
}

static enum action
find_in(enum key_context context, int key)
{
	for (size_t i = 0; i < n_key_bindings; i++)
		if (key_bindings[i].context == context &&
		    key_bindings[i].key == key)
			return key_bindings[i].action;
	return ACT_NONE;
}

enum action
keys_find(const enum key_context *contexts, size_t n, int key)
{
	enum action act = ACT_NONE;

	for (size_t i = 0; i < n && act == ACT_NONE; i++)
		act = find_in(contexts[i], key);
	return act;
}

/* ---- help ---- */

/* The keys that do this in contexts[k] and mean nothing else before it:
 * "Up k". */
static void
join_keys(const enum key_context *contexts, size_t k, enum action act,
    struct buf *out)
{
	char name[16];

	for (size_t i = 0; i < n_key_bindings; i++) {
		const struct key_binding *b = &key_bindings[i];

		if (b->context != contexts[k] || b->action != act ||
		    keys_find(contexts, k, b->key) != ACT_NONE)
			continue;
		buf_printf(out, "%s%s", out->len > 0 ? " " : "",
		    keys_name(b->key, name));
	}
}

static void
put_context(const enum key_context *contexts, size_t k, struct buf *out)
{
	struct buf keys;

	buf_printf(out, "%s%s\n", out->len > 0 ? "\n" : "",
	    context_titles[contexts[k]]);
	buf_init(&keys, 4096);
	for (enum action act = ACT_NONE + 1; act < ACT_N; act++) {
		buf_clear(&keys);
		join_keys(contexts, k, act, &keys);
		if (keys.len == 0)
			continue;
		buf_printf(out, "  %-14s  %-14s  %s\n", buf_cstr(&keys),
		    key_actions[act].name, key_actions[act].help);
	}
	buf_fini(&keys);
}

void
keys_help(const enum key_context *contexts, size_t n, struct buf *out)
{
	for (size_t k = 0; k < n; k++)
		put_context(contexts, k, out);
}
