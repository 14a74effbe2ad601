/* SPDX-License-Identifier: BSD-2-Clause */
/* How the master begins: with a configuration, or in the process of the program before, with all that it left behind. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/machine.h"
#include "daemon/master_state.h"
#include "daemon/sandbox.h"
#include "daemon/signals.h"
#include "daemon/state.h"
#include "daemon/sysd.h"
#include "daemon/title.h"

static void say_who(const struct priv *p)
{
    if (p->drop && p->uid == 0)
        log_write(LOG_WARN, NULL, "master: workers stay root, as the setting user wants");
    else if (p->drop)
        log_write(p->chosen ? LOG_INFO : LOG_NOTICE, NULL, "master: workers become user %s, group %s%s",
                  p->user, p->group, p->chosen ? "" : " (user is not set)");
}

static void master_signals(struct master *m)
{
    static const int heard[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };

    m->signals = signals_open();
    for (size_t i = 0; m->signals != -1 && i < sizeof heard / sizeof *heard; i++)
        signals_hear(heard[i]);
    signals_ignore(SIGPIPE);
}

/* Counters that were kept go on, so that what is said of them never goes backwards. */
static int open_ledger(struct master *m)
{
    int kept = store_counters(&m->kept);

    if (kept != -1 && ledger_adopt(&m->ledger, kept, true) == 0)
        return 0;
    if (kept != -1) {
        log_errno(LOG_NOTICE, NULL, "master: counters begin at zero: those that the service manager has kept cannot be "
                  "gone on with");
        ledger_close(&m->ledger);
    }
    return ledger_open(&m->ledger);
}

static int take_handed(struct master *m)
{
    char why[160];

    if (!handed_take(&m->handed, why, sizeof why)) {
        fprintf(stderr, "iomuxd: sockets of the service manager: %s\n", why);
        return -1;
    }
    if (store_sort(&m->store, &m->handed, &m->kept) == 0)
        return 0;
    fprintf(stderr, "iomuxd: sockets of the service manager: %s\n", strerror(errno));
    return -1;
}

/* Without one connections end with the daemon; whatever else is kept goes on. */
static void open_lobby(struct master *m)
{
    if (sysd_listens() && lobby_open(&m->lobby, &m->kept) == -1)
        fprintf(stderr, "iomuxd: connections cannot be kept for the next daemon: %s\n", strerror(errno));
}

static int open_desk(struct master *m)
{
    if (logger_desk_open(&m->desk) == 0)
        return 0;
    fprintf(stderr, "iomuxd: memory for the log: %s\n", strerror(errno));
    return -1;
}

static int open_loop(struct master *m)
{
    if (m->signals == -1)
        return log_errno(LOG_ERROR, NULL, "master: cannot hear signals");
    m->polled_room = master_polled(m);
    m->polled = calloc(m->polled_room, sizeof *m->polled);
    return m->polled != NULL ? 0 : log_errno(LOG_ERROR, NULL, "master: cannot wait for its workers");
}

int master_begin(struct master *m, struct conf *taken)
{
    title_set("master");
    master_signals(m);
    m->descriptors = machine_raise_descriptors();
    if (take_handed(m) == -1 || open_desk(m) == -1) {
        conf_free(taken);
        return -1;
    }
    open_lobby(m);
    if (reload_open(m, taken) == -1 || open_loop(m) == -1)
        return -1;
    if (open_ledger(m) == -1)
        return log_errno(LOG_ERROR, NULL, "master: cannot hold its counters");
    say_who(&m->serving->priv);
    sandbox_master(m->serving->conf->sandbox);
    health_open(&m->health, m->serving->conf->watchdog_ms, clock_monotonic_ms());
    return master_log_begin(m);
}

/* What came while one program ended and the other began is still pending, and comes when it is heard. */
static void hear_again(struct master *m)
{
    sigset_t none;

    master_signals(m);
    sigemptyset(&none);
    signals_release(&none);
}

int master_take_over(struct master *m, int state)
{
    char why[STATE_WHY_SIZE];

    title_set("master");
    if (state_read(m, state, true, why) == -1) {
        fprintf(stderr, "iomuxd: cannot go on from what the program before has left: %s\n", why);
        return -1;
    }
    if (master_log_resume(m) == -1)
        return -1;
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        reload_adopt(m, LIST_ENTRY(l, struct generation, siblings));
    m->phase = MASTER_RUNNING;
    m->served = true;
    m->descriptors = machine_raise_descriptors();
    hear_again(m);
    if (open_loop(m) == -1)
        return -1;
    health_resume(&m->health, m->serving->conf->watchdog_ms, clock_monotonic_ms());
    reload_go_on(m);
    return 0;
}
