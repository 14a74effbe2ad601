/* SPDX-License-Identifier: BSD-2-Clause */
/* A build without libseccomp: no filter. */
#include "daemon/filter.h"

#include <errno.h>
#include <stdio.h>

bool filter_available(char *why, size_t why_size)
{
    snprintf(why, why_size, "not in this build");
    return false;
}

int filter_enter(const struct filter_wants *w)
{
    (void)w;
    errno = ENOTSUP;
    return -1;
}
