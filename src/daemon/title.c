/* SPDX-License-Identifier: BSD-2-Clause */
/* What ps(1) shows of a process, by libbsd. */
#include "daemon/title.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

void title_init(int argc, char *argv[])
{
    setproctitle_init(argc, argv, environ);
}

/* A title shorter than the path that the program was started by would end in a stray dot, by which libbsd marks the
 * end of the path; with blanks behind it there is no room for one.  '-': without the program's name, which may be
 * another. */
void title_set(const char *role)
{
    int width = (int)strlen(program_invocation_name) - (int)sizeof "iomuxd: ";

    setproctitle("-iomuxd: %-*s", width > 0 ? width + 1 : 0, role);
}
