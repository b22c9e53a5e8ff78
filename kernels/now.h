/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_NOW_H
#define BM_KERNELS_NOW_H

/* What this thread computes, for the record of a crash: a constant string,
 * "" between two pieces of work. */
extern _Thread_local const char *kern_now;

#endif
