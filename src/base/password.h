/* SPDX-License-Identifier: BSD-2-Clause */
/* Passwords and what crypt(3) makes of them. */
#ifndef BASE_PASSWORD_H
#define BASE_PASSWORD_H

#include <stdbool.h>

enum {
    PASSWORD_MAX = 511,         /* bytes: what crypt(3) takes */
    PASSWORD_HASH_MAX = 383     /* bytes of a hash */
};

/* Why passwords cannot be held against this hash here; NULL: they can. */
const char *password_fault(const char *hash);

/* Is it the password of this hash?  Takes as long as the hash wants: milliseconds to seconds.  What was made of the
 * password is wiped.  False when memory is out. */
bool password_matches(const char *password, const char *hash);

#endif
