/* SPDX-License-Identifier: MIT */
/*
 * checkkern: every kernel of every level this machine has, against ref and
 * against double precision, on hostile inputs.
 *
 *	checkkern [--list] [--kernel=GLOB] [--cpu=LEVEL] [--seed=N] [--quick]
 *	    [--bench] [--threads=N] [--verbose]
 *
 * A pointer that a level shares with a level below is not checked again.  A
 * failure names kernel, seed and input; --seed repeats it.  --quick tries fewer
 * inputs, for emulators.
 */
#include "config.h"

#include "check.h"

#include <fnmatch.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kernels/pack.h"

static struct options {
	const char	*pattern, *cpu;
	uint64_t	 seed;
	bool		 list, quick, bench, verbose;
} opt = { "*", NULL, 1, false, false, false, false };

static struct kern_table ref;
/* What levels below have, for telling new pointers from old. */
static struct kern_table seen;
static const char *level;
static int n_tests, n_failed;

static sigjmp_buf back;

static void
on_signal(int sig)
{
	siglongjmp(back, sig);
}

static void
catch_signals(void)
{
	static const int signals[] = { SIGILL, SIGSEGV, SIGBUS, SIGFPE };
	struct sigaction sa = { .sa_handler = on_signal };
	size_t i;

	sigemptyset(&sa.sa_mask);
	for (i = 0; i < N_ELEMENTS(signals); i++)
		sigaction(signals[i], &sa, NULL);
}

static bool
is_wanted(const char *name)
{
	return fnmatch(opt.pattern, name, 0) == 0;
}

static void
report(struct check *c, const char *name, int sig)
{
	bool ok = sig == 0 && c->why[0] == '\0';

	printf("%s %d - %s %s\n", ok ? "ok" : "not ok", ++n_tests, level,
	    name);
	if (opt.verbose && ok)
		printf("# last input: %s\n", c->what);
	if (ok)
		return;
	n_failed++;
	printf("# %s, seed %llu, %s: %s\n", name,
	    (unsigned long long)opt.seed, c->what,
	    sig != 0 ? strsignal(sig) : c->why);
}

/* One kernel: fn for those of their own, fn_type for those of a type. */
static void
run_check(const char *name, bool (*fn)(struct check *),
    bool (*fn_type)(struct check *, enum tensor_type), enum tensor_type t)
{
	static struct check c;
	volatile int sig;

	if (!is_wanted(name))
		return;
	if (opt.list) {
		printf("%s %s\n", level, name);
		return;
	}
	memset(&c, 0, sizeof(c));
	c.ref = &ref;
	c.now = kern;
	c.seed = opt.seed;
	c.is_quick = opt.quick;
	sig = sigsetjmp(back, 1);
	if (sig == 0) {
		bool ok = fn != NULL ? fn(&c) : fn_type(&c, t);

		if (!ok && c.why[0] == '\0')
			fail(&c, "failed");
	}
	report(&c, name, sig);
	fflush(stdout);
}

static void
check_types(void)
{
	char name[64];
	uint32_t i;

	for (i = 0; i < TYPE_LIMIT; i++) {
		enum tensor_type t = (enum tensor_type)i;

		if (type_info(i) == NULL)
			continue;
		snprintf(name, sizeof(name), "dot %s", type_info(i)->name);
		if (kern->dot[i] != seen.dot[i])
			run_check(name, NULL, check_dot, t);
		snprintf(name, sizeof(name), "unpack %s", type_info(i)->name);
		if (kern->unpack[i] != seen.unpack[i])
			run_check(name, NULL, check_unpack, t);
		snprintf(name, sizeof(name), "panel %s", type_info(i)->name);
		if (pack_has(t, 256) && kern->panel[i] != seen.panel[i])
			run_check(name, NULL, check_panel, t);
		snprintf(name, sizeof(name), "matmul %s", type_info(i)->name);
		run_check(name, NULL, check_matmul_type, t);
	}
}

static void
check_rows(void)
{
#define K(name, ret, args, what)					\
	if (kern->name != seen.name)					\
		run_check(#name, check_##name, NULL, TYPE_F32);
#include "kernels/kernels.def"
#undef K
}

static void
check_level(void)
{
	bool wanted = opt.cpu == NULL || strcmp(opt.cpu, level) == 0;
	struct cause cause;

	if (kern_init_level(level, &cause) != 0) {
		if (!opt.list && wanted)
			printf("ok %d - %s # SKIP %s\n", ++n_tests, level,
			    cause.text);
		return;
	}
	if (!wanted) {
		seen = *kern;
		return;
	}
	if (opt.bench) {
		bench_level(level, opt.pattern);
		return;
	}
	check_types();
	check_rows();
	run_check("matmul_many", check_matmul_many, NULL, TYPE_F32);
#ifdef HAVE_OPENBLAS
	run_check("matmul_blas", check_matmul_blas, NULL, TYPE_F32);
#endif
	seen = *kern;
}

static int
usage(void)
{
	fprintf(stderr, "usage: checkkern [--list] [--kernel=GLOB] "
	    "[--cpu=LEVEL] [--seed=N] [--quick] [--bench] [--threads=N] "
	    "[--verbose]\n");
	return 2;
}

static int
parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "list", no_argument, NULL, 'l' },
		{ "kernel", required_argument, NULL, 'k' },
		{ "cpu", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 's' },
		{ "quick", no_argument, NULL, 'q' },
		{ "bench", no_argument, NULL, 'b' },
		{ "threads", required_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 }
	};
	int ch;

	while ((ch = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (ch) {
		case 'l': opt.list = true; break;
		case 'k': opt.pattern = optarg; break;
		case 'c': opt.cpu = optarg; break;
		case 'q': opt.quick = true; break;
		case 'b': opt.bench = true; break;
		case 'v': opt.verbose = true; break;
		case 't':
			bench_threads = (int)strtol(optarg, NULL, 10);
			if (bench_threads >= 1)
				break;
			return usage();
		case 's':
			if (str_to_u64(optarg, &opt.seed) == 0)
				break;
			/* FALLTHROUGH */
		default:
			return usage();
		}
	}
	return optind == argc ? 0 : usage();
}

int
main(int argc, char **argv)
{
	struct cause cause;
	size_t i;
	int rc = parse(argc, argv);

	if (rc != 0)
		return rc;
	if (kern_init_level("ref", &cause) != 0) {
		printf("Bail out! %s\n", cause.text);
		return 1;
	}
	ref = *kern;
	catch_signals();
	for (i = 0; (level = kern_level_name(i)) != NULL; i++)
		check_level();
	if (!opt.list)
		printf("1..%d\n", n_tests);
	return n_failed != 0;
}
