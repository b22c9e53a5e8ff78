/* SPDX-License-Identifier: MIT */
/*
 * Questions of admin connections to the master, reqlog or a worker.  A ticket
 * is the seq of the exchange; its high bit tells it from a request's.
 */
#include "config.h"

#include "gate/core.h"

#include <stdlib.h>

#include "base/mem.h"

#define TICKET_BIT UINT32_C(0x80000000)

struct ask {
	uint32_t	 ticket;
	const struct chan *chan;
	ask_each_fn	 each;
	ask_end_fn	 end;
	void		*arg;
};

static uint32_t
ask_over(struct gate *g, struct chan *c, enum msg_type type, const void *m,
    ask_each_fn each, ask_end_fn end, void *arg)
{
	struct ask *a;

	if (c == NULL) {
		end(arg, BM_EOVERLOAD, "the process to ask is away just now");
		return 0;
	}
	a = xcalloc(1, sizeof(*a));
	g->last_ticket = (g->last_ticket + 1) | TICKET_BIT;
	*a = (struct ask){ g->last_ticket, c, each, end, arg };
	map_set(&g->asks, a->ticket, a);
	if (chan_send(c, type, a->ticket, 0, m) != 0) {
		map_remove(&g->asks, a->ticket);
		free(a);
		end(arg, BM_ELIMIT, "the question is too long");
		return 0;
	}
	return a->ticket;
}

uint32_t
gate_ask(struct gate *g, enum role whom, enum msg_type type, const void *m,
    ask_each_fn each, ask_end_fn end, void *arg)
{
	return ask_over(g, whom == R_MASTER ? g->master :
	    whom == R_REQLOG ? g->reqlog : NULL, type, m, each, end, arg);
}

uint32_t
gate_ask_worker(struct gate *g, enum msg_type type, const void *m,
    ask_each_fn each, ask_end_fn end, void *arg)
{
	struct gate_worker *w;

	TAILQ_FOREACH(w, &g->workers, entry) {
		if (w->is_ready)
			break;
	}
	return ask_over(g, w != NULL ? w->chan : NULL, type, m, each, end,
	    arg);
}

void
gate_ask_forget(struct gate *g, uint32_t ticket)
{
	free(ticket != 0 ? map_remove(&g->asks, ticket) : NULL);
}

static void
ask_end(struct gate *g, struct ask *a, int code, const char *text)
{
	map_remove(&g->asks, a->ticket);
	a->end(a->arg, code, text);
	free(a);
}

bool
asks_frame(struct gate *g, const struct frame *f)
{
	struct msg_result m;
	struct ask *a;
	char *text;

	if ((f->seq & TICKET_BIT) == 0)
		return false;
	/* A forgotten one's answers are dropped. */
	if ((a = map_get(&g->asks, f->seq)) == NULL)
		return true;
	if (f->type != MSG_RESULT) {
		a->each(a->arg, f->type, f->body);
		return true;
	}
	if (msg_get_result(f->body, &m) != 0) {
		ask_end(g, a, BM_EPROTO, err_text(BM_EPROTO));
		return true;
	}
	text = slice_dup(m.text);
	ask_end(g, a, m.code, text);
	free(text);
	return true;
}

void
asks_lost(struct gate *g, const struct chan *c)
{
	struct ask *a;
	size_t at = 0;

	while ((a = map_next(&g->asks, &at)) != NULL) {
		if (a->chan != c)
			continue;
		ask_end(g, a, BM_EOVERLOAD, "the process asked has ended");
		at = 0;		/* the map has changed */
	}
}
