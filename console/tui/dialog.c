/* SPDX-License-Identifier: MIT */
/*
 * The default is always No: Enter alone does nothing that disturbs anybody.
 */
#include "config.h"

#include "console/tui/dialog.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "console/confirm.h"
#include "console/tui/keys.h"

#define BOX_WIDTH	70
#define RISK_TYPED	3	/* "yes" in full */

static void
begin(struct dialog *d, enum dialog_kind kind, const char *title)
{
	dialog_close(d);
	d->kind = kind;
	d->title = xstrdup(title);
}

void
dialog_confirm(struct dialog *d, const char *title, const char *text, int risk)
{
	begin(d, DIALOG_CONFIRM, title);
	d->text = xstrdup(text);
	d->risk = risk;
}

void
dialog_menu(struct dialog *d, const char *title)
{
	begin(d, DIALOG_MENU, title);
}

void
dialog_add(struct dialog *d, const char *word, const char *label)
{
	d->items = xreallocarray(d->items, d->n_items + 1, sizeof(*d->items));
	d->items[d->n_items++] = (struct dialog_item){ xstrdup(word),
	    xstrdup(label != NULL ? label : word) };
}

void
dialog_close(struct dialog *d)
{
	for (size_t i = 0; i < d->n_items; i++) {
		free(d->items[i].word);
		free(d->items[i].label);
	}
	free(d->items);
	free(d->title);
	free(d->text);
	*d = (struct dialog){ 0 };
}

const char *
dialog_choice(const struct dialog *d)
{
	return d->items[d->at].word;
}

/* ---- keys ---- */

static enum dialog_result
confirm_key(struct dialog *d, int key)
{
	size_t n = strlen(d->typed);

	if (key == K_ESC || key == 'n' || key == 'N' || key == K_CTRL('C') ||
	    key == K_CTRL('G') || key == 'q')
		return DIALOG_NO;
	if (d->risk < RISK_TYPED)
		return key == 'y' || key == 'Y' ? DIALOG_YES :
		    key == K_ENTER ? DIALOG_NO : DIALOG_MORE;
	if (key == K_BACKSPACE && n > 0)
		d->typed[n - 1] = '\0';
	else if (key == K_ENTER)
		return confirm_agrees(d->risk, d->typed) ? DIALOG_YES :
		    DIALOG_NO;
	else if (key > ' ' && key < 127 && n + 1 < sizeof(d->typed)) {
		d->typed[n] = (char)key;
		d->typed[n + 1] = '\0';
	}
	return DIALOG_MORE;
}

/* The next item that begins with the letter. */
static void
jump(struct dialog *d, int key)
{
	for (size_t i = 1; i <= d->n_items; i++) {
		size_t at = (d->at + i) % d->n_items;

		if (d->items[at].label[0] == key) {
			d->at = at;
			return;
		}
	}
}

static enum dialog_result
menu_key(struct dialog *d, int key)
{
	switch (key) {
	case K_ESC:
	case K_CTRL('C'):
	case K_CTRL('G'):
		return DIALOG_NO;
	case K_ENTER:
		return d->n_items > 0 ? DIALOG_YES : DIALOG_NO;
	case K_UP:
		d->at -= d->at > 0;
		break;
	case K_DOWN:
	case K_TAB:
		d->at += d->at + 1 < d->n_items;
		break;
	case K_HOME:
	case K_PAGE_UP:
		d->at = 0;
		break;
	case K_END:
	case K_PAGE_DOWN:
		d->at = d->n_items > 0 ? d->n_items - 1 : 0;
		break;
	default:
		if (d->n_items > 0)
			jump(d, key);
		break;
	}
	return DIALOG_MORE;
}

enum dialog_result
dialog_key(struct dialog *d, int key)
{
	return d->kind == DIALOG_MENU ? menu_key(d, key) :
	    confirm_key(d, key);
}

/* ---- drawing ---- */

/* A box of that many inner lines in the middle; its inside. */
static struct area
middle(const struct area *s, int lines, const char *title)
{
	int w = MEM_MIN(s->w, BOX_WIDTH), h = MEM_MIN(s->h, lines + 2);
	struct area box = area_sub(s, (s->h - h) / 2, (s->w - w) / 2, h, w);
	struct area in;

	area_fill(&box, ROLE_DIALOG);
	in = area_box(&box, ROLE_DIALOG, title);
	return area_sub(&in, 0, 1, in.h, in.w - 2);
}

static void
draw_confirm(struct dialog *d, const struct area *screen)
{
	/* As wide as it will be, as high as the text wants. */
	struct area probe = area_sub(screen, 0, 0, 0,
	    MEM_MIN(screen->w, BOX_WIDTH) - 4);
	int lines = area_wrap(&probe, 0, 0, ROLE_DIALOG, slice_of(d->text));
	struct area in = middle(screen, lines + 2, d->title);

	area_wrap(&in, 0, 0, ROLE_DIALOG, slice_of(d->text));
	if (d->risk < RISK_TYPED) {
		area_puts(&in, in.h - 1, 0, ROLE_DIALOG_ON,
		    " y  Yes    n  No ");
		return;
	}
	area_printf(&in, in.h - 1, 0, ROLE_DIALOG_ON,
	    " Type yes and Enter to go on, Esc: no. > %s_ ", d->typed);
}

static void
draw_menu(struct dialog *d, const struct area *screen)
{
	struct area in = middle(screen, (int)MEM_MIN(d->n_items, (size_t)100) +
	    1, d->title);
	size_t rows = (size_t)MEM_MAX(in.h - 1, 1);

	if (d->at < d->top)
		d->top = d->at;
	if (d->at >= d->top + rows)
		d->top = d->at - rows + 1;
	for (size_t i = 0; i < rows && d->top + i < d->n_items; i++) {
		bool on = d->top + i == d->at;

		area_fit(&in, (int)i, 0, in.w, on ? ROLE_DIALOG_ON :
		    ROLE_DIALOG, false, slice_of(d->items[d->top + i].label));
	}
	area_puts(&in, in.h - 1, 0, ROLE_DIALOG, d->n_items > 0 ?
	    "Enter: choose   Esc: not" : "nothing to choose   Esc: back");
}

void
dialog_draw(struct dialog *d, const struct area *screen)
{
	if (d->kind == DIALOG_MENU)
		draw_menu(d, screen);
	else if (d->kind == DIALOG_CONFIRM)
		draw_confirm(d, screen);
}
