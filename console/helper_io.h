/* SPDX-License-Identifier: MIT */
#ifndef BM_CONSOLE_HELPER_IO_H
#define BM_CONSOLE_HELPER_IO_H

/*
 * A worker of our own: started on a model file for one command, asked, and
 * ended with it.  The file is only opened here; a hostile one meets the worker
 * alone.
 */

#include <sys/types.h>

#include "console/progress.h"
#include "wire/sync_io.h"

struct helper {
	pid_t		 pid;		/* 0: none */
	struct sync_io	 io;
	uint32_t	 seq;		/* of the last question */
	uint64_t	 timeout_ms;	/* of silence; 0: none */
	uint64_t	 file_bytes;	/* of all parts */
	int		 n_parts;
	struct progress	 progress;
};

/* Start the worker and give it the file, or all files of the split that it
 * belongs to.  On failure there is nothing to stop. */
int	 helper_start(struct helper *h, const struct ctl *ctl,
	    const char *file, struct cause *cause) BM_MUST_CHECK;
/* End and reap it. */
void	 helper_stop(struct helper *h);
/* Send a question (a struct msg_X of that type). */
int	 helper_ask(struct helper *h, enum msg_type type, const void *m,
	    struct cause *cause) BM_MUST_CHECK;
/* The same with a descriptor, which stays the caller's. */
int	 helper_ask_fd(struct helper *h, enum msg_type type, const void *m,
	    int fd, struct cause *cause) BM_MUST_CHECK;
/*
 * The next frame of the answer, valid until the next call.  A RESULT that
 * tells a failure is returned as that code with its sentence; MSG_RESULT with
 * code 0 ends an answer of many frames.
 */
int	 helper_next(struct helper *h, struct frame *f, struct cause *cause)
	    BM_MUST_CHECK;
/* Ask and take the one frame of type want, or fail. */
int	 helper_call(struct helper *h, enum msg_type type, const void *m,
	    enum msg_type want, struct frame *f, struct cause *cause)
	    BM_MUST_CHECK;
/* The tokenizer alone: for files without weights too. */
int	 helper_load_vocab(struct helper *h, struct cause *cause)
	    BM_MUST_CHECK;

#endif
