/* SPDX-License-Identifier: MIT */
/*
 * Sums saturate: a size that a file or an operator made up must not become a
 * small number.
 */
#include "config.h"

#include "master/account.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"

/* Of what is granted, one part in so many is kept back. */
#define RESERVE_SHARE	32

#define SIZE_TEXT	24

static uint64_t
plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t
times(uint64_t a, size_t n)
{
	return n != 0 && a > UINT64_MAX / n ? UINT64_MAX : a * n;
}

uint64_t
account_limit(uint64_t configured, uint64_t granted, uint64_t free_bytes,
    uint64_t ours)
{
	uint64_t most = MEM_MIN(granted, plus(free_bytes, ours));

	most -= MEM_MIN(granted / RESERVE_SHARE, most);
	return configured == 0 ? most : MEM_MIN(configured, most);
}

uint64_t
account_worker_bytes(const struct account_cost *c)
{
	return plus(plus(c->own_bytes, c->kv_bytes), c->scratch_bytes);
}

uint64_t
account_left(const struct account *a)
{
	return a->limit_bytes - MEM_MIN(a->limit_bytes, a->committed_bytes);
}

uint64_t
account_need(const struct account_cost *c, size_t n_now, size_t n_more)
{
	if (n_more == 0)
		return 0;
	return plus(n_now == 0 ? c->weights_bytes : 0,
	    times(account_worker_bytes(c), n_more));
}

size_t
account_room(const struct account *a, const struct account_cost *c,
    size_t n_now, size_t most)
{
	uint64_t left = account_left(a), each = account_worker_bytes(c);
	uint64_t first = n_now == 0 ? c->weights_bytes : 0;

	if (first > left)
		return 0;
	return each == 0 ? most : (size_t)MEM_MIN((left - first) / each,
	    (uint64_t)most);
}

static int
by_use(const void *a, const void *b)
{
	const struct account_idle *x = a, *y = b;

	return (x->used_ns > y->used_ns) - (x->used_ns < y->used_ns);
}

size_t
account_evict(struct account_idle *v, size_t n, uint64_t bytes)
{
	uint64_t sum = 0;

	if (n > 0)
		qsort(v, n, sizeof(*v), by_use);
	for (size_t i = 0; i < n; i++) {
		if (sum >= bytes)
			return i;
		sum = plus(sum, v[i].bytes);
	}
	return sum >= bytes ? n : n + 1;
}

/* ", " and "WHAT SIZE" unless it is nothing. */
static size_t
add_part(char *to, size_t size, size_t at, const char *what, uint64_t bytes)
{
	char text[SIZE_TEXT];
	int n;

	if (bytes == 0)
		return at;
	n = snprintf(to + at, size - at, "%s%s %s", at > 0 ? ", " : "", what,
	    str_from_bytes(text, sizeof(text), bytes));
	return n < 0 || (size_t)n >= size - at ? at : at + (size_t)n;
}

int
account_check(const struct account *a, const char *model,
    const struct account_cost *c, size_t n_now, size_t n_more,
    struct cause *cause)
{
	char need[SIZE_TEXT], left[SIZE_TEXT], limit[SIZE_TEXT];
	char parts[4 * (SIZE_TEXT + 24)] = "", who[48];
	uint64_t bytes = account_need(c, n_now, n_more);
	size_t at;

	if (bytes <= account_left(a))
		return 0;
	at = add_part(parts, sizeof(parts), 0, "weights",
	    plus(n_now == 0 ? c->weights_bytes : 0,
	    times(c->own_bytes, n_more)));
	at = add_part(parts, sizeof(parts), at, "keys and values",
	    times(c->kv_bytes, n_more));
	(void)add_part(parts, sizeof(parts), at, "scratch",
	    times(c->scratch_bytes, n_more));
	snprintf(who, sizeof(who), n_more == 1 ? "%zu%s worker" :
	    "%zu%s workers", n_more, n_now > 0 ? " more" : "");
	return cause_set(cause, BM_ENOMEM, "%s of %s need%s%s %s (%s); %s "
	    "are left of %s", who, model, n_more == 1 ? "s" : "",
	    c->is_known ? "" : " at least",
	    str_from_bytes(need, sizeof(need), bytes), parts,
	    str_from_bytes(left, sizeof(left), account_left(a)),
	    str_from_bytes(limit, sizeof(limit), a->limit_bytes));
}
