/* SPDX-License-Identifier: BSD-2-Clause */
/* A filter of system calls by libseccomp: a list of those that every worker needs, those of its I/O model, one for the
 * logger, and what some may be called with.
 *
 * What is not on a list fails with EPERM instead of ending the process: a call that a newer C library makes and can do
 * without must not cost the connections of a worker.  Names that a machine does not have are passed over.
 * Calls without conditions on their arguments cost next to nothing: the kernel keeps a table of them (Linux 5.11). */
#include "daemon/filter.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const calls_of_workers[] = {
    /* connections and datagrams: sockets that are there; none is made, bound or connected */
    "accept", "accept4", "recv", "recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64", "send", "sendto", "sendmsg",
    "sendmmsg", "sendfile", "sendfile64", "shutdown", "getsockopt", "setsockopt", "getsockname", "getpeername",
    "poll", "ppoll", "ppoll_time64",
    /* ... but pairs, in which connections wait for the next daemon */
    "socketpair",
    /* files beneath the roots, the pipes of signals and helpers, logs */
    "openat", "openat2", "close", "read", "readv", "pread64", "preadv2", "write", "writev", "fstat", "fstat64",
    "newfstatat", "fstatat64", "statx", "fstatfs", "fstatfs64", "getdents64", "lseek", "_llseek", "fsync", "fcntl",
    "fcntl64", "dup", "dup3", "ioctl",
    /* memory and threads */
    "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "brk", "futex", "futex_time64", "clone",
    "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "prlimit64", "getrlimit", "ugetrlimit",
    "sysinfo", "getrusage", "exit", "exit_group",
    /* signals: what came, and to its own threads */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "sigaltstack", "tgkill", "restart_syscall",
    /* time, chance, identity */
    "clock_gettime", "clock_gettime64", "clock_getres", "gettimeofday", "time", "nanosleep", "clock_nanosleep",
    "clock_nanosleep_time64", "getrandom", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",
    "alarm", "setitimer",
    NULL
};

static const char *const calls_of_logger[] = {
    /* targets, the journal, the channel, the bell; a journal that was started anew is connected to */
    "write", "writev", "send", "sendto", "sendmsg", "sendmmsg", "read", "recv", "recvfrom", "recvmsg", "socket", "connect",
    "setsockopt", "getsockopt", "poll", "ppoll", "ppoll_time64", "close", "fstat", "fstat64", "newfstatat", "fstatat64",
    "statx", "fcntl", "fcntl64", "lseek", "_llseek",
    /* memory: rings are mapped; the rest as for workers */
    "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "brk", "futex", "futex_time64", "set_robust_list", "rseq",
    "sched_yield", "exit", "exit_group", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "sigaltstack",
    "tgkill", "restart_syscall", "getdents64",
    "clock_gettime", "clock_gettime64", "clock_getres", "gettimeofday", "time", "nanosleep", "clock_nanosleep",
    "clock_nanosleep_time64", "getrandom", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid",
    NULL
};

/* What the C library tries first and can do without, if it is told that there is no such call.  clone3(2) hides its
 * flags from the filter, so threads are started by clone(2). */
static const char *const calls_unknown[] = {
    "clone3", "faccessat2", "fchmodat2", "epoll_pwait2", "futex_waitv", "membarrier", "close_range", "set_mempolicy",
    "mseal", NULL
};

enum { CONDITIONS_MAX = 6 };

/* A call that is allowed only with certain arguments: one condition of these must hold.  Sockets go on to the master and to
 * other workers: with SO_LINGER their close(2) would wait there, with SO_PEEK_OFF a look would find nothing, for ever. */
struct condition {
    const char          *call;
    struct scmp_arg_cmp  one_of[CONDITIONS_MAX];
    unsigned             count;
};

enum { CONDITIONS = 14 };        /* the rows below */

