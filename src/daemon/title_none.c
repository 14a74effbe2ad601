/* SPDX-License-Identifier: BSD-2-Clause */
/* What ps(1) shows of a process, where libbsd is not there: the command line, unchanged. */
#include "daemon/title.h"

void title_init(int argc, char *argv[])
{
    (void)argc;
    (void)argv;
}

void title_set(const char *role)
{
    (void)role;
}
