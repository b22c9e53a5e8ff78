/* SPDX-License-Identifier: MIT */
#ifndef BM_WIRE_COMMANDS_H
#define BM_WIRE_COMMANDS_H

/* The admin commands of commands.def and the way a line is cut into words. */

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum command_where { CMD_GATE, CMD_MASTER, CMD_REQLOG, CMD_OFFLINE,
    CMD_CONSOLE };

enum command_id {
#define CMD(sym, words, args, least, most, where, risk, help) CMD_ID_##sym,
#include "wire/commands.def"
#undef CMD
	CMD_N
};

struct command {
	enum command_id	 id;
	const char	*words;		/* "show status" */
	const char	*args;
	int		 least;
	int		 most;		/* -1: any number */
	enum command_where where;
	int		 risk;
	const char	*help;
};

extern const struct command commands[CMD_N];

/* Words of a line, NULL at the end; free with words_free. */
struct words_list {
	char	**w;
	size_t	  n;
};

/* Cut at spaces; "..." and '...' keep spaces, \ the next character in "...".
 * BM_EBADREQ for an open quote or more than 256 words. */
int	 words_split(struct slice line, struct words_list *out,
	    struct cause *cause) BM_MUST_CHECK;
void	 words_free(struct words_list *w);
/* The inverse: words quoted where they need it, joined by spaces. */
void	 words_join(const char *const *w, size_t n, struct buf *out);

/* The k-th of a command's own words, empty behind the last. */
struct slice command_word(const struct command *cmd, size_t k);
/* The command the words begin with and how many words that took; checks the
 * number of arguments.  BM_EUSAGE with what would have been right. */
int	 command_find(const char *const *w, size_t n,
	    const struct command **out, size_t *used, struct cause *cause)
	    BM_MUST_CHECK;

#endif
