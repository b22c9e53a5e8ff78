/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_TUI_STAGE_H
#define BM_TESTS_TUI_STAGE_H

/* The screen without a terminal and without a daemon, for tests: fixed data
 * in, a canvas out. */

#include "console/tui/tui.h"

#define STAGE_VIEWS	6
#define STAGE_NOW_MS	1763808000000	/* of the data, Unix */

struct stage {
	struct tui	*tui;
	struct canvas	 canvas;
	/* What the screen asked of its host, a line each: "run WORDS",
	 * "shell LINE", "interval MS", "log 0|1", "redraw", "quit"; fetching
	 * what is shown anyway ("show config", "show variants", refresh) is
	 * left out. */
	struct buf	 asked;
	unsigned	 ticket;	/* of the last run */
	unsigned	 config_ticket;	/* of a show config that waits; or 0 */
};

/* The top of the source tree. */
const char	*stage_srcdir(void);
/* A whole file, with a NUL; NULL when it cannot be read. */
char		*stage_read(const char *path, size_t *n);

void	 stage_init(struct stage *s);
void	 stage_init_readonly(struct stage *s);
void	 stage_fini(struct stage *s);
/* data/NAME.json, and the rows of the log and of the configuration; dies when
 * one is missing. */
void	 stage_load(struct stage *s, const char *name);
/* The snapshot of data/NAME.json; the caller's reference. */
json_t	*stage_snapshot(const char *name);
/* A line of `show config`, if that was asked for. */
void	 stage_config(struct stage *s, struct slice line);
void	 stage_show(struct stage *s, size_t view);
const char *stage_view_name(struct stage *s, size_t view);
void	 stage_draw(struct stage *s, int h, int w, bool ascii);

#endif
