/* SPDX-License-Identifier: BSD-2-Clause */
/* A program for the kernel that chooses among sockets that share an address.
 *
 * Sockets stand in the order in which they began to listen, and a new one comes last.  So "one of the first so many" are
 * those that were there before; nobody has to know which number has which.  (When one is closed the last takes its place:
 * the order is only sure as long as those in front are kept.)
 *
 * The program is as old as the kernel's first filters (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5), which anybody may give to a
 * socket of his own.  It belongs to the address, not to a process: whoever dies leaves it behind. */
#include "daemon/listen_steer.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>

enum {
    IP_VERSION_SHIFT = 4,
    IP_SOURCE = 12,             /* in the header of IPv4 (RFC 791) ... */
    IP_PORTS = 20,              /* ... and what follows it, if it has no options; with some it is another number, the same
                                 * for all packets of a flow */
    IP6_SOURCE_END = 20,        /* the last 4 bytes of the address in that of IPv6 (RFC 8200) */
    IP6_PORTS = 40
};

static const unsigned MIX = 2654435761u;        /* 2^32 by the golden ratio: Knuth's multiplicative hash */

/* By address and port of the client, so that the datagrams of one go to one socket. */
int listen_steer(int fd, unsigned count)
{
    const unsigned head = (unsigned)SKF_NET_OFF;
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, head),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, IP_VERSION_SHIFT),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 4, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, head + IP_SOURCE),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, head + IP_PORTS),
        BPF_JUMP(BPF_JMP | BPF_JA, 3, 0, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, head + IP6_SOURCE_END),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, head + IP6_PORTS),
        BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, MIX),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),        /* the upper half depends on all bits of the ports */
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
        BPF_STMT(BPF_RET | BPF_A, 0)
    };
    struct sock_fprog program;

    if (count == 0) {
        errno = EINVAL;
        return -1;
    }
    memset(&program, 0, sizeof program);        /* there is a hole in it, which the kernel is given too */
    program.len = sizeof steps / sizeof *steps;
    program.filter = steps;
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

/* Before Linux 5.3 nothing takes a program away, but another one takes its place. */
void listen_steer_to_all(int fd, unsigned count)
{
    const int nothing = 0;

    if (setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &nothing, sizeof nothing) == -1 && errno == ENOPROTOOPT)
        (void)listen_steer(fd, count);
}
