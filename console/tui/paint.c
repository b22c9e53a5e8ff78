/* SPDX-License-Identifier: MIT */
/*
 * The only file that knows curses.  Differences are taken twice: cells that
 * are as they were painted last are not told to curses, and curses compares
 * what it is told with what the terminal shows.  Nothing is cleared but on
 * demand, so nothing flickers.
 *
 * Keys are bytes of UTF-8 or sequences that curses knows; sequences it does not
 * know are swallowed whole, lest their letters command something.
 */
#include "config.h"

#include "console/tui/paint.h"

#include <sys/ioctl.h>

#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <unistd.h>

#include <curses.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "console/tui/keys.h"
#include "console/tui/rescue.h"

#define ESC_DELAY_MS	25
#define SEQUENCE_MAX	32	/* bytes of a sequence to swallow */

/* Our codes for sequences that curses has none for; beyond those it hands out
 * itself, behind KEY_MAX. */
enum { CODE_PASTE_BEGIN = 5000, CODE_PASTE_END, CODE_ALT_LEFT,
    CODE_ALT_RIGHT, CODE_FOCUS };

static SCREEN		*screen;
static bool		 is_shown;	/* curses has the terminal */
static bool		 has_colors_on;
static bool		 is_pasting;
static struct canvas	 painted;	/* what curses was told */
static bool		 is_known;	/* painted holds */
static attr_t		 role_attrs[ROLE_N];

/* ---- looks ---- */

static attr_t
curses_attrs(unsigned attrs)
{
	attr_t a = A_NORMAL;

	if (attrs & ATTR_BOLD)
		a |= A_BOLD;
	if (attrs & ATTR_DIM)
		a |= A_DIM;
	if (attrs & ATTR_UNDERLINE)
		a |= A_UNDERLINE;
	if (attrs & ATTR_REVERSE)
		a |= A_REVERSE;
	return a;
}

/* enum color counts as curses does. */
static void
init_looks(bool color)
{
	has_colors_on = color && has_colors() && start_color() == OK &&
	    COLOR_PAIRS > ROLE_N;
	if (has_colors_on)
		use_default_colors();
	for (int i = 0; i < ROLE_N; i++) {
		const struct role_look *l = &role_looks[i];

		role_attrs[i] = curses_attrs(has_colors_on ? l->attrs :
		    l->mono_attrs);
		if (has_colors_on)
			init_pair((short)(i + 1), l->fg, l->bg);
	}
}

static void
look_of(const struct cell *cell, attr_t *attrs, short *pair)
{
	*attrs = role_attrs[cell->role];
	*pair = has_colors_on ? (short)(cell->role + 1) : 0;
	if (cell->flags & CELL_STALE) {
		*attrs |= A_DIM;
		if (role_looks[cell->role].bg == COLOR_IS_DEFAULT)
			*pair = 0;
	}
	if (cell->flags & CELL_TAGGED)
		*attrs |= A_BOLD;
	if (cell->flags & CELL_SELECTED)
		*attrs |= A_REVERSE;
}

/* ---- painting ---- */

static void
show_run(const struct canvas *c, int y, int x, int end)
{
	static cchar_t run[1000];
	int n = 0;

	for (int at = x; at < end && n < (int)N_ELEMENTS(run); at++) {
		const struct cell *cell = &c->cells[y * c->w + at];
		wchar_t text[CELL_CHARS + 1] = { 0 };
		attr_t attrs;
		short pair;

		if (cell->width == 0)
			continue;
		memcpy(text, cell->ch, sizeof(cell->ch));
		look_of(cell, &attrs, &pair);
		setcchar(&run[n++], text, attrs, pair, NULL);
	}
	mvadd_wchnstr(y, x, run, n);
}

static bool
is_same(const struct cell *a, const struct cell *b)
{
	return memcmp(a->ch, b->ch, sizeof(a->ch)) == 0 &&
	    a->width == b->width && a->role == b->role && a->flags == b->flags;
}

static void
show_line(const struct canvas *c, int y)
{
	const struct cell *line = &c->cells[y * c->w];
	const struct cell *old = &painted.cells[y * c->w];

	for (int x = 0; x < c->w; x++) {
		int from = x;

		if (is_known && is_same(&line[x], &old[x]))
			continue;
		while (x < c->w && !(is_known && is_same(&line[x], &old[x])))
			x++;
		/* A wide character goes whole. */
		if (line[from].width == 0)
			from--;
		if (x < c->w && line[x].width == 0)
			x++;
		show_run(c, y, from, x);
	}
}

static void
show_cursor(const struct canvas *c)
{
	bool is_visible = c->cursor_y >= 0 && c->cursor_y < c->h;

	leaveok(stdscr, !is_visible);
	curs_set(is_visible);
	if (is_visible)
		move(c->cursor_y, c->cursor_x);
}

