/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of iomux-load share: what was asked for, where it goes, and the page on which workers count. */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/metric.h"
#include "proto/client.h"

struct model;

enum {
    LOAD_SOURCES_MAX = 65536,
    LOAD_WORKERS_MAX = 256,
    LOAD_UNDER_WAY_MAX = 256 * 1024     /* bytes of what is pipelined: who sends more does not read meanwhile (core/conn),
                                         * and two who wait for each other to read would wait for ever */
};

/* The command line. */
struct load_options {
    const char  *url;
    const char  *method;
    const char **headers;               /* "Name: value"; room for as many as there are arguments */
    const char  *data;                  /* the content of requests, or @FILE */
    const char  *verify_file, *expect_text;
    const char  *sources;               /* "127.0.0.1-127.0.0.8,127.0.1.1" */
    const char  *model_name;
    const char  *json;                  /* a file, or "-" */
    double       rate;                  /* requests a second, all together; 0: a closed loop */
    double       warm_s, duration_s, timeout_s;
    uint64_t     requests;              /* in all; 0: as many as there is time for */
    size_t       size;                  /* of a message of echo */
    unsigned     connections, idle, workers, depth, header_count;
    bool         duration_given, size_given;
    bool         one_each;              /* a connection for each request */
    bool         progress;
};

/* Where to, and what is sent there. */
struct load_target {
    enum client_kind         kind;
    char                     host[256], port[16];
    const char              *path;      /* with its query; in the URL */
    struct sockaddr_storage  to;
    socklen_t                to_size;
    struct sockaddr_storage *sources;
    unsigned                 source_count;
    socklen_t                source_size;
    char                    *request;   /* `depth` of them */
    size_t                   request_size;
    char                    *expected;
    size_t                   expected_size;
};

/* The place of a worker in shared memory. */
struct load_slot {
    _Alignas(64) struct client_sheet sheet;
    struct metric_slot metric;
    uint64_t rested;                    /* its idle connections are there, or have failed once */
    uint64_t ready;                     /* all its connections are there, or have failed once */
    uint64_t idle_open;                 /* idle connections when it was ready */
    uint64_t begin_us, end_us;          /* of what its CPU time was taken over */
    uint64_t user_us, system_us;        /* that CPU time */
};

struct load_page {
    struct client_times times;
    struct load_slot    slots[];
};

struct load {
    const struct load_options *options;
    const struct load_target  *target;
    const struct model        *model;
    struct client_plan         plan;
    struct load_page          *page;
};

/* load_options.c: reads the command line; what is wrong was said on stderr.  The array of headers is the caller's. */
enum load_action { LOAD_RUN, LOAD_MODELS, LOAD_VERSION, LOAD_HELP, LOAD_MISUSE };
enum load_action load_options_read(struct load_options *o, int argc, char *argv[]);
void load_usage(void);

/* load_target.c: -1: it was said on stderr why not. */
int  load_target_make(struct load_target *t, const struct load_options *o);
void load_target_free(struct load_target *t);

/* The same for the addresses alone, "ADDR[-ADDR][,...]", all of the family of t->to. */
int  load_sources_make(struct load_target *t, const char *text);

/* load_worker.c: the whole life of a worker, in a process of its own; its exit status. */
int  load_worker_run(struct load *l, unsigned index);

/* load_run.c: makes workers, waits for them, shows how it goes.  -1: it was said on stderr why it could not be. */
int  load_run(struct load *l);

/* load_report.c: prints the results; the exit status. */
int  load_report(const struct load *l);

/* Adds up all sheets. */
void load_sum(const struct load *l, struct client_sheet *sum);
uint64_t load_errors(const struct client_sheet *s);

#endif
