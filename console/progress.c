/* SPDX-License-Identifier: MIT */
/* One line that is written over itself once a second. */
#include "config.h"

#include "console/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

void
progress_begin(struct progress *p, const struct ctl *ctl, const char *what)
{
	*p = (struct progress){ .start_ns = clock_now_ns() };
	if (!ctl->quiet && isatty(STDERR_FILENO))
		p->what = what;
}

void
progress_tick(struct progress *p)
{
	uint64_t now = clock_now_ns(), spent = now - p->start_ns;
	char what[48];

	if (p->what == NULL || spent < 2 * CLOCK_NS_PER_S ||
	    (p->is_shown && now - p->shown_ns < CLOCK_NS_PER_S))
		return;
	fprintf(stderr, "\r%s: %" PRIu64 " s",
	    str_vis(what, sizeof(what), p->what, strlen(p->what)),
	    spent / CLOCK_NS_PER_S);
	if (p->total > 0)
		fprintf(stderr, ", %" PRIu64 " of %" PRIu64 "%s", p->done,
		    p->total, p->unit != NULL ? p->unit : "");
	p->is_shown = true;
	p->shown_ns = now;
}

void
progress_end(struct progress *p)
{
	/* Blanks, not an escape: any terminal knows them. */
	if (p->is_shown)
		fprintf(stderr, "\r%79s\r", "");
	p->what = NULL;
	p->is_shown = false;
}
