/* SPDX-License-Identifier: BSD-2-Clause */
/* POSIX asynchronous I/O for builds with ThreadSanitizer, in place of the C library's: a thread for each request.
 *
 * The C library makes its helper threads with an interface of its own, and they start each other.  The sanitizer never
 * hears of them: a result that one of them writes comes from nowhere, and the first intercepted call in one of them
 * ends the program.  These here are made with pthread_create, so that all that a request does is seen.
 *
 * What engine_aio.c relies on is as in the C library: the result is there before the signal; a request that finds
 * the queue of signals full has EAGAIN as its result; both happen under one lock, for which aio_cancel waits; when that
 * is free, nobody looks into a finished request any more.  Nothing is ever cancelled, and the number of threads has
 * no limit. */
#include <aio.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK_SIZE = 256 * 1024 };       /* bytes; the sanitizer's own frames are large */

struct job {
    struct aiocb *cb;
    bool          writes;
};

/* Taken while a result is shown and told. */
static pthread_mutex_t notifying = PTHREAD_MUTEX_INITIALIZER;

static ssize_t job_transfer(const struct job *j)
{
    const struct aiocb *cb = j->cb;
    void *data = (void *)cb->aio_buf;
    ssize_t n = j->writes ? pwrite(cb->aio_fildes, data, cb->aio_nbytes, cb->aio_offset)
                          : pread(cb->aio_fildes, data, cb->aio_nbytes, cb->aio_offset);

    if (n != -1 || errno != ESPIPE)
        return n;
    return j->writes ? write(cb->aio_fildes, data, cb->aio_nbytes) : read(cb->aio_fildes, data, cb->aio_nbytes);
}

/* sigqueue(3) would say SI_QUEUE, which is somebody else's signal. */
static int job_signal(const struct sigevent *how)
{
    siginfo_t info = { .si_signo = how->sigev_signo, .si_code = SI_ASYNCIO };

    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value = how->sigev_value;
    return (int)syscall(SYS_rt_sigqueueinfo, getpid(), how->sigev_signo, &info);
}

static void job_finish(struct aiocb *cb, ssize_t result, int error)
{
    struct sigevent how = cb->aio_sigevent;

    pthread_mutex_lock(&notifying);
    cb->__return_value = result;
    __atomic_store_n(&cb->__error_code, error, __ATOMIC_RELEASE);
    if (job_signal(&how) == -1) {
        cb->__return_value = -1;
        __atomic_store_n(&cb->__error_code, errno, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&notifying);
}

static void *job_run(void *given)
{
    struct job *j = given;
    struct aiocb *cb = j->cb;
    ssize_t result = job_transfer(j);
    int error = result == -1 ? errno : 0;

    free(j);
    job_finish(cb, result, error);
    return NULL;
}

/* The thread takes no signal: those are for who asked.  Returns 0 or an error number. */
static int job_thread(struct job *j)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, job_run, j);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static int job_start(struct aiocb *cb, bool writes)
{
    struct job *j = malloc(sizeof *j);

    if (j == NULL) {
        errno = EAGAIN;
        return -1;
    }
    *j = (struct job){ .cb = cb, .writes = writes };
    __atomic_store_n(&cb->__error_code, EINPROGRESS, __ATOMIC_RELAXED);
    if (job_thread(j) == 0)
        return 0;
    free(j);
    errno = EAGAIN;
    return -1;
}

int aio_read(struct aiocb *cb)
{
    return job_start(cb, false);
}

int aio_write(struct aiocb *cb)
{
    return job_start(cb, true);
}

int aio_error(const struct aiocb *cb)
{
    return __atomic_load_n(&cb->__error_code, __ATOMIC_ACQUIRE);
}

ssize_t aio_return(struct aiocb *cb)
{
    return cb->__return_value;
}

int aio_cancel(int fd, struct aiocb *cb)
{
    (void)fd;
    pthread_mutex_lock(&notifying);
    pthread_mutex_unlock(&notifying);
    return aio_error(cb) == EINPROGRESS ? AIO_NOTCANCELED : AIO_ALLDONE;
}

void aio_init(const struct aioinit *init)
{
    (void)init;
}
