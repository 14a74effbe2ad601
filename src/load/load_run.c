/* SPDX-License-Identifier: BSD-2-Clause */
/* The parent of the workers: makes them, says when it begins, hears signals, shows how it goes. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "driver/dial.h"
#include "load/load.h"

enum {
    START_US = 60000,           /* from when all are ready to the start: threads look for it every 20 ms */
    LOOK_NS = 5000000,          /* between looks at what the workers have done */
    PROGRESS_US = 1000000
};

struct crew {
    struct load *load;
    pid_t       *pids;          /* 0: it has ended */
    unsigned     running;
    bool         failed;
    sigset_t     before;
    uint64_t     shown_us, shown;       /* progress: when, and how many answers there were */
};

static bool is_set(const uint64_t *flag)
{
    return __atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0;
}

static void time_set(uint64_t *at, uint64_t us)
{
    __atomic_store_n(at, us, __ATOMIC_RELEASE);
}

/* Is anybody there?  Else it would be tried again and again for nothing. */
static int server_probe(const struct load *l)
{
    const struct load_target *t = l->target;
    struct dial d = { .to = (const struct sockaddr *)&t->to, .to_size = t->to_size, .type = SOCK_STREAM, .attempts = 2 };
    if (t->source_count > 0) {
        d.from = (const struct sockaddr *)&t->sources[0];
        d.from_size = t->source_size;
    }
    int fd = dial_socket(&d, SOCK_CLOEXEC), result = fd == -1 ? -1 : dial_connect(&d, fd), error = errno;
    if (fd != -1)
        close(fd);
    if (result == -1)
        fprintf(stderr, "iomux-load: cannot connect to %s, port %s: %s\n", t->host, t->port, strerror(error));
    return result;
}

static int crew_fork(struct crew *c)
{
    fflush(NULL);
    for (unsigned i = 0; i < c->load->options->workers; i++) {
        pid_t parent = getpid(), pid = fork();
        if (pid == -1)
            return -1;
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            signal(SIGINT, SIG_IGN);
            signal(SIGPIPE, SIG_IGN);
            sigprocmask(SIG_SETMASK, &c->before, NULL);
            if (getppid() != parent)
                _exit(EXIT_FAILURE);
            int status = load_worker_run(c->load, i);
            fflush(NULL);
            exit(status);
        }
        c->pids[i] = pid;
        c->running++;
    }
    return 0;
}

/* Who has ended? */
static void crew_reap(struct crew *c)
{
    for (unsigned i = 0; i < c->load->options->workers; i++) {
        int status = 0;
        if (c->pids[i] == 0 || waitpid(c->pids[i], &status, WNOHANG) != c->pids[i])
            continue;
        c->pids[i] = 0;
        c->running--;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        c->failed = true;
        time_set(&c->load->page->times.stop, 1);        /* without one of them the rest says nothing */
        if (WIFSIGNALED(status))
            fprintf(stderr, "iomux-load: worker %u died of signal %d\n", i, WTERMSIG(status));
    }
}

static bool all_ready(const struct load *l)
{
    for (unsigned i = 0; i < l->options->workers; i++)
        if (!is_set(&l->page->slots[i].ready))
            return false;
    return true;
}

static void times_set(struct load *l, uint64_t now_us)
{
    const struct load_options *o = l->options;
    struct client_times *t = &l->page->times;
    uint64_t start_us = now_us + START_US, measure_us = start_us + (uint64_t)(o->warm_s * 1e6);
    bool timed = o->requests == 0 || o->duration_given;
    time_set(&t->measure_us, measure_us);
    time_set(&t->end_us, timed ? measure_us + (uint64_t)(o->duration_s * 1e6) : UINT64_MAX);
    time_set(&t->start_us, start_us);
}

static void progress_show(struct crew *c, uint64_t now_us)
{
    struct client_sheet *sum = calloc(1, sizeof *sum);
    const struct client_times *t = &c->load->page->times;
    if (sum == NULL)
        return;
    load_sum(c->load, sum);
    double seconds = (double)(now_us - c->shown_us) / 1e6;
    fprintf(stderr, "%s %.0f s: %.0f requests/s, p99 %.2f ms, %llu errors\n",
            now_us < t->measure_us ? "warm-up" : "running",
            (double)(now_us - t->start_us) / 1e6, (double)(sum->answered - c->shown) / seconds,
            (double)histogram_quantile(&sum->latency, 0.99) / 1000, (unsigned long long)load_errors(sum));
    c->shown = sum->answered;
    c->shown_us = now_us;
    free(sum);
}

/* Waits a moment, or until a signal comes: the first ends it well, the second at once. */
static void crew_wait(struct crew *c, const sigset_t *signals)
{
    const struct timespec look = { 0, LOOK_NS };
    int number = sigtimedwait(signals, NULL, &look);
    if (number != SIGINT && number != SIGTERM)
        return;
    if (!is_set(&c->load->page->times.stop))
        time_set(&c->load->page->times.stop, clock_monotonic_us());
    else
        for (unsigned i = 0; i < c->load->options->workers; i++)
            if (c->pids[i] != 0)
                kill(c->pids[i], SIGKILL);
}

static void crew_follow(struct crew *c, const sigset_t *signals)
{
    struct load *l = c->load;
    while (c->running > 0) {
        crew_wait(c, signals);
        crew_reap(c);
        uint64_t now_us = clock_monotonic_us();
        if (!is_set(&l->page->times.start_us) && all_ready(l)) {
            times_set(l, now_us);
            c->shown_us = l->page->times.start_us;
        }
        if (l->options->progress && is_set(&l->page->times.start_us) && now_us >= c->shown_us + PROGRESS_US)
            progress_show(c, now_us);
    }
}

static int crew_run(struct crew *c)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &c->before);
    if (crew_fork(c) == -1) {
        fprintf(stderr, "iomux-load: cannot make workers: %s\n", strerror(errno));
        c->failed = true;
        time_set(&c->load->page->times.stop, 1);
    }
    crew_follow(c, &signals);
    sigprocmask(SIG_SETMASK, &c->before, NULL);
    return c->failed ? -1 : 0;
}

int load_run(struct load *l)
{
    const struct load_options *o = l->options;
    size_t size = sizeof *l->page + o->workers * sizeof l->page->slots[0];
    struct crew c = { .load = l, .pids = calloc(o->workers, sizeof *c.pids) };
    l->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (l->page == MAP_FAILED || c.pids == NULL) {
        fprintf(stderr, "iomux-load: %s\n", strerror(errno));
        free(c.pids);
        return -1;
    }
    l->page->times.end_us = UINT64_MAX;
    l->plan.times = &l->page->times;
    int result = l->target->kind != CLIENT_ECHO_DATAGRAMS ? server_probe(l) : 0;
    if (result == 0)
        result = crew_run(&c);
    free(c.pids);
    return result;
}
