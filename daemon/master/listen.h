/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_LISTEN_H
#define BM_MASTER_LISTEN_H

/*
 * The listening sockets.  The master binds them, gives the gate duplicates and
 * keeps them open: while a gate is being replaced, connections wait in the
 * kernel's queue instead of being refused.
 */

#include <stdbool.h>

#include "base/err.h"
#include "wire/conf.h"
#include "wire/msg.h"
#include "wire/paths.h"

#define LISTEN_N 4	/* one of each enum listen_kind */

struct listener {
	int	 fd;			/* -1: none */
	bool	 is_given;		/* see activation.h */
	char	 wanted[PATH_SIZE];	/* as configured */
	char	 addr[PATH_SIZE];	/* as bound: path, or ADDR:PORT */
};

struct listeners {
	struct listener	 of[LISTEN_N];
};

void	 listen_init(struct listeners *l);
/* Make the sockets what c says: unchanged and given ones stay, new ones are
 * bound before any old one is closed.  On failure everything is as before. */
int	 listen_apply(struct listeners *l, const struct conf *c,
	    struct cause *cause) BM_MUST_CHECK;
/* Close all and remove the files of Unix sockets that we made. */
void	 listen_close(struct listeners *l);

#endif
