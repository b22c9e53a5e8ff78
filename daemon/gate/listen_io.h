/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_LISTEN_IO_H
#define BM_GATE_LISTEN_IO_H

/*
 * The sockets of clients.  What a connection speaks is told by its first
 * bytes: HTTP goes to http_io.c, all else is the line protocol.  See also
 * clients_listen and clients_drain in gate.h.
 */

struct gate;

/* Close all listening sockets and connections; requests are abandoned. */
void	 clients_free(struct gate *g);

#endif
