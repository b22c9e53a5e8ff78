/* SPDX-License-Identifier: MIT */
#ifndef BM_WIRE_CONF_H
#define BM_WIRE_CONF_H

/*
 * The typed configuration.  The master parses the file (master/conf_parse.c),
 * the children get the whole of it in message CONF.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef char		*conf_c_str;
typedef char		*conf_c_word;
typedef uint64_t	 conf_c_u64;
typedef uint64_t	 conf_c_bytes;
typedef uint64_t	 conf_c_ms;
typedef double		 conf_c_f64;
typedef bool		 conf_c_bool;

#define K(section, key, type, def, min, max, what)
#define KM(key, type, def, min, max, what) conf_c_##type key;
#define KT(key, type, def, min, max, what)
struct conf_model {
	char	*name;
	unsigned line;		/* of `path` in the file; 0: not from there */
#include "wire/conf.def"
};
#undef KM
#undef KT
#define KM(key, type, def, min, max, what)
#define KT(key, type, def, min, max, what) conf_c_##type key;
struct conf_tenant {
	char	*name;
#include "wire/conf.def"
};
#undef K
#undef KT
#define K(section, key, type, def, min, max, what) \
	conf_c_##type section##_##key;
#define KT(key, type, def, min, max, what)
/* conf->listen_http, conf->limits_queue... */
struct conf {
	char			*state_dir;
	struct conf_model	*models;
	size_t			 n_models;
	struct conf_tenant	*tenants;
	size_t			 n_tenants;
#include "wire/conf.def"
};
#undef K
#undef KM
#undef KT

enum conf_type { CONF_STR, CONF_WORD, CONF_U64, CONF_BYTES, CONF_MS, CONF_F64,
    CONF_BOOL };
enum conf_section_kind { CONF_ONE, CONF_MODEL, CONF_TENANT };

/* A row of conf.def, for the parser, show config and the tests. */
struct conf_key {
	enum conf_section_kind	 kind;
	const char		*section;	/* "listen", "model"... */
	const char		*key;
	enum conf_type		 type;
	const char		*def;
	double			 min, max;
	const char		*what;
	size_t			 offset;	/* in the struct of its kind */
};
extern const struct conf_key	 conf_keys[];
extern const size_t		 conf_n_keys;

/* All defaults, no models, no tenants. */
void	 conf_init(struct conf *c);
void	 conf_fini(struct conf *c);
/* Append one with defaults; name is copied.  The pointer is good until the
 * next one is added. */
struct conf_model	*conf_add_model(struct conf *c, const char *name);
struct conf_tenant	*conf_add_tenant(struct conf *c, const char *name);
const struct conf_model	*conf_find_model(const struct conf *c,
			    const char *name);
/* A copy that stands for itself, and the end of one. */
void	 conf_model_copy(struct conf_model *to, const struct conf_model *from);
void	 conf_model_fini(struct conf_model *m);
/* Set one key of the struct at base (conf, conf_model or conf_tenant) from
 * text in the file's form; the cause names key and limits. */
int	 conf_set(void *base, const struct conf_key *k, const char *text,
	    struct cause *cause) BM_MUST_CHECK;
/* The value as text in the file's form. */
void	 conf_get_text(const void *base, const struct conf_key *k,
	    struct buf *out);

/* For message CONF. */
void	 conf_put(struct buf *b, const struct conf *c);
int	 conf_get(struct cur c, struct conf *out, struct cause *cause)
	    BM_MUST_CHECK;

#endif
