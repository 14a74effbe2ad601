/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of texts with variables: the configuration asks whether one can be used here, since it does not know the
 * variables.  Each is a conf_word_check. */
#ifndef DAEMON_WORDS_H
#define DAEMON_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* A form of access lines. */
bool words_check_format(const char *text, char *why, size_t why_size);

/* Where a redirect leads. */
bool words_check_location(const char *text, char *why, size_t why_size);

#endif
