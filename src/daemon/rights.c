/* SPDX-License-Identifier: BSD-2-Clause */
/* SCM_RIGHTS (unix(7)), one descriptor at a time. */
#include "daemon/rights.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void rights_attach(struct msghdr *h, union rights *r, int fd)
{
    struct cmsghdr *c;

    memset(r, 0, sizeof *r);
    h->msg_control = r->bytes;
    h->msg_controllen = sizeof r->bytes;
    c = CMSG_FIRSTHDR(h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
}

/* Alignment leaves room for a second one, which is closed; the kernel closes any more and marks the message as cut. */
int rights_detach(struct msghdr *h)
{
    int fd = -1, came;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; CMSG_LEN(at + sizeof came) <= c->cmsg_len; at += sizeof came) {
            memcpy(&came, CMSG_DATA(c) + at, sizeof came);
            if (fd != -1)
                close(fd);
            fd = came;
        }
    }
    return fd;
}

bool rights_have_place(int end)
{
    int probe = fcntl(end, F_DUPFD_CLOEXEC, 0);

    if (probe != -1)
        close(probe);
    return probe != -1;
}

void rights_save(struct rights_spares *s, int end)
{
    int spare;

    while (s->count < RIGHTS_SPARES && (spare = fcntl(end, F_DUPFD_CLOEXEC, 0)) != -1)
        s->v[s->count++] = spare;
}

bool rights_spend(struct rights_spares *s)
{
    if (s->count == 0)
        return false;
    close(s->v[--s->count]);
    return true;
}
