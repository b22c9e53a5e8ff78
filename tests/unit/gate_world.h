/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_GATE_WORLD_H
#define BM_TESTS_GATE_WORLD_H

/*
 * The gate's core with a master, workers and a reqlog that the test plays
 * itself at the other ends of socketpairs, and clients without sockets.  The
 * model "tale", variant "f16", is ready from the start; it has no worker.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate/core.h"
#include "wire/sync_io.h"

struct peer {
	struct sync_io	 io;
};

struct world {
	struct gate	 g;
	struct peer	 master;
	struct peer	 reqlog;
	struct peer	 worker[3];	/* by number */
	int		 n_drains;	/* clients_drain was called */
};

extern struct world o;

/* One for each test. */
int	 world_setup(void **state);
int	 world_teardown(void **state);
#define WORLD_TEST(f) \
	cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

/* ---- the other ends ---- */

/* Let the gate do what it can do at once. */
void	 spin(void);
/* p sends the gate a frame; fd, or -1, stays the caller's. */
void	 say(struct peer *p, enum msg_type type, uint32_t seq, uint64_t id,
	    const void *m, int fd);
/* The next frame the gate sent to p, but for what the master is told of the
 * load; it must be of that type. */
struct frame hear(struct peer *p, enum msg_type type);
/* The same, when a timer of the gate's has to run first. */
struct frame hear_late(struct peer *p, enum msg_type type);
void	 hear_nothing(struct peer *p);
/* A new link to p, by way of the master. */
void	 link_peer(struct peer *p, enum role role, uint32_t id);
/* A worker of tale is there and has its model. */
void	 worker_up(uint32_t id, uint32_t n_parallel);
/* Its process ends.  The master tells of it by worker_died. */
void	 worker_down(uint32_t id);
/* suspect: a request that is to blame; 0: none. */
void	 worker_died(uint32_t id, uint64_t suspect);
/* What the master says of tale. */
void	 model_state(const char *state, const char *reason);
/* One token with its text; the end after n tokens. */
void	 say_out(struct peer *p, uint64_t id, uint32_t token,
	    const char *text);
void	 say_ended(struct peer *p, uint64_t id, int code, uint32_t n);
/* reqlog hears the row of a request and confirms it. */
void	 expect_row(const char *status, const char *output);

/* ---- a client ---- */

struct client {
	struct request	*r;
	int		 n_queued;
	size_t		 position;
	uint64_t	 wait_ms;
	int		 n_done;
	int		 code;
	unsigned	 finish;
	uint64_t	 retry_ms;
	uint32_t	 completion_tokens;
	char		 message[256];
	char		 text[256];
	uint32_t	 tokens[16];
	size_t		 n_tokens;
	bool		 abandons;	/* at the first output */
	struct request	*victim;	/* cancelled when it is queued */
};

/* With a struct client as their arg. */
extern const struct request_events client_events;

/* The prompt is "Once", the seed 7; model may be NULL. */
void	 submit(struct client *c, enum request_kind kind, const char *model);

/* ---- an operator ---- */

/* Connected to the admin socket. */
int	 admin_connect(void);
/* What has come on fd; good until the next call. */
char	*heard(int fd);
/* Send a line, and what comes. */
char	*ask(int fd, const char *line);

#endif
