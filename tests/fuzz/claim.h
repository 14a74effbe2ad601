/* SPDX-License-Identifier: BSD-2-Clause */
/* What fuzz targets share: a claim that must hold for every input, and inputs that begin with numbers. */
#ifndef TESTS_CLAIM_H
#define TESTS_CLAIM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(condition)                                            \
    do {                                                            \
        if (!(condition)) {                                         \
            fprintf(stderr, "not so: %s\n", #condition);            \
            abort();                                                \
        }                                                           \
    } while (0)

/* A copy that ends where the bytes end, so that a sanitizer sees who reads behind them.  The caller frees it. */
static inline char *copy_of(struct span s)
{
    char *copy = malloc(s.n > 0 ? s.n : 1);
    CLAIM(copy != NULL);
    if (s.n > 0)
        memcpy(copy, s.p, s.n);
    return copy;
}

#endif
