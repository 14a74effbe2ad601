/* SPDX-License-Identifier: BSD-2-Clause */
/* The two clocks: one that only goes forward, one that people read. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since some start, never backwards; its step may be a kernel tick (clock_gettime(2),
 * CLOCK_MONOTONIC_COARSE where there is one).  Costs no system call. */
uint64_t clock_monotonic_ms(void);

/* Microseconds since the same start, exact (CLOCK_MONOTONIC). */
uint64_t clock_monotonic_us(void);

/* Seconds since the Epoch, the wall clock. */
time_t clock_wall_s(void);

/* The same in milliseconds, behind by a kernel tick at most. */
uint64_t clock_wall_ms(void);

#endif
