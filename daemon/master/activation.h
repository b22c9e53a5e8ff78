/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_ACTIVATION_H
#define BM_MASTER_ACTIVATION_H

/*
 * Sockets that a service manager opened for us: sd_listen_fds(3)'s protocol.
 * Each takes the place of the one that the configuration names, by its name in
 * LISTEN_FDNAMES (http, line, client, admin), else by what it is: a Unix
 * socket is the clients', or the operators' if its file is admin.sock; the
 * first TCP socket is for HTTP and the second for the line protocol.
 */

#include "master/listen.h"

/* How many there are, from descriptor 3 on. */
int	 activation_count(void);
/* Put them into l, which has none.  BM_ECONF when one is of no use. */
int	 activation_take(struct listeners *l, struct cause *cause)
	    BM_MUST_CHECK;

#endif
