/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities by the system calls themselves: two words of bits need no library. */
#include "daemon/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAPS_WORDS = _LINUX_CAPABILITY_U32S_3, CAPS_END = 32 * CAPS_WORDS };

/* The three sets of a process, as capget(2) has them. */
struct caps { struct __user_cap_data_struct v[CAPS_WORDS]; };

static struct __user_cap_header_struct caps_header(void)
{
    return (struct __user_cap_header_struct){ .version = _LINUX_CAPABILITY_VERSION_3 };
}

static int caps_get(struct caps *c)
{
    struct __user_cap_header_struct header = caps_header();

    return (int)syscall(SYS_capget, &header, c->v);
}

static int caps_set(const struct caps *c)
{
    struct __user_cap_header_struct header = caps_header();

    return (int)syscall(SYS_capset, &header, c->v);
}

static uint64_t bit_of(unsigned capability)
{
    return UINT64_C(1) << capability;
}

/* Takes all but `kept` from what this process, or what it executes, could ever have.  The kernel says of the first
 * that it does not know that it does not. */
static int bound_by(uint64_t kept)
{
    for (unsigned i = 0; i < CAPS_END; i++) {
        int has = prctl(PR_CAPBSET_READ, i, 0, 0, 0);

        if (has == -1)
            return 0;
        if (has == 1 && (kept & bit_of(i)) == 0 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == -1)
            return -1;
    }
    return 0;
}

static int limit_to(uint64_t kept)
{
    struct caps c = { 0 };

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);   /* before Linux 4.3 there are none */
    if (caps_get(&c) == -1)
        return -1;
    for (unsigned i = 0; i < CAPS_WORDS; i++) {
        uint32_t word = (uint32_t)(kept >> (32 * i));

        c.v[i].effective &= word;
        c.v[i].permitted &= word;
        c.v[i].inheritable = 0;
    }
    return caps_set(&c);
}

static bool may_bound(void)
{
    struct caps c = { 0 };

    return caps_get(&c) == 0 && (c.v[0].effective & bit_of(CAP_SETPCAP)) != 0;
}

/* Ports below 1024; becoming the workers' user, and telling its processes to end; log files, Unix sockets and
 * configuration in folders that are not root's; taking the rest from the workers. */
static uint64_t caps_of_master(void)
{
    return bit_of(CAP_NET_BIND_SERVICE) | bit_of(CAP_SETUID) | bit_of(CAP_SETGID) | bit_of(CAP_KILL) |
           bit_of(CAP_DAC_OVERRIDE) | bit_of(CAP_DAC_READ_SEARCH) | bit_of(CAP_CHOWN) | bit_of(CAP_FOWNER) |
           bit_of(CAP_SETPCAP);
}

int caps_keep_master(void)
{
    if (!may_bound())
        return 0;
    return bound_by(caps_of_master()) == -1 ? -1 : limit_to(caps_of_master());
}

int caps_bound(void)
{
    return may_bound() ? bound_by(0) : 0;
}

int caps_drop(void)
{
    struct caps c = { 0 };

    if (limit_to(0) == -1 || caps_get(&c) == -1)
        return -1;
    for (unsigned i = 0; i < CAPS_WORDS; i++) {
        if ((c.v[i].effective | c.v[i].permitted | c.v[i].inheritable) != 0) {
            errno = EPERM;
            return -1;
        }
    }
    return 0;
}