static void conditions_fill(struct condition c[CONDITIONS])
{
    const scmp_datum_t self = (scmp_datum_t)getpid();
    const struct scmp_arg_cmp to_self = SCMP_CMP(0, SCMP_CMP_EQ, self, 0);
    const struct scmp_arg_cmp no_code = SCMP_CMP(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp same_user = SCMP_CMP(0, SCMP_CMP_MASKED_EQ, UINT32_MAX, UINT32_MAX);
    const struct condition all[CONDITIONS] = {
        { "setresuid", { same_user }, 1 },              /* aio(7): calls are started again */
        { "setresuid32", { same_user }, 1 },
        { "tgkill", { to_self }, 1 },
        { "rt_sigqueueinfo", { to_self }, 1 },          /* aio(7): completions */
        { "rt_tgsigqueueinfo", { to_self }, 1 },
        { "mmap", { no_code }, 1 },
        { "mmap2", { no_code }, 1 },
        { "mprotect", { no_code }, 1 },
        { "clone", { SCMP_CMP(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD) }, 1 }, /* no process */
        { "prlimit64", { SCMP_CMP(2, SCMP_CMP_EQ, 0, 0) }, 1 },                             /* only ask */
        { "ioctl", { SCMP_CMP(1, SCMP_CMP_EQ, FIONREAD, 0), SCMP_CMP(1, SCMP_CMP_EQ, TIOCOUTQ, 0) }, 2 },
        { "socket", { SCMP_CMP(0, SCMP_CMP_EQ, AF_UNIX, 0) }, 1 },                          /* the journal */
        { "socketpair", { SCMP_CMP(0, SCMP_CMP_EQ, AF_UNIX, 0) }, 1 },
        { "setsockopt", { SCMP_CMP(2, SCMP_CMP_EQ, SO_RCVTIMEO, 0), SCMP_CMP(2, SCMP_CMP_EQ, SO_SNDTIMEO, 0),
                          SCMP_CMP(2, SCMP_CMP_EQ, SO_SNDBUF, 0),
                          SCMP_CMP(2, SCMP_CMP_EQ, TCP_SYNCNT, 0), SCMP_CMP(2, SCMP_CMP_EQ, TCP_NODELAY, 0),
                          SCMP_CMP(2, SCMP_CMP_EQ, IP_BIND_ADDRESS_NO_PORT, 0) }, 6 },      /* of what is dialled */
    };

    for (unsigned i = 0; i < CONDITIONS; i++)
        c[i] = all[i];
}

static const struct condition *condition_of(const struct condition c[CONDITIONS], const char *call)
{
    for (unsigned i = 0; i < CONDITIONS; i++)
        if (strcmp(c[i].call, call) == 0)
            return &c[i];
    return NULL;
}

/* A filter in the making. */
struct filter {
    scmp_filter_ctx  context;
    struct condition conditions[CONDITIONS];
    unsigned         calls;     /* that this machine has */
    int              error;     /* sticky, as -errno */
};

static void filter_rule(struct filter *f, uint32_t action, int call, const struct scmp_arg_cmp *condition)
{
    int rc = seccomp_rule_add_array(f->context, action, call, condition != NULL ? 1 : 0, condition);

    if (rc < 0 && rc != -EDOM && rc != -EEXIST && f->error == 0)    /* EDOM: not on this machine */
        f->error = rc;
}

static void filter_allow(struct filter *f, const char *name)
{
    int call = seccomp_syscall_resolve_name(name);
    const struct condition *c = condition_of(f->conditions, name);

    if (call < 0)               /* of another machine, or newer than the library */
        return;
    f->calls++;
    if (c == NULL)
        filter_rule(f, SCMP_ACT_ALLOW, call, NULL);
    for (unsigned i = 0; c != NULL && i < c->count; i++)
        filter_rule(f, SCMP_ACT_ALLOW, call, &c->one_of[i]);
}

static void filter_allow_all(struct filter *f, const char *const *names)
{
    for (; names != NULL && *names != NULL; names++)
        filter_allow(f, *names);
}

static void filter_deny_unknown(struct filter *f)
{
    for (const char *const *name = calls_unknown; *name != NULL; name++) {
        int call = seccomp_syscall_resolve_name(*name);

        if (call >= 0)
            filter_rule(f, SCMP_ACT_ERRNO(ENOSYS), call, NULL);
    }
}

/* An attribute that this libseccomp or kernel does not know is done without, but for `needed`. */
static void filter_attribute(struct filter *f, enum scmp_filter_attr which, uint32_t value, bool needed)
{
    int rc = seccomp_attr_set(f->context, which, value);

    if (rc < 0 && needed && f->error == 0)
        f->error = rc;
}

/* The processor is not slowed down against speculation, as it would be for who runs foreign code. */
static void filter_attributes(struct filter *f)
{
    filter_attribute(f, SCMP_FLTATR_CTL_TSYNC, 1, true);
    filter_attribute(f, SCMP_FLTATR_CTL_SSB, 1, false);
    filter_attribute(f, SCMP_FLTATR_CTL_OPTIMIZE, 2, false);
}

bool filter_available(char *why, size_t why_size)
{
    if (seccomp_api_get() >= 2)         /* all threads at once: Linux 3.17 */
        return true;
    snprintf(why, why_size, "not in this kernel, or another filter forbids it");
    return false;
}

int filter_enter(const struct filter_wants *w)
{
    struct filter f = { .context = seccomp_init(SCMP_ACT_ERRNO(EPERM)) };

    if (f.context == NULL) {
        errno = ENOMEM;
        return -1;
    }
    conditions_fill(f.conditions);
    filter_attributes(&f);
    filter_allow_all(&f, w->logger ? calls_of_logger : calls_of_workers);
    filter_allow_all(&f, w->calls);
    filter_deny_unknown(&f);
    if (f.error == 0)
        f.error = seccomp_load(f.context);
    seccomp_release(f.context);
    errno = -f.error;
    return f.error < 0 ? -1 : (int)f.calls;
}
