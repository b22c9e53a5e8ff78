/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "base/map.h"

#include <stdlib.h>

#include "base/mem.h"

#define MAP_FIRST 32

static size_t
home_of(const struct map *m, uint64_t key)
{
	/* The finaliser of splitmix64: neighbours spread over all bits. */
	key ^= key >> 30;
	key *= UINT64_C(0xbf58476d1ce4e5b9);
	key ^= key >> 27;
	key *= UINT64_C(0x94d049bb133111eb);
	key ^= key >> 31;
	return (size_t)key & (m->n_slots - 1);
}

/* The slot that holds key, or the free one where it belongs. */
static struct map_slot *
find(const struct map *m, uint64_t key)
{
	size_t i = home_of(m, key);

	while (m->slots[i].key != 0 && m->slots[i].key != key)
		i = (i + 1) & (m->n_slots - 1);
	return &m->slots[i];
}

static void
grow(struct map *m)
{
	struct map bigger = { .n_slots = m->n_slots ? m->n_slots * 2 :
	    MAP_FIRST, .n = m->n };

	bigger.slots = xcalloc(bigger.n_slots, sizeof(*bigger.slots));
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->slots[i].key != 0)
			*find(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
}

void
map_init(struct map *m)
{
	*m = (struct map){ 0 };
}

void
map_fini(struct map *m)
{
	free(m->slots);
	map_init(m);
}

void
map_set(struct map *m, uint64_t key, void *value)
{
	struct map_slot *s;

	if (m->n * 4 >= m->n_slots * 3)
		grow(m);
	s = find(m, key);
	if (s->key == 0)
		m->n++;
	*s = (struct map_slot){ .key = key, .value = value };
}

void *
map_get(const struct map *m, uint64_t key)
{
	return m->n > 0 ? find(m, key)->value : NULL;
}

void *
map_remove(struct map *m, uint64_t key)
{
	size_t hole, i, mask = m->n_slots - 1;
	struct map_slot *s;
	void *value;

	if (m->n == 0 || (s = find(m, key))->key == 0)
		return NULL;
	value = s->value;
	hole = (size_t)(s - m->slots);
	/* Move back what would no longer be found behind the hole. */
	for (i = (hole + 1) & mask; m->slots[i].key != 0; i = (i + 1) & mask) {
		size_t home = home_of(m, m->slots[i].key);

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct map_slot){ 0 };
	m->n--;
	return value;
}

void *
map_next(const struct map *m, size_t *at)
{
	while (*at < m->n_slots) {
		struct map_slot *s = &m->slots[(*at)++];

		if (s->key != 0)
			return s->value;
	}
	return NULL;
}
