/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_SHOW_JSON_H
#define BM_GATE_SHOW_JSON_H

/* Fields of the JSON objects that are shown to operators. */

#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "gate/stats.h"

/* Append as a line; the object is gone then. */
void	 show_put(struct buf *out, json_t *o);

/* What is no UTF-8 is shown escaped. */
void	 show_set_slice(json_t *o, const char *key, struct slice s);
void	 show_set_str(json_t *o, const char *key, const char *s);
/* At most max_bytes of a long text, whole characters; null when it is empty. */
void	 show_set_begin(json_t *o, const char *key, struct slice s,
	    size_t max_bytes);
void	 show_set_int(json_t *o, const char *key, uint64_t n);
void	 show_set_bool(json_t *o, const char *key, bool is_true);
/* Three decimals, enough for milliseconds and rates; 0 when not finite. */
void	 show_set_num(json_t *o, const char *key, double x);
/* All digits; null when not finite. */
void	 show_set_known(json_t *o, const char *key, double x);
/* How long ago, in seconds; 0 while there is no process. */
void	 show_set_uptime(json_t *o, uint32_t pid, int64_t started_ms);
/* {"p50":...,"p95":...,"p99":...} in milliseconds. */
void	 show_set_quantiles(json_t *o, const char *key,
	    struct window_hist *w, uint64_t now_ns);

#endif
