/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/compress_args.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "master/conf_parse.h"

#define TEMP_BEGIN	"."
#define TEMP_END	".gguf.tmp"

static int
usage(struct cause *cause)
{
	return cause_set(cause, BM_EUSAGE, "usage: compress NAME --to TYPE "
	    "[--from VARIANT] [--as VARIANT] [--force], or compress NAME "
	    "--cancel");
}

/* Without --as the variant has the type's name. */
static int
set_name(struct compress_args *a, const char *as, struct cause *cause)
{
	char shown[80];

	str_copy(a->as, as != NULL ? as : a->to, sizeof(a->as));
	for (char *p = a->as; as == NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	if (!conf_name_is_valid(a->as) || a->as[0] == '.')
		return cause_set(cause, BM_EUSAGE, as != NULL ?
		    "a variant's name is 1 to 64 of the characters A-Z a-z "
		    "0-9 . _ : -, not a dot first: not \"%s\"" :
		    "no tensor type \"%s\"", str_vis(shown, sizeof(shown),
		    a->as, strlen(a->as)));
	if (strcmp(a->as, "base") == 0)
		return cause_set(cause, BM_EUSAGE, "base is the file that was "
		    "configured or loaded: name the variant otherwise");
	return 0;
}

int
compress_args_parse(struct compress_args *out, const char *const *words,
    size_t n, struct cause *cause)
{
	struct compress_args a = { 0 };
	const char *as = NULL;
	int r;

	for (size_t i = 0; i < n; i++) {
		const char **value = strcmp(words[i], "--to") == 0 ? &a.to :
		    strcmp(words[i], "--from") == 0 ? &a.from :
		    strcmp(words[i], "--as") == 0 ? &as : NULL;

		if (value != NULL && i + 1 < n)
			*value = words[++i];
		else if (strcmp(words[i], "--force") == 0)
			a.is_forced = true;
		else if (strcmp(words[i], "--cancel") == 0)
			a.is_cancel = true;
		else
			return usage(cause);
	}
	if (a.is_cancel ? n != 1 : a.to == NULL)
		return usage(cause);
	if (!a.is_cancel && (r = set_name(&a, as, cause)) != 0)
		return r;
	*out = a;
	return 0;
}

void
compress_temp_name(char out[NAME_MAX + 1], const char *variant)
{
	snprintf(out, NAME_MAX + 1, "%s%.64s%s", TEMP_BEGIN, variant,
	    TEMP_END);
}

bool
compress_is_temp_name(const char *file)
{
	size_t n = strlen(file), end = sizeof(TEMP_END) - 1;

	return n > end + 1 && file[0] == TEMP_BEGIN[0] &&
	    strcmp(file + n - end, TEMP_END) == 0;
}