void
paint_show(const struct canvas *c)
{
	if (!is_shown)
		return;
	if (painted.h != c->h || painted.w != c->w) {
		canvas_resize(&painted, c->h, c->w);
		is_known = false;
	}
	for (int y = 0; y < c->h && y < LINES; y++)
		show_line(c, y);
	memcpy(painted.cells, c->cells,
	    (size_t)c->h * (size_t)c->w * sizeof(*c->cells));
	is_known = true;
	show_cursor(c);
	refresh();
}

void
paint_forget(void)
{
	is_known = false;
	if (is_shown)
		clearok(curscr, TRUE);
}

void
paint_resize(int *h, int *w)
{
	struct winsize ws = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row > 0 &&
	    ws.ws_col > 0 && is_term_resized(ws.ws_row, ws.ws_col)) {
		resizeterm(ws.ws_row, ws.ws_col);
		paint_forget();
	}
	*h = LINES;
	*w = COLS;
}

/* ---- start and end ---- */

static const char *
capability(const char *name)
{
	const char *s = tigetstr((char *)name);

	return s == (char *)-1 ? NULL : s;
}

/* A capability without the padding that no terminal needs today. */
static void
add_bytes(struct rescue *r, const char *s)
{
	for (; *s != '\0' && r->n < sizeof(r->bytes); s++) {
		if (s[0] == '$' && s[1] == '<' && strchr(s, '>') != NULL)
			s = strchr(s, '>');
		else
			r->bytes[r->n++] = *s;
	}
}

/* terminfo calls it BE and BD, where it knows it. */
static void
set_bracketed_paste(bool on)
{
	const char *s = capability(on ? "BE" : "BD");

	if (s != NULL) {
		putp(s);
		fflush(stdout);
	}
}

static void
define_keys(void)
{
	static const struct {
		const char	*bytes;
		int		 code;
	} more[] = {
		{ "\033[H", KEY_HOME }, { "\033OH", KEY_HOME },
		{ "\033[1~", KEY_HOME }, { "\033[7~", KEY_HOME },
		{ "\033[F", KEY_END }, { "\033OF", KEY_END },
		{ "\033[4~", KEY_END }, { "\033[8~", KEY_END },
		{ "\033[A", KEY_UP }, { "\033[B", KEY_DOWN },
		{ "\033[C", KEY_RIGHT }, { "\033[D", KEY_LEFT },
		{ "\033[Z", KEY_BTAB }, { "\033[3~", KEY_DC },
		{ "\033OP", KEY_F(1) }, { "\033[11~", KEY_F(1) },
		{ "\033OQ", KEY_F(2) }, { "\033OR", KEY_F(3) },
		{ "\033OS", KEY_F(4) },
		{ "\033[200~", CODE_PASTE_BEGIN },
		{ "\033[201~", CODE_PASTE_END },
		{ "\033[1;3D", CODE_ALT_LEFT }, { "\033[1;5D", CODE_ALT_LEFT },
		{ "\033[1;3C", CODE_ALT_RIGHT },
		{ "\033[1;5C", CODE_ALT_RIGHT },
		{ "\033[I", CODE_FOCUS }, { "\033[O", CODE_FOCUS },
	};

	for (size_t i = 0; i < N_ELEMENTS(more); i++)
		if (more[i].code > KEY_MAX || key_defined(more[i].bytes) == 0)
			define_key(more[i].bytes, more[i].code);
}

/* Curses has the mouse of terminals whose type does not say how, too. */
static const char *
mouse_off(void)
{
	const char *xm = capability("XM");

	return xm != NULL ? tiparm(xm, 0) : "\033[?1000l";
}

static void
begin_rescue(bool mouse)
{
	static const char *const last[] = { "BD", "sgr0", "op", "rmkx",
	    "cnorm", "rmcup" };
	struct rescue r = { .tty = STDOUT_FILENO };

	if (mouse)
		add_bytes(&r, mouse_off());
	for (size_t i = 0; i < N_ELEMENTS(last); i++)
		if (capability(last[i]) != NULL)
			add_bytes(&r, capability(last[i]));
	if (tcgetattr(r.tty, &r.modes) == 0)
		rescue_begin(&r);
}

static int
check_terminal(struct cause *cause)
{
	const char *term = getenv("TERM");
	int error;

	if (term == NULL || setupterm(NULL, STDOUT_FILENO, &error) != OK)
		return cause_set(cause, BM_EUSAGE, "the terminal is of a type "
		    "that is not known here (TERM=%s); use --batch or --json",
		    term != NULL ? term : "");
	if (capability("cup") == NULL || capability("clear") == NULL)
		return cause_set(cause, BM_EUSAGE, "a terminal of type %s "
		    "shows no screen; use --batch or --json", term);
	return 0;
}

