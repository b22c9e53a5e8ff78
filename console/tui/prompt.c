/* SPDX-License-Identifier: MIT */
/*
 * The line editor of the screen.  Readline was considered: its callbacks can
 * draw here, but it is one editor in a process (the shell has it), does not
 * tell the column of the cursor, and takes bytes instead of keys.
 *
 * Invariants: text is UTF-8 (only whole characters are put in), cursor is
 * where a character with its marks begins or the end of the text.
 */
#include "config.h"

#include "console/tui/prompt.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "console/tui/keys.h"
#include "console/tui/text.h"

#define TEXT_MAX	((size_t)16 << 10)
#define HISTORY_MAX	1000
#define LISTED_MAX	10	/* candidates at once */
#define NONE		SIZE_MAX

struct prompt {
	char		*label;
	struct buf	 text;
	size_t		 cursor;	/* bytes */
	int		 left;		/* columns scrolled away */
	struct buf	 killed;	/* for ^Y */

	struct prompt_history *history;	/* NULL: none */
	size_t		 at;		/* of history; its n: the own line */
	char		*own;		/* what was typed, while at < n */

	prompt_complete_fn complete;
	void		*arg;
	struct prompt_candidates found;
	bool		 is_listed;	/* show what is found, and refresh it */
	size_t		 chosen;	/* that is in the text; NONE */
	char		*before;	/* the text before one was chosen */
	size_t		 before_cursor;
};

/* ---- history ---- */

void
prompt_history_add(struct prompt_history *h, const char *line)
{
	size_t to = 0;

	if (line[0] == '\0' || line[0] == ' ')
		return;
	for (size_t i = 0; i < h->n; i++) {
		if (strcmp(h->lines[i], line) == 0 ||
		    (i == 0 && h->n == HISTORY_MAX))
			free(h->lines[i]);
		else
			h->lines[to++] = h->lines[i];
	}
	h->lines = xreallocarray(h->lines, to + 1, sizeof(*h->lines));
	h->lines[to] = xstrdup(line);
	h->n = to + 1;
}

void
prompt_history_free(struct prompt_history *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->lines[i]);
	free(h->lines);
	*h = (struct prompt_history){ 0 };
}

/* ---- the text ---- */

static struct slice
text_slice(const struct prompt *p)
{
	return (struct slice){ (const char *)p->text.data, p->text.len };
}

static void
set_text(struct prompt *p, const char *text)
{
	buf_clear(&p->text);
	buf_puts(&p->text, text);
	p->cursor = p->text.len;
}

/* Replace [begin, end) and stand behind what came in. */
static bool
replace(struct prompt *p, size_t begin, size_t end, struct slice by)
{
	size_t tail = p->text.len - end;

	if (p->text.len - (end - begin) + by.n > TEXT_MAX)
		return false;
	if (by.n > 0)
		buf_reserve(&p->text, by.n);
	if (p->text.data == NULL)
		return false;
	memmove(p->text.data + begin + by.n, p->text.data + end, tail);
	memcpy(p->text.data + begin, by.p, by.n);
	p->text.len = begin + by.n + tail;
	p->cursor = begin + by.n;
	return true;
}

static bool
insert(struct prompt *p, uint32_t code)
{
	char bytes[4];

	return replace(p, p->cursor, p->cursor,
	    (struct slice){ bytes, utf8_encode(code, bytes) });
}

/* Behind the character at `at` and its marks. */
static size_t
next(const struct prompt *p, size_t at)
{
	struct text t = text_of((struct slice){
	    (const char *)p->text.data + at, p->text.len - at }, false, false);
	struct text_unit u;
	size_t end = at;

	if (at >= p->text.len)
		return p->text.len;
	text_next(&t, &u);
	do
		end = p->text.len - t.n;
	while (text_next(&t, &u) && u.width == 0);
	return end;
}

static size_t
previous(const struct prompt *p, size_t at)
{
	size_t from = 0;

	for (size_t i = 0; i < at; i = next(p, i))
		from = i;
	return from;
}

