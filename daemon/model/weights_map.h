/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_WEIGHTS_MAP_H
#define BM_MODEL_WEIGHTS_MAP_H

/*
 * Packed weights in memory: anonymous, or a file (on a disk or in memory) that
 * all workers of a model map.  The file:
 *
 *	0		header: magic, versions, the model's identity, sizes, a
 *			digest of the table, a digest of the header itself
 *	4096		table: a digest of every chunk (2 MiB) of the layout
 *	a multiple	the layout (weights_pack.h), which so can be mapped in
 *	of 2 MiB	huge pages
 *
 * It is written once, by one process, and never changed afterwards.  Opening
 * it checks the size, the header and the table; whether the chunks still are
 * what was written only when that is asked for, because it reads them all.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/gguf.h"
#include "model/weights_pack.h"
#include "model/weights_plan.h"

/* Whose weights they are, and who packs or checks them. */
struct weights_source {
	const struct weights_layout *layout;
	const struct gguf *gguf;
	uint64_t	 id[2];		/* gguf_identity */
	const struct weights_plan *plan;
};

struct weights_map {
	const void	*packed;	/* the layout */
	size_t		 n_bytes;	/* of it */
	void		*at;		/* what is mapped */
	size_t		 map_bytes;
	int		 fd;		/* held open as long; or -1 */
	bool		 is_shared;	/* with whoever maps the same file */
};

/* Tell how far it is. */
void	 weights_progress(const struct weights_source *s, uint64_t n_done);
/* Bytes of the file. */
uint64_t weights_file_bytes(const struct weights_layout *l);
/* Write the file: fd is open for both, empty, and starts on a boundary of huge
 * pages.  in_memory: a memfd, which is written through a mapping.  A file on a
 * disk is on it when this returns 0. */
int	 weights_file_write(const struct weights_source *s, int fd,
	    bool in_memory, struct cause *cause) BM_MUST_CHECK;
/* Check and map it; the descriptor stays the caller's.  The cause says what is
 * wrong with a file that is not what it should be (BM_EFORMAT). */
int	 weights_map_file(const struct weights_source *s, int fd,
	    bool checks_all, struct weights_map *out, struct cause *cause)
	    BM_MUST_CHECK;
/* Pack into memory of our own. */
int	 weights_map_anonymous(const struct weights_source *s,
	    struct weights_map *out, struct cause *cause) BM_MUST_CHECK;
/* Also fit for one that is all zero. */
void	 weights_unmap(struct weights_map *m);

#endif
