/* SPDX-License-Identifier: MIT */
#ifndef BM_TESTS_FUZZ_FUZZ_H
#define BM_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* What every target defines; called with one input at a time, returns 0. */
int	 LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#endif
