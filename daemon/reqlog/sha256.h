/* SPDX-License-Identifier: MIT */
#ifndef BM_REQLOG_SHA256_H
#define BM_REQLOG_SHA256_H

/* SHA-256 (FIPS 180-4), for `log { keep = hash }`. */

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

void	 sha256(const void *p, size_t n, uint8_t digest[SHA256_BYTES]);

#endif
