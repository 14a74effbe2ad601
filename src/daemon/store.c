/* SPDX-License-Identifier: BSD-2-Clause */
/* The descriptor store of the service manager.  Owns the list of what is there; knows names and descriptors. */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/sysd.h"

enum { STORE_AGAIN_MS = 200 };          /* until what could not be heard is said again */

/* ---- what is there ---- */

int store_note(struct store *s, const char *name, uint64_t inode)
{
    struct store_one *grown = realloc(s->v, (s->count + 1) * sizeof *grown);
    char *copy = strdup(name);

    if (grown != NULL)
        s->v = grown;
    if (grown == NULL || copy == NULL) {
        free(copy);
        return -1;
    }
    s->v[s->count++] = (struct store_one){ .name = copy, .inode = inode };
    return 0;
}

static void store_drop(struct store *s, unsigned at)
{
    free(s->v[at].name);
    s->v[at] = s->v[--s->count];
}

void store_free(struct store *s)
{
    while (s->count > 0)
        store_drop(s, s->count - 1);
    free(s->v);
    *s = (struct store){ 0 };
}

static bool store_has(const struct store *s, const struct store_one *one)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->v[i].inode == one->inode && strcmp(s->v[i].name, one->name) == 0)
            return true;
    return false;
}

static uint64_t inode_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* ---- the start ---- */

static bool is_kept(const struct handed_one *one)
{
    return strncmp(one->name, STORE_PREFIX, strlen(STORE_PREFIX)) == 0;
}

int store_sort(struct store *s, struct handed *handed, struct handed *kept)
{
    unsigned left = 0;

    *kept = (struct handed){ .v = calloc(handed->count + 1, sizeof *kept->v) };
    if (kept->v == NULL)
        return -1;
    for (unsigned i = 0; i < handed->count; i++) {
        const struct handed_one *one = &handed->v[i];

        if (!is_kept(one)) {
            handed->v[left++] = *one;
            continue;
        }
        kept->v[kept->count++] = *one;
        if (store_note(s, one->name, inode_of(one->fd)) == -1)
            return -1;
    }
    handed->count = left;
    return 0;
}

int store_counters(struct handed *kept)
{
    for (unsigned i = 0; i < kept->count; i++)
        if (strcmp(kept->v[i].name, STORE_COUNTERS) == 0)
            return fcntl(kept->v[i].fd, F_DUPFD_CLOEXEC, HANDED_FIRST);
    return -1;
}

/* ---- what is to be there ---- */

struct store_wish {
    const struct listen_set *listens;
    const struct ledger     *ledger;
    const struct lobby      *lobby;
};

typedef void store_each(void *arg, const char *name, int fd);

static bool first_of_number(const struct listen_address *a, unsigned at)
{
    for (unsigned i = 0; i < at; i++)
        if (a->sockets[i].number == a->sockets[at].number)
            return false;
    return a->sockets[at].fd != -1;
}

/* "kept.web.0.1": the service, which of its listeners, which socket of it.  What a socket unit has, that keeps. */
static void each_socket(const struct listen_set *listens, store_each *visit, void *arg)
{
    for (unsigned i = 0; i < listens->count; i++) {
        const struct listen_address *a = &listens->v[i];
        char name[HANDED_NAME_SIZE];

        for (unsigned j = 0; a->handed == NULL && j < a->socket_count; j++) {
            int n = snprintf(name, sizeof name, LISTEN_KEPT_NAME "%u", a->service, a->listen_index,
                             a->sockets[j].number);

            if (n < HANDED_NAME_SIZE && first_of_number(a, j))
                visit(arg, name, a->sockets[j].fd);
        }
    }
}

static void each_lobby(const struct lobby *l, store_each *visit, void *arg)
{
    char name[LOBBY_NAME_SIZE];

    for (unsigned i = 0; i < l->former_count; i++) {
        lobby_name(name, l->former[i].number);
        visit(arg, name, l->former[i].fd);
    }
    lobby_name(name, l->number);
    if (l->ends[0] != -1)
        visit(arg, name, l->ends[0]);
}

/* The lobby first: who comes while not all could be said is to be kept too. */
static void each_wanted(const struct store_wish *w, store_each *visit, void *arg)
{
    each_lobby(w->lobby, visit, arg);
    visit(arg, STORE_COUNTERS, w->ledger->page.fd);
    each_socket(w->listens, visit, arg);
}

static void store_later(struct store *s)
{
    s->again_ms = clock_monotonic_ms() + STORE_AGAIN_MS;
}

uint64_t store_due_ms(const struct store *s)
{
    return s->again_ms != 0 ? s->again_ms : UINT64_MAX;
}

static void note_wanted(void *arg, const char *name, int fd)
{
    (void)store_note(arg, name, inode_of(fd));
}

/* What is there already is not sent again: the service manager would ask the kernel about each of its descriptors. */
static void send_wanted(void *arg, const char *name, int fd)
{
    struct store *s = arg;
    struct store_one one = { .name = (char *)name, .inode = inode_of(fd) };

    if (s->again_ms != 0 || store_has(s, &one))
        return;
    if (!sysd_store(name, fd) || store_note(s, name, one.inode) == -1)
        store_later(s);
}

/* A service manager whose store is full does not say so.  When it has place again the lobby, without which nobody is kept,
 * is sent again; if it is there, that changes nothing. */
static void forget_lobby(struct store *s, const struct lobby *l)
{
    char name[LOBBY_NAME_SIZE];
    unsigned i = 0;

    lobby_name(name, l->number);
    while (i < s->count && strcmp(s->v[i].name, name) != 0)
        i++;
    if (i < s->count)
        store_drop(s, i);
}

/* False: not all could be said. */
static bool remove_unwanted(struct store *s, const struct store *wanted, const struct lobby *l)
{
    unsigned i = 0;
    bool any = false, said = true;

    while (i < s->count && said) {
        if (store_has(wanted, &s->v[i])) {
            i++;
            continue;
        }
        said = sysd_store_remove(s->v[i].name);
        if (said)
            store_drop(s, i);
        any |= said;
    }
    if (any)
        forget_lobby(s, l);
    return said;
}

static bool keeps_lobby(const struct store *s, const struct lobby *l)
{
    char name[LOBBY_NAME_SIZE];
    struct store_one one = { .name = name, .inode = inode_of(l->ends[0]) };

    lobby_name(name, l->number);
    return l->ends[0] != -1 && store_has(s, &one);
}

/* Removing goes by name, so it comes before a name is given to another socket. */
void store_sync(struct store *s, const struct listen_set *listens, const struct ledger *ledger, struct lobby *lobby)
{
    const struct store_wish w = { .listens = listens, .ledger = ledger, .lobby = lobby };
    struct store wanted = { 0 };

    s->again_ms = 0;
    if (!sysd_listens())
        return;
    each_wanted(&w, note_wanted, &wanted);
    if (remove_unwanted(s, &wanted, lobby))
        each_wanted(&w, send_wanted, s);
    else
        store_later(s);
    lobby->kept = keeps_lobby(s, lobby);
    store_free(&wanted);
}
