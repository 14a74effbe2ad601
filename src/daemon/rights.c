/* SPDX-License-Identifier: BSD-2-Clause */
/* SCM_RIGHTS (unix(7)), one descriptor at a time. */
#include "daemon/rights.h"

#include <errno.h>
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

int rights_detach(struct msghdr *h)
{
    int fd = -1, came;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; CMSG_LEN(at + sizeof came) <= c->cmsg_len; at += sizeof came) {
            memcpy(&came, CMSG_DATA(c) + at, sizeof came);
            if (fd != -1) {
                h->msg_flags |= MSG_CTRUNC;
                rights_close(fd);
            }
            fd = came;
        }
    }
    return fd;
}

void rights_close(int fd)
{
    static const struct linger off = { .l_onoff = 0 };
    int kept = errno;

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);      /* what is no socket does not linger */
    close(fd);
    errno = kept;
}

bool rights_is_stream(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
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
