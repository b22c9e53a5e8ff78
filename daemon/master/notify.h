/* SPDX-License-Identifier: MIT */
#ifndef BM_MASTER_NOTIFY_H
#define BM_MASTER_NOTIFY_H

#include "base/err.h"

/* Tell the service manager (sd_notify(3)'s protocol: one datagram to
 * $NOTIFY_SOCKET).  Does nothing when there is none. */
void	 notify(const char *fmt, ...) BM_PRINTF(1, 2);

#endif
