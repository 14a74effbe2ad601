/* SPDX-License-Identifier: BSD-2-Clause */
/* The program iomuxd: its command line, and from there to the master. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/logger.h"
#include "daemon/master.h"
#include "daemon/priv.h"
#include "daemon/program.h"
#include "daemon/sandbox.h"
#include "daemon/title.h"
#include "daemon/words.h"
#include "driver/model.h"

enum { EXIT_USAGE = 2 };

enum action {
    ACTION_RUN, ACTION_TEST, ACTION_PRINT, ACTION_MODELS, ACTION_VERSION, ACTION_HELP, ACTION_MISUSE
};

struct command {
    enum action  action;
    bool         test;                  /* -t, also beside -T */
    const char  *file;
    const char  *program;               /* its path */
    const char **overrides;             /* room for as many as there are arguments */
    unsigned     override_count;
    int          state;                 /* what the program before has left; -1: there was none */
};

static const char usage_text[] =
    "usage: iomuxd [-c FILE] [-t] [-T] [-o PATH=VALUE]...\n"
    "       iomuxd --list-models | -V | -h\n"
    "\n"
    "  -c, --config FILE       the configuration (" SYSCONFDIR "/iomuxd.conf)\n"
    "  -t, --test              only test the configuration; exit status 0 or 1\n"
    "  -T, --print             print the effective configuration, with all defaults\n"
    "  -o, --set PATH=VALUE    override one setting, as in -o io_model=poll -o limits.connections=100\n"
    "      --list-models       print the I/O models, which can run here, and why the others cannot\n"
    "  -V, --version           print the version, and with which optional parts it was built\n"
    "  -h, --help              print this text\n"
    "\n"
    "iomuxd runs in the foreground until SIGTERM or SIGINT.  See iomuxd(8) and iomuxd.conf(5).\n";

/* For iomuxd itself: it begins in the process of another iomuxd, or, with -t, is asked whether it could. */
static void take_over(struct command *c, const char *number)
{
    char *end;
    long fd = strtol(number, &end, 10);

    if (*number >= '0' && *number <= '9' && *end == '\0' && fd > STDERR_FILENO && fd <= INT_MAX) {
        c->state = (int)fd;
        return;
    }
    fprintf(stderr, "iomuxd: --take-over: '%s' is no descriptor\n", number);
    c->action = ACTION_MISUSE;
}

static void command_apply(struct command *c, int option)
{
    switch (option) {
    case 'c': c->file = optarg; break;
    case 'o': c->overrides[c->override_count++] = optarg; break;
    case 't': c->test = true; break;
    case 'T': c->action = ACTION_PRINT; break;
    case 'L': c->action = ACTION_MODELS; break;
    case 'V': c->action = ACTION_VERSION; break;
    case 'h': c->action = ACTION_HELP; break;
    case 'K': take_over(c, optarg); break;
    default:  c->action = ACTION_MISUSE; break;
    }
}

/* getopt_long has said on stderr what is wrong with an option. */
static void command_read(struct command *c, int argc, char *argv[])
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },  { "test", no_argument, NULL, 't' },
        { "print", no_argument, NULL, 'T' },         { "set", required_argument, NULL, 'o' },
        { "list-models", no_argument, NULL, 'L' },   { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },          { "take-over", required_argument, NULL, 'K' },
        { NULL, 0, NULL, 0 }
    };
    int option;

    while (c->action != ACTION_MISUSE && (option = getopt_long(argc, argv, "c:tTo:Vh", options, NULL)) != -1)
        command_apply(c, option);
    if (c->action != ACTION_MISUSE && optind < argc) {
        fprintf(stderr, "iomuxd: unexpected argument '%s'\n", argv[optind]);
        c->action = ACTION_MISUSE;
    }
    if (c->action == ACTION_RUN && c->test)
        c->action = ACTION_TEST;
}

/* What was printed must have arrived: a full disk is an error too. */
static int print_status(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    fprintf(stderr, "iomuxd: cannot write to stdout: %s\n", strerror(errno));
    return EXIT_FAILURE;
}

