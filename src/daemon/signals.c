/* SPDX-License-Identifier: BSD-2-Clause */
/* Signals as bytes on a pipe.  Owns the one mutable variable at file scope that a signal handler cannot do
 * without: the pipe.  Knows nothing of what the signals mean. */
#include "daemon/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

/* [0] is read by the loop, [1] is written by the handler; -1: not open. */
static int signal_pipe[2] = { -1, -1 };

/* A full pipe holds 65536 signals that nobody read yet: one more says nothing new. */
static void signal_to_pipe(int number)
{
    int kept = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t n = write(signal_pipe[1], &byte, 1);

    (void)n;
    errno = kept;
}

int signals_open(void)
{
    int fresh[2];

    if (pipe2(fresh, O_CLOEXEC | O_NONBLOCK) == -1)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (signal_pipe[i] != -1)
            close(signal_pipe[i]);
        signal_pipe[i] = fresh[i];
    }
    return fresh[0];
}

/* Also lifts a block that was inherited from whoever started this process. */
static void signal_dispose(int number, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
    sigset_t one;

    sigfillset(&action.sa_mask);
    sigaction(number, &action, NULL);
    sigemptyset(&one);
    sigaddset(&one, number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
}

void signals_hear(int number)
{
    signal_dispose(number, signal_to_pipe);
}

void signals_ignore(int number)
{
    signal_dispose(number, SIG_IGN);
}

void signals_default(int number)
{
    signal_dispose(number, SIG_DFL);
}

int signals_next(int fd)
{
    unsigned char byte;
    ssize_t n;

    do
        n = read(fd, &byte, 1);
    while (n == -1 && errno == EINTR);
    return n == 1 ? byte : 0;
}

void signals_hold(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, before);
}

void signals_forget(void)
{
    signal_pipe[0] = signal_pipe[1] = -1;
}

void signals_release(const sigset_t *before)
{
    sigprocmask(SIG_SETMASK, before, NULL);
}