/* Letters, digits and all that is not ASCII. */
static bool
is_word(const struct prompt *p, size_t at)
{
	unsigned char c = p->text.data[at];

	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') || c >= 0x80;
}

static size_t
word_end(const struct prompt *p)
{
	size_t at = p->cursor;

	while (at < p->text.len && !is_word(p, at))
		at++;
	while (at < p->text.len && is_word(p, at))
		at++;
	return at;
}

static size_t
word_begin(const struct prompt *p)
{
	size_t at = p->cursor;

	while (at > 0 && !is_word(p, at - 1))
		at--;
	while (at > 0 && is_word(p, at - 1))
		at--;
	return at;
}

/* As ^W has it: back to a blank. */
static size_t
argument_begin(const struct prompt *p)
{
	size_t at = p->cursor;

	while (at > 0 && p->text.data[at - 1] == ' ')
		at--;
	while (at > 0 && p->text.data[at - 1] != ' ')
		at--;
	return at;
}

/* Take [begin, end) out and keep it for ^Y. */
static bool
take_out(struct prompt *p, size_t begin, size_t end)
{
	if (begin == end)
		return false;
	buf_clear(&p->killed);
	buf_put(&p->killed, p->text.data + begin, end - begin);
	return replace(p, begin, end, (struct slice){ "", 0 });
}

static bool
put_back(struct prompt *p)
{
	return p->killed.len > 0 && replace(p, p->cursor, p->cursor,
	    (struct slice){ (const char *)p->killed.data, p->killed.len });
}

/* ---- moving in history ---- */

static bool
go_to(struct prompt *p, size_t at)
{
	size_t n = p->history != NULL ? p->history->n : 0;

	if (at > n || at == p->at)
		return false;
	if (p->at == n) {
		free(p->own);
		p->own = xstrdup(prompt_text(p));
	}
	set_text(p, at == n ? p->own : p->history->lines[at]);
	p->at = at;
	return true;
}

/* ---- completion ---- */

static void
forget_found(struct prompt *p)
{
	for (size_t i = 0; i < p->found.n; i++) {
		free(p->found.words[i]);
		free(p->found.hints[i]);
	}
	free(p->found.words);
	free(p->found.hints);
	p->found = (struct prompt_candidates){ 0 };
	p->chosen = NONE;
}

static void
find(struct prompt *p)
{
	forget_found(p);
	if (p->complete != NULL)
		p->complete(p->arg, prompt_text(p), p->cursor, &p->found);
	if (p->found.begin > p->found.end || p->found.end > p->text.len)
		forget_found(p);
}

/* Bytes that all candidates begin with, whole characters. */
static size_t
common(const struct prompt_candidates *c)
{
	size_t n = strlen(c->words[0]);

	for (size_t i = 1; i < c->n; i++) {
		size_t k = 0;

		while (k < n && c->words[i][k] == c->words[0][k])
			k++;
		n = k;
	}
	return n - utf8_incomplete_tail(c->words[0], n);
}

/* The only one there is, and a blank behind it. */
static bool
put_only(struct prompt *p)
{
	const char *word = p->found.words[0];
	size_t n = strlen(word), end = p->found.end;

	if (!replace(p, p->found.begin, end, slice_of(word)))
		return false;
	if (n > 0 && word[n - 1] != '/' && word[n - 1] != '=') {
		if (p->cursor < p->text.len &&
		    p->text.data[p->cursor] == ' ')
			p->cursor++;
		else
			insert(p, ' ');
	}
	p->is_listed = false;
	forget_found(p);
	return true;
}

static bool
choose(struct prompt *p, int step)
{
	size_t n = p->found.n, at = p->chosen;

	if (at == NONE) {
		free(p->before);
		p->before = xstrdup(prompt_text(p));
		p->before_cursor = p->cursor;
		at = step > 0 ? 0 : n - 1;
	} else {
		at = (at + n + (size_t)step) % n;
	}
	if (!replace(p, p->found.begin, p->found.end,
	    slice_of(p->found.words[at])))
		return false;
	p->found.end = p->cursor;
	p->chosen = at;
	return true;
}

