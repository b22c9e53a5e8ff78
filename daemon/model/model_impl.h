/* SPDX-License-Identifier: MIT */
#ifndef BM_MODEL_MODEL_IMPL_H
#define BM_MODEL_MODEL_IMPL_H

/* What model.c and the forward passes share; nobody else includes this. */

#include "model/hparams.h"
#include "model/model.h"
#include "model/rope.h"
#include "model/weights.h"
#include "model/weights_map.h"

struct model {
	struct gguf	*gguf;
	struct tokenizer *tokenizer;	/* NULL: a kind we can't do */
	struct hparams	 h;
	struct weights	 w;
	struct weights_map packed;
	struct rope	 rope;
	struct model_desc desc;
};

#endif
