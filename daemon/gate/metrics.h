/* SPDX-License-Identifier: MIT */
#ifndef BM_GATE_METRICS_H
#define BM_GATE_METRICS_H

#include "gate/gate.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Append everything for GET /metrics. */
void	 metrics_write(struct gate *g, struct buf *out);

#endif
