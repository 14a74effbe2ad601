/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters of the daemon.  Owns the page; knows slots, not workers. */
#include "daemon/ledger.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Behind the slots. */
struct ledger_tail {
    char     layout[LEDGER_LAYOUT_SIZE];
    uint32_t used;
    pid_t    owners[LEDGER_ROOM];       /* the latest of each slot */
};

enum { LEDGER_SIZE = LEDGER_ROOM * sizeof(struct metric_slot) + sizeof(struct ledger_tail) };

void ledger_layout(char text[LEDGER_LAYOUT_SIZE])
{
    size_t n = (size_t)snprintf(text, LEDGER_LAYOUT_SIZE, "%zu bytes:", sizeof(struct metric_slot));

#define LEDGER_NAME(name, help) n += (size_t)snprintf(text + n, LEDGER_LAYOUT_SIZE - n, " " #name);
    METRIC_COUNTERS(LEDGER_NAME)
#undef LEDGER_NAME
}

static int ledger_bind(struct ledger *t)
{
    t->slots = t->page.at;
    t->tail = (struct ledger_tail *)(void *)(t->slots + LEDGER_ROOM);
    t->taken = calloc(LEDGER_ROOM, sizeof *t->taken);
    return t->taken != NULL ? 0 : -1;
}

int ledger_open(struct ledger *t)
{
    *t = (struct ledger){ .slots = NULL };
    if (shared_open(&t->page, "iomuxd-counters", LEDGER_SIZE) == -1 || ledger_bind(t) == -1)
        return -1;
    ledger_layout(t->tail->layout);
    return 0;
}

static void give_back(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
}

static bool process_lives(pid_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* Slots of those that still live stay theirs; the connections of all others died with them. */
static void leave_to_orphans(struct ledger *t)
{
    for (unsigned i = 0; i < t->used; i++) {
        t->taken[i] = process_lives(t->tail->owners[i]);
        if (!t->taken[i])
            ledger_put_back(t, (int)i);
    }
}

int ledger_adopt(struct ledger *t, int taken, bool orphans)
{
    char layout[LEDGER_LAYOUT_SIZE] = "";

    *t = (struct ledger){ .slots = NULL };
    if (shared_adopt(&t->page, taken, LEDGER_SIZE) == -1) {
        give_back(taken);
        return -1;
    }
    if (ledger_bind(t) == -1)
        return -1;
    ledger_layout(layout);
    t->used = t->tail->used;
    if (memcmp(layout, t->tail->layout, strlen(layout) + 1) != 0 || t->used > LEDGER_ROOM) {
        errno = EBADMSG;
        return -1;
    }
    if (orphans)
        leave_to_orphans(t);
    return 0;
}

void ledger_close(struct ledger *t)
{
    shared_close(&t->page);
    free(t->taken);
    *t = (struct ledger){ .page.fd = -1 };
}

void ledger_abandon(struct ledger *t)
{
    shared_abandon(&t->page);
}

bool ledger_claim(struct ledger *t, int slot)
{
    if (slot < 0 || slot >= LEDGER_ROOM || t->taken[slot])
        return false;
    t->taken[slot] = true;
    if ((unsigned)slot >= t->used)
        t->tail->used = t->used = (unsigned)slot + 1;
    return true;
}

int ledger_take(struct ledger *t)
{
    int at = 0;

    while (at < LEDGER_ROOM && t->taken[at])
        at++;
    if (ledger_claim(t, at))
        return at;
    errno = EAGAIN;
    return -1;
}

void ledger_own(struct ledger *t, int slot, pid_t pid)
{
    t->tail->owners[slot] = pid;
}

void ledger_put_back(struct ledger *t, int slot)
{
    t->taken[slot] = false;
    t->tail->owners[slot] = 0;
    __atomic_store_n(&t->slots[slot].active, 0, __ATOMIC_RELAXED);      /* its connections died with the worker */
}

void ledger_sum(const struct ledger *t, struct metric_slot *sum)
{
    metric_sum(t->slots, t->used, sum);
}

struct metric_slot ledger_since(const struct ledger *t, int slot, const struct metric_slot *base)
{
    struct metric_slot now;

    metric_sum(&t->slots[slot], 1, &now);
#define LEDGER_LESS(name, help) now.total.name -= base->total.name;
    METRIC_COUNTERS(LEDGER_LESS)
#undef LEDGER_LESS
    now.progress -= base->progress;
    return now;
}
