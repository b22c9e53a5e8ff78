/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_ADDR_H
#define BM_MASTER_ADDR_H

/*
 * TCP addresses as people write them: "127.0.0.1:8642", "[::1]:80",
 * "localhost:0", "*:80".  Names are not resolved: a daemon that needs the
 * name service to start does not start when it is needed most.
 */

#include <sys/socket.h>

#include "base/err.h"

#define ADDR_TEXT_SIZE 64

struct addr {
	struct sockaddr_storage	 ss;
	socklen_t		 len;
};

/* BM_ECONF with the reason. */
int	 addr_parse(const char *text, struct addr *out, struct cause *cause)
	    BM_MUST_CHECK;
void	 addr_print(const struct addr *a, char out[ADDR_TEXT_SIZE]);
/* Is nothing to be listened on? ("" and "off") */
int	 addr_is_off(const char *text);

#endif