int
paint_start(const struct paint_options *options, struct cause *cause)
{
	int r;

	if ((r = check_terminal(cause)) != 0)
		return r;
	/* The size comes from the terminal alone, now and later. */
	use_env(FALSE);
	begin_rescue(options->mouse);
	if ((screen = newterm(NULL, stdout, stdin)) == NULL) {
		rescue_end();
		return cause_set(cause, BM_EUSAGE,
		    "the terminal can't be used; use --batch or --json");
	}
	atexit(paint_stop);
	is_shown = true;
	set_escdelay(ESC_DELAY_MS);
	raw();
	noecho();
	nonl();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	define_keys();
	init_looks(options->color);
	if (options->mouse) {
		mousemask(BUTTON1_PRESSED | BUTTON4_PRESSED |
		    BUTTON5_PRESSED, NULL);
		mouseinterval(0);
	}
	canvas_init(&painted, false);
	set_bracketed_paste(true);
	return 0;
}

void
paint_suspend(void)
{
	if (!is_shown)
		return;
	is_shown = false;
	set_bracketed_paste(false);
	endwin();
	rescue_pause();
}

void
paint_resume(void)
{
	if (screen == NULL || is_shown)
		return;
	rescue_resume();
	is_shown = true;
	reset_prog_mode();
	paint_forget();
	set_bracketed_paste(true);
}

void
paint_stop(void)
{
	if (screen == NULL)
		return;
	paint_suspend();
	rescue_end();
	canvas_fini(&painted);
	delscreen(screen);
	screen = NULL;
}

/* ---- keys ---- */

/* What follows Escape at once: a sequence that curses does not know, which
 * goes, or a character with Alt. */
static int
after_escape(void)
{
	int c = getch(), n = 0;

	if (c == ERR)
		return K_ESC;
	if (c != '[' && c != 'O')
		return c >= ' ' && c < 0x7f ? K_ALT | c : K_NONE;
	do
		c = getch();
	while (c != ERR && (c < 0x40 || c > 0x7e) && ++n < SEQUENCE_MAX);
	return K_NONE;
}

static int
character(int first)
{
	char bytes[4] = { (char)first };
	uint32_t code;

	for (size_t n = 1; n <= sizeof(bytes); n++) {
		int c;

		if (utf8_decode(bytes, n, &code) > 0)
			return code < 0xa0 && code >= 0x80 ? K_NONE :
			    (int)code;
		if (n == sizeof(bytes) || utf8_incomplete_tail(bytes, n) != n)
			return K_NONE;
		timeout(ESC_DELAY_MS);	/* the rest is on its way */
		c = getch();
		nodelay(stdscr, TRUE);
		if (c < 0x80 || c > 0xff)
			return K_NONE;
		bytes[n] = (char)c;
	}
	return K_NONE;
}

static int
plain_key(int c)
{
	static const struct {
		int	 curses, ours;
	} keys[] = {
		{ KEY_UP, K_UP }, { KEY_DOWN, K_DOWN },
		{ KEY_LEFT, K_LEFT }, { KEY_RIGHT, K_RIGHT },
		{ KEY_PPAGE, K_PAGE_UP }, { KEY_NPAGE, K_PAGE_DOWN },
		{ KEY_HOME, K_HOME }, { KEY_END, K_END },
		{ KEY_FIND, K_HOME }, { KEY_SELECT, K_END },
		{ KEY_BACKSPACE, K_BACKSPACE }, { 0x7f, K_BACKSPACE },
		{ '\b', K_BACKSPACE }, { KEY_DC, K_DELETE },
		{ KEY_BTAB, K_BACKTAB }, { KEY_IC, K_INSERT },
		{ KEY_ENTER, K_ENTER }, { '\n', K_ENTER },
		{ CODE_ALT_LEFT, K_ALT | 'b' }, { CODE_ALT_RIGHT, K_ALT | 'f' },
	};

	for (size_t i = 0; i < N_ELEMENTS(keys); i++)
		if (keys[i].curses == c)
			return keys[i].ours;
	if (c >= KEY_F(1) && c <= KEY_F(12))
		return K_F1 + (c - KEY_F(1));
	return c > 0 && c <= 0xff ? character(c) : K_NONE;
}

static struct paint_input
mouse(void)
{
	struct paint_input in = { .key = K_NONE, .is_mouse = true };
	MEVENT e;

	if (getmouse(&e) != OK)
		return in;
	in.y = e.y;
	in.x = e.x;
	in.key = e.bstate & BUTTON4_PRESSED ? K_UP :
	    e.bstate & BUTTON5_PRESSED ? K_DOWN : K_ENTER;
	return in;
}

struct paint_input
paint_key(void)
{
	struct paint_input in = { .key = K_NONE };
	int c;

	while (in.key == K_NONE && is_shown && (c = getch()) != ERR) {
		in.is_mouse = false;
		if (c == KEY_MOUSE)
			in = mouse();
		else if (c == CODE_PASTE_BEGIN || c == CODE_PASTE_END)
			is_pasting = c == CODE_PASTE_BEGIN;
		else if (c == K_ESC)
			in.key = after_escape();
		else
			in.key = plain_key(c);
		if (is_pasting && in.key != K_NONE)
			in.key = in.key < K_UP ? in.key | K_PASTED : K_NONE;
	}
	return in;
}
