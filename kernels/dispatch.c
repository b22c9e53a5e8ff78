/* SPDX-License-Identifier: MIT */
/*
 * Which kernels run.  The table is filled from ref, then each level up to the
 * chosen one overlays the entries it has, in ascending order; so an entry is
 * never empty and never from above the level.  The table changes only inside
 * kern_init*, before any thread computes.
 */
#include "config.h"

#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/cpu.h"
#include "kernels/ref/ref.h"
#ifdef KERNELS_ARM
#include "kernels/arm/arm.h"
#else
#define neon_overlay NULL
#define dotprod_overlay NULL
#define i8mm_overlay NULL
#endif
#ifdef KERNELS_AVX2
#include "kernels/x86/avx2.h"
#else
#define avx2_overlay NULL
#endif
#ifdef KERNELS_AVXVNNI
#include "kernels/x86/avxvnni.h"
#else
#define avxvnni_overlay NULL
#endif
#ifdef KERNELS_AVX512
#include "kernels/x86/avx512.h"
#else
#define avx512_overlay NULL
#endif

struct level {
	const char	*name;
	unsigned	 needs;		/* cpu flags */
	void		(*overlay)(struct kern_table *); /* NULL: not built */
};

static const struct level levels[] = {
	{ "ref", 0, ref_table },
	{ "avx2", CPU_AVX2, avx2_overlay },
	{ "avxvnni", CPU_AVX2 | CPU_AVX_VNNI, avxvnni_overlay },
	{ "avx512", CPU_AVX2 | CPU_AVX512, avx512_overlay },
	{ "neon", CPU_NEON, neon_overlay },
	{ "dotprod", CPU_NEON | CPU_DOTPROD, dotprod_overlay },
	{ "i8mm", CPU_NEON | CPU_DOTPROD | CPU_I8MM, i8mm_overlay },
};

/* Every entry of the table, by name and place. */
static const struct entry {
	const char	*name;
	size_t		 offset;
} entries[] = {
#define T(sym, id, name, n, bytes, act) \
	{ "dot " name, offsetof(struct kern_table, dot[sym]) }, \
	{ "unpack " name, offsetof(struct kern_table, unpack[sym]) }, \
	{ "panel " name, offsetof(struct kern_table, panel[sym]) },
#include "kernels/types.def"
#undef T
#define K(name, ret, args, what) { #name, offsetof(struct kern_table, name) },
#include "kernels/kernels.def"
#undef K
};

static struct kern_table table;
static const struct level *from[N_ELEMENTS(entries)];
static const struct level *current;

const struct kern_table *kern;

static int
usable(const struct level *l)
{
	return l->overlay != NULL && (cpu_flags() & l->needs) == l->needs;
}

static void
overlay(const struct level *l)
{
	struct kern_table before = table;
	size_t i;

	l->overlay(&table);
	for (i = 0; i < N_ELEMENTS(entries); i++)
		if (memcmp((const char *)&before + entries[i].offset,
		    (const char *)&table + entries[i].offset,
		    sizeof(kern_dot_fn)) != 0)
			from[i] = l;
}

static void
choose(const struct level *top)
{
	const struct level *l;

	memset(&table, 0, sizeof(table));
	for (l = levels; l <= top; l++)
		if (usable(l))
			overlay(l);
	current = top;
	kern = &table;
}

int
kern_init_level(const char *level, struct cause *cause)
{
	size_t i;

	for (i = 0; i < N_ELEMENTS(levels); i++) {
		if (strcmp(levels[i].name, level) != 0)
			continue;
		if (levels[i].overlay == NULL)
			return cause_set(cause, BM_EUNSUP,
			    "kernels for \"%s\" are not built in", level);
		if (!usable(&levels[i]))
			return cause_set(cause, BM_EUNSUP,
			    "this CPU or system lacks \"%s\"", level);
		choose(&levels[i]);
		return 0;
	}
	return cause_set(cause, BM_EUNSUP, "no kernel level \"%s\"", level);
}

int
kern_init(struct cause *cause)
{
	const char *wanted = getenv("BIGMODEL_CPU");
	size_t i;

	if (wanted != NULL && *wanted != '\0') {
		if (kern_init_level(wanted, cause) != 0)
			return cause_prefix(cause, "BIGMODEL_CPU");
		return 0;
	}
	for (i = N_ELEMENTS(levels); i-- > 0;)
		if (usable(&levels[i])) {
			choose(&levels[i]);
			break;
		}
	return 0;
}

const char *
kern_level(void)
{
	return current == NULL ? "none" : current->name;
}

const char *
kern_level_name(size_t i)
{
	return i < N_ELEMENTS(levels) ? levels[i].name : NULL;
}

const char *
kern_describe(size_t i, const char **name)
{
	if (i >= N_ELEMENTS(entries) || from[i] == NULL)
		return NULL;
	*name = entries[i].name;
	return from[i]->name;
}
