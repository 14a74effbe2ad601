/* SPDX-License-Identifier: BSD-2-Clause */
/* Credentials that were found right a short while ago, so that not every request costs a crypt(3).  Keeps hashes with a
 * secret key of the process, never a password.  Shared by all threads of a worker. */
#ifndef CORE_VERIFIED_H
#define CORE_VERIFIED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct verified;

enum { VERIFIED_MS = 5 * 60 * 1000 };       /* after so long they are checked again */

/* What stands for credentials. */
struct verified_mark {
    uint64_t hash[2];
};

/* NULL with ENOMEM. */
struct verified *verified_new(void);
void verified_free(struct verified *v);

/* The mark of the bytes: whose credentials they are, for what, and by which hash they were found right. */
struct verified_mark verified_mark_of(const struct verified *v, struct span bytes);

bool verified_knows(struct verified *v, struct verified_mark mark, uint64_t now_ms);
void verified_add(struct verified *v, struct verified_mark mark, uint64_t now_ms);

#endif
