/* SPDX-License-Identifier: BSD-2-Clause */
/* The program iomux-load: asks a server, and measures how it answers. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "driver/model.h"
#include "load/load.h"

enum {
    EXIT_USAGE = 2,
    SPARE_FDS = 64              /* descriptors of a worker that are no connections */
};

static int models_print(void)
{
    size_t count;
    const struct model *all = model_all(&count);
    for (size_t i = 0; i < count; i++) {
        char why[256] = "";
        bool can = model_available(&all[i], why, sizeof why);
        printf("%-12s %-14s %-3s%s%s\n", all[i].name, all[i].family, can ? "yes" : "no", *why != '\0' ? " " : "", why);
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* One that is named is never replaced by another. */
static const struct model *model_choose(const char *name)
{
    char why[256] = "";
    const struct model *m = name != NULL ? model_find(name) : model_auto(why, sizeof why);
    if (m != NULL && model_available(m, why, sizeof why))
        return m;
    if (name == NULL)
        name = "auto";
    fprintf(stderr, "iomux-load: --io-model: %s: %s\n", name, m == NULL && why[0] == '\0' ? "there is no such model" : why);
    return NULL;
}

/* Each connection is a descriptor. */
static bool descriptors_suffice(const struct load_options *o)
{
    struct rlimit limit;
    unsigned long need = (o->connections + o->idle) / o->workers + 1 + SPARE_FDS;
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        return true;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= need)
        return true;
    fprintf(stderr, "iomux-load: %lu descriptors are needed for each worker, and the limit is %lu (ulimit -Hn); "
            "more workers (-t) share them\n", need, (unsigned long)limit.rlim_cur);
    return false;
}

static int load_with(const struct load_options *o, const struct model *m)
{
    struct load_target target;
    struct load load = { .options = o, .target = &target, .model = m };
    int status = EXIT_USAGE;
    if (load_target_make(&target, o) == 0 && descriptors_suffice(o)) {
        load.plan = (struct client_plan){
            .kind = target.kind, .request = { target.request, target.request_size * (target.kind == CLIENT_HTTP ? o->depth : 1) },
            .request_size = target.request_size, .depth = o->depth, .one_each = o->one_each,
            .head_only = strcmp(o->method, "HEAD") == 0, .checked = target.expected != NULL,
            .expected = { target.expected, target.expected_size },
            .interval_us = o->rate > 0 ? (double)o->connections * 1e6 / o->rate : 0,
            .timeout_ms = o->timeout_s < 0.001 ? 1 : (unsigned)(o->timeout_s * 1000),
        };
        status = load_run(&load) == 0 ? load_report(&load) : EXIT_FAILURE;
    }
    load_target_free(&target);
    return status;
}

static int options_run(const struct load_options *o, enum load_action action)
{
    const struct model *m;
    switch (action) {
    case LOAD_RUN:
        m = model_choose(o->model_name);
        return m == NULL ? EXIT_USAGE : load_with(o, m);
    case LOAD_MODELS:
        return models_print();
    case LOAD_VERSION:
        printf("iomux-load %s\n", PACKAGE_VERSION);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    case LOAD_HELP:
        load_usage();
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    case LOAD_MISUSE:
        break;
    }
    fputs("Try 'iomux-load --help'.\n", stderr);
    return EXIT_USAGE;
}

int main(int argc, char *argv[])
{
    struct load_options o = { .headers = calloc((size_t)argc + 1, sizeof *o.headers) };
    if (o.headers == NULL) {
        perror("iomux-load");
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN);
    int status = options_run(&o, load_options_read(&o, argc, argv));
    free(o.headers);
    return status;
}