static bool
complete(struct prompt *p, int step)
{
	size_t n;

	if (p->chosen != NONE)
		return choose(p, step);
	if (!p->is_listed)
		find(p);
	if (p->found.n == 0)
		return false;
	if (p->found.n == 1)
		return put_only(p);
	n = common(&p->found);
	if (!p->is_listed && n > p->found.end - p->found.begin) {
		p->is_listed = true;
		replace(p, p->found.begin, p->found.end,
		    (struct slice){ p->found.words[0], n });
		p->found.end = p->cursor;
		return true;
	}
	if (p->is_listed)
		return choose(p, step);
	p->is_listed = true;
	return false;
}

/* Esc while candidates are listed: the text as it was before. */
static bool
unlist(struct prompt *p)
{
	bool was_chosen = p->chosen != NONE;

	if (was_chosen) {
		set_text(p, p->before);
		p->cursor = p->before_cursor;
	}
	p->is_listed = false;
	forget_found(p);
	return was_chosen;
}

/* ---- keys ---- */

static bool
move_to(struct prompt *p, size_t at)
{
	p->cursor = at;
	return false;
}

static bool
backspace(struct prompt *p)
{
	size_t from = previous(p, p->cursor);

	return from < p->cursor &&
	    replace(p, from, p->cursor, (struct slice){ "", 0 });
}

static bool
delete_next(struct prompt *p)
{
	size_t at = p->cursor, end = next(p, at);

	return end > at && replace(p, at, end, (struct slice){ "", 0 });
}

/* What a key does to the line; true when the text is another one. */
static bool
edit(struct prompt *p, int key)
{
	switch (key) {
	case K_LEFT: case K_CTRL('B'):
		return move_to(p, previous(p, p->cursor));
	case K_RIGHT: case K_CTRL('F'):
		return move_to(p, next(p, p->cursor));
	case K_HOME: case K_CTRL('A'):
		return move_to(p, 0);
	case K_END: case K_CTRL('E'):
		return move_to(p, p->text.len);
	case K_ALT | 'b':
		return move_to(p, word_begin(p));
	case K_ALT | 'f':
		return move_to(p, word_end(p));
	case K_BACKSPACE: case K_CTRL('H'):
		return backspace(p);
	case K_DELETE: case K_CTRL('D'):
		return delete_next(p);
	case K_CTRL('K'):
		return take_out(p, p->cursor, p->text.len);
	case K_CTRL('U'):
		return take_out(p, 0, p->cursor);
	case K_CTRL('W'):
		return take_out(p, argument_begin(p), p->cursor);
	case K_ALT | 'd':
		return take_out(p, p->cursor, word_end(p));
	case K_CTRL('Y'):
		return put_back(p);
	case K_UP: case K_CTRL('P'):
		return p->at > 0 && go_to(p, p->at - 1);
	case K_DOWN: case K_CTRL('N'):
		return go_to(p, p->at + 1);
	default:
		break;
	}
	if (key & K_PASTED)	/* a line end of it ends no line of ours */
		key = (key & ~K_PASTED) < ' ' ? ' ' : key & ~K_PASTED;
	return key >= ' ' && key != 0x7f && key < K_UP &&
	    insert(p, (uint32_t)key);
}

static bool
gives_up(const struct prompt *p, int key)
{
	if (key == K_ESC || key == K_CTRL('C') || key == K_CTRL('G'))
		return true;
	return p->text.len == 0 && (key == K_BACKSPACE || key == K_CTRL('D'));
}