static int list_models(void)
{
    size_t count;
    const struct model *all = model_all(&count);

    for (size_t i = 0; i < count; i++) {
        char why[256] = "";
        bool can = model_available(&all[i], why, sizeof why);

        printf("%-12s %-14s %-3s%s%s\n", all[i].name, all[i].family, can ? "yes" : "no",
               *why != '\0' ? " " : "", why);
    }
    return print_status();
}

/* For conf_read: an I/O model that is named must be able to run here. */
static bool check_model(const char *name, char *why, size_t why_size)
{
    const struct model *m = model_find(name);
    struct conf_near near = { .word = name };
    size_t count, n;
    const struct model *all = model_all(&count);

    if (strcmp(name, "auto") == 0)
        return model_auto(why, why_size) != NULL;
    if (m != NULL)
        return model_available(m, why, why_size);
    n = (size_t)snprintf(why, why_size, "there is no such model, only");
    for (size_t i = 0; i < count && n < why_size; i++) {
        n += (size_t)snprintf(why + n, why_size - n, "%s %s", i > 0 ? "," : "", all[i].name);
        conf_near_try(&near, all[i].name);
    }
    conf_near_try(&near, "auto");
    if (n < why_size)
        conf_near_text(&near, why + n, why_size - n);
    return false;
}

/* Everything but running. */
static int look_at_configuration(const struct command *c, const struct conf_options *options)
{
    struct conf *conf = conf_read(options, stderr);
    struct priv priv;
    int status = EXIT_FAILURE;

    if (c->state != -1 && !master_test_state(options, c->state, stderr))
        goto done;
    if (conf == NULL || !priv_resolve(&priv, conf, stderr))
        goto done;
    if (c->action == ACTION_PRINT)
        conf_print(conf, stdout);
    status = print_status();
    if (c->test && c->state == -1)
        conf_warn(conf, stderr);
    if (c->test && status == EXIT_SUCCESS)
        fprintf(stderr, "%s: configuration ok\n", c->file);
done:
    conf_free(conf);
    return status;
}

static int run_master(const struct command *c, const struct conf_options *options)
{
    struct master_start start = { .again = options, .state = c->state, .program = c->program };

    if (c->state == -1)
        start.taken = conf_read(options, stderr);
    return c->state == -1 && start.taken == NULL ? EXIT_FAILURE : master_run(&start);
}

static int with_configuration(const struct command *c)
{
    struct conf_options options = { .file = c->file,
                                    .overrides = c->overrides, .override_count = c->override_count,
                                    .model_check = check_model, .target_check = logger_check,
                                    .format_check = words_check_format,
                                    .location_check = words_check_location, .sandbox_check = sandbox_check,
                                    .user_check = priv_check_user, .group_check = priv_check_group };

    return c->action == ACTION_RUN ? run_master(c, &options) : look_at_configuration(c, &options);
}

static int command_run(const struct command *c)
{
    switch (c->action) {
    case ACTION_RUN:
    case ACTION_TEST:
    case ACTION_PRINT:
        return with_configuration(c);
    case ACTION_MODELS:
        return list_models();
    case ACTION_VERSION:
        printf("iomuxd %s\nfeatures:%s\n", PACKAGE_VERSION, FEATURES);
        return print_status();
    case ACTION_HELP:
        fputs(usage_text, stdout);
        return print_status();
    case ACTION_MISUSE:
        break;
    }
    fputs("Try 'iomuxd --help'.\n", stderr);
    return EXIT_USAGE;
}

/* Without this a socket could become descriptor 2, and clients would get error messages. */
static void open_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char *argv[])
{
    char path[PATH_MAX] = "";
    struct command command = { .action = ACTION_RUN, .file = SYSCONFDIR "/iomuxd.conf", .program = path, .state = -1 };
    int status;

    open_standard_descriptors();
    if (program_path(argv[0], path) == -1)
        path[0] = '\0';         /* then it runs, but cannot reload */
    title_init(argc, argv);
    command.overrides = calloc((size_t)argc + 1, sizeof *command.overrides);
    if (command.overrides == NULL) {
        perror("iomuxd");
        return EXIT_FAILURE;
    }
    command_read(&command, argc, argv);
    status = command_run(&command);
    free(command.overrides);
    return status;
}
