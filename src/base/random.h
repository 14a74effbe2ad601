/* SPDX-License-Identifier: BSD-2-Clause */
/* What nobody can guess: random bytes of the kernel, and a hash with a secret key. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills the memory with random bytes; waits for none.  Where the kernel has none yet, or no such call, they are made
 * of the clock and of where things lie in memory. */
void random_fill(void *to, size_t n);

/* SipHash-2-4 (Aumasson, Bernstein 2012): without the key nobody can tell what comes out. */
uint64_t random_hash(const uint64_t key[2], const void *bytes, size_t n);

#endif