enum prompt_result
prompt_key(struct prompt *p, int key)
{
	bool is_other;

	if (key == K_ESC && p->is_listed)
		return unlist(p) ? PROMPT_CHANGED : PROMPT_MORE;
	if (gives_up(p, key))
		return PROMPT_GIVEN_UP;
	if (key == K_ENTER)
		return PROMPT_DONE;
	if (key == K_TAB || key == K_BACKTAB)
		return complete(p, key == K_TAB ? 1 : -1) ? PROMPT_CHANGED :
		    PROMPT_MORE;
	is_other = edit(p, key);
	if (p->is_listed)
		find(p);
	return is_other ? PROMPT_CHANGED : PROMPT_MORE;
}

/* ---- begin, end, drawing ---- */

struct prompt *
prompt_new(const char *label, const char *initial,
    struct prompt_history *history, prompt_complete_fn fn, void *arg)
{
	struct prompt *p = xcalloc(1, sizeof(*p));

	p->label = xstrdup(label);
	buf_init(&p->text, SIZE_MAX / 2);
	buf_init(&p->killed, SIZE_MAX / 2);
	p->history = history;
	p->at = history != NULL ? history->n : 0;
	p->complete = fn;
	p->arg = arg;
	p->chosen = NONE;
	set_text(p, initial != NULL ? initial : "");
	return p;
}

void
prompt_free(struct prompt *p)
{
	if (p == NULL)
		return;
	forget_found(p);
	buf_fini(&p->text);
	buf_fini(&p->killed);
	free(p->label);
	free(p->own);
	free(p->before);
	free(p);
}

const char *
prompt_text(struct prompt *p)
{
	return buf_cstr(&p->text);
}

static void
draw_candidates(const struct prompt *p, const struct area *a)
{
	size_t lines = (size_t)MEM_MAX(a->h - 1, 0), first = 0, n;
	struct area list;
	int w = 0;

	lines = MEM_MIN(lines, LISTED_MAX);
	n = MEM_MIN(p->found.n, lines);
	if (p->chosen != NONE && p->chosen >= n)
		first = p->chosen - n + 1;
	list = area_sub(a, a->h - 1 - (int)n, 0, (int)n, a->w);
	for (size_t i = first; i < first + n; i++)
		w = MEM_MAX(w, canvas_text_width(a->canvas,
		    slice_of(p->found.words[i])));
	for (size_t i = 0; i < n; i++) {
		enum role role = first + i == p->chosen ? ROLE_DIALOG_ON :
		    ROLE_DIALOG;
		struct area line = area_sub(&list, (int)i, 0, 1, list.w);

		area_fill(&line, role);
		area_puts(&line, 0, 1, role, p->found.words[first + i]);
		area_puts(&line, 0, w + 3, role, p->found.hints[first + i]);
	}
	if (n < p->found.n) {
		char more[48];
		int k = snprintf(more, sizeof(more), " %zu of %zu ",
		    first + n, p->found.n);

		area_puts(&list, (int)n - 1, list.w - k, ROLE_DIALOG, more);
	}
}

void
prompt_draw(struct prompt *p, const struct area *a)
{
	struct area line = area_sub(a, a->h - 1, 0, 1, a->w), field;
	struct text before = text_of((struct slice){
	    (const char *)p->text.data, p->cursor }, a->canvas->ascii, false);
	int at, label;

	if (line.h == 0)
		return;
	if (p->is_listed && p->found.n > 0)
		draw_candidates(p, a);
	area_fill(&line, ROLE_TEXT);
	label = area_puts(&line, 0, 0, ROLE_PROMPT, p->label);
	field = area_sub(&line, 0, label, 1, line.w - label);
	at = text_width(before, (int)TEXT_MAX * 8);
	if (at < p->left)
		p->left = at;
	if (at - p->left > field.w - 1)
		p->left = MEM_MAX(at - field.w + 1, 0);
	area_put(&field, 0, -p->left, ROLE_TEXT, text_slice(p));
	if (p->left > 0 && at > p->left)
		area_glyph(&field, 0, 0, ROLE_DIM, GLYPH_ELLIPSIS);
	area_cursor(&field, 0, at - p->left);
}
