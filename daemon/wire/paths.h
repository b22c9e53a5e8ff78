/* SPDX-License-Identifier: MIT */
#ifndef BM_WIRE_PATHS_H
#define BM_WIRE_PATHS_H

/* Where things are, for daemon and console alike. */

#include <stddef.h>

#define PATH_SIZE 1024

/*
 * The state directory when none is configured: $XDG_RUNTIME_DIR/bigmodel,
 * /run/bigmodel for root without one, else /tmp/bigmodel-UID.
 */
void	 path_default_state_dir(char out[PATH_SIZE]);
/* dir/name; -ENAMETOOLONG when it does not fit. */
int	 path_join(char out[PATH_SIZE], const char *dir, const char *name);
/* A helper executable: $BIGMODEL_LIBEXECDIR/name, else the installed one. */
int	 path_helper(char out[PATH_SIZE], const char *name);
/* Shipped data: $BIGMODEL_DATADIR/name, else the installed one. */
int	 path_data(char out[PATH_SIZE], const char *name);

#define PATH_DEFAULT_MODEL "tale-3.7m-f16.gguf"
#define PATH_DEFAULT_MODEL_NAME "tale"
#define PATH_CLIENT_SOCKET "client.sock"
#define PATH_ADMIN_SOCKET "admin.sock"
#define PATH_DATABASE "requests.db"
#define PATH_CACHE "cache"

#endif
