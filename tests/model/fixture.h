/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_MODEL_FIXTURE_H
#define BM_TESTS_MODEL_FIXTURE_H

/* Files the model tests read.  Everything here fails the test on error. */

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "model/gguf.h"
#include "model/model.h"

/* The path of a file of the golden data; skips the test when it is absent. */
const char	*shared_path(const char *name, char *to, size_t size);
/* The path of a file of the source tree. */
const char	*source_path(const char *name, char *to, size_t size);
struct gguf	*open_gguf(const char *path);
/* The model that is shipped, and the kernels to run it. */
struct model	*open_tale_model(void);
/* U+0000 in strings is allowed. */
json_t		*open_json(const char *path);
struct slice	 json_slice(const json_t *string);

#endif
