/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_TUI_TUI_IMPL_H
#define BM_CONSOLE_TUI_TUI_IMPL_H

/* What the files of the screen share: tui.c, tui_draw.c, act.c, jobs.c. */

#include "base/queue.h"
#include "console/effect.h"
#include "console/tui/dialog.h"
#include "console/tui/pager.h"
#include "console/tui/prompt.h"
#include "console/tui/tui.h"

#define N_VIEWS		6
#define SUBJECTS_MAX	1000

/* A command under way, and what becomes of its answer. */
enum job_use {
	JOB_ACTION,		/* counted in its batch, told in a line */
	JOB_SHOWN,		/* goes to the pager */
	JOB_CONFIG,		/* "show config" for the store */
	JOB_SCAN,		/* nobody reads it; the next snapshot tells */
	JOB_DETAIL,		/* the row whose detail is open */
};

struct tui_job {
	TAILQ_ENTRY(tui_job) entry;
	unsigned	 ticket;
	char		*line;
	const struct command *cmd;
	enum job_use	 use;
	unsigned	 batch;		/* of an action */
	struct buf	 answer;	/* lines of JSON */
};
TAILQ_HEAD(tui_jobs, tui_job);

/* Commands of one confirmation, and how they went. */
struct tui_batch {
	unsigned	 id;
	size_t		 n, n_done, n_failed;
	char		 failure[256];	/* of the first that failed */
};

/* An action that still needs to know something. */
struct tui_act {
	enum action	 action;
	enum { STEP_NONE, STEP_CHOOSE, STEP_SHARE, STEP_ASK, STEP_CONFIRM }
			 step;
	char		**subjects;	/* models, workers or requests */
	size_t		 n_subjects;
	char		*choice;	/* of an earlier step */
	char		**lines;	/* the commands, to be confirmed */
	size_t		 n_lines;
};

struct tui {
	struct tui_host	 host;
	struct tui_options options;
	struct store	 store;
	struct view	 views[N_VIEWS];
	size_t		 at;		/* the view in front */
	struct pager	 pager;
	struct dialog	 dialog;
	struct tui_act	 act;
	struct prompt	*prompt;	/* NULL: none open */
	enum { INPUT_COMMAND, INPUT_FILTER, INPUT_SEARCH, INPUT_ASK }
			 input;
	void		(*asked)(struct tui *t, const char *text);
	struct prompt_history commands;
	struct tui_jobs	 jobs;
	struct tui_batch batch;
	unsigned	 last_ticket;
	char		 message[512];
	enum role	 message_role;
	bool		 is_paused;
	size_t		 interval;	/* of tui_intervals_ms */
	uint64_t	 retry_ns;	/* when the link is tried again */
	uint64_t	 lost_ns;
	bool		 is_dirty;
	uint64_t	 drawn_version;
	uint64_t	 drawn_s;	/* second of the last drawing */
	int		 drawn_h, drawn_w;
};

/* ---- tui.c ---- */
void		 tui_update(struct tui *t);
void		 tui_close_prompt(struct tui *t);
void		 tui_show_detail(struct tui *t, const json_t *row);

/* ---- act.c: actions to commands ---- */
/* Begin an action on what is selected; false: none of these. */
bool		 act_begin(struct tui *t, enum action action);
/* The dialog was answered yes (with dialog_choice for menus) or no. */
void		 act_answer(struct tui *t, bool yes);
void		 act_end(struct tui *t);
/* Ask before lines of commands as their risk wants, then run them;
 * always: also where the risk would not want it. */
void		 act_propose(struct tui *t, const char *title,
		    char **lines, size_t n, bool always);
/* Everything that can be done on this screen. */
void		 act_menu(struct tui *t);

/* ---- jobs.c: commands under way ---- */
/* Run a line of the command prompt. */
void		 jobs_command(struct tui *t, const char *line);
/* Run lines that were agreed to, and say how they went. */
void		 jobs_run(struct tui *t, char *const *lines, size_t n);
void		 jobs_get_config(struct tui *t);
void		 jobs_scan_variants(struct tui *t);
/* The texts of a finished request are longer than what the store keeps. */
void		 jobs_get_request(struct tui *t, const json_t *row);
void		 jobs_fini(struct tui *t);

/* ---- tui_words.c ---- */
/* What may stand in a command line; arg is the struct tui. */
void		 tui_complete(void *arg, const char *line, size_t cursor,
		    struct prompt_candidates *out);

/* ---- tui_draw.c ---- */
void		 tui_paint(struct tui *t, struct canvas *c, uint64_t now_ns,
		    int64_t now_unix_ms);

#endif
