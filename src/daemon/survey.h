/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking all workers for their connections: the master makes a piece of shared memory with a part for each of them,
 * every worker writes its part and says so, and when all have, or time is over, there is an answer.
 * Workers are not trusted with it: what they wrote is checked, and they cannot make the memory shorter. */
#ifndef DAEMON_SURVEY_H
#define DAEMON_SURVEY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/census.h"

enum {
    SURVEYS_MAX = 4,                    /* at once */
    SURVEY_ROWS_MAX = 10000,            /* that can be asked for */
    SURVEY_MS = 1500                    /* iomuxctl waits for 2 s */
};

struct survey_place {
    pid_t       pid;
    bool        told, done;
    char        worker[64];
    const char *model;                  /* of the table: it outlives everything */
    unsigned    generation;
};

struct survey {
    uint32_t  id;                       /* 0: none */
    uint32_t  client;                   /* who asked */
    enum census_key key;
    unsigned  limit;
    unsigned  parts, waiting;
    struct survey_place *places;
    int       fd;
    void     *page;
    size_t    size;
    uint64_t  until_ms;
};

/* All have answered, or time is over; afterwards it is gone. */
typedef void survey_done(void *arg, struct survey *s);

struct survey_desk {
    struct survey v[SURVEYS_MAX];
    uint32_t      last_id;
    survey_done  *done;
    void         *arg;
};

void survey_init(struct survey_desk *d, survey_done *tell, void *arg);
void survey_close(struct survey_desk *d);

/* In a worker. */
void survey_abandon(struct survey_desk *d);

/* Makes one for so many workers; their places are to be filled in and each of them told, with its number as the value.
 * NULL with errno: EBUSY when there are too many. */
struct survey *survey_new(struct survey_desk *d, unsigned parts, enum census_key key, unsigned limit);
void survey_cancel(struct survey *s);

/* A worker says that it has written its part. */
void survey_heard(struct survey_desk *d, pid_t pid, uint32_t id);

/* After all were told: it may be that there is nobody to wait for. */
void survey_check(struct survey_desk *d, struct survey *s);
void survey_expire(struct survey_desk *d, uint64_t now_ms);
uint64_t survey_due_ms(const struct survey_desk *d);

/* What was written in a part, as it stood when it was looked at: *count rows at `rows` (room for s->limit), and the
 * number of all connections of that worker. */
uint64_t survey_rows(const struct survey *s, unsigned part, struct census_row *rows, unsigned *count);

/* In a worker: a page that came as `fd`, and this worker's part of it: where its rows belong.  -1 with errno: it is no
 * such page.  survey_write ends it, and gives the number that the master wants to hear. */
struct survey_part {
    struct census census;
    void         *page;
    size_t        size;
    unsigned      part;
};

int survey_open(struct survey_part *p, int fd, unsigned part);
uint32_t survey_write(struct survey_part *p);

#endif
