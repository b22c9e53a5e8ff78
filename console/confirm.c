/* SPDX-License-Identifier: MIT */
/*
 * Nothing ever waits for an answer that cannot come: without a terminal a
 * risky command needs -y.  The default is always No.
 */
#include "config.h"

#include "console/confirm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

bool
confirm_is_needed(const struct ctl *ctl, const struct command *cmd)
{
	return cmd->risk >= 2 && !ctl->yes;
}

int
confirm_check(const struct ctl *ctl, const struct command *cmd,
    struct cause *cause)
{
	if (!ctl->from_stdin && isatty(STDIN_FILENO) &&
	    isatty(STDERR_FILENO))
		return 0;
	return cause_set(cause, BM_EUSAGE, "\"%s\" %s and there is no "
	    "terminal to ask on: say -y", cmd->words, cmd->risk >= 3 ?
	    "ends the service" : "disturbs clients");
}

bool
confirm_agrees(int risk, const char *answer)
{
	size_t n = strcspn(answer, "\r\n");

	if (n == 1 && risk < 3)
		return answer[0] == 'y' || answer[0] == 'Y';
	return n == 3 && strncasecmp(answer, "yes", 3) == 0;
}

int
confirm_ask(const struct command *cmd, const char *effect,
    struct cause *cause)
{
	char *line = NULL;
	size_t size = 0;
	bool agrees;

	fprintf(stderr, "%s%s", effect, cmd->risk >= 3 ?
	    "\nType yes to go on: " : " Go on? [y/N] ");
	fflush(stderr);
	agrees = getline(&line, &size, stdin) > 0 &&
	    confirm_agrees(cmd->risk, line);
	free(line);
	if (!agrees)
		return cause_set(cause, BM_EUSAGE, "not done");
	return 0;
}
