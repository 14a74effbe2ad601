/* SPDX-License-Identifier: BSD-2-Clause */
/* What ps(1) shows of a process, by libbsd. */
#include "daemon/title.h"

#include <bsd/unistd.h>
#include <unistd.h>

void title_init(int argc, char *argv[])
{
    setproctitle_init(argc, argv, environ);
}

void title_set(const char *role)
{
    setproctitle("-iomuxd: %s", role);      /* '-': without the program's name, which may be another */
}
